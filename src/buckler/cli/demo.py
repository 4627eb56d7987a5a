"""`buckler demo`: the main job on real mails: a bundle of other mail, adapted to one mailbox."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from buckler.cli.adapt import print_adaptation
from buckler.cli.console import err, out, print_table, show_steps
from buckler.dataset.public_data import get_public_data
from buckler.files import write_atomically
from buckler.pipeline.adapt import adapt as adapt_bundle
from buckler.pipeline.own_events import AdaptOptions
from buckler.tasks import get_task
from buckler.teachers import get_teacher

ASKS = 200
RANDOM_SHARE = 0.5
TEST_SHARE = 0.3
SEED = 1
START = Path(__file__).parent / "demo-start.buckler"
ANSWERS = Path(__file__).parent / "demo-answers.parquet"
_SETTINGS = """\
# A language model's answers, found by the SHA-1 of the mail.
file = "{file}"
annotator = "frontier-llm"
version = "mail/excerpt"
digest_column = "sha1"
label_column = "label"
confidence_column = "confidence"
"""


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to work in.")] = Path("demo"),
    from_folder: Annotated[
        Path | None, typer.Option("--from", help="Folder with a local copy of the mails.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help="Table of recorded answers in place of the included one."),
    ] = None,
) -> None:
    """Adapt a bundle to a mailbox that it has never seen, with recorded answers."""
    times: dict[str, float] = {}
    started = time.monotonic()
    corpus = folder / "spamassassin.parquet"
    if not corpus.exists():
        get_public_data("spamassassin", corpus, from_folder=from_folder, on_step=err.print)
    times["get the mails"] = time.monotonic() - started

    started = time.monotonic()
    _split(folder, pq.read_table(corpus))
    settings = folder / "teacher.toml"
    write_atomically(settings, _SETTINGS.format(file=(answers or ANSWERS).resolve()).encode())
    times["split by sender"] = time.monotonic() - started

    started = time.monotonic()
    options = AdaptOptions(
        asks=ASKS,
        random_share=RANDOM_SHARE,
        test=(folder / "held-out.parquet",),
        store=str(folder / "labels.db"),
    )
    teacher = get_teacher("recorded", settings, get_task("email"))
    bundle = folder / "mine.buckler"
    with show_steps("reading") as on_step:
        result = adapt_bundle(
            START, [folder / "stream.parquet"], bundle, teacher, options, on_step=on_step
        )
    times["ask, adapt, measure, bundle"] = time.monotonic() - started

    out.print(
        "A bundle of other collections, adapted to SpamAssassin's mailbox of 2002 to 2005;\n"
        "test: mails of sender domains that the adaptation never saw, with their true labels.\n"
    )
    print_adaptation(result)
    out.print()
    rows = [(name, f"{seconds:.1f}") for name, seconds in times.items()]
    print_table(("step", "seconds"), rows, right=("seconds",))
    out.print(
        f"\nThe same by hand, where {folder} lies:\n"
        f"buckler adapt {START} --events {folder / 'stream.parquet'} \\\n"
        f"  --test {folder / 'held-out.parquet'} --teacher recorded --settings {settings} \\\n"
        f"  --asks {ASKS} --random-share {RANDOM_SHARE} --store {folder / 'labels.db'} -o {bundle}"
    )


def _split(folder: Path, corpus: pa.Table) -> None:
    """Write the mails of some sender domains with their labels, and the others without."""
    rng = np.random.default_rng(SEED)
    groups = np.array(pc.fill_null(corpus["group"], "").to_pylist())
    names = np.unique(groups)
    held_out = np.isin(groups, rng.permutation(names)[: int(TEST_SHARE * len(names))])
    pq.write_table(corpus.filter(pa.array(held_out)), folder / "held-out.parquet")
    stream = corpus.filter(pa.array(~held_out)).drop_columns(["label"])
    pq.write_table(stream, folder / "stream.parquet")
