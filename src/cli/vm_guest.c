#include <stdio.h>

#include "base/error.h"
#include "base/units.h"
#include "cli/change.h"
#include "cli/console.h"
#include "cli/vm.h"
#include "schema/objects.h"

#define EXEC_TIMEOUT_MS 30000
#define PAUSE_US (G_USEC_PER_SEC / 2)
#define GRACE_SECONDS 60 /* for the manager and the host, beyond the program's own time */

static bool duration_option(const Cli *cli, const char *option, int64_t *duration_ms,
                            GError **error)
{
    const char *text = cli_args_get(cli->args, option);
    g_autofree char *field = g_strconcat("--", option, NULL);
    return text == NULL ||
           berth_quantity_parse(BERTH_QUANTITY_DURATION, field, text, duration_ms, error);
}

static void write_decoded(FILE *out, const char *base64)
{
    if (base64 != NULL && base64[0] != '\0') {
        gsize length;
        g_autofree guchar *bytes = g_base64_decode(base64, &length);
        fwrite(bytes, 1, length, out);
        fflush(out);
    }
}

static bool print_answer(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(VmExecAnswer) answer = vm_exec_answer_decode(json, CODEC_TOLERANT, error);
    if (answer == NULL) {
        return false;
    }
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, json);
    } else {
        write_decoded(stdout, answer->out);
        write_decoded(stderr, answer->err);
    }
    if (answer->truncated) {
        cli_note(cli, "berth: the program printed more than is kept; the rest is lost");
    }
    cli->exit_code = (int)(answer->signal > 0 ? 128 + answer->signal : answer->exit_code);
    return true;
}

/* Asks again while the guest still boots, or the host or the manager is away, until `end`. */
static json_t *ask_until(Cli *cli, const ApiCall *call, int64_t end, GError **error)
{
    for (;;) {
        GError *problem = NULL;
        json_t *answer = cli_call(cli, call, &problem);
        bool early = g_error_matches(problem, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE);
        if (answer != NULL || !early || g_get_monotonic_time() >= end) {
            if (problem != NULL) {
                g_propagate_error(error, problem);
            }
            return answer;
        }
        g_error_free(problem);
        g_usleep(PAUSE_US);
    }
}

bool vm_exec(Cli *cli, GError **error)
{
    int64_t timeout_ms = EXEC_TIMEOUT_MS, wait_s = 0;
    if (cli_args_has(cli->args, "wait") && !change_wait_seconds(cli, &wait_s, error)) {
        return false;
    }
    if (!duration_option(cli, "timeout", &timeout_ms, error) || cli_connect(cli, error) == NULL) {
        return false;
    }
    json_t *argv = json_array();
    for (guint i = 1; cli_argument(cli, i) != NULL; i++) {
        json_array_append_new(argv, json_string(cli_argument(cli, i)));
    }
    json_t *body = json_pack("{s:o, s:I}", "argv", argv, "timeout-ms", (json_int_t)timeout_ms);
    ApiCall call = {.operation = API_OP_EXEC_VM, .params = {cli_argument(cli, 0)}, .body = body};
    api_client_set_timeout(cli->client, (unsigned)(timeout_ms / 1000 + GRACE_SECONDS));
    int64_t end = g_get_monotonic_time() + wait_s * G_USEC_PER_SEC;
    json_t *answer = ask_until(cli, &call, end, error);
    bool ok = answer != NULL && print_answer(cli, answer, error);
    json_decref(answer);
    json_decref(body);
    return ok;
}

bool vm_console(Cli *cli, GError **error)
{
    ConsoleOptions options = {.read_only = cli_args_has(cli->args, "read-only")};
    return duration_option(cli, "for", &options.for_ms, error) &&
           console_run(cli, cli_argument(cli, 0), &options, error);
}
