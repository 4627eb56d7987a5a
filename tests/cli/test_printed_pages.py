"""Pages that a new user follows work as printed, with only what their install lines bring."""

import json
import re
import shlex
import shutil
import socket
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.support.chat_server import chat_server
from tests.support.environments import ROOT, make_environment
from tests.support.printed_page import read_blocks, run_page

PAGES = ["README.md", "docs/quickstart.md", "docs/commands.md", "docs/serve.md"]


@pytest.fixture(scope="module")
def programs_of(tmp_path_factory):
    """Folders of programs of environments by their extras, each made once."""

    @cache
    def create(extras: tuple[str, ...]) -> Path:
        return make_environment(tmp_path_factory.mktemp("environment") / "venv", *extras).bin

    return create


def require_ports(page: Path) -> None:
    """Skip where a port that the page names is taken."""
    for port in (8811, 8812):
        if str(port) in page.read_text():
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    pytest.skip(f"port {port} is in use")


def run_from(name: str, folder: Path, programs_of, variables=None) -> str:
    """Run a page after checking that what it needs is here."""
    page = ROOT / name
    for program in ("curl", "cc"):
        if f"{program} " in page.read_text() and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    require_ports(page)
    assert read_blocks(page)
    return run_page(page, folder, programs_of, variables or {})


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_works_as_printed(name, tmp_path, programs_of):
    run_from(name, tmp_path, programs_of)


def test_the_samples_of_the_examples_can_be_tried(tmp_path):
    pages = sorted(ROOT.glob("examples/*/README.md"))
    lines = [line for page in pages for one in read_blocks(page) for line in one.text.splitlines()]
    calls = [shlex.split(line)[1:] for line in lines if line.startswith("buckler ")]
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = make_environment(tmp_path / "venv", "trees")  # as the last of these pages asks
    results = environment.run_commands(calls, tmp_path)
    assert [(call, text) for call, (code, text) in zip(calls, results, strict=True) if code] == []
    assert len(calls) > 10


def test_a_detection_engineer_comes_from_a_csv_file_to_records_for_the_siem(tmp_path, programs_of):
    run_from("docs/tutorials/csv-to-siem.md", tmp_path, programs_of)
    (record,) = map(json.loads, (tmp_path / "detections.jsonl").read_text().splitlines())
    assert record["@timestamp"].startswith("2026-03-02T10:15:00")
    assert record["source"]["ip"] == "10.0.0.7"
    assert record["url"]["full"] == "http://paypal-login.example/account/verify.php?id=77"
    assert record["event"]["reason"].startswith("phishing because of")
    assert (tmp_path / "out" / "report.html").exists()


def test_a_data_scientist_comes_from_a_question_to_a_bundle_with_a_language_model(
    tmp_path, programs_of
):
    words = "Invalid user|invalid user|for root|authenticating user root"
    with chat_server(tmp_path, classes="normal,attack", positive=words) as server:
        given = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "none"}
        printed = run_from("docs/tutorials/own-task-with-llm.md", tmp_path, programs_of, given)
        assert 100 <= sum(server.asked().values()) <= 160  # nothing was asked twice
    assert "attack" in printed and "DETECTION" in printed
    figures = json.loads((tmp_path / "report" / "report.json").read_text())
    assert figures["figures"]["auroc"]["value"] > 0.95  # labels that nobody learned
    detections = (tmp_path / "detections.jsonl").read_text().splitlines()
    # 293 of these lines are attacks; twelve positive answers bear out only a careful threshold.
    assert 60 < len(detections) < 400


def test_a_developer_gets_the_same_score_in_python_c_and_over_http(tmp_path, programs_of):
    printed = run_from("docs/tutorials/embed.md", tmp_path, programs_of)
    assert "0 outputs differ" in printed
    python = re.search(r"^phishing (0\.\d+) True phishing because", printed, re.M)
    c = re.search(r"^(0\.\d+) detected$", printed, re.M)
    http = re.search(r'"score":(0\.\d+)', printed)
    scores = {np.float32(found[1]) for found in (python, c, http)}
    assert len(scores) == 1, printed
