/* The rules about what runs: that they are seen to be broken. */
#include "sim/machine.h"

#include <string.h>

typedef struct {
    SimWorld *world;
    SimFleet *fleet;
    SimMachine *a, *b;
} Place;

static Resources *amount(int64_t cpu, int64_t memory)
{
    Resources *r = resources_new();
    r->cpu = cpu;
    r->memory = memory;
    return r;
}

static Place place_new(void)
{
    Place p = {sim_world_new(1, 1000000), sim_fleet_new()};
    p.a = sim_machine_new(p.world, p.fleet, "a", "A", amount(4000, 4096), amount(500, 512), NULL);
    p.b = sim_machine_new(p.world, p.fleet, "b", "B", amount(4000, 4096), NULL, NULL);
    return p;
}

static void place_free(Place *p)
{
    sim_world_free(p->world);
    sim_machine_free(p->a);
    sim_machine_free(p->b);
    sim_fleet_free(p->fleet);
}

static Assignment *assignment(const char *vm, int64_t cpu)
{
    Assignment *a = assignment_new();
    a->id = g_strdup(vm);
    a->epoch = a->generation = 1;
    a->hardware = hardware_new();
    a->hardware->vcpus = 1;
    a->resources = amount(cpu, 256);
    return a;
}

static void launch(SimMachine *machine, const char *vm, int64_t cpu)
{
    g_autoptr(Assignment) a = assignment(vm, cpu);
    g_assert_true(sim_machine_prepare(machine, a, NULL));
    g_assert_true(sim_machine_launch(machine, a, NULL));
}

static void test_runs_twice_on_two_hosts(void)
{
    Place p = place_new();
    launch(p.a, "vm", 1000);
    g_assert_null(p.world->broken);
    launch(p.b, "vm", 1000);
    g_assert_nonnull(strstr(p.world->broken->message, "while it runs on a"));
    place_free(&p);
}

static void test_runs_again_after_its_end(void)
{
    Place p = place_new();
    launch(p.a, "vm", 1000);
    sim_machine_kill(p.a, "vm", NULL);
    sim_machine_release(p.a, "vm", NULL);
    launch(p.b, "vm", 1000);
    sim_machine_crash(p.b);
    sim_machine_boot(p.b);
    launch(p.b, "vm", 1000);
    g_assert_null(p.world->broken);
    place_free(&p);
}

static void test_floors(void)
{
    Place p = place_new();
    launch(p.a, "one", 2000);
    launch(p.a, "two", 1500);
    g_assert_null(p.world->broken);
    g_autoptr(Assignment) more = assignment("two", 1600);
    sim_machine_tune(p.a, more, NULL);
    g_assert_nonnull(strstr(p.world->broken->message, "3600 of cpu"));
    place_free(&p);
}

static void test_start_before_release(void)
{
    Place p = place_new();
    launch(p.a, "vm", 1000);
    sim_machine_kill(p.a, "vm", NULL);
    launch(p.a, "vm", 1000);
    g_assert_nonnull(p.world->broken);
    place_free(&p);
}

static void heard_poweroff(SimMachine *machine, const char *vm)
{
    g_autoptr(Assignment) a = assignment(vm, 1000);
    a->power = POWER_WANTED_ON;
    sim_machine_persist(machine, vm, a, NULL, 0, NULL);
    launch(machine, vm, 1000);
    sim_machine_heard_poweroff(machine, vm);
    sim_machine_kill(machine, vm, NULL);
    sim_machine_release(machine, vm, NULL);
}

static void test_stays_off(void)
{
    Place p = place_new();
    heard_poweroff(p.a, "vm");
    g_autoptr(Assignment) asked = assignment("vm", 1000);
    asked->generation = 2;
    sim_machine_prepare(p.a, asked, NULL);
    sim_machine_launch(p.a, asked, NULL);
    g_assert_null(p.world->broken);
    heard_poweroff(p.a, "other");
    launch(p.a, "other", 1000);
    g_assert_nonnull(strstr(p.world->broken->message, "powered itself off"));
    place_free(&p);
}

static void test_clock(void)
{
    Place p = place_new();
    sim_machine_set_clock(p.a, 5000, 200);
    g_assert_cmpint(sim_machine_clock(p.a), ==, 1005000);
    sim_run_until(p.world, 2000000);
    g_assert_cmpint(sim_machine_clock(p.a), ==, 2005200);
    int64_t wait = sim_machine_wait(p.a, 2105200);
    g_assert_cmpint(wait, >, 99900);
    g_assert_cmpint(wait, <, 100001);
    sim_run_until(p.world, 2000000 + wait);
    g_assert_cmpint(sim_machine_clock(p.a), >=, 2105200);
    g_assert_cmpint(sim_machine_wait(p.a, 1), ==, 0);
    place_free(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/machine/runs-twice", test_runs_twice_on_two_hosts);
    g_test_add_func("/machine/runs-again", test_runs_again_after_its_end);
    g_test_add_func("/machine/floors", test_floors);
    g_test_add_func("/machine/start-before-release", test_start_before_release);
    g_test_add_func("/machine/stays-off", test_stays_off);
    g_test_add_func("/machine/clock", test_clock);
    return g_test_run();
}
