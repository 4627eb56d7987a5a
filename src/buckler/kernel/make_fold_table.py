"""Writes fold_table.h: code points that NFKC and lower case turn into one other code point."""

import re
import sys
import unicodedata
from pathlib import Path


def fold(code_point: int) -> int:
    """Return the code point that `code_point` folds to; itself if there is none or several."""
    text = unicodedata.normalize("NFKC", chr(code_point)).lower()
    text = unicodedata.normalize("NFKC", text)
    return ord(text) if len(text) == 1 else code_point


def longer(code_point: int) -> str:
    """Return the letters of a host that a code point stands for; nothing for a single one."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", chr(code_point)).lower())
    is_arabic_ligature = 0xFB50 <= code_point < 0xFE00 or 0x1EE00 <= code_point < 0x1EF00
    is_host = re.fullmatch(r"[a-z0-9.-]*|[^\0-,/:-@\[-`{-\x7f]+", text) is not None
    return text if len(text) > 1 and is_host and not is_arabic_ligature else ""


def c_string(text: str) -> str:
    """Return the text as a C string, its bytes beyond ASCII escaped."""
    return "".join(chr(c) if c < 0x80 else f"\\{c:03o}" for c in text.encode())


def pairs_of_code_points() -> list[tuple[int, int, int]]:
    """Return first, second and composed code point of each canonical composition."""
    found = []
    for c in range(0x80, 0x110000):
        parts = unicodedata.decomposition(chr(c)).split()
        if len(parts) == 2 and "<" not in parts[0]:
            first, second = (int(part, 16) for part in parts)
            if unicodedata.normalize("NFC", chr(first) + chr(second)) == chr(c):
                found.append((first, second, c))
    return sorted(found)


def main() -> None:
    """Write the table to the path given as the argument."""
    pairs = [
        (c, fold(c)) for c in range(0x80, 0x110000) if not 0xD800 <= c <= 0xDFFF and fold(c) != c
    ]
    composed = pairs_of_code_points()
    letters = [
        (c, longer(c)) for c in range(0x80, 0x110000) if not 0xD800 <= c <= 0xDFFF and longer(c)
    ]
    lines = [
        f"/* Written by make_fold_table.py, Unicode {unicodedata.unidata_version}: do not edit. */",
        f"#define BK_FOLD_COUNT {len(pairs)}",
        "static const uint32_t bk_fold_from[BK_FOLD_COUNT] = {",
        *(
            ",".join(f"{c:#x}" for c, _ in pairs[i : i + 12]) + ","
            for i in range(0, len(pairs), 12)
        ),
        "};",
        "static const uint32_t bk_fold_to[BK_FOLD_COUNT] = {",
        *(
            ",".join(f"{f:#x}" for _, f in pairs[i : i + 12]) + ","
            for i in range(0, len(pairs), 12)
        ),
        "};",
        f"#define BK_PAIR_COUNT {len(composed)}",
        "static const uint32_t bk_pairs[BK_PAIR_COUNT][3] = {",
        *(
            ",".join(
                "{" + ",".join(f"{c:#x}" for c in triple) + "}" for triple in composed[i : i + 5]
            )
            + ","
            for i in range(0, len(composed), 5)
        ),
        "};",
        f"#define BK_LONGER_COUNT {len(letters)}",
        "static const struct {",
        "    uint32_t point;",
        "    const char *letters;",
        "} bk_longer[BK_LONGER_COUNT] = {",
        *(
            ",".join(f'{{{c:#x},"{c_string(text)}"}}' for c, text in letters[i : i + 6]) + ","
            for i in range(0, len(letters), 6)
        ),
        "};",
    ]
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
