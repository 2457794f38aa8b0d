/* The hand-written half of the binding: placeholder until its parts are here. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "wasmtime_all.h"

static struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT, "wasmtime._core", NULL, 0, NULL, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModule_Create(&core_module);
}
