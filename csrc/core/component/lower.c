/* Lower any value: a program runs, from one of its nodes down. What is lowered is the arena's. */

static bool
lower_component(Lowering *self, uint32_t index, PyObject *value, wasmtime_component_val_t *out,
                const ComponentPath *path)
{
    const ComponentNode *node = &self->program->nodes[index];
    switch (node->kind) {
    case WIT_BOOL:
        if (!PyBool_Check(value)) {
            return refuse_component_type(path, "bool", value);
        }
        out->kind = WASMTIME_COMPONENT_BOOL;
        out->of.boolean = value == Py_True;
        return true;
    case WIT_S8:
    case WIT_S16:
    case WIT_S32:
    case WIT_S64:
    case WIT_U8:
    case WIT_U16:
    case WIT_U32:
    case WIT_U64:
        return lower_integer(path, node->kind, value, out);
    case WIT_F32:
    case WIT_F64:
        return lower_float(path, node->kind, value, out);
    case WIT_CHAR:
        return lower_char(value, out, path);
    case WIT_STRING:
        return lower_string(self, value, out, path);
    case WIT_LIST:
    case WIT_FIXED_LIST:
        return lower_list(self, node, value, out, path);
    case WIT_RECORD:
        return lower_record(self, node, value, out, path);
    case WIT_TUPLE:
        return lower_tuple(self, node, value, out, path);
    case WIT_VARIANT:
    case WIT_OPTION:
    case WIT_RESULT:
        return lower_cases(self, node, value, out, path);
    case WIT_ENUM:
        return lower_enum(self, node, value, out, path);
    case WIT_FLAGS:
        return lower_flags(self, node, value, out, path);
    case WIT_MAP:
        return lower_map(self, node, value, out, path);
    case WIT_OWN:
    case WIT_BORROW:
        return lower_resource(self, node, value, out, path);
    default:
        return refuse_component(path, component.UnsupportedTypeError,
                                "values of type %s are not "
                                "supported",
                                component_kinds[node->kind].name);
    }
}
