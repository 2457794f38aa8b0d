/* The ticker: the one native thread that moves epochs by itself.
 *
 * WebAssembly looks at its engine's epoch at loops and function entries; when that has moved, the
 * epoch callback (epoch.c) runs on the thread of the guest and sees what is to be done. The ticker
 * moves it for these reasons:
 *
 *   main     CPython runs signal handlers on the main thread between bytecodes, which never comes
 *            while that thread loops in WebAssembly. Every 20 ms the ticker looks whether it is
 *            still in the same call as last time. Calls that are nested in one another count as
 *            one: a guest may loop over a host function that is a WebAssembly function itself, and
 *            no bytecode ever runs.
 *   holder   A call that keeps the GIL must give it away when it lasts (gil.c). Every 2.5 ms the
 *            ticker looks whether it is still the same call, or whether there was one at every
 *            look of the last ones: so the GIL is held no longer than Python's own code holds it.
 *   polls    Asynchronous calls give way to their event loop: a tick every 1.5 ms for the engines
 *            that have a poll in progress.
 *   expiry   The time of a call is up (Store.set_timeout()), or Store.interrupt() was called. The
 *            stores that have a time stand in a heap, the next one on top. A store that does not
 *            end is ticked again, less and less often.
 *
 * It sleeps until the earliest of these, and for ever when there is none. A call tells it of itself
 * by two plain stores: of a call that ends before a look, the ticker hears nothing. Nor is a time
 * taken out of the heap when its call is over: the ticker finds it passed, or that the store has a
 * later one.
 *
 * There is one for the process, started when first needed. It owns no engine and no store: both
 * leave it, under its lock, before they die. The records of engines are its own. */

/* What the ticker knows of an engine, from the Engine's making to the native engine's death. */
typedef struct TickedEngine {
    wasm_engine_t *engine;
    uintptr_t polls;      /* atomic: asynchronous polls in progress */
    uintptr_t polled;     /* atomic: looked at; set by whoever polls, cleared by the ticker */
    unsigned quiet_looks; /* locked: since the last poll was seen */
    Moment ticked;        /* locked: the look in which the epoch was moved last */
    struct TickedEngine *next;
} TickedEngine;

/* What the ticker knows of a store, a part of it. */
typedef struct {
    uintptr_t expires;   /* atomic: the Moment when the call in progress must end, or 0 */
    uintptr_t scheduled; /* atomic: the Moment when the ticker looks at it, or 0 */
    uintptr_t *thread;   /* atomic: the thread that is inside the store, and STORE_INTERRUPTED */
    TickedEngine *engine;
    struct Feed *feed; /* locked: what its guest reads, or NULL: feed.c */
    uint32_t place;    /* locked: in the heap, from 1 on; 0: not there */
    uint32_t ticks;    /* locked: that it was given since its time has passed */
} Expiry;

static void feed_end(struct Feed *feed);

/* In the word that says which thread is inside of a store: it is to end what it runs. */
#define STORE_INTERRUPTED ((uintptr_t)1 << 63)

static struct {
    /* Written by the main thread alone, without a fence. */
    uintptr_t engine; /* wasm_engine_t of the call that it is in, or 0 */
    uintptr_t serial; /* counts those calls, without the nested ones */
    /* Written by whoever has the GIL, without a fence: a call that keeps it. */
    uintptr_t holder;        /* its wasm_engine_t, and HOLDER_IN_HOST; or 0 */
    uintptr_t holder_serial; /* counts those calls */
    uintptr_t deaf;          /* atomic: such a call did not hear its ticks; cleared by it */
    uintptr_t crowd;         /* atomic: the last tick was for many short ones; cleared by one */
    uintptr_t parked;        /* atomic: which of the two is not looked at; who changes one of those
                              * wakes the ticker */

    Mutex lock;
    Condition wake;
    uintptr_t started; /* atomic: it exists, in this process */
    bool woken;        /* by somebody who has changed what follows */
    Moment next_main, next_holder, next_polls, next_expiry;
    uintptr_t seen_serial, seen_holder_serial;
    unsigned quiet_looks; /* in a row: without a holder, */
    unsigned busy_looks;  /* with one since the last tick, */
    unsigned held_looks;  /* with the same one */
    TickedEngine *engines;
    Expiry **heap; /* from 1 on */
    size_t count, capacity;
    size_t reserved; /* stores that must find room in the heap */
} ticker;

/* In `holder`: its call is in a host function, which gives the GIL away in its own ways, or is C and
 * ends soon. */
#define HOLDER_IN_HOST ((uintptr_t)1)

/* In `parked`. */
#define PARKED_MAIN ((uintptr_t)1)
#define PARKED_HOLDER ((uintptr_t)2)

#define TICKER_MAIN (20 * MILLISECOND)
#define TICKER_HOLDER (5 * MILLISECOND / 2)
#define HOLDER_QUIET_LOOKS 8 /* until it is not looked at any more */
#define HOLDER_BUSY_LOOKS 4  /* until one of many short calls is ticked */
#define HOLDER_HELD_LOOKS 16 /* until a call is deaf */
#define TICKER_POLLS (3 * MILLISECOND / 2)
#define TICKER_EXPIRY MILLISECOND
/* Looks without a poll until an engine is not looked at any more. */
#define TICKER_QUIET_LOOKS 8
/* A store that does not end is ticked again after 1, 2, 4 ... 64 times TICKER_EXPIRY. */
#define TICKER_MOST_DOUBLINGS 6

/* Move the epoch, once in each look. The lock is held. */
static void
ticker_tick(TickedEngine *engine, Moment now)
{
    if (engine->ticked != now) {
        engine->ticked = now;
        wasmtime_engine_increment_epoch(engine->engine);
    }
}

/* --- the main thread, and the holder of the GIL ---------------------------------------------- */

static Moment
ticker_look_at_main(Moment now)
{
    uintptr_t serial = atomic_load(&ticker.serial);
    uintptr_t engine = atomic_load(&ticker.engine);
    bool same = serial == ticker.seen_serial;
    ticker.seen_serial = serial;
    if (engine != 0 && same) {
        wasmtime_engine_increment_epoch((wasm_engine_t *)engine);
    }
    return engine == 0 && same ? MOMENT_NEVER : now + TICKER_MAIN;
}

/* Looks at which the same call was in WebAssembly all the time: it should have heard a tick. */
static void
ticker_note_held(bool held)
{
    ticker.held_looks = held ? ticker.held_looks + 1 : 0;
    if (ticker.held_looks >= HOLDER_HELD_LOOKS) {
        ticker.held_looks = 0;
        atomic_store(&ticker.deaf, 1);
    }
}

static Moment
ticker_look_at_holder(Moment now)
{
    uintptr_t serial = atomic_load(&ticker.holder_serial);
    uintptr_t holder = atomic_load(&ticker.holder);
    bool same = serial == ticker.seen_holder_serial;
    bool in_host = (holder & HOLDER_IN_HOST) != 0;
    ticker.seen_holder_serial = serial;
    ticker_note_held(holder != 0 && same && !in_host);
    if (holder == 0 && same) {
        ticker.busy_looks = 0;
        return ++ticker.quiet_looks >= HOLDER_QUIET_LOOKS ? MOMENT_NEVER : now + TICKER_HOLDER;
    }
    ticker.quiet_looks = 0;
    ticker.busy_looks++;
    if (holder != 0 && (same || ticker.busy_looks >= HOLDER_BUSY_LOOKS)) {
        ticker.busy_looks = 0;
        atomic_store(&ticker.crowd, !same);
        wasmtime_engine_increment_epoch((wasm_engine_t *)(holder & ~HOLDER_IN_HOST));
    }
    return now + (same && in_host ? TICKER_MAIN : TICKER_HOLDER);
}

/* Which of the two have moved since the last look. */
static uintptr_t
ticker_missed(void)
{
    bool main =
        atomic_load(&ticker.engine) != 0 || atomic_load(&ticker.serial) != ticker.seen_serial;
    bool holder = atomic_load(&ticker.holder) != 0
                  || atomic_load(&ticker.holder_serial) != ticker.seen_holder_serial;
    return (main ? PARKED_MAIN : 0) | (holder ? PARKED_HOLDER : 0);
}

static void
ticker_unpark(uintptr_t which)
{
    Moment now = moment_now();
    atomic_store(&ticker.parked, atomic_load_relaxed(&ticker.parked) & ~which);
    if (which & PARKED_MAIN) {
        ticker.next_main = moment_min(ticker.next_main, now + TICKER_MAIN);
    }
    if (which & PARKED_HOLDER) {
        ticker.quiet_looks = 0;
        ticker.next_holder = moment_min(ticker.next_holder, now + TICKER_HOLDER);
    }
}

/* They were not there for a while: ask to be woken by the next. The lock is held. */
static void
ticker_park(uintptr_t which)
{
    atomic_store(&ticker.parked, atomic_load_relaxed(&ticker.parked) | which);
    /* The callers' side has no fence; a millisecond drains any store buffer. */
    mutex_unlock(&ticker.lock);
    thread_pause(1000);
    mutex_lock(&ticker.lock);
    ticker_unpark(which & ticker_missed());
}

static void
ticker_park_idle(void)
{
    uintptr_t idle = (ticker.next_main == MOMENT_NEVER ? PARKED_MAIN : 0)
                     | (ticker.next_holder == MOMENT_NEVER ? PARKED_HOLDER : 0);
    idle &= ~atomic_load_relaxed(&ticker.parked);
    if (idle != 0) {
        ticker_park(idle);
    }
}

/* --- asynchronous polls ----------------------------------------------------------------------- */

static Moment
ticker_look_at_polls(Moment now)
{
    bool any = false;
    for (TickedEngine *engine = ticker.engines; engine != NULL; engine = engine->next) {
        if (!atomic_load(&engine->polled)) {
            continue;
        }
        if (atomic_load(&engine->polls) != 0) {
            engine->quiet_looks = 0;
            ticker_tick(engine, now);
        }
        else if (++engine->quiet_looks >= TICKER_QUIET_LOOKS) {
            atomic_store(&engine->polled, 0);
            if (atomic_load(&engine->polls) == 0) {
                continue;
            }
            atomic_store(&engine->polled, 1); /* one began at this very moment */
        }
        any = true;
    }
    return any ? now + TICKER_POLLS : MOMENT_NEVER;
}

/* --- expiry: a heap -------------------------------------------------------------------------- */

static inline Moment
heap_key(size_t place)
{
    return atomic_load_relaxed(&ticker.heap[place]->scheduled);
}

static inline void
heap_put(size_t place, Expiry *expiry)
{
    ticker.heap[place] = expiry;
    expiry->place = (uint32_t)place;
}

/* Bring what stands at `place` to where its key belongs. */
static void
heap_settle(size_t place)
{
    Expiry *expiry = ticker.heap[place];
    Moment key = atomic_load_relaxed(&expiry->scheduled);
    for (; place > 1 && heap_key(place / 2) > key; place /= 2) {
        heap_put(place, ticker.heap[place / 2]);
    }
    for (size_t child; (child = 2 * place) <= ticker.count; place = child) {
        if (child < ticker.count && heap_key(child + 1) < heap_key(child)) {
            child++;
        }
        if (heap_key(child) >= key) {
            break;
        }
        heap_put(place, ticker.heap[child]);
    }
    heap_put(place, expiry);
}

static void
heap_remove(Expiry *expiry)
{
    size_t place = expiry->place;
    if (place == 0) {
        return;
    }
    expiry->place = 0;
    Expiry *last = ticker.heap[ticker.count--];
    if (last != expiry) {
        heap_put(place, last);
        heap_settle(place);
    }
}

/* Room for `count` stores; false: there is no memory. */
static bool
heap_reserve(size_t count)
{
    if (count <= ticker.capacity) {
        return true;
    }
    size_t capacity = ticker.capacity * 2 > count ? ticker.capacity * 2 : count + 15;
    Expiry **heap = PyMem_RawRealloc(ticker.heap, (capacity + 1) * sizeof(Expiry *));
    if (heap == NULL) {
        return false;
    }
    ticker.heap = heap;
    ticker.capacity = capacity;
    return true;
}

/* Have the ticker look at the store at a moment. The lock is held; false: there is no memory. */
static bool
heap_schedule(Expiry *expiry, Moment moment)
{
    atomic_store(&expiry->scheduled, (uintptr_t)moment);
    if (expiry->place == 0) {
        if (!heap_reserve(ticker.count + 1)) {
            atomic_store(&expiry->scheduled, 0);
            return false;
        }
        heap_put(++ticker.count, expiry);
    }
    heap_settle(expiry->place);
    return true;
}

/* Whether what the store runs must end. */
static bool
expiry_is_due(Expiry *expiry, Moment now)
{
    uintptr_t expires = atomic_load(&expiry->expires);
    uintptr_t thread = atomic_load(expiry->thread);
    return (thread & STORE_INTERRUPTED) != 0 || (thread != 0 && expires != 0 && expires <= now);
}

/* It was to be looked at now. */
static void
ticker_look_at_store(Expiry *expiry, Moment now)
{
    /* First this, then the look: who arms a store at the same time does it the other way round. */
    atomic_store(&expiry->scheduled, 0);
    if (expiry_is_due(expiry, now)) {
        ticker_tick(expiry->engine, now);
        if (UNLIKELY(expiry->feed != NULL) && expiry->ticks != 0) { /* it seems to wait */
            feed_end(expiry->feed);
        }
        unsigned doublings =
            expiry->ticks < TICKER_MOST_DOUBLINGS ? expiry->ticks++ : TICKER_MOST_DOUBLINGS;
        heap_schedule(expiry, now + (TICKER_EXPIRY << doublings));
        return;
    }
    expiry->ticks = 0;
    Moment expires = atomic_load(&expiry->expires);
    if (expires > now) {
        heap_schedule(expiry, expires);
    }
    else { /* nothing runs there, or its time was lifted */
        heap_remove(expiry);
    }
}

static Moment
ticker_look_at_expiries(Moment now)
{
    while (ticker.count != 0 && heap_key(1) <= now) {
        ticker_look_at_store(ticker.heap[1], now);
    }
    /* Those that come within a millisecond share a tick: an engine's other stores pay for it. */
    return ticker.count == 0                   ? MOMENT_NEVER
           : heap_key(1) > now + TICKER_EXPIRY ? heap_key(1)
                                               : now + TICKER_EXPIRY;
}

/* --- its thread ------------------------------------------------------------------------------- */

static void
ticker_look(Moment now)
{
    if (ticker.next_main <= now) {
        ticker.next_main = ticker_look_at_main(now);
    }
    if (ticker.next_holder <= now) {
        ticker.next_holder = ticker_look_at_holder(now);
    }
    if (ticker.next_polls <= now) {
        ticker.next_polls = ticker_look_at_polls(now);
    }
    if (ticker.next_expiry <= now) {
        ticker.next_expiry = ticker_look_at_expiries(now);
    }
}

static Moment
ticker_next_look(void)
{
    return moment_min(moment_min(ticker.next_main, ticker.next_holder),
                      moment_min(ticker.next_polls, ticker.next_expiry));
}

static void
ticker_run(void *Py_UNUSED(ignored))
{
    thread_leave_signals_to_others();
    mutex_lock(&ticker.lock);
    for (;;) {
        ticker_look(moment_now());
        ticker_park_idle();
        Moment next = ticker_next_look();
        if (!ticker.woken && next > moment_now()) {
            condition_wait(&ticker.wake, &ticker.lock, next);
        }
        ticker.woken = false;
    }
}

/* Start it if it is not there. The lock is held; false: there is no thread to be had. */
static bool
ticker_start(void)
{
    if (!atomic_load_relaxed(&ticker.started)
        && PyThread_start_new_thread(ticker_run, NULL) != PYTHREAD_INVALID_THREAD_ID) {
        atomic_store(&ticker.started, 1);
    }
    return atomic_load_relaxed(&ticker.started) != 0;
}

/* Somebody has changed when the next look is due. The lock is held. */
static bool
ticker_notice(void)
{
    ticker.woken = true;
    condition_signal(&ticker.wake);
    return ticker_start();
}

/* --- its callers ------------------------------------------------------------------------------ */

/* Have it look at one of the two, or both; false: there is no thread to be had, and the next call
 * tries again. */
static NOINLINE bool
ticker_wake(uintptr_t which)
{
    mutex_lock(&ticker.lock);
    uintptr_t parked = atomic_load_relaxed(&ticker.parked);
    ticker_unpark(which);
    bool fine = ticker_notice();
    if (!fine) {
        atomic_store(&ticker.parked, parked);
    }
    mutex_unlock(&ticker.lock);
    return fine;
}

/* Around a native call on the main thread; returns what to put back afterwards. */
static inline uintptr_t
ticker_enter(wasm_engine_t *engine)
{
    uintptr_t outer = atomic_load_relaxed(&ticker.engine);
    if (LIKELY(outer == 0)) {
        atomic_store_relaxed(&ticker.serial, atomic_load_relaxed(&ticker.serial) + 1);
    }
    atomic_store_relaxed(&ticker.engine, (uintptr_t)engine);
    if (UNLIKELY(atomic_load_relaxed(&ticker.parked) & PARKED_MAIN)) {
        (void)ticker_wake(PARKED_MAIN); /* without it, signals wait until the call is over */
    }
    return outer;
}

static inline void
ticker_exit(uintptr_t outer)
{
    atomic_store_relaxed(&ticker.engine, outer);
}

/* With the GIL, which WebAssembly of this engine keeps from here on. False: nobody would tell it to
 * give it away. */
static inline bool
ticker_hold(wasm_engine_t *engine)
{
    atomic_store_relaxed(&ticker.holder, (uintptr_t)engine);
    return LIKELY(!(atomic_load_relaxed(&ticker.parked) & PARKED_HOLDER))
           || ticker_wake(PARKED_HOLDER);
}

/* The same for another call than before. */
static inline bool
ticker_hold_anew(wasm_engine_t *engine)
{
    atomic_store_relaxed(&ticker.holder_serial, atomic_load_relaxed(&ticker.holder_serial) + 1);
    return ticker_hold(engine);
}

/* It has called a host function. */
static inline void
ticker_hold_in_host(wasm_engine_t *engine)
{
    atomic_store_relaxed(&ticker.holder, (uintptr_t)engine | HOLDER_IN_HOST);
}

static inline void
ticker_let_go(void)
{
    atomic_store_relaxed(&ticker.holder, 0);
}

static NOINLINE void
ticker_notice_poll(TickedEngine *engine)
{
    mutex_lock(&ticker.lock);
    atomic_store(&engine->polled, 1);
    engine->quiet_looks = 0;
    ticker.next_polls = moment_min(ticker.next_polls, moment_now() + TICKER_POLLS);
    (void)ticker_notice(); /* without a thread, the poll runs until it waits or ends */
    mutex_unlock(&ticker.lock);
}

/* Around a poll of an asynchronous call, on any thread: its epoch callback is called soon. */
static inline void
ticker_poll_begin(TickedEngine *engine)
{
    atomic_add(&engine->polls, 1);
    if (UNLIKELY(!atomic_load(&engine->polled))) {
        ticker_notice_poll(engine);
    }
}

static inline void
ticker_poll_end(TickedEngine *engine)
{
    atomic_sub(&engine->polls, 1);
}

/* A store gets a time, and room in the heap for it; false: there is no memory, or no thread. */
static bool
ticker_reserve(void)
{
    mutex_lock(&ticker.lock);
    bool fine = heap_reserve(ticker.reserved + 1) && ticker_start();
    ticker.reserved += fine;
    mutex_unlock(&ticker.lock);
    return fine;
}

/* The time of the store's call comes before what the ticker knows of. */
static NOINLINE bool
ticker_schedule(Expiry *expiry, Moment moment)
{
    mutex_lock(&ticker.lock);
    bool fine = heap_schedule(expiry, moment) && ticker_start();
    expiry->ticks = 0;
    if (fine && moment < ticker.next_expiry) {
        ticker.next_expiry = moment;
        (void)ticker_notice();
    }
    mutex_unlock(&ticker.lock);
    return fine;
}

/* The call in progress is to end at a moment; false: there is no thread to see to it. */
static inline bool
ticker_arm(Expiry *expiry, Moment moment)
{
    atomic_store(&expiry->expires, (uintptr_t)moment);
    uintptr_t scheduled = atomic_load(&expiry->scheduled);
    return LIKELY(scheduled != 0 && scheduled <= moment && atomic_load_relaxed(&ticker.started))
           || ticker_schedule(expiry, moment);
}

/* Tick the store's engine now, and again until what it runs has ended. */
static void
ticker_interrupt(Expiry *expiry)
{
    mutex_lock(&ticker.lock);
    if (expiry->engine != NULL) {
        Moment now = moment_now();
        wasmtime_engine_increment_epoch(expiry->engine->engine);
        expiry->ticks = 0;
        if (heap_schedule(expiry, now + TICKER_EXPIRY)) {
            ticker.next_expiry = moment_min(ticker.next_expiry, now + TICKER_EXPIRY);
            (void)ticker_notice();
        }
    }
    mutex_unlock(&ticker.lock);
}

/* The store dies, or has no time any more (`reserved`). */
static void
ticker_forget(Expiry *expiry, bool reserved)
{
    mutex_lock(&ticker.lock);
    heap_remove(expiry);
    atomic_store(&expiry->scheduled, 0);
    ticker.reserved -= reserved;
    mutex_unlock(&ticker.lock);
}

/* --- engines ---------------------------------------------------------------------------------- */

/* The record of a new engine; NULL: there is no memory. */
static TickedEngine *
ticker_add_engine(wasm_engine_t *engine)
{
    TickedEngine *self = PyMem_RawCalloc(1, sizeof(TickedEngine));
    if (self != NULL) {
        self->engine = engine;
        mutex_lock(&ticker.lock);
        self->next = ticker.engines;
        ticker.engines = self;
        mutex_unlock(&ticker.lock);
    }
    return self;
}

static void
ticker_forget_engine(wasm_engine_t *engine)
{
    /* Entered and never left: a Door that was lost. */
    if (atomic_load(&ticker.engine) == (uintptr_t)engine) {
        atomic_store(&ticker.engine, 0);
    }
    if ((atomic_load(&ticker.holder) & ~HOLDER_IN_HOST) == (uintptr_t)engine) {
        atomic_store(&ticker.holder, 0);
    }
    TickedEngine **link = &ticker.engines;
    while (*link != NULL) {
        TickedEngine *record = *link;
        if (record->engine == engine) {
            *link = record->next;
            PyMem_RawFree(record);
        }
        else {
            link = &record->next;
        }
    }
}

/* One dies while the ticker cannot look at it. */
static void
ticker_delete_engine(wasm_engine_t *engine)
{
    mutex_lock(&ticker.lock);
    ticker_forget_engine(engine);
    wasm_engine_delete(engine);
    mutex_unlock(&ticker.lock);
}

/* --- the process ------------------------------------------------------------------------------ */

/* No thread runs it yet. */
static void
ticker_prepare(void)
{
    mutex_make(&ticker.lock);
    condition_make(&ticker.wake);
    ticker.started = 0;
    ticker.woken = false;
    ticker.holder = 0;
    ticker.deaf = ticker.crowd = 0;
    ticker.parked = PARKED_MAIN | PARKED_HOLDER; /* not started is the same to a caller as asleep */
    ticker.next_main = ticker.next_holder = ticker.next_polls = MOMENT_NEVER;
    ticker.next_expiry = ticker.count != 0 ? heap_key(1) : MOMENT_NEVER;
}

#if !defined(_WIN32)
static void
ticker_before_fork(void)
{
    mutex_lock(&ticker.lock);
}

static void
ticker_after_fork_in_parent(void)
{
    mutex_unlock(&ticker.lock);
}

/* The child has no ticker, but the times of its stores, and perhaps the call that forked. */
static void
ticker_after_fork_in_child(void)
{
    ticker_prepare();
    if (!this_thread.is_main) {
        ticker.engine = 0; /* the call of a thread that is not here */
    }
    for (TickedEngine *engine = ticker.engines; engine != NULL; engine = engine->next) {
        engine->polls = engine->polled = 0;
    }
}
#endif

PyDoc_STRVAR(after_fork_doc, "after_fork($module, /)\n--\n\n"
                             "In the child of a fork: have an eye on the times of stores again.");

static PyObject *
core_after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    /* A host function that forked may return to a call that keeps the GIL. */
    if (ticker.count != 0 || ticker.engine != 0 || this_thread.callbacks != 0) {
        (void)ticker_wake(PARKED_MAIN | PARKED_HOLDER);
    }
    Py_RETURN_NONE;
}
