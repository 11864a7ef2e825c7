#include <stdio.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/general.h"
#include "cli/dev/lab.h"

static bool option_number(const Cli *cli, const char *name, int fallback, int *ret_number,
                          GError **error)
{
    const char *text = cli_args_get(cli->args, name);
    guint64 number = 0;
    if (text != NULL && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT, &number, NULL)) {
        g_autofree char *option = g_strconcat("--", name, NULL);
        return berth_error_set(error, BERTH_ERROR_INVALID, option, text, "give a number",
                               "not a number");
    }
    *ret_number = text != NULL ? (int)number : fallback;
    return true;
}

bool general_dev(Cli *cli, GError **error)
{
    LabOptions options = {.capacity = cli_args_get(cli->args, "capacity")};
    if (cli_args_has(cli->args, "clean")) {
        lab_clean();
        cli_say(cli, "nothing is left of a lab");
        return true;
    }
    if (!option_number(cli, "hosts", 3, &options.hosts, error) ||
        !option_number(cli, "api-port", 7443, &options.api_port, error) ||
        !option_number(cli, "agent-port", 7444, &options.agent_port, error) ||
        !option_number(cli, "powerdown-grace-ms", 30000, &options.grace_ms, error)) {
        return false;
    }
    int64_t begun = g_get_monotonic_time();
    Lab *lab = lab_begin(&options, error);
    if (lab == NULL) {
        return false;
    }
    cli_say(cli, "%d hosts are up after %.1f s; logs are in " LAB_RUN, options.hosts,
            (double)(g_get_monotonic_time() - begun) / 1e6);
    cli_say(cli, "in another terminal: berth host list (the context is " LAB_CONTEXT ")");
    cli_say(cli, "Ctrl-C ends it all, VMs too");
    fflush(stdout);
    lab_serve(lab);
    lab_end(lab);
    return true;
}
