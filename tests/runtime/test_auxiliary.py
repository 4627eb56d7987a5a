"""Further questions beside the task's own: from a column of the data to a column of verdicts."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler import pipeline
from buckler.bundle.archive import AUXILIARY, VECTORS, read_bundle
from buckler.bundle.writer import write_bundle
from buckler.cli.main import run_command_line
from buckler.errors import BundleError, InputError, SettingsError
from buckler.pipeline import read_recipe
from buckler.runtime import load
from buckler.serving.scan import ScanOptions, scan
from buckler.tasks import Task
from buckler.training.auxiliary import AuxiliarySettings
from buckler.training.cascade import CascadeOptions, build_cascade
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.bundles import entries, rebuilt, with_manifest
from tests.support.made_up import made_up_events, made_up_table

AUXILIARY_OF_RECIPE = """
[[auxiliary]]
name = "brand"
on = "detections"
separator = ","
cut_at = "."
folds_by = "text"
[[auxiliary]]
name = "scheme"
on = "all"
student = { table_bits = 8 }
"""


def written(folder, auxiliary, drop=()):
    """A recipe over made-up URLs, whose word of bait is the brand, often with a second one."""
    table = made_up_table(1500, np.random.default_rng(0))
    urls = table["url"].to_pylist()
    bait = [u.split("//")[1].split("-")[0] if "php" in u else "" for u in urls]
    columns = {
        "brand": [f"{b}.{i % 7},rare{i}" if b else None for i, b in enumerate(bait)],
        "scheme": [u.split(":")[0] for u in urls],
    }
    for name, values in columns.items():
        if name not in drop:
            table = table.append_column(name, pa.array(values))
    pq.write_table(table, folder / "urls.parquet")
    recipe = folder / "buckler.toml"
    recipe.write_text(
        'task = "url-threat"\n[data]\ntrain = ["urls.parquet"]\n[student]\ntable_bits = 12\n'
        'segments = "mean"\n'
        f"folds = 3\n[evaluation]\nresamples = 50\n{auxiliary}"
    )
    return recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auxiliary")
    return pipeline.run(written(folder, AUXILIARY_OF_RECIPE))


def test_auxiliary_classifiers_are_learned_measured_and_answer(run):
    scorer = load(run.bundle)
    assert scorer.auxiliary["brand"].classes == (
        "account", "login", "secure", "update", "verify", "wallet",
    )  # fmt: skip
    positive = scorer.score_one("https://wallet-music12.example/login.php?u=12")
    assert positive.detected
    assert positive.auxiliary["brand"].label == "wallet"
    assert positive.auxiliary["scheme"].label == "https"
    good = scorer.score_one("http://www.music-stone12.example/river/12")
    assert not good.detected
    assert list(good.auxiliary) == ["scheme"]
    brand, scheme = run.auxiliary
    # Rare second answers are not learned, and cost nothing where the first is right.
    assert brand.measures["right"].value > 0.95
    assert brand.unknown_rows == 0
    assert brand.measures["always the commonest"].value < 0.5
    assert scheme.test_rows > brand.test_rows
    report = json.loads(run.report.json.read_bytes())
    assert [row["auxiliary classifier"] for row in report["auxiliary"] if row["classes"]] == [
        "brand (detections)",
        "scheme (all)",
    ]


def test_a_scan_has_a_column_for_each_auxiliary_classifier_and_asks_it_where_it_should(
    run, tmp_path
):
    urls = made_up_table(300, np.random.default_rng(1))
    pq.write_table(urls, tmp_path / "new.parquet")
    scorer = load(run.bundle)
    for threads in (1, 2):
        target = tmp_path / f"out{threads}.parquet"
        scan(
            scorer,
            [tmp_path / "new.parquet"],
            target,
            ScanOptions(("url",), threads=threads),
        )
        out = pq.read_table(target)
        for row in out.to_pylist():
            verdict = scorer.score_one(row["text"])
            assert (row["brand"] is not None) == row["detected"]
            said = verdict.auxiliary.get("brand")
            assert row["brand"] == (said.label if said else None)
            assert row["brand_probability"] == (said.probability if said else None)
            assert row["scheme"] == verdict.auxiliary["scheme"].label
    assert 0 < out["brand"].null_count < 300


def test_a_scan_without_a_detection_has_an_empty_column(run, tmp_path):
    (tmp_path / "urls.txt").write_text("http://www.music-stone12.example/river/12\n" * 3)
    target = tmp_path / "out.jsonl"
    scan(load(run.bundle), [tmp_path / "urls.txt"], target, ScanOptions(("url",)))
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["brand"] for row in rows] == [None] * 3


def test_the_commands_show_auxiliary_classifiers(run, capsys):
    assert run_command_line(["bundle", "show", str(run.bundle)]) == 0
    assert "brand (on detections), scheme (on all)" in capsys.readouterr().out
    url = "https://wallet-music12.example/login.php?u=12"
    assert run_command_line(["score", url, "-b", str(run.bundle)]) == 0
    assert "brand: wallet" in capsys.readouterr().out
    assert run_command_line(["score", url, "-b", str(run.bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auxiliary"]["brand"]["label"] == "wallet"


def test_a_cascade_asks_the_auxiliary_classifiers_of_its_last_stage(run, tmp_path, url_bundle):
    path = tmp_path / "all.buckler"
    validation = made_up_events(1000, np.random.default_rng(2))
    build_cascade([url_bundle, run.bundle], validation, path, CascadeOptions(budgets=[0.2]))
    verdict = load(path).score_one("https://wallet-music12.example/login.php?u=12")
    assert verdict.auxiliary["brand"].label == "wallet"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(auxiliary=[]), "not those that the manifest lists"),
        (lambda m: m["auxiliary"][0].update(name="score"), "is no auxiliary"),
        (lambda m: m["auxiliary"][0].update(name="p_x"), "is no auxiliary"),
        (lambda m: m["auxiliary"][0].update(on="never"), "is no auxiliary"),
        (lambda m: m["auxiliary"][1].update(name="brand"), "each with its own name"),
        (lambda m: m.update(auxiliary=["brand", "scheme"]), "must be objects"),
        (lambda m: m.update(auxiliary=m["auxiliary"] * 9), "at most 8"),
    ],
)
def test_auxiliary_classifiers_that_do_not_fit_are_refused(run, tmp_path, change, words):
    path = tmp_path / "x.buckler"
    path.write_bytes(with_manifest(run.bundle, change))
    with pytest.raises(BundleError, match=words):
        load(path)


def test_auxiliary_classifiers_have_none_of_their_own_and_no_stages(run, tmp_path):
    outer = read_bundle(run.bundle)
    files = {**outer.weights, VECTORS: outer.entries[VECTORS]}
    nested = {AUXILIARY[0]: run.bundle.read_bytes(), AUXILIARY[1]: outer.auxiliary[AUXILIARY[1]]}
    write_bundle(tmp_path / "x.buckler", outer.manifest, {**files, **nested})
    with pytest.raises(BundleError, match=r"auxiliary-1\.buckler: an auxiliary classifier has no"):
        load(tmp_path / "x.buckler")
    damaged = {AUXILIARY[0]: b"PK", AUXILIARY[1]: outer.auxiliary[AUXILIARY[1]]}
    write_bundle(tmp_path / "y.buckler", outer.manifest, {**files, **damaged})
    with pytest.raises(BundleError, match=r"auxiliary-1\.buckler: not a sound bundle"):
        load(tmp_path / "y.buckler")
    task = Task("other", {"benign": "", "phishing": ""}, normalizer="text-v1")
    events = made_up_events(200, np.random.default_rng(0), task)
    write_fitted(tmp_path / "o", fit_student(events, StudentSpec("ngram", {"table_bits": 6})))
    other = {
        AUXILIARY[0]: (tmp_path / "o").read_bytes(),
        AUXILIARY[1]: outer.auxiliary[AUXILIARY[1]],
    }
    write_bundle(tmp_path / "o.buckler", outer.manifest, {**files, **other})
    with pytest.raises(BundleError, match="differs from the bundle in its normalizer"):
        load(tmp_path / "o.buckler")
    plain = replace(outer.manifest, auxiliary=())
    write_bundle(tmp_path / "z.buckler", plain, files)
    assert load(tmp_path / "z.buckler").auxiliary == {}
    altered = entries(run.bundle)
    altered[AUXILIARY[0]] = altered[AUXILIARY[0]][:-1] + b"\x01"
    (tmp_path / "w.buckler").write_bytes(rebuilt(altered))
    with pytest.raises(BundleError, match="altered or damaged"):
        load(tmp_path / "w.buckler")


def test_what_cannot_be_learned_is_said(tmp_path):
    recipe = written(tmp_path, AUXILIARY_OF_RECIPE, drop=("brand",))
    with pytest.raises(InputError, match="no column named 'brand'"):
        pipeline.run(recipe)
    recipe = written(tmp_path, '[[auxiliary]]\nname = "brand"\nmin_rows = 2000\n')
    with pytest.raises(InputError, match="lower min_rows"):
        pipeline.run(recipe)


@pytest.mark.parametrize(
    "auxiliary",
    [
        '[[auxiliary]]\nname = "label"\n',
        '[[auxiliary]]\nname = "Two words"\n',
        '[[auxiliary]]\nname = "a"\n[[auxiliary]]\nname = "a"\n',
        "".join(f'[[auxiliary]]\nname = "h{i}"\n' for i in range(9)),
    ],
)
def test_names_that_verdicts_could_not_hold_are_refused(tmp_path, auxiliary):
    with pytest.raises(SettingsError, match="auxiliary"):
        read_recipe(written(tmp_path, auxiliary))


@given(st.lists(st.text(st.characters(exclude_characters=",."), max_size=8)), st.data())
def test_answers_in_a_cell(parts, data):
    section = AuxiliarySettings(name="x", separator=",", cut_at=".")
    tails = data.draw(st.lists(st.text(max_size=4), min_size=len(parts), max_size=len(parts)))
    cell = ",".join(f"{p}.{t.replace(',', '')}" for p, t in zip(parts, tails, strict=True))
    assert section.values_in(cell) == tuple(dict.fromkeys(p.strip() for p in parts if p.strip()))
    assert section.values_in(None) == ()
    assert AuxiliarySettings(name="x").values_in(cell) == ((cell.strip(),) if cell.strip() else ())
