/* Which packages the program has imported, of those whose presence changes what has to be done.
 *
 * Nothing is imported for this. A look at the number of modules tells whether there are new ones;
 * only then are they searched, without asking for memory.
 *
 * A watch is static and lives as long as the process. Its name and `imports` are references for
 * good. */

static PyObject *imports; /* sys.modules */

typedef struct {
    PyObject *name;  /* interned */
    Py_ssize_t seen; /* relaxed: how many modules there were when it was not among them */
} ImportWatch;

static NOINLINE bool
import_look(ImportWatch *self, Py_ssize_t count)
{
    PyObject *module;
    int found = PyDict_GetItemRef(imports, self->name, &module);
    Py_XDECREF(module);
    if (found < 0) {
        PyErr_Clear();
    }
    else if (found == 0) {
        relaxed_store(self->seen, count);
    }
    return found > 0;
}

/* Whether the package is imported, or is being imported. */
static inline bool
import_seen(ImportWatch *self)
{
    Py_ssize_t count = PyDict_Size(imports);
    return UNLIKELY(count != relaxed_load(self->seen)) && import_look(self, count);
}

/* Begin to watch. False with an exception. */
static bool
import_watch(ImportWatch *self, const char *name)
{
    self->name = PyUnicode_InternFromString(name);
    self->seen = -1;
    Py_XSETREF(imports, Py_XNewRef(PyImport_GetModuleDict()));
    return self->name != NULL && imports != NULL;
}
