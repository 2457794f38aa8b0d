/* Resources: handles that components own or borrow.
 *
 * Ownership: a ResourceAny or ResourceHost owns a small native box, which needs no store to be
 * freed and is freed with the object. A borrow expires with the call that it was made for. */

/* --- ResourceAny ---------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *home; /* the store's identity, as in an Item */
    /* Inside; changed under the lock, too, for readers outside. NULL: never initialised, or
     * expired. */
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
    ResourceAnyObject *self =
        (ResourceAnyObject *)type_alloc((PyTypeObject *)component.ResourceAny);
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
    PyErr_SetString(state.WasmtimeError, relaxed_load(self->expired)
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

/* The library has no way to drop a resource in an asynchronous store. */
static bool
resource_any_may_drop(ResourceAnyObject *self, StoreObject *store)
{
    if (LIKELY(!store->asynchronous)) {
        return true;
    }
    PyErr_Format(state.WasmtimeError,
                 "a resource cannot be dropped in a store with asynchronous calls: the library "
                 "would run its destructor synchronously. %s",
                 self->owned ? "If the host defines it, take it over with to_host(store); if a "
                               "component does, give it to a function that takes it as an own one, "
                               "or close the store"
                             : "It was borrowed and ends with its call");
    return false;
}

static PyObject *
resource_any_drop(ResourceAnyObject *self, PyObject *object)
{
    StoreObject *store = storelike(object);
    NativeCall call;
    if (store == NULL || !native_enter(&call, store, self)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (resource_any_in(self, store) && resource_any_may_drop(self, store)
        && native_begin(&call, RELEASE_GIL)) {
        wasmtime_error_t *error =
            wasmtime_component_resource_any_drop(store->context, self->native);
        if (component_end(&call, error)) {
            result = Py_NewRef(Py_None);
        }
    }
    native_leave(&call);
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
        return raise_error(error);
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
    {"_drop", (PyCFunction)resource_any_drop, METH_O,
     "_drop($self, store, /)\n--\n\nSee ResourceAny.drop."},
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

/* --- ResourceHost --------------------------------------------------------------------------- */

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
resource_host_lift(ResourceHostObject *self, StoreObject *store)
{
    wasmtime_component_resource_any_t *any = NULL;
    wasmtime_error_t *error =
        wasmtime_component_resource_host_to_any(store->context, self->native, &any);
    if (error != NULL) {
        raise_error(error);
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
    wasmtime_component_resource_any_t *any = resource_host_lift(self, store);
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

/* --- resources as values -------------------------------------------------------------------- */

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
                                                node->kind == WIT_OWN ? Py_True : Py_False, NULL);
        if (resource == NULL) {
            return false;
        }
    }
    if (PyObject_TypeCheck(resource, component.ResourceHost_base)) {
        ResourceHostObject *host = (ResourceHostObject *)resource;
        wasmtime_component_resource_any_t *any =
            resource_host_check(host) ? resource_host_lift(host, self->store) : NULL;
        Py_DECREF(resource);
        resource = any != NULL ? resource_any_wrap(self->store, any) : NULL;
        if (resource == NULL) {
            return false;
        }
    }
    else if (!PyObject_TypeCheck(resource, component.ResourceAny_base)) {
        Py_DECREF(resource);
        return refuse_component_type(path,
                                     node->kind == WIT_OWN ? "own (ResourceAny or ResourceHost)"
                                                           : "borrow (ResourceAny or ResourceHost)",
                                     value);
    }
    ResourceAnyObject *any = (ResourceAnyObject *)resource;
    if (!resource_any_in(any, self->store)) {
        Py_DECREF(resource);
        return false;
    }
    if (node->kind == WIT_OWN && !any->owned) {
        Py_DECREF(resource);
        return refuse_component(path, state.WasmtimeError,
                                "a borrowed resource cannot be given away as an own one");
    }
    out->kind = WASMTIME_COMPONENT_RESOURCE;
    out->of.resource = any->native;
    return arena_keep(self, resource);
}

static PyObject *
lift_resource(Lifting *self, const ComponentNode *Py_UNUSED(node),
              const wasmtime_component_val_t *value)
{
    PyObject *any =
        resource_any_wrap(self->store, wasmtime_component_resource_any_clone(value->of.resource));
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
        PyObject_CallFunctionObjArgs(component.lift_resource, any, self->store, NULL);
    Py_DECREF(any);
    return result;
}

/* Give a borrowed handle back. That fails when the callee did so by itself: nothing is left to be
 * done then. The library drops nothing in an asynchronous store, but becoming a resource of the
 * host uses a handle up as well. */
static void
give_borrow_back(StoreObject *store, wasmtime_component_resource_any_t *native)
{
    wasmtime_error_t *error;
    if (store->asynchronous) {
        wasmtime_component_resource_host_t *host = NULL;
        error = wasmtime_component_resource_any_to_host(store->context, native, &host);
        if (host != NULL) {
            wasmtime_component_resource_host_delete(host);
        }
    }
    else {
        error = wasmtime_component_resource_any_drop(store->context, native);
    }
    if (error != NULL) {
        wasmtime_error_delete(error);
    }
}

/* What was borrowed for a call cannot be used after it. */
static void
expire_borrows(StoreObject *store, PyObject *borrows)
{
    for (Py_ssize_t i = 0; i < PyList_Size(borrows); i++) {
        ResourceAnyObject *any = (ResourceAnyObject *)PyList_GetItem(borrows, i);
        wasmtime_component_resource_any_t *native = any->native;
        if (native != NULL) {
            give_borrow_back(store, native);
            LOCK(any);
            any->native = NULL;
            relaxed_store(any->expired, true);
            UNLOCK();
            wasmtime_component_resource_any_delete(native);
        }
    }
    Py_DECREF(borrows);
}
