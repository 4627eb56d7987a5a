/* Columns out of the objects of JSON lines and arrays; see json_scanner.h for what is accepted. */
#include "json_lines.h"

#include <string.h>

#include "json_scanner.h"
#include "unicode.h"

#define MAX_INTEGER_BYTES 18

/* --- names ------------------------------------------------------------------------------------ */

static uint32_t mix_name(uint32_t hash, cursor name, size_t length) {
    for (size_t i = 0; i < length; i++) hash = (hash ^ lower(name[i])) * 0x01000193u;
    return hash;
}

static int same_but_for_case(cursor a, cursor b, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (lower(a[i]) != lower(b[i])) return 0;
    return 1;
}

static json_path *find_path(const json_names *names, cursor path, size_t length, uint32_t hash) {
    for (size_t slot = hash % JSON_SLOTS; names->slots[slot]; slot = (slot + 1) % JSON_SLOTS) {
        json_path *found = names->slots[slot];
        if (found->length == length && memcmp(found->text, path, length) == 0) return found;
    }
    return NULL;
}

static json_path *add_path(json_names *names, cursor text, size_t length) {
    const uint32_t hash = mix_name(0, text, length);
    json_path *path = find_path(names, text, length, hash);
    if (path || names->n_paths == JSON_PATHS) return path;
    path = &names->paths[names->n_paths++];
    *path = (json_path){text, length, JSON_NO_NAME, 0, 0};
    size_t slot = hash % JSON_SLOTS;
    while (names->slots[slot]) slot = (slot + 1) % JSON_SLOTS;
    names->slots[slot] = path;
    return path;
}

int bk_json_add_name(json_names *names, const uint8_t *text, size_t length, uint32_t column, uint32_t rank) {
    if (length > JSON_PATH_BYTES || names->n_names == JSON_PATHS) return 0;
    json_path *path = add_path(names, text, length);
    if (!path) return 0;
    names->names[names->n_names] = (json_name){column, rank, path->first};
    path->first = names->n_names++;
    for (size_t i = 0; i < length; i++) {
        json_path *prefix = text[i] == '.' ? add_path(names, text, i) : path;
        if (!prefix) return 0;
        if (prefix != path) prefix->is_prefix = 1;
    }
    return 1;
}

/* --- lines ------------------------------------------------------------------------------------ */

typedef struct {
    json_names *names;
    json_column *columns;
    cursor end;
    int64_t line;                   /* counted from 1 */
    uint8_t path[JSON_PATH_BYTES];  /* of the present object, with a dot behind it */
} line_scan;

/* A name at the top that differs from a known one in case counts where the known one is not there. */
static void note_other_case(line_scan *s, cursor key, size_t length, uint32_t hash) {
    const json_names *names = s->names;
    for (size_t slot = hash % JSON_SLOTS; names->slots[slot]; slot = (slot + 1) % JSON_SLOTS) {
        const json_path *path = names->slots[slot];
        if (path->length != length || !same_but_for_case(path->text, key, length)) continue;
        if (memcmp(path->text, key, length) == 0) continue;
        for (uint32_t n = path->first; n != JSON_NO_NAME; n = names->names[n].next)
            s->columns[names->names[n].column].has_other_case = 1;
    }
}

/* Gives the columns a value under one of their names: the first name that has one counts. */
static int take_value(line_scan *s, json_path *path, cursor begin, cursor end) {
    if (path->seen == s->line) return 0; /* it stands twice */
    path->seen = s->line;
    if (*begin == 'n' || *begin == '{') return 1;
    const uint32_t later = end - begin == 2 && *begin == '"' ? JSON_PATHS : 0; /* empty: if nothing else is there */
    for (uint32_t n = path->first; n != JSON_NO_NAME; n = s->names->names[n].next) {
        const json_name *name = &s->names->names[n];
        json_column *column = &s->columns[name->column];
        if (column->begin && column->rank <= name->rank + later) continue;
        column->begin = begin;
        column->end = end;
        column->rank = name->rank + later;
    }
    return 1;
}

/* A list of arguments is one line: Python joins it. */
static int is_argument_list(const json_path *path) {
    static const char *const lists[] = {"ARGV", "args", "execve"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const size_t length = strlen(lists[i]);
        if (path->length >= length && memcmp(path->text + path->length - length, lists[i], length) == 0) return 1;
    }
    return 0;
}

/* Whether the value of a key at the top is an envelope or a list of events, which Python unfolds. */
static int is_folded(cursor key, size_t length) {
    static const char *const folded[] = {"_source", "result", "snapshot", "diffResults"};
    for (size_t i = 0; i < sizeof folded / sizeof *folded; i++)
        if (strlen(folded[i]) == length && memcmp(folded[i], key, length) == 0) return 1;
    return 0;
}

/* Behind the object that begins at p, whose path is `prefix` bytes long; the columns get their values. */
static cursor scan_object(line_scan *s, cursor p, size_t prefix, uint32_t hash) {
    const cursor end = s->end;
    if (p >= end || *p != '{') return NULL;
    p = skip_space(p + 1, end);
    if (p < end && *p == '}') return p + 1;
    for (;;) {
        const cursor quote = skip_space(p, end);
        if (!(p = skip_string(quote, end))) return NULL;
        const cursor key = quote + 1;
        const size_t length = (size_t)(p - key) - 1;
        if (memchr(key, '\\', length)) return NULL;
        p = skip_space(p, end);
        if (p >= end || *p != ':') return NULL;
        const cursor begin = skip_space(p + 1, end);
        if (begin >= end) return NULL;
        json_path *path = NULL;
        const uint32_t own_hash = mix_name(hash, key, length);
        if (prefix + length < JSON_PATH_BYTES) {
            memcpy(s->path + prefix, key, length);
            path = find_path(s->names, s->path, prefix + length, own_hash);
            if (!prefix) note_other_case(s, key, length, own_hash);
        }
        if (!prefix && (*begin == '{' || *begin == '[') && is_folded(key, length)) return NULL;
        if (*begin == '[' && (path || (length == 4 && memcmp(key, "Data", 4) == 0))) return NULL;
        if (path && *begin == '{' && path->first != JSON_NO_NAME && is_argument_list(path)) return NULL;
        if (path && path->is_prefix && *begin == '{' && !memchr(key, '.', length)) {
            s->path[prefix + length] = '.';
            if (path->seen == s->line) return NULL;
            p = scan_object(s, begin, prefix + length + 1, mix_name(own_hash, (cursor) ".", 1));
        } else {
            p = skip_value(begin, end);
        }
        if (!p || (path && !take_value(s, path, begin, p))) return NULL;
        p = skip_space(p, end);
        if (p >= end) return NULL;
        if (*p == '}') return p + 1;
        if (*p++ != ',') return NULL;
    }
}

/* Writes what stands between the quotes of a sound string; NULL at half a surrogate pair. */
static uint8_t *put_string(uint8_t *out, cursor p, cursor end) {
    while (p < end) {
        const uint8_t *escape = memchr(p, '\\', (size_t)(end - p));
        const size_t plain = (size_t)((escape ? escape : end) - p);
        memcpy(out, p, plain);
        out += plain;
        if (!escape) break;
        p = escape + 2;
        if (escape[1] != 'u') {
            const char *kinds = "bfnrt", *found = strchr(kinds, escape[1]);
            *out++ = found ? (uint8_t)"\b\f\n\r\t"[found - kinds] : escape[1];
            continue;
        }
        uint32_t c = (uint32_t)code_unit(p, end);
        p += 4;
        if (c >= 0xD800 && c < 0xE000) {
            if (c >= 0xDC00 || end - p < 6 || p[0] != '\\' || p[1] != 'u') return NULL;
            const int32_t low = code_unit(p + 2, end);
            if (low < 0xDC00 || low > 0xDFFF) return NULL;
            c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
            p += 6;
        }
        out = bk_put_utf8(out, c);
    }
    return out;
}

/* Whether Python would write this fraction with the same digits: no more than 15, and none in vain. */
static int is_plain_fraction(cursor p, cursor end) {
    p += *p == '-';
    const cursor point = skip_digits(p, end);
    if (point == end || *point != '.' || end - p > 16 || skip_digits(point + 1, end) != end) return 0;
    if (end[-1] == '0' && end - point > 2) return 0;
    return *p != '0' || end - point < 5 || memcmp(point + 1, "0000", 4) != 0;
}

/* Appends the present value to its column; 0 where it needs a closer look. */
static int put_value(json_column *column, int64_t row, int is_text) {
    const cursor begin = column->begin, end = column->end;
    if (!begin && column->has_other_case) return 0;
    uint8_t *out = column->values.data + column->values.offsets[row];
    if (begin && *begin == '"') {
        out = put_string(out, begin + 1, end - 1);
        if (!out) return 0;
    } else if (begin && *begin != 'n') {
        const size_t length = (size_t)(end - begin);
        const int is_boolean = *begin == 't' || *begin == 'f';
        const int is_integer = skip_digits(begin + (*begin == '-'), end) == end;
        const int is_usual = is_boolean || (is_integer && !(*begin == '-' && begin[1] == '0'));
        if (is_text || !(is_usual || is_plain_fraction(begin, end)) || length > MAX_INTEGER_BYTES) return 0;
        memcpy(out, begin, length);
        out += length;
    }
    bk_end_string(&column->values, row, out, begin && *begin != 'n');
    return 1;
}

/* Behind the object that begins at p, whose values the columns get in this row; NULL where it needs a closer look. */
static cursor read_event(line_scan *s, cursor p, size_t n_columns, int64_t row) {
    for (size_t c = 0; c < n_columns; c++) s->columns[c].begin = NULL, s->columns[c].has_other_case = 0;
    if (!(p = scan_object(s, skip_space(p, s->end), 0, 0))) return NULL;
    for (size_t c = 0; c < n_columns; c++)
        if (!put_value(&s->columns[c], row, c == 0)) return NULL;
    return skip_space(p, s->end);
}

/* Takes back what the columns got in this row. */
static void forget_row(json_column *columns, size_t n_columns, int64_t row) {
    for (size_t c = 0; c < n_columns; c++) columns[c].values.validity[row / 8] &= (uint8_t)~(1u << row % 8);
}

int64_t bk_json_lines(const uint8_t *data, size_t length, size_t max_line, int64_t most_left, json_names *names,
                      json_column *columns, size_t n_columns, int64_t *rows) {
    const cursor end = data + length;
    line_scan scan = {.names = names, .columns = columns, .end = end};
    int64_t n = 0, line = 0;
    for (cursor p = data; p < end; line++) {
        const cursor begin = p;
        p = skip_space(p, end);
        if (p < end && *p != '\n') {
            scan.line = line + 1;
            p = read_event(&scan, begin, n_columns, n);
            if (p && (size_t)(p - begin) <= max_line && (p == end || *p == '\n')) {
                rows[n++] = line;
            } else {
                forget_row(columns, n_columns, n);
                if (most_left-- == 0) return -1;
                p = memchr(begin, '\n', (size_t)(end - begin));
                if (!p) break;
            }
        }
        p += p < end; /* the line feed */
    }
    return n;
}

int64_t bk_json_array(const uint8_t *data, size_t length, size_t n_events, json_names *names, json_column *columns,
                      size_t n_columns, int64_t *rows) {
    const cursor end = data + length;
    line_scan scan = {.names = names, .columns = columns, .end = end};
    int64_t n = 0;
    cursor p = data;
    for (size_t event = 0; event < n_events; event++) {
        if (p == end || *p != (event ? ',' : '[')) return -1;
        const cursor begin = p + 1;
        scan.line = (int64_t)event + 1;
        p = read_event(&scan, begin, n_columns, n);
        if (p) {
            rows[n++] = (int64_t)event;
        } else {
            forget_row(columns, n_columns, n);
            p = skip_value(begin, end);
            if (!p) return -1;
        }
    }
    return n_events && end - p == 1 && *p == ']' ? n : -1;
}
