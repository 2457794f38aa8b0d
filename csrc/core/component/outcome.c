/* What calls into components come to. */

/* The C API tells a trap in a component by its message alone: Python looks at that. */
static NOINLINE void
component_refine(void)
{
    PyObject *error = PyErr_GetRaisedException();
    if ((PyObject *)Py_TYPE(error) == state.WasmtimeError
        || (PyObject *)Py_TYPE(error) == state.Trap) {
        PyObject *better = PyObject_CallFunctionObjArgs(component.refine, error, NULL);
        if (better == NULL) {
            PyErr_Clear();
        }
        else {
            Py_DECREF(error);
            error = better;
        }
    }
    PyErr_SetRaisedException(error);
}

static inline bool
component_outcome(StoreObject *store, NativeCall *call, wasmtime_error_t *error)
{
    bool raised_by_host = store->pending != NULL;
    if (LIKELY(native_outcome(store, call, error, NULL))) {
        return true;
    }
    if (!raised_by_host) {
        component_refine();
    }
    return false;
}
