"""Rows of features: one id, whatever file or tool they come from."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from buckler.dataset import Dataset, event_id, read_dataset
from buckler.labels import LabelStore
from buckler.readers.quarantine import Quarantine
from buckler.tasks import Task

TASK = Task(
    "rows",
    {"good": "x", "bad": "y"},
    ("bad",),
    "features-v1",
    12,
    medium="row",
    numbers=("size", "depth"),
    categories=("kind",),
)
ROWS = [
    {"size": 1, "depth": 0.1, "kind": "upx"},
    {"size": 2**53, "depth": -7, "kind": "none"},
    {"size": None, "depth": 1e39, "kind": None},
]


def _files(folder: Path) -> list[Path]:
    table = pa.Table.from_pylist(ROWS)
    paths = [folder / name for name in ("r.jsonl", "r.csv", "r.parquet", "texts.parquet")]
    paths[0].write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    pyarrow.csv.write_csv(table, paths[1])
    pq.write_table(table, paths[2])
    pq.write_table(pa.table({"text": [json.dumps(row) for row in ROWS]}), paths[3])
    return paths


def test_an_event_has_one_id_in_every_file(tmp_path):
    expected = [event_id(json.dumps(row).encode(), TASK) for row in ROWS]
    for path in _files(tmp_path):
        assert read_dataset([path], TASK).ids == expected, path.name
    column = pa.array([json.dumps(row).encode() for row in ROWS], pa.large_binary())
    assert Dataset.from_texts(column, TASK).ids == expected


def test_a_missing_number_has_one_form(tmp_path):
    numbers = np.array([np.nan, -np.nan], np.float64)
    pq.write_table(
        pa.table({"size": numbers, "depth": [1, 1], "kind": ["a", "a"]}), tmp_path / "n.pq"
    )
    ids = read_dataset([tmp_path / "n.pq"], TASK).ids
    assert ids[0] == ids[1] == event_id(b'{"depth": 1, "kind": "a"}', TASK)


def test_the_store_keeps_rows_as_json_under_their_ids(tmp_path):
    events = read_dataset([_files(tmp_path)[2]], TASK)
    with LabelStore(tmp_path / "labels.db") as store:
        store.add_events(events.ids, events.raw_texts)
        stored = store.texts(events.ids)
    assert [event_id(stored[i], TASK) for i in events.ids] == events.ids


def test_annotation_tools_know_rows_by_their_ids(tmp_path):
    from buckler.review.annotation_tools import Tool, import_answers
    from buckler.review.queue import Queue

    events = read_dataset([_files(tmp_path)[2]], TASK)
    ids, texts = events.ids, events.raw_texts
    people = [
        (ids[0].hex(), TASK.readable(texts[0])),  # as Buckler exports it
        (None, texts[1].decode()),  # another tool's own record
        (None, TASK.readable(texts[2])),  # neither an id nor a row
    ]
    records = [
        {
            "id": known,
            "fields": {"text": text},
            "responses": {"label": [{"value": "bad", "user_id": "u1"}]},
        }
        for known, text in people
    ]
    (tmp_path / "back.json").write_text(json.dumps(records))
    with LabelStore(tmp_path / "labels.db") as store, Quarantine() as quarantine:
        store.add_events(ids[:1], texts[:1])
        queue = Queue(store, TASK, rng=np.random.default_rng(0))
        assert import_answers(queue, Tool.ARGILLA, tmp_path / "back.json", quarantine) == 2
        assert set(store.texts(ids)) == set(ids[:2])
    assert dict(quarantine.reasons) == {"neither the id of an event nor its row": 1}
