r"""Removes secrets and personal data from an event before it leaves for a hosted teacher.

A placeholder names the kind of the removed text and is the same for the same text, so that the
event can still be judged: ``<SECRET_1>``, ``<PERSON_1>@example.com``, ``C:\Users\<USER_1>``. The
domain of an address stays, because it tells phishing from other mail. Only the label store keeps
the originals.

Formats of tokens and keys are known by `detect-secrets`, telephone numbers by `phonenumbers`; the
rest are the forms that secrets have in command lines and URLs.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from buckler.extras import import_extra

MAX_CHARACTERS = 200_000
_MAX_LINE_CHARACTERS = 5_000
_Span = tuple[int, int, str]

_VALUE = r"""(?P<secret>"[^"\n]{1,200}"|'[^'\n]{1,200}'|[^\s"'&;|<>]{1,200})"""
_KEYS = (
    r"(?:password|passwd|passphrase|passwort|pwd|pass|secret|client[_-]?secret|"
    r"api[_-]?key|access[_-]?key|secret[_-]?key|auth[_-]?token|access[_-]?token|refresh[_-]?token|"
    r"session[_-]?(?:id|token)|token|credential)"
)
# Each pattern is bounded and free of nested repeats: its time is linear in the text.
_SECRETS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # --password=x, /password:x, password=x, "api_key": "x", PGPASSWORD=x
        r"[-/\"'_A-Z0-9]{0,40}" + _KEYS + r"[\"']?\s{0,3}(?:=|:(?!//))\s{0,3}" + _VALUE,
        # --password x
        r"--?" + _KEYS + r"\s{1,3}(?![-/])" + _VALUE,
        # curl -u user:x, wget --user=..., smbclient -U user%x
        r"(?:\s-u|\s--user)[\s=]{1,3}[\"']?[^\s:%\"']{1,64}[:%](?P<secret>[^\s\"']{1,200})",
        # mysql -px, sshpass -p x, plink -pw x
        r"\bmysql(?:dump|admin)?\b[^\n]{0,200}?\s-p(?P<secret>[^\s\"'-][^\s\"']{0,200})",
        r"\b(?:sshpass\s{1,3}-p|plink\b[^\n]{0,200}?\s-pw)\s{0,3}" + _VALUE,
        # net user name x /add, net use \\host\share x /user:name
        r"\bnet1?(?:\.exe)?[\"']?\s{1,3}user\s{1,3}[^\s/]{1,64}\s{1,3}(?![/*])" + _VALUE,
        r"\bnet1?(?:\.exe)?[\"']?\s{1,3}use\s[^\n]{0,200}?\s(?![/*\\])(?P<secret>\S{1,200})"
        r"(?=\s{1,3}/user)",
        # psexec -p x, runas and schtasks /rp x
        r"\bpsexec[^\n]{0,200}?\s-p\s{1,3}" + _VALUE,
        r"\bschtasks[^\n]{0,400}?\s/rp\s{1,3}" + _VALUE,
        # ConvertTo-SecureString "x" -AsPlainText
        r"ConvertTo-SecureString\s{1,3}(?:-String\s{1,3})?(?!\$)" + _VALUE,
        # scheme://user:x@host
        r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,64}:(?P<secret>[^\s/@]{1,200})@",
        # Authorization: Bearer x
        r"\b(?:bearer|basic)\s{1,3}(?P<secret>[A-Za-z0-9._~+/=-]{8,4000})",
    )
)
_PERSONS = re.compile(
    r"(?<![/\w.%+-])(?P<person>[\w.%+-]{1,64})@(?=[a-z0-9-]{1,63}\.[a-z0-9.-]{2,200})",
    re.IGNORECASE,
)
_HOMES = re.compile(
    r"(?:\b[A-Z]:\\{1,2}(?:Users|Documents and Settings)\\{1,2}|(?<![\w.])/(?:home|Users)/)"
    r"(?P<user>[^\\/\s\"'<>|:]{1,64})",
    re.IGNORECASE,
)
_NOBODY = frozenset(
    {"public", "default", "all users", "administrator", "admin", "user", "root", "guest"}
)
# Issuers' prefixes, in groups as cards show them or in one piece.
_CARDS = re.compile(
    r"(?<![\w.-])(?:(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6\d{3})"
    r"(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}"
    r"|3[47]\d\d(?P<gap2>[ -]?)\d{6}(?P=gap2)\d{5})(?![\w.-])"
)
_IBANS = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSNS = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_TOKEN_CHARACTERS = re.compile(r"[A-Za-z0-9_\-.=+/]")
_PHONE_SHAPE = re.compile(
    r"(?<![\w.])\+\d|\(\d{2,4}\) ?\d|(?<![\w.-])\d{3}([ -])\d{3}\1\d{4}(?![\w.-])"
)
# Entropy alone would take every encoded command out, which is what is to be judged.
_UNWANTED_DETECTORS = ("HighEntropy", "IPPublic", "KeywordDetector")


def redact(text: str) -> tuple[str, dict[str, str]]:
    """Return the text with placeholders, and the original of each placeholder.

    Raises
    ------
    MissingExtraError
        If the libraries that know the formats are not installed.
    """
    text = text[:MAX_CHARACTERS]
    spans = _drop_overlaps(_spans(text))
    found: dict[tuple[str, str], str] = {}
    pieces: list[str] = []
    position = 0
    counts: dict[str, int] = {}
    for start, end, kind in spans:
        original = text[start:end]
        if (kind, original) not in found:
            counts[kind] = counts.get(kind, 0) + 1
            found[kind, original] = f"<{kind}_{counts[kind]}>"
        pieces += [text[position:start], found[kind, original]]
        position = end
    pieces.append(text[position:])
    return "".join(pieces), {placeholder: key[1] for key, placeholder in found.items()}


def _spans(text: str) -> Iterator[_Span]:
    for pattern in _SECRETS:
        for match in pattern.finditer(text):
            start, end = match.span("secret")
            if text[start] in "\"'" and text[end - 1] == text[start] and end - start > 2:
                start, end = start + 1, end - 1
            yield start, end, "SECRET"
    yield from _known_tokens(text)
    for match in _PERSONS.finditer(text):
        yield *match.span("person"), "PERSON"
    for match in _HOMES.finditer(text):
        if match["user"].lower() not in _NOBODY and not match["user"].startswith(("%", "$", "*")):
            yield *match.span("user"), "USER"
    for match in _CARDS.finditer(text):
        if _luhn(match[0]):
            yield *match.span(), "CARD"
    for match in _IBANS.finditer(text):
        if _mod97(match[0]):
            yield *match.span(), "IBAN"
    for match in _SSNS.finditer(text):
        yield *match.span(), "SSN"
    if _PHONE_SHAPE.search(text):
        yield from _phones(text)


def _known_tokens(text: str) -> Iterator[_Span]:
    """Yield tokens and keys of known services, each widened to the whole word."""
    position = 0
    for line in text.split("\n"):
        if len(line) <= _MAX_LINE_CHARACTERS:
            for detector in _detectors():
                for secret in detector.analyze_string(line):
                    at = line.find(secret) if secret else -1
                    if at >= 0:
                        start, end = at, at + len(secret)
                        while end < len(line) and _TOKEN_CHARACTERS.match(line[end]):
                            end += 1
                        yield position + start, position + end, "SECRET"
        position += len(line) + 1


def _phones(text: str) -> Iterator[_Span]:
    import phonenumbers

    for match in phonenumbers.PhoneNumberMatcher(
        text, "US", leniency=phonenumbers.Leniency.VALID, max_tries=1000
    ):
        if _PHONE_SHAPE.search(match.raw_string):  # bare digits are ids far more often
            yield match.start, match.end, "PHONE"


@cache
def _detectors() -> list[Any]:
    import_extra("phonenumbers", "redaction", "llm")
    plugins = import_extra("detect_secrets.core.plugins.util", "redaction", "llm")
    kinds = plugins.get_mapping_from_secret_type_to_class().values()
    return [
        detector()
        for detector in kinds
        if not any(unwanted in detector.__name__ for unwanted in _UNWANTED_DETECTORS)
    ]


def _drop_overlaps(spans: Iterator[_Span]) -> list[_Span]:
    """Keep the longest of spans that overlap."""
    kept: list[_Span] = []
    for span in sorted(spans, key=lambda s: (s[0], -s[1])):
        if kept and span[0] < kept[-1][1]:
            if span[1] - span[0] > kept[-1][1] - kept[-1][0]:
                kept[-1] = span
            continue
        if span[1] > span[0]:
            kept.append(span)
    return kept


def _luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    doubled = (d * 2 - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _mod97(text: str) -> bool:
    code = text.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1
