/* How elements open and close, as browsers do it without a tree. */
#include "html_stack.h"

#include <string.h>

enum {
    MAX_STEPS = 64, /* up the open elements for one tag */
    MAX_REOPENED = 16
};

visibility bk_html_under(const visibility *v, const effect *e) {
    visibility inside = *v;
    if (e->is_plain) return inside;
    inside.removed |= e->removed;
    inside.dropped |= e->dropped;
    if (e->visible >= 0) inside.visible = e->visible;
    if (e->has_times) inside.pixels = v->pixels * e->times;
    else if (e->has_pixels) inside.pixels = e->pixels;
    return inside;
}

/* Shows an element as one that stands inside another. */
static void show_under(open_element *element, const visibility *outer) {
    element->shown = bk_html_under(outer, &element->effect);
    element->place = place_of(&element->shown);
}

static void pop_at(open_stack *s, size_t at) {
    const open_element element = s->elements[at];
    memmove(s->elements + at, s->elements + at + 1, (s->n - at - 1) * sizeof element);
    s->n--;
    s->counts[element.name.id]--;
    if (element.kept >= 0) s->closed(s->page, &element);
}

void bk_html_pop(open_stack *s) { pop_at(s, s->n - 1); }

void bk_html_push(open_stack *s, const open_element *element) {
    if (s->n > MAX_OPEN) bk_html_pop(s);
    s->elements[s->n++] = *element;
    s->counts[element->name.id]++;
}

/* The highest open element of a set, or of one name; 0 if a border comes before, or many others. */
static size_t find_open(const open_stack *s, uint64_t names, const tag_name *one, uint64_t borders) {
    const size_t last = s->n - 1, lowest = last > MAX_STEPS ? last - MAX_STEPS : 0;
    for (size_t at = last; at > lowest; at--) {
        const tag_name *name = &s->elements[at].name;
        if (one ? same_tag(one, name) : in_set(name->id, names)) return at;
        if (in_set(name->id, borders)) return 0;
    }
    return 0;
}

size_t bk_html_link(const open_stack *s) {
    return s->counts[A] ? find_open(s, CLOSED_BY(bk_tag_rules[A]), NULL, 0) : 0;
}

/* Closes elements; formatting that no end tag closed goes on behind them. */
static void close_down_to(open_stack *s, size_t at) {
    const uint16_t id = s->elements[at].name.id;
    open_element again[MAX_REOPENED];
    size_t n = 0;
    while (s->n > at) {
        const open_element *element = top_of(s);
        if (s->n > at + 1 && n < MAX_REOPENED && in_set(element->name.id, FORMATTING) && !element->effect.is_plain)
            again[n++] = *element;
        bk_html_pop(s);
    }
    if (in_set(id, ROWS | MARKERS | DRAWINGS) || id == TABLE) return;
    while (n-- > 0) {
        open_element *element = &again[n];
        show_under(element, &top_of(s)->shown);
        element->drawing = 0, element->kept = -1;
        bk_html_push(s, element);
    }
}

void bk_html_close_before(open_stack *s, uint8_t rule) {
    for (;;) {
        int any = 0;
        for (const uint8_t *id = bk_rule_names[rule]; *id; id++) any |= s->counts[*id];
        const size_t at = any ? find_open(s, CLOSED_BY(rule), NULL, BORDER_OF(rule)) : 0;
        if (!at) return;
        close_down_to(s, at);
    }
}

/* Closes formatting below blocks that stay open, which then lose its style. */
static void close_formatting(open_stack *s, const tag_name *name) {
    size_t at = find_open(s, 0, name, MARKERS);
    if (!at) return;
    pop_at(s, at);
    for (; at < s->n; at++) show_under(&s->elements[at], &s->elements[at - 1].shown);
}

void bk_html_close(open_stack *s, const tag_name *name) {
    const int is_heading = in_set(name->id, HEADINGS);
    if (same_tag(&top_of(s)->name, name)) {
        bk_html_pop(s);
        return;
    }
    if (name->id && !is_heading && !s->counts[name->id]) return;
    if (in_set(name->id, FORMATTING)) {
        close_formatting(s, name);
        return;
    }
    uint64_t borders = SCOPE | CLOSES_P; /* a span does not end beyond a block */
    if (in_set(name->id, ROWS) || name->id == TABLE) borders = AROUND_ROWS;
    else if (in_set(name->id, CLOSES_P | SCOPE)) borders = SCOPE;
    const size_t at = find_open(s, HEADINGS, is_heading ? NULL : name, borders);
    if (at) close_down_to(s, at);
}

void bk_html_restyle(open_stack *s, const effect *e) {
    for (size_t i = 0; i < s->n; i++) {
        s->elements[i].shown = bk_html_under(&s->elements[i].shown, e);
        s->elements[i].place = place_of(&s->elements[i].shown);
    }
}
