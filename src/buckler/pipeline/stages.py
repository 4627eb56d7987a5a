"""Stages: steps of a run that are done once for the same inputs, so that a run can resume.

A stage is a frozen dataclass. Its fields declare everything that decides its output: results of
earlier stages, files, data and settings. Its cache key is a hash of these fields, its name and its
version. The runner stores each output in a folder under that key. Within a run, outputs stay in
memory for the stages that follow; the folders serve later runs.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Generic, Protocol, Self, TypeVar, cast, get_args

from pydantic import BaseModel

from buckler.errors import OutputError
from buckler.files import file_digest, writing
from buckler.tasks import Task

Summary = dict[str, str | int | float | bool]


class Output(Protocol):
    """Output of a stage, which can be stored in a folder."""

    def save(self, folder: Path) -> None:
        """Write everything into a folder."""

    @classmethod
    def load(cls, folder: Path, task: Task) -> Self:
        """Read what `save` wrote."""


T_co = TypeVar("T_co", bound=Output, covariant=True)


@dataclass(frozen=True)
class Result(Generic[T_co]):
    """A finished stage.

    Attributes
    ----------
    key
        Hash of everything that the stage declares; part of the keys of later stages.
    summary
        Figures for the user.
    reused
        True where an earlier run had already done the stage.
    """

    key: str
    summary: Summary
    reused: bool
    _load: Callable[[], T_co]

    @cached_property
    def output(self) -> T_co:
        """The output; read from its folder only where an earlier run left it there."""
        return self._load()


@dataclass(frozen=True)
class Stage(Generic[T_co]):
    """Base of all stages; a subclass declares its inputs and settings as fields.

    A field that does not decide the output, such as a callback, is declared with `compare=False`.

    Attributes
    ----------
    name
        Name in reports and in the folder of the stage; a keyword of the class.
    version
        Number to raise when the work changes; a keyword of the class.
    output_type
        Type of the output; read from the base, such as ``Stage[Sources]``.

    Examples
    --------
    ::

        @dataclass(frozen=True)
        class Split(Stage[TrainingAndTest], name="split", version=2):
            sources: Result[Sources]
    """

    name: ClassVar[str]
    version: ClassVar[int]
    output_type: ClassVar[type[Output]]

    def __init_subclass__(cls, *, name: str = "", version: int = 0) -> None:
        super().__init_subclass__()
        cls.name, cls.version = name, version
        for base in vars(cls).get("__orig_bases__", ()):  # none below another stage
            (cls.output_type,) = get_args(base)

    def work(self, folder: Path) -> tuple[T_co, Summary]:
        """Compute the output and its summary; large side files may go into the folder."""
        raise NotImplementedError

    def key(self) -> str:
        """Return the hash of everything that decides the output."""
        declared = {f.name: fingerprint(getattr(self, f.name)) for f in fields(self) if f.compare}
        text = json.dumps([self.name, self.version, declared], sort_keys=True)
        return sha256(text.encode()).hexdigest()


def fingerprint(value: object) -> object:
    """Return a JSON value that stands for an input or setting; a file counts by its content.

    Raises
    ------
    TypeError
        If a value of this type cannot decide a key.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Result):
        return value.key
    if isinstance(value, Path):
        return [value.name, file_digest(value)]
    if isinstance(value, Task):
        return repr(value)
    if isinstance(value, BaseModel):
        return fingerprint(dict(value))
    if is_dataclass(value):
        return {f.name: fingerprint(getattr(value, f.name)) for f in fields(value) if f.compare}
    if isinstance(value, Mapping):
        return {str(name): fingerprint(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fingerprint(item) for item in value]
    raise TypeError(f"a stage cannot declare a {type(value).__name__}")


@dataclass
class StageReport:
    """A step of a run as the user sees it.

    Attributes
    ----------
    name
        Name of the stage.
    seconds
        Time that it took.
    reused
        True where nothing had to be done anew.
    summary
        Figures for the user.
    """

    name: str
    seconds: float = 0.0
    reused: bool = False
    summary: Summary = field(default_factory=dict)


class StageRunner:
    """Runs the stages of one run and reports on them.

    Parameters
    ----------
    root
        Folder that holds a folder for each stage.
    task
        Task that stored outputs belong to.
    on_stage
        Called with the name of each step before it begins.

    Attributes
    ----------
    reports
        A report of each step, in order.
    """

    def __init__(self, root: Path, task: Task, on_stage: Callable[[str], None]) -> None:
        self.root, self.task = root, task
        self._on_stage = on_stage
        self.reports: list[StageReport] = []

    @contextmanager
    def step(self, name: str) -> Iterator[StageReport]:
        """Report a step whose outcome is not stored; the block fills in the report."""
        self._on_stage(name)
        report, started = StageReport(name), time.monotonic()
        yield report
        report.seconds = time.monotonic() - started
        self.reports.append(report)

    def run(self, stage: Stage[T_co]) -> Result[T_co]:
        """Do a stage, or take over what an earlier run left for the same inputs.

        Raises
        ------
        OutputError
            If the folder of the stage cannot be written, or is damaged.
        """
        with self.step(stage.name) as report:
            result = self._run(stage)
            report.reused, report.summary = result.reused, result.summary
        return result

    def _run(self, stage: Stage[T_co]) -> Result[T_co]:
        key = stage.key()
        folder = self.root / f"{stage.name}-{stage.version}-{key[:16]}"
        done = folder / "stage.json"
        with writing(folder):
            if done.exists():
                return Result(key, _stored_summary(done), True, lambda: _load(stage, folder, self))
            self.root.mkdir(parents=True, exist_ok=True)
            self._sweep()
            prefix = f".{stage.name}-{os.getpid()}-"
            temporary = Path(tempfile.mkdtemp(dir=self.root, prefix=prefix))
        try:
            with writing(folder):
                output, summary = stage.work(temporary)
                output.save(temporary)
                record = json.dumps({"key": key, "summary": summary})
                (temporary / "stage.json").write_text(record, encoding="utf-8")
                temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Result(key, summary, False, lambda: output)

    def _sweep(self) -> None:
        """Remove what killed runs left behind; folders of living processes stay."""
        for folder in self.root.glob(".*-*-*"):
            owner = folder.name.split("-")[-2]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _load(stage: Stage[T_co], folder: Path, runner: StageRunner) -> T_co:
    return cast("T_co", stage.output_type.load(folder, runner.task))


def _stored_summary(path: Path) -> Summary:
    try:
        return cast("Summary", json.loads(path.read_bytes())["summary"])
    except (ValueError, KeyError) as error:
        raise OutputError(
            f"{path} is damaged; delete the folder {path.parent}", path=path
        ) from error
