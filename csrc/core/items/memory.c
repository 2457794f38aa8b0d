/* Linear memories: copies in and out, growth, and the bounds of their bytes. A Memory owns nothing
 * native: its bytes are the store's. */

typedef struct {
    ItemObject item;
    wasmtime_memory_t native;
} MemoryObject;

/* An end of a slice: clamped as list slices clamp; None is the default. */
static bool
slice_end(PyObject *value, Py_ssize_t fallback, Py_ssize_t *out)
{
    if (value == NULL || value == Py_None) {
        *out = fallback;
        return true;
    }
    if (UNLIKELY(!PyIndex_Check(value))) {
        PyErr_Format(PyExc_TypeError, "slice indices must be integers or None, not %.200s",
                     type_name(value));
        return false;
    }
    *out = PyNumber_AsSsize_t(value, NULL);
    return !(*out == -1 && PyErr_Occurred());
}

static inline Py_ssize_t
slice_clamp(Py_ssize_t index, Py_ssize_t size)
{
    if (index < 0) {
        index += size;
        return index < 0 ? 0 : index;
    }
    return index > size ? size : index;
}

PyDoc_STRVAR(
    memory_read_doc,
    "read($self, /, store, start=0, stop=None)\n--\n\n"
    "Copy bytes out of the memory.\n\n"
    "The ends work as in ``list[start:stop]``: negative ones count from the end, and what lies\n"
    "outside the memory is left out, so that the result may be shorter than asked for.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the memory lives in.\n"
    "    start: First byte, an int, or None for the beginning.\n"
    "    stop: Byte to stop before, an int, or None for the end of the memory.\n\n"
    "Returns:\n"
    "    A bytearray with a copy of the bytes.\n\n"
    "Raises:\n"
    "    TypeError: An end is not an integer.\n"
    "    ValueError: The store is closed.\n"
    "    WasmtimeError: The memory belongs to another store, or the store is in use by another\n"
    "        thread.\n");

static PyObject *
memory_read(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "start", "stop", NULL};
    static const ArgumentNames spec = {"read", names, 1};
    PyObject *given[3];
    Py_ssize_t start, stop;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 3)
        || !slice_end(given[1], 0, &start) || !slice_end(given[2], PY_SSIZE_T_MAX, &stop)) {
        return NULL;
    }
    StoreObject *store = item_enter(self, given[0]);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_memory_t *native = &((MemoryObject *)self)->native;
    Py_ssize_t size = (Py_ssize_t)wasmtime_memory_data_size(store->context, native);
    start = slice_clamp(start, size);
    stop = slice_clamp(stop, size);
    PyObject *result;
    if (stop <= start) {
        result = PyByteArray_FromStringAndSize(NULL, 0);
    }
    else {
        /* Allocating may collect garbage, but cannot move the memory: only this thread is in. */
        result = PyByteArray_FromStringAndSize(NULL, stop - start);
        if (result != NULL) {
            const uint8_t *data = wasmtime_memory_data(store->context, native);
            if ((size_t)stop <= wasmtime_memory_data_size(store->context, native)) {
                memcpy(PyByteArray_AsString(result), data + start, (size_t)(stop - start));
            }
        }
    }
    store_leave(store);
    return result;
}

PyDoc_STRVAR(
    memory_write_doc,
    "write($self, /, store, value, start=None)\n--\n\n"
    "Copy bytes into the memory.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the memory lives in.\n"
    "    value: Any bytes-like object, or an iterable of integers 0 ... 255. The keyword ``data``\n"
    "        is the same.\n"
    "    start: Where to write, in bytes; negative counts from the end, None is 0.\n\n"
    "Returns:\n"
    "    The number of bytes written, always all of them.\n\n"
    "Raises:\n"
    "    IndexError: The value does not fit between ``start`` and the end of the memory; nothing\n"
    "        was written.\n"
    "    TypeError: The value is not bytes-like.\n"
    "    ValueError: The store is closed.\n"
    "    WasmtimeError: The memory belongs to another store, or the store is in use by another\n"
    "        thread.\n");

/* The bytes to write: those of a buffer, or the numbers of an iterable. */
static bool
bytes_of(PyObject *value, Py_buffer *view)
{
    if (LIKELY(PyObject_CheckBuffer(value))) {
        return PyObject_GetBuffer(value, view, PyBUF_SIMPLE) == 0;
    }
    /* A number, in whatever form, would make as many zeros of it. */
    if (PyUnicode_Check(value) || PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "value must be bytes-like, not %.200s", type_name(value));
        return false;
    }
    PyObject *collected = PyByteArray_FromObject(value);
    bool fine = collected != NULL && PyObject_GetBuffer(collected, view, PyBUF_SIMPLE) == 0;
    Py_XDECREF(collected);
    return fine;
}

static PyObject *
memory_write(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "value", "start", "data", NULL};
    static const ArgumentNames spec = {"write", names, 1};
    PyObject *given[4] = {NULL, NULL, NULL, NULL};
    Py_ssize_t start;
    if (count > 3) {
        PyErr_Format(PyExc_TypeError, "write() takes at most 3 arguments (%zd given)", count);
        return NULL;
    }
    if (!arguments_parse(&spec, arguments, count, keywords, given, 4)) {
        return NULL;
    }
    PyObject *value = given[1] ? given[1] : given[3];
    if (value == NULL || (given[1] != NULL && given[3] != NULL)) {
        PyErr_SetString(PyExc_TypeError, "write() needs one argument 'value'");
        return NULL;
    }
    if (!slice_end(given[2], 0, &start)) {
        return NULL;
    }
    Py_buffer view;
    if (!bytes_of(value, &view)) {
        return NULL;
    }
    StoreObject *store = item_enter(self, given[0]);
    if (store == NULL) {
        PyBuffer_Release(&view);
        return NULL;
    }
    wasmtime_memory_t *native = &((MemoryObject *)self)->native;
    Py_ssize_t size = (Py_ssize_t)wasmtime_memory_data_size(store->context, native);
    Py_ssize_t first = slice_clamp(start, size);
    PyObject *result = NULL;
    if (start > size || view.len > size - first) {
        PyErr_Format(PyExc_IndexError,
                     "index out of range: %zd bytes at %zd do not fit in a memory of %zd bytes",
                     view.len, start, size);
    }
    else {
        if (view.len > 0) {
            memmove(wasmtime_memory_data(store->context, native) + first, view.buf,
                    (size_t)view.len);
        }
        result = PyLong_FromSsize_t(view.len);
    }
    store_leave(store);
    PyBuffer_Release(&view);
    return result;
}

PyDoc_STRVAR(
    memory_size_doc,
    "size($self, /, store)\n--\n\n"
    "The size of the memory in WebAssembly pages (of 64 KiB, unless its type says otherwise).\n");

static PyObject *
memory_size(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    StoreObject *store = item_enter_alone(self, "size", arguments, count, keywords);
    if (store == NULL) {
        return NULL;
    }
    uint64_t size = wasmtime_memory_size(store->context, &((MemoryObject *)self)->native);
    store_leave(store);
    return PyLong_FromUnsignedLongLong(size);
}

PyDoc_STRVAR(memory_data_len_doc,
             "data_len($self, /, store)\n--\n\nThe size of the memory in bytes.\n");

static PyObject *
memory_data_len(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    StoreObject *store = item_enter_alone(self, "data_len", arguments, count, keywords);
    if (store == NULL) {
        return NULL;
    }
    size_t size = wasmtime_memory_data_size(store->context, &((MemoryObject *)self)->native);
    store_leave(store);
    return PyLong_FromSize_t(size);
}

PyDoc_STRVAR(
    memory_grow_doc,
    "grow($self, /, store, delta)\n--\n\n"
    "Grow the memory.\n\n"
    "Growth may move the bytes: pointers from ``data_ptr`` taken before are stale afterwards.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the memory lives in.\n"
    "    delta: How many pages to add, 0 or more.\n\n"
    "Returns:\n"
    "    The size before, in pages.\n\n"
    "Raises:\n"
    "    WasmtimeError: ``delta`` is negative, or the memory cannot grow that far: its maximum,\n"
    "        the store's limits and the engine's configuration bound it.\n"
    "    TypeError: ``delta`` is not an integer.\n"
    "    OverflowError: ``delta`` exceeds 2**64-1.\n"
    "    ValueError: The store is closed.\n");

static PyObject *
memory_grow(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "delta", NULL};
    static const ArgumentNames spec = {"grow", names, 2};
    PyObject *given[2];
    if (!arguments_parse(&spec, arguments, count, keywords, given, 2)) {
        return NULL;
    }
    if (PyLong_Check(given[1])) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(given[1], &overflow);
        if (overflow < 0 || (overflow == 0 && number < 0)) {
            PyErr_Format(state.WasmtimeError, "cannot grow by negative amount: delta is %R",
                         given[1]);
            return NULL;
        }
    }
    uint64_t delta, before = 0;
    if (!argument_u64(given[1], "delta", &delta)) {
        return NULL;
    }
    StoreObject *store = item_enter(self, given[0]);
    if (store == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    wasmtime_error_t *error =
        wasmtime_memory_grow(store->context, &((MemoryObject *)self)->native, delta, &before);
    if (error != NULL) {
        raise_error(error);
    }
    else {
        result = PyLong_FromUnsignedLongLong(before);
    }
    store_leave(store);
    return result;
}

static PyObject *memory_view(PyObject *self, PyObject *args);
static PyObject *memory_pin(PyObject *self, PyObject *object);

static PyMethodDef memory_methods[] = {
    {"read", FAST(memory_read), memory_read_doc},
    {"write", FAST(memory_write), memory_write_doc},
    {"size", FAST(memory_size), memory_size_doc},
    {"data_len", FAST(memory_data_len), memory_data_len_doc},
    {"grow", FAST(memory_grow), memory_grow_doc},
    {"_view", memory_view, METH_VARARGS,
     "_view($self, store, start, stop, readonly, /)\n--\n\nA memoryview of bytes; see wasmtime.Memory.view."},
    {"_pin", (PyCFunction)memory_pin, METH_O,
     "_pin($self, store, /)\n--\n\nWhat a raw pointer to the bytes keeps: a MemoryPin."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Memory."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_methods, memory_methods},
    {0, NULL},
};
static PyType_Spec memory_spec = {"wasmtime._core.Memory", sizeof(MemoryObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, memory_slots};
