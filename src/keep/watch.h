/*
 * One file descriptor in the main loop, whose condition changes while it lives.
 *
 * A KeepWatch is embedded in what it serves and owns the loop's source, not the descriptor. Setting
 * the condition that it has already costs nothing, so callers set it after each step without
 * asking.
 */
#pragma once

#include <glib-unix.h>

typedef struct {
    int fd;
    GUnixFDSourceFunc ready;
    gpointer data;
    GIOCondition condition;
    guint source;
} KeepWatch;

/* Watches for `condition`, and for hang-up and errors, which poll(2) reports anyway. */
static inline void keep_watch_set(KeepWatch *watch, GIOCondition condition)
{
    condition |= G_IO_HUP | G_IO_ERR;
    if (watch->source != 0 && watch->condition == condition) {
        return;
    }
    g_clear_handle_id(&watch->source, g_source_remove);
    watch->condition = condition;
    watch->source = g_unix_fd_add(watch->fd, condition, watch->ready, watch->data);
}

static inline void keep_watch_stop(KeepWatch *watch)
{
    g_clear_handle_id(&watch->source, g_source_remove);
}
