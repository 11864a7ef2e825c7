#include "base/resources.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/quantities.h"
#include "schema/objects.h"

static bool size_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Size) size = size_decode(json, CODEC_TOLERANT, error);
    if (size == NULL) {
        return false;
    }
    const Resources *r = size->resources;
    table_add(table, size->name);
    table_take(table, berth_quantity_format(BERTH_QUANTITY_CPU, r->cpu));
    table_take(table, berth_quantity_format(BERTH_QUANTITY_MEMORY, r->memory));
    table_take(table, r->disk ? berth_quantity_format(BERTH_QUANTITY_DISK, r->disk) : NULL);
    table_take(table,
               r->disk_bw ? berth_quantity_format(BERTH_QUANTITY_DISK_BW, r->disk_bw) : NULL);
    table_take(table, r->net_bw ? berth_quantity_format(BERTH_QUANTITY_NET_BW, r->net_bw) : NULL);
    table_add_integer(table, size->vcpus);
    table_add_integer(table, size->max_vcpus);
    return true;
}

static bool size_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Size) size = size_decode(json, CODEC_TOLERANT, error);
    if (size == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", size->name);
    cli_detail(details, "Description", size->description);
    cli_detail_take(details, "Resources", resources_format(size->resources));
    cli_detail_take(details, "vCPUs",
                    g_strdup_printf("%" G_GINT64_FORMAT ", at most %" G_GINT64_FORMAT, size->vcpus,
                                    size->max_vcpus));
    cli_print_table(cli, details);
    return true;
}

static const char *const size_headings[] = {"NAME",    ">CPU",   ">MEMORY",    ">DISK", ">DISK-BW",
                                            ">NET-BW", ">VCPUS", ">MAX-VCPUS", NULL};
static const CliView size_view = {size_headings, size_row, size_details};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_SIZES}, &size_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_SIZE, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &size_view, error);
}

static bool create(Cli *cli, GError **error)
{
    json_t *resources = json_object();
    json_t *body = json_pack("{s:s, s:o}", "name", cli_argument(cli, 0), "resources", resources);
    cli_set_text(cli, body, "description", "description");
    if (!quantities_from_args(cli->args, resources, error) ||
        !cli_set_integer(cli, body, "vcpus", "vcpus", error) ||
        !cli_set_integer(cli, body, "max-vcpus", "max-vcpus", error)) {
        json_decref(body);
        return false;
    }
    return cli_create(cli, API_OP_CREATE_SIZE, "size", body, error);
}

static bool delete (Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_SIZE, "size", error);
}

static const CliOption create_options[] = {
    QUANTITY_OPTIONS,
    DISK_OPTIONS,
    {"vcpus", 0, "COUNT", "CPUs that the guest sees; enough for --cpu unless told otherwise"},
    {"max-vcpus", 0, "COUNT", "up to which a resize may go; as --vcpus unless told otherwise"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the sizes", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one size",
     .run = show},
    {.verb = "create",
     .arguments = "NAME --cpu AMOUNT --memory AMOUNT",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Defines a size",
     .options = create_options,
     .shared = CLI_DRY_RUN,
     .run = create,
     .details = "Example: berth size create small --cpu 500m --memory 256MiB --net-bw 100Mbit"},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Removes sizes; VMs that have one keep their resources",
     .run = delete},
    {NULL},
};

const CliGroup size_group = {"size", "Sizes: named resource vectors", commands};
