"""Merging annotations: each way beside the mean, on simulated annotators with known errors."""

from pathlib import Path

import numpy as np

from benchmarks.measure import table
from buckler.errors import InputError
from buckler.labels.merging import Merge
from tests.support.annotators import class_shares, compare_with_mean, crowds

N_EVENTS = 1000


def run(data: Path) -> None:  # noqa: ARG001 - the annotations are simulated
    rows = []
    for n_classes, rare in ((2, 0.01), (2, 0.05), (2, 0.3), (3, 0.2), (8, 0.3), (29, 0.7)):
        chosen = crowds([class_shares(n_classes, rare)])
        for method in (Merge.DAWID_SKENE, Merge.MAJORITY):
            errors, briers, n_worse, n_refused = [], [], 0, 0
            for seed, crowd in enumerate(chosen):
                try:
                    found = compare_with_mean(crowd, N_EVENTS, method, seed)
                except InputError:
                    n_refused += 1
                    continue
                errors.append(found.error)
                briers.append(found.brier)
                n_worse += found.is_worse
            rows.append(
                (
                    f"{n_classes} classes, {rare:.0%} rare",
                    method.value,
                    f"{np.mean(errors):+.4f} ({max(errors):+.3f})",
                    f"{np.mean(briers):+.4f} ({max(briers):+.3f})",
                    f"{n_worse} of {len(chosen)}",
                    f"{n_refused}",
                )
            )
    heading = ("events", "merge", "wrong classes", "Brier score", "worse", "refused")
    print("Difference to the mean: over all crowds, and the worst in brackets.")
    table(heading, rows)
