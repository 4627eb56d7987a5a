/* Between the two halves of the kernel: the normaliser knows where fields end, so nobody searches. */
#ifndef BUCKLER_FIELDS_H
#define BUCKLER_FIELDS_H

#include "buckler.h"

typedef struct {
    uint32_t count;                   /* separators in the canonical form */
    uint32_t positions[BK_MAX_FIELDS]; /* of the first of them */
} field_borders;

/* As bk_normalise; *borders gets the separators in the canonical form. */
size_t bk_normalise_fields(bk_normaliser normaliser, const uint8_t *text, size_t length,
                           uint8_t *out, size_t capacity, field_borders *borders);

/* Finds the separators in a canonical form. */
void bk_find_borders(const uint8_t *canonical, size_t length, field_borders *borders);

#endif
