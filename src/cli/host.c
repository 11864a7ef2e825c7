#include <string.h>

#include "base/error.h"
#include "base/resources.h"
#include "base/timefmt.h"
#include "base/words.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/ledger.h"
#include "cli/quantities.h"
#include "schema/objects.h"

static bool host_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Host) host = host_decode(json, CODEC_TOLERANT, error);
    if (host == NULL) {
        return false;
    }
    const HostStatus *status = host->status;
    const HostFacts *facts = status->facts;
    bool cordoned = host->spec != NULL && host->spec->cordoned;
    const char *note = status->drain != DRAIN_STATE_UNSET ? drain_state_to_string(status->drain)
                       : cordoned                         ? "cordoned"
                                                          : NULL;
    table_add(table, host->name);
    table_take(table, g_strconcat(host_state_to_string(status->state), note != NULL ? ", " : NULL,
                                  note, NULL));
    table_add(table, facts != NULL && facts->accelerator != NULL
                         ? accelerator_to_string(facts->accelerator->kind)
                         : NULL);
    table_add_integer(table, status->vms);
    table_take(table, ledger_share(status->ledger, "cpu"));
    table_take(table, ledger_share(status->ledger, "memory"));
    table_add(table, facts != NULL ? facts->address : NULL);
    table_take(table, cli_age(status->since_ms));
    return true;
}

static void detail_facts(Table *details, const HostFacts *facts)
{
    if (facts == NULL) {
        return;
    }
    cli_detail(details, "Address", facts->address);
    if (facts->accelerator != NULL) {
        const char *kind = accelerator_to_string(facts->accelerator->kind);
        const char *reason = facts->accelerator->reason;
        cli_detail_take(details, "Accelerator",
                        reason != NULL ? g_strdup_printf("%s: %s", kind, reason) : g_strdup(kind));
    }
    cli_detail(details, "CPU", facts->cpu_model);
    cli_detail(details, "QEMU", facts->qemu_version);
    cli_detail(details, "Machine", facts->machine);
    cli_detail(details, "Kernel", facts->kernel);
    cli_detail(details, "Agent", facts->version);
    cli_detail_take(details, "Capacity", resources_format(facts->capacity));
}

static void detail_labels(Table *details, const StringMap *labels)
{
    for (size_t i = 0; i < string_map_size(labels); i++) {
        cli_detail_take(
            details, "Label",
            g_strdup_printf("%s=%s", string_map_key(labels, i), string_map_value(labels, i)));
    }
}

static void detail_devices(Table *details, const GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++) {
        const DeviceRow *row = rows->pdata[i];
        g_autoptr(GString) text = g_string_new(NULL);
        g_string_printf(text, "%s: %s, ", row->device, row->model);
        if (row->slices > 1) {
            g_string_append_printf(text, "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " slices free",
                                   row->free, row->slices);
        } else {
            g_string_append(text, row->free > 0 ? "free" : "taken");
        }
        for (guint k = 0; k < row->vms->len; k++) {
            const DeviceUser *user = row->vms->pdata[k];
            g_string_append_printf(text, "%s%s (%" G_GINT64_FORMAT ")", k == 0 ? "; " : ", ",
                                   user->vm, user->slices);
        }
        cli_detail(details, "Device", text->str);
    }
}

static void detail_quarantined(Table *details, const GPtrArray *vms)
{
    for (guint i = 0; i < vms->len; i++) {
        const QuarantinedVm *vm = vms->pdata[i];
        cli_detail_take(details, "Quarantined",
                        g_strdup_printf("%s (%s, %s): 'berth vm adopt' or 'berth vm purge'", vm->id,
                                        vm->name != NULL ? vm->name : "no name",
                                        vm->power != POWER_IS_UNSET ? power_is_to_string(vm->power)
                                                                    : "unknown"));
    }
}

static void detail_drain(Table *details, const HostStatus *status)
{
    if (status->drain == DRAIN_STATE_DRAINED) {
        cli_detail(details, "Drain", "drained: no VM runs here");
    } else if (status->drain == DRAIN_STATE_DRAINING) {
        g_autofree char *vms = berth_words_count(status->vms, "VM");
        cli_detail_take(details, "Drain",
                        g_strdup_printf("draining: %" G_GINT64_FORMAT
                                        " of %s left; stop or delete them",
                                        status->vms_left, vms));
    }
}

static bool host_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Host) host = host_decode(json, CODEC_TOLERANT, error);
    if (host == NULL) {
        return false;
    }
    const HostStatus *status = host->status;
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", host->name);
    cli_detail(details, "Id", host->id);
    cli_detail(details, "State", host_state_to_string(status->state));
    cli_detail_age(details, "Since", status->since_ms);
    cli_detail(details, "Cordoned", host->spec->cordoned ? "yes: takes no new VMs" : NULL);
    detail_drain(details, status);
    cli_detail_take(details, "VMs", g_strdup_printf("%" G_GINT64_FORMAT, status->vms));
    detail_facts(details, status->facts);
    detail_labels(details, host->spec->labels);
    detail_devices(details, status->devices);
    detail_quarantined(details, status->quarantined);
    cli_detail_age(details, "Joined", host->created_ms);
    cli_print_table(cli, details);
    if (status->ledger->len > 0) {
        cli_say(cli, "%s", "");
        ledger_print(cli, status->ledger);
    }
    return true;
}

static const char *const host_headings[] = {"NAME",    "STATE",   "ACCEL",  ">VMS", ">CPU",
                                            ">MEMORY", "ADDRESS", ">SINCE", NULL};
static const CliView host_view = {host_headings, host_row, host_details, .by_name = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_HOSTS}, &host_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_HOST, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &host_view, error);
}

/* Takes `body` over. */
static bool update(Cli *cli, const char *host, json_t *body, int64_t revision, const char *what,
                   GError **error)
{
    ApiCall call = {
        .operation = API_OP_UPDATE_HOST, .params = {host}, .body = body, .if_match = revision};
    json_t *answer = cli_call(cli, &call, error);
    bool ok = answer != NULL;
    if (ok && cli->format != CLI_TABLE) {
        cli_print_json(cli, answer);
    } else if (ok) {
        cli_say(cli, "host %s %s", host, what);
    }
    json_decref(answer);
    json_decref(body);
    return ok;
}

static bool set_cordoned(Cli *cli, bool cordoned, const char *what, GError **error)
{
    bool ok = true;
    for (guint i = 0; ok && cli_argument(cli, i) != NULL; i++) {
        json_t *body = json_pack("{s:b}", "cordoned", (int)cordoned);
        ok = update(cli, cli_argument(cli, i), body, 0, what, error);
    }
    return ok;
}

static bool cordon(Cli *cli, GError **error)
{
    return set_cordoned(cli, true, "takes no new VMs", error);
}

static bool uncordon(Cli *cli, GError **error)
{
    return set_cordoned(cli, false, "takes new VMs", error);
}

static bool drain(Cli *cli, GError **error)
{
    return change_each(cli, API_OP_DRAIN_HOST, NULL, error);
}

/* KEY=VALUE sets, KEY- takes away. */
static bool change_label(json_t *labels, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    size_t length = strlen(text);
    if (equals != NULL && equals != text) {
        g_autofree char *key = g_strndup(text, (gsize)(equals - text));
        json_object_set_new(labels, key, json_string(equals + 1));
        return true;
    }
    if (equals == NULL && length > 1 && text[length - 1] == '-') {
        g_autofree char *key = g_strndup(text, length - 1);
        json_object_del(labels, key);
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_INVALID, "LABEL", text,
                           "KEY=VALUE sets a label, KEY- takes it away", "not a change of a label");
}

/* The API replaces all labels at once, so they are read first; If-Match guards against another's
 * change in between. */
static bool label(Cli *cli, GError **error)
{
    const char *name = cli_argument(cli, 0);
    ApiCall call = {.operation = API_OP_GET_HOST, .params = {name}};
    json_t *host = cli_call(cli, &call, error);
    if (host == NULL) {
        return false;
    }
    int64_t revision = json_integer_value(json_object_get(host, "revision"));
    json_t *now = json_object_get(json_object_get(host, "spec"), "labels");
    json_t *labels = now != NULL ? json_copy(now) : json_object();
    json_decref(host);
    for (guint i = 1; cli_argument(cli, i) != NULL; i++) {
        if (!change_label(labels, cli_argument(cli, i), error)) {
            json_decref(labels);
            return false;
        }
    }
    json_t *body = json_pack("{s:o}", "labels", labels);
    return update(cli, name, body, revision, "has its labels", error);
}

static bool reserve(Cli *cli, GError **error)
{
    json_t *resources = json_object();
    json_t *body = json_pack("{s:o}", "reserve", resources);
    if (!quantities_from_args(cli->args, resources, error)) {
        json_decref(body);
        return false;
    }
    if (json_object_size(resources) == 0) {
        json_decref(body);
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "give --cpu, --memory, --disk, --disk-bw or --net-bw",
                               "reserve what, and how much?");
    }
    return update(cli, cli_argument(cli, 0), body, 0, "keeps its reserve", error);
}

static bool delete (Cli *cli, GError **error)
{
    return change_each(cli, API_OP_DELETE_HOST, NULL, error);
}

static bool token_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(JoinToken) token = join_token_decode(json, CODEC_TOLERANT, error);
    if (token == NULL) {
        return false;
    }
    table_add(table, token->id);
    table_take(table, berth_time_ago_format(token->expires_ms, cli_now_ms()));
    table_add_integer(table, token->uses);
    table_add(table, token->description);
    return true;
}

/* What the API takes when nothing is said. */
#define ANY_NUMBER 1000000

static bool token_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(JoinToken) token = join_token_decode(json, CODEC_TOLERANT, error);
    if (token == NULL) {
        return false;
    }
    g_autofree char *expires = berth_time_ago_format(token->expires_ms, cli_now_ms());
    cli_say(cli, "%s", token->token != NULL ? token->token : token->id);
    g_autofree char *hosts = berth_words_count(token->uses, "host");
    cli_note(cli, "expires %s; %s may join with it%s", expires,
             token->uses >= ANY_NUMBER ? "any number of hosts" : hosts,
             token->uses == 1 ? ":" : ", each with");
    cli_note(cli, "  berth-agent join --manager %s --token %s", api_client_url(cli->client),
             token->token != NULL ? token->token : "TOKEN");
    return true;
}

static const char *const token_headings[] = {"ID", "EXPIRES", ">USES", "DESCRIPTION", NULL};
static const CliView token_view = {token_headings, token_row, token_details};

static bool token_list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_JOIN_TOKENS}, &token_view, error);
}

static bool token_create(Cli *cli, GError **error)
{
    json_t *body = json_object();
    cli_set_text(cli, body, "description", "description");
    bool ok = cli_set_integer(cli, body, "uses", "uses", error) &&
              cli_set_seconds(cli, body, "valid-seconds", "valid", error);
    if (ok) {
        ApiCall call = {.operation = API_OP_CREATE_JOIN_TOKEN, .body = body};
        ok = cli_show(cli, &call, &token_view, error);
    }
    json_decref(body);
    return ok;
}

static bool token_revoke(Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_JOIN_TOKEN, "join token", error);
}

static const CliOption reserve_options[] = {QUANTITY_OPTIONS, DISK_OPTIONS, {NULL}};

static const CliOption token_options[] = {
    {"valid", 0, "DURATION", "how long it is good for: 1h (the default), 7d", "valid-seconds"},
    {"uses", 0, "COUNT", "how many hosts may join with it; any number unless told otherwise"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the hosts", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one host with its ledger",
     .run = show},
    {.verb = "cordon",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Lets hosts take no new VMs",
     .run = cordon},
    {.verb = "uncordon",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Lets hosts take new VMs again; ends a drain",
     .run = uncordon},
    {.verb = "drain",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Cordons hosts; they are drained when no VM runs there (VMs are not moved: stop or "
                "delete them)",
     .shared = CLI_WAIT,
     .run = drain},
    {.verb = "label",
     .arguments = "NAME KEY=VALUE|KEY-…",
     .min_arguments = 2,
     .max_arguments = -1,
     .summary = "Sets labels of a host, or takes them away",
     .run = label},
    {.verb = "reserve",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Keeps a part of a host for itself",
     .options = reserve_options,
     .run = reserve},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Removes hosts that have no VMs; their certificates are refused from then on",
     .shared = CLI_WAIT,
     .run = delete},
    {.verb = "token create",
     .summary = "Makes a token with which hosts join",
     .options = token_options,
     .run = token_create},
    {.verb = "token list",
     .summary = "Lists the join tokens that are still good",
     .run = token_list},
    {.verb = "token revoke",
     .arguments = "ID…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Makes join tokens worthless",
     .run = token_revoke},
    {NULL},
};

const CliGroup host_group = {"host", "Hosts: servers that run VMs", commands};
