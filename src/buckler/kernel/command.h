/* command-v1: what a command line does, whatever quoting and encoding it hides behind. */
#ifndef BUCKLER_COMMAND_H
#define BUCKLER_COMMAND_H

#include <stddef.h>
#include <stdint.h>

enum {
    COMMAND_BYTES = 16384, /* of an input that are looked at */
    DECODED_BYTES = 6144,  /* of one decoded payload */
    DECODE_DEPTH = 3       /* payloads within payloads */
};

/* What was undone; a bit each, in the order of the words that say so. */
enum {
    MARK_CARET = 1,
    MARK_QUOTE = 2,
    MARK_TICK = 4,
    MARK_JOIN = 8,
    MARK_VARIABLE = 16,
    MARK_FORMAT = 32,
    MARK_CODE = 64,
    MARK_INVISIBLE = 128,
    MARK_LOOKALIKE = 256,
    MARK_BASE64 = 512,
    MARK_HEX = 1024,
    MARK_COMMENT = 2048
};

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} byte_sink;

static inline void sink_byte(byte_sink *sink, uint8_t c) {
    if (sink->length < sink->capacity) sink->bytes[sink->length++] = c;
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

/* Undoes what shells undo: quotes, carets, ticks, variables, concatenation, character codes. */
size_t bk_undo_shell(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                     uint32_t *marks);

/* Decodes a run of base64 or hexadecimal digits if text comes out; 0 if not. */
size_t bk_decode_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);
size_t bk_decode_hex(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

/* Decodes a list of character codes ("73,69,88" or "0x49, 0x45"); *used is how far it goes. */
size_t bk_decode_codes(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                       size_t *used);

/* A number in decimal, or in hexadecimal behind "0x"; its length, 0 if there is none. */
size_t bk_read_number(const uint8_t *text, size_t length, uint32_t *value);

size_t bk_normalise_command(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

#endif
