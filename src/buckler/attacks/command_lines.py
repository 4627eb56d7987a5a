"""Attacks on command lines, after the ideas of Invoke-Obfuscation and DOSfuscation.

Daniel Bohannon describes them ("Invoke-Obfuscation", 2016; "DOSfuscation: Exploring the Depths of
Cmd.exe Obfuscation and Detection Techniques", 2018).
"""

import base64
import re

from buckler.attacks.attack import Attacker, attack
from buckler.attacks.texts import insert, within_words

_OPTION = re.compile(r"(?<=\s)[-/][A-Za-z]{3,}\b")
_WINDOWS = re.compile(
    r"\\|%\w+%|\.(?:exe|dll|ps1|bat|vbs|cmd)\b|\b(?:powershell|cmd|reg|schtasks|wmic|net|rundll32)\b"
    r"|^(?:get|set|new|add|invoke|start|remove|import)-[a-z]|\$env:|\s/[a-z]{1,12}\b",
    re.IGNORECASE,
)
_POSIX = re.compile(
    r"(?:^|[\s'\"=])/(?:bin|usr|etc|tmp|var|dev|home|root|opt|proc)\b|^(?:sudo|sh|bash)\b"
)
_POWERSHELL = re.compile(
    r"\b(?:powershell|pwsh)\b|^\s*(?:\$|[a-z]+-[a-z]+\b|\[)|\biex\b|new-object|invoke-",
    re.IGNORECASE,
)
_LITERAL = re.compile(r"'([^'\"`$]{4,80})'")
_ENVIRONMENT = {
    r"C:\Windows": "%SystemRoot%",
    r"C:\Users\Public": "%PUBLIC%",
    r"C:\ProgramData": "%ProgramData%",
    "cmd.exe": "%COMSPEC%",
}
_SHELLS = (
    "cmd /c {}",
    "cmd.exe /c {}",
    '"cmd.exe" /c "{}"',
    "C:\\Windows\\System32\\cmd.exe /c {}",
)
_LETTERS = {  # a letter cut from the value of a variable that every machine has
    "c": "%COMSPEC:~0,1%",
    "s": "%SystemRoot:~6,1%",
    "w": "%SystemRoot:~3,1%",
    "m": "%COMSPEC:~-7,1%",
    "e": "%COMSPEC:~-1%",
    "p": "%ProgramFiles:~3,1%",
    "r": "%ProgramFiles:~4,1%",
}


def _for_windows(text: str) -> bool:
    return bool(_WINDOWS.search(text)) and not _POSIX.search(text)


def _first_word(text: str) -> tuple[str, str]:
    """Return the program as written, and the rest."""
    match = re.match(r'\s*("[^"]*"|\S+)', text)
    return (match[0], text[match.end() :]) if match else ("", text)


@attack("carets", "command-line")
def carets(text: str, attacker: Attacker) -> str:
    """``pow^ersh^ell``: the Windows shell drops carets outside quotes."""
    if not _for_windows(text):
        return text
    parts = text.split('"')
    parts[::2] = [
        within_words(p, attacker, lambda w: insert(w, "^", attacker), 0.6) for p in parts[::2]
    ]
    return '"'.join(parts)


@attack("empty-quotes", "command-line")
def empty_quotes(text: str, attacker: Attacker) -> str:
    """``sch""tasks``: all shells drop empty quotes in the name of a program."""
    head, rest = _first_word(text)
    quotes = '""' if _for_windows(text) else attacker.one_of(["''", '""'])
    return within_words(head, attacker, lambda w: insert(w, quotes, attacker), 1.0) + rest


@attack("ticks", "command-line")
def ticks(text: str, attacker: Attacker) -> str:
    """``Inv`oke-Exp`ression``: PowerShell drops ticks before most letters."""
    if not _POWERSHELL.search(text) or _POSIX.search(text):
        return text

    def tick(word: str) -> str:
        places = [i for i in range(1, len(word)) if word[i].lower() not in "0abefnrtuv"]
        if not places:
            return word
        at = places[attacker.below(len(places))]
        return word[:at] + "`" + word[at:]

    return within_words(text, attacker, tick, 0.5)


@attack("random-case", "command-line", "text")
def random_case(text: str, attacker: Attacker) -> str:
    """``ScHtAsKs``: Windows and PowerShell ignore case."""
    if re.search(r"[A-Za-z0-9+/]{40,}={0,2}", text):  # case matters in base64
        return text
    return "".join(c.upper() if attacker.chance(0.5) else c.lower() for c in text)


@attack("short-options", "command-line")
def short_options(text: str, attacker: Attacker) -> str:
    """Options cut to any unambiguous beginning, which PowerShell accepts."""
    return _OPTION.sub(lambda m: m[0][: 3 + attacker.below(max(1, len(m[0]) - 3))], text)


@attack("long-options", "command-line")
def long_options(text: str, attacker: Attacker) -> str:  # noqa: ARG001 - nothing is random
    """Short options of PowerShell written out."""
    full = {
        "e": "EncodedCommand", "en": "EncodedCommand", "enc": "EncodedCommand",
        "ec": "EncodedCommand", "nop": "NoProfile", "noni": "NonInteractive", "w": "WindowStyle",
        "ep": "ExecutionPolicy", "exec": "ExecutionPolicy", "c": "Command", "f": "File",
        "sta": "Sta", "noe": "NoExit", "nol": "NoLogo",
    }  # fmt: skip
    if not re.search(r"powershell|pwsh", text, re.IGNORECASE):
        return text
    return re.sub(r"(?<=\s)[-/]([a-z]{1,4})(?=\s)",
                  lambda m: "-" + full[m[1].lower()] if m[1].lower() in full else m[0],
                  text, flags=re.IGNORECASE)  # fmt: skip


@attack("environment", "command-line")
def environment(text: str, attacker: Attacker) -> str:
    """Known folders by their variables."""
    for folder, variable in _ENVIRONMENT.items():
        if attacker.chance(0.8):
            text = re.sub(re.escape(folder), lambda _, v=variable: v, text, flags=re.IGNORECASE)  # type: ignore[misc]
    return text


@attack("in-shell", "command-line")
def in_shell(text: str, attacker: Attacker) -> str:
    """The line run by another shell."""
    if not _for_windows(text):
        return "sh -c '" + text.replace("'", "'\\''") + "'"
    return attacker.one_of(_SHELLS).replace("{}", text)


@attack("substrings", "command-line")
def substrings(text: str, attacker: Attacker) -> str:
    """Letters of the program's name cut out of the values of variables (DOSfuscation)."""
    if not _for_windows(text):
        return text
    head, rest = _first_word(text)
    name = "".join(
        _LETTERS[c.lower()] if c.lower() in _LETTERS and attacker.chance(0.5) else c for c in head
    )
    return f'cmd /c "{name}{rest}"' if name != head else text


@attack("variables", "command-line")
def variables(text: str, attacker: Attacker) -> str:
    """The line cut into pieces that are put into variables first (DOSfuscation)."""
    if not _for_windows(text) or any(c in text for c in "&|%!") or len(text) < 8:
        return text
    n = 2 + attacker.below(4)
    cuts = sorted({1 + attacker.below(len(text) - 1) for _ in range(n)})
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    names = [f"{attacker.one_of('abcdefghkmnp')}{i}" for i in range(len(pieces))]
    order = attacker.rng.permutation(len(pieces)).tolist()
    sets = "&&".join(f"set {names[i]}={pieces[i]}" for i in order)
    call = "".join(f"%{name}%" for name in names)
    return f'cmd /c "{sets}&&call {call}"'


def _cut_strings(text: str, attacker: Attacker, joined: str) -> str:
    """Write each string of a PowerShell line as two pieces, {0} and {1}, put together."""

    def cut(match: re.Match[str]) -> str:
        word = match[1]
        at = 1 + attacker.below(len(word) - 1)
        return joined.format(word[:at], word[at:])

    return _LITERAL.sub(cut, text) if _POWERSHELL.search(text) else text


@attack("concatenation", "command-line")
def concatenation(text: str, attacker: Attacker) -> str:
    """Strings put together from pieces, in PowerShell."""
    return _cut_strings(text, attacker, "('{0}'+'{1}')")


@attack("format-operator", "command-line")
def format_operator(text: str, attacker: Attacker) -> str:
    """Strings put together by PowerShell's ``-f``, in another order."""
    return _cut_strings(text, attacker, "(\"{{1}}{{0}}\" -f '{1}','{0}')")


@attack("base64", "command-line")
def encode(text: str, attacker: Attacker) -> str:
    """The whole line in base64: PowerShell's ``-EncodedCommand``, or a pipe to a shell."""
    if _for_windows(text):
        data = base64.b64encode(text.encode("utf-16-le", "replace")).decode()
        option = attacker.one_of(["-e", "-enc", "-EncodedCommand", "/ec"])
        return f"powershell {attacker.one_of(['', '-nop ', '-w hidden '])}{option} {data}"
    data = base64.b64encode(text.encode("utf-8", "replace")).decode()
    option, shell = attacker.one_of(["-d", "--decode"]), attacker.one_of(["sh", "bash"])
    return f"echo {data} | base64 {option} | {shell}"


@attack("benign-before", "command-line", hides=True)
def benign_before(text: str, attacker: Attacker) -> str:
    """A harmless command first, in the same line."""
    return f"{attacker.benign_text()} {attacker.one_of(['&', '&&', ';'])} {text}"


@attack("benign-after", "command-line", hides=True)
def benign_after(text: str, attacker: Attacker) -> str:
    """A harmless text after it, as a comment or a further command."""
    joint = (
        attacker.one_of(["& rem", "&", "&&"]) if _for_windows(text) else attacker.one_of(["#", ";"])
    )
    return f"{text} {joint} {' '.join(attacker.benign_text() for _ in range(3))}"


@attack("option-order", "command-line")
def reorder_options(text: str, attacker: Attacker) -> str:
    """Options, with their values, in another order."""
    head, rest = _first_word(text)
    if any(c in rest for c in "|&;<>\"'`("):
        return text
    groups = [g for g in re.split(r"\s(?=[-/]{1,2}[A-Za-z])", rest) if g.strip()]
    fixed = [] if rest.lstrip()[:1] in ("-", "/") else groups[:1]
    options = groups[len(fixed) :]
    if len(options) < 2:
        return text
    shuffled = [options[i] for i in attacker.rng.permutation(len(options)).tolist()]
    return " ".join([head, *(g.strip() for g in (*fixed, *shuffled))])


@attack("program-copy", "command-line")
def copy_program(text: str, attacker: Attacker) -> str:
    """The program copied under another name, into a folder that everyone may write to."""
    head, rest = _first_word(text)
    if not re.fullmatch(r'"?(?:[A-Za-z]:\\|/)?[\w .\\/-]+"?', head):
        return text
    name = "".join(attacker.one_of("abcdefghijklmnopqrstuvwxyz") for _ in range(6))
    if _for_windows(text):
        return f"C:\\Users\\Public\\{name}.exe{rest}"
    return f"/tmp/.{name}{rest}"  # noqa: S108 - what an attacker would write
