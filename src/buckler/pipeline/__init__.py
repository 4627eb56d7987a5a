"""Recipes and the stages that run them: from files of events to a bundle and a report.

The pipeline is the only package that knows TOML recipes. It reads the files, asks the teacher,
merges annotations, separates training from test, and hands data and numbers to `training`,
`synthesis` and `evaluation`. Each step is a stage whose output is kept under a hash of everything
that decides it, so a run that was stopped resumes, and a changed recipe redoes only what changed.

- `run` does all stages of a recipe; `read_recipe` reads one (`docs/recipe.md` lists the keys).
- `train` does the same for labeled files, without a recipe file.
- `evaluate` measures a bundle on labeled files and writes a report; `cascade` joins several
  bundles into a cascade.
- `stages` holds the framework: a stage declares inputs, settings and version.

Examples
--------
::

    from pathlib import Path
    from buckler.pipeline import train

    done = train([Path("urls.csv")], "url-threat", Path("out"))
    print(done.bundle, done.assessment.figures["auroc"])
"""

from buckler.pipeline.evaluate import BundleEvaluation, EvaluationOptions, evaluate
from buckler.pipeline.recipe import Recipe, read_recipe
from buckler.pipeline.run import Listener, Run, run, train

__all__ = [
    "BundleEvaluation",
    "EvaluationOptions",
    "Listener",
    "Recipe",
    "Run",
    "evaluate",
    "read_recipe",
    "run",
    "train",
]
