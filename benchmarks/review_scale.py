"""Time for each page of the review application, with ten thousand events and with a million.

Events are hosts and paths of real URLs, crossed. Each page is asked for over HTTP from a server
process, by one browser, on SQLite.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import table, use_all_cores
from buckler.dataset import Dataset, read_dataset
from buckler.labels import Annotator, LabelStore
from buckler.operating_point import OperatingPoint
from buckler.review.accounts import Accounts, Role
from buckler.review.enqueue import enqueue_events
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.review_site import PASSPHRASE, Browser, review_site

TASK = get_task("url-threat")
SIZES = (10_000, 1_000_000)
ROUNDS = 40


def run(data: Path) -> None:
    """Print the table."""
    use_all_cores()
    train = data / "url" / "threat-train.parquet"
    timings: dict[str, list[str]] = {}
    fills = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = read_dataset([train], TASK)
        rows = np.random.default_rng(0).permutation(len(events))[:20_000]
        fitted = fit_student(events.take(np.sort(rows)), StudentSpec("ngram", {}, folds=2))
        write_fitted(folder / "url.buckler", fitted, operating_point=OperatingPoint(fpr=0.01))
        urls = pq.read_table(train, columns=["url"])["url"].to_pylist()
        for size in SIZES:
            where = str(folder / f"{size}.db")
            started = time.monotonic()
            _fill(where, _cross_urls(urls, size), folder / "url.buckler")
            seconds = time.monotonic() - started
            fills.append(f"{size:,} events in {seconds:,.0f} s ({size / seconds:,.0f}/s)")
            for page, found in _pages(where, folder / "url.buckler").items():
                timings.setdefault(page, []).append(found)
            size_bytes = Path(where).stat().st_size
            fills[-1] += f", {size_bytes / 1e6:,.0f} MB"
    print(f"filling the queue: {'; '.join(fills)}\n")
    heads = tuple(f"{size:,} events: median, 95th of {ROUNDS}, ms" for size in SIZES)
    table(("page", *heads), [(page, *found) for page, found in timings.items()])


def _cross_urls(urls: list[str], n: int) -> Dataset:
    rng = np.random.default_rng(1)
    parts = [url.split("/", 3) for url in urls]
    whole = [p for p in parts if len(p) == 4]
    deep = [p[3] for p in whole if p[3]]
    texts: dict[bytes, None] = {}
    while len(texts) < n:
        host, path = whole[rng.integers(len(whole))], deep[rng.integers(len(deep))]
        texts[f"{host[0]}//{host[2]}/{path}"[:2000].encode("utf-8", "replace")] = None
    return Dataset.from_texts(pa.array(list(texts), pa.large_binary()), TASK).with_groups()


def _fill(where: str, events: Dataset, bundle: Path) -> None:
    with LabelStore(where) as store:
        enqueue_events(store, events, load(bundle))
        accounts = Accounts(store)
        accounts.add("ann", Role.LEAD, PASSPHRASE)
        rng = np.random.default_rng(0)
        ids = events.ids[:50_000]
        said = rng.dirichlet((1, 1), len(ids)).astype(np.float32)
        store.add_arrays(TASK, Annotator("teacher", "1", "llm"), ids, said)


def _pages(where: str, bundle: Path) -> dict[str, str]:
    with review_site(where, bundle) as address:
        browser = Browser(address)
        browser.sign_in("ann")
        token = browser.token()
        http, base = browser.http, "/t/url-threat"
        page = http.post(f"{base}/next", data={"csrf": token})

        def judge() -> None:
            nonlocal page
            form = {"csrf": token, "label": "benign", "seconds": "3"}
            path = page.url.path
            page = http.post(f"{path}/label", data=form)  # and the next event's page
            assert page.status_code == 200

        def get(path: str) -> Callable[[], None]:
            def ask() -> None:
                assert http.get(path).status_code == 200

            return ask

        following = http.get(base).text.split('<p><a href="', 1)[1].split('"', 1)[0]
        asked = {
            "queue, first page": get(base),
            "queue, next page": get(following.replace("&amp;", "&")),
            "queue, predicted phishing": get(f"{base}?label=phishing"),
            "search, a rare word": get(f"{base}?q=paypal+verification"),
            "search, a frequent word": get(f"{base}?q=com"),
            "search, a prefix": get(f"{base}?q=lo"),
            "an event": get(page.url.path),
            "a label, and the next event": judge,
            "dashboard": get(f"{base}/dashboard"),
            "a plot": get(f"{base}/plots/queue.svg"),
            "tasks": get("/"),
        }
        return {name: _time_calls(work) for name, work in asked.items()}


def _time_calls(work: Callable[[], None]) -> str:
    work()
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    found.sort()
    return f"{statistics.median(found):.0f}, {found[int(0.95 * len(found))]:.0f}"
