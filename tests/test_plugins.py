"""A plug-in is one new file, inside the package or outside it; no other file changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PLUGINS = PROJECT / "examples" / "plugins"
# File -> folder of the package, entry point group, name.
SEAMS = {
    "sms_spam.py": ("tasks", "buckler.tasks", "sms-spam"),
    "key_value.py": ("readers", "buckler.readers", "key_value"),
    "keywords.py": ("teachers", "buckler.teachers", "keywords"),
    "byte_counts.py": ("students", "buckler.students", "byte_counts"),
    "markdown.py": ("serving/sinks", "buckler.sinks", "markdown"),
}
TRAIN = """
import sys
from pathlib import Path
import numpy as np
from buckler.dataset import Dataset
from buckler.readers.reader import ColumnSpec, get_reader
from buckler.serving.sinks import sink_for
from buckler.tasks import get_task
from buckler.teachers.teacher import get_teacher
from buckler.testing import (
    HOSTILE_TEXTS, check_reader, check_sink, check_student, check_task, check_teacher,
)
from buckler.training.fit import StudentSpec, fit_student
from buckler.training.packaging import write_fitted

folder = Path(sys.argv[1])
task = get_task("sms-spam")
check_task(task, [b"call me", b"win a prize now"])
table = folder / "messages.kv"
table.write_text("text: hello\\nlabel: ham\\n\\n" * 2500)
check_reader(type(get_reader(table)), table, ColumnSpec(optional={"label": ("label",)}))
check_sink(sink_for(Path("verdicts.md")))
(folder / "words").write_text("prize\\nwin")
teacher = get_teacher("keywords", folder / "words", task)
check_teacher(teacher, Dataset.from_texts([*HOSTILE_TEXTS, b"win a prize"], task))
texts = [b"see you at %d" % i for i in range(150)] + [b"WIN $%d!!!" % i for i in range(150)]
events = Dataset.from_texts(texts, task, labels=["ham"] * 150 + ["spam"] * 150)
check_student("byte_counts", events, {"epochs": 100})
write_fitted(folder / "sms.buckler", fit_student(events, StudentSpec("byte_counts", {}, folds=2)))
"""
SCORE = """
import sys
import buckler
scorer = buckler.load(sys.argv[1] + "/sms.buckler")
print(scorer.score_one("WIN $7!!!", top=2).label, scorer.manifest.model, "torch" in sys.modules)
"""


def put_inside(root: Path) -> None:
    kept = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "src" / "buckler", root / "buckler", ignore=kept)
    for file, (folder, _, _) in SEAMS.items():
        shutil.copy(PLUGINS / file, root / "buckler" / folder / file)


def put_outside(root: Path) -> None:
    """Lay plug-ins out as an installer would: modules beside a dist-info."""
    info = root / "buckler_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: buckler-plugins\nVersion: 1.0\n")
    lines = []
    for file, (_, group, name) in SEAMS.items():
        shutil.copy(PLUGINS / file, root / file)
        lines += [f"[{group}]", f"{name} = {Path(file).stem}"]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("put", [put_inside, put_outside])
def test_a_plugin_of_each_kind_is_one_file(tmp_path, put):
    root = tmp_path / "root"
    root.mkdir()
    put(root)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(PROJECT / "src")])}
    for code in (TRAIN, SCORE):
        command = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["spam", "byte_counts", "False"]


def test_the_table_of_the_examples_names_each_file():
    text = (PLUGINS / "README.md").read_text()
    assert {path.name for path in PLUGINS.glob("*.py")} == set(SEAMS)
    for file, (folder, group, name) in SEAMS.items():
        assert f'| `{file}` | `{folder}/` | `[{group}] {name} = "{Path(file).stem}"` |' in text
