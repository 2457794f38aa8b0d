/* What lives in a store and is held by value: functions, memories, tables, globals, tags and
 * instances are plain structs of the library, valid while their store lives. Each object
 * carries the struct and the identity of its store (`home`, the store's weak reference), and
 * owns nothing native: there is nothing to free. */

typedef struct {
    PyObject_HEAD
    PyObject *home; /* once, with the struct before it; NULL: never initialised */
} ItemObject;

/* The struct follows the head in every kind of item. */
#define ITEM_NATIVE(self) ((char *)(self) + sizeof(ItemObject))

static NOINLINE bool
item_refuse(ItemObject *self)
{
    if (published(self->home) == NULL) {
        PyErr_Format(PyExc_ValueError, "%.200s: never initialized", type_name(self));
        return false;
    }
    return refuse_foreign("object", (PyObject *)self);
}

/* Whether the item lives in this store; otherwise the exception is set. */
static inline bool
item_check(ItemObject *self, StoreObject *store)
{
    PyObject *home = published(self->home);
    if (LIKELY(home == published(store->home) && home != NULL)) {
        return true;
    }
    if (glimpse(store->context) == NULL) {
        return store_refuse(store);
    }
    return item_refuse(self);
}

/* Let `self`, which was made without, be what `native` is; false with ValueError if it is something
 * already, perhaps since a moment ago. */
static bool
item_become(ItemObject *self, StoreObject *store, const void *native, size_t size)
{
    bool first;
    LOCK(self);
    first = self->home == NULL;
    if (first) {
        memcpy(ITEM_NATIVE(self), native, size);
        publish(self->home, Py_NewRef(store->home));
    }
    UNLOCK();
    if (!first) {
        PyErr_SetString(PyExc_ValueError, "already initialized");
    }
    return first;
}

/* Inside the store, with the item checked; leave with store_leave(). NULL: exception set. */
static inline StoreObject *
item_enter(PyObject *self, PyObject *store_argument)
{
    StoreObject *store = storelike(store_argument);
    if (UNLIKELY(store == NULL) || !item_check((ItemObject *)self, store)
        || !store_enter(store)) {
        return NULL;
    }
    return store;
}

static void
item_dealloc(ItemObject *self)
{
    Py_CLEAR(self->home);
    type_free((PyObject *)self);
}

static PyObject *
item_get_address(ItemObject *self, void *Py_UNUSED(closure))
{
    if (published(self->home) == NULL) {
        item_refuse(self);
        return NULL;
    }
    return PyLong_FromVoidPtr(ITEM_NATIVE(self));
}

static PyObject *
item_get_home(ItemObject *self, void *Py_UNUSED(closure))
{
    PyObject *home = published(self->home);
    return Py_NewRef(home ? home : Py_None);
}

static size_t item_native_size(ItemObject *self);

static PyObject *
item_set_native(ItemObject *self, PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:_set_native", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    if (!item_become(self, store, (const void *)(uintptr_t)address, item_native_size(self))) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* For Python code that is about to call through cffi: the item belongs to this store. */
static PyObject *
item_belongs_to(ItemObject *self, PyObject *object)
{
    StoreObject *store = storelike(object);
    if (store == NULL || !item_check(self, store)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef item_methods[] = {
    REFUSE_REDUCE,
    {"_set_native", (PyCFunction)item_set_native, METH_VARARGS,
     "_set_native($self, store, address, /)\n--\n\nCopy the library's struct, made in `store`."},
    {"_belongs_to", (PyCFunction)item_belongs_to, METH_O,
     "_belongs_to($self, store, /)\n--\n\nRaise WasmtimeError unless this lives in `store`."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef item_getset[] = {
    {"_address", (getter)item_get_address, NULL, NULL, NULL},
    {"_home", (getter)item_get_home, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot item_slots[] = {
    {Py_tp_doc, "Base of what lives in a store."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_methods, item_methods},
    {Py_tp_getset, item_getset},
    {0, NULL},
};
static PyType_Spec item_spec = {"wasmtime._core.Item", sizeof(ItemObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, item_slots};

typedef struct {
    ItemObject item;
    wasmtime_tag_t native;
} TagObject;

static PyType_Slot tag_slots[] = {
    {Py_tp_doc, "Base of wasmtime.Tag."},
    {Py_tp_dealloc, item_dealloc},
    {0, NULL},
};
static PyType_Spec tag_spec = {"wasmtime._core.Tag", sizeof(TagObject), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, tag_slots};
