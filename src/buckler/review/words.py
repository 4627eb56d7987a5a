"""Search: an index of words, the same on SQLite and PostgreSQL.

A word is a run of letters and digits, in lower case; a query finds the items that hold all of its
words, the last one as a beginning.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, text

_WORD = re.compile(r"[^\W_]{2,40}")
MAX_WORDS = 300
_MAX_QUERY_WORDS = 8
_MAX_CHARACTERS = 20_000
MAX_FOUND = 2000  # a word that stands everywhere finds no more than these


def words_of(readable: str) -> list[str]:
    """Return the words of a text, each once."""
    found = _WORD.findall(readable[:_MAX_CHARACTERS].lower())
    return list(dict.fromkeys(found))[:MAX_WORDS]


def index_words(connection: Connection, rows: Sequence[tuple[int, list[str]]]) -> None:
    """Enter the words of new items."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        statement = text("INSERT INTO review_words(rowid, words) VALUES (:id, :words)")
        connection.execute(statement, [{"id": i, "words": " ".join(w)} for i, w in rows])
        return
    statement = text(
        "INSERT INTO review_words(rowid, words) VALUES "
        "(:id, array_to_tsvector(string_to_array(:words, ' ')))"
    )
    connection.execute(statement, [{"id": i, "words": " ".join(w) or "-"} for i, w in rows])


def has_words(query: str) -> bool:
    """Whether a query asks for anything."""
    return _WORD.search(query.lower()) is not None


def find_words(connection: Connection, query: str) -> list[int]:
    """Return the ids of items, of any task, that hold all words of a query; the first of them.

    The items are then read by their numbers: in one query with other conditions, a database
    without statistics would rather walk through a million rows.
    """
    words = _WORD.findall(query.lower())[:_MAX_QUERY_WORDS]
    if connection.dialect.name == "sqlite":
        asked = " AND ".join([*(f'"{w}"' for w in words[:-1]), f'"{words[-1]}"*'])
        where = "review_words MATCH :asked"
    else:
        asked = " & ".join([*(f"'{w}'" for w in words[:-1]), f"'{words[-1]}':*"])
        where = "words @@ CAST(:asked AS tsquery)"
    found = text(f"SELECT rowid FROM review_words WHERE {where} LIMIT :most")  # noqa: S608 - fixed
    rows = connection.execute(found, {"asked": asked, "most": MAX_FOUND})
    return [int(i) for i in rows.scalars()]
