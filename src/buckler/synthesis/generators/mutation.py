"""A generator that mutates real texts: it puts parts of one into another of the same class.

Mutations vary what the seeds show and add nothing new. Where the real events have a column with the
name of an attribute (such as ``technique``), a combination gets seeds with its value. Of the other
attributes, only transforms have an effect; they come last.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email import policy
from email.message import EmailMessage

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotator
from buckler.synthesis.generator import GENERATORS, Draft, Generator, draft_rng
from buckler.synthesis.template import Combination, Template, apply_transforms

VERSION = "1"
_PARTS = {
    "url": re.compile(r"://|[/?&=#._-]|[^/?&=#._:-]+"),
    "command-line": re.compile(r"\s+|[^\s]+"),
    "message": re.compile(r"\n+|[^\n]+"),
    "html": re.compile(r"<[^<>]*>|[^<]+|<"),
    "text": re.compile(r"\s+|[^\s]+"),
}
_SHAPE = re.compile(r"[a-z]+|[A-Z]+|\d+|\s+")
_SHARE = 0.4  # of the parts with a counterpart elsewhere
_MAX_PARTS = 400
_MAX_SEEDS = 20_000


@GENERATORS.add
class Mutation(Generator):
    """Swaps parts of like shape between seeds of a class."""

    kind = "mutation"

    def __init__(self, template: Template, real: Dataset, seed: int = 0) -> None:
        super().__init__(template, real, seed)
        if template.task.features:
            raise SettingsError(
                f"{template.task.name}: rows of features are written by crossover",
                field="generator",
            )
        self.annotator = Annotator(self.kind, VERSION, "rule")
        self._pattern = _PARTS[template.task.medium]
        rng = np.random.default_rng(seed)
        self._rows: dict[str, list[int]] = {}
        self._like: dict[str, dict[str, list[str]]] = {}
        self._raw = real.raw
        attributes = {
            name for combination in template.combinations for name in combination.attributes
        }
        self._columns = {
            name: real.table.column(name).to_pylist()
            for name in sorted(attributes & set(real.table.column_names))
        }
        for index, name in enumerate(template.task.class_names):
            rows = np.flatnonzero(real.labels == index)
            rows = np.sort(rng.permutation(rows)[:_MAX_SEEDS])
            self._rows[name] = rows.tolist()
        labels = {combination.label for combination in template.combinations}
        missing = [name for name in sorted(labels) if not self._rows[name]]
        if missing:
            raise SettingsError(f"no real event of class {missing[0]!r} to make mutations of")
        for name in labels:
            self._like[name] = self._shapes(self._rows[name])

    def _text(self, row: int) -> str:
        raw = self._raw[row].as_py()
        task = self.template.task
        if task.medium == "html":
            return str(raw.partition(b"\x1f")[0].decode("utf-8", "replace"))
        return task.readable(raw.partition(b"\x1f")[0] if task.context else raw)

    def _shapes(self, rows: list[int]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            for part in self._pattern.findall(self._text(row))[:_MAX_PARTS]:
                found[_shape(part)].append(part)
        return found

    def drafts(self, counts: Sequence[tuple[Combination, int]]) -> Iterator[Draft]:
        """Mutate seeds of each combination's class."""
        task = self.template.task
        for combination, number in counts:
            rows = [row for row in self._rows[combination.label] if self._has(row, combination)]
            known = {
                name: value
                for name, value in combination.attributes.items()
                if name in self._columns or name in combination.transforms
            }
            own = replace(combination, attributes=known)
            if self.seed_rows is not None:
                allowed = set(self.seed_rows.tolist())
                rows = [row for row in rows if row in allowed]
            for k in range(number if rows else 0):
                rng = draft_rng(self.seed, combination, k)
                row = rows[int(rng.integers(len(rows)))]
                text = self._mutate(self._text(row), self._like[combination.label], rng)
                if task.medium == "message":
                    text = _to_message(text, rng)
                yield Draft(apply_transforms(text, combination, task, rng), own, (row,))

    def _has(self, row: int, combination: Combination) -> bool:
        """Tell whether a seed has the attributes of a combination, as far as its columns say."""
        return all(
            combination.attributes[name] in (column[row] or "").split(",")
            for name, column in self._columns.items()
            if name in combination.attributes
        )

    def _mutate(self, text: str, like: dict[str, list[str]], rng: np.random.Generator) -> str:
        parts = self._pattern.findall(text)
        for at, part in enumerate(parts[:_MAX_PARTS]):
            others = like.get(_shape(part), ())
            if len(part) > 1 and len(others) > 1 and rng.random() < _SHARE:
                parts[at] = others[int(rng.integers(len(others)))]
        return "".join(parts)


def _to_message(fields: str, rng: np.random.Generator) -> str:
    """Return a message with the subject and text of a parsed mail."""
    subject, _, body = fields.partition("\n")
    message = EmailMessage(policy=policy.default.clone(cte_type="8bit", linesep="\n"))
    message["From"] = f"sender-{rng.integers(1, 1000)}@mail.example"
    message["To"] = "reader@recipient.example"
    message["Subject"] = "".join(c for c in subject if c.isprintable())[:200] or "(none)"
    message.set_content(body.strip() or "(empty)", charset="utf-8", cte="8bit")
    return message.as_bytes().decode("utf-8", "replace")


def _shape(part: str) -> str:
    """Return the shape of a part: ``reg.exe`` is ``a.a``, ``T1003`` is ``A9``."""

    def kind(found: re.Match[str]) -> str:
        first = found[0][0]
        return (
            "9" if first.isdigit() else " " if first.isspace() else "A" if first.isupper() else "a"
        )

    return _SHAPE.sub(kind, part)[:40]
