#include "sim/link.h"

typedef struct {
    int agent_ups, agent_downs, manager_ups, manager_downs, of_nobody;
    uint64_t session, last_report, last_call, late_session;
} Ends;

static void agent_up(void *owner)
{
    ((Ends *)owner)->agent_ups++;
}

static void agent_down(void *owner)
{
    ((Ends *)owner)->agent_downs++;
}

static void agent_receive(void *owner, const SimMessage *message)
{
    Ends *ends = owner;
    g_assert_cmpint(ends->agent_ups, >, 0);
    if (message->id == SIM_CALL_OF_NOBODY) {
        g_assert_cmpstr(message->method, ==, AGENT_METHOD_VM_APPLY);
        g_assert_cmpint(json_integer_value(message->json), ==, 7);
        ends->of_nobody++;
        return;
    }
    g_assert_cmpuint(message->id, ==, ends->last_call + 1);
    ends->last_call = message->id;
}

static void manager_up(void *owner, SimLink *link, uint64_t session)
{
    Ends *ends = owner;
    g_assert_cmpuint(session, >, ends->session);
    ends->session = session;
    ends->manager_ups++;
}

static void manager_down(void *owner, SimLink *link, uint64_t session, const char *reason)
{
    ((Ends *)owner)->manager_downs++;
}

static void manager_receive(void *owner, SimLink *link, uint64_t session, const SimMessage *message)
{
    Ends *ends = owner;
    ends->late_session = session;
    g_assert_cmpuint(message->id, ==, ends->last_report + 1);
    ends->last_report = message->id;
}

static const SimEnds table = {agent_up,   agent_down,   agent_receive,
                              manager_up, manager_down, manager_receive};

static SimLink *linked(SimWorld *world, Ends *ends)
{
    SimLink *link = sim_link_new(world, "h1", &table, ends, ends);
    sim_link_start(link, SIM_END_MANAGER);
    sim_link_start(link, SIM_END_AGENT);
    sim_run_until(world, world->now_ms + 1000);
    g_assert_cmpint(ends->agent_ups, ==, 1);
    g_assert_cmpint(ends->manager_ups, ==, 1);
    return link;
}

static void send_call(SimLink *link, const char *method, uint64_t id, int number)
{
    SimMessage *message = sim_message_new(SIM_MESSAGE_CALL, id);
    message->method = method;
    message->json = json_integer(number);
    sim_link_send(link, SIM_END_MANAGER, message);
}

static void send(SimLink *link, int count, uint64_t from)
{
    for (int i = 0; i < count; i++) {
        sim_link_send(link, SIM_END_AGENT, sim_message_new(SIM_MESSAGE_REPORT, from + i));
        send_call(link, AGENT_METHOD_VM_EXEC, from + (uint64_t)i, 0);
    }
}

static void test_order_within_a_connection(void)
{
    g_autoptr(SimWorld) world = sim_world_new(3, 0);
    Ends ends = {0};
    SimLink *link = linked(world, &ends);
    send(link, 200, 1);
    sim_run_until(world, 60000);
    g_assert_cmpuint(ends.last_report, ==, 200);
    g_assert_cmpuint(ends.last_call, ==, 200);
    sim_link_free(link);
}

/* A part arrives, a part is lost, both ends notice, and the agent comes back. */
static void test_a_break_loses_the_end(void)
{
    bool lost = false;
    for (uint64_t seed = 1; seed < 30; seed++) {
        g_autoptr(SimWorld) world = sim_world_new(seed, 0);
        Ends ends = {0};
        SimLink *link = linked(world, &ends);
        sim_link_set_typical(link, 30);
        send(link, 20, 1);
        sim_link_break(link, 5000);
        uint64_t before = ends.last_report;
        send(link, 5, 100);
        sim_run_until(world, world->now_ms + 120000);
        g_assert_cmpuint(ends.last_report, <=, 20);
        lost = lost || ends.last_report < 20 || before > 0;
        g_assert_cmpint(ends.agent_downs, ==, 1);
        g_assert_cmpint(ends.manager_downs, ==, 1);
        g_assert_cmpint(ends.agent_ups, ==, 2);
        g_assert_cmpuint(ends.session, ==, 2);
        g_assert_true(sim_link_is_up(link, SIM_END_AGENT));
        sim_link_free(link);
    }
    g_assert_true(lost);
}

static void test_nothing_reaches_a_program_that_has_ended(void)
{
    g_autoptr(SimWorld) world = sim_world_new(4, 0);
    Ends ends = {0};
    SimLink *link = linked(world, &ends);
    send(link, 20, 1);
    sim_link_stop(link, SIM_END_MANAGER, true);
    sim_run_until(world, world->now_ms + 60000);
    g_assert_cmpuint(ends.last_report, ==, 0);
    g_assert_cmpint(ends.manager_downs, ==, 0);
    g_assert_cmpint(ends.agent_downs, ==, 1);
    g_assert_false(sim_link_is_up(link, SIM_END_AGENT));
    sim_link_start(link, SIM_END_MANAGER);
    sim_run_until(world, world->now_ms + 60000);
    g_assert_cmpint(ends.agent_ups, ==, 2);
    sim_link_free(link);
}

/* Of the manager before the present one, once more or for the first time; of the present one nothing. */
static void test_calls_of_a_deposed_manager_come_late(void)
{
    g_autoptr(SimWorld) world = sim_world_new(5, 0);
    Ends ends = {0};
    SimLink *link = linked(world, &ends);
    send_call(link, AGENT_METHOD_VM_APPLY, 1, 7);
    send_call(link, AGENT_METHOD_NETWORK_APPLY, 2, 8);
    g_assert_false(sim_link_hear_deposed(link));
    sim_link_stop(link, SIM_END_MANAGER, true);
    sim_link_start(link, SIM_END_MANAGER);
    sim_run_until(world, world->now_ms + 60000);
    send_call(link, AGENT_METHOD_VM_APPLY, ends.last_call + 1, 9);
    g_assert_true(sim_link_hear_deposed(link));
    g_assert_cmpint(ends.of_nobody, ==, 1);
    sim_link_stop(link, SIM_END_AGENT, true);
    g_assert_false(sim_link_hear_deposed(link));
    sim_link_free(link);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link/order", test_order_within_a_connection);
    g_test_add_func("/link/break", test_a_break_loses_the_end);
    g_test_add_func("/link/ended-program", test_nothing_reaches_a_program_that_has_ended);
    g_test_add_func("/link/deposed", test_calls_of_a_deposed_manager_come_late);
    return g_test_run();
}
