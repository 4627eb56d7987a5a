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
    static const char *const known[26] = {
        ['a' - 'a'] = "apparently-to arc authentication auto",
        ['b' - 'a'] = "bcc",
        ['c' - 'a'] = "cc comments content",
        ['d' - 'a'] = "date delivered disposition dkim domainkey",
        ['e' - 'a'] = "envelope errors",
        ['f' - 'a'] = "feedback from",
        ['i' - 'a'] = "importance in-reply",
        ['k' - 'a'] = "keywords",
        ['l' - 'a'] = "lines list",
        ['m' - 'a'] = "message mime",
        ['n' - 'a'] = "newsgroups",
        ['o' - 'a'] = "organization original",
        ['p' - 'a'] = "precedence priority",
        ['r' - 'a'] = "received references reply resent return",
        ['s' - 'a'] = "sender sensitivity status subject",
        ['t' - 'a'] = "thread to",
        ['u' - 'a'] = "user-agent",
        ['x' - 'a'] = "x",
    };
    const char *word = is_alpha(*name) ? known[(*name | 0x20) - 'a'] : NULL;
    while (word) {
        size_t n = 0;
        while (n < length && word[n] > ' ' && lower(name[n]) == (uint8_t)word[n]) n++;
        if (word[n] <= ' ' && (n == length || name[n] == '-')) return 1;
        word = strchr(word + n, ' ');
        word += word != NULL;
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

/* --- base64 --------------------------------------------------------------------------------------- */

enum { NO_SIXTY_FOUR = 64 };

/* Values of the characters of ASCII. */
static const uint8_t SIXTY_FOUR[128] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
    64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64};

static uint8_t sixty_four_value(uint8_t c) { return c < 0x80 ? SIXTY_FOUR[c] : NO_SIXTY_FOUR; }

/* The bits of four characters; none of 24 where one of them has no value. */
enum { NO_BITS = 1 << 24 };
static uint32_t four_values(const uint8_t *text) {
    const uint32_t a = sixty_four_value(text[0]), b = sixty_four_value(text[1]);
    const uint32_t c = sixty_four_value(text[2]), d = sixty_four_value(text[3]);
    return (a | b | c | d) & NO_SIXTY_FOUR ? (uint32_t)NO_BITS : a << 18 | b << 12 | c << 6 | d;
}

size_t bk_decode_pieces(const uint8_t *text, size_t length, uint8_t *out) {
    uint32_t bits = 0, n = 0, four; /* n: characters since the last padding */
    size_t w = 0;
    for (size_t i = 0; i <= length; i++) {
        for (; n % 4 == 0 && i + 4 <= length && (four = four_values(text + i)) != NO_BITS; i += 4, n += 4) {
            out[w++] = (uint8_t)(four >> 16), out[w++] = (uint8_t)(four >> 8), out[w++] = (uint8_t)four;
        }
        const int ends = i == length || text[i] == '=';
        const uint8_t value = ends ? 0 : sixty_four_value(text[i]);
        if (value == NO_SIXTY_FOUR) continue;
        if (!ends) {
            bits = bits << 6 | value;
            if (++n % 4) continue;
            out[w++] = (uint8_t)(bits >> 16), out[w++] = (uint8_t)(bits >> 8), out[w++] = (uint8_t)bits;
            continue;
        }
        if (n % 4 == 2) out[w++] = (uint8_t)(bits >> 4);
        if (n % 4 == 3) out[w++] = (uint8_t)(bits >> 10), out[w++] = (uint8_t)(bits >> 2);
        n = 0;
    }
    return w;
}

size_t bk_end_of_base64(const uint8_t *text, size_t length) {
    size_t end = 0; /* of the lines that were read */
    while (end < length) {
        size_t at = end, padding = 0;
        while (at + 4 <= length && four_values(text + at) != NO_BITS) at += 4;
        while (at < length && sixty_four_value(text[at]) != NO_SIXTY_FOUR) at++;
        for (const size_t most = (4 - (at - end) % 4) % 4; padding < most && at < length && text[at] == '='; at++) padding++;
        if ((at - end) % 4 || padding == 3) return end;
        while (at < length && (text[at] == ' ' || text[at] == '\t')) at++;
        if (at < length && text[at] != '\n') return end;
        end = at + (at < length);
    }
    return end;
}

size_t bk_find_text_line(const uint8_t *text, size_t length) {
    enum { LONGEST_WORD = 200 };
    for (size_t line = 0; line < length;) {
        const uint8_t *stop = memchr(text + line, '\n', length - line);
        const size_t end = stop ? (size_t)(stop - text) : length, n = end - line;
        const uint8_t *space = memchr(text + line, ' ', n < LONGEST_WORD + 1 ? n : LONGEST_WORD + 1);
        const size_t at = space ? (size_t)(space - text) : length;
        if (space && at > line && at + 1 < length && text[at + 1] != ' ' && (uint8_t)(text[at + 1] - '\t') > 4) return line;
        line = end + 1;
    }
    return length;
}

/* --- quoted-printable ----------------------------------------------------------------------------- */

static int is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

/* Whether a line ends in blanks before its line feed. */
static int has_blank_ends(const uint8_t *text, size_t length) {
    const uint8_t *p = text, *const end = text + length;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (p > text && is_blank(p[-1])) return 1;
        p++;
    }
    return 0;
}

/* Copies lines without the blanks at their ends; returns the length. */
static size_t trim_lines(const uint8_t *text, size_t length, uint8_t *out) {
    size_t w = 0, begin = 0; /* of the line in `out` */
    for (size_t i = 0; i <= length; i++) {
        if (i == length || text[i] == '\n') {
            while (w > begin && is_blank(out[w - 1])) w--;
            begin = w + 1;
        }
        if (i < length) out[w++] = text[i];
    }
    return w;
}

size_t bk_decode_quoted(const uint8_t *text, size_t length, uint8_t *out) {
    size_t w = 0, i = 0;
    if (has_blank_ends(text, length)) length = trim_lines(text, length, out), text = out; /* never behind the text */
    while (i < length) {
        const uint8_t *sign = memchr(text + i, '=', length - i);
        const size_t n = sign ? (size_t)(sign - text) - i : length - i;
        memmove(out + w, text + i, n);
        w += n, i += n + 1;
        if (i >= length) break;
        if (text[i] == '\n' || text[i] == '\r') { /* the line goes on */
            const uint8_t *feed = memchr(text + i, '\n', length - i);
            i = feed ? (size_t)(feed - text) + 1 : length;
        } else if (text[i] == '=') {
            out[w++] = '=', i++;
        } else if (i + 1 < length && hex_value(text[i]) != NO_HEX && hex_value(text[i + 1]) != NO_HEX) {
            out[w++] = (uint8_t)(hex_value(text[i]) << 4 | hex_value(text[i + 1]));
            i += 2;
        } else {
            out[w++] = '=';
        }
    }
    return w;
}

/* --- links ---------------------------------------------------------------------------------------- */

/* Bytes of "http://", "https://" or "www." at the beginning, in any case; 0 for none. */
static size_t link_start(const uint8_t *text, size_t length) {
    static const char *const known[] = {"http://", "https://", "www."};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (bk_starts_with(text, length, known[i])) return strlen(known[i]);
    return 0;
}

static int ends_link(const uint8_t *text, size_t length) {
    const uint8_t c = *text;
    return c == '<' || c == '>' || c == '"' || c == '\'' || c == ')' || c == ']' || bk_white_length(text, length);
}

int bk_next_text_link(const uint8_t *text, size_t length, size_t *at, size_t *begin) {
    enum { FEWEST = 3, MOST = 500 }; /* characters behind the start */
    uint8_t shifts[256];             /* by the last of four bytes, of which "http" and "www." are some */
    memset(shifts, 4, sizeof shifts);
    shifts['h'] = shifts['H'] = 3, shifts['t'] = shifts['T'] = shifts['w'] = shifts['W'] = 1;
    shifts['p'] = shifts['P'] = shifts['.'] = 0;
    for (size_t i = *at; i + 4 <= length;) {
        const uint8_t shift = shifts[text[i + 3]];
        const size_t start = shift ? 0 : link_start(text + i, length - i);
        if (!start || (i && is_word(text[i - 1]))) {
            i += shift ? shift : 1;
            continue;
        }
        size_t end = i + start, n = 0;
        for (; end < length && !ends_link(text + end, length - end); end++)
            if ((text[end] & 0xC0) != 0x80 && n++ == MOST) break;
        if (n < FEWEST) {
            i++;
            continue;
        }
        if (i && text[i - 1] >= 0x80) return -1;
        *begin = i, *at = end;
        return 1;
    }
    return 0;
}

/* --- mailboxes ------------------------------------------------------------------------------------ */

static int is_in_domain(uint8_t c) { return is_word(c) || c == '.' || c == '-'; }

/* The end of "local@domain" at p; NULL where something else stands there. */
static const uint8_t *read_address(const uint8_t *p, const uint8_t *end) {
    enum { LONGEST_LOCAL = 64, LONGEST_DOMAIN = 253 };
    const uint8_t *sign = p;
    while (sign < end && (is_in_domain(*sign) || *sign == '+')) sign++;
    if (sign == p || sign - p > LONGEST_LOCAL || sign == end || *sign != '@') return NULL;
    const uint8_t *stop = sign + 1;
    while (stop < end && is_in_domain(*stop)) stop++;
    return stop == sign + 1 || stop - sign - 1 > LONGEST_DOMAIN ? NULL : stop;
}

/* Whether a name is plain: printable ASCII without signs that mean something beside addresses. */
static int is_plain_name(const uint8_t *p, const uint8_t *end, const char *signs) {
    for (; p < end; p++)
        if (*p < ' ' || *p > '~' || strchr(signs, *p)) return 0;
    return 1;
}

int bk_read_mailbox(const uint8_t *value, size_t length, text_mailbox *found) {
    const uint8_t *p = value, *const end = value + length;
    const uint8_t *stop = read_address(p, end);
    *found = (text_mailbox){p, stop, NULL, NULL};
    if (stop) {
        if (stop == end) return 1;
        found->name = stop + 2, found->name_end = end - 1;
        return end - stop > 2 && stop[0] == ' ' && stop[1] == '(' && end[-1] == ')' && is_plain_name(stop + 2, end - 1, "\"\\(),;<>@:=");
    }
    const uint8_t *angle = memchr(p, '<', length);
    if (p < end && *p == '"') {
        const uint8_t *quote = memchr(p + 1, '"', length - 1);
        if (!quote || !is_plain_name(p + 1, quote, "\\,;<")) return 0;
        found->name = p + 1, found->name_end = quote;
        angle = quote + 1 + (quote + 1 < end && quote[1] == ' ');
    } else {
        if (!angle || !is_plain_name(p, angle, "\"\\(),;>@:")) return 0;
        found->name = p, found->name_end = angle;
    }
    if (angle >= end || *angle != '<') return 0;
    found->address = angle + 1;
    found->address_end = read_address(angle + 1, end);
    return found->address_end && found->address_end + 1 == end && *found->address_end == '>';
}
