#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/accounts.h"
#include "cluster/commands.h"
#include "cluster/fleet.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/queue.h"
#include "cluster/reservations.h"
#include "cluster/tenants.h"
#include "cluster/tokens.h"
#include "cluster/txn.h"

/* The balance as it is now, also where the last minute is not charged yet. */
static Account *account_now(const ClusterCore *core, const ClusterTenant *tenant)
{
    Account *account = account_copy(tenant->account);
    int64_t balance = account_balance(core, tenant);
    account->charged += account->balance - balance;
    account->balance = balance;
    return account;
}

json_t *render_tenant(ClusterCore *core, const ClusterTenant *tenant)
{
    g_autoptr(Tenant) object = tenant_new();
    object->name = g_strdup(tenant->name);
    object->revision = tenant->revision;
    object->spec = tenant_spec_copy(tenant->spec);
    TenantStatus *status = object->status = tenant_status_new();
    status->vms = tenant->vms;
    status->usage = tenant_resources(core, &tenant->usage);
    status->hourly = tenant->spec->charged ? account_hourly(core, &tenant->usage) : 0;
    status->account = account_now(core, tenant);
    return tenant_encode(object);
}

/* A token that is bound to a tenant knows of no other. */
static ClusterTenant *tenant_asked(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const char *name = request->params[0];
    if (request->principal.bound && strcmp(name, request->principal.tenant) != 0) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, "tenant", name, "see 'berth tenant list'",
                        "there is no such tenant");
        return NULL;
    }
    return find_tenant(core, name, error);
}

static json_t *encode_tenant(ClusterCore *core, const void *object, const void *shown)
{
    const ClusterTenant *tenant = object;
    return tenant_is_shown(shown, tenant->name) ? render_tenant(core, tenant) : NULL;
}

bool list_tenants(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListTenantsQuery *query = request->query;
    const ClusterPrincipal *who = &request->principal;
    reply_list(core, request->id, core->tenants, query->limit, query->after, encode_tenant,
               who->bound ? who->tenant : NULL);
    return true;
}

bool get_tenant(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterTenant *tenant = tenant_asked(core, request, error);
    if (tenant == NULL) {
        return false;
    }
    reply_json(core, request->id, 200, render_tenant(core, tenant), tenant->revision);
    return true;
}

bool create_tenant(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const TenantCreate *body = request->body;
    if (g_tree_lookup(core->tenants, body->name) != NULL) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "name", body->name, "choose another name",
                               "there is a tenant of this name already");
    }
    ClusterTenant *tenant = model_tenant(core, body->name);
    TenantSpec *spec = tenant->spec;
    spec->quota = quota_copy(body->quota);
    spec->charged = body->charged;
    spec->on_empty = body->on_empty != ON_EMPTY_UNSET ? body->on_empty : ON_EMPTY_WARN;
    spec->grace_seconds = body->grace_seconds;
    spec->weight = body->weight;
    spec->max_priority = body->max_priority;
    spec->created_ms = core->now_ms;
    spec->description = g_strdup(body->description);
    save_tenant(core, tenant);
    save_account(core, tenant);
    reply_json(core, request->id, 201, render_tenant(core, tenant), tenant->revision);
    return true;
}

/* Apps that lack VMs may find room in it. */
static void set_quota(ClusterCore *core, ClusterTenant *tenant, const Quota *quota)
{
    core->room_made = true;
    quota_free(tenant->spec->quota);
    tenant->spec->quota = quota_copy(quota);
    tenant->usage_allowed = tenant->usage;
    tenant->vms_allowed = tenant->vms;
}

/* Until now it is charged as it was. */
static void set_charged(ClusterCore *core, ClusterTenant *tenant, bool charged)
{
    if (charged != tenant->spec->charged) {
        account_charge_all(core, tenant);
        tenant->spec->charged = charged;
        if (account_is_charged(core, tenant)) {
            account_begin(core, tenant);
        }
        accounts_due(core);
    }
}

bool update_tenant(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const TenantUpdate *body = request->body;
    ClusterTenant *tenant = find_tenant(core, request->params[0], error);
    if (tenant == NULL || !check_if_match(request, tenant->revision, error)) {
        return false;
    }
    TenantSpec *spec = tenant->spec;
    if (body->has_charged) {
        set_charged(core, tenant, body->charged);
    }
    if (body->quota != NULL) {
        set_quota(core, tenant, body->quota);
    }
    if (body->on_empty != ON_EMPTY_UNSET) {
        spec->on_empty = body->on_empty;
    }
    if (body->has_grace_seconds) {
        spec->grace_seconds = body->grace_seconds;
    }
    spec->weight = body->has_weight ? body->weight : spec->weight;
    spec->max_priority = body->has_max_priority ? body->max_priority : spec->max_priority;
    if (body->description != NULL) {
        g_free(spec->description);
        spec->description = g_strdup(body->description);
    }
    save_tenant(core, tenant);
    accounts_due(core);
    reply_json(core, request->id, 200, render_tenant(core, tenant), tenant->revision);
    return true;
}

static void add_count(GPtrArray *what, int64_t n, const char *thing)
{
    if (n > 0) {
        g_ptr_array_add(what, berth_words_count(n, thing));
    }
}

/* What the tenant still owns, in words; NULL: nothing. */
static char *belongings(ClusterCore *core, const ClusterTenant *tenant)
{
    int64_t apps = 0, networks = 0, rules = 0, reservations = 0;
    for (GTreeNode *n = g_tree_node_first(core->apps); n != NULL; n = g_tree_node_next(n)) {
        apps += strcmp(((ClusterApp *)g_tree_node_value(n))->tenant, tenant->name) == 0;
    }
    for (GTreeNode *n = g_tree_node_first(core->networks); n != NULL; n = g_tree_node_next(n)) {
        const ClusterNetwork *network = g_tree_node_value(n);
        networks += strcmp(network->object->tenant, tenant->name) == 0;
    }
    for (GTreeNode *n = g_tree_node_first(core->rules); n != NULL; n = g_tree_node_next(n)) {
        rules += strcmp(((ClusterRule *)g_tree_node_value(n))->object->tenant, tenant->name) == 0;
    }
    for (GTreeNode *n = g_tree_node_first(core->reservations); n != NULL; n = g_tree_node_next(n)) {
        const ClusterReservation *reservation = g_tree_node_value(n);
        reservations += strcmp(reservation->object->tenant, tenant->name) == 0;
    }
    g_autoptr(GPtrArray) what = g_ptr_array_new_with_free_func(g_free);
    add_count(what, tenant->vms, "VM");
    add_count(what, apps, "app");
    add_count(what, queue_count(core, tenant->name), "waiting request");
    add_count(what, networks, "network");
    add_count(what, rules, "rule");
    add_count(what, reservations, "reservation");
    return what->len > 0 ? berth_words_join(what) : NULL;
}

bool delete_tenant(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterTenant *tenant = find_tenant(core, request->params[0], error);
    if (tenant == NULL || !check_if_match(request, tenant->revision, error)) {
        return false;
    }
    g_autofree char *has = belongings(core, tenant);
    if (has != NULL || strcmp(tenant->name, DEFAULT_TENANT) == 0) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "tenant", tenant->name,
                               has != NULL ? "delete them first" : "keep it",
                               has != NULL ? "the tenant has %s"
                                           : "what has no other tenant belongs to this one%s",
                               has != NULL ? has : "");
    }
    account_remove(core, tenant);
    tokens_remove_of(core, tenant->name);
    txn_delete(core, g_strconcat("tenant/", tenant->name, NULL));
    g_tree_remove(core->tenants, tenant->name);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}

bool add_credits(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const CreditCreate *body = request->body;
    ClusterTenant *tenant = find_tenant(core, request->params[0], error);
    if (tenant == NULL) {
        return false;
    }
    if (body->amount == 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "amount", "0",
                               "give micro-credits, a million to the credit",
                               "no credits are nothing to note down");
    }
    account_charge_all(core, tenant);
    account_credit(core, tenant, body->amount, body->note, request->principal.subject);
    reply_json(core, request->id, 201, render_tenant(core, tenant), -1);
    return true;
}

bool get_rates(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    reply_object(core, request->id, 200, &rates_type, core->rates, -1);
    return true;
}

/* First all that was used is charged by the card before, and durable; a start between the two goes
 * on with that. */
bool set_rates(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    GTreeNode *n;
    for (n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        account_charge_all(core, g_tree_node_value(n));
    }
    rates_free(core->rates);
    core->rates = rates_copy(request->body);
    for (n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        ClusterTenant *tenant = g_tree_node_value(n);
        if (account_is_charged(core, tenant)) {
            account_begin(core, tenant);
        }
    }
    txn_put(core, g_strdup("meta/rates"), &rates_type, core->rates);
    accounts_due(core);
    reply_object(core, request->id, 200, &rates_type, core->rates, -1);
    return true;
}

static gint by_hour_then_app(gconstpointer a, gconstpointer b)
{
    const Charge *x = *(Charge *const *)a, *y = *(Charge *const *)b;
    return x->hour_ms != y->hour_ms ? (x->hour_ms > y->hour_ms) * 2 - 1 : strcmp(x->app, y->app);
}

#define HOUR_MS INT64_C(3600000)

/* Charges of one hour are not parted, so that a time is all that a client goes on from. */
static void add_charges(Statement *statement, const ClusterTenant *tenant, int64_t limit)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    for (GList *l = tenant->charges.head; l != NULL; l = l->next) {
        const Charge *line = l->data;
        if (line->hour_ms + HOUR_MS > statement->since_ms && line->amount != 0) {
            g_ptr_array_add(lines, l->data);
        }
    }
    g_ptr_array_sort(lines, by_hour_then_app);
    int64_t hour = -1;
    for (guint i = 0; i < lines->len; i++) {
        const Charge *line = lines->pdata[i];
        if ((int64_t)statement->charges->len >= limit && line->hour_ms != hour) {
            statement->next_ms = line->hour_ms;
            statement->has_next_ms = true;
            break;
        }
        hour = line->hour_ms;
        g_ptr_array_add(statement->charges, charge_copy(line));
    }
}

bool get_statement(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const GetStatementQuery *query = request->query;
    const ClusterTenant *tenant = tenant_asked(core, request, error);
    if (tenant == NULL) {
        return false;
    }
    g_autoptr(Statement) statement = statement_new();
    statement->tenant = g_strdup(tenant->name);
    statement->account = account_copy(tenant->account); /* so that the charges add up to it */
    statement->hourly = tenant->spec->charged ? account_hourly(core, &tenant->usage) : 0;
    statement->since_ms = query->since;
    add_charges(statement, tenant, query->limit);
    for (GList *l = tenant->credits.head; l != NULL; l = l->next) {
        if (((const Credit *)l->data)->at_ms >= query->since) {
            g_ptr_array_add(statement->credits, credit_copy(l->data));
        }
    }
    reply_object(core, request->id, 200, &statement_type, statement, -1);
    return true;
}
