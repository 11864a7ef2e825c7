#include "cli/report.h"

#include "base/error.h"
#include "cli/change.h"

void report_error(Cli *cli, const GError *error)
{
    fflush(stdout);
    g_autofree char *text = berth_error_describe(error);
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
