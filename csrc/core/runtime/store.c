/* Store: its life, and its Python type. store.h says who owns what. */

/* --- life ----------------------------------------------------------------------------------- */

static bool
store_keep(StoreObject *self, PyObject *object)
{
    if (self->kept == NULL && (self->kept = PyDict_New()) == NULL) {
        return false;
    }
    PyObject *key = PyLong_FromVoidPtr(object);
    if (key == NULL) {
        return false;
    }
    int status = PyDict_SetItem(self->kept, key, object);
    Py_DECREF(key);
    return status == 0;
}

/* What a linker defines may be called from this store from now on. */
static inline bool
store_keep_definitions(StoreObject *self, PyObject *definitions)
{
    if (LIKELY(self->definitions == definitions)) {
        return true;
    }
    if (PyList_Size(definitions) == 0) {
        return true;
    }
    if (self->definitions == NULL) {
        self->definitions = Py_NewRef(definitions);
        return true;
    }
    return store_keep(self, definitions);
}

static void
extern_box_dropped(void *data)
{
    ExternBox *box = data;
    box->next_dropped = box->store->dropped;
    box->store->dropped = box;
}

static ExternBox *
extern_box_new(StoreObject *self, PyObject *object)
{
    ExternBox *box = PyMem_RawMalloc(sizeof(ExternBox));
    if (box == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    box->object = Py_NewRef(object);
    box->store = self;
    box->previous = NULL;
    box->next = self->boxes;
    box->next_dropped = NULL;
    if (self->boxes != NULL) {
        self->boxes->previous = box;
    }
    self->boxes = box;
    return box;
}

/* Nothing that the library calls meanwhile needs the GIL, which is given away if it takes long. */
static void
store_delete_native(wasmtime_store_t *store, bool vast)
{
    if (!vast) {
        wasmtime_store_delete(store);
        return;
    }
    Py_BEGIN_ALLOW_THREADS;
    wasmtime_store_delete(store);
    Py_END_ALLOW_THREADS;
}

/* The only place where a native store dies. */
static void
store_delete(StoreObject *self)
{
    if (self->store == NULL) {
        return;
    }
    wasmtime_store_t *store = self->store;
    relaxed_store(self->context, NULL);
    relaxed_store(self->store, NULL);
    PyObject *data = locked_swap(self, &self->data, NULL);
    PyObject *cdata = locked_swap(self, &self->context_cdata, NULL);
    sinks_detach(self);
    destructions_forget(self);
    store_end_feed(self);
    store_leave_ticker(self);
    store_delete_native(store, self->vast);
    while (self->boxes != NULL) {
        /* The library has told of each box that it dropped; the others are ours, too. */
        ExternBox *box = self->boxes;
        self->boxes = box->next;
        if (box->next != NULL) {
            box->next->previous = NULL;
        }
        PyObject *object = box->object;
        PyMem_RawFree(box);
        Py_DECREF(object);
    }
    self->dropped = NULL;
    Py_CLEAR(self->definitions);
    Py_CLEAR(self->kept);
    Py_CLEAR(self->sinks);
    Py_CLEAR(self->wasi);
    forwarded_free(self->forwarded);
    self->forwarded = NULL;
    Py_XDECREF(data);
    Py_CLEAR(self->deadline_callback);
    Py_XDECREF(cdata);
    Py_CLEAR(self->pending.raised);
    Py_CLEAR(self->pending.thrown);
    Py_CLEAR(self->engine_handle);
}

/* Make the native store, of an engine whose Handle is given away with the call. */
static wasmtime_context_t *
store_open(StoreObject *self, EngineObject *engine, HandleObject *handle, PyObject *data)
{
    self->data = Py_NewRef(data);
    self->owner.engine = Py_NewRef(engine);
    self->engine_handle = handle;
    self->limits = no_limits;
    self->stack_wanted = store_stack_wanted(self);
    self->expiry.thread = &self->thread;
    self->expiry.engine = engine->ticked;
    relaxed_store(self->store, wasmtime_store_new(handle->pointer, self, NULL));
    self->epochs = engine->epochs;
    self->lends = engine->epochs && !engine->shared_memory;
    wasmtime_context_t *context = wasmtime_store_context(self->store);
    if (self->epochs) {
        self->deadline = engine->epochs_explicit ? 0 : DEADLINE_NEVER;
        wasmtime_store_epoch_deadline_callback(self->store, store_epoch_tick, self, NULL);
        wasmtime_context_set_epoch_deadline(context, engine->epochs_explicit ? 0 : 1);
    }
    return context;
}

static bool
store_init_with(StoreObject *self, EngineObject *engine, PyObject *data)
{
    HandleObject *handle = owner_use(&engine->owner);
    PyObject *home = handle != NULL ? PyWeakref_NewRef((PyObject *)self, NULL) : NULL;
    if (home == NULL) {
        Py_XDECREF(handle);
        return false;
    }
    /* Nothing below runs Python code: nobody sees a half-made store. */
    bool alone = store_seize(self);
    bool vacant = alone && self->home == NULL && !self->owner.closed;
    if (vacant) {
        wasmtime_context_t *context = store_open(self, engine, handle, data);
        publish(self->home, home);
        publish(self->context, context);
    }
    else if (!alone) {
        store_refuse(self);
    }
    else {
        PyErr_SetString(PyExc_ValueError, "store: already initialized");
    }
    if (alone) {
        store_vacate(self);
    }
    if (!vacant) {
        Py_DECREF(handle);
        Py_DECREF(home);
    }
    return vacant;
}

/* The engine of a new store: the one that was given, or one of its own. A new reference. */
static PyObject *
store_engine_argument(PyObject *given)
{
    if (given == Py_None) {
        return PyObject_CallNoArgs(state.Engine);
    }
    if (PyObject_TypeCheck(given, state.Engine_base)) {
        return Py_NewRef(given);
    }
    PyErr_Format(state.ArgumentTypeError, "engine must be an Engine, not %.200s", type_name(given));
    return NULL;
}

static int
store_init(StoreObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"engine", "data", NULL};
    PyObject *given = Py_None, *data = Py_None;
    if (LIKELY(kwargs == NULL && PyTuple_Size(args) == 1)) {
        given = PyTuple_GetItem(args, 0);
    }
    else if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:Store", names, &given, &data)) {
        return -1;
    }
    PyObject *engine = store_engine_argument(given);
    bool fine = engine != NULL && store_init_with(self, (EngineObject *)engine, data);
    Py_XDECREF(engine);
    return fine ? 0 : -1;
}

/* A raw pointer into a memory is gone. A store that was closed before is deleted with the last. */
static void
store_unpin(StoreObject *self)
{
    if (atomic_sub(&self->pins, 1) == 0 && relaxed_load(self->owner.closed) && store_seize(self)) {
        store_delete(self);
        store_vacate(self);
    }
}

static PyObject *
store_close(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (relaxed_load(self->owner.closed)) { /* also by what closing it runs */
        Py_RETURN_NONE;
    }
    if (atomic_load_relaxed(&self->thread) == STORE_INHERITED) {
        store_vacate(self);
    }
    if (!store_seize(self)) {
        PyErr_SetString(state.WasmtimeError,
                        store_thread(self) == STORE_HELD
                            ? "store is in use: an asynchronous call in it waits; await it, or "
                              "cancel its task, before the store is closed"
                        : store_thread(self) == thread_id()
                            ? "store is in use: it cannot be closed by what it is running"
                            : "store is in use by another thread: it cannot be closed now");
        return NULL;
    }
    uintptr_t exports = atomic_load(&self->exports);
    if (exports == 0) {
        relaxed_store(self->owner.closed, true);
        if (atomic_load(&self->pins) == 0) {
            store_delete(self);
        }
        else {
            relaxed_store(self->context, NULL); /* closed for all; store_unpin() deletes it */
        }
    }
    store_vacate(self);
    if (exports != 0) {
        PyErr_Format(PyExc_BufferError,
                     "store: %zu views of its memories exist; release them (del, or "
                     "memoryview.release()) before closing it",
                     (size_t)exports);
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
store_traverse(StoreObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner.engine);
    Py_VISIT(self->definitions);
    Py_VISIT(self->kept);
    Py_VISIT(self->sinks);
    Py_VISIT(self->wasi);
    Py_VISIT(self->data);
    Py_VISIT(self->awaited);
    Py_VISIT(self->deadline_callback);
    Py_VISIT(self->pending.raised);
    Py_VISIT(self->pending.thrown);
    for (ExternBox *box = self->boxes; box != NULL; box = box->next) {
        Py_VISIT(box->object);
    }
    return 0;
}

static int
store_clear(StoreObject *self)
{
    if (self->depth == 0 && atomic_load(&self->exports) == 0 && atomic_load(&self->pins) == 0) {
        relaxed_store(self->owner.closed, true);
        store_delete(self);
        Py_CLEAR(self->owner.engine);
    }
    else {
        /* Views of its memories, or raw pointers into them, are part of the cycle: it is broken at
         * what we hold, and the native store goes when the last of them does. */
        Py_CLEAR(self->data);
        Py_CLEAR(self->deadline_callback);
    }
    return 0;
}

static void
store_dealloc(StoreObject *self)
{
    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    store_delete(self);
    Py_CLEAR(self->home);
    owner_clear(&self->owner);
    type_free((PyObject *)self);
}

/* --- the Python side of it ------------------------------------------------------------------ */

static PyObject *
store_get_data(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *data = locked_get(self, &self->data);
    if (data == NULL) {
        store_refuse(self);
    }
    return data;
}

static PyObject *
store_set_deadline(StoreObject *self, PyObject *argument)
{
    unsigned long long ticks = PyLong_AsUnsignedLongLong(argument);
    if (ticks == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!store_enter(self)) {
        return NULL;
    }
    if (!self->epochs) {
        store_leave(self);
        PyErr_SetString(state.WasmtimeError,
                        "set_epoch_deadline() needs an engine with epoch checks: "
                        "Config.epoch_interruption was set to False");
        return NULL;
    }
    uintptr_t now = atomic_load(&((EngineObject *)self->owner.engine)->epoch);
    self->deadline = ticks > DEADLINE_NEVER - 1 - now ? DEADLINE_NEVER - 1 : now + (uintptr_t)ticks;
    self->stopped = STOP_NOT;
    store_set_native_deadline(self, ticks == 0 ? 0 : 1);
    store_leave(self);
    Py_RETURN_NONE;
}

static PyObject *
store_set_deadline_callback(StoreObject *self, PyObject *callback)
{
    if (callback != Py_None && !PyCallable_Check(callback)) {
        PyErr_Format(state.ArgumentTypeError, "callback must be callable or None, not %.200s",
                     type_name(callback));
        return NULL;
    }
    if (!store_enter(self)) {
        return NULL;
    }
    PyObject *before = self->deadline_callback;
    self->deadline_callback = callback == Py_None ? NULL : Py_NewRef(callback);
    store_leave(self);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

typedef struct {
    wasmtime_context_t *context;
    wasmtime_error_t *error;
} Collection;

static void
collection_run(void *argument)
{
    Collection *self = argument;
    self->error = wasmtime_context_gc(self->context);
}

/* _collect(): the library's garbage. */
static PyObject *
store_collect(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    NativeCall call;
    if (!native_enter(&call, self, self)) {
        return NULL;
    }
    bool fine = false;
    if (errand_check(self) && native_begin(&call, RELEASE_GIL)) {
        Collection collection = {self->context, NULL};
        errand_run(self, collection_run, &collection);
        fine = native_end(&call, collection.error, NULL);
    }
    native_leave(&call);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
store_py_keep(StoreObject *self, PyObject *object)
{
    if (!store_enter(self)) {
        return NULL;
    }
    bool fine = store_keep(self, object);
    store_leave(self);
    return fine ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
store_add_sink(StoreObject *self, PyObject *pair)
{
    if (!store_enter(self)) {
        return NULL;
    }
    bool fine = sinks_add(self, pair);
    store_leave(self);
    return fine ? Py_NewRef(Py_None) : NULL;
}

/* _set_wasi(wasi): what the package's functions of WASI serve guests of this store with. */
static PyObject *
store_set_wasi(StoreObject *self, PyObject *wasi)
{
    if (wasi != Py_None && !PyObject_TypeCheck(wasi, state.Wasi)) {
        PyErr_SetString(PyExc_TypeError, "_set_wasi() takes a Wasi or None");
        return NULL;
    }
    if (!store_enter(self)) {
        return NULL;
    }
    PyObject *before = self->wasi;
    self->wasi = wasi == Py_None ? NULL : Py_NewRef(wasi);
    store_leave(self);
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyObject *
store_get_is_open(StoreObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(relaxed_load(self->context) != NULL);
}

static PyObject *
store_get_address(StoreObject *self, void *Py_UNUSED(closure))
{
    if (relaxed_load(self->context) == NULL) {
        store_refuse(self);
        return NULL;
    }
    return PyLong_FromVoidPtr(relaxed_load(self->store));
}

static PyObject *
store_get_context_address(StoreObject *self, void *Py_UNUSED(closure))
{
    wasmtime_context_t *context = relaxed_load(self->context);
    if (context == NULL) {
        store_refuse(self);
        return NULL;
    }
    return PyLong_FromVoidPtr(context);
}

/* Its guest may have called the function that forked: then it is when that returns that the package
 * is asked, by store_heed_fork(). After a host function sinks_deliver() sees to it, which a store
 * without sinks does not come to. */
static PyObject *
store_mark_inherited(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (store_seize(self)) {
        publish(self->thread, STORE_INHERITED);
    }
    else if (store_thread(self) == thread_id()) {
        self->inherited = true;
        if (self->sinks == NULL && (self->sinks = PyList_New(0)) == NULL) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static const char store_close_doc[] = PyDoc_STR(
    "close($self, /)\n"
    "--\n\n"
    "End the store, and free at once what belongs to it.\n\n"
    "That is every instance, memory and object in it; using them raises ValueError from then on.\n"
    "Closing twice does nothing. A store that is not closed is freed when nothing refers to it any\n"
    "more. It is a context manager too, which closes it.\n\n"
    "Raises:\n"
    "    WasmtimeError: A call into the store is in progress, here, in another thread or suspended.\n\n"
    "Example:\n"
    "    >>> from wasmtime import Store\n"
    "    >>> store = Store()\n"
    "    >>> store.close()\n\n"
    "C API: ``wasmtime_store_delete``.");

static const char store_data_doc[] =
    PyDoc_STR("data($self, /)\n"
              "--\n\n"
              "The object that the store was made with: ``Store(engine, data)``.\n\n"
              "Host functions reach it too, as `Caller.data`.\n\n"
              "Returns:\n"
              "    The object, None if there was none.\n\n"
              "Raises:\n"
              "    ValueError: The store is closed.\n\n"
              "Example:\n"
              "    >>> from wasmtime import Engine, Store\n"
              "    >>> Store(Engine(), {\"user\": 7}).data()\n"
              "    {'user': 7}");

/* wasi/config.c */
static PyObject *store_take_wasi_config(StoreObject *self, PyObject *address);

static PyMethodDef store_methods[] = {
    {"close", (PyCFunction)store_close, METH_NOARGS, store_close_doc},
    {"data", (PyCFunction)store_get_data, METH_NOARGS, store_data_doc},
    {"_set_epoch_deadline", (PyCFunction)store_set_deadline, METH_O,
     "_set_epoch_deadline($self, ticks, /)\n--\n\nDeadline in the engine's user epochs."},
    {"_set_epoch_callback", (PyCFunction)store_set_deadline_callback, METH_O,
     "_set_epoch_callback($self, callback, /)\n--\n\nCalled at the deadline instead of a trap."},
    {"_set_timeout", (PyCFunction)store_set_timeout, METH_O,
     "_set_timeout($self, seconds, /)\n--\n\nTime for each outermost call, or None."},
    {"_cut_wait", (PyCFunction)store_cut_wait, METH_O,
     "_cut_wait($self, when, /)\n--\n\n"
     "The nanoseconds that a wait of the library's may last, instead of so many."},
#if !defined(_WIN32)
    {"_make_feed", (PyCFunction)store_make_feed, METH_VARARGS,
     "_make_feed($self, source, shared, /)\n--\n\n"
     "Take a descriptor; return the one that the library is to read instead."},
    {"_begin_feed", (PyCFunction)store_begin_feed, METH_NOARGS,
     "_begin_feed($self, /)\n--\n\nLet the guest have its input, if that is read by us."},
#endif
    {"_sleep", (PyCFunction)store_sleep, METH_O,
     "_sleep($self, seconds, /)\n--\n\nSleep for a guest, in a host function: hear what ends it."},
    {"interrupt", (PyCFunction)store_interrupt, METH_NOARGS,
     "interrupt($self, /)\n--\n\nWhat wasmtime.Store.interrupt does."},
    {"_set_limits", (PyCFunction)store_set_limits, METH_VARARGS,
     "_set_limits($self, memory_size, table_elements, instances, tables, memories, /)\n--\n\n"
     "Bound what can be in the store; -1 is no bound."},
    {"_glance", (PyCFunction)store_glance, METH_NOARGS,
     "_glance($self, /)\n--\n\nFuel that is left, or None; epochs until the deadline, or None."},
    {"_suspend_limits", (PyCFunction)store_suspend_limits, METH_NOARGS,
     "_suspend_limits($self, /)\n--\n\nThe package makes something for itself."},
    {"_resume_limits", (PyCFunction)store_resume_limits, METH_VARARGS,
     "_resume_limits($self, instances, memories, /)\n--\n\nIt has made so many."},
    {"_collect", (PyCFunction)store_collect, METH_NOARGS,
     "_collect($self, /)\n--\n\nWhat wasmtime.Store.gc does."},
    {"_keep", (PyCFunction)store_py_keep, METH_O,
     "_keep($self, object, /)\n--\n\nKeep `object` for as long as the native store lives."},
    {"_mark_inherited", (PyCFunction)store_mark_inherited, METH_NOARGS,
     "_mark_inherited($self, /)\n--\n\nAsk the package before this store is used in a forked child."},
    {"_count_codecs", (PyCFunction)store_count_codecs, METH_O,
     "_count_codecs($self, change, /)\n--\n\nSo many more codecs of components are in the store."},
    {"_take_wasi_config", (PyCFunction)store_take_wasi_config, METH_O,
     "_take_wasi_config($self, address, /)\n--\n\nServe guests with a native configuration."},
    {"_set_wasi", (PyCFunction)store_set_wasi, METH_O,
     "_set_wasi($self, wasi, /)\n--\n\nServe guests with a Wasi; None: the library serves them."},
    {"_add_sink", (PyCFunction)store_add_sink, METH_O,
     "_add_sink($self, pair, /)\n--\n\nDeliver a sink's output to a callable: (sink, callable)."},
    {NULL, NULL, 0, NULL},
};

static PyObject *
store_get_home(StoreObject *self, void *Py_UNUSED(closure))
{
    PyObject *home = published(self->home);
    return Py_NewRef(home ? home : Py_None);
}

/* Whether a guest of preview 1 may have files open. */
static PyObject *
store_get_forwards(StoreObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->forwarded != NULL);
}

static PyGetSetDef store_getset[] = {
    {"_forwards", (getter)store_get_forwards, NULL, NULL, NULL},
    {"_home", (getter)store_get_home, NULL, NULL, NULL},
    {"_timeout", (getter)store_get_timeout, NULL, NULL, NULL},
    {"_is_open", (getter)store_get_is_open, NULL, NULL, NULL},
    {"_address", (getter)store_get_address, NULL, NULL, NULL},
    {"_context_address", (getter)store_get_context_address, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef store_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StoreObject, weakrefs), READONLY, NULL},
    {"_context_cdata", T_OBJECT, offsetof(StoreObject, context_cdata), 0, NULL},
    {"_links_python", T_BOOL, offsetof(StoreObject, links_python), 0, NULL},
    {"_asynchronous", T_BOOL, offsetof(StoreObject, asynchronous), READONLY, NULL},
    {"_blocks", T_BOOL, offsetof(StoreObject, blocks), 0, NULL},
    {"_roams", T_BOOL, offsetof(StoreObject, roams), 0, NULL},
    {"_has_wasi", T_BOOL, offsetof(StoreObject, has_wasi), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_doc, "Store(engine=None, data=None)\n--\n\nBase of wasmtime.Store."},
    {Py_tp_init, store_init},
    {Py_tp_dealloc, store_dealloc},
    {Py_tp_traverse, store_traverse},
    {Py_tp_clear, store_clear},
    {Py_tp_methods, store_methods},
    {Py_tp_getset, store_getset},
    {Py_tp_members, store_members},
    {0, NULL},
};
static PyType_Spec store_spec = {"wasmtime._core.Store", sizeof(StoreObject), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 store_slots};
