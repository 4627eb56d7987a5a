"""Writes fold_table.h: code points that NFKC and lower case turn into one other code point."""

import sys
import unicodedata
from pathlib import Path


def fold(code_point: int) -> int:
    """Return the code point that `code_point` folds to; itself if there is none or several."""
    text = unicodedata.normalize("NFKC", chr(code_point)).lower()
    text = unicodedata.normalize("NFKC", text)
    return ord(text) if len(text) == 1 else code_point


def main() -> None:
    """Write the table to the path given as the argument."""
    pairs = [
        (c, fold(c)) for c in range(0x80, 0x110000) if not 0xD800 <= c <= 0xDFFF and fold(c) != c
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
    ]
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
