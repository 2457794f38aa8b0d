/* --- names ----------------------------------------------------------------------------------- */

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
    PyObject *items = PySequence_Tuple(value);
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
