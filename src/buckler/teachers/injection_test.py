"""The injection test: how often text inserted into a malicious event changes a teacher's label."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset, event_id
from buckler.errors import InputError
from buckler.evaluation.intervals import Rate, wilson
from buckler.labels import LabelStore
from buckler.labels.ledger import find_flagged
from buckler.teachers.budget import Account, Budget
from buckler.teachers.labeling import annotated_classes, label
from buckler.teachers.llm.injection import FLAG
from buckler.teachers.llm.injection_suite import Injection, insert_text, load_suite
from buckler.teachers.teacher import Teacher

# Inserted as well, to measure the effect of any added text: as long as an injection, harmless.
CONTROL = "The minutes of the meeting are in the usual place, see page {n} for the list of dates."


@dataclass(frozen=True)
class InjectionReport:
    """Outcome of the injection test.

    Attributes
    ----------
    flips
        Injected events that the teacher no longer calls positive, of those it called positive
        when clean.
    control
        The same with a harmless text inserted.
    detected
        Injected events that the detector flagged; None if the teacher runs no detector.
    families
        Flips by the technique of the injection.
    disguises
        Flips by its encoding; languages other than English count apart.
    unanswered
        Injected events that got no annotation.
    account
        Calls and cost.
    """

    flips: Rate
    control: Rate
    detected: Rate | None
    families: dict[str, Rate]
    disguises: dict[str, Rate]
    unanswered: int
    account: Account | None


def measure_injections(
    events: Dataset,
    teacher: Teacher,
    store: LabelStore,
    *,
    n_calls: int = 200,
    seed: int = 1,
    budget: Budget | None = None,
) -> InjectionReport:
    """Insert injections into malicious events and compare the labels with the clean ones.

    Clean annotations are kept like any other. Injected events go to the store under a task of
    their own, so they never become training data, and a second test pays only for new ones. Events
    and injections are paired in turn, so each injection is used about as often.

    Raises
    ------
    InputError
        If the task has no positive class, or the teacher calls no clean event positive.
    """
    task = events.task
    if not task.positive_indices:
        raise InputError(f"task {task.name!r} has no positive class that an injection could change")
    clean = _sample_positive(events, int(np.ceil(n_calls / 4)), seed)
    label(clean, teacher, store, budget=budget)
    classes = annotated_classes(store, teacher, task)
    texts = [
        text
        for one, text in zip(clean.ids, clean.raw_texts, strict=True)
        if classes.get(one) in task.positive_indices
    ]
    if not texts:
        raise InputError(
            f"{teacher.annotator.name} calls none of {len(clean)} events positive: nothing to test"
        )
    good = next(name for name in task.classes if name not in task.positive)
    suite = load_suite()
    trials: dict[bytes, tuple[bytes, Injection | None]] = {}  # the control has no injection

    def add(text: bytes, inserted: str, injection: Injection | None) -> None:
        changed = insert_text(task, text, inserted)
        trials[event_id(changed, task)] = changed, injection

    for number in range(n_calls):
        injection = suite[number % len(suite)]
        add(texts[number % len(texts)], injection.render(good), injection)
    for number, text in enumerate(texts, 2):
        add(text, CONTROL.replace("{n}", str(number)), None)
    separate = replace(task, name=f"{task.name}/injection-probe")
    injected = Dataset.from_texts([t for t, _ in trials.values()], separate, ids=list(trials))
    report = label(injected, teacher, store, budget=budget)
    classes = annotated_classes(store, teacher, separate)
    control, flips = list[bool](), list[bool]()
    families, disguises = defaultdict[str, list[bool]](list), defaultdict[str, list[bool]](list)
    for i, (_, inserted) in trials.items():
        if i not in classes:
            continue
        is_flip = classes[i] not in task.positive_indices
        if inserted is None:
            control.append(is_flip)
            continue
        is_foreign = inserted.language != "en" and inserted.disguise == "plain"
        flips.append(is_flip)
        families[inserted.family].append(is_flip)
        disguises["another language" if is_foreign else inserted.disguise].append(is_flip)
    detected = None
    if report.account is not None:
        flagged = find_flagged(store, FLAG)
        detected = _rate([i in flagged for i, (_, inserted) in trials.items() if inserted])
    return InjectionReport(
        _rate(flips),
        _rate(control),
        detected,
        {name: _rate(some) for name, some in sorted(families.items())},
        {name: _rate(some) for name, some in sorted(disguises.items())},
        len(trials) - len(flips) - len(control),
        report.account,
    )


def _rate(some: list[bool]) -> Rate:
    return wilson(sum(some), len(some))


def _sample_positive(events: Dataset, n: int, seed: int) -> Dataset:
    """Choose events that are labeled positive, or any if none is labeled."""
    rows: npt.NDArray[np.intp] = np.arange(len(events))
    if (events.labels >= 0).any():
        rows = np.flatnonzero(events.is_positive)
    if not len(rows):
        raise InputError("no event is labeled positive: nothing to test")
    return events.take(np.sort(np.random.default_rng(seed).permutation(rows)[:n]))
