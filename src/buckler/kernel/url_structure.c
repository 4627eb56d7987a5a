/* The build of a URL in words: counts, shapes, well-known names in places that are not theirs. */
#include <string.h>

#include "unicode.h"
#include "url2.h"
#include "url_words.h"

enum { SHAPE_BYTES = 24, NO_PAIR = 26 * 26 };

/* A letter's number in any case; beyond 25 for what is none. */
static uint32_t letter_number(uint8_t c) { return (c | 0x20u) - (uint32_t)'a'; }

/* Where the words begin that start with the two letters here, in the list and in the next pair's; or none. */
static size_t pair_at(url_part text, size_t at) {
    uint32_t first = letter_number(text.bytes[at]), second = letter_number(text.bytes[at + 1]);
    return first > 25 || second > 25 ? NO_PAIR : 26 * first + second;
}

/* Whether a word stands here whose first two letters do; the third is asked before the rest. */
static int word_at(url_part text, size_t at, const char *const *words, const uint8_t *lengths,
                   const uint8_t *range, size_t least) {
    for (size_t w = range[0]; w < range[1]; w++)
        if ((text.bytes[at + 2] | 0x20) == words[w][2] && lengths[w] >= least &&
            bk_starts_with(text.bytes + at, text.length - at, words[w])) return 1;
    return 0;
}

/* Which kinds of words, brands of at least `least` letters and lures, stand anywhere in the text. */
static int find_words(url_part text, size_t least) {
    int found = 0;
    uint32_t first, second = text.length ? letter_number(text.bytes[0]) : 26;
    for (size_t i = 0; i + 3 <= text.length && found != (BRAND | LURE); i++) {
        first = second, second = letter_number(text.bytes[i + 1]);
        if (first > 25 || second > 25) continue;
        size_t pair = 26 * first + second;
        if (brands_by_pair[pair] == brands_by_pair[pair + 1] && lures_by_pair[pair] == lures_by_pair[pair + 1]) continue;
        if (!(found & BRAND) && word_at(text, i, brands, brands_lengths, brands_by_pair + pair, least)) found |= BRAND;
        if (!(found & LURE) && word_at(text, i, lures, lures_lengths, lures_by_pair + pair, 4)) found |= LURE;
    }
    return found;
}

static int is_brand(url_part name) {
    if (name.length < 2) return 0;
    size_t pair = pair_at(name, 0);
    if (pair == NO_PAIR) return 0;
    for (size_t w = brands_by_pair[pair]; w < brands_by_pair[pair + 1]; w++)
        if (brands_lengths[w] == name.length && memcmp(brands[w], name.bytes, name.length) == 0) return 1;
    return 0;
}

/* Whether a word is a brand but for one letter more, less, or changed, or two swapped. */
static int is_nearly(const uint8_t *word, size_t length, const char *brand, size_t n) {
    size_t i = 0, tail = 0, shorter = length < n ? length : n;
    /* One change leaves either the first letter or the last as it is. */
    if (word[0] != (uint8_t)brand[0] && word[length - 1] != (uint8_t)brand[n - 1]) return 0;
    while (i < shorter && word[i] == (uint8_t)brand[i]) i++;
    while (tail < shorter - i && word[length - 1 - tail] == (uint8_t)brand[n - 1 - tail]) tail++;
    size_t left = length - i - tail, right = n - i - tail;
    if (left + right == 0) return 0;
    if (left <= 1 && right <= 1) return 1;
    return left == 2 && right == 2 && word[i] == (uint8_t)brand[i + 1] && word[i + 1] == (uint8_t)brand[i];
}

static int has_near_brand(url_part name) {
    for (size_t start = 0, i = 0; i <= name.length; i++) {
        if (i < name.length && name.bytes[i] != '-') continue;
        size_t length = i - start, least = length < 6 ? 5 : length - 1, most = length + 2;
        if (length >= 4 && least <= LONGEST_BRAND) {
            size_t b = brands_by_length[least];
            size_t end = brands_by_length[most <= LONGEST_BRAND + 1 ? most : LONGEST_BRAND + 1];
            for (; b < end; b++) {
                const uint8_t which = brands_ordered[b];
                if (is_nearly(name.bytes + start, length, brands[which], brands_lengths[which])) return 1;
            }
        }
        start = i + 1;
    }
    return 0;
}

/* --- parts of the host ------------------------------------------------------------------------------ */

typedef struct {
    url_part suffix, name, sub; /* "co.uk", "example", "www.shop"; nothing where there is none */
    size_t subs;                /* labels of `sub` */
} host_parts;

/* The labels that registries sell under a country: without the whole list, good enough for a shape. */
static int is_second_level(const uint8_t *label, size_t length) {
    static const char *const known[] = {"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == length && memcmp(label, known[i], length) == 0) return 1;
    return 0;
}

static size_t label_before(const uint8_t *host, size_t end) {
    while (end > 0 && host[end - 1] != '.') end--;
    return end;
}

static host_parts split_host(url_part host) {
    host_parts p = {{host.bytes, 0}, host, {host.bytes, 0}, 0};
    size_t end = host.length, start = label_before(host.bytes, end);
    if (start == 0) return p;
    size_t second = label_before(host.bytes, start - 1);
    if (second > 0 && end - start == 2 && is_second_level(host.bytes + second, start - 1 - second)) {
        start = second;
        second = label_before(host.bytes, start - 1);
    }
    p.suffix = (url_part){host.bytes + start, end - start};
    p.name = (url_part){host.bytes + second, start - 1 - second};
    if (second > 0) {
        p.sub.length = second - 1;
        p.subs = 1;
        for (size_t i = 0; i + 1 < second; i++) p.subs += host.bytes[i] == '.';
    }
    return p;
}

/* --- words ------------------------------------------------------------------------------------------ */

static size_t bucket(size_t value, const uint8_t *edges, size_t n) {
    size_t i = 0;
    while (i < n && value >= edges[i]) i++;
    return i;
}

/* Words are put where there is room for all of them, so that nobody asks for each byte. */
enum { WORDS_BYTES = 192 };

static uint8_t *put_count(uint8_t *out, char name, size_t count) {
    *out++ = ' ';
    *out++ = (uint8_t)name;
    *out++ = (uint8_t)('0' + (count < 9 ? count : 9));
    return out;
}

static uint32_t mix(uint32_t h, uint32_t value) { return (h ^ value) * 0x9E3779B1u; }

static uint32_t mix_bytes(uint32_t h, url_part text) {
    for (size_t i = 0; i < text.length; i++) h = mix(h, text.bytes[i]);
    return mix(h, 0x100);
}

/* Runs of letters become 'a', of digits '0'; the rest stays. */
static uint32_t mix_shape(uint32_t h, url_part text) {
    uint8_t before = 0;
    for (size_t i = 0, n = 0; i < text.length && n < SHAPE_BYTES; i++) {
        uint8_t c = text.bytes[i], kind = is_digit(c) ? '0' : is_alpha(c) || c >= 0x80 ? 'a' : c;
        if (kind == before && (kind == '0' || kind == 'a')) continue;
        h = mix(h, before = kind);
        n++;
    }
    return mix(h, 0x100);
}

/* A hash as a word of four letters: a cross of several counts is one n-gram. */
static uint8_t *put_cross(uint8_t *out, uint32_t h) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    h ^= h >> 15;
    *out++ = ' ';
    for (int i = 0; i < 4; i++, h >>= 5) *out++ = (uint8_t)letters[h & 31];
    return out;
}

/* A mark of two letters. */
static uint8_t *put_mark(uint8_t *out, int set, const char *mark, uint32_t *which, uint32_t bit) {
    if (!set) return out;
    *out++ = ' ';
    *out++ = (uint8_t)mark[0];
    *out++ = (uint8_t)mark[1];
    *which |= bit;
    return out;
}

typedef struct {
    size_t digits, hyphens;
} byte_counts;

/* Counts in bytes, which many at once can be: 255 bytes at a time hold no more than a byte counts to. */
static byte_counts count_bytes(url_part text) {
    byte_counts n = {0, 0};
    for (size_t start = 0; start < text.length; start += 255) {
        size_t end = text.length - start < 255 ? text.length : start + 255;
        uint8_t digits = 0, hyphens = 0;
        for (size_t i = start; i < end; i++) {
            digits = (uint8_t)(digits + ((uint8_t)(text.bytes[i] - '0') < 10));
            hyphens = (uint8_t)(hyphens + (text.bytes[i] == '-'));
        }
        n.digits += digits, n.hyphens += hyphens;
    }
    return n;
}

/* Letters in place of the digits that look like them; the text itself where it has no digit. */
static url_part without_digits(url_part text, uint8_t *out, size_t capacity) {
    url_part plain = {out, text.length < capacity ? text.length : capacity};
    if (count_bytes(text).digits == 0) return (url_part){text.bytes, plain.length};
    for (size_t i = 0; i < plain.length; i++) {
        uint8_t c = text.bytes[i];
        out[i] = c == '0' ? 'o' : c == '1' ? 'l' : c == '3' ? 'e' : c == '4' ? 'a' : c == '5' ? 's' : c;
    }
    return plain;
}

void bk_url_structure(byte_sink *sink, url_part host, url_part path, url_part query, uint32_t marks) {
    static const uint8_t host_edges[] = {8, 12, 16, 20, 25, 30, 40, 60}, name_edges[] = {4, 6, 8, 10, 13, 16, 20, 26};
    static const uint8_t digit_edges[] = {1, 2, 4, 8}, path_edges[] = {1, 5, 10, 20, 40, 80};
    static const uint8_t path_digit_edges[] = {1, 3, 8, 16}, query_edges[] = {1, 10, 40};
    host_parts parts = split_host(host);
    url_part first = {path.bytes, 0}, last = {path.bytes, 0}, ending = {path.bytes, 0};
    const byte_counts in_host = count_bytes(host);
    size_t depth = 0, hyphens = in_host.hyphens;
    uint8_t words[WORDS_BYTES], *out = words;
    for (size_t start = 0; start < path.length;) {
        const uint8_t *at = path.bytes + start, *slash = memchr(at, '/', path.length - start);
        size_t n = slash ? (size_t)(slash - at) : path.length - start;
        if (n > 0) {
            last = (url_part){at, n};
            if (depth++ == 0) first = last;
        }
        start += n + 1;
    }
    for (size_t i = 0; i < last.length; i++)
        if (last.bytes[i] == '.') ending = (url_part){last.bytes + i + 1, last.length - i - 1};
    if (ending.length > 4) ending.length = 4;
    size_t subs = parts.subs < 4 ? parts.subs : 4, l = bucket(host.length, host_edges, 8);
    size_t r = bucket(parts.name.length, name_edges, 8), d = bucket(in_host.digits, digit_edges, 4);
    size_t p = depth < 5 ? depth : 5, e = bucket(path.length, path_edges, 6);
    size_t g = bucket(count_bytes(path).digits, path_digit_edges, 4), q = bucket(query.length, query_edges, 3);
    if (hyphens > 4) hyphens = 4;
    const size_t counts[] = {l, r, subs, d, hyphens, p, e, g, q};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) out = put_count(out, "lrsdyplgq"[i], counts[i]);
#define CROSS(n, a, b, c, d) mix(mix(mix(mix(n, (uint32_t)(a)), (uint32_t)(b)), (uint32_t)(c)), (uint32_t)(d))
    out = put_cross(out, mix_bytes(CROSS(1, subs, hyphens, d, 0), parts.suffix));
    out = put_cross(out, mix_bytes(CROSS(2, r, p, 0, 0), parts.suffix));
    out = put_cross(out, mix_shape(3, parts.name));
    out = put_cross(out, CROSS(4, subs, l, p, q));
    out = put_cross(out, mix_bytes(mix_bytes(CROSS(5, p, q, 0, 0), parts.suffix), ending));
    out = put_cross(out, mix_bytes(CROSS(6, p, e, g, 0), ending));
    out = put_cross(out, mix_bytes(mix(CROSS(7, subs, r, p, d), (uint32_t)hyphens), parts.suffix));
    out = put_cross(out, mix_shape(mix_shape(8, first), last));
#undef CROSS
    uint8_t plain_name[64], plain_sub[128];
    url_part name = without_digits(parts.name, plain_name, sizeof plain_name);
    url_part sub = without_digits(parts.sub, plain_sub, sizeof plain_sub);
    int own = is_brand(parts.name) && !(marks & URL_LOOKALIKE), in_name = find_words(parts.name, 3);
    int in_sub = find_words(sub, 4);
    int behind = find_words(path, 4) | find_words(query, 4), named = own || in_name & BRAND;
    /* Without a digit the name is as it was, and a brand of five letters would have been found. */
    int disguised = named || name.bytes == parts.name.bytes ? 0 : find_words(name, 5);
    uint32_t which = 0;
    out = put_mark(out, own, "=b", &which, 1);
    out = put_mark(out, !own && in_name & BRAND, "~b", &which, 2);
    out = put_mark(out, !named && disguised & BRAND, "xb", &which, 4);
    out = put_mark(out, !named && has_near_brand(name), "nb", &which, 8);
    out = put_mark(out, in_sub & BRAND, "sb", &which, 16);
    out = put_mark(out, behind & BRAND, "pb", &which, 32);
    out = put_mark(out, in_name & LURE, "rw", &which, 64);
    out = put_mark(out, in_sub & LURE, "sw", &which, 128);
    out = put_mark(out, behind & LURE, "pw", &which, 256);
    static const char *const names[] = {"ip", "pt", "ui", "id", "la", "rd", "tr"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        out = put_mark(out, (int)(marks >> i & 1), names[i], &which, 512u << i);
    out = put_cross(out, mix(9, which));
    sink_bytes(sink, words, (size_t)(out - words));
}
