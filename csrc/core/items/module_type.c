/* What modules import and export, read in one go: names, and the types of functions as bytes.
 *
 * The names of the exports are kept by the module's Handle; the rest is made anew each time. */

/* None where there is no name: what an import has at most, by the type of the function. */
static PyObject *
read_name(const wasm_name_t *name)
{
    if (name == NULL) {
        return Py_NewRef(Py_None);
    }
    return PyUnicode_DecodeUTF8((const char *)name->data, (Py_ssize_t)name->size, NULL);
}

/* The names of a module's exports, in its order. They are read once for each native module; the
 * Handle keeps what is returned. */
static PyObject *
module_export_names(HandleObject *module)
{
    PyObject *names = published(module->export_names);
    if (names != NULL) {
        return names;
    }
    wasm_exporttype_vec_t exports;
    wasmtime_module_exports(module->pointer, &exports);
    names = PyTuple_New((Py_ssize_t)exports.size);
    for (size_t i = 0; names != NULL && i < exports.size; i++) {
        PyObject *name = read_name(wasm_exporttype_name(exports.data[i]));
        if (name == NULL) {
            Py_CLEAR(names);
            break;
        }
        PyTuple_SetItem(names, (Py_ssize_t)i, name);
    }
    wasm_exporttype_vec_delete(&exports);
    if (names == NULL) {
        return NULL;
    }
    PyObject *superfluous = NULL;
    LOCK(module);
    if (module->export_names == NULL) {
        publish(module->export_names, names);
    }
    else { /* Another thread read them first. */
        superfluous = names;
        names = module->export_names;
    }
    UNLOCK();
    Py_XDECREF(superfluous);
    return names;
}

#define VALTYPE_BYTES 3

/* Three bytes for each type: its kind and, of a reference, the kind of heap type and whether it may
 * be null. None if there is a concrete type, which cannot be told in bytes. */
static PyObject *
describe_valtypes(const wasm_valtype_vec_t *types)
{
    PyObject *described = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)types->size * VALTYPE_BYTES);
    if (described == NULL) {
        return NULL;
    }
    uint8_t *out = (uint8_t *)PyBytes_AsString(described);
    bool concrete = false;
    for (size_t i = 0; i < types->size && !concrete; i++, out += VALTYPE_BYTES) {
        wasmtime_valtype_t type;
        wasmtime_valtype_new(types->data[i], &type);
        out[0] = type.kind;
        out[1] = out[2] = 0;
        if (type.kind == WASMTIME_VALTYPE_KIND_REF) {
            out[1] = type.reftype.heaptype.kind;
            out[2] = type.reftype.nullable;
            switch (type.reftype.heaptype.kind) {
            case WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC:
            case WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY:
            case WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT:
            case WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN:
                concrete = true;
            }
        }
        wasmtime_valtype_delete(&type);
    }
    if (concrete) {
        Py_DECREF(described);
        return Py_NewRef(Py_None);
    }
    return described;
}

/* (params, results) of a function type as bytes; None for other types and for concrete ones. */
static PyObject *
describe_externtype(wasm_externtype_t *type)
{
    if (wasm_externtype_kind(type) != WASM_EXTERN_FUNC) {
        return Py_NewRef(Py_None);
    }
    wasm_functype_t *function = wasm_externtype_as_functype(type);
    PyObject *params = describe_valtypes(wasm_functype_params(function));
    PyObject *results = params ? describe_valtypes(wasm_functype_results(function)) : NULL;
    PyObject *described = NULL;
    if (results != NULL) {
        described = params == Py_None || results == Py_None ? Py_NewRef(Py_None)
                                                            : PyTuple_Pack(2, params, results);
    }
    Py_XDECREF(params);
    Py_XDECREF(results);
    return described;
}

/* A tuple of `count` references that are given away, or NULL where one of them is NULL. */
static PyObject *
pack_given(PyObject **given, Py_ssize_t count)
{
    bool whole = true;
    for (Py_ssize_t i = 0; i < count; i++) {
        whole = whole && given[i] != NULL;
    }
    PyObject *packed = whole ? PyTuple_New(count) : NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (packed != NULL) {
            PyTuple_SetItem(packed, i, given[i]);
        }
        else {
            Py_XDECREF(given[i]);
        }
    }
    return packed;
}

/* describe_exports(address of a wasm_exporttype_vec_t) -> list of (name, described type) */
static PyObject *
core_describe_exports(PyObject *Py_UNUSED(module), PyObject *address)
{
    const wasm_exporttype_vec_t *exports = PyLong_AsVoidPtr(address);
    if (exports == NULL) {
        return NULL;
    }
    PyObject *list = PyList_New((Py_ssize_t)exports->size);
    for (size_t i = 0; list != NULL && i < exports->size; i++) {
        PyObject *parts[] = {
            read_name(wasm_exporttype_name(exports->data[i])),
            describe_externtype(wasm_exporttype_type(exports->data[i])),
        };
        PyObject *entry = pack_given(parts, 2);
        if (entry == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SetItem(list, (Py_ssize_t)i, entry);
    }
    return list;
}

/* describe_imports(address of a wasm_importtype_vec_t) -> list of (module, name, described type) */
static PyObject *
core_describe_imports(PyObject *Py_UNUSED(module), PyObject *address)
{
    const wasm_importtype_vec_t *imports = PyLong_AsVoidPtr(address);
    if (imports == NULL) {
        return NULL;
    }
    PyObject *list = PyList_New((Py_ssize_t)imports->size);
    for (size_t i = 0; list != NULL && i < imports->size; i++) {
        PyObject *parts[] = {
            read_name(wasm_importtype_module(imports->data[i])),
            read_name(wasm_importtype_name(imports->data[i])),
            describe_externtype(wasm_importtype_type(imports->data[i])),
        };
        PyObject *entry = pack_given(parts, 3);
        if (entry == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SetItem(list, (Py_ssize_t)i, entry);
    }
    return list;
}
