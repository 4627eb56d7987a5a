"""Weak labels for command lines from Sigma's process-creation rules."""

import json
import ntpath
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from buckler.errors import InputError, MissingExtraError, SettingsError
from buckler.events import Events
from buckler.labels import Labeler, Opinion
from buckler.settings_file import read_settings
from buckler.tasks import Task
from buckler.teachers.teacher import Teacher, required, teacher

LEVELS = ("informational", "low", "medium", "high", "critical")
MAX_RULE_BYTES = 1 << 20
MAX_TEXT_CHARACTERS = 32_768
_MAX_SET_BYTES = 256 << 20
# Sigma's field -> the column of the events that holds it.
COLUMNS = {
    "CommandLine": "text",
    "Image": "image",
    "ParentImage": "parent_image",
    "ParentCommandLine": "parent",
    "User": "user",
}

_Leaf = int


@dataclass(frozen=True)
class _Facts:
    """What is known of one event: patterns that matched, and fields that it does not have."""

    hits: set[_Leaf]
    absent: frozenset[str]


# True, False, or None where it depends on a field that the event does not have (Kleene's logic):
# a filter that cannot be looked at does not let a rule fire.
_Condition = Callable[[_Facts], bool | None]


class SigmaSettings(BaseModel):
    """Settings of the `sigma` teacher.

    Attributes
    ----------
    name
        Of the labeler.
    rules
        Folders or files of rules in YAML, or a Parquet table with columns ``title``, ``level``
        and ``detection`` (JSON).
    label
        The class that a rule speaks for; by default the task's first bad class.
    min_level
        Rules below it are left out.
    confidence
        How often a rule of each level is right where it matches.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = "sigma"
    rules: list[Path] = Field(min_length=1)
    label: str | None = None
    min_level: Literal["informational", "low", "medium", "high", "critical"] = "medium"
    confidence: dict[Literal["informational", "low", "medium", "high", "critical"], float] = {
        "informational": 0.2,
        "low": 0.4,
        "medium": 0.6,
        "high": 0.85,
        "critical": 0.95,
    }


@teacher
class SigmaTeacher(Teacher):
    """Rules that match speak for the bad class, with the confidence of the highest level.

    Rules overlap, so several matches are not several witnesses. An event that no rule matches
    gets no opinion. Rules that cannot be evaluated here are counted in `skipped`.
    """

    kind = "sigma"
    columns = tuple(dict.fromkeys(c for c in COLUMNS.values() if c != "text"))

    def __init__(self, settings: SigmaSettings, task: Task) -> None:
        self._settings, self._task = settings, task
        label = settings.label or (task.bad[0] if task.bad else None)
        if label is None:
            raise SettingsError("a task without a bad class needs `label`")
        self._label = task.class_index(label)
        self._matchers = {field: _FieldMatcher() for field in COLUMNS}
        self._rules: list[tuple[str, float, _Condition]] = []
        self._by_leaf: dict[_Leaf, list[int]] = {}  # the rules that a pattern stands in
        self._leaves: set[_Leaf] = set()  # of the rule that is being compiled
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
            self._leaves = set()
            try:
                condition = _any([self._compile(c.parsed) for c in rule.detection.parsed_condition])
            except (_UnsupportedError, _sigma_error()) as error:
                self.skipped[rule.title] = str(error)[:200]
                continue
            for leaf in self._leaves:
                self._by_leaf.setdefault(leaf, []).append(len(self._rules))
            self._rules.append((rule.title, confidence.get(level, 0.6), condition))
            digest.update(f"{rule.title}\0{level}\0{rule.to_dict()['detection']}".encode())
        if not self._rules:
            raise SettingsError(f"{settings.rules[0]}: no rule that can be evaluated")
        for matcher in self._matchers.values():
            matcher.compile()
        self.labeler = Labeler(settings.name, digest.hexdigest()[:12], "rule")

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "SigmaTeacher":
        """Read the settings of `SigmaSettings` from TOML; paths in it are relative to it."""
        path = required(path, cls.kind, "a TOML file that names rules")
        settings = read_settings(path, SigmaSettings)
        settings.rules = [path.parent / rules for rules in settings.rules]
        return cls(settings, task)

    def annotate(self, events: Events) -> list[Opinion | None]:
        """Evaluate every rule on each event."""
        found: list[Opinion | None] = []
        now = int(time.time())
        rest = len(self._task.classes) - 1
        for event_id, matched in zip(
            events.table.column("id").to_pylist(), self.matches(events), strict=True
        ):
            if not matched:
                found.append(None)
                continue
            confidence = max(self._rules[i][1] for i in matched)
            p = [(1 - confidence) / rest] * (rest + 1)
            p[self._label] = confidence
            why = ", ".join(self._rules[i][0] for i in matched)[:500]
            found.append(Opinion(event_id, tuple(p), max(p), why, created_s=now))
        return found

    def titles(self, events: Events) -> list[list[str]]:
        """Return the titles of the rules that match each event."""
        return [[self._rules[i][0] for i in matched] for matched in self.matches(events)]

    def matches(self, events: Events) -> Iterator[list[int]]:
        """Yield the numbers of the rules that match each event."""
        present = {
            field: events.table.column(column).to_pylist()
            for field, column in COLUMNS.items()
            if column in events.table.column_names
        }
        absent = frozenset(COLUMNS.keys() - present.keys() - {"Image"})
        for row in range(len(events)):
            fields = {field: _text(values[row]) for field, values in present.items()}
            if not fields.get("Image"):
                fields["Image"] = image_of(fields["CommandLine"])
            missing = absent | {field for field, value in fields.items() if not value}
            hits: set[_Leaf] = set()
            for field, value in fields.items():
                self._matchers[field].match(value, hits)
            facts = _Facts(hits, missing)
            # Without any of its patterns no rule can be true: those of a negation are unknown.
            touched = {number for leaf in hits for number in self._by_leaf.get(leaf, ())}
            yield sorted(number for number in touched if self._rules[number][2](facts))

    def _compile(self, node: Any) -> _Condition:
        from sigma import conditions as c

        if isinstance(node, c.ConditionOR):
            return _any([self._compile(arg) for arg in node.args])
        if isinstance(node, c.ConditionAND):
            return _all([self._compile(arg) for arg in node.args])
        if isinstance(node, c.ConditionNOT):
            return _not(self._compile(node.args[0]))
        if isinstance(node, c.ConditionFieldEqualsValueExpression):
            return self._leaf(node.field, node.value)
        raise _UnsupportedError("keywords without a field")

    def _leaf(self, field: str, value: Any) -> _Condition:
        from sigma import types as t

        if isinstance(value, t.SigmaExpansion):
            return _any([self._leaf(field, v) for v in value.values])
        if isinstance(value, t.SigmaNull) or (isinstance(value, t.SigmaString) and not str(value)):
            return lambda facts: None if field in facts.absent else False
        if field not in self._matchers:  # hashes, company, integrity ...: events do not have them
            return _unknown
        leaf = self._matchers[field].add(_pattern(value))
        self._leaves.add(leaf)
        return lambda facts: leaf in facts.hits or (None if field in facts.absent else False)


def _unknown(facts: _Facts) -> None:  # noqa: ARG001
    return None


def _any(parts: list[_Condition]) -> _Condition:
    def holds(facts: _Facts) -> bool | None:
        result: bool | None = False
        for part in parts:
            value = part(facts)
            if value:
                return True
            if value is None:
                result = None
        return result

    return parts[0] if len(parts) == 1 else holds


def _all(parts: list[_Condition]) -> _Condition:
    def holds(facts: _Facts) -> bool | None:
        result: bool | None = True
        for part in parts:
            value = part(facts)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return parts[0] if len(parts) == 1 else holds


def _not(part: _Condition) -> _Condition:
    def holds(facts: _Facts) -> bool | None:
        value = part(facts)
        return None if value is None else not value

    return holds


class _UnsupportedError(Exception):
    pass


class _FieldMatcher:
    """All patterns on one field, matched in one pass."""

    _next_leaf = 0

    def __init__(self) -> None:
        self._leaves: dict[str, _Leaf] = {}
        self._sets: list[tuple[Any, list[_Leaf]]] = []

    def add(self, pattern: str) -> _Leaf:
        if pattern not in self._leaves:
            _FieldMatcher._next_leaf += 1
            self._leaves[pattern] = _FieldMatcher._next_leaf
        return self._leaves[pattern]

    def compile(self) -> None:
        import re2

        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MAX_SET_BYTES
        # Wildcards make many states: apart from the plain words, both automata stay small.
        for wild in (False, True):
            every = re2.Set.SearchSet(options)
            kept = []
            for pattern, leaf in self._leaves.items():
                if (".*" in pattern) is not wild:
                    continue
                every.Add(pattern)
                kept.append(leaf)
            if kept:
                every.Compile()
                self._sets.append((every, kept))

    def match(self, text: str, hits: set[_Leaf]) -> None:
        for every, leaves in self._sets:
            hits.update(leaves[i] for i in every.Match(text) or ())


def _pattern(value: Any) -> str:
    """Return an RE2 pattern for a value of a rule."""
    from sigma import types as t

    if isinstance(value, t.SigmaRegularExpression):
        flags = "i" if t.SigmaRegularExpressionFlag.IGNORECASE in value.flags else ""
        return _checked(f"(?s{flags}){value.regexp}")
    if isinstance(value, t.SigmaNumber):
        return f"^{re.escape(str(value))}$"
    if not isinstance(value, t.SigmaString):
        raise _UnsupportedError(f"values of type {type(value).__name__}")
    parts = list(value.s)
    many, one = t.SpecialChars.WILDCARD_MULTI, t.SpecialChars.WILDCARD_SINGLE
    start = end = ""
    if parts and parts[0] is many:
        parts = parts[1:]
    else:
        start = "^"
    if parts and parts[-1] is many:
        parts = parts[:-1]
    else:
        end = "$"
    flags = "(?s)" if isinstance(value, t.SigmaCasedString) else "(?is)"
    body = "".join(
        ".*" if part is many else "." if part is one else re.escape(str(part)) for part in parts
    )
    return f"{flags}{start}{body}{end}"


def _checked(pattern: str) -> str:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error:
        raise _UnsupportedError("a regular expression with look-around or the like") from None
    return pattern


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


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value or "")[:MAX_TEXT_CHARACTERS]


def _sigma_error() -> type[Exception]:
    try:
        from sigma.exceptions import SigmaError
    except ImportError:
        raise MissingExtraError("the teacher 'sigma'", "sigma") from None
    found: type[Exception] = SigmaError
    return found


def _read_rules(paths: list[Path], skipped: dict[str, str]) -> Iterator[Any]:
    """Yield parsed rules; what is no rule is noted and passed over."""
    error_type = _sigma_error()
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        for file in files:
            try:
                yield from _rules_of(file)
            except (error_type, _UnsupportedError, ValueError, RecursionError) as error:
                skipped[str(file)] = f"{type(error).__name__}: {str(error)[:160]}"


def _rules_of(file: Path) -> Iterator[Any]:
    import yaml
    from sigma.rule import SigmaRule

    if file.suffix == ".parquet":
        try:
            rows = pq.read_table(file, columns=["title", "level", "detection"]).to_pylist()
        except (pa.ArrowInvalid, OSError, KeyError) as error:
            raise InputError(f"{file}: no table of rules ({str(error)[:100]})") from error
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
        raise _UnsupportedError("more than 1 MB")
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise _UnsupportedError(f"no YAML: {str(error)[:100]}") from error
    for document in documents:
        if isinstance(document, dict) and "detection" in document:
            source = document.get("logsource") or {}
            if source.get("category") == "process_creation":
                yield SigmaRule.from_dict(document, collect_errors=True)
