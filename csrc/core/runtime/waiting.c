/* Waiting on behalf of a guest: the one way for native code of ours to block in a native call.
 *
 *     Awaited what = awaited_until(moment);              when it is over at the latest
 *     awaited_add(&what, descriptor, AWAIT_READING);     or when something can be read or written
 *     switch (wait_for(store, &what)) {
 *     case AWAITED_READY:                                see `ready` of each descriptor
 *     case AWAITED_MOMENT:                               the moment has come
 *     case AWAITED_STOP:                                 the guest must end: stop_trap(store)
 *     }
 *
 * An asynchronous call does not wait here: what it would wait for, an `Awaited`, is left to its
 * event loop.
 *
 * A guest that waits is woken by Store.interrupt(), by Engine.increment_epoch(), and on the main
 * thread by signals, whose Python handlers run meanwhile; it goes on waiting if it need not end. It
 * sees by itself when its time is up. The GIL is not held, whatever the call does otherwise.
 *
 * Ownership: a Waiter lies on the stack of its thread, and stands in the list while that blocks. A
 * thread that waits for a descriptor, and the main thread, borrow an alarm to be woken by; others
 * wait on a condition. So a sleeping store costs no descriptor. */

#define AWAITED_MOST 4

typedef enum { AWAIT_READING = 1, AWAIT_WRITING = 2 } AwaitedEvent;

typedef struct {
    Moment until;
    int count;
    struct {
        int descriptor;
        AwaitedEvent event;
        bool ready; /* afterwards; an end of file or an error counts */
    } descriptors[AWAITED_MOST];
} Awaited;

typedef enum { AWAITED_READY, AWAITED_MOMENT, AWAITED_STOP } AwaitedEnd;

/* Descriptors to wake a thread by: what is written to one can be read from the other. */
typedef struct {
    int reading, writing; /* -1: there is none to be had */
} Alarm;

typedef struct Waiter {
    StoreObject *store;
    struct Waiter *previous, *next;
    Condition condition; /* of those without an alarm */
    Alarm alarm;
    bool woken;
} Waiter;

#define WAITING_ALARMS 8

static struct {
    Mutex lock;
    Waiter *first;
    Alarm alarms[WAITING_ALARMS]; /* that nobody has borrowed */
    int alarm_count;
} waiting;

/* A signal that does not interrupt the main thread is seen after so long at most; so is what comes
 * while there is no alarm to be had. */
#define WAITING_SLICE (50 * MILLISECOND)

static inline Awaited
awaited_until(Moment until)
{
    Awaited what;
    memset(&what, 0, sizeof(what));
    what.until = until;
    return what;
}

static inline void
awaited_add(Awaited *what, int descriptor, AwaitedEvent event)
{
    what->descriptors[what->count].descriptor = descriptor;
    what->descriptors[what->count++].event = event;
}

/* --- the list --------------------------------------------------------------------------------- */

/* The lock is held in all of these. */

static void
waiter_join(Waiter *self)
{
    self->previous = NULL;
    self->next = waiting.first;
    if (self->next != NULL) {
        self->next->previous = self;
    }
    waiting.first = self;
    self->store->waiter = self;
    atomic_add(&((EngineObject *)self->store->owner.engine)->sleepers, 1);
}

static void
waiter_part(Waiter *self)
{
    if (self->previous != NULL) {
        self->previous->next = self->next;
    }
    else {
        waiting.first = self->next;
    }
    if (self->next != NULL) {
        self->next->previous = self->previous;
    }
    self->store->waiter = NULL;
    atomic_sub(&((EngineObject *)self->store->owner.engine)->sleepers, 1);
}

static void
waiter_wake(Waiter *self)
{
    if (self->woken) {
        return;
    }
    self->woken = true;
#if !defined(_WIN32)
    if (self->alarm.writing >= 0) {
        static const uint64_t one = 1;
        ssize_t written = write(self->alarm.writing, &one, sizeof(one));
        (void)written;
        return;
    }
#endif
    condition_signal(&self->condition);
}

/* The engine's epoch has moved. */
static void
waiting_wake_engine(EngineObject *engine)
{
    mutex_lock(&waiting.lock);
    for (Waiter *waiter = waiting.first; waiter != NULL; waiter = waiter->next) {
        if (waiter->store->owner.engine == (PyObject *)engine) {
            waiter_wake(waiter);
        }
    }
    mutex_unlock(&waiting.lock);
}

static void
waiting_wake_store(StoreObject *store)
{
    mutex_lock(&waiting.lock);
    if (store->waiter != NULL) {
        waiter_wake(store->waiter);
    }
    mutex_unlock(&waiting.lock);
}

/* Whether something has happened already that the guest would be woken for. */
static bool
waiter_has_news(const Waiter *self)
{
    const StoreObject *store = self->store;
    return self->woken || store_stop_reason(store) != STOP_NOT || store_deadline_has_come(store);
}

/* --- blocking --------------------------------------------------------------------------------- */

/* Until a moment, or until the waiter is woken, or sooner. The lock is held. */
static void
waiter_sleep(Waiter *self, Moment until)
{
    if (!waiter_has_news(self)) {
        condition_wait(&self->condition, &waiting.lock, until);
    }
}

#if defined(_WIN32)

/* Pipes and consoles cannot be waited for together with other things: they are looked at every few
 * milliseconds. */
#define WAITING_LOOK (5 * MILLISECOND)

static bool
descriptor_is_ready(int descriptor)
{
    HANDLE handle = (HANDLE)_get_osfhandle(descriptor);
    DWORD available;
    switch (GetFileType(handle)) {
    case FILE_TYPE_PIPE:
        return !PeekNamedPipe(handle, NULL, 0, NULL, &available, NULL) || available != 0;
    case FILE_TYPE_CHAR:
        return WaitForSingleObject(handle, 0) != WAIT_TIMEOUT;
    default:
        return true;
    }
}

static bool
waiter_look(Awaited *what)
{
    bool any = false;
    for (int i = 0; i < what->count; i++) {
        what->descriptors[i].ready = what->descriptors[i].event == AWAIT_WRITING
                                     || descriptor_is_ready(what->descriptors[i].descriptor);
        any = any || what->descriptors[i].ready;
    }
    return any;
}

/* Whether a descriptor is ready; `interrupted` where a signal may have come. */
static bool
waiter_block(Waiter *self, Awaited *what, Moment until, bool *interrupted)
{
    bool ready;
    *interrupted = true; /* nothing says so */
    mutex_lock(&waiting.lock);
    waiter_join(self);
    while (!(ready = waiter_look(what)) && moment_now() < until && !waiter_has_news(self)) {
        waiter_sleep(self,
                     what->count != 0 ? moment_min(until, moment_now() + WAITING_LOOK) : until);
    }
    waiter_part(self);
    self->woken = false;
    mutex_unlock(&waiting.lock);
    return ready;
}

#define alarm_borrow(alarm) ((void)(alarm))
#define alarm_give_back(alarm) ((void)(alarm))

#else

static void
alarm_make(Alarm *alarm)
{
#if defined(__linux__)
    alarm->reading = alarm->writing = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
#else
    int ends[2];
    if (pipe(ends) != 0) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    alarm->reading = ends[0];
    alarm->writing = ends[1];
#endif
}

static void
alarm_close(Alarm *alarm)
{
    if (alarm->reading >= 0) {
        close(alarm->reading);
    }
    if (alarm->writing >= 0 && alarm->writing != alarm->reading) {
        close(alarm->writing);
    }
    alarm->reading = alarm->writing = -1;
}

static void
alarm_drain(const Alarm *alarm)
{
    uint64_t rings[8];
    while (read(alarm->reading, rings, sizeof(rings)) == (ssize_t)sizeof(rings)) {
    }
}

static void
alarm_borrow(Alarm *alarm)
{
    mutex_lock(&waiting.lock);
    if (waiting.alarm_count != 0) {
        *alarm = waiting.alarms[--waiting.alarm_count];
    }
    mutex_unlock(&waiting.lock);
    if (alarm->reading < 0) {
        alarm_make(alarm);
    }
}

static void
alarm_give_back(Alarm *alarm)
{
    if (alarm->reading < 0) {
        return;
    }
    mutex_lock(&waiting.lock);
    bool kept = waiting.alarm_count < WAITING_ALARMS;
    if (kept) {
        waiting.alarms[waiting.alarm_count++] = *alarm;
    }
    mutex_unlock(&waiting.lock);
    if (!kept) {
        alarm_close(alarm);
    }
}

/* poll() with a moment; -1 if a signal came. */
static int
poll_until(struct pollfd *polled, nfds_t count, Moment until)
{
    Moment now = moment_now();
    Moment left = until > now ? until - now : 0;
#if defined(__linux__)
    struct timespec timeout = moment_timespec(left);
    return ppoll(polled, count, until == MOMENT_NEVER ? NULL : &timeout, NULL);
#else
    Moment rounded = (left + MILLISECOND - 1) / MILLISECOND;
    return poll(polled, count,
                until == MOMENT_NEVER ? -1
                : rounded < INT_MAX   ? (int)rounded
                                      : INT_MAX);
#endif
}

/* As waiter_block(), with the alarm among the descriptors. */
static bool
waiter_poll(Waiter *self, Awaited *what, Moment until, bool *interrupted)
{
    struct pollfd polled[AWAITED_MOST + 1];
    for (int i = 0; i < what->count; i++) {
        polled[i].fd = what->descriptors[i].descriptor;
        polled[i].events = what->descriptors[i].event == AWAIT_READING ? POLLIN : POLLOUT;
        polled[i].revents = 0;
    }
    polled[what->count].fd = self->alarm.reading; /* poll() passes over -1 */
    polled[what->count].events = POLLIN;
    polled[what->count].revents = 0;
    int found = poll_until(polled, (nfds_t)what->count + 1, until);
    *interrupted = found < 0;
    bool any = false;
    for (int i = 0; i < what->count; i++) {
        what->descriptors[i].ready = found > 0 && polled[i].revents != 0;
        any = any || what->descriptors[i].ready;
    }
    return any;
}

/* Whether a descriptor is ready; `interrupted` if a signal came. */
static bool
waiter_block(Waiter *self, Awaited *what, Moment until, bool *interrupted)
{
    bool ready = false;
    mutex_lock(&waiting.lock);
    waiter_join(self);
    if (what->count == 0 && self->alarm.reading < 0) {
        waiter_sleep(self, until);
    }
    else {
        Moment limit = waiter_has_news(self) ? 0 : until;
        mutex_unlock(&waiting.lock);
        ready = waiter_poll(self, what, limit, interrupted);
        mutex_lock(&waiting.lock);
    }
    waiter_part(self);
    if (self->woken && self->alarm.reading >= 0) {
        alarm_drain(&self->alarm);
    }
    self->woken = false;
    mutex_unlock(&waiting.lock);
    return ready;
}
#endif

/* --- waiting ---------------------------------------------------------------------------------- */

/* What a wait puts aside of its native call. */
typedef struct {
    bool held;        /* the call keeps the GIL */
    uint8_t gil;      /* what it does with it otherwise */
    uintptr_t ticked; /* what the ticker looks at on the main thread */
} AsideForWait;

/* While it waits, the call neither has the GIL nor needs the ticker to hear signals. */
static AsideForWait
wait_put_aside(StoreObject *store)
{
    AsideForWait aside = {store->released == NULL, store->gil, 0};
    store->gil = 0;
    if (aside.held) {
        if (aside.gil & GIL_LENT) {
            ticker_let_go();
        }
        store->released = PyEval_SaveThread();
    }
    if (this_thread.is_main) {
        aside.ticked = atomic_load_relaxed(&ticker.engine);
        ticker_exit(0);
    }
    return aside;
}

static void
wait_put_back(StoreObject *store, AsideForWait aside)
{
    if (aside.ticked != 0) {
        (void)ticker_enter((wasm_engine_t *)aside.ticked);
    }
    if (aside.held) {
        callback_take_gil(store->released);
        store->released = NULL;
        if (aside.gil & GIL_LENT) {
            (void)ticker_hold(store->engine_handle->pointer);
        }
    }
    store->gil = aside.gil;
}

/* When to look again at the latest. */
static Moment
wait_limit(const Waiter *waiter, const Awaited *what)
{
    Moment limit = moment_min(what->until, store_expires(waiter->store));
    bool deaf = what->count != 0 && waiter->alarm.reading < 0;
    return this_thread.is_main || deaf ? moment_min(limit, moment_now() + WAITING_SLICE) : limit;
}

/* In a native call, with or without the GIL. */
static AwaitedEnd
wait_for(StoreObject *store, Awaited *what)
{
    Waiter waiter = {.store = store, .alarm = {-1, -1}};
    bool ready = false, over = false, signals = false;
    AwaitedEnd end = AWAITED_STOP;
    AsideForWait aside = wait_put_aside(store);
    condition_make(&waiter.condition);
    if (what->count != 0 || this_thread.is_main) {
        alarm_borrow(&waiter.alarm);
    }
    while (store_may_go_on(store, signals)) {
        if (ready || over) {
            end = ready ? AWAITED_READY : AWAITED_MOMENT;
            break;
        }
        Moment limit = wait_limit(&waiter, what);
        bool interrupted = false;
        ready = waiter_block(&waiter, what, limit, &interrupted);
        Moment now = moment_now();
        over = now >= what->until;
        signals = this_thread.is_main && (interrupted || now >= limit);
    }
    alarm_give_back(&waiter.alarm);
    condition_end(&waiter.condition);
    wait_put_back(store, aside);
    return end;
}

/* _sleep(seconds): for host functions in Python, whose guest hears what it would hear in a sleep of
 * its own. What ends it is raised. */
static PyObject *
store_sleep(StoreObject *self, PyObject *argument)
{
    double seconds = PyFloat_AsDouble(argument);
    if ((seconds == -1 && PyErr_Occurred()) || !store_enter(self)) {
        return NULL;
    }
    Awaited what = awaited_until(moment_after(moment_now(), timeout_span(seconds)));
    Pending outer = self->pending;
    self->pending = (Pending){NULL, NULL};
    uint8_t gil = self->gil;
    if (gil & GIL_LENT) {
        ticker_let_go(); /* until the host function returns */
    }
    self->gil = 0;
    AwaitedEnd end = wait_for(self, &what);
    self->gil = gil;
    Pending pending = self->pending;
    self->pending = outer;
    store_leave(self);
    if (end != AWAITED_STOP) {
        Py_RETURN_NONE;
    }
    if (pending.raised != NULL) {
        PyErr_SetRaisedException(pending.raised);
    }
    else {
        stop_raise(self);
    }
    return NULL;
}

/* --- the process ------------------------------------------------------------------------------ */

static void
waiting_prepare(void)
{
    mutex_make(&waiting.lock);
    waiting.first = NULL;
    waiting.alarm_count = 0;
}

#if !defined(_WIN32)
/* Whoever waits in the parent is not here, and its alarms are the parent's. */
static void
waiting_after_fork_in_child(void)
{
    for (Waiter *waiter = waiting.first; waiter != NULL; waiter = waiter->next) {
        waiter->store->waiter = NULL;
        ((EngineObject *)waiter->store->owner.engine)->sleepers = 0;
        alarm_close(&waiter->alarm);
    }
    while (waiting.alarm_count > 0) {
        alarm_close(&waiting.alarms[--waiting.alarm_count]);
    }
    waiting_prepare();
}
#endif
