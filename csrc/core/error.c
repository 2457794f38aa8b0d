/* From the library's errors and traps to Python's exceptions.
 *
 * How an exception of a host function travels: the callback keeps it on the store
 * (`host_keep_exception`) and returns a trap, which unwinds WebAssembly; the native call
 * below which it was raised finds it there and raises the same object again. It never
 * leaves the store and the call that it belongs to. */

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
        PyObject *done = lines ? PyObject_CallMethodObjArgs(exception, state.str_add_note, lines, NULL)
                               : NULL;
        Py_XDECREF(lines);
        Py_XDECREF(done);
    }
    Py_XDECREF(frames);
    /* A decoration that fails must not replace what it decorates. */
    PyErr_Clear();
}

/* As above; takes `error` and `trap`. */
static void
attach_backtrace(PyObject *exception, wasmtime_error_t *error, wasm_trap_t *trap)
{
    PyObject *carrier = NULL;
    if (PyObject_HasAttr(exception, state.str_wasm_backtrace)) {
        /* Set by the call nearest to where it was raised, which saw the most frames. */
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
    attach_frames(exception, carrier);
    Py_XDECREF(carrier);
}

/* The exception to raise instead of `raised`, which a call through cffi came to: what a host
 * function raised (`pending`, taken over), or a Trap if the epoch deadline ended the call. NULL:
 * `raised` is right. */
static PyObject *
door_outcome(PyObject *pending, bool interrupted, PyObject *raised)
{
    bool native = raised != NULL && PyObject_TypeCheck(raised, (PyTypeObject *)state.WasmtimeError);
    if (pending != NULL) {
        if (native && !PyObject_HasAttr(pending, state.str_wasm_backtrace)) {
            attach_frames(pending, raised);
        }
        return pending;
    }
    PyObject *handle = interrupted && native ? PyObject_GetAttr(raised, state.str_handle) : NULL;
    if (handle == NULL || handle == Py_None) {
        Py_XDECREF(handle);
        PyErr_Clear();
        return NULL;
    }
    PyObject *trap = exception_make(state.Trap);
    if (trap != NULL
        && (PyObject_SetAttr(trap, state.str_handle, handle) < 0
            || PyObject_SetAttr(trap, state.str_interrupted, Py_True) < 0)) {
        Py_CLEAR(trap);
    }
    Py_DECREF(handle);
    PyErr_Clear();
    return trap;
}

static NOINLINE bool
native_failed(StoreObject *self, NativeCall *call, wasmtime_error_t *error, wasm_trap_t *trap)
{
    PyObject *pending = self->pending;
    bool interrupted = self->interrupted;
    self->pending = call->pending;
    self->interrupted = false;
    PyObject *exception;
    if (pending != NULL) {
        attach_backtrace(pending, error, trap);
        exception = pending;
    }
    else if (trap != NULL) {
        if (error != NULL) {
            wasmtime_error_delete(error);
        }
        exception = exception_around(state.Trap, trap, KIND_TRAP);
    }
    else if (interrupted) {
        /* The library cannot make a trap of what an epoch callback returns. */
        exception = exception_around(state.Trap, error, KIND_ERROR);
        if (exception != NULL
            && PyObject_SetAttr(exception, state.str_interrupted, Py_True) < 0) {
            Py_CLEAR(exception);
        }
    }
    else {
        exception = exception_from_error(error);
    }
    if (exception == NULL) {
        return false;
    }
    /* What the guest printed before it failed is delivered first. */
    if (self->sinks != NULL && !sinks_deliver(self)) {
        PyObject *second = PyErr_GetRaisedException();
        if (second != exception) {
            PyException_SetContext(second, exception);
            PyErr_SetRaisedException(second);
        }
        else {
            Py_DECREF(second);
            PyErr_SetRaisedException(exception);
        }
        return false;
    }
    PyErr_SetRaisedException(exception);
    return false;
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
