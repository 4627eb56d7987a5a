"""Adapts a linear `ngram` student to a few events, with its weights as the prior.

The adapted weights minimize the cross-entropy of the events plus a multiple of the squared distance
from the start's weights. The start's own logits are further features: where they rank the events
badly, they may be rescaled, and classes mixed. No data of the start's training is needed.

The best correction is a weighted sum of the n-grams of the events (the representer theorem,
Kimeldorf and Wahba 1971). So there are as many unknowns as events and classes, and the events are
seen only through their inner products. The steps use the bound on the curvature by Böhning (1992):
each lowers the loss, and all share one inverse.
"""

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.evaluation.calibration import probabilities_of
from buckler.normalize import NormalizedTexts
from buckler.students.ngram import NgramStudent

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
STRENGTH = 0.005  # of the pull toward the start; the outcome is much the same from 0.003 to 0.03
_TEXT_ORDERS = 3, 5  # of a student that read features alone
_COLUMNS_AT_ONCE = 1 << 12
_MAX_STEPS = 300
_NEGLIGIBLE = 1e-4  # change of a logit below which the steps stop


@dataclass(frozen=True, eq=False)
class _Counts:
    """The n-grams of events: entries of a sparse matrix, by table row.

    Attributes
    ----------
    event, row
        Event and table row of each entry.
    value
        Number of n-grams of the event in this row, divided by the root of all its n-grams.
    n_events
        Number of events.
    """

    event: npt.NDArray[np.int32]
    row: npt.NDArray[np.uint32]
    value: npt.NDArray[np.float32]
    n_events: int

    @staticmethod
    def of(texts: NormalizedTexts, student: NgramStudent) -> "_Counts":
        """Count the n-grams of normalized texts as the student does.

        The worst segment of a text is that of the student as it is.
        """
        rows, values = [], []
        for text in texts:
            parts = student.rule_.scored_parts(text, student.text_logits)
            found = [_table_rows(part, student) for part, _, _ in parts]
            shares = [
                share / np.sqrt(max(1, n.size))
                for n, (_, _, share) in zip(found, parts, strict=True)
            ]
            row, place = np.unique(np.concatenate(found), return_inverse=True)
            rows.append(row)
            weights = np.repeat(shares, [n.size for n in found])
            values.append(np.bincount(place, weights, len(row)).astype(np.float32))
        event = np.repeat(np.arange(len(rows), dtype=np.int32), [len(row) for row in rows])
        row, value = np.concatenate(rows), np.concatenate(values)
        order = np.argsort(row, kind="stable")
        return _Counts(event[order], row[order], value[order], len(rows))

    def inner_products(self) -> Floats:
        """Return the inner product of each pair of events, [events, events]."""
        found = np.zeros((self.n_events, self.n_events))
        column = np.cumsum(np.diff(self.row, prepend=self.row[:1]) != 0)  # used rows, from 0
        for first in range(0, int(column[-1]) + 1, _COLUMNS_AT_ONCE):
            begin, end = np.searchsorted(column, [first, first + _COLUMNS_AT_ONCE])
            block = np.zeros((self.n_events, _COLUMNS_AT_ONCE), np.float32)
            block[self.event[begin:end], column[begin:end] - first] = self.value[begin:end]
            found += block @ block.T
        return found

    def of_rows(self, table: Floats) -> Floats:
        """Return the sums over the table rows of each event, [events, columns]."""
        return np.stack(
            [
                np.bincount(self.event, self.value * column[self.row], self.n_events)
                for column in table.T
            ],
            axis=1,
        )

    def of_events(self, weights: Floats, n_rows: int) -> Floats:
        """Return the weighted sum of the events as table rows, [rows, columns]."""
        return np.stack(
            [np.bincount(self.row, self.value * w[self.event], n_rows) for w in weights.T], axis=1
        )


def _table_rows(text: bytes, student: NgramStudent) -> npt.NDArray[np.uint32]:
    shape = student.min_order, student.max_order, student.table_bits
    rows = _kernel.ngram_rows(*shape, text) + _kernel.feature_rows(student.table_bits, text)
    return np.frombuffer(rows, np.uint32)


def _with_ngrams(student: NgramStudent, texts: NormalizedTexts) -> NgramStudent:
    """Return a student of features alone that reads n-grams too; their weights are zero.

    A sum over rows is divided by the root of their number, which n-grams raise. The scale makes up
    for it as well as it can on the given texts.
    """
    wider = copy.copy(student)
    wider.min_order, wider.max_order = _TEXT_ORDERS
    before, now = (s.predict_logits(texts) - s.bias_ for s in (student, wider))
    wider.scale_ *= float((before * now).sum() / max((now * now).sum(), 1e-9)) or 1.0
    return wider


class NgramAdapter:
    """Adapts a student to some of the events that it is made with.

    Parameters
    ----------
    start
        Linear student. All its weights may be zero: the events are then all that is learned from.
        A student of features alone gets n-grams too, whose weights are zero: text that tells one
        collection from another may be learned from a single one.
    texts
        Normalized texts of the events.

    Attributes
    ----------
    start
        Student whose weights are corrected.
    texts
        Normalized texts of the events.
    """

    def __init__(self, start: NgramStudent, texts: NormalizedTexts) -> None:
        start = start if start.max_order else _with_ngrams(start, texts)
        self.start, self.texts = start, texts
        outputs = start.n_outputs_
        table = start.table_[:, :outputs].astype(np.float64) * start.scale_
        bias = start.bias_.astype(np.float64)
        # One output is the second of two classes: half its logit for, half against.
        split = np.array([[-0.5, 0.5]]) if outputs == 1 else np.eye(outputs)
        n_classes = split.shape[1]
        self._table, self._bias, self._split = table, bias, split
        self._join = np.array([[-1.0], [1.0]]) if outputs == 1 else np.eye(outputs)
        self._counts = _Counts.of(texts, start)
        logits = (self._counts.of_rows(table) + bias) @ split
        centered = np.eye(n_classes) - 1 / n_classes
        self._logits = logits @ centered
        size = float(np.sqrt(np.square(self._logits).mean())) or 1.0
        self._centered = centered / size
        products = self._counts.inner_products()
        self._scale = float(np.trace(products)) / len(texts) or 1.0
        self._products = products / self._scale + 1
        self._of_logits = (self._logits / size) @ (self._logits / size).T

    def fit(
        self, rows: Rows, targets: npt.NDArray[np.float32], weights: Floats
    ) -> "NgramCorrection":
        """Learn from some of the events.

        The start's logits are rescaled only where the targets hold more than one class: a single
        class would make any logit look wrong.

        Parameters
        ----------
        targets, weights
            Class probabilities [rows, classes] and weights [rows].
        """
        rescales = len(np.unique(targets.argmax(axis=1))) > 1
        products = self._inner_products(rows, rows, rescales)
        shares = np.zeros_like(self._logits)
        shares[rows] = _minimize(products, self._logits[rows], targets, weights)
        return NgramCorrection(rows, shares, rescales)

    def predict_logits(self, correction: "NgramCorrection", rows: Rows) -> npt.NDArray[np.float32]:
        """Return logits [rows, outputs] of further events, without building the student."""
        products = self._inner_products(rows, correction.rows, correction.rescales)
        logits = self._logits[rows] + products @ correction.shares[correction.rows]
        return np.asarray(logits @ self._join, np.float32)

    def student(self, correction: "NgramCorrection") -> NgramStudent:
        """Return the student with corrected weights."""
        shares, n_rows, outputs = correction.shares, len(self._table), self.start.n_outputs_
        mixing = np.eye(shares.shape[1])
        if correction.rescales:
            mixing += self._centered @ (self._logits @ self._centered).T @ shares
        table = self._table @ (self._split @ mixing @ self._join)
        table += self._counts.of_events(shares @ self._join, n_rows) / self._scale
        bias = self._bias @ (self._split @ mixing @ self._join)
        bias += (shares @ self._join).sum(axis=0)
        padded = np.zeros((n_rows, self.start.width_), np.float32)
        padded[:, :outputs] = table
        texts = self.texts.take(correction.rows)
        return self.start.with_weights(padded, bias.astype(np.float32), texts)

    def _inner_products(self, rows: Rows, others: Rows, rescales: bool) -> Floats:
        found = self._products[np.ix_(rows, others)]
        return found + self._of_logits[np.ix_(rows, others)] if rescales else found


@dataclass(frozen=True, eq=False)
class NgramCorrection:
    """A correction of a student's weights: a weighted sum of the n-grams of events.

    Attributes
    ----------
    rows
        Rows of the events that were learned.
    shares
        float64 [events, classes]: weight of each event in the sum.
    rescales
        True where the start's logits are rescaled too.
    """

    rows: Rows
    shares: Floats
    rescales: bool


def _minimize(
    products: Floats, start: Floats, targets: npt.NDArray[np.float32], weights: Floats
) -> Floats:
    """Return the weight of each event for each class: the correction of the logits is
    ``products @ weights``.
    """
    root = np.sqrt(weights)[:, None]
    inverse = np.linalg.inv(root * products * root.T / 2 + STRENGTH * np.eye(len(products)))
    found = ahead = np.zeros_like(start)
    speed = 1.0
    for _ in range(_MAX_STEPS):
        error = probabilities_of(start + products @ ahead) - targets
        step = root * (inverse @ ((-weights[:, None] * error - STRENGTH * ahead) / root))
        change = ahead + step - found
        if (step * change).sum() < 0:  # beyond the minimum: start the momentum anew
            speed = 1.0
        faster = (1 + np.sqrt(1 + 4 * speed * speed)) / 2
        found, ahead = found + change, found + change * (1 + (speed - 1) / faster)
        speed = faster
        if np.abs(products @ step).max() < _NEGLIGIBLE:
            break
    return found
