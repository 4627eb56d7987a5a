"""`buckler init`: a recipe to start from."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import out
from buckler.errors import OutputError
from buckler.files import write_atomically
from buckler.tasks import Task, get_task

_RECIPE = """\
# One run, from labeled events to a bundle: buckler run {file}
# Every setting: docs/recipe.md

task = "{task}"          # a built-in task, or a .toml file of your own (docs/tasks.md)
output = "out"           # bundle, report and the stages that were done

[data]
train = [{data}]   # .parquet .csv .jsonl .txt .eml .mbox, or folders of them
# test = ["test.parquet"]   # without it, a share of the groups of `train` is held out
# text_column = "{text}"
# label_column = "{label}"
# group_column = "{group}"  # what must not stand on both sides of a split

[split]
by = "group"             # or "time": the newest are the test
test_share = 0.2
deduplicate = "exact"    # or "near", "none"
on_leak = "fail"         # or "drop", "allow"

[student]
family = "ngram"
folds = 5
seed = 0

[evaluation]
# operating_point = {{ fpr = 0.001 }}   # where to decide; by default the rate of the task
"""

_TASK = """\
# A task of your own. Its name, its classes, and how an event becomes text.

name = "my-task"
description = "What it decides, in a sentence"
positive = ["malicious"]          # positive classes
normalizer = "text-v1"       # or url-v3, command-v2, email-v2 (docs/normalize.md)
max_bytes = 4096
text_columns = ["text"]
label_columns = ["label"]
group_columns = ["group"]

[classes]
benign = "What belongs here, in a sentence."
malicious = "What belongs here, in a sentence."
"""


def init(
    task: Annotated[str, typer.Option("--task", "-t", help="Name of a built-in task, or 'own'.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path(),
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Labeled file; may be repeated.")
    ] = None,
) -> None:
    """Write a recipe to start from, and a task file for a task of your own."""
    recipe_path, task_path = folder / "buckler.toml", folder / "task.toml"
    for path in (recipe_path, *([task_path] if task == "own" else [])):
        if path.exists():
            raise OutputError(f"{path} exists; it is yours, so it is not replaced")
    if task == "own":
        write_atomically(task_path, _TASK.encode())
        the_task = get_task(task_path)
        out.print(f"wrote {task_path}: name your classes in it")
    else:
        the_task = get_task(task)
    name = "task.toml" if task == "own" else task
    files = [os.path.relpath(path, folder) for path in data or [folder / "train.parquet"]]
    write_atomically(recipe_path, _recipe(name, the_task, files).encode())
    before = "" if data else "name your data in it, then: "
    out.print(f"wrote {recipe_path}: {before}buckler run {recipe_path}")


def _recipe(name: str, task: Task, files: list[str]) -> str:
    return _RECIPE.format(
        file="buckler.toml",
        task=name,
        data=", ".join(map(json.dumps, files)),
        text=task.text_columns[0],
        label=task.label_columns[0],
        group=task.group_columns[0],
    )
