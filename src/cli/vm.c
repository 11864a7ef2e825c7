#include "cli/vm.h"

#include "base/error.h"
#include "base/resources.h"
#include "base/units.h"
#include "cli/change.h"
#include "cli/commands.h"
#include "cli/ends.h"
#include "cli/names.h"
#include "cli/policy.h"
#include "cli/quantities.h"
#include "cli/queue.h"
#include "schema/objects.h"

/* "running", "running (resizing)", "crashed (guest-panic)", "pending". */
static char *power_text(const Vm *vm)
{
    const VmStatus *status = vm->status;
    if (vm->spec->removing) {
        return g_strdup("stopping (being deleted)");
    }
    if (status == NULL || status->power == POWER_IS_UNSET) {
        return g_strdup(vm->placement == NULL     ? "pending (no host)"
                        : vm->placement->claiming ? "pending (others make room)"
                                                  : "pending");
    }
    const char *more = NULL;
    if (vm->spec->preempted) {
        more = "preempted";
    } else if (status->transition != TRANSITION_UNSET && status->transition != TRANSITION_NONE) {
        more = transition_to_string(status->transition);
    } else if (status->power != POWER_IS_RUNNING && status->cause != POWER_CAUSE_REQUESTED) {
        more = power_cause_to_string(status->cause);
    }
    const char *power = power_is_to_string(status->power);
    return more != NULL && g_strcmp0(more, power) != 0 ? g_strdup_printf("%s (%s)", power, more)
                                                       : g_strdup(power);
}

static const char *address_of(const Vm *vm)
{
    for (guint i = 0; vm->placement != NULL && i < vm->placement->nics->len; i++) {
        const Nic *nic = vm->placement->nics->pdata[i];
        if (nic->ipv4 != NULL) {
            return nic->ipv4;
        }
    }
    return NULL;
}

static bool vm_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Vm) vm = vm_decode(json, CODEC_TOLERANT, error);
    if (vm == NULL) {
        return false;
    }
    const Resources *r = vm->spec->resources;
    table_add(table, vm->name);
    table_take(table, power_text(vm));
    table_add(table, vm->placement != NULL ? vm->placement->host_name : NULL);
    table_take(table, berth_quantity_format(BERTH_QUANTITY_CPU, r->cpu));
    table_take(table, berth_quantity_format(BERTH_QUANTITY_MEMORY, r->memory));
    table_add(table, address_of(vm));
    table_add(table, name_of(cli, API_OP_LIST_APPS, vm->spec->app));
    table_take(table, cli_age(vm->spec->created_ms));
    return true;
}

static void detail_spec(Cli *cli, Table *details, const Vm *vm)
{
    const VmSpec *spec = vm->spec;
    cli_detail(details, "Name", vm->name);
    cli_detail(details, "Id", vm->id);
    cli_detail(details, "Tenant", cli_other_tenant(vm->tenant));
    cli_detail(details, "Description", spec->description);
    cli_detail(details, "App", name_of(cli, API_OP_LIST_APPS, spec->app));
    cli_detail(details, "Size", spec->size);
    cli_detail_take(details, "Resources", resources_format(spec->resources));
    cli_detail_take(details, "vCPUs",
                    g_strdup_printf("%" G_GINT64_FORMAT ", at most %" G_GINT64_FORMAT, spec->vcpus,
                                    spec->max_vcpus));
    cli_detail(details, "Image", name_of(cli, API_OP_LIST_IMAGES, spec->image));
    cli_detail(details, "Restart", restart_policy_to_string(spec->restart));
    cli_detail(details, "Wanted", power_wanted_to_string(spec->power));
    cli_detail_age(details, "Created", spec->created_ms);
    cli_detail(details, "Trust domain", spec->trust_domain);
    cli_detail(details, "Reservation", name_of(cli, API_OP_LIST_RESERVATIONS, spec->reservation));
    ends_details(details, spec->ends_ms, spec->at_end, spec->grace_seconds);
}

static void detail_devices(Table *details, const GPtrArray *devices)
{
    for (guint i = 0; i < devices->len; i++) {
        const DeviceHeld *held = devices->pdata[i];
        g_autofree char *of =
            held->of > 1 ? g_strdup_printf(" of %" G_GINT64_FORMAT, held->of) : g_strdup("");
        bool one = held->slices == 1 && held->of <= 1;
        cli_detail_take(details, "Device",
                        g_strdup_printf("%s: %s, %" G_GINT64_FORMAT "%s slice%s", held->device,
                                        held->model, held->slices, of, one ? "" : "s"));
    }
}

static void detail_placement(Cli *cli, Table *details, const VmPlacement *placement)
{
    if (placement == NULL) {
        return;
    }
    const Hardware *hardware = placement->hardware;
    cli_detail(details, "Host",
               placement->host_name != NULL ? placement->host_name : placement->host);
    cli_detail(details, "Why there", placement->why);
    cli_detail_take(details, "Epoch", g_strdup_printf("%" G_GINT64_FORMAT, placement->epoch));
    cli_detail_take(details, "Hardware",
                    g_strdup_printf("%s, %s, %s", hardware->machine, hardware->cpu_model,
                                    accelerator_to_string(hardware->accelerator)));
    for (guint i = 0; i < placement->nics->len; i++) {
        const Nic *nic = placement->nics->pdata[i];
        cli_detail_take(details, "Network",
                        g_strdup_printf("%s: %s%s%s, %s",
                                        name_of(cli, API_OP_LIST_NETWORKS, nic->network),
                                        nic->ipv4 != NULL ? nic->ipv4 : "no address",
                                        nic->ipv6 != NULL ? ", " : "",
                                        nic->ipv6 != NULL ? nic->ipv6 : "", nic->mac));
    }
    detail_devices(details, placement->devices);
}

static void detail_status(Table *details, const VmStatus *status)
{
    if (status == NULL) {
        return;
    }
    cli_detail_age(details, "Since", status->since_ms);
    cli_detail(details, "Cause", power_cause_to_string(status->cause));
    cli_detail(details, "Message", status->message);
    cli_detail_take(details, "Restarts", g_strdup_printf("%" G_GINT64_FORMAT, status->restarts));
    cli_detail_take(details, "vCPUs online",
                    g_strdup_printf("%" G_GINT64_FORMAT, status->vcpus_online));
    if (status->applied != NULL) {
        cli_detail_take(details, "Applied", resources_format(status->applied));
    }
    cli_detail(details, "Guest agent", status->guest_agent ? "answers" : "has not answered yet");
}

static bool vm_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Vm) vm = vm_decode(json, CODEC_TOLERANT, error);
    if (vm == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    detail_spec(cli, details, vm);
    cli_detail_take(details, "Power", power_text(vm));
    detail_status(details, vm->status);
    detail_placement(cli, details, vm->placement);
    cli_print_table(cli, details);
    return true;
}

static const char *const vm_headings[] = {"NAME",    "POWER", "HOST", ">CPU", ">MEMORY",
                                          "ADDRESS", "APP",   ">AGE", NULL};
static const CliView vm_view = {vm_headings, vm_row, vm_details, .tenants = true};

static bool list(Cli *cli, GError **error)
{
    json_t *query = json_object();
    cli_set_text(cli, query, "app", "app");
    cli_set_text(cli, query, "host", "host");
    ApiCall call = {.operation = API_OP_LIST_VMS, .query = query};
    bool ok = cli_list(cli, &call, &vm_view, error);
    json_decref(query);
    return ok;
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_VM, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &vm_view, error);
}

static bool create(Cli *cli, GError **error)
{
    static const char *const texts[] = {"size", "image",       "power",       "restart",
                                        "host", "description", "trust-domain"};
    json_t *body = json_pack("{s:s}", "name", cli_argument(cli, 0));
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        cli_set_text(cli, body, texts[i], texts[i]);
    }
    cli_set_texts(cli, body, "networks", "network");
    bool ok = policy_from_args(cli, body, error) &&
              cli_set_map(cli, body, "labels", "label", error) &&
              cli_set_map(cli, body, "host-labels", "host-label", error) &&
              queue_from_args(cli, body, error) && ends_from_args(cli, body, error) &&
              change_one(cli, &(ApiCall){.operation = API_OP_CREATE_VM, .body = body}, error);
    json_decref(body);
    return ok;
}

static bool resize(Cli *cli, GError **error)
{
    json_t *body = json_object();
    bool ok = quantities_from_args(cli->args, body, error) &&
              cli_set_integer(cli, body, "vcpus", "vcpus", error);
    if (ok && json_object_size(body) == 0) {
        ok = berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                             "give --cpu, --memory, --disk-bw, --net-bw or --vcpus",
                             "resize what, and to what?");
    }
    if (ok) {
        ApiCall call = {
            .operation = API_OP_RESIZE_VM, .params = {cli_argument(cli, 0)}, .body = body};
        ok = change_one(cli, &call, error);
    }
    json_decref(body);
    return ok;
}

static bool set_power(Cli *cli, const char *power, GError **error)
{
    json_t *body = json_pack("{s:s}", "power", power);
    bool ok = change_each(cli, API_OP_UPDATE_VM, body, error);
    json_decref(body);
    return ok;
}

static bool start(Cli *cli, GError **error)
{
    return set_power(cli, "on", error);
}

static bool stop(Cli *cli, GError **error)
{
    return set_power(cli, "off", error);
}

static bool set(Cli *cli, GError **error)
{
    json_t *body = json_object();
    cli_set_text(cli, body, "restart", "restart");
    cli_set_text(cli, body, "description", "description");
    bool ok = json_object_size(body) > 0
                  ? change_each(cli, API_OP_UPDATE_VM, body, error)
                  : berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                                    "give --restart or --description", "set what?");
    json_decref(body);
    return ok;
}

static bool delete (Cli *cli, GError **error)
{
    return change_each(cli, API_OP_DELETE_VM, NULL, error);
}

static bool adopt(Cli *cli, GError **error)
{
    return change_each(cli, API_OP_ADOPT_VM, NULL, error);
}

static bool purge(Cli *cli, GError **error)
{
    return change_each(cli, API_OP_PURGE_VM, NULL, error);
}

static bool explain(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_EXPLAIN_VM, .params = {cli_argument(cli, 0)}};
    json_t *explanation = cli_call(cli, &call, error);
    bool ok = explanation != NULL;
    if (ok && cli->format != CLI_TABLE) {
        cli_print_json(cli, explanation);
    } else if (ok) {
        ok = explanation_print(cli, explanation, stdout, error);
    }
    json_decref(explanation);
    return ok;
}

static const CliOption list_options[] = {
    {"app", 0, "NAME", "only of this app"},
    {"host", 0, "NAME", "only on this host"},
    {NULL},
};

static const CliOption create_options[] = {
    {"size", 's', "NAME", "what it gets"},
    {"image", 'i', "NAME", "that it boots"},
    {"network", 'N', "NAME", "may be repeated, or a list with commas", "networks"},
    {"host", 0, "NAME", "place it there or nowhere"},
    {"label", 0, "KEY=VALUE", "for rules that speak of it; may be repeated", "labels"},
    {"host-label", 0, "KEY=VALUE", "only hosts that have it; may be repeated", "host-labels"},
    {"trust-domain", 0, "NAME", "memory may be merged with that of your other VMs of this name"},
    END_OPTIONS,
    {"power", 0, "POWER", "on (the default) or off"},
    {"restart", 0, "POLICY", "always (the default), on-failure or never"},
    {"policy", 0, "POLICY",
     "of placement: most-free (the default), least-free, first-fit, cosine, "
     "dot-product, l2-diff, l2-ratio, l2-ratio-spread or fragmentation; or a mix, as "
     "most-free=2,cosine=1",
     "policy-weights"},
    QUEUE_OPTIONS,
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliOption resize_options[] = {
    QUANTITY_OPTIONS,
    {"vcpus", 0, "COUNT", "online in the guest; enough for --cpu unless told otherwise"},
    {NULL},
};

static const CliOption set_options[] = {
    {"restart", 0, "POLICY", "always, on-failure or never"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliOption exec_options[] = {
    {"wait", 0, "[SECONDS]",
     "until the guest has booted and its agent answers, at most so long; 300 unless told "
     "otherwise"},
    {"timeout", 0, "DURATION",
     "wait so long for its end: 30s (the default), 5m; then it goes on without us"},
    {NULL},
};

static const CliOption console_options[] = {
    {"for", 0, "DURATION", "end after so long: 10s"},
    {"read-only", 0, NULL, "send nothing of what is typed"},
    {NULL},
};

#define ONE .arguments = "NAME", .min_arguments = 1, .max_arguments = 1
#define SEVERAL .arguments = "NAME…", .min_arguments = 1, .max_arguments = -1

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the VMs", .options = list_options, .run = list},
    {.verb = "show", ONE, .summary = "Shows one VM", .run = show},
    {.verb = "create",
     .arguments = "NAME --size NAME --image NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Creates a VM: places it and starts it",
     .options = create_options,
     .shared = CLI_WAIT | CLI_DRY_RUN | CLI_EXPLAIN,
     .run = create,
     .details = "Example: berth vm create web-1 --size small --image demo --network blue"},
    {.verb = "resize",
     ONE,
     .summary = "Changes what a VM may use, while it runs",
     .options = resize_options,
     .shared = CLI_WAIT | CLI_DRY_RUN,
     .run = resize,
     .details = "What is not given stays. Memory stays within what the VM was created with.\n\n"
                "Example: berth vm resize web-1 --cpu 250m --net-bw 10Mbit"},
    {.verb = "start",
     SEVERAL,
     .summary = "Turns VMs on",
     .shared = CLI_WAIT | CLI_DRY_RUN,
     .run = start},
    {.verb = "stop",
     SEVERAL,
     .summary = "Turns VMs off",
     .shared = CLI_WAIT | CLI_DRY_RUN,
     .run = stop},
    {.verb = "set",
     SEVERAL,
     .summary = "Changes restart policy or description",
     .options = set_options,
     .shared = CLI_WAIT | CLI_DRY_RUN,
     .run = set},
    {.verb = "delete",
     SEVERAL,
     .summary = "Ends VMs and removes their disks",
     .shared = CLI_WAIT,
     .details = "An app makes others for those of its VMs that are deleted: scale it down instead.",
     .run = delete},
    {.verb = "exec",
     .arguments = "NAME [--] PROGRAM [ARGUMENT…]",
     .min_arguments = 2,
     .max_arguments = -1,
     .verbatim = true,
     .summary = "Runs a program in the guest",
     .options = exec_options,
     .run = vm_exec,
     .details =
         "The guest's agent runs it; what it prints, a MiB of each stream at most, is printed here "
         "when it has\nended, and its exit status is berth's (128 and more: ended by that signal). "
         "Options of "
         "berth stand before NAME.\n\nExample: berth vm exec --wait web-1 uname -a"},
    {.verb = "console",
     ONE,
     .summary = "Opens the serial console",
     .options = console_options,
     .run = vm_console,
     .details = "Begins with what the console said lately. Ctrl-] ends it."},
    {.verb = "explain",
     ONE,
     .summary = "Says why it is where it is, and why not elsewhere",
     .run = explain},
    {.verb = "adopt",
     .arguments = "ID…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Takes quarantined VMs into the store as they run",
     .shared = CLI_WAIT,
     .run = adopt},
    {.verb = "purge",
     .arguments = "ID…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Ends quarantined VMs for good",
     .shared = CLI_WAIT,
     .run = purge},
    {NULL},
};

const CliGroup vm_group = {"vm", "VMs", commands};
