#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "conformance.h"

static Store *open_in(const char *directory, const StoreSqliteOptions *options, GError **error)
{
    g_autofree char *path = g_build_filename(directory, "store.db", NULL);
    return store_sqlite_open(path, options, error);
}

static Store *open_sqlite(const char *directory, int64_t history_revisions)
{
    g_autoptr(GError) error = NULL;
    StoreSqliteOptions options = {.history_revisions = history_revisions};
    Store *store = open_in(directory, &options, &error);
    g_assert_no_error(error);
    return store;
}

static const Backend sqlite = {"sqlite", open_sqlite};

static void reopen(Fixture *fixture)
{
    g_clear_pointer(&fixture->store, store_free);
    fixture->store = open_sqlite(fixture->directory, 0);
}

/* Opening must end in an error of `code` whose text names `word`. */
static void must_not_open(const Fixture *fixture, int code, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(open_in(fixture->directory, NULL, &error));
    g_assert_error(error, BERTH_ERROR, code);
    g_autofree char *text = berth_error_describe(error);
    g_assert_nonnull(berth_error_remedy(error));
    g_assert_nonnull(strstr(text, "store.db"));
    if (strstr(text, word) == NULL) {
        g_test_fail_printf("'%s' does not name '%s'", text, word);
    }
}

static char *path_in(const Fixture *fixture, const char *name)
{
    return g_build_filename(fixture->directory, name, NULL);
}

static void sql(const Fixture *fixture, const char *text)
{
    sqlite3 *db = NULL;
    g_autofree char *path = path_in(fixture, "store.db");
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, text, NULL, NULL, NULL), ==, SQLITE_OK);
    sqlite3_close(db);
}

static void remembers(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    must_commit(fixture.store, txn_put("key", "a"));
    must_commit(fixture.store, txn_put("key", "b"));
    must_commit(fixture.store, txn_put("other", "c"));
    reopen(&fixture);
    g_autofree char *all = picture(fixture.store, "");
    g_autoptr(StoreEntry) entry = NULL;
    g_assert_cmpstr(all, ==, "key=b other=c");
    g_assert_cmpint(store_revision(fixture.store), ==, 3);
    g_assert_true(store_get(fixture.store, "key", &entry, NULL, NULL));
    g_assert_cmpint(entry->create_revision, ==, 1);
    g_assert_cmpint(entry->mod_revision, ==, 2);
    g_assert_cmpint(entry->version, ==, 2);
    g_assert_cmpint(store_oldest_revision(fixture.store), ==, 4);
    g_assert_null(store_watch(fixture.store, "", 3, NULL, NULL, NULL));
    g_assert_cmpint(must_commit(fixture.store, txn_put("key", "d")), ==, 4);
    fixture_close(&fixture);
}

static void is_its_owners_alone(void)
{
    Fixture fixture;
    GStatBuf file, log;
    fixture_open(&fixture, &sqlite, 0);
    must_commit(fixture.store, txn_put("key", "a"));
    g_autofree char *path = path_in(&fixture, "store.db");
    g_autofree char *log_path = path_in(&fixture, "store.db-wal");
    g_assert_cmpint(g_stat(path, &file), ==, 0);
    g_assert_cmpint(g_stat(log_path, &log), ==, 0);
    g_assert_cmpint(file.st_mode & 0777, ==, 0600);
    g_assert_cmpint(log.st_mode & 0777, ==, 0600);
    fixture_close(&fixture);
}

static void one_process_at_a_time(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
    must_not_open(&fixture, BERTH_ERROR_CONFLICT, pid);
    must_commit(fixture.store, txn_put("key", "a"));
    reopen(&fixture);
    fixture_close(&fixture);
}

static void links_lead_to_one_lock(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    g_autofree char *link = path_in(&fixture, "link.db");
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(symlink("store.db", link), ==, 0);
    g_assert_null(store_sqlite_open(link, NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_clear_pointer(&fixture.store, store_free);
    fixture.store = store_sqlite_open(link, NULL, NULL);
    must_not_open(&fixture, BERTH_ERROR_CONFLICT, "process");
    fixture_close(&fixture);
}

/* What a holder leaves that found no room for its pid. */
static void a_lock_may_not_say_whose(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    g_autofree char *lock = path_in(&fixture, "store.db.lock");
    g_assert_cmpint(truncate(lock, 0), ==, 0);
    must_not_open(&fixture, BERTH_ERROR_CONFLICT, "another process has");
    fixture_close(&fixture);
}

/* So that a backup put in its place has no log of another store played over it. */
static void closing_empties_the_log(void)
{
    Fixture fixture;
    GStatBuf log;
    fixture_open(&fixture, &sqlite, 0);
    must_commit(fixture.store, txn_put("key", "old"));
    g_autofree char *path = path_in(&fixture, "store.db");
    g_autofree char *log_path = path_in(&fixture, "store.db-wal");
    g_autofree char *copy = path_in(&fixture, "copy.db");
    g_assert_true(store_backup(fixture.store, copy, NULL));
    must_commit(fixture.store, txn_put("key", "new"));
    must_commit(fixture.store, txn_put("other", "new"));
    g_clear_pointer(&fixture.store, store_free);
    g_assert_true(g_stat(log_path, &log) != 0 || log.st_size == 0);
    g_assert_cmpint(g_rename(copy, path), ==, 0);
    fixture.store = open_sqlite(fixture.directory, 0);
    g_autofree char *all = picture(fixture.store, "");
    g_assert_cmpstr(all, ==, "key=old");
    fixture_close(&fixture);
}

static void a_killed_creation_is_begun_again(void)
{
    Fixture fixture = {.directory = fixture_directory_new()};
    g_autofree char *left = path_in(&fixture, "store.db.new");
    g_autofree char *journal = path_in(&fixture, "store.db.new-journal");
    g_assert_true(g_file_set_contents(left, "half", -1, NULL));
    g_assert_true(g_file_set_contents(journal, "half", -1, NULL));
    fixture.store = open_sqlite(fixture.directory, 0);
    must_commit(fixture.store, txn_put("key", "a"));
    g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test(journal, G_FILE_TEST_EXISTS));
    fixture_close(&fixture);
}

static void refuses_what_is_not_ours(void)
{
    Fixture fixture = {.directory = fixture_directory_new()};
    g_autofree char *path = path_in(&fixture, "store.db");
    sql(&fixture, "CREATE TABLE theirs(x)");
    must_not_open(&fixture, BERTH_ERROR_INVALID, "no store of Berth");
    g_assert_true(g_file_set_contents(path, "this is a letter to my mother", -1, NULL));
    must_not_open(&fixture, BERTH_ERROR_UNAVAILABLE, "damaged");
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "this is a letter to my mother");
    fixture_close(&fixture);
}

static void refuses_a_newer_format(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    g_clear_pointer(&fixture.store, store_free);
    sql(&fixture, "PRAGMA user_version = 99");
    must_not_open(&fixture, BERTH_ERROR_INVALID, "format 99");
    sql(&fixture, "PRAGMA user_version = 1");
    reopen(&fixture);
    fixture_close(&fixture);
}

static void refuses_a_place_that_is_none(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(store_sqlite_open("/nowhere/at/all/store.db", NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(berth_error_remedy(error));
}

/* SQLite alone would make a new database of either. */
static void never_takes_an_empty_file_for_a_new_one(void)
{
    Fixture fixture = {.directory = fixture_directory_new()};
    g_autofree char *path = path_in(&fixture, "store.db");
    g_autofree char *log = path_in(&fixture, "store.db-wal");
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    must_not_open(&fixture, BERTH_ERROR_UNAVAILABLE, "empty");
    g_unlink(path);
    g_assert_true(g_file_set_contents(log, "x", 1, NULL));
    must_not_open(&fixture, BERTH_ERROR_UNAVAILABLE, "missing");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    fixture_close(&fixture);
}

static void fill(Store *store, int count)
{
    g_autofree char *text = g_strnfill(2000, 'v');
    for (int i = 0; i < count; i++) {
        g_autofree char *key = g_strdup_printf("key/%03d", i);
        must_commit(store, txn_put(key, text));
    }
}

/* Writes rubbish over every page from the second on. */
static void damage(const Fixture *fixture)
{
    g_autofree char *path = path_in(fixture, "store.db");
    g_autofree char *rubbish = g_strnfill(4096, '\x5a');
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    g_assert_cmpint(size, >, 4 * 4096);
    for (off_t at = 4096; at < size; at += 4096) {
        g_assert_cmpint(pwrite(fd, rubbish, 4096, at), ==, 4096);
    }
    close(fd);
}

static void says_that_it_is_damaged_when_opened(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    fill(fixture.store, 50);
    g_clear_pointer(&fixture.store, store_free);
    damage(&fixture);
    must_not_open(&fixture, BERTH_ERROR_UNAVAILABLE, "damaged");
    must_not_open(&fixture, BERTH_ERROR_UNAVAILABLE, "backup");
    fixture_close(&fixture);
}

typedef struct {
    int bad, good; /* how often it was told */
} Health;

static void on_health(const GError *health, gpointer data)
{
    Health *seen = data;
    if (health != NULL) {
        g_assert_error(health, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
        g_assert_nonnull(berth_error_remedy(health));
        seen->bad++;
    } else {
        seen->good++;
    }
}

/* A page that only a read comes upon: writes are refused too, and stay so. */
static void refuses_writes_once_a_read_found_damage(void)
{
    Fixture fixture;
    Health seen = {0};
    fixture_open(&fixture, &sqlite, 0);
    fill(fixture.store, 50);
    g_clear_pointer(&fixture.store, store_free); /* the log goes into the file */
    StoreSqliteOptions options = {.probe_interval_ms = 10};
    fixture.store = open_in(fixture.directory, &options, NULL);
    store_set_health_callback(fixture.store, on_health, &seen);
    turn();
    damage(&fixture);
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_false(store_range(fixture.store, "", NULL, 0, &entries, NULL, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    turn_until(&seen.bad, 1);
    must_fail(fixture.store, txn_put("key", "x"), BERTH_ERROR_UNAVAILABLE);
    g_usleep(100 * 1000);
    must_fail(fixture.store, txn_put("key", "x"), BERTH_ERROR_UNAVAILABLE);
    turn();
    g_assert_cmpint(seen.good, ==, 0);
    fixture_close(&fixture);
}

/* Commits until one is refused; how many were acknowledged. */
static int commit_until_full(Store *store, GError **error)
{
    g_autofree char *text = g_strnfill(4000, 'v');
    for (int i = 0;; i++) {
        g_autofree char *key = g_strdup_printf("key/%d", i);
        g_assert_cmpint(i, <, 100000);
        if (!store_commit_sync(store, txn_put(key, text), NULL, error)) {
            return i;
        }
    }
}

static void check_full(Fixture *fixture, int acknowledged)
{
    g_autoptr(GPtrArray) entries = NULL;
    g_autoptr(GError) error = NULL;
    int64_t revision = 0;
    g_assert_true(store_range(fixture->store, "", NULL, 0, &entries, &revision, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(entries->len, ==, (guint)acknowledged);
    g_assert_cmpint(revision, ==, acknowledged);
    g_assert_cmpint(store_revision(fixture->store), ==, acknowledged);
}

static void survives_a_full_disk(void)
{
    Fixture fixture = {.directory = fixture_directory_new()};
    g_autoptr(GError) error = NULL;
    StoreSqliteOptions options = {.max_pages = 100, .probe_interval_ms = 60000};
    Health seen = {0};
    fixture.store = open_in(fixture.directory, &options, NULL);
    store_set_health_callback(fixture.store, on_health, &seen);
    int acknowledged = commit_until_full(fixture.store, &error);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, "full"));
    g_assert_nonnull(strstr(berth_error_remedy(error), "make room"));
    g_autoptr(GError) health = store_health(fixture.store);
    g_assert_error(health, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    must_fail(fixture.store, txn_put("small", "x"), BERTH_ERROR_UNAVAILABLE);
    check_full(&fixture, acknowledged);
    turn_until(&seen.bad, 1);
    g_assert_cmpint(seen.bad, ==, 1);
    reopen(&fixture);
    check_full(&fixture, acknowledged);
    must_commit(fixture.store, txn_put("small", "x"));
    fixture_close(&fixture);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = bytes;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

static void on_tried(const StoreResult *result, const GError *error, gpointer data)
{
    if (error != NULL) {
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    }
}

static gboolean keep_trying(gpointer data)
{
    Fixture *fixture = data;
    store_commit(fixture->store, txn_put("key/0", "again"), on_tried, NULL);
    return G_SOURCE_CONTINUE;
}

/* Write errors from below SQLite, which end; and clients that do not let go meanwhile. */
static void heals_by_itself_under_load(void)
{
    Fixture fixture = {.directory = fixture_directory_new()};
    g_autoptr(GError) error = NULL;
    StoreSqliteOptions options = {.probe_interval_ms = 200, .probe_free_kib = 1};
    Health seen = {0};
    signal(SIGXFSZ, SIG_IGN);
    fixture.store = open_in(fixture.directory, &options, NULL);
    store_set_health_callback(fixture.store, on_health, &seen);
    limit_file_size(300 * 1024);
    int acknowledged = commit_until_full(fixture.store, &error);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    turn_until(&seen.bad, 1);
    check_full(&fixture, acknowledged);
    limit_file_size(RLIM_INFINITY);
    guint trying = g_timeout_add(5, keep_trying, &fixture);
    turn_until(&seen.good, 1);
    g_source_remove(trying);
    must_commit(fixture.store, txn_put("after", "x"));
    reopen(&fixture);
    g_autofree char *after = value_of(fixture.store, "after");
    g_assert_cmpstr(after, ==, "x");
    fixture_close(&fixture);
}

static gpointer back_up(gpointer data)
{
    Fixture *fixture = data;
    g_autofree char *path = path_in(fixture, "copy.db");
    g_autoptr(GError) error = NULL;
    g_assert_true(store_backup(fixture->store, path, &error));
    g_assert_no_error(error);
    return NULL;
}

/* The copy is the store at one revision: in each transaction the two keys have the same value. */
static void backs_up_while_it_writes(void)
{
    Fixture fixture;
    fixture_open(&fixture, &sqlite, 0);
    fill(fixture.store, 200);
    GThread *thread = g_thread_new("backup", back_up, &fixture);
    for (int i = 0; i < 200; i++) {
        g_autofree char *text = g_strdup_printf("%d", i);
        g_autoptr(GBytes) value = text_bytes(text);
        StoreTxn *txn = store_txn_new();
        store_txn_put(txn, "a", value);
        store_txn_put(txn, "z", value);
        must_commit(fixture.store, txn);
    }
    g_thread_join(thread);
    g_autofree char *path = path_in(&fixture, "copy.db");
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) copy = store_sqlite_open(path, NULL, &error);
    g_assert_no_error(error);
    g_autofree char *a = value_of(copy, "a");
    g_autofree char *z = value_of(copy, "z");
    g_autofree char *filled = value_of(copy, "key/199");
    g_assert_cmpstr(a, ==, z);
    g_assert_nonnull(filled);
    g_assert_cmpint(store_revision(copy), >=, 200);
    g_clear_pointer(&copy, store_free);
    fixture_close(&fixture);
}

static void a_failed_backup_leaves_nothing(void)
{
    Fixture fixture;
    g_autoptr(GError) exists = NULL;
    g_autoptr(GError) nowhere = NULL;
    g_autoptr(GError) full = NULL;
    fixture_open(&fixture, &sqlite, 0);
    fill(fixture.store, 50);
    g_autofree char *taken = path_in(&fixture, "store.db.lock");
    g_autofree char *path = path_in(&fixture, "copy.db");
    g_assert_false(store_backup(fixture.store, taken, &exists));
    g_assert_error(exists, BERTH_ERROR, BERTH_ERROR_EXISTS);
    g_assert_false(store_backup(fixture.store, "/nowhere/copy.db", &nowhere));
    g_assert_error(nowhere, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(64 * 1024);
    g_assert_false(store_backup(fixture.store, path, &full));
    limit_file_size(RLIM_INFINITY);
    g_assert_error(full, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
    g_clear_pointer(&fixture.store, store_free);
    g_autoptr(GDir) dir = g_dir_open(fixture.directory, 0, NULL);
    int files = 0;
    while (g_dir_read_name(dir) != NULL) {
        files++;
    }
    g_assert_cmpint(files, ==, 4); /* the store, its lock, log and index */
    fixture_close(&fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conformance_add(&sqlite);
    conformance_add_watches(&sqlite);
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"remembers", remembers},
        {"is-its-owners-alone", is_its_owners_alone},
        {"one-process-at-a-time", one_process_at_a_time},
        {"links-lead-to-one-lock", links_lead_to_one_lock},
        {"a-lock-may-not-say-whose", a_lock_may_not_say_whose},
        {"closing-empties-the-log", closing_empties_the_log},
        {"a-killed-creation-is-begun-again", a_killed_creation_is_begun_again},
        {"refuses-what-is-not-ours", refuses_what_is_not_ours},
        {"refuses-a-newer-format", refuses_a_newer_format},
        {"refuses-a-place-that-is-none", refuses_a_place_that_is_none},
        {"never-takes-an-empty-file-for-a-new-one", never_takes_an_empty_file_for_a_new_one},
        {"says-that-it-is-damaged-when-opened", says_that_it_is_damaged_when_opened},
        {"refuses-writes-once-a-read-found-damage", refuses_writes_once_a_read_found_damage},
        {"survives-a-full-disk", survives_a_full_disk},
        {"heals-by-itself-under-load", heals_by_itself_under_load},
        {"backs-up-while-it-writes", backs_up_while_it_writes},
        {"a-failed-backup-leaves-nothing", a_failed_backup_leaves_nothing},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/store/sqlite/%s", cases[i].name);
        g_test_add_func(path, cases[i].run);
    }
    return g_test_run();
}
