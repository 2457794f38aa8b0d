/* Python functions that WebAssembly calls.
 *
 * A HostFunc is the `env` of a native host function. Native code holds a plain pointer to
 * it; the Store it was made in, or the definitions of the Linker it was defined in (which
 * every store that is instantiated through that linker keeps), hold the reference, and
 * outlive the native code. Its signature is shared with the Func made from it. */

struct HostFuncObject {
    PyObject_HEAD
    PyObject *callable;
    Signature *signature;
    bool access_caller;
    bool coroutine; /* what it returns has to be awaited */
};

/* The trap that carries a Python exception through WebAssembly. */
static NOINLINE wasm_trap_t *
host_failed(StoreObject *store)
{
    static const char text[] = "python exception";
    wasm_trap_t *thrown = host_throw(store);
    if (thrown != NULL) {
        return thrown;
    }
    host_keep_exception(store);
    return wasmtime_trap_new((char *)text, sizeof(text) - 1);
}

static NOINLINE bool
refuse_results(Py_ssize_t given, uint32_t wanted)
{
    if (wanted == 0) {
        PyErr_SetString(state.WasmtimeError, "callback produced results when it shouldn't: "
                                             "its type has none, so it must return None");
    }
    else {
        PyErr_Format(state.WasmtimeError,
                     "callback produced wrong number of results: %zd instead of %u", given,
                     (unsigned)wanted);
    }
    return false;
}

/* Where the parameters are and the results go, for both forms of a call: one of them is set. */
typedef struct {
    wasmtime_val_raw_t *raw;      /* the unchecked call: parameters in, results out */
    const wasmtime_val_t *params; /* the checked call */
    wasmtime_val_t *results;
} HostValues;

static ALWAYS_INLINE bool
host_write(StoreObject *store, HostValues *values, uint32_t index, uint8_t kind, PyObject *value,
           Place place)
{
    if (values->raw != NULL) {
        return lower_number(value, kind, &values->raw[index], place);
    }
    return lower_value(store, value, kind, &values->results[index], place);
}

static ALWAYS_INLINE bool
host_write_results(HostFuncObject *self, StoreObject *store, HostValues *values, PyObject *result)
{
    const Signature *signature = self->signature;
    const uint8_t *kinds = signature_results(signature);
    if (signature->results == 1) {
        return host_write(store, values, 0, kinds[0], result, (Place){"result", 0});
    }
    if (signature->results == 0) {
        return result == Py_None || refuse_results(1, 0);
    }
    Py_ssize_t size = PyObject_Size(result);
    if (size < 0) {
        return false;
    }
    if ((size_t)size != signature->results) {
        return refuse_results(size, signature->results);
    }
    /* A tuple: what is one already needs no copy, and converting an item cannot change it. */
    PyObject *items = tuple_of(result);
    if (items == NULL) {
        return false;
    }
    bool fine =
        PyTuple_Size(items) == size || refuse_results(PyTuple_Size(items), signature->results);
    for (uint32_t i = 0; fine && i < signature->results; i++) {
        fine = host_write(store, values, i, kinds[i], PyTuple_GetItem(items, i),
                          (Place){"result", (Py_ssize_t)i + 1});
    }
    Py_DECREF(items);
    return fine;
}

/* Lift the parameters, as the arguments of the frame. */
static ALWAYS_INLINE bool
host_pass(HostFuncObject *self, HostFrame *frame, wasmtime_caller_t *caller, HostValues *values)
{
    const Signature *signature = self->signature;
    if (!host_frame_reserve(frame, signature->params)
        || (self->access_caller && !host_frame_pass_caller(frame, state.Caller, caller))) {
        return false;
    }
    for (uint32_t i = 0; i < signature->params; i++) {
        PyObject *value = values->raw != NULL
                              ? lift_number(signature->kinds[i], &values->raw[i])
                              : lift_value(frame->store, &values->params[i], ROOT_LENT);
        if (!host_frame_pass(frame, value)) {
            return false;
        }
    }
    return true;
}

/* Lift the parameters, call the Python function, lower the results. */
static ALWAYS_INLINE bool
host_run(HostFuncObject *self, HostFrame *frame, wasmtime_caller_t *caller, HostValues *values)
{
    if (!host_pass(self, frame, caller, values)) {
        return false;
    }
    PyObject *result = host_frame_call(frame, self->callable);
    if (UNLIKELY(result == NULL)) {
        return false;
    }
    bool fine = host_write_results(self, frame->store, values, result);
    if (UNLIKELY(!fine)) {
        async_explain_awaitable(result);
    }
    Py_DECREF(result);
    return fine;
}

static ALWAYS_INLINE wasm_trap_t *
host_call(HostFuncObject *self, wasmtime_caller_t *caller, HostValues *values)
{
    StoreObject *store = wasmtime_context_get_data(wasmtime_caller_context(caller));
    PyObject *few[HOST_FEW];
    HostFrame frame;
    host_frame_begin(&frame, store, self, few);
    bool fine = host_run(self, &frame, caller, values);
    wasm_trap_t *trap = NULL;
    if (UNLIKELY(!host_frame_close(&frame, fine))) {
        trap = host_failed(store);
    }
    host_frame_end(&frame);
    return trap;
}

static wasm_trap_t *
host_call_unchecked(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *slots,
                    size_t Py_UNUSED(count))
{
    HostValues values = {slots, NULL, NULL};
    return host_call(env, caller, &values);
}

static wasm_trap_t *
host_call_checked(void *env, wasmtime_caller_t *caller, wasmtime_val_t *params,
                  size_t Py_UNUSED(param_count), wasmtime_val_t *results,
                  size_t Py_UNUSED(result_count))
{
    HostValues values = {NULL, params, results};
    return host_call(env, caller, &values);
}

static PyObject *
hostfunc_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *callable;
    unsigned long long functype;
    int access_caller;
    if (!PyArg_ParseTuple(args, "OKp:HostFunc", &callable, &functype, &access_caller)) {
        return NULL;
    }
    if (!PyCallable_Check(callable)) {
        PyErr_Format(state.ArgumentTypeError, "func must be callable, not %.200s",
                     type_name(callable));
        return NULL;
    }
    PyObject *coroutine = PyObject_CallFunctionObjArgs(state.is_coroutine_function, callable, NULL);
    if (coroutine == NULL) {
        return NULL;
    }
    Py_DECREF(coroutine);
    Signature *signature = signature_compile((const wasm_functype_t *)(uintptr_t)functype);
    if (signature == NULL) {
        return NULL;
    }
    HostFuncObject *self = (HostFuncObject *)type_alloc(type);
    if (self == NULL) {
        signature_release(signature);
        return NULL;
    }
    self->callable = Py_NewRef(callable);
    self->signature = signature;
    self->access_caller = access_caller != 0;
    self->coroutine = coroutine == Py_True;
    return (PyObject *)self;
}

static void
hostfunc_dealloc(HostFuncObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->callable);
    signature_release(self->signature);
    type_free((PyObject *)self);
}

static int
hostfunc_traverse(HostFuncObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->callable);
    return 0;
}

static PyObject *
hostfunc_get_raw(HostFuncObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->signature->unchecked);
}

static PyObject *
hostfunc_get_callback(HostFuncObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr(self->signature->unchecked ? (void *)(uintptr_t)host_call_unchecked
                                                         : (void *)(uintptr_t)host_call_checked);
}

static PyObject *
hostfunc_get_env(HostFuncObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr(self);
}

/* async/hostfunc.c */
static PyObject *hostfunc_get_async_callback(HostFuncObject *self, void *closure);
static bool hostfunc_define(HostFuncObject *host, StoreObject *store, const wasm_functype_t *type,
                            wasmtime_func_t *out);

static PyObject *
hostfunc_get_coroutine(HostFuncObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->coroutine);
}

static PyGetSetDef hostfunc_getset[] = {
    {"raw", (getter)hostfunc_get_raw, NULL, "Whether it takes raw slots (no references).", NULL},
    {"callback", (getter)hostfunc_get_callback, NULL, "Address of the C callback.", NULL},
    {"async_callback", (getter)hostfunc_get_async_callback, NULL,
     "Address of the C callback for asynchronous calls.", NULL},
    {"coroutine", (getter)hostfunc_get_coroutine, NULL, "Whether its result is to be awaited.",
     NULL},
    {"env", (getter)hostfunc_get_env, NULL, "What the callback is to be given.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* No tp_clear: a HostFunc must stay callable until the native code that holds it is gone.
 * The owners (a Store, a Linker's list of definitions) break the cycles. */
static PyType_Slot hostfunc_slots[] = {
    {Py_tp_doc,
     "HostFunc(callable, functype, access_caller, /)\n--\n\nA Python function for native "
     "code; `functype` is the address of a wasm_functype_t."},
    {Py_tp_new, hostfunc_new},
    {Py_tp_dealloc, hostfunc_dealloc},
    {Py_tp_traverse, hostfunc_traverse},
    {Py_tp_getset, hostfunc_getset},
    {0, NULL},
};
static PyType_Spec hostfunc_spec = {"wasmtime._core.HostFunc", sizeof(HostFuncObject), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, hostfunc_slots};
