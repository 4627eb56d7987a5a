"""Families of sources: collections that share an origin, and are left out of training together."""

import re

import numpy as np
import numpy.typing as npt

from buckler.dataset.dataset import Dataset

_END_OF_FAMILY = re.compile(r"[/:(]")


def source_family(source: str) -> str:
    """Return the family of a source: its name up to the first ``/``, ``:`` or ``(``.

    Examples
    --------
    >>> source_family("ut1:games"), source_family("newsletter links (ruanyf/weekly)")
    ('ut1', 'newsletter links')
    """
    return _END_OF_FAMILY.split(source, maxsplit=1)[0].strip() or source


def source_families(events: Dataset) -> npt.NDArray[np.str_]:
    """Return the family of each event's source; empty where the source is unknown."""
    known = {name: source_family(name) if name else "" for name in set(events.sources)}
    return np.array([known[name] for name in events.sources], str)
