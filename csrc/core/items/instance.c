/* Instance: made here from a list of imports; linker.c and instance_pre.c make them, too.
 *
 * An Instance is an item (item.c). It owns a reference to the native module that it was made from,
 * for the names of the exports, and its Exports once they were asked for. */

typedef struct {
    ItemObject item;
    wasmtime_instance_t native;
    HandleObject *module; /* set with `native`: what it was made from, for the names */
    PyObject *exports;    /* once: InstanceExports, made when first asked for */
} InstanceObject;

/* The exports of an instance: a mapping by name, and a tuple in the module's order.
 *
 * Each is looked up by its name when it is asked for, which costs the same however many there are.
 * (The library's enumeration begins anew for each index, so it is not used.) */
typedef struct {
    PyObject_HEAD
    PyObject *home; /* as that of an item */
    wasmtime_instance_t native;
    HandleObject *module;
    PyObject *found;    /* dict by name: what has been asked for; filled inside the store */
    PyObject *by_index; /* once: the tuple of all; then all are in `found` too */
} ExportsObject;

static PyObject *
instance_wrap(StoreObject *store, const wasmtime_instance_t *native, HandleObject *module)
{
    InstanceObject *self = (InstanceObject *)type_alloc((PyTypeObject *)state.Instance);
    if (self != NULL) {
        self->item.home = Py_NewRef(store->home);
        self->native = *native;
        self->module = (HandleObject *)Py_NewRef(module);
    }
    return (PyObject *)self;
}

/* The engines must be the same object: the library panics on a mixture. */
static bool
check_engine(StoreObject *store, PyObject *owner, const char *what)
{
    if (published(((OwnerObject *)owner)->engine) == store->owner.engine) {
        return true;
    }
    PyErr_Format(state.WasmtimeError,
                 "%s belongs to another engine than the store: make both with the same Engine",
                 what);
    return false;
}

/* Imports in the library's form, with what was lent for them. */
typedef struct {
    Py_ssize_t count;
    wasmtime_extern_t *externs;
    HandleObject **lent;
} LoweredImports;

static void
imports_drop(LoweredImports *imports)
{
    for (Py_ssize_t i = 0; imports->lent != NULL && i < imports->count; i++) {
        Py_XDECREF(imports->lent[i]);
    }
    PyMem_RawFree(imports->externs);
    PyMem_RawFree(imports->lent);
}

/* Lower the items of a tuple; false with an exception. imports_drop() must follow in both cases. */
static bool
imports_lower(LoweredImports *imports, StoreObject *store, PyObject *items)
{
    size_t count = (size_t)PyTuple_Size(items);
    imports->count = (Py_ssize_t)count;
    imports->externs = PyMem_RawCalloc(count ? count : 1, sizeof(wasmtime_extern_t));
    imports->lent = PyMem_RawCalloc(count ? count : 1, sizeof(HandleObject *));
    if (imports->externs == NULL || imports->lent == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < imports->count; i++) {
        if (!lower_extern(store, PyTuple_GetItem(items, i), &imports->externs[i], &imports->lent[i],
                          (Place){"import", i + 1})) {
            return false;
        }
    }
    return true;
}

/* Instantiate the module as `self`; true, or false with an exception. */
static bool
instance_link(InstanceObject *self, StoreObject *store, HandleObject *module,
              const LoweredImports *imports)
{
    NativeCall call;
    if (!native_enter(&call, store, module)) {
        return false;
    }
    bool fine = false;
    if (native_begin(&call, RELEASE_GIL)) {
        wasm_trap_t *trap = NULL;
        wasmtime_instance_t made;
        wasmtime_error_t *error =
            wasmtime_instance_new(store->context, module->pointer, imports->externs,
                                  (size_t)imports->count, &made, &trap);
        /* What the start function called may have initialised this object. */
        fine =
            native_end(&call, error, trap) && item_become(&self->item, store, &made, sizeof(made));
        if (fine) {
            self->module = (HandleObject *)Py_NewRef(module);
        }
    }
    native_leave(&call);
    return fine;
}

/* Instance._init(store, module, imports) */
static PyObject *
instance_init_native(InstanceObject *self, PyObject *args)
{
    PyObject *object, *module, *imports;
    if (!PyArg_ParseTuple(args, "OOO:_init", &object, &module, &imports)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    if (published(self->item.home) != NULL) {
        PyErr_SetString(PyExc_ValueError, "already initialized");
        return NULL;
    }
    if (store_links_asynchronously(store)) {
        return PyObject_CallMethod((PyObject *)self, "_init_there", "OOO", object, module, imports);
    }
    HandleObject *handle = owner_argument(module, KIND_MODULE, "module", "Module");
    if (handle == NULL) {
        return NULL;
    }
    bool fine = false;
    PyObject *items = tuple_of(imports);
    if (items != NULL && check_engine(store, module, "module")) {
        LoweredImports lowered;
        fine =
            imports_lower(&lowered, store, items) && instance_link(self, store, handle, &lowered);
        imports_drop(&lowered);
    }
    Py_XDECREF(items);
    Py_DECREF(handle);
    return fine ? Py_NewRef(Py_None) : NULL;
}

/* _become(store, other): another object for the instance `other`. */
static PyObject *
instance_become(InstanceObject *self, PyObject *args)
{
    PyObject *object, *other;
    if (!PyArg_ParseTuple(args, "OO!:_become", &object, state.Instance_base, &other)) {
        return NULL;
    }
    InstanceObject *made = (InstanceObject *)other;
    StoreObject *store = item_enter(other, object);
    if (store == NULL) {
        return NULL;
    }
    bool fine = item_become(&self->item, store, &made->native, sizeof(made->native));
    if (fine) {
        self->module = (HandleObject *)Py_NewRef(made->module);
    }
    store_leave(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
exports_new(InstanceObject *instance)
{
    ExportsObject *self = (ExportsObject *)type_alloc((PyTypeObject *)state.InstanceExports);
    if (self == NULL) {
        return NULL;
    }
    self->home = Py_NewRef(instance->item.home);
    self->native = instance->native;
    self->module = (HandleObject *)Py_XNewRef(instance->module);
    self->found = PyDict_New();
    if (self->found == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyDoc_STRVAR(
    instance_exports_doc,
    "exports($self, /, store)\n--\n\n"
    "The exports of this instance.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the instance lives in.\n\n"
    "Returns:\n"
    "    A mapping from name to Func, Memory, Table, Global, SharedMemory or Tag; the same object\n"
    "    at every call. Its ``by_index`` is the tuple of them in the module's order.\n\n"
    "Raises:\n"
    "    ValueError: The store is closed.\n"
    "    WasmtimeError: The instance belongs to another store, or the store is in use by another\n"
    "        thread.\n");

static PyObject *
instance_exports(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    InstanceObject *self = (InstanceObject *)object;
    PyObject *given = argument_store("exports", arguments, count, keywords);
    StoreObject *store = given != NULL ? storelike(given) : NULL;
    if (store == NULL || !item_check(&self->item, store)) {
        return NULL;
    }
    PyObject *exports = published(self->exports);
    if (LIKELY(exports != NULL && relaxed_load(store->context) != NULL)) {
        return Py_NewRef(exports);
    }
    if (!store_enter(store)) {
        return NULL;
    }
    exports = exports_new(self);
    if (exports != NULL && self->exports == NULL) {
        publish(self->exports, Py_NewRef(exports));
    }
    else if (exports != NULL) { /* Making them collected garbage, and that asked for them. */
        Py_DECREF(exports);
        exports = Py_NewRef(self->exports);
    }
    store_leave(store);
    return exports;
}

/* Instance._export(store, name): one export, without making the others. */
static PyObject *
instance_export(InstanceObject *self, PyObject *args)
{
    PyObject *object;
    const char *name;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "Os#:get_export", &object, &name, &length)) {
        return NULL;
    }
    StoreObject *store = item_enter((PyObject *)self, object);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_extern_t item;
    PyObject *result;
    if (wasmtime_instance_export_get(store->context, &self->native, (char *)name, (size_t)length,
                                     &item)) {
        result = wrap_extern(store, &item);
    }
    else {
        result = Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

static int
instance_traverse(InstanceObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->exports);
    return 0;
}

static int
instance_clear(InstanceObject *self)
{
    Py_CLEAR(self->exports);
    return 0;
}

static void
instance_dealloc(InstanceObject *self)
{
    PyObject_GC_UnTrack(self);
    instance_clear(self);
    Py_CLEAR(self->module);
    Py_CLEAR(self->item.home);
    type_free((PyObject *)self);
}

static PyMethodDef instance_methods[] = {
    {"_init", (PyCFunction)instance_init_native, METH_VARARGS,
     "_init($self, store, module, imports, /)\n--\n\nInstantiate."},
    {"_become", (PyCFunction)instance_become, METH_VARARGS,
     "_become($self, store, other, /)\n--\n\nBe another object for the same instance."},
    {"exports", FAST(instance_exports), instance_exports_doc},
    {"_export", (PyCFunction)instance_export, METH_VARARGS,
     "_export($self, store, name, /)\n--\n\nOne export by name, or None."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot instance_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Instance."}, {Py_tp_dealloc, instance_dealloc},
    {Py_tp_traverse, instance_traverse},       {Py_tp_clear, instance_clear},
    {Py_tp_methods, instance_methods},         {0, NULL},
};
static PyType_Spec instance_spec = {"wasmtime._core.Instance", sizeof(InstanceObject), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                    instance_slots};
