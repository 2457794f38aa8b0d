/* Items on their way in and out: wasmtime_extern_t to and from Python objects.
 *
 * An item is copied. A shared memory is no item: on the way out a new Handle owns it, on the way in
 * its Handle is lent for as long as the library needs it. */

/* A shared memory, which is no item of one store; takes it over. */
static PyObject *
wrap_shared_memory(StoreObject *store, wasmtime_sharedmemory_t *native)
{
    HandleObject *handle = handle_new(native, KIND_SHARED_MEMORY, NULL);
    if (handle == NULL) {
        return NULL;
    }
    /* Not as "N": a call that fails before it reads its arguments would not take it. */
    PyObject *result =
        PyObject_CallMethod(state.SharedMemory, "_from_handle", "OO", handle, store->owner.engine);
    Py_DECREF(handle);
    return result;
}

/* An object for what an instance exports or a linker defines. Takes a shared memory over. */
static PyObject *
wrap_extern(StoreObject *store, wasmtime_extern_t *item)
{
    if (item->kind == WASMTIME_EXTERN_FUNC) {
        return func_wrap(store, &item->of.func, NULL);
    }
    if (item->kind == WASMTIME_EXTERN_SHAREDMEMORY) {
        return wrap_shared_memory(store, item->of.sharedmemory);
    }
    const ItemKind *kind = item_kind_of_extern(item->kind);
    if (kind == NULL) {
        PyErr_Format(state.WasmtimeError, "unknown kind of export: %d", item->kind);
        return NULL;
    }
    return item_wrap(*kind->public_class, store, &item->of, kind->size);
}

/* A shared memory is lent: its Handle, returned in `lent`, must be kept until the library has
 * cloned it. NULL in `lent`, without an exception: `object` is no shared memory. */
static bool
lend_shared_memory(StoreObject *store, PyObject *object, HandleObject **lent, Place place)
{
    OwnerObject *owner = (OwnerObject *)object;
    HandleObject *handle = owner_hold(owner);
    if (handle == NULL && PyObject_TypeCheck(object, (PyTypeObject *)state.SharedMemory)) {
        PyErr_SetString(PyExc_ValueError, "already closed");
        return false;
    }
    if (handle == NULL || handle->kind != KIND_SHARED_MEMORY) {
        Py_XDECREF(handle);
        return true;
    }
    if (published(owner->engine) != store->owner.engine) {
        Py_DECREF(handle);
        PyErr_Format(state.WasmtimeError,
                     "%s %zd: this shared memory belongs to another engine than the store",
                     place.role, place.index);
        return false;
    }
    *lent = handle;
    return true;
}

/* Whether the object is a shared memory in the form of a Memory. */
static bool
is_shared_memory(PyObject *object)
{
    return PyObject_TypeCheck(object, state.Memory_base)
           && published(((ItemObject *)object)->home) == NULL
           && PyObject_HasAttrString(object, "_shared");
}

/* The library's form of an item that is passed to it. A shared memory is lent, as above. */
static bool
lower_extern(StoreObject *store, PyObject *object, wasmtime_extern_t *out, HandleObject **lent,
             Place place)
{
    *lent = NULL;
    if (is_shared_memory(object)) {
        PyObject *shared = PyObject_GetAttrString(object, "_shared");
        bool fine = shared != NULL && !PyObject_TypeCheck(shared, state.Item_base)
                    && lower_extern(store, shared, out, lent, place);
        Py_XDECREF(shared);
        return fine;
    }
    const ItemKind *kind = PyObject_TypeCheck(object, state.Item_base) ? item_kind(object) : NULL;
    if (kind != NULL && kind->extern_kind != NO_EXTERN) {
        out->kind = kind->extern_kind;
        if (kind->extern_kind == WASMTIME_EXTERN_FUNC) {
            const wasmtime_func_t *func = func_in(store, object);
            if (func != NULL) {
                out->of.func = *func;
            }
            return func != NULL;
        }
        memcpy(&out->of, ITEM_NATIVE(object), kind->size);
        return item_check((ItemObject *)object, store);
    }
    if (PyObject_TypeCheck(object, state.Owner)) {
        if (!lend_shared_memory(store, object, lent, place)) {
            return false;
        }
        if (*lent != NULL) {
            out->kind = WASMTIME_EXTERN_SHAREDMEMORY;
            out->of.sharedmemory = (*lent)->pointer;
            return true;
        }
    }
    PyErr_Format(PyExc_TypeError,
                 "%s %zd: expected a Func, Global, Memory, SharedMemory, Tag, or Table, not %.200s",
                 place.role, place.index, type_name(object));
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
        || !lower_extern(store, item, (wasmtime_extern_t *)(uintptr_t)address, &lent,
                         (Place){"item", 1})) {
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
