"""Full-text search over queue items, the same on SQLite and PostgreSQL.

A word is a run of letters and digits, in lower case. A query finds the items that hold all of its
words, the last one as a prefix.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, text

_WORD = re.compile(r"[^\W_]{2,40}")
MAX_WORDS = 300
_MAX_QUERY_WORDS = 8
_MAX_CHARACTERS = 20_000
MAX_MATCHES = 2000  # a word that most events contain finds no more than these


def extract_words(readable: str) -> list[str]:
    """Return the words of a text, each once."""
    words = _WORD.findall(readable[:_MAX_CHARACTERS].lower())
    return list(dict.fromkeys(words))[:MAX_WORDS]


def index_words(connection: Connection, rows: Sequence[tuple[int, list[str]]]) -> None:
    """Index the words of new items."""
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
    """Return True if a query holds a word."""
    return _WORD.search(query.lower()) is not None


def find_items(connection: Connection, query: str) -> list[int]:
    """Return the ids of the first items, of any task, that hold all words of a query.

    The caller reads the items by id: in one query with other conditions, a database without
    statistics walks through a million rows.
    """
    words = _WORD.findall(query.lower())[:_MAX_QUERY_WORDS]
    if connection.dialect.name == "sqlite":
        pattern = " AND ".join([*(f'"{w}"' for w in words[:-1]), f'"{words[-1]}"*'])
        where = "review_words MATCH :pattern"
    else:
        pattern = " & ".join([*(f"'{w}'" for w in words[:-1]), f"'{words[-1]}':*"])
        where = "words @@ CAST(:pattern AS tsquery)"
    query_text = f"SELECT rowid FROM review_words WHERE {where} LIMIT :limit"  # noqa: S608 - fixed
    rows = connection.execute(text(query_text), {"pattern": pattern, "limit": MAX_MATCHES})
    return [int(i) for i in rows.scalars()]
