/* Items on their way in and out: wasmtime_extern_t to and from Python objects. */

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
