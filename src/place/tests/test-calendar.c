#include "place/calendar.h"

#include <glib.h>

#define NEVER BERTH_CALENDAR_NEVER
#define AMOUNTS(...) ((const int64_t[]){__VA_ARGS__})

typedef struct {
    BerthPlace *place;
    BerthCalendar *calendar;
} World;

/* `n` hosts of 10 CPUs and 100 of disk, at time 0. */
static void set_up(World *world, gconstpointer data)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};

    berth_place_new(&options, &world->place);
    for (int i = 0; i < GPOINTER_TO_INT(data); i++) {
        berth_place_add(world->place, (uint32_t)i, (uint64_t)i, AMOUNTS(10, 100), NULL);
    }
    g_assert_cmpint(berth_calendar_new(world->place, &world->calendar), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_calendar_advance(world->calendar, 0), ==, BERTH_PLACE_OK);
}

static void tear_down(World *world, gconstpointer data)
{
    g_assert_null(berth_calendar_check(world->calendar));
    g_assert_null(berth_place_check(world->place));
    berth_calendar_free(world->calendar);
    berth_place_free(world->place);
}

static BerthPlaceResult commit(World *world, uint32_t number, uint32_t host, int64_t cpu,
                               int64_t disk, int64_t start, int64_t end)
{
    BerthCommitment commitment = {.struct_size = sizeof commitment,
                                  .host = host,
                                  .vector = AMOUNTS(cpu, disk),
                                  .start = start,
                                  .end = end,
                                  .lasting = 2};

    return berth_calendar_commit(world->calendar, number, &commitment);
}

static void assert_available(const World *world, uint32_t host, int64_t cpu, int64_t disk)
{
    int64_t available[2];

    berth_place_get(world->place, host, NULL, available, NULL);
    g_assert_cmpint(available[0], ==, cpu);
    g_assert_cmpint(available[1], ==, disk);
}

static void assert_free(const World *world, uint32_t host, int64_t start, int64_t end, int64_t cpu)
{
    int64_t amounts[2];

    g_assert_cmpint(berth_calendar_free_on(world->calendar, host, start, end, amounts), ==,
                    BERTH_PLACE_OK);
    g_assert_cmpint(amounts[0], ==, cpu);
}

static void test_peak_is_kept_from_what_has_no_end(World *world, gconstpointer data)
{
    g_assert_cmpint(commit(world, 0, 0, 4, 0, 10, 20), ==, BERTH_PLACE_OK);
    g_assert_cmpint(commit(world, 1, 0, 5, 0, 20, 30), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 5, 100);
    g_assert_cmpint(commit(world, 2, 0, 3, 0, 15, 25), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 2, 100);
    assert_free(world, 0, 0, 10, 10);
    assert_free(world, 0, 10, 15, 6);
    assert_free(world, 0, 0, 21, 2);
    assert_free(world, 0, 30, NEVER, 10);
    g_assert_cmpint(berth_calendar_cancel(world->calendar, 1), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 3, 100);
    g_assert_cmpint(berth_place_take(world->place, 0, AMOUNTS(3, 0)), ==, BERTH_PLACE_OK);
    assert_free(world, 0, 15, 20, 0);
}

static void test_nothing_is_overdrawn(World *world, gconstpointer data)
{
    g_assert_cmpint(commit(world, 0, 0, 8, 0, 10, 20), ==, BERTH_PLACE_OK);
    g_assert_cmpint(commit(world, 1, 0, 3, 0, 19, 30), ==, BERTH_PLACE_ERROR_OVERDRAW);
    g_assert_cmpint(commit(world, 1, 0, 3, 0, 20, 30), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_calendar_set_end(world->calendar, 0, 21), ==, BERTH_PLACE_ERROR_OVERDRAW);
    g_assert_cmpint(berth_calendar_set_end(world->calendar, 0, 15), ==, BERTH_PLACE_OK);
    assert_free(world, 0, 15, 20, 10);
    g_assert_cmpint(berth_calendar_set_end(world->calendar, 0, 20), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 2, 100);
}

static void test_bad_input_is_refused(World *world, gconstpointer data)
{
    BerthCommitment newer = {.struct_size = sizeof newer, .vector = AMOUNTS(1, 0), .end = 5};

    g_assert_cmpint(commit(world, 0, 7, 1, 0, 1, 2), ==, BERTH_PLACE_ERROR_UNKNOWN_HOST);
    g_assert_cmpint(commit(world, 0, 0, 1, 0, 2, 2), ==, BERTH_PLACE_ERROR_TIME);
    g_assert_cmpint(commit(world, 0, 0, 1, 0, -5, 0), ==, BERTH_PLACE_ERROR_TIME);
    g_assert_cmpint(commit(world, 0, 0, 0, 0, 1, 2), ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(commit(world, 0, 0, -1, 0, 1, 2), ==, BERTH_PLACE_ERROR_AMOUNT);
    g_assert_cmpint(commit(world, BERTH_CALENDAR_MAX_NUMBER, 0, 1, 0, 1, 2), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    g_assert_cmpint(commit(world, 0, 0, 1, 0, 1, 2), ==, BERTH_PLACE_OK);
    g_assert_cmpint(commit(world, 0, 0, 1, 0, 1, 2), ==, BERTH_PLACE_ERROR_EXISTS);
    g_assert_cmpint(berth_calendar_cancel(world->calendar, 3), ==,
                    BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT);
    newer.struct_size = 4;
    g_assert_cmpint(berth_calendar_commit(world->calendar, 1, &newer), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
}

static void test_time_gives_back(World *world, gconstpointer data)
{
    commit(world, 0, 0, 8, 50, 10, 20);
    commit(world, 1, 0, 2, 0, 15, 40);
    g_assert_cmpint(berth_calendar_next(world->calendar), ==, 20);
    g_assert_cmpint(berth_calendar_next_on(world->calendar, 0, 10), ==, 20);
    g_assert_cmpint(berth_calendar_next_on(world->calendar, 0, 20), ==, 40);
    g_assert_cmpint(berth_calendar_next_on(world->calendar, 0, 40), ==, NEVER);
    g_assert_cmpint(berth_calendar_next_on(world->calendar, 1, 10), ==, NEVER);
    g_assert_cmpint(berth_calendar_next_on(world->calendar, 99, 10), ==, NEVER);
    berth_calendar_advance(world->calendar, 19);
    assert_available(world, 0, 0, 50);
    berth_calendar_advance(world->calendar, 20);
    assert_available(world, 0, 8, 50); /* the disk lasts */
    berth_calendar_advance(world->calendar, 5);
    berth_calendar_advance(world->calendar, 40);
    assert_available(world, 0, 10, 50);
    g_assert_cmpint(berth_calendar_next(world->calendar), ==, NEVER);
    g_assert_cmpint(berth_calendar_cancel(world->calendar, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_calendar_cancel(world->calendar, 1), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 10, 100);
}

static void test_facts_may_overdraw(World *world, gconstpointer data)
{
    BerthCommitment fact = {
        .struct_size = sizeof fact, .vector = AMOUNTS(8, 0), .start = 0, .end = NEVER};

    commit(world, 0, 0, 4, 0, 10, 20);
    g_assert_cmpint(berth_calendar_impose(world->calendar, 1, &fact), ==, BERTH_PLACE_OK);
    assert_available(world, 0, -2, 100);
    fact.end = 10;
    g_assert_cmpint(berth_calendar_impose(world->calendar, 1, &fact), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 2, 100);
    fact.host = 1;
    g_assert_cmpint(berth_calendar_impose(world->calendar, 1, &fact), ==, BERTH_PLACE_OK);
    assert_available(world, 0, 6, 100);
    assert_available(world, 1, 2, 100);
}

static BerthPlaceResult earliest(World *world, uint32_t count, int64_t cpu, int64_t disk,
                                 int64_t duration, int64_t deadline, int64_t *ret_start)
{
    uint32_t hosts[8] = {0};
    BerthPlaceRequest request = {.struct_size = sizeof request,
                                 .policy = BERTH_PLACE_FIRST_FIT,
                                 .vector = AMOUNTS(cpu, disk)};
    BerthCalendarRequest wanted = {.struct_size = sizeof wanted,
                                   .count = count,
                                   .request = &request,
                                   .from = 0,
                                   .duration = duration,
                                   .deadline = deadline,
                                   .lasting = 2};

    return berth_calendar_earliest(world->calendar, &wanted, ret_start, hosts, NULL);
}

static void test_earliest_start(World *world, gconstpointer data)
{
    int64_t start = -1;

    commit(world, 0, 0, 8, 0, 0, 20);
    commit(world, 1, 1, 8, 0, 0, 30);
    commit(world, 2, 0, 8, 0, 35, 50);
    g_assert_cmpint(earliest(world, 1, 2, 0, 100, NEVER, &start), ==, BERTH_PLACE_OK);
    g_assert_cmpint(start, ==, 0);
    g_assert_cmpint(earliest(world, 1, 5, 0, 15, NEVER, &start), ==, BERTH_PLACE_OK);
    g_assert_cmpint(start, ==, 20);
    g_assert_cmpint(earliest(world, 1, 5, 0, 16, NEVER, &start), ==, BERTH_PLACE_OK);
    g_assert_cmpint(start, ==, 30);
    g_assert_cmpint(earliest(world, 4, 5, 0, 6, NEVER, &start), ==, BERTH_PLACE_OK);
    g_assert_cmpint(start, ==, 50);
    g_assert_cmpint(earliest(world, 1, 5, 0, 15, 34, &start), ==, BERTH_PLACE_LATE);
    g_assert_cmpint(start, ==, 20);
    g_assert_cmpint(earliest(world, 5, 5, 0, 1, NEVER, &start), ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpint(start, ==, 20);
    g_assert_cmpint(earliest(world, 1, 5, 0, 0, NEVER, &start), ==, BERTH_PLACE_ERROR_TIME);
    assert_available(world, 0, 2, 100);
    assert_available(world, 1, 2, 100);
}

static void test_what_lasts_must_fit_for_good(World *world, gconstpointer data)
{
    int64_t start = -1;

    commit(world, 0, 0, 1, 60, 50, 60);
    g_assert_cmpint(earliest(world, 1, 1, 41, 10, NEVER, &start), ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpint(earliest(world, 1, 1, 40, 10, NEVER, &start), ==, BERTH_PLACE_OK);
    g_assert_cmpint(commit(world, 1, 0, 1, 41, 0, 10), ==, BERTH_PLACE_ERROR_OVERDRAW);
    g_assert_cmpint(commit(world, 1, 0, 1, 40, 0, 10), ==, BERTH_PLACE_OK);
}

static void test_window_answers_every_question(World *world, gconstpointer data)
{
    BerthPlaceRequest request = {.struct_size = sizeof request, .vector = AMOUNTS(9, 0)};
    BerthPlaceDecision decision = {.struct_size = sizeof decision};

    commit(world, 0, 0, 8, 0, 10, 20);
    g_assert_cmpint(berth_place_find(world->place, &request, &decision), ==, BERTH_PLACE_NO_HOST);
    g_assert_cmpint(berth_calendar_open(world->calendar, 0, 10, 0), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_calendar_open(world->calendar, 0, 10, 0), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(commit(world, 1, 0, 1, 0, 0, 1), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_calendar_cancel(world->calendar, 0), ==, BERTH_PLACE_ERROR_BUSY);
    g_assert_cmpint(berth_place_find(world->place, &request, &decision), ==, BERTH_PLACE_OK);
    berth_calendar_close(world->calendar);
    assert_available(world, 0, 2, 100);
    g_assert_cmpint(berth_calendar_open(world->calendar, 10, 10, 0), ==, BERTH_PLACE_ERROR_TIME);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int hosts;
        void (*test)(World *world, gconstpointer data);
    } tests[] = {
        {"peak-is-kept-from-what-has-no-end", 1, test_peak_is_kept_from_what_has_no_end},
        {"nothing-is-overdrawn", 1, test_nothing_is_overdrawn},
        {"bad-input-is-refused", 1, test_bad_input_is_refused},
        {"time-gives-back", 1, test_time_gives_back},
        {"facts-may-overdraw", 2, test_facts_may_overdraw},
        {"earliest-start", 2, test_earliest_start},
        {"what-lasts-must-fit-for-good", 1, test_what_lasts_must_fit_for_good},
        {"window-answers-every-question", 1, test_window_answers_every_question},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/place/calendar/", tests[i].name, NULL);
        g_test_add(path, World, GINT_TO_POINTER(tests[i].hosts), set_up, tests[i].test, tear_down);
    }
    return g_test_run();
}
