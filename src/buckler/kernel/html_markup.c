/* The names of HTML, and how tags, comments and raw text end. */
#include "html_markup.h"

#include <stdlib.h>
#include <string.h>

#include "unicode.h"

enum { HASH_SLOTS = 512, LONGEST_NAME = 16 };

static char names[MAX_TAGS][LONGEST_NAME + 1];
static uint16_t slots[HASH_SLOTS];
static uint16_t n_names;

uint64_t bk_tag_sets[MAX_TAGS];
uint8_t bk_tag_rules[MAX_TAGS];
uint8_t bk_rule_names[N_RULES][MAX_CLOSED];

static const char NAMED[] =
    "a area base button form frame iframe img input link meta script select textarea title "
    "image font dialog noscript xmp plaintext style table html head body frameset";
static const struct {
    uint64_t sets;
    const char *words;
} SETS[] = {
    {VOID_TAGS, "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr image"},
    {FORMATTING | IN_LINE, "b big code em font i nobr s small strike strong tt u"},
    {FORMATTING, "a"},
    {IN_LINE, "span abbr acronym bdi bdo cite data del dfn ins kbd label mark q ruby samp sub sup time var"},
    {CLOSES_P, "address article aside blockquote center details dialog dir div dl dd dt fieldset figcaption figure "
               "footer form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext pre search "
               "section summary table ul xmp"},
    {ROWS, "tr tbody thead tfoot colgroup td th caption"},
    {SCOPE, "applet caption html table td th marquee object template button svg math"},
    {AROUND_ROWS, "applet html table marquee object template svg math"},
    {MARKERS, "td th caption template object marquee applet"},
    {HEADINGS, "h1 h2 h3 h4 h5 h6"},
    {NO_ELEMENTS, "html head body frameset"},
    {NOT_SHOWN, "template datalist noembed noframes rp style title script area param"},
    {NOT_DRAWN, "style script title desc metadata defs symbol"},
    {DRAWINGS, "svg math"},
    {PAGES_IN_DRAWINGS, "foreignobject desc title annotation-xml mi mo mn ms mtext"},
    {ENDS_DRAWING, "address article aside blockquote center details dialog dir div dl dd dt fieldset figcaption "
                   "figure footer h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol plaintext pre "
                   "summary table ul xmp b big body br code em embed head i img meta nobr p s small span strike "
                   "strong sub sup tt u var"},
    {KEPT, "a area base button form frame iframe img input link meta script select textarea title"},
    {RAW, "style title textarea xmp iframe noembed noframes noscript script plaintext"},
    {OWN_LETTERS, "button input select textarea"},
};
/* What a start tag closes, and the elements that it does not look beyond: besides those of SCOPE, if so. */
static const struct {
    const char *tags, *closed, *borders;
    int in_scope;
} RULES[N_RULES] = {
    {"", "", "", 0},
    {NULL, "p", "", 1}, /* those of CLOSES_P without a rule of their own */
    {"li", "li p", "ul ol menu", 1},
    {"dd dt", "dd dt p", "dl", 1},
    {"h1 h2 h3 h4 h5 h6", "h1 h2 h3 h4 h5 h6 p", "div section", 1},
    {"option optgroup", "option", "select datalist", 0},
    {"rt rp", "rt rp", "ruby", 0},
    {"td th caption", "td th caption", "table tr template", 0},
    {"tr", "tr", "table template", 0},
    {"tbody thead tfoot", "tbody thead tfoot", "table", 0},
    {"a", "a", "td th caption template object marquee applet", 0},
    {"button", "button", "", 1},
};

static uint32_t mix(uint32_t hash, uint8_t c) { return (hash ^ c) * 0x01000193u; }

static uint16_t find_name(const uint8_t *name, size_t length, uint32_t hash, int add) {
    if (length > LONGEST_NAME) return OTHER_TAG;
    size_t slot = (hash ^ hash >> 15) % HASH_SLOTS;
    for (; slots[slot]; slot = (slot + 1) % HASH_SLOTS) {
        const char *known = names[slots[slot]];
        size_t i = 0;
        while (i < length && lower(name[i]) == (uint8_t)known[i]) i++;
        if (i == length && !known[i]) return slots[slot];
    }
    if (!add) return OTHER_TAG;
    slots[slot] = ++n_names;
    memcpy(names[n_names], name, length);
    return n_names;
}

/* Calls for each word; returns the ids of the first ones in `ids`, if it is given. */
static void add_words(const char *words, uint64_t sets, uint8_t rule, uint8_t *ids) {
    while (*words) {
        const char *stop = strchr(words, ' ');
        const size_t length = stop ? (size_t)(stop - words) : strlen(words);
        uint32_t hash = 0x811C9DC5u;
        for (size_t i = 0; i < length; i++) hash = mix(hash, (uint8_t)words[i]);
        const uint16_t id = find_name((const uint8_t *)words, length, hash, 1);
        bk_tag_sets[id] |= sets;
        if (rule) bk_tag_rules[id] = rule;
        if (ids) *ids++ = (uint8_t)id;
        words += length + (stop != NULL);
    }
}

void bk_prepare_tags(void) {
    if (n_names) return;
    add_words(NAMED, 0, 0, NULL);
    for (size_t i = 0; i < sizeof SETS / sizeof *SETS; i++) add_words(SETS[i].words, SETS[i].sets, 0, NULL);
    for (uint8_t r = 1; r < N_RULES; r++) {
        add_words(RULES[r].closed, CLOSED_BY(r), 0, bk_rule_names[r]);
        add_words(RULES[r].borders, BORDER_OF(r), 0, NULL);
        if (RULES[r].tags) add_words(RULES[r].tags, 0, r, NULL);
    }
    for (size_t id = 1; id <= n_names; id++) {
        if (bk_tag_sets[id] & CLOSES_P && !bk_tag_rules[id]) bk_tag_rules[id] = 1;
        for (size_t r = 1; r < N_RULES && bk_tag_sets[id] & SCOPE; r++)
            if (RULES[r].in_scope) bk_tag_sets[id] |= BORDER_OF(r);
    }
}

const char *bk_tag_name(uint16_t id) { return names[id]; }

const uint8_t *bk_read_tag_name(const uint8_t *p, const uint8_t *end, tag_name *name) {
    uint32_t hash = 0x811C9DC5u;
    name->name = p;
    for (; p < end && !is_space(*p) && *p != '/' && *p != '>'; p++) hash = mix(hash, lower(*p));
    name->length = (size_t)(p - name->name);
    name->hash = hash;
    name->id = find_name(name->name, name->length, hash, 0);
    return p;
}

int bk_is_attribute(const attribute *a, const char *name) {
    size_t i = 0;
    while (i < a->name_length && name[i] && lower(a->name[i]) == (uint8_t)name[i]) i++;
    return i == a->name_length && !name[i];
}

const uint8_t *bk_read_attributes(const uint8_t *p, const uint8_t *end, tag_rest *rest) {
    rest->n = 0;
    rest->is_closed = 0;
    rest->is_bare = p < end && *p == '>';
    while (p < end && *p != '>') {
        if (is_space(*p) || *p == '/') {
            rest->is_closed = *p++ == '/';
            continue;
        }
        attribute a = {p, NULL, 0, 0};
        for (p++; p < end && !is_space(*p) && *p != '/' && *p != '>' && *p != '='; p++) {}
        a.name_length = (size_t)(p - a.name);
        rest->is_closed = 0;
        const uint8_t *equals = p;
        while (equals < end && is_space(*equals)) equals++;
        if (equals < end && *equals == '=') {
            for (p = equals + 1; p < end && is_space(*p);) p++;
            if (p == end) return NULL;
            a.value = p;
            if (*p == '"' || *p == '\'') {
                const uint8_t *close = memchr(p + 1, *p, (size_t)(end - p - 1));
                if (!close) return NULL;
                a.value++;
                a.value_length = (size_t)(close - a.value);
                p = close + 1;
            } else {
                while (p < end && !is_space(*p) && *p != '>') p++;
                a.value_length = (size_t)(p - a.value);
            }
        }
        if (rest->n == rest->room) {
            const size_t room = 2 * rest->room + 32;
            attribute *grown = realloc(rest->attributes, room * sizeof *grown);
            if (!grown) return end + 1;
            rest->attributes = grown;
            rest->room = room;
        }
        rest->attributes[rest->n++] = a;
    }
    return p < end ? p : NULL;
}

/* Whether `name`, in lower case, stands at p before white space, / or >. */
static int is_name_at(const uint8_t *p, const uint8_t *end, const char *name, size_t length) {
    if ((size_t)(end - p) <= length) return 0;
    for (size_t i = 0; i < length; i++)
        if (lower(p[i]) != (uint8_t)name[i]) return 0;
    return is_space(p[length]) || p[length] == '/' || p[length] == '>';
}

static const uint8_t *end_of_script(const uint8_t *p, const uint8_t *end) {
    int in_comment = 0, inner = 0; /* a script in a comment of old may hold a script */
    for (; p < end; p++) {
        if (*p == '-' && end - p >= 3 && memcmp(p, "-->", 3) == 0) {
            in_comment = inner = 0;
            p += 2;
        } else if (*p == '<' && end - p >= 4 && memcmp(p, "<!--", 4) == 0) {
            in_comment = 1;
            p += 3;
        } else if (*p == '<' && is_name_at(p + 1, end, "script", 6)) {
            inner = in_comment;
            p += 6;
        } else if (*p == '<' && end - p > 1 && p[1] == '/' && is_name_at(p + 2, end, "script", 6)) {
            if (!inner) return p;
            inner = 0;
            p += 7;
        }
    }
    return end;
}

const uint8_t *bk_end_of_raw(const uint8_t *p, const uint8_t *end, const tag_name *name) {
    if (name->id == PLAINTEXT) return end;
    if (name->id == SCRIPT) return end_of_script(p, end);
    for (; (p = memchr(p, '<', (size_t)(end - p))); p++)
        if (end - p > 1 && p[1] == '/' && is_name_at(p + 2, end, names[name->id], name->length)) return p;
    return end;
}

const uint8_t *bk_end_of_comment(const uint8_t *p, const uint8_t *end) {
    if (p < end && *p == '>') return p + 1;
    if (end - p > 1 && p[0] == '-' && p[1] == '>') return p + 2;
    for (; (p = memchr(p, '-', (size_t)(end - p))); p++) {
        if (end - p > 2 && p[1] == '-' && p[2] == '>') return p + 3;
        if (end - p > 3 && p[1] == '-' && p[2] == '!' && p[3] == '>') return p + 4;
    }
    return NULL;
}
