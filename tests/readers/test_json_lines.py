"""JSON lines: the kernel's scanner reads as Python's `json` does, or leaves the lines to it."""

import json

import numpy as np
import pytest

from buckler._kernel import json_array, json_lines
from buckler.readers import ColumnSpec, Quarantine, get_reader, read_batches
from buckler.readers import jsonl as jsonl_module

SPEC = ColumnSpec(("url",), {"label": ("label",), "ts": ("ts",)})
PIECES = [
    *('{"url": "a", "label": "b"}\n', '{"url": "c", "ts": 7}\n', '"url"', '"label"', '"ts"'),
    *('"URL"', "{", "}", "[", "]", ":", ",", "\n", "\r\n", "\r", " ", "\t", "\x0b", "\x0c"),
    *("\ufeff", '"', "\\", '"\\u00e9\\ud83d\\ude00\\n\\/"', '"\\ud800"', '"\\udc00"', '"\\q"'),
    *('"é😀"', '"\x01"', '""', "0", "-0", "-7", "01", "1.5", "1e5", "1e", ".5", "NaN"),
    *("1" * 19, "1" * 5000, "-Infinity", "true", "false", "null", "tru", '{"a": [1, {}]}'),
    *("[" * 70 + "]" * 70, '["b"]'),
]


NESTED = ColumnSpec(
    ("url", "a.url", "d.args"),
    {
        "label": ("label", "a.b.label", "Label"),
        "ts": ("a.ts", "ts", "a.b"),
        "both": ("ts", "a.url"),
    },
    mixed=True,
)
NESTED_PIECES = [
    *PIECES,
    *('"a"', '"a.url"', '"b"', '"a.b.label"', '"Label"', '"d"', '"args"', '{"url": "n"}'),
    *('{"ts": 12.5, "b": {"label": "z"}}', '{"b.label": "y"}', '{"args": ["x", "y"]}'),
    *('"Data"', '[{"@Name": "url", "#text": "t"}]', "0.00001", "0.001", "7.10", "-3.25", '"A"'),
]


def read(path, spec=SPEC):
    with Quarantine(path.parent / "bad.jsonl") as quarantine:
        chunks = list(get_reader(path).chunks(path, spec, quarantine))
    rows = [chunk.rows.tolist() for chunk in chunks]
    texts = [chunk.events.to_pylist() for chunk in chunks]
    columns = [{r: c.to_pylist() for r, c in chunk.columns.items()} for chunk in chunks]
    return rows, texts, columns, quarantine.reasons, quarantine.passed_over


def test_both_ways_of_reading_agree(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.jsonl"
    for _ in range(200):
        lines = '{"url": "a", "label": "b", "ts": 1}\n'
        for _ in range(rng.integers(1, 4)):
            line = ['{"url": ', '"x"', ', "label": ', '"y"', ', "ts": ', "12", "}", "\n"]
            for _ in range(rng.integers(0, 3)):
                line[rng.integers(len(line))] = str(rng.choice(PIECES))
            lines += "".join(line)
        path.write_bytes(lines.encode())
        fast = read(path)
        with monkeypatch.context() as patch:
            patch.setattr(jsonl_module, "json_lines", lambda *_: None)
            assert fast == read(path), lines


def test_both_ways_of_reading_nested_names_agree(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    path = tmp_path / "a.jsonl"
    fast_ones = 0

    def scanned(*arguments):
        nonlocal fast_ones
        found = json_lines(*arguments)
        fast_ones += found is not None
        return found

    for _ in range(400):
        lines = ""
        for _ in range(rng.integers(1, 4)):
            line = ['{"a": ', '{"url": "u", "b": {"label": "l"}, "ts": 3}', ', "ts": ', "12", "}\n"]
            if rng.integers(2):
                line[1] = f'{{"b": {{"label": {rng.choice(NESTED_PIECES)}}}, "url": ""}}'
            for _ in range(rng.integers(0, 3)):
                line[rng.integers(len(line) - 1)] = str(rng.choice(NESTED_PIECES))
            lines += "".join(line)
        path.write_bytes(lines.encode())
        with monkeypatch.context() as patch:
            patch.setattr(jsonl_module, "json_lines", scanned)
            fast = read(path, NESTED)
            patch.setattr(jsonl_module, "json_lines", lambda *_: None)
            assert fast == read(path, NESTED), lines
    assert fast_ones > 40


@pytest.mark.parametrize(
    "value",
    ["", "a b", 'q"\\/\b\f\n\r\t', "é \u2028 😀", "\x7f", "x" * 5000, None],
)
def test_values_are_those_of_python(value):
    for ascii_only in (False, True):
        data = json.dumps({"a": [value], "url": value, "b": {"url": 1}}, ensure_ascii=ascii_only)
        rows, [(validity, offsets, content)] = json_lines(data.encode(), ((b"url",),), 1 << 20, 0)
        assert np.frombuffer(rows, np.int64).tolist() == [0]
        assert np.frombuffer(offsets, np.int32).tolist() == [0, len((value or "").encode())]
        assert validity == bytes([value is not None])
        assert content.decode() == (value or "")


def test_blank_lines_cost_no_slow_path_and_count_as_lines():
    rows, _ = json_lines(b'\n \t\r\n{"url": "a"}\n\n{"url": "b"}', ((b"url",),), 100, 0)
    assert np.frombuffer(rows, np.int64).tolist() == [2, 4]


@pytest.mark.parametrize(
    "line",
    [
        *(
            '{"url": 1}',
            '{"URL": "a"}',
            '{"\\u0075rl": "a"}',
            '{"url": "a"',
            '{"url": "a"} x',
            "[]",
        ),
        *('{"url": "\\ud800"}', '{"url": "a", "n": 1.50}', '{"url": "a", "n": []}', "x"),
        '{"url": "' + "a" * 100 + '"}',
    ],
)
def test_what_needs_a_closer_look_is_left_to_the_slow_path(line):
    data, names = line.encode(), ((b"url",), (b"n",))
    assert json_lines(data, names, 100, 0) is None
    sound = b'{"url": "b", "n": 1}'
    rows, [urls, numbers] = json_lines(b"\n".join([sound, data, sound, data]), names, 100, 2)
    assert np.frombuffer(rows, np.int64).tolist() == [0, 2]
    assert (urls[0], urls[2], numbers[0], numbers[2]) == (b"\3", b"bb", b"\3", b"11")
    assert json_lines(b"\n".join([sound, data, sound, data]), names, 100, 1) is None


@pytest.mark.parametrize(
    "array",
    ["", "[", "[]", '[{"url":"a"}', '[{"url":"a"},]', '[{"url":"a"}]]', '{"url":"a"}', "[1 2]"],
)
def test_what_is_no_array_of_so_many_values_is_left_whole(array):
    assert json_array(array.encode(), ((b"url",),), min(len(array), 1)) is None
    assert json_array(b'[{"url":"a"},7]', ((b"url",),), 1) is None
    rows, [(validity, offsets, data)] = json_array(b'[7,{"url":"a"},[]]', ((b"url",),), 3)
    assert np.frombuffer(rows, np.int64).tolist() == [1]
    assert (validity, np.frombuffer(offsets, np.int32).tolist(), data) == (b"\1", [0, 1], b"a")


def test_a_name_that_is_kept_stays_json(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"url": "a", "id": "7"}\n')
    with Quarantine(tmp_path / "bad.jsonl") as quarantine:
        chunk = next(get_reader(path).chunks(path, ColumnSpec(("url",), kept=("id",)), quarantine))
    assert chunk.columns["kept:id"].to_pylist() == ['"7"']


SHAPES = {
    "pretty": '{\n  "url": "a"\n}\n{\n  "url": "b"\n}\n',
    "one pretty": '{\r\n "url": "a",\r\n "x": {"url": "z"}\r\n}\r\n[{"url": "b"}]',
    "side by side": '{"url": "a"}{"url": "b"}',
    "side by side on a line": '{"url": "a"}, {"url": "b"}\n',
    "sequence": '\x1e{"url": "a"}\n\x1e{"url": "b"}\n',
    "two arrays": '[{"url": "a"}]\n[{"url": "b"}]\n',
    "texts": '["a",\n"b"]',
    "texts on lines": '"a"\n"b"\n',
    "elasticsearch": '{"_index": 1, "_source": {"url": "a"}}\n{"_id": 1, "_source": {"url": "b"}}',
    "elasticsearch, nested": '{"_id": 1, "_source": {"url": {"full": "a"}}}\n'
    '{"_id": 2, "_source": {"url": {"full": "b"}}}',
    "elasticsearch, array": '[{"_id": 1, "_source": {"url": "a"}},'
    '{"_id": 2, "_source": {"url": "b"}}]',
    "splunk": '{"preview": false, "result": {"url": "a"}}\n'
    '{"preview": true, "result": {"url": "b"}}',
    "a result of its own": '{"url": "a", "result": {"url": "z"}}\n{"url": "b"}',
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json_is_read_in_the_shapes_that_tools_export(tmp_path, text, mark):
    path = tmp_path / "a.json"
    path.write_text(mark + text, newline="")
    quarantine = Quarantine()
    batches = read_batches([path], ColumnSpec(text=("url", "url.full")), quarantine)
    assert [t for batch in batches for t in batch.chunk.events.to_pylist()] == [b"a", b"b"]
    assert quarantine.count == 0


def test_what_follows_an_array_is_not_lost_in_silence(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"url": "a"}]\n{"url": "b"}\nnonsense\n{"url": "c"}')
    quarantine = Quarantine()
    batches = read_batches([path], ColumnSpec(text=("url",)), quarantine)
    assert [t for batch in batches for t in batch.chunk.events.to_pylist()] == [b"a", b"b"]
    assert quarantine.reasons == {"no JSON: the rest of the file cannot be read": 1}


def test_a_broken_first_line_costs_no_other(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"url": "x",\n{"url": "a"}\n{"url": "b}{"}\n')
    quarantine = Quarantine()
    batches = read_batches([path], ColumnSpec(text=("url",)), quarantine)
    assert [t for batch in batches for t in batch.chunk.events.to_pylist()] == [b"a", b"b}{"]
    assert quarantine.count == 1
