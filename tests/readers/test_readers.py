import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.readers import lines as lines_module
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec, find_inputs, get_reader
from buckler.tasks import get_task

WANTED = ColumnSpec(("url", "text"), {"label": ("label",), "ts": ("ts",)})


def read(path: Path, spec: ColumnSpec = WANTED, cursor: int = 0):
    """All texts, their row numbers, and the quarantine."""
    texts, rows, cursors = [], [], []
    with Quarantine(path.with_suffix(".quarantine")) as quarantine:
        for chunk in get_reader(path).chunks(path, spec, quarantine, cursor):
            texts += chunk.events.to_pylist()
            rows += chunk.rows.tolist()
            cursors.append((len(texts), chunk.cursor))
            assert all(len(column) == len(chunk.events) for column in chunk.columns.values())
    return texts, rows, quarantine, cursors


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_lines_are_events_and_blank_lines_are_none(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffone\r\n\n  \ntwo\nthree")
    assert read(path)[:2] == ([b"one", b"two", b"three"], [1, 4, 5])


@pytest.mark.parametrize("block", [4, 1 << 22])
def test_old_line_ends_end_lines(tmp_path, block, monkeypatch):
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", block)
    assert read(write(tmp_path / "a.txt", "one\r\rtwo\r"))[:2] == ([b"one", b"two"], [1, 3])
    path = write(tmp_path / "a.jsonl", '{"url": "a"}\r{"url": "b"}')
    texts, _, _, cursors = read(path)
    assert texts == [b"a", b"b"]
    for count, cursor in cursors:
        assert read(path, cursor=cursor)[0] == texts[count:]


def test_compressed_lines_are_read(tmp_path):
    path = write(tmp_path / "a.txt.gz", gzip.compress(b"one\ntwo\n"))
    assert read(path)[0] == [b"one", b"two"]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfea\x00b\x00", "UTF-16"),
        (b"\x7fELF\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "binary data"),
    ],
)
def test_what_is_no_text_is_refused_with_a_remedy(tmp_path, suffix, data, words):
    with pytest.raises(InputError, match=words):
        read(write(tmp_path / f"a{suffix}", data))


def test_a_line_of_100_mb_is_set_aside_and_the_next_is_read(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.write(b"first\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\nlast\n")
    texts, rows, quarantine, _ = read(path)
    assert (texts, rows) == ([b"first", b"last"], [1, 3])
    assert quarantine.reasons == {lines_module.TOO_LONG: 1}


def test_jsonl_sets_bad_lines_aside_with_their_numbers(tmp_path):
    good = json.dumps({"url": "http://a.example", "label": "benign", "other": [1, {"x": 2}]})
    deep = '{"url": ' + "[" * 100_000 + "]" * 100_000 + "}"
    bad = ["{broken", "[1]", '{"url": 5}', '{"label": "x"}', '{"url": null}', "\x00", deep]
    path = write(tmp_path / "a.jsonl", "\n".join([good, *bad, '{"url": "b"}{"url": "c"}', good]))
    texts, rows, quarantine, _ = read(path)
    assert texts == [b"http://a.example"] * 2
    assert rows == [1, 10]
    assert quarantine.count == 8
    records = [json.loads(line) for line in quarantine.path.read_text().splitlines()]
    assert [r["row"] for r in records] == list(range(2, 10))


def test_jsonl_reaches_into_nested_objects(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"process": {"command_line": "whoami"}}\n{"process": 3}\n')
    texts, rows, quarantine, _ = read(path, ColumnSpec(("process.command_line",)))
    assert (texts, rows, quarantine.count) == ([b"whoami"], [1], 1)


def test_csv_sets_rows_of_another_width_aside(tmp_path):
    path = write(
        tmp_path / "a.csv",
        'label,url,ts\nbenign,"http://a.example/,x",5\nbenign,http://b.example\n'
        'benign,"two\nlines",7\nx,y,z,w\nbenign,http://c.example,\n',
    )
    texts, rows, quarantine, _ = read(path)
    assert texts == [b"http://a.example/,x", b"two\nlines", b"http://c.example"]
    assert rows == [2, 4, 6]
    assert quarantine.count == 2


def test_csv_sets_each_bad_row_aside_once_wherever_reading_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("buckler.readers.csv.BLOCK_BYTES", 64)
    bad = {4, 5, 17, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 52}
    lines = [f"text number {i},x,y" if i in bad else f"text number {i},x" for i in range(2, 53)]
    path = write(tmp_path / "a.csv", "text,label\n" + "\n".join(lines) + "\n")

    def quarantined(data: str) -> list[int]:
        return [json.loads(line)["row"] for line in data.splitlines()]

    target = tmp_path / "a.quarantine"
    quarantine = Quarantine(target)
    cursors, seen = [0], [0]
    for chunk in get_reader(path).chunks(path, WANTED, quarantine):
        cursors.append(chunk.cursor)
        seen.append(quarantine.count)
    quarantine.close()
    assert quarantined(target.read_text()) == sorted(bad)
    assert len(cursors) > 4
    for cursor, before in zip(cursors, seen, strict=True):
        _, rows, rest, _ = read(path, cursor=cursor)
        assert not bad & set(rows)
        assert quarantined(rest.path.read_text() if rest.count else "") == sorted(bad)[before:]


def test_tsv_is_csv_with_tabs(tmp_path):
    assert read(write(tmp_path / "a.tsv", "url\tlabel\na,b\tc\n"))[0] == [b"a,b"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_missing_column_is_named_together_with_those_that_are_there(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"link": ["a"]}), path)
    else:
        write(path, "link\na\n" if suffix == ".csv" else '{"link": "a"}\n')
    with pytest.raises(InputError, match=r"no column named url or text.*link.*name it"):
        read(path)


def test_bad_encodings_nulls_and_empty_texts_are_set_aside(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"url": pa.array([b"a", b"\xff\xfe", None, b"", b"b\x00c"])}), path)
    texts, rows, quarantine, _ = read(path)
    assert (texts, rows) == ([b"a", b"b\x00c"], [1, 5])
    assert quarantine.reasons == {"not UTF-8": 1, "no text": 1, "empty text": 1}


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_any_text_type_of_parquet_will_do(tmp_path, kind):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array(["x", "y", "x"]).cast(kind)}), path)
    assert read(path)[0] == [b"x", b"y", b"x"]


def test_a_text_column_of_numbers_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [1, 2]}), path)
    with pytest.raises(InputError, match="int64, not text"):
        read(path)


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x"] * 1000}), path)
    data = path.read_bytes()
    for cut in (0, 3, 100, len(data) - 1):
        write(path, data[:cut])
        with pytest.raises(InputError, match=r"a\.parquet"):
            read(path)


def test_eml_mbox_and_maildir_give_raw_messages(tmp_path):
    first, second = b"Subject: a\n\nx\n", b"Subject: b\n\n>From y\nFrom z\n\n"
    assert read(write(tmp_path / "a.eml", b"\xff" + first))[0] == [b"\xff" + first]
    mbox = b"From a\n" + first + b"\nFrom b " + b"long " * 50_000 + b"\n" + second
    texts, rows, *_ = read(write(tmp_path / "a.mbox", mbox))
    assert texts == [first + b"\n", second]
    assert rows == [1, 2]
    (tmp_path / "box" / "cur").mkdir(parents=True)
    write(tmp_path / "box" / "cur" / "1:2,S", first)
    (found,) = find_inputs([tmp_path / "box"])
    assert read(found)[0] == [first]
    with pytest.raises(InputError, match="not an mbox"):
        read(write(tmp_path / "b.mbox", b"Subject: a"))


LINE = b"From a@b.example Mon Jan  5 10:00:00 2026\n"


@pytest.mark.parametrize(
    "body",
    [
        b"Hi,\n\nFrom now on, use the new account.\n\nBye\n",
        b"Hi,\n\nFrom now on at 10:30 in 2026\nwe pay.\n",
        b"Hi,\nFrom me\nTo: you\n",
        b"Hi,\n\nFrom here:\n\nSubject: x\n",
        b"no empty line at the end",
        b"Hi,\n\n>From a@b.example Mon Jan  5 10:00:00 2026\nSubject: quoted\n",
        b"From " + b"long " * 300_000 + b"\nshort\n",
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        LINE,
        b"From - Mon Jan 05 10:00:00 2026\r\n",
        b"From 1850@xxx Thu Jan 01 00:00:00 +0000 2015\n",
        b"From ???@??? 2026-01-05 10:00\n",
    ],
)
def test_an_mbox_is_cut_where_a_message_begins(tmp_path, line, body):
    messages = [b"Subject: one\n\n" + body.removesuffix(b"\n") + b"\n", b"Received: x\n\nworld\n"]
    for start in (b"", b"\n", b"\xef\xbb\xbf"):
        path = write(tmp_path / "a.mbox", start + b"".join(line + m for m in messages))
        texts, rows, *_ = read(path)
        assert [text[: len(m)] for text, m in zip(texts, messages, strict=True)] == [
            m[: 1 << 20] for m in messages
        ]
        assert rows == [1, 2]


def test_the_time_of_a_mail_is_in_its_own_headers_and_in_utc_without_a_zone(tmp_path):
    mails = {
        "Date:\n Mon, 29 Oct 2018 18:12:29 +0000\n\n": 1540836749,
        "Date: Mon, 29 Oct 2018 18:12:29 -0000\n\n": 1540836749,
        "Subject: x\n\nDate: Mon, 29 Oct 2018 18:12:29 +0000\n": None,
        "Date: " + "1 " * 9999 + "\n\n": None,
    }
    for number, mail in enumerate(mails):
        write(tmp_path / f"{number}.eml", "From: a@b.example\n" + mail)
    events = read_dataset([tmp_path], get_task("email"))
    assert events.column("ts").tolist() == list(mails.values())


def test_mail_is_labeled_by_its_folder_where_that_is_a_class(tmp_path):
    for folder in ("spam", "inbox"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "a.eml", "Subject: a\n\nx")
    events = read_dataset([tmp_path], get_task("email"))
    assert sorted(events.labels.tolist()) == [-1, 1]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".mbox", ".parquet"])
def test_reading_goes_on_behind_any_cursor(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 64)
    monkeypatch.setattr("buckler.readers.csv.BLOCK_BYTES", 64)
    monkeypatch.setattr("buckler.readers.parquet.BATCH_ROWS", 7)
    monkeypatch.setattr("buckler.readers.mail.CHUNK_MESSAGES", 3)
    values = [f"text number {i}" for i in range(40)]
    path = tmp_path / f"a{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": values}), path, row_group_size=11)
    else:
        write(
            path,
            {
                ".txt": "\n".join(values),
                ".jsonl": "\n".join(json.dumps({"text": v}) for v in values),
                ".csv": "text\n" + "\n".join(values),
                ".mbox": "".join(f"From x\nSubject: {v}\n\nb\n\n" for v in values),
            }[suffix],
        )
    texts, rows, _, cursors = read(path)
    assert len(texts) == 40 and len(cursors) > 2
    for count, cursor in cursors:
        rest, rest_rows, *_ = read(path, cursor=cursor)
        assert rest == texts[count:]
        assert rest_rows == rows[count:]


def test_folders_are_searched_and_what_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "sub/a.csv", "c.bin"):
        write(tmp_path / name, "text\nx\n")
    assert [p.name for p in find_inputs([tmp_path])] == ["b.txt", "a.csv"]
    with pytest.raises(InputError, match="no such file"):
        find_inputs([tmp_path / "none"])
    with pytest.raises(InputError, match="no reader for this suffix"):
        get_reader(tmp_path / "c.bin")
    with pytest.raises(InputError, match="save the sheet as CSV"):
        get_reader(tmp_path / "c.xlsx")
    with pytest.raises(InputError, match="no file there"):
        (tmp_path / "empty").mkdir()
        find_inputs([tmp_path / "empty"])


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=400),
    st.sampled_from([".txt", ".jsonl", ".csv", ".mbox", ".eml", ".parquet"]),
)
def test_any_bytes_are_read_or_refused_and_never_crash(tmp_path, data, suffix):
    prefix = {".csv": b"url,label\n", ".jsonl": b'{"url": "a"}\n', ".mbox": b"From a\n"}
    path = write(tmp_path / f"fuzz{suffix}", prefix.get(suffix, b"") + data)
    try:
        read(path)
    except InputError as error:
        assert "fuzz" in str(error)


def test_columns_beside_the_text_that_are_not_utf8_are_read(tmp_path):
    labels = pa.array([b"b\xe1d", b"fine", None]).view(pa.string())
    shared = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), labels[:2])
    files = [
        write(tmp_path / "a.csv", b"url,label\na,b\xe1d\nb,fine\n"),
        *(tmp_path / f"{name}.parquet" for name in ("plain", "large", "shared")),
    ]
    for path, column in zip(
        files[1:], (labels, labels.cast(pa.large_string()), shared), strict=True
    ):
        pq.write_table(pa.table({"url": ["a", "b", "c"], "label": column}), path)
    for path in files:
        with Quarantine(tmp_path / "bad.jsonl") as quarantine:
            chunk = next(get_reader(path).chunks(path, WANTED, quarantine))
        assert chunk.columns["label"].to_pylist()[:2] == ["b\ufffdd", "fine"]
