"""Weak labels for command lines from Sigma's process-creation rules."""

import json
import ntpath
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.errors import InputError, SettingsError
from buckler.extras import import_extra
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task
from buckler.teachers.sigma_conditions import (
    Compiler,
    Condition,
    Facts,
    Leaf,
    UnsupportedError,
    join,
)
from buckler.teachers.teacher import TEACHERS, Teacher, read_teacher_settings

if TYPE_CHECKING:
    from sigma.rule import SigmaRule

Level = Literal["informational", "low", "medium", "high", "critical"]
LEVELS = get_args(Level)
MAX_RULE_BYTES = 1 << 20
MAX_TEXT_CHARACTERS = 32_768


# Sigma's field -> the column of the events that holds it.
COLUMNS = {
    "CommandLine": "text",
    "Image": "image",
    "ParentImage": "parent_image",
    "ParentCommandLine": "parent",
    "User": "user",
    "OriginalFileName": "original_file_name",
    "Description": "file_description",
    "Product": "product",
    "Company": "company",
    "FileVersion": "file_version",
    "Hashes": "hashes",
    "IntegrityLevel": "integrity_level",
    "CurrentDirectory": "current_directory",
    "LogonId": "logon_id",
    "ParentUser": "parent_user",
}
# Fields after a command line, in the order of its task's context.
CONTEXT = ("ParentCommandLine", "Image", "User")


class SigmaSettings(BaseModel):
    """Settings of the `sigma` teacher.

    Attributes
    ----------
    name
        Name of the annotator.
    rules
        Folders or files of rules in YAML, or a Parquet table with columns ``title``, ``level``
        and ``detection`` (JSON).
    label
        Class that a match indicates; by default the task's first positive class.
    min_level
        Lowest level of the rules in use.
    confidence
        Probability that a match of each level is right.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = "sigma"
    rules: list[Path] = Field(min_length=1)
    label: str | None = None
    min_level: Level = "medium"
    confidence: dict[Level, float] = {
        "informational": 0.2,
        "low": 0.4,
        "medium": 0.6,
        "high": 0.85,
        "critical": 0.95,
    }


@TEACHERS.add
class SigmaTeacher(Teacher):
    """Annotates with the confidence of the highest level among the matching rules.

    Rules overlap, so several matches are no independent evidence. An event that no rule matches
    gets no annotation. Rules that cannot be evaluated here are counted in `skipped`.
    """

    kind = "sigma"
    columns = tuple(dict.fromkeys(c for c in COLUMNS.values() if c != "text"))

    def __init__(self, settings: SigmaSettings, task: Task) -> None:
        self._settings, self._task = settings, task
        label = settings.label or (task.positive[0] if task.positive else None)
        if label is None:
            raise SettingsError("a task without a positive class needs `label`")
        self._label = task.class_index(label)
        compiler = Compiler(COLUMNS)
        self._matchers = compiler.matchers
        self._rules: list[tuple[str, float, Condition]] = []
        self._by_leaf: dict[Leaf, list[int]] = {}  # the rules that a pattern stands in
        self.skipped: dict[str, str] = {}
        digest = sha256(settings.model_dump_json(exclude={"rules", "name"}).encode())
        confidence = {str(name): share for name, share in settings.confidence.items()}
        lowest = LEVELS.index(settings.min_level)
        for rule in _read_rules(settings.rules, self.skipped):
            level = rule.level.name.lower() if rule.level else "medium"
            if rule.errors:
                self.skipped[rule.title or "without a title"] = str(rule.errors[0])[:200]
                continue
            if LEVELS.index(level) < lowest:
                continue
            compiler.start()
            try:
                condition = join(
                    [compiler.compile(c.parsed) for c in rule.detection.parsed_condition],
                    decisive=True,
                )
            except (UnsupportedError, _sigma_error()) as error:
                self.skipped[rule.title] = str(error)[:200]
                continue
            for leaf in compiler.leaves:
                self._by_leaf.setdefault(leaf, []).append(len(self._rules))
            self._rules.append((rule.title, confidence.get(level, 0.6), condition))
            digest.update(f"{rule.title}\0{level}\0{rule.to_dict()['detection']}".encode())
        if not self._rules:
            raise SettingsError(f"{settings.rules[0]}: no rule that can be evaluated")
        for matcher in self._matchers.values():
            matcher.compile()
        self.annotator = Annotator(settings.name, digest.hexdigest()[:12], "rule")

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> Self:
        """Read the settings of `SigmaSettings` from TOML; paths in it are relative to it."""
        content = "a TOML file that names rules"
        return cls(read_teacher_settings(path, cls.kind, SigmaSettings, content), task)

    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Evaluate every rule on each event."""
        found: list[Annotation | None] = []
        now = int(time.time())
        rest = len(self._task.classes) - 1
        for event_id, matched in zip(events.ids, self.matches(events), strict=True):
            if not matched:
                found.append(None)
                continue
            confidence = max(self._rules[i][1] for i in matched)
            p = [(1 - confidence) / rest] * (rest + 1)
            p[self._label] = confidence
            why = ", ".join(self._rules[i][0] for i in matched)[:500]
            found.append(Annotation(event_id, tuple(p), max(p), why, created_s=now))
        return found

    def titles(self, events: Dataset) -> list[list[str]]:
        """Return the titles of the rules that match each event."""
        return [[self._rules[i][0] for i in matched] for matched in self.matches(events)]

    def matches(self, events: Dataset) -> Iterator[list[int]]:
        """Yield the numbers of the rules that match each event."""
        present = {
            field: events.table.column(column).to_pylist()
            for field, column in COLUMNS.items()
            if column in events.table.column_names
        }
        for row in range(len(events)):
            fields = {field: _text(values[row]) for field, values in present.items()}
            parts = fields["CommandLine"].split("\x1f")
            fields["CommandLine"] = parts[0]
            for field, value in zip(CONTEXT, parts[1:], strict=False):
                if value and not fields.get(field):
                    fields[field] = value
            if not fields.get("Image"):
                fields["Image"] = image_of(fields["CommandLine"])
            missing = frozenset(field for field in COLUMNS if not fields.get(field))
            hits: set[Leaf] = set()
            for field, value in fields.items():
                self._matchers[field].match(value, hits)
            facts = Facts(hits, missing)
            # Without any of its patterns no rule can be true: those of a negation are unknown.
            touched = {number for leaf in hits for number in self._by_leaf.get(leaf, ())}
            yield sorted(number for number in touched if self._rules[number][2](facts))


def image_of(command_line: str) -> str:
    r"""Guess the image of a bare command line: ``\powershell.exe`` for ``powershell -c ...``."""
    text = command_line.strip()
    quoted = text.startswith('"')
    first = text[1:].split('"', 1)[0] if quoted else (text.split(None, 1) or [""])[0]
    if not first:
        return ""
    if "/" in first and "\\" not in first:
        return first
    name = first if ntpath.splitext(first)[1] else f"{first}.exe"
    return name if "\\" in name else f"\\{name}"


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value or "")[:MAX_TEXT_CHARACTERS]


def _sigma_error() -> type[Exception]:
    sigma = import_extra("sigma.exceptions", "the teacher 'sigma'", "sigma")
    found: type[Exception] = sigma.SigmaError
    return found


def _read_rules(paths: list[Path], skipped: dict[str, str]) -> Iterator["SigmaRule"]:
    """Yield parsed rules; what is no rule is noted and passed over."""
    error_type = _sigma_error()
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder", path=path)
        files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        for file in files:
            try:
                yield from _rules_of(file)
            except (error_type, UnsupportedError, ValueError, RecursionError) as error:
                skipped[str(file)] = f"{type(error).__name__}: {str(error)[:160]}"


def _rules_of(file: Path) -> Iterator["SigmaRule"]:
    import yaml
    from sigma.rule import SigmaRule

    if file.suffix == ".parquet":
        try:
            rows = pq.read_table(file, columns=["title", "level", "detection"]).to_pylist()
        except (pa.ArrowInvalid, OSError, KeyError) as error:
            raise InputError(
                f"{file}: no table of rules ({str(error)[:100]})", path=file
            ) from error
        for row in rows:
            yield SigmaRule.from_dict(
                {
                    "title": row["title"],
                    "level": row["level"],
                    "logsource": {"category": "process_creation"},
                    "detection": json.loads(row["detection"]),
                },
                collect_errors=True,
            )
        return
    if file.stat().st_size > MAX_RULE_BYTES:
        raise UnsupportedError("more than 1 MB")
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UnsupportedError(f"no YAML: {str(error)[:100]}") from error
    for document in documents:
        if isinstance(document, dict) and "detection" in document:
            source = document.get("logsource") or {}
            if source.get("category") == "process_creation":
                yield SigmaRule.from_dict(document, collect_errors=True)
