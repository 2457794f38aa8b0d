/* Values of every kind, references included: lower and lift them for the checked calls.
 *
 * Ownership: a wasmtime_val_t that was lowered owns a root to what it refers to; value_drop() gives
 * it up. A Reference owns its root until the object dies. A Python object behind an externref is
 * owned by a box of the store (runtime/store.h). */

/* What a reference refers to; the class of the object says nothing, Python code can change it. */
enum { SHAPE_OTHER, SHAPE_STRUCT, SHAPE_ARRAY, SHAPE_EXN };

/* A rooted GC reference (any, exn, or an extern that no Python object stands behind). It
 * keeps the referent alive until the object dies or its store does; unrooting needs no store.
 *
 * All references below any have the form of wasmtime_anyref_t here: the library's struct and
 * array references are the same root under another name. */
typedef struct {
    PyObject_HEAD
    PyObject *home; /* once, with `value` and `shape` before it, as in an Item */
    wasmtime_val_t value;
    Signature *layout;   /* inside: what the fields are, read when it is first needed */
    size_t length_known; /* inside: 0: not read yet, else number of fields or elements + 1 */
    uint8_t shape;
} ReferenceObject;

static void
reference_dealloc(ReferenceObject *self)
{
    if (self->home != NULL) {
        wasmtime_val_unroot(&self->value);
        Py_CLEAR(self->home);
    }
    signature_release(self->layout);
    type_free((PyObject *)self);
}

static uint8_t
reference_shape(StoreObject *store, const wasmtime_val_t *value)
{
    wasmtime_anyref_t *any = (wasmtime_anyref_t *)&value->of.anyref;
    if (value->kind == VALKIND_EXNREF) {
        return SHAPE_EXN;
    }
    if (value->kind != VALKIND_ANYREF) {
        return SHAPE_OTHER;
    }
    return wasmtime_anyref_is_struct(store->context, any)  ? SHAPE_STRUCT
           : wasmtime_anyref_is_array(store->context, any) ? SHAPE_ARRAY
                                                           : SHAPE_OTHER;
}

/* Takes the root over from `value`. */
static PyObject *
reference_new(StoreObject *store, PyObject *type, const wasmtime_val_t *value, uint8_t shape)
{
    ReferenceObject *self = (ReferenceObject *)type_alloc((PyTypeObject *)type);
    if (self == NULL) {
        wasmtime_val_unroot((wasmtime_val_t *)value);
        return NULL;
    }
    self->value = *value;
    self->shape = shape;
    self->home = Py_NewRef(store->home);
    return (PyObject *)self;
}

static PyObject *func_wrap(StoreObject *store, const wasmtime_func_t *func, Signature *signature);
static const wasmtime_func_t *func_in(StoreObject *store, PyObject *object);

static NOINLINE bool
refuse_foreign(const char *what, PyObject *object)
{
    PyErr_Format(state.WasmtimeError,
                 "%s (%.200s) belongs to another store: WebAssembly objects can only be used with "
                 "the store that they were made in",
                 what, type_name(object));
    return false;
}

/* Between any and extern the caller says that a conversion is meant: in the other form, the guest
 * gets something else than Python had. */
static NOINLINE bool
refuse_reference(ReferenceObject *reference, uint8_t kind, Place place)
{
    bool made = published(reference->home) != NULL;
    uint8_t given = made ? reference->value.kind : kind;
    bool convertible = made
                       && ((kind == VALKIND_EXTERNREF && given == VALKIND_ANYREF)
                           || (kind == VALKIND_ANYREF && given == VALKIND_EXTERNREF));
    if (!convertible) {
        return refuse_conversion((PyObject *)reference, kind, place);
    }
    char text[PLACE_TEXT];
    PyErr_Format(PyExc_TypeError, "%s: %R is an %s, not an %s: pass reference.%s(store)",
                 place_text(place, text), reference, kind_names[given], kind_names[kind],
                 kind == VALKIND_EXTERNREF ? "to_extern" : "to_any");
    return false;
}

/* A Python integer where a reference of the GC proposal is asked for: an i31, which is a value
 * and no object. Both readings are taken, as for the larger integers. */
static NOINLINE bool
lower_i31(StoreObject *store, PyObject *value, wasmtime_val_t *out, Place place)
{
    PyObject *integer = PyNumber_Index(value);
    if (integer == NULL) {
        return false;
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    bool fits = !overflow && number >= -(1 << 30) && number <= 0x7fffffff;
    if (!fits) {
        char text[PLACE_TEXT];
        PyErr_Format(PyExc_OverflowError, "%s: %R does not fit i31 (-2**30 ... 2**31-1)",
                     place_text(place, text), integer);
    }
    else {
        wasmtime_anyref_from_i31(store->context, (uint32_t)number, &out->of.anyref);
    }
    Py_DECREF(integer);
    return fits;
}

typedef struct {
    StoreObject *store;
    ExternBox *box;
    wasmtime_externref_t *out;
    bool fine;
} NewExternref;

static void
new_externref(void *argument)
{
    NewExternref *self = argument;
    self->fine =
        wasmtime_externref_new(self->store->context, self->box, extern_box_dropped, self->out);
}

/* Lower any value for the checked call; what it refers to is owned by `out` afterwards. */
static bool
lower_value(StoreObject *store, PyObject *value, uint8_t kind, wasmtime_val_t *out, Place place)
{
    out->kind = kind;
    if (kind <= VALKIND_V128) {
        return lower_number(value, kind, &out->of, place);
    }
    /* Null from the start: the library drops the results of a host function that failed, too. */
    memset(&out->of, 0, sizeof(out->of));
    if (PyObject_TypeCheck(value, (PyTypeObject *)state.Val)) {
        PyObject *inner = unpack_val(value, kind, place);
        if (inner == NULL) {
            return false;
        }
        bool fine = lower_value(store, inner, kind, out, place);
        Py_DECREF(inner);
        return fine;
    }
    if (value == Py_None) {
        return true;
    }
    if (kind == VALKIND_FUNCREF) {
        if (!PyObject_TypeCheck(value, state.Func_base)) {
            return refuse_conversion(value, kind, place);
        }
        const wasmtime_func_t *func = func_in(store, value);
        if (func == NULL) {
            return false;
        }
        out->of.funcref = *func;
        return true;
    }
    if (PyObject_TypeCheck(value, state.Reference_base)) {
        ReferenceObject *reference = (ReferenceObject *)value;
        PyObject *home = published(reference->home);
        if (home == NULL || reference->value.kind != kind) {
            return refuse_reference(reference, kind, place);
        }
        if (home != store->home) {
            return refuse_foreign(place.role, value);
        }
        wasmtime_val_clone(&reference->value, out);
        return true;
    }
    if (kind == VALKIND_ANYREF && PyIndex_Check(value)) {
        return lower_i31(store, value, out, place);
    }
    if (kind != VALKIND_EXTERNREF) {
        return refuse_conversion(value, kind, place);
    }
    bool may = greenlet_may_enter(&this_thread) && errand_check(store);
    ExternBox *box = may ? extern_box_new(store, value) : NULL;
    if (box == NULL) {
        return false;
    }
    NewExternref made = {store, box, &out->of.externref, false};
    errand_run(store, new_externref, &made);
    if (!made.fine) {
        memset(&out->of, 0, sizeof(out->of));
        if (box->next_dropped == NULL && store->dropped != box) {
            extern_box_dropped(box);
        }
        PyErr_SetString(state.WasmtimeError,
                        "failed to create an externref: the GC heap is full or not configured");
        return false;
    }
    return true;
}

/* Who has the root of a reference that is lifted. */
typedef enum {
    ROOT_LENT,  /* the library: the Python object gets a root of its own */
    ROOT_TAKEN, /* the Python object from here on; it is given up if the object needs none */
} RootOwner;

/* A value of the checked call as a Python object. */
static PyObject *
lift_value(StoreObject *store, const wasmtime_val_t *value, RootOwner root)
{
    uint8_t kind = value->kind;
    if (kind <= VALKIND_V128) {
        return lift_number(kind, &value->of);
    }
    if (value->of.anyref.store_id == 0) { /* every kind of reference starts with it */
        return Py_NewRef(Py_None);
    }
    if (kind == VALKIND_FUNCREF) {
        return func_wrap(store, &value->of.funcref, NULL);
    }
    if (kind == VALKIND_EXTERNREF) {
        ExternBox *box =
            wasmtime_externref_data(store->context, (wasmtime_externref_t *)&value->of.externref);
        if (box != NULL) {
            PyObject *object = Py_NewRef(box->object);
            if (root == ROOT_TAKEN) {
                wasmtime_val_unroot((wasmtime_val_t *)value);
            }
            return object;
        }
    }
    if (kind == VALKIND_ANYREF) {
        int32_t small;
        if (wasmtime_anyref_i31_get_s(store->context, (wasmtime_anyref_t *)&value->of.anyref,
                                      &small)) {
            if (root == ROOT_TAKEN) {
                wasmtime_val_unroot((wasmtime_val_t *)value);
            }
            return PyLong_FromLong(small);
        }
    }
    uint8_t shape = reference_shape(store, value);
    PyObject *type = shape == SHAPE_STRUCT    ? state.StructRef
                     : shape == SHAPE_ARRAY   ? state.ArrayRef
                     : shape == SHAPE_EXN     ? state.ExnRef
                     : kind == VALKIND_ANYREF ? state.AnyRef
                                              : state.ExternRef;
    if (root == ROOT_TAKEN) {
        return reference_new(store, type, value, shape);
    }
    wasmtime_val_t own;
    wasmtime_val_clone((wasmtime_val_t *)value, &own);
    return reference_new(store, type, &own, shape);
}

static inline void
value_drop(wasmtime_val_t *value)
{
    if (value->kind > VALKIND_FUNCREF) {
        wasmtime_val_unroot(value);
    }
}

/* --- for Python code that calls through cffi ------------------------------------------------ */

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
    bool fine =
        lower_value(store, value, kind, (wasmtime_val_t *)(uintptr_t)address, (Place){role, 0});
    store_leave(store);
    if (!fine) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_lift_value(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:lift_value", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    PyObject *result = lift_value(store, (const wasmtime_val_t *)(uintptr_t)address, ROOT_TAKEN);
    store_leave(store);
    return result;
}
