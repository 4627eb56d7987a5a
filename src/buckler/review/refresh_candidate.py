"""Trains the candidate of a stream: the start, adapted to all answers, or the recipe run again."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.bundle.archive import Bundle, read_bundle
from buckler.bundle.writer import pack
from buckler.dataset import Dataset
from buckler.files import atomic_writer, write_atomically
from buckler.pipeline.adapt import start_student, task_to_adapt, write_adapted
from buckler.pipeline.recipe import LabelsSection, Recipe, read_recipe
from buckler.pipeline.run import run
from buckler.review.refresh_settings import RANDOM, RefreshSettings, has_role
from buckler.runtime.scorer import load_with_content
from buckler.tasks import Task, get_bundle_task
from buckler.training.adaptation import OwnEvents, fit_to_stream
from buckler.training.targets import held_out_rows

# Adapting solves a system of this size; older answers beyond it are left out.
MAX_TAUGHT = 1_500
_MAX_OTHERS = 20_000


class CandidateTrainer:
    """The way in which a stream's candidates are made.

    Parameters
    ----------
    settings
        Settings of the stream.

    Attributes
    ----------
    task
        Task of the bundles.

    Raises
    ------
    SettingsError
        If the start cannot be adapted, or the recipe makes no sense.
    """

    def __init__(self, settings: RefreshSettings) -> None:
        self._settings = settings
        self.task: Task
        self._recipe: Recipe | None = None
        self._content: Bundle | None = None
        if settings.recipe is not None:
            self._recipe = read_recipe(settings.recipe)
            self.task = self._recipe.load_task()
            return
        scorer, self._content = load_with_content(str(settings.start))
        task = get_bundle_task(scorer.manifest, settings.task)
        self.task = task_to_adapt(task, self._content)
        start_student(self.task, self._content)  # refuses what cannot be adapted

    def first(self) -> Bundle:
        """Return the bundle to deploy first: the start, or that of the recipe alone."""
        if self._recipe is None:
            return load_with_content(str(self._settings.start))[1]
        return self._run(self._recipe, None)

    def train(self, taught: Dataset, stream: Dataset, path: Path) -> Bundle:
        """Write a candidate that has learned these events; return it.

        Parameters
        ----------
        taught
            Events with an answer, with their roles.
        stream
            Events without one, on which the threshold rests.
        path
            File to write.

        Raises
        ------
        InputError
            If the answers are too few.
        """
        settings = self._settings
        if self._recipe is not None:
            bundle = self._run(self._recipe, taught)
            write_atomically(path, pack(bundle.entries))
            return bundle
        if len(taught) > MAX_TAUGHT:
            newest = np.argsort(-np.nan_to_num(taught.times), kind="stable")[:MAX_TAUGHT]
            taught = taught.take(np.sort(newest))
        rng = np.random.default_rng(settings.seed)
        others = rng.permutation(len(stream))[:_MAX_OTHERS]
        others = others[~held_out_rows(stream.take(others), settings.test_share)]
        own = OwnEvents(taught, has_role(taught, RANDOM), stream.take(np.sort(others)))
        fitted = fit_to_stream(
            start_student(self.task, self._content),
            own,
            target_fpr=settings.target_fpr,
            seed=settings.seed,
        )
        provenance = {"refreshed": f"{len(taught):,} events of the stream {settings.name}"}
        write_adapted(path, fitted, self._content, settings.target_fpr, provenance)
        return read_bundle(path)

    def _run(self, recipe: Recipe, taught: Dataset | None) -> Bundle:
        """Run the recipe, with the stream's events as further training rows."""
        settings = self._settings
        update: dict[str, object] = {"output": settings.folder / "run"}
        if taught is not None and len(taught):
            path, data = settings.folder / "taught.parquet", recipe.data
            columns = {data.text_column or self.task.text_columns[0]: taught.raw}
            if data.group_column or self.task.group_columns:
                group = data.group_column or self.task.group_columns[0]
                columns[group] = taught.table.column("group")
            with atomic_writer(path) as file:
                pq.write_table(pa.table(columns), file)
            update |= {
                "data": data.model_copy(update={"train": [*data.train, path]}),
                "labels": recipe.labels or LabelsSection(store=settings.store),
                # The tests decide on promotion, so nothing like them may be learned.
                "split": recipe.split.model_copy(update={"learn_dropped": False}),
            }
        return read_bundle(run(recipe.model_copy(update=update)).bundle)
