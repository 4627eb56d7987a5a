from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buckler.normalize import mail_headers
from buckler.normalize.mail_headers import mailboxes, sender_of
from buckler.normalize.mime import message_headers
from buckler.tasks.task import group_of


@pytest.mark.parametrize(
    ("headers", "name", "address"),
    [
        ('From: "A very long name"\n\t<x@evil.example>', "A very long name", "x@evil.example"),
        ("From:\n x@evil.example", "", "x@evil.example"),
        ('From: "pay@bank.example" <x@evil.example>', "pay@bank.example", "x@evil.example"),
        ("From: pay@bank.example <x@evil.example>", "pay@bank.example", "x@evil.example"),
        (
            "From: =?utf-8?q?pay=40bank.example?= <x@evil.example>",
            "pay@bank.example",
            "x@evil.example",
        ),
        (
            "From: =?utf-8?q?a=40bank.example=2C?= <x@evil.example>",
            "a@bank.example,",
            "x@evil.example",
        ),
        ("From: =?utf-8?q?=22Bank=22_=3Cx=40evil.example=3E?=", "Bank", "x@evil.example"),
        ("From: x@evil.example (pay@bank.example)", "pay@bank.example", "x@evil.example"),
        ("From: x@(pay@bank.example)evil.example", "pay@bank.example", "x@evil.example"),
        ('From: "pay@bank.example"@evil.example', "", "pay@bank.example@evil.example"),
        ("From: Smith, John <x@evil.example>", "Smith, John", "x@evil.example"),
        ("From: pay@bank.example, Bob, <x@evil.example>", "", "pay@bank.example"),
        ("From: Team: Bob <x@evil.example>, y@else.example;", "Bob", "x@evil.example"),
        ("From: undisclosed:;\nSender: x@evil.example", "", "x@evil.example"),
        ("From: Bob\nSender: x@evil.example", "", "x@evil.example"),
        ("From: a@bank.example, x@evil.example\nSender: x@evil.example", "", "x@evil.example"),
        ("From: x@evil.example\nSender: list@else.example", "", "x@evil.example"),
        ("From:\nFrom: x@evil.example", "", "x@evil.example"),
        ("From: <@relay.example,@b.example:x@evil.example>", "", "x@evil.example"),
        ("From: <x @ evil . example>", "", "x@evil.example"),
        ("From: x @ evil . example", "", "x@evil.example"),
        ("From: <<x@evil.example.>>", ">", "x@evil.example"),
        ("From: <mailto:x@evil.example>", "", "x@evil.example"),
        ('From: "Bob <x@evil.example>', "Bob", "x@evil.example"),
        ("From: Bob :( <x@evil.example>", "", "x@evil.example"),
        ("From: Bob <x@evil.example", "Bob", "x@evil.example"),
        ('From: "x@evil.example"', "", "x@evil.example"),
        ("from : x@evil.example", "", "x@evil.example"),
        ("Subject: a\n\nFrom: x@evil.example", "", ""),
        ("From: " + "(" * 1000, None, ""),
    ],
)
def test_who_sent_a_mail(headers, name, address):
    sender = sender_of(message_headers(headers))
    assert sender.address == address
    assert name is None or sender.name == name


@pytest.mark.parametrize(
    ("sender", "group"),
    [
        (b"x@mail.evil.example", "evil.example"),
        (b"x@EVIL.Example.", "evil.example"),
        ("x@münchen.de".encode(), "münchen.de"),
        ("x@münchen.de".encode("latin-1"), "münchen.de"),
        (b"x@a.xn--mnchen-3ya.de", "münchen.de"),
        (b"x@[192.0.2.1]", "192.0.2.1"),
        (b"x@xn--\xff", "xn--ÿ"),
        (b"nobody", None),
    ],
)
def test_the_group_of_a_mail_is_its_senders_domain(sender, group):
    assert (
        group_of(b"From: A\n <" + sender + b">\n\nFrom: y@else.example", b"", "sender-domain")
        == group
    )


@given(st.text(alphabet='a@.,:;<>()"\\ =?é\x01', max_size=80))
def test_any_address_list_is_read(text):
    for mailbox in mailboxes(text.encode()):
        assert mailbox.address == "" or "@" in mailbox.address


@pytest.mark.parametrize("unit", ["a b,", "@,", "x@ ,", "@ ;", '"q" @,'])
def test_signs_without_an_address_take_linear_work(unit, monkeypatch):
    read = 0

    def count(text):
        nonlocal read
        read += len(text)
        return look(text)

    look = mail_headers._address_in
    monkeypatch.setattr(mail_headers, "_address_in", count)
    for n in (100, 1000):
        read = 0
        found = mailboxes(unit.encode() * n + b" Ann <ann@a.example>")
        assert read < 200 * n
        assert n > 100 or found[-1].address == "ann@a.example"


_SIGNS = [*'"<>@(),;:=?. \\+-_', "a", "Bob", "é", "\t", "x@y.example", "<a@b.example>", '"Doe, J"']


@given(st.lists(st.sampled_from(_SIGNS), max_size=12).map("".join))
def test_a_usual_mailbox_is_read_as_any_other(value):
    data = value.encode()
    usual = mailboxes(data)
    with patch.object(mail_headers, "mailbox_in", lambda _: None):
        assert mailboxes(data) == usual
