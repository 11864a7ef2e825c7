#include "store/txn.h"

#include <string.h>

#include "base/error.h"

StoreEntry *store_entry_new(const char *key, GBytes *value, int64_t create_revision,
                            int64_t mod_revision, int64_t version)
{
    StoreEntry *entry = g_new(StoreEntry, 1);

    *entry = (StoreEntry){
        .key = g_strdup(key),
        .value = value != NULL ? g_bytes_ref(value) : NULL,
        .create_revision = create_revision,
        .mod_revision = mod_revision,
        .version = version,
    };
    return entry;
}

StoreEntry *store_entry_copy(const StoreEntry *entry)
{
    return store_entry_new(entry->key, entry->value, entry->create_revision, entry->mod_revision,
                           entry->version);
}

void store_entry_free(StoreEntry *entry)
{
    if (entry == NULL) {
        return;
    }
    g_free(entry->key);
    g_clear_pointer(&entry->value, g_bytes_unref);
    g_free(entry);
}

size_t store_entry_bytes(const StoreEntry *entry)
{
    return strlen(entry->key) + (entry->value != NULL ? g_bytes_get_size(entry->value) : 0);
}

static void clear_compare(gpointer data)
{
    TxnCompare *compare = data;

    g_free(compare->key);
    g_clear_pointer(&compare->value, g_bytes_unref);
}

static void clear_op(gpointer data)
{
    TxnOp *op = data;

    g_free(op->key);
    g_clear_pointer(&op->value, g_bytes_unref);
}

StoreTxn *store_txn_new(void)
{
    StoreTxn *txn = g_new0(StoreTxn, 1);

    txn->compares = g_array_new(FALSE, FALSE, sizeof(TxnCompare));
    g_array_set_clear_func(txn->compares, clear_compare);
    txn->ops = g_array_new(FALSE, FALSE, sizeof(TxnOp));
    g_array_set_clear_func(txn->ops, clear_op);
    return txn;
}

void store_txn_free(StoreTxn *txn)
{
    if (txn == NULL) {
        return;
    }
    g_array_unref(txn->compares);
    g_array_unref(txn->ops);
    g_clear_error(&txn->error);
    g_free(txn);
}

unsigned store_txn_ops(const StoreTxn *txn)
{
    return txn->ops->len;
}

size_t store_txn_bytes(const StoreTxn *txn)
{
    return txn->bytes;
}

static bool has_control_character(const char *text)
{
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        if (g_unichar_iscntrl(g_utf8_get_char(p))) {
            return true;
        }
    }
    return false;
}

bool txn_check_prefix(const char *prefix, const char *field, GError **error)
{
    size_t length = strlen(prefix);

    if (!g_utf8_validate_len(prefix, length, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, prefix, "write the key in UTF-8",
                               "the store's keys are UTF-8, and this one is not");
    }
    if (length > STORE_KEY_MAX_BYTES) {
        return berth_error_set(
            error, BERTH_ERROR_INVALID, field, prefix, "use shorter names in the key",
            "a key of %zu bytes is over the store's cap of %d", length, STORE_KEY_MAX_BYTES);
    }
    if (has_control_character(prefix)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, NULL,
                               "leave control characters out of the key",
                               "the store's keys have no control characters, and this one has");
    }
    return true;
}

bool txn_check_key(const char *key, const char *field, GError **error)
{
    if (*key == '\0') {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, "", "name at least a key's start",
                               "an empty %s stands for no key", field);
    }
    return txn_check_prefix(key, field, error);
}

static bool check_value(const char *key, GBytes *value, GError **error)
{
    if (g_bytes_get_size(value) > STORE_VALUE_MAX_BYTES) {
        g_autofree char *size = g_strdup_printf("%zu bytes", g_bytes_get_size(value));

        return berth_error_set(error, BERTH_ERROR_TOO_LARGE, "value", size, "store a smaller value",
                               "the value of key '%s' is over the store's cap of %d bytes", key,
                               STORE_VALUE_MAX_BYTES);
    }
    return true;
}

static bool check_count(unsigned count, const char *what, GError **error)
{
    if (count >= STORE_TXN_MAX_OPS) {
        g_autofree char *text = g_strdup_printf("%u", count + 1);

        return berth_error_set(error, BERTH_ERROR_TOO_LARGE, what, text,
                               "split the work into several transactions",
                               "a transaction carries at most %d %s", STORE_TXN_MAX_OPS, what);
    }
    return true;
}

static bool count_bytes(StoreTxn *txn, const char *key, GBytes *value, GError **error)
{
    size_t total = txn->bytes + strlen(key) + (value != NULL ? g_bytes_get_size(value) : 0);

    if (total > STORE_TXN_MAX_BYTES) {
        g_autofree char *text = g_strdup_printf("%zu bytes", total);

        return berth_error_set(error, BERTH_ERROR_TOO_LARGE, "transaction", text,
                               "split the work into several transactions",
                               "a transaction carries at most %d bytes", STORE_TXN_MAX_BYTES);
    }
    txn->bytes = total;
    return true;
}

static void add_compare(StoreTxn *txn, TxnCompareKind kind, const char *key, int64_t revision,
                        GBytes *value)
{
    TxnCompare compare = {.kind = kind, .key = g_strdup(key), .revision = revision};

    if (txn->error != NULL || !check_count(txn->compares->len, "compares", &txn->error) ||
        (kind != TXN_COMPARE_REVISION && !txn_check_key(key, "key", &txn->error)) ||
        (value != NULL && !check_value(key, value, &txn->error)) ||
        !count_bytes(txn, key, value, &txn->error)) {
        g_free(compare.key);
        return;
    }
    compare.value = value != NULL ? g_bytes_ref(value) : NULL;
    g_array_append_val(txn->compares, compare);
}

void store_txn_compare_exists(StoreTxn *txn, const char *key)
{
    add_compare(txn, TXN_COMPARE_EXISTS, key, 0, NULL);
}

void store_txn_compare_absent(StoreTxn *txn, const char *key)
{
    add_compare(txn, TXN_COMPARE_ABSENT, key, 0, NULL);
}

void store_txn_compare_mod_revision(StoreTxn *txn, const char *key, int64_t mod_revision)
{
    add_compare(txn, TXN_COMPARE_MOD_REVISION, key, mod_revision, NULL);
}

void store_txn_compare_value(StoreTxn *txn, const char *key, GBytes *value)
{
    add_compare(txn, TXN_COMPARE_VALUE, key, 0, value);
}

void store_txn_compare_revision(StoreTxn *txn, int64_t revision)
{
    add_compare(txn, TXN_COMPARE_REVISION, "", revision, NULL);
}

static void add_op(StoreTxn *txn, TxnOpKind kind, const char *key, GBytes *value)
{
    TxnOp op = {.kind = kind, .key = g_strdup(key)};

    if (txn->error != NULL || !check_count(txn->ops->len, "operations", &txn->error) ||
        !txn_check_key(key, kind == TXN_DELETE_PREFIX ? "prefix" : "key", &txn->error) ||
        (value != NULL && !check_value(key, value, &txn->error)) ||
        !count_bytes(txn, key, value, &txn->error)) {
        g_free(op.key);
        return;
    }
    op.value = value != NULL ? g_bytes_ref(value) : NULL;
    g_array_append_val(txn->ops, op);
}

void store_txn_put(StoreTxn *txn, const char *key, GBytes *value)
{
    add_op(txn, TXN_PUT, key, value);
}

void store_txn_put_with_lease(StoreTxn *txn, const char *key, GBytes *value, int64_t lease)
{
    if (txn->error == NULL) {
        g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, lease);

        berth_error_set(&txn->error, BERTH_ERROR_INVALID, "lease", text,
                        "put the key without a lease", "key '%s': this store has no leases", key);
    }
}

void store_txn_delete(StoreTxn *txn, const char *key)
{
    add_op(txn, TXN_DELETE, key, NULL);
}

void store_txn_delete_prefix(StoreTxn *txn, const char *prefix)
{
    add_op(txn, TXN_DELETE_PREFIX, prefix, NULL);
}

/* Two operations on one key would leave its outcome to their order, and etcd refuses it; deletes
 * may overlap. */
static bool overlap(const TxnOp *a, const TxnOp *b)
{
    if (a->kind != TXN_PUT && b->kind != TXN_PUT) {
        return false;
    }
    if (a->kind == TXN_DELETE_PREFIX) {
        return g_str_has_prefix(b->key, a->key);
    }
    if (b->kind == TXN_DELETE_PREFIX) {
        return g_str_has_prefix(a->key, b->key);
    }
    return strcmp(a->key, b->key) == 0;
}

bool txn_check(const StoreTxn *txn, GError **error)
{
    if (txn->error != NULL) {
        g_propagate_error(error, g_error_copy(txn->error));
        return false;
    }
    for (unsigned i = 0; i < txn->ops->len; i++) {
        const TxnOp *a = &g_array_index(txn->ops, TxnOp, i);

        for (unsigned j = i + 1; j < txn->ops->len; j++) {
            const TxnOp *b = &g_array_index(txn->ops, TxnOp, j);

            if (overlap(a, b)) {
                return berth_error_set(error, BERTH_ERROR_INVALID, "key",
                                       a->kind == TXN_PUT ? a->key : b->key,
                                       "write each key once in a transaction",
                                       "two operations of a transaction write the same key");
            }
        }
    }
    return true;
}

static bool compare_holds(const TxnCompare *compare, const StoreEntry *entry, int64_t revision)
{
    switch (compare->kind) {
    case TXN_COMPARE_EXISTS:
        return entry != NULL;
    case TXN_COMPARE_ABSENT:
        return entry == NULL;
    case TXN_COMPARE_MOD_REVISION:
        return (entry != NULL ? entry->mod_revision : 0) == compare->revision;
    case TXN_COMPARE_VALUE:
        return entry != NULL && g_bytes_equal(entry->value, compare->value);
    case TXN_COMPARE_REVISION:
        return revision == compare->revision;
    }
    g_assert_not_reached();
}

/* The index of the first compare that fails, or -1, in `ret_failed`. */
static bool find_failed_compare(const StoreTxn *txn, const TxnTable *ops, gpointer table,
                                int64_t revision, int *ret_failed, GError **error)
{
    for (unsigned i = 0; i < txn->compares->len; i++) {
        const TxnCompare *compare = &g_array_index(txn->compares, TxnCompare, i);
        g_autoptr(StoreEntry) entry = NULL;

        if (compare->kind != TXN_COMPARE_REVISION &&
            !ops->lookup(table, compare->key, compare->kind == TXN_COMPARE_VALUE, &entry, error)) {
            return false;
        }
        if (!compare_holds(compare, entry, revision)) {
            *ret_failed = (int)i;
            return true;
        }
    }
    *ret_failed = -1;
    return true;
}

static bool apply_put(const TxnOp *op, const TxnTable *ops, gpointer table, int64_t revision,
                      GPtrArray *changes, GError **error)
{
    g_autoptr(StoreEntry) old = NULL;
    g_autoptr(StoreEntry) entry = NULL;

    if (!ops->lookup(table, op->key, false, &old, error)) {
        return false;
    }
    entry = store_entry_new(op->key, op->value, old != NULL ? old->create_revision : revision,
                            revision, old != NULL ? old->version + 1 : 1);
    if (!ops->write(table, entry, error)) {
        return false;
    }
    g_ptr_array_add(changes, g_steal_pointer(&entry));
    return true;
}

static bool apply_delete(const char *key, const TxnTable *ops, gpointer table, int64_t revision,
                         GPtrArray *changes, GError **error)
{
    g_autoptr(StoreEntry) old = NULL;

    if (!ops->lookup(table, key, false, &old, error)) {
        return false;
    }
    if (old == NULL) {
        return true;
    }
    if (!ops->erase(table, key, error)) {
        return false;
    }
    g_ptr_array_add(changes, store_entry_new(key, NULL, 0, revision, 0));
    return true;
}

static bool apply_delete_prefix(const TxnOp *op, const TxnTable *ops, gpointer table,
                                int64_t revision, GPtrArray *changes, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

    if (!ops->list(table, op->key, keys, error)) {
        return false;
    }
    for (unsigned i = 0; i < keys->len; i++) {
        if (!apply_delete(keys->pdata[i], ops, table, revision, changes, error)) {
            return false;
        }
    }
    return true;
}

static bool apply_op(const TxnOp *op, const TxnTable *ops, gpointer table, int64_t revision,
                     GPtrArray *changes, GError **error)
{
    switch (op->kind) {
    case TXN_PUT:
        return apply_put(op, ops, table, revision, changes, error);
    case TXN_DELETE:
        return apply_delete(op->key, ops, table, revision, changes, error);
    case TXN_DELETE_PREFIX:
        return apply_delete_prefix(op, ops, table, revision, changes, error);
    }
    g_assert_not_reached();
}

bool txn_apply(const StoreTxn *txn, const TxnTable *ops, gpointer table, int64_t revision,
               StoreResult *ret_result, GPtrArray **ret_changes, GError **error)
{
    g_autoptr(GPtrArray) changes = g_ptr_array_new_with_free_func((GDestroyNotify)store_entry_free);
    int failed = -1;

    if (!find_failed_compare(txn, ops, table, revision, &failed, error)) {
        return false;
    }
    if (failed < 0 && txn->ops->len > 0) {
        revision++;
        for (unsigned i = 0; i < txn->ops->len; i++) {
            if (!apply_op(&g_array_index(txn->ops, TxnOp, i), ops, table, revision, changes,
                          error)) {
                return false;
            }
        }
    }
    *ret_result = (StoreResult){
        .succeeded = failed < 0,
        .failed_compare = failed,
        .revision = revision,
    };
    *ret_changes = g_steal_pointer(&changes);
    return true;
}
