/* References into WebAssembly's garbage-collected heap: structs, arrays, exceptions, and what
 * else there is below any and extern. value.c has their form; here is what Python does to them.
 *
 * A struct, an array and an exception are all a row of fields that are read (and, but for
 * exceptions, written) by index. The library checks types and mutability; indices, numbers and
 * stores are checked here, the latter because the library would end the process. */

/* Fields that are kept in fewer bits than the i32 that code sees; never in a signature. */
enum { K_I8 = 0x40, K_I16 };

static NOINLINE bool
reference_refuse(ReferenceObject *self)
{
    if (published(self->home) == NULL) {
        PyErr_Format(PyExc_ValueError, "%.200s: never initialized", type_name(self));
        return false;
    }
    return refuse_foreign("reference", (PyObject *)self);
}

static inline bool
reference_check(ReferenceObject *self, StoreObject *store)
{
    PyObject *home = published(self->home);
    if (LIKELY(home == published(store->home) && home != NULL)) {
        return true;
    }
    return glimpse(store->context) == NULL ? store_refuse(store) : reference_refuse(self);
}

/* Inside the store, with the reference checked; leave with store_leave(). */
static StoreObject *
reference_enter(PyObject *self, PyObject *store_argument)
{
    StoreObject *store = storelike(store_argument);
    if (store == NULL || !reference_check((ReferenceObject *)self, store) || !store_enter(store)) {
        return NULL;
    }
    return store;
}

/* As above, into the store that the reference knows; release that too. */
static StoreObject *
reference_enter_home(ReferenceObject *self)
{
    PyObject *home = published(self->home);
    if (home == NULL) {
        reference_refuse(self);
        return NULL;
    }
    PyObject *store = PyObject_CallNoArgs(home);
    if (store == NULL) {
        return NULL;
    }
    if (store == Py_None) {
        Py_DECREF(store);
        PyErr_SetString(PyExc_ValueError, "the store of this reference is gone");
        return NULL;
    }
    if (!store_enter((StoreObject *)store)) {
        Py_DECREF(store);
        return NULL;
    }
    return (StoreObject *)store;
}

static void
reference_leave_home(StoreObject *store)
{
    store_leave(store);
    Py_DECREF(store);
}

/* The native reference in `object`, if it is one to an exception of this store. */
static wasmtime_exnref_t *
exnref_in(StoreObject *store, PyObject *object)
{
    ReferenceObject *self = (ReferenceObject *)object;
    if (!PyObject_TypeCheck(object, state.Reference_base) || self->shape != SHAPE_EXN) {
        PyErr_Format(PyExc_TypeError, "expected an ExnRef, not %.200s", type_name(object));
        return NULL;
    }
    return reference_check(self, store) ? &self->value.of.exnref : NULL;
}

/* --- identity and conversion ------------------------------------------------------------- */

/* What the library's heap calls the referent; good until the next collection. */
static uint32_t
reference_raw(StoreObject *store, ReferenceObject *self)
{
    switch (self->value.kind) {
    case K_ANYREF:
        return wasmtime_anyref_to_raw(store->context, &self->value.of.anyref);
    case K_EXNREF:
        return wasmtime_exnref_to_raw(store->context, &self->value.of.exnref);
    default:
        return wasmtime_externref_to_raw(store->context, &self->value.of.externref);
    }
}

static bool
exnref_same(StoreObject *store, PyObject *a, PyObject *b)
{
    ReferenceObject *x = (ReferenceObject *)a, *y = (ReferenceObject *)b;
    return PyObject_TypeCheck(a, state.Reference_base)
           && PyObject_TypeCheck(b, state.Reference_base) && published(x->home) == store->home
           && published(y->home) == store->home && x->value.kind == y->value.kind
           && reference_raw(store, x) == reference_raw(store, y);
}

PyDoc_STRVAR(reference_eq_doc,
"eq($self, /, store, other)\n--\n\n"
"Whether both refer to the same object, as ``ref.eq`` says.\n\n"
"The operator ``==`` compares the Python objects instead: each time that a reference reaches\n"
"Python, it is a new one.\n\n"
"Args:\n"
"    store: The Store (or Caller) that both live in.\n"
"    other: Another reference.\n\n"
"Raises:\n"
"    TypeError: ``other`` is not a reference.\n"
"    ValueError: The store is closed.\n"
"    WasmtimeError: One of them belongs to another store, or the store is in use by another\n"
"        thread.\n");

static PyObject *
reference_eq(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "other", NULL};
    static const ArgumentNames spec = {"eq", names, 2};
    PyObject *given[2];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 2)) {
        return NULL;
    }
    if (!PyObject_TypeCheck(given[1], state.Reference_base)) {
        PyErr_Format(PyExc_TypeError, "other must be a reference, not %.200s",
                     type_name(given[1]));
        return NULL;
    }
    if ((store = reference_enter(self, given[0])) == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (reference_check((ReferenceObject *)given[1], store)) {
        result = PyBool_FromLong(exnref_same(store, self, given[1]));
    }
    store_leave(store);
    return result;
}

/* Between any and extern, which differ in their type only (`any.convert_extern` and back). */
static PyObject *
reference_convert(PyObject *object, PyObject *store_argument)
{
    ReferenceObject *self = (ReferenceObject *)object;
    StoreObject *store = reference_enter(object, store_argument);
    if (store == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    wasmtime_val_t value;
    if (self->value.kind == K_EXNREF) {
        PyErr_SetString(PyExc_TypeError, "an exception has no other form");
    }
    else {
        uint32_t raw = reference_raw(store, self);
        if (self->value.kind == K_ANYREF) {
            value.kind = K_EXTERNREF;
            wasmtime_externref_from_raw(store->context, raw, &value.of.externref);
        }
        else {
            value.kind = K_ANYREF;
            wasmtime_anyref_from_raw(store->context, raw, &value.of.anyref);
        }
        result = raise_value(store, &value, true);
    }
    store_leave(store);
    return result;
}

static PyObject *
reference_belongs_to(PyObject *self, PyObject *store_argument)
{
    StoreObject *store = storelike(store_argument);
    if (store == NULL || !reference_check((ReferenceObject *)self, store)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef reference_methods[] = {
    REFUSE_REDUCE,
    {"eq", FAST(reference_eq), reference_eq_doc},
    {"_make", (PyCFunction)reference_make, METH_VARARGS | METH_CLASS,
     "_make($type, store, kind, address, /)\n--\n\nTake over the root at `address`."},
    {"_belongs_to", reference_belongs_to, METH_O,
     "_belongs_to($self, store, /)\n--\n\nRaise WasmtimeError unless this lives in `store`."},
    {"_convert", reference_convert, METH_O,
     "_convert($self, store, /)\n--\n\nThe same reference as an externref, or as an anyref."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef reference_getset[] = {
    {"_any_address", (getter)reference_get_any_address, NULL, NULL, NULL},
    {"_struct_address", (getter)reference_get_address_as, NULL, NULL, (void *)SHAPE_STRUCT},
    {"_array_address", (getter)reference_get_address_as, NULL, NULL, (void *)SHAPE_ARRAY},
    {"_exn_address", (getter)reference_get_address_as, NULL, NULL, (void *)SHAPE_EXN},
    {"_home", (getter)reference_get_home, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot reference_slots[] = {
    {Py_tp_doc, "Base of the rooted GC references."},
    {Py_tp_dealloc, reference_dealloc},
    {Py_tp_methods, reference_methods},
    {Py_tp_getset, reference_getset},
    {0, NULL},
};
static PyType_Spec reference_spec = {"wasmtime._core.Reference", sizeof(ReferenceObject), 0,
                                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, reference_slots};

/* --- layouts --------------------------------------------------------------------------------- */

static Signature *
layout_new(size_t fields)
{
    Signature *self = PyMem_RawMalloc(sizeof(Signature) + fields);
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->references = 1;
    self->params = (uint32_t)fields;
    self->results = 0;
    self->raw = false;
    return self;
}

static uint8_t
field_kind(wasmtime_field_type_t *field)
{
    uint8_t kind = field->storage.kind == WASMTIME_STORAGE_TYPE_KIND_I8    ? K_I8
                   : field->storage.kind == WASMTIME_STORAGE_TYPE_KIND_I16 ? K_I16
                                                                           : K_I32;
    if (field->storage.kind == WASMTIME_STORAGE_TYPE_KIND_VALTYPE) {
        kind = valtype_kind(field->storage.valtype);
    }
    wasmtime_field_type_delete(field);
    return kind;
}

static Signature *
layout_of_struct(wasmtime_struct_type_t *type)
{
    size_t count = wasmtime_struct_type_num_fields(type);
    Signature *self = layout_new(count);
    wasmtime_field_type_t field;
    for (size_t i = 0; self != NULL && i < count; i++) {
        wasmtime_struct_type_field(type, i, &field);
        self->kinds[i] = field_kind(&field);
    }
    return self;
}

static Signature *
layout_of_array(wasmtime_array_type_t *type)
{
    Signature *self = layout_new(1);
    if (self != NULL) {
        wasmtime_field_type_t field;
        wasmtime_array_type_element(type, &field);
        self->kinds[0] = field_kind(&field);
    }
    return self;
}

/* Read once, inside the store; false with the exception set. Not for exceptions. */
static bool
layout_known(ReferenceObject *self, StoreObject *store)
{
    if (LIKELY(self->layout != NULL)) {
        return true;
    }
    if (self->shape == SHAPE_STRUCT) {
        wasmtime_struct_type_t *type = wasmtime_structref_type(
            store->context, (wasmtime_structref_t *)&self->value.of.anyref);
        self->layout = layout_of_struct(type);
        wasmtime_struct_type_delete(type);
    }
    else {
        wasmtime_array_type_t *type =
            wasmtime_arrayref_type(store->context, (wasmtime_arrayref_t *)&self->value.of.anyref);
        self->layout = layout_of_array(type);
        wasmtime_array_type_delete(type);
    }
    return self->layout != NULL;
}

/* Lower a field's value; what it refers to is owned by `out` afterwards. */
static bool
lower_field(StoreObject *store, PyObject *value, uint8_t kind, wasmtime_val_t *out, Place place)
{
    if (kind < K_I8) {
        return lower_value(store, value, kind, out, place);
    }
    PyObject *inner = PyObject_TypeCheck(value, (PyTypeObject *)state.Val)
                          ? unpack_val(value, K_I32, place)
                          : Py_NewRef(value);
    int64_t wide;
    bool fine = inner != NULL && lower_number(inner, K_I64, &wide, place);
    if (fine) {
        int bits = kind == K_I8 ? 8 : 16;
        fine = PyIndex_Check(inner) && wide >= -((int64_t)1 << (bits - 1))
               && wide < ((int64_t)1 << bits);
        if (!fine) {
            char text[PLACE_TEXT];
            PyErr_Format(PyExc_OverflowError, "%s: %R does not fit i%d (-2**%d ... 2**%d-1)",
                         place_text(place, text), inner, bits, bits - 1, bits);
        }
        out->kind = K_I32;
        out->of.i32 = (int32_t)wide;
    }
    Py_XDECREF(inner);
    return fine;
}

/* --- reading and writing --------------------------------------------------------------------- */

static const char *
aggregate_noun(ReferenceObject *self)
{
    return self->shape == SHAPE_STRUCT ? "struct" : self->shape == SHAPE_ARRAY ? "array" : "exception";
}

/* How many fields or elements; inside the store. */
static bool
aggregate_length(ReferenceObject *self, StoreObject *store, size_t *length)
{
    if (LIKELY(self->length_known != 0)) {
        *length = self->length_known - 1;
        return true;
    }
    switch (self->shape) {
    case SHAPE_STRUCT:
        if (!layout_known(self, store)) {
            return false;
        }
        *length = self->layout->params;
        break;
    case SHAPE_ARRAY: {
        uint32_t size;
        wasmtime_error_t *error = wasmtime_arrayref_len(
            store->context, (wasmtime_arrayref_t *)&self->value.of.anyref, &size);
        if (error != NULL) {
            raise_error(error);
            return false;
        }
        *length = size;
        break;
    }
    case SHAPE_EXN:
        *length = wasmtime_exnref_field_count(store->context, &self->value.of.exnref);
        break;
    default:
        PyErr_Format(PyExc_TypeError, "%.200s: not a struct, array or exception", type_name(self));
        return false;
    }
    self->length_known = *length + 1;
    return true;
}

static PyObject *
aggregate_read(ReferenceObject *self, StoreObject *store, size_t index)
{
    wasmtime_val_t value;
    wasmtime_error_t *error;
    switch (self->shape) {
    case SHAPE_STRUCT:
        error = wasmtime_structref_field(
            store->context, (wasmtime_structref_t *)&self->value.of.anyref, index, &value);
        break;
    case SHAPE_ARRAY:
        error = wasmtime_arrayref_get(store->context,
                                      (wasmtime_arrayref_t *)&self->value.of.anyref,
                                      (uint32_t)index, &value);
        break;
    default:
        error = wasmtime_exnref_field(store->context, &self->value.of.exnref, index, &value);
        break;
    }
    return error != NULL ? raise_error(error) : raise_value(store, &value, true);
}

static bool
aggregate_write(ReferenceObject *self, StoreObject *store, size_t index, PyObject *value)
{
    if (self->shape == SHAPE_EXN) {
        PyErr_SetString(PyExc_TypeError, "the values of an exception cannot be changed");
        return false;
    }
    if (!layout_known(self, store)) {
        return false;
    }
    wasmtime_val_t lowered;
    uint8_t kind = self->layout->kinds[self->shape == SHAPE_STRUCT ? index : 0];
    if (!lower_field(store, value, kind, &lowered, (Place){"value", 0})) {
        return false;
    }
    wasmtime_error_t *error =
        self->shape == SHAPE_STRUCT
            ? wasmtime_structref_set_field(store->context,
                                           (wasmtime_structref_t *)&self->value.of.anyref, index,
                                           &lowered)
            : wasmtime_arrayref_set(store->context,
                                    (wasmtime_arrayref_t *)&self->value.of.anyref,
                                    (uint32_t)index, &lowered);
    value_drop(&lowered);
    if (error != NULL) {
        raise_error(error);
        return false;
    }
    return true;
}

/* An index that is in range; inside the store. */
static bool
aggregate_index(ReferenceObject *self, StoreObject *store, PyObject *key, bool from_end, size_t *index)
{
    size_t length;
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError, "index must be an int, not %.200s", type_name(key));
        return false;
    }
    Py_ssize_t wanted = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if ((wanted == -1 && PyErr_Occurred()) || !aggregate_length(self, store, &length)) {
        return false;
    }
    Py_ssize_t position = wanted < 0 && from_end ? wanted + (Py_ssize_t)length : wanted;
    if (position < 0 || (size_t)position >= length) {
        PyErr_Format(PyExc_IndexError, "index %zd is out of range: the %s has %zu %s", wanted,
                     aggregate_noun(self), length,
                     self->shape == SHAPE_ARRAY ? "elements" : "fields");
        return false;
    }
    *index = (size_t)position;
    return true;
}

PyDoc_STRVAR(aggregate_get_doc,
"get($self, /, store, index)\n--\n\n"
"A field or element.\n\n"
"Args:\n"
"    store: The Store (or Caller) that this lives in.\n"
"    index: 0 or more.\n\n"
"Returns:\n"
"    The value as calls return it; packed integers (i8, i16) unsigned.\n\n"
"Raises:\n"
"    IndexError: There is no such field or element.\n"
"    TypeError: ``index`` is not an integer.\n"
"    ValueError: The store is closed.\n"
"    WasmtimeError: This belongs to another store, or the store is in use by another thread.\n");

static PyObject *
aggregate_get(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "index", NULL};
    static const ArgumentNames spec = {"get", names, 2};
    PyObject *given[2];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 2)
        || (store = reference_enter(self, given[0])) == NULL) {
        return NULL;
    }
    size_t index;
    ReferenceObject *reference = (ReferenceObject *)self;
    PyObject *result = aggregate_index(reference, store, given[1], false, &index)
                           ? aggregate_read(reference, store, index)
                           : NULL;
    store_leave(store);
    return result;
}

PyDoc_STRVAR(aggregate_set_doc,
"set($self, /, store, index, value)\n--\n\n"
"Change a field or element.\n\n"
"Args:\n"
"    store: The Store (or Caller) that this lives in.\n"
"    index: 0 or more.\n"
"    value: What converts to the type of the field. For packed integers, all of -2**7 ... 2**8-1\n"
"        (i8) or -2**15 ... 2**16-1 (i16).\n\n"
"Raises:\n"
"    IndexError: There is no such field or element.\n"
"    TypeError: ``value`` does not convert, or this is an exception, which cannot change.\n"
"    OverflowError: ``value`` is out of the range of the type.\n"
"    ValueError: The store is closed.\n"
"    WasmtimeError: The field is immutable, the reference is of a wrong type, something belongs\n"
"        to another store, or the store is in use by another thread.\n");

static PyObject *
aggregate_set(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", "index", "value", NULL};
    static const ArgumentNames spec = {"set", names, 3};
    PyObject *given[3];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 3)
        || (store = reference_enter(self, given[0])) == NULL) {
        return NULL;
    }
    size_t index;
    ReferenceObject *reference = (ReferenceObject *)self;
    bool fine = aggregate_index(reference, store, given[1], false, &index)
                && aggregate_write(reference, store, index, given[2]);
    store_leave(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static Py_ssize_t
aggregate_size(PyObject *self)
{
    StoreObject *store = reference_enter_home((ReferenceObject *)self);
    size_t length = 0;
    bool fine = store != NULL && aggregate_length((ReferenceObject *)self, store, &length);
    if (store != NULL) {
        reference_leave_home(store);
    }
    return fine ? (Py_ssize_t)length : -1;
}

/* self[key] and self[key] = value, key an index or a slice, in the store that it knows. */
static PyObject *
aggregate_access(ReferenceObject *self, PyObject *key, PyObject *value)
{
    StoreObject *store = reference_enter_home(self);
    if (store == NULL) {
        return NULL;
    }
    PyObject *result = NULL, *values = NULL;
    size_t index, length;
    Py_ssize_t start, stop, step, count;
    if (!PySlice_Check(key)) {
        if (aggregate_index(self, store, key, true, &index)) {
            result = value == NULL ? aggregate_read(self, store, index)
                     : aggregate_write(self, store, index, value) ? Py_NewRef(Py_None)
                                                                  : NULL;
        }
        goto done;
    }
    if (!aggregate_length(self, store, &length) || PySlice_Unpack(key, &start, &stop, &step) < 0) {
        goto done;
    }
    count = PySlice_AdjustIndices((Py_ssize_t)length, &start, &stop, step);
    if (value != NULL) {
        values = PySequence_List(value);
        if (values == NULL) {
            goto done;
        }
        if (PyList_Size(values) != count) {
            PyErr_Format(PyExc_ValueError, "%zd values for a slice of %zd: the size cannot change",
                         PyList_Size(values), count);
            goto done;
        }
    }
    result = value == NULL ? PyList_New(count) : Py_NewRef(Py_None);
    for (Py_ssize_t i = 0; result != NULL && i < count; i++, start += step) {
        if (value != NULL) {
            PyObject *one = PyList_GetItemRef(values, i);
            if (one == NULL || !aggregate_write(self, store, (size_t)start, one)) {
                Py_CLEAR(result);
            }
            Py_XDECREF(one);
            continue;
        }
        PyObject *item = aggregate_read(self, store, (size_t)start);
        if (item == NULL) {
            Py_CLEAR(result);
        }
        else {
            PyList_SetItem(result, i, item);
        }
    }
done:
    Py_XDECREF(values);
    reference_leave_home(store);
    return result;
}

static PyObject *
aggregate_subscript(PyObject *self, PyObject *key)
{
    return aggregate_access((ReferenceObject *)self, key, NULL);
}

static int
aggregate_assign(PyObject *self, PyObject *key, PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "fields and elements cannot be deleted");
        return -1;
    }
    PyObject *done = aggregate_access((ReferenceObject *)self, key, value);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* What iteration goes by: live, like that of a list. */
static PyObject *
aggregate_item(PyObject *object, Py_ssize_t index)
{
    ReferenceObject *self = (ReferenceObject *)object;
    StoreObject *store = reference_enter_home(self);
    if (store == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    size_t length;
    if (aggregate_length(self, store, &length)) {
        if (index >= 0 && (size_t)index < length) {
            result = aggregate_read(self, store, (size_t)index);
        }
        else {
            PyErr_SetString(PyExc_IndexError, "index out of range");
        }
    }
    reference_leave_home(store);
    return result;
}

/* --- making them ------------------------------------------------------------------------------ */

static void
values_drop(wasmtime_val_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        value_drop(&values[i]);
    }
    PyMem_RawFree(values);
}

/* Lower a list of values; the caller drops them. NULL: exception set. */
static wasmtime_val_t *
values_lower(StoreObject *store, PyObject *list, const Signature *layout, bool repeat,
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
                    && lower_field(store, value, layout->kinds[repeat ? 0 : i], &values[i],
                                   (Place){role, (Py_ssize_t)i + 1});
        Py_XDECREF(value);
        if (!fine) {
            values_drop(values, i);
            return NULL;
        }
    }
    if (!greenlet_may_enter(&this_thread)) { /* to allocate what these are for */
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

/* _init_struct(store, wasmtime_struct_type_t address, values): the type is of the store's engine. */
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
        values = values_lower(store, list, layout, false, "field");
    }
    if (values != NULL) {
        wasmtime_struct_ref_pre_t *pre = wasmtime_struct_ref_pre_new(store->context, type);
        wasmtime_val_t made = {.kind = K_ANYREF};
        wasmtime_structref_t native;
        wasmtime_error_t *error =
            wasmtime_structref_new(store->context, pre, values, count, &native);
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
    if (element->kind > K_V128 && length > 1) {
        /* The library takes the space first and does not give it back if the reference proves to
         * be of a wrong type: let that be little. */
        error = wasmtime_arrayref_new(store->context, pre, element, 1, &native);
        if (error == NULL) {
            wasmtime_arrayref_unroot(&native);
        }
    }
    if (error == NULL && length > ARRAY_LONG) {
        NativeCall call;
        native_begin(store, &call, false);
        error = wasmtime_arrayref_new(store->context, pre, element, length, &native);
        native_end(store, &call);
        store->pending = call.pending;
    }
    else if (error == NULL) {
        error = wasmtime_arrayref_new(store->context, pre, element, length, &native);
    }
    wasmtime_array_ref_pre_delete(pre);
    if (error == NULL) {
        out->kind = K_ANYREF;
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
    wasmtime_val_t *values =
        layout == NULL ? NULL
                       : values_lower(store, list, layout, true, repeat < 0 ? "element" : "value");
    if (values != NULL) {
        wasmtime_val_t made = {.kind = K_ANYREF};
        wasmtime_error_t *error = NULL;
        bool rooted = false, alike = true;
        if (repeat < 0 && !is_mutable) {
            /* The C API fills a new array with one value and has no way to write the others. */
            for (size_t i = 1; alike && i < count; i++) {
                alike = values[i].kind <= K_V128
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
            error = wasmtime_arrayref_set(store->context,
                                          (wasmtime_arrayref_t *)&made.of.anyref, (uint32_t)i,
                                          &values[i]);
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
            values = values_lower(store, list, layout, false, "value");
        }
        if (values != NULL) {
            wasmtime_val_t made = {.kind = K_EXNREF};
            wasmtime_error_t *error =
                wasmtime_exnref_new(store->context, native, values, count, &made.of.exnref);
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

/* --- exceptions, for error.c ------------------------------------------------------------------- */

static wasm_trap_t *
take_inside(void *Py_UNUSED(env), wasmtime_caller_t *caller, wasmtime_val_raw_t *Py_UNUSED(slots),
            size_t Py_UNUSED(count))
{
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    StoreObject *store = wasmtime_context_get_data(context);
    if (!wasmtime_context_take_exception(context, store->taken)) {
        memset(store->taken, 0, sizeof(*store->taken));
    }
    return NULL;
}

/* Take the exception that a call ended with out of the store; NULL if there is none, or no memory
 * for it, which is as good as none on this path.
 *
 * The library leaves a second root to the exception behind, which goes when the innermost call
 * does, and never outside of all calls. So it is asked from a host function made for that. */
static PyObject *
exnref_take(StoreObject *store)
{
    if (!wasmtime_context_has_exception(store->context)) {
        return NULL;
    }
    if (store->taker.store_id == 0) {
        wasm_valtype_vec_t params, results;
        wasm_valtype_vec_new_empty(&params);
        wasm_valtype_vec_new_empty(&results);
        wasm_functype_t *type = wasm_functype_new(&params, &results);
        wasmtime_func_new_unchecked(store->context, type, take_inside, NULL, NULL, &store->taker);
        wasm_functype_delete(type);
    }
    wasmtime_val_t value = {.kind = K_EXNREF};
    wasmtime_val_raw_t slot;
    wasm_trap_t *trap = NULL;
    store->taken = &value.of.exnref;
    wasmtime_error_t *error =
        wasmtime_func_call_unchecked(store->context, &store->taker, &slot, 0, &trap);
    store->taken = NULL;
    if (error != NULL || trap != NULL) { /* no stack for a call, say */
        if (error != NULL) {
            wasmtime_error_delete(error);
        }
        if (trap != NULL) {
            wasm_trap_delete(trap);
        }
        if (!wasmtime_context_take_exception(store->context, &value.of.exnref)) {
            return NULL;
        }
    }
    if (value.of.exnref.store_id == 0) {
        return NULL;
    }
    PyObject *exnref = reference_new(store, state.ExnRef, &value, SHAPE_EXN);
    if (exnref == NULL) {
        PyErr_Clear();
    }
    return exnref;
}

/* The values that an exception carries, as a tuple; inside the store. */
static PyObject *
exnref_values(ReferenceObject *self, StoreObject *store)
{
    size_t count;
    if (!aggregate_length(self, store, &count)) {
        return NULL;
    }
    PyObject *values = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; values != NULL && i < count; i++) {
        PyObject *value = aggregate_read(self, store, i);
        if (value == NULL) {
            Py_CLEAR(values);
        }
        else {
            PyTuple_SetItem(values, (Py_ssize_t)i, value);
        }
    }
    return values;
}

static PyObject *
exnref_tag(ReferenceObject *self, StoreObject *store)
{
    wasmtime_extern_t item = {.kind = WASMTIME_EXTERN_TAG};
    wasmtime_error_t *error =
        wasmtime_exnref_tag(store->context, &self->value.of.exnref, &item.of.tag);
    return error != NULL ? raise_error(error) : wrap_extern(store, &item);
}

/* Say on a Python exception what it stands for, so that it can be read when the store is gone. */
static bool
exnref_describe(StoreObject *store, PyObject *exnref, PyObject *exception)
{
    PyObject *values = exnref_values((ReferenceObject *)exnref, store);
    PyObject *tag = values == NULL ? NULL : exnref_tag((ReferenceObject *)exnref, store);
    bool fine = tag != NULL && PyObject_SetAttr(exception, state.str_exnref, exnref) == 0
                && PyObject_SetAttr(exception, state.str_tag, tag) == 0
                && PyObject_SetAttr(exception, state.str_values, values) == 0;
    Py_XDECREF(tag);
    Py_XDECREF(values);
    return fine;
}

/* describe_exception(exnref, exception), in the store that the reference knows. */
static PyObject *
core_describe_exception(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *exnref, *exception;
    if (!PyArg_ParseTuple(args, "O!O:describe_exception", state.Reference_base, &exnref,
                          &exception)) {
        return NULL;
    }
    StoreObject *store = reference_enter_home((ReferenceObject *)exnref);
    if (store == NULL) {
        return NULL;
    }
    bool fine = exnref_in(store, exnref) != NULL && exnref_describe(store, exnref, exception);
    reference_leave_home(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}
