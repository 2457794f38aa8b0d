/* Errands: what may collect the garbage of a store while a guest of it waits.
 *
 * The library finds the references on a guest's stack only while the calls that lead to it are in
 * progress. Between two polls they are not, and a collection would take away what the guest holds.
 * So whatever may collect (allocations, Store.gc()) is done on the guest's stack: a poll comes to
 * the continuation of its host function (future.c), which runs the errand. Errands are C only, and
 * own nothing. */

/* The innermost call whose guest waits for its host function; NULL: no guest waits for one. */
static AsyncCall *
errand_call(const StoreObject *store)
{
    AsyncCall *call = store->call;
    while (call != NULL && (call->future == NULL || call->host.kind == NULL || call->answered)) {
        call = call->parent;
    }
    return call;
}

/* Whether errands can be run; otherwise an exception is set. */
static NOINLINE bool
errand_check_call(const StoreObject *store)
{
    const AsyncCall *call = store->call;
    while (call != NULL && call->future == NULL) {
        call = call->parent;
    }
    return call == NULL || errand_call(store) == call
           || async_refuse("store is in use: its guest has given way in the middle of a call, and "
                           "nothing can be allocated or collected until it goes on");
}

/* With or without the GIL; errand_check() has been asked. */
static void
errand_run(StoreObject *store, Errand run, void *argument)
{
    AsyncCall *call = store->call == NULL ? NULL : errand_call(store);
    if (LIKELY(call == NULL)) {
        run(argument);
        return;
    }
    call->errand = run;
    call->errand_argument = argument;
    future_poll(async_root(call), store->poll_ends);
}
