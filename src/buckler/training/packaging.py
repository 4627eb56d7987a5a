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
from buckler.evaluation.metrics import Threshold
from buckler.files import read_bytes
from buckler.runtime.classifier import Classifier
from buckler.students import Export
from buckler.tasks import Task
from buckler.training.fit import FittedStudent


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
    deployed_fpr: float | None = None,
    provenance: Mapping[str, object] | None = None,
) -> Bundle:
    """Write the bundle of a fitted student, named after the file; return it.

    Raises
    ------
    SettingsError
        If no threshold could be chosen for `deployed_fpr`.
    OutputError
        If the file cannot be written.
    """
    parts = bundle_parts(path.stem, fitted, deployed_fpr=deployed_fpr, provenance=provenance)
    return write_bundle(path, parts.manifest, parts.files)


def bundle_parts(
    name: str,
    fitted: FittedStudent,
    *,
    deployed_fpr: float | None = None,
    provenance: Mapping[str, object] | None = None,
) -> BundleParts:
    """Return the parts of a fitted student's bundle.

    Parameters
    ----------
    name
        Name of the bundle.
    fitted
        Student, thresholds and calibration.
    deployed_fpr
        False-positive rate whose threshold is deployed; see `choose_deployed`.
    provenance
        Further entries of the manifest's provenance.

    Raises
    ------
    SettingsError
        If no threshold could be chosen for `deployed_fpr`.
    """
    task, exported = fitted.task, fitted.student.export()
    deployed = choose_deployed(fitted.threshold_by_fpr, deployed_fpr)
    unseen: dict[str, object] = {}
    if fitted.evidence is not None:
        at = None if deployed is None else fitted.threshold_by_fpr[deployed]
        unseen = fitted.evidence.at(at).to_json()
    manifest = replace(
        student_manifest(task, fitted.student.family, exported),
        name=name,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        calibration_curve=fitted.curve.points,
        conformal=fitted.conformal,
        thresholds=fitted.threshold_by_fpr,
        deployed_fpr=deployed,
        calibration={
            "method": fitted.calibration.method,
            "slope": fitted.calibration.slope,
            "shift": fitted.calibration.shift,
            "n_rows": fitted.calibration.n_rows,
            "curve": fitted.curve.method,
            "curve_gain_nats": fitted.curve.gain,
            "thresholds": threshold_records(fitted.thresholds),
        },
        unseen_sources=unseen,
        metrics={},
        provenance={
            "buckler": buckler.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
            "training_rows": fitted.n_rows,
            "training_groups": fitted.n_groups,
            "suspect_labels": fitted.n_suspect,
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
        classes=task.classes,
        positive=task.positive,
        normalizer=task.normalizer,
        max_bytes=task.max_bytes,
        numbers=() if schema is None else schema.numbers,
        categories=() if schema is None else schema.categories,
        family=family,
        model=export.model,
        settings=export.settings,
        thresholds={},
        deployed_fpr=None,
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


def threshold_records(thresholds: list[Threshold]) -> list[dict[str, object]]:
    """Return thresholds for a manifest: rates with intervals, and the negatives behind them."""
    records: list[dict[str, object]] = []
    for t in thresholds:
        record: dict[str, object] = {
            "target_fpr": t.target_fpr,
            "n_negatives": t.n_negatives,
            "too_few_negatives": t.value is None,
        }
        if t.value is not None and t.fpr.n_rows and t.tpr.n_rows:
            record |= {
                "fpr": t.fpr.value,
                "fpr_interval": [t.fpr.low, t.fpr.high],
                "tpr": t.tpr.value,
                "tpr_interval": [t.tpr.low, t.tpr.high],
            }
        records.append(record)
    return records


def choose_deployed(thresholds: dict[float, float], rate: float | None) -> float | None:
    """Return the rate that is given; else 1e-3 where there is a threshold, or the next.

    Raises
    ------
    SettingsError
        If the given rate has no threshold.
    """
    if rate is not None:
        if rate not in thresholds:
            raise SettingsError(
                f"no threshold for a false-positive rate of {rate:g}: the training data have too "
                "few negatives; choose a higher rate or add negatives"
            )
        return rate
    return next((rate for rate in (1e-3, 1e-2) if rate in thresholds), None)
