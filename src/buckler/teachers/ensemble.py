"""Several teachers as one: what they say together, and where they disagree."""

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotation, Annotator, LabelStore
from buckler.settings_file import read_settings
from buckler.tasks import Task
from buckler.teachers.teacher import Teacher, get_teacher, required, teacher


class _Member(BaseModel):
    model_config = ConfigDict(extra="forbid")

    teacher: str
    settings: Path | None = None
    weight: float = Field(default=1.0, gt=0)


class _EnsembleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "ensemble"
    member: list[_Member] = Field(min_length=2, max_length=32)


@teacher
class Ensemble(Teacher):
    """Asks its members, whose annotations are kept as their own, and joins what they said.

    The annotation is the weighted mean of the members' probabilities. Its confidence is one minus
    their disagreement: the Jensen-Shannon divergence of the members, which is 0 where they say
    the same and 1 where each is certain of another class.
    """

    kind = "ensemble"

    def __init__(self, members: list[Teacher], weights: list[float], name: str, task: Task) -> None:
        self.members, self._weights, self._task = members, weights, task
        self.columns = tuple(dict.fromkeys(c for member in members for c in member.columns))
        versions = [
            f"{m.annotator.name} {m.annotator.version} {w:g}"
            for m, w in zip(members, weights, strict=True)
        ]
        self.annotator = Annotator(
            name, sha256("\n".join(versions).encode()).hexdigest()[:12], "model"
        )
        self._said: dict[bytes, list[tuple[int, npt.NDArray[np.float32]]]] = {}

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "Ensemble":
        """Read ``name`` and a list of ``[[member]]`` with ``teacher``, ``settings``, ``weight``."""
        path = required(path, cls.kind, "a TOML file of members")
        file = read_settings(path, _EnsembleFile)
        if any(member.teacher == cls.kind for member in file.member):
            raise SettingsError(f"{path}: an ensemble cannot sit on an ensemble")
        members = [
            get_teacher(m.teacher, path.parent / m.settings if m.settings else None, task)
            for m in file.member
        ]
        if len({(m.annotator.name, m.annotator.version) for m in members}) < len(members):
            raise SettingsError(f"{path}: the same teacher twice")
        return cls(members, [m.weight for m in file.member], file.name, task)

    def hear(self, store: LabelStore, task: Task) -> None:
        """Take in what the members have said so far, from the store."""
        names = {(m.annotator.name, m.annotator.version): i for i, m in enumerate(self.members)}
        number = {
            key: names[who.name, who.version]
            for key, who in store.annotators().items()
            if (who.name, who.version) in names
        }
        self._said = {}
        for batch in store.annotations(task):
            for row, annotator in enumerate(batch.annotators.tolist()):
                if annotator in number:
                    self._said.setdefault(batch.event_ids[row], []).append(
                        (number[annotator], batch.probabilities[row])
                    )

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Join what the members said of each event; None unless two of them spoke."""
        now = int(time.time())
        found: list[Annotation | None] = []
        for event_id in events.ids:
            said = self._said.get(event_id, [])
            if len(said) < 2:
                found.append(None)
                continue
            weights = np.array([self._weights[i] for i, _ in said])
            p = np.array([q for _, q in said], np.float64)
            p /= p.sum(axis=1, keepdims=True)
            mean = np.average(p, axis=0, weights=weights)
            disagreement = float(np.clip(_divergence(p, mean, weights / weights.sum()), 0, 1))
            verdicts = ", ".join(
                f"{self.members[i].annotator.name}: {self._task.class_names[int(q.argmax())]}"
                for i, q in said
            )
            found.append(
                Annotation(
                    event_id, tuple(mean.tolist()), 1 - disagreement, verdicts[:500], created_s=now
                )
            )
        return found


def _divergence(p: npt.NDArray[Any], mean: npt.NDArray[Any], weights: npt.NDArray[Any]) -> float:
    """Return the Jensen-Shannon divergence (Lin 1991), scaled to 1 at its greatest."""
    entropy = _entropy(mean) - float((weights * [_entropy(row) for row in p]).sum())
    return entropy / max(_entropy(weights), 1e-12)


def _entropy(p: npt.NDArray[Any]) -> float:
    seen = p[p > 0]
    return float(-(seen * np.log(seen)).sum())
