#include "cluster/plan.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/tenants.h"
#include "place/rules.h"

/* More of one size than anybody asks for; the count then says "at least". */
#define MOST_COUNTED 100000

/* Sets of hosts whose loss is tried. */
#define MOST_LOSSES 5000

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
    Holdings holdings;
} Piece;

static const ClusterHost *host_of(const ClusterCore *core, const Piece *piece)
{
    return core->by_handle->pdata[piece->host];
}

static void put(ClusterCore *core, const Piece *piece)
{
    devices_take(core, host_of(core, piece), &piece->holdings);
    berth_place_take(core->place, piece->host, piece->booked.amount);
    berth_place_enter(core->place, piece->host, piece->groups, piece->n_groups);
}

static void lift(ClusterCore *core, const Piece *piece)
{
    berth_place_leave(core->place, piece->host, piece->groups, piece->n_groups);
    berth_place_give(core->place, piece->host, piece->booked.amount);
    devices_give(core, host_of(core, piece), &piece->holdings);
}

static Piece piece_of_vm(const ClusterVm *vm)
{
    Piece piece = {
        .vm = vm, .host = vm->host->place, .booked = vm->booked, .n_groups = vm->n_groups};
    memcpy(piece.groups, vm->groups, sizeof piece.groups);
    piece.holdings = devices_of_vm(vm);
    return piece;
}

static Piece piece_of_request(const ClusterCore *core, const EngineRequest *request,
                              const BerthPlaceDecision *decision)
{
    Piece piece = {
        .host = decision->host, .booked = request->vector, .n_groups = request->request.n_groups};
    memcpy(piece.groups, request->groups, sizeof piece.groups);
    piece.holdings =
        devices_of_decision(host_of(core, &piece), &request->request, decision->devices);
    return piece;
}

/* Finds a place for a request and puts it there. */
static bool settle(ClusterCore *core, const EngineRequest *request, Piece *ret_piece)
{
    BerthPlaceDecision decision = {.struct_size = sizeof decision};
    if (berth_place_find(core->place, &request->request, &decision) != BERTH_PLACE_OK) {
        return false;
    }
    *ret_piece = piece_of_request(core, request, &decision);
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

static int64_t share(const Resources *resources)
{
    return resources->cpu + resources->memory;
}

/* A loss that is tried: some hosts at once, and all that would be on them. */
typedef struct {
    ClusterCore *core;
    const char *tenant;
    const VmSpec *spec; /* of the new ones */
    const GArray *made; /* of Piece: where they would be */
    GPtrArray *hosts;   /* of ClusterHost: of which some are lost */
    guint *lost;        /* which of them, rising */
    guint n_lost;
} Loss;

static const Resources *resources_of_piece(const Loss *loss, const Piece *piece)
{
    return piece->vm != NULL ? piece->vm->spec->resources : loss->spec->resources;
}

/* The largest first, as plan_moves has them; new ones have younger ids than all that are there. */
static gint compare_pieces(gconstpointer a, gconstpointer b, gpointer data)
{
    const Loss *loss = data;
    const Piece *left = a, *right = b;
    int64_t x = share(resources_of_piece(loss, left)), y = share(resources_of_piece(loss, right));
    if (x != y) {
        return x < y ? 1 : -1;
    }
    if (left->vm == NULL || right->vm == NULL) {
        return (left->vm == NULL) - (right->vm == NULL);
    }
    return strcmp(left->vm->id, right->vm->id);
}

static bool is_lost(const Loss *loss, uint32_t handle)
{
    for (guint i = 0; i < loss->n_lost; i++) {
        if (((const ClusterHost *)loss->hosts->pdata[loss->lost[i]])->place == handle) {
            return true;
        }
    }
    return false;
}

/* All that would be on the lost hosts: those that are there and the first `n` of the new ones. */
static GArray *pieces_of(const Loss *loss, guint n)
{
    GArray *pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    for (guint i = 0; i < loss->n_lost; i++) {
        const ClusterHost *host = loss->hosts->pdata[loss->lost[i]];
        for (GTreeNode *v = g_tree_node_first(host->vms); v != NULL; v = g_tree_node_next(v)) {
            Piece piece = piece_of_vm(g_tree_node_value(v));
            g_array_append_val(pieces, piece);
        }
    }
    for (guint i = 0; i < n; i++) {
        const Piece *piece = &g_array_index(loss->made, Piece, i);
        if (is_lost(loss, piece->host)) {
            g_array_append_vals(pieces, piece, 1);
        }
    }
    g_array_sort_with_data(pieces, compare_pieces, (gpointer)loss);
    return pieces;
}

static char *lost_names(const Loss *loss)
{
    if (core_asker_bound(loss->core)) {
        return loss->n_lost == 1 ? g_strdup("some host")
                                 : g_strdup_printf("some %u hosts", loss->n_lost);
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < loss->n_lost; i++) {
        const ClusterHost *host = loss->hosts->pdata[loss->lost[i]];
        g_ptr_array_add(names, host->spec->name);
    }
    return berth_words_join(names);
}

static const char *piece_name(const Loss *loss, const Piece *piece)
{
    bool hidden = piece->vm != NULL && core_asker_bound(loss->core) &&
                  strcmp(piece->vm->tenant, loss->tenant) != 0;
    return piece->vm == NULL ? "a new VM"
           : hidden          ? "a VM of another tenant"
                             : piece->vm->spec->name;
}

/* Finds a place for all of them, largest first; what was settled is in `settled`. */
static bool settle_all(const Loss *loss, const GArray *pieces, GArray *settled, GError **error)
{
    bool ok = true;
    for (guint i = 0; i < pieces->len && ok; i++) {
        const Piece *piece = &g_array_index(pieces, Piece, i);
        EngineRequest request;
        Piece there;
        ok = request_of(loss->core, piece, loss->tenant, loss->spec, &request, error);
        if (ok && settle(loss->core, &request, &there)) {
            g_array_append_val(settled, there);
        } else if (ok) {
            g_autofree char *names = lost_names(loss);
            ok = false;
            fleet_refuse(loss->core, &request, NULL, error);
            g_prefix_error(error, "without %s, %s would have no place: ", names,
                           piece_name(loss, piece));
        }
        fleet_request_clear(&request);
    }
    return ok;
}

/* Does all that would be on the lost hosts, with the first `n` of the new ones, find a place elsewhere?
 * The fleet is afterwards as it was. */
static bool survives(const Loss *loss, guint n, GError **error)
{
    ClusterCore *core = loss->core;
    g_autoptr(GArray) pieces = pieces_of(loss, n);
    g_autoptr(GArray) settled = g_array_new(FALSE, FALSE, sizeof(Piece));
    g_autofree bool *enabled = g_new0(bool, loss->n_lost);
    for (guint i = 0; i < loss->n_lost; i++) {
        const ClusterHost *host = loss->hosts->pdata[loss->lost[i]];
        berth_place_get(core->place, host->place, NULL, NULL, &enabled[i]);
        berth_place_set_enabled(core->place, host->place, false);
    }
    for (guint i = 0; i < pieces->len; i++) {
        lift(core, &g_array_index(pieces, Piece, i));
    }
    bool ok = settle_all(loss, pieces, settled, error);
    for (guint i = settled->len; i > 0; i--) {
        lift(core, &g_array_index(settled, Piece, i - 1));
    }
    for (guint i = 0; i < pieces->len; i++) {
        put(core, &g_array_index(pieces, Piece, i));
    }
    for (guint i = 0; i < loss->n_lost; i++) {
        const ClusterHost *host = loss->hosts->pdata[loss->lost[i]];
        berth_place_set_enabled(core->place, host->place, enabled[i]);
    }
    return ok;
}

static void first_loss(Loss *loss)
{
    for (guint i = 0; i < loss->n_lost; i++) {
        loss->lost[i] = i;
    }
}

/* The next set of as many hosts in lexicographic order; after the last comes the first. */
static void next_loss(Loss *loss)
{
    guint i = loss->n_lost;
    while (i > 0 && loss->lost[i - 1] == loss->hosts->len - loss->n_lost + i - 1) {
        i--;
    }
    if (i == 0) {
        first_loss(loss);
        return;
    }
    loss->lost[i - 1]++;
    for (; i < loss->n_lost; i++) {
        loss->lost[i] = loss->lost[i - 1] + 1;
    }
}

/* Lifts and puts new ones until the first `n` of them are there. */
static void have_made(const Loss *loss, guint *there, guint n)
{
    for (; *there > n; (*there)--) {
        lift(loss->core, &g_array_index(loss->made, Piece, *there - 1));
    }
    for (; *there < n; (*there)++) {
        put(loss->core, &g_array_index(loss->made, Piece, *there));
    }
}

/* This loss is too much for `bad` of the new ones: how many is it not too much for, by bisection? One
 * more than what is answered was tried, and `ret_why` says what becomes of it. */
static guint cut_to_loss(const Loss *loss, guint *there, guint bad, char **ret_why)
{
    guint good = 0;
    while (bad - good > 1) {
        guint n = good + (bad - good) / 2;
        g_autoptr(GError) why = NULL;
        have_made(loss, there, n);
        if (survives(loss, n, &why)) {
            good = n;
        } else {
            bad = n;
            g_free(*ret_why);
            *ret_why = g_strdup(why->message);
        }
    }
    return good;
}

/* So many sets of `n` of `of` hosts, or more than are tried. */
static int64_t count_losses(int64_t of, int64_t n)
{
    int64_t count = 1, least = MIN(n, of - n);
    for (int64_t i = 1; i <= least && count <= MOST_LOSSES; i++) {
        count = count * (of - least + i) / i;
    }
    return count;
}

/* The most of the new ones with which each loss can be borne; the rest is lifted. Losses are tried in
 * turn until all of them have been borne one after the other: where VMs go depends on all others, so that
 * fewer new ones could also be worse for a loss that was borne before. */
static void cut_to_survivable(Loss *loss, GArray *made, GError **error)
{
    int64_t all = count_losses(loss->hosts->len, loss->n_lost), borne = 0;
    guint good = made->len, there = made->len;
    g_autofree char *last = NULL;
    for (first_loss(loss); good > 0 && borne < all; next_loss(loss)) {
        g_autoptr(GError) why = NULL;
        have_made(loss, &there, good);
        if (survives(loss, good, &why)) {
            borne++;
        } else {
            g_free(last);
            last = g_strdup(why->message);
            good = cut_to_loss(loss, &there, good, &last);
            borne = 1;
        }
    }
    have_made(loss, &there, good);
    g_array_set_size(made, good);
    if (last != NULL) {
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, NULL, NULL, NULL, "%s", last);
    }
}

/* Those whose loss takes anything away. */
static GPtrArray *hosts_to_lose(ClusterCore *core)
{
    GPtrArray *hosts = g_ptr_array_new();
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        bool enabled = false;
        berth_place_get(core->place, host->place, NULL, NULL, &enabled);
        if (enabled || g_tree_nnodes(host->vms) > 0) {
            g_ptr_array_add(hosts, host);
        }
    }
    return hosts;
}

static bool check_losses(int64_t of, int64_t n, GError **error)
{
    if (count_losses(of, n) <= MOST_LOSSES) {
        return true;
    }
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, n);
    return berth_error_set(error, BERTH_ERROR_TOO_LARGE, "survive", value,
                           "ask for fewer, or 'berth plan lose HOST,HOST,…' of those that may be "
                           "lost together",
                           "there are more than %d ways to lose %" G_GINT64_FORMAT
                           " of %" G_GINT64_FORMAT " hosts; each is tried, so that is the limit",
                           MOST_LOSSES, n, of);
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

/* So many on one more host that is not named. */
static void add_unnamed(GPtrArray *rows, int64_t count)
{
    for (guint i = 0; i < rows->len; i++) {
        HostCount *row = rows->pdata[i];
        if (row->count == count) {
            row->hosts++;
            return;
        }
    }
    HostCount *row = host_count_new();
    row->count = count;
    g_ptr_array_add(rows, row);
}

static GPtrArray *count_by_host(const ClusterCore *core, const GArray *made)
{
    g_autofree int64_t *counts = g_new0(int64_t, core->by_handle->len);
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)host_count_free);
    for (guint i = 0; i < made->len; i++) {
        counts[g_array_index(made, Piece, i).host]++;
    }
    for (guint i = 0; i < core->by_handle->len; i++) {
        if (counts[i] > 0 && core_asker_bound(core)) {
            add_unnamed(rows, counts[i]);
        } else if (counts[i] > 0) {
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
    g_autoptr(GPtrArray) hosts = hosts_to_lose(core);
    guint n_lost = (guint)MIN(survive, hosts->len);
    if ((n_lost > 1 && !check_losses(hosts->len, n_lost, error)) ||
        !fleet_request(core, tenant, spec, only_host(core, spec), &request, error)) {
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
    if (n_lost > 0) {
        g_autoptr(GError) bound = NULL;
        g_autofree guint *lost = g_new0(guint, n_lost);
        Loss loss = {core, tenant, spec, made, hosts, lost, n_lost};
        cut_to_survivable(&loss, made, &bound);
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

/* The largest first, since the small ones fit between; then by id. */
static gint largest_first(gconstpointer a, gconstpointer b)
{
    const ClusterVm *left = *(ClusterVm *const *)a, *right = *(ClusterVm *const *)b;
    int64_t x = share(left->spec->resources), y = share(right->spec->resources);
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
