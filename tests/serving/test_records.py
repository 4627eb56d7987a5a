"""Records as text: written from columns, they say what the objects of `to_records` say."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.serving.bundles import load_bundle
from buckler.serving.json_rows import as_json, write_objects
from buckler.serving.records import to_records, write_records
from buckler.serving.verdict_batch import OutputOptions, score_values

PLAIN = OutputOptions(format_name="plain")
OPTIONS = [
    OutputOptions(),
    OutputOptions(with_probabilities=True),
    PLAIN,
    replace(PLAIN, with_text=True),
    replace(PLAIN, with_probabilities=True, keep=("n",)),
    replace(PLAIN, explain=2),
    OutputOptions(format_name="ecs"),
]


@pytest.fixture(scope="module")
def loaded(url_scorer):
    return load_bundle(url_scorer)


@pytest.fixture(scope="module")
def events(good_urls):
    some = [{"url": url, "n": number} for number, url in enumerate(good_urls[:100])]
    some[7], some[50], some[99] = {"url": 'a"\\\n\x1f é😀\x1f'}, {"n": 1}, "\ud800"
    return some


def without_time(records):
    return [{**record, "time": None, "@timestamp": None, "event": None} for record in records]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    "rows", [None, [], [3], [50], [*range(99, 1, -2)], [*range(0, 100, 2)] * 2]
)
def test_texts_say_what_objects_say(loaded, events, options, rows):
    verdicts = score_values(events, loaded, options)
    assert sorted(verdicts.errors) == [50, 99]
    given = {"rows": rows, "sources": [f'topic/{n}/é"' for n in range(100)]}
    texts = write_records(verdicts, loaded.scorer, options, **given)
    records = to_records(verdicts, loaded.scorer, options, **given)
    assert without_time(map(json.loads, texts)) == without_time(records)
    assert [list(json.loads(text)) for text in texts] == [list(record) for record in records]


@given(st.lists(st.none() | st.floats() | st.floats(width=32), min_size=1))
def test_numbers_are_those_of_python(numbers):
    found = [json.loads(text) for text in as_json(pa.array(numbers, pa.float64())).to_pylist()]
    expected = [n if n is not None and np.isfinite(n) else None for n in numbers]
    assert found == expected
    assert {type(n) for n in found} <= {float, type(None)}


@given(
    st.lists(
        st.tuples(st.none() | st.text(), st.booleans(), st.none() | st.integers(-9, 9)), min_size=1
    ),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_objects_are_those_of_python(rows, name):
    texts, flags, numbers = zip(*rows, strict=True)
    columns = {
        name: pa.array(texts, pa.string()),
        "flag": pa.array(flags),
        "n": pa.array(numbers, pa.int8()),
    }
    members = [*((key, as_json(column)) for key, column in columns.items()), ("all", '"x"')]
    written = write_objects(members, end="\n").to_pylist()
    assert all(text.endswith("}\n") for text in written)
    assert [json.loads(text, object_pairs_hook=list) for text in written] == [
        [(name, text), ("flag", flag), ("n", number), ("all", "x")] for text, flag, number in rows
    ]
