/*
 * Records of one serial number tell of one program: EXECVE has its arguments, SYSCALL its file and
 * user. Anyone may have written the log, so records are sorted rather than hashed by their numbers.
 */
#include "audit_lines.h"

#include <stdlib.h>
#include <string.h>

#include "sink.h"
#include "unicode.h"

enum {
    TYPE_WITHIN = 300, /* bytes of a line where its type stands */
    STAMP_WITHIN = 400,
    SERIAL_DIGITS = 20,
    MAX_ARGUMENTS = 4096,
    MAX_COMMAND = 1 << 16,
    MAX_NODE = 253
};

typedef const uint8_t *cursor;

typedef struct {
    cursor begin, end;
} span;

typedef struct {
    uint8_t serial[SERIAL_DIGITS]; /* its digits, then zero bytes */
    size_t digits;
    int64_t line;
    cursor begin, end;
    span seconds;
    int is_execve;
} record;

static int is_blank(uint8_t c) { return c == ' ' || (uint8_t)(c - '\t') < 5; }

/* Whether a text of n bytes stands at p. */
static int stands_at(cursor p, cursor end, const char *text, size_t n) {
    return (size_t)(end - p) >= n && memcmp(p, text, n) == 0;
}

static cursor skip_digits(cursor p, cursor end, int most) {
    while (p < end && most-- && is_digit(*p)) p++;
    return p;
}

/* Reads `1364481363.243:24287)` into a record; 0 if something else stands there. */
static int read_stamp(cursor p, cursor end, record *r) {
    const cursor dot = skip_digits(p, end, 12);
    if (dot == p || dot == end || *dot != '.') return 0;
    const cursor colon = skip_digits(dot + 1, end, 6);
    if (colon == dot + 1 || colon == end || *colon != ':') return 0;
    const cursor close = skip_digits(colon + 1, end, SERIAL_DIGITS);
    if (close == colon + 1 || close == end || *close != ')') return 0;
    r->seconds = (span){p, dot};
    r->digits = (size_t)(close - colon - 1);
    memset(r->serial, 0, sizeof r->serial);
    memcpy(r->serial, colon + 1, r->digits);
    return 1;
}

enum line_kind { OTHER_RECORD, PROGRAM, NO_RECORD, NO_SERIAL };

/* Tells what a line is, and reads its number if it tells of a program. */
static enum line_kind read_line(record *r) {
    const cursor begin = r->begin, end = r->end;
    int is_syscall = 0, has_stamp = 0;
    r->is_execve = 0;
    r->digits = 0;
    for (cursor p = begin; p < end && (p = memchr(p, '=', (size_t)(end - p))); p++) {
        const size_t at = (size_t)(p - begin);
        if (at >= STAMP_WITHIN && (r->digits || !(r->is_execve || is_syscall))) break;
        if (at >= 4 && memcmp(p - 4, "type", 4) == 0) {
            if (at + 8 <= TYPE_WITHIN && stands_at(p + 1, end, "EXECVE ", 7)) r->is_execve = 1;
            else if (at + 9 <= TYPE_WITHIN && stands_at(p + 1, end, "SYSCALL ", 8)) is_syscall = 1;
        } else if (at >= 3 && memcmp(p - 3, "msg", 3) == 0 && stands_at(p + 1, end, "audit(", 6)) {
            has_stamp |= at + 7 <= STAMP_WITHIN;
            if (!r->digits) read_stamp(p + 7, end, r);
        }
    }
    if (!r->is_execve && !is_syscall) return begin == end || has_stamp ? OTHER_RECORD : NO_RECORD;
    return r->digits ? PROGRAM : NO_SERIAL;
}

size_t bk_audit_count(const uint8_t *data, size_t length) {
    size_t lines = 1;
    for (size_t i = 0; i < length; i++) lines += data[i] == '\n';
    return lines;
}

/* Sets bad lines aside and returns how many records tell of programs, in the order of the log. */
static size_t read_records(cursor data, size_t length, record *records, audit_programs *found) {
    const cursor stop = data + length;
    size_t n = 0;
    int64_t line = 0;
    for (cursor p = data; p < stop; line++) {
        const cursor feed = memchr(p, '\n', (size_t)(stop - p)), line_end = feed ? feed : stop;
        const cursor end = line_end - (line_end > p && line_end[-1] == '\r');
        record *r = &records[n];
        r->line = line, r->begin = p, r->end = end;
        const enum line_kind kind = read_line(r);
        if (kind == PROGRAM) n++;
        else if (kind != OTHER_RECORD)
            found->bad_lines[found->n_bad_lines++] = (audit_bad_line){
                line, kind == NO_RECORD ? AUDIT_NO_RECORD : AUDIT_NO_SERIAL, p - data, end - data};
        if (!feed) break;
        p = feed + 1;
    }
    return n;
}

static int by_serial(const void *one, const void *two) {
    const record *a = one, *b = two;
    if (a->digits != b->digits) return a->digits < b->digits ? -1 : 1;
    const int order = memcmp(a->serial, b->serial, sizeof a->serial);
    return order ? order : a->line < b->line ? -1 : a->line > b->line;
}

static int is_same(const record *a, const record *b) {
    return a->digits == b->digits && memcmp(a->serial, b->serial, sizeof a->serial) == 0;
}

/* Reads a value at p, in quotes or of certain bytes; returns where it ends, NULL if none is there. */
static cursor read_value(cursor p, cursor end, int is_hex, span *value, int *is_quoted) {
    if ((*is_quoted = p < end && *p == '"')) {
        const cursor close = memchr(p + 1, '"', (size_t)(end - p - 1));
        *value = (span){p + 1, close};
        return close ? close + 1 : NULL;
    }
    const cursor begin = p;
    while (p < end && (is_hex ? hex_value(*p) != NO_HEX : !is_blank(*p) && *p != '"')) p++;
    *value = (span){begin, p};
    return p > begin ? p : NULL;
}

/* Writes what auditd encodes in hexadecimal digits, all that needs quoting; else the bytes. */
static uint8_t *decode(span value, uint8_t *out) {
    const size_t n = (size_t)(value.end - value.begin);
    int is_hex = n % 2 == 0;
    for (size_t i = 0; i < n && is_hex; i++) is_hex = hex_value(value.begin[i]) != NO_HEX;
    if (!is_hex) return n ? (uint8_t *)memcpy(out, value.begin, n) + n : out;
    for (size_t i = 0; i < n; i += 2)
        *out++ = (uint8_t)(hex_value(value.begin[i]) << 4 | hex_value(value.begin[i + 1]));
    return out;
}

/* --- one program -------------------------------------------------------------------------------- */

typedef struct {
    const record *first;
    int64_t line;
    span host, exe, user;
    int is_exe_quoted, has_syscall;
    uint8_t *words; /* the arguments, a zero byte between two */
    size_t length, n_arguments, size;
} program;

/* Adds the arguments of an EXECVE record. */
static void add_arguments(program *g, const record *r) {
    const cursor end = r->end;
    for (cursor p = r->begin; p < end && (p = memchr(p, ' ', (size_t)(end - p)));) {
        cursor q = p + 1;
        if (q == end || *q != 'a') {
            p++;
            continue;
        }
        const cursor digits = q + 1, behind = skip_digits(digits, end, 4);
        size_t number = 0;
        for (cursor d = digits; d < behind; d++) number = 10 * number + (size_t)(*d - '0');
        int is_piece = 0, is_quoted;
        q = behind;
        if (q < end && *q == '[') {
            const cursor close = skip_digits(q + 1, end, 5);
            is_piece = close > q + 1 && close < end && *close == ']';
            q = is_piece ? close + 1 : q;
        }
        span value;
        const cursor next = behind > digits && q < end && *q == '='
                                ? read_value(q + 1, end, 1, &value, &is_quoted) : NULL;
        if (!next) {
            p++;
            continue;
        }
        if (g->n_arguments >= MAX_ARGUMENTS || g->size > MAX_COMMAND) return;
        /* A long argument comes in several pieces. */
        const int goes_on = is_piece && number < g->n_arguments;
        if (!goes_on && g->n_arguments++) g->words[g->length++] = 0;
        uint8_t *const at = g->words + g->length;
        const size_t n = (size_t)(value.end - value.begin);
        const uint8_t *stop = is_quoted ? (uint8_t *)memcpy(at, value.begin, n) + n : decode(value, at);
        g->length += (size_t)(stop - at);
        g->size += (size_t)(stop - at) + 1;
        p = next;
    }
}

/* Reads the fields of a SYSCALL record that tell of the program. */
static void read_fields(program *g, const record *r) {
    static const char names[][6] = {"exe=", "uid=", "UID=", "comm="};
    const cursor end = r->end;
    for (cursor p = r->begin; p < end && (p = memchr(p, ' ', (size_t)(end - p)));) {
        size_t n = 0, length = 4;
        while (n < 4 && !stands_at(p + 1, end, names[n], length = strlen(names[n]))) n++;
        span value;
        int is_quoted;
        const cursor next = n < 4 ? read_value(p + 1 + length, end, 0, &value, &is_quoted) : NULL;
        if (next && n == 0) g->exe = value, g->is_exe_quoted = is_quoted;
        if (next && (n == 2 || (n == 1 && g->user.begin == g->user.end))) g->user = value;
        p = next ? next : p + 1;
    }
}

/* Reads the name of the machine that the line begins with. */
static void read_node(program *g, const record *r) {
    if (!stands_at(r->begin, r->end, "node=", 5)) return;
    const cursor begin = r->begin + 5;
    cursor p = begin;
    while (p < r->end && p - begin < MAX_NODE && !is_blank(*p)) p++;
    if (p > begin && p < r->end && *p == ' ') g->host = (span){begin, p};
}

/* The length of the white space of Unicode at p, as Python knows it; 0 if none is there. */
static size_t space_length(cursor p, cursor end) {
    if (*p < 0x80) return is_blank(*p) || (uint8_t)(*p - 0x1C) < 4;
    uint32_t c;
    const size_t n = bk_utf8_read(p, (size_t)(end - p), &c);
    const int is_space = n && (c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
                               c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000);
    return is_space ? n : 0;
}

/* Writes a word so that its ends can be seen, as a shell reads it. */
static uint8_t *quote_word(cursor word, cursor end, uint8_t *out) {
    int is_plain = word < end;
    for (cursor p = word; p < end && is_plain; p++)
        is_plain = *p != '\'' && *p != '"' && !((*p <= ' ' || *p >= 0xC2) && space_length(p, end));
    if (is_plain) return (uint8_t *)memcpy(out, word, (size_t)(end - word)) + (end - word);
    *out++ = '\'';
    for (cursor p = word; p < end; p++) {
        *out++ = *p;
        if (*p == '\'') memcpy(out, "\\''", 3), out += 3;
    }
    *out++ = '\'';
    return out;
}

static void put_span(arrow_strings *column, int64_t row, span value) {
    uint8_t *out = column->data + column->offsets[row];
    const size_t n = (size_t)(value.end - value.begin);
    if (n) memcpy(out, value.begin, n);
    bk_end_string(column, row, out + n, n > 0);
}

/* Adds a program to the columns, unless no record has told of its arguments. */
static void put_program(const program *g, audit_programs *found) {
    if (!g->n_arguments) return;
    const int64_t row = (int64_t)found->n_programs++;
    found->lines[row] = g->line;
    arrow_strings *columns = found->columns, *text = &columns[AUDIT_TEXT], *image = &columns[AUDIT_IMAGE];
    uint8_t *out = text->data + text->offsets[row];
    const cursor stop = g->words + g->length;
    for (cursor word = g->words;; *out++ = ' ') {
        const cursor zero = memchr(word, 0, (size_t)(stop - word)), end = zero ? zero : stop;
        out = quote_word(word, end, out);
        if (!zero) break;
        word = zero + 1;
    }
    bk_end_string(text, row, out, 1);
    if (g->is_exe_quoted) {
        put_span(image, row, g->exe);
    } else {
        uint8_t *const begin = image->data + image->offsets[row], *const end = decode(g->exe, begin);
        bk_end_string(image, row, end, end > begin);
    }
    put_span(&columns[AUDIT_USER], row, g->user);
    put_span(&columns[AUDIT_HOST], row, g->host);
    put_span(&columns[AUDIT_TIME], row, g->first->seconds);
}

static void start_program(program *g, const record *r) {
    *g = (program){.first = r, .line = r->line, .words = g->words};
}

/* Whether ` a0=` stands in a line. */
static int has_first(const record *r) {
    for (cursor p = r->begin; p < r->end && (p = memchr(p, ' ', (size_t)(r->end - p))); p++)
        if (stands_at(p, r->end, " a0=", 4)) return 1;
    return 0;
}

int bk_audit_programs(const uint8_t *data, size_t length, audit_programs *found) {
    found->n_programs = found->n_bad_lines = 0;
    record *records = malloc((bk_audit_count(data, length) + 1) * sizeof *records);
    program g = {.words = malloc(length + 1)};
    const int failed = !records || !g.words;
    const size_t n = failed ? 0 : read_records(data, length, records, found);
    int is_sorted = 1;
    for (size_t i = 1; i < n && is_sorted; i++) is_sorted = by_serial(&records[i - 1], &records[i]) < 0;
    if (!is_sorted) qsort(records, n, sizeof *records, by_serial);
    for (size_t i = 0; i < n; i++) {
        const record *r = &records[i];
        if (i == 0 || !is_same(&records[i - 1], r)) {
            if (i) put_program(&g, found);
            start_program(&g, r);
        } else if (r->is_execve ? g.n_arguments && has_first(r) : g.has_syscall) {
            put_program(&g, found); /* numbers begin anew when the daemon does */
            start_program(&g, r);
        }
        if (r->is_execve) {
            g.line = r->line;
            add_arguments(&g, r);
        } else {
            g.has_syscall = 1;
            read_fields(&g, r);
        }
        read_node(&g, r);
    }
    if (n) put_program(&g, found);
    free(records);
    free(g.words);
    return failed;
}
