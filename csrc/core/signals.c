/* Faults: the library's signal handlers and Python's faulthandler, side by side.
 *
 * WebAssembly traps by faulting; the library finds out in handlers of SIGSEGV, SIGILL, SIGFPE and
 * SIGBUS, which it installs with the first engine, and passes what is not its own to whoever was
 * there before. `faulthandler.enable()` puts its handlers on top and takes every trap for the
 * death of the process. So a handler of ours is put in place just before the library's: it
 * receives what the library passes on. When faulthandler has been enabled later, the library's
 * handlers are put on top again, and ours passes the real faults on to faulthandler. */

#if !defined(_WIN32)

static const int fault_signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS};
#define FAULT_SIGNALS ((int)(sizeof(fault_signals) / sizeof(fault_signals[0])))

static struct {
    bool settled;                            /* the library's handlers are in place */
    struct sigaction library[FAULT_SIGNALS]; /* they */
    struct sigaction before[FAULT_SIGNALS];  /* who was there before the library */
    struct sigaction later[FAULT_SIGNALS];   /* who came on top since */
    bool has_later[FAULT_SIGNALS];
    volatile sig_atomic_t told[FAULT_SIGNALS]; /* the later one was told of a fault */
} faults;

static void
fault_pass_on(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(number, info, context);
    }
    else if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
        /* As the library does: the fault happens again and is dealt with so. */
        sigaction(number, action, NULL);
        if (info->si_code <= 0) {
            raise(number);
        }
    }
    else {
        action->sa_handler(number);
    }
}

static void
fault_handler(int number, siginfo_t *info, void *context)
{
    for (int i = 0; i < FAULT_SIGNALS; i++) {
        if (fault_signals[i] != number) {
            continue;
        }
        if (faults.has_later[i] && !faults.told[i]) {
            faults.told[i] = 1;
            fault_pass_on(&faults.later[i], number, info, context);
        }
        else {
            fault_pass_on(&faults.before[i], number, info, context);
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
            sigaction(fault_signals[i], &own, &faults.before[i]);
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
            sigaction(fault_signals[i], &faults.before[i], NULL);
        }
        else {
            sigaction(fault_signals[i], NULL, &faults.library[i]);
            faults.settled = true;
        }
    }
}

/* Put the library's handlers on top of those that came later. */
static void
faults_restore(void)
{
    for (int i = 0; faults.settled && i < FAULT_SIGNALS; i++) {
        if (faults.library[i].sa_sigaction != NULL && !fault_is(i, &faults.library[i])) {
            sigaction(fault_signals[i], NULL, &faults.later[i]);
            faults.told[i] = 0;
            faults.has_later[i] = true;
            sigaction(fault_signals[i], &faults.library[i], NULL);
        }
    }
}
#else
static void faults_prepare(void) {}
static void faults_settle(void) {}
static void faults_restore(void) {}
#endif

PyDoc_STRVAR(faults_doc,
             "faults($module, step, /)\n--\n\n"
             "Keep the library's fault handlers and Python's: 0 before an engine is made, 1 after "
             "it, 2 when faulthandler was enabled.");

static PyObject *
core_faults(PyObject *Py_UNUSED(module), PyObject *step)
{
    long number = PyLong_AsLong(step);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (number == 0) {
        faults_prepare();
    }
    else if (number == 1) {
        faults_settle();
    }
    else {
        faults_restore();
    }
    Py_RETURN_NONE;
}
