/* How the values of a program lie in a guest's memory, and how they are flattened: the rules of the
 * canonical ABI. wasmtime/component/_bulk/layout.py computes the same for the codec.
 *
 * Ownership: what is computed becomes part of the program's nodes and edges. */

static inline uint32_t
layout_align(uint32_t offset, uint32_t alignment)
{
    return (offset + alignment - 1) & ~(alignment - 1);
}

static inline uint32_t
layout_discriminant(uint32_t count)
{
    return count <= 1u << 8 ? 1 : count <= 1u << 16 ? 2 : 4;
}

static const uint8_t scalar_sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 4}; /* up to WIT_CHAR */

/* Place `count` edges behind one another; what they come to is in `node`. */
static void
layout_fields(ProgramObject *self, ComponentNode *node, uint32_t first, uint32_t count)
{
    uint32_t end = 0;
    node->align = 1;
    for (uint32_t i = first; i < first + count; i++) {
        const ComponentNode *field = &self->nodes[self->edges[i].node];
        end = layout_align(end, field->align);
        self->edges[i].offset = end;
        end += field->size;
        node->align = field->align > node->align ? field->align : node->align;
        node->flat += field->flat;
        node->pointers = node->pointers || field->pointers;
    }
    node->size = layout_align(end, node->align);
}

static void
layout_cases(ProgramObject *self, ComponentNode *node)
{
    uint32_t tag = layout_discriminant(node->count), align = 1, size = 0, flat = 0;
    ComponentEdge *edges = &self->edges[node->edges];
    for (uint32_t i = 0; i < node->count; i++) {
        if (edges[i].node >= 0) {
            const ComponentNode *payload = &self->nodes[edges[i].node];
            align = payload->align > align ? payload->align : align;
            size = payload->size > size ? payload->size : size;
            flat = payload->flat > flat ? payload->flat : flat;
            node->pointers = node->pointers || payload->pointers;
        }
    }
    for (uint32_t i = 0; i < node->count; i++) {
        edges[i].offset = layout_align(tag, align);
    }
    node->align = (uint8_t)(tag > align ? tag : align);
    node->size = layout_align(layout_align(tag, align) + size, node->align);
    node->flat = 1 + flat;
}

static void
layout_node(ProgramObject *self, ComponentNode *node)
{
    if (node->kind <= WIT_CHAR) {
        node->size = node->align = scalar_sizes[node->kind];
        node->flat = 1;
        return;
    }
    switch (node->kind) {
    case WIT_MAP: { /* a list of pairs, whose layout is that of the edges */
        ComponentNode pair = {0};
        layout_fields(self, &pair, node->edges, 2);
        node->element_size = pair.size;
        node->element_align = pair.align;
        break;
    }
    case WIT_LIST: {
        const ComponentNode *element = &self->nodes[self->edges[node->edges].node];
        node->element_size = element->size;
        node->element_align = element->align;
        break;
    }
    case WIT_STRING:
        node->element_size = node->element_align = 1;
        break;
    case WIT_RECORD:
    case WIT_TUPLE:
        layout_fields(self, node, node->edges, node->count);
        return;
    case WIT_VARIANT:
    case WIT_OPTION:
    case WIT_RESULT:
        layout_cases(self, node);
        return;
    case WIT_ENUM:
        node->size = node->align = (uint8_t)layout_discriminant(node->count);
        node->flat = 1;
        return;
    case WIT_FLAGS:
        node->size = node->align = node->count <= 8 ? 1 : node->count <= 16 ? 2 : 4;
        node->flat = 1;
        return;
    default: /* handles; others are never laid out by the core */
        node->size = node->align = 4;
        node->flat = 1;
        return;
    }
    node->size = 8;
    node->align = 4;
    node->flat = 2;
    node->pointers = true;
}

/* Lay out all nodes. The parts of a node come behind it. */
static void
program_lay_out(ProgramObject *self)
{
    for (uint32_t i = self->node_count; i-- > 0;) {
        layout_node(self, &self->nodes[i]);
    }
    layout_fields(self, &self->spilled, 0, self->params);
}
