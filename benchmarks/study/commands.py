"""Command lines of real telemetry: half of the annotations of an LLM teach, half measure."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.study.results import Figures, Loader, Study, Table
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.sources import balance_sources
from buckler.dataset.splits import unlike
from buckler.evaluation.calibration import probabilities_of
from buckler.evaluation.intervals import Mean
from buckler.evaluation.metrics import Ranking, auroc
from buckler.students import get_student
from buckler.tasks import get_task
from buckler.training.auxiliary import AuxiliarySettings, fit_auxiliary
from buckler.training.cross_validation import StudentSpec

VERSION = 2
TASK = get_task("command-line")
FPR = 0.01
DUAL = 0.2  # within this of one half, the LLM calls a line dual use
_SETTINGS: dict[str, object] = {"epochs": 4, "segments": "max"}
_WEIGHT = 4.0  # of an annotation beside a label
_SQRT = 0.5
_ROWS = {
    "labels": "labels only",
    "100": "and 100 annotations of telemetry",
    "half": "and half of the annotations of telemetry, by log",
    "half, sqrt": "the same, sources weighted by 1 / sqrt(size)",
    "collections, labels": "labels only, by collection",
    "collections": "and the annotations of the other collections",
}

_TECHNIQUES = {
    "labels": "labels",
    "LLM": "techniques that the LLM names",
    "both": "both; where both name one, the LLM",
}
_MEASURES = ("right", "among three")

Rows = npt.NDArray[np.intp]


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the table."""
    loader = Loader(lambda: _World(study.data))
    names = ("agreement", "benign", "malicious", "dual", "dual score", "test")
    rows = study.rows(
        "commands", VERSION, _ROWS, lambda name, seed: _figures(loader.world, name, seed), names
    )
    note = (
        "On telemetry whose annotation no student learned: AUROC against the LLM's answer (dual "
        "use left out), and the shares detected of lines that it calls benign, malicious and dual "
        "use, at a threshold of 1 in 100 benign lines of `command_line/test`; the mean score of "
        "dual use; AUROC on that test against its labels. Each seed halves the logs anew. The last "
        "two rows measure each of five collections by a student that learned no annotation of it."
    )
    measures = ("AUROC, telemetry", "benign", "malicious", "dual use", "its score", "AUROC, test")
    head = ("learned from", *measures)
    telemetry = Table("Command lines of telemetry", note, head, rows)
    return [telemetry, _techniques(study)]


def _techniques(study: Study) -> Table:
    """Return the table of an auxiliary classifier that learns techniques from labels and LLM."""
    loader = Loader(lambda: _TechniqueWorld(study.data))
    rows = []
    for name, title in _TECHNIQUES.items():

        def compute(seed: int, name: str = name) -> Figures:
            world = loader.world
            question = AuxiliarySettings(name="technique", on="all", separator=",", cut_at=".")
            spec = StudentSpec("ngram", {}, folds=3, seed=seed)
            (figures,) = fit_auxiliary(world.learned(name), world.test, [question], spec, 2).figures
            value = {measure: figures.measures[measure].value for measure in _MEASURES}
            return value | {"rows": figures.training_rows, "classes": figures.n_classes}

        found = study.by_seed("techniques", VERSION, name, compute)
        counts = (f"{found[0][count]:,.0f}" for count in ("rows", "classes"))
        rows.append((title, *counts, *(str(Mean.of([f[m] for f in found])) for m in _MEASURES)))
    note = (
        "Technique of the 678 lines of `command_line/test` that name one: share of right answers, "
        "and of lines whose technique is among three. Test groups are sub-techniques that no "
        "labeled training line has. Techniques with 20 lines or more are learned."
    )
    head = ("learned from", "lines", "techniques", "right", "among three")
    return Table("Techniques", note, head, rows)


class _TechniqueWorld:
    """Lines with a technique: by their labels, and by the LLM."""

    def __init__(self, data: Path) -> None:
        columns, folder = ColumnNames(keep=("technique",)), data / "command_line"
        self.test = read_dataset([folder / "test.parquet"], TASK, columns)
        labeled = read_dataset([folder / "labelled.parquet"], TASK, columns).without_labels()
        recorded = data / "teacher" / "command-line.parquet"
        answers = read_dataset([recorded], TASK, columns, labeled=False)
        answers = answers.take(unlike(answers, self.test))
        named = set(answers.take(np.flatnonzero(answers.column("technique") != "")).ids)
        rest = np.flatnonzero([i not in named for i in labeled.ids])
        self._parts = {"labels": labeled, "LLM": answers}
        self._both = Dataset.concat([labeled.take(rest), answers])

    def learned(self, name: str) -> Dataset:
        """Return the lines to learn."""
        return self._parts.get(name, self._both)


class _World:
    """The data, read once."""

    def __init__(self, data: Path) -> None:
        folder = data / "command_line"
        self.train = read_dataset([folder / "labelled.parquet"], TASK)
        self.test = read_dataset([folder / "test.parquet"], TASK)
        recorded = data / "teacher" / "command-line.parquet"
        table = pq.read_table(recorded, columns=["p_malicious", "prompt_version"]).to_pydict()
        annotated = read_dataset([recorded], TASK, labeled=False)
        p = np.array(table["p_malicious"], np.float32)
        # Later versions of the prompt asked about lines that have labels.
        versions = np.array(table["prompt_version"])
        telemetry = np.flatnonzero(versions != "command-line/zero-shot-3")
        rows = telemetry[unlike(annotated.take(telemetry), self.test)]
        targets = np.stack([1 - p, p], axis=1)[rows]
        labels = targets.argmax(axis=1).astype(np.int32)
        self.telemetry = annotated.take(rows).with_labels(labels).with_targets(targets)
        self.p = p[rows]


def _figures(world: _World, name: str, seed: int) -> Figures:
    telemetry = world.telemetry
    codes = telemetry.group_codes()
    logs = np.random.default_rng(seed).permutation(codes.max() + 1)
    teaches = np.isin(codes, logs[::2])
    if name.startswith("collections"):
        sources = telemetry.sources.astype(str)
        found: list[Figures] = []
        for source in np.unique(sources):
            taught = np.flatnonzero(sources != source)
            apart = np.flatnonzero((sources == source) & ~np.isin(codes, codes[taught]))
            taught = taught[:0] if name.endswith("labels") else taught
            found.append(_measure(world, taught, apart, name, seed))
        return {key: float(np.nanmean([f[key] for f in found])) for key in found[0]}
    taught = np.flatnonzero(teaches)
    if name == "100":
        taught = np.random.default_rng(seed).permutation(taught)[:100]
    elif name == "labels":
        taught = taught[:0]
    return _measure(world, taught, np.flatnonzero(~teaches), name, seed)


def _measure(world: _World, taught: Rows, measured: Rows, name: str, seed: int) -> Figures:
    power = _SQRT if name.endswith("sqrt") else 0.0
    annotations = balance_sources(world.telemetry.take(taught), power)
    examples = [balance_sources(world.train, power)]
    if len(taught):
        examples.append(annotations.with_weights(annotations.weights * _WEIGHT))
    student = get_student("ngram", {**_SETTINGS, "seed": seed}).fit(Dataset.concat(examples))
    on_test = probabilities_of(student.predict_logits(world.test.texts))[:, 1]
    is_malicious = world.test.is_positive
    threshold = float(np.quantile(on_test[~is_malicious], 1 - FPR, method="higher"))
    score = probabilities_of(student.predict_logits(world.telemetry.take(measured).texts))[:, 1]
    p = world.p[measured]
    clear = np.abs(p - 0.5) > DUAL
    detected = score > threshold
    return {
        "agreement": auroc(Ranking(score[clear], p[clear] > 0.5).roc()),
        "benign": float(detected[clear & (p < 0.5)].mean()),
        "malicious": float(detected[clear & (p > 0.5)].mean()),
        "dual": float(detected[~clear].mean()),
        "dual score": float(score[~clear].mean()),
        "test": auroc(Ranking(on_test, is_malicious).roc()),
    }
