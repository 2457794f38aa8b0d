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
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/resource.h>
#endif
#endif
#include <signal.h>

/* One per native thread. */
typedef struct {
    uintptr_t id;        /* see thread_id(); 0 until it is asked for */
    uintptr_t era;       /* when stack_low and is_main were found out; 0: not yet */
    uintptr_t stack_low; /* lowest usable address of the stack */
    bool is_main;        /* Python runs signal handlers on this one */
    uintptr_t callbacks; /* of native calls, that run Python code now: see greenlets.c */
    PyObject *greenlet;  /* the one that they run in; not owned */
} Thread;

static THREAD_LOCAL Thread this_thread;

/* Counts how often Python was initialized in this process: another thread may be the main one
 * every time. */
static uintptr_t era;

/* The same, where several fields are wanted: to compute the address is a call in itself, which
 * compilers make again for each field. */
static inline Thread *
thread_here(void)
{
    Thread *thread = &this_thread;
    OPAQUE(thread);
    return thread;
}

/* 0 is nobody, and 1 is STORE_INHERITED (store.c). */
static uintptr_t threads_numbered = 1;

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

#if defined(__linux__)
#define MIB ((uintptr_t)1 << 20)

/* The lowest address that the stack of the process's first thread may grow down to, if that is the
 * stack that we are on, or else `reported`. The kernel lets it grow to RLIMIT_STACK; some C
 * libraries, musl among them, report no more than what is mapped so far. */
static uintptr_t
first_stack_low(uintptr_t reported)
{
    const char *last = (const char *)getauxval(AT_EXECFN); /* lies at the top of that stack */
    struct rlimit limit;
    if (last == NULL || getrlimit(RLIMIT_STACK, &limit) != 0) {
        return reported;
    }
    uintptr_t top = ((uintptr_t)last + strlen(last) + 4095) & ~(uintptr_t)4095;
    /* Without a limit, what is usual. More than 64 MiB are not sure to be free below: the kernel
     * arranges for the limit with which the program was started. */
    uintptr_t size = limit.rlim_cur == RLIM_INFINITY ? 8 * MIB
                     : limit.rlim_cur > 64 * MIB     ? 64 * MIB
                                                     : (uintptr_t)limit.rlim_cur;
    uintptr_t here = (uintptr_t)&limit;
    bool on_it = here < top && top - here < size;
    return on_it && top - size < reported ? top - size : reported;
}
#endif

static uintptr_t
thread_stack_low(void)
{
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
#if defined(__linux__)
    low = first_stack_low(low);
#endif
#endif
    return low;
}

/* Whether Python runs signal handlers on this thread, which need not be the process's first.
 * CPython has its own record of it and tells it in one way on all versions: signal() refuses
 * another thread with a ValueError, before it looks at the handler. */
static bool
thread_is_main(void)
{
    PyObject *in_flight = PyErr_GetRaisedException();
    PyObject *answer = PyObject_CallFunction(state.signal, "iO", SIGINT, Py_None);
    Py_XDECREF(answer);
    bool is_main = !PyErr_ExceptionMatches(PyExc_ValueError);
    PyErr_Clear();
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
    return is_main;
}

/* With the GIL. */
static NOINLINE void
thread_find_out(Thread *thread)
{
    thread->is_main = thread_is_main();
    thread->stack_low = thread_stack_low();
    thread->era = era;
    faults_unblock();
}

/* Bytes of native stack that this thread has left. */
static inline uintptr_t
thread_stack_left(Thread *thread)
{
    char here;
    uintptr_t position = (uintptr_t)&here;
    if (UNLIKELY(thread->era != era)) {
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

static uintptr_t leaving;   /* the Thread that runs the exit hook, from then on */
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

/* Whether this thread would be ended if it waited for the GIL: another one finalizes Python, or has
 * done so since this one entered WebAssembly. */
static inline bool
thread_is_left_behind(void)
{
    return (atomic_load(&leaving) || interpreter_is_finalizing() || this_thread.era != era)
           && atomic_load(&leaving) != (uintptr_t)&this_thread;
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
    if (UNLIKELY(thread_is_left_behind())) {
        atomic_sub(&acquiring, 1);
        sleep_for_ever();
    }
    PyEval_RestoreThread(released);
    atomic_sub(&acquiring, 1);
#endif
}

static void
thread_pause(unsigned microseconds)
{
#if defined(_WIN32)
    Sleep((microseconds + 999) / 1000); /* less than one millisecond would be none at all */
#else
    struct timespec pause_time = {0, (long)microseconds * 1000};
    nanosleep(&pause_time, NULL);
#endif
}

PyDoc_STRVAR(leave_doc,
             "leave($module, /)\n--\n\n"
             "Exit hook: host callbacks of other threads stop taking the GIL from here on.");

static PyObject *
core_leave(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    atomic_store(&leaving, (uintptr_t)&this_thread);
    Py_BEGIN_ALLOW_THREADS;
    /* Those that already wait get the GIL now and give it back when they return to
     * WebAssembly or end; one that runs Python code for long is not waited for. */
    for (int i = 0; i < 200 && atomic_load(&acquiring) != 0; i++) {
        thread_pause(1000);
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
    watchdog.parked = 0; /* nobody tries to wake it */
    watchdog.engines = NULL;
    watchdog.wake = PyThread_allocate_lock();
    if (watchdog.wake == NULL || (watchdog.engines = PyThread_allocate_lock()) == NULL) {
        return false;
    }
    PyThread_acquire_lock(watchdog.wake, WAIT_LOCK);
    watchdog.parked = 1; /* not started is the same to a caller as asleep */
    return true;
}

/* Around the end of an engine, which must not come while its epoch is moved. */
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
