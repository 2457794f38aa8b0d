/* The epoch callback: what happens in a store when its engine's epoch moves.
 *
 * The engine owns the epoch; each store has a deadline of its own in it. The callback belongs to
 * the native store and has the Store as its data, without a reference: it dies with the native
 * store.
 *
 * It looks at one thing after another, always in this order:
 *
 *   1. the guest is to end: its time is up, or it was interrupted (stopping.c). While it is
 *      watched for that, the rest is left to the next tick;
 *   2. an asynchronous call is polled: it gives way to its event loop, which does the rest;
 *   3. the user's deadline has come;
 *   4. Python is to run: signal handlers, the delivery of output, the user's deadline callback;
 *   5. the call has kept the GIL for long: it gives it away.
 *
 * A guest that waits (waiting.c) looks at 1, 3 and 4 in the same functions. */

static wasmtime_error_t *store_epoch_tick(wasmtime_context_t *context, void *data, uint64_t *delta,
                                          wasmtime_update_deadline_kind_t *kind);

/* Have the epoch callback called at the next tick. */
static void
store_arm_epochs(StoreObject *self)
{
    wasmtime_store_epoch_deadline_callback(self->store, store_epoch_tick, self, NULL);
    store_set_native_deadline(self, 1);
}

static inline bool
store_deadline_has_come(const StoreObject *self)
{
    return atomic_load(&((EngineObject *)self->owner.engine)->epoch) >= self->deadline;
}

/* The deadline has come: the user's callback says how long the next one is away. False: the guest
 * ends, with an exception set or the reason noted. */
static bool
store_ask_for_deadline(StoreObject *self)
{
    uintptr_t passed = self->deadline;
    /* The deadline does not apply to what the callback calls in this store. */
    self->deadline = DEADLINE_NEVER;
    /* A reference of our own: the callback may replace itself. */
    PyObject *callback = Py_NewRef(self->deadline_callback);
    PyObject *ticks = PyObject_CallNoArgs(callback);
    Py_DECREF(callback);
    uint64_t more = 0;
    bool fine =
        ticks != NULL && argument_u64(ticks, "result of the epoch deadline callback", &more);
    Py_XDECREF(ticks);
    if (more == 0) {
        if (self->deadline == DEADLINE_NEVER) {
            self->deadline = passed;
        }
        self->stopped = fine ? STOP_DEADLINE : STOP_NOT;
        return false;
    }
    uintptr_t now = atomic_load(&((EngineObject *)self->owner.engine)->epoch);
    self->deadline = more > DEADLINE_NEVER - 1 - now ? DEADLINE_NEVER - 1 : now + (uintptr_t)more;
    return true;
}

/* Point 4, with the GIL. False: the guest ends, with an exception set or the reason noted. */
static bool
store_run_python(StoreObject *self, bool signals)
{
    if (signals && PyErr_CheckSignals() < 0) {
        return false;
    }
    if (sinks_have_output(self) && !sinks_deliver(self)) {
        return false;
    }
    /* What ran may have moved the deadline, or taken the callback away. */
    if (store_deadline_has_come(self)) {
        if (self->deadline_callback == NULL) {
            self->stopped = STOP_DEADLINE;
            return false;
        }
        if (!store_ask_for_deadline(self)) {
            return false;
        }
    }
    if (!store_heed_fork(self)) {
        return false;
    }
    /* It may have interrupted the store, too, or taken its time. */
    self->stopped = store_stop_reason(self);
    return self->stopped == STOP_NOT;
}

/* Points 3 and 4, on the thread that called. False: the guest ends; either the store says why, or
 * an exception is on its way. */
static bool
store_attend(StoreObject *self, bool signals)
{
    bool due = store_deadline_has_come(self);
    if (due && self->deadline_callback == NULL) {
        self->stopped = STOP_DEADLINE;
        return false;
    }
    if (!due && !signals && !sinks_have_output(self)) {
        return true;
    }
    HostEntry entry;
    host_begin(self, &entry);
    /* The library took its callback away for as long as this one runs, and the deadline has
     * passed: a call that Python code makes in this store would trap at once. */
    store_arm_epochs(self);
    bool fine = store_run_python(self, signals);
    if (!fine) {
        if (self->stopped == STOP_NOT) {
            host_keep_exception(self);
        }
        /* The library sets no deadline then; the next call has to look again. */
        wasmtime_context_set_epoch_deadline(self->context, 0);
    }
    host_end(self, &entry);
    return fine;
}

/* Points 1, 3 and 4. */
static bool
store_may_go_on(StoreObject *self, bool signals)
{
    self->stopped = store_stop_reason(self);
    return self->stopped == STOP_NOT && store_attend(self, signals);
}

/* Point 5. A call that lasts gives the GIL away. One of many short ones would have it back before
 * anybody else has woken up; Python's interpreter gives it away, if somebody waits for it, when it
 * next runs Python code: a function that does nothing. */
static bool
store_let_others_run(StoreObject *self)
{
    if (!atomic_load(&ticker.crowd)) {
        ticker_let_go();
        self->released = PyEval_SaveThread();
        return true;
    }
    atomic_store(&ticker.crowd, 0);
    HostEntry entry;
    host_begin(self, &entry);
    PyObject *nothing = PyObject_CallNoArgs(state.breathe);
    Py_XDECREF(nothing);
    if (nothing == NULL) {
        host_keep_exception(self); /* of a signal handler */
        wasmtime_context_set_epoch_deadline(self->context, 0);
    }
    host_end(self, &entry);
    return nothing != NULL;
}

/* Runs on the thread that called, in the middle of WebAssembly. */
static wasmtime_error_t *
store_epoch_tick(wasmtime_context_t *Py_UNUSED(context), void *data, uint64_t *delta,
                 wasmtime_update_deadline_kind_t *kind)
{
    StoreObject *self = data;
    *delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    self->stopped = store_stop_reason(self); /* 1 */
    if (self->stopped != STOP_NOT) {
        return stop_error(self);
    }
    if (store_is_watched(self) && !store_deadline_has_come(self)) {
        *delta = 0;
        return NULL;
    }
    if (self->polling) { /* 2 */
        if (store_deadline_has_come(self) && self->deadline_callback == NULL) {
            self->stopped = STOP_DEADLINE;
            return stop_error(self);
        }
        /* The ticks that came while it waited are no reason. */
        if (moment_now() >= self->poll_ends) {
            self->yielded = true;
            *kind = WASMTIME_UPDATE_DEADLINE_YIELD;
        }
        return NULL;
    }
    if (!store_attend(self, this_thread.is_main)) { /* 3, 4 */
        return stop_error(self);
    }
    if ((self->gil & GIL_LENT) && self->released == NULL) { /* 5 */
        return store_let_others_run(self) ? NULL : stop_error(self);
    }
    return NULL;
}
