"""Fake login pages: the gain from synthetic examples beside mails, on real pages and unseen
brands.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import table
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.public_data import get_public_data
from buckler.dataset.splits import OnLeak, check_leaks, deduplicate
from buckler.errors import BucklerError
from buckler.evaluation.intervals import Rate, rate
from buckler.evaluation.metrics import Ranking, auroc
from buckler.operating_point import OperatingPoint
from buckler.runtime import Scorer, load
from buckler.synthesis.generate import GenerationSettings, generate_examples
from buckler.synthesis.generator import get_generator
from buckler.synthesis.synthetic_examples import as_dataset
from buckler.synthesis.template import Template, read_template
from buckler.tasks import get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.noise import Noise
from buckler.training.packaging import write_fitted

HTML = get_task("html")
UNSEEN = {
    "brand": {"docusign", "ebay", "yahoo", "steam", "telegram"},
    "bank": {"hsbc", "bbva"},
    "carrier": {"laposte", "correos"},
    "wallet": {"binance"},
}
SETTINGS = {"min_order": 3, "dropout": 0.3}
FPR, N_SYNTHETIC_EXAMPLES = 0.01, 4000


def run(data: Path) -> None:
    """Print the table."""
    mails = [
        read_dataset([data / "email" / f"{side}.parquet"], HTML, format_name="mail-html")
        for side in ("train", "test")
    ]
    train, _ = check_leaks(deduplicate(mails[0], near=False).events, mails[1], OnLeak.DROP)
    template = read_template(HTML)
    seen = [c for c in template.combinations if not _is_unseen(c.attributes)]
    known = _synthetic_examples(
        Template(HTML, seen, template.slots), train, N_SYNTHETIC_EXAMPLES, seed=0
    )
    new = _synthetic_examples(
        Template(
            HTML, [c for c in template.combinations if _is_unseen(c.attributes)], template.slots
        ),
        train,
        800,
        seed=1,
    )
    templates = _templates()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, extra in (("mails", None), ("mails and synthetic examples", known)):
            path = Path(folder) / "html.buckler"
            fitted = fit_student(
                train, StudentSpec("ngram", SETTINGS, folds=5, noise=Noise.DOUBT), additional=extra
            )
            write_fitted(path, fitted, operating_point=OperatingPoint(fpr=FPR))
            rows.append([name, *_figures(load(path), mails[1], new, templates)])
    print(f"{len(known):,} synthetic examples of seen brands, {len(new):,} of unseen ones")
    table(
        [
            "learned from",
            "HTML of later mails: AUROC",
            "detection",
            "false positives",
            "fakes of unseen brands: detection",
            "their own pages: false positives",
            "page templates: false positives",
            "of those that ask for a password",
        ],
        rows,
    )


def _is_unseen(attributes: dict[str, str]) -> bool:
    return any(attributes.get(name) in values for name, values in UNSEEN.items())


def _synthetic_examples(template: Template, real: Dataset, number: int, seed: int) -> Dataset:
    generator = get_generator("grammar", template, real, seed)
    written = generate_examples(generator, GenerationSettings(number, seed=seed))
    return as_dataset(written.synthetic_examples, HTML)


def _templates() -> Dataset | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.parquet"
        try:
            get_public_data("page-templates", path)
        except BucklerError as error:
            print(f"no page templates: {error}")
            return None
        return read_dataset([path], HTML, ColumnNames(keep=("asks",)))


def _figures(scorer: Scorer, mails: Dataset, new: Dataset, templates: Dataset | None) -> list[str]:
    score = scorer.score(mails.raw).scores
    detections = _detections(scorer, mails)
    positive = mails.labels == 1
    fakes = _detections(scorer, new)
    cells = [
        f"{auroc(Ranking(score, positive).roc()):.3f}",
        _share(rate(detections[positive])),
        _share(rate(detections[~positive])),
        _share(rate(fakes[new.labels == 1])),
        _share(rate(fakes[new.labels == 0])),
    ]
    if templates is None:
        return [*cells, "-", "-"]
    on_templates = _detections(scorer, templates)
    asks = templates.column("asks") == "a password"
    return [*cells, _share(rate(on_templates)), _share(rate(on_templates[asks]))]


def _detections(scorer: Scorer, events: Dataset) -> np.ndarray:
    return scorer.score(events.raw).detected


def _share(value: Rate) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f}, n={value.n_rows})"
