/* Columns out of JSON lines and arrays, as buffers of Arrow; and the way back. */
#include "binding.h"
#include "json_lines.h"

#include <string.h>

static void free_columns(json_column *columns, Py_ssize_t n) {
    for (Py_ssize_t c = 0; columns && c < n; c++) bk_free_strings(&columns[c].values);
    free(columns);
}

static json_column *make_columns(Py_ssize_t n, size_t size, size_t lines) {
    json_column *columns = calloc((size_t)n + 1, sizeof *columns);
    for (Py_ssize_t c = 0; columns && c < n; c++) {
        if (bk_make_strings(&columns[c].values, size, lines) < 0) {
            free_columns(columns, n);
            columns = NULL;
        }
    }
    if (!columns) PyErr_NoMemory();
    return columns;
}

/* The names of each column, in the order to try them; NULL with an exception. */
static json_names *read_names(PyObject *columns) {
    json_names *names = calloc(1, sizeof *names);
    if (!names) PyErr_NoMemory();
    for (Py_ssize_t c = 0; names && c < PyTuple_Size(columns); c++) {
        PyObject *tried = PyTuple_GetItem(columns, c);
        for (Py_ssize_t i = 0; names && i < PyTuple_Size(tried); i++) {
            char *text;
            Py_ssize_t length;
            int failed = PyBytes_AsStringAndSize(PyTuple_GetItem(tried, i), &text, &length) < 0;
            if (!failed && !bk_json_add_name(names, (const uint8_t *)text, (size_t)length, (uint32_t)c, (uint32_t)i)) {
                PyErr_SetString(PyExc_ValueError, "too many names, or too long ones");
                failed = 1;
            }
            if (failed) {
                free(names);
                names = NULL;
            }
        }
        if (names && PyErr_Occurred()) { /* no tuple */
            free(names);
            names = NULL;
        }
    }
    return names;
}

/* Columns of `events` lines or values at most; an array where `most_left` is negative. */
static PyObject *read_columns(const char *data, Py_ssize_t size, PyObject *tried, size_t events, size_t max_line,
                              int64_t most_left) {
    const size_t n = (size_t)PyTuple_Size(tried), length = (size_t)size;
    const uint8_t *text = (const uint8_t *)data;
    if (size > INT32_MAX || n < 1) {
        PyErr_SetString(PyExc_ValueError, "data or names out of range");
        return NULL;
    }
    json_names *names = read_names(tried);
    if (!names) return NULL;
    int64_t *rows = malloc((events + 1) * sizeof *rows), found = -1;
    json_column *columns = rows ? make_columns((Py_ssize_t)n, length, events) : NULL;
    PyObject *result = NULL;
    if (!rows) PyErr_NoMemory();
    if (columns) {
        Py_BEGIN_ALLOW_THREADS
        found = most_left < 0 ? bk_json_array(text, length, events, names, columns, n, rows)
                              : bk_json_lines(text, length, max_line, most_left, names, columns, n, rows);
        Py_END_ALLOW_THREADS
        if (found < 0) {
            result = Py_NewRef(Py_None);
        } else {
            PyObject *list = bk_build_strings(columns, sizeof *columns, n, (size_t)found);
            if (list)
                result = Py_BuildValue("(y#N)", (const char *)rows,
                                       (Py_ssize_t)((size_t)found * sizeof *rows), list);
        }
    }
    free_columns(columns, (Py_ssize_t)n);
    free(names);
    free(rows);
    return result;
}

/* json_lines(data, names, max_line, most_left) */
PyObject *bk_json_columns(PyObject *module, PyObject *args) {
    (void)module;
    const char *data;
    Py_ssize_t size, max_line, most_left;
    PyObject *tried;
    if (!PyArg_ParseTuple(args, "y#O!nn", &data, &size, &PyTuple_Type, &tried, &max_line, &most_left)) return NULL;
    if (max_line < 0 || most_left < 0) {
        PyErr_SetString(PyExc_ValueError, "limits out of range");
        return NULL;
    }
    size_t lines = 1;
    for (const char *p = data; (p = memchr(p, '\n', (size_t)(data + size - p))); p++) lines++;
    return read_columns(data, size, tried, lines, (size_t)max_line, most_left);
}

/* json_array(data, names, n_values) */
PyObject *bk_json_array_columns(PyObject *module, PyObject *args) {
    (void)module;
    const char *data;
    Py_ssize_t size, n_values;
    PyObject *tried;
    if (!PyArg_ParseTuple(args, "y#O!n", &data, &size, &PyTuple_Type, &tried, &n_values)) return NULL;
    if (n_values < 0 || n_values > size) {
        PyErr_SetString(PyExc_ValueError, "more values than bytes");
        return NULL;
    }
    return read_columns(data, size, tried, (size_t)n_values, 0, -1);
}

/* --- texts as JSON ------------------------------------------------------------------------------- */

/* Up to here, a text stands in JSON as it is: no quote, backslash or control character. */
static size_t plain_length(const uint8_t *text, size_t length) {
    size_t i = 0;
    for (; i + 8 <= length; i += 8) { /* eight bytes at once: a high bit where one is to be escaped */
        uint64_t v;
        memcpy(&v, text + i, sizeof v);
        const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
        const uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';
        if (((v - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~v & high) break;
    }
    while (i < length && text[i] >= 0x20 && text[i] != '"' && text[i] != '\\') i++;
    return i;
}

/* Writes a text in quotes, at most 6 * length + 2 bytes, as Python's json does; returns the length. */
static size_t write_json(const uint8_t *text, size_t length, uint8_t *out) {
    static const char short_ones[] = "btn\0fr"; /* of 8 to 13 */
    size_t w = 0;
    out[w++] = '"';
    for (size_t i = 0;;) {
        size_t n = plain_length(text + i, length - i);
        memcpy(out + w, text + i, n);
        w += n, i += n;
        if (i == length) break;
        const uint8_t c = text[i++];
        out[w++] = '\\';
        if (c == '"' || c == '\\') {
            out[w++] = c;
        } else if (c >= 8 && c <= 13 && c != 11) {
            out[w++] = (uint8_t)short_ones[c - 8];
        } else {
            static const char digits[] = "0123456789abcdef";
            memcpy(out + w, "u00", 3);
            out[w + 3] = (uint8_t)digits[c >> 4];
            out[w + 4] = (uint8_t)digits[c & 15];
            w += 5;
        }
    }
    out[w++] = '"';
    return w;
}

PyObject *bk_json_texts(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *schema, *array, *result = NULL;
    text_column column;
    if (!PyArg_ParseTuple(args, "OO", &schema, &array) || bk_view_column(schema, array, &column) < 0) return NULL;
    const int64_t rows = column.array->length;
    size_t most = 0, used = 0, n;
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *text = column_text(&column, i, &n);
        most += text ? 6 * n + 2 : 4;
    }
    int64_t *offsets = malloc(((size_t)rows + 1) * sizeof *offsets);
    uint8_t *data = malloc(most + 1);
    if (offsets && data) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t i = 0; i < rows; i++) {
            const uint8_t *text = column_text(&column, i, &n);
            offsets[i] = (int64_t)used;
            if (text) used += write_json(text, n, data + used);
            else memcpy(data + used, "null", 4), used += 4;
        }
        offsets[rows] = (int64_t)used;
        Py_END_ALLOW_THREADS
        result = Py_BuildValue("(y#y#)", (const char *)offsets, (Py_ssize_t)(((size_t)rows + 1) * sizeof *offsets),
                               (const char *)data, (Py_ssize_t)used);
    } else {
        PyErr_NoMemory();
    }
    free(offsets);
    free(data);
    return result;
}
