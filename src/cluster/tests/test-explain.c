#include <glib.h>

#include "cluster/explain.h"

static Explanation *explanation_of(guint n)
{
    Explanation *explanation = explanation_new();

    for (guint i = 0; i < n; i++) {
        HostVerdict *row = host_verdict_new();
        row->host = g_strdup_printf("host-%02u", i);
        row->chosen = i == 0;
        row->fits = i < 5;
        row->has_score = row->fits;
        row->score = i == 4 ? 0.25 : 0.5;
        row->verdict = g_strdup(i == 0 ? "chosen" : i < 5 ? "fits" : "short of memory by 2 GiB");
        g_ptr_array_add(explanation->hosts, row);
    }
    return explanation;
}

static void test_hosts_that_are_alike_are_one_row(void)
{
    ClusterCore core = {0};
    g_autoptr(Explanation) explanation = explanation_of(40);

    explanation_fold(&core, explanation);
    g_assert_cmpuint(explanation->hosts->len, ==, 4);
    const HostVerdict *chosen = explanation->hosts->pdata[0];
    const HostVerdict *fitting = explanation->hosts->pdata[1];
    const HostVerdict *worse = explanation->hosts->pdata[2];
    const HostVerdict *short_of = explanation->hosts->pdata[3];
    g_assert_cmpstr(chosen->host, ==, "host-00");
    g_assert_cmpint(chosen->count, ==, 1);
    g_assert_cmpint(fitting->count, ==, 3);
    g_assert_cmpstr(fitting->others->pdata[1], ==, "host-03");
    g_assert_cmpint(worse->count, ==, 1);
    g_assert_cmpstr(short_of->host, ==, "host-05");
    g_assert_cmpint(short_of->count, ==, 35);
    g_assert_cmpuint(short_of->others->len, ==, EXPLAIN_NAMES);
}

static void test_few_hosts_are_told_each(void)
{
    ClusterCore core = {0};
    g_autoptr(Explanation) explanation = explanation_of(EXPLAIN_EACH_HOST);

    explanation_fold(&core, explanation);
    g_assert_cmpuint(explanation->hosts->len, ==, EXPLAIN_EACH_HOST);
}

/* As often as it is asked for. */
static void test_who_may_not_list_hosts_is_told_how_many(void)
{
    ClusterPrincipal tenant = {.bound = true};
    ClusterCore core = {.asker = &tenant};
    g_autoptr(Explanation) explanation = explanation_of(10);

    for (int i = 0; i < 2; i++) {
        static const int64_t counts[] = {1, 3, 1, 5};
        explanation_fold(&core, explanation);
        g_assert_cmpuint(explanation->hosts->len, ==, G_N_ELEMENTS(counts));
        for (guint k = 0; k < explanation->hosts->len; k++) {
            const HostVerdict *row = explanation->hosts->pdata[k];
            g_assert_null(row->host);
            g_assert_cmpuint(row->others->len, ==, 0);
            g_assert_cmpint(row->count, ==, counts[k]);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/explain/hosts-that-are-alike-are-one-row",
                    test_hosts_that_are_alike_are_one_row);
    g_test_add_func("/cluster/explain/few-hosts-are-told-each", test_few_hosts_are_told_each);
    g_test_add_func("/cluster/explain/hosts-without-names",
                    test_who_may_not_list_hosts_is_told_how_many);
    return g_test_run();
}
