"""Tasks: what is decided, as data that every other package reads.

A `Task` names the classes and the positive ones among them, the normalized text, the columns that
data usually have, the rule for groups, and the guidance for teachers. Nothing else in Buckler knows
a task by name. A built-in task is one file in this package; a user's own is a TOML file or an entry
point in the group ``buckler.tasks``, and is used in the same way.

Examples
--------
>>> task = get_task("url-threat")
>>> task.class_names, task.positive
(['benign', 'phishing'], ('phishing',))
>>> task.class_index("malicious")  # an alias
1
"""

from buckler.tasks.task import TASKS, Task, get_bundle_task, get_task, list_tasks

__all__ = ["TASKS", "Task", "get_bundle_task", "get_task", "list_tasks"]
