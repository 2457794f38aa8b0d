/* Caller and StoreContext: a store for the length of a callback.
 *
 * A Caller owns a reference to its store. The native caller lives on the library's stack; a Caller
 * expires when the callback returns, and is refused from then on. */

struct CallerObject {
    PyObject_HEAD
    StoreObject *store;
    wasmtime_caller_t *caller; /* inside: NULL in a StoreContext */
    bool valid;                /* relaxed: not expired, which implies that the store is entered */
};

static void
caller_dealloc(CallerObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->store);
    type_free((PyObject *)self);
}

static int
caller_traverse(CallerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static int
caller_clear(CallerObject *self)
{
    relaxed_store(self->valid, false);
    Py_CLEAR(self->store);
    return 0;
}

static CallerObject *
caller_new(PyObject *type, StoreObject *store, wasmtime_caller_t *caller)
{
    CallerObject *self = (CallerObject *)type_alloc((PyTypeObject *)type);
    if (self != NULL) {
        self->store = (StoreObject *)Py_NewRef(store);
        self->caller = caller;
        self->valid = true;
    }
    return self;
}

static inline void
caller_expire(CallerObject *self)
{
    relaxed_store(self->valid, false);
}

static NOINLINE StoreObject *
storelike_refuse(PyObject *object)
{
    PyErr_Format(state.ArgumentTypeError,
                 "store must be a Store, Caller or StoreContext, not %.200s", type_name(object));
    return NULL;
}

/* The Store behind an argument that may be a Store, a Caller or a StoreContext; borrowed. */
static inline StoreObject *
storelike(PyObject *object)
{
    if (LIKELY((PyObject *)Py_TYPE(object) == state.Store)
        || PyObject_TypeCheck(object, state.Store_base)) {
        return (StoreObject *)object;
    }
    if (PyObject_TypeCheck(object, state.Caller_base)) {
        CallerObject *caller = (CallerObject *)object;
        bool valid = relaxed_load(caller->valid);
        if (LIKELY(valid && store_thread(caller->store) == thread_id())) {
            return caller->store;
        }
        PyErr_SetString(PyExc_ValueError,
                        valid ? "caller belongs to another thread" : "caller is no longer valid");
        return NULL;
    }
    return storelike_refuse(object);
}

static PyObject *
caller_get_engine_store(CallerObject *self, void *Py_UNUSED(closure))
{
    if (!relaxed_load(self->valid)) {
        PyErr_SetString(PyExc_ValueError, "caller is no longer valid");
        return NULL;
    }
    return Py_NewRef(self->store);
}

static PyObject *wrap_extern(StoreObject *store, wasmtime_extern_t *item);

static PyObject *
caller_export(CallerObject *self, PyObject *argument)
{
    Py_ssize_t length;
    if (!PyUnicode_Check(argument)) {
        PyErr_Format(state.ArgumentTypeError, "name must be a str, not %.200s",
                     type_name(argument));
        return NULL;
    }
    const char *name = PyUnicode_AsUTF8AndSize(argument, &length);
    if (name == NULL) {
        return NULL;
    }
    if (!relaxed_load(self->valid) || self->caller == NULL) {
        Py_RETURN_NONE;
    }
    StoreObject *store = storelike((PyObject *)self);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    wasmtime_extern_t item;
    PyObject *result = NULL;
    if (wasmtime_caller_export_get(self->caller, (char *)name, (size_t)length, &item)) {
        result = wrap_extern(store, &item);
    }
    else {
        result = Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

static PyMethodDef caller_methods[] = {
    REFUSE_REDUCE,
    {"_export", (PyCFunction)caller_export, METH_O,
     "_export($self, name, /)\n--\n\nThe calling instance's export, or None."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef caller_getset[] = {
    {"_store", (getter)caller_get_engine_store, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot caller_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Caller: a store and an instance, during a host call."},
    {Py_tp_dealloc, caller_dealloc},
    {Py_tp_traverse, caller_traverse},
    {Py_tp_clear, caller_clear},
    {Py_tp_methods, caller_methods},
    {Py_tp_getset, caller_getset},
    {0, NULL},
};
static PyType_Spec caller_spec = {"wasmtime._core.Caller", sizeof(CallerObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  caller_slots};
