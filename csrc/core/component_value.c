/* Python values to component values ("lower") and back ("raise"), by a compiled program.
 *
 * Ownership: what is lowered lies in an arena (blocks of memory and references to Python objects)
 * that is freed at once after the native call. The library only reads it: strings point into the
 * Python objects, which the arena keeps alive. What the library gives is its own; raising copies. */

/* Where a value stands, from the inside out, for the words of an error. */
typedef struct ComponentPath {
    const struct ComponentPath *parent;
    PyObject *name;   /* of a parameter, field or case; NULL in a list */
    Py_ssize_t index; /* in a list or tuple */
} ComponentPath;

typedef struct ArenaBlock {
    struct ArenaBlock *next;
    size_t room;
} ArenaBlock;

#define ARENA_INLINE 768
#define ARENA_BLOCK 16384
#define ARENA_FEW 16

/* One large block is kept for the next call: fresh memory of that size comes from the operating
 * system page by page, which takes longer than filling it. The GIL guards it; without a GIL there
 * is none. */
#define ARENA_SPARE (4 << 20)
#ifndef Py_GIL_DISABLED
static ArenaBlock *arena_spare;
#endif

typedef struct {
    ALIGNED(16) char space[ARENA_INLINE];
    char *free, *end; /* of the block in use */
    ArenaBlock *blocks;
    PyObject *few[ARENA_FEW];
    PyObject **kept;
    size_t kept_count, kept_room;
    StoreObject *store;
    const ProgramObject *program;
} Lowering;

static void
lowering_begin(Lowering *self, StoreObject *store, const ProgramObject *program)
{
    self->free = self->space;
    self->end = self->space + ARENA_INLINE;
    self->blocks = NULL;
    self->kept = self->few;
    self->kept_count = 0;
    self->kept_room = ARENA_FEW;
    self->store = store;
    self->program = program;
}

static void
lowering_end(Lowering *self)
{
    while (self->kept_count > 0) {
        Py_DECREF(self->kept[--self->kept_count]);
    }
    if (UNLIKELY(self->kept != self->few)) {
        PyMem_RawFree(self->kept);
    }
    while (UNLIKELY(self->blocks != NULL)) {
        ArenaBlock *block = self->blocks;
        self->blocks = block->next;
#ifndef Py_GIL_DISABLED
        if (block->room > ARENA_BLOCK && block->room <= ARENA_SPARE
            && (arena_spare == NULL || arena_spare->room < block->room)) {
            PyMem_RawFree(arena_spare);
            arena_spare = block;
            continue;
        }
#endif
        PyMem_RawFree(block);
    }
}

static NOINLINE void *
arena_alloc_block(Lowering *self, size_t size)
{
    size_t room = size > ARENA_BLOCK / 4 ? size : ARENA_BLOCK;
    ArenaBlock *block = NULL;
#ifndef Py_GIL_DISABLED
    if (room > ARENA_BLOCK && arena_spare != NULL && arena_spare->room >= room) {
        block = arena_spare;
        arena_spare = NULL;
    }
#endif
    if (block == NULL) {
        block = PyMem_RawMalloc(room + sizeof(ArenaBlock));
        if (block == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        block->room = room;
    }
    block->next = self->blocks;
    self->blocks = block;
    char *start = (char *)(block + 1);
    if (room > size) { /* what is left serves the next ones */
        self->free = start + size;
        self->end = start + room;
    }
    return start;
}

static inline void *
arena_alloc(Lowering *self, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (LIKELY((size_t)(self->end - self->free) >= size)) {
        void *result = self->free;
        self->free += size;
        return result;
    }
    return arena_alloc_block(self, size);
}

/* An array in the arena; NULL with an exception when there is no memory. */
static inline void *
arena_array(Lowering *self, size_t count, size_t size)
{
    if (UNLIKELY(count > PY_SSIZE_T_MAX / size - 64)) {
        PyErr_NoMemory();
        return NULL;
    }
    return arena_alloc(self, count * size);
}

/* Takes the reference. */
static bool
arena_keep(Lowering *self, PyObject *object)
{
    if (UNLIKELY(self->kept_count == self->kept_room)) {
        size_t room = self->kept_room * 4;
        PyObject **kept = self->kept == self->few
                              ? PyMem_RawMalloc(room * sizeof(PyObject *))
                              : PyMem_RawRealloc(self->kept, room * sizeof(PyObject *));
        if (kept == NULL) {
            Py_DECREF(object);
            PyErr_NoMemory();
            return false;
        }
        if (self->kept == self->few) {
            memcpy(kept, self->few, sizeof(self->few));
        }
        self->kept = kept;
        self->kept_room = room;
    }
    self->kept[self->kept_count++] = object;
    return true;
}

/* --- errors ---------------------------------------------------------------------------------- */

static PyObject *
path_text(const ComponentPath *path)
{
    if (path->parent == NULL) {
        return path->name != NULL ? Py_NewRef(path->name) : PyUnicode_FromString("result");
    }
    PyObject *outer = path_text(path->parent);
    if (outer == NULL) {
        return NULL;
    }
    PyObject *text = path->name != NULL ? PyUnicode_FromFormat("%U.%U", outer, path->name)
                                        : PyUnicode_FromFormat("%U[%zd]", outer, path->index);
    Py_DECREF(outer);
    return text;
}

/* Raise `exception` with a message that begins with the path. */
static NOINLINE bool
refuse_component(const ComponentPath *path, PyObject *exception, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PyObject *message = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    PyObject *place = message != NULL ? path_text(path) : NULL;
    if (place != NULL) {
        PyErr_Format(exception, "%U: %U", place, message);
    }
    Py_XDECREF(message);
    Py_XDECREF(place);
    return false;
}

static NOINLINE bool
refuse_component_type(const ComponentPath *path, const char *wanted, PyObject *value)
{
    return refuse_component(path, PyExc_TypeError, "expected %s, got %.200s", wanted,
                            type_name(value));
}

/* --- numbers --------------------------------------------------------------------------------- */

static const struct {
    long long low;
    long long high;
} component_ranges[] = {
    {0, 1},
    {INT8_MIN, INT8_MAX},
    {INT16_MIN, INT16_MAX},
    {INT32_MIN, INT32_MAX},
    {INT64_MIN, INT64_MAX},
    {0, UINT8_MAX},
    {0, UINT16_MAX},
    {0, UINT32_MAX},
    {0, INT64_MAX}, /* the upper half of u64 is a matter of its own */
};

static NOINLINE bool
refuse_component_range(const ComponentPath *path, uint8_t kind, PyObject *value)
{
    if (kind == W_U64) {
        return refuse_component(path, PyExc_OverflowError, "%R is not in the range of u64 "
                                                           "(0 ... 18446744073709551615)", value);
    }
    return refuse_component(path, PyExc_OverflowError, "%R is not in the range of %s (%lld ... %lld)",
                            value, component_kinds[kind].name, component_ranges[kind].low,
                            component_ranges[kind].high);
}

static inline void
store_integer(wasmtime_component_val_t *out, uint8_t kind, uint64_t bits)
{
    /* All integers start at the same address; the narrow ones are the low bytes of the wide. */
    out->kind = component_kinds[kind].value_kind;
    switch (kind) {
    case W_S8:
    case W_U8:
        out->of.u8 = (uint8_t)bits;
        break;
    case W_S16:
    case W_U16:
        out->of.u16 = (uint16_t)bits;
        break;
    case W_S32:
    case W_U32:
        out->of.u32 = (uint32_t)bits;
        break;
    default:
        out->of.u64 = bits;
        break;
    }
}

static NOINLINE bool
lower_integer_slowly(const ComponentPath *path, uint8_t kind, PyObject *value,
                     wasmtime_component_val_t *out)
{
    PyObject *integer;
    if (PyLong_Check(value)) {
        integer = Py_NewRef(value);
    }
    else if (PyIndex_Check(value)) {
        integer = PyNumber_Index(value);
        if (integer == NULL) {
            return false;
        }
    }
    else {
        return refuse_component_type(path, component_kinds[kind].name, value);
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    bool fits = overflow == 0 && number >= component_ranges[kind].low
                && number <= component_ranges[kind].high;
    if (fits) {
        store_integer(out, kind, (uint64_t)number);
    }
    else if (kind == W_U64 && overflow > 0) {
        unsigned long long large = PyLong_AsUnsignedLongLong(integer);
        fits = !(large == (unsigned long long)-1 && PyErr_Occurred());
        PyErr_Clear();
        store_integer(out, kind, large);
    }
    if (!fits) {
        refuse_component_range(path, kind, value);
    }
    Py_DECREF(integer);
    return fits;
}

static inline bool
lower_integer(const ComponentPath *path, uint8_t kind, PyObject *value,
              wasmtime_component_val_t *out)
{
    if (LIKELY(PyLong_CheckExact(value))) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (LIKELY(number >= component_ranges[kind].low && number <= component_ranges[kind].high
                   && !overflow)) {
            store_integer(out, kind, (uint64_t)number);
            return true;
        }
    }
    return lower_integer_slowly(path, kind, value, out);
}

static NOINLINE bool
lower_float_slowly(const ComponentPath *path, uint8_t kind, PyObject *value, double *out)
{
    if (PyBool_Check(value) || PyUnicode_Check(value)
        || !(PyFloat_Check(value) || PyIndex_Check(value)
             || PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__float__"))) {
        return refuse_component_type(path, component_kinds[kind].name, value);
    }
    *out = PyFloat_AsDouble(value);
    if (*out == -1.0 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            return refuse_component(path, PyExc_OverflowError, "%R is too large for %s", value,
                                    component_kinds[kind].name);
        }
        return false;
    }
    return true;
}

static inline bool
lower_float(const ComponentPath *path, uint8_t kind, PyObject *value,
            wasmtime_component_val_t *out)
{
    double number;
    if (LIKELY(PyFloat_CheckExact(value))) {
        number = PyFloat_AsDouble(value);
    }
    else if (!lower_float_slowly(path, kind, value, &number)) {
        return false;
    }
    out->kind = component_kinds[kind].value_kind;
    if (kind == W_F32) {
        narrow(number, &out->of.f32);
    }
    else {
        out->of.f64 = number;
    }
    return true;
}

/* --- lists ----------------------------------------------------------------------------------- */

static bool lower_component(Lowering *self, uint32_t node, PyObject *value,
                            wasmtime_component_val_t *out, const ComponentPath *path);

typedef enum { B_OTHER, B_SIGNED, B_UNSIGNED, B_FLOAT, B_BOOL } BufferClass;

static BufferClass
buffer_class(const Py_buffer *view)
{
    const char *format = view->format != NULL ? view->format : "B";
    if (*format == '@' || *format == '=' || *format == '<') {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        if (*format == '<') {
            return B_OTHER;
        }
#endif
        format++;
    }
    if (*format == '\0' || format[1] != '\0') {
        return B_OTHER;
    }
    switch (*format) {
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n':
        return B_SIGNED;
    case 'c':
    case 'B':
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N':
        return B_UNSIGNED;
    case 'f':
        return view->itemsize == 4 ? B_FLOAT : B_OTHER;
    case 'd':
        return view->itemsize == 8 ? B_FLOAT : B_OTHER;
    case '?':
        return view->itemsize == 1 ? B_BOOL : B_OTHER;
    default:
        return B_OTHER;
    }
}

static bool
buffer_feeds(BufferClass source, uint8_t kind)
{
    if (kind == W_BOOL) {
        return source == B_BOOL;
    }
    if (kind == W_F32 || kind == W_F64) {
        return source == B_FLOAT || source == B_SIGNED || source == B_UNSIGNED;
    }
    return kind >= W_S8 && kind <= W_U64 && (source == B_SIGNED || source == B_UNSIGNED);
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
    bool is_signed = source == B_SIGNED;
    uint8_t value_kind = component_kinds[kind].value_kind;
    if (kind == W_U8 && size == 1 && !is_signed) {
        for (Py_ssize_t i = 0; i < count; i++, item += step) {
            out[i].kind = WASMTIME_COMPONENT_U8;
            out[i].of.u8 = (uint8_t)*item;
        }
        return true;
    }
    if (kind == W_BOOL) {
        for (Py_ssize_t i = 0; i < count; i++, item += step) {
            out[i].kind = value_kind;
            out[i].of.boolean = *item != 0;
        }
        return true;
    }
    if (kind == W_F32 || kind == W_F64) {
        for (Py_ssize_t i = 0; i < count; i++, item += step) {
            out[i].kind = value_kind;
            if (source == B_FLOAT && size == 4 && kind == W_F32) {
                memcpy(&out[i].of.f32, item, 4);
                continue;
            }
            double number;
            if (source == B_FLOAT && size == 8) {
                memcpy(&number, item, 8);
            }
            else if (source == B_FLOAT) {
                number = widen(item);
            }
            else {
                uint64_t bits = buffer_integer(item, size, is_signed);
                number = is_signed ? (double)(int64_t)bits : (double)bits;
            }
            if (kind == W_F32) {
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
        if (UNLIKELY(kind == W_U64 ? is_signed && (int64_t)bits < 0
                                   : huge || (int64_t)bits < component_ranges[kind].low
                                         || (int64_t)bits > component_ranges[kind].high)) {
            ComponentPath place = {path, NULL, i};
            PyObject *number = is_signed ? PyLong_FromLongLong((int64_t)bits)
                                         : PyLong_FromUnsignedLongLong(bits);
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
        && (view.itemsize == 1 || view.itemsize == 2 || view.itemsize == 4
            || view.itemsize == 8)) {
        Py_ssize_t count = view.shape != NULL ? view.shape[0] : view.len / view.itemsize;
        out->size = (size_t)count;
        out->data = arena_array(self, (size_t)count, sizeof(wasmtime_component_val_t));
        status = out->data != NULL
                         && lower_buffer_items(&view, source, kind, count, out->data, path)
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
    if (kind >= W_S8 && kind <= W_U64) {
        for (; place.index < count; place.index++) {
            if (!lower_integer(&place, kind, PyTuple_GetItem(items, place.index),
                               &out[place.index])) {
                return false;
            }
        }
        return true;
    }
    if (kind == W_F32 || kind == W_F64) {
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

/* The elements as a tuple that nobody else can change; NULL with an exception. */
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
    if (kind <= W_F64 && (raw ? kind == W_U8 : !PyList_Check(value) && PyObject_CheckBuffer(value))) {
        int status = lower_buffer(self, kind, value, &out->of.list, path);
        if (status != 0) {
            return status > 0;
        }
    }
    PyObject *items = component_items(value, kind == W_U8 ? "bytes" : "list", path);
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
lower_map(Lowering *self, const ComponentNode *node, PyObject *value,
          wasmtime_component_val_t *out, const ComponentPath *path)
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

/* --- records and tuples ---------------------------------------------------------------------- */

static inline wasm_name_t
edge_name(const ComponentEdge *edge)
{
    wasm_name_t name;
    name.size = edge->length;
    name.data = (void *)edge->utf8;
    return name;
}

/* The field of a record's value; a new reference, or NULL with an exception. */
static PyObject *
record_field(PyObject *value, const ComponentEdge *edge, bool dict, const ComponentPath *path)
{
    PyObject *found;
    if (dict) {
        int status = PyDict_GetItemRef(value, edge->attribute, &found);
        if (status == 0) {
            status = PyDict_GetItemRef(value, edge->name, &found);
        }
        if (status == 0) {
            refuse_component(path, PyExc_TypeError, "the dict lacks the field '%U'", edge->name);
        }
        return found;
    }
    found = PyObject_GetAttr(value, edge->attribute);
    if (LIKELY(found != NULL)) {
        return found;
    }
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return NULL;
    }
    if (edge->attribute != edge->name) {
        PyErr_Clear();
        found = PyObject_GetAttr(value, edge->name);
        if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return found;
        }
    }
    PyErr_Clear();
    refuse_component(path, PyExc_AttributeError, "expected a record with the field '%U', got %.200s",
                     edge->name, type_name(value));
    return NULL;
}

static NOINLINE bool
refuse_unknown_fields(const ProgramObject *program, const ComponentNode *node, PyObject *value,
                      const ComponentPath *path)
{
    PyObject *keys = PyDict_Keys(value); /* of one moment: another thread may change the dict */
    PyObject *unknown = NULL;
    for (Py_ssize_t k = 0; keys != NULL && unknown == NULL && k < PyList_Size(keys); k++) {
        PyObject *key = PyList_GetItem(keys, k);
        bool known = false;
        for (uint32_t i = 0; i < node->count && !known; i++) {
            const ComponentEdge *edge = &program->edges[node->edges + i];
            known = PyUnicode_Check(key)
                    && (PyUnicode_Compare(key, edge->name) == 0
                        || PyUnicode_Compare(key, edge->attribute) == 0);
        }
        if (!known) {
            unknown = key;
        }
    }
    if (unknown != NULL) {
        refuse_component(path, PyExc_TypeError, "the record has no field %R", unknown);
    }
    else if (keys != NULL) {
        refuse_component(path, PyExc_TypeError, "the dict names a field twice");
    }
    Py_XDECREF(keys);
    return false;
}

static bool
lower_record(Lowering *self, const ComponentNode *node, PyObject *value,
             wasmtime_component_val_t *out, const ComponentPath *path)
{
    wasmtime_component_valrecord_entry_t *entries =
        arena_array(self, node->count, sizeof(wasmtime_component_valrecord_entry_t));
    if (entries == NULL) {
        return false;
    }
    bool dict = PyDict_Check(value);
    const ComponentEdge *edge = &self->program->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++, edge++) {
        PyObject *field = record_field(value, edge, dict, path);
        if (field == NULL) {
            return false;
        }
        ComponentPath place = {path, edge->attribute, 0};
        entries[i].name = edge_name(edge);
        bool fine = lower_component(self, (uint32_t)edge->node, field, &entries[i].val, &place);
        Py_DECREF(field);
        if (!fine) {
            return false;
        }
    }
    if (dict && UNLIKELY(PyDict_Size(value) != (Py_ssize_t)node->count)) {
        return refuse_unknown_fields(self->program, node, value, path);
    }
    out->kind = WASMTIME_COMPONENT_RECORD;
    out->of.record.size = node->count;
    out->of.record.data = entries;
    return true;
}

static bool
lower_tuple(Lowering *self, const ComponentNode *node, PyObject *value,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyTuple_Check(value) && !PyList_Check(value)) {
        return refuse_component_type(path, "tuple", value);
    }
    PyObject *items = component_items(value, "tuple", path);
    if (items == NULL) {
        return false;
    }
    bool fine = true;
    if (PyTuple_Size(items) != (Py_ssize_t)node->count) {
        fine = refuse_component(path, PyExc_TypeError, "expected a tuple of %u elements, got %zd",
                                (unsigned)node->count, PyTuple_Size(items));
    }
    wasmtime_component_val_t *values =
        fine ? arena_array(self, node->count, sizeof(wasmtime_component_val_t)) : NULL;
    fine = fine && values != NULL;
    for (uint32_t i = 0; fine && i < node->count; i++) {
        ComponentPath place = {path, NULL, (Py_ssize_t)i};
        fine = lower_component(self, (uint32_t)self->program->edges[node->edges + i].node,
                               PyTuple_GetItem(items, i), &values[i], &place);
    }
    Py_DECREF(items);
    out->kind = WASMTIME_COMPONENT_TUPLE;
    out->of.tuple.size = node->count;
    out->of.tuple.data = values;
    return fine;
}

/* --- names ----------------------------------------------------------------------------------- */

/* The edge of a name, in either spelling; NULL when there is none. */
static const ComponentEdge *
find_edge(const ProgramObject *program, const ComponentNode *node, PyObject *name)
{
    const ComponentEdge *edges = &program->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++) {
        if (edges[i].name == name) {
            return &edges[i];
        }
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (PyUnicode_Compare(edges[i].name, name) == 0) {
            return &edges[i];
        }
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (PyUnicode_Compare(edges[i].attribute, name) == 0) {
            return &edges[i];
        }
    }
    return NULL;
}

static NOINLINE bool
refuse_name(const ProgramObject *program, const ComponentNode *node, PyObject *name,
            PyObject *exception, const ComponentPath *path)
{
    PyObject *known = PyList_New(0);
    for (uint32_t i = 0; known != NULL && i < node->count; i++) {
        if (PyList_Append(known, program->edges[node->edges + i].name) < 0) {
            Py_CLEAR(known);
        }
    }
    if (known != NULL) {
        refuse_component(path, exception, "%R is not among the %s %R", name,
                         node->kind == W_FLAGS ? "flags" : "cases", known);
        Py_DECREF(known);
    }
    return false;
}

static bool
lower_enum(Lowering *self, const ComponentNode *node, PyObject *value,
           wasmtime_component_val_t *out, const ComponentPath *path)
{
    PyObject *name = Py_NewRef(value);
    if (!PyUnicode_Check(value)) { /* a member of an enum.Enum whose value is the name */
        Py_DECREF(name);
        name = PyObject_GetAttr(value, component.str_value);
        if (name == NULL || !PyUnicode_Check(name)) {
            PyErr_Clear();
            Py_XDECREF(name);
            return refuse_component_type(path, "str, the name of an enum's case", value);
        }
    }
    const ComponentEdge *edge = find_edge(self->program, node, name);
    if (edge == NULL) {
        refuse_name(self->program, node, name, state.WasmtimeError, path);
        Py_DECREF(name);
        return false;
    }
    Py_DECREF(name);
    out->kind = WASMTIME_COMPONENT_ENUM;
    out->of.enumeration = edge_name(edge);
    return true;
}

static bool
lower_flags(Lowering *self, const ComponentNode *node, PyObject *value,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyAnySet_Check(value) && !PyList_Check(value) && !PyTuple_Check(value)) {
        return refuse_component_type(path, "set of str", value);
    }
    PyObject *items = PySequence_Tuple(value);
    if (items == NULL) {
        return false;
    }
    Py_ssize_t count = PyTuple_Size(items);
    wasm_name_t *names = arena_array(self, (size_t)count, sizeof(wasm_name_t));
    bool fine = names != NULL;
    for (Py_ssize_t i = 0; fine && i < count; i++) {
        PyObject *item = PyTuple_GetItem(items, i);
        if (!PyUnicode_Check(item)) {
            fine = refuse_component_type(path, "set of str", item);
            break;
        }
        const ComponentEdge *edge = find_edge(self->program, node, item);
        if (edge == NULL) {
            fine = refuse_name(self->program, node, item, state.WasmtimeError, path);
            break;
        }
        names[i] = edge_name(edge);
    }
    Py_DECREF(items);
    out->kind = WASMTIME_COMPONENT_FLAGS;
    out->of.flags.size = (size_t)count;
    out->of.flags.data = names;
    return fine;
}

/* --- variants -------------------------------------------------------------------------------- */

/* Whether the value is of one of the classes that raising gives. */
static bool
value_is(PyObject *value, uint16_t classes)
{
    return ((classes & C_NONE) && value == Py_None) || ((classes & C_BOOL) && PyBool_Check(value))
           || ((classes & C_INT) && PyLong_Check(value))
           || ((classes & C_FLOAT) && PyFloat_Check(value))
           || ((classes & C_STR) && PyUnicode_Check(value))
           || ((classes & C_BYTES) && PyBytes_Check(value))
           || ((classes & C_LIST) && PyList_Check(value))
           || ((classes & C_TUPLE) && PyTuple_Check(value))
           || ((classes & C_SET) && PyAnySet_Check(value))
           || ((classes & C_DICT) && PyDict_Check(value))
           || ((classes & C_RECORD) && PyObject_TypeCheck(value, (PyTypeObject *)component.Record))
           || ((classes & C_VARIANT)
               && PyObject_TypeCheck(value, (PyTypeObject *)component.Variant))
           || ((classes & C_RESOURCE)
               && (PyObject_TypeCheck(value, component.ResourceAny_base)
                   || PyObject_TypeCheck(value, component.ResourceHost_base)));
}

/* Whether the value could be lowered to one of the classes though raising gives another. */
static bool
value_could_be(PyObject *value, uint16_t classes)
{
    if (value == Py_None || PyObject_TypeCheck(value, (PyTypeObject *)component.Variant)) {
        return false;
    }
    bool text = PyUnicode_Check(value);
    if ((classes & C_FLOAT) && !PyBool_Check(value) && !text
        && (PyIndex_Check(value)
            || PyObject_HasAttrString((PyObject *)Py_TYPE(value), "__float__"))) {
        return true;
    }
    if ((classes & C_INT) && PyIndex_Check(value)) {
        return true;
    }
    if ((classes & C_BYTES) && !text && (PyObject_CheckBuffer(value) || PyList_Check(value))) {
        return true;
    }
    if ((classes & C_LIST) && !text && !PyBytes_Check(value) && !PyDict_Check(value)
        && PySequence_Check(value)) {
        return true;
    }
    if ((classes & C_TUPLE) && PyList_Check(value)) {
        return true;
    }
    if ((classes & C_SET) && (PyList_Check(value) || PyTuple_Check(value))) {
        return true;
    }
    if ((classes & C_RESOURCE) && !text && !PyLong_Check(value) && !PyFloat_Check(value)) {
        return PyObject_HasAttrString(value, "_wit_resource");
    }
    return false;
}

/* An object that has all fields of the record, and is no record by class. */
static bool
value_has_fields(const ProgramObject *program, PyObject *value, int32_t payload)
{
    const ComponentNode *node = &program->nodes[payload];
    if (node->kind != W_RECORD || value == Py_None) {
        return false;
    }
    bool dict = PyDict_Check(value);
    for (uint32_t i = 0; i < node->count; i++) {
        const ComponentEdge *edge = &program->edges[node->edges + i];
        if (dict ? PyDict_GetItem(value, edge->attribute) == NULL
                       && PyDict_GetItem(value, edge->name) == NULL
                 : !PyObject_HasAttr(value, edge->attribute)
                       && !PyObject_HasAttr(value, edge->name)) {
            return false;
        }
    }
    return true;
}

/* The case that a value stands for, and the payload (borrowed or new: `payload` is a new
 * reference, NULL for none). NULL with an exception when there is none. */
static const ComponentEdge *
find_case(Lowering *self, const ComponentNode *node, PyObject *value, PyObject **payload,
          const ComponentPath *path)
{
    const ProgramObject *program = self->program;
    const ComponentEdge *edges = &program->edges[node->edges];
    bool variant = PyObject_TypeCheck(value, (PyTypeObject *)component.Variant);
    *payload = NULL;
    if (!node->tagged) {
        for (uint32_t i = 0; i < node->count; i++) {
            int32_t inner = edges[i].node;
            if (inner < 0 ? value == Py_None : value_is(value, program->nodes[inner].classes)) {
                *payload = inner < 0 ? NULL : Py_NewRef(value);
                return &edges[i];
            }
        }
        for (uint32_t i = 0; !variant && i < node->count; i++) {
            int32_t inner = edges[i].node;
            if (inner >= 0
                && (value_could_be(value, program->nodes[inner].classes)
                    || value_has_fields(program, value, inner))) {
                *payload = Py_NewRef(value);
                return &edges[i];
            }
        }
    }
    if (!variant) {
        if (node->tagged) {
            refuse_component_type(path,
                                  node->kind == W_RESULT ? "Variant (Ok or Err)" : "Variant",
                                  value);
        }
        else {
            refuse_component(path, PyExc_ValueError,
                             "value not valid for this %s: no case takes %.200s",
                             component_kinds[node->kind].name, type_name(value));
        }
        return NULL;
    }
    PyObject *tag = PyObject_GetAttr(value, component.str_tag);
    if (tag == NULL) {
        return NULL;
    }
    const ComponentEdge *edge = NULL;
    if (!PyUnicode_Check(tag)) {
        refuse_component_type(path, "str as the tag of a Variant", tag);
    }
    else if ((edge = find_edge(program, node, tag)) == NULL) {
        refuse_name(program, node, tag, PyExc_ValueError, path);
    }
    Py_DECREF(tag);
    if (edge == NULL) {
        return NULL;
    }
    PyObject *content = PyObject_GetAttr(value, component.str_payload);
    if (content == NULL) {
        return NULL;
    }
    if (edge->node < 0) {
        if (content != Py_None) {
            refuse_component(path, PyExc_TypeError, "the case '%U' has no payload", edge->name);
            edge = NULL;
        }
        Py_DECREF(content);
        return edge;
    }
    *payload = content;
    return edge;
}

static bool
lower_cases(Lowering *self, const ComponentNode *node, PyObject *value,
            wasmtime_component_val_t *out, const ComponentPath *path)
{
    PyObject *payload;
    const ComponentEdge *edge = find_case(self, node, value, &payload, path);
    if (edge == NULL) {
        return false;
    }
    wasmtime_component_val_t *content = NULL;
    if (edge->node >= 0) {
        bool fine = false;
        content = arena_alloc(self, sizeof(wasmtime_component_val_t));
        if (content != NULL) {
            /* The payload of an option stands where the option stands. */
            ComponentPath inner = {path, edge->attribute, 0};
            fine = lower_component(self, (uint32_t)edge->node, payload, content,
                                   node->kind == W_OPTION || !node->tagged ? path : &inner);
        }
        Py_DECREF(payload);
        if (!fine) {
            return false;
        }
    }
    out->kind = component_kinds[node->kind].value_kind;
    switch (node->kind) {
    case W_VARIANT:
        out->of.variant.discriminant = edge_name(edge);
        out->of.variant.val = content;
        break;
    case W_OPTION:
        out->of.option = content;
        break;
    default:
        out->of.result.is_ok = edge == &self->program->edges[node->edges];
        out->of.result.val = content;
        break;
    }
    return true;
}

/* --- strings --------------------------------------------------------------------------------- */

static bool
lower_string(Lowering *self, PyObject *value, wasmtime_component_val_t *out,
             const ComponentPath *path)
{
    if (!PyUnicode_Check(value)) {
        return refuse_component_type(path, "str", value);
    }
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (UNLIKELY(utf8 == NULL)) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
            return refuse_component(path, PyExc_ValueError,
                                    "the text holds a lone surrogate, which is not valid Unicode");
        }
        return false;
    }
    out->kind = WASMTIME_COMPONENT_STRING;
    out->of.string.size = (size_t)size;
    out->of.string.data = (void *)utf8;
    return arena_keep(self, Py_NewRef(value));
}

static bool
lower_char(PyObject *value, wasmtime_component_val_t *out, const ComponentPath *path)
{
    if (!PyUnicode_Check(value) || PyUnicode_GetLength(value) != 1) {
        return refuse_component(path, PyExc_TypeError,
                                "expected char (a str of one character), got %R", value);
    }
    Py_UCS4 character = PyUnicode_ReadChar(value, 0);
    if (character >= 0xD800 && character <= 0xDFFF) {
        return refuse_component(path, PyExc_ValueError, "a lone surrogate is not a char");
    }
    out->kind = WASMTIME_COMPONENT_CHAR;
    out->of.character = character;
    return true;
}

static bool lower_resource(Lowering *self, const ComponentNode *node, PyObject *value,
                           wasmtime_component_val_t *out, const ComponentPath *path);

/* --- the program runs ------------------------------------------------------------------------ */

static bool
lower_component(Lowering *self, uint32_t index, PyObject *value, wasmtime_component_val_t *out,
                const ComponentPath *path)
{
    const ComponentNode *node = &self->program->nodes[index];
    switch (node->kind) {
    case W_BOOL:
        if (!PyBool_Check(value)) {
            return refuse_component_type(path, "bool", value);
        }
        out->kind = WASMTIME_COMPONENT_BOOL;
        out->of.boolean = value == Py_True;
        return true;
    case W_S8:
    case W_S16:
    case W_S32:
    case W_S64:
    case W_U8:
    case W_U16:
    case W_U32:
    case W_U64:
        return lower_integer(path, node->kind, value, out);
    case W_F32:
    case W_F64:
        return lower_float(path, node->kind, value, out);
    case W_CHAR:
        return lower_char(value, out, path);
    case W_STRING:
        return lower_string(self, value, out, path);
    case W_LIST:
    case W_FIXED_LIST:
        return lower_list(self, node, value, out, path);
    case W_RECORD:
        return lower_record(self, node, value, out, path);
    case W_TUPLE:
        return lower_tuple(self, node, value, out, path);
    case W_VARIANT:
    case W_OPTION:
    case W_RESULT:
        return lower_cases(self, node, value, out, path);
    case W_ENUM:
        return lower_enum(self, node, value, out, path);
    case W_FLAGS:
        return lower_flags(self, node, value, out, path);
    case W_MAP:
        return lower_map(self, node, value, out, path);
    case W_OWN:
    case W_BORROW:
        return lower_resource(self, node, value, out, path);
    default:
        return refuse_component(path, component.UnsupportedTypeError, "values of type %s are not "
                                "supported", component_kinds[node->kind].name);
    }
}

/* --- raising --------------------------------------------------------------------------------- */

typedef struct {
    StoreObject *store;
    const ProgramObject *program;
    PyObject *borrows; /* list of the borrowed ResourceAny made, or NULL: not asked for */
} Raising;

static PyObject *raise_component(Raising *self, uint32_t node,
                                 const wasmtime_component_val_t *value);
static PyObject *raise_resource(Raising *self, const ComponentNode *node,
                                const wasmtime_component_val_t *value);

static NOINLINE PyObject *
refuse_raising(const ComponentNode *node, const wasmtime_component_val_t *value)
{
    PyErr_Format(PyExc_SystemError, "the library gave a value of kind %d for the type %s",
                 (int)value->kind, component_kinds[node->kind].name);
    return NULL;
}

static PyObject *
raise_list(Raising *self, const ComponentNode *node, const wasmtime_component_vallist_t *list)
{
    uint32_t element = (uint32_t)self->program->edges[node->edges].node;
    uint8_t kind = self->program->nodes[element].kind;
    Py_ssize_t count = (Py_ssize_t)list->size;
    if (kind == W_U8) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, count);
        if (bytes != NULL) {
            char *data = PyBytes_AsString(bytes);
            for (Py_ssize_t i = 0; i < count; i++) {
                data[i] = (char)list->data[i].of.u8;
            }
        }
        return bytes;
    }
    PyObject *result = PyList_New(count);
    for (Py_ssize_t i = 0; result != NULL && i < count; i++) {
        PyObject *item = kind == W_F64 ? PyFloat_FromDouble(list->data[i].of.f64)
                                       : raise_component(self, element, &list->data[i]);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyList_SetItem(result, i, item);
    }
    return result;
}

static PyObject *
raise_record(Raising *self, const ComponentNode *node, const wasmtime_component_valrecord_t *record)
{
    PyObject *result = type_alloc((PyTypeObject *)component.Record);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        const ComponentEdge *edge = &self->program->edges[node->edges + i];
        PyObject *field = raise_component(self, (uint32_t)edge->node, &record->data[i].val);
        if (field == NULL || PyObject_GenericSetAttr(result, edge->attribute, field) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(field);
    }
    return result;
}

static PyObject *
raise_tuple(Raising *self, const ComponentNode *node, const wasmtime_component_valtuple_t *tuple)
{
    PyObject *result = PyTuple_New((Py_ssize_t)node->count);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        PyObject *item = raise_component(self, (uint32_t)self->program->edges[node->edges + i].node,
                                         &tuple->data[i]);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyTuple_SetItem(result, (Py_ssize_t)i, item);
    }
    return result;
}

static PyObject *
raise_map(Raising *self, const ComponentNode *node, const wasmtime_component_valmap_t *map)
{
    const ComponentEdge *edges = &self->program->edges[node->edges];
    PyObject *result = PyDict_New();
    for (size_t i = 0; result != NULL && i < map->size; i++) {
        PyObject *key = raise_component(self, (uint32_t)edges[0].node, &map->data[i].key);
        PyObject *value =
            key ? raise_component(self, (uint32_t)edges[1].node, &map->data[i].value) : NULL;
        if (value == NULL || PyDict_SetItem(result, key, value) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return result;
}

/* The edge whose name the library gave; NULL with an exception when there is none. */
static const ComponentEdge *
raised_edge(const ProgramObject *program, const ComponentNode *node, const wasm_name_t *name)
{
    const ComponentEdge *edges = &program->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++) {
        if (edges[i].length == name->size
            && memcmp(edges[i].utf8, name->data, name->size) == 0) {
            return &edges[i];
        }
    }
    PyErr_SetString(PyExc_SystemError, "the library gave a case that the type does not have");
    return NULL;
}

static PyObject *
raise_flags(Raising *self, const ComponentNode *node, const wasmtime_component_valflags_t *flags)
{
    PyObject *result = PySet_New(NULL);
    for (size_t i = 0; result != NULL && i < flags->size; i++) {
        const ComponentEdge *edge = raised_edge(self->program, node, &flags->data[i]);
        if (edge == NULL || PySet_Add(result, edge->name) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *
raise_case(Raising *self, const ComponentNode *node, const ComponentEdge *edge,
           const wasmtime_component_val_t *content)
{
    PyObject *payload;
    if (edge->node < 0 || content == NULL) {
        payload = Py_NewRef(Py_None);
    }
    else {
        payload = raise_component(self, (uint32_t)edge->node, content);
    }
    if (payload == NULL || !node->tagged) {
        return payload;
    }
    PyObject *type = component.Variant;
    if (node->kind == W_RESULT && self->program->tagged) {
        type = edge->name == component.str_ok ? component.Ok : component.Err;
    }
    PyObject *result = type_alloc((PyTypeObject *)type);
    if (result != NULL
        && (PyObject_GenericSetAttr(result, component.str_tag, edge->name) < 0
            || PyObject_GenericSetAttr(result, component.str_payload, payload) < 0)) {
        Py_CLEAR(result);
    }
    Py_DECREF(payload);
    return result;
}

static PyObject *
raise_component(Raising *self, uint32_t index, const wasmtime_component_val_t *value)
{
    const ComponentNode *node = &self->program->nodes[index];
    if (UNLIKELY(value->kind != component_kinds[node->kind].value_kind)) {
        return refuse_raising(node, value);
    }
    const ComponentEdge *edge = &self->program->edges[node->edges];
    switch (node->kind) {
    case W_BOOL:
        return PyBool_FromLong(value->of.boolean);
    case W_S8:
        return PyLong_FromLong(value->of.s8);
    case W_S16:
        return PyLong_FromLong(value->of.s16);
    case W_S32:
        return PyLong_FromLong(value->of.s32);
    case W_S64:
        return PyLong_FromLongLong(value->of.s64);
    case W_U8:
        return PyLong_FromLong(value->of.u8);
    case W_U16:
        return PyLong_FromLong(value->of.u16);
    case W_U32:
        return PyLong_FromLongLong(value->of.u32);
    case W_U64:
        return PyLong_FromUnsignedLongLong(value->of.u64);
    case W_F32:
        return PyFloat_FromDouble(widen(&value->of.f32));
    case W_F64:
        return PyFloat_FromDouble(value->of.f64);
    case W_CHAR:
        return PyUnicode_FromOrdinal((int)value->of.character);
    case W_STRING:
        return PyUnicode_DecodeUTF8(value->of.string.size ? (const char *)value->of.string.data : "",
                                    (Py_ssize_t)value->of.string.size, NULL);
    case W_LIST:
    case W_FIXED_LIST:
        return raise_list(self, node, &value->of.list);
    case W_RECORD:
        if (UNLIKELY(value->of.record.size != node->count)) {
            return refuse_raising(node, value);
        }
        return raise_record(self, node, &value->of.record);
    case W_TUPLE:
        if (UNLIKELY(value->of.tuple.size != node->count)) {
            return refuse_raising(node, value);
        }
        return raise_tuple(self, node, &value->of.tuple);
    case W_VARIANT:
        edge = raised_edge(self->program, node, &value->of.variant.discriminant);
        return edge ? raise_case(self, node, edge, value->of.variant.val) : NULL;
    case W_OPTION:
        return raise_case(self, node, value->of.option ? edge + 1 : edge, value->of.option);
    case W_RESULT:
        return raise_case(self, node, value->of.result.is_ok ? edge : edge + 1,
                          value->of.result.val);
    case W_ENUM:
        edge = raised_edge(self->program, node, &value->of.enumeration);
        return edge ? Py_NewRef(edge->name) : NULL;
    case W_FLAGS:
        return raise_flags(self, node, &value->of.flags);
    case W_MAP:
        return raise_map(self, node, &value->of.map);
    case W_OWN:
    case W_BORROW:
        return raise_resource(self, node, value);
    default:
        return refuse_raising(node, value);
    }
}
