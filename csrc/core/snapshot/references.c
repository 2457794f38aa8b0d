/* References as numbers: what a table or global of an instance refers to, told so that another
 * instance of the same module can be given the same.
 *
 * A function is told by its place in a table of the instance that holds every function it can refer
 * to. What has no such number (an object of the host, a struct) is refused. Nothing is owned: each
 * root that the library hands out is given up before the function that got it returns. */

/* How a reference is told: null, a function by its place, a small integer. */
enum { REFERENCE_NULL, REFERENCE_FUNCTION, REFERENCE_I31 };

#define REFERENCE_CODE(tag, number) ((uint64_t)(tag) << 32 | (uint32_t)(number))

typedef struct {
    void *function;
    uint32_t place;
} FunctionPlace;

/* The functions of an instance, sorted by what the library knows them by. */
typedef struct {
    FunctionPlace *places;
    size_t count;
} FunctionPlaces;

static int
compare_places(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t)((const FunctionPlace *)left)->function;
    uintptr_t b = (uintptr_t)((const FunctionPlace *)right)->function;
    return (a > b) - (a < b);
}

/* Read the table of functions, which lives in `store`; None: there is none. */
static bool
places_read(FunctionPlaces *self, StoreObject *store, PyObject *table)
{
    *self = (FunctionPlaces){NULL, 0};
    if (table == Py_None) {
        return true;
    }
    wasmtime_table_t *native = &((TableObject *)table)->native;
    size_t size = (size_t)wasmtime_table_size(store->context, native);
    self->places = PyMem_RawCalloc(size ? size : 1, sizeof(FunctionPlace));
    if (self->places == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        wasmtime_val_t value;
        if (wasmtime_table_get(store->context, native, i, &value)
            && value.of.funcref.store_id != 0) {
            self->places[self->count++] = (FunctionPlace){value.of.funcref.__private, (uint32_t)i};
        }
    }
    qsort(self->places, self->count, sizeof(FunctionPlace), compare_places);
    return true;
}

static void
places_drop(FunctionPlaces *self)
{
    PyMem_RawFree(self->places);
}

/* What the reference is, as a number; false if it cannot be told, without an exception. */
static bool
reference_code(StoreObject *store, const FunctionPlaces *functions, wasmtime_val_t *value,
               uint64_t *code)
{
    int32_t small;
    if (value->of.anyref.store_id == 0) { /* every kind of reference starts with it */
        *code = REFERENCE_CODE(REFERENCE_NULL, 0);
        return true;
    }
    if (value->kind == VALKIND_FUNCREF) {
        FunctionPlace wanted = {value->of.funcref.__private, 0};
        FunctionPlace *found = bsearch(&wanted, functions->places, functions->count,
                                       sizeof(FunctionPlace), compare_places);
        if (found != NULL) {
            *code = REFERENCE_CODE(REFERENCE_FUNCTION, found->place);
        }
        return found != NULL;
    }
    if (value->kind == VALKIND_ANYREF
        && wasmtime_anyref_i31_get_s(store->context, &value->of.anyref, &small)) {
        *code = REFERENCE_CODE(REFERENCE_I31, small);
        return true;
    }
    return false;
}

static void
refuse_reference_code(const wasmtime_val_t *value, const char *what, size_t index)
{
    const char *kind = value->kind <= VALKIND_EXNREF ? kind_names[value->kind] : "reference";
    PyErr_Format(PyExc_ValueError,
                 value->kind == VALKIND_FUNCREF
                     ? "%s %zu holds a %s to a function that is not the module's own"
                     : "%s %zu holds a %s to an object, which lives in its store alone",
                 what, index, kind);
}

/* The reference that a code stands for; a root is owned by `value` then. */
static bool
reference_of(StoreObject *store, PyObject *functions, uint64_t code, uint8_t kind,
             wasmtime_val_t *value)
{
    memset(value, 0, sizeof(*value));
    value->kind = kind;
    uint32_t number = (uint32_t)code;
    switch (code >> 32) {
    case REFERENCE_NULL:
        return true;
    case REFERENCE_FUNCTION:
        if (kind == VALKIND_FUNCREF && functions != Py_None
            && wasmtime_table_get(store->context, &((TableObject *)functions)->native, number,
                                  value)) {
            return true;
        }
        break;
    case REFERENCE_I31:
        if (kind == VALKIND_ANYREF) {
            wasmtime_anyref_from_i31(store->context, number, &value->of.anyref);
            return true;
        }
        break;
    default:
        break;
    }
    PyErr_Format(PyExc_ValueError, "a reference of an unknown form: %llu",
                 (unsigned long long)code);
    return false;
}

/* Check what Python handed over: an item, and the table of functions or None, in one store. */
static StoreObject *
references_enter(PyObject *object, PyObject *item, PyTypeObject *kind, PyObject *functions)
{
    if (!PyObject_TypeCheck(item, kind)
        || (functions != Py_None && !PyObject_TypeCheck(functions, state.Table_base))) {
        PyErr_SetString(PyExc_TypeError, "expected an item and a table of functions or None");
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL || (functions != Py_None && !item_check((ItemObject *)functions, store))) {
        return NULL;
    }
    return item_enter(item, object);
}

/* --- tables --------------------------------------------------------------------------------- */

/* table_references(store, table, functions) */
static PyObject *
core_table_references(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *table, *functions;
    if (!PyArg_ParseTuple(args, "OOO:table_references", &object, &table, &functions)) {
        return NULL;
    }
    StoreObject *store = references_enter(object, table, state.Table_base, functions);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_table_t *native = &((TableObject *)table)->native;
    size_t size = (size_t)wasmtime_table_size(store->context, native);
    PyObject *codes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(size * sizeof(uint64_t)));
    FunctionPlaces places = {NULL, 0};
    bool fine = codes != NULL && places_read(&places, store, functions);
    for (size_t i = 0; fine && i < size; i++) {
        wasmtime_val_t value;
        uint64_t code = REFERENCE_CODE(REFERENCE_NULL, 0);
        if (wasmtime_table_get(store->context, native, i, &value)) {
            fine = reference_code(store, &places, &value, &code);
            if (!fine) {
                refuse_reference_code(&value, "element", i);
            }
            value_drop(&value);
        }
        memcpy(PyBytes_AsString(codes) + i * sizeof(code), &code, sizeof(code));
    }
    places_drop(&places);
    store_leave(store);
    if (!fine) {
        Py_CLEAR(codes);
    }
    return codes;
}

/* Let the table have `size` elements; what is added is `value`. */
static bool
table_reach(StoreObject *store, wasmtime_table_t *native, uint64_t size, wasmtime_val_t *value)
{
    uint64_t before = wasmtime_table_size(store->context, native), unused;
    wasmtime_error_t *error =
        before >= size ? NULL
                       : wasmtime_table_grow(store->context, native, size - before, value, &unused);
    return error == NULL || raise_error(error) != NULL;
}

/* set_table_reference(store, table, functions, size, index, code) */
static PyObject *
core_set_table_reference(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *table, *functions;
    unsigned long long size, index, code;
    if (!PyArg_ParseTuple(args, "OOOKKK:set_table_reference", &object, &table, &functions, &size,
                          &index, &code)) {
        return NULL;
    }
    StoreObject *store = references_enter(object, table, state.Table_base, functions);
    if (store == NULL) {
        return NULL;
    }
    TableObject *self = (TableObject *)table;
    wasmtime_val_t value;
    bool fine = reference_of(store, functions, code, table_kind(self, store), &value);
    if (fine) {
        fine = table_reach(store, &self->native, size, &value);
        wasmtime_error_t *error =
            fine ? wasmtime_table_set(store->context, &self->native, index, &value) : NULL;
        value_drop(&value);
        fine = fine && (error == NULL || raise_error(error) != NULL);
    }
    store_leave(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}

/* --- globals -------------------------------------------------------------------------------- */

/* global_bits(store, global, functions) */
static PyObject *
core_global_bits(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *global, *functions;
    if (!PyArg_ParseTuple(args, "OOO:global_bits", &object, &global, &functions)) {
        return NULL;
    }
    StoreObject *store = references_enter(object, global, state.Global_base, functions);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_val_t value;
    memset(&value, 0, sizeof(value));
    wasmtime_global_get(store->context, &((GlobalObject *)global)->native, &value);
    uint8_t bits[sizeof(value.of.v128)] = {0};
    bool fine = true;
    if (value.kind <= VALKIND_V128) {
        size_t size = value.kind == VALKIND_V128                               ? 16
                      : value.kind == VALKIND_I64 || value.kind == VALKIND_F64 ? 8
                                                                               : 4;
        memcpy(bits, &value.of, size);
    }
    else {
        FunctionPlaces places = {NULL, 0};
        uint64_t code;
        fine = value.kind != VALKIND_FUNCREF || places_read(&places, store, functions);
        if (fine && !(fine = reference_code(store, &places, &value, &code))) {
            refuse_reference_code(&value, "the global, value", 0);
        }
        if (fine) {
            memcpy(bits, &code, sizeof(code));
        }
        places_drop(&places);
        value_drop(&value);
    }
    store_leave(store);
    return fine ? Py_BuildValue("(By#)", value.kind, (char *)bits, (Py_ssize_t)sizeof(bits)) : NULL;
}

/* set_global_bits(store, global, functions, kind, bits) */
static PyObject *
core_set_global_bits(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *global, *functions;
    unsigned char kind;
    const char *bits;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "OOOby#:set_global_bits", &object, &global, &functions, &kind,
                          &bits, &size)) {
        return NULL;
    }
    StoreObject *store = references_enter(object, global, state.Global_base, functions);
    if (store == NULL) {
        return NULL;
    }
    GlobalObject *self = (GlobalObject *)global;
    wasmtime_val_t value;
    bool fine = size == sizeof(value.of.v128) && kind == global_kind(self, store);
    if (!fine) {
        PyErr_SetString(PyExc_ValueError, "the value is not of the global's type");
    }
    else if (kind <= VALKIND_V128) {
        memset(&value, 0, sizeof(value));
        value.kind = kind;
        memcpy(&value.of, bits, sizeof(value.of.v128));
    }
    else {
        uint64_t code;
        memcpy(&code, bits, sizeof(code));
        fine = reference_of(store, functions, code, kind, &value);
    }
    if (fine) {
        wasmtime_error_t *error = wasmtime_global_set(store->context, &self->native, &value);
        value_drop(&value);
        fine = error == NULL || raise_error(error) != NULL;
    }
    store_leave(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}
