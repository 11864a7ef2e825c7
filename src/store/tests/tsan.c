/*
 * Tells ThreadSanitizer what GLib's locks and queues order.
 *
 * GLib is not built with it and locks with futexes of its own, so that it would see none of the
 * order that they give and call every hand-over a race. These stand before GLib's functions, say
 * what they order and go on to them. Linked only into builds with -Db_sanitize=thread; run those
 * with TSAN_OPTIONS=suppressions=src/store/tests/tsan.supp.
 */
#include <dlfcn.h>
#include <glib.h>
#include <sanitizer/tsan_interface.h>

#define GLIB(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

void(g_mutex_lock)(GMutex *mutex)
{
    GLIB(g_mutex_lock)(mutex);
    __tsan_acquire(mutex);
}

void(g_mutex_unlock)(GMutex *mutex)
{
    __tsan_release(mutex);
    GLIB(g_mutex_unlock)(mutex);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    __tsan_release(mutex);
    GLIB(g_cond_wait)(cond, mutex);
    __tsan_acquire(mutex);
}

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
    __tsan_release(queue);
    GLIB(g_async_queue_push)(queue, data);
}

static gpointer taken(GAsyncQueue *queue, gpointer data)
{
    __tsan_acquire(queue);
    return data;
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
    return taken(queue, GLIB(g_async_queue_pop)(queue));
}

gpointer g_async_queue_try_pop(GAsyncQueue *queue)
{
    return taken(queue, GLIB(g_async_queue_try_pop)(queue));
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout_us)
{
    return taken(queue, GLIB(g_async_queue_timeout_pop)(queue, timeout_us));
}
