/* --- set-up ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    PyObject **slot;
} component_classes[] = {
    {"Func", &component.Func},
    {"Instance", &component.Instance},
    {"Record", &component.Record},
    {"Variant", &component.Variant},
    {"Ok", &component.Ok},
    {"Err", &component.Err},
    {"ResourceAny", &component.ResourceAny},
    {"ResourceHost", &component.ResourceHost},
    {"UnsupportedTypeError", &component.UnsupportedTypeError},
    {"refine", &component.refine},
    {"lift_resource", &component.lift_resource},
    {"lower_resource", &component.lower_resource},
    {NULL, NULL},
};

static const struct {
    const char *text;
    PyObject **slot;
} component_names[] = {
    {"tag", &component.str_tag},     {"payload", &component.str_payload},
    {"ok", &component.str_ok},       {"err", &component.str_err},
    {"none", &component.str_none},   {"some", &component.str_some},
    {"value", &component.str_value}, {NULL, NULL},
};

static PyObject *
core_setup_component(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    if (PyTuple_Size(args) != 0) {
        PyErr_SetString(PyExc_TypeError, "setup_component() takes keyword arguments only");
        return NULL;
    }
    for (int i = 0; component_classes[i].name != NULL; i++) {
        PyObject *value = kwargs ? PyDict_GetItemString(kwargs, component_classes[i].name) : NULL;
        if (value == NULL) {
            PyErr_Format(PyExc_TypeError, "setup_component() lacks the argument %s",
                         component_classes[i].name);
            return NULL;
        }
        Py_XSETREF(*component_classes[i].slot, Py_NewRef(value));
    }
#if PY_VERSION_HEX < 0x030C0000
    /* CPython before 3.12 does not let Python subclasses inherit the fast call protocol. */
    ((PyTypeObject *)component.Func)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
#endif
    Py_RETURN_NONE;
}

/* component_instantiate(linker, store, component): the Instance. */
static wasmtime_error_t *
link_component(void *linker, StoreObject *store, void *compiled,
               wasmtime_component_instance_t *instance, bool waits)
{
    if (!waits) {
        return wasmtime_component_linker_instantiate(linker, store->context, compiled, instance);
    }
    wasmtime_error_t *error = NULL;
    future_wait(store, wasmtime_component_linker_instantiate_async(linker, store->context, compiled,
                                                                   instance, &error));
    return error;
}

static PyObject *
core_component_instantiate(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object, *linker_object, *compiled;
    int waits;
    if (!PyArg_ParseTuple(args, "O!OOp:component_instantiate", state.Linker_base, &linker_object,
                          &object, &compiled, &waits)) {
        return NULL;
    }
    LinkerObject *linker = (LinkerObject *)linker_object;
    StoreObject *store = storelike(object);
    if (store == NULL) {
        return NULL;
    }
    HandleObject *handle = owner_argument(compiled, KIND_COMPONENT, "component", "Component");
    if (handle == NULL) {
        return NULL;
    }
    HandleObject *native = owner_use(&linker->owner);
    PyObject *result = NULL;
    if (native != NULL && check_engine(store, linker_object, "linker")
        && check_engine(store, compiled, "component") && linker_read_begin(linker)) {
        if (store_enter(store)) {
            Py_INCREF(store);
            if (store_keep_definitions(store, linker->definitions)
                && (!waits || fiber_check((EngineObject *)store->owner.engine))
                && native_check_stack(store)) {
                wasmtime_component_instance_t instance;
                NativeCall call;
                native_begin(store, &call, false);
                wasmtime_error_t *error =
                    link_component(native->pointer, store, handle->pointer, &instance, waits != 0);
                native_end(store, &call);
                if (component_outcome(store, &call, error)) {
                    result = item_wrap(component.Instance, store, &instance, sizeof(instance));
                }
            }
            store_leave(store);
            Py_DECREF(store);
        }
        linker_read_end(linker);
    }
    Py_XDECREF(native);
    Py_DECREF(handle);
    return result;
}

static PyMethodDef component_functions[] = {
    {"component_instantiate", core_component_instantiate, METH_VARARGS,
     "component_instantiate($module, linker, store, component, waits, /)\n--\n\n"
     "Instantiate with what the linker defines."},
    {"setup_component", (PyCFunction)(void (*)(void))core_setup_component,
     METH_VARARGS | METH_KEYWORDS,
     "setup_component($module, /, **classes)\n--\n\nHand over the classes of wasmtime.component."},
    {NULL, NULL, 0, NULL},
};

static const struct {
    const char *name;
    PyType_Spec *spec;
    PyTypeObject **slot;
    PyTypeObject **base;
} component_types[] = {
    {"ComponentProgram", &program_spec, &component.Program, NULL},
    {"ComponentFunc", &component_func_spec, &component.Func_base, &state.Item_base},
    {"ComponentInstance", &component_instance_spec, &component.Instance_base, &state.Item_base},
    {"ComponentHostFunc", &component_hostfunc_spec, &component.HostFunc, NULL},
    {"ResourceAny", &resource_any_spec, &component.ResourceAny_base, NULL},
    {"ResourceHost", &resource_host_spec, &component.ResourceHost_base, NULL},
};

/* Add the types and functions of this file to the module; from core_exec(). */
static int
component_exec(PyObject *module)
{
    for (int i = 0; component_names[i].text != NULL; i++) {
        if (*component_names[i].slot == NULL
            && (*component_names[i].slot = PyUnicode_InternFromString(component_names[i].text))
                   == NULL) {
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof(component_types) / sizeof(component_types[0]); i++) {
        if (*component_types[i].slot == NULL) {
            PyObject *bases =
                component_types[i].base != NULL ? PyTuple_Pack(1, *component_types[i].base) : NULL;
            if (component_types[i].base != NULL && bases == NULL) {
                return -1;
            }
            *component_types[i].slot =
                (PyTypeObject *)PyType_FromSpecWithBases(component_types[i].spec, bases);
            Py_XDECREF(bases);
            if (*component_types[i].slot == NULL) {
                return -1;
            }
        }
        if (PyModule_AddObject(module, component_types[i].name, Py_NewRef(*component_types[i].slot))
            < 0) {
            return -1;
        }
    }
    return PyModule_AddFunctions(module, component_functions);
}
