/* Instances, their exports, and the ways to make them: Instance(), Linker.instantiate() and
 * InstancePre.instantiate(). */

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
item_wrap(PyObject *type, StoreObject *store, const void *native, size_t size)
{
    ItemObject *self = (ItemObject *)type_alloc((PyTypeObject *)type);
    if (self != NULL) {
        self->home = Py_NewRef(store->home);
        memcpy(ITEM_NATIVE(self), native, size);
    }
    return (PyObject *)self;
}

/* An object for what an instance exports or a linker defines. Takes a shared memory over. */
static PyObject *
wrap_extern(StoreObject *store, wasmtime_extern_t *item)
{
    switch (item->kind) {
    case WASMTIME_EXTERN_FUNC:
        return func_wrap(store, &item->of.func, NULL);
    case WASMTIME_EXTERN_GLOBAL:
        return item_wrap(state.Global, store, &item->of.global_, sizeof(wasmtime_global_t));
    case WASMTIME_EXTERN_TABLE:
        return item_wrap(state.Table, store, &item->of.table, sizeof(wasmtime_table_t));
    case WASMTIME_EXTERN_MEMORY:
        return item_wrap(state.Memory, store, &item->of.memory, sizeof(wasmtime_memory_t));
    case WASMTIME_EXTERN_TAG:
        return item_wrap(state.Tag, store, &item->of.tag, sizeof(wasmtime_tag_t));
    case WASMTIME_EXTERN_SHAREDMEMORY: {
        HandleObject *handle = handle_new(item->of.sharedmemory, KIND_SHARED_MEMORY, NULL);
        if (handle == NULL) {
            return NULL;
        }
        /* Not as "N": a call that fails before it reads its arguments would not take it. */
        PyObject *result = PyObject_CallMethod(state.SharedMemory, "_from_handle", "OO", handle,
                                               store->owner.engine);
        Py_DECREF(handle);
        return result;
    }
    default:
        PyErr_Format(state.WasmtimeError, "unknown kind of export: %d", item->kind);
        return NULL;
    }
}

/* The library's form of an item that is passed to it. A shared memory is lent: its Handle,
 * returned in `lent`, must be kept until the library has cloned it. */
static bool
lower_extern(StoreObject *store, PyObject *object, wasmtime_extern_t *out, HandleObject **lent,
             const char *role, Py_ssize_t index)
{
    *lent = NULL;
    if (PyObject_TypeCheck(object, state.Memory_base)
        && published(((ItemObject *)object)->home) == NULL
        && PyObject_HasAttrString(object, "_shared")) {
        /* A shared memory in the form of a Memory. */
        PyObject *shared = PyObject_GetAttrString(object, "_shared");
        bool fine = shared != NULL && !PyObject_TypeCheck(shared, state.Item_base)
                    && lower_extern(store, shared, out, lent, role, index);
        Py_XDECREF(shared);
        return fine;
    }
    if (PyObject_TypeCheck(object, state.Item_base)
        && !PyObject_TypeCheck(object, state.Instance_base)) {
        if (!item_check((ItemObject *)object, store)) {
            return false;
        }
        const char *native = ITEM_NATIVE(object);
        if (PyObject_TypeCheck(object, state.Func_base)) {
            out->kind = WASMTIME_EXTERN_FUNC;
            memcpy(&out->of, native, sizeof(wasmtime_func_t));
            return true;
        }
        if (PyObject_TypeCheck(object, state.Global_base)) {
            out->kind = WASMTIME_EXTERN_GLOBAL;
            memcpy(&out->of, native, sizeof(wasmtime_global_t));
            return true;
        }
        if (PyObject_TypeCheck(object, state.Table_base)) {
            out->kind = WASMTIME_EXTERN_TABLE;
            memcpy(&out->of, native, sizeof(wasmtime_table_t));
            return true;
        }
        if (PyObject_TypeCheck(object, state.Memory_base)) {
            out->kind = WASMTIME_EXTERN_MEMORY;
            memcpy(&out->of, native, sizeof(wasmtime_memory_t));
            return true;
        }
        if (PyObject_TypeCheck(object, state.Tag_base)) {
            out->kind = WASMTIME_EXTERN_TAG;
            memcpy(&out->of, native, sizeof(wasmtime_tag_t));
            return true;
        }
    }
    if (PyObject_TypeCheck(object, state.Owner)) {
        OwnerObject *owner = (OwnerObject *)object;
        HandleObject *handle = owner_hold(owner);
        if (handle != NULL && handle->kind == KIND_SHARED_MEMORY) {
            if (published(owner->engine) != store->owner.engine) {
                Py_DECREF(handle);
                PyErr_Format(state.WasmtimeError,
                             "%s %zd: this shared memory belongs to another engine than the store",
                             role, index);
                return false;
            }
            *lent = handle;
            out->kind = WASMTIME_EXTERN_SHAREDMEMORY;
            out->of.sharedmemory = handle->pointer;
            return true;
        }
        if (handle == NULL && PyObject_TypeCheck(object, (PyTypeObject *)state.SharedMemory)) {
            PyErr_SetString(PyExc_ValueError, "already closed");
            return false;
        }
        Py_XDECREF(handle);
    }
    PyErr_Format(PyExc_TypeError,
                 "%s %zd: expected a Func, Global, Memory, SharedMemory, Tag, or Table, not %.200s",
                 role, index, type_name(object));
    return false;
}

/* lower_extern(store, item, address) -> the Handle to keep, or None: for Linker.define(). */
static PyObject *
core_lower_extern(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *item;
    unsigned long long address;
    HandleObject *lent;
    if (!PyArg_ParseTuple(args, "OOK:lower_extern", &object, &item, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL
        || !lower_extern(store, item, (wasmtime_extern_t *)(uintptr_t)address, &lent, "item", 1)) {
        return NULL;
    }
    return lent ? (PyObject *)lent : Py_NewRef(Py_None);
}

static PyObject *
core_wrap_extern(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:wrap_extern", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    return store == NULL ? NULL : wrap_extern(store, (wasmtime_extern_t *)(uintptr_t)address);
}

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
    HandleObject *handle = owner_argument(module, KIND_MODULE, "module", "Module");
    if (handle == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    PyObject *items = PySequence_Tuple(imports);
    if (items == NULL || !check_engine(store, module, "module")) {
        Py_XDECREF(items);
        Py_DECREF(handle);
        return NULL;
    }
    Py_ssize_t count = PyTuple_Size(items), lowered = 0;
    wasmtime_extern_t *externs = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(wasmtime_extern_t));
    HandleObject **lent = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(HandleObject *));
    if (externs == NULL || lent == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (; lowered < count; lowered++) {
        if (!lower_extern(store, PyTuple_GetItem(items, lowered), &externs[lowered], &lent[lowered],
                          "import", lowered + 1)) {
            goto done;
        }
    }
    if (!store_enter(store)) {
        goto done;
    }
    Py_INCREF(store);
    if (native_check_stack(store)) {
        NativeCall call;
        wasm_trap_t *trap = NULL;
        wasmtime_instance_t made;
        native_begin(store, &call, false);
        wasmtime_error_t *error = wasmtime_instance_new(store->context, handle->pointer, externs,
                                                        (size_t)count, &made, &trap);
        native_end(store, &call);
        /* What the start function called may have initialised this object. */
        if (native_outcome(store, &call, error, trap)
            && item_become(&self->item, store, &made, sizeof(made))) {
            self->module = (HandleObject *)Py_NewRef(handle);
            result = Py_NewRef(Py_None);
        }
    }
    store_leave(store);
    Py_DECREF(store);
done:
    for (Py_ssize_t i = 0; lent != NULL && i < lowered; i++) {
        Py_XDECREF(lent[i]);
    }
    PyMem_RawFree(externs);
    PyMem_RawFree(lent);
    Py_DECREF(items);
    Py_DECREF(handle);
    return result;
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

PyDoc_STRVAR(instance_exports_doc,
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
instance_exports(PyObject *object, PyObject *const *arguments, Py_ssize_t count,
                 PyObject *keywords)
{
    static const char *const names[] = {"store", NULL};
    static const ArgumentNames spec = {"exports", names, 1};
    InstanceObject *self = (InstanceObject *)object;
    PyObject *given[1];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 1)
        || (store = storelike(given[0])) == NULL || !item_check(&self->item, store)) {
        return NULL;
    }
    PyObject *exports = published(self->exports);
    if (LIKELY(exports != NULL && glimpse(store->context) != NULL)) {
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
    {"exports", FAST(instance_exports), instance_exports_doc},
    {"_export", (PyCFunction)instance_export, METH_VARARGS,
     "_export($self, store, name, /)\n--\n\nOne export by name, or None."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot instance_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Instance."},
    {Py_tp_dealloc, instance_dealloc},
    {Py_tp_traverse, instance_traverse},
    {Py_tp_clear, instance_clear},
    {Py_tp_methods, instance_methods},
    {0, NULL},
};
static PyType_Spec instance_spec = {
    "wasmtime._core.Instance", sizeof(InstanceObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, instance_slots};

/* --- InstanceExports ----------------------------------------------------------------------- */

static PyObject *
refuse_key(PyObject *key)
{
    PyErr_SetObject(PyExc_KeyError, key);
    return NULL;
}

/* Look an export up and keep it; inside the store. NULL with KeyError: there is none. */
static PyObject *
exports_look_up(ExportsObject *self, StoreObject *store, PyObject *key)
{
    Py_ssize_t length;
    const char *name = PyUnicode_AsUTF8AndSize(key, &length);
    wasmtime_extern_t item;
    if (name == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return NULL;
        }
        PyErr_Clear(); /* No name has lone surrogates. */
        return refuse_key(key);
    }
    if (!wasmtime_instance_export_get(store->context, &self->native, (char *)name, (size_t)length,
                                      &item)) {
        return refuse_key(key);
    }
    PyObject *made = wrap_extern(store, &item), *value = NULL;
    /* Making it may have run code that asked for the same. */
    if (made != NULL && PyDict_GetItemRef(self->found, key, &value) == 0
        && PyDict_SetItem(self->found, key, made) == 0) {
        return made;
    }
    Py_XDECREF(made);
    return value;
}

/* Inside the store of the exports, which is returned; exports_leave() must follow. */
static StoreObject *
exports_enter(ExportsObject *self)
{
    StoreObject *store = home_store(self->home, "these exports");
    if (store != NULL && !store_enter(store)) {
        Py_CLEAR(store);
    }
    return store;
}

static void
exports_leave(StoreObject *store)
{
    store_leave(store);
    Py_DECREF(store);
}

/* What has not been asked for before. */
static NOINLINE PyObject *
exports_find(ExportsObject *self, PyObject *key)
{
    if (!PyUnicode_Check(key) || published(self->by_index) != NULL || self->home == NULL) {
        return refuse_key(key);
    }
    StoreObject *store = exports_enter(self);
    if (store == NULL) {
        return NULL;
    }
    PyObject *value = exports_look_up(self, store, key);
    exports_leave(store);
    return value;
}

static PyObject *
exports_getitem(ExportsObject *self, PyObject *key)
{
    PyObject *value;
    int known = self->found ? PyDict_GetItemRef(self->found, key, &value) : 0;
    if (LIKELY(known > 0)) {
        return value;
    }
    return known < 0 ? NULL : exports_find(self, key);
}

/* The names, a tuple in the module's order: a borrowed reference. */
static PyObject *
exports_names(ExportsObject *self)
{
    return self->module ? module_export_names(self->module) : state.empty_tuple;
}

static Py_ssize_t
exports_length(ExportsObject *self)
{
    PyObject *names = exports_names(self);
    return names ? PyTuple_Size(names) : -1;
}

static PyObject *
exports_iter(ExportsObject *self)
{
    PyObject *names = exports_names(self);
    return names ? PyObject_GetIter(names) : NULL;
}

static int
exports_contains(ExportsObject *self, PyObject *key)
{
    PyObject *value = exports_getitem(self, key);
    if (value != NULL) {
        Py_DECREF(value);
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* All of them in the module's order; inside the store. */
static PyObject *
exports_list(ExportsObject *self, StoreObject *store)
{
    PyObject *names = exports_names(self);
    if (names == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_Size(names);
    PyObject *items = PyTuple_New(count);
    for (Py_ssize_t i = 0; items != NULL && i < count; i++) {
        PyObject *key = PyTuple_GetItem(names, i), *value;
        if (PyDict_GetItemRef(self->found, key, &value) == 0) {
            value = exports_look_up(self, store, key);
        }
        if (value == NULL) {
            Py_CLEAR(items);
            break;
        }
        PyTuple_SetItem(items, i, value);
    }
    return items;
}

static PyObject *
exports_by_index(ExportsObject *self, void *Py_UNUSED(closure))
{
    PyObject *items = published(self->by_index);
    if (items != NULL) {
        return Py_NewRef(items);
    }
    if (self->home == NULL) {
        return Py_NewRef(state.empty_tuple);
    }
    StoreObject *store = exports_enter(self);
    if (store == NULL) {
        return NULL;
    }
    items = exports_list(self, store);
    if (items != NULL && self->by_index == NULL) {
        publish(self->by_index, Py_NewRef(items));
    }
    else if (items != NULL) { /* Making them ran code that asked for them. */
        Py_DECREF(items);
        items = Py_NewRef(self->by_index);
    }
    exports_leave(store);
    return items;
}

static int
exports_traverse(ExportsObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->found);
    Py_VISIT(self->by_index);
    return 0;
}

static void
exports_dealloc(ExportsObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->home);
    Py_CLEAR(self->module);
    Py_CLEAR(self->found);
    Py_CLEAR(self->by_index);
    type_free((PyObject *)self);
}

static PyGetSetDef exports_getset[] = {
    {"by_index", (getter)exports_by_index, NULL, "The exports as a tuple, in the module's order.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef exports_methods[] = {
    REFUSE_REDUCE,
    {NULL, NULL, 0, NULL},
};
static PyType_Slot exports_slots[] = {
    {Py_tp_doc, "Base of InstanceExports."},
    {Py_tp_dealloc, exports_dealloc},
    {Py_tp_traverse, exports_traverse},
    {Py_tp_getset, exports_getset},
    {Py_tp_methods, exports_methods},
    {Py_mp_subscript, exports_getitem},
    {Py_mp_length, exports_length},
    {Py_sq_contains, exports_contains},
    {Py_tp_iter, exports_iter},
    {0, NULL},
};
static PyType_Spec exports_spec = {
    "wasmtime._core.Exports", sizeof(ExportsObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, exports_slots};

/* --- Linker -------------------------------------------------------------------------------- *
 * A Linker owns the native linker and, in `definitions`, the host functions defined in it.
 * A store that something was instantiated in through it keeps that list. Definitions and
 * uses exclude each other, for the native linker is not to be changed while it is read:
 * threads take turns, and what a definition itself runs may not come back to its linker. What
 * is looked up for a use (the definitions to keep, the ties) is looked up during it, or it might
 * be that of another moment. */

struct LinkerObject {
    OwnerObject owner;
    PyObject *definitions; /* locked: list of HostFunc; of one use, as long as it runs */
    char wasi;             /* a flag: WASI is defined here, stores must have been given theirs */
    uintptr_t readers;     /* atomic: how many uses run */
    uintptr_t writer;      /* atomic: thread_id() of who defines, 0 when nobody */
    PyObject *tied_to;     /* locked: identity of the store that all its items live in; NULL: there
                            * are none; None: of several stores, Python knows which (`_ties`) */
};

typedef struct {
    OwnerObject owner;
    PyObject *definitions;
    PyObject *module;
    HandleObject *native_module; /* also when the Module is closed meanwhile */
    char wasi;
} InstancePreObject;

/* A module that imports WASI must not meet a store without: its functions would abort. */
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
    if (!store_enter(store)) {
        return NULL;
    }
    Py_INCREF(store);
    PyObject *result = NULL;
    if (store_keep_definitions(store, definitions) && native_check_stack(store)) {
        wasmtime_instance_t instance;
        NativeCall call;
        wasm_trap_t *trap = NULL;
        native_begin(store, &call, false);
        wasmtime_error_t *error = link(linker, store->context, module->pointer, &instance, &trap);
        native_end(store, &call);
        if (native_outcome(store, &call, error, trap)) {
            result = instance_wrap(store, &instance, module);
        }
    }
    store_leave(store);
    Py_DECREF(store);
    return result;
}

/* The library panics when it sizes a memory or a table of another store. */
static NOINLINE bool
linker_check_ties(PyObject *linker, PyObject *store, PyObject *module)
{
    PyObject *answer = PyObject_CallMethod(linker, "_check_ties", "OO", store, module);
    Py_XDECREF(answer);
    return answer != NULL;
}

PyDoc_STRVAR(linker_instantiate_doc,
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
    HandleObject *linker = owner_use(&self->owner);
    PyObject *result = NULL;
    if (linker != NULL && check_engine(store, object, "linker")
        && check_engine(store, given[1], "module")
        && linker_read_begin(self)) {
        PyObject *tied_to = glimpse(self->tied_to); /* compared, not looked into */
        if ((!glimpse(self->wasi) || glimpse(store->has_wasi) || check_wasi(given[1]))
            && (tied_to == NULL || tied_to == store->home
                || linker_check_ties(object, given[0], given[1]))) {
            result = instantiate(link_with_linker, linker->pointer, store, self->definitions,
                                 module);
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

/* _tied_to: the identity of a store, or None. */
static int
linker_set_tied_to(LinkerObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XDECREF(locked_swap(self, &self->tied_to, Py_XNewRef(value)));
    return 0;
}

static PyObject *
linker_get_tied_to(LinkerObject *self, void *Py_UNUSED(closure))
{
    PyObject *tied_to = locked_get(self, &self->tied_to);
    return tied_to != NULL ? tied_to : Py_NewRef(Py_None);
}

static PyObject *
linker_get_definitions(LinkerObject *self, void *Py_UNUSED(closure))
{
    PyObject *definitions = locked_get(self, &self->definitions);
    return definitions != NULL ? definitions : Py_NewRef(Py_None);
}

/* A new list instead of the old one, which those who keep it keep as it was. */
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
    Py_CLEAR(self->tied_to);
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
    {"_end", (PyCFunction)linker_end, METH_O, "_end($self, change, /)\n--\n\nThe use or change is over."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef linker_getset[] = {
    {"_definitions", (getter)linker_get_definitions, (setter)linker_set_definitions, NULL, NULL},
    {"_tied_to", (getter)linker_get_tied_to, (setter)linker_set_tied_to, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef linker_members[] = {
    {"_wasi_defined", T_BOOL, offsetof(LinkerObject, wasi), 0, NULL},
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
static PyType_Spec linker_spec = {
    "wasmtime._core.Linker", sizeof(LinkerObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, linker_slots};

/* --- InstancePre ----------------------------------------------------------------------------- */

PyDoc_STRVAR(pre_instantiate_doc,
"instantiate($self, /, store)\n--\n\n"
"Instantiate the module; its imports were resolved when this was made.\n\n"
"Args:\n"
"    store: The Store (or Caller) to instantiate in, of the same engine.\n\n"
"Returns:\n"
"    The Instance.\n\n"
"Raises:\n"
"    WasmtimeError: The store's limits are reached, the store is of another engine, or a\n"
"        definition belongs to another store.\n"
"    Trap: The start function trapped.\n"
"    ValueError: This object or the store is closed.\n");

static PyObject *
pre_instantiate(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", NULL};
    static const ArgumentNames spec = {"instantiate", names, 1};
    InstancePreObject *self = (InstancePreObject *)object;
    PyObject *given[1];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 1)
        || (store = storelike(given[0])) == NULL) {
        return NULL;
    }
    HandleObject *handle = owner_use(&self->owner);
    if (handle == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (check_engine(store, object, "InstancePre")
        && (!self->wasi || glimpse(store->has_wasi) || check_wasi(self->module))) {
        result = instantiate(link_with_pre, handle->pointer, store, self->definitions,
                             self->native_module);
    }
    Py_DECREF(handle);
    return result;
}

static PyObject *
pre_init_native(InstancePreObject *self, PyObject *args)
{
    PyObject *handle, *linker, *module;
    if (!PyArg_ParseTuple(args, "O!O!O:_init", state.Handle, &handle, state.Linker_base, &linker,
                          &module)) {
        return NULL;
    }
    HandleObject *native_module = owner_argument(module, KIND_MODULE, "module", "Module");
    if (native_module == NULL) {
        return NULL;
    }
    PyObject *definitions = linker_get_definitions((LinkerObject *)linker, NULL);
    bool vacant;
    LOCK(self);
    vacant = owner_is_vacant(&self->owner);
    if (vacant) {
        self->definitions = definitions;
        self->module = Py_NewRef(module);
        self->native_module = native_module;
        self->wasi = glimpse(((LinkerObject *)linker)->wasi);
        publish(self->owner.engine, Py_XNewRef(((OwnerObject *)linker)->engine));
        self->owner.handle = (HandleObject *)Py_NewRef(handle);
    }
    UNLOCK();
    if (!vacant) {
        Py_DECREF(definitions);
        Py_DECREF(native_module);
        return owner_refuse_second(&self->owner);
    }
    Py_RETURN_NONE;
}

static PyObject *
pre_get_module(InstancePreObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->module ? self->module : Py_None);
}

static int
pre_traverse(InstancePreObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->definitions);
    Py_VISIT(self->module);
    return owner_traverse(&self->owner, visit, arg);
}

static int
pre_clear(InstancePreObject *self)
{
    owner_clear(&self->owner);
    Py_CLEAR(self->definitions);
    Py_CLEAR(self->module);
    Py_CLEAR(self->native_module);
    return 0;
}

static void
pre_dealloc(InstancePreObject *self)
{
    PyObject_GC_UnTrack(self);
    pre_clear(self);
    type_free((PyObject *)self);
}

static PyMethodDef pre_methods[] = {
    {"instantiate", FAST(pre_instantiate), pre_instantiate_doc},
    {"_init", (PyCFunction)pre_init_native, METH_VARARGS, "_init($self, handle, linker, module, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef pre_getset[] = {
    {"_module", (getter)pre_get_module, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot pre_slots[] = {
    {Py_tp_doc, "Base of wasmtime.InstancePre."},
    {Py_tp_dealloc, pre_dealloc},
    {Py_tp_traverse, pre_traverse},
    {Py_tp_clear, pre_clear},
    {Py_tp_methods, pre_methods},
    {Py_tp_getset, pre_getset},
    {0, NULL},
};
static PyType_Spec pre_spec = {
    "wasmtime._core.InstancePre", sizeof(InstancePreObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, pre_slots};
