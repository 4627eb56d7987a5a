/* One copy of the loops of the `ngram` student and of url-v3 for each instruction set, chosen at run time. */
#include <stdatomic.h>

#include "ngram_parts.h"
#include "url_features.h"

#define HASH_MULTIPLIER 0x9E3779B1u
#define TINY 1e-8f
typedef int8_t bytes16 __attribute__((vector_size(16)));
typedef int16_t shorts8 __attribute__((vector_size(16)));
static const uint32_t lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#if defined(__SSE2__)
#include <emmintrin.h>
#else
/* The lowest bit of each of 16 bytes that are all ones or all zeros. */
static inline uint32_t bits_of(bytes16 mask) {
    uint64_t half[2];
    memcpy(half, &mask, sizeof half);
    for (int i = 0; i < 2; i++) half[i] = (half[i] & 0x8040201008040201u) * 0x0101010101010101u >> 56;
    return (uint32_t)(half[0] | half[1] << 8);
}
#endif

#define BK_PATH(name) name##_portable
#define LANES 4
#include "ngram_path.h"
#include "url_path.h"
#undef LANES
#undef BK_PATH

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define BK_X86_PATHS 1
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#define BK_PATH(name) name##_avx2
#define LANES 8
#include "ngram_path.h"
#include "url_path.h"
#undef LANES
#undef BK_PATH
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,lzcnt,popcnt,prefer-vector-width=512")
#define BK_PATH(name) name##_avx512
#define LANES 16
#include "ngram_path.h"
#include "url_path.h"
#undef LANES
#undef BK_PATH
#pragma GCC pop_options
#endif

#define BK_PATH_TABLE(p) \
    {#p, add_rows_##p, list_rows_##p, sum_weights_##p, update_narrow_##p, update_wide_##p, embed_##p, write_url3_##p, normalize_url3_##p}

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
    if (strcmp(p->name, "portable") && !(__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                                         __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("popcnt")))
        return 0;
    if (strcmp(p->name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (strcmp(p->name, "avx2") == 0) return __builtin_cpu_supports("avx2");
#endif
    return strcmp(p->name, "portable") == 0;
}

const path *bk_current_path(void) {
    const path *p = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (p) return p;
    for (p = paths; !path_runs_here(p); p++) {
    }
    atomic_store_explicit(&chosen, p, memory_order_relaxed);
    return p;
}

const char *bk_simd(void) { return bk_current_path()->name; }

int bk_simd_select(const char *name) {
    for (size_t i = 0; i < N_PATHS; i++)
        if (strcmp(paths[i].name, name) == 0 && path_runs_here(&paths[i])) {
            atomic_store_explicit(&chosen, &paths[i], memory_order_relaxed);
            return 0;
        }
    return -1;
}

size_t bk_feature_rows(uint32_t table_bits, const uint8_t *normalized, size_t length, uint32_t *rows) {
    text_parts parts;
    uint32_t found[BK_MAX_TEXT_FEATURES];
    bk_find_parts(normalized, length, &parts);
    hash_features_portable(parts.features, parts.n_features, table_bits, found);
    memcpy(rows, found, parts.n_features * sizeof *rows);
    return parts.n_features;
}

void bk_ngram_rows(uint32_t min_order, uint32_t max_order, uint32_t table_bits,
                   const uint8_t *normalized, size_t length, uint8_t *framed, uint32_t *rows,
                   size_t stride) {
    uint32_t block[BK_MAX_ORDER][BLOCK_ROWS];
    text_parts parts;
    memcpy(framed + 1, normalized, length);
    framed_text f = frame(framed, bk_find_parts(normalized, length, &parts), &parts);
    length = f.length;
    for (size_t start = 0; start < length; start += BLOCK) {
        size_t n = length - start < BLOCK ? length - start : BLOCK;
        hash_block_portable(&f, start, n, min_order, max_order, table_bits, block);
        for (uint32_t k = 0; k + min_order <= max_order; k++)
            memcpy(rows + k * stride + start, block[k], n * sizeof *rows);
    }
}
