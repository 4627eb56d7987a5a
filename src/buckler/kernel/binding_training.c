/* buckler._kernel.train and predict: NumPy arrays in, checked, and the kernel's loops on them. */
#include "binding.h"

enum { TABLE, TABLE_SQUARES, HEAD, HEAD_SQUARES, BIAS, BIAS_SQUARES, OFFSETS, DATA, TARGETS, WEIGHTS,
       ORDER, OUT, N_BUFFERS };

typedef struct {
    bk_ngram_trainer trainer;
    bk_examples examples;
    size_t n_examples, longest;
    Py_buffer buffers[N_BUFFERS];
} training_call;

static void release_call(training_call *call) {
    for (int i = 0; i < N_BUFFERS; i++) PyBuffer_Release(&call->buffers[i]);
}

static int take(training_call *call, int which, PyObject *object, Py_ssize_t size, int writable,
                const char *name) {
    Py_buffer *b = &call->buffers[which];
    if (PyObject_GetBuffer(object, b, PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0)) < 0)
        return -1;
    if (size < 0 || b->len == size) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes where %zd are needed", name, b->len, size);
    return -1;
}

/* settings = (min_order, max_order, table_bits, width, n_outputs, learning_rate, l2, dropout, seed)
   arrays = (table, table_squares, head, head_squares, bias, bias_squares); examples = (offsets, data) */
static int parse_call(training_call *call, PyObject *settings, PyObject *arrays, PyObject *examples) {
    bk_ngram_trainer *t = &call->trainer;
    PyObject *a[6], *offsets, *data;
    unsigned long long seed;
    if (!PyArg_ParseTuple(settings, "IIIIIfffK", &t->min_order, &t->max_order, &t->table_bits,
                          &t->width, &t->n_outputs, &t->learning_rate, &t->l2, &t->dropout, &seed) ||
        !PyArg_ParseTuple(arrays, "OOOOOO", &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) ||
        !PyArg_ParseTuple(examples, "OO", &offsets, &data))
        return -1;
    t->seed = seed;
    int has_head = a[2] != Py_None;
    static float placeholder[1];
    t->table = t->table_squares = t->bias = t->bias_squares = placeholder;
    t->head = t->head_squares = has_head ? placeholder : NULL;
    const char *problem = bk_ngram_trainer_check(t);
    if (problem) {
        PyErr_SetString(PyExc_ValueError, problem);
        return -1;
    }
    Py_ssize_t rows = (Py_ssize_t)1 << t->table_bits, width = (Py_ssize_t)t->width,
               outputs = (Py_ssize_t)t->n_outputs;
    if (take(call, TABLE, a[0], rows * width * 4, 1, "table") < 0 ||
        take(call, TABLE_SQUARES, a[1], rows * 4, 1, "table_squares") < 0 ||
        (has_head && (take(call, HEAD, a[2], width * outputs * 4, 1, "head") < 0 ||
                      take(call, HEAD_SQUARES, a[3], width * outputs * 4, 1, "head_squares") < 0)) ||
        take(call, BIAS, a[4], outputs * 4, 1, "bias") < 0 ||
        take(call, BIAS_SQUARES, a[5], outputs * 4, 1, "bias_squares") < 0 ||
        take(call, OFFSETS, offsets, -1, 0, "offsets") < 0 ||
        take(call, DATA, data, -1, 0, "data") < 0)
        return -1;
    t->table = call->buffers[TABLE].buf;
    t->table_squares = call->buffers[TABLE_SQUARES].buf;
    t->head = call->buffers[HEAD].buf;
    t->head_squares = call->buffers[HEAD_SQUARES].buf;
    t->bias = call->buffers[BIAS].buf;
    t->bias_squares = call->buffers[BIAS_SQUARES].buf;
    call->examples.offsets = call->buffers[OFFSETS].buf;
    call->examples.data = call->buffers[DATA].buf;
    Py_ssize_t n = call->buffers[OFFSETS].len / 8 - 1;
    if (n < 0 || call->buffers[OFFSETS].len % 8) {
        PyErr_SetString(PyExc_ValueError, "offsets must be n + 1 numbers of 64 bits");
        return -1;
    }
    call->n_examples = (size_t)n;
    const int64_t *o = call->examples.offsets;
    int64_t longest = 0;
    int sound = o[0] >= 0 && o[n] <= call->buffers[DATA].len;
    for (Py_ssize_t i = 0; i < n && sound; i++) {
        sound = o[i] <= o[i + 1];
        if (o[i + 1] - o[i] > longest) longest = o[i + 1] - o[i];
    }
    if (!sound || longest > (int64_t)BK_MAX_TEXT_BYTES) {
        PyErr_SetString(PyExc_ValueError, "offsets are not sound, or a text is longer than 1 MiB");
        return -1;
    }
    call->longest = (size_t)longest;
    return 0;
}

PyObject *bk_train(PyObject *module, PyObject *args) {
    (void)module;
    training_call call = {0};
    PyObject *settings, *arrays, *examples, *targets, *weights, *order, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOO", &settings, &arrays, &examples, &targets, &weights, &order))
        return NULL;
    if (parse_call(&call, settings, arrays, examples) < 0) goto done;
    Py_ssize_t n = (Py_ssize_t)call.n_examples;
    if (take(&call, TARGETS, targets, n * (Py_ssize_t)call.trainer.n_outputs * 4, 0, "targets") < 0 ||
        take(&call, WEIGHTS, weights, n * 4, 0, "weights") < 0 ||
        take(&call, ORDER, order, -1, 0, "order") < 0)
        goto done;
    call.examples.targets = call.buffers[TARGETS].buf;
    call.examples.weights = call.buffers[WEIGHTS].buf;
    const uint32_t *rows = call.buffers[ORDER].buf;
    size_t steps = (size_t)call.buffers[ORDER].len / sizeof *rows;
    for (size_t i = 0; i < steps; i++)
        if (rows[i] >= call.n_examples) {
            PyErr_SetString(PyExc_IndexError, "order names an example that is not there");
            goto done;
        }
    void *scratch = malloc(bk_ngram_train_scratch_bytes(&call.trainer, call.longest));
    if (!scratch) {
        PyErr_NoMemory();
        goto done;
    }
    double loss;
    Py_BEGIN_ALLOW_THREADS
    loss = bk_ngram_train(&call.trainer, &call.examples, rows, 0, steps, scratch);
    Py_END_ALLOW_THREADS
    free(scratch);
    result = PyFloat_FromDouble(loss);
done:
    release_call(&call);
    return result;
}

PyObject *bk_predict(PyObject *module, PyObject *args) {
    (void)module;
    training_call call = {0};
    PyObject *settings, *arrays, *examples, *out, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOOO", &settings, &arrays, &examples, &out)) return NULL;
    if (parse_call(&call, settings, arrays, examples) < 0 ||
        take(&call, OUT, out, (Py_ssize_t)(call.n_examples * call.trainer.n_outputs * 4), 1, "out") < 0)
        goto done;
    void *scratch = malloc(bk_ngram_train_scratch_bytes(&call.trainer, call.longest));
    if (!scratch) {
        PyErr_NoMemory();
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    bk_ngram_predict(&call.trainer, &call.examples, 0, call.n_examples, scratch,
                     call.buffers[OUT].buf);
    Py_END_ALLOW_THREADS
    free(scratch);
    result = Py_NewRef(Py_None);
done:
    release_call(&call);
    return result;
}

/* --- rows of normalized texts ---------------------------------------------------------------------- */

/* Copies texts that begin at starts[i] to offsets[i] up to offsets[i + 1]; 0, or -1 where one is not inside. */
static int copy_texts(const Py_buffer *data, const Py_buffer *starts, const Py_buffer *offsets, char *out) {
    const int64_t *from = starts->buf, *to = offsets->buf;
    const Py_ssize_t n = starts->len / (Py_ssize_t)sizeof *from;
    if (to[0]) return -1;
    for (Py_ssize_t i = 0; i < n; i++) {
        const int64_t length = to[i + 1] - to[i];
        if (to[i] < 0 || length < 0 || to[i + 1] > to[n] || from[i] < 0 || from[i] > data->len - length) return -1;
        memcpy(out + to[i], (const char *)data->buf + from[i], (size_t)length);
    }
    return 0;
}

PyObject *bk_take_texts(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer data, starts, offsets;
    PyObject *texts = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*", &data, &starts, &offsets)) return NULL;
    const Py_ssize_t size = (Py_ssize_t)sizeof(int64_t), n = starts.len / size;
    const int fits = starts.len % size == 0 && offsets.len == (n + 1) * size;
    const int64_t length = fits ? ((const int64_t *)offsets.buf)[n] : -1;
    if (length >= 0) texts = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)length);
    if (length < 0 || (texts && copy_texts(&data, &starts, &offsets, PyBytes_AsString(texts)) < 0)) {
        Py_CLEAR(texts);
        PyErr_SetString(PyExc_ValueError, "these texts are not in the data");
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&offsets);
    return texts;
}
