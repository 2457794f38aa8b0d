/* The bytes of a memory, without a copy.
 *
 * A MemoryBuffer is what stands behind a `memoryview` of a memory. It keeps its store alive and
 * open (`close()` is refused while one exists, as bytearray refuses to be resized), or, for a
 * shared memory, the native memory; so the bytes are there for as long as a
 * view of them is. A memory that may move when it grows is not exported at all. */

typedef struct {
    PyObject_HEAD
    StoreObject *store;   /* of a memory in a store */
    HandleObject *handle; /* of a shared memory */
    void *data;
    Py_ssize_t size;
    bool readonly;
} MemoryBufferObject;

static int
buffer_getbuffer(MemoryBufferObject *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, (PyObject *)self, self->data, self->size, self->readonly, flags);
}

static void
buffer_dealloc(MemoryBufferObject *self)
{
    PyObject_GC_UnTrack(self);
    if (self->store != NULL) {
        atomic_sub(&self->store->exports, 1);
        Py_CLEAR(self->store);
    }
    Py_CLEAR(self->handle);
    type_free((PyObject *)self);
}

static int
buffer_traverse(MemoryBufferObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, "What a memoryview of a memory looks at."},
    {Py_tp_dealloc, buffer_dealloc},
    {Py_tp_traverse, buffer_traverse},
    {Py_bf_getbuffer, buffer_getbuffer},
    {0, NULL},
};
static PyType_Spec buffer_spec = {
    "wasmtime._core.MemoryBuffer", sizeof(MemoryBufferObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, buffer_slots};

static PyObject *
buffer_view(StoreObject *store, HandleObject *handle, char *data, Py_ssize_t length,
            Py_ssize_t start, PyObject *stop_argument, bool readonly)
{
    Py_ssize_t stop = length;
    if (stop_argument != Py_None) {
        stop = PyNumber_AsSsize_t(stop_argument, PyExc_OverflowError);
        if (stop == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (start < 0 || stop < start || stop > length) {
        PyErr_Format(PyExc_IndexError,
                     "index out of range: bytes %zd to %zd of a memory of %zd bytes", start, stop,
                     length);
        return NULL;
    }
    MemoryBufferObject *self = (MemoryBufferObject *)type_alloc(state.MemoryBuffer);
    if (self == NULL) {
        return NULL;
    }
    if (store != NULL) {
        self->store = (StoreObject *)Py_NewRef(store);
        atomic_add(&store->exports, 1);
    }
    self->handle = (HandleObject *)Py_XNewRef(handle);
    self->data = data + start;
    self->size = stop - start;
    self->readonly = readonly;
    PyObject *view = PyMemoryView_FromObject((PyObject *)self);
    Py_DECREF(self);
    return view;
}

/* Whether the library may move the bytes when the memory grows. */
static bool
memory_may_move(MemoryObject *self, StoreObject *store)
{
    EngineObject *engine = (EngineObject *)store->owner.engine;
    if (!engine->memory_may_move) {
        return false;
    }
    wasm_memorytype_t *type = wasmtime_memory_type(store->context, &self->native);
    uint64_t minimum = wasmtime_memorytype_minimum(type), maximum;
    uint64_t page = wasmtime_memorytype_page_size(type);
    bool bounded = wasmtime_memorytype_maximum(type, &maximum);
    bool fixed = bounded && minimum == maximum;
    if (!bounded) {
        maximum = wasmtime_memorytype_is64(type) ? UINT64_MAX : ((uint64_t)1 << 32) / page;
    }
    wasm_memorytype_delete(type);
    return !fixed && maximum > engine->memory_reservation / page;
}

/* Memory._view(store, start, stop, readonly) */
static PyObject *
memory_view(PyObject *self, PyObject *args)
{
    PyObject *object, *stop;
    Py_ssize_t start;
    int readonly;
    if (!PyArg_ParseTuple(args, "OnOp:view", &object, &start, &stop, &readonly)) {
        return NULL;
    }
    StoreObject *store = item_enter(self, object);
    if (store == NULL) {
        return NULL;
    }
    MemoryObject *memory = (MemoryObject *)self;
    PyObject *view = NULL;
    if (memory_may_move(memory, store)) {
        PyErr_SetString(
            PyExc_BufferError,
            "this memory may move when it grows, so it cannot be viewed without a copy: "
            "set Config.memory_may_move to False, give Config.memory_reservation its "
            "maximum size, or use read() and write()");
    }
    else {
        view =
            buffer_view(store, NULL, (char *)wasmtime_memory_data(store->context, &memory->native),
                        (Py_ssize_t)wasmtime_memory_data_size(store->context, &memory->native),
                        start, stop, readonly != 0);
    }
    store_leave(store);
    return view;
}

/* A borrowed reference; NULL with ValueError for what is no handle of a shared memory. */
static HandleObject *
shared_memory_handle(PyObject *object)
{
    HandleObject *handle = (HandleObject *)object;
    if (!PyObject_TypeCheck(object, state.Handle) || handle->kind != KIND_SHARED_MEMORY
        || handle->pointer == NULL) {
        PyErr_SetString(PyExc_ValueError, "not the handle of a shared memory");
        return NULL;
    }
    return handle;
}

/* shared_memory_view(handle, start, stop, readonly) */
static PyObject *
core_shared_memory_view(PyObject *Py_UNUSED(module), PyObject *args)
{
    HandleObject *handle;
    PyObject *object, *stop;
    Py_ssize_t start;
    int readonly;
    if (!PyArg_ParseTuple(args, "OnOp:view", &object, &start, &stop, &readonly)
        || (handle = shared_memory_handle(object)) == NULL) {
        return NULL;
    }
    return buffer_view(NULL, handle, (char *)wasmtime_sharedmemory_data(handle->pointer),
                       (Py_ssize_t)wasmtime_sharedmemory_data_size(handle->pointer), start, stop,
                       readonly != 0);
}
