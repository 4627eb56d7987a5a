"""JSON texts: the kernel's columns are those of Python's objects, whatever stands in a text."""

import json

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from buckler.normalize import FeatureSchema
from buckler.readers.reader import ColumnSpec
from buckler.serving import event_values
from buckler.serving.event_values import NOT_JSON, JsonArray, JsonTexts, parse_event, read_values

SPECS = [
    ColumnSpec(("url",)),
    ColumnSpec(("url", "http.url"), {"label": ("label",), "ts": ("ts", "a.ts")}, medium="url"),
    ColumnSpec(("command_line", "process.args"), context=(("parent", "a.b"),), mixed=True),
    ColumnSpec(("url",), any_bytes=True),
    ColumnSpec(("url",), kept=("label",)),
    ColumnSpec(("url",), keep_all=True),
]
NAMES = [
    *["url"] * 8,
    "URL",
    "http",
    "http.url",
    "label",
    "ts",
    "a",
    "b",
    "host",
    "hostname",
    "parent",
]
NAMES += ["command_line", "process", "args", "_source", "_id", "result", "offset", "snapshot"]
SCALARS = [
    *('"http://a.example/x"', '"/path"', '""', '"\\u00e9\\n\\/"', '"\\ud83d\\ude00"', '"\\ud800"'),
    *('"\\udc00x"', '"é😀"', '"a\x1fb"', '"a\nb"', '"a\tb"', '"\\q"', '"', "0", "-0", "-0.0", "01"),
    *("1.50", "1e5", "1e999", "1" * 30, "1" * 400, "-", ".5", "NaN", "-Infinity", "true", "null"),
    *("tru", "nul", "{}", "[]", '["x", "y z"]', '[{"url": "inner"}]', "[" * 70 + "]" * 70),
]
values = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=3).map(
        lambda members: "{" + ", ".join(f'"{name}": {value}' for name, value in members) + "}"
    ),
    max_leaves=6,
)
members = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4)
objects = members.map(lambda some: "{" + ",".join(f'"{n}":{v}' for n, v in some) + "}")
tails = st.sampled_from(["", "", "", ",", "}", " x", "\r", "\n", "\x0b", "\x00"])
heads = st.sampled_from(["", "", "", "\ufeff", " ", "\n", "[", "\x1e"])
whole = st.tuples(heads, st.one_of(objects, values), tails).map("".join)
texts = st.one_of(
    whole.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.tuples(whole, st.binary(max_size=3), st.integers(0, 40)).map(
        lambda drawn: drawn[0].encode()[: drawn[2]] + drawn[1] + drawn[0].encode()[drawn[2] :]
    ),
)
SOUND = [b'{"url": "http://b.example/%d", "command_line": "ls"}' % n for n in range(40)]


def read(some, spec, *, pass_over):
    chunk, reasons = read_values(some, spec, pass_over=pass_over)
    columns = {role: column.to_pylist() for role, column in chunk.columns.items()}
    return chunk.events.to_pylist(), columns, chunk.rows.tolist(), reasons


@example([b'{"url": "http://\xff"}', b'{"url": "a", "\xff": 1}'], SPECS[3], False, True)
@example([b'{"url": "a", "ts": 1.50}', b'{"url": null, "ts": 1}'], SPECS[1], False, True)
@example([b'{"url": "a", "url": "b"}', b'{"url": "a", "URL": "b"}'], SPECS[0], False, True)
@settings(max_examples=500)
@given(st.lists(texts, max_size=4), st.sampled_from(SPECS), st.booleans(), st.booleans())
def test_hostile_texts_are_read_as_objects_are(hostile, spec, pass_over, beside_sound_ones):
    lines = [*SOUND[:20], *hostile, *SOUND[20:]] if beside_sound_ones else hostile * 40
    expected = read([parse_event(line) for line in lines], spec, pass_over=pass_over)
    assert read(JsonTexts(lines), spec, pass_over=pass_over) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.just("/path")
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
sound_values = [orjson.loads(text) for text in SOUND]


@example([{"url": "a", "ts": 1e-7}, {"url": None, "ts": 1}], SPECS[1], False, True)
@settings(max_examples=300)
@given(st.lists(json_values, max_size=4), st.sampled_from(SPECS), st.booleans(), st.booleans())
def test_values_of_an_array_are_read_as_objects_are(some, spec, pass_over, beside_sound_ones):
    all_values = [*sound_values, *some, sound_values[0]] if beside_sound_ones else some * 40
    expected = read(all_values, spec, pass_over=pass_over)
    assert read(JsonArray(all_values), spec, pass_over=pass_over) == expected


def test_an_odd_value_of_an_array_costs_its_neighbors_nothing(monkeypatch):
    odd = [7, "http://c.example", {"url": 1}, {"a": {"b": "]"}}, json.loads("[" * 60 + "]" * 60)]
    read_one_by_one = []
    monkeypatch.setattr(
        event_values, "unwrap", lambda value: read_one_by_one.append(value) or value
    )
    chunk, reasons = read_values(JsonArray([*sound_values, *odd]), ColumnSpec(("url",)))
    assert read_one_by_one == [odd[0], odd[1], odd[2], odd[4]]
    assert sorted(reasons) == [40, 42, 43, 44]
    assert chunk.events[-1].as_py() == b"http://c.example"


def test_an_array_that_cannot_be_written_is_read_as_objects():
    deep = orjson.loads("[" * 300 + "]" * 300)
    chunk, reasons = read_values(JsonArray([*sound_values, deep]), ColumnSpec(("url",)))
    assert (len(chunk.events), reasons) == (40, {40: "not a JSON object"})


def test_sound_texts_beside_a_bad_one_are_not_parsed_again():
    parsed = []

    def parse(text):
        parsed.append(text)
        return parse_event(text)

    bad = [
        b"",
        b"\n",
        b"\xff",
        b'{"url": 1}',
        b'{"url": "a"',
        b'"http://c.example"',
        b'{"url":"\n"}',
    ]
    pretty = b'{\n  "url": "http://d.example/"\n}'
    chunk, reasons = read_values(JsonTexts([*SOUND, *bad, pretty], parse), ColumnSpec(("url",)))
    assert parsed == bad
    assert sorted(reasons) == [40, 41, 42, 43, 44, 46]
    assert chunk.events[-1].as_py() == b"http://d.example/"
    assert chunk.events[-2].as_py() == b"http://c.example"


def test_texts_are_values_in_python():
    found = JsonTexts([b'{"url": 1}', b"nonsense"])
    assert (len(found), found[0], list(found)) == (2, {"url": 1}, [{"url": 1}, NOT_JSON])


def test_rows_of_features_are_read_as_objects(monkeypatch):
    monkeypatch.setattr(event_values, "scan_lines", lambda *_, **__: pytest.fail("no text in them"))
    spec = ColumnSpec(("row",), features=FeatureSchema(("n",)))
    chunk, reasons = read_values(JsonTexts([b'{"n": 2}'] * 50), spec)
    assert (len(chunk.events), reasons) == (50, {})


@given(st.lists(st.text(st.characters(codec=None))))
def test_texts_alone_are_read_as_they_are(some):
    chunk, reasons = read_values(some, ColumnSpec(any_bytes=True))
    expected = [text.encode("utf-8", "surrogatepass") for text in some]
    assert chunk.events.to_pylist() == [text for text in expected if text]
    assert sorted(reasons) == [row for row, text in enumerate(expected) if not text]
    assert chunk.events.type == pa.large_binary()
    assert np.array_equal(chunk.rows, [row for row, text in enumerate(expected, 1) if text])


def test_data_beyond_the_kernel_are_read_as_objects(monkeypatch):
    monkeypatch.setattr(event_values, "_MAX_SCANNED_BYTES", 100)
    chunk, reasons = read_values(JsonTexts(SOUND), ColumnSpec(("url",)))
    assert (len(chunk.events), reasons) == (40, {})
    assert json.loads(SOUND[-1])["url"].encode() == chunk.events[-1].as_py()
