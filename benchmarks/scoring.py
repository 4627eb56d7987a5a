"""Events a second and core: Buckler, fastText, scikit-learn; single events; 29 classes."""

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.baselines import FastText, ScikitLearn, plain_texts
from benchmarks.measure import in_turns, pin_to_one_core, table, use_all_cores
from benchmarks.models import events, scorer

SLOW_ROWS = 10_000


def run(data: Path) -> None:
    train = events(data, "url-threat", "threat-train")
    column = train.raw.combine_chunks()
    urls = [t.decode() for t in column.to_pylist()]
    threat = scorer(data, "url-threat", "threat-train")
    wide = scorer(data, "url-threat", "threat-train", table_bits=20)
    texts = plain_texts(train)
    subset = np.random.default_rng(0).permutation(len(texts))[:SLOW_ROWS]
    few = [texts[i] for i in subset]
    fast, default, scikit = FastText(), FastText(dim=100), ScikitLearn()
    fast.fit(texts, train.labels)
    default.fit(texts, train.labels)
    scikit.fit(few, train.labels[subset])
    pool = events(data, "url-category", "category-pool")
    sites = pool.raw.combine_chunks()
    category = scorer(data, "url-category", "category-labelled")
    n = len(urls)
    work = {
        "Buckler, Arrow column, 2^18 rows (default)": (n, lambda: threat.score(column)),
        "Buckler, Arrow column, 2^20 rows": (n, lambda: wide.score(column)),
        "Buckler, Python list": (n, lambda: threat.score(urls)),
        "Buckler, 29 classes, Arrow column": (len(pool), lambda: category.score(sites)),
        "fastText, dim 16, Python list": (len(few), lambda: fast.model.predict(few)),
        "fastText, dim 100 (its default), Python list": (
            len(few),
            lambda: default.model.predict(few),
        ),
        "scikit-learn, Python list": (
            len(few),
            lambda: scikit.model.predict_proba(scikit.vectorizer.transform(few)),
        ),
    }
    seconds = in_turns({name: call for name, (_, call) in work.items()})
    rates = {name: rows / seconds[name] for name, (rows, _) in work.items()}
    best = rates["Buckler, Arrow column, 2^18 rows (default)"]
    table(
        ("scoring, one core", "events/s", "default is faster by"),
        [(name, f"{rate:,.0f}", f"{best / rate:.1f} x") for name, rate in rates.items()],
    )
    print()
    use_all_cores()
    threads = in_turns(
        {"1": lambda: threat.score(column), "2": lambda: threat.score(column, threads=2)}
    )
    pin_to_one_core()
    print(f"two threads: {threads['1'] / threads['2']:.2f} x one thread\n")
    one = threat.score_of
    times = []
    for url in urls[:50_000]:
        started = time.perf_counter_ns()
        one(url)
        times.append(time.perf_counter_ns() - started)
    quantiles = statistics.quantiles(times, n=1000)
    print(
        f"one event through Python: p50 {statistics.median(times)} ns, p99 {quantiles[989]:.0f} ns "
        "(timer included)"
    )
