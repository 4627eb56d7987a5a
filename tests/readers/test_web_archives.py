"""Web archives: good pages are judged, whatever is damaged around them."""

import gzip
import re
from contextlib import suppress
from gzip import compress as gzip_bytes

import pytest

from buckler.dataset import read_dataset
from buckler.errors import InputError
from buckler.readers.quarantine import Quarantine
from buckler.tasks import get_task
from tests.support.web_archives import archive

pytest.importorskip("selectolax")
pytest.importorskip("warcio")
TASK = get_task("html")
PAGES = [(f"http://{n}.example/", b"<p>%s</p>" % n.encode() * 9, "text/html") for n in "abcd"]


def read_archive(path, data):
    path.write_bytes(data)
    quarantine = Quarantine()
    events = read_dataset([path], TASK, quarantine=quarantine)
    addresses = [text.rpartition(b"\x1f")[2] for text in events.raw_texts]
    names = [address[len("http://") :].partition(b".")[0].decode() for address in addresses]
    return "".join(names), dict(quarantine.reasons)


def starts_of(data: bytes, gzip: bool) -> list[int]:
    mark = b"\x1f\x8b\x08" if gzip else b"WARC/1."
    return [found.start() for found in re.finditer(re.escape(mark), data)]


@pytest.mark.parametrize("gzip", [True, False])
def test_pages_around_damage_are_judged_and_the_damage_is_counted(tmp_path, gzip):
    data = archive(*PAGES, gzip=gzip)
    path = tmp_path / ("a.warc.gz" if gzip else "a.warc")
    _, _, b, c, d = starts_of(data, gzip)
    prefix = "damage in the archive: "
    for junk in (b"junk\r\n\r\n", bytes(range(256)) * 9, b"\0" * 99):
        found, reasons = read_archive(path, data[:c] + junk + data[c:])
        assert found == "abcd"
        assert sum(reasons.values()) == 1
        assert all(reason.startswith(prefix) for reason in reasons)
    for lost, at in (("d", d), ("bcd", b)):
        found, reasons = read_archive(path, data[: at + 40])
        assert found == "abcd".removesuffix(lost)
        assert sum(reasons.values()) == 1
    zeros = bytes(d - c - 60)
    found, reasons = read_archive(path, data[: c + 50] + zeros + data[d - 10 :])
    assert found == "abd"
    assert sum(reasons.values()) == 1
    found, reasons = read_archive(path, data[: len(data) - 30])
    assert found == "abc"
    assert sum(reasons.values()) == 1


def test_bytes_of_a_damaged_archive_reach_no_terminal(tmp_path, capsys):
    data = archive(*PAGES, gzip=False)
    at = starts_of(data, False)[3]
    read_archive(tmp_path / "a.warc", data[:at] + b"\x1b[2J junk" * 999 + b"\r\n" + data[at:])
    assert capsys.readouterr() == ("", "")


def test_an_archive_that_is_packed_as_a_whole_is_read(tmp_path):
    data = gzip_bytes(archive(*PAGES, gzip=False))
    assert read_archive(tmp_path / "a.warc.gz", data) == ("abcd", {})


@pytest.mark.parametrize("gzip", [True, False])
@pytest.mark.parametrize("header", [b"x: y\r\n" * 100_000, b"x: " + b"y" * (1 << 20) + b"\r\n"])
@pytest.mark.parametrize("counts", [True, False])
def test_headers_without_an_end_cost_their_record_alone(tmp_path, gzip, header, counts):
    whole = archive(*PAGES[:3], gzip=False)
    starts = starts_of(whole, gzip=False)
    parts = [whole[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    at = parts[2].index(b"Content-Type: text/html")
    parts[2] = parts[2][:at] + header + parts[2][at:]
    if counts:  # else the record's length is wrong too
        length = re.search(rb"Content-Length: (\d+)", parts[2])
        new = b"Content-Length: %d" % (int(length[1]) + len(header))
        parts[2] = parts[2].replace(length[0], new, 1)
    data = b"".join(map(gzip_bytes, parts) if gzip else parts)
    found, reasons = read_archive(tmp_path / ("a.warc.gz" if gzip else "a.warc"), data)
    assert found == "ac"
    assert len(reasons) == 1


@pytest.mark.parametrize(
    ("encoding", "body", "found"),
    [
        ("br", b"\x8b\x0b\x80<p>x</p>\x03", ""),
        ("zstd", b"\x28\xb5\x2f\xfd<p>", ""),
        ("gzip, br", b"\x1f\x8b", ""),
        ("br", b" <p>unpacked by the crawler</p>", "e"),
        ("x-gzip", gzip.compress(b"<p>x</p>", mtime=0), "e"),
        ("identity", b"<p>x</p>", "e"),
    ],
)
def test_packed_pages_are_unpacked_or_set_aside(tmp_path, encoding, body, found):
    page = ("http://e.example/", body, "text/html")
    first = archive(*PAGES[:1], gzip=False)
    second = archive(page, gzip=False, encoding=encoding)
    names, reasons = read_archive(tmp_path / "a.warc", first + second)
    assert names == "a" + found
    reason = f"a page in the encoding {encoding}, which is not read here"
    assert reasons == ({} if found else {reason: 1})


def test_many_damages_take_bounded_time(tmp_path):
    record = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\n"
    cut = record + b"Content-Length: 99999999\r\n\r\nHTTP/1.1 200 OK\r\n\r\n<p>\n"
    for piece in (cut, b"WARC/1.0\n", b"\x1f\x8b\x08"):
        path = tmp_path / "a.warc"
        path.write_bytes(archive(*PAGES, gzip=False) + piece * 20_000)
        quarantine = Quarantine()
        with suppress(InputError):
            read_dataset([path], TASK, quarantine=quarantine)
        assert quarantine.count > 0
