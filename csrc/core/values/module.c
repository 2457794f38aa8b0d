/* Values for the Python half: what constructors lower, and what cffi hands back. */

/* lower(store, value, kind, address, role): for constructors in Python, inside the door. */
static PyObject *
core_lower(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *value;
    unsigned long long type_address, address;
    const char *role;
    if (!PyArg_ParseTuple(args, "OOKKs:lower", &object, &value, &type_address, &address, &role)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    uint8_t kind = valtype_kind((const wasm_valtype_t *)(uintptr_t)type_address);
    bool fine =
        lower_value(store, value, kind, (wasmtime_val_t *)(uintptr_t)address, (Place){role, 0});
    store_leave(store);
    if (!fine) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_lift_value(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "OK:lift_value", &object, &address)) {
        return NULL;
    }
    StoreObject *store = storelike(object);
    if (store == NULL || !store_enter(store)) {
        return NULL;
    }
    PyObject *result = lift_value(store, (const wasmtime_val_t *)(uintptr_t)address, true);
    store_leave(store);
    return result;
}
