"""Settings and records of `buckler refresh`: the file of a stream, its turns and their log."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.files import read_bytes, read_settings, write_atomically
from buckler.tasks import Task

ROLE, MEASURES, RANDOM = "role", "measures", "random"
LOG = "log.jsonl"
_LOGGER = logging.getLogger("buckler.refresh")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TeacherSection(_Strict):
    """Teacher of the stream: its kind, and its settings file."""

    kind: str
    settings: Path | None = None


class RefreshSettings(_Strict):
    """Settings of `refresh`; paths are relative to the file.

    Attributes
    ----------
    name
        Name of the bundle in the registry.
    start
        Bundle to adapt, or the name of a ready-made one. It is deployed first.
    recipe
        Recipe to train again in place of adapting `start`: its stages learn the stream's events
        beside its own.
    events
        Files or folders of the stream, without labels; new events have newer times.
    frozen
        Labeled files that no bundle learns from; a candidate that is worse there is refused.
    teacher
        Teacher that annotates.
    store, registry, folder
        Label store, registry of deployed bundles, and folder of turns, log and candidates.
    events_per_week, usd_per_week
        Limits of a calendar week.
    test_share
        Share of the events to ask about that is drawn at random and only measures.
    random_share
        Share of the others that is drawn at random; the rest is borderline or drifted.
    fresh_weeks
        Weeks whose measuring events are the fresh test.
    target_fpr
        False-positive rate on the stream whose threshold is deployed.
    task, text_column, label_column, group_column, format
        Task file and columns, where the usual ones do not fit.
    seed
        Random seed.
    """

    name: str
    events: list[Path] = Field(min_length=1)
    teacher: TeacherSection
    start: str | None = None
    recipe: Path | None = None
    frozen: list[Path] = []
    store: str = "labels.db"
    registry: str = "registry"
    folder: Path = Path("refresh")
    events_per_week: int = Field(default=300, ge=20, le=1_000_000)
    usd_per_week: float | None = Field(default=None, ge=0)
    test_share: float = Field(default=0.4, gt=0, lt=1)
    random_share: float = Field(default=0.3, gt=0, le=1)
    fresh_weeks: int = Field(default=26, ge=1)
    target_fpr: float = Field(default=0.01, gt=0, lt=1)
    task: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    format: str | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if (self.start is None) == (self.recipe is None):
            raise ValueError("name either start, a bundle to adapt, or recipe, to train again")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file of a stream.

        Raises
        ------
        SettingsError
            If it cannot be read, or makes no sense.
        """
        found, folder = read_settings(path, cls), path.parent

        def anchor(value: str) -> str:
            return value if "://" in value else str(folder / value)

        start = found.start
        if start is not None and (folder / start).exists():
            start = str(folder / start)
        teacher = found.teacher
        if teacher.settings is not None:
            teacher = teacher.model_copy(update={"settings": folder / teacher.settings})
        return found.model_copy(
            update={
                "start": start,
                "recipe": None if found.recipe is None else folder / found.recipe,
                "events": [folder / each for each in found.events],
                "frozen": [folder / each for each in found.frozen],
                "folder": folder / found.folder,
                "store": anchor(found.store),
                "registry": anchor(found.registry),
                "teacher": teacher,
            }
        )


@dataclass(frozen=True)
class Turn:
    """One turn of the loop: events between two times.

    Attributes
    ----------
    number
        Number, from 1.
    since_s, until_s
        Events after the first and up to the second time count as new, in seconds since 1970.
    spent_usd
        Dollars that the teacher had cost when the turn began.
    """

    number: int
    since_s: float
    until_s: float
    spent_usd: float

    @property
    def week(self) -> str:
        """Calendar week of the turn, such as ``2026-W09``."""
        return datetime.fromtimestamp(self.until_s, UTC).strftime("%G-W%V")


@dataclass
class TurnLog:
    """The log of a stream: one JSON line for each decision, and the events of each turn.

    A line is ``sample``, ``annotate`` or ``decide``. A turn without ``decide`` is still open: the
    next call resumes it.
    """

    folder: Path
    lines: list[dict[str, object]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the log of a folder; empty where there is none.

        Raises
        ------
        InputError
            If the log is damaged.
        """
        path = folder / LOG
        if not path.exists():
            return cls(folder)
        try:
            lines = [json.loads(line) for line in read_bytes(path).splitlines()]
            log = cls(folder, lines)
            _ = [log.turn(line) for line in log.steps("sample")]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{path}: a damaged log", path=path) from error
        return log

    def add(self, step: str, turn: Turn, values: Mapping[str, object]) -> None:
        """Append a line, to the file and to the logging of Python."""
        line = {
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "step": step,
            "turn": turn.number,
            "week": turn.week,
            **values,
        }
        self.lines.append(line)
        text = "".join(json.dumps(each) + "\n" for each in self.lines)
        write_atomically(self.folder / LOG, text.encode())
        shown = ", ".join(f"{name} {value}" for name, value in values.items())
        _LOGGER.info("%s, turn %d, %s: %s", turn.week, turn.number, step, shown)

    def steps(self, step: str) -> list[dict[str, object]]:
        """Return the lines of one kind, oldest first."""
        return [line for line in self.lines if line["step"] == step]

    def turn(self, line: Mapping[str, object]) -> Turn:
        """Return the turn of a line ``sample``."""
        number, *values = (line[key] for key in ("turn", "since_s", "until_s", "spent_usd"))
        if not isinstance(number, int) or not all(isinstance(v, (int, float)) for v in values):
            raise TypeError("a turn is made of numbers")
        return Turn(number, *(float(str(value)) for value in values))

    @property
    def open_turn(self) -> Turn | None:
        """The turn that is not decided yet; None where there is none."""
        sampled, decided = self.steps("sample"), self.steps("decide")
        if not sampled or (decided and decided[-1]["turn"] == sampled[-1]["turn"]):
            return None
        return self.turn(sampled[-1])

    def next_turn(self, until_s: float, spent_usd: float) -> Turn:
        """Return the turn after the last one.

        Raises
        ------
        SettingsError
            If it would end before the last one.
        """
        sampled = self.steps("sample")
        if not sampled:
            return Turn(1, -1e12, until_s, spent_usd)
        last = self.turn(sampled[-1])
        if until_s <= last.until_s:
            raise SettingsError("the last turn ends later than this one", field="now")
        return Turn(last.number + 1, last.until_s, until_s, spent_usd)

    def spent_in_week(self, turn: Turn, spent_usd: float) -> tuple[int, float]:
        """Return events and dollars of the earlier turns in the week of a turn.

        Parameters
        ----------
        spent_usd
            Dollars that the teacher has cost by now.
        """
        same = [line for line in self.steps("sample") if line["week"] == turn.week]
        same = [line for line in same if line["turn"] != turn.number]
        before = min([turn.spent_usd, *(self.turn(line).spent_usd for line in same)])
        return sum(int(str(line["events"])) for line in same), spent_usd - before

    def save_events(self, turn: Turn, events: Dataset) -> None:
        """Keep the events of a turn."""
        events.save(self._events_of(turn.number))

    def load_events(self, task: Task, first: int = 1, last: int | None = None) -> Dataset | None:
        """Return the events of turns, the oldest first; None where there are none."""
        numbers = [int(str(line["turn"])) for line in self.steps("sample")]
        parts = [
            Dataset.load(self._events_of(number), task)
            for number in numbers
            if first <= number <= (last or number) and self._events_of(number).exists()
        ]
        return Dataset.concat(parts) if parts else None

    def _events_of(self, number: int) -> Path:
        return self.folder / f"turn-{number:04}.arrow"


def has_role(events: Dataset, role: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return bool [n]: events of this role."""
    return np.array([value == role for value in events.column(ROLE)], bool)
