"""Self-contained HTML pages out of templates; everything that came from data is escaped."""

from importlib.resources import files
from typing import Any

from buckler.errors import MissingExtraError


def render(template: str, **values: Any) -> str:
    """Return a page.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FunctionLoader
    except ImportError:
        raise MissingExtraError("the HTML report", "report") from None
    here = files("buckler.evaluation")
    loader = FunctionLoader(lambda name: here.joinpath(name).read_text("utf-8"))
    environment = Environment(autoescape=True, trim_blocks=False, loader=loader)
    return environment.get_template(template).render(**values)
