/* Facts of pages and mails that would take a call of Python each: hosts of links, words, calls, runs. */
#include <string.h>

#include "binding.h"
#include "binding_html.h"
#include "links.h"
#include "page_text.h"

/* --- links ---------------------------------------------------------------------------------------- */

/* An address in parts; 0, or -1 with an exception. Free its bytes afterwards. */
static int split_text(PyObject *text, link_parts *parts) {
    text_view view;
    *parts = (link_parts){0};
    if (bk_view_text(text, &view) < 0) return -1;
    parts->bytes = malloc((size_t)view.length + 1);
    if (parts->bytes) bk_split_link(view.bytes, (size_t)view.length, parts);
    else PyErr_NoMemory();
    Py_XDECREF(view.owner);
    return parts->bytes ? 0 : -1;
}

/* Where a target leads; malloc'ed, NULL with an exception. */
static uint8_t *resolve(const link_parts *base, PyObject *target, size_t more, size_t *length) {
    link_parts parts;
    if (split_text(target, &parts) < 0) return NULL;
    uint8_t *out = malloc(base->length + parts.length + LINK_SIGNS + more);
    if (out) *length = bk_resolve_link(base, &parts, out);
    else PyErr_NoMemory();
    free(parts.bytes);
    return out;
}

PyObject *bk_html_resolve(PyObject *base, PyObject *target) {
    link_parts parts;
    size_t length;
    if (split_text(base, &parts) < 0) return NULL;
    uint8_t *resolved = resolve(&parts, target, 0, &length);
    PyObject *result = resolved ? bk_html_string(resolved, length) : NULL;
    free(resolved);
    free(parts.bytes);
    return result;
}

PyObject *bk_html_clean(PyObject *address) {
    link_parts parts;
    if (split_text(address, &parts) < 0) return NULL;
    PyObject *result = bk_html_string(parts.bytes, parts.length);
    free(parts.bytes);
    return result;
}

PyObject *bk_resolve_target(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *base, *target;
    return PyArg_ParseTuple(args, "UU", &base, &target) ? bk_html_resolve(base, target) : NULL;
}

PyObject *bk_link_hosts(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *address, *targets, *last = NULL;
    link_parts base = {0};
    if (!PyArg_ParseTuple(args, "UO!", &address, &PyList_Type, &targets) || split_text(address, &base) < 0)
        return NULL;
    uint8_t host[LINK_TEXT_BYTES + BK_PADDING], last_host[LINK_TEXT_BYTES];
    size_t n = 0, last_n = 0;
    PyObject *hosts = PyList_New(0);
    for (Py_ssize_t i = 0; hosts && i < PyList_Size(targets); i++) {
        size_t length;
        uint8_t *resolved = resolve(&base, PyList_GetItem(targets, i), 0, &length);
        if (resolved) n = bk_link_host(resolved, length, host);
        free(resolved);
        if (resolved && !(last && n == last_n && memcmp(host, last_host, n) == 0)) { /* most stay on one site */
            Py_XDECREF(last);
            last = PyUnicode_DecodeUTF8((const char *)host, (Py_ssize_t)n, "replace");
            memcpy(last_host, host, last_n = n);
        }
        if (!resolved || !last || PyList_Append(hosts, last) < 0) Py_CLEAR(hosts);
    }
    Py_XDECREF(last);
    free(base.bytes);
    return hosts;
}

/* --- words ---------------------------------------------------------------------------------------- */

/* The words of a tuple; 0, or -1 with an exception. */
static int read_words(PyObject *words, word_set *set) {
    memset(set, 0, sizeof *set);
    for (Py_ssize_t i = 0; i < PyTuple_Size(words); i++) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(words, i), &length);
        if (!text) return -1;
        if (!bk_add_word(set, (const uint8_t *)text, (size_t)length)) {
            PyErr_SetString(PyExc_ValueError, "too many words, or too short ones");
            return -1;
        }
    }
    return 0;
}

PyObject *bk_words_in(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *text, *words;
    word_set set;
    uint8_t found[WORD_SET_WORDS];
    text_view view;
    if (!PyArg_ParseTuple(args, "OO!", &text, &PyTuple_Type, &words) || read_words(words, &set) < 0 ||
        bk_view_text(text, &view) < 0)
        return NULL;
    bk_find_words(&set, view.bytes, (size_t)view.length, found);
    Py_XDECREF(view.owner);
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < set.n; i++)
        if (found[i] && PyList_Append(list, PyTuple_GetItem(words, (Py_ssize_t)i)) < 0) Py_CLEAR(list);
    return list;
}

PyObject *bk_calls_in(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *code, *words;
    word_set set;
    text_view view;
    if (!PyArg_ParseTuple(args, "UO!", &code, &PyTuple_Type, &words) || read_words(words, &set) < 0 ||
        bk_view_text(code, &view) < 0)
        return NULL;
    size_t at = 0;
    int word = 0;
    PyObject *list = PyList_New(0);
    while (list && (word = bk_next_call(&set, view.bytes, (size_t)view.length, &at)) > 0)
        if (PyList_Append(list, PyTuple_GetItem(words, word - 1)) < 0) Py_CLEAR(list);
    Py_XDECREF(view.owner);
    if (!list || word >= 0) return list;
    Py_DECREF(list);
    return Py_NewRef(Py_None);
}

/* --- the rest ------------------------------------------------------------------------------------- */

PyObject *bk_encoded_runs(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *text;
    Py_ssize_t least;
    text_view view;
    if (!PyArg_ParseTuple(args, "Un", &text, &least) || bk_view_text(text, &view) < 0) return NULL;
    const size_t n = bk_count_encoded(view.bytes, (size_t)view.length, least > 0 ? (size_t)least : 0);
    Py_XDECREF(view.owner);
    return PyLong_FromSize_t(n);
}

PyObject *bk_may_hide_text(PyObject *module, PyObject *text) {
    (void)module;
    text_view view;
    if (bk_view_text(text, &view) < 0) return NULL;
    const int may = bk_may_hide(view.bytes, (size_t)view.length);
    Py_XDECREF(view.owner);
    return PyBool_FromLong(may);
}
