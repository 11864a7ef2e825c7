#include "manager/spread.h"

#define FEW 64  /* parts that the caller does alone */
#define STEP 16 /* parts that are taken at a time: a thread that is held up holds up no more */

struct Spread {
    GThreadPool *pool;
    guint threads;
    GMutex lock;
    GCond done;
};

/* Of one run. A thread that comes late finds nothing left to do, when its caller may have gone. */
typedef struct {
    gatomicrefcount references;
    Spread *spread;
    guint n;
    SpreadFunc run;
    gpointer data;
    guint taken;    /* parts, atomic */
    guint finished; /* under the lock */
} Job;

static void job_unref(Job *job)
{
    if (g_atomic_ref_count_dec(&job->references)) {
        g_free(job);
    }
}

static void take_parts(Job *job)
{
    guint finished = 0, from;
    while ((from = (guint)g_atomic_int_add((gint *)&job->taken, STEP)) < job->n) {
        guint until = MIN(from + STEP, job->n);
        for (guint i = from; i < until; i++) {
            job->run(i, job->data);
        }
        finished += until - from;
    }
    if (finished == 0) {
        return;
    }
    g_mutex_lock(&job->spread->lock);
    job->finished += finished;
    if (job->finished == job->n) {
        g_cond_signal(&job->spread->done);
    }
    g_mutex_unlock(&job->spread->lock);
}

static void help(gpointer data, gpointer user_data)
{
    take_parts(data);
    job_unref(data);
}

Spread *spread_new(guint threads)
{
    Spread *spread = g_new0(Spread, 1);
    g_mutex_init(&spread->lock);
    g_cond_init(&spread->done);
    spread->threads = threads;
    spread->pool = g_thread_pool_new(help, NULL, (gint)MAX(threads, 1), FALSE, NULL);
    return spread;
}

void spread_free(Spread *spread)
{
    if (spread != NULL) {
        g_thread_pool_free(spread->pool, FALSE, TRUE);
        g_mutex_clear(&spread->lock);
        g_cond_clear(&spread->done);
        g_free(spread);
    }
}

void spread_run(Spread *spread, guint n, SpreadFunc run, gpointer data)
{
    Job *job = g_new0(Job, 1);
    *job = (Job){.spread = spread, .n = n, .run = run, .data = data};
    g_atomic_ref_count_init(&job->references);
    for (guint i = 0; n > FEW && i < spread->threads; i++) {
        g_atomic_ref_count_inc(&job->references);
        g_thread_pool_push(spread->pool, job, NULL);
    }
    take_parts(job);
    g_mutex_lock(&spread->lock);
    while (job->finished < n) {
        g_cond_wait(&spread->done, &spread->lock);
    }
    g_mutex_unlock(&spread->lock);
    job_unref(job);
}
