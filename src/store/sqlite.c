/*
 * The default back end: one SQLite file in WAL mode with synchronous=FULL.
 *
 * One thread writes. It takes all transactions that wait, carries them out in one SQLite
 * transaction and commits: one fsync for all of them. No savepoints: a transaction whose compares
 * fail has written nothing, and any other failure is the database's, which ends the whole batch.
 * Reads go over a connection of their own in the owner's thread, which sees whole commits only and
 * never waits for one.
 */
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "store/backend.h"
#include "store/sqlite_file.h"
#include "store/sqlite_table.h"

#define DEFAULT_PROBE_MS 1000
#define DEFAULT_FREE_KIB 8192
#define BATCH_MAX 1024
#define BATCH_MAX_BYTES (8 * 1024 * 1024)

typedef struct {
    Store *store;
    char *path;
    int lock_fd;
    SqliteTable *writer;
    SqliteTable *reader;
    GThread *thread;
    GAsyncQueue *queue; /* of Pending; `stop` ends, `wake` only wakes */
    Pending stop, wake;
    StoreSqliteOptions options;
    int read_damage; /* atomic: a read found the file damaged */
    /* Of the writer's thread. */
    int64_t revision;
    GError *health; /* NULL: writing works */
    bool damaged;
    int64_t next_probe_us; /* while there is health */
} Sqlite;

static GError *unwritable(const Sqlite *sqlite, const GError *cause)
{
    GError *error = NULL;
    const char *remedy =
        sqlite->damaged
            ? SQLITE_TABLE_RESTORE
            : "make room on its file system, or make it writable; writing is tried again by itself";
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, "path", sqlite->path, remedy,
                    "the store %s takes no writes: %s", sqlite->path, cause->message);
    return error;
}

static void set_health(Sqlite *sqlite, GError *health)
{
    g_clear_error(&sqlite->health);
    sqlite->health = health;
    sqlite->next_probe_us = g_get_monotonic_time() + sqlite->options.probe_interval_ms * 1000;
    store_health_changed(sqlite->store, health != NULL ? g_error_copy(health) : NULL);
}

static void fail(Pending *pending, const GError *error)
{
    if (pending->error == NULL) {
        pending->error = g_error_copy(error);
    }
    g_clear_pointer(&pending->changes, g_ptr_array_unref);
}

/* False only when the database fails, which ends the batch. */
static bool apply_one(Sqlite *sqlite, Pending *pending, int64_t *revision, GError **error)
{
    if (pending->error != NULL) {
        return true;
    }
    if (!txn_apply(pending->txn, sqlite_table_ops(), sqlite->writer, *revision, &pending->result,
                   &pending->changes, error)) {
        return false;
    }
    *revision = pending->result.revision;
    return true;
}

static bool apply_batch(Sqlite *sqlite, const GPtrArray *batch, int64_t *revision, GError **error)
{
    for (guint i = 0; i < batch->len; i++) {
        if (!apply_one(sqlite, batch->pdata[i], revision, error)) {
            return false;
        }
    }
    return *revision == sqlite->revision ||
           sqlite_table_set_revision(sqlite->writer, *revision, error);
}

static bool commit_batch(Sqlite *sqlite, const GPtrArray *batch, GError **error)
{
    int64_t revision = sqlite->revision;
    if (!sqlite_table_exec(sqlite->writer, "BEGIN IMMEDIATE", error)) {
        return false;
    }
    if (!apply_batch(sqlite, batch, &revision, error) ||
        !sqlite_table_exec(sqlite->writer, "COMMIT", error)) {
        sqlite_table_exec(sqlite->writer, "ROLLBACK", NULL);
        return false;
    }
    sqlite->revision = revision;
    return true;
}

static void run_batch(Sqlite *sqlite, GPtrArray *batch)
{
    g_autoptr(GError) cause = NULL;
    if (sqlite->health == NULL && !commit_batch(sqlite, batch, &cause)) {
        sqlite->damaged = sqlite_table_is_damaged(sqlite->writer);
        set_health(sqlite, unwritable(sqlite, cause));
    }
    for (guint i = 0; sqlite->health != NULL && i < batch->len; i++) {
        fail(batch->pdata[i], sqlite->health);
    }
    store_finished(sqlite->store, batch);
}

static bool has_room(const Sqlite *sqlite)
{
    struct statvfs vfs;
    if (statvfs(sqlite->path, &vfs) != 0) {
        return true;
    }
    double unit_kib = (double)vfs.f_frsize / 1024;
    double wanted =
        MIN((double)sqlite->options.probe_free_kib, (double)vfs.f_blocks * unit_kib / 8);
    return (double)vfs.f_bavail * unit_kib >= wanted;
}

/* A write of nothing new. */
static bool probe(Sqlite *sqlite, GError **error)
{
    if (!sqlite_table_exec(sqlite->writer, "BEGIN IMMEDIATE", error)) {
        return false;
    }
    if (!sqlite_table_probe(sqlite->writer, error) ||
        !sqlite_table_exec(sqlite->writer, "COMMIT", error)) {
        sqlite_table_exec(sqlite->writer, "ROLLBACK", NULL);
        return false;
    }
    return true;
}

static void try_again(Sqlite *sqlite)
{
    sqlite->next_probe_us = g_get_monotonic_time() + sqlite->options.probe_interval_ms * 1000;
    if (!sqlite->damaged && has_room(sqlite) && probe(sqlite, NULL)) {
        set_health(sqlite, NULL);
    }
}

/* NULL when it is time to try again, however many transactions wait to be refused. */
static Pending *take_one(Sqlite *sqlite)
{
    if (sqlite->health == NULL) {
        return g_async_queue_pop(sqlite->queue);
    }
    int64_t left = sqlite->next_probe_us - g_get_monotonic_time();
    return left > 0 ? g_async_queue_timeout_pop(sqlite->queue, (guint64)left) : NULL;
}

/* The next batch, which may be empty. `ret_stop` when the store closes after it. */
static GPtrArray *take_batch(Sqlite *sqlite, Pending *first, bool *ret_stop)
{
    GPtrArray *batch = g_ptr_array_new();
    size_t bytes = 0;
    for (Pending *next = first; next != NULL;
         next = batch->len < BATCH_MAX && bytes < BATCH_MAX_BYTES
                    ? g_async_queue_try_pop(sqlite->queue)
                    : NULL) {
        if (next == &sqlite->stop) {
            *ret_stop = true;
            break;
        }
        if (next != &sqlite->wake) {
            bytes += store_txn_bytes(next->txn);
            g_ptr_array_add(batch, next);
        }
    }
    return batch;
}

/* The writer may never touch the page that a read found damaged, but must not build upon it. */
static void heed_read_damage(Sqlite *sqlite)
{
    if (g_atomic_int_get(&sqlite->read_damage) != 0 && !sqlite->damaged) {
        g_autoptr(GError) cause = NULL;
        berth_error_set(&cause, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                        "a read found its file damaged");
        sqlite->damaged = true;
        set_health(sqlite, unwritable(sqlite, cause));
    }
}

static gpointer write_loop(gpointer data)
{
    Sqlite *sqlite = data;
    bool stop = false;
    while (!stop) {
        Pending *first = take_one(sqlite);
        if (first == NULL) {
            try_again(sqlite);
            continue;
        }
        GPtrArray *batch = take_batch(sqlite, first, &stop);
        heed_read_damage(sqlite);
        if (batch->len > 0) {
            run_batch(sqlite, batch);
        } else {
            g_ptr_array_unref(batch);
        }
    }
    return NULL;
}

static bool end_read(Sqlite *sqlite, bool read)
{
    sqlite_table_exec(sqlite->reader, "COMMIT", NULL);
    if (!read && sqlite_table_is_damaged(sqlite->reader) &&
        g_atomic_int_compare_and_exchange(&sqlite->read_damage, 0, 1)) {
        g_async_queue_push(sqlite->queue, &sqlite->wake);
    }
    return read;
}

static bool get(gpointer backend, const char *key, StoreEntry **ret_entry, int64_t *ret_revision,
                GError **error)
{
    Sqlite *sqlite = backend;
    if (!sqlite_table_exec(sqlite->reader, "BEGIN", error)) {
        return false;
    }
    bool read = sqlite_table_revision(sqlite->reader, ret_revision, error) &&
                sqlite_table_ops()->lookup(sqlite->reader, key, true, ret_entry, error);
    return end_read(sqlite, read);
}

static bool range(gpointer backend, const char *prefix, const char *after, unsigned limit,
                  GPtrArray *entries, int64_t *ret_revision, GError **error)
{
    Sqlite *sqlite = backend;
    if (!sqlite_table_exec(sqlite->reader, "BEGIN", error)) {
        return false;
    }
    bool read = sqlite_table_revision(sqlite->reader, ret_revision, error) &&
                sqlite_table_range(sqlite->reader, prefix, after, limit, entries, error);
    return end_read(sqlite, read);
}

static void submit(gpointer backend, Pending *pending)
{
    g_async_queue_push(((Sqlite *)backend)->queue, pending);
}

static bool backup(gpointer backend, const char *path, GError **error)
{
    return sqlite_file_copy(((const Sqlite *)backend)->path, path, error);
}

static void stop(gpointer backend)
{
    Sqlite *sqlite = backend;
    g_async_queue_push(sqlite->queue, &sqlite->stop);
    g_thread_join(sqlite->thread);
}

static void sqlite_free(gpointer backend)
{
    Sqlite *sqlite = backend;
    sqlite_table_close(sqlite->reader);
    sqlite_table_close(sqlite->writer);
    g_async_queue_unref(sqlite->queue);
    g_clear_error(&sqlite->health);
    if (sqlite->lock_fd >= 0) {
        close(sqlite->lock_fd);
    }
    g_free(sqlite->path);
    g_free(sqlite);
}

static const BackendOps ops = {get, range, submit, backup, stop, sqlite_free};

static StoreSqliteOptions with_defaults(const StoreSqliteOptions *options)
{
    StoreSqliteOptions o = options != NULL ? *options : (StoreSqliteOptions){0};
    o.probe_interval_ms = o.probe_interval_ms > 0 ? o.probe_interval_ms : DEFAULT_PROBE_MS;
    o.probe_free_kib = o.probe_free_kib > 0 ? o.probe_free_kib : DEFAULT_FREE_KIB;
    return o;
}

static bool open_all(Sqlite *sqlite, GError **error)
{
    sqlite->lock_fd = sqlite_file_lock(sqlite->path, error);
    if (sqlite->lock_fd < 0 || !sqlite_file_create_if_absent(sqlite->path, error)) {
        return false;
    }
    sqlite->writer = sqlite_table_open(sqlite->path, sqlite->options.max_pages, error);
    sqlite->reader = sqlite->writer != NULL ? sqlite_table_open_reader(sqlite->path, error) : NULL;
    return sqlite->reader != NULL &&
           sqlite_table_revision(sqlite->writer, &sqlite->revision, error);
}

Store *store_sqlite_open(const char *path, const StoreSqliteOptions *options, GError **error)
{
    Sqlite *sqlite = g_new0(Sqlite, 1);
    sqlite->path = sqlite_file_resolve(path);
    sqlite->lock_fd = -1;
    sqlite->queue = g_async_queue_new();
    sqlite->options = with_defaults(options);
    if (!open_all(sqlite, error)) {
        sqlite_free(sqlite);
        return NULL;
    }
    Store *store = store_new(&ops, sqlite->revision, sqlite->options.history_revisions,
                             sqlite->options.history_mib);
    sqlite->store = store;
    g_autoptr(GError) cause = NULL;
    if (!probe(sqlite, &cause)) {
        set_health(sqlite, unwritable(sqlite, cause));
    }
    sqlite->thread = g_thread_new("store", write_loop, sqlite);
    store_set_backend(store, sqlite);
    return store;
}
