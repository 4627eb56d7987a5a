/* Canonical forms: url-v1 and text-v1. The rules are written out in docs/normalisers.md. */
#include <string.h>

#include "fields.h"
#include "fold_table.h"

enum { DECODE_PASSES = 3, HOST_BYTES = 1024, LABEL_POINTS = 256 };

static const uint8_t NO_HEX = 0xFF;

static inline uint8_t hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return (uint8_t)(c - '0');
    c |= 0x20;
    if (c >= 'a' && c <= 'f') return (uint8_t)(c - 'a' + 10);
    return NO_HEX;
}

static inline int is_control(uint8_t c) { return c < 0x20 || c == 0x7F; }

static inline uint8_t lower(uint8_t c) { return (c >= 'A' && c <= 'Z') ? (uint8_t)(c | 0x20) : c; }

static int is_letter(uint8_t c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

static int is_trimmed(uint8_t c) {
    return c <= 0x20 || c == 0x7F || c == '"' || c == '\'' || c == '<' || c == '>';
}

/* --- UTF-8 and folding ------------------------------------------------------------------------ */

/* Length of the well-formed sequence at p, its code point in *point; 0 where it is not well formed. */
static size_t utf8_read(const uint8_t *p, size_t left, uint32_t *point) {
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

static uint32_t fold(uint32_t point) {
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

static size_t percent_decode(uint8_t *text, size_t length) {
    int again = 1;
    for (int pass = 0; pass < DECODE_PASSES && again; pass++)
        length = percent_decode_once(text, length, &again);
    return length;
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

static size_t put_folded(uint32_t point, uint8_t *out, size_t w, size_t capacity) {
    uint8_t bytes[4];
    point = is_ideographic_stop(fold(point)) ? '.' : fold(point);
    if (point < 0x80 && is_control((uint8_t)point)) point = ' ';
    size_t need = utf8_write(point, bytes);
    if (w + need > capacity) return w;
    memcpy(out + w, bytes, need);
    return w + need;
}

/* Folds a host that has bytes beyond ASCII or punycode labels. */
static size_t fold_host(const uint8_t *host, size_t length, uint8_t *out, size_t capacity) {
    uint8_t folded[HOST_BYTES];
    uint32_t points[LABEL_POINTS];
    size_t n = 0, w = 0;
    for (size_t r = 0; r < length;) {
        uint32_t point;
        size_t used = utf8_read(host + r, length - r, &point);
        if (used == 0) {
            if (n < HOST_BYTES) folded[n++] = host[r];
            r++;
        } else {
            n = put_folded(point, folded, n, HOST_BYTES);
            r += used;
        }
    }
    for (size_t start = 0; start <= n;) {
        size_t end = start;
        while (end < n && folded[end] != '.') end++;
        size_t label = end - start, decoded = 0;
        if (label > 4 && label < LABEL_POINTS && memcmp(folded + start, "xn--", 4) == 0)
            decoded = punycode_decode(folded + start + 4, label - 4, points);
        for (size_t i = 0; i < decoded; i++) w = put_folded(points[i], out, w, capacity);
        for (size_t i = start; decoded == 0 && i < end && w < capacity; i++) out[w++] = folded[i];
        if (end < n && w < capacity) out[w++] = '.';
        start = end + 1;
    }
    return w;
}

/* Takes port 80 or 443 and trailing dots from the end of a host. */
static size_t trim_host(const uint8_t *host, size_t length) {
    size_t digits = 0;
    while (digits < length && host[length - 1 - digits] >= '0' && host[length - 1 - digits] <= '9')
        digits++;
    if (digits < length && host[length - 1 - digits] == ':') {
        const uint8_t *port = host + length - digits;
        if (digits == 0 || (digits == 2 && memcmp(port, "80", 2) == 0) ||
            (digits == 3 && memcmp(port, "443", 3) == 0))
            length -= digits + 1;
    }
    while (length > 0 && host[length - 1] == '.') length--;
    return length;
}

static int has_punycode(const uint8_t *host, size_t length) {
    for (size_t i = 0; i + 4 < length; i++)
        if (memcmp(host + i, "xn--", 4) == 0) return 1;
    return 0;
}

/* A host that is escaped, or not plain ASCII: percent-decoded, folded, punycode labels decoded. */
static size_t write_unusual_host(const uint8_t *host, size_t length, uint8_t *out,
                                 size_t capacity) {
    uint8_t copy[HOST_BYTES], folded[HOST_BYTES];
    if (length > HOST_BYTES) length = HOST_BYTES;
    memcpy(copy, host, length);
    length = percent_decode(copy, length);
    for (size_t i = 0; i < length; i++) copy[i] = is_control(copy[i]) ? ' ' : lower(copy[i]);
    length = trim_host(folded, fold_host(copy, length, folded, HOST_BYTES));
    size_t skip = length > 4 && memcmp(folded, "www.", 4) == 0 ? 4 : 0;
    length = length - skip < capacity ? length - skip : capacity;
    memcpy(out, folded + skip, length);
    return length;
}

/* --- url-v1 ----------------------------------------------------------------------------------------- */

enum { /* what a byte can mean in a URL */
    UNUSUAL = 1,    /* must be decoded or replaced: control, '%', beyond ASCII */
    END_OF_HOST = 2, /* / \ ? # */
    END_OF_PATH = 4, /* ? # */
    AT = 8,
    DASH = 16,
    BACKSLASH = 32,
    BEYOND_ASCII = 64,
    UPPER = 128 /* a quarter of it is what makes a letter lower case */
};

#define X8(v) v, v, v, v, v, v, v, v
#define X16(v) X8(v), X8(v)
#define X32(v) X16(v), X16(v)
static const uint8_t byte_class[256] = {
    X32(UNUSUAL),
    ['%'] = UNUSUAL,
    ['#'] = END_OF_HOST | END_OF_PATH,
    ['?'] = END_OF_HOST | END_OF_PATH,
    ['/'] = END_OF_HOST,
    ['\\'] = END_OF_HOST | BACKSLASH,
    ['@'] = AT,
    ['-'] = DASH,
    ['A'] = X16(UPPER), X8(UPPER), UPPER, UPPER,
    [0x7F] = UNUSUAL,
    [0x80] = X32(BEYOND_ASCII), X32(BEYOND_ASCII), X32(BEYOND_ASCII), X32(BEYOND_ASCII),
};
/*
 * Writes the host, lower case, without a leading "www.", user info, port 80 or 443 and trailing
 * dots. *end is where it stops in the text, *at where it starts behind any user info.
 */
static size_t write_host(const uint8_t *text, size_t start, size_t length, uint8_t *out,
                         size_t capacity, size_t *at, size_t *end) {
    uint8_t seen = 0, class = 0;
    size_t i = start, w = 0, room = length - start < capacity ? length - start : capacity;
    for (; w < room; i++) {
        class = byte_class[text[i]];
        if (class & (END_OF_HOST | AT)) break;
        seen |= class;
        out[w++] = (uint8_t)(text[i] | (class & UPPER) >> 2);
    }
    *at = start;
    if (i < length && (w == room || class & AT)) { /* too long, or user info: find the true ends */
        size_t stop = i;
        for (; stop < length && !(byte_class[text[stop]] & END_OF_HOST); stop++)
            if (text[stop] == '@') *at = stop + 1;
        *end = stop;
        return write_unusual_host(text + *at, stop - *at, out, capacity);
    }
    *end = i;
    if (seen & (UNUSUAL | BEYOND_ASCII) || (seen & DASH && has_punycode(out, w)))
        return write_unusual_host(text + start, i - start, out, capacity);
    w = trim_host(out, w);
    if (w > 4 && memcmp(out, "www.", 4) == 0) {
        w -= 4;
        memmove(out, out + 4, w);
    }
    return w;
}

/* Undoes percent-encoding in place; control characters become spaces. */
static size_t write_unusual_rest(uint8_t *out, size_t length) {
    length = percent_decode(out, length);
    for (size_t i = 0; i < length; i++)
        if (is_control(out[i])) out[i] = ' ';
    return length;
}

/* Copies up to a byte of class `stop`; *read is how far the text was read. */
static size_t write_rest(const uint8_t *text, size_t length, uint8_t stop, uint8_t *out,
                         size_t capacity, size_t *read) {
    uint8_t seen = 0;
    size_t i = 0;
    if (length > capacity) length = capacity;
    for (; i < length; i++) {
        uint8_t class = byte_class[text[i]];
        if (class & stop) break;
        seen |= class;
        out[i] = text[i];
    }
    *read = i;
    if (seen & BACKSLASH && stop)
        for (size_t j = 0; j < i; j++)
            if (out[j] == '\\') out[j] = '/';
    return seen & UNUSUAL ? write_unusual_rest(out, i) : i;
}

/* Whether t starts with a scheme that browsers read whatever the number of slashes behind it. */
static int is_web_scheme(const uint8_t *t, size_t n) {
    static const char known[][6] = {"http", "https", "ftp", "ws", "wss", "hxxp", "hxxps"};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        size_t i = 0;
        while (i < n && lower(t[i]) == (uint8_t)known[k][i] && known[k][i]) i++;
        if (i == n && !known[k][i]) return 1;
    }
    return 0;
}

/* Where the authority starts: behind "scheme://", "//" or a web scheme, however slashes lean. */
static size_t skip_scheme(const uint8_t *t, size_t n) {
    if (n > 8 && memcmp(t, "https://", 8) == 0 && t[8] != '/') return 8;
    if (n > 7 && memcmp(t, "http://", 7) == 0 && t[7] != '/') return 7;
    size_t i = 0;
    int web = 0;
    if (n > 0 && is_letter(t[0])) {
        while (i < n && (is_letter(t[i]) || (t[i] >= '0' && t[i] <= '9') || t[i] == '+' ||
                         t[i] == '-' || t[i] == '.'))
            i++;
        if (i >= n || t[i] != ':') return 0;
        web = is_web_scheme(t, i);
        i++;
    }
    size_t slashes = i;
    while (slashes < n && (t[slashes] == '/' || t[slashes] == '\\')) slashes++;
    return web || slashes - i >= 2 ? slashes : 0;
}

static inline size_t put_border(uint8_t *out, size_t w, field_borders *borders) {
    borders->positions[borders->count++] = (uint32_t)w;
    out[w] = BK_FIELD_SEPARATOR;
    return w + 1;
}

#if defined(__SSE2__)
#include <emmintrin.h>

enum { SHORT = 64 };

/* One bit for each of 64 bytes. */
typedef struct {
    uint64_t slash, end_of_path, dash, unusual; /* unusual: what the short way does not handle */
} byte_masks;

static inline uint64_t equals(const __m128i *v, char c) {
    const __m128i wanted = _mm_set1_epi8(c);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++)
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], wanted)) << (16 * i);
    return mask;
}

static inline byte_masks classify(const __m128i *v) {
    byte_masks m = {equals(v, '/'), equals(v, '?') | equals(v, '#'), equals(v, '-'), 0};
    for (int i = 0; i < 4; i++) /* signed: what is below a space is a control or beyond ASCII */
        m.unusual |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmplt_epi8(v[i], _mm_set1_epi8(' ')))
                     << (16 * i);
    m.unusual |= equals(v, 0x7F) | equals(v, '%') | equals(v, '@') | equals(v, '\\');
    return m;
}

static inline void copy_short(uint8_t *out, const uint8_t *from) {
    for (size_t i = 0; i < SHORT; i += 16)
        _mm_storeu_si128((__m128i *)(out + i), _mm_loadu_si128((const __m128i *)(from + i)));
}

static inline uint64_t from_bit(uint64_t mask, size_t bit) { return bit < 64 ? mask >> bit : 0; }

static inline size_t first_bit(uint64_t mask, size_t otherwise) {
    return mask ? (size_t)__builtin_ctzll(mask) : otherwise;
}

/*
 * The short way for plain URLs of up to 64 bytes, which most are: positions come from bit masks, so
 * hardly a branch depends on the text. 0 where the URL is not plain: then the long way is taken,
 * which gives the same for all that this one handles.
 */
static size_t normalise_short_url(const uint8_t *text, size_t start, size_t length, uint8_t *out,
                                  field_borders *borders) {
    uint8_t raw[3 * SHORT], low[2 * SHORT];
    __m128i v[4];
    memset(raw, ' ', sizeof raw);
    memcpy(raw, text, length);
    for (int i = 0; i < 4; i++) v[i] = _mm_loadu_si128((const __m128i *)(raw + 16 * i));
    byte_masks m = classify(v);
    const uint64_t inside = length < 64 ? (1ull << length) - 1 : ~0ull;
    size_t host = start;
    size_t end = start + first_bit(from_bit((m.slash | m.end_of_path) & inside, start), length - start);
    const uint64_t host_dash = from_bit(m.dash & inside, start);
    if ((m.unusual & inside) || (host_dash & host_dash >> 1)) return 0; /* "xn--" has two dashes */
    for (int i = 0; i < 4; i++) { /* 'A' to 'Z', moved to the bottom of the signed range */
        __m128i shifted = _mm_add_epi8(v[i], _mm_set1_epi8((char)(0x80 - 'A')));
        __m128i upper = _mm_cmplt_epi8(shifted, _mm_set1_epi8((char)(0x80 + 26)));
        _mm_storeu_si128((__m128i *)(low + 16 * i),
                         _mm_or_si128(v[i], _mm_and_si128(upper, _mm_set1_epi8(0x20))));
    }
    size_t host_length = trim_host(low + host, end - host);
    if (host_length > 4 && memcmp(low + host, "www.", 4) == 0) host += 4, host_length -= 4;
    copy_short(out, low + host);
    size_t w = put_border(out, host_length, borders);
    size_t path = end + first_bit(~from_bit(m.slash & inside, end), 0);
    size_t query = path + first_bit(from_bit(m.end_of_path & inside, path), length - path);
    copy_short(out + w, raw + path);
    w = put_border(out, w + query - path, borders);
    if (query < length && raw[query] == '?') query++;
    copy_short(out + w, raw + query);
    return w + length - query;
}
#endif

static size_t normalise_url(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                            field_borders *borders) {
    borders->count = 0;
    while (length > 0 && is_trimmed(text[length - 1])) length--;
    while (length > 0 && is_trimmed(text[0])) text++, length--;
    size_t start = skip_scheme(text, length), at, end, read;
#if defined(__SSE2__)
    if (length <= SHORT && capacity >= 2 * SHORT) {
        size_t done = normalise_short_url(text, start, length, out, borders);
        if (done) return done;
        borders->count = 0;
    }
#endif
    size_t w = write_host(text, start, length, out, capacity, &at, &end);
    if (w < capacity) w = put_border(out, w, borders);
    if (at > start) w += write_rest(text + start, at - start, 0, out + w, capacity - w, &read);
    while (end < length && (text[end] == '/' || text[end] == '\\')) end++;
    w += write_rest(text + end, length - end, END_OF_PATH, out + w, capacity - w, &read);
    end += read;
    if (w < capacity) w = put_border(out, w, borders);
    if (end < length && text[end] == '?') end++;
    return w + write_rest(text + end, length - end, 0, out + w, capacity - w, &read);
}

/* --- text-v1 ---------------------------------------------------------------------------------------- */

static size_t normalise_text(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
    size_t w = 0;
    for (size_t r = 0; r < length && w < capacity;) {
        uint32_t point;
        size_t used = utf8_read(text + r, length - r, &point);
        if (used == 0) {
            out[w++] = text[r++];
            continue;
        }
        r += used;
        if (point == BK_FIELD_SEPARATOR) { /* fields of a task, joined by its reader */
            if (w > 0 && out[w - 1] == ' ') w--;
            out[w++] = BK_FIELD_SEPARATOR;
            continue;
        }
        point = fold(point);
        if (point <= 0x20 || point == 0x7F) {
            if (w > 0 && out[w - 1] != ' ' && out[w - 1] != BK_FIELD_SEPARATOR) out[w++] = ' ';
            continue;
        }
        size_t before = w;
        w = put_folded(point, out, w, capacity);
        if (w == before) break;
    }
    if (w > 0 && out[w - 1] == ' ') w--;
    return w;
}

/* ---------------------------------------------------------------------------------------------------- */

void bk_find_borders(const uint8_t *canonical, size_t length, field_borders *borders) {
    const uint8_t *end = canonical + length, *at = canonical;
    borders->count = 0;
    while (borders->count < BK_MAX_FIELDS &&
           (at = memchr(at, BK_FIELD_SEPARATOR, (size_t)(end - at))) != NULL) {
        borders->positions[borders->count++] = (uint32_t)(at - canonical);
        at++;
    }
}

size_t bk_normalise_fields(bk_normaliser normaliser, const uint8_t *text, size_t length,
                           uint8_t *out, size_t capacity, field_borders *borders) {
    if (length > capacity) length = capacity;
    if (normaliser == BK_NORMALISE_URL) return normalise_url(text, length, out, capacity, borders);
    if (normaliser == BK_NORMALISE_TEXT)
        length = normalise_text(text, length, out, capacity);
    else
        memcpy(out, text, length);
    bk_find_borders(out, length, borders);
    return length;
}

size_t bk_normalise(bk_normaliser normaliser, const uint8_t *text, size_t length, uint8_t *out,
                    size_t capacity) {
    field_borders borders;
    return bk_normalise_fields(normaliser, text, length, out, capacity, &borders);
}
