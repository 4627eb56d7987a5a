/* command-v1: what a command line does, whatever quoting and encoding it hides behind. */
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
    MARK_COMMENT = 2048
};

/* Undoes what shells undo: quotes, carets, ticks, variables, concatenation, character codes. */
size_t bk_undo_shell(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                     uint32_t *marks);

/* Decodes a run of base64 or hexadecimal digits if text comes out; 0 if not. */
size_t bk_decode_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);
size_t bk_decode_hex(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

/* Decodes a list of character codes ("73,69,88" or "0x49, 0x45"); *used is how far it goes. */
size_t bk_decode_codes(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                       size_t *used);

size_t bk_normalize_command(const uint8_t *text, size_t length, uint8_t *out, size_t capacity);

#endif
