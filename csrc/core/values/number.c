/* Numbers and vectors: lower Python objects to raw slots and lift them back.
 *
 * The unchecked call takes raw slots as they are; the checked call (value.c) has them inside of
 * wasmtime_val_t. Every number is checked against the range of its type. Nothing here is owned. */

/* Where a value stands, for the message of an error. */
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

/* --- floats ---------------------------------------------------------------------------------- *
 * NaN payloads survive, signalling ones too, which a conversion by hardware would quieten. */

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

/* --- lowering numbers ----------------------------------------------------------------------- */

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

static ALWAYS_INLINE bool lower_number(PyObject *value, uint8_t kind, void *slot, Place place);

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

static ALWAYS_INLINE bool
lower_number(PyObject *value, uint8_t kind, void *slot, Place place)
{
    long long number;
    switch (kind) {
    case VALKIND_I32:
        if (LIKELY(PyLong_CheckExact(value))) {
            if (LIKELY(exact_int(value, &number) && number >= INT32_MIN
                       && number <= (long long)UINT32_MAX)) {
                *(int32_t *)slot = (int32_t)(uint32_t)(unsigned long long)number;
                return true;
            }
        }
        break;
    case VALKIND_I64:
        if (LIKELY(PyLong_CheckExact(value))) {
            if (LIKELY(exact_int(value, &number))) {
                *(int64_t *)slot = number;
                return true;
            }
        }
        break;
    case VALKIND_F32:
        if (LIKELY(PyFloat_CheckExact(value))) {
            narrow(exact_float(value), slot);
            return true;
        }
        break;
    case VALKIND_F64:
        if (LIKELY(PyFloat_CheckExact(value))) {
            *(double *)slot = exact_float(value);
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
