/* From logits to probabilities, with the same bits on every machine. See buckler.h. */
#include "ngram_parts.h"

/*
 * e^x for x in [-700, 700], in double arithmetic written out so that no library's rounding is in a
 * score, and without a branch so that loops over it vectorize.
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

double bk_exp(double x) { return exp_fixed(clamp_exponent(x)); }

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

void bk_activate(float *z, size_t n_rows, size_t n_outputs) {
    if (n_outputs > 1) {
        for (size_t i = 0; i < n_rows; i++) softmax(z + i * n_outputs, n_outputs);
        return;
    }
    for (size_t i = 0; i < n_rows; i++) {
        float p = (float)(1.0 / (1.0 + exp_fixed(clamp_exponent(-(double)z[i]))));
        z[i] = z[i] == z[i] ? p : z[i];
    }
}

void bk_recalibrate(const bk_curve *curve, float *p, size_t count) {
    const double *x = curve->x, *y = curve->y;
    for (size_t i = 0; i < count; i++) {
        double at = (double)p[i];
        if (at != at) continue;
        uint32_t k = 0, last = curve->n - 2; /* the piece that it lies in, by halves */
        for (uint32_t low = 0, high = last; low <= high && high != UINT32_MAX;) {
            uint32_t middle = low + (high - low) / 2;
            if (x[middle] <= at) k = middle, low = middle + 1;
            else high = middle - 1;
        }
        double share = (at - x[k]) / (x[k + 1] - x[k]);
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        p[i] = (float)(y[k] + share * (y[k + 1] - y[k]));
    }
}
