/* Segments of normalized texts. The rules are written out in docs/normalize.md. */
#include <string.h>

#include "buckler.h"

enum {
    LEAST_COMMAND = 8, /* shorter ones stay with the next, so that segments cost less than the text */
    WINDOW = 512,
    WINDOW_SLACK = 64, /* a window ends at a space this close to its end */
    HEAD = 125,        /* bytes of the last field in the first head, which each further one adds */
    PAYLOAD_FIELD = 1  /* of command-v2 */
};

/* Whether a command ends here; 2>&1 and &> only redirect. */
static int ends_command(const uint8_t *text, size_t at, size_t end) {
    uint8_t c = text[at];
    if (c == ';' || c == '|' || c == '\n') return 1;
    if (c != '&') return 0;
    return !(at > 0 && (text[at - 1] == '>' || text[at - 1] == '<')) &&
           !(at + 1 < end && text[at + 1] == '>');
}

static int is_joint(uint8_t c) { return c == ' ' || c == ';' || c == '|' || c == '&' || c == '\n'; }

/* The end of a window of so many bytes that begins here. */
static size_t cut_at_space(const uint8_t *text, size_t begin, size_t end, size_t most) {
    if (end - begin <= most) return end;
    for (size_t at = begin + most; at > begin + most - WINDOW_SLACK; at--)
        if (text[at] == ' ') return at;
    return begin + most;
}

static size_t window_end(const uint8_t *text, size_t begin, size_t end) {
    return cut_at_space(text, begin, end, WINDOW);
}

static size_t command_end(const uint8_t *text, size_t begin, size_t end) {
    const size_t last = window_end(text, begin, end);
    for (size_t at = begin + LEAST_COMMAND; at < last; at++)
        if (ends_command(text, at, end)) return at;
    return last;
}

/* Where the features of a text begin, or its end. */
static size_t end_of_fields(const uint8_t *text, size_t length, size_t *last_field) {
    *last_field = 0;
    const uint8_t *end = text + length, *at = text;
    for (; (at = memchr(at, BK_FIELD_SEPARATOR, (size_t)(end - at))); at++) {
        if (at + 1 < end && at[1] == BK_FEATURES) return (size_t)(at - text);
        *last_field = (size_t)(at + 1 - text);
    }
    return length;
}

/* The host of a URL, or beginnings of a text; none where little else follows. */
static int find_beginning(bk_segmenter segmenter, const uint8_t *text, size_t length, bk_segment *s) {
    size_t last, end = end_of_fields(text, length, &last);
    const size_t most = (size_t)HEAD * ++s->next;
    if (segmenter == BK_SEGMENTS_HEAD) {
        if (s->next > BK_HEADS || end - last <= most + WINDOW_SLACK) return 0;
        s->end = (uint32_t)cut_at_space(text, last, end, most);
        return 1;
    }
    while (end > 0 && text[end - 1] == BK_FIELD_SEPARATOR) end--;
    const uint8_t *border = memchr(text, BK_FIELD_SEPARATOR, end);
    if (s->next > 1 || !border || border == text) return 0;
    s->end = (uint32_t)(border - text);
    s->is_url = 1;
    return 1;
}

int bk_next_segment(bk_segmenter segmenter, const uint8_t *text, size_t length, bk_segment *s) {
    if (segmenter == BK_SEGMENTS_HOST || segmenter == BK_SEGMENTS_HEAD)
        return find_beginning(segmenter, text, length, s);
    while (s->next < length) {
        size_t begin = s->next;
        if (text[begin] == BK_FIELD_SEPARATOR) {
            s->in_field++;
            s->next++;
            if (s->next < length && text[s->next] == BK_FEATURES) return 0;
            continue;
        }
        if (segmenter == BK_SEGMENTS_NONE ||
            (segmenter == BK_SEGMENTS_COMMANDS && s->in_field > PAYLOAD_FIELD))
            return 0;
        const uint8_t *separator = memchr(text + begin, BK_FIELD_SEPARATOR, length - begin);
        size_t end = separator ? (size_t)(separator - text) : length;
        s->field = s->in_field < BK_MAX_FIELDS ? s->in_field : BK_MAX_FIELDS - 1;
        if (segmenter == BK_SEGMENTS_COMMANDS) {
            while (begin < end && is_joint(text[begin])) begin++;
            end = command_end(text, begin, end);
            s->field = 0; /* a payload is a command too */
        } else {
            while (begin < end && text[begin] == ' ') begin++;
            end = window_end(text, begin, end);
        }
        s->next = (uint32_t)end;
        while (end > begin && text[end - 1] == ' ') end--;
        if (end == begin) continue;
        s->begin = (uint32_t)begin;
        s->end = (uint32_t)end;
        return 1;
    }
    return 0;
}

size_t bk_write_segment(const uint8_t *text, const bk_segment *s, uint8_t *out) {
    const size_t n = s->end - s->begin;
    if (s->is_url) return bk_normalize(BK_NORMALIZE_URL3, text + s->begin, n, out, BK_SEGMENT_BYTES(n));
    memset(out, BK_FIELD_SEPARATOR, s->field);
    memcpy(out + s->field, text + s->begin, n);
    return s->field + n;
}
