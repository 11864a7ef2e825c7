/* Devices that are cut into slices, over time: in reservations, in promises, and for what ends. */
#include <string.h>

#include "world.h"

/* `devices`: names of devices of a model, a letter each, cut into `slices`; into four
 * where it is a capital. */
static void report_cut(World *w, const char *name, const char *model, int64_t slices,
                       const char *devices, int64_t sequence)
{
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, name, NULL), "id");
    g_autoptr(AgentReport) report = agent_report_new();
    report->sequence = sequence;
    report->full = sequence == 1;
    report->facts = host_facts_new();
    report->facts->address = g_strdup("192.0.2.1");
    report->facts->capacity = resources_new();
    report->facts->capacity->cpu = 20000;
    report->facts->capacity->memory = 100000;
    report->facts->capacity->disk = 100;
    for (const char *d = devices; *d != '\0'; d++) {
        HostDevice *device = host_device_new();
        g_free(device->id);
        g_free(device->model);
        device->id = g_strdup_printf("%c", *d);
        device->model = g_strdup(model);
        device->slices = g_ascii_isupper(*d) ? 4 : slices;
        g_ptr_array_add(report->facts->devices, device);
    }
    if (sequence == 1) {
        world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_UP,
                                      .agent = {.host = host, .session = 1}});
    }
    deliver_report(w, host, report);
}

static void report_devices_of(World *w, const char *name, const char *devices, int64_t sequence)
{
    report_cut(w, name, "gpu/cut", 7, devices, sequence);
}

static void report_devices(World *w, const char *devices, int64_t sequence)
{
    report_devices_of(w, "h1", devices, sequence);
}

static World *world_with(ClusterBackfill mode, const char *devices)
{
    World *w = world_of_four();
    w->config.backfill = mode;
    cluster_core_free(w->core);
    world_boot(w);
    report_devices(w, devices, 1);
    static const int slices[] = {3, 4, 5, 7, 14};
    for (guint i = 0; i < G_N_ELEMENTS(slices); i++) {
        g_autofree char *size = g_strdup_printf(
            "{\"name\":\"g%d\",\"resources\":{\"cpu\":100,\"memory\":64,\"accelerators\":{\"gpu/"
            "cut\":%d}}}",
            slices[i], slices[i]);
        g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_SIZE, NULL, size), "201"));
    }
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"tiny\",\"resources\":{\"cpu\":100,\"memory\":64}}");
    return w;
}

static void restart(World *w, const char *devices)
{
    cluster_core_free(w->core);
    world_boot(w);
    report_devices(w, devices, 1);
}

static bool is_placed(const char *reply)
{
    return g_str_has_prefix(reply, "202");
}

static json_t *object_of(const char *reply)
{
    json_t *json = json_loads(strchr(reply, ' ') + 1, 0, NULL);
    g_assert_nonnull(json);
    return json;
}

/* "a:4 b:3" */
static char *devices_text(const json_t *devices)
{
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *held = json_array_get(devices, i);
        g_string_append_printf(text, "%s%s:%d", i > 0 ? " " : "",
                               json_string_value(json_object_get(held, "device")),
                               (int)json_integer_value(json_object_get(held, "slices")));
    }
    return g_string_free(text, FALSE);
}

static void assert_vm_has(World *w, const char *vm, const char *expected)
{
    json_t *json = object_of(ask(w, API_OP_GET_VM, vm, NULL));
    const json_t *placement = json_object_get(json, "placement");
    g_autofree char *text = devices_text(json_object_get(placement, "devices"));
    g_assert_cmpstr(text, ==, expected);
    json_decref(json);
}

static void assert_slot_has(World *w, size_t slot, const char *devices, const char *vm)
{
    json_t *json = object_of(ask(w, API_OP_GET_RESERVATION, "r", NULL));
    const json_t *its = json_array_get(json_object_get(json, "slots"), slot);
    g_autofree char *text = devices_text(json_object_get(its, "devices"));
    g_assert_cmpstr(text, ==, devices);
    g_assert_cmpstr(json_string_value(json_object_get(its, "vm")), ==, vm);
    json_decref(json);
}

static const char *reserve(World *w, const char *size, int count, const char *more)
{
    g_autofree char *body =
        g_strdup_printf("{\"name\":\"r\",\"size\":\"%s\",\"count\":%d,\"duration-seconds\":3600%s}",
                        size, count, more);
    return ask(w, API_OP_CREATE_RESERVATION, NULL, body);
}

/* A reservation r, of which the first slot holds these. */
static void reserve_on(World *w, const char *size, int count, const char *more, const char *devices)
{
    g_assert_true(g_str_has_prefix(reserve(w, size, count, more), "201"));
    assert_slot_has(w, 0, devices, NULL);
}

/* 4 of 7 slices of each are taken for an hour: 3 and 3 and 3 are left. */
static World *world_of_threes(ClusterBackfill mode)
{
    World *w = world_with(mode, "abc");
    g_assert_true(is_placed(create_vm_of(w, "x1", "g4", ENDS(3600))));
    g_assert_true(is_placed(create_vm_of(w, "x2", "g4", ENDS(3600))));
    g_assert_true(is_placed(create_vm_of(w, "x3", "g4", ENDS(7200))));
    assert_vm_has(w, "x3", "c:4");
    return w;
}

static void test_a_reservation_holds_slices_of_one_device(void)
{
    World *w = world_of_threes(CLUSTER_BACKFILL_OFF);
    g_assert_nonnull(strstr(reserve(w, "g4", 1, ",\"start\":\"+1s\""), "no room then for so long"));
    reserve_on(w, "g4", 1, "", "a:4");
    g_assert_true(is_placed(create_vm_of(w, "for-ever", "g3", "")));
    assert_vm_has(w, "for-ever", "a:3");
    g_assert_nonnull(strstr(create_vm_of(w, "too-large", "g4", ""), "409"));
    world_wait(w, 3602000);
    /* Two devices are free but for what is reserved, and the third for what has not ended. */
    g_assert_true(is_placed(create_vm_of(w, "y1", "g4", "")));
    assert_vm_has(w, "y1", "b:4");
    g_assert_nonnull(strstr(create_vm_of(w, "y2", "g4", ""), "no host has devices for 4 of the 7"));
    g_assert_true(is_placed(create_vm_of(w, "mine", "g3", ",\"reservation\":\"r\"")));
    assert_vm_has(w, "mine", "a:3");
    /* Of the four it holds the one that its VM does not use. */
    ask(w, API_OP_DELETE_VM, "for-ever", NULL);
    world_wait(w, 1000);
    g_assert_true(is_placed(create_vm_of(w, "y3", "g3", "")));
    assert_vm_has(w, "y3", "a:3");
    world_free(w);
}

static void test_a_start_now_keeps_clear_of_what_is_reserved(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    reserve_on(w, "g4", 1, ",\"start\":\"+1h\"", "a:4");
    /* Over before it begins, and not. */
    g_assert_true(is_placed(create_vm_of(w, "long", "g14", ENDS(3500))));
    ask(w, API_OP_DELETE_VM, "long", NULL);
    world_wait(w, 1000);
    g_assert_true(is_placed(create_vm_of(w, "one", "g4", ENDS(7000))));
    assert_vm_has(w, "one", "b:4");
    g_assert_nonnull(strstr(create_vm_of(w, "two", "g4", ENDS(7000)), "409"));
    g_assert_true(is_placed(create_vm_of(w, "brief", "g4", ENDS(600))));
    assert_vm_has(w, "brief", "a:4");
    world_free(w);
}

static void test_a_promise_holds_slices_of_one_device(void)
{
    World *w = world_of_threes(CLUSTER_BACKFILL_CONSERVATIVE);
    g_assert_nonnull(
        strstr(create_vm_of(w, "waits", "g4", ",\"queue\":true" ENDS(900)), "waits in the queue"));
    world_wait(w, 1000);
    for (int i = 0; i < 2; i++) {
        g_autofree char *start = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "waits", NULL), "expected");
        g_assert_nonnull(strstr(start, "has ended on h1"));
        /* For good, three are left of each; but two of the devices have no four at that time. */
        g_assert_nonnull(strstr(create_vm_of(w, "for-ever", "g4", ""), "409"));
        restart(w, "abc");
    }
    world_wait(w, 3602000);
    world_wait(w, 1000);
    assert_vm_has(w, "waits", "a:4");
    world_free(w);
}

/* By the sum three more would do on either device, and they are fewer on the one that is promised as a whole. */
static void test_a_promise_is_against_all_that_comes(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY, "ab");
    g_assert_true(is_placed(create_vm_of(w, "x", "g4", ENDS(3600))));
    g_assert_true(is_placed(create_vm_of(w, "goes", "g3", "")));
    g_assert_true(is_placed(create_vm_of(w, "stays", "g3", "")));
    assert_vm_has(w, "stays", "b:3");
    ask(w, API_OP_DELETE_VM, "goes", NULL);
    world_wait(w, 1000);
    g_assert_nonnull(
        strstr(create_vm_of(w, "head", "g7", ",\"queue\":true" ENDS(900)), "waits in the queue"));
    world_wait(w, 1000);
    restart(w, "ab");
    g_assert_true(is_placed(create_vm_of(w, "beside", "g3", ENDS(9000))));
    assert_vm_has(w, "beside", "b:3");
    world_wait(w, 3602000);
    world_wait(w, 1000);
    assert_vm_has(w, "head", "a:7");
    world_free(w);
}

static void test_a_slot_leaves_a_device_that_is_gone(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    reserve_on(w, "g4", 1, ",\"start\":\"+1h\"", "a:4");
    report_devices(w, "b", 2);
    world_wait(w, 1000);
    assert_slot_has(w, 0, "b:4", NULL);
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_EVENTS, NULL, NULL),
                            "room for 1 VM goes to other devices of h1: h1 has lost a device"));
    report_devices(w, "", 3);
    world_wait(w, 1000);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_RESERVATION, "r", NULL),
                            "h1 has lost a device of which it holds slices"));
    report_devices(w, "cb", 4);
    world_wait(w, 1000);
    assert_slot_has(w, 0, "b:4", NULL);
    g_assert_null(strstr(ask(w, API_OP_GET_RESERVATION, "r", NULL), "risk"));
    report_devices(w, "bc", 5);
    world_wait(w, 3600000);
    g_assert_true(is_placed(create_vm_of(w, "other", "g4", "")));
    assert_vm_has(w, "other", "c:4");
    g_assert_true(is_placed(create_vm_of(w, "mine", "g4", ",\"reservation\":\"r\"")));
    assert_vm_has(w, "mine", "b:4");
    world_free(w);
}

static void test_a_promise_leaves_a_device_that_is_gone(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY, "ab");
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"all\",\"resources\":{\"cpu\":20000,\"memory\":64}}");
    g_assert_true(is_placed(create_vm_of(w, "x", "all", ENDS(3600))));
    create_vm_of(w, "waits", "g4", ",\"queue\":true" ENDS(900));
    for (int i = 0; i < 2; i++) {
        world_wait(w, 1000);
        g_autofree char *start = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "waits", NULL), "expected");
        g_assert_nonnull(strstr(start, "when VM x has ended"));
        report_devices(w, "b", 2 + i);
    }
    report_devices(w, "", 5);
    world_wait(w, 1000);
    g_autofree char *none = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "waits", NULL), "expected");
    g_assert_null(none);
    report_devices(w, "ba", 6);
    world_wait(w, 3602000);
    world_wait(w, 1000);
    assert_vm_has(w, "waits", "b:4");
    world_free(w);
}

/* Who has no device came first to the store, but not to its slot. */
static void test_each_is_in_its_slot_after_a_restart(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    reserve_on(w, "g4", 2, "", "a:4");
    assert_slot_has(w, 1, "b:4", NULL);
    g_assert_true(is_placed(create_vm_of(w, "first", "g4", ",\"reservation\":\"r\"")));
    g_assert_true(is_placed(create_vm_of(w, "plain", "tiny", ",\"reservation\":\"r\"")));
    ask(w, API_OP_DELETE_VM, "first", NULL);
    world_wait(w, 1000);
    g_assert_true(is_placed(create_vm_of(w, "last", "g4", ",\"reservation\":\"r\"")));
    for (int i = 0; i < 2; i++) {
        assert_vm_has(w, "last", "a:4");
        assert_slot_has(w, 0, "a:4", "last");
        assert_slot_has(w, 1, "b:4", "plain");
        restart(w, "ab");
    }
    world_free(w);
}

static void test_whole_devices_are_reserved_while_others_run_on_them(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    g_assert_true(is_placed(create_vm_of(w, "x", "g3", ENDS(3600))));
    g_assert_nonnull(strstr(reserve(w, "g14", 1, ",\"start\":\"+59m\""), "409"));
    reserve_on(w, "g14", 1, ",\"start\":\"+1h\"", "a:7 b:7");
    g_assert_nonnull(strstr(create_vm_of(w, "for-ever", "g3", ""), "409"));
    world_wait(w, 3602000);
    g_assert_true(is_placed(create_vm_of(w, "all", "g14", ",\"reservation\":\"r\"")));
    assert_vm_has(w, "all", "a:7 b:7");
    world_free(w);
}

/* By the sum both would do: the other device is free. */
static void test_what_is_over_does_not_go_on_on_a_promised_device(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    create_vm_of(w, "runs", "g4", STOPS(3600));
    reserve_on(w, "g7", 1, ",\"start\":\"+2h\"", "a:7");
    w->obedient = false;
    world_wait(w, 3601000);
    assert_goes_on_only_without(w, "runs", "r", "host h1 has promised its devices");
    world_free(w);
}

/* The device is late, not the host's sum: the promise waits for it, and keeps its turn. */
static void test_a_promise_waits_for_who_overstays_on_its_device(void)
{
    World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE, "ab");
    g_assert_true(is_placed(create_vm_of(w, "late", "g4", ENDS(3600))));
    g_assert_true(is_placed(create_vm_of(w, "other", "g4", ENDS(7200))));
    create_vm_of(w, "head", "g7", ",\"queue\":true" ENDS(900));
    world_wait(w, 1000);
    w->obedient = false;
    world_wait(w, 3600000);
    world_wait(w, 60000);
    g_autofree char *start = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "head", NULL), "expected");
    g_assert_nonnull(start);
    g_assert_nonnull(strstr(create_vm_of(w, "next", "g4", ENDS(900)), "409"));
    w->obedient = true;
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *again = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "head", NULL), "expected");
    g_assert_cmpstr(again, ==, start);
    report_devices(w, "ab", 1); /* and without it */
    world_wait(w, 60000);
    assert_vm_has(w, "head", "a:7");
    world_free(w);
}

/* A device has room for it and for whom it has preempted, but not for the reservation besides: it waits for the
 * other to be off, though by the sum it has all. */
static void test_who_takes_a_place_waits_for_it_where_the_rest_is_promised(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "abc");
    create_vm_of(w, "low", "g3", ",\"priority\":100");
    create_vm_of(w, "one", "g5", ",\"priority\":900");
    create_vm_of(w, "two", "g5", ",\"priority\":900");
    assert_vm_has(w, "low", "a:3");
    reserve_on(w, "g4", 1, ",\"start\":\"+1h\"", "a:4");
    w->obedient = false;
    g_assert_true(is_placed(create_vm_of(w, "high", "g3", ",\"priority\":900")));
    assert_vm_has(w, "high", "a:3");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "high", NULL), "\"claiming\":true"));
    world_free(w);
}

/* Another device of the host is free; what the slot holds is not, so there is no room for its VM yet. */
static void test_a_slot_waits_for_who_overstays_on_its_device(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    g_assert_true(is_placed(create_vm_of(w, "late", "g4", ENDS(3600))));
    g_assert_true(is_placed(create_vm_of(w, "other", "g4", ENDS(7200))));
    reserve_on(w, "g7", 1, ",\"start\":\"+1h\"", "a:7");
    ask(w, API_OP_DELETE_VM, "other", NULL);
    world_wait(w, 1000);
    w->obedient = false;
    world_wait(w, 3601000);
    g_assert_nonnull(strstr(create_vm_of(w, "mine", "g7", ",\"reservation\":\"r\""),
                            "what should be gone is still on the devices of its slots"));
    g_assert_true(is_placed(create_vm_of(w, "beside", "g3", "")));
    assert_vm_has(w, "beside", "b:3");
    w->obedient = true;
    restart(w, "ab");
    world_wait(w, 1000);
    g_assert_true(is_placed(create_vm_of(w, "mine", "g7", ",\"reservation\":\"r\"")));
    assert_vm_has(w, "mine", "a:7");
    world_free(w);
}

/* Stopped at its end it has its disk still, which its slot does not promise a second time: not at once, and not
 * after a restart. Started again it is in no slot. */
static void test_a_vm_that_is_over_stays_in_its_slot(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"full\",\"resources\":{\"cpu\":100,\"memory\":64,\"disk\":60,"
        "\"accelerators\":{\"gpu/cut\":4}}}");
    g_assert_true(g_str_has_prefix(reserve(w, "full", 1, ",\"grace-seconds\":0"), "201"));
    g_assert_true(is_placed(
        create_vm_of(w, "mine", "full", ",\"reservation\":\"r\",\"duration-seconds\":600")));
    world_wait(w, 601000);
    for (int i = 0; i < 2; i++) {
        assert_vm_has(w, "mine", "");
        assert_slot_has(w, 0, "a:4", "mine");
        g_assert_nonnull(strstr(create_vm_of(w, "next", "full", ",\"reservation\":\"r\""),
                                "it has 0 free slots"));
        restart(w, "ab");
    }
    const char *refused = ask(w, API_OP_UPDATE_VM, "mine", "{\"power\":\"on\"}");
    g_assert_nonnull(strstr(refused, "host h1 has promised its disk"));
    assert_slot_has(w, 0, "a:4", "mine");
    world_wait(w, 3600000);
    g_assert_true(is_placed(ask(w, API_OP_UPDATE_VM, "mine", "{\"power\":\"on\"}")));
    assert_vm_has(w, "mine", "a:4");
    world_free(w);
}

static void test_a_vm_that_goes_on_leaves_its_slot(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    g_assert_true(g_str_has_prefix(reserve(w, "g4", 1, ",\"grace-seconds\":0"), "201"));
    g_assert_true(is_placed(
        create_vm_of(w, "mine", "g4", ",\"reservation\":\"r\",\"duration-seconds\":600")));
    world_wait(w, 601000);
    g_assert_true(is_placed(ask(w, API_OP_UPDATE_VM, "mine", "{\"power\":\"on\"}")));
    for (int i = 0; i < 2; i++) {
        assert_vm_has(w, "mine", "b:4");
        assert_slot_has(w, 0, "a:4", NULL);
        restart(w, "ab");
    }
    g_assert_true(is_placed(create_vm_of(w, "next", "g4", ",\"reservation\":\"r\"")));
    assert_vm_has(w, "next", "a:4");
    world_free(w);
}

/* A slot fills more than half of a host. */
static void add_wide(World *w)
{
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"wide\",\"resources\":{\"cpu\":12000,\"memory\":64,\"accelerators\":{"
        "\"gpu/cut\":4}}}");
}

/* It runs on, and is in its slot also after a restart. */
static void test_a_vm_stays_in_its_slot_when_its_device_is_gone(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    add_wide(w);
    g_assert_true(g_str_has_prefix(reserve(w, "wide", 1, ""), "201"));
    g_assert_true(is_placed(create_vm_of(w, "mine", "wide", ",\"reservation\":\"r\"")));
    report_devices(w, "b", 2);
    for (int i = 0; i < 2; i++) {
        world_wait(w, 1000);
        assert_slot_has(w, 0, "a:4", "mine");
        assert_vm_has(w, "mine", "a:4");
        restart(w, "b");
    }
    world_free(w);
}

/* The first has nowhere to go; the others find other devices in room of their own. */
static void test_each_slot_that_can_leaves_a_device_that_is_gone(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    add_wide(w);
    static const char *const hosts[] = {"h2", "h3"};
    for (int i = 0; i < 2; i++) {
        g_free(add_host(w, hosts[i], 20000, 100000));
        report_devices_of(w, hosts[i], "cd", 2);
    }
    reserve_on(w, "wide", 3, ",\"policy\":\"first-fit\",\"start\":\"+1h\"", "a:4");
    assert_slot_has(w, 1, "c:4", NULL);
    report_devices(w, "", 2);
    for (int i = 0; i < 2; i++) {
        report_devices_of(w, hosts[i], "d", 3);
    }
    world_wait(w, 1000);
    assert_slot_has(w, 0, "a:4", NULL);
    assert_slot_has(w, 1, "d:4", NULL);
    assert_slot_has(w, 2, "d:4", NULL);
    world_free(w);
}

/* Another host has given the model its cut, and has somebody on it. */
static void test_a_model_keeps_its_cut_after_a_restart(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "a");
    g_free(add_host(w, "h2", 20000, 100000));
    report_devices_of(w, "h2", "B", 2);
    report_devices(w, "", 2);
    g_assert_true(is_placed(create_vm_of(w, "mine", "g4", "")));
    assert_vm_has(w, "mine", "B:4");
    report_devices(w, "a", 3);
    for (int i = 0; i < 2; i++) {
        g_assert_nonnull(strstr(create_vm_of(w, "whole", "g7", ""), "400"));
        cluster_core_free(w->core);
        world_boot(w);
    }
    world_free(w);
}

/* The younger of two that could make room is on a device that is owed to a slot, since another overstays there. */
static void test_nobody_is_preempted_on_a_device_that_is_owed(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "abcd");
    create_vm_of(w, "five", "g5", ",\"priority\":900");
    create_vm_of(w, "fifth", "g5", ",\"priority\":900");
    create_vm_of(w, "keep", "g4", ",\"priority\":900");
    create_vm_of(w, "late", "g4", ENDS(3600));
    create_vm_of(w, "low", "g3", ",\"priority\":100");
    create_vm_of(w, "young", "g3", ",\"priority\":100");
    assert_vm_has(w, "low", "c:3");
    assert_vm_has(w, "young", "d:3");
    reserve_on(w, "g4", 1, ",\"start\":\"+1h\"", "d:4");
    w->obedient = false;
    world_wait(w, 3601000);
    g_assert_true(is_placed(create_vm_of(w, "high", "g3", ",\"priority\":500")));
    assert_vm_has(w, "high", "c:3");
    world_free(w);
}

/* The preempted and who takes its place are never on the device at once: beside them there is room. */
static void test_a_promise_stands_beside_who_takes_a_place(void)
{
    World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE, "a");
    create_vm_of(w, "low", "g3", ",\"priority\":100");
    create_vm_of(w, "x", "g4", ENDS(3600));
    create_vm_of(w, "head", "g4", ",\"queue\":true" ENDS(900));
    g_autofree char *before = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "head", NULL), "expected");
    g_assert_nonnull(before);
    w->obedient = false;
    g_assert_true(is_placed(create_vm_of(w, "high", "g3", "")));
    assert_vm_has(w, "high", "a:3");
    g_autofree char *after = text_of(ask(w, API_OP_GET_QUEUE_ENTRY, "head", NULL), "expected");
    g_assert_cmpstr(after, ==, before);
    g_assert_nonnull(strstr(create_vm_of(w, "thief", "g3", ""), "409"));
    world_free(w);
}

/* A name that a person gave to a device is replaced wherever it stands. */
static void test_a_masked_snapshot_has_no_names_of_devices(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "xy");
    reserve_on(w, "g4", 1, "", "x:4");
    g_assert_true(is_placed(create_vm_of(w, "mine", "g4", ",\"reservation\":\"r\"")));
    GetSnapshotQuery *query = get_snapshot_query_new();
    query->mask = true;
    const char *text = ask_with(w, API_OP_GET_SNAPSHOT, NULL, query, NULL);
    g_assert_true(g_str_has_prefix(text, "200"));
    g_assert_null(strstr(text, "\"x\""));
    g_assert_null(strstr(text, "\"y\""));
    g_assert_nonnull(
        strstr(text, "{\"device\":\"device-1\",\"model\":\"gpu/cut\",\"slices\":4,\"of\":7}"));
    g_assert_nonnull(strstr(text, "\"id\":\"device-2\""));
    world_free(w);
}

static void assert_told(World *w, const char *text)
{
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_EVENTS, NULL, NULL), text));
}

static void assert_free(World *w, const char *host, const char *expected)
{
    json_t *json = object_of(ask(w, API_OP_GET_HOST, host, NULL));
    const json_t *rows = json_object_get(json_object_get(json, "status"), "devices");
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        g_string_append_printf(text, "%s%s:%d", i > 0 ? " " : "",
                               json_string_value(json_object_get(row, "device")),
                               (int)json_integer_value(json_object_get(row, "free")));
    }
    g_assert_cmpstr(text->str, ==, expected);
    g_string_free(text, TRUE);
    json_decref(json);
}

static void test_a_lost_device_is_its_own_again_when_it_is_back(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    g_assert_true(is_placed(create_vm_of(w, "mine", "g4", "")));
    report_devices(w, "b", 2);
    assert_told(w, "host h1 has lost a, of which VM mine has slices");
    assert_vm_has(w, "mine", "a:4");
    assert_free(w, "h1", "b:7");
    g_assert_true(is_placed(create_vm_of(w, "other", "g7", "")));
    assert_vm_has(w, "other", "b:7");
    report_devices(w, "ba", 3);
    assert_told(w, "VM mine has all its devices on h1 again: a");
    assert_free(w, "h1", "b:0 a:3");
    g_assert_false(is_placed(create_vm_of(w, "third", "g4", "")));
    g_assert_true(is_placed(create_vm_of(w, "third", "g3", "")));
    assert_vm_has(w, "third", "a:3");
    world_free(w);
}

static void test_what_is_lost_stays_so_after_a_restart(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    g_assert_true(is_placed(create_vm_of(w, "mine", "g4", "")));
    report_devices(w, "b", 2);
    restart(w, "b");
    assert_vm_has(w, "mine", "a:4");
    assert_free(w, "h1", "b:7");
    report_devices(w, "ba", 2);
    assert_free(w, "h1", "b:7 a:3");
    world_free(w);
}

/* Three of seven and four of seven are no two of four. */
static void test_a_device_that_is_cut_otherwise_is_another(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "a");
    g_assert_true(is_placed(create_vm_of(w, "three", "g3", "")));
    g_assert_true(is_placed(create_vm_of(w, "four", "g4", "")));
    report_cut(w, "h1", "gpu/cut", 4, "a", 2);
    assert_told(w, "host h1 has lost a, of which VM three has slices");
    assert_told(w, "host h1 has lost a, of which VM four has slices");
    assert_free(w, "h1", "a:4");
    g_assert_true(is_placed(create_vm_of(w, "whole", "g4", "")));
    assert_free(w, "h1", "a:0");
    report_devices(w, "a", 3);
    assert_told(w, "VM three has all its devices on h1 again: a");
    assert_told(w, "host h1 has lost a, of which VM whole has slices");
    assert_free(w, "h1", "a:0");
    world_free(w);
}

/* Whose cut of a model counts is who came first, whatever order the store has. */
static void test_a_restart_cuts_models_as_before(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "a");
    g_free(add_host(w, "h2", 20000, 100000));
    report_cut(w, "h2", "gpu/cut", 7, "z", 1);
    report_cut(w, "h1", "gpu/cut", 4, "a", 2);
    assert_told(w, "host h1 does not offer a (a gpu/cut has 7 slices elsewhere and 4 here");
    assert_free(w, "h1", "");
    cluster_core_free(w->core);
    world_boot(w);
    assert_free(w, "h1", "");
    assert_free(w, "h2", "z:7");
    report_cut(w, "h2", "gpu/cut", 4, "z", 1);
    assert_free(w, "h1", "a:4");
    assert_free(w, "h2", "z:4");
    world_free(w);
}

static void test_who_starts_again_gets_others_for_those_that_are_lost(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "ab");
    g_assert_true(is_placed(create_vm_of(w, "mine", "g4", "")));
    g_assert_true(is_placed(ask(w, API_OP_UPDATE_VM, "mine", "{\"power\":\"off\"}")));
    g_assert_true(is_placed(create_vm_of(w, "other", "g5", "")));
    assert_vm_has(w, "other", "b:5");
    report_devices(w, "b", 2);
    const char *refused = ask(w, API_OP_UPDATE_VM, "mine", "{\"power\":\"on\"}");
    g_assert_nonnull(strstr(refused, "4 of the 7 slices of one gpu/cut"));
    report_devices(w, "bc", 3);
    g_assert_true(is_placed(ask(w, API_OP_UPDATE_VM, "mine", "{\"power\":\"on\"}")));
    assert_vm_has(w, "mine", "c:4");
    report_devices(w, "bca", 4);
    assert_free(w, "h1", "b:2 c:3 a:7");
    world_free(w);
}

/* Of these a slot holds a number, and which ones is open. */
static void test_slots_of_whole_devices_leave_a_host_that_has_fewer(void)
{
    World *w = world_of_four();
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"w1\",\"resources\":{\"cpu\":100,\"memory\":64,\"accelerators\":{\"gpu/"
        "whole\":1}}}");
    report_cut(w, "h1", "gpu/whole", 1, "ab", 1);
    g_assert_true(g_str_has_prefix(reserve(w, "w1", 2, ",\"start\":\"+1h\""), "201"));
    report_cut(w, "h1", "gpu/whole", 1, "b", 2);
    world_wait(w, 1000);
    assert_told(w, "is at risk: h1 has less gpu/whole than is promised of it");
    g_free(add_host(w, "h2", 20000, 100000));
    report_cut(w, "h2", "gpu/whole", 1, "z", 1);
    world_wait(w, 1000);
    const char *reservation = ask(w, API_OP_GET_RESERVATION, "r", NULL);
    g_assert_null(strstr(reservation, "risk"));
    g_assert_nonnull(strstr(reservation, "\"h1\""));
    g_assert_nonnull(strstr(reservation, "\"h2\""));
    world_free(w);
}

static void test_who_claims_a_device_that_is_lost_takes_another(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "a");
    g_assert_true(is_placed(create_vm_of(w, "low", "g7", ",\"priority\":100")));
    w->obedient = false;
    g_assert_true(is_placed(create_vm_of(w, "high", "g4", ",\"priority\":900")));
    assert_vm_has(w, "high", "a:4");
    report_devices(w, "", 2);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "high", NULL), "\"claiming\":true"));
    report_devices(w, "b", 3);
    assert_vm_has(w, "high", "b:4");
    g_assert_null(strstr(ask(w, API_OP_GET_VM, "high", NULL), "\"claiming\":true"));
    world_free(w);
}

/* Other capacities may come to be less too. */
static void test_a_host_that_comes_back_smaller_keeps_what_it_has(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF, "");
    for (int i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("v%d", i);
        g_assert_true(is_placed(create_vm_of(w, name, "m3", "")));
    }
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    report_up(w, host, 10000, 100000);
    g_assert_false(is_placed(create_vm_of(w, "more", "tiny", "")));
    ask(w, API_OP_DELETE_VM, "v0", NULL);
    g_assert_true(is_placed(create_vm_of(w, "more", "tiny", "")));
    world_free(w);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(void);
    } tests[] = {
        {"a-reservation-holds-slices-of-one-device", test_a_reservation_holds_slices_of_one_device},
        {"a-start-now-keeps-clear-of-what-is-reserved",
         test_a_start_now_keeps_clear_of_what_is_reserved},
        {"a-promise-holds-slices-of-one-device", test_a_promise_holds_slices_of_one_device},
        {"a-promise-is-against-all-that-comes", test_a_promise_is_against_all_that_comes},
        {"a-slot-leaves-a-device-that-is-gone", test_a_slot_leaves_a_device_that_is_gone},
        {"a-promise-leaves-a-device-that-is-gone", test_a_promise_leaves_a_device_that_is_gone},
        {"each-is-in-its-slot-after-a-restart", test_each_is_in_its_slot_after_a_restart},
        {"whole-devices-are-reserved-while-others-run-on-them",
         test_whole_devices_are_reserved_while_others_run_on_them},
        {"what-is-over-does-not-go-on-on-a-promised-device",
         test_what_is_over_does_not_go_on_on_a_promised_device},
        {"who-takes-a-place-waits-for-it-where-the-rest-is-promised",
         test_who_takes_a_place_waits_for_it_where_the_rest_is_promised},
        {"a-promise-waits-for-who-overstays-on-its-device",
         test_a_promise_waits_for_who_overstays_on_its_device},
        {"a-slot-waits-for-who-overstays-on-its-device",
         test_a_slot_waits_for_who_overstays_on_its_device},
        {"nobody-is-preempted-on-a-device-that-is-owed",
         test_nobody_is_preempted_on_a_device_that_is_owed},
        {"a-masked-snapshot-has-no-names-of-devices",
         test_a_masked_snapshot_has_no_names_of_devices},
        {"a-promise-stands-beside-who-takes-a-place",
         test_a_promise_stands_beside_who_takes_a_place},
        {"a-model-keeps-its-cut-after-a-restart", test_a_model_keeps_its_cut_after_a_restart},
        {"a-vm-that-is-over-stays-in-its-slot", test_a_vm_that_is_over_stays_in_its_slot},
        {"a-vm-that-goes-on-leaves-its-slot", test_a_vm_that_goes_on_leaves_its_slot},
        {"a-vm-stays-in-its-slot-when-its-device-is-gone",
         test_a_vm_stays_in_its_slot_when_its_device_is_gone},
        {"each-slot-that-can-leaves-a-device-that-is-gone",
         test_each_slot_that_can_leaves_a_device_that_is_gone},
        {"a-lost-device-is-its-own-again-when-it-is-back",
         test_a_lost_device_is_its_own_again_when_it_is_back},
        {"what-is-lost-stays-so-after-a-restart", test_what_is_lost_stays_so_after_a_restart},
        {"a-device-that-is-cut-otherwise-is-another",
         test_a_device_that_is_cut_otherwise_is_another},
        {"a-restart-cuts-models-as-before", test_a_restart_cuts_models_as_before},
        {"who-starts-again-gets-others-for-those-that-are-lost",
         test_who_starts_again_gets_others_for_those_that_are_lost},
        {"slots-of-whole-devices-leave-a-host-that-has-fewer",
         test_slots_of_whole_devices_leave_a_host_that_has_fewer},
        {"who-claims-a-device-that-is-lost-takes-another",
         test_who_claims_a_device_that_is_lost_takes_another},
        {"a-host-that-comes-back-smaller-keeps-what-it-has",
         test_a_host_that_comes_back_smaller_keeps_what_it_has},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/cluster/devices/", tests[i].path, NULL);
        g_test_add_func(path, tests[i].test);
    }
    return g_test_run();
}
