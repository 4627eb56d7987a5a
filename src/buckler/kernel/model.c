/* An `ngram` bundle as one flat file. See buckler.h. */
#include <math.h>
#include <string.h>

#include "buckler.h"

enum { HEADER_BYTES = 96, SECTION = 16, MAX_CURVE_POINTS = 64 };

typedef struct { /* little-endian, as it stands in the file */
    char magic[8];
    uint32_t version, min_order, max_order, table_bits, width, n_outputs, max_bytes, normalizer;
    float scale, threshold;
    uint32_t has_head, n_curve_points;
    uint64_t positive, size;
    uint32_t segmenter, combination;
    float temperature;
    uint32_t zeros[3];
} flat_header;

_Static_assert(sizeof(flat_header) == HEADER_BYTES, "the header has no gaps");

static size_t padded(size_t bytes) { return (bytes + SECTION - 1) / SECTION * SECTION; }

const char *bk_model_open(bk_model *model, const void *data, size_t size) {
    flat_header h;
    if (size < sizeof h || (uintptr_t)data % 8) return "the file is too short or not aligned";
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, "BKNGRAM2", 8)) return "not a flat model";
    if (h.version != BK_ABI_VERSION) return "made for another version of the kernel";
    if (h.size != size) return "the file is cut short or has something behind it";
    if (h.zeros[0] || h.zeros[1] || h.zeros[2] || h.has_head > 1 || h.n_curve_points == 1 || h.n_curve_points > MAX_CURVE_POINTS) return "the header is not sound";
    if (h.n_curve_points && h.n_outputs != 1) return "a calibration curve is for two classes";
    bk_ngram m = {.min_order = h.min_order, .max_order = h.max_order, .table_bits = h.table_bits,
                  .width = h.width, .n_outputs = h.n_outputs, .max_bytes = h.max_bytes,
                  .normalizer = (bk_normalizer)h.normalizer, .scale = h.scale,
                  .segmenter = (bk_segmenter)h.segmenter, .combination = (bk_combination)h.combination,
                  .positive = h.positive, .temperature = h.temperature, .table = (const int8_t *)data, .bias = data, .head = h.has_head ? data : NULL};
    const char *problem = bk_ngram_check(&m); /* before any size is computed from the numbers */
    if (problem) return problem;
    const size_t floats = sizeof(float), curve_row = h.n_curve_points * sizeof(double);
    const size_t head = h.has_head ? padded((size_t)h.width * h.n_outputs * floats) : 0;
    const size_t bias = padded(h.n_outputs * floats), table = (size_t)h.width << h.table_bits;
    if (size != HEADER_BYTES + bias + head + 2 * padded(curve_row) + table)
        return "its sections do not fit its header";
    const uint8_t *at = (const uint8_t *)data + HEADER_BYTES;
    m.bias = (const float *)at;
    at += bias;
    m.head = h.has_head ? (const float *)at : NULL;
    at += head;
    model->curve = (bk_curve){h.n_curve_points, (const double *)at,
                                  (const double *)(at + padded(curve_row))};
    at += 2 * padded(curve_row);
    m.table = (const int8_t *)at;
    for (size_t j = 0; j < h.n_outputs; j++)
        if (!isfinite(m.bias[j])) return "a bias is not finite";
    for (size_t j = 0; m.head && j < (size_t)h.width * h.n_outputs; j++)
        if (!isfinite(m.head[j])) return "the head is not finite";
    for (uint32_t k = 0; k < h.n_curve_points; k++) {
        const double *x = model->curve.x, *y = model->curve.y;
        if (!(x[k] >= 0 && x[k] <= 1 && y[k] >= 0 && y[k] <= 1)) return "a point of the calibration curve is out of range";
        if (k && (!(x[k - 1] < x[k]) || y[k - 1] > y[k])) return "the calibration curve must rise";
    }
    model->ngram = m;
    model->threshold = h.threshold;
    model->positive = h.positive;
    return NULL;
}

float bk_model_score(const bk_model *model, const uint8_t *text, size_t length, void *scratch,
                     float *out) {
    bk_ngram_score(&model->ngram, text, length, scratch, out);
    const uint32_t n = model->ngram.n_outputs;
    if (n == 1) {
        if (model->curve.n) bk_recalibrate(&model->curve, out, 1);
        return model->positive & 2 ? out[0] : model->positive & 1 ? 1 - out[0] : out[0] >= 0.5f ? out[0] : 1 - out[0];
    }
    float score = 0, top = out[0];
    for (uint32_t j = 0; j < n; j++) {
        if (j < 64 && model->positive >> j & 1) score += out[j];
        if (out[j] > top) top = out[j];
    }
    return model->positive ? score : top;
}
