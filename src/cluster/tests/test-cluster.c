#include "cluster/cluster.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"

/* A cluster core, a store that is a hash table, and hosts that do at once what they are told. */
typedef struct {
    ClusterCore *core;
    GHashTable *store; /* key → GBytes */
    int64_t revision, now;
    uint64_t next_request;
    bool durable;        /* false: COMMIT actions wait */
    GHashTable *replies; /* request → "STATUS BODY" */
    bool obedient;
    GPtrArray *calls; /* "HOST METHOD SUBJECT" */
} World;

static void world_step(World *w, const ClusterEvent *event);

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

static AgentReport *report_of(const char *vm, int64_t epoch, int64_t generation, PowerIs power,
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

static void deliver_report(World *w, const char *host, const AgentReport *report)
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

static void world_step(World *w, const ClusterEvent *event)
{
    g_autoptr(GError) error = NULL;
    ClusterActions *actions = cluster_step(w->core, event, ++w->now);
    for (guint i = 0; i < actions->len; i++) {
        perform(w, actions->pdata[i]);
    }
    g_ptr_array_unref(actions);
    cluster_core_check(w->core, &error);
    g_assert_no_error(error);
}

static void boot(World *w)
{
    ClusterConfig config = {.seed = 7};
    w->core = cluster_core_new(&config);
    GHashTableIter iter;
    void *key, *value;
    g_hash_table_iter_init(&iter, w->store);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        g_autoptr(GError) error = NULL;
        cluster_core_load(w->core, key, value, 1, &error);
        g_assert_no_error(error);
    }
    cluster_core_loaded(w->core, w->revision);
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_START});
}

static World *world_new(void)
{
    World *w = g_new0(World, 1);
    w->store =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    w->replies = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    w->calls = g_ptr_array_new_with_free_func(g_free);
    w->durable = w->obedient = true;
    w->now = 1700000000000;
    boot(w);
    return w;
}

static void world_free(World *w)
{
    cluster_core_free(w->core);
    g_hash_table_unref(w->store);
    g_hash_table_unref(w->replies);
    g_ptr_array_unref(w->calls);
    g_free(w);
}

/* Sends a request as the HTTP door would; returns "STATUS BODY", or NULL while there is no answer.
 */
static const char *ask(World *w, ApiOperation operation, const char *param, const char *body)
{
    const ApiRoute *route = &api_routes[operation];
    void *query = codec_new(route->query);
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
                              .principal = {.subject = "test", .tenant = "default"}};
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_REQUEST, .request = &request});
    codec_free(route->query, query);
    if (decoded != NULL) {
        codec_free(route->body, decoded);
    }
    return g_hash_table_lookup(w->replies, &request.id);
}

static char *text_of(const char *reply, const char *member)
{
    json_t *json = json_loads(strchr(reply, '{'), 0, NULL);
    char *text = g_strdup(json_string_value(json_object_get(json, member)));
    json_decref(json);
    return text;
}

static void report_up(World *w, const char *host, int64_t cpu, int64_t memory)
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

static char *add_host(World *w, const char *name, int64_t cpu, int64_t memory)
{
    g_autofree char *token = text_of(ask(w, API_OP_CREATE_JOIN_TOKEN, NULL, "{}"), "token");
    g_autofree char *body =
        g_strdup_printf("{\"token\":\"%s\",\"name\":\"%s\",\"csr\":\"x\"}", token, name);
    char *host = text_of(ask(w, API_OP_JOIN_HOST, NULL, body), "host");
    g_assert_nonnull(host);
    report_up(w, host, cpu, memory);
    return host;
}

static void add_image_and_size(World *w)
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

#define VM(name) "{\"name\":\"" name "\",\"size\":\"m1\",\"image\":\"demo\",\"networks\":[\"lan\"]}"

static void test_a_vm_lives_and_goes(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_CREATE_VM, NULL, VM("web")), "202"));
    const char *vm = ask(w, API_OP_GET_VM, "web", NULL);
    g_assert_nonnull(strstr(vm, "\"power\":\"running\""));
    g_assert_nonnull(strstr(vm, "\"ipv4\":\"10.64.0.2\""));
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_OPERATIONS, NULL, NULL), "\"state\":\"done\""));
    g_assert_nonnull(strstr(ask(w, API_OP_CREATE_VM, NULL, VM("web")), "409 "));
    ask(w, API_OP_DELETE_VM, "web", NULL);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_VM, "web", NULL), "404"));
    const char *ledger = ask(w, API_OP_GET_HOST, "h1", NULL);
    g_assert_nonnull(strstr(ledger, "\"dimension\":\"memory\",\"capacity\":4096,\"reserve\":0,"
                                    "\"guaranteed\":0,\"committed\":0"));
    world_free(w);
}

static void test_a_vm_is_shown_as_it_was_last_changed(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "web", NULL), "\"memory\":256"));
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    const char *resized = ask(w, API_OP_GET_VM, "web", NULL);
    g_assert_nonnull(strstr(resized, "\"memory\":128"));
    g_assert_nonnull(strstr(resized, "\"generation\":2,\"power\":\"running\""));
    ask(w, API_OP_UPDATE_VM, "web", "{\"power\":\"off\"}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_VM, "web", NULL), "\"power\":\"off\""));
    world_free(w);
}

static void test_nothing_leaves_before_it_is_durable(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    w->durable = false;
    g_ptr_array_set_size(w->calls, 0);
    g_assert_null(ask(w, API_OP_CREATE_VM, NULL, VM("web")));
    uint64_t create = w->next_request;
    g_assert_null(ask(w, API_OP_GET_VM, "web", NULL));
    uint64_t get = w->next_request;
    g_assert_cmpuint(w->calls->len, ==, 0);
    w->durable = true;
    world_step(w, &(ClusterEvent){.kind = CLUSTER_EVENT_COMMITTED, .commit = {w->revision, NULL}});
    g_assert_nonnull(g_hash_table_lookup(w->replies, &create));
    g_assert_true(g_str_has_prefix(g_hash_table_lookup(w->replies, &get), "200"));
    g_assert_cmpuint(w->calls->len, >, 0);
    world_free(w);
}

static void test_the_store_brings_everything_back(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 8000, 8192);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":5,\"networks\":[\"lan\"]"
        "}");
    g_autofree char *before = g_strdup(ask(w, API_OP_GET_APP, "shop", NULL));
    g_assert_nonnull(strstr(before, "\"vms\":5,\"running\":5"));
    cluster_core_free(w->core);
    boot(w);
    report_up(w, host, 8000, 8192);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_APP, "shop", NULL), "\"vms\":5,\"running\":5"));
    ask(w, API_OP_DELETE_APP, "shop", NULL);
    g_assert_true(g_str_has_prefix(ask(w, API_OP_GET_APP, "shop", NULL), "404"));
    world_free(w);
}

static void test_an_app_is_placed_whole_or_not_at_all(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 2000, 4096);
    add_image_and_size(w);
    const char *reply = ask(w, API_OP_CREATE_APP, NULL,
                            "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":3}");
    g_assert_true(g_str_has_prefix(reply, "409"));
    g_assert_nonnull(strstr(reply, "2 of 3 VMs fit"));
    g_assert_nonnull(strstr(ask(w, API_OP_LIST_VMS, NULL, NULL), "\"items\":[]"));
    world_free(w);
}

static void test_what_the_store_does_not_know_is_left_alone(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 2000, 4096);
    g_ptr_array_set_size(w->calls, 0);
    g_autoptr(AgentReport) report = report_of("01STRAY", 3, 1, POWER_IS_RUNNING, NULL);
    deliver_report(w, host, report);
    g_assert_cmpuint(w->calls->len, ==, 0);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "01STRAY"));
    ask(w, API_OP_PURGE_VM, "01STRAY", NULL);
    g_assert_cmpstr(w->calls->pdata[0], ==, "vm.remove 01STRAY");
    world_free(w);
}

static void test_a_shrink_frees_only_what_the_guest_has_given(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    w->obedient = false;
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "\"committed\":384"));
    const char *too_large = ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":512}");
    g_assert_true(g_str_has_prefix(too_large, "400"));
    world_free(w);
}

/* The growth may have happened although nobody has heard of it. */
static void test_a_growth_that_is_undone_stays_booked_until_the_host_says_so(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 4000, 4096);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_VM, NULL, VM("web"));
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    w->obedient = false;
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":256}");
    ask(w, API_OP_RESIZE_VM, "web", "{\"memory\":128}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "\"committed\":384"));
    w->obedient = true;
    ask(w, API_OP_UPDATE_VM, "web", "{\"restart\":\"never\"}");
    g_assert_nonnull(strstr(ask(w, API_OP_GET_HOST, "h1", NULL), "\"committed\":256"));
    world_free(w);
}

static void test_a_vm_that_an_app_lacks_is_made_anew(void)
{
    World *w = world_new();
    g_autofree char *host = add_host(w, "h1", 8000, 8192);
    add_image_and_size(w);
    ask(w, API_OP_CREATE_APP, NULL,
        "{\"name\":\"shop\",\"size\":\"m1\",\"image\":\"demo\",\"count\":2}");
    g_autofree char *before = text_of(ask(w, API_OP_GET_VM, "shop-1", NULL), "id");
    ask(w, API_OP_DELETE_VM, "shop-1", NULL);
    g_autofree char *after = text_of(ask(w, API_OP_GET_VM, "shop-1", NULL), "id");
    g_assert_cmpstr(before, !=, after);
    g_assert_nonnull(strstr(ask(w, API_OP_GET_APP, "shop", NULL), "\"vms\":2,\"running\":2"));
    world_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cluster/a-vm-lives-and-goes", test_a_vm_lives_and_goes);
    g_test_add_func("/cluster/a-vm-is-shown-as-it-was-last-changed",
                    test_a_vm_is_shown_as_it_was_last_changed);
    g_test_add_func("/cluster/nothing-leaves-before-it-is-durable",
                    test_nothing_leaves_before_it_is_durable);
    g_test_add_func("/cluster/the-store-brings-everything-back",
                    test_the_store_brings_everything_back);
    g_test_add_func("/cluster/an-app-is-placed-whole-or-not-at-all",
                    test_an_app_is_placed_whole_or_not_at_all);
    g_test_add_func("/cluster/what-the-store-does-not-know-is-left-alone",
                    test_what_the_store_does_not_know_is_left_alone);
    g_test_add_func("/cluster/a-shrink-frees-only-what-the-guest-has-given",
                    test_a_shrink_frees_only_what_the_guest_has_given);
    g_test_add_func("/cluster/a-growth-that-is-undone-stays-booked-until-the-host-says-so",
                    test_a_growth_that_is_undone_stays_booked_until_the_host_says_so);
    g_test_add_func("/cluster/a-vm-that-an-app-lacks-is-made-anew",
                    test_a_vm_that_an_app_lacks_is_made_anew);
    return g_test_run();
}
