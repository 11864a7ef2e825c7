#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/cgroup.h"

/* Directories that look like cgroups: the keeper only reads and writes files in them. */
typedef struct {
    char *path;
} Fixture;

static const char *const names[] = {"cgroup.procs", "memory.events", "memory.oom_control"};

static char *in(const Fixture *f, const char *name)
{
    return g_build_filename(f->path, name, NULL);
}

static void put(const Fixture *f, const char *name, const char *content)
{
    g_autofree char *path = in(f, name);
    g_assert_true(g_file_set_contents(path, content, -1, NULL));
}

static void set_up(Fixture *f, gconstpointer data)
{
    f->path = g_dir_make_tmp("berth-cgroup-XXXXXX", NULL);
    put(f, "cgroup.procs", "");
}

static void tear_down(Fixture *f, gconstpointer data)
{
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = in(f, names[i]);
        g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(f->path), ==, 0);
    g_free(f->path);
}

static void test_pid_is_written(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *procs = in(f, "cgroup.procs");
    g_autofree char *written = NULL;
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    g_ptr_array_add(list, procs);
    g_assert_true(keep_cgroup_join(list, 4711, "cgroup-procs", &error));
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(procs, &written, NULL, NULL));
    g_assert_cmpstr(g_strchomp(written), ==, "4711");
}

static void test_group_that_is_not_there(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *procs = in(f, "cgroup.procs");
    g_autofree char *missing = in(f, "none/cgroup.procs");
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    g_ptr_array_add(list, procs);
    g_ptr_array_add(list, missing);
    g_assert_false(keep_cgroup_join(list, 4711, "cgroup-procs", &error));
    g_assert_cmpstr(berth_error_field(error), ==, "cgroup-procs[1]");
    g_assert_cmpstr(berth_error_value(error), ==, missing);
    g_assert_nonnull(berth_error_remedy(error));
}

static void assert_kills(const Fixture *f, const char *name, const char *content, uint64_t kills)
{
    put(f, name, content);
    g_autofree char *procs = in(f, "cgroup.procs");
    g_autofree char *expected = in(f, name);
    g_autofree char *file = keep_cgroup_oom_file(procs);
    g_assert_cmpstr(file, ==, expected);
    g_assert_cmpuint(keep_cgroup_oom_kills(file), ==, kills);
}

static void test_oom_kills_of_version_2(Fixture *f, gconstpointer data)
{
    assert_kills(f, "memory.events", "low 0\nhigh 9\nmax 8\noom 7\noom_kill 3\noom_group_kill 5\n",
                 3);
}

static void test_oom_kills_of_version_1(Fixture *f, gconstpointer data)
{
    assert_kills(f, "memory.oom_control", "oom_kill_disable 1\nunder_oom 6\noom_kill 2\n", 2);
}

static void test_group_without_memory_controller(Fixture *f, gconstpointer data)
{
    g_autofree char *procs = in(f, "cgroup.procs");
    g_assert_null(keep_cgroup_oom_file(procs));
}

static void test_group_that_went_away(Fixture *f, gconstpointer data)
{
    g_autofree char *gone = in(f, "none/memory.events");
    g_assert_cmpuint(keep_cgroup_oom_kills(gone), ==, 0);
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer))
{
    g_autofree char *path = g_strconcat("/keep/cgroup/", name, NULL);
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("pid-is-written", test_pid_is_written);
    add("group-that-is-not-there", test_group_that_is_not_there);
    add("oom-kills-of-version-2", test_oom_kills_of_version_2);
    add("oom-kills-of-version-1", test_oom_kills_of_version_1);
    add("group-without-memory-controller", test_group_without_memory_controller);
    add("group-that-went-away", test_group_that_went_away);
    return g_test_run();
}
