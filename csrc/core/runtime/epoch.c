/* The epoch callback: what happens in a store when its engine's epoch moves.
 *
 * The engine owns the epoch; each store has a deadline of its own in it. The callback belongs to
 * the native store and has the Store as its data, without a reference: it dies with the native
 * store. */

static wasmtime_error_t *store_epoch_tick(wasmtime_context_t *context, void *data, uint64_t *delta,
                                          wasmtime_update_deadline_kind_t *kind);

/* Have the epoch callback called at the next tick. */
static void
store_arm_epochs(StoreObject *self)
{
    wasmtime_store_epoch_deadline_callback(self->store, store_epoch_tick, self, NULL);
    wasmtime_context_set_epoch_deadline(self->context, 1);
}

/* The deadline has come: the user's callback says how long the next one is away. */
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
        self->interrupted = fine;
        return fine;
    }
    uintptr_t now = atomic_load(&((EngineObject *)self->owner.engine)->epoch);
    self->deadline = more > DEADLINE_NEVER - 1 - now ? DEADLINE_NEVER - 1 : now + (uintptr_t)more;
    return true;
}

/* The engine's epoch moved while this store runs: the user's deadline may have come, a signal may
 * wait, output may have to be delivered. Runs on the thread that called. */
static wasmtime_error_t *
store_epoch_tick(wasmtime_context_t *Py_UNUSED(context), void *data, uint64_t *delta,
                 wasmtime_update_deadline_kind_t *kind)
{
    StoreObject *self = data;
    EngineObject *engine = (EngineObject *)self->owner.engine;
    *delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    bool due = atomic_load(&engine->epoch) >= self->deadline;
    if (due && self->deadline_callback == NULL) {
        self->interrupted = true;
        return wasmtime_error_new("wasm trap: interrupt");
    }
    bool signals = this_thread.is_main;
    if (!due && !signals && !sinks_have_output(self)) {
        return NULL;
    }
    HostEntry entry;
    host_begin(self, &entry);
    /* The library took its callback away for as long as this one runs, and the deadline has
     * passed: a call that Python code makes in this store would trap at once. */
    store_arm_epochs(self);
    bool fine = true;
    if (signals) {
        fine = PyErr_CheckSignals() == 0;
    }
    if (fine && sinks_have_output(self)) {
        fine = (!self->fiber || fiber_without_greenlets()) && sinks_deliver(self);
    }
    /* What ran may have moved the deadline, or taken the callback away. */
    if (fine && atomic_load(&engine->epoch) >= self->deadline) {
        if (self->deadline_callback != NULL) {
            fine = (!self->fiber || fiber_without_greenlets()) && store_ask_for_deadline(self);
        }
        else {
            self->interrupted = true;
        }
    }
    if (!fine) {
        host_keep_exception(self);
    }
    if (!fine || self->interrupted) {
        /* The library sets no deadline then; the next call has to look again. */
        wasmtime_context_set_epoch_deadline(self->context, 0);
    }
    host_end(self, &entry);
    if (!fine) {
        return wasmtime_error_new("python exception");
    }
    return self->interrupted ? wasmtime_error_new("wasm trap: interrupt") : NULL;
}
