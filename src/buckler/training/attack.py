"""Attacks labeled events of files and measures what bundles still detect: `buckler attack`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from buckler.attacks import Attack, get_attacks
from buckler.bundle.manifest import Manifest
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.evaluation.report import ReportFiles
from buckler.evaluation.robustness import Robustness, robustness_html, robustness_json
from buckler.files import path_text
from buckler.labels import LabelStore
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.synthesis.paraphrase import NAME, Paraphraser
from buckler.synthesis.text_orders import get_writing_model
from buckler.tasks import get_bundle_task
from buckler.teachers.budget import Account, Budget, Spending
from buckler.training.augmentation import MAX_ATTACKED, attack_scorers, attacked_texts


@dataclass(frozen=True)
class AttackSettings:
    """Settings of `attack`.

    Attributes
    ----------
    names
        Names of the attacks; ``all`` for every attack on the task's medium.
    beside
        Further bundles, attacked in the same way.
    task
        Task file, where the bundle's task is your own.
    paraphrase, paraphrase_settings
        Language model that also paraphrases the events, and its settings file.
    store, budget
        Label store that keeps paid answers, and limits of cost.
    columns, format
        Columns, and the format of every file.
    max_events
        Events to attack at most.
    seed
        Random seed.
    """

    names: Sequence[str] = ("all",)
    beside: Sequence[Path] = ()
    task: str | None = None
    paraphrase: str | None = None
    paraphrase_settings: Path | None = None
    store: str = "labels.db"
    budget: Budget = field(default_factory=Budget)
    columns: ColumnNames = field(default_factory=ColumnNames)
    format: str | None = None
    max_events: int = MAX_ATTACKED
    seed: int = 0


@dataclass(frozen=True)
class AttackReport:
    """Result of `attack`.

    Attributes
    ----------
    models
        Robustness of each bundle.
    account
        Cost of the paraphrases; None where none was asked for.
    files
        Report files; None where no folder was named.
    """

    models: list[Robustness]
    account: Account | None = None
    files: ReportFiles | None = None


def attack(
    bundle: Path,
    data: Sequence[Path],
    output: Path | None = None,
    settings: AttackSettings = AttackSettings(),
    *,
    on_progress: Callable[[str], None] = lambda _: None,
) -> AttackReport:
    """Attack positive events and measure what bundles still detect.

    Parameters
    ----------
    bundle
        Bundle file.
    data
        Files or folders of labeled test events.
    output
        Folder for ``attack.json`` and ``attack.html``.
    settings
        Attacks, further bundles, limits and columns.
    on_progress
        Called with the name of the current step.

    Raises
    ------
    BucklerError
        If an input or a setting is not valid.
    """
    scorers = {bundle.stem: (scorer := load(bundle))}
    for path in settings.beside:
        scorers[path.stem if path.stem not in scorers else str(path)] = load(path)
    events = _read(scorer.manifest, data, settings)
    attacks, account = get_attacks(settings.names, events.task.medium), None
    if settings.paraphrase is not None:
        with _open_paraphraser(events, settings, on_progress) as paraphraser:
            texts = attacked_texts(events, seed=settings.seed, max_events=settings.max_events)
            attacks = [*attacks, paraphraser.attack(texts)]
            account = paraphraser.account
    models = attack_scorers(
        scorers,
        events,
        attacks,
        seed=settings.seed,
        max_events=settings.max_events,
        on_attack=on_progress,
    )
    if output is None:
        return AttackReport(models, account)
    names = ", ".join(path_text(path.name) for path in data)
    lead = f"{events.task.description}. {names}; seed {settings.seed}."
    files = ReportFiles.write(
        output / "attack",
        robustness_json(models),
        lambda: robustness_html(f"Attacks on {bundle.stem}", lead, models),
    )
    return AttackReport(models, account, files)


def estimate_attack(
    bundle: Path, data: Sequence[Path], settings: AttackSettings
) -> tuple[int, Spending]:
    """Return the number of calls for paraphrases, and their probable cost."""
    if settings.paraphrase is None:
        return 0, Spending()
    events = _read(load(bundle).manifest, data, settings)
    with _open_paraphraser(events, settings, lambda _: None) as paraphraser:
        return paraphraser.estimate(
            attacked_texts(events, seed=settings.seed, max_events=settings.max_events)
        )


def list_attacks(bundle: Path, task: str | None = None) -> list[Attack]:
    """Return every attack on the events of a bundle's task."""
    return get_attacks(["all"], get_bundle_task(load(bundle).manifest, task).medium)


def _read(manifest: Manifest, data: Sequence[Path], settings: AttackSettings) -> Dataset:
    task = get_bundle_task(manifest, settings.task)
    get_attacks(settings.names, task.medium)  # refuses unknown names before any work
    with Quarantine() as quarantine:
        return read_dataset(
            data, task, settings.columns, format_name=settings.format, quarantine=quarantine
        )


@contextmanager
def _open_paraphraser(
    events: Dataset, settings: AttackSettings, on_progress: Callable[[str], None]
) -> Iterator[Paraphraser]:
    model = get_writing_model(str(settings.paraphrase), settings.paraphrase_settings, events.task)
    model.check_budget(settings.budget)

    def report(account: Account, _: int) -> None:
        spent = account.spent
        on_progress(f"{NAME}: {spent.events:,} calls, {spent.cost_usd:.4f} USD")

    with LabelStore(settings.store) as store:
        yield Paraphraser(model, events.task, store, budget=settings.budget, on_progress=report)
