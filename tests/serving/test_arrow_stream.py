"""Arrow streams of strangers: bounded, and no view of a null is followed."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.errors import InputError, TooLargeError
from buckler.readers import ColumnSpec, Quarantine, read_batches
from buckler.readers.chunks import decoded_lengths
from buckler.serving.arrow_stream import read_arrow_stream
from buckler.serving.bundles import load_bundle
from buckler.serving.verdict_batch import OutputOptions, score_arrow_stream
from tests.serving import fuzz_arrow
from tests.support.made_up import made_up_table

_SPEC = ColumnSpec(("url",))


def stream_of(batch, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def batch_of(column):
    return pa.RecordBatch.from_arrays([column], ["url"])


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_a_stream_of_ordinary_size_is_read(url_bundle, compression):
    column = pa.array([f"http://a{i}.example/" for i in range(500)])
    views = column.cast(pa.string_view())
    forms = (column, column.dictionary_encode(), views, views.dictionary_encode())
    for each in forms:
        (found,) = score_arrow_stream(
            stream_of(batch_of(each), compression), load_bundle(url_bundle), OutputOptions()
        )
        assert found.rows.tolist() == list(range(500))
        (batch,) = read_arrow_stream(stream_of(batch_of(each), compression))
        assert batch.column(0).to_pylist() == column.to_pylist()


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_stream_that_unpacks_to_too_much_is_refused_unread(compression):
    zeros = pa.py_buffer(bytes(300 << 20))
    offsets = pa.py_buffer(np.array([0, 300 << 20], np.int64))
    texts = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, zeros])
    numbers = pa.array(np.zeros(300 << 17), pa.float64())
    for batch in (batch_of(texts), batch_of(numbers), batch_of(texts.dictionary_encode())):
        body = stream_of(batch, compression)
        assert len(body) < 2 << 20
        before = pa.total_allocated_bytes()
        with pytest.raises(TooLargeError, match="unpacks to"):
            read_arrow_stream(body)
        assert pa.total_allocated_bytes() - before < 8 << 20


def test_one_value_may_not_stand_for_gigabytes(url_bundle):
    value = pa.array(["http://a.example/" + "a" * 1_000_000])
    shared = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5000, np.int32)), value)
    _, one, data = value.cast(pa.string_view()).buffers()
    many = pa.py_buffer(bytes(one) * 5000)
    views = pa.Array.from_buffers(pa.string_view(), 5000, [None, many, data])
    for column in (shared, views):
        with pytest.raises(TooLargeError, match="5,000 rows unpack to"):
            score_arrow_stream(
                stream_of(batch_of(column), "zstd"), load_bundle(url_bundle), OutputOptions()
            )


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_views_of_nulls_are_never_followed(url_bundle, kind):
    column = pa.array(["http://a.example/", None, "http://b.example/" + "b" * 40], kind)
    validity, views, *data = column.buffers()
    hostile = np.frombuffer(views, np.int32).copy().reshape(-1, 4)
    for length in (-(1 << 30), 1 << 30):
        hostile[1] = length, 0, 77, 1 << 30
        parts = [validity, pa.py_buffer(hostile), *data]
        forged = pa.Array.from_buffers(kind, 3, parts, null_count=1)
        batch = pa.RecordBatch.from_arrays([forged, forged], ["url", "parent_image"])
        if length < 0:
            with pytest.raises(InputError, match="negative length"):
                read_arrow_stream(stream_of(batch))
            continue
        (found,) = score_arrow_stream(stream_of(batch), load_bundle(url_bundle), OutputOptions())
        assert found.errors == {1: "no text"}
        assert found.rows.tolist() == [0, 2]


def test_bytes_behind_the_last_view_are_left_out():
    whole = pa.array(["x" * 30, None, "abc"]).cast(pa.string_view())
    validity, views, *data = whole.buffers()
    longer = pa.py_buffer(views.to_pybytes() + b"12345")
    column = pa.Array.from_buffers(whole.type, 3, [validity, longer, *data])
    assert decoded_lengths(column).tolist() == [30, 0, 3]


def test_of_two_columns_with_one_name_the_first_is_meant(url_bundle):
    texts = [pa.array([url]) for url in ("http://a.example/", "http://b.example/login")]
    twice = pa.RecordBatch.from_arrays(texts, ["url", "url"])
    bundle = load_bundle(url_bundle)
    (found,) = score_arrow_stream(stream_of(twice), bundle, OutputOptions())
    (alone,) = score_arrow_stream(stream_of(batch_of(texts[0])), bundle, OutputOptions())
    assert found.to_arrow()["score"] == alone.to_arrow()["score"]


def test_views_inside_other_columns_are_left_out(url_bundle):
    texts = pa.array(["http://a.example/", "http://b.example/"])
    views = pa.array([["a" * 20, None], ["b"]], pa.list_(pa.string_view()))
    pairs = pa.array([{"x": "a"}, {"x": None}], pa.struct([("x", pa.binary_view())]))
    plain = pa.array([["a"], ["b"]])
    batch = pa.RecordBatch.from_arrays([texts, views, pairs, plain], ["url", "v", "s", "p"])
    (read,) = read_arrow_stream(stream_of(batch))
    assert read.schema.names == ["url", "p"]
    (found,) = score_arrow_stream(stream_of(batch), load_bundle(url_bundle), OutputOptions())
    assert found.rows.tolist() == [0, 1]


def test_damaged_streams_end_in_an_answer_or_an_error_of_ours(url_bundle):
    bundle, rng = load_bundle(url_bundle), random.Random(3)
    streams = fuzz_arrow.seeds()
    for _ in range(150):
        fuzz_arrow.one_input(fuzz_arrow.damaged(rng.choice(streams), rng), bundle)


def test_bytes_that_are_no_stream_are_refused():
    sound = stream_of(batch_of(pa.array(["http://a.example/"] * 9)), "zstd")
    for cut in (0, 3, 9, 60, len(sound) // 2):
        with pytest.raises(InputError):
            read_arrow_stream(sound[:cut])
    rng = np.random.default_rng(5)
    for _ in range(300):
        damaged = bytearray(sound)
        for at in rng.integers(0, len(sound), 3):
            damaged[at] = rng.integers(256)
        try:
            read_arrow_stream(bytes(damaged))
        except InputError:
            continue


def test_parquet_that_unpacks_to_gigabytes_is_read_in_parts(tmp_path):
    value = "http://a.example/" + "a" * 100_000
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, np.int32)), pa.array([value]))
    # Beside other columns, a repeated text is no bomb.
    rng = np.random.default_rng(4)
    notes = pa.array([rng.bytes(16) for _ in range(4000)])
    for name, schema in (("strings", pa.string()), ("dictionary", column.type)):
        path = tmp_path / f"{name}.parquet"
        table = pa.table({"url": column.cast(schema), "note": notes})
        pq.write_table(table, path, compression="zstd")
        assert path.stat().st_size < 100_000
        rows, largest = [], 0
        for batch in read_batches([path], _SPEC, Quarantine()):
            rows += batch.chunk.rows.tolist()
            largest = max(largest, batch.chunk.events.nbytes)
        assert rows == list(range(1, 4001))
        assert largest < 40 << 20


def test_columns_of_dictionaries_resume_where_they_stopped(tmp_path):
    urls = made_up_table(300, np.random.default_rng(2))["url"].to_pylist()
    table = pa.table({"url": pa.array(urls).dictionary_encode(), "n": range(300)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=70)
    (batch,) = read_batches([tmp_path / "rows.parquet"], _SPEC, Quarantine())
    assert [text.decode() for text in batch.chunk.events.to_pylist()] == urls
