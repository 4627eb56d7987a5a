/* url-v1: host, path, query. The rules are written out in docs/normalize.md. */
#include <string.h>

#include "fields.h"
#include "unicode.h"
#include "url.h"

static int is_letter(uint8_t c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

/* Takes port 80 or 443 and trailing dots from the end of a host. */
static size_t trim_host(const uint8_t *host, size_t length) {
    size_t digits = 0;
    while (digits < length && host[length - 1 - digits] >= '0' && host[length - 1 - digits] <= '9')
        digits++;
    if (digits < length && host[length - 1 - digits] == ':') {
        size_t port = length - digits;
        while (port < length && host[port] == '0') port++;
        if (port == length || (length - port == 2 && memcmp(host + port, "80", 2) == 0) ||
            (length - port == 3 && memcmp(host + port, "443", 3) == 0))
            length -= digits + 1;
    }
    while (length > 0 && host[length - 1] == '.') length--;
    return length;
}

/* A host that is escaped, or not plain ASCII: percent-decoded, folded, punycode labels decoded. */
static size_t write_unusual_host(const uint8_t *host, size_t length, uint8_t *out,
                                 size_t capacity) {
    uint8_t copy[HOST_BYTES], folded[HOST_BYTES];
    if (length > HOST_BYTES) length = HOST_BYTES;
    memcpy(copy, host, length);
    length = bk_percent_decode(copy, bk_drop_breaks(copy, length));
    for (size_t i = 0; i < length; i++) copy[i] = is_control(copy[i]) ? ' ' : lower(copy[i]);
    length = trim_host(folded, bk_fold_host(copy, length, folded, HOST_BYTES));
    size_t skip = length > 4 && memcmp(folded, "www.", 4) == 0 ? 4 : 0;
    length = length - skip < capacity ? length - skip : capacity;
    memcpy(out, folded + skip, length);
    return length;
}

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
    length = bk_percent_decode(out, bk_drop_breaks(out, length));
    for (size_t i = 0; i < length; i++)
        if (is_control(out[i])) out[i] = ' ';
    return length;
}

/* "a/./b/../c" becomes "a/c", in place. */
static size_t resolve_dots(uint8_t *path, size_t length) {
    size_t w = 0, dots = 0;
    for (size_t i = 0; i < length && !dots; i++) dots = path[i] == '.' && (i == 0 || path[i - 1] == '/');
    if (!dots) return length;
    for (size_t start = 0, end; start <= length; start = end + 1) {
        for (end = start; end < length && path[end] != '/';) end++;
        size_t n = end - start;
        if (n == 2 && path[start] == '.' && path[start + 1] == '.') {
            if (w > 0) w--;
            while (w > 0 && path[w - 1] != '/') w--;
        } else if ((n != 1 || path[start] != '.') && (n > 0 || w > 0)) {
            memmove(path + w, path + start, n);
            w += n;
            if (end < length) path[w++] = '/';
        }
    }
    return w;
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

/* Length of what is dropped at either end of a URL: a byte, or a space or mark beyond ASCII. */
static size_t trimmed_at(const uint8_t *t, size_t n) {
    uint32_t point;
    if (t[0] < 0x80 && !is_inside(t[0])) return 1;
    size_t used = t[0] < 0x80 ? 0 : bk_utf8_read(t, n, &point);
    return used && (bk_is_ignored(point) || point == 0xA0 || point == 0x3000 || (point >= 0x2000 && point <= 0x200A) ||
                    point == 0x2028 || point == 0x2029) ? used : 0;
}

static size_t trimmed_before(const uint8_t *t, size_t n) {
    size_t back = 1;
    while (back < n && back < 4 && (t[n - back] & 0xC0) == 0x80) back++;
    return trimmed_at(t + n - back, back) == back ? back : 0;
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

/* The same where breaks or ignored code points may stand in the scheme. */
static size_t skip_disguised_scheme(const uint8_t *t, size_t n) {
    enum { HEAD = 64 };
    uint8_t head[HEAD] = {0};
    size_t at[HEAD + 1], count = 0, r = 0;
    uint32_t point;
    while (r < n && r < HEAD && t[r] >= 0x20 && t[r] < 0x80 && t[r] != '/') r++;
    if (r == n || r == HEAD || t[r] == '/') return 0;
    r = 0;
    while (r < n && count < HEAD) {
        size_t used = bk_utf8_read(t + r, n - r, &point);
        if (used < 2 && !is_break(t[r])) head[count] = t[r], at[count++] = r;
        else if (used > 1 && !bk_is_ignored(point)) break;
        r += used ? used : 1;
    }
    at[count] = r;
    size_t start = at[skip_scheme(head, count)];
    while (start > 0 && start < n && (t[start] == '/' || t[start] == '\\' || is_break(t[start]))) start++;
    return start;
}

size_t bk_find_authority(const uint8_t **whole, size_t *size) {
    const uint8_t *text = *whole;
    size_t cut, length = *size;
    while (length > 0 && !is_inside(text[length - 1]) && (cut = trimmed_before(text, length)) > 0) length -= cut;
    while (length > 0 && !is_inside(text[0]) && (cut = trimmed_at(text, length)) > 0) text += cut, length -= cut;
    size_t start = skip_scheme(text, length);
    if (start == 0) start = skip_disguised_scheme(text, length);
    else
        while (start < length && (is_break(text[start]) || text[start] == '/' || text[start] == '\\')) start++;
    *whole = text;
    *size = length;
    return start;
}

static inline size_t put_border(uint8_t *out, size_t w, text_parts *parts) {
    parts->positions[parts->count++] = (uint32_t)w;
    out[w] = BK_FIELD_SEPARATOR;
    return w + 1;
}

#if defined(__SSE2__)
#include <emmintrin.h>

enum { SHORT = 64 };

/* One bit for each of 64 bytes. */
typedef struct {
    uint64_t slash, dot, end_of_path, dash, unusual; /* unusual: what the short way does not handle */
} byte_masks;

static inline uint64_t equals(const __m128i *v, char c) {
    const __m128i wanted = _mm_set1_epi8(c);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++)
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], wanted)) << (16 * i);
    return mask;
}

static inline byte_masks classify(const __m128i *v) {
    byte_masks m = {equals(v, '/'), equals(v, '.'), equals(v, '?') | equals(v, '#'), equals(v, '-'), 0};
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
static size_t normalize_short_url(const uint8_t *text, size_t start, size_t length, uint8_t *out,
                                  text_parts *parts) {
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
    if ((m.unusual | (m.dot & m.slash << 1)) & inside || (host_dash & host_dash >> 1)) return 0; /* "xn--", "/." */
    for (int i = 0; i < 4; i++) { /* 'A' to 'Z', moved to the bottom of the signed range */
        __m128i shifted = _mm_add_epi8(v[i], _mm_set1_epi8((char)(0x80 - 'A')));
        __m128i upper = _mm_cmplt_epi8(shifted, _mm_set1_epi8((char)(0x80 + 26)));
        _mm_storeu_si128((__m128i *)(low + 16 * i),
                         _mm_or_si128(v[i], _mm_and_si128(upper, _mm_set1_epi8(0x20))));
    }
    size_t host_length = trim_host(low + host, end - host);
    if (host_length > 4 && memcmp(low + host, "www.", 4) == 0) host += 4, host_length -= 4;
    copy_short(out, low + host);
    size_t w = put_border(out, host_length, parts);
    size_t path = end + first_bit(~from_bit(m.slash & inside, end), 0);
    size_t query = path + first_bit(from_bit(m.end_of_path & inside, path), length - path);
    copy_short(out + w, raw + path);
    w = put_border(out, w + query - path, parts);
    if (query < length && raw[query] == '?') query++;
    copy_short(out + w, raw + query);
    return w + length - query;
}
#endif

size_t bk_normalize_url1(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                         text_parts *parts) {
    parts->count = 0;
    size_t at, end, read, start = bk_find_authority(&text, &length);
#if defined(__SSE2__)
    if (length <= SHORT && capacity >= 2 * SHORT) {
        size_t done = normalize_short_url(text, start, length, out, parts);
        if (done) return done;
        parts->count = 0;
    }
#endif
    size_t w = write_host(text, start, length, out, capacity, &at, &end);
    if (w < capacity) w = put_border(out, w, parts);
    if (at > start) w += write_rest(text + start, at - start, 0, out + w, capacity - w, &read);
    while (end < length && (text[end] == '/' || text[end] == '\\' || is_break(text[end]))) end++;
    size_t path = write_rest(text + end, length - end, END_OF_PATH, out + w, capacity - w, &read);
    w += resolve_dots(out + w, path);
    end += read;
    if (w < capacity) w = put_border(out, w, parts);
    if (end < length && text[end] == '?') end++;
    return w + write_rest(text + end, length - end, 0, out + w, capacity - w, &read);
}
