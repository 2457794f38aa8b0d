/* Native calls: the one way from Python into what may run WebAssembly.
 *
 * Everywhere it is taken in these steps:
 *
 *     NativeCall call;
 *     if (native_enter(&call, store, self)) {          the store is entered
 *         ...                                          lower what takes the store to lower
 *         if (native_begin(&call, RELEASE_GIL)) {      stack and greenlet serve, the GIL is free;
 *                                                      or native_begin_adapting(&call, tempo)
 *             error = wasmtime_...(store->context, ..., &trap);
 *             if (native_end(&call, error, trap)) {    the GIL is back; false: an exception is set
 *                 ...                                  lift what came back
 *             }
 *         }
 *         native_leave(&call);
 *     }
 *
 * Ownership: from native_enter() to native_leave() the call owns a reference to the store and one
 * to the object whose native half is used, since the callbacks in between may drop the caller's. */

typedef struct {
    StoreObject *store;
    PyObject *object; /* kept alive during the call */
    Thread *thread;
    Pending outer;           /* of the call around this one */
    PyThreadState *released; /* the same */
    uintptr_t watched;       /* the same: what the ticker looked at */
    bool watching;
    uint8_t gil;  /* the same */
    Tempo *tempo; /* of a call that adapts */
} NativeCall;

static NOINLINE bool
refuse_stack(Thread *thread, EngineObject *engine)
{
    uintptr_t wanted = engine->wasm_stack + STACK_MARGIN;
    PyErr_Format(state.WasmtimeError,
                 "this thread has %zu bytes of native stack left, but the engine lets "
                 "WebAssembly use %zu and the host needs %zu more: start the thread with a larger "
                 "threading.stack_size(), or lower Config.max_wasm_stack",
                 (size_t)thread_stack_left(thread), (size_t)(wanted - STACK_MARGIN),
                 (size_t)STACK_MARGIN);
    return false;
}

/* An outermost call of a store that has a timeout, or with too little stack. */
static NOINLINE bool
native_begin_outermost(Thread *thread, StoreObject *store)
{
    if (thread_stack_left(thread) < store_stack_wanted(store)) {
        return refuse_stack(thread, (EngineObject *)store->owner.engine);
    }
    return timeout_begin(store);
}

/* Whether this stack serves for a native call; to be asked right before it. The time of the call
 * runs from here on. */
static ALWAYS_INLINE bool
native_check_entry(NativeCall *call)
{
    Thread *thread = call->thread = thread_here();
    if (UNLIKELY(!greenlet_may_enter(thread))) {
        return false;
    }
    /* Nested calls share the stack and the time of the outermost one. */
    if (call->store->depth == 1
        && UNLIKELY(thread_stack_left(thread) < call->store->stack_wanted)) {
        return native_begin_outermost(thread, call->store);
    }
    return true;
}

/* Put aside what belongs to the call around this one, and let the ticker know of this one. */
static ALWAYS_INLINE void
native_set_aside(NativeCall *call)
{
    StoreObject *store = call->store;
    call->outer = store->pending;
    store->pending = (Pending){NULL, NULL};
    call->released = store->released;
    call->gil = store->gil;
    store->gil = 0;
    call->watching = store->epochs && call->thread->is_main;
    if (call->watching) {
        call->watched = ticker_enter(store->engine_handle->pointer);
    }
}

/* The call is over: what was put aside is in force again, but for what is pending. */
static ALWAYS_INLINE void
native_put_back(NativeCall *call)
{
    call->store->released = call->released;
    call->store->gil = call->gil;
    if (call->watching) {
        ticker_exit(call->watched);
    }
}

/* Between these two, native code runs, without the GIL unless that is kept. */
static ALWAYS_INLINE void
native_release_gil(NativeCall *call, GilPolicy policy)
{
    StoreObject *store = call->store;
    native_set_aside(call);
    if (policy == LEND_GIL) {
        if (LIKELY(ticker_hold_anew(store->engine_handle->pointer))) {
            store->gil = GIL_LENT;
            store->released = NULL;
            return;
        }
        ticker_let_go();
    }
    store->released = policy == KEEP_GIL ? NULL : PyEval_SaveThread();
}

static ALWAYS_INLINE void
native_restore_gil(StoreObject *store)
{
    if (store->released == NULL) {
        return;
    }
    if (store->depth > 1) {
        callback_take_gil(store->released);
    }
    else {
        PyEval_RestoreThread(store->released);
    }
}

/* The end of a call that keeps the GIL for a while, and has lasted longer; or that is timed. */
static NOINLINE void
native_take_gil_and_learn(NativeCall *call)
{
    StoreObject *store = call->store;
    bool timed = (store->gil & GIL_TIMED) != 0, lent = (store->gil & GIL_LENT) != 0;
    if (timed) {
        timing_pause(store);
    }
    if (store->released != NULL) {
        native_restore_gil(store);
        if (timed) {
            timing_add_wait(store);
        }
    }
    else if (lent) {
        ticker_let_go();
    }
    if (timed) {
        timing_end(store);
    }
    if (lent && atomic_load(&ticker.deaf)) {
        atomic_store(&ticker.deaf, 0);
        *call->tempo = (Tempo){0};
    }
}

static ALWAYS_INLINE void
native_take_gil(NativeCall *call)
{
    StoreObject *store = call->store;
    if (store->gil == 0) {
        native_restore_gil(store);
    }
    else if (LIKELY(store->gil == GIL_LENT && store->released == NULL
                    && !atomic_load_relaxed(&ticker.deaf))) {
        ticker_let_go();
    }
    else {
        native_take_gil_and_learn(call);
    }
    native_put_back(call);
}

/* --- the four steps ------------------------------------------------------------------------- */

static ALWAYS_INLINE bool
native_enter(NativeCall *call, StoreObject *store, void *object)
{
    if (UNLIKELY(!store_enter(store))) {
        return false;
    }
    call->store = (StoreObject *)Py_NewRef(store);
    call->object = Py_NewRef(object);
    return true;
}

/* False with the exception set: the call must not be made. */
static ALWAYS_INLINE bool
native_begin(NativeCall *call, GilPolicy policy)
{
    if (UNLIKELY(!native_check_entry(call))) {
        return false;
    }
    native_release_gil(call, policy);
    return true;
}

/* A call that is to be timed, unless one around it is. */
static NOINLINE void
native_release_gil_timed(NativeCall *call)
{
    native_release_gil(call, call->tempo->keeps ? LEND_GIL : RELEASE_GIL);
    if (!(call->gil & GIL_TIMED)) {
        timing_start(call->store, call->tempo);
    }
}

/* As native_begin(), for a function that has a Tempo. False without an exception: calls into the
 * store are asynchronous. */
static ALWAYS_INLINE bool
native_begin_adapting(NativeCall *call, Tempo *tempo)
{
    if (UNLIKELY(!native_check_entry(call))) {
        return false;
    }
    bool lends = store_may_lend(call->store);
    call->tempo = tempo;
    if (LIKELY(lends && tempo->left != 0)) {
        tempo->left--;
        native_release_gil(call, LEND_GIL);
    }
    else if (lends) {
        native_release_gil_timed(call);
    }
    else if (UNLIKELY(call->store->asynchronous)) {
        return false;
    }
    else {
        native_release_gil(call, RELEASE_GIL);
    }
    return true;
}

static bool native_failed(StoreObject *store, Pending pending, wasmtime_error_t *error,
                          wasm_trap_t *trap);

/* What the call came to: true, or false with the exception set. Takes `error` and `trap`. */
static ALWAYS_INLINE bool
native_end(NativeCall *call, wasmtime_error_t *error, wasm_trap_t *trap)
{
    StoreObject *store = call->store;
    native_take_gil(call);
    Pending pending = store->pending;
    store->pending = call->outer;
    if (LIKELY(error == NULL && trap == NULL && !pending_any(&pending))) {
        return LIKELY(store->sinks == NULL) || sinks_deliver(store);
    }
    return native_failed(store, pending, error, trap);
}

static ALWAYS_INLINE void
native_leave(NativeCall *call)
{
    store_leave(call->store);
    Py_DECREF(call->object);
    Py_DECREF(call->store);
}

/* --- long work ------------------------------------------------------------------------------ */

/* Between these two, inside the store, native code takes its time without running WebAssembly:
 * other threads run meanwhile. */
static void
native_work_begin(NativeCall *call, StoreObject *store)
{
    call->store = store;
    call->thread = thread_here();
    native_release_gil(call, RELEASE_GIL);
}

static void
native_work_end(NativeCall *call)
{
    native_take_gil(call);
    call->store->pending = call->outer;
}
