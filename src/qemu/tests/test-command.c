#include "qemu/command.h"

#include "base/error.h"

static void assert_refused(CommandLine *line, const char *field)
{
    g_autoptr(GError) error = NULL;
    Command *command = command_line_take(line, &error);
    g_assert_null(command);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, field);
}

static void test_arguments_in_order(void)
{
    CommandLine *line = command_line_new("/bin/q");
    command_line_args(line, "-a", "b c", NULL);
    command_line_option(line, "-device", "virtio-net-pci", "id", "net0", "romfile", "", NULL);
    command_line_suboption(line, "addr", "0x%x", 20);
    command_line_option(line, "-smp", NULL, "cpus", "2", "maxcpus", "4", NULL);
    command_line_arg_format(line, "%dk", 262152);
    g_autoptr(Command) command = command_line_take(line, NULL);
    const char *expected[] = {"/bin/q",
                              "-a",
                              "b c",
                              "-device",
                              "virtio-net-pci,id=net0,romfile=,addr=0x14",
                              "-smp",
                              "cpus=2,maxcpus=4",
                              "262152k",
                              NULL};
    g_assert_cmpstrv(command->argv, expected);
    g_assert_null(command->env[0]);
    g_assert_cmpuint(command->n_fds, ==, 0);
}

static void test_commas_are_doubled(void)
{
    CommandLine *line = command_line_new("q");
    command_line_option(line, "-x", "a,b", "path", "/tmp/a,,b=c", NULL);
    command_line_suboption(line, "more", "%s,%s", "1", "2");
    g_autoptr(Command) command = command_line_take(line, NULL);
    g_assert_cmpstr(command->argv[2], ==, "a,,b,path=/tmp/a,,,,b=c,more=1,,2");
    g_autofree char *empty = command_line_escape("");
    g_assert_cmpstr(empty, ==, "");
}

static void test_json_value(void)
{
    CommandLine *line = command_line_new("q");
    command_line_json(line, "-blockdev", json_pack("{s:s,s:n}", "driver", "qcow2", "backing"));
    g_autoptr(Command) command = command_line_take(line, NULL);
    g_assert_cmpstr(command->argv[2], ==, "{\"driver\":\"qcow2\",\"backing\":null}");
}

static void test_first_error_waits_for_take(void)
{
    CommandLine *line = command_line_new("q");
    command_line_option(line, "-device", "a", "id", NULL, "never-read", "x", NULL);
    command_line_option(line, "-device", "a", "b=c", "x", NULL);
    command_line_use_fd(line, 1, "tap");
    assert_refused(line, "id");
}

static void test_bad_uses_are_refused(void)
{
    assert_refused(command_line_new(NULL), "program");
    assert_refused(command_line_new(""), "program");

    CommandLine *line = command_line_new("q");
    command_line_option(line, "-device", "a", "b,c", "x", NULL);
    assert_refused(line, "key");

    line = command_line_new("q");
    command_line_args(line, "-nodefaults", NULL);
    command_line_suboption(line, "id", "x");
    assert_refused(line, "id");

    line = command_line_new("q");
    command_line_json(line, "-blockdev", json_pack("{s:s}", "file", "\xFF"));
    assert_refused(line, "-blockdev");

    line = command_line_new("q");
    command_line_set_env(line, "A=B", "c");
    assert_refused(line, "environment");
}

static void test_descriptors(void)
{
    CommandLine *line = command_line_new("q");
    command_line_use_fd(line, 12, "tap of net0");
    command_line_use_fd(line, 10, "disk0");
    g_autoptr(Command) command = command_line_take(line, NULL);
    g_assert_cmpuint(command->n_fds, ==, 2);
    g_assert_cmpint(command->fds[0], ==, 12);
    g_assert_cmpint(command->fds[1], ==, 10);

    line = command_line_new("q");
    command_line_use_fd(line, 12, "tap of net0");
    command_line_use_fd(line, 12, "disk0");
    g_autoptr(GError) error = NULL;
    g_assert_null(command_line_take(line, &error));
    g_assert_cmpstr(berth_error_field(error), ==, "disk0");
    g_assert_cmpstr(berth_error_value(error), ==, "12");
    g_assert_nonnull(strstr(error->message, "tap of net0"));

    line = command_line_new("q");
    command_line_use_fd(line, 2, "disk0");
    assert_refused(line, "disk0");
}

static void test_line_pastes_into_a_shell(void)
{
    CommandLine *line = command_line_new("/bin/echo");
    command_line_set_env(line, "HOME", "/a b");
    command_line_args(line, "plain,x=1", "it's", "", "a b", "$HOME", NULL);
    g_autoptr(Command) command = command_line_take(line, NULL);
    g_autofree char *text = command_line_to_string(command);
    g_auto(GStrv) words = NULL;
    g_assert_true(g_shell_parse_argv(text, NULL, &words, NULL));
    g_assert_cmpstr(words[0], ==, "HOME=/a b");
    g_assert_cmpstrv(words + 1, command->argv);
    g_assert_nonnull(strstr(text, " plain,x=1 "));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/command/arguments-in-order", test_arguments_in_order);
    g_test_add_func("/qemu/command/commas-are-doubled", test_commas_are_doubled);
    g_test_add_func("/qemu/command/json-value", test_json_value);
    g_test_add_func("/qemu/command/first-error-waits-for-take", test_first_error_waits_for_take);
    g_test_add_func("/qemu/command/bad-uses-are-refused", test_bad_uses_are_refused);
    g_test_add_func("/qemu/command/descriptors", test_descriptors);
    g_test_add_func("/qemu/command/line-pastes-into-a-shell", test_line_pastes_into_a_shell);
    return g_test_run();
}
