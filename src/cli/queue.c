#include "cli/queue.h"

#include "base/timefmt.h"
#include "cli/commands.h"
#include "cli/ends.h"
#include "schema/objects.h"

bool queue_from_args(const Cli *cli, json_t *body, GError **error)
{
    if (!cli_set_integer(cli, body, "priority", "priority", error) ||
        !cli_set_seconds(cli, body, "queue-seconds", "queue-for", error)) {
        return false;
    }
    cli_set_text(cli, body, "deadline", "deadline");
    if (cli_args_has(cli->args, "no-preempt")) {
        json_object_set_new(body, "preemptible", json_false());
    }
    if (cli_args_has(cli->args, "queue") && !cli_args_has(cli->args, "queue-for")) {
        json_object_set_new(body, "queue", json_true());
    }
    return true;
}

static char *share_text(const QueueEntry *entry)
{
    return g_strdup_printf("%.1f%%", entry->share * 100);
}

static char *until_text(const QueueEntry *entry)
{
    int64_t left = entry->until_ms - cli_now_ms();
    g_autofree char *age = berth_age_format(MAX(left, 0));
    return entry->until_ms > 0 ? g_strdup_printf("in %s", age) : NULL;
}

/* "in 2h"; the whole is told by 'berth queue show'. */
static char *start_text(const QueueEntry *entry)
{
    return entry->expected_ms > 0 ? berth_time_ago_format(entry->expected_ms, cli_now_ms())
                                  : g_strdup("-");
}

static bool entry_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(QueueEntry) entry = queue_entry_decode(json, CODEC_TOLERANT, error);
    if (entry == NULL) {
        return false;
    }
    table_take(table, g_strdup_printf("%" G_GINT64_FORMAT, entry->place));
    table_add(table, entry->name);
    table_add(table, subject_kind_to_string(entry->kind));
    table_take(table, g_strdup_printf("%" G_GINT64_FORMAT, entry->count));
    table_add(table, entry->size);
    table_take(table, g_strdup_printf("%" G_GINT64_FORMAT, entry->priority));
    table_take(table, share_text(entry));
    table_take(table, cli_age(entry->since_ms));
    table_take(table, start_text(entry));
    table_add(table, entry->reason);
    return true;
}

static bool entry_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(QueueEntry) entry = queue_entry_decode(json, CODEC_TOLERANT, error);
    if (entry == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", entry->name);
    cli_detail(details, "Id", entry->id);
    cli_detail(details, "Kind", subject_kind_to_string(entry->kind));
    cli_detail(details, "Tenant", cli_other_tenant(entry->tenant));
    cli_detail_take(details, "Place", g_strdup_printf("%" G_GINT64_FORMAT, entry->place));
    cli_detail_take(details, "Priority", g_strdup_printf("%" G_GINT64_FORMAT, entry->priority));
    cli_detail_take(details, "Share of the tenant", share_text(entry));
    cli_detail_take(details, "VMs", g_strdup_printf("%" G_GINT64_FORMAT, entry->count));
    cli_detail(details, "Size", entry->size);
    cli_detail(details, "Waits because", entry->reason);
    cli_detail(details, "Starts", entry->expected);
    if (entry->deadline_ms > 0) {
        cli_detail_take(details, "Deadline", ends_time_text(entry->deadline_ms));
    }
    cli_detail(details, "Operation", entry->operation);
    cli_detail_age(details, "Since", entry->since_ms);
    cli_detail_take(details, "Is refused", until_text(entry));
    cli_print_table(cli, details);
    return true;
}

static const char *const headings[] = {">PLACE", "NAME", "KIND",   ">VMS",   "SIZE", ">PRIORITY",
                                       ">SHARE", ">AGE", "STARTS", "REASON", NULL};
static const CliView view = {headings, entry_row, entry_details, .tenants = true};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_QUEUE}, &view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_QUEUE_ENTRY, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &view, error);
}

static bool remove_entries(Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_QUEUE_ENTRY, "request", error);
}

static const CliCommand commands[] = {
    {.verb = "list",
     .summary = "Lists what waits for room, in the order in which it is served",
     .run = list,
     .details =
         "The highest priority is served first; among equals the tenant with the smallest "
         "dominant\n"
         "share; within a tenant who has waited longest. STARTS is the time that is promised "
         "to it: it\n"
         "starts then or before, and what would delay it waits. What has none is passed "
         "over, until\n"
         "it has waited so long that nothing behind it is served before it."},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one waiting request, and why it waits",
     .run = show},
    {.verb = "remove",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Takes requests out of the queue; their operations fail",
     .run = remove_entries},
    {NULL},
};

const CliGroup queue_group = {"queue", "The queue: what waits for room, and its order", commands};
