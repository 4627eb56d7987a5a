"""Writes small Outlook messages: a compound file ([MS-CFB]) with properties ([MS-OXMSG])."""

import struct

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR = 512
_NONE = 0xFFFFFFFF


def _properties(
    values: dict[int, str | bytes], head: bytes, code_page: int = 0, codec: str = ""
) -> dict[str, bytes]:
    """Return the streams of some properties (id -> value): text, or bytes as they are."""
    streams, entries = {}, b""
    for number, value in values.items():
        kind = 0x0102 if isinstance(value, bytes) else 0x001E if codec else 0x001F
        data = value if isinstance(value, bytes) else value.encode(codec or "utf-16-le")
        streams[f"__substg1.0_{number:04X}{kind:04X}"] = data
        entries += struct.pack("<HHIII", kind, number, 6, len(data) + 2, 0)
    if code_page:
        for number, page in ((0x3FDE, 20866), (0x3FFD, code_page)):
            entries += struct.pack("<HHIII", 3, number, 6, page, 0)
    return {**streams, "__properties_version1.0": head + entries}


def message_tree(
    values: dict[int, str | bytes],
    attachments: tuple[dict[int, object], ...] = (),
    code_page: int = 0,
    codec: str = "",
    inside: bool = False,
) -> dict[str, object]:
    """Return the storage of a message; an attachment may hold the storage of another message."""
    n = len(attachments)
    head = struct.pack("<8x4I", 0, n, 0, n) + (b"" if inside else b"\0" * 8)
    tree: dict[str, object] = dict(
        _properties({0x1A: "IPM.Note", **values}, head, code_page, codec)
    )
    for number, attachment in enumerate(attachments):
        plain = {k: v for k, v in attachment.items() if not isinstance(v, dict)}
        folder: dict[str, object] = dict(_properties(plain, b"\0" * 8))
        folder |= {f"__substg1.0_{k:04X}000D": v for k, v in attachment.items() if k not in plain}
        tree[f"__attach_version1.0_#{number:08X}"] = folder
    return tree


def made_msg(
    subject: str, sender: str, body: str, html: str = "", attachments: tuple[str, ...] = ()
) -> bytes:
    """Return a .msg file."""
    headers = f"From: {sender}\r\nSubject: {subject}\r\nReply-To: other@else.example\r\n\r\n"
    values: dict[int, str | bytes] = {0x37: subject, 0x7D: headers, 0x1000: body}
    if html:
        values[0x1013] = html
    return compound_file(message_tree(values, tuple({0x3707: name} for name in attachments)))


def compound_file(tree: dict[str, object]) -> bytes:
    """Return a file with these streams and storages."""
    entries: list[tuple[str, int, int, bytes]] = []  # name, kind, child, data
    siblings: dict[int, int] = {}

    def add(folder: dict[str, object]) -> int:
        """Add the members of a folder as a chain of right siblings; return the first."""
        rows = []
        for name in sorted(folder, key=lambda n: (len(n), n.upper())):
            content = folder[name]
            row = len(entries)
            entries.append((name, 2 if isinstance(content, bytes) else 1, _NONE, b""))
            if isinstance(content, bytes):
                entries[row] = (name, 2, _NONE, content)
            else:
                entries[row] = (name, 1, add(content), b"")
            rows.append(row)
        for here, following in zip(rows, [*rows[1:], _NONE], strict=True):
            siblings[here] = following
        return rows[0] if rows else _NONE

    entries.append(("Root Entry", 5, _NONE, b""))
    entries[0] = ("Root Entry", 5, add(tree), b"")
    siblings[0] = _NONE
    fat: list[int] = []
    sectors: list[bytes] = []

    def store(data: bytes) -> int:
        if not data:
            return _END
        first = len(sectors)
        for at in range(0, len(data), _SECTOR):
            sectors.append(data[at : at + _SECTOR].ljust(_SECTOR, b"\0"))
            fat.append(len(sectors))
        fat[-1] = _END
        return first

    mini, mini_fat = b"", []  # all streams are small: they share one, in sectors of 64 bytes

    def store_small(data: bytes) -> int:
        nonlocal mini
        first = len(mini) // 64
        mini += data.ljust(-(-len(data) // 64) * 64, b"\0")
        mini_fat.extend([*range(first + 1, len(mini) // 64), _END])
        return first

    starts = [store_small(data) if data else _END for _, _, _, data in entries]
    entries[0] = (*entries[0][:3], mini)
    starts[0] = store(mini)
    mini_table = mini_fat + [_FREE] * (-len(mini_fat) % 128)
    first_mini_fat = store(struct.pack(f"<{len(mini_table)}I", *mini_table))
    directory = b""
    for row, (name, kind, child, data) in enumerate(entries):
        start = starts[row] if kind != 1 else 0
        encoded = (name + "\0").encode("utf-16-le")
        directory += struct.pack(
            "<64sHBBIII16xI16xIQ",
            encoded, len(encoded), kind, 1, _NONE, siblings[row], child, 0, start, len(data),
        )  # fmt: skip
    while len(directory) % _SECTOR:
        directory += struct.pack("<64sHBBIII16xI16xIQ", b"", 0, 0, 0, _NONE, _NONE, _NONE, 0, 0, 0)
    first_directory = store(directory)
    n_fat = 1
    while (len(fat) + n_fat) * 4 > n_fat * _SECTOR:
        n_fat += 1
    fat_at = len(sectors)
    table = fat + [_FAT] * n_fat
    table += [_FREE] * (n_fat * _SECTOR // 4 - len(table))
    sectors += [struct.pack("<128I", *table[i : i + 128]) for i in range(0, len(table), 128)]
    difat = [*range(fat_at, fat_at + n_fat)] + [_FREE] * (109 - n_fat)
    head = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII109I",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6,
        0, n_fat, first_directory, 0, 4096, first_mini_fat, len(mini_table) // 128, _END, 0, *difat,
    )  # fmt: skip
    return head + b"".join(sectors)
