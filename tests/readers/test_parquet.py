"""Parquet: a file that breaks the decoder is refused, and reading goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from buckler.errors import InputError
from buckler.readers import ColumnSpec, Quarantine, read_batches
from buckler.readers import parquet as parquet_reader

URLS = [f"http://a{i}.example/" for i in range(40)]


def read(path: Path) -> list[str]:
    with Quarantine(path.parent / "bad.jsonl") as quarantine:
        batches = list(read_batches([path], ColumnSpec(("url",)), quarantine))
    return [text.as_py().decode() for batch in batches for text in batch.chunk.events]


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"url": URLS}), path, row_group_size=10)
    return path


@pytest.fixture
def decoder(sound, monkeypatch):
    """The only decoder that is idle."""
    monkeypatch.setattr(parquet_reader, "_idle", [])
    read(sound)
    yield parquet_reader._idle[0][1]
    for _, each in parquet_reader._idle:
        each.close()


def test_a_file_that_breaks_the_decoder_costs_that_file_alone(sound, decoder, monkeypatch):
    monkeypatch.setattr(parquet_reader, "BATCH_ROWS", 100)
    large = sound.parent / "large.parquet"  # more than a pipe holds
    pq.write_table(
        pa.table({"url": [f"http://a.example/{'x' * 2000}{i}" for i in range(2000)]}), large
    )
    chunks = parquet_reader.ParquetReader().chunks(
        large, ColumnSpec(("url",)), Quarantine(sound.parent / "bad.jsonl")
    )
    next(chunks)
    os.kill(decoder._process.pid, signal.SIGSEGV)
    with pytest.raises(InputError, match=r"large\.parquet: .* breaks the decoder \(SIGSEGV\)"):
        list(chunks)
    assert read(sound) == URLS


def test_a_footer_with_any_byte_changed_is_read_or_refused(sound):
    data = sound.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in range(footer, len(data), 17):
        for change in (0x10, 0xFF):
            changed = bytearray(data)
            changed[at] ^= change
            sound.write_bytes(changed)
            try:
                assert len(read(sound)) <= 1000
            except InputError as error:
                assert "a.parquet" in str(error)
    sound.write_bytes(data)
    assert read(sound) == URLS


def test_one_process_decodes_many_files_wherever_they_are_read_from(sound, decoder, monkeypatch):
    monkeypatch.chdir(sound.parent)
    assert read(Path("a.parquet")) == URLS
    with pytest.raises(InputError, match="nothing"):
        read(Path("nothing.parquet"))
    Path("text.parquet").write_text("text")
    with pytest.raises(InputError, match="text"):
        read(Path("text.parquet"))
    assert [each for _, each in parquet_reader._idle] == [decoder]


def test_of_two_columns_with_one_name_the_first_is_read(sound):
    columns = [pa.array(URLS), pa.array(["other"] * len(URLS))]
    pq.write_table(pa.Table.from_arrays(columns, ["url", "url"]), sound)
    assert read(sound) == URLS


@pytest.mark.parametrize("kept_rows", [0, 10, 20])
def test_a_file_that_is_written_again_while_it_is_read_is_no_shorter_file(
    sound, decoder, monkeypatch, kept_rows
):
    describe = parquet_reader._Decoder.describe

    def describe_and_change(self, path):
        found = describe(self, path)
        pq.write_table(pa.table({"url": URLS[:kept_rows]}), path, row_group_size=10)
        return found

    monkeypatch.setattr(parquet_reader._Decoder, "describe", describe_and_change)
    with pytest.raises(InputError, match=f"{kept_rows} rows where its footer names 40"):
        read(sound)


def test_a_column_whose_name_is_not_utf8_is_named_as_the_fault(sound):
    pq.write_table(pa.table({"url": URLS, "xyzzy": URLS}), sound, store_schema=False)
    sound.write_bytes(sound.read_bytes().replace(b"xyzzy", b"xy\xffzy"))
    with pytest.raises(InputError, match="the name of a column is not UTF-8"):
        read(sound)


def test_a_few_bytes_that_unpack_to_gigabytes_are_refused(tmp_path, decoder):
    text = pa.array(["http://a.example/" + "a" * 30_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 65_536, pa.int32()), text)
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"url": column}), path, compression="zstd")
    with pytest.raises(InputError, match="times the file"):
        read(path)


def test_a_limit_on_cpu_time_refuses_no_file(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["http://a.example/"]}), path)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (50, 50))\n"
        "from pathlib import Path\n"
        "from buckler.readers import ColumnSpec, Quarantine, read_batches\n"
        "spec = ColumnSpec(('text',))\n"
        "print(len(list(read_batches([Path(sys.argv[1])], spec, Quarantine()))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n", done.stderr
