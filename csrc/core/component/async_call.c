/* Asynchronous calls of what components export, and asynchronous instantiation: two kinds of
 * AsyncCall (async/async.h).
 *
 * Ownership: the cells own what a call borrows: the arguments as Python gave them, their lowered
 * form, the place of the result; or the native linker and component. They are freed when the
 * native future is gone. */

/* --- calls ------------------------------------------------------------------------------------ */

typedef struct {
    PyObject *names;        /* tuple of the names of the last arguments, or NULL */
    ProgramObject *program; /* a reference; NULL before the call has begun */
    Lowering lowering;      /* as long as there is a program */
    wasmtime_component_val_t few[COMPONENT_FEW];
    wasmtime_component_val_t returned;
    Py_ssize_t count;  /* of all arguments, the store among them if it came by position */
    PyObject *given[]; /* references */
} ComponentCells;

/* `first`, then the arguments, of which the last ones are given by the names. */
static ComponentCells *
component_cells_new(void *first, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t all = (first != NULL) + count;
    ComponentCells *cells =
        PyMem_RawMalloc(sizeof(ComponentCells) + (size_t)all * sizeof(PyObject *));
    if (cells == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    cells->names = Py_XNewRef(names);
    cells->program = NULL;
    cells->returned.kind = WASMTIME_COMPONENT_BOOL; /* owns nothing, if the call makes no result */
    cells->returned.of.boolean = false;
    cells->count = 0;
    if (first != NULL) {
        cells->given[cells->count++] = Py_NewRef(first);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        cells->given[cells->count++] = Py_NewRef(arguments[i]);
    }
    return cells;
}

/* Lower the arguments, by position or by name; NULL with an exception. */
static wasmtime_component_val_t *
component_cells_lower(ComponentCells *cells)
{
    const ProgramObject *program = cells->program;
    Py_ssize_t named = cells->names != NULL ? PyTuple_Size(cells->names) : 0;
    Py_ssize_t positional = cells->count - named;
    if (named == 0) {
        return component_check_count(program, positional - 1)
                   ? component_lower_arguments(&cells->lowering, cells->given + 1, cells->few)
                   : NULL;
    }
    PyObject **values =
        arena_array(&cells->lowering, (size_t)program->params + 1, sizeof(PyObject *));
    if (values == NULL) {
        return NULL;
    }
    memset(values, 0, ((size_t)program->params + 1) * sizeof(PyObject *));
    return component_place_arguments(program, cells->given, positional, cells->names, values)
               ? component_lower_arguments(&cells->lowering, values, cells->few)
               : NULL;
}

static wasmtime_call_future_t *
component_call_start(AsyncCall *call)
{
    ComponentFuncObject *self = (ComponentFuncObject *)call->object;
    ComponentCells *cells = call->cells;
    ProgramObject *program = component_func_program(self, call->store);
    if (program == NULL) {
        return NULL;
    }
    cells->program = (ProgramObject *)Py_NewRef(program);
    lowering_begin(&cells->lowering, call->store, program);
    wasmtime_component_val_t *values = component_cells_lower(cells);
    if (values == NULL) {
        return NULL;
    }
    return wasmtime_component_func_call_async(&self->native.func, call->store->context, values,
                                              program->params, &cells->returned,
                                              program->result >= 0, &call->error);
}

static PyObject *
component_call_finish(AsyncCall *call)
{
    ComponentCells *cells = call->cells;
    if (!destructions_run(call->store)) {
        return NULL;
    }
    return component_lift_result(call->store, cells->program, &cells->returned);
}

static void
component_call_drop(AsyncCall *call)
{
    ComponentCells *cells = call->cells;
    if (cells->program != NULL) {
        destructions_finish(call->store);
        lowering_end(&cells->lowering);
        Py_DECREF(cells->program);
    }
    if (cells->returned.kind > WASMTIME_COMPONENT_CHAR) {
        wasmtime_component_val_delete(&cells->returned);
    }
    for (Py_ssize_t i = 0; i < cells->count; i++) {
        Py_DECREF(cells->given[i]);
    }
    Py_XDECREF(cells->names);
    PyMem_RawFree(cells);
}

static int
component_call_traverse(AsyncCall *call, visitproc visit, void *arg)
{
    ComponentCells *cells = call->cells;
    for (Py_ssize_t i = 0; i < cells->count; i++) {
        Py_VISIT(cells->given[i]);
    }
    return 0;
}

static const AsyncKind component_call_kind = {
    "component.Func.call_async",
    component_call_start,
    component_call_finish,
    component_call_drop,
    component_call_traverse,
    component_refine,
    true,
};

static const char component_func_call_async_doc[] = PyDoc_STR(
    "call_async($self, /, store, *params, **named)\n--\n\n"
    "Call the function without keeping the event loop from other work.\n\n"
    "Await what this returns: a coroutine, which may be given to a task as well. While an ``async\n"
    "def`` host function waits, the event loop runs other tasks, and a guest that computes for long\n"
    "gives way to them. Cancelling the task ends the guest; a store in which a component was ended\n"
    "cannot be used any more.\n\n"
    "Args:\n"
    "    store: The store that the function lives in. What runs in it was instantiated with\n"
    "        `Linker.instantiate_async`, if it calls Python functions.\n"
    "    params: The parameters, as for a call of the function.\n"
    "    named: Parameters by name.\n\n"
    "Returns:\n"
    "    A coroutine that gives the result and raises what the call raises.\n\n"
    "Raises:\n"
    "    WasmtimeError: The function lives in another store.\n"
    "    ValueError: The store is closed.\n\n"
    "C API: ``wasmtime_component_func_call_async``.");

static PyObject *
component_func_call_async(PyObject *self, PyObject *const *arguments, Py_ssize_t count,
                          PyObject *names)
{
    StoreObject *store = component_store_argument(arguments, count, names);
    if (store == NULL || !item_check((ItemObject *)self, store)) {
        return NULL;
    }
    count += names != NULL ? PyTuple_Size(names) : 0;
    ComponentCells *cells = component_cells_new(NULL, arguments, count, names);
    return cells == NULL ? NULL
                         : (PyObject *)async_call_new(&component_call_kind, store, self, cells);
}

static PyObject *
component_func_call_there(StoreObject *store, ComponentFuncObject *self, PyObject *const *arguments,
                          Py_ssize_t count)
{
    ComponentCells *cells = component_cells_new(store, arguments, count, NULL);
    AsyncCall *call =
        cells == NULL ? NULL : async_call_new(&component_call_kind, store, self, cells);
    return call == NULL ? NULL : async_call_run(call);
}

/* --- instantiation ---------------------------------------------------------------------------- */

typedef struct {
    HandleObject *native;   /* the native linker for asynchronous calls, a reference */
    HandleObject *compiled; /* the component, the same */
    bool reading;           /* the linker: until the call is over */
    bool waits;             /* the component may wait */
    wasmtime_component_instance_t instance;
} ComponentLinkCells;

static wasmtime_call_future_t *
component_link_start(AsyncCall *call)
{
    LinkerObject *linker = (LinkerObject *)call->object;
    ComponentLinkCells *cells = call->cells;
    cells->reading = linker_read_begin(linker);
    if (!cells->reading || !store_keep_definitions(call->store, linker->definitions)) {
        return NULL;
    }
    call->store->asynchronous |= cells->waits || PyList_Size(linker->definitions) > 0;
    return wasmtime_component_linker_instantiate_async(cells->native->pointer, call->store->context,
                                                       cells->compiled->pointer, &cells->instance,
                                                       &call->error);
}

static PyObject *
component_link_finish(AsyncCall *call)
{
    ComponentLinkCells *cells = call->cells;
    if (!destructions_run(call->store)) {
        return NULL;
    }
    return item_wrap(component.Instance, call->store, &cells->instance, sizeof(cells->instance));
}

static void
component_link_drop(AsyncCall *call)
{
    ComponentLinkCells *cells = call->cells;
    if (cells->reading) {
        linker_read_end((LinkerObject *)call->object);
        destructions_finish(call->store);
    }
    Py_DECREF(cells->native);
    Py_DECREF(cells->compiled);
    PyMem_RawFree(cells);
}

static const AsyncKind component_link_kind = {
    "component.Linker.instantiate_async",
    component_link_start,
    component_link_finish,
    component_link_drop,
    NULL,
    component_refine,
    true,
};

/* A call that instantiates, with the native linker for asynchronous calls. */
static PyObject *
component_link_new(LinkerObject *linker, HandleObject *native, StoreObject *store,
                   HandleObject *compiled, bool waits)
{
    ComponentLinkCells *cells = PyMem_RawCalloc(1, sizeof(ComponentLinkCells));
    if (cells == NULL) {
        return PyErr_NoMemory();
    }
    cells->native = (HandleObject *)Py_NewRef(native);
    cells->compiled = (HandleObject *)Py_NewRef(compiled);
    cells->waits = waits;
    return (PyObject *)async_call_new(&component_link_kind, store, linker, cells);
}

/* component_instantiate_async(linker, native, store, component, waits): the AsyncCall. */
static PyObject *
core_component_instantiate_async(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *linker, *native, *object, *compiled;
    int waits;
    if (!PyArg_ParseTuple(args, "O!O!OOp:component_instantiate_async", state.Linker_base, &linker,
                          state.Handle, &native, &object, &compiled, &waits)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    HandleObject *handle =
        store == NULL ? NULL : owner_argument(compiled, KIND_COMPONENT, "component", "Component");
    if (handle == NULL) {
        return NULL;
    }
    PyObject *call = NULL;
    if (check_engine(store, linker, "linker") && check_engine(store, compiled, "component")) {
        call = component_link_new((LinkerObject *)linker, (HandleObject *)native, store, handle,
                                  waits != 0);
    }
    Py_DECREF(handle);
    return call;
}
