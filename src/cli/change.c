#include "cli/change.h"

#include <string.h>

#include "base/error.h"
#include "base/resources.h"
#include "base/units.h"
#include "base/words.h"
#include "cli/policy.h"
#include "cli/quantities.h"
#include "cli/report.h"
#include "schema/objects.h"

#define WAIT_SECONDS 300
#define STEP_SECONDS 2
#define AWAY_PAUSE_US (G_USEC_PER_SEC / 4)
#define WAIT_MAX_SECONDS (365 * INT64_C(86400))

bool change_wait_seconds(const Cli *cli, int64_t *ret_seconds, GError **error)
{
    const char *text = cli_args_get(cli->args, "wait");
    int64_t seconds = WAIT_SECONDS;
    if (text != NULL && text[0] != '\0') {
        if (text[strspn(text, "0123456789")] != '\0') {
            if (!berth_quantity_parse(BERTH_QUANTITY_DURATION, "--wait", text, &seconds, error)) {
                return false;
            }
            seconds = (seconds + 999) / 1000;
        } else {
            seconds = MIN(g_ascii_strtoll(text, NULL, 10), WAIT_MAX_SECONDS);
        }
    }
    if (text != NULL && cli_args_has(cli->args, "no-wait")) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--wait", text, "leave one of them out",
                               "both --wait and --no-wait");
    }
    *ret_seconds = cli_args_has(cli->args, "no-wait") ? 0 : seconds;
    return true;
}

static bool route_takes(const ApiRoute *route, const char *parameter)
{
    for (size_t i = 0; i < route->query->n_fields; i++) {
        if (strcmp(route->query->fields[i].name, parameter) == 0) {
            return true;
        }
    }
    return false;
}

/* Asks for the change; the manager may wait up to `wait` seconds before it answers. */
static json_t *begin(Cli *cli, const ApiCall *call, int64_t wait, GError **error)
{
    static const char *const switches[] = {"dry-run", "explain"};
    const ApiRoute *route = &api_routes[call->operation];
    json_t *query = json_object();
    if (wait > 0 && route_takes(route, "wait")) {
        json_object_set_new(query, "wait", json_integer(wait));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        if (cli_args_has(cli->args, switches[i]) && route_takes(route, switches[i])) {
            json_object_set_new(query, switches[i], json_true());
        }
    }
    ApiCall asked = *call;
    asked.query = query;
    json_t *operation = cli_call(cli, &asked, error);
    json_decref(query);
    return operation;
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static bool is_running(const json_t *operation)
{
    return strcmp(member(operation, "state"), "running") == 0;
}

/* "vm web-1", of what the operation is about. */
static char *subject_text(const json_t *operation)
{
    const json_t *subject = json_object_get(operation, "subject");
    const char *name = member(subject, "name");
    return g_strdup_printf("%s %s", member(subject, "kind"),
                           name[0] != '\0' ? name : member(subject, "id"));
}

static json_t *ask_again(Cli *cli, const char *id, int64_t wait, GError **error)
{
    json_t *query = json_pack("{s:I}", "wait", (json_int_t)wait);
    ApiCall call = {.operation = API_OP_GET_OPERATION, .params = {id}, .query = query};
    json_t *operation = cli_call(cli, &call, error);
    json_decref(query);
    return operation;
}

/* The operation as it is now; as it was when the manager is away, which is waited for too. NULL
 * with an error that waiting cannot mend. Takes the operation. */
static json_t *look_again(Cli *cli, json_t *operation, int64_t wait, bool *ret_away, GError **error)
{
    g_autofree char *id = g_strdup(member(operation, "id"));
    GError *problem = NULL;
    json_t *newer = ask_again(cli, id, wait, &problem);
    *ret_away = newer == NULL && api_error_is_absence(problem);
    if (*ret_away) {
        g_error_free(problem);
        g_usleep(AWAY_PAUSE_US);
        return operation;
    }
    json_decref(operation);
    if (newer == NULL) {
        g_propagate_error(error, problem);
    }
    return newer;
}

static bool refuse_unfinished(const json_t *operation, int64_t seconds, bool away, GError **error)
{
    g_autofree char *subject = subject_text(operation);
    g_autofree char *remedy =
        g_strdup_printf("it goes on; see 'berth operation wait %s'", member(operation, "id"));
    return berth_error_set(error, BERTH_ERROR_TIMEOUT, NULL, NULL, remedy,
                           "%s is not over after %" G_GINT64_FORMAT " s: %s", subject, seconds,
                           away ? "the manager is away" : member(operation, "message"));
}

json_t *change_wait(Cli *cli, json_t *operation, int64_t seconds, GError **error)
{
    gint64 now = g_get_monotonic_time();
    gint64 end = now + seconds * G_USEC_PER_SEC;
    bool away = false;
    g_autoptr(Progress) progress = cli_progress(cli);
    while (operation != NULL && is_running(operation) && (now = g_get_monotonic_time()) < end) {
        g_autofree char *subject = subject_text(operation);
        g_autofree char *text = g_strdup_printf(
            "%s: %s", subject, away ? "the manager is away" : member(operation, "message"));
        progress_update(progress, now, text);
        int64_t left = (end - now + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC;
        operation = look_again(cli, operation, MIN(left, STEP_SECONDS), &away, error);
    }
    if (operation != NULL && is_running(operation)) {
        refuse_unfinished(operation, seconds, away, error);
        g_clear_pointer(&operation, json_decref);
    }
    return operation;
}

bool change_check(const json_t *operation, GError **error)
{
    if (strcmp(member(operation, "state"), "failed") != 0) {
        return true;
    }
    const json_t *json = json_object_get(operation, "error");
    g_autoptr(Problem) problem =
        json != NULL ? problem_decode(json, CODEC_TOLERANT, NULL) : problem_new();
    BerthErrorCode code = BERTH_ERROR_INTERNAL;
    berth_error_code_from_name(problem != NULL ? problem->code : NULL, &code);
    g_autofree char *subject = subject_text(operation);
    if (problem == NULL) {
        return berth_error_set(error, code, NULL, NULL, NULL, "%s: %s", subject,
                               member(operation, "message"));
    }
    g_autofree char *amount = quantities_readable(problem->field, problem->value);
    return berth_error_set(error, code, problem->field, amount != NULL ? amount : problem->value,
                           problem->remedy, "%s: %s", subject,
                           problem->message != NULL ? problem->message
                                                    : member(operation, "message"));
}

static json_t *finish(Cli *cli, json_t *operation, int64_t seconds, GError **error)
{
    if (seconds > 0) {
        operation = change_wait(cli, operation, seconds, error);
    }
    if (operation != NULL && !change_check(operation, error)) {
        const json_t *explanation = json_object_get(operation, "explanation");
        if (explanation != NULL) {
            explanation_print(cli, explanation, stderr, NULL);
        }
        g_clear_pointer(&operation, json_decref);
    }
    return operation;
}

json_t *change_run(Cli *cli, const ApiCall *call, GError **error)
{
    int64_t seconds;
    if (!change_wait_seconds(cli, &seconds, error)) {
        return NULL;
    }
    json_t *operation = begin(cli, call, MIN(seconds, 1), error);
    return operation != NULL ? finish(cli, operation, seconds, error) : NULL;
}

static const char *verdict_mark(const HostVerdict *verdict)
{
    return verdict->chosen ? "*" : verdict->fits ? "+" : "";
}

/* Which hosts, or how many where they are not told. */
static char *verdict_hosts(const HostVerdict *verdict)
{
    if (verdict->host == NULL) {
        return berth_words_count(verdict->count, "host");
    }
    return verdict->count > 1 ? g_strdup_printf("%s and %" G_GINT64_FORMAT " like it",
                                                verdict->host, verdict->count - 1)
                              : g_strdup(verdict->host);
}

bool explanation_print(Cli *cli, const json_t *json, FILE *out, GError **error)
{
    static const char *const headings[] = {"", "HOST", ">SCORE", "VERDICT", NULL};
    g_autoptr(Explanation) explanation = explanation_decode(json, CODEC_TOLERANT, error);
    if (explanation == NULL) {
        return false;
    }
    if (explanation->hosts->len == 0) {
        return true;
    }
    g_autofree char *request = resources_format(explanation->request);
    g_autofree char *policy = policy_text(explanation->policy, explanation->policy_weights);
    fprintf(out, "Policy %s, asked for %s:\n", policy != NULL ? policy : "-", request);
    g_autoptr(Table) table = table_new(headings);
    for (guint i = 0; i < explanation->hosts->len; i++) {
        const HostVerdict *verdict = explanation->hosts->pdata[i];
        table_add(table, verdict_mark(verdict));
        table_take(table, verdict_hosts(verdict));
        table_take(table,
                   verdict->has_score ? g_strdup_printf("%.4f", verdict->score) : g_strdup(""));
        table_add(table, verdict->verdict);
    }
    g_autofree char *text = table_render(table, cli->color && out == stdout);
    fputs(text, out);
    return true;
}

/* What is resized stays where it is. */
static void print_plan(const Cli *cli, const json_t *operation)
{
    const json_t *plan = json_object_get(operation, "plan");
    const char *verb = strcmp(member(operation, "kind"), "vm.resize") == 0 ? "stay on" : "go to";
    size_t i;
    json_t *planned;
    json_array_foreach ((json_t *)plan, i, planned) {
        const char *why = member(planned, "why");
        cli_say(cli, "%s would %s %s%s%s%s", member(planned, "name"), verb, member(planned, "host"),
                why[0] != '\0' ? " (" : "", why, why[0] != '\0' ? ")" : "");
    }
}

bool change_print(Cli *cli, const json_t *operation, GError **error)
{
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, operation);
        return true;
    }
    const char *message = member(operation, "message");
    if (json_is_true(json_object_get(operation, "dry-run"))) {
        print_plan(cli, operation);
        cli_say(cli, "%s", message[0] != '\0' ? message : "nothing was done");
    } else {
        g_autofree char *subject = subject_text(operation);
        cli_say(cli, "%s: %s", subject, message[0] != '\0' ? message : member(operation, "state"));
        if (is_running(operation)) {
            cli_say(cli, "operation %s", member(operation, "id"));
        }
    }
    const json_t *explanation = json_object_get(operation, "explanation");
    return explanation == NULL || explanation_print(cli, explanation, stdout, error);
}

bool change_one(Cli *cli, const ApiCall *call, GError **error)
{
    json_t *operation = change_run(cli, call, error);
    bool ok = operation != NULL && change_print(cli, operation, error);
    json_decref(operation);
    return ok;
}

static bool print_all(Cli *cli, json_t *operations, GError **error)
{
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, operations);
        return true;
    }
    size_t i;
    json_t *operation;
    json_array_foreach (operations, i, operation) {
        if (!change_print(cli, operation, error)) {
            return false;
        }
    }
    return true;
}

bool change_each(Cli *cli, ApiOperation operation, json_t *body, GError **error)
{
    int64_t seconds;
    if (!change_wait_seconds(cli, &seconds, error) || cli_connect(cli, error) == NULL) {
        return false;
    }
    if (cli->args->arguments->len == 1) {
        ApiCall call = {.operation = operation, .params = {cli_argument(cli, 0)}, .body = body};
        return change_one(cli, &call, error);
    }
    g_autoptr(GPtrArray) begun = g_ptr_array_new();
    for (guint i = 0; cli_argument(cli, i) != NULL; i++) {
        ApiCall call = {.operation = operation, .params = {cli_argument(cli, i)}, .body = body};
        GError *problem = NULL;
        json_t *started = begin(cli, &call, 0, &problem);
        if (started != NULL) {
            g_ptr_array_add(begun, started);
        } else {
            report_failure(cli, problem);
        }
    }
    json_t *operations = json_array();
    for (guint i = 0; i < begun->len; i++) {
        GError *problem = NULL;
        json_t *over = finish(cli, begun->pdata[i], seconds, &problem);
        if (over != NULL) {
            json_array_append_new(operations, over);
        } else {
            report_failure(cli, problem);
        }
    }
    bool ok = print_all(cli, operations, error);
    json_decref(operations);
    return ok;
}
