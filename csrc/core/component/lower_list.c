/* Lower lists and maps; a list of numbers also from a buffer.
 *
 * Ownership: the elements lie in the arena. A buffer is released as soon as it was read. */

typedef enum {
    BUFFER_OTHER,
    BUFFER_SIGNED,
    BUFFER_UNSIGNED,
    BUFFER_FLOAT,
    BUFFER_BOOL
} BufferClass;

static BufferClass
buffer_class(const Py_buffer *view)
{
    const char *format = view->format != NULL ? view->format : "B";
    if (*format == '@' || *format == '=' || *format == '<') {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        if (*format == '<') {
            return BUFFER_OTHER;
        }
#endif
        format++;
    }
    if (*format == '\0' || format[1] != '\0') {
        return BUFFER_OTHER;
    }
    switch (*format) {
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n':
        return BUFFER_SIGNED;
    case 'c':
    case 'B':
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N':
        return BUFFER_UNSIGNED;
    case 'f':
        return view->itemsize == 4 ? BUFFER_FLOAT : BUFFER_OTHER;
    case 'd':
        return view->itemsize == 8 ? BUFFER_FLOAT : BUFFER_OTHER;
    case '?':
        return view->itemsize == 1 ? BUFFER_BOOL : BUFFER_OTHER;
    default:
        return BUFFER_OTHER;
    }
}

static bool
buffer_feeds(BufferClass source, uint8_t kind)
{
    if (kind == WIT_BOOL) {
        return source == BUFFER_BOOL;
    }
    if (kind == WIT_F32 || kind == WIT_F64) {
        return source == BUFFER_FLOAT || source == BUFFER_SIGNED || source == BUFFER_UNSIGNED;
    }
    return kind >= WIT_S8 && kind <= WIT_U64
           && (source == BUFFER_SIGNED || source == BUFFER_UNSIGNED);
}

/* Every integer of a buffer fits what signed 64 bits hold, or is the upper half of 64 unsigned. */
static inline uint64_t
buffer_integer(const char *item, Py_ssize_t size, bool is_signed)
{
    switch (size) {
    case 1: {
        uint8_t n;
        memcpy(&n, item, 1);
        return is_signed ? (uint64_t)(int64_t)(int8_t)n : n;
    }
    case 2: {
        uint16_t n;
        memcpy(&n, item, 2);
        return is_signed ? (uint64_t)(int64_t)(int16_t)n : n;
    }
    case 4: {
        uint32_t n;
        memcpy(&n, item, 4);
        return is_signed ? (uint64_t)(int64_t)(int32_t)n : n;
    }
    default: {
        uint64_t n;
        memcpy(&n, item, 8);
        return n;
    }
    }
}

static bool
lower_buffer_items(const Py_buffer *view, BufferClass source, uint8_t kind, Py_ssize_t count,
                   wasmtime_component_val_t *out, const ComponentPath *path)
{
    const char *item = view->buf;
    Py_ssize_t step = view->strides != NULL ? view->strides[0] : view->itemsize;
    Py_ssize_t size = view->itemsize;
    bool is_signed = source == BUFFER_SIGNED;
    uint8_t value_kind = component_kinds[kind].value_kind;
    if (kind == WIT_U8 && size == 1 && !is_signed) {
        for (Py_ssize_t i = 0; i < count; i++, item += step) {
            out[i].kind = WASMTIME_COMPONENT_U8;
            out[i].of.u8 = (uint8_t)*item;
        }
        return true;
    }
    if (kind == WIT_BOOL) {
        for (Py_ssize_t i = 0; i < count; i++, item += step) {
            out[i].kind = value_kind;
            out[i].of.boolean = *item != 0;
        }
        return true;
    }
    if (kind == WIT_F32 || kind == WIT_F64) {
        for (Py_ssize_t i = 0; i < count; i++, item += step) {
            out[i].kind = value_kind;
            if (source == BUFFER_FLOAT && size == 4 && kind == WIT_F32) {
                memcpy(&out[i].of.f32, item, 4);
                continue;
            }
            double number;
            if (source == BUFFER_FLOAT && size == 8) {
                memcpy(&number, item, 8);
            }
            else if (source == BUFFER_FLOAT) {
                number = widen(item);
            }
            else {
                uint64_t bits = buffer_integer(item, size, is_signed);
                number = is_signed ? (double)(int64_t)bits : (double)bits;
            }
            if (kind == WIT_F32) {
                narrow(number, &out[i].of.f32);
            }
            else {
                out[i].of.f64 = number;
            }
        }
        return true;
    }
    for (Py_ssize_t i = 0; i < count; i++, item += step) {
        uint64_t bits = buffer_integer(item, size, is_signed);
        bool huge = !is_signed && bits > INT64_MAX;
        if (UNLIKELY(kind == WIT_U64 ? is_signed && (int64_t)bits < 0
                                     : huge || (int64_t)bits < component_ranges[kind].low
                                           || (int64_t)bits > component_ranges[kind].high)) {
            ComponentPath place = {path, NULL, i};
            PyObject *number =
                is_signed ? PyLong_FromLongLong((int64_t)bits) : PyLong_FromUnsignedLongLong(bits);
            if (number != NULL) {
                refuse_component_range(&place, kind, number);
                Py_DECREF(number);
            }
            return false;
        }
        store_integer(&out[i], kind, bits);
    }
    return true;
}

/* 1: done; 0: this buffer is to be read as a sequence; -1: an exception is set. */
static int
lower_buffer(Lowering *self, uint8_t kind, PyObject *value, wasmtime_component_vallist_t *out,
             const ComponentPath *path)
{
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_RECORDS_RO) < 0) {
        PyErr_Clear();
        return 0;
    }
    int status = 0;
    BufferClass source = buffer_class(&view);
    if (view.ndim == 1 && buffer_feeds(source, kind)
        && (view.itemsize == 1 || view.itemsize == 2 || view.itemsize == 4 || view.itemsize == 8)) {
        Py_ssize_t count = view.shape != NULL ? view.shape[0] : view.len / view.itemsize;
        out->size = (size_t)count;
        out->data = arena_array(self, (size_t)count, sizeof(wasmtime_component_val_t));
        status =
            out->data != NULL && lower_buffer_items(&view, source, kind, count, out->data, path)
                ? 1
                : -1;
    }
    PyBuffer_Release(&view);
    return status;
}

static bool
lower_items(Lowering *self, uint32_t node, PyObject *items, Py_ssize_t count,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    uint8_t kind = self->program->nodes[node].kind;
    ComponentPath place = {path, NULL, 0};
    if (kind >= WIT_S8 && kind <= WIT_U64) {
        for (; place.index < count; place.index++) {
            if (!lower_integer(&place, kind, PyTuple_GetItem(items, place.index),
                               &out[place.index])) {
                return false;
            }
        }
        return true;
    }
    if (kind == WIT_F32 || kind == WIT_F64) {
        for (; place.index < count; place.index++) {
            if (!lower_float(&place, kind, PyTuple_GetItem(items, place.index),
                             &out[place.index])) {
                return false;
            }
        }
        return true;
    }
    for (; place.index < count; place.index++) {
        if (!lower_component(self, node, PyTuple_GetItem(items, place.index), &out[place.index],
                             &place)) {
            return false;
        }
    }
    return true;
}

/* The elements as a tuple, which no other thread can change; NULL with an exception. */
static PyObject *
component_items(PyObject *value, const char *wanted, const ComponentPath *path)
{
    if (PyTuple_CheckExact(value)) {
        return Py_NewRef(value);
    }
    if (!PyList_Check(value)
        && (PyUnicode_Check(value) || PyBytes_Check(value) || PyByteArray_Check(value)
            || PyDict_Check(value) || !PySequence_Check(value))) {
        refuse_component_type(path, wanted, value);
        return NULL;
    }
    return PySequence_Tuple(value);
}

static bool
lower_list(Lowering *self, const ComponentNode *node, PyObject *value,
           wasmtime_component_val_t *out, const ComponentPath *path)
{
    uint32_t element = (uint32_t)self->program->edges[node->edges].node;
    uint8_t kind = self->program->nodes[element].kind;
    out->kind = component_kinds[node->kind].value_kind;
    bool raw = PyBytes_Check(value) || PyByteArray_Check(value);
    if (kind <= WIT_F64
        && (raw ? kind == WIT_U8 : !PyList_Check(value) && PyObject_CheckBuffer(value))) {
        int status = lower_buffer(self, kind, value, &out->of.list, path);
        if (status != 0) {
            return status > 0;
        }
    }
    PyObject *items = component_items(value, kind == WIT_U8 ? "bytes" : "list", path);
    if (items == NULL) {
        return false;
    }
    Py_ssize_t count = PyTuple_Size(items);
    out->of.list.size = (size_t)count;
    out->of.list.data = arena_array(self, (size_t)count, sizeof(wasmtime_component_val_t));
    bool fine = out->of.list.data != NULL
                && lower_items(self, element, items, count, out->of.list.data, path);
    Py_DECREF(items);
    return fine;
}

static bool
lower_map(Lowering *self, const ComponentNode *node, PyObject *value, wasmtime_component_val_t *out,
          const ComponentPath *path)
{
    if (!PyDict_Check(value)) {
        return refuse_component_type(path, "dict", value);
    }
    const ComponentEdge *edges = &self->program->edges[node->edges];
    uint32_t key_node = (uint32_t)edges[0].node, value_node = (uint32_t)edges[1].node;
    PyObject *items = PyDict_Items(value);
    if (items == NULL) {
        return false;
    }
    Py_ssize_t count = PyList_Size(items);
    wasmtime_component_valmap_entry_t *entries =
        arena_array(self, (size_t)count, sizeof(wasmtime_component_valmap_entry_t));
    out->kind = WASMTIME_COMPONENT_MAP;
    out->of.map.size = (size_t)count;
    out->of.map.data = entries;
    bool fine = entries != NULL;
    for (Py_ssize_t i = 0; fine && i < count; i++) {
        PyObject *item = PyList_GetItem(items, i);
        ComponentPath place = {path, NULL, i};
        fine = lower_component(self, key_node, PyTuple_GetItem(item, 0), &entries[i].key, &place)
               && lower_component(self, value_node, PyTuple_GetItem(item, 1), &entries[i].value,
                                  &place);
    }
    Py_DECREF(items);
    return fine;
}
