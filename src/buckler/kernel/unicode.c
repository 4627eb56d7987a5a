/* Code points, percent-encoding and host names. See unicode.h. */
#include <string.h>

#include "unicode.h"
#include "fold_table.h"

enum { DECODE_PASSES = 3, LABEL_POINTS = 256 };

/* --- UTF-8 and folding ------------------------------------------------------------------------ */

/* Length of the well-formed sequence at p, its code point in *point; 0 where it is not well formed. */
size_t bk_utf8_read(const uint8_t *p, size_t left, uint32_t *point) {
    uint8_t c = p[0];
    if (c < 0x80) {
        *point = c;
        return 1;
    }
    size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || need > left) return 0;
    uint32_t value = c & (0x7Fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
        value = value << 6 | (p[i] & 0x3Fu);
    }
    if ((need == 3 && (value < 0x800 || (value >= 0xD800 && value < 0xE000))) ||
        (need == 4 && (value < 0x10000 || value > 0x10FFFF)))
        return 0;
    *point = value;
    return need;
}

int bk_is_utf8(const uint8_t *text, size_t length) {
    uint32_t point;
    for (size_t i = 0, n; i < length; i += n) {
        uint64_t v;
        if (i + 8 <= length && (memcpy(&v, text + i, 8), !(v & 0x8080808080808080u))) n = 8;
        else if (!(n = bk_utf8_read(text + i, length - i, &point))) return 0;
    }
    return 1;
}

static size_t utf8_write(uint32_t point, uint8_t *out) {
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t need = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = need; i-- > 1; point >>= 6) out[i] = (uint8_t)(0x80 | (point & 0x3F));
    out[0] = (uint8_t)(lead[need] | point);
    return need;
}

uint32_t bk_fold(uint32_t point) {
    if (point < 0x80) return lower((uint8_t)point);
    size_t low = 0, high = BK_FOLD_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bk_fold_from[middle] < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < BK_FOLD_COUNT && bk_fold_from[low] == point ? bk_fold_to[low] : point;
}

static int is_ideographic_stop(uint32_t point) { return point == 0x3002; }

/* --- percent-encoding --------------------------------------------------------------------------- */

/* One pass, in place; *again says whether what is left could be decoded once more. */
static size_t percent_decode_once(uint8_t *text, size_t length, int *again) {
    size_t w = 0;
    int percent_left = 0;
    for (size_t r = 0; r < length; r++) {
        uint8_t c = text[r];
        if (c == '%' && r + 2 < length) {
            uint8_t high = hex_value(text[r + 1]), low = hex_value(text[r + 2]);
            if (high != NO_HEX && low != NO_HEX) {
                c = (uint8_t)(high << 4 | low);
                r += 2;
            }
        }
        percent_left |= c == '%';
        text[w++] = c;
    }
    *again = percent_left && w < length;
    return w;
}

size_t bk_percent_decode_once(uint8_t *text, size_t length) {
    int again;
    return percent_decode_once(text, length, &again);
}

size_t bk_percent_decode(uint8_t *text, size_t length) {
    int again = 1;
    for (int pass = 0; pass < DECODE_PASSES && again; pass++)
        length = percent_decode_once(text, length, &again);
    return length;
}

size_t bk_drop_breaks(uint8_t *text, size_t length) {
    size_t w = 0;
    int seen = 0;
    for (size_t i = 0; i < length; i++) seen |= is_break(text[i]); /* no way out: it runs on many bytes at once */
    if (!seen) return length;
    for (size_t i = 0; i < length; i++)
        if (!is_break(text[i])) text[w++] = text[i];
    return w;
}

/* --- host ----------------------------------------------------------------------------------------- */

/* Punycode (RFC 3492) of the part behind "xn--"; the number of code points, or 0 if it is malformed. */
static size_t punycode_decode(const uint8_t *text, size_t length, uint32_t *points) {
    enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700 };
    size_t count = 0, r = 0;
    for (size_t i = length; i-- > 0;) {
        if (text[i] != '-') continue;
        if (i >= LABEL_POINTS) return 0;
        for (; count < i; count++) points[count] = text[count];
        r = i + 1;
        break;
    }
    uint32_t n = 128, i = 0, bias = 72;
    while (r < length) {
        uint32_t before = i, weight = 1;
        for (uint32_t k = BASE;; k += BASE) {
            if (r >= length) return 0;
            uint8_t c = lower(text[r++]);
            uint32_t digit = c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a')
                             : c >= '0' && c <= '9' ? (uint32_t)(c - '0' + 26) : BASE;
            if (digit >= BASE || digit > (UINT32_MAX - i) / weight) return 0;
            i += digit * weight;
            uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
            if (digit < t) break;
            if (weight > UINT32_MAX / (BASE - t)) return 0;
            weight *= BASE - t;
        }
        uint32_t total = (uint32_t)count + 1, delta = (i - before) / (before == 0 ? DAMP : 2);
        delta += delta / total;
        uint32_t k = 0;
        for (; delta > ((BASE - TMIN) * TMAX) / 2; k += BASE) delta /= BASE - TMIN;
        bias = k + (BASE - TMIN + 1) * delta / (delta + SKEW);
        if (i / total > 0x10FFFF - n) return 0;
        n += i / total;
        i %= total;
        if (count >= LABEL_POINTS || n < 0x80 || (n >= 0xD800 && n < 0xE000)) return 0;
        memmove(points + i + 1, points + i, (count - i) * sizeof *points);
        points[i++] = n;
        count++;
    }
    return count;
}

size_t bk_put_folded(uint32_t point, uint8_t *out, size_t w, size_t capacity) {
    uint8_t bytes[4];
    point = is_ideographic_stop(bk_fold(point)) ? '.' : bk_fold(point);
    if (point < 0x80 && is_control((uint8_t)point)) point = ' ';
    size_t need = utf8_write(point, bytes);
    if (w + need > capacity) return w;
    memcpy(out + w, bytes, need);
    return w + need;
}

int bk_is_ignored(uint32_t point) {
    return point == 0xAD || point == 0x34F || (point >= 0x180B && point <= 0x180F) ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x202A && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || (point >= 0xFE00 && point <= 0xFE0F) || point == 0xFEFF ||
           (point >= 0x1BCA0 && point <= 0x1BCA3) || (point >= 0x1D173 && point <= 0x1D17A) ||
           (point >= 0xE0000 && point <= 0xE0FFF);
}

/* The code point that two become together (a letter and its accent), or 0. */
static uint32_t compose(uint32_t first, uint32_t second) {
    size_t low = 0, high = BK_PAIR_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const uint32_t *pair = bk_pairs[middle];
        if (pair[0] < first || (pair[0] == first && pair[1] < second)) low = middle + 1;
        else high = middle;
    }
    return low < BK_PAIR_COUNT && bk_pairs[low][0] == first && bk_pairs[low][1] == second ? bk_pairs[low][2] : 0;
}

/* The letters that one code point stands for ("fi", "tel"), or NULL. */
static const char *expand(uint32_t point) {
    size_t low = 0, high = BK_LONGER_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bk_longer[middle].point < point) low = middle + 1;
        else high = middle;
    }
    return low < BK_LONGER_COUNT && bk_longer[low].point == point ? bk_longer[low].letters : NULL;
}

/* Folds a host that has bytes beyond ASCII or punycode labels. */
size_t bk_fold_host(const uint8_t *host, size_t length, uint8_t *out, size_t capacity) {
    uint8_t folded[HOST_BYTES];
    uint32_t points[LABEL_POINTS];
    uint32_t before = 0; /* the last code point, which an accent may join */
    size_t n = 0, w = 0, last = 0;
    for (size_t r = 0; r < length;) {
        uint32_t point, joined;
        size_t used = bk_utf8_read(host + r, length - r, &point);
        const char *longer = used > 1 ? expand(point) : NULL;
        if (used == 0) {
            if (n < HOST_BYTES) folded[n++] = host[r];
            before = 0;
            r++;
            continue;
        }
        r += used;
        if (used > 1 && bk_is_ignored(point)) continue;
        for (; longer && *longer && n < HOST_BYTES; longer++) folded[n++] = (uint8_t)*longer, before = 0;
        if (longer) continue;
        point = bk_fold(point);
        if (before && (joined = compose(before, point)) != 0) point = bk_fold(joined), n = last;
        last = n;
        n = bk_put_folded(point, folded, n, HOST_BYTES);
        before = point;
    }
    for (size_t start = 0; start <= n;) {
        size_t end = start;
        while (end < n && folded[end] != '.') end++;
        size_t label = end - start, decoded = 0;
        if (label > 4 && label < LABEL_POINTS && memcmp(folded + start, "xn--", 4) == 0)
            decoded = punycode_decode(folded + start + 4, label - 4, points);
        for (size_t i = 0; i < decoded; i++) w = bk_put_folded(points[i], out, w, capacity);
        for (size_t i = start; decoded == 0 && i < end && w < capacity; i++) out[w++] = folded[i];
        if (end < n && w < capacity) out[w++] = '.';
        start = end + 1;
    }
    return w;
}

/* --- look-alikes -------------------------------------------------------------------------------- */

static const struct {
    uint16_t point;
    char looks_like;
} lookalikes[] = { /* in order */
    {0x0391, 'a'}, {0x0392, 'b'}, {0x0395, 'e'}, {0x0397, 'h'}, {0x0399, 'i'}, {0x039A, 'k'},
    {0x039C, 'm'}, {0x039D, 'n'}, {0x039F, 'o'}, {0x03A1, 'p'}, {0x03A4, 't'}, {0x03A7, 'x'},
    {0x03B1, 'a'}, {0x03B9, 'i'}, {0x03BD, 'v'}, {0x03BF, 'o'}, {0x03C1, 'p'}, {0x03C5, 'u'},
    {0x03C7, 'x'}, {0x0412, 'b'}, {0x041D, 'h'}, {0x0430, 'a'}, {0x0435, 'e'}, {0x043A, 'k'}, {0x043C, 'm'}, {0x043E, 'o'},
    {0x0440, 'p'}, {0x0441, 'c'}, {0x0442, 't'}, {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'},
    {0x0456, 'i'}, {0x0458, 'j'}, {0x0501, 'd'}, {0x051B, 'q'}, {0x051D, 'w'},
};

uint8_t bk_lookalike(uint32_t point) {
    size_t low = 0, high = sizeof lookalikes / sizeof *lookalikes;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (lookalikes[middle].point < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof lookalikes / sizeof *lookalikes && lookalikes[low].point == point
               ? (uint8_t)lookalikes[low].looks_like : 0;
}
