#include "qemu/ga_commands.h"

#include <string.h>

#include "base/error.h"
#include "qemu/tests/fake-qmp.h"

typedef struct {
    FakeQmp *fake;
    Ga *ga;
    GString *seen;
    bool done;
} Fixture;

static void start(Fixture *f, const char *const *script)
{
    *f = (Fixture){.seen = g_string_new(NULL)};
    int fd;
    f->fake = fake_qmp_start(script, &fd);
    f->ga = ga_new(fd, NULL, NULL);
}

static void finish(Fixture *f, const char *expected)
{
    while (!f->done) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpstr(f->seen->str, ==, expected);
    g_clear_pointer(&f->ga, ga_free);
    fake_qmp_finish(f->fake);
    g_string_free(f->seen, TRUE);
}

static void end(Fixture *f, const GError *error)
{
    g_assert_false(f->done);
    f->done = true;
    if (error != NULL) {
        g_string_append(f->seen, berth_error_code_name(error));
    }
}

static void on_done(const GError *error, gpointer user_data)
{
    end(user_data, error);
}

static void test_ping(void)
{
    static const char *const script[] = {
        "sync", "> {\"execute\":\"guest-ping\"}", "< {\"return\":{}}", "until-closed", NULL,
    };
    Fixture f;
    start(&f, script);
    ga_ping(f.ga, 5000, on_done, &f);
    finish(&f, "");
}

static void on_vcpus(const GaVcpu *vcpus, size_t n, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(f->seen, "%d:%d:%d ", (int)vcpus[i].id, vcpus[i].online,
                               vcpus[i].can_offline);
    }
    end(f, error);
}

#define TWO_OF_FOUR                                                                                \
    "< {\"return\":[{\"logical-id\":3,\"online\":false,\"can-offline\":true},"                     \
    "{\"logical-id\":0,\"online\":true,\"can-offline\":false},"                                    \
    "{\"logical-id\":1,\"online\":true,\"can-offline\":true},"                                     \
    "{\"logical-id\":2,\"online\":false}]}"

static void test_get_vcpus(void)
{
    static const char *const script[] = {
        "sync", "> {\"execute\":\"guest-get-vcpus\"}", TWO_OF_FOUR, "until-closed", NULL,
    };
    Fixture f;
    start(&f, script);
    ga_get_vcpus(f.ga, 5000, on_vcpus, &f);
    finish(&f, "3:0:1 0:1:0 1:1:1 2:0:0 ");
}

static void test_misshapen_answers(void)
{
    static const char *const answers[] = {
        "< {\"return\":{}}", "< {\"return\":[1]}",
        "< {\"return\":[{\"logical-id\":\"0\",\"online\":true}]}"};
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
        const char *script[] = {"sync", "> *", answers[i], "until-closed", NULL};
        Fixture f;
        start(&f, script);
        ga_get_vcpus(f.ga, 5000, on_vcpus, &f);
        finish(&f, "invalid");
    }
}

static void on_count(gint64 count, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    if (error == NULL) {
        g_string_append_printf(f->seen, "%d", (int)count);
    }
    end(f, error);
}

static void test_set_vcpus(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"guest-set-vcpus\",\"arguments\":{\"vcpus\":"
        "[{\"logical-id\":1,\"online\":false}]}}",
        "< {\"return\":1}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    GaVcpu vcpu = {.id = 1, .online = false};
    ga_set_vcpus(f.ga, &vcpu, 1, 5000, on_count, &f);
    finish(&f, "1");
}

static void test_online_up(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"guest-get-vcpus\"}",
        TWO_OF_FOUR,
        "> {\"execute\":\"guest-set-vcpus\",\"arguments\":{\"vcpus\":"
        "[{\"logical-id\":2,\"online\":true}]}}",
        "< {\"return\":1}",
        "> {\"execute\":\"guest-get-vcpus\"}",
        "< {\"return\":[{\"logical-id\":0,\"online\":true},{\"logical-id\":1,\"online\":true},"
        "{\"logical-id\":2,\"online\":true}]}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_set_online(f.ga, 3, 5000, on_count, &f);
    finish(&f, "3");
}

static void test_online_down_spares_the_boot_cpu(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"guest-get-vcpus\"}",
        TWO_OF_FOUR,
        "> {\"execute\":\"guest-set-vcpus\",\"arguments\":{\"vcpus\":"
        "[{\"logical-id\":1,\"online\":false}]}}",
        "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"busy\"}}",
        "> {\"execute\":\"guest-get-vcpus\"}",
        TWO_OF_FOUR,
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_set_online(f.ga, 0, 5000, on_count, &f);
    finish(&f, "2");
}

static void test_online_as_wanted_changes_nothing(void)
{
    static const char *const script[] = {"sync", "> *", TWO_OF_FOUR, "until-closed", NULL};
    Fixture f;
    start(&f, script);
    ga_set_online(f.ga, 2, 5000, on_count, &f);
    finish(&f, "2");
}

static void on_exec(const GaExecResult *result, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    if (result != NULL) {
        gsize out_size, err_size;
        const char *out = g_bytes_get_data(result->out, &out_size);
        const char *err = g_bytes_get_data(result->err, &err_size);
        g_string_append_printf(f->seen, "%d %d '%.*s' '%.*s' %d", result->exit_code, result->signal,
                               (int)out_size, out_size > 0 ? out : "", (int)err_size,
                               err_size > 0 ? err : "", result->truncated);
    }
    end(f, error);
}

static const char *const ls[] = {"/bin/ls", "-l", NULL};

static void test_exec(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/ls\",\"arg\":[\"-l\"],"
        "\"env\":[\"A=b\"],\"capture-output\":true,\"input-data\":\"aGk=\"}}",
        "< {\"return\":{\"pid\":77}}",
        "> {\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":77}}",
        "< {\"return\":{\"exited\":false}}",
        "> {\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":77}}",
        "< {\"return\":{\"exited\":true,\"exitcode\":3,\"out-data\":\"aGVsbG8=\","
        "\"err-data\":\"b2g=\"}}",
        "until-closed",
        NULL,
    };
    static const char *const env[] = {"A=b", NULL};
    Fixture f;
    start(&f, script);
    GaExec exec = {.argv = ls, .env = env, .input = "hi", .input_size = 2};
    ga_exec(f.ga, &exec, 5000, on_exec, &f);
    finish(&f, "3 0 'hello' 'oh' 0");
}

static void assert_exec(const char *status, size_t max_bytes, const char *expected)
{
    const char *script[] = {
        "sync", "> *", "< {\"return\":{\"pid\":77}}", "> *", status, "until-closed", NULL,
    };
    Fixture f;
    start(&f, script);
    GaExec exec = {.argv = ls, .max_output_bytes = max_bytes};
    ga_exec(f.ga, &exec, 5000, on_exec, &f);
    finish(&f, expected);
}

static void test_exec_ends(void)
{
    assert_exec("< {\"return\":{\"exited\":true,\"signal\":9}}", 0, "-1 9 '' '' 0");
    assert_exec("< {\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"aGVsbG8=\"}}", 3,
                "0 0 'hel' '' 1");
    assert_exec("< {\"return\":{\"exited\":true,\"exitcode\":0,\"out-truncated\":true}}", 0,
                "0 0 '' '' 1");
    assert_exec("< {\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"a?b\"}}", 0,
                "invalid");
    assert_exec("< {\"return\":{\"exited\":true}}", 0, "invalid");
    assert_exec("< {\"return\":{}}", 0, "invalid");
    assert_exec("< {\"error\":{\"class\":\"GenericError\",\"desc\":\"no such pid\"}}", 0,
                "internal");
}

static void test_exec_of_no_program(void)
{
    static const struct {
        const char *answer, *expected;
    } cases[] = {
        {"< {\"error\":{\"class\":\"GenericError\",\"desc\":\"Guest agent command failed, error "
         "was "
         "'Failed to execute child process \u201c/bin/ls\u201d (No such file or directory)'\"}}",
         "invalid"},
        {"< {\"error\":{\"class\":\"GenericError\",\"desc\":\"Guest agent command failed\"}}",
         "internal"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *script[] = {"sync", "> *", cases[i].answer, "until-closed", NULL};
        Fixture f;
        start(&f, script);
        GaExec exec = {.argv = ls};
        ga_exec(f.ga, &exec, 5000, on_exec, &f);
        finish(&f, cases[i].expected);
    }
}

static void on_failed(const GaExecResult *result, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    g_assert_null(result);
    g_string_append_printf(f->seen, "%s: %s ", berth_error_field(error), error->message);
    end(f, error);
}

/* The agent's answer is too large, or does not come in time: said of the program, not of the agent. */
static void test_exec_that_prints_too_much(void)
{
    g_autofree char *much = g_strnfill(GA_MAX_LINE_BYTES, 'A');
    g_autofree char *line = g_strdup_printf(
        "< {\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"%s\"}}", much);
    const struct {
        const char *answer, *expected;
    } cases[] = {
        {line, "argv: the program has ended, but printed more than can be fetched: of each stream "
               "1048576 bytes are kept too-large"},
        {"until-closed", "argv: the guest did not tell within 200 ms how the program ended and "
                         "what it printed timeout"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool silent = cases[i].answer != line;
        const char *script[] = {
            "sync", "> *",           "< {\"return\":{\"pid\":77}}",
            "> *",  cases[i].answer, silent ? NULL : "until-closed",
            NULL,
        };
        Fixture f;
        start(&f, script);
        GaExec exec = {.argv = ls};
        ga_exec(f.ga, &exec, silent ? 200 : 5000, on_failed, &f);
        finish(&f, cases[i].expected);
    }
}

static void test_exec_that_does_not_end(void)
{
    static const char *const script[] = {
        "sync",
        "> *",
        "< {\"return\":{\"pid\":77}}",
        "> *",
        "< {\"return\":{\"exited\":false}}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    GaExec exec = {.argv = ls};
    ga_exec(f.ga, &exec, 25, on_exec, &f);
    finish(&f, "timeout");
}

static void test_free_while_a_program_runs(void)
{
    static const char *const script[] = {
        "sync",
        "> *",
        "< {\"return\":{\"pid\":77}}",
        "> *",
        "< {\"return\":{\"exited\":false}}",
        "> *",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    GaExec exec = {.argv = ls};
    ga_exec(f.ga, &exec, 60000, on_exec, &f);
    gint64 until = g_get_monotonic_time() + 100000;
    while (g_get_monotonic_time() < until) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    g_assert_false(f.done);
    g_clear_pointer(&f.ga, ga_free);
    finish(&f, "unavailable");
}

static void on_bytes(GBytes *bytes, const GError *error, gpointer user_data)
{
    Fixture *f = user_data;
    if (bytes != NULL) {
        gsize size;
        const char *data = g_bytes_get_data(bytes, &size);
        g_string_append_len(f->seen, data, (gssize)size);
    }
    end(f, error);
}

#define OPENED                                                                                     \
    "sync",                                                                                        \
        "> {\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/proc/pressure/cpu\","       \
        "\"mode\":\"r\"}}",                                                                        \
        "< {\"return\":1000}"
#define CLOSED "> {\"execute\":\"guest-file-close\",\"arguments\":{\"handle\":1000}}"

static void test_read_file(void)
{
    static const char *const script[] = {
        OPENED,
        "> {\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":1000,\"count\":101}}",
        "< {\"return\":{\"count\":5,\"buf-b64\":\"c29tZSA=\",\"eof\":false}}",
        "> {\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":1000,\"count\":96}}",
        "< {\"return\":{\"count\":0,\"buf-b64\":\"\",\"eof\":true}}",
        CLOSED,
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_read_file(f.ga, "/proc/pressure/cpu", 100, 5000, on_bytes, &f);
    finish(&f, "some ");
}

static void assert_read(const char *answer, const char *expected)
{
    const char *script[] = {OPENED, "> *", answer, CLOSED, "until-closed", NULL};
    Fixture f;
    start(&f, script);
    ga_read_file(f.ga, "/proc/pressure/cpu", 4, 5000, on_bytes, &f);
    finish(&f, expected);
}

static void test_read_failures_close_the_file(void)
{
    assert_read("< {\"return\":{\"count\":5,\"buf-b64\":\"c29tZSA=\",\"eof\":true}}", "too-large");
    assert_read("< {\"return\":{\"count\":5,\"buf-b64\":\"!\",\"eof\":true}}", "invalid");
    assert_read("< {\"return\":[]}", "invalid");
    assert_read("< {\"error\":{\"class\":\"GenericError\",\"desc\":\"x\"}}", "internal");
}

static void test_read_of_a_missing_file(void)
{
    static const char *const script[] = {
        "sync",
        "> *",
        "< {\"error\":{\"class\":\"GenericError\",\"desc\":\"No such file\"}}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_read_file(f.ga, "/x", 4, 5000, on_bytes, &f);
    finish(&f, "internal");
}

static void on_interfaces(const GaInterface *interfaces, size_t n, const GError *error,
                          gpointer user_data)
{
    Fixture *f = user_data;
    for (size_t i = 0; i < n; i++) {
        g_autofree char *addresses = g_strjoinv(",", (char **)interfaces[i].addresses);
        g_string_append_printf(f->seen, "%s=%s=%s ", interfaces[i].name,
                               interfaces[i].mac != NULL ? interfaces[i].mac : "-", addresses);
    }
    end(f, error);
}

static void test_interfaces(void)
{
    static const char *const script[] = {
        "sync",
        "> {\"execute\":\"guest-network-get-interfaces\"}",
        "< {\"return\":[{\"name\":\"lo\"},{\"name\":\"eth0\","
        "\"hardware-address\":\"52:54:00:12:34:56\",\"ip-addresses\":["
        "{\"ip-address\":\"10.0.0.5\",\"ip-address-type\":\"ipv4\",\"prefix\":24},"
        "{\"ip-address\":\"fe80::1\",\"ip-address-type\":\"ipv6\",\"prefix\":64}]}]}",
        "until-closed",
        NULL,
    };
    Fixture f;
    start(&f, script);
    ga_get_interfaces(f.ga, 5000, on_interfaces, &f);
    finish(&f, "lo=-= eth0=52:54:00:12:34:56=10.0.0.5/24,fe80::1/64 ");
}

static void test_misshapen_interfaces(void)
{
    static const char *const answers[] = {
        "< {\"return\":{}}", "< {\"return\":[{}]}",
        "< {\"return\":[{\"name\":\"a\",\"ip-addresses\":[{\"prefix\":1}]}]}"};
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
        const char *script[] = {"sync", "> *", answers[i], "until-closed", NULL};
        Fixture f;
        start(&f, script);
        ga_get_interfaces(f.ga, 5000, on_interfaces, &f);
        finish(&f, "invalid");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/ga-commands/ping", test_ping);
    g_test_add_func("/qemu/ga-commands/get-vcpus", test_get_vcpus);
    g_test_add_func("/qemu/ga-commands/misshapen-answers", test_misshapen_answers);
    g_test_add_func("/qemu/ga-commands/set-vcpus", test_set_vcpus);
    g_test_add_func("/qemu/ga-commands/online-up", test_online_up);
    g_test_add_func("/qemu/ga-commands/online-down", test_online_down_spares_the_boot_cpu);
    g_test_add_func("/qemu/ga-commands/online-as-wanted", test_online_as_wanted_changes_nothing);
    g_test_add_func("/qemu/ga-commands/exec", test_exec);
    g_test_add_func("/qemu/ga-commands/exec-ends", test_exec_ends);
    g_test_add_func("/qemu/ga-commands/exec-of-no-program", test_exec_of_no_program);
    g_test_add_func("/qemu/ga-commands/exec-that-does-not-end", test_exec_that_does_not_end);
    g_test_add_func("/qemu/ga-commands/exec-that-prints-too-much", test_exec_that_prints_too_much);
    g_test_add_func("/qemu/ga-commands/free-while-running", test_free_while_a_program_runs);
    g_test_add_func("/qemu/ga-commands/read-file", test_read_file);
    g_test_add_func("/qemu/ga-commands/read-failures", test_read_failures_close_the_file);
    g_test_add_func("/qemu/ga-commands/read-missing", test_read_of_a_missing_file);
    g_test_add_func("/qemu/ga-commands/interfaces", test_interfaces);
    g_test_add_func("/qemu/ga-commands/misshapen-interfaces", test_misshapen_interfaces);
    return g_test_run();
}
