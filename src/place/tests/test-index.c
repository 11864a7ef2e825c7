/* The index against the scan: random fleets live random lives, and every answer must be the same to
 * the last bit. BERTH_PLACE_FLEETS=n tries n fleets instead of a few, BERTH_PLACE_SEED=s others. */
#include "place/index.h"

#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "place/devices.h"
#include "place/find.h"
#include "place/rules.h"
#include "place/scan.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BerthPlace, berth_place_free)

#define FLEETS 500
#define STEPS 300
#define MAX_VMS 4096
#define MAX_HOSTS 700
#define N_SHAPES 6
#define N_SIZES 10
#define LABEL 3

/* The last one looks at devices. */
#define N_POLICIES(world) (BERTH_PLACE_N_POLICIES - ((world)->has_devices ? 0 : 1))

typedef struct {
    uint32_t host;
    int64_t vector[BERTH_PLACE_MAX_DIMS];
    uint32_t n_groups, groups[2];
    uint32_t slices;
    uint64_t devices; /* 0: none */
} Vm;

typedef struct {
    GRand *random;
    BerthPlace *place;
    uint32_t n_dims, n_hosts, n_sizes, n_vms;
    int64_t shapes[N_SHAPES][BERTH_PLACE_MAX_DIMS];
    int64_t sizes[N_SIZES][BERTH_PLACE_MAX_DIMS];
    int64_t unit;       /* amounts are multiples of it, or not when 1 */
    bool has_own_order; /* orders are not the hosts' numbers */
    bool is_diverse;    /* requests and hosts are all unlike */
    bool is_one_shape;
    double difference; /* hosts have nearly the same shares available, up to this; 0: they do not */
    double shares[BERTH_PLACE_MAX_DIMS];
    bool has_rules; /* levels, labels, groups and rules */
    uint32_t rack;  /* hosts */
    bool has_devices;
    BerthPlaceDevices asked[N_SIZES]; /* of the typical request with a size; n = 0: none */
    uint32_t found, missed;
    uint64_t allowed[MAX_HOSTS / 64 + 1];
    uint32_t banned[MAX_HOSTS];
    Vm vms[MAX_VMS];
} World;

static uint32_t below(World *world, uint32_t n)
{
    return (uint32_t)g_rand_int_range(world->random, 0, (gint32)n);
}

static bool one_in(World *world, uint32_t n)
{
    return below(world, n) == 0;
}

static void make_capacity(World *world, int64_t *ret_capacity)
{
    int64_t any = 0;

    for (uint32_t d = 0; d < world->n_dims; d++) {
        ret_capacity[d] = one_in(world, 8) ? 0 : world->unit * (1 + below(world, 400));
        any |= ret_capacity[d];
    }
    if (any == 0) {
        ret_capacity[0] = 100 * world->unit;
    }
}

static void make_size(World *world, int64_t *ret_size)
{
    uint32_t scale = 2 + below(world, 60);
    int64_t any = 0;

    for (uint32_t d = 0; d < world->n_dims; d++) {
        ret_size[d] = one_in(world, 5) ? 0 : world->unit * below(world, scale);
        any |= ret_size[d];
    }
    if (any == 0) {
        ret_size[below(world, world->n_dims)] = world->unit;
    }
}

static const int64_t *pick_size(World *world, int64_t *scratch)
{
    if (!world->is_diverse && !one_in(world, 20)) {
        return world->sizes[below(world, world->n_sizes)];
    }
    make_size(world, scratch);
    return scratch;
}

static void pick_capacity(World *world, int64_t *ret_capacity)
{
    if (one_in(world, world->is_one_shape ? 50 : 20)) {
        make_capacity(world, ret_capacity);
        return;
    }
    memcpy(ret_capacity, world->shapes[world->is_one_shape ? 0 : below(world, N_SHAPES)],
           sizeof world->shapes[0]);
}

static void pick_available(World *world, const int64_t *capacity, int64_t *ret_available)
{
    for (uint32_t d = 0; d < world->n_dims && world->difference > 0; d++) {
        double share = world->shares[d] - world->difference * g_rand_double(world->random);
        ret_available[d] = (int64_t)(share * (double)capacity[d]);
    }
    for (uint32_t d = 0; d < world->n_dims && world->difference == 0; d++) {
        int64_t steps = world->is_diverse ? capacity[d] : capacity[d] / world->unit / 20;
        int64_t step = world->is_diverse ? 1 : 20 * world->unit;
        ret_available[d] = steps > 0
                               ? (int64_t)(g_rand_double(world->random) * (double)steps) * step
                               : capacity[d];
        if (one_in(world, 200)) {
            ret_available[d] = -world->unit * (int64_t)below(world, 100);
        }
    }
}

static void set_devices(World *world, uint32_t host)
{
    static const uint32_t slices[] = {1, 4, 1000};
    BerthPlaceDevice devices[4];
    uint32_t n = world->has_devices ? below(world, G_N_ELEMENTS(devices) + 1) : 0;
    uint32_t model = below(world, 2);

    for (uint32_t i = 0; i < n; i++) {
        devices[i] = (BerthPlaceDevice){.model = one_in(world, 8) ? 2 : model,
                                        .capacity = slices[model + one_in(world, 8)]};
        devices[i].free =
            one_in(world, 4) ? below(world, devices[i].capacity + 1) : devices[i].capacity;
    }
    g_assert_cmpint(berth_place_set_devices(world->place, host, devices, n), ==, BERTH_PLACE_OK);
}

static void ask_for_devices(World *world, BerthPlaceDevices *ret_devices)
{
    static const uint32_t slices[] = {1, 2, 500, BERTH_PLACE_WHOLE};

    *ret_devices = (BerthPlaceDevices){.n = 1 + (one_in(world, 3) ? below(world, 3) : 0),
                                       .slices = slices[below(world, G_N_ELEMENTS(slices))],
                                       .models = one_in(world, 2) ? BERTH_PLACE_ANY_MODEL
                                                                  : 1 + below(world, 7)};
}

/* Often what is typical of a size; NULL: none. */
static const BerthPlaceDevices *pick_devices(World *world, const int64_t *vector,
                                             BerthPlaceDevices *scratch)
{
    for (uint32_t i = 0; i < world->n_sizes && !one_in(world, 3); i++) {
        if (vector == world->sizes[i]) {
            return world->asked[i].n > 0 ? &world->asked[i] : NULL;
        }
    }
    if (one_in(world, 4)) {
        return NULL;
    }
    ask_for_devices(world, scratch);
    return scratch;
}

static void set_workload(World *world)
{
    BerthPlaceTypical typical[N_SIZES] = {0};

    for (uint32_t i = 0; i < world->n_sizes; i++) {
        typical[i].vector = world->sizes[i];
        typical[i].weight = 1 + below(world, 9);
        world->asked[i].n = 0;
        if (!one_in(world, 4)) {
            ask_for_devices(world, &world->asked[i]);
        }
        typical[i].devices = world->asked[i];
    }
    g_assert_cmpint(berth_place_set_workload(world->place, typical, world->n_sizes), ==,
                    BERTH_PLACE_OK);
}

static void add_host(World *world, uint32_t host)
{
    int64_t capacity[BERTH_PLACE_MAX_DIMS], available[BERTH_PLACE_MAX_DIMS];
    uint64_t order = world->has_own_order ? below(world, 500) : host;

    pick_capacity(world, capacity);
    pick_available(world, capacity, available);
    BerthPlaceResult result =
        berth_place_add(world->place, host, order, capacity,
                        one_in(world, 2) && !world->is_diverse ? NULL : available);
    if (result == BERTH_PLACE_OK && world->has_devices) {
        set_devices(world, host);
    }
    if (result == BERTH_PLACE_OK && world->has_rules) {
        berth_place_set_domains(world->place, host, (uint32_t[]){host / world->rack});
        berth_place_set_label(world->place, host, LABEL, one_in(world, 2));
    }
}

static void leave(World *world, const Vm *vm)
{
    if (world->has_rules) {
        g_assert_cmpint(berth_place_leave(world->place, vm->host, vm->groups, vm->n_groups), ==,
                        BERTH_PLACE_OK);
    }
}

static void drop_vms_of(World *world, uint32_t host)
{
    for (uint32_t i = 0; i < world->n_vms; i++) {
        if (world->vms[i].host == host) {
            leave(world, &world->vms[i]);
            world->vms[i--] = world->vms[--world->n_vms];
        }
    }
}

static void change_host(World *world, uint32_t host)
{
    int64_t capacity[BERTH_PLACE_MAX_DIMS], available[BERTH_PLACE_MAX_DIMS];

    switch (below(world, world->has_devices ? 6 : 5)) {
    case 5:
        drop_vms_of(world, host);
        if (berth_place_get(world->place, host, NULL, NULL, NULL) == BERTH_PLACE_OK) {
            set_devices(world, host);
        }
        break;
    case 0:
        drop_vms_of(world, host);
        berth_place_remove(world->place, host);
        break;
    case 1:
        add_host(world, host);
        break;
    case 2:
        berth_place_set_enabled(world->place, host, one_in(world, 2));
        break;
    case 3:
        if (berth_place_get(world->place, host, capacity, NULL, NULL) == BERTH_PLACE_OK) {
            pick_available(world, capacity, available);
            berth_place_set(world->place, host, NULL, available);
            drop_vms_of(world, host);
        }
        break;
    default:
        pick_capacity(world, capacity);
        pick_available(world, capacity, available);
        berth_place_set(world->place, host, capacity, available);
        drop_vms_of(world, host);
    }
}

static void give_back(World *world)
{
    if (world->n_vms > 0) {
        uint32_t i = below(world, world->n_vms);
        g_assert_cmpint(berth_place_give(world->place, world->vms[i].host, world->vms[i].vector),
                        ==, BERTH_PLACE_OK);
        leave(world, &world->vms[i]);
        if (world->vms[i].devices != 0) {
            g_assert_cmpint(berth_place_give_devices(world->place, world->vms[i].host,
                                                     world->vms[i].slices, world->vms[i].devices),
                            ==, BERTH_PLACE_OK);
        }
        world->vms[i] = world->vms[--world->n_vms];
    }
}

static void take(World *world, const BerthPlaceDecision *decision, const BerthPlaceRequest *request)
{
    uint32_t host = decision->host;
    const int64_t *vector = request->vector;

    if (world->n_vms < MAX_VMS) {
        Vm *vm = &world->vms[world->n_vms++];
        vm->host = host;
        memcpy(vm->vector, vector, world->n_dims * sizeof *vector);
        vm->n_groups = request->n_groups;
        for (uint32_t i = 0; i < request->n_groups; i++) {
            vm->groups[i] = request->groups[i];
        }
        vm->devices = request->n_devices > 1 ? 0 : decision->devices;
        vm->slices = request->devices != NULL ? request->devices->slices : 0;
        g_assert_cmpint(berth_place_take(world->place, host, vector), ==, BERTH_PLACE_OK);
        if (vm->devices != 0) {
            g_assert_cmpint(berth_place_take_devices(world->place, host, vm->slices, vm->devices),
                            ==, BERTH_PLACE_OK);
        }
        if (world->has_rules) {
            g_assert_cmpint(berth_place_enter(world->place, host, vm->groups, vm->n_groups), ==,
                            BERTH_PLACE_OK);
        }
    }
}

static void restrict_request(World *world, BerthPlaceRequest *request)
{
    uint32_t kind = below(world, 6);

    if (kind == 0) {
        for (uint32_t i = 0; i < G_N_ELEMENTS(world->allowed); i++) {
            world->allowed[i] = (uint64_t)g_rand_int(world->random) << below(world, 32);
        }
        request->allowed = world->allowed;
        request->allowed_words = below(world, G_N_ELEMENTS(world->allowed) + 1);
    }
    if (kind < 2) {
        uint32_t every = 1 + below(world, 4);
        for (uint32_t host = below(world, 3); host < world->n_hosts;
             host += 1 + below(world, every)) {
            world->banned[request->banned_count++] = host;
        }
        request->banned = world->banned;
    }
}

static void join_groups(World *world, BerthPlaceRequest *request)
{
    static const uint32_t label = LABEL, groups[] = {0, 1, 2, 3, 4, 5, 6, 0};

    if (world->has_rules && one_in(world, 2)) {
        request->groups = groups + below(world, G_N_ELEMENTS(groups) - 1);
        request->n_groups = 1 + below(world, 2);
    }
    if (world->has_rules && one_in(world, 8)) {
        request->labels = &label;
        request->n_labels = 1;
    }
}

/* One question to both. */
static void ask(World *world)
{
    static const double mix[BERTH_PLACE_N_MIXED] = {1, 0, 0, 2, 0, 0.5};
    int64_t scratch[BERTH_PLACE_MAX_DIMS];
    BerthPlaceRequest request = {
        .struct_size = sizeof request,
        .policy = (BerthPlacePolicy)below(world, N_POLICIES(world)),
        .vector = pick_size(world, scratch),
    };
    BerthPlaceDecision decision = {.struct_size = sizeof decision, .host = BERTH_PLACE_NONE};
    BerthPlaceDevices scratch_devices[2];
    Filter filter;

    request.mix = request.policy == BERTH_PLACE_MIX ? mix : NULL;
    restrict_request(world, &request);
    join_groups(world, &request);
    if (world->has_devices) {
        request.devices = pick_devices(world, request.vector, scratch_devices);
        if (request.devices == scratch_devices && one_in(world, 3)) {
            scratch_devices[0].models = 1 + below(world, 3);
            scratch_devices[1] = (BerthPlaceDevices){.n = 1, .slices = 1, .models = 4};
            request.n_devices = 2;
        }
    }
    g_assert_cmpint(find_begin(&filter, world->place, &request), ==, BERTH_PLACE_OK);
    BerthPlaceVerdict expected = scan_find(&filter);
    BerthPlaceResult result = berth_place_find(world->place, &request, &decision);
    g_assert_cmpint(result, ==,
                    expected.host == BERTH_PLACE_NONE ? BERTH_PLACE_NO_HOST : BERTH_PLACE_OK);
    if (decision.host != expected.host) {
        g_test_message("%s: host %u instead of %u", berth_place_policy_name(request.policy),
                       decision.host, expected.host);
    }
    g_assert_cmpuint(decision.host, ==, expected.host);
    g_assert_cmpuint(decision.penalty, ==, expected.penalty);
    world->found += result == BERTH_PLACE_OK;
    world->missed += result != BERTH_PLACE_OK;
    if (result == BERTH_PLACE_OK) {
        g_assert_cmpint(memcmp(&decision.score, &expected.score, sizeof decision.score), ==, 0);
        if (!one_in(world, 4)) {
            take(world, &decision, &request);
        }
    }
}

static void make_rules(World *world)
{
    static const BerthPlaceRule rules[] = {
        {.kind = BERTH_PLACE_APART, .level = 0, .a = 0, .b = 0},
        {.kind = BERTH_PLACE_APART, .level = 1, .a = 1, .b = 1, .weight = 5},
        {.kind = BERTH_PLACE_SPREAD, .level = 1, .a = 2, .skew = 2},
        {.kind = BERTH_PLACE_APART, .level = 0, .a = 3, .b = 0, .weight = 2},
        {.kind = BERTH_PLACE_NEAR, .a = 4, .b = 0, .weight = 1},
        {.kind = BERTH_PLACE_APART, .level = 1, .a = 5, .b = 1},
        {.kind = BERTH_PLACE_TOGETHER, .level = 1, .a = 6, .b = 6},
        {.kind = BERTH_PLACE_SOLE, .level = 0, .a = 4, .b = 2},
        {.kind = BERTH_PLACE_SOLE, .level = 1, .a = 1, .b = 3},
    };

    g_assert_cmpint(berth_place_set_levels(world->place, 2), ==, BERTH_PLACE_OK);
    /* Where a rule asks for company, all rules are looked at before any host. */
    bool has_company = one_in(world, 2);

    for (uint32_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        BerthPlaceRule rule = rules[i];
        if (!has_company && (rule.kind == BERTH_PLACE_NEAR || rule.kind == BERTH_PLACE_TOGETHER)) {
            continue;
        }
        rule.struct_size = sizeof rule;
        g_assert_cmpint(berth_place_rule_add(world->place, i, &rule, NULL), ==, BERTH_PLACE_OK);
    }
}

static void make_world(World *world)
{
    static const uint32_t dims[] = {1, 2, 3, 5, 5, 5, 7, 16};
    BerthPlaceOptions options = {.struct_size = sizeof options};

    world->n_dims = options.n_dims = dims[below(world, G_N_ELEMENTS(dims))];
    world->n_hosts = 1 + below(world, MAX_HOSTS);
    world->n_sizes = 1 + below(world, N_SIZES);
    world->unit = one_in(world, 3) ? INT64_C(1) << below(world, 34) : 1;
    world->has_own_order = one_in(world, 3);
    world->is_diverse = one_in(world, 2);
    world->is_one_shape = one_in(world, 3);
    world->difference = 0;
    if (world->is_diverse && one_in(world, 3)) {
        world->unit = INT64_C(1) << (20 + below(world, 14));
        world->difference = pow(10, -1 - g_rand_double(world->random) * 8);
    }
    for (uint32_t d = 0; d < world->n_dims; d++) {
        world->shares[d] = 1 - 0.8 * g_rand_double(world->random);
    }
    world->has_rules = one_in(world, 3);
    world->rack = one_in(world, 2) ? 8 : 100;
    world->has_devices = one_in(world, 3);
    world->n_vms = 0;
    g_assert_cmpint(berth_place_new(&options, &world->place), ==, BERTH_PLACE_OK);
    if (world->has_rules) {
        make_rules(world);
    }
    for (uint32_t i = 0; i < N_SHAPES; i++) {
        make_capacity(world, world->shapes[i]);
    }
    for (uint32_t i = 0; i < N_SIZES; i++) {
        make_size(world, world->sizes[i]);
    }
    for (uint32_t host = 0; host < world->n_hosts; host++) {
        if (!one_in(world, 20)) {
            add_host(world, host);
        }
    }
    if (world->has_devices) {
        set_workload(world);
    }
}

static void prepare(World *world)
{
    uint32_t policies = g_rand_int(world->random);

    for (uint32_t i = 0; i < N_POLICIES(world); i++) {
        for (uint32_t k = 0; (policies >> i & 1) != 0 && k < world->n_sizes; k++) {
            index_prepare(world->place, (BerthPlacePolicy)i,
                          world->is_diverse ? NULL : world->sizes[k]);
        }
    }
}

static void live(World *world)
{
    uint32_t restless = 2 + below(world, 30);

    for (uint32_t i = 0; i < STEPS; i++) {
        if (one_in(world, restless)) {
            change_host(world, below(world, world->n_hosts));
        }
        if (one_in(world, 3)) {
            give_back(world);
        }
        ask(world);
        if (one_in(world, 100)) {
            g_assert_cmpstr(berth_place_check(world->place), ==, NULL);
        }
    }
    g_assert_cmpstr(berth_place_check(world->place), ==, NULL);
}

static void test_decides_as_the_scan_does(void)
{
    const char *fleets = g_getenv("BERTH_PLACE_FLEETS"), *seed = g_getenv("BERTH_PLACE_SEED");
    guint64 n = fleets != NULL ? g_ascii_strtoull(fleets, NULL, 10) : FLEETS;
    guint64 first = seed != NULL ? g_ascii_strtoull(seed, NULL, 10) : 0;
    g_autofree World *world = g_new0(World, 1);

    for (guint64 i = 0; i < n; i++) {
        world->random = g_rand_new_with_seed((guint32)(first + i));
        make_world(world);
        if (!one_in(world, 3)) {
            prepare(world);
        }
        live(world);
        berth_place_free(world->place);
        g_rand_free(world->random);
    }
    g_test_message("%" G_GUINT64_FORMAT " fleets, %u hosts found, %u times none", n, world->found,
                   world->missed);
    g_assert_cmpuint(world->found, >, n * STEPS / 4);
    g_assert_cmpuint(world->missed, >, n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/index/decides-as-the-scan-does", test_decides_as_the_scan_does);
    return g_test_run();
}
