/* The library's errors and traps, and pending exceptions, become Python exceptions.
 *
 * How an exception of a host function travels: the callback keeps it in the store's `pending`
 * (host_keep_exception() in callback.c) and returns a trap, which unwinds WebAssembly. The native
 * call below which it was raised finds it there and raises the same object again. It never leaves
 * the store and the call that it belongs to.
 *
 * Ownership: a native error or trap is given to the exception that stands for it, whose Handle
 * deletes it. Where no exception needs it, it is deleted at once. */

/* An exception of `type`, made without running its __init__. */
static PyObject *
exception_make(PyObject *type)
{
#ifdef Py_LIMITED_API
    newfunc make = (newfunc)PyType_GetSlot((PyTypeObject *)type, Py_tp_new);
#else
    newfunc make = ((PyTypeObject *)type)->tp_new;
#endif
    return make((PyTypeObject *)type, state.empty_tuple, NULL);
}

/* An exception of `type` that reads its details from the native `pointer`, which it owns. */
static PyObject *
exception_around(PyObject *type, void *pointer, int kind)
{
    HandleObject *handle = handle_new(pointer, kind, NULL);
    if (handle == NULL) {
        return NULL;
    }
    PyObject *exception = exception_make(type);
    if (exception != NULL
        && PyObject_SetAttr(exception, state.str_handle, (PyObject *)handle) < 0) {
        Py_CLEAR(exception);
    }
    Py_DECREF(handle);
    return exception;
}

/* The exception for a native error, which it takes. */
static PyObject *
exception_from_error(wasmtime_error_t *error)
{
    int status;
    if (!wasmtime_error_exit_status(error, &status)) {
        return exception_around(state.WasmtimeError, error, KIND_ERROR);
    }
    PyObject *exception = exception_around(state.ExitTrap, error, KIND_ERROR);
    PyObject *code = exception == NULL ? NULL : PyLong_FromLong(status);
    if (code == NULL || PyObject_SetAttr(exception, state.str_code, code) < 0) {
        Py_CLEAR(exception);
    }
    Py_XDECREF(code);
    return exception;
}

/* Say on a Python exception through which WebAssembly frames it came, those of `carrier`: the
 * attribute `wasm_backtrace`, and a note where Python has notes. */
static void
attach_frames(PyObject *exception, PyObject *carrier)
{
    PyObject *frames = carrier ? PyObject_GetAttrString(carrier, "frames") : NULL;
    if (frames != NULL && PyObject_SetAttr(exception, state.str_wasm_backtrace, frames) == 0
        && PyList_Size(frames) > 0 && PyObject_HasAttr(exception, state.str_add_note)) {
        PyObject *lines = PyObject_CallMethod(carrier, "_backtrace_note", NULL);
        PyObject *done =
            lines ? PyObject_CallMethodObjArgs(exception, state.str_add_note, lines, NULL) : NULL;
        Py_XDECREF(lines);
        Py_XDECREF(done);
    }
    Py_XDECREF(frames);
    /* A decoration that fails must not replace what it decorates. */
    PyErr_Clear();
}

/* An exit is no failure: it reads its frames when somebody asks for them, as the library's own do,
 * from the native error or trap of `carrier`. The nearest call comes first, and saw the most. */
static void
attach_to_exit(PyObject *exit, PyObject *carrier)
{
    PyObject *has = PyObject_GetAttr(exit, state.str_handle);
    PyObject *handle =
        has == Py_None && carrier ? PyObject_GetAttr(carrier, state.str_handle) : NULL;
    if (handle != NULL) {
        PyObject_SetAttr(exit, state.str_handle, handle);
    }
    Py_XDECREF(handle);
    Py_XDECREF(has);
    PyErr_Clear();
}

/* Attach the frames of `error` or `trap`, which are taken. */
static void
attach_backtrace(PyObject *exception, wasmtime_error_t *error, wasm_trap_t *trap)
{
    PyObject *carrier = NULL;
    if (PyObject_HasAttr(exception, state.str_wasm_backtrace)) {
        /* It has those of the call nearest to where it was raised, which saw the most frames. */
        if (error != NULL) {
            wasmtime_error_delete(error);
        }
        if (trap != NULL) {
            wasm_trap_delete(trap);
        }
        return;
    }
    if (error != NULL) {
        carrier = exception_around(state.WasmtimeError, error, KIND_ERROR);
    }
    if (trap != NULL) {
        if (carrier == NULL) {
            carrier = exception_around(state.Trap, trap, KIND_TRAP);
        }
        else {
            wasm_trap_delete(trap);
        }
    }
    if (PyObject_TypeCheck(exception, (PyTypeObject *)state.ExitTrap)) {
        attach_to_exit(exception, carrier);
    }
    else {
        attach_frames(exception, carrier);
    }
    Py_XDECREF(carrier);
}

/* --- exceptions of WebAssembly ---------------------------------------------------------------
 *
 * One that no wasm frame catches ends a native call and lies in the store, where the next call
 * would meet it: every failing call takes it out. One that a host function throws (`host_throw`)
 * waits in the store's `pending.thrown`: it arrives as the same object if the guest does not catch
 * it, and is forgotten if the guest does. */

static wasmtime_exnref_t *exnref_in(StoreObject *store, PyObject *object);
static bool exnref_same(StoreObject *store, PyObject *a, PyObject *b);
static PyObject *exnref_take(StoreObject *store);
static bool exnref_describe(StoreObject *store, PyObject *exnref, PyObject *exception);

/* The Python exception for `exnref`, a fresh one that reads its details from the native `pointer`,
 * which it takes; or `thrown` itself, if the guest did not catch it. */
static PyObject *
exception_thrown(StoreObject *store, PyObject *exnref, PyObject *thrown, void *pointer, int kind)
{
    if (thrown != NULL) {
        PyObject *its = PyObject_GetAttr(thrown, state.str_exnref);
        bool same = its != NULL && exnref_same(store, its, exnref);
        Py_XDECREF(its);
        PyErr_Clear();
        if (same) {
            attach_backtrace(thrown, kind == KIND_ERROR ? pointer : NULL,
                             kind == KIND_TRAP ? pointer : NULL);
            return Py_NewRef(thrown);
        }
    }
    PyObject *exception = pointer != NULL ? exception_around(state.WasmException, pointer, kind)
                                          : exception_make(state.WasmException);
    if (exception != NULL && !exnref_describe(store, exnref, exception)) {
        Py_CLEAR(exception);
    }
    return exception;
}

/* The exception for what the library itself came to; takes `error` and `trap`. */
static PyObject *
exception_native(wasmtime_error_t *error, wasm_trap_t *trap, StopReason stopped)
{
    if (trap != NULL && error != NULL) {
        wasmtime_error_delete(error);
    }
    if (stopped == STOP_NOT) {
        return trap != NULL ? exception_around(state.Trap, trap, KIND_TRAP)
                            : exception_from_error(error);
    }
    /* The library cannot make a trap of what an epoch callback returns. */
    PyObject *type = stop_exception(stopped);
    PyObject *exception = trap != NULL ? exception_around(type, trap, KIND_TRAP)
                                       : exception_around(type, error, KIND_ERROR);
    if (exception != NULL && PyObject_SetAttr(exception, state.str_interrupted, Py_True) < 0) {
        Py_CLEAR(exception);
    }
    return exception;
}

/* Raise `exception`, which is taken, after the output that the guest wrote before it failed has
 * been delivered. */
static void
raise_after_output(StoreObject *store, PyObject *exception)
{
    if (store->sinks != NULL && !sinks_deliver(store)) {
        PyObject *second = PyErr_GetRaisedException();
        if (second != exception) {
            PyException_SetContext(second, exception);
            exception = second;
        }
        else {
            Py_DECREF(second);
        }
    }
    PyErr_SetRaisedException(exception);
}

/* The rest of native_end(): takes all three. */
static NOINLINE bool
native_failed(StoreObject *store, Pending pending, wasmtime_error_t *error, wasm_trap_t *trap)
{
    if (pending.thrown != NULL && error == NULL && trap == NULL) { /* the guest caught it */
        Py_DECREF(pending.thrown);
        return store->sinks == NULL || sinks_deliver(store);
    }
    StopReason stopped = store->stopped;
    store->stopped = STOP_NOT;
    PyObject *exnref = exnref_take(store);
    PyObject *exception;
    if (pending.raised != NULL) {
        attach_backtrace(pending.raised, error, trap);
        exception = pending.raised;
    }
    else if (exnref != NULL) {
        if (trap != NULL && error != NULL) {
            wasmtime_error_delete(error);
        }
        exception = trap != NULL
                        ? exception_thrown(store, exnref, pending.thrown, trap, KIND_TRAP)
                        : exception_thrown(store, exnref, pending.thrown, error, KIND_ERROR);
    }
    else {
        exception = exception_native(error, trap, stopped);
    }
    Py_XDECREF(pending.thrown);
    Py_XDECREF(exnref);
    if (exception != NULL) {
        raise_after_output(store, exception);
    }
    return false;
}

/* `exception` was thrown into the guest: remember it until the call is over. Takes the
 * reference. */
static void
host_keep_thrown(StoreObject *store, PyObject *exception)
{
    if (store->pending.raised != NULL) {
        PyException_SetContext(exception, store->pending.raised);
        store->pending.raised = NULL;
    }
    Py_XSETREF(store->pending.thrown, exception);
}

/* The trap that throws the WasmException in flight into the guest, which may catch it. NULL: the
 * exception passes through the guest as one of Python does. It is one of Python, or a WasmException
 * of another store, or it says why the WasmException could not be thrown. */
static wasm_trap_t *
host_throw(StoreObject *store)
{
    if (!PyErr_ExceptionMatches(state.WasmException)) {
        return NULL;
    }
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *exnref = PyObject_CallMethodObjArgs(exception, state.str_exnref_in, store, NULL);
    wasmtime_exnref_t *native =
        exnref == NULL || exnref == Py_None ? NULL : exnref_in(store, exnref);
    wasm_trap_t *trap =
        native == NULL ? NULL : wasmtime_context_set_exception(store->context, native);
    Py_XDECREF(exnref);
    if (trap != NULL) {
        host_keep_thrown(store, exception);
        return trap;
    }
    PyObject *why = PyErr_GetRaisedException();
    if (why != NULL && why != exception) {
        PyException_SetContext(why, exception);
        PyErr_SetRaisedException(why);
    }
    else {
        Py_XDECREF(why);
        PyErr_SetRaisedException(exception);
    }
    return NULL;
}

PyDoc_STRVAR(error_doc, "error_from_address($module, address, /)\n--\n\n"
                        "The exception for a wasmtime_error_t, which it takes over.");

static PyObject *
core_error_from_address(PyObject *Py_UNUSED(module), PyObject *argument)
{
    void *pointer = PyLong_AsVoidPtr(argument);
    if (pointer == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "error_from_address(): the address must not be 0");
        }
        return NULL;
    }
    return exception_from_error(pointer);
}

static PyObject *
raise_error(wasmtime_error_t *error)
{
    PyObject *exception = exception_from_error(error);
    if (exception != NULL) {
        PyErr_SetRaisedException(exception);
    }
    return NULL;
}
