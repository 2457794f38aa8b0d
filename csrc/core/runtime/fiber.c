/* Python code on a stack of the library's.
 *
 * A component that needs an event loop runs on a fiber, a stack of Config.async_stack_size bytes,
 * and so does what Python runs in the middle of its calls: host functions, signal handlers, output
 * and deadline callbacks. CPython does not know that stack, and the library ends the process when
 * it overflows.
 *
 * What is known is that WebAssembly leaves all of it alone that exceeds Config.max_wasm_stack. So
 * while Python code runs there, the thread's stack is taken to end after so many bytes, and the
 * thread has as many levels of recursion as fit into them.
 *
 * Greenlets cannot run there: what greenlet copies lies between two stacks, where no memory is.
 *
 * The library owns the stack, for as long as the call runs; a Fiber here only remembers what was
 * set aside of the thread for the length of a callback. */

/* What a level of recursion takes, at most: 5.6 KiB were measured, in sorted(key=) of CPython 3.9
 * (3.13: 5.1 KiB; most others are below 3 KiB). */
#define FIBER_LEVEL ((uintptr_t)(8 * 1024))
/* For what does not recur: C functions with large frames, and the library's own. */
#define FIBER_MARGIN ((uintptr_t)(96 * 1024))
/* With less, Python code is of no use. */
#define FIBER_LEAST_LEVELS 64

#ifdef Py_LIMITED_API
#define RUNNING_PYTHON Py_Version
#else
#define RUNNING_PYTHON PY_VERSION_HEX
#endif

typedef struct {
    uintptr_t stack_low; /* the thread's own */
    int levels;          /* of recursion, that are kept from Python code */
} Fiber;

/* The part of a fiber that is left to Python code. */
static inline uintptr_t
fiber_room(const EngineObject *engine)
{
    return engine->fiber_stack - engine->wasm_stack;
}

static int
fiber_levels(uintptr_t room)
{
    uintptr_t levels = room > FIBER_MARGIN ? (room - FIBER_MARGIN) / FIBER_LEVEL : 0;
    return levels < INT_MAX ? (int)levels : INT_MAX;
}

/* Whether Python code can run on a fiber of the engine; to be asked before one is made. */
static bool
fiber_check(const EngineObject *engine)
{
    int levels = FIBER_LEAST_LEVELS;
    /* From 3.14 on, CPython counts no levels of C code, but measures a stack, which is not this. */
    if (RUNNING_PYTHON >= 0x030E0000 && Py_GetRecursionLimit() > levels) {
        levels = Py_GetRecursionLimit();
    }
    if (LIKELY(fiber_levels(fiber_room(engine)) >= levels)) {
        return true;
    }
    PyErr_Format(state.WasmtimeError,
                 "a component that may wait runs on a stack of Config.async_stack_size (%zu) "
                 "bytes, of which WebAssembly may use Config.max_wasm_stack (%zu): the rest is too "
                 "little for the Python code that its calls may run, which needs %zu bytes; set "
                 "async_stack_size to %zu or more",
                 (size_t)engine->fiber_stack, (size_t)engine->wasm_stack,
                 (size_t)(FIBER_MARGIN + (uintptr_t)levels * FIBER_LEVEL),
                 (size_t)(engine->wasm_stack + FIBER_MARGIN + (uintptr_t)levels * FIBER_LEVEL));
    return false;
}

/* Leave this thread at most so many levels of recursion; returns how many were taken from it. */
static int
recursion_leave(int levels)
{
    int taken = 0;
#if PY_VERSION_HEX < 0x030A0000
    /* Near the limit, CPython 3.9 would not recover from what is done below. */
    int left = Py_GetRecursionLimit() - PyThreadState_Get()->recursion_depth;
    while (left - taken > levels && Py_EnterRecursiveCall("") == 0) {
        taken++;
    }
#else
    /* How many are left cannot be asked: all are taken, and some are given back. */
    while (Py_EnterRecursiveCall("") == 0) {
        taken++;
    }
    PyErr_Clear();
    for (; levels > 0 && taken > 0; levels--, taken--) {
        Py_LeaveRecursiveCall();
    }
#endif
    return taken;
}

/* Between these two, Python code runs on a fiber. */
static NOINLINE Fiber
fiber_begin(Thread *thread, const EngineObject *engine)
{
    char here;
    uintptr_t room = fiber_room(engine);
    Fiber fiber = {thread->stack_low, 0};
    thread->stack_low = (uintptr_t)&here - room;
    int levels = fiber_levels(room);
    if (RUNNING_PYTHON < 0x030E0000 && Py_GetRecursionLimit() > levels) {
        fiber.levels = recursion_leave(levels);
    }
    return fiber;
}

static NOINLINE void
fiber_end(Fiber fiber, Thread *thread)
{
    thread->stack_low = fiber.stack_low;
    for (; fiber.levels > 0; fiber.levels--) {
        Py_LeaveRecursiveCall();
    }
}

/* Whether Python code on a fiber has no greenlets to switch to; otherwise the exception is set. */
static NOINLINE bool
fiber_without_greenlets(void)
{
    if (!greenlets_exist()) {
        return true;
    }
    PyErr_SetString(state.WasmtimeError,
                    "a component that may wait runs on a stack of its own, where greenlets cannot "
                    "switch: it can call no Python function in a process that has imported "
                    "greenlet (as gevent, eventlet and SQLAlchemy do); use a process without");
    return false;
}
