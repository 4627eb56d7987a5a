"""Compound files ([MS-CFB]): the storages and streams of an Outlook message.

Read here, and not by a library, so that a mail has the same normalized text on every machine. No
chain is followed beyond the sectors of the file, and no stream is read beyond its limit.
"""

import struct

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAX_ENTRIES = 1 << 14
_MAX_DEPTH = 32
_ENTRY = struct.Struct("<64sHBxIII36xIQ")
_STORAGE, _STREAM = 1, 2
_LAST = 0xFFFFFFFA  # greater numbers are no sectors
_MINI_BYTES = 64

Path = tuple[str, ...]


class CompoundFile:
    """Streams of a compound file, each under the names of the storages around it.

    Attributes
    ----------
    streams
        Start and size of each stream; names in upper case, as they are compared.
    storages
        Names of the storages in each storage; the path of the root is empty.

    Raises
    ------
    ValueError
        If the bytes are no compound file.
    """

    def __init__(self, data: bytes) -> None:
        if not data.startswith(MAGIC) or len(data) < 512 or data[30] not in (9, 12):
            raise ValueError("not a compound file")
        self._data, self._sector_bytes = data, 1 << data[30]
        directory, self._cutoff, mini_fat, difat = struct.unpack_from("<I4xII4xI", data, 48)
        self._fat = self._read_fat(struct.unpack_from("<109I", data, 76), difat)
        self._mini_fat = _numbers(self._chain(mini_fat, len(data)))
        self._mini = b""
        self._unread_bytes = len(data)  # so that streams that share sectors do not multiply
        self.streams: dict[Path, tuple[int, int]] = {}
        self.storages: dict[Path, list[str]] = {}
        self._read_directory(self._chain(directory, _MAX_ENTRIES * _ENTRY.size))

    def read(self, path: Path, limit: int) -> bytes:
        """Return the first bytes of a stream; none where the file has no such stream."""
        start, size = self.streams.get(path, (_LAST, 0))
        is_mini = size < self._cutoff
        size = min(size, limit, self._unread_bytes)
        self._unread_bytes -= size
        if not is_mini:
            return self._chain(start, size)[:size]
        pieces = []
        for _ in range(-(-size // _MINI_BYTES)):
            pieces.append(self._mini[start * _MINI_BYTES : (start + 1) * _MINI_BYTES])
            if start >= len(self._mini_fat):
                break
            start = self._mini_fat[start]
        return b"".join(pieces)[:size]

    def _read_fat(self, table: tuple[int, ...], difat: int) -> tuple[int, ...]:
        sectors = list(table)
        for _ in range(len(self._data) // self._sector_bytes):
            if difat >= _LAST:
                break
            *more, difat = _numbers(self._sector(difat)) or (_LAST,)
            sectors += more
        return _numbers(b"".join(self._sector(sector) for sector in dict.fromkeys(sectors)))

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._sector_bytes
        return self._data[start : start + self._sector_bytes] if number < _LAST else b""

    def _chain(self, sector: int, limit: int) -> bytes:
        pieces = []
        for _ in range(min(limit, len(self._data)) // self._sector_bytes + 1):
            pieces.append(self._sector(sector))
            if sector >= len(self._fat):
                break
            sector = self._fat[sector]
        return b"".join(pieces)

    def _read_directory(self, directory: bytes) -> None:
        usable = len(directory) // _ENTRY.size * _ENTRY.size
        entries = list(_ENTRY.iter_unpack(directory[:usable]))
        if not entries:
            raise ValueError("not a compound file")
        _, _, _, _, _, child, start, size = entries[0]
        self._mini = self._chain(start, min(size & 0xFFFFFFFF, len(self._data)))
        waiting: list[tuple[int, Path]] = [(child, ())]
        seen: set[int] = set()
        while waiting:
            number, path = waiting.pop()
            if number >= len(entries) or number in seen or len(path) > _MAX_DEPTH:
                continue
            seen.add(number)
            name, name_bytes, kind, left, right, child, start, size = entries[number]
            own = name[: max(0, min(64, name_bytes) - 2)].decode("utf-16-le", "replace").upper()
            waiting += [(left, path), (right, path)]
            if kind == _STORAGE:
                self.storages.setdefault(path, []).append(own)
                waiting.append((child, (*path, own)))
            elif kind == _STREAM:
                self.streams[(*path, own)] = (start, size & 0xFFFFFFFF)


def _numbers(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
