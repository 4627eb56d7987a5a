"""Part 4: the gain from synthetic examples on kinds of attack that no label shows."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.study.results import Figures, Results, Study, Table
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.evaluation.intervals import Mean
from buckler.synthesis.generate import GenerationSettings, generate_examples
from buckler.synthesis.generator import get_generator
from buckler.synthesis.template import read_template
from buckler.tasks import Task, get_task
from buckler.training.synthesis_trial import HeldOutKind, TrialSettings, find_kind, run_trial

VERSION = 1
NUMBER = 2000
# Held out: ATT&CK techniques with all their sub-techniques, several where they are alike.
TECHNIQUES = {
    "scheduled tasks (T1053)": {"T1053"},
    "download of tools (T1105)": {"T1105"},
    "credential dumping (T1003)": {"T1003"},
    "signed programs as proxies (T1218)": {"T1218"},
    "deleting backups and traces (T1490, T1070)": {"T1490", "T1070"},
    "turning off defenses (T1562, T1685, T1686)": {"T1562", "T1685", "T1686"},
    "accounts (T1136, T1087, T1098)": {"T1136", "T1087", "T1098"},
    "registry and run keys (T1112, T1547)": {"T1112", "T1547"},
}
# Pretexts of phishing mails, by words in subject and text.
PRETEXTS = {
    "parcel": r"parcel|shipment|deliver|\bdhl\b|fedex|\busps\b|encomenda|colis|paket",
    "prize": r"winner|prize|congratulation|reward|gift card|survey|lottery",
    "crypto": r"bitcoin|wallet|crypto|metamask|ledger|\bbtc\b|airdrop",
    "storage": r"storage|mailbox|quota|icloud",
    "account": r"verify your|suspended|unusual sign|confirm your|account has been",
    "fortune": r"beneficiary|million|inheritance|compensation fund|donation",
}


def run(study: Study) -> list[Table]:
    """Compute what is not known yet, and return the tables."""
    seeds = max(study.seeds, 5)  # the intervals of fewer are too wide to say anything
    commands = _Part(
        get_task("command-line"),
        study.data / "command_line" / "labelled.parquet",
        ("technique",),
        list(TECHNIQUES),
        _has_technique,
        "Whole techniques held out",
    )
    mails = _Part(
        get_task("email"),
        study.data / "email" / "train.parquet",
        (),
        list(PRETEXTS),
        _has_pretext,
        "Whole pretexts held out",
    )
    return [part.table(study.results, seeds, study.on_step) for part in (commands, mails)]


class _Part:
    """One task, with the kinds of event that are held out in turn."""

    def __init__(
        self,
        task: Task,
        path: Path,
        keep: tuple[str, ...],
        kinds: list[str],
        is_kind: Callable[[Dataset, str], npt.NDArray[np.bool_]],
        title: str,
    ) -> None:
        self._task, self._path, self._keep = task, path, keep
        self._kinds, self._is_kind, self._title = kinds, is_kind, title
        self._events: Dataset | None = None

    def table(self, results: Results, seeds: int, on_step: Callable[[str], None]) -> Table:
        rows = []
        for kind in [*self._kinds, ""]:

            def compute(kind: str = kind) -> Figures:
                on_step(f"coverage, {self._task.name}: {kind or 'nothing held out'}")
                return self._figures(kind, seeds)

            found = results.once(
                compute,
                part="coverage",
                version=VERSION,
                task=self._task.name,
                kind=kind,
                seeds=seeds,
            )
            gain = Mean.of([found[f"gain {s}"] for s in range(seeds)])
            rows.append(
                (
                    kind or "nothing held out",
                    f"{found['rows']:,.0f}",
                    str(Mean.of([found[f"without {s}"] for s in range(seeds)])),
                    str(Mean.of([found[f"with {s}"] for s in range(seeds)])),
                    f"{gain.value:+.3f} ± {gain.half_width:.3f}",
                    "kept" if gain.above_zero else "discarded",
                    f"{found['real_vs_synthetic']:.3f}",
                )
            )
        note = (
            f"Detection at FPR 1e-2 of real events of a kind that neither student has seen, with "
            f"and without {NUMBER:,} synthetic examples by the grammar of the task's template; "
            f"{seeds} splits "
            "by group. The last column is the AUROC of a classifier that tells synthetic examples "
            "from real events."
        )
        head = (
            "held out",
            "real events",
            "without",
            "with",
            "gain",
            "outcome",
            "real-vs-synthetic AUROC",
        )
        return Table(f"{self._title}: {self._task.name}", note, head, rows)

    def _figures(self, kind: str, seeds: int) -> Figures:
        if self._events is None:
            self._events = read_dataset([self._path], self._task, ColumnNames(keep=self._keep))
        real = self._events
        unseen = self._is_kind(real, kind) if kind else np.zeros(len(real), bool)
        template = read_template(self._task)
        seen = real.take(np.flatnonzero(~unseen))
        generator = get_generator("grammar", template, seen, 0)
        written = generate_examples(generator, GenerationSettings(NUMBER))
        trial = run_trial(
            real,
            written.synthetic_examples,
            settings=TrialSettings(seeds),
            held_out=HeldOutKind(kind, unseen) if kind else None,
        )
        without = trial.without_examples[trial.measure]
        beside = trial.with_examples[trial.measure]
        found = {f"without {s}": without[s] for s in range(seeds)}
        found |= {f"with {s}": beside[s] for s in range(seeds)}
        found |= {f"gain {s}": beside[s] - without[s] for s in range(seeds)}
        aurocs = written.report.real_vs_synthetic_auroc
        auroc = aurocs[self._task.positive[-1]].value if self._task.positive[-1] in aurocs else None
        positive = self._task.positive_indices
        rows = unseen.sum() if kind else np.isin(real.labels, positive).sum()
        return found | {
            "rows": float(rows),
            "real_vs_synthetic": float("nan") if auroc is None else auroc,
        }


def _has_technique(events: Dataset, kind: str) -> npt.NDArray[np.bool_]:
    named = find_kind(events, f"technique={','.join(sorted(TECHNIQUES[kind]))}")
    return np.asarray(named.rows & (events.labels == 1))


def _has_pretext(events: Dataset, kind: str) -> npt.NDArray[np.bool_]:
    pattern = re.compile(PRETEXTS[kind], re.IGNORECASE)
    texts = [events.task.readable(raw)[:5000] for raw in events.raw_texts]
    phishing = events.labels == events.task.class_names.index("phishing")
    matches = np.array([bool(pattern.search(text)) for text in texts], bool)
    return np.asarray(matches & phishing)
