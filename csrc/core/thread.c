/* What the core knows of the threads it runs on: how much native stack each has left,
 * whether the interpreter is leaving, and the watchdog that lets Python's signal handlers
 * run while the main thread is inside WebAssembly. */

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
#else
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#endif

/* One per native thread; its address is the thread's identity in a store's `owner`. */
typedef struct {
    uintptr_t stack_low; /* lowest usable address of the stack, 0 until the thread is known */
    bool is_main;        /* Python runs signal handlers on this one */
} Thread;

static THREAD_LOCAL Thread this_thread;

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

/* On a thread of our own: signals belong to the other threads, since here they would interrupt
 * nobody's system call. Faults stay what they are. */
static void
thread_leave_signals_to_others(void)
{
#if !defined(_WIN32)
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t others;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sigdelset(&others, faults[i]);
    }
    pthread_sigmask(SIG_BLOCK, &others, NULL);
#endif
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
 * thread and lets the handlers run. It sleeps when the main thread is elsewhere, and costs
 * a call two stores. */

static struct {
    uintptr_t engine;  /* wasm_engine_t of the call the main thread is in, or 0 */
    uintptr_t serial;  /* counts those calls */
    uintptr_t parked;  /* the watchdog sleeps and must be woken */
    uintptr_t started; /* it exists, in this process */
    PyThread_type_lock wake;
    PyThread_type_lock engines; /* held while the epoch is moved, and while an engine dies */
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
    atomic_store_relaxed(&watchdog.serial, atomic_load_relaxed(&watchdog.serial) + 1);
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
