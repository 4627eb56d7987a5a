"""Web archives, written for tests."""

from io import BytesIO


def archive(*pages: tuple[str, bytes, str], gzip: bool = True, encoding: str = "") -> bytes:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = BytesIO()
    writer = WARCWriter(out, gzip=gzip)
    writer.write_record(writer.create_warcinfo_record("x.warc", {"software": "test"}))
    for address, body, kind in pages:
        fields = [("Content-Type", kind), *([("Content-Encoding", encoding)] if encoding else [])]
        headers = StatusAndHeaders("200 OK", fields, protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                address, "response", payload=BytesIO(body), length=len(body), http_headers=headers
            )
        )
    return out.getvalue()
