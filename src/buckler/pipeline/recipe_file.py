"""Reads `buckler.toml`: what belongs together must agree, and paths are beside the file."""

from pathlib import Path

from buckler.errors import SettingsError
from buckler.pipeline.recipe import Recipe
from buckler.settings_file import read_settings


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it become relative to its folder.

    Raises
    ------
    SettingsError
        If it cannot be read, or says what cannot be.
    """
    recipe = read_settings(path, Recipe)
    names = [head.name for head in recipe.head]
    if len(set(names)) < len(names):
        raise SettingsError(f"{path}: head: every head needs a name of its own")
    base = path.parent
    recipe.data.train = [base / p for p in recipe.data.train]
    recipe.data.test = [base / p for p in recipe.data.test]
    recipe.output = base / recipe.output
    if recipe.student.settings.get("pretrained"):
        path = base / str(recipe.student.settings["pretrained"])
        recipe.student = recipe.student.model_copy(update={"pretrained": str(path)})
    if recipe.pool is not None:
        recipe.pool.events = [base / p for p in recipe.pool.events]
    if recipe.teacher is not None and recipe.teacher.settings is not None:
        recipe.teacher.settings = base / recipe.teacher.settings
    if recipe.synthesis is not None:
        recipe.synthesis.synthetic_examples = [
            base / p for p in recipe.synthesis.synthetic_examples
        ]
        if recipe.synthesis.plan is not None:
            recipe.synthesis.plan = base / recipe.synthesis.plan
        if not recipe.synthesis.synthetic_examples and recipe.synthesis.by is None:
            raise SettingsError(
                f"{path}: synthesis: name `synthetic_examples`, or a generator with `by`"
            )
    recipe.compare.upper_bound = [base / p for p in recipe.compare.upper_bound]
    _check_teacher(recipe, path)
    for section in (recipe.labels, recipe.verdicts):
        if section is not None and "://" not in section.store:
            section.store = str(base / section.store)
    if recipe.task.endswith(".toml"):
        recipe.task = str(base / recipe.task)
    return recipe


def _check_teacher(recipe: Recipe, path: Path) -> None:
    teacher = recipe.teacher
    if teacher is None:
        return
    if recipe.labels is None:
        raise SettingsError(f"{path}: a teacher needs [labels] with a store for its annotations")
    if "pool" in teacher.on and recipe.pool is None:
        raise SettingsError(f"{path}: teacher.on names the pool, and there is no [pool]")
    if {"train", "test"} & set(teacher.on) and not recipe.data.test:
        raise SettingsError(
            f"{path}: a teacher that is asked about training or test events needs data.test: else "
            "test rows taken from the training data would get its word as their label"
        )
