/* Results from the codec: answers are unpacked into one piece of memory, from which a program lifts
 * the value. wasmtime/component/_bulk/codec.py describes the answers.
 *
 * Nothing is believed: what the guest's memory says is checked as the library checks it, with the
 * same words, and what the codec says is checked against what has come.
 *
 * Ownership: the reader owns its memory. */

typedef struct {
    StoreObject *store;
    ProgramObject *program;
    char *data;
    size_t size, room; /* of the data */
    size_t at;         /* the next block */
    size_t parts;      /* that were lifted */
    char what;         /* follows the last answer: see BULK_DONE */
    bool broken;       /* the guest did something wrong: its instance must end */
    bool no_memory;
} BulkReader;

#define BULK_DONE '0'
#define BULK_MORE '1'
#define BULK_FIRST_FAULT 'a'

/* Each part of a list becomes an object of Python; so many at most, whatever the guest claims. */
#define BULK_MAX_PARTS ((size_t)1 << 24)

static const char *const bulk_faults[] = {
    "realloc return: result not aligned",
    "realloc return: beyond end of memory",
    "return pointer not aligned",
    "pointer out of bounds of memory",
    "list pointer is not aligned",
    "list pointer/length out of bounds of memory",
    "string pointer/length out of bounds of memory", /* a string is always aligned */
    "string pointer/length out of bounds of memory",
    "map pointer is not aligned",
    "map pointer/length out of bounds of memory",
    "too much data is being copied between the host and the guest",
};
#define BULK_FAULTS ((int)(sizeof(bulk_faults) / sizeof(bulk_faults[0])))
#define BULK_TOO_MUCH (BULK_FAULTS - 1)

/* --- unpacking: no object of Python is touched ---------------------------------------------- */

/* The number of bytes in an answer, and what follows it; false: it is none. Behind the units are two
 * characters: how much of the last unit is not meant, and what follows. */
static HOT bool
bulk_open(BulkReader *self, const wasmtime_component_val_t *answer, size_t *size)
{
    size_t length = answer->kind == WASMTIME_COMPONENT_STRING ? answer->of.string.size : 0;
    size_t all = length / UNIT_PACKED * UNIT_PLAIN;
    size_t unmeant = length % UNIT_PACKED == 2 ? answer->of.string.data[length - 2] : SIZE_MAX;
    if (unmeant > all) {
        self->what = BULK_DONE; /* what is missing will be missed */
        return false;
    }
    *size = all - unmeant;
    self->what = (char)answer->of.string.data[length - 1];
    return true;
}

/* Add an answer to the data. */
static HOT void
bulk_take(BulkReader *self, const wasmtime_component_val_t *answer)
{
    size_t size;
    if (!bulk_open(self, answer, &size) || size == 0) {
        return;
    }
    if (self->size + size > self->room) {
        size_t room = self->what == BULK_MORE ? (self->size + size) * 2 : self->size + size;
        char *data = PyMem_RawRealloc(self->data, room);
        if (data == NULL) {
            self->no_memory = true;
            return;
        }
        self->data = data;
        self->room = room;
    }
    bulk_unpack(self->data + self->size, answer->of.string.data, 0, size);
    self->size += size;
}

/* --- lifting -------------------------------------------------------------------------------- */

/* Raise what the library raises for a guest that breaks the rules; the instance is to end. */
static NOINLINE PyObject *
bulk_refuse(BulkReader *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PyObject *message = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    self->broken = true;
    if (message != NULL) {
        PyErr_SetObject(state.WasmtimeError, message);
        Py_DECREF(message);
    }
    return NULL;
}

static NOINLINE const char *
bulk_refuse_block(BulkReader *self)
{
    int fault = self->what - BULK_FIRST_FAULT;
    bulk_refuse(self, "%s",
                fault >= 0 && fault < BULK_FAULTS
                    ? bulk_faults[fault]
                    : "the codec's answer is shorter than the value in it");
    return NULL;
}

/* The next block, of so many bytes; NULL with an exception. */
static inline const char *
bulk_block(BulkReader *self, uint64_t size)
{
    if (UNLIKELY(size > self->size - self->at)) {
        return bulk_refuse_block(self);
    }
    const char *block = self->data + self->at;
    self->at += (size_t)size;
    return block;
}

static inline uint32_t
bulk_word(const char *at, uint32_t size)
{
    uint32_t word = 0;
    memcpy(&word, at, size);
    return word;
}

static inline double
bulk_double(const char *at)
{
    double number;
    memcpy(&number, at, sizeof(number));
    return number;
}

static PyObject *bulk_lift(BulkReader *self, int32_t index, const char *at);

static PyObject *
bulk_lift_scalar(BulkReader *self, uint8_t kind, const char *at)
{
    uint32_t word;
    int64_t wide;
    switch (kind) {
    case WIT_BOOL:
        return PyBool_FromLong(*at != 0);
    case WIT_S8:
        return PyLong_FromLong((int8_t)*at);
    case WIT_U8:
        return PyLong_FromLong((uint8_t)*at);
    case WIT_S16:
        return PyLong_FromLong((int16_t)bulk_word(at, 2));
    case WIT_U16:
        return PyLong_FromLong((long)bulk_word(at, 2));
    case WIT_S32:
        return PyLong_FromLong((int32_t)bulk_word(at, 4));
    case WIT_U32:
        return PyLong_FromLongLong(bulk_word(at, 4));
    case WIT_S64:
        memcpy(&wide, at, 8);
        return PyLong_FromLongLong(wide);
    case WIT_U64:
        memcpy(&wide, at, 8);
        return PyLong_FromUnsignedLongLong((uint64_t)wide);
    case WIT_F32:
        return PyFloat_FromDouble(widen(at));
    case WIT_F64:
        return PyFloat_FromDouble(bulk_double(at));
    default:
        word = bulk_word(at, 4);
        if (UNLIKELY(word > 0x10FFFF || (word >= 0xD800 && word <= 0xDFFF))) {
            return bulk_refuse(self, "converted integer out of range for `char`");
        }
        return PyUnicode_FromOrdinal((int)word);
    }
}

/* Text that is not UTF-8, in the library's words. */
static NOINLINE PyObject *
bulk_refuse_text(BulkReader *self)
{
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        return NULL;
    }
    PyObject *error = PyErr_GetRaisedException();
    Py_ssize_t start = 0, end = 0;
    PyObject *reason = PyUnicodeDecodeError_GetReason(error);
    bool cut =
        reason != NULL && PyUnicode_CompareWithASCIIString(reason, "unexpected end of data") == 0;
    if (PyUnicodeDecodeError_GetStart(error, &start) == 0
        && PyUnicodeDecodeError_GetEnd(error, &end) == 0) {
        if (cut) {
            bulk_refuse(self, "incomplete utf-8 byte sequence from index %zd", start);
        }
        else {
            bulk_refuse(self, "invalid utf-8 sequence of %zd bytes from index %zd", end - start,
                        start);
        }
    }
    Py_XDECREF(reason);
    Py_DECREF(error);
    return NULL;
}

static PyObject *
bulk_lift_string(BulkReader *self, const char *at)
{
    uint32_t size = bulk_word(at + 4, 4);
    const char *block = bulk_block(self, size);
    PyObject *text = block != NULL ? PyUnicode_DecodeUTF8(block, (Py_ssize_t)size, NULL) : NULL;
    return text != NULL || block == NULL ? text : bulk_refuse_text(self);
}

static PyObject *
bulk_lift_numbers(BulkReader *self, uint8_t kind, const char *block, Py_ssize_t count)
{
    if (kind == WIT_U8) {
        return PyBytes_FromStringAndSize(block, count);
    }
    uint32_t size = scalar_sizes[kind];
    if (self->program->arrays && array_code(kind) != 0) {
        char *data;
        PyObject *array = number_array(kind, count, &data);
        if (array != NULL) {
            memcpy(data, block, (size_t)count * size);
        }
        return array;
    }
    PyObject *result = PyList_New(count);
    for (Py_ssize_t i = 0; result != NULL && i < count; i++) {
        const char *at = block + i * size;
        PyObject *item = kind == WIT_F64 ? PyFloat_FromDouble(bulk_double(at))
                                         : bulk_lift_scalar(self, kind, at);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyList_SetItem(result, i, item);
    }
    return result;
}

static bool
bulk_count_parts(BulkReader *self, uint32_t count)
{
    self->parts += count;
    if (UNLIKELY(self->parts > BULK_MAX_PARTS)) {
        bulk_refuse(self, "%s: more than %zu parts of lists", bulk_faults[BULK_TOO_MUCH],
                    BULK_MAX_PARTS);
        return false;
    }
    return true;
}

static PyObject *
bulk_lift_list(BulkReader *self, const ComponentNode *node, const char *at)
{
    int32_t element = self->program->edges[node->edges].node;
    uint8_t kind = self->program->nodes[element].kind;
    uint32_t count = bulk_word(at + 4, 4), size = node->element_size;
    const char *block = bulk_block(self, (uint64_t)count * size);
    if (block == NULL) {
        return NULL;
    }
    if (kind <= WIT_CHAR) {
        return bulk_lift_numbers(self, kind, block, (Py_ssize_t)count);
    }
    PyObject *result = bulk_count_parts(self, count) ? PyList_New((Py_ssize_t)count) : NULL;
    for (uint32_t i = 0; result != NULL && i < count; i++) {
        PyObject *item = bulk_lift(self, element, block + (size_t)i * size);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyList_SetItem(result, (Py_ssize_t)i, item);
    }
    return result;
}

static PyObject *
bulk_lift_map(BulkReader *self, const ComponentNode *node, const char *at)
{
    const ComponentEdge *edges = &self->program->edges[node->edges];
    uint32_t count = bulk_word(at + 4, 4);
    const char *block = bulk_block(self, (uint64_t)count * node->element_size);
    if (block == NULL || !bulk_count_parts(self, count)) {
        return NULL;
    }
    PyObject *result = PyDict_New();
    for (uint32_t i = 0; result != NULL && i < count; i++) {
        const char *pair = block + (size_t)i * node->element_size;
        PyObject *key = bulk_lift(self, edges[0].node, pair);
        PyObject *value = key ? bulk_lift(self, edges[1].node, pair + edges[1].offset) : NULL;
        if (value == NULL || PyDict_SetItem(result, key, value) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return result;
}

static PyObject *
bulk_lift_record(BulkReader *self, const ComponentNode *node, const char *at)
{
    PyObject *result = type_alloc((PyTypeObject *)component.Record);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        const ComponentEdge *edge = &self->program->edges[node->edges + i];
        PyObject *field = bulk_lift(self, edge->node, at + edge->offset);
        if (field == NULL || PyObject_GenericSetAttr(result, edge->attribute, field) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(field);
    }
    return result;
}

static PyObject *
bulk_lift_tuple(BulkReader *self, const ComponentNode *node, const char *at)
{
    PyObject *result = PyTuple_New((Py_ssize_t)node->count);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        const ComponentEdge *edge = &self->program->edges[node->edges + i];
        PyObject *item = bulk_lift(self, edge->node, at + edge->offset);
        if (item == NULL) {
            Py_CLEAR(result);
            break;
        }
        PyTuple_SetItem(result, (Py_ssize_t)i, item);
    }
    return result;
}

/* What has cases, by the number of the case. */
static PyObject *
bulk_lift_case(BulkReader *self, const ComponentNode *node, uint32_t number, const char *at)
{
    if (UNLIKELY(number >= node->count)) {
        return bulk_refuse(self, "discriminant %u out of range [0..%u)", (unsigned)number,
                           (unsigned)node->count);
    }
    const ComponentEdge *edge = &self->program->edges[node->edges + number];
    if (node->kind == WIT_ENUM) {
        return Py_NewRef(edge->name);
    }
    PyObject *payload =
        edge->node < 0 ? Py_NewRef(Py_None) : bulk_lift(self, edge->node, at + edge->offset);
    return lift_wrap_case(self->program, node, edge, payload);
}

static PyObject *
bulk_lift_flags(BulkReader *self, const ComponentNode *node, uint32_t bits)
{
    PyObject *result = PySet_New(NULL);
    for (uint32_t i = 0; result != NULL && i < node->count; i++) {
        if ((bits >> i & 1) && PySet_Add(result, self->program->edges[node->edges + i].name) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

/* The value of a node that lies at `at`; what it points to is in the next blocks. */
static PyObject *
bulk_lift(BulkReader *self, int32_t index, const char *at)
{
    const ComponentNode *node = &self->program->nodes[index];
    if (node->kind <= WIT_CHAR) {
        return bulk_lift_scalar(self, node->kind, at);
    }
    switch (node->kind) {
    case WIT_STRING:
        return bulk_lift_string(self, at);
    case WIT_LIST:
        return bulk_lift_list(self, node, at);
    case WIT_MAP:
        return bulk_lift_map(self, node, at);
    case WIT_RECORD:
        return bulk_lift_record(self, node, at);
    case WIT_TUPLE:
        return bulk_lift_tuple(self, node, at);
    case WIT_FLAGS:
        return bulk_lift_flags(self, node, bulk_word(at, node->size));
    default:
        return bulk_lift_case(self, node, bulk_word(at, layout_discriminant(node->count)), at);
    }
}

/* A value of one flat word: numbers of all widths, which its bytes in memory would cut short. */
static PyObject *
bulk_lift_flat(BulkReader *self, int32_t index, const char *at)
{
    const ComponentNode *node = &self->program->nodes[index];
    const ComponentEdge *edges = &self->program->edges[node->edges];
    PyObject *inner, *result = NULL;
    switch (node->kind) {
    case WIT_BOOL:
        return PyBool_FromLong(bulk_word(at, 4) != 0);
    case WIT_VARIANT:
    case WIT_OPTION:
    case WIT_RESULT:
    case WIT_ENUM:
        return bulk_lift_case(self, node, bulk_word(at, 4), at);
    case WIT_TUPLE:
        inner = bulk_lift_flat(self, edges->node, at);
        result = inner != NULL ? PyTuple_Pack(1, inner) : NULL;
        Py_XDECREF(inner);
        return result;
    case WIT_RECORD:
        inner = bulk_lift_flat(self, edges->node, at);
        result = inner != NULL ? type_alloc((PyTypeObject *)component.Record) : NULL;
        if (result != NULL && PyObject_GenericSetAttr(result, edges->attribute, inner) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(inner);
        return result;
    default:
        return bulk_lift(self, index, at);
    }
}

/* The whole result; NULL with an exception. */
static PyObject *
bulk_read(BulkReader *self)
{
    if (self->no_memory) {
        return PyErr_NoMemory();
    }
    int32_t index = self->program->result;
    const ComponentNode *node = index < 0 ? NULL : &self->program->nodes[index];
    if (node == NULL) {
        return self->what == BULK_DONE ? Py_NewRef(Py_None) : (PyObject *)bulk_refuse_block(self);
    }
    const char *root = bulk_block(self, node->flat == 1 ? 8 : node->size);
    if (root == NULL) {
        return NULL;
    }
    PyObject *result =
        node->flat == 1 ? bulk_lift_flat(self, index, root) : bulk_lift(self, index, root);
    if (result != NULL && self->what != BULK_DONE) { /* at a block of no bytes */
        Py_DECREF(result);
        return (PyObject *)bulk_refuse_block(self);
    }
    return result;
}
