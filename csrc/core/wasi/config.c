/* The library's WASI for a store: arguments and environment, beside what is ours.
 *
 * Each run of a program makes one. That is done here, and not through cffi, which would give the
 * GIL away, and wait for it, for each of these short functions.
 *
 * Ownership: a configuration belongs to who made it, until a store takes it. */

/* Pointers into a tuple of bytes, which the caller frees; NULL with an exception. */
static char **
config_strings(PyObject *strings, Py_ssize_t *count)
{
    if (!PyTuple_Check(strings)) {
        PyErr_SetString(PyExc_TypeError, "a tuple of bytes is wanted");
        return NULL;
    }
    *count = PyTuple_Size(strings);
    char **pointers = PyMem_RawMalloc((size_t)(*count ? *count : 1) * sizeof(char *));
    if (pointers == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < *count; i++) {
        pointers[i] = PyBytes_AsString(PyTuple_GetItem(strings, i));
        if (pointers[i] == NULL) {
            PyMem_RawFree(pointers);
            return NULL;
        }
    }
    return pointers;
}

static bool
config_refuse(const char *what)
{
    PyErr_Format(state.WasmtimeError, "failed to configure %s", what);
    return false;
}

static bool
config_set_argv(wasi_config_t *config, PyObject *argv)
{
    Py_ssize_t count;
    char **pointers = config_strings(argv, &count);
    if (pointers == NULL) {
        return false;
    }
    bool fine = count == 0 || wasi_config_set_argv(config, (size_t)count, pointers);
    PyMem_RawFree(pointers);
    return fine || config_refuse("argv");
}

static bool
config_set_env(wasi_config_t *config, PyObject *names, PyObject *values)
{
    Py_ssize_t count, other;
    char **keys = config_strings(names, &count);
    char **texts = keys != NULL ? config_strings(values, &other) : NULL;
    bool fine = texts != NULL;
    if (fine) {
        fine = count == other
               && (count == 0 || wasi_config_set_env(config, (size_t)count, keys, texts));
        fine = fine || config_refuse("environment");
    }
    PyMem_RawFree(texts);
    PyMem_RawFree(keys);
    return fine;
}

PyDoc_STRVAR(new_wasi_config_doc,
             "new_wasi_config($module, argv, names, values, inherited, /)\n--\n\n"
             "The address of a native configuration: tuples of bytes, and a bit for each stream.");

static PyObject *
core_new_wasi_config(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *argv, *names, *values;
    int inherited;
    if (!PyArg_ParseTuple(args, "OOOi:new_wasi_config", &argv, &names, &values, &inherited)) {
        return NULL;
    }
    static void (*const inherit[])(wasi_config_t *) = {
        wasi_config_inherit_stdin, wasi_config_inherit_stdout, wasi_config_inherit_stderr};
    wasi_config_t *config = wasi_config_new();
    if (!config_set_argv(config, argv) || !config_set_env(config, names, values)) {
        wasi_config_delete(config);
        return NULL;
    }
    for (int stream = 0; stream < 3; stream++) {
        if (inherited & (1 << stream)) {
            inherit[stream](config);
        }
    }
    PyObject *address = PyLong_FromVoidPtr(config);
    if (address == NULL) {
        wasi_config_delete(config);
    }
    return address;
}

/* _take_wasi_config(address): what new_wasi_config() made serves the store from now on. It is taken
 * in any case. */
static PyObject *
store_take_wasi_config(StoreObject *self, PyObject *address)
{
    wasi_config_t *config = PyLong_AsVoidPtr(address);
    if (config == NULL) {
        return NULL;
    }
    if (!store_enter(self)) {
        wasi_config_delete(config);
        return NULL;
    }
    wasmtime_error_t *error = wasmtime_context_set_wasi(self->context, config);
    store_leave(self);
    if (error != NULL) {
        return raise_error(error);
    }
    Py_RETURN_NONE;
}
