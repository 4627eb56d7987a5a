"""Phishing by month: how a bundle ages, when the monitor says so, and what training again gives.

Benign rows of the data have no time; they are dealt to months by group, at random, and never stand
on both sides. So what changes over time here is the phishing.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measure import table, use_all_cores
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.intervals import rate
from buckler.monitoring.quality import area_under_time
from buckler.monitoring.windows import compare_windows, score_events
from buckler.operating_point import OperatingPoint
from buckler.runtime import Scorer, load
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.noise import Noise
from buckler.training.packaging import write_fitted

TASK = get_task("url-threat")
FIRST_MONTHS = 5  # of training; the next one is the reference
FPR = 0.01
SETTINGS = {"dropout": 0.3}


def run(data: Path) -> None:
    """Print the tables."""
    use_all_cores()
    events = read_dataset(
        [data / "url" / "threat-train.parquet", data / "url" / "threat-test.parquet"], TASK
    )
    months = _months(events)
    names = sorted(set(months))
    first, reference, later = names[:FIRST_MONTHS], names[FIRST_MONTHS], names[FIRST_MONTHS + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        old = _train(events.take(np.flatnonzero(np.isin(months, first))), Path(folder) / "0")
        then = events.take(np.flatnonzero(months == reference))
        rows = np.flatnonzero(np.isin(months, later))
        found = compare_windows(
            score_events(old, then),
            score_events(old, events.take(rows)),
            months[rows],
            deployed_fpr=old.manifest.deployed_fpr,
        )
        first_alert = next((w.name for w in found.windows if w.alerts), None)
        at_alert = None
        as_it_was, after_alert, every_month, lines = [], [], [], []
        for number, window in enumerate(found.windows):
            now = events.take(np.flatnonzero(months == window.name))
            before = names[: names.index(window.name)]
            known = events.take(np.flatnonzero(np.isin(months, before)))
            fresh = _train(known, Path(folder) / f"{number + 1}")
            if first_alert is not None and window.name > first_alert and at_alert is None:
                at_alert = fresh  # knows all that came up to the month of the alert
            kept = at_alert if at_alert is not None else old
            shares = [_shares(scorer, now) for scorer in (old, kept, fresh)]
            as_it_was.append(shares[0][0])
            after_alert.append(shares[1][0])
            every_month.append(shares[2][0])
            lines.append(
                (
                    window.name,
                    f"{window.n_events:,}",
                    f"{window.drift.psi:.2f}",
                    f"{window.drift.domain_auroc.value:.2f}",
                    f"{window.estimated.recall.value:.3f}",
                    *(f"{d:.3f}, {f:.4f}" for d, f in shares),
                    "; ".join(alert.reason.split(" where")[0] for alert in window.alerts) or "-",
                )
            )
    print(
        f"trained on {first[0]} to {first[-1]}, reference {reference}; first alert: {first_alert}; "
        f"recall on the reference {found.reference.recall.value:.3f}\n"
    )
    table(
        (
            "month",
            "events",
            "PSI",
            "domain AUROC",
            "recall, estimated without labels",
            "as it was: recall, false-positive rate",
            "trained again after the first alert",
            "trained again every month",
            "alerts (labels known)",
        ),
        lines,
    )
    areas = [area_under_time(v) for v in (as_it_was, after_alert, every_month)]
    print(f"\narea under time of recall: {', '.join(f'{a:.3f}' for a in areas)}")


def _months(events: Dataset) -> np.ndarray:
    times = events.column("ts")
    known = np.array([None if t is None else str(np.datetime64(int(t), "s"))[:7] for t in times])
    dated = sorted({m for m in known if m is not None})
    share = {m: (known == m).sum() for m in dated}
    whole = [m for m in dated if share[m] >= 1000]
    rng = np.random.default_rng(0)
    codes = events.group_codes()
    dealt = rng.choice(
        whole, codes.max() + 1, p=np.array([share[m] for m in whole]) / sum(share[m] for m in whole)
    )
    return np.array([dealt[c] if m is None else m for m, c in zip(known, codes, strict=True)])


def _train(events: Dataset, path: Path) -> Scorer:
    plain = events.with_column("source", pa.nulls(len(events), pa.string()))
    fitted = fit_student(plain, StudentSpec("ngram", SETTINGS, folds=3, noise=Noise.NONE))
    path = path.with_suffix(".buckler")
    write_fitted(path, fitted, operating_point=OperatingPoint(fpr=FPR))
    return load(path)


def _shares(scorer: Scorer, events: Dataset) -> tuple[float, float]:
    detections = scorer.score(events.raw).detected
    positive = events.labels == 1
    return rate(detections[positive]).value, rate(detections[~positive]).value
