#include "fixture.h"

#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"

#define PATIENCE_US (60 * G_USEC_PER_SEC)

char *fixture_directory_new(void)
{
    g_autoptr(GError) error = NULL;
    char *directory = g_dir_make_tmp("berth-store-XXXXXX", &error);
    g_assert_no_error(error);
    return directory;
}

void fixture_directory_remove(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_assert_cmpint(g_remove(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

void fixture_open(Fixture *fixture, const Backend *backend, int64_t history_revisions)
{
    fixture->directory = fixture_directory_new();
    fixture->store = backend->open(fixture->directory, history_revisions);
}

void fixture_close(Fixture *fixture)
{
    g_clear_pointer(&fixture->store, store_free);
    fixture_directory_remove(fixture->directory);
    g_clear_pointer(&fixture->directory, g_free);
}

GBytes *text_bytes(const char *text)
{
    return g_bytes_new(text, strlen(text));
}

StoreTxn *txn_put(const char *key, const char *value)
{
    g_autoptr(GBytes) bytes = text_bytes(value);
    StoreTxn *txn = store_txn_new();
    store_txn_put(txn, key, bytes);
    return txn;
}

int64_t must_commit(Store *store, StoreTxn *txn)
{
    g_autoptr(GError) error = NULL;
    StoreResult result = {0};
    store_commit_sync(store, txn, &result, &error);
    g_assert_no_error(error);
    g_assert_true(result.succeeded);
    g_assert_cmpint(result.failed_compare, ==, -1);
    return result.revision;
}

void must_fail(Store *store, StoreTxn *txn, int code)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(store_commit_sync(store, txn, NULL, &error));
    g_assert_error(error, BERTH_ERROR, code);
}

char *value_of(Store *store, const char *key)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreEntry) entry = NULL;
    g_assert_true(store_get(store, key, &entry, NULL, &error));
    g_assert_no_error(error);
    if (entry == NULL) {
        return NULL;
    }
    gsize size = 0;
    const char *data = g_bytes_get_data(entry->value, &size);
    return g_strndup(data != NULL ? data : "", size);
}

char *picture(Store *store, const char *prefix)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = NULL;
    GString *text = g_string_new(NULL);
    g_assert_true(store_range(store, prefix, NULL, 0, &entries, NULL, &error));
    g_assert_no_error(error);
    for (guint i = 0; i < entries->len; i++) {
        const StoreEntry *entry = entries->pdata[i];
        gsize size = 0;
        const char *data = g_bytes_get_data(entry->value, &size);
        g_string_append_printf(text, "%s%s=%.*s", i > 0 ? " " : "", entry->key, (int)size,
                               data != NULL ? data : "");
    }
    return g_string_free(text, FALSE);
}

static gboolean on_tick(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

void turn_until(const int *flag, int count)
{
    int64_t end = g_get_monotonic_time() + PATIENCE_US;
    guint tick = g_timeout_add(10, on_tick, NULL);
    while (g_atomic_int_get(flag) < count) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(tick);
}

void turn(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}
