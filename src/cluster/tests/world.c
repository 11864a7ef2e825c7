#include "world.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"

static void commit(World *w, const ClusterAction *action)
{
    for (guint i = 0; i < action->commit.absent->len; i++) {
        g_assert_false(g_hash_table_contains(w->store, action->commit.absent->pdata[i]));
    }
    w->revision++;
    g_assert_cmpint(w->revision, ==, action->commit.revision);
    g_assert_cmpuint(action->commit.puts->len + action->commit.absent->len, <=, 128);
    for (guint i = 0; i < action->commit.puts->len; i++) {
        const ClusterPut *put = action->commit.puts->pdata[i];
        if (put->value == NULL) {
            g_hash_table_remove(w->store, put->key);
        } else {
            g_hash_table_insert(w->store, g_strdup(put->key), g_bytes_ref(put->value));
        }
    }
}

AgentReport *report_of(const char *vm, int64_t epoch, int64_t generation, PowerIs power,
                       const Resources *applied)
{
    AgentReport *report = agent_report_new();
    report->sequence = 1;
    ReportedVm *reported = reported_vm_new();
    reported->id = g_strdup(vm);
    reported->status = vm_status_new();
    reported->status->epoch = epoch;
    reported->status->generation = generation;
    reported->status->power = power;
    reported->status->settled = true;
    reported->status->applied = resources_copy(applied);
    g_ptr_array_add(report->vms, reported);
    return report;
}

void deliver_report(World *w, const char *host, const AgentReport *report)
{
    ClusterEvent event = {.kind = CLUSTER_EVENT_AGENT_REPORT,
                          .agent = {.host = host, .session = 1, .report = report}};
    world_step(w, &event);
}

static void obey(World *w, const ClusterAction *action)
{
    ClusterEvent answer = {.kind = CLUSTER_EVENT_AGENT_ANSWER,
                           .answer = {.call = action->call.call}};
    world_step(w, &answer);
    if (strcmp(action->call.method, AGENT_METHOD_VM_APPLY) == 0) {
        g_autoptr(Assignment) a = assignment_decode(action->call.params, CODEC_STRICT, NULL);
        g_assert_nonnull(a);
        PowerIs power = a->power == POWER_WANTED_ON ? POWER_IS_RUNNING : POWER_IS_OFF;
        g_autoptr(AgentReport) report =
            report_of(a->id, a->epoch, a->generation, power, a->resources);
        deliver_report(w, action->call.host, report);
    } else if (strcmp(action->call.method, AGENT_METHOD_VM_REMOVE) == 0) {
        g_autoptr(VmRemove) removal = vm_remove_decode(action->call.params, CODEC_STRICT, NULL);
        g_autoptr(AgentReport) report =
            report_of(removal->id, removal->epoch, 1, POWER_IS_OFF, NULL);
        ((ReportedVm *)report->vms->pdata[0])->gone = true;
        deliver_report(w, action->call.host, report);
    }
}

static void perform(World *w, const ClusterAction *action)
{
    switch (action->kind) {
    case CLUSTER_ACTION_COMMIT:
        commit(w, action);
        if (w->durable) {
            w->committed = action->commit.revision;
            ClusterEvent event = {.kind = CLUSTER_EVENT_COMMITTED,
                                  .commit = {.revision = action->commit.revision}};
            world_step(w, &event);
        }
        break;
    case CLUSTER_ACTION_REPLY: {
        uint64_t *id = g_memdup2(&action->reply.request, sizeof(uint64_t));
        char *text = action->reply.error != NULL
                         ? berth_error_describe(action->reply.error)
                         : g_strndup(g_bytes_get_data(action->reply.body, NULL),
                                     g_bytes_get_size(action->reply.body));
        int status = action->reply.error != NULL ? berth_error_http_status(action->reply.error)
                                                 : action->reply.status;
        g_hash_table_insert(w->replies, id, g_strdup_printf("%d %s", status, text));
        g_free(text);
        break;
    }
    case CLUSTER_ACTION_CALL: {
        const char *subject = json_string_value(json_object_get(action->call.params, "id"));
        g_ptr_array_add(w->calls, g_strdup_printf("%s %s", action->call.method, subject));
        if (w->obedient) {
            obey(w, action);
        }
        break;
    }
    case CLUSTER_ACTION_ABORT:
        g_error("aborted: %s", action->abort_reason);
    default:
        break;
    }
}

void world_perform(World *w, ClusterActions *actions)
{
    for (guint i = 0; i < actions->len; i++) {
        perform(w, actions->pdata[i]);
    }
    g_ptr_array_unref(actions);
}

void world_commit_all(World *w)
{
    bool durable = w->durable;
    w->durable = false;
    while (w->committed < w->revision) {
        ClusterEvent event = {.kind = CLUSTER_EVENT_COMMITTED,
                              .commit = {.revision = ++w->committed}};
        world_step(w, &event);
    }
    w->durable = durable;
}

void world_step(World *w, const ClusterEvent *event)
{
    g_autoptr(GError) error = NULL;
    world_perform(w, cluster_step(w->core, event, ++w->now));
    cluster_core_check(w->core, &error);
    g_assert_no_error(error);
}

void world_boot(World *w)
{
    w->core = cluster_core_new(&w->config);
    GHashTableIter iter;
    void *key, *value;
    g_hash_table_iter_init(&iter, w->store);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        g_autoptr(GError) error = NULL;
        cluster_core_load(w->core, key, value, 1, &error);
        g_assert_no_error(error);
    }
    cluster_core_loaded(w->core, w->revision);
    w->committed = w->revision;
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_START});
}

World *world_new(void)
{
    World *w = g_new0(World, 1);
    w->store =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    w->replies = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    w->calls = g_ptr_array_new_with_free_func(g_free);
    w->config = (ClusterConfig){.seed = 7};
    w->durable = w->obedient = true;
    w->now = 1700000000000;
    w->principal = (ClusterPrincipal){.subject = "test", .tenant = "default"};
    world_boot(w);
    return w;
}

void world_free(World *w)
{
    cluster_core_free(w->core);
    g_hash_table_unref(w->store);
    g_hash_table_unref(w->replies);
    g_ptr_array_unref(w->calls);
    g_free(w);
}

const char *ask(World *w, ApiOperation operation, const char *param, const char *body)
{
    return ask_with(w, operation, param, codec_new(api_routes[operation].query), body);
}

const char *ask_with(World *w, ApiOperation operation, const char *param, void *query,
                     const char *body)
{
    const ApiRoute *route = &api_routes[operation];
    void *decoded = NULL;
    if (body != NULL) {
        g_autoptr(GError) error = NULL;
        json_t *json = codec_parse(body, strlen(body), NULL, &error);
        g_assert_no_error(error);
        decoded = codec_decode(route->body, json, CODEC_STRICT, &error);
        g_assert_no_error(error);
        json_decref(json);
    }
    const char *params[] = {param, NULL};
    ClusterRequest request = {.id = ++w->next_request,
                              .operation = operation,
                              .params = params,
                              .query = query,
                              .body = decoded,
                              .if_match = -1,
                              .secret = "5ec7e7",
                              .principal = w->principal};
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_REQUEST, .request = &request});
    codec_free(route->query, query);
    if (decoded != NULL) {
        codec_free(route->body, decoded);
    }
    return g_hash_table_lookup(w->replies, &request.id);
}

char *text_of(const char *reply, const char *member)
{
    json_t *json = json_loads(strchr(reply, '{'), 0, NULL);
    char *text = g_strdup(json_string_value(json_object_get(json, member)));
    json_decref(json);
    return text;
}

void report_up(World *w, const char *host, int64_t cpu, int64_t memory)
{
    world_step(
        w, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_UP, .agent = {.host = host, .session = 1}});
    g_autoptr(AgentReport) report = agent_report_new();
    report->sequence = 1;
    report->full = true;
    report->facts = host_facts_new();
    report->facts->address = g_strdup("192.0.2.1");
    report->facts->capacity = resources_new();
    report->facts->capacity->cpu = cpu;
    report->facts->capacity->memory = memory;
    report->facts->capacity->net_bw = 1000;
    deliver_report(w, host, report);
}

char *add_host(World *w, const char *name, int64_t cpu, int64_t memory)
{
    g_autofree char *token = text_of(ask(w, API_OP_CREATE_JOIN_TOKEN, NULL, "{}"), "token");
    g_autofree char *body =
        g_strdup_printf("{\"token\":\"%s\",\"name\":\"%s\",\"csr\":\"x\"}", token, name);
    char *host = text_of(ask(w, API_OP_JOIN_HOST, NULL, body), "host");
    g_assert_nonnull(host);
    report_up(w, host, cpu, memory);
    return host;
}

void add_image_and_size(World *w)
{
    const char *hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    g_autofree char *body = g_strdup_printf("{\"name\":\"demo\",\"kind\":\"kernel\",\"files\":[{"
                                            "\"role\":\"kernel\",\"sha256\":\"%s\",\"bytes\":9}]}",
                                            hash);
    g_autofree char *id = text_of(ask(w, API_OP_CREATE_IMAGE, NULL, body), "id");
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_IMAGE_RECEIVED,
                                  .received = {.image = id, .sha256 = hash, .request = 999}});
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_SIZE, NULL,
                                "{\"name\":\"m1\",\"resources\":{\"cpu\":1000,\"memory\":256}}"),
                            "201"));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_NETWORK, NULL, "{\"name\":\"lan\"}"), "201"));
}

World *world_of_four(void)
{
    World *w = world_new();
    g_free(add_host(w, "h1", 4000, 100000));
    add_image_and_size(w);
    ask(w, API_OP_CREATE_SIZE, NULL,
        "{\"name\":\"m3\",\"resources\":{\"cpu\":3000,\"memory\":256}}");
    ask(w, API_OP_CREATE_TENANT, NULL, "{\"name\":\"blue\",\"charged\":false}");
    ask(w, API_OP_CREATE_TENANT, NULL, "{\"name\":\"red\",\"charged\":false}");
    return w;
}

const char *create_vm_of(World *w, const char *name, const char *size, const char *more)
{
    g_autofree char *body =
        g_strdup_printf("{\"name\":\"%s\",\"size\":\"%s\",\"image\":\"demo\"%s}", name, size, more);
    return ask(w, API_OP_CREATE_VM, NULL, body);
}

void assert_goes_on_only_without(World *w, const char *vm, const char *reservation,
                                 const char *refusal)
{
    static const char on[] = "{\"power\":\"on\"}";
    const char *refused = ask(w, API_OP_UPDATE_VM, vm, on);
    g_assert_true(g_str_has_prefix(refused, "409"));
    g_assert_nonnull(strstr(refused, refusal));
    ask(w, API_OP_DELETE_RESERVATION, reservation, NULL);
    g_assert_false(g_str_has_prefix(ask(w, API_OP_UPDATE_VM, vm, on), "4"));
}

void world_wait(World *w, int64_t ms)
{
    w->now += ms - 1;
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_TICK});
}
