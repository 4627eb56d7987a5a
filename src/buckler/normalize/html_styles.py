"""Attributes that hide an element, and those that show it again."""

import re
from functools import lru_cache
from typing import NamedTuple

_MAX_REMEMBERED = 256  # characters: senders must not choose how much memory it takes
_OFF_SCREEN = -500.0  # pixels
_PIXELS = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945}
_PIXELS |= {"rem": 16.0, "vw": 12.0, "vh": 8.0, "vmin": 8.0, "vmax": 12.0, "": 1.0}
_RELATIVE = {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5}
_SIZE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)\s*([a-z%]*)")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.S)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.I | re.S)
_IN_LINE = ("inline", "contents", "none")
_WORTH_READING = re.compile(
    r"display|visib|font|opacity|clip|height|width|indent|left|right|top|bottom|margin|transform"
    r"|mso-hide|content-visib|\\|/\*",
    re.I,
)


class Effect(NamedTuple):
    """Effect of a style on what is inside an element, as the kernel takes it.

    Attributes
    ----------
    removed
        True if nothing inside is seen, whatever the style of what is inside.
    display
        0 without a value of ``display``, 1 for one that keeps the text in its line, 2 for others.
    visible
        Own visibility, -1 if inherited. What is inside may be visible again.
    has_pixels, pixels
        Own size of letters, if there is one.
    has_times, times
        Factor on the inherited size of letters, if there is one.
    """

    removed: bool
    display: int
    visible: int
    has_pixels: bool
    pixels: float
    has_times: bool
    times: float


def read_style(style: str) -> Effect | None:
    """Return the effect of a style attribute, None without one; the last declaration counts."""
    return _read_usual_style(style) if len(style) <= _MAX_REMEMBERED else _read_style(style)


def _read_style(style: str) -> Effect | None:
    if not _WORTH_READING.search(style):
        return None
    own: dict[str, str] = {}
    important: dict[str, str] = {}
    style = (
        _ESCAPE.sub(_unescape, _COMMENT.sub("", style)) if re.search(r"\\|/\*", style) else style
    )
    for declaration in style.lower().split(";"):
        name, _, value = declaration.partition(":")
        value, _, mark = value.partition("!")
        (important if mark.strip() == "important" else own)[name.strip()] = value.strip()
    own |= important
    pixels, times = _letters(own)
    display = own.get("display", "")
    return Effect(
        display == "none" or _is_removed(own),
        0 if not display else 1 if display in _IN_LINE else 2,
        {"hidden": 0, "collapse": 0, "visible": 1}.get(own.get("visibility", ""), -1),
        pixels is not None,
        pixels or 0.0,
        times is not None,
        times or 0.0,
    )


def _unescape(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2]
    code = int(match[1], 16)
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"


def _letters(own: dict[str, str]) -> tuple[float | None, float | None]:
    """Return the size of letters, or its factor."""
    size = own.get("font-size")
    if size is None and "font" in own:  # the size stands before the family: "italic 0/0 a"
        words = [word for word in own["font"].split() if _SIZE.match(word)]
        size = next((word for word in words if not (word.isdigit() and len(word) == 3)), "16px")
    if size is None or size in ("inherit", "unset"):
        return None, None
    if size in ("smaller", "larger"):
        return None, 0.83 if size == "smaller" else 1.2
    number, unit = _number(size)
    if number is None:
        return 16.0, None
    if unit in _RELATIVE:
        return None, number * _RELATIVE[unit]
    return number * _PIXELS.get(unit, 1.0), None


def _number(value: str) -> tuple[float | None, str]:
    match = _SIZE.match(value)
    return (float(match[1]), match[2]) if match is not None else (None, "")


def _is_removed(own: dict[str, str]) -> bool:
    """Return True where a style removes an element without ``display: none``."""

    def pixels(name: str) -> float | None:
        number, unit = _number(own.get(name, ""))
        return None if number is None else number * _PIXELS.get(unit, 1.0)

    cut = own.get("overflow", own.get("overflow-y", "")) in ("hidden", "clip")
    heights = [pixels(name) for name in ("height", "max-height", "width", "max-width")]
    outside = ["text-indent", "margin-left", "margin-top", "margin-right"]
    if own.get("position") in ("absolute", "fixed", "relative"):
        outside += ["left", "top", "right", "bottom"]
    transform = own.get("transform", "").replace(" ", "")
    clip = own.get("clip", own.get("clip-path", "")).replace(" ", "")
    return (
        own.get("mso-hide") == "all"
        or own.get("content-visibility") == "hidden"
        or (_number(own.get("opacity", ""))[0] or (0.0 if "opacity" in own else 1.0)) <= 0.01
        or pixels("max-height") == 0
        or (cut and any(size is not None and size <= 1 for size in heights))
        or any((pixels(name) or 0) <= _OFF_SCREEN for name in outside)
        or re.match(r"scale[xy]?\(0(?:\.0*)?[,)]|translate[xy]?\(-\d{3}", transform) is not None
        or re.match(r"rect\([01](?:px)?,[01](?:px)?,|inset\((?:50|100)%|circle\(0", clip)
        is not None
    )


_read_usual_style = lru_cache(maxsize=4096)(_read_style)
