#include "cluster/verdicts.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/devices.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"

char *verdicts_amount(const ClusterCore *core, int dim, int64_t amount)
{
    return g_strdup_printf("%" G_GINT64_FORMAT " %s of %s", amount, fleet_dimension_unit(dim),
                           fleet_dimension_name(core, dim));
}

static char *verdict_text(ClusterCore *core, const BerthPlaceRequest *request,
                          const ClusterHost *host, const BerthPlaceVerdict *v)
{
    switch (v->reason) {
    case BERTH_PLACE_CHOSEN:
        return g_strdup("chosen");
    case BERTH_PLACE_CANDIDATE:
        return g_strdup("fits");
    case BERTH_PLACE_DISABLED:
        return g_strdup(host->spec->draining   ? "is being drained"
                        : host->spec->cordoned ? "is cordoned"
                        : host->session == 0   ? "is not connected"
                                               : "has not reported yet");
    case BERTH_PLACE_NOT_ALLOWED:
        return g_strdup("is not the host asked for");
    case BERTH_PLACE_BANNED:
        return g_strdup("is ruled out");
    case BERTH_PLACE_LABEL:
        return g_strdup_printf("has no label %s", rules_label(core, v->label));
    case BERTH_PLACE_RULE: {
        g_autofree char *text = rules_text(rules_rule(core, v->rule));
        return g_strdup_printf("would break %s", text);
    }
    case BERTH_PLACE_LACKS:
        return g_strdup_printf("has no %s", fleet_dimension_name(core, (int)v->dim));
    case BERTH_PLACE_SHORT: {
        g_autofree char *missing = verdicts_amount(core, (int)v->dim, v->missing);
        return g_strdup_printf("lacks %s", missing);
    }
    case BERTH_PLACE_DEVICE: {
        g_autofree char *wanted = devices_demands_text(core, request);
        return g_strdup_printf("lacks %" G_GINT64_FORMAT " device%s for %s", v->missing,
                               v->missing == 1 ? "" : "s", wanted);
    }
    }
    return g_strdup("unknown");
}

/* Sums up why no host took a request: the largest host of the reason that most hosts have. */
typedef struct {
    ClusterCore *core;
    int hosts, disabled, lacking, without_devices;
    uint32_t dim;
    int64_t least_missing;
} Refusal;

static bool count_refusal(const BerthPlaceVerdict *verdict, void *user_data)
{
    Refusal *refusal = user_data;
    refusal->hosts++;
    if (verdict->reason == BERTH_PLACE_DISABLED) {
        refusal->disabled++;
    } else if (verdict->reason == BERTH_PLACE_DEVICE) {
        refusal->without_devices++;
    } else if ((verdict->reason == BERTH_PLACE_LACKS || verdict->reason == BERTH_PLACE_SHORT) &&
               (refusal->lacking++ == 0 || verdict->missing < refusal->least_missing)) {
        refusal->dim = verdict->dim;
        refusal->least_missing = verdict->missing;
    }
    return true;
}

static char *cause_text(ClusterCore *core, const BerthPlaceCause *cause)
{
    switch (cause->reason) {
    case BERTH_PLACE_DISABLED:
        return g_strdup("hosts that take no VMs now");
    case BERTH_PLACE_NOT_ALLOWED:
        return g_strdup("the one host asked for");
    case BERTH_PLACE_LACKS:
    case BERTH_PLACE_SHORT:
        return g_strdup_printf("the room for %s", fleet_dimension_name(core, (int)cause->dim));
    case BERTH_PLACE_LABEL:
        return g_strdup_printf("the host label %s", rules_label(core, cause->label));
    case BERTH_PLACE_RULE:
        return rules_text(rules_rule(core, cause->rule));
    case BERTH_PLACE_DEVICE:
        return g_strdup("the devices that are free");
    default:
        return g_strdup("hosts that are ruled out");
    }
}

/* A refusal that rules or labels have a part in tells the smallest set of causes that leaves no host. */
static bool set_contradiction(ClusterCore *core, const EngineRequest *request, GError **error)
{
    BerthPlaceCause causes[BERTH_PLACE_MAX_CAUSES];
    uint32_t n = 0;
    bool told = false;
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    if (berth_place_conflict(core->place, &request->request, causes, &n) != BERTH_PLACE_OK) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        g_ptr_array_add(texts, cause_text(core, &causes[i]));
        told =
            told || causes[i].reason == BERTH_PLACE_RULE || causes[i].reason == BERTH_PLACE_LABEL;
    }
    if (told) {
        g_autofree char *all = berth_words_join(texts);
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL,
                        n == 1 ? "change it, or make it soft; --explain tells of each host"
                               : "give up one of them; --explain tells of each host",
                        n == 1 ? "no host is left by %s" : "no host is left by these together: %s",
                        all);
    }
    return told;
}

void fleet_refuse(ClusterCore *core, const EngineRequest *request, const ClusterHost *only,
                  GError **error)
{
    if (set_contradiction(core, request, error)) {
        return;
    }
    Refusal refusal = {.core = core};
    berth_place_explain(core->place, &request->request, count_refusal, &refusal);
    if (refusal.hosts == 0) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL,
                        core_asker_bound(core) ? "ask an operator"
                                               : "add one: 'berth host token create'",
                        "the cluster has no hosts");
    } else if (refusal.without_devices > 0) {
        g_autofree char *wanted = devices_demands_text(core, &request->request);
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "accelerators", wanted,
                        "take a smaller size or make room; --explain tells of each host",
                        "no host has devices for %s free, though what is free on several would do",
                        wanted);
    } else if (refusal.lacking > 0) {
        g_autofree char *missing = verdicts_amount(core, (int)refusal.dim, refusal.least_missing);
        g_autofree char *asked =
            g_strdup_printf("%" G_GINT64_FORMAT, request->vector.amount[refusal.dim]);
        g_autofree char *away =
            refusal.disabled == 0
                ? g_strdup("")
                : g_strdup_printf(" (of %d hosts, %d %s not available)", refusal.hosts,
                                  refusal.disabled, refusal.disabled == 1 ? "is" : "are");
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY,
                        fleet_dimension_name(core, (int)refusal.dim), asked,
                        "take a smaller size or make room; --explain tells of each host",
                        "no host has room: %s lacks %s%s",
                        only != NULL ? only->spec->name : "the nearest", missing, away);
    } else {
        g_autofree char *all =
            refusal.hosts == 1
                ? g_strdup("the only host is not available")
                : g_strdup_printf("none of the %d hosts is available", refusal.hosts);
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL,
                        core_asker_bound(core)
                            ? "--explain tells why; ask an operator"
                            : "see 'berth host list'; --explain tells of each host",
                        "%s", all);
    }
}

typedef struct {
    ClusterCore *core;
    Explanation *explanation;
    const ClusterHost *chosen;
    const BerthPlaceRequest *request;
} Explaining;

static bool add_verdict(const BerthPlaceVerdict *verdict, void *user_data)
{
    Explaining *e = user_data;
    const ClusterHost *host = e->core->by_handle->pdata[verdict->host];
    HostVerdict *row = host_verdict_new();
    row->host = g_strdup(host->spec->name);
    row->chosen = e->chosen != NULL ? host == e->chosen : verdict->reason == BERTH_PLACE_CHOSEN;
    row->fits = verdict->reason == BERTH_PLACE_CHOSEN || verdict->reason == BERTH_PLACE_CANDIDATE;
    row->has_score = row->fits;
    row->score = row->fits ? verdict->score : 0;
    row->verdict = row->chosen ? g_strdup("chosen")
                   : verdict->reason == BERTH_PLACE_CHOSEN
                       ? g_strdup("would be chosen now")
                       : verdict_text(e->core, e->request, host, verdict);
    g_ptr_array_add(e->explanation->hosts, row);
    return true;
}

static gint compare_verdicts(gconstpointer a, gconstpointer b)
{
    const HostVerdict *left = *(HostVerdict *const *)a;
    const HostVerdict *right = *(HostVerdict *const *)b;
    return left->chosen != right->chosen ? right->chosen - left->chosen
                                         : strcmp(left->host, right->host);
}

/* With the engine as it shows itself. */
Explanation *verdicts_explain(ClusterCore *core, const char *tenant, const VmSpec *spec,
                              ClusterHost *only, const ClusterHost *chosen)
{
    Explaining explaining = {core, explanation_new(), chosen};
    explaining.explanation->policy =
        spec->policy != PLACE_POLICY_UNSET ? spec->policy : PLACE_POLICY_MOST_FREE;
    explaining.explanation->request = resources_copy(spec->resources);
    EngineRequest request;
    if (fleet_request(core, tenant, spec, only, &request, NULL)) {
        explaining.request = &request.request;
        berth_place_explain(core->place, &request.request, add_verdict, &explaining);
        fleet_request_clear(&request);
    }
    g_ptr_array_sort(explaining.explanation->hosts, compare_verdicts);
    return explaining.explanation;
}

Explanation *fleet_explain(ClusterCore *core, const char *tenant, const VmSpec *spec,
                           ClusterHost *only, const ClusterHost *chosen)
{
    reservations_look(core, spec, true);
    Explanation *explanation = verdicts_explain(core, tenant, spec, only, chosen);
    reservations_look_away(core, spec);
    return explanation;
}
