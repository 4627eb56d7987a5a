/* url-v3. The rules are written out in docs/normalize.md. */
#include "ngram_parts.h"
#include "url.h"

size_t bk_write_url3(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, url_fields *fields) {
    return bk_current_path()->write_url3(text, length, out, capacity, fields);
}

size_t bk_finish_url3(const uint8_t *text, size_t length, int is_plain, uint8_t *out, size_t capacity, url_fields *fields) {
    byte_sink result = {out, is_plain ? fields->ends[2] : 0, capacity};
    size_t *const ends = fields->ends;
    resolved_url url;
    url.outer.length = 0;
    if (!is_plain) {
        bk_resolve_url(text, length, &url);
        bk_write_resolved(&url, url3_room(capacity), &result, ends);
        fields->marks = url.marks;
    }
    const size_t before = result.length;
    sink_byte(&result, BK_FIELD_SEPARATOR);
    const size_t target = result.length;
    sink_bytes(&result, url.outer_bytes, url.outer.length);
    const url_part query = {out + ends[1] + 1, ends[2] > ends[1] ? ends[2] - ends[1] - 1 : 0};
    const url_part page = {out + ends[0] + 1, ends[1] > ends[0] ? ends[1] - ends[0] - 1 : 0};
    if (result.length == target) bk_write_target(&result, query, &fields->marks);
    if (result.length == target) bk_write_target(&result, page, &fields->marks);
    return result.length == target ? before : result.length;
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
