"""Charsets of mail and pages: the text that a reader sees, whatever label the bytes carry."""

import codecs
import re

# Labels that the WHATWG Encoding Standard reads as a superset of what they name, or that Python
# does not know.
_ALIASES = {
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "chinese", "gb_2312-80", "csgb2312"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji"), "cp932"),
    **dict.fromkeys(("windows-31j", "csshiftjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean", "ksc5601", "ksc_5601"), "cp949"),
    **dict.fromkeys(("big5", "big5-hkscs", "cn-big5", "x-x-big5", "csbig5"), "big5hkscs"),
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1"), "cp1252"),
    **dict.fromkeys(("l1", "cp819", "ibm819", "x-cp1252", "windows-1252"), "cp1252"),
    **dict.fromkeys(("iso-8859-9", "iso8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620", "dos-874", "windows-874"), "cp874"),
    **dict.fromkeys(("utf-16", "unicode", "ucs-2", "csunicode", "utf-16le"), "utf-16-le"),
    **dict.fromkeys(("unicode-1-1-utf-8", "x-unicode20utf8", "utf_8", "unicode11utf8"), "utf-8"),
    **dict.fromkeys(("x-mac-roman", "macintosh", "mac"), "mac_roman"),
    **{"x-mac-cyrillic": "mac_cyrillic", "koi": "koi8_r", "koi8-ru": "koi8_u"},
    **{"iso-8859-8-i": "iso8859_8", "visual": "iso8859_8", "unicode-1-1-utf-7": "utf-7"},
    **dict.fromkeys(("us-ascii", "ascii", "ansi_x3.4-1968", "646", "iso646-us"), ""),
    **dict.fromkeys(("unknown-8bit", "x-unknown", "default", "8bit", "none"), ""),
}
# Python codecs that are no charsets of text; some take quadratic time.
_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
_LABEL = re.compile(r"[A-Za-z0-9][\w.:+-]{0,40}")
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def decode_text(data: bytes, label: str = "") -> str:
    """Return bytes as text by byte order mark, label, UTF-8 or Windows-1252; never raises.

    A few bytes that the label does not allow become replacement characters. Where they are many,
    the label is wrong.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    encodings = [find_codec(label) or "utf-8", "utf-8"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except ValueError:  # UnicodeError, or what the codec makes of hostile bytes
            continue
    for encoding in encodings:
        text = data.decode(encoding, "replace")
        damage = text.count("\ufffd")
        sound = sum(not character.isascii() for character in text) - damage
        if 4 * (damage - text.endswith("\ufffd")) < sound:  # the end may cut a character
            return text
    return data.decode("cp1252", "replace")


def find_codec(label: str) -> str:
    """Return Python's codec for a charset's label; an empty string if there is none."""
    found = _LABEL.search(label)
    name = found[0].lower() if found else ""
    try:
        codec = codecs.lookup(_ALIASES.get(name, name) or "utf-8")
    except (LookupError, ValueError):
        return ""
    is_text = getattr(codec, "_is_text_encoding", True)
    unsuited = codec.name.replace("_", "-") in _NOT_CHARSETS or _ALIASES.get(name) == ""
    return codec.name if is_text and not unsuited else ""
