/* The WasiObject's life: made from the settings of a WasiConfig, for one store. */

static void
stream_begin(Stream *stream, OwnStream which)
{
    stream->open = true;
    stream->number = (uint32_t)which;
    stream->kind = STREAM_EMPTY;
    stream->file.number = -1;
}

/* What the package hands over: None, bytes, an OutputSink, a callable, or (descriptor, whether to
 * close it, what must be kept with it). */
static bool
stream_set(Stream *stream, PyObject *value)
{
    if (value == Py_None) {
        return true;
    }
    if (PyTuple_Check(value)) {
        int descriptor, owned;
        PyObject *kept;
        if (!PyArg_ParseTuple(value, "ipO", &descriptor, &owned, &kept)) {
            return false;
        }
        stream->object = Py_NewRef(kept);
        stream->kind = STREAM_FILE;
        stream->file = file_make(descriptor, owned);
        return true;
    }
    if (PyBytes_Check(value)) {
        stream->kind = STREAM_BYTES;
        stream->held = Py_NewRef(value);
        return true;
    }
    stream->kind = PyObject_TypeCheck(value, state.OutputSink) ? STREAM_SINK : STREAM_CALLABLE;
    stream->object = Py_NewRef(value);
    return true;
}

static bool
clock_set(GuestClock *clock, PyObject *value)
{
    clock->started = moment_now();
    if (value == Py_None) {
        return true;
    }
    if (!PyLong_Check(value)) {
        clock->kind = CLOCK_CALLABLE;
        clock->callable = Py_NewRef(value);
        return true;
    }
    unsigned long long start = PyLong_AsUnsignedLongLong(value);
    if (start == (unsigned long long)-1 && PyErr_Occurred()) {
        return false;
    }
    clock->kind = CLOCK_VIRTUAL;
    clock->now = clock->first = start;
    return true;
}

static bool
random_set(GuestRandom *random, PyObject *value)
{
    if (value == Py_None) {
        return true;
    }
    if (!PyBytes_Check(value) || PyBytes_Size(value) != 32) {
        PyErr_SetString(PyExc_TypeError, "Wasi() takes 32 bytes as seed");
        return false;
    }
    random_seed(random, (const uint8_t *)PyBytes_AsString(value));
    return true;
}

static PyObject *
wasi_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *forwarding, *streams[OWN_COUNT], *clock, *seed;
    if (!PyArg_ParseTuple(args, "O!OOOOO:Wasi", state.Forwarding, &forwarding, &streams[OWN_STDIN],
                          &streams[OWN_STDOUT], &streams[OWN_STDERR], &clock, &seed)) {
        return NULL;
    }
    WasiObject *self = (WasiObject *)type_alloc(type);
    if (self == NULL) {
        return NULL;
    }
    self->forwarding = (ForwardingObject *)Py_NewRef(forwarding);
    for (int i = 0; i < OWN_COUNT; i++) {
        stream_begin(&self->streams[i], (OwnStream)i);
    }
    bool fine = clock_set(&self->clock, clock) && random_set(&self->random, seed);
    for (int i = 0; fine && i < OWN_COUNT; i++) {
        fine = stream_set(&self->streams[i], streams[i]);
    }
    if (!fine) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
wasi_traverse(WasiObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < OWN_COUNT; i++) {
        Py_VISIT(self->streams[i].object);
    }
    Py_VISIT(self->clock.callable);
    return 0;
}

static int
wasi_clear(WasiObject *self)
{
    for (int i = 0; i < OWN_COUNT; i++) {
        Stream *stream = &self->streams[i];
        if (stream->open) {
            stream_close(stream);
        }
        Py_CLEAR(stream->object);
        Py_CLEAR(stream->held);
    }
    Py_CLEAR(self->clock.callable);
    return 0;
}

static void
wasi_dealloc(WasiObject *self)
{
    PyObject_GC_UnTrack(self);
    wasi_clear(self);
    Py_XDECREF(self->forwarding);
    type_free((PyObject *)self);
}

static PyType_Slot wasi_slots[] = {
    {Py_tp_doc,
     "Wasi(forwarding, stdin, stdout, stderr, clock, seed, /)\n--\n\nThe streams, the clock and the "
     "random numbers of one store. A stream is None, bytes, an OutputSink, a callable, or "
     "(descriptor, whether to close it, what to keep); a clock None, the nanoseconds that it begins with, or a "
     "callable; a seed None or 32 bytes."},
    {Py_tp_new, wasi_new},
    {Py_tp_dealloc, wasi_dealloc},
    {Py_tp_traverse, wasi_traverse},
    {Py_tp_clear, wasi_clear},
    {0, NULL},
};
static PyType_Spec wasi_spec = {"wasmtime._core.Wasi", sizeof(WasiObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, wasi_slots};
