#include "place/fairness.h"

#include <glib.h>

#define N_DIMS 3

static void test_the_example_of_the_paper(void)
{
    /* 9 CPUs and 18 GB; A's tasks want <1 CPU, 4 GB>, B's <3 CPUs, 1 GB>: A gets 3 tasks, B 2. */
    const int64_t total[] = {9, 18}, nothing[] = {0, 0};
    const int64_t wants[2][2] = {{1, 4}, {3, 1}};
    const BerthFairTenant tenants[] = {{nothing, 1}, {nothing, 1}};
    int64_t left[] = {9, 18};
    int got[2] = {0};
    BerthFair *fair;
    g_assert_cmpint(berth_fair_new(2, total, 2, tenants, &fair), ==, BERTH_PLACE_OK);
    for (uint32_t i = 0; i < 20; i++) {
        g_assert_cmpint(berth_fair_add(fair, i, i / 10, 0, i), ==, BERTH_PLACE_OK);
    }
    uint32_t request;
    while (berth_fair_next(fair, &request)) {
        uint32_t t = request / 10;
        if (wants[t][0] <= left[0] && wants[t][1] <= left[1]) {
            left[0] -= wants[t][0];
            left[1] -= wants[t][1];
            got[t]++;
            g_assert_cmpint(berth_fair_grant(fair, request, wants[t]), ==, BERTH_PLACE_OK);
        }
    }
    g_assert_cmpint(got[0], ==, 3);
    g_assert_cmpint(got[1], ==, 2);
    g_assert_cmpfloat(berth_fair_share(fair, 0), ==, 12. / 18);
    g_assert_cmpfloat(berth_fair_share(fair, 1), ==, 6. / 9);
    berth_fair_free(fair);
}

static void test_priority_goes_before_share_and_age_within_a_tenant(void)
{
    const int64_t total[] = {100}, little[] = {1}, much[] = {50};
    const BerthFairTenant tenants[] = {{much, 1}, {little, 1}};
    BerthFair *fair;
    berth_fair_new(1, total, 2, tenants, &fair);
    berth_fair_add(fair, 0, 0, 500, 10);
    berth_fair_add(fair, 1, 0, 500, 5);
    berth_fair_add(fair, 2, 1, 500, 20);
    berth_fair_add(fair, 3, 0, 900, 30);
    static const uint32_t order[] = {3, 2, 1, 0};
    uint32_t request;
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
        g_assert_true(berth_fair_next(fair, &request));
        g_assert_cmpuint(request, ==, order[i]);
    }
    g_assert_false(berth_fair_next(fair, &request));
    berth_fair_free(fair);
}

static void test_weights_and_dimensions_that_nobody_has(void)
{
    const int64_t total[] = {100, 0, 10}, usage[] = {20, 7, 5};
    uint32_t dim;
    g_assert_cmpfloat(berth_dominant_share(3, usage, total, 1, &dim), ==, 0.5);
    g_assert_cmpuint(dim, ==, 2);
    g_assert_cmpfloat(berth_dominant_share(3, usage, total, 2, NULL), ==, 0.25);
    g_assert_cmpfloat(berth_dominant_share(2, (int64_t[]){0, 3}, total, 1, &dim), ==, 0);
    g_assert_cmpuint(dim, ==, BERTH_PLACE_NONE);
}

static void test_what_is_wrong_is_refused(void)
{
    const int64_t total[] = {10}, usage[] = {1}, debt[] = {-1};
    BerthFair *fair = NULL;
    g_assert_cmpint(berth_fair_new(0, total, 0, NULL, &fair), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_fair_new(1, total, 1, &(BerthFairTenant){usage, 0}, &fair), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_fair_new(1, total, 1, &(BerthFairTenant){debt, 1}, &fair), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_null(fair);
    berth_fair_new(1, total, 1, &(BerthFairTenant){usage, 1}, &fair);
    g_assert_cmpint(berth_fair_add(fair, 0, 1, 0, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_fair_add(fair, 7, 0, 0, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_fair_grant(fair, 7, usage), ==, BERTH_PLACE_ERROR_ARGUMENT);
    uint32_t request;
    g_assert_true(berth_fair_next(fair, &request));
    g_assert_cmpint(berth_fair_add(fair, 8, 0, 0, 0), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_fair_grant(fair, 7, debt), ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(berth_fair_grant(fair, 7, usage), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_fair_grant(fair, 7, usage), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_false(berth_fair_next(fair, &request));
    berth_fair_free(fair);
}

typedef struct {
    uint32_t tenant;
    int32_t priority;
    int64_t since, vector[N_DIMS];
    bool done;
} Waiting;

static bool fits(const int64_t *vector, const int64_t *left)
{
    bool ok = true;
    for (int d = 0; d < N_DIMS; d++) {
        ok = ok && vector[d] <= left[d];
    }
    return ok;
}

/* Whenever one is granted, nobody who would fit has a better claim: a higher priority, or the same
 * and a smaller share, or is of the same tenant and older. */
static void check_grant(const Waiting *all, int n, const Waiting *granted, const int64_t *left,
                        const BerthFair *fair)
{
    for (int i = 0; i < n; i++) {
        const Waiting *w = &all[i];
        if (w->done || w == granted || !fits(w->vector, left) || w->priority < granted->priority) {
            continue;
        }
        g_assert_cmpint(w->priority, ==, granted->priority);
        g_assert_cmpfloat(berth_fair_share(fair, w->tenant), >=,
                          berth_fair_share(fair, granted->tenant));
        if (w->tenant == granted->tenant) {
            g_assert_cmpint(w->since, >=, granted->since);
        }
    }
}

static void play(GRand *rand)
{
    enum { TENANTS = 5, REQUESTS = 40 };
    int64_t total[N_DIMS], left[N_DIMS], usage[TENANTS][N_DIMS] = {{0}};
    BerthFairTenant tenants[TENANTS];
    Waiting all[REQUESTS];
    for (int d = 0; d < N_DIMS; d++) {
        total[d] = g_rand_int_range(rand, 50, 200);
        left[d] = total[d];
        for (int t = 0; t < TENANTS; t++) {
            usage[t][d] = g_rand_int_range(rand, 0, 8);
            left[d] -= usage[t][d];
        }
    }
    for (int t = 0; t < TENANTS; t++) {
        tenants[t] = (BerthFairTenant){usage[t], (uint32_t)g_rand_int_range(rand, 1, 4)};
    }
    BerthFair *fair;
    g_assert_cmpint(berth_fair_new(N_DIMS, total, TENANTS, tenants, &fair), ==, BERTH_PLACE_OK);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        all[i] = (Waiting){.tenant = (uint32_t)g_rand_int_range(rand, 0, TENANTS),
                           .priority = g_rand_int_range(rand, 0, 3),
                           .since = g_rand_int_range(rand, 0, 1000)};
        for (int d = 0; d < N_DIMS; d++) {
            all[i].vector[d] = g_rand_int_range(rand, 0, 30);
        }
        berth_fair_add(fair, i, all[i].tenant, all[i].priority, all[i].since);
    }
    uint32_t request;
    int asked = 0;
    while (berth_fair_next(fair, &request)) {
        Waiting *w = &all[request];
        g_assert_false(w->done);
        asked++;
        if (fits(w->vector, left)) {
            check_grant(all, REQUESTS, w, left, fair);
            for (int d = 0; d < N_DIMS; d++) {
                left[d] -= w->vector[d];
            }
            g_assert_cmpint(berth_fair_grant(fair, request, w->vector), ==, BERTH_PLACE_OK);
        }
        w->done = true;
    }
    g_assert_cmpint(asked, ==, REQUESTS);
    berth_fair_free(fair);
}

static void test_nobody_with_a_smaller_share_waits_behind_one_with_a_larger(void)
{
    GRand *rand = g_rand_new_with_seed(11);
    for (int i = 0; i < 2000; i++) {
        play(rand);
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/fairness/example-of-the-paper", test_the_example_of_the_paper);
    g_test_add_func("/place/fairness/priority-then-share-then-age",
                    test_priority_goes_before_share_and_age_within_a_tenant);
    g_test_add_func("/place/fairness/weights", test_weights_and_dimensions_that_nobody_has);
    g_test_add_func("/place/fairness/bad-input", test_what_is_wrong_is_refused);
    g_test_add_func("/place/fairness/nobody-waits-behind-a-larger-share",
                    test_nobody_with_a_smaller_share_waits_behind_one_with_a_larger);
    return g_test_run();
}
