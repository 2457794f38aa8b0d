/* fd_close and fd_renumber: the numbers by which a guest knows its streams.
 *
 * The library comes first, so that the numbers it gives fit; then the same is done here. */

/* Nobody can use the stream any more: what it leads to is let go. With the GIL if it holds an
 * object, which is left to the WasiObject: a guest closes it without. */
static void
stream_close(Stream *stream)
{
    stream->open = false;
    file_close(&stream->file);
}

static WasiStep
fd_close_attempt(WasiCall *Py_UNUSED(call))
{
    return WASI_FORWARD;
}

static WasiStep
fd_close_forwarded(WasiCall *call)
{
    OwnStream which = wasi_stream(call->wasi, call->arguments[0]);
    if (call->error == WASI_SUCCESS && which != OWN_NONE) {
        stream_close(wasi_stream_of(call, which));
    }
    return WASI_DONE;
}

static WasiStep
fd_renumber_attempt(WasiCall *Py_UNUSED(call))
{
    return WASI_FORWARD;
}

static WasiStep
fd_renumber_forwarded(WasiCall *call)
{
    uint32_t from = call->arguments[0], to = call->arguments[1];
    if (call->error != WASI_SUCCESS || from == to) {
        return WASI_DONE;
    }
    OwnStream replaced = wasi_stream(call->wasi, to), moved = wasi_stream(call->wasi, from);
    if (replaced != OWN_NONE) {
        stream_close(wasi_stream_of(call, replaced));
    }
    if (moved != OWN_NONE) {
        wasi_stream_of(call, moved)->number = to;
    }
    return WASI_DONE;
}
