#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "base/units.h"
#include "base/yaml.h"
#include "cli/help.h"
#include "cli/report.h"

const CliExitCode cli_exit_codes[] = {
    {CLI_EXIT_OK, "done"},
    {CLI_EXIT_ERROR, "an error that is none of the below, or an operation that failed"},
    {CLI_EXIT_USAGE, "the command line or a value in it is wrong"},
    {CLI_EXIT_NOT_FOUND, "there is no such object, or no context"},
    {CLI_EXIT_CONFLICT, "it exists already, is in another state, or was changed meanwhile"},
    {CLI_EXIT_NO_CAPACITY, "no host has room for it"},
    {CLI_EXIT_UNAVAILABLE, "the manager, its store or a host is away; try again"},
    {CLI_EXIT_TIMEOUT, "not over within the time given; it goes on"},
    {CLI_EXIT_NOT_ALLOWED, "no token, one that is not good for it, or not the right manager"},
    {0, NULL},
};

int cli_exit_code(const GError *error)
{
    if (error->domain != BERTH_ERROR) {
        return CLI_EXIT_ERROR;
    }
    switch ((BerthErrorCode)error->code) {
    case BERTH_ERROR_INVALID:
    case BERTH_ERROR_TOO_LARGE:
        return CLI_EXIT_USAGE;
    case BERTH_ERROR_NOT_FOUND:
        return CLI_EXIT_NOT_FOUND;
    case BERTH_ERROR_EXISTS:
    case BERTH_ERROR_CONFLICT:
    case BERTH_ERROR_PRECONDITION:
        return CLI_EXIT_CONFLICT;
    case BERTH_ERROR_NO_CAPACITY:
        return CLI_EXIT_NO_CAPACITY;
    case BERTH_ERROR_UNAVAILABLE:
        return CLI_EXIT_UNAVAILABLE;
    case BERTH_ERROR_TIMEOUT:
        return CLI_EXIT_TIMEOUT;
    case BERTH_ERROR_UNAUTHENTICATED:
    case BERTH_ERROR_FORBIDDEN:
        return CLI_EXIT_NOT_ALLOWED;
    case BERTH_ERROR_INTERNAL:
        break;
    }
    return CLI_EXIT_ERROR;
}

const char *cli_argument(const Cli *cli, guint i)
{
    return i < cli->args->arguments->len ? cli->args->arguments->pdata[i] : NULL;
}

ApiClient *cli_connect(Cli *cli, GError **error)
{
    if (cli->client == NULL) {
        g_autoptr(Context) context = context_load(cli_args_get(cli->args, "context"), error);
        cli->client = context != NULL ? api_client_new(context, error) : NULL;
        if (cli->client != NULL) {
            api_client_set_tenant(cli->client, cli_args_get(cli->args, "tenant"));
        }
    }
    return cli->client;
}

json_t *cli_call(Cli *cli, const ApiCall *call, GError **error)
{
    return cli_connect(cli, error) != NULL ? api_call(cli->client, call, error) : NULL;
}

void cli_print_json(const Cli *cli, const json_t *json)
{
    g_autofree char *text = cli->format == CLI_YAML ? yaml_dump(json) : codec_dump_pretty(json);
    fputs(text, stdout);
    if (!g_str_has_suffix(text, "\n")) {
        fputc('\n', stdout);
    }
}

void cli_print_table(const Cli *cli, const Table *table)
{
    g_autofree char *text = table_render(table, cli->color);
    fputs(text, stdout);
}

G_GNUC_PRINTF(2, 0)
static void print_line(FILE *out, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);
    g_autofree char *safe = table_safe_text(text);
    fprintf(out, "%s\n", safe);
}

void cli_say(const Cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (cli->format == CLI_TABLE) {
        print_line(stdout, format, args);
        fflush(stdout);
    }
    va_end(args);
}

void cli_note(const Cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(stderr, format, args);
    va_end(args);
}

Progress *cli_progress(const Cli *cli)
{
    return progress_new(stderr, cli->terminal, g_get_monotonic_time());
}

const char *cli_other_tenant(const char *tenant)
{
    return g_strcmp0(tenant, "default") != 0 ? tenant : NULL;
}

static const char *tenant_of(const json_t *item)
{
    return json_string_value(json_object_get(item, "tenant"));
}

/* Is any of them another's than the one that is there from the start? */
static bool have_tenants(const json_t *items)
{
    bool have = false;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *tenant = tenant_of(json_array_get(items, i));
        have = have || cli_other_tenant(tenant) != NULL;
    }
    return have;
}

/* The headings, and one for the tenant in the end; borrows the texts. */
static const char **with_tenant(const char *const *headings)
{
    guint count = 0;
    while (headings[count] != NULL) {
        count++;
    }
    const char **all = g_new0(const char *, count + 2);
    memcpy(all, headings, count * sizeof *all);
    all[count] = "TENANT";
    return all;
}

static bool print_list(Cli *cli, json_t *items, const CliView *view, GError **error)
{
    bool tenants = view->tenants && have_tenants(items);
    g_autofree const char **headings = with_tenant(view->headings);
    g_autoptr(Table) table = table_new(tenants ? headings : view->headings);
    size_t i;
    json_t *item;
    json_array_foreach (items, i, item) {
        if (!view->row(cli, table, item, error)) {
            return false;
        }
        if (tenants) {
            table_add(table, tenant_of(item));
        }
    }
    cli_print_table(cli, table);
    return true;
}

static const char *name_of(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "name"));
    return name != NULL ? name : "";
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(name_of(*(json_t *const *)a), name_of(*(json_t *const *)b));
}

static void sort_by_name(json_t *items)
{
    size_t count = json_array_size(items);
    g_autofree json_t **sorted = g_new(json_t *, count);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_incref(json_array_get(items, i));
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        json_array_set_new(items, i, sorted[i]);
    }
}

bool cli_list(Cli *cli, const ApiCall *call, const CliView *view, GError **error)
{
    json_t *items = cli_connect(cli, error) != NULL ? api_list(cli->client, call, error) : NULL;
    if (items == NULL) {
        return false;
    }
    if (view->by_name && cli->format == CLI_TABLE) {
        sort_by_name(items);
    }
    bool ok = true;
    if (cli->format == CLI_TABLE) {
        ok = print_list(cli, items, view, error);
    } else {
        cli_print_json(cli, items);
    }
    json_decref(items);
    return ok;
}

bool cli_show(Cli *cli, const ApiCall *call, const CliView *view, GError **error)
{
    json_t *object = cli_call(cli, call, error);
    if (object == NULL) {
        return false;
    }
    bool ok = true;
    if (cli->format == CLI_TABLE) {
        ok = view->show(cli, object, error);
    } else {
        cli_print_json(cli, object);
    }
    json_decref(object);
    return ok;
}

bool cli_delete_each(Cli *cli, ApiOperation operation, const char *what, GError **error)
{
    if (cli_connect(cli, error) == NULL) {
        return false;
    }
    for (guint i = 0; cli_argument(cli, i) != NULL; i++) {
        ApiCall call = {.operation = operation, .params = {cli_argument(cli, i)}};
        GError *problem = NULL;
        json_t *answer = cli_call(cli, &call, &problem);
        if (answer != NULL) {
            cli_say(cli, "%s %s removed", what, cli_argument(cli, i));
            json_decref(answer);
        } else {
            report_failure(cli, problem);
        }
    }
    return true;
}

bool cli_create(Cli *cli, ApiOperation operation, const char *what, json_t *body, GError **error)
{
    bool dry = cli_args_has(cli->args, "dry-run");
    json_t *query = dry ? json_pack("{s:b}", "dry-run", 1) : NULL;
    ApiCall call = {.operation = operation, .body = body, .query = query};
    json_t *answer = cli_call(cli, &call, error);
    if (answer != NULL && cli->format == CLI_TABLE) {
        cli_say(cli, "%s %s %s", what, json_string_value(json_object_get(body, "name")),
                dry ? "would be created" : "created");
    } else if (answer != NULL) {
        cli_print_json(cli, answer);
    }
    json_decref(query);
    json_decref(body);
    json_decref(answer);
    return answer != NULL;
}

Table *cli_details_new(void)
{
    static const char *const headings[] = {"", "", NULL};
    return table_new(headings);
}

void cli_detail(Table *details, const char *label, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        table_add(details, label);
        table_add(details, value);
    }
}

void cli_detail_take(Table *details, const char *label, char *value)
{
    cli_detail(details, label, value);
    g_free(value);
}

void cli_detail_age(Table *details, const char *label, int64_t time_ms)
{
    if (time_ms != 0) {
        g_autofree char *time = berth_time_format(time_ms);
        g_autofree char *ago = berth_time_ago_format(time_ms, cli_now_ms());
        cli_detail_take(details, label, g_strdup_printf("%s (%s)", time, ago));
    }
}

int64_t cli_now_ms(void)
{
    return g_get_real_time() / 1000;
}

char *cli_age(int64_t time_ms)
{
    return time_ms != 0 ? berth_age_format(cli_now_ms() - time_ms) : g_strdup("");
}

void cli_set_text(const Cli *cli, json_t *body, const char *key, const char *option)
{
    const char *value = cli_args_get(cli->args, option);
    if (value != NULL) {
        json_object_set_new(body, key, json_string(value));
    }
}

bool cli_set_integer(const Cli *cli, json_t *body, const char *key, const char *option,
                     GError **error)
{
    const char *value = cli_args_get(cli->args, option);
    gint64 number = 0;
    if (value == NULL) {
        return true;
    }
    if (!g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &number, NULL)) {
        g_autofree char *field = g_strconcat("--", option, NULL);
        return berth_error_set(error, BERTH_ERROR_INVALID, field, value, "write a whole number",
                               "not a number");
    }
    json_object_set_new(body, key, json_integer(number));
    return true;
}

bool cli_set_seconds(const Cli *cli, json_t *body, const char *key, const char *option,
                     GError **error)
{
    const char *text = cli_args_get(cli->args, option);
    g_autofree char *field = g_strconcat("--", option, NULL);
    int64_t ms = 0;
    if (text == NULL) {
        return true;
    }
    if (!berth_quantity_parse(BERTH_QUANTITY_DURATION, field, text, &ms, error)) {
        return false;
    }
    json_object_set_new(body, key, json_integer((ms + 999) / 1000));
    return true;
}

bool cli_set_map(const Cli *cli, json_t *body, const char *key, const char *option, GError **error)
{
    const GPtrArray *values = cli_args_all(cli->args, option);
    if (values == NULL) {
        return true;
    }
    json_t *map = json_object();
    json_object_set_new(body, key, map);
    for (guint i = 0; i < values->len; i++) {
        const char *text = values->pdata[i], *equals = strchr(text, '=');
        if (equals == NULL || equals == text) {
            g_autofree char *field = g_strconcat("--", option, NULL);
            return berth_error_set(error, BERTH_ERROR_INVALID, field, text, "KEY=VALUE",
                                   "not a label");
        }
        g_autofree char *name = g_strndup(text, (gsize)(equals - text));
        json_object_set_new(map, name, json_string(equals + 1));
    }
    return true;
}

void cli_set_texts(const Cli *cli, json_t *body, const char *key, const char *option)
{
    const GPtrArray *values = cli_args_all(cli->args, option);
    json_t *array = json_array();
    for (guint i = 0; values != NULL && i < values->len; i++) {
        g_auto(GStrv) parts = g_strsplit(values->pdata[i], ",", -1);
        for (guint k = 0; parts[k] != NULL; k++) {
            json_array_append_new(array, json_string(parts[k]));
        }
    }
    if (json_array_size(array) > 0) {
        json_object_set(body, key, array);
    }
    json_decref(array);
}

bool cli_since(const Cli *cli, int64_t *ret_since_ms, GError **error)
{
    const char *text = cli_args_get(cli->args, "since");
    int64_t ago = 0;
    if (text == NULL) {
        *ret_since_ms = 0;
        return true;
    }
    if (strchr(text, 'T') != NULL || strchr(text, '-') != NULL) {
        return berth_time_parse("--since", text, ret_since_ms, error);
    }
    if (!berth_quantity_parse(BERTH_QUANTITY_DURATION, "--since", text, &ago, error)) {
        return false;
    }
    *ret_since_ms = MAX(cli_now_ms() - ago, 0);
    return true;
}
