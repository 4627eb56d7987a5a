"""Installations: what the plain one runs, and that an extra brings what its commands import."""

import ast
import json
import sys
from importlib.metadata import packages_distributions

import numpy as np
import pyarrow.csv as pacsv
import pytest
from packaging.utils import canonicalize_name

from tests.support.environments import ROOT, closure, make_environment
from tests.support.made_up import made_up_table

SRC = ROOT / "src" / "buckler"
MODULES = [
    (".".join(path.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__"), path)
    for path in sorted(SRC.rglob("*.py"))
]
# Modules that import what an extra brings, by prefix; the longest counts.
OWNERS = {
    "buckler.evaluation.plots": "report",
    "buckler.readers.web_archives": "formats",
    "buckler.review": "review",
    "buckler.review.web.sign_in": "oidc",
    "buckler.runtime.onnx": "onnx",
    "buckler.serving.engines.duckdb": "duckdb",
    "buckler.serving.engines.polars": "polars",
    "buckler.serving.engines.spark": "spark",
    "buckler.serving.event_values": "stream",
    "buckler.serving.http": "serve",
    "buckler.serving.http.observation": "otel",
    "buckler.serving.layered_settings": "serve",
    "buckler.serving.records": "stream",
    "buckler.serving.stream.kafka": "kafka",
    "buckler.serving.stream.pipe": "stream",
    "buckler.teachers.encoder": "torch",
    "buckler.teachers.llm": "llm",
    "buckler.teachers.sigma": "sigma",
}
# Extras whose modules import at once what they need, and what to run in their environment.
EAGER = {
    "kafka": ("stream", "kafka", "--help"),
    "monitor": ("monitor", "url", "now.csv", "--reference", "then.csv", "-o", "out"),
    "review": ("review", "user", "--help"),
    "serve": ("serve", "--help"),
    "stream": ("stream", "-", "-b", "url"),
}
_IMPORT_ALL = """
import json, pkgutil, sys
failed = {}
for found in pkgutil.walk_packages(["SRC"], "buckler.", onerror=lambda name: None):
    if "_kernel" not in found.name:
        try:
            __import__(found.name)
        except ImportError as error:
            failed[found.name] = str(error)
json.dump(failed, sys.stdout)
""".replace("SRC", str(SRC))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("plain"))


def owner(module):
    """The extra that a module belongs to, or None."""
    return OWNERS.get(max(filter(module.startswith, OWNERS), key=len, default=""))


def test_a_plain_installation_imports_every_module_that_belongs_to_no_extra(plain, tmp_path):
    failed = json.loads(plain.run("python", "-c", _IMPORT_ALL, cwd=tmp_path).stdout)
    assert {name: why for name, why in failed.items() if owner(name) is None} == {}
    assert {owner(name) for name in failed} <= {*EAGER, "oidc", "otel"}


@pytest.mark.parametrize("extra", EAGER)
def test_an_extra_brings_what_its_modules_and_its_command_import(extra, tmp_path):
    environment = make_environment(tmp_path / "environment", extra)
    modules = [name for name, _ in MODULES if owner(name) == extra]
    done = environment.run("python", "-c", f"import {', '.join(modules or ['sys'])}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = made_up_table(1200, np.random.default_rng(0))
    for name, part in (("then", table[:600]), ("now", table[600:])):
        pacsv.write_csv(part, tmp_path / f"{name}.csv")
    event = '{"url": "http://a.example/login.php"}\n'
    done = environment.run("buckler", *EAGER[extra], cwd=tmp_path, stdin=event)
    assert done.returncode == 0, done.stderr


def test_every_import_is_of_what_the_installation_or_the_owner_brings():
    providers = packages_distributions()
    strangers = []
    for module, path in MODULES:
        extras = [extra] if (extra := owner(module)) else []
        for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            names, asked = name if isinstance(name, tuple) else (name, extras)
            top = names.partition(".")[0]
            if top == "buckler" or top in sys.stdlib_module_names:
                continue
            brought = {canonicalize_name(each) for each in providers.get(top, ())}
            if not brought & closure(*asked):
                strangers.append((module, names))
    assert strangers == []


def _imports(node):
    """Names of modules that code imports; with the extras where it names them."""
    skipped = []
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        skipped = node.body
    if isinstance(node, ast.Try) and any(map(_catches_imports, node.handlers)):
        skipped = node.body  # it says itself what is missing
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_extra":
        texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
        if len(texts) == len(node.args) == 3:
            yield texts[0], texts[2].split(",")
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from _imports(child)


def _catches_imports(handler):
    return handler.type is not None and "ImportError" in ast.unparse(handler.type)
