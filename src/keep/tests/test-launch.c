#include "keep/launch.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* A launch that is right; tests put one thing wrong. */
static json_t *good(void)
{
    json_t *json = json_pack("{ss si ss ss s[s] si si}", "vm", "vm-1", "epoch", 1, "launch", "01J",
                             "run-dir", "/run/berth/vm-1", "argv", "/usr/bin/qemu-system-x86_64",
                             "uid", 70001, "gid", 70001);
    g_assert_nonnull(json);
    return json;
}

static KeeperLaunch *read_text(const char *text, size_t length, GError **error)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("keep-launch-XXXXXX", &path, NULL);
    g_assert_cmpint(write(fd, text, length), ==, (gssize)length);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    KeeperLaunch *launch = keep_launch_read(fd, error);
    close(fd);
    g_unlink(path);
    return launch;
}

/* Takes `json`. */
static KeeperLaunch *read_json(json_t *json, GError **error)
{
    g_autofree char *text = codec_dump(json);
    json_decref(json);
    return read_text(text, strlen(text), error);
}

/* Takes `json`. */
static void assert_refused(json_t *json, const char *field)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(read_json(json, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
    g_assert_nonnull(berth_error_remedy(error));
}

static json_t *with(const char *key, json_t *value)
{
    json_t *json = good();
    json_object_set_new(json, key, value);
    return json;
}

static void test_a_good_one_has_its_defaults(void)
{
    json_t *json = good();
    json_object_set_new(json, "console", json_pack("{si}", "fd", 10));
    json_object_set_new(json, "of-a-newer-agent", json_true());
    g_autoptr(GError) error = NULL;
    g_autoptr(KeeperLaunch) launch = read_json(json, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(launch->vm, ==, "vm-1");
    g_assert_cmpint(launch->nofile, ==, 4096);
    g_assert_cmpint(launch->oom_score_adj, ==, 0);
    g_assert_cmpint(launch->console->ring_kib, ==, 64);
    g_assert_null(launch->netns);
}

static void test_what_would_be_root_is_refused(void)
{
    static const json_int_t ids[] = {4294967295, 4294967296, 4294967296 + 5, G_MAXINT64};
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        assert_refused(with("uid", json_integer(ids[i])), "uid");
        assert_refused(with("gid", json_integer(ids[i])), "gid");
    }
    g_autoptr(GError) error = NULL;
    g_assert_null(read_json(with("uid", json_integer(0)), &error));
    g_assert_cmpstr(berth_error_field(error), ==, "uid");
    g_autoptr(KeeperLaunch) last = read_json(with("uid", json_integer(4294967294)), NULL);
    g_assert_nonnull(last);
}

static void test_relative_paths_are_refused(void)
{
    assert_refused(with("run-dir", json_string("run/vm-1")), "run-dir");
    assert_refused(with("argv", json_pack("[s]", "qemu-system-x86_64")), "argv[0]");
}

static void test_a_descriptor_is_given_once(void)
{
    json_t *file = json_pack("[{si ss}]", "fd", 10, "path", "/dev/null");
    json_t *both = with("files", json_incref(file));
    json_object_set_new(both, "taps", json_pack("[{si ss}]", "fd", 10, "name", "bt0"));
    assert_refused(both, "taps[0].fd");
    both = with("files", json_incref(file));
    json_object_set_new(both, "listeners", json_pack("[{si ss}]", "fd", 10, "name", "qmp-0.sock"));
    assert_refused(both, "listeners[0].fd");
    both = with("files", json_incref(file));
    json_array_append_new(json_object_get(both, "files"),
                          json_pack("{si ss}", "fd", 10, "path", "/dev/zero"));
    assert_refused(both, "files[1].fd");
    json_decref(file);
    both = with("listeners", json_pack("[{si ss}]", "fd", 12, "name", "qmp-0.sock"));
    json_object_set_new(both, "console", json_pack("{si}", "fd", 12));
    assert_refused(both, "console.fd");
}

static void test_names_in_run_dir_are_taken_once(void)
{
    static const char *const own[] = {"keeper.sock", "console.sock", "console.ring", "launch.json",
                                      "exit.json"};
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        assert_refused(with("listeners", json_pack("[{si ss}]", "fd", 10, "name", own[i])),
                       "listeners[0].name");
    }
    assert_refused(with("listeners", json_pack("[{si ss} {si ss}]", "fd", 10, "name", "qmp.sock",
                                               "fd", 11, "name", "qmp.sock")),
                   "listeners[1].name");
    assert_refused(with("listeners", json_pack("[{si ss}]", "fd", 10, "name", "../qmp.sock")),
                   "listeners[0].name");
}

static void test_the_schema_is_held(void)
{
    static const char *const required[] = {"vm",   "epoch", "launch", "run-dir",
                                           "argv", "uid",   "gid"};
    for (size_t i = 0; i < G_N_ELEMENTS(required); i++) {
        json_t *json = good();
        json_object_del(json, required[i]);
        g_autoptr(GError) error = NULL;
        g_assert_null(read_json(json, &error));
        g_assert_cmpstr(berth_error_field(error), ==, required[i]);
    }
    g_autoptr(GError) error = NULL;
    g_assert_null(read_json(with("argv", json_array()), &error));
    g_assert_cmpstr(berth_error_field(error), ==, "argv");
    g_clear_error(&error);
    g_assert_null(
        read_json(with("files", json_pack("[{si ss}]", "fd", 3, "path", "/dev/null")), &error));
    g_assert_cmpstr(berth_error_field(error), ==, "files[0].fd");
}

static void test_env_names(void)
{
    assert_refused(with("env", json_pack("{ss}", "A=B", "c")), "env");
    assert_refused(with("env", json_pack("{ss}", "", "c")), "env");
    g_autoptr(KeeperLaunch) launch = read_json(with("env", json_pack("{ss}", "A", "b=c")), NULL);
    g_assert_nonnull(launch);
}

static void test_what_is_no_json(void)
{
    static const char *const texts[] = {"",     "{",         "[]", "null", "{\"vm\":\"a\"} x",
                                        "\xff", "{\"vm\":1}"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(read_text(texts[i], strlen(texts[i]), &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
    g_autofree char *deep = g_strnfill(200 * 1000, '[');
    g_autoptr(GError) error = NULL;
    g_assert_null(read_text(deep, strlen(deep), &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

static void test_too_much_is_refused_while_it_comes(void)
{
    int fd = g_open("/dev/zero", O_RDONLY | O_CLOEXEC, 0);
    g_autoptr(GError) error = NULL;
    g_assert_null(keep_launch_read(fd, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keep/launch/good-one-has-its-defaults", test_a_good_one_has_its_defaults);
    g_test_add_func("/keep/launch/what-would-be-root-is-refused",
                    test_what_would_be_root_is_refused);
    g_test_add_func("/keep/launch/relative-paths-are-refused", test_relative_paths_are_refused);
    g_test_add_func("/keep/launch/descriptor-is-given-once", test_a_descriptor_is_given_once);
    g_test_add_func("/keep/launch/names-in-run-dir-are-taken-once",
                    test_names_in_run_dir_are_taken_once);
    g_test_add_func("/keep/launch/schema-is-held", test_the_schema_is_held);
    g_test_add_func("/keep/launch/env-names", test_env_names);
    g_test_add_func("/keep/launch/what-is-no-json", test_what_is_no_json);
    g_test_add_func("/keep/launch/too-much-is-refused", test_too_much_is_refused_while_it_comes);
    return g_test_run();
}
