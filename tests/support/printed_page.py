"""Runs a page of the documentation as a reader does: each block as printed, in order.

Blocks of the languages `sh` and `python` are run, in one folder. A block whose first line names a
file (`# chat.toml`) is written to that file. A line `pip install '.[serve]'` puts an environment in
front that holds what it installs, and nothing else. A comment `<!-- not run: REASON -->` before a
block leaves it out.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from types import MappingProxyType

from tests.support.environments import ROOT

_BLOCK = re.compile(
    r"(?P<reason><!-- not run: [^\n]*-->\n\n?)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_FILE = re.compile(r"(?:#|//|/\*|--) ([\w./-]+\.(?:toml|py|c|mjs|csv|json|jsonl|yml|html))\b")
_INSTALL = re.compile(r"pip install '?\.(?:\[([\w,]+)\])?'?(?: .*)?")
_STOP = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"


@dataclass(frozen=True)
class Block:
    """A block of a page that a reader uses.

    Attributes
    ----------
    line
        Line of the page where it begins.
    language, text
        Its language and content.
    """

    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """Name of the file that the block is; None for something to run."""
        found = _FILE.match(self.text)
        return found[1] if found else None


def read_blocks(page: Path) -> list[Block]:
    """Return the blocks to run or to write, in order."""
    content = page.read_text()
    found = [
        Block(content[: one.start("text")].count("\n"), one["language"], one["text"])
        for one in _BLOCK.finditer(content)
        if not one["reason"]
    ]
    return [one for one in found if one.language in ("sh", "python") or one.file]


def run_page(
    page: Path,
    folder: Path,
    programs_of: Callable[[tuple[str, ...]], Path],
    variables: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Run a page in a folder that holds a copy of `examples/`, and return what it printed.

    Parameters
    ----------
    programs_of
        Returns the folder of programs of an environment with these extras.
    variables
        Variables of the environment that a reader has set, such as keys.
    """
    shutil.copytree(ROOT / "examples", folder / "examples", dirs_exist_ok=True)
    lines = ["set -euo pipefail", _STOP]
    for block in read_blocks(page):
        lines += [f"echo '== {page.name}, line {block.line}'", *_script(block, programs_of)]
    usual = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "100"}
    process = subprocess.Popen(
        ["bash", "-c", "\n".join(lines)],
        cwd=folder,
        env={**usual, "OMP_NUM_THREADS": "1", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=600)
    finally:
        end_group(process.pid)
    assert process.returncode == 0, printed[-6000:]
    return printed


def end_group(group: int) -> None:
    """End what a page left running."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _script(block: Block, programs_of: Callable[[tuple[str, ...]], Path]) -> Iterator[str]:
    end = "END_OF_BLOCK"
    if block.file:
        yield f"mkdir -p {quote(str(Path(block.file).parent))}"
        yield f"cat > {quote(block.file)} <<'{end}'\n{block.text}{end}"
    elif block.language == "python":
        yield f"python - <<'{end}'\n{block.text}{end}"
    else:
        for line in block.text.splitlines():
            install = _INSTALL.fullmatch(line)
            if install:
                programs = programs_of(tuple((install[1] or "").split(",")) if install[1] else ())
                yield f"export PATH={quote(str(programs))}:/usr/bin:/bin"
            else:
                yield line
