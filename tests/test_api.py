"""The Python API: the verbs of the command line, and a tour that runs."""

import ast
import re
import subprocess
import sys

import pytest

import buckler
from buckler.cli.main import COMMANDS
from buckler.errors import InputError
from tests.test_docs import resolve

NAMES = {name for group in COMMANDS.values() for name in group}
# Commands that start a service or look after an installation, packages that have the name of a
# command, and commands that print what several functions return (`load` verifies a bundle).
WITHOUT_FUNCTION = {
    "demo", "doctor", "init", "serve", "stream",
    "bundle", "labels", "review", "triage",
    "capacity", "data", "models", "registry", "tasks", "verify",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES - WITHOUT_FUNCTION))
def test_a_command_has_a_python_function_of_its_name(name):
    function = getattr(buckler, name)
    assert callable(function)
    assert function.__name__ == name
    assert name in buckler.__all__


def test_everything_exported_can_be_imported_and_a_wrong_name_cannot():
    for name in buckler.__all__:
        assert getattr(buckler, name) is not None
    assert set(dir(buckler)) == set(buckler.__all__)
    with pytest.raises(AttributeError, match="train_fast"):
        buckler.train_fast  # noqa: B018


def test_importing_buckler_imports_nothing_heavy():
    code = "import sys, buckler; print({'numpy', 'pyarrow', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_tour_names_what_exists():
    tour = buckler.__doc__ or ""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", tour)
    code = [block for block in blocks if "─" not in block]
    assert len(code) == 4
    for block in code:
        tree = ast.parse("if True:\n" + block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    assert node.module == "pathlib" or resolve(f"{node.module}.{alias.name}")
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert node.value.id != "buckler" or node.attr in buckler.__all__


def test_score_takes_a_file_or_a_scorer(url_bundle, url_scorer):
    texts = [
        "http://www.river-stone7.example/news/7",
        "https://login-river7.example/verify.php?u=7",
    ]
    verdicts = buckler.score(url_bundle, texts)
    assert verdicts.scores.tolist() == buckler.score(url_scorer, texts).scores.tolist()
    assert verdicts.detected.tolist() == [False, True]


def test_score_takes_dicts_as_http_does(url_bundle, url_scorer):
    url = "https://login-river7.example/verify.php?u=7"
    for events in ([{"url": url}], [{"URL": url}], [url, {"url": url}]):
        assert set(buckler.score(url_bundle, events).scores) == {url_scorer.score_of(url)}
    path = {"http": {"hostname": "login-river7.example", "url": "/verify.php?u=7"}}
    assert buckler.score(url_bundle, [path]).labels == ["phishing"]
    with pytest.raises(InputError, match="event 1: no text") as caught:
        buckler.score(url_bundle, [{"url": url}, {"other": 1}])
    assert caught.value.row == 1


def test_a_null_in_place_of_an_event_has_no_label(url_scorer):
    verdicts = url_scorer.score(["http://a.example/", None])
    assert verdicts.labels == ["benign", None]
    assert verdicts[1].label is None and not verdicts[1].detected
    assert verdicts.to_arrow().column("label").to_pylist() == ["benign", None]
    with pytest.raises(InputError, match="no event"):
        url_scorer.score_one(None)
