/* Instances of components, and the way to make them.
 *
 * Ownership: an instance is a plain struct of the library, valid while its store lives. */

typedef struct {
    ItemObject item;
    wasmtime_component_instance_t native;
} ComponentInstanceObject;

static PyObject *
component_instance_make(PyObject *type, PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:_make", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    return item_wrap(type, store, (const void *)(uintptr_t)address,
                     sizeof(wasmtime_component_instance_t));
}

static PyMethodDef component_instance_methods[] = {
    {"_make", (PyCFunction)component_instance_make, METH_VARARGS | METH_CLASS,
     "_make($type, store, address, /)\n--\n\nAn object for the library's struct."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot component_instance_slots[] = {
    {Py_tp_doc, "Base of wasmtime.component.Instance."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_methods, component_instance_methods},
    {0, NULL},
};
static PyType_Spec component_instance_spec = {
    "wasmtime._core.ComponentInstance", sizeof(ComponentInstanceObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, component_instance_slots};

/* Instantiate with what the linker defines; the linker is being read. */
static PyObject *
instantiate_component(LinkerObject *linker, HandleObject *native, StoreObject *store,
                      HandleObject *compiled)
{
    NativeCall call;
    if (!native_enter(&call, store, linker)) {
        return NULL;
    }
    PyObject *result = NULL;
    store->links_python |= PyList_Size(linker->definitions) > 0;
    if (store_keep_definitions(store, linker->definitions) && native_begin(&call, RELEASE_GIL)) {
        wasmtime_component_instance_t instance;
        wasmtime_error_t *error = wasmtime_component_linker_instantiate(
            native->pointer, store->context, compiled->pointer, &instance);
        if (component_end(&call, error)) {
            result = item_wrap(component.Instance, store, &instance, sizeof(instance));
        }
    }
    native_leave(&call);
    return result;
}

/* component_instantiate(linker, store, component): the Instance. */
static PyObject *
core_component_instantiate(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *linker_object, *compiled;
    if (!PyArg_ParseTuple(args, "O!OO:component_instantiate", state.Linker_base, &linker_object,
                          &object, &compiled)) {
        return NULL;
    }
    LinkerObject *linker = (LinkerObject *)linker_object;
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    HandleObject *handle = owner_argument(compiled, KIND_COMPONENT, "component", "Component");
    if (handle == NULL) {
        return NULL;
    }
    HandleObject *native = owner_use(&linker->owner);
    PyObject *result = NULL;
    if (native != NULL && check_engine(store, linker_object, "linker")
        && check_engine(store, compiled, "component") && linker_read_begin(linker)) {
        result = instantiate_component(linker, native, store, handle);
        linker_read_end(linker);
    }
    Py_XDECREF(native);
    Py_DECREF(handle);
    return result;
}
