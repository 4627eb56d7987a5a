"""`buckler tasks`: what can be decided."""

from buckler.cli.console import out, print_table
from buckler.models import list_models
from buckler.tasks import Task, list_tasks


def tasks() -> None:
    """List the tasks: what they decide, their classes, and the columns that they read."""
    ready: dict[str, str] = {}
    for name, manifest in list_models().items():
        ready.setdefault(manifest.task, name)
    rows = [
        (task.name, task.description, _classes(task), _columns(task), ready.get(task.name, "-"))
        for task in list_tasks()
    ]
    print_table(("task", "decides", "classes", "reads", "ready-made bundle"), rows)
    out.print("\nOne of your own: buckler init --task own --data FILE FOLDER")


def _classes(task: Task) -> str:
    names = [f"{name} (positive)" if name in task.positive else name for name in task.classes]
    return ", ".join(names) if len(names) < 6 else f"{len(names)} classes"


def _columns(task: Task) -> str:
    n_features = len(task.numbers) + len(task.categories)
    return f"{n_features:,} features" if n_features else task.text_columns[0]
