/* Func and BoundFunc: calls from Python into WebAssembly.
 *
 * A Func is an item (item.c) with its signature, which it shares. A BoundFunc owns references to
 * its Func and its Store. */

typedef struct {
    ItemObject item;
    wasmtime_func_t native;
    Signature *signature;  /* once: compiled when it is first needed */
    HostFuncObject *host;  /* of a Python function: its store keeps it; NULL: none, or it runs
                            * between polls already */
    wasmtime_func_t there; /* inside: the same function for asynchronous calls, once needed */
    vectorcallfunc vectorcall;
    Tempo tempo; /* with the GIL: whether its calls give that away */
} FuncObject;

/* A function with its store: `bound(…)` instead of `func(store, …)`. */
typedef struct {
    PyObject_HEAD
    StoreObject *store;
    FuncObject *func;
    vectorcallfunc vectorcall;
    GilPolicy gil;
} BoundFuncObject;

static PyObject *func_vectorcall(PyObject *, PyObject *const *, size_t, PyObject *);
static PyObject *bound_vectorcall(PyObject *, PyObject *const *, size_t, PyObject *);

static PyObject *
func_wrap(StoreObject *store, const wasmtime_func_t *native, Signature *signature)
{
    FuncObject *self = (FuncObject *)type_alloc((PyTypeObject *)state.Func);
    if (self == NULL) {
        return NULL;
    }
    self->item.home = Py_NewRef(store->home);
    self->native = *native;
    self->signature = signature ? signature_share(signature) : NULL;
    self->vectorcall = func_vectorcall;
    return (PyObject *)self;
}

/* The native function to link, or to hand to the guest: of a Python function, in the form that fits
 * the store. NULL with an exception. */
static NOINLINE const wasmtime_func_t *
func_lend_host(FuncObject *self, StoreObject *store)
{
    if (!store->asynchronous) {
        store->links_python = true;
        return &self->native;
    }
    if (self->there.store_id == 0) {
        wasm_functype_t *type = wasmtime_func_type(store->context, &self->native);
        bool fine = hostfunc_define(self->host, store, type, &self->there);
        wasm_functype_delete(type);
        if (!fine) {
            return NULL;
        }
    }
    return &self->there;
}

static inline const wasmtime_func_t *
func_lend(FuncObject *self, StoreObject *store)
{
    return LIKELY(self->host == NULL) ? &self->native : func_lend_host(self, store);
}

static const wasmtime_func_t *
func_in(StoreObject *store, PyObject *object)
{
    return item_check((ItemObject *)object, store) ? func_lend((FuncObject *)object, store) : NULL;
}

/* async/func.c: a call where calls are asynchronous, run to its end. */
static PyObject *func_call_there(StoreObject *store, FuncObject *self, PyObject *const *arguments,
                                 Py_ssize_t count);

/* The signature; reading it needs the store, once. */
static NOINLINE Signature *
func_read_signature(FuncObject *self, StoreObject *store)
{
    if (!store_enter(store)) {
        return NULL;
    }
    wasm_functype_t *type = wasmtime_func_type(store->context, &self->native);
    Signature *signature = signature_compile(type);
    wasm_functype_delete(type);
    if (signature != NULL && self->signature != NULL) {
        /* Another thread compiled it first. What is published is never replaced: it may be in
         * use. */
        signature_release(signature);
    }
    else if (signature != NULL) {
        publish(self->signature, signature);
    }
    signature = signature != NULL ? self->signature : NULL;
    store_leave(store);
    return signature;
}

static NOINLINE PyObject *
refuse_arity(Py_ssize_t given, uint32_t wanted)
{
    PyErr_Format(state.WasmtimeError, "too %s parameters provided: given %zd, expected %u",
                 given > (Py_ssize_t)wanted ? "many" : "few", given, (unsigned)wanted);
    return NULL;
}

#define CALL_STACK_SLOTS 16

/* The results of an unchecked call: one, None, or a list. */
static ALWAYS_INLINE PyObject *
lift_raw_results(const Signature *signature, const wasmtime_val_raw_t *slots)
{
    const uint8_t *kinds = signature_results(signature);
    if (signature->results == 1) {
        return lift_number(kinds[0], &slots[0]);
    }
    if (signature->results == 0) {
        return Py_NewRef(Py_None);
    }
    PyObject *list = PyList_New(signature->results);
    for (uint32_t i = 0; list != NULL && i < signature->results; i++) {
        PyObject *value = lift_number(kinds[i], &slots[i]);
        if (value == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SetItem(list, i, value);
    }
    return list;
}

/* False: an exception is set, or the store is asynchronous (func_call_there() knows). */
static ALWAYS_INLINE bool
func_begin(NativeCall *call, FuncObject *self, GilPolicy gil)
{
    return gil == ADAPT_GIL ? native_begin_adapting(call, &self->tempo)
                            : !call->store->asynchronous && native_begin(call, gil);
}

/* The unchecked call: a signature of numbers and vectors only. */
static ALWAYS_INLINE PyObject *
call_unchecked(StoreObject *store, FuncObject *self, const Signature *signature,
               PyObject *const *arguments, GilPolicy gil)
{
    ALIGNED(16) wasmtime_val_raw_t few[CALL_STACK_SLOTS];
    wasmtime_val_raw_t *slots = few;
    uint32_t size = signature_slots(signature);
    if (UNLIKELY(size > CALL_STACK_SLOTS)) {
        slots = PyMem_RawMalloc(size * sizeof(wasmtime_val_raw_t));
        if (slots == NULL) {
            return PyErr_NoMemory();
        }
    }
    PyObject *result = NULL;
    /* The arguments come first: converting one may run Python code, which may close the store. */
    for (uint32_t i = 0; i < signature->params; i++) {
        if (UNLIKELY(!lower_number(arguments[i], signature->kinds[i], &slots[i],
                                   (Place){"parameter", (Py_ssize_t)i + 1}))) {
            goto done;
        }
    }
    NativeCall call;
    if (LIKELY(native_enter(&call, store, self))) {
        if (UNLIKELY(!func_begin(&call, self, gil))) {
            native_leave(&call);
            result = func_call_there(store, self, arguments, signature->params);
            goto done;
        }
        wasm_trap_t *trap = NULL;
        wasmtime_error_t *error =
            wasmtime_func_call_unchecked(store->context, &self->native, slots, size, &trap);
        if (LIKELY(native_end(&call, error, trap))) {
            result = lift_raw_results(signature, slots);
        }
        native_leave(&call);
    }
done:
    if (UNLIKELY(slots != few)) {
        PyMem_RawFree(slots);
    }
    return result;
}

/* The results of a checked call, whose roots are taken: one, None, or a list. */
static PyObject *
lift_results(StoreObject *store, const Signature *signature, wasmtime_val_t *results)
{
    if (signature->results == 1) {
        return lift_value(store, &results[0], ROOT_TAKEN);
    }
    if (signature->results == 0) {
        return Py_NewRef(Py_None);
    }
    PyObject *list = PyList_New(signature->results);
    for (uint32_t i = 0; i < signature->results; i++) {
        if (list == NULL) { /* making it, or one before, has failed */
            value_drop(&results[i]);
            continue;
        }
        PyObject *value = lift_value(store, &results[i], ROOT_TAKEN);
        if (value != NULL) {
            PyList_SetItem(list, i, value);
        }
        else {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* The checked call: a signature with references. */
static NOINLINE PyObject *
call_checked(StoreObject *store, FuncObject *self, const Signature *signature,
             PyObject *const *arguments, GilPolicy gil)
{
    if (store->asynchronous) {
        return func_call_there(store, self, arguments, signature->params);
    }
    size_t count = (size_t)signature->params + signature->results;
    wasmtime_val_t *values = PyMem_RawCalloc(count ? count : 1, sizeof(wasmtime_val_t));
    if (values == NULL) {
        return PyErr_NoMemory();
    }
    wasmtime_val_t *results = values + signature->params;
    NativeCall call;
    if (!native_enter(&call, store, self)) {
        PyMem_RawFree(values);
        return NULL;
    }
    PyObject *result = NULL;
    uint32_t lowered = 0;
    while (lowered < signature->params
           && lower_value(store, arguments[lowered], signature->kinds[lowered], &values[lowered],
                          (Place){"parameter", (Py_ssize_t)lowered + 1})) {
        lowered++;
    }
    if (lowered == signature->params && func_begin(&call, self, gil)) {
        wasm_trap_t *trap = NULL;
        wasmtime_error_t *error =
            wasmtime_func_call(store->context, &self->native, values, signature->params, results,
                               signature->results, &trap);
        if (native_end(&call, error, trap)) {
            result = lift_results(store, signature, results);
        }
    }
    while (lowered > 0) {
        value_drop(&values[--lowered]);
    }
    native_leave(&call);
    PyMem_RawFree(values);
    return result;
}

static inline PyObject *
func_call(StoreObject *store, FuncObject *self, PyObject *const *arguments, Py_ssize_t count,
          GilPolicy gil)
{
    const Signature *signature = published(self->signature);
    if (UNLIKELY(signature == NULL)) {
        signature = func_read_signature(self, store);
        if (signature == NULL) {
            return NULL;
        }
    }
    if (UNLIKELY(count != (Py_ssize_t)signature->params)) {
        return refuse_arity(count, signature->params);
    }
    if (LIKELY(signature->unchecked)) {
        return call_unchecked(store, self, signature, arguments, gil);
    }
    return call_checked(store, self, signature, arguments, gil);
}

static NOINLINE PyObject *
func_call_oddly(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    if (names != NULL && PyTuple_Size(names) == 1 && count == 0
        && PyUnicode_Compare(PyTuple_GetItem(names, 0), state.str_store) == 0) {
        return func_vectorcall(self, arguments, 1, NULL);
    }
    if (names != NULL && PyTuple_Size(names) > 0) {
        PyErr_Format(PyExc_TypeError,
                     "a WebAssembly function takes positional parameters only: got keyword %R",
                     PyTuple_GetItem(names, 0));
        return NULL;
    }
    PyErr_SetString(PyExc_TypeError, "missing argument: store (call it as func(store, ...))");
    return NULL;
}

static PyObject *
func_vectorcall(PyObject *object, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (UNLIKELY(count < 1 || (names != NULL && PyTuple_Size(names) > 0))) {
        return func_call_oddly(object, arguments, count, names);
    }
    StoreObject *store = storelike(arguments[0]);
    if (UNLIKELY(store == NULL) || UNLIKELY(!item_check((ItemObject *)object, store))) {
        return NULL;
    }
    return func_call(store, (FuncObject *)object, arguments + 1, count - 1, ADAPT_GIL);
}

static PyObject *
func_py_call(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    return func_vectorcall(self, arguments, (size_t)count, names);
}

/* Make the native function; `there`: for asynchronous calls. False with an exception. */
static bool
func_define(HostFuncObject *host, StoreObject *store, wasm_functype_t *type, bool there,
            wasmtime_func_t *out)
{
    if (there) {
        return hostfunc_define(host, store, type, out);
    }
    if (host->signature->unchecked) {
        wasmtime_func_new_unchecked(store->context, type, host_call_unchecked, host, NULL, out);
    }
    else {
        wasmtime_func_new(store->context, type, host_call_checked, host, NULL, out);
    }
    return true;
}

/* Func._init(store, functype address, callable, access_caller) */
static PyObject *
func_init_native(FuncObject *self, PyObject *args)
{
    PyObject *object, *callable;
    unsigned long long functype;
    int access_caller;
    if (!PyArg_ParseTuple(args, "OKOp:_init", &object, &functype, &callable, &access_caller)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    if (published(self->item.home) != NULL) {
        PyErr_SetString(PyExc_ValueError, "already initialized");
        return NULL;
    }
    PyObject *host_args = Py_BuildValue("(OKi)", callable, functype, access_caller);
    if (host_args == NULL) {
        return NULL;
    }
    HostFuncObject *host = (HostFuncObject *)hostfunc_new(state.HostFunc, host_args, NULL);
    Py_DECREF(host_args);
    if (host == NULL) {
        return NULL;
    }
    if (!store_enter(store)) {
        Py_DECREF(host);
        return NULL;
    }
    if (!store_keep(store, (PyObject *)host)) {
        store_leave(store);
        Py_DECREF(host);
        return NULL;
    }
    wasmtime_func_t native;
    bool there = host->coroutine || store_links_asynchronously(store);
    bool fine = func_define(host, store, (wasm_functype_t *)(uintptr_t)functype, there, &native)
                && item_become(&self->item, store, &native, sizeof(native));
    if (fine) {
        self->host = there ? NULL : host;
        publish(self->signature, signature_share(host->signature));
    }
    store_leave(store);
    Py_DECREF(host);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
func_arity(FuncObject *self, void *Py_UNUSED(closure))
{
    if (published(self->item.home) == NULL) {
        refuse_uninitialized(self);
        return NULL;
    }
    const Signature *signature = published(self->signature);
    if (signature == NULL) {
        StoreObject *store = home_store(self->item.home, "this function");
        if (store == NULL) {
            return NULL;
        }
        signature = func_read_signature(self, store);
        Py_DECREF(store);
        if (signature == NULL) {
            return NULL;
        }
    }
    return Py_BuildValue("(II)", (unsigned)signature->params, (unsigned)signature->results);
}

static PyObject *
func_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    FuncObject *self = (FuncObject *)type_alloc(type);
    if (self != NULL) {
        self->vectorcall = func_vectorcall;
    }
    return (PyObject *)self;
}

static void
func_dealloc(FuncObject *self)
{
    signature_release(self->signature);
    Py_CLEAR(self->item.home);
    type_free((PyObject *)self);
}

/* The function with its store, as an object of `type`. */
static PyObject *
func_bind_as(FuncObject *self, PyObject *object, PyTypeObject *type, vectorcallfunc call,
             GilPolicy gil)
{
    StoreObject *store = storelike(object);
    if (store == NULL || !item_check(&self->item, store)) {
        return NULL;
    }
    if (PyObject_TypeCheck(object, state.Caller_base)) {
        PyErr_SetString(PyExc_TypeError,
                        "bind() takes a Store: a Caller ends with the call that it was made for");
        return NULL;
    }
    if (published(self->signature) == NULL && func_read_signature(self, store) == NULL) {
        return NULL;
    }
    BoundFuncObject *bound = (BoundFuncObject *)type_alloc(type);
    if (bound != NULL) {
        bound->vectorcall = call;
        bound->store = (StoreObject *)Py_NewRef(store);
        bound->func = (FuncObject *)Py_NewRef(self);
        bound->gil = gil;
    }
    return (PyObject *)bound;
}

static PyObject *
func_bind(FuncObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"store", "release_gil", NULL};
    PyObject *object, *release_gil = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:bind", names, &object, &release_gil)) {
        return NULL;
    }
    int released = release_gil == Py_None ? 0 : PyObject_IsTrue(release_gil);
    if (released < 0) {
        return NULL;
    }
    GilPolicy gil = release_gil == Py_None ? ADAPT_GIL : released ? RELEASE_GIL : KEEP_GIL;
    return func_bind_as(self, object, state.BoundFunc, bound_vectorcall, gil);
}

/* CPython before 3.12 does not let Python subclasses inherit the fast call protocol. */
static PyObject *
core_inherit_vectorcall(PyObject *Py_UNUSED(module), PyObject *type)
{
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, state.Func_base)) {
        PyErr_SetString(PyExc_TypeError, "inherit_vectorcall() takes a subclass of Func");
        return NULL;
    }
#if PY_VERSION_HEX < 0x030C0000
    ((PyTypeObject *)type)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
#endif
    Py_RETURN_NONE;
}

/* async/func.c */
static PyObject *func_call_async(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
static PyObject *func_bind_async(FuncObject *self, PyObject *object);
static const char func_call_async_doc[];

static PyMethodDef func_methods[] = {
    {"_init", (PyCFunction)func_init_native, METH_VARARGS,
     "_init($self, store, functype, callable, access_caller, /)\n--\n\nMake a host function."},
    {"call", (PyCFunction)(void (*)(void))func_py_call, METH_FASTCALL | METH_KEYWORDS,
     "call($self, /, store, *params)\n--\n\nThe same as calling the function itself."},
    {"call_async", FAST(func_call_async), func_call_async_doc},
    {"_bind_async", (PyCFunction)func_bind_async, METH_O,
     "_bind_async($self, store, /)\n--\n\nWhat wasmtime.Func.bind_async does."},
    {"_bind", (PyCFunction)(void (*)(void))func_bind, METH_VARARGS | METH_KEYWORDS,
     "_bind($self, /, store, release_gil=None)\n--\n\nWhat wasmtime.Func.bind does."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef func_getset[] = {
    {"_arity", (getter)func_arity, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef func_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FuncObject, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot func_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Func."}, {Py_tp_new, func_tp_new},
    {Py_tp_dealloc, func_dealloc},         {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, func_methods},         {Py_tp_getset, func_getset},
    {Py_tp_members, func_members},         {0, NULL},
};
static PyType_Spec func_spec = {
    "wasmtime._core.Func", sizeof(FuncObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, func_slots};

/* ------------------------------------------------------------------------------------ */

static PyObject *
bound_vectorcall(PyObject *object, PyObject *const *arguments, size_t flags, PyObject *names)
{
    BoundFuncObject *self = (BoundFuncObject *)object;
    if (UNLIKELY(names != NULL && PyTuple_Size(names) > 0)) {
        return func_call_oddly(object, arguments, PyVectorcall_NARGS(flags), names);
    }
    return func_call(self->store, self->func, arguments, PyVectorcall_NARGS(flags), self->gil);
}

static void
bound_dealloc(BoundFuncObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->store);
    Py_CLEAR(self->func);
    type_free((PyObject *)self);
}

static int
bound_traverse(BoundFuncObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->store);
    Py_VISIT(self->func);
    return 0;
}

static PyMemberDef bound_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(BoundFuncObject, vectorcall), READONLY, NULL},
    {"store", T_OBJECT, offsetof(BoundFuncObject, store), READONLY, "The Store it calls into."},
    {"func", T_OBJECT, offsetof(BoundFuncObject, func), READONLY, "The Func that it calls."},
    {NULL, 0, 0, 0, NULL},
};
static PyObject *
bound_repr(BoundFuncObject *self)
{
    return PyUnicode_FromFormat("<wasmtime.BoundFunc of %R>", self->func);
}

static PyMethodDef bound_methods[] = {
    REFUSE_REDUCE,
    {NULL, NULL, 0, NULL},
};
static PyType_Slot bound_slots[] = {
    {Py_tp_doc, "A WebAssembly function together with its store: call it as `bound(*params)`.\n\n"
                "Made by Func.bind(). Keeps its store alive."},
    {Py_tp_dealloc, bound_dealloc},
    {Py_tp_repr, bound_repr},
    {Py_tp_traverse, bound_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, bound_members},
    {Py_tp_methods, bound_methods},
    {0, NULL},
};
static PyType_Spec bound_spec = {
    "wasmtime._core.BoundFunc", sizeof(BoundFuncObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, bound_slots};
