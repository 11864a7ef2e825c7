#include "sim/faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "sim/chaos.h"
#include "sim/client.h"
#include "sim/device_watch.h"
#include "sim/jobs.h"
#include "sim/queue_watch.h"
#include "sim/rules.h"

#define HOUR_MS INT64_C(3600000)
#define VMS_PER_HOST 6
#define STILL_MS 120000
#define MOST_STIRS 120

const char *const faults_backfills[] = {[CLUSTER_BACKFILL_EASY] = "easy",
                                        [CLUSTER_BACKFILL_CONSERVATIVE] = "conservative",
                                        [CLUSTER_BACKFILL_OFF] = "off",
                                        NULL};

typedef struct {
    const FaultsOptions *options;
    Sim *sim;
    SimClient *client;
    SimJobs *jobs;
    SimQueueWatch *watch;
    SimDeviceWatch *devices;
    SimChaos *chaos;
    bool calm;
    uint64_t rests;
} Run;

static void on_action(void *owner, void *data)
{
    Run *run = owner;
    if (run->calm) {
        return;
    }
    if (sim_chance(run->sim->world, run->options->faults)) {
        sim_chaos_strike(run->chaos);
    } else if (sim_chance(run->sim->world, run->options->jobs)) {
        sim_jobs_act(run->jobs);
    } else {
        sim_client_act(run->client);
    }
}

static void on_burst(void *owner, void *data)
{
    Run *run = owner;
    if (run->calm) {
        return;
    }
    SimWorld *world = run->sim->world;
    int64_t actions = sim_between(world, 1, 7);
    int64_t span_ms = sim_chance(world, 0.5) ? 200 : 10000;
    for (int64_t i = 0; i < actions; i++) {
        sim_after(world, sim_between(world, 0, span_ms), on_action, run, NULL, NULL);
    }
    double per_hour = run->options->bursts_per_host_hour * run->options->hosts;
    int64_t mean_ms = (int64_t)((double)HOUR_MS / per_hour);
    sim_after(world, sim_between(world, 1, 2 * mean_ms), on_burst, run, NULL, NULL);
}

static Resources *host_capacity(int index)
{
    Resources *r = resources_new();
    r->cpu = index % 3 == 0 ? 12000 : 8000;
    r->memory = index % 3 == 0 ? 12288 : 8192;
    r->disk = 200;
    r->disk_bw = 400;
    r->net_bw = 1000;
    return r;
}

static Resources *host_reserve(void)
{
    Resources *r = resources_new();
    r->cpu = 500;
    r->memory = 1024;
    return r;
}

/* Some hosts have devices that are cut into slices, others have whole ones. */
static GPtrArray *host_devices(int index)
{
    GPtrArray *devices = g_ptr_array_new_with_free_func((GDestroyNotify)host_device_free);
    for (int i = 0; i < 2 + index % 2; i++) {
        HostDevice *device = host_device_new();
        device->id = g_strdup_printf("%s%d", index % 2 == 0 ? "cut" : "whole", i);
        device->model = g_strdup(index % 2 == 0 ? "gpu/cut" : "gpu/whole");
        device->slices = index % 2 == 0 ? 4 : 1;
        g_ptr_array_add(devices, device);
    }
    return devices;
}

static bool set_up(Run *run, GError **error)
{
    for (int i = 0; i < run->options->hosts; i++) {
        g_autofree char *name = g_strdup_printf("h%d", i + 1);
        if (sim_add_host(run->sim, name, host_capacity(i), host_reserve(), host_devices(i),
                         error) == NULL) {
            return false;
        }
    }
    return sim_client_prepare(run->client, error) && sim_jobs_prepare(run->jobs, error);
}

/* Jobs go on to begin and to end; the rest is between two of them. */
static bool wait_for_stillness(Run *run)
{
    SimWorld *world = run->sim->world;
    bool sound = true;
    for (int i = 0; sound && i < MOST_STIRS && sim_queue_watch_still_ms(run->watch) < STILL_MS;
         i++) {
        sound = sim_run_until(world, world->now_ms + STILL_MS / 2);
    }
    return sound;
}

/* Faults off; the cluster comes to rest within an hour, or never. */
static void rest(Run *run)
{
    SimWorld *world = run->sim->world;
    run->calm = true;
    sim_log(world, "calm");
    sim_chaos_mend(run->chaos);
    if (sim_run_until(world, world->now_ms + HOUR_MS) && wait_for_stillness(run)) {
        sim_check_rest(run->sim);
        sim_client_check(run->client);
        sim_queue_watch_rest(run->watch);
        run->rests++;
    }
    run->calm = false;
}

static void live(Run *run)
{
    SimWorld *world = run->sim->world;
    int64_t hours = run->options->hours;
    while (hours > 0 && world->broken == NULL) {
        int64_t wild = MIN(hours, run->options->rest_every_hours - 1);
        if (run->options->faults > 0) {
            sim_chaos_begin(run->chaos);
        }
        sim_after(world, 0, on_burst, run, NULL, NULL);
        if (sim_run_until(world, world->now_ms + wild * HOUR_MS)) {
            rest(run);
        }
        hours -= wild + 1;
    }
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t host_steps(const Sim *sim)
{
    uint64_t steps = 0;
    for (guint i = 0; i < sim->agents->len; i++) {
        steps += sim_agent_steps(sim->agents->pdata[i]);
    }
    return steps;
}

static void print_figures(const Run *run, double seconds)
{
    const SimClientFigures *c = sim_client_figures(run->client);
    const SimQueueFigures *q = sim_queue_watch_figures(run->watch);
    const SimWorld *world = run->sim->world;
    int64_t host_hours = run->options->hours * run->options->hosts;
    const char *format =
        run->options->json
            ? "{\"seed\":%" PRIu64 ",\"broken\":%s,\"host-hours\":%" PRId64 ",\"events\":%" PRIu64
              ",\"manager-steps\":%" PRIu64 ",\"host-steps\":%" PRIu64 ",\"requests\":%" PRIu64
              ",\"refused\":%" PRIu64 ",\"no-capacity\":%" PRIu64 ",\"unanswered\":%" PRIu64
              ",\"created\":%" PRIu64 ",\"starts\":%" PRIu64 ",\"faults\":%" PRIu64
              ",\"rests\":%" PRIu64 ",\"queued\":%" PRIu64 ",\"placed\":%" PRIu64
              ",\"started-as-promised\":%" PRIu64
              ",\"processor-seconds\":%.2f,\"host-hours-per-second\":%.0f"
              ",\"digest\":\"%016" PRIx64 "\"}\n"
            : "seed %" PRIu64 ", broken rule: %s\n%" PRId64 " host-hours, %" PRIu64
              " events: %" PRIu64 " steps of the manager's core, %" PRIu64
              " of the hosts'\n%" PRIu64 " requests (%" PRIu64 " refused, %" PRIu64
              " for capacity; %" PRIu64 " unanswered), %" PRIu64 " VMs and apps created, %" PRIu64
              " starts of QEMU, %" PRIu64 " faults, at rest %" PRIu64 " times\n%" PRIu64
              " waited in the queue, %" PRIu64 " of them were placed, %" PRIu64
              " as they were promised\n%.2f s of processor time, %.0f host-hours a second, digest "
              "%016" PRIx64 "\n";
    const char *verdict = world->broken != NULL ? "true" : "false";
    if (!run->options->json) {
        verdict = world->broken != NULL ? world->broken->message : "none";
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(format, run->options->seed, verdict, host_hours, world->fired,
           sim_manager_steps(run->sim->manager), host_steps(run->sim), c->asked, c->refused,
           c->no_capacity, c->unanswered, c->created, run->sim->fleet->launches,
           sim_chaos_strikes(run->chaos), run->rests, q->entered, q->placed, q->kept, seconds,
           (double)host_hours / MAX(seconds, 0.001), world->digest);
#pragma GCC diagnostic pop
}

static void print_broken(const Run *run)
{
    const SimWorld *world = run->sim->world;
    g_autofree char *recent = sim_recent(world);
    fprintf(stderr,
            "berth-sim faults --hours %" PRId64 " --seed %" PRIu64
            " --hosts %d --bursts %g --rest-every %" PRId64
            " --jobs %g --faults %g --backfill %s: at %" PRId64
            " ms of virtual time a rule is broken:\n%s\n"
            "the last events:\n%s",
            run->options->hours, run->options->seed, run->options->hosts,
            run->options->bursts_per_host_hour, run->options->rest_every_hours, run->options->jobs,
            run->options->faults, faults_backfills[run->options->backfill], world->now_ms,
            world->broken->message, recent);
}

bool faults_run(const FaultsOptions *options)
{
    ClusterConfig config = {.events_kept = 40,
                            .operations_kept = 30,
                            .tombstones_kept = 50,
                            .charges_kept = 50,
                            .backfill = options->backfill};
    double from = processor_seconds();
    g_autoptr(Sim) sim = sim_new(options->seed, &config);
    sim->world->trace = options->trace;
    Run run = {.options = options, .sim = sim};
    run.client = sim_client_new(sim, (guint)options->hosts * VMS_PER_HOST);
    run.chaos = sim_chaos_new(sim);
    run.jobs = sim_jobs_new(sim);
    run.watch = sim_queue_watch_new(sim);
    run.devices = sim_device_watch_new(sim);
    g_autoptr(GError) error = NULL;
    if (!set_up(&run, &error)) {
        sim_broken(sim->world, "the cluster cannot be set up: %s", error->message);
    }
    live(&run);
    print_figures(&run, processor_seconds() - from);
    if (sim->world->broken != NULL) {
        print_broken(&run);
    }
    bool sound = sim->world->broken == NULL;
    sim_chaos_free(run.chaos);
    sim_manager_crash(sim->manager); /* those who wait for an answer hear of the end */
    sim_client_free(run.client);
    sim_queue_watch_free(run.watch);
    sim_device_watch_free(run.devices);
    sim_jobs_free(run.jobs);
    return sound;
}
