"""The bundles that are served, by name."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from buckler.errors import SettingsError
from buckler.serving.served import Served

_LOG = logging.getLogger("buckler.serve")


class Models:
    """All bundles by name. A request keeps the one that it began with."""

    def __init__(
        self,
        paths: Sequence[Path],
        columns: Sequence[str] = (),
        trusted_key: Path | None = None,
        target_fpr: float | None = None,
    ) -> None:
        self._served: dict[str, Served] = {}
        for path in paths:
            found = Served.load(path, columns, trusted_key, target_fpr)
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
                newer = await asyncio.to_thread(served.newer)
                if newer is served:
                    continue
                self._served[served.name] = newer
                if newer.failure:
                    told = {"bundle": newer.name, "reason": newer.failure}
                    _LOG.error("reload failed", extra={"fields": told})
                else:
                    told = {"bundle": newer.name, "sha256": newer.scorer.sha256}
                    _LOG.info("reloaded", extra={"fields": told})
                on_reload(newer.name, not newer.failure)
