/* audit_lines(data): programs out of a log of auditd, as buffers of Arrow; and what readers of logs share. */
#include "audit_lines.h"
#include "binding.h"

int bk_make_strings(arrow_strings *column, size_t size, size_t rows) {
    column->offsets = calloc(rows + 1, sizeof *column->offsets);
    column->data = malloc(size + 1); /* pages that stay empty cost nothing */
    column->validity = calloc(rows / 8 + 1, 1);
    return column->offsets && column->data && column->validity ? 0 : -1;
}

void bk_free_strings(arrow_strings *column) {
    free(column->offsets);
    free(column->data);
    free(column->validity);
}

PyObject *bk_build_strings(const void *columns, size_t stride, size_t n, size_t rows) {
    PyObject *list = PyList_New(0);
    for (size_t c = 0; list && c < n; c++) {
        const arrow_strings *column = (const arrow_strings *)((const char *)columns + c * stride);
        PyObject *buffers = Py_BuildValue(
            "(y#y#y#)", (const char *)column->validity, (Py_ssize_t)(rows / 8 + 1),
            (const char *)column->offsets, (Py_ssize_t)((rows + 1) * sizeof *column->offsets),
            (const char *)column->data, (Py_ssize_t)column->offsets[rows]);
        if (!buffers || PyList_Append(list, buffers) < 0) Py_CLEAR(list);
        Py_XDECREF(buffers);
    }
    return list;
}

static PyObject *build_programs(const audit_programs *found) {
    PyObject *list = bk_build_strings(found->columns, sizeof *found->columns, AUDIT_COLUMNS, found->n_programs);
    if (!list) return NULL;
    return Py_BuildValue("(y#y#N)", (const char *)found->lines, (Py_ssize_t)(found->n_programs * sizeof *found->lines),
                         (const char *)found->bad_lines,
                         (Py_ssize_t)(found->n_bad_lines * sizeof *found->bad_lines), list);
}

PyObject *bk_audit_columns(PyObject *module, PyObject *args) {
    (void)module;
    const char *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#", &data, &size)) return NULL;
    if (size > INT32_MAX / 4 - 1) {
        PyErr_SetString(PyExc_ValueError, "too many lines at once");
        return NULL;
    }
    int failed;
    audit_programs found = {0};
    Py_BEGIN_ALLOW_THREADS
    const size_t rows = bk_audit_count((const uint8_t *)data, (size_t)size);
    found.lines = malloc(rows * sizeof *found.lines);
    found.bad_lines = malloc(rows * sizeof *found.bad_lines);
    failed = !found.lines || !found.bad_lines;
    for (size_t c = 0; c < AUDIT_COLUMNS; c++)
        failed |= bk_make_strings(&found.columns[c], AUDIT_COLUMN_BYTES((size_t)size), rows) < 0;
    failed = failed || bk_audit_programs((const uint8_t *)data, (size_t)size, &found);
    Py_END_ALLOW_THREADS
    PyObject *result = failed ? PyErr_NoMemory() : build_programs(&found);
    for (size_t c = 0; c < AUDIT_COLUMNS; c++) bk_free_strings(&found.columns[c]);
    free(found.lines);
    free(found.bad_lines);
    return result;
}
