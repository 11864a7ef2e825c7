/* Labels of hosts: rare ones and common ones, beside an array that remembers each pair. */
#include <glib.h>

#include "place/labels.h"

enum { SLOTS = 1024, N_LABELS = 6 };

typedef struct {
    Labels labels;
    gboolean has[N_LABELS][SLOTS];
} Pair;

static void check(const Pair *pair)
{
    for (uint32_t label = 0; label < N_LABELS; label++) {
        uint32_t n = 0, next = labels_next(&pair->labels, label, 0);
        for (uint32_t host = 0; host < SLOTS; host++) {
            g_assert_cmpint(labels_has(&pair->labels, label, host), ==, pair->has[label][host]);
            if (pair->has[label][host]) {
                g_assert_cmpuint(next, ==, host);
                next = labels_next(&pair->labels, label, host + 1);
                n++;
            }
        }
        g_assert_cmpuint(next, ==, UINT32_MAX);
        g_assert_cmpuint(labels_count(&pair->labels, label), ==, n);
    }
}

static void set(Pair *pair, uint32_t label, uint32_t host, gboolean present)
{
    if (present) {
        g_assert_true(labels_set(&pair->labels, label, host));
    } else {
        labels_unset(&pair->labels, label, host);
    }
    pair->has[label][host] = present;
}

/* Label 0 is on few hosts, label 5 on nearly all, so that arrays become bitmaps and back. */
static void test_random(void)
{
    g_autofree Pair *pair = g_new0(Pair, 1);
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);

    g_assert_true(labels_lengthen(&pair->labels, SLOTS));
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 400; i++) {
            uint32_t label = (uint32_t)g_rand_int_range(rand, 0, N_LABELS);
            uint32_t host = (uint32_t)g_rand_int_range(rand, 0, SLOTS);
            set(pair, label, host, g_rand_int_range(rand, 0, 6) <= (int)label && round % 8 < 6);
        }
        uint32_t gone = (uint32_t)g_rand_int_range(rand, 0, SLOTS);
        labels_host_removed(&pair->labels, gone);
        for (uint32_t label = 0; label < N_LABELS; label++) {
            pair->has[label][gone] = FALSE;
        }
        check(pair);
    }
    labels_clear(&pair->labels);
}

static void test_longer(void)
{
    g_autofree Pair *pair = g_new0(Pair, 1);

    g_assert_true(labels_lengthen(&pair->labels, 64));
    for (uint32_t host = 0; host < 64; host++) {
        set(pair, 1, host, TRUE);
    }
    g_assert_nonnull(pair->labels.of[1].bits);
    g_assert_true(labels_lengthen(&pair->labels, SLOTS));
    set(pair, 1, SLOTS - 1, TRUE);
    check(pair);
    labels_clear(&pair->labels);
}

static void test_copy(void)
{
    g_autofree Pair *pair = g_new0(Pair, 1), *copy = g_new0(Pair, 1);

    g_assert_true(labels_lengthen(&pair->labels, SLOTS));
    for (uint32_t host = 0; host < SLOTS; host += 2) {
        set(pair, 0, host, TRUE);
        set(pair, host % N_LABELS, host, TRUE);
    }
    *copy = *pair;
    g_assert_true(labels_copy(&pair->labels, &copy->labels));
    set(pair, 0, 4, FALSE);
    set(pair, 3, 9, TRUE);
    check(copy);
    check(pair);
    labels_clear(&pair->labels);
    labels_clear(&copy->labels);
}

/* What 25,000 racks take of a million hosts. */
static void test_room(void)
{
    Labels labels = {0};
    size_t bytes = 0;

    labels_lengthen(&labels, 1 << 20);
    for (uint32_t host = 0; host < 1 << 20; host++) {
        labels_set(&labels, host / 40, host);
    }
    for (uint32_t label = 0; label < labels.n; label++) {
        g_assert_null(labels.of[label].bits);
        bytes += labels.of[label].room * sizeof(uint32_t);
    }
    g_assert_cmpuint(bytes, <, 10 << 20);
    labels_clear(&labels);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/labels/random", test_random);
    g_test_add_func("/labels/longer", test_longer);
    g_test_add_func("/labels/copy", test_copy);
    g_test_add_func("/labels/room", test_room);
    return g_test_run();
}
