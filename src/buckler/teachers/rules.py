"""Weak labels from a list of patterns in a TOML file."""

import time
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task
from buckler.teachers.patterns import PatternSet
from buckler.teachers.teacher import TEACHERS, Teacher, read_teacher_settings


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = ""
    label: str
    pattern: str = Field(min_length=1, max_length=10_000)
    confidence: float = Field(default=0.8, gt=0, le=1)


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1)
    match: Literal["normalized", "text"] = "normalized"
    case_sensitive: bool = False
    rule: list[_Rule] = Field(min_length=1, max_length=100_000)


@TEACHERS.add
class RulesTeacher(Teacher):
    """Patterns, each of which indicates a class.

    Several rules that match an event count as independent evidence: their odds multiply.
    An event that no rule matches gets no annotation. The version is a hash of the rules.
    """

    kind = "rules"

    def __init__(self, file: _RuleFile, version: str, task: Task) -> None:
        self.annotator = Annotator(file.name, version, "rule")
        self._on_text = file.match == "text"
        self._names = [rule.name or rule.pattern for rule in file.rule]
        self._patterns = PatternSet(
            [rule.pattern for rule in file.rule],
            "the teacher 'rules'",
            "rules",
            case_sensitive=file.case_sensitive,
        )
        n = len(task.classes)
        # Log-odds that each rule adds; the rest of its probability is spread evenly.
        self._evidence = np.empty((len(file.rule), n))
        for row, rule in enumerate(file.rule):
            self._evidence[row] = np.log((1 - rule.confidence + 1e-6) / (n - 1))
            self._evidence[row, task.class_index(rule.label)] = np.log(rule.confidence)

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> Self:
        """Read ``name``, ``match``, ``case_sensitive`` and a list of ``[[rule]]``.

        Raises
        ------
        SettingsError
            If the file makes no sense, or a pattern is none.
        """
        file = read_teacher_settings(path, cls.kind, _RuleFile, "a TOML file of patterns")
        version = sha256(file.model_dump_json().encode()).hexdigest()[:12]
        try:
            return cls(file, version, task)
        except (SettingsError, InputError) as error:
            raise SettingsError(f"{path}: {error}", path=path) from error

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Match every pattern against each event."""
        ids = events.ids
        texts = events.raw_texts if self._on_text else None
        now = int(time.time())
        found: list[Annotation | None] = []
        for row, event_id in enumerate(ids):
            hits = sorted(self._patterns.match(texts[row] if texts else events.texts[row]))
            if not hits:
                found.append(None)
                continue
            p = _softmax(self._evidence[hits].sum(axis=0))
            why = ", ".join(self._names[hit] for hit in hits)[:500]
            found.append(
                Annotation(event_id, tuple(p.tolist()), float(p.max()), why, created_s=now)
            )
        return found


def _softmax(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())
