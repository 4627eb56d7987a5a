#include "links.h"

#include <string.h>

#include "unicode.h"
#include "url.h"

static int is_in_scheme(uint8_t c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '.' || c == '-';
}
static int is_slash(uint8_t c) { return c == '/' || c == '\\'; }

/* The number of bytes of a scheme at the beginning; the colon follows. 0 for none. */
static size_t scheme_length(const uint8_t *text, size_t length) {
    size_t n = 0;
    if (!length || !is_alpha(*text)) return 0;
    while (n < length && is_in_scheme(text[n])) n++;
    return n < length && text[n] == ':' ? n : 0;
}

static int is_web(const uint8_t *scheme, size_t length) {
    static const char known[][6] = {"http", "https", "ftp", "ws", "wss"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == length && memcmp(known[i], scheme, length) == 0) return 1;
    return 0;
}

void bk_split_link(const uint8_t *address, size_t length, link_parts *parts) {
    while (length && address[length - 1] <= 0x20) length--;
    while (length && *address <= 0x20) address++, length--;
    size_t w = 0;
    for (size_t i = 0; i < length; i++)
        if (!is_break(address[i])) parts->bytes[w++] = address[i];
    parts->length = w;
    parts->scheme = scheme_length(parts->bytes, w);
    for (size_t i = 0; i < parts->scheme; i++) parts->bytes[i] = lower(parts->bytes[i]);
}

static uint8_t *put(uint8_t *out, const uint8_t *text, size_t length) {
    if (length) memcpy(out, text, length);
    return out + length;
}

size_t bk_resolve_link(const link_parts *base, const link_parts *target, uint8_t *out) {
    uint8_t *const begin = out;
    const size_t scheme = target->scheme, skipped = scheme + (scheme > 0);
    const uint8_t *rest = target->bytes + skipped, *const end = target->bytes + target->length;
    const uint8_t *inner = rest;
    while (inner < end && is_slash(*inner)) inner++;
    const size_t slashes = (size_t)(inner - rest);
    if (scheme && !is_web(target->bytes, scheme)) return (size_t)(put(out, target->bytes, target->length) - begin);
    const int is_other = scheme != base->scheme || (scheme && memcmp(target->bytes, base->bytes, scheme) != 0);
    if (scheme && (is_other || slashes > 1)) {
        out = put(put(out, target->bytes, scheme), (const uint8_t *)"://", 3);
        return (size_t)(put(out, inner, (size_t)(end - inner)) - begin);
    }
    const uint8_t *p = base->bytes + base->scheme + (base->scheme > 0), *const stop = base->bytes + base->length;
    const int has_web_base = is_web(base->bytes, base->scheme);
    if (!has_web_base && (base->scheme || slashes > 1 || p == stop)) {
        if (slashes > 1) out = put(out, (const uint8_t *)"//", 2), rest = inner;
        return (size_t)(put(out, rest, (size_t)(end - rest)) - begin);
    }
    if (has_web_base) out = put(put(out, base->bytes, base->scheme), (const uint8_t *)"://", 3);
    if (slashes > 1) return (size_t)(put(out, inner, (size_t)(end - inner)) - begin);
    const int has_host = has_web_base || (stop - p > 1 && is_slash(p[0]) && is_slash(p[1]));
    if (has_host) {
        if (!has_web_base) out = put(out, (const uint8_t *)"//", 2);
        while (p < stop && is_slash(*p)) p++;
        while (p < stop && !is_slash(*p) && *p != '?' && *p != '#') *out++ = *p++;
    }
    if (!slashes) {
        uint8_t *const path = out;
        for (; p < stop && *p != '?' && *p != '#'; p++) *out++ = *p == '\\' ? '/' : *p;
        if (out == path && has_host) *out++ = '/';
        if (rest < end && *rest != '?' && *rest != '#')
            while (out > path && out[-1] != '/') out--;
    }
    return (size_t)(put(out, rest, (size_t)(end - rest)) - begin);
}

link_kind bk_link_kind(const uint8_t *target, size_t length) {
    static const struct {
        const char *scheme;
        link_kind kind;
    } known[] = {{"javascript", LINK_SCRIPT}, {"data", LINK_DATA},   {"mailto", LINK_MAIL},
                 {"tel", LINK_PHONE},         {"about", LINK_LOCAL}, {"blob", LINK_LOCAL},
                 {"chrome", LINK_LOCAL},      {"file", LINK_LOCAL},  {"chrome-extension", LINK_LOCAL},
                 {"moz-extension", LINK_LOCAL}};
    if (!length) return LINK_EMPTY;
    if (*target == '#') return LINK_FRAGMENT;
    if (*target == '/') return length > 1 && target[1] == '/' ? LINK_ABSOLUTE : LINK_ROOT;
    size_t scheme = 0, dashes = 0;
    for (; scheme < length && target[scheme] != ':'; scheme++) {
        if (!is_alpha(target[scheme]) && !is_digit(target[scheme]) && target[scheme] != '-') return LINK_RELATIVE;
        dashes += target[scheme] == '-';
    }
    if (scheme == length || scheme == dashes) return LINK_RELATIVE;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].scheme) == scheme && bk_starts_with(target, scheme, known[i].scheme)) return known[i].kind;
    return length - scheme > 2 && memcmp(target + scheme, "://", 3) == 0 ? LINK_ABSOLUTE : LINK_RELATIVE;
}

size_t bk_link_host(const uint8_t *target, size_t length, uint8_t *out) {
    const size_t scheme = scheme_length(target, length), at = scheme + (scheme > 0);
    if (length < at + 2 || target[at] != '/' || target[at + 1] != '/') return 0;
    url_fields fields;
    bk_write_url3(target, length, out, LINK_TEXT_BYTES, &fields);
    return fields.ends[0];
}

size_t bk_link_place(const uint8_t *link, size_t length, uint8_t *out) {
    url_fields fields;
    bk_write_url3(link, length, out, LINK_TEXT_BYTES, &fields);
    out[fields.ends[0]] = '/';
    return fields.ends[1];
}
