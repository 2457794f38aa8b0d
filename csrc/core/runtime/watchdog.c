/* The watchdog: signals while the main thread is in WebAssembly.
 *
 * CPython runs signal handlers on the main thread between bytecodes, which never comes while that
 * thread loops in WebAssembly. So a small native thread looks every few milliseconds whether the
 * main thread is still in the same call as last time. If so, it moves the engine's epoch; the epoch
 * callback (epoch.c) then takes the GIL on the main thread and lets the handlers run. Calls that
 * are nested in one another count as one: a guest may loop over a host function that is a
 * WebAssembly function itself, and no bytecode ever runs. The watchdog sleeps while the main thread
 * is elsewhere, and costs a call two stores.
 *
 * There is one for the process, started when first needed. It owns no engine: one dies under the
 * lock `engines` only. */

static struct {
    uintptr_t engine;  /* wasm_engine_t of the call the main thread is in, or 0 */
    uintptr_t serial;  /* counts those calls, without the nested ones */
    uintptr_t parked;  /* the watchdog sleeps and must be woken */
    uintptr_t started; /* it exists, in this process */
    PyThread_type_lock wake;
    PyThread_type_lock engines; /* held while the epoch is moved, and while an engine dies; NULL:
                                 * there will be no watchdog */
} watchdog;

#define WATCHDOG_TICK_MICROSECONDS 20000

static void
watchdog_run(void *Py_UNUSED(ignored))
{
    thread_leave_signals_to_others();
    uintptr_t seen = 0;
    for (;;) {
        PyLockStatus status =
            PyThread_acquire_lock_timed(watchdog.wake, WATCHDOG_TICK_MICROSECONDS, 0);
        (void)status;
        PyThread_acquire_lock(watchdog.engines, WAIT_LOCK);
        uintptr_t serial = atomic_load(&watchdog.serial);
        uintptr_t engine = atomic_load(&watchdog.engine);
        if (engine != 0 && serial == seen) {
            wasmtime_engine_increment_epoch((wasm_engine_t *)engine);
        }
        PyThread_release_lock(watchdog.engines);
        if (engine == 0 && serial == seen) {
            /* Nothing came in for a whole tick. Park, look once more, wait. */
            atomic_store(&watchdog.parked, 1);
            /* The caller's side has no fence; a millisecond drains any store buffer. */
            thread_pause(1000);
            if (atomic_load(&watchdog.serial) == seen && atomic_load(&watchdog.engine) == 0) {
                PyThread_acquire_lock(watchdog.wake, WAIT_LOCK);
            }
            atomic_store(&watchdog.parked, 0);
        }
        seen = serial;
    }
}

static NOINLINE void
watchdog_wake(void)
{
    if (!atomic_load(&watchdog.started)) {
        if (PyThread_start_new_thread(watchdog_run, NULL) == PYTHREAD_INVALID_THREAD_ID) {
            return; /* no thread to be had: signals wait until the call is over */
        }
        atomic_store(&watchdog.parked, 0);
        atomic_store(&watchdog.started, 1);
        return;
    }
    PyThread_release_lock(watchdog.wake);
}

/* Around a native call on the main thread; returns what to put back afterwards. */
static inline uintptr_t
watchdog_enter(wasm_engine_t *engine)
{
    uintptr_t outer = atomic_load_relaxed(&watchdog.engine);
    if (LIKELY(outer == 0)) {
        atomic_store_relaxed(&watchdog.serial, atomic_load_relaxed(&watchdog.serial) + 1);
    }
    atomic_store_relaxed(&watchdog.engine, (uintptr_t)engine);
    if (UNLIKELY(atomic_load_relaxed(&watchdog.parked))) {
        atomic_store(&watchdog.parked, 0);
        watchdog_wake();
    }
    return outer;
}

static inline void
watchdog_exit(uintptr_t outer)
{
    atomic_store_relaxed(&watchdog.engine, outer);
}

/* No thread runs it yet. */
static bool
watchdog_prepare(void)
{
    watchdog.engine = 0;
    watchdog.started = 0;
    watchdog.parked = 0; /* no caller tries to wake it */
    watchdog.engines = NULL;
    watchdog.wake = PyThread_allocate_lock();
    if (watchdog.wake == NULL || (watchdog.engines = PyThread_allocate_lock()) == NULL) {
        return false;
    }
    PyThread_acquire_lock(watchdog.wake, WAIT_LOCK);
    watchdog.parked = 1; /* not started is the same to a caller as asleep */
    return true;
}

/* Around the deletion of an engine, which must not happen while its epoch is moved. */
static void
watchdog_hold(void)
{
    if (watchdog.engines != NULL) {
        PyThread_acquire_lock(watchdog.engines, WAIT_LOCK);
    }
}

static void
watchdog_go_on(void)
{
    if (watchdog.engines != NULL) {
        PyThread_release_lock(watchdog.engines);
    }
}

#if !defined(_WIN32)
/* The child of a fork has neither the watchdog nor the compiler's threads. */
static void
thread_after_fork(void)
{
    (void)watchdog_prepare(); /* without it, signals wait until a call is over */
    acquiring = 0;
    this_thread.era = 0;
    this_thread.is_main = true; /* the thread that forked is the child's main one */
}
#endif

/* Python was initialized, perhaps not for the first time. The watchdog is the process's. */
static bool
thread_begin(void)
{
    if (era == 0) {
        if (!watchdog_prepare()) {
            PyErr_NoMemory();
            return false;
        }
#if !defined(_WIN32)
        pthread_atfork(NULL, NULL, thread_after_fork);
#endif
    }
    leaving = 0;
    acquiring = 0;
    era++;
    return true;
}
