/* Bulk: the functions of the codec that one function of a component is called through.
 *
 * Ownership: they are plain structs of the library, valid while their store lives, as the function
 * itself is. A Bulk never changes; functions that differ in how they lift share it. */

typedef struct {
    PyObject_HEAD
    wasmtime_component_func_t call, feed, more, drop, fail;
} BulkObject;

/* A Bulk of the structs at these addresses; NULL with an exception. */
static BulkObject *
bulk_new(const unsigned long long *addresses)
{
    BulkObject *self = (BulkObject *)type_alloc(component.Bulk);
    if (self != NULL) {
        wasmtime_component_func_t *functions[] = {&self->call, &self->feed, &self->more,
                                                  &self->drop, &self->fail};
        for (int i = 0; i < 5; i++) {
            memcpy(functions[i], (const void *)(uintptr_t)addresses[i],
                   sizeof(wasmtime_component_func_t));
        }
    }
    return self;
}

static void
bulk_dealloc(PyObject *self)
{
    type_free(self);
}

static PyType_Slot bulk_slots[] = {
    {Py_tp_doc, "The codec that lists of a component's function go through."},
    {Py_tp_dealloc, bulk_dealloc},
    {0, NULL},
};
static PyType_Spec bulk_spec = {"wasmtime._core.ComponentBulk", sizeof(BulkObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, bulk_slots};
