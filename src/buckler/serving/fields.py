"""Under which names an event's text and its further fields come, for one bundle."""

from collections.abc import Sequence
from dataclasses import dataclass

from buckler.readers.reader import ColumnSpec
from buckler.runtime import Scorer
from buckler.tasks import list_tasks

_USUAL = ("text", "url", "raw", "message", "command_line")


@dataclass(frozen=True)
class Fields:
    """Names to look for.

    Attributes
    ----------
    columns
        Names that the text may have, tried in order.
    context
        Names of each further field (parent, user, the page's address).
    """

    columns: tuple[str, ...]
    context: tuple[tuple[str, ...], ...] = ()

    def column_spec(self, scorer: Scorer) -> ColumnSpec:
        """Return the columns that a reader looks for."""
        return ColumnSpec(
            self.columns,
            any_bytes=scorer.parses_texts,
            features=scorer.features,
            context=self.context,
            mixed=bool(self.context),
        )


def fields_of(scorer: Scorer, columns: Sequence[str] = ()) -> Fields:
    """Return the names for a bundle: those of its task, where it is installed, and usual ones."""
    task = next((t for t in list_tasks() if t.name == scorer.manifest.task), None)
    if columns:
        names = tuple(columns)
    else:
        names = (*(task.text_columns if task is not None else ()), *_USUAL)
    return Fields(tuple(dict.fromkeys(names)), task.context if task is not None else ())
