/* The one door into a store: who may come in, and with how much native stack. */

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
