/* Callbacks: the one way back from native code to Python, in the middle of a native call.
 *
 * host_begin() takes the GIL and host_end() gives it back. A host function has a HostFrame between
 * them, which holds what one of its calls needs:
 *
 *     host_frame_begin(&frame, store, self, few);
 *     host_frame_reserve(&frame, count)                room for the arguments
 *     host_frame_pass_caller(&frame, type, caller)     where the function asks for a Caller
 *     host_frame_pass(&frame, argument)                each of them, in order
 *     result = host_frame_call(&frame, callable)
 *     host_frame_close(&frame, fine)                   the Caller expires, output is delivered
 *     host_frame_end(&frame);
 *
 * Ownership: the frame owns the arguments until the callable has returned, the Caller until it is
 * closed, and a reference to the function until it ends: the callable may drop all others. */

typedef struct {
    PyThreadState *released;
    PyGILState_STATE gil;
    Thread *thread;
} HostEntry;

static ALWAYS_INLINE void
host_begin(StoreObject *self, HostEntry *entry)
{
    entry->released = self->released;
    entry->gil = PyGILState_UNLOCKED;
    if (UNLIKELY(self->gil & GIL_TIMED)) {
        timing_pause(self);
    }
    if (LIKELY(entry->released != NULL)) {
        if (UNLIKELY(entry->released == RELEASED_BY_CFFI)) {
            if (UNLIKELY(!this_thread.is_main && thread_is_left_behind())) {
                sleep_for_ever();
            }
            entry->gil = PyGILState_Ensure();
        }
        else {
            callback_take_gil(entry->released);
            if (UNLIKELY(self->gil & GIL_TIMED)) {
                timing_add_wait(self);
            }
        }
    }
    if (self->gil & GIL_LENT) {
        ticker_hold_in_host(self->engine_handle->pointer);
    }
    self->released = NULL;
    entry->thread = thread_here();
    callback_begin(entry->thread);
}

static ALWAYS_INLINE void
host_end(StoreObject *self, HostEntry *entry)
{
    callback_end(entry->thread);
    if (UNLIKELY(self->gil & GIL_TIMED)) {
        timing_resume(self);
    }
    if (self->gil & GIL_LENT) {
        /* Kept until the next tick, also where the last one has made it give the GIL away. */
        self->released = NULL;
        (void)ticker_hold(self->engine_handle->pointer);
    }
    else {
        if (UNLIKELY(entry->released == RELEASED_BY_CFFI)) {
            PyGILState_Release(entry->gil);
        }
        else if (entry->released != NULL) {
            PyEval_SaveThread();
        }
        self->released = entry->released;
    }
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
    if (self->pending.raised != NULL) {
        /* An earlier one is still on its way: nothing is lost, the later names it. */
        PyException_SetContext(exception, self->pending.raised);
    }
    self->pending.raised = exception;
    /* The guest caught what was thrown into it before: it ran on to get here. */
    Py_CLEAR(self->pending.thrown);
}

/* --- the frame of a host function ----------------------------------------------------------- */

/* So many arguments, the Caller among them, need no memory of their own; the place before them is
 * left free for the vectorcall protocol. */
#define HOST_FEW 12

typedef struct {
    HostEntry entry;
    StoreObject *store;
    PyObject *function;
    CallerObject *caller;
    PyObject **arguments; /* from index 1 on */
    PyObject **few;
    size_t count;
} HostFrame;

/* Without the callback around it: on the stack of an event loop, and in host_frame_begin(). */
static ALWAYS_INLINE void
host_frame_open(HostFrame *frame, StoreObject *store, void *function, PyObject **few)
{
    frame->store = store;
    frame->function = Py_NewRef(function);
    frame->caller = NULL;
    frame->arguments = frame->few = few;
    frame->count = 0;
}

static ALWAYS_INLINE void
host_frame_begin(HostFrame *frame, StoreObject *store, void *function, PyObject **few)
{
    host_begin(store, &frame->entry);
    host_frame_open(frame, store, function, few);
}

/* Make room for `count` arguments and the Caller. */
static ALWAYS_INLINE bool
host_frame_reserve(HostFrame *frame, size_t count)
{
    if (LIKELY(count + 2 <= HOST_FEW)) {
        return true;
    }
    PyObject **arguments = PyMem_RawMalloc((count + 2) * sizeof(PyObject *));
    if (arguments == NULL) {
        PyErr_NoMemory();
        return false;
    }
    frame->arguments = arguments;
    return true;
}

/* Takes the reference; NULL: making the argument has failed. */
static ALWAYS_INLINE bool
host_frame_pass(HostFrame *frame, PyObject *argument)
{
    if (UNLIKELY(argument == NULL)) {
        return false;
    }
    frame->arguments[++frame->count] = argument;
    return true;
}

static ALWAYS_INLINE bool
host_frame_pass_caller(HostFrame *frame, PyObject *type, wasmtime_caller_t *native)
{
    frame->caller = caller_new(type, frame->store, native);
    return host_frame_pass(frame, Py_XNewRef(frame->caller));
}

static ALWAYS_INLINE void
host_frame_drop_arguments(HostFrame *frame)
{
    for (; frame->count > 0; frame->count--) {
        Py_DECREF(frame->arguments[frame->count]);
    }
}

/* What the callable returns: a new reference. */
static ALWAYS_INLINE PyObject *
host_frame_call(HostFrame *frame, PyObject *callable)
{
    PyObject *result = PyObject_Vectorcall(callable, frame->arguments + 1,
                                           frame->count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    host_frame_drop_arguments(frame);
    return result;
}

/* Whether all went well, the delivery of output included. */
static ALWAYS_INLINE bool
host_frame_close(HostFrame *frame, bool fine)
{
    if (UNLIKELY(!fine)) {
        host_frame_drop_arguments(frame);
    }
    if (frame->caller != NULL) {
        caller_expire(frame->caller);
        Py_DECREF(frame->caller);
    }
    if (UNLIKELY(frame->arguments != frame->few)) {
        PyMem_RawFree(frame->arguments);
    }
    return fine && (LIKELY(frame->store->sinks == NULL) || sinks_deliver(frame->store));
}

static ALWAYS_INLINE void
host_frame_end(HostFrame *frame)
{
    Py_DECREF(frame->function);
    if (UNLIKELY(frame->store->dropped != NULL)) {
        store_free_dropped(frame->store);
    }
    host_end(frame->store, &frame->entry);
}
