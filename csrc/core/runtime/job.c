/* Native work on a thread of its own.
 *
 * Parsing and compiling untrusted input recurses as deep as the text nests, and takes as long as
 * the input makes it. So it runs on a native thread with a large stack, whatever stack the caller
 * has. The caller waits without the GIL and hears signals; when a handler raises, it lets go of the
 * job, which runs on to its end and frees what it made.
 *
 * A job owns all that it uses: a copy of its input, and a claim of its own on the native engine.
 * Its thread runs no Python, holds no Python object, and takes no GIL. So the interpreter may exit
 * while an abandoned job still runs: the process ends, and the thread with it.
 *
 * One thread that has nothing to do is kept: starting one takes longer than compiling a small
 * module. */

typedef struct Job Job;

typedef struct {
    PyThread_type_lock wake; /* held while there is nothing to do */
    Job *job;
} Worker;

static struct {
    PyThread_type_lock lock; /* held for a moment, to look at `parked` */
    Worker *parked;          /* the one that waits for work, or NULL */
} workers;

typedef struct {
    const char *name;
    void (*run)(Job *job);
    PyObject *(*result)(Job *job); /* takes what was made */
    void (*drop)(Job *job);        /* frees what was made and not taken */
    bool linear;                   /* fast, in time proportional to its input */
} JobKind;

struct Job {
    const JobKind *kind;
    uintptr_t holders;       /* atomic: the caller, and the thread until it is done */
    PyThread_type_lock done; /* held until the thread is done */
    wasm_engine_t *engine;   /* or NULL */
    wasmtime_error_t *error;
    wasm_byte_vec_t bytes;
    void *object;
    size_t size;
    unsigned char input[]; /* a copy, with a NUL behind it */
};

/* Virtual memory: only what is used takes memory. */
#define JOB_STACK ((size_t)64 << 20)

/* A short input of a linear job is done at once where this much stack is left: handing it over
 * takes ten times as long. The library refuses text of more than 100 levels. */
#define JOB_SHORT ((size_t)4096)
#define JOB_SHORT_STACK ((uintptr_t)1 << 20)

/* How long a signal may wait for us, where it does not interrupt the waiting. */
#define JOB_SLICE_MICROSECONDS 50000

static PyObject *
job_nothing(Job *Py_UNUSED(job))
{
    Py_RETURN_NONE;
}

static PyObject *
job_take_bytes(Job *job)
{
    return PyBytes_FromStringAndSize((const char *)job->bytes.data, (Py_ssize_t)job->bytes.size);
}

static PyObject *
job_take_object(Job *job)
{
    PyObject *address = PyLong_FromVoidPtr(job->object);
    if (address != NULL) {
        job->object = NULL;
    }
    return address;
}

static void
job_parse_text(Job *job)
{
    job->error = wasmtime_wat2wasm((char *)job->input, job->size, &job->bytes);
}

static void
job_drop_bytes(Job *job)
{
    if (job->bytes.data != NULL) {
        wasm_byte_vec_delete(&job->bytes);
    }
}

static void
job_validate(Job *job)
{
    job->error = wasmtime_module_validate(job->engine, job->input, job->size);
}

static void
job_drop_nothing(Job *Py_UNUSED(job))
{
}

static void
job_compile_module(Job *job)
{
    job->error =
        wasmtime_module_new(job->engine, job->input, job->size, (wasmtime_module_t **)&job->object);
}

static void
job_drop_module(Job *job)
{
    if (job->object != NULL) {
        wasmtime_module_delete(job->object);
    }
}

static void
job_compile_component(Job *job)
{
    job->error = wasmtime_component_new(job->engine, job->input, job->size,
                                        (wasmtime_component_t **)&job->object);
}

static void
job_drop_component(Job *job)
{
    if (job->object != NULL) {
        wasmtime_component_delete(job->object);
    }
}

static const JobKind job_kinds[] = {
    {"text", job_parse_text, job_take_bytes, job_drop_bytes, true},
    {"validate", job_validate, job_nothing, job_drop_nothing, true},
    {"module", job_compile_module, job_take_object, job_drop_module, false},
    {"component", job_compile_component, job_take_object, job_drop_component, false},
    {NULL, NULL, NULL, NULL, false},
};

static const JobKind *
job_kind(const char *name)
{
    const JobKind *kind = job_kinds;
    while (kind->name != NULL && strcmp(kind->name, name) != 0) {
        kind++;
    }
    if (kind->name == NULL) {
        PyErr_Format(PyExc_ValueError, "run_job(): there is no job %s", name);
        return NULL;
    }
    return kind;
}

static void
job_release(Job *job)
{
    if (atomic_sub(&job->holders, 1) != 0) {
        return;
    }
    job->kind->drop(job);
    if (job->error != NULL) {
        wasmtime_error_delete(job->error);
    }
    if (job->engine != NULL) {
        wasm_engine_delete(job->engine);
    }
    PyThread_free_lock(job->done);
    PyMem_RawFree(job);
}

static Job *
job_new(const JobKind *kind, const char *input, size_t size, wasm_engine_t *engine)
{
    Job *job = PyMem_RawCalloc(1, sizeof(Job) + size + 1);
    if (job == NULL || (job->done = PyThread_allocate_lock()) == NULL) {
        PyMem_RawFree(job);
        PyErr_NoMemory();
        return NULL;
    }
    PyThread_acquire_lock(job->done, NOWAIT_LOCK);
    job->kind = kind;
    job->holders = 1;
    job->engine = engine != NULL ? wasmtime_engine_clone(engine) : NULL;
    job->size = size;
    memcpy(job->input, input, size);
    return job;
}

/* --- its thread ----------------------------------------------------------------------------- */

static void
worker_free(Worker *self)
{
    PyThread_free_lock(self->wake);
    PyMem_RawFree(self);
}

/* Become the worker that waits for work; false if there is one. */
static bool
worker_park(Worker *self)
{
    PyThread_acquire_lock(workers.lock, WAIT_LOCK);
    bool first = workers.parked == NULL;
    if (first) {
        workers.parked = self;
    }
    PyThread_release_lock(workers.lock);
    return first;
}

static Worker *
worker_unpark(void)
{
    PyThread_acquire_lock(workers.lock, WAIT_LOCK);
    Worker *worker = workers.parked;
    workers.parked = NULL;
    PyThread_release_lock(workers.lock);
    return worker;
}

static void
worker_main(Worker *self)
{
    thread_leave_signals_to_others();
    do {
        PyThread_acquire_lock(self->wake, WAIT_LOCK);
        Job *job = self->job;
        job->kind->run(job);
        PyThread_release_lock(job->done);
        job_release(job);
    } while (worker_park(self));
    worker_free(self);
}

#if defined(_WIN32)
static unsigned __stdcall
worker_thread(void *worker)
{
    worker_main(worker);
    return 0;
}

static bool
worker_start_thread(Worker *self)
{
    uintptr_t thread = _beginthreadex(NULL, (unsigned)JOB_STACK, worker_thread, self,
                                      STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread != 0) {
        CloseHandle((HANDLE)thread);
    }
    return thread != 0;
}
#else
static void *
worker_thread(void *worker)
{
    worker_main(worker);
    return NULL;
}

static bool
worker_start_thread(Worker *self)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    bool fine = pthread_attr_setstacksize(&attributes, JOB_STACK) == 0
                && pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0
                && pthread_create(&thread, &attributes, worker_thread, self) == 0;
    pthread_attr_destroy(&attributes);
    return fine;
}

/* The child of a fork has none of the threads. */
static void
job_after_fork(void)
{
    PyThread_type_lock lock = PyThread_allocate_lock();
    if (lock != NULL) { /* the other may be held by one that is gone */
        workers.lock = lock;
    }
    workers.parked = NULL;
}
#endif

static Worker *
worker_new(void)
{
    Worker *self = PyMem_RawCalloc(1, sizeof(Worker));
    if (self == NULL || (self->wake = PyThread_allocate_lock()) == NULL) {
        PyMem_RawFree(self);
        PyErr_NoMemory();
        return NULL;
    }
    PyThread_acquire_lock(self->wake, NOWAIT_LOCK);
    if (!worker_start_thread(self)) {
        worker_free(self);
        PyErr_SetString(state.WasmtimeError,
                        "a native thread to compile on cannot be started: this process has too "
                        "many threads, or too little memory");
        return NULL;
    }
    return self;
}

/* --- its caller ----------------------------------------------------------------------------- */

/* Wait until the thread is done; false with what a signal handler raised. */
static bool
job_wait(Job *job)
{
    for (;;) {
        PyLockStatus status;
        Py_BEGIN_ALLOW_THREADS;
        status = PyThread_acquire_lock_timed(job->done, JOB_SLICE_MICROSECONDS, 1);
        Py_END_ALLOW_THREADS;
        if (status == PY_LOCK_ACQUIRED) {
            return true;
        }
        if (PyErr_CheckSignals() < 0) {
            return false;
        }
    }
}

static bool
job_run_on_thread(Job *job)
{
    Worker *worker = worker_unpark();
    if (worker == NULL && (worker = worker_new()) == NULL) {
        return false;
    }
    atomic_add(&job->holders, 1);
    worker->job = job;
    PyThread_release_lock(worker->wake);
    return job_wait(job);
}

static bool
job_run_here(Job *job)
{
    Py_BEGIN_ALLOW_THREADS;
    job->kind->run(job);
    Py_END_ALLOW_THREADS;
    return true;
}

static bool
job_is_short(Job *job)
{
    return job->kind->linear && job->size <= JOB_SHORT
           && thread_stack_left(&this_thread) >= JOB_SHORT_STACK;
}

PyDoc_STRVAR(
    run_job_doc,
    "run_job($module, kind, input, engine=None, /)\n--\n\n"
    "Have the library read `input` on a thread with a large stack. `kind` is \"text\": the\n"
    "binary form as bytes; \"validate\": None; \"module\" or \"component\": the address of\n"
    "what was compiled. `engine` is a Handle. A signal handler that raises ends the wait.");

static PyObject *
core_run_job(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *name, *input;
    Py_ssize_t size;
    PyObject *engine = Py_None;
    if (!PyArg_ParseTuple(args, "sy#|O:run_job", &name, &input, &size, &engine)) {
        return NULL;
    }
    if (engine != Py_None && !PyObject_TypeCheck(engine, state.Handle)) {
        PyErr_SetString(PyExc_TypeError, "run_job(): engine must be a Handle or None");
        return NULL;
    }
    const JobKind *kind = job_kind(name);
    if (kind == NULL) {
        return NULL;
    }
    Job *job = job_new(kind, input, (size_t)size,
                       engine != Py_None ? ((HandleObject *)engine)->pointer : NULL);
    if (job == NULL) {
        return NULL;
    }
    PyObject *result = NULL;
    if (job_is_short(job) ? job_run_here(job) : job_run_on_thread(job)) {
        wasmtime_error_t *error = job->error;
        job->error = NULL;
        result = error != NULL ? raise_error(error) : kind->result(job);
    }
    job_release(job);
    return result;
}

static bool
job_setup(void)
{
    if (workers.lock != NULL) {
        return true; /* Python was initialized before: the workers are the process's */
    }
    workers.lock = PyThread_allocate_lock();
    if (workers.lock == NULL) {
        PyErr_NoMemory();
        return false;
    }
#if !defined(_WIN32)
    pthread_atfork(NULL, NULL, job_after_fork);
#endif
    return true;
}
