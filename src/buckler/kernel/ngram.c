/* The `ngram` student's scoring with an int8 table. See buckler.h. */
#include "ngram_parts.h"

/* --- arithmetic of the head -------------------------------------------------------------------- */

void bk_apply_head(const float *head, const float *bias, size_t width, size_t n_outputs,
                   float *restrict x, float *restrict z) {
    if (!head) {
        for (size_t j = 0; j < n_outputs; j++) z[j] = x[j] + bias[j];
        return;
    }
    for (size_t j = 0; j < n_outputs; j++) z[j] = bias[j];
    for (size_t i = 0; i < width; i++) {
        if (x[i] < 0) x[i] = 0;
        for (size_t j = 0; j < n_outputs; j++) z[j] += x[i] * head[i * n_outputs + j];
    }
}

/* --- checks ----------------------------------------------------------------------------------- */

const char *bk_shape_problem(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                             uint32_t width, uint32_t n_outputs, int has_head) {
    if (!bk_are_orders(min_order, max_order))
        return "orders must be 1 <= min_order <= max_order <= 8, or 1 and 0";
    if (table_bits < 1 || table_bits > BK_MAX_TABLE_BITS) return "table_bits must be 1 to 24";
    if (width != 1 && (width % ROW_STEP != 0 || width == 0 || width > BK_MAX_WIDTH))
        return "width must be 1 or a multiple of 16 up to 1024";
    if (n_outputs < 1 || n_outputs > BK_MAX_WIDTH) return "n_outputs must be 1 to 1024";
    if (has_head && width == 1) return "a head needs a width of at least 16";
    if (!has_head && n_outputs > width) return "without a head, width must be at least n_outputs";
    return NULL;
}

const char *bk_ngram_check(const bk_ngram *m) {
    if (!m->table || !m->bias) return "table and bias are needed";
    if (m->max_bytes < 1 || m->max_bytes > BK_MAX_TEXT_BYTES) return "max_bytes must be 1 to 1048576";
    if ((uint32_t)m->normalizer > BK_LAST_NORMALIZER)
        return "unknown normalizer";
    if (!(m->scale > 0) || m->scale > 1e6f) return "scale must be a positive number";
    if ((uint32_t)m->segmenter > BK_LAST_SEGMENTER || (uint32_t)m->combination > BK_LAST_COMBINATION)
        return "unknown segmenter or combination";
    if (m->combination && (!m->segmenter || !m->positive)) return "a combination needs segments and a positive class";
    return bk_shape_problem(m->min_order, m->max_order, m->table_bits, m->width, m->n_outputs,
                         m->head != NULL);
}

/* --- scoring ---------------------------------------------------------------------------------- */

/* Scratch: the framed text, its parts, its bytes, the sums, x; for segments also the bytes of one and two logits. */
typedef struct {
    size_t bytes, sums, x, segment, logits, worst, end;
} places;

static places lay_out_scratch(const bk_ngram *m) {
    const size_t bytes = aligned((size_t)m->max_bytes + BK_MAX_FIELDS + 2 + BK_PADDING);
    const size_t segment = aligned(BK_SEGMENT_BYTES(m->max_bytes) + 2 + BK_PADDING);
    const size_t logits = aligned(m->n_outputs * sizeof(float));
    places p = {.bytes = aligned(sizeof(framed_text)) + aligned(sizeof(text_parts))};
    p.sums = p.bytes + bytes;
    p.x = p.sums + aligned(m->width * sizeof(int32_t));
    p.segment = p.x + aligned(m->width * sizeof(float));
    p.logits = p.segment + (m->combination ? segment : 0);
    p.worst = p.logits + (m->combination ? logits : 0);
    p.end = p.worst + (m->combination ? logits : 0);
    return p;
}

size_t bk_ngram_scratch_bytes(const bk_ngram *m) { return lay_out_scratch(m).end; }

void bk_ngram_prepare(const bk_ngram *m, const uint8_t *text, size_t length, void *scratch) {
    uint8_t *framed = (uint8_t *)scratch + lay_out_scratch(m).bytes;
    text_parts *parts = (text_parts *)((uint8_t *)scratch + aligned(sizeof(framed_text)));
    length = bk_normalize_parts(m->normalizer, text, length, framed + 1, m->max_bytes, parts);
    *(framed_text *)scratch = frame(framed, length, parts);
}

static inline float factor_of(const bk_ngram *m, const framed_text *f) {
    return m->scale * norm_factor(f->length * (m->max_order - m->min_order + 1) + f->n_features);
}

static float score_narrow(const bk_ngram *m, const framed_text *f) {
    int32_t sum;
    bk_current_path()->sums(m, f, &sum);
    return (float)sum * factor_of(m, f) + m->bias[0];
}

static void score_framed(const bk_ngram *m, const framed_text *f, const places *p, uint8_t *scratch,
                         float *out) {
    if (m->width == 1) {
        out[0] = score_narrow(m, f);
        return;
    }
    int32_t *sums = (int32_t *)(scratch + p->sums);
    float *x = (float *)(scratch + p->x);
    const float factor = factor_of(m, f);
    bk_current_path()->sums(m, f, sums);
    for (size_t j = 0; j < m->width; j++) x[j] = (float)sums[j] * factor;
    bk_apply_head(m->head, m->bias, m->width, m->n_outputs, x, out);
}

/* How far the best positive logit is from the best other one: the order of scores, without rounding. */
static float margin(const bk_ngram *m, const float *z) {
    if (m->n_outputs == 1) return m->positive & 2 ? z[0] : -z[0];
    float positive = -INFINITY, other = -INFINITY;
    for (uint32_t j = 0; j < m->n_outputs; j++) {
        float *best = j < 64 && m->positive >> j & 1 ? &positive : &other;
        if (z[j] > *best) *best = z[j];
    }
    return positive - other;
}

static void combine_segments(const bk_ngram *m, const places *p, uint8_t *scratch, float *out) {
    const framed_text *whole = (const framed_text *)scratch;
    const uint8_t *text = whole->text + 1;
    const size_t length = whole->length - 2, size = m->n_outputs * sizeof(float);
    uint8_t *framed = scratch + p->segment;
    float *logits = (float *)(scratch + p->logits), *worst = (float *)(scratch + p->worst);
    bk_segment segment = {0};
    size_t n_segments = 0;
    while (bk_next_segment(m->segmenter, text, length, &segment)) {
        if (segment.end - segment.begin == length) return; /* the text itself */
        text_parts parts;
        size_t n = bk_find_parts(framed + 1, bk_write_segment(text, &segment, framed + 1), &parts);
        framed_text f = frame(framed, n, &parts);
        score_framed(m, &f, p, scratch, logits);
        if (!n_segments++ || margin(m, logits) > margin(m, worst)) memcpy(worst, logits, size);
    }
    if (!n_segments || margin(m, worst) <= margin(m, out)) return;
    if (m->combination == BK_COMBINE_MAX) memcpy(out, worst, size);
    else
        for (uint32_t j = 0; j < m->n_outputs; j++) out[j] = 0.5f * (out[j] + worst[j]);
}

void bk_ngram_logits(const bk_ngram *m, void *scratch, float *out) {
    if (m->width == 1 && !m->combination) {
        out[0] = score_narrow(m, scratch);
        return;
    }
    const places p = lay_out_scratch(m);
    score_framed(m, scratch, &p, scratch, out);
    if (m->combination) combine_segments(m, &p, scratch, out);
}

void bk_ngram_probabilities(const bk_ngram *m, float *logits, size_t n_texts) {
    bk_activate(logits, n_texts, m->n_outputs);
}

void bk_ngram_score(const bk_ngram *m, const uint8_t *text, size_t length, void *scratch,
                    float *out) {
    bk_ngram_prepare(m, text, length, scratch);
    bk_ngram_logits(m, scratch, out);
    bk_ngram_probabilities(m, out, 1);
}
