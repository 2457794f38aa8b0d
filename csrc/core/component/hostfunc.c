/* --- host functions -------------------------------------------------------------------------- */

#define COMPONENT_PROGRAMS 4

/* The type of a component's host function is that of the import which it is linked to, so one
 * function may be called with several. Their programs are kept, the first few of them; a slot is
 * set once and never changed, so that threads need no lock. */
typedef struct {
    PyObject_HEAD
    PyObject *callable;
    uintptr_t programs[COMPONENT_PROGRAMS]; /* ProgramObject * */
    bool tagged;
    bool pass_store;
} ComponentHostFuncObject;

/* A new reference; NULL with an exception. */
static ProgramObject *
component_host_program(ComponentHostFuncObject *self, wasmtime_component_func_type_t *type)
{
    for (int i = 0; i < COMPONENT_PROGRAMS; i++) {
        ProgramObject *program = (ProgramObject *)atomic_load(&self->programs[i]);
        if (program == NULL) {
            break;
        }
        if (program_fits(program, type)) {
            return (ProgramObject *)Py_NewRef(program);
        }
    }
    ProgramObject *program = program_compile(type, self->tagged);
    for (int i = 0; program != NULL && i < COMPONENT_PROGRAMS; i++) {
        if (atomic_claim(&self->programs[i], (uintptr_t)program)) {
            Py_INCREF(program); /* for the slot */
            break;
        }
    }
    return program;
}

static wasmtime_error_t *
component_host_failed(StoreObject *store)
{
    host_keep_exception(store);
    return wasmtime_error_new("python exception");
}

/* Lower what the callable returned; the library owns `out` afterwards. */
static bool
component_host_return(StoreObject *store, ProgramObject *program, PyObject *result,
                      wasmtime_component_val_t *out)
{
    Lowering lowering;
    lowering_begin(&lowering, store, program);
    ComponentPath path = {NULL, NULL, 0};
    wasmtime_component_val_t value;
    bool fine = lower_component(&lowering, (uint32_t)program->result, result, &value, &path);
    if (fine) {
        if (value.kind <= WASMTIME_COMPONENT_CHAR) {
            *out = value;
        }
        else { /* what lies in the arena is not the library's to free */
            wasmtime_component_val_clone(&value, out);
        }
    }
    lowering_end(&lowering);
    return fine;
}

static wasmtime_error_t *
component_host_call(void *env, wasmtime_context_t *context, wasmtime_component_func_type_t *type,
                    wasmtime_component_val_t *params, size_t param_count,
                    wasmtime_component_val_t *results, size_t result_count)
{
    ComponentHostFuncObject *self = env;
    StoreObject *store = wasmtime_context_get_data(context);
    HostEntry entry;
    host_begin(store, &entry);
    Py_INCREF(self);
    wasmtime_error_t *error = NULL;
    PyObject *few[COMPONENT_FEW + 2];
    PyObject **arguments = few;
    CallerObject *caller = NULL;
    size_t count = 0;
    Lifting raising = {store, NULL, NULL};
    ProgramObject *program =
        entry.on_fiber && !fiber_without_greenlets() ? NULL : component_host_program(self, type);
    bool fine = program != NULL;
    if (fine && UNLIKELY(program->unsupported != NULL)) {
        refuse_unsupported(program);
        fine = false;
    }
    if (fine
        && UNLIKELY(param_count != program->params
                    || result_count != (size_t)(program->result >= 0))) {
        PyErr_SetString(PyExc_SystemError, "the library called with other values than the type's");
        fine = false;
    }
    if (fine && UNLIKELY(param_count > COMPONENT_FEW)) {
        arguments = PyMem_RawMalloc((param_count + 2) * sizeof(PyObject *));
        if (arguments == NULL) {
            arguments = few;
            PyErr_NoMemory();
            fine = false;
        }
    }
    if (fine && self->pass_store) {
        caller = caller_new(state.StoreContext, store, NULL);
        fine = caller != NULL;
        if (fine) {
            arguments[++count] = Py_NewRef(caller);
        }
    }
    raising.program = program;
    for (size_t i = 0; fine && i < param_count; i++) {
        uint32_t node = (uint32_t)program->edges[i].node;
        if (UNLIKELY(program->nodes[node].kind >= WIT_LIST) && raising.borrows == NULL
            && (raising.borrows = PyList_New(0)) == NULL) {
            fine = false;
            break;
        }
        PyObject *value = lift_component(&raising, node, &params[i]);
        fine = value != NULL;
        if (fine) {
            arguments[++count] = value;
        }
    }
    if (LIKELY(fine)) {
        PyObject *result = PyObject_Vectorcall(self->callable, arguments + 1,
                                               count | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        fine = result != NULL;
        if (fine && program->result >= 0) {
            fine = component_host_return(store, program, result, &results[0]);
        }
        else if (fine && result != Py_None) {
            fine = refuse_results(1, 0);
        }
        Py_XDECREF(result);
    }
    while (count > 0) {
        Py_DECREF(arguments[count--]);
    }
    if (UNLIKELY(!fine)) {
        error = component_host_failed(store);
    }
    if (raising.borrows != NULL) {
        expire_borrows(store, raising.borrows);
    }
    if (caller != NULL) {
        caller_expire(caller);
        Py_DECREF(caller);
    }
    if (UNLIKELY(arguments != few)) {
        PyMem_RawFree(arguments);
    }
    if (error == NULL && UNLIKELY(store->sinks != NULL) && !sinks_deliver(store)) {
        error = component_host_failed(store);
    }
    Py_XDECREF(program);
    Py_DECREF(self);
    if (UNLIKELY(store->dropped != NULL)) {
        store_free_dropped(store);
    }
    host_end(store, &entry);
    return error;
}

static wasmtime_error_t *
component_host_destroy(void *env, wasmtime_context_t *context, uint32_t rep)
{
    ComponentHostFuncObject *self = env;
    StoreObject *store = wasmtime_context_get_data(context);
    if (store->context == NULL) {
        return NULL;
    }
    HostEntry entry;
    host_begin(store, &entry);
    Py_INCREF(self);
    wasmtime_error_t *error = NULL;
    PyObject *result = NULL;
    CallerObject *caller = entry.on_fiber && !fiber_without_greenlets()
                               ? NULL
                               : caller_new(state.StoreContext, store, NULL);
    PyObject *number = caller ? PyLong_FromUnsignedLong(rep) : NULL;
    if (number != NULL) {
        result = PyObject_CallFunctionObjArgs(self->callable, caller, number, NULL);
    }
    if (result == NULL) {
        error = component_host_failed(store);
    }
    Py_XDECREF(result);
    Py_XDECREF(number);
    if (caller != NULL) {
        caller_expire(caller);
        Py_DECREF(caller);
    }
    Py_DECREF(self);
    host_end(store, &entry);
    return error;
}

static PyObject *
component_hostfunc_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *callable;
    int tagged = 0, pass_store = 1;
    if (!PyArg_ParseTuple(args, "O|pp:ComponentHostFunc", &callable, &tagged, &pass_store)) {
        return NULL;
    }
    if (!PyCallable_Check(callable)) {
        PyErr_Format(state.ArgumentTypeError, "func must be callable, not %.200s",
                     type_name(callable));
        return NULL;
    }
    ComponentHostFuncObject *self = (ComponentHostFuncObject *)type_alloc(type);
    if (self != NULL) {
        self->callable = Py_NewRef(callable);
        self->tagged = tagged != 0;
        self->pass_store = pass_store != 0;
    }
    return (PyObject *)self;
}

static void
component_hostfunc_dealloc(ComponentHostFuncObject *self)
{
    PyObject_GC_UnTrack(self);
    for (int i = 0; i < COMPONENT_PROGRAMS; i++) {
        Py_XDECREF((PyObject *)self->programs[i]);
    }
    Py_CLEAR(self->callable);
    type_free((PyObject *)self);
}

static int
component_hostfunc_traverse(ComponentHostFuncObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->callable);
    return 0;
}

static PyObject *
component_hostfunc_env(ComponentHostFuncObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr(self);
}

static PyObject *
component_hostfunc_callback(ComponentHostFuncObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr((void *)(uintptr_t)component_host_call);
}

static PyObject *
component_hostfunc_destructor(ComponentHostFuncObject *Py_UNUSED(self), void *Py_UNUSED(closure))
{
    return PyLong_FromVoidPtr((void *)(uintptr_t)component_host_destroy);
}

static PyGetSetDef component_hostfunc_getset[] = {
    {"callback", (getter)component_hostfunc_callback, NULL, "Address of the C callback.", NULL},
    {"destructor", (getter)component_hostfunc_destructor, NULL,
     "Address of the C callback that calls it as a destructor.", NULL},
    {"env", (getter)component_hostfunc_env, NULL, "What the callback is to be given.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* No tp_clear, as in hostfunc.c. */
static PyType_Slot component_hostfunc_slots[] = {
    {Py_tp_doc, "ComponentHostFunc(callable, tagged=False, pass_store=True, /)\n--\n\n"
                "A Python function for components."},
    {Py_tp_new, component_hostfunc_new},
    {Py_tp_dealloc, component_hostfunc_dealloc},
    {Py_tp_traverse, component_hostfunc_traverse},
    {Py_tp_getset, component_hostfunc_getset},
    {0, NULL},
};
static PyType_Spec component_hostfunc_spec = {
    "wasmtime._core.ComponentHostFunc", sizeof(ComponentHostFuncObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, component_hostfunc_slots};
