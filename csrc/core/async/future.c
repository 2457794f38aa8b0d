/* The native future of an asynchronous call: polls of it, what host functions note during one, and
 * its deletion.
 *
 * No Python code runs between entering and leaving a poll or a deletion, whichever stack the
 * library is on. */

static bool
async_refuse(const char *why)
{
    PyErr_SetString(state.WasmtimeError, why);
    return false;
}

/* --- notes, on the guest's stack ---------------------------------------------------------------- */

/* Whether the guest can go on: its host function is answered. Polls the call that this function has
 * begun in the same store, if there is one. */
static bool
async_continue(void *env)
{
    AsyncCall *call = env;
    AsyncCall *child = call->child;
    if (UNLIKELY(call->errand != NULL)) {
        Errand run = call->errand;
        call->errand = NULL;
        run(call->errand_argument);
        return false;
    }
    if (child != NULL && child->future != NULL && !child->native_done) {
        child->native_done = wasmtime_call_future_poll(child->future);
    }
    return call->answered;
}

static bool
async_at_once(void *Py_UNUSED(env))
{
    return true;
}

static AsyncHost *
async_note(StoreObject *store, const AsyncHostKind *kind, void *function,
           wasmtime_async_continuation_t *continuation)
{
    AsyncCall *call = store->call;
    continuation->callback = async_continue;
    continuation->env = call;
    continuation->finalizer = NULL;
    call->answered = false;
    call->host.kind = kind;
    call->host.function = function;
    call->host.caller = NULL;
    call->host.awaits = true;
    return &call->host;
}

/* --- polls and deletion ------------------------------------------------------------------------- */

/* The one whose future is polled: the guests of the others wait for it. */
static inline AsyncCall *
async_root(AsyncCall *call)
{
    while (call->parent != NULL) {
        call = call->parent;
    }
    return call;
}

/* A guest that an event loop polls runs for so long before it gives way, at least; and one that is
 * polled on another thread, which costs the loop nothing but the way there and back. */
#define POLL_SLICE MILLISECOND
#define POLL_SLICE_AWAY (5 * MILLISECOND)

/* Let the guests run until they wait, are done, or give way at the first tick after `ends`; without
 * the GIL. */
static void
future_poll(AsyncCall *root, Moment ends)
{
    StoreObject *store = root->store;
    TickedEngine *engine = ((EngineObject *)store->owner.engine)->ticked;
    store->yielded = false;
    store->poll_ends = ends;
    store->polling = true;
    if (store->epochs) {
        ticker_poll_begin(engine);
    }
    root->native_done = wasmtime_call_future_poll(root->future);
    if (store->epochs) {
        ticker_poll_end(engine);
    }
    store->polling = false;
}

/* The only place where a future dies; a guest that is not done is unwound. That of a child dies
 * before its parent's, and all of them before the store. */
static void
future_delete(AsyncCall *call)
{
    wasmtime_call_future_t *future = call->future;
    if (future != NULL) {
        call->future = NULL;
        call->store->polling = true;
        wasmtime_call_future_delete(future);
        call->store->polling = false;
    }
}
