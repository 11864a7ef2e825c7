#include "sim/client.h"

#include <string.h>

#include "base/error.h"

typedef enum {
    CREATE_VM,
    CREATE_APP,
    WITHDRAW_VM, /* out of the queue; what is not there is deleted */
    WITHDRAW_APP,
    DELETE_VM,
    DELETE_APP,
    OTHER
} Purpose;

struct SimClient {
    Sim *sim;
    guint vms_wanted;
    GPtrArray *vms, *apps; /* names that exist, or may */
    GPtrArray *reservations;
    GHashTable *owed_vms, *owed_apps; /* id → name: acknowledged and not to be deleted */
    uint64_t named;
    SimClientFigures figures;
};

typedef struct {
    SimClient *client;
    Purpose purpose;
    char *name;
    bool passing; /* goes by itself: it is not owed */
} Errand;

/* Who left the queue was told why; that is no loss. */
static void take_puts(void *owner, const GPtrArray *puts)
{
    SimClient *client = owner;
    for (guint i = 0; i < puts->len; i++) {
        const ClusterPut *put = puts->pdata[i];
        g_autoptr(Event) event =
            g_str_has_prefix(put->key, "event/") ? sim_disk_read(&event_type, put->value) : NULL;
        if (event != NULL && strcmp(event->kind, "queue.left") == 0 && event->subject != NULL) {
            g_hash_table_remove(client->owed_vms, event->subject->id);
            g_hash_table_remove(client->owed_apps, event->subject->id);
        }
    }
}

SimClient *sim_client_new(Sim *sim, guint vms_wanted)
{
    SimClient *client = g_new0(SimClient, 1);
    client->sim = sim;
    client->vms_wanted = vms_wanted;
    client->vms = g_ptr_array_new_with_free_func(g_free);
    client->apps = g_ptr_array_new_with_free_func(g_free);
    client->reservations = g_ptr_array_new_with_free_func(g_free);
    client->owed_vms = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    client->owed_apps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    sim_disk_follow(sim_manager_disk(sim->manager), take_puts, client);
    return client;
}

void sim_client_free(SimClient *client)
{
    if (client != NULL) {
        sim_disk_unfollow(sim_manager_disk(client->sim->manager), client);
        g_ptr_array_unref(client->vms);
        g_ptr_array_unref(client->apps);
        g_ptr_array_unref(client->reservations);
        g_hash_table_unref(client->owed_vms);
        g_hash_table_unref(client->owed_apps);
        g_free(client);
    }
}

/* Quotas that refuse now and then, and an account that is charged all the time. */
static bool prepare_tenant(SimClient *client, GError **error)
{
    g_autofree char *tenant =
        g_strdup_printf("{'charged':true,'quota':{'vms':%u,'cpu':%u}}", client->vms_wanted * 3 / 4,
                        client->vms_wanted * 1200);
    const struct {
        const char *method, *path, *body;
    } rows[] = {{"PATCH", "/v1/tenants/default", tenant},
                {"PUT", "/v1/rates", "{'cpu':20011,'memory':5003,'net-bw':7}"},
                {"POST", "/v1/tenants/default/credits", "{'amount':1000000000000000}"}};
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        json_t *answer =
            sim_ask_text(client->sim, rows[i].method, rows[i].path, rows[i].body, error);
        if (answer == NULL) {
            return false;
        }
        json_decref(answer);
    }
    return true;
}

bool sim_client_prepare(SimClient *client, GError **error)
{
    static const char *const sizes[] = {
        "{'name':'small','resources':{'cpu':500,'memory':512,'net-bw':50},'max-vcpus':4}",
        "{'name':'medium','resources':{'cpu':1000,'memory':1024,'disk':4},'max-vcpus':4}",
        "{'name':'large','resources':{'cpu':4000,'memory':4096,'disk':20,'disk-bw':100}}",
        "{'name':'slices','resources':{'cpu':500,'memory':512,'accelerators':{'gpu/cut':3}}}",
        "{'name':'cut','resources':{'cpu':500,'memory':512,'accelerators':{'gpu/cut':4}}}",
        "{'name':'slice','resources':{'cpu':500,'memory':256,'accelerators':{'gpu/cut':1}}}",
        "{'name':'whole','resources':{'cpu':500,'memory':512,'accelerators':{'gpu/whole':2}}}",
    };
    Sim *sim = client->sim;
    if (!sim_add_image(sim, "demo", error)) {
        return false;
    }
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        json_t *made = sim_ask_text(sim, "POST", "/v1/sizes", sizes[i], error);
        if (made == NULL) {
            return false;
        }
        json_decref(made);
    }
    json_t *lan = sim_ask_text(sim, "POST", "/v1/networks", "{'name':'lan'}", error);
    json_t *dmz =
        lan != NULL ? sim_ask_text(sim, "POST", "/v1/networks", "{'name':'dmz'}", error) : NULL;
    json_decref(lan);
    json_decref(dmz);
    return dmz != NULL && prepare_tenant(client, error);
}

static void forget_name(GPtrArray *names, const char *name)
{
    guint index;
    if (g_ptr_array_find_with_equal_func(names, name, g_str_equal, &index)) {
        g_ptr_array_remove_index_fast(names, index);
    }
}

static void take_created(SimClient *client, const Errand *errand, const SimReply *reply)
{
    bool app = errand->purpose == CREATE_APP;
    if (reply->status != 0 && reply->error != NULL) {
        client->figures.no_capacity +=
            g_error_matches(reply->error, BERTH_ERROR, BERTH_ERROR_NO_CAPACITY);
        return;
    }
    g_ptr_array_add(app ? client->apps : client->vms, g_strdup(errand->name));
    const json_t *subject = json_object_get(reply->body, "subject");
    const char *id = json_string_value(json_object_get(subject, "id"));
    if (id != NULL && !errand->passing) {
        client->figures.created++;
        g_hash_table_insert(app ? client->owed_apps : client->owed_vms, g_strdup(id),
                            g_strdup(errand->name));
    }
}

static void delete_object(SimClient *client, const char *name, bool app);

/* What waits becomes a VM or an app, and never waits again: nothing is missed in this order. */
static void take_reply_by_purpose(SimClient *client, const Errand *errand, const SimReply *reply)
{
    bool done = reply->status != 0 && reply->error == NULL;
    bool absent = g_error_matches(reply->error, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    bool app = errand->purpose == WITHDRAW_APP || errand->purpose == DELETE_APP;
    switch (errand->purpose) {
    case CREATE_VM:
    case CREATE_APP:
        take_created(client, errand, reply);
        return;
    case WITHDRAW_VM:
    case WITHDRAW_APP:
        if (absent) {
            delete_object(client, errand->name, app);
            return;
        }
        break;
    case DELETE_VM:
    case DELETE_APP:
        done = done || absent;
        break;
    case OTHER:
        return;
    }
    if (done) {
        forget_name(app ? client->apps : client->vms, errand->name);
    }
}

static void take_reply(void *owner, const SimReply *reply)
{
    Errand *errand = owner;
    SimClient *client = errand->client;
    client->figures.accepted += reply->status != 0 && reply->status < 400;
    client->figures.refused += reply->status >= 400;
    client->figures.unanswered += reply->status == 0;
    take_reply_by_purpose(client, errand, reply);
    g_free(errand->name);
    g_free(errand);
}

static void ask(SimClient *client, Purpose purpose, const char *name, const char *method,
                const char *path, json_t *body)
{
    Errand *errand = g_new(Errand, 1);
    const char *at_end = json_string_value(json_object_get(body, "at-end"));
    bool passing = g_strcmp0(at_end, "delete") == 0;
    *errand = (Errand){client, purpose, g_strdup(name), passing};
    client->figures.asked++;
    sim_log(client->sim->world, "client %s %s", method, path);
    uint64_t id = sim_manager_ask(client->sim->manager, method, path, body, -1, take_reply, errand);
    (void)id;
    json_decref(body);
}

static uint64_t pick(SimClient *client, uint64_t bound)
{
    return berth_rng_below(&client->sim->world->rng, bound);
}

static const char *pick_of(SimClient *client, const char *const *of)
{
    return of[pick(client, g_strv_length((char **)of))];
}

/* A VM that exists, or may: one by itself, or one of an app. NULL: none. g_free it. */
static char *pick_vm(SimClient *client)
{
    guint n = client->vms->len + client->apps->len;
    if (n == 0) {
        return NULL;
    }
    guint i = pick(client, n);
    if (i < client->vms->len) {
        return g_strdup(client->vms->pdata[i]);
    }
    const char *app = client->apps->pdata[i - client->vms->len];
    return g_strdup_printf("%s-%" G_GUINT64_FORMAT, app, pick(client, 4) + 1);
}

static json_t *new_body(SimClient *client, const char *name)
{
    static const char *const sizes[] = {"small",  "small", "medium", "large", "small", "medium",
                                        "slices", "cut",   "slice",  "whole", NULL};
    static const char *const restarts[] = {"always", "always", "on-failure", "never", NULL};
    static const char *const policies[] = {"most-free", "least-free", "first-fit", "fragmentation",
                                           NULL};
    static const char *const powers[] = {"on", "on", "on", "off", NULL};
    static const char *const networks[] = {"lan", "dmz", NULL};
    static const char *const trusted[] = {"red", "green", NULL};
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", name, "size", pick_of(client, sizes),
                  "image", "demo", "restart", pick_of(client, restarts), "policy",
                  pick_of(client, policies), "power", pick_of(client, powers));
    if (pick(client, 3) > 0) {
        json_object_set_new(body, "networks", json_pack("[s]", pick_of(client, networks)));
    }
    if (pick(client, 3) == 0) {
        json_object_set_new(body, "priority", json_integer((json_int_t)pick(client, 5) * 250));
    }
    if (pick(client, 5) == 0) {
        json_object_set_new(body, "queue", json_true());
    }
    if (pick(client, 8) == 0) {
        json_object_set_new(body, "trust-domain", json_string(pick_of(client, trusted)));
    }
    return body;
}

/* Some end by themselves, alone or with a reservation that may be over, or still to begin. */
static void give_end(SimClient *client, json_t *body)
{
    static const char *const at_ends[] = {"stop", "stop", "delete", "warn", NULL};
    guint n = client->reservations->len;
    if (n > 0 && pick(client, 8) == 0) {
        json_object_set_new(body, "reservation",
                            json_string(client->reservations->pdata[pick(client, n)]));
    } else if (pick(client, 6) == 0) {
        json_object_set_new(body, "duration-seconds",
                            json_integer((json_int_t)pick(client, 7200) + 1));
        json_object_set_new(body, "grace-seconds", json_integer((json_int_t)pick(client, 600)));
        json_object_set_new(body, "at-end", json_string(pick_of(client, at_ends)));
    }
    if (json_object_get(body, "duration-seconds") != NULL ||
        json_object_get(body, "reservation") != NULL) {
        json_object_del(body, "queue"); /* its time may be over while it waits, and it is refused */
    }
}

static void reserve(SimClient *client)
{
    static const char *const sizes[] = {"small",  "medium", "large", "whole",
                                        "slices", "cut",    "slice", NULL};
    static const char *const at_ends[] = {"stop", "stop", "warn", NULL};
    g_autofree char *name = g_strdup_printf("r%" G_GUINT64_FORMAT, ++client->named);
    json_t *body = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I}", "name", name, "size", pick_of(client, sizes), "at-end",
        pick_of(client, at_ends), "count", (json_int_t)pick(client, 4) + 1, "duration-seconds",
        (json_int_t)pick(client, 7200) + 60, "grace-seconds", (json_int_t)pick(client, 600));
    if (pick(client, 2) == 0) {
        g_autofree char *start = g_strdup_printf("+%" G_GUINT64_FORMAT "m", pick(client, 180));
        json_object_set_new(body, "start", json_string(start));
    }
    g_ptr_array_add(client->reservations, g_strdup(name));
    if (client->reservations->len > 20) {
        g_ptr_array_remove_index(client->reservations, 0);
    }
    ask(client, OTHER, name, "POST", "/v1/reservations", body);
}

static void give_up(SimClient *client)
{
    if (client->reservations->len > 0) {
        const char *name = client->reservations->pdata[pick(client, client->reservations->len)];
        g_autofree char *path = g_strconcat("/v1/reservations/", name, NULL);
        ask(client, OTHER, name, "DELETE", path, NULL);
    }
}

/* "" or a query that waits. */
static char *with_wait(SimClient *client, const char *path)
{
    return pick(client, 5) == 0
               ? g_strdup_printf("%s?wait=%" G_GUINT64_FORMAT, path, pick(client, 120) + 1)
               : g_strdup(path);
}

static void create_vm(SimClient *client)
{
    g_autofree char *name = g_strdup_printf("vm%" G_GUINT64_FORMAT, ++client->named);
    g_autofree char *path = with_wait(client, "/v1/vms");
    json_t *body = new_body(client, name);
    give_end(client, body);
    ask(client, CREATE_VM, name, "POST", path, body);
}

static void create_app(SimClient *client)
{
    g_autofree char *name = g_strdup_printf("app%" G_GUINT64_FORMAT, ++client->named);
    json_t *body = new_body(client, name);
    json_object_set_new(body, "size", json_string(pick(client, 2) == 0 ? "small" : "medium"));
    uint64_t count = pick(client, 5);
    json_object_set_new(body, "count", json_integer((json_int_t)count));
    if (count > 0 && pick(client, 4) == 0) {
        json_object_set_new(body, "partial", json_integer((json_int_t)pick(client, count) + 1));
    }
    give_end(client, body);
    g_autofree char *path = with_wait(client, "/v1/apps");
    ask(client, CREATE_APP, name, "POST", path, body);
}

static gboolean has_name(void *id, void *name, void *wanted)
{
    return strcmp(name, wanted) == 0;
}

static void delete_object(SimClient *client, const char *name, bool app)
{
    g_autofree char *plain = g_strconcat(app ? "/v1/apps/" : "/v1/vms/", name, NULL);
    g_autofree char *path = with_wait(client, plain);
    ask(client, app ? DELETE_APP : DELETE_VM, name, "DELETE", path, NULL);
}

static void delete_one(SimClient *client)
{
    bool app = client->apps->len > 0 && pick(client, 4) == 0;
    g_autofree char *name =
        app ? g_strdup(client->apps->pdata[pick(client, client->apps->len)]) : pick_vm(client);
    if (name != NULL) {
        g_hash_table_foreach_remove(app ? client->owed_apps : client->owed_vms, has_name, name);
        g_autofree char *path = g_strconcat("/v1/queue/", name, NULL);
        ask(client, app ? WITHDRAW_APP : WITHDRAW_VM, name, "DELETE", path, NULL);
    }
}

static void resize(SimClient *client)
{
    static const int64_t cpus[] = {250, 500, 1000, 2000, 4000};
    static const int64_t memories[] = {256, 512, 768, 1024, 2048, 4096};
    g_autofree char *name = pick_vm(client);
    if (name == NULL) {
        return;
    }
    json_t *body = json_object();
    if (pick(client, 2) == 0) {
        json_object_set_new(body, "cpu", json_integer(cpus[pick(client, G_N_ELEMENTS(cpus))]));
    }
    if (pick(client, 2) == 0) {
        json_object_set_new(body, "memory",
                            json_integer(memories[pick(client, G_N_ELEMENTS(memories))]));
    }
    if (pick(client, 4) == 0) {
        json_object_set_new(body, "net-bw", json_integer((json_int_t)pick(client, 200)));
    }
    g_autofree char *plain = g_strdup_printf("/v1/vms/%s/resize", name);
    g_autofree char *path = with_wait(client, plain);
    ask(client, OTHER, name, "POST", path, body);
}

/* Somebody who changes a VM and changes it back before long, and wants the room for another, which
 * may stand beside it and be quicker to grow than the first to shrink. */
typedef struct {
    SimClient *client;
    char *name;
    int steps;
    bool hastily;
} Regret;

static void regret_free(void *data)
{
    Regret *regret = data;
    g_free(regret->name);
    g_free(regret);
}

static void go_on(void *owner, void *data);

static void regret_later(SimClient *client, const char *name, int steps, bool hastily)
{
    Regret *regret = g_new(Regret, 1);
    *regret = (Regret){client, g_strdup(name), steps, hastily};
    sim_after(client->sim->world, sim_between(client->sim->world, 0, hastily ? 20 : 3000), go_on,
              client, regret, regret_free);
}

static void ask_size(SimClient *client, const char *name, bool large)
{
    g_autofree char *path = g_strdup_printf("/v1/vms/%s/resize", name);
    ask(client, OTHER, name, "POST", path,
        json_pack("{s:i, s:i}", "memory", large ? 512 : 256, "cpu", large ? 4000 : 250));
}

/* Whoever is there takes the room. */
static void grow_others(SimClient *client)
{
    for (int i = 0; i < 8; i++) {
        g_autofree char *name = pick_vm(client);
        if (name != NULL) {
            ask_size(client, name, true);
        }
    }
}

static void go_on(void *owner, void *data)
{
    SimClient *client = owner;
    const Regret *regret = data;
    if (regret->steps == 0 && regret->hastily) {
        grow_others(client);
    } else if (regret->steps == 0) {
        create_vm(client);
    } else {
        ask_size(client, regret->name, regret->steps % 2 == 0);
        regret_later(client, regret->name, regret->steps - 1, regret->hastily);
    }
}

static void regret(SimClient *client)
{
    g_autofree char *name = pick_vm(client);
    if (name != NULL) {
        regret_later(client, name, 4, pick(client, 2) == 0);
    }
}

static void resize_app(SimClient *client)
{
    if (client->apps->len == 0) {
        return;
    }
    const char *name = client->apps->pdata[pick(client, client->apps->len)];
    g_autofree char *plain = g_strconcat("/v1/apps/", name, NULL);
    g_autofree char *path = with_wait(client, plain);
    ask(client, OTHER, name, "PATCH", path, json_pack("{s:i}", "count", (int)pick(client, 6)));
}

static void update(SimClient *client)
{
    static const char *const restarts[] = {"always", "on-failure", "never", NULL};
    g_autofree char *name = pick_vm(client);
    if (name == NULL) {
        return;
    }
    json_t *body = pick(client, 4) == 0
                       ? json_pack("{s:s}", "restart", pick_of(client, restarts))
                       : json_pack("{s:s}", "power", pick(client, 2) == 0 ? "on" : "off");
    g_autofree char *plain = g_strconcat("/v1/vms/", name, NULL);
    g_autofree char *path = with_wait(client, plain);
    ask(client, OTHER, name, "PATCH", path, body);
}

static void look(SimClient *client)
{
    static const char *const paths[] = {
        "/v1/vms",     "/v1/hosts",           "/v1/apps",     "/v1/top",   "/v1/operations",
        "/v1/cluster", "/v1/events?limit=20", "/v1/networks", "/v1/sizes", NULL};
    g_autofree char *name = pick_vm(client);
    g_autofree char *explain =
        name != NULL ? g_strdup_printf("/v1/vms/%s/explain", name) : g_strdup("/v1/images");
    ask(client, OTHER, "", "GET", pick(client, 3) == 0 ? explain : pick_of(client, paths), NULL);
}

static void cordon(SimClient *client)
{
    const SimAgent *agent = client->sim->agents->pdata[pick(client, client->sim->agents->len)];
    g_autofree char *path = g_strconcat("/v1/hosts/", sim_agent_machine(agent)->name, NULL);
    ask(client, OTHER, "", "PATCH", path, json_pack("{s:b}", "cordoned", pick(client, 4) == 0));
}

static void drain(SimClient *client)
{
    const SimAgent *agent = client->sim->agents->pdata[pick(client, client->sim->agents->len)];
    const char *name = sim_agent_machine(agent)->name;
    g_autofree char *plain = g_strdup_printf("/v1/hosts/%s/drain", name);
    g_autofree char *path = with_wait(client, plain);
    ask(client, OTHER, "", "POST", path, NULL);
}

void sim_client_act(SimClient *client)
{
    static const struct {
        uint64_t weight;
        void (*act)(SimClient *client);
    } acts[] = {{26, create_vm},  {6, create_app}, {20, resize}, {4, resize_app},
                {16, update},     {8, regret},     {10, look},   {3, cordon},
                {12, delete_one}, {1, drain},      {5, reserve}, {1, give_up}};
    bool full = client->vms->len + 2 * client->apps->len > client->vms_wanted;
    if (full && pick(client, 2) == 0) {
        delete_one(client);
        return;
    }
    uint64_t total = 0;
    for (guint i = 0; i < G_N_ELEMENTS(acts); i++) {
        total += acts[i].weight;
    }
    uint64_t at = pick(client, total);
    for (guint i = 0; i < G_N_ELEMENTS(acts); i++) {
        if (at < acts[i].weight) {
            acts[i].act(client);
            return;
        }
        at -= acts[i].weight;
    }
}

static void check_owed(SimClient *client, GHashTable *owed, const char *kind)
{
    GHashTableIter iter;
    void *id, *name;
    g_hash_table_iter_init(&iter, owed);
    while (g_hash_table_iter_next(&iter, &id, &name)) {
        g_autofree char *key = g_strdup_printf("%s/default/%s/spec", kind, (char *)id);
        g_autofree char *waits = g_strdup_printf("queue/default/%s", (char *)id);
        const SimDisk *disk = sim_manager_disk(client->sim->manager);
        if (sim_disk_get(disk, key) == NULL && sim_disk_get(disk, waits) == NULL) {
            sim_broken(client->sim->world, "%s %s was acknowledged and is lost", kind,
                       (char *)name);
        }
    }
}

void sim_client_check(SimClient *client)
{
    check_owed(client, client->owed_vms, "vm");
    check_owed(client, client->owed_apps, "app");
}

const SimClientFigures *sim_client_figures(const SimClient *client)
{
    return &client->figures;
}
