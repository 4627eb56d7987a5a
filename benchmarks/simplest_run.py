"""Traces the simplest recipe, from a CSV file to a bundle and a report.

`python -m benchmarks.simplest_run SOURCE` prints the number of package files whose functions ran,
the number of these functions, and how often a bundle was opened. `benchmarks.structure` runs it for
`make measure`.
"""

import csv
import hashlib
import importlib
import inspect
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

RECIPE = """\
task = "url-threat"
output = "out"
[data]
train = ["urls.csv"]
[student]
table_bits = 12
[evaluation]
resamples = 50
"""
# Places of the two functions in this checkout and in the first one that was measured.
READ = ("buckler.pipeline.recipe.read_recipe", "buckler.learning.recipe_file.read_recipe")
RUN = ("buckler.pipeline.run.run", "buckler.learning.run.run_recipe")


def write_files(folder: Path) -> Path:
    """Write made-up labeled URLs and the recipe; return the recipe."""
    with (folder / "urls.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("url", "label"))
        for i in range(2000):
            name, path = (hashlib.sha256(b"%d %d" % (i, k)).hexdigest() for k in (0, 1))
            ending, label = ("login", "phishing") if i % 2 else ("news", "benign")
            writer.writerow((f"http://{name}.example/{path}/{ending}", label))
    recipe = folder / "buckler.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe


def find(names: tuple[str, ...]) -> Callable[..., Any]:
    """Return the first function that there is."""
    for name in names:
        module, _, function = name.rpartition(".")
        try:
            return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"no {names[0]}")


def main() -> int:
    source = str(Path(sys.argv[1]).resolve() / "buckler") + "/"
    recipe = write_files(Path(tempfile.mkdtemp()))
    read_recipe, run = find(READ), find(RUN)
    called: set[tuple[str, str]] = set()
    opened: list[str] = []

    def on_event(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        is_function = code.co_flags & inspect.CO_OPTIMIZED and code.co_name[0] != "<"
        if event == "call" and is_function and code.co_filename.startswith(source):
            called.add((code.co_filename, code.co_qualname))

    def on_audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and ".buckler" in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(on_audit)
    sys.setprofile(on_event)
    run(read_recipe(recipe))
    sys.setprofile(None)
    print(len({path for path, _ in called}), len(called), len(opened))
    return 0


if __name__ == "__main__":
    sys.exit(main())
