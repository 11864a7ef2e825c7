/*
 * The revisioned key-value store: all that the manager must not forget.
 *
 *
 * What it holds
 * =============
 *
 * Keys are UTF-8 strings of 1 to 512 bytes without control characters, ordered by their bytes.
 * Values are bytes, as many as a transaction holds beside the longest key. The store has one
 * revision, an integer that starts at 0 and rises by one with each transaction that succeeds and
 * has at least one operation (also if it finds nothing to delete), and with nothing else; so
 * whoever is the only writer knows the revision of a change before it is written. Each key has
 *
 *     create_revision   of the transaction that made it, since it was last absent
 *     mod_revision      of the transaction that wrote it last
 *     version           how often it was written since it was made: 1, 2, 3, ...
 *
 * A transaction is all or nothing: if every compare holds, every operation is carried out, else
 * none.
 *
 *     g_autoptr(StoreTxn) txn = store_txn_new();
 *     store_txn_compare_absent(txn, "name/vm/acme/web-1");
 *     store_txn_put(txn, "name/vm/acme/web-1", id);
 *     store_txn_put(txn, "vm/acme/01J.../spec", spec);
 *     store_commit(store, g_steal_pointer(&txn), on_committed, self);
 *
 *
 * Durability
 * ==========
 *
 * A transaction is acknowledged (its callback runs, or store_commit_sync returns) only when it
 * would survive the loss of power at that moment. Gets, ranges and watches never show anything less
 * durable than that. Transactions may be submitted without waiting for earlier ones; they are
 * carried out and acknowledged in order of submission. Those that wait together share one write to
 * the disk.
 *
 * A transaction that ends in an error was not carried out, with one exception that no store on a
 * disk can rule out: after an error of BERTH_ERROR_UNAVAILABLE and a crash it may be found written.
 * A caller with later transactions in flight that rest on it gives each store_txn_compare_revision,
 * and they fail too.
 *
 *
 * Health
 * ======
 *
 * A store that cannot write (disk full, read-only file system, input/output error) refuses every
 * transaction with BERTH_ERROR_UNAVAILABLE that says why and what to do; it still answers reads,
 * loses nothing, and tries by itself whether writing works again. A store that finds its file
 * damaged refuses writes until it is opened again with a sound one. store_health and
 * store_set_health_callback tell.
 *
 *
 * Back ends
 * =========
 *
 *     memory   for tests and the simulator; gone with the process
 *     SQLite   the default: one file, no set-up; one process at a time
 *     etcd     (to come) for several managers. Its leases have their place already, see
 *              store_txn_put_with_lease; the caps below are etcd's own.
 *
 * All behave alike: tests/conformance.c holds them to this text.
 *
 *
 * Threading and ownership
 * =======================
 *
 * A Store belongs to the thread that opened it, and every call but store_backup is made there.
 * Callbacks run in the main context that was that thread's default when the store was opened, never
 * from within a call (but store_free), and in order: of two transactions the first submitted, then
 * the watches' views of each revision after the acknowledgement of it. A callback may make any call
 * on the store but store_free.
 *
 * Get and range are synchronous: meant for start, for tools and for tests. They never wait for a
 * write.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_KEY_MAX_BYTES 512
#define STORE_TXN_MAX_OPS 128             /* and as many compares */
#define STORE_TXN_MAX_BYTES (1024 * 1024) /* keys and values of all operations and compares */
#define STORE_VALUE_MAX_BYTES (STORE_TXN_MAX_BYTES - STORE_KEY_MAX_BYTES)

typedef struct Store Store;
typedef struct StoreTxn StoreTxn;
typedef struct StoreWatch StoreWatch;

/* A key as it is, or as a change left it: `value` is NULL in the change that deleted it, where
 * `mod_revision` is that of the deletion and the others are 0. */
typedef struct {
    char *key;
    GBytes *value;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version;
} StoreEntry;

void store_entry_free(StoreEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoreEntry, store_entry_free)

/* Opening and closing
 * =================== */

typedef struct {
    int64_t history_revisions; /* kept for watches [10000] */
    int64_t history_mib;       /* and at most so much of keys and values, in memory [16] */
} StoreMemoryOptions;

/* Zeros and a NULL `options` take the default in brackets. Never fails. */
Store *store_memory_new(const StoreMemoryOptions *options);

typedef struct {
    int64_t history_revisions; /* kept for watches [10000] */
    int64_t history_mib;       /* and at most so much of keys and values, in memory [16] */
    int64_t probe_interval_ms; /* between attempts to write again after a failure [1000] */
    int64_t probe_free_kib; /* room that the file system must have before such an attempt [8192]; at
                               most an eighth of it is asked for */
    int64_t max_pages;      /* caps the file, in pages of 4 KiB, as a full disk would [no cap] */
} StoreSqliteOptions;

/*
 * Opens the database at `path`, which is created if absent (its directory is not), readable by its
 * owner alone; checks it and brings it to the current format. `path`.lock beside it holds the pid
 * of the process that has it open. A file of no bytes is a damaged store, never a new one.
 *
 * Errors: CONFLICT, another process has it open (named); INVALID, a database that is not a store of
 * ours, or one that a newer release wrote; UNAVAILABLE, damaged, not accessible or not writable. A
 * disk that is full does not stop it: the store opens, answers reads and says through its health
 * that it can't write. (For that it leaves `path`-wal, empty, and `path`-shm when it closes. A copy
 * of `path` made by other means than store_backup, without them, needs 64 KiB.)
 */
Store *store_sqlite_open(const char *path, const StoreSqliteOptions *options, GError **error);

/* Carries out what was submitted, runs the callbacks that are still due, here and now, drops the
 * watches and closes. Such a callback may read; what it commits is refused with UNAVAILABLE. */
void store_free(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_free)

/* Reading
 * ======= */

/* The last durable revision. */
int64_t store_revision(Store *store);

/* The key's entry, or NULL in `ret_entry` (and true) if there is none. `ret_revision`, which may be
 * NULL, takes the store's revision at which that is so. */
bool store_get(Store *store, const char *key, StoreEntry **ret_entry, int64_t *ret_revision,
               GError **error);

/* The entries (StoreEntry) whose key starts with `prefix`, in order, past the key `after` if that
 * is not NULL, at most `limit` (0: all). "" is the prefix of all keys. For the next page pass the
 * last key; the pages are one picture only if they have the same revision. */
bool store_range(Store *store, const char *prefix, const char *after, unsigned limit,
                 GPtrArray **ret_entries, int64_t *ret_revision, GError **error);

/* Transactions
 * ============
 *
 * Mistakes in building one (a key or value out of bounds, too many operations, more than
 * STORE_TXN_MAX_BYTES in all, a key that two operations write, of which a put and a delete of its
 * prefix are a case) wait until it is committed and come as the error of that: INVALID or
 * TOO_LARGE. */

StoreTxn *store_txn_new(void);
void store_txn_free(StoreTxn *txn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoreTxn, store_txn_free)

void store_txn_compare_exists(StoreTxn *txn, const char *key);
void store_txn_compare_absent(StoreTxn *txn, const char *key);
/* 0 is the mod_revision of a key that is absent. */
void store_txn_compare_mod_revision(StoreTxn *txn, const char *key, int64_t mod_revision);
void store_txn_compare_value(StoreTxn *txn, const char *key, GBytes *value);
/* The revision of the whole store, just before this transaction. */
void store_txn_compare_revision(StoreTxn *txn, int64_t revision);

void store_txn_put(StoreTxn *txn, const char *key, GBytes *value);
/* The key is deleted when the lease (> 0) ends. No back end has leases yet: the commit fails. */
void store_txn_put_with_lease(StoreTxn *txn, const char *key, GBytes *value, int64_t lease);
void store_txn_delete(StoreTxn *txn, const char *key);
/* All keys that start with `prefix`, which is not empty. */
void store_txn_delete_prefix(StoreTxn *txn, const char *prefix);

/* How much is in it, for callers that split large work. */
unsigned store_txn_ops(const StoreTxn *txn);
size_t store_txn_bytes(const StoreTxn *txn);

typedef struct {
    bool succeeded;     /* every compare held, and the operations were carried out */
    int failed_compare; /* else: the first that did not, counted from 0 in the order of adding; or
                           -1 */
    int64_t revision;   /* of the store after it */
} StoreResult;

/* `result` is NULL if there is an error, and the other way round. A compare that fails is a result,
 * not an error. */
typedef void (*StoreCommitFunc)(const StoreResult *result, const GError *error, gpointer user_data);

/* Takes the transaction over. The callback, which may be NULL, comes exactly once. */
void store_commit(Store *store, StoreTxn *txn, StoreCommitFunc callback, gpointer user_data);

/* The same, waiting: for tools and tests. Earlier transactions are carried out before it, but their
 * callbacks still run from their main context, that is, later. */
bool store_commit_sync(Store *store, StoreTxn *txn, StoreResult *ret_result, GError **error);

/* Watching
 * ======== */

/*
 * What one revision changed under the prefix (`changes`: StoreEntry, at least one, in the order of
 * the operations; a prefix that was deleted in the order of keys). Or an `error`, after which the
 * watch is silent: history that it still had to read was dropped meanwhile, which can happen in a
 * store that others write too (etcd), not in those of today.
 */
typedef void (*StoreWatchFunc)(int64_t revision, const GPtrArray *changes, const GError *error,
                               gpointer user_data);

/*
 * Delivers every change of keys that start with `prefix` ("": all) from `from_revision` on, that
 * one included, in order, none twice and none left out. 0 means from now on. To follow a picture
 * taken by store_range, watch from its revision + 1.
 *
 * The history is bounded (history_revisions, history_mib) and begins when the store is opened.
 * Errors: NOT_FOUND, `from_revision` is not kept; INVALID, the prefix.
 *
 * The watch lives until store_watch_cancel, also after an error, or until store_free.
 */
StoreWatch *store_watch(Store *store, const char *prefix, int64_t from_revision,
                        StoreWatchFunc callback, gpointer user_data, GError **error);

/* No callback comes after this. May be called from a callback. */
void store_watch_cancel(StoreWatch *watch);

/* The oldest revision from which a watch can still start. */
int64_t store_oldest_revision(Store *store);

/* Health and backup
 * ================= */

/* NULL if the store can write; else the error that refuses writes, which is the caller's to free.
 */
GError *store_health(Store *store);

/* `health` as above, borrowed. At most one callback; a NULL callback takes it back. */
typedef void (*StoreHealthFunc)(const GError *health, gpointer user_data);
void store_set_health_callback(Store *store, StoreHealthFunc callback, gpointer user_data);

/*
 * Writes a copy of the store as it is at one revision to the new file `path`, checks it and makes
 * it durable; a copy that fails leaves nothing there. It can be opened with store_sqlite_open. May
 * be called from any thread, and takes as long as copying the file; writes go on meanwhile.
 *
 * Errors: EXISTS, there is something at `path`; UNAVAILABLE, it can't be written; INVALID, a store
 * in memory has nothing to copy.
 */
bool store_backup(Store *store, const char *path, GError **error);
