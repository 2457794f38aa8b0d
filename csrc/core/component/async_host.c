/* Python functions that components call in asynchronous calls (async/async.h): noted on the guest's
 * stack, run on the event loop's.
 *
 * What the library hands to the callback dies when the callback returns. So the values of the
 * parameters are taken out of it, and an error can be told afterwards in one way only: by a result
 * of a wrong type, which the library makes an error of. A function without a result cannot tell
 * one; the call is dropped then.
 *
 * Ownership: a note (ComponentNote) lives from the callback to the end of the host call and owns
 * the parameters, the type, and what was lifted of them. Where the results go is the library's and
 * lives until the answer. */

typedef struct {
    ComponentHostFuncObject *function; /* kept by the linker's definitions */
    ProgramObject *program;            /* that of a slot, or a reference if `compiled` */
    bool compiled;
    wasmtime_component_func_type_t *type; /* owned; NULL where the program was known already */
    wasmtime_component_val_t *results;    /* the library's */
    size_t result_count;
    PyObject *borrows; /* list, or NULL */
    size_t param_count;
    wasmtime_component_val_t params[]; /* owned */
} ComponentNote;

/* Leaves nothing that its former place would free. */
static wasmtime_component_val_t
component_val_take(wasmtime_component_val_t *from)
{
    wasmtime_component_val_t value = *from;
    from->kind = WASMTIME_COMPONENT_BOOL;
    from->of.boolean = false;
    return value;
}

static void
component_note_free(ComponentNote *note)
{
    for (size_t i = 0; i < note->param_count; i++) {
        if (note->params[i].kind > WASMTIME_COMPONENT_CHAR) {
            wasmtime_component_val_delete(&note->params[i]);
        }
    }
    if (note->type != NULL) {
        wasmtime_component_func_type_delete(note->type);
    }
    PyMem_RawFree(note);
}

/* --- the callback, on the guest's stack -------------------------------------------------------- */

static const AsyncHostKind component_note_kind;

static void
component_host_note(void *env, wasmtime_context_t *context, wasmtime_component_func_type_t *type,
                    wasmtime_component_val_t *params, size_t param_count,
                    wasmtime_component_val_t *results, size_t result_count,
                    wasmtime_error_t **error, wasmtime_async_continuation_t *continuation)
{
    ComponentNote *note =
        PyMem_RawMalloc(sizeof(ComponentNote) + param_count * sizeof(wasmtime_component_val_t));
    if (note == NULL) {
        *error = wasmtime_error_new("no memory is left for a host function's arguments");
        continuation->callback = async_at_once;
        return;
    }
    note->function = env;
    note->program = component_host_known(env, type);
    note->type = note->program != NULL ? NULL : wasmtime_component_func_type_clone(type);
    note->results = results;
    note->result_count = result_count;
    note->compiled = false;
    note->borrows = NULL;
    note->param_count = param_count;
    for (size_t i = 0; i < param_count; i++) {
        note->params[i] = component_val_take(&params[i]);
    }
    StoreObject *store = wasmtime_context_get_data(context);
    AsyncHost *host = async_note(store, &component_note_kind, env, continuation);
    host->awaits = true;
    host->note.cells = note;
}

static PyObject *
component_hostfunc_async_callback(ComponentHostFuncObject *Py_UNUSED(self),
                                  void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr((void *)(uintptr_t)component_host_note);
}

/* --- the steps of a host call, on the event loop's ---------------------------------------------------------------- */

/* Have a program for the noted type. False with an exception. */
static bool
component_note_compile(ComponentNote *note)
{
    if (note->program == NULL) {
        note->program = component_host_program(note->function, note->type);
        note->compiled = note->program != NULL;
    }
    return note->program != NULL;
}

static PyObject *
component_note_run(AsyncCall *call)
{
    ComponentNote *note = call->host.note.cells;
    if (!destructions_run(call->store) || !component_note_compile(note)) {
        return NULL;
    }
    PyObject *few[HOST_FEW];
    HostFrame frame;
    host_frame_open(&frame, call->store, note->function, few);
    Lifting lifting = {call->store, note->program, NULL};
    PyObject *result = NULL;
    if (component_host_pass(note->function, &frame, &lifting, note->params, note->param_count,
                            note->result_count)) {
        result = host_frame_call(&frame, note->function->callable);
    }
    note->borrows = lifting.borrows;
    return async_host_leave(call, &frame, result);
}

static bool
component_note_answer(AsyncCall *call, PyObject *result)
{
    ComponentNote *note = call->host.note.cells;
    return component_host_return(call->store, note->program, result, &note->results[0]);
}

static bool
component_note_fail(AsyncCall *call)
{
    ComponentNote *note = call->host.note.cells;
    async_keep_exception(call);
    if (note->result_count == 0) {
        return false;
    }
    /* Of no type that the function can have. */
    bool is_bool = note->program != NULL && note->program->result >= 0
                   && note->program->nodes[note->program->result].kind == WIT_BOOL;
    note->results[0].kind = is_bool ? WASMTIME_COMPONENT_U8 : WASMTIME_COMPONENT_BOOL;
    note->results[0].of.u64 = 0;
    return true;
}

static void
component_note_end(AsyncCall *call, AsyncHost *host)
{
    ComponentNote *note = host->note.cells;
    if (host->caller != NULL) {
        caller_expire(host->caller);
        Py_CLEAR(host->caller);
    }
    if (note->borrows != NULL) {
        expire_borrows(call->store, note->borrows);
    }
    if (note->compiled) {
        Py_DECREF(note->program);
    }
    component_note_free(note);
}

static const AsyncHostKind component_note_kind = {
    component_note_run,
    component_note_answer,
    component_note_fail,
    component_note_end,
};
