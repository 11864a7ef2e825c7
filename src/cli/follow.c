#include "cli/follow.h"

#include <string.h>

#include "base/error.h"
#include "cli/sse.h"

#define EVENT_MAX_BYTES (1 << 20)
#define SILENCE_SECONDS 60 /* the manager sends a comment every 15 s */
#define FIRST_PAUSE_MS 100
#define LAST_PAUSE_MS 5000

typedef enum { ENDED, LOST, FAILED } Outcome;

static json_t *query_of(const Follow *follow, int64_t from)
{
    json_t *query = json_pack("{s:b, s:I}", "follow", 1, "from", (json_int_t)from);
    if (follow->subject != NULL) {
        json_object_set_new(query, "subject", json_string(follow->subject));
    }
    if (follow->kind != NULL) {
        json_object_set_new(query, "kind", json_string(follow->kind));
    }
    return query;
}

/* The revision as of now, for those who want no past. */
static bool current_revision(Cli *cli, int64_t *ret_revision, GError **error)
{
    json_t *state = cli_call(cli, &(ApiCall){.operation = API_OP_GET_CLUSTER}, error);
    if (state == NULL) {
        return false;
    }
    *ret_revision = json_integer_value(json_object_get(state, "revision"));
    json_decref(state);
    return true;
}

static GInputStream *open_stream(Cli *cli, const Follow *follow, int64_t from, GError **error)
{
    json_t *query = query_of(follow, from);
    ApiCall call = {.operation = API_OP_LIST_EVENTS, .query = query};
    g_autoptr(SoupMessage) message = api_client_message(cli->client, &call);
    json_decref(query);
    SoupMessageHeaders *headers = soup_message_get_request_headers(message);
    soup_message_headers_replace(headers, "Accept", "text/event-stream");
    if (from > 0) {
        g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, from);
        soup_message_headers_replace(headers, "Last-Event-ID", id);
    }
    return api_client_send(cli->client, message, NULL, error);
}

static Outcome take_events(SseParser *parser, const Follow *follow, int64_t *from, GError **error)
{
    for (;;) {
        g_autoptr(SseEvent) event = sse_parser_next(parser);
        if (event == NULL) {
            return LOST;
        }
        json_t *json = codec_parse(event->data, strlen(event->data), NULL, error);
        if (json == NULL) {
            return FAILED;
        }
        bool more = follow->on_event(follow->data, json);
        json_decref(json);
        if (event->id != NULL) {
            *from = g_ascii_strtoll(event->id, NULL, 10);
        }
        if (!more) {
            return ENDED;
        }
    }
}

/* Reads until the connection ends; LOST then. */
static Outcome read_events(GInputStream *stream, const Follow *follow, int64_t *from,
                           GError **error)
{
    g_autoptr(SseParser) parser = sse_parser_new(EVENT_MAX_BYTES);
    char buffer[8192];
    gssize n;
    while ((n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, NULL)) > 0) {
        if (!sse_parser_push(parser, buffer, (size_t)n, error)) {
            return FAILED;
        }
        Outcome outcome = take_events(parser, follow, from, error);
        if (outcome != LOST) {
            return outcome;
        }
    }
    return LOST;
}

bool follow_events(Cli *cli, const Follow *follow, GError **error)
{
    int64_t from = follow->from;
    if (cli_connect(cli, error) == NULL || (from < 0 && !current_revision(cli, &from, error))) {
        return false;
    }
    api_client_set_timeout(cli->client, SILENCE_SECONDS);
    gulong pause_ms = FIRST_PAUSE_MS;
    for (bool connected_once = false;;) {
        GError *problem = NULL;
        g_autoptr(GInputStream) stream = open_stream(cli, follow, from, &problem);
        if (stream == NULL && (!connected_once || !api_error_is_absence(problem))) {
            g_propagate_error(error, problem);
            return false;
        }
        g_clear_error(&problem);
        if (stream != NULL) {
            connected_once = true;
            pause_ms = FIRST_PAUSE_MS;
            Outcome outcome = read_events(stream, follow, &from, error);
            if (outcome != LOST) {
                return outcome == ENDED;
            }
            cli_note(cli, "berth: the connection to the manager was lost; trying again");
        }
        g_usleep(pause_ms * 1000);
        pause_ms = MIN(pause_ms * 2, (gulong)LAST_PAUSE_MS);
    }
}
