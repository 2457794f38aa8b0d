/* --- Door: the way in for Python code that calls through cffi ---------------------------- */

typedef struct {
    PyObject_HEAD
    StoreObject *store;
    NativeCall call;
    bool inside;
} DoorObject;

static PyObject *
door_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *object;
    if (!PyArg_ParseTuple(args, "O:Door", &object)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    DoorObject *self = (DoorObject *)type_alloc(type);
    if (self != NULL) {
        self->store = (StoreObject *)Py_NewRef(store);
    }
    return (PyObject *)self;
}

static PyObject *
door_enter(DoorObject *self, PyObject *Py_UNUSED(ignored))
{
    StoreObject *store = self->store;
    if (self->inside) {
        PyErr_SetString(PyExc_RuntimeError, "Door: already entered");
        return NULL;
    }
    if (!store_enter(store)) {
        return NULL;
    }
    if (!native_check_stack(store)) {
        store_leave(store);
        return NULL;
    }
    self->call.pending = store->pending;
    self->call.released = store->released;
    store->pending = NULL;
    store->released = RELEASED_BY_CFFI;
    if (store->epochs && this_thread.is_main) {
        self->call.watched = watchdog_enter(store->engine_handle->pointer);
    }
    /* From here to the call through cffi, Python code runs that may switch greenlets. */
    callback_begin(&this_thread);
    self->inside = true;
    /* Under the lock: who waits at the door may be setting the same. */
    PyObject *cdata = locked_get(store, &store->context_cdata);
    return cdata != NULL ? cdata : Py_NewRef(Py_None);
}

static PyObject *door_outcome(StoreObject *store, PyObject *pending, bool interrupted,
                              PyObject *raised);

static PyObject *
door_exit(DoorObject *self, PyObject *const *args, Py_ssize_t count)
{
    StoreObject *store = self->store;
    if (!self->inside) {
        Py_RETURN_FALSE;
    }
    self->inside = false;
    store->released = self->call.released;
    if (store->epochs && this_thread.is_main) {
        watchdog_exit(self->call.watched);
    }
    PyObject *pending = store->pending;
    store->pending = self->call.pending;
    self->call.pending = NULL;
    bool fine = (pending != NULL && !PyTuple_Check(pending)) || store->sinks == NULL
                || sinks_deliver(store);
    bool interrupted = store->interrupted;
    store->interrupted = false;
    PyObject *raised = count == 3 ? args[1] : NULL;
    PyObject *better = fine ? door_outcome(store, pending, interrupted, raised) : NULL;
    if (!fine) {
        Py_XDECREF(pending);
    }
    callback_end(&this_thread);
    store_leave(store);
    if (!fine) {
        return NULL;
    }
    if (better != NULL) {
        PyErr_SetRaisedException(better);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_FALSE;
}

static void
door_dealloc(DoorObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->store);
    type_free((PyObject *)self);
}

static int
door_traverse(DoorObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static PyMethodDef door_methods[] = {
    {"__enter__", (PyCFunction)door_enter, METH_NOARGS, "The wasmtime_context_t as cdata."},
    /* No tuple of arguments: without memory for one, the store would stay entered for ever. */
    {"__exit__", (PyCFunction)(void (*)(void))door_exit, METH_FASTCALL,
     "Leave; raise what host code raised."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot door_slots[] = {
    {Py_tp_doc, "Door(store, /)\n--\n\nContext manager: inside, cffi calls may use the store."},
    {Py_tp_new, door_new},
    {Py_tp_dealloc, door_dealloc},
    {Py_tp_traverse, door_traverse},
    {Py_tp_methods, door_methods},
    {0, NULL},
};
static PyType_Spec door_spec = {"wasmtime._core.Door", sizeof(DoorObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, door_slots};
