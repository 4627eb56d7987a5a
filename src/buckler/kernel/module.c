/* buckler._kernel: the C kernel for Python, in the stable ABI. Buffers in, buffers out. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdlib.h>

#include "arrow_c.h"
#include "buckler.h"

enum { STACK_SCRATCH = 1 << 15 };

/* --- texts ------------------------------------------------------------------------------------ */

typedef struct {
    const uint8_t *bytes;
    Py_ssize_t length;
    PyObject *owner; /* NULL where the object itself keeps the bytes */
} text_view;

static int view_text(PyObject *object, text_view *view) {
    view->owner = NULL;
    if (PyUnicode_Check(object)) {
        view->bytes = (const uint8_t *)PyUnicode_AsUTF8AndSize(object, &view->length);
        if (view->bytes) return 0;
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError)) return -1;
        PyErr_Clear(); /* lone surrogates: legal in a str, not in UTF-8 */
        view->owner = PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass");
        if (!view->owner) return -1;
        object = view->owner;
    }
    if (PyBytes_Check(object)) {
        char *bytes;
        if (PyBytes_AsStringAndSize(object, &bytes, &view->length) < 0) return -1;
        view->bytes = (const uint8_t *)bytes;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "a text must be str or bytes, not %R", (PyObject *)Py_TYPE(object));
    return -1;
}

static int writable_floats(PyObject *object, Py_buffer *buffer, Py_ssize_t count) {
    if (PyObject_GetBuffer(object, buffer, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) return -1;
    if (buffer->len == count * (Py_ssize_t)sizeof(float)) return 0;
    PyBuffer_Release(buffer);
    PyErr_SetString(PyExc_ValueError, "the output has the wrong size");
    return -1;
}

/* --- Arrow ------------------------------------------------------------------------------------ */

static int view_column(PyObject *schema_capsule, PyObject *array_capsule, text_column *column) {
    struct ArrowSchema *schema = PyCapsule_GetPointer(schema_capsule, "arrow_schema");
    if (!schema) return -1;
    struct ArrowArray *array = PyCapsule_GetPointer(array_capsule, "arrow_array");
    if (!array) return -1;
    if (!schema->release || !array->release) {
        PyErr_SetString(PyExc_ValueError, "the Arrow column has already been released");
        return -1;
    }
    if (column_open(column, schema, array) == 0) return 0;
    PyErr_Format(PyExc_TypeError,
                 "a text column must hold strings or bytes, not Arrow format '%s'%s", schema->format,
                 schema->dictionary ? " with a dictionary (decode it first)" : "");
    return -1;
}

static void free_schema(PyObject *capsule) {
    struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, "arrow_schema");
    if (schema->release) schema->release(schema);
    free(schema);
}

static void free_array(PyObject *capsule) {
    struct ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    if (array->release) array->release(array);
    free(array);
}

static PyObject *stream_error(struct ArrowArrayStream *stream, PyObject *list, PyObject *schema) {
    const char *why = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "the Arrow stream failed: %s", why ? why : "no reason given");
    Py_XDECREF(list);
    Py_XDECREF(schema);
    return NULL;
}

static PyObject *kernel_split_stream(PyObject *module, PyObject *capsule) {
    (void)module;
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (!stream) return NULL;
    PyObject *list = PyList_New(0);
    struct ArrowSchema *schema = calloc(1, sizeof *schema);
    if (!list || !schema) {
        free(schema);
        PyErr_NoMemory();
        return stream_error(stream, list, NULL);
    }
    if (stream->get_schema(stream, schema) != 0) {
        free(schema);
        return stream_error(stream, list, NULL);
    }
    PyObject *schema_capsule = PyCapsule_New(schema, "arrow_schema", free_schema);
    if (!schema_capsule) return stream_error(stream, list, NULL);
    for (;;) {
        struct ArrowArray *array = calloc(1, sizeof *array);
        if (!array || stream->get_next(stream, array) != 0) {
            free(array);
            return stream_error(stream, list, schema_capsule);
        }
        if (!array->release) { /* the end */
            free(array);
            break;
        }
        PyObject *array_capsule = PyCapsule_New(array, "arrow_array", free_array);
        PyObject *pair = array_capsule ? PyTuple_Pack(2, schema_capsule, array_capsule) : NULL;
        int failed = !pair || PyList_Append(list, pair) < 0;
        Py_XDECREF(array_capsule);
        Py_XDECREF(pair);
        if (failed) return stream_error(stream, list, schema_capsule);
    }
    Py_DECREF(schema_capsule);
    return list;
}

static PyObject *kernel_column_length(PyObject *module, PyObject *capsule) {
    (void)module;
    struct ArrowArray *array = PyCapsule_GetPointer(capsule, "arrow_array");
    return array ? PyLong_FromLongLong(array->length) : NULL;
}

/* --- normalising ------------------------------------------------------------------------------ */

static int check_capacity(Py_ssize_t capacity) {
    if (capacity >= 1 && capacity <= (Py_ssize_t)BK_MAX_TEXT_BYTES) return 0;
    PyErr_SetString(PyExc_ValueError, "max_bytes must be 1 to 1048576");
    return -1;
}

static PyObject *kernel_normalise(PyObject *module, PyObject *args) {
    (void)module;
    int normaliser;
    PyObject *object;
    Py_ssize_t capacity;
    text_view view;
    if (!PyArg_ParseTuple(args, "iOn", &normaliser, &object, &capacity) ||
        check_capacity(capacity) < 0 || view_text(object, &view) < 0)
        return NULL;
    uint8_t *out = malloc((size_t)capacity + BK_PADDING);
    PyObject *result = NULL;
    if (out) {
        size_t length = bk_normalise((bk_normaliser)normaliser, view.bytes, (size_t)view.length, out,
                                     (size_t)capacity);
        result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)length);
    } else {
        PyErr_NoMemory();
    }
    free(out);
    Py_XDECREF(view.owner);
    return result;
}

static PyObject *kernel_normalise_column(PyObject *module, PyObject *args) {
    (void)module;
    int normaliser;
    PyObject *schema, *array;
    Py_ssize_t capacity;
    text_column column;
    if (!PyArg_ParseTuple(args, "iOOn", &normaliser, &schema, &array, &capacity) ||
        check_capacity(capacity) < 0 || view_column(schema, array, &column) < 0)
        return NULL;
    int64_t rows = column.array->length;
    size_t room = 1 << 16, used = 0;
    int64_t *offsets = malloc(((size_t)rows + 1) * sizeof *offsets);
    uint8_t *data = malloc(room);
    int failed = !offsets || !data;
    Py_BEGIN_ALLOW_THREADS
    for (int64_t i = 0; i < rows && !failed; i++) {
        size_t length = 0;
        const uint8_t *text = column_text(&column, i, &length);
        offsets[i] = (int64_t)used;
        size_t limit = length < (size_t)capacity ? length : (size_t)capacity;
        limit = 4 * limit + 16 < (size_t)capacity ? 4 * limit + 16 : (size_t)capacity;
        if (used + limit + BK_PADDING > room) {
            uint8_t *grown = realloc(data, room = 2 * room + limit + BK_PADDING);
            failed = !grown;
            data = grown ? grown : data;
        }
        if (text && !failed)
            used += bk_normalise((bk_normaliser)normaliser, text, length, data + used, limit);
    }
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (failed) {
        PyErr_NoMemory();
    } else {
        offsets[rows] = (int64_t)used;
        result = Py_BuildValue("(y#y#)", (const char *)offsets,
                               (Py_ssize_t)(((size_t)rows + 1) * sizeof *offsets),
                               (const char *)data, (Py_ssize_t)used);
    }
    free(offsets);
    free(data);
    return result;
}

static PyObject *kernel_ngram_rows(PyObject *module, PyObject *args) {
    (void)module;
    unsigned int min_order, max_order, table_bits;
    const char *text;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "IIIy#", &min_order, &max_order, &table_bits, &text, &length))
        return NULL;
    if (min_order < 1 || min_order > max_order || max_order > BK_MAX_ORDER || table_bits < 1 ||
        table_bits > BK_MAX_TABLE_BITS || length > (Py_ssize_t)BK_MAX_TEXT_BYTES) {
        PyErr_SetString(PyExc_ValueError, "orders, table_bits or length out of range");
        return NULL;
    }
    size_t stride = (size_t)length + 2, n_rows = stride * (max_order - min_order + 1);
    uint8_t *framed = malloc(stride + BK_PADDING);
    uint32_t *rows = malloc(n_rows * sizeof *rows);
    PyObject *result = NULL;
    if (framed && rows) {
        bk_ngram_rows(min_order, max_order, table_bits, (const uint8_t *)text, (size_t)length,
                      framed, rows, stride);
        result = PyBytes_FromStringAndSize((const char *)rows, (Py_ssize_t)(n_rows * sizeof *rows));
    } else {
        PyErr_NoMemory();
    }
    free(framed);
    free(rows);
    return result;
}

/* --- the scorer ------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    bk_ngram model;
    size_t scratch_bytes;
    Py_buffer table, head, bias;
} ngram_object;

static int read_only(PyObject *object, Py_buffer *buffer, Py_ssize_t size, const char *name) {
    if (PyObject_GetBuffer(object, buffer, PyBUF_C_CONTIGUOUS) < 0) return -1;
    if (buffer->len == size) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes where %zd are needed", name, buffer->len, size);
    return -1;
}

static void ngram_dealloc(PyObject *object) {
    ngram_object *self = (ngram_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyBuffer_Release(&self->table);
    PyBuffer_Release(&self->head);
    PyBuffer_Release(&self->bias);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static PyObject *ngram_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"normaliser", "max_bytes", "min_order", "max_order", "table_bits",
                            "width",      "n_outputs", "scale",     "table",     "head",
                            "bias",       NULL};
    int normaliser;
    bk_ngram m = {0};
    PyObject *table, *head, *bias;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iIIIIIIfOOO", names, &normaliser, &m.max_bytes,
                                     &m.min_order, &m.max_order, &m.table_bits, &m.width,
                                     &m.n_outputs, &m.scale, &table, &head, &bias))
        return NULL;
    m.normaliser = (bk_normaliser)normaliser;
    m.table = (const int8_t *)"";
    m.head = head == Py_None ? NULL : (const float *)"";
    m.bias = (const float *)"";
    const char *problem = bk_ngram_check(&m); /* before any size is computed from the numbers */
    if (problem) {
        PyErr_SetString(PyExc_ValueError, problem);
        return NULL;
    }
    ngram_object *self = (ngram_object *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self) return NULL;
    Py_ssize_t width = (Py_ssize_t)m.width, outputs = (Py_ssize_t)m.n_outputs;
    if (read_only(table, &self->table, width << m.table_bits, "table") < 0 ||
        (head != Py_None && read_only(head, &self->head, width * outputs * 4, "head") < 0) ||
        read_only(bias, &self->bias, outputs * 4, "bias") < 0) {
        Py_DECREF(self);
        return NULL;
    }
    m.table = self->table.buf;
    m.head = self->head.buf;
    m.bias = self->bias.buf;
    self->model = m;
    self->scratch_bytes = bk_ngram_scratch_bytes(&m);
    return (PyObject *)self;
}

static PyObject *ngram_score_one(PyObject *object, PyObject *text) {
    ngram_object *self = (ngram_object *)object;
    text_view view;
    if (view_text(text, &view) < 0) return NULL;
    _Alignas(64) uint8_t stack[STACK_SCRATCH];
    float out[BK_MAX_WIDTH];
    void *scratch = self->scratch_bytes <= STACK_SCRATCH ? stack : malloc(self->scratch_bytes);
    if (!scratch) {
        Py_XDECREF(view.owner);
        return PyErr_NoMemory();
    }
    bk_ngram_score(&self->model, view.bytes, (size_t)view.length, scratch, out);
    if (scratch != stack) free(scratch);
    Py_XDECREF(view.owner);
    if (self->model.n_outputs == 1) return PyFloat_FromDouble(out[0]);
    PyObject *result = PyTuple_New((Py_ssize_t)self->model.n_outputs);
    for (uint32_t j = 0; result && j < self->model.n_outputs; j++) {
        PyObject *value = PyFloat_FromDouble(out[j]);
        if (!value || PyTuple_SetItem(result, j, value) < 0) Py_CLEAR(result);
    }
    return result;
}

static int check_range(Py_ssize_t begin, Py_ssize_t end, Py_ssize_t length) {
    if (0 <= begin && begin <= end && end <= length) return 0;
    PyErr_SetString(PyExc_IndexError, "begin and end must lie inside the batch");
    return -1;
}

static PyObject *ngram_score_list(PyObject *object, PyObject *args) {
    ngram_object *self = (ngram_object *)object;
    PyObject *list, *target;
    Py_buffer out;
    if (!PyArg_ParseTuple(args, "OO", &list, &target)) return NULL;
    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "texts must be a list");
        return NULL;
    }
    Py_ssize_t n = PyList_Size(list), outputs = (Py_ssize_t)self->model.n_outputs;
    if (writable_floats(target, &out, n * outputs) < 0) return NULL;
    void *scratch = malloc(self->scratch_bytes);
    int failed = !scratch;
    if (failed) PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n && !failed; i++) {
        text_view view;
        PyObject *item = PyList_GetItem(list, i);
        float *row = (float *)out.buf + i * outputs;
        if (item == Py_None) {
            for (Py_ssize_t j = 0; j < outputs; j++) row[j] = NAN;
        } else if (item && view_text(item, &view) == 0) {
            bk_ngram_prepare(&self->model, view.bytes, (size_t)view.length, scratch);
            bk_ngram_logits(&self->model, scratch, row);
            Py_XDECREF(view.owner);
        } else {
            failed = 1;
        }
    }
    if (!failed) bk_ngram_probabilities(&self->model, out.buf, (size_t)n);
    free(scratch);
    PyBuffer_Release(&out);
    if (failed) return NULL;
    Py_RETURN_NONE;
}

static PyObject *ngram_score_column(PyObject *object, PyObject *args) {
    ngram_object *self = (ngram_object *)object;
    PyObject *schema, *array, *target;
    Py_ssize_t begin, end;
    text_column column;
    Py_buffer out;
    int as_logits = 0;
    if (!PyArg_ParseTuple(args, "OOnnO|p", &schema, &array, &begin, &end, &target, &as_logits) ||
        view_column(schema, array, &column) < 0 ||
        check_range(begin, end, (Py_ssize_t)column.array->length) < 0)
        return NULL;
    Py_ssize_t outputs = (Py_ssize_t)self->model.n_outputs;
    if (writable_floats(target, &out, (end - begin) * outputs) < 0) return NULL;
    uint8_t *scratch = malloc(2 * self->scratch_bytes);
    if (!scratch) {
        PyBuffer_Release(&out);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    float *waiting = NULL; /* the row of the text that is prepared but not yet scored */
    size_t side = 0;
    for (Py_ssize_t i = begin; i <= end; i++) {
        size_t length = 0, other = self->scratch_bytes - side;
        const uint8_t *text = i < end ? column_text(&column, i, &length) : NULL;
        float *row = (float *)out.buf + (i - begin) * outputs;
        if (text) bk_ngram_prepare(&self->model, text, length, scratch + side);
        if (waiting) bk_ngram_logits(&self->model, scratch + other, waiting);
        waiting = text ? row : NULL;
        side = other;
        for (Py_ssize_t j = 0; !text && i < end && j < outputs; j++) row[j] = NAN;
    }
    if (!as_logits) bk_ngram_probabilities(&self->model, out.buf, (size_t)(end - begin));
    Py_END_ALLOW_THREADS
    free(scratch);
    PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

static PyMethodDef ngram_methods[] = {
    {"score_one", ngram_score_one, METH_O, NULL},
    {"score_list", ngram_score_list, METH_VARARGS, NULL},
    {"score_column", ngram_score_column, METH_VARARGS, NULL},
    {0},
};

static PyType_Slot ngram_slots[] = {
    {Py_tp_new, ngram_new},
    {Py_tp_dealloc, ngram_dealloc},
    {Py_tp_methods, ngram_methods},
    {0, NULL},
};

static PyType_Spec ngram_spec = {"buckler._kernel.Ngram", sizeof(ngram_object), 0,
                                 Py_TPFLAGS_DEFAULT, ngram_slots};

/* --- training --------------------------------------------------------------------------------- */

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

static PyObject *kernel_train(PyObject *module, PyObject *args) {
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

static PyObject *kernel_predict(PyObject *module, PyObject *args) {
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

static PyObject *kernel_simd(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return PyUnicode_FromString(bk_simd());
}

static PyObject *kernel_simd_select(PyObject *module, PyObject *name) {
    (void)module;
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    return text ? PyBool_FromLong(bk_simd_select(text) == 0) : NULL;
}

static PyMethodDef kernel_methods[] = {
    {"normalise", kernel_normalise, METH_VARARGS, NULL},
    {"normalise_column", kernel_normalise_column, METH_VARARGS, NULL},
    {"ngram_rows", kernel_ngram_rows, METH_VARARGS, NULL},
    {"split_stream", kernel_split_stream, METH_O, NULL},
    {"column_length", kernel_column_length, METH_O, NULL},
    {"train", kernel_train, METH_VARARGS, NULL},
    {"predict", kernel_predict, METH_VARARGS, NULL},
    {"simd", kernel_simd, METH_NOARGS, NULL},
    {"simd_select", kernel_simd_select, METH_O, NULL},
    {0},
};

static int kernel_exec(PyObject *module) {
    PyObject *type = PyType_FromSpec(&ngram_spec);
    if (!type) return -1;
    int failed = PyModule_AddObjectRef(module, "Ngram", type);
    Py_DECREF(type);
    return failed || PyModule_AddIntConstant(module, "ABI_VERSION", BK_ABI_VERSION);
}

static PyModuleDef_Slot kernel_slots[] = {{Py_mod_exec, kernel_exec}, {0, NULL}};

static PyModuleDef kernel_module = {
    PyModuleDef_HEAD_INIT, "_kernel", "The C kernel; see kernel/buckler.h.", 0, kernel_methods,
    kernel_slots,          NULL,      NULL,                                  NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&kernel_module); }
