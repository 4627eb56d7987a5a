"""Fields that a SIEM asks of any event, and the names that logs give to them.

Serving reads these fields beside the text, so that a verdict names the time, host, user, process
and addresses of its event. Names are those of Windows events, EDR, audit logs, Suricata, Zeek,
Wazuh, ECS and OCSF; `buckler.tasks.process_fields` holds those of processes.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from buckler.readers.reader import WEB_HOSTS
from buckler.readers.times import exact_seconds_of
from buckler.tasks import process_fields as process

MAX_FIELD_CHARACTERS = 1024  # longest value that Elastic's templates index
_MAX_COMMAND_CHARACTERS = 1 << 16

TIMES = (
    *("ts", "@timestamp", "timestamp", "Timestamp", "time", *process.windows("UtcTime")),
    *("TimeCreated", "TimeGenerated", "EventTime", "properties.Timestamp", "unixTime"),
    *(
        f"{event}System.{time}"
        for event in ("Event.", "")
        for time in (
            *("TimeCreated.#attributes.SystemTime", "TimeCreated_attributes.SystemTime"),
            *("TimeCreated.SystemTime", "TimeCreated.@SystemTime"),
        )
    ),
    *("data.win.system.systemTime", "event.created", "event.timestamp", "_time"),
    *("datetime", "date"),
)
_EVENT_FIELDS: dict[str, tuple[str, ...]] = {
    "ts": TIMES,
    "host": process.HOST,
    "user": (*process.USER, "username", "cs-username"),
    "image": process.IMAGE,
    "command_line": tuple(name for name in process.COMMAND if name != "text"),
    "parent_image": process.PARENT_IMAGE,
    "parent_command_line": process.PARENT_COMMAND,
    "pid": (
        *("pid", *process.windows("NewProcessId", "ProcessId"), "process.pid", "SYSCALL.pid"),
        *("ProcessId", "properties.ProcessId", "columns.pid", "output_fields.proc.pid"),
        *("data.audit.pid", "event.TargetProcessId"),
    ),
    "parent_pid": (
        *("ppid", "parent_pid", *process.windows("ParentProcessId"), "process.parent.pid"),
        *("process.parent_process.pid", "actor.process.pid", "InitiatingProcessId"),
        *("properties.InitiatingProcessId", "SYSCALL.ppid", "columns.parent"),
        *("output_fields.proc.ppid", "data.audit.ppid"),
    ),
    "process_guid": (*process.windows("ProcessGuid"), "process.entity_id", "process.uid"),
    "source_ip": (
        *("src_ip", "id.orig_h", "source.ip", "src_endpoint.ip", "data.srcip", "data.src_ip"),
        *("srcip", "c-ip", "client_ip", "client.ip", *process.windows("SourceIp", "IpAddress")),
        *("LocalIP", "properties.LocalIP"),
    ),
    "source_port": (
        *("src_port", "id.orig_p", "source.port", "src_endpoint.port", "data.srcport"),
        *("data.src_port", "srcport", "c-port", *process.windows("SourcePort")),
        *("LocalPort", "properties.LocalPort"),
    ),
    "destination_ip": (
        *("dest_ip", "id.resp_h", "destination.ip", "dst_endpoint.ip", "data.dstip"),
        *("data.dest_ip", "dstip", "s-ip", "server.ip", *process.windows("DestinationIp")),
        *("RemoteIP", "properties.RemoteIP"),
    ),
    "destination_port": (
        *("dest_port", "id.resp_p", "destination.port", "dst_endpoint.port", "data.dstport"),
        *("data.dest_port", "dstport", "s-port", *process.windows("DestinationPort")),
        *("RemotePort", "properties.RemotePort"),
    ),
    "domain": (
        *("http.hostname", "url.domain", "http_request.url.hostname", "dns.rrname", "tls.sni"),
        *("dns.queries.rrname", "dns.query.rrname", "quic.sni"),
        *("dns.question.name", "tls.client.server_name", "server_name", "query"),
        *("data.http.hostname", "data.dns.rrname", "data.tls.sni"),
    ),
    "record_id": (
        *("EventRecordID", "winlog.record_id", "Event.System.EventRecordID"),
        *("System.EventRecordID", "data.win.system.eventRecordID", "metadata.uid", "event.id"),
        *("ReportId", "properties.ReportId", "ID", "id"),
    ),
    "flow_id": ("flow_id", "data.flow_id", "uid", "connection_info.uid", "network.flow_id"),
    "community_id": ("community_id", "network.community_id", "connection_info.community_uid"),
    "code": (
        *("EventID", "event.code", "Event.System.EventID", "System.EventID"),
        *("data.win.system.eventID", "event_type", "ActionType", "properties.ActionType"),
    ),
}
FIELD_ROLES = frozenset(_EVENT_FIELDS)


def event_field_names(medium: str) -> dict[str, tuple[str, ...]]:
    """Return role -> names to try, for events of a medium such as ``url``.

    In logs of web traffic, ``host`` is the site that was asked, not the machine.
    """
    if medium != "url":
        return _EVENT_FIELDS
    hosts = tuple(name for name in _EVENT_FIELDS["host"] if name not in WEB_HOSTS)
    return {
        **_EVENT_FIELDS,
        "host": hosts,
        "domain": (*_EVENT_FIELDS["domain"], *WEB_HOSTS),
    }


@dataclass(frozen=True)
class EventFields:
    """Fields of one event as its log has them; None where it does not.

    Attributes
    ----------
    time_s
        Time of the event, in seconds since 1970.
    host, user, domain
        Machine, account, and the site that was asked.
    image, command_line, pid, process_guid
        Program that was started, its command line, number, and identifier across machines.
    parent_image, parent_command_line, parent_pid
        The same for the program that started it.
    source_ip, source_port, destination_ip, destination_port
        Ends of a connection; an address that is none is left out.
    record_id, flow_id, community_id, code
        Identifiers of the record and of the flow, and the kind of event as its source numbers it.
    """

    time_s: float | None = None
    host: str | None = None
    user: str | None = None
    domain: str | None = None
    image: str | None = None
    command_line: str | None = None
    pid: int | None = None
    process_guid: str | None = None
    parent_image: str | None = None
    parent_command_line: str | None = None
    parent_pid: int | None = None
    source_ip: str | None = None
    source_port: int | None = None
    destination_ip: str | None = None
    destination_port: int | None = None
    record_id: str | None = None
    flow_id: str | None = None
    community_id: str | None = None
    code: str | None = None

    @staticmethod
    def from_texts(texts: Mapping[str, str | int | None]) -> "EventFields":
        """Return the fields out of values by role; anyone may have written them."""
        found: dict[str, float | int | str | None] = {}
        for role, value in texts.items():
            if value is None or value == "":
                continue
            if role == "ts":
                found["time_s"] = exact_seconds_of(value)
            elif role.endswith("_ip"):
                found[role] = _address(str(value))
            elif role.endswith("pid"):
                found[role] = _whole_number(str(value), 1 << 63)
            elif role.endswith("_port"):
                found[role] = _whole_number(str(value), 1 << 16)
            else:
                is_command = role.endswith("command_line")
                limit = _MAX_COMMAND_CHARACTERS if is_command else MAX_FIELD_CHARACTERS
                found[role] = str(value)[:limit]
        return EventFields(**found)  # type: ignore[arg-type]


def _address(value: str) -> str | None:
    try:
        return str(ipaddress.ip_address(value[:64].removeprefix("::ffff:").strip("[]")))
    except ValueError:
        return None


def _whole_number(value: str, end: int) -> int | None:
    """Return a number in digits, or in hexadecimal ones as Windows writes them."""
    try:
        number = int(value[:20], 16 if value.startswith("0x") else 10)
    except ValueError:
        return None
    return number if 0 <= number < end else None
