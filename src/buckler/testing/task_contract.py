"""Contract of tasks."""

from collections.abc import Sequence

from buckler.errors import BucklerError, InputError
from buckler.tasks import Task
from buckler.testing.contract import HOSTILE_TEXTS, require


def check_task(task: Task, texts: Sequence[bytes] = ()) -> None:
    """Check a task.

    Parameters
    ----------
    task
        The task.
    texts
        Examples of its events, which must all be accepted.

    Raises
    ------
    ContractError
        If it breaks a rule.
    """
    require(task.description, "a task has a description")
    require(all(task.classes.values()), "every class has a description")
    for index, name in enumerate(task.class_names):
        require(task.class_index(name) == index, f"class {name!r} is found by its name")
    for alias, name in task.aliases.items():
        require(
            task.class_index(alias) == task.class_names.index(name),
            f"{alias!r} stands for {name!r}",
        )
    try:
        task.class_index("no such class \x00")
    except InputError:
        pass
    else:
        require(False, "an unknown label raises InputError")
    accepted = list(texts)
    for text in HOSTILE_TEXTS:
        try:
            task.normalize([text])
        except BucklerError:
            continue
        accepted.append(text)
    for text in accepted:
        first, again = (task.normalize([text])[0] for _ in range(2))
        require(first == again, "the same event has the same normalized text")
        require(
            len(first) <= task.max_bytes, f"normalized texts have at most {task.max_bytes} bytes"
        )
        require(isinstance(task.readable(text), str), "every event can be shown to a person")
    together = task.normalize(accepted)
    alone = [task.normalize([text])[0] for text in accepted]
    require(
        [together[i] for i in range(len(accepted))] == alone,
        "an event does not change its neighbors",
    )
