/*
 * Devices in the calendar, against an oracle that counts each slice of each device at each second.
 */
#include "place/backfill.h"

#include <glib.h>
#include <string.h>

#define NEVER BERTH_CALENDAR_NEVER
#define HORIZON 21 /* nothing but NEVER ends later, so nothing changes from then on */
#define MAX_HOSTS 3
#define MAX_ENTRIES 8
#define CPU 6

typedef struct {
    bool used;
    uint32_t host;
    int64_t vector[2];
    int64_t slices[BERTH_PLACE_MAX_DEVICES];
    int64_t start, end;
    uint32_t lasting;
} Entry;

/* Dimensions: CPUs, and slices of all devices. */
typedef struct {
    GRand *rand;
    BerthPlace *place;
    BerthCalendar *calendar;
    uint32_t n_hosts;
    uint32_t n_devices[MAX_HOSTS];
    BerthPlaceDevice devices[MAX_HOSTS][3]; /* free: of commitments */
    Entry entries[MAX_ENTRIES];
    int64_t now;
} World;

static int64_t draw(World *w, int64_t from, int64_t to)
{
    return g_rand_int_range(w->rand, (gint32)from, (gint32)to + 1);
}

static int64_t capacity(const World *w, uint32_t host)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < w->n_devices[host]; i++) {
        sum += w->devices[host][i].capacity;
    }
    return sum;
}

static World world_new(guint32 seed)
{
    BerthPlaceOptions options = {.struct_size = sizeof options, .n_dims = 2};
    World w = {.rand = g_rand_new_with_seed(seed)};

    berth_place_new(&options, &w.place);
    w.n_hosts = (uint32_t)draw(&w, 1, MAX_HOSTS);
    for (uint32_t host = 0; host < w.n_hosts; host++) {
        w.n_devices[host] = (uint32_t)draw(&w, 1, 3);
        for (uint32_t i = 0; i < w.n_devices[host]; i++) {
            BerthPlaceDevice *device = &w.devices[host][i];

            device->model = (uint32_t)draw(&w, 0, 1);
            device->capacity = device->free = (uint32_t)draw(&w, 2, 7);
        }
        int64_t all[2] = {CPU, capacity(&w, host)};
        berth_place_add(w.place, host, host, all, NULL);
        berth_place_set_devices(w.place, host, w.devices[host], w.n_devices[host]);
    }
    g_assert_cmpint(berth_calendar_new(w.place, &w.calendar), ==, BERTH_PLACE_OK);
    berth_calendar_advance(w.calendar, 0);
    return w;
}

/* The most of a dimension (d < 2) or of a device (d − 2) at any second of a span, counted plainly. */
static int64_t most(const World *w, uint32_t host, uint32_t d, int64_t start, int64_t end)
{
    int64_t highest = 0;

    for (int64_t t = MAX(start, w->now); t < end && t <= MAX(HORIZON, start); t++) {
        int64_t sum = 0;

        for (int i = 0; i < MAX_ENTRIES; i++) {
            const Entry *e = &w->entries[i];
            bool lasts = d < 2 && (e->lasting >> d & 1) != 0;

            if (e->used && e->host == host && e->start <= t && (t < e->end || lasts)) {
                sum += d < 2 ? e->vector[d] : e->slices[d - 2];
            }
        }
        highest = MAX(highest, sum);
    }
    return highest;
}

static int64_t room(const World *w, uint32_t host, uint32_t d, int64_t start, int64_t end)
{
    int64_t all = d == 0 ? CPU : d == 1 ? capacity(w, host) : (int64_t)w->devices[host][d - 2].free;

    return all - most(w, host, d, start, end);
}

static bool fits(const World *w, const Entry *e, int64_t start, uint32_t lasting)
{
    for (uint32_t d = 0; d < 2 + w->n_devices[e->host]; d++) {
        int64_t wants = d < 2 ? e->vector[d] : e->slices[d - 2];
        bool lasts = d < 2 && (lasting >> d & 1) != 0;

        if (wants > 0 && wants > room(w, e->host, d, start, lasts ? NEVER : e->end)) {
            return false;
        }
    }
    return true;
}

static int64_t clamp(const World *w, uint32_t host, uint32_t device, int64_t free)
{
    return CLAMP(free, 0, (int64_t)w->devices[host][device].capacity);
}

static void assert_shows(const World *w, int64_t start, int64_t end)
{
    for (uint32_t host = 0; host < w->n_hosts; host++) {
        BerthPlaceDevice shown[BERTH_PLACE_MAX_DEVICES];

        berth_place_get_devices(w->place, host, shown, NULL);
        for (uint32_t i = 0; i < w->n_devices[host]; i++) {
            g_assert_cmpint(shown[i].free, ==, clamp(w, host, i, room(w, host, 2 + i, start, end)));
        }
    }
}

static void assert_answers(const World *w, int64_t start, int64_t end)
{
    for (uint32_t host = 0; host < w->n_hosts; host++) {
        int64_t amounts[2], devices[BERTH_PLACE_MAX_DEVICES];
        int64_t peak[BERTH_PLACE_MAX_DEVICES];
        uint32_t n = 0;

        berth_calendar_devices_peak(w->calendar, host, peak);
        for (uint32_t i = 0; i < w->n_devices[host]; i++) {
            g_assert_cmpint(peak[i], ==, most(w, host, 2 + i, w->now, NEVER));
        }
        berth_calendar_free_on(w->calendar, host, start, end, amounts);
        g_assert_cmpint(berth_calendar_devices_on(w->calendar, host, start, end, devices, &n), ==,
                        BERTH_PLACE_OK);
        g_assert_cmpint(n, ==, w->n_devices[host]);
        for (uint32_t d = 0; d < 2 + n; d++) {
            g_assert_cmpint(d < 2 ? amounts[d] : devices[d - 2], ==, room(w, host, d, start, end));
        }
    }
}

/* Is less of a dimension or a device held at second t than at the one before? */
static bool falls(const World *w, uint32_t host, int64_t t)
{
    for (uint32_t d = 0; d < 2 + w->n_devices[host]; d++) {
        if (most(w, host, d, t, t + 1) < most(w, host, d, t - 1, t)) {
            return true;
        }
    }
    return false;
}

/* From each second on, until nothing changes any more. */
static void assert_next(const World *w)
{
    int64_t first = NEVER;

    for (uint32_t host = 0; host < w->n_hosts; host++) {
        int64_t next = NEVER;

        for (int64_t after = HORIZON; after >= w->now; after--) {
            g_assert_cmpint(berth_calendar_next_on(w->calendar, host, after), ==, next);
            next = after > w->now && falls(w, host, after) ? after : next;
        }
        g_assert_cmpint(berth_calendar_next_on(w->calendar, host, INT64_MIN), ==, next);
        first = MIN(first, next);
    }
    g_assert_cmpint(berth_calendar_next_on(w->calendar, MAX_HOSTS + 7, 0), ==, NEVER);
    g_assert_cmpint(berth_calendar_next(w->calendar), ==, first);
}

static int64_t draw_end(World *w, int64_t start)
{
    int64_t end = start + draw(w, 0, 8);

    return draw(w, 0, 5) == 0 ? NEVER : MIN(end, HORIZON);
}

static Entry draw_entry(World *w)
{
    Entry e = {.used = true, .host = (uint32_t)draw(w, 0, w->n_hosts - 1)};

    e.start = draw(w, 0, HORIZON - 2);
    e.end = draw_end(w, e.start);
    e.vector[0] = draw(w, 1, 3);
    e.lasting = (uint32_t)draw(w, 0, 1);
    for (uint32_t i = 0; i < w->n_devices[e.host]; i++) {
        e.slices[i] = draw(w, 0, 2) > 0 ? draw(w, 0, w->devices[e.host][i].capacity) : 0;
        e.vector[1] += e.slices[i];
    }
    return e;
}

/* A holding for each device; a whole one is told as such now and then. */
static BerthPlaceResult tell(World *w, uint32_t number, const Entry *e, bool impose)
{
    BerthPlaceHolding holdings[3];
    BerthCommitment commitment = {.struct_size = sizeof commitment,
                                  .host = e->host,
                                  .vector = e->vector,
                                  .start = e->start,
                                  .end = e->end,
                                  .lasting = e->lasting,
                                  .holdings = holdings};

    for (uint32_t i = 0; i < w->n_devices[e->host]; i++) {
        bool whole = e->slices[i] == w->devices[e->host][i].capacity && draw(w, 0, 1) == 0;

        if (e->slices[i] > 0) {
            holdings[commitment.n_holdings++] = (BerthPlaceHolding){
                whole ? BERTH_PLACE_WHOLE : (uint32_t)e->slices[i], UINT64_C(1) << i};
        }
    }
    return impose ? berth_calendar_impose(w->calendar, number, &commitment)
                  : berth_calendar_commit(w->calendar, number, &commitment);
}

static void commit_or_impose(World *w, uint32_t number)
{
    Entry e = draw_entry(w);
    bool impose = draw(w, 0, 3) == 0;
    BerthPlaceResult expected = e.start >= e.end || e.end <= w->now ? BERTH_PLACE_ERROR_TIME
                                : impose                            ? BERTH_PLACE_OK
                                : w->entries[number].used           ? BERTH_PLACE_ERROR_EXISTS
                                : !fits(w, &e, MAX(e.start, w->now), e.lasting)
                                    ? BERTH_PLACE_ERROR_OVERDRAW
                                    : BERTH_PLACE_OK;

    g_assert_cmpint(tell(w, number, &e, impose), ==, expected);
    if (expected == BERTH_PLACE_OK) {
        w->entries[number] = e;
    }
}

static void cancel(World *w, uint32_t number)
{
    g_assert_cmpint(berth_calendar_cancel(w->calendar, number), ==,
                    w->entries[number].used ? BERTH_PLACE_OK
                                            : BERTH_PLACE_ERROR_UNKNOWN_COMMITMENT);
    w->entries[number].used = false;
}

static void set_end(World *w, uint32_t number)
{
    Entry *e = &w->entries[number], more = *e;

    if (!e->used) {
        return;
    }
    more.end = draw_end(w, e->start);
    if (e->lasting & 1) {
        more.vector[0] = 0;
    }
    BerthPlaceResult expected = more.end <= e->start || more.end <= w->now ? BERTH_PLACE_ERROR_TIME
                                : more.end > e->end && !fits(w, &more, MAX(e->end, w->now), 0)
                                    ? BERTH_PLACE_ERROR_OVERDRAW
                                    : BERTH_PLACE_OK;
    g_assert_cmpint(berth_calendar_set_end(w->calendar, number, more.end), ==, expected);
    e->end = expected == BERTH_PLACE_OK ? more.end : e->end;
}

/* For good, or given back. */
static void hold_for_good(World *w)
{
    uint32_t host = (uint32_t)draw(w, 0, w->n_hosts - 1);
    uint32_t device = (uint32_t)draw(w, 0, w->n_devices[host] - 1);
    BerthPlaceDevice *known = &w->devices[host][device];

    int64_t what = draw(w, 0, 2);
    if (what == 1 && known->free < known->capacity) { /* owed to commitments first, if it must be */
        known->free++;
        g_assert_cmpint(berth_place_give_devices(w->place, host, 1, UINT64_C(1) << device), ==,
                        BERTH_PLACE_OK);
    } else if (what == 0) {
        known->free = (uint32_t)draw(w, 0, known->capacity);
        g_assert_cmpint(
            berth_calendar_set_devices(w->calendar, host, w->devices[host], w->n_devices[host]), ==,
            BERTH_PLACE_OK);
    } else {
        int64_t left = clamp(w, host, device, room(w, host, 2 + device, w->now, NEVER));
        BerthPlaceResult result =
            berth_place_take_devices(w->place, host, 1, UINT64_C(1) << device);

        g_assert_cmpint(result, ==, left > 0 ? BERTH_PLACE_OK : BERTH_PLACE_ERROR_OVERDRAW);
        known->free -= result == BERTH_PLACE_OK;
    }
}

static void look(World *w)
{
    int64_t start = draw(w, w->now, HORIZON - 1), end = draw_end(w, start);

    if (start < end && end > w->now) {
        assert_answers(w, start, end);
        g_assert_cmpint(berth_calendar_open(w->calendar, start, end, 0), ==, BERTH_PLACE_OK);
        assert_shows(w, start, end);
        berth_calendar_close(w->calendar);
    }
}

/* A demand of several devices only for one VM: for more the engine's choice need not be the best. */
typedef struct {
    BerthPlaceDevices demands[2];
    int64_t vector[2];
    BerthPlaceRequest request;
    uint32_t count;
    int64_t duration;
} Asked;

static void draw_asked(World *w, Asked *asked)
{
    *asked = (Asked){.count = (uint32_t)draw(w, 1, 3)};
    asked->vector[0] = draw(w, 0, 2);
    asked->request = (BerthPlaceRequest){.struct_size = sizeof asked->request,
                                         .policy = draw(w, 0, 1) == 0 ? BERTH_PLACE_MOST_FREE
                                                                      : BERTH_PLACE_FIRST_FIT,
                                         .vector = asked->vector,
                                         .devices = asked->demands,
                                         .n_devices = (uint32_t)draw(w, 1, 2)};
    for (uint32_t k = 0; k < asked->request.n_devices; k++) {
        asked->demands[k] = (BerthPlaceDevices){.n = (uint32_t)draw(w, 1, 2),
                                                .slices = (uint32_t)draw(w, 1, 7),
                                                .models = UINT64_C(1) << k};
        asked->count = asked->demands[k].n > 1 || k > 0 ? 1 : asked->count;
        asked->vector[1] += asked->demands[k].n * asked->demands[k].slices;
    }
    asked->duration = draw(w, 0, 6) == 0 ? NEVER : draw(w, 1, 7);
}

static int64_t end_of(int64_t start, int64_t duration)
{
    return duration == NEVER ? NEVER : start + duration;
}

/* How many of it a host can hold. */
static int64_t many_on(const World *w, const Asked *asked, uint32_t host, int64_t start,
                       int64_t end)
{
    int64_t many = INT64_MAX;

    for (uint32_t d = 0; d < 2; d++) {
        if (asked->vector[d] > 0) {
            int64_t here = MAX(room(w, host, d, start, end), 0) / asked->vector[d];
            many = MIN(many, here);
        }
    }
    for (uint32_t k = 0; k < asked->request.n_devices; k++) {
        int64_t usable = 0, slots = 0;

        for (uint32_t i = 0; i < w->n_devices[host]; i++) {
            int64_t left = MAX(room(w, host, 2 + i, start, end), 0);
            bool its = (asked->demands[k].models >> w->devices[host][i].model & 1) != 0;

            usable += its && left >= asked->demands[k].slices;
            slots += its ? left / asked->demands[k].slices : 0;
        }
        many = MIN(many, asked->demands[k].n == 1 ? slots : usable >= asked->demands[k].n);
    }
    return many;
}

static bool have_room(const World *w, const Asked *asked, int64_t start)
{
    int64_t many = 0;

    for (uint32_t host = 0; host < w->n_hosts; host++) {
        many += MIN(many_on(w, asked, host, start, end_of(start, asked->duration)), asked->count);
    }
    return many >= asked->count;
}

static int64_t first_start(const World *w, const Asked *asked)
{
    for (int64_t start = w->now; start <= HORIZON; start++) {
        if (have_room(w, asked, start)) {
            return start;
        }
    }
    return NEVER;
}

static void set_entry(const World *w, const Asked *asked, int64_t start, uint32_t host,
                      uint64_t devices, Entry *ret_entry)
{
    *ret_entry = (Entry){.used = true,
                         .host = host,
                         .vector = {asked->vector[0], asked->vector[1]},
                         .start = start,
                         .end = end_of(start, asked->duration)};
    for (uint32_t k = 0; k < asked->request.n_devices; k++) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < w->n_devices[host]; i++) {
            if ((devices >> i & 1) != 0 &&
                (asked->demands[k].models >> w->devices[host][i].model & 1) != 0) {
                ret_entry->slices[i] = asked->demands[k].slices;
                n++;
            }
        }
        g_assert_cmpint(n, ==, asked->demands[k].n);
    }
}

/* What is answered can be committed on just those devices, one after the other. */
static void search(World *w)
{
    Asked asked;
    int64_t start = -1;
    uint32_t hosts[3], entered = 0;
    uint64_t devices[3];

    draw_asked(w, &asked);
    BerthCalendarRequest request = {.struct_size = sizeof request,
                                    .count = asked.count,
                                    .request = &asked.request,
                                    .from = 0,
                                    .duration = asked.duration,
                                    .deadline = NEVER};
    BerthPlaceResult result =
        berth_calendar_earliest(w->calendar, &request, &start, hosts, devices);
    int64_t expected = first_start(w, &asked);

    g_assert_cmpint(result, ==, expected == NEVER ? BERTH_PLACE_NO_HOST : BERTH_PLACE_OK);
    for (uint32_t k = 0; result == BERTH_PLACE_OK && k < asked.count; k++) {
        Entry e;

        g_assert_cmpint(start, ==, expected);
        set_entry(w, &asked, start, hosts[k], devices[k], &e);
        g_assert_cmpint(tell(w, MAX_ENTRIES + k, &e, false), ==, BERTH_PLACE_OK);
        entered++;
    }
    for (uint32_t k = 0; k < entered; k++) {
        berth_calendar_cancel(w->calendar, MAX_ENTRIES + k);
    }
}

static void step(World *w)
{
    uint32_t number = (uint32_t)draw(w, 0, MAX_ENTRIES - 1);

    switch (draw(w, 0, 9)) {
    case 0:
        cancel(w, number);
        break;
    case 1:
        set_end(w, number);
        break;
    case 2:
        hold_for_good(w);
        break;
    case 3:
        look(w);
        break;
    case 4:
    case 5:
        search(w);
        break;
    case 6:
        w->now += w->now < HORIZON - 2 && draw(w, 0, 2) == 0;
        berth_calendar_advance(w->calendar, w->now);
        break;
    default:
        commit_or_impose(w, number);
        break;
    }
}

static void world_free(World *w)
{
    for (uint32_t number = 0; number < MAX_ENTRIES; number++) {
        w->entries[number].used = false;
    }
    berth_calendar_free(w->calendar);
    assert_shows(w, w->now, NEVER);
    g_assert_null(berth_place_check(w->place));
    berth_place_free(w->place);
    g_rand_free(w->rand);
}

static void test_every_slice_is_counted_at_every_second(void)
{
    for (guint32 seed = 0; seed < 400; seed++) {
        World w = world_new(seed);

        for (int i = 0; i < 120; i++) {
            step(&w);
            assert_shows(&w, w.now, NEVER);
            assert_answers(&w, w.now, NEVER);
            assert_next(&w);
            g_assert_null(berth_calendar_check(w.calendar));
            g_assert_null(berth_place_check(w.place));
        }
        world_free(&w);
    }
}

/* Each job has the earliest start beside those before it, and in the next round keeps its devices. */
static void test_a_plan_names_the_devices(void)
{
    for (guint32 seed = 0; seed < 300; seed++) {
        World w = world_new(seed);
        Asked asked[4];
        BerthJob jobs[4];
        uint32_t hosts[4][3], before[4][3];
        uint64_t devices[4][3], devices_before[4][3];
        BerthJobPlan plans[4];

        for (uint32_t k = 0; k < 4; k++) {
            commit_or_impose(&w, k);
            draw_asked(&w, &asked[k]);
            asked[k].count = 1;
            jobs[k] = (BerthJob){.struct_size = sizeof jobs[k],
                                 .count = 1,
                                 .request = &asked[k].request,
                                 .duration = asked[k].duration,
                                 .deadline = NEVER};
            plans[k] = (BerthJobPlan){
                .struct_size = sizeof plans[k], .hosts = hosts[k], .devices = devices[k]};
        }
        for (int round = 0; round < 2; round++) {
            memcpy(before, hosts, sizeof hosts);
            memcpy(devices_before, devices, sizeof devices);
            g_assert_cmpint(
                berth_backfill(w.calendar, 0, BERTH_BACKFILL_CONSERVATIVE, jobs, 4, 100, plans), ==,
                BERTH_PLACE_OK);
            for (uint32_t k = 0; k < 4; k++) {
                int64_t expected = first_start(&w, &asked[k]);
                bool planned =
                    plans[k].state == BERTH_JOB_PLANNED || plans[k].state == BERTH_JOB_STARTS;

                g_assert_cmpint(planned, ==, expected != NEVER);
                if (planned) {
                    g_assert_cmpint(plans[k].start, ==, expected);
                    g_assert_true(
                        round == 0 || plans[k].state == BERTH_JOB_STARTS ||
                        (hosts[k][0] == before[k][0] && devices[k][0] == devices_before[k][0]));
                    set_entry(&w, &asked[k], plans[k].start, hosts[k][0], devices[k][0],
                              &w.entries[4 + k]);
                }
            }
            for (uint32_t k = 0; k < 4; k++) {
                w.entries[4 + k].used = false;
            }
        }
        world_free(&w);
    }
}

/* Three of seven slices free on each of three devices. */
static void test_slices_on_several_devices_are_no_room(void)
{
    World w = world_new(1);
    BerthPlaceDevice three[3] = {{0, 7, 7}, {0, 7, 7}, {0, 7, 7}};
    BerthPlaceHolding four = {4, 7}, late = {4, 2};
    BerthPlaceDevices asked = {.n = 1, .slices = 4, .models = 1};
    BerthPlaceRequest one = {
        .struct_size = sizeof one, .vector = (const int64_t[]){0, 4}, .devices = &asked};
    BerthCalendarRequest request = {.struct_size = sizeof request,
                                    .count = 1,
                                    .request = &one,
                                    .duration = 5,
                                    .deadline = NEVER};
    BerthCommitment commitment = {.struct_size = sizeof commitment,
                                  .vector = (const int64_t[]){0, 12},
                                  .end = 10,
                                  .n_holdings = 1,
                                  .holdings = &four};
    int64_t start = -1;
    uint32_t host = 9;
    uint64_t devices = 0;

    w.n_hosts = 1;
    berth_place_set(w.place, 0, (const int64_t[]){CPU, 21}, (const int64_t[]){CPU, 21});
    berth_calendar_set_devices(w.calendar, 0, three, 3);
    for (uint32_t other = 1; other < MAX_HOSTS; other++) {
        berth_place_set_enabled(w.place, other, false);
    }
    g_assert_cmpint(berth_calendar_commit(w.calendar, 0, &commitment), ==, BERTH_PLACE_OK);
    commitment.holdings = &late;
    commitment.vector = (const int64_t[]){0, 4};
    commitment.start = 5;
    g_assert_cmpint(berth_calendar_commit(w.calendar, 1, &commitment), ==,
                    BERTH_PLACE_ERROR_OVERDRAW);
    /* As many slices begin as end: no sum falls at 10, and yet two devices are free from then on. */
    commitment.start = 10;
    commitment.end = 20;
    commitment.vector = (const int64_t[]){0, 12};
    g_assert_cmpint(berth_calendar_commit(w.calendar, 1, &commitment), ==, BERTH_PLACE_OK);
    g_assert_cmpint(berth_calendar_next(w.calendar), ==, 10);
    g_assert_cmpint(berth_calendar_next_on(w.calendar, 0, 0), ==, 10);
    g_assert_cmpint(berth_calendar_earliest(w.calendar, &request, &start, &host, &devices), ==,
                    BERTH_PLACE_OK);
    g_assert_cmpint(start, ==, 10);
    g_assert_cmpint(devices, ==, 1);
    late.devices = 8;
    g_assert_cmpint(berth_calendar_impose(w.calendar, 2, &commitment), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    late = (BerthPlaceHolding){8, 1};
    g_assert_cmpint(berth_calendar_impose(w.calendar, 2, &commitment), ==,
                    BERTH_PLACE_ERROR_AMOUNT);
    commitment.holdings = NULL;
    g_assert_cmpint(berth_calendar_impose(w.calendar, 2, &commitment), ==,
                    BERTH_PLACE_ERROR_ARGUMENT);
    berth_calendar_free(w.calendar);
    g_assert_null(berth_place_check(w.place));
    berth_place_free(w.place);
    g_rand_free(w.rand);
}

/* What is tried is undone as if the calendar had not been asked meanwhile. */
static void test_a_calendar_stands_while_changes_are_tried(void)
{
    for (guint32 seed = 0; seed < 100; seed++) {
        World w = world_new(seed);

        for (uint32_t number = 0; number < MAX_ENTRIES; number++) {
            commit_or_impose(&w, number);
        }
        g_assert_cmpint(berth_place_begin(w.place), ==, BERTH_PLACE_OK);
        g_assert_cmpint(berth_calendar_advance(w.calendar, 5), ==, BERTH_PLACE_ERROR_BUSY);
        g_assert_cmpint(berth_calendar_open(w.calendar, 5, 6, 0), ==, BERTH_PLACE_ERROR_BUSY);
        berth_place_rollback(w.place);
        g_assert_cmpint(berth_calendar_open(w.calendar, 5, 6, 0), ==, BERTH_PLACE_OK);
        berth_place_begin(w.place);
        berth_place_take(w.place, 0, (const int64_t[]){1, 1});
        berth_place_take_devices(w.place, 0, 1, 1);
        if (seed % 2 == 0) {
            berth_place_rollback(w.place);
        }
        berth_calendar_close(w.calendar);
        if (seed % 2 == 1) {
            berth_place_rollback(w.place);
        }
        assert_shows(&w, w.now, NEVER);
        assert_answers(&w, w.now, NEVER);
        world_free(&w);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/place/calendar-devices/every-slice-is-counted-at-every-second",
                    test_every_slice_is_counted_at_every_second);
    g_test_add_func("/place/calendar-devices/a-plan-names-the-devices",
                    test_a_plan_names_the_devices);
    g_test_add_func("/place/calendar-devices/a-calendar-stands-while-changes-are-tried",
                    test_a_calendar_stands_while_changes_are_tried);
    g_test_add_func("/place/calendar-devices/slices-on-several-devices-are-no-room",
                    test_slices_on_several_devices_are_no_room);
    return g_test_run();
}
