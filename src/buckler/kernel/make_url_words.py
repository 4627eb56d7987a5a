"""Writes url_words.h: imitated brands, luring words and well-known sites, indexed by letters."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from buckler.normalize.brands import BRANDS, LURES
from buckler.normalize.known_sites import KNOWN_SITES, USER_CONTENT

HASH_BITS = 15


def lexicon(brands: Iterable[str], lures: Iterable[str]) -> str:
    """Return words by the hash of their first four letters, and the brands of three.

    A set of bits says which hashes begin a word: almost all places of a URL need no more. Longer
    words come first.
    """
    kinds = [(word, "BRAND") for word in brands] + [(word, "LURE") for word in lures]
    found = sorted(
        ((hash_of(word), word, kind) for word, kind in kinds if len(word) >= 4),
        key=lambda entry: (entry[0] >> HASH_BITS - 8, -len(entry[1])),
    )
    bits, starts = _index([value for value, _, _ in found])
    words = [f'{{"{word}"; {len(word)}; {kind}}}' for _, word, kind in found]
    return (
        f"enum {{ BRAND = 1, LURE = 2, HASH_BITS = {HASH_BITS} }};\n"
        "typedef struct {\n    char text[16];\n    uint8_t length, kind;\n} url_word;\n"
        f"static const url_word url_words[] = {{{_wrap(', '.join(words)).replace(';', ',')}}};\n"
        f"static const uint8_t words_by_hash[] = {{{_wrap(', '.join(map(str, starts)))}}};\n"
        f"static const uint32_t word_hashes[1 << (HASH_BITS - 5)] = {{{_sparse(bits)}}};\n"
        f"static const char short_brands[][4] = "
        f"{{{_wrap(', '.join(f'{chr(34)}{w}{chr(34)}' for w in brands if len(w) == 3))}}};\n"
    )


def hash_of(word: str) -> int:
    """Return the hash of the first four letters, as the kernel computes it."""
    return _mix(int.from_bytes(word[:4].encode(), "little"))


def by_ends(brands: Iterable[str]) -> str:
    """Return the brands of five letters and more, by their first two letters and by their last."""

    def code(pair: str) -> int:
        return (ord(pair[0]) & 31) << 5 | ord(pair[1]) & 31

    long = [word for word in brands if len(word) >= 5]
    found = sorted([(code(w[:2]), w) for w in long] + [(1024 + code(w[-2:]), w) for w in long])
    starts = {end: at for at, (end, _) in reversed([*enumerate(found, 1)])}
    entries = ", ".join(f'{{"{word}"; {len(word)}; {end}}}' for end, word in found)
    return (
        f"enum {{ LONGEST_BRAND = {max(map(len, long))} }};\n"
        "typedef struct {\n    char text[16];\n    uint8_t length;\n    uint16_t end;\n"
        "} near_brand;\n"
        'static const near_brand near_brands[] = {{"", 0, 0xFFFF}, /* for none */'
        f'{_wrap(entries).replace(";", ",")}    {{"", 0, 0xFFFF}}}};\n'
        f"static const uint8_t brands_by_end[2048] = {{{_sparse(starts)}}};\n"
        "/* Three letters and the length of what is nearly one of them. */\n"
        f"static const uint32_t near_hashes[1 << (HASH_BITS - 5)] = {{{_sparse(_near(long))}}};\n"
    )


def _near(brands: Iterable[str]) -> dict[int, int]:
    """Return the set of letters that one change leaves, with the lengths that it leaves."""
    hashes = []
    for word in brands:
        codes = [ord(letter) & 31 for letter in word]
        kept = (codes[:3], [*codes[:2], codes[-1]], [codes[0], *codes[-2:]], codes[-3:])
        for k, (a, b, c) in enumerate(kept):
            for length in range(len(word) - 1, len(word) + 2):
                hashes.append(_mix(a | b << 8 | c << 16 | k << 24 | length << 26))
    return _index(hashes)[0]


def sites(known: Iterable[str], user_content: Iterable[str]) -> str:
    """Return the known sites, by the hash of their first four letters and their length."""
    found = sorted((site_hash(site), site) for site in known)
    bits, starts = _index([value for value, _ in found])
    ends = list(accumulate(len(site) for _, site in found))
    shared = [f'{{"{host}"; {len(host)}}}' for host in user_content]
    return (
        f"enum {{ LONGEST_SITE = {max(len(site) for _, site in found)} }};\n"
        f"static const char site_text[] = {_wrap_text([site for _, site in found])};\n"
        f"static const uint16_t site_ends[] = {{{_wrap(', '.join(map(str, [0, *ends])))}}};\n"
        f"static const uint16_t sites_by_hash[] = {{{_wrap(', '.join(map(str, starts)))}}};\n"
        f"static const uint32_t site_hashes[1 << (HASH_BITS - 5)] = {{{_sparse(bits)}}};\n"
        "static const struct {\n    const char *text;\n    size_t length;\n} user_content[] = "
        f"{{{_wrap(', '.join(shared)).replace(';', ',')}}};\n"
    )


def site_hash(site: str) -> int:
    """Return the hash of the first four letters and the length, as the kernel computes it."""
    return _mix(int.from_bytes(site[:4].encode(), "little") ^ len(site) << 24)


def _mix(letters: int) -> int:
    return letters * 0x9E3779B1 % 2**32 >> 32 - HASH_BITS


def _index(hashes: Sequence[int]) -> tuple[dict[int, int], list[int]]:
    """Return the set of sorted hashes by words of 32 bits, and where each highest byte begins."""
    bits: dict[int, int] = {}
    for value in hashes:
        bits[value >> 5] = bits.get(value >> 5, 0) | 1 << (value & 31)
    return bits, [sum(value >> HASH_BITS - 8 < n for value in hashes) for n in range(257)]


def _wrap_text(items: Iterable[str]) -> str:
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) > 92:
            lines.append(line)
            line = ""
        line += item
    return "".join(f'\n    "{text}"' for text in [*lines, line])


def _sparse(values: dict[int, int]) -> str:
    return _wrap(", ".join(f"[{at}] = {value:#x}" for at, value in sorted(values.items())))


def _wrap(text: str) -> str:
    lines, line = [], ""
    for item in text.split(", "):
        if len(line) + len(item) > 92:
            lines.append(line)
            line = ""
        line += item + ", "
    return "\n    " + "\n    ".join([*lines, line]) + "\n"


if __name__ == "__main__":
    head = "/* Written by make_url_words.py: do not edit. */\n"
    text = head + lexicon(BRANDS, LURES) + by_ends(BRANDS) + sites(KNOWN_SITES, USER_CONTENT)
    (Path(__file__).parent / "url_words.h").write_text(text, encoding="utf-8")
