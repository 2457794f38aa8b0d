/* --- strings --------------------------------------------------------------------------------- */

static bool
lower_string(Lowering *self, PyObject *value, wasmtime_component_val_t *out,
             const ComponentPath *path)
{
    if (!PyUnicode_Check(value)) {
        return refuse_component_type(path, "str", value);
    }
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (UNLIKELY(utf8 == NULL)) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            return refuse_component(path, PyExc_ValueError,
                                    "the text holds a lone surrogate, which is not valid Unicode");
        }
        return false;
    }
    out->kind = WASMTIME_COMPONENT_STRING;
    out->of.string.size = (size_t)size;
    out->of.string.data = (void *)utf8;
    return arena_keep(self, Py_NewRef(value));
}

static bool
lower_char(PyObject *value, wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyUnicode_Check(value) || PyUnicode_GetLength(value) != 1) {
        return refuse_component(path, PyExc_TypeError,
                                "expected char (a str of one character), got %R", value);
    }
    Py_UCS4 character = PyUnicode_ReadChar(value, 0);
    if (character >= 0xD800 && character <= 0xDFFF) {
        return refuse_component(path, PyExc_ValueError, "a lone surrogate is not a char");
    }
    out->kind = WASMTIME_COMPONENT_CHAR;
    out->of.character = character;
    return true;
}

static bool lower_resource(Lowering *self, const ComponentNode *node, PyObject *value,
                           wasmtime_component_val_t *out, const ComponentPath *path);
