/*
 * The default back end: one SQLite file in WAL mode with synchronous=FULL.
 *
 * One thread writes. It takes all transactions that wait, carries them out in one SQLite
 * transaction, each behind a savepoint, and commits: one fsync for all of them. Reads go over a
 * connection of their own in the owner's thread, which sees whole commits only and never waits for
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "store/backend.h"
#include "store/sqlite_table.h"

#define DEFAULT_PROBE_MS 1000
#define DEFAULT_FREE_KIB 8192
#define BATCH_MAX 1024

typedef struct {
    Store *store;
    char *path;
    int lock_fd;
    SqliteTable *writer;
    SqliteTable *reader;
    GThread *thread;
    GAsyncQueue *queue; /* of Pending; `stop` ends */
    Pending stop;
    StoreSqliteOptions options;
    /* Of the writer's thread. */
    int64_t revision;
    GError *health; /* NULL: writing works */
    bool damaged;
} Sqlite;

static GError *unwritable(const Sqlite *sqlite, const GError *cause)
{
    GError *error = NULL;
    const char *remedy =
        sqlite->damaged
            ? "stop the manager, restore the file from a backup (berth-manager --help), start it "
              "again"
            : "make room on its file system, or make it writable; writing is tried again by itself";
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, remedy,
                    "the store %s takes no writes: %s", sqlite->path, cause->message);
    return error;
}

static void set_health(Sqlite *sqlite, GError *health)
{
    g_clear_error(&sqlite->health);
    sqlite->health = health;
    store_health_changed(sqlite->store, health != NULL ? g_error_copy(health) : NULL);
}

static void fail(Pending *pending, const GError *error)
{
    if (pending->error == NULL) {
        pending->error = g_error_copy(error);
    }
    g_clear_pointer(&pending->changes, g_ptr_array_unref);
}

/* One transaction behind its savepoint. False only when the database fails, which ends the batch.
 */
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
    return statvfs(sqlite->path, &vfs) != 0 ||
           (int64_t)(vfs.f_bavail * (vfs.f_frsize / 1024)) >= sqlite->options.probe_free_kib;
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
    if (!sqlite->damaged && has_room(sqlite) && probe(sqlite, NULL)) {
        set_health(sqlite, NULL);
    }
}

/* The next batch; NULL when it is time to try again. `ret_stop` when the store closes after it. */
static GPtrArray *take_batch(Sqlite *sqlite, bool *ret_stop)
{
    Pending *first = sqlite->health == NULL
                         ? g_async_queue_pop(sqlite->queue)
                         : g_async_queue_timeout_pop(
                               sqlite->queue, (guint64)sqlite->options.probe_interval_ms * 1000);
    if (first == NULL) {
        return NULL;
    }
    GPtrArray *batch = g_ptr_array_new();
    for (Pending *next = first; next != NULL;
         next = batch->len < BATCH_MAX ? g_async_queue_try_pop(sqlite->queue) : NULL) {
        if (next == &sqlite->stop) {
            *ret_stop = true;
            break;
        }
        g_ptr_array_add(batch, next);
    }
    return batch;
}

static gpointer write_loop(gpointer data)
{
    Sqlite *sqlite = data;
    bool stop = false;
    while (!stop) {
        GPtrArray *batch = take_batch(sqlite, &stop);
        if (batch == NULL) {
            try_again(sqlite);
        } else if (batch->len > 0) {
            run_batch(sqlite, batch);
        } else {
            g_ptr_array_unref(batch);
        }
    }
    return NULL;
}

static bool get(gpointer backend, const char *key, StoreEntry **ret_entry, int64_t *ret_revision,
                GError **error)
{
    const Sqlite *sqlite = backend;
    if (!sqlite_table_exec(sqlite->reader, "BEGIN", error)) {
        return false;
    }
    bool read = sqlite_table_revision(sqlite->reader, ret_revision, error) &&
                sqlite_table_ops()->lookup(sqlite->reader, key, true, ret_entry, error);
    sqlite_table_exec(sqlite->reader, "COMMIT", NULL);
    return read;
}

static bool range(gpointer backend, const char *prefix, const char *after, unsigned limit,
                  GPtrArray *entries, int64_t *ret_revision, GError **error)
{
    const Sqlite *sqlite = backend;
    if (!sqlite_table_exec(sqlite->reader, "BEGIN", error)) {
        return false;
    }
    bool read = sqlite_table_revision(sqlite->reader, ret_revision, error) &&
                sqlite_table_range(sqlite->reader, prefix, after, limit, entries, error);
    sqlite_table_exec(sqlite->reader, "COMMIT", NULL);
    return read;
}

static void submit(gpointer backend, Pending *pending)
{
    g_async_queue_push(((Sqlite *)backend)->queue, pending);
}

static bool sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return synced;
}

static bool backup(gpointer backend, const char *path, GError **error)
{
    const Sqlite *sqlite = backend;
    if (access(path, F_OK) == 0) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "path", path, "name a new file",
                               "there is something already");
    }
    g_autofree char *directory = g_path_get_dirname(path);
    if (!sqlite_table_copy(sqlite->path, path, error)) {
        unlink(path);
        return false;
    }
    if (!sync_path(path) || !sync_path(directory)) {
        int number = errno;
        unlink(path);
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                               "make room on its file system",
                               "the copy cannot be made durable: %s", g_strerror(number));
    }
    return true;
}

static void sqlite_free(gpointer backend)
{
    Sqlite *sqlite = backend;
    if (sqlite->thread != NULL) {
        g_async_queue_push(sqlite->queue, &sqlite->stop);
        g_thread_join(sqlite->thread);
    }
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

static const BackendOps ops = {get, range, submit, backup, sqlite_free};

/* Held while the store is open; the kernel lets go of it, whatever ends the process. */
static int take_lock(const char *path, GError **error)
{
    g_autofree char *name = g_strconcat(path, ".lock", NULL);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", name,
                        "see that its directory exists and can be written",
                        "cannot open the lock: %s", g_strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char pid[32] = "?";
        ssize_t n = read(fd, pid, sizeof pid - 1);
        pid[MAX(n, 0)] = '\0';
        close(fd);
        berth_error_set(error, BERTH_ERROR_CONFLICT, "path", path, "end that process first",
                        "process %s has this store open", g_strstrip(pid));
        return -1;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        /* A full disk: the lock holds all the same, it only does not say by whom. */
        g_debug("the lock %s does not say who holds it", name);
    }
    return fd;
}

static StoreSqliteOptions with_defaults(const StoreSqliteOptions *options)
{
    StoreSqliteOptions o = options != NULL ? *options : (StoreSqliteOptions){0};
    o.probe_interval_ms = o.probe_interval_ms > 0 ? o.probe_interval_ms : DEFAULT_PROBE_MS;
    o.probe_free_kib = o.probe_free_kib > 0 ? o.probe_free_kib : DEFAULT_FREE_KIB;
    return o;
}

static bool open_all(Sqlite *sqlite, GError **error)
{
    sqlite->lock_fd = take_lock(sqlite->path, error);
    if (sqlite->lock_fd < 0) {
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
    sqlite->path = g_strdup(path);
    sqlite->lock_fd = -1;
    sqlite->queue = g_async_queue_new();
    sqlite->options = with_defaults(options);
    if (!open_all(sqlite, error)) {
        sqlite_free(sqlite);
        return NULL;
    }
    Store *store = store_new(&ops, sqlite->revision, sqlite->options.history_revisions);
    sqlite->store = store;
    g_autoptr(GError) cause = NULL;
    if (!probe(sqlite, &cause)) {
        set_health(sqlite, unwritable(sqlite, cause));
    }
    sqlite->thread = g_thread_new("store", write_loop, sqlite);
    store_set_backend(store, sqlite);
    return store;
}
