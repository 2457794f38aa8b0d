/* Greenlets: coroutines that take turns on the stack of one thread (gevent, eventlet, and
 * others that use the package greenlet).
 *
 * To switch, greenlet copies a part of the stack elsewhere and lets another greenlet run at the
 * same addresses. The library keeps a list of a thread's calls in progress, which lies in their
 * stack frames; it walks the list at each trap and at each collection of garbage, and ends the
 * process unless calls end in the opposite order of their beginning.
 *
 * So a thread counts the callbacks that run Python code in the middle of native calls, and
 * remembers the greenlet that they run in. While there are any, every other greenlet of the thread
 * is refused where it would enter native code that uses the list. Thus all calls in progress
 * belong to one greenlet, which ends them in order, whatever ran meanwhile.
 *
 * Programs without greenlets only pay for a look at the number of modules in each callback. */

static struct {
    ImportWatch package;
    PyObject *api;              /* "_C_API": finding it may not need memory */
    PyObject *(*current)(void); /* once: PyGreenlet_GetCurrent(), NULL until greenlet is there */
} greenlets;

/* Of a thread, while it asks: equal to no greenlet, since asking may let others run. */
#define GREENLET_UNKNOWN ((PyObject *)1)

/* Where the table in `greenlet._C_API` has PyGreenlet_GetCurrent(). */
#define GREENLET_GET_CURRENT 4

static NOINLINE bool
greenlets_find(void)
{
    PyObject *module;
    int found = PyDict_GetItemRef(imports, greenlets.package.name, &module);
    /* Not there yet while another thread imports it: looked for again then. */
    PyObject *capsule = found <= 0 ? NULL : PyObject_GetAttr(module, greenlets.api);
    void **table = capsule == NULL ? NULL : PyCapsule_GetPointer(capsule, "greenlet._C_API");
    Py_XDECREF(capsule);
    Py_XDECREF(module);
    PyErr_Clear();
    if (table != NULL) {
        publish(greenlets.current, (PyObject * (*)(void)) table[GREENLET_GET_CURRENT]);
    }
    return table != NULL;
}

static inline bool
greenlets_exist(void)
{
    if (UNLIKELY(published(greenlets.current) != NULL)) {
        return true;
    }
    return UNLIKELY(import_seen(&greenlets.package)) && greenlets_find();
}

/* The greenlet that this code runs in, to be compared only; NULL while the interpreter
 * ends. May run other greenlets, to end those without references. */
static PyObject *
greenlet_current(void)
{
    PyObject *current = greenlets.current();
    PyErr_Clear();
    Py_XDECREF(current); /* it lives, since it runs */
    return current;
}

static NOINLINE void
callback_remember_greenlet(Thread *thread)
{
    thread->greenlet = GREENLET_UNKNOWN;
    thread->greenlet = greenlet_current();
}

/* Between these two, Python code runs in the middle of a native call. */
static inline void
callback_begin(Thread *thread)
{
    if (thread->callbacks++ == 0) {
        thread->greenlet = NULL;
        if (greenlets_exist()) {
            callback_remember_greenlet(thread);
        }
    }
}

static inline void
callback_end(Thread *thread)
{
    thread->callbacks--;
}

/* The greenlet that a thread has from the start, and ran in before the module was there. */
static bool
greenlet_is_main(PyObject *greenlet)
{
    PyObject *parent = PyObject_GetAttrString(greenlet, "parent");
    PyErr_Clear();
    Py_XDECREF(parent);
    return parent == Py_None;
}

static NOINLINE bool
greenlet_check_callbacks(Thread *thread)
{
    if (!greenlets_exist()) {
        return true;
    }
    PyObject *current = greenlet_current();
    if (thread->greenlet == NULL && current != NULL && greenlet_is_main(current)) {
        thread->greenlet = current; /* the callback imported greenlet */
    }
    if (thread->greenlet == current) {
        return true;
    }
    PyErr_SetString(state.WasmtimeError,
                    "another greenlet of this thread waits in the middle of a WebAssembly call: "
                    "its host function or output callback switched greenlets (gevent and eventlet "
                    "do when they wait). Until it has returned, no other greenlet of the thread "
                    "can use WebAssembly: wait before or after the call, not inside of it, or run "
                    "each call on a native thread of its own (gevent.get_hub().threadpool, "
                    "eventlet.tpool)");
    return false;
}

/* Whether native code that walks the thread's calls may be entered now; otherwise the exception is
 * set. No Python code may run in between. */
static inline bool
greenlet_may_enter(Thread *thread)
{
    return LIKELY(thread->callbacks == 0) || greenlet_check_callbacks(thread);
}

/* Whether greenlets are likely to switch in the middle of calls, so that these have to be
 * asynchronous, which end in any order: another greenlet than the thread's own runs, or a library is
 * there that switches wherever Python waits. */
static NOINLINE bool
greenlets_switch(void)
{
    static const char *const libraries[] = {"gevent", "eventlet"};
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        if (PyDict_GetItemString(imports, libraries[i]) != NULL) {
            return true;
        }
    }
    PyObject *current = greenlet_current();
    return current != NULL && !greenlet_is_main(current);
}

static inline bool
greenlet_is_other(void)
{
    return greenlets_exist() && greenlets_switch();
}

static bool
greenlets_setup(void)
{
    greenlets.api = PyUnicode_InternFromString("_C_API");
    greenlets.current = NULL;
    return greenlets.api != NULL && import_watch(&greenlets.package, "greenlet");
}
