"""A teacher: an event with one of some words is of the first positive class."""

from pathlib import Path

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.files import read_bytes
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task
from buckler.teachers.teacher import TEACHERS, Teacher, require_settings

CONFIDENCE = 0.9


@TEACHERS.add
class KeywordTeacher(Teacher):
    """Words, one a line of its file; it stays silent about events without them."""

    kind = "keywords"

    def __init__(self, words: list[bytes], task: Task) -> None:
        if not words or not task.positive:
            raise SettingsError("keywords: words and a task with a positive class are needed")
        self.words = words
        rest = (1 - CONFIDENCE) / (len(task.classes) - 1)
        positive = task.positive_indices[0]
        self._probabilities = tuple(
            CONFIDENCE if index == positive else rest for index in range(len(task.classes))
        )
        self.annotator = Annotator("keywords", b",".join(words).decode("utf-8", "replace"), "rule")

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "KeywordTeacher":
        """Read the words."""
        content = read_bytes(require_settings(path, cls.kind, "a file of words"))
        return cls(content.lower().split(), task)

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Return an annotation of events with a word, None of others."""
        return [
            Annotation(event_id, self._probabilities)
            if any(word in text.lower() for word in self.words)
            else None
            for event_id, text in zip(events.ids, events.raw_texts, strict=True)
        ]
