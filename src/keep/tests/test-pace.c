#include "keep/pace.h"

#include <glib.h>

#define START 5000000

static void test_a_typist_never_waits(void)
{
    KeepPace pace = {0};
    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(keep_pace_spend(&pace, 1, START + i * 10000), ==, 0);
    }
}

static void test_many_reads_pause_to_the_end_of_the_window(void)
{
    KeepPace pace = {0};
    for (int i = 0; i < KEEP_PACE_READS - 1; i++) {
        g_assert_cmpint(keep_pace_spend(&pace, 1, START + i), ==, 0);
    }
    g_assert_cmpint(keep_pace_spend(&pace, 1, START + 1000), ==, KEEP_PACE_WINDOW_US - 1000);
}

static void test_many_bytes_pause(void)
{
    KeepPace pace = {0};
    g_assert_cmpint(keep_pace_spend(&pace, KEEP_PACE_BYTES - 1, START), ==, 0);
    g_assert_cmpint(keep_pace_spend(&pace, 1, START + 1), ==, KEEP_PACE_WINDOW_US - 1);
}

static void test_the_next_window_is_fresh(void)
{
    KeepPace pace = {0};
    g_assert_cmpint(keep_pace_spend(&pace, KEEP_PACE_BYTES, START), ==, KEEP_PACE_WINDOW_US);
    g_assert_cmpint(keep_pace_spend(&pace, 1, START + KEEP_PACE_WINDOW_US), ==, 0);
}

/* A flood that obeys, for a second of its own clock. */
static void test_a_flood_is_bounded(void)
{
    KeepPace pace = {0};
    int64_t now = START;
    unsigned reads = 0;
    while (now < START + G_USEC_PER_SEC) {
        now += 1 + keep_pace_spend(&pace, 1, now);
        reads++;
    }
    unsigned windows = G_USEC_PER_SEC / KEEP_PACE_WINDOW_US;
    g_assert_cmpuint(reads, <=, (windows + 1) * KEEP_PACE_READS);
    g_assert_cmpuint(reads, >=, (windows - 1) * KEEP_PACE_READS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keep/pace/typist-never-waits", test_a_typist_never_waits);
    g_test_add_func("/keep/pace/many-reads-pause", test_many_reads_pause_to_the_end_of_the_window);
    g_test_add_func("/keep/pace/many-bytes-pause", test_many_bytes_pause);
    g_test_add_func("/keep/pace/next-window-is-fresh", test_the_next_window_is_fresh);
    g_test_add_func("/keep/pace/flood-is-bounded", test_a_flood_is_bounded);
    return g_test_run();
}
