/* json_lines(data, names, max_line): columns out of JSON lines, as buffers of Arrow. */
#include "binding.h"
#include "json_lines.h"

#include <string.h>

static void free_columns(json_column *columns, Py_ssize_t n) {
    for (Py_ssize_t c = 0; columns && c < n; c++) {
        free(columns[c].offsets);
        free(columns[c].data);
        free(columns[c].validity);
    }
    free(columns);
}

static json_column *make_columns(PyObject *names, Py_ssize_t n, size_t size, size_t lines) {
    json_column *columns = calloc((size_t)n + 1, sizeof *columns);
    for (Py_ssize_t c = 0; columns && c < n; c++) {
        char *name;
        Py_ssize_t name_length;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(names, c), &name, &name_length) < 0) {
            free_columns(columns, n);
            return NULL;
        }
        columns[c].name = (const uint8_t *)name;
        columns[c].name_length = (size_t)name_length;
        columns[c].offsets = calloc(lines + 1, sizeof *columns[c].offsets);
        columns[c].data = malloc(size + 1); /* pages that stay empty cost nothing */
        columns[c].validity = calloc(lines / 8 + 1, 1);
        if (!columns[c].offsets || !columns[c].data || !columns[c].validity) {
            free_columns(columns, n);
            columns = NULL;
        }
    }
    if (!columns) PyErr_NoMemory();
    return columns;
}

static PyObject *build_columns(const json_column *columns, Py_ssize_t n, size_t rows) {
    PyObject *list = PyList_New(0);
    for (Py_ssize_t c = 0; list && c < n; c++) {
        const json_column *column = &columns[c];
        PyObject *buffers = Py_BuildValue(
            "(y#y#y#)", (const char *)column->validity, (Py_ssize_t)(rows / 8 + 1),
            (const char *)column->offsets, (Py_ssize_t)((rows + 1) * sizeof *column->offsets),
            (const char *)column->data, (Py_ssize_t)column->offsets[rows]);
        if (!buffers || PyList_Append(list, buffers) < 0) Py_CLEAR(list);
        Py_XDECREF(buffers);
    }
    return list;
}

PyObject *bk_json_columns(PyObject *module, PyObject *args) {
    (void)module;
    const char *data;
    Py_ssize_t size, max_line;
    PyObject *names;
    if (!PyArg_ParseTuple(args, "y#O!n", &data, &size, &PyTuple_Type, &names, &max_line)) return NULL;
    const Py_ssize_t n = PyTuple_Size(names);
    if (size > INT32_MAX || max_line < 0 || n < 1) {
        PyErr_SetString(PyExc_ValueError, "lines, names or max_line out of range");
        return NULL;
    }
    size_t lines = 1;
    for (const char *p = data; (p = memchr(p, '\n', (size_t)(data + size - p))); p++) lines++;
    int64_t *rows = malloc(lines * sizeof *rows), found = -1;
    json_column *columns = rows ? make_columns(names, n, (size_t)size, lines) : NULL;
    PyObject *result = NULL;
    if (!rows) PyErr_NoMemory();
    if (columns) {
        Py_BEGIN_ALLOW_THREADS
        found = bk_json_lines((const uint8_t *)data, (size_t)size, (size_t)max_line, columns, (size_t)n, rows);
        Py_END_ALLOW_THREADS
        if (found < 0) {
            result = Py_NewRef(Py_None);
        } else {
            PyObject *list = build_columns(columns, n, (size_t)found);
            if (list)
                result = Py_BuildValue("(y#N)", (const char *)rows,
                                       (Py_ssize_t)((size_t)found * sizeof *rows), list);
        }
    }
    free_columns(columns, n);
    free(rows);
    return result;
}
