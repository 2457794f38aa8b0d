/* Lower a list of numbers for the codec (bulk_call.c): to the bytes that it has in the guest's
 * memory, or to a buffer that has them already.
 *
 * Ownership: the bytes lie in the arena; a buffer is held until the call is over. */

/* So many elements are lowered at a time, in the library's form. */
#define PACK_STEP 64

static void
pack_scalars(char *out, uint32_t size, const wasmtime_component_val_t *values, Py_ssize_t count)
{
    /* The members of the union begin at one address, with their low bytes. */
    switch (size) {
    case 1:
        for (Py_ssize_t i = 0; i < count; i++) {
            memcpy(out + i, &values[i].of, 1);
        }
        break;
    case 2:
        for (Py_ssize_t i = 0; i < count; i++) {
            memcpy(out + i * 2, &values[i].of, 2);
        }
        break;
    case 4:
        for (Py_ssize_t i = 0; i < count; i++) {
            memcpy(out + i * 4, &values[i].of, 4);
        }
        break;
    default:
        for (Py_ssize_t i = 0; i < count; i++) {
            memcpy(out + i * 8, &values[i].of, 8);
        }
        break;
    }
}

/* Whether the buffer's bytes are those of the guest's memory. */
static bool
buffer_is_packed(const Py_buffer *view, BufferClass source, uint8_t kind)
{
    if ((size_t)view->itemsize != scalar_sizes[kind]
        || (view->strides != NULL && view->strides[0] != view->itemsize)) {
        return false;
    }
    if (kind == WIT_F32 || kind == WIT_F64) {
        return source == BUFFER_FLOAT;
    }
    return kind != WIT_BOOL && source == (kind <= WIT_S64 ? BUFFER_SIGNED : BUFFER_UNSIGNED);
}

static bool
pack_buffer_items(Lowering *self, const Py_buffer *view, BufferClass source, uint8_t kind,
                  wasmtime_component_vallist_t *out, const ComponentPath *path)
{
    uint32_t size = scalar_sizes[kind];
    Py_ssize_t count = (Py_ssize_t)out->size;
    char *packed = arena_array(self, (size_t)count, size);
    wasmtime_component_val_t values[PACK_STEP];
    for (Py_ssize_t i = 0; packed != NULL && i < count; i += PACK_STEP) {
        Py_ssize_t step = count - i < PACK_STEP ? count - i : PACK_STEP;
        if (!lower_buffer_items(view, source, kind, i, step, values, path)) {
            return false;
        }
        pack_scalars(packed + i * size, size, values, step);
    }
    out->data = (void *)packed;
    return packed != NULL;
}

/* 1: done; 0: this buffer is to be read as a sequence; -1: an exception is set. */
static int
pack_buffer(Lowering *self, const ComponentNode *node, uint8_t kind, PyObject *value,
            wasmtime_component_vallist_t *out, const ComponentPath *path)
{
    HeldBuffer *held = arena_alloc(self, sizeof(HeldBuffer));
    if (held == NULL) {
        return -1;
    }
    Py_buffer *view = &held->view;
    if (PyObject_GetBuffer(value, view, PyBUF_RECORDS_RO) < 0) {
        PyErr_Clear();
        return 0;
    }
    held->next = self->held;
    self->held = held;
    BufferClass source = buffer_class(view);
    int status = buffer_use(view, source, kind, value, path);
    if (status <= 0) {
        return status;
    }
    Py_ssize_t count = buffer_count(view);
    out->size = (size_t)count;
    if (!check_list_size(node, count, path)) {
        return -1;
    }
    if (buffer_is_packed(view, source, kind)) {
        out->data = view->buf;
        return 1;
    }
    return pack_buffer_items(self, view, source, kind, out, path) ? 1 : -1;
}

static bool
lower_packed(Lowering *self, const ComponentNode *node, PyObject *value,
             wasmtime_component_vallist_t *out, const ComponentPath *path)
{
    uint32_t element = (uint32_t)self->program->edges[node->edges].node;
    uint8_t kind = self->program->nodes[element].kind;
    if (list_is_buffer(value, kind)) {
        int status = pack_buffer(self, node, kind, value, out, path);
        if (status != 0) {
            return status > 0;
        }
    }
    PyObject *items = component_items(value, kind == WIT_U8 ? "bytes" : "list", path);
    if (items == NULL) {
        return false;
    }
    uint32_t size = scalar_sizes[kind];
    Py_ssize_t count = PyTuple_Size(items);
    char *packed =
        check_list_size(node, count, path) ? arena_array(self, (size_t)count, size) : NULL;
    bool fine = packed != NULL;
    wasmtime_component_val_t values[PACK_STEP];
    for (Py_ssize_t i = 0; fine && i < count; i += PACK_STEP) {
        Py_ssize_t step = count - i < PACK_STEP ? count - i : PACK_STEP;
        fine = lower_items(self, element, items, i, step, values, path);
        if (fine) {
            pack_scalars(packed + i * size, size, values, step);
        }
    }
    Py_DECREF(items);
    out->size = (size_t)count;
    out->data = (void *)packed;
    return fine;
}
