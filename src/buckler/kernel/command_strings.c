/* String expressions of PowerShell that put a command together: evaluated, bounded, never run. */
#include <string.h>

#include "command_shell.h"

enum { STRING_BYTES = 2048, STRING_DEPTH = 12, STRING_STEPS = 256, ITEM = 0x1E /* between the items of a list */ };

typedef struct {
    shell *s;
    size_t at;
    int depth, steps;
    uint32_t marks;
    uint8_t outer; /* the quote around the whole expression, as in powershell -c "…"; 0 for none */
} expression;

static int evaluate(expression *e, byte_sink *out);

static int sees(const expression *e, const char *word) {
    return e->at < e->s->length && bk_starts_with(e->s->text + e->at, e->s->length - e->at, word);
}

static int takes(expression *e, const char *word) {
    e->at = skip_spaces(e->s, e->at);
    if (!sees(e, word)) return 0;
    e->at += strlen(word);
    return 1;
}

/* A quote that begins or ends a literal; the one around the expression does with a backslash: \"…\". */
static size_t quote_bytes(const expression *e, size_t at) {
    uint8_t c = shell_byte(e->s, at);
    if (c == '\\' && e->outer && shell_byte(e->s, at + 1) == e->outer) return 2;
    return is_quote(c) && c != e->outer;
}

static int take_literal(expression *e, byte_sink *out) {
    size_t width = quote_bytes(e, e->at), n;
    if (!width) return 0;
    uint8_t quote = e->s->text[e->at + width - 1];
    for (e->at += width; e->at < e->s->length; e->at++) {
        uint8_t c = e->s->text[e->at];
        if (c == e->outer) return 0;
        if ((n = quote_bytes(e, e->at)) == width && e->s->text[e->at + n - 1] == quote) {
            if (quote_bytes(e, e->at + n) != n || e->s->text[e->at + 2 * n - 1] != quote) break;
            e->at += 2 * n - 1; /* doubled: one of it */
            c = quote;
        }
        sink_byte(out, c == ITEM ? ' ' : c);
    }
    if (e->at >= e->s->length) return 0;
    e->at += width;
    return 1;
}

static int take_char(expression *e, byte_sink *out) {
    uint32_t code;
    int in_brackets = takes(e, "(");
    e->at = skip_spaces(e->s, e->at);
    size_t digits = e->at < e->s->length ? bk_read_number(e->s->text + e->at, e->s->length - e->at, &code) : 0;
    if (!digits || code < 0x20 || code > 0x7E) return 0;
    e->at += digits;
    sink_byte(out, (uint8_t)code);
    return !in_brackets || takes(e, ")");
}

static int take_variable(expression *e, byte_sink *out) {
    size_t start = ++e->at;
    while (e->at < e->s->length && is_word(e->s->text[e->at])) e->at++;
    shell_text value = bk_line_variable(e->s, e->s->text + start, e->at - start);
    for (size_t i = 0; i < value.length; i++) sink_byte(out, value.bytes[i]);
    return value.bytes != NULL;
}

/* Items of a list joined; `between` may be empty. */
static void join_items(byte_sink *text, const byte_sink *between) {
    uint8_t copy[STRING_BYTES];
    size_t n = text->length;
    memcpy(copy, text->bytes, n);
    text->length = 0;
    for (size_t i = 0; i < n; i++) {
        if (copy[i] != ITEM) sink_byte(text, copy[i]);
        else for (size_t j = 0; j < between->length; j++) sink_byte(text, between->bytes[j]);
    }
}

/* Replaces all places of a pattern. 0 if it is more than a text, behind the backslashes that protect one. */
static int replace_all(byte_sink *text, const byte_sink *pattern, const uint8_t *by, size_t by_length, int fold) {
    uint8_t copy[STRING_BYTES], plain[STRING_BYTES];
    size_t n = text->length, m = 0;
    for (size_t i = 0; i < pattern->length; i++) {
        int protects = fold && pattern->bytes[i] == '\\';
        if (fold && !protects && pattern->bytes[i] && strchr(".[]()|*+?^${}", pattern->bytes[i])) return 0;
        if (protects && ++i == pattern->length) break;
        plain[m++] = pattern->bytes[i];
    }
    if (m == 0) return 1;
    memcpy(copy, text->bytes, n);
    text->length = 0;
    for (size_t i = 0; i < n;) {
        size_t k = 0;
        while (k < m && i + k < n &&
               (fold ? lower(copy[i + k]) == lower(plain[k]) : copy[i + k] == plain[k]))
            k++;
        if (k < m) {
            sink_byte(text, copy[i++]);
            continue;
        }
        for (size_t j = 0; j < by_length; j++) sink_byte(text, by[j]);
        i += m;
    }
    return 1;
}

static int take_list(expression *e, byte_sink *out);

/* What an operator has on its right: a list, or a sum of strings. */
static int take_operand(expression *e, byte_sink *out) {
    int found = take_list(e, out);
    while (found && takes(e, "+")) found = take_list(e, out);
    return found;
}

static int take_replace(expression *e, byte_sink *text, int fold) {
    uint8_t bytes[STRING_BYTES];
    byte_sink pair = {bytes, 0, sizeof bytes};
    if (!take_operand(e, &pair)) return 0;
    const uint8_t *cut = memchr(bytes, ITEM, pair.length);
    byte_sink pattern = {bytes, cut ? (size_t)(cut - bytes) : pair.length, sizeof bytes};
    e->marks |= MARK_REPLACE;
    return replace_all(text, &pattern, cut ? cut + 1 : bytes, cut ? pair.length - pattern.length - 1 : 0, fold);
}

static int take_split(expression *e, byte_sink *text) {
    static const uint8_t item[1] = {ITEM};
    uint8_t bytes[STRING_BYTES];
    byte_sink pattern = {bytes, 0, sizeof bytes};
    if (!take_operand(e, &pattern)) return 0;
    return replace_all(text, &pattern, item, 1, 1);
}

/* Behind "[": single letters by their numbers, or a range such as -1..-9 or 8..0. */
static int take_indices(expression *e, byte_sink *text) {
    uint8_t copy[STRING_BYTES];
    size_t n = text->length, used;
    long previous = 0;
    int range = 0;
    memcpy(copy, text->bytes, n);
    text->length = 0;
    for (;;) {
        uint32_t value;
        int negative = takes(e, "-");
        if (takes(e, "$")) { /* -1..-($s.length): to the beginning */
            return 0;
        }
        int whole = negative && takes(e, "(");
        used = e->at < e->s->length ? bk_read_number(e->s->text + e->at, e->s->length - e->at, &value) : 0;
        if (whole || !used || value > 1u << 20) return 0;
        e->at += used;
        long index = negative ? (long)n - (long)value : (long)value;
        if (range) {
            long step = index < previous ? -1 : 1;
            for (long i = previous + step, left = STRING_BYTES; left-- > 0; i += step) {
                if (i >= 0 && i < (long)n) sink_byte(text, copy[i]);
                if (i == index) break;
            }
            if (step < 0) e->marks |= MARK_REVERSE;
        } else if (index >= 0 && index < (long)n) {
            sink_byte(text, copy[index]);
        }
        previous = index;
        range = takes(e, "..");
        if (!range && !takes(e, ",")) break;
    }
    if (text->length > 1) e->marks |= MARK_JOIN;
    return takes(e, "]");
}

static int take_unit(expression *e, byte_sink *out) {
    if (++e->depth > STRING_DEPTH || ++e->steps > STRING_STEPS) return 0;
    e->at = skip_spaces(e->s, e->at);
    uint8_t c = shell_byte(e->s, e->at);
    size_t start = out->length;
    byte_sink part = {out->bytes + start, 0, out->capacity - start};
    byte_sink nothing = {NULL, 0, 0};
    int found;
    if (quote_bytes(e, e->at)) found = take_literal(e, &part);
    else if (takes(e, "[char]")) found = take_char(e, &part);
    else if (c == '$') found = take_variable(e, &part);
    else if (takes(e, "[string]::join(") || takes(e, "[string]::concat(")) {
        int joins = lower(e->s->text[e->at - 2]) == 'n';
        found = evaluate(e, &part) && takes(e, ")");
        uint8_t *cut = joins ? memchr(part.bytes, ITEM, part.length) : NULL;
        uint8_t between[STRING_BYTES];
        byte_sink separator = {between, cut ? (size_t)(cut - part.bytes) : 0, sizeof between};
        if (cut) {
            memcpy(between, part.bytes, separator.length);
            part.length -= separator.length + 1;
            memmove(part.bytes, cut + 1, part.length);
        }
        join_items(&part, &separator);
        e->marks |= MARK_JOIN;
    } else if (takes(e, "[string]")) found = take_unit(e, &part);
    else if (takes(e, "-join")) {
        found = take_unit(e, &part);
        join_items(&part, &nothing);
        e->marks |= MARK_JOIN;
    } else if (takes(e, "(")) found = evaluate(e, &part) && takes(e, ")");
    else return 0;
    while (found && e->steps++ < STRING_STEPS) {
        if (sees(e, ".replace(")) found = takes(e, ".replace(") && take_replace(e, &part, 0) && takes(e, ")");
        else if (sees(e, ".split(")) found = takes(e, ".split(") && take_split(e, &part) && takes(e, ")");
        else if (sees(e, "[")) found = takes(e, "[") && take_indices(e, &part);
        else if (!takes(e, ".tostring()") && !takes(e, ".tochararray()") && !takes(e, ".invoke()")) break;
    }
    out->length = start + part.length;
    e->depth--;
    return found;
}

static int take_list(expression *e, byte_sink *out) {
    if (!take_unit(e, out)) return 0;
    while (takes(e, ",")) {
        sink_byte(out, ITEM);
        if (!take_unit(e, out)) return 0;
    }
    return 1;
}

static int evaluate(expression *e, byte_sink *out) {
    uint8_t bytes[STRING_BYTES];
    if (++e->depth > STRING_DEPTH) return 0;
    int found = take_list(e, out);
    while (found && e->steps++ < STRING_STEPS) {
        if (takes(e, "+")) {
            found = take_list(e, out);
            if (e->outer) e->marks |= MARK_JOIN; /* elsewhere the pieces are joined one by one */
        } else if (takes(e, "-replace") || takes(e, "-ireplace") || takes(e, "-creplace"))
            found = take_replace(e, out, 1);
        else if (takes(e, "-split") || takes(e, "-isplit") || takes(e, "-csplit")) found = take_split(e, out);
        else if (takes(e, "-join")) {
            byte_sink between = {bytes, 0, sizeof bytes};
            found = take_unit(e, &between);
            join_items(out, &between);
            e->marks |= MARK_JOIN;
        } else break;
    }
    e->depth--;
    return found;
}

int bk_undo_string(shell *s) {
    uint8_t bytes[STRING_BYTES];
    byte_sink value = {bytes, 0, sizeof bytes};
    expression e = {s, s->at, 0, 0, 0, s->in_double ? '"' : s->in_single ? '\'' : 0};
    uint8_t c = s->text[s->at], next = lower(shell_byte(s, s->at + 1)), last = sink_last(&s->out);
    if (c == '-' && (next != 'j' || is_word(last) || last == ')' || last == ']')) return 0;
    int opens = e.outer && s->at > 0 && s->text[s->at - 1] == e.outer;
    if (c == '-' && !opens && last == ' ' && s->out.length > 1 && !strchr("(;=|&{,", s->out.bytes[s->out.length - 2])) return 0;
    if (c == '[' && next != 's' && next != 'c') return 0;
    if (c == '(' && is_word(last)) return 0; /* arguments: what stands in them is tried by itself */
    if (c == '(' && !is_quote(next) && !strchr(" ([$-\\", next)) return 0;
    if ((is_quote(c) || c == '\\') && !quote_bytes(&e, s->at)) return 0;
    size_t *tried = e.outer ? &s->tried_inside : &s->tried;
    if (s->at < *tried) return 0; /* part of an expression that is none: keeps time linear */
    if (!evaluate(&e, &value) || !(e.marks & (MARK_REPLACE | MARK_REVERSE | MARK_JOIN))) {
        *tried = e.at;
        return 0;
    }
    int in_brackets = s->text[s->at] == '(';
    if (in_brackets) sink_byte(&s->out, '(');
    for (size_t i = 0; i < value.length; i++) sink_byte(&s->out, bytes[i] == ITEM ? ' ' : bytes[i]);
    if (in_brackets) sink_byte(&s->out, ')');
    s->marks |= e.marks;
    while (s->text[e.at - 1] == ' ' || s->text[e.at - 1] == '\t') e.at--; /* looked over for an operator */
    s->at = e.at;
    return 1;
}

/* "$('who')ami": the string of a subexpression. 1 if it was one. */
int bk_undo_subexpression(shell *s) {
    size_t at = s->at + 2;
    uint8_t quote = shell_byte(s, at);
    if (shell_byte(s, s->at + 1) != '(' || !is_quote(quote) || at >= s->length) return 0;
    const uint8_t *end = memchr(s->text + at + 1, quote, s->length - at - 1);
    if (!end || shell_byte(s, (size_t)(end - s->text) + 1) != ')') return 0;
    for (const uint8_t *c = s->text + at + 1; c < end; c++) sink_byte(&s->out, *c);
    s->at = (size_t)(end - s->text) + 2;
    s->marks |= MARK_JOIN;
    return 1;
}
