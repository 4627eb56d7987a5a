"""Search: an index of words, the same on SQLite and PostgreSQL.

A word is a run of letters and digits, in lower case; a query finds the items that hold all of its
words, the last one as a beginning.
"""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

_WORD = re.compile(r"[^\W_]{2,40}")
MAX_WORDS = 300
_MAX_QUERY_WORDS = 8
_MAX_CHARACTERS = 20_000
MAX_FOUND = 5000  # a word that stands everywhere finds no more than these


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


def search_clause(dialect: str, query: str) -> Any:
    """Return a sub-select of the ids that a query finds; None where it has no word."""
    words = _WORD.findall(query.lower())[:_MAX_QUERY_WORDS]
    if not words:
        return None
    if dialect == "sqlite":
        asked = " AND ".join([*(f'"{w}"' for w in words[:-1]), f'"{words[-1]}"*'])
        where = "review_words MATCH :asked"
    else:
        asked = " & ".join([*(f"'{w}'" for w in words[:-1]), f"'{words[-1]}':*"])
        where = "words @@ CAST(:asked AS tsquery)"
    return text(
        f"review_items.id IN (SELECT rowid FROM review_words WHERE {where} LIMIT {MAX_FOUND})"  # noqa: S608 - nothing of the query is in it
    ).bindparams(asked=asked)
