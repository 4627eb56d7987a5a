/* Facts of pages and mails that would take a call of Python each: hosts of links, words, calls, runs. */
#include <string.h>

#include "binding.h"
#include "binding_html.h"
#include "links.h"
#include "page_text.h"
#include "unicode.h"

/* --- links ---------------------------------------------------------------------------------------- */

/* Splits an address into memory of its own; 0, or -1 with an exception. Free parts->bytes afterwards. */
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

PyObject *bk_html_resolve(PyObject *base, PyObject *target) {
    link_parts above, parts;
    if (split_text(base, &above) < 0) return NULL;
    const int failed = split_text(target, &parts) < 0;
    uint8_t *resolved = failed ? NULL : malloc(above.length + parts.length + LINK_SIGNS);
    PyObject *result = NULL;
    if (resolved) result = bk_html_string(resolved, bk_resolve_link(&above, &parts, resolved));
    else if (!failed) PyErr_NoMemory();
    free(resolved);
    free(above.bytes);
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

/* A host as a string; most links of a page stay on the site of the one before. */
typedef struct {
    uint8_t bytes[LINK_TEXT_BYTES + BK_PADDING], last_bytes[LINK_TEXT_BYTES];
    size_t last_length;
    PyObject *last;
} host_reader;

/* The host below a base, a new reference; `room` holds base and target, and LINK_SIGNS more. */
static PyObject *read_host(host_reader *reader, const link_parts *base, const link_parts *target, uint8_t *room) {
    const size_t n = bk_link_host(room, bk_resolve_link(base, target, room), reader->bytes);
    if (!reader->last || n != reader->last_length || memcmp(reader->bytes, reader->last_bytes, n) != 0) {
        Py_XDECREF(reader->last);
        reader->last = PyUnicode_DecodeUTF8((const char *)reader->bytes, (Py_ssize_t)n, "replace");
        memcpy(reader->last_bytes, reader->bytes, reader->last_length = n);
    }
    return Py_XNewRef(reader->last);
}

PyObject *bk_read_links(PyObject *module, PyObject *args) {
    (void)module;
    enum { MAX_TARGET = 2048 }; /* characters */
    static const char *const kinds[] = {"", "fragment", "root", "relative", "absolute", "script", "data", "mail", "phone", "local"};
    PyObject *address, *targets;
    link_parts base = {0}, target = {0};
    const link_parts no_base = {0};
    if (!PyArg_ParseTuple(args, "UO!", &address, &PyList_Type, &targets) || split_text(address, &base) < 0)
        return NULL;
    const size_t most = 4 * MAX_TARGET;
    uint8_t *room = malloc(base.length + most + LINK_SIGNS);
    target.bytes = malloc(most);
    host_reader *readers = calloc(2, sizeof *readers);
    PyObject *links = room && target.bytes && readers ? PyList_New(0) : PyErr_NoMemory();
    for (Py_ssize_t i = 0; links && i < PyList_Size(targets); i++) {
        PyObject *text = PyList_GetItem(targets, i), *link = NULL;
        text_view view = {0};
        if (text == Py_None) {
            link = Py_BuildValue("(sss)", "none", "", "");
        } else if (bk_view_text(text, &view) == 0) {
            const size_t n = bk_html_cut(view.bytes, (size_t)view.length, MAX_TARGET);
            bk_split_link(view.bytes, n, &target);
            PyObject *host = read_host(&readers[0], &no_base, &target, room);
            PyObject *reached = base.length ? read_host(&readers[1], &base, &target, room) : Py_XNewRef(host);
            link = Py_BuildValue("(sNN)", kinds[bk_link_kind(view.bytes, n)], host, reached);
        }
        if (!link || PyList_Append(links, link) < 0) Py_CLEAR(links);
        Py_XDECREF(link);
        Py_XDECREF(view.owner);
    }
    for (int i = 0; readers && i < 2; i++) Py_XDECREF(readers[i].last);
    free(readers);
    free(room);
    free(base.bytes);
    free(target.bytes);
    return links;
}

/* The first bytes of a text that may be no UTF-8. */
static PyObject *cut_text(const uint8_t *text, size_t length, Py_ssize_t most) {
    PyObject *string = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)length, "replace");
    Py_ssize_t n = 0;
    const char *bytes = string ? PyUnicode_AsUTF8AndSize(string, &n) : NULL;
    if (!bytes || n <= most) return string;
    PyObject *cut = PyUnicode_DecodeUTF8(bytes, most, "replace");
    Py_DECREF(string);
    return cut;
}

PyObject *bk_link_places(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *links;
    Py_ssize_t most;
    uint8_t place[LINK_TEXT_BYTES + BK_PADDING];
    if (!PyArg_ParseTuple(args, "O!n", &PyList_Type, &links, &most)) return NULL;
    PyObject *places = PyList_New(0);
    for (Py_ssize_t i = 0; places && i < PyList_Size(links); i++) {
        text_view view;
        PyObject *string = NULL;
        if (bk_view_text(PyList_GetItem(links, i), &view) == 0) {
            string = cut_text(place, bk_link_place(view.bytes, (size_t)view.length, place), most);
            Py_XDECREF(view.owner);
        }
        if (!string || PyList_Append(places, string) < 0) Py_CLEAR(places);
        Py_XDECREF(string);
    }
    return places;
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
    if (!PyArg_ParseTuple(args, "On", &text, &least) || bk_view_text(text, &view) < 0) return NULL;
    const size_t n = bk_count_encoded(view.bytes, (size_t)view.length, least > 0 ? (size_t)least : 0);
    Py_XDECREF(view.owner);
    return PyLong_FromSize_t(n);
}

PyObject *bk_is_utf8_text(PyObject *module, PyObject *data) {
    (void)module;
    text_view view;
    if (bk_view_text(data, &view) < 0) return NULL;
    const int is_utf8 = bk_is_utf8(view.bytes, (size_t)view.length);
    Py_XDECREF(view.owner);
    return PyBool_FromLong(is_utf8);
}

PyObject *bk_squeeze_text(PyObject *module, PyObject *text) {
    (void)module;
    text_view view;
    Py_ssize_t n_words = 0;
    if (bk_view_text(text, &view) < 0) return NULL;
    PyObject *squeezed = bk_html_squeezed(view.bytes, (size_t)view.length, &n_words);
    Py_XDECREF(view.owner);
    return squeezed ? Py_BuildValue("(Nn)", squeezed, n_words) : NULL;
}

PyObject *bk_may_hide_text(PyObject *module, PyObject *text) {
    (void)module;
    text_view view;
    if (bk_view_text(text, &view) < 0) return NULL;
    const int may = bk_may_hide(view.bytes, (size_t)view.length);
    Py_XDECREF(view.owner);
    return PyBool_FromLong(may);
}
