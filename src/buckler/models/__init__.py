"""Ready-made bundles, one for a task: a first look that works at once.

They lie in this folder, and every function and command that takes a bundle takes their names::

    import buckler

    buckler.load("url").score(["http://login-verify.example/account.php"])
    buckler.scan("email", ["mail/"], "verdicts.parquet")

``make models`` trains them from all public sources by the recipes in ``examples/``, and signs them;
`PROJECT_KEY` is the public half of the key. A bundle of public data does not hold on a stream that
it has not seen: `buckler.adapt` fits it to yours.
"""

from pathlib import Path

from buckler.bundle.archive import find_bundle, read_bundle, ready_made_bundles
from buckler.bundle.manifest import Manifest

PROJECT_KEY = Path(__file__).parent / "project-key.pem"

__all__ = ["PROJECT_KEY", "list_models", "path_of_model"]


def list_models() -> dict[str, Manifest]:
    """Return name -> manifest of every ready-made bundle."""
    return {name: read_bundle(name).manifest for name in ready_made_bundles()}


def path_of_model(name: str) -> Path:
    """Return the file of a ready-made bundle.

    Raises
    ------
    BundleError
        If none has this name.
    """
    return Path(find_bundle(name))
