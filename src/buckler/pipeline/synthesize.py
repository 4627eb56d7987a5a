"""The stage in which synthetic examples are written or read, and must prove that they help."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from buckler.dataset import Dataset
from buckler.pipeline.recipe import StudentSection, SynthesisSection
from buckler.synthesis.filters import GateSettings
from buckler.synthesis.generate import Synthesis, synthesize
from buckler.synthesis.generator import get_generator
from buckler.synthesis.judges import STUDENT_LIMIT, student_judge
from buckler.synthesis.plan import read_plan
from buckler.synthesis.synthetic_examples import (
    SyntheticExample,
    as_events,
    read_synthetic_examples,
    write_synthetic_examples,
)
from buckler.tasks import Task
from buckler.training.synthesis_trial import prove, rows_of_kind

_FILE, _PROOF = "synthetic_examples.parquet", "proof.json"


def make_synthetic_examples(
    folder: Path,
    train: Dataset,
    test: Dataset,
    section: SynthesisSection,
    student: StudentSection,
) -> dict[str, Any]:
    """Write synthetic examples and their proof into a folder; they may not repeat the test either."""
    task = train.task
    synthetic_examples: list[SyntheticExample] = []
    unseen = None if section.hold_out is None else rows_of_kind(train, section.hold_out)
    seen = train if unseen is None else train.take(np.flatnonzero(~unseen))
    for path in section.synthetic_examples:
        synthetic_examples += read_synthetic_examples(path, task)[0]
    reports: dict[str, Any] = {}
    if section.by is not None:
        plan = read_plan(task, section.plan)
        passed = synthesize(
            plan,
            get_generator(section.by, plan, seen, student.seed),
            Synthesis(section.number, gates=GateSettings(judge=STUDENT_LIMIT), seed=student.seed),
            judge=student_judge(seen, student.seed),
            judge_name="a student of the training labels",
            also_apart_from=test,
        )
        synthetic_examples += passed.synthetic_examples
        reports = passed.report
    if not synthetic_examples:
        found = {"kept": False, "summary": "none passed the gates, or proved its worth before"}
        (folder / _PROOF).write_text(json.dumps(found), encoding="utf-8")
        return {"synthetic_examples": 0, "kept": False}
    proof = prove(
        train,
        synthetic_examples,
        student.family,
        student.settings,
        seeds=section.seeds,
        weight=section.weight,
        unseen=unseen,
        unseen_name=section.hold_out or "",
    )
    found = proof.as_json()
    if section.unproven and not proof.kept:
        found |= {"kept": True, "summary": f"{proof.summary()}, but learned unproven, as asked"}
    write_synthetic_examples(folder / _FILE, synthetic_examples, task, {**reports, "proof": found})
    (folder / _PROOF).write_text(json.dumps(found), encoding="utf-8")
    return {
        "synthetic_examples": len(synthetic_examples),
        "kept": found["kept"],
        "proof": found["summary"],
    }


def kept_synthetic_examples(folder: Path, task: Task, weight: float) -> Dataset | None:
    """Return the synthetic examples as examples, in memory only; None if they did not earn their place."""
    if not json.loads((folder / _PROOF).read_bytes())["kept"]:
        return None
    return as_events(read_synthetic_examples(folder / _FILE, task)[0], task).with_weights(weight)


def proof_summary(folder: Path) -> str:
    """Return what was found, in a sentence."""
    return str(json.loads((folder / _PROOF).read_bytes())["summary"])
