/* Normalizes or scores the lines of a file, each as often as told: instructions.py counts what it runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buckler.h"

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    FILE *file = fopen(argv[1], "rb");
    const bk_normalizer kind = (bk_normalizer)atoi(argv[2]);
    const int scored = atoi(argv[3]), times = atoi(argv[4]);
    static char text[1 << 24];
    const size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    uint8_t *out = malloc(768 + BK_PADDING);
    int8_t *table = calloc(1 << 18, 1);
    float bias = 0, score = 0;
    bk_ngram model = {.min_order = 1, .max_order = 5, .table_bits = 18, .width = 1, .n_outputs = 1,
                      .max_bytes = 768, .normalizer = kind, .scale = 1, .table = table, .bias = &bias};
    void *scratch = malloc(bk_ngram_scratch_bytes(&model));
    for (int i = 0; i < times; i++)
        for (char *at = text, *end; at < text + size && (end = memchr(at, '\n', (size_t)(text + size - at))); at = end + 1) {
            const uint8_t *line = (const uint8_t *)at;
            if (scored) bk_ngram_score(&model, line, (size_t)(end - at), scratch, &score);
            else bk_normalize(kind, line, (size_t)(end - at), out, 768);
        }
    printf("%f\n", (double)score);
    return 0;
}
