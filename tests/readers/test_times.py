"""Times: right or unknown, the same from every reader, whatever the unit and the type."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.readers.times import column_seconds, seconds_of
from buckler.tasks import get_task

MOMENT = datetime(2026, 1, 5, 10, 0, 7, tzinfo=UTC)
S = int(MOMENT.timestamp())
DAY = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
NUMBERS = {
    S: S,
    S * 10**3 + 999: S,
    S * 10**6 + 999_999: S,
    S * 10**9: S,
    (S + 11_644_473_600) * 10**7: S,  # FILETIME
    (S + 11_644_473_600) * 10**6: S,  # Chrome
    20260105: DAY,
    202601051000: S - 7,
    20260105100007: S,
    20260105100007123: S,
    20261305: 20261305,  # no month 13: seconds
    0: None,
    -1: None,
    -(2**63): None,
    2**63 - 1: None,
    (S + 62_135_596_800) * 10**7: S,  # ticks of .NET
    253402300799: None,  # the year 9999, in seconds
    253402300799999: None,
    253402300799999999: None,
}
TEXTS = {
    "2026-01-05T10:00:07Z": S,
    "2026-01-05 10:00:07.1234567 UTC": S,
    "2026-01-05T12:00:07+0200": S,
    "2026-01-05": DAY,
    "20260105T100007": S,
    "1601-01-01T00:00:00Z": None,
    "0001-01-01T00:00:00": None,
    "9999-12-31T23:59:59Z": None,
    "1e25": None,
    "nan": None,
    "-inf": None,
    "1_767_607_207": None,
    "\u0661\u0667": None,
    "soon": None,
    "": None,
    "9" * 5000: None,
}


@pytest.mark.parametrize(("value", "seconds"), [*NUMBERS.items(), *TEXTS.items()])
def test_a_value_is_right_or_unknown(value, seconds):
    assert seconds_of(value) == seconds
    assert seconds_of(str(value)) == seconds


@pytest.mark.parametrize(
    "value",
    [None, True, [S], {"$date": S}, float("nan"), float("inf"), 10**400, 1e300, object()],
)
def test_all_else_is_unknown(value):
    assert seconds_of(value) is None


@pytest.mark.parametrize(
    ("values", "kind", "seconds"),
    [
        ([MOMENT], pa.timestamp("s"), S),
        ([MOMENT], pa.timestamp("ns", "Asia/Tokyo"), S),
        ([MOMENT], pa.timestamp("us", "UTC"), S),
        ([S * 1000], pa.timestamp("s"), S),  # milliseconds, declared as seconds
        ([date(2026, 1, 5)], pa.date32(), DAY),
        ([date(2026, 1, 5)], pa.date64(), DAY),
        (["2026-01-05T10:00:07Z"], pa.string_view(), S),
        (["2026-01-05T10:00:07Z"], pa.large_string(), S),
        ([b"2026-01-05T10:00:07Z"], pa.binary(), S),
        ([S * 1000], pa.uint64(), S),
        ([S], pa.decimal128(20, 3), S),
        ([float(S)], pa.float32(), S // 128 * 128),
        ([1.5], pa.float64(), 1),
        ([float("nan")], pa.float64(), None),
        ([1e25], pa.float64(), None),
        ([-(2**63) + 1], pa.timestamp("ns"), None),
        ([9 * 10**18], pa.timestamp("s"), None),
        ([5], pa.duration("s"), None),
        ([5], pa.time32("s"), None),
        ([[S]], pa.list_(pa.int64()), None),
        ([True], pa.bool_(), None),
        ([None], pa.null(), None),
    ],
)
def test_a_column_of_any_type(values, kind, seconds):
    column = pa.array([*values, None], kind)
    for form in (column, pa.chunked_array([column[:1], column[1:]])):
        assert column_seconds(form).to_pylist() == [seconds, None]
    if not pa.types.is_nested(kind) and kind not in (pa.null(), pa.string_view()):
        assert column_seconds(column.dictionary_encode()).to_pylist() == [seconds, None]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.none() | st.integers() | st.floats() | st.text(max_size=30) | st.datetimes() | st.dates()
    )
)
def test_no_value_breaks_a_column_or_leaves_the_years_of_events(values):
    for value in values:
        seconds = seconds_of(value)
        assert seconds is None or 1970 <= datetime.fromtimestamp(seconds, UTC).year < 2200


def test_every_reader_gives_the_same_times(tmp_path):
    values = [v for v in NUMBERS if -(2**62) < v < 2**62]
    expected = [NUMBERS[v] for v in values]
    urls = [f"http://s{i}.example/" for i in range(len(values))]
    pq.write_table(pa.table({"url": urls, "ts": values}), tmp_path / "numbers.parquet")
    pq.write_table(pa.table({"url": urls, "ts": [str(v) for v in values]}), tmp_path / "t.parquet")
    rows = [{"url": url, "ts": value} for url, value in zip(urls, values, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "a.csv").write_text("url,ts\n" + "".join(f"{r['url']},{r['ts']}\n" for r in rows))
    for name in ("numbers.parquet", "t.parquet", "a.jsonl", "a.csv"):
        events = read_dataset([tmp_path / name], get_task("url-threat"))
        assert events.table.column("ts").to_pylist() == expected, name
        assert np.isnan(events.times).tolist() == [value is None for value in expected]


def test_alerts_at_impossible_times_are_set_aside(tmp_path):
    rows = [
        {"timestamp": stamp, "rule": {"level": 3, "description": "login"}, "agent": {"name": "a"}}
        for stamp in ("2026-01-05T10:00:07.000+0000", 10**26, "9999-12-31T23:59:59Z", S * 10**9)
    ]
    path = tmp_path / "alerts.json"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_dataset([path], get_task("alert-triage")).table.column("ts").to_pylist() == [S]


def test_labels_of_a_strange_type_are_an_error_that_names_them(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"url": ["http://a.example/"], "label": [["benign"]]}), path)
    with pytest.raises(InputError, match="label") as raised:
        read_dataset([path], get_task("url-threat"))
    assert (raised.value.path, raised.value.row) == (path, 1)


@pytest.mark.parametrize(
    "texts",
    [
        ["1626883014", None, "2e9", "20260105"],
        ["2021-07-21T15:56:54.25Z", None, "2021-07-21 17:56:54+02:00"],
        ["2021-07-21T15:56:54", "2021-07-21", "1969-12-31"],
        ["2021-07-21T15:56:54", "2021-07-21T15:56:54Z", "no time", " 7"],
    ],
)
def test_a_column_of_one_form_is_read_as_each_of_its_values(texts):
    assert column_seconds(pa.array(texts)).to_pylist() == [seconds_of(text) for text in texts]
