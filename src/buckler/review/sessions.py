"""Sessions of browsers: the browser holds a token, the store only its hash."""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import select, update

from buckler.labels import LabelStore
from buckler.review.accounts import Accounts, User
from buckler.review.review_tables import SESSIONS

MAX_SESSION_S = 24 * 3600
_TOUCH_S = 60


@dataclass(frozen=True)
class Session:
    """A signed-in browser.

    Attributes
    ----------
    user
        The account, read with each request.
    csrf
        Token that every form sends back.
    """

    user: User
    csrf: str

    def owns_form(self, token: str) -> bool:
        """Return True if a form comes from a page of this session."""
        return hmac.compare_digest(self.csrf.encode(), token.encode("utf-8", "replace"))


class Sessions:
    """The sessions of a store.

    Parameters
    ----------
    idle_s
        An unused session ends after so many seconds, every session after one day.
    """

    def __init__(
        self,
        store: LabelStore,
        accounts: Accounts,
        idle_s: int = 8 * 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._accounts, self._idle_s, self._clock = store, accounts, idle_s, clock

    def begin(self, user: User) -> str:
        """Begin a session; return the token for the browser."""
        token, now = secrets.token_urlsafe(32), int(self._clock())
        row = {
            "token": _hash(token),
            "user_id": user.id,
            "csrf": secrets.token_urlsafe(32),
            "seen_s": now,
            "expires_s": now + MAX_SESSION_S,
        }
        with self._store.writing() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.expires_s < now))
            connection.execute(SESSIONS.insert(), row)
        return token

    def find(self, token: str | None) -> Session | None:
        """Return the session of a browser, if it has not expired and its account is active."""
        if not token or len(token) > 100:
            return None
        now, key = int(self._clock()), _hash(token)
        with self._store.reading() as connection:
            row = connection.execute(select(SESSIONS).where(SESSIONS.c.token == key)).one_or_none()
        if row is None or row.expires_s <= now or row.seen_s + self._idle_s <= now:
            return None
        user = self._accounts.get(row.user_id)
        if user is None:
            return None
        if now - row.seen_s > _TOUCH_S:
            with self._store.writing() as connection:
                connection.execute(
                    update(SESSIONS).where(SESSIONS.c.token == key).values(seen_s=now)
                )
        return Session(user, row.csrf)

    def end(self, token: str) -> None:
        """End a session."""
        with self._store.writing() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.token == _hash(token)))


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
