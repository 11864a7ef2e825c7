#include "store/sqlite_table.h"

#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define APPLICATION_ID 0x42725468 /* "BrTh" */
#define BUSY_MS 5000

/* Step i brings a file of format i to i + 1. A released step is never changed. */
static const char *const migrations[] = {
    "CREATE TABLE entries(key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL,"
    " create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL, version INTEGER NOT NULL);"
    "CREATE TABLE meta(name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('revision', 0), ('probe', 0);",
};

typedef enum {
    SQL_GET,
    SQL_GET_META,
    SQL_PUT,
    SQL_DELETE,
    SQL_LIST,
    SQL_RANGE,
    SQL_REVISION,
    SQL_SET_REVISION,
    SQL_PROBE,
    N_SQL,
} Sql;

static const char *const sql_text[N_SQL] = {
    [SQL_GET] = "SELECT value, create_revision, mod_revision, version FROM entries WHERE key = ?1",
    [SQL_GET_META] =
        "SELECT NULL, create_revision, mod_revision, version FROM entries WHERE key = ?1",
    [SQL_PUT] = "INSERT INTO entries VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(key) DO UPDATE SET"
                " value = ?2, create_revision = ?3, mod_revision = ?4, version = ?5",
    [SQL_DELETE] = "DELETE FROM entries WHERE key = ?1",
    [SQL_LIST] = "SELECT key FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key",
    [SQL_RANGE] = ("SELECT key, value, create_revision, mod_revision, version FROM entries"
                   " WHERE key >= ?1 AND key < ?2 AND key > ?3 ORDER BY key LIMIT ?4"),
    [SQL_REVISION] = "SELECT value FROM meta WHERE name = 'revision'",
    [SQL_SET_REVISION] = "UPDATE meta SET value = ?1 WHERE name = 'revision'",
    [SQL_PROBE] = "UPDATE meta SET value = value + 1 WHERE name = 'probe'",
};

struct SqliteTable {
    sqlite3 *db;
    sqlite3_stmt *statements[N_SQL];
    int last_error;
    bool keeps_index;
};

bool sqlite_table_is_damaged(const SqliteTable *table)
{
    return table->last_error == SQLITE_CORRUPT || table->last_error == SQLITE_NOTADB;
}

static const char *remedy_for(int code)
{
    switch (code) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
        return "make room on its file system, and see in the kernel's log that the disk is sound";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "make the file, its directory and its file system writable";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return SQLITE_TABLE_RESTORE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "end the other program that has the file open";
    default:
        return NULL;
    }
}

static bool failed(SqliteTable *table, const char *what, GError **error)
{
    const char *path = sqlite3_db_filename(table->db, "main");
    int code = sqlite3_errcode(table->db);
    if (!sqlite_table_is_damaged(table)) {
        table->last_error = code;
    }
    return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path, remedy_for(code), "%s: %s",
                           what, sqlite3_errmsg(table->db));
}

bool sqlite_table_exec(SqliteTable *table, const char *sql, GError **error)
{
    return sqlite3_exec(table->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           failed(table, "cannot write to the store", error);
}

static bool pragma_value(SqliteTable *table, const char *sql, char **ret_text, GError **error)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(table->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return failed(table, "cannot read the store", error);
    }
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        *ret_text = g_strdup((const char *)sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return step == SQLITE_ROW || failed(table, "cannot read the store", error);
}

static bool pragma_integer(SqliteTable *table, const char *sql, int64_t *ret_value, GError **error)
{
    g_autofree char *text = NULL;
    if (!pragma_value(table, sql, &text, error)) {
        return false;
    }
    *ret_value = g_ascii_strtoll(text, NULL, 10);
    return true;
}

static bool check_ours(SqliteTable *table, const char *path, int64_t *ret_format, GError **error)
{
    int64_t id = 0;
    if (!pragma_integer(table, "PRAGMA application_id", &id, error) ||
        !pragma_integer(table, "PRAGMA user_version", ret_format, error)) {
        return false;
    }
    if (id != APPLICATION_ID) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "path", path,
                               "name the store's own file, or a new one",
                               "this is an SQLite file, but no store of Berth");
    }
    if (*ret_format > (int64_t)G_N_ELEMENTS(migrations)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "path", path,
                               "run the release that wrote it, or a later one",
                               "this store has format %d, this program knows %d", (int)*ret_format,
                               (int)G_N_ELEMENTS(migrations));
    }
    return true;
}

static bool check_whole(SqliteTable *table, const char *path, GError **error)
{
    g_autofree char *verdict = NULL;
    g_autoptr(GError) unreadable = NULL;
    if (!pragma_value(table, "PRAGMA quick_check(1)", &verdict, &unreadable)) {
        verdict = g_strdup(unreadable->message);
    }
    return strcmp(verdict, "ok") == 0 ||
           berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path, SQLITE_TABLE_RESTORE,
                           "the store's file is damaged: %s", verdict);
}

static bool migrate(SqliteTable *table, int64_t format, GError **error)
{
    for (int64_t i = format; i < (int64_t)G_N_ELEMENTS(migrations); i++) {
        g_autofree char *sql = g_strdup_printf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d;"
                                               " PRAGMA user_version = %d; COMMIT;",
                                               migrations[i], APPLICATION_ID, (int)i + 1);
        if (!sqlite_table_exec(table, sql, error)) {
            sqlite_table_exec(table, "ROLLBACK", NULL);
            return false;
        }
    }
    return true;
}

static bool prepare_all(SqliteTable *table, GError **error)
{
    for (int i = 0; i < N_SQL; i++) {
        if (sqlite3_prepare_v3(table->db, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &table->statements[i], NULL) != SQLITE_OK) {
            return failed(table, "cannot read the store", error);
        }
    }
    return true;
}

static SqliteTable *open_file(const char *path, int flags, GError **error)
{
    SqliteTable *table = g_new0(SqliteTable, 1);
    if (sqlite3_open_v2(path, &table->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                        "see that its directory exists and can be written",
                        "cannot open the store: %s", sqlite3_errmsg(table->db));
        sqlite_table_close(table);
        return NULL;
    }
    sqlite3_busy_timeout(table->db, BUSY_MS);
    if (sqlite3_db_readonly(table->db, "main") != 0) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                        "make the file and its file system writable",
                        "cannot open the store: it is read-only");
        sqlite_table_close(table);
        return NULL;
    }
    return table;
}

static bool set_up(SqliteTable *table, const char *path, int64_t max_pages, GError **error)
{
    int64_t format = 0;
    g_autoptr(GError) unreadable = NULL;
    g_autofree char *mode = NULL;
    if (!check_ours(table, path, &format, &unreadable)) {
        if (sqlite_table_is_damaged(table)) {
            return check_whole(table, path, error);
        }
        g_propagate_error(error, g_steal_pointer(&unreadable));
        return false;
    }
    if (!check_whole(table, path, error) ||
        !pragma_value(table, "PRAGMA journal_mode = WAL", &mode, error)) {
        return false;
    }
    if (strcmp(mode, "wal") != 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                               "put the store on a local file system",
                               "its file system cannot carry SQLite's log");
    }
    g_autofree char *settings =
        g_strdup_printf("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000; PRAGMA "
                        "max_page_count = %" G_GINT64_FORMAT,
                        max_pages > 0 ? max_pages : (int64_t)4294967294);
    return sqlite_table_exec(table, settings, error) && migrate(table, format, error);
}

/* With a rollback journal, so that the file is whole in itself when it is closed. */
bool sqlite_table_fill_new(const char *path, GError **error)
{
    SqliteTable *table = open_file(path, SQLITE_OPEN_READWRITE, error);
    bool filled = table != NULL && sqlite_table_exec(table, "PRAGMA synchronous = FULL", error) &&
                  migrate(table, 0, error);
    sqlite_table_close(table);
    return filled;
}

/* Closing leaves the log, emptied, and its index in place: a store whose disk filled up meanwhile
 * has the room already that its index needs, and opens. */
static void keep_index(SqliteTable *table)
{
    int on = 1;
    sqlite3_file_control(table->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    table->keeps_index = true;
}

SqliteTable *sqlite_table_open(const char *path, int64_t max_pages, GError **error)
{
    SqliteTable *table = open_file(path, SQLITE_OPEN_READWRITE, error);
    if (table != NULL) {
        keep_index(table);
    }
    if (table != NULL && (!set_up(table, path, max_pages, error) || !prepare_all(table, error))) {
        g_clear_pointer(&table, sqlite_table_close);
    }
    return table;
}

SqliteTable *sqlite_table_open_reader(const char *path, GError **error)
{
    SqliteTable *table = open_file(path, SQLITE_OPEN_READWRITE, error);
    if (table != NULL &&
        (!sqlite_table_exec(table, "PRAGMA query_only = 1", error) || !prepare_all(table, error))) {
        g_clear_pointer(&table, sqlite_table_close);
    }
    return table;
}

void sqlite_table_close(SqliteTable *table)
{
    if (table != NULL) {
        for (int i = 0; i < N_SQL; i++) {
            sqlite3_finalize(table->statements[i]);
        }
        if (table->keeps_index) {
            sqlite3_exec(table->db, "PRAGMA journal_size_limit = 0", NULL, NULL, NULL);
        }
        sqlite3_close(table->db);
        g_free(table);
    }
}

static void bind_text(sqlite3_stmt *s, int index, const char *text)
{
    sqlite3_bind_text(s, index, text, -1, SQLITE_STATIC);
}

static GBytes *column_bytes(sqlite3_stmt *s, int column)
{
    const void *data = sqlite3_column_blob(s, column);
    return g_bytes_new(data, (gsize)sqlite3_column_bytes(s, column));
}

/* Runs a statement that answers nothing. */
static bool run(SqliteTable *table, sqlite3_stmt *s, GError **error)
{
    int step = sqlite3_step(s);
    bool done = step == SQLITE_DONE || failed(table, "cannot write to the store", error);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return done;
}

static bool lookup(gpointer data, const char *key, bool with_value, StoreEntry **ret_entry,
                   GError **error)
{
    SqliteTable *table = data;
    sqlite3_stmt *s = table->statements[with_value ? SQL_GET : SQL_GET_META];
    bind_text(s, 1, key);
    int step = sqlite3_step(s);
    bool read =
        step == SQLITE_ROW || step == SQLITE_DONE || failed(table, "cannot read the store", error);
    if (read) {
        g_autoptr(GBytes) value = step == SQLITE_ROW && with_value ? column_bytes(s, 0) : NULL;
        *ret_entry = step == SQLITE_ROW
                         ? store_entry_new(key, value, sqlite3_column_int64(s, 1),
                                           sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3))
                         : NULL;
    }
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return read;
}

static bool write_entry(gpointer data, const StoreEntry *entry, GError **error)
{
    SqliteTable *table = data;
    sqlite3_stmt *s = table->statements[SQL_PUT];
    gsize size = 0;
    const void *value = g_bytes_get_data(entry->value, &size);
    bind_text(s, 1, entry->key);
    if (size > 0) {
        sqlite3_bind_blob64(s, 2, value, size, SQLITE_STATIC);
    } else {
        sqlite3_bind_zeroblob(s, 2, 0);
    }
    sqlite3_bind_int64(s, 3, entry->create_revision);
    sqlite3_bind_int64(s, 4, entry->mod_revision);
    sqlite3_bind_int64(s, 5, entry->version);
    return run(table, s, error);
}

static bool erase(gpointer data, const char *key, GError **error)
{
    SqliteTable *table = data;
    bind_text(table->statements[SQL_DELETE], 1, key);
    return run(table, table->statements[SQL_DELETE], error);
}

/* The least text above every key with the prefix: no byte of UTF-8 is 0xff. */
static char *above(const char *prefix)
{
    return g_strconcat(prefix, "\xff", NULL);
}

static bool list(gpointer data, const char *prefix, GPtrArray *keys, GError **error)
{
    SqliteTable *table = data;
    sqlite3_stmt *s = table->statements[SQL_LIST];
    g_autofree char *end = above(prefix);
    bind_text(s, 1, prefix);
    bind_text(s, 2, end);
    int step;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        g_ptr_array_add(keys, g_strdup((const char *)sqlite3_column_text(s, 0)));
    }
    bool read = step == SQLITE_DONE || failed(table, "cannot read the store", error);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return read;
}

const TxnTable *sqlite_table_ops(void)
{
    static const TxnTable ops = {lookup, write_entry, erase, list};
    return &ops;
}

bool sqlite_table_range(SqliteTable *table, const char *prefix, const char *after, unsigned limit,
                        GPtrArray *entries, GError **error)
{
    sqlite3_stmt *s = table->statements[SQL_RANGE];
    g_autofree char *end = above(prefix);
    bind_text(s, 1, prefix);
    bind_text(s, 2, end);
    bind_text(s, 3, after != NULL ? after : "");
    sqlite3_bind_int64(s, 4, limit > 0 ? (int64_t)limit : -1);
    int step;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        g_autoptr(GBytes) value = column_bytes(s, 1);
        g_ptr_array_add(entries,
                        store_entry_new((const char *)sqlite3_column_text(s, 0), value,
                                        sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3),
                                        sqlite3_column_int64(s, 4)));
    }
    bool read = step == SQLITE_DONE || failed(table, "cannot read the store", error);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return read;
}

bool sqlite_table_revision(SqliteTable *table, int64_t *ret_revision, GError **error)
{
    sqlite3_stmt *s = table->statements[SQL_REVISION];
    bool read = sqlite3_step(s) == SQLITE_ROW || failed(table, "cannot read the store", error);
    if (read) {
        *ret_revision = sqlite3_column_int64(s, 0);
    }
    sqlite3_reset(s);
    return read;
}

bool sqlite_table_set_revision(SqliteTable *table, int64_t revision, GError **error)
{
    sqlite3_bind_int64(table->statements[SQL_SET_REVISION], 1, revision);
    return run(table, table->statements[SQL_SET_REVISION], error);
}

bool sqlite_table_probe(SqliteTable *table, GError **error)
{
    return run(table, table->statements[SQL_PROBE], error);
}

bool sqlite_table_copy(const char *from, const char *to, GError **error)
{
    SqliteTable *source = sqlite_table_open_reader(from, error);
    SqliteTable *target = source != NULL ? open_file(to, SQLITE_OPEN_READWRITE, error) : NULL;
    bool copied = false;
    if (target != NULL) {
        sqlite3_backup *backup = sqlite3_backup_init(target->db, "main", source->db, "main");
        int step = backup != NULL ? sqlite3_backup_step(backup, -1) : SQLITE_ERROR;
        sqlite3_backup_finish(backup);
        copied = (step == SQLITE_DONE || failed(target, "cannot copy the store", error)) &&
                 sqlite_table_exec(target, "PRAGMA journal_mode = DELETE", error) &&
                 check_whole(target, to, error);
    }
    sqlite_table_close(target);
    sqlite_table_close(source);
    return copied;
}
