/* The open elements of a page, and what styles make of the text inside them. */
#ifndef BUCKLER_HTML_STACK_H
#define BUCKLER_HTML_STACK_H

#include "html_markup.h"

enum { MAX_OPEN = 512 }; /* deeper elements stand beside each other, as in browsers */

enum text_place { SEEN, HIDDEN, NOWHERE };

typedef struct {
    int removed, dropped, visible;
    double pixels; /* of a letter */
} visibility;

/* What an element's own style does; `visible` is -1 where it is inherited. */
typedef struct {
    int is_plain, removed, dropped, is_block, has_display, visible, has_pixels, has_times;
    double pixels, times;
} effect;

typedef struct {
    tag_name name;
    effect effect;
    visibility shown;
    enum text_place place; /* where its text goes */
    int drawing;
    ptrdiff_t kept; /* its number among the elements that the page is judged by, or -1 */
    size_t start;   /* pieces of text that were seen before it */
} open_element;

typedef struct {
    open_element *elements; /* MAX_OPEN + 2 of them; the first one is no element of the page */
    size_t n, n_pieces;     /* n_pieces: of text that is seen, up to now */
    uint16_t counts[MAX_TAGS];
    void (*closed)(void *page, const open_element *element);
    void *page;
} open_stack;

static const effect PLAIN_EFFECT = {1, 0, 0, 0, 0, -1, 0, 0, 0, 0};

static inline int in_set(uint16_t id, uint64_t set) { return (bk_tag_sets[id] & set) != 0; }

static inline int shows_pictures(const visibility *v) { return v->visible && !v->removed && !v->dropped; }

static inline int shows_text(const visibility *v) { return shows_pictures(v) && v->pixels >= 1.0; }

static inline enum text_place place_of(const visibility *v) {
    return shows_text(v) ? SEEN : v->dropped ? NOWHERE : HIDDEN;
}

static inline open_element *top_of(const open_stack *s) { return &s->elements[s->n - 1]; }

/* What an element with this effect comes to inside one that is shown like this. */
visibility bk_html_under(const visibility *v, const effect *e);

void bk_html_push(open_stack *s, const open_element *element);

/* Closes the element that was opened last. */
void bk_html_pop(open_stack *s);

/* The highest open link; 0 if there is none near. */
size_t bk_html_link(const open_stack *s);

/* Closes what a start tag of this rule closes before it. */
void bk_html_close_before(open_stack *s, uint8_t rule);

/* Closes an element by its end tag; an end tag of no open element is ignored. */
void bk_html_close(open_stack *s, const tag_name *name);

/* Applies a style to all open elements. */
void bk_html_restyle(open_stack *s, const effect *e);

#endif
