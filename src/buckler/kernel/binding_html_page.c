/*
 * scan_html(source, runs_scripts, callbacks): text, links, forms and resources of a page;
 * scan_mail_page(source, callbacks): what of them a mail is judged by.
 */
#include "html_scanner.h"

void bk_free_element(const page_element *element) {
    Py_XDECREF(element->attributes);
    Py_XDECREF(element->written);
    Py_XDECREF(element->target);
    Py_XDECREF(element->text);
}

static PyObject *build_element(const scanner *s, const page_element *element) {
    const uint8_t *text = s->texts[SEEN].bytes + element->begin;
    PyObject *shown = element->shown ? Py_True : Py_False;
    PyObject *target = Py_NewRef(element->target ? element->target : Py_None);
    PyObject *own = element->text ? Py_NewRef(element->text)
                                  : bk_html_string(text, bk_html_cut(text, element->end - element->begin, MAX_TARGET));
    return Py_BuildValue("(sOONNn)", bk_tag_name(element->id), element->attributes, shown, target, own,
                         (Py_ssize_t)element->behind);
}

/* Appends what a new reference names, which may be NULL; 0, or -1 with an exception. */
static int append(PyObject *list, PyObject *item) {
    const int failed = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return failed;
}

static PyObject *build_page(const scanner *s) {
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < s->n_elements; i++)
        if (append(list, build_element(s, &s->elements[i])) < 0) Py_CLEAR(list);
    if (!list) return NULL;
    const html_buffer *texts = s->texts;
    return Py_BuildValue("(NNN)", bk_html_string(texts[SEEN].bytes, texts[SEEN].length),
                         bk_html_string(texts[HIDDEN].bytes, texts[HIDDEN].length), list);
}

static PyObject *build_link(const scanner *s, const page_element *element) {
    const uint8_t *text = s->texts[SEEN].bytes + element->begin;
    PyObject *squeezed = bk_html_squeezed(text, bk_html_cut(text, element->end - element->begin, MAX_ANCHOR), NULL);
    return squeezed ? Py_BuildValue("(ON)", element->target, squeezed) : NULL;
}

static PyObject *build_mail_page(const scanner *s) {
    PyObject *links = PyList_New(0), *actions = PyList_New(0);
    int failed = !links || !actions, has_images = 0;
    for (Py_ssize_t i = 0; !failed && i < s->n_elements; i++) {
        const page_element *element = &s->elements[i];
        const int is_link = element->id == A || element->id == AREA;
        has_images |= element->id == IMG;
        if (is_link && element->shown && PyList_Size(links) < MAX_LINKS) failed = append(links, build_link(s, element)) < 0;
        if (!is_link && element->id != IMG && PyList_Size(actions) < MAX_LINKS)
            failed = append(actions, Py_NewRef(element->target)) < 0;
    }
    if (failed) {
        Py_XDECREF(links);
        Py_XDECREF(actions);
        return NULL;
    }
    const html_buffer *texts = s->texts;
    return Py_BuildValue("(NNNNN)", bk_html_string(texts[SEEN].bytes, texts[SEEN].length),
                         bk_html_string(texts[HIDDEN].bytes, texts[HIDDEN].length), links, actions,
                         PyBool_FromLong(has_images));
}

/* Scans a page, and builds the result of what was found. */
static PyObject *scan(scanner *s, PyObject *source, PyObject *(*build)(const scanner *)) {
    PyObject *result = NULL;
    if (source && (s->base = PyUnicode_FromStringAndSize("", 0))) {
        bk_read_page(s, source);
        if (!s->failed) result = build(s);
        else if (!PyErr_Occurred()) PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < s->n_elements; i++) bk_free_element(&s->elements[i]);
    for (int n = 0; n < NOT_READ; n++) Py_XDECREF(s->names[n]);
    Py_XDECREF(s->base);
    free(s->texts[SEEN].bytes);
    free(s->texts[HIDDEN].bytes);
    free(s->style.bytes);
    free(s->pieces);
    free(s->elements);
    free(s->rest.attributes);
    free(s);
    return result;
}

PyObject *bk_scan_html(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *source = NULL;
    scanner *s = calloc(1, sizeof *s);
    if (!s) return PyErr_NoMemory();
    if (!PyArg_ParseTuple(args, "Op(OO)", &source, &s->runs_scripts, &s->calls.unescape, &s->calls.unescape_attribute))
        source = NULL;
    return scan(s, source, build_page);
}

PyObject *bk_scan_mail_page(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *source = NULL;
    scanner *s = calloc(1, sizeof *s);
    if (!s) return PyErr_NoMemory();
    s->is_mail = 1;
    if (!PyArg_ParseTuple(args, "O(OO)", &source, &s->calls.unescape, &s->calls.unescape_attribute)) source = NULL;
    return scan(s, source, build_mail_page);
}
