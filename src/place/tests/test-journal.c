/* What is tried and rolled back leaves no trace: not in the fleet's bytes, not in the index. */
#include "file-fixture.h"

enum { N_HOSTS = 300, N_GROUPS = 6 };

static BerthPlace *new_fleet(void)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
    BerthPlace *place;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    berth_place_set_levels(place, 3);
    for (uint32_t host = 0; host < N_HOSTS; host++) {
        berth_place_add(place, host, host, (int64_t[]){1000 + host % 3, 2000}, NULL);
        berth_place_set_domains(place, host, (uint32_t[]){host / 10, host / 100});
    }
    for (uint32_t group = 0; group < N_GROUPS; group++) {
        BerthPlaceRule rule = {.struct_size = sizeof rule,
                               .kind = group % 2 == 0 ? BERTH_PLACE_ALONE : BERTH_PLACE_APART,
                               .a = group,
                               .b = group % 2 == 0 ? 0 : (group + 1) % N_GROUPS,
                               .level = group % 3};
        g_assert_cmpint(berth_place_rule_add(place, group, &rule, NULL), ==, BERTH_PLACE_OK);
    }
    return place;
}

/* Anything that may be done to a fleet while changes are tried; some of it is refused. */
static void change(GRand *rand, BerthPlace *place)
{
    uint32_t host = (uint32_t)g_rand_int_range(rand, 0, N_HOSTS + 1);
    uint32_t first = (uint32_t)g_rand_int_range(rand, 0, N_GROUPS);
    uint32_t groups[2] = {first, (first + 1) % N_GROUPS};
    uint32_t n_groups = (uint32_t)g_rand_int_range(rand, 0, 3);
    int64_t vector[2] = {g_rand_int_range(rand, -1, 300), g_rand_int_range(rand, 0, 300)};

    switch (g_rand_int_range(rand, 0, 6)) {
    case 0:
    case 1:
        berth_place_take(place, host, vector);
        return;
    case 2:
        berth_place_give(place, host, vector);
        return;
    case 3:
        berth_place_enter(place, host, groups, n_groups);
        return;
    case 4:
        berth_place_leave(place, host, groups, n_groups);
        return;
    default:
        berth_place_set_enabled(place, host, g_rand_boolean(rand));
    }
}

static uint32_t ask(const BerthPlace *place, BerthPlacePolicy policy)
{
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = policy,
                                 .vector = (int64_t[]){100, 200},
                                 .n_groups = 1,
                                 .groups = (uint32_t[]){1}};
    BerthPlaceDecision decision = {.struct_size = sizeof decision, .host = BERTH_PLACE_NONE};

    berth_place_find(place, &request, &decision);
    return decision.host;
}

static void test_a_rollback_leaves_no_trace(void)
{
    GRand *rand = g_rand_new_with_seed(3);
    BerthPlace *place = new_fleet(), *copy;

    for (int policy = 0; policy < BERTH_PLACE_MIX; policy++) {
        g_assert_cmpint(berth_place_prepare(place, (BerthPlacePolicy)policy, (int64_t[]){100, 200}),
                        ==, BERTH_PLACE_OK);
    }
    for (int round = 0; round < 60; round++) {
        BerthPlacePolicy policy = (BerthPlacePolicy)(round % BERTH_PLACE_MIX);
        for (int i = 0; i < 20; i++) {
            change(rand, place);
        }
        g_autoptr(GByteArray) before = file_save(place);
        uint32_t answer = ask(place, policy);

        g_assert_cmpint(berth_place_begin(place), ==, BERTH_PLACE_OK);
        for (int i = 0; i < 200; i++) {
            change(rand, place);
        }
        g_assert_cmpstr(berth_place_check(place), ==, NULL);
        g_assert_cmpint(berth_place_copy(place, &copy), ==, BERTH_PLACE_OK);
        g_assert_cmpuint(ask(place, policy), ==, ask(copy, policy));
        berth_place_free(copy);
        g_assert_cmpint(berth_place_rollback(place), ==, BERTH_PLACE_OK);

        g_assert_cmpstr(berth_place_check(place), ==, NULL);
        g_autoptr(GByteArray) after = file_save(place);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
        g_assert_cmpuint(ask(place, policy), ==, answer);
    }
    berth_place_free(place);
    g_rand_free(rand);
}

static void test_what_is_committed_stays(void)
{
    BerthPlace *place = new_fleet();
    int64_t available[2];

    g_assert_cmpint(berth_place_begin(place), ==, BERTH_PLACE_OK);
    berth_place_take(place, 7, (int64_t[]){5, 6});
    g_assert_cmpint(berth_place_commit(place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_begin(place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_rollback(place), ==, BERTH_PLACE_OK);
    berth_place_get(place, 7, NULL, available, NULL);
    g_assert_cmpint(available[1], ==, 1994);
    berth_place_free(place);
}

static void test_what_cannot_be_undone_is_refused(void)
{
    BerthPlace *place = new_fleet();
    BerthPlaceRule rule = {.struct_size = sizeof rule, .kind = BERTH_PLACE_APART, .a = 90, .b = 91};

    g_assert_cmpint(berth_place_rollback(place), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_place_commit(place), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_place_begin(place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_begin(place), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_add(place, 900, 900, (int64_t[]){1, 1}, NULL), ==,
                    BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_remove(place, 5), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_set(place, 5, NULL, (int64_t[]){1, 1}), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_set_domains(place, 5, (uint32_t[]){50, 60}), ==,
                    BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_set_label(place, 5, 1, true), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_rule_add(place, 50, &rule, NULL), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_rule_remove(place, 0), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_rollback(place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_remove(place, 5), ==, BERTH_PLACE_OK);
    berth_place_free(place);
}

static void test_only_sound_vectors_and_policies_are_prepared(void)
{
    BerthPlace *place = new_fleet();

    g_assert_cmpint(berth_place_prepare(place, BERTH_PLACE_COSINE, (int64_t[]){-1, 2}), ==,
                    BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(berth_place_prepare(place, (BerthPlacePolicy)BERTH_PLACE_N_POLICIES, NULL), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_place_prepare(place, BERTH_PLACE_MIX, NULL), ==, BERTH_PLACE_OK);
    berth_place_free(place);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/journal/a-rollback-leaves-no-trace", test_a_rollback_leaves_no_trace);
    g_test_add_func("/place/journal/what-is-committed-stays", test_what_is_committed_stays);
    g_test_add_func("/place/journal/what-cannot-be-undone-is-refused",
                    test_what_cannot_be_undone_is_refused);
    g_test_add_func("/place/journal/only-sound-vectors-and-policies-are-prepared",
                    test_only_sound_vectors_and_policies_are_prepared);
    return g_test_run();
}
