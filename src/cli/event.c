#include <string.h>

#include "base/error.h"
#include "base/timefmt.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "schema/objects.h"

static bool event_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Event) event = event_decode(json, CODEC_TOLERANT, error);
    if (event == NULL) {
        return false;
    }
    const Subject *subject = event->subject;
    table_add_integer(table, event->revision);
    table_take(table, berth_time_format(event->at_ms));
    table_add(table, event->kind);
    table_add(table, subject == NULL ? NULL : subject->name != NULL ? subject->name : subject->id);
    table_add(table, event->message);
    return true;
}

static const char *const event_headings[] = {">REVISION", "TIME",    "KIND",
                                             "SUBJECT",   "MESSAGE", NULL};

static bool print_events(Cli *cli, json_t *items, GError **error)
{
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, items);
        return true;
    }
    g_autoptr(Table) table = table_new(event_headings);
    size_t i;
    json_t *item;
    json_array_foreach (items, i, item) {
        if (!event_row(cli, table, item, error)) {
            return false;
        }
    }
    cli_print_table(cli, table);
    return true;
}

/* Page by page, each from the revision that the one before ends with. */
static json_t *all_events(Cli *cli, json_t *query, GError **error)
{
    json_t *items = json_array();
    for (bool more = true; more;) {
        ApiCall call = {.operation = API_OP_LIST_EVENTS, .query = query};
        json_auto_t *answer = cli_call(cli, &call, error);
        if (answer == NULL) {
            json_decref(items);
            return NULL;
        }
        json_t *page = json_object_get(answer, "items");
        more = json_array_size(page) > 0;
        json_array_extend(items, page);
        json_object_set(query, "from", json_object_get(answer, "revision"));
    }
    return items;
}

static bool list(Cli *cli, GError **error)
{
    json_t *query = json_pack("{s:i, s:i}", "from", 0, "limit", 1000);
    int64_t since_ms = 0;
    cli_set_text(cli, query, "subject", "subject");
    cli_set_text(cli, query, "kind", "kind");
    bool ok =
        cli_set_integer(cli, query, "from", "from", error) && cli_since(cli, &since_ms, error);
    if (since_ms > 0) {
        json_object_set_new(query, "since", json_integer(since_ms));
    }
    json_t *items = ok ? all_events(cli, query, error) : NULL;
    ok = items != NULL && print_events(cli, items, error);
    json_decref(items);
    json_decref(query);
    return ok;
}

/* As a line, so that a pipe gets each event when it comes. */
static bool print_event(void *data, const json_t *json)
{
    Cli *cli = data;
    g_autoptr(Event) event = event_decode(json, CODEC_TOLERANT, NULL);
    if (cli->format == CLI_JSON) {
        g_autofree char *text = codec_dump(json);
        puts(text);
    } else if (cli->format == CLI_YAML) {
        puts("---");
        cli_print_json(cli, json);
    } else if (event != NULL) {
        g_autofree char *time = berth_time_format(event->at_ms);
        cli_say(cli, "%s  %-14s  %s", time, event->kind, event->message);
    }
    return fflush(stdout) == 0 && !ferror(stdout);
}

static bool follow(Cli *cli, GError **error)
{
    json_t *numbers = json_object();
    bool ok = cli_set_integer(cli, numbers, "from", "from", error);
    const json_t *from = json_object_get(numbers, "from");
    Follow wanted = {.from = from != NULL ? json_integer_value(from) : -1,
                     .subject = cli_args_get(cli->args, "subject"),
                     .kind = cli_args_get(cli->args, "kind"),
                     .on_event = print_event,
                     .data = cli};
    json_decref(numbers);
    return ok && follow_events(cli, &wanted, error);
}

#define EVENT_OPTIONS                                                                              \
    {"from", 0, "REVISION", "only what came after it"},                                            \
        {"subject", 0, "NAME", "only of the object with this name or id"},                         \
    {                                                                                              \
        "kind", 0, "KIND", "only such: vm.running, or vm for all that happens to VMs"              \
    }

static const CliOption list_options[] = {EVENT_OPTIONS, SINCE_OPTION, {NULL}};

static const CliOption follow_options[] = {EVENT_OPTIONS, {NULL}};

static const CliCommand commands[] = {
    {.verb = "list",
     .summary = "Lists the events that are kept, newest last",
     .options = list_options,
     .run = list,
     .details = "Example: berth event list --since 1h --kind vm.crashed"},
    {.verb = "follow",
     .summary = "Shows events as they come",
     .options = follow_options,
     .run = follow,
     .details = "With -o json each event is one line. Without --from it begins with what happens "
                "now."},
    {NULL},
};

const CliGroup event_group = {"event", "Events: what happened", commands};
