"""Accounts of the review application: roles, passwords (Argon2id) and the audit log."""

import re
import threading
import time
from dataclasses import dataclass
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.exc import IntegrityError

from buckler.errors import InputError, OutputError, SettingsError
from buckler.labels import LabelStore
from buckler.review.review_tables import SESSIONS, USERS, migrate_review

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
MIN_PASSWORD, MAX_PASSWORD = 12, 200
_HASHER = PasswordHasher()
# Verified where there is no such account, so that the answer takes the same time.
_NOBODY = _HASHER.hash("there is no such account")
_HASH_SLOTS = threading.BoundedSemaphore(4)  # each hash takes 64 MiB


class Role(StrEnum):
    """Role of an account.

    ``analyst`` labels; ``lead`` also decides disputes, revokes family labels and reads the audit
    log; ``admin`` also manages the accounts.
    """

    ANALYST = "analyst"
    LEAD = "lead"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Return True if this role may do everything that `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class User:
    """An account.

    Attributes
    ----------
    subject
        Issuer and subject at the identity provider; None before the first single sign-on.
    has_password
        True if the account can sign in with a password.
    """

    id: int
    name: str
    role: Role
    active: bool
    subject: str | None
    has_password: bool

    @property
    def key(self) -> tuple[int, str]:
        """The account's number and name."""
        return self.id, self.name


class Accounts:
    """The accounts of a store."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        with store.writing() as connection:
            migrate_review(connection)

    def add(self, name: str, role: Role, password: str | None) -> User:
        """Add an account; without a password it is for single sign-on.

        Raises
        ------
        SettingsError
            If the name or the password is not allowed, or the name is taken.
        """
        row = _new_account(name, role, password)
        try:
            with self._store.writing() as connection:
                connection.execute(USERS.insert(), row)
        except OutputError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise SettingsError(f"there is an account named {name} already") from error
            raise
        return self.require(name)

    def add_first(self, name: str, password: str) -> User:
        """Add the first account, an administrator.

        Raises
        ------
        SettingsError
            If there is an account already, or the name or the password is not allowed.
        """
        row = _new_account(name, Role.ADMIN, password)
        with self._store.writing() as connection:
            if connection.scalar(select(USERS.c.id).limit(1)) is not None:
                raise SettingsError("there is an account already")
            connection.execute(USERS.insert(), row)
        return self.require(name)

    @property
    def is_empty(self) -> bool:
        """True while there is no account."""
        with self._store.reading() as connection:
            return connection.scalar(select(USERS.c.id).limit(1)) is None

    def all(self) -> list[User]:
        """Return every account, in the order of names."""
        with self._store.reading() as connection:
            rows = connection.execute(select(USERS).order_by(USERS.c.name)).all()
        return [_user(row) for row in rows]

    def get(self, user_id: int) -> User | None:
        """Return an active account."""
        return self._find((USERS.c.id == user_id) & (USERS.c.active == 1))

    def by_subject(self, subject: str) -> User | None:
        """Return the active account of a single sign-on."""
        return self._find((USERS.c.subject == subject) & (USERS.c.active == 1))

    def by_name(self, name: str) -> User | None:
        """Return the active account of this name."""
        return self._find((USERS.c.name == name) & (USERS.c.active == 1))

    def check(self, name: str, password: str) -> User | None:
        """Return the account, if the password is right; it takes as long if there is none."""
        query = select(USERS).where(USERS.c.name == name[:100], USERS.c.active == 1)
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        stored = _NOBODY if row is None or row.password is None else str(row.password)
        try:
            with _HASH_SLOTS:
                _HASHER.verify(stored, password[:MAX_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        if row is None or row.password is None:
            return None
        if _HASHER.check_needs_rehash(stored):
            self._update(row.id, password=_HASHER.hash(password[:MAX_PASSWORD]))
        return _user(row)

    def change(
        self,
        user: User,
        *,
        role: Role | None = None,
        active: bool | None = None,
        password: str | None = None,
    ) -> str:
        """Change role, state or password of an account.

        Returns
        -------
        str
            Description of the change, for the audit log.

        Raises
        ------
        SettingsError
            If the password is not allowed.
        """
        parts = [user.name]
        if password:
            self.set_password(user, password)
            parts.append("new password")
        if role is not None:
            self._update(user.id, role=str(role))  # holds from the next request on
            parts.append(str(role))
        if active is not None:
            self.set_active(user.id, active)
            parts.append("active" if active else "closed")
        return ", ".join(parts)

    def set_password(self, user: User, password: str) -> None:
        """Change a password; every session of the account ends.

        Raises
        ------
        SettingsError
            If the password is not allowed.
        """
        self._update(user.id, password=_hash_password(user.name, password))
        self.end_sessions(user.id)

    def set_active(self, user_id: int, active: bool) -> None:
        """Close or open an account; when it is closed its sessions end."""
        self._update(user_id, active=int(active))
        if not active:
            self.end_sessions(user_id)

    def bind(self, user_id: int, subject: str) -> None:
        """Bind a single sign-on to this account."""
        self._update(user_id, subject=subject)

    def end_sessions(self, user_id: int) -> None:
        """End every session of an account."""
        with self._store.writing() as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.user_id == user_id))

    def require(self, name: str) -> User:
        """Return an account, active or not.

        Raises
        ------
        InputError
            If there is none.
        """
        if (user := self._find(USERS.c.name == name)) is None:
            raise InputError(f"no account named {name[:100]}")
        return user

    def _find(self, where: ColumnElement[bool]) -> User | None:
        with self._store.reading() as connection:
            row = connection.execute(select(USERS).where(where)).one_or_none()
        return None if row is None else _user(row)

    def _update(self, user_id: int, **values: object) -> None:
        with self._store.writing() as connection:
            connection.execute(update(USERS).where(USERS.c.id == user_id).values(**values))


def _new_account(name: str, role: Role, password: str | None) -> dict[str, object]:
    if not _NAME.fullmatch(name):
        raise SettingsError("an account's name consists of letters, digits and . _ @ + -")
    return {
        "name": name,
        "role": str(role),
        "password": None if password is None else _hash_password(name, password),
        "active": 1,
        "created_s": int(time.time()),
    }


def _hash_password(name: str, password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise SettingsError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if password.lower() in (name.lower() * 20)[: len(password)] or len(set(password)) < 5:
        raise SettingsError("that password is too easy to guess")
    return _HASHER.hash(password)


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(
        row.id, row.name, Role(row.role), bool(row.active), row.subject, row.password is not None
    )
