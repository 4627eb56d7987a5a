"""Writes the kernel as one header and one C file, for programs that embed it: `make c`."""

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = (
    "unicode.c",
    "sink.c",
    "url_address.c",
    "url_wrappers.c",
    "url_resolve.c",
    "url3.c",
    "url1.c",
    "command_decode.c",
    "command_inflate.c",
    "command_variables.c",
    "command_strings.c",
    "command_posix.c",
    "command_shell.c",
    "command.c",
    "normalize.c",
    "segments.c",
    "probabilities.c",
    "ngram.c",
    "paths.c",
    "ngram_train.c",
    "trees.c",
    "model.c",
)
REPEATED = ("ngram_path.h", "url_path.h")  # included once for each instruction set
_INCLUDE = re.compile(r'^#include "([a-z_0-9]+\.h)"\n', re.MULTILINE)


def amalgamate() -> str:
    """Return the C file, which includes `buckler.h`."""
    seen = {"buckler.h"}

    def read(name: str) -> str:
        def inline(match: re.Match[str]) -> str:
            header = match[1]
            if header in seen and header not in REPEATED:
                return ""
            seen.add(header)
            return read(header)

        return _INCLUDE.sub(inline, (HERE / name).read_text(encoding="utf-8"))

    head = (
        "/* Buckler's kernel in one file, written by amalgamate.py: do not edit. Compile with\n"
        " * -std=c11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math. */\n"
        '#include "buckler.h"\n'
    )
    parts = [f"\n/* ==== {name} ==== */\n{read(name)}" for name in SOURCES]
    return head + "".join(parts)


def write(folder: Path) -> None:
    """Write header, C file, and the examples."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "buckler.c").write_text(amalgamate(), encoding="utf-8")
    shutil.copy(HERE / "buckler.h", folder)
    for path in sorted((HERE / "embed").iterdir()):
        shutil.copy(path, folder)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "dist/c")
    write(target)
    print(f"{target}: {', '.join(sorted(p.name for p in target.iterdir()))}")
