/* Texts of a page: what is common is decoded here, what is rare by Python's own tables. */
#include <string.h>

#include "binding_html.h"
#include "sink.h"
#include "unicode.h"

enum { MAX_NAME = 32 }; /* characters of a reference's name */

int bk_html_grow(void **items, size_t *room, size_t size) {
    const size_t more = 2 * *room + 64;
    void *grown = realloc(*items, more * size);
    if (!grown) return 1;
    *items = grown;
    *room = more;
    return 0;
}

PyObject *bk_html_string(const uint8_t *text, size_t length) {
    return PyUnicode_DecodeUTF8(length ? (const char *)text : "", (Py_ssize_t)length, "surrogatepass");
}

PyObject *bk_html_squeezed(const uint8_t *text, size_t length, Py_ssize_t *n_words) {
    uint8_t *out = malloc(length + 1);
    if (!out) return PyErr_NoMemory();
    size_t w = 0, white;
    Py_ssize_t n = 0;
    for (size_t i = 0; i < length;) {
        for (; i < length && (white = bk_white_length(text + i, length - i)); i += white) {}
        if (i == length) break;
        if (n++) out[w++] = ' ';
        for (; i < length && !bk_white_length(text + i, length - i); i++) out[w++] = text[i];
    }
    PyObject *string = bk_html_string(out, w);
    free(out);
    if (n_words) *n_words = n;
    return string;
}

static int begins_character(uint8_t c) { return (c & 0xC0) != 0x80; }

size_t bk_html_cut(const uint8_t *text, size_t length, size_t characters) {
    if (length <= characters) return length;
    for (size_t i = 0; i < length; i++)
        if (begins_character(text[i]) && characters-- == 0) return i;
    return length;
}

size_t bk_html_count(const uint8_t *text, size_t length) {
    size_t n = 0;
    for (size_t i = 0; i < length; i++) n += (size_t)begins_character(text[i]);
    return n;
}

/* --- references ------------------------------------------------------------------------------- */

static int reserve(html_buffer *out, size_t more) {
    if (out->length + more <= out->room) return 0;
    const size_t room = 2 * (out->length + more) + 256;
    uint8_t *grown = realloc(out->bytes, room);
    if (!grown) return 1;
    out->bytes = grown;
    out->room = room;
    return 0;
}

static int add_plain(html_buffer *out, const uint8_t *text, size_t length) {
    if (reserve(out, length)) return 1;
    if (length) memcpy(out->bytes + out->length, text, length);
    out->length += length;
    return 0;
}

/* Appends what Python makes of one reference. */
static int add_rare(html_buffer *out, PyObject *unescape, const uint8_t *text, size_t length) {
    PyObject *reference = bk_html_string(text, length);
    PyObject *decoded = reference ? PyObject_CallFunctionObjArgs(unescape, reference, NULL) : NULL;
    text_view view;
    int failed = !decoded || bk_view_text(decoded, &view) < 0;
    if (!failed) {
        failed = add_plain(out, view.bytes, (size_t)view.length);
        Py_XDECREF(view.owner);
    }
    Py_XDECREF(reference);
    Py_XDECREF(decoded);
    return failed;
}

/* The end of a number behind "&#" and its value; NULL if it is none. */
static const uint8_t *read_number(const uint8_t *p, const uint8_t *end, uint32_t *value) {
    const uint32_t base = p < end && (*p | 0x20) == 'x' ? 16 : 10;
    const uint8_t *digits = p += base == 16;
    for (*value = 0; p < end && hex_value(*p) < base; p++)
        if (*value < 0x110000) *value = *value * base + hex_value(*p);
    return p > digits ? p + (p < end && *p == ';') : NULL;
}

/* A code point that means itself in a reference. */
static int is_usual(uint32_t c) {
    return (c >= 0x20 && c < 0x7F) || c == '\n' || (c >= 0xA0 && c < 0xD800) || (c >= 0xE000 && c < 0xFDD0) ||
           (c >= 0xFDF0 && c < 0x110000 && (c & 0xFFFF) < 0xFFFE);
}

/* Appends the number that begins at p with "&#", or the sign; returns its end, NULL if that failed. */
static const uint8_t *add_number(html_buffer *out, const html_callbacks *calls, const uint8_t *p, const uint8_t *end) {
    uint32_t value;
    const uint8_t *stop = read_number(p + 2, end, &value);
    if (!stop) return add_plain(out, p, 1) ? NULL : p + 1;
    if (!is_usual(value)) return add_rare(out, calls->unescape, p, (size_t)(stop - p)) ? NULL : stop;
    if (reserve(out, 4)) return NULL;
    out->length = (size_t)(bk_put_utf8(out->bytes + out->length, value) - out->bytes);
    return stop;
}

/* Appends the reference that begins at p with "&", or the sign; returns its end, NULL if that failed. */
static const uint8_t *add_reference(html_buffer *out, const html_callbacks *calls, const uint8_t *p, const uint8_t *end) {
    static const struct {
        const char *name, *text;
    } usual[] = {{"amp;", "&"}, {"nbsp;", "\xC2\xA0"}, {"lt;", "<"}, {"gt;", ">"}, {"quot;", "\""}};
    const uint8_t *at = p + 1;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const size_t length = strlen(usual[i].name);
        if ((size_t)(end - at) >= length && memcmp(at, usual[i].name, length) == 0)
            return add_plain(out, (const uint8_t *)usual[i].text, strlen(usual[i].text)) ? NULL : at + length;
    }
    if (at < end && *at == '#') return add_number(out, calls, p, end);
    size_t n = 0;
    for (; at < end && !strchr("\t\n\f <&#;", *at); at++)
        if (begins_character(*at) && n++ == MAX_NAME) break;
    if (at == p + 1) return add_plain(out, p, 1) ? NULL : at;
    at += at < end && *at == ';';
    return add_rare(out, calls->unescape, p, (size_t)(at - p)) ? NULL : at;
}

int bk_html_add(html_buffer *out, const html_callbacks *calls, const uint8_t *text, size_t length, int is_decoded) {
    const uint8_t *p = text, *const end = text + length;
    while (p < end) {
        const uint8_t *sign = is_decoded ? NULL : memchr(p, '&', (size_t)(end - p));
        if (add_plain(out, p, (size_t)((sign ? sign : end) - p))) return 1;
        if (!sign) break;
        p = add_reference(out, calls, sign, end);
        if (!p) return 1;
    }
    return 0;
}

/* --- attributes ------------------------------------------------------------------------------- */

/* As add_reference in an attribute, where "?a=1&copy=2" holds none and only a whole name is one. */
static const uint8_t *add_in_attribute(html_buffer *out, const html_callbacks *calls, const uint8_t *p, const uint8_t *end) {
    const uint8_t *at = p + 1;
    if (end - p > 4 && memcmp(p, "&amp;", 5) == 0) return add_plain(out, p, 1) ? NULL : p + 5;
    if (at < end && *at == '#') return add_number(out, calls, p, end);
    if (at < end && is_letter(*at))
        while (at < end && (is_letter(*at) || is_digit(*at))) at++;
    if (at == p + 1 || (at < end && *at == '=')) return add_plain(out, p, (size_t)(at - p)) ? NULL : at;
    at += at < end && *at == ';';
    return add_rare(out, calls->unescape_attribute, p, (size_t)(at - p)) ? NULL : at;
}

int bk_html_decode(html_buffer *out, const html_callbacks *calls, const uint8_t *value, size_t length) {
    const uint8_t *p = value, *const end = value + length;
    while (p < end) {
        const uint8_t *sign = memchr(p, '&', (size_t)(end - p));
        if (add_plain(out, p, (size_t)((sign ? sign : end) - p))) return 1;
        if (!sign) break;
        p = add_in_attribute(out, calls, sign, end);
        if (!p) return 1;
    }
    return 0;
}

PyObject *bk_html_attribute(const html_callbacks *calls, const uint8_t *value, size_t length) {
    if (!length || !memchr(value, '&', length)) return bk_html_string(value, length);
    html_buffer out = {0};
    const int failed = bk_html_decode(&out, calls, value, length);
    PyObject *string = failed ? NULL : bk_html_string(out.bytes, out.length);
    if (failed && !PyErr_Occurred()) PyErr_NoMemory();
    free(out.bytes);
    return string;
}

PyObject *bk_html_target(PyObject *base, PyObject *target, size_t characters) {
    Py_ssize_t length = 0;
    const int has_base = PyObject_Size(base) > 0;
    const char *text = has_base ? NULL : PyUnicode_AsUTF8AndSize(target, &length);
    if (text && (size_t)length <= characters) {
        int is_clean = length == 0 || ((uint8_t)text[0] > 0x20 && (uint8_t)text[length - 1] > 0x20);
        for (Py_ssize_t i = 0; i < length; i++) is_clean &= !is_break((uint8_t)text[i]);
        if (is_clean) return Py_NewRef(target);
    }
    PyErr_Clear(); /* lone surrogates have no UTF-8 */
    PyObject *start = PySequence_GetSlice(target, 0, (Py_ssize_t)characters);
    PyObject *resolved = !start ? NULL : has_base ? bk_html_resolve(base, start) : bk_html_clean(start);
    Py_XDECREF(start);
    return resolved;
}
