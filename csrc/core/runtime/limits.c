/* Bounds on what a store allocates.
 *
 * Instances that the package makes for itself, to forward to the library's WASI say, do not count:
 * the bound that the library is given is higher by so many. Nothing here is owned. */

/* Nobody else uses the native store meanwhile; a callback of the library may be running. */
static void
store_apply_limits(StoreObject *self)
{
    const long long *limits = self->limits;
    long long instances = limits[LIMIT_INSTANCES];
    if (instances >= 0 && instances <= LLONG_MAX - self->own_instances) {
        instances += self->own_instances;
    }
    wasmtime_store_limiter(self->store, limits[LIMIT_MEMORY_SIZE], limits[LIMIT_TABLE_ELEMENTS],
                           instances, limits[LIMIT_TABLES], limits[LIMIT_MEMORIES]);
}

/* The package is about to make an instance for itself. */
static void
store_add_own_instance(StoreObject *self)
{
    self->own_instances++;
    if (self->limits[LIMIT_INSTANCES] >= 0) {
        store_apply_limits(self);
    }
}

/* _set_limits(...): checked by Store.set_limits(); -1 is no bound. */
static PyObject *
store_set_limits(StoreObject *self, PyObject *args)
{
    long long given[STORE_LIMITS];
    if (!PyArg_ParseTuple(args, "LLLLL:_set_limits", &given[0], &given[1], &given[2], &given[3],
                          &given[4])
        || !store_enter(self)) {
        return NULL;
    }
    memcpy(self->limits, given, sizeof(given));
    store_apply_limits(self);
    store_leave(self);
    Py_RETURN_NONE;
}
