"""Scores events in memory: what `buckler.score` does."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from buckler.errors import InputError
from buckler.operating_point import OperatingPoint
from buckler.runtime import Scorer, Verdicts, load
from buckler.serving.bundles import load_bundle
from buckler.serving.event_values import read_values
from buckler.serving.verdict_batch import OutputOptions


def score(
    bundle: Scorer | str | Path, events: object, *, operating_point: OperatingPoint | None = None
) -> Verdicts:
    """Load a bundle and score a batch with it.

    Callers that score again keep the scorer that `buckler.load` returns.

    Parameters
    ----------
    bundle
        A .buckler file, the name of a ready-made bundle, or a scorer.
    events
        A list of str or bytes, any Arrow column of strings or bytes, or a list of dicts with the
        fields that files of the task have, as over HTTP.
    operating_point
        Wish that decides the threshold; by default the deployed one decides.

    Raises
    ------
    BundleError
        If the bundle cannot be used.
    SettingsError
        If the bundle's held-out events are too few for the wish.
    InputError
        If a dict has no field of the task; `row` counts from 0.

    Examples
    --------
    >>> verdicts = score("url", [{"url": "http://paypal-login.example/verify.php"}])
    >>> verdicts.labels
    ['phishing']
    """
    scorer = bundle if isinstance(bundle, Scorer) else load(bundle)
    if isinstance(events, list) and any(isinstance(event, Mapping) for event in events):
        events = _read(events, scorer)
    return scorer.with_operating_point(operating_point).score(events)


def _read(events: list[object], scorer: Scorer) -> pa.Array:
    columns = OutputOptions().columns_to_read(load_bundle(scorer).columns)
    chunk, errors = read_values(events, columns)
    for row, reason in sorted(errors.items()):
        raise InputError(f"event {row}: {reason}", row=row)
    return chunk.events
