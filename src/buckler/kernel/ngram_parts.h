/* What the files of the `ngram` student share among themselves. */
#ifndef BUCKLER_NGRAM_PARTS_H
#define BUCKLER_NGRAM_PARTS_H

#include <math.h>
#include <string.h>

#include "fields.h"
#include "url.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel needs a little-endian machine"
#endif

enum { BLOCK = 256, ROW_STEP = 16, BLOCK_ROWS = BLOCK + 4 /* of one order, with what fills up the last step */ };
#define FIELD_SEED 0x85EBCA77u /* field f of a text starts from (f + 1) * FIELD_SEED */

/* A normalized text between separators, with BK_PADDING readable bytes behind it. */
typedef struct {
    const uint8_t *text;
    size_t length;
    const uint32_t *borders; /* separators in the text before it was framed: a field starts at each but one */
    uint32_t n_borders, n_features;
    const uint32_t *features;
} framed_text;

/* Frames the text that stands at framed + 1; its closing separator starts a field too. *parts stays in use. */
static inline framed_text frame(uint8_t *framed, size_t length, text_parts *parts) {
    uint32_t n = parts->count < BK_MAX_FIELDS - 1 ? parts->count : BK_MAX_FIELDS - 1;
    if (n < BK_MAX_FIELDS - 1) parts->positions[n++] = (uint32_t)length;
    framed[0] = framed[length + 1] = BK_FIELD_SEPARATOR;
    memset(framed + length + 2, 0, BK_PADDING);
    return (framed_text){framed, length + 2, parts->positions, n, parts->n_features, parts->features};
}

static inline size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Without n-grams, for features alone, max_order is 0 and min_order 1: their number of orders is 0 too. */
static inline int bk_are_orders(uint32_t min_order, uint32_t max_order) {
    return (min_order == 1 && max_order == 0) ||
           (min_order >= 1 && min_order <= max_order && max_order <= BK_MAX_ORDER);
}

static inline float norm_factor(size_t n_grams) {
    return 1.0f / sqrtf((float)(n_grams ? n_grams : 1));
}

/* A weight while it is learned, beside the sum of its squared gradients: one cache line holds both. */
typedef struct {
    float value, squares;
} learned_weight;

/* The loops of one instruction set. */
typedef struct {
    const char *name;
    void (*add_rows)(const bk_ngram *, const framed_text *, size_t, size_t, int32_t *);
    size_t (*list_rows)(uint32_t, uint32_t, uint32_t, const framed_text *, uint32_t, uint32_t,
                        uint32_t *);
    float (*sum_weights)(const learned_weight *, const uint32_t *, size_t, float, learned_weight *);
    void (*update_narrow)(const bk_ngram_trainer *, learned_weight *, const uint32_t *, size_t, float,
                          learned_weight *);
    void (*update_wide)(const bk_ngram_trainer *, const uint32_t *, size_t, const float *);
    void (*embed)(const bk_ngram_trainer *, const uint32_t *, size_t, float, float *);
    size_t (*write_url3)(const uint8_t *, size_t, uint8_t *, size_t, url_fields *);
    size_t (*normalize_url3)(const uint8_t *, size_t, uint8_t *, size_t, text_parts *);
} path;

/* Those in use. */
const path *bk_current_path(void);

/* logits = x + bias, or head . relu(x) + bias; x is rectified in place where there is a head. */
void bk_apply_head(const float *head, const float *bias, size_t width, size_t n_outputs, float *x,
                   float *z);

/* e^x, where x beyond [-700, 700] counts as the nearer end. */
double bk_exp(double x);

/* NULL where these numbers make a student, else what is wrong. */
const char *bk_shape_problem(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                             uint32_t width, uint32_t n_outputs, int has_head);

#endif
