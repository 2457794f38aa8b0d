/* What host functions wait for, and what ends that.
 *
 * The step hands on to the event loop what a host function awaits. The store keeps it meanwhile
 * (`awaited`, a reference): Store.interrupt() has it cancelled, and a timer of the loop's does when
 * the store's time is up. The host function hears of it once, as of any cancellation, and may clean
 * up, and wait for that too. If the cancellation is how it ends, the call raises what the guest is
 * ended for.
 *
 * A future of asyncio's can be cancelled. Under trio the host function runs in a cancel scope, which
 * is what the store keeps (`scope`).
 *
 * Ownership: a call owns its timer, which refers to the store weakly. */

/* --- under trio --------------------------------------------------------------------------------- */

static ImportWatch trio;

static bool
waits_setup(void)
{
    return import_watch(&trio, "trio");
}

/* Seconds until the store's time is up; less than 0: it is not limited. */
static double
async_seconds_left(const StoreObject *store)
{
    Moment expires = store_expires(store), now = moment_now();
    return expires == MOMENT_NEVER ? -1 : expires > now ? (double)(expires - now) / 1e9 : 0;
}

/* Whether a wait of the call is ended by a timeout or an interrupt: that of a host function, and
 * that for a poll that blocks. What computes elsewhere hears of both itself. */
static inline bool
async_may_be_told(const AsyncCall *call)
{
    return call->state == ASYNC_HOST || (call->away && call->store->blocks);
}

/* What an awaitable is driven by: itself, or where trio runs, a scope of its own.
 * Takes the iterator; NULL with an exception. */
static PyObject *
async_in_scope(AsyncCall *call, PyObject *iterator)
{
    if (LIKELY(!import_seen(&trio))) {
        return iterator;
    }
    PyObject *answer =
        PyObject_CallFunction(state.in_scope, "Od", iterator, async_seconds_left(call->store));
    if (answer == Py_None) {
        Py_DECREF(answer);
        return iterator;
    }
    Py_DECREF(iterator);
    Py_CLEAR(call->scope);
    if (answer == NULL || !PyArg_ParseTuple(answer, "OO:in_scope", &call->scope, &iterator)) {
        Py_XDECREF(answer);
        return NULL;
    }
    Py_INCREF(call->scope);
    Py_INCREF(iterator);
    Py_DECREF(answer);
    return iterator;
}

/* --- the end of a wait -------------------------------------------------------------------------- */

/* Have the host function told that waits, from any thread; an event loop does it. */
static void
async_tell_soon(StoreObject *store, PyObject *awaited)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(state.tell_soon, store, awaited, NULL);
    if (answer == NULL) {
        PyErr_Clear(); /* the guest hears of it when its host function returns */
    }
    Py_XDECREF(answer);
}

/* end_wait(store): cancel what its host function waits for, if the guest is to end; on the thread of
 * its loop. */
static PyObject *
core_end_wait(PyObject *Py_UNUSED(module), PyObject *object)
{
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    PyObject *awaited = locked_get(store, &store->awaited);
    if (awaited == NULL || store->told || store_stop_reason(store) == STOP_NOT) {
        Py_XDECREF(awaited);
        Py_RETURN_NONE;
    }
    store->told = true;
    PyObject *cancelled = PyObject_CallMethod(awaited, "cancel", NULL);
    Py_DECREF(awaited);
    return cancelled;
}

/* The store was interrupted, by any thread. */
static void
async_wake(StoreObject *store)
{
    PyObject *awaited = locked_get(store, &store->awaited);
    if (awaited != NULL) {
        async_tell_soon(store, awaited);
        Py_DECREF(awaited);
    }
}

/* --- the timer ---------------------------------------------------------------------------------- */

static void
async_forget_timer(AsyncCall *call)
{
    PyObject *timer = call->timer;
    if (timer == NULL) {
        return;
    }
    call->timer = NULL;
    PyObject *in_flight = PyErr_GetRaisedException();
    PyObject *cancelled = PyObject_CallMethod(timer, "cancel", NULL);
    if (cancelled == NULL) {
        PyErr_WriteUnraisable(timer);
    }
    Py_XDECREF(cancelled);
    Py_DECREF(timer);
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
}

/* Have the loop end the wait when the store's time is up: one timer for all waits of a call. */
static void
async_set_timer(AsyncCall *call, PyObject *out)
{
    StoreObject *store = call->store;
    Moment expires = store_expires(store);
    if (LIKELY(expires == MOMENT_NEVER) || (call->timer != NULL && call->timer_at == expires)) {
        return;
    }
    async_forget_timer(call);
    PyObject *timer =
        PyObject_CallFunction(state.end_later, "OOd", store, out, async_seconds_left(store));
    if (timer == NULL) {
        PyErr_Clear(); /* the guest hears of it when its host function returns */
    }
    else if (timer == Py_None) {
        Py_CLEAR(timer);
    }
    call->timer = timer;
    call->timer_at = expires;
}

/* --- the wait ----------------------------------------------------------------------------------- */

/* The step is over: `out` is what the loop waits for. The innermost call says it first. */
static void
async_wait_begin(AsyncCall *call, PyObject *out)
{
    StoreObject *store = call->store;
    if (!async_may_be_told(call) || out == Py_None || call->blocking || store->told
        || store->awaited != NULL) {
        return;
    }
    PyObject *awaited = call->scope != NULL ? call->scope : out;
    Py_XDECREF(locked_swap(store, &store->awaited, Py_NewRef(awaited)));
    async_set_timer(call, awaited);
    if (UNLIKELY(store_stop_reason(store) != STOP_NOT)) { /* told while it did not wait yet */
        async_tell_soon(store, awaited);
    }
}

static inline void
async_wait_end(StoreObject *store)
{
    if (store->awaited != NULL) {
        Py_XDECREF(locked_swap(store, &store->awaited, NULL));
    }
}

/* What was awaited has raised: if it was cancelled because the guest is to end, say so instead, and
 * return true. */
static bool
async_explain_stop(StoreObject *store)
{
    StopReason reason = store_stop_reason(store);
    if (reason == STOP_NOT) {
        return false;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (PyErr_GivenExceptionMatches(raised, PyExc_Exception)
        || strcmp(type_name(raised), "CancelledError") != 0) {
        PyErr_SetRaisedException(raised);
        return false;
    }
    stop_raise_for(store, reason);
    PyObject *better = PyErr_GetRaisedException();
    PyException_SetContext(better, raised);
    PyErr_SetRaisedException(better);
    return true;
}
