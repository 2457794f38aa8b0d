/* --- variants -------------------------------------------------------------------------------- */

/* Whether the value is of one of the classes that raising gives. */
static bool
value_is(PyObject *value, uint16_t classes)
{
    return ((classes & C_NONE) && value == Py_None) || ((classes & C_BOOL) && PyBool_Check(value))
           || ((classes & C_INT) && PyLong_Check(value))
           || ((classes & C_FLOAT) && PyFloat_Check(value))
           || ((classes & C_STR) && PyUnicode_Check(value))
           || ((classes & C_BYTES) && PyBytes_Check(value))
           || ((classes & C_LIST) && PyList_Check(value))
           || ((classes & C_TUPLE) && PyTuple_Check(value))
           || ((classes & C_SET) && PyAnySet_Check(value))
           || ((classes & C_DICT) && PyDict_Check(value))
           || ((classes & C_RECORD) && PyObject_TypeCheck(value, (PyTypeObject *)component.Record))
           || ((classes & C_VARIANT)
               && PyObject_TypeCheck(value, (PyTypeObject *)component.Variant))
           || ((classes & C_RESOURCE)
               && (PyObject_TypeCheck(value, component.ResourceAny_base)
                   || PyObject_TypeCheck(value, component.ResourceHost_base)));
}

/* Whether the value could be lowered to one of the classes though raising gives another. */
static bool
value_could_be(PyObject *value, uint16_t classes)
{
    if (value == Py_None || PyObject_TypeCheck(value, (PyTypeObject *)component.Variant)) {
        return false;
    }
    bool text = PyUnicode_Check(value);
    if ((classes & C_FLOAT) && !PyBool_Check(value) && !text
        && (PyIndex_Check(value)
            || PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__float__"))) {
        return true;
    }
    if ((classes & C_INT) && PyIndex_Check(value)) {
        return true;
    }
    if ((classes & C_BYTES) && !text && (PyObject_CheckBuffer(value) || PyList_Check(value))) {
        return true;
    }
    if ((classes & C_LIST) && !text && !PyBytes_Check(value) && !PyDict_Check(value)
        && PySequence_Check(value)) {
        return true;
    }
    if ((classes & C_TUPLE) && PyList_Check(value)) {
        return true;
    }
    if ((classes & C_SET) && (PyList_Check(value) || PyTuple_Check(value))) {
        return true;
    }
    if ((classes & C_RESOURCE) && !text && !PyLong_Check(value) && !PyFloat_Check(value)) {
        return PyObject_HasAttrString(value, "_wit_resource");
    }
    return false;
}

/* An object that has all fields of the record, and is no record by class. */
static bool
value_has_fields(const ProgramObject *program, PyObject *value, int32_t payload)
{
    const ComponentNode *node = &program->nodes[payload];
    if (node->kind != WIT_RECORD || value == Py_None) {
        return false;
    }
    bool dict = PyDict_Check(value);
    for (uint32_t i = 0; i < node->count; i++) {
        const ComponentEdge *edge = &program->edges[node->edges + i];
        if (dict ? PyDict_GetItem(value, edge->attribute) == NULL
                       && PyDict_GetItem(value, edge->name) == NULL
                 : !PyObject_HasAttr(value, edge->attribute)
                       && !PyObject_HasAttr(value, edge->name)) {
            return false;
        }
    }
    return true;
}

/* The case that a value stands for, and the payload (borrowed or new: `payload` is a new
 * reference, NULL for none). NULL with an exception when there is none. */
static const ComponentEdge *
find_case(Lowering *self, const ComponentNode *node, PyObject *value, PyObject **payload,
          const ComponentPath *path)
{
    const ProgramObject *program = self->program;
    const ComponentEdge *edges = &program->edges[node->edges];
    bool variant = PyObject_TypeCheck(value, (PyTypeObject *)component.Variant);
    *payload = NULL;
    if (!node->tagged) {
        for (uint32_t i = 0; i < node->count; i++) {
            int32_t inner = edges[i].node;
            if (inner < 0 ? value == Py_None : value_is(value, program->nodes[inner].classes)) {
                *payload = inner < 0 ? NULL : Py_NewRef(value);
                return &edges[i];
            }
        }
        for (uint32_t i = 0; !variant && i < node->count; i++) {
            int32_t inner = edges[i].node;
            if (inner >= 0
                && (value_could_be(value, program->nodes[inner].classes)
                    || value_has_fields(program, value, inner))) {
                *payload = Py_NewRef(value);
                return &edges[i];
            }
        }
    }
    if (!variant) {
        if (node->tagged) {
            refuse_component_type(
                path, node->kind == WIT_RESULT ? "Variant (Ok or Err)" : "Variant", value);
        }
        else {
            refuse_component(path, PyExc_ValueError,
                             "value not valid for this %s: no case takes %.200s",
                             component_kinds[node->kind].name, type_name(value));
        }
        return NULL;
    }
    PyObject *tag = PyObject_GetAttr(value, component.str_tag);
    if (tag == NULL) {
        return NULL;
    }
    const ComponentEdge *edge = NULL;
    if (!PyUnicode_Check(tag)) {
        refuse_component_type(path, "str as the tag of a Variant", tag);
    }
    else if ((edge = find_edge(program, node, tag)) == NULL) {
        refuse_name(program, node, tag, PyExc_ValueError, path);
    }
    Py_DECREF(tag);
    if (edge == NULL) {
        return NULL;
    }
    PyObject *content = PyObject_GetAttr(value, component.str_payload);
    if (content == NULL) {
        return NULL;
    }
    if (edge->node < 0) {
        if (content != Py_None) {
            refuse_component(path, PyExc_TypeError, "the case '%U' has no payload", edge->name);
            edge = NULL;
        }
        Py_DECREF(content);
        return edge;
    }
    *payload = content;
    return edge;
}

static bool
lower_cases(Lowering *self, const ComponentNode *node, PyObject *value,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    PyObject *payload;
    const ComponentEdge *edge = find_case(self, node, value, &payload, path);
    if (edge == NULL) {
        return false;
    }
    wasmtime_component_val_t *content = NULL;
    if (edge->node >= 0) {
        bool fine = false;
        content = arena_alloc(self, sizeof(wasmtime_component_val_t));
        if (content != NULL) {
            /* The payload of an option stands where the option stands. */
            ComponentPath inner = {path, edge->attribute, 0};
            fine = lower_component(self, (uint32_t)edge->node, payload, content,
                                   node->kind == WIT_OPTION || !node->tagged ? path : &inner);
        }
        Py_DECREF(payload);
        if (!fine) {
            return false;
        }
    }
    out->kind = component_kinds[node->kind].value_kind;
    switch (node->kind) {
    case WIT_VARIANT:
        out->of.variant.discriminant = edge_name(edge);
        out->of.variant.val = content;
        break;
    case WIT_OPTION:
        out->of.option = content;
        break;
    default:
        out->of.result.is_ok = edge == &self->program->edges[node->edges];
        out->of.result.val = content;
        break;
    }
    return true;
}
