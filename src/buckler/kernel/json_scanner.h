/* A strict scanner of JSON values: it accepts what Python's `json` accepts, or asks for a closer look. */
#ifndef BUCKLER_JSON_SCANNER_H
#define BUCKLER_JSON_SCANNER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAX_DEPTH 63u
#define MAX_NUMBER_BYTES 300 /* Python refuses integers of more than 4,300 digits */

typedef const uint8_t *cursor; /* NULL where the line needs a closer look */

static inline cursor skip_space(cursor p, cursor end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p;
}

/* The first quote, backslash or control character. */
static inline cursor find_special(cursor p, cursor end) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    for (uint64_t v; end - p >= 8; p += 8) {
        memcpy(&v, p, 8);
        const uint64_t quote = v ^ (ones * '"'), escape = v ^ (ones * '\\');
        if ((((quote - ones) & ~quote) | ((escape - ones) & ~escape) | ((v - ones * 0x20) & ~v)) & highs)
            break;
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) p++;
    return p;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of four hexadecimal digits, or -1. */
static int32_t code_unit(cursor p, cursor end) {
    int32_t unit = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Behind the string that begins at p. */
static cursor skip_string(cursor p, cursor end) {
    if (p >= end || *p != '"') return NULL;
    for (p++;;) {
        p = find_special(p, end);
        if (p >= end || *p < 0x20) return NULL;
        if (*p == '"') return p + 1;
        if (end - p < 2) return NULL;
        if (p[1] == 'u') {
            if (code_unit(p + 2, end) < 0) return NULL;
            p += 6;
        } else if (p[1] && strchr("\"\\/bfnrt", p[1])) {
            p += 2;
        } else {
            return NULL;
        }
    }
}

static inline cursor skip_digits(cursor p, cursor end) {
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p;
}

static cursor skip_number(cursor p, cursor end) {
    const cursor begin = p;
    if (p < end && *p == '-') p++;
    cursor digits = p;
    if (p < end && *p == '0')
        p++;
    else
        p = skip_digits(p, end);
    if (p == digits) return NULL;
    if (p < end && *p == '.') {
        digits = ++p;
        if ((p = skip_digits(p, end)) == digits) return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        digits = p;
        if ((p = skip_digits(p, end)) == digits) return NULL;
    }
    return p - begin > MAX_NUMBER_BYTES ? NULL : p;
}

static cursor skip_literal(cursor p, cursor end, const char *literal, size_t length) {
    return (size_t)(end - p) >= length && memcmp(p, literal, length) == 0 ? p + length : NULL;
}

static cursor skip_scalar(cursor p, cursor end) {
    if (p >= end) return NULL;
    switch (*p) {
    case '"': return skip_string(p, end);
    case 't': return skip_literal(p, end, "true", 4);
    case 'f': return skip_literal(p, end, "false", 5);
    case 'n': return skip_literal(p, end, "null", 4);
    default: return skip_number(p, end);
    }
}

/* Behind the colon of the name that begins at p. */
static cursor skip_name(cursor p, cursor end) {
    p = skip_string(skip_space(p, end), end);
    if (!p) return NULL;
    p = skip_space(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* Behind the value that begins at p, however it nests. */
static cursor skip_value(cursor p, cursor end) {
    uint64_t objects = 0; /* a bit for each level: 1 in an object, 0 in an array */
    unsigned depth = 0;
    for (;;) {
        p = skip_space(p, end);
        if (p < end && (*p == '{' || *p == '[')) {
            if (depth == MAX_DEPTH) return NULL;
            const unsigned is_object = *p == '{';
            objects = objects << 1 | is_object;
            depth++;
            p = skip_space(p + 1, end);
            if (p >= end) return NULL;
            if (*p != (is_object ? '}' : ']')) {
                if (is_object && !(p = skip_name(p, end))) return NULL;
                continue;
            }
        } else if (!(p = skip_scalar(p, end))) {
            return NULL;
        }
        for (;;) { /* behind a value */
            if (!depth) return p;
            p = skip_space(p, end);
            if (p >= end) return NULL;
            if (*p == ',') {
                p++;
                if (objects & 1 && !(p = skip_name(p, end))) return NULL;
                break;
            }
            if (*p++ != (objects & 1 ? '}' : ']')) return NULL;
            depth--;
            objects >>= 1;
        }
    }
}

#endif
