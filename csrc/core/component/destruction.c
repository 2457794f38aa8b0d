/* Destructors of the host's resources, in asynchronous calls.
 *
 * The library calls a destructor where the guest drops a resource, on the guest's stack, where
 * Python never runs. So what was dropped is noted in the store, and Python's destructors run before
 * the next host function does, or when the call is over.
 *
 * Ownership: the store owns the list; the functions are kept by the linker's definitions. */

typedef struct Destruction {
    struct Destruction *next;
    ComponentHostFuncObject *function;
    uint32_t rep;
} Destruction;

/* The destructor that the library calls. */
static wasmtime_error_t *
component_host_destroy_later(void *env, wasmtime_context_t *context, uint32_t rep)
{
    StoreObject *store = wasmtime_context_get_data(context);
    Destruction *dropped = PyMem_RawMalloc(sizeof(Destruction));
    if (dropped == NULL) {
        return wasmtime_error_new("no memory is left to note that a resource was dropped");
    }
    *dropped = (Destruction){NULL, env, rep};
    Destruction **last = &store->destructions;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = dropped;
    return NULL;
}

static PyObject *
component_hostfunc_later_destructor(ComponentHostFuncObject *Py_UNUSED(self),
                                    void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr((void *)(uintptr_t)component_host_destroy_later);
}

/* Take the first one off the list; false if there is none. */
static bool
destruction_next(StoreObject *store, Destruction *next)
{
    Destruction *first = store->destructions;
    if (first == NULL) {
        return false;
    }
    *next = *first;
    store->destructions = first->next;
    PyMem_RawFree(first);
    return true;
}

static bool
destruction_run(StoreObject *store, const Destruction *dropped)
{
    CallerObject *context = caller_new(state.StoreContext, store, NULL);
    if (context == NULL) {
        return false;
    }
    PyObject *callable = Py_NewRef(dropped->function->callable);
    PyObject *result = PyObject_CallFunction(callable, "Ok", context, (unsigned long)dropped->rep);
    caller_expire(context);
    Py_DECREF(context);
    Py_DECREF(callable);
    Py_XDECREF(result);
    return result != NULL;
}

/* Run the destructors that wait. False with an exception if one has raised: that of the last, which
 * has those before it as its context. */
static bool
destructions_run(StoreObject *store)
{
    PyObject *raised = NULL;
    Destruction dropped;
    while (destruction_next(store, &dropped)) {
        if (destruction_run(store, &dropped)) {
            continue;
        }
        PyObject *exception = PyErr_GetRaisedException();
        if (raised != NULL && raised != exception) {
            PyException_SetContext(exception, raised);
        }
        else {
            Py_XDECREF(raised);
        }
        raised = exception;
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    return raised == NULL;
}

/* The native store dies: nobody is left to destroy anything in. */
static void
destructions_forget(StoreObject *store)
{
    Destruction dropped;
    while (destruction_next(store, &dropped)) {
    }
}

/* Run them where no caller is left that an exception could be given to. */
static void
destructions_finish(StoreObject *store)
{
    if (LIKELY(store->destructions == NULL)) {
        return;
    }
    PyObject *in_flight = PyErr_GetRaisedException();
    if (!destructions_run(store)) {
        PyErr_WriteUnraisable((PyObject *)store);
    }
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
}
