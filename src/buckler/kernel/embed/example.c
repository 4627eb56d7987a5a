/*
 * Scores lines of text with a flat model:
 *
 *     example model.bkm < urls.txt             score, a tab, and the text; DETECTION where it detections
 *     example model.bkm --check vectors.txt    every bit of the conformance vectors, else exit 1
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buckler.h"

enum { LONGEST = 1 << 20 };

static void *read_whole(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) return NULL;
    long end = ftell(file);
    rewind(file);
    void *data = end > 0 ? malloc((size_t)end) : NULL;
    if (data && fread(data, 1, (size_t)end, file) != (size_t)end) data = NULL;
    fclose(file);
    *size = (size_t)end;
    return data;
}

/* A line is the text in hexadecimal (or "-"), then each output's 32 bits in hexadecimal. */
static int check(const bk_model *model, const char *path, void *scratch) {
    size_t size;
    char *data = read_whole(path, &size), *line = data;
    if (!data) return fprintf(stderr, "%s: cannot be read\n", path), 2;
    int lines = 0, wrong = 0;
    float out[BK_MAX_WIDTH];
    for (char *end; line < data + size && (end = memchr(line, '\n', (size_t)(data + size - line)));
         line = end + 1) {
        *end = 0;
        char *word = strtok(line, " ");
        size_t length = strcmp(word, "-") ? strlen(word) / 2 : 0;
        uint8_t *text = malloc(length + 1);
        for (size_t i = 0; i < length; i++) {
            char pair[3] = {word[2 * i], word[2 * i + 1], 0};
            text[i] = (uint8_t)strtoul(pair, NULL, 16);
        }
        bk_model_score(model, text, length, scratch, out);
        free(text);
        for (uint32_t j = 0; j < model->ngram.n_outputs; j++) {
            uint32_t bits, wanted = (uint32_t)strtoul(strtok(NULL, " "), NULL, 16);
            memcpy(&bits, out + j, sizeof bits);
            wrong += bits != wanted;
        }
        lines++;
    }
    printf("%d vectors, %d outputs differ\n", lines, wrong);
    free(data);
    return wrong || !lines;
}

int main(int count, char **arguments) {
    if (count != 2 && !(count == 4 && strcmp(arguments[2], "--check") == 0)) {
        fprintf(stderr, "usage: example MODEL [--check VECTORS]\n");
        return 2;
    }
    size_t size;
    void *data = read_whole(arguments[1], &size);
    bk_model model;
    const char *problem = data ? bk_model_open(&model, data, size) : "cannot be read";
    if (problem) {
        fprintf(stderr, "%s: %s\n", arguments[1], problem);
        free(data);
        return 2;
    }
    void *scratch = malloc(bk_ngram_scratch_bytes(&model.ngram)); /* one for each thread */
    if (!scratch) return 2;
    int result = 0;
    if (count == 4) {
        result = check(&model, arguments[3], scratch);
    } else {
        static char line[LONGEST];
        float out[BK_MAX_WIDTH];
        while (fgets(line, sizeof line, stdin)) {
            size_t length = strcspn(line, "\r\n");
            float score = bk_model_score(&model, (uint8_t *)line, length, scratch, out);
            printf("%.6f%s\t%.*s\n", (double)score, score >= model.threshold ? " DETECTION" : "",
                   (int)length, line);
        }
    }
    free(scratch);
    free(data);
    return result;
}
