/* One step of an asynchronous call: from where its event loop resumes it to where it has to wait.
 *
 * The guest is polled until it is done, waits for a host function, or gives way. Host functions run
 * here, between two polls, on the loop's stack; what they await is driven by this call, and what
 * that yields is what the step yields. */

typedef enum {
    STEP_ON,   /* nothing to wait for */
    STEP_WAIT, /* the step is over: the loop gets what it must wait for */
    STEP_OVER, /* the call is over, with a result or with an exception */
} StepEnd;

/* --- the beginning of a call, and its end ------------------------------------------------------- */

static bool
async_refuse_to_wait(void)
{
    return async_refuse("a coroutine function of the host has to wait, which a synchronous call "
                        "cannot: call the guest with call_async() from an event loop");
}

static bool
async_refuse_linked(void)
{
    return async_refuse("functions of Python were linked into this store for synchronous calls, "
                        "which cannot run in asynchronous ones: instantiate with "
                        "instantiate_async() all that the store is to run");
}

/* Python code of the host function runs from here on, until `serving` is taken back. */
static inline void
async_serve_begin(AsyncCall *call)
{
    call->greenlet = greenlets_exist() ? greenlet_current() : NULL;
    call->serving = true;
}

/* Whether what runs is the call's host function, and not another greenlet meanwhile. */
static bool
async_serves_here(const AsyncCall *call)
{
    if (!call->serving || !greenlets_exist()) {
        return call->serving;
    }
    PyObject *current = greenlet_current();
    return call->greenlet == current
           || (call->greenlet == NULL && current != NULL && greenlet_is_main(current));
}

/* Whether a call may begin in the store, which this thread has entered if `outer` is NULL. */
static bool
async_check_begin(const StoreObject *store, const AsyncCall *outer)
{
    if (store->over) {
        return async_refuse("this store cannot be used any more: a component in it was ended in "
                            "the middle of a call; make another store");
    }
    if (store->links_python) {
        return async_refuse_linked();
    }
    if (outer == NULL) {
        return store->depth == 1
               || async_refuse(
                   "store is in use: an asynchronous call cannot begin in the middle of "
                   "a synchronous one");
    }
    return (async_serves_here(outer) && outer->child == NULL)
           || async_refuse("store is in use: an asynchronous call in it is in progress, and only "
                           "that one's host functions may call meanwhile, one after the other");
}

/* Take the call's place in the store. False with an exception. */
static bool
async_hook(AsyncCall *call)
{
    StoreObject *store = call->store;
    AsyncCall *outer = store->call;
    if (outer != NULL && store_thread(store) != thread_id()) {
        return store_refuse(store);
    }
    if (outer == NULL && !store_enter(store)) {
        return false;
    }
    (void)thread_stack_left(thread_here()); /* finds out which thread this is */
    if (!async_check_begin(store, outer) || (outer == NULL && !timeout_begin(store))) {
        if (outer == NULL) {
            store_leave(store);
        }
        return false;
    }
    if (outer != NULL) {
        call->parent = (AsyncCall *)Py_NewRef(outer);
        outer->child = call;
        call->blocking |= outer->blocking;
    }
    store->call = call;
    return true;
}

/* Leave its place again. */
static void
async_unhook(AsyncCall *call)
{
    StoreObject *store = call->store;
    turn_leave(call);
    store->call = call->parent;
    if (call->parent != NULL) {
        call->parent->child = NULL;
        Py_CLEAR(call->parent);
    }
    else {
        store_leave(store);
    }
}

/* The future is gone: free what it borrowed, and leave. Keeps an exception that is in flight. */
static void
async_end(AsyncCall *call)
{
    PyObject *in_flight = PyErr_GetRaisedException();
    if (call->trap != NULL) {
        wasm_trap_delete(call->trap);
        call->trap = NULL;
    }
    if (call->error != NULL) {
        wasmtime_error_delete(call->error);
        call->error = NULL;
    }
    Py_CLEAR(call->pending.raised);
    Py_CLEAR(call->pending.thrown);
    async_forget_timer(call);
    call->kind->drop(call);
    call->cells = NULL;
    call->state = ASYNC_DONE;
    async_unhook(call);
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
}

/* The host call is over, in whatever way. */
static void
async_end_host(AsyncCall *call)
{
    if (call->host.kind != NULL) {
        AsyncHost host = call->host;
        call->host.kind = NULL;
        call->host.caller = NULL;
        host.kind->end(call, &host);
    }
}

/* Give the call up, wherever it is; inside of the store. Keeps an exception that is in flight. */
static void
async_drop(AsyncCall *call)
{
    PyObject *in_flight = PyErr_GetRaisedException();
    if (call->child != NULL) {
        AsyncCall *child = (AsyncCall *)Py_NewRef(call->child);
        async_drop(child);
        Py_DECREF(child);
    }
    Py_CLEAR(call->inner);
    Py_CLEAR(call->scope);
    call->store->over |= call->future != NULL && call->kind->store_ends;
    future_delete(call);
    async_end_host(call);
    async_end(call);
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
}

static bool
async_begin(AsyncCall *call)
{
    if (!async_hook(call)) {
        return false;
    }
    call->state = ASYNC_POLL;
    call->future = call->kind->start(call);
    if (call->future == NULL) {
        async_end(call);
        return false;
    }
    return true;
}

/* The future is done: what the call returns, or NULL with an exception. */
static PyObject *
async_finish(AsyncCall *call)
{
    StoreObject *store = call->store;
    Pending pending = call->pending;
    wasmtime_error_t *error = call->error;
    wasm_trap_t *trap = call->trap;
    bool by_host = pending_any(&pending);
    call->pending = (Pending){NULL, NULL};
    call->error = NULL;
    call->trap = NULL;
    future_delete(call);
    bool fine = error == NULL && trap == NULL && !by_host;
    fine = fine ? store->sinks == NULL || sinks_deliver(store)
                : native_failed(store, pending, error, trap);
    PyObject *result = NULL;
    if (fine) {
        result = call->kind->finish(call);
    }
    else if (!by_host && call->kind->refine != NULL) {
        call->kind->refine();
    }
    store->over |= by_host && call->kind->store_ends;
    async_end(call);
    return result;
}

/* Keep the exception in flight for the call, whose host function has raised it. */
static void
async_keep_exception(AsyncCall *call)
{
    StoreObject *store = call->store;
    Pending outer = store->pending;
    store->pending = call->pending;
    host_keep_exception(store);
    call->pending = store->pending;
    store->pending = outer;
}

/* --- awaitables --------------------------------------------------------------------------------- */

/* In the flags of the code of a generator that types.coroutine() has marked. */
#define ITERABLE_COROUTINE 0x100

/* Whether a generator can be awaited. */
static NOINLINE bool
generator_is_awaitable(PyObject *generator)
{
    PyObject *code = PyObject_GetAttrString(generator, "gi_code");
    PyObject *flags = code != NULL ? PyObject_GetAttrString(code, "co_flags") : NULL;
    bool marked = flags != NULL && (PyLong_AsLong(flags) & ITERABLE_COROUTINE) != 0;
    Py_XDECREF(flags);
    Py_XDECREF(code);
    PyErr_Clear();
    return marked;
}

static inline unaryfunc
awaitable_slot(PyObject *object)
{
#ifdef Py_LIMITED_API
    return (unaryfunc)PyType_GetSlot(Py_TYPE(object), Py_am_await);
#else
    PyAsyncMethods *methods = Py_TYPE(object)->tp_as_async;
    return methods != NULL ? methods->am_await : NULL;
#endif
}

/* What to drive for the result of a host function, if it is awaitable; NULL, perhaps with an
 * exception. */
static PyObject *
async_iterator(PyObject *result)
{
    PyObject *type = (PyObject *)Py_TYPE(result);
    if (type == state.coroutine || (type == state.generator && generator_is_awaitable(result))) {
        return Py_NewRef(result);
    }
    unaryfunc await = awaitable_slot(result);
    return await != NULL ? await(result) : NULL;
}

/* What a function returned that was linked for synchronous calls cannot be lowered: if it is
 * awaitable, say what to do instead. An exception is set. */
static NOINLINE void
async_explain_awaitable(PyObject *result)
{
    PyObject *refused = PyErr_GetRaisedException();
    bool marked = (PyObject *)Py_TYPE(result) == state.generator && generator_is_awaitable(result);
    if (awaitable_slot(result) == NULL && !marked) {
        PyErr_SetRaisedException(refused);
        return;
    }
    if (PyObject_HasAttrString(result, "close")) { /* a coroutine, which would warn otherwise */
        PyObject *closed = PyObject_CallMethod(result, "close", NULL);
        Py_XDECREF(closed);
        PyErr_Clear();
    }
    PyErr_Format(
        state.WasmtimeError,
        "the function returned an awaitable (%.200s), and it was linked for synchronous "
        "calls: instantiate with instantiate_async(), and call the guest with call_async()",
        type_name(result));
    PyObject *better = PyErr_GetRaisedException();
    PyException_SetCause(better, refused);
    PyErr_SetRaisedException(better);
}

/* --- host functions ----------------------------------------------------------------------------- */

static StepEnd async_serve(AsyncCall *call);

/* Give the guest what its host function came to; NULL: an exception. Takes the result. */
static StepEnd
async_answer(AsyncCall *call, PyObject *result)
{
    if (call->child != NULL) { /* of a greenlet or task that was left behind */
        AsyncCall *child = (AsyncCall *)Py_NewRef(call->child);
        async_drop(child);
        Py_DECREF(child);
    }
    const AsyncHostKind *kind = call->host.kind;
    call->serving = true; /* still in the same greenlet */
    bool told = result != NULL && kind->answer(call, result);
    Py_XDECREF(result);
    if (!told) {
        told = kind->fail(call);
    }
    call->serving = false;
    call->state = ASYNC_POLL;
    if (call->host.again) {
        call->host.again = false;
        return async_serve(call);
    }
    async_end_host(call);
    call->answered = true;
    if (told) {
        return STEP_ON;
    }
    PyObject *raised = call->pending.raised;
    call->pending.raised = NULL;
    async_drop(call);
    PyErr_SetRaisedException(raised);
    return STEP_OVER;
}

/* Run the host function that is noted. */
static StepEnd
async_serve(AsyncCall *call)
{
    PyObject *function = Py_NewRef(call->host.function);
    call->store->told = false;
    async_serve_begin(call);
    PyObject *result = call->host.kind->run(call);
    call->serving = false;
    Py_DECREF(function);
    if (result != NULL && call->host.awaits) {
        PyObject *iterator = async_iterator(result);
        if (iterator != NULL || PyErr_Occurred()) {
            Py_DECREF(result);
            call->inner = iterator != NULL ? async_in_scope(call, iterator) : NULL;
            call->state = ASYNC_HOST;
            return call->inner != NULL ? STEP_ON : async_answer(call, NULL);
        }
    }
    return async_answer(call, result);
}

/* --- polls -------------------------------------------------------------------------------------- */

/* The guest gave way: do what it did so for, and see whether it may go on. */
static StepEnd
async_give_way(AsyncCall *call)
{
    StoreObject *store = call->store;
    if (!store_run_python(store, this_thread.is_main)) {
        if (store->stopped != STOP_NOT) {
            stop_raise(store);
        }
        async_drop(call);
        return STEP_OVER;
    }
    return STEP_ON;
}

/* What a poll has come to. */
static StepEnd
async_attend(AsyncCall *call, PyObject **out)
{
    if (call->native_done) {
        *out = async_finish(call);
        return STEP_OVER;
    }
    if (call->host.kind != NULL && !call->answered) {
        call->computes = false;
        return async_serve(call);
    }
    call->computes = true;
    return async_give_way(call);
}

/* Drop a call, or have that done by the thread that polls it, when the poll is over. */
static void
async_give_up(AsyncCall *call)
{
    if (call->away) {
        async_abandon(call);
    }
    else {
        async_drop(call);
    }
}

static StepEnd
async_poll_away(AsyncCall *call)
{
    call->inner = away_begin(call);
    call->state = ASYNC_AWAY;
    if (call->inner == NULL) {
        async_give_up(call);
        return STEP_OVER;
    }
    return STEP_ON;
}

static inline bool
async_polls_away(const AsyncCall *call)
{
    const StoreObject *store = call->store;
    return UNLIKELY(store->blocks || (store->roams && call->computes)) && !call->blocking
           && call->parent == NULL;
}

/* `again`: it was polled in this step before; what its host function took since then counts too. */
static StepEnd
async_poll(AsyncCall *call, bool again, PyObject **out)
{
    StoreObject *store = call->store;
    Moment begun = moment_now();
    if (again) {
        turn_used(begun - turns.ran, begun);
    }
    bool away = async_polls_away(call);
    if (!away && !call->blocking && turn_is_over(begun)) {
        turn_join(call, begun);
        call->state = ASYNC_YIELD;
        return STEP_ON;
    }
    if (UNLIKELY(!stack_provide(store))) {
        async_drop(call);
        return STEP_OVER;
    }
    if (away) {
        return async_poll_away(call);
    }
    Py_BEGIN_ALLOW_THREADS;
    future_poll(async_root(call), begun + POLL_SLICE);
    Py_END_ALLOW_THREADS;
    Moment now = moment_now();
    turn_used(now - begun, now);
    return async_attend(call, out);
}

/* Its turn may have come. If not, `out` is what to wait with: asyncio takes None for a turn. */
static StepEnd
async_take_turn(AsyncCall *call, PyObject **out)
{
    if (call->queued && call->waits && turns.awake != call) {
        turn_skip_absent(moment_now());
    }
    if (turn_comes(call)) {
        call->state = ASYNC_POLL;
        return STEP_ON;
    }
    PyObject *turn = turn_wait(call);
    if (turn == NULL) {
        async_drop(call);
        return STEP_OVER;
    }
    if (turn == Py_None) {
        *out = turn;
        return STEP_WAIT;
    }
    call->inner = turn;
    return STEP_ON;
}

/* --- what is awaited ---------------------------------------------------------------------------- */

/* A coroutine that wants an event loop, in a call without: say so instead of what the frameworks
 * say. */
static void
async_explain_loop(void)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *text =
        PyErr_GivenExceptionMatches(raised, PyExc_RuntimeError) ? PyObject_Str(raised) : NULL;
    if (text != NULL && PyUnicode_CompareWithASCIIString(text, "no running event loop") == 0) {
        async_refuse_to_wait();
        PyObject *better = PyErr_GetRaisedException();
        PyException_SetCause(better, raised);
        raised = better;
    }
    Py_XDECREF(text);
    PyErr_Clear();
    PyErr_SetRaisedException(raised);
}

/* What was awaited is over, with a result, which is taken, or an exception. */
static StepEnd
async_inner_over(AsyncCall *call, PyObject *result, PyObject **out)
{
    Py_CLEAR(call->inner);
    Py_CLEAR(call->scope);
    if (call->state == ASYNC_HOST) {
        if (result == NULL && call->blocking) {
            async_explain_loop();
        }
        if (result == NULL) {
            async_explain_stop(call->store);
        }
        return async_answer(call, result);
    }
    if (result == NULL) {
        bool ended = call->state == ASYNC_AWAY && async_explain_stop(call->store);
        if (ended && call->kind->refine != NULL) {
            call->kind->refine();
        }
        async_give_up(call);
        return STEP_OVER;
    }
    Py_DECREF(result);
    bool polled = call->state == ASYNC_AWAY;
    call->state = polled ? ASYNC_POLL : call->state;
    return polled ? async_attend(call, out) : STEP_ON;
}

static StepEnd
async_drive(AsyncCall *call, PyObject *value, PyObject **out)
{
    PyObject *inner = Py_NewRef(call->inner), *result = NULL;
    if (call->state == ASYNC_HOST) {
        async_serve_begin(call);
    }
    PySendResult sent = PyIter_Send(inner, value, &result);
    call->serving = false;
    Py_DECREF(inner);
    if (sent == PYGEN_NEXT) {
        *out = result;
        async_wait_begin(call, result);
        return STEP_WAIT;
    }
    return async_inner_over(call, sent == PYGEN_RETURN ? result : NULL, out);
}

/* --- the step ----------------------------------------------------------------------------------- */

static StepEnd
async_step(AsyncCall *call, PyObject *value, PyObject **out)
{
    StepEnd end;
    bool polled = false;
    do {
        if (call->inner != NULL) {
            end = async_drive(call, value, out);
            value = Py_None;
        }
        else if (call->state == ASYNC_YIELD) {
            end = async_take_turn(call, out);
        }
        else {
            end = async_poll(call, polled, out);
            polled = true;
        }
    } while (end == STEP_ON);
    return end;
}

/* Come in for a step. False with an exception. */
static bool
async_step_begin(AsyncCall *call)
{
    if (call->stepping) {
        PyErr_Format(PyExc_ValueError, "coroutine '%s' is already executing", call->kind->name);
        return false;
    }
    if (call->state == ASYNC_DONE || call->abandoned) {
        PyErr_Format(PyExc_RuntimeError, "cannot reuse already awaited coroutine '%s'",
                     call->kind->name);
        return false;
    }
    if (call->state != ASYNC_FRESH) {
        if (call->parent == NULL) {
            store_resume(call->store);
        }
        else if (!call->parent->serving) {
            return async_refuse("a call that a host function began is awaited by it alone");
        }
    }
    async_wait_end(call->store);
    call->stepping = true;
    if (!call->dying) {
        Py_INCREF(call);
    }
    return true;
}

/* Go out again, unless the call is over. */
static void
async_step_end(AsyncCall *call)
{
    call->stepping = false;
    if (call->state != ASYNC_DONE && call->state != ASYNC_FRESH && call->parent == NULL) {
        store_hold(call->store);
    }
    if (!call->dying) {
        Py_DECREF(call);
    }
}

/* Close the frame of a host function that has run in an asynchronous call: but its Caller, which
 * lasts until the host call ends. Takes what the function returned, and returns it, or NULL with an
 * exception. */
static PyObject *
async_host_leave(AsyncCall *call, HostFrame *frame, PyObject *result)
{
    call->host.caller = frame->caller;
    frame->caller = NULL;
    if (!host_frame_close(frame, result != NULL)) {
        Py_CLEAR(result);
    }
    Py_DECREF(frame->function);
    return result;
}
