/*
 * buckler.h: normalized texts, the `ngram` and `trees` students, for any program that can call C.
 *
 * C11 with the vector types of GCC and Clang, for little-endian machines. It allocates nothing, keeps
 * no global state that changes after the first call, takes no locks, and is safe to call from many
 * threads at once. Inputs are bytes of any content; no input can make a function read or write
 * outside the sizes that it was given.
 *
 * A score is the same to the bit on every path (portable, AVX2, AVX-512): n-gram rows are summed in
 * integers, and the few floating-point operations that follow are written out in a fixed order and
 * compiled without contraction (-ffp-contract=off).
 */
#ifndef BUCKLER_H
#define BUCKLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bumped when the same text could give another normalized text or another n-gram row. */
#define BK_ABI_VERSION 2

/* Separates the fields of a normalized text (ASCII "unit separator"). It cannot occur inside one. */
#define BK_FIELD_SEPARATOR 0x1F

/*
 * Behind a separator, begins the features of a text: words of four printable bytes, each of which
 * selects one row. The text that n-grams are cut from ends before the separator.
 */
#define BK_FEATURES 0x1D
#define BK_MAX_TEXT_FEATURES 64 /* further ones do not count */

/* Bytes that a buffer passed to the n-gram functions must have beyond its stated length. */
#define BK_PADDING 64

#define BK_MAX_ORDER 8
#define BK_MAX_FIELDS 8        /* further fields share the last name space */
#define BK_MAX_WIDTH 1024      /* columns of a table row */
#define BK_MAX_TABLE_BITS 24
#define BK_MAX_TEXT_BYTES (1u << 20)

typedef enum {
    BK_NORMALIZE_NONE = 0, /* already normalized: bytes are taken as they are */
    BK_NORMALIZE_URL = 1,  /* url-v1:  host, path, query (see docs/normalize.md) */
    BK_NORMALIZE_TEXT = 2, /* text-v1: one folded field, white space collapsed */
    BK_NORMALIZE_COMMAND = 3, /* command-v2: command, payloads, image, parent, user, marks */
    BK_NORMALIZE_FEATURES = 4, /* text-v1; the features behind the last mark of features stay as they are */
    BK_NORMALIZE_URL3 = 5, /* url-v3: host, path, query, target; features */
    BK_NORMALIZE_SITE = 6, /* url-site-v1: host and path of url-v3 */
    BK_LAST_NORMALIZER = BK_NORMALIZE_SITE
} bk_normalizer;

/*
 * Writes the normalized text of `text` to `out` and returns its length, which is at most `capacity`.
 * Longer texts are cut there. Only the first `capacity` bytes of the input are read (of a
 * command line 16,384, of a URL for url-v3 and url-site-v1 2,048).
 * `out` needs room for capacity + BK_PADDING bytes and must not overlap `text`.
 */
size_t bk_normalize(bk_normalizer normalizer, const uint8_t *text, size_t length,
                    uint8_t *out, size_t capacity);

/*
 * Rules that cut a normalized text into segments, so that what stands beside a threat cannot dilute
 * it. docs/normalize.md states them; a rule never changes under its number.
 */
typedef enum {
    BK_SEGMENTS_NONE = 0,
    BK_SEGMENTS_COMMANDS = 1,  /* commands between ; & | and line breaks, in command and payloads */
    BK_SEGMENTS_WINDOWS = 2,   /* windows of each field */
    BK_SEGMENTS_HOST = 3,      /* of url-v3: the host as a URL of its own, with its features */
    BK_SEGMENTS_HEAD = 4,      /* the text up to the first 125, 250, … and 1,000 bytes of its last field */
    BK_LAST_SEGMENTER = BK_SEGMENTS_HEAD
} bk_segmenter;

#define BK_HEADS 8 /* of a text, at most */

/* A segment is normalized text too: `field` separators, then bytes begin to end of the text. */
typedef struct {
    uint32_t begin, end, field;
    uint32_t next, in_field; /* where the search goes on */
    uint32_t is_url;         /* the segment is normalized once more, as a URL */
} bk_segment;

/* Finds the segment behind *segment, which begins as zeros; 0 if there is none. */
int bk_next_segment(bk_segmenter segmenter, const uint8_t *normalized, size_t length,
                    bk_segment *segment);

/* Largest length of the normalized text of a segment of so many bytes. */
#define BK_SEGMENT_BYTES(n) (2 * (size_t)(n) + 512)

/*
 * Writes the normalized text of a segment and returns its length; `out` has BK_PADDING bytes beyond
 * BK_SEGMENT_BYTES(end - begin).
 */
size_t bk_write_segment(const uint8_t *normalized, const bk_segment *segment, uint8_t *out);

/* How the logits of the event come from those of its text, and of its worst segment if that has the higher score, or of all. */
typedef enum {
    BK_COMBINE_NONE = 0, /* whole text alone */
    BK_COMBINE_MEAN = 1,
    BK_COMBINE_MAX = 2,  /* those of the segment */
    BK_COMBINE_SOFT = 3, /* mean of all, where a higher score counts more */
    BK_LAST_COMBINATION = BK_COMBINE_SOFT
} bk_combination;

/*
 * A trained `ngram` student. The normalized text is framed by separators and followed by zero bytes,
 * so that at each of its bytes an n-gram of every length from `min_order` to `max_order` starts. One
 * that starts in field f (a separator is the first byte of the field behind it) selects the row
 *
 *     h = (min(f, 7) + 1) * 0x85EBCA77;  for each byte c of the n-gram: h = (h ^ c) * 0x9E3779B1 (mod 2^32)
 *     row = h >> (32 - table_bits)
 *
 * and each feature, a number of four bytes w, little-endian, the row
 *
 *     h = (w ^ 0x85EBCA77) * 0x9E3779B1;  row = ((h ^ h >> 15) * 0x9E3779B1) >> (32 - table_bits)
 *
 * The rows are summed. With n the number of n-grams and features and x = sum * (scale / sqrt(n)), the logits are
 * x + bias, or head . relu(x) + bias where there is a head. Probabilities are the logistic function
 * for one output and softmax for more.
 *
 * With a combination, each segment is scored in the same way, and the logits of the worst one, which
 * has the largest distance of the best positive logit from the best other one, are combined with
 * those of the whole text. A text without segments keeps its own. Of a soft combination, a segment
 * weighs e^(distance / temperature), and so does the whole text; beside heads, that is taken times
 * 1/16 and one more for each of the BK_HEADS heads that the text is too short for.
 */
typedef struct {
    uint32_t min_order;   /* 1 <= min_order <= max_order <= BK_MAX_ORDER; 1 and 0: features alone */
    uint32_t max_order;
    uint32_t table_bits;  /* the table has 2^table_bits rows */
    uint32_t width;       /* int8 columns of a row: 1, or a multiple of 16 */
    uint32_t n_outputs;   /* 1 for two classes, else the number of classes */
    uint32_t max_bytes;   /* normalized texts are cut here */
    bk_normalizer normalizer;
    float scale;          /* size of one step of an int8 weight */
    const int8_t *table;  /* [2^table_bits][width] */
    const float *head;    /* NULL, or [width][n_outputs] */
    const float *bias;    /* [n_outputs] */
    bk_segmenter segmenter;
    bk_combination combination;
    uint64_t positive;    /* bit j: class j is positive; needed for a combination */
    float temperature;    /* of a soft combination, in logits */
} bk_ngram;

/* NULL if the model is valid, else the fault. Call it once, before the first score. */
const char *bk_ngram_check(const bk_ngram *model);

/* Bytes of scratch that bk_ngram_score needs; the caller owns the scratch, one for each thread. */
size_t bk_ngram_scratch_bytes(const bk_ngram *model);

/* Scores one raw text: n_outputs probabilities are written to `out`. */
void bk_ngram_score(const bk_ngram *model, const uint8_t *text, size_t length, void *scratch,
                    float *out);

/*
 * A score in steps, for batches: prepare a text, take its logits from the same scratch, then turn
 * all logits into probabilities. Preparing the next text, in a second scratch, before taking the
 * logits of this one is a third faster: the processor need not wait for bytes just written.
 */
void bk_ngram_prepare(const bk_ngram *model, const uint8_t *text, size_t length, void *scratch);
void bk_ngram_logits(const bk_ngram *model, void *scratch, float *out);
void bk_ngram_probabilities(const bk_ngram *model, float *logits, size_t n_texts);

/* The row of every feature of a normalized text, up to BK_MAX_TEXT_FEATURES; returns how many. */
size_t bk_feature_rows(uint32_t table_bits, const uint8_t *normalized, size_t length, uint32_t *rows);

/*
 * The row of every n-gram of a normalized text without features: rows[(k - min_order) * stride + i] for the n-gram of
 * k bytes at byte i of the framed text, which is length + 2 bytes long. stride >= length + 2.
 * `framed` gets the framed text and needs length + 2 + BK_PADDING bytes.
 */
void bk_ngram_rows(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                   const uint8_t *normalized, size_t length, uint8_t *framed,
                   uint32_t *rows, size_t stride);

/* Training. The caller owns all arrays; the int8 table is later computed from the float table. */
typedef struct {
    uint32_t min_order, max_order, table_bits;
    uint32_t width;        /* float columns: 1, or a multiple of 16 */
    uint32_t n_outputs;
    float *table;          /* [2^table_bits][width] */
    float *table_squares;  /* [2^table_bits] sums of squared gradients */
    float *head;           /* NULL or [width][n_outputs] */
    float *head_squares;   /* NULL or [width][n_outputs] */
    float *bias;           /* [n_outputs] */
    float *bias_squares;   /* [n_outputs] */
    float learning_rate;   /* AdaGrad (Duchi et al. 2011); one rate a row for width > 1 */
    float l2;              /* weight decay, applied to the rows that an example touches */
    float dropout;         /* share of distinct n-grams left out of each example, 0 to below 1 */
    uint64_t seed;         /* random seed of the dropout; another for each epoch */
} bk_ngram_trainer;

/* Normalized texts, Arrow large_binary layout, with a soft target and a weight for each. */
typedef struct {
    const int64_t *offsets; /* [n + 1] */
    const uint8_t *data;
    const float *targets;   /* [n][n_outputs]; each at least 0, and for softmax adding up to 1 */
    const float *weights;   /* [n] */
} bk_examples;

/* NULL if the trainer's numbers are valid, else the fault. */
const char *bk_ngram_trainer_check(const bk_ngram_trainer *trainer);

/* Bytes of scratch that training and prediction need for texts of up to `longest` bytes. */
size_t bk_ngram_train_scratch_bytes(const bk_ngram_trainer *trainer, size_t longest);

/*
 * One pass over examples[order[begin..end)]; the same arguments give the same bits. Threads need
 * trainers with arrays of their own, to be joined afterwards. Returns the summed, weighted
 * cross-entropy (before each update).
 */
double bk_ngram_train(const bk_ngram_trainer *trainer, const bk_examples *examples,
                      const uint32_t *order, size_t begin, size_t end, void *scratch);

/* Logits of the float model for examples[begin..end): out[end - begin][n_outputs]. */
void bk_ngram_predict(const bk_ngram_trainer *trainer, const bk_examples *examples,
                      size_t begin, size_t end, void *scratch, float *out);

/* Logits to probabilities in place: logistic for one output, softmax for more. NaN stays NaN. */
void bk_activate(float *logits, size_t n_rows, size_t n_outputs);

/*
 * Isotonic or beta calibration as a curve over [0, 1] through `n` points that rise in x and do not fall
 * in y. Each of `p` becomes its value there; NaN stays NaN.
 */
typedef struct {
    uint32_t n;
    const double *x, *y;
} bk_curve;

void bk_recalibrate(const bk_curve *curve, float *p, size_t count);

/*
 * An `ngram` bundle as one flat file, for programs that read no zip and no JSON: `buckler bundle flat`
 * writes it (docs/embedding.md has the layout). The caller owns the file, at an address that is a
 * multiple of 8, and it must outlive the model; verify its origin before you use it.
 */
typedef struct {
    bk_ngram ngram;
    bk_curve curve;  /* n = 0 where calibration is in the weights */
    float threshold;     /* an event is detected if its score is at least this; NaN for none */
    uint64_t positive;        /* bit j: class j is positive (classes from 64 on are not) */
} bk_model;

/* NULL if the file was opened, else the fault. Every size in it is checked. */
const char *bk_model_open(bk_model *model, const void *data, size_t size);

/* Scores one raw text: n_outputs probabilities are written to `out`; returns its score. */
float bk_model_score(const bk_model *model, const uint8_t *text, size_t length, void *scratch,
                     float *out);

/*
 * A trained `trees` student: boosted trees over rows of float32 features. The logit of output j is
 * bias[j] plus the values of the leaves that a row reaches in trees j, j + n_outputs, ...
 */
#define BK_CATEGORIES 1024 /* a categorical feature holds a number below this */
#define BK_MAX_TREE_DEPTH 64
#define BK_MAX_FEATURES (1u << 16)

enum {
    BK_NODE_LEAF = 1u << 31,         /* `threshold` is its value */
    BK_NODE_CATEGORICAL = 1u << 30,  /* `threshold` is the number of the set whose members go left */
    BK_NODE_NAN_IS_MISSING = 1u << 29, /* NaN goes the default way; else it counts as 0 */
    BK_NODE_MISSING_LEFT = 1u << 28,
    BK_NODE_FEATURE = (1u << 28) - 1
};

typedef struct {
    float threshold;  /* a value that is at most this goes left */
    uint32_t code;    /* the feature, and flags */
    uint32_t left;    /* the left child, greater than the number of this node; the right follows it */
    float cover;      /* training weight that passed here */
} bk_tree_node;

typedef struct {
    uint32_t n_features, n_outputs, n_trees, n_nodes, n_sets;
    const uint32_t *roots;           /* [n_trees] */
    const bk_tree_node *nodes;       /* [n_nodes] */
    const uint32_t *sets;            /* [n_sets][BK_CATEGORIES / 32] */
    const float *bias;               /* [n_outputs] */
} bk_trees;

/* NULL if the model is valid, else the fault. Call it once, before the first score. */
const char *bk_trees_check(const bk_trees *model);

/* Logits of rows[n_rows][n_features]: out[n_rows][n_outputs]. `sums` is as large, of doubles. */
void bk_trees_logits(const bk_trees *model, const float *rows, size_t n_rows, double *sums, float *out);

/*
 * Contribution of each feature to an output for one row: Shapley values over the paths of the trees
 * (Lundberg et al. 2018, algorithm 2). contributions[n_features]; with the expected value, which is
 * returned, they add up to the logit. `scratch` has bk_trees_scratch_bytes() bytes.
 */
size_t bk_trees_scratch_bytes(void);
double bk_trees_explain(const bk_trees *model, const float *row, uint32_t output, void *scratch,
                        double *contributions);

/* The instruction set in use: "avx512", "avx2" or "portable". */
const char *bk_simd(void);

/* Chooses one by name (for tests); 0, or -1 if this machine or build does not have it. */
int bk_simd_select(const char *name);

#ifdef __cplusplus
}
#endif
#endif
