"""The manifest of a bundle: read strictly, with the standard library alone.

The runtime depends on this module, so it imports no parser but `json`. docs/bundle-format.md is
the specification.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypedDict

from buckler import __version__
from buckler.bundle.strict_json import get_number, get_pairs, get_value, parse_strict_json
from buckler.errors import BundleError, SettingsError
from buckler.operating_point import (
    HIGHEST_THRESHOLD,
    OperatingCurve,
    OperatingPoint,
    describe_threshold,
)

FORMAT = "buckler-bundle"
FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 4 << 20
MAX_CLASSES = 1024
MAX_FEATURES = 1 << 16
MAX_CURVE_POINTS = 64
MAX_AUXILIARY = 8
ASKED_ABOUT = ("detections", "all")
# Column names of verdicts, which no auxiliary classifier may take.
_TAKEN = ("text", "label", "score", "detected", "uncertain", "path", "row", "review", "stage")
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
    task_definition
        The task as its file defines it, for machines on which it is not installed.
    normalizer, max_bytes
        Id of the normalizer, and the longest normalized text.
    family
        Family of the student, for people.
    model, settings
        Runtime model that scores, and the numbers that it needs.
    threshold
        Score from which an event is a detection, unless another is asked for; None where the
        held-out events were too few to choose one, or no class is positive.
    operating_point
        Wish that chose the threshold.
    operating_curve
        Effect of all thresholds on held-out events, which answers other wishes.
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
    threshold: float | None = None
    operating_point: OperatingPoint | None = None
    operating_curve: OperatingCurve | None = None
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    calibration_curve: tuple[tuple[float, ...], ...] = ()
    conformal: dict[float, float] = field(default_factory=dict)
    auxiliary: tuple[AuxiliaryEntry, ...] = ()
    task_definition: Mapping[str, object] = field(default_factory=dict)
    calibration: Mapping[str, object] = field(default_factory=dict)
    unseen_sources: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, object] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)

    @property
    def deployed_fpr(self) -> float | None:
        """False-positive rate that the threshold is for; None without one."""
        if self.threshold is None or self.operating_point is None:
            return None
        if (target := self.operating_point.target_fpr) is not None:
            return target
        curve = self.operating_curve
        return None if curve is None else max(curve.rates_at(self.threshold)[0], curve.least_fpr)

    @property
    def thresholds(self) -> dict[float, float]:
        """False-positive rate -> threshold: of the usual rates, and the deployed one."""
        found = {} if self.operating_curve is None else self.operating_curve.thresholds()
        if self.threshold is not None and self.deployed_fpr is not None:
            found[self.deployed_fpr] = self.threshold
        return dict(sorted(found.items(), reverse=True))

    @property
    def operating_sentence(self) -> str:
        """The threshold and its effect on held-out events, in words."""
        if not self.positive:
            return "No class is positive: the likeliest class is the verdict."
        named = " or ".join(self.positive[:3])
        return describe_threshold(self.threshold, self.operating_point, self.operating_curve, named)

    @property
    def positive_bits(self) -> int:
        """A bit for each positive class below 64, as the kernel takes them."""
        names = enumerate(self.classes)
        return sum(1 << i for i, name in names if name in self.positive and i < 64)

    def find_threshold(self, point: OperatingPoint) -> float:
        """Return the threshold for a wish.

        Raises
        ------
        SettingsError
            If the held-out events are too few for it, or no class is positive.
        """
        if not self.positive:
            raise SettingsError(f"{self.name}: no class is positive, so there is no threshold")
        if point.threshold is not None:
            return point.threshold
        if self.operating_curve is None:
            raise SettingsError(
                f"{point}: the bundle's held-out events are too few for any; give a threshold"
            )
        return self.operating_curve.threshold(point)

    def to_json(self) -> bytes:
        """Return the manifest as it is stored."""
        point, curve = self.operating_point, self.operating_curve
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
                        "definition": self.task_definition,
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
                    "threshold": self.threshold,
                    "operating_point": None if point is None else point.to_json(),
                    "operating_curve": None if curve is None else vars(curve),
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


def advise_version(provenance: object = None) -> str:
    """Return what helps where this Buckler cannot read what another one wrote."""
    writer = provenance.get("buckler") if isinstance(provenance, dict) else None
    if isinstance(writer, str) and _release(writer) > _release(__version__):
        return f"upgrade Buckler to {writer} or later"
    return "train the bundle again, or use the Buckler that wrote it"


def _release(version: str) -> list[int]:
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", version)
    return [int(number) for number in found.groups()] if found else []


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest; every field that is used is checked.

    Raises
    ------
    BundleError
        If it is not a manifest, or of another format.
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
            f"{FORMAT_VERSION}; {advise_version(raw.get('provenance'))}"
        )
    task = get_value(raw, "task", dict)
    normalizer, student = get_value(raw, "normalizer", dict), get_value(raw, "student", dict)
    classes = get_value(task, "classes", dict)
    if not 2 <= len(classes) <= MAX_CLASSES or not all(
        isinstance(v, str) for v in classes.values()
    ):
        raise BundleError("manifest: task.classes must name 2 to 1,024 classes")
    positive = tuple(get_value(task, "positive", list))
    if not all(isinstance(name, str) and name in classes for name in positive):
        raise BundleError("manifest: task.positive names a class that is not there")
    threshold = None if raw.get("threshold") is None else get_number(raw, "threshold")
    if threshold is not None and not 0 <= threshold <= HIGHEST_THRESHOLD:
        raise BundleError("manifest: threshold must be from 0 to 1")
    return Manifest(
        name=get_value(raw, "name", str),
        created=get_value(raw, "created", str),
        task=get_value(task, "name", str),
        description=get_value(task, "description", str),
        task_definition=get_value({"definition": {}, **task}, "definition", dict),
        classes=classes,
        positive=positive,
        normalizer=get_value(normalizer, "id", str),
        max_bytes=get_value(normalizer, "max_bytes", int),
        family=get_value(student, "family", str),
        model=get_value(student, "model", str),
        settings=get_value(student, "settings", dict),
        threshold=threshold,
        operating_point=_operating_point(raw),
        operating_curve=_operating_curve(raw),
        numbers=_names(normalizer, "numbers"),
        categories=_names(normalizer, "categories"),
        calibration_curve=_calibration_curve(raw, len(classes)),
        conformal=get_pairs(raw, "conformal", "error_rate", "least_probability"),
        auxiliary=_auxiliary(raw),
        calibration=get_value(raw, "calibration", dict),
        unseen_sources=get_value(raw, "unseen_sources", dict),
        metrics=get_value(raw, "metrics", dict),
        provenance=get_value(raw, "provenance", dict),
        files=_files(raw),
    )


def _names(raw: Mapping[str, object], key: str) -> tuple[str, ...]:
    names = get_value(raw, key, list)
    if len(names) > MAX_FEATURES or not all(isinstance(name, str) for name in names):
        raise BundleError(f"manifest: {key} must be at most {MAX_FEATURES:,} names")
    return tuple(names)


def _calibration_curve(raw: Mapping[str, object], n_classes: int) -> tuple[tuple[float, ...], ...]:
    """Check the calibration curve: one that falls would reverse the ranking."""
    key = "calibration_curve"
    rows = get_value(raw, key, list)
    if not rows:
        return ()
    if len(rows) != 2 or n_classes != 2 or not all(isinstance(row, list) for row in rows):
        raise BundleError(f"manifest: {key} must be two rows, for a task of two classes")
    xs, ys = (tuple(get_number({key: v}, key) for v in row) for row in rows)
    if len(xs) != len(ys) or not 2 <= len(xs) <= MAX_CURVE_POINTS:
        raise BundleError(f"manifest: {key} must have 2 to {MAX_CURVE_POINTS} points")
    if any(a >= b for a, b in pairwise(xs)) or any(a > b for a, b in pairwise(ys)):
        raise BundleError(f"manifest: {key} must rise")
    return xs, ys


def _operating_point(raw: Mapping[str, object]) -> OperatingPoint | None:
    if raw.get("operating_point") is None:
        return None
    values = get_value(raw, "operating_point", dict)
    try:
        return OperatingPoint(**{str(name): get_number(values, name) for name in values})
    except (TypeError, SettingsError) as error:
        raise BundleError(f"manifest: operating_point: {str(error)[:100]}") from error


def _operating_curve(raw: Mapping[str, object]) -> OperatingCurve | None:
    """Check the curve: one that turns would answer a wish with a wrong threshold."""
    key = "operating_curve"
    if raw.get(key) is None:
        return None
    values = get_value(raw, key, dict)
    scores, fprs, recalls = (
        tuple(get_number({name: each}, name) for each in get_value(values, name, list))
        for name in ("scores", "fprs", "recalls")
    )
    counts = [get_value(values, f"n_{kind}", int) for kind in ("negatives", "positives")]
    least, origin = get_number(values, "least_fpr"), get_value(values, "origin", str)[:100]
    try:
        return OperatingCurve(scores, fprs, recalls, counts[0], counts[1], least, origin)
    except SettingsError as error:
        raise BundleError(f"manifest: {key}: {error}") from error


def _auxiliary(raw: Mapping[str, object]) -> tuple[AuxiliaryEntry, ...]:
    entries = []
    for value in get_value(raw, "auxiliary", list)[: MAX_AUXILIARY + 1]:
        if not isinstance(value, dict):
            raise BundleError("manifest: auxiliary must be objects")
        entry = AuxiliaryEntry(get_value(value, "name", str), get_value(value, "on", str))
        if not re.fullmatch(AUXILIARY_NAME, entry.name) or entry.on not in ASKED_ABOUT:
            shown = f"{entry.name[:40]!r} on {entry.on[:40]!r}"
            raise BundleError(f"manifest: {shown} is no auxiliary classifier")
        entries.append(entry)
    if len(entries) > MAX_AUXILIARY or len({entry.name for entry in entries}) < len(entries):
        raise BundleError(
            f"manifest: at most {MAX_AUXILIARY} auxiliary classifiers, each with its own name"
        )
    return tuple(entries)


def _files(raw: Mapping[str, object]) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for name, entry in get_value(raw, "files", dict).items():
        if not isinstance(entry, dict):
            raise BundleError(f"manifest: files: {name!r} is not an object")
        files[name] = FileEntry(
            size_bytes=get_value(entry, "size_bytes", int), sha256=get_value(entry, "sha256", str)
        )
    return files
