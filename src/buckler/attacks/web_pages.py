"""Attacks on web pages: padding, pictures of text, split forms, look-alike letters."""

import html
import re
from collections.abc import Callable

from buckler.attacks.attack import Attacker, attack
from buckler.attacks.texts import TAGS, invisible, many_homoglyphs, outside_tags

_SCRIPT = re.compile(r"(<(?:script|style)\b[^<>]*>.*?</(?:script|style)>)", re.I | re.S)
_BODY_END = re.compile(r"</body\s*>", re.I)
_TITLE = re.compile(r"(<title[^<>]*>)(.*?)(</title>)", re.I | re.S)
_FORM = re.compile(r"</?form\b[^<>]*>", re.I)
_ACTION = re.compile(r"(<form\b[^<>]*?)\saction\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s<>]+)", re.I)
_HEADING = re.compile(r"<(h[1-6]|p|span|label|b|strong)\b[^<>]*>([^<>]{3,200})</\1>", re.I)
_MAX_PADDING = 20_000


def _visible(page: str, change: Callable[[str], str]) -> str:
    """Change the text between tags, outside scripts and styles."""
    whole = _SCRIPT.split(page)
    whole[::2] = [outside_tags(part, change) for part in whole[::2]]
    return "".join(whole)


def _before_end(page: str, addition: str) -> str:
    end = _BODY_END.search(page)
    at = end.start() if end is not None else len(page)
    return page[:at] + addition + page[at:]


@attack("homoglyphs", "html")
def homoglyphs_in_page(page: str, attacker: Attacker) -> str:
    """Letters of other alphabets in three words of ten."""
    return _visible(page, lambda text: many_homoglyphs(text, attacker))


@attack("invisible", "html")
def invisible_in_page(page: str, attacker: Attacker) -> str:
    """Characters without width inside every other word."""
    return _visible(page, lambda text: invisible(text, attacker))


@attack("padding", "html", hides=True)
def padding(page: str, attacker: Attacker) -> str:
    """The content of an ordinary page below, where no one scrolls."""
    return _before_end(page, f"<div>{attacker.benign_text()[:_MAX_PADDING]}</div>")


@attack("hidden-padding", "html", hides=True)
def hidden_padding(page: str, attacker: Attacker) -> str:
    """The text of an ordinary page, hidden by a style."""
    words = html.escape(" ".join(TAGS.sub(" ", attacker.benign_text()).split())[:_MAX_PADDING])
    return _before_end(page, f'<div style="display:none">{words}</div>')


@attack("text-as-images", "html")
def text_as_images(page: str, attacker: Attacker) -> str:
    """Headings and labels as pictures."""
    return _HEADING.sub(lambda _: f'<img src="/i/{attacker.below(10**6)}.png">', page)


@attack("split-form", "html")
def split_form(page: str, attacker: Attacker) -> str:
    """No form: fields alone, and a script that sends them."""
    made = _FORM.sub("", page)
    if made == page:
        return page
    target = attacker.below(10**6)
    script = f"<script>b.onclick=function(){{fetch('/{target}',{{method:'POST'}})}}</script>"
    return _before_end(made, script)


@attack("own-action", "html")
def own_action(page: str, attacker: Attacker) -> str:
    """Forms that post to the page's own site."""
    return _ACTION.sub(
        lambda m: f'{m[1]} action="/{attacker.one_of(["login", "next", "auth"])}"', page
    )


@attack("no-title", "html")
def no_title(page: str, attacker: Attacker) -> str:
    """A title that names no one."""
    title = attacker.one_of(["Welcome", "Home", "Sign in", "Loading"])
    return _TITLE.sub(lambda m: m[1] + title + m[3], page, count=1)
