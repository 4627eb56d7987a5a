"""Training speed against fastText, at the same number of passes, and with two threads."""

import tempfile
import time
from pathlib import Path

from benchmarks.baselines import FastText, plain_texts
from benchmarks.measure import pin_to_one_core, table, use_all_cores
from benchmarks.models import events
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.students import get_student

PASSES = 5


def run(data: Path) -> None:
    train = events(data, "url-threat", "threat-train")
    test = events(data, "url-threat", "threat-test")
    examples = train
    texts, test_texts = plain_texts(train), plain_texts(test)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        file.writelines(f"__label__{y} {t}\n" for y, t in zip(train.labels, texts, strict=True))
    rows = []

    def add(name: str, seconds: float, scores: object, base: float | None) -> float:
        rate = len(train) * PASSES / seconds
        ranking = Ranking(scores, test.labels == 1)
        roc = ranking.roc()
        rows.append(
            (
                name,
                f"{rate:,.0f}",
                f"{rate / base:.1f} x" if base else "1 x",
                f"{auroc(roc):.4f}",
                f"{tpr_at_fpr(roc, 0.01):.3f}",
                f"{tpr_at_fpr(roc, 0.001):.3f}",
            )
        )
        return rate

    def students(**settings: object) -> tuple[float, object]:
        best = 1e9
        for _ in range(3):
            student = get_student("ngram", {"epochs": PASSES, **settings})
            started = time.perf_counter()
            student.fit(examples)
            best = min(best, time.perf_counter() - started)
        return best, student.predict_logits(test.texts)[:, 0]

    base = None
    for name, changes in (
        ("fastText, dim 16", {}),
        ("fastText, dim 100 (its default)", {"dim": 100}),
    ):
        best = 1e9
        for _ in range(2):
            model = FastText(epoch=PASSES, **changes)
            started = time.perf_counter()
            model.train_file(Path(file.name))
            best = min(best, time.perf_counter() - started)
        rate = add(name, best, model.probabilities(test_texts, 2)[:, 1], base)
        base = base or rate
    Path(file.name).unlink()
    for name, settings in (
        ("Buckler, 2^18 rows (default)", {}),
        ("Buckler, 2^20 rows", {"table_bits": 20}),
    ):
        add(name, *students(**settings), base)
    use_all_cores()
    one, _ = students()
    two, scores = students(threads=2)
    add("Buckler, 2^18 rows, two threads", two, scores, base)
    pin_to_one_core()
    table(
        (
            f"training, {PASSES} passes, whole fit",
            "rows/s and pass",
            "against fastText",
            "AUROC",
            "TPR at 1e-2",
            "TPR at 1e-3",
        ),
        rows,
    )
    print(f"\ntwo threads: {one / two:.2f} x one thread (timed next to each other)")
