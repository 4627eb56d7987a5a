import json
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import BucklerError, InputError, OutputError
from buckler.labels import Annotation, Annotator, AnswerColumns, LabelStore
from buckler.labels.exchange import export_annotations, import_labels
from buckler.labels.inspection import summarize
from buckler.labels.label_tables import ANNOTATIONS
from buckler.labels.merging import Merge, merge_annotations
from buckler.readers import Quarantine
from buckler.tasks import Task, get_task
from tests.support.cli import buckler
from tests.support.made_up import made_up_table

TASK = get_task("url-threat")
LLM = Annotator("big-model", "prompt-1", "llm")
ANALYST = Annotator("ada", "", "human")


def event(i: int) -> bytes:
    return i.to_bytes(16, "little")


def annotation(i: int, p: float, **more) -> Annotation:
    return Annotation(event(i), (1 - p, p), **more)


@pytest.fixture
def store(store_where):
    with LabelStore(store_where) as opened:
        yield opened


def everything(store, task=TASK):
    return [
        (batch.event_ids[i], int(batch.annotators[i]), batch.probabilities[i].tolist())
        for batch in store.annotations(task)
        for i in range(len(batch))
    ]


def test_an_annotation_is_stored_once_and_never_changed(store):
    first = annotation(1, 0.75, rationale="looks odd", cost_usd=0.5, created_s=7, confidence=0.5)
    assert store.add(TASK, LLM, [first, annotation(2, 0.25)]) == 2
    assert store.add(TASK, LLM, [annotation(1, 0.125), annotation(3, 0.5)]) == 1
    assert [o[2] for o in everything(store)] == [[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]]
    (batch,) = store.annotations(TASK, event(1))
    assert batch.rationales == ["looks odd"]
    assert (batch.cost_usd[0], batch.created_s[0], batch.confidence[0]) == (0.5, 7, 0.5)
    assert store.find_known(TASK, LLM, map(event, range(5))) == {event(1), event(2), event(3)}
    assert store.find_known(TASK, Annotator("big-model", "prompt-2", "llm"), [event(1)]) == set()
    assert [(c[1].name, c[2], c[3]) for c in store.counts()] == [("big-model", 3, 0.5)]


def test_the_database_itself_refuses_to_change_an_annotation(store):
    store.add(TASK, LLM, [annotation(1, 0.75)])
    for statement in ("UPDATE annotations SET label = 0", "DELETE FROM annotations"):
        with (
            pytest.raises(DBAPIError, match="never changed"),
            store._engine.begin() as connection,
        ):
            connection.execute(text(statement))
    assert len(everything(store)) == 1


def test_no_way_of_inserting_replaces_an_annotation(store):
    store.add(TASK, LLM, [annotation(1, 0.75), annotation(2, 0.75)])
    before = everything(store)
    columns = ANNOTATIONS.c.keys()
    with store.reading() as connection:
        row = dict(connection.execute(select(ANNOTATIONS)).first()._mapping)
    row |= {"label": 7, "rationale": "forged"}
    if store.dialect == "sqlite":
        replace = f"INSERT OR REPLACE INTO annotations (rowid, {', '.join(columns)}) SELECT"
        statements = [
            ANNOTATIONS.insert().prefix_with("OR REPLACE").values(row),
            text(f"{replace} rowid, x'00', {', '.join(columns[1:])} FROM annotations"),
        ]
        for statement in statements:
            with store.writing() as connection:
                connection.execute(statement)
    else:
        with pytest.raises(OutputError, match="never changed"), store.writing() as connection:
            connection.execute(text("TRUNCATE annotations"))
    assert everything(store) == before


def test_a_human_may_judge_anew_and_both_verdicts_stay(store):
    assert store.add(TASK, ANALYST, [annotation(1, 1.0)]) == 1
    assert store.add(TASK, ANALYST, [annotation(1, 1.0)]) == 0
    assert store.add(TASK, ANALYST, [annotation(1, 0.0)]) == 1
    assert len(everything(store)) == 2
    merged = merge_annotations(store.annotations(TASK), store.annotators(), Merge.DAWID_SKENE)
    assert merged.probabilities[0].tolist() == [1, 0]


def test_many_annotations_are_stored_whole_and_read_in_batches(store):
    n = 25_000
    rng = np.random.default_rng(0)
    ids = [rng.bytes(16) for _ in range(n)]
    p = rng.random(n).astype(np.float32)
    assert store.add_arrays(TASK, LLM, ids, np.stack([1 - p, p], axis=1)) == n
    sizes = [len(batch) for batch in store.annotations(TASK)]
    assert sum(sizes) == n and len(sizes) == 3
    assert len(store.find_known(TASK, LLM, ids)) == n
    assert store.digest(TASK) == store.digest(TASK)


def test_writers_at_the_same_time_lose_and_double_nothing(store):
    errors = []

    def write(k: int) -> None:
        try:
            with LabelStore(store.where) as own:
                for start in range(0, 200, 20):
                    annotations = [annotation(i, 0.5) for i in range(start, start + 20)]
                    own.add(TASK, Annotator(f"m{k % 2}", "", "model"), annotations)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(everything(store)) == 400


def test_two_tasks_and_changed_classes_are_kept_apart(store):
    other = Task("url-threat", {"benign": "", "phishing": "", "malware": ""}, ("phishing",))
    store.add(TASK, LLM, [annotation(1, 0.5)])
    store.add(other, LLM, [Annotation(event(1), (0.25, 0.25, 0.5))])
    assert everything(store)[0][2] == [0.5, 0.5]
    assert everything(store, other)[0][2] == [0.25, 0.25, 0.5]
    assert len(store.tasks()) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_id": b"short"},
        {"probabilities": (0.5, 0.6)},
        {"probabilities": (float("nan"), 0.5)},
        {"probabilities": (-0.5, 1.5)},
        {"confidence": 2.0},
    ],
)
def test_an_unsound_annotation_is_refused(wrong):
    with pytest.raises(InputError):
        Annotation(**({"event_id": event(1), "probabilities": (0.5, 0.5)} | wrong))


def test_what_does_not_fit_is_refused(tmp_path):
    with LabelStore(tmp_path / "a.db") as store:
        with pytest.raises(InputError, match="shape"):
            store.add(TASK, LLM, [Annotation(event(1), (0.2, 0.3, 0.5))])
        with pytest.raises(InputError, match="add up to 1"):
            store.add_arrays(TASK, LLM, [event(1)], np.array([[0.5, 0.6]], np.float32))
        store.add(TASK, LLM, [annotation(1, 0.5)])
        with pytest.raises(InputError, match="already known as kind 'llm'"):
            store.add(TASK, Annotator(LLM.name, LLM.version, "human"), [annotation(1, 0.5)])
    with pytest.raises(InputError, match="kind must be"):
        Annotator("x", "", "oracle")
    (tmp_path / "b.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match=r"b\.db"):
        LabelStore(tmp_path / "b.db")
    with pytest.raises(InputError, match="not a label store"):
        LabelStore("nonsense://x")


def test_a_newer_schema_is_refused_and_an_older_one_is_migrated(tmp_path):
    path = tmp_path / "a.db"
    LabelStore(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TRIGGER annotations_no_update")
        raw.execute("DROP TRIGGER annotations_no_delete")
        raw.execute("DROP TRIGGER annotations_no_replace")
        raw.execute("DROP TABLE withdrawals")
        raw.execute("DELETE FROM schema_version WHERE version >= 2")
    with LabelStore(path) as store:
        store.add(TASK, LLM, [annotation(1, 0.5)])
        with pytest.raises(DBAPIError), store._engine.begin() as connection:
            connection.execute(text("DELETE FROM annotations"))
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(OutputError, match="schema version 99"):
        LabelStore(path)


def test_no_error_holds_the_password_of_a_database():
    for url in (
        "postgresql://ada:s3cr%3Atp%40ss@127.0.0.1:1/labels",
        "postgresql://ada:s3cr:t@p@127.0.0.1:1/labels",
        "postgresql://ada@127.0.0.1:1/labels?password=s3cret",
        "postgresql://ada@127.0.0.1:1/labels?token=s3cret",
        "mysql://ada:s3cret@127.0.0.1/x",
        "nonsense://ada:s3cret@127.0.0.1/x",
    ):
        with pytest.raises(BucklerError) as failed:
            LabelStore(url)
        assert "s3cr" not in str(failed.value), url


def test_no_message_about_an_empty_store_holds_its_password(empty_postgres):
    url = empty_postgres.replace("buckler@", "buckler:s3cret@") + "?application_name=s3cret"
    with LabelStore(url) as store, pytest.raises(InputError, match="no annotation") as failed:
        summarize(store, TASK)
    assert "s3cr" not in str(failed.value)
    with pytest.raises(InputError, match="unknown options in the database URL: sslmode"):
        LabelStore(f"{empty_postgres}?sslmode=require")


def test_many_processes_may_make_the_store_at_once(store_where):
    code = "import sys; from buckler.labels import LabelStore; LabelStore(sys.argv[1]).close()"
    makers = [subprocess.Popen([sys.executable, "-c", code, store_where]) for _ in range(4)]
    assert [maker.wait(60) for maker in makers] == [0, 0, 0, 0]


def test_kill_9_while_writing_leaves_whole_batches(tmp_path):
    path = tmp_path / "a.db"
    code = (
        "import sys, numpy as np\n"
        "from buckler.labels import LabelStore, Annotator, store\n"
        "from buckler.tasks import get_task\n"
        "store.BATCH_ROWS = 500\n"
        f"s = LabelStore({str(path)!r})\n"
        "p = np.full((500_000, 2), 0.5, np.float32)\n"
        "ids = [i.to_bytes(16, 'little') for i in range(500_000)]\n"
        "s.add_arrays(get_task('url-threat'), Annotator('m', '', 'model'), ids, p)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    seen = 0
    while process.poll() is None and seen < 2000:
        time.sleep(0.05)
        if path.exists():
            with sqlite3.connect(path, timeout=30) as raw:
                names = {r[0] for r in raw.execute("SELECT name FROM sqlite_master")}
                if "annotations" in names:
                    seen = raw.execute("SELECT count(*) FROM annotations").fetchone()[0]
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()
    with LabelStore(path) as store:
        n = sum(len(batch) for batch in store.annotations(TASK))
        assert n >= seen and n % 500 == 0
        ids = [event(i) for i in range(n + 100)]
        assert store.find_known(TASK, Annotator("m", "", "model"), ids) == set(ids[:n])


# --- merging ----------------------------------------------------------------------------------


def simulated(tmp_path, accuracies, n=1500, n_classes=3, seed=0):
    """Annotators that are right this often, else say a class of their own liking."""
    rng = np.random.default_rng(seed)
    task = Task("t", {f"c{i}": "" for i in range(n_classes)})
    truth = rng.integers(0, n_classes, n)
    store = LabelStore(tmp_path / f"{seed}.db")
    for k, accuracy in enumerate(accuracies):
        right = rng.random(n) < accuracy
        verdict = np.where(right, truth, (k + rng.integers(0, 2, n)) % n_classes)
        asked = np.flatnonzero(rng.random(n) < 0.7)
        p = np.full((len(asked), n_classes), 0.0, np.float32)
        p[np.arange(len(asked)), verdict[asked]] = 1
        store.add_arrays(task, Annotator(f"m{k}", "", "model"), [event(int(i)) for i in asked], p)
    return store, task, truth


def share_right(merged, truth):
    order = [int.from_bytes(i, "little") for i in merged.event_ids]
    return float((merged.probabilities.argmax(axis=1) == truth[order]).mean())


def test_dawid_skene_finds_out_who_can_be_trusted(tmp_path):
    store, task, truth = simulated(tmp_path, [0.95, 0.35, 0.35, 0.4])
    merged = {m: merge_annotations(store.annotations(task), store.annotators(), m) for m in Merge}
    accuracy = merged[Merge.DAWID_SKENE].accuracy
    assert max(accuracy, key=accuracy.get) == 1
    assert accuracy[1] > 0.85
    assert all(accuracy[k] < 0.75 for k in (2, 3, 4))
    by_vote = share_right(merged[Merge.MAJORITY], truth)
    assert share_right(merged[Merge.DAWID_SKENE], truth) > by_vote + 0.05


def test_estimated_confusion_is_near_the_true_one(tmp_path):
    store, task, _ = simulated(tmp_path, [0.9, 0.8, 0.7, 0.85], n=3000)
    merged = merge_annotations(store.annotations(task), store.annotators(), Merge.DAWID_SKENE)
    for k, expected in enumerate([0.9, 0.8, 0.7, 0.85], 1):
        # A wrong draw can hit the right class by chance.
        assert expected - 0.03 < merged.accuracy[k] < expected + (1 - expected) * 0.6
    assert all(n > 1000 for n in merged.n_shared.values())


def test_a_humans_verdict_wins_over_any_number(tmp_path):
    store, task, truth = simulated(tmp_path, [0.9, 0.9, 0.9], n=50)
    wrong = int((truth[3] + 1) % 3)
    p = tuple(float(i == wrong) for i in range(3))
    store.add(task, ANALYST, [Annotation(event(3), p)])
    for method in Merge:
        merged = merge_annotations(store.annotations(task), store.annotators(), method)
        row = merged.event_ids.index(event(3))
        assert merged.human[row] and merged.probabilities[row].argmax() == wrong
        assert merged.human.sum() == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_targets_are_probabilities_whatever_is_said(tmp_path_factory, data):
    n_classes = data.draw(st.integers(2, 5))
    task = Task("t", {f"c{i}": "" for i in range(n_classes)})
    with LabelStore(tmp_path_factory.mktemp("s") / "a.db") as store:
        for k in range(data.draw(st.integers(1, 4))):
            kind = data.draw(st.sampled_from(["human", "model"]))
            raw = data.draw(
                st.lists(
                    st.lists(st.floats(0.0, 1), min_size=n_classes, max_size=n_classes).filter(
                        lambda v: sum(v) > 0.1
                    ),
                    max_size=6,
                )
            )
            annotations = [
                Annotation(event(i), tuple(v / sum(values) for v in values))
                for i, values in enumerate(raw)
            ]
            store.add(task, Annotator(f"m{k}", "", kind), annotations)
        for method in Merge:
            merged = merge_annotations(store.annotations(task), store.annotators(), method)
            assert np.isfinite(merged.probabilities).all()
            assert np.allclose(merged.probabilities.sum(axis=1), 1)


# --- files and the command line ---------------------------------------------------------------


def test_labels_make_the_round_trip_through_files(tmp_path):
    pq.write_table(made_up_table(200, np.random.default_rng(0)), tmp_path / "a.parquet")
    events = read_dataset([tmp_path / "a.parquet"], TASK)
    with LabelStore(tmp_path / "l.db") as store:
        rows, added = import_labels(store, events, LLM, confidence=0.9)
        assert rows == 200 and 190 <= added <= 200
        assert import_labels(store, events, LLM)[1] == 0
        assert export_annotations(store, TASK, tmp_path / "o.parquet") == added
        assert export_annotations(store, TASK, tmp_path / "o.jsonl") == added
        with pytest.raises(OutputError, match="name it"):
            export_annotations(store, TASK, tmp_path / "o.xlsx")
    table = pq.read_table(tmp_path / "o.parquet")
    lines = [json.loads(x) for x in (tmp_path / "o.jsonl").read_text().split("\n")[:-1]]
    assert table.to_pylist() == lines
    assert lines[0]["text"].startswith("http")
    assert lines[0]["p_benign"] in (pytest.approx(0.9), pytest.approx(0.1))


def test_rows_of_one_event_that_contradict_each_other_count_by_their_mean(tmp_path, caplog):
    rows = ["a,phishing", "a,benign", "a,benign", "a,benign", "b,phishing", "b,phishing"]
    (tmp_path / "a.csv").write_text("url,label\n" + "".join(f"http://{row}\n" for row in rows))
    with LabelStore(tmp_path / "l.db") as store:
        assert import_labels(store, read_dataset([tmp_path / "a.csv"], TASK), LLM) == (6, 2)
        assert sorted(o[2] for o in everything(store)) == [[0.0, 1.0], [0.75, 0.25]]
    assert "1 events have rows of more than one class" in caplog.text


def test_a_label_that_an_annotator_rejected_is_none(tmp_path):
    rows = [("a", "accept"), ("b", "reject"), ("c", "ignore"), ("d", None), ("e", "yes")]
    lines = [json.dumps({"text": t, "label": "phishing", "answer": a}) for t, a in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    quarantine = Quarantine()
    events = read_dataset([tmp_path / "a.jsonl"], TASK, quarantine=quarantine)
    assert events.label_names.tolist() == ["phishing", None, None, "phishing", "phishing"]
    assert quarantine.passed_over == {"labels rejected or ignored": 2}
    assert quarantine.count == 0


def test_the_command_maps_labels(tmp_path):
    (tmp_path / "a.csv").write_text("url,label\nhttp://a,1\nhttp://b,0\nhttp://c,1\n")
    command = ["labels", "import", "a.csv", "-t", "url-threat", "--annotator", "x"]
    refused = buckler(*command, cwd=tmp_path)
    assert "0=benign,1=phishing" in refused.stderr and "--label-map" in refused.stderr
    buckler(*command, "--label-map", "1=phishing,0=benign", cwd=tmp_path)
    printed = buckler("labels", "stats", "-t", "url-threat", cwd=tmp_path).stdout
    assert "benign 1, phishing 2" in printed


def test_probabilities_are_taken_over(tmp_path):
    def with_p_bad(name):
        columns = ColumnNames(keep=("p_bad",))
        return read_dataset([tmp_path / f"{name}.parquet"], TASK, columns)

    table = pa.table({"url": ["http://a/", "http://b/"], "p_bad": [0.25, 0.75]})
    pq.write_table(table, tmp_path / "a.parquet")
    with LabelStore(tmp_path / "l.db") as store:
        import_labels(store, with_p_bad("a"), LLM, columns=AnswerColumns(probability="p_bad"))
        assert sorted(o[2] for o in everything(store)) == [[0.25, 0.75], [0.75, 0.25]]
        pq.write_table(pa.table({"url": ["http://c/"], "p_bad": [7.0]}), tmp_path / "b.parquet")
        with pytest.raises(InputError, match="0 to 1"):
            import_labels(store, with_p_bad("b"), LLM, columns=AnswerColumns(probability="p_bad"))


def test_a_run_learns_from_the_store_and_again_when_annotations_come(tmp_path):
    table = made_up_table(2000, np.random.default_rng(0))
    truth = table["label"].to_pylist()
    wrong = ["benign" if t == "phishing" else "phishing" for t in truth]
    rng = np.random.default_rng(1)
    feed = [w if rng.random() < 0.3 else t for t, w in zip(truth, wrong, strict=True)]
    sure = [w if rng.random() < 0.05 else t for t, w in zip(truth, wrong, strict=True)]
    third = [w if rng.random() < 0.1 else t for t, w in zip(truth, wrong, strict=True)]
    position = table.schema.get_field_index("label")
    for name, labels in (("feed", feed), ("sure", sure), ("third", third)):
        pq.write_table(
            table.set_column(position, "label", pa.array(labels)), tmp_path / f"{name}.parquet"
        )
    pq.write_table(table.drop_columns(["label"]), tmp_path / "train.parquet")
    pq.write_table(
        made_up_table(600, np.random.default_rng(9)).drop_columns(["group"]),
        tmp_path / "test.parquet",
    )
    (tmp_path / "buckler.toml").write_text(
        'task = "url-threat"\n[data]\ntrain = ["train.parquet"]\ntest = ["test.parquet"]\n'
        '[labels]\nstore = "l.db"\n[split]\non_leak = "drop"\n'
        "[student]\nfolds = 2\ntable_bits = 12\n[evaluation]\nresamples = 50\n"
    )
    db = tmp_path / "l.db"
    for name in ("feed", "sure"):
        done = buckler(
            "labels",
            "import",
            tmp_path / f"{name}.parquet",
            "-t",
            "url-threat",
            "--annotator",
            name,
            "-s",
            db,
        )
        assert "new annotations" in done.stdout, done.stderr
    first = buckler("run", tmp_path / "buckler.toml")
    assert first.returncode == 0, first.stderr
    assert "\nlabel " in first.stdout and "done before" not in first.stdout
    assert buckler("run", tmp_path / "buckler.toml").stdout.count("(done before)") == 4
    buckler(
        "labels",
        "import",
        tmp_path / "third.parquet",
        "-t",
        "url-threat",
        "--annotator",
        "third",
        "-s",
        db,
    )
    assert buckler("run", tmp_path / "buckler.toml").stdout.count("(done before)") == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["figures"]["auroc"]["value"] > 0.97
    stats = buckler("labels", "stats", "-t", "url-threat", "-s", db).stdout
    rows = {
        line.split()[0]: float(line.split()[-1])
        for line in stats.splitlines()
        if line.startswith(("feed", "sure", "third"))
    }
    assert rows["sure"] > rows["third"] > rows["feed"]
    assert abs(rows["feed"] - 0.7) < 0.06
    assert "in dispute" in buckler("labels", "conflicts", "-t", "url-threat", "-s", db).stdout
    shown = buckler("labels", "show", table["url"][0].as_py(), "-t", "url-threat", "-s", db)
    assert "target:" in shown.stdout
    recipe = (tmp_path / "buckler.toml").read_text().replace("l.db", "typo.db")
    (tmp_path / "typo.toml").write_text(recipe)
    misspelt = buckler("run", tmp_path / "typo.toml")
    assert misspelt.returncode == 2 and "no label store" in misspelt.stderr
    assert not (tmp_path / "typo.db").exists()
    missing = buckler("labels", "stats", "-t", "url-threat", "-s", tmp_path / "none.db")
    assert missing.returncode == 2 and "no label store" in missing.stderr
