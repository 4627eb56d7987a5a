"""Tables as people have them: names in any case, any delimiter, arrays, labels in other words."""

import json

import pytest

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import InputError
from buckler.readers.event_fields import TIMES
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec, get_reader
from buckler.tasks import get_task

URLS = get_task("url-threat")
ROWS = [("http://a.example/x,1", "benign"), ("http://b.example/?q=a;b", "phishing")]


def texts(path, **options):
    events = read_dataset([path], URLS, **options)
    return [text.decode() for text in events.raw_texts], events.labels.tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter_and_case_does_not_matter(tmp_path, delimiter):
    path = tmp_path / "a.csv"
    lines = [delimiter.join(f'"{cell}"' for cell in row) for row in ROWS]
    path.write_text(
        "\n".join(
            [f"Note{delimiter}URL{delimiter}Label", *(f"x{delimiter}{each}" for each in lines)]
        )
    )
    assert texts(path) == ([row[0] for row in ROWS], [0, 1])


def test_a_comma_in_the_header_stays_the_delimiter(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("url,label;note|more\nhttp://a.example/,x\n")
    assert texts(path)[0] == ["http://a.example/"]


def test_spaces_around_names_of_columns_and_labels_do_not_matter(tmp_path):
    (tmp_path / "a.csv").write_text("url , label\nhttp://a.example/, phishing\n")
    assert texts(tmp_path / "a.csv") == (["http://a.example/"], [1])


@pytest.mark.parametrize("name", TIMES)
def test_every_name_of_a_time_is_read(tmp_path, name):
    value = "2026-01-05T10:00:00Z"
    for part in reversed(name.split(".")):
        value = {part: value}
    (tmp_path / "a.jsonl").write_text(json.dumps({"url": "http://a.example/", **value}))
    assert read_dataset([tmp_path / "a.jsonl"], URLS).table["ts"].to_pylist() == [1767607200]


def test_an_exact_name_goes_before_one_in_other_case(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"URL": "http://upper.example/", "url": "http://lower.example/"}\n')
    assert texts(path)[0] == ["http://lower.example/"]
    path.write_text('{"URL": "http://upper.example/", "LABEL": "phishing"}\n')
    assert texts(path) == (["http://upper.example/"], [1])


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("head", ["", "\ufeff \n"])
def test_an_array_of_objects_is_read_like_lines(tmp_path, indent, head, monkeypatch):
    monkeypatch.setattr("buckler.readers.json_array.BLOCK_BYTES", 64)
    monkeypatch.setattr("buckler.readers.json_array._CHUNK_OBJECTS", 3)
    found = [{"url": f"http://h{n}.example/ä{'x' * n}", "label": "benign"} for n in range(20)]
    path = tmp_path / "a.json"
    path.write_text(head + json.dumps([*found, 7, {"note": "no url"}], indent=indent))
    spec = ColumnSpec(("url",), {"label": ("label",)})
    for cursor in (0, 3, 20):
        with Quarantine(tmp_path / "q") as quarantine:
            chunks = list(get_reader(path).chunks(path, spec, quarantine, cursor))
        rows = [row for chunk in chunks for row in chunk.rows.tolist()]
        assert rows == list(range(cursor + 1, 21))
        assert quarantine.count == 2
    assert texts(path)[0] == [each["url"] for each in found]


@pytest.mark.parametrize("rest", ['{"url": "http://b.exa', "nonsense]", "[" * 100_000])
def test_a_broken_array_keeps_what_stands_before_the_break(tmp_path, rest):
    path = tmp_path / "a.json"
    path.write_text('[{"url": "http://a.example/"}, ' + rest)
    with Quarantine(tmp_path / "q") as quarantine:
        events = read_dataset([path], URLS, quarantine=quarantine)
    assert [bytes(text) for text in events.raw_texts] == [b"http://a.example/"]
    assert quarantine.count == 1


def test_an_array_without_the_text_is_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"note": "x"}]')
    with pytest.raises(InputError, match="no column named"):
        read_dataset([path], URLS)


@pytest.mark.parametrize("values", [("1", "0"), ("true", "False"), ("Yes", "no"), ("1.0", "0.0")])
def test_labels_in_other_words_are_mapped(tmp_path, values):
    path = tmp_path / "a.csv"
    path.write_text("url,label\n" + "".join(f"http://{v}.example/,{v}\n" for v in values))
    yes, no = (value.lower().removesuffix(".0") for value in values)
    columns = ColumnNames(label_map={yes: "phishing", no: "benign"})
    assert texts(path, columns=columns)[1] == [1, 0]


def test_an_unknown_label_is_answered_with_the_map_that_it_needs(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("url,label\nhttp://a.example/,1\nhttp://b.example/,0\n")
    with pytest.raises(InputError, match=r"\(0, 1\) to classes, such as 0=benign,1=phishing"):
        read_dataset([path], URLS)
    path.write_text("url,label\nhttp://a.example/,phising\n")
    with pytest.raises(InputError, match="did you mean 'phishing'"):
        read_dataset([path], URLS)
    with pytest.raises(InputError, match="did you mean 'benign'"):
        read_dataset([path], URLS, ColumnNames(label_map={"1": "bening"}))


def test_a_map_that_is_offered_never_guesses_without_a_reason(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("url,label\nhttp://a.example/,phish!\nhttp://b.example/,Bad\n")
    with pytest.raises(InputError, match="such as Bad=CLASS,phish!=phishing, or set"):
        texts(path)
