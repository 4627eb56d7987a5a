import json

import pytest

from buckler.errors import InputError
from buckler.readers import ColumnSpec, Position, Quarantine, batches, find_inputs, read_batches

SPEC = ColumnSpec(("url", "text"), {"label": ("label",)})


def mails(folder, n):
    for number in range(n):
        (folder / f"{number:03}.eml").write_text(f"Subject: mail {number}\n\nbody\n")
    return find_inputs([folder])


def rows_of(found):
    return [
        (batch.paths[code].name, int(row), text)
        for batch in found
        for code, row, text in zip(
            batch.path_codes, batch.chunk.rows, batch.chunk.events.to_pylist(), strict=True
        )
    ]


def test_forty_mails_are_one_batch(tmp_path):
    paths = mails(tmp_path, 40)
    (batch,) = read_batches(paths, SPEC, Quarantine())
    assert batch.paths == tuple(paths)
    assert batch.path_codes.tolist() == list(range(40))
    assert batch.chunk.size_bytes == sum(path.stat().st_size for path in paths)
    assert rows_of([batch]) == [(p.name, 1, p.read_bytes()) for p in paths]


def test_reading_resumes_behind_any_batch_with_the_same_rows_and_the_same_quarantine(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(batches, "BATCH_ROWS", 7)
    (tmp_path / "in").mkdir()
    for number in range(30):
        lines = [json.dumps({"url": f"http://{number}-{i}.example/"}) for i in range(number % 4)]
        path = tmp_path / "in" / f"{number:03}.jsonl"
        path.write_text("\n".join([*lines, "broken", '{"url": "x", "label": "y"}'][: 1 + number]))
    (tmp_path / "in" / "010.parquet").write_bytes(b"no such thing")
    paths = find_inputs([tmp_path / "in"])
    log = tmp_path / "bad.jsonl"
    with Quarantine(log) as quarantine:
        whole = list(read_batches(paths, SPEC, quarantine, skip_unreadable=True))
    assert len(whole) > 5
    text, reasons = log.read_text(), quarantine.reasons
    for number, stop in enumerate(whole):
        with log.open("r+b") as file:
            file.truncate(stop.mark.size_bytes)
        with Quarantine(log, resume=True) as rest:
            rest.reasons.update(stop.mark.reasons)
            found = list(read_batches(paths, SPEC, rest, start=stop.position, skip_unreadable=True))
        assert rows_of(found) == rows_of(whole[number + 1 :])
        assert log.read_text() == text
        assert rest.reasons == reasons


def test_what_stands_before_an_unreadable_file_comes_first(tmp_path):
    paths = mails(tmp_path, 3)
    (tmp_path / "z.parquet").write_bytes(b"no such thing")
    found = read_batches([*paths, tmp_path / "z.parquet"], SPEC, Quarantine())
    batch = next(found)
    assert (len(batch.paths), batch.position) == (3, Position(2, 1))
    with pytest.raises(InputError, match=r"z\.parquet"):
        next(found)
