/* What the core was handed by the package: the classes that it makes instances of.
 *
 * There is one record for the process, on purpose: the module refuses to be imported by a second
 * interpreter (cffi does too). `setup()` and `setup_component()` write it once, at import;
 * afterwards it is only read. It owns what it holds, and lets nothing go before Python ends. */

static struct {
    /* Made by the core: bases of the public classes. */
    PyTypeObject *Handle;
    PyTypeObject *Owner;
    PyTypeObject *Engine_base;
    PyTypeObject *Store_base;
    PyTypeObject *Caller_base;
    PyTypeObject *Item_base;
    PyTypeObject *Func_base;
    PyTypeObject *BoundFunc;
    PyTypeObject *BoundAsyncFunc;
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
    PyTypeObject *AsyncCall;
    PyTypeObject *OutputSink;
    PyTypeObject *Forwarding;
    PyTypeObject *Wasi;
    PyTypeObject *Door;
    PyTypeObject *MemoryBuffer;
    PyTypeObject *MemoryPin;
    PyTypeObject *SnapshotImage;

    /* Handed over by the package: the public classes, of which the core makes instances. */
    PyObject *Engine;
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
    PyObject *TimeoutTrap;
    PyObject *InterruptTrap;
    PyObject *OutputLimitTrap;
    PyObject *WasiTrap;
    PyObject *WasmException;
    PyObject *ArgumentTypeError;
    PyObject *explain_link_error;
    PyObject *check_inherited;
    PyObject *is_coroutine_function;
    PyObject *breathe; /* a function that does nothing */
    PyObject *turn;
    PyObject *wake;
    PyObject *in_thread;
    PyObject *in_scope;
    PyObject *tell_soon;
    PyObject *end_later;
    PyObject *wait;

    PyObject *signal;    /* _signal.signal */
    PyObject *coroutine; /* types.CoroutineType */
    PyObject *generator; /* types.GeneratorType */

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
} state;

/* The same for wasmtime.component, which hands its classes over when it is imported. */
static struct {
    PyTypeObject *Program;
    PyTypeObject *Bulk;
    PyTypeObject *Func_base;
    PyTypeObject *HostFunc;
    PyTypeObject *Instance_base;
    PyTypeObject *ResourceAny_base;
    PyTypeObject *ResourceHost_base;

    /* Handed over by the package. */
    PyObject *Func;
    PyObject *Instance;
    PyObject *Record;
    PyObject *Variant;
    PyObject *Ok;
    PyObject *Err;
    PyObject *ResourceAny;
    PyObject *ResourceHost;
    PyObject *UnsupportedTypeError;
    PyObject *refine;
    PyObject *lift_resource;
    PyObject *lower_resource;

    PyObject *str_tag;
    PyObject *str_payload;
    PyObject *str_ok;
    PyObject *str_err;
    PyObject *str_none;
    PyObject *str_some;
    PyObject *str_value;
} component;

/* Where something goes that has a name; tables of these end with NULL. */
typedef struct {
    const char *name;
    PyObject **slot;
} NamedSlot;

/* Classes that the package must hand over, by name. */
static const NamedSlot state_classes[] = {
    {"Engine", &state.Engine},
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
    {"TimeoutTrap", &state.TimeoutTrap},
    {"InterruptTrap", &state.InterruptTrap},
    {"OutputLimitTrap", &state.OutputLimitTrap},
    {"WasiTrap", &state.WasiTrap},
    {"WasmException", &state.WasmException},
    {"ArgumentTypeError", &state.ArgumentTypeError},
    {"explain_link_error", &state.explain_link_error},
    {"check_inherited", &state.check_inherited},
    {"is_coroutine_function", &state.is_coroutine_function},
    {"breathe", &state.breathe},
    {"turn", &state.turn},
    {"wake", &state.wake},
    {"in_thread", &state.in_thread},
    {"in_scope", &state.in_scope},
    {"tell_soon", &state.tell_soon},
    {"end_later", &state.end_later},
    {"wait", &state.wait},
    {NULL, NULL},
};

static const NamedSlot component_classes[] = {
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

/* Interned names. */
static const NamedSlot interned_names[] = {
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
    {"tag", &component.str_tag},
    {"payload", &component.str_payload},
    {"ok", &component.str_ok},
    {"err", &component.str_err},
    {"none", &component.str_none},
    {"some", &component.str_some},
    {"value", &component.str_value},
    {NULL, NULL},
};

/* Python was initialized. */
static bool
state_begin(void)
{
    PyObject *module = PyImport_ImportModule("_signal");
    state.signal = module != NULL ? PyObject_GetAttrString(module, "signal") : NULL;
    Py_XDECREF(module);
    module = PyImport_ImportModule("types");
    state.coroutine = module != NULL ? PyObject_GetAttrString(module, "CoroutineType") : NULL;
    state.generator = module != NULL ? PyObject_GetAttrString(module, "GeneratorType") : NULL;
    Py_XDECREF(module);
    if (state.signal == NULL || state.coroutine == NULL || state.generator == NULL) {
        return false;
    }
    for (const NamedSlot *entry = interned_names; entry->name != NULL; entry++) {
        *entry->slot = PyUnicode_InternFromString(entry->name);
        if (*entry->slot == NULL) {
            return false;
        }
    }
    state.empty_tuple = PyTuple_New(0);
    return state.empty_tuple != NULL;
}

/* Fill the slots of `table` from the keyword arguments, which must be exactly those. */
static bool
state_take(const NamedSlot *table, const char *function, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_Size(args) != 0) {
        PyErr_Format(PyExc_TypeError, "%s() takes keyword arguments only", function);
        return false;
    }
    Py_ssize_t wanted = 0;
    for (const NamedSlot *entry = table; entry->name != NULL; entry++, wanted++) {
        if (kwargs == NULL || PyDict_GetItemString(kwargs, entry->name) == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() lacks the argument %s", function, entry->name);
            return false;
        }
    }
    if (PyDict_Size(kwargs) != wanted) {
        PyErr_Format(PyExc_TypeError, "%s() was given classes that the core does not know",
                     function);
        return false;
    }
    for (const NamedSlot *entry = table; entry->name != NULL; entry++) {
        Py_XSETREF(*entry->slot, Py_NewRef(PyDict_GetItemString(kwargs, entry->name)));
    }
    return true;
}

static PyObject *
core_setup(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    return state_take(state_classes, "setup", args, kwargs) ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
core_setup_component(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    if (!state_take(component_classes, "setup_component", args, kwargs)) {
        return NULL;
    }
#if PY_VERSION_HEX < 0x030C0000
    /* CPython before 3.12 does not let Python subclasses inherit the fast call protocol. */
    ((PyTypeObject *)component.Func)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
#endif
    Py_RETURN_NONE;
}
