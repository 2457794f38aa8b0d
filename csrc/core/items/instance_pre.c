/* InstancePre: a module whose imports a linker has resolved.
 *
 * It owns the native object, the linker's definitions as they were then, and the module. */

PyDoc_STRVAR(
    pre_instantiate_doc,
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
    InstancePreObject *self = (InstancePreObject *)object;
    PyObject *given = argument_store("instantiate", arguments, count, keywords);
    StoreObject *store = given != NULL ? storelike(given) : NULL;
    if (store == NULL) {
        return NULL;
    }
    if (UNLIKELY(self->coroutines) || store_links_asynchronously(store)) {
        return PyObject_CallMethod(object, "_instantiate_there", "O", given);
    }
    HandleObject *handle = owner_use(&self->owner);
    if (handle == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (check_engine(store, object, "InstancePre")
        && (!self->wasi || relaxed_load(store->has_wasi) || check_wasi(self->module))) {
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
        self->wasi = relaxed_load(((LinkerObject *)linker)->wasi);
        self->coroutines = relaxed_load(((LinkerObject *)linker)->coroutines);
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

static PyObject *pre_check(InstancePreObject *self, PyObject *object);

static PyMethodDef pre_methods[] = {
    {"_check", (PyCFunction)pre_check, METH_O,
     "_check($self, store, /)\n--\n\nRefuse what the library would not."},
    {"instantiate", FAST(pre_instantiate), pre_instantiate_doc},
    {"_init", (PyCFunction)pre_init_native, METH_VARARGS,
     "_init($self, handle, linker, module, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};
/* _check(store): whether it can be instantiated there, as far as the library would not say. */
static PyObject *
pre_check(InstancePreObject *self, PyObject *object)
{
    StoreObject *store = storelike(object);
    bool fine = store != NULL && check_engine(store, (PyObject *)self, "InstancePre")
                && (!self->wasi || relaxed_load(store->has_wasi) || check_wasi(self->module));
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
pre_get_definitions(InstancePreObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->definitions ? self->definitions : Py_None);
}

static PyObject *
pre_get_native_module(InstancePreObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->native_module ? (PyObject *)self->native_module : Py_None);
}

static PyGetSetDef pre_getset[] = {
    {"_definitions", (getter)pre_get_definitions, NULL, NULL, NULL},
    {"_native_module", (getter)pre_get_native_module, NULL, NULL, NULL},
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
static PyType_Spec pre_spec = {"wasmtime._core.InstancePre", sizeof(InstancePreObject), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                               pre_slots};
