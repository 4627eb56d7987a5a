"""Columns that data need not have: what a name in `keep` stands for where no column has it."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from buckler.dataset.languages import language_of
from buckler.normalize import NormalizedTexts

_LOOKED_AT = 8192


def _file(path: Path, texts: NormalizedTexts) -> list[str]:
    return [path.name] * len(texts)


def _language(_: Path, texts: NormalizedTexts) -> list[str]:
    last_fields = (texts[i].rpartition(b"\x1f")[2][:_LOOKED_AT] for i in range(len(texts)))
    return [language_of(field.decode("utf-8", "replace")) for field in last_fields]


_DERIVED: dict[str, Callable[[Path, NormalizedTexts], list[str]]] = {
    "file": _file,  # which file an event stood in
    "language": _language,  # of the last field of the normalized text, where a text stands
}


def derive(
    columns: dict[str, pa.Array], keep: tuple[str, ...], path: Path, texts: NormalizedTexts
) -> None:
    """Add the columns that are to be kept and can be derived."""
    for name in keep:
        if name in _DERIVED and name not in columns:
            columns[name] = pa.array(_DERIVED[name](path, texts), pa.string())
