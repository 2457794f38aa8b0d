/* Numbers that are exactly an int or a float, read the shortest way that this build has.
 *
 * The limited API has functions alone, so that one binary serves later versions of CPython. A build
 * for one version reads most numbers where they lie: setup.py, docs/packaging.md. */
#ifndef WASMTIME_CORE_EXACT_H
#define WASMTIME_CORE_EXACT_H

#if defined(Py_LIMITED_API)

static inline bool
exact_int_is_small(PyObject *Py_UNUSED(value), long long *Py_UNUSED(out))
{
    return false;
}
#define exact_float(value) PyFloat_AsDouble(value)

#else

/* Whether it has one digit or none. */
static inline bool
exact_int_is_small(PyObject *value, long long *out)
{
    PyLongObject *number = (PyLongObject *)value;
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact(number)) {
        *out = PyUnstable_Long_CompactValue(number);
        return true;
    }
    return false;
#else
    Py_ssize_t size = Py_SIZE(number);
    if (size < -1 || size > 1) {
        return false;
    }
    *out = size == 0 ? 0 : size * (long long)number->ob_digit[0];
    return true;
#endif
}
#define exact_float(value) PyFloat_AS_DOUBLE(value)

#endif

/* The value of an int; false without an exception if it has more than 64 bits. */
static inline bool
exact_int(PyObject *value, long long *out)
{
    if (LIKELY(exact_int_is_small(value, out))) {
        return true;
    }
    int overflow;
    *out = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow == 0;
}

#endif
