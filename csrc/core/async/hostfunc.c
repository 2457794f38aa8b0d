/* Python functions that core modules call in asynchronous calls (async.h): noted on the guest's
 * stack, run on the event loop's.
 *
 * Ownership: parameters, results and the place of the trap are the library's, and live until the
 * host call is answered or dropped. The Caller expires then. */

static PyObject *
core_note_run(AsyncCall *call)
{
    HostFuncObject *self = (HostFuncObject *)call->host.function;
    HostValues values = {NULL, call->host.note.core.params, call->host.note.core.results};
    PyObject *few[HOST_FEW];
    HostFrame frame;
    host_frame_open(&frame, call->store, self, few);
    PyObject *result = NULL;
    if (host_pass(self, &frame, call->host.note.core.caller, &values)) {
        result = host_frame_call(&frame, self->callable);
    }
    return async_host_leave(call, &frame, result);
}

static bool
core_note_answer(AsyncCall *call, PyObject *result)
{
    HostValues values = {NULL, NULL, call->host.note.core.results};
    return host_write_results((HostFuncObject *)call->host.function, call->store, &values, result);
}

static bool
core_note_fail(AsyncCall *call)
{
    StoreObject *store = call->store;
    Pending outer = store->pending;
    store->pending = call->pending;
    *call->host.note.core.trap = host_failed(store);
    call->pending = store->pending;
    store->pending = outer;
    return true;
}

static void
core_note_end(AsyncCall *Py_UNUSED(call), AsyncHost *host)
{
    if (host->caller != NULL) {
        caller_expire(host->caller);
        Py_CLEAR(host->caller);
    }
}

static const AsyncHostKind core_note_kind = {
    core_note_run,
    core_note_answer,
    core_note_fail,
    core_note_end,
};

/* --- the callback, on the guest's stack --------------------------------------------------------- */

/* Whether an awaitable that the function returns is awaited, and not handed to the guest. */
static bool
host_awaits(const HostFuncObject *self)
{
    const Signature *signature = self->signature;
    return self->coroutine || signature->results != 1
           || signature_results(signature)[0] != VALKIND_EXTERNREF;
}

static void
host_note(void *env, wasmtime_caller_t *caller, wasmtime_val_t *params, size_t Py_UNUSED(count),
          wasmtime_val_t *results, size_t Py_UNUSED(result_count), wasm_trap_t **trap,
          wasmtime_async_continuation_t *continuation)
{
    StoreObject *store = wasmtime_context_get_data(wasmtime_caller_context(caller));
    AsyncHost *host = async_note(store, &core_note_kind, env, continuation);
    host->awaits = host_awaits(env);
    host->note.core.caller = caller;
    host->note.core.params = params;
    host->note.core.results = results;
    host->note.core.trap = trap;
}

static PyObject *
hostfunc_get_async_callback(HostFuncObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr((void *)(uintptr_t)host_note);
}

/* --- stores where everything is linked asynchronously ------------------------------------------- */

/* From now on, what is linked into the store is linked asynchronously; inside of it. */
static bool
store_become_asynchronous(StoreObject *store)
{
    if (store->asynchronous && !store->lends) {
        return true;
    }
    if (store->links_python) {
        return async_refuse_linked();
    }
    if (store->call == NULL && store->released != NULL) {
        return async_refuse("store is in use: it cannot become asynchronous in the middle of a "
                            "synchronous call");
    }
    store->asynchronous = true;
    store->lends = false; /* calls find that out, and take the way of async/func.c */
    return true;
}

/* Make a native function of the type that runs `host` between two polls; inside of the store. */
static bool
hostfunc_define(HostFuncObject *host, StoreObject *store, const wasm_functype_t *type,
                wasmtime_func_t *out)
{
    if (!store_become_asynchronous(store)) {
        return false;
    }
    char none[1] = "";
    wasmtime_linker_t *linker = wasmtime_linker_new(store->engine_handle->pointer);
    wasmtime_error_t *error = wasmtime_linker_define_async_func(
        linker, none, 0, none, 0, (wasm_functype_t *)type, host_note, host, NULL);
    wasmtime_extern_t item;
    if (error == NULL && wasmtime_linker_get(linker, store->context, none, 0, none, 0, &item)) {
        *out = item.of.func;
    }
    wasmtime_linker_delete(linker);
    if (error != NULL) {
        raise_error(error);
    }
    return error == NULL;
}
