/* Entering a store: one thread at a time, and only while it is open.
 *
 * store_enter() and store_leave() are pairs and may be nested. Between them, the fields of the
 * store belong to this thread. Externrefs that the library has dropped are released on the way
 * out. */

/* In `thread` of a store with WASI that a forked child has from its parent: before it is used, the
 * package is asked whether it can be, since the library's threads for WASI are missing. */
#define STORE_INHERITED ((uintptr_t)1)

/* In `thread` of a store while its asynchronous call waits: for the event loop, or for a poll on
 * another thread. Nobody is inside, and only the call's own next step comes in. */
#define STORE_HELD ((uintptr_t)2)

static bool store_enter(StoreObject *self);
static void store_vacate(StoreObject *self);

static bool
store_check_inherited(StoreObject *self)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(state.check_inherited, (PyObject *)self, NULL);
    Py_XDECREF(answer);
    return answer != NULL;
}

/* Python code that the guest called is over, which may have forked. False with an exception. */
static inline bool
store_heed_fork(StoreObject *self)
{
    if (LIKELY(!self->inherited)) {
        return true;
    }
    self->inherited = false;
    return store_check_inherited(self);
}

static bool
store_enter_inherited(StoreObject *self)
{
    if (!store_check_inherited(self)) {
        return false;
    }
    store_vacate(self);
    return store_enter(self);
}

/* The number of the thread that is inside, or 0, or STORE_INHERITED. */
static inline uintptr_t
store_thread(StoreObject *self)
{
    return atomic_load_relaxed(&self->thread) & ~STORE_INTERRUPTED;
}

static NOINLINE bool
store_refuse(StoreObject *self)
{
    if (atomic_load_relaxed(&self->thread) == STORE_INHERITED) {
        return store_enter_inherited(self);
    }
    if (store_thread(self) == STORE_HELD) {
        PyErr_SetString(state.WasmtimeError,
                        "store is in use: an asynchronous call in it waits. Until it is over, or "
                        "its task is cancelled, only its own host functions can use the store");
        return false;
    }
    if (relaxed_load(self->context) == NULL) {
        PyErr_SetString(PyExc_ValueError, relaxed_load(self->owner.closed)
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

/* This thread is inside already, or the store was empty and the thread is inside from here on. */
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

/* No thread is inside any more. */
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
    if (UNLIKELY(!store_claim(self)) && store_thread(self) != thread_id()) { /* interrupted: us */
        return store_refuse(self);
    }
    if (UNLIKELY(self->context == NULL)) {
        return store_refuse_closed(self);
    }
    self->depth++;
    return true;
}

/* Be alone in the store, open or not, to make it or to close it. No native call may be made, and
 * nothing enters meanwhile, this thread included; store_vacate() must follow. */
static bool
store_seize(StoreObject *self)
{
    return store_claim(self) && self->depth == 0;
}

/* Another is inside now; an interrupt that comes meanwhile is not lost. */
static inline void
store_hand_over(StoreObject *self, uintptr_t next)
{
    uintptr_t thread = atomic_load(&self->thread);
    while (!atomic_exchange_if(&self->thread, thread, next | (thread & STORE_INTERRUPTED))) {
        thread = atomic_load(&self->thread);
    }
}

/* The asynchronous call in it waits: this thread, which has entered once, is inside no more. */
static void
store_hold(StoreObject *self)
{
    self->depth--;
    store_hand_over(self, STORE_HELD);
}

/* The call goes on, on this thread. */
static void
store_resume(StoreObject *self)
{
    store_hand_over(self, thread_id());
    self->depth++;
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
        /* May run any Python code, this store's own methods included, which must not see an
         * exception that is in flight. */
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

/* Whether what is linked into the store has to be linked for asynchronous calls: it is so already,
 * or greenlets may switch, unless Python functions are there that run in synchronous calls. */
static inline bool
store_links_asynchronously(const StoreObject *self)
{
    return UNLIKELY(self->asynchronous) || (UNLIKELY(greenlet_is_other()) && !self->links_python);
}
