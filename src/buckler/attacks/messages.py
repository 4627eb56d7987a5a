"""Attacks on mails: obfuscated text, text that only filters read, text as pictures."""

import html
import re
from base64 import encodebytes
from collections.abc import Callable
from urllib.parse import quote

from buckler.attacks.attack import Attacker, attack
from buckler.attacks.texts import TAGS, invisible, many_homoglyphs, outside_tags, typing_errors
from buckler.normalize.mime import Part, message_bytes, parse_message

_LINK = re.compile(r"https?://[^\s\"'<>)\]]+")
_CONTENT_HEADER = re.compile(
    rb"^content-(?:type|transfer-encoding)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.I | re.M
)
_MAX_BENIGN = 3000


def rewrite_parts(raw: str, change: Callable[[str, bool], str]) -> str:
    """Change the text of each text part; `change` gets the text and whether it is HTML."""
    data = message_bytes(raw)
    for part in reversed(parse_message(data)):
        if part.is_shown and part.span is not None:
            text = part.text
            if (changed := change(text, part.is_html)) != text:
                data = replace_text(data, part, changed)
    return data.decode("utf-8", "surrogateescape")


def replace_text(message: bytes, part: Part, text: str) -> bytes:
    """Return a parsed message with another text of a part that is not inside an encoded one."""
    if part.span is None:
        return message
    start, begin, end = part.span
    head, body = message[start:begin], text.encode("utf-8", "replace")
    if part.headers:
        body = encodebytes(body)
        kept = _CONTENT_HEADER.sub(b"", head).rstrip(b"\n") + b"\n\n"
        head = f"Content-Type: {part.kind}; charset=utf-8\n".encode()
        head += b"Content-Transfer-Encoding: base64\n" + kept
    return message[:start] + head + body + message[end:]


def _visible(text: str, is_html: bool, change: Callable[[str], str]) -> str:
    return outside_tags(text, change) if is_html else change(text)


def _benign_words(attacker: Attacker) -> str:
    """Return the text of a benign mail."""
    texts = [part.text for part in parse_message(attacker.benign_text()) if part.is_shown]
    return " ".join(TAGS.sub(" ", " ".join(texts)).split())[:_MAX_BENIGN]


@attack("homoglyphs", "message")
def homoglyphs_in_text(raw: str, attacker: Attacker) -> str:
    """Letters of other alphabets in three words of ten."""
    return rewrite_parts(raw, lambda t, h: _visible(t, h, lambda p: many_homoglyphs(p, attacker)))


@attack("invisible", "message")
def invisible_in_text(raw: str, attacker: Attacker) -> str:
    """Characters without width inside every other word."""
    return rewrite_parts(raw, lambda t, h: _visible(t, h, lambda p: invisible(p, attacker)))


@attack("typing-errors", "message")
def typing_errors_in_text(raw: str, attacker: Attacker) -> str:
    """Letters swapped or left out."""
    return rewrite_parts(raw, lambda t, h: _visible(t, h, lambda p: typing_errors(p, attacker)))


@attack("hidden-text", "message", hides=True)
def hidden_text(raw: str, attacker: Attacker) -> str:
    """The text of a benign mail, where only filters read it."""
    words = html.escape(_benign_words(attacker))

    def add(text: str, is_html: bool) -> str:
        return f'{text}\n<div style="display:none">{words}</div>' if is_html else text

    return rewrite_parts(raw, add)


@attack("benign-text", "message", hides=True)
def benign_text(raw: str, attacker: Attacker) -> str:
    """The text of a benign mail below, as in a reply."""
    words = _benign_words(attacker)

    def add(text: str, is_html: bool) -> str:
        quoted = f"<hr><p>{html.escape(words)}</p>" if is_html else f"\n\n> {words}"
        return text + quoted

    return rewrite_parts(raw, add)


@attack("image-only", "message")
def image_only(raw: str, attacker: Attacker) -> str:
    """The text as a picture with a link; nothing is left to read."""

    def replace(text: str, is_html: bool) -> str:
        link = _LINK.search(text)
        target = link[0] if link is not None else f"https://{attacker.below(10**6)}.example/"
        if not is_html:
            return target
        return f'<a href="{html.escape(target)}"><img src="cid:image{attacker.below(1000)}"></a>'

    return rewrite_parts(raw, replace)


@attack("wrapped-links", "message")
def wrapped_links(raw: str, attacker: Attacker) -> str:
    """Links through redirectors that everyone trusts."""
    openers = ("https://www.google.com/url?q=", "https://l.facebook.com/l.php?u=",
               "https://www.bing.com/ck/a?u=")  # fmt: skip

    def wrap(match: re.Match[str]) -> str:
        return attacker.one_of(openers) + quote(html.unescape(match[0]), safe="")

    return rewrite_parts(raw, lambda text, _: _LINK.sub(wrap, text))
