/* Headers and texts of mails for Python: what would take it a step a line or a word. */
#include <string.h>

#include "binding.h"
#include "binding_html.h"
#include "mail_text.h"
#include "sink.h"

enum { MAX_VALUE = 1 << 16 };

static const char *const KEPT_NAMES[] = {"from", "sender", "reply-to", "to", "subject", "date",
                                         "authentication-results", "content-type", "content-disposition",
                                         "content-transfer-encoding"};

typedef struct {
    const char *name;
    size_t begin, end; /* of the value, its lines joined, in the buffer */
} kept_header;

/* The headers of a block that Buckler reads, and where the body begins. */
typedef struct {
    kept_header *kept;
    size_t n, room, before_junk;
    uint8_t *values;
    const uint8_t *junk; /* the first line that is no header and that none follows */
    int is_known;
} header_block;

static const char *kept_name(const uint8_t *name, size_t length) {
    for (size_t i = 0; i < sizeof KEPT_NAMES / sizeof *KEPT_NAMES; i++)
        if ((name[0] | 0x20) == *KEPT_NAMES[i] && strlen(KEPT_NAMES[i]) == length && bk_starts_with(name, length, KEPT_NAMES[i])) return KEPT_NAMES[i];
    return NULL;
}

/* Reads lines up to the end of the block; 0, or 1 if memory is short. */
static int read_block(header_block *block, const uint8_t *p, const uint8_t *end) {
    kept_header *open = NULL; /* the one that folded lines go on with */
    size_t used = 0;
    for (int has_fields = 0;; p++) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p)), *value = NULL;
        if (!stop) stop = end;
        size_t name = 0;
        enum header_kind kind = bk_read_header(p, stop, &name, &value);
        if (kind == HEADER_FOLDED && (!has_fields || block->junk)) kind = HEADER_LINE;
        if (kind == HEADER_KNOWN || kind == HEADER_OTHER) {
            if (kind == HEADER_KNOWN) block->is_known = 1, block->junk = NULL;
            has_fields = 1;
            const char *known = kept_name(p, name);
            open = NULL;
            if (known) {
                if (block->n == block->room && bk_html_grow((void **)&block->kept, &block->room, sizeof *open)) return 1;
                open = &block->kept[block->n++];
                *open = (kept_header){known, used, used};
            }
        } else if (kind == HEADER_LINE && !block->junk) {
            block->junk = p;
            block->before_junk = block->n;
        }
        const uint8_t *const from = kind == HEADER_FOLDED ? p : value;
        if (open && from) {
            memcpy(block->values + used, from, (size_t)(stop - from));
            used += (size_t)(stop - from);
            open->end = used;
        }
        if (stop == end) return 0;
        p = stop;
    }
}

static int is_blank(uint8_t c) { return c == ' ' || (uint8_t)(c - '\t') < 5; }

/* A value without zero bytes, and white space around it. */
static PyObject *build_value(uint8_t *value, size_t length) {
    size_t w = 0, from = 0;
    if (length > MAX_VALUE) length = MAX_VALUE;
    for (size_t i = 0; i < length; i++)
        if (value[i]) value[w++] = value[i];
    while (w && is_blank(value[w - 1])) w--;
    while (from < w && is_blank(value[from])) from++;
    return PyBytes_FromStringAndSize((const char *)value + from, (Py_ssize_t)(w - from));
}

/* Appends a value to the list of its name; 0, or -1 with an exception. */
static int add_value(PyObject *headers, const char *name, PyObject *value) {
    PyObject *values = PyDict_GetItemString(headers, name); /* borrowed */
    if (values) return PyList_Append(values, value);
    values = PyList_New(0);
    const int failed = !values || PyList_Append(values, value) < 0 || PyDict_SetItemString(headers, name, values) < 0;
    Py_XDECREF(values);
    return failed ? -1 : 0;
}

/* Where the block ends whose first line is not empty: before the first empty line. */
static const uint8_t *end_of_block(const uint8_t *p, const uint8_t *end) {
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (p + 1 < end && p[1] == '\n') return p;
        p++;
    }
    return end;
}

PyObject *bk_mail_headers(PyObject *module, PyObject *args) {
    (void)module;
    const char *data;
    Py_ssize_t size, start;
    if (!PyArg_ParseTuple(args, "y#n", &data, &size, &start)) return NULL;
    if (start < 0 || start > size) {
        PyErr_SetString(PyExc_ValueError, "the block is not in the data");
        return NULL;
    }
    const uint8_t *const text = (const uint8_t *)data, *const begin = text + start, *const end = text + size;
    PyObject *headers = PyDict_New();
    if (!headers || (begin < end && *begin == '\n')) return headers ? Py_BuildValue("(Nn)", headers, start + 1) : NULL;
    const uint8_t *const last = end_of_block(begin, end);
    header_block block = {.values = malloc((size_t)(last - begin) + 1)};
    int failed = !block.values || read_block(&block, begin, last);
    if (failed) PyErr_NoMemory();
    const size_t n = !block.is_known ? 0 : block.junk ? block.before_junk : block.n;
    for (size_t i = 0; !failed && i < n; i++) {
        const kept_header *kept = &block.kept[i];
        PyObject *value = build_value(block.values + kept->begin, kept->end - kept->begin);
        failed = !value || add_value(headers, kept->name, value) < 0;
        Py_XDECREF(value);
    }
    const uint8_t *body = last + 2 < end ? last + 2 : end;
    if (!block.is_known) body = begin;
    else if (block.junk) body = block.junk;
    free(block.kept);
    free(block.values);
    if (!failed) return Py_BuildValue("(Nn)", headers, (Py_ssize_t)(body - text));
    Py_DECREF(headers);
    return NULL;
}

PyObject *bk_is_mail_header(PyObject *module, PyObject *line) {
    (void)module;
    text_view view;
    size_t name;
    const uint8_t *value;
    if (bk_view_text(line, &view) < 0) return NULL;
    const int is_header = bk_read_header(view.bytes, view.bytes + view.length, &name, &value) == HEADER_KNOWN;
    Py_XDECREF(view.owner);
    return PyBool_FromLong(is_header);
}

PyObject *bk_mailbox_in(PyObject *module, PyObject *value) {
    (void)module;
    char *bytes;
    Py_ssize_t length;
    text_mailbox found;
    if (PyBytes_AsStringAndSize(value, &bytes, &length) < 0) return NULL;
    if (!bk_read_mailbox((const uint8_t *)bytes, (size_t)length, &found)) return Py_NewRef(Py_None);
    while (found.address_end[-1] == '.') found.address_end--;
    const Py_ssize_t name = found.name ? found.name_end - found.name : 0, address = found.address_end - found.address;
    return Py_BuildValue("(y#s#)", name ? (const char *)found.name : "", name, (const char *)found.address, address);
}

/* What a function makes of bytes, in no more bytes. */
static PyObject *convert(PyObject *data, size_t (*function)(const uint8_t *, size_t, uint8_t *)) {
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(data, &text, &length) < 0) return NULL;
    uint8_t *out = malloc((size_t)length + 1);
    if (!out) return PyErr_NoMemory();
    const size_t n = function((const uint8_t *)text, (size_t)length, out);
    PyObject *result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)n);
    free(out);
    return result;
}

PyObject *bk_line_feeds(PyObject *module, PyObject *data) {
    (void)module;
    return convert(data, bk_end_lines);
}

PyObject *bk_base64_bytes(PyObject *module, PyObject *data) {
    (void)module;
    return convert(data, bk_decode_pieces);
}

PyObject *bk_quoted_bytes(PyObject *module, PyObject *data) {
    (void)module;
    return convert(data, bk_decode_quoted);
}

PyObject *bk_wallets_in(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *text;
    Py_ssize_t most;
    text_view view;
    if (!PyArg_ParseTuple(args, "On", &text, &most) || bk_view_text(text, &view) < 0) return NULL;
    const size_t cut = bk_html_cut(view.bytes, (size_t)view.length, most > 0 ? (size_t)most : 0);
    const int64_t n = bk_count_wallets(view.bytes, cut);
    Py_XDECREF(view.owner);
    return PyLong_FromLongLong(n);
}

PyObject *bk_base64_lines(PyObject *module, PyObject *data) {
    (void)module;
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(data, &bytes, &length) < 0) return NULL;
    const uint8_t *text = (const uint8_t *)bytes;
    const size_t n = (size_t)length, line = bk_find_text_line(text, n);
    return Py_BuildValue("(nn)", (Py_ssize_t)bk_end_of_base64(text, n), line < n ? (Py_ssize_t)line : -1);
}

PyObject *bk_links_in(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *text;
    Py_ssize_t most;
    text_view view;
    if (!PyArg_ParseTuple(args, "On", &text, &most) || bk_view_text(text, &view) < 0) return NULL;
    size_t at = 0, begin = 0;
    int found = 0;
    PyObject *links = PyList_New(0);
    while (links && PyList_Size(links) < most &&
           (found = bk_next_text_link(view.bytes, (size_t)view.length, &at, &begin)) > 0) {
        PyObject *link = bk_html_string(view.bytes + begin, at - begin);
        if (!link || PyList_Append(links, link) < 0) Py_CLEAR(links);
        Py_XDECREF(link);
    }
    Py_XDECREF(view.owner);
    if (!links || found >= 0) return links;
    Py_DECREF(links);
    return Py_NewRef(Py_None);
}
