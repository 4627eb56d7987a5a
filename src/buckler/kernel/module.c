/* buckler._kernel: texts, Arrow columns, normalized texts, and the module itself. */
#include "binding.h"
#include "fields.h"
#include "html_markup.h"
#include "ngram_parts.h"

/* --- texts ------------------------------------------------------------------------------------ */

int bk_view_text(PyObject *object, text_view *view) {
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

/* --- Arrow ------------------------------------------------------------------------------------ */

int bk_view_column(PyObject *schema_capsule, PyObject *array_capsule, text_column *column) {
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

/* --- normalizing ------------------------------------------------------------------------------ */

static int check_capacity(Py_ssize_t capacity) {
    if (capacity >= 1 && capacity <= (Py_ssize_t)BK_MAX_TEXT_BYTES) return 0;
    PyErr_SetString(PyExc_ValueError, "max_bytes must be 1 to 1048576");
    return -1;
}

static PyObject *kernel_normalize(PyObject *module, PyObject *args) {
    (void)module;
    int normalizer;
    PyObject *object;
    Py_ssize_t capacity;
    text_view view;
    if (!PyArg_ParseTuple(args, "iOn", &normalizer, &object, &capacity) ||
        check_capacity(capacity) < 0 || bk_view_text(object, &view) < 0)
        return NULL;
    uint8_t *out = malloc((size_t)capacity + BK_PADDING);
    PyObject *result = NULL;
    if (out) {
        size_t length = bk_normalize((bk_normalizer)normalizer, view.bytes, (size_t)view.length, out,
                                     (size_t)capacity);
        result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)length);
    } else {
        PyErr_NoMemory();
    }
    free(out);
    Py_XDECREF(view.owner);
    return result;
}

static PyObject *kernel_normalize_column(PyObject *module, PyObject *args) {
    (void)module;
    int normalizer;
    PyObject *schema, *array, *wanted = Py_None;
    Py_ssize_t capacity;
    text_column column;
    Py_buffer chosen = {0};
    if (!PyArg_ParseTuple(args, "iOOn|O", &normalizer, &schema, &array, &capacity, &wanted) ||
        check_capacity(capacity) < 0 || bk_view_column(schema, array, &column) < 0 ||
        (wanted != Py_None && PyObject_GetBuffer(wanted, &chosen, PyBUF_C_CONTIGUOUS) < 0))
        return NULL;
    const int64_t length_of_column = column.array->length, *picks = chosen.buf;
    const int picked = wanted != Py_None;
    int64_t rows = picked ? chosen.len / (Py_ssize_t)sizeof *picks : length_of_column;
    for (int64_t i = 0; picked && i < rows; i++)
        if (picks[i] < 0 || picks[i] >= length_of_column) {
            PyBuffer_Release(&chosen);
            PyErr_SetString(PyExc_IndexError, "a row lies outside the column");
            return NULL;
        }
    size_t room = 1 << 16, used = 0;
    int64_t *offsets = malloc(((size_t)rows + 1) * sizeof *offsets);
    uint8_t *data = malloc(room), *nulls = calloc((size_t)rows + 1, 1);
    int failed = !offsets || !data || !nulls;
    Py_BEGIN_ALLOW_THREADS
    for (int64_t i = 0; i < rows && !failed; i++) {
        size_t length = 0;
        const uint8_t *text = column_text(&column, picked ? picks[i] : i, &length);
        offsets[i] = (int64_t)used;
        nulls[i] = !text;
        size_t limit = length < (size_t)capacity ? length : (size_t)capacity;
        limit = 4 * limit + 16 < (size_t)capacity ? 4 * limit + 16 : (size_t)capacity;
        if (normalizer > BK_NORMALIZE_TEXT) limit = (size_t)capacity; /* fields of their own */
        if (used + limit + BK_PADDING > room) {
            uint8_t *grown = realloc(data, room = 2 * room + limit + BK_PADDING);
            failed = !grown;
            data = grown ? grown : data;
        }
        if (text && !failed)
            used += bk_normalize((bk_normalizer)normalizer, text, length, data + used, limit);
    }
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (failed) {
        PyErr_NoMemory();
    } else {
        offsets[rows] = (int64_t)used;
        result = Py_BuildValue("(y#y#y#)", (const char *)offsets,
                               (Py_ssize_t)(((size_t)rows + 1) * sizeof *offsets),
                               (const char *)data, (Py_ssize_t)used, (const char *)nulls,
                               (Py_ssize_t)rows);
    }
    PyBuffer_Release(&chosen);
    free(nulls);
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
    if (!bk_are_orders(min_order, max_order) || table_bits < 1 || table_bits > BK_MAX_TABLE_BITS || length > (Py_ssize_t)BK_MAX_TEXT_BYTES) {
        PyErr_SetString(PyExc_ValueError, "orders, table_bits or length out of range");
        return NULL;
    }
    text_parts parts;
    length = (Py_ssize_t)bk_find_parts((const uint8_t *)text, (size_t)length, &parts);
    size_t stride = (size_t)length + 2, n_rows = stride * (max_order - min_order + 1);
    uint8_t *framed = malloc(stride + BK_PADDING);
    uint32_t *rows = malloc(n_rows * sizeof *rows + 1);
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

static PyObject *kernel_feature_rows(PyObject *module, PyObject *args) {
    (void)module;
    unsigned int table_bits;
    const char *text;
    Py_ssize_t length;
    uint32_t rows[BK_MAX_TEXT_FEATURES];
    if (!PyArg_ParseTuple(args, "Iy#", &table_bits, &text, &length)) return NULL;
    if (table_bits < 1 || table_bits > BK_MAX_TABLE_BITS) {
        PyErr_SetString(PyExc_ValueError, "table_bits out of range");
        return NULL;
    }
    size_t n = bk_feature_rows(table_bits, (const uint8_t *)text, (size_t)length, rows);
    return PyBytes_FromStringAndSize((const char *)rows, (Py_ssize_t)(n * sizeof *rows));
}

/* segments(segmenter, offsets, data): for each segment the number of its text, where it begins there
   (less the separators before it), and the offsets and data of the segments as normalized texts. */
static PyObject *kernel_segments(PyObject *module, PyObject *args) {
    (void)module;
    int segmenter;
    Py_buffer offsets, data;
    if (!PyArg_ParseTuple(args, "iy*y*", &segmenter, &offsets, &data)) return NULL;
    const int64_t *o = offsets.buf;
    const Py_ssize_t n = offsets.len / 8 - 1;
    int sound = n >= 0 && offsets.len % 8 == 0 && segmenter >= 0 && segmenter <= BK_LAST_SEGMENTER && o[0] >= 0 && o[n] <= data.len;
    for (Py_ssize_t i = 0; sound && i < n; i++) sound = o[i] <= o[i + 1] && o[i + 1] - o[i] <= (int64_t)BK_MAX_TEXT_BYTES;
    PyObject *result = NULL;
    int64_t *found[3] = {NULL, NULL, NULL}; /* text, begin, offset */
    uint8_t *bytes = NULL;
    size_t count = 0, room = 0, used = 0, bytes_room = 0;
    int failed = !sound;
    if (failed) PyErr_SetString(PyExc_ValueError, "the segmenter or the offsets are not sound");
    for (Py_ssize_t i = 0; i < n && !failed; i++) {
        const uint8_t *text = (const uint8_t *)data.buf + o[i];
        bk_segment s = {0};
        while (!failed && bk_next_segment((bk_segmenter)segmenter, text, (size_t)(o[i + 1] - o[i]), &s)) {
            if (count + 1 >= room) {
                room = 2 * room + 1024;
                for (int k = 0; k < 3 && !failed; k++) {
                    int64_t *grown = realloc(found[k], room * sizeof *grown);
                    failed = !grown;
                    found[k] = grown ? grown : found[k];
                }
            }
            if (!failed && used + BK_SEGMENT_BYTES(s.end - s.begin) + BK_PADDING > bytes_room) {
                bytes_room = 2 * bytes_room + BK_SEGMENT_BYTES(s.end - s.begin) + 65536;
                uint8_t *grown = realloc(bytes, bytes_room);
                failed = !grown;
                bytes = grown ? grown : bytes;
            }
            if (failed) {
                PyErr_NoMemory();
                break;
            }
            found[0][count] = i;
            found[1][count] = (int64_t)s.begin - s.field;
            found[2][count++] = (int64_t)used;
            used += bk_write_segment(text, &s, bytes + used);
            found[2][count] = (int64_t)used;
        }
    }
    if (!failed) {
        int64_t zero = 0;
        const Py_ssize_t size = (Py_ssize_t)(count * sizeof zero);
        result = Py_BuildValue("(y#y#y#y#)", (const char *)(count ? found[0] : &zero), size,
                               (const char *)(count ? found[1] : &zero), size,
                               (const char *)(count ? found[2] : &zero), size + (Py_ssize_t)sizeof zero,
                               count ? (const char *)bytes : "", (Py_ssize_t)used);
    }
    for (int k = 0; k < 3; k++) free(found[k]);
    free(bytes);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&data);
    return result;
}

/* --- the module ------------------------------------------------------------------------------- */

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
    {"normalize", kernel_normalize, METH_VARARGS, NULL},
    {"normalize_column", kernel_normalize_column, METH_VARARGS, NULL},
    {"ngram_rows", kernel_ngram_rows, METH_VARARGS, NULL},
    {"feature_rows", kernel_feature_rows, METH_VARARGS, NULL},
    {"segments", kernel_segments, METH_VARARGS, NULL},
    {"split_stream", kernel_split_stream, METH_O, NULL},
    {"column_length", kernel_column_length, METH_O, NULL},
    {"activate", bk_activate_buffer, METH_VARARGS, NULL},
    {"recalibrate", bk_recalibrate_buffer, METH_VARARGS, NULL},
    {"json_lines", bk_json_columns, METH_VARARGS, NULL},
    {"json_array", bk_json_array_columns, METH_VARARGS, NULL},
    {"json_texts", bk_json_texts, METH_VARARGS, NULL},
    {"audit_lines", bk_audit_columns, METH_VARARGS, NULL},
    {"scan_html", bk_scan_html, METH_VARARGS, NULL},
    {"scan_mail_page", bk_scan_mail_page, METH_VARARGS, NULL},
    {"is_utf8", bk_is_utf8_text, METH_O, NULL},
    {"squeeze_text", bk_squeeze_text, METH_O, NULL},
    {"resolve_link", bk_resolve_target, METH_VARARGS, NULL},
    {"link_places", bk_link_places, METH_VARARGS, NULL},
    {"read_links", bk_read_links, METH_VARARGS, NULL},
    {"words_in", bk_words_in, METH_VARARGS, NULL},
    {"calls_in", bk_calls_in, METH_VARARGS, NULL},
    {"encoded_runs", bk_encoded_runs, METH_VARARGS, NULL},
    {"may_hide", bk_may_hide_text, METH_O, NULL},
    {"mail_headers", bk_mail_headers, METH_VARARGS, NULL},
    {"mailbox_in", bk_mailbox_in, METH_O, NULL},
    {"is_mail_header", bk_is_mail_header, METH_O, NULL},
    {"line_feeds", bk_line_feeds, METH_O, NULL},
    {"wallets_in", bk_wallets_in, METH_VARARGS, NULL},
    {"base64_bytes", bk_base64_bytes, METH_O, NULL},
    {"quoted_bytes", bk_quoted_bytes, METH_O, NULL},
    {"base64_lines", bk_base64_lines, METH_O, NULL},
    {"links_in", bk_links_in, METH_VARARGS, NULL},
    {"train", bk_train, METH_VARARGS, NULL},
    {"predict", bk_predict, METH_VARARGS, NULL},
    {"take_texts", bk_take_texts, METH_VARARGS, NULL},
    {"minhash", bk_minhash, METH_VARARGS, NULL},
    {"simd", kernel_simd, METH_NOARGS, NULL},
    {"simd_select", kernel_simd_select, METH_O, NULL},
    {0},
};

static int add_type(PyObject *module, PyType_Spec *spec, const char *name) {
    PyObject *type = PyType_FromSpec(spec);
    if (!type) return -1;
    int failed = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    return failed;
}

static int kernel_exec(PyObject *module) {
    bk_prepare_tags();
    return add_type(module, &bk_scorer_spec, "Ngram") || add_type(module, &bk_trees_spec, "Trees") ||
           PyModule_AddIntConstant(module, "ABI_VERSION", BK_ABI_VERSION);
}

static PyModuleDef_Slot kernel_slots[] = {{Py_mod_exec, kernel_exec}, {0, NULL}};

static PyModuleDef kernel_module = {
    PyModuleDef_HEAD_INIT, "_kernel", "The C kernel; see kernel/buckler.h.", 0, kernel_methods,
    kernel_slots,          NULL,      NULL,                                  NULL};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&kernel_module); }
