"""Reads alerts of Suricata, Wazuh, Sigma tools and tables as incidents: the format `alerts`.

One event is an incident (`incidents.py`), a row of features. A file is held whole, in the order of
time, since an incident is described by what came before it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import pyarrow as pa

from buckler.errors import InputError
from buckler.readers.chunks import make_chunk
from buckler.readers.csv import CsvReader
from buckler.readers.event_fields import TIMES
from buckler.readers.feature_columns import FEATURE
from buckler.readers.jsonl import JsonLinesReader
from buckler.readers.parquet import ParquetReader
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import READERS, Chunk, ColumnSpec, Reader
from buckler.readers.times import column_seconds
from buckler.triage.incidents import CATEGORIES, NUMBERS, Alerts, Incidents, join_alerts
from buckler.triage.severity import OCSF, RISK, SURICATA, WAZUH, severity_of

Row = TypeVar("Row", bound=tuple[object, ...])
Result = TypeVar("Result")
MAX_ALERTS = 20_000_000
CHUNK_INCIDENTS = 1 << 14
# For each part of an alert the names that tools give it; the first that is there counts.
_SIGNATURE = ("alert.signature", "suricata.eve.alert.signature", "signature")
_RULE = (
    *(*_SIGNATURE, "rule.name", "rule.description", "rule_name", "RuleTitle", "rule", "name"),
    *("kibana.alert.rule.name", "signal.rule.name", "finding_info.title", "finding.title"),
    *("AlertTitle", "AlertName", "title", "Title", "properties.Title"),
)
_PARTS = {
    "time": TIMES,
    "host": (
        *("agent.name", "host", "Computer", "host.name", "hostname", "DeviceName"),
        *(
            "device.hostname",
            "device.name",
            "CompromisedEntity",
            "properties.DeviceName",
            "dest_ip",
        ),
    ),
    "address": (
        *("src_ip", "data.srcip", "data.src_ip", "ip", "source.ip", "srcip", "SrcIP"),
        *("src_endpoint.ip", "user", "user.name", "actor.user.name"),
    ),
    "tool": (
        *("tool", "event_type", "decoder.name", "metadata.product.name", "event.module"),
        *("source", "Channel"),
    ),
    "signature": _SIGNATURE,
    # On the scale of Suricata, of OCSF, of a hundred; the last on that of Wazuh, or as a word.
    "priority": ("alert.severity", "suricata.eve.alert.severity", "severity"),
    "severity_id": ("severity_id",),
    "risk": ("kibana.alert.risk_score", "signal.rule.risk_score", "event.severity"),
    "level": (
        *("rule.level", "level", "kibana.alert.severity", "kibana.alert.rule.severity"),
        *("signal.rule.severity", "severity", "Level", "Severity", "AlertSeverity", "priority"),
        "properties.Severity",
    ),
}
NOTHING = frozenset(
    ("-", "", "false_positive", "FalsePositive", "BenignPositive", "benign", "false-positive", "0")
)


@READERS.add
class AlertReader(Reader):
    """Alerts: Suricata's eve.json, Wazuh's alerts.json, hayabusa and Sigma hits, CSV, Parquet."""

    name = "alerts"
    suffixes = ("eve.json", "eve.json.gz", "alerts.json", "alerts.json.gz")

    def chunks(
        self, path: Path, spec: ColumnSpec, quarantine: Quarantine, cursor: int = 0
    ) -> Iterator[Chunk]:
        """Yield the incidents behind incident `cursor`.

        A task of single events, such as their URLs, reads the file as JSON lines.

        Raises
        ------
        InputError
            If the file names no rule or no time.
        """
        if spec.features is None or not set(spec.features.names) <= {*NUMBERS, *CATEGORIES}:
            yield from READERS.get("jsonl")().chunks(path, spec, quarantine, cursor)
            return
        incidents = join_alerts(_alerts(path, spec, quarantine), NOTHING)
        size = path.stat().st_size
        for begin in range(cursor, len(incidents), CHUNK_INCIDENTS):
            end = min(len(incidents), begin + CHUNK_INCIDENTS)
            yield make_chunk(
                path,
                spec,
                _columns(incidents, slice(begin, end), spec, path),
                incidents.rows[begin:end],
                end,
                size * (end - begin) // len(incidents),
                quarantine,
            )


def _columns(
    incidents: Incidents, part: slice, spec: ColumnSpec, path: Path
) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    if spec.features is not None:
        for name in spec.features.names:
            kind = pa.string() if name in CATEGORIES else pa.float64()
            columns[FEATURE + name] = pa.array(incidents.features[name][part].tolist(), kind)
    known = {
        "label": pa.array(incidents.label[part].tolist(), pa.string()),
        "ts": pa.array(incidents.last[part]),
        "source": pa.array([path.stem] * len(incidents.first[part]), pa.string()),
        "group": pa.array([path.stem] * len(incidents.first[part]), pa.string()),
        "phase": pa.array(incidents.label[part].tolist(), pa.string()),
        "alert": pa.array(incidents.rule[part].tolist(), pa.string()),
        "host": pa.array(incidents.host[part].tolist(), pa.string()),
        "address": pa.array(incidents.address[part].tolist(), pa.string()),
        "n_alerts": pa.array(incidents.alerts[part]),
        "first": pa.array(incidents.first[part]),
    }
    roles = set(spec.optional)
    has_labels = any(label is not None for label in incidents.label)
    kept = {r: c for r, c in known.items() if r in roles and (r != "label" or has_labels)}
    return {**columns, **kept}


def _alerts(path: Path, spec: ColumnSpec, quarantine: Quarantine) -> Alerts:
    """Read all alerts of a file, in the order of time; those without a time are set aside."""
    parts: dict[str, list[object]] = {name: [] for name in (*_PARTS, "label")}
    rules: list[str] = []
    rows: list[int] = []
    labels = spec.optional.get("label", ())
    inner = ColumnSpec(_RULE, {**_PARTS, "label": labels}, mixed=True, any_bytes=True)
    for chunk in _reader_of(path).chunks(path, inner, quarantine):
        n = len(chunk.events)
        rules += [t.decode("utf-8", "replace") for t in chunk.events.to_pylist()]
        rows += chunk.rows.tolist()
        for name in (*_PARTS, "label"):
            column = chunk.columns.get(name)
            if column is not None and name == "time":
                column = column_seconds(column)
            parts[name] += [None] * n if column is None else column.to_pylist()
        if len(rows) > MAX_ALERTS:
            raise InputError(f"{path}: more than {MAX_ALERTS:,} alerts; split the file by time")
    seconds = cast(list[int | None], parts["time"])
    for row, value, rule in zip(rows, seconds, rules, strict=True):
        if value is None:
            quarantine.add(path, row, "no time", rule)
    kept = np.array([i for i, value in enumerate(seconds) if value is not None], np.int64)
    times = np.array([value for value in seconds if value is not None], np.int64)
    order = kept[np.argsort(times, kind="stable")]
    texts = {
        name: np.array(
            ["" if v is None else v if type(v) is str else str(v) for v in parts[name]], object
        )[order]
        for name in ("host", "address", "tool")
    }
    priorities = [
        value if signature else None
        for value, signature in zip(parts["priority"], parts["signature"], strict=True)
    ]
    levels = _map_once(
        _level,
        list(zip(priorities, parts["severity_id"], parts["risk"], parts["level"], strict=True)),
    )
    names = np.array(rules, object)[order]
    tools = _map_once(_tool, list(zip(names.tolist(), texts["tool"].tolist(), strict=True)))
    return Alerts(
        np.sort(times, kind="stable"),
        names,
        texts["host"],
        texts["address"],
        np.array(tools, object),
        np.array(levels, np.float64)[order],
        np.array([None if v is None else str(v) for v in parts["label"]], object)[order],
        np.array(rows, np.int64)[order],
    )


def _map_once(function: Callable[..., Result], rows: list[Row]) -> list[Result]:
    """Return what a function makes of each row; logs repeat a few, so each is asked once."""
    found = {row: function(*row) for row in set(rows)}
    return [found[row] for row in rows]


def _reader_of(path: Path) -> Reader:
    name = path.name.lower()
    if name.endswith(ParquetReader.suffixes):
        return ParquetReader()
    return CsvReader() if name.endswith(CsvReader.suffixes) else JsonLinesReader()


def _tool(rule: str, tool: str) -> str:
    """Return who raised the alert: of "Wazuh: …" the name before the colon."""
    head, colon, _ = rule.partition(": ")
    return head if colon and len(head) < 20 and " " not in head else tool


def _level(priority: object, severity_id: object, risk: object, level: object) -> float:
    """Return a severity from 0 to 1; what an alert has decides the scale, not the file's name."""
    for value, scale in ((priority, SURICATA), (level, WAZUH), (severity_id, OCSF), (risk, RISK)):
        if value is not None and (found := severity_of(value, scale)) == found:
            return found
    return float("nan")
