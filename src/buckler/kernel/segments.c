/* Segments of normalized texts. The rules are written out in docs/normalize.md. */
#include <string.h>

#include "buckler.h"

enum {
    LEAST_COMMAND = 8, /* shorter ones stay with the next, so that segments cost less than the text */
    WINDOW = 512,
    WINDOW_SLACK = 64, /* a window ends at a space this close to its end */
    PAYLOAD_FIELD = 1, /* of command-v2 */
    HOST_FIELD = 0,    /* of URLs */
    QUERY_FIELD = 2
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

/* The end of a window that begins here. */
static size_t window_end(const uint8_t *text, size_t begin, size_t end) {
    if (end - begin <= WINDOW) return end;
    for (size_t at = begin + WINDOW; at > begin + WINDOW - WINDOW_SLACK; at--)
        if (text[at] == ' ') return at;
    return begin + WINDOW;
}

static size_t command_end(const uint8_t *text, size_t begin, size_t end) {
    const size_t last = window_end(text, begin, end);
    for (size_t at = begin + LEAST_COMMAND; at < last; at++)
        if (ends_command(text, at, end)) return at;
    return last;
}

int bk_next_segment(bk_segmenter segmenter, const uint8_t *text, size_t length, bk_segment *s) {
    while (s->next < length) {
        size_t begin = s->next;
        if (text[begin] == BK_FIELD_SEPARATOR) {
            s->in_field++;
            s->next++;
            if (s->next < length && text[s->next] == BK_FEATURES) return 0;
            continue;
        }
        if (segmenter == BK_SEGMENTS_NONE ||
            (segmenter == BK_SEGMENTS_COMMANDS && s->in_field > PAYLOAD_FIELD) ||
            (segmenter == BK_SEGMENTS_HOST_PATH && s->in_field > QUERY_FIELD))
            return 0;
        const uint8_t *separator = memchr(text + begin, BK_FIELD_SEPARATOR, length - begin);
        size_t end = separator ? (size_t)(separator - text) : length;
        s->field = s->in_field < BK_MAX_FIELDS ? s->in_field : BK_MAX_FIELDS - 1;
        if (segmenter == BK_SEGMENTS_COMMANDS) {
            while (begin < end && is_joint(text[begin])) begin++;
            end = command_end(text, begin, end);
            s->field = 0; /* a payload is a command too */
        } else if (segmenter == BK_SEGMENTS_WINDOWS) {
            while (begin < end && text[begin] == ' ') begin++;
            end = window_end(text, begin, end);
        } else if (s->in_field == HOST_FIELD + 1 && separator) { /* the query stays with the path */
            s->in_field++;
            separator = memchr(separator + 1, BK_FIELD_SEPARATOR, length - end - 1);
            end = separator ? (size_t)(separator - text) : length;
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
    memset(out, BK_FIELD_SEPARATOR, s->field);
    memcpy(out + s->field, text + s->begin, n);
    return s->field + n;
}
