"""Items of a queue by stratum; a filter by stratum leaves out those that are judged blind."""

from buckler.review.queue import PAGE_ITEMS, Filter, Item, Queue
from buckler.review.review_tables import Stratum


def items_of(queue: Queue, stratum: Stratum) -> list[Item]:
    """The first items of a stratum that wait, as many as a page holds."""
    found: list[Item] = []
    page = queue.page(Filter())
    while True:
        found += [item for item in page.items if item.stratum == stratum]
        if page.following is None or len(found) >= PAGE_ITEMS:
            return found[:PAGE_ITEMS]
        page = queue.page(Filter(), page.following)
