/* Calls into components: what is added to a native call (runtime/call.c).
 *
 * A component that needs an event loop runs on a fiber, a stack of the library's, and is polled
 * until it is done. A future belongs to future_wait(), which deletes it. */

/* As native_begin(), also for a call that runs on a fiber. */
static ALWAYS_INLINE bool
component_begin(NativeCall *call, bool needs_event_loop)
{
    if (UNLIKELY(needs_event_loop) && !fiber_check((EngineObject *)call->store->owner.engine)) {
        return false;
    }
    return native_begin(call, RELEASE_GIL);
}

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
    if (LIKELY(native_end(call, error, NULL))) {
        return true;
    }
    if (!by_host) {
        component_refine();
    }
    return false;
}

/* Let the guest run on its fiber until it waits or is done; whether it is done. */
static bool
future_poll(StoreObject *store, wasmtime_call_future_t *future)
{
    bool outer = store->fiber;
    store->fiber = true;
    bool done = wasmtime_call_future_poll(future);
    store->fiber = outer;
    return done;
}

/* Poll a call until it is done, and delete the future. Nothing wakes the caller, so the pauses
 * between the polls grow. The call is given up when a signal handler raises. An event loop would
 * take this function's place. */
static void
future_wait(StoreObject *store, wasmtime_call_future_t *future)
{
    unsigned pause = 0; /* microseconds */
    bool fine = true;
    while (fine && !future_poll(store, future)) {
        HostEntry entry;
        host_begin(store, &entry);
        if (this_thread.is_main && PyErr_CheckSignals() < 0) {
            host_keep_exception(store);
            fine = false;
        }
        host_end(store, &entry);
        thread_pause(pause);
        pause = pause < 1000 ? pause * 2 + 20 : 1000;
    }
    wasmtime_call_future_delete(future);
}
