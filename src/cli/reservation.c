#include "cli/reservation.h"

#include "base/resources.h"
#include "base/timefmt.h"
#include "base/units.h"
#include "cli/change.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/ends.h"
#include "cli/policy.h"
#include "cli/quantities.h"
#include "schema/objects.h"

static bool reservation_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Reservation) r = reservation_decode(json, CODEC_TOLERANT, error);
    int64_t used = 0;
    bool risk = false;
    if (r == NULL) {
        return false;
    }
    for (guint i = 0; i < r->slots->len; i++) {
        const ReservationSlot *slot = r->slots->pdata[i];
        used += slot->vm != NULL;
        risk = risk || slot->risk != NULL;
    }
    table_add(table, r->name);
    table_take(table,
               g_strconcat(reservation_state_to_string(r->state), risk ? ", at risk" : "", NULL));
    table_take(table, g_strdup_printf("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, used, r->count));
    table_take(table, r->size != NULL ? g_strdup(r->size) : resources_format(r->resources));
    table_take(table, berth_time_format(r->start_ms));
    table_take(table, berth_time_format(r->end_ms));
    table_add(table, at_end_to_string(r->at_end));
    table_add(table, r->description);
    return true;
}

/* "gpu1 (3)", and so on; NULL: none. */
static char *devices_text(const GPtrArray *devices)
{
    GString *text = devices->len > 0 ? g_string_new(NULL) : NULL;
    for (guint i = 0; i < devices->len; i++) {
        const DeviceHeld *held = devices->pdata[i];
        g_string_append_printf(text, "%s%s (%" G_GINT64_FORMAT ")", i > 0 ? ", " : "", held->device,
                               held->slices);
    }
    return text != NULL ? g_string_free(text, FALSE) : NULL;
}

/* Of devices only slices are held by name (docs/devices.md), so most reservations have none. */
static bool holds_devices(const Reservation *r)
{
    bool any = false;
    for (guint i = 0; i < r->slots->len; i++) {
        any = any || ((const ReservationSlot *)r->slots->pdata[i])->devices->len > 0;
    }
    return any;
}

static void add_slots(Cli *cli, const Reservation *r)
{
    static const char *const plain[] = {"HOST", "VM", "AT RISK", NULL};
    static const char *const with_devices[] = {"HOST", "VM", "DEVICES", "AT RISK", NULL};
    bool devices = holds_devices(r);
    g_autoptr(Table) slots = table_new(devices ? with_devices : plain);
    for (guint i = 0; i < r->slots->len; i++) {
        const ReservationSlot *slot = r->slots->pdata[i];
        table_add(slots, slot->host_name);
        table_add(slots, slot->vm);
        if (devices) {
            table_take(slots, devices_text(slot->devices));
        }
        table_add(slots, slot->risk);
    }
    cli_say(cli, "%s", "");
    cli_print_table(cli, slots);
}

static bool reservation_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Reservation) r = reservation_decode(json, CODEC_TOLERANT, error);
    if (r == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", r->name);
    cli_detail(details, "Tenant", cli_other_tenant(r->tenant));
    cli_detail(details, "Description", r->description);
    cli_detail(details, "State", reservation_state_to_string(r->state));
    cli_detail(details, "Size", r->size);
    cli_detail_take(details, "Resources", resources_format(r->resources));
    cli_detail_take(details, "Count", g_strdup_printf("%" G_GINT64_FORMAT, r->count));
    cli_detail_take(details, "Start", ends_time_text(r->start_ms));
    cli_detail_take(details, "End", ends_time_text(r->end_ms));
    if (r->has_deadline_ms) {
        cli_detail_take(details, "Deadline", berth_time_format(r->deadline_ms));
    }
    cli_detail_take(details, "At end", ends_policy_text(r->at_end, r->grace_seconds));
    cli_print_table(cli, details);
    add_slots(cli, r);
    return true;
}

static const char *const headings[] = {"NAME", "STATE",  ">USED",       "SIZE", "START",
                                       "END",  "AT END", "DESCRIPTION", NULL};
static const CliView view = {headings, reservation_row, reservation_details, .tenants = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_RESERVATIONS}, &view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_RESERVATION, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &view, error);
}

static bool fill_body(Cli *cli, json_t *body, GError **error)
{
    static const char *const texts[] = {"size", "start", "deadline", "at-end", "description"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        cli_set_text(cli, body, texts[i], texts[i]);
    }
    json_auto_t *resources = json_object();
    if (!policy_from_args(cli, body, error) || !quantities_from_args(cli->args, resources, error)) {
        return false;
    }
    if (json_object_size(resources) > 0) {
        json_object_set(body, "resources", resources);
    }
    return cli_set_integer(cli, body, "count", "count", error) &&
           cli_set_seconds(cli, body, "duration-seconds", "for", error) &&
           cli_set_seconds(cli, body, "grace-seconds", "grace", error) &&
           cli_set_map(cli, body, "labels", "label", error) &&
           cli_set_map(cli, body, "host-labels", "host-label", error);
}

/* What was decided: when, and where. */
static bool tell(Cli *cli, const json_t *answer, GError **error)
{
    g_autoptr(Reservation) r = reservation_decode(answer, CODEC_TOLERANT, error);
    if (r == NULL) {
        return false;
    }
    g_autofree char *start = ends_time_text(r->start_ms);
    g_autofree char *end = berth_time_format(r->end_ms);
    cli_say(cli, "reservation %s %s: room for %" G_GINT64_FORMAT " from %s to %s", r->name,
            cli_args_has(cli->args, "dry-run") ? "would be made" : "made", r->count, start, end);
    const json_t *explanation = json_object_get(answer, "explanation");
    return explanation == NULL || explanation_print(cli, explanation, stdout, error);
}

json_t *reservation_make(Cli *cli, json_t *body, GError **error)
{
    static const char *const switches[] = {"dry-run", "explain"};
    json_auto_t *query = json_object();
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        if (cli_args_has(cli->args, switches[i])) {
            json_object_set_new(query, switches[i], json_true());
        }
    }
    ApiCall call = {.operation = API_OP_CREATE_RESERVATION, .body = body, .query = query};
    json_auto_t *answer = cli_call(cli, &call, error);
    bool told = answer != NULL && (cli->format != CLI_TABLE || tell(cli, answer, error));
    return told ? json_incref(answer) : NULL;
}

static bool create(Cli *cli, GError **error)
{
    json_auto_t *body = json_pack("{s:s}", "name", cli_argument(cli, 0));
    json_auto_t *answer = fill_body(cli, body, error) ? reservation_make(cli, body, error) : NULL;
    if (answer != NULL && cli->format != CLI_TABLE) {
        cli_print_json(cli, answer);
    }
    return answer != NULL;
}

static bool delete (Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_RESERVATION, "reservation", error);
}

static const CliOption create_options[] = {
    {"size", 's', "NAME", "of each VM to come; or its resources:"},
    QUANTITY_OPTIONS,
    DISK_OPTIONS,
    {"count", 'n', "COUNT", "room for so many VMs; 1 unless told otherwise"},
    {"for", 0, "DURATION", "how long: 90m, 2h, 3d", "duration-seconds"},
    {"start", 0, "TIME",
     "2026-11-25T20:00:00Z or +2h; the earliest there is unless told otherwise"},
    {"deadline", 0, "TIME", "of the end; with it the start may be later than --start"},
    AT_END_OPTIONS,
    {"policy", 0, "POLICY",
     "of placement; most-free unless told otherwise; or a mix, as most-free=2,cosine=1",
     "policy-weights"},
    {"label", 0, "KEY=VALUE", "of the VMs to come, for rules that speak of it; may be repeated",
     "labels"},
    {"host-label", 0, "KEY=VALUE", "only hosts that have it; may be repeated", "host-labels"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the reservations", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one reservation, its hosts and its VMs",
     .run = show},
    {.verb = "create",
     .arguments = "NAME [--size NAME] --for DURATION",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Reserves room for a time, or says when there would be",
     .options = create_options,
     .shared = CLI_DRY_RUN | CLI_EXPLAIN,
     .run = create,
     .details =
         "The hosts and the start are fixed at once. A --start without a --deadline is meant "
         "exactly;\nwith one it is the earliest that is wanted. VMs and apps are created into it "
         "with\n--reservation NAME once it has begun.\n\n"
         "Example: berth reservation create night --size m4 -n 4 --for 6h --deadline "
         "2026-11-26T06:00:00Z"},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Gives up reservations that no VM uses",
     .run = delete},
    {NULL},
};

const CliGroup reservation_group = {"reservation", "Reservations: room for VMs for a time",
                                    commands};
