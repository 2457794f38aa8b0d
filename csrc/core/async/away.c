/* Polls on another thread: WASI's functions for components block the thread that calls them, and
 * there is none that would tell an event loop when they are ready.
 *
 * The store is held meanwhile: it refuses everybody. A call whose task is cancelled during such a
 * poll is abandoned, as is one that is interrupted, or whose time is up, while the poll blocks:
 * nobody waits for it any more, and the thread drops it when the poll is over. A guest that computes
 * notices within a moment, one that sleeps when it wakes up.
 *
 * Which thread that is, and how an event loop waits for it, is Python's affair (state.in_thread):
 * it is given a method of the call, which it keeps alive, and told whether the poll may block.
 *
 * A store may also roam: then a guest that computes goes on elsewhere when its first slice is over,
 * beside the loop and beside others, until it calls the host. */

static void async_drop(AsyncCall *call);

/* Begin a poll on another thread: what waits for it. NULL with an exception; it may be away. */
static PyObject *
away_begin(AsyncCall *call)
{
    PyObject *poll = PyObject_GetAttrString((PyObject *)call, "_poll");
    if (poll == NULL) {
        return NULL;
    }
    call->away = true; /* the thread may run before this one goes on */
    call->store->told = false;
    PyObject *waits = PyObject_CallFunction(state.in_thread, "Oi", poll, call->store->blocks);
    Py_DECREF(poll);
    if (waits == NULL) {
        call->away = false;
        return NULL;
    }
    return async_may_be_told(call) ? async_in_scope(call, waits) : waits;
}

/* Nobody waits for the poll any more. */
static void
async_abandon(AsyncCall *call)
{
    async_forget_timer(call); /* which the other thread must not touch */
    call->abandoned = true;
    store_cut_feed(call->store);
}

/* _poll(): on the other thread. */
static PyObject *
async_call_poll(AsyncCall *call, PyObject *Py_UNUSED(ignored))
{
    if (!call->away) {
        PyErr_SetString(PyExc_RuntimeError, "this call is polled by its event loop");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS;
    future_poll(call, moment_now() + POLL_SLICE_AWAY);
    Py_END_ALLOW_THREADS;
    call->away = false;
    if (call->abandoned) {
        store_resume(call->store);
        async_drop(call);
    }
    Py_RETURN_NONE;
}
