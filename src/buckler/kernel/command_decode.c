/* Payloads in command lines: base64, hexadecimal, lists of character codes. See command.h. */
#include "command.h"
#include "unicode.h"

enum { LEAST_CODES = 5 };

static int base64_value(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (is_digit(c)) return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int is_plain(uint8_t c) { return (c >= 0x20 && c < 0x7F) || c == '\t' || c == '\r' || c == '\n'; }

/* Text is what is left: UTF-16 made narrow, or bytes that are nearly all printable; else 0. */
static size_t keep_text(uint8_t *bytes, size_t length) {
    size_t zeros = 0, plain = 0, pairs = length / 2;
    if (length < 6) return 0;
    for (size_t i = 1; i < 2 * pairs; i += 2) zeros += bytes[i] == 0;
    if (pairs >= 4 && zeros * 10 >= pairs * 9) {
        for (size_t i = 0; i < pairs; i++) bytes[i] = bytes[2 * i + 1] ? '?' : bytes[2 * i];
        length = pairs;
    }
    for (size_t i = 0; i < length; i++) plain += (size_t)is_plain(bytes[i]);
    return plain * 20 >= length * 19 ? length : 0;
}

size_t bk_decode_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
    uint32_t bits = 0, held = 0;
    size_t w = 0;
    for (size_t i = 0; i < length && w < capacity; i++) {
        int value = base64_value(text[i]);
        if (value < 0) break;
        held = held << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[w++] = (uint8_t)(held >> bits);
        }
    }
    return keep_text(out, w);
}

size_t bk_decode_hex(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
    size_t w = 0;
    if (length % 2) return 0;
    for (size_t i = 0; i + 1 < length && w < capacity; i += 2) {
        uint8_t high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high == NO_HEX || low == NO_HEX) return 0;
        out[w++] = (uint8_t)(high << 4 | low);
    }
    return keep_text(out, w);
}

size_t bk_decode_codes(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                       size_t *used) {
    size_t w = 0, i = 0;
    *used = 0;
    while (i < length) {
        uint32_t code;
        size_t digits = bk_read_number(text + i, length - i, &code);
        if (digits == 0 || code > 0x7E || !is_plain((uint8_t)code)) break;
        i += digits;
        if (w < capacity) out[w++] = (uint8_t)code;
        *used = i;
        size_t gap = i;
        while (gap < length && text[gap] == ' ') gap++;
        if (gap >= length || text[gap] != ',') break;
        for (gap++; gap < length && text[gap] == ' ';) gap++;
        i = gap;
    }
    return w >= LEAST_CODES ? w : 0;
}
