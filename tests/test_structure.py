"""The rules of the house: who may import whom, and what an endpoint pays for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "src" / "buckler"
# From left to right; a room imports only rooms to its left.
ROOMS = [
    "errors",
    "files",
    "extras",
    "registry",
    "settings_file",
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
    "training",
    "pipeline",
    "serving",
    "monitoring",
    "triage",
    "review",
    "cli",
]


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
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if room in ("__init__", "kernel"):
        return
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "__version__"}
    assert imports(path) <= allowed, f"{path} imports a room to its right"


def test_the_runtime_imports_only_errors_normalizers_and_the_bundle_reader():
    for path in (ROOT / "runtime").glob("*.py"):
        assert imports(path) <= {
            "errors",
            "files",
            "extras",
            "registry",
            "_kernel",
            "normalize",
            "bundle",
            "runtime",
        }
    for name in ("manifest", "reader"):
        assert imports(ROOT / "bundle" / f"{name}.py") <= {"errors", "files", "bundle"}


def test_modules_stay_small():
    for path in ROOT.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path
        assert path.stem not in ("utils", "helpers", "manager")
    for path in (ROOT / "kernel").glob("*.c"):
        assert len(path.read_text().splitlines()) <= 400, path


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


def test_an_endpoint_loads_no_training_code(url_bundle):
    code = (
        "import sys, buckler.runtime\n"
        f"scorer = buckler.runtime.load({str(url_bundle)!r})\n"
        "print(scorer.score_of('http://a.example/'))\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = set(run(code).splitlines()[-1].split())
    unwanted = {
        "torch",
        "transformers",
        "pandas",
        "pyarrow",
        "pydantic",
        "typer",
        "rich",
        "rensa",
        "fastapi",
        "openai",
        "matplotlib",
        "scipy",
        "publicsuffixlist",
    }
    assert not loaded & unwanted


def test_an_endpoint_needs_at_most_60_mb(url_bundle):
    code = (
        "import buckler.runtime, re\n"
        f"scorer = buckler.runtime.load({str(url_bundle)!r})\n"
        "scorer.score_of('http://a.example/')\n"
        "status = open('/proc/self/status').read()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
    )
    assert int(run(code)) <= 60


def test_importing_the_package_is_lazy():
    code = "import sys, buckler; print('numpy' in sys.modules, buckler.load.__module__)"
    assert run(code).split() == ["False", "buckler.runtime.scorer"]
