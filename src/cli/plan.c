#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/general.h"
#include "cli/policy.h"
#include "schema/objects.h"

static json_t *ask(Cli *cli, ApiOperation operation, json_t *query, GError **error)
{
    ApiCall call = {.operation = operation, .query = query};
    json_t *answer = cli_call(cli, &call, error);
    json_decref(query);
    return answer;
}

static char *hosts_text(const HostCount *row)
{
    return row->host != NULL ? g_strdup(row->host)
           : row->hosts == 1 ? g_strdup("one host")
                             : g_strdup_printf("each of %" G_GINT64_FORMAT " hosts", row->hosts);
}

static void print_fit(Cli *cli, const PlanFit *plan, const char *size)
{
    g_autoptr(Table) details = cli_details_new();
    cli_detail_take(details, "Fits",
                    g_strdup_printf("%s%" G_GINT64_FORMAT " more of %s",
                                    plan->at_least ? "at least " : "", plan->count, size));
    g_autoptr(GString) where = g_string_new(NULL);
    for (guint i = 0; i < plan->hosts->len; i++) {
        const HostCount *row = plan->hosts->pdata[i];
        g_autofree char *hosts = hosts_text(row);
        g_string_append_printf(where, "%s%" G_GINT64_FORMAT " on %s", i > 0 ? ", " : "", row->count,
                               hosts);
    }
    cli_detail(details, "Where", where->len > 0 ? where->str : NULL);
    cli_detail(details, "Not one more", plan->refusal);
    cli_print_table(cli, details);
}

static bool fit(Cli *cli, GError **error)
{
    static const char *const texts[] = {"size", "app"};
    json_t *query = json_object();
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        cli_set_text(cli, query, texts[i], texts[i]);
    }
    policy_name_from_args(cli, query);
    if (!cli_set_integer(cli, query, "survive", "survive", error)) {
        json_decref(query);
        return false;
    }
    g_autofree char *size = g_strdup(json_string_value(json_object_get(query, "size")));
    json_auto_t *answer = ask(cli, API_OP_GET_PLAN_FIT, query, error);
    if (answer == NULL) {
        return false;
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, answer);
        return true;
    }
    g_autoptr(PlanFit) plan = plan_fit_decode(answer, CODEC_TOLERANT, error);
    if (plan != NULL) {
        print_fit(cli, plan, size);
    }
    return plan != NULL;
}

static void add_moves(Table *table, const GPtrArray *moves)
{
    for (guint i = 0; i < moves->len; i++) {
        const PlannedMove *move = moves->pdata[i];
        table_add(table, move->vm);
        table_add(table, move->from);
        table_add(table, move->to != NULL ? move->to : "nowhere");
        table_add(table, move->why);
    }
}

/* In a line, as the table may be long. */
static void sum_up(Cli *cli, const PlanMoves *plan)
{
    guint lost = plan->without_place->len, all = plan->moves->len + lost;
    if (all == 0) {
        cli_say(cli, "no VM is there");
    } else if (lost == 0) {
        cli_say(cli, "all VMs find a place");
    } else {
        cli_say(cli, "%u of %u VMs find no place", lost, all);
    }
}

static bool moves(Cli *cli, ApiOperation operation, GError **error)
{
    json_t *query = json_pack("{s:s}", "hosts", cli_argument(cli, 0));
    json_auto_t *answer = ask(cli, operation, query, error);
    if (answer == NULL) {
        return false;
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, answer);
        return true;
    }
    g_autoptr(PlanMoves) plan = plan_moves_decode(answer, CODEC_TOLERANT, error);
    if (plan == NULL) {
        return false;
    }
    static const char *const headings[] = {"VM", "FROM", "TO", "WHY NOT", NULL};
    g_autoptr(Table) table = table_new(headings);
    add_moves(table, plan->moves);
    add_moves(table, plan->without_place);
    if (plan->moves->len + plan->without_place->len > 0) {
        cli_print_table(cli, table);
    }
    sum_up(cli, plan);
    return true;
}

static bool lose(Cli *cli, GError **error)
{
    return moves(cli, API_OP_GET_PLAN_LOSE, error);
}

static bool drain(Cli *cli, GError **error)
{
    return moves(cli, API_OP_GET_PLAN_DRAIN, error);
}

static bool app(Cli *cli, GError **error)
{
    cli_args_switch_on(cli->args, "dry-run");
    cli_args_switch_on(cli->args, "explain");
    return general_apply(cli, error);
}

static const CliOption app_options[] = {
    {"file", 'f', "FILE", "a manifest; - is standard input; may be repeated"},
    {NULL},
};

static const CliOption fit_options[] = {
    {"size", 's', "NAME", "of the VMs"},
    {"app", 0, "NAME", "as VMs of this app, so that its rules hold"},
    {"policy", 0, "POLICY", "of placement; most-free unless told otherwise"},
    {"survive", 0, "COUNT", "and afterwards any so many hosts could be lost at once"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "fit",
     .arguments = "--size NAME",
     .summary = "How many more VMs of a size fit",
     .options = fit_options,
     .run = fit,
     .details =
         "Asks the live engine on a copy of the live state; nothing is changed. With "
         "--survive N so many\nthat after the loss of any N hosts all of their VMs, old and "
         "new, would find a place. Every set of N\nhosts is tried, 5000 at most: any 2 of 100 "
         "hosts, 3 of 32, 4 of 20.\n\n"
         "Example: berth plan fit --size small --survive 1"},
    {.verb = "lose",
     .arguments = "HOST[,HOST…]|KEY=VALUE",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Where VMs would go if hosts were lost, or all with a label",
     .run = lose,
     .details = "The largest VMs first. Example: berth plan lose rack=r2"},
    {.verb = "drain",
     .arguments = "HOST[,HOST…]|KEY=VALUE",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Where VMs would go if hosts were emptied one VM after another",
     .run = drain,
     .details = "A VM counts on both hosts until it has gone, so each step is checked."},
    {.verb = "app",
     .arguments = "-f FILE…",
     .max_arguments = -1,
     .summary = "Where the apps and VMs of manifests would go, and why",
     .options = app_options,
     .run = app,
     .details =
         "What berth apply would do, without doing it.\n\nExample: berth plan app -f app.yaml"},
    {NULL},
};

const CliGroup plan_group = {"plan", "What if: questions that change nothing", commands};
