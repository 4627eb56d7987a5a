#include "page_text.h"

#include <string.h>

#include "sink.h"
#include "unicode.h"

/* --- words ---------------------------------------------------------------------------------------- */

int bk_add_word(word_set *set, const uint8_t *word, size_t length) {
    if (length < 2 || set->n == WORD_SET_WORDS) return 0;
    set->words[set->n] = word;
    set->lengths[set->n++] = length;
    return 1;
}

enum { PAIRS = 4096 };

static size_t pair_at(const uint8_t *text) { return ((text[0] | 0x20u) << 5 ^ (text[1] | 0x20u)) % PAIRS; }

/*
 * Wu and Manber's search: the pair of bytes that ends a window as long as the shortest word says how far
 * the next word can begin behind it.
 */
void bk_find_words(const word_set *set, const uint8_t *text, size_t length, uint8_t *found) {
    uint8_t shifts[PAIRS], heads[PAIRS], next[WORD_SET_WORDS]; /* numbers of words, counted from 1 */
    size_t window = UINT8_MAX;
    memset(found, 0, set->n);
    for (size_t w = 0; w < set->n; w++)
        if (set->lengths[w] < window) window = set->lengths[w];
    memset(shifts, (int)window - 1, sizeof shifts);
    memset(heads, 0, sizeof heads);
    for (size_t w = 0; w < set->n; w++) {
        for (size_t i = 0; i + 2 < window; i++) {
            uint8_t *shift = &shifts[pair_at(set->words[w] + i)];
            if (window - 2 - i < *shift) *shift = (uint8_t)(window - 2 - i);
        }
        const size_t last = pair_at(set->words[w] + window - 2);
        shifts[last] = 0;
        next[w] = heads[last];
        heads[last] = (uint8_t)(w + 1);
    }
    for (size_t i = 0; i + window <= length;) {
        const size_t last = pair_at(text + i + window - 2);
        for (uint8_t w = shifts[last] ? 0 : heads[last]; w; w = next[w - 1]) {
            const size_t n = set->lengths[w - 1];
            size_t k = 0;
            if (found[w - 1] || n > length - i) continue;
            while (k < n && lower(text[i + k]) == set->words[w - 1][k]) k++;
            found[w - 1] = k == n;
        }
        i += shifts[last] ? shifts[last] : 1;
    }
}

static int is_white(uint8_t c) { return c == ' ' || (uint8_t)(c - 9) < 5 || (uint8_t)(c - 0x1C) < 4; }

/* The number of the word that the text is, exactly; 0 for none. */
static int find_word(const word_set *set, const uint8_t *text, size_t length) {
    for (size_t w = 0; w < set->n; w++)
        if (set->lengths[w] == length && memcmp(set->words[w], text, length) == 0) return (int)w + 1;
    return 0;
}

/* A name has a letter, sign or line first, behind a boundary, and 2 to 31 characters. */
int bk_next_call(const word_set *set, const uint8_t *text, size_t length, size_t *at) {
    enum { MOST_SPACES = 4, LONGEST = 31 };
    const size_t from = *at;
    for (size_t i = from; i < length; i++) {
        const uint8_t *sign = memchr(text + i, '(', length - i);
        if (!sign) break;
        i = (size_t)(sign - text);
        size_t end = i, spaces = 0;
        while (end > from && spaces < MOST_SPACES && is_white(text[end - 1])) end--, spaces++;
        size_t begin = end;
        while (begin > from && (is_word(text[begin - 1]) || text[begin - 1] == '$')) begin--;
        if (begin > from && text[begin - 1] >= 0x80) return *at = i + 1, -1;
        for (size_t s = begin; s + 1 < end; s++) {
            const int is_bound = s == begin ? text[s] != '$' : (text[s - 1] == '$') != (text[s] == '$');
            if (!is_bound || is_digit(text[s]) || end - s > LONGEST) continue;
            const int found = find_word(set, text + s, end - s);
            if (found) return *at = i + 1, found;
            break;
        }
    }
    *at = length;
    return 0;
}

/* --- runs ----------------------------------------------------------------------------------------- */

static int is_base64(uint8_t c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '/'; }

size_t bk_count_encoded(const uint8_t *text, size_t length, size_t least) {
    size_t n = 0;
    for (size_t i = 0; least && i + least <= length;) {
        size_t j = i + least; /* from the back: few bytes are looked at where there is no such run */
        while (j > i && is_base64(text[j - 1])) j--;
        if (j > i) {
            i = j;
            continue;
        }
        for (i += least; i < length && is_base64(text[i]); i++) {}
        n++;
    }
    return n;
}

static int is_invisible(uint32_t c) {
    return c == 0xAD || c == 0x34F || c == 0x61C || c == 0x115F || c == 0x1160 || c == 0x17B4 || c == 0x17B5 ||
           c == 0x180E || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF ||
           c == 0xFFA0 || (c >= 0xE0000 && c <= 0xE007F);
}

/* Whether a word, between white space of ASCII, has Latin and Greek or Cyrillic letters. */
static int has_mixed_word(const uint8_t *text, size_t length) {
    int has_latin = 0, has_other = 0;
    for (size_t i = 0; i < length; i++) {
        const uint8_t c = text[i];
        if (is_white(c)) has_latin = has_other = 0;
        has_latin |= is_alpha(c);
        has_other |= c >= 0xCD && c <= 0xD4; /* these lead U+0340 to U+053F */
        if (has_latin && has_other) return 1;
    }
    return 0;
}

int bk_may_hide(const uint8_t *text, size_t length) {
    int has_other = 0;
    for (size_t i = 0; i < length;) {
        uint64_t v;
        if (i + 8 <= length && (memcpy(&v, text + i, 8), !(v & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        const uint8_t c = text[i];
        uint32_t point;
        const int may_be = c == 0xC2 || c == 0xCD || c == 0xD8 || (c >= 0xE1 && c <= 0xE3) || c == 0xEF || c == 0xF3;
        const size_t n = may_be ? bk_utf8_read(text + i, length - i, &point) : 0;
        if (n && is_invisible(point)) return 1;
        has_other |= c >= 0xCD && c <= 0xD4;
        i += n ? n : 1;
    }
    return has_other && has_mixed_word(text, length);
}
