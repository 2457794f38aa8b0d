/* Python functions that components call: host functions and destructors of resources.
 *
 * Ownership: they are kept as in items/hostfunc.c. Native code holds plain pointers to them; the
 * definitions of the linker, which every store that it instantiates in keeps, hold the
 * references. */

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
    bool arrays; /* lists of numbers are passed as arrays */
} ComponentHostFuncObject;

/* That of a slot, which stays there; NULL if there is none yet. Needs nothing of Python. */
static ProgramObject *
component_host_known(ComponentHostFuncObject *self, wasmtime_component_func_type_t *type)
{
    for (int i = 0; i < COMPONENT_PROGRAMS; i++) {
        ProgramObject *program = (ProgramObject *)atomic_load(&self->programs[i]);
        if (program == NULL || program_fits(program, type)) {
            return program;
        }
    }
    return NULL;
}

/* A new reference; NULL with an exception. */
static ProgramObject *
component_host_program(ComponentHostFuncObject *self, wasmtime_component_func_type_t *type)
{
    ProgramObject *program = component_host_known(self, type);
    if (LIKELY(program != NULL)) {
        return (ProgramObject *)Py_NewRef(program);
    }
    program = program_compile(type, self->tagged, self->arrays);
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

/* Lower a result; the library owns `out` afterwards. */
static bool
component_host_lower(StoreObject *store, ProgramObject *program, PyObject *result,
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

/* Lower what the callable returned, if the type has a result; False with an exception. */
static bool
component_host_return(StoreObject *store, ProgramObject *program, PyObject *result,
                      wasmtime_component_val_t *out)
{
    if (program->result >= 0) {
        return component_host_lower(store, program, result, out);
    }
    return result == Py_None || refuse_results(1, 0);
}

/* Lift the parameters, as the arguments of the frame. */
static bool
component_host_lift(HostFrame *frame, Lifting *lifting, const wasmtime_component_val_t *params)
{
    const ProgramObject *program = lifting->program;
    for (uint32_t i = 0; i < program->params; i++) {
        uint32_t node = (uint32_t)program->edges[i].node;
        if (UNLIKELY(program->nodes[node].kind >= WIT_LIST) && lifting->borrows == NULL
            && (lifting->borrows = PyList_New(0)) == NULL) {
            return false;
        }
        if (!host_frame_pass(frame, lift_component(lifting, node, &params[i]))) {
            return false;
        }
    }
    return true;
}

/* Check the types, and make the arguments of the frame. */
static bool
component_host_pass(ComponentHostFuncObject *self, HostFrame *frame, Lifting *lifting,
                    const wasmtime_component_val_t *params, size_t param_count, size_t result_count)
{
    ProgramObject *program = lifting->program;
    if (UNLIKELY(program->unsupported != NULL)) {
        refuse_unsupported(program);
        return false;
    }
    if (UNLIKELY(param_count != program->params
                 || result_count != (size_t)(program->result >= 0))) {
        PyErr_SetString(PyExc_SystemError, "the library called with other values than the type's");
        return false;
    }
    return host_frame_reserve(frame, param_count)
           && (!self->pass_store || host_frame_pass_caller(frame, state.StoreContext, NULL))
           && component_host_lift(frame, lifting, params);
}

/* Lift the parameters, call the Python function, lower the result. What was borrowed is in
 * `lifting` afterwards, also where something fails. */
static bool
component_host_run(ComponentHostFuncObject *self, HostFrame *frame, Lifting *lifting,
                   const wasmtime_component_val_t *params, size_t param_count,
                   wasmtime_component_val_t *results, size_t result_count)
{
    if (!component_host_pass(self, frame, lifting, params, param_count, result_count)) {
        return false;
    }
    PyObject *result = host_frame_call(frame, self->callable);
    bool fine = result != NULL
                && component_host_return(frame->store, lifting->program, result, &results[0]);
    Py_XDECREF(result);
    return fine;
}

static wasmtime_error_t *
component_host_call(void *env, wasmtime_context_t *context, wasmtime_component_func_type_t *type,
                    wasmtime_component_val_t *params, size_t param_count,
                    wasmtime_component_val_t *results, size_t result_count)
{
    ComponentHostFuncObject *self = env;
    StoreObject *store = wasmtime_context_get_data(context);
    if (UNLIKELY(store->cut_short)) {
        wasmtime_error_t *late = store_refuse_late(store);
        if (late != NULL) {
            return late;
        }
    }
    PyObject *few[HOST_FEW];
    HostFrame frame;
    host_frame_begin(&frame, store, self, few);
    ProgramObject *program = component_host_program(self, type);
    Lifting lifting = {store, program, NULL};
    bool fine =
        program != NULL
        && component_host_run(self, &frame, &lifting, params, param_count, results, result_count);
    wasmtime_error_t *error = NULL;
    if (UNLIKELY(!fine)) { /* before the borrows: giving one back may call Python again */
        error = component_host_failed(store);
    }
    if (lifting.borrows != NULL) {
        expire_borrows(store, lifting.borrows);
    }
    if (UNLIKELY(!host_frame_close(&frame, fine)) && error == NULL) {
        error = component_host_failed(store);
    }
    Py_XDECREF(program);
    host_frame_end(&frame);
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
    PyObject *few[HOST_FEW];
    HostFrame frame;
    host_frame_begin(&frame, store, self, few);
    PyObject *result = NULL;
    if (host_frame_pass_caller(&frame, state.StoreContext, NULL)
        && host_frame_pass(&frame, PyLong_FromUnsignedLong(rep))) {
        result = host_frame_call(&frame, self->callable);
    }
    bool fine = result != NULL;
    Py_XDECREF(result);
    wasmtime_error_t *error = NULL;
    if (!host_frame_close(&frame, fine)) {
        error = component_host_failed(store);
    }
    host_frame_end(&frame);
    return error;
}

static PyObject *
component_hostfunc_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *callable;
    int tagged = 0, pass_store = 1, arrays = 0;
    if (!PyArg_ParseTuple(args, "O|ppp:ComponentHostFunc", &callable, &tagged, &pass_store,
                          &arrays)) {
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
        self->arrays = arrays != 0;
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

/* async_host.c, destruction.c */
static PyObject *component_hostfunc_async_callback(ComponentHostFuncObject *, void *);
static PyObject *component_hostfunc_later_destructor(ComponentHostFuncObject *, void *);

static PyGetSetDef component_hostfunc_getset[] = {
    {"callback", (getter)component_hostfunc_callback, NULL, "Address of the C callback.", NULL},
    {"destructor", (getter)component_hostfunc_destructor, NULL,
     "Address of the C callback that calls it as a destructor.", NULL},
    {"async_callback", (getter)component_hostfunc_async_callback, NULL,
     "Address of the C callback for asynchronous calls.", NULL},
    {"later_destructor", (getter)component_hostfunc_later_destructor, NULL,
     "Address of the C callback that has it called as a destructor soon.", NULL},
    {"env", (getter)component_hostfunc_env, NULL, "What the callback is to be given.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* No tp_clear, as in items/hostfunc.c. */
static PyType_Slot component_hostfunc_slots[] = {
    {Py_tp_doc,
     "ComponentHostFunc(callable, tagged=False, pass_store=True, arrays=False, /)\n--\n\n"
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
