/* SnapshotImage: the pages of a memory that differ from those of a new instance, and the way to put
 * them there.
 *
 * Few pages are copied. Many are mapped on Linux: they lie in a memory file of the image's, of which
 * each copy gets a private mapping in the place of its own pages. A copy then pays for the pages that
 * it writes to, and shares the others with all the rest. That needs an engine that gives every
 * memory an address range of its own and returns it to the system: a pool would hand the mapped
 * pages on to the next instance.
 *
 * Ownership: an image owns its bytes, or its file and one view of it. The mappings in memories need
 * neither; they go with the memory. Nothing changes after the image is made but what copies teach
 * (written.c), so that any number of threads may use it. */

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

typedef struct {
    size_t offset; /* in the memory */
    size_t size;
    size_t place; /* in `bytes` */
} ImageRun;

typedef struct {
    PyObject_HEAD
    uint8_t *bytes; /* of all runs */
    size_t size;    /* of `bytes` */
    ImageRun *runs;
    size_t count;
    size_t end; /* how large a memory must be */
    int file;   /* -1: the bytes are not in a file */
    WrittenPages written;
} SnapshotImageObject;

/* Below this, copying costs less than mapping. */
#define IMAGE_MAP_LEAST ((size_t)256 << 10)

/* --- memory files --------------------------------------------------------------------------- */

#if defined(__linux__) && defined(SYS_memfd_create)

/* From the kernel's headers, which a libc need not have. */
#define IMAGE_MFD_CLOEXEC 1U
#define IMAGE_MFD_ALLOW_SEALING 2U
#define IMAGE_ADD_SEALS 1033
#define IMAGE_SEAL_SHRINK_GROW 6

/* Put the bytes into a memory file; they stay where they are if there can be none. */
static void
image_make_file(SnapshotImageObject *self)
{
    int file = (int)syscall(SYS_memfd_create, "wasmtime-snapshot",
                            IMAGE_MFD_CLOEXEC | IMAGE_MFD_ALLOW_SEALING);
    if (file < 0) {
        return;
    }
    void *view = MAP_FAILED;
    if (ftruncate(file, (off_t)self->size) == 0) {
        view = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (view == MAP_FAILED) {
        close(file);
        return;
    }
    memcpy(view, self->bytes, self->size);
    mprotect(view, self->size, PROT_READ);
    fcntl(file, IMAGE_ADD_SEALS, IMAGE_SEAL_SHRINK_GROW);
    PyMem_RawFree(self->bytes);
    self->bytes = view;
    self->file = file;
}

static void
image_drop_bytes(SnapshotImageObject *self)
{
    if (self->file < 0) {
        PyMem_RawFree(self->bytes);
        return;
    }
    munmap(self->bytes, self->size);
    close(self->file);
}

/* Map as much of a run as consists of whole pages; returns how many bytes these are. */
static size_t
image_map_run(const SnapshotImageObject *self, const ImageRun *run, uint8_t *data)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = run->size & ~(page - 1);
    uint8_t *target = data + run->offset;
    if (self->file < 0 || size == 0 || ((uintptr_t)target | run->place) & (page - 1)) {
        return 0;
    }
    void *mapped = mmap(target, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, self->file,
                        (off_t)run->place);
    return mapped == MAP_FAILED ? 0 : size;
}

#else

static void
image_make_file(SnapshotImageObject *Py_UNUSED(self))
{
}

static void
image_drop_bytes(SnapshotImageObject *self)
{
    PyMem_RawFree(self->bytes);
}

static size_t
image_map_run(const SnapshotImageObject *Py_UNUSED(self), const ImageRun *Py_UNUSED(run),
              uint8_t *Py_UNUSED(data))
{
    return 0;
}

#endif

/* --- making one ----------------------------------------------------------------------------- */

/* Take the runs of a tuple of (offset, bytes); false with an exception. */
static bool
image_take_runs(SnapshotImageObject *self, PyObject *runs)
{
    Py_ssize_t count = PyTuple_Size(runs);
    self->runs = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(ImageRun));
    if (self->runs == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t offset;
        PyObject *bytes;
        if (!PyArg_ParseTuple(PyTuple_GetItem(runs, i), "nS:SnapshotImage", &offset, &bytes)) {
            return false;
        }
        size_t size = (size_t)PyBytes_Size(bytes);
        if (offset < 0 || (size_t)offset < self->end || size > (size_t)(PY_SSIZE_T_MAX - offset)) {
            PyErr_SetString(PyExc_ValueError, "the runs overlap or are not in order");
            return false;
        }
        self->runs[self->count++] = (ImageRun){(size_t)offset, size, self->size};
        self->end = (size_t)offset + size;
        /* Each starts at a page of the file. */
        self->size += (size + SNAPSHOT_PAGE - 1) & ~(SNAPSHOT_PAGE - 1);
    }
    return true;
}

static PyObject *
image_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *runs;
    if (!PyArg_ParseTuple(args, "O!:SnapshotImage", &PyTuple_Type, &runs)) {
        return NULL;
    }
    SnapshotImageObject *self = (SnapshotImageObject *)type_alloc(type);
    if (self == NULL) {
        return NULL;
    }
    self->file = -1;
    if (!image_take_runs(self, runs)) {
        Py_DECREF(self);
        return NULL;
    }
    self->bytes = PyMem_RawCalloc(self->size ? self->size : 1, 1);
    if (self->bytes == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < self->count; i++) {
        PyObject *bytes = PyTuple_GetItem(PyTuple_GetItem(runs, (Py_ssize_t)i), 1);
        memcpy(self->bytes + self->runs[i].place, PyBytes_AsString(bytes), self->runs[i].size);
    }
    if (self->size >= IMAGE_MAP_LEAST) {
        image_make_file(self);
    }
    return (PyObject *)self;
}

static void
image_dealloc(SnapshotImageObject *self)
{
    if (self->bytes != NULL) {
        image_drop_bytes(self);
    }
    PyMem_RawFree(self->runs);
    written_clear(&self->written);
    type_free((PyObject *)self);
}

/* --- using it ------------------------------------------------------------------------------- */

/* Whether all of it was mapped. */
static bool
image_put(SnapshotImageObject *self, uint8_t *data, size_t size, bool may_map)
{
    bool all_mapped = may_map && self->file >= 0;
    for (size_t i = 0; i < self->count; i++) {
        const ImageRun *run = &self->runs[i];
        size_t mapped = may_map ? image_map_run(self, run, data) : 0;
        memcpy(data + run->offset + mapped, self->bytes + run->place + mapped, run->size - mapped);
        all_mapped = all_mapped && mapped == run->size;
    }
    if (may_map && self->file >= 0) {
        written_begin(&self->written, data, size);
    }
    return all_mapped;
}

/* A memory of a store that has been entered. */
typedef struct {
    StoreObject *store;
    uint8_t *data;
    size_t size;
    bool may_map; /* it is the store's alone, and nobody's afterwards */
} ImageTarget;

/* Enter the store of a memory, for one of the methods below. */
static bool
image_enter(PyObject *args, const char *format, ImageTarget *target)
{
    PyObject *object, *memory;
    if (!PyArg_ParseTuple(args, format, &object, state.Memory_base, &memory)) {
        return false;
    }
    StoreObject *store = target->store = item_enter(memory, object);
    if (store == NULL) {
        return false;
    }
    wasmtime_memory_t *native = &((MemoryObject *)memory)->native;
    target->data = wasmtime_memory_data(store->context, native);
    target->size = wasmtime_memory_data_size(store->context, native);
    target->may_map = ((EngineObject *)store->owner.engine)->memory_owned;
    return true;
}

/* restore(store, memory) */
static PyObject *
image_restore(SnapshotImageObject *self, PyObject *args)
{
    ImageTarget target;
    if (!image_enter(args, "OO!:restore", &target)) {
        return NULL;
    }
    bool fine = target.size >= self->end, all_mapped = false;
    if (!fine) {
        PyErr_Format(PyExc_ValueError, "the memory is smaller than its snapshot: %zu of %zu bytes",
                     target.size, self->end);
    }
    else {
        NativeCall call;
        native_work_begin(&call, target.store);
        all_mapped = image_put(self, target.data, target.size, target.may_map);
        native_work_end(&call);
        target.store->vast = target.may_map && self->file >= 0;
    }
    store_leave(target.store);
    return fine ? PyBool_FromLong(all_mapped) : NULL;
}

/* renew(store, memory) */
static PyObject *
image_renew(SnapshotImageObject *self, PyObject *args)
{
    ImageTarget target;
    if (!image_enter(args, "OO!:renew", &target)) {
        return NULL;
    }
    NativeCall call;
    native_work_begin(&call, target.store);
    bool renewed = written_renew(&self->written, target.data, target.size);
    native_work_end(&call);
    store_leave(target.store);
    return PyBool_FromLong(renewed);
}

/* learn(store, memory) */
static PyObject *
image_learn(SnapshotImageObject *self, PyObject *args)
{
    ImageTarget target;
    if (!image_enter(args, "OO!:learn", &target)) {
        return NULL;
    }
    if (target.may_map && self->file >= 0) {
        NativeCall call;
        native_work_begin(&call, target.store);
        written_learn(&self->written, target.data, target.size);
        native_work_end(&call);
    }
    store_leave(target.store);
    Py_RETURN_NONE;
}

static PyObject *
image_get_learns(SnapshotImageObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->file >= 0 && !atomic_load(&self->written.looking));
}

static PyObject *
image_get_mapped(SnapshotImageObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(self->file >= 0);
}

static PyObject *
image_get_size(SnapshotImageObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(self->size);
}

static PyMethodDef image_methods[] = {
    {"restore", (PyCFunction)image_restore, METH_VARARGS,
     "restore($self, store, memory, /)\n--\n\nGive a memory of a new instance the pages of this; "
     "return whether all of them are mapped, so that it can be renewed."},
    {"renew", (PyCFunction)image_renew, METH_VARARGS,
     "renew($self, store, memory, /)\n--\n\nLet such a memory be as it was then, if it is as large "
     "as it was; return whether that could be had."},
    {"learn", (PyCFunction)image_learn, METH_VARARGS,
     "learn($self, store, memory, /)\n--\n\n"
     "Look at which pages a copy has written to, so that later ones have them from the start."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef image_getset[] = {
    {"mapped", (getter)image_get_mapped, NULL, "Whether copies share what they do not write.",
     NULL},
    {"learns", (getter)image_get_learns, NULL, "Whether more is to be learned of copies.", NULL},
    {"size", (getter)image_get_size, NULL, "How many bytes the pages have.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot image_slots[] = {
    {Py_tp_doc, "SnapshotImage(runs, /)\n--\n\nPages of a memory: a tuple of (offset, bytes)."},
    {Py_tp_new, image_new},
    {Py_tp_dealloc, image_dealloc},
    {Py_tp_methods, image_methods},
    {Py_tp_getset, image_getset},
    {0, NULL},
};
static PyType_Spec image_spec = {"wasmtime._core.SnapshotImage", sizeof(SnapshotImageObject), 0,
                                 Py_TPFLAGS_DEFAULT, image_slots};
