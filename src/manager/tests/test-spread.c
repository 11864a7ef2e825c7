/* Each part is done once, and all of them before the call returns, however many threads help. */
#include "manager/spread.h"

#define MOST 5000

typedef struct {
    gint times[MOST];
    GThread *others[MOST]; /* who has done it */
} Work;

static void count(guint index, gpointer data)
{
    Work *work = data;
    g_atomic_int_inc(&work->times[index]);
    work->others[index] = g_thread_self();
}

static void check(Spread *spread, guint n)
{
    g_autofree Work *work = g_new0(Work, 1);
    spread_run(spread, n, count, work);
    for (guint i = 0; i < MOST; i++) {
        g_assert_cmpint(work->times[i], ==, i < n ? 1 : 0);
        g_assert_true((work->others[i] != NULL) == (i < n));
    }
}

static void test_every_part_is_done_once(void)
{
    static const guint sizes[] = {0, 1, 15, 16, 17, 64, 65, 1000, MOST};
    for (guint threads = 0; threads < 4; threads++) {
        Spread *spread = spread_new(threads);
        for (int round = 0; round < 50; round++) {
            for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
                check(spread, sizes[i]);
            }
        }
        spread_free(spread);
    }
}

static void test_few_parts_stay_with_the_caller(void)
{
    Spread *spread = spread_new(3);
    g_autofree Work *work = g_new0(Work, 1);
    spread_run(spread, 64, count, work);
    for (guint i = 0; i < 64; i++) {
        g_assert_true(work->others[i] == g_thread_self());
    }
    spread_free(spread);
}

/* A part waits for another, which only another thread can do. */
static gint met;

static void meet(guint index, gpointer data)
{
    if (index == 0 || index == 999) {
        g_atomic_int_inc(&met);
        while (g_atomic_int_get(&met) < 2) {
            g_thread_yield();
        }
    }
}

static void test_many_parts_are_shared(void)
{
    Spread *spread = spread_new(1);
    g_atomic_int_set(&met, 0);
    spread_run(spread, 1000, meet, NULL);
    g_assert_cmpint(g_atomic_int_get(&met), ==, 2);
    spread_free(spread);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/manager/spread/every-part-is-done-once", test_every_part_is_done_once);
    g_test_add_func("/manager/spread/few-parts-stay-with-the-caller",
                    test_few_parts_stay_with_the_caller);
    g_test_add_func("/manager/spread/many-parts-are-shared", test_many_parts_are_shared);
    return g_test_run();
}
