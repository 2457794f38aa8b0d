/* The limits of a store, and what the package makes in it for itself.
 *
 * The library's limiter knows the size of each memory and table, and how many there are of each
 * kind in the whole store. What the package makes for its own use, an instance that forwards, say,
 * is made between limits_suspend() and limits_resume(), and is not the user's: the counts of
 * the user's limits grow by it.
 *
 * The limits belong to the store, inside of it; the library has a copy. */

static const StoreLimits no_limits = {-1, -1, -1, -1, -1};

/* How many the library allows where nothing is said. */
#define LIMITS_DEFAULT_COUNT 10000

static void
limits_apply(StoreObject *self, const StoreLimits *limits)
{
    wasmtime_store_limiter(self->store, limits->memory_size, limits->table_elements,
                           limits->instances, limits->tables, limits->memories);
}

static long long
limits_count(long long users, uint32_t own)
{
    long long count = users < 0 ? LIMITS_DEFAULT_COUNT : users;
    return count < LLONG_MAX - own ? count + own : LLONG_MAX;
}

/* The user's limits are in force, the package's own things apart. */
static void
limits_enforce(StoreObject *self)
{
    StoreLimits limits = self->limits;
    limits.instances = limits_count(limits.instances, self->own_instances);
    limits.memories = limits_count(limits.memories, self->own_memories);
    limits_apply(self, &limits);
}

/* Between these two, inside of the store, the package makes so many instances and memories, or has
 * one of its memories grow. */
static inline void
limits_suspend(StoreObject *self)
{
    if (self->limited) {
        limits_apply(self, &no_limits);
    }
}

static inline void
limits_resume(StoreObject *self, uint32_t instances, uint32_t memories)
{
    self->own_instances += instances;
    self->own_memories += memories;
    if (self->limited) {
        limits_enforce(self);
    }
}

/* _set_limits(memory_size, table_elements, instances, tables, memories): checked by
 * Store.set_limits(); -1 is no limit. */
static PyObject *
store_set_limits(StoreObject *self, PyObject *args)
{
    StoreLimits limits;
    if (!PyArg_ParseTuple(args, "LLLLL:_set_limits", &limits.memory_size, &limits.table_elements,
                          &limits.instances, &limits.tables, &limits.memories)
        || !store_enter(self)) {
        return NULL;
    }
    self->limits = limits;
    self->limited = true;
    limits_enforce(self);
    store_leave(self);
    Py_RETURN_NONE;
}

/* The fuel that is left, or None where none is counted: a new reference, inside of
 * the store. */
static PyObject *
fuel_tell(StoreObject *self)
{
    uint64_t fuel;
    wasmtime_error_t *error = wasmtime_context_get_fuel(self->context, &fuel);
    if (error == NULL) {
        return PyLong_FromUnsignedLongLong(fuel);
    }
    wasmtime_error_delete(error);
    return Py_NewRef(Py_None);
}

/* How many epochs there are until the deadline, or None: likewise. */
static PyObject *
deadline_tell(StoreObject *self)
{
    if (self->deadline == DEADLINE_NEVER) {
        return Py_NewRef(Py_None);
    }
    uintptr_t now = atomic_load(&((EngineObject *)self->owner.engine)->epoch);
    return PyLong_FromUnsignedLongLong(self->deadline > now ? self->deadline - now : 0);
}

/* _glance(): the two, for its repr. The GIL is kept meanwhile: one who shows a store must not be in
 * the way of the thread whose store it is. */
static PyObject *
store_glance(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!store_enter(self)) {
        return NULL;
    }
    PyObject *fuel = fuel_tell(self), *deadline = deadline_tell(self), *told = NULL;
    store_leave(self);
    if (fuel != NULL && deadline != NULL) {
        told = PyTuple_Pack(2, fuel, deadline);
    }
    Py_XDECREF(fuel);
    Py_XDECREF(deadline);
    return told;
}

/* _suspend_limits() and _resume_limits(instances, memories): as above, for Python. */
static PyObject *
store_suspend_limits(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!store_enter(self)) {
        return NULL;
    }
    limits_suspend(self);
    store_leave(self);
    Py_RETURN_NONE;
}

static PyObject *
store_resume_limits(StoreObject *self, PyObject *args)
{
    unsigned instances, memories;
    if (!PyArg_ParseTuple(args, "II:_resume_limits", &instances, &memories) || !store_enter(self)) {
        return NULL;
    }
    limits_resume(self, instances, memories);
    store_leave(self);
    Py_RETURN_NONE;
}

/* _count_codecs(change): so many more codecs of components are in the store, or so many less. Each
 * is an instance with a memory (wasmtime/component/_bulk), made together with the user's own. */
static PyObject *
store_count_codecs(StoreObject *self, PyObject *argument)
{
    long change = PyLong_AsLong(argument);
    if ((change == -1 && PyErr_Occurred()) || !store_enter(self)) {
        return NULL;
    }
    limits_resume(self, (uint32_t)change, (uint32_t)change);
    store_leave(self);
    Py_RETURN_NONE;
}
