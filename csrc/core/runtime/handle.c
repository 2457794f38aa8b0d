/* Owned native objects.
 *
 * A `Handle` owns one native object and deletes it, once, when the last reference to the
 * Handle goes. An `Owner` (the base of Engine, Module, Linker, ...) holds a Handle until it
 * is closed. Whoever calls into the library keeps a reference to the Handle for as long as
 * the call runs, so a `close()` elsewhere ends the Owner's claim at once and the native
 * object as soon as nobody uses it. There is no other way for one of them to die. */

struct HandleObject {
    PyObject_HEAD
    void *pointer; /* NULL once disowned, which is done by who has the only reference */
    int kind;
    PyObject *cdata;        /* locked: the same pointer for the cffi half */
    PyObject *export_names; /* once: of a module, see module_export_names() */
};

struct OwnerObject {
    PyObject_HEAD
    HandleObject *handle; /* locked: NULL before initialisation and after close() */
    PyObject *engine;     /* once: the Engine that the object belongs to, if any */
    bool closed;          /* a flag */
};

typedef void (*drop_function)(void *);

enum {
    KIND_ENGINE,
    KIND_MODULE,
    KIND_LINKER,
    KIND_INSTANCE_PRE,
    KIND_SHARED_MEMORY,
    KIND_ERROR,
    KIND_TRAP,
    KIND_COMPONENT,
    KIND_COMPONENT_LINKER,
    KIND_GUEST_PROFILER,
};

/* An engine dies under the watchdog's lock: it may be about to move the epoch of it. */
static void
drop_engine(void *engine)
{
    watchdog_hold();
    if (atomic_load(&watchdog.engine) == (uintptr_t)engine) {
        atomic_store(&watchdog.engine, 0); /* entered and never left: a Door that was lost */
    }
    wasm_engine_delete(engine);
    watchdog_go_on();
}

#define DROP(function) ((drop_function)(void (*)(void))(function))
static const struct {
    const char *name;
    int kind;
    drop_function drop;
} handle_kinds[] = {
    {"wasm_engine_t", KIND_ENGINE, drop_engine},
    {"wasmtime_module_t", KIND_MODULE, DROP(wasmtime_module_delete)},
    {"wasmtime_linker_t", KIND_LINKER, DROP(wasmtime_linker_delete)},
    {"wasmtime_instance_pre_t", KIND_INSTANCE_PRE, DROP(wasmtime_instance_pre_delete)},
    {"wasmtime_sharedmemory_t", KIND_SHARED_MEMORY, DROP(wasmtime_sharedmemory_delete)},
    {"wasmtime_error_t", KIND_ERROR, DROP(wasmtime_error_delete)},
    {"wasm_trap_t", KIND_TRAP, DROP(wasm_trap_delete)},
    {"wasmtime_component_t", KIND_COMPONENT, DROP(wasmtime_component_delete)},
    {"wasmtime_component_linker_t", KIND_COMPONENT_LINKER, DROP(wasmtime_component_linker_delete)},
    {"wasmtime_guestprofiler_t", KIND_GUEST_PROFILER, DROP(wasmtime_guestprofiler_delete)},
};
#define HANDLE_KIND_COUNT ((int)(sizeof(handle_kinds) / sizeof(handle_kinds[0])))

static drop_function
handle_drop_function(int kind)
{
    for (int i = 0; i < HANDLE_KIND_COUNT; i++) {
        if (handle_kinds[i].kind == kind) {
            return handle_kinds[i].drop;
        }
    }
    return NULL;
}

static const char *
handle_kind_name(int kind)
{
    for (int i = 0; i < HANDLE_KIND_COUNT; i++) {
        if (handle_kinds[i].kind == kind) {
            return handle_kinds[i].name;
        }
    }
    return "unknown";
}

/* A Handle that owns `pointer`; on failure the pointer is deleted. */
static HandleObject *
handle_new(void *pointer, int kind, PyObject *cdata)
{
    HandleObject *self = (HandleObject *)type_alloc(state.Handle);
    if (self == NULL) {
        handle_drop_function(kind)(pointer);
        return NULL;
    }
    self->pointer = pointer;
    self->kind = kind;
    self->cdata = Py_XNewRef(cdata);
    return self;
}

static PyObject *
handle_py_new(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    const char *name;
    unsigned long long address;
    PyObject *cdata = NULL;
    if (!PyArg_ParseTuple(args, "sK|O:Handle", &name, &address, &cdata)) {
        return NULL;
    }
    if (address == 0) {
        PyErr_SetString(PyExc_ValueError, "Handle(): the address must not be 0");
        return NULL;
    }
    for (int i = 0; i < HANDLE_KIND_COUNT; i++) {
        if (strcmp(handle_kinds[i].name, name) == 0) {
            return (PyObject *)handle_new((void *)(uintptr_t)address, handle_kinds[i].kind, cdata);
        }
    }
    PyErr_Format(PyExc_ValueError, "Handle(): the core owns no objects of type %s", name);
    return NULL;
}

static void
handle_dealloc(HandleObject *self)
{
    if (self->pointer != NULL) {
        handle_drop_function(self->kind)(self->pointer);
        self->pointer = NULL;
    }
    Py_CLEAR(self->cdata);
    Py_CLEAR(self->export_names);
    type_free((PyObject *)self);
}

static PyObject *
handle_address(HandleObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr(self->pointer);
}

static PyObject *
handle_pointer(HandleObject *self, void *Py_UNUSED(closure))
{
    PyObject *cdata = relaxed_load(self->pointer) != NULL ? locked_get(self, &self->cdata) : NULL;
    return cdata != NULL ? cdata : Py_NewRef(Py_None);
}

static int
handle_set_pointer(HandleObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XDECREF(locked_swap(self, &self->cdata, Py_XNewRef(value)));
    return 0;
}

static PyObject *
handle_get_kind(HandleObject *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(handle_kind_name(self->kind));
}

static PyObject *
handle_disown(HandleObject *self, PyObject *Py_UNUSED(ignored))
{
    void *pointer;
    LOCK(self);
    pointer = self->pointer;
    relaxed_store(self->pointer, NULL);
    UNLOCK();
    if (pointer == NULL) {
        PyErr_SetString(PyExc_ValueError, "already closed");
        return NULL;
    }
    PyObject *address = PyLong_FromVoidPtr(pointer);
    if (address == NULL) {
        handle_drop_function(self->kind)(pointer);
    }
    return address;
}

static PyGetSetDef handle_getset[] = {
    {"address", (getter)handle_address, NULL, "The native pointer as an integer.", NULL},
    {"pointer", (getter)handle_pointer, (setter)handle_set_pointer,
     "The native pointer as cffi's cdata.", NULL},
    {"kind", (getter)handle_get_kind, NULL, "The C type of what is owned.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef handle_methods[] = {
    {"disown", (PyCFunction)handle_disown, METH_NOARGS,
     "disown($self, /)\n--\n\nGive the native object away: its address, which the caller now owns."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "Handle(kind, address, cdata=None, /)\n--\n\nOwns one native object."},
    {Py_tp_new, handle_py_new},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_getset, handle_getset},
    {Py_tp_methods, handle_methods},
    {0, NULL},
};
static PyType_Spec handle_spec = {"wasmtime._core.Handle", sizeof(HandleObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, handle_slots};

/* ------------------------------------------------------------------------------------ */

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
    /* References are given out under this lock alone: who has none yet can get none now. */
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

/* ------------------------------------------------------------------------------------
 * Engine: an Owner that also counts the user's epochs. */

struct EngineObject {
    OwnerObject owner;
    uintptr_t epoch;             /* moved by Engine.increment_epoch() alone, not by the watchdog */
    uintptr_t wasm_stack;        /* bytes of native stack that WebAssembly may use */
    uintptr_t fiber_stack;       /* bytes of the stacks on which components run that may wait */
    uint64_t memory_reservation; /* bytes that a linear memory can grow into in place */
    bool memory_may_move;        /* a memory may outgrow its reservation */
    bool epochs;                 /* epoch checks are compiled in */
    bool epochs_explicit;        /* the user asked for them: a new store's deadline is at hand */
};

static PyObject *
engine_increment_epoch(EngineObject *self, PyObject *Py_UNUSED(ignored))
{
    HandleObject *handle = owner_use(&self->owner);
    if (handle == NULL) {
        return NULL;
    }
    atomic_add(&self->epoch, 1);
    wasmtime_engine_increment_epoch(handle->pointer);
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

/* As owner_adopt(), with the configuration: nobody finds the one without the other. */
static PyObject *
engine_adopt(EngineObject *self, PyObject *args)
{
    PyObject *handle;
    int epochs, epochs_explicit, memory_may_move;
    Py_ssize_t wasm_stack, fiber_stack;
    unsigned long long memory_reservation;
    if (!PyArg_ParseTuple(args, "O!ppnnpK:_own_configured", state.Handle, &handle, &epochs,
                          &epochs_explicit, &wasm_stack, &fiber_stack, &memory_may_move,
                          &memory_reservation)) {
        return NULL;
    }
    bool vacant;
    LOCK(self);
    vacant = owner_is_vacant(&self->owner);
    if (vacant) {
        self->memory_may_move = memory_may_move != 0;
        self->memory_reservation = memory_reservation;
        self->epochs = epochs != 0;
        self->epochs_explicit = epochs_explicit != 0;
        self->wasm_stack = (uintptr_t)wasm_stack;
        self->fiber_stack = (uintptr_t)fiber_stack;
        self->owner.handle = (HandleObject *)Py_NewRef(handle);
    }
    UNLOCK();
    return vacant ? Py_NewRef(Py_None) : owner_refuse_second(&self->owner);
}

static PyMethodDef engine_methods[] = {
    {"increment_epoch", (PyCFunction)engine_increment_epoch, METH_NOARGS,
     "increment_epoch($self, /)\n--\n\nSee wasmtime.Engine."},
    {"_own_configured", (PyCFunction)engine_adopt, METH_VARARGS,
     "_own_configured($self, handle, epochs, epochs_explicit, wasm_stack, fiber_stack, "
     "memory_may_move, memory_reservation, /)\n--\n\n"
     "As _own(), with what the core must know of the configuration."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Engine."}, {Py_tp_dealloc, owner_dealloc},
    {Py_tp_traverse, owner_traverse},        {Py_tp_clear, owner_clear},
    {Py_tp_methods, engine_methods},         {0, NULL},
};
static PyType_Spec engine_spec = {"wasmtime._core.Engine", sizeof(EngineObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  engine_slots};
