/* A shell that only reads: the state in which command-v1 undoes quoting, variables and the rest. */
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
    size_t n_variables;
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

/* Behind "set ": remembers NAME=VALUE; the text itself is written as it stands. */
void bk_remember_variable(shell *s);

#endif
