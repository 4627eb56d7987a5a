"""Deployment of a candidate: compared with the deployed bundle, then promoted or refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import SettingsError
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.runtime.scorer import load_with_content
from buckler.serving.bundle_registry import BundleRegistry, Entry
from buckler.tasks import get_bundle_task
from buckler.training.promotion import Decision, decide

_USUAL_COLUMNS = ColumnNames()


@dataclass(frozen=True)
class Deployment:
    """Outcome for a candidate.

    Attributes
    ----------
    entry, decision
        Entry of the history, and comparison with the deployed bundle; None where there was none.
    quarantine_summary
        One line about rows of the tests that could not be read; empty without any.
    """

    entry: Entry
    decision: Decision | None = None
    quarantine_summary: str = ""


def deploy_candidate(
    registry: BundleRegistry,
    candidate: Path,
    tests: Sequence[Path] = (),
    *,
    columns: ColumnNames = _USUAL_COLUMNS,
    trusted_key: Path | None = None,
    force_reason: str | None = None,
) -> Deployment:
    """Promote a candidate if it is better than the deployed bundle; refuse it if not.

    The first bundle of a name is promoted without a comparison.

    Parameters
    ----------
    tests, columns
        Files of labeled events that neither bundle learned from, and names of their columns.
    trusted_key
        A public key: both bundles must be signed by its owner.
    force_reason
        Reason for promoting whatever a comparison would say; None to compare.

    Raises
    ------
    SettingsError
        If there is nothing to compare on.
    BucklerError
        If a bundle cannot be used, the tests cannot be read, or the registry cannot be written.
    """
    scorer, bundle = load_with_content(candidate, trusted_key=trusted_key)
    if registry.find_deployed() is None:
        return Deployment(registry.promote(bundle, force_reason or "the first"))
    if force_reason:
        return Deployment(registry.promote(bundle, f"forced: {force_reason}"))
    if not tests:
        raise SettingsError(
            "name labeled events to compare on, or a reason for promoting without a comparison",
            field="tests",
        )
    with registry.open_deployed() as path:
        champion = load(path, trusted_key=trusted_key)
    task = get_bundle_task(scorer.manifest)
    with Quarantine() as quarantine:
        events = [
            (path.name, read_dataset([path], task, columns=columns, quarantine=quarantine))
            for path in tests
        ]
        decision = decide(champion, scorer, events)
    act = registry.promote if decision.promote else registry.refuse
    summary = quarantine.summary() if quarantine.count else ""
    return Deployment(act(bundle, decision.reason), decision, summary)
