/* Forwarding to the library's WASI in asynchronous calls (../wasi/forward.c): a store where
 * functions are linked asynchronously makes no synchronous calls. So the forwarding instance is made,
 * and its functions are called, by calls of their own: children of the one whose guest has called.
 *
 * Ownership: the note of the host call outlives both; the cells own the native linker. */

typedef struct {
    WasiCall *call; /* of the note */
    wasmtime_linker_t *linker;
    wasmtime_instance_t instance;
    bool unlimited; /* the store's limits are suspended */
} ForwardLinkCells;

static wasmtime_call_future_t *
forward_link_start(AsyncCall *call)
{
    ForwardLinkCells *cells = call->cells;
    WasiCall *wasi = cells->call;
    ForwardingObject *forwarding = wasi->wasi->forwarding;
    HandleObject *module = published(forwarding->modules[guest_memory_kind(wasi)]);
    if (module == NULL) {
        PyErr_SetString(state.WasiTrap != NULL ? state.WasiTrap : state.Trap, WASI_NOT_PREPARED);
        return NULL;
    }
    cells->linker = wasmtime_linker_clone(forwarding->linker->pointer);
    char guest[] = "guest", memory[] = "memory";
    wasmtime_error_t *error =
        wasmtime_linker_define(cells->linker, wasi->context, guest, strlen(guest), memory,
                               strlen(memory), &wasi->memory.item);
    if (error != NULL) {
        raise_error(error);
        return NULL;
    }
    limits_suspend(call->store);
    cells->unlimited = true;
    return wasmtime_linker_instantiate_async(cells->linker, wasi->context, module->pointer,
                                             &cells->instance, &call->trap, &call->error);
}

static PyObject *
forward_link_finish(AsyncCall *call)
{
    ForwardLinkCells *cells = call->cells;
    limits_resume(call->store, 1, 0);
    cells->unlimited = false;
    return forwarded_register(cells->call, &cells->instance) ? Py_NewRef(Py_None)
                                                             : PyErr_NoMemory();
}

static void
forward_link_drop(AsyncCall *call)
{
    ForwardLinkCells *cells = call->cells;
    if (cells->unlimited) {
        limits_resume(call->store, 0, 0);
    }
    if (cells->linker != NULL) {
        wasmtime_linker_delete(cells->linker);
    }
    PyMem_RawFree(cells);
}

static const AsyncKind forward_link_kind = {
    "wasi", forward_link_start, forward_link_finish, forward_link_drop, NULL, NULL, false,
};

typedef struct {
    WasiCall *call; /* of the note */
    wasmtime_func_t function;
    wasmtime_val_t values[WASI_PARAMETERS];
    wasmtime_val_t result;
} ForwardCells;

static wasmtime_call_future_t *
forward_start(AsyncCall *call)
{
    ForwardCells *cells = call->cells;
    WasiForward which = cells->call->function->forward;
    cells->function = forwarded_find(cells->call)->functions[which];
    for (size_t i = 0; i < WASI_PARAMETERS; i++) {
        cells->values[i].kind = WASMTIME_I32;
        cells->values[i].of.i32 = (int32_t)cells->call->arguments[i];
    }
    return wasmtime_func_call_async(cells->call->context, &cells->function, cells->values,
                                    forward_parameters[which], &cells->result, 1, &call->trap,
                                    &call->error);
}

static PyObject *
forward_finish(AsyncCall *call)
{
    ForwardCells *cells = call->cells;
    cells->call->error = (uint16_t)cells->result.of.i32;
    return Py_NewRef(Py_None);
}

static void
forward_drop(AsyncCall *call)
{
    PyMem_RawFree(call->cells);
}

static const AsyncKind forward_kind = {
    "wasi", forward_start, forward_finish, forward_drop, NULL, NULL, false,
};

/* The call that is to be awaited next, to make the instance or to use it. */
static PyObject *
forward_next(WasiCall *wasi)
{
    bool made = forwarded_find(wasi) != NULL;
    size_t size = made ? sizeof(ForwardCells) : sizeof(ForwardLinkCells);
    void *cells = PyMem_RawCalloc(1, size);
    if (cells == NULL) {
        return PyErr_NoMemory();
    }
    *(WasiCall **)cells = wasi;
    return (PyObject *)async_call_new(made ? &forward_kind : &forward_link_kind, wasi->store,
                                      Py_None, cells);
}
