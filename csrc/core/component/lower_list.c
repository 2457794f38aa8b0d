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

/* `count` elements from the one at `first` on. */
static bool
lower_buffer_items(const Py_buffer *view, BufferClass source, uint8_t kind, Py_ssize_t first,
                   Py_ssize_t count, wasmtime_component_val_t *out, const ComponentPath *path)
{
    Py_ssize_t step = view->strides != NULL ? view->strides[0] : view->itemsize;
    const char *item = (const char *)view->buf + first * step;
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
            ComponentPath place = {path, NULL, first + i};
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

/* A list has one dimension. Returns -1, with TypeError. */
static NOINLINE int
refuse_dimensions(PyObject *value, int dimensions, const ComponentPath *path)
{
    if (dimensions == 0) {
        refuse_component_type(path, "list", value);
    }
    else {
        refuse_component(path, PyExc_TypeError,
                         "a list has one dimension, and this %s has %d: flatten it, with ravel()",
                         type_name(value), dimensions);
    }
    return -1;
}

/* 1: the elements of this buffer are taken as they lie there; 0: it is to be read as a sequence; -1: an
 * exception is set. */
static int
buffer_use(const Py_buffer *view, BufferClass source, uint8_t kind, PyObject *value,
           const ComponentPath *path)
{
    if (UNLIKELY(view->ndim != 1)) {
        return refuse_dimensions(value, view->ndim, path);
    }
    Py_ssize_t size = view->itemsize;
    return (size == 1 || size == 2 || size == 4 || size == 8) && buffer_feeds(source, kind);
}

static inline Py_ssize_t
buffer_count(const Py_buffer *view)
{
    return view->shape != NULL ? view->shape[0] : view->len / view->itemsize;
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
    BufferClass source = buffer_class(&view);
    int status = buffer_use(&view, source, kind, value, path);
    if (status > 0) {
        Py_ssize_t count = buffer_count(&view);
        out->size = (size_t)count;
        out->data = arena_array(self, (size_t)count, sizeof(wasmtime_component_val_t));
        status =
            out->data != NULL && lower_buffer_items(&view, source, kind, 0, count, out->data, path)
                ? 1
                : -1;
    }
    PyBuffer_Release(&view);
    return status;
}

/* `count` elements from the one at `first` on. */
static bool
lower_items(Lowering *self, uint32_t node, PyObject *items, Py_ssize_t first, Py_ssize_t count,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    uint8_t kind = self->program->nodes[node].kind;
    ComponentPath place = {path, NULL, first};
    Py_ssize_t end = first + count;
    if (kind >= WIT_S8 && kind <= WIT_U64) {
        for (; place.index < end; place.index++) {
            if (!lower_integer(&place, kind, PyTuple_GetItem(items, place.index),
                               &out[place.index - first])) {
                return false;
            }
        }
        return true;
    }
    if (kind == WIT_F32 || kind == WIT_F64) {
        for (; place.index < end; place.index++) {
            if (!lower_float(&place, kind, PyTuple_GetItem(items, place.index),
                             &out[place.index - first])) {
                return false;
            }
        }
        return true;
    }
    for (; place.index < end; place.index++) {
        if (!lower_component(self, node, PyTuple_GetItem(items, place.index),
                             &out[place.index - first], &place)) {
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
    return tuple_of(value);
}

/* No memory of a component takes more than 4 GiB: told before the guest is called. */
static inline bool
check_list_size(const ComponentNode *node, Py_ssize_t count, const ComponentPath *path)
{
    if (UNLIKELY((uint64_t)count * node->element_size > UINT32_MAX)) {
        return refuse_component(path, PyExc_OverflowError,
                                "%zd elements of %u bytes do not fit in a component's memory, "
                                "which has 4 GiB at most",
                                count, (unsigned)node->element_size);
    }
    return true;
}

/* Whether a value is to be read as a buffer of elements of this kind. */
static bool
list_is_buffer(PyObject *value, uint8_t kind)
{
    bool raw = PyBytes_Check(value) || PyByteArray_Check(value);
    return kind <= WIT_F64
           && (raw ? kind == WIT_U8 : !PyList_Check(value) && PyObject_CheckBuffer(value));
}

static bool lower_packed(Lowering *self, const ComponentNode *node, PyObject *value,
                         wasmtime_component_vallist_t *out, const ComponentPath *path);

/* What `out` is of where the elements are packed: see lower_packed.c. */
#define COMPONENT_PACKED 0xf0

static bool
lower_list(Lowering *self, const ComponentNode *node, PyObject *value,
           wasmtime_component_val_t *out, const ComponentPath *path)
{
    uint32_t element = (uint32_t)self->program->edges[node->edges].node;
    uint8_t kind = self->program->nodes[element].kind;
    if (self->packs && kind <= WIT_CHAR) {
        out->kind = COMPONENT_PACKED;
        return lower_packed(self, node, value, &out->of.list, path);
    }
    out->kind = component_kinds[node->kind].value_kind;
    if (list_is_buffer(value, kind)) {
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
    out->of.list.data = check_list_size(node, count, path)
                            ? arena_array(self, (size_t)count, sizeof(wasmtime_component_val_t))
                            : NULL;
    bool fine = out->of.list.data != NULL
                && lower_items(self, element, items, 0, count, out->of.list.data, path);
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
