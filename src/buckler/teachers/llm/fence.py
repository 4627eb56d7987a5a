"""Makes an event safe to show to a language model: data between fences, never an instruction.

An attacker writes the event. So it loses hidden characters, is cut to a bounded length, and becomes
one JSON string in which no character can open or close anything. It then stands between two lines
with a random tag.
"""

import json
import re
import secrets
import unicodedata
from itertools import groupby

HEAD_SHARE = 2 / 3
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_VISIBLE_CONTROLS = frozenset("\n\t")
# Marks that chat templates read as the start or end of a turn: <|im_end|>, [INST], <<SYS>>, </s>
# ...
_TURN_MARKS = re.compile(r"\[(?=/?\s{0,3}(?:INST|SYS|TOOL|AVAILABLE_TOOLS))", re.IGNORECASE)


def without_hidden(text: str) -> str:
    """Replace each run of control, bidirectional and other invisible characters by its length.

    Hidden text is a sign of attack in itself, so its length is shown and its content is not.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"[{len(list(run))} hidden]" if is_hidden else "".join(run)
        for is_hidden, run in groupby(text, _is_hidden)
    )


def _is_hidden(character: str) -> bool:
    return character not in _VISIBLE_CONTROLS and (
        unicodedata.category(character) in _HIDDEN
        or "\ufe00" <= character <= "\ufe0f"  # variation selectors can carry bytes
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def truncate(text: str, max_characters: int) -> str:
    """Keep the first two thirds and the last third of the limit; say how much is missing."""
    if len(text) <= max_characters:
        return text
    head = int(max_characters * HEAD_SHARE)
    tail = max_characters - head
    missing = len(text) - head - tail
    return f"{text[:head]} [... {missing} characters left out ...] {text[len(text) - tail :]}"


def as_json_string(text: str) -> str:
    """Write text as a JSON string that holds neither angle brackets nor marks of a turn."""
    quoted = json.dumps(text, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    return _TURN_MARKS.sub("\\\\u005b", quoted)


def new_tag() -> str:
    """Return a random name for an event, unknown to whoever wrote it."""
    return secrets.token_hex(4)


def fence(text: str, tag: str) -> str:
    """Put an event between two lines with its tag."""
    return f"<<event {tag}>>\n{as_json_string(text)}\n<<end {tag}>>"
