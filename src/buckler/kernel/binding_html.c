/*
 * Reads pages as browsers do. The scanner keeps the stack of open elements, so that it knows what styles
 * hide, but builds no tree: each byte costs constant work, whatever an attacker nests, leaves open or
 * repeats.
 */
#include <string.h>

#include "html_scanner.h"
#include "html_styles.h"

enum { MAX_CODE = 1 << 16 }; /* characters of scripts */

static const char *const READ_NAMES[NOT_READ] = {
    "id", "rel", "src", "href", "name", "type", "value", "action", "method", "srcdoc", "formaction", "http-equiv",
    "xlink:href", "placeholder", "autocomplete"};
static const uint8_t FIRST_OF_LENGTH[] = {0, 0, 0, 1, 3, 6, 7, 10, 10, 10, 10, 13, 14, 15};

static void add_text(scanner *s, const uint8_t *text, size_t length, int is_decoded) {
    const enum text_place place = top_of(&s->open)->place;
    if (place == NOWHERE) return;
    if (place == SEEN) {
        const size_t n = s->open.n_pieces++;
        if (n + 1 >= s->pieces_room && bk_html_grow((void **)&s->pieces, &s->pieces_room, sizeof *s->pieces)) {
            s->failed = 1;
            return;
        }
        s->pieces[n] = s->texts[SEEN].length;
    }
    s->failed |= bk_html_add(&s->texts[place], &s->calls, text, length, is_decoded);
}

/* Parts the text before and behind a tag: by lines where it is that of a block or of a cell. */
static void part_text(scanner *s, uint16_t id) {
    add_text(s, (const uint8_t *)(in_set(id, CLOSES_P | ROWS) ? "\n" : " "), 1, 1);
}

/* Where a piece of the text that is seen begins. */
static size_t piece_at(const scanner *s, size_t n) {
    return n < s->open.n_pieces ? s->pieces[n] : s->texts[SEEN].length;
}

/* Remembers the text of a link or button when it closes. */
static void keep_text(void *page, const open_element *element) {
    scanner *s = page;
    if (s->failed || (element->name.id != A && element->name.id != BUTTON)) return;
    page_element *kept = &s->elements[element->kept];
    kept->begin = piece_at(s, element->start);
    kept->end = piece_at(s, element->start + MAX_ANCHOR);
}

/* --- start tags ------------------------------------------------------------------------------- */

static effect read_style(scanner *s, const attribute *a) {
    s->style.length = 0;
    s->failed |= bk_html_decode(&s->style, &s->calls, a->value, a->value_length);
    return s->failed ? PLAIN_EFFECT : bk_html_style(s->style.bytes, s->style.length);
}

/* What the name and the attributes of an element do to what is inside. */
static effect effect_of(scanner *s, const tag_name *name) {
    const attribute *style = NULL, *size = NULL;
    int hidden = 0, opened = 0;
    for (size_t i = 0; i < s->rest.n; i++) {
        const attribute *a = &s->rest.attributes[i];
        if (a->name_length == 5 && !style && bk_is_attribute(a, "style")) style = a;
        else if (a->name_length == 4 && !size && bk_is_attribute(a, "size")) size = a;
        else if (a->name_length == 6 && bk_is_attribute(a, "hidden")) hidden = 1;
        else if (a->name_length == 4 && bk_is_attribute(a, "open")) opened = 1;
    }
    effect e = style ? read_style(s, style) : PLAIN_EFFECT;
    if (hidden || (name->id == DIALOG && !opened)) {
        if (!e.has_display) e.removed = 1, e.is_plain = 0;
    } else if (!e.has_pixels && !e.has_times) {
        const uint8_t digit = size && size->value_length ? size->value[0] : 0;
        if (in_set(name->id, OWN_LETTERS) || (name->id == FONT && digit >= '0' && digit <= '9')) {
            e.pixels = name->id == FONT ? 16.0 : 13.3;
            e.has_pixels = 1, e.is_plain = 0;
        }
    }
    return e;
}

static enum read_name name_of(const attribute *a) {
    if (a->name_length + 1 >= sizeof FIRST_OF_LENGTH) return NOT_READ;
    for (uint8_t n = FIRST_OF_LENGTH[a->name_length]; n < FIRST_OF_LENGTH[a->name_length + 1]; n++)
        if (bk_is_attribute(a, READ_NAMES[n])) return n;
    return NOT_READ;
}

static PyObject *read_dict(scanner *s) {
    PyObject *found = PyDict_New();
    for (size_t i = s->rest.n; found && i-- > 0;) { /* the first of a name counts */
        const attribute *a = &s->rest.attributes[i];
        const enum read_name name = name_of(a);
        if (name == NOT_READ) continue;
        if (!s->names[name]) s->names[name] = PyUnicode_InternFromString(READ_NAMES[name]);
        PyObject *value = s->names[name] ? bk_html_attribute(&s->calls, a->value, a->value_length) : NULL;
        if (!value || PyDict_SetItem(found, s->names[name], value) < 0) Py_CLEAR(found);
        Py_XDECREF(value);
    }
    s->failed |= !found;
    return found;
}

/* The value of an attribute of the tag that was read: a new reference, NULL without one. */
static PyObject *read_value(scanner *s, PyObject *attributes, enum read_name name) {
    if (name == NOT_READ || s->failed) return NULL;
    if (attributes) return s->names[name] ? Py_XNewRef(PyDict_GetItem(attributes, s->names[name])) : NULL;
    for (size_t i = 0; i < s->rest.n; i++) {
        const attribute *a = &s->rest.attributes[i];
        if (a->name_length != strlen(READ_NAMES[name]) || !bk_is_attribute(a, READ_NAMES[name])) continue;
        PyObject *value = bk_html_attribute(&s->calls, a->value, a->value_length);
        s->failed |= !value;
        return value;
    }
    return NULL;
}

static enum read_name target_of(uint16_t id) {
    switch (id) {
    case A:
    case AREA:
    case LINK: return HREF;
    case IMG:
    case SCRIPT:
    case IFRAME:
    case FRAME: return SRC;
    case FORM: return ACTION;
    case BUTTON:
    case INPUT: return FORMACTION;
    default: return NOT_READ;
    }
}

/* Resolves the target of an element by the base as it is now. */
static void resolve_target(scanner *s, page_element *element) {
    Py_XDECREF(element->target);
    element->target = element->written && s->base ? bk_html_target(s->base, element->written, MAX_TARGET) : NULL;
    s->failed |= !s->base || (element->written && !element->target);
}

/* The first base counts for the whole document, for what stands before it too. */
static void set_base(scanner *s, PyObject *attributes) {
    PyObject *base = s->has_base ? NULL : read_value(s, attributes, HREF);
    if (!base) return;
    PyObject *start = PySequence_GetSlice(base, 0, MAX_TARGET);
    Py_DECREF(base);
    if (!start) {
        s->failed = 1;
        return;
    }
    Py_DECREF(s->base);
    s->base = start;
    s->has_base = PyObject_Size(start) != 0;
    for (Py_ssize_t i = s->first; s->has_base && !s->failed && i < s->n_elements; i++)
        if (s->elements[i].target) resolve_target(s, &s->elements[i]);
}

/* Reads a document inside the page; it has a base of its own, or that of the page. */
static void read_inner(scanner *s, PyObject *source) {
    PyObject *base = Py_NewRef(s->base);
    const Py_ssize_t first = s->first;
    const int has_base = s->has_base;
    s->first = s->n_elements, s->has_base = 0, s->is_inner = 1;
    s->failed |= bk_read_page(s, source);
    s->first = first, s->has_base = has_base, s->is_inner = 0;
    Py_XDECREF(s->base);
    s->base = base;
}

/* Keeps an element that the page is judged by; returns its number, or -1. */
static Py_ssize_t keep(scanner *s, uint16_t id, int shown) {
    if (s->kept_counts[id] == MAX_ELEMENTS) return -1;
    s->kept_counts[id]++;
    PyObject *attributes = s->is_mail ? NULL : read_dict(s);
    if (id == BASE && !s->failed) set_base(s, attributes);
    page_element element = {.id = id, .shown = shown, .attributes = attributes, .behind = s->behind};
    element.written = read_value(s, attributes, target_of(id));
    if (!element.written && id == A) element.written = read_value(s, attributes, XLINK_HREF);
    resolve_target(s, &element);
    PyObject *inner = id == IFRAME && !s->is_inner ? read_value(s, attributes, SRCDOC) : NULL;
    if (inner && !s->failed) read_inner(s, inner);
    Py_XDECREF(inner);
    const int is_needed = !s->is_mail || (element.target && id != IFRAME && id != LINK && id != SCRIPT && id != FRAME);
    size_t room = (size_t)s->elements_room;
    if (is_needed && s->n_elements == s->elements_room)
        s->failed |= bk_html_grow((void **)&s->elements, &room, sizeof element);
    s->elements_room = (Py_ssize_t)room;
    if (s->failed || !is_needed) {
        bk_free_element(&element);
        return -1;
    }
    s->elements[s->n_elements] = element;
    return s->n_elements++;
}

/* Opens an element; returns 1 if nothing can be inside it. */
static int start_tag(scanner *s, const tag_name *name) {
    const uint16_t id = name->id;
    open_stack *open = &s->open;
    const int is_inline = in_set(id, IN_LINE), is_closed = s->rest.is_closed;
    const open_element *top = top_of(open);
    if (s->rest.is_bare && is_inline && !top->drawing) {
        const open_element element = {*name, PLAIN_EFFECT, top->shown, top->place, 0, -1, 0};
        bk_html_push(open, &element);
        return 0;
    }
    if (top->drawing && in_set(id, ENDS_DRAWING))
        while (top_of(open)->drawing) bk_html_pop(open);
    int drawing = top_of(open)->drawing || in_set(id, DRAWINGS);
    if (!drawing && bk_tag_rules[id]) bk_html_close_before(open, bk_tag_rules[id]);
    effect e = effect_of(s, name);
    const int is_dropped = in_set(id, drawing ? NOT_DRAWN : NOT_SHOWN) || (!drawing && id == NOSCRIPT && s->runs_scripts);
    if (is_dropped) e.dropped = 1, e.is_plain = 0;
    if (in_set(id, NO_ELEMENTS) && !drawing) {
        if (!(s->restyled >> (id - HTML) & 1)) bk_html_restyle(open, &e);
        s->restyled |= 1 << (id - HTML);
        return 1;
    }
    const visibility shown = bk_html_under(&top_of(open)->shown, &e);
    if (!is_inline || e.has_display > 1) part_text(s, id);
    const int is_picture = (id == IMG || id == IMAGE) && shows_pictures(&shown);
    const size_t link = is_picture ? bk_html_link(open) : 0;
    if (link && open->elements[link].kept >= 0) s->elements[open->elements[link].kept].shown = 1;
    const Py_ssize_t kept = in_set(id, KEPT) ? keep(s, id, is_picture || shows_text(&shown)) : -1;
    if (drawing ? is_closed : in_set(id, VOID_TAGS)) return 1;
    const enum text_place place = e.is_plain ? top_of(open)->place : place_of(&shown);
    drawing = drawing && !in_set(id, PAGES_IN_DRAWINGS);
    const open_element element = {*name, e, shown, place, drawing, kept, open->n_pieces};
    bk_html_push(open, &element);
    return 0;
}

/* Reads the raw text of the element that was opened last; returns where it ends. */
static const uint8_t *read_raw(scanner *s, const tag_name *name, const uint8_t *p, const uint8_t *end) {
    const uint16_t id = name->id;
    const open_element *top = top_of(&s->open);
    if (top->drawing || (id == NOSCRIPT && !s->runs_scripts)) return p;
    const uint8_t *stop = bk_end_of_raw(p, end, name);
    const size_t length = (size_t)(stop - p);
    page_element *kept = top->kept >= 0 ? &s->elements[top->kept] : NULL;
    if (kept && id == TITLE) {
        html_buffer title = {0};
        s->failed |= bk_html_add(&title, &s->calls, p, length, 0);
        kept->text = bk_html_string(title.bytes, bk_html_cut(title.bytes, title.length, MAX_TARGET));
        s->failed |= !kept->text;
        free(title.bytes);
    } else if (kept && id == SCRIPT && !kept->target) {
        const size_t cut = bk_html_cut(p, length, MAX_CODE - s->code);
        kept->text = bk_html_string(p, cut);
        s->failed |= !kept->text;
        s->code += bk_html_count(p, cut);
    } else if (id == TEXTAREA || id == XMP || id == PLAINTEXT) {
        add_text(s, p, length, id != TEXTAREA);
    }
    return stop;
}

/* --- the page --------------------------------------------------------------------------------- */

/* Reads one tag, comment or the like that begins behind "<"; returns where it ends, NULL if it never does. */
static const uint8_t *read_markup(scanner *s, const uint8_t *page, const uint8_t *p, const uint8_t *end) {
    const int is_end = *p == '/' && end - p > 1 && is_letter(p[1]);
    if (is_end || is_letter(*p)) {
        tag_name name;
        p = bk_read_tag_name(p + is_end, end, &name);
        p = bk_read_attributes(p, end, &s->rest);
        s->failed |= p && p > end; /* short of memory */
        if (!p || s->failed) return NULL;
        p++;
        if (!s->is_inner) s->behind = (size_t)(p - page);
        if (is_end) {
            if (!in_set(name.id, IN_LINE)) part_text(s, name.id);
            bk_html_close(&s->open, &name);
        } else if (!start_tag(s, &name) && !s->failed && in_set(name.id, RAW)) {
            p = read_raw(s, &name, p, end);
        }
        return p;
    }
    if (end - p > 2 && memcmp(p, "!--", 3) == 0) return bk_end_of_comment(p + 3, end);
    if (top_of(&s->open)->drawing && end - p > 7 && memcmp(p, "![CDATA[", 8) == 0) {
        const uint8_t *begin = p + 8, *stop = begin;
        while (end - stop > 2 && memcmp(stop, "]]>", 3) != 0) stop++;
        const int is_closed = end - stop > 2;
        add_text(s, begin, (size_t)((is_closed ? stop : end) - begin), 1);
        return is_closed ? stop + 3 : NULL;
    }
    const uint8_t *stop = p + 1 < end ? memchr(p + 1, '>', (size_t)(end - p - 1)) : NULL;
    return stop ? stop + 1 : NULL;
}

int bk_read_page(scanner *s, PyObject *source) {
    text_view view;
    if (bk_view_text(source, &view) < 0) return 1;
    const open_stack outer = s->open;
    s->open = (open_stack){.n = 1, .n_pieces = outer.n_pieces, .closed = keep_text, .page = s};
    s->open.elements = malloc((MAX_OPEN + 2) * sizeof *s->open.elements);
    s->failed |= !s->open.elements;
    if (!s->failed) {
        s->open.elements[0] = (open_element){{0}, PLAIN_EFFECT, {0, 0, 1, 16.0}, SEEN, 0, -1, 0};
        const uint8_t *p = view.bytes, *const end = p + view.length, *from = p;
        while (!s->failed && from && (p = p < end ? memchr(p, '<', (size_t)(end - p)) : NULL)) {
            p++;
            if (p == end || !(is_letter(*p) || *p == '!' || *p == '?' || *p == '/')) continue;
            if (p - 1 > from) add_text(s, from, (size_t)(p - 1 - from), 0);
            from = p = read_markup(s, view.bytes, p, end);
        }
        if (from && !s->failed) add_text(s, from, (size_t)(end - from), 0);
        while (s->open.n > 1) bk_html_pop(&s->open);
    }
    const size_t n_pieces = s->open.n_pieces;
    free(s->open.elements);
    s->open = outer;
    s->open.n_pieces = n_pieces;
    Py_XDECREF(view.owner);
    return s->failed;
}
