/* Exceptions of WebAssembly: taken out of a store, and described for error.c.
 *
 * One that ends a call lies in the store until exnref_take() makes a Reference of it, which owns
 * its root. The Python exception keeps that Reference, the tag and the values. */

static wasm_trap_t *
take_inside(void *Py_UNUSED(env), wasmtime_caller_t *caller, wasmtime_val_raw_t *Py_UNUSED(slots),
            size_t Py_UNUSED(count))
{
    wasmtime_context_t *context = wasmtime_caller_context(caller);
    StoreObject *store = wasmtime_context_get_data(context);
    if (!wasmtime_context_take_exception(context, store->taken)) {
        memset(store->taken, 0, sizeof(*store->taken));
    }
    return NULL;
}

/* Take the exception that a call ended with out of the store; NULL if there is none, or no memory
 * for it, which is treated in the same way here.
 *
 * The library leaves a second root to the exception behind, which goes when the innermost call
 * does, and never outside of all calls. So it is asked from a host function made for that. */
static PyObject *
exnref_take(StoreObject *store)
{
    if (!wasmtime_context_has_exception(store->context)) {
        return NULL;
    }
    if (store->taker.store_id == 0) {
        wasm_valtype_vec_t params, results;
        wasm_valtype_vec_new_empty(&params);
        wasm_valtype_vec_new_empty(&results);
        wasm_functype_t *type = wasm_functype_new(&params, &results);
        wasmtime_func_new_unchecked(store->context, type, take_inside, NULL, NULL, &store->taker);
        wasm_functype_delete(type);
    }
    wasmtime_val_t value = {.kind = VALKIND_EXNREF};
    wasmtime_val_raw_t slot;
    wasm_trap_t *trap = NULL;
    store->taken = &value.of.exnref;
    wasmtime_error_t *error =
        wasmtime_func_call_unchecked(store->context, &store->taker, &slot, 0, &trap);
    store->taken = NULL;
    if (error != NULL || trap != NULL) { /* no stack for a call, say */
        if (error != NULL) {
            wasmtime_error_delete(error);
        }
        if (trap != NULL) {
            wasm_trap_delete(trap);
        }
        if (!wasmtime_context_take_exception(store->context, &value.of.exnref)) {
            return NULL;
        }
    }
    if (value.of.exnref.store_id == 0) {
        return NULL;
    }
    PyObject *exnref = reference_new(store, state.ExnRef, &value, SHAPE_EXN);
    if (exnref == NULL) {
        PyErr_Clear();
    }
    return exnref;
}

/* The values that an exception carries, as a tuple; inside the store. */
static PyObject *
exnref_values(ReferenceObject *self, StoreObject *store)
{
    size_t count;
    if (!aggregate_length(self, store, &count)) {
        return NULL;
    }
    PyObject *values = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; values != NULL && i < count; i++) {
        PyObject *value = aggregate_read(self, store, i);
        if (value == NULL) {
            Py_CLEAR(values);
        }
        else {
            PyTuple_SetItem(values, (Py_ssize_t)i, value);
        }
    }
    return values;
}

static PyObject *
exnref_tag(ReferenceObject *self, StoreObject *store)
{
    wasmtime_extern_t item = {.kind = WASMTIME_EXTERN_TAG};
    wasmtime_error_t *error =
        wasmtime_exnref_tag(store->context, &self->value.of.exnref, &item.of.tag);
    return error != NULL ? raise_error(error) : wrap_extern(store, &item);
}

/* Say on a Python exception what it stands for, so that it can be read when the store is gone. */
static bool
exnref_describe(StoreObject *store, PyObject *exnref, PyObject *exception)
{
    PyObject *values = exnref_values((ReferenceObject *)exnref, store);
    PyObject *tag = values == NULL ? NULL : exnref_tag((ReferenceObject *)exnref, store);
    bool fine = tag != NULL && PyObject_SetAttr(exception, state.str_exnref, exnref) == 0
                && PyObject_SetAttr(exception, state.str_tag, tag) == 0
                && PyObject_SetAttr(exception, state.str_values, values) == 0;
    Py_XDECREF(tag);
    Py_XDECREF(values);
    return fine;
}

/* describe_exception(exnref, exception), in the store that the reference knows. */
static PyObject *
core_describe_exception(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *exnref, *exception;
    if (!PyArg_ParseTuple(args, "O!O:describe_exception", state.Reference_base, &exnref,
                          &exception)) {
        return NULL;
    }
    StoreObject *store = reference_enter_home((ReferenceObject *)exnref);
    if (store == NULL) {
        return NULL;
    }
    bool fine = exnref_in(store, exnref) != NULL && exnref_describe(store, exnref, exception);
    home_leave(store);
    return fine ? Py_NewRef(Py_None) : NULL;
}
