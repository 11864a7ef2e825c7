/* The whole: runs alike from one seed, and sees what is wrong. */
#include "base/error.h"
#include "sim/chaos.h"
#include "sim/client.h"
#include "sim/rules.h"

#include <string.h>

static Resources *amount(int64_t cpu, int64_t memory)
{
    Resources *r = resources_new();
    r->cpu = cpu;
    r->memory = memory;
    r->disk = 100;
    r->net_bw = 1000;
    r->disk_bw = 1000;
    return r;
}

static Sim *sim_with_hosts(uint64_t seed)
{
    Sim *sim = sim_new(seed, &(ClusterConfig){0});
    g_autoptr(GError) error = NULL;
    sim_add_host(sim, "h1", amount(8000, 8192), NULL, NULL, &error);
    sim_add_host(sim, "h2", amount(8000, 8192), NULL, NULL, &error);
    g_assert_no_error(error);
    return sim;
}

static uint64_t digest_of_a_life(uint64_t seed)
{
    g_autoptr(Sim) sim = sim_with_hosts(seed);
    SimClient *client = sim_client_new(sim, 8);
    SimChaos *chaos = sim_chaos_new(sim);
    g_autoptr(GError) error = NULL;
    g_assert_true(sim_client_prepare(client, &error));
    sim_chaos_begin(chaos);
    for (int i = 0; i < 200; i++) {
        sim_client_act(client);
        if (i % 3 == 0) {
            sim_chaos_strike(chaos);
        }
        sim_run_until(sim->world, sim->world->now_ms + 3000);
    }
    g_assert_no_error(sim->world->broken);
    g_assert_cmpuint(sim_client_figures(client)->created, >, 0);
    uint64_t digest = sim->world->digest;
    sim_manager_crash(sim->manager);
    sim_chaos_free(chaos);
    sim_client_free(client);
    return digest;
}

static void test_a_seed_reproduces_a_run(void)
{
    uint64_t digest = digest_of_a_life(11);
    g_assert_cmpuint(digest_of_a_life(11), ==, digest);
    g_assert_cmpuint(digest_of_a_life(12), !=, digest);
}

/* A cluster with one VM, at rest. */
static Sim *sim_at_rest(void)
{
    Sim *sim = sim_with_hosts(1);
    g_autoptr(GError) error = NULL;
    g_assert_true(sim_add_image(sim, "demo", &error));
    json_t *size = sim_ask_text(sim, "POST", "/v1/sizes",
                                "{'name':'s','resources':{'cpu':1000,'memory':512}}", &error);
    json_t *vm = sim_ask_text(sim, "POST", "/v1/vms?wait=30",
                              "{'name':'web','size':'s','image':'demo'}", &error);
    g_assert_no_error(error);
    json_decref(size);
    json_decref(vm);
    sim_run_until(sim->world, sim->world->now_ms + 60000);
    sim_check_rest(sim);
    g_assert_no_error(sim->world->broken);
    return sim;
}

static SimMachine *host_of_the_vm(const Sim *sim)
{
    for (guint i = 0; i < sim->agents->len; i++) {
        SimMachine *machine = sim_agent_machine(sim->agents->pdata[i]);
        if (g_tree_nnodes(machine->qemus) > 0) {
            return machine;
        }
    }
    g_assert_not_reached();
}

static void test_rest_sees_a_vm_that_does_not_run(void)
{
    g_autoptr(Sim) sim = sim_at_rest();
    SimMachine *machine = host_of_the_vm(sim);
    SimQemu *qemu = g_tree_node_value(g_tree_node_first(machine->qemus));
    sim_machine_qemu_ends(machine, qemu, KEEPER_EXIT_KIND_SIGNALED, 9, false);
    sim_check_rest(sim);
    g_assert_nonnull(strstr(sim->world->broken->message, "should run"));
}

static void test_rest_sees_what_is_left_over(void)
{
    g_autoptr(Sim) sim = sim_at_rest();
    SimPrepared *disk = g_new0(SimPrepared, 1);
    disk->disk = 5;
    g_tree_insert(host_of_the_vm(sim)->prepared, g_strdup("01STRAY"), disk);
    sim_check_rest(sim);
    g_assert_nonnull(strstr(sim->world->broken->message, "01STRAY"));
}

static void test_refusals_are_told(void)
{
    g_autoptr(Sim) sim = sim_with_hosts(1);
    g_autoptr(GError) error = NULL;
    g_assert_null(sim_ask_text(sim, "GET", "/v1/vms/nobody", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_null(sim_ask_text(sim, "POST", "/v1/vms", "{'nmae':'x'}", &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_clear_error(&error);
    sim_manager_crash(sim->manager);
    g_assert_null(sim_ask_text(sim, "GET", "/v1/vms", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/a-seed-reproduces-a-run", test_a_seed_reproduces_a_run);
    g_test_add_func("/sim/rest-sees-a-vm-that-does-not-run", test_rest_sees_a_vm_that_does_not_run);
    g_test_add_func("/sim/rest-sees-what-is-left-over", test_rest_sees_what_is_left_over);
    g_test_add_func("/sim/refusals-are-told", test_refusals_are_told);
    return g_test_run();
}
