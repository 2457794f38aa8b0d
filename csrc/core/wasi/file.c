/* Descriptors of the operating system: read and written without blocking.
 *
 * What would block is left to who runs the call (WASI_WAIT). Regular files do not block for long,
 * and Windows has no way to ask: there reads and writes block. Nothing here is owned. */

#if !defined(_WIN32)
#include <sys/stat.h>
#endif

typedef struct {
    int number; /* -1: none */
    bool owned;
    bool may_block; /* a pipe, a socket or a terminal; not a regular file */
    bool may_break; /* a pipe or a socket: its other end may be closed */
} File;

/* A pipe that has room has room for so much: less than that never blocks. */
#define FILE_PIECE 4096

/* What a read or write comes to beside the number of bytes. */
#define FILE_WOULD_BLOCK (-1)
#define FILE_ERROR (-2)

static File
file_make(int number, bool owned)
{
    File file = {number, owned, false, false};
#if !defined(_WIN32)
    struct stat status;
    if (number >= 0 && fstat(number, &status) == 0) {
        file.may_block = !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
        file.may_break = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
    }
#endif
    return file;
}

static void
file_close(File *file)
{
    if (file->owned && file->number >= 0) {
#if defined(_WIN32)
        (void)_close(file->number);
#else
        (void)close(file->number);
#endif
    }
    file->number = -1;
}

/* The error number of preview 1 for one of the system's. */
static int
file_errno(int error)
{
    switch (error) {
    case EACCES:
        return WASI_ACCES;
    case EAGAIN:
        return WASI_AGAIN;
    case EBADF:
        return WASI_BADF;
#if defined(ECONNRESET)
    case ECONNRESET:
        return WASI_CONNRESET;
#endif
#if defined(EDQUOT)
    case EDQUOT:
        return WASI_DQUOT;
#endif
    case EFBIG:
        return WASI_FBIG;
    case EINVAL:
        return WASI_INVAL;
    case EISDIR:
        return WASI_ISDIR;
    case ENOMEM:
        return WASI_NOMEM;
    case ENOSPC:
        return WASI_NOSPC;
    case ENXIO:
        return WASI_NXIO;
    case EPERM:
        return WASI_PERM;
    case EPIPE:
        return WASI_PIPE;
    default:
        return WASI_IO;
    }
}

#if defined(_WIN32)
static ptrdiff_t
file_read(const File *file, uint8_t *bytes, size_t size, int *error)
{
    int count = _read(file->number, bytes, size < INT_MAX ? (unsigned)size : INT_MAX);
    if (count < 0) {
        *error = file_errno(errno);
        return FILE_ERROR;
    }
    return count;
}

static ptrdiff_t
file_write(const File *file, const uint8_t *bytes, size_t size, int *error)
{
    int count = _write(file->number, bytes, size < INT_MAX ? (unsigned)size : INT_MAX);
    if (count < 0) {
        *error = file_errno(errno);
        return FILE_ERROR;
    }
    return count;
}

#define file_is_ready(file, events) true
#define POLLIN 1
#define POLLOUT 2
#else
/* Whether a read or a write would return at once; an error or an end of file does. */
static bool
file_is_ready(const File *file, short events)
{
    struct pollfd asked = {file->number, events, 0};
    return !file->may_block || poll(&asked, 1, 0) != 0;
}

static ptrdiff_t
file_outcome(ssize_t count, int *error)
{
    if (count >= 0) {
        return count;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return FILE_WOULD_BLOCK;
    }
    *error = file_errno(errno);
    return FILE_ERROR;
}

static ptrdiff_t
file_read(const File *file, uint8_t *bytes, size_t size, int *error)
{
    if (!file_is_ready(file, POLLIN)) {
        return FILE_WOULD_BLOCK;
    }
    return file_outcome(read(file->number, bytes, size), error);
}

/* write(), which for a pipe that nobody reads sends a signal too, whose default ends the process:
 * such a signal is taken back, unless another one is waiting already. */
static ssize_t
write_without_signal(int descriptor, const uint8_t *bytes, size_t size)
{
    sigset_t broken, before, pending;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigemptyset(&pending);
    (void)sigpending(&pending);
    bool waiting_already = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &broken, &before);
    ssize_t count = write(descriptor, bytes, size);
    int error = errno;
    if (count < 0 && error == EPIPE && !waiting_already && sigpending(&pending) == 0
        && sigismember(&pending, SIGPIPE) == 1) {
        int taken;
        (void)sigwait(&broken, &taken);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return count;
}

static ptrdiff_t
file_write(const File *file, const uint8_t *bytes, size_t size, int *error)
{
    if (!file->may_block) {
        return file_outcome(write(file->number, bytes, size), error);
    }
    if (!file_is_ready(file, POLLOUT)) {
        return FILE_WOULD_BLOCK;
    }
    size = size < FILE_PIECE ? size : FILE_PIECE;
    return file_outcome(file->may_break ? write_without_signal(file->number, bytes, size)
                                        : write(file->number, bytes, size),
                        error);
}
#endif
