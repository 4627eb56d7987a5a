"""Guards of the interface: API keys, and events a second for each caller."""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from buckler.errors import SettingsError
from buckler.files import read_bytes

_MAX_CALLERS = 10_000
_BURST_S = 2.0  # of the rate, that may come at once
_KEY_BYTES = 32


class Keys:
    """API keys: a file of ``name sha256`` lines. The keys themselves are stored nowhere."""

    def __init__(self, path: Path) -> None:
        self._names: dict[str, str] = {}
        try:
            lines = read_bytes(path, SettingsError).decode().splitlines()
        except UnicodeDecodeError as error:
            raise SettingsError(f"{path}: cannot be read ({error})", path=path) from error
        for number, line in enumerate(lines, 1):
            parts = line.split("#")[0].split()
            if not parts:
                continue
            if len(parts) != 2 or len(parts[1]) != 64:
                message = (
                    f"{path}: line {number} is no `name sha256`; make one with "
                    "`buckler.serving.http.guard.new_key`"
                )
                raise SettingsError(message, path=path, row=number)
            self._names[parts[1].lower()] = parts[0]
        if not self._names:
            raise SettingsError(f"{path}: no key in it", path=path)

    def caller(self, headers: Mapping[str, str]) -> str | None:
        """Return the caller's name, by ``Authorization: Bearer`` or ``X-API-Key``; None for unknown
        ones.
        """
        given = headers.get("x-api-key", "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not given and scheme.lower() == "bearer":
            given = token.strip()
        if not given:
            return None
        digest = sha256(given.encode("utf-8", "replace")).hexdigest()
        # All are compared, so that time tells nothing.
        found = [name for known, name in self._names.items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def new_key(name: str) -> tuple[str, str]:
    """Return a new key, and the line of the file of keys that admits it."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, f"{name} {sha256(key.encode()).hexdigest()}"


class Rate:
    """Events a second for each caller: a bucket of tokens, refilled as time passes."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second, self._clock = per_second, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, since when

    def wait_s(self, caller: str, events: int) -> float:
        """Take the events; return 0, or how long to wait before they can be taken.

        A batch larger than the bucket is let through when the bucket is full, and then owed.
        """
        if not self.per_second:
            return 0.0
        now, most = self._clock(), self.per_second * _BURST_S
        tokens, since = self._buckets.pop(caller, (most, now))
        tokens = min(most, tokens + (now - since) * self.per_second)
        missing = min(float(events), most) - tokens
        self._buckets[caller] = (tokens if missing > 0 else tokens - events), now
        if len(self._buckets) > _MAX_CALLERS:
            self._buckets.popitem(last=False)
        return max(0.0, missing) / self.per_second
