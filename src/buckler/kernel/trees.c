/* The `trees` student: scores and explains boosted trees. See buckler.h. */
#include <math.h>
#include <string.h>

#include "buckler.h"

enum { SET_WORDS = BK_CATEGORIES / 32, ROWS_AT_ONCE = 8 };

/* 1 for the right child, 0 for the left. */
static inline uint32_t goes_right(const bk_trees *m, const bk_tree_node *node, float x) {
    const uint32_t code = node->code;
    if (x != x) {
        if (code & BK_NODE_NAN_IS_MISSING) return !(code & BK_NODE_MISSING_LEFT);
        x = 0;
    }
    if (code & BK_NODE_CATEGORICAL) {
        if (!(x >= 0) || x >= BK_CATEGORIES) return 1;
        uint32_t category = (uint32_t)x;
        const uint32_t *set = m->sets + (size_t)node->threshold * SET_WORDS;
        return !(set[category >> 5] >> (category & 31) & 1);
    }
    return !(x <= node->threshold);
}

const char *bk_trees_check(const bk_trees *m) {
    if (m->n_features < 1 || m->n_features > BK_MAX_FEATURES) return "n_features must be 1 to 65536";
    if (m->n_outputs < 1 || m->n_outputs > BK_MAX_WIDTH) return "n_outputs must be 1 to 1024";
    if (m->n_trees % m->n_outputs) return "each output needs as many trees";
    for (uint32_t j = 0; j < m->n_outputs; j++)
        if (!isfinite(m->bias[j])) return "a bias is not finite";
    uint32_t reached = 0; /* nodes of a tree stand together, children behind their parent */
    for (uint32_t t = 0; t < m->n_trees; t++) {
        if (m->roots[t] != reached || reached >= m->n_nodes) return "a tree begins in the wrong place";
        uint32_t end = reached + 1;
        for (uint32_t i = reached; i < end; i++) {
            const bk_tree_node *node = m->nodes + i;
            if (!isfinite(node->cover) || node->cover < 0) return "a cover is not a number from 0";
            if (node->threshold != node->threshold) return "a threshold is not a number";
            if (node->code & BK_NODE_LEAF) {
                if (!isfinite(node->threshold)) return "a leaf's value is not finite";
                continue;
            }
            if ((node->code & BK_NODE_FEATURE) >= m->n_features) return "a node asks for no feature";
            if (node->left != end || end + 2 > m->n_nodes) return "a child stands in the wrong place";
            if (node->code & BK_NODE_CATEGORICAL) {
                float set = node->threshold;
                if (!(set >= 0) || set >= (float)m->n_sets || set != floorf(set))
                    return "a node asks for no set";
            }
            end += 2;
        }
        reached = end;
    }
    if (reached != m->n_nodes) return "nodes are left over";
    /* Depth: levels stand one after the other, since children are numbered in the order of parents. */
    for (uint32_t t = 0; t < m->n_trees; t++) {
        uint32_t begin = m->roots[t], end = begin + 1, depth = 0;
        while (begin < end) {
            if (depth++ > BK_MAX_TREE_DEPTH) return "a tree is deeper than 64";
            uint32_t next = end;
            for (uint32_t i = begin; i < end; i++)
                if (!(m->nodes[i].code & BK_NODE_LEAF)) next += 2;
            begin = end;
            end = next;
        }
    }
    return NULL;
}

void bk_trees_logits(const bk_trees *m, const float *rows, size_t n_rows, double *sums, float *out) {
    const size_t width = m->n_features, outputs = m->n_outputs;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < outputs; j++) sums[i * outputs + j] = (double)m->bias[j];
    for (uint32_t t = 0; t < m->n_trees; t++) {
        double *sum = sums + t % outputs;
        for (size_t start = 0; start < n_rows; start += ROWS_AT_ONCE) { /* paths that do not wait */
            size_t n = n_rows - start < ROWS_AT_ONCE ? n_rows - start : ROWS_AT_ONCE;
            const bk_tree_node *at[ROWS_AT_ONCE];
            for (size_t i = 0; i < n; i++) at[i] = m->nodes + m->roots[t];
            for (int walking = 1; walking;) {
                walking = 0;
                for (size_t i = 0; i < n; i++) {
                    if (at[i]->code & BK_NODE_LEAF) continue;
                    float x = rows[(start + i) * width + (at[i]->code & BK_NODE_FEATURE)];
                    at[i] = m->nodes + at[i]->left + goes_right(m, at[i], x);
                    walking = 1;
                }
            }
            for (size_t i = 0; i < n; i++) sum[(start + i) * outputs] += (double)at[i]->threshold;
        }
    }
    for (size_t i = 0; i < n_rows * outputs; i++) out[i] = (float)sums[i];
}

/* --- Shapley values --------------------------------------------------------------------------- */

/* A feature on the path: the share of rows that pass where it is unknown, and whether this one does. */
typedef struct {
    uint32_t feature;
    double unknown, known, weight;
} step;

enum { NO_FEATURE = UINT32_MAX, MAX_STEPS = BK_MAX_TREE_DEPTH + 3 };

size_t bk_trees_scratch_bytes(void) { return sizeof(step) * MAX_STEPS * (MAX_STEPS + 1) / 2; }

static void extend(step *path, size_t depth, double unknown, double known, uint32_t feature) {
    path[depth] = (step){feature, unknown, known, depth == 0 ? 1.0 : 0.0};
    for (size_t i = depth; i-- > 0;) {
        path[i + 1].weight += known * path[i].weight * (double)(i + 1) / (double)(depth + 1);
        path[i].weight = unknown * path[i].weight * (double)(depth - i) / (double)(depth + 1);
    }
}

static void unwind(step *path, size_t depth, size_t index) {
    const double known = path[index].known, unknown = path[index].unknown;
    double next = path[depth].weight;
    for (size_t i = depth; i-- > 0;) {
        if (known != 0) {
            double kept = path[i].weight;
            path[i].weight = next * (double)(depth + 1) / ((double)(i + 1) * known);
            next = kept - path[i].weight * unknown * (double)(depth - i) / (double)(depth + 1);
        } else {
            path[i].weight = path[i].weight * (double)(depth + 1) / (unknown * (double)(depth - i));
        }
    }
    for (size_t i = index; i < depth; i++) {
        path[i].feature = path[i + 1].feature;
        path[i].unknown = path[i + 1].unknown;
        path[i].known = path[i + 1].known;
    }
}

static double unwound_sum(const step *path, size_t depth, size_t index) {
    const double known = path[index].known, unknown = path[index].unknown;
    double next = path[depth].weight, total = 0;
    for (size_t i = depth; i-- > 0;) {
        if (known != 0) {
            double part = next * (double)(depth + 1) / ((double)(i + 1) * known);
            total += part;
            next = path[i].weight - part * unknown * (double)(depth - i) / (double)(depth + 1);
        } else if (unknown != 0) {
            total += path[i].weight * (double)(depth + 1) / (unknown * (double)(depth - i));
        }
    }
    return total;
}

typedef struct {
    const bk_trees *model;
    const float *row;
    double *contributions;
    double expected;
} explanation;

/* `path` holds `depth` steps of the parent; this call's own copy lies behind it. */
static void walk(explanation *e, const bk_tree_node *node, const step *parent, size_t depth,
                 double unknown, double known, uint32_t feature, double share) {
    step *path = (step *)parent + depth;
    memcpy(path, parent, depth * sizeof *path);
    extend(path, depth, unknown, known, feature);
    if (node->code & BK_NODE_LEAF) {
        e->expected += share * (double)node->threshold;
        for (size_t i = 1; i <= depth; i++) {
            double weight = unwound_sum(path, depth, i);
            e->contributions[path[i].feature] +=
                weight * (path[i].known - path[i].unknown) * (double)node->threshold;
        }
        return;
    }
    const uint32_t split = node->code & BK_NODE_FEATURE;
    const bk_tree_node *left = e->model->nodes + node->left;
    const uint32_t right = goes_right(e->model, node, e->row[split]);
    double covers = (double)left[0].cover + (double)left[1].cover;
    double shares[2] = {0.5, 0.5};
    if (covers > 0)
        for (size_t side = 0; side < 2; side++) shares[side] = (double)left[side].cover / covers;
    double past_unknown = 1, past_known = 1;
    size_t d = depth;
    for (size_t i = 1; i <= depth; i++)
        if (path[i].feature == split) { /* met before: undo that, and join the two */
            past_unknown = path[i].unknown;
            past_known = path[i].known;
            unwind(path, depth, i);
            d--;
            break;
        }
    for (uint32_t side = 0; side < 2; side++)
        walk(e, left + side, path, d + 1, past_unknown * shares[side],
             side == right ? past_known : 0, split, share * shares[side]);
}

double bk_trees_explain(const bk_trees *m, const float *row, uint32_t output, void *scratch,
                        double *contributions) {
    memset(contributions, 0, m->n_features * sizeof *contributions);
    explanation e = {m, row, contributions, (double)m->bias[output]};
    for (uint32_t t = output; t < m->n_trees; t += m->n_outputs)
        walk(&e, m->nodes + m->roots[t], scratch, 0, 1, 1, NO_FEATURE, 1);
    return e.expected;
}
