/* Lower what is known by a name: enums, flags, variants, options, results.
 *
 * Ownership: names point into the program; payloads lie in the arena. */

/* --- names ---------------------------------------------------------------------------------- */

/* The edge of a name, in either spelling; NULL when there is none. */
static const ComponentEdge *
find_edge(const ProgramObject *program, const ComponentNode *node, PyObject *name)
{
    const ComponentEdge *edges = &program->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++) {
        if (edges[i].name == name) {
            return &edges[i];
        }
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (PyUnicode_Compare(edges[i].name, name) == 0) {
            return &edges[i];
        }
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (PyUnicode_Compare(edges[i].attribute, name) == 0) {
            return &edges[i];
        }
    }
    return NULL;
}

static NOINLINE bool
refuse_name(const ProgramObject *program, const ComponentNode *node, PyObject *name,
            PyObject *exception, const ComponentPath *path)
{
    PyObject *known = PyList_New(0);
    for (uint32_t i = 0; known != NULL && i < node->count; i++) {
        if (PyList_Append(known, program->edges[node->edges + i].name) < 0) {
            Py_CLEAR(known);
        }
    }
    if (known != NULL) {
        refuse_component(path, exception, "%R is not among the %s %R", name,
                         node->kind == WIT_FLAGS ? "flags" : "cases", known);
        Py_DECREF(known);
    }
    return false;
}

static bool
lower_enum(Lowering *self, const ComponentNode *node, PyObject *value,
           wasmtime_component_val_t *out, const ComponentPath *path)
{
    PyObject *name = Py_NewRef(value);
    if (!PyUnicode_Check(value)) { /* a member of an enum.Enum whose value is the name */
        Py_DECREF(name);
        name = PyObject_GetAttr(value, component.str_value);
        if (name == NULL || !PyUnicode_Check(name)) {
            PyErr_Clear();
            Py_XDECREF(name);
            return refuse_component_type(path, "str, the name of an enum's case", value);
        }
    }
    const ComponentEdge *edge = find_edge(self->program, node, name);
    if (edge == NULL) {
        refuse_name(self->program, node, name, state.WasmtimeError, path);
        Py_DECREF(name);
        return false;
    }
    Py_DECREF(name);
    out->kind = WASMTIME_COMPONENT_ENUM;
    out->of.enumeration = edge_name(edge);
    return true;
}

static bool
lower_flags(Lowering *self, const ComponentNode *node, PyObject *value,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyAnySet_Check(value) && !PyList_Check(value) && !PyTuple_Check(value)) {
        return refuse_component_type(path, "set of str", value);
    }
    PyObject *items = tuple_of(value);
    if (items == NULL) {
        return false;
    }
    Py_ssize_t count = PyTuple_Size(items);
    wasm_name_t *names = arena_array(self, (size_t)count, sizeof(wasm_name_t));
    bool fine = names != NULL;
    for (Py_ssize_t i = 0; fine && i < count; i++) {
        PyObject *item = PyTuple_GetItem(items, i);
        if (!PyUnicode_Check(item)) {
            fine = refuse_component_type(path, "set of str", item);
            break;
        }
        const ComponentEdge *edge = find_edge(self->program, node, item);
        if (edge == NULL) {
            fine = refuse_name(self->program, node, item, state.WasmtimeError, path);
            break;
        }
        names[i] = edge_name(edge);
    }
    Py_DECREF(items);
    out->kind = WASMTIME_COMPONENT_FLAGS;
    out->of.flags.size = (size_t)count;
    out->of.flags.data = names;
    return fine;
}

/* --- variants ------------------------------------------------------------------------------- */

/* Whether the value is of one of the classes that lifting gives. */
static bool
value_is(PyObject *value, uint16_t classes)
{
    return ((classes & CLASS_NONE) && value == Py_None)
           || ((classes & CLASS_BOOL) && PyBool_Check(value))
           || ((classes & CLASS_INT) && PyLong_Check(value))
           || ((classes & CLASS_FLOAT) && PyFloat_Check(value))
           || ((classes & CLASS_STR) && PyUnicode_Check(value))
           || ((classes & CLASS_BYTES) && PyBytes_Check(value))
           || ((classes & CLASS_LIST) && PyList_Check(value))
           || ((classes & CLASS_TUPLE) && PyTuple_Check(value))
           || ((classes & CLASS_SET) && PyAnySet_Check(value))
           || ((classes & CLASS_DICT) && PyDict_Check(value))
           || ((classes & CLASS_RECORD)
               && PyObject_TypeCheck(value, (PyTypeObject *)component.Record))
           || ((classes & CLASS_VARIANT)
               && PyObject_TypeCheck(value, (PyTypeObject *)component.Variant))
           || ((classes & CLASS_RESOURCE)
               && (PyObject_TypeCheck(value, component.ResourceAny_base)
                   || PyObject_TypeCheck(value, component.ResourceHost_base)));
}

/* Whether the value could be lowered to one of the classes though lifting gives another. */
static bool
value_could_be(PyObject *value, uint16_t classes)
{
    if (value == Py_None || PyObject_TypeCheck(value, (PyTypeObject *)component.Variant)) {
        return false;
    }
    bool text = PyUnicode_Check(value);
    if ((classes & CLASS_FLOAT) && !PyBool_Check(value) && !text
        && (PyIndex_Check(value)
            || PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__float__"))) {
        return true;
    }
    if ((classes & CLASS_INT) && PyIndex_Check(value)) {
        return true;
    }
    if ((classes & CLASS_BYTES) && !text && (PyObject_CheckBuffer(value) || PyList_Check(value))) {
        return true;
    }
    if ((classes & CLASS_LIST) && !text && !PyBytes_Check(value) && !PyDict_Check(value)
        && PySequence_Check(value)) {
        return true;
    }
    if ((classes & CLASS_TUPLE) && PyList_Check(value)) {
        return true;
    }
    if ((classes & CLASS_SET) && (PyList_Check(value) || PyTuple_Check(value))) {
        return true;
    }
    if ((classes & CLASS_RESOURCE) && !text && !PyLong_Check(value) && !PyFloat_Check(value)) {
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
