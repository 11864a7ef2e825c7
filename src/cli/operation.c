#include "base/error.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "schema/objects.h"

static bool operation_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Operation) operation = operation_decode(json, CODEC_TOLERANT, error);
    if (operation == NULL) {
        return false;
    }
    const Subject *subject = operation->subject;
    const Problem *problem = operation->error;
    table_add(table, operation->id);
    table_add(table, operation->kind);
    table_add(table, subject == NULL ? NULL : subject->name != NULL ? subject->name : subject->id);
    table_add(table, operation_state_to_string(operation->state));
    table_take(table, cli_age(operation->created_ms));
    table_add(table, problem != NULL ? problem->message : operation->message);
    return true;
}

static void detail_subject(Table *details, const Subject *subject)
{
    if (subject != NULL) {
        cli_detail_take(details, "Subject",
                        g_strdup_printf("%s %s (%s)", subject_kind_to_string(subject->kind),
                                        subject->name != NULL ? subject->name : "-",
                                        subject->id != NULL ? subject->id : "-"));
    }
}

static bool operation_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Operation) operation = operation_decode(json, CODEC_TOLERANT, error);
    if (operation == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Id", operation->id);
    cli_detail(details, "Kind", operation->kind);
    detail_subject(details, operation->subject);
    cli_detail(details, "State", operation_state_to_string(operation->state));
    cli_detail(details, "Message", operation->message);
    if (operation->error != NULL) {
        cli_detail(details, "Error", operation->error->message);
        cli_detail(details, "Remedy", operation->error->remedy);
    }
    cli_detail_age(details, "Begun", operation->created_ms);
    cli_detail_age(details, "Finished", operation->finished_ms);
    cli_print_table(cli, details);
    const json_t *explanation = json_object_get(json, "explanation");
    return explanation == NULL || explanation_print(cli, explanation, stdout, error);
}

static const char *const operation_headings[] = {"ID",   "KIND",    "SUBJECT", "STATE",
                                                 ">AGE", "MESSAGE", NULL};
static const CliView operation_view = {operation_headings, operation_row, operation_details,
                                       .tenants = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_OPERATIONS}, &operation_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_OPERATION, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &operation_view, error);
}

static bool wait_for(Cli *cli, GError **error)
{
    int64_t seconds;
    ApiCall call = {.operation = API_OP_GET_OPERATION, .params = {cli_argument(cli, 0)}};
    json_t *operation =
        change_wait_seconds(cli, &seconds, error) ? cli_call(cli, &call, error) : NULL;
    if (operation != NULL) {
        operation = change_wait(cli, operation, seconds, error);
    }
    bool ok =
        operation != NULL && change_check(operation, error) && change_print(cli, operation, error);
    json_decref(operation);
    return ok;
}

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the operations, newest last", .run = list},
    {.verb = "show",
     .arguments = "ID",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one operation",
     .run = show},
    {.verb = "wait",
     .arguments = "ID",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Waits until an operation is over",
     .shared = CLI_WAIT,
     .run = wait_for},
    {NULL},
};

const CliGroup operation_group = {"operation", "Operations: requests under way", commands};
