/* OutputSink: what a guest prints, kept for Python.
 *
 * Guests of preview 1 write to it themselves (wasi/output.c). For components the library calls the
 * write callback on a worker thread of its own, while the calling thread waits. Python must not run
 * there: at exit that thread would meet an interpreter that is gone. So the callback only copies
 * into the buffer; the owner reads it, or the store delivers it to a callable at safe moments: when
 * a host function returns, when a call ends, and when the epoch moves, which the callback causes.
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
    uintptr_t references;
    PyThread_type_lock lock;
    char *data;
    size_t size, capacity;
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
        PyMem_RawFree(buffer->data);
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
sink_reserve(SinkBuffer *buffer, size_t size)
{
    if (size <= buffer->capacity - buffer->size) {
        return true;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity - buffer->size < size) {
        capacity *= 2;
    }
    char *grown = PyMem_RawRealloc(buffer->data, capacity);
    if (grown != NULL) {
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    return grown != NULL;
}

/* How many of `size` bytes are kept. */
static size_t
sink_admit(SinkBuffer *buffer, size_t size)
{
    size_t room = buffer->limit - buffer->size;
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
    if (!sink_reserve(buffer, kept)) {
        buffer->truncated = true;
        return -SINK_NO_MEMORY;
    }
    if (kept < size && buffer->policy == LIMIT_REFUSE) {
        return -SINK_FULL;
    }
    if (kept > 0) { /* of nothing, there may be no buffer to write to */
        memcpy(buffer->data + buffer->size, bytes, kept);
        buffer->size += kept;
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

/* The library hands on so much at a time: what a limit refuses is the same for all guests. */
#define SINK_PIECE 4096

/* What a guest of preview 1 writes, on its own thread. */
static ptrdiff_t
sink_take_in(SinkBuffer *buffer, const unsigned char *bytes, size_t size)
{
    ptrdiff_t result = 0;
    PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
    if (LIKELY(size <= buffer->limit - buffer->size) || buffer->policy != LIMIT_REFUSE) {
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
        size_t size = buffer->size;
        PyThread_release_lock(buffer->lock);
        /* Allocate outside of the lock: that may run Python code. */
        PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (result == NULL) {
            return NULL;
        }
        PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
        bool same = buffer->size == size;
        if (same && size != 0) {
            memcpy(PyBytes_AsString(result), buffer->data, size);
        }
        if (same && how == TAKE_BYTES) {
            buffer->size = 0;
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
