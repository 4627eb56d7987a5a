/* url-v3: what is undone. The rules are written out in docs/normalize.md. */
#include "url.h"

#include <string.h>

#include "fields.h"
#include "unicode.h"

enum { WRAPPERS = 3 /* within one another */ };

/* --- before: what people do to a URL so that nobody clicks on it --------------------------------------- */

/* "[.]", "(dot)", "[:]", "[/]", "[@]" and the like become what they stand for. */
static size_t refang(const uint8_t *text, size_t length, uint8_t *out) {
    static const struct {
        const char *written, *meant;
    } known[] = {
        {"[.]", "."},  {"(.)", "."},   {"{.}", "."},   {"[dot]", "."},   {"(dot)", "."},  {"{dot}", "."},
        {"[:]", ":"},  {"(:)", ":"},   {"[/]", "/"},   {"[://]", "://"}, {"[@]", "@"},    {"[at]", "@"},
    };
    size_t w = 0;
    if (!memchr(text, '[', length) && !memchr(text, '(', length) && !memchr(text, '{', length)) {
        memcpy(out, text, length);
        return length;
    }
    for (size_t i = 0; i < length;) {
        size_t k = 0, n = sizeof known / sizeof *known;
        if (text[i] == '[' || text[i] == '(' || text[i] == '{')
            while (k < n && !bk_starts_with(text + i, length - i, known[k].written)) k++;
        else k = n;
        if (k == n) {
            out[w++] = text[i++];
            continue;
        }
        i += strlen(known[k].written);
        for (const char *c = known[k].meant; *c; c++) out[w++] = (uint8_t)*c;
    }
    return w;
}

/* --- host ----------------------------------------------------------------------------------------------- */

/* Letters of other alphabets become the Latin ones that they look like. */
static size_t write_latin(url_part host, uint8_t *out, uint32_t *marks) {
    size_t w = 0;
    uint8_t seen = 0;
    for (size_t i = 0; i < host.length; i++) seen |= host.bytes[i];
    if (seen < 0x80) {
        memcpy(out, host.bytes, host.length);
        return host.length;
    }
    for (size_t i = 0; i < host.length;) {
        uint32_t point;
        size_t used = bk_utf8_read(host.bytes + i, host.length - i, &point);
        uint8_t letter = used > 1 ? bk_lookalike(point) : 0;
        if (used > 1) *marks |= URL_FOREIGN;
        if (letter) {
            *marks |= URL_LOOKALIKE;
            out[w++] = letter;
        } else {
            for (size_t j = 0; j < (used ? used : 1); j++) out[w++] = host.bytes[i + j];
        }
        i += used ? used : 1;
    }
    return w;
}

static url_part write_plain_host(url_part host, uint8_t *out, uint32_t *marks) {
    size_t port = host.length;
    while (port > 0 && is_digit(host.bytes[port - 1])) port--;
    int has_port = port > 0 && port < host.length && host.bytes[port - 1] == ':';
    url_part name = {host.bytes, has_port ? port - 1 : host.length};
    while (has_port && name.length > 0 && host.bytes[name.length - 1] == '.') name.length--;
    if (has_port) *marks |= URL_PORT;
    size_t w = bk_write_address(name, out);
    if (w > 0) *marks |= URL_ADDRESS;
    else w = write_latin(name, out, marks);
    if (!has_port) return (url_part){out, w};
    out[w++] = ':';
    while (port + 1 < host.length && host.bytes[port] == '0') port++;
    for (size_t i = port; i < host.length; i++) out[w++] = host.bytes[i];
    return (url_part){out, w};
}

/* --- query and target ------------------------------------------------------------------------------------ */

static int is_tracking(const uint8_t *name, size_t length) {
    static const char *const known[] = {"utm_", "gclid=", "fbclid=", "msclkid=", "dclid=", "yclid=", "gbraid=",
                                        "wbraid=", "mc_cid=", "mc_eid=", "igshid=", "_ga=", "_gl=", "twclid=",
                                        "ttclid=", "li_fat_id=", "vero_id=", "_hsenc=", "_hsmi=", "mkt_tok="};
    if (length == 0 || !memchr("ugfmdywi_tlv", lower(name[0]), 12)) return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (bk_starts_with(name, length, known[i])) return 1;
    return 0;
}

size_t bk_write_query(url_part query, uint8_t *out, uint32_t *marks) {
    size_t w = 0;
    for (size_t start = 0; start < query.length;) {
        const uint8_t *mark = memchr(query.bytes + start, '&', query.length - start);
        const size_t end = mark ? (size_t)(mark - query.bytes) : query.length;
        if (is_tracking(query.bytes + start, end - start)) {
            *marks |= URL_TRACKED;
        } else {
            if (w > 0) out[w++] = '&';
            memmove(out + w, query.bytes + start, end - start);
            w += end - start;
        }
        start = end + 1;
    }
    return w;
}

/* Where another URL begins inside; the length of the text if none does. */
static size_t find_target(url_part text) {
    for (size_t at = 0; at < text.length; at++) {
        const uint8_t *colon = memchr(text.bytes + at, ':', text.length - at);
        if (!colon) break;
        at = (size_t)(colon - text.bytes);
        if (at + 2 >= text.length || colon[1] != '/') continue;
        if (at >= 5 && bk_starts_with(colon - 5, 5, "https")) return at - 5;
        if (at >= 4 && bk_starts_with(colon - 4, 4, "http")) return at - 4;
    }
    return text.length;
}

void bk_write_target(byte_sink *out, url_part text, uint32_t *marks) {
    size_t at = find_target(text), limit = out->length + URL_TARGET_BYTES;
    if (at == text.length) return;
    while (at < text.length && text.bytes[at] != ':') at++;
    while (at < text.length && (text.bytes[at] == ':' || text.bytes[at] == '/')) at++;
    if (bk_starts_with(text.bytes + at, text.length - at, "www.")) at += 4;
    for (; at < text.length && text.bytes[at] != '&' && text.bytes[at] != ' ' && out->length < limit; at++)
        sink_byte(out, lower(text.bytes[at]));
    *marks |= URL_TARGET;
}

/* --- all together ------------------------------------------------------------------------------------------ */

static void take_apart(const uint8_t *text, size_t length, resolved_url *url, url_part fields[3]) {
    text_parts parts;
    length = bk_normalize_url1(text, length, url->bytes, URL_INPUT_BYTES, &parts);
    for (size_t n = 0, start = 0; n < 3; n++) {
        size_t end = n < parts.count ? parts.positions[n] : length;
        fields[n] = (url_part){url->bytes + start, end - start};
        start = end < length ? end + 1 : length;
    }
    if (fields[0].length > HOST_BYTES) fields[0].length = HOST_BYTES;
}

/* What follows the host and its slashes, as it is written. */
static url_part rest_of(const uint8_t *text, size_t length) {
    size_t at = 0, n = 0;
    while (n < length && (is_alpha(text[n]) || is_digit(text[n]) || text[n] == '+' || text[n] == '-' || text[n] == '.')) n++;
    if (n < length && text[n] == ':') at = n + 1;
    while (at < length && (text[at] == '/' || text[at] == '\\')) at++;
    while (at < length && text[at] != '/' && text[at] != '\\' && text[at] != '?' && text[at] != '#') at++;
    while (at < length && (text[at] == '/' || text[at] == '\\')) at++;
    return (url_part){text + at, length - at};
}

/* Replaces a wrapper by where it leads; the wrapper's host is kept in `outer`. 1 if it was one. */
static int unwrap(uint8_t *text, size_t *length, resolved_url *url, url_part fields[3]) {
    uint8_t inner[URL_INPUT_BYTES];
    if (!bk_may_wrap(fields[0])) return 0;
    size_t n = bk_unwrap_url(fields[0], rest_of(text, *length), inner);
    if (n == 0) return 0;
    url->outer.length = fields[0].length < URL_TARGET_BYTES ? fields[0].length : URL_TARGET_BYTES;
    memcpy(url->outer_bytes, fields[0].bytes, url->outer.length);
    memcpy(text, inner, n);
    *length = n;
    take_apart(text, n, url, fields);
    return 1;
}

void bk_resolve_url(const uint8_t *text, size_t length, resolved_url *url) {
    uint8_t clean[URL_INPUT_BYTES];
    url_part fields[3];
    url->marks = 0;
    url->outer = (url_part){url->outer_bytes, 0};
    if (length > URL_INPUT_BYTES) length = URL_INPUT_BYTES;
    length = bk_drop_breaks(clean, refang(text, length, clean));
    take_apart(clean, length, url, fields);
    for (int i = 0; i < WRAPPERS && unwrap(clean, &length, url, fields); i++) url->marks |= URL_TARGET;
    url->path = fields[1];
    for (size_t i = 0; i < url->path.length && url->path.bytes[i] != '/'; i++)
        if (url->path.bytes[i] == '@') url->marks |= URL_USERINFO;
    url->host = write_plain_host(fields[0], url->host_bytes, &url->marks);
    url->query = (url_part){url->query_bytes, bk_write_query(fields[2], url->query_bytes, &url->marks)};
}

void bk_write_resolved(resolved_url *url, size_t room, byte_sink *result, size_t ends[3]) {
    const url_part written[3] = {url->host, url->path, url->query};
    for (size_t n = 0; n < 3; n++) { /* the host may take half, the path most of the rest */
        size_t limit = n == 0 ? room / 2 : n == 1 ? room - room / 8 : room;
        size_t left = result->length < limit ? limit - result->length : 0;
        if (n > 0) sink_byte(result, BK_FIELD_SEPARATOR);
        sink_bytes(result, written[n].bytes, written[n].length < left ? written[n].length : left);
        ends[n] = result->length;
    }
}
