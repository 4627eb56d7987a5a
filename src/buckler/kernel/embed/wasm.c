/* What a WebAssembly host calls: it has one model and one text at a time. */
#include <stdlib.h>

#include "buckler.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

static bk_model model;
static void *scratch;
static float outputs[BK_MAX_WIDTH];

void *EXPORT(bk_alloc)(size_t size) { return malloc(size); }
void EXPORT(bk_free)(void *data) { free(data); }

/* 0, or the address of a message that ends with a zero byte. `data` must stay. */
const char *EXPORT(bk_open)(const void *data, size_t size) {
    const char *problem = bk_model_open(&model, data, size);
    if (problem) return problem;
    free(scratch);
    scratch = malloc(bk_ngram_scratch_bytes(&model.ngram));
    return scratch ? NULL : "out of memory";
}

/* The score; bk_outputs() has the probabilities. */
float EXPORT(bk_score)(const uint8_t *text, size_t length) {
    return bk_model_score(&model, text, length, scratch, outputs);
}

const float *EXPORT(bk_outputs)(void) { return outputs; }
uint32_t EXPORT(bk_n_outputs)(void) { return model.ngram.n_outputs; }
float EXPORT(bk_threshold)(void) { return model.threshold; }
