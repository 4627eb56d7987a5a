/* Disguises of POSIX shells: they are undone where a known command or path comes out. See command.h. */
#include <string.h>

#include "command_shell.h"

enum { WORD_BYTES = 128 };

static const char *const known_commands[] = {
    "whoami", "cat", "curl", "wget", "bash", "sh", "zsh", "dash", "nc", "ncat", "netcat", "id", "uname", "python",
    "python3", "perl", "ruby", "php", "base64", "chmod", "chown", "crontab", "dd", "echo", "eval", "exec", "find",
    "ftp", "grep", "head", "hostname", "ifconfig", "ip", "kill", "killall", "less", "ls", "lua", "mkfifo", "more",
    "mv", "cp", "netstat", "nohup", "openssl", "passwd", "ping", "pkill", "printf", "ps", "rm", "scp", "sed",
    "socat", "ss", "ssh", "sudo", "su", "tac", "tail", "tar", "telnet", "touch", "tee", "useradd", "usermod", "vi",
    "vim", "w", "who", "xxd", "awk", "nslookup", "dig", "mount", "insmod", "iptables", "systemctl", "history",
};
static const char *const known_paths[] = {
    "/bin/cat", "/bin/sh", "/bin/bash", "/bin/nc", "/bin/ls", "/bin/ps", "/etc/passwd", "/etc/shadow", "/etc/hosts",
    "/etc/sudoers", "/etc/crontab", "/bin/rm", "/bin/ping", "/usr/bin/id", "/usr/bin/whoami", "/usr/bin/curl",
    "/usr/bin/wget", "/usr/bin/python", "/usr/bin/python3", "/usr/bin/perl", "/usr/bin/nc", "/bin/nc.openbsd",
    "/bin/uname", "/usr/bin/base64", "/bin/netcat", "/usr/bin/ncat", "/usr/bin/php", "/root/.ssh/id_rsa",
};
static const char *const known_cmdlets[] = {
    "invoke-expression", "iex", "invoke-webrequest", "iwr", "invoke-restmethod", "invoke-command", "new-object",
    "start-process", "set-item", "get-content", "start-bitstransfer",
};

static int one_of(const char *const *names, size_t n, const uint8_t *text, size_t length) {
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == length && bk_starts_with(text, length, names[i])) return 1;
    return 0;
}

#define IS_ONE_OF(names, text, length) one_of(names, sizeof names / sizeof *names, text, length)

/* A command by its name or path, or a file that attackers read. */
static int is_known(const uint8_t *text, size_t length) {
    size_t name = length;
    if (IS_ONE_OF(known_paths, text, length)) return 1;
    while (name > 0 && text[name - 1] != '/') name--;
    if (name > 0 && text[0] != '/') return 0;
    return IS_ONE_OF(known_commands, text + name, length - name);
}

static int ends_word(uint8_t c) {
    return c <= ' ' || c == ';' || c == '|' || c == '&' || c == '(' || c == ')' || c == '<' || c == '>' || c == ',';
}

/* "$@", "$*", "$1", "${x}", "$()" at `at`: what is mostly empty. Its length, 0 if it is none. */
static size_t empty_length(const shell *s, size_t at) {
    uint8_t next = shell_byte(s, at + 1);
    if (next == '@' || next == '*' || next == '!' || is_digit(next)) return 2;
    if ((next == '(' && shell_byte(s, at + 2) == ')')) return 3;
    if (next != '{') return is_alpha(next) && !is_word(shell_byte(s, at + 2)) ? 2 : 0;
    size_t end = at + 2;
    while (end < s->length && end - at < SHELL_NAME_BYTES && !ends_word(s->text[end]) && s->text[end] != '}') end++;
    return shell_byte(s, end) == '}' ? end + 1 - at : 0;
}

/* A word with backslashes, quotes and empty variables in it, if a known command is left without. */
static int undo_word(shell *s) {
    uint8_t word[WORD_BYTES];
    size_t at = s->at, n = 0, escapes = 0;
    while (at < s->length && n < WORD_BYTES && !ends_word(s->text[at])) {
        uint8_t c = s->text[at], next = shell_byte(s, at + 1);
        size_t skip = 1;
        if (c == '\\' && (is_word(next) || next == '/')) escapes++;
        else if (c == '`' && next == '`') skip = 2, escapes++;
        else if (c == '$' && (skip = empty_length(s, at)) > 0) escapes++;
        else if (c == '$' || c == '\\' || c == '`') return 0;
        else if (is_quote(c) && escapes && (s->in_double ? c == '"' : 0)) break; /* it ends bash -c "…" */
        else if (!is_quote(c)) word[n++] = c;
        at += skip ? skip : 1;
    }
    if (!escapes || !n || !is_known(word, n)) return 0;
    for (size_t i = 0; i < n; i++) sink_byte(&s->out, word[i]);
    s->at = at;
    s->marks |= MARK_ESCAPE;
    return 1;
}

static int glob_fits(const uint8_t *glob, size_t n, const char *name) {
    size_t star = n, resume = 0, i = 0, k = 0;
    while (name[k]) {
        if (i < n && glob[i] == '*') star = i++, resume = k;
        else if (i < n && glob[i] == '[') { /* one of these, or a range */
            size_t end = i + 1;
            int found = 0;
            for (; end < n && glob[end] != ']'; end++) {
                found |= lower(glob[end]) == (uint8_t)name[k];
                if (end + 2 < n && glob[end + 1] == '-')
                    found |= glob[end] <= (uint8_t)name[k] && (uint8_t)name[k] <= glob[end + 2];
            }
            if (found && end < n) i = end + 1, k++;
            else if (star < n) i = star + 1, k = ++resume;
            else return 0;
        } else if (i < n && ((glob[i] == '?' && name[k] != '/') || lower(glob[i]) == (uint8_t)name[k])) i++, k++;
        else if (star < n) i = star + 1, k = ++resume;
        else return 0;
    }
    while (i < n && glob[i] == '*') i++;
    return i == n;
}

/* A path or a cmdlet behind wildcards: /b?n/c?t, gcm i*-e*. Names that a wildcard spares tell which. */
static int undo_wildcard(shell *s) {
    size_t n = 0, letters = 0, marks = 0;
    const uint8_t *word = s->text + s->at;
    while (s->at + n < s->length && n < WORD_BYTES && !ends_word(word[n]) && !is_quote(word[n])) {
        letters += (size_t)is_alpha(word[n]);
        marks += word[n] == '?' || word[n] == '[' || word[n] == '*';
        n++;
    }
    if (!marks || letters < 2) return 0;
    int is_path = word[0] == '/' && (memchr(word, '?', n) || memchr(word, '[', n) || letters > 5);
    size_t behind = s->out.length;
    while (behind > 0 && s->out.bytes[behind - 1] == ' ') behind--;
    int asks = behind >= 3 && (bk_starts_with(s->out.bytes + behind - 3, 3, "gcm") ||
                               bk_starts_with(s->out.bytes + behind - 3, 3, "gal") ||
                               (behind >= 11 && bk_starts_with(s->out.bytes + behind - 11, 11, "get-command")) ||
                               (behind >= 9 && bk_starts_with(s->out.bytes + behind - 9, 9, "get-alias")));
    if (!is_path && !asks) return 0;
    const char *const *names = is_path ? known_paths : known_cmdlets;
    size_t n_names = is_path ? sizeof known_paths / sizeof *known_paths : sizeof known_cmdlets / sizeof *known_cmdlets;
    int only_stars = !memchr(word, '?', n) && !memchr(word, '[', n);
    for (size_t i = 0; i < n_names; i++) {
        if (!glob_fits(word, n, names[i]) || (is_path && only_stars && n - marks + 2 < strlen(names[i]))) continue;
        bk_sink_text(&s->out, names[i]);
        s->at += n;
        s->marks |= MARK_WILDCARD;
        return 1;
    }
    return 0;
}

/* {cat,/etc/passwd}: the words of a known command without a space. */
static int undo_braces(shell *s) {
    size_t at = s->at + 1, first = 0, commas = 0;
    while (at < s->length && at - s->at < 512 && s->text[at] > ' ' && s->text[at] != '}') {
        if (s->text[at] == ',' && !commas++) first = at;
        at++;
    }
    if (!commas || shell_byte(s, at) != '}' || !is_known(s->text + s->at + 1, first - s->at - 1)) return 0;
    for (size_t i = s->at + 1; i < at; i++)
        if (!is_quote(s->text[i])) sink_byte(&s->out, s->text[i] == ',' ? ' ' : s->text[i]);
    s->at = at + 1;
    s->marks |= MARK_ESCAPE;
    return 1;
}

int bk_undo_posix_word(shell *s) {
    if (s->at < s->word_end) return 0;
    size_t end = s->at;
    int tricks = 0, wildcards = 0;
    for (; end < s->length && !ends_word(s->text[end]); end++) {
        uint8_t c = s->text[end];
        tricks |= c == '\\' || c == '$' || c == '`';
        wildcards |= c == '?' || c == '*' || c == '[';
    }
    s->word_end = end; /* a word is looked at once: that keeps time linear */
    return (shell_byte(s, s->at) == '{' && undo_braces(s)) || (tricks && undo_word(s)) ||
           (wildcards && undo_wildcard(s));
}

/* "$IFS", "${IFS}", "$IFS$9": a space. */
int bk_undo_separator(shell *s) {
    size_t at = s->at + 1, braced = shell_byte(s, at) == '{';
    at += braced;
    if (at >= s->length || !bk_starts_with(s->text + at, s->length - at, "ifs")) return 0;
    at += 3;
    if (!braced && is_word(shell_byte(s, at))) return 0;
    if (braced) {
        while (at < s->length && s->text[at] != '}' && s->text[at] > ' ') at++;
        if (shell_byte(s, at) != '}') return 0;
        at++;
    }
    if (shell_byte(s, at) == '$' && (is_digit(shell_byte(s, at + 1)) || shell_byte(s, at + 1) == '@')) at += 2;
    sink_byte(&s->out, ' ');
    s->at = at;
    s->marks |= MARK_ESCAPE;
    return 1;
}

/* An octal escape such as \167 or \0167: its length and its character; 0 if it is none. */
static size_t read_octal(const shell *s, size_t at, uint32_t *code) {
    size_t i = at + 1, digits = shell_byte(s, i) == '0' && shell_byte(s, i + 3) >= '0' && shell_byte(s, i + 3) <= '7' ? 4 : 3;
    if (shell_byte(s, at) != '\\') return 0;
    *code = 0;
    for (size_t k = 0; k < digits; k++, i++) {
        uint8_t c = shell_byte(s, i);
        if (c < '0' || c > '7') return 0;
        *code = *code << 3 | (uint32_t)(c - '0');
    }
    return *code >= 0x20 && *code <= 0x7E ? digits + 1 : 0;
}

/* Two octal escapes in a row, or one behind another: one alone may be a folder. */
int bk_undo_octal(shell *s) {
    uint32_t code, next;
    size_t used = read_octal(s, s->at, &code);
    int goes_on = s->octal_end && s->octal_end == s->at;
    if (!used || (!goes_on && (!read_octal(s, s->at + used, &next) || is_word(sink_last(&s->out)) || sink_last(&s->out) == ':')))
        return 0;
    sink_byte(&s->out, (uint8_t)code);
    s->at = s->octal_end = s->at + used;
    s->marks |= MARK_CODE;
    return 1;
}

/* $'\x77\150o': a string with escapes of C. */
int bk_undo_escaped_string(shell *s) {
    size_t at = s->at + 2;
    int codes = 0;
    if (s->in_single || shell_byte(s, s->at + 1) != '\'') return 0;
    for (size_t i = at; i + 1 < s->length && i < at + 512 && s->text[i] != '\'' && !codes; i++)
        codes = s->text[i] == '\\' && (is_digit(s->text[i + 1]) || lower(s->text[i + 1]) == 'x' || lower(s->text[i + 1]) == 'u');
    if (!codes) return 0;
    while (at < s->length && s->text[at] != '\'') {
        uint32_t code = s->text[at];
        size_t used = 1;
        if (code == '\\') {
            uint8_t kind = lower(shell_byte(s, at + 1));
            size_t wanted = kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
            used = wanted ? 2 : read_octal(s, at, &code);
            if (wanted) code = 0;
            for (; wanted && hex_value(shell_byte(s, at + used)) != NO_HEX; wanted--, used++)
                code = code << 4 | hex_value(shell_byte(s, at + used));
            if (used) s->marks |= MARK_CODE;
            else code = is_alpha(shell_byte(s, at + 1)) ? ' ' : shell_byte(s, at + 1), used = 2;
            if (code < 0x20 || code > 0x7E) code = ' ';
        }
        sink_byte(&s->out, (uint8_t)code);
        at += used;
    }
    s->at = at < s->length ? at + 1 : s->length;
    return 1;
}

/* "${PATH:0:1}": the slash with which the variable begins. */
int bk_undo_first_slash(shell *s) {
    static const char *const starts[] = {"${path:0:1}", "${home:0:1}", "${pwd:0:1}", "${shell:0:1}", "${oldpwd:0:1}"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (!bk_starts_with(s->text + s->at, s->length - s->at, starts[i])) continue;
        sink_byte(&s->out, '/');
        s->at += strlen(starts[i]);
        s->marks |= MARK_ESCAPE;
        return 1;
    }
    return 0;
}

/* "cmd.exe,;,/c": commas and semicolons, which cmd.exe takes for spaces. */
int bk_undo_delimiter(shell *s) {
    size_t at = s->at, commas = 0, semicolons = 0;
    if (at > 0 && (s->text[at - 1] == ',' || s->text[at - 1] == ';')) return 0; /* a run is looked at once */
    for (; shell_byte(s, at) == ',' || shell_byte(s, at) == ';'; at++) s->text[at] == ',' ? commas++ : semicolons++;
    int option = shell_byte(s, at) == '/' && is_alpha(shell_byte(s, at + 1)) && !is_word(shell_byte(s, at + 2));
    size_t n = s->out.length;
    const uint8_t *out = s->out.bytes;
    int behind = n >= 3 && is_alpha(out[n - 1]) && out[n - 2] == '/' && out[n - 3] == ' ' && s->text[s->at] == ',';
    if (!(commas && semicolons) && !(commas == 1 && !semicolons && (option || behind))) return 0;
    sink_byte(&s->out, ' ');
    s->at = at;
    s->marks |= MARK_ESCAPE;
    return 1;
}
