#include <stdio.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/general.h"
#include "cli/dev/lab.h"

static bool option_number(const Cli *cli, const char *name, int fallback, int most, int *ret_number,
                          GError **error)
{
    const char *text = cli_args_get(cli->args, name);
    guint64 number = 0;
    if (text != NULL && !g_ascii_string_to_unsigned(text, 10, 1, (guint64)most, &number, NULL)) {
        g_autofree char *option = g_strconcat("--", name, NULL);
        g_autofree char *remedy = g_strdup_printf("give a number from 1 to %d", most);
        return berth_error_set(error, BERTH_ERROR_INVALID, option, text, remedy,
                               "not a number that it can have");
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
    if (!option_number(cli, "hosts", 3, LAB_HOSTS_MAX, &options.hosts, error) ||
        !option_number(cli, "api-port", 7443, G_MAXUINT16, &options.api_port, error) ||
        !option_number(cli, "agent-port", 7444, G_MAXUINT16, &options.agent_port, error) ||
        !option_number(cli, "powerdown-grace-ms", 30000, G_MAXINT, &options.grace_ms, error)) {
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
