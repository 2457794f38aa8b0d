/* Taking the GIL in a callback, also while Python ends.
 *
 * A host callback that waits for the GIL while the interpreter finalizes would be ended by CPython
 * in the middle of the library's frames, which aborts. So from the exit hook on, no callback of
 * another thread starts to wait any more: it sleeps until the process is gone, as CPython 3.14 lets
 * all its threads do. What such a thread owns is never freed. */

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
    PyEval_RestoreThread(released); /* sleeps for ever by itself if need be */
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
