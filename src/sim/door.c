#include "sim/door.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"

typedef struct {
    uint64_t id;
    const ApiRoute *route;
    SimReplyFunc reply; /* NULL: nobody waits */
    void *owner;
    int64_t barrier;
} Waiting;

struct SimDoor {
    GTree *waiting; /* id → Waiting */
    uint64_t last;
};

struct SimVisit {
    const ApiRoute *route;
    char **params;
    void *query, *body;
};

static int compare_numbers(const void *a, const void *b, void *data)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

SimDoor *sim_door_new(void)
{
    SimDoor *door = g_new0(SimDoor, 1);
    door->waiting = g_tree_new_full(compare_numbers, NULL, NULL, g_free);
    return door;
}

void sim_door_free(SimDoor *door)
{
    if (door != NULL) {
        g_tree_unref(door->waiting);
        g_free(door);
    }
}

void sim_visit_free(SimVisit *visit)
{
    if (visit != NULL) {
        if (visit->query != NULL) {
            codec_free(visit->route->query, visit->query);
        }
        if (visit->body != NULL) {
            codec_free(visit->route->body, visit->body);
        }
        g_strfreev(visit->params);
        g_free(visit);
    }
}

static bool decode_query(SimVisit *visit, const char *text, GError **error)
{
    g_autoptr(GHashTable) values =
        text != NULL ? g_uri_parse_params(text, -1, "&", G_URI_PARAMS_NONE, error) : NULL;
    if (text != NULL && values == NULL) {
        return false;
    }
    visit->query = codec_decode_strings(visit->route->query, values, error);
    return visit->query != NULL;
}

static bool decode_body(SimVisit *visit, const json_t *body, GError **error)
{
    if (visit->route->body == NULL) {
        return body == NULL || berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "send none",
                                               "%s takes no body", visit->route->name);
    }
    if (body == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "send a JSON object",
                               "%s wants a body", visit->route->name);
    }
    visit->body = codec_decode(visit->route->body, body, CODEC_STRICT, error);
    return visit->body != NULL;
}

static SimVisit *read_request(const char *method, const char *target, const json_t *body,
                              GError **error)
{
    g_auto(GStrv) parts = g_strsplit(target, "?", 2);
    g_autoptr(SimVisit) visit = g_new0(SimVisit, 1);
    bool path_known = false;
    visit->route = api_route_match(api_routes, API_N_OPERATIONS, method, parts[0], &visit->params,
                                   &path_known);
    if (visit->route == NULL) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, "path", target, "see schema/api.yaml",
                        "there is no %s of it", method);
        return NULL;
    }
    return decode_query(visit, parts[1], error) && decode_body(visit, body, error)
               ? g_steal_pointer(&visit)
               : NULL;
}

/* As the manager's door reads it; the simulator is bound to none. */
static const char *tenant_asked(const SimVisit *visit)
{
    const CodecType *type = visit->route->query;
    for (size_t i = 0; i < type->n_fields; i++) {
        if (strcmp(type->fields[i].name, "tenant") == 0) {
            const char *member = (const char *)visit->query + type->fields[i].offset;
            const char *tenant = *(char *const *)(const void *)member;
            return tenant != NULL ? tenant : "default";
        }
    }
    return "default";
}

SimVisit *sim_door_enter(SimDoor *door, const char *method, const char *path, const json_t *body,
                         SimReplyFunc reply, void *owner, ClusterRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SimVisit) visit = read_request(method, path, body, &error);
    uint64_t id = ++door->last;
    if (visit == NULL) {
        SimReply refusal = {.request = id,
                            .status = berth_error_http_status(error),
                            .error = error,
                            .revision = -1};
        reply(owner, &refusal);
        return NULL;
    }
    Waiting *waiting = g_new0(Waiting, 1);
    *waiting = (Waiting){.id = id, .route = visit->route, .reply = reply, .owner = owner};
    g_tree_insert(door->waiting, &waiting->id, waiting);
    request->id = id;
    request->operation = visit->route->operation;
    request->params = (const char *const *)visit->params;
    request->query = visit->query;
    request->body = visit->body;
    request->principal = (ClusterPrincipal){.subject = "simulator", .tenant = tenant_asked(visit)};
    request->secret = "5ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7";
    return g_steal_pointer(&visit);
}

uint64_t sim_door_last(const SimDoor *door)
{
    return door->last;
}

uint64_t sim_door_nobody(SimDoor *door)
{
    return ++door->last;
}

void sim_door_set_barrier(SimDoor *door, uint64_t request, int64_t revision)
{
    Waiting *waiting = g_tree_lookup(door->waiting, &request);
    if (waiting != NULL) {
        waiting->barrier = revision;
    }
}

int64_t sim_door_barrier(const SimDoor *door, uint64_t request)
{
    const Waiting *waiting = g_tree_lookup(door->waiting, &request);
    return waiting != NULL ? waiting->barrier : 0;
}

static void check_reply(SimWorld *world, const Waiting *waiting, int status, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    if (!api_response_validate(waiting->route, status, body, &error)) {
        g_autofree char *text = berth_error_describe(error);
        sim_broken(world, "the answer to %s does not fit its schema: %s", waiting->route->name,
                   text);
    }
}

void sim_door_reply(SimDoor *door, SimWorld *world, const ClusterAction *action)
{
    Waiting *waiting = g_tree_lookup(door->waiting, &action->reply.request);
    if (waiting == NULL) {
        return;
    }
    Waiting who = *waiting;
    g_tree_remove(door->waiting, &who.id);
    SimReply reply = {.request = who.id,
                      .status = action->reply.error != NULL
                                    ? berth_error_http_status(action->reply.error)
                                    : action->reply.status,
                      .error = action->reply.error,
                      .revision = action->reply.revision};
    GBytes *bytes = action->reply.body;
    reply.body = bytes != NULL
                     ? json_loadb(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0, NULL)
                     : NULL;
    if (reply.error == NULL && who.route->operation != API_OP_JOIN_HOST) {
        check_reply(world, &who, reply.status, reply.body);
    }
    if (reply.error != NULL && reply.status == 500) {
        sim_broken(world, "%s answers with an internal error: %s", who.route->name,
                   reply.error->message);
    }
    who.reply(who.owner, &reply);
    json_decref(reply.body);
}

void sim_door_refuse(SimDoor *door, uint64_t request)
{
    Waiting *waiting = g_tree_lookup(door->waiting, &request);
    if (waiting != NULL) {
        Waiting who = *waiting;
        g_tree_remove(door->waiting, &who.id);
        SimReply reply = {.request = who.id, .revision = -1};
        who.reply(who.owner, &reply);
    }
}

bool sim_door_forget(SimDoor *door, uint64_t request)
{
    return g_tree_remove(door->waiting, &request);
}

void sim_door_hang_up(SimDoor *door)
{
    while (g_tree_nnodes(door->waiting) > 0) {
        sim_door_refuse(door, *(uint64_t *)g_tree_node_key(g_tree_node_first(door->waiting)));
    }
}
