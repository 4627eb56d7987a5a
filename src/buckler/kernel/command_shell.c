/* Undoes what cmd.exe, PowerShell and POSIX shells undo before a command runs. See command.h. */
#include <string.h>

#include "command_shell.h"
#include "unicode.h"

static int shell_here(const shell *s, const char *word) {
    return bk_starts_with(s->text + s->at, s->length - s->at, word);
}

/* --- strings that are put together ---------------------------------------------------------------- */

/* "{1}{0}" -f 'b', 'a': PowerShell's format operator. 1 if it was one. */
static int undo_format(shell *s) {
    uint8_t quote = shell_byte(s, s->at);
    shell_text items[FORMAT_ITEMS];
    size_t n = 0, start = s->at + 1, end = start;
    if (shell_byte(s, start) != '{') return 0;
    while (end < s->length && s->text[end] != quote) end++;
    size_t at = skip_spaces(s, end + 1);
    if (at >= s->length || !bk_starts_with(s->text + at, s->length - at, "-f")) return 0;
    at = skip_spaces(s, at + 2);
    while (n < FORMAT_ITEMS && is_quote(shell_byte(s, at))) {
        uint8_t mark = s->text[at++];
        items[n].bytes = s->text + at;
        size_t first = at;
        while (at < s->length && s->text[at] != mark) at++;
        items[n++].length = at - first;
        if (at < s->length) at++;
        size_t comma = skip_spaces(s, at);
        if (shell_byte(s, comma) != ',') break;
        at = skip_spaces(s, comma + 1);
    }
    if (n == 0) return 0;
    for (size_t i = start; i < end; i++) {
        uint32_t index;
        size_t digits = s->text[i] == '{' ? bk_read_number(s->text + i + 1, end - i - 1, &index) : 0;
        if (digits == 0) {
            sink_byte(&s->out, s->text[i]);
            continue;
        }
        for (size_t j = 0; index < n && j < items[index].length; j++)
            sink_byte(&s->out, items[index].bytes[j]);
        i += digits;
        while (i < end && s->text[i] != '}') i++;
    }
    s->at = at;
    s->marks |= MARK_FORMAT;
    return 1;
}

/* [char]73, [char](0x49), chr(73), chrw(73), \x49\x45, \u0049. 1 if it was one. */
static int undo_code(shell *s) {
    uint32_t code = 0;
    size_t at = s->at, digits;
    if (shell_here(s, "[char]") || shell_here(s, "chr(") || shell_here(s, "chrw(")) {
        if (s->text[at] != '[' && is_word(sink_last(&s->out)) && !(s->marks & MARK_CODE)) return 0;
        at += s->text[at] == '[' ? 6 : shell_here(s, "chr(") ? 3 : 4;
        int in_brackets = shell_byte(s, at) == '(';
        at = skip_spaces(s, at + (size_t)in_brackets);
        if (at >= s->length) return 0;
        digits = bk_read_number(s->text + at, s->length - at, &code);
        if (digits == 0 || code < 0x20 || code > 0x7E) return 0;
        at += digits;
        if (in_brackets && shell_byte(s, at) == ')') at++;
    } else if (s->text[at] == '\\' && (lower(shell_byte(s, at + 1)) == 'x' || lower(shell_byte(s, at + 1)) == 'u')) {
        size_t wanted = lower(s->text[at + 1]) == 'x' ? 2 : 4, unit = wanted + 2;
        /* One alone may be a folder such as \x64: two in a row are none. */
        int again = shell_byte(s, at + unit) == '\\' && lower(shell_byte(s, at + unit + 1)) == lower(s->text[at + 1]);
        int before = at >= unit && s->text[at - unit] == '\\' &&
                     lower(s->text[at - unit + 1]) == lower(s->text[at + 1]);
        if ((!again && !before) || at + unit > s->length) return 0;
        for (size_t i = at + 2; i < at + unit; i++) {
            if (hex_value(s->text[i]) == NO_HEX) return 0;
            code = code << 4 | hex_value(s->text[i]);
        }
        if (code < 0x20 || code > 0x7E) return 0;
        at += unit;
    } else {
        return 0;
    }
    sink_byte(&s->out, (uint8_t)code);
    s->at = at;
    s->marks |= MARK_CODE;
    join_next(s);
    return 1;
}

/* --- single characters ------------------------------------------------------------------------------ */

static int is_invisible(uint32_t point) {
    return point == 0xAD || point == 0x034F || point == 0x061C || point == 0x180E ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x202A && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || (point >= 0xFE00 && point <= 0xFE0F) ||
           point == 0xFEFF || (point >= 0xE0000 && point <= 0xE007F);
}

/* A code point beyond ASCII: dashes and quotes as shells take them, look-alikes inside words. */
static void put_point(shell *s, uint32_t point, size_t used) {
    if (is_invisible(point)) {
        s->marks |= MARK_INVISIBLE;
        return;
    }
    if ((point >= 0x2010 && point <= 0x2015) || point == 0x2212) {
        sink_byte(&s->out, '-');
        return;
    }
    if (point >= 0x2018 && point <= 0x201F) return; /* typographic quotes */
    uint8_t letter = bk_lookalike(point);
    if (!letter) letter = bk_lookalike(bk_fold(point));
    if (letter && (is_alpha(sink_last(&s->out)) || is_alpha(shell_byte(s, s->at + used)))) {
        s->marks |= MARK_LOOKALIKE;
        sink_byte(&s->out, letter);
        return;
    }
    s->out.length = bk_put_folded(point, s->out.bytes, s->out.length, s->out.capacity);
}

/* A quote: gone, like those around whole words; inside a word it was put there to hide it. */
static void undo_quote(shell *s) {
    uint8_t quote = s->text[s->at];
    int *open = quote == '"' ? &s->in_double : &s->in_single;
    if (!*open && undo_format(s)) return;
    if (s->at >= s->quotes_end)
        for (s->quotes_end = s->at; is_quote(shell_byte(s, s->quotes_end));) s->quotes_end++;
    if (is_word(sink_last(&s->out)) && is_word(shell_byte(s, s->quotes_end))) s->marks |= MARK_QUOTE;
    int other = quote == '"' ? s->in_single : s->in_double;
    if (!other) *open = !*open;
    s->at++;
    if (!other && !*open) join_next(s);
}

/* " # …" and "& rem …": what no shell runs. It goes on behind a line break. 1 if it was one. */
static int undo_comment(shell *s) {
    if (s->in_double || s->in_single) return 0;
    size_t at = s->at;
    if (s->text[at] == '&') {
        at = skip_spaces(s, at + (shell_byte(s, at + 1) == '&' ? 2 : 1));
        if (at >= s->length || !bk_starts_with(s->text + at, s->length - at, "rem ")) return 0;
    } else if (s->out.length > 0 && sink_last(&s->out) != ' ') {
        return 0;
    }
    while (at < s->length && s->text[at] != '\n') at++;
    s->at = at;
    s->marks |= MARK_COMMENT;
    return 1;
}

static void undo_next(shell *s) {
    uint8_t c = s->text[s->at], next = shell_byte(s, s->at + 1);
    uint32_t point;
    if (c >= 0x80) {
        size_t used = bk_utf8_read(s->text + s->at, s->length - s->at, &point);
        if (used) put_point(s, point, used);
        else sink_byte(&s->out, c);
        s->at += used ? used : 1;
        return;
    }
    int begins = !is_word(sink_last(&s->out)) && sink_last(&s->out) != '\\' && sink_last(&s->out) != '/';
    if (begins && (c == '$' || (is_word(c) && (s->at == 0 || strchr(" ;&|(\"'`\n", s->text[s->at - 1])))))
        bk_remember_assignment(s);
    if (begins && !s->in_single && bk_undo_posix_word(s)) return;
    switch (c) {
    case ',': case ';':
        if (!s->in_single && !s->in_double && bk_undo_delimiter(s)) return;
        break;
    case '(': case '-':
        if (bk_undo_string(s)) return;
        break;
    case '"': case '\'':
        if (bk_undo_string(s)) return;
        undo_quote(s);
        return;
    case '^':
        if (!s->in_double && next && next != ' ') {
            if (is_word(sink_last(&s->out)) && is_word(next)) s->marks |= MARK_CARET;
            s->at++;
            if (next == '^') sink_byte(&s->out, '^'), s->at++;
            return;
        }
        break;
    case '`':
        if (is_alpha(next) && (is_word(sink_last(&s->out)) || sink_last(&s->out) == '-')) {
            s->marks |= MARK_TICK;
            s->at++;
            return;
        }
        break;
    case '\\':
        if (undo_code(s) || bk_undo_octal(s) || (is_quote(next) && bk_undo_string(s))) return;
        if (is_quote(next) || next == '\n') {
            s->at++;
            return;
        }
        if (next == '\\' && s->out.length > 0 && sink_last(&s->out) != ' ') {
            s->at++; /* doubled by JSON or by C: once is enough, but for the \\ of a share */
            return;
        }
        break;
    case '%': case '!':
        if (bk_undo_cmd_variable(s)) return;
        break;
    case '#': case '&':
        if (undo_comment(s)) return;
        break;
    case '$':
        if (bk_undo_first_slash(s) || bk_undo_subexpression(s) || bk_undo_separator(s) || bk_undo_escaped_string(s) || bk_undo_powershell_variable(s)) return;
        break;
    case '[': case 'c': case 'C':
        if (c == '[' && bk_undo_string(s)) return;
        if (undo_code(s)) return;
        break;
    default:
        break;
    }
    if (is_control(c)) c = ' ';
    sink_byte(&s->out, c);
    s->at++;
    if (c == ' ' && s->out.length >= 4 &&
        bk_starts_with(s->out.bytes + s->out.length - 4, 4, "set ") &&
        (s->out.length == 4 || !is_word(s->out.bytes[s->out.length - 5])))
        bk_remember_variable(s);
}

size_t bk_undo_shell(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                     uint32_t *marks) {
    shell s = {.text = text, .length = length, .out = {out, 0, capacity}};
    while (s.at < s.length && s.out.length < capacity) undo_next(&s);
    *marks |= s.marks;
    return s.out.length;
}
