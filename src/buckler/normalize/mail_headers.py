"""Headers of mail: fields, encoded words, parameters and addresses, as mail programs read them.

The standard library follows the grammar and loses what breaks it. These rules accept what mail
programs accept, in linear time and without errors.
"""

import re
from binascii import a2b_qp
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from buckler._kernel import base64_bytes, mail_headers, mailbox_in
from buckler.normalize.charsets import decode_text

MAX_HEADER_CHARACTERS = 2048
_MAX_REMEMBERED = 128  # bytes: senders must not choose how much memory it takes
_MAX_VALUES = 4  # of one name in one mail
_MAX_PARAMETERS = 256
_MAX_TOKENS = 2048
Headers = dict[str, list[bytes]]

_WORD = re.compile(rb"=\?([^?\s]{1,64})\?([bBqQ])\?(.*?)\?=", re.S)
_PARAMETER = re.compile(
    r"(?<![^\s=;\"(),])([^\s=;\"(),]{1,64})\s{0,16}=\s{0,16}(?:\"((?:[^\"\\]|\\.)*)(?:\"|$)|([^;]*))",
    re.S,
)
_LABEL = re.compile(r"[A-Za-z0-9][\w.:+-]{0,63}", re.A)
_SEGMENT = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*?)$")
_TOKEN = re.compile(
    r"\"(?P<quoted>[^\"\\]*(?:\\.[^\"\\]*)*)\"|<(?P<angle>[^<>]*)>?|(?P<mark>[,;:])"
    r"|(?P<atoms>[^\"(<,;:]+)",
    re.S,
)
_PAREN = re.compile(r"[()]")
_ESCAPE = re.compile(r"\\(.)", re.S)
_ESCAPED = re.compile(r"\\([\\\"])")  # else a backslash is part of a path
_COMMENT = re.compile(r"\([^()]*\)")
_LOCAL = re.compile(r"[^\s<>\"'(),;:]{0,64}\Z")
_DOMAIN = re.compile(r"\[[^\s\[\]]{1,64}\]|[^\s<>@\"'()\[\],;:\\]{1,253}")
_SPACED = re.compile(r"\s{1,8}([@.])\s{0,8}|(@)\s{1,8}")
_MAX_ADDRESSES = 100
_ADDRESS_BEGINS = 128  # characters that the local part and the space behind it may take
_BEFORE_SIGN = re.compile(r" (?=[,;])")
_CONTROL = dict.fromkeys((*range(32), 127), " ")


class Mailbox(NamedTuple):
    """Name and address of a sender or recipient; the address is ``local@domain``, or empty."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The domain of the address in lower case."""
        return self.address.rpartition("@")[2].strip("[]. ").lower()


def read_headers(data: bytes, start: int = 0) -> tuple[Headers, int]:
    """Return those headers at `start` that Buckler reads, and where the body begins.

    Lines that are no header are left out if a header follows; else the body begins there. If the
    block has no header that mail knows, all of it is body.
    """
    return mail_headers(data, start)


def first_value(headers: Headers, name: str) -> bytes:
    """Return the first value of a header that is not empty."""
    return next(filter(None, headers.get(name, ())), b"")


def decode_words(value: bytes, charset: str = "") -> str:
    """Return a header as a reader sees it; `charset` is that of raw bytes that are not UTF-8."""
    if value.isascii() and b"=?" not in value:
        plain = value[: 4 * MAX_HEADER_CHARACTERS].decode("ascii")
        plain = plain if plain.isprintable() else plain.translate(_CONTROL)
        return plain[:MAX_HEADER_CHARACTERS].strip()
    with suppress(UnicodeDecodeError):
        charset = "utf-8" if value.decode() else charset
    value = value[: 4 * MAX_HEADER_CHARACTERS]
    pieces: list[tuple[bytes, str]] = []
    position = 0
    for match in _WORD.finditer(value, 0, value.rfind(b"?=") + 2):
        between, position = value[position : match.start()], match.end()
        label = match[1].decode("latin-1").partition("*")[0].lower()
        decode = base64_bytes if match[2] in b"bB" else _decode_q
        content = decode(match[3])
        if not pieces or between.strip():
            pieces.append((between, charset))
        elif pieces[-1][1] == label:  # the end of a word may cut a character in two
            content = pieces.pop()[0] + content
        pieces.append((content, label))
    pieces.append((value[position:], charset))
    text = "".join(decode_text(content, label) for content, label in pieces)
    return text.translate(_CONTROL)[:MAX_HEADER_CHARACTERS].strip()


def _decode_q(data: bytes) -> bytes:
    return a2b_qp(data, header=True)


def charset_of(headers: Headers) -> str:
    """Return the charset that a part names, without what stands around it."""
    value = first_value(headers, "content-type")
    return _usual_charset(value) if len(value) <= _MAX_REMEMBERED else _charset_in(value)


def _charset_in(value: bytes) -> str:
    named = parameters(value).get("charset", [""]) if b"charset" in value.lower() else [""]
    found = _LABEL.search(named[0])
    return found[0] if found is not None else ""


_usual_charset = lru_cache(maxsize=1024)(_charset_in)


def parameters(value: bytes) -> dict[str, list[str]]:
    """Return the parameters of a header, RFC 2231 undone; of a name, ``name*`` stands first."""
    plain: dict[str, list[str]] = {}
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for number, match in enumerate(_PARAMETER.finditer(decode_text(value))):
        if number == _MAX_PARAMETERS:
            break
        quoted, content = match[2], match[3]
        content = content.strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        name = _SEGMENT.match(match[1].lower())
        if name is None or not (name[2] or name[3]):
            plain.setdefault(match[1].lower(), []).append(content)
        else:
            place = int(name[2] or 0)
            segments.setdefault(name[1], {}).setdefault(place, (content, bool(name[3])))
    for base, parts in segments.items():
        plain.setdefault(base, []).insert(0, _join_segments(parts))
    return plain


def _join_segments(parts: dict[int, tuple[str, bool]]) -> str:
    label, data = "", b""
    for content, escaped in (parts[place] for place in sorted(parts)):
        if not label and not data and escaped and content.count("'") >= 2:
            label, _, content = content.split("'", 2)
        data += unquote_to_bytes(content) if escaped else content.encode("utf-8", "surrogatepass")
    return decode_text(data, label)


def sender_of(headers: Headers) -> Mailbox:
    """Return who sent a mail: From; where it names several, or nobody, Sender.

    Encoded words are decoded after the addresses are found, so that a name cannot pose as one.
    """
    authors = _mailboxes_of(headers, "from")
    senders = _mailboxes_of(headers, "sender")
    if authors and (not senders or len({author.address for author in authors}) == 1):
        return authors[0]
    name = decode_words(first_value(headers, "from"))
    if senders and (authors or not _address_in(name)):
        return senders[0]
    address = _address_in(name)  # some programs encode name and address as one word
    return Mailbox(name.replace(address, "").strip("<>\"' "), address)


def _mailboxes_of(headers: Headers, name: str) -> list[Mailbox]:
    found = [
        mailbox for value in headers.get(name, [])[:_MAX_VALUES] for mailbox in mailboxes(value)
    ]
    return [mailbox for mailbox in found if mailbox.address]


def mailboxes(value: bytes) -> list[Mailbox]:
    """Return names and addresses of a From, Sender, Reply-To or To; groups are dissolved."""
    if not value:
        return []
    if (usual := mailbox_in(value)) is not None:
        shown = usual[0] if value.endswith(b")") else b" ".join(usual[0].split())
        return [Mailbox(decode_words(shown), usual[1])]
    found: list[Mailbox] = []
    words: list[str] = []
    comment, bare, address, quoted = "", "", "", ""
    for kind, content in (*_tokens(decode_text(value)), ("mark", "")):
        if content == ":" and kind == "mark":  # all before was the name of a group
            words, comment, bare = [], "", ""
        elif kind == "mark":
            if not address:
                bare = _SPACED.sub(r"\1\2", bare)
                address = _address_in(bare).replace("\x01", quoted)
                words = [word for word in bare.split() if "@" not in word] if address else words
            if content and not address:  # a name without quotes may hold the sign
                words.append(content)
                # Before its end stands no address: to look there again would be quadratic.
                bare = bare[-_ADDRESS_BEGINS:] + " "
                continue
            name = _BEFORE_SIGN.sub("", " ".join(" ".join(words).split()).strip(",; "))
            name = name.replace("\x01", quoted) or comment
            if name or address:
                found.append(Mailbox(decode_words(name.encode("utf-8", "replace")), address))
            words, comment, bare, address, quoted = [], "", "", "", ""
        elif kind == "comment":
            comment = comment or content
        elif kind == "angle":
            words.append(address)  # what stands before the last address is shown as a name
            address = _address_in("".join(_COMMENT.sub("", content).split())) or words.pop()
        elif kind == "quoted":
            quoted = _ESCAPE.sub(r"\1", content)
            words.append(quoted)
            bare += "\x01"  # the local part, if "@" follows
        else:
            words.append(content)
            bare += content
        if len(found) == _MAX_ADDRESSES:
            break
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield kinds and contents; a quote or comment that never ends is an ordinary sign."""
    position = number = 0
    while position < len(text) and (number := number + 1) < _MAX_TOKENS:
        if text[position] == "(" and (end := _end_of_comment(text, position)) > 0:
            yield "comment", text[position + 1 : end - 1]
            position = end
            continue
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:  # the sign, here and from here on
            text = text[:position] + text[position:].replace(text[position], " ")
            continue
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for match in _PAREN.finditer(text, start):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return match.end()
    return -1


def _address_in(text: str) -> str:
    """Return the last address of a text without quotes; an empty string if there is none."""
    at = text.rfind("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None:
            local = _LOCAL.search(text, max(0, at - 64), at)
            return f"{local[0] if local else ''}@{domain[0].rstrip('.')}"
        at = text.rfind("@", 0, at)
    return ""
