/* MemoryPin: what a raw pointer into a memory keeps, so that the bytes stay as long as it does.
 *
 * It owns a reference to the store, or to the Handle of a shared memory. It does not refuse
 * Store.close(), as a view does: programs close their stores while they still hold such pointers.
 * The store is closed for all then, and the native store is deleted with the last pin. */

typedef struct {
    PyObject_HEAD
    StoreObject *store;       /* of a memory in a store */
    wasmtime_memory_t native; /* the same */
    HandleObject *handle;     /* of a shared memory */
    uint8_t *data;
    Py_ssize_t size; /* relaxed: how many bytes are known to be there */
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
