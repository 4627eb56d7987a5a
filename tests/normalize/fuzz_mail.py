"""Fuzzes the reading of mail: `python -m tests.normalize.fuzz_mail --minutes 30`.

Mails are cut, spliced, repeated and filled with what breaks the grammar. Each must become fields, a
sender and parts in bounded time. What does not is written to a folder and counted.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from buckler.isolation import EventFault, attempt
from buckler.normalize import get_normalizer
from buckler.normalize.mail_headers import sender_of
from buckler.normalize.mail_wrappers import signed_content, tnef_message
from buckler.normalize.mime import message_headers, parse_message
from buckler.normalize.outlook_message import internet_message
from buckler.tasks.task import group_of
from tests.support.made_msg import compound_file, message_tree
from tests.support.wrapped_mails import attribute, properties, signed_mail, winmail

LIMIT_S = 5.0  # for the largest input, on a busy machine
MAX_BYTES = 1 << 18
_TOKENS = [
    *(
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\n ",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"=",
        b"==",
        b'"',
    ),
    *(
        b"(",
        b")",
        b"<",
        b">",
        b"@",
        b",",
        b";",
        b":",
        b"\\",
        b"--",
        b"=?utf-8?b?",
        b"?=",
        b"=?q?q?",
    ),
    *(
        b"\nContent-Type: multipart/mixed; boundary=",
        b"\nContent-Type: message/rfc822\n\n",
        b"*0*=",
    ),
    *(b"\nContent-Transfer-Encoding: base64\n\n", b"quoted-printable", b"x-uuencode", b"charset="),
    *(b"utf-7", b"utf-16", b"iso-2022-jp", b"hz-gb-2312", b"filename*=utf-8''", b"name=a.eml"),
    *(b"<a href=", b"<!--", b"<div style='display:none'>", b"</", b"&#", b"\x1b$B", b"+AGE-"),
    *(b"{\\rtf1", b"\\'", b"\\u-1?", b"{\\*\\htmltag ", b"LZFu", b"\xff\xff\xff\xff", b"\x00\x00"),
]


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes of CPU time; return 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.normalize.fuzz_mail")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("fuzz-mail"))
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    mails, wrapped = _mails(options.data), _wrapped_messages()
    escapes, runs, slowest = 0, 0, 0.0
    end = time.process_time() + 60 * options.minutes
    while time.process_time() < end:
        seeds, read = (wrapped, _read_wrapped) if rng.random() < 0.15 else (mails, _read)
        data = mutate(seeds, rng, _TOKENS)
        start = time.process_time()
        fault = _fault_of(read, data)
        taken = time.process_time() - start
        runs, slowest = runs + 1, max(slowest, taken)
        if fault is None and taken > LIMIT_S:
            fault = f"{taken:.1f} s"
        if fault is not None:
            escapes += 1
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"{options.seed}-{runs}.eml").write_bytes(data)
            sys.stdout.write(f"input {runs}: {fault}\n")
    sys.stdout.write(f"{runs:,} inputs, {escapes} escapes, slowest {slowest:.2f} s\n")
    return 1 if escapes else 0


def _fault_of(read: Callable[[bytes], None], data: bytes) -> str | None:
    result = attempt(read, data)
    return repr(result.error) if isinstance(result, EventFault) else None


def _read(data: bytes) -> None:
    for name, separators in (("email-v2", 5), ("email-auth-v1", 6), ("email-v1", 3)):
        assert get_normalizer(name).normalize(data, 1 << 20).count(b"\x1f") == separators
    for part in parse_message(data):
        assert part.span is None or 0 <= part.span[0] <= part.span[1] <= part.span[2]
        part.text.encode("utf-8", "surrogatepass")
    sender = sender_of(message_headers(data))
    assert not sender.address or "@" in sender.address
    group_of(data, b"", "sender-domain")


def _read_wrapped(data: bytes) -> None:
    for unwrap in (internet_message, tnef_message, signed_content):
        raw = unwrap(data)
        if raw is not None:
            _read(raw)


def _mails(data: Path) -> list[bytes]:
    mails = [b"From: a@b.example\nSubject: x\n\nhello\n"]
    for name in ("train", "modern"):
        path = data / "email" / f"{name}.parquet"
        if path.is_file():
            column = pq.read_table(path, columns=["raw"])["raw"].to_pylist()[::20]
            mails += [str(raw).encode("utf-8", "surrogateescape")[:MAX_BYTES] for raw in column]
    return mails


def _wrapped_messages() -> list[bytes]:
    values: dict[int, str | bytes] = {0x37: "subject", 0x7D: "From: a@b.example\n", 0x1000: "text"}
    rich = b"\x40\0\0\0\x30\0\0\0MELA\0\0\0\0{\\rtf1\\fromhtml1 {\\*\\htmltag <p>}x\\'e4\\u8364?}"
    inner = message_tree({0x37: "inner", 0x1000: "text"}, inside=True)
    attached: tuple[dict[int, object], ...] = ({0x3707: "a.exe"}, {0x3701: inner})
    return [
        compound_file(message_tree(values, attached)),
        compound_file(message_tree({**values, 0x1009: rich}, (), 932, "cp932")),
        signed_mail(b"Content-Type: text/html\n\n<p>x"),
        signed_mail(b"Content-Type: text/html\n\n<p>x", is_open=True),
        winmail(
            attribute(1, 0x00069003, properties([(0x1E, 0x1000, b"x"), (0x102, 0x1009, rich)]))
        ),
    ]


def mutate(seeds: list[bytes], rng: np.random.Generator, tokens: list[bytes]) -> bytes:
    """Return a copy of a seed with some pieces cut, repeated, spliced or replaced by tokens."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.integers(1, 9))):
        start = int(rng.integers(len(data) + 1))
        if rng.random() < 0.5:  # near the headers
            start = min(start, int(rng.integers(4096)))
        end = min(len(data), start + int(2 ** rng.uniform(0, 12)))
        data[start:end] = b"".join(_pieces(bytes(data[start:end]), seeds, rng, tokens))
    return bytes(data[:MAX_BYTES])


def _pieces(
    old: bytes, seeds: list[bytes], rng: np.random.Generator, tokens: list[bytes]
) -> Iterator[bytes]:
    """Yield what replaces a piece of the input."""
    kind = rng.integers(7)
    if kind == 0:  # nothing
        return
    if kind == 1:
        yield rng.bytes(int(rng.integers(1, 9)))
    elif kind == 2:
        other = seeds[rng.integers(len(seeds))]
        start = int(rng.integers(len(other)))
        yield other[start : start + int(2 ** rng.uniform(0, 13))]
    elif kind == 3:
        yield old * int(2 ** rng.uniform(0, 9))
    elif kind == 4:
        yield tokens[rng.integers(len(tokens))] * int(2 ** rng.uniform(0, 14))
        yield old
    else:
        for _ in range(int(rng.integers(1, 20))):
            yield tokens[rng.integers(len(tokens))]
        yield old if kind == 5 else b""


if __name__ == "__main__":
    raise SystemExit(main())
