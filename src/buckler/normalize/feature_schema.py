"""Rows of features: float32 numbers in the order of a schema.

One row is a JSON object of names and values; many are a `FeatureTable`. A missing number is NaN. A
category becomes a number below 1,024, a hash of its name, so that no list of categories is needed
and a new one is no error.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError

N_CATEGORIES = 1021
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

        Raises
        ------
        InputError
            If a value is not a number.
        """
        numbers = [_number(values.get(name), name) for name in self.numbers]
        numbers += [category_number(values.get(name)) for name in self.categories]
        return np.array(numbers, np.float32).tobytes()

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


def category_number(name: object) -> float:
    """Return the number of a category, the same on every machine; NaN for none.

    ``#`` and a number stands for a category whose name is unknown.
    """
    if name is None or name == "":
        return math.nan
    if isinstance(name, str) and re.fullmatch("#[0-9]{1,4}", name):
        return float(int(name[1:]) % N_CATEGORIES)
    from hashlib import blake2b  # loads OpenSSL: only where there are categories

    text = str(name).encode("utf-8", "replace")
    return float(int.from_bytes(blake2b(text, digest_size=8).digest(), "little") % N_CATEGORIES)


def _number(value: object, name: str) -> float:
    if value is None or value == "":
        return math.nan
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"feature {name!r} is not a number: {str(value)[:40]!r}") from None
    return min(max(number, -LARGEST), LARGEST)
