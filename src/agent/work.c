#include "agent/work.h"

struct Work {
    GThreadPool *pool;
    gint closing;
};

typedef struct {
    Work *work;
    WorkFunc func;
    WorkDone done;
    gpointer data;
    GDestroyNotify free_data;
    GError *error;
} Job;

static void job_free(gpointer data)
{
    Job *job = data;
    if (job->free_data != NULL) {
        job->free_data(job->data);
    }
    g_clear_error(&job->error);
    g_free(job);
}

static gboolean tell(gpointer data)
{
    Job *job = data;
    if (job->done != NULL) {
        job->done(job->error, job->data);
    }
    return G_SOURCE_REMOVE;
}

static void run(gpointer data, gpointer user_data)
{
    Job *job = data;
    job->func(job->data, &job->error);
    if (g_atomic_int_get(&job->work->closing)) {
        job_free(job);
        return;
    }
    g_idle_add_full(G_PRIORITY_DEFAULT, tell, job, job_free);
}

Work *work_new(unsigned threads)
{
    Work *work = g_new0(Work, 1);
    work->pool = g_thread_pool_new(run, NULL, (gint)threads, threads == 1, NULL);
    return work;
}

void work_free(Work *work)
{
    if (work != NULL) {
        g_atomic_int_set(&work->closing, 1);
        g_thread_pool_free(work->pool, FALSE, TRUE);
        g_free(work);
    }
}

void work_run(Work *work, WorkFunc func, WorkDone done, gpointer data, GDestroyNotify free_data)
{
    Job *job = g_new0(Job, 1);
    *job = (Job){.work = work, .func = func, .done = done, .data = data, .free_data = free_data};
    g_thread_pool_push(work->pool, job, NULL);
}
