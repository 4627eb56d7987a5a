#include "mail_text.h"

#include <string.h>

#include "sink.h"
#include "unicode.h"

size_t bk_end_lines(const uint8_t *text, size_t length, uint8_t *out) {
    const uint8_t *p = text, *const end = text + length;
    uint8_t *w = out;
    while (p < end) {
        const uint8_t *stop = memchr(p, '\r', (size_t)(end - p));
        const size_t n = (size_t)((stop ? stop : end) - p);
        memcpy(w, p, n);
        w += n, p += n;
        size_t returns = 0;
        while (p < end && *p == '\r') p++, returns++;
        if (returns && p < end && *p == '\n') { /* up to three before a line feed belong to it */
            p++;
            returns = returns <= 3 ? 1 : returns - 2;
        }
        memset(w, '\n', returns);
        w += returns;
    }
    return (size_t)(w - out);
}

/* Whether a name is that of a header that mail knows, or begins with one and a hyphen. */
static int is_known(const uint8_t *name, size_t length) {
    static const char *const known[] = {
        "x", "arc", "list", "content", "resent", "dkim", "domainkey", "received", "authentication", "auto",
        "disposition", "feedback", "return", "delivered", "envelope", "errors", "reply", "message", "in-reply",
        "mime", "original", "precedence", "importance", "priority", "references", "subject", "sender",
        "organization", "user-agent", "thread", "from", "to", "cc", "bcc", "date", "status", "apparently-to",
        "lines", "newsgroups", "keywords", "comments", "sensitivity"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (lower(*name) != (uint8_t)*known[k]) continue;
        const size_t n = strlen(known[k]);
        if (n <= length && bk_starts_with(name, length, known[k]) && (n == length || name[n] == '-')) return 1;
    }
    return 0;
}

enum header_kind bk_read_header(const uint8_t *line, const uint8_t *end, size_t *name, const uint8_t **value) {
    enum { LONGEST_NAME = 200 };
    if (line < end && (*line == ' ' || *line == '\t')) return HEADER_FOLDED;
    const uint8_t *p = line;
    while (p < end && p - line < LONGEST_NAME && *p > ' ' && *p < 0x7F && *p != ':') p++;
    *name = (size_t)(p - line);
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    if (!*name || p == end || *p != ':') return HEADER_LINE;
    *value = p + 1;
    return is_known(line, *name) ? HEADER_KNOWN : HEADER_OTHER;
}

/* --- wallets -------------------------------------------------------------------------------------- */

/* Whether all bytes from the n-th on are of a kind: 'a' for lower case and digits, 'h' hexadecimal, 'b' base 58. */
static int all_of(char kind, const uint8_t *word, size_t from, size_t length) {
    for (size_t i = from; i < length; i++) {
        const uint8_t c = word[i];
        if (kind == 'a' && !is_digit(c) && !(c >= 'a' && c <= 'z')) return 0;
        if (kind == 'h' && hex_value(c) == NO_HEX) return 0;
        if (kind == 'b' && (c == '0' || c == 'O' || c == 'I' || c == 'l' || c == '_')) return 0;
    }
    return 1;
}

static int is_wallet(const uint8_t *word, size_t n) {
    if (n >= 28 && n <= 63 && memcmp(word, "bc1", 3) == 0 && all_of('a', word, 3, n)) return 1;
    if (n == 42 && memcmp(word, "0x", 2) == 0 && all_of('h', word, 2, n)) return 1;
    return n >= 26 && n <= 35 && (*word == '1' || *word == '3') && all_of('b', word, 1, n);
}

int64_t bk_count_wallets(const uint8_t *text, size_t length) {
    enum { SHORTEST = 26 };
    int64_t n = 0;
    for (size_t i = 0; i + SHORTEST <= length;) {
        size_t j = i + SHORTEST; /* from the back: few bytes are looked at where words are short */
        while (j > i && is_word(text[j - 1])) j--;
        if (j > i) {
            i = j;
            continue;
        }
        for (j = i + SHORTEST; j < length && is_word(text[j]); j++) {}
        if (is_wallet(text + i, j - i)) {
            if ((i && text[i - 1] >= 0x80) || (j < length && text[j] >= 0x80)) return -1;
            n++;
        }
        i = j;
    }
    return n;
}
