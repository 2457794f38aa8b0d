/* The one record of what the core was handed by the package: its classes.
 *
 * Process-wide on purpose: the module refuses to be imported by a second interpreter
 * (cffi does too), so there is never more than one. It is written once, at import, by
 * `setup()`, and only read afterwards, until Python is finalized. */

typedef struct {
    /* Made by the core: bases of the public classes. */
    PyTypeObject *Handle;
    PyTypeObject *Owner;
    PyTypeObject *Engine_base;
    PyTypeObject *Store_base;
    PyTypeObject *Caller_base;
    PyTypeObject *Item_base;
    PyTypeObject *Func_base;
    PyTypeObject *BoundFunc;
    PyTypeObject *Memory_base;
    PyTypeObject *Table_base;
    PyTypeObject *Global_base;
    PyTypeObject *Tag_base;
    PyTypeObject *Instance_base;
    PyTypeObject *Exports_base;
    PyTypeObject *Linker_base;
    PyTypeObject *InstancePre_base;
    PyTypeObject *HostFunc;
    PyTypeObject *Reference_base;
    PyTypeObject *Aggregate_base;
    PyTypeObject *OutputSink;
    PyTypeObject *Door;
    PyTypeObject *MemoryBuffer;
    PyTypeObject *MemoryPin;

    /* Handed over by the package: the public classes, of which the core makes instances. */
    PyObject *Store;
    PyObject *Caller;
    PyObject *StoreContext;
    PyObject *Func;
    PyObject *Memory;
    PyObject *SharedMemory;
    PyObject *Table;
    PyObject *Global;
    PyObject *Tag;
    PyObject *Instance;
    PyObject *InstanceExports;
    PyObject *Val;
    PyObject *AnyRef;
    PyObject *StructRef;
    PyObject *ArrayRef;
    PyObject *ExnRef;
    PyObject *ExternRef;
    PyObject *WasmtimeError;
    PyObject *ExitTrap;
    PyObject *Trap;
    PyObject *WasmException;
    PyObject *ArgumentTypeError;
    PyObject *explain_link_error;
    PyObject *check_inherited;

    PyObject *signal; /* _signal.signal */

    /* Interned names. */
    PyObject *str_handle;
    PyObject *str_code;
    PyObject *str_interrupted;
    PyObject *str_kind;
    PyObject *str_val;
    PyObject *str_store;
    PyObject *str_wasm_backtrace;
    PyObject *str_add_note;
    PyObject *str_exnref;
    PyObject *str_exnref_in;
    PyObject *str_tag;
    PyObject *str_values;
    PyObject *empty_tuple;
} State;

static State state;

/* Classes that the package must hand over, by name. */
static const struct {
    const char *name;
    PyObject **slot;
} state_classes[] = {
    {"Store", &state.Store},
    {"Caller", &state.Caller},
    {"StoreContext", &state.StoreContext},
    {"Func", &state.Func},
    {"Memory", &state.Memory},
    {"SharedMemory", &state.SharedMemory},
    {"Table", &state.Table},
    {"Global", &state.Global},
    {"Tag", &state.Tag},
    {"Instance", &state.Instance},
    {"InstanceExports", &state.InstanceExports},
    {"Val", &state.Val},
    {"AnyRef", &state.AnyRef},
    {"StructRef", &state.StructRef},
    {"ArrayRef", &state.ArrayRef},
    {"ExnRef", &state.ExnRef},
    {"ExternRef", &state.ExternRef},
    {"WasmtimeError", &state.WasmtimeError},
    {"ExitTrap", &state.ExitTrap},
    {"Trap", &state.Trap},
    {"WasmException", &state.WasmException},
    {"ArgumentTypeError", &state.ArgumentTypeError},
    {"explain_link_error", &state.explain_link_error},
    {"check_inherited", &state.check_inherited},
    {NULL, NULL},
};

static const struct {
    const char *text;
    PyObject **slot;
} state_names[] = {
    {"_handle", &state.str_handle},
    {"code", &state.str_code},
    {"_interrupted", &state.str_interrupted},
    {"_kind", &state.str_kind},
    {"_val", &state.str_val},
    {"store", &state.str_store},
    {"wasm_backtrace", &state.str_wasm_backtrace},
    {"add_note", &state.str_add_note},
    {"_exnref", &state.str_exnref},
    {"_exnref_in", &state.str_exnref_in},
    {"tag", &state.str_tag},
    {"values", &state.str_values},
    {NULL, NULL},
};

static bool
state_begin(void)
{
    PyObject *module = PyImport_ImportModule("_signal");
    state.signal = module != NULL ? PyObject_GetAttrString(module, "signal") : NULL;
    Py_XDECREF(module);
    if (state.signal == NULL) {
        return false;
    }
    for (int i = 0; state_names[i].text != NULL; i++) {
        *state_names[i].slot = PyUnicode_InternFromString(state_names[i].text);
        if (*state_names[i].slot == NULL) {
            return false;
        }
    }
    state.empty_tuple = PyTuple_New(0);
    return state.empty_tuple != NULL;
}

PyDoc_STRVAR(setup_doc,
             "setup($module, /, **classes)\n--\n\n"
             "Hand over the public classes that the core makes instances of. Called once.");

static PyObject *
core_setup(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    if (PyTuple_Size(args) != 0) {
        PyErr_SetString(PyExc_TypeError, "setup() takes keyword arguments only");
        return NULL;
    }
    Py_ssize_t wanted = 0;
    for (; state_classes[wanted].name != NULL; wanted++) {
        PyObject *value = kwargs ? PyDict_GetItemString(kwargs, state_classes[wanted].name) : NULL;
        if (value == NULL) {
            PyErr_Format(PyExc_TypeError, "setup() lacks the argument %s",
                         state_classes[wanted].name);
            return NULL;
        }
    }
    if (PyDict_Size(kwargs) != wanted) {
        PyErr_SetString(PyExc_TypeError, "setup() was given classes that the core does not know");
        return NULL;
    }
    for (int i = 0; state_classes[i].name != NULL; i++) {
        PyObject *value = PyDict_GetItemString(kwargs, state_classes[i].name);
        Py_XSETREF(*state_classes[i].slot, Py_NewRef(value));
    }
    Py_RETURN_NONE;
}
