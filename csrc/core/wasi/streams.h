/* The three streams of a guest, its clock and its random numbers: the WasiObject.
 *
 * The guest knows each stream by the number of a descriptor, which fd_renumber changes. The library
 * has a table of descriptors too, which it gives new numbers from: every close and every renumber
 * is done there first, so that the two never disagree.
 *
 * Ownership: the Store owns the WasiObject, and that owns the streams: the Python objects, and the
 * descriptors that were opened for it. A stream dies when the guest closes it, or with the
 * WasiObject. */

typedef enum { OWN_STDIN, OWN_STDOUT, OWN_STDERR, OWN_COUNT, OWN_NONE } OwnStream;

typedef enum {
    STREAM_EMPTY,    /* at its end; what is written is discarded */
    STREAM_BYTES,    /* `held` */
    STREAM_SINK,     /* an OutputSink */
    STREAM_CALLABLE, /* Python is asked */
    STREAM_FILE,
} StreamKind;

typedef struct {
    bool open;
    uint32_t number; /* the guest's descriptor */
    StreamKind kind;
    PyObject *object; /* an OutputSink or a callable, what keeps the file open, or NULL */
    PyObject *held;   /* bytes that were read, or NULL */
    Py_ssize_t taken; /* how many of them the guest has */
    bool ended;       /* the callable has given the last bytes */
    File file;
} Stream;

/* The guest's time. */
typedef enum { CLOCK_REAL, CLOCK_VIRTUAL, CLOCK_CALLABLE } ClockKind;
typedef struct {
    ClockKind kind;
    Moment started;     /* real: where the guest's monotonic clock begins */
    uint64_t now;       /* virtual: nanoseconds since 1970; callable: the last answer */
    uint64_t first;     /* virtual, callable: where the guest's monotonic clock begins */
    bool asked;         /* callable: `first` is set */
    PyObject *callable; /* or NULL */
} GuestClock;

/* The guest's random numbers. */
typedef struct {
    bool seeded;
    uint64_t state[4];
} GuestRandom;

typedef struct WasiObject {
    PyObject_HEAD
    struct ForwardingObject *forwarding;
    Stream streams[OWN_COUNT];
    GuestClock clock;
    GuestRandom random;
    bool stops; /* `stop` is set to 1 when a message for the host is written to a sink */
    wasmtime_global_t stop;
} WasiObject;

/* The stream that the guest knows by a number, or OWN_NONE: the library's, or nobody's. */
static inline OwnStream
wasi_stream(const WasiObject *wasi, uint32_t number)
{
    for (int i = 0; i < OWN_COUNT; i++) {
        if (wasi->streams[i].open && wasi->streams[i].number == number) {
            return (OwnStream)i;
        }
    }
    return OWN_NONE;
}

static inline Stream *
wasi_stream_of(WasiCall *call, OwnStream which)
{
    return &call->wasi->streams[which];
}
