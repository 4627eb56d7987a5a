/* URLs: url-v1; url-v3, which undoes disguises and lists features; url-site-v1, its host and path. */
#ifndef BUCKLER_URL_H
#define BUCKLER_URL_H

#include "fields.h"
#include "sink.h"
#include "unicode.h"

enum { URL_INPUT_BYTES = 2048, URL_TARGET_BYTES = 64, URL_FEATURES_BYTES = 2 + 4 * 40 };

typedef struct {
    const uint8_t *bytes;
    size_t length;
} url_part;

/* What was noticed while the URL was made normalized; a bit each. */
enum {
    URL_ADDRESS = 1,   /* the host is an address in digits */
    URL_PORT = 2,      /* a port that is not the usual one */
    URL_USERINFO = 4,
    URL_FOREIGN = 8,   /* letters beyond ASCII in the host */
    URL_LOOKALIKE = 16, /* of them, such as look like Latin ones */
    URL_TARGET = 32,   /* another URL inside */
    URL_TRACKED = 64   /* tracking parameters were dropped */
};

/*
 * Whether a label may be the name of a wrapper, by its length and its first three letters, each one bit of a
 * set: most are not. Letters count by their low five bits; three can be read.
 */
static inline int may_be_wrapper(const uint8_t *label, size_t length) {
#define B(c) 1u << (c & 31)
    static const struct {
        uint32_t second, third, lengths;
    } behind[32] = {
        ['a' & 31] = {B('m') | B('r') | B('v'), B('p') | B('c') | B('a'), B(10) | B(7) | B(6)},
        ['b' & 31] = {B('i'), B('n'), B(4)},
        ['c' & 31] = {B('u') | B('i') | B('h'), B('d') | B('s') | B('e'), B(7) | B(5) | B(10)},
        ['d' & 31] = {B('u') | B('o'), B('c') | B('u'), B(10) | B(11)},
        ['e' & 31] = {B('s'), B('v'), B(8)},
        ['f' & 31] = {B('a') | B('i'), B('c') | B('r'), B(8) | B(7)},
        ['g' & 31] = {B('o'), B('o'), B(6) | B(16)},
        ['h' & 31] = {B('r'), B('e'), B(4)},
        ['i' & 31] = {B('n'), B('s'), B(9)},
        ['l' & 31] = {B('i'), B('n'), B(8)},
        ['m' & 31] = {B('e') | B('i'), B('s') | B('m'), B(9) | B(8) | B(15)},
        ['o' & 31] = {B('u') | B('f'), B('t') | B('f'), B(7) | B(9) | B(6)},
        ['p' & 31] = {B('i') | B('r') | B('o'), B('n') | B('o') | B('s'), B(9) | B(10)},
        ['r' & 31] = {B('e'), B('d'), B(6)},
        ['s' & 31] = {B('l') | B('t') | B('o') | B('y'), B('a') | B('e') | B('p') | B('m'), B(11) | B(14) | B(6) | B(8)},
        ['t' & 31] = {B('h') | B('r'), B('r') | B('e'), B(7) | B(10)},
        ['u' & 31] = {B('m') | B('r'), B('b') | B('l'), B(5) | B(10) | B(14)},
        ['v' & 31] = {B('k'), 0, 0},
        ['w' & 31] = {B('l'), 0, 0},
        ['y' & 31] = {B('a') | B('o'), B('h') | B('n') | B('u'), B(5) | B(6) | B(7)},
    };
#undef B
    const uint32_t first = label[0] & 31, second = behind[first].second >> (label[1] & 31);
    const uint32_t third = behind[first].third >> (label[2] & 31), of_length = behind[first].lengths >> (length & 31);
    return (int)(second & ((uint32_t)(length == 2) | (third & of_length & (uint32_t)(length < 32))));
}

/* Whether "xn--" stands in a host, in any case. */
static inline int has_punycode(const uint8_t *host, size_t length) {
    for (size_t i = 0; i + 4 < length; i++)
        if ((host[i] | 0x20) == 'x' && (host[i + 1] | 0x20) == 'n' && host[i + 2] == '-' && host[i + 3] == '-') return 1;
    return 0;
}

/* Whether a host may be that of a wrapper; most are not. */
int bk_may_wrap(url_part host);

/* Whether a URL, of which `rest` follows the host as it is written, is a wrapper's. */
int bk_is_wrapper(url_part host, url_part rest);

/*
 * The URL inside a wrapper: what follows the host and its slashes in the whole, as it is
 * written, is `rest`. Its length in `out`, which holds URL_INPUT_BYTES; 0 where this is no wrapper.
 */
size_t bk_unwrap_url(url_part host, url_part rest, uint8_t *out);

/* A host in digits as a dotted address, or in brackets in its shortest form; 0 where it is none. */
size_t bk_write_address(url_part host, uint8_t *out);

/* A URL without defanging, wrappers, unusual ways to write an address, and tracking parameters. */
typedef struct {
    url_part host, path, query;
    url_part outer; /* host of the last wrapper */
    uint32_t marks;
    uint8_t bytes[URL_INPUT_BYTES + BK_PADDING], host_bytes[HOST_BYTES + 32], query_bytes[URL_INPUT_BYTES];
    uint8_t outer_bytes[URL_TARGET_BYTES];
} resolved_url;

void bk_resolve_url(const uint8_t *text, size_t length, resolved_url *url);

/* Writes host, path and query, of which each gets a part of `room` at most; and where they end. */
void bk_write_resolved(resolved_url *url, size_t room, byte_sink *result, size_t ends[3]);

/* Writes a query without the parameters that only say where a visitor came from. */
size_t bk_write_query(url_part query, uint8_t *out, uint32_t *marks);

/* Host and beginning of the path of a URL inside: where a link on leads. */
void bk_write_target(byte_sink *out, url_part text, uint32_t *marks);

/* ASCII that is not dropped at either end of a URL: one bit for each of 32 bytes. */
static inline int is_inside(uint8_t c) {
    static const uint32_t kept[8] = {0, ~(1u << (' ' & 31) | 1u << ('"' & 31) | 1u << ('\'' & 31) | 1u << ('<' & 31) | 1u << ('>' & 31)),
                                     ~0u, ~(1u << (0x7F & 31))};
    return kept[c >> 5] >> (c & 31) & 1;
}

/* The usual case of bk_find_authority: where it begins behind "http://" or "https://"; else 0. */
static inline size_t find_web_authority(const uint8_t *text, size_t length) {
    uint32_t scheme, slashes;
    if (length < 9 || !is_inside(text[length - 1])) return 0;
    const size_t is_secure = text[4] == 's', start = 7 + is_secure;
    memcpy(&scheme, text, sizeof scheme);
    memcpy(&slashes, text + 4 + is_secure, sizeof slashes);
    return scheme == 0x70747468 /* http */ && (slashes & 0xFFFFFF) == 0x2F2F3A /* :// */ && text[start] != '/' ? start : 0;
}

/*
 * Drops what is dropped at either end of a URL, and returns where its authority begins. *text and
 * *length become those of the rest.
 */
size_t bk_find_authority(const uint8_t **text, size_t *length);

/* Of the capacity for url-v3, what host, path and query may take. */
static inline size_t url3_room(size_t capacity) {
    const size_t tail = 1 + URL_TARGET_BYTES + URL_FEATURES_BYTES;
    return capacity > 2 * tail ? capacity - tail : capacity / 2;
}

/* Where host, path and query end, and what was noticed. */
typedef struct {
    size_t ends[3];
    uint32_t marks;
} url_fields;

/* Writes the text of url-v3, which features follow; returns its length. */
size_t bk_write_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, url_fields *fields);

/* Host and path of url-v3, without user info. */
size_t bk_normalize_site(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts);

/* The rest of it: a target, and all where the short way for plain URLs was not taken. */
size_t bk_finish_url3(const uint8_t *text, size_t length, int is_plain, uint8_t *out, size_t capacity, url_fields *fields);

#endif
