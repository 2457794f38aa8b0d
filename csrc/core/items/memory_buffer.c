/* The bytes of a memory, without a copy.
 *
 * A MemoryBuffer is what stands behind a `memoryview` of a memory. It keeps its store alive and
 * open (`close()` is refused while one exists, as bytearray refuses to be resized), or, for a
 * shared memory, the native memory; so the bytes are there for as long as anybody can look at
 * them. A memory that may move when it grows is not exported at all. */

typedef struct {
    PyObject_HEAD
    StoreObject *store;   /* of a memory in a store */
    HandleObject *handle; /* of a shared memory */
    void *data;
    Py_ssize_t size;
    bool readonly;
} MemoryBufferObject;

static int
export_getbuffer(MemoryBufferObject *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, (PyObject *)self, self->data, self->size, self->readonly, flags);
}

static void
export_dealloc(MemoryBufferObject *self)
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
export_traverse(MemoryBufferObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static PyType_Slot export_slots[] = {
    {Py_tp_doc, "What a memoryview of a memory looks at."},
    {Py_tp_dealloc, export_dealloc},
    {Py_tp_traverse, export_traverse},
    {Py_bf_getbuffer, export_getbuffer},
    {0, NULL},
};
static PyType_Spec export_spec = {
    "wasmtime._core.MemoryBuffer", sizeof(MemoryBufferObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, export_slots};

static PyObject *
export_view(StoreObject *store, HandleObject *handle, char *data, Py_ssize_t length,
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
            export_view(store, NULL, (char *)wasmtime_memory_data(store->context, &memory->native),
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
    return export_view(NULL, handle, (char *)wasmtime_sharedmemory_data(handle->pointer),
                       (Py_ssize_t)wasmtime_sharedmemory_data_size(handle->pointer), start, stop,
                       readonly != 0);
}

/* --- raw pointers ---------------------------------------------------------------------------- *
 * What a raw pointer into a memory keeps, so that the bytes stay for as long as it is there. It does
 * not refuse Store.close(), as a view does: programs close their stores while such pointers lie
 * about. The store is closed then for all who ask, and its native half is deleted when the last
 * pointer is gone. */

typedef struct {
    PyObject_HEAD
    StoreObject *store;       /* of a memory in a store */
    wasmtime_memory_t native; /* the same */
    HandleObject *handle;     /* of a shared memory */
    uint8_t *data;
    Py_ssize_t size; /* a flag: how many bytes are known to be there */
    bool may_move;
} MemoryPinObject;

static MemoryPinObject *
pin_new(StoreObject *store, HandleObject *handle)
{
    MemoryPinObject *self = (MemoryPinObject *)type_alloc(state.MemoryPin);
    if (self == NULL) {
        return NULL;
    }
    if (store != NULL) {
        self->store = (StoreObject *)Py_NewRef(store);
        atomic_add(&store->pins, 1);
    }
    self->handle = (HandleObject *)Py_XNewRef(handle);
    return self;
}

/* Memory._pin(store) */
static PyObject *
memory_pin(PyObject *self, PyObject *object)
{
    MemoryObject *memory = (MemoryObject *)self;
    StoreObject *store = item_enter(self, object);
    if (store == NULL) {
        return NULL;
    }
    MemoryPinObject *pin = pin_new(store, NULL);
    if (pin != NULL) {
        pin->native = memory->native;
        pin->data = wasmtime_memory_data(store->context, &memory->native);
        pin->size = (Py_ssize_t)wasmtime_memory_data_size(store->context, &memory->native);
        pin->may_move = memory_may_move(memory, store);
    }
    store_leave(store);
    return (PyObject *)pin;
}

/* shared_memory_pin(handle) */
static PyObject *
core_shared_memory_pin(PyObject *Py_UNUSED(module), PyObject *object)
{
    HandleObject *handle = shared_memory_handle(object);
    if (handle == NULL) {
        return NULL;
    }
    MemoryPinObject *pin = pin_new(NULL, handle);
    if (pin != NULL) {
        pin->data = wasmtime_sharedmemory_data(handle->pointer);
        pin->size = (Py_ssize_t)wasmtime_sharedmemory_data_size(handle->pointer);
    }
    return (PyObject *)pin;
}

/* Ask how long the memory is by now, and whether the pointer still leads to it. */
static bool
pin_refresh(MemoryPinObject *self)
{
    if (self->handle != NULL) {
        relaxed_store(self->size,
                      (Py_ssize_t)wasmtime_sharedmemory_data_size(self->handle->pointer));
        return true;
    }
    if (!store_enter(self->store)) {
        return false;
    }
    bool moved = wasmtime_memory_data(self->store->context, &self->native) != self->data;
    relaxed_store(self->size,
                  (Py_ssize_t)wasmtime_memory_data_size(self->store->context, &self->native));
    store_leave(self->store);
    if (moved) {
        PyErr_SetString(PyExc_BufferError,
                        "the memory has moved since this pointer was taken, because it grew: call "
                        "data_ptr() again, or set Config.memory_may_move to False");
    }
    return !moved;
}

/* Whether the bytes from `first` to `last` can be reached; otherwise the exception is set. */
static bool
pin_reaches(MemoryPinObject *self, Py_ssize_t first, Py_ssize_t last)
{
    bool open = self->store == NULL || relaxed_load(self->store->context) != NULL;
    if (UNLIKELY(self->may_move || last >= relaxed_load(self->size)) && open
        && !pin_refresh(self)) {
        return false;
    }
    if (UNLIKELY(first < 0 || last >= relaxed_load(self->size))) {
        PyErr_Format(PyExc_IndexError, "index out of range: byte %zd of a memory of %zd bytes",
                     first < 0 ? first : last, relaxed_load(self->size));
        return false;
    }
    return true;
}

/* check(index): an int, or a slice as ctypes takes them for pointers. */
static PyObject *
pin_check(MemoryPinObject *self, PyObject *index)
{
    Py_ssize_t first, last;
    if (LIKELY(PyIndex_Check(index))) {
        first = last = PyNumber_AsSsize_t(index, PyExc_IndexError);
        if (first == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    else if (!PySlice_Check(index)) {
        Py_RETURN_NONE; /* ctypes refuses it */
    }
    else {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(index, &start, &stop, &step) < 0) {
            return NULL;
        }
        if (step < 0 ? stop >= start : start >= stop) {
            Py_RETURN_NONE; /* no bytes */
        }
        first = step < 0 ? stop + 1 : start;
        last = step < 0 ? start : stop - 1;
    }
    return pin_reaches(self, first, last) ? Py_NewRef(Py_None) : NULL;
}

static void
pin_dealloc(MemoryPinObject *self)
{
    PyObject_GC_UnTrack(self);
    if (self->store != NULL) {
        store_unpin(self->store);
        Py_CLEAR(self->store);
    }
    Py_CLEAR(self->handle);
    type_free((PyObject *)self);
}

static int
pin_traverse(MemoryPinObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static PyObject *
pin_get_address(MemoryPinObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr(self->data);
}

static PyObject *
pin_get_size(MemoryPinObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(relaxed_load(self->size));
}

static PyMethodDef pin_methods[] = {
    {"check", (PyCFunction)pin_check, METH_O,
     "check($self, index, /)\n--\n\nRaise IndexError unless an index or a slice is inside the memory."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef pin_getset[] = {
    {"address", (getter)pin_get_address, NULL, "The address of the first byte.", NULL},
    {"size", (getter)pin_get_size, NULL, "How many bytes are known to be there.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot pin_slots[] = {
    {Py_tp_doc, "What a raw pointer into a memory keeps."},
    {Py_tp_dealloc, pin_dealloc},
    {Py_tp_traverse, pin_traverse},
    {Py_tp_methods, pin_methods},
    {Py_tp_getset, pin_getset},
    {0, NULL},
};
static PyType_Spec pin_spec = {
    "wasmtime._core.MemoryPin", sizeof(MemoryPinObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, pin_slots};
