#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/general.h"
#include "schema/objects.h"

/* Of this program always, of the manager if there is one to ask. */
static bool version(Cli *cli, GError **error)
{
    json_t *versions = json_pack("{s:s}", "client", BERTH_VERSION);
    json_t *manager = cli_call(cli, &(ApiCall){.operation = API_OP_GET_VERSION}, NULL);
    if (manager != NULL) {
        json_object_set(versions, "manager", json_object_get(manager, "version"));
        json_object_set(versions, "api", json_object_get(manager, "api"));
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, versions);
    } else {
        g_autoptr(Table) details = cli_details_new();
        cli_detail(details, "berth", BERTH_VERSION);
        cli_detail(details, "berth-manager",
                   manager == NULL ? "cannot be asked"
                                   : json_string_value(json_object_get(manager, "version")));
        cli_print_table(cli, details);
    }
    json_decref(manager);
    json_decref(versions);
    return true;
}

static const CliOption top_options[] = {
    {"interval", 'i', "DURATION", "between two looks: 2s (the default)"},
    {"once", '1', NULL, "look once, on a terminal too"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "top",
     .summary = "Shows what hosts and VMs use, again and again",
     .options = top_options,
     .run = general_top},
    {.verb = "version",
     .summary = "Shows the versions of this program and of the manager",
     .run = version},
    {NULL},
};

const CliGroup general_group = {NULL, "All together", commands};
