/* Bytes written up to a limit, and the small questions that are asked of text. */
#ifndef BUCKLER_SINK_H
#define BUCKLER_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} byte_sink;

static inline void sink_byte(byte_sink *sink, uint8_t c) {
    if (sink->length < sink->capacity) sink->bytes[sink->length++] = c;
}

static inline void sink_bytes(byte_sink *sink, const uint8_t *bytes, size_t length) {
    size_t left = sink->capacity - sink->length;
    if (length > left) length = left;
    memcpy(sink->bytes + sink->length, bytes, length);
    sink->length += length;
}

static inline uint8_t sink_last(const byte_sink *sink) {
    return sink->length ? sink->bytes[sink->length - 1] : 0;
}

void bk_sink_text(byte_sink *sink, const char *text);

static inline int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static inline int is_alpha(uint8_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static inline int is_word(uint8_t c) { return is_digit(c) || is_alpha(c) || c == '_'; }

/* Whether `text` starts, in any case, with `word` (lower case). */
int bk_starts_with(const uint8_t *text, size_t length, const char *word);

/* A number in decimal, or in hexadecimal behind "0x"; its length, 0 if there is none. */
size_t bk_read_number(const uint8_t *text, size_t length, uint32_t *value);

#endif
