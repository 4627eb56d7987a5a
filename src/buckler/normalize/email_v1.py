"""email-v1: subject, visible text, links and attachments (name and type) of a mail.

Headers that reveal the mail system or the year rather than the intent (Received, X-Mailer, dates,
ids) are left out.
"""

from buckler.normalize.html_scan import MAX_LINKS, scan_html
from buckler.normalize.mime import MAX_TEXT_CHARACTERS, join_fields, parse_message


def email_fields(raw: str | bytes) -> str:
    """Return subject, text, links and attachments, joined by the field separator; never raises."""
    parts = parse_message(raw)
    texts: list[str] = []
    targets: list[str] = []
    attachments: list[str] = []
    size = 0
    for part in parts:
        if size >= MAX_TEXT_CHARACTERS:
            break
        if part.is_attachment:
            attachments += [f"{name} {part.kind}" for name in part.names or [""]]
        if part.is_message and part is not parts[0]:
            texts.append(part.subject)
        if not part.is_shown:
            continue
        text = part.text
        if part.is_html:
            scan = scan_html(text)
            targets += [e.target for e in scan.elements if e.target]
            text = f"{scan.text} {scan.hidden}"
        texts.append(text[: MAX_TEXT_CHARACTERS - size])
        size += len(texts[-1])
    fields = [
        parts[0].subject,
        " ".join(texts),
        " ".join(targets[:MAX_LINKS]),
        " ".join(attachments),
    ]
    return join_fields(fields)
