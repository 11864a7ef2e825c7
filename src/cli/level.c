#include "cli/cli.h"
#include "cli/commands.h"
#include "schema/types.h"

static void add_level(Table *table, const char *name, const char *what)
{
    table_add(table, name);
    table_add(table, what);
}

static bool print_levels(Cli *cli, const json_t *json, GError **error)
{
    static const char *const headings[] = {"LEVEL", "WHERE A HOST STANDS", NULL};
    g_autoptr(Levels) levels = levels_decode(json, CODEC_TOLERANT, error);
    if (levels == NULL) {
        return false;
    }
    g_autoptr(Table) table = table_new(headings);
    add_level(table, "host", "the host itself");
    for (guint i = 0; i < levels->names->len; i++) {
        const char *name = levels->names->pdata[i];
        g_autofree char *what = g_strdup_printf("its label %s", name);
        add_level(table, name, what);
    }
    cli_print_table(cli, table);
    return true;
}

static const CliView level_view = {.show = print_levels};

static bool list(Cli *cli, GError **error)
{
    return cli_show(cli, &(ApiCall){.operation = API_OP_GET_LEVELS}, &level_view, error);
}

static bool set(Cli *cli, GError **error)
{
    json_auto_t *body = json_pack("{s:[]}", "names");
    for (guint i = 0; cli_argument(cli, i) != NULL; i++) {
        json_array_append_new(json_object_get(body, "names"), json_string(cli_argument(cli, i)));
    }
    return cli_show(cli, &(ApiCall){.operation = API_OP_SET_LEVELS, .body = body}, &level_view,
                    error);
}

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the levels, from the narrowest", .run = list},
    {.verb = "set",
     .arguments = "LABEL…",
     .min_arguments = 1,
     .max_arguments = 7,
     .summary = "Names the levels above the host, from the narrowest",
     .run = set,
     .details = "A host's label of that name says where it stands; 'berth host label' gives it.\n\n"
                "Example: berth level set rack row room zone"},
    {NULL},
};

const CliGroup level_group = {"level", "Levels of the tree of hosts, such as rack and zone",
                              commands};
