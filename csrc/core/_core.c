/* The C half of the binding, in one translation unit: calls, host calls, values, memory, errors.
 * It imports nothing of the package; `setup()` hands it the public classes.
 *
 * This is the table of contents, in reading order: a file uses what stands before it, and a few
 * functions that it declares. Each begins with what it holds, who owns that, and when it dies. */

#include "base/common.h" /* headers, portability, how threads share fields; includes limited.h */

/* base: what everything needs */
#include "base/state.c"     /* the classes that the package hands over */
#include "base/arguments.c" /* arguments of methods, numbers in range */
#include "base/seal.c"      /* the sum under the seal of an artifact */

/* runtime: native objects, threads, the store, and the ways in and out */
#include "runtime/faults.c"    /* the library's signal handlers beside the program's */
#include "runtime/thread.c"    /* a thread's native stack; which thread is the main one */
#include "runtime/monitor.c"   /* time, locks and conditions of native threads */
#include "runtime/leaving.c"   /* taking the GIL in callbacks, also while Python ends */
#include "runtime/ticker.c"    /* the thread that moves epochs: signals, times, polls */
#include "runtime/imports.c"   /* which packages the program has imported */
#include "runtime/greenlets.c" /* which greenlet of a thread may enter */
#include "runtime/handle.c"    /* Handle: owns one native object */
#include "runtime/owner.c"     /* Owner: has a Handle until it is closed */
#include "runtime/engine.c"    /* Engine: an Owner with an epoch */
#include "runtime/store.h"     /* Store: its fields, and who owns what in a store */
#include "async/async.h"       /* asynchronous calls: what their parts agree on */
#include "runtime/entry.c"     /* entering a store: one thread at a time */
#include "runtime/limits.c"    /* the limits of a store, and what the package makes for itself */
#include "runtime/stopping.c"  /* why what a store runs ends: timeout, interrupt, deadline */
#include "runtime/gil.c"       /* who has the GIL while WebAssembly runs */
#include "runtime/call.c"      /* the native call: the one way in */
#include "runtime/error.c"     /* errors, traps and pending exceptions become exceptions */
#include "runtime/caller.c"    /* Caller, StoreContext: a store for the length of a callback */
#include "runtime/callback.c"  /* the callback and the frame of a host function: the way back */
#include "runtime/epoch.c"     /* deadlines, signals and output, when the epoch moves */
#include "runtime/waiting.c"   /* waiting on behalf of a guest */
#include "runtime/feed.c"      /* standard input of components, through a pipe of ours */
#include "runtime/process.c"   /* the beginning of Python, and forks */
#include "runtime/store.c"     /* Store: its life and its Python type */
#include "runtime/door.c"      /* Door: for Python code that calls through cffi */
#include "runtime/output.c"    /* OutputSink: what WASI programs print */
#include "runtime/job.c"       /* parsing and compiling on a thread with a large stack */

/* async: calls that event loops drive */
#include "async/future.c" /* the native future: polls, notes, deletion */
#include "async/stacks.c" /* no more stacks than the system allows */
#include "async/turns.c"  /* guests that compute take turns */
#include "async/errand.c" /* what may collect garbage, on the guest's stack */
#include "async/waits.c"  /* what a call waits for, and what ends that */
#include "async/away.c"   /* polls that may block, on another thread */
#include "async/step.c"   /* one step of a call: the guest, the host, the loop */
#include "async/call.c"   /* AsyncCall: the coroutine */

/* values: between Python and WebAssembly */
#include "values/signature.c" /* a function's type, compiled once */
#include "values/number.c"    /* lower and lift numbers and vectors */
#include "values/value.c"     /* lower and lift any value, references included */

/* items: what lives in a store */
#include "items/item.c"          /* Item: a struct and its store; the table of kinds; Tag */
#include "items/hostfunc.c"      /* HostFunc: Python functions that WebAssembly calls */
#include "items/func.c"          /* Func, BoundFunc: calls from Python */
#include "items/extern.c"        /* wasmtime_extern_t to Python objects and back */
#include "items/memory.c"        /* Memory: copies in and out, growth */
#include "items/memory_buffer.c" /* MemoryBuffer: views without a copy */
#include "items/memory_pin.c"    /* MemoryPin: what raw pointers keep */
#include "items/global.c"        /* Global */
#include "items/table.c"         /* Table */
#include "items/module_type.c"   /* what modules import and export, by name and type */
#include "items/instance.c"      /* Instance */
#include "items/exports.c"       /* Exports: an instance's, by name */
#include "items/linker.c"        /* Linker: definitions, and uses that exclude their change */
#include "items/instance_pre.c"  /* InstancePre: what a linker has linked already */

/* wasi: preview 1's streams, sleeps, clocks and random numbers */
#include "wasi/wasi.h"        /* a call: tried, and tried again */
#include "wasi/memory.c"      /* the guest's memory: bounds, alignment, buffers */
#include "wasi/file.c"        /* descriptors of the operating system, without blocking */
#include "wasi/streams.h"     /* the three streams, the clock, the random numbers */
#include "wasi/output.c"      /* fd_write */
#include "wasi/input.c"       /* fd_read */
#include "wasi/descriptors.c" /* fd_close, fd_renumber */
#include "wasi/clock.c"       /* clock_time_get, clock_res_get */
#include "wasi/random.c"      /* random_get */
#include "wasi/poll.c"        /* poll_oneoff, sched_yield */
#include "wasi/forward.c"     /* the library's functions, for what is not ours */
#include "wasi/state.c"       /* the life of a store's streams */
#include "wasi/config.c"      /* the library's WASI: arguments and environment */
#include "wasi/define.c"      /* the nine functions in a linker, and in a synchronous call */

/* snapshot: the state of an instance, taken out and put into another */
#include "snapshot/difference.c" /* where two memories differ */
#include "snapshot/references.c" /* references as numbers; globals bit by bit */
#include "snapshot/written.c"    /* WrittenPages: what copies write to */
#include "snapshot/image.c"      /* SnapshotImage: pages, copied or mapped */

/* async, for core modules */
#include "async/hostfunc.c"     /* Python functions in asynchronous calls */
#include "async/func.c"         /* asynchronous calls of functions */
#include "async/instantiate.c"  /* asynchronous instantiation */
#include "async/wasi_forward.c" /* files of WASI: the library's functions */
#include "async/wasi.c"         /* preview 1 without blocking the loop */

/* gc: references into WebAssembly's garbage-collected heap */
#include "gc/reference.c" /* Reference: identity and conversion */
#include "gc/layout.c"    /* the fields of a type, compiled once */
#include "gc/aggregate.c" /* reading and writing fields and elements */
#include "gc/allocate.c"  /* Aggregate: making structs, arrays and exceptions */
#include "gc/exnref.c"    /* exceptions: taken out of a store, described */

/* component: the component model */
#include "component/program.c"       /* a function's type, compiled to a small program */
#include "component/layout.c"        /* how values lie in a guest's memory */
#include "component/lowering.c"      /* the arena of a call, and errors that name the place */
#include "component/lower_scalar.c"  /* numbers, characters, strings */
#include "component/lower_list.c"    /* lists and maps */
#include "component/lower_packed.c"  /* lists of numbers for the codec */
#include "component/lower_record.c"  /* records and tuples */
#include "component/lower_variant.c" /* variants, options, results, enums, flags */
#include "component/lower.c"         /* lower any value: run the program */
#include "component/array.c"         /* lists of numbers as arrays */
#include "component/lift.c"          /* lift any value */
#include "component/call.c"          /* what is added to a native call: the outcome */
#include "component/resource.c"      /* ResourceAny, ResourceHost */
#include "component/bulk_pack.c"     /* any data as text */
#include "component/bulk_write.c"    /* arguments for the codec */
#include "component/bulk_read.c"     /* results from the codec */
#include "component/bulk.c"          /* Bulk: the codec's functions for one of the guest's */
#include "component/func.c"          /* ComponentFunc: calls of exported functions */
#include "component/bulk_call.c"     /* calls through the codec */
#include "component/hostfunc.c"      /* ComponentHostFunc: Python functions and destructors */
#include "component/destruction.c"   /* destructors in asynchronous calls: soon */
#include "component/async_host.c"    /* Python functions in asynchronous calls */
#include "component/async_call.c"    /* asynchronous calls, and instantiation */
#include "component/instance.c"      /* ComponentInstance, and instantiation */

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

/* --- the functions of the module ------------------------------------------------------------ */

#define FUNCTION(name, flags) #name, (PyCFunction)(void (*)(void))core_##name, flags

static PyMethodDef core_functions[] = {
    /* the package and the process */
    {FUNCTION(setup, METH_VARARGS | METH_KEYWORDS),
     "setup($module, /, **classes)\n--\n\n"
     "Hand over the public classes that the core makes instances of. Called once."},
    {FUNCTION(setup_component, METH_VARARGS | METH_KEYWORDS),
     "setup_component($module, /, **classes)\n--\n\nHand over the classes of wasmtime.component."},
    {FUNCTION(inherit_vectorcall, METH_O),
     "inherit_vectorcall($module, type, /)\n--\n\nLet a Python subclass of Func be called fast."},
    {FUNCTION(faults, METH_O), faults_doc},
    {FUNCTION(leave, METH_NOARGS), leave_doc},
    {FUNCTION(after_fork, METH_NOARGS), after_fork_doc},

    /* compiling, errors, artifacts */
    {FUNCTION(run_job, METH_VARARGS), run_job_doc},
    {FUNCTION(error_from_address, METH_O), error_doc},
    {FUNCTION(define_own_wasi, METH_VARARGS), define_own_wasi_doc},
    {FUNCTION(describe_exception, METH_VARARGS),
     "describe_exception($module, exnref, exception, /)\n--\n\n"
     "Set what `exnref` carries as attributes of `exception`."},
    {FUNCTION(seal_sum, METH_O), seal_doc},

    /* types of modules */
    {FUNCTION(describe_exports, METH_O),
     "describe_exports($module, address, /)\n--\n\n"
     "(name, type) of each export in the wasm_exporttype_vec_t at `address`. The type of a function "
     "is (params, results), with three bytes for each; other types are None."},
    {FUNCTION(describe_imports, METH_O),
     "describe_imports($module, address, /)\n--\n\n"
     "(module, name, type) of each import in the wasm_importtype_vec_t at `address`."},

    /* values and items for Python code that calls through cffi */
    {FUNCTION(lower, METH_VARARGS),
     "lower($module, store, value, valtype, address, role, /)\n--\n\n"
     "Write a value of the type at `valtype` as wasmtime_val_t to `address`; its root is owned."},
    {FUNCTION(lift_value, METH_VARARGS),
     "lift_value($module, store, address, /)\n--\n\n"
     "The wasmtime_val_t at `address` as a Python object; its root is taken over."},
    {FUNCTION(lower_extern, METH_VARARGS),
     "lower_extern($module, store, item, address, /)\n--\n\n"
     "Write an item as wasmtime_extern_t; returns the Handle that must be kept meanwhile, or None."},
    {FUNCTION(wrap_extern, METH_VARARGS),
     "wrap_extern($module, store, address, /)\n--\n\nAn object for the wasmtime_extern_t at `address`."},
    {FUNCTION(instantiate_async, METH_VARARGS),
     "instantiate_async($module, store, native, definitions, module, /)\n--\n\n"
     "The AsyncCall that instantiates with the Handle of a native linker or InstancePre."},
    {FUNCTION(skip_absent_turn, METH_NOARGS),
     "skip_absent_turn($module, /)\n--\n\n"
     "Do not wait for a guest of this thread whose turn it is and that does not come; whether any "
     "queues."},
    {FUNCTION(new_wasi_config, METH_VARARGS), new_wasi_config_doc},
    {FUNCTION(end_wait, METH_O),
     "end_wait($module, store, /)\n--\n\n"
     "Cancel what the store's host function waits for, if its guest is to end."},
    {FUNCTION(links_asynchronously, METH_O),
     "links_asynchronously($module, store, /)\n--\n\n"
     "Whether what is linked into the store has to be linked for asynchronous calls."},
    {FUNCTION(make_asynchronous, METH_O),
     "make_asynchronous($module, store, /)\n--\n\n"
     "What is linked into the store is linked asynchronously from now on."},
    {FUNCTION(shared_memory_view, METH_VARARGS),
     "shared_memory_view($module, handle, start, stop, readonly, /)\n--\n\n"
     "A memoryview of a shared memory."},
    {FUNCTION(shared_memory_pin, METH_O),
     "shared_memory_pin($module, handle, /)\n--\n\nWhat a raw pointer to a shared memory keeps."},

    /* snapshots */
    {FUNCTION(memory_differences, METH_VARARGS),
     "memory_differences($module, now, base, /)\n--\n\n"
     "(start, end) of each run of pages in which `now` differs from `base`, or from zero behind it."},
    {FUNCTION(table_references, METH_VARARGS),
     "table_references($module, store, table, functions, /)\n--\n\n"
     "What a table holds, 8 bytes for each element; functions by their place in `functions`."},
    {FUNCTION(set_table_reference, METH_VARARGS),
     "set_table_reference($module, store, table, functions, size, index, code, /)\n--\n\n"
     "Set an element of a table that is grown to `size` first."},
    {FUNCTION(global_bits, METH_VARARGS),
     "global_bits($module, store, global, functions, /)\n--\n\n"
     "(kind, 16 bytes): what a global holds; a reference as an element of a table."},
    {FUNCTION(stop_at_message, METH_VARARGS),
     "stop_at_message($module, store, global, /)\n--\n\nSet a global to 1 at each message to a sink."},
    {FUNCTION(random_bytes, METH_O),
     "random_bytes($module, size, /)\n--\n\nAs os.urandom(), without giving the GIL away."},
    {FUNCTION(set_global_bits, METH_VARARGS),
     "set_global_bits($module, store, global, functions, kind, bits, /)\n--\n\nSet a global."},

    /* components */
    {FUNCTION(component_instantiate, METH_VARARGS),
     "component_instantiate($module, linker, store, component, /)\n--\n\n"
     "Instantiate with what the linker defines."},
    {FUNCTION(component_instantiate_async, METH_VARARGS),
     "component_instantiate_async($module, linker, native, store, component, waits, /)\n--\n\n"
     "The AsyncCall that instantiates with a native linker for asynchronous calls."},
    {NULL, NULL, 0, NULL},
};

/* --- its types ------------------------------------------------------------------------------ */

/* A base stands before what is made from it. */
static const struct {
    const char *name;
    PyType_Spec *spec;
    PyTypeObject **slot;
    PyTypeObject **base;
} core_types[] = {
    /* what owns native objects */
    {"Handle", &handle_spec, &state.Handle, NULL},
    {"Owner", &owner_spec, &state.Owner, NULL},
    {"Engine", &engine_spec, &state.Engine_base, &state.Owner},
    {"Store", &store_spec, &state.Store_base, &state.Owner},
    {"Linker", &linker_spec, &state.Linker_base, &state.Owner},
    {"InstancePre", &pre_spec, &state.InstancePre_base, &state.Owner},

    /* ways in and out */
    {"Caller", &caller_spec, &state.Caller_base, NULL},
    {"Door", &door_spec, &state.Door, NULL},
    {"HostFunc", &hostfunc_spec, &state.HostFunc, NULL},
    {"AsyncCall", &async_call_spec, &state.AsyncCall, NULL},
    {"OutputSink", &sink_spec, &state.OutputSink, NULL},
    {"Forwarding", &forwarding_spec, &state.Forwarding, NULL},
    {"Wasi", &wasi_spec, &state.Wasi, NULL},

    /* what lives in a store */
    {"Item", &item_spec, &state.Item_base, NULL},
    {"Func", &func_spec, &state.Func_base, &state.Item_base},
    {"BoundFunc", &bound_spec, &state.BoundFunc, NULL},
    {"BoundAsyncFunc", &bound_async_spec, &state.BoundAsyncFunc, NULL},
    {"Memory", &memory_spec, &state.Memory_base, &state.Item_base},
    {"MemoryBuffer", &buffer_spec, &state.MemoryBuffer, NULL},
    {"MemoryPin", &pin_spec, &state.MemoryPin, NULL},
    {"Table", &table_spec, &state.Table_base, &state.Item_base},
    {"SnapshotImage", &image_spec, &state.SnapshotImage, NULL},
    {"Global", &global_spec, &state.Global_base, &state.Item_base},
    {"Tag", &tag_spec, &state.Tag_base, &state.Item_base},
    {"Instance", &instance_spec, &state.Instance_base, &state.Item_base},
    {"Exports", &exports_spec, &state.Exports_base, NULL},
    {"Reference", &reference_spec, &state.Reference_base, NULL},
    {"Aggregate", &aggregate_spec, &state.Aggregate_base, &state.Reference_base},

    /* components */
    {"ComponentProgram", &program_spec, &component.Program, NULL},
    {"ComponentBulk", &bulk_spec, &component.Bulk, NULL},
    {"ComponentFunc", &component_func_spec, &component.Func_base, &state.Item_base},
    {"ComponentInstance", &component_instance_spec, &component.Instance_base, &state.Item_base},
    {"ComponentHostFunc", &component_hostfunc_spec, &component.HostFunc, NULL},
    {"ResourceAny", &resource_any_spec, &component.ResourceAny_base, NULL},
    {"ResourceHost", &resource_host_spec, &component.ResourceHost_base, NULL},
};

/* Add the types, which are kept for ever: those of an earlier import serve again. */
static bool
core_add_types(PyObject *module)
{
    for (size_t i = 0; i < sizeof(core_types) / sizeof(core_types[0]); i++) {
        PyTypeObject **slot = core_types[i].slot;
        if (*slot == NULL) {
            PyObject *bases = NULL;
            if (core_types[i].base != NULL
                && (bases = PyTuple_Pack(1, *core_types[i].base)) == NULL) {
                return false;
            }
            *slot = (PyTypeObject *)PyType_FromSpecWithBases(core_types[i].spec, bases);
            Py_XDECREF(bases);
            if (*slot == NULL || !type_keep_signature(*slot, core_types[i].spec)) {
                return false;
            }
        }
        if (PyModule_AddObject(module, core_types[i].name, Py_NewRef(*slot)) < 0) {
            return false;
        }
    }
    return true;
}

/* --- the module ----------------------------------------------------------------------------- */

/* The interpreter that the core belongs to. Python may be finalized and initialized again. */
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
    if (!state_begin() || !greenlets_setup() || !waits_setup() || !job_setup()) {
        return false;
    }
    process_begin();
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
    if (!core_add_types(module) || faults_exec(module) < 0) {
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
