/* Globals: one value. Its kind is read from its type once. A Global owns nothing native. */

typedef struct {
    ItemObject item;
    wasmtime_global_t native;
    uint8_t kind_known; /* inside: 0: not read yet, else kind + 1 */
} GlobalObject;

static inline uint8_t
global_kind(GlobalObject *self, StoreObject *store)
{
    if (UNLIKELY(self->kind_known == 0)) {
        wasm_globaltype_t *type = wasmtime_global_type(store->context, &self->native);
        self->kind_known = (uint8_t)(valtype_kind(wasm_globaltype_content(type)) + 1);
        wasm_globaltype_delete(type);
    }
    return (uint8_t)(self->kind_known - 1);
}

PyDoc_STRVAR(
    global_value_doc,
    "value($self, /, store)\n--\n\n"
    "The global's current value as a Python object: int, float, bytes (v128), a Func, the object\n"
    "behind an externref, or None for a null reference.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the global lives in.\n\n"
    "Raises:\n"
    "    ValueError: The store is closed.\n"
    "    WasmtimeError: The global belongs to another store, or the store is in use by another\n"
    "        thread.\n");

static PyObject *
global_value(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    StoreObject *store = item_enter_alone(self, "value", arguments, count, keywords);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_val_t value;
    wasmtime_global_get(store->context, &((GlobalObject *)self)->native, &value);
    PyObject *result = lift_value(store, &value, ROOT_TAKEN);
    store_leave(store);
    return result;
}

PyDoc_STRVAR(
    global_set_value_doc,
    "set_value($self, /, store, val)\n--\n\n"
    "Set the global.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the global lives in.\n"
    "    val: The new value: a Val, or a Python object that converts to the global's type.\n\n"
    "Raises:\n"
    "    TypeError: ``val`` does not convert to the global's type.\n"
    "    OverflowError: ``val`` is out of the range of the global's type.\n"
    "    ValueError: The store is closed.\n"
    "    WasmtimeError: The global is immutable or belongs to another store, or the store is in use\n"
    "        by another thread.\n");

static PyObject *
global_set_value(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "val", NULL};
    static const ArgumentNames spec = {"set_value", names, 2};
    PyObject *given[2];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 2)
        || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    GlobalObject *global = (GlobalObject *)self;
    wasmtime_val_t value;
    PyObject *result = NULL;
    if (lower_value(store, given[1], global_kind(global, store), &value, (Place){"val", 0})) {
        wasmtime_error_t *error = wasmtime_global_set(store->context, &global->native, &value);
        value_drop(&value);
        result = error ? raise_error(error) : Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

static PyMethodDef global_methods[] = {
    {"value", FAST(global_value), global_value_doc},
    {"set_value", FAST(global_set_value), global_set_value_doc},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot global_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Global."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_methods, global_methods},
    {0, NULL},
};
static PyType_Spec global_spec = {"wasmtime._core.Global", sizeof(GlobalObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, global_slots};
