"""Runs a recipe: from events to a bundle and a report; each stage is done once for its inputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from buckler.bundle.archive import CARD, read_bundle
from buckler.bundle.manifest import AuxiliaryEntry, Manifest
from buckler.bundle.writer import write_bundle
from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.report import ReportFiles, ReportTable
from buckler.evaluation.robustness import Robustness, robustness_table
from buckler.files import check_settings, write_atomically
from buckler.pipeline.compare import (
    StudentComparison,
    attack_students,
    compare_students,
    comparison,
)
from buckler.pipeline.distill import ANNOTATED, Additions, DistillPool, split_labels_of_analysts
from buckler.pipeline.evaluate import (
    assess_scorer,
    headline,
    leak_notes,
    names_of,
    report_context,
    write_report,
)
from buckler.pipeline.fit_stages import FALSE_POSITIVES, LEARNED_LATER, FitAuxiliary, FitStudent
from buckler.pipeline.prepare import (
    ReadSources,
    Split,
    TrainingAndTest,
    ask_teacher,
    merge_annotations,
)
from buckler.pipeline.recipe import Recipe, read_recipe
from buckler.pipeline.stages import Result, StageReport, StageRunner
from buckler.pipeline.synthesis_stage import Synthesize
from buckler.runtime import Scorer
from buckler.training.auxiliary import AuxiliaryClassifiers, AuxiliaryFigures, auxiliary_table
from buckler.training.cross_validation import OnEpoch
from buckler.training.packaging import UNTREATED, BundleParts
from buckler.training.promotion import WORSE_THAN_LABELS, PairedComparison
from buckler.training.targets import AnalystLabels


@dataclass(frozen=True)
class Listener:
    """Functions that are called while a run works.

    Attributes
    ----------
    on_stage
        Called with the name of each stage before it begins.
    on_read
        Called with the number of bytes read since the last call.
    on_epoch
        Called after each epoch with the fold, the epoch, the loss and the validation loss.
    """

    on_stage: Callable[[str], None] = lambda _: None
    on_read: Callable[[int], None] | None = None
    on_epoch: OnEpoch | None = None


@dataclass(frozen=True)
class Run:
    """Outcome of a run.

    Attributes
    ----------
    bundle
        The bundle file.
    report
        Files of the report.
    assessment
        Figures on the test rows.
    operating_sentence
        The bundle's threshold and its effect, in words.
    stages
        Report of each stage, in order.
    comparison
        The student beside others; None where it learned from labels alone.
    robustness
        Detection under attack, where the recipe names attacks.
    auxiliary
        Figures of the auxiliary classifiers.
    analyst_labels
        Events that analysts labeled; None where the recipe names none.
    n_annotated
        Events of the pool with annotations that the student learned from.
    warning
        Sentence where a student of labels alone is clearly better on the test rows; empty
        elsewhere. The registry refuses such a bundle.
    """

    bundle: Path
    report: ReportFiles
    assessment: Evaluation
    operating_sentence: str
    stages: list[StageReport]
    comparison: ReportTable | None = None
    robustness: list[Robustness] = field(default_factory=list)
    auxiliary: tuple[AuxiliaryFigures, ...] = ()
    analyst_labels: AnalystLabels | None = None
    n_annotated: int = 0
    warning: str = ""


def run(recipe: Recipe | Path | str, listener: Listener = Listener()) -> Run:
    """Do all stages of a recipe that are not done yet.

    Parameters
    ----------
    recipe
        A recipe, or its file.
    listener
        Functions that are called while the run works.

    Raises
    ------
    BucklerError
        If the recipe, the data or the output folder do not allow it; finished stages stay.

    Examples
    --------
    ::

        done = buckler.run("buckler.toml")
        print(done.assessment.figures["auroc"], done.bundle)
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(Path(recipe))
    task = recipe.load_task()
    runner = StageRunner(recipe.output / "stages", task, listener.on_stage)
    sources = runner.run(ReadSources.of(recipe, task, listener.on_read))
    speeds = ask_teacher(runner, recipe, sources)
    labeled = merge_annotations(runner, recipe, sources)
    analysts = None
    if recipe.analyst_labels:
        analysts = split_labels_of_analysts(runner, recipe.analyst_labels, sources)
    split = runner.run(Split(sources, labeled, analysts, recipe.split, recipe.student.seed))
    synthesis = None
    if recipe.synthesis:
        synthesis = runner.run(Synthesize(split, recipe.synthesis, recipe.student.spec))
    additions = None
    if recipe.analyst_labels or recipe.synthesis or recipe.augmentation:
        additions = Additions.of(recipe, analysts, synthesis)

    distilled = None
    if recipe.pool:
        distilled = runner.run(DistillPool.of(recipe, sources, split, labeled, additions))
    stage = FitStudent.of(recipe, task, sources, split, labeled, distilled, additions)
    trained = runner.run(replace(stage, on_epoch=listener.on_epoch))
    student = trained.output
    classifiers = AuxiliaryClassifiers()
    if recipe.auxiliary:
        classifiers = runner.run(FitAuxiliary.of(recipe, split)).output
    bundle = student.tested.assemble()
    scorer = Scorer(bundle)
    test = split.output.test
    with runner.step("evaluate") as step:
        step.summary = {"test_rows": len(test)}
        slices, leaks = tuple(recipe.data.keep), split.output.leaks
        assessment = assess_scorer(
            scorer, test, leaks=leaks, slices=slices, n_resamples=recipe.evaluation.resamples
        )
    beside = StudentComparison()
    if recipe.labels or recipe.pool or recipe.synthesis or recipe.compare.upper_bound:
        beside = compare_students(runner, recipe, sources, split, bundle, assessment, speeds)
    robustness: list[Robustness] = []
    if recipe.evaluation.attacks:
        robustness = attack_students(runner, recipe, sources, split, scorer)
    path = recipe.output / f"{recipe.name or task.name}.buckler"
    table = comparison(beside.contenders, assessment) if beside.contenders else None
    notes = (
        *_label_notes(beside.against_labels),
        *_noise_notes(bundle.manifest),
        *beside.agreements,
        *_split_notes(split, learned_later=bool(trained.summary[LEARNED_LATER])),
        *leak_notes(split.output.leaks),
    )
    with runner.step("bundle"):
        scorer = _write_bundle(path, student.shipped, classifiers, assessment, beside.warning)
        write_atomically(recipe.output / FALSE_POSITIVES, student.false_positives)
        data = recipe.data.test or recipe.data.train
        tested_on = f"{len(test):,} rows from {names_of(data)}"
        context = replace(
            report_context(scorer, assessment, test, tested_on, notes),
            comparison=table,
            robustness=robustness_table(robustness) if robustness else None,
            auxiliary=auxiliary_table(classifiers.figures) if classifiers.figures else None,
        )
        report = write_report(assessment, context, recipe.output)
    return Run(
        bundle=path,
        report=report,
        assessment=assessment,
        operating_sentence=scorer.manifest.operating_sentence,
        stages=runner.reports,
        comparison=table,
        robustness=robustness,
        auxiliary=classifiers.figures,
        analyst_labels=None if analysts is None else analysts.output,
        n_annotated=0 if distilled is None else int(distilled.summary[ANNOTATED]),
        warning=beside.warning,
    )


def _label_notes(pair: PairedComparison | None) -> Iterator[str]:
    """Yield a sentence where the student is no better than one that learned from labels alone."""
    if pair is not None and pair.worse:
        yield (
            f"WARNING: a student that learned from labels alone is better on {pair.sentence()}. "
            "The registry refuses this bundle."
        )
    elif pair is not None and not pair.better:
        yield f"No clear gain over a student of labels alone on {pair.sentence()}."


def _noise_notes(manifest: Manifest) -> Iterator[str]:
    """Yield a sentence where the promised rate holds only without rows whose label looks wrong."""
    target = manifest.deployed_fpr
    found = None if target is None else manifest.provenance.get(f"{UNTREATED}{target:g}")
    if target is not None and isinstance(found, float) and found > 2 * target:
        yield (
            f"WARNING: the threshold for false positives of {target:g} detects {found:.3f} of all "
            "training rows that are not positive: the promise leaves out those whose label looks "
            "wrong. Look at them with `buckler labels noise`; if they are right, set noise to none."
        )


def _split_notes(split: Result[TrainingAndTest], *, learned_later: bool) -> Iterator[str]:
    """Yield a sentence on each kind of rows that the split left out."""
    if n := split.summary.get("test_rows_like_training"):
        yield f"{n:,} test rows that stand in the training data, or nearly do, were left out."
    if n := len(split.output.left_out):
        later = "; the bundle has learned them since, and keeps the thresholds"
        yield (
            f"{n:,} training rows share a text, a near-duplicate or a group with the test rows. "
            f"The student of these figures learned without them{later if learned_later else ''}."
        )


def _write_bundle(
    path: Path,
    student: BundleParts,
    auxiliary: AuxiliaryClassifiers,
    assessment: Evaluation,
    warning: str,
) -> Scorer:
    """Write the bundle with its auxiliary classifiers and test figures; load it as users will."""
    entries = tuple(AuxiliaryEntry(one.name, one.on) for one in auxiliary.figures)
    manifest = replace(student.manifest, metrics=headline(assessment), auxiliary=entries)
    if warning:
        manifest = replace(manifest, provenance={**manifest.provenance, WORSE_THAN_LABELS: warning})
    bundle = write_bundle(path, manifest, {**student.files, **auxiliary.files})
    write_atomically(path.parent / "card.md", bundle.entries[CARD])
    return Scorer(read_bundle(path))


def train(
    data: Sequence[Path],
    task: str,
    output: Path,
    *,
    test: Sequence[Path] = (),
    sections: Mapping[str, Mapping[str, object]] | None = None,
    listener: Listener = Listener(),
) -> Run:
    """Train, evaluate and bundle labeled files; `run` does the same from a recipe.

    Parameters
    ----------
    data
        Labeled files or folders.
    task
        Name of a task, or a .toml file.
    output
        Folder for bundle and report.
    test
        Test files; by default a fifth of the groups is held out.
    sections
        Sections of a recipe, such as ``{"student": {"family": "trees"}}``.
    listener
        Functions that are called while the run works.

    Raises
    ------
    BucklerError
        If a setting is not valid, or the data or the output folder do not allow the run.

    Examples
    --------
    ::

        done = buckler.train([Path("urls.csv")], "url-threat", Path("out"))
        scorer = buckler.load(done.bundle)
    """
    given = dict(sections or {})
    files = {"train": list(data), "test": list(test)}
    given["data"] = {**given.get("data", {}), **files}
    return run(check_settings({**given, "task": task, "output": output}, Recipe), listener)
