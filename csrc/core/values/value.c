/* Python values to WebAssembly values ("lower") and back ("raise").
 *
 * Two lanes run the same compiled signature: numbers and vectors go as raw slots, straight
 * to and from the unchecked calls; signatures with references go as wasmtime_val_t, which
 * own what they refer to. Every number is checked against the range of its type. */

/* Where a value stands, for the words of an error. */
typedef struct {
    const char *role; /* "parameter", "result", "value" ... */
    Py_ssize_t index; /* 1-based; 0: there is only one */
} Place;

/* "parameter 3", or the role alone where there is only one; for messages that are made at once. */
#define PLACE_TEXT 64
static const char *
place_text(Place place, char *buffer)
{
    if (place.index == 0) {
        return place.role;
    }
    PyOS_snprintf(buffer, PLACE_TEXT, "%.40s %lld", place.role, (long long)place.index);
    return buffer;
}

static NOINLINE bool
refuse_conversion(PyObject *value, uint8_t kind, Place place)
{
    if (place.index) {
        PyErr_Format(PyExc_TypeError, "%s %zd: don't know how to convert %R to %s", place.role,
                     place.index, value, kind_names[kind]);
    }
    else {
        PyErr_Format(PyExc_TypeError, "%s: don't know how to convert %R to %s", place.role, value,
                     kind_names[kind]);
    }
    return false;
}

static NOINLINE bool
refuse_range(PyObject *value, uint8_t kind, Place place)
{
    const char *range = kind == VALKIND_I32    ? "-2**31 ... 2**32-1"
                        : kind == VALKIND_I64  ? "-2**63 ... 2**64-1"
                        : kind == VALKIND_V128 ? "-2**127 ... 2**128-1"
                                               : "what a double holds";
    if (place.index) {
        PyErr_Format(PyExc_OverflowError, "%s %zd: %R does not fit %s (%s)", place.role,
                     place.index, value, kind_names[kind], range);
    }
    else {
        PyErr_Format(PyExc_OverflowError, "%s: %R does not fit %s (%s)", place.role, value,
                     kind_names[kind], range);
    }
    return false;
}

/* --- floats: NaN payloads survive, signalling ones too, which a hardware conversion
 * between the two widths would quieten ------------------------------------------------- */

static NOINLINE double
widen_nan(uint32_t bits)
{
    uint64_t wide = ((uint64_t)(bits & 0x80000000u) << 32) | 0x7ff0000000000000u
                    | ((uint64_t)(bits & 0x007fffffu) << 29);
    double value;
    memcpy(&value, &wide, sizeof(value));
    return value;
}

static inline double
widen(const void *slot)
{
    uint32_t bits;
    memcpy(&bits, slot, sizeof(bits));
    if (UNLIKELY((bits & 0x7fffffffu) > 0x7f800000u)) {
        return widen_nan(bits);
    }
    float narrow;
    memcpy(&narrow, &bits, sizeof(narrow));
    return (double)narrow;
}

static NOINLINE uint32_t
narrow_nan(double value)
{
    uint64_t wide;
    memcpy(&wide, &value, sizeof(wide));
    uint32_t payload = (uint32_t)(wide >> 29) & 0x007fffffu;
    return (uint32_t)(wide >> 32 & 0x80000000u) | 0x7f800000u | (payload ? payload : 0x00400000u);
}

static inline void
narrow(double value, void *slot)
{
    uint32_t bits;
    if (UNLIKELY(value != value)) {
        bits = narrow_nan(value);
    }
    else {
        float rounded = (float)value;
        memcpy(&bits, &rounded, sizeof(bits));
    }
    memcpy(slot, &bits, sizeof(bits));
}

/* --- lowering numbers --------------------------------------------------------------------- */

/* The value inside a `Val`, whose type must be the one wanted; a new reference. */
static NOINLINE PyObject *
unpack_val(PyObject *value, uint8_t kind, Place place)
{
    PyObject *given = PyObject_GetAttr(value, state.str_kind);
    if (given == NULL) {
        return NULL;
    }
    long number = PyLong_AsLong(given);
    Py_DECREF(given);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number != kind) {
        const char *given_name =
            number >= 0 && number <= VALKIND_EXNREF ? kind_names[number] : "unknown";
        if (place.index) {
            PyErr_Format(PyExc_TypeError,
                         "%s %zd: wrong type of `Val` provided: %s where %s is wanted", place.role,
                         place.index, given_name, kind_names[kind]);
        }
        else {
            PyErr_Format(PyExc_TypeError, "%s: wrong type of `Val` provided: %s where %s is wanted",
                         place.role, given_name, kind_names[kind]);
        }
        return NULL;
    }
    return PyObject_GetAttr(value, state.str_val);
}

static bool lower_number(PyObject *value, uint8_t kind, void *slot, Place place);

static NOINLINE bool
lower_v128(PyObject *value, void *slot, Place place)
{
    if (PyLong_Check(value)) {
        /* Through int.to_bytes: vectors as integers are a convenience, not a hot path. */
        PyObject *zero = PyLong_FromLong(0);
        int negative = zero == NULL ? -1 : PyObject_RichCompareBool(value, zero, Py_LT);
        Py_XDECREF(zero);
        if (negative < 0) {
            return false;
        }
        PyObject *method = PyObject_GetAttrString(value, "to_bytes");
        PyObject *args = Py_BuildValue("(is)", 16, "little");
        PyObject *kwargs = Py_BuildValue("{sO}", "signed", negative ? Py_True : Py_False);
        PyObject *bytes = method && args && kwargs ? PyObject_Call(method, args, kwargs) : NULL;
        Py_XDECREF(method);
        Py_XDECREF(args);
        Py_XDECREF(kwargs);
        if (bytes == NULL) {
            if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
                PyErr_Clear();
                return refuse_range(value, VALKIND_V128, place);
            }
            return false;
        }
        char *data = PyBytes_AsString(bytes);
        if (data != NULL) {
            memcpy(slot, data, 16);
        }
        Py_DECREF(bytes);
        return data != NULL;
    }
    Py_buffer view;
    if (!PyObject_CheckBuffer(value)) {
        return refuse_conversion(value, VALKIND_V128, place);
    }
    if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0) {
        return false;
    }
    bool fits = view.len == 16;
    if (fits) {
        memcpy(slot, view.buf, 16);
    }
    Py_ssize_t length = view.len;
    PyBuffer_Release(&view);
    if (!fits) {
        if (place.index) {
            PyErr_Format(PyExc_ValueError, "%s %zd: a v128 takes 16 bytes, not %zd", place.role,
                         place.index, length);
        }
        else {
            PyErr_Format(PyExc_ValueError, "%s: a v128 takes 16 bytes, not %zd", place.role,
                         length);
        }
    }
    return fits;
}

/* What the fast path of lower_number() does not take: subclasses, index-able objects,
 * `Val`s, integers for floats, and everything that must be refused. */
static NOINLINE bool
lower_number_slowly(PyObject *value, uint8_t kind, void *slot, Place place)
{
    if (PyObject_TypeCheck(value, (PyTypeObject *)state.Val)) {
        PyObject *inner = unpack_val(value, kind, place);
        if (inner == NULL) {
            return false;
        }
        bool fine = lower_number(inner, kind, slot, place);
        Py_DECREF(inner);
        return fine;
    }
    if (kind == VALKIND_V128) {
        return lower_v128(value, slot, place);
    }
    if (kind == VALKIND_F32 || kind == VALKIND_F64) {
        double number;
        if (PyFloat_Check(value)) {
            number = PyFloat_AsDouble(value);
        }
        else if (PyLong_Check(value) || PyIndex_Check(value)
                 || PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__float__")) {
            number = PyFloat_AsDouble(value);
            if (number == -1.0 && PyErr_Occurred()) {
                if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
                    PyErr_Clear();
                    return refuse_range(value, kind, place);
                }
                return false;
            }
        }
        else {
            return refuse_conversion(value, kind, place);
        }
        if (kind == VALKIND_F32) {
            narrow(number, slot);
        }
        else {
            memcpy(slot, &number, sizeof(number));
        }
        return true;
    }
    PyObject *integer;
    if (PyLong_Check(value)) {
        integer = Py_NewRef(value);
    }
    else if (PyIndex_Check(value)) {
        integer = PyNumber_Index(value);
        if (integer == NULL) {
            return false;
        }
    }
    else {
        return refuse_conversion(value, kind, place);
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    bool fits;
    if (kind == VALKIND_I32) {
        fits = !overflow && number >= INT32_MIN && number <= (long long)UINT32_MAX;
        int32_t low = (int32_t)(uint32_t)(unsigned long long)number;
        memcpy(slot, &low, sizeof(low));
    }
    else {
        fits = overflow == 0;
        if (overflow > 0) {
            unsigned long long large = PyLong_AsUnsignedLongLong(integer);
            fits = !(large == (unsigned long long)-1 && PyErr_Occurred());
            PyErr_Clear();
            number = (long long)large;
        }
        memcpy(slot, &number, sizeof(int64_t));
    }
    if (!fits) {
        refuse_range(integer, kind, place);
    }
    Py_DECREF(integer);
    return fits;
}

static inline bool
lower_number(PyObject *value, uint8_t kind, void *slot, Place place)
{
    int overflow;
    switch (kind) {
    case VALKIND_I32:
        if (LIKELY(PyLong_CheckExact(value))) {
            long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
            if (LIKELY(number >= INT32_MIN && number <= (long long)UINT32_MAX && !overflow)) {
                *(int32_t *)slot = (int32_t)(uint32_t)(unsigned long long)number;
                return true;
            }
        }
        break;
    case VALKIND_I64:
        if (LIKELY(PyLong_CheckExact(value))) {
            long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
            if (LIKELY(!overflow)) {
                *(int64_t *)slot = number;
                return true;
            }
        }
        break;
    case VALKIND_F32:
        if (LIKELY(PyFloat_CheckExact(value))) {
            narrow(PyFloat_AsDouble(value), slot);
            return true;
        }
        break;
    case VALKIND_F64:
        if (LIKELY(PyFloat_CheckExact(value))) {
            *(double *)slot = PyFloat_AsDouble(value);
            return true;
        }
        break;
    default:
        break;
    }
    return lower_number_slowly(value, kind, slot, place);
}

/* A number or vector as the Python object that it is. */
static inline PyObject *
lift_number(uint8_t kind, const void *slot)
{
    switch (kind) {
    case VALKIND_I32:
        return PyLong_FromLong(*(const int32_t *)slot);
    case VALKIND_I64:
        return PyLong_FromLongLong(*(const int64_t *)slot);
    case VALKIND_F32:
        return PyFloat_FromDouble(widen(slot));
    case VALKIND_F64:
        return PyFloat_FromDouble(*(const double *)slot);
    default:
        return PyBytes_FromStringAndSize(slot, 16);
    }
}

/* --- references ------------------------------------------------------------------------------ */

/* What a reference refers to. Kept beside the class, which Python code can change. */
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
    ExternBox *box = greenlet_may_enter(&this_thread) ? extern_box_new(store, value) : NULL;
    if (box == NULL) {
        return false;
    }
    if (!wasmtime_externref_new(store->context, box, extern_box_dropped, &out->of.externref)) {
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

/* A value of the checked call as a Python object. `owned`: the root is ours and goes. */
static PyObject *
lift_value(StoreObject *store, const wasmtime_val_t *value, bool owned)
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
            if (owned) {
                wasmtime_val_unroot((wasmtime_val_t *)value);
            }
            return object;
        }
    }
    if (kind == VALKIND_ANYREF) {
        int32_t small;
        if (wasmtime_anyref_i31_get_s(store->context, (wasmtime_anyref_t *)&value->of.anyref,
                                      &small)) {
            if (owned) {
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
    if (owned) {
        return reference_new(store, type, value, shape);
    }
    wasmtime_val_t root;
    wasmtime_val_clone((wasmtime_val_t *)value, &root);
    return reference_new(store, type, &root, shape);
}

static inline void
value_drop(wasmtime_val_t *value)
{
    if (value->kind > VALKIND_FUNCREF) {
        wasmtime_val_unroot(value);
    }
}
