/* Between the two halves of the kernel: the normalizer knows where fields end, so nobody searches. */
#ifndef BUCKLER_FIELDS_H
#define BUCKLER_FIELDS_H

#include "buckler.h"

typedef struct {
    uint32_t count;                   /* separators in the normalized text */
    uint32_t positions[BK_MAX_FIELDS]; /* of the first of them */
} field_borders;

/* As bk_normalize; *borders gets the separators in the normalized text. */
size_t bk_normalize_fields(bk_normalizer normalizer, const uint8_t *text, size_t length,
                           uint8_t *out, size_t capacity, field_borders *borders);

/* url-v1, with its separators. */
size_t bk_normalize_url1(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                         field_borders *borders);

/* Finds the separators in a normalized text. */
void bk_find_borders(const uint8_t *normalized, size_t length, field_borders *borders);

#endif
