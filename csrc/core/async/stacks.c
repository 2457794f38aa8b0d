/* The stacks that guests of asynchronous calls run on: no more of them than the system allows.
 *
 * A store gets a stack of the library's with its first asynchronous call, and keeps it until it
 * dies. On Linux a process has so many memory mappings (vm.max_map_count), of which a guest takes
 * four or more; when there are no more, the library ends the process. So the mappings are counted
 * now and then, ever more often the fewer are left, and calls are refused before it is too late.
 *
 * Nothing is owned. One thread at a time touches `mappings`. */

#if defined(__linux__)

#define MAPPINGS_OF_A_GUEST 8
/* Left for everything else: threads, modules, memories of synchronous guests. */
#define MAPPINGS_RESERVE 4096

static struct {
    uintptr_t busy; /* atomic: a thread counts; others go ahead meanwhile */
    size_t limit;   /* 0: not read yet */
    size_t counted; /* how many there were when they were last counted */
    size_t since;   /* stacks taken since then */
    Moment refused; /* when a call was last refused: not counted anew for a while */
} mappings;

#define MAPPINGS_PATIENCE (100 * MILLISECOND)

/* The number of mappings that a process may have. */
static size_t
mappings_limit(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    unsigned long limit = 0;
    if (file == NULL || fscanf(file, "%lu", &limit) != 1) {
        limit = 65530; /* the kernel's own default */
    }
    if (file != NULL) {
        fclose(file);
    }
    return limit;
}

static size_t
mappings_count(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    size_t lines = 0;
    char text[4096];
    size_t size;
    while (file != NULL && (size = fread(text, 1, sizeof(text), file)) > 0) {
        for (size_t i = 0; i < size; i++) {
            lines += text[i] == '\n';
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return lines;
}

/* Whether there is room for another guest. */
static bool
mappings_suffice(void)
{
    if (!atomic_claim(&mappings.busy, 1)) {
        return true;
    }
    if (mappings.limit == 0) {
        mappings.limit = mappings_limit();
        mappings.counted = mappings_count();
    }
    size_t wanted = mappings.counted + ++mappings.since * MAPPINGS_OF_A_GUEST + MAPPINGS_RESERVE;
    bool fine = wanted < mappings.limit;
    if (!fine && moment_now() - mappings.refused > MAPPINGS_PATIENCE) {
        mappings.counted = mappings_count();
        mappings.since = 1;
        fine = mappings.counted + MAPPINGS_OF_A_GUEST + MAPPINGS_RESERVE < mappings.limit;
    }
    if (!fine) {
        mappings.since--;
        mappings.refused = moment_now();
    }
    atomic_store(&mappings.busy, 0);
    return fine;
}

#else

static bool
mappings_suffice(void)
{
    return true;
}

#endif

/* Whether the store has a stack, or can get one; otherwise an exception is set. Inside of it. */
static inline bool
stack_provide(StoreObject *store)
{
    if (LIKELY(store->has_stack)) {
        return true;
    }
    store->has_stack = mappings_suffice();
    return store->has_stack
           || async_refuse("too many guests of asynchronous calls exist: each store that has made "
                           "one keeps a stack until it is closed, and the system allows this "
                           "process no more memory mappings (vm.max_map_count); close stores that "
                           "are not used any more, or set an allocation_strategy with a pool");
}
