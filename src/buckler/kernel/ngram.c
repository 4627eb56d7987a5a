/* The `ngram` student: scoring with an int8 table, training with a float one. See buckler.h. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "fields.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel needs a little-endian machine"
#endif

enum { BLOCK = 256, ROW_STEP = 16 };
typedef int8_t bytes16 __attribute__((vector_size(16)));
typedef int16_t shorts8 __attribute__((vector_size(16)));
#define HASH_MULTIPLIER 0x9E3779B1u
#define TINY 1e-8f
#define NEGLIGIBLE 0.003f /* steps for smaller gradients cost half the time of training and change nothing */

static const uint32_t lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#define FIELD_SEED 0x85EBCA77u /* field f of a text starts from (f + 1) * FIELD_SEED */

/* A canonical text between separators, with BK_PADDING readable bytes behind it. */
typedef struct {
    const uint8_t *text;
    size_t length;
    uint32_t n_fields, starts[BK_MAX_FIELDS]; /* a field starts at the separator before it */
} framed_text;

/* Frames the text that stands at framed + 1; its closing separator starts a field too. */
static framed_text frame(uint8_t *framed, size_t length, const field_borders *borders) {
    framed_text f = {framed, length + 2, 1, {0}};
    framed[0] = framed[length + 1] = BK_FIELD_SEPARATOR;
    memset(framed + length + 2, 0, BK_PADDING);
    for (uint32_t i = 0; i < borders->count && f.n_fields < BK_MAX_FIELDS; i++)
        f.starts[f.n_fields++] = borders->positions[i] + 1;
    if (f.n_fields < BK_MAX_FIELDS) f.starts[f.n_fields++] = (uint32_t)length + 1;
    return f;
}

/* --- one copy of the loops for each instruction set ------------------------------------------- */

#define BK_PATH(name) name##_portable
#define LANES 4
#include "ngram_path.h"
#undef LANES
#undef BK_PATH

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define BK_X86_PATHS 1
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx2")
#define BK_PATH(name) name##_avx2
#define LANES 8
#include "ngram_path.h"
#undef LANES
#undef BK_PATH
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#define BK_PATH(name) name##_avx512
#define LANES 16
#include "ngram_path.h"
#undef LANES
#undef BK_PATH
#pragma GCC pop_options
#endif

typedef struct {
    const char *name;
    void (*sums)(const bk_ngram *, const framed_text *, int32_t *);
    size_t (*list_rows)(uint32_t, uint32_t, uint32_t, const framed_text *, uint32_t, uint32_t,
                        uint32_t *);
    void (*update_narrow)(const bk_ngram_trainer *, const uint32_t *, size_t, float);
    void (*update_wide)(const bk_ngram_trainer *, const uint32_t *, size_t, const float *);
    void (*embed)(const bk_ngram_trainer *, const uint32_t *, size_t, float, float *);
} path;

#define BK_PATH_TABLE(p) \
    {#p, sums_##p, list_rows_##p, update_narrow_##p, update_wide_##p, embed_##p}

static const path paths[] = {
#ifdef BK_X86_PATHS
    BK_PATH_TABLE(avx512),
    BK_PATH_TABLE(avx2),
#endif
    BK_PATH_TABLE(portable),
};
enum { N_PATHS = sizeof paths / sizeof *paths };

static _Atomic(const path *) chosen; /* the same value from whoever comes first */

static int path_runs_here(const path *p) {
#ifdef BK_X86_PATHS
    if (strcmp(p->name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (strcmp(p->name, "avx2") == 0) return __builtin_cpu_supports("avx2");
#endif
    return strcmp(p->name, "portable") == 0;
}

static const path *current(void) {
    const path *p = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (p) return p;
    for (p = paths; !path_runs_here(p); p++) {
    }
    atomic_store_explicit(&chosen, p, memory_order_relaxed);
    return p;
}

const char *bk_simd(void) { return current()->name; }

int bk_simd_select(const char *name) {
    for (size_t i = 0; i < N_PATHS; i++)
        if (strcmp(paths[i].name, name) == 0 && path_runs_here(&paths[i])) {
            atomic_store_explicit(&chosen, &paths[i], memory_order_relaxed);
            return 0;
        }
    return -1;
}

/* --- arithmetic that gives the same bits everywhere ------------------------------------------- */

/*
 * e^x for x in [-700, 700], in double arithmetic written out so that no library's rounding is in a
 * score, and without a branch so that loops over it vectorise.
 */
static inline double exp_fixed(double x) {
    double n = x * 1.4426950408889634;
    int32_t k = (int32_t)(n + (n < 0 ? -0.5 : 0.5));
    double r = x - (double)k * 6.93147180369123816490e-01;
    r -= (double)k * 1.90821492927058770002e-10;
    /* Taylor to r^7, |r| <= ln 2 / 2: 5e-9 off at most. Paired up (Estrin) to shorten the chain. */
    double r2 = r * r, r4 = r2 * r2;
    double low = (1 + r) + (0.5 + r * (1.0 / 6)) * r2;
    double high = (1.0 / 24 + r * (1.0 / 120)) + (1.0 / 720 + r * (1.0 / 5040)) * r2;
    uint64_t bits = (uint64_t)(int64_t)(k + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return (low + high * r4) * power;
}

static inline double clamp_exponent(double x) {
    x = x < 700 ? x : 700;
    return x > -700 ? x : -700;
}

static void softmax(float *z, size_t n) {
    float top = z[0];
    if (top != top) return;
    for (size_t j = 1; j < n; j++)
        if (z[j] > top) top = z[j];
    double part[8] = {0}, total = 0; /* eight chains: fast, and always the same order */
    for (size_t j = 0; j < n; j++)
        z[j] = (float)exp_fixed(clamp_exponent((double)z[j] - (double)top));
    for (size_t j = 0; j < n; j++) part[j % 8] += (double)z[j];
    for (size_t j = 0; j < 8; j++) total += part[j];
    const double share = 1.0 / total;
    for (size_t j = 0; j < n; j++) z[j] = (float)((double)z[j] * share);
}

/* In place: the logistic function for one output, else softmax. NaN, for "no text", stays NaN. */
static void activate(float *z, size_t n_rows, size_t n_outputs) {
    if (n_outputs > 1) {
        for (size_t i = 0; i < n_rows; i++) softmax(z + i * n_outputs, n_outputs);
        return;
    }
    for (size_t i = 0; i < n_rows; i++) {
        float p = (float)(1.0 / (1.0 + exp_fixed(clamp_exponent(-(double)z[i]))));
        z[i] = z[i] == z[i] ? p : z[i];
    }
}

static float norm_factor(size_t n_grams) { return 1.0f / sqrtf((float)(n_grams ? n_grams : 1)); }

/* logits = x + bias, or head . relu(x) + bias; x is rectified in place where there is a head. */
static void apply_head(const float *head, const float *bias, size_t width, size_t n_outputs,
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

static const char *shape_problem(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                                 uint32_t width, uint32_t n_outputs, int has_head) {
    if (min_order < 1 || min_order > max_order || max_order > BK_MAX_ORDER)
        return "orders must be 1 <= min_order <= max_order <= 8";
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
    if (m->normaliser != BK_NORMALISE_NONE && m->normaliser != BK_NORMALISE_URL &&
        m->normaliser != BK_NORMALISE_TEXT)
        return "unknown normaliser";
    if (!(m->scale > 0) || m->scale > 1e6f) return "scale must be a positive number";
    return shape_problem(m->min_order, m->max_order, m->table_bits, m->width, m->n_outputs,
                         m->head != NULL);
}

const char *bk_ngram_trainer_check(const bk_ngram_trainer *t) {
    if (!t->table || !t->bias || !t->bias_squares || !t->table_squares ||
        (t->head && !t->head_squares))
        return "table, bias and their squares are needed";
    if (!(t->learning_rate > 0)) return "learning_rate must be positive";
    if (!(t->l2 >= 0)) return "l2 must not be negative";
    if (!(t->dropout >= 0 && t->dropout < 1)) return "dropout must be 0 to below 1";
    return shape_problem(t->min_order, t->max_order, t->table_bits, t->width, t->n_outputs,
                         t->head != NULL);
}

/* --- scoring ---------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Scratch: the framed text, its bytes, the sums, x. */
static uint8_t *scratch_bytes(void *scratch) { return (uint8_t *)scratch + aligned(sizeof(framed_text)); }

size_t bk_ngram_scratch_bytes(const bk_ngram *m) {
    return aligned(sizeof(framed_text)) + aligned((size_t)m->max_bytes + 2 + BK_PADDING) +
           aligned(m->width * sizeof(int32_t)) + aligned(m->width * sizeof(float));
}

void bk_ngram_prepare(const bk_ngram *m, const uint8_t *text, size_t length, void *scratch) {
    uint8_t *framed = scratch_bytes(scratch);
    field_borders borders;
    length = bk_normalise_fields(m->normaliser, text, length, framed + 1, m->max_bytes, &borders);
    *(framed_text *)scratch = frame(framed, length, &borders);
}

void bk_ngram_logits(const bk_ngram *m, void *scratch, float *out) {
    const framed_text *f = scratch;
    int32_t *sums =
        (int32_t *)(scratch_bytes(scratch) + aligned((size_t)m->max_bytes + 2 + BK_PADDING));
    float factor = m->scale * norm_factor(f->length * (m->max_order - m->min_order + 1));
    current()->sums(m, f, sums);
    if (m->width == 1) {
        out[0] = (float)sums[0] * factor + m->bias[0];
        return;
    }
    float *x = (float *)((uint8_t *)sums + aligned(m->width * sizeof(int32_t)));
    for (size_t j = 0; j < m->width; j++) x[j] = (float)sums[j] * factor;
    apply_head(m->head, m->bias, m->width, m->n_outputs, x, out);
}

void bk_ngram_probabilities(const bk_ngram *m, float *logits, size_t n_texts) {
    activate(logits, n_texts, m->n_outputs);
}

void bk_ngram_score(const bk_ngram *m, const uint8_t *text, size_t length, void *scratch,
                    float *out) {
    bk_ngram_prepare(m, text, length, scratch);
    bk_ngram_logits(m, scratch, out);
    bk_ngram_probabilities(m, out, 1);
}

void bk_ngram_rows(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                   const uint8_t *canonical, size_t length, uint8_t *framed, uint32_t *rows,
                   size_t stride) {
    uint32_t block[BK_MAX_ORDER][BLOCK];
    field_borders borders;
    memcpy(framed + 1, canonical, length);
    bk_find_borders(canonical, length, &borders);
    framed_text f = frame(framed, length, &borders);
    length = f.length;
    for (size_t start = 0; start < length; start += BLOCK) {
        size_t n = length - start < BLOCK ? length - start : BLOCK;
        hash_block_portable(&f, start, n, min_order, max_order, table_bits, block);
        for (uint32_t k = 0; k <= max_order - min_order; k++)
            memcpy(rows + k * stride + start, block[k], n * sizeof *rows);
    }
}

/* --- training --------------------------------------------------------------------------------- */

typedef struct {
    uint8_t *framed;
    uint32_t *rows;
    float *x, *gradient; /* [width] */
    float *z;            /* [n_outputs] */
} workspace;

static size_t orders(const bk_ngram_trainer *t) { return t->max_order - t->min_order + 1; }

size_t bk_ngram_train_scratch_bytes(const bk_ngram_trainer *t, size_t longest) {
    return aligned(longest + 2 + BK_PADDING) +
           aligned((orders(t) * (longest + 2) + 1) * sizeof(uint32_t)) +
           2 * aligned(t->width * sizeof(float)) + aligned(t->n_outputs * sizeof(float));
}

/* Lays the workspace out for a text of `length` bytes: never more than for the longest. */
static workspace lay_out(const bk_ngram_trainer *t, size_t length, void *scratch) {
    workspace w;
    uint8_t *p = scratch;
    w.x = (float *)p;
    p += aligned(t->width * sizeof(float));
    w.gradient = (float *)p;
    p += aligned(t->width * sizeof(float));
    w.z = (float *)p;
    p += aligned(t->n_outputs * sizeof(float));
    w.framed = p;
    p += aligned(length + 2 + BK_PADDING);
    w.rows = (uint32_t *)p;
    return w;
}

/* Rows of one example; returns how many. */
static size_t example_rows(const bk_ngram_trainer *t, const bk_examples *e, size_t i,
                           uint32_t drop_below, uint32_t salt, workspace *w, void *scratch) {
    size_t length = (size_t)(e->offsets[i + 1] - e->offsets[i]);
    *w = lay_out(t, length, scratch);
    field_borders borders;
    const uint8_t *text = e->data + e->offsets[i];
    memcpy(w->framed + 1, text, length);
    bk_find_borders(text, length, &borders);
    framed_text f = frame(w->framed, length, &borders);
    return current()->list_rows(t->min_order, t->max_order, t->table_bits, &f, drop_below, salt,
                                w->rows);
}

/* Shuffled examples lie anywhere in memory: ask for them a few steps before their turn. */
enum { AHEAD = 6 };

static inline void prefetch_text(const uint8_t *text) {
    __builtin_prefetch(text);
    __builtin_prefetch(text + 64);
}

static inline void prefetch_example(const bk_ngram_trainer *t, const bk_examples *e, size_t i) {
    __builtin_prefetch(e->offsets + i);
    __builtin_prefetch(e->weights + i);
    __builtin_prefetch(e->targets + i * t->n_outputs);
}

static void adagrad(float *value, float *squares, float rate, float gradient) {
    *squares += gradient * gradient;
    *value -= rate * gradient / sqrtf(*squares + TINY);
}

/* Cross-entropy of the probabilities in z, which become the gradient of the logits. */
static double loss_and_gradient(float *z, const float *target, size_t n, float weight) {
    const float floor = 1e-12f;
    double loss = 0;
    if (n == 1) {
        float p = z[0], y = target[0];
        loss = -(double)y * log((double)(p > floor ? p : floor)) -
               (1.0 - (double)y) * log((double)(1 - p > floor ? 1 - p : floor));
    } else {
        for (size_t j = 0; j < n; j++)
            if (target[j] > 0)
                loss -= (double)target[j] * log((double)(z[j] > floor ? z[j] : floor));
    }
    for (size_t j = 0; j < n; j++) z[j] = (z[j] - target[j]) * weight;
    return loss * (double)weight;
}

static float largest(const float *values, size_t n) {
    float found = 0;
    for (size_t j = 0; j < n; j++) found = fabsf(values[j]) > found ? fabsf(values[j]) : found;
    return found;
}

/* The gradient of x behind the head, and the head's own step. */
static void step_head(const bk_ngram_trainer *t, const float *x, const float *gz,
                      float *restrict gradient) {
    for (size_t i = 0; i < t->width; i++) {
        float sum = 0;
        for (size_t j = 0; j < t->n_outputs; j++) sum += gz[j] * t->head[i * t->n_outputs + j];
        gradient[i] = x[i] > 0 ? sum : 0;
        if (!(x[i] > 0)) continue;
        for (size_t j = 0; j < t->n_outputs; j++) {
            size_t at = i * t->n_outputs + j;
            adagrad(&t->head[at], &t->head_squares[at], t->learning_rate, x[i] * gz[j]);
        }
    }
}

double bk_ngram_train(const bk_ngram_trainer *t, const bk_examples *e, const uint32_t *order,
                      size_t begin, size_t end, void *scratch) {
    const path *p = current();
    const uint32_t drop_below = (uint32_t)(t->dropout * 16777216.0f);
    double loss = 0;
    for (size_t at = begin; at < end; at++) {
        size_t i = order[at];
        if (at + 2 * AHEAD < end) prefetch_example(t, e, order[at + 2 * AHEAD]);
        if (at + AHEAD < end) prefetch_text(e->data + e->offsets[order[at + AHEAD]]);
        uint64_t mixed = (t->seed + i) * 0x9E3779B97F4A7C15u;
        uint32_t salt = (uint32_t)(mixed >> 32) ^ (uint32_t)(mixed >> 7);
        workspace w;
        size_t n = example_rows(t, e, i, drop_below, salt, &w, scratch);
        float factor = norm_factor(n);
        p->embed(t, w.rows, n, factor, w.x);
        apply_head(t->head, t->bias, t->width, t->n_outputs, w.x, w.z);
        activate(w.z, 1, t->n_outputs);
        loss += loss_and_gradient(w.z, e->targets + i * t->n_outputs, t->n_outputs, e->weights[i]);
        if (largest(w.z, t->n_outputs) < NEGLIGIBLE) continue;
        if (t->width == 1) {
            p->update_narrow(t, w.rows, n, w.z[0] * factor);
        } else {
            if (t->head) {
                step_head(t, w.x, w.z, w.gradient);
            } else {
                memset(w.gradient, 0, t->width * sizeof(float));
                memcpy(w.gradient, w.z, t->n_outputs * sizeof(float));
            }
            for (size_t j = 0; j < t->width; j++) w.gradient[j] *= factor;
            p->update_wide(t, w.rows, n, w.gradient);
        }
        for (size_t j = 0; j < t->n_outputs; j++)
            adagrad(&t->bias[j], &t->bias_squares[j], t->learning_rate, w.z[j]);
    }
    return loss;
}

void bk_ngram_predict(const bk_ngram_trainer *t, const bk_examples *e, size_t begin, size_t end,
                      void *scratch, float *out) {
    const path *p = current();
    for (size_t i = begin; i < end; i++) {
        workspace w;
        size_t n = example_rows(t, e, i, 0, 0, &w, scratch);
        p->embed(t, w.rows, n, norm_factor(n), w.x);
        apply_head(t->head, t->bias, t->width, t->n_outputs, w.x, out + (i - begin) * t->n_outputs);
    }
}
