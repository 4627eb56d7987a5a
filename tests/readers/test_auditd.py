"""Logs of the audit daemon: programs come back as they were started, whatever stands between."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buckler.readers import ColumnSpec, Quarantine
from buckler.readers.objects import quote_word
from buckler.readers.reader import get_reader

SPEC = ColumnSpec(optional={"image": ("image",), "user": ("user",), "host": ("host",)}, mixed=True)
PLAIN = st.text(st.sampled_from("ab/-= []"), max_size=8)
WORDS = st.one_of(PLAIN, st.text(st.characters(exclude_categories=("Cs",)), max_size=8))


def read(path: Path, log: bytes, spec=SPEC):
    path.write_bytes(log)
    quarantine = Quarantine()
    chunks = list(get_reader(path).chunks(path, spec, quarantine))
    rows = [
        (
            row,
            chunk.events[i].as_py().decode(),
            *(column[i].as_py() for column in chunk.columns.values()),
        )
        for chunk in chunks
        for i, row in enumerate(chunk.rows.tolist())
    ]
    return rows, quarantine


def encode(word: str) -> str:
    """Return a value as auditd writes it."""
    is_plain = word.isascii() and word.isprintable() and not set(word) & set(' "')
    return f'"{word}"' if is_plain else word.encode().hex() or '""'


def records(serial: int, words: list[str], image: str) -> list[str]:
    stamp = f"msg=audit(1364481363.243:{serial}):"
    arguments = " ".join(f"a{n}={encode(word)}" for n, word in enumerate(words))
    return [
        f"type=SYSCALL {stamp} uid=0 exe={encode(image)}\n",
        f"node=web1 type=EXECVE {stamp} argc={len(words)} {arguments}\r\n",
        f'type=PATH {stamp} name="type EXECVE"\n',
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=5), WORDS), max_size=6), st.randoms()
)
def test_programs_come_back_in_the_order_of_the_log(tmp_path, programs, random):
    lines, expected = [], []
    order = random.sample(range(8, 8 + len(programs)), len(programs))
    for serial, (words, image) in zip(order, programs, strict=True):
        lines += records(serial, words, image)
        pieces = "\0".join(words).split("\0")  # no program can tell them apart
        text = " ".join(map(quote_word, pieces))
        expected.append((len(lines) - 1, text, image or None, "0", "web1"))
    found, quarantine = read(tmp_path / "audit.log", "".join(lines).encode())
    assert found == expected
    assert not quarantine.reasons


LINES = [
    *records(7, ["a b", "c"], "/x"),
    *("type=EXECVE msg=audit(1.2:7): a0=\n", "type=SYSCALL \n", "no record\n", "\r", ' a1="', "\n"),
]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(LINES), max_size=12), st.binary(max_size=3))
def test_no_line_of_a_log_is_lost_or_read_twice(tmp_path, lines, noise):
    # A first line, since a file of noise alone is refused as binary.
    log = ('type=CWD msg=audit(1.2:1): cwd="/"\n' + "".join(lines)).encode() + noise
    found, quarantine = read(tmp_path / "audit.log", log)
    rows = [row for row, *_ in found]
    assert rows == sorted(set(rows))
    assert len(rows) + quarantine.count <= len(log.splitlines())


def test_a_carriage_return_within_a_line_counts_no_row(tmp_path):
    line = 'type=EXECVE msg=audit(1364481363.243:7): argc=1 a0="a"\n'
    log = f"node=a type=CWD msg=audit(1.2:1): \r\r\n\r{line}type=SYSCALL \n{line}"
    found, _ = read(tmp_path / "audit.log", log.encode())
    assert [row for row, *_ in found] == [2, 4]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('a0="sh" a1[0]=6162 a1[1]="c d"', "sh 'abc d'"),  # one argument in two pieces
        ('a0="[" a1="a1[" a2="]="', "[ a1[ ]="),  # none of these is a piece
        ('a0="x" a1="unclosed', "x"),
        ('a0="x" a12345="y" a1=414', "x 414"),
        ('a0="x" a1=e28083ff', "x '\u2003\ufffd'"),
        ('a0="it\'s"', "'it'\\''s'"),
        ('a0=""', "''"),
    ],
)
def test_arguments_are_read_as_auditd_writes_them(tmp_path, arguments, text):
    log = f"type=EXECVE msg=audit(1.2:3): {arguments}\n".encode()
    assert [row[1] for row in read(tmp_path / "audit.log", log)[0]] == [text]


def test_a_number_that_comes_again_is_another_program(tmp_path):
    log = "".join(records(7, ["a"], "/a") + records(7, ["b"], "/b")).encode()
    found, _ = read(tmp_path / "audit.log", log)
    assert [(row[0], row[1], row[2]) for row in found] == [(2, "a", "/a"), (5, "b", "/b")]


def test_whole_programs_are_kept_where_asked(tmp_path):
    log = "".join(records(7, ["a"], "/a")).encode()
    found, _ = read(tmp_path / "audit.log", log, ColumnSpec(kept=("image", "absent")))
    assert [row[1:] for row in found] == [("a", '"/a"', None)]
