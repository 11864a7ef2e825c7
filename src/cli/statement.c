#include "cli/statement.h"

#include <string.h>

#include "base/credits.h"
#include "base/error.h"
#include "base/timefmt.h"
#include "schema/objects.h"

static json_t *read_page(Cli *cli, int64_t since_ms, GError **error)
{
    json_auto_t *query = json_pack("{s:I, s:i}", "since", (json_int_t)since_ms, "limit", 10000);
    ApiCall call = {
        .operation = API_OP_GET_STATEMENT, .params = {cli_argument(cli, 0)}, .query = query};
    return cli_call(cli, &call, error);
}

/* All pages as one. */
static json_t *read_statement(Cli *cli, int64_t since_ms, GError **error)
{
    json_t *whole = read_page(cli, since_ms, error);
    const json_t *next = json_object_get(whole, "next-ms");
    while (next != NULL) {
        json_t *page = read_page(cli, json_integer_value(next), error);
        if (page == NULL) {
            json_decref(whole);
            return NULL;
        }
        json_array_extend(json_object_get(whole, "charges"), json_object_get(page, "charges"));
        json_object_set(whole, "account", json_object_get(page, "account"));
        json_object_del(whole, "next-ms");
        next = json_object_get(page, "next-ms");
        if (next != NULL) {
            json_object_set(whole, "next-ms", (json_t *)next);
            next = json_object_get(whole, "next-ms");
        }
        json_decref(page);
    }
    return whole;
}

static void add_charge(Table *table, const Charge *charge)
{
    bool alone = strcmp(charge->app, "-") == 0;
    table_take(table, berth_time_format(charge->hour_ms));
    table_take(table, alone ? g_strdup("VMs without an app, an hour")
                            : g_strdup_printf("app %s, an hour", charge->app));
    table_take(table, berth_credits_format(-charge->amount));
}

static void add_credit(Table *table, const Credit *credit)
{
    table_take(table, berth_time_format(credit->at_ms));
    table_take(table, credit->note != NULL ? g_strdup_printf("credits: %s", credit->note)
                                           : g_strdup("credits"));
    table_take(table, berth_credits_format(credit->amount));
}

/* Charges and credits in the order of their times. */
static void print_entries(const Cli *cli, const Statement *statement)
{
    static const char *const headings[] = {"TIME", "WHAT", ">CREDITS", NULL};
    g_autoptr(Table) table = table_new(headings);
    guint i = 0, k = 0;
    while (i < statement->charges->len || k < statement->credits->len) {
        const Charge *charge = i < statement->charges->len ? statement->charges->pdata[i] : NULL;
        const Credit *credit = k < statement->credits->len ? statement->credits->pdata[k] : NULL;
        if (credit == NULL || (charge != NULL && charge->hour_ms <= credit->at_ms)) {
            add_charge(table, charge);
            i++;
        } else {
            add_credit(table, credit);
            k++;
        }
    }
    cli_print_table(cli, table);
}

bool statement_show(Cli *cli, GError **error)
{
    int64_t since_ms = 0;
    if (!cli_since(cli, &since_ms, error)) {
        return false;
    }
    json_auto_t *json = read_statement(cli, since_ms, error);
    if (json == NULL) {
        return false;
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, json);
        return true;
    }
    g_autoptr(Statement) statement = statement_decode(json, CODEC_TOLERANT, error);
    if (statement == NULL) {
        return false;
    }
    g_autofree char *balance = berth_credits_format(statement->account->balance);
    g_autofree char *hourly = berth_credits_format(statement->hourly);
    print_entries(cli, statement);
    cli_say(cli, "balance: %s; an hour of what runs now costs %s", balance, hourly);
    return true;
}

static void add_rate(Table *table, const char *what, const char *unit, int64_t rate)
{
    table_add(table, what);
    table_add(table, unit);
    table_take(table, berth_credits_format(rate));
}

static bool print_rates(Cli *cli, const json_t *json, GError **error)
{
    static const char *const headings[] = {"RESOURCE", "UNIT", ">CREDITS AN HOUR", NULL};
    g_autoptr(Rates) rates = rates_decode(json, CODEC_TOLERANT, error);
    if (rates == NULL) {
        return false;
    }
    g_autoptr(Table) table = table_new(headings);
    add_rate(table, "cpu", "CPU", rates->cpu);
    add_rate(table, "memory", "GiB", rates->memory);
    add_rate(table, "disk", "GiB", rates->disk);
    add_rate(table, "disk-bw", "MB/s", rates->disk_bw);
    add_rate(table, "net-bw", "Mbit/s", rates->net_bw);
    for (size_t i = 0; i < int_map_size(rates->accelerators); i++) {
        add_rate(table, int_map_key(rates->accelerators, i), "slice",
                 int_map_value(rates->accelerators, i));
    }
    cli_print_table(cli, table);
    return true;
}

static const CliView rates_view = {.show = print_rates};

bool rates_show(Cli *cli, GError **error)
{
    return cli_show(cli, &(ApiCall){.operation = API_OP_GET_RATES}, &rates_view, error);
}

/* As the API takes it, in its units: a thousand credits at most. */
#define MAX_RATE_MICRO INT64_C(1000000000)

static bool parse_rate(const char *field, const char *text, int64_t *ret_micro, GError **error)
{
    if (!berth_credits_parse(field, text, ret_micro, error)) {
        return false;
    }
    return (*ret_micro >= 0 && *ret_micro <= MAX_RATE_MICRO) ||
           berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                           "write a number of credits from 0 to 1000, such as 0.25", "not a rate");
}

static bool set_slices(const Cli *cli, json_t *body, GError **error)
{
    const GPtrArray *given = cli_args_all(cli->args, "accelerator");
    json_t *map = json_object();
    json_object_set_new(body, "accelerators", map);
    for (guint i = 0; given != NULL && i < given->len; i++) {
        const char *text = given->pdata[i], *equals = strchr(text, '=');
        int64_t micro = 0;
        const char *slash = strchr(text, '/');
        if (equals == NULL || slash == NULL || slash > equals) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "--accelerator", text,
                                   "write it as gpu/a100=2.5",
                                   "not the name of an accelerator and credits");
        }
        if (!parse_rate("--accelerator", equals + 1, &micro, error)) {
            return false;
        }
        g_autofree char *name = g_strndup(text, (gsize)(equals - text));
        json_object_set_new(map, name, json_integer(micro));
    }
    return true;
}

bool rates_set(Cli *cli, GError **error)
{
    static const char *const names[] = {"cpu", "memory", "disk", "disk-bw", "net-bw"};
    json_auto_t *body = json_object();
    bool any = cli_args_has(cli->args, "accelerator");
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        any = any || cli_args_has(cli->args, names[i]);
    }
    if (!any) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "name a rate at least; --cpu 0 makes all of them 0",
                               "set which rates?");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *text = cli_args_get(cli->args, names[i]);
        g_autofree char *field = g_strconcat("--", names[i], NULL);
        int64_t micro = 0;
        if (text != NULL && !parse_rate(field, text, &micro, error)) {
            return false;
        }
        json_object_set_new(body, names[i], json_integer(micro));
    }
    if (!set_slices(cli, body, error)) {
        return false;
    }
    return cli_show(cli, &(ApiCall){.operation = API_OP_SET_RATES, .body = body}, &rates_view,
                    error);
}
