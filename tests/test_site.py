"""The documentation site builds without a warning, and its reference is complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import buckler
from buckler.cli.main import COMMANDS

pytest.importorskip("mkdocs")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_the_options_of_every_command_are_listed(site):
    page = (site / "reference" / "options" / "index.html").read_text()
    missing = [
        name for group in COMMANDS.values() for name in group if f"buckler {name}" not in page
    ]
    assert missing == []
    assert "--false" not in page and "false-positive rate" in page


def test_every_public_function_has_its_docstring(site):
    page = (site / "reference" / "python" / "index.html").read_text()
    anchors = set(re.findall(r'id="buckler\.[\w.]*?(\w+)"', page))
    assert set(buckler.__all__) - {"__version__"} <= anchors


def test_pages_ask_no_other_host(site):
    for name in ("index.html", "reference/python/index.html"):
        page = (site / name).read_text()
        assert (
            re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="https?://(?!localhost)', page) == []
        )
