/* buckler._kernel.Trees: a loaded `trees` student; and probabilities from logits, in place. */
#include "binding.h"

typedef struct {
    PyObject_HEAD
    bk_trees model;
    Py_buffer roots, nodes, sets, bias;
} trees_object;

static void trees_dealloc(PyObject *object) {
    trees_object *self = (trees_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyBuffer_Release(&self->roots);
    PyBuffer_Release(&self->nodes);
    PyBuffer_Release(&self->sets);
    PyBuffer_Release(&self->bias);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* Any number of whole items; 0, or -1 with an exception. */
static int view_items(PyObject *object, Py_buffer *buffer, size_t item, uint32_t *count,
                      const char *name) {
    if (PyObject_GetBuffer(object, buffer, PyBUF_C_CONTIGUOUS) < 0) return -1;
    size_t length = (size_t)buffer->len;
    if (length % item == 0 && length / item < UINT32_MAX / 4 && (uintptr_t)buffer->buf % 4 == 0) {
        *count = (uint32_t)(length / item);
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "%s has a size or place that cannot be", name);
    return -1;
}

static PyObject *trees_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"n_features", "roots", "nodes", "sets", "bias", NULL};
    PyObject *roots, *nodes, *sets, *bias;
    unsigned int n_features;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "IOOOO", names, &n_features, &roots, &nodes,
                                     &sets, &bias))
        return NULL;
    trees_object *self = (trees_object *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self) return NULL;
    bk_trees *m = &self->model;
    m->n_features = n_features;
    if (view_items(roots, &self->roots, sizeof(uint32_t), &m->n_trees, "roots") < 0 ||
        view_items(nodes, &self->nodes, sizeof(bk_tree_node), &m->n_nodes, "nodes") < 0 ||
        view_items(sets, &self->sets, BK_CATEGORIES / 8, &m->n_sets, "sets") < 0 ||
        view_items(bias, &self->bias, sizeof(float), &m->n_outputs, "bias") < 0) {
        Py_DECREF(self);
        return NULL;
    }
    m->roots = self->roots.buf;
    m->nodes = self->nodes.buf;
    m->sets = self->sets.buf;
    m->bias = self->bias.buf;
    const char *problem = bk_trees_check(m);
    if (problem) {
        PyErr_SetString(PyExc_ValueError, problem);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *trees_logits(PyObject *object, PyObject *args) {
    trees_object *self = (trees_object *)object;
    const bk_trees *m = &self->model;
    PyObject *data, *target;
    Py_buffer rows, out;
    if (!PyArg_ParseTuple(args, "OO", &data, &target) ||
        PyObject_GetBuffer(data, &rows, PyBUF_C_CONTIGUOUS) < 0)
        return NULL;
    const Py_ssize_t row_bytes = (Py_ssize_t)m->n_features * (Py_ssize_t)sizeof(float);
    Py_ssize_t n = rows.len / row_bytes, outputs = (Py_ssize_t)m->n_outputs;
    if (n * row_bytes != rows.len || (uintptr_t)rows.buf % 4) {
        PyBuffer_Release(&rows);
        PyErr_SetString(PyExc_ValueError, "rows must be float32 [n, n_features]");
        return NULL;
    }
    if (bk_view_floats(target, &out, n * outputs) < 0) {
        PyBuffer_Release(&rows);
        return NULL;
    }
    double *sums = malloc((size_t)(n * outputs) * sizeof *sums + 1);
    if (sums) {
        Py_BEGIN_ALLOW_THREADS
        bk_trees_logits(m, rows.buf, (size_t)n, sums, out.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&rows);
    PyBuffer_Release(&out);
    if (!sums) return PyErr_NoMemory();
    free(sums);
    Py_RETURN_NONE;
}

static PyObject *trees_explain(PyObject *object, PyObject *args) {
    trees_object *self = (trees_object *)object;
    const bk_trees *m = &self->model;
    PyObject *data, *target;
    unsigned int output;
    Py_buffer row, out;
    const Py_ssize_t features = (Py_ssize_t)m->n_features;
    if (!PyArg_ParseTuple(args, "OIO", &data, &output, &target)) return NULL;
    if (output >= m->n_outputs) {
        PyErr_SetString(PyExc_IndexError, "no such output");
        return NULL;
    }
    if (bk_view_bytes(data, &row, features * (Py_ssize_t)sizeof(float), "row") < 0) return NULL;
    if (PyObject_GetBuffer(target, &out, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&row);
        return NULL;
    }
    double expected = 0;
    void *scratch = NULL;
    if (out.len != features * (Py_ssize_t)sizeof(double)) {
        PyErr_SetString(PyExc_ValueError, "the output must be float64 [n_features]");
    } else if (!(scratch = malloc(bk_trees_scratch_bytes()))) {
        PyErr_NoMemory();
    } else {
        expected = bk_trees_explain(m, row.buf, output, scratch, out.buf);
    }
    free(scratch);
    PyBuffer_Release(&row);
    PyBuffer_Release(&out);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(expected);
}

static PyMethodDef trees_methods[] = {
    {"logits", trees_logits, METH_VARARGS, NULL},
    {"explain", trees_explain, METH_VARARGS, NULL},
    {0},
};

static PyType_Slot trees_slots[] = {
    {Py_tp_new, trees_new},
    {Py_tp_dealloc, trees_dealloc},
    {Py_tp_methods, trees_methods},
    {0, NULL},
};

PyType_Spec bk_trees_spec = {"buckler._kernel.Trees", sizeof(trees_object), 0, Py_TPFLAGS_DEFAULT,
                             trees_slots};

/* --- probabilities ---------------------------------------------------------------------------- */

PyObject *bk_activate_buffer(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *target;
    Py_ssize_t outputs;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "On", &target, &outputs) ||
        PyObject_GetBuffer(target, &buffer, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return NULL;
    Py_ssize_t count = buffer.len / (Py_ssize_t)sizeof(float);
    if (outputs < 1 || count % outputs)
        PyErr_SetString(PyExc_ValueError, "logits must be float32 [n, outputs]");
    else
        bk_activate(buffer.buf, (size_t)(count / outputs), (size_t)outputs);
    PyBuffer_Release(&buffer);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

PyObject *bk_recalibrate_buffer(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *target, *xs, *ys;
    Py_buffer p, x, y;
    if (!PyArg_ParseTuple(args, "OOO", &target, &xs, &ys) ||
        PyObject_GetBuffer(target, &p, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return NULL;
    if (PyObject_GetBuffer(xs, &x, PyBUF_C_CONTIGUOUS) < 0) {
        PyBuffer_Release(&p);
        return NULL;
    }
    if (bk_view_bytes(ys, &y, x.len, "y") < 0) {
        PyBuffer_Release(&p);
        PyBuffer_Release(&x);
        return NULL;
    }
    bk_curve curve = {(uint32_t)(x.len / (Py_ssize_t)sizeof(double)), x.buf, y.buf};
    if (curve.n < 2)
        PyErr_SetString(PyExc_ValueError, "a calibration curve needs two points");
    else
        bk_recalibrate(&curve, p.buf, (size_t)p.len / sizeof(float));
    PyBuffer_Release(&p);
    PyBuffer_Release(&x);
    PyBuffer_Release(&y);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}
