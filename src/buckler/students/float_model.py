"""Float weights of the `ngram` student while it learns, and their joining and averaging."""

from dataclasses import dataclass

import numpy as np

from buckler.students.student import Floats

_BLOCK_ROWS = 2048


@dataclass
class FloatModel:
    """The arrays that training updates in place."""

    table: Floats
    table_squares: Floats
    head: Floats | None
    head_squares: Floats | None
    bias: Floats
    bias_squares: Floats

    @property
    def arrays(self) -> tuple[Floats | None, ...]:
        """The arrays in the order that the kernel wants."""
        return tuple(vars(self).values())


def mix(model: FloatModel, copies: list[FloatModel]) -> None:
    """Join what threads learned apart (iterative parameter mixing, McDonald et al. 2010).

    A weight is the mean of the copies, each counted by the squared gradients that it has seen for
    it: what only one thread has met is taken over whole, not diluted. Squares add up.
    """
    for name in ("table", "head", "bias"):
        values = getattr(model, name)
        if values is None:
            continue
        squares = getattr(model, f"{name}_squares")
        masses = [getattr(c, f"{name}_squares") - squares for c in copies]
        total = sum(masses[1:], masses[0])
        step = np.zeros_like(values)
        for copy, mass in zip(copies, masses, strict=True):
            share = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
            share = share.reshape(share.shape + (1,) * (values.ndim - share.ndim))
            step += (getattr(copy, name) - values) * share
        values += step
        squares += total


class RunningMean:
    """The running mean of a model's weights.

    Attributes
    ----------
    model
        Mean of the models that were added.
    count
        Number of these models.
    """

    def __init__(self, model: FloatModel) -> None:
        self.model = copy_model(model)
        self.count = 0

    def add(self, model: FloatModel) -> None:
        """Add a model to the mean."""
        self.count += 1
        share = np.float32(1 / self.count)
        for mean, new in zip(self.model.arrays, model.arrays, strict=True):
            if mean is not None and new is not None:
                for start in range(0, len(mean), _BLOCK_ROWS):  # a block stays in the cache
                    part = mean[start : start + _BLOCK_ROWS]
                    part += (new[start : start + _BLOCK_ROWS] - part) * share

    def copy(self) -> FloatModel:
        """Return the mean so far, with arrays of its own."""
        return copy_model(self.model)


def average(model: FloatModel, other: FloatModel, ratio: float) -> None:
    """Make a model without a head the mean of itself and of so many times another."""
    for values, more in ((model.table, other.table), (model.bias, other.bias)):
        values += np.float32(ratio) * more
        values *= np.float32(0.5)


def copy_model(model: FloatModel) -> FloatModel:
    """Return the same model with arrays of its own."""
    return FloatModel(*(None if a is None else a.copy() for a in model.arrays))  # type: ignore[arg-type]
