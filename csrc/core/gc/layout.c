/* Layouts: how the fields of structs, arrays and exceptions are stored, read once for each
 * reference.
 *
 * A layout is a Signature without results, and counted as one is. */

static Signature *
layout_new(size_t fields)
{
    Signature *self = PyMem_RawMalloc(sizeof(Signature) + fields);
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    self->references = 1;
    self->params = (uint32_t)fields;
    self->results = 0;
    self->unchecked = false;
    return self;
}

static uint8_t
field_kind(wasmtime_field_type_t *field)
{
    uint8_t kind = field->storage.kind == WASMTIME_STORAGE_TYPE_KIND_I8    ? VALKIND_I8
                   : field->storage.kind == WASMTIME_STORAGE_TYPE_KIND_I16 ? VALKIND_I16
                                                                           : VALKIND_I32;
    if (field->storage.kind == WASMTIME_STORAGE_TYPE_KIND_VALTYPE) {
        kind = valtype_kind(field->storage.valtype);
    }
    wasmtime_field_type_delete(field);
    return kind;
}

static Signature *
layout_of_struct(wasmtime_struct_type_t *type)
{
    size_t count = wasmtime_struct_type_num_fields(type);
    Signature *self = layout_new(count);
    wasmtime_field_type_t field;
    for (size_t i = 0; self != NULL && i < count; i++) {
        wasmtime_struct_type_field(type, i, &field);
        self->kinds[i] = field_kind(&field);
    }
    return self;
}

static Signature *
layout_of_array(wasmtime_array_type_t *type)
{
    Signature *self = layout_new(1);
    if (self != NULL) {
        wasmtime_field_type_t field;
        wasmtime_array_type_element(type, &field);
        self->kinds[0] = field_kind(&field);
    }
    return self;
}

/* Read once, inside the store; false with the exception set. Not for exceptions. */
static bool
layout_known(ReferenceObject *self, StoreObject *store)
{
    if (LIKELY(self->layout != NULL)) {
        return true;
    }
    if (self->shape == SHAPE_STRUCT) {
        wasmtime_struct_type_t *type =
            wasmtime_structref_type(store->context, (wasmtime_structref_t *)&self->value.of.anyref);
        self->layout = layout_of_struct(type);
        wasmtime_struct_type_delete(type);
    }
    else {
        wasmtime_array_type_t *type =
            wasmtime_arrayref_type(store->context, (wasmtime_arrayref_t *)&self->value.of.anyref);
        self->layout = layout_of_array(type);
        wasmtime_array_type_delete(type);
    }
    return self->layout != NULL;
}

/* Lower a field's value; what it refers to is owned by `out` afterwards. */
static bool
lower_field(StoreObject *store, PyObject *value, uint8_t kind, wasmtime_val_t *out, Place place)
{
    if (kind < VALKIND_I8) {
        return lower_value(store, value, kind, out, place);
    }
    PyObject *inner = PyObject_TypeCheck(value, (PyTypeObject *)state.Val)
                          ? unpack_val(value, VALKIND_I32, place)
                          : Py_NewRef(value);
    int64_t wide;
    bool fine = inner != NULL && lower_number(inner, VALKIND_I64, &wide, place);
    if (fine) {
        int bits = kind == VALKIND_I8 ? 8 : 16;
        fine = PyIndex_Check(inner) && wide >= -((int64_t)1 << (bits - 1))
               && wide < ((int64_t)1 << bits);
        if (!fine) {
            char text[PLACE_TEXT];
            PyErr_Format(PyExc_OverflowError, "%s: %R does not fit i%d (-2**%d ... 2**%d-1)",
                         place_text(place, text), inner, bits, bits - 1, bits);
        }
        out->kind = VALKIND_I32;
        out->of.i32 = (int32_t)wide;
    }
    Py_XDECREF(inner);
    return fine;
}
