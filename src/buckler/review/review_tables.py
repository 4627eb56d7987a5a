"""Tables of the review application, in the database of the label store."""

from collections.abc import Callable
from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from buckler.labels.database import StoredText, forbid_changes, migrate

METADATA = MetaData()

VERSION = Table("review_version", METADATA, Column("version", Integer, primary_key=True))


class State(IntEnum):
    """State of a queue item."""

    OPEN = 0
    SECOND = 1  # labeled once; waits for a second analyst
    DISPUTED = 2  # two analysts disagree
    DONE = 3
    DUPLICATE = 4  # grouped under a near-duplicate, whose label covers it


class Stratum(IntEnum):
    """Reason why an item is in the queue: its acquisition score, or a random sample for metrics."""

    RANKED = 0
    DETECTION_SAMPLE = 1
    REST_SAMPLE = 2


# One call that adds events to the queue, with the size of the population.
BATCHES = Table(
    "review_batches",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("bundle", StoredText, nullable=False),
    Column("threshold", Float),
    Column("events", Integer, nullable=False),
    Column("detections", Integer, nullable=False),
    Column("added_s", BigInteger, nullable=False),
)

ITEMS = Table(
    "review_items",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("event_id", LargeBinary(16), nullable=False),
    Column("batch_id", Integer, ForeignKey("review_batches.id"), nullable=False),
    Column("state", Integer, nullable=False),
    Column("stratum", Integer, nullable=False),
    Column("acquisition", Float, nullable=False),
    Column("reason", StoredText, nullable=False),
    Column("score", Float, nullable=False),
    Column("predicted_label", Integer, nullable=False),
    Column("detected", Integer, nullable=False),
    Column("group_name", StoredText),
    Column("ts", BigInteger),
    Column("covers", Integer, nullable=False),
    Column("duplicate_of", Integer),  # the item whose label covers this one
    Column("claimed_by", Integer),
    Column("claimed_until", BigInteger, nullable=False),
    Column("first_by", Integer),
    Column("analyst_label", Integer),  # the class that the last analyst chose
    Column("closed_by", Integer),  # the analyst label that led to the state
    UniqueConstraint("task_id", "event_id"),
    Index("review_by_acquisition", "task_id", "state", "stratum", "acquisition", "id"),
    Index("review_by_label", "task_id", "state", "predicted_label", "acquisition", "id"),
    Index("review_by_detection", "task_id", "state", "detected", "acquisition", "id"),
    Index("review_by_group", "task_id", "group_name", "state"),
    Index("review_duplicates", "duplicate_of"),
    Index("review_claims", "claimed_by", "task_id"),
    Index("review_closed", "closed_by"),
)

# Labels of analysts: never deleted; an undo sets `undone_s`.
LABELS = Table(
    "review_labels",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("item_id", Integer, ForeignKey("review_items.id"), nullable=False),
    Column("user_id", Integer, nullable=False),
    Column("label", Integer, nullable=False),
    Column("note", StoredText, nullable=False),
    Column("family", StoredText),  # the group that was labeled as a whole
    Column("covers", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("evidence", StoredText, nullable=False),  # JSON: the evidence on the screen
    Column("before", StoredText, nullable=False),  # JSON: the item before the label
    Column("created_s", BigInteger, nullable=False),
    Column("undone_s", BigInteger),
    Index("review_labels_of_user", "user_id", "id"),
    Index("review_labels_of_item", "item_id"),
    Index("review_labels_of_task", "task_id", "created_s"),
)

# Where an event was seen, as its log says; only for items whose log says anything.
FACTS = Table(
    "review_facts",
    METADATA,
    Column("item_id", Integer, primary_key=True),
    Column("facts", StoredText, nullable=False),  # JSON: role -> value
)

SKIPS = Table(
    "review_skips",
    METADATA,
    Column("item_id", Integer, primary_key=True),
    Column("user_id", Integer, primary_key=True),
)

# Groups that were labeled as a whole: their later events do not enter the queue.
FAMILIES = Table(
    "review_families",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("group_name", StoredText, nullable=False),
    Column("label", Integer, nullable=False),
    Column("label_id", Integer, nullable=False),
    Column("revoked_s", BigInteger),
    Index("review_families_of_task", "task_id", "group_name"),
)

USERS = Table(
    "review_users",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", StoredText, nullable=False, unique=True),
    Column("role", StoredText, nullable=False),
    Column("password", StoredText),  # Argon2id; null for single sign-on alone
    Column("subject", StoredText, unique=True),  # issuer and subject at the identity provider
    Column("active", Integer, nullable=False),
    Column("created_s", BigInteger, nullable=False),
)

SESSIONS = Table(
    "review_sessions",
    METADATA,
    Column("token", LargeBinary(32), primary_key=True),  # SHA-256 of what the browser holds
    Column("user_id", Integer, nullable=False),
    Column("csrf", StoredText, nullable=False),
    Column("seen_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Index("review_sessions_of_user", "user_id"),
)

AUDIT = Table(
    "review_audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at_s", BigInteger, nullable=False),
    Column("who", StoredText, nullable=False),
    Column("address", StoredText, nullable=False),
    Column("action", StoredText, nullable=False),
    Column("detail", StoredText, nullable=False),
    Column("digest", StoredText, nullable=False),  # of the entry and the digest before it
)


def _create(connection: Connection) -> None:
    METADATA.create_all(connection, tables=[t for t in METADATA.sorted_tables if t is not VERSION])
    forbid_changes(connection, AUDIT)
    if connection.dialect.name == "sqlite":
        connection.execute(
            text("CREATE VIRTUAL TABLE review_words USING fts5(words, content='', detail='none')")
        )
        return
    connection.execute(
        text("CREATE TABLE review_words (rowid integer PRIMARY KEY, words tsvector NOT NULL)")
    )
    connection.execute(text("CREATE INDEX review_words_in ON review_words USING gin (words)"))


def _add_facts(connection: Connection) -> None:
    FACTS.create(connection, checkfirst=True)
    for index in ITEMS.indexes:
        if index.name == "review_by_detection":
            index.create(connection, checkfirst=True)


# Append only; a migration that was released is never changed.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create, _add_facts)


def migrate_review(connection: Connection) -> None:
    """Bring the tables up to this version.

    Raises
    ------
    OutputError
        If a newer Buckler has already changed them.
    """
    migrate(connection, VERSION, MIGRATIONS)
