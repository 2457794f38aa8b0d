/* Turns: guests of one thread that compute for long let its event loop do other things.
 *
 * The ticker has every guest that is polled give way after a moment. It goes on at once, until the
 * guests of the thread have used up what they may between two turns of the loop (TURN_BURST). Then
 * they queue, and at each turn of the loop the first one runs. So timers and sockets are late by
 * one burst, however many guests there are.
 *
 * The queue belongs to its thread; a call leaves it before it is over. */

#define TURN_BURST (5 * MILLISECOND)

static THREAD_LOCAL struct {
    AsyncCall *first, *last;
    Moment burst; /* used since the loop had its turn */
} turns;

static void
turn_join(AsyncCall *call)
{
    call->next = NULL;
    call->queued = true;
    call->seen = false;
    if (turns.first == NULL) {
        turns.first = call;
    }
    else {
        turns.last->next = call;
    }
    turns.last = call;
}

static void
turn_leave(AsyncCall *call)
{
    if (!call->queued) {
        return;
    }
    AsyncCall **link = &turns.first, *before = NULL;
    while (*link != NULL && *link != call) {
        before = *link;
        link = &before->next;
    }
    if (*link == call) {
        *link = call->next;
        if (turns.last == call) {
            turns.last = before;
        }
    }
    call->queued = false;
}

/* Whether the guest may run now, which it does then. The first one lets the loop come round once
 * before it runs. */
static bool
turn_comes(AsyncCall *call)
{
    if (call->queued) {
        if (turns.first != call || !call->seen) {
            call->seen = turns.first == call;
            return false;
        }
        turn_leave(call);
        turns.burst = 0;
    }
    return true;
}

/* The guest has run for so long, and would go on: whether it has to queue. */
static bool
turn_is_over(Moment used)
{
    turns.burst += used;
    return turns.burst >= TURN_BURST || turns.first != NULL;
}
