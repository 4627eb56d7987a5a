"""Signatures, the bill of materials, hostile files: why a bundle can be trusted."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from buckler.bundle.archive import SIGNATURE, read_bundle
from buckler.bundle.signature import check_signature
from buckler.bundle.writer import pack
from buckler.cli.main import run_command_line
from buckler.errors import BucklerError, BundleError, InputError, OutputError
from buckler.runtime import load

pytest.importorskip("model_signing", reason="the extra `sign` is not installed")
from buckler.bundle.signing import new_key_pair, sign_bundle


@pytest.fixture(scope="module")
def signed(url_bundle, tmp_path_factory):
    """A signed bundle, the signer's public key, and another one."""
    folder = tmp_path_factory.mktemp("signed")
    path = folder / "url.buckler"
    path.write_bytes(url_bundle.read_bytes())
    for name in ("mine", "other"):
        new_key_pair(folder / f"{name}.pem", folder / f"{name}.pub")
    sign_bundle(path, folder / "mine.pem")
    return path, folder / "mine.pub", folder / "other.pub"


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_signed_bundle_loads_with_its_key_alone(signed, url_bundle):
    path, mine, other = signed
    assert load(path, trusted_key=mine).score(["http://a.example/"]).outputs.shape == (1,)
    with pytest.raises(BundleError, match="not by the trusted key"):
        load(path, trusted_key=other)
    with pytest.raises(BundleError, match="not signed"):
        load(url_bundle, trusted_key=mine)
    load(path)  # who trusts anyone may


def test_the_environment_names_a_key_for_every_load(signed, url_bundle, tmp_path, monkeypatch):
    path, mine, other = signed
    monkeypatch.setenv("BUCKLER_TRUSTED_KEY", str(mine))
    load(path)
    (tmp_path / "a.csv").write_text("url,label\nhttp://a.example/,benign\n")
    with pytest.raises(BundleError, match="not signed"):
        load(url_bundle)
    for arguments in (
        ("evaluate", str(url_bundle), str(tmp_path / "a.csv")),
        ("attack", str(url_bundle), str(tmp_path / "a.csv")),
        ("bundle", "flat", str(url_bundle), "-o", str(tmp_path / "a.bkm")),
        ("score", "-b", str(url_bundle), "http://a.example/"),
    ):
        assert run_command_line(list(arguments)) == 2
    load(path, trusted_key=mine)
    with pytest.raises(BundleError, match="not by the trusted key"):
        load(path, trusted_key=other)
    monkeypatch.setenv("BUCKLER_TRUSTED_KEY", "")
    with pytest.raises(BundleError, match="BUCKLER_TRUSTED_KEY is empty"):
        load(path)


def test_a_signature_covers_every_file(signed, tmp_path):
    path, mine, _ = signed
    content = entries(path)
    key = mine.read_bytes()
    for name in content:
        if name == SIGNATURE:
            continue
        changed = tmp_path / "changed.buckler"
        manifest = json.loads(content["manifest.json"])
        if name == "manifest.json":
            manifest["name"] = "mallory"
            altered = content
        else:
            from hashlib import sha256

            altered = content | {name: content[name] + b" "}
            manifest["files"][name] = {
                "size_bytes": len(altered[name]),
                "sha256": sha256(altered[name]).hexdigest(),
            }
        changed.write_bytes(pack(altered | {"manifest.json": json.dumps(manifest).encode()}))
        with pytest.raises(BundleError, match="altered"):
            check_signature(read_bundle(changed), key)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"{}",
        b"[" * 5000,
        b'{"dsseEnvelope": {"payload": "!", "payloadType": "x", "signatures": []}}',
        b'{"dsseEnvelope": {"payload": "", "payloadType": "application/vnd.in-toto+json",'
        b' "signatures": [{"sig": ""}]}}',
    ],
)
def test_a_signature_that_is_none_is_refused(signed, tmp_path, signature):
    path, mine, _ = signed
    changed = tmp_path / "changed.buckler"
    changed.write_bytes(pack(entries(path) | {SIGNATURE: signature}))
    with pytest.raises(BundleError):
        load(changed, trusted_key=mine)


def test_a_signature_of_another_bundle_does_not_fit(signed, tmp_path):
    path, mine, _ = signed
    content = entries(path)
    other = tmp_path / "other.buckler"
    manifest = json.loads(content["manifest.json"])
    manifest["files"].pop("card.md")
    without = {k: v for k, v in content.items() if k != "card.md"}
    other.write_bytes(pack(without | {"manifest.json": json.dumps(manifest).encode()}))
    with pytest.raises(BundleError, match="does not name the files"):
        load(other, trusted_key=mine)


def test_the_standard_tool_verifies_it_too(signed, tmp_path):
    path, mine, other = signed
    folder = tmp_path / "url"
    folder.mkdir()
    for name, data in entries(path).items():
        (folder / name).write_bytes(data)
    signature = str(folder / SIGNATURE)

    def tool(key: Path) -> int:
        command = ["verify", "key", str(folder), "--signature", signature]
        command += ["--ignore-paths", signature, "--public_key", str(key)]
        done = subprocess.run(
            [sys.executable, "-m", "model_signing", *command], capture_output=True, check=False
        )
        return done.returncode

    assert tool(mine) == 0
    assert tool(other) != 0


def test_the_command_line_makes_keys_signs_and_verifies(url_bundle, tmp_path, capsys, monkeypatch):
    path = tmp_path / "a.buckler"
    path.write_bytes(url_bundle.read_bytes())
    private, public = tmp_path / "k.pem", tmp_path / "k.pub"
    monkeypatch.setenv("KEY_PASSWORD", "correct horse")
    password = ["--password-variable", "KEY_PASSWORD"]
    assert run_command_line(["bundle", "new-key", str(private), str(public), *password]) == 0
    assert private.stat().st_mode & 0o077 == 0
    assert b"ENCRYPTED" in private.read_bytes()
    assert run_command_line(["bundle", "sign", str(path), "--key", str(private)]) == 2
    assert run_command_line(["bundle", "sign", str(path), "--key", str(private), *password]) == 0
    capsys.readouterr()
    assert run_command_line(["verify", str(path)]) == 0
    assert "not checked: who made it (it is signed" in capsys.readouterr().out
    assert run_command_line(["verify", str(path), "--trusted-key", str(public)]) == 0
    assert "signed by the owner of" in capsys.readouterr().out
    assert (
        run_command_line(["score", "-b", str(path), "--trusted-key", str(public), "http://a/"]) == 0
    )
    with pytest.raises(OutputError, match="never overwritten"):
        new_key_pair(private, public)
    with pytest.raises(InputError, match="not a private key"):
        sign_bundle(path, public)


def test_the_bill_of_materials_is_sound_cyclonedx(url_bundle):
    validation = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    text = read_bundle(url_bundle).entries["sbom.cdx.json"].decode()
    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["type"] == "machine-learning-model"
    assert {"buckler", "numpy"} <= {c["name"] for c in document["components"]}


def test_bundles_changed_field_by_field_do_no_harm():
    from tests.bundle.fuzz_bundle import load_and_score
    from tests.bundle.fuzz_structure import changed_bundle

    rng = np.random.default_rng(0)
    for _ in range(15):
        load_and_score(changed_bundle(rng))


def test_inputs_that_fuzzing_found_do_no_harm():
    from tests.bundle.fuzz_bundle import CORPUS, as_bundle, one_input

    files = sorted(CORPUS.iterdir())
    assert len(files) > 20
    for path in files:
        data = path.read_bytes()
        one_input(data)
        assert isinstance(as_bundle(data), bytes)


@pytest.mark.parametrize(
    "calibration_curve",
    [
        [[0, 1]],
        [[0, 1], [1, 0]],
        [[0, 0], [0, 1]],
        [[0, 1, 2], [0, 1]],
        [["a", 1], [0, 1]],
        [[], []],
    ],
)
def test_a_calibration_that_turns_the_ranking_is_refused(url_bundle, tmp_path, calibration_curve):
    content = entries(url_bundle)
    manifest = json.loads(content["manifest.json"])
    manifest["calibration_curve"] = calibration_curve
    positive = tmp_path / "positive.buckler"
    positive.write_bytes(pack(content | {"manifest.json": json.dumps(manifest).encode()}))
    with pytest.raises(BucklerError, match="calibration_curve"):
        load(positive)
