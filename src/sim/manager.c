#include "sim/manager.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"
#include "sim/door.h"

#define RESTART_MS 400
#define IDLE_TICKS_MAX 20

typedef struct {
    SimLink *link;
    uint64_t session, id;
    int64_t barrier; /* everything up to this revision was made when the report was taken */
} ReportCall;

typedef struct {
    uint64_t id, incarnation;
} Timeout;

struct SimManager {
    SimWorld *world;
    ClusterConfig config;
    ClusterCore *core; /* NULL: down */
    SimDisk *disk;
    GHashTable *links;    /* host id → SimLink */
    GHashTable *sessions; /* SimLink → uint64_t *, the newest */
    GHashTable *calls;    /* of uint64_t *: to agents, unanswered → host id */
    GHashTable *reports;  /* set of ReportCall, owned */
    SimDoor *door;
    uint64_t incarnation, steps;
    int64_t issued; /* revision of the last transaction that the core has made */
    int64_t tick_ms, clock_ms;
    int idle_ticks;
    bool writable, abort_expected;
    SimEventFunc follower;
    void *follower_owner;
};

static void step(SimManager *manager, const ClusterEvent *event);
static void on_durable(void *owner, int64_t revision, const GError *error);

SimManager *sim_manager_new(SimWorld *world, const ClusterConfig *config)
{
    SimManager *manager = g_new0(SimManager, 1);
    manager->world = world;
    manager->config = *config;
    manager->disk = sim_disk_new(world, on_durable, manager);
    manager->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    manager->sessions = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    manager->calls = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    manager->reports = g_hash_table_new_full(NULL, NULL, g_free, NULL);
    manager->door = sim_door_new();
    manager->writable = true;
    return manager;
}

void sim_manager_free(SimManager *manager)
{
    if (manager != NULL) {
        cluster_core_free(manager->core);
        sim_disk_free(manager->disk);
        g_hash_table_unref(manager->links);
        g_hash_table_unref(manager->sessions);
        g_hash_table_unref(manager->calls);
        g_hash_table_unref(manager->reports);
        sim_door_free(manager->door);
        g_free(manager);
    }
}

static int64_t clock_now(const SimManager *manager)
{
    return manager->world->now_ms + manager->clock_ms;
}

/* Nobody sees what is not durable. */
static void check_barrier(SimManager *manager, int64_t barrier, const char *what)
{
    int64_t durable = sim_disk_revision(manager->disk);
    if (durable < barrier) {
        sim_broken(manager->world,
                   "%s leaves the manager at revision %" G_GINT64_FORMAT
                   " and depends on %" G_GINT64_FORMAT,
                   what, durable, barrier);
    }
}

typedef struct {
    char *end; /* of the key */
    GBytes *value;
} Search;

static void match_end(const char *key, GBytes *value, void *data)
{
    Search *search = data;
    if (g_str_has_suffix(key, search->end)) {
        search->value = value;
    }
}

/* vm/TENANT/ID/spec as the store has it; borrowed; NULL: in no tenant. */
static GBytes *durable_spec(const SimManager *manager, const char *vm)
{
    g_autofree char *usual = g_strdup_printf("vm/default/%s/spec", vm);
    GBytes *value = sim_disk_get(manager->disk, usual);
    if (value != NULL) {
        return value;
    }
    g_autofree char *end = g_strdup_printf("/%s/spec", vm);
    Search search = {.end = end};
    sim_disk_each(manager->disk, "vm/", match_end, &search);
    return search.value;
}

/* An agent is told only of what the store has: this generation of the VM, or its tombstone. */
static void check_apply(SimManager *manager, const json_t *params)
{
    const char *vm = json_string_value(json_object_get(params, "id"));
    int64_t generation = json_integer_value(json_object_get(params, "generation"));
    g_autofree char *grave = g_strdup_printf("tombstone/%s", vm);
    GBytes *value = durable_spec(manager, vm);
    g_autoptr(VmSpec) spec = sim_disk_read(&vm_spec_type, value);
    int64_t durable = spec != NULL ? spec->generation : 0;
    bool known = spec != NULL || sim_disk_get(manager->disk, grave) != NULL;
    if (!known || (durable != 0 && durable < generation)) {
        sim_broken(manager->world,
                   "an agent is told of generation %" G_GINT64_FORMAT " of VM %s, the store has "
                   "%" G_GINT64_FORMAT,
                   generation, vm, durable);
    }
}

static void check_remove(SimManager *manager, const json_t *params)
{
    const char *vm = json_string_value(json_object_get(params, "id"));
    g_autofree char *grave = g_strdup_printf("tombstone/%s", vm);
    if (durable_spec(manager, vm) != NULL && sim_disk_get(manager->disk, grave) == NULL) {
        sim_broken(manager->world, "an agent is told to end VM %s, which nobody has deleted", vm);
    }
}

static void on_timeout(void *owner, void *data)
{
    SimManager *manager = owner;
    Timeout *timeout = data;
    if (manager->core == NULL || manager->incarnation != timeout->incarnation ||
        !g_hash_table_remove(manager->calls, &timeout->id)) {
        return;
    }
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_TIMEOUT, NULL, NULL, NULL, "the agent does not answer");
    step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_ANSWER,
                                  .answer = {.call = timeout->id, .error = error}});
}

static void send_call(SimManager *manager, const ClusterAction *action)
{
    SimLink *link = g_hash_table_lookup(manager->links, action->call.host);
    if (strcmp(action->call.method, AGENT_METHOD_VM_APPLY) == 0) {
        check_apply(manager, action->call.params);
    } else if (strcmp(action->call.method, AGENT_METHOD_VM_REMOVE) == 0) {
        check_remove(manager, action->call.params);
    }
    g_hash_table_insert(manager->calls, g_memdup2(&action->call.call, sizeof(uint64_t)),
                        g_strdup(action->call.host));
    Timeout *timeout = g_new(Timeout, 1);
    *timeout = (Timeout){action->call.call, manager->incarnation};
    sim_after(manager->world, action->call.timeout_ms, on_timeout, manager, timeout, g_free);
    if (link != NULL) {
        SimMessage *message = sim_message_new(SIM_MESSAGE_CALL, action->call.call);
        message->method = action->call.method;
        message->json = json_incref(action->call.params);
        sim_link_send(link, SIM_END_MANAGER, message);
    }
}

static void send_answer(SimManager *manager, const ClusterAction *action)
{
    ReportCall *call = action->answer.call;
    if (!g_hash_table_contains(manager->reports, call)) {
        sim_broken(manager->world, "a report is answered twice");
        return;
    }
    check_barrier(manager, call->barrier, "the answer to a report");
    const uint64_t *session = g_hash_table_lookup(manager->sessions, call->link);
    if (session != NULL && *session == call->session) {
        sim_link_send(call->link, SIM_END_MANAGER,
                      sim_message_new(SIM_MESSAGE_REPORT_ANSWER, call->id));
    }
    g_hash_table_remove(manager->reports, call);
}

static void on_restart(void *owner, void *data)
{
    sim_manager_start(owner);
}

static void abort_manager(SimManager *manager, const char *reason)
{
    if (!manager->abort_expected) {
        sim_broken(manager->world, "the manager's core gives up: %s", reason);
    }
    manager->abort_expected = false;
    sim_manager_crash(manager);
    sim_after(manager->world, sim_delay(manager->world, RESTART_MS), on_restart, manager, NULL,
              NULL);
}

static void publish(SimManager *manager, const ClusterAction *action)
{
    check_barrier(manager, action->publish.revision, "an event");
    gsize size = g_bytes_get_size(action->publish.event);
    json_t *event = json_loadb(g_bytes_get_data(action->publish.event, NULL), size, 0, NULL);
    sim_log(manager->world, "event %s: %s", json_string_value(json_object_get(event, "kind")),
            json_string_value(json_object_get(event, "message")));
    if (manager->follower != NULL) {
        manager->follower(manager->follower_owner, event);
    }
    json_decref(event);
}

/* False once the core is gone: the actions that follow are for nobody. */
static bool perform(SimManager *manager, const ClusterAction *action)
{
    switch (action->kind) {
    case CLUSTER_ACTION_COMMIT:
        manager->issued = action->commit.revision;
        sim_disk_commit(manager->disk, action);
        break;
    case CLUSTER_ACTION_REPLY:
        check_barrier(manager, sim_door_barrier(manager->door, action->reply.request), "an answer");
        sim_door_reply(manager->door, manager->world, action);
        break;
    case CLUSTER_ACTION_ANSWER:
        send_answer(manager, action);
        break;
    case CLUSTER_ACTION_CALL:
        send_call(manager, action);
        break;
    case CLUSTER_ACTION_PUBLISH:
        publish(manager, action);
        break;
    case CLUSTER_ACTION_DISCONNECT: {
        SimLink *link = g_hash_table_lookup(manager->links, action->disconnect.host);
        if (link != NULL) {
            sim_link_close(link);
        }
        break;
    }
    case CLUSTER_ACTION_ABORT:
        abort_manager(manager, action->abort_reason);
        return false;
    }
    return true;
}

static void on_tick(void *owner, void *data)
{
    SimManager *manager = owner;
    if (manager->core != NULL && *(int64_t *)data == manager->tick_ms) {
        manager->tick_ms = INT64_MAX;
        step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_TICK});
    }
}

static void arm_tick(SimManager *manager)
{
    int64_t deadline = cluster_next_deadline(manager->core);
    if (deadline == INT64_MAX) {
        manager->tick_ms = INT64_MAX;
        return;
    }
    int64_t wait = MAX(deadline - clock_now(manager), 1);
    int64_t at = manager->world->now_ms + wait;
    if (at != manager->tick_ms) {
        manager->tick_ms = at;
        sim_after(manager->world, wait, on_tick, manager, g_memdup2(&at, sizeof at), g_free);
    }
}

static void check(SimManager *manager, const ClusterEvent *event, guint n_actions)
{
    g_autoptr(GError) error = NULL;
    if (!cluster_core_check(manager->core, &error)) {
        g_autofree char *text = berth_error_describe(error);
        sim_broken(manager->world, "cluster core: %s", text);
    }
    bool idle = event->kind == CLUSTER_EVENT_TICK && n_actions == 0;
    manager->idle_ticks = idle ? manager->idle_ticks + 1 : 0;
    if (manager->idle_ticks > IDLE_TICKS_MAX) {
        sim_broken(manager->world, "the cluster core wants ticks all the time and does nothing");
    }
}

static void step(SimManager *manager, const ClusterEvent *event)
{
    g_autoptr(GPtrArray) actions = cluster_step(manager->core, event, clock_now(manager));
    manager->steps++;
    check(manager, event, actions->len);
    /* What this step has made is known before any of it leaves. */
    for (guint i = 0; i < actions->len; i++) {
        const ClusterAction *action = actions->pdata[i];
        if (action->kind == CLUSTER_ACTION_COMMIT) {
            manager->issued = action->commit.revision;
        }
    }
    if (event->kind == CLUSTER_EVENT_REQUEST) {
        sim_door_set_barrier(manager->door, event->request->id, manager->issued);
    } else if (event->kind == CLUSTER_EVENT_AGENT_REPORT) {
        ((ReportCall *)event->agent.call)->barrier = manager->issued;
    }
    for (guint i = 0; i < actions->len; i++) {
        if (!perform(manager, actions->pdata[i])) {
            return;
        }
    }
    arm_tick(manager);
}

static void on_durable(void *owner, int64_t revision, const GError *error)
{
    SimManager *manager = owner;
    ClusterEvent event = {.kind = CLUSTER_EVENT_COMMITTED,
                          .commit = {.revision = revision, .error = error}};
    if (error != NULL) {
        event.kind = CLUSTER_EVENT_COMMIT_FAILED;
    }
    step(manager, &event);
}

void sim_manager_start(SimManager *manager)
{
    if (manager->core != NULL) {
        return;
    }
    sim_log(manager->world, "manager starts at revision %" G_GINT64_FORMAT,
            sim_disk_revision(manager->disk));
    manager->config.seed = berth_rng_next(&manager->world->rng);
    manager->core = cluster_core_new(&manager->config);
    manager->tick_ms = INT64_MAX;
    manager->issued = sim_disk_revision(manager->disk);
    g_autoptr(GError) error = NULL;
    if (!sim_disk_load(manager->disk, manager->core, &error)) {
        sim_broken(manager->world, "%s", error->message);
        return;
    }
    step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_START});
    sim_manager_set_writable(manager, manager->writable);
    GHashTableIter iter;
    void *link;
    g_hash_table_iter_init(&iter, manager->links);
    while (g_hash_table_iter_next(&iter, NULL, &link)) {
        sim_link_start(link, SIM_END_MANAGER);
    }
}

void sim_manager_crash(SimManager *manager)
{
    if (manager->core == NULL) {
        return;
    }
    sim_log(manager->world, "manager ends");
    g_clear_pointer(&manager->core, cluster_core_free);
    manager->incarnation++;
    sim_disk_crash(manager->disk);
    g_hash_table_remove_all(manager->calls);
    g_hash_table_remove_all(manager->reports);
    g_hash_table_remove_all(manager->sessions);
    GHashTableIter iter;
    void *link;
    g_hash_table_iter_init(&iter, manager->links);
    while (g_hash_table_iter_next(&iter, NULL, &link)) {
        sim_link_stop(link, SIM_END_MANAGER, sim_chance(manager->world, 0.8));
    }
    sim_door_hang_up(manager->door);
}

static void manager_up(void *owner, SimLink *link, uint64_t session)
{
    SimManager *manager = owner;
    g_hash_table_insert(manager->sessions, link, g_memdup2(&session, sizeof session));
    step(manager, &(ClusterEvent){
                      .kind = CLUSTER_EVENT_AGENT_UP,
                      .agent = {.host = sim_link_host(link), .session = session},
                  });
}

static gboolean is_call_of(void *key, void *host, void *link)
{
    return strcmp(host, sim_link_host(link)) == 0;
}

static void manager_down(void *owner, SimLink *link, uint64_t session, const char *reason)
{
    SimManager *manager = owner;
    const uint64_t *newest = g_hash_table_lookup(manager->sessions, link);
    if (newest != NULL && *newest == session) {
        g_hash_table_remove(manager->sessions, link);
        g_hash_table_foreach_remove(manager->calls, is_call_of, link);
    }
    step(manager, &(ClusterEvent){
                      .kind = CLUSTER_EVENT_AGENT_DOWN,
                      .agent = {.host = sim_link_host(link), .session = session, .reason = reason},
                  });
}

static void take_report(SimManager *manager, SimLink *link, uint64_t session,
                        const SimMessage *message)
{
    ReportCall *call = g_new0(ReportCall, 1);
    *call = (ReportCall){.link = link, .session = session, .id = message->id};
    g_hash_table_add(manager->reports, call);
    step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_REPORT,
                                  .agent = {.host = sim_link_host(link),
                                            .session = session,
                                            .report = message->report,
                                            .call = call}});
}

static void manager_receive(void *owner, SimLink *link, uint64_t session, const SimMessage *message)
{
    SimManager *manager = owner;
    switch (message->kind) {
    case SIM_MESSAGE_REPORT:
        take_report(manager, link, session, message);
        break;
    case SIM_MESSAGE_ANSWER:
        if (g_hash_table_remove(manager->calls, &message->id)) {
            step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_ANSWER,
                                          .answer = {.call = message->id,
                                                     .result = message->json,
                                                     .error = message->error}});
        }
        break;
    case SIM_MESSAGE_MEASURE:
        step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_AGENT_MEASURE,
                                      .agent = {.host = sim_link_host(link),
                                                .session = session,
                                                .measure = message->measure}});
        break;
    default:
        break;
    }
}

void sim_manager_ends(SimEnds *ends)
{
    ends->manager_up = manager_up;
    ends->manager_down = manager_down;
    ends->manager_receive = manager_receive;
}

void sim_manager_add_link(SimManager *manager, SimLink *link)
{
    g_hash_table_insert(manager->links, g_strdup(sim_link_host(link)), link);
    if (manager->core != NULL) {
        sim_link_start(link, SIM_END_MANAGER);
    }
}

bool sim_manager_is_up(const SimManager *manager)
{
    return manager->core != NULL;
}

bool sim_manager_can_write(const SimManager *manager)
{
    return manager->writable;
}

int64_t sim_manager_now(const SimManager *manager)
{
    return clock_now(manager);
}

uint64_t sim_manager_ask(SimManager *manager, const char *method, const char *path,
                         const json_t *body, int64_t if_match, SimReplyFunc reply, void *owner)
{
    ClusterRequest request = {.if_match = if_match};
    g_autoptr(SimVisit) visit =
        sim_door_enter(manager->door, method, path, body, reply, owner, &request);
    if (visit == NULL) {
        return sim_door_last(manager->door);
    }
    if (manager->core == NULL) {
        sim_door_refuse(manager->door, request.id);
        return request.id;
    }
    step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_REQUEST, .request = &request});
    return request.id;
}

void sim_manager_cancel(SimManager *manager, uint64_t request)
{
    if (manager->core != NULL && sim_door_forget(manager->door, request)) {
        step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_CANCEL, .cancel = request});
    }
}

void sim_manager_receive_image(SimManager *manager, const char *image, const char *sha256)
{
    if (manager->core != NULL) {
        step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_IMAGE_RECEIVED,
                                      .received = {.image = image,
                                                   .sha256 = sha256,
                                                   .request = sim_door_nobody(manager->door)}});
    }
}

void sim_manager_follow(SimManager *manager, SimEventFunc func, void *owner)
{
    manager->follower = func;
    manager->follower_owner = owner;
}

void sim_manager_set_writable(SimManager *manager, bool writable)
{
    manager->writable = writable;
    if (manager->core != NULL) {
        step(manager, &(ClusterEvent){.kind = CLUSTER_EVENT_STORE_HEALTH,
                                      .health = {writable, writable ? NULL : "its disk is full"}});
    }
}

void sim_manager_step_clock(SimManager *manager, int64_t step_ms)
{
    manager->clock_ms += step_ms;
}

SimDisk *sim_manager_disk(SimManager *manager)
{
    return manager->disk;
}

const ClusterCore *sim_manager_core(const SimManager *manager)
{
    return manager->core;
}

uint64_t sim_manager_steps(const SimManager *manager)
{
    return manager->steps;
}

void sim_manager_expect_abort(SimManager *manager)
{
    manager->abort_expected = true;
}
