/* Stores and the one door into them.
 *
 * Every native call that needs a store goes through here. The door checks that the store is
 * open, that no other thread is inside, that this thread has stack enough for WebAssembly;
 * it lets the GIL go, and turns what comes back into the one right exception.
 *
 * Ownership: a Store owns the native store and everything that native code may reach while
 * it lives: the host functions made in it or linked into it (`kept`), the Python objects
 * behind its externrefs (`boxes`), its data, its output sinks. Native code holds plain
 * pointers to those, never counted ones, so that the garbage collector sees every reference
 * and collects a cycle through a store. They die after the native store, never before.
 *
 * Without the GIL (common.h), the fields of a Store belong to who is inside, where they do not say
 * otherwise. */

/* A Python object that WebAssembly holds as an externref. The library says when it dropped
 * the reference, possibly without the GIL; the box waits in `dropped` until the GIL is ours. */
typedef struct ExternBox {
    PyObject *object;
    StoreObject *store;
    struct ExternBox *previous, *next;
    struct ExternBox *next_dropped;
} ExternBox;

#define DEADLINE_NEVER ((uintptr_t)-1)

struct StoreObject {
    OwnerObject owner; /* only `engine` and `closed` are used: `store` is not shared */
    wasmtime_store_t *store;     /* a flag, outside: NULL once deleted */
    wasmtime_context_t *context; /* a flag, outside: NULL once closed, or deleted */
    HandleObject *engine_handle; /* keeps the native engine for the watchdog */
    PyObject *home;              /* once: weak reference to this Store, the identity of what lives
                                  * in it */
    PyObject *weakrefs;
    uintptr_t exports;       /* atomic: views of its memories that exist */
    uintptr_t pins;          /* atomic: raw pointers into its memories that exist */
    uintptr_t thread;        /* atomic: thread_id() of who is inside, 0 when nobody */
    uint32_t depth;          /* how often it entered */
    bool epochs;
    char has_wasi;           /* a flag: WASI's functions may be called; without, they would abort */
    bool fiber;              /* it runs on a stack of the library's: see fiber.c */
    bool interrupted;        /* the epoch callback ended the call because of the deadline */
    PyThreadState *released; /* how a callback gets the GIL; NULL: it is held */
    PyObject *pending;       /* exception raised by Python below the innermost native call; or a
                              * tuple of one WasmException that was thrown into the guest */
    uintptr_t deadline;      /* in the engine's user epochs */
    long long table_elements; /* inside: the limit for each table, or -1 */
    PyObject *deadline_callback;
    wasmtime_func_t taker;         /* see exnref_take(); made when it is first needed */
    wasmtime_exnref_t *taken;      /* where to, while it runs */
    ExternBox *boxes;
    ExternBox *dropped;
    PyObject *kept;             /* dict: id -> host functions and linker definitions */
    PyObject *last_definitions; /* borrowed from `kept` */
    PyObject *sinks;            /* list of (OutputSink, callable), or NULL */
    PyObject *data;          /* locked */
    PyObject *context_cdata; /* locked */
};

/* The native call in progress was made through cffi, which released the GIL itself. */
#define RELEASED_BY_CFFI ((PyThreadState *)1)

static bool sinks_deliver(StoreObject *store);
static bool sinks_have_output(StoreObject *store);
static void sinks_detach(StoreObject *store);
static bool sinks_add(StoreObject *store, PyObject *pair);

/* --- who may come in ------------------------------------------------------------------ */

/* In `thread` of a store with WASI that a forked child has from its parent: before it is used, the
 * package is asked whether it can be, since the library's threads for WASI are missing. */
#define STORE_INHERITED ((uintptr_t)1)

static bool store_enter(StoreObject *self);
static void store_vacate(StoreObject *self);

static bool
store_enter_inherited(StoreObject *self)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(state.check_inherited, (PyObject *)self, NULL);
    if (answer == NULL) {
        return false;
    }
    Py_DECREF(answer);
    store_vacate(self);
    return store_enter(self);
}

static NOINLINE bool
store_refuse(StoreObject *self)
{
    if (atomic_load_relaxed(&self->thread) == STORE_INHERITED) {
        return store_enter_inherited(self);
    }
    if (glimpse(self->context) == NULL) {
        PyErr_SetString(PyExc_ValueError, glimpse(self->owner.closed)
                                              ? "store: already closed"
                                              : "store: never initialized");
    }
    else {
        PyErr_SetString(state.WasmtimeError,
                        "store is in use by another thread: a Store serves one thread at a time; "
                        "give each thread a Store of its own, or take turns with a lock");
    }
    return false;
}

/* The thread that is inside is this one, or nobody was and it is from here on. */
static inline bool
store_claim(StoreObject *self)
{
    uintptr_t me = thread_id();
#ifdef Py_GIL_DISABLED
    return atomic_load_relaxed(&self->thread) == me || atomic_claim(&self->thread, me);
#else
    if (LIKELY(self->thread == 0)) {
        self->thread = me;
    }
    return self->thread == me;
#endif
}

/* Nobody is inside any more. */
static inline void
store_vacate(StoreObject *self)
{
    publish(self->thread, 0);
}

static NOINLINE bool
store_refuse_closed(StoreObject *self)
{
    if (self->depth == 0) {
        store_vacate(self);
    }
    return store_refuse(self);
}

static inline bool
store_enter(StoreObject *self)
{
    if (UNLIKELY(!store_claim(self))) {
        return store_refuse(self);
    }
    if (UNLIKELY(self->context == NULL)) {
        return store_refuse_closed(self);
    }
    self->depth++;
    return true;
}

/* Alone in the store, be it open or not: to make it or to close it. No native call may be made, and
 * nothing enters meanwhile, this thread included; store_vacate() must follow. */
static bool
store_seize(StoreObject *self)
{
    return store_claim(self) && self->depth == 0;
}

static NOINLINE void
store_free_dropped(StoreObject *self)
{
    while (self->dropped != NULL) {
        ExternBox *box = self->dropped;
        self->dropped = box->next_dropped;
        if (box->previous != NULL) {
            box->previous->next = box->next;
        }
        else {
            self->boxes = box->next;
        }
        if (box->next != NULL) {
            box->next->previous = box->previous;
        }
        PyObject *object = box->object;
        PyMem_RawFree(box);
        /* May run any Python code, this store's own methods included; what an exception in
         * flight belongs to is not its business. */
        PyObject *in_flight = PyErr_GetRaisedException();
        Py_DECREF(object);
        if (in_flight != NULL) {
            PyErr_SetRaisedException(in_flight);
        }
    }
}

static inline void
store_leave(StoreObject *self)
{
    if (UNLIKELY(self->dropped != NULL)) {
        store_free_dropped(self);
    }
    if (--self->depth == 0) {
        store_vacate(self);
    }
}

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
    bool fine = ticks != NULL
                && argument_u64(ticks, "result of the epoch deadline callback", &more);
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

/* The engine's epoch moved while this store runs: the user's deadline may have come, a
 * signal may wait, output may have to be delivered. Runs on the calling thread. */
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
    /* What ran may have moved the deadline, either way, or taken the callback away. */
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

/* --- life ------------------------------------------------------------------------------ */

static bool
store_keep(StoreObject *self, PyObject *object)
{
    PyObject *key = PyLong_FromVoidPtr(object);
    if (key == NULL) {
        return false;
    }
    int status = PyDict_SetItem(self->kept, key, object);
    Py_DECREF(key);
    return status == 0;
}

/* What a linker defines may be called from this store from now on. */
static inline bool
store_keep_definitions(StoreObject *self, PyObject *definitions)
{
    if (LIKELY(self->last_definitions == definitions)) {
        return true;
    }
    if (PyList_Size(definitions) == 0) {
        return true;
    }
    if (!store_keep(self, definitions)) {
        return false;
    }
    self->last_definitions = definitions;
    return true;
}

static void
extern_box_dropped(void *data)
{
    ExternBox *box = data;
    box->next_dropped = box->store->dropped;
    box->store->dropped = box;
}

static ExternBox *
extern_box_new(StoreObject *self, PyObject *object)
{
    ExternBox *box = PyMem_RawMalloc(sizeof(ExternBox));
    if (box == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    box->object = Py_NewRef(object);
    box->store = self;
    box->previous = NULL;
    box->next = self->boxes;
    box->next_dropped = NULL;
    if (self->boxes != NULL) {
        self->boxes->previous = box;
    }
    self->boxes = box;
    return box;
}

/* The only place where a native store dies. */
static void
store_delete(StoreObject *self)
{
    if (self->store == NULL) {
        return;
    }
    wasmtime_store_t *store = self->store;
    flag(self->context, NULL);
    flag(self->store, NULL);
    PyObject *data = locked_swap(self, &self->data, NULL);
    PyObject *cdata = locked_swap(self, &self->context_cdata, NULL);
    sinks_detach(self);
    wasmtime_store_delete(store);
    while (self->boxes != NULL) {
        /* The library says of each box that it dropped it; those it did not are ours too. */
        ExternBox *box = self->boxes;
        self->boxes = box->next;
        if (box->next != NULL) {
            box->next->previous = NULL;
        }
        PyObject *object = box->object;
        PyMem_RawFree(box);
        Py_DECREF(object);
    }
    self->dropped = NULL;
    self->last_definitions = NULL;
    Py_CLEAR(self->kept);
    Py_CLEAR(self->sinks);
    Py_XDECREF(data);
    Py_CLEAR(self->deadline_callback);
    Py_XDECREF(cdata);
    Py_CLEAR(self->pending);
    Py_CLEAR(self->engine_handle);
}

static PyObject *
store_init_native(StoreObject *self, PyObject *args)
{
    PyObject *engine, *data;
    if (!PyArg_ParseTuple(args, "O!O:_init", state.Engine_base, &engine, &data)) {
        return NULL;
    }
    HandleObject *handle = owner_use((OwnerObject *)engine);
    if (handle == NULL) {
        return NULL;
    }
    PyObject *kept = PyDict_New();
    PyObject *home = PyWeakref_NewRef((PyObject *)self, NULL);
    if (kept == NULL || home == NULL) {
        goto failed;
    }
    /* What may run Python code is behind us: nothing else gets hold of a half-made store. */
    if (!store_seize(self)) {
        store_refuse(self);
        goto failed;
    }
    if (self->home != NULL || self->owner.closed) {
        store_vacate(self);
        PyErr_SetString(PyExc_ValueError, "store: already initialized");
        goto failed;
    }
    EngineObject *settings = (EngineObject *)engine;
    self->kept = kept;
    self->data = Py_NewRef(data);
    self->owner.engine = Py_NewRef(engine);
    self->engine_handle = handle;
    self->table_elements = -1;
    flag(self->store, wasmtime_store_new(handle->pointer, self, NULL));
    self->epochs = settings->epochs;
    wasmtime_context_t *context = wasmtime_store_context(self->store);
    if (self->epochs) {
        self->deadline = settings->epochs_explicit ? 0 : DEADLINE_NEVER;
        wasmtime_store_epoch_deadline_callback(self->store, store_epoch_tick, self, NULL);
        wasmtime_context_set_epoch_deadline(context, settings->epochs_explicit ? 0 : 1);
    }
    publish(self->home, home);
    publish(self->context, context);
    store_vacate(self);
    Py_RETURN_NONE;
failed:
    Py_XDECREF(kept);
    Py_XDECREF(home);
    Py_DECREF(handle);
    return NULL;
}

/* A raw pointer into a memory is gone. A store that was closed before is deleted with the last. */
static void
store_unpin(StoreObject *self)
{
    if (atomic_sub(&self->pins, 1) == 0 && glimpse(self->owner.closed) && store_seize(self)) {
        store_delete(self);
        store_vacate(self);
    }
}

static PyObject *
store_close(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (glimpse(self->owner.closed)) { /* also by what closing it runs */
        Py_RETURN_NONE;
    }
    if (atomic_load_relaxed(&self->thread) == STORE_INHERITED) {
        store_vacate(self);
    }
    if (!store_seize(self)) {
        PyErr_SetString(state.WasmtimeError,
                        atomic_load_relaxed(&self->thread) == thread_id()
                            ? "store is in use: it cannot be closed by what it is running"
                            : "store is in use by another thread: it cannot be closed now");
        return NULL;
    }
    uintptr_t exports = atomic_load(&self->exports);
    if (exports == 0) {
        flag(self->owner.closed, true);
        if (atomic_load(&self->pins) == 0) {
            store_delete(self);
        }
        else {
            flag(self->context, NULL); /* closed for all who ask; store_unpin() deletes it */
        }
    }
    store_vacate(self);
    if (exports != 0) {
        PyErr_Format(PyExc_BufferError,
                     "store: %zu views of its memories exist; release them (del, or "
                     "memoryview.release()) before closing it",
                     (size_t)exports);
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
store_traverse(StoreObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner.engine);
    Py_VISIT(self->kept);
    Py_VISIT(self->sinks);
    Py_VISIT(self->data);
    Py_VISIT(self->deadline_callback);
    Py_VISIT(self->pending);
    for (ExternBox *box = self->boxes; box != NULL; box = box->next) {
        Py_VISIT(box->object);
    }
    return 0;
}

static int
store_clear(StoreObject *self)
{
    if (self->depth == 0 && atomic_load(&self->exports) == 0 && atomic_load(&self->pins) == 0) {
        flag(self->owner.closed, true);
        store_delete(self);
        Py_CLEAR(self->owner.engine);
    }
    else {
        /* Views of its memories, or raw pointers into them, are part of the cycle: it is broken at
         * what we hold, and the native store goes when the last of them does. */
        Py_CLEAR(self->data);
        Py_CLEAR(self->deadline_callback);
    }
    return 0;
}

static void
store_dealloc(StoreObject *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    store_delete(self);
    Py_CLEAR(self->home);
    Py_CLEAR(self->kept);
    Py_CLEAR(self->data);
    owner_clear(&self->owner);
    type_free((PyObject *)self);
}

/* --- the Python side of it ------------------------------------------------------------- */

static PyObject *
store_get_data(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *data = locked_get(self, &self->data);
    if (data == NULL) {
        store_refuse(self);
    }
    return data;
}

static PyObject *
store_set_deadline(StoreObject *self, PyObject *argument)
{
    unsigned long long ticks = PyLong_AsUnsignedLongLong(argument);
    if (ticks == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!store_enter(self)) {
        return NULL;
    }
    if (!self->epochs) {
        store_leave(self);
        PyErr_SetString(state.WasmtimeError,
                        "set_epoch_deadline() needs an engine with epoch checks: "
                        "Config.epoch_interruption was set to False");
        return NULL;
    }
    uintptr_t now = atomic_load(&((EngineObject *)self->owner.engine)->epoch);
    self->deadline = ticks > DEADLINE_NEVER - 1 - now ? DEADLINE_NEVER - 1 : now + (uintptr_t)ticks;
    self->interrupted = false;
    wasmtime_context_set_epoch_deadline(self->context, ticks == 0 ? 0 : 1);
    store_leave(self);
    Py_RETURN_NONE;
}

static PyObject *
store_set_deadline_callback(StoreObject *self, PyObject *callback)
{
    if (callback != Py_None && !PyCallable_Check(callback)) {
        PyErr_Format(state.ArgumentTypeError, "callback must be callable or None, not %.200s",
                     type_name(callback));
        return NULL;
    }
    if (!store_enter(self)) {
        return NULL;
    }
    PyObject *before = self->deadline_callback;
    self->deadline_callback = callback == Py_None ? NULL : Py_NewRef(callback);
    store_leave(self);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyObject *
store_py_keep(StoreObject *self, PyObject *object)
{
    if (!store_enter(self)) {
        return NULL;
    }
    bool fine = store_keep(self, object);
    store_leave(self);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
store_add_sink(StoreObject *self, PyObject *pair)
{
    if (!store_enter(self)) {
        return NULL;
    }
    bool fine = sinks_add(self, pair);
    store_leave(self);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
store_get_is_open(StoreObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(glimpse(self->context) != NULL);
}

static PyObject *
store_get_address(StoreObject *self, void *Py_UNUSED(closure))
{
    if (glimpse(self->context) == NULL) {
        store_refuse(self);
        return NULL;
    }
    return PyLong_FromVoidPtr(glimpse(self->store));
}

static PyObject *
store_get_context_address(StoreObject *self, void *Py_UNUSED(closure))
{
    wasmtime_context_t *context = glimpse(self->context);
    if (context == NULL) {
        store_refuse(self);
        return NULL;
    }
    return PyLong_FromVoidPtr(context);
}

static PyObject *
store_mark_inherited(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (store_seize(self)) {
        publish(self->thread, STORE_INHERITED);
    }
    Py_RETURN_NONE;
}

static PyMethodDef store_methods[] = {
    {"_init", (PyCFunction)store_init_native, METH_VARARGS,
     "_init($self, engine, data, /)\n--\n\nMake the native store."},
    {"close", (PyCFunction)store_close, METH_NOARGS, "close($self, /)\n--\n\nSee wasmtime.Store."},
    {"data", (PyCFunction)store_get_data, METH_NOARGS, "data($self, /)\n--\n\nSee wasmtime.Store."},
    {"_set_epoch_deadline", (PyCFunction)store_set_deadline, METH_O,
     "_set_epoch_deadline($self, ticks, /)\n--\n\nDeadline in the engine's user epochs."},
    {"_set_epoch_callback", (PyCFunction)store_set_deadline_callback, METH_O,
     "_set_epoch_callback($self, callback, /)\n--\n\nCalled at the deadline instead of a trap."},
    {"_keep", (PyCFunction)store_py_keep, METH_O,
     "_keep($self, object, /)\n--\n\nKeep `object` for as long as the native store lives."},
    {"_mark_inherited", (PyCFunction)store_mark_inherited, METH_NOARGS,
     "_mark_inherited($self, /)\n--\n\nAsk the package before this store is used in a forked child."},
    {"_add_sink", (PyCFunction)store_add_sink, METH_O,
     "_add_sink($self, pair, /)\n--\n\nDeliver a sink's output to a callable: (sink, callable)."},
    {NULL, NULL, 0, NULL},
};

static PyObject *
store_get_home(StoreObject *self, void *Py_UNUSED(closure))
{
    PyObject *home = published(self->home);
    return Py_NewRef(home ? home : Py_None);
}

static PyGetSetDef store_getset[] = {
    {"_home", (getter)store_get_home, NULL, NULL, NULL},
    {"_is_open", (getter)store_get_is_open, NULL, NULL, NULL},
    {"_address", (getter)store_get_address, NULL, NULL, NULL},
    {"_context_address", (getter)store_get_context_address, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef store_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StoreObject, weakrefs), READONLY, NULL},
    {"_context_cdata", T_OBJECT, offsetof(StoreObject, context_cdata), 0, NULL},
    {"_has_wasi", T_BOOL, offsetof(StoreObject, has_wasi), 0, NULL},
    {"_table_elements", T_LONGLONG, offsetof(StoreObject, table_elements), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Store."},
    {Py_tp_dealloc, store_dealloc},
    {Py_tp_traverse, store_traverse},
    {Py_tp_clear, store_clear},
    {Py_tp_methods, store_methods},
    {Py_tp_getset, store_getset},
    {Py_tp_members, store_members},
    {0, NULL},
};
static PyType_Spec store_spec = {
    "wasmtime._core.Store", sizeof(StoreObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, store_slots};

/* --- Caller and StoreContext: a store for the length of a callback ----------------------- */

struct CallerObject {
    PyObject_HEAD
    StoreObject *store;
    wasmtime_caller_t *caller; /* inside: NULL in a StoreContext */
    bool valid;                /* a flag: not expired; true while the store is entered alone */
};

static void
caller_dealloc(CallerObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->store);
    type_free((PyObject *)self);
}

static int
caller_traverse(CallerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static int
caller_clear(CallerObject *self)
{
    flag(self->valid, false);
    Py_CLEAR(self->store);
    return 0;
}

static CallerObject *
caller_new(PyObject *type, StoreObject *store, wasmtime_caller_t *caller)
{
    CallerObject *self = (CallerObject *)type_alloc((PyTypeObject *)type);
    if (self != NULL) {
        self->store = (StoreObject *)Py_NewRef(store);
        self->caller = caller;
        self->valid = true;
    }
    return self;
}

static inline void
caller_expire(CallerObject *self)
{
    flag(self->valid, false);
}

static NOINLINE StoreObject *
storelike_refuse(PyObject *object)
{
    PyErr_Format(state.ArgumentTypeError, "store must be a Store, Caller or StoreContext, not %.200s",
                 type_name(object));
    return NULL;
}

/* The Store behind an argument that may be a Store, a Caller or a StoreContext; borrowed. */
static inline StoreObject *
storelike(PyObject *object)
{
    if (LIKELY((PyObject *)Py_TYPE(object) == state.Store)
        || PyObject_TypeCheck(object, state.Store_base)) {
        return (StoreObject *)object;
    }
    if (PyObject_TypeCheck(object, state.Caller_base)) {
        CallerObject *caller = (CallerObject *)object;
        bool valid = glimpse(caller->valid);
        if (LIKELY(valid && atomic_load_relaxed(&caller->store->thread) == thread_id())) {
            return caller->store;
        }
        PyErr_SetString(PyExc_ValueError, valid ? "caller belongs to another thread"
                                                : "caller is no longer valid");
        return NULL;
    }
    return storelike_refuse(object);
}

static PyObject *
caller_get_engine_store(CallerObject *self, void *Py_UNUSED(closure))
{
    if (!glimpse(self->valid)) {
        PyErr_SetString(PyExc_ValueError, "caller is no longer valid");
        return NULL;
    }
    return Py_NewRef(self->store);
}

static PyObject *wrap_extern(StoreObject *store, wasmtime_extern_t *item);

static PyObject *
caller_export(CallerObject *self, PyObject *argument)
{
    Py_ssize_t length;
    if (!PyUnicode_Check(argument)) {
        PyErr_Format(state.ArgumentTypeError, "name must be a str, not %.200s",
                     type_name(argument));
        return NULL;
    }
    const char *name = PyUnicode_AsUTF8AndSize(argument, &length);
    if (name == NULL) {
        return NULL;
    }
    if (!glimpse(self->valid) || self->caller == NULL) {
        Py_RETURN_NONE;
    }
    StoreObject *store = storelike((PyObject *)self);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    wasmtime_extern_t item;
    PyObject *result = NULL;
    if (wasmtime_caller_export_get(self->caller, (char *)name, (size_t)length, &item)) {
        result = wrap_extern(store, &item);
    }
    else {
        result = Py_NewRef(Py_None);
    }
    store_leave(store);
    return result;
}

static PyMethodDef caller_methods[] = {
    REFUSE_REDUCE,
    {"_export", (PyCFunction)caller_export, METH_O,
     "_export($self, name, /)\n--\n\nThe calling instance's export, or None."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef caller_getset[] = {
    {"_store", (getter)caller_get_engine_store, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot caller_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Caller: a store and an instance, during a host call."},
    {Py_tp_dealloc, caller_dealloc},
    {Py_tp_traverse, caller_traverse},
    {Py_tp_clear, caller_clear},
    {Py_tp_methods, caller_methods},
    {Py_tp_getset, caller_getset},
    {0, NULL},
};
static PyType_Spec caller_spec = {
    "wasmtime._core.Caller", sizeof(CallerObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, caller_slots};

/* --- Door: the way in for Python code that calls through cffi ---------------------------- */

typedef struct {
    PyObject_HEAD
    StoreObject *store;
    NativeCall call;
    bool inside;
} DoorObject;

static PyObject *
door_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *object;
    if (!PyArg_ParseTuple(args, "O:Door", &object)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    DoorObject *self = (DoorObject *)type_alloc(type);
    if (self != NULL) {
        self->store = (StoreObject *)Py_NewRef(store);
    }
    return (PyObject *)self;
}

static PyObject *
door_enter(DoorObject *self, PyObject *Py_UNUSED(ignored))
{
    StoreObject *store = self->store;
    if (self->inside) {
        PyErr_SetString(PyExc_RuntimeError, "Door: already entered");
        return NULL;
    }
    if (!store_enter(store)) {
        return NULL;
    }
    if (!native_check_stack(store)) {
        store_leave(store);
        return NULL;
    }
    self->call.pending = store->pending;
    self->call.released = store->released;
    store->pending = NULL;
    store->released = RELEASED_BY_CFFI;
    if (store->epochs && this_thread.is_main) {
        self->call.watched = watchdog_enter(store->engine_handle->pointer);
    }
    /* From here to the call through cffi, Python code runs that may switch greenlets. */
    callback_begin(&this_thread);
    self->inside = true;
    /* Under the lock: who waits at the door may be setting the same. */
    PyObject *cdata = locked_get(store, &store->context_cdata);
    return cdata != NULL ? cdata : Py_NewRef(Py_None);
}

static PyObject *door_outcome(StoreObject *store, PyObject *pending, bool interrupted,
                              PyObject *raised);

static PyObject *
door_exit(DoorObject *self, PyObject *const *args, Py_ssize_t count)
{
    StoreObject *store = self->store;
    if (!self->inside) {
        Py_RETURN_FALSE;
    }
    self->inside = false;
    store->released = self->call.released;
    if (store->epochs && this_thread.is_main) {
        watchdog_exit(self->call.watched);
    }
    PyObject *pending = store->pending;
    store->pending = self->call.pending;
    self->call.pending = NULL;
    bool fine = (pending != NULL && !PyTuple_Check(pending)) || store->sinks == NULL
                || sinks_deliver(store);
    bool interrupted = store->interrupted;
    store->interrupted = false;
    PyObject *raised = count == 3 ? args[1] : NULL;
    PyObject *better = fine ? door_outcome(store, pending, interrupted, raised) : NULL;
    if (!fine) {
        Py_XDECREF(pending);
    }
    callback_end(&this_thread);
    store_leave(store);
    if (!fine) {
        return NULL;
    }
    if (better != NULL) {
        PyErr_SetRaisedException(better);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_FALSE;
}

static void
door_dealloc(DoorObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->store);
    type_free((PyObject *)self);
}

static int
door_traverse(DoorObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    return 0;
}

static PyMethodDef door_methods[] = {
    {"__enter__", (PyCFunction)door_enter, METH_NOARGS, "The wasmtime_context_t as cdata."},
    /* No tuple of arguments: without memory for one, the store would stay entered for ever. */
    {"__exit__", (PyCFunction)(void (*)(void))door_exit, METH_FASTCALL,
     "Leave; raise what host code raised."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot door_slots[] = {
    {Py_tp_doc, "Door(store, /)\n--\n\nContext manager: inside, cffi calls may use the store."},
    {Py_tp_new, door_new},
    {Py_tp_dealloc, door_dealloc},
    {Py_tp_traverse, door_traverse},
    {Py_tp_methods, door_methods},
    {0, NULL},
};
static PyType_Spec door_spec = {"wasmtime._core.Door", sizeof(DoorObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, door_slots};
