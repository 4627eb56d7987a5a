"""email-v2: text, links and suspicious traits of a mail.

Fields: subject, marks, attachments, links, hidden text, visible text. The text comes last, so that
a long text displaces no other field. Marks are relations (the reply goes elsewhere, a link's text
names another site than the link), never the value of a header: values reveal the mail system and
the year, which a model would learn instead of the intent.

``email-text-v1`` has subject, marks and visible text alone: links, attachments and hidden text tell
eras and collections apart more than intents.

``email-auth-v1`` adds the receiver's checks (SPF, DKIM, DMARC) before the subject. It suits models
for mail that all passes the same gateway: in collected corpora, the mere presence of checks
identifies the corpus.
"""

import re
from itertools import islice

from buckler._kernel import link_places, links_in, squeeze_text, wallets_in
from buckler.normalize import mime
from buckler.normalize.charsets import decode_text
from buckler.normalize.disguise import undisguise
from buckler.normalize.html_scan import MAX_LINKS, MailPage, scan_mail_page
from buckler.normalize.mail_headers import (
    MAX_HEADER_CHARACTERS,
    Headers,
    first_value,
    mailboxes,
    sender_of,
)
from buckler.normalize.sites import site_of

MAX_SUBJECT_CHARACTERS = 512
MAX_ATTACHMENT_CHARACTERS = 512
MAX_LINK_CHARACTERS = 2048
MAX_HIDDEN_CHARACTERS = 1024
_MAX_WALLET_CHARACTERS = 20_000
_LINK_BYTES = 128
_MANY = 4
# The set of first letters stands first: the search then looks at no other place.
_IN_TEXT = re.compile(
    r"[hHwW](?<!\w[hHwW])(?:(?<=[hH])[tT][tT][pP][sS]?://|(?<=[wW])[wW][wW]\.)[^\s<>\"')\]]{3,500}"
)
_MAY_BE_DOMAIN = re.compile(r"\.[a-z]{2}", re.I)
_DOMAIN = re.compile(r"\b((?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24})\b", re.I)
_ADDRESS = re.compile(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.)+[a-z]{2,24})", re.I)
_CODE = re.compile(r"(?:javascript|data):", re.I | re.A)
_IS_ADDRESS = re.compile(r"(?:[\d.]+|\[[\da-f:]+\])(?::\d+)?")
_CHECK = re.compile(r"\b(spf|dkim|dmarc)\s{0,4}=\s{0,4}([a-z]{2,12})", re.I)
_WALLET = re.compile(
    r"\b(?:bc1[a-z0-9]{25,60}|0x[0-9a-fA-F]{40}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})\b"
)
_FREE_MAIL = frozenset(
    (
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com"),
        *("aol.com", "icloud.com", "gmx.de", "gmx.net", "web.de", "mail.ru", "yandex.ru"),
        *("proton.me", "protonmail.com", "zoho.com"),
    )
)
_RISKY = {
    "program": "exe scr com bat cmd ps1 vbs vbe js jse wsf hta jar msi lnk pif cpl apk dll",
    "page": "htm html shtml xhtml svg mht mhtml",
    "macro": "docm xlsm pptm dotm xlam xls doc ppt xll one",
    "archive": "zip rar 7z gz tar ace cab iso img vhd vhdx",
    "document": "pdf docx xlsx pptx rtf odt csv txt",
}
_DROPPED = ". \u00a0\u3000"  # Windows and readers drop these at the end of a name
_KIND_OF = {ending: kind for kind, endings in _RISKY.items() for ending in endings.split()}


def email_fields(raw: str | bytes) -> str:
    """Return the six fields of email-v2, joined by the field separator; never raises."""
    return mime.join_fields(_fields(mime.parse_message(raw)))


def email_auth_fields(raw: str | bytes) -> str:
    """Return the seven fields of email-auth-v1; never raises."""
    parts = mime.parse_message(raw)
    return mime.join_fields([_checks(parts[0].headers), *_fields(parts)])


def email_text_fields(raw: str | bytes) -> str:
    """Return the three fields of email-text-v1: subject, marks, visible text; never raises."""
    subject, marks, *_, text = _fields(mime.parse_message(raw))
    return mime.join_fields([subject, marks, text])


def _fields(parts: list[mime.Part]) -> list[str]:
    headers = parts[0].headers
    plain: list[str] = []
    pages: list[MailPage] = []
    attachments: list[str] = []
    size = 0
    for part in parts:
        if part.is_attachment:
            attachments += [_attachment(name, part.kind) for name in part.names or [""]]
        if part.is_message and part is not parts[0]:
            plain.append(part.subject)
        if not part.is_shown or size >= mime.MAX_TEXT_CHARACTERS:
            continue
        if part.is_html:
            pages.append(scan_mail_page(part.page))
        text = pages[-1].text if part.is_html else part.text
        plain.append(text[: mime.MAX_TEXT_CHARACTERS - size])
        size += len(plain[-1])
    subject, unseen, mixed = undisguise(parts[0].subject)
    text, more_unseen, more_mixed = undisguise(" ".join(plain))
    page_links = [link for page in pages for link in page.links][:MAX_LINKS]
    actions = [target for page in pages for target in page.actions]
    links = [target for target, _ in page_links] + actions
    links += _links_in(text, MAX_LINKS - min(MAX_LINKS, len(links)))
    distinct = list(dict.fromkeys(links))
    normalized = dict(zip(distinct, link_places(distinct, _LINK_BYTES), strict=True))
    targets = list(normalized.values())
    marks = [
        ("invisible", unseen + more_unseen),
        ("lookalike", mixed + more_mixed),
        *_sender_marks(headers),
        *_link_marks(page_links, len(actions), normalized, links),
        (
            "image-only",
            int(any(page.has_images for page in pages) and len(text.split(None, 12)) < 12),
        ),
        ("wallet", _count_wallets(text)),
    ]
    return [
        subject[:MAX_SUBJECT_CHARACTERS],
        _mark_words(marks),
        " ".join(attachments)[:MAX_ATTACHMENT_CHARACTERS],
        " ".join(targets)[:MAX_LINK_CHARACTERS],
        squeeze_text("".join(page.hidden for page in pages))[0][:MAX_HIDDEN_CHARACTERS],
        text,
    ]


def _links_in(text: str, most: int) -> list[str]:
    """Return the first links in a text."""
    found = links_in(text, most)
    return found if found is not None else [m[0] for m in islice(_IN_TEXT.finditer(text), most)]


def _mark_words(marks: list[tuple[str, int]]) -> str:
    """Return a word for each mark that is present, with the prefix ``many-`` from four on."""
    return " ".join(("many-" if n >= _MANY else "") + name for name, n in marks if n > 0)


def _attachment(name: str, kind: str) -> str:
    bare = undisguise(name)[0].lower().rstrip(_DROPPED)
    endings = [ending.strip() for ending in bare.rsplit(".", 2)[1:]]
    words = [name, kind, *(_KIND_OF[ending] for ending in endings[-1:] if ending in _KIND_OF)]
    if len(endings) == 2 and endings[0] in _KIND_OF and _KIND_OF.get(endings[1]) == "program":
        words.append("double-ending")
    return " ".join(words)


def _sender_marks(headers: Headers) -> list[tuple[str, int]]:
    sender = sender_of(headers)
    name, own = sender.name, site_of(sender.domain)
    replies = mailboxes(first_value(headers, "reply-to"))
    other = next((site_of(mailbox.domain) for mailbox in replies if mailbox.address), "")
    in_name = _ADDRESS.search(name) if "@" in name else None
    named = _DOMAIN.search(name) if "." in name else None
    return [
        ("reply-elsewhere", int(bool(own and other and own != other))),
        ("reply-to-free-mail", int(other in _FREE_MAIL and own not in _FREE_MAIL)),
        ("name-is-address", int(in_name is not None)),
        ("name-of-other-domain", int(bool(named and own and site_of(named[1]) != own))),
    ]


def _link_marks(
    page_links: list[tuple[str, str]],
    n_actions: int,
    normalized: dict[str, str],
    links: list[str],
) -> list[tuple[str, int]]:
    mismatched = 0
    for target, text in page_links:
        may_be = "." in text and "." in target and _MAY_BE_DOMAIN.search(text)
        shown = _DOMAIN.search(text) if may_be else None
        if shown is not None:
            host = normalized[target].partition("/")[0]
            mismatched += site_of(shown[1]) != site_of(host) and not _ADDRESS.search(text)
    hosts = {target.partition("/")[0] for target in normalized.values()}
    return [
        ("link-says-other", mismatched),
        ("link-to-address", len([host for host in hosts if _is_address(host)])),
        (
            "link-with-code",
            len([link for link in links if link[:1] in "jJdD" and _CODE.match(link)]),
        ),
        ("form", n_actions),
        ("sites", len({site_of(host) for host in hosts}) - 1),
    ]


def _is_address(host: str) -> bool:
    if not (host[:1].isdigit() or host.startswith((".", "["))):
        return False
    return _IS_ADDRESS.fullmatch(host) is not None


def _count_wallets(text: str) -> int:
    """Return how many addresses of wallets there are in the beginning of a text."""
    found = wallets_in(text, _MAX_WALLET_CHARACTERS)
    return found if found >= 0 else len(_WALLET.findall(text[:_MAX_WALLET_CHARACTERS]))


def _checks(headers: Headers) -> str:
    """Return the results of the first receiver's checks, such as ``spf-fail dkim-none``."""
    value = first_value(headers, "authentication-results")
    checks = decode_text(value[:MAX_HEADER_CHARACTERS]) if value else ""
    results = {name.lower(): result.lower() for name, result in reversed(_CHECK.findall(checks))}
    return " ".join(f"{name}-{result}" for name, result in sorted(results.items()))
