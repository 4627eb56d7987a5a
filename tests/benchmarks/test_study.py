"""The study: figures are computed once, intervals are right, and parts run on real data."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.study import coverage, efficiency, noisy
from benchmarks.study.results import Results, Study, Table
from buckler.errors import InputError
from buckler.evaluation.intervals import Mean
from buckler.training.selection import SelectionMethod
from tests.support.made_up import made_up_events


def test_a_figure_is_computed_once_and_a_stopped_study_goes_on(tmp_path):
    path = tmp_path / "study" / "results.jsonl"
    calls = []

    def compute():
        calls.append(1)
        return {"accuracy": 0.5, "nothing": math.nan}

    first = Results(path)
    assert first.once(compute, part="a", seed=0)["accuracy"] == 0.5
    first.once(compute, seed=0, part="a")
    again = Results(path)
    assert math.isnan(again.once(compute, part="a", seed=0)["nothing"])
    again.once(compute, part="a", seed=1)
    assert len(calls) == 2
    path.write_text(path.read_text() + "half a li")
    with pytest.raises(InputError, match="line 3"):
        Results(path)


def test_means_have_students_intervals():
    # Worked by hand: mean 2, deviation 1, t(2) = 4.303.
    mean = Mean.of([1.0, 2.0, 3.0])
    assert mean.value == 2
    assert mean.half_width == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert not mean.above_zero
    assert Mean.of([1.0, 1.01, 0.99]).above_zero
    assert not Mean.of([5.0]).above_zero, "one seed proves nothing"
    assert str(Mean.of([])) == "-"
    assert Mean.of([1.0, math.nan]).n == 1
    assert Mean.of([0.0, 1.0] * 30).half_width == pytest.approx(
        1.96 * 0.504 / math.sqrt(60), abs=1e-3
    )


def test_tables_are_markdown():
    text = Table("T", "note", ("a", "b"), [("x", "1")]).markdown()
    assert "### T" in text
    assert "| a | b |\n| --- | ---: |\n| x | 1 |" in text


@pytest.mark.parametrize("spoil", [noisy.by_class, noisy.by_group])
@pytest.mark.parametrize("level", [0.0, 0.1, 0.4])
def test_wrong_labels_are_as_many_as_said(spoil, level):
    events = made_up_events(2000, np.random.default_rng(0))
    labels = spoil(events, level, np.random.default_rng(1))
    turned = (labels != events.labels) & (events.labels == 1)
    assert turned.sum() == pytest.approx(level * (events.labels == 1).sum(), rel=0.06, abs=2)
    if spoil is noisy.by_group:
        assert (labels[events.labels == 0] == 0).all()


def test_what_is_held_out_is_what_was_meant():
    events = made_up_events(4, np.random.default_rng(0))
    said = ["T1053.005", "T1105,T1053", None, "T10531"]
    held = events.with_column("technique", said).with_labels(np.ones(4, np.int32))
    kind = "scheduled tasks (T1053)"
    assert coverage._has_technique(held, kind).tolist() == [True, True, False, False]


def study(*arguments):
    """Run the study in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.study", *map(str, arguments)]
    folder = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_a_part_that_is_unknown_or_has_no_data_is_one_clear_line(tmp_path):
    wrong = study(tmp_path, "--part", "magic")
    assert wrong.returncode == 2
    assert "invalid choice: 'magic'" in wrong.stderr
    missing = study(tmp_path / "nowhere")
    assert missing.returncode == 2
    assert "no such folder" in missing.stderr


@pytest.mark.slow
def test_labels_and_annotations_are_bought_on_real_data(tmp_path, real_data, monkeypatch):
    steps = []
    figures = Results(tmp_path / "results.jsonl")
    small = Study(real_data, tmp_path, figures, 1, steps.append)
    for name in ("LABELS", "ANNOTATIONS"):
        purchase = replace(getattr(efficiency, name), start=200, budgets=(600,))
        monkeypatch.setattr(efficiency, name, purchase)
    monkeypatch.setattr(efficiency, "SelectionMethod", [SelectionMethod.BADGE])
    labels, annotations = efficiency.run(small)
    for table in (labels, annotations):
        (row,) = table.rows
        assert row[0] == "`badge`"
        assert float(re.search(r"random \w+ \((.*?)\)", table.note).group(1)) < float(row[1]) < 0.6
    assert steps == ["efficiency: badge, seed 0", "bought: badge, seed 0"]
    assert efficiency.run(small)[0].rows == labels.rows and len(steps) == 2, "not computed again"
