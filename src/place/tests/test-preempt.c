#include "place/preempt.h"

#include <glib.h>
#include <string.h>

enum { DIMS = 3, HOSTS = 3, VICTIMS = 7, GROUPS = 4 };

/* A fleet with VMs that may be taken and others that may not. */
typedef struct {
    BerthPlace *place;
    BerthPreemptHost hosts[HOSTS];
    BerthPreemptVictim victims[HOSTS][VICTIMS];
    int64_t vectors[HOSTS][VICTIMS][DIMS];
    uint32_t groups[HOSTS][VICTIMS];
    int64_t asked[DIMS];
    uint32_t own_group;
    BerthPlaceRequest request;
} Scene;

static void scene_init(Scene *scene, int64_t capacity)
{
    memset(scene, 0, sizeof *scene);
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = DIMS};
    g_assert_cmpint(berth_place_new(&options, &scene->place), ==, BERTH_PLACE_OK);
    for (uint32_t h = 0; h < HOSTS; h++) {
        const int64_t has[DIMS] = {capacity, capacity, capacity};
        berth_place_add(scene->place, h, h, has, NULL);
        scene->hosts[h] = (BerthPreemptHost){h, 0, scene->victims[h]};
    }
    scene->request = (BerthPlaceRequest){.struct_size = sizeof scene->request,
                                         .policy = BERTH_PLACE_FIRST_FIT,
                                         .vector = scene->asked};
}

static void scene_add(Scene *scene, uint32_t h, int32_t priority, int64_t since,
                      const int64_t *vector, int group, bool stays)
{
    uint32_t v = scene->hosts[h].n_victims++;
    memcpy(scene->vectors[h][v], vector, sizeof scene->vectors[h][v]);
    scene->groups[h][v] = (uint32_t)MAX(group, 0);
    scene->victims[h][v] = (BerthPreemptVictim){.priority = priority,
                                                .since = since,
                                                .vector = scene->vectors[h][v],
                                                .stays = stays,
                                                .n_groups = group >= 0 ? 1 : 0,
                                                .groups = &scene->groups[h][v]};
    g_assert_cmpint(berth_place_take(scene->place, h, vector), ==, BERTH_PLACE_OK);
    berth_place_enter(scene->place, h, &scene->groups[h][v], group >= 0 ? 1 : 0);
}

/* A subset of a host's victims, told by its bits, in the terms of preempt.h. */
typedef struct {
    uint32_t host, n;
    int32_t priority;
    int64_t since[VICTIMS];
} Key;

static Key key_of(const Scene *scene, uint32_t h, uint32_t bits)
{
    Key key = {.host = h, .priority = INT32_MIN};
    for (uint32_t v = 0; v < scene->hosts[h].n_victims; v++) {
        if (bits >> v & 1) {
            key.priority = MAX(key.priority, scene->victims[h][v].priority);
            uint32_t at = key.n++;
            for (; at > 0 && key.since[at - 1] > scene->victims[h][v].since; at--) {
                key.since[at] = key.since[at - 1];
            }
            key.since[at] = scene->victims[h][v].since;
        }
    }
    return key;
}

static int compare_keys(const Key *x, const Key *y)
{
    if (x->n != y->n) {
        return x->n < y->n ? -1 : 1;
    }
    if (x->n > 0 && x->priority != y->priority) {
        return x->priority < y->priority ? -1 : 1;
    }
    for (uint32_t i = 0; i < x->n; i++) {
        if (x->since[i] != y->since[i]) {
            return x->since[i] > y->since[i] ? -1 : 1;
        }
    }
    return x->host < y->host ? -1 : x->host > y->host;
}

static bool makes_room(const Scene *scene, uint32_t h, uint32_t bits)
{
    BerthPlace *copy;
    BerthPlaceVerdict verdict;
    g_assert_cmpint(berth_place_copy(scene->place, &copy), ==, BERTH_PLACE_OK);
    for (uint32_t v = 0; v < scene->hosts[h].n_victims; v++) {
        const BerthPreemptVictim *victim = &scene->victims[h][v];
        if (bits >> v & 1) {
            berth_place_give(copy, h, victim->vector);
            if (!victim->stays) {
                berth_place_leave(copy, h, victim->groups, victim->n_groups);
            }
        }
    }
    berth_place_examine(copy, &scene->request, h, &verdict);
    berth_place_free(copy);
    return verdict.reason == BERTH_PLACE_CANDIDATE;
}

static bool oracle(const Scene *scene, Key *ret_best)
{
    bool found = false;
    for (uint32_t h = 0; h < HOSTS; h++) {
        for (uint32_t bits = 0; bits < 1U << scene->hosts[h].n_victims; bits++) {
            Key key = key_of(scene, h, bits);
            if ((!found || compare_keys(&key, ret_best) < 0) && makes_room(scene, h, bits)) {
                *ret_best = key;
                found = true;
            }
        }
    }
    return found;
}

static void scene_draw(Scene *scene, GRand *rand, bool with_rules)
{
    scene_init(scene, 40);
    for (uint32_t h = 0; h < HOSTS; h++) {
        int n = g_rand_int_range(rand, 0, VICTIMS + 1);
        for (int v = 0; v < n; v++) {
            int64_t vector[DIMS];
            for (int d = 0; d < DIMS; d++) {
                vector[d] = g_rand_int_range(rand, 0, 6);
            }
            int group = with_rules && g_rand_int_range(rand, 0, 3) == 0
                            ? g_rand_int_range(rand, 0, GROUPS - 1)
                            : -1;
            scene_add(scene, h, g_rand_int_range(rand, 0, 4), g_rand_int_range(rand, 0, 6), vector,
                      group, with_rules ? g_rand_int_range(rand, 0, 3) == 0 : v % 2 == 0);
        }
        int64_t left[DIMS], rest[DIMS] = {0};
        berth_place_get(scene->place, h, NULL, left, NULL);
        for (int d = 0; d < DIMS; d++) {
            rest[d] = MAX(0, left[d] - g_rand_int_range(rand, 0, 6));
        }
        berth_place_take(scene->place, h, rest); /* of VMs that may not be taken */
    }
    for (int d = 0; d < DIMS; d++) {
        scene->asked[d] = g_rand_int_range(rand, 0, 16);
    }
    scene->asked[0] = MAX(scene->asked[0], 1);
    if (with_rules) {
        static const BerthPlaceRuleKind kinds[] = {BERTH_PLACE_APART, BERTH_PLACE_TOGETHER,
                                                   BERTH_PLACE_ALONE};
        scene->own_group = GROUPS - 1;
        scene->request.groups = &scene->own_group;
        scene->request.n_groups = 1;
        for (uint32_t i = 0; i < 2; i++) {
            BerthPlaceRule rule = {.struct_size = sizeof rule,
                                   .kind = kinds[g_rand_int_range(rand, 0, 3)],
                                   .a = scene->own_group,
                                   .b = (uint32_t)g_rand_int_range(rand, 0, GROUPS - 1)};
            berth_place_rule_add(scene->place, i, &rule, NULL);
        }
    }
}

static void check_answer(Scene *scene, BerthPlaceResult result, const BerthPreemption *answer,
                         bool exact)
{
    Key best;
    bool found = oracle(scene, &best);
    if (exact) {
        g_assert_cmpint(result, ==, found ? BERTH_PLACE_OK : BERTH_PLACE_NO_HOST);
    }
    if (result != BERTH_PLACE_OK) {
        return;
    }
    uint32_t bits = 0;
    for (uint32_t i = 0; i < answer->n_victims; i++) {
        bits |= 1U << answer->victims[i];
    }
    g_assert_true(makes_room(scene, answer->host, bits));
    if (exact) {
        Key key = key_of(scene, answer->host, bits);
        g_assert_cmpint(compare_keys(&key, &best), ==, 0);
    }
}

static void play(bool with_rules, uint64_t limit)
{
    GRand *rand = g_rand_new_with_seed(5);
    int found = 0, inexact = 0;
    for (int i = 0; i < 3000; i++) {
        Scene scene;
        scene_draw(&scene, rand, with_rules);
        int64_t before[HOSTS][DIMS], after[HOSTS][DIMS];
        for (uint32_t h = 0; h < HOSTS; h++) {
            berth_place_get(scene.place, h, NULL, before[h], NULL);
        }
        BerthPreemption answer = {.struct_size = sizeof answer, .exact = false};
        BerthPlaceResult result =
            berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, limit, &answer);
        for (uint32_t h = 0; h < HOSTS; h++) {
            berth_place_get(scene.place, h, NULL, after[h], NULL);
        }
        g_assert_cmpmem(before, sizeof before, after, sizeof after);
        g_assert_null(berth_place_check(scene.place));
        check_answer(&scene, result, &answer, limit == 0 || answer.exact);
        found += result == BERTH_PLACE_OK && answer.n_victims > 0;
        inexact += result == BERTH_PLACE_OK && !answer.exact;
        berth_place_free(scene.place);
    }
    g_assert_cmpint(found, >, 300);
    g_assert_cmpint(inexact > 0, ==, limit > 0);
    g_rand_free(rand);
}

static void test_the_least_is_taken_as_an_exhaustive_search_says(void)
{
    play(false, 0);
}

static void test_rules_hold_when_the_victims_have_left(void)
{
    play(true, 0);
}

static void test_a_limited_search_answers_with_what_makes_room_and_says_so(void)
{
    play(true, 6);
}

static void test_fewer_then_lower_then_younger(void)
{
    Scene scene;
    scene_init(&scene, 10);
    /* Host 0: one of priority 9. Host 1: one of 3, old. Host 2: one of 3, young; two small of 1. */
    scene_add(&scene, 0, 9, 100, (int64_t[]){10, 0, 0}, -1, true);
    scene_add(&scene, 1, 3, 10, (int64_t[]){10, 0, 0}, -1, true);
    scene_add(&scene, 2, 1, 900, (int64_t[]){2, 0, 0}, -1, true);
    scene_add(&scene, 2, 1, 900, (int64_t[]){2, 0, 0}, -1, true);
    scene_add(&scene, 2, 3, 50, (int64_t[]){6, 0, 0}, -1, true);
    scene.asked[0] = 4;
    BerthPreemption answer = {.struct_size = sizeof answer};
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_OK);
    g_assert_cmpuint(answer.host, ==, 2);
    g_assert_cmpuint(answer.n_victims, ==, 1);
    g_assert_cmpuint(answer.victims[0], ==, 2);
    scene.asked[0] = 10;
    berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer);
    g_assert_cmpuint(answer.host, ==, 1);
    scene.asked[0] = 11;
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_NO_HOST);
    berth_place_free(scene.place);
}

/* Amounts suffice at once, but each device is split between two. */
static void test_devices_are_given_back_with_the_victims(void)
{
    Scene scene;
    scene_init(&scene, 10);
    static const BerthPlaceDevice devices[] = {{0, 4, 0}, {0, 4, 1}};
    static const BerthPreemptHolding first[] = {{2, 1}}, second[] = {{2, 1}}, third[] = {{3, 2}};
    berth_place_set_devices(scene.place, 1, devices, 2);
    scene_add(&scene, 1, 1, 10, (int64_t[]){1, 0, 0}, -1, true);
    scene_add(&scene, 1, 1, 20, (int64_t[]){1, 0, 0}, -1, true);
    scene_add(&scene, 1, 2, 30, (int64_t[]){1, 0, 0}, -1, true);
    const BerthPreemptHolding *const holdings[] = {first, second, third};
    for (int v = 0; v < 3; v++) {
        scene.victims[1][v].n_holdings = 1;
        scene.victims[1][v].holdings = holdings[v];
    }
    const BerthPlaceDevices asked = {1, BERTH_PLACE_WHOLE, 1};
    scene.request.devices = &asked;
    scene.asked[0] = 1;
    BerthPreemption answer = {.struct_size = sizeof answer};
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_OK);
    g_assert_cmpuint(answer.host, ==, 1);
    g_assert_cmpuint(answer.n_victims, ==, 1); /* one of a higher priority, for two */
    g_assert_cmpuint(answer.victims[0], ==, 2);
    scene.victims[1][2].n_holdings = 0; /* it keeps its device */
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_OK);
    g_assert_cmpuint(answer.n_victims, ==, 2);
    g_assert_cmpuint(answer.victims[0] + answer.victims[1], ==, 1);
    BerthPlaceDevice after[BERTH_PLACE_MAX_DEVICES];
    berth_place_get_devices(scene.place, 1, after, NULL);
    g_assert_cmpmem(after, sizeof devices, devices, sizeof devices);
    g_assert_null(berth_place_check(scene.place));
    berth_place_free(scene.place);
}

static void test_what_is_wrong_is_refused(void)
{
    Scene scene;
    scene_init(&scene, 10);
    scene_add(&scene, 0, 1, 1, (int64_t[]){10, 0, 0}, -1, true);
    BerthPreemption answer = {.struct_size = sizeof answer, .host = 77};
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_ERROR_AMOUNT); /* asks for nothing */
    scene.asked[0] = 1;
    scene.vectors[0][0][0] = -1;
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_ERROR_AMOUNT);
    scene.vectors[0][0][0] = 10;
    berth_place_take(scene.place, 1, (int64_t[]){10, 0, 0});
    berth_place_take(scene.place, 2, (int64_t[]){10, 0, 0});
    berth_place_set_enabled(scene.place, 0, false);
    g_assert_cmpint(
        berth_place_preempt(scene.place, &scene.request, HOSTS, scene.hosts, 0, &answer), ==,
        BERTH_PLACE_NO_HOST); /* a host that takes no VMs gives none up */
    g_assert_cmpuint(answer.host, ==, 77);
    berth_place_free(scene.place);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/preempt/oracle", test_the_least_is_taken_as_an_exhaustive_search_says);
    g_test_add_func("/place/preempt/rules", test_rules_hold_when_the_victims_have_left);
    g_test_add_func("/place/preempt/limit",
                    test_a_limited_search_answers_with_what_makes_room_and_says_so);
    g_test_add_func("/place/preempt/preference", test_fewer_then_lower_then_younger);
    g_test_add_func("/place/preempt/devices", test_devices_are_given_back_with_the_victims);
    g_test_add_func("/place/preempt/bad-input", test_what_is_wrong_is_refused);
    return g_test_run();
}
