/* Lists of numbers as arrays: objects of Python's `array.array`, which hold the bytes that the
 * guest has, and which NumPy takes without a copy.
 *
 * Ownership: an array is made for one result, and belongs to whoever called. */

/* The type code of a kind of number; 0: its lists are never arrays. */
static char
array_code(uint8_t kind)
{
    switch (kind) {
    case WIT_S8:
        return 'b';
    case WIT_S16:
        return 'h';
    case WIT_S32:
        return 'i';
    case WIT_S64:
        return 'q';
    case WIT_U16:
        return 'H';
    case WIT_U32:
        return 'I';
    case WIT_U64:
        return 'Q';
    case WIT_F32:
        return 'f';
    case WIT_F64:
        return 'd';
    default: /* u8 is bytes, bool and char are lists */
        return 0;
    }
}

/* A new array of `count` elements, and where they lie; NULL with an exception. */
static PyObject *
number_array(uint8_t kind, Py_ssize_t count, char **data)
{
    PyObject *module = PyImport_ImportModule("array");
    PyObject *one =
        module ? PyObject_CallMethod(module, "array", "C(i)", (int)array_code(kind), 0) : NULL;
    Py_XDECREF(module);
    PyObject *array = one != NULL ? PySequence_Repeat(one, count) : NULL;
    Py_XDECREF(one);
    Py_buffer view;
    if (array != NULL && PyObject_GetBuffer(array, &view, PyBUF_WRITABLE) < 0) {
        Py_CLEAR(array);
    }
    if (array != NULL) {
        /* Nobody else has the array yet, so nothing moves its elements. */
        *data = view.buf;
        PyBuffer_Release(&view);
    }
    return array;
}
