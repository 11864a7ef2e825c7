#include <string.h>

#include "base/error.h"
#include "world.h"

static World *world_with(ClusterBackfill mode)
{
    World *w = world_of_four();
    w->config.backfill = mode;
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    report_up(w, host, 4000, 100000);
    return w;
}

static World *world_of_two_hosts(ClusterBackfill mode)
{
    World *w = world_with(mode);
    g_free(add_host(w, "h2", 4000, 100000));
    return w;
}

static bool is_there(World *w, const char *vm)
{
    return g_str_has_prefix(ask(w, API_OP_GET_VM, vm, NULL), "200");
}

static char *start_of(World *w, const char *name)
{
    const char *reply = ask(w, API_OP_GET_QUEUE_ENTRY, name, NULL);
    g_assert_true(g_str_has_prefix(reply, "200"));
    return text_of(reply, "expected");
}

/* One of four runs for an hour on three CPUs, two wait for all four, so that a fourth CPU is left until then. */
static void let_two_wait(World *w)
{
    g_assert_true(g_str_has_prefix(create_vm_of(w, "runs", "m3", ENDS(3600)), "202"));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_APP, NULL,
                                "{\"name\":\"head\",\"size\":\"m1\",\"image\":\"demo\",\"count\":4,"
                                "\"queue\":true" ENDS(1000) "}"),
                            "waits in the queue"));
    g_assert_nonnull(strstr(create_vm_of(w, "second", "m3", ",\"queue\":true" ENDS(1000)),
                            "waits in the queue"));
}

static void test_easy_promises_the_first_alone(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    let_two_wait(w);
    g_autofree char *head = start_of(w, "head"), *second = start_of(w, "second");
    g_assert_nonnull(strstr(head, "when VM runs has ended on h1"));
    g_assert_null(second);
    /* Over before the head begins. */
    g_assert_true(g_str_has_prefix(create_vm_of(w, "brief", "m1", ENDS(1800)), "202"));
    world_wait(w, 1801000);
    g_assert_false(is_there(w, "brief"));
    /* Not over. */
    create_vm_of(w, "long", "m1", ",\"queue\":true" ENDS(7200));
    world_wait(w, 1000);
    g_assert_false(is_there(w, "long"));
    g_assert_nonnull(
        strstr(ask(w, API_OP_GET_QUEUE_ENTRY, "long", NULL), "it would delay head, which starts"));
    g_assert_nonnull(strstr(create_vm_of(w, "forever", "m1", ""), "409"));
    world_wait(w, 1801000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "head-4"));
    g_assert_false(is_there(w, "second"));
    world_free(w);
}

static void test_conservative_promises_all(void)
{
    World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE);
    let_two_wait(w);
    world_wait(w, 1000);
    g_autofree char *second = start_of(w, "second");
    g_assert_nonnull(second);
    create_vm_of(w, "third", "m3", ",\"queue\":true" ENDS(1000));
    world_wait(w, 1000);
    g_autofree char *third = start_of(w, "third");
    g_assert_cmpstr(second, <, third);
    /* Who fits beside all of them goes ahead. */
    g_assert_true(g_str_has_prefix(create_vm_of(w, "brief", "m1", ENDS(1800)), "202"));
    world_wait(w, 3601000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "head-1"));
    world_wait(w, 1001000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "second"));
    g_assert_false(is_there(w, "third"));
    world_free(w);
}

/* Between two rounds, too: no newcomer may take the room meanwhile. */
static void test_a_start_is_promised_when_it_is_asked_for(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    let_two_wait(w);
    ask(w, API_OP_DELETE_QUEUE_ENTRY, "head", NULL);
    ask(w, API_OP_DELETE_QUEUE_ENTRY, "second", NULL);
    g_assert_nonnull(
        strstr(create_vm_of(w, "next", "m3", ",\"queue\":true" ENDS(1000)), "waits in the queue"));
    g_autofree char *next = start_of(w, "next");
    g_assert_nonnull(strstr(next, "when VM runs has ended on h1"));
    world_free(w);
    w = world_with(CLUSTER_BACKFILL_CONSERVATIVE);
    let_two_wait(w);
    g_autofree char *second = start_of(w, "second");
    g_assert_nonnull(second);
    world_free(w);
}

static void test_off_promises_nobody(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF);
    let_two_wait(w);
    g_autofree char *head = start_of(w, "head");
    g_assert_null(head);
    g_assert_true(g_str_has_prefix(create_vm_of(w, "forever", "m1", ""), "202"));
    world_free(w);
}

static void test_a_higher_priority_comes_before_the_promise(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    let_two_wait(w);
    g_assert_true(
        g_str_has_prefix(create_vm_of(w, "urgent", "m1", ",\"priority\":501" ENDS(9000)), "202"));
    g_autofree char *head = start_of(w, "head");
    g_assert_nonnull(strstr(head, "when VM urgent has ended on h1"));
    world_free(w);
}

static void test_it_becomes_earlier_when_something_ends_before_its_time(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    let_two_wait(w);
    ask(w, API_OP_DELETE_VM, "runs", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "head-1"));
    g_autofree char *second = start_of(w, "second");
    g_assert_nonnull(strstr(second, "when VM head-"));
    world_free(w);
}

static void test_a_promise_outlives_the_manager(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    let_two_wait(w);
    g_autofree char *before = start_of(w, "head");
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *after = start_of(w, "head"); /* before any host is back */
    g_assert_cmpstr(before, ==, after);
    world_free(w);
}

/* What was promised the first start alone, and has lost it to one that goes before it. */
static void test_a_promise_that_was_given_up_stays_so(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    g_assert_true(g_str_has_prefix(create_vm_of(w, "runs", "m3", ENDS(3600)), "202"));
    create_vm_of(w, "stays", "m1", "");
    create_vm_of(w, "low", "m3", ",\"priority\":100,\"queue\":true");
    world_wait(w, 1000);
    g_autofree char *first = start_of(w, "low");
    g_assert_nonnull(strstr(first, "when VM runs has ended on h1"));
    create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
    world_wait(w, 1000);
    g_autofree char *before = start_of(w, "low"), *head = start_of(w, "head");
    g_assert_null(before);
    g_assert_nonnull(strstr(head, "when VM runs has ended on h1"));
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *after = start_of(w, "low"), *kept = start_of(w, "head");
    g_assert_null(after);
    g_assert_cmpstr(kept, ==, head);
    world_free(w);
}

static void test_a_promise_leaves_a_host_that_takes_nothing(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    let_two_wait(w);
    ask(w, API_OP_UPDATE_HOST, "h1", "{\"cordoned\":true}");
    world_wait(w, 1000);
    g_autofree char *none = start_of(w, "head");
    g_assert_null(none);
    ask(w, API_OP_UPDATE_HOST, "h1", "{\"cordoned\":false}");
    world_wait(w, 1000);
    g_autofree char *again = start_of(w, "head");
    g_assert_nonnull(again);
    world_free(w);
}

static void test_a_deadline_is_held_against_all(void)
{
    World *w = world_with(CLUSTER_BACKFILL_OFF);
    g_assert_true(g_str_has_prefix(create_vm_of(w, "runs", "m3", ENDS(3600)), "202"));
    const char *late = create_vm_of(w, "no", "m3", ",\"deadline\":\"+100m\"" ENDS(3600));
    g_assert_nonnull(strstr(late, "the deadline cannot be met: the earliest end is"));
    g_assert_nonnull(
        strstr(create_vm_of(w, "batch", "m3", ",\"deadline\":\"+2h\"" ENDS(3600)), "waits"));
    g_autofree char *batch = start_of(w, "batch");
    g_assert_nonnull(batch);
    g_assert_nonnull(strstr(
        create_vm_of(w, "high", "m3", ",\"priority\":900,\"queue\":true" ENDS(9000)), "waits"));
    world_wait(w, 3601000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "batch"));
    g_assert_false(is_there(w, "high"));
    world_free(w);
}

/* What can be met no more, since its host is gone for good. */
static void test_a_deadline_that_is_lost_is_told(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    g_autofree char *operation =
        text_of(create_vm_of(w, "batch", "m3", ",\"deadline\":\"+2h\"" ENDS(3600)), "id");
    ask(w, API_OP_UPDATE_HOST, "h1", "{\"cordoned\":true}");
    for (int i = 0; i < 65; i++) {
        world_wait(w, 60000);
    }
    const char *reply = ask(w, API_OP_GET_OPERATION, operation, NULL);
    g_assert_nonnull(strstr(reply, "\"failed\""));
    g_assert_nonnull(strstr(reply, "deadline"));
    world_free(w);
}

/* Hosts do not do what they are told from now on; let_go makes up for it. */
static char *id_of(World *w, const char *vm)
{
    return text_of(ask(w, API_OP_GET_VM, vm, NULL), "id");
}

static void let_go(World *w, const char *vm)
{
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    g_autoptr(AgentReport) report = report_of(vm, 1, 1, POWER_IS_OFF, NULL);
    ((ReportedVm *)report->vms->pdata[0])->gone = true;
    w->obedient = true;
    deliver_report(w, host, report);
}

/* `runs` has `late_s` seconds more than its time, while nobody may lose the start that it was promised. */
static void overstay(World *w, int late_s, const char *const *waiting)
{
    g_autofree char *runs = id_of(w, "runs");
    w->obedient = false;
    world_wait(w, 3599000);
    for (int i = 0; i < late_s; i++) {
        world_wait(w, 1000);
        for (int k = 0; waiting[k] != NULL; k++) {
            g_autofree char *start = start_of(w, waiting[k]);
            g_assert_nonnull(start);
        }
    }
    let_go(w, runs);
    world_wait(w, 1000);
    world_wait(w, 1000);
}

static void test_a_late_start_keeps_its_turn(void)
{
    World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
    create_vm_of(w, "second", "m3", ",\"queue\":true" ENDS(1000));
    create_vm_of(w, "third", "m3", ",\"queue\":true" ENDS(1000));
    world_wait(w, 1000);
    overstay(w, 70, (const char *const[]){"head", "second", "third", NULL});
    g_assert_true(is_there(w, "head"));
    g_assert_false(is_there(w, "second"));
    g_autofree char *second = start_of(w, "second");
    g_assert_nonnull(strstr(second, "when VM head has ended on h1"));
    g_autofree char *third = start_of(w, "third");
    g_assert_cmpstr(second, <, third);
    world_wait(w, 999000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "second"));
    g_assert_false(is_there(w, "third"));
    world_free(w);
}

/* The deadline's end is the second thousand seconds after the first VM's, and the minute that is left between. */
static void test_a_late_start_comes_before_a_deadline_that_was_promised_after_it(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
    g_assert_nonnull(
        strstr(create_vm_of(w, "tight", "m3", ",\"deadline\":\"+5661s\"" ENDS(1000)), "waits in"));
    world_wait(w, 1000);
    overstay(w, 70, (const char *const[]){"head", "tight", NULL});
    g_assert_true(is_there(w, "head"));
    g_autofree char *tight = start_of(w, "tight");
    g_assert_nonnull(strstr(tight, "when VM head has ended on h1"));
    world_wait(w, 999000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "tight"));
    world_free(w);
}

/* It may be some seconds late without being in the way of what cannot move. */
static void test_a_reservation_leaves_a_late_start_its_time(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_RESERVATION, NULL,
                                "{\"name\":\"behind\",\"size\":\"m3\",\"duration-seconds\":3600}"),
                            "201"));
    overstay(w, 7, (const char *const[]){"head", NULL});
    g_assert_true(is_there(w, "head"));
    world_free(w);
}

/* Later than that it would run into the reservation, which cannot move. */
static void test_a_start_that_is_too_late_comes_behind_a_reservation(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_RESERVATION, NULL,
                                "{\"name\":\"behind\",\"size\":\"m3\",\"duration-seconds\":3600,"
                                "\"grace-seconds\":0,\"at-end\":\"delete\"}"),
                            "\"end-ms\":1700008260029"));
    g_autofree char *runs = id_of(w, "runs");
    w->obedient = false;
    world_wait(w, 3599000);
    for (int i = 0; i < 70; i++) {
        world_wait(w, 1000);
    }
    let_go(w, runs);
    world_wait(w, 1000);
    g_autofree char *start = start_of(w, "head");
    g_assert_cmpstr(start, ==, "at 2023-11-15T00:31:00.029Z, when there is room on h1");
    world_free(w);
}

/* Two of the same: the one that has waited longer starts first, also when room is made where the other is
 * promised its start. */
static void test_of_two_that_want_the_same_the_older_starts_first(void)
{
    World *w = world_of_two_hosts(CLUSTER_BACKFILL_CONSERVATIVE);
    create_vm_of(w, "first", "m3", ",\"policy\":\"first-fit\"" ENDS(3600));
    create_vm_of(w, "other", "m3", ",\"policy\":\"first-fit\"" ENDS(3700));
    create_vm_of(w, "older", "m3", ",\"queue\":true" ENDS(9000));
    world_wait(w, 1000);
    create_vm_of(w, "younger", "m3", ",\"queue\":true" ENDS(9000));
    world_wait(w, 1000);
    g_autofree char *start = start_of(w, "younger");
    g_assert_nonnull(strstr(start, "when VM other has ended on h2"));
    ask(w, API_OP_DELETE_VM, "other", NULL);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "older"));
    g_assert_false(is_there(w, "younger"));
    g_autofree char *now = start_of(w, "younger");
    g_assert_nonnull(strstr(now, "when VM first has ended on h1"));
    world_free(w);
}

/* One that stands on a later end of another VM of the same host. */
static void test_a_promise_outlasts_what_overstays_beside_it(void)
{
    for (ClusterBackfill mode = CLUSTER_BACKFILL_EASY; mode <= CLUSTER_BACKFILL_CONSERVATIVE;
         mode++) {
        World *w = world_with(mode);
        create_vm_of(w, "runs", "m3", ENDS(3600));
        create_vm_of(w, "longer", "m1", ENDS(7200));
        ask(w, API_OP_CREATE_APP, NULL,
            "{\"name\":\"head\",\"size\":\"m1\",\"image\":\"demo\",\"count\":4,"
            "\"queue\":true" ENDS(1000) "}");
        world_wait(w, 1000);
        g_autofree char *before = start_of(w, "head");
        g_assert_nonnull(strstr(before, "when VM longer has ended"));
        overstay(w, 7, (const char *const[]){"head", NULL});
        g_autofree char *after = start_of(w, "head");
        g_assert_cmpstr(before, ==, after);
        g_assert_nonnull(strstr(create_vm_of(w, "thief", "m1", ""), "409"));
        world_free(w);
    }
}

/* The manager starts again while the first waits for what overstays. */
static void test_a_late_start_keeps_its_turn_after_a_restart(void)
{
    World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    g_autofree char *runs = id_of(w, "runs");
    create_vm_of(w, "head", "m3", ",\"priority\":400,\"queue\":true" ENDS(1000));
    create_vm_of(w, "early", "m3", ",\"priority\":600,\"queue\":true" ENDS(1000));
    create_vm_of(w, "last", "m3", ",\"priority\":500,\"queue\":true" ENDS(1000));
    world_wait(w, 1000);
    world_wait(w, 1000);
    const char *const names[] = {"early", "last", "head"};
    g_autoptr(GPtrArray) before = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_ptr_array_add(before, start_of(w, names[i]));
        g_assert_nonnull(before->pdata[i]);
        g_assert_true(i == 0 || strcmp(before->pdata[i - 1], before->pdata[i]) < 0);
    }
    w->obedient = false;
    world_wait(w, 3670000);
    cluster_core_free(w->core);
    world_boot(w);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *after = start_of(w, names[i]);
        g_assert_nonnull(after);
        g_assert_cmpstr(after, >=, before->pdata[i]);
        g_assert_true(i == 2 || strcmp(after, before->pdata[i + 1]) < 0);
    }
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    w->obedient = true;
    report_up(w, host, 4000, 100000);
    let_go(w, runs);
    world_wait(w, 1000);
    world_wait(w, 1000);
    g_assert_true(is_there(w, "early"));
    world_free(w);
}

/* What stands behind an overdue start moves to where that would end if it began now, and no further, whether the
 * manager has started again or not. */
static void test_a_restart_moves_nothing_behind_a_late_start(void)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE);
        create_vm_of(w, "runs", "m3", ENDS(3600));
        create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
        create_vm_of(w, "second", "m3", ",\"queue\":true" ENDS(1000));
        create_vm_of(w, "third", "m3", ",\"queue\":true" ENDS(1000));
        world_wait(w, 1000);
        w->obedient = false;
        world_wait(w, 3599000);
        for (int i = 0; i < 200; i++) {
            world_wait(w, 1000);
            g_autofree char *start = start_of(w, "second");
            g_assert_nonnull(start);
        }
        if (restarts) {
            cluster_core_free(w->core);
            world_boot(w);
        }
        world_wait(w, 1000);
        g_autofree char *looks = start_of(w, "head");
        g_assert_nonnull(looks);
        /* 3,600 s, 200 late, and the 1,000 of the first; then as many and the minute between for the second. */
        g_autofree char *second = start_of(w, "second"), *third = start_of(w, "third");
        g_assert_true(g_str_has_prefix(second, "at 2023-11-14T23:33:2"));
        g_assert_true(g_str_has_prefix(third, "at 2023-11-14T23:51:0"));
        world_free(w);
    }
}

/* Of the hosts of a gang the second has room later; what ends on the first is no matter. */
static void test_a_gang_moves_by_the_host_that_is_late(void)
{
    World *w = world_of_two_hosts(CLUSTER_BACKFILL_CONSERVATIVE);
    create_vm_of(w, "far", "m1", ",\"host\":\"h1\"" ENDS(20000));
    create_vm_of(w, "runs", "m3", ",\"host\":\"h2\"" ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"host\":\"h2\",\"queue\":true" ENDS(1000));
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"gang\",\"size\":\"m3\",\"image\":\"demo\",\"count\":2,"
        "\"policy\":\"first-fit\",\"queue\":true" ENDS(1000) "}");
    world_wait(w, 1000);
    g_autofree char *before = start_of(w, "gang");
    g_assert_true(g_str_has_prefix(before, "at 2023-11-14T23:31:0"));
    w->obedient = false;
    world_wait(w, 3599000);
    world_wait(w, 200000);
    g_autofree char *looks = start_of(w, "head");
    g_assert_nonnull(looks);
    g_autofree char *after = start_of(w, "gang");
    g_assert_true(g_str_has_prefix(after, "at 2023-11-14T23:33:2"));
    world_free(w);
}

/* What is being stopped at its end has its room still, but others may have been promised it. */
static void test_what_is_over_does_not_go_on_in_promised_room(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", STOPS(3600));
    g_assert_nonnull(strstr(
        ask(w, API_OP_CREATE_RESERVATION, NULL,
            "{\"name\":\"next\",\"size\":\"m3\",\"start\":\"+2h\",\"duration-seconds\":3600}"),
        "201"));
    w->obedient = false;
    world_wait(w, 3601000);
    assert_goes_on_only_without(w, "runs", "next", "host h1 has promised its cpu");
    world_free(w);
}

/* A higher priority that comes to the door moves the promises behind it, in their order. */
static void test_a_higher_priority_keeps_the_order_of_those_behind(void)
{
    World *w = world_with(CLUSTER_BACKFILL_CONSERVATIVE);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"queue\":true" ENDS(1000));
    create_vm_of(w, "second", "m3", ",\"queue\":true" ENDS(600));
    world_wait(w, 1000);
    create_vm_of(w, "urgent", "m3", ",\"priority\":900,\"queue\":true" ENDS(900));
    world_wait(w, 1000);
    g_autofree char *urgent = start_of(w, "urgent"), *head = start_of(w, "head"),
                    *second = start_of(w, "second");
    g_assert_cmpstr(urgent, <, head);
    g_assert_cmpstr(head, <, second);
    world_free(w);
}

/* `large` has waited so long that nobody passes, and `batch` has lost its start. */
static World *world_in_which_a_deadline_is_lost(void)
{
    World *w = world_of_four();
    w->config.starvation_ms = 60000;
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    report_up(w, host, 4000, 100000);
    create_vm_of(w, "runs", "m1", ENDS(3600));
    create_vm_of(w, "web", "m3", "");
    create_vm_of(w, "large", "m3", ",\"queue\":true");
    create_vm_of(w, "batch", "m1", ",\"deadline\":\"+2h\"" ENDS(1000));
    world_wait(w, 61000);
    ask(w, API_OP_UPDATE_HOST, "h1", "{\"cordoned\":true}");
    world_wait(w, 1000);
    return w;
}

static void take_again(World *w)
{
    ask(w, API_OP_UPDATE_HOST, "h1", "{\"cordoned\":false}");
    world_wait(w, 1000);
    world_wait(w, 1000);
}

static void test_a_deadline_is_sought_another_start_while_others_wait(void)
{
    World *w = world_in_which_a_deadline_is_lost();
    take_again(w);
    g_autofree char *again = start_of(w, "batch");
    g_assert_nonnull(strstr(again, "when VM runs has ended on h1"));
    world_free(w);
}

/* The start that it finds is now: nothing else may ever make the round in which it would be served. */
static void test_a_deadline_starts_at_once_where_it_can_while_others_wait(void)
{
    World *w = world_in_which_a_deadline_is_lost();
    ask(w, API_OP_DELETE_VM, "runs", NULL);
    take_again(w);
    g_assert_true(is_there(w, "batch"));
    g_assert_false(is_there(w, "large"));
    world_free(w);
}

/* Nothing makes room, so that no round would find out. */
static void test_a_deadline_that_passes_in_silence_is_told(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", ENDS(3600));
    g_autofree char *operation =
        text_of(create_vm_of(w, "batch", "m3", ",\"deadline\":\"+2h\"" ENDS(3500)), "id");
    w->obedient = false; /* and what should end never does */
    world_wait(w, 3600000);
    world_wait(w, 1000);
    world_wait(w, 701000);
    const char *reply = ask(w, API_OP_GET_OPERATION, operation, NULL);
    g_assert_nonnull(strstr(reply, "\"failed\""));
    g_assert_nonnull(strstr(reply, "deadline"));
    world_free(w);
}

/* What has ended meanwhile is ended before its room is given to anybody. */
static void test_a_store_that_writes_again_ends_first_what_is_over(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "runs", "m3", ENDS(100));
    create_vm_of(w, "next", "m3", ",\"queue\":true" ENDS(100));
    world_wait(w, 1000);
    w->obedient = false;
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_STORE_HEALTH,
                                  .health = {.writable = false, .reason = "full"}});
    world_wait(w, 200000);
    g_autofree char *host = text_of(ask(w, API_OP_GET_HOST, "h1", NULL), "id");
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_DOWN,
                                  .agent = {.host = host, .session = 1}});
    report_up(w, host, 4000, 100000); /* which makes room */
    world_step(w,
               &(ClusterEvent){.kind = CLUSTER_EVENT_STORE_HEALTH, .health = {.writable = true}});
    g_assert_false(is_there(w, "next"));
    world_free(w);
}

/* One that takes the place of another has, at a start too, what is left beside promises. */
static void test_a_promise_outlives_the_manager_while_others_claim_room(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "low", "m1", ",\"priority\":100");
    create_vm_of(w, "brief", "m1", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"priority\":1000,\"queue\":true" ENDS(10000));
    world_wait(w, 1000);
    w->obedient = false;
    g_assert_nonnull(strstr(create_vm_of(w, "high", "m1", ",\"priority\":900"), "202"));
    g_autofree char *before = start_of(w, "head");
    g_assert_nonnull(before);
    cluster_core_free(w->core);
    world_boot(w);
    g_autofree char *after = start_of(w, "head");
    g_assert_cmpstr(before, ==, after);
    world_free(w);
}

/* What was promised to one that gives up is for those who claim room on the host. */
static void test_who_claims_room_has_what_is_promised_no_more(void)
{
    World *w = world_with(CLUSTER_BACKFILL_EASY);
    create_vm_of(w, "low", "m1", ",\"priority\":100");
    create_vm_of(w, "brief", "m1", ENDS(3600));
    create_vm_of(w, "head", "m3", ",\"priority\":1000,\"queue\":true" ENDS(10000));
    world_wait(w, 1000);
    w->obedient = false;
    create_vm_of(w, "high", "m1", ",\"priority\":900");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "high", NULL), "\"claiming\":true"));
    ask(w, API_OP_DELETE_QUEUE_ENTRY, "head", NULL);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "high", NULL), "\"claiming\":false"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/promises/easy", test_easy_promises_the_first_alone);
    g_test_add_func("/cluster/promises/conservative", test_conservative_promises_all);
    g_test_add_func("/cluster/promises/off", test_off_promises_nobody);
    g_test_add_func("/cluster/promises/priority", test_a_higher_priority_comes_before_the_promise);
    g_test_add_func("/cluster/promises/earlier",
                    test_it_becomes_earlier_when_something_ends_before_its_time);
    g_test_add_func("/cluster/promises/restart", test_a_promise_outlives_the_manager);
    g_test_add_func("/cluster/promises/given-up", test_a_promise_that_was_given_up_stays_so);
    g_test_add_func("/cluster/promises/cordon", test_a_promise_leaves_a_host_that_takes_nothing);
    g_test_add_func("/cluster/promises/at-once", test_a_start_is_promised_when_it_is_asked_for);
    g_test_add_func("/cluster/promises/deadline", test_a_deadline_is_held_against_all);
    g_test_add_func("/cluster/promises/deadline-lost", test_a_deadline_that_is_lost_is_told);
    g_test_add_func("/cluster/promises/too-late",
                    test_a_start_that_is_too_late_comes_behind_a_reservation);
    g_test_add_func("/cluster/promises/deadline-sought",
                    test_a_deadline_is_sought_another_start_while_others_wait);
    g_test_add_func("/cluster/promises/deadline-at-once",
                    test_a_deadline_starts_at_once_where_it_can_while_others_wait);
    g_test_add_func("/cluster/promises/deadline-silent",
                    test_a_deadline_that_passes_in_silence_is_told);
    g_test_add_func("/cluster/promises/writable",
                    test_a_store_that_writes_again_ends_first_what_is_over);
    g_test_add_func("/cluster/promises/restart-claims",
                    test_a_promise_outlives_the_manager_while_others_claim_room);
    g_test_add_func("/cluster/promises/claims", test_who_claims_room_has_what_is_promised_no_more);
    g_test_add_func("/cluster/promises/late", test_a_late_start_keeps_its_turn);
    g_test_add_func("/cluster/promises/late-before-deadline",
                    test_a_late_start_comes_before_a_deadline_that_was_promised_after_it);
    g_test_add_func("/cluster/promises/late-restart",
                    test_a_late_start_keeps_its_turn_after_a_restart);
    g_test_add_func("/cluster/promises/late-restart-behind",
                    test_a_restart_moves_nothing_behind_a_late_start);
    g_test_add_func("/cluster/promises/late-gang", test_a_gang_moves_by_the_host_that_is_late);
    g_test_add_func("/cluster/promises/goes-on", test_what_is_over_does_not_go_on_in_promised_room);
    g_test_add_func("/cluster/promises/overstays",
                    test_a_promise_outlasts_what_overstays_beside_it);
    g_test_add_func("/cluster/promises/margin", test_a_reservation_leaves_a_late_start_its_time);
    g_test_add_func("/cluster/promises/same",
                    test_of_two_that_want_the_same_the_older_starts_first);
    g_test_add_func("/cluster/promises/order",
                    test_a_higher_priority_keeps_the_order_of_those_behind);
    return g_test_run();
}
