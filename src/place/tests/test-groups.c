#include <glib.h>

#include "place/groups.h"

#define DOMAINS 400

static uint32_t fewest_of(const uint32_t *counts)
{
    uint32_t fewest = UINT32_MAX;

    for (int domain = 0; domain < DOMAINS; domain++) {
        fewest = counts[domain] > 0 ? MIN(fewest, counts[domain]) : fewest;
    }
    return fewest;
}

/* Random raises and lowers against a plain table, of domains that are multiples of a factor: what is erased must not hide what lies behind it. */
static void live_as_a_table(uint32_t n_domains, uint32_t factor)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    uint32_t table[BERTH_PLACE_MAX_LEVELS][DOMAINS] = {{0}};
    Group group = {0};

    for (int i = 0; i < 20000; i++) {
        uint32_t level = (uint32_t)g_rand_int_range(rand, 0, 3);
        uint32_t domain = (uint32_t)g_rand_int_range(rand, 0, n_domains);
        if (g_rand_boolean(rand) || table[level][domain] == 0) {
            g_assert_true(group_reserve(&group, 7, 1));
            g_assert_cmpuint(group_raise(&group, level, domain * factor), ==,
                             table[level][domain]++);
        } else {
            g_assert_cmpuint(group_lower(&group, level, domain * factor), ==,
                             table[level][domain]--);
        }
        level = (uint32_t)g_rand_int_range(rand, 0, 3);
        domain = (uint32_t)g_rand_int_range(rand, 0, n_domains);
        g_assert_cmpuint(group_count(&group, level, domain * factor), ==, table[level][domain]);
        g_assert_cmpuint(group_fewest(&group, level), ==, fewest_of(table[level]));
        g_assert_null(group_check(&group));
    }
    uint32_t n[3] = {0};
    for (int level = 0; level < 3; level++) {
        for (int domain = 0; domain < DOMAINS; domain++) {
            n[level] += table[level][domain] > 0;
        }
        g_assert_cmpuint(group_domains(&group, (uint32_t)level), ==, n[level]);
    }
    Group copy;
    g_assert_true(group_copy(&group, &copy));
    for (uint32_t level = 0; level < 3; level++) {
        for (uint32_t domain = 0; domain < DOMAINS; domain++) {
            g_assert_cmpuint(group_count(&copy, level, domain * factor), ==, table[level][domain]);
        }
    }
    group_clear(&copy);
    group_clear(&group);
}

static void test_counts_are_those_of_a_table(void)
{
    live_as_a_table(40, 1);                   /* fit a list */
    live_as_a_table(60, UINT32_C(0xe8b2f51)); /* and have the same tag */
    live_as_a_table(DOMAINS, 1);              /* do not */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/groups/counts-are-those-of-a-table", test_counts_are_those_of_a_table);
    return g_test_run();
}
