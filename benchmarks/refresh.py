"""`buckler refresh` over three years of URLs with times, in turns of a quarter.

The first bundle learns listed URLs from before 2021. The stream is the URLs that a language model
has annotated; its recorded answers are the teacher. After each turn, the first bundle and the
deployed one score the listed URLs of the next quarter whose domains nobody was asked about.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measure import table
from buckler.dataset import Dataset, read_dataset
from buckler.evaluation.metrics import Ranking, auroc, tpr_at_fpr
from buckler.operating_point import OperatingPoint
from buckler.review.refresh import refresh
from buckler.review.refresh_settings import RefreshSettings, TeacherSection, TurnLog
from buckler.runtime import Scorer, load
from buckler.serving.bundle_registry import BundleRegistry
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted

FIRST, LAST = 2021, 2023
MAX_START, MAX_TEST, FPR = 15_000, 6_000, 0.01
_ANSWERS = (
    'file = "answers.parquet"\nannotator = "recorded LLM"\ntext_column = "url"\n'
    'probability_column = "p_phishing"\n'
)


def run(data: Path) -> None:
    """Print a row for each quarter."""
    with tempfile.TemporaryDirectory() as name:
        rows = simulate(data, Path(name))
    print()
    table(
        ("turn", "decision", "AUROC, first", "AUROC, deployed", "detection, first", "deployed"),
        rows,
    )


def simulate(data: Path, folder: Path) -> list[tuple[str, ...]]:
    """Run the loop over all quarters; return its decisions and the figures of the next quarter."""
    field = pq.read_table(data / "url" / "field.parquet").filter(pc.field("ts") > 0)
    answers = pq.read_table(data / "teacher" / "url-threat.parquet")
    pq.write_table(answers.select(["url", "p_phishing"]), folder / "answers.parquet")
    (folder / "answers.toml").write_text(_ANSWERS)
    asked_about = pc.is_in(field.column("url"), value_set=answers.column("url"))
    starts_s = int(datetime(FIRST, 1, 1, tzinfo=UTC).timestamp())
    stream = field.filter(asked_about).filter(pc.field("ts") >= starts_s)
    (folder / "stream").mkdir()
    pq.write_table(stream.select(["url", "ts", "group"]), folder / "stream" / "urls.parquet")
    listed = field.filter(pc.invert(asked_about)).select(["url", "label", "ts", "group", "source"])
    pq.write_table(listed, folder / "listed.parquet")
    events = read_dataset([folder / "listed.parquet"], get_task("url-threat"))
    rng = np.random.default_rng(0)
    before = rng.permutation(np.flatnonzero(events.times < starts_s))[:MAX_START]
    fitted = fit_student(events.take(np.sort(before)), StudentSpec("ngram", folds=3))
    start = folder / "start.buckler"
    write_fitted(start, fitted, operating_point=OperatingPoint(fpr=FPR))
    settings = RefreshSettings(
        name="urls",
        start=str(start),
        events=[folder / "stream"],
        teacher=TeacherSection(kind="recorded", settings=folder / "answers.toml"),
        store=str(folder / "labels.db"),
        registry=str(folder / "registry"),
        folder=folder / "refresh",
        events_per_week=300,
    )
    first, found = load(start), []
    for year in range(FIRST, LAST + 1):
        for month in (1, 4, 7, 10):
            ends = _quarter(year, month, 1)
            result = refresh(settings, now=ends)
            test = _next_quarter(events, settings, ends, _quarter(year, month, 2), rng)
            with BundleRegistry(settings.registry, "urls").open_deployed() as path:
                deployed = load(path)
            figures = [_figures(scorer, test) for scorer in (first, deployed)]
            shown = (f"{figures[side][at]:.3f}" for at in (0, 1) for side in (0, 1))
            found.append((f"to {ends:%Y-%m}", result.action, *shown))
    return found


def _quarter(year: int, month: int, later: int) -> datetime:
    months = year * 12 + month - 1 + 3 * later
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _next_quarter(
    events: Dataset,
    settings: RefreshSettings,
    begins: datetime,
    ends: datetime,
    rng: np.random.Generator,
) -> Dataset:
    """Return listed URLs of a quarter, without the domains that were asked about."""
    asked = TurnLog.read(settings.folder).load_events(events.task)
    known = set() if asked is None else set(asked.groups)
    inside = (events.times >= begins.timestamp()) & (events.times < ends.timestamp())
    unseen = np.array([group not in known for group in events.groups], bool)
    return events.take(rng.permutation(np.flatnonzero(inside & unseen))[:MAX_TEST])


def _figures(scorer: Scorer, test: Dataset) -> tuple[float, float]:
    """Return AUROC, and detection at the target rate of this very test."""
    roc = Ranking(scorer.score(test.raw).scores, test.is_positive).roc()
    return auroc(roc), tpr_at_fpr(roc, FPR)
