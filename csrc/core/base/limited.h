/* What the limited API of CPython 3.12 leaves out and this module wants, by the names of the full
 * API, so that the rest of the code is written once. Included right after Python.h.
 *
 * PyMem_Raw* is outside of the limited API; it wraps malloc, which needs no GIL either and stands
 * in for it. No block crosses from one allocator to the other: a build sees one of them only. */
#ifndef WASMTIME_CORE_LIMITED_H
#define WASMTIME_CORE_LIMITED_H

#ifdef Py_LIMITED_API

#include <stdlib.h>

/* The full API casts the arguments of these, the limited one has stopped to. A macro is not
 * expanded inside of itself: the names on the right are CPython's own functions. */
#undef Py_INCREF
#undef Py_DECREF
#undef Py_XINCREF
#undef Py_XDECREF
#undef Py_TYPE
#undef Py_REFCNT
#undef Py_NewRef
#undef Py_XNewRef
#define Py_INCREF(op) Py_INCREF((PyObject *)(op))
#define Py_DECREF(op) Py_DECREF((PyObject *)(op))
#define Py_XINCREF(op) Py_XINCREF((PyObject *)(op))
#define Py_XDECREF(op) Py_XDECREF((PyObject *)(op))
#define Py_TYPE(op) Py_TYPE((PyObject *)(op))
#define Py_REFCNT(op) Py_REFCNT((PyObject *)(op))
#define Py_NewRef(op) _Py_NewRef((PyObject *)(op))
#define Py_XNewRef(op) _Py_XNewRef((PyObject *)(op))

#define Py_XSETREF(place, value) \
    do { \
        PyObject *setref_old = (PyObject *)(place); \
        (place) = (value); \
        Py_XDECREF(setref_old); \
    } while (0)

#define PyMem_RawMalloc(size) malloc((size) != 0 ? (size) : 1)
#define PyMem_RawCalloc(count, size) calloc((count) != 0 ? (count) : 1, (size) != 0 ? (size) : 1)
#define PyMem_RawRealloc(block, size) realloc((block), (size) != 0 ? (size) : 1)
#define PyMem_RawFree(block) free(block)

#ifndef PYTHREAD_INVALID_THREAD_ID
#define PYTHREAD_INVALID_THREAD_ID ((unsigned long)-1)
#endif

/* The name of an object's type, for an error message that is formatted at once: the text lives
 * until the next call. Limited builds always have the GIL, which guards it. */
static const char *
type_name(PyObject *object)
{
    static char text[200];
    PyObject *name = PyType_GetName(Py_TYPE(object));
    Py_ssize_t size = 0;
    const char *utf8 = name != NULL ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;
    if (utf8 == NULL) {
        PyErr_Clear();
        utf8 = "object";
        size = 6;
    }
    if (size >= (Py_ssize_t)sizeof(text)) {
        size = (Py_ssize_t)sizeof(text) - 1;
        while (size > 0 && (utf8[size] & 0xC0) == 0x80) {
            size--; /* do not cut a character in two */
        }
    }
    memcpy(text, utf8, (size_t)size);
    text[size] = '\0';
    Py_XDECREF(name);
    return text;
}
#define type_name(object) type_name((PyObject *)(object))

#else
#define type_name(object) (Py_TYPE(object)->tp_name)
#endif

#endif
