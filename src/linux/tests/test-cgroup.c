#include "linux/cgroup.h"

#include "base/error.h"
#include "tests/fixture.h"

#include <string.h>

#define VM "01JD8Z3Q9V4K9X2C7DQRSTV5W6"

/* A tree as the kernel would have it: cgroupfs makes the files, here the test does. */
static char *fake_v2(void)
{
    char *root = fixture_new();

    fixture_put(root, "cgroup.controllers", "cpuset cpu io memory pids\n");
    fixture_put(root, "cgroup.subtree_control", "");
    fixture_put(root, "berth/cgroup.subtree_control", "");
    fixture_put(root, "berth/a/cgroup.subtree_control", "");
    fixture_put(root, "berth/a/" VM "/cgroup.subtree_control", "");
    fixture_put(root, "berth/a/" VM "/cgroup.procs", "4711\n4712\n");
    fixture_put(root, "berth/a/" VM "/cpu.weight", "100\n");
    fixture_put(root, "berth/a/" VM "/cpu.stat", "usage_usec 900\nuser_usec 1\n");
    fixture_put(root, "berth/a/" VM "/memory.current", "104857600\n");
    fixture_put(root, "berth/a/" VM "/memory.events", "low 0\noom 2\noom_kill 1\n");
    fixture_put(root, "berth/a/" VM "/cpu.pressure",
                "some avg10=1.50 avg60=0.00 avg300=0.00 total=1234\n"
                "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n");
    fixture_put(root, "berth/a/" VM "/memory.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
    fixture_put(root, "berth/a/" VM "/io.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=6\n");
    for (int i = 0; i < 2; i++) {
        const char *group = i == 0 ? "vcpu" : "emulator";
        g_autofree char *base = g_strconcat("berth/a/" VM "/", group, "/", NULL);
        static const char *const names[] = {"cgroup.type", "cgroup.threads", "cpu.max",
                                            "cpu.weight"};

        for (size_t file = 0; file < G_N_ELEMENTS(names); file++) {
            g_autofree char *path = g_strconcat(base, names[file], NULL);

            fixture_put(root, path, "");
        }
    }
    fixture_put(root, "berth/a/" VM "/vcpu/cpu.stat",
                "usage_usec 700\nnr_periods 10\nnr_throttled 4\nthrottled_usec 55\n");
    return root;
}

static char *fake_v1(void)
{
    char *root = fixture_new();

    fixture_put(root, "cpu/cpu.shares", "1024\n");
    fixture_put(root, "cpuacct/cpuacct.usage", "0\n");
    fixture_put(root, "memory/memory.usage_in_bytes", "0\n");
    fixture_put(root, "cpu/berth/a/" VM "/cpu.shares", "");
    for (int i = 0; i < 2; i++) {
        const char *group = i == 0 ? "vcpu" : "emulator";
        static const char *const names[] = {"cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares",
                                            "tasks", "cgroup.procs"};

        for (size_t file = 0; file < G_N_ELEMENTS(names); file++) {
            g_autofree char *cpu =
                g_strconcat("cpu/berth/a/" VM "/", group, "/", names[file], NULL);
            g_autofree char *account =
                g_strconcat("cpuacct/berth/a/" VM "/", group, "/", names[file], NULL);

            fixture_put(root, cpu, "");
            fixture_put(root, account, "");
        }
    }
    fixture_put(root, "cpu/berth/a/" VM "/emulator/cgroup.procs", "4712\n4711\n");
    fixture_put(root, "cpu/berth/a/" VM "/vcpu/cgroup.procs", "4711\n");
    fixture_put(root, "memory/berth/a/" VM "/cgroup.procs", "4711\n");
    fixture_put(root, "cpu/berth/a/" VM "/vcpu/cpu.stat",
                "nr_periods 10\nnr_throttled 4\nthrottled_time 55000\n");
    fixture_put(root, "cpuacct/berth/a/" VM "/cpuacct.usage", "900000\n");
    fixture_put(root, "cpuacct/berth/a/" VM "/vcpu/cpuacct.usage", "700000\n");
    fixture_put(root, "memory/berth/a/" VM "/memory.usage_in_bytes", "104857600\n");
    fixture_put(root, "memory/berth/a/" VM "/memory.max_usage_in_bytes", "209715200\n");
    fixture_put(root, "memory/berth/a/" VM "/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    return root;
}

static void assert_file(const char *root, const char *path, const char *expected)
{
    g_autofree char *text = fixture_get(root, path);

    g_assert_cmpstr(text, ==, expected);
}

static CgroupHost *new_host(const char *root)
{
    g_autoptr(GError) error = NULL;
    CgroupPlace place = {.root = root};
    CgroupHost *host = cgroup_host_new("a", &place, &error);

    g_assert_no_error(error);
    return host;
}

static CgroupVm *new_vm(CgroupHost *host)
{
    g_autoptr(GError) error = NULL;
    CgroupVm *vm = cgroup_vm_create(host, VM, &error);

    g_assert_no_error(error);
    return vm;
}

static void test_v2_is_made(void)
{
    char *root = fake_v2();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    g_auto(GStrv) files = cgroup_vm_procs_files(vm);
    g_autofree char *expected =
        g_build_filename(root, "berth/a/" VM "/emulator/cgroup.procs", NULL);

    g_assert_cmpint(cgroup_host_version(host), ==, 2);
    assert_file(root, "cgroup.subtree_control", "+cpu +memory");
    assert_file(root, "berth/cgroup.subtree_control", "+cpu +memory");
    assert_file(root, "berth/a/cgroup.subtree_control", "+cpu +memory");
    assert_file(root, "berth/a/" VM "/cgroup.subtree_control", "+cpu");
    assert_file(root, "berth/a/" VM "/vcpu/cgroup.type", "threaded");
    assert_file(root, "berth/a/" VM "/emulator/cgroup.type", "threaded");
    g_assert_cmpuint(g_strv_length(files), ==, 1);
    g_assert_cmpstr(files[0], ==, expected);
    fixture_remove(root);
}

static void test_v2_limits_the_vcpus(void)
{
    char *root = fake_v2();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    g_autoptr(GError) error = NULL;
    pid_t tid = 4713;

    cgroup_vm_set_cpu(vm, 1500, 200, &error);
    g_assert_no_error(error);
    cgroup_vm_set_emulator(vm, 250, 50, &error);
    g_assert_no_error(error);
    cgroup_vm_place_threads(vm, &tid, 1, &error);
    g_assert_no_error(error);
    assert_file(root, "berth/a/" VM "/cpu.weight", "200\n");
    assert_file(root, "berth/a/" VM "/vcpu/cpu.max", "30000 20000");
    assert_file(root, "berth/a/" VM "/vcpu/cgroup.threads", "4713");
    assert_file(root, "berth/a/" VM "/emulator/cpu.max", "20000 80000");
    assert_file(root, "berth/a/" VM "/emulator/cpu.weight", "50");
    fixture_remove(root);
}

static void test_v2_stats(void)
{
    char *root = fake_v2();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    g_autoptr(GError) error = NULL;
    CgroupStats stats;

    cgroup_vm_stats(vm, &stats, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stats.cpu_usec, ==, 900);
    g_assert_cmpint(stats.vcpu_usec, ==, 700);
    g_assert_cmpint(stats.periods, ==, 10);
    g_assert_cmpint(stats.throttled_periods, ==, 4);
    g_assert_cmpint(stats.throttled_usec, ==, 55);
    g_assert_cmpint(stats.memory_bytes, ==, 100 << 20);
    g_assert_cmpint(stats.memory_peak_bytes, ==, -1);
    g_assert_cmpint(stats.oom_kills, ==, 1);
    g_assert_true(stats.has_pressure);
    g_assert_cmpint(stats.cpu.some_usec, ==, 1234);
    g_assert_cmpint(stats.cpu.full_usec, ==, 99);
    g_assert_cmpfloat(stats.cpu.some_avg10, ==, 1.5);
    g_assert_cmpint(stats.memory.full_usec, ==, -1);
    fixture_remove(root);
}

static void test_v1_limits_the_vcpus(void)
{
    char *root = fake_v1();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    g_auto(GStrv) files = cgroup_vm_procs_files(vm);
    g_autoptr(GError) error = NULL;
    pid_t tid = 4713;

    g_assert_cmpint(cgroup_host_version(host), ==, 1);
    g_assert_cmpuint(g_strv_length(files), ==, 3);
    g_assert_true(g_str_has_suffix(files[0], "/cpu/berth/a/" VM "/emulator/cgroup.procs"));
    g_assert_true(g_str_has_suffix(files[1], "/cpuacct/berth/a/" VM "/emulator/cgroup.procs"));
    g_assert_true(g_str_has_suffix(files[2], "/memory/berth/a/" VM "/cgroup.procs"));
    cgroup_vm_set_cpu(vm, 1500, 200, &error);
    g_assert_no_error(error);
    cgroup_vm_place_threads(vm, &tid, 1, &error);
    g_assert_no_error(error);
    assert_file(root, "cpu/berth/a/" VM "/cpu.shares", "2048");
    assert_file(root, "cpu/berth/a/" VM "/vcpu/cpu.cfs_period_us", "20000");
    assert_file(root, "cpu/berth/a/" VM "/vcpu/cpu.cfs_quota_us", "30000");
    assert_file(root, "cpu/berth/a/" VM "/vcpu/tasks", "4713");
    assert_file(root, "cpuacct/berth/a/" VM "/vcpu/tasks", "4713");
    fixture_put(root, "cpu/berth/a/" VM "/vcpu/cpu.cfs_quota_us", "");
    cgroup_vm_set_cpu(vm, 0, 1, &error);
    g_assert_no_error(error);
    assert_file(root, "cpu/berth/a/" VM "/vcpu/cpu.cfs_quota_us", "-1");
    fixture_remove(root);
}

static void test_v1_stats(void)
{
    char *root = fake_v1();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    g_autoptr(GError) error = NULL;
    CgroupStats stats;

    cgroup_vm_stats(vm, &stats, &error);
    g_assert_no_error(error);
    g_assert_cmpint(stats.cpu_usec, ==, 900);
    g_assert_cmpint(stats.vcpu_usec, ==, 700);
    g_assert_cmpint(stats.throttled_usec, ==, 55);
    g_assert_cmpint(stats.memory_peak_bytes, ==, 200 << 20);
    g_assert_cmpint(stats.oom_kills, ==, 1);
    g_assert_false(stats.has_pressure);
    fixture_remove(root);
}

static void test_pids_come_once_and_sorted(void)
{
    char *root = fake_v1();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    g_autoptr(GArray) pids = cgroup_vm_pids(vm, NULL);

    g_assert_cmpuint(pids->len, ==, 2);
    g_assert_cmpint(g_array_index(pids, pid_t, 0), ==, 4711);
    g_assert_cmpint(g_array_index(pids, pid_t, 1), ==, 4712);
    fixture_remove(root);
}

static void test_lists_what_any_controller_has(void)
{
    char *root = fake_v1();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(GPtrArray) names = NULL;

    fixture_put(root, "memory/berth/a/01AAAAAAAAAAAAAAAAAAAAAAAA/cgroup.procs", "");
    names = cgroup_host_list(host, NULL);
    g_assert_cmpuint(names->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(names, 0), ==, "01AAAAAAAAAAAAAAAAAAAAAAAA");
    g_assert_cmpstr(g_ptr_array_index(names, 1), ==, VM);
    fixture_remove(root);
}

static void test_quota_stays_within_the_kernels_bounds(void)
{
    static const struct {
        int64_t millicores, period, quota;
    } cases[] = {
        {1000, 20000, 20000}, {64000, 20000, 1280000}, {500, 40000, 20000},
        {250, 80000, 20000},  {200, 100000, 20000},    {50, 100000, 5000},
        {10, 100000, 1000},   {9, 111111, 1000},       {1, 1000000, 1000},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        int64_t period = 0;
        int64_t quota = 0;

        cgroup_quota(cases[i].millicores, &period, &quota);
        g_assert_cmpint(period, ==, cases[i].period);
        g_assert_cmpint(quota, ==, cases[i].quota);
    }
}

static void test_bad_input_is_refused(void)
{
    char *root = fake_v2();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = new_vm(host);
    static const struct {
        int64_t quota;
        int weight;
        const char *field;
    } cases[] = {{-1, 100, "cpu"}, {INT64_MAX, 100, "cpu"}, {0, 0, "weight"}, {0, 10001, "weight"}};
    static const char *const names[] = {"", ".", "..", "a/b", ".hidden"};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(cgroup_vm_set_cpu(vm, cases[i].quota, cases[i].weight, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].field);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(cgroup_vm_create(host, names[i], &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
    assert_file(root, "berth/a/" VM "/vcpu/cpu.max", "");
    fixture_remove(root);
}

static void test_no_controllers(void)
{
    char *root = fixture_new();
    CgroupPlace place = {.root = root};
    g_autoptr(GError) error = NULL;

    fixture_put(root, "cgroup.controllers", "cpuset pids\n");
    g_assert_cmpint(cgroup_detect(root), ==, 0);
    g_assert_null(cgroup_host_new("a", &place, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(berth_error_remedy(error));
    fixture_remove(root);
}

static void test_missing_vm(void)
{
    char *root = fake_v2();
    g_autoptr(CgroupHost) host = new_host(root);
    g_autoptr(CgroupVm) vm = cgroup_vm_open(host, "01BBBBBBBBBBBBBBBBBBBBBBBB");
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) pids = NULL;
    CgroupStats stats;

    g_assert_false(cgroup_vm_stats(vm, &stats, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    pids = cgroup_vm_pids(vm, NULL);
    g_assert_cmpuint(pids->len, ==, 0);
    g_assert_true(cgroup_vm_remove(vm, 0, NULL));
    fixture_remove(root);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/cgroup/v2-is-made", test_v2_is_made);
    g_test_add_func("/linux/cgroup/v2-limits-the-vcpus", test_v2_limits_the_vcpus);
    g_test_add_func("/linux/cgroup/v2-stats", test_v2_stats);
    g_test_add_func("/linux/cgroup/v1-limits-the-vcpus", test_v1_limits_the_vcpus);
    g_test_add_func("/linux/cgroup/v1-stats", test_v1_stats);
    g_test_add_func("/linux/cgroup/pids-come-once-and-sorted", test_pids_come_once_and_sorted);
    g_test_add_func("/linux/cgroup/lists-what-any-controller-has",
                    test_lists_what_any_controller_has);
    g_test_add_func("/linux/cgroup/quota-stays-within-the-kernels-bounds",
                    test_quota_stays_within_the_kernels_bounds);
    g_test_add_func("/linux/cgroup/bad-input-is-refused", test_bad_input_is_refused);
    g_test_add_func("/linux/cgroup/no-controllers", test_no_controllers);
    g_test_add_func("/linux/cgroup/missing-vm", test_missing_vm);
    return g_test_run();
}
