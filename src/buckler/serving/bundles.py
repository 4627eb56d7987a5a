"""Bundles at work: a scorer with the columns that it reads, replaced when its file changes."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from buckler.bundle.archive import find_bundle
from buckler.errors import BucklerError, InputError, SettingsError
from buckler.isolation import EventFault, attempt
from buckler.operating_point import OperatingPoint
from buckler.readers.reader import ColumnSpec
from buckler.runtime import Scorer, load
from buckler.tasks import get_bundle_task

# Names for a task that is not installed here. Its own are never widened: the `message` of a logon
# is no command line.
_USUAL_COLUMNS = ("text", "url", "raw", "message", "command_line")
_Stamp = tuple[int, int, int]
_NO_STAMP = (0, 0, 0)


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle at work.

    Attributes
    ----------
    scorer, columns
        The bundle itself, and the columns that it reads from an object or table.
    path, stamp
        File of the bundle (None where it was given as a scorer), with its time, size and inode.
    text_columns, trusted_key, operating_point
        Options of `load_bundle`; they hold for a newer file too.
    failure
        Reason why a newer file was refused; empty where there is none.
    """

    scorer: Scorer
    columns: ColumnSpec
    path: Path | None = None
    text_columns: tuple[str, ...] = ()
    trusted_key: Path | None = None
    operating_point: OperatingPoint | None = None
    stamp: _Stamp = _NO_STAMP
    failure: str = ""

    @property
    def name(self) -> str:
        """Name of the bundle."""
        return self.scorer.manifest.name

    def with_operating_point(self, point: OperatingPoint | None) -> "LoadedBundle":
        """Return the bundle at another operating point; itself where none is asked for."""
        if point is None:
            return self
        scorer = self.scorer.with_operating_point(point)
        return replace(self, scorer=scorer, operating_point=point)

    def reload(self) -> "LoadedBundle":
        """Return the bundle to use from now on: this one, unless its file has changed.

        Each state of the file is tried once. Where it is refused, the answer is this bundle with
        the reason as its `failure`.
        """
        if self.path is None or (stamp := _stamp(self.path)) in (_NO_STAMP, self.stamp):
            return self
        try:
            newer = attempt(self._load, self.path)
        except BucklerError as error:
            return replace(self, stamp=stamp, failure=str(error))
        if isinstance(newer, EventFault):
            return replace(self, stamp=stamp, failure=newer.reason)
        return newer

    def _load(self, path: Path) -> "LoadedBundle":
        newer = load_bundle(path, self.text_columns, self.trusted_key, self.operating_point)
        if newer.name != self.name:
            raise SettingsError(f"{path}: it is now named {newer.name}", path=path)
        return newer

    def log_reload(self, log: logging.Logger) -> None:
        """Log that this state of the file was taken over, or refused."""
        if self.failure:
            fields = {"bundle": self.name, "reason": self.failure}
            log.error("reload failed", extra={"fields": fields})
        else:
            fields = {"bundle": self.name, "sha256": self.scorer.sha256}
            log.info("reloaded", extra={"fields": fields})


def load_bundle(
    bundle: Scorer | str | Path,
    text_columns: Sequence[str] = (),
    trusted_key: Path | None = None,
    operating_point: OperatingPoint | None = None,
) -> LoadedBundle:
    """Load and verify a bundle, or take a scorer that is loaded already.

    Parameters
    ----------
    text_columns
        Names of the text; by default those of the task; usual ones where it is unknown.
    trusted_key
        A public key: the bundle must be signed by its owner.
    operating_point
        Wish that decides the threshold; by default the deployed one decides.

    Raises
    ------
    BucklerError
        If the bundle is not sound, is signed with another key, or has too few held-out events for
        the operating point.
    """
    names = tuple(text_columns)
    if isinstance(bundle, Scorer):
        scorer, path, stamp = bundle, None, _NO_STAMP
    else:
        path = Path(find_bundle(bundle))
        stamp = _stamp(path)
        scorer = load(path, trusted_key=trusted_key)
    return LoadedBundle(
        scorer=scorer.with_operating_point(operating_point),
        columns=columns_of_bundle(scorer, names),
        path=path,
        text_columns=names,
        trusted_key=trusted_key,
        operating_point=operating_point,
        stamp=stamp,
    )


def columns_of_bundle(scorer: Scorer, text_columns: Sequence[str] = ()) -> ColumnSpec:
    """Return the columns that a reader looks for on behalf of a bundle."""
    task = None
    with suppress(InputError):  # a task that is installed nowhere, and not defined in the bundle
        task = get_bundle_task(scorer.manifest)
    return ColumnSpec(
        tuple(text_columns) or (_USUAL_COLUMNS if task is None else task.text_columns),
        any_bytes=scorer.parses_texts,
        features=scorer.features,
        context=() if task is None else task.context,
        mixed=task is not None and bool(task.context),
        medium="" if task is None else task.medium,
    )


def _stamp(path: Path) -> _Stamp:
    """Return time, size and inode of a file; zeros where there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return _NO_STAMP
