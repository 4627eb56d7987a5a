/* See sink.h. */
#include "sink.h"
#include "unicode.h"

void bk_sink_text(byte_sink *sink, const char *text) {
    while (*text) sink_byte(sink, (uint8_t)*text++);
}

int bk_starts_with(const uint8_t *text, size_t length, const char *word) {
    size_t i = 0;
    for (; word[i]; i++)
        if (i >= length || lower(text[i]) != (uint8_t)word[i]) return 0;
    return 1;
}

size_t bk_read_number(const uint8_t *text, size_t length, uint32_t *value) {
    size_t i = 0;
    uint32_t base = 10;
    uint64_t read = 0;
    if (length > 2 && text[0] == '0' && lower(text[1]) == 'x') base = 16, i = 2;
    size_t start = i;
    for (; i < length; i++) {
        uint8_t digit = hex_value(text[i]);
        if (digit >= base) break;
        read = read * base + digit;
        if (read > UINT32_MAX) return 0;
    }
    *value = (uint32_t)read;
    return i > start ? i : 0;
}
