#include "cli/report.h"

#include "base/error.h"
#include "cli/change.h"

/* What the option was given as: the field has other units than people write, and an item of a list is one
 * of several. */
static const char *value_given(const Cli *cli, const CliOption *option, const GError *error)
{
    bool converted = option->field != NULL && g_str_has_suffix(option->field, "-seconds");
    return option->value == NULL ? NULL
           : converted           ? cli_args_get(cli->args, option->name)
                                 : berth_error_value(error);
}

/* The API names its own fields; who has typed an option knows that. */
static char *describe(const Cli *cli, const GError *error)
{
    const char *field = berth_error_field(error);
    const CliOption *option = field != NULL && cli->args != NULL
                                  ? cli_args_setting(cli->args, cli->command, field)
                                  : NULL;
    if (option == NULL) {
        return berth_error_describe(error);
    }
    g_autoptr(GError) named = NULL;
    g_autofree char *name = g_strconcat("--", option->name, NULL);
    berth_error_set(&named, (BerthErrorCode)error->code, name, value_given(cli, option, error),
                    berth_error_remedy(error), "%s", error->message);
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
