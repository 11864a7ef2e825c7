#include <string.h>

#include "base/error.h"
#include "cluster/commands.h"
#include "cluster/plan.h"
#include "cluster/rules.h"
#include "cluster/spec.h"
#include "cluster/txn.h"

static bool check_plain_policy(PlacePolicy policy, GError **error)
{
    return policy != PLACE_POLICY_MIX ||
           berth_error_set(error, BERTH_ERROR_INVALID, "policy", "mix",
                           "name one of the policies that it weighs", "a mix needs weights");
}

bool get_plan_fit(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const GetPlanFitQuery *query = request->query;
    const Size *size = find_size(core, query->size, error);
    if (size == NULL || !check_plain_policy(query->policy, error)) {
        return false;
    }
    g_autoptr(VmSpec) spec = spec_of_size(size);
    spec->name = g_strdup("(new)"); /* no VM has such a name, so no rule speaks of it */
    spec->policy = query->policy != PLACE_POLICY_UNSET ? query->policy : PLACE_POLICY_MOST_FREE;
    if (query->app != NULL) {
        const ClusterApp *app = find_app(core, request->principal.tenant, query->app, error);
        if (app == NULL) {
            return false;
        }
        spec->app = g_strdup(app->id);
    }
    g_autoptr(PlanFit) plan =
        plan_fit(core, request->principal.tenant, spec, query->survive, error);
    if (plan == NULL) {
        return false;
    }
    reply_object(core, request->id, 200, &plan_fit_type, plan, -1);
    return true;
}

/* Adds the hosts of a list of names and ids, each once. */
static bool add_named(ClusterCore *core, const char *list, GPtrArray *hosts, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, ",", -1);
    for (guint i = 0; names[i] != NULL; i++) {
        ClusterHost *host = find_host(core, names[i], error);
        if (host == NULL) {
            return false;
        }
        if (!g_ptr_array_find(hosts, host, NULL)) {
            g_ptr_array_add(hosts, host);
        }
    }
    return true;
}

static bool add_labelled(ClusterCore *core, const char *label, GPtrArray *hosts, GError **error)
{
    const char *equals = strchr(label, '=');
    g_autofree char *key = g_strndup(label, (gsize)(equals - label));
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        if (g_strcmp0(string_map_get(host->spec->labels, key), equals + 1) == 0) {
            g_ptr_array_add(hosts, host);
        }
    }
    return hosts->len > 0 ||
           berth_error_set(error, BERTH_ERROR_NOT_FOUND, "hosts", label,
                           "see the labels with 'berth host show NAME'", "no host has this label");
}

/* The hosts that a text means: hosts by name or id, or all with a label KEY=VALUE. */
static GPtrArray *hosts_meant(ClusterCore *core, const char *what, GError **error)
{
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    bool found = strchr(what, '=') == NULL ? add_named(core, what, hosts, error)
                                           : add_labelled(core, what, hosts, error);
    return found ? g_steal_pointer(&hosts) : NULL;
}

static bool reply_moves(ClusterCore *core, const ClusterRequest *request, const char *what,
                        bool drain, GError **error)
{
    g_autoptr(GPtrArray) hosts = hosts_meant(core, what, error);
    g_autoptr(PlanMoves) plan = hosts != NULL ? plan_moves(core, hosts, drain, error) : NULL;
    if (plan == NULL) {
        return false;
    }
    reply_object(core, request->id, 200, &plan_moves_type, plan, -1);
    return true;
}

bool get_plan_lose(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const GetPlanLoseQuery *query = request->query;
    return reply_moves(core, request, query->hosts, false, error);
}

bool get_plan_drain(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const GetPlanDrainQuery *query = request->query;
    return reply_moves(core, request, query->hosts, true, error);
}
