#include "cluster/plan.h"

#include <string.h>

#include "base/error.h"
#include "cluster/fleet.h"
#include "cluster/tenants.h"
#include "place/rules.h"

/* More of one size than anybody asks for; the count then says "at least". */
#define MOST_COUNTED 100000

/* Questions are asked of the live engine, so that requests, refusals and rules are those of the live
 * code; what was tried is then rolled back. */
static bool what_if_begin(ClusterCore *core, GError **error)
{
    return berth_place_begin(core->place) == BERTH_PLACE_OK ||
           berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "try again later",
                           "there is no memory to try changes of the fleet");
}

/* A VM that is there, or one that would be. */
typedef struct {
    const ClusterVm *vm; /* NULL: a new one */
    uint32_t host;
    Vector booked;
    uint32_t groups[16], n_groups;
} Piece;

static void put(ClusterCore *core, const Piece *piece)
{
    berth_place_take(core->place, piece->host, piece->booked.amount);
    berth_place_enter(core->place, piece->host, piece->groups, piece->n_groups);
}

static void lift(ClusterCore *core, const Piece *piece)
{
    berth_place_leave(core->place, piece->host, piece->groups, piece->n_groups);
    berth_place_give(core->place, piece->host, piece->booked.amount);
}

static Piece piece_of_vm(const ClusterVm *vm)
{
    Piece piece = {
        .vm = vm, .host = vm->host->place, .booked = vm->booked, .n_groups = vm->n_groups};
    memcpy(piece.groups, vm->groups, sizeof piece.groups);
    return piece;
}

static Piece piece_of_request(const EngineRequest *request, uint32_t host)
{
    Piece piece = {.host = host, .booked = request->vector, .n_groups = request->request.n_groups};
    memcpy(piece.groups, request->groups, sizeof piece.groups);
    return piece;
}

/* Finds a place for a request and puts it there. */
static bool settle(ClusterCore *core, const EngineRequest *request, Piece *ret_piece)
{
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    if (berth_place_find(core->place, &request->request, &decision) != BERTH_PLACE_OK) {
        return false;
    }
    *ret_piece = piece_of_request(request, decision.host);
    put(core, ret_piece);
    return true;
}

static const char *host_name(const ClusterCore *core, uint32_t handle)
{
    return ((const ClusterHost *)core->by_handle->pdata[handle])->spec->name;
}

static ClusterHost *only_host(ClusterCore *core, const VmSpec *spec)
{
    return spec->host != NULL ? g_tree_lookup(core->hosts, spec->host) : NULL;
}

static bool request_of(ClusterCore *core, const Piece *piece, const char *tenant,
                       const VmSpec *spec, EngineRequest *ret_request, GError **error)
{
    return piece->vm != NULL
               ? fleet_request(core, piece->vm->tenant, piece->vm->spec,
                               only_host(core, piece->vm->spec), ret_request, error)
               : fleet_request(core, tenant, spec, only_host(core, spec), ret_request, error);
}

/* All that would be on a host: those that are there and the first `n` of the new ones. */
static GArray *pieces_on(const ClusterHost *host, const GArray *made, guint n)
{
    GArray *pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    for (GTreeNode *v = g_tree_node_first(host->vms); v != NULL; v = g_tree_node_next(v)) {
        Piece piece = piece_of_vm(g_tree_node_value(v));
        g_array_append_val(pieces, piece);
    }
    for (guint i = 0; i < n; i++) {
        const Piece *piece = &g_array_index(made, Piece, i);
        if (piece->host == host->place) {
            g_array_append_vals(pieces, piece, 1);
        }
    }
    return pieces;
}

/* Whether all pieces of a host find a place elsewhere; the fleet is afterwards as it was. */
static bool can_lose(ClusterCore *core, ClusterHost *host, const GArray *pieces, const char *tenant,
                     const VmSpec *spec, GError **error)
{
    g_autoptr(GArray) settled = g_array_new(FALSE, FALSE, sizeof(Piece));
    bool ok = true, enabled = false;
    berth_place_get(core->place, host->place, NULL, NULL, &enabled);
    berth_place_set_enabled(core->place, host->place, false);
    for (guint i = 0; i < pieces->len; i++) {
        lift(core, &g_array_index(pieces, Piece, i));
    }
    for (guint i = 0; i < pieces->len && ok; i++) {
        const Piece *piece = &g_array_index(pieces, Piece, i);
        EngineRequest request;
        Piece there;
        ok = request_of(core, piece, tenant, spec, &request, error);
        if (ok && settle(core, &request, &there)) {
            g_array_append_val(settled, there);
        } else if (ok) {
            ok = false;
            fleet_refuse(core, &request, NULL, error);
            g_prefix_error(error, "without %s, %s would have no place: ", host->spec->name,
                           piece->vm != NULL ? piece->vm->spec->name : "a new VM");
        }
        fleet_request_clear(&request);
    }
    for (guint i = settled->len; i > 0; i--) {
        lift(core, &g_array_index(settled, Piece, i - 1));
    }
    for (guint i = 0; i < pieces->len; i++) {
        put(core, &g_array_index(pieces, Piece, i));
    }
    berth_place_set_enabled(core->place, host->place, enabled);
    return ok;
}

static bool survives_any(ClusterCore *core, const GArray *made, guint n, const char *tenant,
                         const VmSpec *spec, GError **error)
{
    for (GTreeNode *h = g_tree_node_first(core->hosts); h != NULL; h = g_tree_node_next(h)) {
        ClusterHost *host = g_tree_node_value(h);
        g_autoptr(GArray) pieces = pieces_on(host, made, n);
        if (!can_lose(core, host, pieces, tenant, spec, error)) {
            return false;
        }
    }
    return true;
}

/* The most of the new ones with which any host can be lost, by bisection; the rest is lifted. */
static void cut_to_survivable(ClusterCore *core, GArray *made, const char *tenant,
                              const VmSpec *spec, GError **error)
{
    guint good = 0, there = made->len, bad = made->len + 1;
    g_autoptr(GError) first = NULL;
    g_autofree char *last = NULL;
    while (bad - good > 1) {
        guint n = good + (bad - good) / 2;
        for (; there > n; there--) {
            lift(core, &g_array_index(made, Piece, there - 1));
        }
        for (; there < n; there++) {
            put(core, &g_array_index(made, Piece, there));
        }
        g_clear_error(&first);
        if (survives_any(core, made, n, tenant, spec, &first)) {
            good = n;
        } else {
            bad = n;
            g_free(last);
            last = g_strdup(first->message);
        }
    }
    if (good < made->len) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL, NULL, "%s", last);
    }
    g_array_set_size(made, good);
}

/* The most of the new ones that the tenant's quota and credits allow, by bisection. */
static bool cut_to_quota(ClusterCore *core, GArray *made, const char *tenant, const VmSpec *spec,
                         GError **error)
{
    guint good = 0, bad = made->len + 1;
    while (bad - good > 1) {
        guint n = good + (bad - good) / 2;
        if (tenant_allows(core, tenant, spec->resources, n, NULL)) {
            good = n;
        } else {
            bad = n;
        }
    }
    if (good == made->len) {
        return true;
    }
    for (guint i = made->len; i > good; i--) {
        lift(core, &g_array_index(made, Piece, i - 1));
    }
    g_array_set_size(made, good);
    tenant_allows(core, tenant, spec->resources, good + 1, error);
    return false;
}

static GPtrArray *count_by_host(const ClusterCore *core, const GArray *made)
{
    g_autofree int64_t *counts = g_new0(int64_t, core->by_handle->len);
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)host_count_free);
    for (guint i = 0; i < made->len; i++) {
        counts[g_array_index(made, Piece, i).host]++;
    }
    for (guint i = 0; i < core->by_handle->len; i++) {
        if (counts[i] > 0) {
            HostCount *row = host_count_new();
            row->host = g_strdup(host_name(core, i));
            row->count = counts[i];
            g_ptr_array_add(rows, row);
        }
    }
    return rows;
}

PlanFit *plan_fit(ClusterCore *core, const char *tenant, const VmSpec *spec, int64_t survive,
                  GError **error)
{
    EngineRequest request;
    if (!fleet_request(core, tenant, spec, only_host(core, spec), &request, error)) {
        return NULL;
    }
    if (!what_if_begin(core, error)) {
        fleet_request_clear(&request);
        return NULL;
    }
    g_autoptr(GArray) made = g_array_new(FALSE, FALSE, sizeof(Piece));
    g_autoptr(GError) refusal = NULL;
    Piece piece;
    while (made->len < MOST_COUNTED && settle(core, &request, &piece)) {
        g_array_append_val(made, piece);
    }
    PlanFit *plan = plan_fit_new();
    plan->at_least = made->len == MOST_COUNTED;
    if (!plan->at_least) {
        fleet_refuse(core, &request, only_host(core, spec), &refusal);
    }
    g_autoptr(GError) quota = NULL;
    if (!cut_to_quota(core, made, tenant, spec, &quota)) {
        g_clear_error(&refusal);
        refusal = g_steal_pointer(&quota);
        plan->at_least = false;
    }
    if (survive > 0) {
        g_autoptr(GError) bound = NULL;
        cut_to_survivable(core, made, tenant, spec, &bound);
        if (bound != NULL) {
            g_clear_error(&refusal);
            refusal = g_steal_pointer(&bound);
            plan->at_least = false;
        }
    }
    plan->count = made->len;
    plan->refusal = refusal != NULL ? g_strdup(refusal->message) : NULL;
    g_ptr_array_unref(plan->hosts);
    plan->hosts = count_by_host(core, made);
    berth_place_rollback(core->place);
    fleet_request_clear(&request);
    return plan;
}

static int64_t share(const ClusterVm *vm)
{
    return vm->spec->resources->cpu + vm->spec->resources->memory;
}

/* The largest first, since the small ones fit between; then by id. */
static gint largest_first(gconstpointer a, gconstpointer b)
{
    const ClusterVm *left = *(ClusterVm *const *)a, *right = *(ClusterVm *const *)b;
    int64_t x = share(left), y = share(right);
    return x != y ? (x < y ? 1 : -1) : strcmp(left->id, right->id);
}

static GPtrArray *vms_on(const GPtrArray *hosts)
{
    GPtrArray *vms = g_ptr_array_new();
    for (guint i = 0; i < hosts->len; i++) {
        const ClusterHost *host = hosts->pdata[i];
        for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
            g_ptr_array_add(vms, g_tree_node_value(n));
        }
    }
    g_ptr_array_sort(vms, largest_first);
    return vms;
}

static void tell_move(ClusterCore *core, const ClusterVm *vm, const Piece *there, char *why,
                      GPtrArray *moves)
{
    PlannedMove *move = planned_move_new();
    move->vm = g_strdup(vm->spec->name);
    move->from = g_strdup(vm->host->spec->name);
    move->to = there != NULL ? g_strdup(host_name(core, there->host)) : NULL;
    move->why = why;
    g_ptr_array_add(moves, move);
}

/* One VM to where it would go. A drained host has it until then, so its rules count at both ends. */
static void move_one(ClusterCore *core, const ClusterVm *vm, bool drain, PlanMoves *plan)
{
    g_autoptr(GError) error = NULL;
    Piece from = piece_of_vm(vm), there;
    EngineRequest request;
    if (!fleet_request(core, vm->tenant, vm->spec, only_host(core, vm->spec), &request, &error)) {
        tell_move(core, vm, NULL, g_strdup(error->message), plan->without_place);
        return;
    }
    if (settle(core, &request, &there)) {
        tell_move(core, vm, &there, NULL, plan->moves);
        if (drain) {
            lift(core, &from);
        }
    } else {
        fleet_refuse(core, &request, only_host(core, vm->spec), &error);
        tell_move(core, vm, NULL, g_strdup(error->message), plan->without_place);
    }
    fleet_request_clear(&request);
}

PlanMoves *plan_moves(ClusterCore *core, const GPtrArray *hosts, bool drain, GError **error)
{
    if (!what_if_begin(core, error)) {
        return NULL;
    }
    PlanMoves *plan = plan_moves_new();
    g_autoptr(GPtrArray) vms = vms_on(hosts);
    for (guint i = 0; i < hosts->len; i++) {
        berth_place_set_enabled(core->place, ((const ClusterHost *)hosts->pdata[i])->place, false);
    }
    for (guint i = 0; i < vms->len && !drain; i++) {
        Piece piece = piece_of_vm(vms->pdata[i]);
        lift(core, &piece);
    }
    for (guint i = 0; i < vms->len; i++) {
        move_one(core, vms->pdata[i], drain, plan);
    }
    berth_place_rollback(core->place);
    return plan;
}
