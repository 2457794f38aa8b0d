/* Handle: owns one native object, and deletes it once, when the last reference to the Handle goes.
 *
 * An Owner (owner.c) holds a Handle until it is closed, and whoever calls into the library holds
 * the Handle for as long as the call runs. So a `close()` elsewhere ends the Owner's claim at once,
 * and the native object dies as soon as no call uses it. There is no other way for it to die. */

struct HandleObject {
    PyObject_HEAD
    void *pointer; /* NULL once disowned, which takes the only reference */
    int kind;
    PyObject *cdata;        /* locked: the same pointer for the cffi half */
    PyObject *export_names; /* once: of a module, see module_export_names() */
    char prepared;          /* relaxed: of a module, that what forwards for it is compiled */
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

#define DROP(function) ((drop_function)(void (*)(void))(function))
static const struct {
    const char *name;
    int kind;
    drop_function drop;
} handle_kinds[] = {
    {"wasm_engine_t", KIND_ENGINE, DROP(ticker_delete_engine)},
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
