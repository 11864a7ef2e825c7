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

static const CliOption apply_options[] = {
    {"file", 'f', "FILE", "a manifest; - is standard input; may be repeated"},
    {NULL},
};

static const CliOption dev_options[] = {
    {"hosts", 0, "NUMBER", "from 1 to 64 [3]"},
    {"capacity", 0, "VECTOR",
     "that each host declares, such as cpu=4,memory=8GiB [a share of this machine]"},
    {"api-port", 0, "PORT", "of the manager [7443]"},
    {"agent-port", 0, "PORT", "of the manager for agents [7444]"},
    {"powerdown-grace-ms", 0, "MS", "from powerdown to kill [30000]"},
    {"clean", 0, NULL, "end the lab that runs, remove what a killed one has left, and start none"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "apply",
     .arguments = "-f FILE…",
     .min_arguments = 0,
     .max_arguments = -1,
     .summary = "Makes the cluster hold what manifests say",
     .options = apply_options,
     .shared = CLI_WAIT | CLI_DRY_RUN,
     .run = general_apply,
     .details =
         "A manifest is YAML: documents with kind (tenant, size, network, image, rule, "
         "reservation, app\nor vm), name and spec, whose fields are those of the API, and tenant, "
         "where it has one. Amounts "
         "are written as on the command line. What is "
         "there already\nis left or changed; nothing is removed but VMs above an app's count. It "
         "ends at the first "
         "object\nthat is refused; what was made before it stays.\n\n"
         "  kind: app\n  name: web\n  spec:\n    size: small\n    image: demo\n    count: 6\n"
         "    networks: [blue]"},
    {.verb = "dev",
     .summary = "Runs a manager and hosts on this machine, until Ctrl-C",
     .details = "Each host is an agent in a network namespace of its own. Needs root. A machine "
                "has one lab at\na time.",
     .options = dev_options,
     .run = general_dev},
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
