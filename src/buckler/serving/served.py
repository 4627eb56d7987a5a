"""A bundle at work for long; a changed file is verified, then takes the old one's place."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from buckler.errors import BucklerError, SettingsError
from buckler.runtime import Scorer, load
from buckler.serving.fields import Fields, fields_of

_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Served:
    """One bundle at work.

    Attributes
    ----------
    path
        Its file.
    scorer, fields
        The bundle, and under which names events come for it.
    columns, trusted_key, target_fpr
        As it was asked for, and so will be a newer one.
    stamp
        Time, size and inode of the file when it was loaded.
    failure
        Why a newer file was not taken; empty where there is none.
    """

    path: Path
    scorer: Scorer
    fields: Fields
    columns: tuple[str, ...] = ()
    trusted_key: Path | None = None
    target_fpr: float | None = None
    stamp: _Stamp = (0, 0, 0)
    failure: str = ""

    @classmethod
    def load(
        cls,
        path: Path,
        columns: Sequence[str] = (),
        trusted_key: Path | None = None,
        target_fpr: float | None = None,
    ) -> "Served":
        """Load and verify a bundle.

        Raises
        ------
        BucklerError
            If it is not sound, is signed by somebody else, or has no threshold for the rate.
        """
        stamp = _stamp(path) or (0, 0, 0)
        scorer = load(path, trusted_key=trusted_key)
        scorer.threshold(target_fpr)  # a rate without a threshold fails here
        fields = fields_of(scorer, columns)
        return cls(path, scorer, fields, tuple(columns), trusted_key, target_fpr, stamp)

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.scorer.manifest.name

    def newer(self) -> "Served":
        """Return what is to be used from now on: itself, if the file is as it was.

        A file that cannot be taken over is judged once for each of its states: the answer is this
        bundle with the reason as its `failure`.
        """
        stamp = _stamp(self.path)
        if stamp is None or stamp == self.stamp:
            return self
        try:
            found = self.load(self.path, self.columns, self.trusted_key, self.target_fpr)
            if found.name != self.name:
                raise SettingsError(f"{self.path}: it is now named {found.name}")
        except BucklerError as error:
            return replace(self, stamp=stamp, failure=str(error))
        return found


def _stamp(path: Path) -> _Stamp | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None
