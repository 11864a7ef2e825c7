/* A host core with a world around it that carries out every effect at once, unless told otherwise.
 */
#include "host/host.h"

#include <string.h>

#include "base/error.h"

#define VM "01JDVM0000000000000000000A"

typedef struct {
    HostEffectKind kind;
    uint64_t serial;
} Due;

typedef struct {
    HostCore *core;
    GQueue due; /* effects to be carried out when the step's actions are all taken */
    bool busy;
    int64_t now;
    GString *effects;   /* "persist prepare launch …" since last taken */
    GPtrArray *pending; /* of HostAction, in manual mode */
    bool manual;
    HostEffectKind fails; /* one kind that fails, with `failures` left */
    int failures;
    ReportedVm *last;
    PowerCause first_cause; /* of a restart, as it was reported first */
    int replies, refusals;
    int releases, kept; /* of them, those that leave what the next start needs */
    bool guest_obeys;   /* a powerdown ends the guest */
    char *kept_boot;
} World;

static void world_step(World *world, const HostEvent *event);

static HostEvent event_of(HostEventKind kind)
{
    return (HostEvent){.kind = kind, .vm = VM};
}

static void exited(World *world, KeeperExitKind kind, int signal)
{
    KeeperExit exit = {.kind = kind, .signal = signal, .at_ms = world->now};
    HostEvent event = event_of(HOST_EVENT_EXITED);
    event.exited = &exit;
    world_step(world, &event);
}

static void done(World *world, uint64_t serial, const GError *error)
{
    HostEvent event = event_of(HOST_EVENT_DONE);
    event.done.serial = serial;
    event.done.error = error;
    event.done.vcpus_online = 1;
    world_step(world, &event);
}

static void guest(World *world, HostGuestEvent what)
{
    HostEvent event = event_of(HOST_EVENT_GUEST);
    event.guest = what;
    world_step(world, &event);
}

static void carry_out(World *world, HostEffectKind kind, uint64_t serial)
{
    if (world->failures > 0 && kind == world->fails) {
        world->failures--;
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "the disk is full");
        done(world, serial, error);
        return;
    }
    done(world, serial, NULL);
    if (kind == HOST_EFFECT_KILL) {
        exited(world, KEEPER_EXIT_KIND_SIGNALED, 9);
    } else if (kind == HOST_EFFECT_POWERDOWN && world->guest_obeys) {
        guest(world, HOST_GUEST_POWEROFF);
    }
}

static void take(World *world, HostAction *action)
{
    if (action->kind == HOST_ACTION_EFFECT) {
        world->releases += action->effect.kind == HOST_EFFECT_RELEASE;
        world->kept += action->effect.again;
        g_string_append_printf(world->effects, "%s%s", world->effects->len > 0 ? " " : "",
                               host_effect_name(action->effect.kind));
        if (world->manual) {
            uint64_t *serial = g_memdup2(&action->effect.serial, sizeof *serial);
            g_ptr_array_add(world->pending, serial);
        } else {
            Due *due = g_new(Due, 1);
            *due = (Due){action->effect.kind, action->effect.serial};
            g_queue_push_tail(&world->due, due);
        }
    } else if (action->kind == HOST_ACTION_REPLY) {
        world->replies += action->reply.error == NULL;
        world->refusals += action->reply.error != NULL;
    } else {
        reported_vm_free(world->last);
        world->last = reported_vm_copy(action->report);
        const VmStatus *status = world->last->status;
        if (status != NULL && status->restarts > 0 && world->first_cause == POWER_CAUSE_UNSET) {
            world->first_cause = status->cause;
        }
    }
}

static void world_step(World *world, const HostEvent *event)
{
    g_autoptr(GPtrArray) actions = host_step(world->core, event, world->now);
    g_autoptr(GError) error = NULL;
    host_core_check(world->core, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < actions->len; i++) {
        take(world, actions->pdata[i]);
    }
    if (world->busy) {
        return;
    }
    world->busy = true;
    Due *due;
    while ((due = g_queue_pop_head(&world->due)) != NULL) {
        carry_out(world, due->kind, due->serial);
        g_free(due);
    }
    world->busy = false;
}

static World *world_new(void)
{
    World *world = g_new0(World, 1);
    world->core = host_core_new(NULL);
    world->now = 1000000;
    world->effects = g_string_new("");
    world->pending = g_ptr_array_new_with_free_func(g_free);
    world->guest_obeys = true;
    HostEvent ready = {.kind = HOST_EVENT_READY};
    world_step(world, &ready);
    return world;
}

static void world_free(World *world)
{
    host_core_free(world->core);
    g_string_free(world->effects, TRUE);
    g_ptr_array_unref(world->pending);
    reported_vm_free(world->last);
    g_free(world);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

static Assignment *assignment(int64_t epoch, int64_t generation, PowerWanted power,
                              RestartPolicy restart)
{
    Assignment *wanted = assignment_new();
    wanted->id = g_strdup(VM);
    wanted->name = g_strdup("web-1");
    wanted->epoch = epoch;
    wanted->generation = generation;
    wanted->hardware = hardware_new();
    wanted->resources = resources_new();
    wanted->resources->cpu = 500 * generation;
    wanted->power = power;
    wanted->restart = restart;
    return wanted;
}

static void apply(World *world, int64_t epoch, int64_t generation, PowerWanted power,
                  RestartPolicy restart)
{
    g_autoptr(Assignment) wanted = assignment(epoch, generation, power, restart);
    HostEvent event = event_of(HOST_EVENT_APPLY);
    event.apply.assignment = wanted;
    event.apply.call = world;
    world_step(world, &event);
}

static void start(World *world, RestartPolicy restart)
{
    apply(world, 1, 1, POWER_WANTED_ON, restart);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
    g_string_truncate(world->effects, 0);
}

static void remove_vm(World *world, int64_t epoch)
{
    HostEvent event = event_of(HOST_EVENT_REMOVE);
    event.remove.epoch = epoch;
    event.remove.call = world;
    world_step(world, &event);
}

static void pass(World *world, int64_t ms)
{
    int64_t end = world->now + ms;
    int64_t at;
    while ((at = host_next_deadline(world->core)) <= end) {
        g_assert_cmpint(at, >=, world->now - 1); /* nothing that is due stays due */
        world->now = MAX(world->now, at);
        HostEvent tick = {.kind = HOST_EVENT_TICK};
        world_step(world, &tick);
        g_assert_cmpint(host_next_deadline(world->core), >, world->now);
    }
    world->now = end;
}

static void took(World *world, const char *effects)
{
    g_assert_cmpstr(world->effects->str, ==, effects);
    g_string_truncate(world->effects, 0);
}

static void test_start_in_order(void)
{
    g_autoptr(World) world = world_new();
    apply(world, 1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    took(world, "persist prepare launch attach tune resume");
    g_assert_cmpint(world->replies, ==, 1);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_RUNNING);
    g_assert_true(world->last->status->settled);
    g_assert_false(world->last->status->failed);
    g_assert_cmpint(world->last->status->applied->cpu, ==, 500);
}

static void test_answer_waits_for_the_disk(void)
{
    g_autoptr(World) world = world_new();
    world->manual = true;
    apply(world, 1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    took(world, "persist");
    g_assert_cmpint(world->replies, ==, 0);
    done(world, *(uint64_t *)world->pending->pdata[0], NULL);
    g_assert_cmpint(world->replies, ==, 1);
    took(world, "prepare");
}

static void test_disk_that_fails_refuses(void)
{
    g_autoptr(World) world = world_new();
    world->fails = HOST_EFFECT_PERSIST;
    world->failures = 1;
    apply(world, 1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(world->refusals, ==, 1);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_NONE);
    pass(world, 2000);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
}

static void test_resize_while_running(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    apply(world, 1, 2, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    took(world, "persist tune");
    g_assert_cmpint(world->last->status->applied->cpu, ==, 1000);
    g_assert_cmpint(world->last->status->generation, ==, 2);
}

static void test_older_generation_changes_nothing(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    apply(world, 1, 3, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    took(world, "persist tune");
    apply(world, 1, 2, POWER_WANTED_OFF, RESTART_POLICY_ALWAYS);
    took(world, "");
    g_assert_cmpint(world->replies, ==, 3);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
}

static void test_lower_epoch_is_refused(void)
{
    g_autoptr(World) world = world_new();
    apply(world, 4, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    apply(world, 3, 9, POWER_WANTED_OFF, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(world->refusals, ==, 1);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
}

static void test_killed_qemu_is_back_at_once(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ON_FAILURE);
    exited(world, KEEPER_EXIT_KIND_SIGNALED, 9);
    took(world, "persist release persist prepare launch attach tune resume");
    g_assert_cmpint(world->last->status->restarts, ==, 1);
    g_assert_cmpint(world->kept, ==, 1);
}

static void test_what_a_restart_would_need_goes_with_the_wish(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    exited(world, KEEPER_EXIT_KIND_SIGNALED, 9);
    exited(world, KEEPER_EXIT_KIND_SIGNALED, 9); /* the second restart waits */
    g_assert_cmpint(world->releases, ==, 2);
    g_assert_cmpint(world->kept, ==, 2);
    g_string_truncate(world->effects, 0);
    apply(world, 1, 2, POWER_WANTED_OFF, RESTART_POLICY_ALWAYS);
    took(world, "persist release");
    g_assert_cmpint(world->releases, ==, 3);
    g_assert_cmpint(world->kept, ==, 2);
}

static void test_crash_loop_backs_off(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    int64_t begun = world->now;
    for (int i = 0; i < 5; i++) {
        while (host_core_process(world->core, VM) != HOST_PROCESS_RUNNING) {
            pass(world, 100);
        }
        exited(world, KEEPER_EXIT_KIND_SIGNALED, 11);
    }
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_STARTING);
    g_assert_true(
        g_str_has_suffix(world->last->status->message,
                         "; as it has ended 5 times in a row, the next start is 8 s after that"));
    /* 0 + 1 + 2 + 4 seconds lie between five ends */
    g_assert_cmpint(world->now - begun, >=, 7000);
    g_assert_cmpint(world->now - begun, <=, 8000);
    g_assert_cmpint(world->last->status->cause, ==, POWER_CAUSE_QEMU_KILLED);
    pass(world, 8000);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
    g_assert_null(world->last->status->message);
}

static void test_policy_never(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_NEVER);
    exited(world, KEEPER_EXIT_KIND_EXITED, 0);
    took(world, "persist release");
    g_assert_cmpint(world->kept, ==, 0);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_CRASHED);
    g_assert_true(world->last->status->settled);
    apply(world, 1, 2, POWER_WANTED_ON, RESTART_POLICY_NEVER);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
}

static void test_on_failure_gives_up(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ON_FAILURE);
    for (int i = 0; i < 11; i++) {
        for (int wait = 0; host_core_process(world->core, VM) != HOST_PROCESS_RUNNING; wait++) {
            g_assert_cmpint(wait, <, 10000);
            pass(world, 1000);
        }
        exited(world, KEEPER_EXIT_KIND_SIGNALED, 11);
    }
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_CRASHED);
    g_assert_cmpint(world->last->status->restarts, ==, 10);
}

static void test_guest_poweroff_is_not_restarted(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    guest(world, HOST_GUEST_POWEROFF);
    took(world, "persist kill release");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_OFF);
    g_assert_cmpint(world->last->status->cause, ==, POWER_CAUSE_GUEST_POWEROFF);
    pass(world, 1000000);
    took(world, "");
}

static void test_guest_panic_restarts(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ON_FAILURE);
    guest(world, HOST_GUEST_PANIC);
    took(world, "persist kill release persist prepare launch attach tune resume");
    g_assert_cmpint(world->last->status->restarts, ==, 1);
}

static void test_power_off_asks_the_guest_first(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    apply(world, 1, 2, POWER_WANTED_OFF, RESTART_POLICY_ALWAYS);
    took(world, "persist powerdown persist kill release");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_OFF);
    g_assert_cmpint(world->last->status->cause, ==, POWER_CAUSE_REQUESTED);
}

static void test_deaf_guest_is_killed_after_the_grace(void)
{
    g_autoptr(World) world = world_new();
    world->guest_obeys = false;
    start(world, RESTART_POLICY_ALWAYS);
    apply(world, 1, 2, POWER_WANTED_OFF, RESTART_POLICY_ALWAYS);
    took(world, "persist powerdown");
    pass(world, 29000);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_STOPPING);
    took(world, "");
    pass(world, 2000);
    took(world, "kill persist release");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_OFF);
}

static void test_removal_leaves_a_tombstone(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    remove_vm(world, 1);
    took(world, "persist kill persist release clean");
    g_assert_true(world->last->gone);
    apply(world, 1, 9, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(world->refusals, ==, 1);
    apply(world, 2, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
    g_assert_false(world->last->gone);
}

static void test_removal_of_a_stranger(void)
{
    g_autoptr(World) world = world_new();
    remove_vm(world, 5);
    g_assert_cmpint(world->replies, ==, 1);
    g_assert_true(world->last->gone);
    reported_vm_free(g_steal_pointer(&world->last));
    remove_vm(world, 5);
    g_assert_cmpint(world->replies, ==, 2);
    g_assert_true(world->last->gone);
    apply(world, 5, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(world->refusals, ==, 1);
}

static void test_tombstone_survives_the_agent(void)
{
    g_autoptr(World) world = world_new();
    HostEvent event = event_of(HOST_EVENT_RESTORE);
    event.restore.tombstone = 5;
    world_step(world, &event);
    g_autoptr(GPtrArray) vms = host_core_vms(world->core);
    g_assert_cmpuint(vms->len, ==, 0);
    apply(world, 5, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(world->refusals, ==, 1);
    apply(world, 6, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
}

static void test_failed_start_is_tried_again(void)
{
    g_autoptr(World) world = world_new();
    world->fails = HOST_EFFECT_PREPARE;
    world->failures = 2;
    apply(world, 1, 1, POWER_WANTED_ON, RESTART_POLICY_ON_FAILURE);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_STARTING);
    g_assert_true(world->last->status->failed);
    g_assert_nonnull(strstr(world->last->status->message, "the disk is full"));
    pass(world, 4000);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_RUNNING);
    g_assert_false(world->last->status->failed);
    g_assert_null(world->last->status->message);
}

static void restore(World *world, const Assignment *wanted, const VmRecord *record,
                    HostProcess process, const KeeperExit *exit)
{
    HostEvent event = event_of(HOST_EVENT_RESTORE);
    event.restore.assignment = wanted;
    event.restore.record = record;
    event.restore.process = process;
    event.restore.epoch = process != HOST_PROCESS_NONE ? 1 : 0;
    event.restore.exit = exit;
    world_step(world, &event);
}

static World *restored_world(const Assignment *wanted, HostProcess process, const KeeperExit *exit,
                             const char *boot)
{
    World *world = g_new0(World, 1);
    HostConfig config = {.boot_id = boot};
    world->core = host_core_new(&config);
    world->now = 2000000;
    world->effects = g_string_new("");
    world->pending = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VmRecord) record = vm_record_new();
    record->last_start_ms = 1000000;
    record->boot_id = g_strdup("boot-1");
    restore(world, wanted, record, process, exit);
    took(world, "");
    HostEvent ready = {.kind = HOST_EVENT_READY};
    world_step(world, &ready);
    return world;
}

static void test_running_vm_is_adopted(void)
{
    g_autoptr(Assignment) wanted = assignment(1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_autoptr(World) world = restored_world(wanted, HOST_PROCESS_LAUNCHED, NULL, "boot-1");
    /* The world says "paused, never run": the agent died between launch and resume. */
    took(world, "attach tune resume");
    g_assert_cmpint(world->last->status->restarts, ==, 0);
}

static void test_end_while_away_is_acted_upon(void)
{
    g_autoptr(Assignment) wanted = assignment(1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    KeeperExit exit = {.kind = KEEPER_EXIT_KIND_SIGNALED, .signal = 9, .oom_killed = true};
    g_autoptr(World) world = restored_world(wanted, HOST_PROCESS_ENDED, &exit, "boot-1");
    took(world, "persist release persist prepare launch attach tune resume");
    g_assert_cmpint(world->last->status->restarts, ==, 1);
}

static void test_end_on_record_is_counted_once(void)
{
    g_autoptr(Assignment) wanted = assignment(1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    KeeperExit exit = {.kind = KEEPER_EXIT_KIND_SIGNALED, .signal = 9};
    g_autoptr(World) world = world_new();
    g_autoptr(VmRecord) record = vm_record_new();
    record->last_start_ms = 1000000;
    record->cause = POWER_CAUSE_GUEST_POWEROFF;
    record->ended = true;
    restore(world, wanted, record, HOST_PROCESS_ENDED, &exit);
    HostEvent ready = {.kind = HOST_EVENT_READY};
    world_step(world, &ready);
    took(world, "release");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_OFF);
    g_assert_cmpint(world->last->status->cause, ==, POWER_CAUSE_GUEST_POWEROFF);
    g_assert_cmpint(world->last->status->restarts, ==, 0);
    g_assert_cmpint(host_next_deadline(world->core), ==, INT64_MAX);
}

static void test_what_was_prepared_in_vain_is_released(void)
{
    g_autoptr(World) world = world_new();
    world->fails = HOST_EFFECT_LAUNCH;
    world->failures = 1;
    apply(world, 1, 1, POWER_WANTED_ON, RESTART_POLICY_NEVER);
    took(world, "persist prepare launch persist release");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_CRASHED);
}

static void test_generation_is_reported_when_it_is_on_disk(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    world->fails = HOST_EFFECT_PERSIST;
    world->failures = 1;
    apply(world, 1, 2, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    g_assert_cmpint(world->last->status->generation, ==, 1);
    g_assert_cmpint(host_next_deadline(world->core), >, world->now);
    pass(world, 2000);
    g_assert_cmpint(world->last->status->generation, ==, 2);
}

static void test_host_reboot_starts_again(void)
{
    g_autoptr(Assignment) wanted = assignment(1, 1, POWER_WANTED_ON, RESTART_POLICY_ON_FAILURE);
    g_autoptr(World) world = restored_world(wanted, HOST_PROCESS_NONE, NULL, "boot-2");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_RUNNING);
    g_assert_cmpint(world->last->status->restarts, ==, 1);
    g_assert_cmpint(world->first_cause, ==, POWER_CAUSE_HOST_REBOOTED);
}

static void test_stranger_is_left_alone(void)
{
    g_autoptr(World) world = restored_world(NULL, HOST_PROCESS_LAUNCHED, NULL, "boot-1");
    took(world, "");
    pass(world, 1000000);
    took(world, "");
    HostEvent all = {.kind = HOST_EVENT_REPORT_ALL};
    world_step(world, &all);
    g_assert_cmpstr(world->last->id, ==, VM);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_UNKNOWN);
    remove_vm(world, 1);
    g_assert_true(world->last->gone);
}

static void test_effect_that_never_ends(void)
{
    g_autoptr(World) world = world_new();
    world->manual = true;
    apply(world, 1, 1, POWER_WANTED_ON, RESTART_POLICY_ALWAYS);
    done(world, *(uint64_t *)world->pending->pdata[0], NULL);
    took(world, "persist prepare");
    pass(world, 599000);
    took(world, "");
    world->manual = false;
    pass(world, 3000);
    g_assert_cmpint(host_core_process(world->core, VM), ==, HOST_PROCESS_RUNNING);
}

static void test_io_error_pauses_and_goes_on(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    guest(world, HOST_GUEST_IO_ERROR);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_PAUSED);
    g_assert_nonnull(world->last->status->message);
    pass(world, 1500);
    took(world, "resume");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_RUNNING);
}

static void test_pause_by_somebody_else_is_left(void)
{
    g_autoptr(World) world = world_new();
    start(world, RESTART_POLICY_ALWAYS);
    guest(world, HOST_GUEST_STOPPED);
    pass(world, 100000);
    took(world, "");
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_PAUSED);
    guest(world, HOST_GUEST_RESUMED);
    g_assert_cmpint(world->last->status->power, ==, POWER_IS_RUNNING);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/start-in-order", test_start_in_order);
    g_test_add_func("/host/answer-waits-for-the-disk", test_answer_waits_for_the_disk);
    g_test_add_func("/host/disk-that-fails-refuses", test_disk_that_fails_refuses);
    g_test_add_func("/host/resize-while-running", test_resize_while_running);
    g_test_add_func("/host/older-generation", test_older_generation_changes_nothing);
    g_test_add_func("/host/lower-epoch-is-refused", test_lower_epoch_is_refused);
    g_test_add_func("/host/killed-qemu-is-back-at-once", test_killed_qemu_is_back_at_once);
    g_test_add_func("/host/crash-loop-backs-off", test_crash_loop_backs_off);
    g_test_add_func("/host/policy-never", test_policy_never);
    g_test_add_func("/host/on-failure-gives-up", test_on_failure_gives_up);
    g_test_add_func("/host/guest-poweroff", test_guest_poweroff_is_not_restarted);
    g_test_add_func("/host/guest-panic", test_guest_panic_restarts);
    g_test_add_func("/host/power-off-asks-first", test_power_off_asks_the_guest_first);
    g_test_add_func("/host/deaf-guest", test_deaf_guest_is_killed_after_the_grace);
    g_test_add_func("/host/removal", test_removal_leaves_a_tombstone);
    g_test_add_func("/host/removal-of-a-stranger", test_removal_of_a_stranger);
    g_test_add_func("/host/tombstone-survives", test_tombstone_survives_the_agent);
    g_test_add_func("/host/failed-start", test_failed_start_is_tried_again);
    g_test_add_func("/host/adoption", test_running_vm_is_adopted);
    g_test_add_func("/host/end-while-away", test_end_while_away_is_acted_upon);
    g_test_add_func("/host/end-on-record", test_end_on_record_is_counted_once);
    g_test_add_func("/host/prepared-in-vain", test_what_was_prepared_in_vain_is_released);
    g_test_add_func("/host/durable-generation", test_generation_is_reported_when_it_is_on_disk);
    g_test_add_func("/host/host-reboot", test_host_reboot_starts_again);
    g_test_add_func("/host/stranger", test_stranger_is_left_alone);
    g_test_add_func("/host/effect-that-never-ends", test_effect_that_never_ends);
    g_test_add_func("/host/kept-for-a-restart", test_what_a_restart_would_need_goes_with_the_wish);
    g_test_add_func("/host/io-error", test_io_error_pauses_and_goes_on);
    g_test_add_func("/host/foreign-pause", test_pause_by_somebody_else_is_left);
    return g_test_run();
}
