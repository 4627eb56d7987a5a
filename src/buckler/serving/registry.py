"""Bundles by name, of which one is deployed: what was promoted, when, why, and by whom.

``NAME/live.buckler`` is the deployed one: a file that is replaced at once, so that a server which
watches it takes it over. Every bundle that ever was stays under its digest; the history is numbered
files, each written once and only if its number is free, so that two who promote at the same moment
get two lines, in a folder as in an object store.
"""

import getpass
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from buckler.bundle.reader import read_bundle
from buckler.errors import InputError, OutputError, SettingsError
from buckler.serving.storage import open_storage

LIVE = "live.buckler"
_HISTORY = "history"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_MAX_ENTRY_BYTES = 64 << 10
_MAX_BUNDLE_BYTES = 4 << 30
_TRIES = 100


@dataclass(frozen=True)
class Entry:
    """One line of the history.

    Attributes
    ----------
    time
        ISO 8601, UTC.
    action
        ``promote``, ``refuse`` or ``roll back``.
    sha256
        The bundle's digest.
    reason
        Why.
    by
        The user of the machine.
    """

    time: str
    action: str
    sha256: str
    reason: str
    by: str


class Registry:
    """The bundles of one name.

    Parameters
    ----------
    root
        A folder, or a URL that fsspec knows (``s3://bucket/registry``, with the extra `s3`).

    Raises
    ------
    SettingsError
        If the name is no plain file name.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name[:80]!r} is no name for a bundle in a registry")
        self.name, self._storage = name, open_storage(root)
        self.live = f"{self._storage.where}/{name}/{LIVE}"

    def deployed(self) -> Entry | None:
        """Return the line that deployed the bundle which is deployed; None where there is none."""
        return next((e for e in reversed(self.history()) if e.action != "refuse"), None)

    @contextmanager
    def deployed_file(self) -> Iterator[Path]:
        """Give the deployed bundle as a file, for as long as the context lasts.

        Raises
        ------
        InputError
            If there is none.
        """
        entry = self.deployed()
        if entry is None:
            raise InputError(f"{self.live}: nothing is deployed yet")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}.buckler"
            path.write_bytes(self._bundle(entry.sha256))
            yield path

    def history(self) -> list[Entry]:
        """Return all that happened, oldest first.

        Raises
        ------
        InputError
            If the history is damaged.
        """
        found = []
        for name in self._storage.names(f"{self.name}/{_HISTORY}"):
            place = f"{self.name}/{_HISTORY}/{name}"
            try:
                data = self._storage.read(place, _MAX_ENTRY_BYTES) or b""
                found.append(Entry(**json.loads(data)))
            except (ValueError, TypeError) as error:
                where = f"{self._storage.where}/{place}"
                raise InputError(f"{where}: a damaged history ({str(error)[:100]})") from error
        return found

    def promote(self, bundle: Path, reason: str) -> Entry:
        """Keep a bundle and deploy it.

        Raises
        ------
        BucklerError
            If it is not sound, or the registry cannot be written.
        """
        entry = self._note("promote", self._kept(bundle), reason)
        self._settle()
        return entry

    def refuse(self, bundle: Path, reason: str) -> Entry:
        """Keep a bundle and say why it is not deployed."""
        return self._note("refuse", self._kept(bundle), reason)

    def roll_back(self, reason: str) -> Entry:
        """Deploy the bundle that was deployed before the one that is.

        Raises
        ------
        InputError
            If there was none.
        """
        deployed = [e.sha256 for e in self.history() if e.action != "refuse"]
        current = deployed[-1] if deployed else ""
        earlier = [digest for digest in deployed if digest != current]
        if not earlier:
            raise InputError(f"{self.live}: no bundle was deployed before this one")
        entry = self._note("roll back", earlier[-1], reason)
        self._settle()
        return entry

    def _settle(self) -> None:
        """Put the bundle of the newest line in its place, until no newer line comes meanwhile."""
        placed = None
        for _ in range(_TRIES):
            newest = self.deployed()
            if newest is None or newest == placed:
                return
            self._storage.write(f"{self.name}/{LIVE}", self._bundle(newest.sha256))
            placed = newest

    def _kept(self, bundle: Path) -> str:
        """Verify a bundle and keep its file under its digest."""
        digest = read_bundle(bundle).sha256
        self._storage.create(self._place(digest), bundle.read_bytes())
        return digest

    def _bundle(self, digest: str) -> bytes:
        data = self._storage.read(self._place(digest), _MAX_BUNDLE_BYTES)
        if data is None:
            raise InputError(f"{self._storage.where}/{self._place(digest)}: it is not there")
        return data

    def _place(self, digest: str) -> str:
        return f"{self.name}/{digest[:32]}.buckler"

    def _note(self, action: str, digest: str, reason: str) -> Entry:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        entry = Entry(now, action, digest, reason, _user())
        data = json.dumps(vars(entry), ensure_ascii=False).encode()
        for _ in range(_TRIES):
            names = self._storage.names(f"{self.name}/{_HISTORY}")
            number = int(names[-1].partition(".")[0]) + 1 if names else 1
            if self._storage.create(f"{self.name}/{_HISTORY}/{number:08d}.json", data):
                return entry
        raise OutputError(f"{self._storage.where}: others write the history all the time")


def histories(root: str | Path) -> dict[str, list[Entry]]:
    """Return the history of every name of a registry."""
    names = [name for name in open_storage(root).names("") if _NAME.fullmatch(name)]
    return {name: found for name in names if (found := Registry(root, name).history())}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
