/* Programs: the types of one component function, compiled to a flat array of nodes that the
 * conversions (lower.c, lift.c) run. A program is made once for a function and never changes
 * afterwards, so that any number of threads may run it.
 *
 * Ownership: a Program owns its arrays, the interned names in them, and clones of the native types
 * of the parameters and the result, by which a host function recognises the type that it is called
 * with. */

/* The kinds of a node are those of wasmtime_component_valtype_kind_t. */
enum {
    WIT_BOOL = WASMTIME_COMPONENT_VALTYPE_BOOL,
    WIT_S8 = WASMTIME_COMPONENT_VALTYPE_S8,
    WIT_S16 = WASMTIME_COMPONENT_VALTYPE_S16,
    WIT_S32 = WASMTIME_COMPONENT_VALTYPE_S32,
    WIT_S64 = WASMTIME_COMPONENT_VALTYPE_S64,
    WIT_U8 = WASMTIME_COMPONENT_VALTYPE_U8,
    WIT_U16 = WASMTIME_COMPONENT_VALTYPE_U16,
    WIT_U32 = WASMTIME_COMPONENT_VALTYPE_U32,
    WIT_U64 = WASMTIME_COMPONENT_VALTYPE_U64,
    WIT_F32 = WASMTIME_COMPONENT_VALTYPE_F32,
    WIT_F64 = WASMTIME_COMPONENT_VALTYPE_F64,
    WIT_CHAR = WASMTIME_COMPONENT_VALTYPE_CHAR,
    WIT_STRING = WASMTIME_COMPONENT_VALTYPE_STRING,
    WIT_LIST = WASMTIME_COMPONENT_VALTYPE_LIST,
    WIT_RECORD = WASMTIME_COMPONENT_VALTYPE_RECORD,
    WIT_TUPLE = WASMTIME_COMPONENT_VALTYPE_TUPLE,
    WIT_VARIANT = WASMTIME_COMPONENT_VALTYPE_VARIANT,
    WIT_ENUM = WASMTIME_COMPONENT_VALTYPE_ENUM,
    WIT_OPTION = WASMTIME_COMPONENT_VALTYPE_OPTION,
    WIT_RESULT = WASMTIME_COMPONENT_VALTYPE_RESULT,
    WIT_FLAGS = WASMTIME_COMPONENT_VALTYPE_FLAGS,
    WIT_OWN = WASMTIME_COMPONENT_VALTYPE_OWN,
    WIT_BORROW = WASMTIME_COMPONENT_VALTYPE_BORROW,
    WIT_FUTURE = WASMTIME_COMPONENT_VALTYPE_FUTURE,
    WIT_STREAM = WASMTIME_COMPONENT_VALTYPE_STREAM,
    WIT_ERROR_CONTEXT = WASMTIME_COMPONENT_VALTYPE_ERROR_CONTEXT,
    WIT_MAP = WASMTIME_COMPONENT_VALTYPE_MAP,
    WIT_FIXED_LIST = WASMTIME_COMPONENT_VALTYPE_FIXED_LENGTH_LIST,
    WIT_COUNT,
};

/* What Python class a value is lifted to, as a set of bits. A variant whose cases have no class in
 * common can go without tags: the class of the value tells the case. */
enum {
    CLASS_BOOL = 1 << 0,
    CLASS_INT = 1 << 1,
    CLASS_FLOAT = 1 << 2,
    CLASS_STR = 1 << 3,
    CLASS_BYTES = 1 << 4,
    CLASS_LIST = 1 << 5,
    CLASS_RECORD = 1 << 6,
    CLASS_TUPLE = 1 << 7,
    CLASS_VARIANT = 1 << 8,
    CLASS_SET = 1 << 9,
    CLASS_RESOURCE = 1 << 10,
    CLASS_NONE = 1 << 11,
    CLASS_DICT = 1 << 12,
};

static const struct {
    const char *name;
    uint8_t value_kind; /* of the wasmtime_component_val_t that carries it */
    uint16_t classes;   /* 0: they depend on the type, or it has no form in the C API */
} component_kinds[WIT_COUNT] = {
    {"bool", WASMTIME_COMPONENT_BOOL, CLASS_BOOL},
    {"s8", WASMTIME_COMPONENT_S8, CLASS_INT},
    {"s16", WASMTIME_COMPONENT_S16, CLASS_INT},
    {"s32", WASMTIME_COMPONENT_S32, CLASS_INT},
    {"s64", WASMTIME_COMPONENT_S64, CLASS_INT},
    {"u8", WASMTIME_COMPONENT_U8, CLASS_INT},
    {"u16", WASMTIME_COMPONENT_U16, CLASS_INT},
    {"u32", WASMTIME_COMPONENT_U32, CLASS_INT},
    {"u64", WASMTIME_COMPONENT_U64, CLASS_INT},
    {"f32", WASMTIME_COMPONENT_F32, CLASS_FLOAT},
    {"f64", WASMTIME_COMPONENT_F64, CLASS_FLOAT},
    {"char", WASMTIME_COMPONENT_CHAR, CLASS_STR},
    {"string", WASMTIME_COMPONENT_STRING, CLASS_STR},
    {"list", WASMTIME_COMPONENT_LIST, 0},
    {"record", WASMTIME_COMPONENT_RECORD, CLASS_RECORD},
    {"tuple", WASMTIME_COMPONENT_TUPLE, CLASS_TUPLE},
    {"variant", WASMTIME_COMPONENT_VARIANT, 0},
    {"enum", WASMTIME_COMPONENT_ENUM, CLASS_STR},
    {"option", WASMTIME_COMPONENT_OPTION, 0},
    {"result", WASMTIME_COMPONENT_RESULT, 0},
    {"flags", WASMTIME_COMPONENT_FLAGS, CLASS_SET},
    {"own", WASMTIME_COMPONENT_RESOURCE, CLASS_RESOURCE},
    {"borrow", WASMTIME_COMPONENT_RESOURCE, CLASS_RESOURCE},
    {"future", 0xff, 0},
    {"stream", 0xff, 0},
    {"error-context", 0xff, 0},
    {"map", WASMTIME_COMPONENT_MAP, CLASS_DICT},
    {"list", WASMTIME_COMPONENT_FIXED_LENGTH_LIST, 0},
};

typedef struct {
    uint8_t kind;
    bool tagged; /* variants, options, results: as Variant objects */
    uint16_t classes;
    uint32_t count; /* fields, elements, cases or names */
    uint32_t edges; /* the first of them */
    /* How it lies in a guest's memory: see layout.c. */
    uint32_t size;
    uint32_t flat;         /* how many core values it is flattened to */
    uint32_t element_size; /* of lists, maps and strings */
    uint8_t align, element_align;
    bool pointers; /* there are lists, maps or strings in it */
} ComponentNode;

typedef struct {
    PyObject *name;      /* as in the type: kebab-case; NULL where there are none */
    PyObject *attribute; /* as Python writes it: snake_case */
    const char *utf8;    /* of `name` */
    size_t length;
    int32_t node;    /* -1: no payload */
    uint32_t offset; /* of a field, element or payload, in memory */
} ComponentEdge;

typedef struct {
    PyObject_HEAD
    ComponentNode *nodes;
    ComponentEdge *edges; /* those of the parameters come first */
    wasmtime_component_valtype_t *types;
    PyObject *unsupported; /* str: why the function cannot be called, or NULL */
    uint32_t node_count, node_room;
    uint32_t edge_count, edge_room;
    uint32_t params;
    uint32_t type_count;
    int32_t result; /* -1: none */
    bool tagged;    /* every variant and result is tagged */
    bool arrays;    /* lists of numbers are lifted to arrays */
    bool is_async;
    ComponentNode spilled; /* the layout of the parameters, where they are passed in memory */
} ProgramObject;

/* --- building ------------------------------------------------------------------------------- */

static bool
program_reserve_edges(ProgramObject *self, uint32_t count, uint32_t *first)
{
    if (self->edge_count + count > self->edge_room) {
        uint32_t room = (self->edge_count + count) * 2;
        ComponentEdge *edges = PyMem_RawRealloc(self->edges, room * sizeof(ComponentEdge));
        if (edges == NULL) {
            PyErr_NoMemory();
            return false;
        }
        self->edges = edges;
        self->edge_room = room;
    }
    *first = self->edge_count;
    for (uint32_t i = 0; i < count; i++) {
        self->edges[self->edge_count++] = (ComponentEdge){NULL, NULL, NULL, 0, -1, 0};
    }
    return true;
}

/* The name in both spellings. The edge is found by index: building moves the array. */
static bool
program_name_edge(ProgramObject *self, uint32_t index, const char *utf8, size_t length)
{
    PyObject *name = PyUnicode_DecodeUTF8(utf8, (Py_ssize_t)length, NULL);
    if (name == NULL) {
        return false;
    }
    PyUnicode_InternInPlace(&name);
    self->edges[index].name = name;
    Py_ssize_t size;
    self->edges[index].utf8 = PyUnicode_AsUTF8AndSize(name, &size);
    self->edges[index].length = (size_t)size;
    char *text = PyMem_RawMalloc(length + 1);
    if (text == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        text[i] = utf8[i] == '-' ? '_' : utf8[i];
    }
    PyObject *attribute = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, NULL);
    PyMem_RawFree(text);
    if (attribute == NULL) {
        return false;
    }
    PyUnicode_InternInPlace(&attribute);
    self->edges[index].attribute = attribute;
    return true;
}

static NOINLINE bool
program_refuse(ProgramObject *self, uint8_t kind)
{
    if (self->unsupported == NULL) {
        self->unsupported = PyUnicode_FromFormat(
            "values of type %s cannot pass between Python and components: the C API of the "
            "library has no form for them",
            kind < WIT_COUNT ? component_kinds[kind].name : "unknown");
    }
    return self->unsupported != NULL;
}

static int32_t program_add(ProgramObject *self, wasmtime_component_valtype_t *type);
static void program_lay_out(ProgramObject *self); /* layout.c */

/* Add the type and connect it; takes the type over. */
static bool
program_connect(ProgramObject *self, uint32_t edge, wasmtime_component_valtype_t *type)
{
    int32_t node = program_add(self, type);
    wasmtime_component_valtype_delete(type);
    if (node < 0) {
        return false;
    }
    self->edges[edge].node = node;
    return true;
}

/* What the cases of a variant are lifted to, and whether that needs tags. */
static void
program_settle_cases(ProgramObject *self, uint32_t index)
{
    ComponentNode *node = &self->nodes[index];
    uint16_t seen = 0;
    bool clash = false;
    for (uint32_t i = 0; i < node->count; i++) {
        int32_t payload = self->edges[node->edges + i].node;
        uint16_t classes = payload < 0 ? CLASS_NONE : self->nodes[payload].classes;
        clash = clash || (classes & seen) != 0;
        seen |= classes;
    }
    node->tagged = clash || (self->tagged && node->kind != WIT_OPTION);
    node->classes = node->tagged ? CLASS_VARIANT : seen;
}

/* Edges for `count` parts of the node, none connected yet. */
static bool
program_make_edges(ProgramObject *self, uint32_t index, uint32_t count)
{
    uint32_t first;
    if (!program_reserve_edges(self, count, &first)) {
        return false;
    }
    self->nodes[index].edges = first;
    self->nodes[index].count = count;
    return true;
}

/* Name the edge and connect it, with a type that is taken over. */
static bool
program_add_field(ProgramObject *self, uint32_t edge, const char *name, size_t length,
                  wasmtime_component_valtype_t *type)
{
    if (!program_name_edge(self, edge, name, length)) {
        wasmtime_component_valtype_delete(type);
        return false;
    }
    return program_connect(self, edge, type);
}

static bool
program_add_variant(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    uint32_t count = (uint32_t)wasmtime_component_variant_type_case_count(type->of.variant);
    if (!program_make_edges(self, index, count)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        size_t length;
        bool has;
        wasmtime_component_valtype_t payload;
        wasmtime_component_variant_type_case_nth(type->of.variant, i, &name, &length, &has,
                                                 &payload);
        if (!(has ? program_add_field(self, first + i, name, length, &payload)
                  : program_name_edge(self, first + i, name, length))) {
            return false;
        }
    }
    return true;
}

static bool
program_add_option(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    if (!program_make_edges(self, index, 2)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    if (!program_name_edge(self, first, "none", 4)) {
        return false;
    }
    wasmtime_component_valtype_t some;
    wasmtime_component_option_type_ty(type->of.option, &some);
    return program_add_field(self, first + 1, "some", 4, &some);
}

static bool
program_add_result(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    if (!program_make_edges(self, index, 2)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    wasmtime_component_valtype_t payload;
    if (!program_name_edge(self, first, "ok", 2) || !program_name_edge(self, first + 1, "err", 3)) {
        return false;
    }
    if (wasmtime_component_result_type_ok(type->of.result, &payload)
        && !program_connect(self, first, &payload)) {
        return false;
    }
    return !wasmtime_component_result_type_err(type->of.result, &payload)
           || program_connect(self, first + 1, &payload);
}

static bool
program_add_list(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    if (!program_make_edges(self, index, 1)) {
        return false;
    }
    wasmtime_component_valtype_t element;
    if (type->kind == WIT_LIST) {
        wasmtime_component_list_type_element(type->of.list, &element);
    }
    else {
        wasmtime_component_fixed_length_list_type_element(
            (wasmtime_component_fixed_length_list_type_t *)(void *)type->of.list, &element);
    }
    self->nodes[index].classes = element.kind == WIT_U8 ? CLASS_BYTES : CLASS_LIST;
    return program_connect(self, self->nodes[index].edges, &element);
}

static bool
program_add_map(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    if (!program_make_edges(self, index, 2)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    wasmtime_component_valtype_t part;
    wasmtime_component_map_type_key(type->of.map, &part);
    if (!program_connect(self, first, &part)) {
        return false;
    }
    wasmtime_component_map_type_value(type->of.map, &part);
    return program_connect(self, first + 1, &part);
}

static bool
program_add_record(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    uint32_t count = (uint32_t)wasmtime_component_record_type_field_count(type->of.record);
    if (!program_make_edges(self, index, count)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        size_t length;
        wasmtime_component_valtype_t field;
        wasmtime_component_record_type_field_nth(type->of.record, i, &name, &length, &field);
        if (!program_add_field(self, first + i, name, length, &field)) {
            return false;
        }
    }
    return true;
}

static bool
program_add_tuple(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    uint32_t count = (uint32_t)wasmtime_component_tuple_type_types_count(type->of.tuple);
    if (!program_make_edges(self, index, count)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    for (uint32_t i = 0; i < count; i++) {
        wasmtime_component_valtype_t element;
        wasmtime_component_tuple_type_types_nth(type->of.tuple, i, &element);
        if (!program_connect(self, first + i, &element)) {
            return false;
        }
    }
    return true;
}

static bool
program_add_enum(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    uint32_t count = (uint32_t)wasmtime_component_enum_type_names_count(type->of.enum_);
    if (!program_make_edges(self, index, count)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        size_t length;
        wasmtime_component_enum_type_names_nth(type->of.enum_, i, &name, &length);
        if (!program_name_edge(self, first + i, name, length)) {
            return false;
        }
    }
    return true;
}

static bool
program_add_flags(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    uint32_t count = (uint32_t)wasmtime_component_flags_type_names_count(type->of.flags);
    if (!program_make_edges(self, index, count)) {
        return false;
    }
    uint32_t first = self->nodes[index].edges;
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        size_t length;
        wasmtime_component_flags_type_names_nth(type->of.flags, i, &name, &length);
        if (!program_name_edge(self, first + i, name, length)) {
            return false;
        }
    }
    return true;
}

/* Add the parts of a node, whose kind is that of `type`. */
static bool
program_add_parts(ProgramObject *self, uint32_t index, wasmtime_component_valtype_t *type)
{
    bool fine;
    switch (type->kind) {
    case WIT_LIST:
    case WIT_FIXED_LIST:
        return program_add_list(self, index, type);
    case WIT_MAP:
        return program_add_map(self, index, type);
    case WIT_RECORD:
        return program_add_record(self, index, type);
    case WIT_TUPLE:
        return program_add_tuple(self, index, type);
    case WIT_ENUM:
        return program_add_enum(self, index, type);
    case WIT_FLAGS:
        return program_add_flags(self, index, type);
    case WIT_VARIANT:
        fine = program_add_variant(self, index, type);
        break;
    case WIT_OPTION:
        fine = program_add_option(self, index, type);
        break;
    case WIT_RESULT:
        fine = program_add_result(self, index, type);
        break;
    default: /* it has no parts, or no form in the C API */
        return self->nodes[index].classes != 0 || program_refuse(self, type->kind);
    }
    if (fine) {
        program_settle_cases(self, index);
    }
    return fine;
}

/* The index of a new node for the type, -1 with an exception set. */
static int32_t
program_add(ProgramObject *self, wasmtime_component_valtype_t *type)
{
    if (self->node_count == self->node_room) {
        uint32_t room = self->node_room ? self->node_room * 2 : 8;
        ComponentNode *nodes = PyMem_RawRealloc(self->nodes, room * sizeof(ComponentNode));
        if (nodes == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->nodes = nodes;
        self->node_room = room;
    }
    uint32_t index = self->node_count++;
    uint16_t classes = type->kind < WIT_COUNT ? component_kinds[type->kind].classes : 0;
    self->nodes[index] = (ComponentNode){.kind = type->kind, .classes = classes};
    return program_add_parts(self, index, type) ? (int32_t)index : -1;
}

/* A new program for a function type, which stays the caller's; NULL with an exception set. */
static ProgramObject *
program_compile(wasmtime_component_func_type_t *type, bool tagged, bool arrays)
{
    ProgramObject *self = (ProgramObject *)type_alloc(component.Program);
    if (self == NULL) {
        return NULL;
    }
    self->result = -1;
    self->tagged = tagged;
    self->arrays = arrays;
    self->is_async = wasmtime_component_func_type_async(type);
    self->params = (uint32_t)wasmtime_component_func_type_param_count(type);
    uint32_t first;
    self->types = PyMem_RawCalloc((size_t)self->params + 1, sizeof(wasmtime_component_valtype_t));
    if (self->types == NULL) {
        Py_DECREF(self);
        PyErr_NoMemory();
        return NULL;
    }
    if (!program_reserve_edges(self, self->params, &first)) {
        Py_DECREF(self);
        return NULL;
    }
    for (uint32_t i = 0; i < self->params; i++) {
        char *name;
        size_t length;
        wasmtime_component_func_type_param_nth(type, i, &name, &length, &self->types[i]);
        self->type_count++;
        int32_t node = -1;
        if (!program_name_edge(self, i, name, length)
            || (node = program_add(self, &self->types[i])) < 0) {
            Py_DECREF(self);
            return NULL;
        }
        self->edges[i].node = node;
    }
    if (wasmtime_component_func_type_result(type, &self->types[self->params])) {
        self->type_count++;
        self->result = program_add(self, &self->types[self->params]);
        if (self->result < 0) {
            Py_DECREF(self);
            return NULL;
        }
    }
    program_lay_out(self);
    return self;
}

/* Whether the program was compiled from a type equal to this one. */
static bool
program_fits(ProgramObject *self, wasmtime_component_func_type_t *type)
{
    if (wasmtime_component_func_type_param_count(type) != self->params) {
        return false;
    }
    wasmtime_component_valtype_t given;
    for (uint32_t i = 0; i < self->params; i++) {
        char *name;
        size_t length;
        wasmtime_component_func_type_param_nth(type, i, &name, &length, &given);
        /* Simple types own nothing that would have to be freed. */
        bool same = given.kind == self->types[i].kind;
        if (given.kind > WIT_STRING) {
            same = same && wasmtime_component_valtype_equal(&given, &self->types[i]);
            wasmtime_component_valtype_delete(&given);
        }
        if (!same) {
            return false;
        }
    }
    if (!wasmtime_component_func_type_result(type, &given)) {
        return self->result < 0;
    }
    bool same =
        self->result >= 0 && wasmtime_component_valtype_equal(&given, &self->types[self->params]);
    wasmtime_component_valtype_delete(&given);
    return same;
}

static void
program_dealloc(ProgramObject *self)
{
    for (uint32_t i = 0; i < self->edge_count; i++) {
        Py_XDECREF(self->edges[i].name);
        Py_XDECREF(self->edges[i].attribute);
    }
    for (uint32_t i = 0; i < self->type_count; i++) {
        wasmtime_component_valtype_delete(&self->types[i]);
    }
    PyMem_RawFree(self->nodes);
    PyMem_RawFree(self->edges);
    PyMem_RawFree(self->types);
    Py_XDECREF(self->unsupported);
    type_free((PyObject *)self);
}

static PyType_Slot program_slots[] = {
    {Py_tp_doc, "The compiled type of a component function."},
    {Py_tp_dealloc, program_dealloc},
    {0, NULL},
};
static PyType_Spec program_spec = {"wasmtime._core.ComponentProgram", sizeof(ProgramObject), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                   program_slots};
