#include "base/error.h"
#include "conformance.h"

/* Writes down what a watch tells: "3:a=x,b- 4:a=y". */
typedef struct {
    StoreWatch *watch;
    Store *store;
    GString *text;
    int told;
    int cancel_after; /* 0: never */
} Log;

static void on_change(int64_t revision, const GPtrArray *changes, const GError *error,
                      gpointer data)
{
    Log *log = data;
    g_assert_no_error(error);
    g_assert_cmpuint(changes->len, >, 0);
    g_string_append_printf(log->text, "%s%" G_GINT64_FORMAT ":", log->text->len > 0 ? " " : "",
                           revision);
    for (guint i = 0; i < changes->len; i++) {
        const StoreEntry *entry = changes->pdata[i];
        g_assert_cmpint(entry->mod_revision, ==, revision);
        g_string_append(log->text, i > 0 ? "," : "");
        if (entry->value == NULL) {
            g_assert_cmpint(entry->version + entry->create_revision, ==, 0);
            g_string_append_printf(log->text, "%s-", entry->key);
        } else {
            gsize size = 0;
            const char *value = g_bytes_get_data(entry->value, &size);
            g_string_append_printf(log->text, "%s=%.*s", entry->key, (int)size, value);
        }
    }
    if (++log->told == log->cancel_after) {
        store_watch_cancel(log->watch);
    }
}

static void log_start(Log *log, Store *store, const char *prefix, int64_t from)
{
    g_autoptr(GError) error = NULL;
    *log = (Log){.store = store, .text = g_string_new(NULL)};
    log->watch = store_watch(store, prefix, from, on_change, log, &error);
    g_assert_no_error(error);
    g_assert_nonnull(log->watch);
}

static void log_expect(Log *log, const char *expected)
{
    g_assert_cmpstr(log->text->str, ==, expected);
    g_string_free(log->text, TRUE);
}

static void commit_values(Store *store, const char *key, int from, int to)
{
    for (int i = from; i <= to; i++) {
        g_autofree char *value = g_strdup_printf("%d", i);
        must_commit(store, txn_put(key, value));
    }
}

static void tells_changes_under_the_prefix(Store *store)
{
    Log log, all;
    log_start(&log, store, "a/", 0);
    log_start(&all, store, "", 0);
    commit_values(store, "a/1", 1, 2);
    commit_values(store, "b", 3, 3);
    g_autoptr(GBytes) value = text_bytes("x");
    StoreTxn *txn = store_txn_new();
    store_txn_put(txn, "a/2", value);
    store_txn_put(txn, "b", value);
    store_txn_delete(txn, "a/1");
    must_commit(store, txn);
    txn = store_txn_new();
    store_txn_delete_prefix(txn, "a");
    store_txn_delete(txn, "absent");
    must_commit(store, txn);
    turn();
    log_expect(&log, "1:a/1=1 2:a/1=2 4:a/2=x,a/1- 5:a/2-");
    log_expect(&all, "1:a/1=1 2:a/1=2 3:b=3 4:a/2=x,b=x,a/1- 5:a/2-");
}

static void joins_the_past_to_the_present(Store *store)
{
    Log log, future;
    commit_values(store, "a", 1, 3);
    turn();
    commit_values(store, "a", 4, 5); /* durable, and not told yet */
    log_start(&log, store, "a", 2);
    log_start(&future, store, "a", 7);
    commit_values(store, "a", 6, 7);
    g_assert_cmpint(log.told, ==, 0); /* never from within a call */
    turn();
    log_expect(&log, "2:a=2 3:a=3 4:a=4 5:a=5 6:a=6 7:a=7");
    log_expect(&future, "7:a=7");
}

static void now_is_the_durable_revision(Store *store)
{
    Log log;
    commit_values(store, "a", 1, 2); /* acknowledged, though no callback ran yet */
    log_start(&log, store, "a", 0);
    commit_values(store, "a", 3, 3);
    turn();
    log_expect(&log, "3:a=3");
}

static void skips_what_changed_nothing(Store *store)
{
    Log log;
    log_start(&log, store, "", 0);
    must_commit(store, store_txn_new());
    StoreTxn *txn = store_txn_new();
    store_txn_delete(txn, "absent");
    must_commit(store, txn);
    txn = txn_put("a", "x");
    store_txn_compare_exists(txn, "a");
    g_assert_true(store_commit_sync(store, txn, NULL, NULL));
    commit_values(store, "a", 2, 2);
    turn();
    log_expect(&log, "2:a=2");
    g_assert_cmpint(store_oldest_revision(store), ==, 1);
}

static void cancelled_is_silent(Store *store)
{
    Log at_once, after_two, past;
    log_start(&at_once, store, "a", 0);
    log_start(&after_two, store, "a", 0);
    after_two.cancel_after = 2;
    commit_values(store, "a", 1, 1);
    store_watch_cancel(at_once.watch);
    turn();
    commit_values(store, "a", 2, 3);
    turn();
    log_start(&past, store, "a", 1);
    past.cancel_after = 1;
    turn();
    commit_values(store, "a", 4, 4);
    turn();
    log_expect(&at_once, "");
    log_expect(&after_two, "1:a=1 2:a=2");
    log_expect(&past, "1:a=1");
}

typedef struct {
    Log *log;
    int acknowledged;
} Acknowledged;

static void on_acknowledged(const StoreResult *result, const GError *error, gpointer data)
{
    Acknowledged *a = data;
    g_assert_no_error(error);
    g_assert_cmpint(a->log->told, ==, a->acknowledged++);
}

static void follows_the_acknowledgement(Store *store)
{
    Log log;
    log_start(&log, store, "a", 0);
    Acknowledged a = {.log = &log};
    for (int i = 0; i < 20; i++) {
        store_commit(store, txn_put("a", "x"), on_acknowledged, &a);
    }
    turn_until(&log.told, 20);
    g_assert_cmpint(a.acknowledged, ==, 20);
    g_string_free(log.text, TRUE);
}

static void on_nested(int64_t revision, const GPtrArray *changes, const GError *error,
                      gpointer data)
{
    Log *inner = data;
    if (inner->text == NULL) {
        log_start(inner, inner->store, "a", revision);
    }
}

/* A watch made in a callback for the very revision that is being told hears it once. */
static void callbacks_may_watch(Store *store)
{
    Log inner = {.store = store};
    g_assert_nonnull(store_watch(store, "a", 0, on_nested, &inner, NULL));
    commit_values(store, "a", 1, 1);
    turn();
    commit_values(store, "a", 2, 2);
    turn();
    log_expect(&inner, "1:a=1 2:a=2");
}

static void refuses_a_bad_prefix(Store *store)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(store_watch(store, "a\n", 0, on_change, NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

/* Opened with room for 10 revisions. */
static void history_is_bounded(Store *store)
{
    g_autoptr(GError) error = NULL;
    Log log;
    commit_values(store, "a", 1, 25);
    turn();
    g_assert_cmpint(store_oldest_revision(store), ==, 16);
    g_assert_null(store_watch(store, "a", 15, on_change, NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    g_assert_cmpstr(berth_error_field(error), ==, "from_revision");
    log_start(&log, store, "a", 16);
    commit_values(store, "a", 26, 40); /* what it still has to read leaves the history meanwhile */
    turn();
    g_assert_cmpint(log.told, ==, 25);
    g_string_free(log.text, TRUE);
}

/* By the default of 16 MiB: 40 values of half a MiB do not fit. */
static void history_is_bounded_in_bytes(Store *store)
{
    g_autoptr(GBytes) half = g_bytes_new_take(g_malloc0(512 * 1024), 512 * 1024);
    for (int i = 0; i < 40; i++) {
        StoreTxn *txn = store_txn_new();
        store_txn_put(txn, "a", half);
        must_commit(store, txn);
    }
    turn();
    g_assert_cmpint(store_oldest_revision(store), ==, 40 - 31 + 1);
}

typedef struct {
    const Backend *backend;
    int64_t history;
    void (*run)(Store *store);
} Case;

static void run_case(gconstpointer data)
{
    const Case *c = data;
    Fixture fixture;
    fixture_open(&fixture, c->backend, c->history);
    c->run(fixture.store);
    fixture_close(&fixture);
}

/* Closing tells what a watch still has to read, in its order. */
static void closing_tells_the_past(gconstpointer data)
{
    Fixture fixture;
    Log log;
    fixture_open(&fixture, data, 0);
    commit_values(fixture.store, "a", 1, 2);
    turn();
    log_start(&log, fixture.store, "a", 1);
    store_commit(fixture.store, txn_put("a", "3"), NULL, NULL);
    fixture_close(&fixture);
    log_expect(&log, "1:a=1 2:a=2 3:a=3");
}

void conformance_add_watches(const Backend *backend)
{
    static const struct {
        const char *name;
        int64_t history;
        void (*run)(Store *store);
    } cases[] = {
        {"tells-changes-under-the-prefix", 0, tells_changes_under_the_prefix},
        {"joins-the-past-to-the-present", 0, joins_the_past_to_the_present},
        {"now-is-the-durable-revision", 0, now_is_the_durable_revision},
        {"skips-what-changed-nothing", 0, skips_what_changed_nothing},
        {"cancelled-is-silent", 0, cancelled_is_silent},
        {"follows-the-acknowledgement", 0, follows_the_acknowledgement},
        {"callbacks-may-watch", 0, callbacks_may_watch},
        {"refuses-a-bad-prefix", 0, refuses_a_bad_prefix},
        {"history-is-bounded", 10, history_is_bounded},
        {"history-is-bounded-in-bytes", 0, history_is_bounded_in_bytes},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/store/%s/watch/%s", backend->name, cases[i].name);
        Case *c = g_new(Case, 1);
        *c = (Case){backend, cases[i].history, cases[i].run};
        g_test_add_data_func_full(path, c, run_case, g_free);
    }
    g_autofree char *path =
        g_strdup_printf("/store/%s/watch/closing-tells-the-past", backend->name);
    g_test_add_data_func(path, backend, closing_tells_the_past);
}
