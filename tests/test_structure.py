"""The structure of the code base: layers, circles, sizes, and the start-up cost of an endpoint."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.structure import findings, modules, repeated_blocks

PROJECT = Path(__file__).resolve().parents[1]
ROOT = PROJECT / "src" / "buckler"
# The order of DESIGN: a layer imports only layers above it.
LAYERS = [
    "errors",
    "files",
    "extras",
    "isolation",
    "registry",
    "operating_point",
    "signals",
    "_kernel",
    "normalize",
    "tasks",
    "attacks",
    "readers",
    "dataset",
    "labels",
    "evaluation",
    "students",
    "teachers",
    "synthesis",
    "bundle",
    "runtime",
    "models",
    "training",
    "pipeline",
    "serving",
    "monitoring",
    "triage",
    "review",
    "testing",
    "cli",
    "__main__",
]
# Upper bounds of what `python -m benchmarks.structure` counts.
BOUNDS = {
    "functions with more than 7 parameters": 0,
    "public functions with **kwargs": 0,
    "except Exception": 3,  # the command line, plug-ins, and the net around each event
    "uses of Any": 90,
    "docstring lines that open with Of, What, How, Whether, …": 0,
    "functions named by a bare participle": 3,
    "classes named by a bare participle": 0,
    "identical blocks of six lines": 0,
}

# Packages that come with extras alone.
EXTRAS = {
    "argon2", "authlib", "confluent_kafka", "cryptography", "duckdb", "evtx", "fastapi", "fsspec",
    "httpx", "jinja2", "lightgbm", "limits", "markupsafe", "matplotlib", "onnx", "onnxruntime",
    "openai", "anthropic", "orjson", "pefile", "polars", "prometheus_client", "pydantic_settings",
    "pyspark", "ray", "re2", "s3fs", "scipy", "selectolax", "sigma", "starlette", "torch",
    "transformers", "uvicorn", "warcio",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("buckler"):
            names = [f"{node.module}.{a.name}" for a in node.names]
            found |= {node.module, *names} if node.module == "buckler" else {node.module}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.startswith("buckler.")}
    return {name.split(".")[1] for name in found if name.count(".")}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_data_flows_one_way(path):
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if layer in ("__init__", "kernel"):
        return
    allowed = {*LAYERS[: LAYERS.index(layer) + 1], "__version__"}
    assert imports(path) <= allowed, f"{path} imports a layer below it"


def test_the_runtime_imports_only_errors_normalizers_and_the_bundle_reader():
    for path in (ROOT / "runtime").glob("*.py"):
        assert imports(path) <= {
            "errors",
            "files",
            "extras",
            "registry",
            "_kernel",
            "normalize",
            "operating_point",
            "bundle",
            "runtime",
        }
    for name in ("manifest", "archive", "strict_json"):
        assert imports(ROOT / "bundle" / f"{name}.py") <= {
            "__version__",
            "errors",
            "files",
            "operating_point",
            "bundle",
        }


def test_modules_stay_small():
    for path in [*ROOT.rglob("*.py"), *(PROJECT / "benchmarks").rglob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path
        assert path.stem not in ("utils", "helpers", "manager")
    for path in (ROOT / "kernel").glob("*.c"):
        assert len(path.read_text().splitlines()) <= 400, path


def test_the_code_stays_within_the_bounds():
    paths = modules(PROJECT, [])
    places = [finding for path in paths for finding in findings(path, PROJECT)]
    counts = Counter(what for what, _ in places)
    counts["identical blocks of six lines"] = len(repeated_blocks(paths, PROJECT))
    beyond = {what: counts[what] for what, bound in BOUNDS.items() if counts[what] > bound}
    assert not beyond, [place for place in places if place[0] in beyond]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def runtime_imports(path: Path, names: set[str]) -> set[str]:
    """Return the modules that a module imports, inside functions too, but not for types alone."""
    found = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{a.name}" for a in node.names}
            found |= {name if name in names else node.module for name in inner}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        pending += ast.iter_child_nodes(node)
    return found & names


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e", "a"}}
    assert circles(graph) == [["b", "c"]]


def test_modules_import_one_another_in_no_circle():
    paths = {module_name(path): path for path in ROOT.rglob("*.py")}
    graph = {name: runtime_imports(path, set(paths)) - {name} for name, path in paths.items()}
    assert circles(graph) == []


def run(code: str) -> str:
    return subprocess.check_output([sys.executable, "-c", code], text=True)


def test_the_command_line_needs_no_extra():
    """What `pip install buckler` brings must do for every command to be listed."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {EXTRAS!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import buckler.cli.main\n"
        "print('listed')"
    )
    assert run(code).strip() == "listed"


TRAINING = [
    "torch",
    "transformers",
    "pandas",
    "pyarrow",
    "pydantic",
    "typer",
    "rich",
    "fastapi",
    "openai",
    "matplotlib",
    "scipy",
    "publicsuffixlist",
    "buckler.dataset",
    "buckler.tasks",
    "buckler.students",
    "buckler.training",
]
PARSERS = [
    "email",
    "html",
    "http",
    "ssl",
    "socket",
    "asyncio",
    "xml",
    "cryptography",
    "onnxruntime",
    "pefile",
    "selectolax",
    "importlib.metadata",
    "buckler.normalize.email_v1",
    "buckler.normalize.email_v2",
    "buckler.normalize.pe_v1",
    "buckler.normalize.html_v1",
]


def test_an_endpoint_loads_no_training_code_and_no_parser_that_it_does_not_use(url_bundle):
    code = (
        "import sys, buckler.runtime\n"
        f"scorer = buckler.runtime.load({str(url_bundle)!r})\n"
        "scorer.score_of('http://a.example/')\n"
        "print(scorer.score_one('http://a.example/', top=3))\n"
        "print(*sys.modules)"
    )
    assert not set(run(code).splitlines()[-1].split()) & {*TRAINING, *PARSERS}


def test_importing_the_runtime_loads_nothing_that_only_loading_a_bundle_needs():
    code = "import sys, numpy; import buckler.runtime; print(*sys.modules)"
    heavy = {"zipfile", "tempfile", "logging", "pkgutil", "concurrent.futures", "safetensors"}
    heavy |= {"buckler.runtime.cascade", "buckler.runtime.onnx", "buckler.runtime.trees"}
    assert not set(run(code).split()) & {*TRAINING, *PARSERS, *heavy}


def test_an_endpoint_needs_at_most_60_mb(url_bundle):
    code = (
        "import buckler.runtime\n"
        "from tests.support.memory import peak_memory_kib\n"
        f"scorer = buckler.runtime.load({str(url_bundle)!r})\n"
        "scorer.score_of('http://a.example/')\n"
        "print(peak_memory_kib() // 1024)"
    )
    assert int(run(code)) <= 60


def test_importing_the_package_is_lazy():
    code = "import sys, buckler; print('numpy' in sys.modules, buckler.load.__module__)"
    assert run(code).split() == ["False", "buckler.runtime.scorer"]
