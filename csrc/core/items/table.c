/* Tables: many references. Their kind is read from their type once. A Table owns nothing native. */

typedef struct {
    ItemObject item;
    wasmtime_table_t native;
    uint8_t kind_known; /* inside, as in a Global */
} TableObject;

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

PyDoc_STRVAR(table_size_doc, "size($self, /, store)\n--\n\nThe number of elements.\n");

static PyObject *
table_size(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    StoreObject *store = item_enter_alone(self, "size", arguments, count, keywords);
    if (store == NULL) {
        return NULL;
    }
    uint64_t size = wasmtime_table_size(store->context, &((TableObject *)self)->native);
    store_leave(store);
    return PyLong_FromUnsignedLongLong(size);
}

PyDoc_STRVAR(
    table_get_doc,
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
        || !argument_u64(given[1], "idx", &index) || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    wasmtime_val_t value;
    PyObject *result;
    if (wasmtime_table_get(store->context, &((TableObject *)self)->native, index, &value)) {
        result = lift_value(store, &value, ROOT_TAKEN);
    }
    else {
        result = Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

PyDoc_STRVAR(
    table_set_doc,
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
        || !argument_u64(given[1], "idx", &index) || (store = item_enter(self, given[0])) == NULL) {
        return NULL;
    }
    TableObject *table = (TableObject *)self;
    wasmtime_val_t value;
    PyObject *result = NULL;
    if (lower_value(store, given[2], table_kind(table, store), &value, (Place){"val", 0})) {
        wasmtime_error_t *error = wasmtime_table_set(store->context, &table->native, index, &value);
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
    if (store->limits.table_elements >= 0 && (uint64_t)store->limits.table_elements < most) {
        most = (uint64_t)store->limits.table_elements;
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
        native_work_begin(&call, store);
        wasmtime_error_t *error =
            wasmtime_table_grow(store->context, &self->native, step, value, &unused);
        native_work_end(&call);
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

PyDoc_STRVAR(
    table_grow_doc,
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
