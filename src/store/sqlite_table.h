/*
 * The store's tables in an SQLite file: statements, format, checks. Private to src/store.
 *
 *     entries(key, value, create_revision, mod_revision, version)      meta(name, value)
 *
 * The format's number is SQLite's user_version; an older file is brought to the current one at
 * open, step by step; a newer one is refused. application_id tells our files from others.
 *
 * Threading: a SqliteTable is used by one thread at a time.
 */
#pragma once

#include "store/txn.h"

typedef struct SqliteTable SqliteTable;

/* What to do about a damaged file. Its log would be played over the backup. */
#define SQLITE_TABLE_RESTORE                                                                       \
    "stop the manager, move the file, its -wal and its -shm aside, put a backup in its place, "    \
    "start again"

/* Makes, checks and migrates. `max_pages` 0: no cap. */
SqliteTable *sqlite_table_open(const char *path, int64_t max_pages, GError **error);
SqliteTable *sqlite_table_open_reader(const char *path, GError **error);
void sqlite_table_close(SqliteTable *table); /* takes NULL */

bool sqlite_table_exec(SqliteTable *table, const char *sql, GError **error);
const TxnTable *sqlite_table_ops(void); /* for txn_apply, with a SqliteTable */
bool sqlite_table_range(SqliteTable *table, const char *prefix, const char *after, unsigned limit,
                        GPtrArray *entries, GError **error);
bool sqlite_table_revision(SqliteTable *table, int64_t *ret_revision, GError **error);
bool sqlite_table_set_revision(SqliteTable *table, int64_t revision, GError **error);
bool sqlite_table_probe(SqliteTable *table, GError **error);
/* The last error said that the file is damaged. */
bool sqlite_table_is_damaged(const SqliteTable *table);

/* Makes an empty file a store of the current format. */
bool sqlite_table_fill_new(const char *path, GError **error);
/* Makes the empty file `to` a checked copy of `from` as it is at one commit. */
bool sqlite_table_copy(const char *from, const char *to, GError **error);
