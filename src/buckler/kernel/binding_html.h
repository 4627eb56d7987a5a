/* Texts of a page for Python: references decoded, cut by characters. */
#ifndef BUCKLER_BINDING_HTML_H
#define BUCKLER_BINDING_HTML_H

#include "binding.h"

/* What Python does: rare references. */
typedef struct {
    PyObject *unescape;           /* (one reference) -> str */
    PyObject *unescape_attribute; /* (value) -> str */
} html_callbacks;

typedef struct {
    uint8_t *bytes;
    size_t length, room;
} html_buffer;

static inline int is_letter(uint8_t c) { return (uint8_t)((c | 0x20) - 'a') < 26; }

/* Doubles an array; 0, or 1 if memory is short. */
int bk_html_grow(void **items, size_t *room, size_t size);

/* Appends text, with references decoded unless they are; 0, or 1 with an exception or short memory. */
int bk_html_add(html_buffer *out, const html_callbacks *calls, const uint8_t *text, size_t length, int is_decoded);

/* The bytes of the first characters; the number of characters. */
size_t bk_html_cut(const uint8_t *text, size_t length, size_t characters);
size_t bk_html_count(const uint8_t *text, size_t length);

/* Appends an attribute's value with references decoded; 0, or 1 with an exception or short memory. */
int bk_html_decode(html_buffer *out, const html_callbacks *calls, const uint8_t *value, size_t length);

/* New strings: of bytes, of words with a space between, of an attribute's value with references decoded. */
PyObject *bk_html_string(const uint8_t *text, size_t length);
PyObject *bk_html_squeezed(const uint8_t *text, size_t length, Py_ssize_t *n_words);
PyObject *bk_html_attribute(const html_callbacks *calls, const uint8_t *value, size_t length);

/* The first characters of a target, resolved. */
PyObject *bk_html_target(PyObject *base, PyObject *target, size_t characters);

/* A target below a base; an address without white space around it and breaks inside. */
PyObject *bk_html_resolve(PyObject *base, PyObject *target);
PyObject *bk_html_clean(PyObject *address);

#endif
