#include "keep/watch.h"

static void apply(KeepWatch *watch)
{
    GIOCondition condition = watch->wanted;
    if (watch->resume != 0) {
        condition &= (GIOCondition)~G_IO_IN;
    }
    if (watch->source != 0 && watch->condition == condition) {
        return;
    }
    g_clear_handle_id(&watch->source, g_source_remove);
    watch->condition = condition;
    watch->source = g_unix_fd_add(watch->fd, condition, watch->ready, watch->data);
}

void keep_watch_set(KeepWatch *watch, GIOCondition condition)
{
    watch->wanted = condition | G_IO_HUP | G_IO_ERR;
    apply(watch);
}

static gboolean on_resume(gpointer data)
{
    KeepWatch *watch = data;
    watch->resume = 0;
    apply(watch);
    return G_SOURCE_REMOVE;
}

void keep_watch_pause(KeepWatch *watch, int64_t microseconds)
{
    if (microseconds > 0 && watch->resume == 0 && watch->source != 0) {
        watch->resume = g_timeout_add((guint)((microseconds + 999) / 1000), on_resume, watch);
        apply(watch);
    }
}

void keep_watch_stop(KeepWatch *watch)
{
    g_clear_handle_id(&watch->source, g_source_remove);
    g_clear_handle_id(&watch->resume, g_source_remove);
}
