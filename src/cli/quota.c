#include <string.h>

#include "base/error.h"
#include "base/resources.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/ledger.h"
#include "cli/quota.h"
#include "schema/objects.h"

static bool is_unlimited(const char *text)
{
    return strcmp(text, "none") == 0 || strcmp(text, "unlimited") == 0;
}

static const char *const fixed_names[] = {"cpu", "memory", "disk", "disk-bw", "net-bw"};

static bool remove_limit(json_t *quota, const char *name, GError **error)
{
    bool is_known = strcmp(name, "vms") == 0;
    for (size_t i = 0; i < G_N_ELEMENTS(fixed_names); i++) {
        is_known = is_known || strcmp(name, fixed_names[i]) == 0;
    }
    if (is_known) {
        json_object_del(quota, name);
        return true;
    }
    json_object_del(json_object_get(quota, "accelerators"), name);
    return strchr(name, '/') != NULL ||
           berth_error_set(error, BERTH_ERROR_INVALID, "quota", name,
                           "limits are cpu, memory, disk, disk-bw, net-bw, vms and accelerators "
                           "such as gpu/a100",
                           "there is no limit of this name");
}

static bool set_count(json_t *quota, const char *text, GError **error)
{
    guint64 count = 0;
    if (!g_ascii_string_to_unsigned(text, 10, 0, 1000000000, &count, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "quota.vms", text,
                               "write a whole number, or none", "not a number of VMs");
    }
    json_object_set_new(quota, "vms", json_integer((json_int_t)count));
    return true;
}

static bool set_amount(json_t *quota, const char *name, const char *part, GError **error)
{
    g_autoptr(Resources) resources = resources_parse("quota", part, error);
    if (resources == NULL) {
        return false;
    }
    json_auto_t *all = resources_encode(resources);
    json_t *slices = json_object_get(all, "accelerators");
    if (json_object_get(slices, name) != NULL) {
        json_t *accelerators = json_object_get(quota, "accelerators");
        if (accelerators == NULL) {
            accelerators = json_object();
            json_object_set_new(quota, "accelerators", accelerators);
        }
        json_object_update(accelerators, slices);
    } else {
        const json_t *amount = json_object_get(all, name);
        json_object_set_new(quota, name,
                            json_integer(amount != NULL ? json_integer_value(amount) : 0));
    }
    return true;
}

static bool set_limit(json_t *quota, const char *part, GError **error)
{
    const char *equals = strchr(part, '=');
    if (equals == NULL || equals == part) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "quota", part,
                               "write cpu=16, memory=32GiB, vms=10, gpu/a100=2; none: no limit",
                               "a limit has the form NAME=AMOUNT");
    }
    g_autofree char *name = g_strndup(part, (gsize)(equals - part));
    return is_unlimited(equals + 1)   ? remove_limit(quota, name, error)
           : strcmp(name, "vms") == 0 ? set_count(quota, equals + 1, error)
                                      : set_amount(quota, name, part, error);
}

bool quota_parse(json_t *quota, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    for (guint i = 0; parts[i] != NULL; i++) {
        if (!set_limit(quota, parts[i], error)) {
            return false;
        }
    }
    return true;
}

static void add_row(Table *table, const char *tenant, const char *name, const json_t *used,
                    const json_t *limit)
{
    if (limit == NULL && json_integer_value(used) == 0) {
        return;
    }
    int64_t uses = json_integer_value(used), may = json_integer_value(limit);
    table_add(table, tenant);
    table_add(table, name);
    table_take(table, ledger_amount(name, uses));
    table_take(table, limit != NULL ? ledger_amount(name, may) : g_strdup("no limit"));
    table_take(table, limit != NULL ? ledger_amount(name, MAX(may - uses, 0)) : NULL);
}

static void add_tenant(Table *table, const json_t *tenant)
{
    const char *name = json_string_value(json_object_get(tenant, "name"));
    const json_t *status = json_object_get(tenant, "status");
    const json_t *usage = json_object_get(status, "usage");
    const json_t *quota = json_object_get(json_object_get(tenant, "spec"), "quota");
    for (size_t i = 0; i < G_N_ELEMENTS(fixed_names); i++) {
        const char *dimension = fixed_names[i];
        add_row(table, name, dimension, json_object_get(usage, dimension),
                json_object_get(quota, dimension));
    }
    json_t *used = json_object_get(usage, "accelerators");
    json_t *limits = json_object_get(quota, "accelerators");
    json_auto_t *names = json_object();
    json_object_update(names, used);
    json_object_update(names, limits);
    const char *slice;
    json_t *ignored;
    json_object_foreach (names, slice, ignored) {
        add_row(table, name, slice, json_object_get(used, slice), json_object_get(limits, slice));
    }
    add_row(table, name, "vms", json_object_get(status, "vms"), json_object_get(quota, "vms"));
}

static const char *const headings[] = {"TENANT", "RESOURCE", ">USES", ">MAY USE", ">LEFT", NULL};

static bool show(Cli *cli, GError **error)
{
    json_auto_t *tenants = json_array();
    if (cli_argument(cli, 0) != NULL) {
        ApiCall call = {.operation = API_OP_GET_TENANT, .params = {cli_argument(cli, 0)}};
        json_array_append_new(tenants, cli_call(cli, &call, error));
    } else if (cli_connect(cli, error) != NULL) {
        ApiCall call = {.operation = API_OP_LIST_TENANTS};
        json_auto_t *all = api_list(cli->client, &call, error);
        json_array_extend(tenants, all);
    }
    if (json_array_size(tenants) == 0) {
        return false; /* there is always one that may be seen */
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, cli_argument(cli, 0) != NULL ? json_array_get(tenants, 0) : tenants);
        return true;
    }
    g_autoptr(Table) table = table_new(headings);
    for (size_t i = 0; i < json_array_size(tenants); i++) {
        add_tenant(table, json_array_get(tenants, i));
    }
    cli_print_table(cli, table);
    return true;
}

/* Limits that are not named stay. */
static bool set(Cli *cli, GError **error)
{
    const char *name = cli_argument(cli, 0);
    ApiCall get = {.operation = API_OP_GET_TENANT, .params = {name}};
    json_auto_t *tenant = cli_call(cli, &get, error);
    if (tenant == NULL) {
        return false;
    }
    const json_t *before = json_object_get(json_object_get(tenant, "spec"), "quota");
    json_t *quota = before != NULL ? json_deep_copy(before) : json_object();
    json_auto_t *body = json_pack("{s:o}", "quota", quota);
    for (guint i = 1; cli_argument(cli, i) != NULL; i++) {
        if (!quota_parse(quota, cli_argument(cli, i), error)) {
            return false;
        }
    }
    ApiCall call = {.operation = API_OP_UPDATE_TENANT,
                    .params = {name},
                    .body = body,
                    .if_match = json_integer_value(json_object_get(tenant, "revision"))};
    json_auto_t *after = cli_call(cli, &call, error);
    if (after != NULL && cli->format != CLI_TABLE) {
        cli_print_json(cli, after);
    } else if (after != NULL) {
        g_autoptr(Table) table = table_new(headings);
        add_tenant(table, after);
        cli_print_table(cli, table);
    }
    return after != NULL;
}

static const CliCommand commands[] = {
    {.verb = "show",
     .arguments = "[TENANT]",
     .min_arguments = 0,
     .max_arguments = 1,
     .summary = "Shows what tenants use and may use",
     .run = show},
    {.verb = "set",
     .arguments = "TENANT NAME=AMOUNT…",
     .min_arguments = 2,
     .max_arguments = -1,
     .summary = "Limits what a tenant's VMs may have together",
     .run = set,
     .details =
         "Names are cpu, memory, disk, disk-bw, net-bw, accelerators such as gpu/a100, and vms "
         "(how\nmany). `none` takes a limit away; limits that are not named stay. A limit below "
         "what is used\nends nothing and lets nothing grow.\n\n"
         "Example: berth quota set blue cpu=16 memory=32GiB vms=10 disk=none"},
    {NULL},
};

const CliGroup quota_group = {"quota", "Quotas: how much a tenant may have", commands};
