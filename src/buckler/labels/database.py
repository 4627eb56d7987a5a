"""One database, in SQLite or PostgreSQL: connections, transactions, tables and their versions.

The label store and the review application keep their tables in the same database. Both go through
this module, which is the only place that knows the differences between the two dialects.
"""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from buckler.errors import InputError, MissingExtraError, OutputError

IDS_PER_QUERY = 500
# Greedy to the last "@" before the path: a password may hold one.
_PASSWORD = re.compile(r"(://[^:/@\s]*):[^/\s]*@")
_SECRET_OPTION = re.compile(r"([?&][^=&\s]*=)[^&\s]*")
_OPTIONS = {"application_name", "database", "host", "password", "port", "unix_sock", "user"}
_MIGRATION_LOCK = 0x6275636B  # any number that no other program locks

Insert = postgresql.Insert | sqlite_dialect.Insert
_Columns = TypeVar("_Columns", bound=tuple[object, ...])
_Id = TypeVar("_Id", bytes, int)
Migration = Callable[[sa.Connection], None]


class Database:
    """One open database.

    Parameters
    ----------
    where
        A file (SQLite, made if it is not there) or a database URL such as
        ``postgresql://user@host/labels``.

    Raises
    ------
    InputError
        If it cannot be opened.

    Attributes
    ----------
    shown
        The same without its password, for messages.
    """

    def __init__(self, where: str | Path) -> None:
        url = str(where)
        if "://" not in url:
            url = f"sqlite:///{Path(where)}"
        elif url.startswith("postgresql://"):
            url = url.replace("postgresql://", "postgresql+pg8000://", 1)
        self.where = str(where)
        self.shown = hide_password(self.where)
        self._thread = threading.local()
        try:
            self._engine = _create_engine(url)
        except ModuleNotFoundError:
            raise MissingExtraError("PostgreSQL", "postgres") from None
        except (ArgumentError, NoSuchModuleError) as error:
            raise InputError(f"{self.shown}: not a label store: {_first_line(error)}") from error

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Make all that this thread writes inside one transaction."""
        with self.writing() as connection:
            self._thread.connection = connection
            try:
                yield connection
            finally:
                self._thread.connection = None

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction; errors of the database become OutputError."""
        if (connection := getattr(self._thread, "connection", None)) is not None:
            yield connection
            return
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise OutputError(f"{self.shown}: {_first_line(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection to read with; errors of the database become InputError."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise InputError(f"{self.shown}: {_first_line(error)}") from error

    def lock(self, connection: sa.Connection, table: sa.Table) -> None:
        """Let no other transaction write to a table until this one ends."""
        if self.dialect == "sqlite":  # any statement that writes takes the lock
            connection.execute(sa.delete(table).where(sa.false()))
        else:
            connection.execute(sa.text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))

    def insert(self, table: sa.Table) -> Insert:
        """Return an insert that passes over rows whose key is there."""
        insert = sqlite_dialect.insert if self.dialect == "sqlite" else postgresql.insert
        return insert(table).on_conflict_do_nothing()


class StoredText(sa.TypeDecorator[str]):
    """Text of any origin, without the characters that databases refuse."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:  # noqa: ARG002
        """Return the text as it is stored."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """Return a text without lone surrogates and zero characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def rows_with_ids(
    connection: sa.Connection,
    query: "sa.Select[_Columns]",
    column: sa.ColumnElement[_Id],
    ids: Iterable[_Id],
) -> "Iterator[sa.Row[_Columns]]":
    """Yield the rows of a query whose column holds one of these ids."""
    iterator = iter(ids)
    while part := list(islice(iterator, IDS_PER_QUERY)):
        yield from connection.execute(query.where(column.in_(part)))


def version_table(name: str, metadata: sa.MetaData) -> sa.Table:
    """Define the table that holds the numbers of the migrations already made."""
    return sa.Table(name, metadata, sa.Column("version", sa.Integer, primary_key=True))


def migrate(connection: sa.Connection, version: sa.Table, migrations: Sequence[Migration]) -> None:
    """Bring a set of tables up to this version of Buckler.

    Parameters
    ----------
    version
        Table that holds the numbers of the migrations already made; see `version_table`.
    migrations
        Functions that make and change the tables, in order; a released one never changes.

    Raises
    ------
    OutputError
        If a newer Buckler has already changed the tables.
    """
    if _newest_version(connection, version) == len(migrations):
        return
    if connection.dialect.name == "sqlite":  # another process may do the same at this moment
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    newest = _newest_version(connection, version)
    if newest is None:
        version.create(connection)
        newest = 0
    if newest > len(migrations):
        raise OutputError(
            f"the label store has {version.name.replace('_', ' ')} {newest}, this Buckler knows "
            f"{len(migrations)}; upgrade Buckler"
        )
    for number in range(newest + 1, len(migrations) + 1):
        migrations[number - 1](connection)
        connection.execute(version.insert().values(version=number))


def _newest_version(connection: sa.Connection, version: sa.Table) -> int | None:
    """Return the number of the last migration; None where there is no table yet."""
    if not sa.inspect(connection).has_table(version.name):
        return None
    return max(connection.scalars(sa.select(version.c.version)), default=0)


def forbid_changes(connection: sa.Connection, table: sa.Table) -> None:
    """Make the database refuse to change, replace or delete a row of a table.

    A row whose key is there already is passed over, also by ``INSERT OR REPLACE``.
    """
    name = table.name
    if connection.dialect.name == "sqlite":
        same = " AND ".join(f"{column.name} = NEW.{column.name}" for column in table.primary_key)
        there = f"EXISTS (SELECT 1 FROM {name} WHERE"  # noqa: S608 - our own names
        statements = [
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} BEGIN "
            f"SELECT RAISE(ABORT, '{name} are never changed'); END"
            for verb in ("UPDATE", "DELETE")
        ]
        statements.append(  # a replaced row sets off no trigger of a deletion
            f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} "
            f"WHEN {there} {same}) OR {there} rowid = NEW.rowid) "
            "BEGIN SELECT RAISE(IGNORE); END"
        )
    else:
        statements = [
            f"CREATE FUNCTION {name}_forbid() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{name} are never changed'; END $$",
            f"CREATE TRIGGER {name}_no_change BEFORE UPDATE OR DELETE ON {name} "
            f"FOR EACH ROW EXECUTE FUNCTION {name}_forbid()",
            f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}_forbid()",
        ]
    for statement in statements:
        connection.execute(sa.text(statement))


def _create_engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
            for pragma in (
                "busy_timeout=30000",
                "journal_mode=WAL",
                "synchronous=FULL",  # an annotation that was paid for survives a power cut
                "foreign_keys=ON",
            ):
                connection.execute(f"PRAGMA {pragma}")

    elif engine.dialect.name != "postgresql":
        raise InputError(f"a label store is SQLite or PostgreSQL, not {engine.dialect.name}")
    elif unknown := engine.url.query.keys() - _OPTIONS:
        raise InputError(
            f"unknown options in the database URL: {', '.join(sorted(unknown))}; "
            f"there are {', '.join(sorted(_OPTIONS))}"
        )
    return engine


def hide_password(text: str) -> str:
    """Return a text in which the password of each database URL is hidden, and what options say.

    Examples
    --------
    >>> hide_password("postgresql://ada:secret@host/labels")
    'postgresql://ada:***@host/labels'
    """
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def _first_line(error: SQLAlchemyError) -> str:
    original = getattr(error, "orig", None) or error
    line = (str(original).splitlines() or [type(error).__name__])[0]
    return hide_password(line)[:200]
