/* Normalized forms by their number, and text-v1. The rules are written out in docs/normalize.md. */
#include <string.h>

#include "command.h"
#include "ngram_parts.h"
#include "unicode.h"
#include "url.h"

/* --- text-v1 ---------------------------------------------------------------------------------------- */

/*
 * Eight bytes of printable ASCII in lower case, no space among them beside another; 0 where they are
 * something else.
 */
static int lower_eight(const uint8_t *text, uint8_t *out) {
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    uint64_t v;
    memcpy(&v, text, sizeof v);
    if ((v | (v + ones) | ~((v | high) - 0x20 * ones)) & high) return 0;
    const uint64_t spaces = ~((v ^ 0x20 * ones) + 0x7F * ones) & high;
    if (spaces & spaces >> 8) return 0;
    const uint64_t capitals = (v + (0x80 - 'A') * ones) & ~(v + (0x7F - 'Z') * ones) & high;
    v |= capitals >> 2;
    memcpy(out, &v, sizeof v);
    return 1;
}

static size_t normalize_text(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
    size_t w = 0;
    for (size_t r = 0; r < length && w < capacity;) {
        if (text[r] > ' ' && text[r] < 0x7F) {
            if (r + 8 <= length && w + 8 <= capacity && lower_eight(text + r, out + w)) r += 8, w += 8;
            else out[w++] = lower(text[r++]);
            continue;
        }
        uint32_t point;
        size_t used = bk_utf8_read(text + r, length - r, &point);
        if (used == 0) {
            out[w++] = text[r++];
            continue;
        }
        r += used;
        if (point == BK_FIELD_SEPARATOR) { /* fields of a task, joined by its reader */
            if (w > 0 && out[w - 1] == ' ') w--;
            out[w++] = BK_FIELD_SEPARATOR;
            continue;
        }
        point = bk_fold(point);
        if (point <= 0x20 || point == 0x7F) {
            if (w > 0 && out[w - 1] != ' ' && out[w - 1] != BK_FIELD_SEPARATOR) out[w++] = ' ';
            continue;
        }
        size_t before = w;
        w = bk_put_folded(point, out, w, capacity);
        if (w == before) break;
    }
    if (w > 0 && out[w - 1] == ' ') w--;
    return w;
}

/* text-v1 of what stands before the last mark of features; text itself can hold no mark behind it. */
static size_t normalize_features(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                                 text_parts *parts) {
    size_t end = length; /* of the text */
    for (size_t at = length; at-- > 1;)
        if (text[at] == BK_FEATURES && text[at - 1] == BK_FIELD_SEPARATOR) {
            end = at - 1;
            break;
        }
    size_t n = end < length ? (length - end - 2) / sizeof(uint32_t) : 0;
    if (n > BK_MAX_TEXT_FEATURES) n = BK_MAX_TEXT_FEATURES;
    while (n && 2 + n * sizeof(uint32_t) > capacity) n--;
    const size_t left = capacity - (n ? 2 + n * sizeof(uint32_t) : 0);
    const size_t written = normalize_text(text, end < left ? end : left, out, left);
    bk_find_parts(out, written, parts);
    parts->n_features = (uint32_t)n;
    if (n) memcpy(parts->features, text + end + 2, n * sizeof(uint32_t));
    return written;
}

/* ---------------------------------------------------------------------------------------------------- */

size_t bk_find_parts(const uint8_t *normalized, size_t length, text_parts *parts) {
    const uint8_t *end = normalized + length, *at = normalized;
    parts->count = parts->n_features = 0;
    while (parts->count < BK_MAX_FIELDS &&
           (at = memchr(at, BK_FIELD_SEPARATOR, (size_t)(end - at))) != NULL) {
        if (at + 1 < end && at[1] == BK_FEATURES) {
            size_t words = (size_t)(end - at - 2) / sizeof(uint32_t);
            parts->n_features = (uint32_t)(words < BK_MAX_TEXT_FEATURES ? words : BK_MAX_TEXT_FEATURES);
            memcpy(parts->features, at + 2, parts->n_features * sizeof(uint32_t));
            return (size_t)(at - normalized);
        }
        parts->positions[parts->count++] = (uint32_t)(at - normalized);
        at++;
    }
    return length;
}

size_t bk_normalize_parts(bk_normalizer normalizer, const uint8_t *text, size_t length,
                          uint8_t *out, size_t capacity, text_parts *parts) {
    if (normalizer == BK_NORMALIZE_URL3) return bk_current_path()->normalize_url3(text, length, out, capacity, parts);
    if (normalizer == BK_NORMALIZE_SITE) return bk_normalize_site(text, length, out, capacity, parts);
    if (normalizer == BK_NORMALIZE_COMMAND)
        return bk_find_parts(out, bk_normalize_command(text, length, out, capacity), parts);
    if (normalizer == BK_NORMALIZE_FEATURES)
        return normalize_features(text, length, out, capacity, parts);
    if (length > capacity) length = capacity;
    if (normalizer == BK_NORMALIZE_URL) {
        parts->n_features = 0;
        return bk_normalize_url1(text, length, out, capacity, parts);
    }
    if (normalizer == BK_NORMALIZE_TEXT)
        length = normalize_text(text, length, out, capacity);
    else
        memcpy(out, text, length);
    return bk_find_parts(out, length, parts);
}

size_t bk_normalize(bk_normalizer normalizer, const uint8_t *text, size_t length, uint8_t *out,
                    size_t capacity) {
    text_parts parts;
    if (normalizer != BK_NORMALIZE_NONE) {
        length = bk_normalize_parts(normalizer, text, length, out, capacity, &parts);
        if (parts.n_features == 0) return length;
        out[length++] = BK_FIELD_SEPARATOR;
        out[length++] = BK_FEATURES;
        memcpy(out + length, parts.features, parts.n_features * sizeof(uint32_t));
        return length + parts.n_features * sizeof(uint32_t);
    }
    if (length > capacity) length = capacity;
    memcpy(out, text, length);
    return length;
}
