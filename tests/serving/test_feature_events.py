"""Rows of features: every way in gives the same scores, and refuses what has no feature."""

import io
import json
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.errors import InputError
from buckler.runtime import load
from buckler.serving.bundles import load_bundle
from buckler.serving.engines import TableScorer
from buckler.serving.records import to_records
from buckler.serving.scan import scan
from buckler.serving.verdict_batch import OutputOptions, score_values
from buckler.training.cross_validation import StudentSpec
from buckler.training.fit import fit_student
from buckler.training.packaging import write_fitted
from tests.support.made_up import made_up_rows

GOOD = [
    {"size": 1.5, "entropy": 0.2, "noise": 0.1, "packer": "upx"},
    {"size": 1},  # the others are missing
    {"size": True, "packer": None, "unknown": [1]},
    {"size": "1.0", "entropy": " ", "noise": "nan"},
    {"size": 1, "text": "a column that is none of the model's"},
    {"size": 10**300},
    {"size": 1e39},
    {"packer": "upx"},
]
BAD = [
    {},
    {"foo": 1},
    {"Size": 1},
    {"size": None, "packer": ""},
    {"size": "many"},
    {"size": "1_000"},
    {"size": "\u0661"},
    {"size": [1]},
    {"size": {"value": 1}},
    {"size": 1, "packer": ["upx"]},
    {"size": 1, "packer": {"name": "upx"}},
]
ROWS = [row for pair in zip(GOOD, BAD[: len(GOOD)], strict=True) for row in pair]
ROWS += BAD[len(GOOD) :]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.buckler"
    events, _ = made_up_rows(300, np.random.default_rng(0))
    write_fitted(path, fit_student(events, StudentSpec("trees", {"epochs": 3}, folds=2)))
    return path


@pytest.fixture(scope="module")
def expected(bundle):
    """Return the score of each row; None for a row that must be refused."""
    scorer = load(bundle)
    return [
        float(scorer.score([json.dumps(row)]).scores[0]) if row in GOOD else None for row in ROWS
    ]


def lines():
    return [json.dumps(row) for row in ROWS]


def scores_of(records):
    return [None if "error" in record else float(np.float32(record["score"])) for record in records]


def scan_scores(bundle, path):
    done = scan(bundle, [path], path.with_suffix(".out.parquet"))
    found = pq.read_table(done.output)
    scores = dict(zip(found["row"].to_pylist(), found["score"].to_pylist(), strict=True))
    assert done.quarantined == len(ROWS) - len(scores)
    return scores


def test_equal_rows_have_equal_scores(expected):
    scores = dict(zip(map(json.dumps, ROWS), expected, strict=True))
    assert len({scores[json.dumps(row)] for row in GOOD[1:5]}) == 1
    assert scores[json.dumps(GOOD[5])] == scores[json.dumps(GOOD[6])]


@pytest.mark.parametrize("row", BAD, ids=map(json.dumps, BAD))
def test_the_scorer_refuses_a_row_without_a_feature(bundle, row):
    with pytest.raises(InputError, match="feature"):
        load(bundle).score([json.dumps(GOOD[0]), json.dumps(row)])


def test_values_of_python_and_of_messages(bundle, expected):
    for values in (ROWS, lines(), [{"text": line} for line in lines()]):
        batch = score_values(values, load_bundle(bundle), OutputOptions())
        assert scores_of(to_records(batch, load(bundle), OutputOptions())) == expected
        assert all("feature" in reason for reason in batch.errors.values())


def test_http(bundle, expected):
    pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
    from fastapi.testclient import TestClient

    from buckler.serving.http.app import build_app
    from buckler.serving.http.serve_settings import ServeSettings

    with TestClient(build_app(ServeSettings(bundles=[bundle]))) as client:
        got = client.post("/v1/score", json={"events": ROWS})
        assert scores_of(got.json()["verdicts"]) == expected
        body = "\n".join(lines()).encode()
        got = client.post(
            "/v1/score", content=body, headers={"content-type": "application/x-ndjson"}
        )
        assert scores_of(map(json.loads, got.text.splitlines())) == expected


def test_pipe(bundle, expected, tmp_path):
    pytest.importorskip("orjson", reason="the extra 'stream' is not installed")
    from buckler.serving.stream.pipe import LineOptions, score_lines

    sink = io.BytesIO()
    (tmp_path / "rows.jsonl").write_text("\n".join(lines()))
    with (tmp_path / "rows.jsonl").open("rb") as source:
        score_lines(load_bundle(bundle), source, sink, LineOptions(), threading.Event())
    assert scores_of(map(json.loads, sink.getvalue().splitlines())) == expected


def test_scan_of_objects_and_of_texts(bundle, expected, tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(lines()))
    pq.write_table(pa.table({"text": lines()}), tmp_path / "texts.parquet")
    for name in ("rows.jsonl", "texts.parquet"):
        found = scan_scores(bundle, tmp_path / name)
        assert [found.get(row) for row in range(1, len(ROWS) + 1)] == expected, name


NAMES = ("size", "entropy", "noise", "packer")


def table():
    """Return the rows that a table of texts can hold, and the numbers of the rows."""
    held = [
        i
        for i, row in enumerate(ROWS)
        if not any(isinstance(row.get(n), (list, dict)) for n in NAMES)
    ]
    cells = [[ROWS[i].get(name) for i in held] for name in NAMES]
    texts = [[None if v is None else str(v) for v in column] for column in cells]
    return pa.table(dict(zip(NAMES, texts, strict=True))), held


def test_tables_of_engines_and_files(bundle, expected, tmp_path):
    import pyarrow.csv

    rows, held = table()
    wanted = [expected[i] for i in held]
    assert TableScorer(bundle)(rows)["buckler_score"].to_pylist() == wanted
    pyarrow.csv.write_csv(rows, tmp_path / "rows.csv")
    found = dict.fromkeys(range(2, len(held) + 2))
    done = scan(bundle, [tmp_path / "rows.csv"], tmp_path / "out.parquet")
    out = pq.read_table(done.output)
    found |= dict(zip(out["row"].to_pylist(), out["score"].to_pylist(), strict=True))
    assert list(found.values()) == wanted
    assert done.quarantined == wanted.count(None)


@pytest.mark.parametrize(
    "column",
    [[[1.0], [2.0]], [{"a": 1}, {"a": 2}], pa.array([0, 1], pa.timestamp("ns"))],
    ids=["lists", "objects", "times"],
)
def test_a_column_of_no_numbers_is_refused_row_by_row(bundle, column):
    rows = pa.table({"size": column, "entropy": [1, 2], "noise": [1, 2], "packer": ["a", "b"]})
    assert TableScorer(bundle)(rows)["buckler_label"].to_pylist() == [None, None]


def test_a_file_without_the_features_is_an_error(bundle, tmp_path):
    (tmp_path / "other.jsonl").write_text('{"foo": 1}\n')
    with pytest.raises(InputError, match="4 of 4 features are no columns"):
        scan(bundle, [tmp_path / "other.jsonl"], tmp_path / "o.parquet")
    with pytest.raises(InputError, match="4 of 4 features are no columns"):
        TableScorer(bundle)(pa.table({"foo": [1]}))
