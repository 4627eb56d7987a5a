"""The short way of `buckler score`: the same output as the parser's, without its imports."""

import subprocess
import sys

import pytest

from buckler.cli.terminal import RED, align_columns, in_style
from tests.support.cli import ENVIRONMENT, buckler

_RUN = (
    "import sys; from buckler.cli.entry import main; main(); "
    "print({'typer', 'pydantic', 'pyarrow', 'rich'} & set(sys.modules), file=sys.stderr)"
)


def enter(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _RUN, *arguments]
    env = {**ENVIRONMENT, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_scores_are_printed_as_by_the_parser_without_its_imports():
    call = ("score", "url", "http://login-verify.example/account.php", "https://a.example/")
    short = enter(*call)
    assert (short.returncode, short.stderr.strip()) == (0, "set()")
    assert short.stdout == buckler(*call).stdout


def test_the_module_is_the_command():
    call = [sys.executable, "-m", "buckler", "score", "url", "http://a.example/"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == buckler("score", "url", "http://a.example/").stdout


@pytest.mark.parametrize(
    "call",
    [
        ("score", "url", "@no-such-file"),
        ("score", "no-such-bundle", "http://a.example/"),
        ("score", "url"),
        ("score", "url", "http://a.example/", "--top", "101"),
        ("scan",),
    ],
)
def test_the_parser_words_every_error(call):
    short, usual = enter(*call), buckler(*call)
    assert short.returncode == usual.returncode == 2
    assert (short.stdout, short.stderr) == (usual.stdout, usual.stderr)


def test_a_trusted_key_is_never_passed_over(tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("no key")
    done = enter("score", "url", "http://a.example/", BUCKLER_TRUSTED_KEY=str(key))
    assert done.returncode == 2
    assert "key" in done.stderr


def test_a_terminal_gets_colors_unless_it_is_told_not_to(monkeypatch):
    assert in_style("word", RED) == "word"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert in_style("word", RED) == "\x1b[1;31mword\x1b[0m"
    assert in_style("word", "") == "word"
    monkeypatch.setenv("NO_COLOR", "1")
    assert in_style("word", RED) == "word"


def test_columns_begin_at_the_same_place_under_wide_letters():
    assert align_columns([("1", "漢字", "host"), ("12", "ab", "path")]) == [
        "  1     漢字    host",
        "  12    ab      path",
    ]
