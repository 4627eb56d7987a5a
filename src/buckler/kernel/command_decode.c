/* Payloads in command lines: base64, hexadecimal, lists of character codes. See command.h. */
#include <string.h>

#include "command.h"
#include "unicode.h"

enum { LEAST_CODES = 5, FIRST_LETTERS = 0xC420F /* a b c d j o s t */ };

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

static size_t read_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
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
    return w;
}

size_t bk_decode_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
    return keep_text(out, read_base64(text, length, out, capacity));
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

size_t bk_decode_packed(const uint8_t *text, size_t length, uint8_t *out, size_t capacity, int raw) {
    uint8_t packed[DECODED_BYTES];
    size_t n = read_base64(text, length, packed, sizeof packed);
    size_t start = n < 8 ? 0 : bk_deflate_start(packed, n);
    if (n < 8 || (!start && !raw)) return 0;
    return keep_text(out, bk_inflate(packed + start, n - start, out, capacity));
}

/* A number of a list in the base that its line names; "0x" is understood in any. */
static size_t read_code(const uint8_t *text, size_t length, uint32_t base, uint32_t *code) {
    if (base == 10 || (length > 1 && text[0] == '0' && lower(text[1]) == 'x')) return bk_read_number(text, length, code);
    size_t i = 0;
    for (*code = 0; i < length && i < 8 && hex_value(text[i]) < base; i++) *code = *code * base + hex_value(text[i]);
    return i;
}

size_t bk_decode_codes(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                       size_t *used, const payload_hints *hints) {
    size_t w = 0, i = 0, letters = 0;
    *used = 0;
    while (i < length) {
        uint32_t code;
        size_t digits = read_code(text + i, length - i, hints->base, &code);
        if (digits == 0 || (code ^= hints->key) > 0x7E || !is_plain((uint8_t)code)) break;
        i += digits;
        letters += (size_t)is_alpha((uint8_t)code);
        if (w < capacity) out[w++] = (uint8_t)code;
        *used = i;
        size_t gap = i;
        while (gap < length && text[gap] == ' ') gap++;
        if (gap >= length) break;
        if (text[gap] == ',' || (hints->any_delimiter && hex_value(text[gap]) >= hints->base && text[gap] > ' ' &&
                                 text[gap] != '"' && text[gap] != '\''))
            gap++;
        else if (gap == i || !hints->any_delimiter) break;
        while (gap < length && text[gap] == ' ') gap++;
        i = gap;
    }
    return hints->are_codes && w >= LEAST_CODES && 2 * letters >= w ? w : 0;
}

/* Behind "bxor" or "toint16(": the key, or the base behind a comma. */
static void read_hint(const uint8_t *text, size_t length, payload_hints *hints, int is_key) {
    uint32_t value;
    size_t i = 0;
    if (is_key) {
        while (i < length && (text[i] == ' ' || text[i] == '"' || text[i] == '\'' || text[i] == '(')) i++;
    } else {
        while (i < length && i < 40 && text[i] != ',') i++;
        for (i++; i < length && text[i] == ' ';) i++;
    }
    if (i >= length || !bk_read_number(text + i, length - i, &value)) return;
    if (is_key && value < 256) hints->key = value;
    if (!is_key && (value == 2 || value == 8 || value == 16)) hints->base = value;
}

payload_hints bk_find_hints(const uint8_t *text, size_t length) {
    static const struct {
        const char *word;
        enum { CODES, KEY, BASE, SPLIT, DEFLATE } says;
    } words[] = {{"char", CODES}, {"chr", CODES}, {"byte", CODES}, {"bxor", KEY},
                 {"ascii", CODES}, {"join", CODES}, {"ord(", CODES}, {"split", SPLIT}, {"deflate", DEFLATE},
                 {"toint16(", BASE}, {"toint32(", BASE}, {"tobyte(", BASE}};
    payload_hints hints = {0, 0, 0, 10, 0};
    for (size_t i = 0; i < length; i++) {
        uint8_t c = lower(text[i]);
        if (c < 'a' || c > 't' || !(FIRST_LETTERS >> (c - 'a') & 1)) continue;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            if (c != (uint8_t)words[k].word[0] || !bk_starts_with(text + i, length - i, words[k].word)) continue;
            size_t behind = i + strlen(words[k].word);
            hints.are_codes |= words[k].says <= BASE;
            hints.any_delimiter |= words[k].says == SPLIT;
            hints.deflates |= words[k].says == DEFLATE;
            if (words[k].says == KEY || words[k].says == BASE)
                read_hint(text + behind, length - behind, &hints, words[k].says == KEY);
        }
    }
    hints.any_delimiter &= hints.are_codes;
    return hints;
}

int bk_reverses(const uint8_t *text, size_t length) {
    static const char *const words[] = {"reverse(", "reversed(", "strrev(", "rev<<<", "rev <<<", "[::-1]", "[-1..-",
                                        "length..0"};
    for (size_t i = 0; i < length; i++) {
        uint8_t c = lower(text[i]);
        if (c == '|' && i + 1 < length && bk_starts_with(text + i + 1 + (text[i + 1] == ' '), length - i - 1 - (text[i + 1] == ' '), "rev"))
            return 1;
        if (c != 'r' && c != 's' && c != '[' && c != 'l') continue;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            if (c == (uint8_t)words[k][0] && bk_starts_with(text + i, length - i, words[k])) return 1;
    }
    return 0;
}
