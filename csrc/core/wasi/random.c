/* random_get: random numbers of the operating system, or the same ones for the same seed.
 *
 * The seeded ones are those of xoshiro256**, written down in little-endian order: they are
 * reproducible on every platform, and no secret. */

#if defined(_WIN32)
/* <stdlib.h> declares it where a macro asks for it before the first header. */
extern int __cdecl rand_s(unsigned int *word);

static bool
random_from_system(uint8_t *bytes, size_t size)
{
    while (size > 0) {
        unsigned int word;
        if (rand_s(&word) != 0) {
            return false;
        }
        size_t piece = size < sizeof(word) ? size : sizeof(word);
        memcpy(bytes, &word, piece);
        bytes += piece;
        size -= piece;
    }
    return true;
}
#elif defined(__linux__)
#include <sys/syscall.h>

static bool
random_from_system(uint8_t *bytes, size_t size)
{
    while (size > 0) {
        long count = syscall(SYS_getrandom, bytes, size, 0);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        }
    }
    return true;
}
#else
#include <sys/random.h>

static bool
random_from_system(uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t piece = size < 256 ? size : 256; /* what it gives at a time */
        if (getentropy(bytes, piece) != 0) {
            return false;
        }
        bytes += piece;
        size -= piece;
    }
    return true;
}
#endif

/* random_bytes(size): for what has no time to wait until the GIL is back. */
static PyObject *
core_random_bytes(PyObject *Py_UNUSED(module), PyObject *argument)
{
    Py_ssize_t size = PyLong_AsSsize_t(argument);
    PyObject *result = size < 0 ? NULL : PyBytes_FromStringAndSize(NULL, size);
    if (size < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "size must be at least 0");
    }
    if (result != NULL && !random_from_system((uint8_t *)PyBytes_AsString(result), (size_t)size)) {
        PyErr_SetString(PyExc_OSError, "the operating system gives no random numbers");
        Py_CLEAR(result);
    }
    return result;
}

static inline uint64_t
rotate_left(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

static uint64_t
random_next(GuestRandom *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static void
random_from_seed(GuestRandom *random, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        uint64_t word = random_next(random);
        for (int i = 0; i < 8 && size > 0; i++, size--) {
            *bytes++ = (uint8_t)(word >> (8 * i));
        }
    }
}

static WasiStep
random_get_attempt(WasiCall *call)
{
    uint32_t buffer = call->arguments[0], size = call->arguments[1];
    if (size == 0) {
        return wasi_error(call, WASI_SUCCESS);
    }
    if (!guest_check(call, buffer, size, 1)) {
        return WASI_FAILED;
    }
    uint8_t *bytes = call->memory.data + buffer;
    if (call->wasi->random.seeded) {
        random_from_seed(&call->wasi->random, bytes, size);
    }
    else if (!random_from_system(bytes, size)) {
        return wasi_error(call, WASI_IO);
    }
    return wasi_error(call, WASI_SUCCESS);
}

/* 32 bytes, which the package makes from what the user gave. */
static void
random_seed(GuestRandom *random, const uint8_t *bytes)
{
    random->seeded = true;
    for (int word = 0; word < 4; word++) {
        random->state[word] = 0;
        for (int i = 0; i < 8; i++) {
            random->state[word] |= (uint64_t)bytes[word * 8 + i] << (8 * i);
        }
    }
}
