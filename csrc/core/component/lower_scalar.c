/* Lower what has no parts: numbers, characters, strings.
 *
 * Ownership: a lowered string points into the Python object, which the arena keeps. */

/* --- numbers -------------------------------------------------------------------------------- */

static const struct {
    long long low;
    long long high;
} component_ranges[] = {
    {0, 1},
    {INT8_MIN, INT8_MAX},
    {INT16_MIN, INT16_MAX},
    {INT32_MIN, INT32_MAX},
    {INT64_MIN, INT64_MAX},
    {0, UINT8_MAX},
    {0, UINT16_MAX},
    {0, UINT32_MAX},
    {0, INT64_MAX}, /* the upper half of u64 is a matter of its own */
};

static NOINLINE bool
refuse_component_range(const ComponentPath *path, uint8_t kind, PyObject *value)
{
    if (kind == WIT_U64) {
        return refuse_component(path, PyExc_OverflowError,
                                "%R is not in the range of u64 "
                                "(0 ... 18446744073709551615)",
                                value);
    }
    return refuse_component(
        path, PyExc_OverflowError, "%R is not in the range of %s (%lld ... %lld)", value,
        component_kinds[kind].name, component_ranges[kind].low, component_ranges[kind].high);
}

static inline void
store_integer(wasmtime_component_val_t *out, uint8_t kind, uint64_t bits)
{
    /* All integers start at the same address; the narrow ones are the low bytes of the wide. */
    out->kind = component_kinds[kind].value_kind;
    switch (kind) {
    case WIT_S8:
    case WIT_U8:
        out->of.u8 = (uint8_t)bits;
        break;
    case WIT_S16:
    case WIT_U16:
        out->of.u16 = (uint16_t)bits;
        break;
    case WIT_S32:
    case WIT_U32:
        out->of.u32 = (uint32_t)bits;
        break;
    default:
        out->of.u64 = bits;
        break;
    }
}

static NOINLINE bool
lower_integer_slowly(const ComponentPath *path, uint8_t kind, PyObject *value,
                     wasmtime_component_val_t *out)
{
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
        return refuse_component_type(path, component_kinds[kind].name, value);
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    bool fits = overflow == 0 && number >= component_ranges[kind].low
                && number <= component_ranges[kind].high;
    if (fits) {
        store_integer(out, kind, (uint64_t)number);
    }
    else if (kind == WIT_U64 && overflow > 0) {
        unsigned long long large = PyLong_AsUnsignedLongLong(integer);
        fits = !(large == (unsigned long long)-1 && PyErr_Occurred());
        PyErr_Clear();
        store_integer(out, kind, large);
    }
    if (!fits) {
        refuse_component_range(path, kind, value);
    }
    Py_DECREF(integer);
    return fits;
}

static inline bool
lower_integer(const ComponentPath *path, uint8_t kind, PyObject *value,
              wasmtime_component_val_t *out)
{
    if (LIKELY(PyLong_CheckExact(value))) {
        long long number;
        if (LIKELY(exact_int(value, &number) && number >= component_ranges[kind].low
                   && number <= component_ranges[kind].high)) {
            store_integer(out, kind, (uint64_t)number);
            return true;
        }
    }
    return lower_integer_slowly(path, kind, value, out);
}

static NOINLINE bool
lower_float_slowly(const ComponentPath *path, uint8_t kind, PyObject *value, double *out)
{
    if (PyBool_Check(value) || PyUnicode_Check(value)
        || !(PyFloat_Check(value) || PyIndex_Check(value)
             || PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__float__"))) {
        return refuse_component_type(path, component_kinds[kind].name, value);
    }
    *out = PyFloat_AsDouble(value);
    if (*out == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            return refuse_component(path, PyExc_OverflowError, "%R is too large for %s", value,
                                    component_kinds[kind].name);
        }
        return false;
    }
    return true;
}

static inline bool
lower_float(const ComponentPath *path, uint8_t kind, PyObject *value, wasmtime_component_val_t *out)
{
    double number;
    if (LIKELY(PyFloat_CheckExact(value))) {
        number = exact_float(value);
    }
    else if (!lower_float_slowly(path, kind, value, &number)) {
        return false;
    }
    out->kind = component_kinds[kind].value_kind;
    if (kind == WIT_F32) {
        narrow(number, &out->of.f32);
    }
    else {
        out->of.f64 = number;
    }
    return true;
}

/* --- strings -------------------------------------------------------------------------------- */

/* Text from this size on is copied through fresh memory of the system by glibc, page by page, until
 * a larger block was freed once: from then on such blocks come from the heap, and copies take a
 * quarter of the time. Up to 60 MiB stay at the heap's end for that. */
#define LARGE_TEXT (64 << 10)

static void
raise_malloc_thresholds(void)
{
#ifdef __GLIBC__
    static uintptr_t raised;
    if (atomic_load_relaxed(&raised) == 0) {
        atomic_store_relaxed(&raised, 1);
        void *volatile block = malloc(30 << 20);
        free(block);
    }
#endif
}

static bool
lower_string(Lowering *self, PyObject *value, wasmtime_component_val_t *out,
             const ComponentPath *path)
{
    if (!PyUnicode_Check(value)) {
        return refuse_component_type(path, "str", value);
    }
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (UNLIKELY(utf8 == NULL)) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            return refuse_component(path, PyExc_ValueError,
                                    "the text holds a lone surrogate, which is not valid Unicode");
        }
        return false;
    }
    if (UNLIKELY(size > LARGE_TEXT) && !self->packs) {
        raise_malloc_thresholds();
    }
    out->kind = WASMTIME_COMPONENT_STRING;
    out->of.string.size = (size_t)size;
    out->of.string.data = (void *)utf8;
    return arena_keep(self, Py_NewRef(value));
}

static bool
lower_char(PyObject *value, wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyUnicode_Check(value) || PyUnicode_GetLength(value) != 1) {
        return refuse_component(path, PyExc_TypeError,
                                "expected char (a str of one character), got %R", value);
    }
    Py_UCS4 character = PyUnicode_ReadChar(value, 0);
    if (character >= 0xD800 && character <= 0xDFFF) {
        return refuse_component(path, PyExc_ValueError, "a lone surrogate is not a char");
    }
    out->kind = WASMTIME_COMPONENT_CHAR;
    out->of.character = character;
    return true;
}
