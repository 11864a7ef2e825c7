#include "base/nearest.h"

static const char *const dimensions[] = {"cpu", "memory", "disk", "disk-bw", "net-bw", NULL};

static void test_distance(void)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"cpu", "cpu", 0},
        {"cpu", "CPU", 0},
        {"disk_bw", "disk-bw", 0},
        {"memroy", "memory", 1},
        {"kitten", "sitting", 3},
        {"ab", "ba", 1},
        {"ca", "abc", 3}, /* restricted: the unrestricted distance would be 2 */
        {"memory", "memor", 1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(berth_nearest_distance(cases[i].a, cases[i].b), ==, cases[i].distance);
        g_assert_cmpuint(berth_nearest_distance(cases[i].b, cases[i].a), ==, cases[i].distance);
    }
}

static void test_offers(void)
{
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"memroy", "memory"},  {"cpus", "cpu"},   {"CPU", "cpu"},       {"Net_BW", "net-bw"},
        {"diskbw", "disk-bw"}, {"mem", "memory"}, {"dis", "disk"},      {"disc", "disk"},
        {"gpu", "cpu"},        {"xyz", NULL},     {"", NULL},           {"z", NULL},
        {"bandwidth", NULL},   {"me", NULL},      {"net-wb", "net-bw"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpstr(berth_nearest_name(cases[i].name, dimensions), ==, cases[i].nearest);
    }
}

static void test_first_of_equals_wins(void)
{
    const char *const names[] = {"host-1", "host-2", NULL};

    g_assert_true(berth_nearest_name("host-3", names) == names[0]);
}

static void test_no_candidates(void)
{
    const char *const none[] = {NULL};

    g_assert_null(berth_nearest_name("cpu", none));
}

static void test_oversized_name_is_cut(void)
{
    g_autofree char *huge = g_strnfill(1 << 20, 'm');

    g_assert_null(berth_nearest_name(huge, dimensions));
    g_assert_cmpuint(berth_nearest_distance(huge, huge), ==, 0);
    g_assert_cmpuint(berth_nearest_distance(huge, ""), ==, 64);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/nearest/distance", test_distance);
    g_test_add_func("/base/nearest/offers", test_offers);
    g_test_add_func("/base/nearest/first-of-equals-wins", test_first_of_equals_wins);
    g_test_add_func("/base/nearest/no-candidates", test_no_candidates);
    g_test_add_func("/base/nearest/oversized-name-is-cut", test_oversized_name_is_cut);
    return g_test_run();
}
