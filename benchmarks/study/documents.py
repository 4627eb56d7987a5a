"""Pages and mails from labels, from annotations of an LLM, and from both, by unseen collection."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.adapt_streams import Collections, begins_with, mails, pages
from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import Dataset
from buckler.dataset.sources import balance_sources
from buckler.dataset.splits import unlike
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.metrics import Ranking, auroc
from buckler.students import get_student

VERSION = 1
_BALANCE = 0.5  # sources weigh by the square root of their size, as in the recipes
_BOTH_WEIGHT = 3.0  # of an annotation beside a label, as for URLs
HeldOut = dict[str, tuple[str, ...]]  # title -> beginnings of sources

_COLLECTIONS: dict[str, tuple[Callable[[Path], Collections], HeldOut]] = {
    "Pages": (
        pages,
        {
            "setfit": ("watanabe-baketsu/",),
            "Formasaurus, phishing-pages-ethical": ("scrapinghub/", "maxamin/"),
        },
    ),
    "Mails": (
        mails,
        {
            "foff-milter": ("mwstowe/",),
            "E-PhishLLM, MeAJOR": ("thinganhado/", "Fengchao-531:E-PhishLLM"),
            "velvine, syd-kiwi": ("velvine/", "syd-kiwi/"),
            "Paladin, malla": ("Fengchao-531:paladin", "Fengchao-531:Paladin", "Fengchao-531:mal"),
        },
    ),
}
_ROWS = {
    "labels": "all labels",
    "labels of the same rows": "labels of the annotated rows alone",
    "annotations": "annotations, no label",
    "both": "all labels, and the annotations at weight 3",
    "teacher": "the LLM itself",
}


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return a table for pages and one for mails."""
    return [_table(study, title, *parts) for title, parts in _COLLECTIONS.items()]


def _table(
    study: Study, title: str, read: Callable[[Path], Collections], held_out: HeldOut
) -> Table:
    loader = Loader(lambda: _World(read(study.data)))

    def compute(name: str, seed: int) -> Figures:
        return {one: loader.world.measure(name, own, seed) for one, own in held_out.items()}

    rows = study.rows(title.lower(), VERSION, _ROWS, compute, held_out)
    note = (
        "AUROC within collections of which the student learned nothing, against their labels. "
        "The LLM sees an excerpt; it is measured on the rows that it annotated."
    )
    return Table(title, note, ("learned from", *held_out), rows)


class _World:
    """Events, and the answers about some of them as targets."""

    def __init__(self, found: Collections) -> None:
        self.events, self._settings = found.events, found.settings
        p = np.array([found.answers.get(i, np.nan) for i in self.events.ids], np.float32)
        self.p, self.is_annotated = p, ~np.isnan(p)
        positive = np.isin(
            np.arange(len(self.events.task.classes)), self.events.task.positive_indices
        )
        self._targets = np.where(
            positive, (p / positive.sum())[:, None], ((1 - p) / (~positive).sum())[:, None]
        ).astype(np.float32)

    def measure(self, name: str, beginnings: tuple[str, ...], seed: int) -> float:
        """Return the AUROC within collections of a student of the others, or of the teacher."""
        is_held_out = begins_with(self.events, beginnings)
        test = self.events.take(np.flatnonzero(is_held_out))
        if name == "teacher":
            rows = is_held_out & self.is_annotated
            return auroc(Ranking(self.p[rows], self.events.is_positive[rows]).roc())
        student = get_student("ngram", {**self._settings, "seed": seed})
        student.fit(self._learned(name, self._others(beginnings)))
        p = probabilities_of(student.predict_logits(test.texts))
        score = p[:, test.task.positive_indices].sum(axis=1)
        return auroc(Ranking(score, test.is_positive).roc())

    @cache  # noqa: B019 - one for each part
    def _others(self, beginnings: tuple[str, ...]) -> npt.NDArray[np.intp]:
        """Return the rows of other collections that resemble none of these."""
        is_held_out = begins_with(self.events, beginnings)
        others = np.flatnonzero(~is_held_out)
        test = self.events.take(np.flatnonzero(is_held_out))
        return others[unlike(self.events.take(others), test)]

    def _learned(self, name: str, rows: npt.NDArray[np.intp]) -> Dataset:
        annotated = rows[self.is_annotated[rows]]
        labels = self.events.take(annotated if name == "labels of the same rows" else rows)
        answers = self.events.take(annotated).with_targets(self._targets[annotated])
        labels, answers = (balance_sources(one, _BALANCE) for one in (labels, answers))
        if name == "annotations":
            return answers
        if name == "both":
            return Dataset.concat([labels, answers.with_weights(answers.weights * _BOTH_WEIGHT)])
        return labels
