/*
 * One file descriptor in the main loop, whose condition changes while it lives.
 *
 * A KeepWatch is embedded in what it serves and owns the loop's sources, not the descriptor.
 * Setting the condition that it has already costs nothing, so callers set it after each step
 * without asking.
 */
#pragma once

#include <glib-unix.h>
#include <stdint.h>

typedef struct {
    int fd;
    GUnixFDSourceFunc ready;
    gpointer data;
    GIOCondition wanted;    /* as last set */
    GIOCondition condition; /* of `source`: `wanted`, less what a pause leaves out */
    guint source;
    guint resume; /* the timer that ends a pause; 0: none */
} KeepWatch;

/* Watches for `condition`, and for hang-up and errors, which poll(2) reports anyway. */
void keep_watch_set(KeepWatch *watch, GIOCondition condition);

/* Leaves G_IO_IN out for so long, whatever is set meanwhile; 0 changes nothing. */
void keep_watch_pause(KeepWatch *watch, int64_t microseconds);

void keep_watch_stop(KeepWatch *watch);
