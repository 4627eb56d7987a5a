"""Tables of the review application; they stand beside those of the label store."""

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
    Text,
    UniqueConstraint,
    text,
)

from buckler.labels.database import forbid_changes, migrate

METADATA = MetaData()

VERSION = Table("review_version", METADATA, Column("version", Integer, primary_key=True))


class State(IntEnum):
    """Where an item of the queue stands."""

    OPEN = 0
    SECOND = 1  # judged once; another analyst shall judge it too
    DISPUTED = 2  # two analysts disagree
    DONE = 3
    FOLDED = 4  # stands behind a near-duplicate, whose verdict serves it


class Lane(IntEnum):
    """Why an item is in the queue: chosen for its value, or drawn by lot for honest figures."""

    VALUE = 0
    SAMPLE_DETECTION = 1
    SAMPLE_REST = 2


# One filling of the queue: how many events it stands for.
BATCHES = Table(
    "review_batches",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("bundle", Text, nullable=False),
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
    Column("lane", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("label", Integer, nullable=False),  # the student's
    Column("detected", Integer, nullable=False),
    Column("group_name", Text),
    Column("ts", BigInteger),
    Column("serves", Integer, nullable=False),
    Column("standing_for", Integer),  # of a folded one: the item whose verdict serves it
    Column("claimed_by", Integer),
    Column("claimed_until", BigInteger, nullable=False),
    Column("first_by", Integer),
    Column("verdict", Integer),  # the last one's class
    Column("closed_by", Integer),  # the verdict that brought it into its state
    UniqueConstraint("task_id", "event_id"),
    Index("review_by_value", "task_id", "state", "lane", "value", "id"),
    Index("review_by_label", "task_id", "state", "label", "value", "id"),
    Index("review_by_group", "task_id", "group_name", "state"),
    Index("review_folded", "standing_for"),
    Index("review_claims", "claimed_by", "task_id"),
    Index("review_closed", "closed_by"),
)

# What an analyst did: never deleted; undoing it is noted beside it.
VERDICTS = Table(
    "review_verdicts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("item_id", Integer, ForeignKey("review_items.id"), nullable=False),
    Column("user_id", Integer, nullable=False),
    Column("label", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("family", Text),  # the group that was judged as a whole
    Column("serves", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("seen", Text, nullable=False),  # JSON: what was on the screen
    Column("before", Text, nullable=False),  # JSON: the item as it was
    Column("created_s", BigInteger, nullable=False),
    Column("undone_s", BigInteger),
    Index("review_verdicts_of_user", "user_id", "id"),
    Index("review_verdicts_of_item", "item_id"),
    Index("review_verdicts_of_task", "task_id", "created_s"),
)

SKIPS = Table(
    "review_skips",
    METADATA,
    Column("item_id", Integer, primary_key=True),
    Column("user_id", Integer, primary_key=True),
)

# Groups that were judged as a whole: what comes of them later is not asked about again.
FAMILIES = Table(
    "review_families",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("label", Integer, nullable=False),
    Column("verdict_id", Integer, nullable=False),
    Column("revoked_s", BigInteger),
    Index("review_families_of_task", "task_id", "group_name"),
)

USERS = Table(
    "review_users",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password", Text),  # Argon2id; null for single sign-on alone
    Column("subject", Text, unique=True),  # issuer and subject at the identity provider
    Column("active", Integer, nullable=False),
    Column("created_s", BigInteger, nullable=False),
)

SESSIONS = Table(
    "review_sessions",
    METADATA,
    Column("token", LargeBinary(32), primary_key=True),  # SHA-256 of what the browser holds
    Column("user_id", Integer, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("seen_s", BigInteger, nullable=False),
    Column("expires_s", BigInteger, nullable=False),
    Index("review_sessions_of_user", "user_id"),
)

AUDIT = Table(
    "review_audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at_s", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Text, nullable=False),
)


def _create(connection: Connection) -> None:
    METADATA.create_all(connection, tables=[t for t in METADATA.sorted_tables if t is not VERSION])
    forbid_changes(connection, AUDIT.name, "buckler_forbid_audit")
    if connection.dialect.name == "sqlite":
        connection.execute(
            text("CREATE VIRTUAL TABLE review_words USING fts5(words, content='', detail='none')")
        )
        return
    connection.execute(
        text("CREATE TABLE review_words (rowid integer PRIMARY KEY, words tsvector NOT NULL)")
    )
    connection.execute(text("CREATE INDEX review_words_in ON review_words USING gin (words)"))


# Append only; a migration that was released is never changed.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create,)


def migrate_review(connection: Connection) -> None:
    """Bring the tables up to this version.

    Raises
    ------
    OutputError
        If a newer Buckler has already changed them.
    """
    migrate(connection, VERSION, MIGRATIONS)
