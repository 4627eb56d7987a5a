"""Puts a fitted student into a bundle, with the provenance of everything in it."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

import buckler
from buckler.bundle.archive import MANIFEST, ONNX, VECTORS, WEIGHTS, Bundle
from buckler.bundle.manifest import Manifest, parse_manifest
from buckler.bundle.writer import (
    assemble,
    pack_tensors,
    vector_rows,
    vector_texts,
    vectors_json,
    write_bundle,
)
from buckler.errors import SettingsError
from buckler.evaluation.unseen_sources import ThresholdRule
from buckler.files import read_bytes
from buckler.operating_point import OperatingPoint
from buckler.runtime.classifier import Classifier
from buckler.students import Export
from buckler.tasks import Task
from buckler.training.fit import FittedStudent

UNTREATED = "false positives with suspect labels at "


@dataclass(frozen=True)
class BundleParts:
    """Manifest and files of a bundle that is not written yet.

    Attributes
    ----------
    manifest
        Everything but the digests of the files.
    files
        Weights by the names that the reader knows, and the conformance vectors.
    """

    manifest: Manifest
    files: dict[str, bytes]

    def assemble(self) -> Bundle:
        """Return the bundle, in memory."""
        return assemble(self.manifest, self.files)

    def save(self, folder: Path) -> None:
        """Write the parts into a folder."""
        for name, data in {MANIFEST: self.manifest.to_json(), **self.files}.items():
            (folder / name).write_bytes(data)

    @classmethod
    def load(cls, folder: Path, task: Task) -> "BundleParts":  # noqa: ARG003
        """Read what `save` wrote."""
        names = [name for name in (WEIGHTS, ONNX, VECTORS) if (folder / name).exists()]
        manifest = parse_manifest(read_bytes(folder / MANIFEST))
        return cls(manifest, {name: read_bytes(folder / name) for name in names})


def write_fitted(
    path: Path,
    fitted: FittedStudent,
    *,
    operating_point: OperatingPoint | None = None,
    provenance: Mapping[str, object] | None = None,
) -> Bundle:
    """Write the bundle of a fitted student, named after the file; return it.

    Raises
    ------
    SettingsError
        If the negatives are too few for `operating_point`.
    OutputError
        If the file cannot be written.
    """
    parts = bundle_parts(path.stem, fitted, operating_point=operating_point, provenance=provenance)
    return write_bundle(path, parts.manifest, parts.files)


def bundle_parts(
    name: str,
    fitted: FittedStudent,
    *,
    operating_point: OperatingPoint | None = None,
    provenance: Mapping[str, object] | None = None,
) -> BundleParts:
    """Return the parts of a fitted student's bundle.

    Parameters
    ----------
    fitted
        Student, calibration, and the effect of thresholds.
    operating_point
        Wish that chooses the threshold; by default the task's target rate, where the negatives are
        enough for it.
    provenance
        Further entries of the manifest's provenance.

    Raises
    ------
    SettingsError
        If the negatives are too few for `operating_point`.
    """
    task, exported = fitted.task, fitted.student.export()
    point = operating_point or OperatingPoint(fpr=task.target_fpr)
    threshold = choose_threshold(fitted, point, required=operating_point is not None)
    record = fitted.record_at(point, threshold)
    manifest = replace(
        student_manifest(task, fitted.student.family, exported),
        name=name,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        calibration_curve=fitted.curve.points,
        conformal=fitted.conformal,
        threshold=threshold,
        operating_point=None if threshold is None else point,
        operating_curve=fitted.operating_curve,
        calibration={
            "method": fitted.calibration.method,
            "slope": fitted.calibration.slope,
            "shift": fitted.calibration.shift,
            "n_rows": fitted.calibration.n_rows,
            "curve": fitted.curve.method,
            "curve_gain_nats": fitted.curve.gain,
            "deployed": {} if threshold is None else fitted.rates_at(threshold),
        },
        unseen_sources={} if record is None else record.to_json(),
        metrics={},
        provenance={
            "buckler": buckler.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
            "training_rows": fitted.n_rows,
            "training_groups": fitted.n_groups,
            "suspect_labels": fitted.n_suspect,
            **{f"{UNTREATED}{rate:g}": found for rate, found in fitted.untreated_fpr.items()},
            "epochs": fitted.epochs,
            "parameters": exported.n_parameters,
            **(provenance or {}),
        },
    )
    weights = weights_of(exported)
    vectors = conformance_vectors(manifest, weights, task, exported.tolerance)
    return BundleParts(manifest, {**weights, VECTORS: vectors})


def student_manifest(task: Task, family: str, export: Export) -> Manifest:
    """Return the manifest of a student for a task, without thresholds, calibration or figures."""
    schema = task.text_normalizer.features
    return Manifest(
        name=task.name,
        created="",
        task=task.name,
        description=task.description,
        task_definition=task.to_json(),
        classes=task.classes,
        positive=task.positive,
        normalizer=task.normalizer,
        max_bytes=task.max_bytes,
        numbers=() if schema is None else schema.numbers,
        categories=() if schema is None else schema.categories,
        family=family,
        model=export.model,
        settings=export.settings,
    )


def weights_of(exported: Export) -> dict[str, bytes]:
    """Return the files that the bundle's scorer reads."""
    if exported.onnx:
        return {ONNX: exported.onnx}
    return {WEIGHTS: pack_tensors(exported.tensors)}


def conformance_vectors(
    manifest: Manifest, weights: Mapping[str, bytes], task: Task, tolerance: float
) -> bytes:
    """Return made-up inputs that fit the task, with the outputs of a bundle, as JSON."""
    schema = task.text_normalizer.features
    inputs = vector_texts() if schema is None else vector_rows(len(schema), len(schema.categories))
    outputs = Classifier(manifest, weights).outputs_of_vectors(inputs)
    return vectors_json(inputs, outputs, tolerance)


def choose_threshold(
    fitted: FittedStudent, point: OperatingPoint, *, required: bool
) -> float | None:
    """Return the threshold for a wish by the student's rule, else by its known sources.

    Parameters
    ----------
    required
        True to fail where the negatives are too few; else there is no threshold then.

    Raises
    ------
    SettingsError
        If the negatives are too few.
    """
    curves = [fitted.operating_curve, fitted.curves.get(ThresholdRule.KNOWN)]
    refusal: SettingsError | None = None
    for curve in filter(None, curves):
        try:
            return curve.threshold(point)
        except SettingsError as error:
            refusal = refusal or error
    if point.threshold is not None and fitted.task.positive:
        return point.threshold
    if required and fitted.task.positive:
        raise refusal or SettingsError(f"{point}: there are too few negatives for any rate")
    return None
