#include "sim/world.h"

#include <string.h>

typedef struct {
    SimWorld *world;
    GString *seen;
} Diary;

static void note(void *owner, void *data)
{
    Diary *diary = owner;
    g_string_append(diary->seen, data);
}

static void note_and_go_on(void *owner, void *data)
{
    Diary *diary = owner;
    g_string_append(diary->seen, data);
    sim_after(diary->world, 5, note, diary, g_strdup("later "), g_free);
    sim_after(diary->world, 0, note, diary, g_strdup("now "), g_free);
}

static void test_order(void)
{
    g_autoptr(SimWorld) world = sim_world_new(1, 1000);
    Diary diary = {world, g_string_new(NULL)};
    sim_after(world, 30, note, &diary, g_strdup("c "), g_free);
    sim_after(world, 10, note_and_go_on, &diary, g_strdup("a "), g_free);
    sim_after(world, 10, note, &diary, g_strdup("b "), g_free);
    sim_after(world, -7, note, &diary, g_strdup("at-once "), g_free);
    sim_after(world, 99, note, &diary, g_strdup("never "), g_free);
    g_assert_true(sim_run_until(world, 1050));
    g_assert_cmpstr(diary.seen->str, ==, "at-once a b now later c ");
    g_assert_cmpint(world->now_ms, ==, 1050);
    g_string_free(diary.seen, TRUE);
}

static void test_many_come_in_order(void)
{
    g_autoptr(SimWorld) world = sim_world_new(7, 0);
    Diary diary = {world, g_string_new(NULL)};
    GString *expected = g_string_new(NULL);
    for (int i = 0; i < 500; i++) {
        int at = (i * 263) % 500;
        sim_after(world, at, note, &diary, g_strdup_printf("%d ", at), g_free);
        g_string_append_printf(expected, "%d ", i);
    }
    sim_run_until(world, 500);
    g_assert_cmpstr(diary.seen->str, ==, expected->str);
    g_string_free(diary.seen, TRUE);
    g_string_free(expected, TRUE);
}

static void test_a_broken_rule_ends_it(void)
{
    g_autoptr(SimWorld) world = sim_world_new(1, 0);
    Diary diary = {world, g_string_new(NULL)};
    for (int i = 0; i < SIM_LOG_LINES + 10; i++) {
        sim_log(world, "line %d", i);
    }
    sim_broken(world, "first");
    sim_broken(world, "second");
    sim_after(world, 1, note, &diary, g_strdup("x"), g_free);
    g_assert_false(sim_run_until(world, 10));
    g_assert_cmpstr(world->broken->message, ==, "first");
    g_assert_cmpuint(diary.seen->len, ==, 0);
    g_autofree char *recent = sim_recent(world);
    g_assert_nonnull(strstr(recent, "BROKEN: first"));
    g_assert_nonnull(strstr(recent, "line 59"));
    g_assert_null(strstr(recent, "line 11\n"));
    g_string_free(diary.seen, TRUE);
}

static void test_the_seed_is_all_chance(void)
{
    g_autoptr(SimWorld) a = sim_world_new(5, 0);
    g_autoptr(SimWorld) b = sim_world_new(5, 0);
    g_autoptr(SimWorld) c = sim_world_new(6, 0);
    for (int i = 0; i < 100; i++) {
        int64_t delay = sim_delay(a, 10);
        g_assert_cmpint(delay, >=, 5);
        g_assert_cmpint(delay, ==, sim_delay(b, 10));
        sim_log(a, "%d", (int)delay);
        sim_log(b, "%d", (int)delay);
        sim_log(c, "%d", (int)sim_delay(c, 10));
    }
    g_assert_cmpuint(a->digest, ==, b->digest);
    g_assert_cmpuint(a->digest, !=, c->digest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/world/order", test_order);
    g_test_add_func("/world/many-come-in-order", test_many_come_in_order);
    g_test_add_func("/world/a-broken-rule-ends-it", test_a_broken_rule_ends_it);
    g_test_add_func("/world/the-seed-is-all-chance", test_the_seed_is_all_chance);
    return g_test_run();
}
