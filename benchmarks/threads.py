"""Speed against the number of threads, of scoring and of training; the same answers each time."""

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import in_turns, table, use_all_cores
from benchmarks.models import events, scorer
from buckler.extras import count_cores
from buckler.students import get_student

PASSES = 2


def run(data: Path) -> None:
    use_all_cores()
    cores = count_cores()
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= cores]
    train = events(data, "url-threat", "threat-train")
    column = train.raw.combine_chunks()
    threat = scorer(data, "url-threat", "threat-train")
    one = threat.score(column).scores
    for n in counts:
        np.testing.assert_array_equal(threat.score(column, threads=n).scores, one)
    scoring = in_turns({str(n): partial(threat.score, column, threads=n) for n in counts})
    fits = {
        str(n): partial(get_student("ngram", {"epochs": PASSES, "threads": n}).fit, train)
        for n in counts
    }
    training = in_turns(fits, rounds=3)
    print(f"{cores} cores")
    rows: list[tuple[object, ...]] = []
    for name in scoring:
        rates = len(train) / scoring[name], PASSES * len(train) / training[name]
        gains = scoring["1"] / scoring[name], training["1"] / training[name]
        rows.append((name, *(f"{x:,.0f}" for x in rates), *(f"{x:.2f} x" for x in gains)))
    table(("threads", "scores/s", "trained rows/s and pass", "scoring", "training"), rows)
