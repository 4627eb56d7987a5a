/* MinHash signatures of texts (Broder 1997): the share of equal numbers in two signatures estimates the
   share of runs of bytes that two texts have in common. Each of 16 random orders of the hashes, on a
   circle, is begun at eight places: so short texts are sampled almost without repetition. */
#include <string.h>

#include "binding.h"

enum { RUN = 5, N_NUMBERS = 128, MAX_RUNS = 4096, N_ORDERS = 16 };

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Keeps the least of what each of the functions a * x + b, modulo 2 ** 32, makes of the hashes. */
static inline __attribute__((always_inline)) void keep_least(const uint32_t *hashes, size_t n, const uint32_t *a,
                                                             const uint32_t *b, uint32_t *least) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_NUMBERS; k++) {
            const uint32_t value = a[k] * hashes[i] + b[k];
            least[k] = value < least[k] ? value : least[k];
        }
}

static void keep_least_portable(const uint32_t *hashes, size_t n, const uint32_t *a, const uint32_t *b,
                                uint32_t *least) {
    keep_least(hashes, n, a, b, least);
}

#if defined(__GNUC__) && defined(__x86_64__)
__attribute__((target("avx2"))) static void keep_least_avx2(const uint32_t *hashes, size_t n, const uint32_t *a,
                                                            const uint32_t *b, uint32_t *least) {
    keep_least(hashes, n, a, b, least);
}
#endif

/* Hashes every run of five bytes; a shorter text is one run. Returns their number. */
static size_t hash_runs(const uint8_t *text, size_t length, uint32_t *hashes) {
    size_t n = length < RUN ? length > 0 : length - RUN + 1;
    if (n > MAX_RUNS) n = MAX_RUNS;
    const size_t width = length < RUN ? length : RUN;
    for (size_t i = 0; i < n; i++) {
        uint64_t run = width;
        for (size_t k = 0; k < width; k++) run = run << 8 | text[i + k];
        hashes[i] = (uint32_t)mix(run);
    }
    return n;
}

static void sign_texts(const int64_t *offsets, size_t n, const uint8_t *data, uint32_t *signatures) {
    void (*keep)(const uint32_t *, size_t, const uint32_t *, const uint32_t *, uint32_t *) = keep_least_portable;
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) keep = keep_least_avx2;
#endif
    uint32_t a[N_NUMBERS], b[N_NUMBERS], hashes[MAX_RUNS];
    for (uint32_t k = 0; k < N_NUMBERS; k++) {
        a[k] = (uint32_t)mix(k % N_ORDERS) | 1;
        b[k] = k / N_ORDERS << 29;
    }
    memset(signatures, 0xFF, n * N_NUMBERS * sizeof *signatures);
    for (size_t i = 0; i < n; i++) {
        const size_t length = (size_t)(offsets[i + 1] - offsets[i]);
        keep(hashes, hash_runs(data + offsets[i], length, hashes), a, b, signatures + i * N_NUMBERS);
    }
}

PyObject *bk_minhash(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer offsets, data;
    if (!PyArg_ParseTuple(args, "y*y*", &offsets, &data)) return NULL;
    PyObject *signatures = NULL;
    const int64_t *o = offsets.buf;
    const Py_ssize_t size = (Py_ssize_t)sizeof *o, n = offsets.len / size - 1;
    int fits = offsets.len % size == 0 && n >= 0 && o[0] >= 0 && o[n] <= data.len;
    for (Py_ssize_t i = 0; fits && i < n; i++) fits = o[i] <= o[i + 1];
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "these texts are not in the data");
    else
        signatures = PyBytes_FromStringAndSize(NULL, n * N_NUMBERS * (Py_ssize_t)sizeof(uint32_t));
    if (signatures) {
        uint32_t *out = (uint32_t *)(void *)PyBytes_AsString(signatures);
        Py_BEGIN_ALLOW_THREADS
        sign_texts(o, (size_t)n, data.buf, out);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&data);
    return signatures;
}
