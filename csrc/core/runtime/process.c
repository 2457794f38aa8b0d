/* What the core begins with Python, and what it does when the process forks.
 *
 * A fork copies the locks as they are. So the forking thread takes those that guard lists of ours,
 * and the child, which has no other thread, makes them anew. */

#if !defined(_WIN32)
static void
process_before_fork(void)
{
    mutex_lock(&waiting.lock);
    ticker_before_fork();
}

static void
process_after_fork_in_parent(void)
{
    ticker_after_fork_in_parent();
    mutex_unlock(&waiting.lock);
}

static void
process_after_fork_in_child(void)
{
    ticker_after_fork_in_child();
    waiting_after_fork_in_child();
    feed_after_fork_in_child();
    acquiring = 0;
    this_thread.era = 0;
    this_thread.is_main = true; /* the thread that forked is the child's main one */
}
#endif

/* Python was initialized, perhaps not for the first time. The ticker is the process's. */
static void
process_begin(void)
{
    if (era == 0) {
        ticker_prepare();
        waiting_prepare();
#if !defined(_WIN32)
        pthread_atfork(process_before_fork, process_after_fork_in_parent,
                       process_after_fork_in_child);
#endif
    }
    leaving = 0;
    acquiring = 0;
    era++;
}
