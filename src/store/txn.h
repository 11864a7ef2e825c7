/*
 * What a transaction is made of, and the one place that carries it out. Private to src/store.
 *
 * Back ends differ in where entries lie, not in what a transaction means: they lend txn_apply a
 * table and it does the rest. No I/O of its own; a StoreTxn has one owner at a time and may cross
 * threads.
 */
#pragma once

#include "store/store.h"

typedef enum {
    TXN_COMPARE_EXISTS,
    TXN_COMPARE_ABSENT,
    TXN_COMPARE_MOD_REVISION,
    TXN_COMPARE_VALUE,
    TXN_COMPARE_REVISION,
} TxnCompareKind;

typedef struct {
    TxnCompareKind kind;
    char *key;
    int64_t revision;
    GBytes *value;
} TxnCompare;

typedef enum {
    TXN_PUT,
    TXN_DELETE,
    TXN_DELETE_PREFIX,
} TxnOpKind;

typedef struct {
    TxnOpKind kind;
    char *key; /* or prefix */
    GBytes *value;
} TxnOp;

struct StoreTxn {
    GArray *compares; /* of TxnCompare */
    GArray *ops;      /* of TxnOp */
    size_t bytes;
    GError *error; /* the first mistake in building it */
};

/* Where the entries lie. Each function may fail with an error, which ends txn_apply. */
typedef struct {
    /* NULL and true if there is none. The value may be left out unless `with_value`. */
    bool (*lookup)(gpointer table, const char *key, bool with_value, StoreEntry **ret_entry,
                   GError **error);
    bool (*write)(gpointer table, const StoreEntry *entry, GError **error);
    bool (*erase)(gpointer table, const char *key, GError **error);
    /* Appends the keys (char *) under the prefix, in order. */
    bool (*list)(gpointer table, const char *prefix, GPtrArray *keys, GError **error);
} TxnTable;

/* What was wrong in building the transaction, or between its operations. */
bool txn_check(const StoreTxn *txn, GError **error);

/*
 * Carries out a transaction that txn_check let through, on a table that is at `revision`. True if
 * there is a result, also that of a failed compare; `ret_changes` (StoreEntry) is what it changed.
 * After an error the table may hold a part of the changes, which the back end rolls back.
 */
bool txn_apply(const StoreTxn *txn, const TxnTable *ops, gpointer table, int64_t revision,
               StoreResult *ret_result, GPtrArray **ret_changes, GError **error);

/* Bounds of keys; of prefixes, which may be empty. `field` names it in the error. */
bool txn_check_key(const char *key, const char *field, GError **error);
bool txn_check_prefix(const char *prefix, const char *field, GError **error);

StoreEntry *store_entry_new(const char *key, GBytes *value, int64_t create_revision,
                            int64_t mod_revision, int64_t version);
StoreEntry *store_entry_copy(const StoreEntry *entry);
size_t store_entry_bytes(const StoreEntry *entry);
