/* Arguments of methods: a parser for METH_FASTCALL | METH_KEYWORDS that only compares names, and
 * checks of integers. What is parsed is borrowed from the caller. */

typedef struct {
    const char *function;
    const char *const *names; /* NULL-terminated */
    int required;
} ArgumentNames;

static NOINLINE bool
arguments_by_name(const ArgumentNames *spec, PyObject *const *arguments, Py_ssize_t count,
                  PyObject *keywords, PyObject **out, int size)
{
    Py_ssize_t given = keywords ? PyTuple_Size(keywords) : 0;
    if (count > size) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd given)", spec->function,
                     size, count + given);
        return false;
    }
    for (Py_ssize_t k = 0; k < given; k++) {
        PyObject *name = PyTuple_GetItem(keywords, k);
        int slot = 0;
        while (slot < size && PyUnicode_CompareWithASCIIString(name, spec->names[slot]) != 0) {
            slot++;
        }
        if (slot == size) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R",
                         spec->function, name);
            return false;
        }
        if (out[slot] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'",
                         spec->function, spec->names[slot]);
            return false;
        }
        out[slot] = arguments[count + k];
    }
    for (int slot = 0; slot < spec->required; slot++) {
        if (out[slot] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", spec->function,
                         spec->names[slot]);
            return false;
        }
    }
    return true;
}

/* Borrowed references into `out`, NULL where not given. */
static inline bool
arguments_parse(const ArgumentNames *spec, PyObject *const *arguments, Py_ssize_t count,
                PyObject *keywords, PyObject **out, int size)
{
    for (int i = 0; i < size; i++) {
        out[i] = i < count ? arguments[i] : NULL;
    }
    if (LIKELY(keywords == NULL && count >= spec->required && count <= size)) {
        return true;
    }
    return arguments_by_name(spec, arguments, count, keywords, out, size);
}

/* The one argument `store` of a method that takes nothing else: borrowed. */
static inline PyObject *
argument_store(const char *method, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static const char *const names[] = {"store", NULL};
    if (LIKELY(count == 1 && keywords == NULL)) {
        return arguments[0];
    }
    ArgumentNames spec = {method, names, 1};
    PyObject *store;
    return arguments_parse(&spec, arguments, count, keywords, &store, 1) ? store : NULL;
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

/* __reduce__ of what is bound to native memory. The default one would pickle such an object, by
 * the oldest protocols, as one that was never initialised. */
static PyObject *
refuse_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyErr_Format(PyExc_TypeError,
                 "%.200s objects belong to the store that they were made in, and can be neither "
                 "copied nor pickled",
                 type_name(self));
    return NULL;
}
#define REFUSE_REDUCE {"__reduce__", refuse_reduce, METH_NOARGS, "Raise TypeError."}

/* An unsigned 64-bit argument. */
static bool
argument_u64(PyObject *value, const char *name, uint64_t *out)
{
    PyObject *integer = PyNumber_Index(value);
    if (integer == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "%s must be an int, not %.200s", name, type_name(value));
        }
        return false;
    }
    unsigned long long number = PyLong_AsUnsignedLongLong(integer);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        PyErr_Format(PyExc_OverflowError, "%s must be between 0 and 2**64 - 1, not %R", name,
                     integer);
        Py_DECREF(integer);
        return false;
    }
    Py_DECREF(integer);
    *out = number;
    return true;
}
