#include "cluster/explain.h"

#include <string.h>

#include "base/timefmt.h"
#include "cluster/preempt.h"

/* Rows of one key are alike. */
static char *row_key(const HostVerdict *row)
{
    return g_strdup_printf("%d %d %a %s", row->chosen, row->fits, row->has_score ? row->score : 0.0,
                           row->verdict);
}

static void hide_names(const Explanation *explanation)
{
    for (guint i = 0; i < explanation->hosts->len; i++) {
        HostVerdict *row = explanation->hosts->pdata[i];
        g_clear_pointer(&row->host, g_free);
        g_ptr_array_set_size(row->others, 0);
    }
}

void explanation_fold(const ClusterCore *core, Explanation *explanation)
{
    bool hide = core_asker_bound(core);
    if (explanation == NULL || (!hide && explanation->hosts->len <= EXPLAIN_EACH_HOST)) {
        return;
    }
    g_autoptr(GHashTable) first = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *folded = g_ptr_array_new_with_free_func((GDestroyNotify)host_verdict_free);
    for (guint i = 0; i < explanation->hosts->len; i++) {
        HostVerdict *row = explanation->hosts->pdata[i];
        bool alone = row->chosen && !hide;
        g_autofree char *key = row_key(row);
        HostVerdict *same = alone ? NULL : g_hash_table_lookup(first, key);
        if (same == NULL) {
            if (!alone) {
                g_hash_table_insert(first, g_steal_pointer(&key), row);
            }
            g_ptr_array_add(folded, row);
            explanation->hosts->pdata[i] = NULL;
            continue;
        }
        same->count += row->count;
        if (same->others->len < EXPLAIN_NAMES) {
            g_ptr_array_add(same->others, g_strdup(row->host));
        }
        host_verdict_free(row);
        explanation->hosts->pdata[i] = NULL;
    }
    g_ptr_array_set_free_func(explanation->hosts, NULL);
    g_ptr_array_unref(explanation->hosts);
    explanation->hosts = folded;
    if (hide) {
        hide_names(explanation);
    }
}

/* What the victims of a step are weighed by, in the order in which it counts (place/preempt.h). */
typedef struct {
    guint count;
    int64_t priority; /* the highest */
    GArray *since;    /* int64, the oldest first */
} Weight;

static void weight_clear(Weight *weight)
{
    g_clear_pointer(&weight->since, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Weight, weight_clear)

static gint compare_times(gconstpointer a, gconstpointer b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static Weight weigh(const PreemptStep *step)
{
    Weight weight = {.count = step->victims->len,
                     .since = g_array_new(FALSE, FALSE, sizeof(int64_t))};
    for (guint i = 0; i < step->victims->len; i++) {
        const ClusterVm *vm = step->victims->pdata[i];
        weight.priority = MAX(weight.priority, vm->spec->priority);
        g_array_append_val(weight.since, vm->placement->placed_ms);
    }
    g_array_sort(weight.since, compare_times);
    return weight;
}

static const char *vms(guint count)
{
    return count == 1 ? "VM" : "VMs";
}

/* Why the victims of the chosen step are those. */
static char *why_these(const PreemptStep *step, const char *viewer)
{
    g_auto(Weight) weight = weigh(step);
    g_autofree char *victims = preempt_victims(step, viewer);
    g_autofree char *since = berth_time_format(g_array_index(weight.since, int64_t, 0));
    return g_strdup_printf(
        "chosen: takes the place of %s: %u %s, the fewest; priority %" G_GINT64_FORMAT
        "%s, the lowest of those; there since %s, the youngest of those",
        victims, weight.count, vms(weight.count), weight.priority,
        weight.count > 1 ? " at most" : "", since);
}

/* Why these victims are not taken and the chosen ones are; NULL: there is no reason against them, as
 * where the search for the chosen ones was cut short. */
static char *why_not(const PreemptStep *step, const PreemptStep *chosen)
{
    g_auto(Weight) weight = weigh(step), best = weigh(chosen);
    if (weight.count != best.count) {
        return weight.count > best.count
                   ? g_strdup_printf("%u %s, not %u", weight.count, vms(weight.count), best.count)
                   : NULL;
    }
    if (weight.priority != best.priority) {
        return weight.priority > best.priority
                   ? g_strdup_printf("priority %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
                                     weight.priority, best.priority)
                   : NULL;
    }
    for (guint i = 0; i < weight.count; i++) {
        int64_t is = g_array_index(weight.since, int64_t, i);
        int64_t other = g_array_index(best.since, int64_t, i);
        if (is != other) {
            g_autofree char *since = berth_time_format(is);
            g_autofree char *than = berth_time_format(other);
            return is < other ? g_strdup_printf("there since %s, not %s", since, than) : NULL;
        }
    }
    return g_strdup("as good, and the host comes later");
}

static void set_verdict(HostVerdict *row, char *text)
{
    g_free(row->verdict);
    row->verdict = text;
}

/* Whose place it would take on another host. */
static void add_alternative(ClusterCore *core, const char *tenant, const VmSpec *spec,
                            const PreemptStep *chosen, HostVerdict *row)
{
    const ClusterHost *host = find_host(core, row->host, NULL);
    g_autoptr(GPtrArray) steps = host != NULL ? preempt_plan(core, tenant, spec, host, 1) : NULL;
    const PreemptStep *step = steps != NULL ? steps->pdata[0] : NULL;
    if (step == NULL || step->victims->len == 0) {
        return;
    }
    g_autofree char *victims = preempt_victims(step, preempt_viewer(core, tenant));
    g_autofree char *why = why_not(step, chosen);
    set_verdict(row, g_strdup_printf("%s; it could take the place of %s%s%s", row->verdict, victims,
                                     why != NULL ? ": " : "", why != NULL ? why : ""));
}

/* Steps of several VMs on one host. */
static char *why_here(const GPtrArray *steps, const char *host, const char *viewer)
{
    guint count = 0;
    g_autoptr(GPtrArray) victims = g_ptr_array_new();
    for (guint i = 0; i < steps->len; i++) {
        const PreemptStep *step = steps->pdata[i];
        if (strcmp(step->host->spec->name, host) == 0) {
            count++;
            g_ptr_array_extend(victims, step->victims, NULL, NULL);
        }
    }
    g_autofree char *all = preempt_victims(&(PreemptStep){.victims = victims}, viewer);
    return count == 0 ? NULL
                      : g_strdup_printf("chosen for %u of %u VMs%s%s%s", count, steps->len,
                                        victims->len > 0 ? ": takes the place of " : "", all,
                                        victims->len > 0 ? ": for each the fewest, of those the "
                                                           "lowest priority, of those the youngest"
                                                         : "");
}

/* Those that are chosen come first. */
static gint chosen_first(gconstpointer a, gconstpointer b)
{
    const HostVerdict *left = *(HostVerdict *const *)a, *right = *(HostVerdict *const *)b;
    return right->chosen - left->chosen;
}

void explanation_add_preemption(ClusterCore *core, const char *tenant, const VmSpec *spec,
                                const ClusterHost *only, const GPtrArray *steps,
                                Explanation *explanation)
{
    bool alone = steps->len == 1;
    bool each = alone && only == NULL && explanation != NULL &&
                explanation->hosts->len <= EXPLAIN_EACH_HOST;
    const PreemptStep *first = steps->pdata[0];
    const char *viewer = preempt_viewer(core, tenant);
    for (guint i = 0; explanation != NULL && i < explanation->hosts->len; i++) {
        HostVerdict *row = explanation->hosts->pdata[i];
        char *here = !alone ? why_here(steps, row->host, viewer)
                     : strcmp(first->host->spec->name, row->host) == 0 ? why_these(first, viewer)
                                                                       : NULL;
        if (here != NULL) {
            row->chosen = true;
            set_verdict(row, here);
        } else if (each) {
            add_alternative(core, tenant, spec, first, row);
        }
    }
    if (explanation != NULL) {
        g_ptr_array_sort(explanation->hosts, chosen_first); /* which is stable */
    }
}
