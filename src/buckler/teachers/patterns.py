"""RE2 patterns: many in one pass, in linear time for any pattern and any text of an attacker."""

from collections.abc import Iterable

from buckler.errors import SettingsError
from buckler.extras import import_extra

MAX_PATTERN_MEMORY_BYTES = 64 << 20


class PatternSet:
    """Patterns that are matched together.

    Parameters
    ----------
    feature, extra
        Feature that needs the library `re2`, and the extra that brings it.
    max_bytes
        Largest memory of the automaton.

    Raises
    ------
    SettingsError
        If one is no RE2 pattern.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        feature: str,
        extra: str,
        *,
        case_sensitive: bool = True,
        max_bytes: int = MAX_PATTERN_MEMORY_BYTES,
    ) -> None:
        re2 = import_extra("re2", feature, extra)
        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = case_sensitive
        options.max_mem = max_bytes
        self._set = re2.Set.SearchSet(options)
        for number, pattern in enumerate(patterns, 1):
            try:
                self._set.Add(pattern)
            except re2.error:
                raise SettingsError(
                    f"rule {number}: {pattern[:80]!r} is no RE2 pattern (no look-around, no "
                    "back-references)"
                ) from None
        self._set.Compile()

    def match(self, text: str | bytes) -> list[int]:
        """Return the numbers of the patterns that occur in the text, in any order."""
        return list(self._set.Match(text) or ())
