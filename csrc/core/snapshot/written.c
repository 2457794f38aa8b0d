/* WrittenPages: the pages of a memory that copies of a snapshot write to.
 *
 * A copy shares the pages of its image until it writes to them. To get a page of its own then, the
 * system takes away the one that is shared, of which each processor that runs a thread of the
 * process must be told: with several threads this takes longer than all else. So what the first
 * copies have written to is given to later ones beforehand, in a few calls, of which nobody is told.
 *
 * Two copies are looked at, once they have run: which of their pages are theirs alone stands in
 * /proc/self/pagemap. What both wrote to, nearly all write to. Where there is no such file, as on
 * other systems, nothing is given beforehand.
 *
 * To take pages away from a memory takes as long. So one that a copy has used can be renewed: what
 * nearly all write to is written over with what it was in a new copy, and all else that this one
 * wrote to is dropped, which gives it back the pages that are shared.
 *
 * Ownership: the bytes, ranges and contents are the image's. The first change while `looking` is
 * held by one thread; the ranges are made once, and read only after `known` was set; the contents
 * are, after `kept` was. */

#if defined(__linux__)
#include <sys/mman.h>
#endif

typedef struct {
    size_t offset; /* in the memory */
    size_t size;
} WrittenRange;

typedef struct {
    uint8_t *pages; /* 1: all copies that were looked at wrote to it */
    size_t count;   /* of `pages` */
    unsigned looks; /* copies that were looked at */
    WrittenRange *ranges;
    size_t range_count;
    uintptr_t looking; /* by a thread; for good, once no more is to be seen */
    uintptr_t known;   /* `pages` and `ranges` can be used */
    uint8_t *contents; /* of the ranges, in a new copy */
    uintptr_t keeping; /* by a thread; for good, once it has begun */
    uintptr_t kept;    /* `contents` can be used */
} WrittenPages;

static void
written_clear(WrittenPages *self)
{
    PyMem_RawFree(self->pages);
    PyMem_RawFree(self->ranges);
    PyMem_RawFree(self->contents);
}

#if defined(__linux__)

#define WRITTEN_LOOKS 2
/* A copy that writes to more tells nothing of what others will do. */
#define WRITTEN_MOST 512
/* From the kernel's headers, which a libc need not have: since 5.14. */
#define WRITTEN_POPULATE_WRITE 23

/* What /proc/self/pagemap has for a page: it is there, or was swapped out, and shared with a file. */
#define PAGEMAP_THERE (UINT64_C(3) << 62)
#define PAGEMAP_SHARED (UINT64_C(1) << 61)

/* Which of `count` pages at `data` are the process's own: how many, or SIZE_MAX if nobody tells. */
static size_t
written_look(const uint8_t *data, size_t count, size_t page, uint8_t *own)
{
    uint64_t entries[512];
    size_t found = 0;
    int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (size_t at = 0; at < count && found != SIZE_MAX;) {
        size_t wanted = count - at < 512 ? count - at : 512;
        off_t place = (off_t)(((uintptr_t)data / page + at) * sizeof(uint64_t));
        ssize_t got = file < 0 ? -1 : pread(file, entries, wanted * sizeof(uint64_t), place);
        if (got < (ssize_t)sizeof(uint64_t)) {
            found = SIZE_MAX;
        }
        for (size_t i = 0; got > 0 && i < (size_t)got / sizeof(uint64_t); i++) {
            own[at] = (entries[i] & PAGEMAP_THERE) != 0 && (entries[i] & PAGEMAP_SHARED) == 0;
            found += own[at++];
        }
    }
    if (file >= 0) {
        close(file);
    }
    return found;
}

/* Make ranges of what was seen. */
static void
written_conclude(WrittenPages *self, size_t page)
{
    self->ranges = PyMem_RawCalloc(WRITTEN_MOST, sizeof(WrittenRange));
    for (size_t i = 0; self->ranges != NULL && i < self->count; i++) {
        if (self->pages[i] && i != 0 && self->pages[i - 1]) {
            self->ranges[self->range_count - 1].size += page;
        }
        else if (self->pages[i]) {
            self->ranges[self->range_count++] = (WrittenRange){i * page, page};
        }
    }
    atomic_store(&self->known, 1);
}

/* Take what a copy with `count` pages wrote to; false: there is no more to be seen. */
static bool
written_take(WrittenPages *self, const uint8_t *data, size_t count, size_t page)
{
    uint8_t *own = PyMem_RawCalloc(count ? count : 1, 1);
    size_t found = own == NULL ? SIZE_MAX : written_look(data, count, page, own);
    if (found > WRITTEN_MOST) {
        PyMem_RawFree(own);
        return found != SIZE_MAX;
    }
    if (self->pages == NULL) {
        self->pages = own;
        self->count = count;
    }
    else {
        self->count = count < self->count ? count : self->count;
        for (size_t i = 0; i < self->count; i++) {
            self->pages[i] &= own[i];
        }
        PyMem_RawFree(own);
    }
    if (++self->looks < WRITTEN_LOOKS) {
        return true;
    }
    written_conclude(self, page);
    return false;
}

/* Look at a memory that a copy has used. Without the GIL. */
static void
written_learn(WrittenPages *self, const uint8_t *data, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (atomic_exchange_if(&self->looking, 0, 1) && written_take(self, data, size / page, page)) {
        atomic_store(&self->looking, 0);
    }
}

/* Give a new copy the pages that it will write to. */
static void
written_populate(const WrittenPages *self, uint8_t *data, size_t size)
{
    for (size_t i = 0; i < self->range_count; i++) {
        const WrittenRange *range = &self->ranges[i];
        if (range->offset + range->size > size
            || madvise(data + range->offset, range->size, WRITTEN_POPULATE_WRITE) != 0) {
            return; /* the system has no such call: what is written to is copied then */
        }
    }
}

/* Keep what a new copy has where nearly all write to. */
static void
written_keep(WrittenPages *self, const uint8_t *data, size_t size)
{
    size_t total = 0;
    for (size_t i = 0; i < self->range_count; i++) {
        if (self->ranges[i].offset + self->ranges[i].size > size) {
            return;
        }
        total += self->ranges[i].size;
    }
    uint8_t *to = self->contents = PyMem_RawMalloc(total ? total : 1);
    for (size_t i = 0; to != NULL && i < self->range_count; i++) {
        memcpy(to, data + self->ranges[i].offset, self->ranges[i].size);
        to += self->ranges[i].size;
    }
    atomic_store(&self->kept, to != NULL);
}

/* A new copy is about to be used. Without the GIL. */
static void
written_begin(WrittenPages *self, uint8_t *data, size_t size)
{
    if (!atomic_load(&self->known)) {
        return;
    }
    written_populate(self, data, size);
    if (atomic_exchange_if(&self->keeping, 0, 1)) {
        written_keep(self, data, size);
    }
}

/* Drop those of `count` pages that the copy wrote to, but for those that nearly all write to: runs of
 * them at once. */
static bool
written_drop(const WrittenPages *self, uint8_t *data, size_t count, size_t page, const uint8_t *own)
{
    bool fine = true;
    size_t start = 0;
    for (size_t i = 0; fine && i <= count; i++) {
        if (i == count || !own[i] || (i < self->count && self->pages[i])) {
            fine =
                i == start || madvise(data + start * page, (i - start) * page, MADV_DONTNEED) == 0;
            start = i + 1;
        }
    }
    return fine;
}

/* Let a memory that a copy has used be as in a new one; false if that cannot be had. Without the
 * GIL. */
static bool
written_renew(const WrittenPages *self, uint8_t *data, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = (size + page - 1) / page;
    uint8_t *own = atomic_load(&self->kept) ? PyMem_RawCalloc(count ? count : 1, 1) : NULL;
    bool fine = own != NULL && written_look(data, count, page, own) <= 2 * WRITTEN_MOST
                && written_drop(self, data, count, page, own);
    PyMem_RawFree(own);
    const uint8_t *from = self->contents;
    for (size_t i = 0; fine && i < self->range_count; i++) {
        memcpy(data + self->ranges[i].offset, from, self->ranges[i].size);
        from += self->ranges[i].size;
    }
    return fine;
}

#else

static void
written_learn(WrittenPages *self, const uint8_t *Py_UNUSED(data), size_t Py_UNUSED(size))
{
    atomic_store(&self->looking, 1);
}

static void
written_begin(WrittenPages *Py_UNUSED(self), uint8_t *Py_UNUSED(data), size_t Py_UNUSED(size))
{
}

static bool
written_renew(const WrittenPages *Py_UNUSED(self), uint8_t *Py_UNUSED(data), size_t Py_UNUSED(size))
{
    return false;
}

#endif
