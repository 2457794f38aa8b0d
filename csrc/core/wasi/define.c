/* The nine functions, in a linker and at work in a synchronous call.
 *
 * A linker defines the library's functions first; these take the place of nine of them. They belong
 * to no store: the one that calls is the caller's, with its WasiObject. */

static const WasiFunction wasi_functions[] = {
    {"fd_write", "iiii", fd_write_attempt, FORWARD_FD_WRITE, NULL},
    {"fd_read", "iiii", fd_read_attempt, FORWARD_FD_READ, NULL},
    {"poll_oneoff", "iiii", poll_oneoff_attempt, FORWARD_POLL_ONEOFF, poll_oneoff_forwarded},
    {"fd_close", "i", fd_close_attempt, FORWARD_FD_CLOSE, fd_close_forwarded},
    {"fd_renumber", "ii", fd_renumber_attempt, FORWARD_FD_RENUMBER, fd_renumber_forwarded},
    {"clock_time_get", "iIi", clock_time_get_attempt, FORWARD_NEVER, NULL},
    {"clock_res_get", "ii", clock_res_get_attempt, FORWARD_NEVER, NULL},
    {"random_get", "ii", random_get_attempt, FORWARD_NEVER, NULL},
    {"sched_yield", "", sched_yield_attempt, FORWARD_NEVER, NULL},
};
#define WASI_FUNCTIONS (sizeof(wasi_functions) / sizeof(wasi_functions[0]))

/* --- a call ----------------------------------------------------------------------------------- */

static const char WASI_NOT_CONFIGURED[] =
    "WASI is not configured in this store: call store.set_wasi(WasiConfig()) first";

/* False: `failure` says why. wasi_call_end() must follow in any case. */
static bool
wasi_call_begin(WasiCall *call, const WasiFunction *function, wasmtime_caller_t *caller)
{
    memset(call, 0, sizeof(*call));
    call->context = wasmtime_caller_context(caller);
    call->store = wasmtime_context_get_data(call->context);
    call->wasi = (WasiObject *)call->store->wasi;
    call->function = function;
    if (UNLIKELY(call->wasi == NULL)) {
        call->failure = WASI_NOT_CONFIGURED;
    }
    else if (UNLIKELY(!guest_memory_find(&call->memory, caller))) {
        call->failure = WASI_NO_MEMORY_EXPORT;
    }
    return call->failure == NULL;
}

static void
wasi_call_end(WasiCall *call)
{
    guest_memory_release(&call->memory);
    if (UNLIKELY(call->poll != NULL)) {
        PyMem_RawFree(call->poll);
    }
}

static WasiStep
wasi_call_attempt(WasiCall *call)
{
    guest_memory_refresh(call);
    return call->function->attempt(call);
}

/* The library has answered. */
static WasiStep
wasi_call_forwarded(WasiCall *call)
{
    if (call->function->forwarded == NULL) {
        return WASI_DONE;
    }
    guest_memory_refresh(call);
    return call->function->forwarded(call);
}

/* --- a synchronous call ----------------------------------------------------------------------- */

/* Ask Python. NULL: it has answered. */
static wasm_trap_t *
wasi_ask(WasiCall *call)
{
    StoreObject *store = call->store;
    HostEntry entry;
    host_begin(store, &entry);
    PyObject *kept = Py_NewRef(call->wasi); /* Python may give the store another */
    PyObject *answer = call->question->ask(call);
    bool fine = answer != NULL && call->question->answer(call, answer) && store_heed_fork(store);
    Py_XDECREF(answer);
    wasm_trap_t *trap = fine ? NULL : host_failed(store);
    if (fine && store->wasi != kept) {
        call->wasi = (WasiObject *)store->wasi;
    }
    Py_DECREF(kept);
    host_end(store, &entry);
    return trap;
}

static NOINLINE wasm_trap_t *
wasi_refuse(WasiCall *call)
{
    HostEntry entry;
    host_begin(call->store, &entry);
    PyErr_SetString(state.WasiTrap != NULL ? state.WasiTrap : state.Trap, call->failure);
    wasm_trap_t *trap = host_failed(call->store);
    host_end(call->store, &entry);
    return trap;
}

static wasm_trap_t *
wasi_wait(WasiCall *call)
{
    return wait_for(call->store, &call->awaited) == AWAITED_STOP ? stop_trap(call->store) : NULL;
}

static wasm_trap_t *
wasi_run(WasiCall *call)
{
    WasiStep step = WASI_RETRY;
    for (;;) {
        wasm_trap_t *trap = NULL;
        switch (step) {
        case WASI_DONE:
            return NULL;
        case WASI_FAILED:
            return wasi_refuse(call);
        case WASI_WAIT:
            trap = wasi_wait(call);
            step = WASI_RETRY;
            break;
        case WASI_ASK:
            trap = wasi_ask(call);
            step = WASI_RETRY;
            break;
        case WASI_FORWARD:
            trap = wasi_forward(call);
            step = call->failure != NULL ? WASI_FAILED : wasi_call_forwarded(call);
            break;
        case WASI_RETRY:
            step = wasi_call_attempt(call);
            break;
        }
        if (UNLIKELY(trap != NULL)) {
            return trap;
        }
    }
}

static wasm_trap_t *
wasi_callback(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *slots,
              size_t Py_UNUSED(count))
{
    WasiCall call;
    wasm_trap_t *trap;
    if (LIKELY(wasi_call_begin(&call, env, caller))) {
        for (size_t i = 0; call.function->parameters[i] != '\0'; i++) {
            call.arguments[i] = (uint32_t)slots[i].i32;
        }
        trap = wasi_run(&call);
    }
    else {
        trap = wasi_refuse(&call);
    }
    slots[0].i32 = call.error;
    wasi_call_end(&call);
    return trap;
}

/* --- in a linker ------------------------------------------------------------------------------ */

static wasm_functype_t *
wasi_functype(const WasiFunction *function)
{
    wasm_valtype_t *parameters[WASI_PARAMETERS], *result = wasm_valtype_new(WASM_I32);
    size_t count = strlen(function->parameters);
    for (size_t i = 0; i < count; i++) {
        parameters[i] = wasm_valtype_new(function->parameters[i] == 'I' ? WASM_I64 : WASM_I32);
    }
    wasm_valtype_vec_t given, results;
    wasm_valtype_vec_new(&given, count, parameters);
    wasm_valtype_vec_new(&results, 1, &result);
    return wasm_functype_new(&given, &results);
}

/* async/wasi.c */
static void async_wasi_callback(void *env, wasmtime_caller_t *caller, wasmtime_val_t *params,
                                size_t count, wasmtime_val_t *results, size_t result_count,
                                wasm_trap_t **trap, wasmtime_async_continuation_t *continuation);

static wasmtime_error_t *
wasi_define(wasmtime_linker_t *linker, const WasiFunction *function, bool asynchronous)
{
    wasm_functype_t *type = wasi_functype(function);
    size_t module_size = strlen(WASI_PREVIEW1), size = strlen(function->name);
    wasmtime_error_t *error =
        asynchronous
            ? wasmtime_linker_define_async_func(linker, (char *)WASI_PREVIEW1, module_size,
                                                (char *)function->name, size, type,
                                                async_wasi_callback, (void *)function, NULL)
            : wasmtime_linker_define_func_unchecked(linker, (char *)WASI_PREVIEW1, module_size,
                                                    (char *)function->name, size, type,
                                                    wasi_callback, (void *)function, NULL);
    wasm_functype_delete(type);
    return error;
}

PyDoc_STRVAR(define_own_wasi_doc,
             "define_own_wasi($module, linker, asynchronous=False, skip=(), /)\n--\n\n"
             "Define the package's functions of WASI preview 1 in a Handle of a linker, which lets "
             "definitions be replaced.");

static PyObject *
core_define_own_wasi(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *linker, *skip = NULL;
    int asynchronous = 0;
    if (!PyArg_ParseTuple(args, "O!|pO:define_own_wasi", state.Handle, &linker, &asynchronous,
                          &skip)) {
        return NULL;
    }
    for (size_t i = 0; i < WASI_FUNCTIONS; i++) {
        PyObject *name = skip != NULL ? PyUnicode_FromString(wasi_functions[i].name) : NULL;
        int skipped = name != NULL ? PySequence_Contains(skip, name) : 0;
        Py_XDECREF(name);
        if (skipped < 0 || (skip != NULL && PyErr_Occurred())) {
            return NULL;
        }
        wasmtime_error_t *error = skipped ? NULL
                                          : wasi_define(((HandleObject *)linker)->pointer,
                                                        &wasi_functions[i], asynchronous != 0);
        if (error != NULL) {
            return raise_error(error);
        }
    }
    Py_RETURN_NONE;
}
