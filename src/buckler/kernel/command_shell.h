/* A shell that only reads: the state in which command-v2 undoes quoting, variables and the rest. */
#ifndef BUCKLER_COMMAND_SHELL_H
#define BUCKLER_COMMAND_SHELL_H

#include "command.h"
#include "unicode.h"

enum { SHELL_VARIABLES = 32, SHELL_NAME_BYTES = 40, FORMAT_ITEMS = 32 };

typedef struct {
    const uint8_t *bytes;
    size_t length;
} shell_text;

typedef struct {
    const uint8_t *text;
    size_t length, at;
    byte_sink out;
    uint32_t marks;
    int in_double, in_single;
    shell_text names[SHELL_VARIABLES], values[SHELL_VARIABLES]; /* of `set` in the same line */
    uint8_t in_powershell[SHELL_VARIABLES]; /* $NAME = 'VALUE', not NAME=VALUE */
    size_t n_variables;
    /* Up to where strings, those inside quotes, words, numbers, variables and runs of quotes were looked at. */
    size_t tried, tried_inside, word_end, octal_end, joined, quotes_end;
} shell;

/* The byte at `at`, or 0 behind the end. */
static inline uint8_t shell_byte(const shell *s, size_t at) { return at < s->length ? s->text[at] : 0; }

static inline size_t skip_spaces(const shell *s, size_t at) {
    while (at < s->length && (s->text[at] == ' ' || s->text[at] == '\t')) at++;
    return at;
}

static inline int is_quote(uint8_t c) { return c == '"' || c == '\''; }

/* Behind a piece of a string: passes over a "+" (or "&" of VBScript) if another piece follows. */
static inline void join_next(shell *s) {
    size_t next = skip_spaces(s, s->at);
    uint8_t sign = shell_byte(s, next);
    if (sign != '+' && sign != '&') return;
    next = skip_spaces(s, next + 1);
    const uint8_t *rest = s->text + next;
    size_t left = s->length - next;
    int piece = sign == '+' && (is_quote(shell_byte(s, next)) || bk_starts_with(rest, left, "[char]") ||
                                (shell_byte(s, next) == '$' && is_alpha(shell_byte(s, next + 1))));
    if (!piece && !bk_starts_with(rest, left, "chr(") && !bk_starts_with(rest, left, "chrw(")) return;
    s->at = next;
    s->marks |= MARK_JOIN;
}

/* %NAME%, !NAME!, %NAME:~start,length%. 1 if its value is known. */
int bk_undo_cmd_variable(shell *s);

/* $env:NAME, ${env:NAME}; $pshome and the like with [1,3] behind it, for these letters. */
int bk_undo_powershell_variable(shell *s);

/* The value that the line itself gave to a name; no bytes if it gave none. */
shell_text bk_line_variable(const shell *s, const uint8_t *name, size_t length);

/* NAME=VALUE; of POSIX shells and $NAME = 'VALUE' of PowerShell: remembered, written as they stand. */
void bk_remember_assignment(shell *s);

/* Strings of PowerShell put together by -join, -replace, -split, .Replace() or indices. 1 if it was one. */
int bk_undo_string(shell *s);

/* Words of POSIX shells: w\\ho$@ami, /b?n/c?t, {cat,x}; $IFS; \\167\\150; $'\\x77'. 1 if it was one. */
int bk_undo_posix_word(shell *s);
int bk_undo_delimiter(shell *s);
int bk_undo_first_slash(shell *s);
int bk_undo_subexpression(shell *s);
int bk_undo_separator(shell *s);
int bk_undo_octal(shell *s);
int bk_undo_escaped_string(shell *s);

/* Behind "set ": remembers NAME=VALUE; the text itself is written as it stands. */
void bk_remember_variable(shell *s);

#endif
