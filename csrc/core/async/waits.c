/* What a call waits for: host functions that wait are told when the guest is to end.
 *
 * The step hands on to the event loop what a host function awaits. The call remembers it meanwhile
 * (`awaited`, a reference): Store.interrupt() cancels it, and a timer does when the store's time is
 * up. The host function hears of it as of any cancellation, and may clean up; if that is how it
 * ends, the call raises what the guest is ended for. */

/* Have what is awaited cancelled after so many seconds; less than 0: at once, from any thread. */
static bool
async_cancel_awaited(PyObject *awaited, double seconds)
{
    PyObject *answer = PyObject_CallFunction(state.stop_waiting, "Od", awaited, seconds);
    Py_XDECREF(answer);
    return answer != NULL;
}

/* The step is over: `out` is what the loop waits for. */
static void
async_wait_begin(AsyncCall *call, PyObject *out)
{
    StoreObject *store = call->store;
    if (call->state != ASYNC_HOST || out == Py_None || call->blocking) {
        return;
    }
    call->awaited = Py_NewRef(out);
    Moment expires = store_expires(store), now = moment_now();
    if (expires != MOMENT_NEVER
        && !async_cancel_awaited(out, expires > now ? (double)(expires - now) / 1e9 : 0)) {
        PyErr_Clear(); /* the guest hears of it when its host function returns */
    }
}

static inline void
async_wait_end(AsyncCall *call)
{
    Py_CLEAR(call->awaited);
}

/* The store was interrupted: wake the host function that waits. */
static void
async_wake(StoreObject *store)
{
    AsyncCall *call = store->call;
    PyObject *awaited = call != NULL ? Py_XNewRef(call->awaited) : NULL;
    if (awaited != NULL && !async_cancel_awaited(awaited, -1)) {
        PyErr_Clear();
    }
    Py_XDECREF(awaited);
}

/* A host function has raised: if it was cancelled because the guest is to end, say so instead. */
static void
async_explain_stop(StoreObject *store)
{
    StopReason reason = store_stop_reason(store);
    if (reason == STOP_NOT) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (PyErr_GivenExceptionMatches(raised, PyExc_Exception)
        || strcmp(type_name(raised), "CancelledError") != 0) {
        PyErr_SetRaisedException(raised);
        return;
    }
    store->stopped = reason;
    stop_raise(store);
    PyObject *better = PyErr_GetRaisedException();
    PyException_SetContext(better, raised);
    PyErr_SetRaisedException(better);
}
