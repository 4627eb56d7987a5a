"""`buckler demo`: the main job on real mails, from few noisy labels and a teacher to a scan."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from buckler import pipeline
from buckler.cli.console import err, out, print_table
from buckler.cli.results import print_assessment, print_comparison, print_report
from buckler.cli.run import run_progress
from buckler.dataset.public_data import get_public_data
from buckler.evaluation.intervals import rate
from buckler.evaluation.report import rate_text
from buckler.files import write_atomically
from buckler.serving.scan import ScanOptions, ScanResult
from buckler.serving.scan import scan as scan_files

N_LABELS = 600
NOISE = 0.05
TEST_SHARE = 0.3
SEED = 1

_TASK = """\
name = "spam"
description = "Unasked-for bulk mail against mail that its reader wants, judged by content"
positive = ["spam"]
normalizer = "email-v1"
max_bytes = 8192
text_columns = ["raw"]
group_by = "sender-domain"

[classes]
ham = "A message that its reader wants or expects."
spam = "Unasked-for bulk mail that sells or promotes something."
"""

_RECIPE = """\
task = "spam.toml"
output = "out"

[data]
train = ["labeled.parquet"]
test = ["test.parquet"]

[split]
deduplicate = "near"
on_leak = "drop"         # near-duplicates of a test mail are left out of training

[student]
family = "ngram"
folds = 5
noise = "drop"           # some labels are wrong: leave out those that probably are

[evaluation]
operating_point = { fpr = 0.01 }
"""

_TAUGHT = """
[labels]
store = "labels.db"      # what the teacher says; it is asked once for each mail

[teacher]
kind = "{kind}"
settings = "{settings}"
on = ["pool", "test"]    # of the test only to compare it with the student

[pool]
events = ["rest.parquet"]

[pool.distill]
weight = 1.0             # of a mail that the teacher judged, beside a labeled one
temperature = 0.5        # sharper than the teacher says: a linear student blurs what it is told
with_student = true      # learn from teacher and student together: they err differently
"""

_ENCODER = """\
name = "minilm"
train = ["labeled.parquet"]
work = "encoder"
epochs = 6
learning_rate = 1e-4
max_tokens = 128
"""
RECORDED = Path(__file__).parent / "demo_annotations.parquet"


class DemoTeacher(StrEnum):
    """Who teaches in the demo."""

    RECORDED = "recorded"
    ENCODER = "encoder"
    NONE = "none"


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to work in.")] = Path("demo"),
    from_folder: Annotated[
        Path | None, typer.Option("--from", help="Folder with a local copy of the mails.")
    ] = None,
    teacher: Annotated[
        DemoTeacher,
        typer.Option(
            help="Teacher: a transformer's recorded annotations, an encoder that is trained now "
            "(extras torch and onnx; minutes), or none."
        ),
    ] = DemoTeacher.RECORDED,
    annotations: Annotated[
        Path | None,
        typer.Option(help="File of recorded annotations in place of the included ones."),
    ] = None,
) -> None:
    """Train on real mails with 600 noisy labels and a teacher, then scan the rest."""
    times: dict[str, float] = {}
    started = time.monotonic()
    corpus = folder / "spamassassin.parquet"
    if not corpus.exists():
        get_public_data("spamassassin", corpus, from_folder=from_folder, on_step=err.print)
    times["get the mails"] = time.monotonic() - started

    started = time.monotonic()
    rest = _prepare(folder, pq.read_table(corpus))
    _write_recipe(folder, teacher, (annotations or RECORDED).resolve())
    times["split by sender"] = time.monotonic() - started

    started = time.monotonic()
    with run_progress() as listener:
        run = pipeline.run(folder / "buckler.toml", listener)
    times["teach, train, evaluate, bundle"] = time.monotonic() - started

    started = time.monotonic()
    result = scan_files(
        run.bundle,
        [folder / "rest.parquet"],
        folder / "verdicts.parquet",
        ScanOptions(("raw",), with_text=False, overwrite=True, restart=True),
    )
    times["scan the rest"] = time.monotonic() - started

    annotated = ""
    if run.n_annotated:
        annotated = f",\nand a teacher's annotations on {run.n_annotated:,} mails without a label"
    out.print(
        f"{N_LABELS} labeled mails, of which {NOISE:.0%} were given the wrong label on purpose"
        f"{annotated};\ntested on mails from sender domains that training never saw, true "
        "labels.\n"
    )
    if run.comparison is not None:
        print_comparison(run.comparison)
        out.print()
    print_assessment(run.assessment)
    out.print()
    _print_scan(result, rest)
    rows = [(name, f"{seconds:.1f}") for name, seconds in times.items()]
    print_table(("step", "seconds"), rows, right=("seconds",))
    out.print()
    out.print(f"bundle    {run.bundle} ({run.bundle.stat().st_size:,} bytes)")
    print_report(run.report)
    out.print(f"verdicts  {result.output}")
    out.print(f"recipe    {folder / 'buckler.toml'} (change it, then: buckler run)")


def _prepare(folder: Path, corpus: pa.Table) -> pa.Table:
    """Split by sender domain; draw the labeled mails and spoil some labels. Returns the rest."""
    rng = np.random.default_rng(SEED)
    groups = np.array(pc.fill_null(corpus["group"], "").to_pylist())
    names = np.array(sorted(set(groups)))
    test_names = set(rng.permutation(names)[: int(TEST_SHARE * len(names))])
    is_test = np.array([g in test_names for g in groups])
    pool = rng.permutation(np.flatnonzero(~is_test))
    labeled = corpus.take(pa.array(np.sort(pool[:N_LABELS])))
    wrong = rng.choice(N_LABELS, int(NOISE * N_LABELS), replace=False)
    labels = np.array(labeled["label"].to_pylist(), object)
    labels[wrong] = np.where(labels[wrong] == "ham", "spam", "ham")
    position = labeled.schema.get_field_index("label")
    labeled = labeled.set_column(position, "label", pa.array(labels, pa.string()))
    rest = corpus.take(pa.array(np.sort(pool[N_LABELS:])))
    pq.write_table(labeled, folder / "labeled.parquet")
    pq.write_table(corpus.filter(pa.array(is_test)), folder / "test.parquet")
    pq.write_table(rest.drop_columns(["label"]), folder / "rest.parquet")
    write_atomically(folder / "spam.toml", _TASK.encode())
    return rest


def _write_recipe(folder: Path, teacher: DemoTeacher, annotations: Path) -> None:
    recipe = _RECIPE
    if teacher is DemoTeacher.RECORDED:
        recipe += _TAUGHT.format(kind="recorded", settings=annotations)
    elif teacher is DemoTeacher.ENCODER:
        recipe += _TAUGHT.format(kind="encoder", settings="encoder.toml")
        write_atomically(folder / "encoder.toml", _ENCODER.encode())
    write_atomically(folder / "buckler.toml", recipe.encode())


def _print_scan(result: ScanResult, rest: pa.Table) -> None:
    verdicts = pq.read_table(result.output)
    rows = np.array(verdicts["row"]) - 1
    detected = np.array(verdicts["detected"])
    is_spam = np.array([label == "spam" for label in rest["label"].to_pylist()])[rows]
    out.print(
        f"Scan of the other {result.rows:,} mails: {result.detections:,} detections, "
        f"{result.quarantine_summary}, {result.rows / max(result.seconds, 1e-9):,.0f} mails/s."
    )
    out.print(
        f"Their true labels, kept from training: detection {rate_text(rate(detected[is_spam]))}, "
        f"false positives {rate_text(rate(detected[~is_spam]))}.\n"
    )
