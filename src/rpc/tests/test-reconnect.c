#include "rpc/reconnect.h"

#include <glib.h>
#include <string.h>

/*
 * A script is a line a step: a time in ms, what happens, the state after it. "try yes" and "try no"
 * say whether to dial; "lost" draws a wait, which must lie within [0, bound] given after it.
 */
static const char *const state_names[] = {"waiting", "trying", "up", "stopped"};

static void step(RpcReconnect *reconnect, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    int64_t now_ms = g_ascii_strtoll(words[0], NULL, 10);
    const char *event = words[1], *argument = words[2], *state = words[3];
    if (strcmp(event, "try") == 0) {
        g_assert_cmpint(rpc_reconnect_try(reconnect, now_ms), ==, strcmp(argument, "yes") == 0);
    } else if (strcmp(event, "succeeded") == 0) {
        rpc_reconnect_succeeded(reconnect, now_ms);
    } else if (strcmp(event, "lost") == 0) {
        int64_t wait_ms = rpc_reconnect_lost(reconnect, now_ms);
        g_assert_cmpint(wait_ms, >=, 0);
        g_assert_cmpint(wait_ms, <=, g_ascii_strtoll(argument, NULL, 10));
        bool waits = reconnect->state == RPC_RECONNECT_WAITING;
        g_assert_cmpint(rpc_reconnect_due_ms(reconnect), ==, waits ? now_ms + wait_ms : -1);
    } else if (strcmp(event, "hurry") == 0) {
        rpc_reconnect_hurry(reconnect, now_ms);
    } else if (strcmp(event, "stop") == 0) {
        rpc_reconnect_stop(reconnect, now_ms);
    } else {
        g_error("no such event: %s", line);
    }
    if (strcmp(state_names[reconnect->state], state) != 0) {
        g_error("after \"%s\" the state is %s", line, state_names[reconnect->state]);
    }
}

static void play(const char *script)
{
    const RpcReconnectLimits limits = {.min_ms = 100, .max_ms = 1000, .stable_ms = 5000};
    for (uint64_t seed = 0; seed < 200; seed++) {
        RpcReconnect reconnect;
        rpc_reconnect_init(&reconnect, &limits, seed, 1000);
        g_auto(GStrv) lines = g_strsplit(script, "\n", -1);
        for (char **line = lines; *line != NULL && **line != '\0'; line++) {
            step(&reconnect, *line);
        }
    }
}

static void test_first_attempt_is_at_once(void)
{
    play("999 try no waiting\n"
         "1000 try yes trying\n"
         "1000 try no trying\n"
         "1020 succeeded - up\n"
         "9999 try no up\n");
}

static void test_back_off_doubles_up_to_the_limit(void)
{
    play("1000 try yes trying\n"
         "1000 lost 200 waiting\n"
         "2000 try yes trying\n"
         "2000 lost 400 waiting\n"
         "3000 try yes trying\n"
         "3000 lost 800 waiting\n"
         "4000 try yes trying\n"
         "4000 lost 1000 waiting\n"
         "5000 try yes trying\n"
         "5000 lost 1000 waiting\n");
}

static void test_short_connections_count_as_failures(void)
{
    play("1000 try yes trying\n"
         "1000 succeeded - up\n"
         "5999 lost 200 waiting\n"
         "7000 try yes trying\n"
         "7000 succeeded - up\n"
         "7001 lost 400 waiting\n"
         "8000 try yes trying\n"
         "8000 succeeded - up\n"
         "13000 lost 100 waiting\n");
}

static void test_hurry_ends_the_wait(void)
{
    play("1000 try yes trying\n"
         "1000 hurry - trying\n"
         "1000 lost 200 waiting\n"
         "1000 hurry - waiting\n"
         "1000 try yes trying\n"
         "1000 succeeded - up\n"
         "1001 hurry - up\n");
}

static void test_stop_is_for_good(void)
{
    play("1000 stop - stopped\n"
         "9000 try no stopped\n"
         "9000 hurry - stopped\n"
         "9000 succeeded - stopped\n"
         "9000 lost 0 stopped\n");
}

static void test_events_out_of_place_change_nothing(void)
{
    play("500 succeeded - waiting\n"
         "1000 try yes trying\n"
         "1001 succeeded - up\n"
         "1002 succeeded - up\n");
}

static void test_waits_use_the_whole_range(void)
{
    RpcReconnect reconnect;
    const RpcReconnectLimits limits = {.min_ms = 500, .max_ms = 1000, .stable_ms = 5000};
    rpc_reconnect_init(&reconnect, &limits, 7, 0);
    int64_t now_ms = 0, low = G_MAXINT64, high = 0, sum = 0;
    for (int i = 0; i < 1000; i++) {
        g_assert_true(rpc_reconnect_try(&reconnect, now_ms));
        int64_t wait_ms = rpc_reconnect_lost(&reconnect, now_ms);
        low = MIN(low, wait_ms);
        high = MAX(high, wait_ms);
        sum += wait_ms;
        now_ms += wait_ms;
    }
    g_assert_cmpint(low, <, 20);
    g_assert_cmpint(high, >, 980);
    g_assert_cmpint(high, <=, 1000);
    g_assert_cmpint(sum, >, 450 * 1000);
    g_assert_cmpint(sum, <, 550 * 1000);
}

static void test_same_seed_same_waits(void)
{
    RpcReconnect a, b, c;
    rpc_reconnect_init(&a, NULL, 1, 0);
    rpc_reconnect_init(&b, NULL, 1, 0);
    rpc_reconnect_init(&c, NULL, 2, 0);
    bool differs = false;
    for (int i = 1; i < 20; i++) {
        int64_t now_ms = i * 20000;
        rpc_reconnect_try(&a, now_ms);
        rpc_reconnect_try(&b, now_ms);
        rpc_reconnect_try(&c, now_ms);
        int64_t of_a = rpc_reconnect_lost(&a, now_ms);
        g_assert_cmpint(of_a, ==, rpc_reconnect_lost(&b, now_ms));
        differs |= of_a != rpc_reconnect_lost(&c, now_ms);
    }
    g_assert_true(differs);
}

static void test_no_overflow(void)
{
    RpcReconnect reconnect;
    const RpcReconnectLimits limits = {.min_ms = INT64_C(1) << 40, .max_ms = INT64_C(1) << 50};
    rpc_reconnect_init(&reconnect, &limits, 1, 0);
    for (int64_t i = 1; i < 100; i++) {
        int64_t now_ms = i << 51;
        g_assert_true(rpc_reconnect_try(&reconnect, now_ms));
        int64_t wait_ms = rpc_reconnect_lost(&reconnect, now_ms);
        g_assert_cmpint(wait_ms, >=, 0);
        g_assert_cmpint(wait_ms, <=, limits.max_ms);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/reconnect/first-attempt-is-at-once", test_first_attempt_is_at_once);
    g_test_add_func("/rpc/reconnect/back-off-doubles-up-to-the-limit",
                    test_back_off_doubles_up_to_the_limit);
    g_test_add_func("/rpc/reconnect/short-connections-count-as-failures",
                    test_short_connections_count_as_failures);
    g_test_add_func("/rpc/reconnect/hurry-ends-the-wait", test_hurry_ends_the_wait);
    g_test_add_func("/rpc/reconnect/stop-is-for-good", test_stop_is_for_good);
    g_test_add_func("/rpc/reconnect/events-out-of-place-change-nothing",
                    test_events_out_of_place_change_nothing);
    g_test_add_func("/rpc/reconnect/waits-use-the-whole-range", test_waits_use_the_whole_range);
    g_test_add_func("/rpc/reconnect/same-seed-same-waits", test_same_seed_same_waits);
    g_test_add_func("/rpc/reconnect/no-overflow", test_no_overflow);
    return g_test_run();
}
