/* A column of texts that a reader fills, as Arrow keeps strings; for the Python module. */
#ifndef BUCKLER_ARROW_STRINGS_H
#define BUCKLER_ARROW_STRINGS_H

#include <stdint.h>

typedef struct {
    int32_t *offsets;  /* one more than there are rows at most, the first 0 */
    uint8_t *data;     /* as large as its reader asks */
    uint8_t *validity; /* a bit for each row, all 0 */
} arrow_strings;

/* Ends the text of a row where its bytes end; one that is not valid is null. */
static inline void bk_end_string(arrow_strings *column, int64_t row, const uint8_t *end, int is_valid) {
    if (is_valid) column->validity[row / 8] |= (uint8_t)(1u << row % 8);
    column->offsets[row + 1] = (int32_t)(end - column->data);
}

#endif
