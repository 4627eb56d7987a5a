"""The ready-made `html` bundle on pages that it has never seen: templates, and synthetic pages."""

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import table
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.public_data import get_public_data
from buckler.errors import BucklerError
from buckler.evaluation.intervals import rate
from buckler.evaluation.report import rate_text
from buckler.runtime import load
from buckler.synthesis.generate import GenerationSettings, generate_examples
from buckler.synthesis.generator import get_generator
from buckler.synthesis.synthetic_examples import as_dataset
from buckler.synthesis.template import read_template
from buckler.tasks import get_task

HTML = get_task("html")
N_SYNTHETIC_EXAMPLES = 1000


def run(data: Path) -> None:
    """Print the table."""
    scorer = load("html")
    rows = []

    def judge(name: str, events: Dataset, own: npt.NDArray[np.bool_]) -> None:
        detected = scorer.score(events.take(np.flatnonzero(own)).raw).detected
        rows.append((name, f"{len(detected):,}", rate_text(rate(detected), 3)))

    if (templates := _templates()) is not None:
        asks = templates.column("asks") == "a password"
        judge("page templates", templates, ~asks)
        judge("page templates that ask for a password", templates, asks)
    pages = _synthetic_pages(data)
    judge("synthetic pages on their own sites", pages, ~pages.is_positive)
    judge("synthetic fakes", pages, pages.is_positive)
    table(("pages", "rows", "detected"), rows)


def _templates() -> Dataset | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.parquet"
        try:
            get_public_data("page-templates", path)
        except BucklerError as error:
            print(f"no page templates: {error}")
            return None
        return read_dataset([path], HTML, ColumnNames(keep=("asks",)))


def _synthetic_pages(data: Path) -> Dataset:
    real = read_dataset([data / "email" / "test.parquet"], HTML, format_name="mail-html")
    generator = get_generator("grammar", read_template(HTML), real, 0)
    written = generate_examples(generator, GenerationSettings(N_SYNTHETIC_EXAMPLES, seed=0))
    return as_dataset(written.synthetic_examples, HTML)
