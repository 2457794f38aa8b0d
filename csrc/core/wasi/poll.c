/* poll_oneoff: a guest waits for a moment, for something to read, or for either.
 *
 * The subscriptions are looked at in their order. Files are the library's: each is forwarded alone,
 * with the guest's own pointers, and its event is put aside; files are always ready. If nothing is
 * ready, the guest waits. Then the events are written, in the order of the subscriptions.
 *
 * Ownership: a call that has begun to look owns a WasiPoll until it is over. */

enum { EVENT_CLOCK, EVENT_READ, EVENT_WRITE };
#define CLOCK_ABSOLUTE 1

/* A subscription, once it has been looked at. */
typedef struct {
    uint64_t userdata;
    uint8_t type;
    bool is_file;
    bool ready;
    Moment end;                /* of a clock */
    uint8_t event[EVENT_SIZE]; /* of a file, as the library wrote it */
} Polled;

typedef struct WasiPoll {
    uint32_t subscriptions, count; /* the guest's */
    uint32_t looked_at;
    bool any_ready, reads;
    Moment started, until;    /* until the first end of a clock */
    uint64_t guest_clocks[2]; /* what they showed at the start */
    uint64_t shortest;        /* how far away the first end was, as the guest said it */
    Polled polled[1];         /* one for each */
} WasiPoll;

/* Begin to look. WASI_RETRY: fine. */
static WasiStep
poll_begin(WasiCall *call)
{
    uint64_t count = call->arguments[2];
    if (count == 0) {
        return wasi_error(call, WASI_INVAL); /* it would wait for ever */
    }
    if (count * (SUBSCRIPTION_SIZE + EVENT_SIZE) > WASI_CALL_FUEL) {
        return wasi_error(call, WASI_NOMEM);
    }
    if (clock_must_be_asked(call)) {
        call->question = &clock_question;
        return WASI_ASK;
    }
    /* No more are looked at than the guest's memory holds. */
    uint64_t held = call->memory.size / SUBSCRIPTION_SIZE + 1;
    size_t most = (size_t)(count < held ? count : held);
    WasiPoll *poll = PyMem_RawCalloc(1, sizeof(WasiPoll) + most * sizeof(Polled));
    if (poll == NULL) {
        return wasi_error(call, WASI_NOMEM);
    }
    poll->subscriptions = call->arguments[0];
    poll->count = (uint32_t)count;
    poll->started = moment_now();
    poll->until = MOMENT_NEVER;
    poll->shortest = UINT64_MAX;
    for (uint32_t id = 0; id <= GUEST_MONOTONIC; id++) {
        poll->guest_clocks[id] = guest_time(&call->wasi->clock, id);
    }
    call->poll = poll;
    return WASI_RETRY;
}

static WasiStep
poll_look_at_clock(WasiCall *call, uint32_t at, Polled *polled)
{
    WasiPoll *poll = call->poll;
    uint32_t id = guest_u32(call, at + 16);
    uint64_t span = guest_u64(call, at + 24);
    uint32_t flags = guest_u32(call, at + 40) & 0xffff;
    if (id > GUEST_MONOTONIC || flags > CLOCK_ABSOLUTE) {
        return wasi_error(call, WASI_INVAL);
    }
    if (flags & CLOCK_ABSOLUTE) {
        span = span > poll->guest_clocks[id] ? span - poll->guest_clocks[id] : 0;
    }
    polled->end = moment_after(poll->started, span);
    if (span < poll->shortest) {
        poll->shortest = span;
        poll->until = polled->end;
    }
    return WASI_RETRY;
}

static WasiStep
poll_look_at_descriptor(WasiCall *call, uint32_t at, Polled *polled)
{
    OwnStream which = wasi_stream(call->wasi, guest_u32(call, at + 16));
    if (which == OWN_NONE) {
        polled->is_file = true;
        call->arguments[0] = at;
        call->arguments[2] = 1;
        return WASI_FORWARD;
    }
    if ((which == OWN_STDIN) != (polled->type == EVENT_READ)) {
        return wasi_error(call, WASI_BADF);
    }
    if (which == OWN_STDIN) {
        call->poll->reads = true;
    }
    else {
        polled->ready = call->poll->any_ready = true;
    }
    return WASI_RETRY;
}

/* Look at the next subscription. WASI_RETRY: fine. */
static WasiStep
poll_look(WasiCall *call)
{
    WasiPoll *poll = call->poll;
    uint32_t at;
    if (!guest_check_element(call, poll->subscriptions, poll->looked_at, SUBSCRIPTION_SIZE, &at)) {
        return WASI_FAILED;
    }
    Polled *polled = &poll->polled[poll->looked_at];
    polled->userdata = guest_u64(call, at);
    polled->type = call->memory.data[at + 8];
    if (polled->type > EVENT_WRITE) {
        return wasi_error(call, WASI_INVAL);
    }
    WasiStep step = polled->type == EVENT_CLOCK ? poll_look_at_clock(call, at, polled)
                                                : poll_look_at_descriptor(call, at, polled);
    poll->looked_at += step == WASI_RETRY;
    return step;
}

/* The library has looked at the file of the present subscription. */
static WasiStep
poll_oneoff_forwarded(WasiCall *call)
{
    WasiPoll *poll = call->poll;
    call->arguments[0] = poll->subscriptions;
    call->arguments[2] = poll->count;
    if (call->error != WASI_SUCCESS) {
        return WASI_DONE;
    }
    Polled *polled = &poll->polled[poll->looked_at++];
    memcpy(polled->event, call->memory.data + call->arguments[1], EVENT_SIZE);
    polled->ready = poll->any_ready = true;
    return WASI_RETRY;
}

/* Mark what has become ready. */
static void
poll_mark(WasiCall *call)
{
    WasiPoll *poll = call->poll;
    const Stream *input = &call->wasi->streams[OWN_STDIN];
    bool readable = poll->reads && input_is_ready(input), over = false;
    Moment now = moment_now();
    for (uint32_t i = 0; i < poll->count; i++) {
        Polled *polled = &poll->polled[i];
        if (polled->type == EVENT_CLOCK && now >= polled->end) {
            polled->ready = over = true;
        }
        if (polled->type == EVENT_READ && !polled->is_file && readable) {
            polled->ready = true;
        }
        poll->any_ready |= polled->ready;
    }
    if (over) {
        guest_time_pass(&call->wasi->clock, poll->shortest);
    }
}

static WasiStep
poll_await(WasiCall *call)
{
    WasiPoll *poll = call->poll;
    call->awaited = awaited_until(poll->until);
    if (poll->reads) {
        input_await(call, &call->wasi->streams[OWN_STDIN]);
    }
    return WASI_WAIT;
}

static void
poll_write_event(WasiCall *call, const Polled *polled, uint32_t at)
{
    uint8_t *event = call->memory.data + at;
    if (polled->is_file) {
        memcpy(event, polled->event, EVENT_SIZE);
        return;
    }
    memset(event, 0, EVENT_SIZE);
    guest_put(call, at, polled->userdata, 8);
    event[10] = polled->type;
    event[16] = polled->type != EVENT_CLOCK; /* how many bytes, at least */
}

static WasiStep
poll_write_events(WasiCall *call)
{
    WasiPoll *poll = call->poll;
    uint32_t written = 0;
    for (uint32_t i = 0; i < poll->count; i++) {
        const Polled *polled = &poll->polled[i];
        if (!polled->ready) {
            continue;
        }
        uint32_t at;
        if (!guest_check_element(call, call->arguments[1], written++, EVENT_SIZE, &at)) {
            return WASI_FAILED;
        }
        poll_write_event(call, polled, at);
    }
    return wasi_result(call, call->arguments[3], written, 4);
}

static WasiStep
poll_oneoff_attempt(WasiCall *call)
{
    if (call->poll == NULL) {
        WasiStep step = poll_begin(call);
        if (step != WASI_RETRY) {
            return step;
        }
    }
    while (call->poll->looked_at < call->poll->count) {
        WasiStep step = poll_look(call);
        if (step != WASI_RETRY) {
            return step;
        }
    }
    poll_mark(call);
    return call->poll->any_ready ? poll_write_events(call) : poll_await(call);
}

static WasiStep
sched_yield_attempt(WasiCall *call)
{
    return wasi_error(call, WASI_SUCCESS);
}
