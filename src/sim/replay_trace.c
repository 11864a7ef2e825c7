#include "sim/replay_trace.h"

#include <string.h>

#include "base/error.h"
#include "sim/csv.h"

void replay_trace_free(ReplayTrace *trace)
{
    if (trace != NULL) {
        g_ptr_array_unref(trace->models);
        g_array_unref(trace->hosts);
        g_array_unref(trace->tasks);
        g_free(trace);
    }
}

/* The number of a model by name. */
static bool find_model(ReplayTrace *trace, const char *name, uint32_t *ret_model)
{
    for (guint i = 0; i < trace->models->len; i++) {
        if (strcmp(g_ptr_array_index(trace->models, i), name) == 0) {
            *ret_model = i;
            return true;
        }
    }
    if (trace->models->len == BERTH_PLACE_MAX_MODEL) {
        return false;
    }
    *ret_model = trace->models->len;
    g_ptr_array_add(trace->models, g_strdup(name));
    return true;
}

static bool read_host(ReplayTrace *trace, const Csv *csv, guint row, const guint *columns,
                      GError **error)
{
    ReplayHost host = {0};
    int64_t n;

    if (!csv_number(csv, row, columns[0], 0, BERTH_PLACE_MAX_AMOUNT, &host.capacity[REPLAY_CPU],
                    error) ||
        !csv_number(csv, row, columns[1], 0, BERTH_PLACE_MAX_AMOUNT, &host.capacity[REPLAY_MEMORY],
                    error) ||
        !csv_number(csv, row, columns[2], 0, BERTH_PLACE_MAX_DEVICES, &n, error)) {
        return false;
    }
    const char *model = columns[3] != CSV_NONE ? csv_field(csv, row, columns[3]) : "";
    if (strchr(model, '|') != NULL) {
        return csv_refuse(csv, row, columns[3], "name one model, or write a line for each",
                          "the devices of a host are of one model", error);
    }
    if (n > 0 && !find_model(trace, model, &host.model)) {
        return csv_refuse(csv, row, columns[3], "name at most 64 models in both files",
                          "there are too many models", error);
    }
    host.n_devices = (uint32_t)n;
    host.capacity[REPLAY_GPU] = n * REPLAY_SLICES;
    for (guint d = 0; d < REPLAY_N_DIMS; d++) {
        trace->total[d] += host.capacity[d];
    }
    g_array_append_val(trace->hosts, host);
    return true;
}

static bool read_hosts(ReplayTrace *trace, const Csv *csv, GError **error)
{
    guint columns[4];

    if (!csv_require(csv, "cpu_milli", &columns[0], error) ||
        !csv_require(csv, "memory_mib", &columns[1], error) ||
        !csv_require(csv, "gpu", &columns[2], error)) {
        return false;
    }
    columns[3] = csv_column(csv, "model");
    static const char *const remedy = "give a line for each host, 1 to 1048576 of them";
    if (csv_n_rows(csv) == 0) {
        return csv_refuse_rows(csv, remedy, "the table has no hosts", error);
    }
    if (csv_n_rows(csv) > BERTH_PLACE_MAX_HOSTS) {
        return csv_refuse(csv, BERTH_PLACE_MAX_HOSTS, 0, remedy, "there are too many hosts", error);
    }
    for (guint row = 0; row < csv_n_rows(csv); row++) {
        if (!read_host(trace, csv, row, columns, error)) {
            return false;
        }
    }
    return true;
}

/* Columns of the tasks. */
enum { CPU, MEMORY, NUM_GPU, GPU_MILLI, CREATED, DELETED, SPEC, N_COLUMNS };

/* The set of models that will do; the text is `A|B`. */
static bool read_spec(ReplayTrace *trace, const Csv *csv, guint row, guint column,
                      uint64_t *ret_models, GError **error)
{
    g_auto(GStrv) names =
        g_strsplit(column != CSV_NONE ? csv_field(csv, row, column) : "", "|", -1);
    uint64_t models = 0;

    for (char **name = names; *name != NULL; name++) {
        uint32_t model;
        if (g_strstrip(*name)[0] == '\0') {
            continue;
        }
        if (!find_model(trace, *name, &model)) {
            return csv_refuse(csv, row, column, "name at most 64 models in both files",
                              "there are too many models", error);
        }
        models |= UINT64_C(1) << model;
    }
    *ret_models = models != 0 ? models : BERTH_PLACE_ANY_MODEL;
    return true;
}

static bool read_devices(ReplayTrace *trace, const Csv *csv, guint row, const guint *columns,
                         ReplayTask *task, GError **error)
{
    int64_t n, milli;

    if (!csv_number(csv, row, columns[NUM_GPU], 0, BERTH_PLACE_MAX_DEVICES, &n, error) ||
        !csv_number(csv, row, columns[GPU_MILLI], n > 0 ? 1 : 0, n > 0 ? REPLAY_SLICES : 0, &milli,
                    error)) {
        return false;
    }
    task->vector[REPLAY_GPU] = n * milli;
    task->devices.n = (uint32_t)n;
    task->devices.slices = milli == REPLAY_SLICES ? BERTH_PLACE_WHOLE : (uint32_t)milli;
    return n == 0 || read_spec(trace, csv, row, columns[SPEC], &task->devices.models, error);
}

static bool read_times(const Csv *csv, guint row, const guint *columns, ReplayTask *task,
                       GError **error)
{
    task->deleted = G_MAXINT64;
    if (columns[CREATED] == CSV_NONE) {
        return true;
    }
    if (!csv_number(csv, row, columns[CREATED], 0, G_MAXINT64 / 2, &task->created, error)) {
        return false;
    }
    if (columns[DELETED] == CSV_NONE || csv_field(csv, row, columns[DELETED])[0] == '\0') {
        return true;
    }
    return csv_number(csv, row, columns[DELETED], 0, G_MAXINT64 / 2, &task->deleted, error) &&
           (task->deleted >= task->created ||
            csv_refuse(csv, row, columns[DELETED],
                       "write a time from the creation on, or nothing for a task that stays",
                       "the task ends before it begins", error));
}

static bool read_task(ReplayTrace *trace, const Csv *csv, guint row, const guint *columns,
                      GError **error)
{
    ReplayTask task = {0};

    if (!csv_number(csv, row, columns[CPU], 0, BERTH_PLACE_MAX_AMOUNT, &task.vector[REPLAY_CPU],
                    error) ||
        !csv_number(csv, row, columns[MEMORY], 0, BERTH_PLACE_MAX_AMOUNT,
                    &task.vector[REPLAY_MEMORY], error) ||
        !read_devices(trace, csv, row, columns, &task, error) ||
        !read_times(csv, row, columns, &task, error)) {
        return false;
    }
    if (task.vector[REPLAY_CPU] == 0 && task.vector[REPLAY_MEMORY] == 0 && task.devices.n == 0) {
        return csv_refuse(csv, row, columns[CPU], "ask for processors, memory or devices",
                          "the task asks for nothing", error);
    }
    task.kind[REPLAY_CPU] = task.vector[REPLAY_CPU];
    g_array_append_val(trace->tasks, task);
    return true;
}

static bool read_tasks(ReplayTrace *trace, const Csv *csv, bool needs_times, GError **error)
{
    guint columns[N_COLUMNS];

    columns[SPEC] = csv_column(csv, "gpu_spec");
    columns[CREATED] = csv_column(csv, "creation_time");
    columns[DELETED] = csv_column(csv, "deletion_time");
    if (!csv_require(csv, "cpu_milli", &columns[CPU], error) ||
        !csv_require(csv, "memory_mib", &columns[MEMORY], error) ||
        !csv_require(csv, "num_gpu", &columns[NUM_GPU], error) ||
        !csv_require(csv, "gpu_milli", &columns[GPU_MILLI], error) ||
        (needs_times && (!csv_require(csv, "creation_time", &columns[CREATED], error) ||
                         !csv_require(csv, "deletion_time", &columns[DELETED], error)))) {
        return false;
    }
    if (csv_n_rows(csv) == 0) {
        return csv_refuse_rows(csv, "give a line for each task", "the table has no tasks", error);
    }
    for (guint row = 0; row < csv_n_rows(csv); row++) {
        if (!read_task(trace, csv, row, columns, error)) {
            return false;
        }
    }
    return true;
}

static ReplayTrace *make(const Csv *hosts, const Csv *tasks, bool needs_times, GError **error)
{
    g_autoptr(ReplayTrace) trace = g_new0(ReplayTrace, 1);

    trace->models = g_ptr_array_new_with_free_func(g_free);
    trace->hosts = g_array_new(FALSE, FALSE, sizeof(ReplayHost));
    trace->tasks = g_array_new(FALSE, FALSE, sizeof(ReplayTask));
    if (!read_hosts(trace, hosts, error) || !read_tasks(trace, tasks, needs_times, error)) {
        return NULL;
    }
    return g_steal_pointer(&trace);
}

ReplayTrace *replay_trace_parse(const char *hosts, const char *tasks, bool needs_times,
                                GError **error)
{
    g_autoptr(Csv) host_table = csv_parse("hosts", hosts, strlen(hosts), error);
    g_autoptr(Csv) task_table =
        host_table != NULL ? csv_parse("tasks", tasks, strlen(tasks), error) : NULL;

    return task_table != NULL ? make(host_table, task_table, needs_times, error) : NULL;
}

static Csv *read_file(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;

    return g_file_get_contents(path, &text, &length, error) ? csv_parse(path, text, length, error)
                                                            : NULL;
}

ReplayTrace *replay_trace_read(const char *hosts, const char *tasks, bool needs_times,
                               GError **error)
{
    g_autoptr(Csv) host_table = read_file(hosts, error);
    g_autoptr(Csv) task_table = host_table != NULL ? read_file(tasks, error) : NULL;

    return task_table != NULL ? make(host_table, task_table, needs_times, error) : NULL;
}

/* What makes tasks of one kind; kinds are sorted by it so that equal ones lie together. */
static int compare_kinds(gconstpointer a, gconstpointer b)
{
    const ReplayTask *one = *(ReplayTask *const *)a, *other = *(ReplayTask *const *)b;
    const BerthPlaceDevices *mine = &one->devices, *theirs = &other->devices;

    if (one->vector[REPLAY_CPU] != other->vector[REPLAY_CPU]) {
        return one->vector[REPLAY_CPU] < other->vector[REPLAY_CPU] ? -1 : 1;
    }
    if (mine->n != theirs->n) {
        return mine->n < theirs->n ? -1 : 1;
    }
    if (mine->n == 0) {
        return 0;
    }
    if (mine->slices != theirs->slices) {
        return mine->slices < theirs->slices ? -1 : 1;
    }
    return mine->models != theirs->models ? (mine->models < theirs->models ? -1 : 1) : 0;
}

static int compare_weights(gconstpointer a, gconstpointer b)
{
    const BerthPlaceTypical *one = a, *other = b;

    return one->weight != other->weight ? (one->weight > other->weight ? -1 : 1) : 0;
}

GArray *replay_trace_typical(const ReplayTrace *trace, double percent)
{
    g_autoptr(GPtrArray) tasks = g_ptr_array_new();
    GArray *typical = g_array_new(FALSE, FALSE, sizeof(BerthPlaceTypical));

    for (guint i = 0; i < trace->tasks->len; i++) {
        g_ptr_array_add(tasks, &g_array_index(trace->tasks, ReplayTask, i));
    }
    g_ptr_array_sort(tasks, compare_kinds);
    for (guint i = 0; i < tasks->len; i++) {
        if (i > 0 && compare_kinds(&tasks->pdata[i - 1], &tasks->pdata[i]) == 0) {
            g_array_index(typical, BerthPlaceTypical, typical->len - 1).weight++;
            continue;
        }
        const ReplayTask *task = g_ptr_array_index(tasks, i);
        BerthPlaceTypical kind = {.vector = task->kind, .devices = task->devices, .weight = 1};
        g_array_append_val(typical, kind);
    }
    g_array_sort(typical, compare_weights);
    guint n = 0;
    for (double covered = 0, wanted = percent / 100 * tasks->len;
         n < typical->len && n < BERTH_PLACE_MAX_TYPICAL && covered < wanted; n++) {
        covered += g_array_index(typical, BerthPlaceTypical, n).weight;
    }
    return g_array_set_size(typical, n);
}
