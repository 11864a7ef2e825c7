#include "cli/report.h"

#include <string.h>

#include "base/error.h"
#include "cli/change.h"
#include "cli/quantities.h"

/* As it was typed: the API may have other units. Of several, or of a list, only the one at fault. */
static char *value_given(const Cli *cli, const CliOption *option, const GError *error)
{
    const GPtrArray *typed = cli_args_all(cli->args, option->name);
    const char *only = typed->len == 1 ? typed->pdata[0] : NULL;
    const char *value = berth_error_value(error);
    const char *member = strrchr(berth_error_field(error), '.');
    if (option->value == NULL) {
        return NULL;
    }
    if (only != NULL && strchr(only, ',') == NULL) {
        return g_strdup(only);
    }
    return member != NULL && strchr(typed->pdata[0], '=') != NULL
               ? g_strconcat(member + 1, "=", value, NULL)
               : g_strdup(value);
}

/* "between 0 and 1000" as it would be typed: the API's bounds are in its own units. */
static char *with_units(const char *field, const char *remedy)
{
    static const char between[] = "between ", and[] = " and ";
    const char *middle = remedy != NULL ? strstr(remedy, and) : NULL;
    if (field == NULL || middle == NULL || !g_str_has_prefix(remedy, between)) {
        return g_strdup(remedy);
    }
    const char *first = remedy + strlen(between);
    g_autofree char *low = g_strndup(first, (gsize)(middle - first));
    g_autofree char *least = quantities_readable(field, low);
    g_autofree char *most = quantities_readable(field, middle + strlen(and));
    return least != NULL && most != NULL ? g_strconcat(between, least, and, most, NULL)
                                         : g_strdup(remedy);
}

/* Names the options that stand for the API's fields with units (`duration-seconds`). */
static char *with_options(const CliCommand *command, const char *remedy)
{
    g_autoptr(GPtrArray) options = cli_command_options(command);
    g_autoptr(GString) text = g_string_new(remedy);
    for (guint i = 0; i < options->len; i++) {
        const CliOption *option = options->pdata[i];
        if (option->field != NULL && g_str_has_suffix(option->field, "-seconds")) {
            g_autofree char *name = g_strconcat("--", option->name, NULL);
            g_string_replace(text, option->field, name, 0);
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The API names its own fields; who types options knows those. */
static char *describe(const Cli *cli, const GError *error)
{
    const char *field = berth_error_field(error), *remedy = berth_error_remedy(error);
    bool known = field != NULL && cli->args != NULL && cli->command != NULL;
    const CliOption *option = known ? cli_args_setting(cli->args, cli->command, field) : NULL;
    g_autofree char *value =
        option != NULL ? value_given(cli, option, error) : g_strdup(berth_error_value(error));
    if (known && option == NULL && (value == NULL || strcmp(value, "0") == 0)) {
        option = cli_command_setting(cli->command, field); /* it is missing */
    }
    g_autofree char *bounds = with_units(field, remedy);
    g_autofree char *helps =
        option != NULL && bounds != NULL ? with_options(cli->command, bounds) : g_strdup(bounds);
    g_autofree char *name =
        option != NULL ? g_strconcat("--", option->name, NULL) : g_strdup(field);
    g_autoptr(GError) named = NULL;
    if (error->domain != BERTH_ERROR) {
        return berth_error_describe(error);
    }
    berth_error_set(&named, (BerthErrorCode)error->code, name, value, helps, "%s", error->message);
    return berth_error_describe(named);
}

void report_error(Cli *cli, const GError *error)
{
    fflush(stdout);
    g_autofree char *text = describe(cli, error);
    cli_note(cli, "berth: %s", text);
    const json_t *explanation = cli->client != NULL ? api_client_explanation(cli->client) : NULL;
    if (explanation != NULL) {
        explanation_print(cli, explanation, stderr, NULL);
    }
}

void report_failure(Cli *cli, GError *error)
{
    report_error(cli, error);
    if (cli->exit_code == CLI_EXIT_OK) {
        cli->exit_code = cli_exit_code(error);
    }
    g_error_free(error);
}
