/* The Arrow C data and stream interfaces, as far as text columns need them. */
#ifndef BUCKLER_ARROW_C_H
#define BUCKLER_ARROW_C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The three structs are an ABI: arrow.apache.org/docs/format/CDataInterface.html */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

typedef enum { COLUMN_OFFSETS32, COLUMN_OFFSETS64, COLUMN_VIEWS } column_layout;

typedef struct {
    column_layout layout;
    const struct ArrowArray *array;
} text_column;

/* 0, or -1 where the column does not hold strings or bytes. */
static inline int column_open(text_column *c, const struct ArrowSchema *s,
                              const struct ArrowArray *a) {
    static const struct { const char *format; column_layout layout; } known[] = {
        {"u", COLUMN_OFFSETS32}, {"z", COLUMN_OFFSETS32}, {"U", COLUMN_OFFSETS64},
        {"Z", COLUMN_OFFSETS64}, {"vu", COLUMN_VIEWS},    {"vz", COLUMN_VIEWS},
    };
    if (s->dictionary) return -1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].format, s->format) == 0) {
            c->layout = known[i].layout;
            c->array = a;
            return 0;
        }
    return -1;
}

/* The bytes of row i; NULL for a null. */
static inline const uint8_t *column_text(const text_column *c, int64_t i, size_t *length) {
    const struct ArrowArray *a = c->array;
    const uint8_t *valid = a->buffers[0];
    i += a->offset;
    if (valid && a->null_count != 0 && !(valid[i >> 3] >> (i & 7) & 1)) return NULL;
    if (c->layout == COLUMN_VIEWS) {
        const uint8_t *view = (const uint8_t *)a->buffers[1] + 16 * i;
        int32_t part[4];
        memcpy(part, view, sizeof part);
        *length = (size_t)part[0];
        return part[0] <= 12 ? view + 4 : (const uint8_t *)a->buffers[2 + part[2]] + part[3];
    }
    const uint8_t *data = a->buffers[2];
    int64_t from, to;
    if (c->layout == COLUMN_OFFSETS32) {
        const int32_t *offsets = a->buffers[1];
        from = offsets[i], to = offsets[i + 1];
    } else {
        const int64_t *offsets = a->buffers[1];
        from = offsets[i], to = offsets[i + 1];
    }
    *length = (size_t)(to - from);
    static const uint8_t nothing[1];
    return data ? data + from : nothing;
}
#endif
