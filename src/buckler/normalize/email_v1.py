"""email-v1: subject, visible text, links and attachments (name and type) of a mail.

Headers that reveal the mail system or the year rather than the intent (Received, X-Mailer, dates,
ids) are left out.
"""

from buckler.normalize.html_text import links, visible_text
from buckler.normalize.mime import (
    MAX_TEXT_CHARACTERS,
    decode_words,
    join_fields,
    parse_message,
    parts,
    text_of,
)

MAX_LINKS = 64


def email_fields(raw: str | bytes) -> str:
    """Return subject, text, links and attachments, joined by the field separator.

    Never raises on any input: a mail that cannot be parsed as MIME is one text.
    """
    message, data = parse_message(raw)
    if message is None:
        return join_fields(["", data.decode("utf-8", "replace"), "", ""])
    texts: list[str] = []
    targets: list[str] = []
    attachments: list[str] = []
    size = 0
    for part in parts(message):
        if size >= MAX_TEXT_CHARACTERS:
            break
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        name = decode_words(part.get_filename() or "")
        if name or part.get_content_maintype() != "text":
            attachments.append(f"{name} {kind}")
            continue
        text = text_of(part)
        if kind == "text/html":
            targets += links(text, MAX_LINKS - len(targets)) if len(targets) < MAX_LINKS else []
            text = visible_text(text)
        texts.append(text[: MAX_TEXT_CHARACTERS - size])
        size += len(texts[-1])
    subject = decode_words(str(message.get("subject", "")))
    return join_fields([subject, " ".join(texts), " ".join(targets), " ".join(attachments)])
