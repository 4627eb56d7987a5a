/* Variables of cmd.exe and PowerShell whose values every machine, or the line itself, tells. */
#include <string.h>

#include "command_shell.h"
#include "unicode.h"

static const struct {
    const char *name, *value;
} known_variables[] = {
    {"comspec", "C:\\Windows\\system32\\cmd.exe"},
    {"windir", "C:\\Windows"},
    {"systemroot", "C:\\Windows"},
    {"systemdrive", "C:"},
    {"programfiles", "C:\\Program Files"},
    {"programdata", "C:\\ProgramData"},
    {"allusersprofile", "C:\\ProgramData"},
    {"public", "C:\\Users\\Public"},
    {"os", "Windows_NT"},
    {"pathext", ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC"},
    {"psmodulepath", "C:\\Program Files\\WindowsPowerShell\\Modules"},
    {"pshome", "C:\\Windows\\System32\\WindowsPowerShell\\v1.0"},
    {"shellid", "Microsoft.PowerShell"},
    {"verbosepreference", "SilentlyContinue"},
};

static int same_name(shell_text a, const uint8_t *name, size_t length) {
    if (a.length != length) return 0;
    for (size_t i = 0; i < length; i++)
        if (lower(a.bytes[i]) != lower(name[i])) return 0;
    return 1;
}

static size_t find_variable(const shell *s, const uint8_t *name, size_t length) {
    size_t i = s->n_variables;
    while (i > 0 && !same_name(s->names[i - 1], name, length)) i--;
    return i; /* counted from 1; 0 if the line sets none of this name */
}

shell_text bk_line_variable(const shell *s, const uint8_t *name, size_t length) {
    shell_text none = {NULL, 0};
    size_t number = find_variable(s, name, length);
    return number ? s->values[number - 1] : none;
}

static shell_text value_of(const shell *s, const uint8_t *name, size_t length) {
    shell_text none = {NULL, 0}, own = bk_line_variable(s, name, length);
    if (own.bytes) return own;
    for (size_t i = 0; i < sizeof known_variables / sizeof *known_variables; i++) {
        shell_text known = {(const uint8_t *)known_variables[i].name, strlen(known_variables[i].name)};
        if (!same_name(known, name, length)) continue;
        known.bytes = (const uint8_t *)known_variables[i].value;
        known.length = strlen(known_variables[i].value);
        return known;
    }
    return none;
}

static void put_value(shell *s, shell_text value, size_t start, size_t length) {
    for (size_t i = start; i < value.length && i - start < length; i++)
        if (value.bytes[i] != '^' && value.bytes[i] != '"') sink_byte(&s->out, value.bytes[i]);
}

/* A number with a sign, counted from the end if negative. */
static size_t read_offset(const shell *s, size_t at, size_t length, size_t *offset) {
    uint32_t value;
    int negative = shell_byte(s, at) == '-';
    size_t digits = at + (size_t)negative < s->length
                        ? bk_read_number(s->text + at + negative, s->length - at - (size_t)negative, &value)
                        : 0;
    if (digits == 0) return 0;
    if (negative) value = value < length ? (uint32_t)length - value : 0;
    *offset = value;
    return digits + (size_t)negative;
}

/* The rest of %NAME:old=new%. */
static int undo_replacement(shell *s, shell_text value, size_t at, uint8_t mark) {
    size_t old = at, equals, end;
    for (equals = old; equals < s->length && s->text[equals] != '=' && s->text[equals] != mark; equals++) continue;
    for (end = equals; end < s->length && s->text[end] != mark; end++) continue;
    size_t n = equals - old;
    if (shell_byte(s, equals) != '=' || end >= s->length || !n || end - at > 64 || value.length > 512) return 0;
    for (size_t i = 0; i < value.length;) {
        size_t k = 0;
        while (k < n && i + k < value.length && lower(value.bytes[i + k]) == lower(s->text[old + k])) k++;
        if (k < n) put_value(s, value, i++, 1);
        else {
            for (size_t j = equals + 1; j < end; j++) sink_byte(&s->out, s->text[j]);
            i += n;
        }
    }
    s->marks |= MARK_REPLACE;
    s->at = end + 1;
    return 1;
}

/* %NAME%, !NAME!, %NAME:~start,length%. 1 if its value is known. */
int bk_undo_cmd_variable(shell *s) {
    uint8_t mark = s->text[s->at];
    size_t start = s->at + 1, at = start;
    while (at < s->length && at - start < SHELL_NAME_BYTES && (is_word(s->text[at]) || s->text[at] == '(' ||
                                                         s->text[at] == ')'))
        at++;
    if (at == start || at >= s->length) return 0;
    shell_text value = value_of(s, s->text + start, at - start);
    if (!value.bytes) return 0;
    size_t first = 0, length = value.length, used;
    if (s->text[at] == ':' && shell_byte(s, at + 1) == '~') {
        at += 2;
        used = read_offset(s, at, value.length, &first);
        at += used;
        length = value.length;
        if (shell_byte(s, at) == ',') {
            int from_end = shell_byte(s, at + 1) == '-';
            used = read_offset(s, at + 1, value.length, &length);
            if (from_end) length = length > first ? length - first : 0;
            at += used + 1;
        }
        s->marks |= MARK_VARIABLE;
    }
    else if (s->text[at] == ':') return undo_replacement(s, value, at + 1, mark);
    if (shell_byte(s, at) != mark) return 0;
    if (is_word(sink_last(&s->out)) || is_word(shell_byte(s, at + 1))) s->marks |= MARK_VARIABLE;
    put_value(s, value, first, length);
    s->at = at + 1;
    return 1;
}

/* Whether a variable of the line is used to put a command together: at its place, or beside pieces of it. */
static int is_joined(const shell *s, size_t end, int posix) {
    size_t last = s->out.length, next = skip_spaces(s, end);
    if (s->joined && s->joined == s->at) return 1;
    if (is_word(sink_last(&s->out)) || is_word(shell_byte(s, end)) || shell_byte(s, end) == '$') return 1;
    next = shell_byte(s, next) == '+' ? skip_spaces(s, next + 1) : 0;
    if (next && (shell_byte(s, next) == '$' || is_quote(shell_byte(s, next)))) return 1;
    while (last > 0 && s->out.bytes[last - 1] == ' ') last--;
    if (last == 0) return posix;
    uint8_t before = s->out.bytes[last - 1];
    int second = last >= 2 && s->out.bytes[last - 2] == '&';
    return (posix && before && strchr(";&|(`", before)) || (before == '&' && !second) ||
           (last >= 3 && bk_starts_with(s->out.bytes + last - 3, 3, "iex"));
}

/* $env:NAME, ${env:NAME}, $pshome; with [1,3] behind it, these letters. 1 if its value is known. */
int bk_undo_powershell_variable(shell *s) {
    size_t at = s->at + 1;
    int braced = shell_byte(s, at) == '{', indexed = 0;
    at += (size_t)braced;
    int environment = at < s->length && bk_starts_with(s->text + at, s->length - at, "env:");
    if (environment) at += 4;
    size_t start = at;
    while (at < s->length && at - start < SHELL_NAME_BYTES && is_word(s->text[at])) at++;
    if (at == start) return 0;
    size_t behind = skip_spaces(s, at + (size_t)(braced && shell_byte(s, at) == '}'));
    if (shell_byte(s, behind) == '=' && shell_byte(s, behind + 1) != '=') return 0; /* an assignment */
    size_t number = environment ? 0 : find_variable(s, s->text + start, at - start);
    int own = number && is_joined(s, at + (size_t)braced, !s->in_powershell[number - 1]);
    shell_text value = value_of(s, s->text + start, at - start);
    if (!value.bytes) return 0;
    if (braced && shell_byte(s, at) == '}') at++;
    if (at < s->length && bk_starts_with(s->text + at, s->length - at, ".tostring()")) at += 11;
    if (shell_byte(s, at) == '[') {
        size_t index, used, next = at + 1;
        while ((used = read_offset(s, skip_spaces(s, next), value.length, &index)) > 0) {
            if (index < value.length) sink_byte(&s->out, value.bytes[index]);
            next = skip_spaces(s, skip_spaces(s, next) + used);
            indexed = 1;
            if (shell_byte(s, next) != ',') break;
            next++;
        }
        if (indexed) at = shell_byte(s, next) == ']' ? next + 1 : next;
    }
    if (!indexed && !environment && !own) return 0;
    if (!indexed) put_value(s, value, 0, value.length);
    s->at = at;
    if (own) {
        s->marks |= MARK_VARIABLE;
        join_next(s);
        s->joined = s->at;
    }
    if (indexed) {
        s->marks |= MARK_VARIABLE;
        join_next(s);
    }
    return 1;
}

static void remember(shell *s, shell_text name, shell_text value, int in_powershell) {
    s->names[s->n_variables] = name;
    s->in_powershell[s->n_variables] = (uint8_t)in_powershell;
    s->values[s->n_variables++] = value;
}

/* Behind "set ": remembers NAME=VALUE; the text itself is written as it stands. */
void bk_remember_variable(shell *s) {
    size_t start = skip_spaces(s, s->at), at;
    if (bk_starts_with(s->text + start, s->length - start, "/a")) return;
    while (is_quote(shell_byte(s, start))) start++;
    for (at = start; at < s->length && at - start < SHELL_NAME_BYTES && is_word(s->text[at]);) at++;
    if (at == start || shell_byte(s, at) != '=' || s->n_variables == SHELL_VARIABLES) return;
    size_t value = at + 1, end = value;
    while (end < s->length && s->text[end] != '&' && s->text[end] != '|' && s->text[end] != '"' &&
           s->text[end] != '\n')
        end++;
    remember(s, (shell_text){s->text + start, at - start}, (shell_text){s->text + value, end - value}, 0);
}

/* NAME=VALUE behind which the command ends, or $NAME = 'VALUE'. */
void bk_remember_assignment(shell *s) {
    size_t dollar = shell_byte(s, s->at) == '$', braced = dollar && shell_byte(s, s->at + 1) == '{';
    size_t start = s->at + dollar + braced, at = start;
    while (at < s->length && at - start < SHELL_NAME_BYTES && is_word(s->text[at])) at++;
    size_t equals = dollar ? skip_spaces(s, at + braced) : at;
    if (at == start || (braced && shell_byte(s, at) != '}') || is_digit(s->text[start]) || shell_byte(s, equals) != '=' || s->n_variables == SHELL_VARIABLES)
        return;
    size_t value = dollar ? skip_spaces(s, equals + 1) : equals + 1, end = value;
    size_t escaped = shell_byte(s, value) == '\\' && s->in_double && shell_byte(s, value + 1) == '"';
    uint8_t quote = shell_byte(s, value + escaped), stop = escaped ? '\\' : quote;
    if (is_quote(quote)) {
        for (end = value += 1 + escaped; end < s->length && end - value <= 512 && s->text[end] != stop && s->text[end] != '$'; end++)
            continue;
        if (shell_byte(s, end) != stop || shell_byte(s, end + escaped) != quote) return;
    } else if (dollar) {
        return;
    } else {
        while (end < s->length && end - value <= 512 && s->text[end] > ' ' && s->text[end] != ';' && s->text[end] != '&' &&
               s->text[end] != '$' && !is_quote(s->text[end]))
            end++;
    }
    size_t rest = skip_spaces(s, end + escaped + (size_t)is_quote(quote));
    uint8_t after = shell_byte(s, rest);
    if (end == value || end - value > 512 || (after != ';' && after != '&' && after != '\n')) return;
    remember(s, (shell_text){s->text + start, at - start}, (shell_text){s->text + value, end - value}, dollar > 0);
}
