"""Figures of the study so far: each is computed once, and a stopped run resumes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Generic, TypeVar

from buckler.errors import InputError, OutputError
from buckler.evaluation.intervals import Mean

Figures = dict[str, float]
World = TypeVar("World")


class Results:
    """Figures by key, in a file of JSON lines that only grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Figures] = {}
        if not path.exists():
            return
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                self._known[row["key"]] = row["figures"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{path}: line {number} is no result; delete it and run again"
                ) from error

    def once(self, compute: Callable[[], Figures], **key: object) -> Figures:
        """Return the figures of this key, computing them if they are not known."""
        name = json.dumps(key, sort_keys=True)
        if name not in self._known:
            figures = {k: float(v) for k, v in compute().items()}
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": name, "figures": figures}) + "\n")
            except OSError as error:
                raise OutputError(f"{self._path}: cannot be written ({error})") from error
            self._known[name] = figures
        return self._known[name]


class Loader(Generic[World]):
    """The data of a part, read on first use: a part whose figures are known reads none."""

    def __init__(self, load: Callable[[], World]) -> None:
        self._load = load

    @cached_property
    def world(self) -> World:
        """The data."""
        return self._load()


@dataclass(frozen=True)
class Study:
    """The means of every part: data, a folder to work in, known results, seeds and a listener."""

    data: Path
    work: Path
    results: Results
    seeds: int
    on_step: Callable[[str], None]

    def by_seed(
        self, part: str, version: int, learned: str, compute: Callable[[int], Figures]
    ) -> list[Figures]:
        """Return the figures of each seed, those that are known from the results."""
        found = []
        for seed in range(self.seeds):

            def compute_seed(seed: int = seed) -> Figures:
                self.on_step(f"{part}: {learned}, seed {seed}")
                return compute(seed)

            key = {"part": part, "version": version, "learned": learned, "seed": seed}
            found.append(self.results.once(compute_seed, **key))
        return found

    def rows(
        self,
        part: str,
        version: int,
        titles: Mapping[str, str],
        compute: Callable[[str, int], Figures],
        figures: Iterable[str],
    ) -> list[tuple[str, ...]]:
        """Return a row of a table for each name of `titles`: its title and the means over seeds."""
        figures, rows = tuple(figures), []
        for name, title in titles.items():
            found = self.by_seed(part, version, name, partial(compute, name))
            rows.append((title, *(str(Mean.of([f[figure] for f in found])) for figure in figures)))
        return rows


@dataclass(frozen=True)
class Table:
    """A table of the study: title, note, head, rows."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        align = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [self.head, align, *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.title}\n\n{self.note}\n\n{table}\n"
