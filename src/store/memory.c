/* The back end for tests and the simulator: a tree in memory. */
#include <string.h>

#include "base/error.h"
#include "base/order.h"
#include "store/backend.h"

typedef struct {
    Store *store;
    GTree *entries; /* key → StoreEntry */
    int64_t revision;
} Memory;

static void entry_free(gpointer entry)
{
    store_entry_free(entry);
}

static bool lookup(gpointer table, const char *key, bool with_value, StoreEntry **ret_entry,
                   GError **error)
{
    const StoreEntry *entry = g_tree_lookup(((Memory *)table)->entries, key);
    *ret_entry = entry != NULL ? store_entry_copy(entry) : NULL;
    return true;
}

static bool write_entry(gpointer table, const StoreEntry *entry, GError **error)
{
    StoreEntry *copy = store_entry_copy(entry);
    g_tree_replace(((Memory *)table)->entries, copy->key, copy);
    return true;
}

static bool erase(gpointer table, const char *key, GError **error)
{
    g_tree_remove(((Memory *)table)->entries, key);
    return true;
}

static bool list(gpointer table, const char *prefix, GPtrArray *keys, GError **error)
{
    const Memory *memory = table;
    for (GTreeNode *n = g_tree_lower_bound(memory->entries, prefix);
         n != NULL && g_str_has_prefix(g_tree_node_key(n), prefix); n = g_tree_node_next(n)) {
        g_ptr_array_add(keys, g_strdup(g_tree_node_key(n)));
    }
    return true;
}

static const TxnTable table_ops = {lookup, write_entry, erase, list};

static bool get(gpointer backend, const char *key, StoreEntry **ret_entry, int64_t *ret_revision,
                GError **error)
{
    *ret_revision = ((const Memory *)backend)->revision;
    return lookup(backend, key, true, ret_entry, error);
}

static bool range(gpointer backend, const char *prefix, const char *after, unsigned limit,
                  GPtrArray *entries, int64_t *ret_revision, GError **error)
{
    const Memory *memory = backend;
    *ret_revision = memory->revision;
    GTreeNode *n = after != NULL ? g_tree_upper_bound(memory->entries, after)
                                 : g_tree_lower_bound(memory->entries, prefix);
    for (; n != NULL && (limit == 0 || entries->len < limit); n = g_tree_node_next(n)) {
        if (g_str_has_prefix(g_tree_node_key(n), prefix)) {
            g_ptr_array_add(entries, store_entry_copy(g_tree_node_value(n)));
        } else if (strcmp(g_tree_node_key(n), prefix) > 0) {
            break;
        }
    }
    return true;
}

static void submit(gpointer backend, Pending *pending)
{
    Memory *memory = backend;
    if (pending->error == NULL && txn_apply(pending->txn, &table_ops, memory, memory->revision,
                                            &pending->result, &pending->changes, &pending->error)) {
        memory->revision = pending->result.revision;
    }
    GPtrArray *done = g_ptr_array_new();
    g_ptr_array_add(done, pending);
    store_finished(memory->store, done);
}

static bool backup(gpointer backend, const char *path, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, NULL,
                           "a store in memory has nothing to copy");
}

static void stop(gpointer backend)
{
}

static void memory_free(gpointer backend)
{
    Memory *memory = backend;
    g_tree_unref(memory->entries);
    g_free(memory);
}

static const BackendOps ops = {get, range, submit, backup, stop, memory_free};

Store *store_memory_new(const StoreMemoryOptions *options)
{
    Memory *memory = g_new0(Memory, 1);
    memory->entries = g_tree_new_full(berth_order_keys, NULL, NULL, entry_free);
    StoreMemoryOptions o = options != NULL ? *options : (StoreMemoryOptions){0};
    memory->store = store_new(&ops, 0, o.history_revisions, o.history_mib);
    store_set_backend(memory->store, memory);
    return memory->store;
}
