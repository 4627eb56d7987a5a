"""Writes synthetic examples from files of real events: what `buckler synthesize` does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import SettingsError
from buckler.labels import LabelStore
from buckler.labels.merging import Merge
from buckler.readers.quarantine import Quarantine
from buckler.synthesis.filters import FilteredDrafts, FilterSettings
from buckler.synthesis.generate import GenerationSettings, generate_examples, spread_drafts
from buckler.synthesis.generator import GENERATORS, Generator, get_generator
from buckler.synthesis.llm_generator import LanguageModelGenerator
from buckler.synthesis.synthesis_report import SynthesisReport
from buckler.synthesis.synthetic_examples import SyntheticExample, write_synthetic_examples
from buckler.synthesis.template import Template, read_template
from buckler.synthesis.text_orders import get_writing_model
from buckler.synthesis.verifiers import Verifier, student_verifier, teacher_verifier
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Account, Budget, Spending
from buckler.training.synthesis_loop import Gaps, close_loop, focus_drafts
from buckler.training.synthesis_trial import (
    HeldOutKind,
    TrialSettings,
    find_kind,
    parse_kind,
    run_trial,
)
from buckler.training.targets import with_annotations

LANGUAGE_MODELS = ("chat", "anthropic", "gguf")


@dataclass(frozen=True)
class SynthesisSettings:
    """Settings of `synthesize`.

    Attributes
    ----------
    number
        Synthetic examples to write at most.
    generator
        Name of a generator, or of a language model; by default ``crossover`` for rows of features
        and ``grammar`` for texts.
    generator_settings
        Settings file of the language model.
    template
        Template file; by default the task's own.
    only
        Attribute -> values: write for these combinations of the template only.
    verifier
        Source that must confirm the class: ``student``, ``none``, or the name of a teacher.
    verifier_settings
        Settings file of that teacher.
    filters
        Limits of the filters.
    trial
        Settings of the trial; None goes without.
    hold_out
        ``COLUMN=VALUE,VALUE``: real events of this kind teach neither generator nor student, and
        the trial measures their detection.
    apart_from
        Files of further real events, such as a test, that no synthetic example may repeat.
    turns
        Turns of the closed loop, which writes for what the student gets wrong; 0 writes once.
    store, budget
        Label store that keeps paid answers, and limits of cost.
    columns, format
        Columns, and the format of every file.
    seed
        Random seed.
    """

    number: int = 1000
    generator: str | None = None
    generator_settings: Path | None = None
    template: Path | None = None
    only: Mapping[str, set[str]] = field(default_factory=dict)
    verifier: str = "student"
    verifier_settings: Path | None = None
    filters: FilterSettings = field(default_factory=FilterSettings)
    trial: TrialSettings | None = None
    hold_out: str | None = None
    apart_from: Sequence[Path] = ()
    turns: int = 0
    store: str = "labels.db"
    budget: Budget = field(default_factory=Budget)
    columns: ColumnNames = field(default_factory=ColumnNames)
    format: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class SynthesisResult:
    """Result of `synthesize`.

    Attributes
    ----------
    synthetic_examples
        Examples to keep; none where the trial shows no gain.
    report
        Counts and figures.
    account
        Cost of the language model; None where none was asked.
    quarantine
        Summary of the rows that could not be read; empty where there are none.
    """

    synthetic_examples: list[SyntheticExample]
    report: SynthesisReport
    account: Account | None = None
    quarantine: str = ""


def synthesize(
    data: Sequence[Path],
    task: str,
    output: Path | None = None,
    settings: SynthesisSettings = SynthesisSettings(),
    *,
    on_progress: Callable[[str], None] = lambda _: None,
) -> SynthesisResult:
    """Write synthetic examples, filter them, and measure on request whether they help.

    Parameters
    ----------
    data
        Files or folders of labeled real events: seeds, and the data that examples must fit.
    task
        Name of a task, or path of a task file.
    output
        Parquet file of synthetic examples to write.
    settings
        Generator, filters, trial, limits and columns.
    on_progress
        Called with a line about the current step.

    Raises
    ------
    BucklerError
        If an input or a setting is not valid.
    """
    with Quarantine() as quarantine:
        session = _Session(data, task, settings, quarantine)
        write = _write_in_turns if settings.turns else _write_once
        result = write(session, on_progress)
        if output is not None:
            write_synthetic_examples(
                output, result.synthetic_examples, session.template.task, result.report
            )
        bad_rows = quarantine.summary() if quarantine.count else ""
    return replace(result, quarantine=bad_rows)


def _write_once(session: "_Session", on_progress: Callable[[str], None]) -> SynthesisResult:
    """Write, filter, and try the examples where that is asked for."""
    settings = session.settings
    on_progress("writing")
    with session.open_generator(on_progress) as generator:
        written = generate_examples(
            generator,
            session.generation,
            verifier=session.verifier(),
            apart_from=session.apart_from,
            on_draft=lambda n: on_progress(f"writing: {n:,} drafts"),
        )
        account = generator.account if isinstance(generator, LanguageModelGenerator) else None
    examples, report = written.synthetic_examples, written.report
    if (chosen := settings.trial) is not None and examples:
        trial = run_trial(
            session.real,
            examples,
            session.family,
            settings=chosen,
            held_out=session.held_out,
            on_seed=lambda n: on_progress(f"trial: {n} of {chosen.seeds} seeds"),
        )
        report = report.model_copy(update={"trial": trial})
        examples = examples if trial.kept else []
    return SynthesisResult(examples, report, account)


def _write_in_turns(session: "_Session", on_progress: Callable[[str], None]) -> SynthesisResult:
    """Close the loop: each turn writes for the errors of a student that learned the earlier ones.

    Raises
    ------
    SettingsError
        If the template writes no class that the student gets wrong.
    """
    settings = session.settings
    known = {combination.label for combination in session.template.combinations}

    def write(learned: Dataset, gaps: Gaps, turn: int) -> tuple[FilteredDrafts, float]:
        labels = {str(name) for name in gaps.events.label_names} & known
        if not labels:
            raise SettingsError("the template writes no class that the student gets wrong")
        real, seed = Dataset.concat([learned, gaps.events]), settings.seed + turn
        generation = GenerationSettings(settings.number, filters=settings.filters, seed=seed)
        template, before = session.template.matching({"class": labels}), settings.budget.spent
        with session.open_generator(on_progress, template, real, seed) as generator:
            generator.seed_rows = np.arange(len(learned), len(real))
            counts = None
            if not isinstance(generator, LanguageModelGenerator):
                counts = focus_drafts(generator, gaps, generation.n_drafts)
            written = generate_examples(
                generator,
                generation,
                verifier=session.verifier(),
                apart_from=session.apart_from,
                counts=counts,
            )
        return written, (settings.budget.spent - before).cost_usd

    looped = close_loop(
        session.real_with_annotations(),
        write,
        settings.turns,
        session.family,
        settings.trial or TrialSettings(),
        seed=settings.seed,
        on_progress=on_progress,
    )
    return SynthesisResult(looped.examples, looped.report)


def estimate_synthesis(
    data: Sequence[Path], task: str, settings: SynthesisSettings
) -> tuple[int, Spending]:
    """Return the number of calls that `synthesize` makes, and their probable cost.

    Raises
    ------
    SettingsError
        If the generator costs nothing.
    """
    session = _Session(data, task, settings)
    with session.open_generator(lambda _: None) as generator:
        if not isinstance(generator, LanguageModelGenerator):
            raise SettingsError("this generator costs nothing: there is nothing to estimate")
        return generator.estimate(spread_drafts(session.template, session.generation.n_drafts))


class _Session:
    """Real events, template and generator of one call."""

    def __init__(
        self,
        data: Sequence[Path],
        task: str,
        settings: SynthesisSettings,
        quarantine: Quarantine | None = None,
    ) -> None:
        self.settings, self._task = settings, get_task(task)
        self.family = "trees" if self._task.features else "ngram"
        template = read_template(self._task, settings.template)
        self.template: Template = template.matching(settings.only) if settings.only else template
        self.generation = GenerationSettings(
            settings.number, filters=settings.filters, seed=settings.seed
        )
        keep = {name for c in self.template.combinations for name in c.attributes}
        if settings.hold_out:
            keep.add(parse_kind(settings.hold_out)[0])
        columns = replace(settings.columns, keep=tuple(sorted(keep | {*settings.columns.keep})))
        read = partial(read_dataset, task=self._task, columns=columns, format_name=settings.format)
        self.real: Dataset = read(data, quarantine=quarantine)
        self.held_out: HeldOutKind | None = None
        self.seen = self.real
        if settings.hold_out:
            self.held_out = find_kind(self.real, settings.hold_out)
            self.seen = self.real.take(np.flatnonzero(~self.held_out.rows))
        self.apart_from: Dataset | None = read(settings.apart_from) if settings.apart_from else None

    def verifier(self) -> Verifier | None:
        name, seed = self.settings.verifier, self.settings.seed
        if name == "none":
            return None
        if name == "student":
            return student_verifier(self.seen, seed)
        teacher = get_teacher(name, self.settings.verifier_settings, self._task)
        return teacher_verifier(teacher, len(self._task.classes))

    def real_with_annotations(self) -> Dataset:
        """Return the real events; those without a label have the annotations of the store."""
        where = self.settings.store
        if "://" not in where and not Path(where).exists():
            return self.real
        with LabelStore(where) as store:
            return with_annotations(self.real, store, Merge.MEAN, required=False)[0]

    @contextmanager
    def open_generator(
        self,
        on_progress: Callable[[str], None],
        template: Template | None = None,
        real: Dataset | None = None,
        seed: int | None = None,
    ) -> Iterator[Generator]:
        """Give the generator, of all combinations and real events by default."""
        settings = self.settings
        template, real = template or self.template, self.seen if real is None else real
        seed = settings.seed if seed is None else seed
        kind = settings.generator or ("crossover" if self._task.features else "grammar")
        if kind not in LANGUAGE_MODELS:
            if kind not in GENERATORS.names():
                known = ", ".join([*GENERATORS.names(), *LANGUAGE_MODELS])
                raise SettingsError(
                    f"unknown generator {kind!r}; there are: {known}", field="generator"
                )
            yield get_generator(kind, template, real, seed)
            return
        model = get_writing_model(kind, settings.generator_settings, self._task)
        model.check_budget(settings.budget)

        def report(account: Account, n_orders: int) -> None:
            cost = f"{account.spent.cost_usd:.4f} USD"
            on_progress(f"writing: {account.spent.events:,} of {n_orders:,} calls, {cost}")

        with LabelStore(settings.store) as store:
            yield LanguageModelGenerator(
                model,
                template,
                real,
                store,
                seed=seed,
                budget=settings.budget,
                on_progress=report,
            )
