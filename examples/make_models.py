"""Makes the ready-made bundles of the package from the recipes beside this file.

``make models KEY=private.pem`` runs it. A bundle learns from all rows of its recipe but for a small
test; its card gives figures source by source, each source unseen. The key signs the bundles; its
public half lies in the package.
"""

import argparse
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from buckler.bundle.archive import CARD, MANIFEST, SBOM, read_bundle
from buckler.bundle.signing import sign_bundle
from buckler.bundle.writer import write_bundle
from buckler.pipeline import read_recipe, run
from buckler.pipeline.run import Listener

EXAMPLES = Path(__file__).resolve().parent
MODELS = EXAMPLES.parent / "src" / "buckler" / "models"
WORK = EXAMPLES.parent / "out" / "models"
TEST_SHARE = 0.05
FOLDS = 3
ADVICE = "For a first look: adapt it to your own stream (buckler adapt) before you rely on it."


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
    """

    recipe: str
    notice: str
    settings: dict[str, object] = field(default_factory=dict)


BUNDLES = {
    "url": ReadyMade(
        "url-threat",
        "Phishing from openphish/public_feed (for research and evaluation) and PhishDataset (no "
        "license stated), to May 2026; ordinary URLs from the UT1 lists (CC BY-SA 4.0) and links "
        "of software documentation. Pages on hosts that both attackers and others use are hard.",
        {"table_bits": 19},
    ),
    "email": ReadyMade(
        "email",
        "Ham and spam of SpamAssassin's public corpus (2002 to 2005), mailboxes, lists and "
        "newsletters since 2015, phishing of phishing_pot (2019 to 2026), mails by language "
        "models; some sources state no license. Modern spam from senders of one's own is hard.",
        {"table_bits": 15},
    ),
    "html": ReadyMade(
        "html",
        "No source of phishing pages states a license: they are used for research. The pages are "
        "of 2012 to 2024; brands and languages since then are unknown to it.",
    ),
    "command-line": ReadyMade(
        "command-line",
        "Emulated and real attacks (Atomic Red Team, MIT; LOLBAS and GTFOBins, GPL-3.0; CTID, "
        "Elastic, Unit 42) against documentation, packages and CI lines; some sources state no "
        "license. Tools of administrators that attackers use too are hard.",
    ),
    "url-category": ReadyMade(
        "url-category",
        "Categories of the UT1 lists (CC BY-SA 4.0), which hold errors of their own; from the "
        "address alone.",
        {"table_bits": 15},
    ),
    "alert-triage": ReadyMade(
        "alert-triage",
        "AIT Alert Data Set: six simulated companies with one attack plan.",
    ),
}


def make(name: str, key: Path | None) -> Path:
    """Train, describe and sign one bundle; return its file in the package."""
    what = BUNDLES[name]
    recipe = read_recipe(EXAMPLES / what.recipe / "buckler.toml")
    recipe.name, recipe.output = name, WORK / name
    recipe.data.train, recipe.data.test = [*recipe.data.train, *recipe.data.test], []
    recipe.split = recipe.split.model_copy(update={"test_share": TEST_SHARE})
    recipe.student = recipe.student.model_copy(update={"folds": FOLDS, **what.settings})
    recipe.auxiliary = []
    recipe.evaluation = recipe.evaluation.model_copy(update={"attacks": []})
    listener = Listener(on_stage=lambda stage: sys.stdout.write(f"{name}: {stage}\n"))
    done = run(recipe, listener)
    bundle = read_bundle(done.bundle)
    made = {MANIFEST, CARD, SBOM}
    provenance = {"notice": f"{ADVICE} {what.notice}", **bundle.manifest.provenance}
    path = MODELS / f"{name}.buckler"
    write_bundle(
        path,
        replace(bundle.manifest, provenance=provenance),
        {entry: data for entry, data in bundle.entries.items() if entry not in made},
    )
    if key is not None:
        sign_bundle(path, key)
    return path


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
        sys.stdout.write(f"{path.name}: {path.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
