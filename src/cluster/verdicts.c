#include "cluster/verdicts.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/devices.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"

char *verdicts_amount(const ClusterCore *core, int dim, int64_t amount)
{
    g_autofree char *text = fleet_amount_text(dim, amount);
    return g_strdup_printf("%s %s", text, fleet_dimension_name(core, dim));
}

static const char *disabled_text(const ClusterHost *host)
{
    return host->spec->draining   ? "is being drained"
           : host->spec->cordoned ? "is cordoned"
           : host->session == 0   ? "is not connected"
           : !host->reported      ? "has not reported yet"
                                  : "is taken for lost"; /* by a plan */
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
        return g_strdup(disabled_text(host));
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

/* Sums up why no host took a request. The nearest host is the one that lacks the smallest share of what is
 * asked for; hosts that have none of it at all count only where all are so. */
typedef struct {
    const EngineRequest *request;
    const ClusterHost *only; /* the one host asked for, or NULL: no other matters */
    int hosts, disabled, without, lacking, without_devices;
    uint32_t none; /* what a host has none of */
    uint32_t dim;
    int64_t missing;
    double share;
} Refusal;

static void count_lacking(Refusal *refusal, const BerthPlaceVerdict *verdict)
{
    double share = (double)verdict->missing / (double)refusal->request->vector.amount[verdict->dim];
    if (refusal->lacking++ == 0 || share < refusal->share) {
        refusal->dim = verdict->dim;
        refusal->missing = verdict->missing;
        refusal->share = share;
    }
}

static bool count_refusal(const BerthPlaceVerdict *verdict, void *user_data)
{
    Refusal *refusal = user_data;
    if (refusal->only != NULL && verdict->host != refusal->only->place) {
        return true;
    }
    refusal->hosts++;
    if (verdict->reason == BERTH_PLACE_DISABLED) {
        refusal->disabled++;
    } else if (verdict->reason == BERTH_PLACE_DEVICE) {
        refusal->without_devices++;
    } else if (verdict->reason == BERTH_PLACE_LACKS) {
        refusal->without++;
        refusal->none = verdict->dim;
    } else if (verdict->reason == BERTH_PLACE_SHORT) {
        count_lacking(refusal, verdict);
    }
    return true;
}

/* "the room for cpu, of which the nearest lacks 500m". Hosts that other causes rule out first are none. */
static char *room_text(ClusterCore *core, const Refusal *refusal, uint32_t dim)
{
    const char *name = fleet_dimension_name(core, (int)dim);
    g_autofree char *missing = fleet_amount_text((int)dim, refusal->missing);
    return refusal->lacking == 0 || refusal->dim != dim
               ? g_strdup_printf("the room for %s", name)
               : g_strdup_printf("the room for %s, of which the nearest lacks %s", name, missing);
}

static char *cause_text(ClusterCore *core, const BerthPlaceCause *cause, const Refusal *refusal)
{
    switch (cause->reason) {
    case BERTH_PLACE_DISABLED:
        return g_strdup("hosts that take no VMs now");
    case BERTH_PLACE_NOT_ALLOWED:
        return g_strdup("the one host asked for");
    case BERTH_PLACE_LACKS:
    case BERTH_PLACE_SHORT:
        return room_text(core, refusal, cause->dim);
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

/* Only these can be soft: labels of hosts and trust domains never are. */
static bool is_made_rule(ClusterCore *core, const BerthPlaceCause *cause)
{
    return cause->reason == BERTH_PLACE_RULE &&
           rules_rule(core, cause->rule)->kind != RULE_KIND_UNSET;
}

/* A refusal that rules or labels have a part in tells the smallest set of causes that leaves no host. */
static bool set_contradiction(ClusterCore *core, const Refusal *refusal, GError **error)
{
    BerthPlaceCause causes[BERTH_PLACE_MAX_CAUSES];
    uint32_t n = 0;
    bool told = false;
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    if (berth_place_conflict(core->place, &refusal->request->request, causes, &n) !=
        BERTH_PLACE_OK) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        g_ptr_array_add(texts, cause_text(core, &causes[i], refusal));
        told =
            told || causes[i].reason == BERTH_PLACE_RULE || causes[i].reason == BERTH_PLACE_LABEL;
    }
    if (told) {
        g_autofree char *all = berth_words_join(texts);
        const char *remedy = n > 1 ? "give up one of them; --explain tells of each host"
                             : is_made_rule(core, &causes[0])
                                 ? "change it, or make it soft; --explain tells of each host"
                                 : "leave it out; --explain tells of each host";
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL, remedy,
                        n == 1 ? "no host is left by %s" : "no host is left by these together: %s",
                        all);
    }
    return told;
}

/* " (of 4 hosts, 1 is not available)" */
static char *unavailable_text(const Refusal *refusal)
{
    return refusal->disabled == 0
               ? g_strdup("")
               : g_strdup_printf(" (of %d hosts, %d %s not available)", refusal->hosts,
                                 refusal->disabled, refusal->disabled == 1 ? "is" : "are");
}

static void refuse_dimension(ClusterCore *core, const Refusal *refusal, GError **error)
{
    uint32_t dim = refusal->lacking > 0 ? refusal->dim : refusal->none;
    const char *name = fleet_dimension_name(core, (int)dim);
    g_autofree char *asked =
        g_strdup_printf("%" G_GINT64_FORMAT, refusal->request->vector.amount[dim]);
    g_autofree char *away = unavailable_text(refusal);
    const char *host = refusal->only != NULL ? refusal->only->spec->name : NULL;
    if (refusal->lacking > 0) {
        g_autofree char *missing = verdicts_amount(core, (int)dim, refusal->missing);
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, name, asked,
                        "take a smaller size or make room; --explain tells of each host",
                        "no host has room: %s lacks %s%s", host != NULL ? host : "the nearest",
                        missing, away);
    } else if (host != NULL) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, name, asked,
                        "take a size without it, or another host", "host %s has no %s", host, name);
    } else {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, name, asked,
                        "take a size without it, or add a host that has it", "no host has %s%s",
                        name, away);
    }
}

static void refuse_disabled(ClusterCore *core, const Refusal *refusal, GError **error)
{
    bool bound = core_asker_bound(core);
    const char *remedy = bound ? "--explain tells why; ask an operator"
                               : "see 'berth host list'; --explain tells of each host";
    if (refusal->only != NULL) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "host", refusal->only->spec->name,
                        bound ? "leave the host out, or ask an operator"
                              : "leave the host out, or see 'berth host list'",
                        "the host %s", bound ? "is not available" : disabled_text(refusal->only));
    } else if (refusal->hosts == 1) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL, remedy,
                        "the only host is not available");
    } else {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL, remedy,
                        "none of the %d hosts is available", refusal->hosts);
    }
}

void fleet_refuse(ClusterCore *core, const EngineRequest *request, const ClusterHost *only,
                  GError **error)
{
    Refusal refusal = {.request = request, .only = only};
    berth_place_explain(core->place, &request->request, count_refusal, &refusal);
    if (set_contradiction(core, &refusal, error)) {
        return;
    }
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
    } else if (refusal.lacking + refusal.without > 0) {
        refuse_dimension(core, &refusal, error);
    } else {
        refuse_disabled(core, &refusal, error);
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
    int_map_assign(&explaining.explanation->policy_weights, spec->policy_weights);
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
