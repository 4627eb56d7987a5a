/* The scanner of pages, and what it finds. */
#ifndef BUCKLER_HTML_SCANNER_H
#define BUCKLER_HTML_SCANNER_H

#include "binding_html.h"
#include "html_stack.h"

enum {
    MAX_TARGET = 2048,   /* characters */
    MAX_ANCHOR = 200,    /* pieces of a link's text, and characters of it in a mail */
    MAX_ELEMENTS = 2000, /* of a kind */
    MAX_LINKS = 64       /* of a page in a mail */
};

/* Attributes that a page is judged by, the shorter ones first. */
enum read_name {
    ID, REL, SRC, HREF, NAME, TYPE, VALUE, ACTION, METHOD, SRCDOC, FORMACTION, HTTP_EQUIV, XLINK_HREF, PLACEHOLDER,
    AUTOCOMPLETE, NOT_READ
};

typedef struct {
    uint16_t id;
    int shown;
    PyObject *attributes, *written, *target, *text; /* each may be NULL; the target is what is written, resolved */
    size_t begin, end; /* of the text that is seen, for links and buttons */
    size_t behind; /* bytes of the page up to the end of its tag */
} page_element;

typedef struct {
    html_buffer texts[2], style; /* seen, hidden; a style attribute */
    size_t *pieces, pieces_room; /* where each piece of the text that is seen begins */
    page_element *elements;
    Py_ssize_t n_elements, elements_room;
    uint16_t kept_counts[MAX_TAGS];
    open_stack open;
    tag_rest rest;
    html_callbacks calls;
    PyObject *base, *names[NOT_READ]; /* names are NULL until they occur */
    Py_ssize_t first; /* element of the document that is read */
    size_t code, behind;
    int is_mail, has_base, runs_scripts, restyled, is_inner, failed;
} scanner;

/* Reads a page, or one inside the srcdoc of a frame; 0, or 1 with an exception. */
int bk_read_page(scanner *s, PyObject *source);

void bk_free_element(const page_element *element);

#endif
