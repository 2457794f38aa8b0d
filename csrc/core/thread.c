/* What the core knows of the threads it runs on: how much native stack each has left,
 * whether the interpreter is leaving, and the watchdog that lets Python's signal handlers
 * run while the main thread is inside WebAssembly. */

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#endif

/* One per native thread. */
typedef struct {
    uintptr_t id;        /* see thread_id(); 0 until it is asked for */
    uintptr_t stack_low; /* lowest usable address of the stack, 0 until the thread is known */
    bool is_main;        /* Python runs signal handlers on this one */
    uintptr_t callbacks; /* of native calls, that run Python code now: see greenlets.c */
    PyObject *greenlet;  /* the one that they run in; not owned */
} Thread;

static THREAD_LOCAL Thread this_thread;

/* The same, where several fields are wanted: to compute the address is a call in itself, which
 * compilers make again for each field. */
static inline Thread *
thread_here(void)
{
    Thread *thread = &this_thread;
    OPAQUE(thread);
    return thread;
}

static uintptr_t threads_numbered;

static NOINLINE uintptr_t
thread_number(void)
{
    return this_thread.id = atomic_add(&threads_numbered, 1);
}

/* What a store or a linker knows this thread by. Never used again when the thread is gone: one may
 * end while a greenlet of it waits inside of a store, which nothing can enter any more then. */
static inline uintptr_t
thread_id(void)
{
    uintptr_t id = this_thread.id;
    return LIKELY(id != 0) ? id : thread_number();
}

/* Room that host code (Python, the C API, signal handlers) needs below WebAssembly's own. */
#define STACK_MARGIN ((uintptr_t)(192 * 1024))

#if !defined(__linux__) && !defined(__APPLE__)
static uintptr_t importing_thread; /* no question to ask there: the importing one must do */
#endif

static NOINLINE void
thread_find_out(Thread *thread)
{
#if defined(__linux__)
    thread->is_main = syscall(SYS_gettid) == (long)getpid();
#elif defined(__APPLE__)
    thread->is_main = pthread_main_np() != 0;
#else
    thread->is_main = (uintptr_t)PyThread_get_thread_ident() == importing_thread;
#endif

    uintptr_t low = 1; /* unknown: nothing is refused */
#if defined(_WIN32)
    ULONG_PTR lowest, highest;
    GetCurrentThreadStackLimits(&lowest, &highest);
    low = (uintptr_t)lowest;
#elif defined(__APPLE__)
    pthread_t self = pthread_self();
    low = (uintptr_t)pthread_get_stackaddr_np(self) - pthread_get_stacksize_np(self);
#else
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        void *base;
        size_t size, guard = 0;
        if (pthread_attr_getstack(&attributes, &base, &size) == 0) {
            low = (uintptr_t)base;
            if (pthread_attr_getguardsize(&attributes, &guard) == 0) {
                low += guard;
            }
        }
        pthread_attr_destroy(&attributes);
    }
#endif
    thread->stack_low = low;
}

/* Bytes of native stack that this thread has left. */
static inline uintptr_t
thread_stack_left(Thread *thread)
{
    char here;
    uintptr_t position = (uintptr_t)&here;
    if (UNLIKELY(thread->stack_low == 0)) {
        thread_find_out(thread);
    }
    return position > thread->stack_low ? position - thread->stack_low : 0;
}

/* need_stack(size, what): for what the library does on the caller's stack outside of a store. */
static PyObject *
core_need_stack(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_ssize_t size;
    const char *what;
    if (!PyArg_ParseTuple(args, "ns:need_stack", &size, &what)) {
        return NULL;
    }
    uintptr_t left = thread_stack_left(&this_thread);
    if (left < (uintptr_t)size) {
        PyErr_Format(state.WasmtimeError,
                     "this thread has %zu bytes of native stack left, but %s needs %zd: start the "
                     "thread with a larger threading.stack_size()",
                     (size_t)left, what, size);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------------------------
 * Leaving. A host callback that waits for the GIL while the interpreter finalizes would be
 * ended by CPython in the middle of the library's frames, which aborts. So from the exit
 * hook on, no callback of another thread starts to wait any more: it sleeps until the
 * process is gone, as CPython 3.14 lets all its threads do. */

static uintptr_t leaving;   /* set by the exit hook */
static uintptr_t acquiring; /* callbacks that are about to take the GIL */

static NOINLINE void
sleep_for_ever(void)
{
    for (;;) {
#if defined(_WIN32)
        Sleep(INFINITE);
#else
        pause();
#endif
    }
}

/* Take the GIL back inside a callback of the library. */
static inline void
callback_take_gil(PyThreadState *released)
{
#if PY_VERSION_HEX >= 0x030E0000 && !defined(Py_LIMITED_API)
    PyEval_RestoreThread(released); /* sleeps for ever by itself, where there is need to */
#else
    if (LIKELY(this_thread.is_main)) {
        PyEval_RestoreThread(released);
        return;
    }
    atomic_add(&acquiring, 1);
    if (UNLIKELY(atomic_load(&leaving) || interpreter_is_finalizing())) {
        atomic_sub(&acquiring, 1);
        sleep_for_ever();
    }
    PyEval_RestoreThread(released);
    atomic_sub(&acquiring, 1);
#endif
}

static void
sleep_a_millisecond(void)
{
#if defined(_WIN32)
    Sleep(1);
#else
    struct timespec pause_time = {0, 1000000};
    nanosleep(&pause_time, NULL);
#endif
}

PyDoc_STRVAR(leave_doc,
             "leave($module, /)\n--\n\n"
             "Exit hook: host callbacks of other threads stop taking the GIL from here on.");

static PyObject *
core_leave(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    atomic_store(&leaving, 1);
    Py_BEGIN_ALLOW_THREADS;
    /* Those that already wait get the GIL now and give it back when they return to
     * WebAssembly or end; one that runs Python code for long is not waited for. */
    for (int i = 0; i < 200 && atomic_load(&acquiring) != 0; i++) {
        sleep_a_millisecond();
    }
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------------------------
 * The watchdog. CPython runs signal handlers on the main thread between bytecodes, which
 * never comes while that thread loops in WebAssembly. So a small native thread looks every
 * few milliseconds whether the main thread is still in the same call as last time, and if
 * so moves the engine's epoch; the epoch callback (store.c) then takes the GIL on the main
 * thread and lets the handlers run. Calls that are nested in one another count as one: a
 * guest may loop over a host function that is a WebAssembly function itself, and no bytecode
 * ever runs. It sleeps when the main thread is elsewhere, and costs a call two stores. */

static struct {
    uintptr_t engine;  /* wasm_engine_t of the call the main thread is in, or 0 */
    uintptr_t serial;  /* counts those calls, without the nested ones */
    uintptr_t parked;  /* the watchdog sleeps and must be woken */
    uintptr_t started; /* it exists, in this process */
    PyThread_type_lock wake;
    PyThread_type_lock engines; /* held while the epoch is moved, and while an engine dies */
} watchdog;

#define WATCHDOG_TICK_MICROSECONDS 20000

static void
watchdog_run(void *Py_UNUSED(ignored))
{
#if !defined(_WIN32)
    /* Signals belong to the other threads: here they would interrupt nobody's system call. */
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
#endif
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
            sleep_a_millisecond();
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

#if !defined(_WIN32)
/* The child of a fork has neither the watchdog nor the compiler's threads. */
static void
thread_after_fork(void)
{
    watchdog.wake = PyThread_allocate_lock();
    watchdog.engines = PyThread_allocate_lock();
    PyThread_acquire_lock(watchdog.wake, WAIT_LOCK);
    watchdog.started = 0;
    watchdog.parked = 1;
    watchdog.engine = 0;
    acquiring = 0;
    this_thread.stack_low = 0; /* the thread that forked is the child's main thread */
}
#endif

static bool
thread_setup(void)
{
    watchdog.wake = PyThread_allocate_lock();
    watchdog.engines = PyThread_allocate_lock();
    if (watchdog.wake == NULL || watchdog.engines == NULL) {
        PyErr_NoMemory();
        return false;
    }
    PyThread_acquire_lock(watchdog.wake, WAIT_LOCK);
#if !defined(__linux__) && !defined(__APPLE__)
    importing_thread = (uintptr_t)PyThread_get_thread_ident();
#endif
    watchdog.parked = 1; /* not started is the same to a caller as asleep */
#if !defined(_WIN32)
    pthread_atfork(NULL, NULL, thread_after_fork);
#endif
    return true;
}
