"""Tables of the label store."""

import json
from functools import partial

import sqlalchemy as sa

from buckler.labels.annotation import Annotator
from buckler.labels.database import StoredText, forbid_changes, migrate, version_table
from buckler.tasks import Task

METADATA = sa.MetaData()

VERSION = version_table("schema_version", METADATA)


def _keys(*, primary_key: bool = False) -> list[sa.Column[int]]:
    return [
        sa.Column(
            f"{table}_id",
            sa.Integer,
            sa.ForeignKey(f"{table}s.id"),
            primary_key=primary_key,
            nullable=False,
        )
        for table in ("task", "annotator")
    ]


TASKS = sa.Table(
    "tasks",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", StoredText, nullable=False),
    sa.Column("classes", StoredText, nullable=False),  # JSON array: the order of all probabilities
    sa.UniqueConstraint("name", "classes"),
)

ANNOTATORS = sa.Table(
    "annotators",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", StoredText, nullable=False),
    sa.Column("version", StoredText, nullable=False),
    sa.Column("kind", StoredText, nullable=False),
    sa.UniqueConstraint("name", "version"),
)

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.LargeBinary(16), primary_key=True),
    sa.Column("text", sa.LargeBinary, nullable=False),
    sa.Column("source", StoredText),
    sa.Column("group_name", StoredText),
)

ANNOTATIONS = sa.Table(
    "annotations",
    METADATA,
    sa.Column("event_id", sa.LargeBinary(16), primary_key=True),
    *_keys(primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),  # 0; higher for a new label of a human
    sa.Column("probabilities", sa.LargeBinary, nullable=False),  # float32, little-endian
    sa.Column("label", sa.Integer, nullable=False),
    sa.Column("confidence", sa.Float, nullable=False),
    sa.Column("rationale", StoredText),
    sa.Column("cost_usd", sa.Float, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    sa.Index("annotations_by_annotator", "task_id", "annotator_id"),
)

# Annotators whose annotations count no longer; the last row about one decides.
WITHDRAWALS = sa.Table(
    "withdrawals",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    *_keys(),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("reason", StoredText, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
)

# Cost: one row per call, answered or not.
CALLS = sa.Table(
    "calls",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    *_keys(),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("annotations", sa.Integer, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cost_usd", sa.Float, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
)

# Unusable answers that were paid for; their number ends the attempts.
REJECTS = sa.Table(
    "rejects",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event_id", sa.LargeBinary(16), nullable=False),
    *_keys(),
    sa.Column("reason", StoredText, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    sa.Index("rejects_by_event", "event_id", "task_id", "annotator_id"),
)

# Events that a job is paying for at this moment: another job leaves them to it.
CLAIMS = sa.Table(
    "claims",
    METADATA,
    sa.Column("event_id", sa.LargeBinary(16), primary_key=True),
    *_keys(primary_key=True),
    sa.Column("holder", StoredText, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
)

FLAGS = sa.Table(
    "flags",
    METADATA,
    sa.Column("event_id", sa.LargeBinary(16), primary_key=True),
    sa.Column("flag", StoredText, primary_key=True),
    sa.Column("detail", StoredText, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
)

# Text that was redacted before an event left this network: the only way back.
REDACTIONS = sa.Table(
    "redactions",
    METADATA,
    sa.Column("event_id", sa.LargeBinary(16), primary_key=True),
    sa.Column("placeholder", StoredText, primary_key=True),
    sa.Column("original", StoredText, nullable=False),
)

# Batches that a provider works on while nobody waits.
SUBMISSIONS = sa.Table(
    "submissions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    *_keys(),
    sa.Column("content", StoredText, nullable=False),  # JSON: which events each request asks about
    sa.Column("provider_id", StoredText),  # null until the provider has confirmed it
    sa.Column("collected", sa.Integer, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
)

# Texts that a language model wrote to order: encoded, never in a form that could be run.
DRAFTS = sa.Table(
    "drafts",
    METADATA,
    sa.Column("order_id", sa.LargeBinary(16), primary_key=True),
    *_keys(primary_key=True),
    sa.Column("content", StoredText, nullable=False),  # JSON array
    sa.Column("created_s", sa.BigInteger, nullable=False),
)


def _create_tables(connection: sa.Connection) -> None:
    METADATA.create_all(connection, tables=[t for t in METADATA.sorted_tables if t is not VERSION])


def _add_withdrawals(connection: sa.Connection) -> None:
    WITHDRAWALS.create(connection, checkfirst=True)
    forbid_changes(connection, WITHDRAWALS)


def migrate_labels(connection: sa.Connection) -> None:
    """Bring the tables of the label store up to this version.

    Raises
    ------
    OutputError
        If a newer Buckler has already changed them.
    """
    forbid = partial(forbid_changes, table=ANNOTATIONS)
    migrate(connection, VERSION, (_create_tables, forbid, _add_withdrawals))


def classes_of(task: Task) -> str:
    """Return the classes of a task as the table of tasks holds them."""
    return json.dumps(task.class_names)


def task_query(task: Task) -> sa.ScalarSelect[int]:
    """Return a query for the id of a task."""
    query = sa.select(TASKS.c.id)
    query = query.where(TASKS.c.name == task.name, TASKS.c.classes == classes_of(task))
    return query.scalar_subquery()


def annotator_query(annotator: Annotator) -> sa.ScalarSelect[int]:
    """Return a query for the id of an annotator."""
    query = sa.select(ANNOTATORS.c.id)
    query = query.where(
        ANNOTATORS.c.name == annotator.name, ANNOTATORS.c.version == annotator.version
    )
    return query.scalar_subquery()
