/* Faults: the library's signal handlers beside the program's.
 *
 * WebAssembly traps by faulting. The library finds out in handlers of SIGSEGV, SIGILL, SIGFPE and
 * SIGBUS, which it installs with the first engine, and passes other faults on to the handler that
 * was there before. So a handler of ours is put in place just before the library's: it receives
 * what the library passes on. A handler that the program installs later, by `faulthandler.enable()`
 * or `signal.signal()`, would take every trap for a fault of the process. So the library's handlers
 * are put on top again, and ours passes real faults, and signals that were sent, to those of the
 * program. The Python half says when (core.faults()).
 *
 * The handlers are the process's: they are never taken away. */

/* When the handlers are looked after. */
typedef enum {
    FAULTS_PREPARE,   /* an engine will be made */
    FAULTS_SETTLE,    /* it was, or could not be */
    FAULTS_COVERING,  /* faulthandler will come on top */
    FAULTS_COVERED,   /* a handler may have come on top that hands down what is not for it */
    FAULTS_REPLACED,  /* the program may have put another handler in the place of its former one */
    FAULTS_UNCOVERED, /* the handler on top has gone, or the one below the library's */
} FaultsStep;

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static const int fault_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
#define FAULT_SIGNALS ((int)(sizeof(fault_signals) / sizeof(fault_signals[0])))

/* For each of the signals: the handlers, from the top down. */
static struct {
    bool settled;                            /* the library's are in place */
    struct sigaction library[FAULT_SIGNALS]; /* those */
    struct sigaction later[FAULT_SIGNALS];   /* that came on top since, and expect the
                                               * library's below */
    bool has_later[FAULT_SIGNALS];
    struct sigaction program[FAULT_SIGNALS]; /* that would be there without the library */
    uintptr_t telling[FAULT_SIGNALS];        /* atomic: the thread on which `later` is called */
} faults;

/* Not a fault: kill() or raise(). */
static bool
fault_was_sent(const siginfo_t *info)
{
    return info->si_code <= 0 || info->si_code == SI_USER;
}

static void
fault_pass_on(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(number, info, context);
    }
    else if (action->sa_handler == SIG_IGN && fault_was_sent(info)) {
        return;
    }
    else if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
        /* As the library does: the fault happens again and is dealt with so. One that is ignored
         * ends the process all the same. */
        sigaction(number, action, NULL);
        if (fault_was_sent(info)) {
            raise(number);
        }
    }
    else {
        action->sa_handler(number);
    }
}

/* Where the stack pointer was when the signal came; 0 if that is not known here. */
static uintptr_t
fault_stack_pointer(const void *context)
{
    const ucontext_t *interrupted = context;
#if defined(__linux__) && defined(__x86_64__)
    return (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP];
#elif defined(__linux__) && defined(__aarch64__)
    return (uintptr_t)interrupted->uc_mcontext.sp;
#elif defined(__APPLE__) && defined(__x86_64__)
    return (uintptr_t)interrupted->uc_mcontext->__ss.__rsp;
#elif defined(__APPLE__) && defined(__aarch64__)
    return (uintptr_t)interrupted->uc_mcontext->__ss.__sp;
#else
    (void)interrupted;
    return 0;
#endif
}

/* Whether a handler that was not called by ours raises the signal that it has received. Between
 * the moment when faulthandler puts its handlers on top and the one when ours learns of it, a trap
 * of another thread goes to faulthandler. It puts the library's handler back and raises the
 * signal. If that is ignored, the fault happens again, and goes where it belongs. */
static bool
fault_is_echo(int signal_index, const siginfo_t *info, const void *context)
{
    if (!fault_was_sent(info) || info->si_pid != getpid()
        || atomic_load(&faults.telling[signal_index]) == (uintptr_t)pthread_self()) {
        return false;
    }
    stack_t alternate;
    if (sigaltstack(NULL, &alternate) != 0) {
        return false;
    }
    uintptr_t low = (uintptr_t)alternate.ss_sp;
    uintptr_t position = fault_stack_pointer(context);
    return position >= low && position - low < alternate.ss_size;
}

static void
fault_handler(int number, siginfo_t *info, void *context)
{
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        if (fault_signals[i] != number || fault_is_echo(i, info, context)) {
            continue;
        }
        uintptr_t me = (uintptr_t)pthread_self();
        if (faults.has_later[i] && atomic_load(&faults.telling[i]) != me) {
            atomic_store(&faults.telling[i], me);
            fault_pass_on(&faults.later[i], number, info, context);
            atomic_store(&faults.telling[i], 0);
        }
        else {
            /* Or `later` has had it, and hands it down. */
            fault_pass_on(&faults.program[i], number, info, context);
        }
    }
}

static bool
fault_is(int signal_index, const struct sigaction *action)
{
    struct sigaction now;
    return sigaction(fault_signals[signal_index], NULL, &now) == 0
           && (now.sa_flags & SA_SIGINFO) == (action->sa_flags & SA_SIGINFO)
           && now.sa_sigaction == action->sa_sigaction;
}

static struct sigaction
fault_own_action(void)
{
    struct sigaction own;
    memset(&own, 0, sizeof(own));
    own.sa_sigaction = fault_handler;
    own.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&own.sa_mask);
    return own;
}

/* Before an engine is made. */
static void
faults_prepare(void)
{
    if (faults.settled) {
        return;
    }
    struct sigaction own = fault_own_action();
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        if (!fault_is(i, &own)) {
            sigaction(fault_signals[i], &own, &faults.program[i]);
        }
    }
}

/* After it. */
static void
faults_settle(void)
{
    if (faults.settled) {
        return;
    }
    struct sigaction own = fault_own_action();
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        if (fault_is(i, &own)) { /* the library did without: give the place back */
            sigaction(fault_signals[i], &faults.program[i], NULL);
        }
        else {
            sigaction(fault_signals[i], NULL, &faults.library[i]);
            faults.settled = true;
        }
    }
}

/* Put the library's handlers on top again. */
static void
faults_restore(FaultsStep change)
{
    for (int i = 0; faults.settled && i < FAULT_SIGNALS; i++) {
        if (faults.library[i].sa_sigaction == NULL) {
            continue;
        }
        bool changed = !fault_is(i, &faults.library[i]);
        if (changed) {
            struct sigaction *place =
                change == FAULTS_COVERED ? &faults.later[i] : &faults.program[i];
            sigaction(fault_signals[i], NULL, place);
        }
        if (changed || change == FAULTS_UNCOVERED) {
            faults.has_later[i] = change == FAULTS_COVERED;
        }
        if (changed) {
            sigaction(fault_signals[i], &faults.library[i], NULL);
        }
    }
}

/* On a thread that is going to run WebAssembly: a trap whose signal is blocked ends the process. */
static void
faults_unblock(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        sigaddset(&set, fault_signals[i]);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
/* The chain of handlers here leads on: see faults_restore(). */
static void
faults_make_way(void)
{
}
#else
#include <windows.h>

/* Nobody can block exceptions or take them away from the library: its handler and faulthandler's
 * stand in one list, and faulthandler, when it comes later, stands in front, reports each trap, and
 * lets it go on to the library. So a handler of ours in front of it disguises what may be a trap
 * as a matter that faulthandler ignores, and one behind it takes the disguise off. */
static struct {
    bool settled;   /* an engine was made */
    bool made_way;  /* faulthandler is about to come on top */
    PVOID disguise; /* our two handlers */
    PVOID undisguise;
} faults;

#define FAULT_SEVERITY 0x80000000u /* of an exception that is an error; others are ignored */

/* What the library makes traps of. */
static bool
fault_may_be_trap(const EXCEPTION_RECORD *record)
{
    switch (record->ExceptionCode | FAULT_SEVERITY) {
    case EXCEPTION_ACCESS_VIOLATION:
    case EXCEPTION_ILLEGAL_INSTRUCTION:
    case EXCEPTION_INT_DIVIDE_BY_ZERO:
    case EXCEPTION_INT_OVERFLOW:
        break;
    default:
        return false;
    }
    /* In no program file, hence in code that was compiled while the process runs. */
    PVOID image;
    return RtlPcToFileHeader(record->ExceptionAddress, &image) == NULL;
}

static LONG CALLBACK
fault_disguise(EXCEPTION_POINTERS *exception)
{
    if (fault_may_be_trap(exception->ExceptionRecord)) {
        exception->ExceptionRecord->ExceptionCode &= ~FAULT_SEVERITY;
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

static LONG CALLBACK
fault_undisguise(EXCEPTION_POINTERS *exception)
{
    if (fault_may_be_trap(exception->ExceptionRecord)) {
        exception->ExceptionRecord->ExceptionCode |= FAULT_SEVERITY;
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

/* Put a handler in front of all others; it may stand elsewhere. */
static void
fault_to_front(PVOID *place, PVECTORED_EXCEPTION_HANDLER handler)
{
    if (*place != NULL) {
        RemoveVectoredExceptionHandler(*place);
    }
    *place = AddVectoredExceptionHandler(1, handler);
}

static void
faults_prepare(void)
{
}
static void
faults_unblock(void)
{
}

static void
faults_settle(void)
{
    faults.settled = true;
}

static void
faults_make_way(void)
{
    if (faults.disguise != NULL) {
        RemoveVectoredExceptionHandler(faults.disguise);
        faults.disguise = NULL;
    }
    fault_to_front(&faults.undisguise, fault_undisguise);
    faults.made_way = faults.undisguise != NULL;
}

static void
faults_restore(FaultsStep change)
{
    if (change == FAULTS_COVERED && faults.made_way) {
        fault_to_front(&faults.disguise, fault_disguise);
        faults.made_way = false;
    }
}
#endif

PyDoc_STRVAR(faults_doc,
             "faults($module, step, /)\n--\n\n"
             "Keep the library's handlers of faults above the program's, at one of FAULTS_*.\n"
             "Whether there are any.");

static PyObject *
core_faults(PyObject *Py_UNUSED(module), PyObject *step)
{
    long number = PyLong_AsLong(step);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    switch (number) {
    case FAULTS_PREPARE:
        faults_prepare();
        break;
    case FAULTS_SETTLE:
        faults_settle();
        break;
    case FAULTS_COVERING:
        faults_make_way();
        break;
    default:
        faults_restore((FaultsStep)number);
    }
    return PyBool_FromLong(faults.settled);
}

static int
faults_exec(PyObject *module)
{
    if (PyModule_AddIntConstant(module, "FAULTS_PREPARE", FAULTS_PREPARE) < 0
        || PyModule_AddIntConstant(module, "FAULTS_SETTLE", FAULTS_SETTLE) < 0
        || PyModule_AddIntConstant(module, "FAULTS_COVERING", FAULTS_COVERING) < 0
        || PyModule_AddIntConstant(module, "FAULTS_COVERED", FAULTS_COVERED) < 0
        || PyModule_AddIntConstant(module, "FAULTS_REPLACED", FAULTS_REPLACED) < 0) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "FAULTS_UNCOVERED", FAULTS_UNCOVERED);
}
