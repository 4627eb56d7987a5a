"""Sigma's conditions, compiled: patterns of a field in one automaton, logic in three values."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buckler.errors import SettingsError
from buckler.teachers.patterns import PatternSet

if TYPE_CHECKING:
    from sigma.conditions import ConditionItem, ConditionValueExpression
    from sigma.types import SigmaType

_MAX_SET_BYTES = 256 << 20
Leaf = int


@dataclass(frozen=True)
class Facts:
    """Facts about one event: patterns that matched, and fields that it does not have."""

    hits: set[Leaf]
    absent: frozenset[str]


# True, False, or None where it depends on a field that the event does not have (Kleene's logic):
# a rule does not fire if its filter depends on a missing field.
Condition = Callable[[Facts], bool | None]


class UnsupportedError(Exception):
    """A rule that cannot be evaluated here; the message says why."""


class Compiler:
    """Turns parsed conditions into functions of the facts about an event.

    Attributes
    ----------
    matchers
        Field -> all patterns on it; other fields are always unknown.
    leaves
        Patterns that were compiled since `start`.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        self.matchers = {field: FieldMatcher() for field in fields}
        self.leaves: set[Leaf] = set()

    def start(self) -> None:
        """Begin a rule."""
        self.leaves = set()

    def compile(self, node: "ConditionItem | ConditionValueExpression") -> Condition:
        """Compile a node of pySigma's parsed condition.

        Raises
        ------
        UnsupportedError
            If it cannot be evaluated here.
        """
        from sigma import conditions as c

        if isinstance(node, c.ConditionOR):
            return join([self.compile(arg) for arg in node.args], decisive=True)
        if isinstance(node, c.ConditionAND):
            return join([self.compile(arg) for arg in node.args], decisive=False)
        if isinstance(node, c.ConditionNOT):
            return _not(self.compile(node.args[0]))
        if isinstance(node, c.ConditionFieldEqualsValueExpression):
            return self._leaf(node.field, node.value)
        raise UnsupportedError("keywords without a field")

    def _leaf(self, field: str, value: "SigmaType") -> Condition:
        from sigma import types as t

        if isinstance(value, t.SigmaExpansion):
            return join([self._leaf(field, v) for v in value.values], decisive=True)
        if isinstance(value, t.SigmaNull) or (isinstance(value, t.SigmaString) and not str(value)):
            return lambda facts: None if field in facts.absent else False
        if field not in self.matchers:  # hashes, company, integrity ...: events do not have them
            return lambda _: None
        leaf = self.matchers[field].add(_pattern(value))
        self.leaves.add(leaf)
        return lambda facts: leaf in facts.hits or (None if field in facts.absent else False)


def join(parts: list[Condition], decisive: bool) -> Condition:
    """Join conditions by OR, where True decides, or by AND, where False does."""

    def holds(facts: Facts) -> bool | None:
        result: bool | None = not decisive
        for part in parts:
            value = part(facts)
            if value is decisive:
                return decisive
            if value is None:
                result = None
        return result

    return parts[0] if len(parts) == 1 else holds


def _not(part: Condition) -> Condition:
    def holds(facts: Facts) -> bool | None:
        value = part(facts)
        return None if value is None else not value

    return holds


class FieldMatcher:
    """All patterns on one field, matched in one pass."""

    _next_leaf = 0

    def __init__(self) -> None:
        self._leaves: dict[str, Leaf] = {}
        self._sets: list[tuple[PatternSet, list[Leaf]]] = []

    def add(self, pattern: str) -> Leaf:
        """Take in an RE2 pattern; return its number."""
        if pattern not in self._leaves:
            FieldMatcher._next_leaf += 1
            self._leaves[pattern] = FieldMatcher._next_leaf
        return self._leaves[pattern]

    def compile(self) -> None:
        """Build the automata; no pattern can be added after it."""
        # Wildcards make many states: apart from the plain words, both automata stay small.
        for wild in (False, True):
            kept = {p: leaf for p, leaf in self._leaves.items() if (".*" in p) is wild}
            if kept:
                every = PatternSet(kept, "the teacher 'sigma'", "sigma", max_bytes=_MAX_SET_BYTES)
                self._sets.append((every, list(kept.values())))

    def match(self, text: str, hits: set[Leaf]) -> None:
        """Add the numbers of all patterns that match."""
        for every, leaves in self._sets:
            hits.update(leaves[i] for i in every.match(text))


def _pattern(value: "SigmaType") -> str:
    """Return an RE2 pattern for a value of a rule."""
    from sigma import types as t

    if isinstance(value, t.SigmaRegularExpression):
        flags = "i" if t.SigmaRegularExpressionFlag.IGNORECASE in value.flags else ""
        return _check(f"(?s{flags}){value.regexp}")
    if isinstance(value, t.SigmaNumber):
        return f"^{re.escape(str(value))}$"
    if not isinstance(value, t.SigmaString):
        raise UnsupportedError(f"values of type {type(value).__name__}")
    parts = list(value.s)
    many, one = t.SpecialChars.WILDCARD_MULTI, t.SpecialChars.WILDCARD_SINGLE
    is_open_at_start = bool(parts) and parts[0] is many
    is_open_at_end = len(parts) > is_open_at_start and parts[-1] is many
    parts = parts[is_open_at_start : len(parts) - is_open_at_end]
    start, end = "" if is_open_at_start else "^", "" if is_open_at_end else "$"
    flags = "(?s)" if isinstance(value, t.SigmaCasedString) else "(?is)"
    body = "".join(
        ".*" if part is many else "." if part is one else re.escape(str(part)) for part in parts
    )
    return f"{flags}{start}{body}{end}"


def _check(pattern: str) -> str:
    try:
        PatternSet([pattern], "the teacher 'sigma'", "sigma")
    except SettingsError:
        raise UnsupportedError("a regular expression with look-around or the like") from None
    return pattern
