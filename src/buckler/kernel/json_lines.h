/* Columns out of JSON lines, for the Python module; not part of what embedders compile. */
#ifndef BUCKLER_JSON_LINES_H
#define BUCKLER_JSON_LINES_H

#include <stddef.h>
#include <stdint.h>

/* A name to look for, and its values as an Arrow column of strings. */
typedef struct {
    const uint8_t *name;
    size_t name_length;
    int32_t *offsets;     /* one more than there are lines, the first 0 */
    uint8_t *data;        /* as large as the lines */
    uint8_t *validity;    /* a bit for each line, all 0 */
    const uint8_t *begin; /* the value in the present line, NULL where there is none */
    const uint8_t *end;
} json_column;

/*
 * Reads objects, one a line, and returns how many; `rows` gets the line of each, counted from 0. Lines
 * of white space are passed over. The first column takes strings and nulls; the others take integers
 * and booleans too, as JSON writes them.
 *
 * Returns -1 where a line needs a closer look: it is no object, is longer than `max_line`, nests deep,
 * has a name in other case or with an escape, or a value of another kind. `data` must be UTF-8 and
 * shorter than 2 GiB.
 */
int64_t bk_json_lines(const uint8_t *data, size_t length, size_t max_line, json_column *columns,
                      size_t n_columns, int64_t *rows);

#endif
