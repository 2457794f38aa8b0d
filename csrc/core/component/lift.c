/* Lift any value: a program runs, from one of its nodes down.
 *
 * Ownership: everything is copied. What the library gave stays its own, or the caller's to free. */

typedef struct {
    StoreObject *store;
    ProgramObject *program;
    PyObject *borrows; /* list of the borrowed ResourceAny made, or NULL: not asked for */
} Lifting;

static PyObject *lift_component(Lifting *self, uint32_t node,
                                const wasmtime_component_val_t *value);
static PyObject *lift_resource(Lifting *self, const ComponentNode *node,
                               const wasmtime_component_val_t *value);

static NOINLINE PyObject *
refuse_lifting(const ComponentNode *node, const wasmtime_component_val_t *value)
{
    PyErr_Format(PyExc_SystemError, "the library gave a value of kind %d for the type %s",
                 (int)value->kind, component_kinds[node->kind].name);
    return NULL;
}

static PyObject *
lift_list(Lifting *self, const ComponentNode *node, const wasmtime_component_vallist_t *list)
{
    uint32_t element = (uint32_t)self->program->edges[node->edges].node;
    uint8_t kind = self->program->nodes[element].kind;
    Py_ssize_t count = (Py_ssize_t)list->size;
    if (kind == WIT_U8) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, count);
        if (bytes != NULL) {
            char *data = PyBytes_AsString(bytes);
            for (Py_ssize_t i = 0; i < count; i++) {
                data[i] = (char)list->data[i].of.u8;
            }
        }
        return bytes;
    }
    if (UNLIKELY(self->program->arrays) && array_code(kind) != 0) {
        char *data;
        PyObject *array = number_array(kind, count, &data);
        if (array != NULL) {
            pack_scalars(data, scalar_sizes[kind], list->data, count);
        }
        return array;
    }
    PyObject *result = PyList_New(count);
    for (Py_ssize_t i = 0; result != NULL && i < count; i++) {
        PyObject *item = kind == WIT_F64 ? PyFloat_FromDouble(list->data[i].of.f64)
                                         : lift_component(self, element, &list->data[i]);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyList_SetItem(result, i, item);
    }
    return result;
}

static PyObject *
lift_record(Lifting *self, const ComponentNode *node, const wasmtime_component_valrecord_t *record)
{
    PyObject *result = type_alloc((PyTypeObject *)component.Record);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        const ComponentEdge *edge = &self->program->edges[node->edges + i];
        PyObject *field = lift_component(self, (uint32_t)edge->node, &record->data[i].val);
        if (field == NULL || PyObject_GenericSetAttr(result, edge->attribute, field) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(field);
    }
    return result;
}

static PyObject *
lift_tuple(Lifting *self, const ComponentNode *node, const wasmtime_component_valtuple_t *tuple)
{
    PyObject *result = PyTuple_New((Py_ssize_t)node->count);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        PyObject *item = lift_component(self, (uint32_t)self->program->edges[node->edges + i].node,
                                        &tuple->data[i]);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyTuple_SetItem(result, (Py_ssize_t)i, item);
    }
    return result;
}

static PyObject *
lift_map(Lifting *self, const ComponentNode *node, const wasmtime_component_valmap_t *map)
{
    const ComponentEdge *edges = &self->program->edges[node->edges];
    PyObject *result = PyDict_New();
    for (size_t i = 0; result != NULL && i < map->size; i++) {
        PyObject *key = lift_component(self, (uint32_t)edges[0].node, &map->data[i].key);
        PyObject *value =
            key ? lift_component(self, (uint32_t)edges[1].node, &map->data[i].value) : NULL;
        if (value == NULL || PyDict_SetItem(result, key, value) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return result;
}

/* The edge whose name the library gave; NULL with an exception when there is none. */
static const ComponentEdge *
lifted_edge(const ProgramObject *program, const ComponentNode *node, const wasm_name_t *name)
{
    const ComponentEdge *edges = &program->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++) {
        if (edges[i].length == name->size && memcmp(edges[i].utf8, name->data, name->size) == 0) {
            return &edges[i];
        }
    }
    PyErr_SetString(PyExc_SystemError, "the library gave a case that the type does not have");
    return NULL;
}

static PyObject *
lift_flags(Lifting *self, const ComponentNode *node, const wasmtime_component_valflags_t *flags)
{
    PyObject *result = PySet_New(NULL);
    for (size_t i = 0; result != NULL && i < flags->size; i++) {
        const ComponentEdge *edge = lifted_edge(self->program, node, &flags->data[i]);
        if (edge == NULL || PySet_Add(result, edge->name) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

/* A case with its payload, which is taken; NULL where that is, with the exception that is set. */
static PyObject *
lift_wrap_case(const ProgramObject *program, const ComponentNode *node, const ComponentEdge *edge,
               PyObject *payload)
{
    if (payload == NULL || !node->tagged) {
        return payload;
    }
    PyObject *type = component.Variant;
    if (node->kind == WIT_RESULT && program->tagged) {
        type = edge->name == component.str_ok ? component.Ok : component.Err;
    }
    PyObject *result = type_alloc((PyTypeObject *)type);
    if (result != NULL
        && (PyObject_GenericSetAttr(result, component.str_tag, edge->name) < 0
            || PyObject_GenericSetAttr(result, component.str_payload, payload) < 0)) {
        Py_CLEAR(result);
    }
    Py_DECREF(payload);
    return result;
}

static PyObject *
lift_case(Lifting *self, const ComponentNode *node, const ComponentEdge *edge,
          const wasmtime_component_val_t *content)
{
    PyObject *payload;
    if (edge->node < 0 || content == NULL) {
        payload = Py_NewRef(Py_None);
    }
    else {
        payload = lift_component(self, (uint32_t)edge->node, content);
    }
    return lift_wrap_case(self->program, node, edge, payload);
}

static PyObject *
lift_component(Lifting *self, uint32_t index, const wasmtime_component_val_t *value)
{
    const ComponentNode *node = &self->program->nodes[index];
    if (UNLIKELY(value->kind != component_kinds[node->kind].value_kind)) {
        return refuse_lifting(node, value);
    }
    const ComponentEdge *edge = &self->program->edges[node->edges];
    switch (node->kind) {
    case WIT_BOOL:
        return PyBool_FromLong(value->of.boolean);
    case WIT_S8:
        return PyLong_FromLong(value->of.s8);
    case WIT_S16:
        return PyLong_FromLong(value->of.s16);
    case WIT_S32:
        return PyLong_FromLong(value->of.s32);
    case WIT_S64:
        return PyLong_FromLongLong(value->of.s64);
    case WIT_U8:
        return PyLong_FromLong(value->of.u8);
    case WIT_U16:
        return PyLong_FromLong(value->of.u16);
    case WIT_U32:
        return PyLong_FromLongLong(value->of.u32);
    case WIT_U64:
        return PyLong_FromUnsignedLongLong(value->of.u64);
    case WIT_F32:
        return PyFloat_FromDouble(widen(&value->of.f32));
    case WIT_F64:
        return PyFloat_FromDouble(value->of.f64);
    case WIT_CHAR:
        return PyUnicode_FromOrdinal((int)value->of.character);
    case WIT_STRING:
        return PyUnicode_DecodeUTF8(value->of.string.size ? (const char *)value->of.string.data
                                                          : "",
                                    (Py_ssize_t)value->of.string.size, NULL);
    case WIT_LIST:
    case WIT_FIXED_LIST:
        return lift_list(self, node, &value->of.list);
    case WIT_RECORD:
        if (UNLIKELY(value->of.record.size != node->count)) {
            return refuse_lifting(node, value);
        }
        return lift_record(self, node, &value->of.record);
    case WIT_TUPLE:
        if (UNLIKELY(value->of.tuple.size != node->count)) {
            return refuse_lifting(node, value);
        }
        return lift_tuple(self, node, &value->of.tuple);
    case WIT_VARIANT:
        edge = lifted_edge(self->program, node, &value->of.variant.discriminant);
        return edge ? lift_case(self, node, edge, value->of.variant.val) : NULL;
    case WIT_OPTION:
        return lift_case(self, node, value->of.option ? edge + 1 : edge, value->of.option);
    case WIT_RESULT:
        return lift_case(self, node, value->of.result.is_ok ? edge : edge + 1,
                         value->of.result.val);
    case WIT_ENUM:
        edge = lifted_edge(self->program, node, &value->of.enumeration);
        return edge ? Py_NewRef(edge->name) : NULL;
    case WIT_FLAGS:
        return lift_flags(self, node, &value->of.flags);
    case WIT_MAP:
        return lift_map(self, node, &value->of.map);
    case WIT_OWN:
    case WIT_BORROW:
        return lift_resource(self, node, value);
    default:
        return refuse_lifting(node, value);
    }
}
