#include "cluster/explain.h"

/* Rows of one key are alike. */
static char *row_key(const HostVerdict *row)
{
    return g_strdup_printf("%d %a %s", row->fits, row->has_score ? row->score : 0.0, row->verdict);
}

void explanation_fold(Explanation *explanation)
{
    if (explanation == NULL || explanation->hosts->len <= EXPLAIN_EACH_HOST) {
        return;
    }
    g_autoptr(GHashTable) first = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *folded = g_ptr_array_new_with_free_func((GDestroyNotify)host_verdict_free);
    for (guint i = 0; i < explanation->hosts->len; i++) {
        HostVerdict *row = explanation->hosts->pdata[i];
        g_autofree char *key = row_key(row);
        HostVerdict *same = row->chosen ? NULL : g_hash_table_lookup(first, key);
        if (same == NULL) {
            if (!row->chosen) {
                g_hash_table_insert(first, g_steal_pointer(&key), row);
            }
            g_ptr_array_add(folded, row);
            explanation->hosts->pdata[i] = NULL;
            continue;
        }
        same->count++;
        if (same->others->len < EXPLAIN_NAMES) {
            g_ptr_array_add(same->others, g_strdup(row->host));
        }
        host_verdict_free(row);
        explanation->hosts->pdata[i] = NULL;
    }
    g_ptr_array_set_free_func(explanation->hosts, NULL);
    g_ptr_array_unref(explanation->hosts);
    explanation->hosts = folded;
}
