#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/process.h"
#include "keep/rundir.h"

typedef struct {
    char *path;
    KeepRunDir *dir;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    f->path = g_dir_make_tmp("berth-rundir-XXXXXX", NULL);
    g_chmod(f->path, 0711);
    f->dir = keep_run_dir_open(f->path, &error);
    g_assert_no_error(error);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    keep_run_dir_remove(f->dir, KEEP_FILE_LAUNCH);
    keep_run_dir_free(f->dir);
    g_assert_cmpint(g_rmdir(f->path), ==, 0); /* nothing is left, no temporary file either */
    g_free(f->path);
}

static void write_launch(Fixture *f, pid_t pid, int64_t ticks)
{
    g_autoptr(GError) error = NULL;
    json_t *status = json_pack("{sisI}", "pid", (int)pid, "start-ticks", (json_int_t)ticks);
    g_assert_true(keep_run_dir_write(f->dir, KEEP_FILE_LAUNCH, status, &error));
    g_assert_no_error(error);
    json_decref(status);
}

static void assert_refused(Fixture *f, BerthErrorCode code)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(keep_run_dir_open(f->path, &error));
    g_assert_error(error, BERTH_ERROR, (int)code);
    g_assert_cmpstr(berth_error_field(error), ==, "run-dir");
    g_assert_nonnull(berth_error_remedy(error));
}

static void reopen(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    f->dir = keep_run_dir_open(f->path, &error);
    g_assert_no_error(error);
}

static void test_one_keeper_at_a_time(Fixture *f, gconstpointer data)
{
    assert_refused(f, BERTH_ERROR_CONFLICT);
    g_clear_pointer(&f->dir, keep_run_dir_free);
    reopen(f);
}

static void test_qemu_that_outlived_its_keeper(Fixture *f, gconstpointer data)
{
    write_launch(f, getpid(), keep_process_start_ticks(getpid()));
    g_clear_pointer(&f->dir, keep_run_dir_free);
    assert_refused(f, BERTH_ERROR_CONFLICT);
    g_autofree char *file = g_build_filename(f->path, KEEP_FILE_LAUNCH, NULL);
    g_unlink(file);
    reopen(f);
}

static void test_pid_that_is_another_process_now(Fixture *f, gconstpointer data)
{
    write_launch(f, getpid(), keep_process_start_ticks(getpid()) - 1);
    g_clear_pointer(&f->dir, keep_run_dir_free);
    reopen(f);
}

static void test_directory_that_others_can_write_to(Fixture *f, gconstpointer data)
{
    g_clear_pointer(&f->dir, keep_run_dir_free);
    g_chmod(f->path, 0777);
    assert_refused(f, BERTH_ERROR_INVALID);
    g_chmod(f->path, 0711);
    reopen(f);
}

static void test_symbolic_link(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *link = g_strconcat(f->path, "-link", NULL);
    g_clear_pointer(&f->dir, keep_run_dir_free);
    g_assert_cmpint(symlink(f->path, link), ==, 0);
    g_assert_null(keep_run_dir_open(link, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_unlink(link);
    reopen(f);
}

static void test_written_whole_and_private(Fixture *f, gconstpointer data)
{
    struct stat st;
    g_autofree char *path = keep_run_dir_path(f->dir, KEEP_FILE_LAUNCH);
    write_launch(f, 1, 2);
    write_launch(f, 12345, 67);
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
    json_t *read = json_load_file(path, 0, NULL);
    g_assert_cmpint(json_integer_value(json_object_get(read, "pid")), ==, 12345);
    json_decref(read);
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer))
{
    g_autofree char *path = g_strconcat("/keep/rundir/", name, NULL);
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("one-keeper-at-a-time", test_one_keeper_at_a_time);
    add("qemu-that-outlived-its-keeper", test_qemu_that_outlived_its_keeper);
    add("pid-that-is-another-process-now", test_pid_that_is_another_process_now);
    add("directory-that-others-can-write-to", test_directory_that_others_can_write_to);
    add("symbolic-link", test_symbolic_link);
    add("written-whole-and-private", test_written_whole_and_private);
    return g_test_run();
}
