/* Functions that components export.
 *
 * Ownership: they are plain structs of the library, valid while their store lives, as in
 * items/item.c. The object owns its compiled type (a Program), which calls only read. */

typedef struct {
    ItemObject item;
    ComponentFuncNative native;
    ProgramObject *program; /* once: compiled when it is first needed */
    vectorcallfunc vectorcall;
    PyObject *name;   /* str or NULL */
    BulkObject *bulk; /* once: the codec that lists go through, or NULL */
} ComponentFuncObject;

static PyObject *component_func_vectorcall(PyObject *, PyObject *const *, size_t, PyObject *);

/* bulk_call.c */
static PyObject *component_bulk_call(StoreObject *store, ComponentFuncObject *self,
                                     ProgramObject *program, PyObject *const *arguments);
static PyObject *component_func_use_codec(ComponentFuncObject *self, PyObject *args);

/* async_call.c */
static PyObject *component_func_call_async(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
static const char component_func_call_async_doc[];

static NOINLINE ProgramObject *
component_func_compile(ComponentFuncObject *self, StoreObject *store)
{
    if (!item_check(&self->item, store) || !store_enter(store)) {
        return NULL;
    }
    wasmtime_component_func_type_t *type =
        wasmtime_component_func_type(&self->native.func, store->context);
    ProgramObject *program = program_compile(type, self->native.tagged, self->native.arrays);
    wasmtime_component_func_type_delete(type);
    if (program != NULL) {
        /* This thread is inside of the store, so no other one sets it meanwhile. */
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

/* The compiled type, borrowed; NULL with an exception. */
static ALWAYS_INLINE ProgramObject *
component_func_program(ComponentFuncObject *self, StoreObject *store)
{
    ProgramObject *program = published(self->program);
    if (UNLIKELY(program == NULL) && (program = component_func_compile(self, store)) == NULL) {
        return NULL;
    }
    if (UNLIKELY(program->unsupported != NULL)) {
        refuse_unsupported(program);
        return NULL;
    }
    return program;
}

static ALWAYS_INLINE bool
component_check_count(const ProgramObject *program, Py_ssize_t count)
{
    if (UNLIKELY(count != (Py_ssize_t)program->params)) {
        PyErr_Format(PyExc_TypeError, "wrong number of parameters provided: given %zd, expected %u",
                     count, (unsigned)program->params);
        return false;
    }
    return true;
}

/* A call in a store where calls are asynchronous, run to its end. */
static PyObject *component_func_call_there(StoreObject *store, ComponentFuncObject *self,
                                           PyObject *const *arguments, Py_ssize_t count);

/* Arguments up to this number need no memory of their own. */
#define COMPONENT_FEW 8

/* The arguments in the library's form: in `few` where there is room, else in the arena. NULL with
 * an exception. */
static ALWAYS_INLINE wasmtime_component_val_t *
component_lower_arguments(Lowering *lowering, PyObject *const *arguments,
                          wasmtime_component_val_t *few)
{
    const ProgramObject *program = lowering->program;
    wasmtime_component_val_t *values = few;
    if (UNLIKELY(program->params > COMPONENT_FEW)) {
        values = arena_array(lowering, program->params, sizeof(wasmtime_component_val_t));
    }
    for (uint32_t i = 0; LIKELY(values != NULL) && i < program->params; i++) {
        ComponentPath path = {NULL, program->edges[i].attribute, 0};
        if (UNLIKELY(!lower_component(lowering, (uint32_t)program->edges[i].node, arguments[i],
                                      &values[i], &path))) {
            return NULL;
        }
    }
    return values;
}

/* The result as a Python object; the library's form of it stays the caller's. */
static ALWAYS_INLINE PyObject *
component_lift_result(StoreObject *store, ProgramObject *program,
                      wasmtime_component_val_t *returned)
{
    if (program->result < 0) {
        return Py_NewRef(Py_None);
    }
    Lifting lifting = {store, program, NULL};
    return lift_component(&lifting, (uint32_t)program->result, returned);
}

static PyObject *
component_func_call(StoreObject *store, ComponentFuncObject *self, PyObject *const *arguments,
                    Py_ssize_t count)
{
    ProgramObject *program = component_func_program(self, store);
    if (UNLIKELY(program == NULL) || !component_check_count(program, count)) {
        return NULL;
    }
    if (UNLIKELY(program->is_async || store->asynchronous)) {
        return component_func_call_there(store, self, arguments, count);
    }
    if (UNLIKELY(self->bulk != NULL)) {
        return component_bulk_call(store, self, program, arguments);
    }
    NativeCall call;
    if (UNLIKELY(!native_enter(&call, store, self))) {
        return NULL;
    }
    PyObject *result = NULL;
    Lowering lowering;
    lowering_begin(&lowering, store, program);
    wasmtime_component_val_t few[COMPONENT_FEW];
    wasmtime_component_val_t returned;
    returned.kind = WASMTIME_COMPONENT_BOOL; /* owns nothing, if the call makes no result */
    returned.of.boolean = false;
    wasmtime_component_val_t *values = component_lower_arguments(&lowering, arguments, few);
    if (LIKELY(values != NULL) && LIKELY(native_begin(&call, RELEASE_GIL))) {
        wasmtime_error_t *error =
            wasmtime_component_func_call(&self->native.func, store->context, values,
                                         program->params, &returned, program->result >= 0);
        if (LIKELY(component_end(&call, error))) {
            result = component_lift_result(store, program, &returned);
        }
        if (returned.kind > WASMTIME_COMPONENT_CHAR) {
            wasmtime_component_val_delete(&returned);
        }
    }
    lowering_end(&lowering);
    native_leave(&call);
    return result;
}

/* Where the parameter of this name is; the number of parameters if there is none. */
static uint32_t
component_param_slot(const ProgramObject *program, PyObject *name)
{
    uint32_t slot = 0;
    while (slot < program->params && PyUnicode_Compare(program->edges[slot].attribute, name) != 0
           && PyUnicode_Compare(program->edges[slot].name, name) != 0) {
        slot++;
    }
    return slot;
}

/* Put the arguments into the places of their parameters; `arguments` begins with the store if any
 * is positional. False with TypeError. */
static bool
component_place_arguments(const ProgramObject *program, PyObject *const *arguments,
                          Py_ssize_t count, PyObject *names, PyObject **values)
{
    Py_ssize_t named = PyTuple_Size(names);
    Py_ssize_t positional = count > 0 ? count - 1 : 0;
    if (positional > (Py_ssize_t)program->params) {
        PyErr_Format(PyExc_TypeError, "wrong number of parameters provided: given %zd, expected %u",
                     positional + named, (unsigned)program->params);
        return false;
    }
    for (Py_ssize_t i = 0; i < positional; i++) {
        values[i] = arguments[i + 1];
    }
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject *name = PyTuple_GetItem(names, k);
        uint32_t slot = component_param_slot(program, name);
        if (slot == program->params) {
            if (count == 0 && PyUnicode_Compare(name, state.str_store) == 0) {
                continue;
            }
            PyErr_Format(PyExc_TypeError, "got an unexpected keyword argument %R", name);
            return false;
        }
        if (values[slot] != NULL) {
            PyErr_Format(PyExc_TypeError, "got multiple values for argument %R", name);
            return false;
        }
        values[slot] = arguments[count + k];
    }
    for (uint32_t i = 0; i < program->params; i++) {
        if (values[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "missing argument: %R", program->edges[i].attribute);
            return false;
        }
    }
    return true;
}

/* The store among the arguments of a call, by position or by name; NULL with an exception. */
static StoreObject *
component_store_argument(PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    PyObject *given = count > 0 ? arguments[0] : NULL;
    for (Py_ssize_t k = 0; given == NULL && names != NULL && k < PyTuple_Size(names); k++) {
        if (PyUnicode_Compare(PyTuple_GetItem(names, k), state.str_store) == 0) {
            given = arguments[count + k];
        }
    }
    if (given == NULL) {
        PyErr_SetString(PyExc_TypeError, "missing argument: store (call it as func(store, ...))");
        return NULL;
    }
    return storelike(given);
}

static NOINLINE PyObject *
component_func_call_by_name(PyObject *object, PyObject *const *arguments, Py_ssize_t count,
                            PyObject *names)
{
    ComponentFuncObject *self = (ComponentFuncObject *)object;
    StoreObject *store = component_store_argument(arguments, count, names);
    if (store == NULL) {
        return NULL;
    }
    ProgramObject *program = published(self->program);
    if (program == NULL && (program = component_func_compile(self, store)) == NULL) {
        return NULL;
    }
    PyObject **values = PyMem_RawCalloc((size_t)program->params + 1, sizeof(PyObject *));
    if (values == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *result = NULL;
    if (component_place_arguments(program, arguments, count, names, values)
        && item_check(&self->item, store)) {
        result = component_func_call(store, self, values, (Py_ssize_t)program->params);
    }
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

/* _make(store, address, tagged, name): a function that the library put at `address`. */
static PyObject *
component_func_make(PyObject *type, PyObject *args)
{
    PyObject *object, *name;
    unsigned long long address;
    int tagged;
    if (!PyArg_ParseTuple(args, "OKpO:_make", &object, &address, &tagged, &name)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    ComponentFuncObject *self = (ComponentFuncObject *)type_alloc((PyTypeObject *)type);
    if (self != NULL) {
        self->item.home = Py_NewRef(store->home);
        memcpy(&self->native.func, (const void *)(uintptr_t)address, sizeof(self->native.func));
        self->vectorcall = component_func_vectorcall;
        self->native.tagged = tagged != 0;
        self->name = Py_NewRef(name);
    }
    return (PyObject *)self;
}

/* _with_arrays(): the same function, with arrays for lists of numbers. */
static PyObject *
component_func_with_arrays(ComponentFuncObject *self, PyObject *Py_UNUSED(ignored))
{
    ComponentFuncObject *twin = (ComponentFuncObject *)type_alloc(Py_TYPE(self));
    if (twin != NULL) {
        twin->item.home = Py_XNewRef(self->item.home);
        twin->native = self->native;
        twin->native.arrays = true;
        twin->vectorcall = component_func_vectorcall;
        twin->name = Py_XNewRef(self->name);
        twin->bulk = (BulkObject *)Py_XNewRef(self->bulk);
    }
    return (PyObject *)twin;
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
    Py_CLEAR(self->bulk);
    Py_CLEAR(self->name);
    Py_CLEAR(self->item.home);
    type_free((PyObject *)self);
}

static PyMemberDef component_func_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ComponentFuncObject, vectorcall), READONLY, NULL},
    {"_name", T_OBJECT, offsetof(ComponentFuncObject, name), READONLY, NULL},
    {"_tagged", T_BOOL, offsetof(ComponentFuncObject, native.tagged), READONLY, NULL},
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
    PyObject *given = argument_store("post_return", arguments, count, keywords);
    StoreObject *store = given != NULL ? storelike(given) : NULL;
    if (store == NULL || !item_check((ItemObject *)self, store)) {
        return NULL;
    }
    if (UNLIKELY(relaxed_load(store->context) == NULL)) {
        store_refuse(store);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef component_func_methods[] = {
    {"_use_codec", (PyCFunction)component_func_use_codec, METH_VARARGS,
     "_use_codec($self, call, feed, more, drop, fail, /)\n--\n\nThe codec's functions, by address."},
    {"_with_arrays", (PyCFunction)component_func_with_arrays, METH_NOARGS,
     "_with_arrays($self, /)\n--\n\nThe same function, with arrays for lists of numbers."},
    {"post_return", FAST(component_func_post_return), component_func_post_return_doc},
    {"call_async", FAST(component_func_call_async), component_func_call_async_doc},
    {"_make", (PyCFunction)component_func_make, METH_VARARGS | METH_CLASS,
     "_make($type, store, address, tagged, name, /)\n--\n\nAn object for the library's struct."},
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
