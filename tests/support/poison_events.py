"""Events that broke a reader, a parser or a run once, for every way in."""

import json

# Lines of JSON, of which no verdict is certain; each must cost no other line its own.
POISON_LINES = [
    b"",
    b"{broken",
    b'{"url": "http://a.example/',
    b"null",
    b"5",
    b"[]",
    b'"\\ud83d"',
    b"{}",
    b'{"url": null}',
    b'{"url": ""}',
    b'{"url": 5}',
    b'{"url": ["http://a.example/"]}',
    b'{"url": {"a": 1}}',
    b'{"url": "http://a.example/\\ud83d"}',
    b'{"url": "\\u0000"}',
    b'{"url": "http://a.example/", "n": NaN}',
    b'{"url": "http://a.example/", "n": ' + b"9" * 5000 + b"}",
    b'{"url": "http://a.example/", "ts": 1e400, "label": ["a"], "source": {"a": 1}}',
    b'{"url": "http://a.example/", "ts": -99999999999999999999999999}',
    b'{"url": "http://a.example/' + b"a" * 300_000 + b'"}',
    b'{"url": "http://\xe9.example/"}',
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"\x00" * 40,
    b"[" * 20_000 + b"]" * 20_000,
    b'{"url": ' + b'{"a": ' * 3000 + b"1" + b"}" * 3000 + b"}",
    json.dumps({"url": "http://\u2028\u202e\u0085.example/"}, ensure_ascii=False).encode(),
    b'{"url": "http://[::1"}',
    b'{"url": "http://a.example/%"}',
    b'{"url": "http://a.example/", "url": "http://b.example/"}',
]

# Texts of a column of bytes.
POISON_TEXTS = [
    *(None, b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\x1f\x1e\x1f", b"http://[::1"),
    *(b"%" * 1000, b"http://" + b"a" * 300_000, b"xn--" * 500, "\u202e\u2028".encode()),
]

# Mails.
POISON_MAILS = [
    b"Content-Type: text/plain; charset*0=utf; charset*1*=us''-8\n\nhello\n",
    b"Content-Type: text/plain; name*0=a; name*=b\n\nhello\n",
    b'Content-Type: text/plain; charset="utf\x008"\n\nhello\n',
    b"From: " + b"(" * 3000 + b"\n\nhello\n",
    b"From: =?utf-8?b?====?= <\xff@\xfe>\nSubject: =?idna?q?a?=\n\nhello\n",
    b"Content-Type: multipart/mixed; boundary=" + b"b" * 3000 + b"\n\n--b\n",
    b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nContent-Type: multipart/mixed; "
    b"boundary=b\n\n" * 300,
    b'Content-Disposition: attachment; filename="=?utf-8?q?=F0=9F?="; '
    b"filename*=utf-8''%FF\n\nx\n",
    b"Content-Transfer-Encoding: base64\n\n=====\n",
    b"Content-Transfer-Encoding: uuencode\n\nbegin 666 \xff\n\xff\nend\n",
    b"Date: Mon, 99 Foo 99999999999 99:99:99 +9999999\n\nhello\n",
    b"\xef\xbb\xbf\n\n\n",
    b"\x00" * 100,
    b"Subject: " + b"=?utf-7?q?+2D0-?= " * 50 + b"\n\nhello\n",
    b"Content-Type: message/rfc822\n\n" * 200,
    b"Content-Type: text/html; charset=utf-16\n\n<a\x00",
]


def among(good, poison):
    """Poison spread among good events, and the places of the good ones."""
    step, found, places = len(good) // len(poison), list(good), []
    for number, event in enumerate(poison):
        found.insert(number * (step + 1), event)
    bad = {number * (step + 1) for number in range(len(poison))}
    places = [place for place in range(len(found)) if place not in bad]
    assert [found[place] for place in places] == list(good)
    return found, places
