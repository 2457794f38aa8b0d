/* Signatures: the kinds of a function's parameters and results, read from the library once for each
 * function and then used by every call.
 *
 * A Signature is counted (`references`), because functions and their copies share it; it never
 * changes, and the last holder frees it. */

/* The numbers are those of wasmtime_valkind_t. */
enum {
    VALKIND_I32 = WASMTIME_I32,
    VALKIND_I64 = WASMTIME_I64,
    VALKIND_F32 = WASMTIME_F32,
    VALKIND_F64 = WASMTIME_F64,
    VALKIND_V128 = WASMTIME_V128,
    VALKIND_FUNCREF = WASMTIME_FUNCREF,
    VALKIND_EXTERNREF = WASMTIME_EXTERNREF,
    VALKIND_ANYREF = WASMTIME_ANYREF,
    VALKIND_EXNREF = WASMTIME_EXNREF,
};

static const char *const kind_names[] = {"i32",     "i64",       "f32",    "f64",   "v128",
                                         "funcref", "externref", "anyref", "exnref"};

struct Signature {
    uintptr_t references;
    uint32_t params;
    uint32_t results;
    bool unchecked;  /* no references: values pass as raw 16-byte slots, in unchecked calls */
    uint8_t kinds[]; /* of the parameters, then of the results */
};

static inline const uint8_t *
signature_results(const Signature *self)
{
    return self->kinds + self->params;
}

static inline uint32_t
signature_slots(const Signature *self)
{
    return self->params > self->results ? self->params : self->results;
}

static inline Signature *
signature_share(Signature *self)
{
    atomic_add(&self->references, 1);
    return self;
}

static inline void
signature_release(Signature *self)
{
    if (self != NULL && atomic_sub(&self->references, 1) == 0) {
        PyMem_RawFree(self);
    }
}

static uint8_t
heap_kind(uint8_t heap)
{
    switch (heap) {
    case WASMTIME_HEAPTYPE_KIND_EXTERN:
    case WASMTIME_HEAPTYPE_KIND_NOEXTERN:
        return VALKIND_EXTERNREF;
    case WASMTIME_HEAPTYPE_KIND_FUNC:
    case WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC:
    case WASMTIME_HEAPTYPE_KIND_NOFUNC:
        return VALKIND_FUNCREF;
    case WASMTIME_HEAPTYPE_KIND_EXN:
    case WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN:
    case WASMTIME_HEAPTYPE_KIND_NOEXN:
        return VALKIND_EXNREF;
    default:
        return VALKIND_ANYREF;
    }
}

/* wasm_valtype_kind() would abort on what wasm.h does not know; this function knows all. */
static uint8_t
valtype_kind(const wasm_valtype_t *type)
{
    wasmtime_valtype_t read;
    wasmtime_valtype_new((wasm_valtype_t *)type, &read);
    uint8_t kind = read.kind;
    if (kind == WASMTIME_VALTYPE_KIND_REF) {
        kind = heap_kind(read.reftype.heaptype.kind);
    }
    wasmtime_valtype_delete(&read);
    return kind;
}

/* NULL with MemoryError when there is no memory. */
static Signature *
signature_compile(const wasm_functype_t *type)
{
    const wasm_valtype_vec_t *params = wasm_functype_params((wasm_functype_t *)type);
    const wasm_valtype_vec_t *results = wasm_functype_results((wasm_functype_t *)type);
    Signature *self = PyMem_RawMalloc(sizeof(Signature) + params->size + results->size);
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->references = 1;
    self->params = (uint32_t)params->size;
    self->results = (uint32_t)results->size;
    self->unchecked = true;
    for (uint32_t i = 0; i < self->params + self->results; i++) {
        const wasm_valtype_t *valtype =
            i < self->params ? params->data[i] : results->data[i - self->params];
        self->kinds[i] = valtype_kind(valtype);
        if (self->kinds[i] > VALKIND_V128) {
            self->unchecked = false;
        }
    }
    return self;
}
