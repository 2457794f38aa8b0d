/* Aggregate: making structs, arrays and exceptions, and the Python type of all three.
 *
 * The Python object exists first; it takes over the root of what is made for it. */

static void
values_drop(wasmtime_val_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        value_drop(&values[i]);
    }
    PyMem_RawFree(values);
}

/* Whether a layout has a kind for each value, or one for all. */
typedef enum { KIND_OF_EACH, KIND_OF_ALL } LayoutKinds;

/* Lower a list of values; the caller drops them. NULL: exception set. */
static wasmtime_val_t *
values_lower(StoreObject *store, PyObject *list, const Signature *layout, LayoutKinds kinds,
             const char *role)
{
    size_t count = (size_t)PyList_Size(list);
    wasmtime_val_t *values = PyMem_RawCalloc(count ? count : 1, sizeof(wasmtime_val_t));
    if (values == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        /* Converting may run Python code, and that may find this list by way of the gc module. */
        PyObject *value = PyList_GetItemRef(list, (Py_ssize_t)i);
        bool fine = value != NULL
                    && lower_field(store, value, layout->kinds[kinds == KIND_OF_ALL ? 0 : i],
                                   &values[i], (Place){role, (Py_ssize_t)i + 1});
        Py_XDECREF(value);
        if (!fine) {
            values_drop(values, i);
            return NULL;
        }
    }
    /* To allocate what these are for. */
    if (!greenlet_may_enter(&this_thread) || !errand_check(store)) {
        values_drop(values, count);
        return NULL;
    }
    return values;
}

/* Make `self` what `value` is, whose root it takes. */
static PyObject *
aggregate_fill(ReferenceObject *self, StoreObject *store, const wasmtime_val_t *value,
               uint8_t shape, Signature *layout)
{
    bool first;
    LOCK(self);
    first = self->home == NULL;
    if (first) {
        self->value = *value;
        self->shape = shape;
        self->layout = layout ? signature_share(layout) : NULL;
        publish(self->home, Py_NewRef(store->home));
    }
    UNLOCK();
    if (!first) { /* by Python code that a conversion ran, or by another thread */
        wasmtime_val_unroot((wasmtime_val_t *)value);
        PyErr_SetString(PyExc_ValueError, "already initialized");
        return NULL;
    }
    Py_RETURN_NONE;
}

static StoreObject *
aggregate_begin(ReferenceObject *self, PyObject *store_argument)
{
    if (published(self->home) != NULL) {
        PyErr_SetString(PyExc_ValueError, "already initialized");
        return NULL;
    }
    StoreObject *store = storelike(store_argument);
    return store != NULL && store_enter(store) ? store : NULL;
}

static PyObject *
refuse_count(const char *noun, size_t wanted, size_t given)
{
    PyErr_Format(state.WasmtimeError, "the %s has %zu fields, not %zu", noun, wanted, given);
    return NULL;
}

/* --- the library's allocations, which may collect garbage: async/errand.c ----------------------- */

typedef struct {
    wasmtime_context_t *context;
    const void *type; /* what is allocated: a prepared type, or a tag */
    wasmtime_val_t *values;
    size_t count;
    void *out;
    wasmtime_error_t *error;
} Allocation;

static void
allocation_of_struct(void *argument)
{
    Allocation *self = argument;
    self->error = wasmtime_structref_new(self->context, (wasmtime_struct_ref_pre_t *)self->type,
                                         self->values, self->count, self->out);
}

static void
allocation_of_array(void *argument)
{
    Allocation *self = argument;
    self->error = wasmtime_arrayref_new(self->context, (wasmtime_array_ref_pre_t *)self->type,
                                        self->values, (uint32_t)self->count, self->out);
}

static void
allocation_of_exn(void *argument)
{
    Allocation *self = argument;
    self->error = wasmtime_exnref_new(self->context, (wasmtime_tag_t *)self->type, self->values,
                                      self->count, self->out);
}

static wasmtime_error_t *
allocate(StoreObject *store, Errand allocation, const void *type, wasmtime_val_t *values,
         size_t count, void *out)
{
    Allocation what = {store->context, type, values, count, out, NULL};
    errand_run(store, allocation, &what);
    return what.error;
}

/* --- structs, arrays, exceptions ---------------------------------------------------------------- */

/* _init_struct(store, wasmtime_struct_type_t address, values): the type is of the store's
 * engine. */
static PyObject *
aggregate_init_struct(ReferenceObject *self, PyObject *args)
{
    PyObject *object, *list;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OKO!:_init_struct", &object, &address, &PyList_Type, &list)) {
        return NULL;
    }
    StoreObject *store = aggregate_begin(self, object);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_struct_type_t *type = (wasmtime_struct_type_t *)(uintptr_t)address;
    PyObject *result = NULL;
    wasmtime_val_t *values = NULL;
    size_t count = (size_t)PyList_Size(list);
    Signature *layout = layout_of_struct(type);
    if (layout != NULL && layout->params != count) {
        refuse_count("struct", layout->params, count);
    }
    else if (layout != NULL) {
        values = values_lower(store, list, layout, KIND_OF_EACH, "field");
    }
    if (values != NULL) {
        wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(store->context, type);
        wasmtime_val_t made = {.kind = VALKIND_ANYREF};
        wasmtime_structref_t native;
        wasmtime_error_t *error =
            allocate(store, allocation_of_struct, pre, values, count, &native);
        wasmtime_struct_ref_pre_delete(pre);
        values_drop(values, count);
        if (error != NULL) {
            raise_error(error);
        }
        else {
            wasmtime_structref_to_anyref(&native, &made.of.anyref);
            wasmtime_structref_unroot(&native);
            result = aggregate_fill(self, store, &made, SHAPE_STRUCT, layout);
        }
    }
    signature_release(layout);
    store_leave(store);
    return result;
}

/* Filling more elements than this lets other threads run meanwhile. */
#define ARRAY_LONG ((uint32_t)1 << 16)

static wasmtime_error_t *
array_new(StoreObject *store, wasmtime_array_type_t *type, wasmtime_val_t *element, uint32_t length,
          wasmtime_val_t *out)
{
    wasmtime_array_ref_pre_t *pre = wasmtime_array_ref_pre_new(store->context, type);
    wasmtime_arrayref_t native;
    wasmtime_error_t *error = NULL;
    if (element->kind > VALKIND_V128 && length > 1) {
        /* The library takes the space first and does not give it back if the reference proves to
         * be of a wrong type: let that be little. */
        error = allocate(store, allocation_of_array, pre, element, 1, &native);
        if (error == NULL) {
            wasmtime_arrayref_unroot(&native);
        }
    }
    if (error == NULL && length > ARRAY_LONG) {
        NativeCall call;
        native_work_begin(&call, store);
        error = allocate(store, allocation_of_array, pre, element, length, &native);
        native_work_end(&call);
    }
    else if (error == NULL) {
        error = allocate(store, allocation_of_array, pre, element, length, &native);
    }
    wasmtime_array_ref_pre_delete(pre);
    if (error == NULL) {
        out->kind = VALKIND_ANYREF;
        wasmtime_arrayref_to_anyref(&native, &out->of.anyref);
        wasmtime_arrayref_unroot(&native);
    }
    return error;
}

/* _init_array(store, wasmtime_array_type_t address, mutable, values, repeat): repeat -1 takes the
 * values as they are, else the one value is repeated so often. */
static PyObject *
aggregate_init_array(ReferenceObject *self, PyObject *args)
{
    PyObject *object, *list;
    unsigned long long address;
    long long repeat;
    int is_mutable;
    if (!PyArg_ParseTuple(args, "OKpO!L:_init_array", &object, &address, &is_mutable, &PyList_Type,
                          &list, &repeat)) {
        return NULL;
    }
    size_t count = (size_t)PyList_Size(list);
    size_t length = repeat < 0 ? count : (size_t)repeat;
    if (length > UINT32_MAX || (repeat >= 0 && count != 1)) {
        PyErr_Format(PyExc_OverflowError, "an array has at most 2**32-1 elements, not %zu", length);
        return NULL;
    }
    StoreObject *store = aggregate_begin(self, object);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_array_type_t *type = (wasmtime_array_type_t *)(uintptr_t)address;
    PyObject *result = NULL;
    Signature *layout = layout_of_array(type);
    wasmtime_val_t *values = layout == NULL ? NULL
                                            : values_lower(store, list, layout, KIND_OF_ALL,
                                                           repeat < 0 ? "element" : "value");
    if (values != NULL) {
        wasmtime_val_t made = {.kind = VALKIND_ANYREF};
        wasmtime_error_t *error = NULL;
        bool rooted = false, alike = true;
        if (repeat < 0 && !is_mutable) {
            /* The C API fills a new array with one value and has no way to write the others. */
            for (size_t i = 1; alike && i < count; i++) {
                alike = values[i].kind <= VALKIND_V128
                        && memcmp(&values[i].of, &values[0].of, sizeof(values[0].of)) == 0;
            }
        }
        if (!alike) {
            PyErr_SetString(state.WasmtimeError,
                            "an array of immutable elements can only be filled with one value: "
                            "make it in WebAssembly (array.new_fixed), or let its type be mutable");
        }
        else {
            error = array_new(store, type, values, (uint32_t)length, &made);
            rooted = error == NULL;
        }
        for (size_t i = 1; rooted && error == NULL && is_mutable && i < count; i++) {
            error = wasmtime_arrayref_set(store->context, (wasmtime_arrayref_t *)&made.of.anyref,
                                          (uint32_t)i, &values[i]);
        }
        values_drop(values, count);
        if (error != NULL) {
            raise_error(error);
            if (rooted) {
                wasmtime_val_unroot(&made);
            }
        }
        else if (rooted) {
            result = aggregate_fill(self, store, &made, SHAPE_ARRAY, layout);
        }
    }
    signature_release(layout);
    store_leave(store);
    return result;
}

/* _init_exn(store, tag, values) */
static PyObject *
aggregate_init_exn(ReferenceObject *self, PyObject *args)
{
    PyObject *object, *tag, *list;
    if (!PyArg_ParseTuple(args, "OO!O!:_init_exn", &object, state.Tag_base, &tag, &PyList_Type,
                          &list)) {
        return NULL;
    }
    StoreObject *store = aggregate_begin(self, object);
    if (store == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (item_check((ItemObject *)tag, store)) {
        wasmtime_tag_t *native = &((TagObject *)tag)->native;
        size_t count = (size_t)PyList_Size(list);
        wasm_tagtype_t *type = wasmtime_tag_type(store->context, native);
        Signature *layout = signature_compile(wasm_tagtype_functype(type));
        wasm_tagtype_delete(type);
        wasmtime_val_t *values = NULL;
        if (layout != NULL && layout->params != count) {
            refuse_count("exception", layout->params, count);
        }
        else if (layout != NULL) {
            values = values_lower(store, list, layout, KIND_OF_EACH, "value");
        }
        if (values != NULL) {
            wasmtime_val_t made = {.kind = VALKIND_EXNREF};
            wasmtime_error_t *error =
                allocate(store, allocation_of_exn, native, values, count, &made.of.exnref);
            values_drop(values, count);
            if (error != NULL) {
                raise_error(error);
            }
            else {
                result = aggregate_fill(self, store, &made, SHAPE_EXN, NULL);
            }
        }
        signature_release(layout);
    }
    store_leave(store);
    return result;
}

static PyMethodDef aggregate_methods[] = {
    {"get", FAST(aggregate_get), aggregate_get_doc},
    {"set", FAST(aggregate_set), aggregate_set_doc},
    {"_init_struct", (PyCFunction)aggregate_init_struct, METH_VARARGS,
     "_init_struct($self, store, type, values, /)\n--\n\nMake a struct."},
    {"_init_array", (PyCFunction)aggregate_init_array, METH_VARARGS,
     "_init_array($self, store, type, mutable, values, repeat, /)\n--\n\nMake an array."},
    {"_init_exn", (PyCFunction)aggregate_init_exn, METH_VARARGS,
     "_init_exn($self, store, tag, values, /)\n--\n\nMake an exception."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot aggregate_slots[] = {
    {Py_tp_doc, "Base of the references to what has fields: structs, arrays, exceptions."},
    {Py_tp_dealloc, reference_dealloc},
    {Py_tp_methods, aggregate_methods},
    {Py_tp_iter, PySeqIter_New},
    {Py_mp_length, aggregate_size},
    {Py_mp_subscript, aggregate_subscript},
    {Py_mp_ass_subscript, aggregate_assign},
    {Py_sq_length, aggregate_size},
    {Py_sq_item, aggregate_item},
    {0, NULL},
};
static PyType_Spec aggregate_spec = {"wasmtime._core.Aggregate", sizeof(ReferenceObject), 0,
                                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, aggregate_slots};
