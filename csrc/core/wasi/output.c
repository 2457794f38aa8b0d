/* fd_write: what a guest prints.
 *
 * It goes to a buffer that Python reads (OutputSink), to a callable, to a descriptor, or nowhere.
 * The guest's write is over when all of it is there, or an error has come: as in POSIX, one that
 * comes after a part was written is reported by the next write. */

static PyObject *
output_ask(WasiCall *call)
{
    Stream *stream = wasi_stream_of(call, wasi_stream(call->wasi, call->arguments[0]));
    PyObject *bytes = PyBytes_FromStringAndSize((char *)call->memory.data + call->buffer,
                                                (Py_ssize_t)call->length);
    if (bytes == NULL) {
        return NULL;
    }
    PyObject *callable = Py_NewRef(stream->object);
    PyObject *answer = PyObject_CallFunctionObjArgs(callable, bytes, NULL);
    Py_DECREF(callable);
    Py_DECREF(bytes);
    return answer;
}

/* The callable is the package's (`Deliver`): False means that a limit refuses the bytes; or it gives
 * what an asynchronous call awaits. */
static bool
output_answer(WasiCall *call, PyObject *answer)
{
    if (!PyBool_Check(answer)) {
        return awaited_refuse(answer);
    }
    call->answered = true;
    call->error = answer == Py_False ? WASI_NOSPC : WASI_SUCCESS;
    call->done = answer == Py_False ? 0 : call->length;
    return true;
}

static const WasiQuestion output_question = {output_ask, output_answer};

/* The limit of the guest's output has come, and it is to end: the exception is raised. */
static PyObject *
output_stop_ask(WasiCall *call)
{
    Stream *stream = wasi_stream_of(call, wasi_stream(call->wasi, call->arguments[0]));
    sink_raise_stopped(((SinkObject *)stream->object)->buffer);
    return NULL;
}

static const WasiQuestion output_stop = {output_stop_ask, NULL};

/* The program is to stop when it next reads, since it has told the host something. */
static void
output_stop_guest(WasiCall *call)
{
    wasmtime_val_t one = {.kind = WASMTIME_I32, .of = {.i32 = 1}};
    wasmtime_error_t *error = wasmtime_global_set(call->context, &call->wasi->stop, &one);
    if (error != NULL) { /* the global is of another type: it does not stop */
        wasmtime_error_delete(error);
    }
}

/* stop_at_message(store, global) */
static PyObject *
core_stop_at_message(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *global;
    if (!PyArg_ParseTuple(args, "OO!:stop_at_message", &object, state.Global_base, &global)) {
        return NULL;
    }
    StoreObject *store = item_enter(global, object);
    if (store == NULL) {
        return NULL;
    }
    WasiObject *wasi = (WasiObject *)store->wasi;
    if (wasi != NULL) {
        wasi->stops = true;
        wasi->stop = ((GlobalObject *)global)->native;
    }
    store_leave(store);
    Py_RETURN_NONE;
}

static WasiStep
output_to_sink(WasiCall *call, Stream *stream)
{
    SinkBuffer *buffer = ((SinkObject *)stream->object)->buffer;
    const uint8_t *bytes = call->memory.data + call->buffer;
    ptrdiff_t taken = sink_take_in(buffer, bytes, call->length);
    if (UNLIKELY(call->wasi->stops) && sink_has_message(buffer)) {
        output_stop_guest(call);
    }
    if (LIKELY(taken == (ptrdiff_t)call->length)) {
        call->done = call->length;
        return WASI_DONE;
    }
    if (taken == SINK_STOPPED) {
        call->question = &output_stop;
        return WASI_ASK;
    }
    return wasi_error(call, taken == -SINK_NO_MEMORY ? WASI_NOMEM : WASI_NOSPC);
}

static WasiStep
output_to_file(WasiCall *call, Stream *stream)
{
    while (call->done < call->length) {
        int error = WASI_IO;
        ptrdiff_t count = file_write(&stream->file, call->memory.data + call->buffer + call->done,
                                     call->length - call->done, &error);
        if (count == FILE_WOULD_BLOCK) {
            call->awaited = awaited_until(MOMENT_NEVER);
            awaited_add(&call->awaited, stream->file.number, AWAIT_WRITING);
            return WASI_WAIT;
        }
        if (count == FILE_ERROR) {
            return call->done > 0 ? WASI_DONE : wasi_error(call, error);
        }
        call->done += (uint32_t)count;
    }
    return WASI_DONE;
}

static WasiStep
output_write(WasiCall *call, Stream *stream)
{
    if (call->length == 0) {
        return WASI_DONE;
    }
    switch (stream->kind) {
    case STREAM_SINK:
        return output_to_sink(call, stream);
    case STREAM_FILE:
        return output_to_file(call, stream);
    case STREAM_CALLABLE:
        if (!call->answered) {
            call->question = &output_question;
            return WASI_ASK;
        }
        return WASI_DONE;
    default:
        call->done = call->length;
        return WASI_DONE;
    }
}

static WasiStep
fd_write_attempt(WasiCall *call)
{
    OwnStream which = wasi_stream(call->wasi, call->arguments[0]);
    if (UNLIKELY(which == OWN_NONE)) {
        return WASI_FORWARD;
    }
    WasiStep found = wasi_resolve_buffer(call, which != OWN_STDIN);
    if (found != WASI_RETRY) {
        return found;
    }
    return wasi_transferred(call, output_write(call, wasi_stream_of(call, which)));
}
