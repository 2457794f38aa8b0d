/* Items: what lives in a store and is held by value.
 *
 * Functions, memories, tables, globals, tags and instances are plain structs of the library, valid
 * while their store lives. Each object carries the struct and the identity of its store (`home`,
 * the store's weak reference). It owns nothing native: there is nothing to free. */

typedef struct {
    PyObject_HEAD
    PyObject *home; /* once, with the struct before it; NULL: never initialised */
} ItemObject;

/* The struct follows the head in every kind of item. */
#define ITEM_NATIVE(self) ((char *)(self) + sizeof(ItemObject))

static NOINLINE bool
refuse_uninitialized(const void *object)
{
    PyErr_Format(PyExc_ValueError, "%.200s: never initialized", type_name((PyObject *)object));
    return false;
}

/* Why `object`, which has this `home`, cannot be used with the store. */
static NOINLINE bool
refuse_home(StoreObject *store, PyObject *home, void *object, const char *what)
{
    if (relaxed_load(store->context) == NULL) {
        return store_refuse(store);
    }
    return home == NULL ? refuse_uninitialized(object) : refuse_foreign(what, object);
}

/* Whether something with this `home` lives in the store. */
static inline bool
home_is(PyObject *home, StoreObject *store)
{
    return LIKELY(home == published(store->home) && home != NULL);
}

/* Whether the item lives in this store; otherwise the exception is set. */
static inline bool
item_check(ItemObject *self, StoreObject *store)
{
    PyObject *home = published(self->home);
    return home_is(home, store) || refuse_home(store, home, self, "object");
}

/* Give `self` the struct at `native`; false with ValueError if it has one already, which another
 * thread may have given it just now. */
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
    if (UNLIKELY(store == NULL) || !item_check((ItemObject *)self, store) || !store_enter(store)) {
        return NULL;
    }
    return store;
}

/* As item_enter(), for a method of an item whose only argument is the store. */
static inline StoreObject *
item_enter_alone(PyObject *self, const char *method, PyObject *const *arguments, Py_ssize_t count,
                 PyObject *keywords)
{
    PyObject *store = argument_store(method, arguments, count, keywords);
    return UNLIKELY(store == NULL) ? NULL : item_enter(self, store);
}

/* The store that a `home` stands for: a new reference, or NULL with ValueError when it is gone. */
static StoreObject *
home_store(PyObject *home, const char *what)
{
    PyObject *store = PyObject_CallNoArgs(home);
    if (store == Py_None) {
        Py_CLEAR(store);
        PyErr_Format(PyExc_ValueError, "the store of %s is gone", what);
    }
    return (StoreObject *)store;
}

/* Inside of the store that a `home` stands for: a new reference. NULL: an exception is set. */
static StoreObject *
home_enter(PyObject *home, const char *what)
{
    StoreObject *store = home_store(home, what);
    if (store != NULL && !store_enter(store)) {
        Py_CLEAR(store);
    }
    return store;
}

static void
home_leave(StoreObject *store)
{
    store_leave(store);
    Py_DECREF(store);
}

/* --- kinds ---------------------------------------------------------------------------------- */

/* A component's function with the way in which Python takes its variants and lists: two functions
 * that differ in that are not equal. */
typedef struct {
    wasmtime_component_func_t func;
    bool tagged, arrays;
} ComponentFuncNative;

/* One of the fields by which the library knows an item. */
typedef struct {
    uint8_t offset, size;
} ItemField;

#define ITEM_FIELD(type, member) {offsetof(type, member), sizeof(((type *)NULL)->member)}
#define ITEM_FIELDS 6
#define NO_EXTERN 0xff

typedef struct {
    PyTypeObject **base;     /* the core's class for it */
    PyObject **public_class; /* the class that Python sees */
    uint8_t extern_kind;     /* in a wasmtime_extern_t, or NO_EXTERN */
    uint8_t size;            /* of the library's struct */
    ItemField fields[ITEM_FIELDS];
} ItemKind;

static const ItemKind item_kinds[] = {
    {&state.Func_base,
     &state.Func,
     WASMTIME_EXTERN_FUNC,
     sizeof(wasmtime_func_t),
     {ITEM_FIELD(wasmtime_func_t, store_id), ITEM_FIELD(wasmtime_func_t, __private)}},
    {&state.Memory_base,
     &state.Memory,
     WASMTIME_EXTERN_MEMORY,
     sizeof(wasmtime_memory_t),
     {ITEM_FIELD(wasmtime_memory_t, store_id), ITEM_FIELD(wasmtime_memory_t, __private1),
      ITEM_FIELD(wasmtime_memory_t, __private2)}},
    {&state.Table_base,
     &state.Table,
     WASMTIME_EXTERN_TABLE,
     sizeof(wasmtime_table_t),
     {ITEM_FIELD(wasmtime_table_t, store_id), ITEM_FIELD(wasmtime_table_t, __private1),
      ITEM_FIELD(wasmtime_table_t, __private2)}},
    {&state.Global_base,
     &state.Global,
     WASMTIME_EXTERN_GLOBAL,
     sizeof(wasmtime_global_t),
     {ITEM_FIELD(wasmtime_global_t, store_id), ITEM_FIELD(wasmtime_global_t, __private1),
      ITEM_FIELD(wasmtime_global_t, __private2), ITEM_FIELD(wasmtime_global_t, __private3)}},
    {&state.Tag_base,
     &state.Tag,
     WASMTIME_EXTERN_TAG,
     sizeof(wasmtime_tag_t),
     {ITEM_FIELD(wasmtime_tag_t, store_id), ITEM_FIELD(wasmtime_tag_t, __private1),
      ITEM_FIELD(wasmtime_tag_t, __private2)}},
    {&state.Instance_base,
     &state.Instance,
     NO_EXTERN,
     sizeof(wasmtime_instance_t),
     {ITEM_FIELD(wasmtime_instance_t, store_id), ITEM_FIELD(wasmtime_instance_t, __private)}},
    {&component.Func_base,
     &component.Func,
     NO_EXTERN,
     sizeof(wasmtime_component_func_t),
     {ITEM_FIELD(ComponentFuncNative, func.store_id),
      ITEM_FIELD(ComponentFuncNative, func.__private1),
      ITEM_FIELD(ComponentFuncNative, func.__private2),
      ITEM_FIELD(ComponentFuncNative, func.__private3), ITEM_FIELD(ComponentFuncNative, tagged),
      ITEM_FIELD(ComponentFuncNative, arrays)}},
    {&component.Instance_base,
     &component.Instance,
     NO_EXTERN,
     sizeof(wasmtime_component_instance_t),
     {ITEM_FIELD(wasmtime_component_instance_t, store_id),
      ITEM_FIELD(wasmtime_component_instance_t, __private)}},
};

/* The kind of an item; NULL for what is none (an instance of the base class is made by mistake
 * only). */
static const ItemKind *
item_kind(const void *object)
{
    for (size_t i = 0; i < sizeof(item_kinds) / sizeof(item_kinds[0]); i++) {
        if (PyObject_TypeCheck((PyObject *)object, *item_kinds[i].base)) {
            return &item_kinds[i];
        }
    }
    return NULL;
}

/* The kind of what the library exports as `extern_kind`; NULL if there is none. */
static const ItemKind *
item_kind_of_extern(uint8_t extern_kind)
{
    for (size_t i = 0; i < sizeof(item_kinds) / sizeof(item_kinds[0]); i++) {
        if (item_kinds[i].extern_kind == extern_kind) {
            return &item_kinds[i];
        }
    }
    return NULL;
}

/* A new object for the library's struct at `native`. */
static PyObject *
item_wrap(PyObject *type, StoreObject *store, const void *native, size_t size)
{
    ItemObject *self = (ItemObject *)type_alloc((PyTypeObject *)type);
    if (self != NULL) {
        self->home = Py_NewRef(store->home);
        memcpy(ITEM_NATIVE(self), native, size);
    }
    return (PyObject *)self;
}

/* --- identity ------------------------------------------------------------------------------- */

/* What tells an item from the others of its kind: the store's number and what the library has in
 * the private fields. (The fields and not the bytes: there is padding between them.) */
typedef struct {
    const ItemKind *kind;
    int count;
    uint64_t numbers[ITEM_FIELDS];
} ItemIdentity;

static ItemIdentity
item_identity(ItemObject *self)
{
    ItemIdentity identity = {item_kind(self), 0, {0}};
    const ItemField *field = identity.kind == NULL ? NULL : identity.kind->fields;
    while (field != NULL && identity.count < ITEM_FIELDS && field->size != 0) {
        const char *place = ITEM_NATIVE(self) + field->offset;
        uint64_t wide = 0;
        uint32_t half;
        switch (field->size) {
        case sizeof(uint64_t):
            memcpy(&wide, place, sizeof(wide));
            break;
        case sizeof(uint32_t):
            memcpy(&half, place, sizeof(half));
            wide = half;
            break;
        default:
            wide = *(const uint8_t *)place;
        }
        identity.numbers[identity.count++] = wide;
        field++;
    }
    return identity;
}

/* Two objects for the same item are equal. It is the library that says what is the same: a number
 * of a store is never used again, so that this holds when the store is gone. */
static PyObject *
item_compare(PyObject *self, PyObject *other, int operation)
{
    if ((operation != Py_EQ && operation != Py_NE) || !PyObject_TypeCheck(other, state.Item_base)
        || published(((ItemObject *)self)->home) == NULL
        || published(((ItemObject *)other)->home) == NULL) {
        return Py_NewRef(Py_NotImplemented);
    }
    ItemIdentity a = item_identity((ItemObject *)self), b = item_identity((ItemObject *)other);
    bool same = a.kind == b.kind && memcmp(a.numbers, b.numbers, sizeof(a.numbers)) == 0;
    return PyBool_FromLong(same == (operation == Py_EQ));
}

static Py_hash_t
item_hash(PyObject *self)
{
    if (published(((ItemObject *)self)->home) == NULL) {
        refuse_uninitialized(self);
        return -1;
    }
    ItemIdentity identity = item_identity((ItemObject *)self);
    uint64_t hash = 0;
    for (int i = 0; i < identity.count; i++) {
        hash = (hash ^ identity.numbers[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    return (Py_hash_t)hash == -1 ? -2 : (Py_hash_t)hash;
}

/* The numbers of the identity as a tuple. */
static PyObject *
item_get_identity(ItemObject *self, void *Py_UNUSED(closure))
{
    if (published(self->home) == NULL) {
        refuse_uninitialized(self);
        return NULL;
    }
    ItemIdentity identity = item_identity(self);
    PyObject *numbers = PyTuple_New(identity.count);
    for (int i = 0; numbers != NULL && i < identity.count; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(identity.numbers[i]);
        if (number == NULL) {
            Py_CLEAR(numbers);
            break;
        }
        PyTuple_SetItem(numbers, i, number);
    }
    return numbers;
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
        refuse_uninitialized(self);
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
    const ItemKind *kind = item_kind(self);
    bool fine =
        item_become(self, store, (const void *)(uintptr_t)address, kind != NULL ? kind->size : 0);
    return fine ? Py_NewRef(Py_None) : NULL;
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

/* _extern_type(): the address of a new wasm_externtype_t, the caller's. The store that it lives in is
 * entered with the GIL, for a moment: store_glance() says why. */
static PyObject *
item_extern_type(ItemObject *self, PyObject *Py_UNUSED(ignored))
{
    const ItemKind *kind = item_kind(self);
    PyObject *home = published(self->home);
    if (home == NULL || kind == NULL || kind->extern_kind == NO_EXTERN) {
        refuse_uninitialized(self);
        return NULL;
    }
    StoreObject *store = home_enter(home, "the item");
    if (store == NULL) {
        return NULL;
    }
    wasmtime_extern_t item = {.kind = kind->extern_kind};
    memcpy(&item.of, ITEM_NATIVE(self), kind->size);
    wasm_externtype_t *type = wasmtime_extern_type(store->context, &item);
    home_leave(store);
    return PyLong_FromVoidPtr(type);
}

static PyMethodDef item_methods[] = {
    REFUSE_REDUCE,
    {"_extern_type", (PyCFunction)item_extern_type, METH_NOARGS,
     "_extern_type($self, /)\n--\n\nAddress of a new ``wasm_externtype_t``, which the caller owns."},
    {"_set_native", (PyCFunction)item_set_native, METH_VARARGS,
     "_set_native($self, store, address, /)\n--\n\nCopy the library's struct, made in `store`."},
    {"_belongs_to", (PyCFunction)item_belongs_to, METH_O,
     "_belongs_to($self, store, /)\n--\n\nRaise WasmtimeError unless this lives in `store`."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef item_getset[] = {
    {"_address", (getter)item_get_address, NULL, NULL, NULL},
    {"_home", (getter)item_get_home, NULL, NULL, NULL},
    {"_identity", (getter)item_get_identity, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot item_slots[] = {
    {Py_tp_doc, "Base of what lives in a store."},
    {Py_tp_dealloc, item_dealloc},
    {Py_tp_richcompare, item_compare},
    {Py_tp_hash, item_hash},
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
