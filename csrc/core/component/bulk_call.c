/* Calls through the codec that was injected into the component: lists of any size, at the speed of
 * memory. wasmtime/component/_bulk tells how; to the caller it is a call like any other.
 *
 *     with the GIL        lower the arguments (lists of numbers are packed, or stay in buffers)
 *     without             feed*, call, more*: nothing of Python is touched
 *     with the GIL        lift the result
 *
 * No code of Python runs between the first message and the last answer, and none of the guest's
 * that calls back in but in `call`, when the codec holds nothing. So one state of the codec serves
 * calls within calls.
 *
 * Ownership: a call owns its writer and its reader; answers of the library are deleted as soon as
 * they have been unpacked. */

typedef struct {
    NativeCall native;
    StoreObject *store;
    BulkObject *bulk;
    BulkWriter *writer;
    BulkReader reader;
    Lowering lowering;
    wasmtime_error_t *error;
    wasmtime_component_val_t answer; /* the last one, if it is not yet unpacked */
} BulkCall;

/* --- without the GIL ------------------------------------------------------------------------ */

static void
bulk_forget_answer(BulkCall *self)
{
    if (self->answer.kind > WASMTIME_COMPONENT_CHAR) {
        wasmtime_component_val_delete(&self->answer);
    }
    self->answer.kind = WASMTIME_COMPONENT_BOOL;
}

/* Ask for an answer; whether there is one. */
static HOT bool
bulk_ask(BulkCall *self, wasmtime_component_func_t *function, wasmtime_component_val_t *messages,
         size_t count)
{
    bulk_forget_answer(self);
    self->error = wasmtime_component_func_call(function, self->store->context, messages, count,
                                               &self->answer, 1);
    return self->error == NULL;
}

/* Send the arguments, and call. */
static bool
bulk_send(BulkCall *self, const wasmtime_component_val_t *values)
{
    BulkWriter *writer = self->writer;
    bulk_write(writer, values);
    self->error = writer->error;
    if (self->error != NULL) {
        return false;
    }
    /* Room for the second message, which is empty, is asked for when the first is there: then the
     * codec takes that. */
    wasmtime_component_val_t messages[2];
    messages[0].kind = messages[1].kind = WASMTIME_COMPONENT_STRING;
    messages[0].of.string.data = messages[1].of.string.data = (void *)writer->packed;
    messages[0].of.string.size = bulk_pack(writer->packed, writer->plain, writer->fill);
    messages[1].of.string.size = 0;
    return bulk_ask(self, &self->bulk->call, messages, 2);
}

/* Take the answer that is there and all that follow. */
static void
bulk_receive(BulkCall *self)
{
    BulkReader *reader = &self->reader;
    bulk_take(reader, &self->answer);
    while (reader->what == BULK_MORE && !reader->no_memory
           && bulk_ask(self, &self->bulk->more, NULL, 0)) {
        bulk_take(reader, &self->answer);
    }
    bulk_forget_answer(self);
}

/* --- a result that is bytes, or an array ---------------------------------------------------- */

/* They are unpacked where they are to stay. The answer's first eight bytes are pointer and length. */
typedef struct {
    PyObject *object;
    char *at;
    size_t left, skip;
} BulkBlock;

static HOT void
bulk_fill(BulkReader *reader, BulkBlock *block, const wasmtime_component_val_t *answer)
{
    size_t size;
    if (bulk_open(reader, answer, &size)) {
        size_t count = size - block->skip < block->left ? size - block->skip : block->left;
        bulk_unpack(block->at, answer->of.string.data, block->skip, block->skip + count);
        block->at += count;
        block->left -= count;
        block->skip = 0;
    }
}

/* The kind of the elements, if the result is a list that becomes bytes or an array; else -1. */
static int
bulk_block_kind(const ProgramObject *program)
{
    if (program->result < 0 || program->nodes[program->result].kind != WIT_LIST) {
        return -1;
    }
    const ComponentNode *node = &program->nodes[program->result];
    uint8_t kind = program->nodes[program->edges[node->edges].node].kind;
    return kind == WIT_U8 || (program->arrays && array_code(kind) != 0) ? kind : -1;
}

/* The first answer holds the length; NULL with an exception. */
static PyObject *
bulk_begin_block(BulkCall *self, BulkBlock *block, uint8_t kind)
{
    size_t size;
    char pair[8];
    if (!bulk_open(&self->reader, &self->answer, &size) || size < sizeof(pair)) {
        return (PyObject *)bulk_refuse_block(&self->reader);
    }
    bulk_unpack(pair, self->answer.of.string.data, 0, sizeof(pair));
    Py_ssize_t count = (Py_ssize_t)bulk_word(pair + 4, 4);
    /* What the guest claims is believed once the codec has begun to send it. */
    if (size == sizeof(pair) && count > 0 && self->reader.what != BULK_MORE) {
        return (PyObject *)bulk_refuse_block(&self->reader);
    }
    if (kind == WIT_U8) {
        block->object = PyBytes_FromStringAndSize(NULL, count);
        block->at = block->object != NULL ? PyBytes_AsString(block->object) : NULL;
    }
    else {
        block->object = number_array(kind, count, &block->at);
    }
    block->left = (size_t)count * scalar_sizes[kind];
    block->skip = sizeof(pair);
    if (block->object != NULL) {
        bulk_fill(&self->reader, block, &self->answer);
    }
    return block->object;
}

/* The rest, in a native call of its own. */
static PyObject *
bulk_end_block(BulkCall *self, BulkBlock *block)
{
    BulkReader *reader = &self->reader;
    if (reader->what == BULK_MORE) {
        if (!native_begin(&self->native, RELEASE_GIL)) {
            Py_CLEAR(block->object);
            return NULL;
        }
        while (reader->what == BULK_MORE && bulk_ask(self, &self->bulk->more, NULL, 0)) {
            bulk_fill(reader, block, &self->answer);
        }
        if (!component_end(&self->native, self->error)) {
            reader->what = BULK_DONE; /* the instance has ended */
            Py_CLEAR(block->object);
            return NULL;
        }
    }
    if (block->left > 0 || reader->what != BULK_DONE) {
        Py_CLEAR(block->object);
        bulk_refuse_block(reader);
    }
    return block->object;
}

/* --- the call ------------------------------------------------------------------------------- */

/* Leave the codec as it was before the call, whatever went wrong: call one of its functions, with
 * the exception put aside. */
static NOINLINE void
bulk_clean_up(BulkCall *self)
{
    wasmtime_component_func_t *function =
        self->reader.broken ? &self->bulk->fail : &self->bulk->drop;
    PyObject *exception = PyErr_GetRaisedException();
    if (native_begin(&self->native, RELEASE_GIL)) {
        wasmtime_error_t *error =
            wasmtime_component_func_call(function, self->store->context, NULL, 0, NULL, 0);
        if (error != NULL) {
            wasmtime_error_delete(error); /* as is meant to be */
        }
        native_end(&self->native, NULL, NULL);
    }
    PyErr_Clear();
    PyErr_SetRaisedException(exception);
}

static PyObject *
bulk_run(BulkCall *self, const wasmtime_component_val_t *values)
{
    if (!native_begin(&self->native, RELEASE_GIL)) {
        return NULL;
    }
    int kind = bulk_block_kind(self->reader.program);
    if (bulk_send(self, values) && kind < 0) {
        bulk_receive(self);
    }
    if (!component_end(&self->native, self->error)) {
        /* A trap has ended the instance; output that could not be delivered has not. */
        if (self->error == NULL && self->reader.what == BULK_MORE) {
            bulk_clean_up(self);
        }
        return NULL;
    }
    BulkBlock block;
    PyObject *result = kind < 0 ? bulk_read(&self->reader)
                       : bulk_begin_block(self, &block, (uint8_t)kind) != NULL
                           ? bulk_end_block(self, &block)
                           : NULL;
    if (result == NULL && (self->reader.broken || self->reader.what == BULK_MORE)) {
        bulk_clean_up(self);
    }
    return result;
}

/* What a call needs besides, in the arena or of its own; NULL with an exception. */
static BulkWriter *
bulk_prepare(BulkCall *self)
{
    const ProgramObject *program = self->reader.program;
    BulkWriter *writer = self->writer = PyMem_RawMalloc(sizeof(BulkWriter));
    if (writer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    writer->feed = &self->bulk->feed;
    writer->context = self->store->context;
    writer->program = program;
    writer->error = NULL;
    writer->fill = 0;
    writer->element = arena_alloc(&self->lowering, bulk_largest_element(program));
    return writer->element != NULL ? writer : NULL;
}

static PyObject *
component_bulk_call(StoreObject *store, ComponentFuncObject *self, ProgramObject *program,
                    PyObject *const *arguments)
{
    BulkCall call;
    if (!native_enter(&call.native, store, self)) {
        return NULL;
    }
    call.store = store;
    call.bulk = self->bulk;
    call.writer = NULL;
    call.reader = (BulkReader){.store = store, .program = program, .what = BULK_DONE};
    call.error = NULL;
    call.answer.kind = WASMTIME_COMPONENT_BOOL;
    lowering_begin(&call.lowering, store, program);
    call.lowering.packs = true;
    wasmtime_component_val_t few[COMPONENT_FEW];
    wasmtime_component_val_t *values = component_lower_arguments(&call.lowering, arguments, few);
    PyObject *result = NULL;
    if (values != NULL && bulk_prepare(&call) != NULL) {
        result = bulk_run(&call, values);
    }
    bulk_forget_answer(&call);
    PyMem_RawFree(call.reader.data);
    PyMem_RawFree(call.writer);
    lowering_end(&call.lowering);
    native_leave(&call.native);
    return result;
}

static PyObject *
component_func_use_codec(ComponentFuncObject *self, PyObject *args)
{
    unsigned long long addresses[5];
    if (!PyArg_ParseTuple(args, "KKKKK:_use_codec", &addresses[0], &addresses[1], &addresses[2],
                          &addresses[3], &addresses[4])) {
        return NULL;
    }
    BulkObject *bulk = bulk_new(addresses);
    if (bulk == NULL) {
        return NULL;
    }
    publish(self->bulk, bulk);
    Py_RETURN_NONE;
}
