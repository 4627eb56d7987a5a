"""Tables of the label store, and the numbered migrations that make and change them."""

from collections.abc import Callable

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
    inspect,
    text,
)

from buckler.errors import OutputError

METADATA = MetaData()

VERSION = Table("schema_version", METADATA, Column("version", Integer, primary_key=True))

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("classes", Text, nullable=False),  # JSON array: the order of all probabilities
    UniqueConstraint("name", "classes"),
)

ANNOTATORS = Table(
    "annotators",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("kind", Text, nullable=False),
    UniqueConstraint("name", "version"),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", LargeBinary(16), primary_key=True),
    Column("text", LargeBinary, nullable=False),
    Column("source", Text),
    Column("group_name", Text),
)

ANNOTATIONS = Table(
    "annotations",
    METADATA,
    Column("event_id", LargeBinary(16), primary_key=True),
    Column("task_id", Integer, ForeignKey("tasks.id"), primary_key=True),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),  # 0; higher when a human judges anew
    Column("probabilities", LargeBinary, nullable=False),  # float32, little-endian
    Column("label", Integer, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("rationale", Text),
    Column("cost_usd", Float, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Index("annotations_by_annotator", "task_id", "annotator_id"),
)

# What asking has cost: one row a call, answered or not.
CALLS = Table(
    "calls",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, ForeignKey("tasks.id"), nullable=False),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), nullable=False),
    Column("events", Integer, nullable=False),
    Column("annotations", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("created_s", BigInteger, nullable=False),
)

# Answers that were paid for and say nothing usable: such an event is not asked about for ever.
REJECTS = Table(
    "rejects",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("event_id", LargeBinary(16), nullable=False),
    Column("task_id", Integer, ForeignKey("tasks.id"), nullable=False),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_s", BigInteger, nullable=False),
    Index("rejects_by_event", "event_id", "task_id", "annotator_id"),
)

FLAGS = Table(
    "flags",
    METADATA,
    Column("event_id", LargeBinary(16), primary_key=True),
    Column("flag", Text, primary_key=True),
    Column("detail", Text, nullable=False),
    Column("created_s", BigInteger, nullable=False),
)

# What was cut out of an event before it left the house: the only way back.
REDACTIONS = Table(
    "redactions",
    METADATA,
    Column("event_id", LargeBinary(16), primary_key=True),
    Column("placeholder", Text, primary_key=True),
    Column("original", Text, nullable=False),
)

# Batches that a provider works on while nobody waits.
SUBMISSIONS = Table(
    "submissions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", Integer, ForeignKey("tasks.id"), nullable=False),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), nullable=False),
    Column("content", Text, nullable=False),  # JSON: which events each request asks about
    Column("provider_id", Text),  # null until the provider has confirmed it
    Column("collected", Integer, nullable=False),
    Column("created_s", BigInteger, nullable=False),
)

# What a language model wrote to order, and was paid for: encoded, never in a form that could be
# run.
DRAFTS = Table(
    "drafts",
    METADATA,
    Column("order_id", LargeBinary(16), primary_key=True),
    Column("task_id", Integer, ForeignKey("tasks.id"), primary_key=True),
    Column("annotator_id", Integer, ForeignKey("annotators.id"), primary_key=True),
    Column("content", Text, nullable=False),  # JSON array
    Column("created_s", BigInteger, nullable=False),
)


def _create(connection: Connection) -> None:
    METADATA.create_all(connection, tables=[TASKS, ANNOTATORS, EVENTS, ANNOTATIONS])


def forbid_changes(connection: Connection, table: str, function: str) -> None:
    """Let the database itself refuse to change or delete a row of a table.

    Parameters
    ----------
    function
        Name of the trigger function, for PostgreSQL.
    """
    if connection.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN "
                    f"SELECT RAISE(ABORT, '{table} are never changed'); END"
                )
            )
        return
    connection.execute(
        text(
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{table} are never changed'; END $$"
        )
    )
    connection.execute(
        text(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
    )


def _forbid_changes(connection: Connection) -> None:
    forbid_changes(connection, "annotations", "buckler_forbid")


def _add_ledger(connection: Connection) -> None:
    METADATA.create_all(connection, tables=[CALLS, REJECTS, FLAGS, REDACTIONS, SUBMISSIONS])


def _add_drafts(connection: Connection) -> None:
    METADATA.create_all(connection, tables=[DRAFTS])


# Append only; a migration that was released is never changed.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _create,
    _forbid_changes,
    _add_ledger,
    _add_drafts,
)


def migrate(
    connection: Connection,
    version: Table = VERSION,
    migrations: tuple[Callable[[Connection], None], ...] = MIGRATIONS,
) -> None:
    """Bring the tables up to this version: those of labels, or another room's with its own count.

    Raises
    ------
    OutputError
        If a newer Buckler has already changed them.
    """
    if not inspect(connection).has_table(version.name):
        version.create(connection)
    done = connection.execute(version.select()).scalars().all()
    newest = max(done, default=0)
    if newest > len(migrations):
        named = version.name.replace("_", " ")
        raise OutputError(
            f"the label store has {named} {newest}, this Buckler knows {len(migrations)}; "
            "upgrade Buckler"
        )
    for number in range(newest + 1, len(migrations) + 1):
        migrations[number - 1](connection)
        connection.execute(version.insert().values(version=number))
