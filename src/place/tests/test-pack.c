#include "place/pack.h"

#include <glib.h>
#include <string.h>

static const BerthPackMethod all_methods[] = {
    BERTH_PACK_MOST_FREE, BERTH_PACK_LEAST_FREE,      BERTH_PACK_FIRST_FIT,
    BERTH_PACK_COSINE,    BERTH_PACK_DOT_PRODUCT,     BERTH_PACK_L2_DIFF,
    BERTH_PACK_L2_RATIO,  BERTH_PACK_L2_RATIO_SPREAD, BERTH_PACK_FFD_PROD,
    BERTH_PACK_FFD_SUM,   BERTH_PACK_FILL_DOT,        BERTH_PACK_FILL_DOT_DYNAMIC,
    BERTH_PACK_FILL_L2,   BERTH_PACK_FILL_L2_DYNAMIC, BERTH_PACK_IMPROVE,
};

typedef struct {
    BerthPackProblem problem;
    int64_t capacity[BERTH_PLACE_MAX_DIMS];
    int64_t sizes[400 * BERTH_PLACE_MAX_DIMS];
    uint32_t demands[400];
    uint32_t bins[2000];
    BerthPackAnswer answer;
} Case;

static Case *new_case(uint32_t n_dims, uint32_t n_kinds)
{
    Case *c = g_new0(Case, 1);

    c->problem = (BerthPackProblem){.struct_size = sizeof c->problem,
                                    .n_dims = n_dims,
                                    .n_kinds = n_kinds,
                                    .capacity = c->capacity,
                                    .sizes = c->sizes,
                                    .demands = c->demands};
    for (uint32_t i = 0; i < n_kinds; i++) {
        c->demands[i] = 1;
    }
    c->answer.struct_size = sizeof c->answer;
    return c;
}

static BerthPlaceResult pack(Case *c, BerthPackMethod method, uint64_t iterations, uint64_t seed)
{
    BerthPackOptions options = {.struct_size = sizeof options,
                                .method = method,
                                .seed = seed,
                                .max_iterations = iterations};
    return berth_pack(&c->problem, &options, c->bins, &c->answer);
}

/* Random sizes between low and high; all methods must keep every rule of a packing. */
static void check_random(GRand *rand, bool negative, int64_t capacity)
{
    uint32_t d = (uint32_t)g_rand_int_range(rand, 1, 17);
    g_autofree Case *c = new_case(d, (uint32_t)g_rand_int_range(rand, 0, 40));

    for (uint32_t k = 0; k < d; k++) {
        c->capacity[k] = capacity;
    }
    for (uint32_t i = 0; i < c->problem.n_kinds; i++) {
        c->demands[i] = (uint32_t)g_rand_int_range(rand, 0, 4);
        for (uint32_t k = 0; k < d; k++) {
            double low = negative ? -0.2 : 0;
            c->sizes[i * d + k] = (int64_t)(g_rand_double_range(rand, low, 0.7) * (double)capacity);
        }
    }
    for (size_t m = 0; m < G_N_ELEMENTS(all_methods); m++) {
        g_assert_cmpint(pack(c, all_methods[m], 3000, m), ==, BERTH_PLACE_OK);
        g_assert_cmpstr(berth_pack_check(&c->problem, c->bins, c->answer.n_bins), ==, NULL);
        g_assert_cmpuint(c->answer.lower_bound, <=, c->answer.n_bins);
    }
}

static void test_every_packing_is_valid(void)
{
    GRand *rand = g_rand_new_with_seed(7);
    static const int64_t capacities[] = {1, 10, 1000, 100000, BERTH_PLACE_MAX_AMOUNT};

    for (unsigned round = 0; round < 60; round++) {
        check_random(rand, round % 3 == 2, capacities[round % G_N_ELEMENTS(capacities)]);
    }
    g_rand_free(rand);
}

/* Bins cut into `pieces` without a rest: the optimum is known, and the bound reaches it. */
static Case *new_planted(GRand *rand, uint32_t d, uint32_t n_bins, uint32_t pieces)
{
    Case *c = new_case(d, n_bins * pieces);

    for (uint32_t k = 0; k < d; k++) {
        c->capacity[k] = 1000;
        for (uint32_t b = 0; b < n_bins; b++) {
            int64_t left = 1000;

            for (uint32_t i = 0; i < pieces; i++) {
                int64_t fair = left / (pieces - i);
                int64_t size = i + 1 == pieces ? left
                                               : g_rand_int_range(rand, (gint32)(fair * 6 / 10),
                                                                  (gint32)(fair * 14 / 10) + 1);
                c->sizes[(i * n_bins + b) * d + k] = size;
                left -= size;
            }
        }
    }
    return c;
}

static void test_improver_finds_known_optima(void)
{
    GRand *rand = g_rand_new_with_seed(11);

    for (unsigned round = 0; round < 6; round++) {
        g_autofree Case *c = new_planted(rand, 1 + round % 3, 8, 2);

        g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, 3000000, 1), ==, BERTH_PLACE_OK);
        g_assert_cmpstr(berth_pack_check(&c->problem, c->bins, c->answer.n_bins), ==, NULL);
        g_assert_cmpuint(c->answer.n_bins, ==, 8);
        g_assert_cmpuint(c->answer.lower_bound, ==, 8);
    }
    g_rand_free(rand);
}

/* Bins of `most` items or fewer, cut so that nothing is left over in all dimensions but the last. */
static uint32_t plant_full_bins(Case *c, GRand *rand, int most)
{
    uint32_t d = c->problem.n_dims, n_bins = 0, items = 0;

    while (items + (uint32_t)most <= 240) {
        uint32_t parts = (uint32_t)g_rand_int_range(rand, most - 1, most + 1);

        for (uint32_t k = 0; k < d; k++) {
            int64_t left = 1000;

            c->capacity[k] = 1000;
            for (uint32_t i = 0; i < parts; i++) {
                bool last = i == parts - 1;
                int64_t least = (int64_t)(parts - i - 1) * 20;
                int64_t size = last ? left : g_rand_int_range(rand, 20, (gint32)(left - least));

                c->sizes[(items + i) * d + k] = k == d - 1 ? size * 9 / 10 : size;
                left -= size;
            }
        }
        items += parts;
        n_bins++;
    }
    c->problem.n_kinds = items;
    return n_bins;
}

static void test_full_bins_are_found(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(26);

    for (int most = 3; most <= 5; most++) {
        g_autofree Case *c = new_case(5, 240);
        uint32_t planted = plant_full_bins(c, rand, most);

        g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, most < 5 ? 30000 : 700000, 1), ==,
                        BERTH_PLACE_OK);
        g_assert_cmpstr(berth_pack_check(&c->problem, c->bins, c->answer.n_bins), ==, NULL);
        g_assert_cmpuint(c->answer.n_bins, ==, planted);
    }
}

static uint64_t hasty_clock(void *user_data)
{
    return *(uint64_t *)user_data += 100000;
}

static void test_what_time_leaves_unfilled_is_packed(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(27);
    g_autofree Case *c = new_case(3, 400);

    for (uint32_t i = 0; i < 400 * 3; i++) {
        c->capacity[i % 3] = 1000;
        c->sizes[i] = g_rand_int_range(rand, 50, 400);
    }
    for (uint64_t budget = 1; budget < 200; budget += 11) {
        uint64_t time = 0;
        BerthPackOptions options = {.struct_size = sizeof options,
                                    .method = BERTH_PACK_IMPROVE,
                                    .clock = hasty_clock,
                                    .budget_ns = budget * 100000,
                                    .user_data = &time};

        g_assert_cmpint(berth_pack(&c->problem, &options, c->bins, &c->answer), ==, BERTH_PLACE_OK);
        g_assert_cmpstr(berth_pack_check(&c->problem, c->bins, c->answer.n_bins), ==, NULL);
        g_assert_cmpuint(time, <, (budget + 20) * 100000);
    }
}

static void test_bounds_see_what_volume_does_not(void)
{
    g_autofree Case *halves = new_case(1, 1);
    halves->capacity[0] = 10;
    halves->sizes[0] = 6;
    halves->demands[0] = 7;
    g_assert_cmpint(pack(halves, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(halves->answer.lower_bound, ==, 7);

    /* Each two of these meet in a dimension of their own, over the half there only. */
    g_autofree Case *pairs = new_case(3, 3);
    for (uint32_t k = 0; k < 3; k++) {
        pairs->capacity[k] = 10;
        pairs->sizes[k * 3 + k] = pairs->sizes[k * 3 + (k + 1) % 3] = 6;
    }
    g_assert_cmpint(pack(pairs, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(pairs->answer.lower_bound, ==, 3);
}

/* Random items of a third to a half: volume says little, columns prove the optimum. */
static void test_columns_prove_what_volume_cannot(void)
{
    GRand *rand = g_rand_new_with_seed(5);
    g_autofree Case *c = new_case(4, 60);
    uint32_t proven = 0;

    for (unsigned round = 0; round < 5; round++) {
        for (uint32_t k = 0; k < 4; k++) {
            c->capacity[k] = 150;
        }
        for (uint32_t i = 0; i < 60 * 4; i++) {
            c->sizes[i] = g_rand_int_range(rand, 20, 101);
        }
        g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_OK);
        uint32_t simple = c->answer.lower_bound;
        g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, 3000000, round), ==, BERTH_PLACE_OK);
        g_assert_cmpstr(berth_pack_check(&c->problem, c->bins, c->answer.n_bins), ==, NULL);
        proven += c->answer.lower_bound == c->answer.n_bins && c->answer.lower_bound > simple;
    }
    g_assert_cmpuint(proven, >=, 4);
    g_rand_free(rand);
}

/* Small enough to try all packings: what the bound says must hold, and the improver reach it. */
static uint32_t optimum_of(const Case *c, uint32_t item, int64_t (*loads)[3], uint32_t n_bins,
                           uint32_t best)
{
    if (n_bins >= best) {
        return best;
    }
    if (item == c->problem.n_kinds) {
        return n_bins;
    }
    for (uint32_t b = 0; b <= n_bins; b++) {
        bool fits = true;

        for (uint32_t k = 0; k < 3; k++) {
            loads[b][k] += c->sizes[item * 3 + k];
            fits &= loads[b][k] <= c->capacity[k];
        }
        if (fits) {
            best = optimum_of(c, item + 1, loads, b == n_bins ? n_bins + 1 : n_bins, best);
        }
        for (uint32_t k = 0; k < 3; k++) {
            loads[b][k] -= c->sizes[item * 3 + k];
        }
    }
    return best;
}

static void test_agrees_with_trying_everything(void)
{
    GRand *rand = g_rand_new_with_seed(9);

    for (unsigned round = 0; round < 40; round++) {
        g_autofree Case *c = new_case(3, 9);
        int64_t loads[10][3] = {{0}};

        for (uint32_t k = 0; k < 3; k++) {
            c->capacity[k] = 20;
        }
        for (uint32_t i = 0; i < 9 * 3; i++) {
            c->sizes[i] = g_rand_int_range(rand, 0, 13);
        }
        uint32_t optimum = optimum_of(c, 0, loads, 0, 10);
        g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, 200000, round), ==, BERTH_PLACE_OK);
        g_assert_cmpuint(c->answer.lower_bound, <=, optimum);
        g_assert_cmpuint(c->answer.n_bins, ==, optimum);
    }
    g_rand_free(rand);
}

static void test_same_seed_same_answer(void)
{
    GRand *rand = g_rand_new_with_seed(3);
    g_autofree Case *c = new_planted(rand, 3, 30, 3);
    uint32_t first[90];

    g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, 50000, 5), ==, BERTH_PLACE_OK);
    memcpy(first, c->bins, sizeof first);
    uint64_t iterations = c->answer.iterations;
    g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, 50000, 5), ==, BERTH_PLACE_OK);
    g_assert_cmpmem(first, sizeof first, c->bins, sizeof first);
    g_assert_cmpuint(c->answer.iterations, ==, iterations);
    g_rand_free(rand);
}

static void test_policies_choose_as_place_does(void)
{
    g_autofree Case *c = new_case(1, 3);
    const uint32_t apart[] = {0, 1, 0}, together[] = {0, 1, 1};

    c->capacity[0] = 10;
    c->sizes[0] = 4;
    c->sizes[1] = 7;
    c->sizes[2] = 3;
    g_assert_cmpint(pack(c, BERTH_PACK_FIRST_FIT, 0, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpmem(c->bins, sizeof apart, apart, sizeof apart);
    g_assert_cmpint(pack(c, BERTH_PACK_MOST_FREE, 0, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpmem(c->bins, sizeof apart, apart, sizeof apart);
    g_assert_cmpint(pack(c, BERTH_PACK_L2_RATIO, 0, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpmem(c->bins, sizeof together, together, sizeof together);
}

static void test_company_makes_room(void)
{
    g_autofree Case *c = new_case(1, 2);

    c->capacity[0] = 10;
    c->sizes[0] = 14;
    c->sizes[1] = -3;
    c->demands[1] = 2;
    for (size_t m = 0; m < G_N_ELEMENTS(all_methods); m++) {
        g_assert_cmpint(pack(c, all_methods[m], 1000, 1), ==, BERTH_PLACE_OK);
        g_assert_cmpstr(berth_pack_check(&c->problem, c->bins, c->answer.n_bins), ==, NULL);
        g_assert_cmpuint(c->answer.n_bins, ==, 1);
    }
    c->demands[1] = 1;
    c->answer.n_bins = 77;
    g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpuint(c->answer.n_bins, ==, 77);
}

static void test_check_sees_what_is_wrong(void)
{
    g_autofree Case *c = new_case(1, 1);
    const uint32_t fine[] = {0, 1}, overfull[] = {0, 0}, nowhere[] = {0, 2};

    c->capacity[0] = 10;
    c->sizes[0] = 6;
    c->demands[0] = 2;
    g_assert_cmpstr(berth_pack_check(&c->problem, fine, 2), ==, NULL);
    g_assert_cmpstr(berth_pack_check(&c->problem, overfull, 1), ==, "a bin is overfull");
    g_assert_cmpstr(berth_pack_check(&c->problem, nowhere, 2), ==, "an item is in no bin");
    g_assert_cmpstr(berth_pack_check(&c->problem, fine, 3), ==, "a bin is empty");
}

static void test_refuses_bad_arguments(void)
{
    g_autofree Case *c = new_case(1, 1);

    c->capacity[0] = 10;
    c->sizes[0] = 11;
    g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_NO_HOST);
    c->sizes[0] = BERTH_PLACE_MAX_AMOUNT + 1;
    g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_ERROR_AMOUNT);
    c->sizes[0] = 1;
    g_assert_cmpint(pack(c, BERTH_PACK_IMPROVE, 0, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(pack(c, (BerthPackMethod)BERTH_PLACE_MIX, 0, 0), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(pack(c, (BerthPackMethod)99, 0, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
    c->demands[0] = BERTH_PACK_MAX_ITEMS + 1;
    g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
    c->demands[0] = 1;
    c->capacity[0] = -1;
    g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_ERROR_AMOUNT);
    c->problem.n_dims = 17;
    g_assert_cmpint(pack(c, BERTH_PACK_FFD_SUM, 0, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
}

static void test_names_lead_back(void)
{
    BerthPackMethod method;

    for (size_t m = 0; m < G_N_ELEMENTS(all_methods); m++) {
        g_assert_true(berth_pack_method_from_name(berth_pack_method_name(all_methods[m]), &method));
        g_assert_cmpint(method, ==, all_methods[m]);
    }
    g_assert_false(berth_pack_method_from_name("mix", &method));
    g_assert_false(berth_pack_method_from_name("", &method));
    g_assert_true(berth_pack_method_from_name("best-fit", &method));
    g_assert_cmpint(method, ==, BERTH_PACK_MOST_FREE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/pack/every-packing-is-valid", test_every_packing_is_valid);
    g_test_add_func("/place/pack/improver-finds-known-optima", test_improver_finds_known_optima);
    g_test_add_func("/place/pack/full-bins-are-found", test_full_bins_are_found);
    g_test_add_func("/place/pack/what-time-leaves-unfilled-is-packed",
                    test_what_time_leaves_unfilled_is_packed);
    g_test_add_func("/place/pack/bounds-see-what-volume-does-not",
                    test_bounds_see_what_volume_does_not);
    g_test_add_func("/place/pack/columns-prove-what-volume-cannot",
                    test_columns_prove_what_volume_cannot);
    g_test_add_func("/place/pack/agrees-with-trying-everything",
                    test_agrees_with_trying_everything);
    g_test_add_func("/place/pack/same-seed-same-answer", test_same_seed_same_answer);
    g_test_add_func("/place/pack/policies-choose-as-place-does",
                    test_policies_choose_as_place_does);
    g_test_add_func("/place/pack/company-makes-room", test_company_makes_room);
    g_test_add_func("/place/pack/check-sees-what-is-wrong", test_check_sees_what_is_wrong);
    g_test_add_func("/place/pack/refuses-bad-arguments", test_refuses_bad_arguments);
    g_test_add_func("/place/pack/names-lead-back", test_names_lead_back);
    return g_test_run();
}
