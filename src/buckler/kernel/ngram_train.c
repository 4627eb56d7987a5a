/* The `ngram` student's training with a float table. See buckler.h. */
#include "ngram_parts.h"

#define TINY 1e-8f
#define NEGLIGIBLE 0.003f /* steps for smaller gradients cost half the time of training and change nothing */

const char *bk_ngram_trainer_check(const bk_ngram_trainer *t) {
    if (!t->table || !t->bias || !t->bias_squares || !t->table_squares ||
        (t->head && !t->head_squares))
        return "table, bias and their squares are needed";
    if (!(t->learning_rate > 0)) return "learning_rate must be positive";
    if (!(t->l2 >= 0)) return "l2 must not be negative";
    if (!(t->dropout >= 0 && t->dropout < 1)) return "dropout must be 0 to below 1";
    return bk_shape_problem(t->min_order, t->max_order, t->table_bits, t->width, t->n_outputs,
                         t->head != NULL);
}

typedef struct {
    uint8_t *framed;
    uint32_t *rows;
    float *x, *gradient; /* [width] */
    float *z;            /* [n_outputs] */
} workspace;

static size_t orders(const bk_ngram_trainer *t) { return t->max_order - t->min_order + 1; }

/* Bytes of the weights of width 1 in the layout that training uses, in front of the scratch. */
static size_t learned_bytes(const bk_ngram_trainer *t) {
    return t->width == 1 ? sizeof(learned_weight) << t->table_bits : 0;
}

size_t bk_ngram_train_scratch_bytes(const bk_ngram_trainer *t, size_t longest) {
    return aligned(longest + 2 + BK_PADDING) +
           aligned((orders(t) * (longest + 2) + BK_MAX_TEXT_FEATURES + 1) * sizeof(uint32_t)) +
           2 * aligned(t->width * sizeof(float)) + aligned(t->n_outputs * sizeof(float)) + learned_bytes(t);
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
    text_parts parts;
    const uint8_t *text = e->data + e->offsets[i];
    memcpy(w->framed + 1, text, length);
    framed_text f = frame(w->framed, bk_find_parts(text, length, &parts), &parts);
    return bk_current_path()->list_rows(t->min_order, t->max_order, t->table_bits, &f, drop_below, salt,
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
    const path *p = bk_current_path();
    const uint32_t drop_below = (uint32_t)(t->dropout * 16777216.0f);
    const size_t n_weights = learned_bytes(t) / sizeof(learned_weight);
    learned_weight *const learned = scratch;
    learned_weight first[BLOCK];
    scratch = learned + n_weights;
    for (size_t i = 0; i < n_weights; i++) learned[i] = (learned_weight){t->table[i], t->table_squares[i]};
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
        if (n_weights)
            w.x[0] = p->sum_weights(learned, w.rows, n, factor, first);
        else
            p->embed(t, w.rows, n, factor, w.x);
        bk_apply_head(t->head, t->bias, t->width, t->n_outputs, w.x, w.z);
        bk_activate(w.z, 1, t->n_outputs);
        loss += loss_and_gradient(w.z, e->targets + i * t->n_outputs, t->n_outputs, e->weights[i]);
        if (largest(w.z, t->n_outputs) < NEGLIGIBLE) continue;
        if (n_weights) {
            p->update_narrow(t, learned, w.rows, n, w.z[0] * factor, first);
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
    for (size_t i = 0; i < n_weights; i++) t->table[i] = learned[i].value, t->table_squares[i] = learned[i].squares;
    return loss;
}

void bk_ngram_predict(const bk_ngram_trainer *t, const bk_examples *e, size_t begin, size_t end,
                      void *scratch, float *out) {
    const path *p = bk_current_path();
    for (size_t i = begin; i < end; i++) {
        workspace w;
        size_t n = example_rows(t, e, i, 0, 0, &w, scratch);
        p->embed(t, w.rows, n, norm_factor(n), w.x);
        bk_apply_head(t->head, t->bias, t->width, t->n_outputs, w.x, out + (i - begin) * t->n_outputs);
    }
}
