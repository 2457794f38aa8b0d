/* The sum under the seal of an artifact, at the speed of memory (wasmtime/_artifacts/seal.py).
 *
 * Eight lanes take the words of the data in turn. Each step is a bijection of its lane, whatever
 * the word, and of the word, whatever the lane: one damaged word always shows, and more than one
 * cancel each other with the odds of a random guess. This finds damage. It is no protection from
 * somebody who means to deceive: such sums are easily made to come out.
 *
 * Artifacts are for one kind of machine, so words are in its order of bytes. Nothing is owned. */

#define SEAL_LANES 8
#define SEAL_BLOCK (SEAL_LANES * sizeof(uint64_t))
#define SEAL_FACTOR 0x9E3779B97F4A7C15u /* odd: multiplying by it can be undone */

static inline uint64_t
seal_step(uint64_t lane, uint64_t word)
{
    lane ^= word;
    return (lane << 29 | lane >> 35) * SEAL_FACTOR;
}

static inline void
seal_block(uint64_t lanes[SEAL_LANES], const char *block)
{
    for (int i = 0; i < SEAL_LANES; i++) {
        uint64_t word;
        memcpy(&word, block + sizeof(word) * (size_t)i, sizeof(word));
        lanes[i] = seal_step(lanes[i], word);
    }
}

/* Half as many words as lanes come out. */
static void
seal_sum(const char *data, size_t size, uint64_t sum[SEAL_LANES / 2])
{
    uint64_t lanes[SEAL_LANES];
    for (uint64_t i = 0; i < SEAL_LANES; i++) {
        lanes[i] = SEAL_FACTOR * (i + 1) ^ size;
    }
    const char *end = data + size / SEAL_BLOCK * SEAL_BLOCK;
    for (; data < end; data += SEAL_BLOCK) {
        seal_block(lanes, data);
    }
    char last[SEAL_BLOCK] = {0};
    memcpy(last, data, size % SEAL_BLOCK);
    seal_block(lanes, last);
    for (int i = 0; i < SEAL_LANES / 2; i++) {
        sum[i] = seal_step(lanes[i], lanes[i + SEAL_LANES / 2]);
        sum[i] ^= sum[i] >> 32;
    }
}

PyDoc_STRVAR(seal_doc, "seal_sum($module, data, /)\n--\n\n"
                       "The sum of bytes that is kept under the seal of an artifact: 32 bytes.");

static PyObject *
core_seal_sum(PyObject *Py_UNUSED(module), PyObject *object)
{
    Py_buffer data;
    if (PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    uint64_t sum[SEAL_LANES / 2];
    Py_BEGIN_ALLOW_THREADS;
    seal_sum(data.buf, (size_t)data.len, sum);
    Py_END_ALLOW_THREADS;
    PyBuffer_Release(&data);
    return PyBytes_FromStringAndSize((const char *)sum, sizeof(sum));
}
