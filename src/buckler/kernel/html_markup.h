/* Tags of HTML: their names, what is known of these, and their attributes, as the HTML standard splits them. */
#ifndef BUCKLER_HTML_MARKUP_H
#define BUCKLER_HTML_MARKUP_H

#include <stddef.h>
#include <stdint.h>

enum { MAX_TAGS = 192, MAX_CLOSED = 8, N_RULES = 12 };

/* Names that the scanner asks for one by one; 0 is any name that is not known. */
enum tag_id {
    OTHER_TAG, A, AREA, BASE, BUTTON, FORM, FRAME, IFRAME, IMG, INPUT, LINK, META, SCRIPT, SELECT, TEXTAREA, TITLE,
    IMAGE, FONT, DIALOG, NOSCRIPT, XMP, PLAINTEXT, STYLE, TABLE, HTML, HEAD, BODY, FRAMESET
};

/* Sets of names, one bit each. */
#define VOID_TAGS (1ull << 0)
#define FORMATTING (1ull << 1)
#define IN_LINE (1ull << 2)
#define CLOSES_P (1ull << 3)
#define ROWS (1ull << 4)
#define SCOPE (1ull << 5)
#define AROUND_ROWS (1ull << 6)
#define MARKERS (1ull << 7)
#define HEADINGS (1ull << 8)
#define NO_ELEMENTS (1ull << 9)       /* html, head, body, frameset */
#define NOT_SHOWN (1ull << 10)
#define NOT_DRAWN (1ull << 11)        /* in a drawing */
#define DRAWINGS (1ull << 12)
#define PAGES_IN_DRAWINGS (1ull << 13)
#define ENDS_DRAWING (1ull << 14)
#define KEPT (1ull << 15)             /* what a page is judged by */
#define RAW (1ull << 16)
#define OWN_LETTERS (1ull << 17)      /* form fields have letters of their own size */
#define CLOSED_BY(rule) (1ull << (18 + (rule)))
#define BORDER_OF(rule) (1ull << (18 + N_RULES + (rule)))

typedef struct {
    uint16_t id; /* 0 where the name is not known: then its bytes count */
    uint32_t hash;
    const uint8_t *name;
    size_t length;
} tag_name;

typedef struct {
    const uint8_t *name, *value; /* value is NULL without one */
    size_t name_length, value_length;
} attribute;

/* What stands between < and >, behind the name. */
typedef struct {
    attribute *attributes; /* `room` of them are there */
    size_t n, room;
    int is_bare, is_closed; /* nothing follows the name; a slash is at the end */
} tag_rest;

extern uint64_t bk_tag_sets[MAX_TAGS];               /* by id: the sets of a name */
extern uint8_t bk_tag_rules[MAX_TAGS];               /* by id: which rule closes others before it, or 0 */
extern uint8_t bk_rule_names[N_RULES][MAX_CLOSED];   /* by rule: ids that it closes, up to a 0 */

/* Fills the tables; more than once does no harm. */
void bk_prepare_tags(void);

/* The name of an id, in lower case. */
const char *bk_tag_name(uint16_t id);

/* Reads the name that begins at p with a letter; returns where it ends. */
const uint8_t *bk_read_tag_name(const uint8_t *p, const uint8_t *end, tag_name *name);

static inline int same_tag(const tag_name *a, const tag_name *b) {
    if (a->id || b->id) return a->id == b->id;
    if (a->hash != b->hash || a->length != b->length) return 0;
    for (size_t i = 0; i < a->length; i++) {
        const uint8_t x = a->name[i], y = b->name[i];
        if (x != y && ((x | 0x20) != (y | 0x20) || (x | 0x20) < 'a' || (x | 0x20) > 'z')) return 0;
    }
    return 1;
}

/* Whether an attribute has this name in lower case. */
int bk_is_attribute(const attribute *a, const char *name);

/*
 * Reads attributes up to the > of the tag; returns where it stands, NULL if the tag never ends, and
 * `end` + 1 if memory is short.
 */
const uint8_t *bk_read_attributes(const uint8_t *p, const uint8_t *end, tag_rest *rest);

/* The first place from p on where </name stands before white space, / or >; `end` if there is none. */
const uint8_t *bk_end_of_raw(const uint8_t *p, const uint8_t *end, const tag_name *name);

/* Behind the comment whose text begins at p; NULL if it never ends. */
const uint8_t *bk_end_of_comment(const uint8_t *p, const uint8_t *end);

static inline int is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

#endif
