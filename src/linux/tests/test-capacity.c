#include "linux/capacity.h"

#include "base/error.h"
#include "tests/fixture.h"

#include <unistd.h>

static const char cpuinfo[] =
    "processor\t: 0\nmodel name\t: Acme 9000 @ 2GHz\nphysical id\t: 0\ncore id\t\t: 0\n\n"
    "processor\t: 1\nmodel name\t: Acme 9000 @ 2GHz\nphysical id\t: 0\ncore id\t\t: 0\n\n"
    "processor\t: 2\nmodel name\t: Acme 9000 @ 2GHz\nphysical id\t: 1\ncore id\t\t: 0\n\n"
    "processor\t: 3\nmodel name\t: Acme 9000 @ 2GHz\nphysical id\t: 1\ncore id\t\t: 0\n";

static char *fake_machine(void)
{
    char *root = fixture_new();

    fixture_put(
        root, "proc/meminfo",
        "MemTotal:       16384000 kB\nMemFree: 1 kB\nSwapTotal: 2048 kB\nHugepagesize: 2048 kB\n");
    fixture_put(root, "proc/cpuinfo", cpuinfo);
    fixture_put(root, "proc/sys/kernel/osrelease", "6.1.0-28-amd64\n");
    fixture_put(root, "proc/sys/kernel/random/boot_id", "b007\n");
    fixture_put(root, "proc/pressure/memory", "some avg10=0.00\n");
    fixture_put(root, "sys/devices/system/cpu/online", "0-3\n");
    fixture_put(root, "sys/devices/system/node/online", "0-1\n");
    fixture_put(root, "sys/kernel/mm/ksm/run", "0\n");
    fixture_put(root, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    fixture_put(root, "sys/class/net/eth0/speed", "25000\n");
    fixture_put(root, "sys/class/net/eth1/speed", "-1\n");
    fixture_put(root, "dev/kvm", "");
    return root;
}

static void test_machine(void)
{
    char *root = fake_machine();
    g_autoptr(GError) error = NULL;
    g_autoptr(Capacity) capacity = capacity_discover(root, &error);

    g_assert_no_error(error);
    g_assert_cmpint(capacity->cpus, ==, 4);
    g_assert_cmpint(capacity->memory_mib, ==, 16000);
    g_assert_cmpint(capacity->swap_mib, ==, 2);
    g_assert_cmpint(capacity->huge_page_kib, ==, 2048);
    g_assert_cmpstr(capacity->cpu_model, ==, "Acme 9000 @ 2GHz");
    g_assert_cmpstr(capacity->topology, ==, "2 sockets, 2 cores, 4 threads, 2 NUMA nodes");
    g_assert_cmpstr(capacity->kernel, ==, "6.1.0-28-amd64");
    g_assert_cmpstr(capacity->boot_id, ==, "b007");
    g_assert_cmpint(capacity->cgroup, ==, 2);
    g_assert_true(capacity->kvm_device);
    g_assert_true(capacity->ksm);
    g_assert_true(capacity->psi);
    g_assert_false(capacity->zram);
    g_assert_false(capacity->userfaultfd);
    g_assert_cmpint(capacity_nic_mbit(root, "eth0"), ==, 25000);
    g_assert_cmpint(capacity_nic_mbit(root, "eth1"), ==, 0);
    g_assert_cmpint(capacity_nic_mbit(root, "eth2"), ==, 0);
    g_assert_cmpint(capacity_nic_mbit(root, "../net/eth0"), ==, 0);
    fixture_remove(root);
}

static void test_without_memory_it_is_an_error(void)
{
    char *root = fixture_new();
    g_autoptr(GError) error = NULL;

    g_assert_null(capacity_discover(root, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INTERNAL);
    g_assert_nonnull(berth_error_remedy(error));
    fixture_remove(root);
}

static void test_this_machine(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Capacity) capacity = capacity_discover(NULL, &error);
    int64_t size = -1;
    int64_t available = -1;

    g_assert_no_error(error);
    g_assert_cmpint(capacity->cpus, >=, 1);
    g_assert_cmpint(capacity->cpus, <=, sysconf(_SC_NPROCESSORS_ONLN));
    g_assert_cmpint(capacity->memory_mib, >, 0);
    g_assert_true(capacity_disk("/", &size, &available, &error));
    g_assert_cmpint(available, <=, size);
    g_assert_cmpint(available, >=, 0);
    g_assert_false(capacity_disk("/no/such/directory", &size, &available, &error));
    g_assert_cmpstr(berth_error_value(error), ==, "/no/such/directory");
}

static void test_cpu_lists(void)
{
    static const struct {
        const char *text;
        int64_t count;
    } cases[] = {{"0", 1},  {"0-3,8,10-11", 7}, {"", 0},      {"3-1", -1},
                 {"a", -1}, {"0-", -1},         {"0,,1", -1}, {"-1", -1}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(capacity_count_cpu_list(cases[i].text), ==, cases[i].count);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/capacity/machine", test_machine);
    g_test_add_func("/linux/capacity/without-memory-it-is-an-error",
                    test_without_memory_it_is_an_error);
    g_test_add_func("/linux/capacity/this-machine", test_this_machine);
    g_test_add_func("/linux/capacity/cpu-lists", test_cpu_lists);
    return g_test_run();
}
