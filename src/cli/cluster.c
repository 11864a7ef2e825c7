#include "cli/cli.h"
#include "cli/commands.h"
#include "schema/objects.h"

static bool details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(ClusterState) state = cluster_state_decode(json, CODEC_TOLERANT, error);
    if (state == NULL) {
        return false;
    }
    g_autoptr(Table) table = cli_details_new();
    cli_detail(table, "Id", state->id);
    cli_detail(table, "Manager", api_client_url(cli->client));
    cli_detail(table, "Version", state->version);
    cli_detail_take(table, "Revision", g_strdup_printf("%" G_GINT64_FORMAT, state->revision));
    cli_detail_take(table, "Store",
                    state->writable ? g_strdup("takes writes")
                                    : g_strdup_printf("takes no writes: %s",
                                                      state->reason != NULL ? state->reason : "?"));
    if (state->has_hosts) {
        cli_detail_take(table, "Hosts",
                        g_strdup_printf("%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT " up",
                                        state->hosts, state->hosts_up));
    }
    cli_detail_take(table, "VMs",
                    g_strdup_printf("%" G_GINT64_FORMAT ", %" G_GINT64_FORMAT " running",
                                    state->vms, state->vms_running));
    cli_print_table(cli, table);
    return true;
}

static const CliView cluster_view = {.show = details};

static bool show(Cli *cli, GError **error)
{
    return cli_show(cli, &(ApiCall){.operation = API_OP_GET_CLUSTER}, &cluster_view, error);
}

static const CliCommand commands[] = {
    {.verb = "show", .summary = "Shows the state of the manager and of its store", .run = show},
    {NULL},
};

const CliGroup cluster_group = {"cluster", "The cluster", commands};
