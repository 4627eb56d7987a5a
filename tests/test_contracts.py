"""Every registered task, reader, teacher, student and sink keeps the contract of its seam."""

import json

import numpy as np
import pytest

from buckler.dataset import Dataset
from buckler.readers.reader import READERS
from buckler.serving.sinks import SINKS
from buckler.students import STUDENTS
from buckler.tasks import get_task, list_tasks
from buckler.teachers.teacher import TEACHERS, get_teacher
from buckler.testing import (
    HOSTILE_TEXTS,
    ContractError,
    check_reader,
    check_sink,
    check_student,
    check_task,
    check_teacher,
)
from tests.support.made_up import made_up_events, made_up_rows
from tests.support.reader_files import sound_file

URL_THREAT = get_task("url-threat")
NETWORK = {
    "max_length": 64,
    "batch_rows": 32,
    "learning_rate": 1e-2,
    "precision": "float32",
    "device": "cpu",
    "threads": 1,
}
# Smallest settings that learn; the other families come with extras.
SETTINGS = {
    "ngram": {"table_bits": 12, "epochs": 4},
    "trees": {"epochs": 1, "threads": 1},
    "bytecnn": {**NETWORK, "filters": 16, "hidden": 16, "epochs": 8},
}
# They need a server or a model file; tests/teachers checks them against both.
ELSEWHERE = {"anthropic", "chat", "gguf", "encoder"}


@pytest.mark.parametrize("name", [task.name for task in list_tasks()])
def test_tasks(name):
    check_task(get_task(name))


# warcio leaves temporary files of damaged records open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", READERS.names())
def test_readers(name, tmp_path):
    path, spec = sound_file(name, tmp_path)
    check_reader(READERS.get(name), path, spec)


@pytest.mark.parametrize("kind", SINKS.items(), ids=lambda kind: kind.name)
def test_sinks(kind):
    check_sink(kind)


@pytest.mark.parametrize("family", STUDENTS.names())
def test_students(family):
    if family == "bytecnn":
        pytest.importorskip("torch")
        pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    if family == "trees":
        pytest.importorskip("lightgbm")
        events, _ = made_up_rows(400, rng)
    else:
        events = made_up_events(400, rng)
    check_student(family, events, SETTINGS[family])


def teacher_files(folder, events):
    (folder / "rules.toml").write_text(
        'name = "r"\n[[rule]]\nlabel = "phishing"\npattern = "a{3}"\n'
    )
    record = {"annotator": "x", "version": "1", "kind": "llm", "p_benign": 0.2, "p_phishing": 0.8}
    lines = [json.dumps({**record, "event_id": i.hex()}) for i in events.ids[::2]]
    (folder / "recorded.jsonl").write_text("\n".join(lines))
    (folder / "a.yml").write_text(
        "title: x\nlogsource: {category: process_creation}\nlevel: high\n"
        "detection: {selection: {CommandLine|contains: aaa}, condition: selection}\n"
    )
    (folder / "sigma.toml").write_text('rules = ["a.yml"]\n')
    return {
        name: folder / file
        for name, file in (
            ("rules", "rules.toml"),
            ("recorded", "recorded.jsonl"),
            ("sigma", "sigma.toml"),
        )
    }


@pytest.mark.parametrize("kind", sorted({*TEACHERS.names()} - ELSEWHERE))
def test_teachers(kind, tmp_path):
    pytest.importorskip("re2")
    task = URL_THREAT
    if kind == "sigma":
        pytest.importorskip("sigma")
        task = get_task("command-line")
    events = Dataset.from_texts([*HOSTILE_TEXTS, b"http://a.example/"], task)
    check_teacher(get_teacher(kind, teacher_files(tmp_path, events)[kind], task), events)


class Forgetful(SINKS.get("jsonl")):
    def checkpoint(self):
        super().checkpoint()
        return 0


def test_a_broken_implementation_is_caught(monkeypatch):
    monkeypatch.setattr("buckler.testing.sink_contract.sink_for", lambda _: Forgetful)
    with pytest.raises(ContractError, match="resuming keeps rows"):
        check_sink(Forgetful)
