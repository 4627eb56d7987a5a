#include "html_styles.h"

#include <string.h>

#include "sink.h"
#include "unicode.h"

enum property {
    DISPLAY, VISIBILITY, FONT_AND_SIZE, FONT_SIZE, OPACITY, OVERFLOWS, OVERFLOWS_Y, POSITION, TRANSFORM, CLIP, CLIP_PATH, MSO_HIDE,
    CONTENT_VISIBILITY, MAX_HEIGHT, HEIGHT, WIDTH, MAX_WIDTH, TEXT_INDENT, MARGIN_LEFT, MARGIN_TOP, MARGIN_RIGHT, LEFT, TOP,
    RIGHT, BOTTOM, N_PROPERTIES
};

static const char *const PROPERTIES[N_PROPERTIES] = {
    "display", "visibility", "font", "font-size", "opacity", "overflow", "overflow-y", "position", "transform", "clip",
    "clip-path", "mso-hide", "content-visibility", "max-height", "height", "width", "max-width", "text-indent",
    "margin-left", "margin-top", "margin-right", "left", "top", "right", "bottom"};

typedef struct {
    const uint8_t *text; /* NULL where it is not declared */
    size_t length;
    int is_important;
} style_value;

static int is_white(uint8_t c) { return c == ' ' || (uint8_t)(c - 9) < 5 || (uint8_t)(c - 0x1C) < 4; }

static style_value strip(const uint8_t *text, size_t length) {
    while (length && is_white(text[length - 1])) length--;
    while (length && is_white(*text)) text++, length--;
    return (style_value){text, length, 0};
}

static int is_text(const style_value *value, const char *text) {
    return value->text && strlen(text) == value->length && memcmp(value->text, text, value->length) == 0;
}

/* --- what is there -------------------------------------------------------------------------------- */

#define LETTER(c) (1u << ((c) - 'a'))

/* Whether a style may have an effect: by words, wherever they stand. */
static int is_worth_reading(const uint8_t *style, size_t length) {
    static const struct {
        uint32_t second; /* letters */
        const char *words[2];
    } by_first[26] = {
        ['b' - 'a'] = {LETTER('o'), {"bottom"}},
        ['c' - 'a'] = {LETTER('l') | LETTER('o'), {"clip", "content-visib"}},
        ['d' - 'a'] = {LETTER('i'), {"display"}},
        ['f' - 'a'] = {LETTER('o'), {"font"}},
        ['h' - 'a'] = {LETTER('e'), {"height"}},
        ['i' - 'a'] = {LETTER('n'), {"indent"}},
        ['l' - 'a'] = {LETTER('e'), {"left"}},
        ['m' - 'a'] = {LETTER('a') | LETTER('s'), {"margin", "mso-hide"}},
        ['o' - 'a'] = {LETTER('p'), {"opacity"}},
        ['r' - 'a'] = {LETTER('i'), {"right"}},
        ['t' - 'a'] = {LETTER('o') | LETTER('r'), {"top", "transform"}},
        ['v' - 'a'] = {LETTER('i'), {"visib"}},
        ['w' - 'a'] = {LETTER('i'), {"width"}},
    };
    uint32_t seconds = 0; /* those that the letter before may have */
    for (size_t i = 0; i < length; i++) {
        const uint8_t letter = (uint8_t)((style[i] | 0x20) - 'a');
        if (letter > 25) {
            if (style[i] == '\\' || (style[i] == '/' && i + 1 < length && style[i + 1] == '*')) return 1;
            seconds = 0;
            continue;
        }
        for (int w = 0; seconds >> letter & 1 && w < 2; w++) {
            const char *word = by_first[(style[i - 1] | 0x20) - 'a'].words[w];
            if (word && bk_starts_with(style + i - 1, length - i + 1, word)) return 1;
        }
        seconds = by_first[letter].second;
    }
    return 0;
}

/* Leaves out comments; returns the length. */
static size_t drop_comments(uint8_t *style, size_t length) {
    size_t w = 0;
    for (size_t i = 0; i < length;) {
        if (style[i] != '/' || i + 1 == length || style[i + 1] != '*') {
            style[w++] = style[i++];
            continue;
        }
        for (i += 2; i < length && (style[i] != '*' || i + 1 == length || style[i + 1] != '/'); i++) {}
        i = i < length ? i + 2 : length;
    }
    return w;
}

/* Undoes escapes; what they write beyond ASCII is one letter here, for no property has it. */
static size_t undo_escapes(uint8_t *style, size_t length) {
    enum { MOST_DIGITS = 6, BEYOND_ASCII = 0xFF };
    size_t w = 0;
    for (size_t i = 0; i < length;) {
        if (style[i] != '\\' || i + 1 == length) {
            style[w++] = style[i++];
            continue;
        }
        uint32_t code = 0, n = 0;
        for (i++; n < MOST_DIGITS && i < length && hex_value(style[i]) != NO_HEX; i++, n++) code = code << 4 | hex_value(style[i]);
        if (!n) {
            style[w++] = style[i++];
            continue;
        }
        style[w++] = code && code < 0x80 ? (uint8_t)code : BEYOND_ASCII;
        if (i < length && is_white(style[i])) i++;
    }
    return w;
}

#define LENGTH(n) (1u << (n))

static int find_property(const style_value *name) {
    static const uint32_t lengths_by_first[26] = {
        ['b' - 'a'] = LENGTH(6),
        ['c' - 'a'] = LENGTH(4) | LENGTH(9) | LENGTH(18),
        ['d' - 'a'] = LENGTH(7),
        ['f' - 'a'] = LENGTH(4) | LENGTH(9),
        ['h' - 'a'] = LENGTH(6),
        ['l' - 'a'] = LENGTH(4),
        ['m' - 'a'] = LENGTH(8) | LENGTH(9) | LENGTH(10) | LENGTH(11) | LENGTH(12),
        ['o' - 'a'] = LENGTH(7) | LENGTH(8) | LENGTH(10),
        ['p' - 'a'] = LENGTH(8),
        ['r' - 'a'] = LENGTH(5),
        ['t' - 'a'] = LENGTH(3) | LENGTH(9) | LENGTH(11),
        ['v' - 'a'] = LENGTH(10),
        ['w' - 'a'] = LENGTH(5),
    };
    const uint8_t first = name->length && name->length < 32 ? (uint8_t)(*name->text - 'a') : 26;
    if (first > 25 || !(lengths_by_first[first] >> name->length & 1)) return N_PROPERTIES;
    for (int p = 0; p < N_PROPERTIES; p++)
        if (*name->text == (uint8_t)*PROPERTIES[p] && is_text(name, PROPERTIES[p])) return p;
    return N_PROPERTIES;
}

/* Keeps the last value of each property, an important one before others; returns 0 where none is worth reading. */
static int read_declarations(const uint8_t *style, size_t length, style_value *values) {
    int has_any = 0;
    for (const uint8_t *p = style, *const end = style + length; p < end;) {
        const uint8_t *name_end = p;
        while (name_end < end && *name_end != ':' && *name_end != ';') name_end++;
        const style_value name = strip(p, (size_t)(name_end - p));
        const uint8_t *stop = name_end < end ? memchr(name_end, ';', (size_t)(end - name_end)) : NULL;
        if (!stop) stop = end;
        const int property = find_property(&name);
        if (property < N_PROPERTIES) {
            const uint8_t *from = name_end < stop ? name_end + 1 : stop;
            const uint8_t *mark = memchr(from, '!', (size_t)(stop - from));
            style_value value = strip(from, (size_t)((mark ? mark : stop) - from));
            if (mark) {
                const style_value said = strip(mark + 1, (size_t)(stop - mark - 1));
                value.is_important = is_text(&said, "important");
            }
            if (value.is_important || !values[property].is_important) values[property] = value;
            has_any |= property != POSITION && property != OVERFLOWS && property != OVERFLOWS_Y;
        }
        p = stop + 1;
    }
    return has_any;
}

/* --- numbers -------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *unit;
    size_t unit_length;
    double number;
    int is_number;
} style_size;

/* A number at the beginning of a text, and the letters behind it. */
static style_size read_size(const uint8_t *text, size_t length) {
    const style_size none = {NULL, 0, 0.0, 0};
    const uint8_t *p = text, *const end = text + length;
    const int is_negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    uint64_t digits = 0;
    int exponent = 0, n = 0, behind = 0;
    for (; p < end && (is_digit(*p) || (*p == '.' && !behind)); p++) {
        if (*p == '.') {
            if (!n && (p + 1 == end || !is_digit(p[1]))) return none;
            behind = 1;
            continue;
        }
        n++;
        if (digits < 100000000000000ull) digits = digits * 10 + (uint64_t)(*p - '0'), exponent -= behind;
        else exponent += !behind;
    }
    if (!n) return none;
    if (p + 1 < end && *p == 'e') {
        const uint8_t *q = p + 1;
        const int is_small = *q == '-';
        q += *q == '-' || *q == '+';
        int power = 0, m = 0;
        for (; m < 3 && q < end && is_digit(*q); q++, m++) power = power * 10 + (*q - '0');
        if (m) exponent += is_small ? -power : power, p = q;
    }
    double number = (double)digits, scale = 1.0;
    for (int i = exponent < 0 ? -exponent : exponent; i > 0 && number != 0.0; i--) {
        scale *= 10.0; /* exact up to 22 digits */
        if (i > 1 && scale < 1e22) continue;
        number = exponent < 0 ? number / scale : number * scale;
        scale = 1.0;
    }
    while (p < end && is_white(*p)) p++;
    const uint8_t *unit = p;
    while (p < end && ((*p >= 'a' && *p <= 'z') || *p == '%')) p++;
    return (style_size){unit, (size_t)(p - unit), is_negative ? -number : number, 1};
}

/* The factor of a unit among some; 0 for another. */
static double find_unit(const style_size *size, const char *const *names, const double *factors, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == size->unit_length && memcmp(names[i], size->unit, size->unit_length) == 0) return factors[i];
    return 0.0;
}

static double in_pixels(const style_size *size) {
    static const char *const names[] = {"px", "pt", "pc", "in", "cm", "mm", "q", "rem", "vw", "vh", "vmin", "vmax"};
    static const double factors[] = {1.0, 4.0 / 3.0, 16.0, 96.0, 37.8, 3.78, 0.945, 16.0, 12.0, 8.0, 8.0, 12.0};
    const double factor = find_unit(size, names, factors, sizeof factors / sizeof *factors);
    return size->number * (factor != 0.0 ? factor : 1.0);
}

/* --- effects -------------------------------------------------------------------------------------- */

static style_size size_of(const style_value *value) {
    return value->text ? read_size(value->text, value->length) : (style_size){NULL, 0, 0.0, 0};
}

/* The size in the value of "font", which stands before the family: "italic 0/0 a"; "16px" without one. */
static style_value size_in_font(const style_value *font) {
    const uint8_t *p = font->text, *const end = p + font->length;
    while (p < end) {
        while (p < end && is_white(*p)) p++;
        const uint8_t *word = p;
        int n_digits = 0;
        for (; p < end && !is_white(*p); p++) n_digits += is_digit(*p);
        const size_t length = (size_t)(p - word);
        const int is_weight = length == 3 && n_digits == 3;
        if (length && !is_weight && read_size(word, length).is_number) return (style_value){word, length, 0};
    }
    return (style_value){(const uint8_t *)"16px", 4, 0};
}

static void read_letters(const style_value *values, effect *e) {
    static const char *const names[] = {"em", "%", "ex", "ch"};
    static const double factors[] = {1.0, 0.01, 0.5, 0.5};
    style_value value = values[FONT_SIZE];
    if (!value.text && values[FONT_AND_SIZE].text) value = size_in_font(&values[FONT_AND_SIZE]);
    if (!value.text || is_text(&value, "inherit") || is_text(&value, "unset")) return;
    const int is_smaller = is_text(&value, "smaller");
    if (is_smaller || is_text(&value, "larger")) {
        e->has_times = 1, e->times = is_smaller ? 0.83 : 1.2;
        return;
    }
    const style_size size = size_of(&value);
    const double factor = size.is_number ? find_unit(&size, names, factors, sizeof factors / sizeof *factors) : 0.0;
    if (factor != 0.0) e->has_times = 1, e->times = size.number * factor;
    else e->has_pixels = 1, e->pixels = size.is_number ? in_pixels(&size) : 16.0;
}

/* Takes a text off the beginning of a value, spaces aside; 0 if another stands there. */
static int takes(style_value *value, const char *text) {
    style_value rest = *value;
    for (; *text; text++) {
        while (rest.length && *rest.text == ' ') rest.text++, rest.length--;
        if (!rest.length || *rest.text != (uint8_t)*text) return 0;
        rest.text++, rest.length--;
    }
    *value = rest;
    return 1;
}

static int takes_digit(style_value *value) {
    const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    for (int i = 0; i < 10; i++)
        if (takes(value, digits[i])) return 1;
    return 0;
}

/* scale(0), scalex(0.0, or translate(-999 and farther. */
static int is_moved_away(style_value transform) {
    const int is_scale = takes(&transform, "scale");
    if (!is_scale && !takes(&transform, "translate")) return 0;
    if (!takes(&transform, "x")) takes(&transform, "y");
    if (!is_scale) return takes(&transform, "(-") && takes_digit(&transform) && takes_digit(&transform) && takes_digit(&transform);
    if (!takes(&transform, "(0")) return 0;
    if (takes(&transform, "."))
        while (takes(&transform, "0")) {}
    return takes(&transform, ",") || takes(&transform, ")");
}

/* rect(0,1px, or inset(50%, inset(100% and circle(0. */
static int is_clipped(style_value clip) {
    if (takes(&clip, "inset(50%") || takes(&clip, "inset(100%") || takes(&clip, "circle(0")) return 1;
    if (!takes(&clip, "rect(")) return 0;
    for (int i = 0; i < 2; i++) {
        if (!takes(&clip, "0") && !takes(&clip, "1")) return 0;
        takes(&clip, "px");
        if (!takes(&clip, ",")) return 0;
    }
    return 1;
}

/* Whether a style removes an element without "display: none". */
static int is_removed(const style_value *values) {
    const style_value *overflow = &values[values[OVERFLOWS].text ? OVERFLOWS : OVERFLOWS_Y];
    const int cuts = is_text(overflow, "hidden") || is_text(overflow, "clip");
    const style_value *position = &values[POSITION];
    const int is_placed = is_text(position, "absolute") || is_text(position, "fixed") || is_text(position, "relative");
    for (int p = MAX_HEIGHT; p <= MAX_WIDTH; p++) {
        const style_size size = size_of(&values[p]);
        const double pixels = in_pixels(&size);
        if (size.is_number && ((cuts && pixels <= 1.0) || (p == MAX_HEIGHT && pixels == 0.0))) return 1;
    }
    for (int p = TEXT_INDENT; p <= (is_placed ? BOTTOM : MARGIN_RIGHT); p++) {
        const style_size size = size_of(&values[p]);
        if (size.is_number && in_pixels(&size) <= -500.0) return 1;
    }
    return is_text(&values[MSO_HIDE], "all") || is_text(&values[CONTENT_VISIBILITY], "hidden") ||
           (values[OPACITY].text && size_of(&values[OPACITY]).number <= 0.01) ||
           is_moved_away(values[TRANSFORM]) ||
           is_clipped(values[values[CLIP].text ? CLIP : CLIP_PATH]);
}

effect bk_html_style(uint8_t *style, size_t length) {
    effect e = PLAIN_EFFECT;
    style_value values[N_PROPERTIES] = {0};
    if (!length) return e;
    const int has_signs = memchr(style, '\\', length) || memchr(style, '/', length);
    if (has_signs) {
        if (!is_worth_reading(style, length)) return e;
        length = undo_escapes(style, drop_comments(style, length));
    }
    for (size_t i = 0; i < length; i++) style[i] = lower(style[i]);
    const int has_any = read_declarations(style, length, values);
    if (!has_any && !has_signs && !is_worth_reading(style, length)) return e;
    e.is_plain = 0;
    if (!has_any) return e;
    const style_value *display = &values[DISPLAY], *own = &values[VISIBILITY];
    const int is_none = is_text(display, "none");
    e.removed = is_none || is_removed(values);
    if (display->length) e.has_display = is_none || is_text(display, "inline") || is_text(display, "contents") ? 1 : 2;
    if (is_text(own, "hidden") || is_text(own, "collapse")) e.visible = 0;
    else if (is_text(own, "visible")) e.visible = 1;
    read_letters(values, &e);
    return e;
}
