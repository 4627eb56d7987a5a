"""The bundles that are served; a changed file is verified, then takes the old one's place."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from buckler.deploy.fields import Fields, fields_of
from buckler.errors import BucklerError, SettingsError
from buckler.runtime import Scorer, load

_LOG = logging.getLogger("buckler.serve")
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
    stamp
        Time, size and inode of the file when it was loaded.
    failure
        Why a newer file was not taken; empty where there is none.
    """

    path: Path
    scorer: Scorer
    fields: Fields
    stamp: _Stamp
    failure: str = ""

    @property
    def name(self) -> str:
        """Of the bundle."""
        return self.scorer.manifest.name


class Models:
    """All bundles by name. A request keeps the one that it began with."""

    def __init__(
        self,
        paths: Sequence[Path],
        columns: Sequence[str] = (),
        trusted_key: Path | None = None,
        target_fpr: float | None = None,
    ) -> None:
        self._columns, self._trusted_key = tuple(columns), trusted_key
        self._target_fpr = target_fpr
        self._served: dict[str, Served] = {}
        for path in paths:
            found = self._load(path)
            if found.name in self._served:
                raise SettingsError(
                    f"{path} and {self._served[found.name].path} are both named {found.name}: a "
                    "name is asked for by requests, so it must be one bundle's"
                )
            self._served[found.name] = found

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._served.values()))

    def get(self, name: str | None) -> Served | None:
        """Return the bundle of this name, or the only one where none is named."""
        if name is None:
            return next(iter(self._served.values())) if len(self._served) == 1 else None
        return self._served.get(name)

    @property
    def names(self) -> list[str]:
        """Names that can be asked for."""
        return list(self._served)

    async def watch(self, every_s: float, on_reload: Callable[[str, bool], None]) -> None:
        """Look at the files again and again; call back with name and success of each reload."""
        while True:
            await asyncio.sleep(every_s)
            for served in list(self._served.values()):
                stamp = await asyncio.to_thread(_stamp, served.path)
                if stamp is not None and stamp != served.stamp:
                    await self._reload(served, stamp, on_reload)

    async def _reload(
        self, served: Served, stamp: _Stamp, on_reload: Callable[[str, bool], None]
    ) -> None:
        try:
            newer = await asyncio.to_thread(self._load, served.path)
            if newer.name != served.name:
                raise SettingsError(f"{served.path}: it is now named {newer.name}")
        except BucklerError as error:
            # Judged once for each state of the file: the old one goes on.
            self._served[served.name] = Served(
                served.path, served.scorer, served.fields, stamp, str(error)
            )
            told = {"bundle": served.name, "reason": str(error)}
            _LOG.error("reload failed", extra={"told": told})
            on_reload(served.name, False)
            return
        self._served[served.name] = newer
        told = {"bundle": newer.name, "sha256": newer.scorer.sha256}
        _LOG.info("reloaded", extra={"told": told})
        on_reload(newer.name, True)

    def _load(self, path: Path) -> Served:
        stamp = _stamp(path) or (0, 0, 0)
        scorer = load(path, trusted_key=self._trusted_key)
        scorer.threshold(self._target_fpr)  # a rate without a threshold fails here
        return Served(path, scorer, fields_of(scorer, self._columns), stamp)


def _stamp(path: Path) -> _Stamp | None:
    with suppress(OSError):
        status = path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None
