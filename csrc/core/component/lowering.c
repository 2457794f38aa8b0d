/* The arena of one call, and errors that name the place. The lower_*.c files write into it.
 *
 * Ownership: what is lowered lies in an arena (blocks of memory and references to Python objects)
 * that is freed at once after the native call. The library only reads it: strings point into the
 * Python objects, which the arena keeps alive. */

/* Where a value stands, from the inside out, for the message of an error. */
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

/* A buffer that is sent from where it lies. */
typedef struct HeldBuffer {
    Py_buffer view;
    struct HeldBuffer *next;
} HeldBuffer;

typedef struct {
    ALIGNED(16) char space[ARENA_INLINE];
    char *free, *end; /* of the block in use */
    ArenaBlock *blocks;
    PyObject *few[ARENA_FEW];
    PyObject **kept;
    size_t kept_count, kept_room;
    StoreObject *store;
    const ProgramObject *program;
    HeldBuffer *held; /* they lie in the arena */
    bool packs;       /* lists of numbers are packed: lower_packed.c */
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
    self->held = NULL;
    self->packs = false;
}

static void
lowering_end(Lowering *self)
{
    while (UNLIKELY(self->held != NULL)) {
        PyBuffer_Release(&self->held->view);
        self->held = self->held->next;
    }
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

/* --- errors --------------------------------------------------------------------------------- */

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

/* --- what the files below call of one another ----------------------------------------------- */

static bool lower_component(Lowering *self, uint32_t node, PyObject *value,
                            wasmtime_component_val_t *out, const ComponentPath *path);
static bool lower_resource(Lowering *self, const ComponentNode *node, PyObject *value,
                           wasmtime_component_val_t *out, const ComponentPath *path);
