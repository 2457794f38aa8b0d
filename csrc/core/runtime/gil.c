/* Who has the GIL while WebAssembly runs.
 *
 * Giving it away and taking it back is a third of the price of a short call. Beside a Python thread
 * that computes it is all of it: that one gives the GIL back after 5 ms. A long call, on the other
 * hand, must let others run, who otherwise wait or lose what they could do in parallel. Therefore:
 *
 *   RELEASE_GIL   it is given away for the length of the call;
 *   KEEP_GIL      it is kept, whatever happens;
 *   LEND_GIL      it is kept until the next tick of the engine's epoch, which the ticker brings
 *                 before Python itself would ask for the GIL: then the epoch callback gives it away,
 *                 until a host function is called, which keeps it again;
 *   ADAPT_GIL     what has paid for this function: the Tempo of a Func knows.
 *
 * What cannot hear a tick never keeps it by itself (store_may_lend()): it would hold everybody up,
 * or wait for ever for somebody who waits for the GIL.
 *
 * The Tempo of a function: most calls are not timed. One that is tells how long WebAssembly runs
 * between calls of host functions. More than 10 µs: others can do as much meanwhile, so it is given
 * away from now on, and every call is timed. Less than 5 µs: it is kept, and every 64th call is
 * timed. Where taking it back took four times as long as WebAssembly did, a busy thread had it; it
 * is kept for 64 calls then, for more each time that it happens again. The first call of a function
 * is timed, and gives it away. After 64 calls of host functions it is clear how it goes on; where
 * those come in quick succession, the call keeps the GIL from then on.
 *
 * Interpreters without a GIL run the same code with RELEASE_GIL alone.
 *
 * Nothing here is owned. A Tempo belongs to its Func and is touched with the GIL; a Timing to the
 * native call in progress. */

typedef enum { RELEASE_GIL, KEEP_GIL, LEND_GIL, ADAPT_GIL } GilPolicy;

/* In `gil` of a store, of the innermost native call. */
#define GIL_LENT 1  /* kept until the next tick; `released` says whether it is held at the moment */
#define GIL_TIMED 2 /* its Timing is kept */

#define TEMPO_LONG (10 * MILLISECOND / 1000)
#define TEMPO_SHORT (5 * MILLISECOND / 1000)
#define TEMPO_CONVOY 4 /* times */
#define TEMPO_CALLS 64
#define TEMPO_MOST_DOUBLINGS 6

/* What is known of a function's calls. */
typedef struct Tempo {
    uint32_t left;     /* calls that keep it until one is timed */
    bool keeps;        /* the timed one keeps it as well */
    uint8_t doublings; /* of TEMPO_CALLS, because of convoys */
    uint8_t good;      /* timed calls without one */
} Tempo;

static inline void
tempo_keep(Tempo *self)
{
    self->keeps = true;
    self->left = (uint32_t)TEMPO_CALLS << self->doublings;
}

/* Whether taking it back took too long, and not because other calls kept it that were as long as
 * this one: they will give it away, too. */
static bool
timing_is_of_convoy(const Timing *timing)
{
    return timing->waited > TEMPO_CONVOY * timing->guest
           && (timing->others == 0 || timing->waited / timing->others < TEMPO_SHORT);
}

/* A call has given it away, and WebAssembly did not run for long, or others did. */
static void
tempo_learn_of_given(Tempo *self, const Timing *timing, Moment stretch)
{
    if (stretch < TEMPO_SHORT) {
        tempo_keep(self);
    }
    else if (timing_is_of_convoy(timing)) {
        tempo_keep(self);
        self->doublings += self->doublings < TEMPO_MOST_DOUBLINGS;
    }
    else if (self->doublings != 0 && ++self->good >= TEMPO_CALLS) {
        self->good = 0;
        self->doublings--;
    }
}

static void
tempo_learn(Tempo *self, const Timing *timing, bool lent)
{
    Moment stretch = timing->guest / timing->stretches;
    if (!lent) {
        tempo_learn_of_given(self, timing, stretch);
    }
    else if (stretch > TEMPO_LONG) {
        self->keeps = false;
    }
    else {
        tempo_keep(self);
    }
}

/* Whether a call may keep it that knows of nothing against it. */
static inline bool
store_may_lend(const StoreObject *store)
{
#ifdef Py_GIL_DISABLED
    (void)store;
    return false;
#else
    return store->lends && !store->has_wasi;
#endif
}

/* --- the time of a call ---------------------------------------------------------------------- */

static void
timing_start(StoreObject *store, Tempo *tempo)
{
    store->gil |= GIL_TIMED;
    store->timing = (Timing){.tempo = tempo, .mark = moment_now(), .stretches = 1};
}

/* What the call has shown is enough. */
static void
timing_end(StoreObject *store)
{
    tempo_learn(store->timing.tempo, &store->timing, (store->gil & GIL_LENT) != 0);
    store->gil &= ~GIL_TIMED;
}

/* WebAssembly has called out, or has ended. */
static NOINLINE void
timing_pause(StoreObject *store)
{
    Moment now = moment_now();
    store->timing.guest += now - store->timing.mark;
    store->timing.mark = now;
    store->timing.serial = atomic_load_relaxed(&ticker.holder_serial);
}

/* The GIL is back since it was given away. */
static NOINLINE void
timing_add_wait(StoreObject *store)
{
    store->timing.waited += moment_now() - store->timing.mark;
    store->timing.others += atomic_load_relaxed(&ticker.holder_serial) - store->timing.serial;
}

/* WebAssembly is about to go on; the GIL is held. */
static NOINLINE void
timing_resume(StoreObject *store)
{
    if (++store->timing.stretches <= TEMPO_CALLS) {
        store->timing.mark = moment_now();
        return;
    }
    timing_end(store);
    if (store->timing.tempo->keeps && ticker_hold_anew(store->engine_handle->pointer)) {
        store->gil = GIL_LENT;
    }
}
