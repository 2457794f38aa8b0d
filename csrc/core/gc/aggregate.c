/* Reading and writing structs, arrays and exceptions, which are all a row of fields.
 *
 * The library checks types and mutability; indices, numbers and stores are checked here. A value
 * that is read is a Python object of its own; one that is written is dropped after it was
 * copied. */

static const char *
aggregate_noun(ReferenceObject *self)
{
    return self->shape == SHAPE_STRUCT  ? "struct"
           : self->shape == SHAPE_ARRAY ? "array"
                                        : "exception";
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
        error = wasmtime_arrayref_get(store->context, (wasmtime_arrayref_t *)&self->value.of.anyref,
                                      (uint32_t)index, &value);
        break;
    default:
        error = wasmtime_exnref_field(store->context, &self->value.of.exnref, index, &value);
        break;
    }
    return error != NULL ? raise_error(error) : lift_value(store, &value, ROOT_TAKEN);
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
            ? wasmtime_structref_set_field(
                  store->context, (wasmtime_structref_t *)&self->value.of.anyref, index, &lowered)
            : wasmtime_arrayref_set(store->context, (wasmtime_arrayref_t *)&self->value.of.anyref,
                                    (uint32_t)index, &lowered);
    value_drop(&lowered);
    if (error != NULL) {
        raise_error(error);
        return false;
    }
    return true;
}

/* What a negative index means: an error, or a place counted from the end. */
typedef enum { REFUSE_NEGATIVE, COUNT_FROM_END } NegativeIndex;

/* An index that is in range; inside the store. */
static bool
aggregate_index(ReferenceObject *self, StoreObject *store, PyObject *key, NegativeIndex negative,
                size_t *index)
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
    Py_ssize_t position =
        wanted < 0 && negative == COUNT_FROM_END ? wanted + (Py_ssize_t)length : wanted;
    if (position < 0 || (size_t)position >= length) {
        PyErr_Format(PyExc_IndexError, "index %zd is out of range: the %s has %zu %s", wanted,
                     aggregate_noun(self), length,
                     self->shape == SHAPE_ARRAY ? "elements" : "fields");
        return false;
    }
    *index = (size_t)position;
    return true;
}

PyDoc_STRVAR(
    aggregate_get_doc,
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
    PyObject *result = aggregate_index(reference, store, given[1], REFUSE_NEGATIVE, &index)
                           ? aggregate_read(reference, store, index)
                           : NULL;
    store_leave(store);
    return result;
}

PyDoc_STRVAR(
    aggregate_set_doc,
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
    bool fine = aggregate_index(reference, store, given[1], REFUSE_NEGATIVE, &index)
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
        home_leave(store);
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
        if (aggregate_index(self, store, key, COUNT_FROM_END, &index)) {
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
    home_leave(store);
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
    home_leave(store);
    return result;
}
