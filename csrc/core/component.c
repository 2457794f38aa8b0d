/* Components: calls into them, host functions and destructors that they call, resources.
 *
 * Ownership: functions are plain structs of the library, valid while their store lives, as in
 * item.c. A ResourceAny or ResourceHost owns a small native box that needs no store to be freed.
 * Host functions and destructors are kept as in hostfunc.c: native code holds plain pointers, the
 * definitions of the linker, which every store that it instantiates in keeps, hold the
 * references. */

#include "component_program.c"
#include "component_value.c"

/* The C API tells a trap in a component by its message alone: Python looks at that. */
static NOINLINE void
component_refine(void)
{
    PyObject *error = PyErr_GetRaisedException();
    if ((PyObject *)Py_TYPE(error) == state.WasmtimeError
        || (PyObject *)Py_TYPE(error) == state.Trap) {
        PyObject *better = PyObject_CallFunctionObjArgs(component.refine, error, NULL);
        if (better == NULL) {
            PyErr_Clear();
        }
        else {
            Py_DECREF(error);
            error = better;
        }
    }
    PyErr_SetRaisedException(error);
}

static inline bool
component_outcome(StoreObject *store, NativeCall *call, wasmtime_error_t *error)
{
    bool raised_by_host = store->pending != NULL;
    if (LIKELY(native_outcome(store, call, error, NULL))) {
        return true;
    }
    if (!raised_by_host) {
        component_refine();
    }
    return false;
}

/* --- resources ------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *home; /* the store's identity, as in an Item */
    /* Inside; locked too where it goes, for those who look at it from outside. NULL: never
     * initialised, or expired. */
    wasmtime_component_resource_any_t *native;
    bool owned;
    bool expired; /* a flag: a borrow whose call is over */
} ResourceAnyObject;

typedef struct {
    PyObject_HEAD
    wasmtime_component_resource_host_t *native;
} ResourceHostObject;

/* Takes `native` over. */
static PyObject *
resource_any_wrap(StoreObject *store, wasmtime_component_resource_any_t *native)
{
    ResourceAnyObject *self = (ResourceAnyObject *)type_alloc((PyTypeObject *)component.ResourceAny);
    if (self == NULL) {
        wasmtime_component_resource_any_delete(native);
        return NULL;
    }
    self->home = Py_NewRef(store->home);
    self->native = native;
    self->owned = wasmtime_component_resource_any_owned(native);
    return (PyObject *)self;
}

static PyObject *
resource_host_wrap(PyObject *type, wasmtime_component_resource_host_t *native)
{
    ResourceHostObject *self = (ResourceHostObject *)type_alloc((PyTypeObject *)type);
    if (self == NULL) {
        wasmtime_component_resource_host_delete(native);
        return NULL;
    }
    self->native = native;
    return (PyObject *)self;
}

static NOINLINE bool
resource_any_refuse(ResourceAnyObject *self)
{
    PyErr_SetString(state.WasmtimeError, glimpse(self->expired)
                                             ? "this resource was borrowed for a call that is over"
                                             : "resource: never initialized");
    return false;
}

/* Whether it lives in the store and can be used there; inside of the store. */
static bool
resource_any_in(ResourceAnyObject *self, StoreObject *store)
{
    if (self->home != store->home) {
        return self->home == NULL ? resource_any_refuse(self)
                                  : refuse_foreign("resource", (PyObject *)self);
    }
    return self->native != NULL || resource_any_refuse(self);
}

/* Inside of the store, with the resource checked; leave with store_leave(). */
static StoreObject *
resource_any_enter(ResourceAnyObject *self, PyObject *store_argument)
{
    StoreObject *store = storelike(store_argument);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    if (!resource_any_in(self, store)) {
        store_leave(store);
        return NULL;
    }
    return store;
}

static void
resource_any_dealloc(ResourceAnyObject *self)
{
    if (self->native != NULL) {
        wasmtime_component_resource_any_delete(self->native);
    }
    Py_CLEAR(self->home);
    type_free((PyObject *)self);
}

static PyObject *
resource_any_drop(ResourceAnyObject *self, PyObject *object)
{
    StoreObject *store = resource_any_enter(self, object);
    if (store == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    Py_INCREF(store);
    Py_INCREF(self);
    if (native_check_stack(store)) {
        NativeCall call;
        native_begin(store, &call, false);
        wasmtime_error_t *error = wasmtime_component_resource_any_drop(store->context, self->native);
        native_end(store, &call);
        if (component_outcome(store, &call, error)) {
            result = Py_NewRef(Py_None);
        }
    }
    store_leave(store);
    Py_DECREF(self);
    Py_DECREF(store);
    return result;
}

static PyObject *
resource_any_to_host(ResourceAnyObject *self, PyObject *object)
{
    StoreObject *store = resource_any_enter(self, object);
    if (store == NULL) {
        return NULL;
    }
    wasmtime_component_resource_host_t *host = NULL;
    wasmtime_error_t *error =
        wasmtime_component_resource_any_to_host(store->context, self->native, &host);
    store_leave(store);
    if (error != NULL) {
        PyObject *exception = exception_from_error(error);
        if (exception != NULL) {
            PyErr_SetRaisedException(exception);
        }
        return NULL;
    }
    return resource_host_wrap(component.ResourceHost, host);
}

static PyObject *
resource_any_owned(ResourceAnyObject *self, void *Py_UNUSED(closure))
{
    if (self->home == NULL) {
        resource_any_refuse(self);
        return NULL;
    }
    return PyBool_FromLong(self->owned);
}

static PyObject *
resource_any_type(ResourceAnyObject *self, PyObject *Py_UNUSED(ignored))
{
    wasmtime_component_resource_type_t *type = NULL;
    LOCK(self);
    if (self->native != NULL) {
        type = wasmtime_component_resource_any_type(self->native);
    }
    UNLOCK();
    if (type == NULL) {
        resource_any_refuse(self);
        return NULL;
    }
    PyObject *address = PyLong_FromVoidPtr(type);
    if (address == NULL) {
        wasmtime_component_resource_type_delete(type);
    }
    return address;
}

static PyMethodDef resource_any_methods[] = {
    {"_drop", (PyCFunction)resource_any_drop, METH_O, "_drop($self, store, /)\n--\n\nSee ResourceAny.drop."},
    {"_to_host", (PyCFunction)resource_any_to_host, METH_O,
     "_to_host($self, store, /)\n--\n\nSee ResourceAny.to_host."},
    {"_type", (PyCFunction)resource_any_type, METH_NOARGS,
     "_type($self, /)\n--\n\nAddress of a wasmtime_component_resource_type_t, which the caller owns."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef resource_any_getset[] = {
    {"_owned", (getter)resource_any_owned, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot resource_any_slots[] = {
    {Py_tp_doc, "Base of wasmtime.component.ResourceAny."},
    {Py_tp_dealloc, resource_any_dealloc},
    {Py_tp_methods, resource_any_methods},
    {Py_tp_getset, resource_any_getset},
    {0, NULL},
};
static PyType_Spec resource_any_spec = {"wasmtime._core.ResourceAny", sizeof(ResourceAnyObject), 0,
                                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                        resource_any_slots};

/* --- */

static void
resource_host_dealloc(ResourceHostObject *self)
{
    if (self->native != NULL) {
        wasmtime_component_resource_host_delete(self->native);
    }
    type_free((PyObject *)self);
}

static bool
resource_host_check(ResourceHostObject *self)
{
    if (self->native == NULL) {
        PyErr_SetString(state.WasmtimeError, "resource: never initialized");
    }
    return self->native != NULL;
}

static PyObject *
resource_host_make(PyObject *type, PyObject *args)
{
    int owned;
    unsigned long rep, kind;
    if (!PyArg_ParseTuple(args, "pkk:_make", &owned, &rep, &kind)) {
        return NULL;
    }
    return resource_host_wrap(
        type, wasmtime_component_resource_host_new(owned != 0, (uint32_t)rep, (uint32_t)kind));
}

/* A new native box, which the caller owns; NULL with an exception. Inside of the store. */
static wasmtime_component_resource_any_t *
resource_host_raise(ResourceHostObject *self, StoreObject *store)
{
    wasmtime_component_resource_any_t *any = NULL;
    wasmtime_error_t *error =
        wasmtime_component_resource_host_to_any(store->context, self->native, &any);
    if (error != NULL) {
        PyObject *exception = exception_from_error(error);
        if (exception != NULL) {
            PyErr_SetRaisedException(exception);
        }
        return NULL;
    }
    return any;
}

static PyObject *
resource_host_to_any(ResourceHostObject *self, PyObject *object)
{
    StoreObject *store = storelike(object);
    if (store == NULL || !resource_host_check(self) || !store_enter(store)) {
        return NULL;
    }
    wasmtime_component_resource_any_t *any = resource_host_raise(self, store);
    store_leave(store);
    return any != NULL ? resource_any_wrap(store, any) : NULL;
}

static PyObject *
resource_host_details(ResourceHostObject *self, void *Py_UNUSED(closure))
{
    if (!resource_host_check(self)) {
        return NULL;
    }
    return Py_BuildValue("(kkO)", (unsigned long)wasmtime_component_resource_host_rep(self->native),
                         (unsigned long)wasmtime_component_resource_host_type(self->native),
                         wasmtime_component_resource_host_owned(self->native) ? Py_True : Py_False);
}

static PyMethodDef resource_host_methods[] = {
    {"_make", (PyCFunction)resource_host_make, METH_VARARGS | METH_CLASS,
     "_make($type, owned, rep, type, /)\n--\n\nA new one."},
    {"_to_any", (PyCFunction)resource_host_to_any, METH_O,
     "_to_any($self, store, /)\n--\n\nSee ResourceHost.to_any."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef resource_host_getset[] = {
    {"_details", (getter)resource_host_details, NULL, "(rep, type, owned)", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot resource_host_slots[] = {
    {Py_tp_doc, "Base of wasmtime.component.ResourceHost."},
    {Py_tp_dealloc, resource_host_dealloc},
    {Py_tp_methods, resource_host_methods},
    {Py_tp_getset, resource_host_getset},
    {0, NULL},
};
static PyType_Spec resource_host_spec = {"wasmtime._core.ResourceHost", sizeof(ResourceHostObject),
                                         0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                         resource_host_slots};

/* --- resources as values --- */

static bool
lower_resource(Lowering *self, const ComponentNode *node, PyObject *value,
               wasmtime_component_val_t *out, const ComponentPath *path)
{
    PyObject *resource = Py_NewRef(value);
    if (!PyObject_TypeCheck(value, component.ResourceAny_base)
        && !PyObject_TypeCheck(value, component.ResourceHost_base)) {
        /* An object of a Python class that implements a resource, or one that stands for one. */
        Py_DECREF(resource);
        resource = PyObject_CallFunctionObjArgs(component.lower_resource, value, self->store,
                                                node->kind == W_OWN ? Py_True : Py_False, NULL);
        if (resource == NULL) {
            return false;
        }
    }
    if (PyObject_TypeCheck(resource, component.ResourceHost_base)) {
        ResourceHostObject *host = (ResourceHostObject *)resource;
        wasmtime_component_resource_any_t *any =
            resource_host_check(host) ? resource_host_raise(host, self->store) : NULL;
        Py_DECREF(resource);
        resource = any != NULL ? resource_any_wrap(self->store, any) : NULL;
        if (resource == NULL) {
            return false;
        }
    }
    else if (!PyObject_TypeCheck(resource, component.ResourceAny_base)) {
        Py_DECREF(resource);
        return refuse_component_type(path, node->kind == W_OWN
                                               ? "own (ResourceAny or ResourceHost)"
                                               : "borrow (ResourceAny or ResourceHost)", value);
    }
    ResourceAnyObject *any = (ResourceAnyObject *)resource;
    if (!resource_any_in(any, self->store)) {
        Py_DECREF(resource);
        return false;
    }
    if (node->kind == W_OWN && !any->owned) {
        Py_DECREF(resource);
        return refuse_component(path, state.WasmtimeError,
                                "a borrowed resource cannot be given away as an own one");
    }
    out->kind = WASMTIME_COMPONENT_RESOURCE;
    out->of.resource = any->native;
    return arena_keep(self, resource);
}

static PyObject *
raise_resource(Raising *self, const ComponentNode *Py_UNUSED(node),
               const wasmtime_component_val_t *value)
{
    PyObject *any = resource_any_wrap(self->store,
                                      wasmtime_component_resource_any_clone(value->of.resource));
    if (any == NULL) {
        return NULL;
    }
    if (!((ResourceAnyObject *)any)->owned && self->borrows != NULL
        && PyList_Append(self->borrows, any) < 0) {
        Py_DECREF(any);
        return NULL;
    }
    if (!self->program->tagged) {
        return any;
    }
    PyObject *result =
        PyObject_CallFunctionObjArgs(component.raise_resource, any, self->store, NULL);
    Py_DECREF(any);
    return result;
}

/* What was borrowed for a call cannot be used after it. */
static void
expire_borrows(StoreObject *store, PyObject *borrows)
{
    for (Py_ssize_t i = 0; i < PyList_Size(borrows); i++) {
        ResourceAnyObject *any = (ResourceAnyObject *)PyList_GetItem(borrows, i);
        wasmtime_component_resource_any_t *native = any->native;
        if (native != NULL) {
            /* Fails when the callee gave it back by itself: nothing is left to be done then. */
            wasmtime_error_t *error = wasmtime_component_resource_any_drop(store->context, native);
            if (error != NULL) {
                wasmtime_error_delete(error);
            }
            LOCK(any);
            any->native = NULL;
            flag(any->expired, true);
            UNLOCK();
            wasmtime_component_resource_any_delete(native);
        }
    }
    Py_DECREF(borrows);
}

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
        error = wasmtime_component_func_call(&self->native, store->context, values,
                                             program->params, &returned, program->result >= 0);
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
            Raising raising = {store, program, NULL};
            result = raise_component(&raising, (uint32_t)program->result, &returned);
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
PyDoc_STRVAR(component_func_post_return_doc,
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
    if (UNLIKELY(glimpse(store->context) == NULL)) {
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
    Raising raising = {store, NULL, NULL};
    ProgramObject *program =
        entry.on_fiber && !fiber_without_greenlets() ? NULL : component_host_program(self, type);
    bool fine = program != NULL;
    if (fine && UNLIKELY(program->unsupported != NULL)) {
        refuse_unsupported(program);
        fine = false;
    }
    if (fine && UNLIKELY(param_count != program->params
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
        if (UNLIKELY(program->nodes[node].kind >= W_LIST) && raising.borrows == NULL
            && (raising.borrows = PyList_New(0)) == NULL) {
            fine = false;
            break;
        }
        PyObject *value = raise_component(&raising, node, &params[i]);
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

/* --- set-up ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    PyObject **slot;
} component_classes[] = {
    {"Func", &component.Func},
    {"Instance", &component.Instance},
    {"Record", &component.Record},
    {"Variant", &component.Variant},
    {"Ok", &component.Ok},
    {"Err", &component.Err},
    {"ResourceAny", &component.ResourceAny},
    {"ResourceHost", &component.ResourceHost},
    {"UnsupportedTypeError", &component.UnsupportedTypeError},
    {"refine", &component.refine},
    {"raise_resource", &component.raise_resource},
    {"lower_resource", &component.lower_resource},
    {NULL, NULL},
};

static const struct {
    const char *text;
    PyObject **slot;
} component_names[] = {
    {"tag", &component.str_tag},
    {"payload", &component.str_payload},
    {"ok", &component.str_ok},
    {"err", &component.str_err},
    {"none", &component.str_none},
    {"some", &component.str_some},
    {"value", &component.str_value},
    {NULL, NULL},
};

static PyObject *
core_setup_component(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    if (PyTuple_Size(args) != 0) {
        PyErr_SetString(PyExc_TypeError, "setup_component() takes keyword arguments only");
        return NULL;
    }
    for (int i = 0; component_classes[i].name != NULL; i++) {
        PyObject *value = kwargs ? PyDict_GetItemString(kwargs, component_classes[i].name) : NULL;
        if (value == NULL) {
            PyErr_Format(PyExc_TypeError, "setup_component() lacks the argument %s",
                         component_classes[i].name);
            return NULL;
        }
        Py_XSETREF(*component_classes[i].slot, Py_NewRef(value));
    }
#if PY_VERSION_HEX < 0x030C0000
    /* CPython before 3.12 does not let Python subclasses inherit the fast call protocol. */
    ((PyTypeObject *)component.Func)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
#endif
    Py_RETURN_NONE;
}

/* component_instantiate(linker, store, component): the Instance. */
static wasmtime_error_t *
link_component(void *linker, StoreObject *store, void *compiled,
               wasmtime_component_instance_t *instance, bool waits)
{
    if (!waits) {
        return wasmtime_component_linker_instantiate(linker, store->context, compiled, instance);
    }
    wasmtime_error_t *error = NULL;
    future_wait(store, wasmtime_component_linker_instantiate_async(linker, store->context, compiled,
                                                                   instance, &error));
    return error;
}

static PyObject *
core_component_instantiate(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *linker_object, *compiled;
    int waits;
    if (!PyArg_ParseTuple(args, "O!OOp:component_instantiate", state.Linker_base, &linker_object,
                          &object, &compiled, &waits)) {
        return NULL;
    }
    LinkerObject *linker = (LinkerObject *)linker_object;
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    HandleObject *handle = owner_argument(compiled, KIND_COMPONENT, "component", "Component");
    if (handle == NULL) {
        return NULL;
    }
    HandleObject *native = owner_use(&linker->owner);
    PyObject *result = NULL;
    if (native != NULL && check_engine(store, linker_object, "linker")
        && check_engine(store, compiled, "component") && linker_read_begin(linker)) {
        if (store_enter(store)) {
            Py_INCREF(store);
            if (store_keep_definitions(store, linker->definitions)
                && (!waits || fiber_check((EngineObject *)store->owner.engine))
                && native_check_stack(store)) {
                wasmtime_component_instance_t instance;
                NativeCall call;
                native_begin(store, &call, false);
                wasmtime_error_t *error =
                    link_component(native->pointer, store, handle->pointer, &instance, waits != 0);
                native_end(store, &call);
                if (component_outcome(store, &call, error)) {
                    result = item_wrap(component.Instance, store, &instance, sizeof(instance));
                }
            }
            store_leave(store);
            Py_DECREF(store);
        }
        linker_read_end(linker);
    }
    Py_XDECREF(native);
    Py_DECREF(handle);
    return result;
}

static PyMethodDef component_functions[] = {
    {"component_instantiate", core_component_instantiate, METH_VARARGS,
     "component_instantiate($module, linker, store, component, waits, /)\n--\n\n"
     "Instantiate with what the linker defines."},
    {"setup_component", (PyCFunction)(void (*)(void))core_setup_component,
     METH_VARARGS | METH_KEYWORDS,
     "setup_component($module, /, **classes)\n--\n\nHand over the classes of wasmtime.component."},
    {NULL, NULL, 0, NULL},
};

static const struct {
    const char *name;
    PyType_Spec *spec;
    PyTypeObject **slot;
    PyTypeObject **base;
} component_types[] = {
    {"ComponentProgram", &program_spec, &component.Program, NULL},
    {"ComponentFunc", &component_func_spec, &component.Func_base, &state.Item_base},
    {"ComponentInstance", &component_instance_spec, &component.Instance_base, &state.Item_base},
    {"ComponentHostFunc", &component_hostfunc_spec, &component.HostFunc, NULL},
    {"ResourceAny", &resource_any_spec, &component.ResourceAny_base, NULL},
    {"ResourceHost", &resource_host_spec, &component.ResourceHost_base, NULL},
};

/* Add the types and functions of this file to the module; from core_exec(). */
static int
component_exec(PyObject *module)
{
    for (int i = 0; component_names[i].text != NULL; i++) {
        if (*component_names[i].slot == NULL
            && (*component_names[i].slot = PyUnicode_InternFromString(component_names[i].text))
                   == NULL) {
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof(component_types) / sizeof(component_types[0]); i++) {
        if (*component_types[i].slot == NULL) {
            PyObject *bases = component_types[i].base != NULL
                                  ? PyTuple_Pack(1, *component_types[i].base)
                                  : NULL;
            if (component_types[i].base != NULL && bases == NULL) {
                return -1;
            }
            *component_types[i].slot =
                (PyTypeObject *)PyType_FromSpecWithBases(component_types[i].spec, bases);
            Py_XDECREF(bases);
            if (*component_types[i].slot == NULL) {
                return -1;
            }
        }
        if (PyModule_AddObject(module, component_types[i].name,
                               Py_NewRef(*component_types[i].slot))
            < 0) {
            return -1;
        }
    }
    return PyModule_AddFunctions(module, component_functions);
}
