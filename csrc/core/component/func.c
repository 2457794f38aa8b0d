/* Components: calls into them, host functions and destructors that they call, resources.
 *
 * Ownership: functions are plain structs of the library, valid while their store lives, as in
 * item.c. A ResourceAny or ResourceHost owns a small native box that needs no store to be freed.
 * Host functions and destructors are kept as in hostfunc.c: native code holds plain pointers, the
 * definitions of the linker, which every store that it instantiates in keeps, hold the
 * references. */

/* --- functions ------------------------------------------------------------------------------- */

typedef struct {
    ItemObject item;
    wasmtime_component_func_t native;
    ProgramObject *program; /* once: compiled when it is first needed */
    vectorcallfunc vectorcall;
    PyObject *name; /* str or NULL */
    bool tagged;
    bool waits; /* the component may wait in any call */
} ComponentFuncObject;

static PyObject *component_func_vectorcall(PyObject *, PyObject *const *, size_t, PyObject *);

static NOINLINE ProgramObject *
component_func_compile(ComponentFuncObject *self, StoreObject *store)
{
    if (!item_check(&self->item, store) || !store_enter(store)) {
        return NULL;
    }
    wasmtime_component_func_type_t *type =
        wasmtime_component_func_type(&self->native, store->context);
    ProgramObject *program = program_compile(type, self->tagged);
    wasmtime_component_func_type_delete(type);
    if (program != NULL) {
        /* Only who is inside of the store gets here: nobody else sets it meanwhile. */
        if (self->program == NULL) {
            publish(self->program, program);
        }
        else {
            Py_DECREF(program);
        }
        program = self->program;
    }
    store_leave(store);
    return program;
}

static NOINLINE PyObject *
refuse_unsupported(ProgramObject *program)
{
    PyErr_SetObject(component.UnsupportedTypeError, program->unsupported);
    return NULL;
}

/* Let what may wait go on, on its fiber; whether it is done. */
static bool
future_poll(StoreObject *store, wasmtime_call_future_t *future)
{
    bool outer = store->fiber;
    store->fiber = true;
    bool done = wasmtime_call_future_poll(future);
    store->fiber = outer;
    return done;
}

/* Poll what may wait until it is done, and delete it. Nothing wakes the caller, so the pauses
 * grow; what is under way is given up when a signal's handler raises. The place where an event
 * loop would come in. */
static void
future_wait(StoreObject *store, wasmtime_call_future_t *future)
{
    unsigned pause = 0; /* microseconds */
    bool fine = true;
    while (fine && !future_poll(store, future)) {
        HostEntry entry;
        host_begin(store, &entry);
        if (this_thread.is_main && PyErr_CheckSignals() < 0) {
            host_keep_exception(store);
            fine = false;
        }
        host_end(store, &entry);
        thread_pause(pause);
        pause = pause < 1000 ? pause * 2 + 20 : 1000;
    }
    wasmtime_call_future_delete(future);
}

/* A call that may wait. */
static wasmtime_error_t *
component_call_waiting(ComponentFuncObject *self, StoreObject *store,
                       wasmtime_component_val_t *arguments, size_t count,
                       wasmtime_component_val_t *results, size_t result_count)
{
    wasmtime_error_t *error = NULL;
    future_wait(store, wasmtime_component_func_call_async(&self->native, store->context, arguments,
                                                          count, results, result_count, &error));
    return error;
}

#define COMPONENT_FEW 8

static PyObject *
component_func_call(StoreObject *store, ComponentFuncObject *self, PyObject *const *arguments,
                    Py_ssize_t count)
{
    ProgramObject *program = published(self->program);
    if (UNLIKELY(program == NULL) && (program = component_func_compile(self, store)) == NULL) {
        return NULL;
    }
    if (UNLIKELY(program->unsupported != NULL)) {
        return refuse_unsupported(program);
    }
    if (UNLIKELY(count != (Py_ssize_t)program->params)) {
        PyErr_Format(PyExc_TypeError, "wrong number of parameters provided: given %zd, expected %u",
                     count, (unsigned)program->params);
        return NULL;
    }
    if (UNLIKELY(!store_enter(store))) {
        return NULL;
    }
    Py_INCREF(store);
    Py_INCREF(self);
    PyObject *result = NULL;
    Lowering lowering;
    lowering_begin(&lowering, store, program);
    wasmtime_component_val_t few[COMPONENT_FEW];
    wasmtime_component_val_t *values = few;
    wasmtime_component_val_t returned;
    returned.kind = WASMTIME_COMPONENT_BOOL;
    returned.of.boolean = false;
    if (UNLIKELY(program->params > COMPONENT_FEW)) {
        values = arena_array(&lowering, program->params, sizeof(wasmtime_component_val_t));
        if (values == NULL) {
            goto done;
        }
    }
    for (uint32_t i = 0; i < program->params; i++) {
        ComponentPath path = {NULL, program->edges[i].attribute, 0};
        if (UNLIKELY(!lower_component(&lowering, (uint32_t)program->edges[i].node, arguments[i],
                                      &values[i], &path))) {
            goto done;
        }
    }
    bool waits = program->is_async || self->waits;
    if (UNLIKELY(waits) && !fiber_check((EngineObject *)store->owner.engine)) {
        goto done;
    }
    if (UNLIKELY(!native_check_stack(store))) {
        goto done;
    }
    NativeCall call;
    native_begin(store, &call, false);
    wasmtime_error_t *error;
    if (LIKELY(!waits)) {
        error = wasmtime_component_func_call(&self->native, store->context, values, program->params,
                                             &returned, program->result >= 0);
    }
    else {
        error = component_call_waiting(self, store, values, program->params, &returned,
                                       program->result >= 0);
    }
    native_end(store, &call);
    if (LIKELY(component_outcome(store, &call, error))) {
        if (program->result < 0) {
            result = Py_NewRef(Py_None);
        }
        else {
            Lifting raising = {store, program, NULL};
            result = lift_component(&raising, (uint32_t)program->result, &returned);
        }
    }
    if (returned.kind > WASMTIME_COMPONENT_CHAR) {
        wasmtime_component_val_delete(&returned);
    }
done:
    lowering_end(&lowering);
    store_leave(store);
    Py_DECREF(self);
    Py_DECREF(store);
    return result;
}

static NOINLINE PyObject *
component_func_call_by_name(PyObject *object, PyObject *const *arguments, Py_ssize_t count,
                            PyObject *names)
{
    ComponentFuncObject *self = (ComponentFuncObject *)object;
    Py_ssize_t named = PyTuple_Size(names);
    StoreObject *store = NULL;
    PyObject *given = count > 0 ? arguments[0] : NULL;
    for (Py_ssize_t k = 0; given == NULL && k < named; k++) {
        if (PyUnicode_Compare(PyTuple_GetItem(names, k), state.str_store) == 0) {
            given = arguments[count + k];
        }
    }
    if (given == NULL) {
        PyErr_SetString(PyExc_TypeError, "missing argument: store (call it as func(store, ...))");
        return NULL;
    }
    store = storelike(given);
    if (store == NULL) {
        return NULL;
    }
    ProgramObject *program = published(self->program);
    if (program == NULL && (program = component_func_compile(self, store)) == NULL) {
        return NULL;
    }
    PyObject **values = PyMem_RawCalloc((size_t)program->params + 1, sizeof(PyObject *));
    PyObject *result = NULL;
    if (values == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t positional = count > 0 ? count - 1 : 0;
    if (positional > (Py_ssize_t)program->params) {
        PyErr_Format(PyExc_TypeError, "wrong number of parameters provided: given %zd, expected %u",
                     positional + named, (unsigned)program->params);
        goto done;
    }
    for (Py_ssize_t i = 0; i < positional; i++) {
        values[i] = arguments[i + 1];
    }
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GetItem(names, k);
        uint32_t slot = 0;
        while (slot < program->params
               && PyUnicode_Compare(program->edges[slot].attribute, name) != 0
               && PyUnicode_Compare(program->edges[slot].name, name) != 0) {
            slot++;
        }
        if (slot == program->params) {
            if (count == 0 && PyUnicode_Compare(name, state.str_store) == 0) {
                continue;
            }
            PyErr_Format(PyExc_TypeError, "got an unexpected keyword argument %R", name);
            goto done;
        }
        if (values[slot] != NULL) {
            PyErr_Format(PyExc_TypeError, "got multiple values for argument %R", name);
            goto done;
        }
        values[slot] = arguments[count + k];
    }
    for (uint32_t i = 0; i < program->params; i++) {
        if (values[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "missing argument: %R", program->edges[i].attribute);
            goto done;
        }
    }
    if (item_check(&self->item, store)) {
        result = component_func_call(store, self, values, (Py_ssize_t)program->params);
    }
done:
    PyMem_RawFree(values);
    return result;
}

static PyObject *
component_func_vectorcall(PyObject *object, PyObject *const *arguments, size_t flags,
                          PyObject *names)
{
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (UNLIKELY(names != NULL && PyTuple_Size(names) > 0)) {
        return component_func_call_by_name(object, arguments, count, names);
    }
    if (UNLIKELY(count < 1)) {
        PyErr_SetString(PyExc_TypeError, "missing argument: store (call it as func(store, ...))");
        return NULL;
    }
    StoreObject *store = storelike(arguments[0]);
    if (UNLIKELY(store == NULL) || UNLIKELY(!item_check((ItemObject *)object, store))) {
        return NULL;
    }
    return component_func_call(store, (ComponentFuncObject *)object, arguments + 1, count - 1);
}

/* _make(store, address, tagged, waits, name): a function that the library put at `address`. */
static PyObject *
component_func_make(PyObject *type, PyObject *args)
{
    PyObject *object, *name;
    unsigned long long address;
    int tagged, waits;
    if (!PyArg_ParseTuple(args, "OKppO:_make", &object, &address, &tagged, &waits, &name)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    ComponentFuncObject *self = (ComponentFuncObject *)type_alloc((PyTypeObject *)type);
    if (self != NULL) {
        self->item.home = Py_NewRef(store->home);
        memcpy(&self->native, (const void *)(uintptr_t)address, sizeof(self->native));
        self->vectorcall = component_func_vectorcall;
        self->tagged = tagged != 0;
        self->waits = waits != 0;
        self->name = Py_NewRef(name);
    }
    return (PyObject *)self;
}

static PyObject *
component_func_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    ComponentFuncObject *self = (ComponentFuncObject *)type_alloc(type);
    if (self != NULL) {
        self->vectorcall = component_func_vectorcall;
    }
    return (PyObject *)self;
}

static void
component_func_dealloc(ComponentFuncObject *self)
{
    Py_CLEAR(self->program);
    Py_CLEAR(self->name);
    Py_CLEAR(self->item.home);
    type_free((PyObject *)self);
}

static PyMemberDef component_func_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ComponentFuncObject, vectorcall), READONLY, NULL},
    {"_name", T_OBJECT, offsetof(ComponentFuncObject, name), READONLY, NULL},
    {"_tagged", T_BOOL, offsetof(ComponentFuncObject, tagged), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
PyDoc_STRVAR(
    component_func_post_return_doc,
    "post_return($self, /, store)\n--\n\n"
    "Nothing any more: what has to be done after a call is done by the call. Kept for programs of\n"
    "older versions.\n\n"
    "Args:\n"
    "    store: The store that the function lives in.\n\n"
    "Raises:\n"
    "    WasmtimeError: It lives in another store.\n"
    "    ValueError: The store is closed.\n");

static PyObject *
component_func_post_return(PyObject *self, PyObject *const *arguments, Py_ssize_t count,
                           PyObject *keywords)
{
    static const char *const names[] = {"store", NULL};
    static const ArgumentNames spec = {"post_return", names, 1};
    PyObject *given[1];
    StoreObject *store;
    if (!arguments_parse(&spec, arguments, count, keywords, given, 1)
        || (store = storelike(given[0])) == NULL || !item_check((ItemObject *)self, store)) {
        return NULL;
    }
    if (UNLIKELY(relaxed_load(store->context) == NULL)) {
        store_refuse(store);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef component_func_methods[] = {
    {"post_return", (PyCFunction)(void (*)(void))component_func_post_return,
     METH_FASTCALL | METH_KEYWORDS, component_func_post_return_doc},
    {"_make", (PyCFunction)component_func_make, METH_VARARGS | METH_CLASS,
     "_make($type, store, address, tagged, waits, name, /)\n--\n\nAn object for the library's struct."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot component_func_slots[] = {
    {Py_tp_doc, "Base of wasmtime.component.Func."},
    {Py_tp_new, component_func_tp_new},
    {Py_tp_dealloc, component_func_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, component_func_methods},
    {Py_tp_members, component_func_members},
    {0, NULL},
};
static PyType_Spec component_func_spec = {
    "wasmtime._core.ComponentFunc", sizeof(ComponentFuncObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, component_func_slots};

/* By value, like a Func. */
typedef struct {
    ItemObject item;
    wasmtime_component_instance_t native;
} ComponentInstanceObject;

static PyObject *
component_instance_make(PyObject *type, PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:_make", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    return item_wrap(type, store, (const void *)(uintptr_t)address,
                     sizeof(wasmtime_component_instance_t));
}

static PyMethodDef component_instance_methods[] = {
    {"_make", (PyCFunction)component_instance_make, METH_VARARGS | METH_CLASS,
     "_make($type, store, address, /)\n--\n\nAn object for the library's struct."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot component_instance_slots[] = {
    {Py_tp_doc, "Base of wasmtime.component.Instance."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_methods, component_instance_methods},
    {0, NULL},
};
static PyType_Spec component_instance_spec = {
    "wasmtime._core.ComponentInstance", sizeof(ComponentInstanceObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, component_instance_slots};

static ItemIdentity
component_item_identity(ItemObject *self)
{
    if (PyObject_TypeCheck((PyObject *)self, component.Func_base)) {
        const ComponentFuncObject *object = (const ComponentFuncObject *)self;
        const wasmtime_component_func_t *func = &object->native;
        return (ItemIdentity){component.Func_base,
                              5,
                              {func->store_id, func->__private1, func->__private2,
                               (uintptr_t)func->__private3, object->tagged}};
    }
    const wasmtime_component_instance_t *instance = &((ComponentInstanceObject *)self)->native;
    return (ItemIdentity){component.Instance_base, 2, {instance->store_id, instance->__private}};
}
