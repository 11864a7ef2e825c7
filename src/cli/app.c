#include "base/error.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/ends.h"
#include "cli/names.h"
#include "cli/policy.h"
#include "cli/quantities.h"
#include "cli/queue.h"
#include "schema/objects.h"

static bool app_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(App) app = app_decode(json, CODEC_TOLERANT, error);
    if (app == NULL) {
        return false;
    }
    const AppSpec *spec = app->spec;
    int64_t running = app->status != NULL ? app->status->running : 0;
    table_add(table, app->name);
    table_take(table,
               g_strdup_printf("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, running, spec->count));
    table_add(table, spec->size);
    table_add(table, name_of(cli, API_OP_LIST_IMAGES, spec->image));
    table_take(table, policy_text(spec->policy, spec->policy_weights));
    table_take(table, cli_age(spec->created_ms));
    table_add(table, spec->removing ? "being deleted" : spec->description);
    return true;
}

static void detail_networks(Cli *cli, Table *details, const GPtrArray *ids)
{
    for (guint i = 0; i < ids->len; i++) {
        cli_detail(details, "Network", name_of(cli, API_OP_LIST_NETWORKS, ids->pdata[i]));
    }
}

static bool app_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(App) app = app_decode(json, CODEC_TOLERANT, error);
    if (app == NULL) {
        return false;
    }
    const AppSpec *spec = app->spec;
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", app->name);
    cli_detail(details, "Id", app->id);
    cli_detail(details, "Tenant", cli_other_tenant(app->tenant));
    cli_detail(details, "Description", spec->description);
    cli_detail_take(details, "VMs",
                    g_strdup_printf("%" G_GINT64_FORMAT " wanted, %" G_GINT64_FORMAT
                                    " there, %" G_GINT64_FORMAT " running",
                                    spec->count, app->status != NULL ? app->status->vms : 0,
                                    app->status != NULL ? app->status->running : 0));
    cli_detail(details, "Size", spec->size);
    cli_detail(details, "Image", name_of(cli, API_OP_LIST_IMAGES, spec->image));
    detail_networks(cli, details, spec->networks);
    cli_detail(details, "Power", power_wanted_to_string(spec->power));
    cli_detail(details, "Restart", restart_policy_to_string(spec->restart));
    cli_detail_take(details, "Policy", policy_text(spec->policy, spec->policy_weights));
    cli_detail_age(details, "Created", spec->created_ms);
    cli_detail(details, "Reservation", name_of(cli, API_OP_LIST_RESERVATIONS, spec->reservation));
    ends_details(details, spec->ends_ms, spec->at_end, spec->grace_seconds);
    cli_detail(details, "State", spec->removing ? "being deleted" : NULL);
    cli_print_table(cli, details);
    return true;
}

static const char *const app_headings[] = {"NAME",   ">RUNNING", "SIZE",        "IMAGE",
                                           "POLICY", ">AGE",     "DESCRIPTION", NULL};
static const CliView app_view = {app_headings, app_row, app_details, .tenants = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_APPS}, &app_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_APP, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &app_view, error);
}

static bool create(Cli *cli, GError **error)
{
    json_t *body = json_pack("{s:s}", "name", cli_argument(cli, 0));
    static const char *const texts[] = {"size",    "image",       "power",
                                        "restart", "description", "trust-domain"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        cli_set_text(cli, body, texts[i], texts[i]);
    }
    cli_set_texts(cli, body, "networks", "network");
    json_t *total = json_object();
    bool ok = policy_from_args(cli, body, error) &&
              cli_set_map(cli, body, "labels", "label", error) &&
              cli_set_map(cli, body, "host-labels", "host-label", error) &&
              cli_set_integer(cli, body, "count", "count", error) &&
              cli_set_integer(cli, body, "partial", "partial", error) &&
              queue_from_args(cli, body, error) && ends_from_args(cli, body, error) &&
              quantities_from_args(cli->args, total, error);
    if (ok && json_object_size(total) > 0) {
        json_object_set(body, "total", total);
    }
    bool counted = cli_args_has(cli->args, "count");
    if (ok && counted == (json_object_size(total) > 0)) {
        ok = berth_error_set(
            error, BERTH_ERROR_INVALID, NULL, NULL, "give --count, or a total such as --cpu 3",
            "%s", counted ? "both a count of VMs and a total for all of them" : "how many VMs?");
    }
    if (ok) {
        ok = change_one(cli, &(ApiCall){.operation = API_OP_CREATE_APP, .body = body}, error);
    }
    json_decref(total);
    json_decref(body);
    return ok;
}

static bool scale(Cli *cli, GError **error)
{
    const char *text = cli_argument(cli, 1);
    gint64 count;
    if (!g_ascii_string_to_signed(text, 10, 0, 10000, &count, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "COUNT", text,
                               "a whole number from 0 to 10000", "not a number of VMs");
    }
    json_t *body = json_pack("{s:I}", "count", (json_int_t)count);
    ApiCall call = {.operation = API_OP_UPDATE_APP, .params = {cli_argument(cli, 0)}, .body = body};
    bool ok = change_one(cli, &call, error);
    json_decref(body);
    return ok;
}

static bool delete (Cli *cli, GError **error)
{
    return change_each(cli, API_OP_DELETE_APP, NULL, error);
}

static const CliOption create_options[] = {
    {"size", 's', "NAME", "of each VM"},
    {"image", 'i', "NAME", "that each VM boots"},
    {"count", 'n', "COUNT", "how many VMs"},
    {"partial", 0, "COUNT",
     "so many are enough to begin with; the others follow when there is room"},
    QUANTITY_OPTIONS,
    DISK_OPTIONS,
    {"network", 'N', "NAME", "may be repeated, or a list with commas", "networks"},
    {"label", 0, "KEY=VALUE", "for rules that speak of it; may be repeated", "labels"},
    {"host-label", 0, "KEY=VALUE", "only hosts that have it; may be repeated", "host-labels"},
    {"trust-domain", 0, "NAME", "memory may be merged with that of your other VMs of this name"},
    END_OPTIONS,
    {"power", 0, "POWER", "on (the default) or off"},
    {"restart", 0, "POLICY", "always (the default), on-failure or never"},
    {"policy", 0, "POLICY",
     "of placement: most-free (the default), least-free, first-fit, cosine, "
     "dot-product, l2-diff, l2-ratio, l2-ratio-spread or fragmentation; or a mix, as "
     "most-free=2,cosine=1",
     "policy-weights"},
    QUEUE_OPTIONS,
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the apps", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one app",
     .run = show},
    {.verb = "create",
     .arguments = "NAME --size NAME --image NAME [--count COUNT]",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Creates an app: all of its VMs are placed, or none, unless --partial says so",
     .options = create_options,
     .shared = CLI_WAIT | CLI_DRY_RUN | CLI_EXPLAIN,
     .run = create,
     .details = "Give --count, or a total (--cpu, --memory, …) that is split into as many VMs of "
                "the size\nas hold it.\n\n"
                "Example: berth app create web --size small --count 6 --image demo --network blue"},
    {.verb = "scale",
     .arguments = "NAME COUNT",
     .min_arguments = 2,
     .max_arguments = 2,
     .summary = "Changes the number of VMs",
     .shared = CLI_WAIT | CLI_DRY_RUN | CLI_EXPLAIN,
     .run = scale},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Ends all VMs of apps and removes them",
     .shared = CLI_WAIT,
     .run = delete},
    {NULL},
};

const CliGroup app_group = {"app", "Apps: VMs that are asked for and placed together", commands};
