/* Code points, percent-encoding and host names, as the normalized texts need them. */
#ifndef BUCKLER_UNICODE_H
#define BUCKLER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum { HOST_BYTES = 1024 };

static inline int is_control(uint8_t c) { return c < 0x20 || c == 0x7F; }

static inline int is_break(uint8_t c) { return c == '\t' || c == '\n' || c == '\r'; }

enum { NO_HEX = 0xFF };

static inline uint8_t lower(uint8_t c) { return (c >= 'A' && c <= 'Z') ? (uint8_t)(c | 0x20) : c; }

static inline uint8_t hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return (uint8_t)(c - '0');
    c |= 0x20;
    if (c >= 'a' && c <= 'f') return (uint8_t)(c - 'a' + 10);
    return NO_HEX;
}

/* Writes a code point in up to four bytes of UTF-8; returns where they end. */
static inline uint8_t *bk_put_utf8(uint8_t *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (uint8_t)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (uint8_t)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (uint8_t)(0xE0 | c >> 12);
        } else {
            *out++ = (uint8_t)(0xF0 | c >> 18);
            *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    }
    *out++ = (uint8_t)(0x80 | (c & 0x3F));
    return out;
}

/* Length of the well-formed UTF-8 sequence at p, its code point in *point; 0 if it is not one. */
size_t bk_utf8_read(const uint8_t *p, size_t left, uint32_t *point);

/* Whether a text is well-formed throughout. */
int bk_is_utf8(const uint8_t *text, size_t length);

/* Bytes of the white space at p, as Python has it: 0 where there is none. */
static inline size_t bk_white_length(const uint8_t *p, size_t left) {
    const uint8_t c = *p;
    if (c < 0x80) return c == ' ' || (uint8_t)(c - 9) < 5 || (uint8_t)(c - 0x1C) < 4;
    if (left > 1 && c == 0xC2) return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;
    if (left < 3 || c < 0xE1 || c > 0xE3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80) return 0;
    const uint32_t point = (uint32_t)(c & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
    return point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
                   point == 0x202F || point == 0x205F || point == 0x3000
               ? 3
               : 0;
}

/* The code point that this one folds to. */
uint32_t bk_fold(uint32_t point);

/* Appends a folded code point at out[w] if it fits; returns the new length. */
size_t bk_put_folded(uint32_t point, uint8_t *out, size_t w, size_t capacity);

/* Undoes percent-encoding in place, up to three times; returns the new length. */
size_t bk_percent_decode(uint8_t *text, size_t length);

/* Drops tabs and line breaks in place, as browsers do wherever they stand in a URL. */
size_t bk_drop_breaks(uint8_t *text, size_t length);

/* One pass of it, for what is decoded step by step. */
size_t bk_percent_decode_once(uint8_t *text, size_t length);

/* Whether browsers leave a code point out of a host: soft hyphens, joiners, marks of direction. */
int bk_is_ignored(uint32_t point);

/* Folds a host that has bytes beyond ASCII or punycode labels. */
size_t bk_fold_host(const uint8_t *host, size_t length, uint8_t *out, size_t capacity);

/* The Latin letter that a Greek or Cyrillic one looks like, or 0. */
uint8_t bk_lookalike(uint32_t point);

#endif
