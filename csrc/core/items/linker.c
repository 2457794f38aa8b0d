/* Linker: definitions, and uses that exclude their change.
 *
 * A Linker owns the native linker and, in `definitions`, the host functions defined in it. A store
 * that something was instantiated in through it keeps that list.
 *
 * The native linker must not change while it is read. So definitions and uses exclude each other:
 * threads take turns, and code that runs during a definition may not use the linker. The list of
 * definitions and the store that items are bound to are read during a use, so that they fit it. */

struct LinkerObject {
    OwnerObject owner;
    PyObject *definitions; /* locked: list of HostFunc; it stays the same during a use */
    char wasi;             /* relaxed: WASI is defined here, stores must have been given theirs */
    char coroutines;       /* relaxed: coroutine functions are defined here */
    uintptr_t readers;     /* atomic: how many uses run */
    uintptr_t writer;      /* atomic: thread_id() of the thread that defines, or 0 */
    PyObject *bound_to;    /* locked: identity of the store that all its items live in; NULL: there
                            * are none; None: of several stores, Python knows which (`_bound_items`) */
};

typedef struct {
    OwnerObject owner;
    PyObject *definitions;
    PyObject *module;
    HandleObject *native_module; /* also when the Module is closed meanwhile */
    char wasi;
    char coroutines;
} InstancePreObject;

/* A module that imports WASI needs a store that has it: WASI's functions would abort without. */
static NOINLINE bool
check_wasi(PyObject *module)
{
    PyObject *imports = PyObject_GetAttrString(module, "_imports_wasi");
    if (imports == NULL) {
        return false;
    }
    bool needed = imports == Py_True;
    Py_DECREF(imports);
    if (needed) {
        PyErr_SetString(state.WasmtimeError,
                        "WASI is not configured: the module imports it, but this store has not "
                        "been given any; call store.set_wasi(WasiConfig()) before instantiating");
    }
    return !needed;
}

/* Compile what guests of this module forward to the library with, unless that is done. */
static NOINLINE bool
linker_prepare_wasi(PyObject *linker, PyObject *module, HandleObject *native_module)
{
    PyObject *answer = PyObject_CallMethod(linker, "_prepare_wasi", "O", module);
    if (answer == NULL) {
        return false;
    }
    Py_DECREF(answer);
    relaxed_store(native_module->prepared, true);
    return true;
}

#define LINKER_PATIENCE_MILLISECONDS 1000

static NOINLINE bool
refuse_linker(const char *why)
{
    PyErr_Format(state.WasmtimeError, "linker is in use: %s", why);
    return false;
}

/* Another thread has a short turn: wait for it, without the GIL. */
static void
linker_wait(void)
{
    Py_BEGIN_ALLOW_THREADS;
    thread_pause(1000);
    Py_END_ALLOW_THREADS;
}

static bool
linker_read_begin(LinkerObject *self)
{
    for (int waited = 0;; waited++) {
        atomic_add(&self->readers, 1);
        uintptr_t writer = atomic_load(&self->writer);
        if (LIKELY(writer == 0)) {
            return true;
        }
        atomic_sub(&self->readers, 1);
        if (writer == thread_id()) {
            return refuse_linker("it is being changed by what called this");
        }
        if (waited >= LINKER_PATIENCE_MILLISECONDS) {
            return refuse_linker("another thread has been changing it for a second");
        }
        linker_wait();
    }
}

static void
linker_read_end(LinkerObject *self)
{
    atomic_sub(&self->readers, 1);
}

static bool
linker_write_begin(LinkerObject *self)
{
    uintptr_t me = thread_id();
    for (int waited = 0;; waited++) {
        if (atomic_load(&self->writer) == me) {
            return refuse_linker("it is being changed by what called this");
        }
        if (atomic_claim(&self->writer, me)) {
            if (LIKELY(atomic_load(&self->readers) == 0)) {
                return true;
            }
            atomic_store(&self->writer, 0);
        }
        if (waited >= LINKER_PATIENCE_MILLISECONDS) {
            return refuse_linker("it cannot be changed while it instantiates a module or another "
                                 "thread changes it, and it has been doing that for a second");
        }
        linker_wait();
    }
}

/* _begin(change): the Handle; _end(change) must follow. */
static PyObject *
linker_begin(LinkerObject *self, PyObject *change)
{
    HandleObject *handle = owner_use(&self->owner);
    if (handle == NULL) {
        return NULL;
    }
    if (!(change == Py_True ? linker_write_begin(self) : linker_read_begin(self))) {
        Py_DECREF(handle);
        return NULL;
    }
    return (PyObject *)handle;
}

static PyObject *
linker_end(LinkerObject *self, PyObject *change)
{
    if (change == Py_True) {
        atomic_store(&self->writer, 0);
    }
    else {
        linker_read_end(self);
    }
    Py_RETURN_NONE;
}

/* `link` runs one of the library's two ways to instantiate. */
typedef wasmtime_error_t *(*link_function)(void *linker, wasmtime_context_t *context, void *module,
                                           wasmtime_instance_t *instance, wasm_trap_t **trap);

static wasmtime_error_t *
link_with_linker(void *linker, wasmtime_context_t *context, void *module,
                 wasmtime_instance_t *instance, wasm_trap_t **trap)
{
    return wasmtime_linker_instantiate(linker, context, module, instance, trap);
}

static wasmtime_error_t *
link_with_pre(void *pre, wasmtime_context_t *context, void *Py_UNUSED(module),
              wasmtime_instance_t *instance, wasm_trap_t **trap)
{
    return wasmtime_instance_pre_instantiate(pre, context, instance, trap);
}

static PyObject *
instantiate(link_function link, void *linker, StoreObject *store, PyObject *definitions,
            HandleObject *module)
{
    NativeCall call;
    if (!native_enter(&call, store, definitions)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (store_keep_definitions(store, definitions) && native_begin(&call, RELEASE_GIL)) {
        store->links_python |= PyList_Size(definitions) > 0;
        wasmtime_instance_t instance;
        wasm_trap_t *trap = NULL;
        wasmtime_error_t *error = link(linker, store->context, module->pointer, &instance, &trap);
        if (native_end(&call, error, trap)) {
            result = instance_wrap(store, &instance, module);
        }
    }
    native_leave(&call);
    return result;
}

/* The library panics when it sizes a memory or a table of another store. */
static NOINLINE bool
linker_check_bound_items(PyObject *linker, PyObject *store, PyObject *module)
{
    PyObject *answer = PyObject_CallMethod(linker, "_check_bound_items", "OO", store, module);
    Py_XDECREF(answer);
    return answer != NULL;
}

PyDoc_STRVAR(
    linker_instantiate_doc,
    "instantiate($self, /, store, module)\n--\n\n"
    "Instantiate a module with what this linker defines.\n\n"
    "Runs the module's start function, if it has one.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) to instantiate in, of this linker's engine.\n"
    "    module: The Module.\n\n"
    "Returns:\n"
    "    The Instance.\n\n"
    "Raises:\n"
    "    WasmtimeError: Imports are missing (the message lists each with its type) or of the wrong\n"
    "        type (it says what was expected and given), the store's limits are reached, or\n"
    "        something belongs to another engine.\n"
    "    Trap: The start function trapped.\n"
    "    ValueError: The linker, the store or the module is closed.\n");

static PyObject *
linker_instantiate(PyObject *object, PyObject *const *arguments, Py_ssize_t count,
                   PyObject *keywords)
{
    static const char *const names[] = {"store", "module", NULL};
    static const ArgumentNames spec = {"instantiate", names, 2};
    LinkerObject *self = (LinkerObject *)object;
    PyObject *given[2];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 2)
        || (store = storelike(given[0])) == NULL) {
        return NULL;
    }
    HandleObject *module = owner_argument(given[1], KIND_MODULE, "module", "Module");
    if (module == NULL) {
        return NULL;
    }
    if (UNLIKELY(relaxed_load(self->coroutines)) || store_links_asynchronously(store)) {
        Py_DECREF(module);
        return PyObject_CallMethod(object, "_instantiate_there", "OO", given[0], given[1]);
    }
    HandleObject *linker = owner_use(&self->owner);
    PyObject *result = NULL;
    if (linker != NULL && UNLIKELY(relaxed_load(self->wasi)) && !relaxed_load(module->prepared)
        && !linker_prepare_wasi(object, given[1], module)) {
        Py_CLEAR(linker);
    }
    if (linker != NULL && check_engine(store, object, "linker")
        && check_engine(store, given[1], "module") && linker_read_begin(self)) {
        PyObject *bound_to = relaxed_load(self->bound_to); /* compared, not looked into */
        if ((!relaxed_load(self->wasi) || relaxed_load(store->has_wasi) || check_wasi(given[1]))
            && (bound_to == NULL || bound_to == store->home
                || linker_check_bound_items(object, given[0], given[1]))) {
            result =
                instantiate(link_with_linker, linker->pointer, store, self->definitions, module);
        }
        linker_read_end(self);
        if (result == NULL && PyErr_ExceptionMatches(state.WasmtimeError)) {
            /* The library names one missing import; Python finds the others. */
            PyObject *error = PyErr_GetRaisedException();
            PyObject *better = PyObject_CallFunctionObjArgs(state.explain_link_error, object,
                                                            given[0], given[1], error, NULL);
            if (better == NULL) {
                PyErr_Clear();
                better = Py_NewRef(error);
            }
            Py_DECREF(error);
            PyErr_SetRaisedException(better);
        }
    }
    Py_XDECREF(linker);
    Py_DECREF(module);
    return result;
}

/* _bound_to: the identity of a store, or None. */
static int
linker_set_bound_to(LinkerObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XDECREF(locked_swap(self, &self->bound_to, Py_XNewRef(value)));
    return 0;
}

static PyObject *
linker_get_bound_to(LinkerObject *self, void *Py_UNUSED(closure))
{
    PyObject *bound_to = locked_get(self, &self->bound_to);
    return bound_to != NULL ? bound_to : Py_NewRef(Py_None);
}

static PyObject *
linker_get_definitions(LinkerObject *self, void *Py_UNUSED(closure))
{
    PyObject *definitions = locked_get(self, &self->definitions);
    return definitions != NULL ? definitions : Py_NewRef(Py_None);
}

/* Replace the list. Stores that keep the old one keep it unchanged. */
static int
linker_set_definitions(LinkerObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyList_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_definitions must be a list");
        return -1;
    }
    Py_XDECREF(locked_swap(self, &self->definitions, Py_NewRef(value)));
    return 0;
}

static PyObject *
linker_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    LinkerObject *self = (LinkerObject *)type_alloc(type);
    if (self != NULL && (self->definitions = PyList_New(0)) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
linker_traverse(LinkerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->definitions);
    return owner_traverse(&self->owner, visit, arg);
}

static int
linker_clear(LinkerObject *self)
{
    /* The native linker goes before what it points to. */
    owner_clear(&self->owner);
    Py_CLEAR(self->bound_to);
    Py_CLEAR(self->definitions);
    return 0;
}

static void
linker_dealloc(LinkerObject *self)
{
    PyObject_GC_UnTrack(self);
    linker_clear(self);
    type_free((PyObject *)self);
}

static PyMethodDef linker_methods[] = {
    {"instantiate", FAST(linker_instantiate), linker_instantiate_doc},
    {"_begin", (PyCFunction)linker_begin, METH_O,
     "_begin($self, change, /)\n--\n\nThe Handle, for one use or (True) change; _end() must follow."},
    {"_end", (PyCFunction)linker_end, METH_O,
     "_end($self, change, /)\n--\n\nThe use or change is over."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef linker_getset[] = {
    {"_definitions", (getter)linker_get_definitions, (setter)linker_set_definitions, NULL, NULL},
    {"_bound_to", (getter)linker_get_bound_to, (setter)linker_set_bound_to, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef linker_members[] = {
    {"_wasi_defined", T_BOOL, offsetof(LinkerObject, wasi), 0, NULL},
    {"_coroutines", T_BOOL, offsetof(LinkerObject, coroutines), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot linker_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Linker."},
    {Py_tp_new, linker_tp_new},
    {Py_tp_dealloc, linker_dealloc},
    {Py_tp_traverse, linker_traverse},
    {Py_tp_clear, linker_clear},
    {Py_tp_methods, linker_methods},
    {Py_tp_getset, linker_getset},
    {Py_tp_members, linker_members},
    {0, NULL},
};
static PyType_Spec linker_spec = {"wasmtime._core.Linker", sizeof(LinkerObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  linker_slots};
