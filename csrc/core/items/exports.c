/* Exports: those of an instance, by name and in the module's order.
 *
 * The objects that were asked for are kept, so that each lookup gives the same one. They are items,
 * which do not keep their store alive. */

static PyObject *
refuse_key(PyObject *key)
{
    PyErr_SetObject(PyExc_KeyError, key);
    return NULL;
}

/* Look an export up and keep it; inside the store. NULL with KeyError: there is none. */
static PyObject *
exports_look_up(ExportsObject *self, StoreObject *store, PyObject *key)
{
    Py_ssize_t length;
    const char *name = PyUnicode_AsUTF8AndSize(key, &length);
    wasmtime_extern_t item;
    if (name == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return NULL;
        }
        PyErr_Clear(); /* No name has lone surrogates. */
        return refuse_key(key);
    }
    if (!wasmtime_instance_export_get(store->context, &self->native, (char *)name, (size_t)length,
                                      &item)) {
        return refuse_key(key);
    }
    PyObject *made = wrap_extern(store, &item), *value = NULL;
    /* Making it may have run code that asked for the same. */
    if (made != NULL && PyDict_GetItemRef(self->found, key, &value) == 0
        && PyDict_SetItem(self->found, key, made) == 0) {
        return made;
    }
    Py_XDECREF(made);
    return value;
}

/* What has not been asked for before. */
static NOINLINE PyObject *
exports_find(ExportsObject *self, PyObject *key)
{
    if (!PyUnicode_Check(key) || published(self->by_index) != NULL || self->home == NULL) {
        return refuse_key(key);
    }
    StoreObject *store = home_enter(self->home, "these exports");
    if (store == NULL) {
        return NULL;
    }
    PyObject *value = exports_look_up(self, store, key);
    home_leave(store);
    return value;
}

static PyObject *
exports_getitem(ExportsObject *self, PyObject *key)
{
    PyObject *value;
    int known = self->found ? PyDict_GetItemRef(self->found, key, &value) : 0;
    if (LIKELY(known > 0)) {
        return value;
    }
    return known < 0 ? NULL : exports_find(self, key);
}

/* The names, a tuple in the module's order: a borrowed reference. */
static PyObject *
exports_names(ExportsObject *self)
{
    return self->module ? module_export_names(self->module) : state.empty_tuple;
}

static Py_ssize_t
exports_length(ExportsObject *self)
{
    PyObject *names = exports_names(self);
    return names ? PyTuple_Size(names) : -1;
}

static PyObject *
exports_iter(ExportsObject *self)
{
    PyObject *names = exports_names(self);
    return names ? PyObject_GetIter(names) : NULL;
}

static int
exports_contains(ExportsObject *self, PyObject *key)
{
    PyObject *value = exports_getitem(self, key);
    if (value != NULL) {
        Py_DECREF(value);
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* All of them in the module's order; inside the store. */
static PyObject *
exports_list(ExportsObject *self, StoreObject *store)
{
    PyObject *names = exports_names(self);
    if (names == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_Size(names);
    PyObject *items = PyTuple_New(count);
    for (Py_ssize_t i = 0; items != NULL && i < count; i++) {
        PyObject *key = PyTuple_GetItem(names, i), *value;
        if (PyDict_GetItemRef(self->found, key, &value) == 0) {
            value = exports_look_up(self, store, key);
        }
        if (value == NULL) {
            Py_CLEAR(items);
            break;
        }
        PyTuple_SetItem(items, i, value);
    }
    return items;
}

static PyObject *
exports_by_index(ExportsObject *self, void *Py_UNUSED(closure))
{
    PyObject *items = published(self->by_index);
    if (items != NULL) {
        return Py_NewRef(items);
    }
    if (self->home == NULL) {
        return Py_NewRef(state.empty_tuple);
    }
    StoreObject *store = home_enter(self->home, "these exports");
    if (store == NULL) {
        return NULL;
    }
    items = exports_list(self, store);
    if (items != NULL && self->by_index == NULL) {
        publish(self->by_index, Py_NewRef(items));
    }
    else if (items != NULL) { /* Making them ran code that asked for them. */
        Py_DECREF(items);
        items = Py_NewRef(self->by_index);
    }
    home_leave(store);
    return items;
}

static int
exports_traverse(ExportsObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->found);
    Py_VISIT(self->by_index);
    return 0;
}

static void
exports_dealloc(ExportsObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->home);
    Py_CLEAR(self->module);
    Py_CLEAR(self->found);
    Py_CLEAR(self->by_index);
    type_free((PyObject *)self);
}

static PyGetSetDef exports_getset[] = {
    {"by_index", (getter)exports_by_index, NULL, "The exports as a tuple, in the module's order.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef exports_methods[] = {
    REFUSE_REDUCE,
    {NULL, NULL, 0, NULL},
};
static PyType_Slot exports_slots[] = {
    {Py_tp_doc, "Base of InstanceExports."},
    {Py_tp_dealloc, exports_dealloc},
    {Py_tp_traverse, exports_traverse},
    {Py_tp_getset, exports_getset},
    {Py_tp_methods, exports_methods},
    {Py_mp_subscript, exports_getitem},
    {Py_mp_length, exports_length},
    {Py_sq_contains, exports_contains},
    {Py_tp_iter, exports_iter},
    {0, NULL},
};
static PyType_Spec exports_spec = {"wasmtime._core.Exports", sizeof(ExportsObject), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                   exports_slots};
