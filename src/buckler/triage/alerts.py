"""Reads alerts of Suricata, Wazuh, Sigma tools and tables as incidents: the format `alerts`.

One event is an incident (`incidents.py`), a row of features. A file is held whole, in the order of
time, since an incident is described by what came before it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
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

MAX_ALERTS = 20_000_000
_NO_TIME = -1
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
    parts = {name: _Part() for name in (*_PARTS.keys() - {"time"}, "label", "rule")}
    seconds, rows = [np.array([], np.int64)], [np.array([], np.int64)]
    labels = spec.optional.get("label", ())
    inner = ColumnSpec(_RULE, {**_PARTS, "label": labels}, mixed=True, any_bytes=True)
    n = 0
    for chunk in _reader_of(path).chunks(path, inner, quarantine):
        rows.append(chunk.rows)
        n += len(chunk.events)
        for name, part in parts.items():
            part.add(chunk.events if name == "rule" else chunk.columns.get(name), len(chunk.events))
        times = chunk.columns.get("time", pa.nulls(len(chunk.events)))
        seconds.append(column_seconds(times).fill_null(_NO_TIME).to_numpy())
        if n > MAX_ALERTS:
            raise InputError(f"{path}: more than {MAX_ALERTS:,} alerts; split the file by time")
    times, row_numbers, rules = np.concatenate(seconds), np.concatenate(rows), parts["rule"].texts()
    for row in np.flatnonzero(times == _NO_TIME).tolist():
        quarantine.add(path, int(row_numbers[row]), "no time", rules[row])
    kept = np.flatnonzero(times != _NO_TIME)
    order = kept[np.argsort(times[kept], kind="stable")]
    host, address = (parts[name].texts()[order] for name in ("host", "address"))
    severities = ("priority", "signature", "severity_id", "risk", "level")
    return Alerts(
        times[order],
        rules[order],
        host,
        address,
        _map_once(_tool, parts["rule"], parts["tool"])[order],
        _map_once(_level, *(parts[name] for name in severities))[order].astype(np.float64),
        _map_once(lambda label: None if label is None else str(label), parts["label"])[order],
        row_numbers[order],
    )


class _Part:
    """Values of one part of all alerts, each once, and a code for each alert: logs repeat a few."""

    def __init__(self) -> None:
        self._known: dict[tuple[type, object], int] = {(type(None), None): 0}
        self._codes: list[npt.NDArray[np.int64]] = []

    def add(self, column: pa.Array | None, n: int) -> None:
        """Add the values of n alerts; None where they have none."""
        if column is None:
            self._codes.append(np.zeros(n, np.int64))
            return
        try:
            encoded = column.dictionary_encode()
        except pa.ArrowNotImplementedError:  # lists and the like
            column = pa.array([None if v is None else str(v) for v in column.to_pylist()])
            encoded = column.dictionary_encode()
        values = [
            v.decode("utf-8", "replace") if isinstance(v, bytes) else v
            for v in encoded.dictionary.to_pylist()
        ]
        codes = [self._known.setdefault((type(v), v), len(self._known)) for v in values]
        indices = encoded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
        self._codes.append(np.array([*codes, 0], np.int64)[indices])

    @property
    def values(self) -> list[object]:
        """Each value once, by its code."""
        return [value for _, value in self._known]

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """Code of each alert."""
        return np.concatenate([np.zeros(0, np.int64), *self._codes])

    def texts(self) -> npt.NDArray[np.object_]:
        """Return the text of each alert, empty where there is none."""
        texts = ["" if v is None else str(v) for v in self.values]
        return np.array(texts, object)[self.codes]


def _map_once(function: Callable[..., object], *parts: _Part) -> npt.NDArray[np.object_]:
    """Return what a function makes of the values of each alert; it is asked once for equal ones."""
    combined = parts[0].codes
    for part in parts[1:]:
        if len(part.values) > 1:
            combined = np.unique(combined * len(part.values) + part.codes, return_inverse=True)[1]
    _, first, of_row = np.unique(combined, return_index=True, return_inverse=True)
    values = zip(
        *([part.values[c] for c in part.codes[first].tolist()] for part in parts), strict=True
    )
    return np.array([*(function(*row) for row in values), None], object)[:-1][of_row]


def _reader_of(path: Path) -> Reader:
    name = path.name.lower()
    if name.endswith(ParquetReader.suffixes):
        return ParquetReader()
    return CsvReader() if name.endswith(CsvReader.suffixes) else JsonLinesReader()


def _tool(rule: str, tool: str | None) -> str:
    """Return who raised the alert: of "Wazuh: …" the name before the colon."""
    head, colon, _ = rule.partition(": ")
    named = bool(colon) and len(head) < 20 and " " not in head
    return head if named else "" if tool is None else str(tool)


def _level(
    priority: object, signature: object, severity_id: object, risk: object, level: object
) -> float:
    """Return a severity from 0 to 1; what an alert has decides the scale, not the file's name."""
    own = priority if signature else None  # of Suricata
    for value, scale in ((own, SURICATA), (level, WAZUH), (severity_id, OCSF), (risk, RISK)):
        if value is not None and (found := severity_of(value, scale)) == found:
            return found
    return float("nan")
