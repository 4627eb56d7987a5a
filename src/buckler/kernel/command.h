/* command-v2: what a command line does, whatever quoting and encoding it hides behind. */
#ifndef BUCKLER_COMMAND_H
#define BUCKLER_COMMAND_H

#include "sink.h"

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
    MARK_COMMENT = 2048,
    MARK_REPLACE = 4096,
    MARK_REVERSE = 8192,
    MARK_PACKED = 16384,
    MARK_ESCAPE = 32768,
    MARK_WILDCARD = 65536
};

/* Undoes what shells undo: quotes, carets, ticks, variables, concatenation, character codes. */
size_t bk_undo_shell(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                     uint32_t *marks);

/* Decodes a run of base64 or hexadecimal digits if text comes out; 0 if not. */
size_t bk_decode_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);
size_t bk_decode_hex(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

/* As base64, of deflated text: behind a header of gzip or zlib, or, if `raw`, without one. */
size_t bk_decode_packed(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, int raw);

/* What a line says of the lists of numbers in it. Without a word about codes they stay numbers. */
typedef struct {
    int are_codes, any_delimiter, deflates;
    uint32_t base, key;
} payload_hints;

payload_hints bk_find_hints(const uint8_t *text, size_t length);

/* Whether the line reverses a string. */
int bk_reverses(const uint8_t *text, size_t length);

/* Decodes a list of character codes ("73,69,88" or "0x49, 0x45"); *used is how far it goes. */
size_t bk_decode_codes(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                       size_t *used, const payload_hints *hints);

/* Inflates raw deflated data up to the capacity; where they begin behind a header, 0 if it is none. */
size_t bk_inflate(const uint8_t *data, size_t length, uint8_t *out, size_t capacity);
size_t bk_deflate_start(const uint8_t *data, size_t length);

size_t bk_normalize_command(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

#endif
