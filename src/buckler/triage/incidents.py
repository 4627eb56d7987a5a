"""Alerts as incidents: one rule, one host and one address, with no long pause between; as features.

Features look back only: they are what could be known when the incident's last alert came in. So a
ranking that was measured on the past can be had in the present.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.tasks.alert_triage import ALERT_TRIAGE

PAUSE_S = 600  # a longer pause begins another incident
LONGEST_S = 3600
LOOK_BACK_S = 3600
NUMBERS, CATEGORIES = ALERT_TRIAGE.numbers, ALERT_TRIAGE.categories

Objects = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Alerts:
    """Alerts in the order of time.

    Attributes
    ----------
    seconds
        int64 [n]: since 1970.
    rule, host, address, tool
        object [n]: texts; empty where unknown.
    level
        float64 [n]: severity, 0 to 1; NaN where unknown.
    label
        object [n]: as the data spell it; None where unlabeled.
    rows
        int64 [n]: the row of the file.
    """

    seconds: npt.NDArray[np.int64]
    rule: Objects
    host: Objects
    address: Objects
    tool: Objects
    level: npt.NDArray[np.float64]
    label: Objects
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Incidents:
    """Incidents that alerts were joined to, in the order of their last alert.

    Attributes
    ----------
    features
        Values by name: numbers as float64 [n], categories as object [n].
    first, last
        int64 [n]: seconds of the first and the last alert.
    rule, host, address
        object [n].
    alerts
        int64 [n]: how many were joined.
    label
        object [n]: the commonest label of its alerts that is no word for "nothing", else theirs.
    rows
        int64 [n]: row of the first alert.
    """

    features: dict[str, npt.NDArray[Any]]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    rule: Objects
    host: Objects
    address: Objects
    alerts: npt.NDArray[np.int64]
    label: Objects
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def join_alerts(alerts: Alerts, nothing: frozenset[str]) -> Incidents:
    """Join alerts to incidents and describe each by what was known at its end.

    `nothing` are the labels of alerts that mean no attack.
    """
    members = _members(alerts)
    order = sorted(range(len(members)), key=lambda i: (alerts.seconds[members[i][-1]], i))
    members = [members[i] for i in order]
    history = _History()
    values: dict[str, list[float | str]] = {name: [] for name in (*NUMBERS, *CATEGORIES)}
    for rows in members:
        for name, value in history.describe(alerts, rows).items():
            values[name].append(value)
    first = np.array([rows[0] for rows in members], np.int64)
    last = np.array([rows[-1] for rows in members], np.int64)
    return Incidents(
        {
            name: np.array(column, np.float64 if name in NUMBERS else object)
            for name, column in values.items()
        },
        alerts.seconds[first],
        alerts.seconds[last],
        alerts.rule[first],
        alerts.host[first],
        alerts.address[first],
        np.array([len(rows) for rows in members], np.int64),
        np.array([_label(alerts, rows, nothing) for rows in members], object),
        alerts.rows[first],
    )


def _members(alerts: Alerts) -> list[list[int]]:
    """Return the alerts of each incident."""
    members: list[list[int]] = []
    running: dict[tuple[str, str, str], int] = {}
    seconds = alerts.seconds.tolist()
    keys = zip(alerts.rule.tolist(), alerts.host.tolist(), alerts.address.tolist(), strict=True)
    for row, key in enumerate(keys):
        incident = running.get(key)
        if incident is not None:
            rows = members[incident]
            pause, length = seconds[row] - seconds[rows[-1]], seconds[row] - seconds[rows[0]]
            if pause <= PAUSE_S and length <= LONGEST_S:
                rows.append(row)
                continue
        running[key] = len(members)
        members.append([row])
    return members


def _label(alerts: Alerts, rows: list[int], nothing: frozenset[str]) -> str | None:
    labels = Counter(alerts.label[row] for row in rows if alerts.label[row] is not None)
    attacks = [(n, name) for name, n in labels.items() if name not in nothing]
    if attacks:
        return str(max(attacks)[1])
    return str(labels.most_common(1)[0][0]) if labels else None


class _Window:
    """Counts of what happened around a rule, host or address within the last hour."""

    def __init__(self) -> None:
        self._items: deque[tuple[int, int, str, str]] = deque()
        self.alerts = 0
        self.first: Counter[str] = Counter()
        self.second: Counter[str] = Counter()

    def add(self, time: int, alerts: int, first: str, second: str) -> None:
        self._items.append((time, alerts, first, second))
        self.alerts += alerts
        self.first[first] += 1
        self.second[second] += 1

    def forget(self, now: int) -> None:
        while self._items and self._items[0][0] < now - LOOK_BACK_S:
            _, alerts, first, second = self._items.popleft()
            self.alerts -= alerts
            for counter, name in ((self.first, first), (self.second, second)):
                counter[name] -= 1
                if not counter[name]:
                    del counter[name]


class _History:
    """Counts of all that came before: its size is that of the names, not of the alerts."""

    def __init__(self) -> None:
        self.total = 0
        self.start: int | None = None
        self.rule_alerts: Counter[str] = Counter()
        self.rule_incidents: Counter[str] = Counter()
        self.pair_incidents: Counter[tuple[str, str]] = Counter()
        self.rule_last: dict[str, int] = {}
        self.hosts: Counter[str] = Counter()
        self.addresses: set[str] = set()
        self.by_host: defaultdict[str, _Window] = defaultdict(_Window)
        self.by_address: defaultdict[str, _Window] = defaultdict(_Window)
        self.by_rule: defaultdict[str, _Window] = defaultdict(_Window)
        self.new_rules: defaultdict[str, _Window] = defaultdict(_Window)
        self.network = _Window()

    def describe(self, alerts: Alerts, rows: list[int]) -> dict[str, float | str]:
        """Return the features of an incident, then remember it."""
        first, n = rows[0], len(rows)
        rule, host = str(alerts.rule[first]), str(alerts.host[first])
        address, tool = str(alerts.address[first]), str(alerts.tool[first])
        begin, now = int(alerts.seconds[first]), int(alerts.seconds[rows[-1]])
        self.start = begin if self.start is None else min(self.start, begin)
        of_host, of_address = self.by_host[host], self.by_address[address]
        of_rule, new_rules = self.by_rule[rule], self.new_rules[host]
        for window in (of_host, of_address, of_rule, new_rules, self.network):
            window.forget(now)
        pair = (rule, host)
        new_on_host = self.pair_incidents[pair] == 0
        hours = max(1.0, (now - self.start) / LOOK_BACK_S)
        levels = alerts.level[rows]
        known = levels[~np.isnan(levels)]
        found: dict[str, float | str] = {
            "alerts": n,
            "duration_s": now - begin,
            "alerts_per_minute": 60 * n / max(60, now - begin),
            "level": known.max() if len(known) else np.nan,
            "rule_rarity": -np.log((self.rule_alerts[rule] + 1) / (self.total + 2)),
            "rule_age_s": now - self.rule_last.get(rule, self.start),
            "rule_is_new": float(self.rule_incidents[rule] == 0),
            "rule_new_on_host": float(new_on_host),
            "host_is_new": float(self.hosts[host] == 0),
            "address_is_new": float(address not in self.addresses),
            "rule_incidents_before": self.rule_incidents[rule],
            "pair_incidents_before": self.pair_incidents[pair],
            "host_alerts_hour": of_host.alerts,
            "host_rules_hour": len(of_host.first),
            "host_tools_hour": len(of_host.second),
            "host_new_rules_hour": len(new_rules.first),
            "address_alerts_hour": of_address.alerts,
            "address_rules_hour": len(of_address.first),
            "address_hosts_hour": len(of_address.second),
            "rule_hosts_hour": len(of_rule.first),
            "network_rules_hour": len(self.network.first),
            "network_alerts_hour": self.network.alerts,
            "burst": (of_host.alerts + n) / max(1.0, self.hosts[host] / hours),
            "rule": rule,
            "tool": tool,
        }
        self.total += n
        self.rule_alerts[rule] += n
        self.rule_incidents[rule] += 1
        self.pair_incidents[pair] += 1
        self.rule_last[rule] = now
        self.hosts[host] += n
        self.addresses.add(address)
        of_host.add(now, n, rule, tool)
        of_address.add(now, n, rule, host)
        of_rule.add(now, n, host, address)
        self.network.add(now, n, rule, host)
        if new_on_host:
            new_rules.add(now, n, rule, tool)
        return found
