#include <string.h>

#include "base/credits.h"
#include "base/error.h"
#include "base/resources.h"
#include "base/timefmt.h"
#include "base/units.h"
#include "base/words.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/quota.h"
#include "cli/statement.h"
#include "schema/objects.h"

static const char *state_of(const Tenant *tenant)
{
    const Account *account = tenant->status->account;
    return account == NULL || !tenant->spec->charged ? NULL
           : account->stopped                        ? "stopped, without credits"
           : account->empty_since_ms != 0            ? "without credits"
                                                     : NULL;
}

static char *balance_of(const Tenant *tenant)
{
    return tenant->spec->charged && tenant->status->account != NULL
               ? berth_credits_format(tenant->status->account->balance)
               : NULL;
}

static bool tenant_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Tenant) tenant = tenant_decode(json, CODEC_TOLERANT, error);
    if (tenant == NULL) {
        return false;
    }
    const TenantStatus *status = tenant->status;
    const Resources *usage = status->usage;
    table_add(table, tenant->name);
    table_add_integer(table, status->vms);
    table_take(table, berth_quantity_format(BERTH_QUANTITY_CPU, usage != NULL ? usage->cpu : 0));
    table_take(table,
               berth_quantity_format(BERTH_QUANTITY_MEMORY, usage != NULL ? usage->memory : 0));
    table_take(table, balance_of(tenant));
    table_take(table, tenant->spec->charged ? berth_credits_format(status->hourly) : NULL);
    const char *state = state_of(tenant);
    table_add(table, state != NULL ? state : tenant->spec->description);
    return true;
}

static char *quota_text(const Quota *quota)
{
    if (quota == NULL) {
        return g_strdup("no limits");
    }
    GString *text = g_string_new(NULL);
    const struct {
        const char *name;
        bool has;
        BerthQuantity quantity;
        int64_t amount;
    } rows[] = {{"cpu", quota->has_cpu, BERTH_QUANTITY_CPU, quota->cpu},
                {"memory", quota->has_memory, BERTH_QUANTITY_MEMORY, quota->memory},
                {"disk", quota->has_disk, BERTH_QUANTITY_DISK, quota->disk},
                {"disk-bw", quota->has_disk_bw, BERTH_QUANTITY_DISK_BW, quota->disk_bw},
                {"net-bw", quota->has_net_bw, BERTH_QUANTITY_NET_BW, quota->net_bw}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].has) {
            g_autofree char *amount = berth_quantity_format(rows[i].quantity, rows[i].amount);
            g_string_append_printf(text, "%s%s %s", text->len > 0 ? ", " : "", amount,
                                   rows[i].name);
        }
    }
    for (size_t i = 0; i < int_map_size(quota->accelerators); i++) {
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT " %s", text->len > 0 ? ", " : "",
                               int_map_value(quota->accelerators, i),
                               int_map_key(quota->accelerators, i));
    }
    if (quota->has_vms) {
        g_autofree char *vms = berth_words_count(quota->vms, "VM");
        g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", vms);
    }
    if (text->len == 0) {
        g_string_append(text, "no limits");
    }
    return g_string_free(text, FALSE);
}

static char *on_empty_text(const TenantSpec *spec)
{
    g_autofree char *grace = berth_age_format(spec->grace_seconds * 1000);
    return spec->on_empty == ON_EMPTY_STOP ? g_strdup_printf("VMs are powered off after %s", grace)
                                           : g_strdup("no new VMs; those that run go on");
}

static bool tenant_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Tenant) tenant = tenant_decode(json, CODEC_TOLERANT, error);
    if (tenant == NULL) {
        return false;
    }
    const TenantSpec *spec = tenant->spec;
    const TenantStatus *status = tenant->status;
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", tenant->name);
    cli_detail(details, "Description", spec->description);
    cli_detail_take(details, "Quota", quota_text(spec->quota));
    cli_detail_take(details, "Uses", resources_format(status->usage));
    cli_detail_take(details, "VMs", g_strdup_printf("%" G_GINT64_FORMAT, status->vms));
    cli_detail_take(details, "Weight", g_strdup_printf("%" G_GINT64_FORMAT, spec->weight));
    cli_detail_take(details, "Highest priority",
                    g_strdup_printf("%" G_GINT64_FORMAT, spec->max_priority));
    cli_detail(details, "Charged", spec->charged ? "yes" : "no");
    if (spec->charged) {
        cli_detail_take(details, "Balance", balance_of(tenant));
        cli_detail_take(details, "An hour costs", berth_credits_format(status->hourly));
        cli_detail_take(details, "When it is empty", on_empty_text(spec));
        cli_detail(details, "State", state_of(tenant));
    }
    cli_detail_age(details, "Created", spec->created_ms);
    cli_print_table(cli, details);
    return true;
}

static const char *const headings[] = {"NAME",     ">VMS",    ">CPU", ">MEMORY",
                                       ">BALANCE", ">HOURLY", "NOTE", NULL};
static const CliView view = {headings, tenant_row, tenant_details};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_TENANTS}, &view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_TENANT, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &view, error);
}

static bool body_from_options(const Cli *cli, json_t *body, GError **error)
{
    const char *quota = cli_args_get(cli->args, "quota");
    if (!cli_set_integer(cli, body, "weight", "weight", error) ||
        !cli_set_integer(cli, body, "max-priority", "max-priority", error)) {
        return false;
    }
    cli_set_text(cli, body, "on-empty", "on-empty");
    cli_set_text(cli, body, "description", "description");
    if (cli_args_has(cli->args, "charge") || cli_args_has(cli->args, "no-charge")) {
        json_object_set_new(body, "charged", json_boolean(cli_args_has(cli->args, "charge")));
    }
    if (quota != NULL) {
        json_object_set_new(body, "quota", json_object());
    }
    return (quota == NULL || quota_parse(json_object_get(body, "quota"), quota, error)) &&
           cli_set_seconds(cli, body, "grace-seconds", "grace", error);
}

static bool create(Cli *cli, GError **error)
{
    json_t *body = json_pack("{s:s}", "name", cli_argument(cli, 0));
    if (!body_from_options(cli, body, error)) {
        json_decref(body);
        return false;
    }
    return cli_create(cli, API_OP_CREATE_TENANT, "tenant", body, error);
}

static bool set(Cli *cli, GError **error)
{
    json_auto_t *body = json_object();
    if (!body_from_options(cli, body, error)) {
        return false;
    }
    if (json_object_size(body) == 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "'berth tenant set --help' lists what a tenant has", "set what?");
    }
    ApiCall call = {
        .operation = API_OP_UPDATE_TENANT, .params = {cli_argument(cli, 0)}, .body = body};
    return cli_show(cli, &call, &view, error);
}

static bool delete (Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_TENANT, "tenant", error);
}

static bool credit(Cli *cli, GError **error)
{
    json_auto_t *body = json_object();
    int64_t micro = 0;
    if (!berth_credits_parse("AMOUNT", cli_argument(cli, 1), &micro, error)) {
        return false;
    }
    json_object_set_new(body, "amount", json_integer(micro));
    cli_set_text(cli, body, "note", "note");
    ApiCall call = {
        .operation = API_OP_ADD_CREDITS, .params = {cli_argument(cli, 0)}, .body = body};
    return cli_show(cli, &call, &view, error);
}

static const CliOption create_options[] = {
    {"quota", 0, "LIMITS", "cpu=16,memory=32GiB,vms=10; what is not named is not limited"},
    {"no-charge", 0, NULL, "it pays nothing", "charged"},
    {"on-empty", 0, "POLICY", "when credits end: warn (the default), or stop: power VMs off"},
    {"grace", 0, "DURATION", "from the end of the credits to the power off: 1h (the default)",
     "grace-seconds"},
    {"weight", 0, "NUMBER", "of its share of what there is, among tenants that wait"},
    {"max-priority", 0, "NUMBER", "the highest that its own tokens may ask for"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliOption set_options[] = {
    {"charge", 0, NULL, "it pays by the rate card from now on", "charged"},
    {"no-charge", 0, NULL, "it pays nothing from now on", "charged"},
    {"on-empty", 0, "POLICY", "when credits end: warn, or stop: power VMs off"},
    {"grace", 0, "DURATION", "from the end of the credits to the power off", "grace-seconds"},
    {"weight", 0, "NUMBER", "of its share of what there is, among tenants that wait"},
    {"max-priority", 0, "NUMBER", "the highest that its own tokens may ask for"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliOption credit_options[] = {
    {"note", 0, "TEXT", "what for; it stands in the statement"},
    {NULL},
};

static const CliOption statement_options[] = {
    SINCE_OPTION,
    {NULL},
};

static const CliOption rate_options[] = {
    {"cpu", 0, "CREDITS", "a CPU and hour"},
    {"memory", 0, "CREDITS", "a GiB and hour"},
    {"disk", 0, "CREDITS", "a GiB and hour"},
    {"disk-bw", 0, "CREDITS", "a MB/s and hour"},
    {"net-bw", 0, "CREDITS", "a Mbit/s and hour"},
    {"accelerator", 0, "NAME=CREDITS", "a slice and hour, such as gpu/a100=2.5; may be repeated",
     "accelerators"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the tenants", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one tenant: quota, usage and balance",
     .run = show},
    {.verb = "create",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Makes a tenant",
     .options = create_options,
     .run = create,
     .details = "Example: berth tenant create blue --quota cpu=16,memory=32GiB --on-empty stop"},
    {.verb = "set",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Changes a tenant; its quota with 'berth quota set'",
     .options = set_options,
     .run = set},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Removes tenants that own nothing, with their accounts and tokens",
     .run = delete},
    {.verb = "credit",
     .arguments = "NAME AMOUNT",
     .min_arguments = 2,
     .max_arguments = 2,
     .summary = "Adds credits to a tenant's account",
     .options = credit_options,
     .run = credit,
     .details = "A negative amount, after --, takes some off.\n\n"
                "Examples: berth tenant credit blue 100 --note 'for May'\n"
                "          berth tenant credit --note 'too much' -- blue -25"},
    {.verb = "statement",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows what was charged by hour and app, credits added, and the balance",
     .options = statement_options,
     .run = statement_show},
    {.verb = "rates show", .summary = "Shows the rate card: what an hour costs", .run = rates_show},
    {.verb = "rates set",
     .summary = "Sets the rate card; what is not named costs nothing",
     .options = rate_options,
     .run = rates_set,
     .details = "Example: berth tenant rates set --cpu 0.02 --memory 0.005 --accelerator "
                "gpu/a100=2.5"},
    {NULL},
};

const CliGroup tenant_group = {"tenant", "Tenants: who owns VMs, and pays for them", commands};
