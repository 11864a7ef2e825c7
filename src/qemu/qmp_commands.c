#include "qemu/qmp_commands.h"

#include <glib-object.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/commandline.h"

#define BALLOON_PATH "/machine/peripheral/balloon0"

typedef struct {
    const char *command;
    GCallback func;
    gpointer user_data;
} Asked;

static guint64 ask(Qmp *qmp, const char *command, json_t *args, QmpReplyFunc reply, GCallback func,
                   gpointer user_data)
{
    Asked *asked = g_new0(Asked, 1);
    asked->command = command;
    asked->func = func;
    asked->user_data = user_data;
    return qmp_call(qmp, command, args, 0, reply, asked);
}

static GError *misshapen(const Asked *asked, json_t *result)
{
    GError *error = NULL;
    char *shown = result != NULL ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    berth_error_set(&error, BERTH_ERROR_INVALID, "command", shown, NULL,
                    "QEMU answered %s in another shape than its schema says", asked->command);
    free(shown);
    return error;
}

static void on_done(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    if (asked->func != NULL) {
        ((QmpDoneFunc)asked->func)(error, asked->user_data);
    }
}

static guint64 ask_done(Qmp *qmp, const char *command, json_t *args, QmpDoneFunc done,
                        gpointer user_data)
{
    return ask(qmp, command, args, on_done, G_CALLBACK(done), user_data);
}

guint64 qmp_cont(Qmp *qmp, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "cont", NULL, done, user_data);
}

guint64 qmp_stop(Qmp *qmp, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "stop", NULL, done, user_data);
}

guint64 qmp_system_powerdown(Qmp *qmp, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "system_powerdown", NULL, done, user_data);
}

guint64 qmp_system_reset(Qmp *qmp, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "system_reset", NULL, done, user_data);
}

guint64 qmp_quit(Qmp *qmp, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "quit", NULL, done, user_data);
}

guint64 qmp_balloon(Qmp *qmp, guint64 bytes, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "balloon", json_pack("{s:I}", "value", (json_int_t)bytes), done,
                    user_data);
}

guint64 qmp_save_device_state(Qmp *qmp, const char *path, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "xen-save-devices-state",
                    json_pack("{s:s, s:b}", "filename", path, "live", 0), done, user_data);
}

static QmpStatus status_of(const char *name)
{
    static const struct {
        const char *name;
        QmpStatus status;
    } known[] = {
        {"running", QMP_STATUS_RUNNING},
        {"paused", QMP_STATUS_PAUSED},
        {"prelaunch", QMP_STATUS_PRELAUNCH},
        {"shutdown", QMP_STATUS_SHUTDOWN},
        {"guest-panicked", QMP_STATUS_GUEST_PANICKED},
        {"io-error", QMP_STATUS_IO_ERROR},
        {"watchdog", QMP_STATUS_WATCHDOG},
        {"internal-error", QMP_STATUS_INTERNAL_ERROR},
        {"inmigrate", QMP_STATUS_INMIGRATE},
        {"postmigrate", QMP_STATUS_POSTMIGRATE},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (strcmp(known[i].name, name) == 0) {
            return known[i].status;
        }
    }
    return QMP_STATUS_OTHER;
}

static void on_status(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    const char *name = json_string_value(json_object_get(result, "status"));
    g_autoptr(GError) shape = error == NULL && name == NULL ? misshapen(asked, result) : NULL;
    ((QmpStatusFunc)asked->func)(name != NULL ? status_of(name) : QMP_STATUS_OTHER, name,
                                 error != NULL ? error : shape, asked->user_data);
}

guint64 qmp_query_status(Qmp *qmp, QmpStatusFunc func, gpointer user_data)
{
    return ask(qmp, "query-status", NULL, on_status, G_CALLBACK(func), user_data);
}

static void on_uuid(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    const char *uuid = json_string_value(json_object_get(result, "UUID"));
    g_autoptr(GError) shape = error == NULL && uuid == NULL ? misshapen(asked, result) : NULL;
    ((QmpTextFunc)asked->func)(uuid, error != NULL ? error : shape, asked->user_data);
}

guint64 qmp_query_uuid(Qmp *qmp, QmpTextFunc func, gpointer user_data)
{
    return ask(qmp, "query-uuid", NULL, on_uuid, G_CALLBACK(func), user_data);
}

/* NULL when it has another shape. */
static GArray *read_vcpus(json_t *result)
{
    if (!json_is_array(result)) {
        return NULL;
    }
    g_autoptr(GArray) vcpus = g_array_new(FALSE, FALSE, sizeof(QmpVcpu));
    json_t *item;
    size_t i;
    json_array_foreach (result, i, item) {
        json_int_t index;
        json_int_t thread_id;
        if (json_unpack(item, "{s:I, s:I}", "cpu-index", &index, "thread-id", &thread_id) != 0) {
            return NULL;
        }
        QmpVcpu vcpu = {index, thread_id};
        g_array_append_val(vcpus, vcpu);
    }
    return g_steal_pointer(&vcpus);
}

static void on_vcpus(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    g_autoptr(GArray) vcpus = error == NULL ? read_vcpus(result) : NULL;
    g_autoptr(GError) shape = error == NULL && vcpus == NULL ? misshapen(asked, result) : NULL;
    ((QmpVcpusFunc)asked->func)(vcpus != NULL ? (const QmpVcpu *)(void *)vcpus->data : NULL,
                                vcpus != NULL ? vcpus->len : 0, error != NULL ? error : shape,
                                asked->user_data);
}

guint64 qmp_query_vcpus(Qmp *qmp, QmpVcpusFunc func, gpointer user_data)
{
    return ask(qmp, "query-cpus-fast", NULL, on_vcpus, G_CALLBACK(func), user_data);
}

static void on_balloon(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    json_t *actual = json_object_get(result, "actual");
    g_autoptr(GError) shape =
        error == NULL && !json_is_integer(actual) ? misshapen(asked, result) : NULL;
    ((QmpBytesFunc)asked->func)((guint64)json_integer_value(actual), error != NULL ? error : shape,
                                asked->user_data);
}

guint64 qmp_query_balloon(Qmp *qmp, QmpBytesFunc func, gpointer user_data)
{
    return ask(qmp, "query-balloon", NULL, on_balloon, G_CALLBACK(func), user_data);
}

guint64 qmp_set_guest_stats_interval(Qmp *qmp, gint64 seconds, QmpDoneFunc done, gpointer user_data)
{
    return ask_done(qmp, "qom-set",
                    json_pack("{s:s, s:s, s:I}", "path", BALLOON_PATH, "property",
                              "guest-stats-polling-interval", "value", (json_int_t)seconds),
                    done, user_data);
}

/* QEMU says 2⁶⁴−1 for what the guest has not said, which arrives as −1. */
static gint64 stat_value(json_t *stats, const char *key)
{
    json_t *value = json_object_get(stats, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : -1;
}

static void on_guest_stats(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    json_t *s = json_object_get(result, "stats");
    json_t *updated = json_object_get(result, "last-update");
    if (error != NULL || !json_is_object(s) || !json_is_integer(updated)) {
        g_autoptr(GError) shape = error == NULL ? misshapen(asked, result) : NULL;
        ((QmpGuestStatsFunc)asked->func)(NULL, error != NULL ? error : shape, asked->user_data);
        return;
    }
    QmpGuestStats stats = {
        .updated_s = json_integer_value(updated),
        .total = stat_value(s, "stat-total-memory"),
        .free = stat_value(s, "stat-free-memory"),
        .available = stat_value(s, "stat-available-memory"),
        .disk_caches = stat_value(s, "stat-disk-caches"),
        .swap_in = stat_value(s, "stat-swap-in"),
        .swap_out = stat_value(s, "stat-swap-out"),
        .major_faults = stat_value(s, "stat-major-faults"),
        .minor_faults = stat_value(s, "stat-minor-faults"),
    };
    ((QmpGuestStatsFunc)asked->func)(&stats, NULL, asked->user_data);
}

guint64 qmp_guest_stats(Qmp *qmp, QmpGuestStatsFunc func, gpointer user_data)
{
    return ask(qmp, "qom-get",
               json_pack("{s:s, s:s}", "path", BALLOON_PATH, "property", "guest-stats"),
               on_guest_stats, G_CALLBACK(func), user_data);
}

guint64 qmp_set_limits(Qmp *qmp, const char *disk, const QmpLimits *limits, QmpDoneFunc done,
                       gpointer user_data)
{
    g_autofree char *path = g_strconcat("/objects/" QEMU_LIMIT_PREFIX, disk, NULL);
    json_t *value = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I}", "bps-total", (json_int_t)limits->bytes_total, "bps-read",
        (json_int_t)limits->bytes_read, "bps-write", (json_int_t)limits->bytes_write, "iops-total",
        (json_int_t)limits->iops_total, "iops-read", (json_int_t)limits->iops_read, "iops-write",
        (json_int_t)limits->iops_write);
    return ask_done(
        qmp, "qom-set",
        json_pack("{s:s, s:s, s:o}", "path", path, "property", "limits", "value", value), done,
        user_data);
}

/* "/machine/peripheral/disk0/virtio-backend" → "disk0"; NULL for what is no disk of ours. */
static char *disk_of_qdev(const char *qdev)
{
    static const char prefix[] = "/machine/peripheral/";
    if (qdev == NULL || !g_str_has_prefix(qdev, prefix)) {
        return NULL;
    }
    const char *id = qdev + strlen(prefix);
    return g_strndup(id, strcspn(id, "/"));
}

/* NULL when it has another shape. */
static GArray *read_disk_stats(json_t *result, GPtrArray *names)
{
    if (!json_is_array(result)) {
        return NULL;
    }
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(QmpDiskStats));
    json_t *item;
    size_t i;
    json_array_foreach (result, i, item) {
        char *disk = disk_of_qdev(json_string_value(json_object_get(item, "qdev")));
        if (disk == NULL) {
            continue;
        }
        g_ptr_array_add(names, disk);
        QmpDiskStats s = {.disk = disk};
        json_int_t v[8];
        if (json_unpack(item, "{s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}}", "stats", "rd_bytes",
                        &v[0], "wr_bytes", &v[1], "rd_operations", &v[2], "wr_operations", &v[3],
                        "flush_operations", &v[4], "rd_total_time_ns", &v[5], "wr_total_time_ns",
                        &v[6], "flush_total_time_ns", &v[7]) != 0) {
            return NULL;
        }
        s.read_bytes = v[0];
        s.write_bytes = v[1];
        s.read_operations = v[2];
        s.write_operations = v[3];
        s.flush_operations = v[4];
        s.read_ns = v[5];
        s.write_ns = v[6];
        s.flush_ns = v[7];
        g_array_append_val(list, s);
    }
    return g_steal_pointer(&list);
}

static void on_disk_stats(json_t *result, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) list = error == NULL ? read_disk_stats(result, names) : NULL;
    g_autoptr(GError) shape = error == NULL && list == NULL ? misshapen(asked, result) : NULL;
    ((QmpDiskStatsFunc)asked->func)(list != NULL ? (const QmpDiskStats *)(void *)list->data : NULL,
                                    list != NULL ? list->len : 0, error != NULL ? error : shape,
                                    asked->user_data);
}

guint64 qmp_query_disk_stats(Qmp *qmp, QmpDiskStatsFunc func, gpointer user_data)
{
    return ask(qmp, "query-blockstats", NULL, on_disk_stats, G_CALLBACK(func), user_data);
}
