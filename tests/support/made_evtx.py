"""Writes small Windows event logs, as Microsoft's format is described ([MS-EVEN6], BinXML)."""

import struct
import zlib
from pathlib import Path

_EPOCH = 11_644_473_600  # seconds from 1601 to 1970
_CHUNK = 65_536


class _BinXml:
    """One event as BinXML; names are written where they first occur."""

    def __init__(self, start: int) -> None:
        self.start = start  # of the first byte, in the chunk
        self.out = bytearray(b"\x0f\x01\x01\x00")

    def _name(self, name: str) -> None:
        offset = self.start + len(self.out) + 4
        code = 0
        for c in name:
            code = (code * 65599 + ord(c)) & 0xFFFFFFFF
        encoded = name.encode("utf-16-le")
        self.out += struct.pack("<IIHH", offset, 0, code & 0xFFFF, len(name)) + encoded + b"\0\0"

    def _text(self, text: str) -> None:
        encoded = text.encode("utf-16-le")
        self.out += struct.pack("<BBH", 5, 1, len(encoded) // 2) + encoded

    def element(self, name: str, attributes: dict[str, str], content: object) -> None:
        self.out.append(0x41 if attributes else 0x01)
        size_at = len(self.out)
        self.out += b"\0\0\0\0"
        self._name(name)
        if attributes:
            list_at = len(self.out)
            self.out += b"\0\0\0\0"
            for number, (key, value) in enumerate(attributes.items(), 1):
                self.out += bytes([0x06 if number == len(attributes) else 0x46])
                self._name(key)
                self._text(value)
            struct.pack_into("<I", self.out, list_at, len(self.out) - list_at - 4)
        self.out.append(0x02)
        if isinstance(content, str):
            if content:
                self._text(content)
        else:
            for child in content:
                self.element(*child)
        self.out.append(0x04)
        struct.pack_into("<I", self.out, size_at, len(self.out) - size_at - 4)

    def finished(self) -> bytes:
        return bytes(self.out) + b"\0"


def _record(number: int, seconds: int, event: dict[str, object], start: int) -> bytes:
    system = [
        ("Provider", {"Name": str(event["Provider"])}, ""),
        ("EventID", {}, str(event["EventID"])),
        ("TimeCreated", {"SystemTime": str(event["TimeCreated"])}, ""),
        ("Computer", {}, str(event["Computer"])),
    ]
    data = [("Data", {"Name": k}, v) for k, v in event["EventData"].items()]
    xml = _BinXml(start + 24)
    xml.element("Event", {}, [("System", {}, system), ("EventData", {}, data)])
    body = xml.finished()
    size = 24 + len(body) + 4
    filetime = (seconds + _EPOCH) * 10_000_000
    return b"**\0\0" + struct.pack("<IQQ", size, number, filetime) + body + struct.pack("<I", size)


def _chunk(first: int, events: list[dict[str, object]]) -> tuple[bytes, int]:
    records, at, last = bytearray(), 512, 512
    count = 0
    for event in events:
        record = _record(first + count, 1_600_000_000 + first + count, event, at)
        if at + len(record) > _CHUNK:
            break
        records += record
        last, at, count = at, at + len(record), count + 1
    end = first + count - 1
    head = bytearray(512)
    head[:8] = b"ElfChnk\0"
    struct.pack_into(
        "<QQQQIIII", head, 8, first, end, first, end, 128, last, at, zlib.crc32(records)
    )
    struct.pack_into("<I", head, 124, zlib.crc32(head[:120] + head[128:512]))
    return bytes(head + records).ljust(_CHUNK, b"\0"), count


def write_evtx(path: Path, events: list[dict[str, object]]) -> Path:
    """Write events: Provider, EventID, TimeCreated, Computer, EventData (name -> text)."""
    chunks, done = [], 0
    while done < len(events):
        chunk, count = _chunk(done + 1, events[done:])
        chunks.append(chunk)
        done += count
    head = bytearray(4096)
    head[:8] = b"ElfFile\0"
    struct.pack_into(
        "<QQQIHHHH", head, 8, 0, len(chunks) - 1, done + 1, 128, 1, 3, 4096, len(chunks)
    )
    struct.pack_into("<I", head, 124, zlib.crc32(head[:120]))
    path.write_bytes(bytes(head) + b"".join(chunks))
    return path


def sysmon(command: str, **fields: str) -> dict[str, object]:
    """Return Sysmon's event 1."""
    data = {
        "CommandLine": command,
        "Image": "C:\\Windows\\System32\\cmd.exe",
        "User": "NT AUTHORITY\\SYSTEM",
        "ParentCommandLine": "C:\\Windows\\explorer.exe",
    }
    return {
        "Provider": "Microsoft-Windows-Sysmon",
        "EventID": 1,
        "TimeCreated": "2021-07-22T15:44:21.416718Z",
        "Computer": "HOST-1",
        "EventData": {**data, **fields},
    }


def security(command: str) -> dict[str, object]:
    """Return Security's event 4688."""
    data = {
        "NewProcessName": "C:\\Windows\\System32\\whoami.exe",
        "CommandLine": command,
        "SubjectUserName": "anna",
        "ParentProcessName": "C:\\Windows\\System32\\cmd.exe",
    }
    return {
        **sysmon(""),
        "Provider": "Microsoft-Windows-Security-Auditing",
        "EventID": 4688,
        "EventData": data,
    }


def other() -> dict[str, object]:
    """Return an event of another kind: a connection."""
    return {**sysmon(""), "EventID": 3, "EventData": {"DestinationIp": "10.0.0.1"}}
