#include "cli/cli.h"
#include "cli/commands.h"
#include "schema/objects.h"

static bool network_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Network) network = network_decode(json, CODEC_TOLERANT, error);
    if (network == NULL) {
        return false;
    }
    table_add(table, network->name);
    table_add(table, network_kind_to_string(network->kind));
    table_add(table, network->subnet);
    table_add(table, network->gateway);
    table_add(table, network->bridge);
    table_add_integer(table, network->vms);
    table_take(table, cli_age(network->created_ms));
    return true;
}

static void detail_number(Table *details, const char *label, int64_t number)
{
    if (number != 0) {
        cli_detail_take(details, label, g_strdup_printf("%" G_GINT64_FORMAT, number));
    }
}

static bool network_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Network) network = network_decode(json, CODEC_TOLERANT, error);
    if (network == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", network->name);
    cli_detail(details, "Id", network->id);
    cli_detail(details, "Description", network->description);
    cli_detail(details, "Kind", network_kind_to_string(network->kind));
    cli_detail(details, "Subnet", network->subnet);
    cli_detail(details, "Gateway", network->gateway);
    cli_detail(details, "IPv6 subnet", network->subnet6);
    cli_detail(details, "Bridge", network->bridge);
    detail_number(details, "VXLAN id", network->vni);
    detail_number(details, "VLAN", network->vlan);
    detail_number(details, "Cards in it", network->vms);
    cli_detail_age(details, "Created", network->created_ms);
    cli_print_table(cli, details);
    return true;
}

static const char *const network_headings[] = {"NAME",   "KIND", "SUBNET", "GATEWAY",
                                               "BRIDGE", ">VMS", ">AGE",   NULL};
static const CliView network_view = {network_headings, network_row, network_details,
                                     .tenants = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_NETWORKS}, &network_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_NETWORK, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &network_view, error);
}

static bool create(Cli *cli, GError **error)
{
    json_t *body = json_pack("{s:s}", "name", cli_argument(cli, 0));
    cli_set_text(cli, body, "kind", "kind");
    cli_set_text(cli, body, "subnet", "subnet");
    cli_set_text(cli, body, "bridge", "bridge");
    cli_set_text(cli, body, "description", "description");
    if (!cli_set_integer(cli, body, "vlan", "vlan", error)) {
        json_decref(body);
        return false;
    }
    return cli_create(cli, API_OP_CREATE_NETWORK, "network", body, error);
}

static bool delete (Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_NETWORK, "network", error);
}

static const CliOption create_options[] = {
    {"kind", 0, "KIND", "overlay (the default) or bridge"},
    {"subnet", 0, "SUBNET", "such as 10.1.0.0/24; on an overlay the next free one is taken"},
    {"bridge", 0, "NAME", "the hosts' bridge, for kind bridge"},
    {"vlan", 0, "NUMBER", "on the bridge"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the networks", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one network",
     .run = show},
    {.verb = "create",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Defines a network",
     .options = create_options,
     .shared = CLI_DRY_RUN,
     .run = create},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Removes networks that no VM uses",
     .run = delete},
    {NULL},
};

const CliGroup network_group = {"network", "Networks: which VMs reach each other", commands};
