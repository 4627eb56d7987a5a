"""PE files: features of real programs, of damaged ones, and of tables that are like them."""

import json
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.attacks import Attacker, attacks_on
from buckler.bundle.archive import read_bundle
from buckler.dataset import read_dataset
from buckler.errors import BundleError, InputError, SettingsError
from buckler.normalize import FeatureSchema, get_normalizer
from buckler.normalize.pe_v1 import NUMBERS, extract
from buckler.readers.quarantine import Quarantine
from buckler.tasks import get_task

pytest.importorskip("pefile")
HEADERS = Path(__file__).parents[2] / "examples" / "pe" / "task.toml"


@pytest.fixture(scope="module")
def program() -> bytes:
    """A launcher for Windows, as pip carries it."""
    found = find_spec("pip._vendor.distlib")
    files = sorted(Path(found.origin).parent.glob("t64.exe")) if found and found.origin else []
    if not files:
        pytest.skip("this pip carries no launchers for Windows")
    return files[0].read_bytes()


def test_a_real_program_has_every_feature(program):
    found = extract(program)
    assert set(found) == set(NUMBERS)
    assert all(np.isfinite(value) for name, value in found.items() if name != "BaseOfData")
    assert found["filesize"] == len(program)
    assert found["is_64_bit"] == 1
    assert found["NumberOfSections"] == found["sus_sections"] + found["non_sus_sections"]
    assert found["imported_functions"] > 20
    assert found["E_text"] > 5
    assert sum(found[f"byte_{i}"] for i in range(256)) == pytest.approx(1)
    assert sum(found[f"byte_entropy_{i}"] for i in range(256)) == pytest.approx(1)
    assert found["entry_section"] == 0


def test_what_is_appended_changes_the_overlay_alone(program):
    before, after = extract(program), extract(program + b"A" * 5000)
    changed = {
        name for name in NUMBERS if before[name] != after[name] and before[name] == before[name]
    }
    assert after["overlay_bytes"] == before["overlay_bytes"] + 5000
    allowed = {"overlay_bytes", "overlay_entropy", "filesize", "E_file"}
    assert {n for n in changed if not n.startswith(("byte", "string"))} <= allowed


def test_features_that_are_not_asked_for_are_not_computed(program):
    found = extract(program, ["NumberOfSections"])
    assert "imported_functions" not in found
    whole = extract(program)
    assert all(whole[name] == value for name, value in found.items() if value == value)


def test_files_rows_and_json_have_the_same_form(program):
    schema = FeatureSchema(("NumberOfSections", "E_text", "imported_functions"))
    normalizer = get_normalizer("pe-v1", schema)
    found = extract(program)
    form = normalizer.normalize(program, 12)
    named = {name: found[name] for name in schema.names}
    assert normalizer.normalize(json.dumps(named), 12) == form
    assert normalizer.normalize(schema.to_json(np.frombuffer(form, "<f4")), 12) == form
    assert np.frombuffer(form, "<f4").tolist() == [np.float32(found[n]) for n in schema.names]


def test_features_of_another_version_are_refused():
    with pytest.raises(SettingsError, match="made for another version"):
        get_normalizer("pe-v1", FeatureSchema(("NumberOfSections", "from_pe_v2")))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 255)), max_size=20), st.data())
def test_mutated_headers_give_features_or_an_error(program, changes, data):
    mutated = bytearray(program[: data.draw(st.integers(1, len(program)))])
    for at, value in changes:
        mutated[at % len(mutated)] = value
    try:
        found = extract(bytes(mutated))
    except InputError as error:
        assert "PE file" in str(error)
    else:
        assert set(found) <= set(NUMBERS)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=500))
def test_any_bytes_behind_the_mark_of_a_program(tail):
    with pytest.raises(InputError):
        extract(b"MZ" + tail)


def test_folders_of_programs_are_read_and_what_is_none_set_aside(tmp_path, program):
    for name, data in (("a.exe", program), ("b.dll", b"MZ" + b"\0" * 100), ("c.exe", b"#!/bin/sh")):
        (tmp_path / "benign").mkdir(exist_ok=True)
        (tmp_path / "benign" / name).write_bytes(data)
    quarantine = Quarantine()
    events = read_dataset([tmp_path], get_task("pe"), quarantine=quarantine)
    assert events.label_names.tolist() == ["benign"]
    assert quarantine.count == 2
    with pytest.raises(InputError, match="judged by features"):
        read_dataset([tmp_path], get_task("email"), format_name="pe")


def test_tables_teach_what_judges_files(tmp_path, program, real_data):
    """Trained on ClaMP's table, a bundle judges a real file, and mutated ones without a crash."""
    from buckler import load
    from buckler.training.cross_validation import StudentSpec
    from buckler.training.fit import fit_student
    from buckler.training.packaging import write_fitted

    task = get_task(HEADERS)
    events = read_dataset([real_data / "pe" / "clamp-train.parquet"], task)
    fitted = fit_student(
        events.take(np.arange(0, len(events), 4)), StudentSpec("trees", {}, folds=3)
    )
    path = tmp_path / "pe.buckler"
    write_fitted(path, fitted)
    scorer = load(path)
    (tmp_path / "a.exe").write_bytes(program)
    rows = read_dataset([tmp_path / "a.exe"], task)
    score = scorer.score(rows.raw).scores[0]
    assert scorer.score_of(program) == score
    assert 0 <= score <= 1
    manifest = read_bundle(path).manifest
    assert manifest.normalizer == "pe-v1"
    with pytest.raises(BundleError, match="another version"):
        from dataclasses import replace

        from buckler.runtime.model import normalizer_of

        normalizer_of(replace(manifest, numbers=("later", *manifest.numbers[1:])))


def test_attacks_on_rows_change_what_they_name(program):
    schema = FeatureSchema(NUMBERS)
    row = np.frombuffer(get_normalizer("pe-v1", schema).normalize(program, 4 * len(NUMBERS)), "<f4")
    text = schema.to_json(row)
    for attack in attacks_on("row"):
        attacker = Attacker(np.random.default_rng(0), [text], schema)
        values = np.frombuffer(schema.normalize(attack(text, attacker)), "<f4")
        changed = {n for n, a, b in zip(NUMBERS, row, values, strict=True) if a != b and a == a}
        if attack.name == "appended-bytes":
            assert changed <= {"filesize", "overlay_bytes", "overlay_entropy", "E_file"}
            assert "filesize" in changed
        assert attack("not a row", attacker) == "not a row"


def test_the_entry_of_a_program_without_sections(program):
    at = struct.unpack_from("<I", program, 0x3C)[0]
    data = bytearray(program)
    struct.pack_into("<H", data, at + 6, 0)  # NumberOfSections
    try:
        found = extract(bytes(data))
    except InputError:
        return
    assert found["NumberOfSections"] == 0
    assert "entry_section" not in found
