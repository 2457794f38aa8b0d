/* WASI preview 1 in asynchronous calls: the functions of ../wasi, without blocking the loop.
 *
 * The callback tries a function on the guest's stack; most are done at once. What has to wait, to
 * ask Python, or to be forwarded to the library is noted and goes on between two polls, on the
 * loop's stack, where the event loop waits for a moment or a descriptor.
 *
 * Ownership: a note (AsyncWasi) lives from the callback to the end of the host call. */

typedef struct {
    WasiCall call;
    WasiStep step; /* what comes next */
    bool forwards; /* the library is called, and not only prepared for it */
    wasmtime_val_t *results;
    wasm_trap_t **trap;
} AsyncWasi;

static void
async_wasi_write(AsyncWasi *note)
{
    note->results[0].kind = WASMTIME_I32;
    note->results[0].of.i32 = note->call.error;
}

/* Wait natively: where there is no event loop, and to learn what that has waited for. */
static bool
async_wasi_wait(AsyncWasi *note)
{
    StoreObject *store = note->call.store;
    Pending outer = store->pending;
    store->pending = (Pending){NULL, NULL};
    AwaitedEnd end = wait_for(store, &note->call.awaited);
    Pending pending = store->pending;
    store->pending = outer;
    if (end != AWAITED_STOP) {
        return true;
    }
    if (pending.raised != NULL) {
        PyErr_SetRaisedException(pending.raised);
    }
    else {
        stop_raise(store);
    }
    return false;
}

/* What the event loop waits with: an awaitable. */
static PyObject *
async_wasi_awaitable(const Awaited *what, Moment expires)
{
    PyObject *descriptors = PyList_New(0);
    for (int i = 0; descriptors != NULL && i < what->count; i++) {
        PyObject *pair = Py_BuildValue("(ii)", what->descriptors[i].descriptor,
                                       what->descriptors[i].event == AWAIT_WRITING);
        if (pair == NULL || PyList_Append(descriptors, pair) < 0) {
            Py_CLEAR(descriptors);
        }
        Py_XDECREF(pair);
    }
    if (descriptors == NULL) {
        return NULL;
    }
    Moment until = moment_min(what->until, expires), now = moment_now();
    double seconds = until == MOMENT_NEVER ? -1 : until > now ? (double)(until - now) / 1e9 : 0;
    PyObject *awaitable = PyObject_CallFunction(state.wait, "dO", seconds, descriptors);
    Py_DECREF(descriptors);
    return awaitable;
}

static PyObject *
async_wasi_run(AsyncCall *call)
{
    AsyncWasi *note = call->host.note.cells;
    switch (note->step) {
    case WASI_WAIT:
        return call->blocking
                   ? Py_NewRef(Py_None)
                   : async_wasi_awaitable(&note->call.awaited, store_expires(call->store));
    case WASI_ASK:
        return note->call.question->ask(&note->call);
    case WASI_FORWARD:
        note->forwards = forwarded_find(&note->call) != NULL;
        return forward_next(&note->call);
    case WASI_FAILED:
        PyErr_SetString(state.WasiTrap != NULL ? state.WasiTrap : state.Trap, note->call.failure);
        return NULL;
    default:
        return Py_NewRef(Py_None);
    }
}

/* What the step before has come to; then the function goes on until it needs another. */
static bool
async_wasi_answer(AsyncCall *call, PyObject *result)
{
    AsyncWasi *note = call->host.note.cells;
    bool fine = true;
    if (note->step == WASI_WAIT) {
        fine = async_wasi_wait(note);
        note->step = WASI_RETRY;
    }
    else if (note->step == WASI_ASK) {
        fine = note->call.question->answer(&note->call, result);
        note->call.wasi = (WasiObject *)call->store->wasi; /* Python may have given it another */
        note->step = WASI_RETRY;
    }
    else if (note->step == WASI_FORWARD && note->forwards) {
        note->step = wasi_call_forwarded(&note->call);
    }
    while (fine && note->step == WASI_RETRY) {
        note->step = wasi_call_attempt(&note->call);
    }
    call->host.again = fine && note->step != WASI_DONE;
    if (fine && note->step == WASI_DONE) {
        async_wasi_write(note);
    }
    return fine;
}

static bool
async_wasi_fail(AsyncCall *call)
{
    AsyncWasi *note = call->host.note.cells;
    Pending outer = call->store->pending;
    call->store->pending = call->pending;
    *note->trap = host_failed(call->store);
    call->pending = call->store->pending;
    call->store->pending = outer;
    return true;
}

static void
async_wasi_end(AsyncCall *Py_UNUSED(call), AsyncHost *host)
{
    AsyncWasi *note = host->note.cells;
    wasi_call_end(&note->call);
    PyMem_RawFree(note);
}

static const AsyncHostKind async_wasi_kind = {
    async_wasi_run,
    async_wasi_answer,
    async_wasi_fail,
    async_wasi_end,
};

/* --- the callback, on the guest's stack --------------------------------------------------------- */

/* Try the function; true: it is done. */
static bool
async_wasi_attempt(AsyncWasi *note, const WasiFunction *function, wasmtime_caller_t *caller,
                   const wasmtime_val_t *params)
{
    if (!wasi_call_begin(&note->call, function, caller)) {
        note->step = WASI_FAILED;
        return false;
    }
    for (size_t i = 0; function->parameters[i] != '\0'; i++) {
        note->call.arguments[i] = (uint32_t)params[i].of.i32;
    }
    note->step = WASI_RETRY;
    while (note->step == WASI_RETRY) {
        note->step = wasi_call_attempt(&note->call);
    }
    return note->step == WASI_DONE;
}

static void
async_wasi_callback(void *env, wasmtime_caller_t *caller, wasmtime_val_t *params,
                    size_t Py_UNUSED(count), wasmtime_val_t *results,
                    size_t Py_UNUSED(result_count), wasm_trap_t **trap,
                    wasmtime_async_continuation_t *continuation)
{
    AsyncWasi first = {.results = results, .trap = trap};
    continuation->callback = async_at_once;
    if (LIKELY(async_wasi_attempt(&first, env, caller, params))) {
        async_wasi_write(&first);
        wasi_call_end(&first.call);
        return;
    }
    AsyncWasi *note = PyMem_RawMalloc(sizeof(AsyncWasi));
    if (note == NULL) {
        static const char text[] = "no memory is left for a call of WASI that waits";
        wasi_call_end(&first.call);
        *trap = wasmtime_trap_new((char *)text, sizeof(text) - 1);
        return;
    }
    *note = first;
    StoreObject *store = first.call.store;
    AsyncHost *host = async_note(store, &async_wasi_kind, Py_None, continuation);
    host->note.cells = note;
}
