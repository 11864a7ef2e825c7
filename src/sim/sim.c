#include "sim/sim.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"

#define BEGINNING_MS INT64_C(1767225600000)
#define PATIENCE_MS 60000
#define ANY_HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

Sim *sim_new(uint64_t seed, const ClusterConfig *config)
{
    return sim_new_at(seed, BEGINNING_MS, config);
}

Sim *sim_new_at(uint64_t seed, int64_t begins_ms, const ClusterConfig *config)
{
    Sim *sim = g_new0(Sim, 1);
    sim->world = sim_world_new(seed, begins_ms);
    sim->fleet = sim_fleet_new();
    sim->manager = sim_manager_new(sim->world, config);
    sim->agents = g_ptr_array_new();
    sim_manager_start(sim->manager);
    return sim;
}

static void drop_host(SimAgent *agent)
{
    SimMachine *machine = sim_agent_machine(agent);
    sim_link_free(sim_agent_link(agent));
    sim_agent_free(agent);
    sim_machine_free(machine);
}

void sim_free(Sim *sim)
{
    if (sim == NULL) {
        return;
    }
    sim_world_free(sim->world);
    for (guint i = 0; i < sim->agents->len; i++) {
        drop_host(sim->agents->pdata[i]);
    }
    g_ptr_array_unref(sim->agents);
    sim_manager_free(sim->manager);
    sim_fleet_free(sim->fleet);
    g_free(sim);
}

typedef struct {
    bool come;
    int status;
    json_t *body;
} Answer;

static void set_text(json_t *object, const char *key, const char *value)
{
    if (value != NULL) {
        json_object_set_new(object, key, json_string(value));
    }
}

/* As a client reads it. */
static json_t *body_of_error(const GError *error)
{
    json_t *problem = json_object();
    set_text(problem, "code", berth_error_code_name(error));
    set_text(problem, "message", error->message);
    set_text(problem, "field", berth_error_field(error));
    set_text(problem, "value", berth_error_value(error));
    set_text(problem, "remedy", berth_error_remedy(error));
    return json_pack("{s:o}", "error", problem);
}

static void on_answer(void *owner, const SimReply *reply)
{
    Answer *answer = owner;
    answer->come = true;
    answer->status = reply->status;
    answer->body = reply->error != NULL ? body_of_error(reply->error) : json_incref(reply->body);
}

int sim_ask_whole(Sim *sim, const char *method, const char *path, const json_t *body,
                  int64_t patience_ms, json_t **ret_body)
{
    Answer answer = {0};
    uint64_t id = sim_manager_ask(sim->manager, method, path, body, -1, on_answer, &answer);
    int64_t deadline = sim->world->now_ms + patience_ms;
    while (!answer.come && sim->world->broken == NULL && sim->world->now_ms < deadline) {
        sim_run_until(sim->world, sim->world->now_ms + 1);
    }
    if (!answer.come) {
        sim_manager_cancel(sim->manager, id);
    }
    *ret_body = answer.body;
    return answer.status;
}

static GError *error_of_body(const json_t *body)
{
    const json_t *problem = json_object_get(body, "error");
    const char *code_name = json_string_value(json_object_get(problem, "code"));
    BerthErrorCode code = BERTH_ERROR_INTERNAL;
    if (code_name != NULL) {
        berth_error_code_from_name(code_name, &code);
    }
    GError *error = NULL;
    const char *message = json_string_value(json_object_get(problem, "message"));
    berth_error_set(&error, code, json_string_value(json_object_get(problem, "field")),
                    json_string_value(json_object_get(problem, "value")),
                    json_string_value(json_object_get(problem, "remedy")), "%s",
                    message != NULL ? message : "refused");
    return error;
}

json_t *sim_ask(Sim *sim, const char *method, const char *path, const json_t *body,
                int64_t patience_ms, GError **error)
{
    json_t *result = NULL;
    int status = sim_ask_whole(sim, method, path, body, patience_ms, &result);
    if (status >= 400) {
        g_propagate_error(error, error_of_body(result));
        g_clear_pointer(&result, json_decref);
    } else if (result == NULL) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "%s %s was not answered",
                        method, path);
    }
    return result;
}

json_t *sim_ask_text(Sim *sim, const char *method, const char *path, const char *body,
                     GError **error)
{
    json_t *json = NULL;
    if (body != NULL) {
        g_autofree char *text = g_strdelimit(g_strdup(body), "'", '"');
        json = codec_parse(text, strlen(text), NULL, error);
        if (json == NULL) {
            return NULL;
        }
    }
    json_t *result = sim_ask(sim, method, path, json, PATIENCE_MS, error);
    json_decref(json);
    return result;
}

/* The id that the manager gives the host. */
static char *join(Sim *sim, const char *name, GError **error)
{
    json_t *token = sim_ask_text(sim, "POST", "/v1/join-tokens", "{}", error);
    if (token == NULL) {
        return NULL;
    }
    json_t *body = json_pack("{s:O, s:s, s:s}", "token", json_object_get(token, "token"), "name",
                             name, "csr", "a certificate request");
    json_t *joined = sim_ask(sim, "POST", "/v1/join", body, PATIENCE_MS, error);
    char *id = g_strdup(json_string_value(json_object_get(joined, "host")));
    json_decref(joined);
    json_decref(body);
    json_decref(token);
    return id;
}

SimAgent *sim_add_host(Sim *sim, const char *name, Resources *capacity, Resources *reserve,
                       GPtrArray *devices, GError **error)
{
    g_autofree char *id = join(sim, name, error);
    if (id == NULL) {
        resources_free(capacity);
        resources_free(reserve);
        g_clear_pointer(&devices, g_ptr_array_unref);
        return NULL;
    }
    return sim_place_host(sim, name, id, capacity, reserve, devices);
}

SimAgent *sim_place_host(Sim *sim, const char *name, const char *id, Resources *capacity,
                         Resources *reserve, GPtrArray *devices)
{
    SimMachine *machine =
        sim_machine_new(sim->world, sim->fleet, name, id, capacity, reserve, devices);
    SimAgent *agent = sim_agent_new(sim->world, machine, &sim->trouble);
    SimEnds ends;
    sim_agent_ends(&ends);
    sim_manager_ends(&ends);
    sim_agent_set_link(agent, sim_link_new(sim->world, id, &ends, sim->manager, agent));
    g_ptr_array_add(sim->agents, agent);
    sim_manager_add_link(sim->manager, sim_agent_link(agent));
    sim_agent_start(agent);
    return agent;
}

SimAgent *sim_find_host(const Sim *sim, const char *name)
{
    for (guint i = 0; i < sim->agents->len; i++) {
        SimAgent *agent = sim->agents->pdata[i];
        if (strcmp(sim_agent_machine(agent)->name, name) == 0) {
            return agent;
        }
    }
    return NULL;
}

SimAgent *sim_find_host_by_id(const Sim *sim, const char *id)
{
    for (guint i = 0; i < sim->agents->len; i++) {
        SimAgent *agent = sim->agents->pdata[i];
        if (strcmp(sim_agent_machine(agent)->id, id) == 0) {
            return agent;
        }
    }
    return NULL;
}

/* The contents of a new image arrive. */
static void receive_contents(Sim *sim, const json_t *image)
{
    const char *id = json_string_value(json_object_get(image, "id"));
    const json_t *file;
    size_t i;
    json_array_foreach (json_object_get(image, "files"), i, file) {
        sim_manager_receive_image(sim->manager, id,
                                  json_string_value(json_object_get(file, "sha256")));
    }
}

json_t *sim_create_image(Sim *sim, const json_t *body, GError **error)
{
    json_t *image = sim_ask(sim, "POST", "/v1/images", body, PATIENCE_MS, error);
    if (image != NULL) {
        receive_contents(sim, image);
    }
    return image;
}

bool sim_add_image(Sim *sim, const char *name, GError **error)
{
    json_t *body = json_pack("{s:s, s:s, s:[{s:s, s:s, s:i}]}", "name", name, "kind", "kernel",
                             "files", "role", "kernel", "sha256", ANY_HASH, "bytes", 1000000);
    json_t *image = sim_create_image(sim, body, error);
    json_decref(body);
    json_decref(image);
    return image != NULL;
}
