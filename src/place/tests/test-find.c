/* What the index, the candidates of rules and the ladder of penalties find is what looking at every host
 * finds: fleets too large for a plain scan, with a tree, rules of every kind, and random lives.
 *
 *     BERTH_PLACE_LIVES=n BERTH_PLACE_SEED=s test-place-find      (default: 6 lives, seed 1) */
#include <glib.h>

#include "place/rules.h"
#include "place/scan.h"

enum { N_HOSTS = 400, N_GROUPS = 12, N_LEVELS = 3, N_STEPS = 600 };

typedef struct {
    uint32_t host, group;
    int64_t vector[2];
} Vm;

static int64_t parameter(const char *name, int64_t otherwise)
{
    const char *text = g_getenv(name);
    return text != NULL ? g_ascii_strtoll(text, NULL, 10) : otherwise;
}

static BerthPlace *new_fleet(GRand *rand, bool are_alike)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
    BerthPlace *place;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    berth_place_set_levels(place, N_LEVELS);
    for (uint32_t host = 0; host < N_HOSTS; host++) {
        int64_t more = are_alike ? 0 : g_rand_int_range(rand, 0, 100000);
        berth_place_add(place, host, host, (int64_t[]){100000 + more, 200000 - more}, NULL);
        berth_place_set_domains(place, host, (uint32_t[]){host / 20, host / 100});
    }
    return place;
}

static void add_rule(GRand *rand, BerthPlace *place, uint32_t number)
{
    BerthPlaceRule rule = {.struct_size = sizeof rule,
                           .kind = (BerthPlaceRuleKind)g_rand_int_range(rand, 0, 6),
                           .a = (uint32_t)g_rand_int_range(rand, 0, N_GROUPS),
                           .b = (uint32_t)g_rand_int_range(rand, 0, N_GROUPS),
                           .level = (uint32_t)g_rand_int_range(rand, 0, N_LEVELS),
                           .weight =
                               (uint32_t)(g_rand_boolean(rand) ? g_rand_int_range(rand, 1, 4) : 0)};

    rule.skew = rule.kind == BERTH_PLACE_SPREAD ? 1 : 0;
    if (rule.kind == BERTH_PLACE_NEAR) {
        rule.level = 0;
        rule.weight = MAX(rule.weight, 1);
    }
    berth_place_rule_add(place, number, &rule, NULL); /* some contradict, and are refused */
}

/* Asks both ways, and answers with the host or BERTH_PLACE_NONE. */
static uint32_t ask(const BerthPlace *place, const BerthPlaceRequest *request)
{
    BerthPlaceDecision decision = {.struct_size = sizeof decision, .host = BERTH_PLACE_NONE};
    BerthPlaceResult result = berth_place_find(place, request, &decision);
    Filter filter;

    g_assert_cmpint(find_begin(&filter, place, request), ==, BERTH_PLACE_OK);
    BerthPlaceVerdict best = scan_find(&filter);
    g_assert_cmpint(result, ==,
                    best.host != BERTH_PLACE_NONE ? BERTH_PLACE_OK : BERTH_PLACE_NO_HOST);
    g_assert_cmpuint(decision.host, ==, best.host);
    if (best.host != BERTH_PLACE_NONE) {
        g_assert_cmpuint(decision.penalty, ==, best.penalty);
        g_assert_true(decision.score == best.score);
    }
    return decision.host;
}

static void place_one(GRand *rand, BerthPlace *place, GArray *vms, bool are_alike,
                      BerthPlacePolicy policy)
{
    Vm vm = {.group = (uint32_t)g_rand_int_range(rand, 0, N_GROUPS)};
    int64_t unit = are_alike ? 10000 : g_rand_int_range(rand, 2000, 30000);

    vm.vector[0] = unit * g_rand_int_range(rand, 1, 4);
    vm.vector[1] = unit * g_rand_int_range(rand, 1, 4);
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = policy,
                                 .vector = vm.vector,
                                 .n_groups = 1,
                                 .groups = &vm.group};
    vm.host = ask(place, &request);
    if (vm.host != BERTH_PLACE_NONE) {
        g_assert_cmpint(berth_place_take(place, vm.host, vm.vector), ==, BERTH_PLACE_OK);
        g_assert_cmpint(berth_place_enter(place, vm.host, &vm.group, 1), ==, BERTH_PLACE_OK);
        g_array_append_val(vms, vm);
    }
}

static void remove_one(GRand *rand, BerthPlace *place, GArray *vms)
{
    if (vms->len > 0) {
        guint i = (guint)g_rand_int_range(rand, 0, (gint32)vms->len);
        Vm *vm = &g_array_index(vms, Vm, i);
        g_assert_cmpint(berth_place_leave(place, vm->host, &vm->group, 1), ==, BERTH_PLACE_OK);
        g_assert_cmpint(berth_place_give(place, vm->host, vm->vector), ==, BERTH_PLACE_OK);
        g_array_remove_index_fast(vms, i);
    }
}

static void live(uint32_t seed, bool are_alike)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_autoptr(GArray) vms = g_array_new(FALSE, FALSE, sizeof(Vm));
    BerthPlace *place = new_fleet(rand, are_alike);
    BerthPlacePolicy policy = (BerthPlacePolicy)g_rand_int_range(rand, 0, BERTH_PLACE_N_MIXED);

    for (uint32_t number = 0; number < 10; number++) {
        add_rule(rand, place, number);
    }
    for (int step = 0; step < N_STEPS; step++) {
        switch (g_rand_int_range(rand, 0, 12)) {
        case 0:
            berth_place_set_enabled(place, (uint32_t)g_rand_int_range(rand, 0, N_HOSTS),
                                    g_rand_int_range(rand, 0, 4) > 0);
            break;
        case 1:
        case 2:
            remove_one(rand, place, vms);
            break;
        case 3:
            if (berth_place_rule_remove(place, 3) != BERTH_PLACE_OK) {
                add_rule(rand, place, 3);
            }
            break;
        default:
            place_one(rand, place, vms, are_alike, policy);
        }
    }
    g_assert_null(berth_place_check(place));
    berth_place_free(place);
}

static void test_rules_and_index_find_what_a_scan_finds(void)
{
    int64_t lives = parameter("BERTH_PLACE_LIVES", 6);
    uint32_t seed = (uint32_t)parameter("BERTH_PLACE_SEED", 1);

    for (int64_t i = 0; i < lives; i++) {
        g_test_message("seed %u", seed + (uint32_t)i);
        live(seed + (uint32_t)i, i % 2 == 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/find/rules-and-index-find-what-a-scan-finds",
                    test_rules_and_index_find_what_a_scan_finds);
    return g_test_run();
}
