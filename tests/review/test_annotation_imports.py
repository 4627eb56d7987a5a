"""Annotations from other tools, in files as those tools and their users really write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.dataset import ColumnNames, event_id, read_dataset
from buckler.errors import InputError, SettingsError
from buckler.labels import Annotator, AnswerColumns, LabelStore, import_labels
from buckler.readers.quarantine import Quarantine
from buckler.review.annotation_tools import Tool, import_answers
from buckler.review.queue import Queue
from buckler.tasks import get_task
from buckler.teachers import get_teacher

TASK = get_task("command-line")
HOSTILE = "net user a\u2028b\u0085c\x1c\u2029 /add"


def studio(text, label="malicious", note=None, **data):
    result = [{"type": "choices", "from_name": "label", "value": {"choices": [label]}}]
    if note is not None:
        result.append({"type": "textarea", "from_name": "why", "value": {"text": note}})
    annotation = {"completed_by": 7, "created_at": "2026-02-01T08:00:00Z", "result": result}
    return {"data": {"text": text, **data}, "annotations": [annotation]}


def argilla(text, label="malicious"):
    response = {"value": label, "user_id": "u1"}
    return {"fields": {"text": text}, "responses": {"label": [response]}}


def bring_in(tmp_path, content, tool=Tool.LABEL_STUDIO):
    """Import a file; return the texts, the rationales and the reasons of rows set aside."""
    path = tmp_path / "export.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with LabelStore(tmp_path / "l.db") as store, Quarantine() as quarantine:
        import_answers(Queue(store, TASK), tool, path, quarantine)
        ids, rationales = [], []
        for batch in store.annotations(TASK):
            ids += batch.event_ids
            rationales += batch.rationales
        texts = sorted(text.decode() for text in store.texts(ids).values())
    return texts, rationales, dict(quarantine.reasons)


@pytest.mark.parametrize("make", [studio, argilla])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n"])
def test_lines_end_at_line_feeds_only_in_every_encoding(tmp_path, make, encoding, end):
    records = [make(HOSTILE), make("whoami")]
    tool = Tool.ARGILLA if make is argilla else Tool.LABEL_STUDIO
    lines = end.join(json.dumps(r, ensure_ascii=False) for r in records) + end
    texts, _, reasons = bring_in(tmp_path, lines.encode(encoding), tool)
    assert (texts, reasons) == (sorted([HOSTILE, "whoami"]), {})
    array = json.dumps(records, ensure_ascii=False, indent=1).encode(encoding)
    assert bring_in(tmp_path, array, tool)[0] == texts


@pytest.mark.parametrize(
    ("note", "kept"),
    [
        (["half \ud83d of it"], "half ? of it"),
        ("one text", "one text"),
        (["zero \0"], "zero \ufffd"),
        (["a", 5, None], "a 5 None"),
    ],
)
def test_a_note_of_any_kind_is_kept(tmp_path, note, kept):
    texts, rationales, reasons = bring_in(tmp_path, json.dumps([studio("id", note=note)]))
    assert (texts, rationales, reasons) == (["id"], [kept], {})


def test_a_bad_record_is_set_aside_and_the_others_are_taken(tmp_path):
    good = json.dumps(studio("whoami"))
    two = '{"data": {"text": "a"}, "data": {"text": "b"}, "annotations": []}'
    inner = json.dumps(studio("c")).replace('"choices": [', '"choices": ["benign"], "choices": [')
    cut = json.dumps(studio("half \ud83d of it"))
    latin = json.dumps(studio("caf\u00e9"), ensure_ascii=False).encode("latin-1")
    several = json.dumps(studio("d")).replace('["malicious"]', '["malicious", "benign"]')
    bad = [two, inner, cut, several, '{"data": ', "NaN", "5", "null", '"text"', "[" * 5000]
    lines = "\n".join([*bad, good]).encode() + b"\n" + latin
    texts, _, reasons = bring_in(tmp_path, lines)
    assert texts == ["whoami"] and sum(reasons.values()) == len(bad) + 1
    array = f"[{two}, {inner}, {cut}, NaN, {good}]"
    texts, _, reasons = bring_in(tmp_path, array)
    assert texts == ["whoami"] and sum(reasons.values()) == 4


def test_nan_where_nobody_looks_costs_no_record(tmp_path):
    record = json.dumps(studio("whoami")).replace('"data"', '"total_predictions": NaN, "data"')
    assert bring_in(tmp_path, record)[0] == ["whoami"]


def test_a_label_for_a_known_event_needs_no_sound_text(tmp_path):
    with LabelStore(tmp_path / "l.db") as store:
        store.add_events([event_id(b"whoami", TASK)], [b"whoami"])
    record = studio("cut \ud83d", event_id=event_id(b"whoami", TASK).hex())
    assert bring_in(tmp_path, json.dumps(record))[0] == ["whoami"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"id,text\n1,a\n", b"[{]", b"<html>"])
def test_what_is_no_json_at_all_is_an_error(tmp_path, content):
    with pytest.raises(InputError, match="not JSON"):
        bring_in(tmp_path, content)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "text", "annotations", "result", "type", "value", "choices"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_record_ends_an_import(tmp_path_factory, records):
    tmp_path = tmp_path_factory.mktemp("imports")
    for tool in Tool:
        texts, _, _ = bring_in(tmp_path, json.dumps([*records, studio("id"), argilla("id")]), tool)
        assert "id" in texts


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_labels_in_tables_may_hold_any_separator(tmp_path, suffix, start):
    text = HOSTILE.replace("\x1c", "")
    if suffix == "jsonl":
        content = json.dumps({"command": text, "label": "malicious"}, ensure_ascii=False) + "\n"
    else:
        comma = "," if suffix == "csv" else "\t"
        content = f"command{comma}label\n{text}{comma}malicious\n"
    path = tmp_path / f"labels.{suffix}"
    path.write_text(start + content)
    columns = ColumnNames(text="command", label="label")
    with LabelStore(tmp_path / "l.db") as store:
        events = read_dataset([path], TASK, columns)
        assert import_labels(store, events, Annotator("feed")) == (1, 1)
        assert [t.decode() for t in store.texts(events.ids).values()] == [text]


def test_a_list_of_one_label_is_a_label(tmp_path):
    path = tmp_path / "doccano.jsonl"
    rows = [("whoami", ["malicious"]), ("dir", []), ("ls", ["benign"]), ("id", None)]
    lines = (json.dumps({"id": 1, "text": text, "label": label}) for text, label in rows)
    path.write_text("\n".join(lines))
    events = read_dataset([path], TASK, ColumnNames(text="text", label="label"))
    assert events.labels.tolist() == [1, -1, 0, -1]


def test_probabilities_that_are_none_are_an_error(tmp_path):
    for value in ("high", "", "nan", "1e400"):
        path = tmp_path / "p.csv"
        path.write_text(f"command,p\nwhoami,{value}\n")
        events = read_dataset([path], TASK, ColumnNames(text="command", keep=("p",)))
        with (
            LabelStore(tmp_path / "l.db") as store,
            pytest.raises(InputError, match="0 to 1"),
        ):
            import_labels(store, events, Annotator("feed"), columns=AnswerColumns(probability="p"))


def recorded(tmp_path, **changes):
    row = {
        "event_id": event_id(b"whoami", TASK).hex(),
        "annotator": "m",
        "p_benign": 0.1,
        "p_malicious": 0.9,
    }
    line = json.dumps(row | changes, ensure_ascii=False)
    path = tmp_path / "o.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line.encode("utf-8", "surrogatepass") + b"\n\n")
    return get_teacher("recorded", path, TASK)


def test_recorded_annotations_are_read_with_any_rationale(tmp_path):
    for rationale in (HOSTILE, ["a list"], 5, None):
        assert recorded(tmp_path, rationale=rationale).annotator.name == "m"


@pytest.mark.parametrize(
    "changes",
    [
        {"p_benign": float("nan")},
        {"p_benign": None},
        {"confidence": float("nan")},
        {"created_s": float("inf")},
        {"created_s": 10**30},
        {"event_id": "zz"},
        {"event_id": 5},
    ],
)
def test_a_recorded_annotation_that_makes_no_sense_is_an_error_with_its_row(tmp_path, changes):
    with pytest.raises(SettingsError, match="row 1"):
        recorded(tmp_path, **changes)
