"""Contract of students and of the runtime models that score them."""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from buckler import _kernel
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.runtime.model import build_model
from buckler.runtime.verdicts import Floats
from buckler.students import Student, get_student
from buckler.testing.contract import require
from buckler.training.packaging import student_manifest, weights_of


def check_student(family: str, events: Dataset, settings: Mapping[str, object]) -> None:
    """Check a student and its runtime model on labeled events; it is trained seven times.

    Parameters
    ----------
    family
        Name of the family.
    events
        A few hundred labeled events of a task that it can learn.
    settings
        Settings that make training fast and reproducible.

    Raises
    ------
    ContractError
        If it breaks a rule.
    """
    _check_settings(family, settings)
    before = [array.copy() for array in (events.texts.data, events.targets, events.weights)]
    student = _fit(family, events, settings)
    logits = student.predict_logits(events.texts)
    n_classes = len(events.task.classes)
    require(
        logits.shape == (len(events), 1 if n_classes == 2 else n_classes)
        and logits.dtype == np.float32,
        "logits are float32 [n, 1] for two classes, else [n, classes]",
    )
    require(np.isfinite(logits).all(), "logits are finite")
    after = (events.texts.data, events.targets, events.weights)
    same = all((a == b).all() for a, b in zip(before, after, strict=True))
    require(same, "training changes no event")
    right = float((_classes(logits) == events.labels).mean())
    require(right > 0.8, f"a student learns what is plain ({right:.2f} of its own events)")
    again = _fit(family, events, settings).predict_logits(events.texts)
    require(np.array_equal(logits, again), "the same events and settings make the same student")
    _check_targets_and_weights(family, events, settings)
    _check_refusals(family, events, settings)
    _check_runtime(student, events)


def _check_settings(family: str, settings: Mapping[str, object]) -> None:
    student = get_student(family, settings)
    require(type(student).family == family, "a student is found by its family")
    for name, value in settings.items():
        require(getattr(student, name) == value, f"setting {name!r} is stored as given")
    learned = [f.name for f in fields(student) if not f.init and not f.name.endswith("_")]
    require(not learned, "learned attributes end in _")
    try:
        get_student(family, {**settings, "no_such_setting": 1})
    except SettingsError as error:
        require("no_such_setting" in str(error), "an unknown setting is named")
    else:
        require(False, "an unknown setting raises SettingsError")


def _check_targets_and_weights(
    family: str, events: Dataset, settings: Mapping[str, object]
) -> None:
    targets = np.full_like(events.targets, 1 / events.targets.shape[1])
    soft = _fit(family, events.with_targets(targets), settings).predict_logits(events.texts)
    spread = float(
        np.abs(soft - soft.mean(axis=1, keepdims=True) if soft.shape[1] > 1 else soft).max()
    )
    require(spread < 1, "a student of even targets is unsure")
    first = events.labels == 0
    shares = []
    for weights in (np.where(first, 5, 0.2), np.where(first, 0.2, 5)):
        weighted = events.with_targets(0.5 * targets + 0.5 * events.targets).with_weights(
            weights.astype(np.float32)
        )
        fitted = _fit(family, weighted, settings).predict_logits(events.texts)
        shares.append(float(_probabilities(fitted)[:, 0].mean()))
    require(shares[0] > shares[1], "events of more weight count more")


def _check_refusals(family: str, events: Dataset, settings: Mapping[str, object]) -> None:
    broken = np.full_like(events.targets, np.nan)
    for bad, rule in (
        (events.take(np.arange(0)), "no events raise SettingsError"),
        (events.with_targets(broken), "targets that are no numbers raise SettingsError"),
    ):
        try:
            _fit(family, bad, settings)
        except SettingsError:
            continue
        require(False, rule)


def _check_runtime(student: Student, events: Dataset) -> None:
    """Check calibration, and that the runtime gives the same outputs as the student."""
    before = student.predict_logits(events.texts)
    n = before.shape[1]
    slope, shift = 2.0, 0.5 if n == 1 else np.linspace(-1, 1, n, dtype=np.float32)
    student.rescale(slope, shift)
    logits = student.predict_logits(events.texts)
    export = student.export()
    slack = 0.02 + 10 * export.tolerance
    expected = before * np.float32(slope) + shift
    require(
        np.allclose(logits, expected, rtol=slack, atol=slack), "rescale makes z slope * z + shift"
    )
    model = build_model(student_manifest(events.task, student.family, export), weights_of(export))
    outputs = model.score_normalized(events.texts)
    activated = np.array(logits, np.float32)
    _kernel.activate(activated, model.n_outputs)
    activated = activated[:, 0] if model.n_outputs == 1 else activated
    if export.tolerance:
        require(
            np.allclose(outputs, activated, atol=export.tolerance),
            "the runtime gives the student's outputs within the tolerance",
        )
    else:
        require(
            np.array_equal(outputs, activated), "the runtime gives the same bits as the student"
        )
    some = np.arange(0, len(events), 3)
    part = model.score_normalized(events.texts.take(some))
    require(np.allclose(part, outputs[some], atol=export.tolerance), "neighbors change no output")
    weights = model.byte_weights(events.texts[0], 0)
    require(
        weights.shape == (len(events.texts[0]),) and bool(np.isfinite(weights).all()),
        "an explanation has a finite weight for each byte",
    )


def _fit(family: str, events: Dataset, settings: Mapping[str, object]) -> Student:
    return get_student(family, settings).fit(events)


def _probabilities(logits: Floats) -> Floats:
    activated = np.array(logits, np.float32)
    _kernel.activate(activated, logits.shape[1])
    if logits.shape[1] == 1:
        return np.concatenate([1 - activated, activated], axis=1)
    return activated


def _classes(logits: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    return np.asarray(_probabilities(logits).argmax(axis=1))
