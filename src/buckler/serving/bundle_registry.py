"""Deployed bundles by name, with the history of promotions: when, why, and by whom.

``NAME/live.buckler`` is the deployed bundle: a file that is replaced at once, so that a server that
watches it loads the new one. Every bundle stays under its digest. The history is numbered files,
each written once and only if its number is free: two promotions at the same moment get two entries,
in a folder as in an object store.
"""

import getpass
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from buckler.bundle.archive import MAX_BUNDLE_BYTES, Bundle, parse_bundle
from buckler.bundle.writer import pack
from buckler.errors import BundleError, InputError, OutputError, SettingsError
from buckler.files import write_atomically
from buckler.runtime.scorer import load_with_content
from buckler.serving.storage import open_storage

LIVE = "live.buckler"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_MAX_ENTRY_BYTES = 64 << 10
_TRIES = 100


class Action(StrEnum):
    """Kinds of entries in the history."""

    PROMOTE = "promote"
    REFUSE = "refuse"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class Entry:
    """One entry of the history.

    Attributes
    ----------
    time, by
        Time in ISO 8601, UTC, and user of the machine.
    action, sha256, reason
        Kind, digest of the bundle, and explanation by a person or of the comparison.
    """

    time: str
    action: Action
    sha256: str
    reason: str
    by: str

    @property
    def deploys(self) -> bool:
        """True if the entry deploys its bundle."""
        return self.action is not Action.REFUSE


class BundleRegistry:
    """The bundles of one name.

    Parameters
    ----------
    root
        A folder, or a URL that fsspec knows (``s3://bucket/registry``, with the extra `s3`).
    name
        Name under which bundles are deployed.

    Attributes
    ----------
    live
        Path or URL of the deployed bundle.

    Raises
    ------
    SettingsError
        If the name is no plain file name. Methods raise other errors of Buckler where the history
        is damaged, no bundle is deployed, or the registry cannot be written.
    """

    def __init__(self, root: str | Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{name[:80]!r} is no name for a bundle in a registry", field="name"
            )
        self.name, self._storage = name, open_storage(root)
        self._history = f"{name}/history"
        self.live = f"{self._storage.where}/{name}/{LIVE}"

    def find_deployed(self) -> Entry | None:
        """Return the entry that deployed the current bundle; None where there is none."""
        return next((entry for entry in reversed(self.history()) if entry.deploys), None)

    @contextmanager
    def open_deployed(self) -> Iterator[Path]:
        """Give the deployed bundle as a file, for as long as the context lasts."""
        entry = self.find_deployed()
        if entry is None:
            raise InputError(f"{self.live}: nothing is deployed yet", path=self.live)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}.buckler"
            path.write_bytes(self._read_bundle(entry.sha256))
            yield path

    def fetch(self, target: Path, trusted_key: Path | None = None) -> str:
        """Copy the deployed bundle to a file, verified; return its digest.

        Raises
        ------
        BucklerError
            If there is none, it is not signed by the trusted key, or the file cannot be written.
        """
        with self.open_deployed() as path:
            scorer, bundle = load_with_content(path, trusted_key=trusted_key)
        write_atomically(target, pack(bundle.entries))
        return scorer.sha256

    def history(self) -> list[Entry]:
        """Return all entries, oldest first."""
        found = []
        for name in self._storage.names(self._history):
            place = f"{self._history}/{name}"
            try:
                entry = json.loads(self._storage.read(place, _MAX_ENTRY_BYTES) or b"")
                found.append(Entry(**{**entry, "action": Action(entry["action"])}))
            except (ValueError, TypeError, KeyError) as error:
                where = f"{self._storage.where}/{place}"
                message = f"{where}: a damaged history ({str(error)[:100]})"
                raise InputError(message, path=where) from error
        return found

    def promote(self, bundle: Bundle, reason: str) -> Entry:
        """Keep a bundle and deploy it."""
        entry = self._append(Action.PROMOTE, self._keep(bundle), reason)
        self._place_newest()
        return entry

    def refuse(self, bundle: Bundle, reason: str) -> Entry:
        """Keep a bundle and say why it is not deployed."""
        return self._append(Action.REFUSE, self._keep(bundle), reason)

    def roll_back(self, reason: str) -> Entry:
        """Deploy the bundle that was deployed before the current one."""
        digests = [entry.sha256 for entry in self.history() if entry.deploys]
        current = digests[-1] if digests else ""
        earlier = [digest for digest in digests if digest != current]
        if not earlier:
            raise InputError(f"{self.live}: no bundle was deployed before this one", path=self.live)
        entry = self._append(Action.ROLL_BACK, earlier[-1], reason)
        self._place_newest()
        return entry

    def _place_newest(self) -> None:
        """Write the bundle of the newest entry as the live one, until no newer entry comes."""
        placed = None
        for _ in range(_TRIES):
            newest = self.find_deployed()
            if newest is None or newest == placed:
                return
            self._storage.write(f"{self.name}/{LIVE}", self._read_bundle(newest.sha256))
            placed = newest

    def _keep(self, bundle: Bundle) -> str:
        """Keep a bundle under its digest."""
        place, data = self._place(bundle.sha256), pack(bundle.entries)
        if (
            not self._storage.create(place, data)
            and self._storage.read(place, MAX_BUNDLE_BYTES) != data
        ):
            self._storage.write(place, data)  # signed since
        return bundle.sha256

    def _read_bundle(self, digest: str) -> bytes:
        place = self._place(digest)
        where = f"{self._storage.where}/{place}"
        data = self._storage.read(place, MAX_BUNDLE_BYTES)
        if data is None:
            raise InputError(f"{where}: it is not there", path=where)
        if parse_bundle(data).sha256 != digest:
            raise BundleError(f"{where}: it is not the bundle of the history", path=where)
        return data

    def _place(self, digest: str) -> str:
        return f"{self.name}/{digest[:32]}.buckler"

    def _append(self, action: Action, digest: str, reason: str) -> Entry:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        entry = Entry(now, action, digest, reason, _user())
        data = json.dumps(vars(entry), ensure_ascii=False).encode()
        for _ in range(_TRIES):
            names = self._storage.names(self._history)
            number = int(names[-1].partition(".")[0]) + 1 if names else 1
            if self._storage.create(f"{self._history}/{number:08d}.json", data):
                return entry
        raise OutputError(f"{self._storage.where}: others write the history all the time")


def list_histories(root: str | Path) -> dict[str, list[Entry]]:
    """Return the history of every name in a registry."""
    names = [name for name in open_storage(root).names("") if _NAME.fullmatch(name)]
    return {name: found for name in names if (found := BundleRegistry(root, name).history())}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
