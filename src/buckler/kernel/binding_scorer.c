/* buckler._kernel.Ngram: a loaded `ngram` student that scores texts, lists and Arrow columns. */
#include "binding.h"

enum { STACK_SCRATCH = 1 << 15 };

int bk_view_floats(PyObject *object, Py_buffer *buffer, Py_ssize_t count) {
    if (PyObject_GetBuffer(object, buffer, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) return -1;
    if (buffer->len == count * (Py_ssize_t)sizeof(float)) return 0;
    PyBuffer_Release(buffer);
    PyErr_SetString(PyExc_ValueError, "the output has the wrong size");
    return -1;
}

typedef struct {
    PyObject_HEAD
    bk_ngram model;
    size_t scratch_bytes;
    Py_buffer table, head, bias;
} ngram_object;

int bk_view_bytes(PyObject *object, Py_buffer *buffer, Py_ssize_t size, const char *name) {
    if (PyObject_GetBuffer(object, buffer, PyBUF_C_CONTIGUOUS) < 0) return -1;
    if (buffer->len == size) return 0;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes where %zd are needed", name, buffer->len, size);
    PyBuffer_Release(buffer);
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
    static char *names[] = {"normalizer", "max_bytes", "min_order", "max_order", "table_bits",
                            "width",      "n_outputs", "scale",     "table",     "head",
                            "bias",       "segmenter", "combination", "positive", "temperature", NULL};
    int normalizer, segmenter = 0, combination = 0;
    unsigned long long positive = 0;
    bk_ngram m = {0};
    PyObject *table, *head, *bias;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iIIIIIIfOOO|iiKf", names, &normalizer, &m.max_bytes,
                                     &m.min_order, &m.max_order, &m.table_bits, &m.width,
                                     &m.n_outputs, &m.scale, &table, &head, &bias, &segmenter,
                                     &combination, &positive, &m.temperature))
        return NULL;
    m.normalizer = (bk_normalizer)normalizer;
    m.segmenter = (bk_segmenter)segmenter;
    m.combination = (bk_combination)combination;
    m.positive = positive;
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
    if (bk_view_bytes(table, &self->table, width << m.table_bits, "table") < 0 ||
        (head != Py_None && bk_view_bytes(head, &self->head, width * outputs * 4, "head") < 0) ||
        bk_view_bytes(bias, &self->bias, outputs * 4, "bias") < 0) {
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
    if (bk_view_text(text, &view) < 0) return NULL;
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
    if (bk_view_floats(target, &out, n * outputs) < 0) return NULL;
    void *scratch = malloc(self->scratch_bytes);
    int failed = !scratch;
    if (failed) PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n && !failed; i++) {
        text_view view;
        PyObject *item = PyList_GetItem(list, i);
        float *row = (float *)out.buf + i * outputs;
        if (item == Py_None) {
            for (Py_ssize_t j = 0; j < outputs; j++) row[j] = NAN;
        } else if (item && bk_view_text(item, &view) == 0) {
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
        bk_view_column(schema, array, &column) < 0 ||
        check_range(begin, end, (Py_ssize_t)column.array->length) < 0)
        return NULL;
    Py_ssize_t outputs = (Py_ssize_t)self->model.n_outputs;
    if (bk_view_floats(target, &out, (end - begin) * outputs) < 0) return NULL;
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

PyType_Spec bk_scorer_spec = {"buckler._kernel.Ngram", sizeof(ngram_object), 0,
                                 Py_TPFLAGS_DEFAULT, ngram_slots};
