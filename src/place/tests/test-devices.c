/* Devices one by one: booking, choice, reasons, fragments; and random lives of a fleet in which the index
 * must find what a look at every host finds. */
#include "place/devices.h"

#include <glib.h>
#include <string.h>

#include "place/file.h"
#include "place/find.h"
#include "place/fragments.h"
#include "place/rules.h"
#include "place/scan.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BerthPlace, berth_place_free)

enum { OLD, NEW };

#define VECTOR(...) ((const int64_t[]){__VA_ARGS__})
#define ANY BERTH_PLACE_ANY_MODEL

/* Hosts with 100 and 100 of each dimension. */
static BerthPlace *new_fleet(uint32_t n)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
    BerthPlace *place;

    g_assert_cmpint(berth_place_new(&options, &place), ==, BERTH_PLACE_OK);
    for (uint32_t host = 0; host < n; host++) {
        g_assert_cmpint(berth_place_add(place, host, host, VECTOR(100, 100), NULL), ==,
                        BERTH_PLACE_OK);
    }
    return place;
}

static void set_devices(BerthPlace *place, uint32_t host, uint32_t n,
                        const BerthPlaceDevice *devices)
{
    g_assert_cmpint(berth_place_set_devices(place, host, devices, n), ==, BERTH_PLACE_OK);
}

static BerthPlaceResult find(const BerthPlace *place, BerthPlacePolicy policy, uint32_t n,
                             uint32_t slices, uint64_t models, BerthPlaceDecision *ret_decision)
{
    BerthPlaceDevices asked = {n, slices, models};
    BerthPlaceRequest request = {
        .struct_size = sizeof request, .policy = policy, .vector = VECTOR(1, 1), .devices = &asked};

    *ret_decision = (BerthPlaceDecision){.struct_size = sizeof *ret_decision};
    return berth_place_find(place, &request, ret_decision);
}

static void test_a_request_never_straddles_devices(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceDecision decision;

    set_devices(place, 0, 2, (BerthPlaceDevice[]){{OLD, 10, 5}, {OLD, 10, 4}});
    g_assert_cmpint(find(place, BERTH_PLACE_FIRST_FIT, 1, 6, ANY, &decision), ==,
                    BERTH_PLACE_NO_HOST);
    g_assert_cmpint(find(place, BERTH_PLACE_FIRST_FIT, 2, 4, ANY, &decision), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(decision.devices, ==, 3);
    g_assert_cmpint(find(place, BERTH_PLACE_FIRST_FIT, 2, 5, ANY, &decision), ==,
                    BERTH_PLACE_NO_HOST);
}

static void test_whole_devices_are_untouched_ones(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceDecision decision;

    set_devices(place, 0, 3, (BerthPlaceDevice[]){{OLD, 10, 9}, {NEW, 4, 4}, {OLD, 10, 10}});
    g_assert_cmpint(find(place, BERTH_PLACE_FIRST_FIT, 2, BERTH_PLACE_WHOLE, ANY, &decision), ==,
                    BERTH_PLACE_OK);
    g_assert_cmpuint(decision.devices, ==, 6);
    g_assert_cmpint(find(place, BERTH_PLACE_FIRST_FIT, 2, BERTH_PLACE_WHOLE, 1 << OLD, &decision),
                    ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpint(berth_place_take_devices(place, 0, BERTH_PLACE_WHOLE, 1), ==,
                    BERTH_PLACE_ERROR_OVERDRAW);
    g_assert_cmpint(berth_place_take_devices(place, 0, BERTH_PLACE_WHOLE, 6), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_give_devices(place, 0, BERTH_PLACE_WHOLE, 7), ==,
                    BERTH_PLACE_ERROR_OVERFILL);
    g_assert_cmpint(berth_place_give_devices(place, 0, BERTH_PLACE_WHOLE, 6), ==, BERTH_PLACE_OK);
    g_assert_null(berth_place_check(place));
}

static void test_the_tightest_device_then_the_first(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceDecision decision;

    set_devices(place, 0, 4,
                (BerthPlaceDevice[]){{OLD, 10, 10}, {OLD, 10, 4}, {OLD, 10, 3}, {OLD, 10, 4}});
    g_assert_cmpint(find(place, BERTH_PLACE_MOST_FREE, 1, 4, ANY, &decision), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(decision.devices, ==, 2);
    g_assert_cmpint(find(place, BERTH_PLACE_MOST_FREE, 2, 3, ANY, &decision), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(decision.devices, ==, 6);
}

static void test_several_kinds_at_once(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    BerthPlaceDevices asked[] = {{1, 4, 1 << OLD}, {1, BERTH_PLACE_WHOLE, 1 << NEW}};
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = BERTH_PLACE_FIRST_FIT,
                                 .vector = VECTOR(1, 1),
                                 .devices = asked,
                                 .n_devices = 2};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    BerthPlaceVerdict verdict;

    set_devices(place, 0, 3, (BerthPlaceDevice[]){{OLD, 10, 10}, {OLD, 10, 3}, {NEW, 5, 4}});
    g_assert_cmpint(berth_place_find(place, &request, &decision), ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpint(berth_place_examine(place, &request, 0, &verdict), ==, BERTH_PLACE_OK);
    g_assert_cmpint(verdict.reason, ==, BERTH_PLACE_DEVICE);
    g_assert_cmpint(verdict.missing, ==, 1);
    g_assert_cmpint(berth_place_examine(place, &request, 1, &verdict), ==, BERTH_PLACE_OK);
    g_assert_cmpint(verdict.missing, ==, 2);
    set_devices(place, 1, 4,
                (BerthPlaceDevice[]){{OLD, 10, 10}, {NEW, 5, 4}, {OLD, 10, 4}, {NEW, 5, 5}});
    g_assert_cmpint(berth_place_find(place, &request, &decision), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(decision.host, ==, 1);
    g_assert_cmpuint(decision.devices, ==, 1 << 2 | 1 << 3);
    request.n_devices = 0; /* counts as one */
    g_assert_cmpint(berth_place_find(place, &request, &decision), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(decision.host, ==, 0);
    g_assert_cmpuint(decision.devices, ==, 1);
    request.n_devices = 2;
    asked[1].models = ANY; /* a model of both */
    g_assert_cmpint(berth_place_find(place, &request, &decision), ==, BERTH_PLACE_ERROR_ARGUMENT);
    request.devices = NULL;
    g_assert_cmpint(berth_place_find(place, &request, &decision), ==, BERTH_PLACE_ERROR_ARGUMENT);
}

static void test_booking_is_all_or_nothing(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    uint32_t n;

    set_devices(place, 0, 2, (BerthPlaceDevice[]){{OLD, 10, 5}, {OLD, 10, 4}});
    g_assert_cmpint(berth_place_take_devices(place, 0, 5, 3), ==, BERTH_PLACE_ERROR_OVERDRAW);
    g_assert_cmpint(berth_place_give_devices(place, 0, 6, 3), ==, BERTH_PLACE_ERROR_OVERFILL);
    g_assert_cmpint(berth_place_take_devices(place, 0, 4, 3), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_get_devices(place, 0, devices, &n), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(n, ==, 2);
    g_assert_cmpuint(devices[0].free, ==, 1);
    g_assert_cmpuint(devices[1].free, ==, 0);
}

static void test_the_reason_tells_how_many_are_missing(void)
{
    g_autoptr(BerthPlace) place = new_fleet(3);
    BerthPlaceDevices asked = {3, 5, 1 << NEW};
    BerthPlaceRequest request = {
        .struct_size = sizeof request, .vector = VECTOR(1, 1), .devices = &asked};
    BerthPlaceVerdict verdict;
    BerthPlaceCause causes[BERTH_PLACE_MAX_CAUSES];
    uint32_t n;
    uint64_t chosen = 99;

    set_devices(place, 0, 3, (BerthPlaceDevice[]){{NEW, 10, 5}, {NEW, 10, 4}, {OLD, 10, 10}});
    set_devices(place, 1, 1, (BerthPlaceDevice[]){{OLD, 10, 10}});
    for (uint32_t host = 0; host < 3; host++) {
        g_assert_cmpint(berth_place_examine(place, &request, host, &verdict), ==, BERTH_PLACE_OK);
        g_assert_cmpint(verdict.reason, ==, BERTH_PLACE_DEVICE);
        g_assert_cmpint(verdict.missing, ==, host == 0 ? 2 : 3);
    }
    g_assert_cmpint(berth_place_choose_devices(place, &request, 0, &chosen), ==,
                    BERTH_PLACE_NO_HOST);
    g_assert_cmpuint(chosen, ==, 99);
    g_assert_cmpint(berth_place_conflict(place, &request, causes, &n), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(causes[0].reason, ==, BERTH_PLACE_DEVICE);
    g_assert_cmpuint(causes[0].hosts, ==, 3);
}

static void test_unsound_devices_are_refused(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceDecision decision;
    BerthPlaceDevice many[BERTH_PLACE_MAX_DEVICES + 1];
    BerthPlaceDevice good = {OLD, 10, 10};

    for (size_t i = 0; i < G_N_ELEMENTS(many); i++) {
        many[i] = good;
    }
    g_assert_cmpint(berth_place_set_devices(place, 0, many, 65), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_place_set_devices(place, 0, many, 64), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_set_devices(place, 7, many, 1), ==, BERTH_PLACE_ERROR_UNKNOWN_HOST);
    many[0].model = BERTH_PLACE_MAX_MODEL;
    g_assert_cmpint(berth_place_set_devices(place, 0, many, 1), ==, BERTH_PLACE_ERROR_ARGUMENT);
    many[0] = (BerthPlaceDevice){OLD, 0, 0};
    g_assert_cmpint(berth_place_set_devices(place, 0, many, 1), ==, BERTH_PLACE_ERROR_AMOUNT);
    many[0] = (BerthPlaceDevice){OLD, 10, 11};
    g_assert_cmpint(berth_place_set_devices(place, 0, many, 1), ==, BERTH_PLACE_ERROR_AMOUNT);

    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 1, 0, ANY, &decision), ==,
                    BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 1, BERTH_PLACE_MAX_SLICES + 1, ANY, &decision),
                    ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 0, 1, ANY, &decision), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 65, 1, ANY, &decision), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 1, 1, 0, &decision), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 1, 11, ANY, &decision), ==,
                    BERTH_PLACE_NO_HOST);
    g_assert_cmpint(find(place, BERTH_PLACE_COSINE, 1, 1, 1 << NEW, &decision), ==,
                    BERTH_PLACE_NO_HOST);
    g_assert_cmpint(find(place, BERTH_PLACE_FRAGMENTATION, 1, 1, ANY, &decision), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_place_take_devices(place, 0, 1, 0), ==, BERTH_PLACE_ERROR_ARGUMENT);
    set_devices(place, 0, 1, &good);
    g_assert_cmpint(berth_place_take_devices(place, 0, 1, 2), ==, BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(berth_place_take_devices(place, 0, 0, 1), ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_null(berth_place_check(place));
}

/* A caller that was built before there were devices. */
static void test_older_structs_are_taken(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceRequest request = {.struct_size = offsetof(BerthPlaceRequest, devices),
                                 .vector = VECTOR(1, 1),
                                 .devices = (const BerthPlaceDevices *)16};
    BerthPlaceDecision decision = {
        .struct_size = offsetof(BerthPlaceDecision, devices), .host = 7, .devices = 42};

    g_assert_cmpint(berth_place_find(place, &request, &decision), ==, BERTH_PLACE_OK);
    g_assert_cmpuint(decision.host, ==, 0);
    g_assert_cmpuint(decision.devices, ==, 42);
}

static void test_fragments_of_a_host(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    /* Half of the requests want a whole device, a quarter half a one, a quarter none. */
    BerthPlaceTypical typical[] = {
        {VECTOR(10, 0), {1, BERTH_PLACE_WHOLE, ANY}, 2},
        {VECTOR(90, 0), {1, 5, ANY}, 1},
        {VECTOR(0, 0), {0}, 1},
    };
    double fragments;

    g_assert_cmpint(berth_place_fragments(place, 0, &fragments), ==, BERTH_PLACE_ERROR_ARGUMENT);
    set_devices(place, 0, 2, (BerthPlaceDevice[]){{OLD, 10, 10}, {OLD, 10, 4}});
    g_assert_cmpint(berth_place_set_workload(place, typical, 3), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_fragments(place, 0, &fragments), ==, BERTH_PLACE_OK);
    g_assert_cmpfloat_with_epsilon(fragments, 0.5 * 0.4 + 0.25 * 0.4 + 0.25 * 1.4, 1e-12);

    berth_place_take(place, 0, VECTOR(20, 0)); /* now 90 do not fit */
    berth_place_fragments(place, 0, &fragments);
    g_assert_cmpfloat_with_epsilon(fragments, 0.5 * 0.4 + 0.25 * 1.4 + 0.25 * 1.4, 1e-12);

    berth_place_take_devices(place, 0, 1, 1); /* no whole one is left */
    berth_place_fragments(place, 0, &fragments);
    g_assert_cmpfloat_with_epsilon(fragments, 1.3, 1e-12);
    berth_place_fragments(place, 1, &fragments);
    g_assert_cmpfloat(fragments, ==, 0);
    g_assert_null(berth_place_check(place));
}

static void test_fragmentation_keeps_whole_devices_whole(void)
{
    g_autoptr(BerthPlace) place = new_fleet(2);
    BerthPlaceTypical typical = {VECTOR(1, 1), {1, BERTH_PLACE_WHOLE, ANY}, 1};
    BerthPlaceDecision decision;

    set_devices(place, 0, 2, (BerthPlaceDevice[]){{OLD, 10, 10}, {OLD, 10, 10}});
    set_devices(place, 1, 2, (BerthPlaceDevice[]){{OLD, 10, 10}, {OLD, 10, 5}});
    g_assert_cmpint(berth_place_set_workload(place, &typical, 1), ==, BERTH_PLACE_OK);
    g_assert_cmpint(find(place, BERTH_PLACE_FRAGMENTATION, 1, 2, ANY, &decision), ==,
                    BERTH_PLACE_OK);
    g_assert_cmpuint(decision.host, ==, 1);
    g_assert_cmpuint(decision.devices, ==, 2);
    g_assert_cmpfloat(decision.score, ==, -5); /* a fifth of a device, in steps of a 25th */

    typical.weight = 0;
    g_assert_cmpint(berth_place_set_workload(place, &typical, 1), ==, BERTH_PLACE_ERROR_ARGUMENT);
    typical.weight = BERTH_PLACE_MAX_WEIGHT + 1;
    g_assert_cmpint(berth_place_set_workload(place, &typical, 1), ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(berth_place_set_workload(place, NULL, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpint(find(place, BERTH_PLACE_FRAGMENTATION, 1, 2, ANY, &decision), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
}

/* Random lives. */
enum { N_HOSTS = 300, N_STEPS = 1500, MOST_VMS = 2000 };

typedef struct {
    uint32_t host, slices;
    uint64_t devices;
    int64_t vector[2];
} Vm;

static uint32_t below(GRand *rand, uint32_t n)
{
    return (uint32_t)g_rand_int_range(rand, 0, (gint32)n);
}

static void equip(GRand *rand, BerthPlace *place, uint32_t host)
{
    BerthPlaceDevice devices[8];
    uint32_t n = below(rand, 9);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t capacity = below(rand, 3) == 0 ? 1 : 10;
        devices[i] = (BerthPlaceDevice){below(rand, 3), capacity, capacity};
    }
    set_devices(place, host, n, devices);
}

static BerthPlaceDevices ask_for(GRand *rand)
{
    return (BerthPlaceDevices){.n = 1 + below(rand, 3),
                               .slices =
                                   below(rand, 3) == 0 ? BERTH_PLACE_WHOLE : 1 + below(rand, 10),
                               .models = below(rand, 2) == 0 ? ANY : 1 + below(rand, 7)};
}

static void set_workload(GRand *rand, BerthPlace *place)
{
    BerthPlaceTypical typical[12];
    int64_t vectors[G_N_ELEMENTS(typical)][2];

    for (size_t i = 0; i < G_N_ELEMENTS(typical); i++) {
        vectors[i][0] = below(rand, 30);
        vectors[i][1] = 0;
        typical[i] = (BerthPlaceTypical){vectors[i], ask_for(rand), 1 + below(rand, 100)};
        typical[i].devices.n = i % 4 == 0 ? 0 : typical[i].devices.n;
    }
    g_assert_cmpint(berth_place_set_workload(place, typical, G_N_ELEMENTS(typical)), ==,
                    BERTH_PLACE_OK);
}

static bool place_one(GRand *rand, BerthPlace *place, Vm *vm)
{
    BerthPlaceDevices asked = ask_for(rand);
    BerthPlaceDecision decision = {.struct_size = sizeof decision, .host = BERTH_PLACE_NONE};
    BerthPlacePolicy policy = (BerthPlacePolicy)below(rand, BERTH_PLACE_N_MIXED + 1);
    Filter filter;
    uint64_t chosen;

    *vm = (Vm){.slices = asked.slices, .vector = {1 + below(rand, 20), 1 + below(rand, 20)}};
    policy = policy == BERTH_PLACE_N_MIXED ? BERTH_PLACE_FRAGMENTATION : policy;
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = policy,
                                 .vector = vm->vector,
                                 .devices = below(rand, 5) == 0 ? NULL : &asked};
    BerthPlaceResult result = berth_place_find(place, &request, &decision);
    g_assert_cmpint(find_begin(&filter, place, &request), ==, BERTH_PLACE_OK);
    BerthPlaceVerdict best = scan_find(&filter);
    g_assert_cmpuint(decision.host, ==, best.host);
    if (result != BERTH_PLACE_OK) {
        g_assert_cmpint(result, ==, BERTH_PLACE_NO_HOST);
        return false;
    }
    g_assert_true(decision.score == best.score);
    vm->host = decision.host;
    vm->devices = decision.devices;
    g_assert_cmpint(berth_place_take(place, vm->host, vm->vector), ==, BERTH_PLACE_OK);
    if (request.devices == NULL) {
        g_assert_cmpuint(vm->devices, ==, 0);
        return true;
    }
    g_assert_cmpint(__builtin_popcountll(vm->devices), ==, asked.n);
    if (policy != BERTH_PLACE_FRAGMENTATION) { /* whose choice depends on the vector */
        berth_place_choose_devices(place, &request, vm->host, &chosen);
        g_assert_cmpuint(chosen, ==, vm->devices);
    }
    g_assert_cmpint(berth_place_take_devices(place, vm->host, vm->slices, vm->devices), ==,
                    BERTH_PLACE_OK);
    return true;
}

static void remove_one(BerthPlace *place, const Vm *vm)
{
    g_assert_cmpint(berth_place_give(place, vm->host, vm->vector), ==, BERTH_PLACE_OK);
    if (vm->devices != 0) {
        g_assert_cmpint(berth_place_give_devices(place, vm->host, vm->slices, vm->devices), ==,
                        BERTH_PLACE_OK);
    }
}

static void test_what_is_booked_is_rolled_back(void)
{
    g_autoptr(BerthPlace) place = new_fleet(1);
    BerthPlaceTypical typical = {VECTOR(1, 1), {1, BERTH_PLACE_WHOLE, ANY}, 1};
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    double before, after;

    set_devices(place, 0, 2, (BerthPlaceDevice[]){{OLD, 10, 10}, {OLD, 10, 4}});
    g_assert_cmpint(berth_place_set_workload(place, &typical, 1), ==, BERTH_PLACE_OK);
    berth_place_fragments(place, 0, &before);
    g_assert_cmpint(berth_place_begin(place), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_take_devices(place, 0, BERTH_PLACE_WHOLE, 1), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_give_devices(place, 0, 6, 2), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_take_devices(place, 0, 1, 2), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_set_devices(place, 0, devices, 0), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_set_workload(place, NULL, 0), ==, BERTH_PLACE_ERROR_BUSY);
    berth_place_fragments(place, 0, &after);
    g_assert_cmpfloat(before, !=, after);
    g_assert_cmpint(berth_place_rollback(place), ==, BERTH_PLACE_OK);
    berth_place_fragments(place, 0, &after);
    g_assert_cmpfloat(before, ==, after);
    berth_place_get_devices(place, 0, devices, NULL);
    g_assert_cmpuint(devices[0].free, ==, 10);
    g_assert_cmpuint(devices[1].free, ==, 4);
    g_assert_null(berth_place_check(place));
}

static bool append(const void *bytes, size_t length, void *user_data)
{
    g_byte_array_append(user_data, bytes, (guint)length);
    return true;
}

/* A fleet that was loaded is saved as the same bytes, and its table of devices is not believed. */
static void check_file(const BerthPlace *place)
{
    g_autoptr(GByteArray) one = g_byte_array_new(), other = g_byte_array_new();
    g_autoptr(BerthPlace) loaded = NULL;
    BerthPlaceFault fault = {.struct_size = sizeof fault};

    g_assert_cmpint(berth_place_save(place, append, one), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_place_load(one->data, one->len, &loaded, &fault), ==, BERTH_PLACE_OK);
    g_assert_null(berth_place_check(loaded));
    g_assert_cmpint(berth_place_save(loaded, append, other), ==, BERTH_PLACE_OK);
    g_assert_cmpmem(one->data, one->len, other->data, other->len);
    for (uint32_t host = 0; host < N_HOSTS; host++) {
        BerthPlaceDevice mine[64] = {0}, theirs[64] = {0};
        berth_place_get_devices(place, host, mine, NULL);
        berth_place_get_devices(loaded, host, theirs, NULL);
        g_assert_cmpmem(mine, sizeof mine, theirs, sizeof theirs);
    }
}

static void check_copy(const BerthPlace *place)
{
    g_autoptr(BerthPlace) copy = NULL;
    double one, other;

    g_assert_cmpint(berth_place_copy(place, &copy), ==, BERTH_PLACE_OK);
    g_assert_null(berth_place_check(copy));
    for (uint32_t host = 0; host < N_HOSTS; host++) {
        BerthPlaceDevice mine[64] = {0}, theirs[64] = {0};
        berth_place_get_devices(place, host, mine, NULL);
        berth_place_get_devices(copy, host, theirs, NULL);
        g_assert_cmpmem(mine, sizeof mine, theirs, sizeof theirs);
        if (berth_place_fragments(place, host, &one) == BERTH_PLACE_OK) {
            g_assert_cmpint(berth_place_fragments(copy, host, &other), ==, BERTH_PLACE_OK);
            g_assert_true(one == other);
        }
    }
    berth_place_set_devices(copy, 0, NULL, 0);
    g_assert_null(berth_place_check(place));
}

static void test_the_index_finds_what_a_scan_finds(void)
{
    for (uint32_t seed = 1; seed <= 8; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        g_autoptr(BerthPlace) place = new_fleet(N_HOSTS);
        g_autofree Vm *vms = g_new0(Vm, MOST_VMS);
        uint32_t n = 0;

        for (uint32_t host = 0; host < N_HOSTS; host++) {
            equip(rand, place, host);
        }
        set_workload(rand, place);
        for (uint32_t step = 0; step < N_STEPS; step++) {
            if (below(rand, 3) > 0 || n == 0) {
                n += place_one(rand, place, &vms[n]);
            } else {
                uint32_t i = below(rand, n);
                remove_one(place, &vms[i]);
                vms[i] = vms[--n];
            }
        }
        g_assert_null(berth_place_check(place));
        check_copy(place);
        check_file(place);
    }
}

/* Hosts come, go and change their devices; the bank of devices stays in order. */
static void test_hosts_come_and_go(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(5);
    g_autoptr(BerthPlace) place = new_fleet(50);

    set_workload(rand, place);
    for (uint32_t step = 0; step < 3000; step++) {
        uint32_t host = below(rand, 200);
        switch (below(rand, 4)) {
        case 0:
            berth_place_remove(place, host);
            break;
        case 1:
            berth_place_add(place, host, host, VECTOR(100, 50), NULL);
            break;
        default:
            if (berth_place_get(place, host, NULL, NULL, NULL) == BERTH_PLACE_OK) {
                equip(rand, place, host);
            }
        }
        if (step % 100 == 0) {
            g_assert_null(berth_place_check(place));
        }
    }
    g_assert_null(berth_place_check(place));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/devices/never-straddled", test_a_request_never_straddles_devices);
    g_test_add_func("/place/devices/whole-is-untouched", test_whole_devices_are_untouched_ones);
    g_test_add_func("/place/devices/tightest-first", test_the_tightest_device_then_the_first);
    g_test_add_func("/place/devices/several-kinds", test_several_kinds_at_once);
    g_test_add_func("/place/devices/all-or-nothing", test_booking_is_all_or_nothing);
    g_test_add_func("/place/devices/reason", test_the_reason_tells_how_many_are_missing);
    g_test_add_func("/place/devices/unsound", test_unsound_devices_are_refused);
    g_test_add_func("/place/devices/older-structs", test_older_structs_are_taken);
    g_test_add_func("/place/devices/fragments", test_fragments_of_a_host);
    g_test_add_func("/place/devices/keeps-whole", test_fragmentation_keeps_whole_devices_whole);
    g_test_add_func("/place/devices/rolled-back", test_what_is_booked_is_rolled_back);
    g_test_add_func("/place/devices/index-equals-scan", test_the_index_finds_what_a_scan_finds);
    g_test_add_func("/place/devices/hosts-come-and-go", test_hosts_come_and_go);
    return g_test_run();
}
