"""Measures the structure of the code base: sizes, signatures, repetition, names, start-up times.

Run by `make measure`. Every figure comes from the files of this checkout, so two checkouts can be
compared line by line: `python -m benchmarks.structure --root OTHER`. With package names as
arguments, only these packages are measured, and every finding is listed.
"""

import argparse
import ast
import io
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_PARAMETERS = 7
BLOCK_LINES = 6
START_RUNS = 7
# Endings of names that say what was done to a thing instead of what it is.
_PARTICIPLE = re.compile(r"^_?[a-z]*[a-z]{2}ed$|^_?(?:made|told|said|known|seen|kept|held|found)$")
_PARTICIPLE_CLASS = re.compile(r"^_?[A-Z][a-z]+ed$|^_?(?:Made|Told|Said|Known|Seen|Kept|Found)$")
_WEAK_OPENING = re.compile(r"^(Of|What|How|Whether|Which|Where)\b")
_TRIVIAL = re.compile(r"^[\W_]*$")


def modules(root: Path, packages: list[str]) -> list[Path]:
    """Return the Python files of the package, or of the named packages in it."""
    source = root / "src" / "buckler"
    if not packages:
        return sorted(source.rglob("*.py"))
    found = []
    for name in packages:
        place = source / name
        found += sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return found


def functions(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Yield every function, and whether it is a method."""
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield child, isinstance(node, ast.ClassDef)


def findings(path: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Yield (what, where) for everything in a file that the table counts."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    name = path.relative_to(root / "src" / "buckler")
    in_cli = name.parts[0] == "cli"
    for function, is_method in functions(tree):
        where = f"{name}:{function.lineno} {function.name}"
        arguments = function.args
        count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - is_method
        if count > MAX_PARAMETERS and not in_cli and function.name != "__init__":
            yield "functions with more than 7 parameters", where
        if arguments.kwarg is not None and not function.name.startswith("_"):
            yield "public functions with **kwargs", where
        is_attribute = any("property" in ast.unparse(each) for each in function.decorator_list)
        if _PARTICIPLE.match(function.name) and not is_attribute:  # `detected` is an adjective
            yield "functions named by a bare participle", where
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and _PARTICIPLE_CLASS.match(node.name):
            yield "classes named by a bare participle", f"{name}:{node.lineno} {node.name}"
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node):
            yield "except Exception", f"{name}:{node.lineno}"
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            for line in (ast.get_docstring(node) or "").splitlines():
                if _WEAK_OPENING.match(line.strip()):
                    where = f"{name}:{getattr(node, 'lineno', 1)} {line.strip()[:60]}"
                    yield "docstring lines that open with Of, What, How, Whether, …", where
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string == "Any":
            yield "uses of Any", f"{name}:{token.start[0]}"


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
        if (handler.type is not None)
        else {"Exception"}
    )
    return bool(names & {"Exception", "BaseException"})


def repeated_blocks(paths: list[Path], root: Path) -> list[str]:
    """Return the places where six or more lines of code stand twice; imports do not count."""
    windows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    kept: list[list[tuple[int, str]]] = []
    for index, path in enumerate(paths):
        text = path.read_text(encoding="utf-8")
        imports = {
            number
            for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        lines = [(n, " ".join(line.split())) for n, line in enumerate(text.splitlines(), 1)]
        code = [
            (number, line)
            for number, line in lines
            if number not in imports and line and line[0] != "#" and not _TRIVIAL.match(line)
        ]
        kept.append(code)
        for at in range(len(code) - BLOCK_LINES + 1):
            block = "\n".join(line for _, line in code[at : at + BLOCK_LINES])
            windows[block].append((index, at))
    found = set()
    for places in windows.values():
        for index, at in places[1:]:
            first, first_at = places[0]
            found.add((first, first_at - at, index, at))
    runs = [p for p in found if (p[0], p[1], p[2], p[3] - 1) not in found]
    return sorted(
        f"{paths[first].relative_to(root)}:{kept[first][at + offset][0]} ~ "
        f"{paths[index].relative_to(root)}:{kept[index][at][0]}"
        for first, offset, index, at in runs
    )


def cpu_ms(command: list[str], root: Path) -> float:
    """Return the least CPU time of a command over a few runs, in milliseconds."""
    times = []
    with tempfile.TemporaryDirectory() as cache:
        # Compiled modules are kept, as those of an installed package are.
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        environment |= {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(START_RUNS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * min(times)


def trace_simplest_run(root: Path) -> list[str]:
    """Return the files and functions of the package that the simplest recipe runs through."""
    source = root / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-m", "benchmarks.simplest_run", str(source)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.split()[-3:]


def table(root: Path, packages: list[str]) -> list[tuple[str, str]]:
    """Return the rows: what is measured, and the figure."""
    paths = modules(root, packages)
    counts: Counter[str] = Counter()
    listed: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for what, where in findings(path, root):
            counts[what] += 1
            listed[what].append(where)
    blocks = repeated_blocks(paths, root)
    sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in paths]
    kernel = [] if packages else sorted((root / "src").rglob("*.[ch]"))
    total = sum(sizes) + sum(len(path.read_text().splitlines()) for path in kernel)
    stems = Counter(path.stem for path in paths if path.stem != "__init__")
    rows = [(what, f"{counts[what]:,}") for what in sorted(counts)]
    rows += [
        ("identical blocks of six lines", f"{len(blocks):,}"),
        ("file stems that name more than one file", f"{sum(n > 1 for n in stems.values()):,}"),
        ("Python files", f"{len(paths):,}"),
        ("lines of the largest Python file", f"{max(sizes):,}"),
        ("lines of the median Python file", f"{statistics.median(sizes):,.0f}"),
        ("lines of src, C included", f"{total:,}"),
    ]
    if packages:
        for what, places in listed.items():
            if what != "uses of Any":
                rows += [(f"  {what}", place) for place in places]
        rows += [("  identical block", block) for block in blocks]
        return rows
    names = ("files", "functions", "times that a bundle is opened")
    rows += [
        (f"simplest recipe, CSV to bundle: {name}", figure)
        for name, figure in zip(names, trace_simplest_run(root), strict=True)
    ]
    start_ups = {
        "import numpy, CPU ms": ["-c", "import numpy"],
        "import buckler.runtime, CPU ms": ["-c", "import buckler.runtime"],
        "buckler --help, CPU ms": ["-m", "buckler.cli.main", "--help"],
        "buckler score url URL, CPU ms": [
            "-c",
            "from buckler.cli.entry import main; main()",
            "score",
            "url",
            "http://a.example/",
        ],
    }
    return rows + [
        (what, f"{cpu_ms([sys.executable, *command], root):.0f}")
        for what, command in start_ups.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=__doc__)
    parser.add_argument("packages", nargs="*", help="measure these packages and list the findings")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args()
    for what, figure in table(arguments.root.resolve(), arguments.packages):
        print(f"{what:58} {figure:>12}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
