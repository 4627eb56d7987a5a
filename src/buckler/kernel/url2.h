/* url-v2: url-v1, and what of a URL's build stays true from one source of URLs to the next. */
#ifndef BUCKLER_URL2_H
#define BUCKLER_URL2_H

#include "fields.h"
#include "sink.h"

enum { URL2_INPUT_BYTES = 2048, URL2_TARGET_BYTES = 64, URL2_MARKS_BYTES = 160 };

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

/* Appends marks and shape of a normalized URL, as words of up to four letters. */
void bk_url_structure(byte_sink *out, url_part host, url_part path, url_part query, uint32_t marks);

/* Whether a host may be that of a wrapper; most are not. */
int bk_may_wrap(url_part host);

/*
 * The URL inside a wrapper: what follows the host and its slashes in the whole, as it is
 * written, is `rest`. Its length in `out`, which holds URL2_INPUT_BYTES; 0 where this is no wrapper.
 */
size_t bk_unwrap_url(url_part host, url_part rest, uint8_t *out);

/* A host in digits as a dotted address, or in brackets in its shortest form; 0 where it is none. */
size_t bk_write_address(url_part host, uint8_t *out);

/* The result of url-v1 is taken apart and put together anew. */
size_t bk_normalize_url2(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

#endif
