"""A folder of bundles, of which one is deployed: what was promoted, when, why, and by whom.

``NAME/live.buckler`` is the deployed one: a file that is replaced at once, so that a server which
watches it takes it over. Every bundle that ever was stays under its digest; the history is only
ever added to.
"""

import fcntl
import getpass
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from buckler.bundle.reader import read_bundle
from buckler.bundle.writer import write_whole
from buckler.errors import InputError, OutputError, SettingsError

LIVE = "live.buckler"
_HISTORY = "history.jsonl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_MAX_HISTORY_BYTES = 64 << 20


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

    Raises
    ------
    SettingsError
        If the name is no plain file name.
    """

    def __init__(self, root: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name[:80]!r} is no name for a bundle in a registry")
        self.folder = root / name

    @property
    def live(self) -> Path | None:
        """The deployed bundle; None where there is none yet."""
        path = self.folder / LIVE
        return path if path.exists() else None

    def history(self) -> list[Entry]:
        """Return all that happened, oldest first.

        Raises
        ------
        InputError
            If the history is damaged.
        """
        path = self.folder / _HISTORY
        try:
            if not path.exists():
                return []
            if path.stat().st_size > _MAX_HISTORY_BYTES:
                raise InputError(f"{path}: larger than a history can be")
            lines = path.read_text(encoding="utf-8").splitlines()
            return [Entry(**json.loads(line)) for line in lines if line.strip()]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: a damaged history ({str(error)[:100]})") from error

    def promote(self, bundle: Path, reason: str) -> Entry:
        """Keep a bundle and deploy it.

        Raises
        ------
        BucklerError
            If it is not sound, or the folder cannot be written.
        """
        return self._put(bundle, "promote", reason)

    def refuse(self, bundle: Path, reason: str) -> Entry:
        """Keep a bundle and say why it is not deployed."""
        with self._alone():
            digest = self._kept(bundle)
            return self._note("refuse", digest, reason)

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
            raise InputError(f"{self.folder}: no bundle was deployed before this one")
        return self._put(self._path(earlier[-1]), "roll back", reason)

    def _put(self, bundle: Path, action: str, reason: str) -> Entry:
        with self._alone():
            digest = self._kept(bundle)
            write_whole(self.folder / LIVE, self._path(digest).read_bytes())
            return self._note(action, digest, reason)

    def _kept(self, bundle: Path) -> str:
        """Verify a bundle and keep its file under its digest."""
        digest = read_bundle(bundle).sha256
        if not self._path(digest).exists():
            write_whole(self._path(digest), bundle.read_bytes())
        return digest

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest[:32]}.buckler"

    def _note(self, action: str, digest: str, reason: str) -> Entry:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        entry = Entry(now, action, digest, reason, _user())
        line = json.dumps(vars(entry), ensure_ascii=False) + "\n"
        try:
            with (self.folder / _HISTORY).open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror})") from error
        return entry

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else change the folder meanwhile."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror})") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
