"""What is decided: tasks, built in or written by a user."""

from buckler.tasks.registry import get_bundle_task, get_task, list_tasks
from buckler.tasks.task import Task

__all__ = ["Task", "get_bundle_task", "get_task", "list_tasks"]
