/* Door: the way in for Python code that calls through cffi.
 *
 * It takes the steps of a native call (call.c) in two halves, `__enter__` and `__exit__`, between
 * which cffi lets the GIL go and takes it back.
 *
 * Ownership: a Door owns its store. One that is lost while it is entered frees it, and the store
 * counts as entered until it dies. */

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
    self->call.store = store; /* borrowed: the Door owns it anyway */
    if (!native_check_entry(&self->call)) {
        store_leave(store);
        return NULL;
    }
    native_set_aside(&self->call);
    store->released = RELEASED_BY_CFFI;
    /* From here to the call through cffi, Python code runs that may switch greenlets. */
    callback_begin(&this_thread);
    self->inside = true;
    /* Under the lock: a thread that waits to enter may be setting it. */
    PyObject *cdata = locked_get(store, &store->context_cdata);
    return cdata != NULL ? cdata : Py_NewRef(Py_None);
}

/* The exception that a call through cffi ended with lies in the store: the Python exception for it,
 * which is `thrown` itself if the guest did not catch that. It has the details of `raised`, which
 * cffi's caller made. NULL with an exception. */
static PyObject *
door_thrown(StoreObject *store, PyObject *exnref, PyObject *thrown, PyObject *raised)
{
    PyObject *exception = exception_thrown(store, exnref, thrown, NULL, KIND_ERROR);
    if (exception == NULL) {
        return NULL;
    }
    if (exception == thrown) {
        if (!PyObject_HasAttr(exception, state.str_wasm_backtrace)) {
            attach_frames(exception, raised);
        }
    }
    else {
        PyObject *handle = PyObject_GetAttr(raised, state.str_handle);
        if (handle != NULL) {
            PyObject_SetAttr(exception, state.str_handle, handle);
        }
        Py_XDECREF(handle);
    }
    PyErr_Clear();
    return exception;
}

/* The exception for an error of the library that says that the guest was stopped; NULL: it is
 * something else, or there is no memory. */
static PyObject *
door_stopped(PyObject *raised, StopReason stopped)
{
    PyObject *handle = PyObject_GetAttr(raised, state.str_handle);
    PyObject *trap =
        handle == NULL || handle == Py_None ? NULL : exception_make(stop_exception(stopped));
    if (trap != NULL
        && (PyObject_SetAttr(trap, state.str_handle, handle) < 0
            || PyObject_SetAttr(trap, state.str_interrupted, Py_True) < 0)) {
        Py_CLEAR(trap);
    }
    Py_XDECREF(handle);
    PyErr_Clear();
    return trap;
}

/* The exception to raise instead of `raised`, which a call through cffi came to: what a host
 * function raised, an exception of WebAssembly, or a Trap if the guest was stopped.
 * Takes `pending`. NULL: `raised` is right, unless an exception is set. */
static PyObject *
door_outcome(StoreObject *store, Pending pending, StopReason stopped, PyObject *raised)
{
    bool native = raised != NULL && PyObject_TypeCheck(raised, (PyTypeObject *)state.WasmtimeError);
    PyObject *exnref = native ? exnref_take(store) : NULL;
    PyObject *better = pending.raised;
    if (better == NULL && exnref != NULL) {
        better = door_thrown(store, exnref, pending.thrown, raised);
    }
    else if (better != NULL) {
        PyErr_Clear();
        if (native && !PyObject_HasAttr(better, state.str_wasm_backtrace)) {
            attach_frames(better, raised);
        }
    }
    else {
        PyErr_Clear();
        better = stopped != STOP_NOT && native ? door_stopped(raised, stopped) : NULL;
    }
    Py_XDECREF(pending.thrown);
    Py_XDECREF(exnref);
    return better;
}

static PyObject *
door_exit(DoorObject *self, PyObject *const *args, Py_ssize_t count)
{
    StoreObject *store = self->store;
    if (!self->inside) {
        Py_RETURN_FALSE;
    }
    self->inside = false;
    native_put_back(&self->call);
    Pending pending = store->pending;
    store->pending = self->call.outer;
    bool fine = pending.raised != NULL || store->sinks == NULL || sinks_deliver(store);
    StopReason stopped = store->stopped;
    store->stopped = STOP_NOT;
    PyObject *better = NULL;
    if (fine) {
        better = door_outcome(store, pending, stopped, count == 3 ? args[1] : NULL);
    }
    else {
        Py_XDECREF(pending.thrown);
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
