"""Rows of features: float32 numbers in the order of a schema.

One row is a JSON object of names and values; many are a `FeatureTable`. A missing number is NaN. A
category becomes a number below 1,024, a hash of its name, so that no list of categories is needed
and a new one is no error.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError

N_CATEGORIES = 1021
_SPELLED: dict[str, float | None] = {"": None, "true": 1.0, "false": 0.0}
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FeatureSchema:
    """Names of the features, in their order in a row: numbers first, then categories."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return self.numbers + self.categories

    def __len__(self) -> int:
        return len(self.numbers) + len(self.categories)

    def normalize(self, row: str | bytes) -> bytes:
        """Return the float32 numbers of a row that is a JSON object.

        Raises
        ------
        InputError
            If it is none.
        """
        data = row.encode("utf-8", "surrogatepass") if isinstance(row, str) else row
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not a JSON object of features: {str(error)[:80]}") from error
        if not isinstance(values, dict):
            raise InputError("not a JSON object of features")
        return self.row(values)

    def row(self, values: Mapping[str, object]) -> bytes:
        """Return the float32 numbers of named values; absent names are missing values.

        A dotted name reaches into nested objects.

        Raises
        ------
        InputError
            If a value is not a number, or no feature has a value.
        """
        numbers = [_parse(feature_number, values, name) for name in self.numbers]
        numbers += [_parse(category_number, values, name) for name in self.categories]
        if all(map(math.isnan, numbers)):
            raise InputError(self.no_value)
        return np.array(numbers, np.float32).tobytes()

    @property
    def no_value(self) -> str:
        """Reason why a row without a value is no event."""
        return f"no feature has a value; the features are {', '.join(self.names[:3])}" + (
            f" and {len(self) - 3} more" if len(self) > 3 else ""
        )

    def to_json(self, row: npt.ArrayLike) -> str:
        """Return a row as a JSON object, which `normalize` reads back to the bit.

        Missing values are left out; a category is given by its number, since its name is unknown.
        """
        numbers = np.clip(np.asarray(row, np.float32), -LARGEST, LARGEST).tolist()
        values: dict[str, object] = {}
        for index, (name, value) in enumerate(zip(self.names, numbers, strict=True)):
            if not math.isnan(value):
                values[name] = value if index < len(self.numbers) else f"#{value:g}"
        return json.dumps(values)

    def describe(self, normalized: bytes) -> list[str]:
        """Return ``name=value`` for each feature of a normalized row."""
        row = np.frombuffer(normalized, "<f4")
        return [f"{name}={value:g}" for name, value in zip(self.names, row, strict=True)]


def feature_number(value: object) -> float:
    """Return a number as JSON or a table has it; NaN where it is missing.

    A number beyond float32 becomes the largest.

    Raises
    ------
    TypeError, ValueError
        If the value is no number.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        text = value.strip().lower()
        if not text.isascii() or "_" in text:  # which Python reads, and no other program
            raise ValueError(value)
        value = _SPELLED.get(text, text)
    if value is None:
        return math.nan
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = math.inf if value > 0 else -math.inf  # type: ignore[operator]
    return min(max(number, -LARGEST), LARGEST)


def category_number(name: object) -> float:
    """Return the number of a category, the same on every machine; NaN for none.

    ``#`` and a number stands for a category whose name is unknown.

    Raises
    ------
    TypeError
        If the value is a list or an object.
    """
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    if isinstance(name, bool):
        name = str(name).lower()
    elif isinstance(name, float):
        name = int(name) if name.is_integer() else None if math.isnan(name) else name
    if name is None or name == "":
        return math.nan
    if not isinstance(name, str | int | float):
        raise TypeError("not a category")
    if isinstance(name, str) and re.fullmatch("#[0-9]{1,4}", name):
        return float(int(name[1:]) % N_CATEGORIES)
    from hashlib import blake2b  # loads OpenSSL: only where there are categories

    text = str(name).encode("utf-8", "replace")
    return float(int.from_bytes(blake2b(text, digest_size=8).digest(), "little") % N_CATEGORIES)


def _parse(read: Callable[[object], float], values: Mapping[str, object], name: str) -> float:
    value = values.get(name)
    if value is None and "." in name:
        found: object = values
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        value = found
    try:
        return read(value)
    except (TypeError, ValueError):
        raise InputError(f"{wrong_value(name, read)}: {str(value)[:40]!r}", field=name) from None


def wrong_value(name: str, read: Callable[[object], float]) -> str:
    """Return the reason why a value of a feature is none."""
    return f"feature {name!r} is not a {'number' if read is feature_number else 'category'}"
