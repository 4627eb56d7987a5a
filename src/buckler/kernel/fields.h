/* Between the two halves of the kernel: the normalizer knows where fields end, so nobody searches. */
#ifndef BUCKLER_FIELDS_H
#define BUCKLER_FIELDS_H

#include "buckler.h"

typedef struct {
    uint32_t count;                    /* separators in the text, without its features */
    uint32_t positions[BK_MAX_FIELDS]; /* of the first of them */
    uint32_t n_features, features[BK_MAX_TEXT_FEATURES];
} text_parts;

/* As bk_normalize, but features go to *parts alone; returns the length of the text before them. */
size_t bk_normalize_parts(bk_normalizer normalizer, const uint8_t *text, size_t length,
                          uint8_t *out, size_t capacity, text_parts *parts);

/* url-v1, with its separators. */
size_t bk_normalize_url1(const uint8_t *text, size_t length, uint8_t *out, size_t capacity,
                         text_parts *parts);

/* Finds separators and features in a normalized text; returns the length before the features. */
size_t bk_find_parts(const uint8_t *normalized, size_t length, text_parts *parts);

#endif
