/*
 * Blocking work off the core's thread.
 *
 * A Work is a queue with threads behind it. What is done there gets its own data and nothing of the
 * agent's model; the end is told in the main context, never from within work_run. A Work of one
 * thread does things in the order in which they were asked for.
 *
 * Threading: work_run from the main thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct Work Work;

/* In a thread of the queue's: false with an error. */
typedef bool (*WorkFunc)(gpointer data, GError **error);
/* In the main context; `error` is borrowed, NULL if it worked. */
typedef void (*WorkDone)(const GError *error, gpointer data);

Work *work_new(unsigned threads);

/* Waits for what is under way, tells nobody any more. */
void work_free(Work *work);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Work, work_free)

/* `done` may be NULL; `free_data` (may be NULL) runs after it, in the main context. */
void work_run(Work *work, WorkFunc func, WorkDone done, gpointer data, GDestroyNotify free_data);
