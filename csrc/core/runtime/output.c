/* OutputSink: what a WASI program prints.
 *
 * The library calls the write callback on a worker thread of its own, while the calling
 * thread waits. Python must not run there: at exit that thread would meet an interpreter
 * that is gone. So the callback only copies into a buffer; the owner reads it, or the store
 * delivers it to a callable at safe moments: when a host function returns, when a call ends,
 * and when the epoch moves, which the callback causes.
 *
 * The buffer is shared by the OutputSink and by the native stream, which may outlive the
 * store by a moment; the last of the two frees it. */

typedef struct {
    uintptr_t references;
    PyThread_type_lock lock;
    char *data;
    size_t size, capacity;
    size_t limit;          /* bytes that are kept; the rest is refused */
    uint64_t total;        /* bytes that were written */
    bool truncated;        /* a write was refused */
    uintptr_t waiting;     /* there is something to deliver */
    wasm_engine_t *engine; /* whose epoch is moved when something comes, or NULL */
    int pipe;              /* where the bytes come from instead of the library's thread, or -1 */
    bool ended;            /* nothing more is read from there */
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

/* Take all or refuse all, without the GIL; the lock is held. */
static ptrdiff_t
sink_append(SinkBuffer *buffer, const unsigned char *bytes, size_t size)
{
    ptrdiff_t result = (ptrdiff_t)size;
    if (size > buffer->limit - buffer->size) {
        result = -SINK_FULL;
    }
    else if (size > buffer->capacity - buffer->size) {
        size_t capacity = buffer->capacity ? buffer->capacity : 4096;
        while (capacity - buffer->size < size) {
            capacity *= 2;
        }
        char *grown = PyMem_RawRealloc(buffer->data, capacity);
        if (grown == NULL) {
            result = -SINK_NO_MEMORY;
        }
        else {
            buffer->data = grown;
            buffer->capacity = capacity;
        }
    }
    if (result < 0) {
        buffer->truncated = true;
    }
    else if (size > 0) { /* of nothing, there may be no buffer to write to */
        buffer->total += size;
        memcpy(buffer->data + buffer->size, bytes, size);
        buffer->size += size;
        atomic_store(&buffer->waiting, 1);
        if (buffer->engine != NULL) {
            wasmtime_engine_increment_epoch(buffer->engine);
        }
    }
    return result;
}

/* On a worker thread of the library. */
static ptrdiff_t
sink_write(void *data, unsigned char *bytes, size_t size)
{
    SinkBuffer *buffer = data;
    PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
    ptrdiff_t result = sink_append(buffer, bytes, size);
    PyThread_release_lock(buffer->lock);
    return result;
}

/* --- the same through a pipe ------------------------------------------------------------
 *
 * In the child of a fork the library's threads may be missing, and a write to a callback of ours
 * would wait for one of them for ever. Then the guest writes to a pipe, which the library does on
 * the calling thread. A thread of ours empties it, so that the guest never waits; whoever asks
 * for what was written empties it too, so that nothing is missed. */

/* More than pipes hold. */
#define SINK_PIPE ((size_t)1 << 20)

#if defined(_WIN32)
#define sink_lock(buffer) PyThread_acquire_lock((buffer)->lock, WAIT_LOCK)
#else
/* Take what is in the pipe; not what comes meanwhile, which may not end. The lock is held. */
static void
sink_drain(SinkBuffer *buffer)
{
    unsigned char chunk[16384];
    for (size_t taken = 0; !buffer->ended && taken < SINK_PIPE; taken += sizeof(chunk)) {
        size_t room = buffer->limit - buffer->size;
        size_t wanted = room < sizeof(chunk) ? room : sizeof(chunk);
        ssize_t size = read(buffer->pipe, chunk, wanted != 0 ? wanted : 1);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        /* Without room for more the pipe is closed: the guest's next write fails. */
        buffer->ended = size <= 0 || sink_append(buffer, chunk, (size_t)size) < 0;
    }
}

static void
sink_lock(SinkBuffer *buffer)
{
    PyThread_acquire_lock(buffer->lock, WAIT_LOCK);
    if (UNLIKELY(buffer->pipe >= 0)) {
        sink_drain(buffer);
    }
}

/* The thread that empties the pipe; it alone closes it. */
static void
sink_pump(void *argument)
{
    SinkBuffer *buffer = argument;
    struct pollfd readable = {buffer->pipe, POLLIN, 0};
    bool ended = false;
    thread_leave_signals_to_others();
    while (!ended) {
        (void)poll(&readable, 1, -1);
        sink_lock(buffer);
        ended = buffer->ended;
        if (ended) {
            close(buffer->pipe);
            buffer->pipe = -1;
        }
        PyThread_release_lock(buffer->lock);
    }
    sink_buffer_release(buffer);
}
#endif

static void
sink_finalize(void *data)
{
    sink_buffer_release(data);
}

static PyObject *
sink_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    Py_ssize_t limit = -1;
    if (!PyArg_ParseTuple(args, "|n:OutputSink", &limit)) {
        return NULL;
    }
    SinkBuffer *buffer = PyMem_RawCalloc(1, sizeof(SinkBuffer));
    if (buffer == NULL || (buffer->lock = PyThread_allocate_lock()) == NULL) {
        PyMem_RawFree(buffer);
        return PyErr_NoMemory();
    }
    buffer->references = 1;
    buffer->pipe = -1;
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
        sink_lock(buffer);
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

#if !defined(_WIN32)
static PyObject *
sink_collect(SinkObject *self, PyObject *argument)
{
    SinkBuffer *buffer = self->buffer;
    long descriptor = PyLong_AsLong(argument);
    if (descriptor < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no descriptor");
    }
    buffer->pipe = (int)descriptor;
    atomic_add(&buffer->references, 1);
    if (PyThread_start_new_thread(sink_pump, buffer) == PYTHREAD_INVALID_THREAD_ID) {
        buffer->pipe = -1;
        sink_buffer_release(buffer);
        PyErr_SetString(state.WasmtimeError, "a thread to collect output on cannot be started");
        return NULL;
    }
    Py_RETURN_NONE;
}
#endif

static PyObject *
sink_get_total(SinkObject *self, void *Py_UNUSED(closure))
{
    sink_lock(self->buffer);
    uint64_t total = self->buffer->total;
    PyThread_release_lock(self->buffer->lock);
    return PyLong_FromUnsignedLongLong(total);
}

static PyObject *
sink_get_truncated(SinkObject *self, void *Py_UNUSED(closure))
{
    sink_lock(self->buffer);
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
#if !defined(_WIN32)
    {"collect", (PyCFunction)sink_collect, METH_O,
     "collect($self, descriptor, /)\n--\n\n"
     "Take the reading end of a pipe over, and collect what is written to it."},
#endif
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef sink_getset[] = {
    {"total", (getter)sink_get_total, NULL, "Bytes written so far, taken ones included.", NULL},
    {"truncated", (getter)sink_get_truncated, NULL, "Whether a write was refused.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot sink_slots[] = {
    {Py_tp_doc,
     "OutputSink(limit=-1, /)\n--\n\nA buffer that native code writes a stream into; it holds\n"
     "`limit` bytes at most, any number when that is negative."},
    {Py_tp_new, sink_new},
    {Py_tp_dealloc, sink_dealloc},
    {Py_tp_methods, sink_methods},
    {Py_tp_getset, sink_getset},
    {0, NULL},
};
static PyType_Spec sink_spec = {"wasmtime._core.OutputSink", sizeof(SinkObject), 0,
                                Py_TPFLAGS_DEFAULT, sink_slots};

/* --- a store's sinks: pairs (OutputSink, callable) ------------------------------------------ */

static SinkBuffer *
sinks_buffer(StoreObject *store, Py_ssize_t index)
{
    PyObject *sink = PyTuple_GetItem(PyList_GetItem(store->sinks, index), 0);
    return ((SinkObject *)sink)->buffer;
}

/* Whether there is something to deliver. */
static bool
sink_is_waiting(SinkBuffer *buffer)
{
    if (UNLIKELY(buffer->pipe >= 0)) {
        sink_lock(buffer);
        PyThread_release_lock(buffer->lock);
    }
    return atomic_load(&buffer->waiting) != 0;
}

static bool
sinks_have_output(StoreObject *store)
{
    if (store->sinks == NULL) {
        return false;
    }
    Py_ssize_t count = PyList_Size(store->sinks);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (sink_is_waiting(sinks_buffer(store, i))) {
            return true;
        }
    }
    return false;
}

static NOINLINE bool
sinks_deliver(StoreObject *store)
{
    PyObject *sinks = Py_NewRef(store->sinks);
    bool fine = true;
    for (Py_ssize_t i = 0; fine && i < PyList_Size(sinks); i++) {
        PyObject *pair = Py_NewRef(PyList_GetItem(sinks, i));
        SinkBuffer *buffer = ((SinkObject *)PyTuple_GetItem(pair, 0))->buffer;
        if (sink_is_waiting(buffer)) {
            PyObject *bytes = sink_bytes(buffer, TAKE_BYTES);
            PyObject *answer =
                bytes ? PyObject_CallFunctionObjArgs(PyTuple_GetItem(pair, 1), bytes, NULL) : NULL;
            fine = answer != NULL;
            Py_XDECREF(answer);
            Py_XDECREF(bytes);
        }
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
