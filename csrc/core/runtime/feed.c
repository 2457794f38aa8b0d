/* NOTE FROM THE LEAD: read NOTE-FROM-LEAD.md in the root of this worktree NOW: main has this already. */
/* Feed: standard input of components, through a pipe of ours.
 *
 * The library reads a component's input on threads of its own, and its guest waits there, where it
 * hears nothing. So it is given the reading end of a pipe, which a native thread fills from what
 * the guest is to read. When the guest must end and still has not, a moment after its tick, the
 * ticker has that thread close the pipe: the wait is over, and the guest ends at its next check. It
 * does not take that for the end of its input, since its time has been up before (`cut_short`).
 * Nothing can be read in that store from then on.
 *
 * The thread reads ahead what the pipe holds: 64 KiB, as a rule. It looks at the process's own input
 * (`shared`) only while a guest is inside, as the program may read that, too.
 *
 * POSIX: elsewhere there is no feed, and the library reads by itself.
 *
 * Ownership: a store owns its Feed until it dies, or gets another one; the thread owns it as well,
 * and with it both descriptors, which it closes. In a forked child, where there are no such threads
 * and the library serves no component, the list of all of them closes its copies: otherwise the
 * guest of the parent would never see its pipe closed. All but the thread's reading and writing is
 * done under the ticker's lock. */

#if defined(_WIN32)

static void
feed_end(struct Feed *feed)
{
    (void)feed;
}

static void
store_end_feed(StoreObject *store)
{
    (void)store;
}

static void
store_cut_feed(StoreObject *store)
{
    (void)store;
}

#else

#define FEED_CHUNK 32768
/* How often what came is looked at, while it is the program's, since no guest is inside. */
#define FEED_PATIENCE 20 /* milliseconds */

typedef struct Feed {
    unsigned references;
    int source;        /* what the guest is to read */
    int writing;       /* the pipe's end, or -1: closed */
    Alarm alarm;       /* rings when the feed ends */
    bool shared;       /* the program may read the source, too */
    bool begun;        /* there is a thread, */
    bool filling;      /* which writes to the pipe */
    uintptr_t *thread; /* of the store (Expiry), or NULL: the feed has ended */
    struct Feed *previous, *next;
} Feed;

static Feed *feeds; /* all of them */

static void
feed_close_pipe(Feed *self)
{
    if (self->writing >= 0) {
        close(self->writing);
        self->writing = -1;
    }
}

static void
feed_close(Feed *self)
{
    if (self->source >= 0) {
        close(self->source);
    }
    feed_close_pipe(self);
    alarm_close(&self->alarm);
}

static void
feed_release(Feed *self)
{
    mutex_lock(&ticker.lock);
    bool last = --self->references == 0;
    if (last) {
        *(self->previous != NULL ? &self->previous->next : &feeds) = self->next;
        if (self->next != NULL) {
            self->next->previous = self->previous;
        }
    }
    mutex_unlock(&ticker.lock);
    if (last) {
        feed_close(self);
        PyMem_RawFree(self);
    }
}

/* The guest must end, or is no more: its input is over. The lock is held. */
static void
feed_end(Feed *self)
{
    uint64_t one = 1;
    if (self->thread != NULL) {
        self->thread = NULL;
        ssize_t written = write(self->alarm.writing, &one, sizeof(one));
        (void)written;        /* an alarm that is full has been heard */
        if (!self->filling) { /* it may be stuck, where another process read what came */
            feed_close_pipe(self);
        }
    }
}

/* --- its thread ------------------------------------------------------------------------------- */

/* Wait until a descriptor is ready; false: the feed has ended. */
static bool
feed_wait(const Feed *self, int descriptor, short events, int milliseconds)
{
    struct pollfd polled[2] = {{descriptor, events, 0}, {self->alarm.reading, POLLIN, 0}};
    while (poll(polled, 2, milliseconds) < 0 && (errno == EINTR || errno == EAGAIN)) {
    }
    return polled[1].revents == 0;
}

/* Wait until there is something to be read, and it is the guest's. */
static bool
feed_wait_for_input(Feed *self)
{
    while (feed_wait(self, self->source, POLLIN, -1)) {
        mutex_lock(&ticker.lock);
        bool over = self->thread == NULL;
        bool inside = !over && (!self->shared || atomic_load(self->thread) != 0);
        mutex_unlock(&ticker.lock);
        if (over || inside) {
            return inside;
        }
        if (!feed_wait(self, -1, 0, FEED_PATIENCE)) {
            return false;
        }
    }
    return false;
}

static bool
feed_fill(const Feed *self, const char *bytes, ssize_t size)
{
    while (size > 0) {
        if (!feed_wait(self, self->writing, POLLOUT, -1)) {
            return false;
        }
        ssize_t written = write(self->writing, bytes, (size_t)size);
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return false; /* nobody will read it */
        }
        if (written > 0) {
            bytes += written;
            size -= written;
        }
    }
    return true;
}

/* False: the feed has ended, and the pipe is closed. */
static bool
feed_begin_filling(Feed *self)
{
    mutex_lock(&ticker.lock);
    bool fine = self->filling = self->thread != NULL;
    mutex_unlock(&ticker.lock);
    return fine;
}

static void
feed_end_filling(Feed *self)
{
    mutex_lock(&ticker.lock);
    self->filling = false;
    mutex_unlock(&ticker.lock);
}

static bool
feed_write(Feed *self, const char *bytes, ssize_t size)
{
    bool fine = feed_begin_filling(self) && feed_fill(self, bytes, size);
    feed_end_filling(self);
    return fine;
}

/* Hand on what can be read; false: the input is over. */
static bool
feed_copy(Feed *self)
{
    char bytes[FEED_CHUNK];
    ssize_t size = read(self->source, bytes, sizeof(bytes));
    if (size < 0) {
        return errno == EINTR || errno == EAGAIN;
    }
    return size > 0 && feed_write(self, bytes, size);
}

#if defined(__linux__)
/* The same without a copy, from pipe to pipe. */
static bool
feed_move(Feed *self)
{
    if (!feed_wait(self, self->writing, POLLOUT, -1) || !feed_begin_filling(self)) {
        return false;
    }
    ssize_t size = splice(self->source, NULL, self->writing, NULL, FEED_CHUNK, SPLICE_F_NONBLOCK);
    int error = size < 0 ? errno : 0;
    feed_end_filling(self);
    if (error == EINVAL) { /* not every source can do that */
        return feed_copy(self);
    }
    return size > 0 || error == EINTR || error == EAGAIN;
}
#else
#define feed_move feed_copy
#endif

static void
feed_run(void *feed)
{
    Feed *self = feed;
    thread_leave_signals_to_others();
    while (feed_wait_for_input(self) && feed_move(self)) {
    }
    mutex_lock(&ticker.lock);
    feed_close_pipe(self);
    mutex_unlock(&ticker.lock);
    feed_release(self);
}

/* --- its store -------------------------------------------------------------------------------- */

/* A feed from a descriptor, which it takes; the pipe's other end is for the caller. NULL: there is
 * no memory, or there are no descriptors. */
static Feed *
feed_make(int source, bool shared, int *reading)
{
    int ends[2];
    Feed *self = PyMem_RawCalloc(1, sizeof(Feed));
    if (self == NULL || pipe(ends) != 0) {
        PyMem_RawFree(self);
        return NULL;
    }
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    *self = (Feed){.references = 1, .source = source, .writing = ends[1], .alarm = {-1, -1}};
    self->shared = shared;
    alarm_make(&self->alarm);
    if (self->alarm.reading < 0) {
        self->source = -1; /* still the caller's */
        feed_close(self);
        close(ends[0]);
        PyMem_RawFree(self);
        return NULL;
    }
    *reading = ends[0];
    return self;
}

/* The store's input is over: it dies, or is given another. */
static void
store_end_feed(StoreObject *store)
{
    if (LIKELY(store->expiry.feed == NULL)) { /* which this thread alone sets */
        return;
    }
    mutex_lock(&ticker.lock);
    Feed *feed = store->expiry.feed;
    store->expiry.feed = NULL;
    if (feed != NULL) {
        feed_end(feed);
    }
    mutex_unlock(&ticker.lock);
    if (feed != NULL) {
        feed_release(feed);
    }
}

/* A guest that nobody waits for any more is to end: its input is over. */
static void
store_cut_feed(StoreObject *store)
{
    mutex_lock(&ticker.lock);
    if (store->expiry.feed != NULL) {
        feed_end(store->expiry.feed);
    }
    mutex_unlock(&ticker.lock);
}

/* _make_feed(source, shared): the descriptor that the library is to read, which the caller closes
 * then. The feed takes `source`. */
static PyObject *
store_make_feed(StoreObject *self, PyObject *args)
{
    int source, shared, reading;
    if (!PyArg_ParseTuple(args, "ip:_make_feed", &source, &shared) || !store_enter(self)) {
        return NULL;
    }
    store_end_feed(self);
    Feed *feed = feed_make(source, shared != 0, &reading);
    if (feed != NULL) {
        mutex_lock(&ticker.lock);
        feed->thread = &self->thread;
        feed->next = feeds;
        if (feeds != NULL) {
            feeds->previous = feed;
        }
        feeds = feed;
        self->expiry.feed = feed;
        mutex_unlock(&ticker.lock);
        self->cut_short = true;
    }
    PyObject *result = feed != NULL ? PyLong_FromLong(reading) : PyErr_SetFromErrno(PyExc_OSError);
    store_leave(self);
    return result;
}

/* _begin_feed(): the guest wants to read, if there is a feed that has not begun. */
static PyObject *
store_begin_feed(StoreObject *self, PyObject *Py_UNUSED(ignored))
{
    mutex_lock(&ticker.lock);
    Feed *feed = self->expiry.feed;
    if (feed != NULL && !feed->begun) {
        feed->begun = true;
        feed->references++;
        if (PyThread_start_new_thread(feed_run, feed) == PYTHREAD_INVALID_THREAD_ID) {
            feed->references--;
            feed_end(feed);
        }
    }
    mutex_unlock(&ticker.lock);
    Py_RETURN_NONE;
}

/* The threads are not here, and the guests are the parent's. */
static void
feed_after_fork_in_child(void)
{
    for (Feed *feed = feeds; feed != NULL; feed = feed->next) {
        feed->references -= feed->begun; /* the thread's */
        feed->thread = NULL;
        feed_close(feed);
        feed->source = -1;
    }
}

#endif
