/* URLs: url-v1; url-v3, which undoes disguises and lists features; url-site-v1, its host and path. */
#ifndef BUCKLER_URL_H
#define BUCKLER_URL_H

#include "fields.h"
#include "sink.h"
#include "unicode.h"

enum { URL_INPUT_BYTES = 2048, URL_TARGET_BYTES = 64 };

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
 * Whether a label may be the name of a wrapper, by its last three letters: most hosts end here. Each
 * is one bit of a set by the letter that ends the name; letters count by their low five bits.
 */
static inline int may_be_wrapper(const uint8_t *end, size_t length) {
#define B(c) 1u << (c & 31)
    static const struct {
        uint32_t second, third; /* letters before the last one */
    } before[32] = {
        ['c' & 31] = {B('e') | B('v'), B('t') | B('s')},
        ['e' & 31] = {B('l') | B('b') | B('v') | B('c') | B('s') | B('y'), B('g') | B('u') | B('i') | B('n') | B('e')},
        ['f' & 31] = {B('e'), B('r')},
        ['g' & 31] = {B('n'), B('i')},
        ['k' & 31] = {B('o') | B('v') | B('c'), B('o') | B('.') | B('i')},
        ['l' & 31] = {B('w'), B('.')},
        ['m' & 31] = {B('a'), B('r')},
        ['n' & 31] = {B('i') | B('o') | B('a'), B('d') | B('i') | B('n') | B('c')},
        ['o' & 31] = {B('o') | B('g') | B('c') | B('r'), B('h') | B('k') | B('s') | B('c')},
        ['r' & 31] = {B('e') | B('l') | B('i'), B('g') | B('b') | B('d')},
        ['s' & 31] = {B('d') | B('e') | B('o') | B('b'), B('a') | B('c') | B('h')},
        ['t' & 31] = {B('c') | B('i') | B('s') | B('n'), B('e') | B('d') | B('i') | B('a')},
        ['5' & 31] = {B('6'), B('3')},
        ['x' & 31] = {B('e'), B('d')},
        ['y' & 31] = {B('t'), B('i')},
    };
#undef B
    if (length < 3) return 1;
    return before[end[-1] & 31].second >> (end[-2] & 31) & before[end[-1] & 31].third >> (end[-3] & 31) & 1;
}

/* Whether "xn--" stands in a host, in any case. */
static inline int has_punycode(const uint8_t *host, size_t length) {
    for (size_t i = 0; i + 4 < length; i++)
        if ((host[i] | 0x20) == 'x' && (host[i + 1] | 0x20) == 'n' && host[i + 2] == '-' && host[i + 3] == '-') return 1;
    return 0;
}

/* ".co" or "com", as before a country. */
static inline int ends_in_company(const uint8_t *end) {
    return (end[-3] == '.' && end[-2] == 'c' && end[-1] == 'o') || (end[-3] == 'c' && end[-2] == 'o' && end[-1] == 'm');
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

/*
 * Drops what is dropped at either end of a URL, and returns where its authority begins. *text and
 * *length become those of the rest.
 */
size_t bk_find_authority(const uint8_t **text, size_t *length);

/* Where host, path and query end, and what was noticed. */
typedef struct {
    size_t ends[3];
    uint32_t marks;
} url_fields;

/* Writes the text of url-v3, which features follow; returns its length. */
size_t bk_write_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, url_fields *fields);

/* Host and path of url-v3, without user info. */
size_t bk_normalize_site(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts);

/* Features go to *parts alone. */
size_t bk_normalize_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts);

#endif
