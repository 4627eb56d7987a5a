"""The cascade whose last stage is a teacher: a bundle answers what it is sure of.

The teacher answers the rest within a budget, the least sure events first. The label store keeps its
answers, so a stopped run resumes and asks nothing twice.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.errors import InputError, SettingsError
from buckler.evaluation.agreement_bound import is_answered
from buckler.files import atomic_writer, read_bytes, write_atomically
from buckler.labels import LabelStore
from buckler.pipeline.agree import (
    AgreeOptions,
    price_of,
    read_events,
    saving_sentence,
    write_csv,
)
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.tasks import get_bundle_task
from buckler.teachers.budget import Account, Budget
from buckler.teachers.labeling import Progress, find_annotations, label
from buckler.teachers.teacher import Teacher

AGREEMENT = "agreement.json"


@dataclass(frozen=True)
class Escalation:
    """Outcome of `escalate`.

    Attributes
    ----------
    n_events
        Events in the files.
    n_by_bundle, n_by_teacher
        Events that each answered.
    n_open
        Unsure events that the teacher has not answered: the budget ended, or it said nothing. They
        carry the bundle's answer, marked.
    cost_usd, saving
        Cost of this run, and calls and dollars saved, in a sentence.
    account
        Calls of this run; None for a teacher that costs nothing.
    quarantine
        Summary of the rows that could not be read; empty where there are none.
    """

    n_events: int
    n_by_bundle: int
    n_by_teacher: int
    n_open: int
    cost_usd: float
    saving: str
    account: Account | None
    quarantine: str


def escalate(
    bundle: Path | str,
    data: Sequence[Path],
    output: Path,
    teacher: Teacher,
    agreement: Path,
    options: AgreeOptions = AgreeOptions(),  # noqa: B008 - frozen
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Escalation:
    """Answer events with a bundle where it is sure, and with its teacher elsewhere.

    Parameters
    ----------
    bundle, teacher
        The two that `agree` compared.
    data
        Files or folders of events.
    output
        File of answers: ``.parquet``, ``.csv`` or ``.jsonl``.
    agreement
        ``agreement.json`` of `agree`, or its folder.
    options
        Label store, budget and columns. The least sure events are asked about first.
    on_progress
        Called with events asked and dollars so far.

    Raises
    ------
    SettingsError
        If the agreement is that of another bundle or teacher, or the suffix is unknown.
    InputError
        If events cannot be read.
    """
    if output.suffix not in _WRITERS:
        raise SettingsError(f"{output.name}: answers are written to {', '.join(_WRITERS)}")
    budget = options.budget or Budget()
    teacher.check_budget(budget)
    scorer = load(bundle)
    task = get_bundle_task(scorer.manifest, options.task)
    least = _read_least(agreement, scorer, teacher)
    with Quarantine() as quarantine:
        events = read_events(data, task, teacher, options, quarantine)
        unreadable = quarantine.summary() if quarantine.count else ""
    probabilities = scorer.score(events.raw).probabilities
    sure = is_answered(probabilities, least)
    chosen, surest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    unsure = np.flatnonzero(~sure)
    unsure = unsure[np.argsort(surest[unsure], kind="stable")]
    with LabelStore(options.store) as store:
        report = label(events.take(unsure), teacher, store, budget=budget, on_progress=on_progress)
        found = find_annotations(store, teacher, task)
        price = price_of(store, teacher, task, options)
    rows: list[dict[str, object]] = []
    by_teacher = 0
    for row, (event_id, text) in enumerate(zip(events.ids, events.raw_texts, strict=True)):
        annotation = None if sure[row] else found.get(event_id)
        by, name = "bundle" if sure[row] else "bundle, unsure", scorer.classes[chosen[row]]
        probability, why = float(surest[row]), None
        if annotation is not None:
            by_teacher, by, why = by_teacher + 1, "teacher", annotation.rationale
            probability = max(annotation.probabilities)
            name = scorer.classes[int(np.argmax(annotation.probabilities))]
        rows.append(
            {
                "event_id": event_id.hex(),
                "text": task.readable(text).encode("utf-8", "replace").decode(),
                "class": name,
                "probability": round(probability, 6),
                "answered_by": by,
                "rationale": why,
            }
        )
    _WRITERS[output.suffix](output, rows)
    return Escalation(
        n_events=len(events),
        n_by_bundle=int(sure.sum()),
        n_by_teacher=by_teacher,
        n_open=int((~sure).sum()) - by_teacher,
        cost_usd=budget.spent.cost_usd,
        saving=saving_sentence(len(events), int(sure.sum()), price),
        account=report.account,
        quarantine=unreadable,
    )


def _read_least(path: Path, scorer: Scorer, teacher: Teacher) -> npt.NDArray[np.float64]:
    """Return the least probabilities of an agreement, float64 [classes]."""
    path = path / AGREEMENT if path.is_dir() else path
    try:
        document = json.loads(read_bytes(path))
        digest, annotator = document["bundle_sha256"], document["teacher"]
        least = {str(one["name"]): float(one["least"]) for one in document["classes"]}
        found = np.array([least[name] for name in scorer.classes])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: no agreement that `agree` wrote", path=path) from error
    if digest != scorer.sha256:
        raise SettingsError(f"{path}: the agreement of another bundle", path=path)
    if annotator != asdict(teacher.annotator):
        raise SettingsError(f"{path}: the agreement with another teacher", path=path)
    if not np.isfinite(found).all() or (found < 0).any():
        raise InputError(f"{path}: a threshold is no probability", path=path)
    return found


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def _write_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    with atomic_writer(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), file)


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("event_id", "text", "class")),
        ("probability", pa.float64()),
        *((name, pa.string()) for name in ("answered_by", "rationale")),
    ]
)
_WRITERS: dict[str, Callable[[Path, list[dict[str, object]]], None]] = {
    ".parquet": _write_parquet,
    ".csv": lambda path, rows: write_csv(path, rows, _SCHEMA.names),
    ".jsonl": _write_lines,
}
