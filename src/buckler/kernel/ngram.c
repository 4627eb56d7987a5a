/* The `ngram` student's scoring with an int8 table. See buckler.h. */
#include "ngram_parts.h"

#define WHOLE_SHARE 0.0625 /* of a text beside its heads, since text below a threat lowers its score */

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
    if (m->combination == BK_COMBINE_SOFT && !(m->temperature > 0 && m->temperature <= 1e6f))
        return "temperature must be a positive number";
    return bk_shape_problem(m->min_order, m->max_order, m->table_bits, m->width, m->n_outputs,
                         m->head != NULL);
}

/* --- scoring ---------------------------------------------------------------------------------- */

/*
 * Scratch: the framed text, its parts, its bytes, its sums, x; for segments also the bytes of one,
 * its sums, its logits, and what is combined.
 */
typedef struct {
    size_t bytes, sums, x, segment, segment_sums, logits, combined, end;
} places;

static places lay_out_scratch(const bk_ngram *m) {
    const size_t bytes = aligned((size_t)m->max_bytes + BK_MAX_FIELDS + 2 + BK_PADDING);
    const size_t sums = aligned(m->width * sizeof(int32_t));
    places p = {.bytes = aligned(sizeof(framed_text)) + aligned(sizeof(text_parts))};
    p.sums = p.bytes + bytes;
    p.x = p.sums + sums;
    p.segment = p.segment_sums = p.logits = p.combined = p.end = p.x + aligned(m->width * sizeof(float));
    if (!m->combination) return p;
    p.segment_sums = p.segment + aligned(BK_SEGMENT_BYTES(m->max_bytes) + 2 + BK_PADDING);
    p.logits = p.segment_sums + sums;
    p.combined = p.logits + aligned(m->n_outputs * sizeof(float));
    p.end = p.combined + aligned(m->n_outputs * sizeof(double));
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
    int32_t sum = 0;
    bk_current_path()->add_rows(m, f, 0, f->length, &sum);
    return (float)sum * factor_of(m, f) + m->bias[0];
}

/* Logits of a text from its sums; x is [width]. */
static void score_sums(const bk_ngram *m, const framed_text *f, const int32_t *sums, float *x, float *out) {
    const float factor = factor_of(m, f);
    if (m->width == 1) {
        out[0] = (float)sums[0] * factor + m->bias[0];
        return;
    }
    for (size_t j = 0; j < m->width; j++) x[j] = (float)sums[j] * factor;
    bk_apply_head(m->head, m->bias, m->width, m->n_outputs, x, out);
}

static void score_framed(const bk_ngram *m, const framed_text *f, int32_t *sums, float *x, float *out) {
    memset(sums, 0, m->width * sizeof *sums);
    bk_current_path()->add_rows(m, f, 0, f->length, sums);
    score_sums(m, f, sums, x, out);
}

/* How far the best positive logit is from the best other one: the order of scores, without rounding. */
static float margin(const bk_ngram *m, const float *z) {
    if (m->n_outputs == 1) return m->positive & 2 ? z[0] : -z[0];
    float positive = -INFINITY, other = -INFINITY;
    for (uint32_t j = 0; j < m->n_outputs; j++) {
        float *best = j < 64 && m->positive >> j & 1 ? &positive : &other;
        if (z[j] > *best) *best = z[j];
    }
    return positive == -INFINITY || other == -INFINITY ? 0 : positive - other; /* of one side alone */
}

/* What segments that come one by one are combined to. */
typedef struct {
    size_t n;
    float *worst;        /* logits of the one with the largest margin; or, of a soft combination: */
    double total, *sums; /* sum of weights e^(margin / temperature), and of weights times logits */
    float top;           /* largest margin, against which weights are taken */
} combined;

static void add_soft(const bk_ngram *m, combined *c, const float *z, double share) {
    const float at = margin(m, z);
    if (at > c->top) {
        const double kept = bk_exp((double)(c->top - at) / (double)m->temperature);
        c->total *= kept;
        for (uint32_t j = 0; j < m->n_outputs; j++) c->sums[j] *= kept;
        c->top = at;
    }
    const double weight = share * bk_exp((double)(at - c->top) / (double)m->temperature);
    c->total += weight;
    for (uint32_t j = 0; j < m->n_outputs; j++) c->sums[j] += weight * (double)z[j];
}

static combined start(const bk_ngram *m, uint8_t *place) {
    memset(place, 0, m->n_outputs * sizeof(double));
    return (combined){.worst = (float *)place, .sums = (double *)place, .top = -INFINITY};
}

static void add_segment(const bk_ngram *m, combined *c, const float *z) {
    if (m->combination == BK_COMBINE_SOFT) add_soft(m, c, z, 1);
    else if (!c->n || margin(m, z) > margin(m, c->worst)) memcpy(c->worst, z, m->n_outputs * sizeof *z);
    c->n++;
}

/* Puts the combined logits in place of those of the whole text. */
static void add_whole(const bk_ngram *m, combined *c, float *out) {
    if (!c->n) return;
    if (m->combination == BK_COMBINE_SOFT) {
        add_soft(m, c, out, m->segmenter == BK_SEGMENTS_HEAD ? WHOLE_SHARE + (double)(BK_HEADS - c->n) : 1);
        for (uint32_t j = 0; j < m->n_outputs; j++) out[j] = (float)(c->sums[j] / c->total);
    } else if (margin(m, c->worst) > margin(m, out)) {
        for (uint32_t j = 0; j < m->n_outputs; j++)
            out[j] = m->combination == BK_COMBINE_MAX ? c->worst[j] : 0.5f * (out[j] + c->worst[j]);
    }
}

/* One pass over a text for all of its heads: their n-grams are its own, but for the last ones. */
static void score_heads(const bk_ngram *m, const places *p, uint8_t *scratch, float *out) {
    const framed_text *whole = (const framed_text *)scratch;
    int32_t *sums = (int32_t *)(scratch + p->sums), *own = (int32_t *)(scratch + p->segment_sums);
    float *x = (float *)(scratch + p->x), *logits = (float *)(scratch + p->logits);
    uint8_t *framed = scratch + p->segment;
    const size_t size = m->width * sizeof *sums;
    combined c = start(m, scratch + p->combined);
    size_t done = 0;
    memset(sums, 0, size);
    bk_segment head = {0};
    while (bk_next_segment(m->segmenter, whole->text + 1, whole->length - 2, &head)) {
        text_parts parts;
        size_t n = bk_find_parts(framed + 1, bk_write_segment(whole->text + 1, &head, framed + 1), &parts);
        const framed_text f = frame(framed, n, &parts);
        const size_t common = f.length > done + m->max_order ? f.length - m->max_order : done;
        bk_current_path()->add_rows(m, whole, done, common, sums);
        done = common;
        memcpy(own, sums, size);
        bk_current_path()->add_rows(m, &f, done, f.length, own);
        score_sums(m, &f, own, x, logits);
        add_segment(m, &c, logits);
    }
    bk_current_path()->add_rows(m, whole, done, whole->length, sums);
    score_sums(m, whole, sums, x, out);
    add_whole(m, &c, out);
}

static void combine_segments(const bk_ngram *m, const places *p, uint8_t *scratch, float *out) {
    const framed_text *whole = (const framed_text *)scratch;
    const uint8_t *text = whole->text + 1;
    const size_t length = whole->length - 2;
    uint8_t *framed = scratch + p->segment;
    float *logits = (float *)(scratch + p->logits);
    combined c = start(m, scratch + p->combined);
    bk_segment segment = {0};
    while (bk_next_segment(m->segmenter, text, length, &segment)) {
        if (segment.end - segment.begin == length) return; /* the text itself */
        text_parts parts;
        size_t n = bk_find_parts(framed + 1, bk_write_segment(text, &segment, framed + 1), &parts);
        framed_text f = frame(framed, n, &parts);
        score_framed(m, &f, (int32_t *)(scratch + p->segment_sums), (float *)(scratch + p->x), logits);
        add_segment(m, &c, logits);
    }
    add_whole(m, &c, out);
}

void bk_ngram_logits(const bk_ngram *m, void *scratch, float *out) {
    if (m->width == 1 && !m->combination) {
        out[0] = score_narrow(m, scratch);
        return;
    }
    const places p = lay_out_scratch(m);
    uint8_t *bytes = scratch;
    if (m->combination && m->segmenter == BK_SEGMENTS_HEAD) {
        score_heads(m, &p, scratch, out);
        return;
    }
    score_framed(m, scratch, (int32_t *)(bytes + p.sums), (float *)(bytes + p.x), out);
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
