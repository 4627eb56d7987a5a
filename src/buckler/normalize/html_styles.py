"""Attributes that hide an element, and those that show it again."""

import re
from functools import lru_cache
from typing import NamedTuple

_SMALLEST = 1.0  # pixels of a letter that is seen
_OFF_SCREEN = -500.0  # pixels
_PIXELS = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945}
_PIXELS |= {"rem": 16.0, "vw": 12.0, "vh": 8.0, "vmin": 8.0, "vmax": 12.0, "": 1.0}
_RELATIVE = {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5}
_SIZE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)\s*([a-z%]*)")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.S)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.I | re.S)
_WORTH_READING = re.compile(
    r"display|visib|font|opacity|clip|height|width|indent|left|right|top|bottom|margin|transform"
    r"|mso-hide|content-visib|\\|/\*",
    re.I,
)


# Letters of form fields have a size of their own.
_OWN_LETTERS = {"button": 13.3, "input": 13.3, "select": 13.3, "textarea": 13.3}
_NOTHING_LEFT = re.compile(
    r"scale[xy]?\(0(?:\.0*)?[,)]|translate[xy]?\(-\d{3}"
    r"|rect\([01](?:px)?,[01](?:px)?,|inset\((?:50|100)%|circle\(0"
)


class Effect(NamedTuple):
    """Effect of an element's own style.

    Attributes
    ----------
    removed
        True if nothing inside is seen, whatever the style of what is inside.
    dropped
        True if what is inside is no text of the page at all.
    display
        Value of ``display``, or an empty string.
    visible
        Own visibility, None if inherited. What is inside may be visible again.
    pixels, times
        Own size of letters, or a factor on the inherited one; None if inherited.
    """

    removed: bool = False
    dropped: bool = False
    display: str = ""
    visible: bool | None = None
    pixels: float | None = None
    times: float | None = None


PLAIN = Effect()


class Visibility(NamedTuple):
    """Result of the styles of an element and of those around it."""

    removed: bool = False
    dropped: bool = False
    visible: bool = True
    pixels: float = 16.0

    def __bool__(self) -> bool:
        return self.shows_pictures and self.pixels >= _SMALLEST

    @property
    def shows_pictures(self) -> bool:
        """True if pictures are seen, which have no size of letters."""
        return self.visible and not self.removed and not self.dropped

    def under(self, effect: Effect) -> "Visibility":
        """Return what an element with this effect comes to inside this one."""
        if effect is PLAIN:
            return self
        pixels = effect.pixels if effect.pixels is not None else self.pixels
        return Visibility(
            self.removed or effect.removed,
            self.dropped or effect.dropped,
            self.visible if effect.visible is None else effect.visible,
            pixels if effect.times is None else self.pixels * effect.times,
        )


def effect_of(name: str, attributes: dict[str, str]) -> Effect:
    """Return what the name and the attributes of an element do to what is inside."""
    effect = _read_style(attributes["style"]) if "style" in attributes else PLAIN
    if "hidden" in attributes or (name == "dialog" and "open" not in attributes):
        return effect if effect.display else effect._replace(removed=True)
    if effect.pixels is None and effect.times is None:
        if name in _OWN_LETTERS:
            return effect._replace(pixels=_OWN_LETTERS[name])
        if name == "font" and attributes.get("size", "")[:1].isdigit():
            return effect._replace(pixels=16.0)
    return effect


@lru_cache(maxsize=4096)
def _read_style(style: str) -> Effect:
    """Return the effect of a style attribute; the last declaration counts, as in browsers."""
    if not _WORTH_READING.search(style):
        return PLAIN
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
    return Effect(
        own.get("display") == "none" or _is_removed(own),
        False,
        own.get("display", ""),
        {"hidden": False, "collapse": False, "visible": True}.get(own.get("visibility", "")),
        pixels,
        times,
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
