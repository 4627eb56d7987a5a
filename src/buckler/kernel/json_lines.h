/* Columns out of JSON lines, for the Python module; not part of what embedders compile. */
#ifndef BUCKLER_JSON_LINES_H
#define BUCKLER_JSON_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "arrow_strings.h"

enum { JSON_PATHS = 512, JSON_SLOTS = 2048, JSON_PATH_BYTES = 256 };

#define JSON_NO_NAME UINT32_MAX

/* A column, whose data are as large as the lines. */
typedef struct {
    arrow_strings values;
    const uint8_t *begin; /* the value in the present line, NULL where there is none */
    const uint8_t *end;
    uint32_t rank;        /* of the name that it stands under */
    int has_other_case;   /* a name of the present line is one of the column's but for case */
} json_column;

/* A name of a column; `next` is another one that is spelled the same. */
typedef struct {
    uint32_t column, rank, next;
} json_name;

/* A dotted name, or the beginning of one. */
typedef struct {
    const uint8_t *text;
    size_t length;
    uint32_t first; /* of its names, JSON_NO_NAME without one */
    int is_prefix;
    int64_t seen;   /* the last line that it stood in */
} json_path;

typedef struct {
    json_path paths[JSON_PATHS], *slots[JSON_SLOTS];
    json_name names[JSON_PATHS];
    uint32_t n_paths, n_names;
} json_names;

/* Adds a name to try for a column, where `rank` counts those before it; 0 if there is no place for it. */
int bk_json_add_name(json_names *names, const uint8_t *text, size_t length, uint32_t column, uint32_t rank);

/*
 * Reads objects, one a line, and returns how many; `rows` gets the line of each, counted from 0. Lines
 * of white space are passed over. A dotted name reaches into objects. Of the names of a column, the
 * first with a value counts. The first column takes strings and nulls; the others take numbers and
 * booleans too, as Python writes them.
 *
 * A line is passed over too where it needs a closer look: it is no object, is longer than
 * `max_line`, nests deep, has a name twice, in other case or with an escape, a value of another kind,
 * or events inside it. Returns -1 where there are more of these than `most_left`. `data` must be UTF-8
 * and shorter than 2 GiB.
 */
int64_t bk_json_lines(const uint8_t *data, size_t length, size_t max_line, int64_t most_left, json_names *names,
                      json_column *columns, size_t n_columns, int64_t *rows);

/*
 * Reads the objects of an array of so many values, without white space between them, as `bk_json_lines`
 * reads lines; `rows` gets the place of each. Values that need a closer look are passed over. Returns -1
 * where it is no such array.
 */
int64_t bk_json_array(const uint8_t *data, size_t length, size_t n_events, json_names *names, json_column *columns,
                      size_t n_columns, int64_t *rows);

#endif
