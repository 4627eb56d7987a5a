"""Mails inside a part of another format: what mail programs show of them is read."""

from base64 import encodebytes

import numpy as np
import pytest

from buckler.normalize.email_v2 import email_fields
from buckler.normalize.mail_wrappers import signed_content, tnef_message
from buckler.normalize.mime import parse_message
from tests.support.certificates import self_signed
from tests.support.growth import assert_linear
from tests.support.wrapped_mails import (
    ENVELOPED,
    attribute,
    properties,
    signed_mail,
    winmail,
)

MAIL = (
    b"Content-Type: multipart/alternative; boundary=B\r\n\r\n--B\r\n\r\nplease sign in\r\n--B\r\n"
    b"Content-Type: text/html\r\n\r\n<a href='http://evil.example/login'>sign in</a>\r\n--B--\r\n"
)
PAGE = b"<p>please sign in <a href='http://evil.example/login'>here</a></p>"


def mail(kind: str, name: str, content: bytes) -> bytes:
    head = f"From: a@b.example\nSubject: s\nContent-Type: {kind}; name={name}\n"
    return (head + "Content-Transfer-Encoding: base64\n\n").encode() + encodebytes(content)


def shown(raw: bytes) -> list[str]:
    return [part.text.strip() for part in parse_message(raw) if part.is_shown]


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("application/pkcs7-mime; smime-type=signed-data", "smime.p7m"),
        ("application/x-pkcs7-mime", "x"),
        ("application/octet-stream", "a.P7M"),
    ],
)
def test_opaque_signed_mail_is_read(kind, name, is_open):
    raw = mail(kind, name, signed_mail(MAIL, is_open=is_open))
    assert shown(raw) == ["please sign in", "<a href='http://evil.example/login'>sign in</a>"]
    assert "evil.example" in email_fields(raw)


def test_what_another_program_signs_is_read(tmp_path):
    pkcs7 = pytest.importorskip("cryptography.hazmat.primitives.serialization.pkcs7")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    certificate, key = self_signed(tmp_path)
    signer = x509.load_pem_x509_certificate(certificate.read_bytes())
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(MAIL)
    builder = builder.add_signer(signer, secret, hashes.SHA256())
    data = builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    assert signed_content(data) == MAIL


def test_encrypted_mail_stays_an_attachment():
    raw = mail("application/pkcs7-mime", "smime.p7m", signed_mail(MAIL, kind=ENVELOPED))
    (part,) = parse_message(raw)
    assert part.is_attachment
    assert shown(raw) == []


def test_a_signed_mail_that_is_cut_off_is_read_as_far_as_it_goes():
    found = signed_content(signed_mail(MAIL)[:120])
    assert found
    assert MAIL.startswith(found)


@pytest.mark.parametrize("name", ["winmail.dat", "WINMAIL.DAT"])
def test_winmail_shows_text_page_and_names(name):
    values = [(3, 0x3FDE, 65001), (0x1E, 0x1000, b"please sign in\0"), (0x1F, 0x8001, b"x\0\0\0")]
    message = properties([*values, (0x102, 0x1013, PAGE)])
    content = winmail(
        attribute(1, 0x00069003, message),
        attribute(2, 0x00069002, bytes(14)),
        attribute(2, 0x00018010, b"invoice.pdf.exe\0"),
        attribute(2, 0x0006800F, b"MZ"),
    )
    for raw in (mail("application/ms-tnef", name, content), mail("a/b", name, content)):
        assert shown(raw) == ["please sign in", PAGE.decode()]
        assert any("invoice.pdf.exe" in part.names for part in parse_message(raw))
        assert "evil.example" in email_fields(raw)


def test_a_mail_inside_winmail_is_read():
    inner = winmail(attribute(1, 0x00069003, properties([(0x1E, 0x1000, b"inside")])))
    content = winmail(
        attribute(1, 0x0002800C, "grüße\0".encode("cp1252")),
        attribute(2, 0x00069002, bytes(14)),
        attribute(2, 0x00069005, properties([(0x0D, 0x3701, bytes(16) + inner)])),
    )
    assert shown(mail("application/ms-tnef", "winmail.dat", content)) == ["grüße", "inside"]


def test_damaged_wrappers_harm_nothing():
    rng = np.random.default_rng(0)
    block = properties([(0x1E, 0x1000, b"text"), (3, 0x3FDE, 1), (0x102, 0x1013, PAGE)])
    sound = [
        signed_mail(MAIL),
        signed_mail(MAIL, is_open=True),
        winmail(attribute(1, 0x00069003, block)),
    ]
    for data in sound * 300:
        changed = bytearray(data)
        for at in rng.integers(0, len(changed), rng.integers(1, 5)):
            changed[at] = rng.integers(256)
        changed = changed[: rng.integers(len(changed) + 1)]
        for read in (signed_content, tnef_message):
            read(bytes(changed))  # never raises


@pytest.mark.parametrize("unit", [b"\x30\x80", b"\x04\x00", b"\x24\x80\x04\x00", b"\0"])
def test_elements_without_end_take_linear_time(unit):
    head = signed_mail(b"", is_open=True)[:40]
    assert_linear(
        lambda text: signed_content(text.encode("latin-1")),
        unit.decode("latin-1"),
        1 << 19,
        head.decode("latin-1"),
    )
