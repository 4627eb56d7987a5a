"""Who may do what: accounts, roles, passwords (Argon2id), and what is written down of it."""

import re
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from buckler.errors import InputError, SettingsError
from buckler.labels import LabelStore
from buckler.review.schema import AUDIT, SESSIONS, USERS, migrate_review

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
MIN_PASSWORD, MAX_PASSWORD = 12, 200
_HASHER = PasswordHasher()
# Verified where there is no such account, so that the answer takes as long.
_NOBODY = _HASHER.hash("there is no such account")
_FEW = threading.BoundedSemaphore(4)  # each takes 64 MiB while it works


class Role(StrEnum):
    """What an account may do.

    ``analyst`` judges; ``lead`` also decides disputes, revokes rulings on families and reads the
    audit log; ``admin`` also keeps the accounts.
    """

    ANALYST = "analyst"
    LEAD = "lead"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class User:
    """An account.

    Attributes
    ----------
    subject
        Issuer and subject at the identity provider; None where it was never used.
    has_password
        Whether it can sign in with one.
    """

    id: int
    name: str
    role: Role
    active: bool
    subject: str | None
    has_password: bool

    @property
    def key(self) -> tuple[int, str]:
        """Number and name."""
        return self.id, self.name


class Accounts:
    """The accounts of a store."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        with store.writing() as connection:
            migrate_review(connection)

    def add(self, name: str, role: Role, password: str | None) -> User:
        """Make an account; without a password it is for single sign-on.

        Raises
        ------
        SettingsError
            If the name or the password is not fit, or the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise SettingsError("an account's name has letters, digits and . _ @ + - alone")
        row = {
            "name": name,
            "role": str(role),
            "password": None if password is None else _hashed(name, password),
            "active": 1,
            "created_s": int(time.time()),
        }
        try:
            with self._store.writing() as connection:
                connection.execute(USERS.insert(), row)
        except Exception as error:
            if isinstance(error.__cause__, IntegrityError):
                raise SettingsError(f"there is an account named {name} already") from error
            raise
        return self._one(USERS.c.name == name)

    def all(self) -> list[User]:
        """Return every account, by name."""
        with self._store.reading() as connection:
            rows = connection.execute(select(USERS).order_by(USERS.c.name)).all()
        return [_user(row) for row in rows]

    def get(self, user_id: int) -> User | None:
        """Return an account that is in use."""
        return self._found(USERS.c.id == user_id)

    def by_subject(self, subject: str) -> User | None:
        """Return the account of a single sign-on."""
        return self._found(USERS.c.subject == subject)

    def by_name(self, name: str) -> User | None:
        """Return the account of this name that is in use."""
        return self._found(USERS.c.name == name)

    def check(self, name: str, password: str) -> User | None:
        """Return the account, if the password is right; it takes as long if there is none."""
        query = select(USERS).where(USERS.c.name == name[:100], USERS.c.active == 1)
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        stored = _NOBODY if row is None or row.password is None else str(row.password)
        try:
            with _FEW:
                _HASHER.verify(stored, password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        if row is None or row.password is None:
            return None
        if _HASHER.check_needs_rehash(stored):
            self._update(row.id, password=_HASHER.hash(password[:MAX_PASSWORD]))
        return _user(row)

    def set_password(self, user: User, password: str) -> None:
        """Change a password; every session of the account ends.

        Raises
        ------
        SettingsError
            If it is not fit.
        """
        self._update(user.id, password=_hashed(user.name, password))
        self.end_sessions(user.id)

    def set_role(self, user_id: int, role: Role) -> None:
        """Change a role, from the next request on."""
        self._update(user_id, role=str(role))

    def set_active(self, user_id: int, active: bool) -> None:
        """Close or open an account; when it is closed its sessions end."""
        self._update(user_id, active=int(active))
        if not active:
            self.end_sessions(user_id)

    def bind(self, user_id: int, subject: str) -> None:
        """Let a single sign-on use this account."""
        self._update(user_id, subject=subject)

    def end_sessions(self, user_id: int) -> None:
        """End every session of an account."""
        with self._store.writing() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.user_id == user_id))

    def require(self, name: str) -> User:
        """Return an account, whether in use or not.

        Raises
        ------
        InputError
            If there is none.
        """
        try:
            return self._one(USERS.c.name == name)
        except LookupError:
            raise InputError(f"no account named {name[:100]}") from None

    def _one(self, where: Any) -> User:
        with self._store.reading() as connection:
            row = connection.execute(select(USERS).where(where)).one_or_none()
        if row is None:
            raise LookupError("no such account")
        return _user(row)

    def _found(self, where: Any) -> User | None:
        try:
            user = self._one(where)
        except LookupError:
            return None
        return user if user.active else None

    def _update(self, user_id: int, **values: Any) -> None:
        with self._store.writing() as connection:
            connection.execute(update(USERS).where(USERS.c.id == user_id).values(**values))


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit log."""

    id: int
    at_s: int
    who: str
    address: str
    action: str
    detail: str


def write_audit(
    store: LabelStore, who: str, action: str, detail: str = "", address: str = "-"
) -> None:
    """Write a line into the audit log, which the database lets nobody change."""
    with store.writing() as connection:
        connection.execute(
            AUDIT.insert(),
            {
                "at_s": int(time.time()),
                "who": who[:100],
                "address": address[:100],
                "action": action[:50],
                "detail": detail[:500],
            },
        )


def read_audit(store: LabelStore, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
    """Return the newest lines, or those before a certain one."""
    query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.id < before)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return [AuditEntry(r.id, r.at_s, r.who, r.address, r.action, r.detail) for r in rows]


def _hashed(name: str, password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise SettingsError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if password.lower() in (name.lower() * 20)[: len(password)] or len(set(password)) < 5:
        raise SettingsError("that password is too easy to guess")
    return _HASHER.hash(password)


def _user(row: Any) -> User:
    return User(
        row.id, row.name, Role(row.role), bool(row.active), row.subject, row.password is not None
    )
