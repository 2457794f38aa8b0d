/* Engine: an Owner that also counts the user's epochs, and knows of its configuration what the core
 * needs. A store keeps its Engine, and the native engine too (`engine_handle`). */

struct EngineObject {
    OwnerObject owner;
    uintptr_t epoch;             /* moved by Engine.increment_epoch() alone, not by the ticker */
    TickedEngine *ticked;        /* once: lives as long as the native engine */
    uintptr_t sleepers;          /* atomic: guests that wait, see waiting.c */
    uintptr_t wasm_stack;        /* bytes of native stack that WebAssembly may use */
    uint64_t memory_reservation; /* bytes that a linear memory can grow into in place */
    bool shared_memory;          /* WebAssembly may wait for other threads */
    bool memory_may_move;        /* a memory may outgrow its reservation */
    bool memory_owned;           /* a memory has addresses of its own, given back with it */
    bool epochs;                 /* epoch checks are compiled in */
    bool epochs_explicit;        /* the user asked for them: a new store's deadline is at hand */
};

static void waiting_wake_engine(EngineObject *engine);

static PyObject *
engine_increment_epoch(EngineObject *self, PyObject *Py_UNUSED(ignored))
{
    HandleObject *handle = owner_use(&self->owner);
    if (handle == NULL) {
        return NULL;
    }
    atomic_add(&self->epoch, 1);
    wasmtime_engine_increment_epoch(handle->pointer);
    if (UNLIKELY(atomic_load(&self->sleepers) != 0)) {
        waiting_wake_engine(self);
    }
    Py_DECREF(handle);
    Py_RETURN_NONE;
}

/* As owner_adopt(), and set the configuration in the same step. */
static PyObject *
engine_adopt(EngineObject *self, PyObject *args)
{
    PyObject *handle;
    int epochs, epochs_explicit, memory_may_move, shared_memory, memory_owned;
    Py_ssize_t wasm_stack;
    unsigned long long memory_reservation;
    if (!PyArg_ParseTuple(args, "O!ppnpKpp:_own_configured", state.Handle, &handle, &epochs,
                          &epochs_explicit, &wasm_stack, &memory_may_move, &memory_reservation,
                          &shared_memory, &memory_owned)) {
        return NULL;
    }
    TickedEngine *ticked = ticker_add_engine(((HandleObject *)handle)->pointer);
    if (ticked == NULL) {
        return PyErr_NoMemory();
    }
    bool vacant;
    LOCK(self);
    vacant = owner_is_vacant(&self->owner);
    if (vacant) {
        self->ticked = ticked;
        self->memory_may_move = memory_may_move != 0;
        self->shared_memory = shared_memory != 0;
        self->memory_owned = memory_owned != 0;
        self->memory_reservation = memory_reservation;
        self->epochs = epochs != 0;
        self->epochs_explicit = epochs_explicit != 0;
        self->wasm_stack = (uintptr_t)wasm_stack;
        self->owner.handle = (HandleObject *)Py_NewRef(handle);
    }
    UNLOCK();
    return vacant ? Py_NewRef(Py_None) : owner_refuse_second(&self->owner);
}

static const char engine_increment_epoch_doc[] = PyDoc_STR(
    "increment_epoch($self, /)\n"
    "--\n\n"
    "Go on to the next epoch of the engine.\n\n"
    "The deadline that `Store.set_epoch_deadline` gave a store comes that much nearer: guests of every\n"
    "store of this engine that have reached theirs end with a trap, or call what\n"
    "`Store.set_epoch_deadline_callback` gave. From any thread. `Store.set_timeout` needs no epochs.\n\n"
    "Raises:\n"
    "    ValueError: The engine is closed.\n\n"
    "Example:\n"
    "    >>> from wasmtime import Config, Engine, Store\n"
    "    >>> engine = Engine(Config(epoch_interruption=True))\n"
    "    >>> store = Store(engine)\n"
    "    >>> store.set_epoch_deadline(2)\n"
    "    >>> engine.increment_epoch()  # one more, and its guests end\n\n"
    "C API: ``wasmtime_engine_increment_epoch``.");

static PyMethodDef engine_methods[] = {
    {"increment_epoch", (PyCFunction)engine_increment_epoch, METH_NOARGS,
     engine_increment_epoch_doc},
    {"_own_configured", (PyCFunction)engine_adopt, METH_VARARGS,
     "_own_configured($self, handle, epochs, epochs_explicit, wasm_stack, "
     "memory_may_move, memory_reservation, shared_memory, memory_owned, /)\n--\n\n"
     "As _own(), with what the core must know of the configuration."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Engine."}, {Py_tp_dealloc, owner_dealloc},
    {Py_tp_traverse, owner_traverse},        {Py_tp_clear, owner_clear},
    {Py_tp_methods, engine_methods},         {0, NULL},
};
static PyType_Spec engine_spec = {"wasmtime._core.Engine", sizeof(EngineObject), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                  engine_slots};
