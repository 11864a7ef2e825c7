#include "sim/jobs.h"

#include <string.h>

#include "base/codec.h"

/* So many names are remembered. */
#define MOST_NAMES 60

static const char *const tenants[] = {"blue", "red"};

/* What is left of a job is deleted in steps, each until it is certain. */
typedef enum { TIDY_QUEUE, TIDY_PLACED, TIDY_NOTHING } TidyStep;

typedef struct {
    char *name;
    const char *tenant;
    bool app;
    TidyStep step;
    bool asked; /* for its step, and not answered yet */
} Job;

struct SimJobs {
    Sim *sim;
    GPtrArray *made; /* of Job */
    GPtrArray *left; /* of Job: old ones, of which something may be left */
    GPtrArray *reservations;
    uint64_t named;
};

static void job_free(void *data)
{
    Job *job = data;
    g_free(job->name);
    g_free(job);
}

SimJobs *sim_jobs_new(Sim *sim)
{
    SimJobs *jobs = g_new0(SimJobs, 1);
    jobs->sim = sim;
    jobs->made = g_ptr_array_new_with_free_func(job_free);
    jobs->left = g_ptr_array_new_with_free_func(job_free);
    jobs->reservations = g_ptr_array_new_with_free_func(job_free);
    return jobs;
}

void sim_jobs_free(SimJobs *jobs)
{
    if (jobs != NULL) {
        g_ptr_array_unref(jobs->made);
        g_ptr_array_unref(jobs->left);
        g_ptr_array_unref(jobs->reservations);
        g_free(jobs);
    }
}

bool sim_jobs_has_tenant(const char *tenant)
{
    return strcmp(tenant, tenants[0]) == 0 || strcmp(tenant, tenants[1]) == 0;
}

bool sim_jobs_prepare(SimJobs *jobs, GError **error)
{
    static const struct {
        const char *path, *body;
    } rows[] = {
        {"/v1/tenants", "{'name':'blue','charged':false}"},
        {"/v1/tenants", "{'name':'red','charged':false,'weight':2}"},
        {"/v1/sizes", "{'name':'narrow','resources':{'cpu':3000,'memory':1024}}"},
        {"/v1/sizes", "{'name':'wide','resources':{'cpu':6000,'memory':1024,'disk':2}}"},
        {"/v1/sizes",
         "{'name':'most','resources':{'cpu':500,'memory':512,'accelerators':{'gpu/cut':3}}}"},
        {"/v1/sizes",
         "{'name':'half','resources':{'cpu':500,'memory':512,'accelerators':{'gpu/cut':2}}}"},
        {"/v1/sizes",
         "{'name':'pair','resources':{'cpu':1000,'memory':512,'accelerators':{'gpu/cut':8}}}"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        json_t *made = sim_ask_text(jobs->sim, "POST", rows[i].path, rows[i].body, error);
        if (made == NULL) {
            return false;
        }
        json_decref(made);
    }
    return true;
}

static uint64_t pick(SimJobs *jobs, uint64_t bound)
{
    return berth_rng_below(&jobs->sim->world->rng, bound);
}

static void take_reply(void *owner, const SimReply *reply)
{
}

static void ask(SimJobs *jobs, const char *method, const char *path, const char *tenant,
                json_t *body)
{
    g_autofree char *whole = g_strdup_printf("%s?tenant=%s", path, tenant);
    sim_log(jobs->sim->world, "job %s %s", method, whole);
    sim_manager_ask(jobs->sim->manager, method, whole, body, -1, take_reply, NULL);
    json_decref(body);
}

static Job *remember(GPtrArray *names, const char *name, const char *tenant, bool app)
{
    Job *job = g_new0(Job, 1);
    job->name = g_strdup(name);
    job->tenant = tenant;
    job->app = app;
    g_ptr_array_add(names, job);
    return names->len > MOST_NAMES ? g_ptr_array_steal_index(names, 0) : NULL;
}

static void take_tidied(void *owner, const SimReply *reply)
{
    Job *job = owner;
    job->asked = false;
    if (reply->status != 0 && reply->status < 500) {
        job->step++;
    }
}

/* What stops at its end stays until somebody deletes it. */
static void tidy(SimJobs *jobs, Job *job)
{
    g_autofree char *path = g_strdup_printf("/v1/%s/%s?tenant=%s",
                                            job->step == TIDY_QUEUE ? "queue"
                                            : job->app              ? "apps"
                                                                    : "vms",
                                            job->name, job->tenant);
    job->asked = true;
    sim_manager_ask(jobs->sim->manager, "DELETE", path, NULL, -1, take_tidied, job);
}

static void tidy_up(SimJobs *jobs)
{
    for (guint i = 0; i < jobs->left->len;) {
        Job *job = jobs->left->pdata[i];
        if (job->step == TIDY_NOTHING) {
            g_ptr_array_remove_index(jobs->left, i);
            continue;
        }
        if (!job->asked) {
            tidy(jobs, job);
        }
        i++;
    }
}

/* How it waits: without end, for so long, or to be done by then. */
static void give_patience(SimJobs *jobs, json_t *body, int64_t duration_s)
{
    uint64_t way = pick(jobs, 6);
    if (way == 0) {
        g_autofree char *deadline = g_strdup_printf("+%" G_GINT64_FORMAT "s",
                                                    duration_s + (int64_t)pick(jobs, 2 * 3600) + 1);
        json_object_set_new(body, "deadline", json_string(deadline));
    } else if (way == 1) {
        json_object_set_new(body, "queue-seconds", json_integer((json_int_t)pick(jobs, 7200) + 1));
    } else {
        json_object_set_new(body, "queue", json_true());
    }
}

static void give_end(SimJobs *jobs, json_t *body, const char *tenant)
{
    static const int64_t durations_s[] = {300, 900, 900, 1800, 3600, 5400};
    int64_t duration_s = durations_s[pick(jobs, G_N_ELEMENTS(durations_s))];
    guint n = jobs->reservations->len;
    const Job *reservation = n > 0 ? jobs->reservations->pdata[pick(jobs, n)] : NULL;
    if (reservation != NULL && strcmp(reservation->tenant, tenant) == 0 && pick(jobs, 6) == 0) {
        json_object_set_new(body, "reservation", json_string(reservation->name));
        json_object_set_new(body, "queue", json_true());
        return;
    }
    json_object_set_new(body, "duration-seconds", json_integer(duration_s));
    json_object_set_new(body, "grace-seconds", json_integer(pick(jobs, 3) == 0 ? 120 : 0));
    json_object_set_new(body, "at-end", json_string(pick(jobs, 8) == 0 ? "stop" : "delete"));
    give_patience(jobs, body, duration_s);
}

static void create(SimJobs *jobs)
{
    const char *tenant = tenants[pick(jobs, G_N_ELEMENTS(tenants))];
    bool app = pick(jobs, 4) == 0;
    g_autofree char *name = g_strdup_printf("job%" G_GUINT64_FORMAT, ++jobs->named);
    static const char *const sizes[] = {"wide",   "narrow", "wide", "narrow", "wide",
                                        "narrow", "most",   "most", "half",   "pair"};
    json_t *body = json_pack("{s:s, s:s, s:s}", "name", name, "size",
                             sizes[pick(jobs, G_N_ELEMENTS(sizes))], "image", "demo");
    if (pick(jobs, 8) == 0) {
        json_object_set_new(body, "priority", json_integer((json_int_t)pick(jobs, 5) * 250));
    }
    if (app) {
        uint64_t count = pick(jobs, 3) + 1;
        json_object_set_new(body, "count", json_integer((json_int_t)count));
        if (pick(jobs, 4) == 0) {
            json_object_set_new(body, "partial", json_integer((json_int_t)pick(jobs, count) + 1));
        }
    }
    give_end(jobs, body, tenant);
    Job *old = remember(jobs->made, name, tenant, app);
    if (old != NULL) {
        g_ptr_array_add(jobs->left, old);
    }
    ask(jobs, "POST", app ? "/v1/apps" : "/v1/vms", tenant, body);
}

static void reserve(SimJobs *jobs)
{
    const char *tenant = tenants[pick(jobs, G_N_ELEMENTS(tenants))];
    g_autofree char *name = g_strdup_printf("res%" G_GUINT64_FORMAT, ++jobs->named);
    static const char *const sizes[] = {"narrow", "narrow", "most", "half", "pair"};
    json_t *body = json_pack("{s:s, s:s, s:i, s:i, s:s}", "name", name, "size",
                             sizes[pick(jobs, G_N_ELEMENTS(sizes))], "count",
                             (int)pick(jobs, 2) + 1, "duration-seconds", 3600, "at-end", "delete");
    if (pick(jobs, 2) == 0) {
        g_autofree char *start = g_strdup_printf("+%" G_GUINT64_FORMAT "m", pick(jobs, 600));
        json_object_set_new(body, "start", json_string(start));
    }
    Job *old = remember(jobs->reservations, name, tenant, false);
    if (old != NULL) {
        job_free(old); /* a reservation ends by itself */
    }
    ask(jobs, "POST", "/v1/reservations", tenant, body);
}

/* Out of the queue, or before its time. */
static void give_up(SimJobs *jobs)
{
    if (jobs->made->len == 0) {
        return;
    }
    const Job *job = jobs->made->pdata[pick(jobs, jobs->made->len)];
    g_autofree char *path = g_strconcat(pick(jobs, 2) == 0 ? "/v1/queue/"
                                        : job->app         ? "/v1/apps/"
                                                           : "/v1/vms/",
                                        job->name, NULL);
    ask(jobs, "DELETE", path, job->tenant, NULL);
}

void sim_jobs_act(SimJobs *jobs)
{
    tidy_up(jobs);
    uint64_t what = pick(jobs, 24);
    if (what <= 1) {
        reserve(jobs);
    } else if (what <= 5) {
        give_up(jobs);
    } else {
        create(jobs);
    }
}
