/* Asynchronous instantiation of core modules: a kind of AsyncCall (async.h).
 *
 * The native linker is one that nothing changes any more (the Linker makes another when it is
 * changed), so it may be used for as long as a start function takes.
 *
 * Ownership: the cells own references to the native linker, or what it has linked already, and to
 * the native module; the call's object is the list of definitions. */

typedef struct {
    HandleObject *native; /* a linker, or an InstancePre's */
    HandleObject *module;
    wasmtime_instance_t instance;
} LinkCells;

static wasmtime_call_future_t *
link_start(AsyncCall *call)
{
    StoreObject *store = call->store;
    LinkCells *cells = call->cells;
    if ((PyList_Size(call->object) > 0 && !store_become_asynchronous(store))
        || !store_keep_definitions(store, call->object)) {
        return NULL;
    }
    if (cells->native->kind == KIND_LINKER) {
        return wasmtime_linker_instantiate_async(cells->native->pointer, store->context,
                                                 cells->module->pointer, &cells->instance,
                                                 &call->trap, &call->error);
    }
    return wasmtime_instance_pre_instantiate_async(cells->native->pointer, store->context,
                                                   &cells->instance, &call->trap, &call->error);
}

static PyObject *
link_finish(AsyncCall *call)
{
    LinkCells *cells = call->cells;
    return instance_wrap(call->store, &cells->instance, cells->module);
}

static void
link_drop(AsyncCall *call)
{
    LinkCells *cells = call->cells;
    Py_DECREF(cells->native);
    Py_DECREF(cells->module);
    PyMem_RawFree(cells);
}

static const AsyncKind link_kind = {
    "Linker.instantiate_async", link_start, link_finish, link_drop, NULL, NULL, false,
};

/* instantiate_async(store, native, definitions, module): the AsyncCall; `native` is the Handle of a
 * linker or of an InstancePre, `module` that of the module. */
static PyObject *
core_instantiate_async(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *native, *definitions, *module;
    if (!PyArg_ParseTuple(args, "OO!O!O!:instantiate_async", &object, state.Handle, &native,
                          &PyList_Type, &definitions, state.Handle, &module)) {
        return NULL;
    }
    int kind = ((HandleObject *)native)->kind;
    if ((kind != KIND_LINKER && kind != KIND_INSTANCE_PRE)
        || ((HandleObject *)module)->kind != KIND_MODULE) {
        PyErr_SetString(PyExc_TypeError, "instantiate_async(): handles of other kinds");
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    LinkCells *cells = PyMem_RawCalloc(1, sizeof(LinkCells));
    if (cells == NULL) {
        return PyErr_NoMemory();
    }
    cells->native = (HandleObject *)Py_NewRef(native);
    cells->module = (HandleObject *)Py_NewRef(module);
    return (PyObject *)async_call_new(&link_kind, store, definitions, cells);
}

/* make_asynchronous(store): what is linked into it is linked asynchronously from now on. */
static PyObject *
core_make_asynchronous(PyObject *Py_UNUSED(module), PyObject *object)
{
    StoreObject *store = storelike(object);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    bool fine = store_become_asynchronous(store);
    store_leave(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}

/* links_asynchronously(store): whether what is linked into it is. */
static PyObject *
core_links_asynchronously(PyObject *Py_UNUSED(module), PyObject *object)
{
    StoreObject *store = storelike(object);
    return store == NULL ? NULL : PyBool_FromLong(store_links_asynchronously(store));
}
