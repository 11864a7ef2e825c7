#include "cli/cli.h"
#include "cli/commands.h"
#include "schema/objects.h"

static bool rule_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Rule) rule = rule_decode(json, CODEC_TOLERANT, error);
    if (rule == NULL) {
        return false;
    }
    table_add(table, rule->name);
    table_add(table, rule_kind_to_string(rule->kind));
    table_add(table, rule->subject);
    table_add(table, rule->other);
    table_add(table, rule->kind == RULE_KIND_NEAR ? NULL
                     : rule->level != NULL        ? rule->level
                                                  : "host");
    table_take(table, rule->kind == RULE_KIND_SPREAD
                          ? g_strdup_printf("%" G_GINT64_FORMAT, rule->skew)
                          : NULL);
    table_take(table, rule->weight == 0 ? g_strdup("hard")
                                        : g_strdup_printf("%" G_GINT64_FORMAT, rule->weight));
    table_add(table, rule->description);
    return true;
}

static bool rule_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Rule) rule = rule_decode(json, CODEC_TOLERANT, error);
    if (rule == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", rule->name);
    cli_detail(details, "Description", rule->description);
    cli_detail(details, "Kind", rule_kind_to_string(rule->kind));
    cli_detail(details, "Subject", rule->subject);
    cli_detail(details, "Other", rule->other);
    if (rule->kind != RULE_KIND_NEAR) {
        cli_detail(details, "Level", rule->level != NULL ? rule->level : "host");
    }
    if (rule->kind == RULE_KIND_SPREAD) {
        cli_detail_take(details, "Skew", g_strdup_printf("%" G_GINT64_FORMAT, rule->skew));
    }
    cli_detail_take(details, "Weight",
                    rule->weight == 0 ? g_strdup("hard: it is never broken")
                                      : g_strdup_printf("%" G_GINT64_FORMAT, rule->weight));
    cli_print_table(cli, details);
    return true;
}

static const char *const rule_headings[] = {"NAME",  "KIND",    "SUBJECT",     "OTHER", "LEVEL",
                                            ">SKEW", ">WEIGHT", "DESCRIPTION", NULL};
static const CliView rule_view = {rule_headings, rule_row, rule_details, .tenants = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_RULES}, &rule_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_RULE, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &rule_view, error);
}

static bool create(Cli *cli, GError **error)
{
    json_t *body = json_pack("{s:s, s:s, s:s}", "name", cli_argument(cli, 0), "kind",
                             cli_argument(cli, 1), "subject", cli_argument(cli, 2));
    if (cli_argument(cli, 3) != NULL) {
        json_object_set_new(body, "other", json_string(cli_argument(cli, 3)));
    }
    cli_set_text(cli, body, "level", "level");
    cli_set_text(cli, body, "description", "description");
    if (!cli_set_integer(cli, body, "skew", "skew", error) ||
        !cli_set_integer(cli, body, "weight", "weight", error)) {
        json_decref(body);
        return false;
    }
    return cli_create(cli, API_OP_CREATE_RULE, "rule", body, error);
}

static bool delete (Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_RULE, "rule", error);
}

static const CliOption create_options[] = {
    {"level", 0, "LEVEL", "host (the default), or what 'berth level list' shows"},
    {"skew", 0, "COUNT", "of spread: how far two domains may differ; 1 unless told otherwise"},
    {"weight", 0, "WEIGHT",
     "makes it soft: it is kept where that costs least; otherwise never broken"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the rules", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one rule",
     .run = show},
    {.verb = "create",
     .arguments = "NAME KIND SUBJECT [OTHER]",
     .min_arguments = 3,
     .max_arguments = 4,
     .summary = "Makes a rule for what is placed from now on",
     .options = create_options,
     .shared = CLI_DRY_RUN,
     .run = create,
     .details =
         "A subject is app/NAME, vm/NAME or label/KEY=VALUE; it need not be there yet. KIND is\n"
         "together (where the other is), apart (never with the other), alone (with nobody),\n"
         "spread (evenly over the domains of a level) or near (as near as can be to the other).\n\n"
         "Example: berth rule create web-apart apart app/web --level rack"},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Removes rules; nothing moves by it",
     .run = delete},
    {NULL},
};

const CliGroup rule_group = {"rule", "Rules: who goes together, apart, alone or spread", commands};
