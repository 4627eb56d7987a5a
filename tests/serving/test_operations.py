"""What runs it: the doctor, systemd units, the Dockerfile."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import buckler

OPS = Path(__file__).parents[2] / "ops"


def test_the_doctor_says_what_is_wrong(url_bundle, tmp_path):
    fine = buckler("doctor", url_bundle)
    assert fine.returncode == 0, fine.stdout
    assert "kernel" in fine.stdout
    assert "url-threat, ngram, signature not checked" in fine.stdout
    (tmp_path / "bad.buckler").write_bytes(b"nope")
    ill = buckler("doctor", url_bundle, tmp_path / "bad.buckler")
    assert ill.returncode == 1
    assert re.search(r"bad\.buckler\s+wrong", ill.stdout)


@pytest.mark.parametrize(
    "name", ["buckler-serve.service", "buckler-stream.service", "buckler-review.service"]
)
def test_units_are_sound_and_their_commands_exist(name):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(OPS / name)
    command = unit["Service"]["ExecStart"].split()
    assert command[0] == "/opt/buckler/bin/buckler"
    words = [word for word in command[1:3] if word.isalpha() and word != "kafka"]
    known = buckler(*words, "--help")
    assert known.returncode == 0
    for option in (word for word in command if word.startswith("--")):
        assert option in known.stdout
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(OPS / name)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wrong = [li for li in done.stderr.splitlines() if name in li and "not executable" not in li]
        assert not wrong
