#include "sim/replay_trace.h"

#include "base/error.h"

#define HOSTS "cpu_milli,memory_mib,gpu,model\n"
#define TASKS "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time,deletion_time\n"

static void test_hosts_and_tasks(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReplayTrace) trace = replay_trace_parse(
        HOSTS "8000,1024,2,T4\n4000,512,0,\n",
        TASKS "1000,10,1,500,T4|A10,5,9\n2000,20,2,1000,,6,\n1,0,0,0,,7,7\n", true, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(trace->hosts->len, ==, 2);
    g_assert_cmpuint(trace->models->len, ==, 2);
    g_assert_cmpint(trace->total[REPLAY_CPU], ==, 12000);
    g_assert_cmpint(trace->total[REPLAY_GPU], ==, 2000);
    const ReplayTask *half = &g_array_index(trace->tasks, ReplayTask, 0);
    const ReplayTask *whole = &g_array_index(trace->tasks, ReplayTask, 1);
    g_assert_cmpuint(half->devices.slices, ==, 500);
    g_assert_cmpuint(half->devices.models, ==, 3);
    g_assert_cmpint(half->deleted, ==, 9);
    g_assert_cmpuint(whole->devices.n, ==, 2);
    g_assert_cmpuint(whole->devices.slices, ==, BERTH_PLACE_WHOLE);
    g_assert_cmpuint(whole->devices.models, ==, BERTH_PLACE_ANY_MODEL);
    g_assert_cmpint(whole->vector[REPLAY_GPU], ==, 2000);
    g_assert_cmpint(whole->deleted, ==, G_MAXINT64);
}

static void test_typical_kinds_by_popularity(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReplayTrace) trace = replay_trace_parse(
        HOSTS "8000,1024,2,T4\n",
        TASKS
        "1,9,1,500,,0,\n2,1,0,0,,0,\n1,8,1,500,,0,\n3,1,1,500,,0,\n2,7,0,0,,0,\n1,7,1,500,,0,\n",
        true, &error);
    g_autoptr(GArray) half = replay_trace_typical(trace, 50);
    g_autoptr(GArray) most = replay_trace_typical(trace, 80);
    g_autoptr(GArray) all = replay_trace_typical(trace, 100);

    g_assert_cmpuint(half->len, ==, 1); /* memory makes no other kind */
    g_assert_cmpuint(g_array_index(half, BerthPlaceTypical, 0).weight, ==, 3);
    g_assert_cmpuint(most->len, ==, 2);
    g_assert_cmpuint(g_array_index(most, BerthPlaceTypical, 1).weight, ==, 2);
    g_assert_cmpuint(g_array_index(most, BerthPlaceTypical, 1).devices.n, ==, 0);
    g_assert_cmpuint(all->len, ==, 3);
}

static void test_nonsense_is_refused(void)
{
    static const struct {
        const char *hosts, *tasks, *message;
    } cases[] = {
        {"cpu_milli,gpu\n1,1\n", TASKS "1,1,0,0,,0,\n",
         "hosts: line 1, column 1: a column is missing"},
        {HOSTS, TASKS "1,1,0,0,,0,\n", "hosts: line 2, column 1: the table has no hosts"},
        {HOSTS "1,1,65,T4\n", TASKS "1,1,0,0,,0,\n",
         "hosts: line 2, column 5: the number is out of its range"},
        {HOSTS "1,1,1,T4\n", TASKS, "tasks: line 2, column 1: the table has no tasks"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,1,0,,0,\n",
         "tasks: line 2, column 7: the number is out of its range"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,1,1001,,0,\n",
         "tasks: line 2, column 7: the number is out of its range"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,5,,0,\n",
         "tasks: line 2, column 7: the number is out of its range"},
        {HOSTS "1,1,1,T4\n", TASKS "0,0,0,0,,0,\n",
         "tasks: line 2, column 1: the task asks for nothing"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,0,,5,4\n",
         "tasks: line 2, column 12: the task ends before it begins"},
        {HOSTS "1,1,1,T4\n", "cpu_milli,memory_mib,num_gpu,gpu_milli\n1,1,0,0\n",
         "tasks: line 1, column 1: a column is missing"},
        {"", TASKS, "hosts: line 1, column 1: the file is empty"},
        {HOSTS "1,1,1,T4\n", "", "tasks: line 1, column 1: the file is empty"},
        {"1,2,3,T4\n", TASKS, "hosts: line 1, column 1: a column is missing"},
        {HOSTS "1,1,1,T4\n1,1,1\n", TASKS, "hosts: line 3, column 5: the line has 3 fields"},
        {HOSTS "1,1,1,T4,\n", TASKS, "hosts: line 2, column 10: the line has 5 fields"},
        {HOSTS "1,1,one,T4\n", TASKS, "hosts: line 2, column 5: this is not a whole number"},
        {HOSTS "1,-1,1,T4\n", TASKS, "hosts: line 2, column 3: the number is out of its range"},
        {HOSTS "18446744073709551617,1,1,T4\n", TASKS,
         "hosts: line 2, column 1: the number is out of its range"},
        {HOSTS "8796093022208,1,1,T4\n", TASKS,
         "hosts: line 2, column 1: the number is out of its range"},
        {HOSTS "1,1,2,T4|A10\n", TASKS,
         "hosts: line 2, column 7: the devices of a host are of one model"},
        {"gpu," HOSTS "1,1,1,1,T4\n", TASKS,
         "hosts: line 1, column 26: two columns have the same name"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,0,,x,\n",
         "tasks: line 2, column 10: this is not a whole number"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,0,,,\n", "tasks: line 2, column 10: a number is missing"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,0,,-1,\n",
         "tasks: line 2, column 10: the number is out of its range"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,0,,1,9223372036854775807\n",
         "tasks: line 2, column 12: the number is out of its range"},
        {HOSTS "1,1,1,T4\n", TASKS "1,1,0,0,,5,9\n1,1,0",
         "tasks: line 3, column 5: the line has 3 fields"},
        {HOSTS "1,1,1,T4\n", TASKS "1\t1\t0\t0\t\t5\t9\n",
         "tasks: line 2, column 1: the line has 1 field"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(replay_trace_parse(cases[i].hosts, cases[i].tasks, true, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(error->message, ==, cases[i].message);
        g_assert_nonnull(berth_error_remedy(error));
    }
}

static void test_blanks_order_and_further_columns_are_of_no_account(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReplayTrace) trace =
        replay_trace_parse("\xef\xbb\xbf"
                           "name, model ,gpu,memory_mib,cpu_milli\r\nh, T4 ,1,10,20\r\n",
                           TASKS "1,1,1,500,A10 | T4 | ,0,\n", true, &error);

    g_assert_no_error(error);
    g_assert_cmpint(g_array_index(trace->hosts, ReplayHost, 0).capacity[REPLAY_CPU], ==, 20);
    g_assert_cmpuint(trace->models->len, ==, 2);
    g_assert_cmpuint(g_array_index(trace->tasks, ReplayTask, 0).devices.models, ==, 3);
}

/* A trace may be played on another fleet than its own, where such tasks find no host. */
static void test_a_model_that_no_host_has_is_a_model(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReplayTrace) trace =
        replay_trace_parse(HOSTS "1,1,1,T4\n", TASKS "1,1,1,1,P100,0,\n", true, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(g_array_index(trace->tasks, ReplayTask, 0).devices.models, ==, 2);
}

static void test_too_many_models_are_refused(void)
{
    g_autoptr(GString) hosts = g_string_new(HOSTS);
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 65; i++) {
        g_string_append_printf(hosts, "1,1,1,M%d\n", i);
    }
    g_assert_null(replay_trace_parse(hosts->str, TASKS "1,1,0,0,,0,\n", true, &error));
    g_assert_cmpstr(error->message, ==, "hosts: line 66, column 7: there are too many models");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/replay_trace/read", test_hosts_and_tasks);
    g_test_add_func("/sim/replay_trace/typical", test_typical_kinds_by_popularity);
    g_test_add_func("/sim/replay_trace/nonsense", test_nonsense_is_refused);
    g_test_add_func("/sim/replay_trace/blanks",
                    test_blanks_order_and_further_columns_are_of_no_account);
    g_test_add_func("/sim/replay_trace/unknown-model", test_a_model_that_no_host_has_is_a_model);
    g_test_add_func("/sim/replay_trace/models", test_too_many_models_are_refused);
    return g_test_run();
}
