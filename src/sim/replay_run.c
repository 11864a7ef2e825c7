#include "sim/replay_run.h"

#include <string.h>

#include "base/error.h"
#include "base/rng.h"

/* The pool that tasks come from asks for this much more than shall arrive, as published. */
#define POOL 1.3

/* Tasks in it at most. */
#define MAX_POOL 20000000

#define N_SAMPLES 200

/* A task that runs, or did not find a host (BERTH_PLACE_NONE). */
typedef struct {
    const ReplayTask *task;
    uint32_t host;
    uint64_t devices;
} Running;

typedef struct {
    const ReplayTrace *trace;
    const ReplayOptions *options;
    BerthPlace *place;
    BerthRng rng;
    uint32_t *order; /* of hosts, for random choice */
    uint32_t n_hosts;
    int64_t total[REPLAY_N_DIMS], used[REPLAY_N_DIMS];
    ReplaySample now;
    ReplayResult *result;
} Run;

void replay_result_free(ReplayResult *result)
{
    if (result != NULL) {
        g_array_unref(result->samples);
        g_free(result);
    }
}

/* What the trace was checked for. */
static void must(BerthPlaceResult result)
{
    if (result != BERTH_PLACE_OK) {
        g_error("the placement engine refuses: %s", berth_place_strerror(result));
    }
}

static void add_host(Run *run, const ReplayHost *host, uint32_t order)
{
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    uint32_t number = run->n_hosts++;

    for (uint32_t i = 0; i < host->n_devices; i++) {
        devices[i] = (BerthPlaceDevice){host->model, REPLAY_SLICES, REPLAY_SLICES};
    }
    must(berth_place_add(run->place, number, order, host->capacity, NULL));
    must(berth_place_set_devices(run->place, number, devices, host->n_devices));
    for (guint d = 0; d < REPLAY_N_DIMS; d++) {
        run->total[d] += host->capacity[d];
    }
    run->order[number] = number;
}

static void begin(Run *run)
{
    BerthPlaceOptions options = {.struct_size = sizeof options,
                                 .n_dims = REPLAY_N_DIMS,
                                 .expected_hosts = run->trace->hosts->len};
    g_autoptr(GArray) typical = replay_trace_typical(run->trace, run->options->typical_percent);

    must(berth_place_new(&options, &run->place));
    g_autofree uint32_t *orders = g_new(uint32_t, run->trace->hosts->len);
    run->order = g_new(uint32_t, run->trace->hosts->len);
    berth_rng_init(&run->rng, run->options->seed);
    for (guint i = 0; i < run->trace->hosts->len; i++) {
        orders[i] = i;
    }
    if (run->options->arrival_percent > 0) {
        berth_rng_shuffle(&run->rng, orders, run->trace->hosts->len, sizeof *orders);
    }
    for (guint i = 0; i < run->trace->hosts->len; i++) {
        const ReplayHost *host = &g_array_index(run->trace->hosts, ReplayHost, i);
        if (host->n_devices > 0 || !run->options->only_device_hosts) {
            add_host(run, host, orders[i]);
        }
    }
    must(berth_place_set_workload(
        run->place, (const BerthPlaceTypical *)(const void *)typical->data, typical->len));
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void look(Run *run, double at)
{
    double fragments = 0, one;

    run->now.at = at;
    for (guint d = 0; d < REPLAY_N_DIMS; d++) {
        run->now.percent[d] = percent(run->used[d], run->total[d]);
    }
    for (uint32_t host = 0; host < run->n_hosts; host++) {
        if (berth_place_fragments(run->place, host, &one) == BERTH_PLACE_OK) {
            fragments += one;
        }
    }
    run->now.fragments = run->total[REPLAY_GPU] > 0
                             ? 100 * fragments * REPLAY_SLICES / (double)run->total[REPLAY_GPU]
                             : 0;
}

static void sample(Run *run, double at)
{
    look(run, at);
    g_array_append_val(run->result->samples, run->now);
}

static BerthPlaceResult choose_random(Run *run, BerthPlaceRequest *request,
                                      BerthPlaceDecision *decision)
{
    for (uint32_t i = 0; i < run->n_hosts; i++) {
        BerthPlaceVerdict verdict;
        uint32_t k = i + (uint32_t)berth_rng_below(&run->rng, run->n_hosts - i);
        uint32_t host = run->order[k];

        run->order[k] = run->order[i];
        run->order[i] = host;
        if (berth_place_examine(run->place, request, host, &verdict) == BERTH_PLACE_OK &&
            verdict.reason == BERTH_PLACE_CANDIDATE) {
            decision->host = host;
            return request->devices == NULL
                       ? BERTH_PLACE_OK
                       : berth_place_choose_devices(run->place, request, host, &decision->devices);
        }
    }
    return BERTH_PLACE_NO_HOST;
}

static void arrive(Run *run, Running *running)
{
    const ReplayTask *task = running->task;
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = run->options->policy,
                                 .vector = task->vector,
                                 .devices = task->devices.n > 0 ? &task->devices : NULL};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};

    run->now.arrived++;
    running->host = BERTH_PLACE_NONE;
    BerthPlaceResult result = run->options->random
                                  ? choose_random(run, &request, &decision)
                                  : berth_place_find(run->place, &request, &decision);
    if (result != BERTH_PLACE_OK) {
        must(result == BERTH_PLACE_NO_HOST ? BERTH_PLACE_OK : result);
        run->now.failed++;
        return;
    }
    running->host = decision.host;
    running->devices = decision.devices;
    must(berth_place_take(run->place, decision.host, task->vector));
    if (decision.devices != 0) {
        must(berth_place_take_devices(run->place, decision.host, task->devices.slices,
                                      decision.devices));
    }
    for (guint d = 0; d < REPLAY_N_DIMS; d++) {
        run->used[d] += task->vector[d];
    }
    run->now.running++;
}

static void depart(Run *run, const Running *running)
{
    const ReplayTask *task = running->task;

    if (running->host == BERTH_PLACE_NONE) {
        return;
    }
    must(berth_place_give(run->place, running->host, task->vector));
    if (running->devices != 0) {
        must(berth_place_give_devices(run->place, running->host, task->devices.slices,
                                      running->devices));
    }
    for (guint d = 0; d < REPLAY_N_DIMS; d++) {
        run->used[d] -= task->vector[d];
    }
    run->now.running--;
}

static void report(const Run *run, double done)
{
    if (run->options->progress != NULL) {
        run->options->progress(done, run->options->user_data);
    }
}

/* Tasks of the trace, taken away or doubled at random until they ask for `wanted`, shuffled. */
static GPtrArray *make_pool(Run *run, double wanted)
{
    GPtrArray *pool = g_ptr_array_new();
    double asked = 0;

    for (guint i = 0; i < run->trace->tasks->len; i++) {
        ReplayTask *task = &g_array_index(run->trace->tasks, ReplayTask, i);
        g_ptr_array_add(pool, task);
        asked += (double)task->vector[REPLAY_GPU];
    }
    while (asked > wanted) {
        guint i = (guint)berth_rng_below(&run->rng, pool->len);
        const ReplayTask *task = g_ptr_array_index(pool, i);
        asked -= (double)task->vector[REPLAY_GPU];
        g_ptr_array_remove_index_fast(pool, i);
    }
    while (asked < wanted) {
        ReplayTask *task =
            &g_array_index(run->trace->tasks, ReplayTask,
                           (guint)berth_rng_below(&run->rng, run->trace->tasks->len));
        asked += (double)task->vector[REPLAY_GPU];
        g_ptr_array_add(pool, task);
    }
    berth_rng_shuffle(&run->rng, pool->pdata, pool->len, sizeof *pool->pdata);
    return pool;
}

/* Tasks arrive and stay until they have asked for so much of the devices. */
static void play_arrivals(Run *run)
{
    double whole = (double)run->total[REPLAY_GPU], asked = 0, sum = 0;
    double wanted = whole * run->options->arrival_percent / 100;
    g_autoptr(GPtrArray) pool = make_pool(run, wanted * POOL);
    guint steps = 0;

    sample(run, 0);
    for (guint i = 0; i < pool->len && asked < wanted; i++) {
        Running running = {.task = g_ptr_array_index(pool, i)};
        double more = (double)running.task->vector[REPLAY_GPU];

        arrive(run, &running);
        asked += more;
        sum += more * percent(run->used[REPLAY_GPU], run->total[REPLAY_GPU]);
        if (asked * N_SAMPLES >= wanted * (steps + 1)) {
            steps = (guint)(asked * N_SAMPLES / wanted);
            sample(run, 100 * asked / whole);
            report(run, MIN(1, asked / wanted));
        }
    }
    run->result->mean_gpu_percent = asked > 0 ? sum / asked : 0;
}

static int compare_created(gconstpointer a, gconstpointer b)
{
    const Running *one = a, *other = b;

    if (one->task->created != other->task->created) {
        return one->task->created < other->task->created ? -1 : 1;
    }
    return one->task < other->task ? -1 : one->task > other->task;
}

static int compare_deleted(gconstpointer a, gconstpointer b)
{
    const Running *one = *(Running *const *)a, *other = *(Running *const *)b;

    if (one->task->deleted != other->task->deleted) {
        return one->task->deleted < other->task->deleted ? -1 : 1;
    }
    if (one->task->created != other->task->created) { /* no task goes before it came */
        return one->task->created < other->task->created ? -1 : 1;
    }
    return one->task < other->task ? -1 : one->task > other->task;
}

/* Time, which passes between events; samples are taken on the way. */
typedef struct {
    int64_t first, span, now;
    guint n_sampled;
    double sum;
} Clock;

static void pass(Run *run, Clock *clock, int64_t until)
{
    while (clock->n_sampled < N_SAMPLES) {
        double at = (double)clock->span * clock->n_sampled / N_SAMPLES;
        if ((double)(until - clock->first) <= at) {
            break;
        }
        sample(run, at);
        report(run, (double)clock->n_sampled++ / N_SAMPLES);
    }
    clock->sum +=
        (double)(until - clock->now) * percent(run->used[REPLAY_GPU], run->total[REPLAY_GPU]);
    clock->now = until;
}

/* Tasks come and go as the trace has them; those that go first make room for those that come. */
static void play_trace(Run *run)
{
    guint n = run->trace->tasks->len;
    g_autofree Running *tasks = g_new0(Running, n);
    g_autofree Running **ends = g_new0(Running *, n);
    Clock clock = {0};

    for (guint i = 0; i < n; i++) {
        tasks[i].task = &g_array_index(run->trace->tasks, ReplayTask, i);
        tasks[i].host = BERTH_PLACE_NONE;
    }
    qsort(tasks, n, sizeof *tasks, compare_created);
    int64_t last = tasks[n - 1].task->created;
    for (guint i = 0; i < n; i++) {
        ends[i] = &tasks[i];
        last = tasks[i].task->deleted != G_MAXINT64 ? MAX(last, tasks[i].task->deleted) : last;
    }
    qsort(ends, n, sizeof *ends, compare_deleted);
    clock.first = clock.now = tasks[0].task->created;
    clock.span = last - clock.first;
    for (guint begun = 0, ended = 0; begun < n || ended < n;) {
        int64_t begins = begun < n ? tasks[begun].task->created : G_MAXINT64;
        int64_t ends_at = ended < n ? ends[ended]->task->deleted : G_MAXINT64;
        if (begins == G_MAXINT64 && ends_at == G_MAXINT64) {
            break;
        }
        pass(run, &clock, MIN(begins, ends_at));
        if (ends_at <= begins && ends[ended] < &tasks[begun]) {
            depart(run, ends[ended++]);
        } else {
            arrive(run, &tasks[begun++]);
        }
        double used = percent(run->used[REPLAY_GPU], run->total[REPLAY_GPU]);
        run->result->peak_gpu_percent = MAX(run->result->peak_gpu_percent, used);
    }
    pass(run, &clock, last);
    sample(run, (double)clock.span);
    run->result->mean_gpu_percent = clock.span > 0 ? clock.sum / (double)clock.span : 0;
}

static bool check_arrivals(const ReplayTrace *trace, double arrival_percent, GError **error)
{
    double asked = 0;

    for (guint i = 0; i < trace->tasks->len; i++) {
        asked += (double)g_array_index(trace->tasks, ReplayTask, i).vector[REPLAY_GPU];
    }
    if (asked == 0 || trace->total[REPLAY_GPU] == 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--arrival", NULL,
                               "leave --arrival out to play the trace as it is", "%s",
                               asked > 0 ? "no host has a device" : "no task asks for a device");
    }
    double wanted = (double)trace->total[REPLAY_GPU] * arrival_percent / 100 * POOL;
    return wanted / asked * trace->tasks->len <= MAX_POOL ||
           berth_error_set(error, BERTH_ERROR_INVALID, "--arrival", NULL,
                           "ask for less with --arrival, or for more with each task",
                           "it would take more than %d tasks to ask for so many devices", MAX_POOL);
}

ReplayResult *replay_run(const ReplayTrace *trace, const ReplayOptions *options, GError **error)
{
    if (options->arrival_percent > 0 && !check_arrivals(trace, options->arrival_percent, error)) {
        return NULL;
    }
    g_autoptr(ReplayResult) result = g_new0(ReplayResult, 1);
    Run run = {.trace = trace, .options = options, .result = result};
    gint64 begun = g_get_monotonic_time();

    result->samples = g_array_new(FALSE, FALSE, sizeof(ReplaySample));
    begin(&run);
    if (options->arrival_percent > 0) {
        play_arrivals(&run);
        result->peak_gpu_percent = percent(run.used[REPLAY_GPU], run.total[REPLAY_GPU]);
    } else {
        play_trace(&run);
    }
    const char *broken = berth_place_check(run.place);
    result->last = g_array_index(result->samples, ReplaySample, result->samples->len - 1);
    result->seconds = (double)(g_get_monotonic_time() - begun) * 1e-6;
    berth_place_free(run.place);
    g_free(run.order);
    if (broken != NULL) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, "please report it with the files",
                        "the placement engine is wrong: %s", broken);
        return NULL;
    }
    return g_steal_pointer(&result);
}
