/* clock_time_get and clock_res_get: the guest's time.
 *
 * It is the system's; or a virtual one, which begins at a given moment and moves by a fixed step
 * with each reading, and by what the guest sleeps; or what a callable of Python says. The monotonic
 * clock begins at zero and never goes back; the two clocks of CPU time do not exist. */

enum { GUEST_REALTIME, GUEST_MONOTONIC, GUEST_PROCESS_CPU, GUEST_THREAD_CPU, GUEST_CLOCKS };

/* Nanoseconds by which a reading moves the virtual clock. */
#define CLOCK_STEP 1000

static const char WASI_NO_SUCH_CLOCK[] = "WASI: there is no clock of that number";

/* Nanoseconds since 1970 of the system's clock. */
static uint64_t
realtime_now(void)
{
#if defined(_WIN32)
    FILETIME time;
    GetSystemTimePreciseAsFileTime(&time);
    uint64_t ticks = (uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime;
    return (ticks - 116444736000000000u) * 100; /* since 1601, in units of 100 ns */
#else
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
#endif
}

/* What a clock shows now. Of a callable, its last answer. */
static uint64_t
guest_time(const GuestClock *clock, uint32_t id)
{
    if (clock->kind == CLOCK_REAL) {
        return id == GUEST_REALTIME ? realtime_now() : moment_now() - clock->started;
    }
    return id == GUEST_REALTIME ? clock->now : clock->now - clock->first;
}

/* The guest has slept: `span` is what it asked for, so that it is the same each time. */
static void
guest_time_pass(GuestClock *clock, uint64_t span)
{
    if (clock->kind == CLOCK_VIRTUAL) {
        clock->now = moment_after(clock->now, span);
    }
}

static PyObject *
clock_ask(WasiCall *call)
{
    PyObject *callable = Py_NewRef(call->wasi->clock.callable);
    PyObject *answer = PyObject_CallNoArgs(callable);
    Py_DECREF(callable);
    return answer;
}

/* The callable is the package's (`read_clock`), which gives nanoseconds since 1970 as an int. */
static bool
clock_answer(WasiCall *call, PyObject *answer)
{
    GuestClock *clock = &call->wasi->clock;
    unsigned long long now = PyLong_AsUnsignedLongLong(answer);
    if (now == (unsigned long long)-1 && PyErr_Occurred()) {
        return false;
    }
    if (!clock->asked) {
        clock->asked = true;
        clock->first = now;
    }
    else if (now < clock->now) {
        clock->first -= clock->now - now; /* the monotonic clock stands still, modulo 2**64 */
    }
    clock->now = now;
    call->answered = true;
    return true;
}

static const WasiQuestion clock_question = {clock_ask, clock_answer};

static inline bool
clock_must_be_asked(const WasiCall *call)
{
    return call->wasi->clock.kind == CLOCK_CALLABLE && !call->answered;
}

static WasiStep
clock_time_get_attempt(WasiCall *call)
{
    uint32_t id = call->arguments[0];
    if (id >= GUEST_CLOCKS) {
        return wasi_fail(call, WASI_NO_SUCH_CLOCK);
    }
    if (id > GUEST_MONOTONIC) {
        return wasi_error(call, WASI_BADF);
    }
    if (UNLIKELY(clock_must_be_asked(call))) {
        call->question = &clock_question;
        return WASI_ASK;
    }
    GuestClock *clock = &call->wasi->clock;
    uint64_t now = guest_time(clock, id);
    guest_time_pass(clock, CLOCK_STEP);
    return wasi_result(call, call->arguments[2], now, 8);
}

static WasiStep
clock_res_get_attempt(WasiCall *call)
{
    uint32_t id = call->arguments[0];
    if (id >= GUEST_CLOCKS) {
        return wasi_fail(call, WASI_NO_SUCH_CLOCK);
    }
    if (id > GUEST_MONOTONIC) {
        return wasi_error(call, WASI_BADF);
    }
    uint64_t step = call->wasi->clock.kind == CLOCK_VIRTUAL ? CLOCK_STEP : 1;
    return wasi_result(call, call->arguments[1], step, 8);
}
