"""Makes the ready-made bundles of the package from the recipes beside this file.

``make models KEY=private.pem`` runs it. A bundle learns from the labeled rows of its recipe, those
of the test too, and from the annotations that the recipe names: its card gives figures source by
source, each source unseen. A large source counts by a random sample, in which every annotated row
stays. The key signs the bundles; its public half lies in the package.
"""

import argparse
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from buckler.bundle.signing import sign_bundle
from buckler.bundle.writer import write_bundle
from buckler.dataset import Dataset
from buckler.dataset.sources import sample_sources
from buckler.dataset.splits import deduplicate
from buckler.pipeline import read_recipe
from buckler.pipeline.distill import extra_examples, prepare_examples
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.stages import StageRunner
from buckler.training.fit import fit_student
from buckler.training.packaging import bundle_parts

EXAMPLES = Path(__file__).resolve().parent
PACKAGE = EXAMPLES.parent / "src" / "buckler"
WORK = EXAMPLES.parent / "out" / "models"
FOLDS = 3
ADVICE = "For a first look: adapt it to your own stream (buckler adapt) before you rely on it."
ADVICE_ON_ROWS = "For a first look: train with rows of your own before you rely on it."


@dataclass(frozen=True)
class ReadyMade:
    """A ready-made bundle.

    Attributes
    ----------
    recipe
        Folder of its recipe.
    notice
        Sentences on sources, licenses and limits: the first lines of its card.
    settings
        Settings of the student that make it smaller than the recipe's.
    leave_out
        Sources that it does not learn.
    max_rows, max_positives
        Largest sample of a source and class; positive sources are few.
    folder
        Folder in the package.
    """

    recipe: str
    notice: str
    settings: dict[str, object] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    max_rows: int = 4_000
    max_positives: int = 16_000
    folder: str = "models"


BUNDLES = {
    "url": ReadyMade(
        "url-threat",
        "Phishing from openphish/public_feed (for research and evaluation), PhishTank, JPCERT and "
        "PhishDataset (no license stated), to May 2026; ordinary URLs from the UT1 lists (CC BY-SA "
        "4.0), link lists, news and account pages. It finds nearly half of the phishing of a "
        "feed that it has not seen, at one false positive in a hundred.",
        {"table_bits": 19},
    ),
    "email": ReadyMade(
        "email",
        "Ham and spam of SpamAssassin's public corpus (2002 to 2005), mailboxes, lists and "
        "newsletters since 2015, phishing of phishing_pot (2019 to 2026), mails by language "
        "models; some sources state no license. Modern spam from senders of one's own is hard.",
        {"source_students": 0, "segments": "none"},  # neither gains here: docs/tasks/email.md
    ),
    "html": ReadyMade(
        "html",
        "No source of phishing pages states a license: they are used for research. The pages are "
        "of 2012 to 2024, and it judges their structure alone, not their words. At one false "
        "positive in a hundred, it finds a fifth of the phishing pages of sources that it has not "
        "seen.",
    ),
    "command-line": ReadyMade(
        "command-line",
        "Emulated and real attacks (Atomic Red Team, MIT; LOLBAS and GTFOBins, GPL-3.0; CTID, "
        "Elastic, Unit 42) against documentation, packages and CI lines; some sources state no "
        "license. Tools of administrators that attackers use too are hard. At one false positive "
        "in a hundred, it finds a fifth of the attacks of sources that it has not seen.",
    ),
    "url-category": ReadyMade(
        "url-category",
        "Categories of the UT1 lists (CC BY-SA 4.0), which hold errors of their own; from the "
        "address alone.",
        {"table_bits": 15},
    ),
    "pe": ReadyMade(
        "pe/sources",
        "Malware of 2013 to 2020 and benign programs of 2018 and of today, most without a license; "
        "from 15 header fields, which are easily forged. At one false positive in a hundred, it "
        "finds one malicious program in thirteen of a collection that it has not seen.",
    ),
    "alert-triage": ReadyMade(
        "alert-triage",
        "AIT Alert Data Set: six simulated companies with one attack plan.",
    ),
    "demo-start": ReadyMade(
        "email",
        "Mails since 2015 and phishing_pot (2019 to 2026), without SpamAssassin's corpus: the demo "
        "adapts it to that one. Some sources state no license.",
        {"table_bits": 14, "source_students": 0, "segments": "none"},
        leave_out=tuple(
            f"SpamAssassin/{kind}"
            for kind in ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2")
        ),
        max_rows=1_500,
        max_positives=1_500,
        folder="cli",
    ),
}


def make(name: str, key: Path | None) -> Path:
    """Train, describe and sign one bundle; return its file in the package."""
    what = BUNDLES[name]
    recipe = read_recipe(EXAMPLES / what.recipe / "buckler.toml")
    recipe.student = recipe.student.model_copy(update={"folds": FOLDS, **what.settings})
    left_out = recipe.data.leave_out.get("source", [])
    recipe.data.leave_out["source"] = [*left_out, *what.leave_out]
    (WORK / name).mkdir(parents=True, exist_ok=True)
    if recipe.labels is not None:
        recipe.labels.store = str(WORK / name / "labels.db")
    task = recipe.load_task()
    runner = StageRunner(WORK / name, task, lambda step: say(f"{name}: {step}"))
    events, more = examples_of(what, recipe, runner)
    say(f"{name}: train on {len(events):,} events and {0 if more is None else len(more):,} more")
    fitted = fit_student(events, recipe.student.spec, additional=more)
    provenance = {
        "notice": f"{ADVICE_ON_ROWS if task.features else ADVICE} {what.notice}",
        "recipe": f"examples/{what.recipe}: labels, annotations, {what.max_rows:,} rows a source",
    }
    point = recipe.evaluation.operating_point
    made = bundle_parts(name, fitted, operating_point=point, provenance=provenance)
    path = PACKAGE / what.folder / f"{name}.buckler"
    write_bundle(path, made.manifest, made.files)
    if key is not None:
        sign_bundle(path, key)
    return path


def examples_of(
    what: ReadyMade, recipe: Recipe, runner: StageRunner
) -> tuple[Dataset, Dataset | None]:
    """Return a sample of the labeled events of a recipe, and what is learned beside them."""
    split, pool = prepare_examples(recipe, runner)
    events = deduplicate(Dataset.concat([split.training, split.test]), near=False).events
    doubted = recipe.data.untaught.get("source", [])
    events = events.take(np.flatnonzero(~np.isin(events.sources.astype(str), doubted)))
    rng = np.random.default_rng(recipe.student.seed)
    sample = sample_sources(events, what.max_rows, what.max_positives, rng)
    return sample, extra_examples(recipe, pool, sample)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Make the bundles that the command line names; all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"{', '.join(BUNDLES)}; by default all")
    parser.add_argument("--key", type=Path, help="private key that signs the bundles")
    parser.add_argument("--clean", action="store_true", help="forget what earlier runs did")
    arguments = parser.parse_args()
    if arguments.clean:
        shutil.rmtree(WORK, ignore_errors=True)
    for name in arguments.names or BUNDLES:
        path = make(name, arguments.key)
        say(f"{path.name}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
