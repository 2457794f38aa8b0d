/* Sending arguments to the codec: lowered values become messages of records, each a header and a
 * block of the guest's memory, in the order in which the canonical ABI allocates blocks.
 * wasmtime/component/_bulk/codec.py describes the messages.
 *
 * All of it runs without the GIL: it reads what the arena of the call holds, and no Python object.
 *
 * Ownership: the writer's memory is the caller's. An error of the library waits in the writer, and
 * nothing is sent after it. */

typedef struct {
    wasmtime_component_func_t *feed;
    wasmtime_context_t *context;
    const ProgramObject *program;
    wasmtime_error_t *error;
    char *element; /* where one element is put together */
    size_t fill;
    char plain[BULK_ROOM];
    char packed[BULK_PACKED];
} BulkWriter;

typedef struct {
    uint32_t size, offset;
    uint16_t depth, align;
} BulkHeader;

#define BULK_FIRST 0xffff /* the depth of the record with the flat arguments */
#define MAX_FLAT_PARAMS 16

static void
bulk_feed(BulkWriter *self, const char *plain, size_t size)
{
    if (self->error != NULL || size == 0) {
        return;
    }
    wasmtime_component_val_t message;
    message.kind = WASMTIME_COMPONENT_STRING;
    message.of.string.data = (void *)self->packed;
    message.of.string.size = bulk_pack(self->packed, plain, size);
    self->error = wasmtime_component_func_call(self->feed, self->context, &message, 1, NULL, 0);
}

static void
bulk_flush(BulkWriter *self)
{
    bulk_feed(self, self->plain, self->fill);
    self->fill = 0;
}

static void
bulk_put(BulkWriter *self, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        if (self->fill == BULK_ROOM) {
            bulk_flush(self);
        }
        if (self->fill == 0 && size >= BULK_ROOM) {
            bulk_feed(self, at, BULK_ROOM);
            at += BULK_ROOM;
            size -= BULK_ROOM;
            continue;
        }
        size_t count = BULK_ROOM - self->fill < size ? BULK_ROOM - self->fill : size;
        memcpy(self->plain + self->fill, at, count);
        self->fill += count;
        at += count;
        size -= count;
    }
}

/* A header never goes on in the next message. */
static HOT void
bulk_put_header(BulkWriter *self, BulkHeader header)
{
    if (BULK_ROOM - self->fill < sizeof(header)) {
        memset(self->plain + self->fill, 0, BULK_ROOM - self->fill);
        self->fill = BULK_ROOM;
    }
    bulk_put(self, &header, sizeof(header));
}

/* --- one value ------------------------------------------------------------------------------ */

/* The number of the edge that a name was taken from: it still points there. */
static uint32_t
edge_number(const ProgramObject *program, const ComponentNode *node, const wasm_name_t *name)
{
    const ComponentEdge *edges = &program->edges[node->edges];
    uint32_t number = 0;
    while (number < node->count && edges[number].utf8 != (const char *)name->data) {
        number++;
    }
    return number;
}

/* The case that a value is, and its payload, NULL for none. */
static uint32_t
case_number(const ProgramObject *program, const ComponentNode *node,
            const wasmtime_component_val_t *value, const wasmtime_component_val_t **payload)
{
    switch (node->kind) {
    case WIT_OPTION:
        *payload = value->of.option;
        return value->of.option != NULL;
    case WIT_RESULT:
        *payload = value->of.result.val;
        return !value->of.result.is_ok;
    case WIT_VARIANT:
        *payload = value->of.variant.val;
        return edge_number(program, node, &value->of.variant.discriminant);
    default:
        *payload = NULL;
        return edge_number(program, node, &value->of.enumeration);
    }
}

static uint32_t
flags_bits(const ProgramObject *program, const ComponentNode *node,
           const wasmtime_component_valflags_t *flags)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < flags->size; i++) {
        bits |= 1u << edge_number(program, node, &flags->data[i]);
    }
    return bits;
}

/* The length of what a value points to. */
static uint32_t
pointed_count(const ComponentNode *node, const wasmtime_component_val_t *value)
{
    return (uint32_t)(node->kind == WIT_STRING ? value->of.string.size
                      : node->kind == WIT_MAP  ? value->of.map.size
                                               : value->of.list.size);
}

/* The value of the nth part of a record or tuple. */
static inline const wasmtime_component_val_t *
part_of(const ComponentNode *node, const wasmtime_component_val_t *value, uint32_t n)
{
    return node->kind == WIT_RECORD ? &value->of.record.data[n].val : &value->of.tuple.data[n];
}

/* Write the value as it lies in memory, but for the pointers; `out` is all zeros. */
static void
bulk_image(const ProgramObject *program, int32_t index, const wasmtime_component_val_t *value,
           char *out)
{
    const ComponentNode *node = &program->nodes[index];
    const ComponentEdge *edges = &program->edges[node->edges];
    if (node->kind <= WIT_CHAR) {
        memcpy(out, &value->of, node->size);
        return;
    }
    uint32_t number;
    const wasmtime_component_val_t *payload;
    switch (node->kind) {
    case WIT_STRING:
    case WIT_LIST:
    case WIT_MAP:
        number = pointed_count(node, value);
        memcpy(out + 4, &number, 4);
        return;
    case WIT_RECORD:
    case WIT_TUPLE:
        for (uint32_t i = 0; i < node->count; i++) {
            bulk_image(program, edges[i].node, part_of(node, value, i), out + edges[i].offset);
        }
        return;
    case WIT_FLAGS:
        number = flags_bits(program, node, &value->of.flags);
        memcpy(out, &number, node->size);
        return;
    default:
        number = case_number(program, node, value, &payload);
        memcpy(out, &number, layout_discriminant(node->count));
        if (payload != NULL) {
            bulk_image(program, edges[number].node, payload, out + edges[number].offset);
        }
        return;
    }
}

/* --- what values point to ------------------------------------------------------------------- */

static void bulk_put_pointed(BulkWriter *self, int32_t index, const wasmtime_component_val_t *value,
                             uint32_t depth, uint32_t offset);

/* The elements of a list or map, and then what they point to. */
static void
bulk_put_elements(BulkWriter *self, const ComponentNode *node,
                  const wasmtime_component_val_t *value, uint32_t depth)
{
    const ComponentEdge *edges = &self->program->edges[node->edges];
    uint32_t parts = node->kind == WIT_MAP ? 2 : 1;
    uint32_t count = pointed_count(node, value);
    bool pointers = false;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count && self->error == NULL; i++) {
            if (pass == 0) {
                memset(self->element, 0, node->element_size);
            }
            for (uint32_t k = 0; k < parts; k++) {
                const wasmtime_component_val_t *part = parts == 1 ? &value->of.list.data[i]
                                                       : k == 0   ? &value->of.map.data[i].key
                                                                  : &value->of.map.data[i].value;
                uint32_t at = parts == 1 ? 0 : edges[k].offset;
                if (pass == 0) {
                    bulk_image(self->program, edges[k].node, part, self->element + at);
                    pointers = pointers || self->program->nodes[edges[k].node].pointers;
                }
                else {
                    bulk_put_pointed(self, edges[k].node, part, depth, i * node->element_size + at);
                }
            }
            if (pass == 0) {
                bulk_put(self, self->element, node->element_size);
            }
        }
        if (!pointers) {
            return;
        }
    }
}

/* The block of a string, list or map, below the block of the depth above. */
static void
bulk_put_block(BulkWriter *self, const ComponentNode *node, const wasmtime_component_val_t *value,
               uint32_t depth, uint32_t offset)
{
    uint32_t size = pointed_count(node, value) * node->element_size;
    bulk_put_header(self, (BulkHeader){size, offset, (uint16_t)depth, node->element_align});
    if (node->kind == WIT_STRING) {
        bulk_put(self, value->of.string.data, size);
    }
    else if (value->kind == COMPONENT_PACKED) {
        bulk_put(self, value->of.list.data, size);
    }
    else {
        bulk_put_elements(self, node, value, depth + 1);
    }
}

/* The blocks that a value points to which lies at `offset` of its block. */
static void
bulk_put_pointed(BulkWriter *self, int32_t index, const wasmtime_component_val_t *value,
                 uint32_t depth, uint32_t offset)
{
    const ComponentNode *node = &self->program->nodes[index];
    const ComponentEdge *edges = &self->program->edges[node->edges];
    if (!node->pointers || self->error != NULL) {
        return;
    }
    switch (node->kind) {
    case WIT_STRING:
    case WIT_LIST:
    case WIT_MAP:
        bulk_put_block(self, node, value, depth, offset);
        return;
    case WIT_RECORD:
    case WIT_TUPLE:
        for (uint32_t i = 0; i < node->count; i++) {
            bulk_put_pointed(self, edges[i].node, part_of(node, value, i), depth,
                             offset + edges[i].offset);
        }
        return;
    default: {
        const wasmtime_component_val_t *payload;
        uint32_t number = case_number(self->program, node, value, &payload);
        if (payload != NULL) {
            bulk_put_pointed(self, edges[number].node, payload, depth,
                             offset + edges[number].offset);
        }
    }
    }
}

/* --- flat arguments ------------------------------------------------------------------------- */

/* Flatten a value into words from `slots` on. Where cases of a variant share a slot, the value's
 * bits are extended with zeros, which is what all their core types come to. */
static void
bulk_flatten(const ProgramObject *program, int32_t index, const wasmtime_component_val_t *value,
             uint64_t *slots)
{
    const ComponentNode *node = &program->nodes[index];
    const ComponentEdge *edges = &program->edges[node->edges];
    const wasmtime_component_val_t *payload;
    switch (node->kind) {
    case WIT_S8:
        slots[0] = (uint32_t)value->of.s8;
        return;
    case WIT_S16:
        slots[0] = (uint32_t)value->of.s16;
        return;
    case WIT_STRING:
    case WIT_LIST:
    case WIT_MAP:
        slots[1] = pointed_count(node, value);
        return;
    case WIT_RECORD:
    case WIT_TUPLE:
        for (uint32_t i = 0; i < node->count; i++) {
            bulk_flatten(program, edges[i].node, part_of(node, value, i), slots);
            slots += program->nodes[edges[i].node].flat;
        }
        return;
    case WIT_FLAGS:
        slots[0] = flags_bits(program, node, &value->of.flags);
        return;
    case WIT_VARIANT:
    case WIT_OPTION:
    case WIT_RESULT:
    case WIT_ENUM:
        slots[0] = case_number(program, node, value, &payload);
        if (payload != NULL) {
            bulk_flatten(program, edges[slots[0]].node, payload, slots + 1);
        }
        return;
    default:
        memcpy(slots, &value->of, node->size);
        return;
    }
}

/* The blocks that a flattened value points to: their addresses go into the slots. */
static void
bulk_put_flat_pointed(BulkWriter *self, int32_t index, const wasmtime_component_val_t *value,
                      uint32_t slot)
{
    const ComponentNode *node = &self->program->nodes[index];
    const ComponentEdge *edges = &self->program->edges[node->edges];
    if (!node->pointers) {
        return;
    }
    switch (node->kind) {
    case WIT_STRING:
    case WIT_LIST:
    case WIT_MAP:
        bulk_put_block(self, node, value, 1, slot * 8);
        return;
    case WIT_RECORD:
    case WIT_TUPLE:
        for (uint32_t i = 0; i < node->count; i++) {
            bulk_put_flat_pointed(self, edges[i].node, part_of(node, value, i), slot);
            slot += self->program->nodes[edges[i].node].flat;
        }
        return;
    default: {
        const wasmtime_component_val_t *payload;
        uint32_t number = case_number(self->program, node, value, &payload);
        if (payload != NULL) {
            bulk_put_flat_pointed(self, edges[number].node, payload, slot + 1);
        }
    }
    }
}

/* Too many parameters to be flat: they are one block, like a record. */
static void
bulk_put_spilled(BulkWriter *self, const wasmtime_component_val_t *values)
{
    const ProgramObject *program = self->program;
    const ComponentEdge *edges = program->edges;
    memset(self->element, 0, program->spilled.size);
    for (uint32_t i = 0; i < program->params; i++) {
        bulk_image(program, edges[i].node, &values[i], self->element + edges[i].offset);
    }
    bulk_put_header(self, (BulkHeader){program->spilled.size, 0, 1, program->spilled.align});
    bulk_put(self, self->element, program->spilled.size);
    for (uint32_t i = 0; i < program->params; i++) {
        bulk_put_pointed(self, edges[i].node, &values[i], 2, edges[i].offset);
    }
}

/* Send all arguments but for the last message, which the call takes along. */
static void
bulk_write(BulkWriter *self, const wasmtime_component_val_t *values)
{
    const ProgramObject *program = self->program;
    uint64_t slots[MAX_FLAT_PARAMS] = {0};
    bool flat = program->spilled.flat <= MAX_FLAT_PARAMS;
    uint32_t slot = 0, count = flat ? program->spilled.flat : 1;
    for (uint32_t i = 0; flat && i < program->params; i++) {
        bulk_flatten(program, program->edges[i].node, &values[i], slots + slot);
        slot += program->nodes[program->edges[i].node].flat;
    }
    bulk_put_header(self, (BulkHeader){count * 8, 0, BULK_FIRST, 0});
    bulk_put(self, slots, count * 8);
    slot = 0;
    for (uint32_t i = 0; flat && i < program->params; i++) {
        bulk_put_flat_pointed(self, program->edges[i].node, &values[i], slot);
        slot += program->nodes[program->edges[i].node].flat;
    }
    if (!flat) {
        bulk_put_spilled(self, values);
    }
}

/* The room that one element takes at most. */
static uint32_t
bulk_largest_element(const ProgramObject *program)
{
    uint32_t largest = program->spilled.size;
    for (uint32_t i = 0; i < program->node_count; i++) {
        uint32_t size = program->nodes[i].element_size;
        largest = size > largest ? size : largest;
    }
    return largest;
}
