"""Ray, Spark, DuckDB and Polars, each real: the same scores to the bit as the scorer's own."""

import json
import sys
from base64 import b64decode
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from buckler.bundle.archive import VECTORS, read_bundle
from buckler.errors import BundleError, InputError, SettingsError
from buckler.operating_point import OperatingPoint
from buckler.runtime import load
from buckler.serving.engines import TableScorer
from tests.support.made_up import made_up_table
from tests.support.poison_events import POISON_TEXTS, among

NULLS = ["http://a.example/", None, "", "http://b.example/login"]


@pytest.fixture(scope="module")
def texts(url_bundle):
    """Made-up URLs, and those of the bundle's conformance vectors that are text."""
    document = json.loads(read_bundle(url_bundle).entries[VECTORS])
    found = made_up_table(2000, np.random.default_rng(3))["url"].to_pylist()
    for vector in document["vectors"]:
        try:
            text = b64decode(vector["input"]).decode()
        except UnicodeDecodeError:
            continue
        if text and "\x00" not in text:
            found.append(text)
    assert len(found) > 2020
    return found


@pytest.fixture(scope="module")
def expected(url_bundle, texts):
    scorer = load(url_bundle)
    verdicts = scorer.score(texts)
    return {
        "label": [scorer.classes[i] for i in verdicts.label_indices],
        "score": verdicts.scores.tolist(),
        "detected": verdicts.detected.tolist(),
    }


def same(found, expected):
    assert found["label"] == expected["label"]
    assert [np.float32(v) for v in found["score"]] == expected["score"]
    assert found["detected"] == expected["detected"]


def of_columns(table, prefix="buckler_"):
    return {name: table[f"{prefix}{name}"].to_pylist() for name in ("label", "score", "detected")}


def test_arrow_tables(url_bundle, texts, expected):
    judge = TableScorer(url_bundle, probabilities=True)
    table = pa.table({"n": range(len(texts)), "url": pa.chunked_array([texts[:7], texts[7:]])})
    judged = judge(table)
    same(of_columns(judged), expected)
    assert judged.column_names[:2] == ["n", "url"]
    assert "buckler_p_phishing" in judged.column_names
    assert judge(table.slice(0, 0)).num_rows == 0
    for kind in (pa.large_string(), pa.binary(), pa.string_view()):
        same(of_columns(judge(pa.table({"url": pa.array(texts, kind)}))), expected)
    nulls = of_columns(judge(pa.table({"url": NULLS})))
    assert [v is None for v in nulls["label"]] == [False, True, True, False]
    with pytest.raises(InputError, match="already; give another prefix"):
        judge(judged)
    with pytest.raises(InputError, match="no column named"):
        judge(pa.table({"x": texts}))
    with pytest.raises(SettingsError, match="takes 30,000,000 negatives"):
        TableScorer(url_bundle, operating_point=OperatingPoint(fpr=1e-7))
    with pytest.raises(BundleError):
        TableScorer(url_bundle.with_name("none.buckler"))


def test_a_judge_travels_with_its_bundle(url_bundle, tmp_path, texts, expected):
    import pickle
    import subprocess

    copy = tmp_path / "url.buckler"
    copy.write_bytes(url_bundle.read_bytes())
    (tmp_path / "judge.pickle").write_bytes(pickle.dumps(TableScorer(copy)))
    copy.unlink()
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = (
        "import json, pickle, sys, pyarrow as pa\n"
        "judge = pickle.load(open(sys.argv[1], 'rb'))\n"
        "table = judge(pa.table({'url': json.load(open(sys.argv[2]))}))\n"
        "print(json.dumps([float(b).hex() for b in table['buckler_score'].to_pylist()]))\n"
    )
    paths = [tmp_path / "judge.pickle", tmp_path / "texts.json"]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, check=True)
    got = [np.float32(float.fromhex(v)) for v in json.loads(done.stdout)]
    assert got == expected["score"]


def test_polars(url_bundle, texts, expected):
    pl = pytest.importorskip("polars", reason="the extra 'polars' is not installed")
    from buckler.serving.engines.polars import score, verdict

    frame = pl.DataFrame({"url": texts})
    same(of_columns(score(frame, url_bundle).to_arrow()), expected)
    lazy = frame.lazy().select(verdict(pl.col("url"), url_bundle).alias("v")).unnest("v")
    assert lazy.collect_schema()["score"] == pl.Float32
    same(of_columns(lazy.collect().to_arrow(), ""), expected)
    detections = frame.filter(verdict(pl.col("url"), url_bundle).struct.field("detected"))
    assert len(detections) == sum(expected["detected"])
    nulls = pl.DataFrame({"url": NULLS}).select(verdict(pl.col("url"), url_bundle)).unnest("url")
    assert [v is None for v in nulls["label"]] == [False, True, True, False]


def test_duckdb(url_bundle, texts, expected, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="the extra 'duckdb' is not installed")
    from buckler.serving.engines.duckdb import register

    connection = duckdb.connect()
    register(connection, url_bundle)
    many = pa.table({"n": range(len(texts) * 3), "url": texts * 3})
    connection.register("urls", many)
    query = (
        "select buckler_label(url) as label, buckler_score(url) as score, "
        "buckler_detected(url) as detected from urls order by n"
    )
    table = connection.sql(query).to_arrow_table()
    same(of_columns(table, ""), {k: v * 3 for k, v in expected.items()})
    count_detections = "select count(*) from urls where buckler_detected(url)"
    ((count,),) = connection.execute(count_detections).fetchall()
    assert count == 3 * sum(expected["detected"])
    connection.register("nulls", pa.table({"url": NULLS}))
    rows = connection.execute("select buckler_label(url) is null from nulls").fetchall()
    assert rows == [(False,), (True,), (True,), (False,)]


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    try:
        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        yield ray
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_ray(ray, url_bundle, texts, expected, tmp_path):
    from buckler.serving.engines.ray import score

    dataset = ray.data.from_arrow(pa.table({"n": range(len(texts)), "url": texts}))
    judged = score(dataset.repartition(4), url_bundle, batch_size=300)
    rows = sorted(judged.take_all(), key=lambda row: row["n"])
    same({k: [row[f"buckler_{k}"] for row in rows] for k in expected}, expected)
    labeled_by_rules(ray, tmp_path)


def labeled_by_rules(ray, folder):
    """A teacher that costs nothing labels in Ray; one that is paid for is not asked there."""
    pytest.importorskip("re2", reason="the extra 'rules' is not installed")
    from buckler.serving.engines.ray import label

    rules = folder / "rules.toml"
    rules.write_text(
        'name = "bait"\n[[rule]]\nlabel = "phishing"\npattern = "login|verify"\nconfidence = 0.9\n'
    )
    urls = ["http://a.example/login", "http://b.example/", None, ""]
    dataset = ray.data.from_arrow(pa.table({"n": range(4), "url": urls}))
    rows = label(dataset, "url-threat", "rules", rules).take_all()
    rows = sorted(rows, key=lambda row: row["n"])
    assert [row["buckler_label"] for row in rows] == ["phishing", None, None, None]
    assert [row["buckler_error"] for row in rows] == [None, None, "no text", "no text"]
    assert rows[0]["buckler_p_phishing"] == pytest.approx(0.9, abs=1e-4)
    with pytest.raises(SettingsError, match="pays once"):
        chat = folder / "chat.toml"
        chat.write_text('model = "m"\nbase_url = "http://127.0.0.1:1/v1"\n')
        label(dataset, "url-threat", "chat", chat)


@pytest.mark.slow
def test_spark(spark, url_bundle, texts, expected, tmp_path):
    from buckler.serving.engines.spark import register, score

    frame = spark.createDataFrame([(i, t) for i, t in enumerate(texts)], "n long, url string")
    rows = sorted(score(frame.repartition(3), url_bundle).collect(), key=lambda row: row["n"])
    same({k: [row[f"buckler_{k}"] for row in rows] for k in expected}, expected)
    register(spark, url_bundle)
    frame.createOrReplaceTempView("urls")
    query = (
        "select n, buckler_label(url) label, buckler_score(url) score, "
        "buckler_detected(url) detected from urls order by n"
    )
    rows = spark.sql(query).collect()
    same({k: [row[k] for row in rows] for k in expected}, expected)
    assert isinstance(tmp_path, Path)


def check_table(rows, places, good_scores):
    rows = sorted(rows, key=lambda row: row["n"])
    assert [np.float32(rows[place]["buckler_score"]) for place in places] == good_scores
    bad = [row for place, row in enumerate(rows) if place not in set(places)]
    assert all((row["buckler_score"] is None) == bool(row["buckler_error"]) for row in bad)


@pytest.fixture(scope="module")
def table(good_urls):
    texts, places = among([url.encode() for url in good_urls], POISON_TEXTS)
    return pa.table({"n": range(len(texts)), "url": pa.array(texts, pa.binary())}), places


@pytest.mark.slow
def test_ray_with_poison(ray, url_bundle, table, good_scores):
    from buckler.serving.engines.ray import score

    rows = score(ray.data.from_arrow(table[0]), url_bundle, batch_size=3000).take_all()
    check_table(rows, table[1], good_scores)


@pytest.mark.slow
def test_spark_with_poison(spark, url_bundle, table, good_scores):
    from buckler.serving.engines.spark import score

    frame = spark.createDataFrame(table[0])
    rows = [row.asDict() for row in score(frame.repartition(3), url_bundle).collect()]
    check_table(rows, table[1], good_scores)


def test_polars_with_poison(url_bundle, table, good_scores):
    polars = pytest.importorskip("polars", reason="the extra 'polars' is not installed")
    from buckler.serving.engines.polars import score

    frame = score(polars.from_arrow(table[0]), url_bundle)
    check_table(frame.to_dicts(), table[1], good_scores)
