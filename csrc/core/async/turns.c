/* Turns: guests of one thread that compute for long let its event loop do other things.
 *
 * The ticker has every guest that is polled give way after a moment. It goes on at once, until the
 * guests of the thread have used up what they may between two turns of the loop (TURN_BURST). Then
 * all that want to run queue, and at each turn of the loop one does. So timers and sockets are late
 * by a few bursts, however many guests there are. Those that have just waited for the host come before
 * those that compute.
 *
 * Only one of the queue is awake: it lets the loop come round once. The others wait for something
 * (`waiter`) until it is their turn, so that a long queue costs the loop nothing.
 *
 * The queue belongs to its thread, and to the loop that runs there: what a loop left behind that is
 * gone is forgotten. A call leaves the queue before it is over, so nothing here is owned. */

#define TURN_BURST (2 * MILLISECOND)

/* A pause of this length between two guests is taken for a turn of the loop. */
#define TURN_PAUSE MILLISECOND

/* So long a guest may keep the loop from coming round, or the loop itself. */
#define TURN_PATIENCE (100 * MILLISECOND)

typedef struct {
    AsyncCall *first, *last;
} TurnLane;

static THREAD_LOCAL struct {
    TurnLane lanes[2]; /* of those that have waited, and of those that compute */
    AsyncCall *awake;  /* whose turn it is next; NULL: nobody queues */
    Moment awakened;   /* since when */
    uintptr_t loop;    /* which one it is, to be compared only */
    Moment burst;      /* used since the loop had its turn */
    Moment ran;        /* when a guest of this thread last did */
} turns;

static void
turn_unlink(AsyncCall *call)
{
    TurnLane *lane = &turns.lanes[call->computes];
    *(call->previous != NULL ? &call->previous->next : &lane->first) = call->next;
    *(call->next != NULL ? &call->next->previous : &lane->last) = call->previous;
    call->next = call->previous = NULL;
    call->queued = false;
}

/* The next one's turn comes. Keeps an exception that is in flight. */
static void
turn_wake_next(void)
{
    AsyncCall *call = turns.lanes[0].first != NULL ? turns.lanes[0].first : turns.lanes[1].first;
    turns.awake = call;
    turns.awakened = turns.ran;
    if (call == NULL || call->waiter == NULL) {
        return;
    }
    PyObject *in_flight = PyErr_GetRaisedException();
    PyObject *waiter = call->waiter;
    call->waiter = NULL;
    PyObject *woken = PyObject_CallFunctionObjArgs(state.wake, waiter, NULL);
    if (woken == NULL) {
        PyErr_WriteUnraisable(waiter);
    }
    Py_XDECREF(woken);
    Py_DECREF(waiter);
    if (in_flight != NULL) {
        PyErr_SetRaisedException(in_flight);
    }
}

/* One whose turn has come, and that nobody resumes (a coroutine that is not in a task, say), does
 * not keep the others. It runs when it is resumed. */
static void
turn_skip_absent(Moment now)
{
    if (turns.awake != NULL && now - turns.awakened > TURN_PATIENCE) {
        turn_unlink(turns.awake);
        turn_wake_next();
    }
}

static void
turn_join(AsyncCall *call, Moment now)
{
    turn_skip_absent(now);
    TurnLane *lane = &turns.lanes[call->computes];
    call->queued = true;
    call->waits = false;
    call->next = NULL;
    call->previous = lane->last;
    *(lane->last != NULL ? &lane->last->next : &lane->first) = call;
    lane->last = call;
    if (turns.awake == NULL) {
        turns.awake = call;
        turns.awakened = now;
    }
}

static void
turn_leave(AsyncCall *call)
{
    Py_CLEAR(call->waiter);
    if (call->queued) {
        turn_unlink(call);
        if (turns.awake == call) {
            turn_wake_next();
        }
    }
}

/* Another loop runs here now: nobody of the queue will come any more. */
static void
turns_forget(void)
{
    for (int i = 0; i < 2; i++) {
        while (turns.lanes[i].first != NULL) {
            turn_unlink(turns.lanes[i].first);
        }
    }
    turns.awake = NULL;
}

/* Whether the guest may run now, which it does then. */
static bool
turn_comes(AsyncCall *call)
{
    if (call->queued && !(turns.awake == call && call->waits)) {
        return false;
    }
    turn_leave(call);
    turns.burst = 0;
    return true;
}

/* What to wait with: `None` for a plain turn of asyncio's, or an iterator. NULL with an exception. */
static PyObject *
turn_wait(AsyncCall *call)
{
    PyObject *answer = PyObject_CallFunction(state.turn, "i", turns.awake == call);
    if (answer == NULL) {
        return NULL;
    }
    PyObject *iterator, *waiter;
    unsigned long long loop;
    if (!PyArg_ParseTuple(answer, "KOO:turn", &loop, &iterator, &waiter)) {
        Py_DECREF(answer);
        return NULL;
    }
    if (turns.loop != (uintptr_t)loop) {
        bool alone = turns.awake == call;
        turns_forget();
        turns.loop = (uintptr_t)loop;
        turn_join(call, turns.ran);
        if (!alone) {
            Py_DECREF(answer);
            return turn_wait(call);
        }
    }
    call->waits = true;
    Py_XSETREF(call->waiter, waiter == Py_None ? NULL : Py_NewRef(waiter));
    Py_INCREF(iterator);
    Py_DECREF(answer);
    return iterator;
}

/* A guest, or a host function for it, has run for so long. */
static inline void
turn_used(Moment used, Moment now)
{
    turns.burst += used;
    turns.ran = now;
}

/* Whether a guest that wants to run now has to queue. */
static inline bool
turn_is_over(Moment now)
{
    if (turns.burst >= TURN_BURST && now - turns.ran > TURN_PAUSE) {
        turns.burst = 0;
    }
    return UNLIKELY(turns.burst >= TURN_BURST);
}

/* skip_absent_turn(): from time to time, on the thread of a loop; whether anybody still queues. */
static PyObject *
core_skip_absent_turn(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    turn_skip_absent(moment_now());
    return PyBool_FromLong(turns.awake != NULL);
}
