/* Calls into components: what is added to a native call (runtime/call.c). */

/* The C API tells a trap in a component by its message alone: Python looks at that. */
static NOINLINE void
component_refine(void)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *type = (PyObject *)Py_TYPE(error);
    bool known = type == state.WasmtimeError;
    for (StopReason reason = STOP_DEADLINE; !known && reason < STOP_REASONS; reason++) {
        known = type == stop_exception(reason);
    }
    if (known) {
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

/* As native_end(). */
static ALWAYS_INLINE bool
component_end(NativeCall *call, wasmtime_error_t *error)
{
    bool by_host = pending_any(&call->store->pending);
    if (UNLIKELY(call->store->cut_short) && error == NULL && !by_host) {
        error = store_refuse_late(call->store);
    }
    if (LIKELY(native_end(call, error, NULL))) {
        return true;
    }
    if (!by_host) {
        component_refine();
    }
    return false;
}
