/* url-v3. The rules are written out in docs/normalize.md. */
#include "ngram_parts.h"
#include "url.h"

enum { FEATURES_BYTES = 2 + 4 * 40 };

size_t bk_normalize_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, text_parts *parts) {
    const size_t tail = 1 + URL_TARGET_BYTES + FEATURES_BYTES;
    const size_t room = capacity > 2 * tail ? capacity - tail : capacity / 2;
    byte_sink result = {out, 0, capacity};
    url_part outer = {out, 0};
    uint32_t marks = 0;
    size_t ends[3];
    const uint8_t *trimmed = text;
    size_t trimmed_length = length, start = bk_find_authority(&trimmed, &trimmed_length);
    resolved_url url;
    const path *p = bk_current_path();
    int written = p->write_plain(trimmed, trimmed_length, start, room, &result, ends, &marks);
    if (!written) {
        bk_resolve_url(text, length, &url);
        bk_write_resolved(&url, room, &result, ends);
        outer = url.outer;
        marks = url.marks;
    }
    if (written != 1) { /* there may be a target */
        const size_t before = result.length;
        sink_byte(&result, BK_FIELD_SEPARATOR);
        const size_t target = result.length;
        sink_bytes(&result, outer.bytes, outer.length);
        const url_part query = {out + ends[1] + 1, ends[2] > ends[1] ? ends[2] - ends[1] - 1 : 0};
        const url_part page = {out + ends[0] + 1, ends[1] > ends[0] ? ends[1] - ends[0] - 1 : 0};
        if (result.length == target) bk_write_target(&result, query, &marks);
        if (result.length == target) bk_write_target(&result, page, &marks);
        if (result.length == target) result.length = before;
    }
    parts->count = 0;
    for (size_t n = 0; n < 3; n++)
        if (ends[n] < result.length) parts->positions[parts->count++] = (uint32_t)ends[n];
    size_t n_features = p->url_features(out, ends, marks, parts->features);
    size_t left = capacity - result.length, fit = left > 2 ? (left - 2) / sizeof(uint32_t) : 0;
    parts->n_features = (uint32_t)(n_features < fit ? n_features : fit);
    return result.length;
}
