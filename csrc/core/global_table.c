/* Globals and tables: one value, and many. What they hold is read from their type once. */

typedef struct {
    ItemObject item;
    wasmtime_global_t native;
    uint8_t kind_known; /* inside: 0: not read yet, else kind + 1 */
} GlobalObject;

typedef struct {
    ItemObject item;
    wasmtime_table_t native;
    uint8_t kind_known; /* inside, as above */
} TableObject;

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

static inline uint8_t
table_kind(TableObject *self, StoreObject *store)
{
    if (UNLIKELY(self->kind_known == 0)) {
        wasm_tabletype_t *type = wasmtime_table_type(store->context, &self->native);
        self->kind_known = (uint8_t)(valtype_kind(wasm_tabletype_element(type)) + 1);
        wasm_tabletype_delete(type);
    }
    return (uint8_t)(self->kind_known - 1);
}

static PyObject *
raise_error(wasmtime_error_t *error)
{
    PyObject *exception = exception_from_error(error);
    if (exception != NULL) {
        PyErr_SetRaisedException(exception);
    }
    return NULL;
}

PyDoc_STRVAR(global_value_doc,
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
    static const char *const names[] = {"store", NULL};
    static const ArgumentNames spec = {"value", names, 1};
    PyObject *given[1];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 1)
        || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    wasmtime_val_t value;
    wasmtime_global_get(store->context, &((GlobalObject *)self)->native, &value);
    PyObject *result = raise_value(store, &value, true);
    store_leave(store);
    return result;
}

PyDoc_STRVAR(global_set_value_doc,
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

PyDoc_STRVAR(table_size_doc, "size($self, /, store)\n--\n\nThe number of elements.\n");

static PyObject *
table_size(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", NULL};
    static const ArgumentNames spec = {"size", names, 1};
    PyObject *given[1];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 1)
        || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    uint64_t size = wasmtime_table_size(store->context, &((TableObject *)self)->native);
    store_leave(store);
    return PyLong_FromUnsignedLongLong(size);
}

PyDoc_STRVAR(table_get_doc,
"get($self, /, store, idx)\n--\n\n"
"An element: a Func, the object behind an externref, or None for a null reference.\n\n"
"Args:\n"
"    store: The Store (or Caller) that the table lives in.\n"
"    idx: Index of the element, 0 or more.\n\n"
"Returns:\n"
"    The element; None also when ``idx`` is beyond the end.\n\n"
"Raises:\n"
"    TypeError: ``idx`` is not an integer.\n"
"    OverflowError: ``idx`` is negative or exceeds 2**64-1.\n"
"    ValueError: The store is closed.\n"
"    WasmtimeError: The table belongs to another store, or the store is in use by another\n"
"        thread.\n");

static PyObject *
table_get(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "idx", NULL};
    static const ArgumentNames spec = {"get", names, 2};
    PyObject *given[2];
    uint64_t index;
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 2)
        || !argument_u64(given[1], "idx", &index)
        || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    wasmtime_val_t value;
    PyObject *result;
    if (wasmtime_table_get(store->context, &((TableObject *)self)->native, index, &value)) {
        result = raise_value(store, &value, true);
    }
    else {
        result = Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

PyDoc_STRVAR(table_set_doc,
"set($self, /, store, idx, val)\n--\n\n"
"Set an element.\n\n"
"Args:\n"
"    store: The Store (or Caller) that the table lives in.\n"
"    idx: Index of the element, 0 or more.\n"
"    val: A Func or None for a table of functions; any object for a table of externrefs.\n\n"
"Raises:\n"
"    WasmtimeError: ``idx`` is beyond the end, or something belongs to another store.\n"
"    TypeError: ``val`` does not convert to the element type, or ``idx`` is not an integer.\n"
"    OverflowError: ``idx`` is negative or exceeds 2**64-1.\n"
"    ValueError: The store is closed.\n");

static PyObject *
table_set(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "idx", "val", NULL};
    static const ArgumentNames spec = {"set", names, 3};
    PyObject *given[3];
    uint64_t index;
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 3)
        || !argument_u64(given[1], "idx", &index)
        || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    TableObject *table = (TableObject *)self;
    wasmtime_val_t value;
    PyObject *result = NULL;
    if (lower_value(store, given[2], table_kind(table, store), &value, (Place){"val", 0})) {
        wasmtime_error_t *error =
            wasmtime_table_set(store->context, &table->native, index, &value);
        value_drop(&value);
        result = error ? raise_error(error) : Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

/* How many elements are added at a time: some milliseconds. */
#define TABLE_STEP ((uint64_t)1 << 16)

/* Whether the table's type and the store's limits let it grow so far. A growth in steps is not to
 * end half-way for what is known before. */
static bool
table_may_grow(TableObject *self, StoreObject *store, uint64_t amount)
{
    uint64_t size = wasmtime_table_size(store->context, &self->native);
    wasm_tabletype_t *type = wasmtime_table_type(store->context, &self->native);
    uint64_t most = wasm_tabletype_limits(type)->max;
    wasm_tabletype_delete(type);
    if (store->table_elements >= 0 && (uint64_t)store->table_elements < most) {
        most = (uint64_t)store->table_elements;
    }
    return size <= most && amount <= most - size;
}

/* Add `amount` elements; false with an exception. A large amount is added in steps, between which
 * other threads run and signals are heard: one that raises leaves what was added until then. */
static bool
table_add(TableObject *self, StoreObject *store, uint64_t amount, wasmtime_val_t *value,
          uint64_t *before)
{
    if (amount <= TABLE_STEP || !table_may_grow(self, store, amount)) {
        wasmtime_error_t *error =
            wasmtime_table_grow(store->context, &self->native, amount, value, before);
        return error == NULL || raise_error(error) != NULL;
    }
    *before = wasmtime_table_size(store->context, &self->native);
    while (amount != 0) {
        uint64_t step = amount < TABLE_STEP ? amount : TABLE_STEP, unused;
        NativeCall call;
        native_begin(store, &call, false);
        wasmtime_error_t *error =
            wasmtime_table_grow(store->context, &self->native, step, value, &unused);
        native_end(store, &call);
        store->pending = call.pending;
        if (error != NULL) {
            raise_error(error);
            return false;
        }
        if (PyErr_CheckSignals() < 0) {
            return false;
        }
        amount -= step;
    }
    return true;
}

PyDoc_STRVAR(table_grow_doc,
"grow($self, /, store, amt, init)\n--\n\n"
"Add elements. While many are added, other threads run, and a signal handler that raises ends it:\n"
"the table keeps what was added until then.\n\n"
"Args:\n"
"    store: The Store (or Caller) that the table lives in.\n"
"    amt: How many to add, 0 or more. The keyword ``delta`` is the same.\n"
"    init: What they hold.\n\n"
"Returns:\n"
"    The size before.\n\n"
"Raises:\n"
"    WasmtimeError: The table cannot grow that far.\n"
"    TypeError: ``init`` does not convert to the element type, or ``amt`` is not an integer.\n"
"    OverflowError: ``amt`` is negative or exceeds 2**64-1.\n"
"    ValueError: The store is closed.\n");

static PyObject *
table_grow(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "amt", "init", "delta", NULL};
    static const ArgumentNames spec = {"grow", names, 1};
    PyObject *given[4] = {NULL, NULL, NULL, NULL};
    uint64_t amount, before = 0;
    StoreObject *store;
    if (count > 3) {
        PyErr_Format(PyExc_TypeError, "grow() takes at most 3 arguments (%zd given)", count);
        return NULL;
    }
    if (!arguments_parse(&spec, arguments, count, keywords, given, 4)) {
        return NULL;
    }
    if (given[1] == NULL) {
        given[1] = given[3];
    }
    else if (given[3] != NULL) {
        PyErr_SetString(PyExc_TypeError, "grow() got both 'amt' and 'delta'");
        return NULL;
    }
    if (given[1] == NULL || given[2] == NULL) {
        PyErr_Format(PyExc_TypeError, "grow() missing required argument: '%s'",
                     given[1] == NULL ? "amt" : "init");
        return NULL;
    }
    if (!argument_u64(given[1], "amt", &amount) || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    TableObject *table = (TableObject *)self;
    wasmtime_val_t value;
    PyObject *result = NULL;
    if (lower_value(store, given[2], table_kind(table, store), &value, (Place){"init", 0})) {
        bool fine = table_add(table, store, amount, &value, &before);
        value_drop(&value);
        result = fine ? PyLong_FromUnsignedLongLong(before) : NULL;
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

static PyMethodDef table_methods[] = {
    {"size", FAST(table_size), table_size_doc},
    {"get", FAST(table_get), table_get_doc},
    {"set", FAST(table_set), table_set_doc},
    {"grow", FAST(table_grow), table_grow_doc},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot table_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Table."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_methods, table_methods},
    {0, NULL},
};
static PyType_Spec table_spec = {"wasmtime._core.Table", sizeof(TableObject), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, table_slots};

/* lower(store, value, kind, address, role): for constructors in Python, inside the door. */
static PyObject *
core_lower(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *value;
    unsigned long long type_address, address;
    const char *role;
    if (!PyArg_ParseTuple(args, "OOKKs:lower", &object, &value, &type_address, &address, &role)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    uint8_t kind = valtype_kind((const wasm_valtype_t *)(uintptr_t)type_address);
    bool fine = lower_value(store, value, kind, (wasmtime_val_t *)(uintptr_t)address,
                            (Place){role, 0});
    store_leave(store);
    if (!fine) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_raise_value(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:raise_value", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    PyObject *result = raise_value(store, (const wasmtime_val_t *)(uintptr_t)address, true);
    store_leave(store);
    return result;
}
