#include "sim/disk.h"

#include <string.h>

typedef struct {
    int64_t last, failed;
} Heard;

static void on_durable(void *owner, int64_t revision, const GError *error)
{
    Heard *heard = owner;
    if (error != NULL) {
        heard->failed = revision;
        return;
    }
    g_assert_cmpint(revision, ==, heard->last + 1);
    heard->last = revision;
}

static void put_free(void *data)
{
    ClusterPut *put = data;
    g_free(put->key);
    g_bytes_unref(put->value);
    g_free(put);
}

static void commit(SimDisk *disk, int64_t revision, const char *absent)
{
    ClusterAction action = {.kind = CLUSTER_ACTION_COMMIT};
    action.commit.revision = revision;
    action.commit.puts = g_ptr_array_new_with_free_func(put_free);
    action.commit.absent = g_ptr_array_new_with_free_func(g_free);
    ClusterPut *put = g_new0(ClusterPut, 1);
    put->key = g_strdup_printf("key/%02d", (int)revision);
    put->value = g_bytes_new_static("{}", 2);
    g_ptr_array_add(action.commit.puts, put);
    if (absent != NULL) {
        g_ptr_array_add(action.commit.absent, g_strdup(absent));
    }
    sim_disk_commit(disk, &action);
    g_ptr_array_unref(action.commit.puts);
    g_ptr_array_unref(action.commit.absent);
}

static void test_durable_in_order_after_a_while(void)
{
    g_autoptr(SimWorld) world = sim_world_new(1, 0);
    Heard heard = {0};
    SimDisk *disk = sim_disk_new(world, on_durable, &heard);
    for (int i = 1; i <= 20; i++) {
        commit(disk, i, NULL);
    }
    g_assert_null(sim_disk_get(disk, "key/01"));
    sim_run_until(world, 10000);
    g_assert_cmpint(heard.last, ==, 20);
    g_assert_nonnull(sim_disk_get(disk, "key/20"));
    sim_disk_free(disk);
}

/* What a crash leaves is a beginning of what was under way, never a hole. */
static void test_a_crash_loses_the_end(void)
{
    bool lost = false, kept = false;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        g_autoptr(SimWorld) world = sim_world_new(seed, 0);
        Heard heard = {0};
        SimDisk *disk = sim_disk_new(world, on_durable, &heard);
        for (int i = 1; i <= 10; i++) {
            commit(disk, i, NULL);
        }
        sim_run_until(world, 15);
        int64_t told = heard.last;
        sim_disk_crash(disk);
        int64_t revision = sim_disk_revision(disk);
        g_assert_cmpint(revision, >=, told);
        for (int i = 1; i <= 10; i++) {
            g_autofree char *key = g_strdup_printf("key/%02d", i);
            g_assert_true((sim_disk_get(disk, key) != NULL) == (i <= revision));
        }
        sim_run_until(world, 10000);
        g_assert_cmpint(heard.last, ==, told);
        lost = lost || revision < 10;
        kept = kept || revision > told;
        sim_disk_free(disk);
    }
    g_assert_true(lost);
    g_assert_true(kept);
}

static void test_promises_are_held(void)
{
    g_autoptr(SimWorld) hole = sim_world_new(1, 0);
    Heard heard = {0};
    SimDisk *disk = sim_disk_new(hole, on_durable, &heard);
    commit(disk, 2, NULL);
    g_assert_nonnull(hole->broken);
    sim_disk_free(disk);

    g_autoptr(SimWorld) twice = sim_world_new(1, 0);
    disk = sim_disk_new(twice, on_durable, &heard);
    commit(disk, 1, NULL);
    commit(disk, 2, "key/01");
    sim_run_until(twice, 1000);
    g_assert_nonnull(twice->broken);
    sim_disk_free(disk);
}

static void test_a_failure_is_told_and_ends_what_follows(void)
{
    g_autoptr(SimWorld) world = sim_world_new(1, 0);
    Heard heard = {0};
    SimDisk *disk = sim_disk_new(world, on_durable, &heard);
    commit(disk, 1, NULL);
    sim_disk_fail_next(disk);
    commit(disk, 2, NULL);
    commit(disk, 3, NULL);
    sim_run_until(world, 1000);
    g_assert_cmpint(heard.last, ==, 1);
    g_assert_cmpint(heard.failed, ==, 2);
    g_assert_cmpint(sim_disk_revision(disk), ==, 1);
    sim_disk_free(disk);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disk/in-order", test_durable_in_order_after_a_while);
    g_test_add_func("/disk/a-crash-loses-the-end", test_a_crash_loses_the_end);
    g_test_add_func("/disk/promises", test_promises_are_held);
    g_test_add_func("/disk/failure", test_a_failure_is_told_and_ends_what_follows);
    return g_test_run();
}
