/*
 * The loops of the `ngram` student, included once for each instruction set with BK_PATH naming the
 * copy and LANES the 32-bit numbers that one of its registers holds.
 */

typedef uint32_t BK_PATH(lanes) __attribute__((vector_size(4 * LANES)));
typedef int32_t BK_PATH(signed_lanes) __attribute__((vector_size(4 * LANES)));

/* LANES bytes, each in 32 bits. */
static inline BK_PATH(lanes) BK_PATH(widen)(const uint8_t *t) {
#if LANES == 16
    return (BK_PATH(lanes))_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)t));
#elif LANES == 8
    return (BK_PATH(lanes))_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)t));
#else
    return (BK_PATH(lanes)){t[0], t[1], t[2], t[3]};
#endif
}

/* Rows of the n-grams that start in text[start .. start + n), n <= BLOCK, order by order. */
static inline __attribute__((always_inline)) void BK_PATH(hash_block)(const framed_text *f, size_t start, size_t n,
                                       uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                                       uint32_t rows[BK_MAX_ORDER][BLOCK_ROWS]) {
    const BK_PATH(lanes) zero = {0};
    const uint32_t shift = 32 - table_bits;
    for (size_t i = 0; i < n; i += LANES) {
        BK_PATH(lanes) h = zero + FIELD_SEED, place, row;
        memcpy(&place, lane_numbers, sizeof place);
        place += (uint32_t)(start + i);
        for (uint32_t k = 0; k < f->n_borders; k++) /* a seed more for each field that has begun */
            h += (BK_PATH(lanes))((BK_PATH(signed_lanes))place > (int32_t)f->borders[k]) & FIELD_SEED;
        const uint8_t *t = f->text + start + i;
        for (uint32_t k = 1; k <= max_order; k++, t++) {
            h = (h ^ BK_PATH(widen)(t)) * HASH_MULTIPLIER;
            if (k < min_order) continue;
            row = h >> shift;
            memcpy(rows[k - min_order] + i, &row, sizeof row);
        }
    }
}

/* Rows of the features, of which as many can be read and written as fill registers. */
static inline void BK_PATH(hash_features)(const uint32_t *restrict features, size_t n,
                                          uint32_t table_bits, uint32_t *restrict rows) {
    const uint32_t shift = 32 - table_bits;
    for (size_t start = 0; start < n; start += ROW_STEP)
        for (size_t i = start; i < start + ROW_STEP; i++) {
            uint32_t h = (features[i] ^ FIELD_SEED) * HASH_MULTIPLIER;
            rows[i] = ((h ^ h >> 15) * HASH_MULTIPLIER) >> shift;
        }
}

/*
 * Width 1: all orders of four positions at once, since one loop for a text costs few mispredicted
 * branches. What fills up the last four is row 0, and taken off again. `orders` is a constant
 * wherever this is inlined.
 */
static inline __attribute__((always_inline)) int32_t BK_PATH(sum_positions)(
    const int8_t *restrict table, uint32_t rows[BK_MAX_ORDER][BLOCK_ROWS], size_t n, uint32_t orders) {
    int32_t a = 0, b = 0;
    for (uint32_t k = 0; k < orders; k++) memset(rows[k] + n, 0, 4 * sizeof **rows);
    for (size_t i = 0; i < n; i += 4)
        for (uint32_t k = 0; k < orders; k++) {
            a += table[rows[k][i]] + table[rows[k][i + 1]];
            b += table[rows[k][i + 2]] + table[rows[k][i + 3]];
        }
    return a + b - (int32_t)((0 - n) % 4 * orders) * table[0];
}

/* Adds rows of `width` int8 to 32-bit sums; 16-bit sums hold a block of 256 rows without overflow. */
static inline void BK_PATH(sum_wide)(const int8_t *restrict table, const uint32_t *restrict rows,
                                     size_t n, size_t width, int32_t *restrict sums) {
    int16_t totals[32];
    size_t column = 0;
#if LANES == 16
    for (; column + 32 <= width; column += 32) {
        __m512i total = _mm512_setzero_si512();
        for (size_t i = 0; i < n; i++)
            total = _mm512_add_epi16(total, _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(table + (size_t)rows[i] * width + column))));
        memcpy(totals, &total, sizeof total);
        for (size_t j = 0; j < 32; j++) sums[column + j] += totals[j];
    }
#endif
    for (; column < width; column += ROW_STEP) {
#if LANES >= 8
        __m256i total = _mm256_setzero_si256();
        for (size_t i = 0; i < n; i++)
            total = _mm256_add_epi16(total, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(table + (size_t)rows[i] * width + column))));
        memcpy(totals, &total, sizeof total);
#else
        const bytes16 zero = {0};
        shorts8 low = {0}, high = {0};
        for (size_t i = 0; i < n; i++) { /* a byte in the upper half of 16 bits, shifted down */
            bytes16 row;
            memcpy(&row, table + (size_t)rows[i] * width + column, sizeof row);
            low += (shorts8)__builtin_shufflevector(zero, row, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                                    21, 6, 22, 7, 23) >> 8;
            high += (shorts8)__builtin_shufflevector(zero, row, 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                     28, 13, 29, 14, 30, 15, 31) >> 8;
        }
        memcpy(totals, &low, sizeof low);
        memcpy(totals + 8, &high, sizeof high);
#endif
        for (size_t j = 0; j < ROW_STEP; j++) sums[column + j] += totals[j];
    }
}

/* The sum of a part of a text for width 1. `min` and `max` are constants wherever this is inlined. */
static inline __attribute__((always_inline)) int32_t BK_PATH(sum_text)(
    const bk_ngram *m, const framed_text *f, size_t begin, size_t end, uint32_t min, uint32_t max,
    uint32_t rows[BK_MAX_ORDER][BLOCK_ROWS]) {
    int32_t sum = 0;
    for (size_t start = begin; start < end; start += BLOCK) {
        const size_t n = end - start < BLOCK ? end - start : BLOCK;
        BK_PATH(hash_block)(f, start, n, min, max, m->table_bits, rows);
        sum += BK_PATH(sum_positions)(m->table, rows, n, max - min + 1);
    }
    return sum;
}

static int32_t BK_PATH(sum_narrow)(const bk_ngram *m, const framed_text *f, size_t begin, size_t end,
                                   uint32_t rows[BK_MAX_ORDER][BLOCK_ROWS]) {
    int32_t sum;
    switch (m->min_order << 4 | m->max_order) { /* the usual ones without inner loops */
    case 0x10: sum = 0; break;
    case 0x15: sum = BK_PATH(sum_text)(m, f, begin, end, 1, 5, rows); break;
    case 0x25: sum = BK_PATH(sum_text)(m, f, begin, end, 2, 5, rows); break;
    case 0x35: sum = BK_PATH(sum_text)(m, f, begin, end, 3, 5, rows); break;
    default: sum = BK_PATH(sum_text)(m, f, begin, end, m->min_order, m->max_order, rows);
    }
    if (end < f->length) return sum;
    BK_PATH(hash_features)(f->features, f->n_features, m->table_bits, rows[0]);
    return sum + BK_PATH(sum_positions)(m->table, rows, f->n_features, 1);
}

/* Adds the rows of the n-grams that start in text[begin .. end) of a framed text, and at its end those of its features. */
static void BK_PATH(add_rows)(const bk_ngram *m, const framed_text *f, size_t begin, size_t end, int32_t *sums) {
    uint32_t rows[BK_MAX_ORDER][BLOCK_ROWS];
    const uint32_t orders = m->max_order - m->min_order + 1;
    if (m->width == 1) {
        sums[0] += BK_PATH(sum_narrow)(m, f, begin, end, rows);
        return;
    }
    /* Rows that outgrow the caches are asked for ahead, unless one register takes a whole row at once. */
    const int is_far = m->width > 2 * LANES && (size_t)m->width << m->table_bits > 1u << 21;
    for (size_t start = begin; orders && start < end; start += BLOCK) {
        size_t n = end - start < BLOCK ? end - start : BLOCK;
        BK_PATH(hash_block)(f, start, n, m->min_order, m->max_order, m->table_bits, rows);
        for (uint32_t k = 0; is_far && k < orders; k++)
            for (size_t i = 0; i < n; i++)
                __builtin_prefetch(m->table + (size_t)rows[k][i] * m->width);
        for (uint32_t k = 0; k < orders; k++) BK_PATH(sum_wide)(m->table, rows[k], n, m->width, sums);
    }
    if (end < f->length) return;
    BK_PATH(hash_features)(f->features, f->n_features, m->table_bits, rows[0]);
    BK_PATH(sum_wide)(m->table, rows[0], f->n_features, m->width, sums);
}

/* Appends rows to a list, without those that a dropout leaves out; returns its length. */
static inline size_t BK_PATH(keep_rows)(const uint32_t *row, size_t n, uint32_t drop_below,
                                        uint32_t salt, uint32_t *out, size_t w) {
    if (drop_below == 0) {
        memcpy(out + w, row, n * sizeof *row);
        return w + n;
    }
    for (size_t i = 0; i < n; i++) {
        out[w] = row[i];
        w += (((row[i] + 1) ^ salt) * HASH_MULTIPLIER) >> 8 >= drop_below;
    }
    return w;
}

/* All rows of a framed form, one after the other; returns how many. */
static size_t BK_PATH(list_rows)(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                                 const framed_text *f, uint32_t drop_below, uint32_t salt,
                                 uint32_t *out) {
    uint32_t rows[BK_MAX_ORDER][BLOCK_ROWS];
    const size_t length = f->length;
    size_t w = 0;
    for (size_t start = 0; max_order && start < length; start += BLOCK) {
        size_t n = length - start < BLOCK ? length - start : BLOCK;
        BK_PATH(hash_block)(f, start, n, min_order, max_order, table_bits, rows);
        for (uint32_t k = 0; k + min_order <= max_order; k++)
            w = BK_PATH(keep_rows)(rows[k], n, drop_below, salt, out, w);
    }
    BK_PATH(hash_features)(f->features, f->n_features, table_bits, rows[0]);
    w = BK_PATH(keep_rows)(rows[0], f->n_features, drop_below, salt, out, w);
    return w;
}

/* The scaled sum of the weights of rows, for width 1. `first` gets those of the first block. */
static float BK_PATH(sum_weights)(const learned_weight *table, const uint32_t *rows, size_t n, float factor,
                                  learned_weight first[BLOCK]) {
    float part[8] = {0}; /* eight chains, so that additions need not wait for each other */
    const size_t m = n < BLOCK ? n : BLOCK;
    size_t i = 0;
    for (; i < m; i++) first[i] = table[rows[i]];
    for (i = 0; i + 8 <= m; i += 8)
        for (size_t j = 0; j < 8; j++) part[j] += first[i + j].value;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) part[j] += table[rows[i + j]].value;
    for (; i < n; i++) part[0] += table[rows[i]].value;
    for (size_t j = 1; j < 8; j++) part[0] += part[j];
    return part[0] * factor;
}

/* AdaGrad for width 1, in blocks, so that roots and quotients vectorize; `own` holds the first of them. */
static void BK_PATH(update_narrow)(const bk_ngram_trainer *t, learned_weight *table, const uint32_t *rows,
                                   size_t n, float gradient, learned_weight own[BLOCK]) {
    const float rate = t->learning_rate, l2 = t->l2;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t m = n - start < BLOCK ? n - start : BLOCK;
        const uint32_t *r = rows + start;
        for (size_t i = 0; start && i < m; i++) own[i] = table[r[i]];
        for (size_t i = m; i % ROW_STEP; i++) own[i] = (learned_weight){0, 0}; /* fill the register */
        for (size_t i = 0; i < m; i += ROW_STEP)
            for (size_t j = i; j < i + ROW_STEP; j++) {
                float g = gradient + l2 * own[j].value;
                own[j].squares += g * g;
                own[j].value -= rate * g / sqrtf(own[j].squares + TINY);
            }
        for (size_t i = 0; i < m; i++) table[r[i]] = own[i];
    }
}

/* Row-wise AdaGrad: every n-gram of an example gets the same gradient[width]. */
static void BK_PATH(update_wide)(const bk_ngram_trainer *t, const uint32_t *rows, size_t n,
                                 const float *restrict gradient) {
    const size_t width = t->width;
    float mean_square = 0;
    for (size_t j = 0; j < width; j++) mean_square += gradient[j] * gradient[j];
    mean_square /= (float)t->n_outputs;
    for (size_t i = 0; i < n; i++) {
        float *restrict row = t->table + (size_t)rows[i] * width;
        t->table_squares[rows[i]] += mean_square;
        float rate = t->learning_rate / sqrtf(t->table_squares[rows[i]] + TINY);
        float keep = 1.0f - rate * t->l2;
        for (size_t j = 0; j < width; j++) row[j] = row[j] * keep - rate * gradient[j];
    }
}

/* x[width]: the scaled sum of the rows. */
static void BK_PATH(embed)(const bk_ngram_trainer *t, const uint32_t *rows, size_t n,
                           float factor, float *restrict x) {
    const size_t width = t->width;
    if (width == 1) {
        float part[8] = {0}; /* eight chains, so that additions need not wait for each other */
        size_t i = 0;
        for (; i + 8 <= n; i += 8)
            for (size_t j = 0; j < 8; j++) part[j] += t->table[rows[i + j]];
        for (; i < n; i++) part[0] += t->table[rows[i]];
        for (size_t j = 1; j < 8; j++) part[0] += part[j];
        x[0] = part[0] * factor;
        return;
    }
    memset(x, 0, width * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        const float *restrict row = t->table + (size_t)rows[i] * width;
        for (size_t j = 0; j < width; j++) x[j] += row[j];
    }
    for (size_t j = 0; j < width; j++) x[j] *= factor;
}
