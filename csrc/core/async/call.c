/* AsyncCall: the coroutine that an asynchronous call is.
 *
 * Ownership: see async.h. A call that is collected while it waits is closed, as a coroutine is; one
 * that was never awaited warns. */

/* Begun or not, it is not going to be: free what it has. */
static void
async_discard(AsyncCall *call)
{
    call->state = ASYNC_DONE;
    call->kind->drop(call);
    call->cells = NULL;
}

static AsyncCall *
async_call_new(const AsyncKind *kind, StoreObject *store, void *object, void *cells)
{
    AsyncCall *call = (AsyncCall *)type_alloc(state.AsyncCall);
    if (call == NULL) {
        AsyncCall unmade = {.kind = kind, .cells = cells, .store = store, .object = object};
        kind->drop(&unmade);
        return NULL;
    }
    call->kind = kind;
    call->store = (StoreObject *)Py_NewRef(store);
    call->object = Py_NewRef(object);
    call->cells = cells;
    return call;
}

/* --- stepping ----------------------------------------------------------------------------------- */

static bool
async_call_enter(AsyncCall *call)
{
    bool fresh = call->state == ASYNC_FRESH;
    if (!async_step_begin(call)) {
        return false;
    }
    if (fresh && !async_begin(call)) {
        if (call->state == ASYNC_FRESH) {
            async_discard(call);
        }
        async_step_end(call);
        return false;
    }
    return true;
}

static PySendResult
async_call_leave(AsyncCall *call, StepEnd end, PyObject *out)
{
    async_step_end(call);
    return end == STEP_WAIT ? PYGEN_NEXT : out != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}

static PySendResult
async_call_am_send(AsyncCall *call, PyObject *value, PyObject **out)
{
    *out = NULL;
    if (call->state == ASYNC_FRESH && value != Py_None) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    if (!async_call_enter(call)) {
        return PYGEN_ERROR;
    }
    StepEnd end = async_step(call, value, out);
    return async_call_leave(call, end, *out);
}

/* As an iterator says it. */
static PyObject *
async_call_said(PySendResult sent, PyObject *out)
{
    if (sent == PYGEN_RETURN) {
        PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, out, NULL);
        Py_DECREF(out);
        if (stop != NULL) {
            PyErr_SetRaisedException(stop);
        }
        return NULL;
    }
    return sent == PYGEN_NEXT ? out : NULL;
}

static PyObject *
async_call_send(AsyncCall *call, PyObject *value)
{
    PyObject *out;
    PySendResult sent = async_call_am_send(call, value, &out);
    return async_call_said(sent, out);
}

static PyObject *
async_call_next(AsyncCall *call)
{
    return async_call_send(call, Py_None);
}

/* --- throwing and closing ----------------------------------------------------------------------- */

/* Set the exception that the arguments of throw() stand for. */
static void
async_raise(PyObject *type, PyObject *value, PyObject *traceback)
{
    PyObject *exception = NULL;
    if (PyExceptionInstance_Check(type)) {
        exception = Py_NewRef(type);
    }
    else if (value != NULL && PyExceptionInstance_Check(value)) {
        exception = Py_NewRef(value);
    }
    else if (PyExceptionClass_Check(type)) {
        exception = PyObject_CallFunctionObjArgs(type, value == Py_None ? NULL : value, NULL);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "throw(): exceptions must be classes or instances "
                                         "deriving from BaseException");
    }
    if (exception != NULL && traceback != NULL && traceback != Py_None) {
        PyException_SetTraceback(exception, traceback);
    }
    if (exception != NULL) {
        PyErr_SetRaisedException(exception);
    }
}

/* Throw into what is awaited: it may go on, or end. */
static StepEnd
async_throw_inner(AsyncCall *call, PyObject *args, PyObject **out)
{
    PyObject *throw = PyObject_GetAttrString(call->inner, "throw");
    if (call->state == ASYNC_HOST) {
        async_serve_begin(call);
    }
    PyObject *result = throw != NULL ? PyObject_CallObject(throw, args) : NULL;
    call->serving = false;
    Py_XDECREF(throw);
    if (result != NULL) {
        *out = result;
        async_wait_begin(call, result);
        return STEP_WAIT;
    }
    PyObject *stop = PyErr_GetRaisedException();
    if (stop != NULL && PyErr_GivenExceptionMatches(stop, PyExc_StopIteration)) {
        result = PyObject_GetAttrString(stop, "value");
        Py_DECREF(stop);
    }
    else if (stop != NULL) {
        PyErr_SetRaisedException(stop);
    }
    return async_inner_over(call, result, out);
}

static PyObject *
async_call_throw(AsyncCall *call, PyObject *args)
{
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback)) {
        return NULL;
    }
    if (call->state == ASYNC_FRESH && !call->stepping) {
        async_discard(call);
        async_raise(type, value, traceback);
        return NULL;
    }
    if (!async_step_begin(call)) {
        return NULL;
    }
    PyObject *out = NULL;
    StepEnd end;
    if (call->inner != NULL) {
        end = async_throw_inner(call, args, &out);
        if (end == STEP_ON) {
            end = async_step(call, Py_None, &out);
        }
    }
    else {
        async_raise(type, value, traceback);
        async_drop(call);
        end = STEP_OVER;
    }
    return async_call_said(async_call_leave(call, end, out), out);
}

/* Close what is awaited, and drop the call. False with an exception. */
static bool
async_close(AsyncCall *call)
{
    PyObject *inner = call->inner;
    call->inner = NULL;
    PyObject *closed = NULL;
    if (inner != NULL) {
        if (call->state == ASYNC_HOST) {
            async_serve_begin(call);
        }
        closed = PyObject_HasAttrString(inner, "close") ? PyObject_CallMethod(inner, "close", NULL)
                                                        : Py_NewRef(Py_None);
        call->serving = false;
        Py_DECREF(inner);
    }
    bool fine = inner == NULL || closed != NULL;
    Py_XDECREF(closed);
    Py_CLEAR(call->scope);
    if (call->state != ASYNC_DONE) {
        async_give_up(call);
    }
    return fine;
}

static PyObject *
async_call_close(AsyncCall *call, PyObject *Py_UNUSED(ignored))
{
    if (call->state == ASYNC_FRESH && !call->stepping) {
        async_discard(call);
    }
    if (call->state == ASYNC_DONE || call->abandoned) {
        Py_RETURN_NONE;
    }
    if (!async_step_begin(call)) {
        return NULL;
    }
    bool fine = async_close(call);
    async_step_end(call);
    return fine ? Py_NewRef(Py_None) : NULL;
}

/* --- without an event loop ---------------------------------------------------------------------- */

static void
async_refuse_waiting(AsyncCall *call)
{
    if (async_step_begin(call)) {
        if (!async_close(call)) {
            PyErr_WriteUnraisable((PyObject *)call);
        }
        async_step_end(call);
    }
    (void)async_refuse_to_wait();
}

static PyObject *
async_call_run(AsyncCall *call)
{
    PyObject *out = NULL;
    call->blocking = true;
    if (async_call_am_send(call, Py_None, &out) == PYGEN_NEXT) {
        Py_CLEAR(out);
        async_refuse_waiting(call);
    }
    Py_DECREF(call);
    return out;
}

static PyObject *
async_call_py_run(AsyncCall *call, PyObject *Py_UNUSED(ignored))
{
    return async_call_run((AsyncCall *)Py_NewRef(call));
}

/* --- life --------------------------------------------------------------------------------------- */

static int
async_call_traverse(AsyncCall *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    Py_VISIT(self->object);
    Py_VISIT(self->inner);
    Py_VISIT(self->timer);
    Py_VISIT(self->scope);
    Py_VISIT(self->waiter);
    Py_VISIT(self->parent);
    Py_VISIT(self->host.caller);
    Py_VISIT(self->pending.raised);
    Py_VISIT(self->pending.thrown);
    return self->cells != NULL && self->kind->traverse != NULL
               ? self->kind->traverse(self, visit, arg)
               : 0;
}

static void
async_call_warn(AsyncCall *self)
{
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited",
                         self->kind->name)
        < 0) {
        PyErr_WriteUnraisable(NULL);
    }
}

static void
async_call_finalize(AsyncCall *self)
{
    if (self->kind == NULL || self->state == ASYNC_DONE) {
        return;
    }
    PyObject *in_flight = PyErr_GetRaisedException();
    if (self->state == ASYNC_FRESH) {
        async_call_warn(self);
    }
    PyObject *closed = async_call_close(self, NULL);
    if (closed == NULL) {
        PyErr_WriteUnraisable(NULL);
    }
    Py_XDECREF(closed);
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
}

static int
async_call_clear(AsyncCall *self)
{
    if (self->state == ASYNC_DONE) {
        Py_CLEAR(self->store);
        Py_CLEAR(self->object);
    }
    return 0;
}

static void
async_call_dealloc(AsyncCall *self)
{
    PyObject_GC_UnTrack(self);
    self->dying = true;
    async_call_finalize(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    Py_CLEAR(self->inner);
    Py_CLEAR(self->scope);
    Py_CLEAR(self->timer);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->store);
    Py_CLEAR(self->object);
    type_free((PyObject *)self);
}

static PyObject *
async_call_self(PyObject *self)
{
    return Py_NewRef(self);
}

static PyObject *
async_call_name(AsyncCall *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(self->kind->name);
}

static PyObject *
async_call_repr(AsyncCall *self)
{
    return PyUnicode_FromFormat("<coroutine object %s at %p>", self->kind->name, self);
}

static PyMethodDef async_call_methods[] = {
    {"send", (PyCFunction)async_call_send, METH_O,
     "send($self, value, /)\n--\n\nGo on, with what the event loop has to say."},
    {"throw", (PyCFunction)async_call_throw, METH_VARARGS,
     "throw($self, type, value=None, traceback=None, /)\n--\n\n"
     "Raise an exception where the call waits: in its host function, or in its place."},
    {"close", (PyCFunction)async_call_close, METH_NOARGS,
     "close($self, /)\n--\n\nEnd the call: its host function, and the guest."},
    {"_run", (PyCFunction)async_call_py_run, METH_NOARGS,
     "_run($self, /)\n--\n\nRun to the end, without an event loop."},
    {"_poll", (PyCFunction)async_call_poll, METH_NOARGS,
     "_poll($self, /)\n--\n\nLet the guest run, on a thread that may block."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef async_call_getset[] = {
    {"__name__", (getter)async_call_name, NULL, NULL, NULL},
    {"__qualname__", (getter)async_call_name, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef async_call_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(AsyncCall, weakrefs), READONLY, NULL},
    {"cr_running", T_BOOL, offsetof(AsyncCall, stepping), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot async_call_slots[] = {
    {Py_tp_doc, "An asynchronous call: a coroutine."},
    {Py_tp_dealloc, async_call_dealloc},
    {Py_tp_finalize, async_call_finalize},
    {Py_tp_traverse, async_call_traverse},
    {Py_tp_clear, async_call_clear},
    {Py_tp_repr, async_call_repr},
    {Py_tp_iter, async_call_self},
    {Py_tp_iternext, async_call_next},
    {Py_am_await, async_call_self},
#if PY_VERSION_HEX >= 0x030A0000
    {Py_am_send, async_call_am_send},
#endif
    {Py_tp_methods, async_call_methods},
    {Py_tp_getset, async_call_getset},
    {Py_tp_members, async_call_members},
    {0, NULL},
};
static PyType_Spec async_call_spec = {
    "wasmtime._core.AsyncCall", sizeof(AsyncCall), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, async_call_slots};
