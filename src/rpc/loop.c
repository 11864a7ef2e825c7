#include "rpc/loop_private.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"

/* What is served before the rest of the main loop has its turn. A step of a TLS handshake takes
 * half a millisecond: a storm of them must not delay the others. */
#define BATCH 64
#define BATCH_US (10 * 1000)

struct RpcLoop {
    GSource source;
    gpointer tag;
    int epoll_fd;
    GTree *timers;         /* of RpcTimer, by due time */
    const RpcTimer *first; /* of timers; NULL: look it up */
    bool dispatching;
    GQueue tasks; /* of RpcTask */
    GQueue members;
    struct epoll_event batch[BATCH];
    int n_batch;
    char *raw, *plain;
};

int64_t rpc_now_us(void)
{
    return g_get_monotonic_time();
}

static const RpcTimer *first_timer(RpcLoop *loop)
{
    if (loop->first == NULL) {
        GTreeNode *node = g_tree_node_first(loop->timers);
        loop->first = node != NULL ? g_tree_node_key(node) : NULL;
    }
    return loop->first;
}

static gboolean prepare(GSource *source, int *timeout_ms)
{
    RpcLoop *loop = (RpcLoop *)source;
    *timeout_ms = -1;
    if (loop->dispatching) {
        return FALSE;
    }
    if (loop->tasks.length > 0) {
        *timeout_ms = 0;
        return TRUE;
    }
    const RpcTimer *timer = first_timer(loop);
    if (timer != NULL) {
        int64_t left_us = MAX(timer->due_us - rpc_now_us(), 0);
        *timeout_ms = (int)MIN((left_us + 999) / 1000, 3600 * 1000);
        return left_us == 0;
    }
    return FALSE;
}

static gboolean check(GSource *source)
{
    RpcLoop *loop = (RpcLoop *)source;
    if (loop->dispatching) {
        return FALSE;
    }
    const RpcTimer *timer = first_timer(loop);
    return loop->tasks.length > 0 || g_source_query_unix_fd(source, loop->tag) != 0 ||
           (timer != NULL && timer->due_us <= rpc_now_us());
}

static void serve_watches(RpcLoop *loop)
{
    int64_t until_us = rpc_now_us() + BATCH_US;
    loop->n_batch = epoll_wait(loop->epoll_fd, loop->batch, BATCH, 0);
    /* Who is left over is reported again, after those who were not in this batch. */
    for (int i = 0; i < loop->n_batch && rpc_now_us() < until_us; i++) {
        RpcWatch *watch = loop->batch[i].data.ptr;
        if (watch != NULL) {
            watch->ready(watch->owner, loop->batch[i].events);
        }
    }
    loop->n_batch = 0;
}

static void serve_timers(RpcLoop *loop)
{
    int64_t now_us = rpc_now_us();
    const RpcTimer *first;
    while ((first = first_timer(loop)) != NULL && first->due_us <= now_us) {
        RpcTimer *timer = (RpcTimer *)first;
        rpc_timer_disarm(loop, timer);
        timer->fire(timer->owner);
    }
}

static void serve_tasks(RpcLoop *loop)
{
    /* Only what is queued by now: a task that queues itself again has its turn in the next round.
     */
    for (guint left = loop->tasks.length; left > 0 && loop->tasks.length > 0; left--) {
        GList *link = g_queue_pop_head_link(&loop->tasks);
        RpcTask *task = link->data;
        task->queued = false;
        task->run(task->owner);
    }
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    RpcLoop *loop = (RpcLoop *)source;
    loop->dispatching = true;
    serve_watches(loop);
    serve_timers(loop);
    serve_tasks(loop);
    loop->dispatching = false;
    return G_SOURCE_CONTINUE;
}

static void finalize(GSource *source)
{
    RpcLoop *loop = (RpcLoop *)source;
    close(loop->epoll_fd);
    g_tree_destroy(loop->timers);
    g_free(loop->raw);
    g_free(loop->plain);
}

static GSourceFuncs functions = {prepare, check, dispatch, finalize, NULL, NULL};

static int compare_timers(gconstpointer a, gconstpointer b, gpointer data)
{
    const RpcTimer *x = a, *y = b;
    if (x->due_us != y->due_us) {
        return x->due_us < y->due_us ? -1 : 1;
    }
    return (x > y) - (x < y);
}

RpcLoop *rpc_loop_new(GMainContext *context)
{
    RpcLoop *loop = (RpcLoop *)g_source_new(&functions, sizeof *loop);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        g_error("cannot make an epoll set: %s", g_strerror(errno));
    }
    loop->timers = g_tree_new_full(compare_timers, NULL, NULL, NULL);
    g_queue_init(&loop->tasks);
    g_queue_init(&loop->members);
    loop->n_batch = 0;
    loop->raw = g_malloc(RPC_RAW_BYTES);
    loop->plain = g_malloc(RPC_PLAIN_BYTES);
    g_source_set_static_name(&loop->source, "rpc");
    /* It does not; but GLib would keep others from trying at the price of two writes to an eventfd
     * in every turn. */
    g_source_set_can_recurse(&loop->source, TRUE);
    loop->tag = g_source_add_unix_fd(&loop->source, loop->epoll_fd, G_IO_IN);
    g_source_attach(&loop->source, context);
    return loop;
}

void rpc_loop_free(RpcLoop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (loop->members.head != NULL) {
        RpcMember *member = loop->members.head->data;
        member->end(member->owner);
    }
    g_source_destroy(&loop->source);
    g_source_unref(&loop->source);
}

GMainContext *rpc_loop_context(RpcLoop *loop)
{
    return g_source_get_context(&loop->source);
}

char *rpc_loop_raw(RpcLoop *loop)
{
    return loop->raw;
}

char *rpc_loop_plain(RpcLoop *loop)
{
    return loop->plain;
}

bool rpc_watch_add(RpcLoop *loop, RpcWatch *watch, int fd, uint32_t events, GError **error)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                               "cannot watch a socket: %s", g_strerror(errno));
    }
    watch->fd = fd;
    watch->events = events;
    watch->added = true;
    return true;
}

void rpc_watch_change(RpcLoop *loop, RpcWatch *watch, uint32_t events)
{
    if (!watch->added || watch->events == events) {
        return;
    }
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0) {
        watch->events = events;
    }
}

void rpc_watch_remove(RpcLoop *loop, RpcWatch *watch)
{
    if (!watch->added) {
        return;
    }
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->added = false;
    for (int i = 0; i < loop->n_batch; i++) {
        if (loop->batch[i].data.ptr == watch) {
            loop->batch[i].data.ptr = NULL;
        }
    }
}

void rpc_timer_arm(RpcLoop *loop, RpcTimer *timer, int64_t due_us)
{
    rpc_timer_disarm(loop, timer);
    timer->due_us = due_us;
    timer->armed = true;
    g_tree_insert(loop->timers, timer, timer);
    if (loop->first != NULL && compare_timers(timer, loop->first, NULL) < 0) {
        loop->first = timer;
    }
}

void rpc_timer_disarm(RpcLoop *loop, RpcTimer *timer)
{
    if (timer->armed) {
        g_tree_remove(loop->timers, timer);
        if (loop->first == timer) {
            loop->first = NULL;
        }
        timer->armed = false;
    }
}

void rpc_task_queue(RpcLoop *loop, RpcTask *task)
{
    if (!task->queued) {
        task->link = (GList){.data = task};
        g_queue_push_tail_link(&loop->tasks, &task->link);
        task->queued = true;
    }
}

void rpc_task_cancel(RpcLoop *loop, RpcTask *task)
{
    if (task->queued) {
        g_queue_unlink(&loop->tasks, &task->link);
        task->queued = false;
    }
}

void rpc_member_add(RpcLoop *loop, RpcMember *member)
{
    member->link = (GList){.data = member};
    g_queue_push_tail_link(&loop->members, &member->link);
}

void rpc_member_remove(RpcLoop *loop, RpcMember *member)
{
    g_queue_unlink(&loop->members, &member->link);
}
