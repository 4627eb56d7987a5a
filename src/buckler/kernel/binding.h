/* What the files of buckler._kernel share: the C kernel for Python, in the stable ABI. */
#ifndef BUCKLER_BINDING_H
#define BUCKLER_BINDING_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdlib.h>

#include "arrow_c.h"
#include "arrow_strings.h"
#include "buckler.h"

typedef struct {
    const uint8_t *bytes;
    Py_ssize_t length;
    PyObject *owner; /* NULL where the object itself keeps the bytes */
} text_view;

/* The bytes of a str or bytes object; 0, or -1 with an exception. Release view->owner afterwards. */
int bk_view_text(PyObject *object, text_view *view);

/* The texts of a pair of Arrow capsules; 0, or -1 with an exception. */
int bk_view_column(PyObject *schema_capsule, PyObject *array_capsule, text_column *column);

/* A buffer of exactly `size` bytes to read, or of `count` floats to write; 0, or -1 with an exception. */
int bk_view_bytes(PyObject *object, Py_buffer *buffer, Py_ssize_t size, const char *name);
int bk_view_floats(PyObject *object, Py_buffer *buffer, Py_ssize_t count);

/* A column that a reader fills; 0, or -1 if memory is short. */
int bk_make_strings(arrow_strings *column, size_t size, size_t rows);
void bk_free_strings(arrow_strings *column);

/* The buffers of n columns that stand `stride` bytes apart: a list of validity, offsets and data. */
PyObject *bk_build_strings(const void *columns, size_t stride, size_t n, size_t rows);

extern PyType_Spec bk_scorer_spec; /* the type Ngram */
extern PyType_Spec bk_trees_spec;  /* the type Trees */

PyObject *bk_activate_buffer(PyObject *module, PyObject *args);
PyObject *bk_recalibrate_buffer(PyObject *module, PyObject *args);

PyObject *bk_json_columns(PyObject *module, PyObject *args);
PyObject *bk_json_array_columns(PyObject *module, PyObject *args);
PyObject *bk_json_texts(PyObject *module, PyObject *args);

PyObject *bk_audit_columns(PyObject *module, PyObject *args);

PyObject *bk_scan_html(PyObject *module, PyObject *args);
PyObject *bk_scan_mail_page(PyObject *module, PyObject *args);
PyObject *bk_is_utf8_text(PyObject *module, PyObject *data);
PyObject *bk_squeeze_text(PyObject *module, PyObject *text);
PyObject *bk_resolve_target(PyObject *module, PyObject *args);
PyObject *bk_read_links(PyObject *module, PyObject *args);
PyObject *bk_link_places(PyObject *module, PyObject *args);
PyObject *bk_words_in(PyObject *module, PyObject *args);
PyObject *bk_calls_in(PyObject *module, PyObject *args);
PyObject *bk_encoded_runs(PyObject *module, PyObject *args);
PyObject *bk_may_hide_text(PyObject *module, PyObject *text);

PyObject *bk_mail_headers(PyObject *module, PyObject *args);
PyObject *bk_mailbox_in(PyObject *module, PyObject *value);
PyObject *bk_is_mail_header(PyObject *module, PyObject *line);
PyObject *bk_line_feeds(PyObject *module, PyObject *data);
PyObject *bk_wallets_in(PyObject *module, PyObject *args);
PyObject *bk_base64_bytes(PyObject *module, PyObject *data);
PyObject *bk_quoted_bytes(PyObject *module, PyObject *data);
PyObject *bk_base64_lines(PyObject *module, PyObject *data);
PyObject *bk_links_in(PyObject *module, PyObject *args);

PyObject *bk_train(PyObject *module, PyObject *args);
PyObject *bk_predict(PyObject *module, PyObject *args);
PyObject *bk_take_texts(PyObject *module, PyObject *args);
PyObject *bk_minhash(PyObject *module, PyObject *args);

#endif
