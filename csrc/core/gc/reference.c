/* References into WebAssembly's garbage-collected heap: identity and conversion.
 *
 * There are references to structs, arrays and exceptions, and to what else there is below any and
 * extern. Their struct is in values/value.c. A Reference owns a root, which keeps the referent
 * alive until the object dies or its store does.
 *
 * The library ends the process for a reference of another store; so each is checked here. */

/* Fields that are kept in fewer bits than the i32 that code sees; never in a signature. */
enum { VALKIND_I8 = 0x40, VALKIND_I16 };

static inline bool
reference_check(ReferenceObject *self, StoreObject *store)
{
    PyObject *home = published(self->home);
    return home_is(home, store) || refuse_home(store, home, self, "reference");
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

/* As above, in the store that the reference knows; leave with home_leave(). */
static StoreObject *
reference_enter_home(ReferenceObject *self)
{
    PyObject *home = published(self->home);
    if (home == NULL) {
        refuse_uninitialized(self);
        return NULL;
    }
    return home_enter(home, "this reference");
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

/* --- identity and conversion ---------------------------------------------------------------- */

/* What the library's heap calls the referent; good until the next collection. */
static uint32_t
reference_raw(StoreObject *store, ReferenceObject *self)
{
    switch (self->value.kind) {
    case VALKIND_ANYREF:
        return wasmtime_anyref_to_raw(store->context, &self->value.of.anyref);
    case VALKIND_EXNREF:
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

PyDoc_STRVAR(
    reference_eq_doc,
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
        PyErr_Format(PyExc_TypeError, "other must be a reference, not %.200s", type_name(given[1]));
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
    if (self->value.kind == VALKIND_EXNREF) {
        PyErr_SetString(PyExc_TypeError, "an exception has no other form");
    }
    else {
        uint32_t raw = reference_raw(store, self);
        if (self->value.kind == VALKIND_ANYREF) {
            value.kind = VALKIND_EXTERNREF;
            wasmtime_externref_from_raw(store->context, raw, &value.of.externref);
        }
        else {
            value.kind = VALKIND_ANYREF;
            wasmtime_anyref_from_raw(store->context, raw, &value.of.anyref);
        }
        result = lift_value(store, &value, ROOT_TAKEN);
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

/* --- the Python type ------------------------------------------------------------------------ */

static PyObject *
reference_get_address(ReferenceObject *self, void *Py_UNUSED(closure))
{
    if (published(self->home) == NULL) {
        PyErr_SetString(PyExc_ValueError, "never initialized");
        return NULL;
    }
    return PyLong_FromVoidPtr(&self->value.of);
}

/* The same for a C function that takes a struct, an array or an exception: with another of the
 * three it would end the process. `closure` is the shape wanted. */
static PyObject *
reference_get_address_as(ReferenceObject *self, void *closure)
{
    if (published(self->home) != NULL && self->shape != (uint8_t)(uintptr_t)closure) {
        PyErr_Format(PyExc_TypeError, "%.200s: does not refer to an object of its class",
                     type_name(self));
        return NULL;
    }
    return reference_get_address(self, NULL);
}

static PyObject *
reference_get_any_address(ReferenceObject *self, void *Py_UNUSED(closure))
{
    if (published(self->home) != NULL && self->value.kind != VALKIND_ANYREF) {
        return reference_get_address_as(self, (void *)(uintptr_t)SHAPE_STRUCT);
    }
    return reference_get_address(self, NULL);
}

static PyObject *
reference_get_home(ReferenceObject *self, void *Py_UNUSED(closure))
{
    PyObject *home = published(self->home);
    return Py_NewRef(home ? home : Py_None);
}

/* `_make(store, kind, address)`: an object for the reference at `address`, whose root it takes. */
static PyObject *
reference_make(PyObject *type, PyObject *args)
{
    PyObject *object;
    int kind;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OiK:_make", &object, &kind, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_val_t value;
    value.kind = (uint8_t)kind;
    memcpy(&value.of, (void *)(uintptr_t)address, sizeof(wasmtime_anyref_t));
    return reference_new(store, type, &value, reference_shape(store, &value));
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
