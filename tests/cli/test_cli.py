import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from buckler.cli.console import safe
from buckler.cli.main import run_command_line
from buckler.errors import BucklerError
from buckler.runtime import load
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from tests.support.cli import buckler, refused
from tests.support.made_up import made_up_table


@pytest.fixture(scope="module")
def labeled(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "labeled.parquet"
    pq.write_table(made_up_table(3000, np.random.default_rng(7)), path)
    return path


RECIPE = """\
task = "url-threat"
[data]
train = ["labeled.parquet"]
[student]
family = "ngram"
folds = 2
table_bits = 12
[evaluation]
operating_point = {fpr = 0.01}
resamples = 50
"""


def test_help_reads_like_a_table_of_contents():
    text = buckler("--help").stdout
    order = [text.index(h) for h in ("Start here", "Make a bundle", "Use a bundle")]
    assert order == sorted(order)
    for command in ("demo", "init", "data", "run", "train", "evaluate", "score", "scan", "bundle"):
        assert command in text
        assert buckler(command, "--help").returncode == 0
    assert buckler("--version").stdout.startswith("buckler ")
    assert buckler().returncode == 2 and not buckler().stderr


def test_the_list_of_commands_imports_none_of_them():
    code = (
        "import sys; from buckler.cli.main import run_command_line; "
        "done = run_command_line([sys.argv[1]]); "
        "print(done, {'numpy', 'pyarrow', 'pydantic', 'buckler.cli.score'} & set(sys.modules))"
    )
    for option in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", code, option], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "0 set()", done


def test_debug_is_an_option_before_the_command_only(url_bundle, tmp_path):
    done = buckler("score", "-b", url_bundle, "--json", "--", "--debug")
    assert done.returncode == 0 and "--debug" in done.stdout
    refused(buckler("score", "-b", tmp_path / "none.buckler", "--", "--debug"), "none.buckler")
    done = buckler("--debug", "score", "-b", tmp_path / "none.buckler", "x")
    assert done.returncode == 1 and "Traceback" in done.stderr
    refused(buckler("score", "--debug", "x"), "--debug")


def test_a_recipe_runs_and_a_second_run_redoes_nothing(tmp_path, labeled):
    (tmp_path / "labeled.parquet").write_bytes(labeled.read_bytes())
    (tmp_path / "buckler.toml").write_text(RECIPE)
    first = buckler("run", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "AUROC" in first.stdout and "done before" not in first.stdout
    out = tmp_path / "out"
    report = json.loads((out / "report.json").read_text())
    assert report["figures"]["auroc"]["value"] > 0.99
    assert {s["by"] for s in report["slices"]} >= {"source", "month"}
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    manifest = load(out / "url-threat.buckler").manifest
    assert manifest.metrics["auroc"] > 0.99
    assert manifest.deployed_fpr == 0.01
    weights = (out / "url-threat.buckler").read_bytes()
    second = buckler("run", cwd=tmp_path)
    assert second.stdout.count("(done before)") == 3
    assert (out / "url-threat.buckler").read_bytes() == weights
    changed = RECIPE.replace("table_bits = 12", "table_bits = 11")
    (tmp_path / "buckler.toml").write_text(changed)
    assert buckler("run", cwd=tmp_path).stdout.count("(done before)") == 2


def test_train_eval_score_scan_show_verify(tmp_path, labeled):
    done = buckler(
        "train",
        labeled,
        "-t",
        "url-threat",
        "-o",
        tmp_path / "o",
        "--fpr",
        0.01,
        "--set",
        "table_bits=12",
        "--noise",
        "drop",
    )
    assert done.returncode == 0, done.stderr
    bundle = tmp_path / "o" / "url-threat.buckler"
    done = buckler(
        "evaluate",
        bundle,
        labeled,
        "-o",
        tmp_path / "e",
        "--trained-on",
        labeled,
        "--resamples",
        50,
    )
    assert done.returncode == 0, done.stderr
    assert "stand in the training data too" in done.stdout
    assert (tmp_path / "e" / "report.html").exists()
    done = buckler("score", "-b", bundle, "https://login-river7.example/verify.php?u=7")
    assert (
        "phishing" in done.stdout
        and "DETECTION" in done.stdout
        and "phishing because of " in done.stdout
    )
    done = buckler("score", "-b", bundle, "--json", "http://www.river-stone7.example/news/7")
    assert json.loads(done.stdout)["label"] == "benign"
    done = buckler("scan", labeled, "-b", bundle, "-o", tmp_path / "v.csv")
    assert "3,000 rows scored" in done.stdout
    shown = buckler("bundle", "show", bundle).stdout
    assert "url-threat" in shown and "cannot tell" in shown
    assert "# url-threat" in buckler("bundle", "show", "--card", bundle).stdout
    assert json.loads(buckler("bundle", "show", "--json", bundle).stdout)["format_version"] == 1
    assert "sound" in buckler("bundle", "verify", bundle).stdout


def test_a_task_of_ones_own_from_init_to_score(tmp_path):
    done = buckler("init", "-t", "own", tmp_path)
    assert done.returncode == 0
    rng = np.random.default_rng(0)
    lines = ["text,label,group"]
    for i in range(400):
        word = "ssh root failed" if i % 2 else "session opened"
        label = "malicious" if i % 2 else "benign"
        lines.append(f"{word} {rng.integers(1e6)},{label},host{i % 40}")
    (tmp_path / "train.csv").write_text("\n".join(lines))
    recipe = (tmp_path / "buckler.toml").read_text()
    (tmp_path / "buckler.toml").write_text(recipe.replace("train.parquet", "train.csv"))
    done = buckler("run", tmp_path / "buckler.toml")
    assert done.returncode == 0, done.stderr
    done = buckler("score", "-b", tmp_path / "out" / "my-task.buckler", "SSH  root FAILED 77")
    assert "malicious" in done.stdout
    refused(buckler("init", "-t", "own", tmp_path), "not replaced")


def test_mistakes_are_one_line_and_exit_code_2(tmp_path, url_bundle, labeled):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "positive.toml").write_text("task = ")
    (tmp_path / "odd.toml").write_text('task = "url-threat"\n[data]\ntrain = ["x"]\nspeed = 9\n')
    (tmp_path / "cut.buckler").write_bytes(url_bundle.read_bytes()[:500])
    url = "http://a.example"
    refused(buckler("nonsense"), "nonsense")
    refused(buckler("score", "-b", tmp_path / "none.buckler", url), "none.buckler")
    refused(buckler("score", "-b", tmp_path / "cut.buckler", url), "cut.buckler")
    refused(buckler("score", "-b", url_bundle, "--fpr", 1e-7, url), "takes 30,000,000 negatives")
    refused(
        buckler("scan", tmp_path / "empty.csv", "-b", url_bundle, "-o", tmp_path / "o.csv"), "empty"
    )
    refused(
        buckler("scan", tmp_path / "none", "-b", url_bundle, "-o", tmp_path / "o.csv"),
        "no such file",
    )
    refused(buckler("run", tmp_path / "positive.toml"), "positive.toml", "TOML")
    refused(buckler("run", tmp_path / "odd.toml"), "unknown key data.speed; there are: train, test")
    refused(buckler("train", labeled, "-t", "nope", "-o", tmp_path), "unknown task", "url-threat")
    refused(buckler("train", labeled, "-t", "url-threat", "-o", tmp_path, "--set", "x=1"), "x")
    refused(buckler("data", "get", "nope", "-o", tmp_path / "x.parquet"), "unknown data set")
    refused(buckler("data", "get", "ut1", "-o", tmp_path / "x.parquet"), "license")


def test_a_scan_of_which_no_row_can_be_scored_has_an_exit_code(tmp_path, url_bundle, capsys):
    (tmp_path / "paths.csv").write_text("url,size\n,1\n,2\n")
    output = tmp_path / "v.csv"
    code = run_command_line(
        ["scan", str(tmp_path / "paths.csv"), "-b", str(url_bundle), "-o", str(output)]
    )
    assert code == 1 and "2 rows set aside" in capsys.readouterr().out
    assert run_command_line(["scan", str(tmp_path / "paths.csv"), "-b", str(url_bundle)]) == 1


def test_an_error_about_an_argument_names_the_option_on_the_command_line_only(tmp_path, url_bundle):
    (tmp_path / "odd.csv").write_text("colour\nblue\n")
    (tmp_path / "v.csv").write_text("")
    scan = ("scan", tmp_path / "odd.csv", "-b", url_bundle, "-o", tmp_path / "v.csv")
    refused(buckler(*scan), "exists", "overwrite", "(option --force)")
    refused(
        buckler(
            "label", tmp_path / "odd.csv", "-t", "url-threat", "--teacher", "rules", cwd=tmp_path
        ),
        "needs settings",
        "(option --settings)",
    )
    refused(
        buckler(
            "labels",
            "import",
            tmp_path / "odd.csv",
            "-t",
            "url-threat",
            "--annotator",
            "a",
            cwd=tmp_path,
        ),
        "(option --text-column)",
    )
    with pytest.raises(BucklerError) as caught:
        get_teacher("rules", None, get_task("url-threat"))
    assert caught.value.field == "settings" and "--" not in str(caught.value)


def test_a_leak_stops_the_run_and_says_how_to_go_on(tmp_path, labeled):
    done = buckler("train", labeled, "--test", labeled, "-t", "url-threat", "-o", tmp_path)
    refused(done, "leak", "'drop'", "'allow'")


def test_ctrl_c_ends_a_run_in_one_line(tmp_path, labeled):
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "buckler.cli.main",
            "train",
            str(labeled),
            "-t",
            "url-threat",
            "-o",
            str(tmp_path),
            "--set",
            "epochs=100000",
            "--set",
            "patience=100000",
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stages = tmp_path / "stages"
    while process.poll() is None and not list(stages.glob(".train-*")):
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list(stages.glob(".*"))


@pytest.mark.parametrize(
    "command", [("score", "url", "http://a.example/"), ("stream", "-", "-b", "url")]
)
def test_a_full_disk_behind_standard_output_is_one_clear_error(command):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "buckler.cli.main", *command],
            input='{"url": "http://a.example/"}\n',
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


def test_what_a_killed_run_left_is_swept_away(tmp_path, labeled):
    left = tmp_path / "stages" / ".train-1-999999999-abc"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    assert (
        buckler(
            "train",
            labeled,
            "-t",
            "url-threat",
            "-o",
            tmp_path,
            "--fpr",
            0.01,
            "--set",
            "table_bits=10",
        ).returncode
        == 0
    )
    assert not left.exists()


def test_data_list_names_license_and_noise():
    text = buckler("data", "list").stdout
    assert "spamassassin" in text and "license" in text and "know before use" in text


def test_text_from_events_cannot_play_with_the_terminal():
    assert safe("a\x1b[31mb\u202ec\r\n") == "a\\u001b[31mb\\u202ec\\u000d\\u000a"
    assert safe("x" * 300) == "x" * 200 + "…"


def test_hostile_text_is_printed_harmlessly(url_bundle):
    done = buckler("score", "-b", url_bundle, "http://a.example/\x1b]0;owned\x07\u202e")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout


def test_a_scan_without_an_output_shows_the_highest_scores(tmp_path):
    urls = [f"https://www.python.org/docs/{n}" for n in range(20)]
    urls[7] = "https://paypal-login.secure-verify.example/account/update\x1b[2J"
    (tmp_path / "urls.txt").write_text("\n".join(urls))
    done = buckler("scan", "urls.txt", "-b", "url", "--explain", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "paypal-login" in lines[0] and "\x1b" not in done.stdout
    assert lines[1].strip().startswith("phishing because of")
    assert len([line for line in lines if "https://" in line]) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["urls.txt"]
    refused(buckler("scan", "urls.txt", "-b", "url", "--as", "ecs", cwd=tmp_path), "file")
