/* Lower records and tuples.
 *
 * Ownership: the fields lie in the arena; names point into the program. */

static inline wasm_name_t
edge_name(const ComponentEdge *edge)
{
    wasm_name_t name;
    name.size = edge->length;
    name.data = (void *)edge->utf8;
    return name;
}

/* The field of a record's value; a new reference, or NULL with an exception. */
static PyObject *
record_field(PyObject *value, const ComponentEdge *edge, bool dict, const ComponentPath *path)
{
    PyObject *found;
    if (dict) {
        int status = PyDict_GetItemRef(value, edge->attribute, &found);
        if (status == 0) {
            status = PyDict_GetItemRef(value, edge->name, &found);
        }
        if (status == 0) {
            refuse_component(path, PyExc_TypeError, "the dict lacks the field '%U'", edge->name);
        }
        return found;
    }
    found = PyObject_GetAttr(value, edge->attribute);
    if (LIKELY(found != NULL)) {
        return found;
    }
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return NULL;
    }
    if (edge->attribute != edge->name) {
        PyErr_Clear();
        found = PyObject_GetAttr(value, edge->name);
        if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return found;
        }
    }
    PyErr_Clear();
    refuse_component(path, PyExc_AttributeError,
                     "expected a record with the field '%U', got %.200s", edge->name,
                     type_name(value));
    return NULL;
}

static NOINLINE bool
refuse_unknown_fields(const ProgramObject *program, const ComponentNode *node, PyObject *value,
                      const ComponentPath *path)
{
    PyObject *keys = PyDict_Keys(value); /* of one moment: another thread may change the dict */
    PyObject *unknown = NULL;
    for (Py_ssize_t k = 0; keys != NULL && unknown == NULL && k < PyList_Size(keys); k++) {
        PyObject *key = PyList_GetItem(keys, k);
        bool known = false;
        for (uint32_t i = 0; i < node->count && !known; i++) {
            const ComponentEdge *edge = &program->edges[node->edges + i];
            known = PyUnicode_Check(key)
                    && (PyUnicode_Compare(key, edge->name) == 0
                        || PyUnicode_Compare(key, edge->attribute) == 0);
        }
        if (!known) {
            unknown = key;
        }
    }
    if (unknown != NULL) {
        refuse_component(path, PyExc_TypeError, "the record has no field %R", unknown);
    }
    else if (keys != NULL) {
        refuse_component(path, PyExc_TypeError, "the dict names a field twice");
    }
    Py_XDECREF(keys);
    return false;
}

static bool
lower_record(Lowering *self, const ComponentNode *node, PyObject *value,
             wasmtime_component_val_t *out, const ComponentPath *path)
{
    wasmtime_component_valrecord_entry_t *entries =
        arena_array(self, node->count, sizeof(wasmtime_component_valrecord_entry_t));
    if (entries == NULL) {
        return false;
    }
    bool dict = PyDict_Check(value);
    const ComponentEdge *edge = &self->program->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++, edge++) {
        PyObject *field = record_field(value, edge, dict, path);
        if (field == NULL) {
            return false;
        }
        ComponentPath place = {path, edge->attribute, 0};
        entries[i].name = edge_name(edge);
        bool fine = lower_component(self, (uint32_t)edge->node, field, &entries[i].val, &place);
        Py_DECREF(field);
        if (!fine) {
            return false;
        }
    }
    if (dict && UNLIKELY(PyDict_Size(value) != (Py_ssize_t)node->count)) {
        return refuse_unknown_fields(self->program, node, value, path);
    }
    out->kind = WASMTIME_COMPONENT_RECORD;
    out->of.record.size = node->count;
    out->of.record.data = entries;
    return true;
}

static bool
lower_tuple(Lowering *self, const ComponentNode *node, PyObject *value,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyTuple_Check(value) && !PyList_Check(value)) {
        return refuse_component_type(path, "tuple", value);
    }
    PyObject *items = component_items(value, "tuple", path);
    if (items == NULL) {
        return false;
    }
    bool fine = true;
    if (PyTuple_Size(items) != (Py_ssize_t)node->count) {
        fine = refuse_component(path, PyExc_TypeError, "expected a tuple of %u elements, got %zd",
                                (unsigned)node->count, PyTuple_Size(items));
    }
    wasmtime_component_val_t *values =
        fine ? arena_array(self, node->count, sizeof(wasmtime_component_val_t)) : NULL;
    fine = fine && values != NULL;
    for (uint32_t i = 0; fine && i < node->count; i++) {
        ComponentPath place = {path, NULL, (Py_ssize_t)i};
        fine = lower_component(self, (uint32_t)self->program->edges[node->edges + i].node,
                               PyTuple_GetItem(items, i), &values[i], &place);
    }
    Py_DECREF(items);
    out->kind = WASMTIME_COMPONENT_TUPLE;
    out->of.tuple.size = node->count;
    out->of.tuple.data = values;
    return fine;
}
