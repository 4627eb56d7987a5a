/*
 * Feeds the kernel hostile bytes under the sanitizers of the compiler: every buffer has exactly the
 * size that buckler.h asks for, so a byte read or written outside is an abort.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buckler.h"
#include "audit_lines.h"
#include "json_lines.h"
#include "links.h"
#include "mail_text.h"
#include "page_text.h"

static uint64_t state = 88172645463325252ull;

static uint32_t next(uint32_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

static const char *const PIECES[] = {"http://", "https:", "//", "\\\\", "@", "xn--", "%", "%25", "%2", "www.",
                                     ":443", ":80", ".", "..", "?", "#", "\x1f", "\xf0\x9f", "\xc3\xa9",
                                     "\xe3\x80\x82", "xn--a-ecp.", "-", "\xff", "\xef\xbc\xa1", "a", "Z",
                                     "powershell -enc ", "cABvAHcAZQByAHMAaABlAGwAbAA=", "%COMSPEC:~", "-7,3%", "%",
                                     "set a=", "&&", "%a%", "$env:comspec[", "1,3]", "[char]", "0x41", "\\x41", "\\u0041",
                                     "\"{1}{0}\" -f ", "'ab'", "+", ",", " ", "\"", "'", "`", "^", "& rem ", " # ",
                                     "73,69,88,32,97", "77686f616d69202f616c6c", "\\Users\\", "192.168.", "1.2",
                                     "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "S-1-5-21-1", "\xe2\x80\x8b", "\xd0\xbe", "google.de/url?q=", "bing.com/ck/a?&u=a1", "aHR0cDovL2E",
                                     "urldefense.com/v3/__", "__;", "**", "urldefense.us/v2/url?u=", "-3A__", "&", "=",
                                     "secure-web.cisco.com/", "mimecast.com/s?domain=", "google.com/amp/s/", "[::", "]",
                                     "/./", "/../", "\t", "\n", "\xc2\xad", "\xef\xac\x81", "u\xcc\x88", ":080",
                                     "-join ", "-replace ", ".replace(", "-split ", "[-1..-", "[8..0]", "'i','e'", "(", ")",
                                     "[string]::join(", "w\\ho", "$@", "${x}", "$IFS", "{cat,/etc/passwd}", "a=who;", "$a$b",
                                     "$a='x';", "$'\\x77", "\\167\\150", "/b?n/c?t", "gcm i*-e*", " | rev", "%a:x=y%",
                                     "H4sIAAAAAAAC/yvPyE/MzVTQT8zJAQBbk3kUCwAAAA==", "deflate", "-bxor 0x23 ", "toint16(_,16)",
                                     "77~68~6f~61~6d~69", "split", ",;,"};

/* A text in a block of its own size, so that reading past its end is noticed. */
static uint8_t *text_of(size_t *length) {
    uint8_t draft[4096];
    size_t n = 0, parts = next(40);
    for (size_t i = 0; i < parts && n < 4000; i++) {
        if (next(3)) {
            const char *piece = PIECES[next(sizeof PIECES / sizeof *PIECES)];
            memcpy(draft + n, piece, strlen(piece));
            n += strlen(piece);
        } else {
            for (uint32_t j = next(next(8) ? 12 : 300); j > 0 && n < 4000; j--) draft[n++] = (uint8_t)next(256);
        }
    }
    uint8_t *text = malloc(n ? n : 1);
    memcpy(text, draft, n);
    *length = n;
    return text;
}

static void normalize(void) {
    size_t length, capacity = 1 + next(next(2) ? 200 : 2000);
    uint8_t *text = text_of(&length), *out = malloc(capacity + BK_PADDING);
    for (int kind = BK_NORMALIZE_NONE; kind <= BK_LAST_NORMALIZER; kind++) {
        size_t got = bk_normalize((bk_normalizer)kind, text, length, out, capacity);
        if (got > capacity) abort();
    }
    free(text);
    free(out);
}

static void score(void) {
    uint32_t orders = 1 + next(8), bits = 1 + next(10), classes = next(2) ? 1 : 2 + next(40);
    uint32_t width = classes == 1 && next(2) ? 1 : (classes + 15) / 16 * 16;
    int has_head = width > 1 && next(2);
    size_t cells = (size_t)width << bits;
    int8_t *table = malloc(cells);
    float *head = has_head ? malloc(width * classes * sizeof(float)) : NULL;
    float *bias = calloc(classes, sizeof(float)), *out = malloc(classes * sizeof(float));
    for (size_t i = 0; i < cells; i++) table[i] = (int8_t)next(256);
    for (size_t i = 0; has_head && i < width * classes; i++) head[i] = (float)next(100) / 50 - 1;
    const uint32_t least = 1 + next(orders);
    if (next(8) == 0) orders = 0; /* features alone */
    bk_ngram model = {orders ? least : 1, orders, bits, width, classes, 1 + next(600),
                      (bk_normalizer)next(BK_LAST_NORMALIZER + 1), 0.01f, table, head, bias,
                      (bk_segmenter)(1 + next(BK_LAST_SEGMENTER)),
                      (bk_combination)next(BK_LAST_COMBINATION + 1), 1 + next(1000),
                      (1 + (float)next(1000)) / 100};
    if (bk_ngram_check(&model)) abort();
    void *scratch = malloc(bk_ngram_scratch_bytes(&model));
    static const char *const paths[] = {"avx512", "avx2", "portable"};
    for (int repeat = 0; repeat < 20; repeat++) {
        size_t length;
        uint8_t *text = text_of(&length);
        bk_simd_select(paths[next(3)]);
        bk_ngram_score(&model, text, length, scratch, out);
        for (uint32_t j = 0; j < classes; j++)
            if (!(out[j] >= 0 && out[j] <= 1)) abort();
        free(text);
    }
    free(scratch), free(table), free(head), free(bias), free(out);
}

static void train(void) {
    enum { N = 12 };
    uint32_t orders = 1 + next(8), bits = 1 + next(8), classes = next(2) ? 1 : 3 + next(20);
    uint32_t width = classes == 1 && next(2) ? 1 : (classes + 15) / 16 * 16;
    int has_head = width > 1 && next(2);
    size_t rows = (size_t)1 << bits, head_size = has_head ? width * classes : 0;
    float *table = calloc(rows * width, 4), *table_squares = calloc(rows, 4);
    float *head = has_head ? calloc(head_size, 4) : NULL, *head_squares = has_head ? calloc(head_size, 4) : NULL;
    float *bias = calloc(classes, 4), *bias_squares = calloc(classes, 4);
    float *targets = calloc(N * classes, 4), *weights = malloc(N * 4), *logits = malloc(N * classes * 4);
    int64_t offsets[N + 1] = {0};
    uint8_t *data = malloc(1);
    uint32_t order[N];
    size_t longest = 0;
    for (size_t i = 0; i < N; i++) {
        size_t length;
        uint8_t *text = text_of(&length);
        data = realloc(data, (size_t)offsets[i] + length + 1);
        memcpy(data + offsets[i], text, length);
        free(text);
        offsets[i + 1] = offsets[i] + (int64_t)length;
        longest = length > longest ? length : longest;
        targets[i * classes + next(classes)] = 1;
        weights[i] = 1;
        order[i] = next(N);
    }
    data = realloc(data, (size_t)offsets[N] ? (size_t)offsets[N] : 1);
    const uint32_t least = 1 + next(orders);
    if (next(8) == 0) orders = 0; /* features alone */
    bk_ngram_trainer trainer = {orders ? least : 1, orders, bits, width, classes, table, table_squares, head,
                                head_squares, bias, bias_squares, 0.3f, next(2) ? 0 : 1e-4f,
                                next(2) ? 0 : 0.4f, next(1000)};
    if (bk_ngram_trainer_check(&trainer)) abort();
    bk_examples examples = {offsets, data, targets, weights};
    void *scratch = malloc(bk_ngram_train_scratch_bytes(&trainer, longest));
    double loss = bk_ngram_train(&trainer, &examples, order, 0, N, scratch);
    bk_ngram_predict(&trainer, &examples, 0, N, scratch, logits);
    if (!(loss >= 0) || isnan(logits[0])) abort();
    free(scratch), free(data), free(table), free(table_squares), free(head), free(head_squares);
    free(bias), free(bias_squares), free(targets), free(weights), free(logits);
}

static const char *const JSON[] = {"{", "}", "[", "]", ":", ",", "\"url\"", "\"n\"", "\"URL\"", "\"a\\nb\"",
                                   "\"\\u00e9\\ud83d\\ude00\"", "\"\\ud800\"", "\\", "\"", "-0", "12", "1e5", ".5",
                                   "true", "null", "false", "\n", "\r\n", " ", "{\"url\":\"", "\"}\n", "{\"n\":1}\n",
                                   "{\"url\": \"x\", \"n\": [{}, [1], {\"a\": []}]}\n", "\"a\":{\"b\":{", "{\"n\":{\"url\":"};

static void json_lines(void) {
    uint8_t draft[4096];
    size_t length = 0, parts = next(60);
    if (!next(3)) draft[length++] = '[';
    for (size_t i = 0; i < parts; i++) {
        if (!next(30)) {
            draft[length++] = (uint8_t)next(256);
            continue;
        }
        const char *piece = JSON[next(sizeof JSON / sizeof *JSON)];
        memcpy(draft + length, piece, strlen(piece));
        length += strlen(piece);
    }
    size_t lines = 1;
    for (size_t i = 0; i < length; i++) lines += draft[i] == '\n';
    uint8_t *text = malloc(length ? length : 1);
    memcpy(text, draft, length);
    int64_t *rows = malloc(lines * sizeof *rows);
    json_column columns[2] = {{0}};
    json_names *names = calloc(1, sizeof *names);
    static const char *const tried[] = {"url", "n.url", "n", "a.b.n", "url.n"};
    for (uint32_t i = 0; i < 5; i++)
        bk_json_add_name(names, (const uint8_t *)tried[i], strlen(tried[i]), i % 2, i);
    for (int c = 0; c < 2; c++) {
        columns[c].values.offsets = calloc(lines + 1, sizeof(int32_t));
        columns[c].values.data = malloc(length ? length : 1);
        columns[c].values.validity = calloc(lines / 8 + 1, 1);
    }
    int64_t found = next(2) ? bk_json_lines(text, length, 2000, next(3), names, columns, 2, rows)
                            : bk_json_array(text, length, lines, names, columns, 2, rows);
    if (found > (int64_t)lines) abort();
    for (int c = 0; c < 2; c++) {
        if (found >= 0 && columns[c].values.offsets[found] > (int32_t)length) abort();
        free(columns[c].values.offsets), free(columns[c].values.data), free(columns[c].values.validity);
    }
    free(rows), free(text), free(names);
}

static const char *const AUDIT[] = {
    "type=EXECVE ", "type=SYSCALL ", "type=CWD ", "msg=audit(1364481363.243:7):", "msg=audit(1364481363.243:24):",
    "msg=audit(1.2:", "node=web1 ", "\n", "\r\n", "\r", " a0=\"/bin/sh\"", " a1=", " a1=27002e20", " a1[0]=4142", " a1[1]=\"",
    "\"it's\"", " a12345=00", " exe=\"/bin/x\"", " exe=2f62", " uid=0", " UID=\"root\"", " comm=\"a uid=1\"", "\"", "\xC2\x85",
    "\xE2\x80", "00", "'"};

static void audit_lines(void) {
    uint8_t draft[4096];
    size_t length = 0, parts = next(90);
    for (size_t i = 0; i < parts; i++) {
        const char *piece = AUDIT[next(sizeof AUDIT / sizeof *AUDIT)];
        if (!next(30)) draft[length++] = (uint8_t)next(256);
        memcpy(draft + length, piece, strlen(piece));
        length += strlen(piece);
    }
    uint8_t *text = malloc(length ? length : 1);
    memcpy(text, draft, length);
    const size_t lines = bk_audit_count(text, length);
    audit_programs found = {.lines = malloc(lines * sizeof *found.lines),
                            .bad_lines = malloc(lines * sizeof *found.bad_lines)};
    for (int c = 0; c < AUDIT_COLUMNS; c++) {
        found.columns[c].offsets = calloc(lines + 1, sizeof(int32_t));
        found.columns[c].data = malloc(AUDIT_COLUMN_BYTES(length));
        found.columns[c].validity = calloc(lines / 8 + 1, 1);
    }
    if (bk_audit_programs(text, length, &found) || found.n_programs > lines || found.n_bad_lines > lines) abort();
    for (int c = 0; c < AUDIT_COLUMNS; c++) {
        if (found.columns[c].offsets[found.n_programs] > (int32_t)(4 * length)) abort();
        free(found.columns[c].offsets), free(found.columns[c].data), free(found.columns[c].validity);
    }
    free(found.lines), free(found.bad_lines), free(text);
}

static void page(void) {
    size_t length, more, at = 0, n;
    uint8_t *text = text_of(&length), *other = text_of(&more);
    word_set set = {0};
    uint8_t found[WORD_SET_WORDS], host[LINK_TEXT_BYTES + BK_PADDING];
    static const char *const words[] = {"ab", "http", "eval", "aa"};
    for (int i = 0; i < 4; i++) bk_add_word(&set, (const uint8_t *)words[i], strlen(words[i]));
    bk_find_words(&set, text, length, found);
    for (size_t last = 0; bk_next_call(&set, text, length, &at); last = at)
        if (at <= last || at > length) abort();
    bk_count_encoded(text, length, 1 + next(8));
    bk_may_hide(text, length);
    link_parts base = {.bytes = malloc(more + 1)}, target = {.bytes = malloc(length + 1)};
    bk_split_link(other, more, &base), bk_split_link(text, length, &target);
    uint8_t *resolved = malloc(length + more + LINK_SIGNS);
    n = bk_resolve_link(&base, &target, resolved);
    if (n > length + more + LINK_SIGNS || bk_link_host(resolved, n, host) > LINK_TEXT_BYTES) abort();
    if (bk_link_kind(resolved, n) > LINK_LOCAL) abort();
    free(resolved), free(base.bytes), free(target.bytes), free(text), free(other);
}

static void mail(void) {
    size_t length, name = 0, line = 0;
    uint8_t *text = text_of(&length), *lines = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++)
        if (!next(4)) text[i] = (uint8_t)"\r\n :"[next(4)];
    if (bk_end_lines(text, length, lines) > length || bk_count_wallets(text, length) > (int64_t)length) abort();
    if (bk_decode_pieces(text, length, lines) > length || bk_decode_quoted(text, length, lines) > length) abort();
    if (bk_end_of_base64(text, length) > length) abort();
    if (bk_find_text_line(text, length) > length) abort();
    for (size_t at = 0, begin, last = 0; bk_next_text_link(text, length, &at, &begin) > 0; last = at)
        if (begin < last || at <= begin || at > length) abort();
    for (size_t i = 0; i <= length; i++) {
        const uint8_t *value = NULL;
        if (i < length && text[i] != '\n') continue;
        const enum header_kind kind = bk_read_header(text + line, text + i, &name, &value);
        if (kind >= HEADER_KNOWN && (value > text + i || name > i - line)) abort();
        line = i + 1;
    }
    free(text), free(lines);
}

int main(int count, char **arguments) {
    long rounds = count > 1 ? strtol(arguments[1], NULL, 10) : 1000;
    if (count > 2) state ^= (uint64_t)strtoull(arguments[2], NULL, 10) << 20;
    for (long i = 0; i < rounds; i++) {
        for (int j = 0; j < 50; j++) normalize(), json_lines(), audit_lines(), page(), mail();
        score();
        train();
    }
    printf("%ld rounds\n", rounds);
    return 0;
}
