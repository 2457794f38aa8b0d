/* Asynchronous calls: what the driver, the kinds of calls and the native callbacks agree on.
 *
 * An AsyncCall is a coroutine of its own (call.c): an event loop sends to it, throws into it and
 * closes it, and each step (step.c) moves it on through these states:
 *
 *     FRESH ──► POLL ──► HOST    a host function was called: Python runs it, here, on the loop's
 *                │ ▲             stack; if it gives an awaitable, the call drives that, and what the
 *                │ │             awaitable yields is what the call yields
 *                │ ├──► YIELD   the guest gave way (epoch.c): a turn of the loop, in a queue (turns.c)
 *                │ └──► AWAY    the poll may block: it is made on another thread (away.c)
 *                ▼
 *               DONE
 *
 * Python never runs on the guest's stack (the fiber). A native callback only notes where its
 * arguments lie and where its results go, and answers "not yet" (note.c); the poll returns; Python
 * runs; the results are written; the next poll finds the answer. No Python code runs between
 * entering and leaving a poll or a deletion of a future (future.c), and none holds a pointer into
 * the fiber but through the note, which lives from the callback until the answer.
 *
 * A call begins another one in its store where its host function calls (child, parent). Only the
 * root is polled: the note's continuation, on the root's fiber, polls the child.
 *
 * Ownership: an AsyncCall owns all that its native future borrows: the function's object, the cells
 * of arguments and results, the trap and error cells, native linkers and modules (Handles). Its kind
 * frees the cells in `drop`. The future dies in future_drop() alone: child first, then parent, then
 * the store. A store knows its innermost call (StoreObject.call, borrowed), which holds the store;
 * so a store with a call in progress is never closed or collected under it.
 *
 * Fields are used inside of the store (base/common.h) unless a comment says otherwise. */

typedef struct AsyncHost AsyncHost;

/* What is done on the guest's stack: errand.c. */
typedef void (*Errand)(void *argument);

/* --- kinds of calls: a core function, an instantiation, a component's function, ... ---------- */

typedef struct {
    const char *name; /* for messages: "Func.call_async" */
    /* Make the native future, with call->trap and call->error as its cells. Inside of the store,
     * with the GIL; the arguments were lowered when the call was made, or are lowered here. NULL
     * with an exception. */
    wasmtime_call_future_t *(*start)(AsyncCall *call);
    /* The result, when the future is done, is deleted, and has left neither error nor trap. */
    PyObject *(*finish)(AsyncCall *call);
    /* Free the cells: call->cells and what lies in them. The future is gone. Called once. */
    void (*drop)(AsyncCall *call);
    /* Visit what the cells own; NULL: nothing that the collector must see. */
    int (*traverse)(AsyncCall *call, visitproc visit, void *arg);
    /* Improve the exception in flight, which the library's error became; or NULL. */
    void (*refine)(void);
    /* After a drop or an error, nothing of the store can be entered any more (components). */
    bool store_ends;
} AsyncKind;

/* --- host functions: noted on the fiber, run on the loop's stack ------------------------------ */

typedef struct AsyncHostKind {
    /* Call the Python function with the noted arguments: what it returned (a new reference; if it
     * is awaitable the driver awaits it), or NULL with an exception. */
    PyObject *(*run)(AsyncCall *call);
    /* Write what came of it where the library reads it. False with an exception: fail() follows. */
    bool (*answer)(AsyncCall *call, PyObject *result);
    /* An exception is in flight: keep it in call->pending and tell the library (a trap, an error).
     * False: the library cannot be told; the driver drops the call and raises the exception. */
    bool (*fail)(AsyncCall *call);
    /* The host call is over, answered or dropped: the Caller expires, copies are freed. May run
     * Python code; `host` is the call's no longer. */
    void (*end)(AsyncCall *call, AsyncHost *host);
} AsyncHostKind;

struct AsyncHost {
    const AsyncHostKind *kind; /* NULL: nothing is noted */
    PyObject *function;        /* HostFunc or ComponentHostFunc, which the definitions keep */
    CallerObject *caller;      /* what the function was given, if it asks for it; a reference */
    bool awaits;               /* an awaitable result is awaited; false: it is an externref */
    bool again;                /* answer() did not answer yet: run() is called once more */
    union {
        struct {
            wasmtime_caller_t *caller;
            const wasmtime_val_t *params;
            wasmtime_val_t *results;
            wasm_trap_t **trap;
        } core;
        void *cells; /* of another kind */
    } note;
};

/* --- the call --------------------------------------------------------------------------------- */

typedef enum {
    ASYNC_FRESH, /* made, not begun: nothing native exists */
    ASYNC_POLL,  /* the guest can go on */
    ASYNC_HOST,  /* `inner` is what a host function gave, driven by this call */
    ASYNC_YIELD, /* waits for its turn; `inner` is what it waits with, or NULL */
    ASYNC_AWAY,  /* `inner` waits for a poll on another thread */
    ASYNC_DONE,  /* over: returned, raised or dropped */
} AsyncState;

struct AsyncCall {
    PyObject_HEAD
    const AsyncKind *kind;
    StoreObject *store;
    PyObject *object; /* what is called, kept during the call: a Func, the definitions, ... */
    void *cells;      /* of the kind: what the future borrows besides */
    AsyncState state;
    bool stepping;      /* a step runs (also further down this stack) */
    bool serving;       /* Python code of its host function runs: it may call into the store */
    PyObject *greenlet; /* in which that runs, to be compared only; NULL: there are none */
    bool blocking;      /* there is no event loop: run to the end (async_call_run) */
    bool queued;        /* in the queue of turns */
    bool waits;         /* the same: it has been told what to wait with */
    bool computes;      /* it gave way in the middle, and did not wait for its host */
    bool away;          /* another thread polls it */
    bool abandoned;     /* the same, and nobody waits for it: it is dropped when the poll is over */
    bool dying;         /* it is being deallocated: nobody counts references to it any more */
    bool native_done;   /* the future is done */
    bool answered;      /* the note is answered: the continuation says so at the next poll */
    wasmtime_call_future_t *future;
    wasm_trap_t *trap;       /* cells that the future borrows */
    wasmtime_error_t *error; /* the same */
    AsyncHost host;          /* the host call that is noted */
    PyObject *inner;         /* the awaitable's iterator that is driven, or NULL */
    PyObject *scope;         /* of trio's, that `inner` is awaited in, or NULL: waits.c */
    PyObject *timer;         /* the loop's, for the end of the store's time, or NULL: waits.c */
    Moment timer_at;         /* when that is */
    Errand errand;           /* to be run by the continuation, or NULL */
    void *errand_argument;
    Pending pending;     /* what host code left for this call */
    AsyncCall *parent;   /* owned: the call whose host function made this one */
    AsyncCall *child;    /* borrowed: the one that ours made */
    AsyncCall *previous; /* in the queue of turns, borrowed */
    AsyncCall *next;
    PyObject *waiter; /* what it waits for there, to be woken with; or NULL */
    PyObject *weakrefs;
};

/* For native callbacks, on the fiber, without the GIL:
 *
 *     AsyncHost *host = async_note(store, &kind, function, continuation);
 *     host->note... = ...
 *
 * A callback that is done at once does not call it and sets continuation->callback =
 * async_at_once. */
static AsyncHost *async_note(StoreObject *store, const AsyncHostKind *kind, void *function,
                             wasmtime_async_continuation_t *continuation);
static bool async_at_once(void *env);

/* For what makes calls: a call of this kind, FRESH; takes `cells`, which kind->drop() frees also if
 * this fails (NULL with an exception). */
static AsyncCall *async_call_new(const AsyncKind *kind, StoreObject *store, void *object,
                                 void *cells);
/* Run a call to its end without an event loop, for a synchronous call into a store that is
 * asynchronous; takes the reference. Where a coroutine has to wait: WasmtimeError. */
static PyObject *async_call_run(AsyncCall *call);

/* Around what may collect the garbage of a store. */
static bool errand_check_call(const StoreObject *store);
static void errand_run(StoreObject *store, Errand run, void *argument);

static inline bool
errand_check(const StoreObject *store)
{
    return LIKELY(store->call == NULL) || errand_check_call(store);
}
