/* What every file of the core shares: headers, portability, forward declarations.
 *
 * The core is one translation unit (`_core.c` includes the other files), so that native calls and
 * the conversions of values are inlined wherever they are used.
 *
 * Only functions of the limited API of CPython 3.12 are used, so that one binary can serve
 * all later versions; the few differences of 3.9-3.11 are bridged here, and what a build for one
 * version does in a shorter way has a name in exact.h. */
#ifndef WASMTIME_CORE_COMMON_H
#define WASMTIME_CORE_COMMON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <string.h>

#include "limited.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasmtime_all.h"

#if defined(__GNUC__) || defined(__clang__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline, cold))
/* For what works on much data: GCC takes what follows refusals for cold, and keeps it small. */
#define HOT __attribute__((hot))
#define ALWAYS_INLINE inline __attribute__((always_inline))
/* Keep the compiler from computing the value a second time. */
#define OPAQUE(value) __asm__("" : "+r"(value))
#if defined(__GLIBC__) && defined(__x86_64__)
/* At a fixed distance from the thread, without a call: glibc has room for so little in modules that
 * are loaded later. Other C libraries have none, other machines ways that are as short. */
#define THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#define THREAD_LOCAL __thread
#endif
#define ALIGNED(n) __attribute__((aligned(n)))
#define atomic_load(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define atomic_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_store(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v) __atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST)
static inline bool
atomic_claim(uintptr_t *slot, uintptr_t value)
{
    uintptr_t expected = 0;
    return __atomic_compare_exchange_n(slot, &expected, value, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}
static inline bool
atomic_exchange_if(uintptr_t *slot, uintptr_t expected, uintptr_t value)
{
    return __atomic_compare_exchange_n(slot, &expected, value, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}
#elif defined(_MSC_VER)
#include <intrin.h>
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#define NOINLINE __declspec(noinline)
#define HOT
#define ALWAYS_INLINE __forceinline
#define OPAQUE(value) ((void)0)
#define THREAD_LOCAL __declspec(thread)
#define ALIGNED(n) __declspec(align(n))
/* Word-sized volatile accesses of MSVC are ordered on x64; on Arm64 the build passes
 * /volatile:ms. */
#define atomic_load(p) (*(volatile uintptr_t *)(p))
#define atomic_load_relaxed(p) (*(volatile uintptr_t *)(p))
#define atomic_store(p, v) ((void)_InterlockedExchange64((volatile __int64 *)(p), (__int64)(v)))
#define atomic_store_relaxed(p, v) (*(volatile uintptr_t *)(p) = (uintptr_t)(v))
#define atomic_add(p, v) \
    ((uintptr_t)(_InterlockedExchangeAdd64((volatile __int64 *)(p), (v)) + (v)))
#define atomic_sub(p, v) \
    ((uintptr_t)(_InterlockedExchangeAdd64((volatile __int64 *)(p), -(__int64)(v)) - (v)))
static inline bool
atomic_claim(uintptr_t *slot, uintptr_t value)
{
    return _InterlockedCompareExchange64((volatile __int64 *)slot, (__int64)value, 0) == 0;
}
static inline bool
atomic_exchange_if(uintptr_t *slot, uintptr_t expected, uintptr_t value)
{
    return (uintptr_t)_InterlockedCompareExchange64((volatile __int64 *)slot, (__int64)value,
                                                    (__int64)expected)
           == expected;
}
#else
#error "this compiler is not supported: the core needs atomics and thread-local storage"
#endif
/* Every variable that is accessed with these is a `uintptr_t` (64 bits on all platforms). */

/* Without the GIL, several threads run these functions at once, also on one object. Each field of
 * an object is one of these then:
 *
 *   inside     of a store or what lives in it: only the thread that has entered touches it;
 *   once       set by publish(), after all that it leads to, and never changed while the object
 *              can be reached: read with published();
 *   locked     read and changed between LOCK(object) and UNLOCK() only, and nothing else happens
 *              there: what is taken out is released afterwards, since that may run any code;
 *   relaxed    a byte or word that depends on no other field: relaxed_load(), relaxed_store().
 *
 * With the GIL, which is released in plain sight only, all of them are plain accesses. */
#ifdef Py_GIL_DISABLED
#define LOCK(object) Py_BEGIN_CRITICAL_SECTION(object)
#define UNLOCK() Py_END_CRITICAL_SECTION()
#if defined(_MSC_VER)
#if _MSC_VER < 1939
#error "free-threaded builds need __typeof__: Visual Studio 2022 17.9 or newer"
#endif
#define published(field) (*(__typeof__(field) volatile *)&(field))
#define publish(field, value) ((void)(*(__typeof__(field) volatile *)&(field) = (value)))
#define relaxed_load(field) published(field)
#define relaxed_store(field, value) publish(field, value)
#else
#define published(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define publish(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#define relaxed_load(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define relaxed_store(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#endif
#else
#define LOCK(object) \
    { \
        (void)(object);
#define UNLOCK() }
#define published(field) (field)
#define publish(field, value) ((void)((field) = (value)))
#define relaxed_load(field) (field)
#define relaxed_store(field, value) ((void)((field) = (value)))
#endif

#ifndef Py_NewRef /* 3.10 */
static inline PyObject *
Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#define Py_NewRef(object) Py_NewRef((PyObject *)(object))
#endif
#if PY_VERSION_HEX < 0x030A0000
static inline PyObject *
Py_XNewRef(PyObject *object)
{
    Py_XINCREF(object);
    return object;
}
#define Py_XNewRef(object) Py_XNewRef((PyObject *)(object))
#define Py_TPFLAGS_IMMUTABLETYPE 0
#define Py_TPFLAGS_DISALLOW_INSTANTIATION 0

/* 3.9 leaves the signature, which inspect looks for, out of what it copies for a type. */
static inline bool
type_keep_signature(PyTypeObject *type, const PyType_Spec *spec)
{
    const PyType_Slot *slot = spec->slots;
    while (slot->slot != 0 && slot->slot != Py_tp_doc) {
        slot++;
    }
    if (slot->slot == 0) {
        return true;
    }
    size_t size = strlen(slot->pfunc) + 1;
    char *doc = PyObject_Malloc(size);
    if (doc == NULL) {
        PyErr_NoMemory();
        return false;
    }
    PyObject_Free((char *)type->tp_doc);
    type->tp_doc = memcpy(doc, slot->pfunc, size);
    return true;
}
#else
#define type_keep_signature(type, spec) true
#endif

#if PY_VERSION_HEX < 0x030A0000
typedef enum { PYGEN_RETURN = 0, PYGEN_ERROR = -1, PYGEN_NEXT = 1 } PySendResult;

/* 3.10's: one step of a coroutine or an iterator. */
static PySendResult
PyIter_Send(PyObject *iterator, PyObject *value, PyObject **result)
{
    iternextfunc next = Py_TYPE(iterator)->tp_iternext;
    *result = value == Py_None && next != NULL ? next(iterator)
                                               : PyObject_CallMethod(iterator, "send", "O", value);
    if (*result != NULL) {
        return PYGEN_NEXT;
    }
    if (!PyErr_Occurred()) { /* an iterator's end, in short */
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    return _PyGen_FetchStopIterationValue(result) == 0 ? PYGEN_RETURN : PYGEN_ERROR;
}
#endif

#ifndef Py_TPFLAGS_HAVE_VECTORCALL /* 3.9 */
#define Py_TPFLAGS_HAVE_VECTORCALL _Py_TPFLAGS_HAVE_VECTORCALL
#endif

#if PY_VERSION_HEX < 0x030D0000 || defined(Py_LIMITED_API)
/* 3.13 has these for containers that another thread may change at any moment. */
static inline PyObject *
PyList_GetItemRef(PyObject *list, Py_ssize_t index)
{
    return Py_XNewRef(PyList_GetItem(list, index));
}

static inline int
PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **result)
{
    *result = Py_XNewRef(PyDict_GetItemWithError(dict, key));
    return *result != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
}
#endif

#if PY_VERSION_HEX < 0x030C0000
/* The exception in flight as one normalised object, as 3.12 keeps it. */
static PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return value;
}

static void
PyErr_SetRaisedException(PyObject *exception)
{
    PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
}
#endif

#if defined(Py_LIMITED_API)
/* 3.12 keeps the question private; `leaving` (runtime/leaving.c) answers it from the exit hook
 * on. */
#define interpreter_is_finalizing() 0
#elif PY_VERSION_HEX >= 0x030D0000
#define interpreter_is_finalizing() Py_IsFinalizing()
#else
#define interpreter_is_finalizing() _Py_IsFinalizing()
#endif

#include "exact.h"

/* Allocation and release through the type's own slots: subclasses made in Python may have
 * a garbage-collected layout where the base has none. */
static inline PyObject *
type_alloc(PyTypeObject *type)
{
#ifdef Py_LIMITED_API
    return ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
#else
    return type->tp_alloc(type, 0);
#endif
}

static inline void
type_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
#ifdef Py_LIMITED_API
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
#else
    type->tp_free(self);
#endif
    Py_DECREF(type);
}

/* The items of a sequence or iterable as a tuple, which nobody can change. Before 3.12, asking for the
 * tuple may collect garbage, which runs other code, and CPython then copies as many items as the
 * list had before: its items are taken once the tuple is there. */
static inline PyObject *
tuple_of(PyObject *items)
{
#if PY_VERSION_HEX < 0x030C0000
    while (PyList_CheckExact(items)) {
        Py_ssize_t size = PyList_GET_SIZE(items);
        PyObject *tuple = PyTuple_New(size);
        if (tuple == NULL) {
            return NULL;
        }
        if (PyList_GET_SIZE(items) == size) {
            for (Py_ssize_t i = 0; i < size; i++) {
                PyTuple_SET_ITEM(tuple, i, Py_NewRef(PyList_GET_ITEM(items, i)));
            }
            return tuple;
        }
        Py_DECREF(tuple);
    }
#endif
    return PySequence_Tuple(items);
}

/* The object in a locked field of `owner`, or NULL: a new reference. */
static inline PyObject *
locked_get(void *owner, PyObject **field)
{
    PyObject *value;
    LOCK(owner);
    value = Py_XNewRef(*field);
    UNLOCK();
    return value;
}

/* Put `value` there, a reference that is given away, and return what was there, which the caller
 * must release. */
static inline PyObject *
locked_swap(void *owner, PyObject **field, PyObject *value)
{
    PyObject *before;
    LOCK(owner);
    before = *field;
    relaxed_store(*field, value);
    UNLOCK();
    return before;
}

/* The object types of the core; each file defines its own. */
typedef struct HandleObject HandleObject;
typedef struct OwnerObject OwnerObject;
typedef struct EngineObject EngineObject;
typedef struct StoreObject StoreObject;
typedef struct CallerObject CallerObject;
typedef struct HostFuncObject HostFuncObject;
typedef struct LinkerObject LinkerObject;
typedef struct SinkObject SinkObject;
typedef struct Signature Signature;
typedef struct AsyncCall AsyncCall;

#endif
