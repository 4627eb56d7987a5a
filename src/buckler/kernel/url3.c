/* url-v3. The rules are written out in docs/normalize.md. */
#include "ngram_parts.h"
#include "url.h"

enum { FEATURES_BYTES = 2 + 4 * 40 };

size_t bk_write_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, url_fields *fields) {
    const size_t tail = 1 + URL_TARGET_BYTES + FEATURES_BYTES;
    const size_t room = capacity > 2 * tail ? capacity - tail : capacity / 2;
    byte_sink result = {out, 0, capacity};
    url_part outer = {out, 0};
    const uint8_t *trimmed = text;
    size_t trimmed_length = length, start = bk_find_authority(&trimmed, &trimmed_length);
    size_t *const ends = fields->ends;
    resolved_url url;
    fields->marks = 0;
    int written = bk_current_path()->write_plain(trimmed, trimmed_length, start, room, &result, ends, &fields->marks);
    if (!written) {
        bk_resolve_url(text, length, &url);
        bk_write_resolved(&url, room, &result, ends);
        outer = url.outer;
        fields->marks = url.marks;
    }
    if (written != 1) { /* there may be a target */
        const size_t before = result.length;
        sink_byte(&result, BK_FIELD_SEPARATOR);
        const size_t target = result.length;
        sink_bytes(&result, outer.bytes, outer.length);
        const url_part query = {out + ends[1] + 1, ends[2] > ends[1] ? ends[2] - ends[1] - 1 : 0};
        const url_part page = {out + ends[0] + 1, ends[1] > ends[0] ? ends[1] - ends[0] - 1 : 0};
        if (result.length == target) bk_write_target(&result, query, &fields->marks);
        if (result.length == target) bk_write_target(&result, page, &fields->marks);
        if (result.length == target) result.length = before;
    }
    return result.length;
}

size_t bk_normalize_site(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts) {
    url_fields fields;
    bk_write_url3(text, length, out, capacity, &fields);
    const size_t page = fields.ends[0] + 1;
    size_t end = fields.ends[1], at = page;
    parts->count = parts->n_features = 0;
    if (page > end) return fields.ends[0];
    parts->positions[parts->count++] = (uint32_t)(page - 1);
    if (fields.marks & URL_USERINFO) { /* it stands before an '@' in front of the path */
        const uint8_t *mark = memchr(out + page, '@', end - page);
        if (mark) at = (size_t)(mark + 1 - out);
    }
    memmove(out + page, out + at, end - at);
    return page + end - at;
}

size_t bk_normalize_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts) {
    url_fields fields;
    const size_t written = bk_write_url3(text, length, out, capacity, &fields);
    parts->count = 0;
    for (size_t n = 0; n < 3; n++)
        if (fields.ends[n] < written) parts->positions[parts->count++] = (uint32_t)fields.ends[n];
    const size_t n_features = bk_current_path()->url_features(out, fields.ends, fields.marks, parts->features);
    const size_t left = capacity - written, fit = left > 2 ? (left - 2) / sizeof(uint32_t) : 0;
    parts->n_features = (uint32_t)(n_features < fit ? n_features : fit);
    return written;
}
