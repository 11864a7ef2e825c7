#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"

/* The answer is text, whatever -o says: a scenario file is YAML. */
static bool snapshot(Cli *cli, GError **error)
{
    ApiClient *client = cli_connect(cli, error);
    if (client == NULL) {
        return false;
    }
    json_t *query = json_pack("{s:b}", "mask", cli_args_has(cli->args, "mask"));
    ApiCall call = {.operation = API_OP_GET_SNAPSHOT, .query = query};
    g_autoptr(SoupMessage) message = api_client_message(client, &call);
    json_decref(query);
    g_autoptr(GInputStream) stream = api_client_send(client, message, NULL, error);
    if (stream == NULL) {
        return false;
    }
    char chunk[16384];
    gssize n;
    while ((n = g_input_stream_read(stream, chunk, sizeof chunk, NULL, error)) > 0) {
        fwrite(chunk, 1, (size_t)n, stdout);
    }
    return n == 0;
}

static const CliOption snapshot_options[] = {
    {"mask", 0, NULL, "replace the names that people gave, leave out what they wrote"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "snapshot",
     .summary = "Writes the cluster as a scenario file that berth-sim plays",
     .details =
         "The file goes to standard output. With it others can play again what a cluster does.",
     .options = snapshot_options,
     .run = snapshot},
    {NULL},
};

const CliGroup support_group = {"support", "For those who help you", commands};
