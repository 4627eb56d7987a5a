"""Bundles that are served, by name."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from buckler.errors import SettingsError
from buckler.serving.bundles import LoadedBundle, load_bundle

_LOG = logging.getLogger("buckler.serve")


class ServedBundles:
    """All bundles by name. A request keeps the one that it began with."""

    def __init__(
        self,
        paths: Sequence[Path],
        columns: Sequence[str] = (),
        trusted_key: Path | None = None,
        target_fpr: float | None = None,
    ) -> None:
        self._bundles: dict[str, LoadedBundle] = {}
        for path in paths:
            found = load_bundle(path, columns, trusted_key, target_fpr)
            if found.name in self._bundles:
                raise SettingsError(
                    f"{path} and {self._bundles[found.name].path} are both named {found.name}: "
                    "requests choose a bundle by its name, so each needs its own"
                )
            self._bundles[found.name] = found

    def __iter__(self) -> Iterator[LoadedBundle]:
        return iter(list(self._bundles.values()))

    def get(self, name: str | None) -> LoadedBundle | None:
        """Return the bundle of this name, or the only one where none is named."""
        if name is None:
            return next(iter(self._bundles.values())) if len(self._bundles) == 1 else None
        return self._bundles.get(name)

    @property
    def names(self) -> list[str]:
        """Names that can be asked for."""
        return list(self._bundles)

    async def watch(self, interval_s: float, on_reload: Callable[[str, bool], None]) -> None:
        """Look at the files again and again; call back with name and success of each reload."""
        while True:
            await asyncio.sleep(interval_s)
            for bundle in list(self._bundles.values()):
                newer = await asyncio.to_thread(bundle.reload)
                if newer is bundle:
                    continue
                self._bundles[bundle.name] = newer
                newer.log_reload(_LOG)
                on_reload(newer.name, not newer.failure)
