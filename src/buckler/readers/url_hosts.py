"""Hosts of URLs: logs keep them beside the path, and a path alone says little."""

import logging
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from buckler.readers.feature_columns import Faults
from buckler.readers.reader import WEB_HOSTS

_LOG = logging.getLogger(__name__)
_NO_HOST = "a path without its host"
# A path or a query alone, or a first part that has neither dots nor a scheme.
_WITHOUT_HOST = r"^(?:/[^/]|[?#]|[^./:?#]+(?:[/?#]|$))"
# A word behind white space, where no scheme stands before: a line of a log, a sentence.
_WORDS = r"^\s*(?:[^\s:]|:[^\s/])+:?\s+\S"
_LOOK_AT = 100
_FEWEST = 5  # texts from which a file is judged
_PATHS = (
    "have no host, such as the paths of an access log, and a URL is judged by its host first; "
    f"join them, or keep the host in a column named {' or '.join(WEB_HOSTS)}"
)
_LINES = (
    "are lines of words, such as those of an access log, and each is judged as one URL; "
    "cut the URLs out first"
)


def join_hosts(text: pa.Array, hosts: pa.Array) -> tuple[pa.Array, Faults]:
    """Put paths (``http.url`` of Suricata, ``uri`` of Zeek) behind the host beside them.

    Returns the texts, and those that are paths without a host as faults.
    """
    is_path = pc.and_(pc.starts_with(text, "/"), pc.invert(pc.starts_with(text, "//")))
    is_path = pc.fill_null(is_path, fill_value=False)
    hosts = pc.fill_null(hosts, b"")
    known = pc.greater(pc.binary_length(hosts), 0)
    scheme, nothing = (pa.scalar(part, pa.large_binary()) for part in (b"http://", b""))
    whole = pc.binary_join_element_wise(scheme, hosts, text, nothing)
    alone = np.flatnonzero(pc.and_(is_path, pc.invert(known)).to_numpy(zero_copy_only=False))
    faults: Faults = {row: (_NO_HOST, text[row].as_py()) for row in alone.tolist()}
    return pc.if_else(pc.and_(is_path, known), whole, text), faults


def check_hosts(path: Path, text: pa.Array) -> None:
    """Warn, once for a file, where most texts cannot be whole URLs."""
    first = pc.drop_null(text.slice(0, _LOOK_AT))
    for is_wrong, reason in ((has_no_host, _PATHS), (_has_words, _LINES)):
        if len(first) >= _FEWEST and 2 * pc.sum(is_wrong(first)).as_py() > len(first):
            _warn(path, reason)


def has_no_host(text: pa.Array) -> pa.Array:
    """Tell of each text whether it cannot hold a host."""
    return pc.match_substring_regex(text, _WITHOUT_HOST)


def _has_words(text: pa.Array) -> pa.Array:
    return pc.match_substring_regex(text, _WORDS)


@lru_cache(maxsize=1024)
def _warn(path: Path, reason: str) -> None:
    _LOG.warning("%s: most texts %s", path, reason)
