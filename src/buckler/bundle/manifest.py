"""The manifest of a bundle: read strictly, with the standard library alone.

The runtime depends on this module, so it imports no parser but `json`. docs/bundle-format.md is
the specification.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypedDict, TypeVar

from buckler.errors import BundleError

_T = TypeVar("_T")

FORMAT = "buckler-bundle"
FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 4 << 20
MAX_CLASSES = 1024
MAX_FEATURES = 1 << 16
MAX_CURVE_POINTS = 64
MAX_AUXILIARY = 8
ASKED_ABOUT = ("detections", "all")
# Column names of verdicts, which no auxiliary classifier may take.
_TAKEN = ("text", "label", "score", "detected", "path", "row", "review", "stage")
AUXILIARY_NAME = rf"(?!p_|(?:{'|'.join(_TAKEN)})$)[a-z][a-z0-9_]{{0,40}}"


class FileEntry(TypedDict):
    """Size and digest of an entry of the archive."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class AuxiliaryEntry:
    """Entry of an auxiliary classifier, which is a bundle inside the bundle.

    Attributes
    ----------
    name
        Name of the question, such as ``technique``.
    on
        ``detections``: it is asked about detections alone; ``all``: about every event.
    """

    name: str
    on: str


@dataclass(frozen=True)
class Manifest:
    """Description of a bundle.

    Attributes
    ----------
    name
        Name of the bundle.
    created
        Time of writing: ISO 8601, UTC.
    task, description
        Name of the task, and the question that it decides.
    classes
        Class names with a sentence each, in the order of the outputs.
    positive
        Names of the classes that count as detections.
    normalizer, max_bytes
        Id of the normalizer, and the longest normalized text.
    family
        Family of the student, for people.
    model, settings
        Runtime model that scores, and the numbers that it needs.
    thresholds
        Target false-positive rate -> score from which an event is a detection; only those that the
        validation rows could support.
    deployed_fpr
        Target whose threshold is used unless another is asked for; None without thresholds.
    numbers, categories
        Names of the features, where the normalized text is a row of them.
    calibration_curve
        Two rows, x and y: the probability of the second of two classes becomes the value of the
        curve through them (isotonic or beta calibration); empty where calibration is in the
        weights.
    conformal
        Error rate -> the probability that a class needs to be in the prediction set.
    auxiliary
        Auxiliary classifiers; the n-th is ``auxiliary-n.buckler``.
    calibration, unseen_sources, metrics, provenance
        Figures for people and for reports.
    files
        Name -> size_bytes and sha256 of every other entry.
    """

    name: str
    created: str
    task: str
    description: str
    classes: dict[str, str]
    positive: tuple[str, ...]
    normalizer: str
    max_bytes: int
    family: str
    model: str
    settings: Mapping[str, object]
    thresholds: dict[float, float]
    deployed_fpr: float | None
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    calibration_curve: tuple[tuple[float, ...], ...] = ()
    conformal: dict[float, float] = field(default_factory=dict)
    auxiliary: tuple[AuxiliaryEntry, ...] = ()
    calibration: Mapping[str, object] = field(default_factory=dict)
    unseen_sources: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return the manifest as it is stored."""
        return (
            json.dumps(
                {
                    "format": FORMAT,
                    "format_version": FORMAT_VERSION,
                    "name": self.name,
                    "created": self.created,
                    "task": {
                        "name": self.task,
                        "description": self.description,
                        "classes": self.classes,
                        "positive": list(self.positive),
                    },
                    "normalizer": {
                        "id": self.normalizer,
                        "max_bytes": self.max_bytes,
                        "numbers": list(self.numbers),
                        "categories": list(self.categories),
                    },
                    "student": {
                        "family": self.family,
                        "model": self.model,
                        "settings": self.settings,
                    },
                    "thresholds": [
                        {"target_fpr": fpr, "score": value}
                        for fpr, value in self.thresholds.items()
                    ],
                    "deployed_fpr": self.deployed_fpr,
                    "calibration_curve": [list(row) for row in self.calibration_curve],
                    "conformal": [
                        {"error_rate": rate, "least_probability": value}
                        for rate, value in self.conformal.items()
                    ],
                    "auxiliary": [vars(entry) for entry in self.auxiliary],
                    "calibration": self.calibration,
                    "unseen_sources": self.unseen_sources,
                    "metrics": self.metrics,
                    "provenance": self.provenance,
                    "files": self.files,
                },
                indent=1,
                allow_nan=False,
            ).encode()
            + b"\n"
        )


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest; every field that is used is checked.

    Raises
    ------
    BundleError
        If it is not a manifest, or of a newer format.
    """
    try:
        raw = parse_strict_json(data)
    except ValueError as error:
        raise BundleError(f"the manifest is not sound JSON: {str(error)[:100]}") from error
    if raw.get("format") != FORMAT:
        raise BundleError("the manifest is not that of a Buckler bundle")
    version = raw.get("format_version")
    if isinstance(version, bool) or version != FORMAT_VERSION:
        raise BundleError(
            f"bundle format version {str(version)[:20]}: this Buckler reads version "
            f"{FORMAT_VERSION}; upgrade Buckler"
        )
    task = _get(raw, "task", dict)
    normalizer, student = _get(raw, "normalizer", dict), _get(raw, "student", dict)
    classes = _get(task, "classes", dict)
    if not 2 <= len(classes) <= MAX_CLASSES or not all(
        isinstance(v, str) for v in classes.values()
    ):
        raise BundleError("manifest: task.classes must name 2 to 1,024 classes")
    positive = tuple(_get(task, "positive", list))
    if not all(isinstance(name, str) and name in classes for name in positive):
        raise BundleError("manifest: task.positive names a class that is not there")
    thresholds = _pairs(raw, "thresholds", "target_fpr", "score")
    _check_order("thresholds", thresholds, falling=True)
    conformal = _pairs(raw, "conformal", "error_rate", "least_probability")
    _check_order("conformal", conformal, falling=False)
    deployed = None
    if raw.get("deployed_fpr") is not None:
        deployed = _number(raw, "deployed_fpr")
        if deployed not in thresholds:
            raise BundleError("manifest: deployed_fpr has no threshold")
    return Manifest(
        name=_get(raw, "name", str),
        created=_get(raw, "created", str),
        task=_get(task, "name", str),
        description=_get(task, "description", str),
        classes=classes,
        positive=positive,
        normalizer=_get(normalizer, "id", str),
        max_bytes=_get(normalizer, "max_bytes", int),
        family=_get(student, "family", str),
        model=_get(student, "model", str),
        settings=_get(student, "settings", dict),
        thresholds=thresholds,
        deployed_fpr=deployed,
        numbers=_names(normalizer, "numbers"),
        categories=_names(normalizer, "categories"),
        calibration_curve=_calibration_curve(raw, len(classes)),
        conformal=conformal,
        auxiliary=_auxiliary(raw),
        calibration=_get(raw, "calibration", dict),
        unseen_sources=_get(raw, "unseen_sources", dict),
        metrics=_get(raw, "metrics", dict),
        provenance=_get(raw, "provenance", dict),
        files=_files(raw),
    )


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


def _get(raw: Mapping[str, object], key: str, kind: type[_T]) -> _T:
    value = raw.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BundleError(f"manifest: {key!r} is missing or not a {kind.__name__}")
    return value


def _pairs(raw: Mapping[str, object], key: str, first: str, second: str) -> dict[float, float]:
    found: dict[float, float] = {}
    for entry in _get(raw, key, list):
        if not isinstance(entry, dict):
            raise BundleError(f"manifest: {key} must be objects")
        rate = _number(entry, first)
        if rate in found or not 0 < rate < 1:
            raise BundleError(f"manifest: {key} must have rates between 0 and 1, each once")
        found[rate] = _number(entry, second)
    return found


def _check_order(key: str, pairs: dict[float, float], *, falling: bool) -> None:
    """Refuse values that do not follow their rates: the stricter rate would admit more."""
    values = [pairs[rate] for rate in sorted(pairs, reverse=falling)]
    if any(a > b for a, b in pairwise(values)):
        raise BundleError(f"manifest: the values of {key} are not in the order of their rates")


def _names(raw: Mapping[str, object], key: str) -> tuple[str, ...]:
    names = _get(raw, key, list)
    if len(names) > MAX_FEATURES or not all(isinstance(name, str) for name in names):
        raise BundleError(f"manifest: {key} must be at most {MAX_FEATURES:,} names")
    return tuple(names)


def _calibration_curve(raw: Mapping[str, object], n_classes: int) -> tuple[tuple[float, ...], ...]:
    """Check the calibration curve: one that falls would reverse the ranking."""
    key = "calibration_curve"
    rows = _get(raw, key, list)
    if not rows:
        return ()
    if len(rows) != 2 or n_classes != 2 or not all(isinstance(row, list) for row in rows):
        raise BundleError(f"manifest: {key} must be two rows, for a task of two classes")
    xs, ys = (tuple(_number({key: v}, key) for v in row) for row in rows)
    if len(xs) != len(ys) or not 2 <= len(xs) <= MAX_CURVE_POINTS:
        raise BundleError(f"manifest: {key} must have 2 to {MAX_CURVE_POINTS} points")
    if any(a >= b for a, b in pairwise(xs)) or any(a > b for a, b in pairwise(ys)):
        raise BundleError(f"manifest: {key} must rise")
    return xs, ys


def _auxiliary(raw: Mapping[str, object]) -> tuple[AuxiliaryEntry, ...]:
    entries = []
    for value in _get(raw, "auxiliary", list)[: MAX_AUXILIARY + 1]:
        if not isinstance(value, dict):
            raise BundleError("manifest: auxiliary must be objects")
        entry = AuxiliaryEntry(_get(value, "name", str), _get(value, "on", str))
        if not re.fullmatch(AUXILIARY_NAME, entry.name) or entry.on not in ASKED_ABOUT:
            shown = f"{entry.name[:40]!r} on {entry.on[:40]!r}"
            raise BundleError(f"manifest: {shown} is no auxiliary classifier")
        entries.append(entry)
    if len(entries) > MAX_AUXILIARY or len({entry.name for entry in entries}) < len(entries):
        raise BundleError(
            f"manifest: at most {MAX_AUXILIARY} auxiliary classifiers, each with its own name"
        )
    return tuple(entries)


def _number(raw: Mapping[str, object], key: str) -> float:
    value = raw.get(key)
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise BundleError(f"manifest: {key!r} is missing or not a number")
    return number


def _files(raw: Mapping[str, object]) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for name, entry in _get(raw, "files", dict).items():
        if not isinstance(entry, dict):
            raise BundleError(f"manifest: files: {name!r} is not an object")
        files[name] = FileEntry(
            size_bytes=_get(entry, "size_bytes", int), sha256=_get(entry, "sha256", str)
        )
    return files
