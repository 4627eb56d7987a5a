/* command-v2: fields, placeholders for what only misleads, payloads. Rules in docs/normalize.md. */
#include <string.h>

#include "command.h"
#include "unicode.h"
#include "fields.h"

enum {
    LEAST_BASE64 = 16, /* digits of a run that is tried */
    LEAST_BLOB = 80,   /* that is named even if it is no text */
    LEAST_HEX = 16,
    GUID_BYTES = 36,
    LEAST_NUMBER = 5,
    LEAST_RANDOM = 8,
    LEAST_REVERSED = 5,
    RANDOM_CHANGES = 4, /* from letters to digits or back within a word */
    PARENT_BYTES = 512,
    IMAGE_BYTES = 64,
    SMALL_FIELDS = 192 /* image, user and marks together */
};

static const char *const mark_words[] = {"caret", "quote", "tick", "join", "variable", "format",
                                         "code", "invisible", "lookalike", "base64", "hex", "comment",
                                         "replace", "reverse", "packed", "escape", "wildcard"};

typedef struct {
    byte_sink *out, *payload;
    uint32_t marks;
    int depth;
    const uint8_t *line; /* that tells what its lists of numbers are */
    size_t line_length;
    payload_hints hints; /* of the line, once they are asked for */
    int has_hints;
    const uint8_t *refused; /* up to here numbers are no codes */
    const uint8_t *tried; /* up to here no base64 is looked for again: that keeps time linear */
} command_writer;

static void write_words(command_writer *w, const uint8_t *text, size_t length);

static const payload_hints *hints_of(command_writer *w) {
    if (!w->has_hints) w->hints = bk_find_hints(w->line, w->line_length);
    w->has_hints = 1;
    return &w->hints;
}

/* --- payloads --------------------------------------------------------------------------------------- */

static void write_payload(command_writer *w, const uint8_t *bytes, size_t length) {
    uint8_t clean[DECODED_BYTES];
    if (w->depth == DECODE_DEPTH) return;
    length = bk_undo_shell(bytes, length, clean, sizeof clean, &w->marks);
    command_writer inner = {.out = w->payload, .payload = w->payload, .depth = w->depth + 1, .line = clean, .line_length = length};
    if (w->payload->length) sink_byte(w->payload, ' ');
    write_words(&inner, clean, length);
    w->marks |= inner.marks;
}

/* --- runs and words --------------------------------------------------------------------------------- */

static size_t run_of(const uint8_t *text, size_t length, int (*belongs)(uint8_t)) {
    size_t i = 0;
    while (i < length && belongs(text[i])) i++;
    return i;
}

static int is_base64(uint8_t c) { return is_digit(c) || is_alpha(c) || c == '+' || c == '/'; }
static int is_hex(uint8_t c) { return hex_value(c) != NO_HEX; }
static int is_hex_or_dash(uint8_t c) { return is_hex(c) || c == '-'; }
static int is_dotted(uint8_t c) { return is_digit(c) || c == '.'; }
static int is_name(uint8_t c) { return is_word(c); }
static int in_path_part(uint8_t c) { return c != '\\' && c != '/' && c > ' '; }
static int is_sid(uint8_t c) { return is_digit(c) || c == '-'; }

static int looks_like_blob(const uint8_t *text, size_t length) {
    size_t digits = 0, upper = 0, small = 0, slashes = 0;
    for (size_t i = 0; i < length; i++) {
        digits += (size_t)is_digit(text[i]);
        upper += text[i] >= 'A' && text[i] <= 'Z';
        small += text[i] >= 'a' && text[i] <= 'z';
        slashes += text[i] == '/';
    }
    return length >= LEAST_BLOB && digits >= 3 && upper >= 3 && small >= 3 && slashes * 16 <= length;
}

static size_t take_base64(command_writer *w, const uint8_t *text, size_t length) {
    uint8_t decoded[DECODED_BYTES];
    if (w->tried && text < w->tried) return 0;
    size_t run = run_of(text, length, is_base64), padding = 0;
    w->tried = text + run;
    while (run + padding < length && padding < 2 && text[run + padding] == '=') padding++;
    if (run < LEAST_BASE64 && (run + padding < LEAST_BASE64 || (run + padding < length && is_word(text[run + padding]))))
        return 0;
    size_t n = bk_decode_base64(text, run, decoded, sizeof decoded);
    int raw = n == 0 && hints_of(w)->deflates;
    if (n == 0 && (n = bk_decode_packed(text, run, decoded, sizeof decoded, raw)) > 0)
        w->marks |= MARK_PACKED;
    if (n == 0 && !looks_like_blob(text, run)) return 0;
    bk_sink_text(w->out, n ? "<base64>" : "<blob>");
    w->marks |= MARK_BASE64;
    if (n) write_payload(w, decoded, n);
    return run + padding;
}

static size_t take_guid(command_writer *w, const uint8_t *text, size_t length) {
    static const uint8_t parts[5] = {8, 4, 4, 4, 12};
    size_t at = 0;
    if (length > GUID_BYTES + 1) length = GUID_BYTES + 1;
    if (run_of(text, length, is_hex_or_dash) != GUID_BYTES) return 0;
    for (int i = 0; i < 5; i++) {
        if (run_of(text + at, length - at, is_hex) != parts[i]) return 0;
        at += parts[i] + (size_t)(i < 4);
    }
    bk_sink_text(w->out, "<guid>");
    return at;
}

static size_t take_hex(command_writer *w, const uint8_t *text, size_t length) {
    uint8_t decoded[DECODED_BYTES];
    size_t start = length > 2 && text[0] == '0' && lower(text[1]) == 'x' ? 2 : 0;
    size_t run = run_of(text + start, length - start, is_hex);
    if (run < LEAST_HEX || (start + run < length && is_word(text[start + run]))) return 0;
    size_t n = bk_decode_hex(text + start, run, decoded, sizeof decoded);
    bk_sink_text(w->out, n ? "<hextext>" : "<hex>");
    if (n) {
        w->marks |= MARK_HEX;
        write_payload(w, decoded, n);
    }
    return start + run;
}

static size_t take_codes(command_writer *w, const uint8_t *text, size_t length) {
    uint8_t decoded[DECODED_BYTES];
    size_t used, digits = run_of(text, length, is_hex), gap = digits;
    while (gap < length && gap < digits + 3 && !is_digit(text[gap])) gap++;
    if (gap == digits || gap >= length || !is_digit(text[gap])) return 0;
    if ((w->refused && text < w->refused) || !hints_of(w)->are_codes) return 0;
    size_t n = bk_decode_codes(text, length, decoded, sizeof decoded, &used, &w->hints);
    w->refused = text + used;
    if (n == 0) return 0;
    bk_sink_text(w->out, "<codes>");
    w->marks |= MARK_CODE;
    write_payload(w, decoded, n);
    return used;
}

/* An address in digits: what matters is whose network it is. */
static size_t take_address(command_writer *w, const uint8_t *text, size_t length) {
    size_t run = run_of(text, length, is_dotted), at = 0;
    uint32_t parts[4], n = 0;
    while (run > 0 && text[run - 1] == '.') run--;
    for (; at < run && n < 4; n++) {
        size_t digits = bk_read_number(text + at, run - at, &parts[n]);
        if (digits == 0 || digits > 3 || parts[n] > 255) return 0;
        at += digits;
        if (n < 3 && (at >= run || text[at++] != '.')) return 0;
    }
    if (n != 4 || at != run) return 0;
    int near = parts[0] == 10 || (parts[0] == 192 && parts[1] == 168) || (parts[0] == 169 && parts[1] == 254) ||
               (parts[0] == 172 && parts[1] >= 16 && parts[1] < 32);
    bk_sink_text(w->out, parts[0] == 127 ? "<loopback>" : near ? "<lan>" : parts[0] == 0 ? "<any>" : "<ip>");
    return run;
}

static size_t take_number(command_writer *w, const uint8_t *text, size_t length) {
    size_t run = run_of(text, length, is_digit);
    if (run < LEAST_NUMBER || (run < length && is_word(text[run]))) return 0;
    bk_sink_text(w->out, "<number>");
    return run;
}

/* A word in which letters and digits alternate: a name that a program made up. */
static size_t take_random(command_writer *w, const uint8_t *text, size_t length) {
    size_t run = run_of(text, length, is_name), changes = 0;
    for (size_t i = 1; i < run; i++) changes += is_digit(text[i]) != is_digit(text[i - 1]);
    if (run < LEAST_RANDOM || changes < RANDOM_CHANGES) return 0;
    bk_sink_text(w->out, "<random>");
    return run;
}

/* \Users\name\ and /home/name/: the name tells the machine, not the intent. */
static size_t take_user(command_writer *w, const uint8_t *text, size_t length) {
    static const char *const roots[] = {"\\users\\", "/users/", "/home/", "\\documents and settings\\"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        size_t root = strlen(roots[i]);
        if (!bk_starts_with(text, length, roots[i])) continue;
        size_t name = run_of(text + root, length - root, in_path_part);
        if (name == 0 || bk_starts_with(text + root, name, "public") ||
            bk_starts_with(text + root, name, "default") || text[root] == '%' || text[root] == '*')
            return 0;
        bk_sink_text(w->out, roots[i]);
        bk_sink_text(w->out, "<user>");
        return root + name;
    }
    return 0;
}

/* What starts here and stands for itself badly; 0 where the text stays as it is. */
static size_t take_special(command_writer *w, uint8_t before, const uint8_t *text, size_t length) {
    uint8_t c = text[0];
    size_t used = 0;
    if (c == '\\' || c == '/') return take_user(w, text, length);
    if (!is_word(c)) return c == '+' ? take_base64(w, text, length) : 0;
    if (bk_starts_with(text, length, "s-1-5-21-")) {
        bk_sink_text(w->out, "<sid>");
        return 8 + run_of(text + 8, length - 8, is_sid);
    }
    if (is_digit(c)) {
        if (before != '.') used = take_address(w, text, length); /* else the end of a version */
        if (!used) used = take_codes(w, text, length);
    }
    if (!used && is_hex(c)) used = take_guid(w, text, length);
    if (!used && is_hex(c)) used = take_hex(w, text, length);
    if (!used && is_digit(c)) used = take_number(w, text, length);
    if (!used) used = take_base64(w, text, length);
    if (!used) used = take_random(w, text, length);
    return used;
}

static void write_words(command_writer *w, const uint8_t *text, size_t length) {
    int at_start = 1;
    for (size_t i = 0; i < length && w->out->length < w->out->capacity;) {
        uint8_t c = text[i];
        if (at_start || c == '\\' || c == '/') {
            size_t used = take_special(w, i ? text[i - 1] : 0, text + i, length - i);
            if (used) {
                i += used;
                at_start = 0;
                continue;
            }
        }
        at_start = !is_word(c);
        i++;
        if (is_control(c)) c = ' ';
        if (c == ' ' && (sink_last(w->out) == ' ' || w->out->length == 0)) continue;
        sink_byte(w->out, lower(c));
    }
    if (sink_last(w->out) == ' ') w->out->length--;
}

/* --- fields ------------------------------------------------------------------------------------------ */

typedef struct {
    const uint8_t *bytes;
    size_t length;
} command_part;

/* The last part of a path, up to IMAGE_BYTES, lower case. */
static void write_base_name(byte_sink *out, command_part path) {
    size_t start = path.length;
    while (start > 0 && path.bytes[start - 1] != '\\' && path.bytes[start - 1] != '/') start--;
    for (size_t i = start; i < path.length && i - start < IMAGE_BYTES; i++)
        sink_byte(out, is_control(path.bytes[i]) ? ' ' : lower(path.bytes[i]));
}

static int part_has(command_part text, const char *word) {
    for (size_t i = 0; i < text.length; i++)
        if (bk_starts_with(text.bytes + i, text.length - i, word)) return 1;
    return 0;
}

/* Whose process it is: names of accounts tell the machine, kinds of accounts the privilege. */
static const char *user_kind(command_part user) {
    if (user.length == 0) return "";
    if (part_has(user, "system") || part_has(user, "syst\xC3\xA8me")) return "<system>";
    if (part_has(user, "service") || part_has(user, "www-data") || part_has(user, "nobody")) return "<service>";
    if ((user.length == 4 && part_has(user, "root")) || (user.length == 1 && user.bytes[0] == '0')) return "<root>";
    if (user.bytes[user.length - 1] == '$') return "<system>";
    if (part_has(user, "admin")) return "<admin>";
    return "<user>";
}

/* Beginning and end, where the whole has no room: what is padded on either side stays in sight. */
static void write_ends(byte_sink *out, const byte_sink *text, size_t room) {
    size_t head = text->length <= room ? text->length : room / 2;
    for (size_t i = 0; i < head; i++) sink_byte(out, text->bytes[i]);
    for (size_t i = text->length <= room ? head : text->length - (room - head); i < text->length; i++)
        sink_byte(out, text->bytes[i]);
}

/* What a line that reverses strings holds: each quoted one, or what it prints, goes to the payloads. */
static void write_reversed(command_writer *w, command_part text) {
    uint8_t back[DECODED_BYTES];
    size_t n_quoted = 0, first = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t quote = text.bytes[i];
        if (!first && (bk_starts_with(text.bytes + i, text.length - i, "echo ") ||
                       bk_starts_with(text.bytes + i, text.length - i, "<<<")))
            first = i + (quote == '<' ? 3 : 5);
        if (quote != '"' && quote != '\'') continue;
        const uint8_t *start = text.bytes + i + 1, *end = memchr(start, quote, text.length - i - 1);
        if (!end) break;
        size_t n = (size_t)(end - start);
        i += n + 1;
        if (n < LEAST_REVERSED || n > sizeof back) continue;
        for (size_t k = 0; k < n; k++) back[k] = end[-1 - (long)k];
        write_payload(w, back, n);
        n_quoted++;
    }
    if (first && !n_quoted) {
        size_t end = first, n;
        while (end < text.length && text.bytes[end] != '|' && text.bytes[end] != ';') end++;
        n = end - first > sizeof back ? sizeof back : end - first;
        for (size_t k = 0; k < n; k++) back[k] = text.bytes[end - 1 - k];
        write_payload(w, back, n);
    }
    w->marks |= MARK_REVERSE;
}

static void write_clean(command_writer *w, command_part text) {
    uint8_t clean[COMMAND_BYTES];
    size_t length = bk_undo_shell(text.bytes, text.length, clean, sizeof clean, &w->marks);
    w->line = clean;
    w->line_length = length;
    write_words(w, clean, length);
    if (bk_reverses(text.bytes, text.length) && !(w->marks & MARK_REVERSE) && w->depth < DECODE_DEPTH) write_reversed(w, text);
}

size_t bk_normalize_command(const uint8_t *text, size_t length, uint8_t *out, size_t capacity) {
    uint8_t command_bytes[COMMAND_BYTES], payload_bytes[DECODED_BYTES], parent_bytes[PARENT_BYTES];
    byte_sink result = {out, 0, capacity}, command = {command_bytes, 0, sizeof command_bytes};
    byte_sink payload = {payload_bytes, 0, sizeof payload_bytes}, parent = {parent_bytes, 0, PARENT_BYTES};
    command_part fields[4] = {{text, 0}, {text, 0}, {text, 0}, {text, 0}}; /* command, parent, image, user */
    size_t n = 0;
    if (length > COMMAND_BYTES) length = COMMAND_BYTES;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != BK_FIELD_SEPARATOR) fields[n].length++;
        else if (n < 3) fields[++n].bytes = text + i + 1;
        else break;
    }
    command_writer w = {.out = &command, .payload = &payload};
    write_clean(&w, fields[0]);
    command_writer of_parent = {.out = &parent, .payload = &parent, .depth = DECODE_DEPTH}; /* its payloads are another event's */
    write_clean(&of_parent, fields[1]);
    size_t quarter = capacity / 4, decoded = payload.length < quarter ? payload.length : quarter;
    size_t others = decoded + quarter / 2 + SMALL_FIELDS;
    write_ends(&result, &command, 2 * others < capacity ? capacity - others : capacity / 2);
    sink_byte(&result, BK_FIELD_SEPARATOR);
    write_ends(&result, &payload, quarter);
    sink_byte(&result, BK_FIELD_SEPARATOR);
    write_base_name(&result, fields[2]);
    sink_byte(&result, BK_FIELD_SEPARATOR);
    write_ends(&result, &parent, quarter / 2);
    sink_byte(&result, BK_FIELD_SEPARATOR);
    bk_sink_text(&result, user_kind(fields[3]));
    sink_byte(&result, BK_FIELD_SEPARATOR);
    for (size_t i = 0, some = 0; i < sizeof mark_words / sizeof *mark_words; i++) {
        if (!(w.marks >> i & 1)) continue;
        if (some++) sink_byte(&result, ' ');
        bk_sink_text(&result, mark_words[i]);
    }
    return result.length;
}
