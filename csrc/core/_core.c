/* The hot half of the binding, in one translation unit: calls, host calls, values, memory,
 * errors. It imports nothing of the package; `setup()` hands it the public classes.
 *
 * Reading order: common.h, then the files in the order below. */

#include "base/common.h"

/* base: what everything needs */
#include "base/state.c"     /* the classes and names that the package hands over */
#include "base/arguments.c" /* arguments of vectorcalls, numbers in range */

/* runtime: threads, the store and the ways into it and back */
#include "runtime/faults.c"    /* the library's signal handlers beside Python's */
#include "runtime/thread.c"    /* native stack, main thread */
#include "runtime/leaving.c"   /* callbacks while the interpreter ends */
#include "runtime/watchdog.c"  /* signals while the main thread is in WebAssembly */
#include "runtime/greenlets.c" /* which greenlet of a thread may enter */
#include "runtime/handle.c"    /* Handle and Owner: native objects that are freed once */
#include "runtime/fiber.c"     /* Python on the stack of a component that may wait */
#include "runtime/store.h"     /* StoreObject */
#include "runtime/entry.c"     /* who may enter a store */
#include "runtime/call.c"      /* native calls and the callbacks they make */
#include "runtime/epoch.c"     /* the epoch callback */
#include "runtime/store.c"     /* Store: its life and its Python type */
#include "runtime/caller.c"    /* Caller and StoreContext */
#include "runtime/door.c"      /* Door: for Python code that calls through cffi */

/* values: between Python and WebAssembly */
#include "values/signature.c"   /* a function type, compiled once */
#include "values/module_type.c" /* what modules import and export */
#include "values/value.c"       /* lift and lower numbers and references */

/* items: what lives in a store */
#include "items/item.c"          /* Item: a plain struct and its store */
#include "runtime/error.c"       /* errors and traps become exceptions */
#include "runtime/job.c"         /* parsing and compiling on a thread with a large stack */
#include "items/hostfunc.c"      /* Python functions that WebAssembly calls */
#include "items/func.c"          /* calls */
#include "items/memory.c"        /* linear memories */
#include "items/memory_buffer.c" /* the buffer protocol over them */
#include "items/global.c"        /* globals */
#include "items/table.c"         /* tables */
#include "values/module.c"       /* values for constructors in Python */
#include "items/extern.c"        /* wasmtime_extern_t */
#include "items/instance.c"      /* instances */
#include "items/exports.c"       /* their exports by name */
#include "items/linker.c"        /* linkers */
#include "items/instance_pre.c"  /* what a linker has linked already */
#include "runtime/output.c"      /* what WASI programs print */

/* garbage-collected references */
#include "values/reference.c"      /* identity and conversion */
#include "values/layout.c"         /* fields of structs, arrays, exceptions */
#include "values/aggregate.c"      /* reading and writing them */
#include "values/aggregate_make.c" /* making them */
#include "values/exnref.c"         /* exceptions in flight */

/* component: the component model */
#include "component/program.c"  /* a type, compiled to a small program */
#include "component/lowering.c" /* the arena and the errors of lowering */
#include "component/lower_number.c"
#include "component/lower_list.c"
#include "component/lower_record.c"
#include "component/lower_name.c"
#include "component/lower_variant.c"
#include "component/lower_string.c"
#include "component/lower.c"    /* run a program: Python values to the component's */
#include "component/lift.c"     /* and back */
#include "component/outcome.c"  /* what calls come to */
#include "component/resource.c" /* resources: handles that components own or borrow */
#include "component/func.c"     /* calls of exported functions */
#include "component/hostfunc.c" /* Python functions that components call */
#include "component/setup.c"    /* instantiation, and what the module makes of all that */

#if defined(WASMTIME_VERSIONED_SYMBOL) && !defined(_MSC_VER)
/* The library's file name has no version, the name of this function of its debugger support has.
 * Because of this reference the loader refuses a library of any other version, whose structs may
 * have another layout. (MSVC's linker makes the reference itself, as setup.py tells it.) */
extern void WASMTIME_VERSIONED_SYMBOL(void);
__attribute__((used)) static void (*const core_version_anchor)(void) = WASMTIME_VERSIONED_SYMBOL;
#endif
#ifndef WASMTIME_LIBRARY_VERSION
#define WASMTIME_LIBRARY_VERSION "unknown"
#define WASMTIME_LIBRARY_ORIGIN "unknown"
#endif

static PyMethodDef core_functions[] = {
    {"setup", (PyCFunction)(void (*)(void))core_setup, METH_VARARGS | METH_KEYWORDS, setup_doc},
    {"run_job", core_run_job, METH_VARARGS, run_job_doc},
    {"faults", core_faults, METH_O, faults_doc},
    {"leave", core_leave, METH_NOARGS, leave_doc},
    {"error_from_address", core_error_from_address, METH_O, error_doc},
    {"inherit_vectorcall", core_inherit_vectorcall, METH_O,
     "inherit_vectorcall($module, type, /)\n--\n\nLet a Python subclass of Func be called fast."},
    {"describe_exports", core_describe_exports, METH_O,
     "describe_exports($module, address, /)\n--\n\n"
     "(name, type) of each export in the wasm_exporttype_vec_t at `address`. The type of a function is "
     "(params, results), with three bytes for each; other types are None."},
    {"describe_imports", core_describe_imports, METH_O,
     "describe_imports($module, address, /)\n--\n\n"
     "(module, name, type) of each import in the wasm_importtype_vec_t at `address`."},
    {"lower", core_lower, METH_VARARGS,
     "lower($module, store, value, valtype, address, role, /)\n--\n\n"
     "Write a value of the type at `valtype` as wasmtime_val_t to `address`; its root is owned."},
    {"lift_value", core_lift_value, METH_VARARGS,
     "lift_value($module, store, address, /)\n--\n\nThe wasmtime_val_t at `address` as a Python object; its "
     "root is taken over."},
    {"lower_extern", core_lower_extern, METH_VARARGS,
     "lower_extern($module, store, item, address, /)\n--\n\n"
     "Write an item as wasmtime_extern_t; returns the Handle that must be kept meanwhile."},
    {"shared_memory_view", core_shared_memory_view, METH_VARARGS,
     "shared_memory_view($module, handle, start, stop, readonly, /)\n--\n\nA memoryview of a shared memory."},
    {"shared_memory_pin", core_shared_memory_pin, METH_O,
     "shared_memory_pin($module, handle, /)\n--\n\nWhat a raw pointer to a shared memory keeps."},
    {"describe_exception", core_describe_exception, METH_VARARGS,
     "describe_exception($module, exnref, exception, /)\n--\n\n"
     "Set what `exnref` carries as attributes of `exception`."},
    {"wrap_extern", core_wrap_extern, METH_VARARGS,
     "wrap_extern($module, store, address, /)\n--\n\nAn object for the wasmtime_extern_t at `address`."},
    {NULL, NULL, 0, NULL},
};

static const struct {
    const char *name;
    PyType_Spec *spec;
    PyTypeObject **slot;
    PyTypeObject **base;
} core_types[] = {
    {"Handle", &handle_spec, &state.Handle, NULL},
    {"Owner", &owner_spec, &state.Owner, NULL},
    {"Engine", &engine_spec, &state.Engine_base, &state.Owner},
    {"Store", &store_spec, &state.Store_base, &state.Owner},
    {"Caller", &caller_spec, &state.Caller_base, NULL},
    {"Door", &door_spec, &state.Door, NULL},
    {"Item", &item_spec, &state.Item_base, NULL},
    {"Func", &func_spec, &state.Func_base, &state.Item_base},
    {"Memory", &memory_spec, &state.Memory_base, &state.Item_base},
    {"Table", &table_spec, &state.Table_base, &state.Item_base},
    {"Global", &global_spec, &state.Global_base, &state.Item_base},
    {"Tag", &tag_spec, &state.Tag_base, &state.Item_base},
    {"Instance", &instance_spec, &state.Instance_base, &state.Item_base},
    {"Exports", &exports_spec, &state.Exports_base, NULL},
    {"Linker", &linker_spec, &state.Linker_base, &state.Owner},
    {"InstancePre", &pre_spec, &state.InstancePre_base, &state.Owner},
    {"BoundFunc", &bound_spec, &state.BoundFunc, NULL},
    {"HostFunc", &hostfunc_spec, &state.HostFunc, NULL},
    {"Reference", &reference_spec, &state.Reference_base, NULL},
    {"Aggregate", &aggregate_spec, &state.Aggregate_base, &state.Reference_base},
    {"OutputSink", &sink_spec, &state.OutputSink, NULL},
    {"MemoryBuffer", &export_spec, &state.MemoryBuffer, NULL},
    {"MemoryPin", &pin_spec, &state.MemoryPin, NULL},
};

/* The size of the struct that follows an item's head. */
static size_t
item_native_size(ItemObject *self)
{
    PyObject *object = (PyObject *)self;
    if (PyObject_TypeCheck(object, state.Func_base)) {
        return sizeof(wasmtime_func_t);
    }
    if (PyObject_TypeCheck(object, state.Memory_base)) {
        return sizeof(wasmtime_memory_t);
    }
    if (PyObject_TypeCheck(object, state.Table_base)) {
        return sizeof(wasmtime_table_t);
    }
    if (PyObject_TypeCheck(object, state.Global_base)) {
        return sizeof(wasmtime_global_t);
    }
    if (PyObject_TypeCheck(object, state.Tag_base)) {
        return sizeof(wasmtime_tag_t);
    }
    if (PyObject_TypeCheck(object, state.Instance_base)) {
        return sizeof(wasmtime_instance_t);
    }
    return 0;
}

/* Whose the core is, and what it has made. Python may be finalized and initialized again. */
static PyInterpreterState *home;

static void
core_forget(void)
{
    home = NULL;
    memset(&state, 0, sizeof(state));
    memset(&component, 0, sizeof(component));
}

/* The first import since Python was initialized. */
static bool
core_begin(void)
{
    if (Py_AtExit(core_forget) < 0) {
        PyErr_SetString(
            PyExc_ImportError,
            "wasmtime cannot be imported: Py_AtExit() has no room left in this process");
        return false;
    }
    if (!state_begin() || !thread_begin() || !greenlets_setup() || !job_setup()) {
        return false;
    }
    home = PyInterpreterState_Get();
    return true;
}

static int
core_exec(PyObject *module)
{
    if (home != NULL && home != PyInterpreterState_Get()) {
        PyErr_SetString(PyExc_ImportError,
                        "wasmtime is loaded already, by another interpreter of this process: it "
                        "works in one interpreter only");
        return -1;
    }
    if (home == NULL && !core_begin()) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(core_types) / sizeof(core_types[0]); i++) {
        PyObject *bases = NULL;
        if (*core_types[i].slot != NULL) { /* imported a second time */
            if (PyModule_AddObject(module, core_types[i].name, Py_NewRef(*core_types[i].slot))
                < 0) {
                return -1;
            }
            continue;
        }
        if (core_types[i].base != NULL && (bases = PyTuple_Pack(1, *core_types[i].base)) == NULL) {
            return -1;
        }
        PyObject *type = PyType_FromSpecWithBases(core_types[i].spec, bases);
        Py_XDECREF(bases);
        if (type == NULL) {
            return -1;
        }
        *core_types[i].slot = (PyTypeObject *)type; /* kept for ever, like the module */
        if (PyModule_AddObject(module, core_types[i].name, Py_NewRef(type)) < 0) {
            return -1;
        }
    }
    if (faults_exec(module) < 0 || component_exec(module) < 0) {
        return -1;
    }
    if (PyModule_AddStringConstant(module, "__version__", WASMTIME_PYTHON_VERSION) < 0
        || PyModule_AddStringConstant(module, "library_version", WASMTIME_LIBRARY_VERSION) < 0
        || PyModule_AddStringConstant(module, "library_origin", WASMTIME_LIBRARY_ORIGIN) < 0) {
        return -1;
    }
    return 0;
}

static PyModuleDef_Slot core_module_slots[] = {
    {Py_mod_exec, core_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    "wasmtime._core",
    "The hand-written half of the binding: calls, host calls, values, memory, errors.",
    0,
    core_functions,
    core_module_slots,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
