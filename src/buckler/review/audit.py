"""The audit log: who did what and when; each entry holds the digest of the one before.

The database refuses to change, replace or delete entries. Whoever owns the database can remove
that protection, so the digests form a chain: a later change of an entry breaks it. Entries cut off
at the end leave no trace in the chain itself. Keep the newest digest elsewhere to notice that.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import select

from buckler.errors import InputError
from buckler.labels import LabelStore
from buckler.labels.database import storable
from buckler.review.review_tables import AUDIT

_BATCH_ROWS = 1000


@dataclass(frozen=True)
class AuditEntry:
    """One entry of the audit log.

    Attributes
    ----------
    id, at_s
        Number of the entry, and its time in seconds since 1970.
    who, address, action, detail
        Account, network address, kind of the action, and what it was done to.
    digest
        SHA-256 of this entry and the digest before it.
    """

    id: int
    at_s: int
    who: str
    address: str
    action: str
    detail: str
    digest: str

    def follows(self, before: str) -> bool:
        """Return True if this entry is whole and the one before has this digest."""
        fields = (self.at_s, self.who, self.address, self.action, self.detail)
        return self.digest == _digest(before, *fields)


@dataclass(frozen=True)
class AuditCheck:
    """An unbroken audit log.

    Attributes
    ----------
    entries, digest
        Number of entries, and digest of the newest; empty without any.
    """

    entries: int
    digest: str


def write_audit(
    store: LabelStore, who: str, action: str, detail: str = "", address: str = "-"
) -> None:
    """Add an entry to the audit log."""
    fields = (
        int(time.time()),
        storable(who[:100]),
        storable(address[:100]),
        storable(action[:50]),
        storable(detail[:500]),
    )
    with store.writing() as connection:
        store.lock(connection, AUDIT)  # two entries may not follow the same one
        newest = select(AUDIT.c.digest).order_by(AUDIT.c.id.desc()).limit(1)
        digest = _digest(connection.scalar(newest) or "", *fields)
        names = ("at_s", "who", "address", "action", "detail", "digest")
        row = dict(zip(names, (*fields, digest), strict=True))
        connection.execute(AUDIT.insert(), row)


def read_audit(store: LabelStore, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
    """Return the newest entries, or those before a certain one."""
    query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.id < before)
    with store.reading() as connection:
        return [AuditEntry(*row) for row in connection.execute(query)]


def verify_audit(store: LabelStore, noted: str | None = None) -> AuditCheck:
    """Check that no entry of the audit log was changed, added between others or removed.

    Parameters
    ----------
    noted
        A digest that was kept elsewhere: its entry must still be there.

    Raises
    ------
    InputError
        If the log is broken; the message names the first entry that does not fit.
    """
    count, digest, was_seen = 0, "", noted is None
    for entry in _entries(store):
        if not entry.follows(digest):
            raise InputError(
                f"the audit log is broken at entry {entry.id}: it, or one before it, was changed "
                "or removed",
                row=entry.id,
            )
        count, digest = count + 1, entry.digest
        was_seen = was_seen or digest == noted
    if not was_seen:
        raise InputError("the audit log lacks the entry of the noted digest: its end was removed")
    return AuditCheck(count, digest)


def _entries(store: LabelStore) -> Iterator[AuditEntry]:
    query = select(AUDIT).order_by(AUDIT.c.id)
    with store.reading() as connection:
        result = connection.execution_options(yield_per=_BATCH_ROWS).execute(query)
        for row in result:
            yield AuditEntry(*row)


def _digest(before: str, *fields: int | str) -> str:
    return sha256(json.dumps([before, *fields]).encode()).hexdigest()
