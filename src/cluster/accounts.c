#include "cluster/accounts.h"

#include <string.h>

#include "base/credits.h"
#include "base/error.h"
#include "base/words.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/txn.h"
#include "cluster/vms.h"

__extension__ typedef __int128 Wide;

#define HOUR_MS INT64_C(3600000)
/* Of a unit of the rate card: the smallest number that 1000 millicores and 1024 MiB divide. */
#define PARTS 128000
#define WHOLE ((Wide)HOUR_MS * PARTS)
#define BALANCE_MAX (INT64_MAX / 4)

static int64_t add_within(int64_t balance, Wide amount)
{
    return (int64_t)CLAMP(balance + amount, (Wide)-BALANCE_MAX, (Wide)BALANCE_MAX);
}

/* What a millisecond of `usage` costs, in parts of WHOLE. */
static Wide cost_of_ms(const ClusterCore *core, const Vector *usage)
{
    const Rates *rates = core->rates;
    const int64_t fixed[N_FIXED] = {rates->cpu, rates->memory, rates->disk, rates->disk_bw,
                                    rates->net_bw};
    static const int64_t parts[N_FIXED] = {PARTS / 1000, PARTS / 1024, PARTS, PARTS, PARTS};
    Wide cost = 0;
    for (int d = 0; d < N_FIXED; d++) {
        cost += (Wide)fixed[d] * parts[d] * usage->amount[d];
    }
    for (guint d = N_FIXED; d < core->dimensions->len; d++) {
        int64_t rate = 0;
        if (usage->amount[d] != 0 &&
            int_map_get(rates->accelerators, core->dimensions->pdata[d], &rate)) {
            cost += (Wide)rate * PARTS * usage->amount[d];
        }
    }
    return cost;
}

static bool rates_are_zero(const Rates *rates)
{
    for (size_t i = 0; i < int_map_size(rates->accelerators); i++) {
        if (int_map_value(rates->accelerators, i) != 0) {
            return false;
        }
    }
    return rates->cpu == 0 && rates->memory == 0 && rates->disk == 0 && rates->disk_bw == 0 &&
           rates->net_bw == 0;
}

bool account_is_charged(const ClusterCore *core, const ClusterTenant *tenant)
{
    return tenant->spec->charged && !rates_are_zero(core->rates);
}

int64_t account_hourly(const ClusterCore *core, const Vector *usage)
{
    return add_within(0, (cost_of_ms(core, usage) + PARTS - 1) / PARTS);
}

static Subject subject_of_tenant(const ClusterTenant *tenant)
{
    return (Subject){.kind = SUBJECT_KIND_TENANT, .id = tenant->name, .name = tenant->name};
}

static char *line_name(int64_t hour_ms, const char *app)
{
    return g_strdup_printf("%" G_GINT64_FORMAT "/%s", hour_ms, app);
}

static void enter_line(ClusterTenant *tenant, Charge *line)
{
    g_queue_push_tail(&tenant->charges, line);
    g_hash_table_replace(tenant->lines, line_name(line->hour_ms, line->app), line);
}

/* The oldest go; never one that says until when an app of today was charged. */
static void drop_old_lines(ClusterCore *core, ClusterTenant *tenant)
{
    int64_t oldest_kept = core->now_ms - core->config.charges_kept_ms;
    Charge *line;
    while ((line = g_queue_peek_head(&tenant->charges)) != NULL &&
           (line->hour_ms < oldest_kept ||
            (int64_t)tenant->charges.length > core->config.charges_kept)) {
        const Meter *meter = g_tree_lookup(tenant->meters, line->app);
        if (meter != NULL && meter->until_ms == line->until_ms) {
            return;
        }
        g_queue_pop_head(&tenant->charges);
        txn_delete(core, key_charge(tenant->name, line->hour_ms, line->app));
        g_autofree char *name = line_name(line->hour_ms, line->app);
        g_hash_table_remove(tenant->lines, name);
        charge_free(line);
    }
}

/* Up to `until` the app was charged `amount` more, in one hour. */
static void add_to_line(ClusterCore *core, ClusterTenant *tenant, const char *app, int64_t hour_ms,
                        int64_t amount, int64_t until_ms)
{
    g_autofree char *name = line_name(hour_ms, app);
    Charge *line = g_hash_table_lookup(tenant->lines, name);
    if (line == NULL) {
        line = charge_new();
        line->hour_ms = hour_ms;
        line->app = g_strdup(app);
        enter_line(tenant, line);
    }
    line->amount = add_within(line->amount, amount);
    line->until_ms = until_ms;
    txn_put(core, key_charge(tenant->name, hour_ms, app), &charge_type, line);
}

static void charge_span(ClusterCore *core, ClusterTenant *tenant, Meter *meter, Wide cost,
                        int64_t hour_ms, int64_t end_ms)
{
    Account *account = tenant->account;
    Wide due = cost * (end_ms - meter->until_ms) + account->carry;
    int64_t amount = add_within(0, due / WHOLE);
    account->carry = (int64_t)(due % WHOLE);
    account->balance = add_within(account->balance, -(Wide)amount);
    account->charged = add_within(account->charged, amount);
    meter->until_ms = end_ms;
    add_to_line(core, tenant, meter->app, hour_ms, amount, end_ms);
    save_account(core, tenant);
}

static void charge_meter(ClusterCore *core, ClusterTenant *tenant, Meter *meter, bool seal)
{
    Wide cost = cost_of_ms(core, &meter->usage);
    while (meter->until_ms < core->now_ms) {
        int64_t hour = meter->until_ms - meter->until_ms % HOUR_MS;
        charge_span(core, tenant, meter, cost, hour, MIN(core->now_ms, hour + HOUR_MS));
        if (seal) {
            txn_seal_if_large(core);
        }
    }
}

/* Charged from now on. The line says so, of nothing yet, for a manager that starts again. */
static void begin_meter(ClusterCore *core, ClusterTenant *tenant, Meter *meter)
{
    int64_t hour_ms = core->now_ms - core->now_ms % HOUR_MS;
    meter->until_ms = core->now_ms;
    add_to_line(core, tenant, meter->app, hour_ms, 0, core->now_ms);
}

void account_charge_meter(ClusterCore *core, ClusterTenant *tenant, Meter *meter)
{
    if (!account_is_charged(core, tenant)) {
        return;
    }
    if (meter->vms == 0) {
        begin_meter(core, tenant, meter);
    }
    charge_meter(core, tenant, meter, false);
    core->charge_due_ms = MIN(core->charge_due_ms, core->now_ms + core->config.charge_interval_ms);
}

void account_begin(ClusterCore *core, ClusterTenant *tenant)
{
    for (GTreeNode *n = g_tree_node_first(tenant->meters); n != NULL; n = g_tree_node_next(n)) {
        begin_meter(core, tenant, g_tree_node_value(n));
        txn_seal_if_large(core);
    }
}

/* Used since it was charged last, in micro-credits. */
static Wide pending(const ClusterCore *core, const ClusterTenant *tenant)
{
    Wide due = tenant->account->carry;
    for (GTreeNode *n = g_tree_node_first(tenant->meters); n != NULL; n = g_tree_node_next(n)) {
        const Meter *meter = g_tree_node_value(n);
        due += cost_of_ms(core, &meter->usage) * MAX(core->now_ms - meter->until_ms, 0);
    }
    return due / WHOLE;
}

int64_t account_balance(const ClusterCore *core, const ClusterTenant *tenant)
{
    return account_is_charged(core, tenant)
               ? add_within(tenant->account->balance, -pending(core, tenant))
               : tenant->account->balance;
}

bool account_affords(const ClusterCore *core, const ClusterTenant *tenant, const Vector *more,
                     GError **error)
{
    if (!account_is_charged(core, tenant) || account_hourly(core, more) <= 0) {
        return true;
    }
    Vector all = tenant->usage;
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        all.amount[d] += more->amount[d];
    }
    int64_t balance = account_balance(core, tenant), hour = account_hourly(core, &all);
    if (balance >= hour) {
        return true;
    }
    g_autofree char *has = berth_credits_format(balance);
    g_autofree char *needs = berth_credits_format(hour);
    g_autofree char *request = berth_credits_format(account_hourly(core, more));
    g_autofree char *missing = berth_credits_format(add_within(hour, -(Wide)balance));
    g_autofree char *remedy = g_strdup_printf(
        "have some added ('berth tenant credit %s %s'), or ask for less", tenant->name, missing);
    return berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "credits", request, remedy,
                           "tenant '%s' has %s credits, and an hour of what it has and of this "
                           "request, which costs %s, is %s: %s are missing",
                           tenant->name, has, request, needs, missing);
}

bool account_may_run(const ClusterTenant *tenant, GError **error)
{
    if (!tenant->account->stopped) {
        return true;
    }
    g_autofree char *has = berth_credits_format(tenant->account->balance);
    g_autofree char *remedy =
        g_strdup_printf("have some added: 'berth tenant credit %s AMOUNT'", tenant->name);
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "credits", has, remedy,
                           "the credits of tenant '%s' have ended (%s are left), and its VMs stay "
                           "off until there are some",
                           tenant->name, has);
}

/* No new VMs from here on; account_affords sees to it. */
static void tell_empty(ClusterCore *core, ClusterTenant *tenant)
{
    tenant->account->empty_since_ms = core->now_ms;
    save_account(core, tenant);
    Subject subject = subject_of_tenant(tenant);
    g_autofree char *balance = berth_credits_format(tenant->account->balance);
    if (tenant->spec->on_empty == ON_EMPTY_STOP) {
        event_add(core, "tenant.empty", &subject, NULL, NULL,
                  "the credits of tenant %s have ended (%s): no new VMs; those that run are "
                  "powered off in %" G_GINT64_FORMAT " s unless credits are added",
                  tenant->name, balance, tenant->spec->grace_seconds);
    } else {
        event_add(core, "tenant.empty", &subject, NULL, NULL,
                  "the credits of tenant %s have ended (%s): no new VMs; those that run go on and "
                  "are charged",
                  tenant->name, balance);
    }
}

static void stop_vms(ClusterCore *core, ClusterTenant *tenant)
{
    int64_t count = 0;
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        if (vm->owner == tenant && vm->spec->power == POWER_WANTED_ON && !vm->spec->removing) {
            vm->spec->power = POWER_WANTED_OFF;
            vm_changed(core, vm);
            count++;
            txn_seal_if_large(core);
        }
    }
    tenant->account->stopped = true;
    save_account(core, tenant);
    Subject subject = subject_of_tenant(tenant);
    g_autofree char *vms = berth_words_count(count, "VM");
    event_add(core, "tenant.stopped", &subject, NULL, NULL,
              "the credits of tenant %s have ended: %s powered off", tenant->name, vms);
}

static int64_t stop_due(const ClusterTenant *tenant)
{
    const Account *account = tenant->account;
    bool waits = tenant->spec->charged && tenant->spec->on_empty == ON_EMPTY_STOP &&
                 account->empty_since_ms != 0 && !account->stopped;
    return waits ? account->empty_since_ms + tenant->spec->grace_seconds * 1000 : INT64_MAX;
}

static void judge(ClusterCore *core, ClusterTenant *tenant)
{
    Account *account = tenant->account;
    if (account->empty_since_ms == 0 && account->balance <= 0 && tenant->vms > 0) {
        tell_empty(core, tenant);
    }
    if (core->now_ms >= stop_due(tenant)) {
        stop_vms(core, tenant);
    }
}

void account_charge_all(ClusterCore *core, ClusterTenant *tenant)
{
    if (!account_is_charged(core, tenant)) {
        return;
    }
    for (GTreeNode *n = g_tree_node_first(tenant->meters); n != NULL; n = g_tree_node_next(n)) {
        charge_meter(core, tenant, g_tree_node_value(n), true);
    }
    drop_old_lines(core, tenant);
    judge(core, tenant);
}

Credit *account_credit(ClusterCore *core, ClusterTenant *tenant, int64_t amount, const char *note,
                       const char *by)
{
    Account *account = tenant->account;
    Credit *credit = credit_new();
    core->room_made = core->room_made || amount > 0; /* for apps that lack VMs */
    credit->id = model_new_id(core);
    credit->at_ms = core->now_ms;
    credit->amount = amount;
    credit->note = g_strdup(note);
    credit->by = g_strdup(by);
    g_queue_push_tail(&tenant->credits, credit);
    txn_put(core, key_of("credit", tenant->name, credit->id), &credit_type, credit);
    if ((int64_t)tenant->credits.length > core->config.credits_kept) {
        g_autoptr(Credit) oldest = g_queue_pop_head(&tenant->credits);
        txn_delete(core, key_of("credit", tenant->name, oldest->id));
    }
    account->balance = add_within(account->balance, amount);
    account->credited = add_within(account->credited, amount);
    if (account->balance > 0) {
        account->empty_since_ms = 0;
        account->stopped = false;
    }
    save_account(core, tenant);
    Subject subject = subject_of_tenant(tenant);
    g_autofree char *text = berth_credits_format(ABS(amount));
    g_autofree char *balance = berth_credits_format(account->balance);
    event_add(core, "tenant.credited", &subject, NULL, NULL,
              "%s credits were %s the account of tenant %s, which has %s now", text,
              amount < 0 ? "taken off" : "added to", tenant->name, balance);
    accounts_due(core);
    return credit;
}

void accounts_tick(ClusterCore *core)
{
    if (!core->resumed || !core->writable || core->now_ms < core->charge_due_ms) {
        return;
    }
    core->charge_due_ms = INT64_MAX;
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        ClusterTenant *tenant = g_tree_node_value(n);
        if (account_is_charged(core, tenant) && tenant->vms > 0) {
            account_charge_all(core, tenant);
            int64_t next = core->now_ms + core->config.charge_interval_ms;
            core->charge_due_ms = MIN(core->charge_due_ms, MIN(next, stop_due(tenant)));
        }
    }
}

void accounts_due(ClusterCore *core)
{
    core->charge_due_ms = MIN(core->charge_due_ms, core->now_ms);
}

void account_load_charge(ClusterCore *core, const char *tenant, Charge *charge)
{
    enter_line(model_tenant(core, tenant), charge);
}

static gint by_hour(gconstpointer a, gconstpointer b, gpointer data)
{
    const Charge *x = a, *y = b;
    return x->hour_ms != y->hour_ms ? (x->hour_ms > y->hour_ms) * 2 - 1 : strcmp(x->app, y->app);
}

static gint by_time(gconstpointer a, gconstpointer b, gpointer data)
{
    const Credit *x = a, *y = b;
    return x->at_ms != y->at_ms ? (x->at_ms > y->at_ms) * 2 - 1 : strcmp(x->id, y->id);
}

/* An app was charged until its last line says; one without a line was never charged before. */
static void continue_meters(ClusterCore *core, ClusterTenant *tenant)
{
    for (GList *l = tenant->charges.head; l != NULL; l = l->next) {
        const Charge *line = l->data;
        Meter *meter = g_tree_lookup(tenant->meters, line->app);
        if (meter != NULL) {
            meter->until_ms = MAX(meter->until_ms, line->until_ms);
        }
    }
    for (GTreeNode *n = g_tree_node_first(tenant->meters); n != NULL; n = g_tree_node_next(n)) {
        Meter *meter = g_tree_node_value(n);
        meter->until_ms = meter->until_ms != 0 ? meter->until_ms : core->now_ms;
    }
}

void accounts_load_finish(ClusterCore *core)
{
    for (GTreeNode *n = g_tree_node_first(core->tenants); n != NULL; n = g_tree_node_next(n)) {
        ClusterTenant *tenant = g_tree_node_value(n);
        g_queue_sort(&tenant->charges, by_hour, NULL);
        g_queue_sort(&tenant->credits, by_time, NULL);
        continue_meters(core, tenant);
    }
    accounts_due(core);
}

void account_remove(ClusterCore *core, ClusterTenant *tenant)
{
    for (GList *l = tenant->charges.head; l != NULL; l = l->next) {
        const Charge *line = l->data;
        txn_delete(core, key_charge(tenant->name, line->hour_ms, line->app));
        txn_seal_if_large(core);
    }
    for (GList *l = tenant->credits.head; l != NULL; l = l->next) {
        txn_delete(core, key_of("credit", tenant->name, ((const Credit *)l->data)->id));
        txn_seal_if_large(core);
    }
    txn_delete(core, g_strconcat("account/", tenant->name, NULL));
}
