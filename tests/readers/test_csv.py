"""CSV: every line of a file is a row, or is set aside and counted; none is swallowed."""

import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from buckler.errors import InputError
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec, get_reader

SPEC = ColumnSpec(("url",), {"label": ("label",)})


def read(path, spec=SPEC, cursor=0):
    quarantine, texts, rows = Quarantine(), [], []
    for chunk in get_reader(path).chunks(path, spec, quarantine, cursor):
        texts += [text.decode("utf-8", "replace") for text in chunk.events.to_pylist()]
        rows += chunk.rows.tolist()
    return texts, rows, quarantine


def write(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def numbered(n, tail=""):
    return [f"http://s{i}.example/{tail}" for i in range(n)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("bad", ['"http://s3.example/', '"', '""http://s3.example/"', 'x,"'])
def test_a_quote_left_open_costs_one_row(tmp_path, suffix, bad):
    lines = numbered(1000)
    lines[3] = bad if suffix == ".csv" else bad.replace(",", "\t")
    texts, rows, quarantine = read(write(tmp_path / f"a{suffix}", "\n".join(["url", *lines])))
    assert len(texts) + quarantine.count == 1000
    assert len(texts) >= 999
    assert rows[-1] == 1001
    assert texts[-1] == lines[-1]


@pytest.mark.parametrize("place", [0, 1])
def test_quotes_left_open_among_columns(tmp_path, place):
    rows = [[url, "benign"] for url in numbered(500)]
    for i in (7, 200, 201, 499):
        rows[i][place] = '"' + rows[i][place]
    rows[300][0] += '"'  # closes what row 201 has opened
    path = write(tmp_path / "a.csv", "\n".join(["url,label", *map(",".join, rows)]))
    texts, _, quarantine = read(path)
    assert quarantine.reasons == {"a quote that does not close": 4}
    assert texts == [url for i, (url, _) in enumerate(rows) if i not in (7, 200, 201, 499)]


def test_quotes_inside_a_text_are_part_of_it(tmp_path):
    lines = ['"C:\\a b.exe" -x,benign', 'echo "hi",benign', '"say ""hi""",benign', '"" ,benign']
    path = write(tmp_path / "a.csv", "\n".join(["url,label", *lines]))
    texts, _, quarantine = read(path)
    assert texts == ['"C:\\a b.exe" -x', 'echo "hi"', 'say "hi"']
    assert quarantine.reasons == {"empty text": 1}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("block", [5, 16, 1 << 22])
def test_ends_of_lines_marks_and_blocks_change_nothing(tmp_path, end, mark, block, monkeypatch):
    monkeypatch.setattr("buckler.readers.csv.BLOCK_BYTES", block)
    lines = ["url,label", "a,benign", '"b,b","x"', "", f'"c{end}c",y', "d,z"]
    path = write(tmp_path / "a.csv", mark + end.join(lines) + end)
    assert read(path)[:2] == (["a", "b,b", f"c{end}c", "d"], [2, 3, 4, 5])


def test_columns_behind_the_last_must_be_empty(tmp_path):
    path = write(tmp_path / "a.csv", "url,label,\na,b,\nc,d\ne,f,,\ng,h,i\nj\n")
    texts, rows, quarantine = read(path)
    assert (texts, rows) == (["a", "c", "e"], [2, 3, 4])
    assert quarantine.reasons == {
        "too many columns: 3 of 2": 1,
        "too few columns: 1 of 2": 1,
    }


def test_nul_bytes_and_bytes_of_no_text_stay_in_their_row(tmp_path):
    data = b"url,label\na\0b,x\n\0,y\nc\xff,z\nd,\xff\n" + b"e,x\n" * 20
    texts, _, quarantine = read(write(tmp_path / "a.csv", data))
    assert texts == ["a\0b", "\0", "d", *["e"] * 20]
    assert quarantine.reasons == {"not UTF-8": 1}


def test_a_long_row_is_set_aside_and_the_next_is_read(tmp_path):
    data = b"url\na\n" + b"x" * 40_000_000 + b"\nb\n"
    texts, rows, quarantine = read(write(tmp_path / "a.csv.gz", gzip.compress(data, 1)))
    assert (texts, rows) == (["a", "b"], [2, 4])
    assert quarantine.reasons == {"row longer than 16 MiB": 1}


def test_a_header_with_an_open_quote_is_an_error(tmp_path):
    with pytest.raises(InputError, match="quote that does not close in its first line"):
        read(write(tmp_path / "a.csv", 'url,"label\na,b\n'))


CELLS = st.text(st.sampled_from('ab",\n\r \t'), max_size=8)
FUZZ = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(st.lists(st.tuples(CELLS.filter(len), CELLS), min_size=1, max_size=9), st.integers(1, 40))
@example([("\r,\r", "\r,\r,\r")], 1)  # each line looks like a row
def test_what_a_writer_quotes_is_read_back(tmp_path, cells, block):
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    writer.writerows([("url", "label"), *cells])
    path = write(tmp_path / "a.csv", target.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("buckler.readers.csv.BLOCK_BYTES", block)
        texts, rows, quarantine = read(path)
    assert texts == [text for text, _ in cells]
    assert (rows, quarantine.count) == (list(range(2, len(cells) + 2)), 0)


@FUZZ
@given(
    st.lists(st.text(st.sampled_from("ab,\t "), min_size=1, max_size=8), min_size=1, max_size=12),
    st.integers(0, 200),
    st.integers(1, 40),
)
def test_one_stray_quote_anywhere_swallows_no_line(tmp_path, lines, place, block):
    text = "\n".join(lines)
    place %= len(text)
    text = text[:place] + '"' + text[place:]
    path = write(tmp_path / "a.csv", "url,label\n" + text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("buckler.readers.csv.BLOCK_BYTES", block)
        _, rows, quarantine = read(path)
        _, rest, _ = read(path, cursor=rows[len(rows) // 2] if rows else 0)
    assert len(rows) + quarantine.count == len(lines)
    assert set(rest) <= set(rows)


@FUZZ
@given(st.text(st.sampled_from('ab",\n\r\t '), max_size=60))
def test_arrow_and_the_closer_look_give_the_same_rows(tmp_path, text):
    path = write(tmp_path / "a.csv", "url,label\n" + text)
    found = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("buckler.readers.csv._Cutter._cut_fast", lambda *_: None)
        expected = read(path)
    assert found[:2] == expected[:2]
    assert found[2].reasons == expected[2].reasons


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [5, 1 << 22])
@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        (["sep=;", "url;label"], ";"),
        (["SEP=,", "", "url,label"], ","),
        (["# a list", "#", "# id of nothing", "url,label"], ","),
        (["#####", "# of today", "# url,label"], ","),
        (['#"url";"label"'], ";"),
        (["# url", "URL,label"], ","),
    ],
)
def test_what_stands_before_the_header_is_no_row(
    tmp_path, head, delimiter, end, block, monkeypatch
):
    monkeypatch.setattr("buckler.readers.csv.BLOCK_BYTES", block)
    lines = [*head, *(f"{text}{delimiter}benign" for text in ["a", "#b"])]
    texts, rows, quarantine = read(write(tmp_path / "a.csv", end.join(lines) + end))
    assert (texts, rows, quarantine.count) == (["a", "#b"], [2, 3], 0)


def test_a_column_of_numbers_may_be_named_by_a_sign(tmp_path):
    assert read(write(tmp_path / "a.csv", "#,url\n1,a\n"))[0] == ["a"]
    with pytest.raises(InputError, match="the file is empty"):
        read(write(tmp_path / "b.csv", "# nothing\n"))
