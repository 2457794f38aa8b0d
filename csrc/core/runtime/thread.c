/* What the core knows of the threads it runs on: their numbers, how much native stack each has
 * left, and which one Python runs signal handlers on.
 *
 * `this_thread` belongs to its thread and dies with it; nothing in it is owned. */

#if defined(_WIN32)
#include <io.h>
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
#include <sys/eventfd.h>
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
    uintptr_t callbacks; /* of native calls, that run Python code now: greenlets.c */
    PyObject *greenlet;  /* the one that they run in; not owned */
} Thread;

static THREAD_LOCAL Thread this_thread;

/* Counts how often Python was initialized in this process: another thread may be the main one
 * every time. */
static uintptr_t era;

/* The same, where several fields are wanted: computing the address is a function call,
 * which compilers make again for each field. */
static inline Thread *
thread_here(void)
{
    Thread *thread = &this_thread;
    OPAQUE(thread);
    return thread;
}

/* 0 means no thread, 1 is STORE_INHERITED and 2 STORE_HELD (entry.c); the highest bit is STORE_INTERRUPTED
 * (ticker.c). */
static uintptr_t threads_numbered = 2;

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

/* Bytes of native stack that this thread has left; with the GIL. */
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

/* On a thread of our own: signals belong to the other threads, which have
 * system calls that they interrupt. Faults are not blocked. */
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
