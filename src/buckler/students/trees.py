"""The `trees` student: gradient-boosted trees over rows of features, learned by LightGBM.

LightGBM (Ke et al. 2017) grows the trees; our kernel scores and explains them, so that whoever runs
a bundle needs no LightGBM. Soft targets are learned by cross-entropy: every row counts once for
each class, with the class's probability as weight.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from buckler import _kernel
from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.extras import import_extra
from buckler.normalize import FeatureSchema, NormalizedTexts
from buckler.students.student import (
    STUDENTS,
    Export,
    Floats,
    Student,
    check_learnable,
    cross_entropy,
    weigh_classes,
)

if TYPE_CHECKING:
    from lightgbm import Booster

_LEAF, _CATEGORICAL = 1 << 31, 1 << 30
_NAN_IS_MISSING, _MISSING_LEFT = 1 << 29, 1 << 28
_CATEGORIES = 1024
_ROUNDS_AN_EPOCH = 25
_SURE = 1e-6


@STUDENTS.add
@dataclass(kw_only=True, eq=False)
class TreesStudent(Student):
    """Boosted trees.

    Parameters
    ----------
    epochs
        Largest number of epochs, each of 25 rounds of boosting.
    patience
        Number of epochs without a lower loss on the validation events after which training stops.
    leaves
        Largest number of leaves of a tree.
    learning_rate
        Factor on the answer of each tree.
    min_rows
        Smallest number of rows in a leaf.
    feature_share, row_share
        Shares drawn for each tree.
    l2
        Penalty on the values of leaves.
    raising, lowering
        Names of features (a list, or separated by commas) that can only raise or lower the
        probability of the second class: an attacker gains nothing by less or more of them.
    class_weights
        ``none``, or ``balanced``: rare classes count more, as if all were as frequent.
    threads
        Number of threads; 0 for all cores.
    """

    family = "trees"

    epochs: int = 40
    patience: int = 2
    leaves: int = 31
    learning_rate: float = 0.05
    min_rows: int = 10
    feature_share: float = 0.8
    row_share: float = 0.9
    l2: float = 1.0
    raising: str | Sequence[str] = ()
    lowering: str | Sequence[str] = ()
    class_weights: str = "none"
    threads: int = 0
    kernel_: _kernel.Trees = field(init=False, repr=False)
    tensors_: dict[str, npt.NDArray[np.generic]] = field(init=False, repr=False)
    n_outputs_: int = field(init=False, repr=False)
    schema_: FeatureSchema = field(init=False, repr=False)

    def fit(
        self,
        training: Dataset,
        validation: Dataset | None = None,
        on_epoch: Callable[[int, float, float], None] | None = None,
    ) -> "TreesStudent":
        """Learn; keep the rounds up to the best.

        Raises
        ------
        SettingsError
            If a setting is out of range, or the examples are no rows of features.
        MissingExtraError
            If LightGBM is not installed.
        """
        lightgbm = import_extra("lightgbm", "the student 'trees'", "trees")
        self._check(training, validation)
        n_classes = training.targets.shape[1]
        self.n_outputs_ = 1 if n_classes == 2 else n_classes
        self.schema_ = training.features.schema
        rows, labels, weights = self._split_targets(training)
        rows, members = self._number_categories(rows)
        data = lightgbm.Dataset(
            rows,
            labels,
            weight=weights,
            categorical_feature=list(self._category_columns),
            params={"max_cat_threshold": 64, "verbosity": -1},
            free_raw_data=False,
        )
        booster = lightgbm.Booster(self._parameters(n_classes), data)
        forest = _Forest(members)
        best, best_loss, self.best_epoch_ = 0, np.inf, 0
        for epoch in range(1, self.epochs + 1):
            stuck = False
            for _ in range(_ROUNDS_AN_EPOCH):
                stuck = booster.update() or stuck
            forest.grow(booster)
            self._keep(forest.tensors(self.n_outputs_))
            loss = cross_entropy(
                self.predict_logits(training.texts), training.targets, training.weights
            )
            held_out = np.nan
            if validation is not None:
                held_out = cross_entropy(
                    self.predict_logits(validation.texts), validation.targets, validation.weights
                )
            if on_epoch is not None:
                on_epoch(epoch, loss, held_out)
            if validation is None or held_out < best_loss - 1e-5:
                best, best_loss, self.best_epoch_ = len(forest.roots), held_out, epoch
            elif epoch - self.best_epoch_ >= self.patience:
                break
            if stuck:  # nothing is left to split
                break
        self._keep(forest.tensors(self.n_outputs_, best))
        return self

    def predict_logits(self, texts: NormalizedTexts) -> Floats:
        """Return logits, through the same kernel that the runtime uses."""
        out = np.empty((len(texts), self.n_outputs_), np.float32)
        self.kernel_.logits(np.ascontiguousarray(texts.data), out)
        return out

    def rescale(self, slope: float, shift: float | Floats) -> None:
        """Fold a calibration into the leaves and the bias."""
        nodes = self.tensors_["nodes"].astype(np.uint32)
        bias = self.tensors_["bias"].astype(np.float32)
        leaf = (nodes[:, 1] & np.uint32(_LEAF)) != 0
        values = nodes[:, 0].view(np.float32)
        nodes[:, 0] = np.where(leaf, (values * np.float32(slope)).view(np.uint32), nodes[:, 0])
        self._keep({**self.tensors_, "nodes": nodes, "bias": (bias * slope + shift).astype("f4")})

    def export(self) -> Export:
        """Return the trees."""
        return Export(
            "trees",
            {
                "kernel_version": _kernel.ABI_VERSION,
                "n_outputs": self.n_outputs_,
                "n_trees": len(self.tensors_["roots"]),
            },
            self.tensors_,
        )

    # --- parts --------------------------------------------------------------------------------

    def _check(self, training: Dataset, validation: Dataset | None) -> None:
        check_learnable(training, validation)
        if not training.task.features:
            raise SettingsError(
                "the student 'trees' learns rows of features: give the task a [features] table"
            )
        if not 2 <= self.leaves <= 256 or self.epochs < 1 or self.patience < 1:
            raise SettingsError("leaves must be 2 to 256, epochs and patience at least 1")

    @property
    def _category_columns(self) -> range:
        return range(len(self.schema_.numbers), len(self.schema_))

    def _split_targets(
        self, examples: Dataset
    ) -> tuple[Floats, npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return a row for each class that an event may be, weighted by its probability."""
        rows = examples.features.values
        index, classes = np.nonzero(examples.targets > _SURE)
        of_row = weigh_classes(examples, self.class_weights)
        weights = examples.targets[index, classes].astype(np.float64) * of_row[index]
        kept = rows if len(index) == len(rows) else rows[index]
        return kept, classes.astype(np.int32), weights / weights.mean()

    def _number_categories(self, rows: Floats) -> tuple[Floats, dict[int, npt.NDArray[np.int64]]]:
        """Number the categories that occur from 0, as LightGBM wants them; say which is which."""
        rows, members = rows.copy(), {}
        for column in self._category_columns:
            there = ~np.isnan(rows[:, column])
            found, codes = np.unique(rows[there, column], return_inverse=True)
            rows[there, column] = codes
            members[column] = found.astype(np.int64)
        return rows, members

    def _parameters(self, n_classes: int) -> dict[str, object]:
        return {
            "objective": "binary" if n_classes == 2 else "multiclass",
            **({} if n_classes == 2 else {"num_class": n_classes}),
            "num_leaves": self.leaves,
            "max_depth": 60,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "monotone_constraints": self._monotone(n_classes),
            "num_threads": self.threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def _monotone(self, n_classes: int) -> list[int]:
        names = self.schema_.names
        constraints = [0] * len(names)
        for direction, asked in ((1, self.raising), (-1, self.lowering)):
            asked = asked.split(",") if isinstance(asked, str) else asked
            for name in (n.strip() for n in asked if n.strip()):
                if name not in names:
                    raise SettingsError(f"no feature is named {name!r}; it cannot be monotone")
                if name in self.schema_.categories or n_classes > 2:
                    raise SettingsError(
                        f"{name!r} cannot be monotone: that is for numbers and two classes"
                    )
                constraints[names.index(name)] = direction
        return constraints

    def _keep(self, tensors: dict[str, npt.NDArray[np.generic]]) -> None:
        self.tensors_ = tensors
        arrays = (tensors[name] for name in ("roots", "nodes", "sets", "bias"))
        self.kernel_ = _kernel.Trees(len(self.schema_), *map(np.ascontiguousarray, arrays))


class _Node(TypedDict, total=False):
    """A node of LightGBM's dump: a leaf, or a split with two children."""

    leaf_value: float
    leaf_count: int
    split_feature: int
    missing_type: str
    default_left: bool
    decision_type: str
    threshold: float | str
    internal_count: int
    left_child: "_Node"
    right_child: "_Node"


class _Forest:
    """The trees so far, as the kernel wants them.

    `members` has the categories behind LightGBM's numbers, for each categorical feature.
    """

    def __init__(self, members: dict[int, npt.NDArray[np.int64]]) -> None:
        self._members = members
        self.roots: list[int] = []
        self.nodes: list[tuple[int, int, int, int]] = []
        self.sets: list[npt.NDArray[np.uint32]] = []
        self._rounds = 0

    def grow(self, booster: "Booster") -> None:
        """Take over the rounds that are new."""
        model = booster.dump_model(num_iteration=_ROUNDS_AN_EPOCH, start_iteration=self._rounds)
        self._rounds += _ROUNDS_AN_EPOCH
        for info in model["tree_info"]:
            self.roots.append(len(self.nodes))
            self.nodes += list(
                _flatten(info["tree_structure"], len(self.nodes), self.sets, self._members)
            )

    def tensors(
        self, n_outputs: int, n_trees: int | None = None
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Return the first so many trees."""
        roots = self.roots[:n_trees]
        end = len(self.nodes)
        if n_trees is not None and n_trees < len(self.roots):
            end = self.roots[n_trees]
        return {
            "roots": np.array(roots, np.uint32),
            "nodes": np.array(self.nodes[:end], np.uint32).reshape(-1, 4),
            "sets": np.array(self.sets, np.uint32).reshape(-1, _CATEGORIES // 32),
            "bias": np.zeros(n_outputs, np.float32),
        }


def _flatten(
    root: "_Node",
    first: int,
    sets: list[npt.NDArray[np.uint32]],
    members: dict[int, npt.NDArray[np.int64]],
) -> Iterator[tuple[int, int, int, int]]:
    """Yield the nodes level by level, as the kernel wants them; see buckler.h."""
    queue, free = [root], first + 1
    for node in queue:
        if "leaf_value" in node:
            cover = float(node.get("leaf_count", 0))  # a tree of one leaf has none
            yield _bits(node["leaf_value"]), _LEAF, 0, _bits(cover)
            continue
        code = int(node["split_feature"])
        if node["missing_type"] == "NaN":
            code |= _NAN_IS_MISSING
        if node["default_left"]:
            code |= _MISSING_LEFT
        if node["decision_type"] == "==":
            bits = np.zeros(_CATEGORIES // 32, np.uint32)
            numbers = [int(number) for number in str(node["threshold"]).split("||")]
            for category in members[int(node["split_feature"])][numbers].tolist():
                bits[category >> 5] |= np.uint32(1 << (category & 31))
            threshold = float(len(sets))
            sets.append(bits)
            code |= _CATEGORICAL
        else:
            threshold = _round_down(float(node["threshold"]))
        yield _bits(threshold), code, free, _bits(float(node["internal_count"]))
        queue += [node["left_child"], node["right_child"]]
        free += 2


def _round_down(threshold: float) -> float:
    """Return the largest float32 that is not above it: decides alike for every float32 value."""
    with np.errstate(over="ignore"):  # beyond float32: what is rounded down is its largest
        rounded = np.float32(threshold)
    if float(rounded) > threshold:
        rounded = np.nextafter(rounded, np.float32(-np.inf))
    return float(rounded)


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))
