/* Native calls and the callbacks that come back from them: when the GIL is let go, and what
 * becomes of an exception. */

/* --- native calls --------------------------------------------------------------------- */

typedef struct {
    PyThreadState *released;
    PyObject *pending;
    uintptr_t watched;
} NativeCall;

static NOINLINE bool
store_refuse_stack(StoreObject *self)
{
    uintptr_t wanted = ((EngineObject *)self->owner.engine)->wasm_stack + STACK_MARGIN;
    PyErr_Format(state.WasmtimeError,
                 "this thread has %zu bytes of native stack left, but the engine lets "
                 "WebAssembly use %zu and the host needs %zu more: start the thread with a larger "
                 "threading.stack_size(), or lower Config.max_wasm_stack",
                 (size_t)thread_stack_left(&this_thread), (size_t)(wanted - STACK_MARGIN),
                 (size_t)STACK_MARGIN);
    return false;
}

/* Whether this stack serves for a native call; to be asked right before it. */
static ALWAYS_INLINE bool
native_check_stack(StoreObject *self)
{
    Thread *thread = thread_here();
    if (UNLIKELY(!greenlet_may_enter(thread))) {
        return false;
    }
    /* Nested calls share the limit that the outermost one set. */
    if (self->depth == 1
        && UNLIKELY(thread_stack_left(thread)
                    < ((EngineObject *)self->owner.engine)->wasm_stack + STACK_MARGIN)) {
        return store_refuse_stack(self);
    }
    return true;
}

/* Between these two, the native call runs, without the GIL unless it is kept. */
static ALWAYS_INLINE void
native_begin(StoreObject *self, NativeCall *call, bool keep_gil)
{
    call->pending = self->pending;
    self->pending = NULL;
    call->released = self->released;
    call->watched = 0;
    if (self->epochs && this_thread.is_main) {
        call->watched = watchdog_enter(self->engine_handle->pointer);
    }
    self->released = keep_gil ? NULL : PyEval_SaveThread();
}

static ALWAYS_INLINE void
native_end(StoreObject *self, NativeCall *call)
{
    if (self->released != NULL) {
        if (self->depth > 1) {
            callback_take_gil(self->released);
        }
        else {
            PyEval_RestoreThread(self->released);
        }
    }
    self->released = call->released;
    if (self->epochs && this_thread.is_main) {
        watchdog_exit(call->watched);
    }
}

static bool native_failed(StoreObject *self, NativeCall *call, wasmtime_error_t *error,
                          wasm_trap_t *trap);

/* What the call came to: true, or false with the exception set. Takes `error` and `trap`. */
static ALWAYS_INLINE bool
native_outcome(StoreObject *self, NativeCall *call, wasmtime_error_t *error, wasm_trap_t *trap)
{
    if (LIKELY(error == NULL && trap == NULL && self->pending == NULL)) {
        self->pending = call->pending;
        if (UNLIKELY(self->sinks != NULL) && !sinks_deliver(self)) {
            return false;
        }
        return true;
    }
    return native_failed(self, call, error, trap);
}

/* --- callbacks from native code -------------------------------------------------------- */

typedef struct {
    PyThreadState *released;
    PyGILState_STATE gil;
    Thread *thread;
    bool on_fiber;
    Fiber fiber;
} HostEntry;

static inline void
host_begin(StoreObject *self, HostEntry *entry)
{
    entry->released = self->released;
    entry->gil = PyGILState_UNLOCKED;
    if (LIKELY(entry->released != NULL)) {
        if (UNLIKELY(entry->released == RELEASED_BY_CFFI)) {
            if (UNLIKELY(!this_thread.is_main && thread_is_left_behind())) {
                sleep_for_ever();
            }
            entry->gil = PyGILState_Ensure();
        }
        else {
            callback_take_gil(entry->released);
        }
    }
    self->released = NULL;
    entry->thread = thread_here();
    callback_begin(entry->thread);
    entry->on_fiber = self->fiber;
    if (UNLIKELY(entry->on_fiber)) {
        fiber_begin(&entry->fiber, entry->thread, (EngineObject *)self->owner.engine);
    }
}

static inline void
host_end(StoreObject *self, HostEntry *entry)
{
    if (UNLIKELY(entry->on_fiber)) {
        fiber_end(&entry->fiber, entry->thread);
    }
    callback_end(entry->thread);
    if (LIKELY(entry->released != NULL)) {
        if (UNLIKELY(entry->released == RELEASED_BY_CFFI)) {
            PyGILState_Release(entry->gil);
        }
        else {
            PyEval_SaveThread();
        }
    }
    self->released = entry->released;
}

/* Keep the exception in flight for the native call that this callback runs under. */
static void
host_keep_exception(StoreObject *self)
{
    PyObject *exception = PyErr_GetRaisedException();
    if (exception == NULL) {
        PyErr_SetString(PyExc_SystemError, "a callback failed without an exception");
        exception = PyErr_GetRaisedException();
    }
    if (self->pending == NULL || PyTuple_Check(self->pending)) {
        /* What was thrown into the guest before, it caught: it ran on to get here. */
        Py_XSETREF(self->pending, exception);
    }
    else {
        /* An earlier one is still on its way: nothing is lost, the later names it. */
        PyException_SetContext(exception, self->pending);
        self->pending = exception;
    }
}

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
    /* What the callback calls in this store is not late. */
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
