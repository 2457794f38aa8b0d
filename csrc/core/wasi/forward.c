/* Forwarding: the library's functions for what is not ours.
 *
 * They want the guest's memory as the export "memory" of their caller. So a small instance in the
 * same store stands between: it imports that memory and exports it again, imports the library's
 * functions, and exports functions that call them. It is made when a memory forwards for the first
 * time. Its module was compiled before (`Forwarding`, which an engine has one of): nothing is
 * compiled in a callback or in the child of a fork.
 *
 * Ownership: the Engine owns the Forwarding, and that the modules and the linker with the library's
 * functions; each WasiObject keeps it. The Store owns the list of instances, which live in the
 * native store, also when it is given another WasiObject. They do not count against its limits. */

static const char *const forward_names[FORWARD_COUNT] = {"fd_write", "fd_read", "poll_oneoff",
                                                         "fd_close", "fd_renumber"};
static const size_t forward_parameters[FORWARD_COUNT] = {4, 4, 4, 1, 2};

/* Kinds of memory, by which types a module can import. */
enum { MEMORY_64 = 1, MEMORY_SHARED = 2, MEMORY_BYTES = 4, MEMORY_KINDS = 8 };

typedef struct ForwardingObject {
    PyObject_HEAD
    HandleObject *linker;                /* defines the library's functions only */
    HandleObject *modules[MEMORY_KINDS]; /* once each */
} ForwardingObject;

typedef struct WasiForwarded {
    struct WasiForwarded *next;
    wasmtime_extern_kind_t kind;
    wasmtime_memory_t memory; /* of a shared one, only where its bytes are */
    uint8_t *bytes;
    wasmtime_func_t functions[FORWARD_COUNT];
} WasiForwarded;

static const char WASI_NOT_PREPARED[] =
    "WASI: this kind of memory is not prepared for: instantiate the module with a Linker that "
    "defines WASI";

static void
forwarded_free(WasiForwarded *first)
{
    while (first != NULL) {
        WasiForwarded *next = first->next;
        PyMem_RawFree(first);
        first = next;
    }
}

static bool
forwarded_serves(const WasiForwarded *forwarded, const GuestMemory *memory)
{
    if (forwarded->kind != memory->item.kind) {
        return false;
    }
    if (memory->item.kind == WASMTIME_EXTERN_SHAREDMEMORY) {
        return forwarded->bytes == memory->data;
    }
    return forwarded->memory.store_id == memory->item.of.memory.store_id
           && forwarded->memory.__private1 == memory->item.of.memory.__private1
           && forwarded->memory.__private2 == memory->item.of.memory.__private2;
}

static int
guest_memory_kind(const WasiCall *call)
{
    wasmtime_extern_t item = call->memory.item;
    wasm_memorytype_t *type = item.kind == WASMTIME_EXTERN_SHAREDMEMORY
                                  ? wasmtime_sharedmemory_type(item.of.sharedmemory)
                                  : wasmtime_memory_type(call->context, &item.of.memory);
    int kind = (wasmtime_memorytype_is64(type) ? MEMORY_64 : 0)
               | (wasmtime_memorytype_isshared(type) ? MEMORY_SHARED : 0)
               | (wasmtime_memorytype_page_size_log2(type) == 0 ? MEMORY_BYTES : 0);
    wasm_memorytype_delete(type);
    return kind;
}

/* The message of an error, which is taken, as a trap that says it. */
static wasm_trap_t *
trap_from_error(wasmtime_error_t *error)
{
    wasm_byte_vec_t message;
    wasmtime_error_message(error, &message);
    wasm_trap_t *trap = wasmtime_trap_new((char *)message.data, message.size);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
    return trap;
}

static bool
forwarded_find_exports(WasiForwarded *forwarded, wasmtime_context_t *context,
                       wasmtime_instance_t *instance)
{
    for (int i = 0; i < FORWARD_COUNT; i++) {
        wasmtime_extern_t item;
        const char *name = forward_names[i];
        if (!wasmtime_instance_export_get(context, instance, (char *)name, strlen(name), &item)) {
            return false;
        }
        forwarded->functions[i] = item.of.func;
    }
    return true;
}

/* The instance serves the caller's memory from now on. False: there is no memory for that. */
static bool
forwarded_register(WasiCall *call, wasmtime_instance_t *instance)
{
    WasiForwarded *forwarded = PyMem_RawCalloc(1, sizeof(WasiForwarded));
    if (forwarded == NULL || !forwarded_find_exports(forwarded, call->context, instance)) {
        PyMem_RawFree(forwarded);
        return false;
    }
    forwarded->kind = call->memory.item.kind;
    forwarded->memory = call->memory.item.of.memory;
    forwarded->bytes = call->memory.data;
    forwarded->next = call->store->forwarded;
    call->store->forwarded = forwarded;
    return true;
}

/* Make the instance for the caller's memory. NULL: `trap`, or the call's failure, says why. */
static NOINLINE WasiForwarded *
forwarded_make(WasiCall *call, wasm_trap_t **trap)
{
    ForwardingObject *forwarding = call->wasi->forwarding;
    HandleObject *module = published(forwarding->modules[guest_memory_kind(call)]);
    if (module == NULL) {
        wasi_fail(call, WASI_NOT_PREPARED);
        return NULL;
    }
    wasmtime_extern_t imports[FORWARD_COUNT + 1];
    for (int i = 0; i < FORWARD_COUNT; i++) {
        const char *name = forward_names[i];
        (void)wasmtime_linker_get(forwarding->linker->pointer, call->context, (char *)WASI_PREVIEW1,
                                  strlen(WASI_PREVIEW1), (char *)name, strlen(name), &imports[i]);
    }
    imports[FORWARD_COUNT] = call->memory.item;
    wasmtime_instance_t instance;
    limits_suspend(call->store);
    wasmtime_error_t *error = wasmtime_instance_new(call->context, module->pointer, imports,
                                                    FORWARD_COUNT + 1, &instance, trap);
    limits_resume(call->store, error == NULL && *trap == NULL, 0);
    if (error != NULL) {
        *trap = trap_from_error(error);
    }
    bool made = *trap == NULL && forwarded_register(call, &instance);
    return made ? call->store->forwarded : NULL;
}

static WasiForwarded *
forwarded_find(WasiCall *call)
{
    for (WasiForwarded *it = call->store->forwarded; it != NULL; it = it->next) {
        if (LIKELY(forwarded_serves(it, &call->memory))) {
            return it;
        }
    }
    return NULL;
}

/* Call the library's function; its result becomes `error`. The trap, or NULL; a failure is in the
 * call. */
static wasm_trap_t *
wasi_forward(WasiCall *call)
{
    WasiForward which = call->function->forward;
    wasm_trap_t *trap = NULL;
    WasiForwarded *forwarded = forwarded_find(call);
    if (UNLIKELY(forwarded == NULL) && (forwarded = forwarded_make(call, &trap)) == NULL) {
        return trap;
    }
    wasmtime_val_raw_t slots[WASI_PARAMETERS];
    for (size_t i = 0; i < WASI_PARAMETERS; i++) {
        slots[i].i64 = 0;
        slots[i].i32 = (int32_t)call->arguments[i];
    }
    size_t count = forward_parameters[which];
    wasmtime_error_t *error = wasmtime_func_call_unchecked(
        call->context, &forwarded->functions[which], slots, count, &trap);
    if (error != NULL) {
        return trap_from_error(error);
    }
    call->error = (uint16_t)slots[0].i32;
    return trap;
}

/* --- what an engine has prepared -------------------------------------------------------------- */

static PyObject *
forwarding_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *linker;
    if (!PyArg_ParseTuple(args, "O!:Forwarding", state.Handle, &linker)) {
        return NULL;
    }
    ForwardingObject *self = (ForwardingObject *)type_alloc(type);
    if (self != NULL) {
        self->linker = (HandleObject *)Py_NewRef(linker);
    }
    return (PyObject *)self;
}

static void
forwarding_dealloc(ForwardingObject *self)
{
    for (int i = 0; i < MEMORY_KINDS; i++) {
        Py_XDECREF(self->modules[i]);
    }
    Py_XDECREF(self->linker);
    type_free((PyObject *)self);
}

/* prepare(kind, module): from now on, memories of that kind can forward. */
static PyObject *
forwarding_prepare(ForwardingObject *self, PyObject *args)
{
    int kind;
    PyObject *module;
    if (!PyArg_ParseTuple(args, "iO!:prepare", &kind, state.Handle, &module)) {
        return NULL;
    }
    if (kind < 0 || kind >= MEMORY_KINDS) {
        return PyErr_Format(PyExc_ValueError, "no kind of memory: %d", kind);
    }
    LOCK(self);
    if (self->modules[kind] == NULL) { /* else another thread was first */
        publish(self->modules[kind], (HandleObject *)Py_NewRef(module));
    }
    UNLOCK();
    Py_RETURN_NONE;
}

static PyMethodDef forwarding_methods[] = {
    {"prepare", (PyCFunction)forwarding_prepare, METH_VARARGS,
     "prepare($self, kind, module, /)\n--\n\nServe a kind of memory: 1 for 64 bits, 2 for shared, 4 "
     "for pages of a byte, added up."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot forwarding_slots[] = {
    {Py_tp_doc, "Forwarding(linker, /)\n--\n\nWhat an engine has prepared for guests that use "
                "files: `linker` is the Handle of one that defines the library's WASI."},
    {Py_tp_new, forwarding_new},
    {Py_tp_dealloc, forwarding_dealloc},
    {Py_tp_methods, forwarding_methods},
    {0, NULL},
};
static PyType_Spec forwarding_spec = {"wasmtime._core.Forwarding", sizeof(ForwardingObject), 0,
                                      Py_TPFLAGS_DEFAULT, forwarding_slots};
