/* Asynchronous calls of core functions: a kind of AsyncCall (async.h), and what makes such calls.
 *
 * Ownership: the cells own the arguments as Python gave them, and the roots of their lowered form.
 * The results' roots go to the Python objects that they become. */

typedef struct {
    wasmtime_func_t native;
    const Signature *signature; /* the Func's */
    PyObject **given;           /* references, behind the values */
    uint32_t lowered;           /* so many of the parameters */
    bool lifted;                /* the results' roots have been taken */
    wasmtime_val_t values[];    /* parameters, then results */
} FuncCells;

static FuncCells *
func_cells_new(const Signature *signature, PyObject *const *arguments)
{
    size_t values = (size_t)signature->params + signature->results;
    FuncCells *cells = PyMem_RawCalloc(1, sizeof(FuncCells) + values * sizeof(wasmtime_val_t)
                                              + (size_t)signature->params * sizeof(PyObject *));
    if (cells == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    cells->signature = signature;
    cells->given = (PyObject **)(cells->values + values);
    for (uint32_t i = 0; i < signature->params; i++) {
        cells->given[i] = Py_NewRef(arguments[i]);
    }
    return cells;
}

static wasmtime_call_future_t *
func_call_start(AsyncCall *call)
{
    FuncCells *cells = call->cells;
    const Signature *signature = cells->signature;
    FuncObject *self = (FuncObject *)call->object;
    for (; cells->lowered < signature->params; cells->lowered++) {
        uint32_t i = cells->lowered;
        if (!lower_value(call->store, cells->given[i], signature->kinds[i], &cells->values[i],
                         (Place){"parameter", (Py_ssize_t)i + 1})) {
            return NULL;
        }
    }
    if (self->host != NULL && !store_become_asynchronous(call->store)) {
        return NULL;
    }
    const wasmtime_func_t *native = func_lend(self, call->store);
    if (native == NULL) {
        return NULL;
    }
    cells->native = *native;
    return wasmtime_func_call_async(call->store->context, &cells->native, cells->values,
                                    signature->params, cells->values + signature->params,
                                    signature->results, &call->trap, &call->error);
}

static PyObject *
func_call_finish(AsyncCall *call)
{
    FuncCells *cells = call->cells;
    cells->lifted = true;
    return lift_results(call->store, cells->signature, cells->values + cells->signature->params);
}

static void
func_call_drop(AsyncCall *call)
{
    FuncCells *cells = call->cells;
    const Signature *signature = cells->signature;
    for (uint32_t i = 0; i < cells->lowered; i++) {
        value_drop(&cells->values[i]);
    }
    for (uint32_t i = 0; !cells->lifted && i < signature->results; i++) {
        value_drop(&cells->values[signature->params + i]);
    }
    for (uint32_t i = 0; i < signature->params; i++) {
        Py_DECREF(cells->given[i]);
    }
    PyMem_RawFree(cells);
}

static int
func_call_traverse(AsyncCall *call, visitproc visit, void *arg)
{
    FuncCells *cells = call->cells;
    for (uint32_t i = 0; i < cells->signature->params; i++) {
        Py_VISIT(cells->given[i]);
    }
    return 0;
}

static const AsyncKind func_call_kind = {
    "Func.call_async",
    func_call_start,
    func_call_finish,
    func_call_drop,
    func_call_traverse,
    NULL,
    false,
};

/* --- what makes calls --------------------------------------------------------------------------- */

/* A call, FRESH; NULL with an exception. */
static AsyncCall *
func_call_new(StoreObject *store, FuncObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    const Signature *signature = published(self->signature);
    if (signature == NULL && (signature = func_read_signature(self, store)) == NULL) {
        return NULL;
    }
    if (count != (Py_ssize_t)signature->params) {
        refuse_arity(count, signature->params);
        return NULL;
    }
    FuncCells *cells = func_cells_new(signature, arguments);
    return cells == NULL ? NULL : async_call_new(&func_call_kind, store, self, cells);
}

/* What func_call() does where it could not begin: the exception is set, or calls into the store are
 * asynchronous. */
static NOINLINE PyObject *
func_call_there(StoreObject *store, FuncObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (PyErr_Occurred()) {
        return NULL;
    }
    AsyncCall *call = func_call_new(store, self, arguments, count);
    return call == NULL ? NULL : async_call_run(call);
}

static const char func_call_async_doc[] = PyDoc_STR(
    "call_async($self, /, store, *params)\n--\n\n"
    "Call the function without keeping the event loop from other work.\n\n"
    "Await what this returns: a coroutine, which may be given to a task as well. While an ``async\n"
    "def`` host function waits, the event loop runs other tasks, and a guest that computes for long\n"
    "gives way to them. Cancelling the task cancels the host function that waits, and ends the\n"
    "guest; the store can be used again.\n\n"
    "Args:\n"
    "    store: The Store (or Caller) that the function lives in.\n"
    "    params: The parameters, as for a call of the function.\n\n"
    "Returns:\n"
    "    A coroutine that gives the result and raises what the call raises.\n\n"
    "Raises:\n"
    "    WasmtimeError: Too many or too few parameters, or the function lives in another store; when\n"
    "        it is awaited: another call into the store is in progress, or Python functions were\n"
    "        linked into the store for synchronous calls (see `Linker.instantiate_async`).\n"
    "    ValueError: The store is closed.\n\n"
    "Example:\n"
    "    >>> import asyncio\n"
    "    >>> from wasmtime import Func, FuncType, Store, ValType\n"
    "    >>> async def double(n):\n"
    "    ...     await asyncio.sleep(0.01)\n"
    "    ...     return 2 * n\n"
    "    >>> store = Store()\n"
    "    >>> func = Func(store, FuncType([ValType.I32], [ValType.I32]), double)\n"
    "    >>> asyncio.run(func.call_async(store, 21))\n"
    "    42\n\n"
    "C API: ``wasmtime_func_call_async``.");

static PyObject *
func_call_async(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    PyObject *given = count > 0 ? arguments[0] : NULL;
    if (names != NULL && PyTuple_Size(names) > 0) {
        bool alone = count == 0 && PyTuple_Size(names) == 1
                     && PyUnicode_Compare(PyTuple_GetItem(names, 0), state.str_store) == 0;
        if (!alone) {
            return func_call_oddly(object, arguments, count, names);
        }
        given = arguments[0];
        count = 1;
    }
    if (given == NULL) {
        return func_call_oddly(object, arguments, count, NULL);
    }
    StoreObject *store = storelike(given);
    if (store == NULL || !item_check((ItemObject *)object, store)) {
        return NULL;
    }
    return (PyObject *)func_call_new(store, (FuncObject *)object, arguments + 1, count - 1);
}

/* bound(…) of a BoundAsyncFunc. */
static PyObject *
bound_async_vectorcall(PyObject *object, PyObject *const *arguments, size_t flags, PyObject *names)
{
    BoundFuncObject *self = (BoundFuncObject *)object;
    if (names != NULL && PyTuple_Size(names) > 0) {
        return func_call_oddly(object, arguments, PyVectorcall_NARGS(flags), names);
    }
    return (PyObject *)func_call_new(self->store, self->func, arguments, PyVectorcall_NARGS(flags));
}

static PyObject *
func_bind_async(FuncObject *self, PyObject *object)
{
    return func_bind_as(self, object, state.BoundAsyncFunc, bound_async_vectorcall, ADAPT_GIL);
}

static PyType_Slot bound_async_slots[] = {
    {Py_tp_doc, "A WebAssembly function together with its store: `await bound(*params)`.\n\n"
                "Made by Func.bind_async(). Keeps its store alive."},
    {Py_tp_dealloc, bound_dealloc},
    {Py_tp_traverse, bound_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, bound_members},
    {Py_tp_methods, bound_methods},
    {0, NULL},
};
static PyType_Spec bound_async_spec = {
    "wasmtime._core.BoundAsyncFunc", sizeof(BoundFuncObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, bound_async_slots};
