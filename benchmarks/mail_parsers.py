"""Agreement of three readers of mail on public corpora: Buckler's, Python's, and fast-mail-parser.

Each gives subject, words, links and names of attachments. Where another finds what Buckler does
not, the row counts it under `lost`. fast-mail-parser (Rust) is compared if it is installed.
"""

from collections import Counter
from collections.abc import Callable
from email import message_from_bytes, policy
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from benchmarks.measure import table
from buckler.isolation import EventFault, attempt
from buckler.normalize.html_scan import scan_mail_page
from buckler.normalize.mime import MAX_MESSAGE_BYTES, parse_message

CORPORA = ("train", "test", "modern")


class MailContent(NamedTuple):
    """What a reader of mail finds in a message, as sets of words, links and names."""

    subject: set[str]
    text: set[str]
    links: set[str]
    names: set[str]


def content_of(subject: str, texts: list[tuple[str, bool]], names: list[str]) -> MailContent:
    """Return the content; a text comes with whether it is HTML."""
    words: set[str] = set()
    links: set[str] = set()
    for text, is_html in texts:
        if is_html:
            page = scan_mail_page(text)
            links |= {target for target, _ in page.links}
            text = f"{page.text} {page.hidden}"
        words |= _words(text)
    return MailContent(_words(subject), words, links, _words(" ".join(names)))


def _words(text: str) -> set[str]:
    return {word for word in text.lower().split() if "\ufffd" not in word}


def read_with_buckler(raw: bytes) -> MailContent:
    """Return the content as Buckler finds it."""
    parts = parse_message(raw)
    texts = [(part.text, part.is_html) for part in parts if part.is_shown]
    texts += [(part.subject, False) for part in parts[1:] if part.is_message]
    names = [name for part in parts if part.is_attachment for name in part.names]
    return content_of(parts[0].subject, texts, names)


def read_with_python(raw: bytes) -> MailContent:
    """Return the content as Python's standard library finds it."""
    message = message_from_bytes(raw, policy=policy.default)
    texts, names = [], []
    for part in message.walk():
        name = part.get_filename()
        if name:
            names.append(name)
        if part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment":
            texts.append((str(part.get_content()), part.get_content_subtype() == "html"))
    return content_of(str(message.get("subject", "")), texts, names)


def read_with_fast_mail_parser(raw: bytes) -> MailContent:
    """Return the content as fast-mail-parser finds it."""
    from fast_mail_parser import parse_email

    message = parse_email(raw)
    texts = [(text, False) for text in message.text_plain]
    texts += [(text, True) for text in message.text_html]
    names = [attachment.filename or "" for attachment in message.attachments]
    return content_of(message.subject, texts, names)


READERS: dict[str, Callable[[bytes], MailContent]] = {"email": read_with_python}
if find_spec("fast_mail_parser") is not None:
    READERS["fast-mail-parser"] = read_with_fast_mail_parser


def read_corpus(path: Path, step: int = 1) -> list[bytes]:
    """Return the mails of a Parquet file that carry headers."""
    rows = pq.read_table(path, columns=["raw"])["raw"].to_pylist()[::step]
    mails = [str(raw).encode("utf-8", "surrogateescape")[:MAX_MESSAGE_BYTES] for raw in rows if raw]
    return [mail for mail in mails if parse_message(mail)[0].headers]


def compare(mails: list[bytes], read: Callable[[bytes], MailContent]) -> Counter[str]:
    """Count, for each field, mails with equal content, with more by Buckler, and with less."""
    counts: Counter[str] = Counter()
    for mail in mails:
        own, other = read_with_buckler(mail), attempt(read, mail)
        if isinstance(other, EventFault):
            counts["errors"] += 1
            continue
        for field, mine, theirs in zip(MailContent._fields, own, other, strict=True):
            lost = theirs - mine
            result = "lost" if lost else "more" if mine - theirs else "equal"
            counts[f"{field} {result}"] += 1
    return counts


def run(data: Path) -> None:
    """Print a table: equal / Buckler has more / lost, for each corpus and reader."""
    rows: list[tuple[object, ...]] = []
    for corpus in CORPORA:
        mails = read_corpus(data / "email" / f"{corpus}.parquet")
        for name, read in READERS.items():
            counts = compare(mails, read)
            cells = [
                " / ".join(
                    f"{counts[f'{field} {result}']:,}" for result in ("equal", "more", "lost")
                )
                for field in MailContent._fields
            ]
            rows.append((corpus, f"{len(mails):,}", name, *cells, f"{counts['errors']:,}"))
    table(("corpus", "mails", "beside", *MailContent._fields, "its errors"), rows)
