/* Stopping a guest: Store.set_timeout() and Store.interrupt().
 *
 * Each outermost entry into a store with a timeout sets the moment when it expires, and tells the
 * ticker (ticker.c) if that has to look sooner than it would. Nothing is done when the call is
 * over: a moment that has passed means nothing to a store that runs nothing, and the next entry sets
 * another. Stores without a timeout pay nothing: the entry compares the stack that is left with
 * `stack_wanted` in any case, and with a timeout that is more than there can be.
 *
 * An interrupt is a bit in the word that says which thread is inside, set by whoever interrupts,
 * if a thread is inside, and gone when that leaves.
 *
 * What was set is seen by the epoch callback (epoch.c), which the ticker has the library call until
 * the guest has ended, and by guests that wait (waiting.c).
 *
 * A call that suspends (an event loop's) keeps its moment: store_expires() says when it is. */

/* Whether what the store runs is to end, whatever its epochs say. */
static inline StopReason
store_stop_reason(const StoreObject *self)
{
    if (UNLIKELY(atomic_load(&self->thread) & STORE_INTERRUPTED)) {
        return STOP_INTERRUPT;
    }
    uintptr_t expires = atomic_load_relaxed(&self->expiry.expires);
    if (UNLIKELY(expires != 0) && moment_now() >= expires) {
        return STOP_TIMEOUT;
    }
    return STOP_NOT;
}

/* When the call in progress must have ended. */
static inline Moment
store_expires(const StoreObject *self)
{
    uintptr_t expires = atomic_load_relaxed(&self->expiry.expires);
    return expires != 0 ? (Moment)expires : MOMENT_NEVER;
}

/* Have the native deadline come at the next tick; or at once, if the guest is to end. */
static void
store_set_native_deadline(StoreObject *self, uint64_t ticks)
{
    wasmtime_context_set_epoch_deadline(self->context, ticks);
    /* After that: the tick of an interrupt that comes between the two would be lost. */
    if (ticks != 0 && store_stop_reason(self) != STOP_NOT) {
        wasmtime_context_set_epoch_deadline(self->context, 0);
    }
}

/* The native stack that an outermost call needs. */
static inline uintptr_t
store_stack_wanted(const StoreObject *self)
{
    return ((EngineObject *)self->owner.engine)->wasm_stack + STACK_MARGIN;
}

/* --- what the guest and its caller hear ------------------------------------------------------- */

typedef struct {
    char text[512];
} StopMessage;

/* A guest that ends so much later was in something that cannot be stopped: its user is told. */
#define STOP_LATE (100 * MILLISECOND)

static const char *const stop_reasons[STOP_REASONS] = {
    "python exception", /* it is on its way already */
    "wasm trap: interrupt",
    "wasm trap: interrupt: the time given by Store.set_timeout() is up",
    "wasm trap: interrupt: Store.interrupt() was called",
};

/* When the guest should have ended. */
static Moment
stop_moment(const StoreObject *self, StopReason reason)
{
    return reason == STOP_TIMEOUT     ? store_expires(self)
           : reason == STOP_INTERRUPT ? (Moment)atomic_load(&self->interrupted)
                                      : MOMENT_NEVER;
}

static StopMessage
stop_message(const StoreObject *self, StopReason reason)
{
    StopMessage message;
    Moment due = stop_moment(self, reason), now = moment_now();
    unsigned late = due < now ? (unsigned)moment_min((now - due) / MILLISECOND, UINT_MAX) : 0;
    if (late < STOP_LATE / MILLISECOND) {
        snprintf(message.text, sizeof(message.text), "%s", stop_reasons[reason]);
        return message;
    }
    snprintf(message.text, sizeof(message.text),
             "%s. The guest ended %u.%03u s later, because it was in what cannot be stopped: a "
             "Python function, a long instruction (memory.fill, atomic.wait), files of WASI (a "
             "named pipe in a preopened directory), in components also sockets and the look-up of "
             "names%s. A process of its own can always be stopped",
             stop_reasons[reason], late / 1000, late % 1000,
             reason == STOP_INTERRUPT ? ", and timers and answers of HTTP, which hear a timeout "
                                        "but no interrupt; an inherited terminal is heard in "
                                        "stores with a timeout"
                                      : "");
    return message;
}

/* The error that the epoch callback ends the guest with. */
static wasmtime_error_t *
stop_error(const StoreObject *self)
{
    StopMessage message = stop_message(self, self->stopped);
    return wasmtime_error_new(message.text);
}

/* The trap that a host function of ours ends the guest with, after wait_for(). */
static wasm_trap_t *
stop_trap(const StoreObject *self)
{
    StopMessage message = stop_message(self, self->stopped);
    return wasmtime_trap_new(message.text, strlen(message.text));
}

/* The class of the exception that the call is ended with. */
static PyObject *
stop_exception(StopReason stopped)
{
    return stopped == STOP_TIMEOUT     ? state.TimeoutTrap
           : stopped == STOP_INTERRUPT ? state.InterruptTrap
                                       : state.Trap;
}

/* Set the exception that what the store runs ends with. */
static void
stop_raise_for(const StoreObject *self, StopReason reason)
{
    StopMessage message = stop_message(self, reason);
    PyObject *exception = PyObject_CallFunction(stop_exception(reason), "s", message.text);
    if (exception != NULL && PyObject_SetAttr(exception, state.str_interrupted, Py_True) == 0) {
        PyErr_SetRaisedException(exception);
    }
    else {
        Py_XDECREF(exception);
    }
}

/* The same for a host function in Python. */
static void
stop_raise(StoreObject *self)
{
    StopReason reason = self->stopped;
    self->stopped = STOP_NOT;
    stop_raise_for(self, reason);
}

/* --- timeouts --------------------------------------------------------------------------------- */

static inline Moment
timeout_span(double seconds)
{
    double nanoseconds = seconds * 1e9;
    return nanoseconds >= 9e18 ? MOMENT_NEVER : nanoseconds < 1 ? 1 : (Moment)nanoseconds;
}

static NOINLINE bool
refuse_without_ticker(void)
{
    PyErr_SetString(state.WasmtimeError,
                    "a timeout needs a native thread, which cannot be started: this process has "
                    "too many threads, or too little memory");
    return false;
}

/* An outermost call begins: its time is counted from now. False with the exception set. */
static bool
timeout_begin(StoreObject *self)
{
    if (self->timeout == 0) {
        return true;
    }
    self->cut_short = self->expiry.feed != NULL;
    self->watched_checks = 0;
    Moment moment = moment_after(moment_now(), timeout_span(self->timeout));
    return LIKELY(ticker_arm(&self->expiry, moment)) || refuse_without_ticker();
}

/* The store gets its first timeout, and needs the ticker from now on. */
static bool
timeout_provide(StoreObject *self)
{
    if (!self->epochs) {
        PyErr_SetString(state.WasmtimeError, "set_timeout() needs an engine with epoch checks: "
                                             "Config.epoch_interruption was set to False");
        return false;
    }
    if (self->timeout == 0) {
        if (!ticker_reserve()) {
            return refuse_without_ticker();
        }
        self->stack_wanted = UINTPTR_MAX;
    }
    return true;
}

static void
timeout_lift(StoreObject *self)
{
    if (self->timeout != 0) {
        self->timeout = 0;
        self->stack_wanted = store_stack_wanted(self);
        atomic_store(&self->expiry.expires, 0);
        ticker_forget(&self->expiry, true);
    }
}

/* The seconds of a timeout, or 0 for None; -1 with an exception. */
static double
timeout_argument(PyObject *argument)
{
    if (argument == Py_None) {
        return 0;
    }
    double seconds = PyFloat_AsDouble(argument);
    if (seconds == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(state.ArgumentTypeError, "seconds must be a number or None, not %.200s",
                         type_name(argument));
        }
        return -1;
    }
    if (!(seconds > 0)) {
        PyErr_Format(PyExc_ValueError,
                     "seconds must be greater than 0, not %R; None lifts the timeout", argument);
        return -1;
    }
    return seconds;
}

/* What runs already gets so much from now on. */
static PyObject *
store_set_timeout(StoreObject *self, PyObject *argument)
{
    double seconds = timeout_argument(argument);
    if (seconds < 0 || !store_enter(self)) {
        return NULL;
    }
    bool fine = true;
    if (seconds == 0) {
        timeout_lift(self);
    }
    else {
        fine = timeout_provide(self);
        if (fine) {
            self->timeout = seconds;
            fine = self->depth == 1 || timeout_begin(self);
        }
    }
    store_leave(self);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
store_get_timeout(StoreObject *self, void *Py_UNUSED(closure))
{
    double seconds = self->timeout;
    return seconds == 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(seconds);
}

/* --- waits in the library ---------------------------------------------------------------------
 *
 * The library's waits hear nothing. They are given an end when they are asked for: that of the
 * time that is left. The guest must not run on then and take the end for what it has waited for:
 * but the ticker may be late. So the store is looked at without it, at the next epoch checks, of
 * which one comes after the wait; when a host function is called; and when the call is over. */

/* Epoch checks between the moment when a guest asks for a wait and its end. Each costs the guest
 * some 30 ns. One that needs more of them is left to the ticker. */
#define WATCHED_CHECKS 1000

/* _cut_wait(when): the nanoseconds that a wait of so many may last, at most 2**64-1. */
static PyObject *
store_cut_wait(StoreObject *self, PyObject *argument)
{
    unsigned long long when = PyLong_AsUnsignedLongLong(argument);
    if (when == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    Moment expires = store_expires(self), now = moment_now();
    Moment left = expires == MOMENT_NEVER ? MOMENT_NEVER : expires > now ? expires - now : 0;
    if (left <= when && left != MOMENT_NEVER && store_enter(self)) {
        self->cut_short = true;
        self->watched_checks = WATCHED_CHECKS;
        wasmtime_context_set_epoch_deadline(self->context, 0);
        store_leave(self);
    }
    return PyErr_Occurred() ? NULL : PyLong_FromUnsignedLongLong(moment_min(when, left));
}

/* Whether the epoch callback is to be called at the next check again, instead of at the next
 * tick. */
static inline bool
store_is_watched(StoreObject *self)
{
    return UNLIKELY(self->watched_checks != 0) && self->watched_checks-- != 0;
}

/* The error for what goes on although its time was up in a wait; NULL: it may. */
static NOINLINE wasmtime_error_t *
store_refuse_late(StoreObject *self)
{
    self->stopped = store_stop_reason(self);
    return self->stopped != STOP_NOT ? stop_error(self) : NULL;
}

/* The native store dies. */
static void
store_leave_ticker(StoreObject *self)
{
    if (self->timeout != 0 || atomic_load(&self->expiry.scheduled) != 0) {
        ticker_forget(&self->expiry, self->timeout != 0);
    }
    self->timeout = 0;
}

/* --- interrupts ------------------------------------------------------------------------------- */

/* Whether a thread was inside, which is told to end what it runs. */
static bool
store_mark_interrupted(StoreObject *self)
{
    uintptr_t thread = atomic_load(&self->thread);
    while (thread != 0 && thread != STORE_INHERITED && !(thread & STORE_INTERRUPTED)) {
        atomic_store(&self->interrupted, (uintptr_t)moment_now());
        if (atomic_exchange_if(&self->thread, thread, thread | STORE_INTERRUPTED)) {
            return true;
        }
        thread = atomic_load(&self->thread);
    }
    return false;
}

static void waiting_wake_store(StoreObject *store);
static void async_wake(StoreObject *store); /* async/waits.c */

static PyObject *
store_interrupt(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (published(self->home) != NULL && !self->epochs) {
        PyErr_SetString(state.WasmtimeError, "interrupt() needs an engine with epoch checks: "
                                             "Config.epoch_interruption was set to False");
        return NULL;
    }
    if (store_mark_interrupted(self)) {
        ticker_interrupt(&self->expiry);
        waiting_wake_store(self);
        async_wake(self);
    }
    Py_RETURN_NONE;
}
