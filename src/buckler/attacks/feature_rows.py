"""Attacks on rows of features: changes that an author can make to a program that does the same.

They change numbers, not a file, so no malware is made. An attack skips features that a task lacks.
"""

from collections.abc import Callable

import numpy as np

from buckler.attacks.attack import Attacker, attack
from buckler.errors import InputError
from buckler.normalize import FeatureSchema

Values = dict[str, float]
_RANDOM_ENTROPY = 7.9


def _change_row(
    text: str, attacker: Attacker, change: Callable[[Values], None], *needed: str
) -> str:
    """Apply a change to a JSON row that has at least one of the needed features."""
    schema = attacker.features
    if schema is None or not set(needed) & set(schema.names):
        return text
    try:
        row = _values(text, schema)
    except InputError:
        return text
    change(row)
    return schema.to_json([row[name] for name in schema.names])


def _values(text: str, schema: FeatureSchema) -> Values:
    numbers = np.frombuffer(schema.normalize(text), "<f4").tolist()
    return dict(zip(schema.names, numbers, strict=True))


def _add(values: Values, name: str, amount: float) -> None:
    if name in values:
        values[name] += amount


def _set(values: Values, name: str, value: float) -> None:
    if name in values:
        values[name] = value


@attack("appended-bytes", "row")
def appended_bytes(text: str, attacker: Attacker) -> str:
    """Ordinary bytes after the end of a program: as many again as it has."""

    def change(values: Values) -> None:
        size = values.get("filesize", 0.0)
        ordinary = 4.5 + attacker.rng.random()
        _add(values, "filesize", size)
        _add(values, "overlay_bytes", size)
        _set(values, "overlay_entropy", ordinary)
        if "E_file" in values:
            values["E_file"] = (values["E_file"] + ordinary) / 2

    return _change_row(text, attacker, change, "filesize", "overlay_bytes", "E_file")


@attack("renamed-sections", "row")
def renamed_sections(text: str, attacker: Attacker) -> str:
    """Sections under the names that compilers give them."""

    def change(values: Values) -> None:
        _add(values, "non_sus_sections", values.get("sus_sections", 0.0))
        _set(values, "sus_sections", 0.0)
        _set(values, "sections_unnamed", 0.0)

    return _change_row(text, attacker, change, "sus_sections", "sections_unnamed")


@attack("added-imports", "row")
def added_imports(text: str, attacker: Attacker) -> str:
    """A hundred functions imported that are never called."""

    def change(values: Values) -> None:
        _add(values, "imported_functions", 100.0)
        _add(values, "imported_libraries", 4.0)
        names = [name for name in values if name.startswith(("function_", "library_"))]
        for name in names:
            values[name] += float(attacker.rng.poisson(100 / max(1, len(names))))

    return _change_row(text, attacker, change, "imported_functions", "imported_libraries")


@attack("forged-header", "row")
def forged_header(text: str, attacker: Attacker) -> str:
    """An ordinary date, a checksum, versions of a common compiler, a version resource."""

    def change(values: Values) -> None:
        _set(values, "CreationYear", 1.0)
        _set(values, "timestamp_days", 15_000.0 + attacker.below(1500))
        _set(values, "CheckSum", float(attacker.below(1 << 20)))
        _set(values, "MajorLinkerVersion", 9.0)
        _set(values, "MinorLinkerVersion", 0.0)
        _set(values, "fileinfo", 1.0)
        _set(values, "rich_present", 1.0)

    return _change_row(text, attacker, change, "CreationYear", "CheckSum", "timestamp_days")


@attack("packing", "row")
def pack(text: str, attacker: Attacker) -> str:
    """Code and data encrypted: the entropy of random bytes."""

    def change(values: Values) -> None:
        for name in ("E_text", "E_data", "E_file", "section_entropy_most", "entry_entropy"):
            if values.get(name, 0.0) > 0:
                values[name] = _RANDOM_ENTROPY + 0.1 * attacker.rng.random()

    return _change_row(text, attacker, change, "E_text", "E_file", "section_entropy_most")


@attack("like-benign", "row")
def like_benign(text: str, attacker: Attacker) -> str:
    """A fifth of the features as in some benign row: mimicry."""
    if attacker.features is None or not attacker.benign:
        return text
    other = _values(attacker.benign_event(), attacker.features)

    def change(values: Values) -> None:
        for name, value in other.items():
            if attacker.chance(0.2):
                values[name] = value

    return _change_row(text, attacker, change, *attacker.features.names)
