/* Owner: the base of Engine, Module, Linker, Component and what else can be closed.
 *
 * Ownership: an Owner holds a reference to its Handle (handle.c) until it is closed. Each call that
 * uses the native object holds one of its own, so close() never frees it under a call. */

struct OwnerObject {
    PyObject_HEAD
    HandleObject *handle; /* locked: NULL before initialisation and after close() */
    PyObject *engine;     /* once: the Engine that the object belongs to, if any */
    bool closed;          /* relaxed */
};

/* A new reference to the Handle; NULL without an exception when there is none. */
static inline HandleObject *
owner_hold(OwnerObject *self)
{
    HandleObject *handle;
    LOCK(self);
    handle = (HandleObject *)Py_XNewRef(self->handle);
    UNLOCK();
    return handle;
}

static NOINLINE void
owner_refuse(OwnerObject *self)
{
    PyErr_SetString(PyExc_ValueError,
                    relaxed_load(self->closed) ? "already closed" : "never initialized");
}

/* As above, but NULL with ValueError. */
static HandleObject *
owner_use(OwnerObject *self)
{
    HandleObject *handle = owner_hold(self);
    if (UNLIKELY(handle == NULL)) {
        owner_refuse(self);
    }
    return handle;
}

/* As above, for an argument that should be an Owner of a `kind`. */
static HandleObject *
owner_argument(PyObject *object, int kind, const char *what, const char *class_name)
{
    if (LIKELY(PyObject_TypeCheck(object, state.Owner))) {
        HandleObject *handle = owner_use((OwnerObject *)object);
        if (LIKELY(handle == NULL || handle->kind == kind)) {
            return handle;
        }
        Py_DECREF(handle);
    }
    PyErr_Format(state.ArgumentTypeError, "%s must be a %s, not %.200s", what, class_name,
                 type_name(object));
    return NULL;
}

/* Whether it may be given a native object; under its lock. Not after close() either: what was made
 * with the first native object (stores and modules of an engine) takes this object's identity for
 * that object's. */
static bool
owner_is_vacant(OwnerObject *self)
{
    return self->handle == NULL && !self->closed;
}

static NOINLINE PyObject *
owner_refuse_second(OwnerObject *self)
{
    PyErr_SetString(PyExc_ValueError,
                    relaxed_load(self->closed) ? "already closed" : "already initialized");
    return NULL;
}

static PyObject *
owner_adopt(OwnerObject *self, PyObject *args)
{
    PyObject *handle, *engine = NULL;
    if (!PyArg_ParseTuple(args, "O!|O:_own", state.Handle, &handle, &engine)) {
        return NULL;
    }
    bool vacant;
    LOCK(self);
    vacant = owner_is_vacant(self);
    if (vacant) {
        if (engine != NULL && engine != Py_None && self->engine == NULL) {
            publish(self->engine, Py_NewRef(engine));
        }
        self->handle = (HandleObject *)Py_NewRef(handle);
    }
    UNLOCK();
    return vacant ? Py_NewRef(Py_None) : owner_refuse_second(self);
}

static PyObject *
owner_py_use(OwnerObject *self, PyObject *Py_UNUSED(ignored))
{
    return (PyObject *)owner_use(self);
}

static PyObject *
owner_close(OwnerObject *self, PyObject *Py_UNUSED(ignored))
{
    HandleObject *handle;
    LOCK(self);
    relaxed_store(self->closed, true);
    handle = self->handle;
    self->handle = NULL;
    UNLOCK();
    Py_XDECREF(handle);
    Py_RETURN_NONE;
}

static PyObject *
owner_release(OwnerObject *self, PyObject *Py_UNUSED(ignored))
{
    HandleObject *handle;
    bool alone;
    LOCK(self);
    /* References are handed out under this lock only: no new one can be taken now. */
    handle = self->handle;
    alone = handle != NULL && Py_REFCNT(handle) == 1;
    if (alone) {
        relaxed_store(self->closed, true);
        self->handle = NULL;
    }
    UNLOCK();
    if (handle == NULL) {
        owner_refuse(self);
        return NULL;
    }
    if (!alone) {
        PyErr_Format(PyExc_ValueError, "%.200s is in use by another thread", type_name(self));
        return NULL;
    }
    return (PyObject *)handle;
}

static int
owner_traverse(OwnerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine);
    return 0;
}

static int
owner_clear(OwnerObject *self)
{
    Py_CLEAR(self->handle);
    Py_CLEAR(self->engine);
    return 0;
}

static void
owner_dealloc(OwnerObject *self)
{
    PyObject_GC_UnTrack(self);
    owner_clear(self);
    type_free((PyObject *)self);
}

static PyMethodDef owner_methods[] = {
    {"_own", (PyCFunction)owner_adopt, METH_VARARGS,
     "_own($self, handle, engine=None, /)\n--\n\nHold `handle` from now on."},
    {"_use", (PyCFunction)owner_py_use, METH_NOARGS,
     "_use($self, /)\n--\n\nThe Handle, to be kept while native code uses it; ValueError when closed."},
    {"_release", (PyCFunction)owner_release, METH_NOARGS,
     "_release($self, /)\n--\n\nGive the Handle up, for a C function that consumes the object."},
    {"close", (PyCFunction)owner_close, METH_NOARGS,
     "close($self, /)\n--\n\nGive up the native object; using this object afterwards raises ValueError."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef owner_members[] = {
    {"_engine", T_OBJECT, offsetof(OwnerObject, engine), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot owner_slots[] = {
    {Py_tp_doc, "Base of everything that owns a native object until it is closed."},
    {Py_tp_dealloc, owner_dealloc},
    {Py_tp_traverse, owner_traverse},
    {Py_tp_clear, owner_clear},
    {Py_tp_methods, owner_methods},
    {Py_tp_members, owner_members},
    {0, NULL},
};
static PyType_Spec owner_spec = {"wasmtime._core.Owner", sizeof(OwnerObject), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 owner_slots};
