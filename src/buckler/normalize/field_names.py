"""Names of the fields, derived words and features of normalized texts, as people read them.

The words are defined in docs/normalize.md, the features of URLs in ``kernel/url_path.h``.
"""

import re
from collections.abc import Sequence

_PAGE_FIELDS = (*("address", "title", "forms", "marks", "hosts", "scripts", "hidden text", "text"),)
FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "url-v1": ("host", "path", "query"),
    "url-v3": ("host", "path", "query", "target"),
    "url-site-v1": ("host", "path"),
    "command-v2": ("command", "payload", "image", "parent", "user", "marks"),
    "email-v1": ("subject", "text", "links", "attachments"),
    "email-v2": ("subject", "marks", "attachments", "links", "hidden text", "text"),
    "email-auth-v1": (
        *("sender checks", "subject", "marks", "attachments", "links", "hidden text", "text"),
    ),
    "email-text-v1": ("subject", "marks", "text"),
    "html-v1": _PAGE_FIELDS,
    "html-structure-v2": ("title", "forms", "marks", "scripts"),
    "html-structure-text-v1": ("title", "forms", "marks", "scripts", "text"),
}
# Fields whose words are derived: they are named, not quoted.
DERIVED_FIELDS = frozenset(("marks", "forms", "scripts", "sender checks"))
# Fields that are quoted by sentences instead of words.
PROSE_FIELDS = frozenset(("subject", "text", "hidden text", "title"))

# Signs of url-v3 in the order of their numbers.
_URL_SIGNS = (
    "a brand in a subdomain",
    "a luring word in a subdomain",
    "a brand in the name",
    "a luring word in the name",
    "a brand in the path",
    "a luring word in the path",
    "the name is a brand",
    "a brand with digits for letters",
    "nearly a brand's name",
    "a number in place of a name",
    "a port",
    "user info before the host",
    "letters of other scripts",
    "look-alike letters",
    "another URL inside",
    "tracking parameters",
    "a well-known site",
)
_NO_SIGNS = "no brand, luring word or disguise"
_COMMAND_MARKS = {
    "caret": "carets inside words",
    "quote": "quotes inside words",
    "tick": "ticks inside words",
    "join": "strings put together",
    "format": "strings put together by a format",
    "code": "letters written as codes",
    "escape": "escaped letters",
    "variable": "letters out of variables",
    "invisible": "invisible characters",
    "lookalike": "look-alike letters",
    "base64": "base64 that decodes to text",
    "hex": "hexadecimal digits that decode to text",
    "packed": "packed code",
    "comment": "a comment that hides the command",
    "replace": "strings changed by replacement",
    "reverse": "a reversed string",
    "wildcard": "wildcards that hide a command",
}
_MARKS = {
    "reply-elsewhere": "replies go elsewhere",
    "reply-to-free-mail": "replies go to free mail",
    "name-is-address": "the sender's name is an address",
    "name-of-other-domain": "the sender's name is another domain",
    "link-says-other": "a link whose text names another site",
    "link-to-address": "a link to a number in place of a name",
    "link-with-code": "a link that is code",
    "image-only": "hardly any text beside pictures",
    "wallet": "a wallet of a cryptocurrency",
    "invisible": "invisible characters",
    "lookalike": "look-alike letters",
    "sites": "links to several sites",
    "brand-of-other-site": "a brand of another site",
    "brand-in-title-not-site": "a brand in the title that is not the site's",
    "no-address": "no address of the page",
    "long-encoded": "long encoded content",
    "no-context-menu": "a blocked context menu",
    "password-without-form": "a password field without a form",
    "lure": "luring words",
}
_REACHING = {
    "form": "a form to",
    "to": "a form to",
    "link": "links to",
    "resource": "resources from",
    "icon": "an icon from",
}
_SITES = {
    "own": "its own site",
    "other": "another site",
    "nowhere": "nowhere",
    "javascript": "a script",
    "data": "inline data",
    "mailto": "a mail address",
}
_WANTED = frozenset(("password", "code", "card", "email", "user", "secret", "phone", "other"))
_DEGREES = {"some": "several: ", "many": "many: "}


def describe_word(normalizer: str, field: str, word: str) -> str | None:
    """Return what a derived word of this field says; None for the text of a button."""
    if field == "forms":
        return _form(word)
    if field == "scripts":
        return f"scripts that call {word.removesuffix('-some').removesuffix('-many')}"
    if normalizer == "command-v2":
        return _COMMAND_MARKS.get(word, word)
    return _mark(word)


def describe_feature(word: str, fields: Sequence[str]) -> str:
    """Return what a feature of a URL says.

    Parameters
    ----------
    word
        Letter of the feature, and a number of 18 bits in three further ones.
    fields
        Host, path and query, so that counts are exact.
    """
    host, path, query = [*fields, "", "", ""][:3]
    number = sum((ord(c) - 0x30) << (6 * at) for at, c in enumerate(word[1:]))
    if word[0] == "u":
        signs = [sign for at, sign in enumerate(_URL_SIGNS) if number >> at & 1]
        return f"the signs together: {', '.join(signs)}" if signs else _NO_SIGNS
    if word[0] == "v":
        return _URL_SIGNS[number]
    counts = _url_counts(host, path, query)
    sizes = (
        f"the size of the host ({len(host)} characters, {counts[2]})",
        f"{counts[3]} and {counts[4]}, {counts[5]}",
        f"the size of the path ({len(path)} characters{', a query' if query else ''})",
    )
    return (*counts, *sizes, *_url_crosses(host, query, counts))[ord(word[0]) - ord("a")]


def _url_counts(host: str, path: str, query: str) -> tuple[str, ...]:
    """Return the counts of a URL in words, in the order of the features."""
    parts = sum(1 for part in path.split("/") if part)
    return (
        f"{_count(len(host), 'character')} in the host",
        "the length of the name",
        f"{_count(host.count('.') + 1, 'label')} in the host",
        f"{_count(_digits(host), 'digit')} in the host",
        f"{_count(host.count('-'), 'hyphen')} in the host",
        f"{_count(parts, 'part')} in the path",
        f"{_count(len(path), 'character')} in the path",
        f"{_count(_digits(path), 'digit')} in the path",
        f"{_count(len(query), 'character')} in the query",
    )


def _url_crosses(host: str, query: str, counts: Sequence[str]) -> tuple[str, ...]:
    """Return the crosses of counts in words, in the order of the features."""
    ending = host.rpartition(".")[2][:24]
    labels = counts[2].removesuffix(" in the host")
    form = f"the form of the host ({labels}, .{ending})"
    parts = counts[5].removesuffix(" in the path")
    page = f"the form of the path ({parts}{', a query' if query else ''})"
    return (
        form,
        f"the length of the name before .{ending}",
        "the pattern of the name",
        f"the form of the URL ({labels}, {parts})",
        f"the kind of page below .{ending} ({parts})",
        page,
        form,
        "the pattern of the path",
    )


def _count(n: int, noun: str) -> str:
    return f"{n or 'no'} {noun}{'' if n == 1 else 's'}"


def _digits(text: str) -> int:
    return len(re.findall(r"[0-9]", text))


def _mark(word: str) -> str:
    """Return a mark of a mail or page in words; unknown ones with spaces for hyphens."""
    if word.startswith("many-"):
        return f"many: {_mark(word.removeprefix('many-'))}"
    stem, _, degree = word.rpartition("-")
    if degree in _DEGREES and stem and not stem.startswith(("text", "pictures")):
        return _DEGREES[degree] + _mark(stem)
    if word in _MARKS:
        return _MARKS[word]
    kind, _, where = word.partition("-")
    if kind in _REACHING and where in _SITES:
        return f"{_REACHING[kind]} {_SITES[where]}"
    if kind == "asks":
        return f"asks for: {where}"
    return word.replace("-", " ")


def _form(word: str) -> str | None:
    """Return what a word of the field `forms` says; None for the text of a button."""
    kind, _, what = word.partition("-")
    if kind == "form":
        return f"a form ({what})"
    if kind in _REACHING and what in _SITES:
        return f"{_REACHING[kind]} {_SITES[what]}"
    return f"a field for: {what}" if kind and what in _WANTED else None
