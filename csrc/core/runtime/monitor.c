/* Time, locks and conditions of native threads.
 *
 * They need no memory, no descriptor and no GIL, and can be made anew in the child of a fork, where
 * nothing may be allocated. Nothing here is owned: each lives in what it protects. */

/* A moment: nanoseconds of the system's monotonic clock, which no change of date moves. */
typedef uint64_t Moment;
#define MOMENT_NEVER UINT64_MAX
#define MILLISECOND ((Moment)1000000)
#define SECOND ((Moment)1000000000)

static inline Moment
moment_min(Moment a, Moment b)
{
    return a < b ? a : b;
}

/* `span` nanoseconds after `start`, which may be never. */
static inline Moment
moment_after(Moment start, Moment span)
{
    return span < MOMENT_NEVER - start ? start + span : MOMENT_NEVER;
}

#if defined(_WIN32)

typedef SRWLOCK Mutex;
typedef CONDITION_VARIABLE Condition;

static Moment
moment_now(void)
{
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    Moment per_second = (Moment)frequency.QuadPart, now = (Moment)count.QuadPart;
    return now / per_second * SECOND + now % per_second * SECOND / per_second;
}

static void
mutex_make(Mutex *mutex)
{
    InitializeSRWLock(mutex);
}

static void
mutex_lock(Mutex *mutex)
{
    AcquireSRWLockExclusive(mutex);
}

static void
mutex_unlock(Mutex *mutex)
{
    ReleaseSRWLockExclusive(mutex);
}

static void
condition_make(Condition *condition)
{
    InitializeConditionVariable(condition);
}

static void
condition_end(Condition *Py_UNUSED(condition))
{
}

static void
condition_signal(Condition *condition)
{
    WakeConditionVariable(condition);
}

/* The system's milliseconds until a moment, rounded up. */
static DWORD
milliseconds_until(Moment until)
{
    Moment now = moment_now();
    if (until == MOMENT_NEVER) {
        return INFINITE;
    }
    if (until <= now) {
        return 0;
    }
    Moment left = (until - now + MILLISECOND - 1) / MILLISECOND;
    return left < INFINITE ? (DWORD)left : INFINITE - 1;
}

/* Let go of the lock until somebody signals or the moment comes, or sooner; have the lock again. */
static void
condition_wait(Condition *condition, Mutex *mutex, Moment until)
{
    (void)SleepConditionVariableSRW(condition, mutex, milliseconds_until(until), 0);
}

#else

typedef pthread_mutex_t Mutex;
typedef pthread_cond_t Condition;

static Moment
moment_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (Moment)now.tv_sec * SECOND + (Moment)now.tv_nsec;
}

static void
mutex_make(Mutex *mutex)
{
    (void)pthread_mutex_init(mutex, NULL);
}

static void
mutex_lock(Mutex *mutex)
{
    (void)pthread_mutex_lock(mutex);
}

static void
mutex_unlock(Mutex *mutex)
{
    (void)pthread_mutex_unlock(mutex);
}

static void
condition_make(Condition *condition)
{
#if defined(__APPLE__)
    (void)pthread_cond_init(condition, NULL);
#else
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
#endif
}

static void
condition_end(Condition *condition)
{
    (void)pthread_cond_destroy(condition);
}

static void
condition_signal(Condition *condition)
{
    (void)pthread_cond_signal(condition);
}

static struct timespec
moment_timespec(Moment moment)
{
    struct timespec time = {(time_t)(moment / SECOND), (long)(moment % SECOND)};
    return time;
}

/* Let go of the lock until somebody signals or the moment comes, or sooner; have the lock again. */
static void
condition_wait(Condition *condition, Mutex *mutex, Moment until)
{
    if (until == MOMENT_NEVER) {
        (void)pthread_cond_wait(condition, mutex);
        return;
    }
#if defined(__APPLE__)
    Moment now = moment_now();
    struct timespec left = moment_timespec(until > now ? until - now : 0);
    (void)pthread_cond_timedwait_relative_np(condition, mutex, &left);
#else
    struct timespec end = moment_timespec(until);
    (void)pthread_cond_timedwait(condition, mutex, &end);
#endif
}
#endif
