"""Changes of a text that leave what it does as it is: the styles of attackers and of typists."""

import re
from collections.abc import Callable, Iterable

import numpy as np

Transform = Callable[[str, np.random.Generator], str]

_WORD = re.compile(r"[A-Za-z]{3,}")
_OPTION = re.compile(r"(?<=\s)[-/][A-Za-z]{3,}\b")
_ENVIRONMENT = {
    r"C:\Windows": "%SystemRoot%",
    r"C:\Users\Public": "%PUBLIC%",
    r"C:\ProgramData": "%ProgramData%",
    "cmd.exe": "%COMSPEC%",
}
_HOMOGLYPHS = {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "x": "х", "i": "і"}  # noqa: RUF001


def _within_words(
    text: str, rng: np.random.Generator, change: Callable[[str], str], share: float
) -> str:
    return _WORD.sub(lambda m: change(m[0]) if rng.random() < share else m[0], text)


def _insert(word: str, what: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(1, len(word)))
    return word[:at] + what + word[at:]


def carets(text: str, rng: np.random.Generator) -> str:
    """``pow^ershell``: the Windows shell drops carets outside quotes."""
    parts = text.split('"')
    parts[::2] = [_within_words(p, rng, lambda w: _insert(w, "^", rng), 0.6) for p in parts[::2]]
    return '"'.join(parts)


def empty_quotes(text: str, rng: np.random.Generator) -> str:
    """``sch""tasks`` for the first words: both shells drop empty quotes."""
    head, space, rest = text.partition(" ")
    quotes = str(rng.choice(['""', "''"])) if "\\" not in head and "/" in rest else '""'
    return _within_words(head, rng, lambda w: _insert(w, quotes, rng), 1.0) + space + rest


def random_case(text: str, rng: np.random.Generator) -> str:
    """``ScHtAsKs``: Windows and PowerShell do not tell the cases apart."""
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def wide_spaces(text: str, rng: np.random.Generator) -> str:
    """Several spaces, or tabs, where one would do."""
    return re.sub(" ", lambda _: str(rng.choice([" ", "  ", "    ", "\t"])), text)


def short_options(text: str, rng: np.random.Generator) -> str:
    """PowerShell takes any beginning of an option that is not ambiguous."""
    return _OPTION.sub(lambda m: m[0][: int(rng.integers(3, max(4, len(m[0]))))], text)


def environment(text: str, rng: np.random.Generator) -> str:
    """Known folders by their variables."""
    for folder, variable in _ENVIRONMENT.items():
        if rng.random() < 0.8:
            text = re.sub(re.escape(folder), lambda _, v=variable: v, text, flags=re.IGNORECASE)  # type: ignore[misc]
    return text


def in_shell(text: str, rng: np.random.Generator) -> str:
    """Started by another shell."""
    shells = (
        "cmd /c {}",
        "cmd.exe /c {}",
        '"cmd.exe" /c "{}"',
        "C:\\Windows\\System32\\cmd.exe /c {}",
    )
    return str(rng.choice(shells)).replace("{}", text)


def homoglyphs(text: str, rng: np.random.Generator) -> str:
    """A letter or two that only look like the ones that one knows."""
    places = [i for i, c in enumerate(text) if c in _HOMOGLYPHS]
    for place in rng.permutation(places)[:2] if places else ():
        text = text[:place] + _HOMOGLYPHS[text[place]] + text[place + 1 :]
    return text


def typing_errors(text: str, rng: np.random.Generator) -> str:
    """Letters swapped or left out, as people do in haste."""

    def slip(word: str) -> str:
        at = int(rng.integers(1, len(word)))
        if rng.random() < 0.5:
            return word[:at] + word[at + 1 :]
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]

    return _within_words(text, rng, slip, 0.04)


TRANSFORMS: dict[str, Transform] = {
    "carets": carets,
    "empty-quotes": empty_quotes,
    "random-case": random_case,
    "wide-spaces": wide_spaces,
    "short-options": short_options,
    "environment": environment,
    "in-shell": in_shell,
    "homoglyphs": homoglyphs,
    "typing-errors": typing_errors,
}


def transformed(text: str, names: Iterable[str], medium: str, rng: np.random.Generator) -> str:
    """Apply transforms, in order; of a message, to its body alone."""
    head, gap, body = text.partition("\n\n") if medium == "message" else ("", "", text)
    for name in names:
        body = TRANSFORMS[name](body, rng)
    return head + gap + body
