"""Puts a fitted student into a bundle, with all that is known of where it came from."""

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import buckler
from buckler.bundle.manifest import Manifest
from buckler.bundle.reader import ONNX, VECTORS, WEIGHTS
from buckler.bundle.vectors import vector_rows, vector_texts, vectors_json
from buckler.bundle.writer import pack_tensors, write_bundle
from buckler.errors import SettingsError
from buckler.evaluation.thresholds import Threshold
from buckler.runtime.classifier import Classifier
from buckler.students import Export
from buckler.tasks import Task
from buckler.training.fit import Fitted


def write_fitted(
    path: Path,
    fitted: Fitted,
    task: Task,
    *,
    deployed_fpr: float | None = None,
    metrics: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Manifest:
    """Write the bundle of a fitted student.

    Raises
    ------
    SettingsError
        If no threshold could be chosen for `deployed_fpr`.
    OutputError
        If the file cannot be written.
    """
    exported = fitted.student.export()
    schema = task.text_normalizer.features
    thresholds = {t.target_fpr: t.value for t in fitted.thresholds if t.value is not None}
    manifest = Manifest(
        name=path.stem,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        task=task.name,
        description=task.description,
        classes=task.classes,
        positive=task.positive,
        normalizer=task.normalizer,
        max_bytes=task.max_bytes,
        numbers=() if schema is None else schema.numbers,
        categories=() if schema is None else schema.categories,
        calibration_curve=fitted.curve_points,
        conformal=fitted.conformal,
        family=fitted.student.family,
        model=exported.model,
        settings=exported.settings,
        thresholds=thresholds,
        deployed_fpr=choose_deployed(thresholds, deployed_fpr),
        calibration={
            "method": fitted.calibration.method,
            "slope": fitted.calibration.slope,
            "shift": fitted.calibration.shift,
            "n_rows": fitted.calibration.n_rows,
            "curve": fitted.curve.method,
            "curve_gain_nats": fitted.curve.gain,
            "thresholds": threshold_records(fitted.thresholds),
        },
        metrics=metrics or {},
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
    texts = conformance_texts(task)
    outputs = Classifier(manifest, weights).outputs(texts)
    vectors = vectors_json(texts, outputs, exported.tolerance)
    return write_bundle(path, manifest, {**weights, VECTORS: vectors})


def weights_of(exported: Export) -> dict[str, bytes]:
    """Return the files that the bundle's scorer reads."""
    if exported.onnx:
        return {ONNX: exported.onnx}
    return {WEIGHTS: pack_tensors(exported.tensors)}


def conformance_texts(task: Task) -> list[bytes]:
    """Return made-up inputs that fit the task: texts, or rows of its features."""
    schema = task.text_normalizer.features
    return vector_texts() if schema is None else vector_rows(len(schema), len(schema.categories))


def threshold_records(thresholds: list[Threshold]) -> list[dict[str, Any]]:
    """Return what is known of thresholds, for a manifest: rates, intervals, what they rest on."""
    records: list[dict[str, Any]] = []
    for t in thresholds:
        record: dict[str, Any] = {
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


def choose_deployed(thresholds: dict[float, float], asked: float | None) -> float | None:
    """Return the rate that was asked for; else 1e-3 where there is a threshold, or the next.

    Raises
    ------
    SettingsError
        If the rate that was asked for has no threshold.
    """
    if asked is not None:
        if asked not in thresholds:
            raise SettingsError(
                f"no threshold for a false-positive rate of {asked:g}: the training data have too "
                "few negatives; ask for a higher rate or add negatives"
            )
        return asked
    for rate in (1e-3, 1e-2):
        if rate in thresholds:
            return rate
    return None
