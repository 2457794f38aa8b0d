/* OutputSink: what a guest prints, kept for Python.
 *
 * Guests of preview 1 write to it themselves (wasi/output.c). For components the library calls the
 * write callback on a worker thread of its own, while the calling thread waits. Python must not run
 * there: at exit that thread would meet an interpreter that is gone. So the callback only copies
 * into the buffer; the owner reads it, or the store delivers it to a callable at safe moments: when
 * a host function returns, when a call ends, and when the epoch moves, which the callback causes.
 *
 * Lines that begin with a mark, where there is one, are no output but messages for the host, which
 * takes them apart. They may begin in the middle of a line, and are subject to no limit but their
 * own.
 *
 * The buffer is shared by the OutputSink and by the native stream, which may outlive the
 * store by a moment; the last of the two frees it. */

/* What becomes of bytes that there is no room for. */
typedef enum {
    LIMIT_REFUSE,   /* the guest's write fails */
    LIMIT_TRUNCATE, /* they are discarded, and all that follow */
    LIMIT_STOP,     /* what fits is kept, and the guest is ended */
} LimitPolicy;

typedef struct {
    char *data;
    size_t size, capacity;
} Bytes;

typedef struct {
    unsigned char *mark; /* set before anything is written, or NULL */
    size_t mark_size;
    size_t matched;  /* bytes of it that were written last, as far as it goes */
    bool inside;     /* of a message */
    bool overlong;   /* it is not kept */
    Bytes lines;     /* messages, each with the end of its line; and the beginning of one */
    size_t complete; /* bytes of `lines` that are whole messages */
} Messages;

typedef struct {
    uintptr_t references;
    PyThread_type_lock lock;
    Bytes bytes;
    Messages messages;
    size_t limit; /* bytes that are kept */
    LimitPolicy policy;
    uint64_t total;        /* bytes that were written */
    bool truncated;        /* the limit was reached */
    uintptr_t stopped;     /* the guest is to be ended */
    uintptr_t waiting;     /* there is something to deliver */
    wasm_engine_t *engine; /* whose epoch is moved when something comes, or NULL */
} SinkBuffer;

struct SinkObject {
    PyObject_HEAD
    SinkBuffer *buffer;
};

static void
sink_buffer_release(SinkBuffer *buffer)
{
    if (atomic_sub(&buffer->references, 1) == 0) {
        PyThread_free_lock(buffer->lock);
        PyMem_RawFree(buffer->bytes.data);
        PyMem_RawFree(buffer->messages.lines.data);
        PyMem_RawFree(buffer->messages.mark);
        PyMem_RawFree(buffer);
    }
}

/* The system's own codes, which the library makes its errors from. */
#if defined(_WIN32)
#define SINK_FULL 112    /* ERROR_DISK_FULL */
#define SINK_NO_MEMORY 8 /* ERROR_NOT_ENOUGH_MEMORY */
#else
#define SINK_FULL 28      /* ENOSPC */
#define SINK_NO_MEMORY 12 /* ENOMEM */
#endif

#define SINK_STOPPED PTRDIFF_MIN

/* Have room for `size` more bytes. */
static bool
bytes_reserve(Bytes *self, size_t size)
{
    if (size <= self->capacity - self->size) {
        return true;
    }
    size_t capacity = self->capacity ? self->capacity : 4096;
    while (capacity - self->size < size) {
        capacity *= 2;
    }
    char *grown = PyMem_RawRealloc(self->data, capacity);
    if (grown != NULL) {
        self->data = grown;
        self->capacity = capacity;
    }
    return grown != NULL;
}

static bool
bytes_append(Bytes *self, const unsigned char *bytes, size_t size)
{
    if (!bytes_reserve(self, size)) {
        return false;
    }
    if (size > 0) { /* of nothing, there may be no buffer to write to */
        memcpy(self->data + self->size, bytes, size);
        self->size += size;
    }
    return true;
}

/* How many of `size` bytes are kept. */
static size_t
sink_admit(SinkBuffer *buffer, size_t size)
{
    size_t room = buffer->limit - buffer->bytes.size;
    if (LIKELY(size <= room) && !(buffer->truncated && buffer->policy == LIMIT_TRUNCATE)) {
        return size;
    }
    bool closed =
        buffer->policy == LIMIT_REFUSE || (buffer->truncated && buffer->policy == LIMIT_TRUNCATE);
    buffer->truncated = true;
    return closed ? 0 : room;
}

/* What has become of a write, without the GIL; the lock is held. */
static ptrdiff_t
sink_append(SinkBuffer *buffer, const unsigned char *bytes, size_t size)
{
    size_t kept = sink_admit(buffer, size);
    if (!bytes_append(&buffer->bytes, bytes, kept)) {
        buffer->truncated = true;
        return -SINK_NO_MEMORY;
    }
    if (kept < size && buffer->policy == LIMIT_REFUSE) {
        return -SINK_FULL;
    }
    if (kept > 0) {
        atomic_store(&buffer->waiting, 1);
    }
    bool stopped = kept < size && buffer->policy == LIMIT_STOP;
    buffer->total += stopped ? kept : size;
    if (stopped) {
        atomic_store(&buffer->stopped, 1);
    }
    if ((kept > 0 || stopped) && buffer->engine != NULL) {
        wasmtime_engine_increment_epoch(buffer->engine);
    }
    return stopped ? SINK_STOPPED : (ptrdiff_t)size;
}

/* On a worker thread of the library. */
static ptrdiff_t
sink_write(void *data, unsigned char *bytes, size_t size)
{
    SinkBuffer *buffer = data;
    PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
    ptrdiff_t result = sink_append(buffer, bytes, size);
    PyThread_release_lock(buffer->lock);
    return result == SINK_STOPPED ? -SINK_FULL : result;
}

/* --- messages ------------------------------------------------------------------------------- */

/* How long a message may be. */
#define MESSAGE_LONGEST ((size_t)16 << 20)

/* Take as much of what is written as belongs to a message; returns how many bytes these are. */
static size_t
message_continue(Messages *self, const unsigned char *bytes, size_t size)
{
    const unsigned char *end = memchr(bytes, '\n', size);
    size_t length = end != NULL ? (size_t)(end - bytes) + 1 : size;
    self->overlong = self->overlong || self->lines.size - self->complete + length > MESSAGE_LONGEST
                     || !bytes_append(&self->lines, bytes, length);
    if (self->overlong) {
        self->lines.size = self->complete;
    }
    if (end != NULL) {
        self->inside = self->overlong = false;
        self->complete = self->lines.size;
    }
    return length;
}

/* Take what may be the beginning of a mark, or turns out to be none: it is output then. The first
 * byte of a mark is nowhere else in it. */
static ptrdiff_t
sink_match(SinkBuffer *buffer, const unsigned char *bytes, size_t *taken)
{
    Messages *messages = &buffer->messages;
    if (bytes[0] != messages->mark[messages->matched]) {
        size_t output = messages->matched;
        messages->matched = 0;
        *taken = 0;
        return sink_append(buffer, messages->mark, output);
    }
    *taken = 1;
    if (++messages->matched == messages->mark_size) {
        messages->matched = 0;
        messages->inside = true;
    }
    return 1;
}

/* Take messages out of what is written; the rest is output. */
static ptrdiff_t
sink_sift(SinkBuffer *buffer, const unsigned char *bytes, size_t size)
{
    Messages *messages = &buffer->messages;
    ptrdiff_t result = 0;
    for (size_t at = 0, taken; at < size && result >= 0; at += taken) {
        if (messages->inside) {
            taken = message_continue(messages, bytes + at, size - at);
        }
        else if (messages->matched > 0 || bytes[at] == messages->mark[0]) {
            result = sink_match(buffer, bytes + at, &taken);
        }
        else {
            const unsigned char *start = memchr(bytes + at, messages->mark[0], size - at);
            taken = start != NULL ? (size_t)(start - (bytes + at)) : size - at;
            result = sink_append(buffer, bytes + at, taken);
        }
    }
    return result < 0 ? result : (ptrdiff_t)size;
}

/* Whether there is one to be taken. */
static bool
sink_has_message(SinkBuffer *buffer)
{
    return buffer->messages.complete > 0;
}

/* The library hands on so much at a time: what a limit refuses is the same for all guests. */
#define SINK_PIECE 4096

/* What a guest of preview 1 writes, on its own thread. */
static ptrdiff_t
sink_take_in(SinkBuffer *buffer, const unsigned char *bytes, size_t size)
{
    ptrdiff_t result = 0;
    PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
    if (buffer->messages.mark != NULL) {
        result = sink_sift(buffer, bytes, size);
    }
    else if (LIKELY(size <= buffer->limit - buffer->bytes.size) || buffer->policy != LIMIT_REFUSE) {
        result = sink_append(buffer, bytes, size);
    }
    else {
        for (size_t done = 0; done < size && result >= 0; done += SINK_PIECE) {
            size_t left = size - done;
            result = sink_append(buffer, bytes + done, left < SINK_PIECE ? left : SINK_PIECE);
        }
    }
    PyThread_release_lock(buffer->lock);
    return result < 0 ? result : (ptrdiff_t)size;
}

/* Raise the exception that a guest is ended with. */
static void
sink_raise_stopped(SinkBuffer *buffer)
{
    atomic_store(&buffer->stopped, 0);
    PyErr_Format(state.OutputLimitTrap,
                 "the guest wrote more than the limit of %zu bytes of output", buffer->limit);
}

static void
sink_finalize(void *data)
{
    sink_buffer_release(data);
}

static PyObject *
sink_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    Py_ssize_t limit = -1;
    int policy = LIMIT_REFUSE;
    if (!PyArg_ParseTuple(args, "|ni:OutputSink", &limit, &policy)) {
        return NULL;
    }
    SinkBuffer *buffer = PyMem_RawCalloc(1, sizeof(SinkBuffer));
    if (buffer == NULL || (buffer->lock = PyThread_allocate_lock()) == NULL) {
        PyMem_RawFree(buffer);
        return PyErr_NoMemory();
    }
    buffer->references = 1;
    buffer->policy = (LimitPolicy)policy;
    buffer->limit = (size_t)(limit < 0 ? PY_SSIZE_T_MAX : limit);
    SinkObject *self = (SinkObject *)type_alloc(type);
    if (self == NULL) {
        sink_buffer_release(buffer);
        return NULL;
    }
    self->buffer = buffer;
    return (PyObject *)self;
}

static void
sink_dealloc(SinkObject *self)
{
    sink_buffer_release(self->buffer);
    type_free((PyObject *)self);
}

typedef enum { KEEP_BYTES, TAKE_BYTES } SinkRead;

/* The bytes as they are now, which are in the buffer afterwards or not. */
static PyObject *
sink_bytes(SinkBuffer *buffer, SinkRead how)
{
    for (;;) {
        PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
        size_t size = buffer->bytes.size;
        PyThread_release_lock(buffer->lock);
        /* Allocate outside of the lock: that may run Python code. */
        PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (result == NULL) {
            return NULL;
        }
        PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
        bool same = buffer->bytes.size == size;
        if (same && size != 0) {
            memcpy(PyBytes_AsString(result), buffer->bytes.data, size);
        }
        if (same && how == TAKE_BYTES) {
            buffer->bytes.size = 0;
            atomic_store(&buffer->waiting, 0);
        }
        PyThread_release_lock(buffer->lock);
        if (same) {
            return result;
        }
        Py_DECREF(result);
    }
}

static PyObject *
sink_getvalue(SinkObject *self, PyObject *Py_UNUSED(ignored))
{
    return sink_bytes(self->buffer, KEEP_BYTES);
}

static PyObject *
sink_take(SinkObject *self, PyObject *Py_UNUSED(ignored))
{
    return sink_bytes(self->buffer, TAKE_BYTES);
}

/* set_mark(mark) */
static PyObject *
sink_set_mark(SinkObject *self, PyObject *mark)
{
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(mark, &bytes, &size) < 0) {
        return NULL;
    }
    if (size == 0 || memchr(bytes + 1, bytes[0], (size_t)size - 1) != NULL) {
        PyErr_SetString(PyExc_ValueError, "a mark has bytes, and its first one only once");
        return NULL;
    }
    unsigned char *copy = PyMem_RawMalloc((size_t)size);
    if (copy == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(copy, bytes, (size_t)size);
    Messages *messages = &self->buffer->messages;
    PyThread_acquire_lock(self->buffer->lock, WAIT_LOCK);
    bool fine = messages->mark == NULL;
    if (fine) {
        messages->mark = copy;
        messages->mark_size = (size_t)size;
    }
    PyThread_release_lock(self->buffer->lock);
    if (!fine) {
        PyMem_RawFree(copy);
        PyErr_SetString(PyExc_ValueError, "there is a mark already");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* write(data) */
static PyObject *
sink_write_bytes(SinkObject *self, PyObject *data)
{
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0) {
        return NULL;
    }
    ptrdiff_t result = sink_take_in(self->buffer, (const unsigned char *)bytes, (size_t)size);
    if (result == -SINK_NO_MEMORY) {
        return PyErr_NoMemory();
    }
    return PyBool_FromLong(result == size);
}

static PyObject *
sink_take_messages(SinkObject *self, PyObject *Py_UNUSED(ignored))
{
    Messages *messages = &self->buffer->messages;
    Bytes taken = {NULL, 0, 0};
    PyThread_acquire_lock(self->buffer->lock, WAIT_LOCK);
    size_t size = messages->complete;
    if (size > 0) {
        /* The rest, the beginning of another, gets a buffer of its own. */
        taken = messages->lines;
        messages->lines = (Bytes){NULL, 0, 0};
        messages->complete = 0;
        const unsigned char *rest = (unsigned char *)taken.data + size;
        messages->overlong =
            messages->overlong || !bytes_append(&messages->lines, rest, taken.size - size);
    }
    PyThread_release_lock(self->buffer->lock);
    PyObject *result = PyBytes_FromStringAndSize(taken.data, (Py_ssize_t)size);
    PyMem_RawFree(taken.data);
    return result;
}

static PyObject *
sink_take_rest(SinkObject *self, PyObject *Py_UNUSED(ignored))
{
    Messages *messages = &self->buffer->messages;
    PyThread_acquire_lock(self->buffer->lock, WAIT_LOCK);
    size_t size = messages->matched;
    messages->matched = 0;
    PyThread_release_lock(self->buffer->lock);
    return PyBytes_FromStringAndSize((char *)messages->mark, (Py_ssize_t)size);
}

/* The native stream holds the buffer from here on, until it calls the finalizer. */
static PyObject *
sink_attach(SinkObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *addresses = Py_BuildValue("(KKK)", (unsigned long long)(uintptr_t)sink_write,
                                        (unsigned long long)(uintptr_t)self->buffer,
                                        (unsigned long long)(uintptr_t)sink_finalize);
    if (addresses != NULL) {
        atomic_add(&self->buffer->references, 1);
    }
    return addresses;
}

static PyObject *
sink_get_total(SinkObject *self, void *Py_UNUSED(closure))
{
    PyThread_acquire_lock(self->buffer->lock, WAIT_LOCK);
    uint64_t total = self->buffer->total;
    PyThread_release_lock(self->buffer->lock);
    return PyLong_FromUnsignedLongLong(total);
}

static PyObject *
sink_get_truncated(SinkObject *self, void *Py_UNUSED(closure))
{
    PyThread_acquire_lock(self->buffer->lock, WAIT_LOCK);
    bool truncated = self->buffer->truncated;
    PyThread_release_lock(self->buffer->lock);
    return PyBool_FromLong(truncated);
}

static PyMethodDef sink_methods[] = {
    {"getvalue", (PyCFunction)sink_getvalue, METH_NOARGS,
     "getvalue($self, /)\n--\n\nWhat was written and not taken."},
    {"take", (PyCFunction)sink_take, METH_NOARGS,
     "take($self, /)\n--\n\nWhat was written since the last take()."},
    {"set_mark", (PyCFunction)sink_set_mark, METH_O,
     "set_mark($self, mark, /)\n--\n\nFrom here on, what stands between a mark and the end of a line "
     "is a message."},
    {"write", (PyCFunction)sink_write_bytes, METH_O,
     "write($self, data, /)\n--\n\nTake what a guest wrote elsewhere; return whether there was room."},
    {"take_messages", (PyCFunction)sink_take_messages, METH_NOARGS,
     "take_messages($self, /)\n--\n\nThe messages since the last take_messages(), as lines."},
    {"take_rest", (PyCFunction)sink_take_rest, METH_NOARGS,
     "take_rest($self, /)\n--\n\nOutput that was held back, since it might have been a mark."},
    {"attach", (PyCFunction)sink_attach, METH_NOARGS,
     "attach($self, /)\n--\n\n(callback, data, finalizer) as addresses, for one native stream."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef sink_getset[] = {
    {"total", (getter)sink_get_total, NULL, "Bytes written so far, taken ones included.", NULL},
    {"truncated", (getter)sink_get_truncated, NULL, "Whether the limit was reached.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot sink_slots[] = {
    {Py_tp_doc,
     "OutputSink(limit=-1, policy=0, /)\n--\n\nA buffer that native code writes a stream into; it "
     "holds `limit` bytes at most, any number when that is negative. What there is no room for is "
     "refused (0) or discarded (1), or ends the guest (2)."},
    {Py_tp_new, sink_new},
    {Py_tp_dealloc, sink_dealloc},
    {Py_tp_methods, sink_methods},
    {Py_tp_getset, sink_getset},
    {0, NULL},
};
static PyType_Spec sink_spec = {"wasmtime._core.OutputSink", sizeof(SinkObject), 0,
                                Py_TPFLAGS_DEFAULT, sink_slots};

/* --- a store's sinks, for components: pairs (OutputSink, callable or None) -------------------- */

static SinkBuffer *
sinks_buffer(StoreObject *store, Py_ssize_t index)
{
    PyObject *sink = PyTuple_GetItem(PyList_GetItem(store->sinks, index), 0);
    return ((SinkObject *)sink)->buffer;
}

/* Whether there is something to deliver, or the guest is to be ended. */
static bool
sink_is_waiting(PyObject *pair)
{
    SinkBuffer *buffer = ((SinkObject *)PyTuple_GetItem(pair, 0))->buffer;
    return atomic_load(&buffer->stopped) != 0
           || (atomic_load(&buffer->waiting) != 0 && PyTuple_GetItem(pair, 1) != Py_None);
}

static bool
sinks_have_output(StoreObject *store)
{
    if (store->sinks == NULL) {
        return false;
    }
    Py_ssize_t count = PyList_Size(store->sinks);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (sink_is_waiting(PyList_GetItem(store->sinks, i))) {
            return true;
        }
    }
    return false;
}

/* What Python gave for a stream is not there yet, and nothing here awaits it: it raises (`Awaited` in
 * wasmtime/_wasi/input.py). False. */
static NOINLINE bool
awaited_refuse(PyObject *answer)
{
    PyObject *never = PyObject_CallMethod(answer, "refuse", NULL);
    Py_XDECREF(never);
    return false;
}

static bool
sink_deliver(PyObject *pair)
{
    SinkBuffer *buffer = ((SinkObject *)PyTuple_GetItem(pair, 0))->buffer;
    PyObject *callable = PyTuple_GetItem(pair, 1);
    bool fine = true;
    if (atomic_load(&buffer->waiting) != 0 && callable != Py_None) {
        PyObject *bytes = sink_bytes(buffer, TAKE_BYTES);
        PyObject *answer = bytes ? PyObject_CallFunctionObjArgs(callable, bytes, NULL) : NULL;
        fine = answer != NULL && (PyBool_Check(answer) || awaited_refuse(answer));
        Py_XDECREF(answer);
        Py_XDECREF(bytes);
    }
    if (fine && atomic_load(&buffer->stopped) != 0) {
        sink_raise_stopped(buffer);
        fine = false;
    }
    return fine;
}

static NOINLINE bool
sinks_deliver(StoreObject *store)
{
    if (!store_heed_fork(store)) {
        return false;
    }
    PyObject *sinks = Py_NewRef(store->sinks);
    bool fine = true;
    for (Py_ssize_t i = 0; fine && i < PyList_Size(sinks); i++) {
        PyObject *pair = Py_NewRef(PyList_GetItem(sinks, i));
        fine = !sink_is_waiting(pair) || sink_deliver(pair);
        Py_DECREF(pair);
    }
    Py_DECREF(sinks);
    return fine;
}

/* From here on, output moves the epoch of the store's engine, so that it is delivered soon. */
static bool
sinks_add(StoreObject *store, PyObject *pair)
{
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2
        || !PyObject_TypeCheck(PyTuple_GetItem(pair, 0), state.OutputSink)) {
        PyErr_SetString(PyExc_TypeError, "_add_sink() takes a tuple (OutputSink, callable)");
        return false;
    }
    if (store->sinks == NULL && (store->sinks = PyList_New(0)) == NULL) {
        return false;
    }
    if (PyList_Append(store->sinks, pair) < 0) {
        return false;
    }
    SinkBuffer *buffer = ((SinkObject *)PyTuple_GetItem(pair, 0))->buffer;
    PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
    buffer->engine = store->epochs ? store->engine_handle->pointer : NULL;
    PyThread_release_lock(buffer->lock);
    return true;
}

/* The engine may die with the store: no late writer may touch it. */
static void
sinks_detach(StoreObject *store)
{
    if (store->sinks == NULL) {
        return;
    }
    for (Py_ssize_t i = 0; i < PyList_Size(store->sinks); i++) {
        SinkBuffer *buffer = sinks_buffer(store, i);
        PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
        buffer->engine = NULL;
        PyThread_release_lock(buffer->lock);
    }
}
