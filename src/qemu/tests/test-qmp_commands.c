#include "qemu/qmp_commands.h"

#include "base/error.h"
#include "qemu/tests/fake-qmp.h"

typedef struct {
    FakeQmp *fake;
    Qmp *qmp;
    GString *seen;
    bool done;
} Fixture;

/* A QEMU that expects one request and gives one answer. */
static void start(Fixture *f, const char **script, const char *request, const char *answer)
{
    script[0] = "greet";
    script[1] = request;
    script[2] = answer;
    script[3] = "until-closed";
    script[4] = NULL;
    *f = (Fixture){.seen = g_string_new(NULL)};
    int fd;
    f->fake = fake_qmp_start(script, &fd);
    QmpHandlers handlers = {0};
    f->qmp = qmp_new(fd, &handlers, 0);
}

static void finish(Fixture *f, const char *expected)
{
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpstr(f->seen->str, ==, expected);
    g_clear_pointer(&f->qmp, qmp_free);
    fake_qmp_finish(f->fake);
    g_string_free(f->seen, TRUE);
}

static void end(Fixture *f, const GError *error)
{
    f->done = true;
    if (error != NULL) {
        g_string_append(f->seen, berth_error_code_name(error));
    }
}

static void on_done(const GError *error, gpointer user_data)
{
    end(user_data, error);
}

typedef guint64 (*Plain)(Qmp *qmp, QmpDoneFunc done, gpointer user_data);

static void test_plain_commands(void)
{
    static const struct {
        Plain function;
        const char *request;
    } plain[] = {
        {qmp_cont, "> {\"execute\":\"cont\"}"},
        {qmp_stop, "> {\"execute\":\"stop\"}"},
        {qmp_system_powerdown, "> {\"execute\":\"system_powerdown\"}"},
        {qmp_system_reset, "> {\"execute\":\"system_reset\"}"},
        {qmp_quit, "> {\"execute\":\"quit\"}"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
        const char *script[5];
        Fixture f;
        start(&f, script, plain[i].request, "< {\"return\":{}}");
        plain[i].function(f.qmp, on_done, &f);
        finish(&f, "");
        start(&f, script, plain[i].request,
              "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}");
        plain[i].function(f.qmp, on_done, &f);
        finish(&f, "internal");
    }
}

static void on_status(QmpStatus status, const char *name, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    if (error == NULL) {
        g_string_append_printf(f->seen, "%d %s", status, name);
    }
    end(f, error);
}

static void assert_status(const char *answer, const char *expected)
{
    const char *script[5];
    Fixture f;
    start(&f, script, "> {\"execute\":\"query-status\"}", answer);
    qmp_query_status(f.qmp, on_status, &f);
    finish(&f, expected);
}

static void test_status(void)
{
    g_autofree char *off = g_strdup_printf("%d shutdown", QMP_STATUS_SHUTDOWN);
    g_autofree char *other = g_strdup_printf("%d colo", QMP_STATUS_OTHER);
    assert_status("< {\"return\":{\"status\":\"shutdown\",\"running\":false}}", off);
    assert_status("< {\"return\":{\"status\":\"colo\",\"running\":false}}", other);
    assert_status("< {\"return\":{\"running\":false}}", "invalid");
    assert_status("< {\"return\":7}", "invalid");
}

static void on_text(const char *text, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    g_string_append(f->seen, text != NULL ? text : "");
    end(f, error);
}

static void test_uuid(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script, "> {\"execute\":\"query-uuid\"}", "< {\"return\":{\"UUID\":\"abc\"}}");
    qmp_query_uuid(f.qmp, on_text, &f);
    finish(&f, "abc");
    start(&f, script, "> *", "< {\"return\":{\"UUID\":1}}");
    qmp_query_uuid(f.qmp, on_text, &f);
    finish(&f, "invalid");
}

static void on_vcpus(const QmpVcpu *vcpus, size_t n, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(f->seen, "%d=%d ", (int)vcpus[i].index, (int)vcpus[i].thread_id);
    }
    end(f, error);
}

static void test_vcpus(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script, "> {\"execute\":\"query-cpus-fast\"}",
          "< {\"return\":[{\"cpu-index\":0,\"thread-id\":100,\"props\":{}},"
          "{\"cpu-index\":1,\"thread-id\":101}]}");
    qmp_query_vcpus(f.qmp, on_vcpus, &f);
    finish(&f, "0=100 1=101 ");
    start(&f, script, "> *", "< {\"return\":[{\"cpu-index\":0}]}");
    qmp_query_vcpus(f.qmp, on_vcpus, &f);
    finish(&f, "invalid");
}

static void on_bytes(guint64 bytes, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    if (error == NULL) {
        g_string_append_printf(f->seen, "%" G_GUINT64_FORMAT, bytes);
    }
    end(f, error);
}

static void test_balloon(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script, "> {\"execute\":\"balloon\",\"arguments\":{\"value\":134217728}}",
          "< {\"return\":{}}");
    qmp_balloon(f.qmp, 128 << 20, on_done, &f);
    finish(&f, "");
    start(&f, script, "> {\"execute\":\"query-balloon\"}", "< {\"return\":{\"actual\":268443648}}");
    qmp_query_balloon(f.qmp, on_bytes, &f);
    finish(&f, "268443648");
    start(&f, script, "> *",
          "< {\"error\":{\"class\":\"DeviceNotActive\",\"desc\":\"No balloon device\"}}");
    qmp_query_balloon(f.qmp, on_bytes, &f);
    finish(&f, "conflict");
}

static void on_stats(const QmpGuestStats *s, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    if (s != NULL) {
        g_string_append_printf(f->seen, "%d %d %d %d", (int)s->updated_s, (int)s->total,
                               (int)s->available, (int)s->swap_in);
    }
    end(f, error);
}

static void test_guest_stats(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script,
          "> {\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/balloon0\","
          "\"property\":\"guest-stats-polling-interval\",\"value\":2}}",
          "< {\"return\":{}}");
    qmp_set_guest_stats_interval(f.qmp, 2, on_done, &f);
    finish(&f, "");
    start(&f, script,
          "> {\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/balloon0\","
          "\"property\":\"guest-stats\"}}",
          "<! {\"return\":{\"last-update\":17,\"stats\":{\"stat-total-memory\":1000,"
          "\"stat-available-memory\":500,\"stat-swap-in\":18446744073709551615}},\"id\":@2}\n");
    qmp_guest_stats(f.qmp, on_stats, &f);
    finish(&f, "17 1000 500 -1");
    start(&f, script, "> *", "< {\"return\":{\"stats\":[]}}");
    qmp_guest_stats(f.qmp, on_stats, &f);
    finish(&f, "invalid");
}

static void test_limits(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script,
          "> {\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/objects/limit-disk0\","
          "\"property\":\"limits\",\"value\":{\"bps-total\":1000000,\"bps-read\":0,"
          "\"bps-write\":0,\"iops-total\":50,\"iops-read\":0,\"iops-write\":0}}}",
          "< {\"return\":{}}");
    QmpLimits limits = {.bytes_total = 1000000, .iops_total = 50};
    qmp_set_limits(f.qmp, "disk0", &limits, on_done, &f);
    finish(&f, "");
}

static void on_disks(const QmpDiskStats *stats, size_t n, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(f->seen, "%s %d %d %d %d ", stats[i].disk, (int)stats[i].read_bytes,
                               (int)stats[i].write_operations, (int)stats[i].read_ns,
                               (int)stats[i].flush_ns);
    }
    end(f, error);
}

static void test_disk_stats(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script, "> {\"execute\":\"query-blockstats\"}",
          "< {\"return\":[{\"qdev\":\"/machine/peripheral/disk0/virtio-backend\",\"stats\":{"
          "\"rd_bytes\":1,\"wr_bytes\":2,\"rd_operations\":3,\"wr_operations\":4,"
          "\"flush_operations\":5,\"rd_total_time_ns\":6,\"wr_total_time_ns\":7,"
          "\"flush_total_time_ns\":8,\"more\":9}},{\"device\":\"floppy\",\"stats\":{}}]}");
    qmp_query_disk_stats(f.qmp, on_disks, &f);
    finish(&f, "disk0 1 4 6 8 ");
    start(&f, script, "> *",
          "< {\"return\":[{\"qdev\":\"/machine/peripheral/disk0\",\"stats\":{}}]}");
    qmp_query_disk_stats(f.qmp, on_disks, &f);
    finish(&f, "invalid");
}

static void test_device_state(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script,
          "> {\"execute\":\"xen-save-devices-state\",\"arguments\":{\"filename\":\"/dev/fdset/7\","
          "\"live\":false}}",
          "< {\"return\":{}}");
    qmp_save_device_state(f.qmp, "/dev/fdset/7", on_done, &f);
    finish(&f, "");
}

static void test_cancelled_call_is_answered(void)
{
    const char *script[5];
    Fixture f;
    start(&f, script, "> {\"execute\":\"stop\"}", "< {\"return\":{}}");
    guint64 id = qmp_query_vcpus(f.qmp, on_vcpus, &f);
    g_assert_true(qmp_cancel(f.qmp, id));
    g_assert_true(f.done);
    f.done = false;
    qmp_stop(f.qmp, on_done, &f);
    finish(&f, "internal");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/qmp-commands/plain", test_plain_commands);
    g_test_add_func("/qemu/qmp-commands/status", test_status);
    g_test_add_func("/qemu/qmp-commands/uuid", test_uuid);
    g_test_add_func("/qemu/qmp-commands/vcpus", test_vcpus);
    g_test_add_func("/qemu/qmp-commands/balloon", test_balloon);
    g_test_add_func("/qemu/qmp-commands/guest-stats", test_guest_stats);
    g_test_add_func("/qemu/qmp-commands/limits", test_limits);
    g_test_add_func("/qemu/qmp-commands/disk-stats", test_disk_stats);
    g_test_add_func("/qemu/qmp-commands/device-state", test_device_state);
    g_test_add_func("/qemu/qmp-commands/cancelled", test_cancelled_call_is_answered);
    return g_test_run();
}
