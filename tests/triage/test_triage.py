"""Alerts joined to incidents, their features, and the order in which to read them."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import InputError
from buckler.readers.quarantine import Quarantine
from buckler.readers.times import seconds_of
from buckler.tasks import get_task
from buckler.triage.incidents import Alerts, join_alerts
from buckler.triage.reading_order import measure_order, spread_rules
from buckler.triage.severity import read_severities, severity_by_rule
from tests.support.cli import buckler

TASK = get_task("alert-triage")


def alerts(*rows: tuple[int, str, str, str], labels: list[str] | None = None) -> Alerts:
    n = len(rows)
    columns = [np.array([r[i] for r in rows], object) for i in range(4)]
    return Alerts(
        columns[0].astype(np.int64),
        columns[1],
        columns[2],
        columns[3],
        np.array(["t"] * n, object),
        np.full(n, np.nan),
        np.array(labels or [None] * n, object),
        np.arange(1, n + 1),
    )


def test_alerts_of_one_rule_host_and_address_are_one_incident_until_a_pause():
    found = join_alerts(
        alerts((0, "a", "h", "i"), (60, "a", "h", "i"), (61, "a", "h", "j"), (700, "a", "h", "i")),
        frozenset(),
    )
    assert found.alerts.tolist() == [2, 1, 1]
    assert found.first.tolist() == [0, 61, 700]
    assert found.last.tolist() == [60, 61, 700]


def test_an_incident_ends_after_an_hour():
    rows = [(t, "a", "h", "i") for t in range(0, 7200, 300)]
    assert join_alerts(alerts(*rows), frozenset()).alerts.tolist() == [13, 11]


def test_features_look_back_only():
    rows = [(0, "a", "h", "i"), (10, "b", "h", "i"), (20, "c", "g", "i"), (5000, "a", "h", "k")]
    whole = join_alerts(alerts(*rows), frozenset())
    for n in range(1, len(rows)):
        part = join_alerts(alerts(*rows[:n]), frozenset())
        for name, column in part.features.items():
            assert np.array_equal(
                column.astype(str), whole.features[name][: len(part)].astype(str)
            ), name
    assert whole.features["rule_is_new"].tolist() == [1, 1, 1, 0]
    assert whole.features["address_is_new"].tolist() == [1, 0, 0, 1]
    assert whole.features["host_rules_hour"].tolist() == [0, 1, 0, 0]
    assert whole.features["address_hosts_hour"].tolist() == [0, 1, 1, 0]
    assert whole.features["rule_age_s"].tolist()[3] == 5000


def test_an_incident_is_an_attack_if_one_of_its_alerts_is():
    found = join_alerts(
        alerts(
            (0, "a", "h", "i"), (1, "a", "h", "i"), (2, "b", "h", "i"), labels=["-", "dirb", "-"]
        ),
        frozenset("-"),
    )
    assert found.label.tolist() == ["dirb", "-"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 20_000), *[st.sampled_from("abc")] * 3), min_size=1, max_size=60
    ).map(sorted)
)
def test_every_alert_is_in_one_incident(rows):
    found = join_alerts(alerts(*rows), frozenset())
    assert found.alerts.sum() == len(rows)
    assert (found.last >= found.first).all()
    assert (np.diff(found.last) >= 0).all()
    assert all(len(column) == len(found) for column in found.features.values())


def read(path, **options):
    quarantine = Quarantine()
    events = read_dataset(
        [path],
        TASK,
        ColumnNames(keep=("alert", "host", "address")),
        quarantine=quarantine,
        **options,
    )
    return events, quarantine


def test_suricata_and_wazuh_and_tables(tmp_path):
    eve = [
        {"timestamp": "2024-01-02T03:04:05.123456+0100", "event_type": "alert", "src_ip": "1.2.3.4",
         "dest_ip": "10.0.0.1", "alert": {"signature": "ET SCAN", "severity": 1}},
        {"timestamp": "2024-01-02T03:04:06.1+0100", "event_type": "dns", "src_ip": "1.2.3.4"},
    ]  # fmt: skip
    path = tmp_path / "eve.json"
    path.write_text("\n".join(map(json.dumps, eve)))
    events, quarantine = read(path)
    assert events.column("alert").tolist() == ["ET SCAN"]
    assert events.column("host").tolist() == ["10.0.0.1"]
    assert events.column("ts").tolist() == [1704161045]
    assert quarantine.passed_over.total() == 1
    assert events.features.values[0, TASK.numbers.index("level")] == 1
    wazuh = {"timestamp": "2024-01-02T03:04:05Z", "rule": {"description": "sudo", "level": 3},
             "agent": {"name": "web"}, "data": {"srcip": "9.9.9.9"}}  # fmt: skip
    path = tmp_path / "alerts.json"
    path.write_text(json.dumps(wazuh))
    events, _ = read(path)
    assert [events.column(c)[0] for c in ("alert", "host", "address")] == ["sudo", "web", "9.9.9.9"]
    path = tmp_path / "hayabusa.csv"
    path.write_text("Timestamp,RuleTitle,Level,Computer\n2024-01-02 03:04:05.000 +00:00,X,high,PC\n"
                    "never,Y,low,PC\n")  # fmt: skip
    events, quarantine = read(path, format_name="alerts")
    assert events.column("alert").tolist() == ["X"]
    assert dict(quarantine.reasons) == {"no time": 1}


WAZUH_ALERT = {"timestamp": "2026-01-05T10:00:00Z", "rule": {"level": 15, "description": "rootkit"}}


@pytest.mark.parametrize(
    ("alert", "name", "level"),
    [
        (WAZUH_ALERT, "rootkit", 1.0),
        ({"event_type": "alert", "alert": {"signature": "ET", "severity": 1}}, "ET", 1.0),
        ({"signature": "ET", "severity": 4, "sid": 1}, "ET", 0.0),
        ({"rule": {"name": "ECS", "description": "long"}, "event": {"severity": 73}}, "ECS", 0.73),
        ({"kibana.alert.rule.name": "K", "kibana.alert.risk_score": 21}, "K", 0.21),
        ({"finding_info": {"title": "OCSF"}, "severity_id": 4}, "OCSF", 0.75),
        ({"finding_info": {"title": "OCSF"}, "severity_id": 0}, "OCSF", None),
        ({"AlertName": "Sentinel", "AlertSeverity": "High"}, "Sentinel", 0.75),
        ({"properties": {"Title": "Defender", "Severity": "Low"}}, "Defender", 0.25),
        ({"rule": "Falco rule", "priority": "Warning"}, "Falco rule", 0.5),
        ({"RuleTitle": "H", "Level": "crit"}, "H", 1.0),
        ({"rule": {"description": "Wazuh", "level": 3}, "data": {"alert": {"severity": "1"}}},
         "Wazuh", 0.2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("file", ["events.json", "steve.jsonl", "alerts.json", "x.ndjson"])
def test_the_scale_of_a_severity_is_told_by_the_alert_not_by_the_file(
    tmp_path, alert, name, level, file
):
    path = tmp_path / file
    path.write_text(json.dumps({"timestamp": "2026-01-05T10:00:00Z", **alert}))
    events, _ = read(path, format_name="alerts")
    assert events.column("alert").tolist() == [name]
    found = events.inputs.values[0, TASK.numbers.index("level")]
    assert np.isnan(found) if level is None else found == pytest.approx(level)


_NAMES = ("timestamp", "alert", "event_type", "src_ip", "rule", "host", "level")
_nested = st.dictionaries(
    st.sampled_from(["signature", "severity", "name", "level"]), st.text(max_size=5)
)
_values = st.none() | st.text(max_size=8) | st.integers() | _nested


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.dictionaries(st.sampled_from(_NAMES), _values) | st.text(max_size=10), max_size=8)
)
def test_any_objects_pass_the_alert_reader(tmp_path, rows):
    path = tmp_path / "eve.json"
    path.write_text("\n".join(map(json.dumps, rows)))
    try:
        events, _ = read(path)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert len(events) <= len(rows)


def test_a_table_may_hold_any_type(tmp_path):
    path = tmp_path / "alerts.parquet"
    hosts = [["a"], ["a"], None, ["b", "c"]]
    columns = {"rule": ["r"] * 4, "ts": [1_700_000_000] * 4, "host": hosts}
    pq.write_table(pa.table({**columns, "level": [15, 0, None, 3]}), path)
    events, _ = read(path, format_name="alerts")
    alerts, levels = (
        events.inputs.values[:, TASK.numbers.index(name)] for name in ("alerts", "level")
    )
    found = dict(zip(events.column("host"), alerts, strict=True))
    assert found == {"['a']": 2, "": 1, "['b', 'c']": 1}
    assert np.nanmax(levels) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, None), ("1700000000", 1700000000), (1700000000123, 1700000000), ("x", None),
        (None, None),
        ("2024-01-02T03:04:05+0100", 1704161045), ("2024-01-02T02:04:05.1234567Z", 1704161045),
        ("2024-01-02 02:04:05.000 +00:00", 1704161045),
    ],
)  # fmt: skip
def test_points_in_time(value, seconds):
    assert seconds_of(value) == seconds


def test_what_an_order_of_reading_is_worth():
    attack = np.array([True, False, False, True, False])
    phase = np.array(["p", "-", "-", "q", "-"], object)
    found = measure_order(
        "x", np.array([5.0, 4, 3, 2, 1]), attack, phase, np.array([1, 1, 1, 1, 96])
    )
    assert found.phases_seen[10] == 1
    assert found.incidents_saved[0.95] == pytest.approx(0.2)
    assert found.alerts_saved[0.95] == pytest.approx(0.96)


def test_no_rule_fills_the_top_of_the_queue():
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.1])
    rules = np.array(["dns", "dns", "dns", "web", "ssh"], object)
    keys = spread_rules(scores, rules)
    assert keys == pytest.approx([0.9, 0.4, 0.7 / 3, 0.3, 0.1])
    assert rules[np.argsort(-keys)].tolist() == ["dns", "dns", "web", "dns", "ssh"]
    assert spread_rules(scores[:0], rules[:0]).tolist() == []


def test_triage_ranks_and_says_what_it_is_worth(tmp_path, real_data):
    """Train on one company, rank the alerts of another, through the command line."""
    source = real_data / "alert"
    recipe = tmp_path / "buckler.toml"
    recipe.write_text(
        f'task = "alert-triage"\noutput = "out"\n[data]\nformat = "alerts"\n'
        f'train = ["{source / "ait-ads-russellmitchell.parquet"}",'
        f' "{source / "ait-ads-shaw.parquet"}"]\n'
        f'test = ["{source / "ait-ads-wardbeck.parquet"}"]\n'
        '[split]\ndeduplicate = "none"\non_leak = "allow"\n[student]\nfamily = "trees"\nfolds = 2\n'
    )
    assert buckler("run", recipe).returncode == 0
    part = pq.read_table(source / "ait-ads-wardbeck.parquet")
    pq.write_table(part.slice(0, 60_000), tmp_path / "a.parquet")
    bundle, queue = tmp_path / "out" / "alert-triage.buckler", tmp_path / "queue.csv"
    result = buckler("triage", tmp_path / "a.parquet", "-b", bundle, "-o", queue, "--top", "50")
    assert result.returncode == 0, result.stderr
    assert "phases" in result.stdout
    with queue.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        seen[row["alert"]] += 1
        keys.append(float(row["score"]) / seen[row["alert"]])
    assert keys == pytest.approx(sorted(keys, reverse=True), abs=1e-4)
    assert all(row["because"] for row in rows[:5])
    assert buckler("triage", tmp_path / "a.parquet", "-b", bundle, "-o", queue).returncode == 2
    table = pa.table({"x": [1]})
    pq.write_table(table, tmp_path / "b.parquet")
    result = buckler("triage", tmp_path / "b.parquet", "-b", bundle, "-o", tmp_path / "q.csv")
    assert result.returncode == 2
    assert "no column named" in result.stderr


def test_severities_come_from_a_table_where_alerts_have_none(tmp_path):
    table = tmp_path / "severity.csv"
    table.write_text('rule,level\nWazuh: IDS event.,6\nSuricata: *,3\n"Odd, rule",critical\n')
    found = read_severities(table)
    assert found == {"Wazuh: IDS event.": 0.4, "Suricata: *": 0.2, "Odd, rule": 1.0}
    rules = ["Suricata: Alert - X", "Odd, rule", "AMiner: new", "Wazuh: IDS event."]
    assert severity_by_rule(rules, found).tolist() == [0.2, 1.0, -1, 0.4]
    for text, words in (
        ("rule,level\nx,often\n", "row 2: level 'often' is no severity"),
        ("rule,other\nx,3\n", "no column named level"),
        ("name,level\nx,3\n", "no column named rule"),
        ("rule,level\n", "no rule|empty"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=words):
            read_severities(table)


def test_the_table_of_the_example_is_sound():
    path = Path(__file__).parents[2] / "examples" / "alert-triage" / "severity.csv"
    assert len(read_severities(path)) > 25
