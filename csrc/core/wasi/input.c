/* fd_read: what a guest reads.
 *
 * It comes from bytes, from a descriptor, or from a callable of Python, which gives as many bytes as
 * it likes: what the guest has no room for is held until it reads again. The end of a callable's
 * input is final; a descriptor, a terminal say, is asked again. */

static inline bool
input_holds(const Stream *stream)
{
    return stream->held != NULL && stream->taken < PyBytes_Size(stream->held);
}

static uint32_t
input_take(Stream *stream, uint8_t *to, uint32_t room)
{
    Py_ssize_t left = PyBytes_Size(stream->held) - stream->taken;
    uint32_t size = left < (Py_ssize_t)room ? (uint32_t)left : room;
    memcpy(to, PyBytes_AsString(stream->held) + stream->taken, size);
    stream->taken += size;
    return size;
}

static PyObject *
input_ask(WasiCall *call)
{
    Stream *stream = &call->wasi->streams[OWN_STDIN];
    PyObject *callable = Py_NewRef(stream->object);
    PyObject *answer = PyObject_CallFunction(callable, "k", (unsigned long)call->length);
    Py_DECREF(callable);
    return answer;
}

/* The callable is the package's (`Reader`), which gives bytes, or what an asynchronous call awaits. */
static bool
input_answer(WasiCall *call, PyObject *answer)
{
    Stream *stream = &call->wasi->streams[OWN_STDIN];
    if (!PyBytes_Check(answer)) {
        return awaited_refuse(answer);
    }
    PyObject *before = stream->held;
    stream->held = Py_NewRef(answer);
    stream->taken = 0;
    stream->ended = PyBytes_Size(answer) == 0;
    Py_XDECREF(before);
    return true;
}

static const WasiQuestion input_question = {input_ask, input_answer};

/* Whether a read would return at once. */
static bool
input_is_ready(const Stream *stream)
{
    return stream->kind != STREAM_FILE || file_is_ready(&stream->file, POLLIN);
}

static void
input_await(WasiCall *call, const Stream *stream)
{
    awaited_add(&call->awaited, stream->file.number, AWAIT_READING);
}

static WasiStep
input_from_file(WasiCall *call, Stream *stream)
{
    int error = WASI_IO;
    ptrdiff_t count =
        file_read(&stream->file, call->memory.data + call->buffer, call->length, &error);
    if (count == FILE_WOULD_BLOCK) {
        call->awaited = awaited_until(MOMENT_NEVER);
        input_await(call, stream);
        return WASI_WAIT;
    }
    if (count == FILE_ERROR) {
        return wasi_error(call, error);
    }
    call->done = (uint32_t)count;
    return WASI_DONE;
}

static WasiStep
input_read(WasiCall *call, Stream *stream)
{
    if (call->length == 0) {
        return WASI_DONE;
    }
    if (input_holds(stream)) {
        call->done = input_take(stream, call->memory.data + call->buffer, call->length);
        return WASI_DONE;
    }
    if (stream->kind == STREAM_FILE) {
        return input_from_file(call, stream);
    }
    if (stream->kind == STREAM_CALLABLE && !stream->ended) {
        call->question = &input_question;
        return WASI_ASK;
    }
    return WASI_DONE;
}

static WasiStep
fd_read_attempt(WasiCall *call)
{
    OwnStream which = wasi_stream(call->wasi, call->arguments[0]);
    if (UNLIKELY(which == OWN_NONE)) {
        return WASI_FORWARD;
    }
    WasiStep found = wasi_resolve_buffer(call, which == OWN_STDIN);
    if (found != WASI_RETRY) {
        return found;
    }
    return wasi_transferred(call, input_read(call, wasi_stream_of(call, which)));
}
