#include "sim/replay_run.h"

#include <string.h>

#include "base/error.h"
#include "sim/replay_chart.h"

#define HOSTS "cpu_milli,memory_mib,gpu,model\n4000,100,0,\n4000,100,1,T4\n"
#define TASKS "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time,deletion_time\n"

static ReplayTrace *parse(const char *tasks)
{
    g_autoptr(GError) error = NULL;
    ReplayTrace *trace = replay_trace_parse(HOSTS, tasks, true, &error);

    g_assert_no_error(error);
    return trace;
}

static ReplayResult *run(const ReplayTrace *trace, ReplayOptions options)
{
    g_autoptr(GError) error = NULL;
    options.typical_percent = 95;
    ReplayResult *result = replay_run(trace, &options, &error);

    g_assert_no_error(error);
    return result;
}

/* Two halves share the device from 10 on; at 20 one goes, and a third one comes in its stead; a fourth
 * finds none. A task that begins and ends at once is there for no time. */
static void test_tasks_come_and_go(void)
{
    g_autoptr(ReplayTrace) trace =
        parse(TASKS "1,1,1,500,,0,20\n1,1,1,500,T4,10,40\n1,1,1,500,,20,40\n1,1,1,500,,30,40\n"
                    "1,1,1,100,V100,5,40\n1,1,0,0,,20,20\n");
    g_autoptr(ReplayResult) result = run(trace, (ReplayOptions){.policy = BERTH_PLACE_FIRST_FIT});

    g_assert_cmpuint(result->last.arrived, ==, 6);
    g_assert_cmpuint(result->last.failed, ==, 2);
    g_assert_cmpuint(result->last.running, ==, 0);
    g_assert_cmpfloat(result->last.percent[REPLAY_GPU], ==, 0);
    g_assert_cmpfloat(result->peak_gpu_percent, ==, 100);
    g_assert_cmpfloat_with_epsilon(result->mean_gpu_percent, (50 * 10 + 100 * 30) / 40.0, 1e-9);
    g_assert_cmpfloat(result->last.at, ==, 40);
    const ReplaySample *early = &g_array_index(result->samples, ReplaySample, 1);
    g_assert_cmpfloat(early->at, ==, 0.2);
    g_assert_cmpfloat(early->percent[REPLAY_GPU], ==, 50);
}

static void test_arrivals_fill_up_and_repeat_by_seed(void)
{
    g_autoptr(ReplayTrace) trace = parse(TASKS "1,1,1,250,,0,1\n1,1,0,0,,0,1\n1,1,1,500,,0,1\n");
    ReplayOptions options = {
        .policy = BERTH_PLACE_FRAGMENTATION, .arrival_percent = 100, .seed = 3};

    for (int random = 0; random < 2; random++) {
        options.random = random != 0;
        g_autoptr(ReplayResult) one = run(trace, options), other = run(trace, options);
        g_assert_cmpfloat(one->last.at, >=, 100);
        g_assert_cmpfloat(one->last.percent[REPLAY_GPU], >, 50);
        g_assert_cmpuint(one->last.running + one->last.failed, ==, one->last.arrived);
        g_assert_cmpuint(one->samples->len, ==, other->samples->len);
        g_assert_cmpmem(one->samples->data, one->samples->len * sizeof(ReplaySample),
                        other->samples->data, other->samples->len * sizeof(ReplaySample));
    }
}

static void test_hosts_without_devices_can_be_left_out(void)
{
    g_autoptr(ReplayTrace) trace = parse(TASKS "4000,1,0,0,,0,\n4000,1,0,0,,1,\n");
    ReplayOptions options = {.policy = BERTH_PLACE_FIRST_FIT};
    g_autoptr(ReplayResult) all = run(trace, options);
    options.only_device_hosts = true;
    g_autoptr(ReplayResult) few = run(trace, options);

    g_assert_cmpuint(all->last.failed, ==, 0);
    g_assert_cmpuint(few->last.failed, ==, 1);
    g_assert_cmpfloat(few->last.percent[REPLAY_CPU], ==, 100);
}

static void test_arrivals_need_devices(void)
{
    g_autoptr(ReplayTrace) trace = parse(TASKS "4000,1,0,0,,0,\n");
    g_autoptr(GError) error = NULL;
    ReplayOptions options = {.arrival_percent = 100, .typical_percent = 95};

    g_assert_null(replay_run(trace, &options, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_clear_error(&error);

    g_autoptr(GString) tasks = g_string_new(TASKS "1,1,1,1,,0,\n");
    for (int i = 0; i < 20000; i++) {
        g_string_append(tasks, "1,1,0,0,,0,\n");
    }
    g_autoptr(ReplayTrace) small = parse(tasks->str);
    g_assert_null(replay_run(small, &options, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

static void test_the_chart_is_whole(void)
{
    g_autoptr(ReplayTrace) trace = parse(TASKS "1,1,1,500,,0,20\n");
    g_autoptr(ReplayResult) result = run(trace, (ReplayOptions){.policy = BERTH_PLACE_FIRST_FIT});
    g_autofree char *svg = replay_chart(result, "a <b> & c", false);

    g_assert_true(g_str_has_prefix(svg, "<svg "));
    g_assert_true(g_str_has_suffix(svg, "</svg>\n"));
    g_assert_nonnull(strstr(svg, "a &lt;b&gt; &amp; c"));
    g_assert_null(strstr(svg, "nan"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/replay_run/come-and-go", test_tasks_come_and_go);
    g_test_add_func("/sim/replay_run/arrivals", test_arrivals_fill_up_and_repeat_by_seed);
    g_test_add_func("/sim/replay_run/only-device-hosts",
                    test_hosts_without_devices_can_be_left_out);
    g_test_add_func("/sim/replay_run/needs-devices", test_arrivals_need_devices);
    g_test_add_func("/sim/replay_run/chart", test_the_chart_is_whole);
    return g_test_run();
}
