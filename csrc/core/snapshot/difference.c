/* Differences of memories: where the bytes of one are not those of another. Nothing is owned: both
 * are buffers of the caller's. */

/* What is compared at a time; the fewest bytes that a system maps. */
#define SNAPSHOT_PAGE ((size_t)4096)

static const uint8_t no_bytes[SNAPSHOT_PAGE];

/* Whether `size` bytes at `at` of the two are the same. Behind its end, `base` is zero. */
static bool
same_bytes(const Py_buffer *now, const Py_buffer *base, size_t at, size_t size)
{
    size_t common = (size_t)base->len <= at ? 0 : (size_t)base->len - at;
    if (common > size) {
        common = size;
    }
    const uint8_t *bytes = (const uint8_t *)now->buf + at;
    return memcmp(bytes, (const uint8_t *)base->buf + at, common) == 0
           && memcmp(bytes + common, no_bytes, size - common) == 0;
}

/* The next run of pages that differ, at or behind `at`: its end, or 0 if there is none. */
static size_t
next_difference(const Py_buffer *now, const Py_buffer *base, size_t *at)
{
    size_t size = (size_t)now->len, start = size, end = 0;
    for (size_t page = *at; page < size; page += SNAPSHOT_PAGE) {
        size_t length = size - page < SNAPSHOT_PAGE ? size - page : SNAPSHOT_PAGE;
        bool same = same_bytes(now, base, page, length);
        if (!same) {
            start = start == size ? page : start;
            end = page + length;
        }
        else if (start != size) {
            break;
        }
    }
    *at = start;
    return end;
}

/* memory_differences(now, base) */
static PyObject *
core_memory_differences(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *now_object, *base_object;
    Py_buffer now, base;
    if (!PyArg_ParseTuple(args, "OO:memory_differences", &now_object, &base_object)
        || PyObject_GetBuffer(now_object, &now, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (PyObject_GetBuffer(base_object, &base, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&now);
        return NULL;
    }
    PyObject *runs = PyList_New(0);
    size_t at = 0, end;
    while (runs != NULL) {
        Py_BEGIN_ALLOW_THREADS end = next_difference(&now, &base, &at);
        Py_END_ALLOW_THREADS if (end == 0)
        {
            break;
        }
        PyObject *run = Py_BuildValue("(nn)", (Py_ssize_t)at, (Py_ssize_t)end);
        if (run == NULL || PyList_Append(runs, run) < 0) {
            Py_CLEAR(runs);
        }
        Py_XDECREF(run);
        at = end;
    }
    PyBuffer_Release(&base);
    PyBuffer_Release(&now);
    return runs;
}
