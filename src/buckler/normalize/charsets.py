"""Charsets of pages and mails, as browsers and mail clients read them.

Labels mean what the WHATWG Encoding standard says: ``gb2312`` is GB 18030 and ``iso-8859-1`` is
windows-1252. A few charsets of old mail follow. A byte that fits no charset becomes U+FFFD and
leaves the rest of the text as it is.
"""

import html
import re
from contextlib import suppress

from buckler._kernel import is_utf8

# Python codec, then its labels. Labels come from senders: a name that is not listed is unknown.
_LABELS_OF = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 "
    "l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 "
    "l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 "
    "l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 "
    "iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 "
    "iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 "
    "iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 "
    "iso88598 iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9 latin-9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 "
    "iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 "
    "iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "gb18030": "gb18030 chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 "
    "x-gbk",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc-jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso-2022-jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 "
    "ksc_5601 windows-949",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    "x-user-defined": "x-user-defined",
    "": "ansi_x3.4-1968 ascii us-ascii",  # mails with other bytes say so too
    # Charsets of mails that no browser reads.
    "utf-7": "utf-7 unicode-1-1-utf-7",
    "hz": "hz-gb-2312",
    "iso-2022-kr": "csiso2022kr iso-2022-kr",
    "cp437": "cp437 ibm437",
    "cp850": "cp850 ibm850",
    "cp852": "cp852 ibm852",
    "utf-32": "utf-32",
}
_OTHER_NAMES = {"latin-1": "cp1252", "cp936": "gb18030", "ms936": "gb18030", "cp950": "big5hkscs",
                "euckr": "cp949", "eucjp": "euc-jp", "iso-2022-jp-1": "iso-2022-jp",
                "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-ms": "iso-2022-jp"}  # fmt: skip
_CODECS = {label: codec for codec, labels in _LABELS_OF.items() for label in labels.split()}
_CODECS |= {codec: codec for codec in _LABELS_OF} | _OTHER_NAMES
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_LIKE_ASCII = frozenset(("utf-8", "cp1252"))  # the usual ones of those that say the same of it
_ONLY_MAIL = frozenset(("utf-7", "hz", "iso-2022-kr", "utf-32"))
_SCANNED_BYTES = 1 << 16  # where a page may declare its charset

_DECLARATION = re.compile(
    rb"<!--(?:-?>|.*?(?:--!?>|\Z))"
    rb"|<meta(?=[\s/])((?:[^>\"']|\"[^\"]*\"|'[^']*'){0,2000})"
    rb"|<(?:/?[a-z](?:[^>\"']|\"[^\"]*\"|'[^']*')*+|[!/?][^>]*)",
    re.I | re.S,
)
_ATTRIBUTE = re.compile(rb"([^\s\"'>/=]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]*)))?")
_IN_CONTENT = re.compile(rb"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;\"']+))", re.I)
_IN_XML = re.compile(rb"<\?xml\s[^>]{0,200}?encoding\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ISO_2022_JP = re.compile(rb"\x1b(?:\$[@B]|\$\(D|\([BJI])")


def find_codec(label: str) -> str:
    """Return the codec that a charset's label means; an empty string for an unknown label."""
    name = label.strip(" \t\r\n\f\"'").lower()
    return _CODECS.get(name) or _CODECS.get(name.removeprefix("x-"), "")


def encode_text(text: str) -> bytes:
    """Return text as UTF-8; escaped bytes (``surrogateescape``) become the bytes that they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decode_text(data: bytes, label: str = "") -> str:
    """Return bytes as text by byte order mark, label, UTF-8 or windows-1252; never raises.

    A few bytes that the label does not allow become replacement characters. Where they are many,
    the label is wrong.
    """
    usual = find_codec(label) or "utf-8"
    if usual in _LIKE_ASCII and data.isascii():
        return data.decode("ascii")
    for mark, codec in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    for codec in dict.fromkeys((usual, "utf-8")):
        try:
            return _decode(data, codec, "strict")
        except UnicodeError:
            text = _decode(data, codec, "replace")
        # Markup is ASCII in UTF-7 too, so letters beyond it may be few.
        allowed = len(text) // 20 if codec == "utf-7" else _count_allowed(text)
        if _count_wrong(data, text) <= allowed:
            return text
    return _decode(data, "cp1252", "replace")


def is_in_charset(data: bytes, label: str) -> bool:
    """Tell whether all bytes are text in the charset that a label means, UTF-8 by default."""
    try:
        _decode(data, find_codec(label) or "utf-8", "strict")
    except UnicodeError:
        return False
    return True


def decode_page(data: bytes, label: str = "") -> str:
    """Return a page as text: byte order mark, `label` of its carrier, then what it declares.

    A page without either that is UTF-8 throughout is UTF-8, whatever it declares: the declaration
    of a page that was stored as text is of the bytes before.
    """
    if not find_codec(label) and not data.startswith(tuple(_BYTE_ORDER_MARKS)):
        if not _is_shifted(data):
            with suppress(UnicodeDecodeError):
                return data.decode()
        label = "" if not data.isascii() and _is_utf8(data) else _find_declaration(data)
    return decode_text(data, label)


def encode_page(data: bytes, label: str = "") -> bytes:
    """Return the text that `decode_page` gives as UTF-8; the data itself where it is that."""
    codec = find_codec(label)
    is_as_it_is = codec == "utf-8" or not (codec or _is_shifted(data))
    if is_as_it_is and not data.startswith(tuple(_BYTE_ORDER_MARKS)) and is_utf8(data):
        return data
    return decode_page(data, label).encode("utf-8", "surrogatepass")


def _is_shifted(data: bytes) -> bool:
    """Tell whether ASCII may mean other letters by escapes, or be UTF-16."""
    return data.isascii() and (b"\x1b" in data or b"\0" in data[:2])


def _count_wrong(data: bytes, text: str) -> int:
    """Return the characters that stand for wrong bytes; the data may hold U+FFFD of its own."""
    wrong = text.count("\ufffd") - data.count(b"\xef\xbf\xbd")
    return max(0, wrong)


def _count_allowed(text: str) -> int:
    """Return how many characters may be wrong: half as many as there are letters beyond ASCII."""
    letters = len(text) - len(text.encode("ascii", "ignore")) - text.count("\ufffd")
    is_cut = text.endswith("\ufffd") and letters > 0  # the end may cut a character
    return max(0, (letters - 1) // 2) + is_cut


def _is_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    wrong = _count_wrong(data, text)
    return wrong <= _count_allowed(text) and 16 * wrong < len(data)


def _find_declaration(data: bytes) -> str:
    """Return the codec that a page declares, as the HTML standard looks for it, or nothing."""
    head = data[:_SCANNED_BYTES]
    if head[:2] in (b"<\0", b"\0<"):
        return "utf-16-le" if head[0] else "utf-16-be"
    if (xml := _IN_XML.match(head)) and (codec := _codec_in_page(xml[1] or xml[2])):
        return codec
    for tag in _DECLARATION.finditer(head):
        if tag[1] is None:
            continue
        attributes: dict[bytes, bytes] = {}
        for name, *values in _ATTRIBUTE.findall(tag[1]):
            attributes.setdefault(name.lower(), next(filter(None, values), b""))
        label = attributes.get(b"charset")
        if label is None and attributes.get(b"http-equiv", b"").lower() == b"content-type":
            content = _IN_CONTENT.search(attributes.get(b"content", b""))
            label = next(filter(None, content.groups()), b"") if content else None
        if label and (codec := _codec_in_page(label)):
            return codec
    return ""


def _codec_in_page(label: bytes) -> str:
    codec = find_codec(html.unescape(label[:64].decode("latin-1")))
    if codec in _ONLY_MAIL:
        return ""
    # A declaration that can be read is not UTF-16.
    return "utf-8" if codec.startswith("utf-16") else "cp1252" if codec[:2] == "x-" else codec


def _decode(data: bytes, codec: str, errors: str) -> str:
    if codec == "iso-2022-jp":
        return _decode_iso_2022_jp(data, errors)
    if codec == "euc-jp":
        return _decode_euc_jp(data, errors)
    if codec == "x-user-defined":
        return data.decode("latin-1").translate({c: 0xF700 + c for c in range(0x80, 0x100)})
    if codec == "cp1252" and errors == "replace":  # Python leaves five bytes of it undefined
        return data.decode("latin-1").translate(_WINDOWS_1252)
    text = data.decode(codec, errors)
    if codec == "utf-7":  # it can spell surrogates
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_WINDOWS_1252 = {c: bytes([c]).decode("cp1252", "ignore") or chr(c) for c in range(0x80, 0xA0)}


def _decode_iso_2022_jp(data: bytes, errors: str) -> str:
    """Decode ISO-2022-JP with the vendors' rows, which Python's codec lacks."""
    pieces, position, mode = [], 0, b"\x1b(B"
    for escape in [*_ISO_2022_JP.finditer(data), None]:
        piece = data[position : escape.start() if escape is not None else len(data)]
        if mode in (b"\x1b(B", b"\x1b(J"):
            pieces.append(piece.decode("ascii", errors))
        else:
            high = bytes(c | 0x80 if 0x21 <= c < 0x7F else c for c in piece)
            if mode == b"\x1b(I":
                pieces.append(high.decode("cp932", errors))
            else:
                pieces.append(_decode_euc_jp(high, errors, supplement=mode == b"\x1b$(D"))
        if escape is not None:
            position, mode = escape.end(), escape[0]
    return "".join(pieces)


_EUC_JP = re.compile(rb"[\x00-\x7f]+|\x8e[\xa1-\xdf]|(\x8f?)([\xa1-\xfe])([\xa1-\xfe])|[\x80-\xff]")


def _decode_euc_jp(data: bytes, errors: str, *, supplement: bool = False) -> str:
    """Decode EUC-JP; its first set (JIS X 0208) as windows-31j, `supplement` as JIS X 0212."""
    pieces = []
    for match in _EUC_JP.finditer(data):
        piece, (three, row, cell) = match[0], match.groups()
        if row is None:
            codec = "ascii" if piece[0] < 0x80 else "cp932"
            pieces.append((piece[1:] if piece[0] == 0x8E else piece).decode(codec, errors))
        elif three or supplement:
            pieces.append((b"\x8f" + row + cell).decode("euc-jp", errors))
        else:
            pieces.append(_shift_jis(row[0] - 0xA1, cell[0] - 0xA1).decode("cp932", errors))
    return "".join(pieces)


def _shift_jis(row: int, cell: int) -> bytes:
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)
    return bytes((lead, trail))
