/* Store: its fields, and who owns what in a store.
 *
 * Ownership: a Store owns the native store and everything that native code may reach while it
 * lives: the host functions made in it or linked into it (`kept`, `definitions`), the Python
 * objects behind its externrefs (`boxes`), its data, its output sinks. Native code holds plain
 * pointers to those, never counted ones, so that the garbage collector sees every reference and
 * collects a cycle through a store. They die after the native store, never before. The native store
 * dies in store_delete() (store.c) alone: when it is closed, or when the Store is collected.
 *
 * entry.c says who may enter, call.c how the library is called, callback.c how it calls back.
 *
 * Without the GIL (base/common.h), only the thread that is inside touches the fields, unless a
 * comment says otherwise. */

/* A Python object that WebAssembly holds as an externref. The library says when it dropped
 * the reference, possibly without the GIL; the box waits in `dropped` until the GIL is ours. */
typedef struct ExternBox {
    PyObject *object;
    StoreObject *store;
    struct ExternBox *previous, *next;
    struct ExternBox *next_dropped;
} ExternBox;

/* How long the native call in progress takes, which is measured now and then: gil.c. */
typedef struct {
    struct Tempo *tempo;
    Moment mark;        /* when WebAssembly last began to run, or called out */
    uintptr_t serial;   /* the ticker's `holder_serial`, at the latter */
    Moment guest;       /* nanoseconds in which it ran, */
    Moment waited;      /* and those until the GIL was back */
    uintptr_t others;   /* calls that kept the GIL meanwhile */
    uint32_t stretches; /* runs of WebAssembly: calls of host functions, and one */
} Timing;

#define DEADLINE_NEVER ((uintptr_t)-1)

/* Why what a store runs must end. */
typedef enum {
    STOP_NOT,
    STOP_DEADLINE,  /* the engine's epoch has come to Store.set_epoch_deadline() */
    STOP_TIMEOUT,   /* the time of Store.set_timeout() is up */
    STOP_INTERRUPT, /* Store.interrupt() */
    STOP_REASONS
} StopReason;

/* What host code left for the native call that it ran under, one or the other. */
typedef struct {
    PyObject *raised; /* an exception on its way out, through WebAssembly */
    PyObject *thrown; /* a WasmException that was thrown into the guest, which may catch it */
} Pending;

static inline bool
pending_any(const Pending *pending)
{
    return pending->raised != NULL || pending->thrown != NULL;
}

/* Bounds of what may be in a store, or -1: sizes of each memory (bytes) and table (elements), and
 * counts. */
typedef struct {
    long long memory_size, table_elements, instances, tables, memories;
} StoreLimits;

struct StoreObject {
    OwnerObject owner;           /* only `engine` and `closed` are used: `store` is not shared */
    wasmtime_store_t *store;     /* relaxed: NULL once deleted */
    wasmtime_context_t *context; /* relaxed: NULL once closed, or deleted */
    HandleObject *engine_handle; /* keeps the native engine for the ticker */
    PyObject *home;              /* once: weak reference to this Store, the identity of what lives
                                  * in it */
    PyObject *weakrefs;
    uintptr_t exports;       /* atomic: views of its memories that exist */
    uintptr_t pins;          /* atomic: raw pointers into its memories that exist */
    uintptr_t thread;        /* atomic: thread_id() of the thread inside, or 0 */
    uint32_t depth;          /* how often it entered */
    uint16_t watched_checks; /* epoch checks to come at which its time is looked at: stopping.c */
    bool vast;      /* the system takes its time to free it: a snapshot was mapped into it */
    bool inherited; /* what its guest called forked: the child asks when that returns */
    uintptr_t stack_wanted; /* bytes for an outermost call; too many with a timeout: call.c */
    uintptr_t interrupted;  /* atomic: the Moment of the last Store.interrupt() */
    double timeout;         /* seconds for each outermost call, or 0 */
    Expiry expiry;          /* what the ticker knows of it */
    struct Waiter *waiter;  /* locked by waiting.c: its guest waits */
    /* Small fields stand together: a Store of 512 bytes, with what Python adds to it, comes from
     * Python's allocator, and a larger one from malloc(). */
    bool epochs;
    char has_wasi;   /* relaxed: WASI's functions may be called; without, they would abort */
    bool lends;      /* its calls may keep the GIL for a while: gil.c */
    uint8_t gil;     /* what the innermost native call does with it: gil.c */
    bool cut_short;  /* a wait of its guest may end with its time: stopping.c */
    bool limited;    /* `limits` were given */
    bool told;       /* the host function of `awaited` was cancelled, since the guest is to end */
    uint8_t stopped; /* StopReason: why the innermost native call was ended */
    Timing timing;   /* of the one that is timed; calls below it are not */
    PyThreadState *released; /* how a callback gets the GIL; NULL: it is held */
    Pending pending;         /* of the innermost native call */
    uintptr_t deadline;      /* in the engine's user epochs */
    StoreLimits limits;      /* the user's: limits.c */
    uint32_t own_instances;  /* what the package made in it for itself */
    uint32_t own_memories;
    PyObject *deadline_callback;
    wasmtime_func_t taker;    /* see exnref_take(); made when it is first needed */
    wasmtime_exnref_t *taken; /* where to, while it runs */
    ExternBox *boxes;
    ExternBox *dropped;
    PyObject *definitions; /* of the first linker that was used here, or NULL */
    PyObject *kept;        /* dict: id -> host functions, other linkers' definitions; or NULL */
    PyObject *sinks;       /* list of (OutputSink, callable), or NULL */
    PyObject *wasi;        /* a WasiObject, or NULL */
    struct WasiForwarded *forwarded; /* owned: instances of ours, by the memory they serve */
    PyObject *data;                  /* locked */
    PyObject *context_cdata;         /* locked */
    /* Asynchronous calls (async/async.h). */
    AsyncCall *call;   /* the innermost one in progress, which holds this store; or NULL */
    PyObject *awaited; /* locked: what its innermost host function waits for, or NULL: waits.c */
    struct Destruction *destructions; /* resources that the guest dropped: destruction.c */
    Moment poll_ends;                 /* the guest gives way then */
    bool asynchronous;                /* for good: what is linked here is linked asynchronously */
    bool links_python; /* Python functions were linked synchronously: no call may be asynchronous */
    bool blocks;       /* what is linked here may block: WASI of components */
    bool roams;        /* a guest that computes for long is polled on other threads */
    bool polling;      /* the guest runs on a fiber: no Python code until the poll returns */
    bool yielded;      /* the epoch callback ended the poll */
    bool has_stack;    /* of the library's, for asynchronous calls: stacks.c */
    bool over;         /* a component was ended in the middle of a call: none can be entered */
};

/* The native call in progress was made through cffi, which released the GIL itself. */
#define RELEASED_BY_CFFI ((PyThreadState *)1)

static void destructions_forget(StoreObject *store); /* component/destruction.c */
static bool sinks_deliver(StoreObject *store);
static bool sinks_have_output(StoreObject *store);
static void sinks_detach(StoreObject *store);
static bool sinks_add(StoreObject *store, PyObject *pair);
static void forwarded_free(struct WasiForwarded *first);
