"""JSON that is read strictly, with the standard library alone: every reader takes it alike."""

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeVar

from buckler.errors import BundleError

_T = TypeVar("_T")


def parse_strict_json(data: bytes) -> dict[str, Any]:
    """Return a JSON object that every reader understands alike.

    Raises
    ------
    ValueError
        If it is not UTF-8, is no JSON object, or has a key twice, a lone surrogate or a number
        that is none.
    """
    try:
        raw = json.loads(
            data.decode(), parse_constant=_no_constants, object_pairs_hook=_unique_keys
        )
        json.dumps(raw, ensure_ascii=False).encode()  # a lone surrogate is no text
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(raw, dict):
        raise ValueError("no object")
    return raw


def _no_constants(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def get_value(raw: Mapping[str, object], key: str, kind: type[_T]) -> _T:
    """Return a value of a kind."""
    value = raw.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError(f"manifest: {key!r} is missing or not a {kind.__name__}")
    return value


def get_number(raw: Mapping[str, object], key: str) -> float:
    """Return a finite number."""
    value = raw.get(key)
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise BundleError(f"manifest: {key!r} is missing or not a number")
    return number


def get_pairs(raw: Mapping[str, object], key: str, first: str, second: str) -> dict[float, float]:
    """Return rate -> value of a list of objects; a higher rate has no lower value."""
    found: dict[float, float] = {}
    for entry in get_value(raw, key, list):
        if not isinstance(entry, dict):
            raise BundleError(f"manifest: {key} must be objects")
        rate = get_number(entry, first)
        if rate in found or not 0 < rate < 1:
            raise BundleError(f"manifest: {key} must have rates between 0 and 1, each once")
        found[rate] = get_number(entry, second)
    values = [found[rate] for rate in sorted(found)]
    if any(a > b for a, b in pairwise(values)):
        raise BundleError(f"manifest: the values of {key} are not in the order of their rates")
    return found
