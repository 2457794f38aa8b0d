/* WASI preview 1 of our own: what its functions share.
 *
 * Nine functions stand in the place of the library's (define.c): those that a guest can wait in or
 * that have to do with descriptors 0, 1 and 2, clocks and random numbers. Everything else stays the
 * library's: they forward to it what is not ours (forward.c), and it serves files and directories.
 *
 * Each call is a WasiCall, which lives on the native stack of the guest, or as long as an
 * asynchronous call of it. A function does not block: it is tried, says what it needs, and is tried
 * again (WasiStep). Who runs it (define.c; async/) waits, asks Python or forwards in between.
 *
 * Ownership: a Store owns its WasiObject, which owns the streams, and the forwarding instances. A
 * call borrows both. Only the thread that is inside of the store touches them. */

#define WASI_PREVIEW1 "wasi_snapshot_preview1"

/* Error numbers of preview 1. */
enum {
    WASI_SUCCESS = 0,
    WASI_ACCES = 2,
    WASI_AGAIN = 6,
    WASI_BADF = 8,
    WASI_CONNRESET = 15,
    WASI_DQUOT = 19,
    WASI_FBIG = 22,
    WASI_INVAL = 28,
    WASI_IO = 29,
    WASI_ISDIR = 31,
    WASI_NOMEM = 48,
    WASI_NOSPC = 51,
    WASI_NXIO = 60,
    WASI_PERM = 63,
    WASI_PIPE = 64,
};

/* What a function has come to. */
typedef enum {
    WASI_DONE,    /* `error` is what the guest gets */
    WASI_RETRY,   /* try it again at once */
    WASI_WAIT,    /* wait for `awaited`, then try it again */
    WASI_FORWARD, /* call the library's with `arguments`, then `forwarded` */
    WASI_ASK,     /* ask Python (`question`), then try it again */
    WASI_FAILED,  /* `failure` ends the guest: nothing was done */
} WasiStep;

typedef struct WasiCall WasiCall;

/* What only Python knows: both run with the GIL. */
typedef struct {
    PyObject *(*ask)(WasiCall *call); /* a new reference; in an asynchronous call, awaited */
    bool (*answer)(WasiCall *call, PyObject *answer);
} WasiQuestion;

/* Functions that can be forwarded; the order of forward.c's exports. */
typedef enum {
    FORWARD_FD_WRITE,
    FORWARD_FD_READ,
    FORWARD_POLL_ONEOFF,
    FORWARD_FD_CLOSE,
    FORWARD_FD_RENUMBER,
    FORWARD_COUNT,
    FORWARD_NEVER,
} WasiForward;

typedef struct {
    const char *name;
    const char *parameters; /* "i": i32, "I": i64 */
    WasiStep (*attempt)(WasiCall *call);
    WasiForward forward;
    WasiStep (*forwarded)(WasiCall *call); /* the library's result is in `error` */
} WasiFunction;

/* The guest's memory, for the length of one attempt: it may grow and move afterwards. */
typedef struct {
    wasmtime_extern_t item; /* a memory, or a shared one, which we own a handle of */
    uint8_t *data;
    size_t size;
} GuestMemory;

#define WASI_PARAMETERS 4

struct WasiCall {
    StoreObject *store;
    wasmtime_context_t *context;
    struct WasiObject *wasi;
    const WasiFunction *function;
    GuestMemory memory;
    uint32_t arguments[WASI_PARAMETERS];
    uint16_t error;
    const char *failure;
    Awaited awaited;
    const WasiQuestion *question;

    /* What an earlier attempt has found out. */
    bool resolved;           /* `buffer` and `length` are known, and checked */
    bool answered;           /* Python has answered */
    uint32_t buffer, length; /* the guest's bytes */
    uint32_t done;           /* how many of them are written */
    struct WasiPoll *poll;   /* owned */
};
