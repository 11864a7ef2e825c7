#include "sim/queue_watch.h"

#include <string.h>

#include "base/codec.h"
#include "base/order.h"
#include "schema/objects.h"
#include "sim/jobs.h"

#define LOOK_MS 30000

/* A round of the queue comes a second after the one before, and a guest's end takes its host a while. */
#define ROUND_MS 3000
#define SLACK_MS 5000
#define LATE_MS 60000

/* A promised start keeps its room for so much longer than it is asked for. */
#define MARGIN_MS 60000

/* What the manager waits for what overstays, twice over: for the one itself, and for one before it. */
#define PATIENCE_MS 300000
#define HOPE_MS (2 * PATIENCE_MS + 3 * LATE_MS)
#define LOOKS_UP 6
#define LOOKS_LATE 30

typedef struct {
    QueuedRequest *object;
    char *demand;
    bool promised, excused;
    int64_t best_ms; /* the earliest start that it was ever promised, since it has a promise */
    int64_t over_ms; /* what had been overstayed in all by then */
} Entry;

/* A VM as far as it has an end. */
typedef struct {
    int64_t release_ms; /* 0: never, or it is over */
    int64_t parked_generation;
    bool stays, parked, preempted;
    int64_t priority;
    char *app; /* id; NULL: none */
} Lodger;

/* An app, which waits while it has fewer VMs than it wants. */
typedef struct {
    int64_t priority, count, has;
} Gang;

struct SimQueueWatch {
    Sim *sim;
    GTree *entries;      /* id → Entry */
    GTree *vms;          /* id → Lodger */
    GTree *apps;         /* id → Gang */
    GTree *reservations; /* id → Reservation */
    int64_t over_ms;
    int64_t clock_ms; /* of the manager, against the world's */
    int looks_up; /* since it was last seen down, or its clock was set, which delays its timers */
    int64_t moved_ms; /* when something became of a VM */
    SimQueueFigures figures;
};

static void entry_free(void *data)
{
    Entry *entry = data;
    queued_request_free(entry->object);
    g_free(entry->demand);
    g_free(entry);
}

static void lodger_free(void *data)
{
    Lodger *vm = data;
    g_free(vm->app);
    g_free(vm);
}

static void free_reservation(void *data)
{
    reservation_free(data);
}

static void clear_members(json_t *json, const char *const *names)
{
    for (guint i = 0; names[i] != NULL; i++) {
        json_object_del(json, names[i]);
    }
}

/* All that says where, when and for how long it may be, with its end counted from when it came. */
static char *demand_of(const QueuedRequest *object)
{
    static const char *const others[] = {"name",           "created-ms",  "description",
                                         "restart",        "preemptible", "policy",
                                         "policy-weights", "power",       NULL};
    json_t *json = object->vm != NULL ? vm_spec_encode(object->vm) : app_spec_encode(object->app);
    int64_t ends = object->vm != NULL ? object->vm->ends_ms : object->app->ends_ms;
    clear_members(json, others);
    json_object_set_new(json, "ends-ms", json_integer(ends > 0 ? ends - object->since_ms : 0));
    char *text = codec_dump(json);
    json_decref(json);
    return text;
}

static int64_t priority_of(const QueuedRequest *object)
{
    return object->vm != NULL ? object->vm->priority : object->app->priority;
}

static const char *name_of(const QueuedRequest *object)
{
    return object->vm != NULL ? object->vm->name : object->app->name;
}

/* The latest start that meets its deadline. */
static int64_t latest_ms(const QueuedRequest *object)
{
    int64_t ends = object->vm != NULL ? object->vm->ends_ms : object->app->ends_ms;
    return object->deadline_ms - (ends - object->since_ms);
}

/* From its start to its end, its grace included; 0: it has none. */
static int64_t lasts_ms(const QueuedRequest *object)
{
    bool is_vm = object->vm != NULL;
    int64_t ends = is_vm ? object->vm->ends_ms : object->app->ends_ms;
    int64_t grace = is_vm ? object->vm->grace_seconds : object->app->grace_seconds;
    return ends > 0 ? ends - object->since_ms + grace * 1000 : 0;
}

static void excuse_all(SimQueueWatch *watch)
{
    for (GTreeNode *n = g_tree_node_first(watch->entries); n != NULL; n = g_tree_node_next(n)) {
        ((Entry *)g_tree_node_value(n))->excused = true;
    }
}

static void excuse_below(SimQueueWatch *watch, int64_t priority)
{
    for (GTreeNode *n = g_tree_node_first(watch->entries); n != NULL; n = g_tree_node_next(n)) {
        Entry *entry = g_tree_node_value(n);
        if (entry->object->deadline_ms == 0 && priority_of(entry->object) < priority) {
            entry->excused = true;
        }
    }
}

/* Those of them that wait by what they are, and tell nobody which start they are promised. */
static void excuse_below_those_who_lack(SimQueueWatch *watch)
{
    int64_t highest = 0;
    for (GTreeNode *n = g_tree_node_first(watch->apps); n != NULL; n = g_tree_node_next(n)) {
        const Gang *gang = g_tree_node_value(n);
        highest = gang->has < gang->count ? MAX(highest, gang->priority) : highest;
    }
    for (GTreeNode *n = g_tree_node_first(watch->vms); n != NULL; n = g_tree_node_next(n)) {
        const Lodger *vm = g_tree_node_value(n);
        highest = vm->preempted ? MAX(highest, vm->priority) : highest;
    }
    excuse_below(watch, highest);
}

static Gang *gang_of(SimQueueWatch *watch, const char *id)
{
    Gang *gang = g_tree_lookup(watch->apps, id);
    if (gang == NULL) {
        gang = g_new0(Gang, 1);
        g_tree_insert(watch->apps, g_strdup(id), gang);
    }
    return gang;
}

static void take_app(SimQueueWatch *watch, const char *id, GBytes *value)
{
    g_autoptr(AppSpec) spec = sim_disk_read(&app_spec_type, value);
    if (spec == NULL) {
        g_tree_remove(watch->apps, id);
        return;
    }
    Gang *gang = gang_of(watch, id);
    gang->priority = spec->priority;
    gang->count = spec->removing ? 0 : spec->count;
}

static void take_reservation(SimQueueWatch *watch, const char *id, GBytes *value)
{
    Reservation *reservation = sim_disk_read(&reservation_type, value);
    if (reservation == NULL) {
        g_tree_remove(watch->reservations, id);
    } else {
        g_tree_replace(watch->reservations, g_strdup(id), reservation);
    }
}

/* Its room is given back. */
static void end_vm(SimQueueWatch *watch, Lodger *vm)
{
    int64_t over = sim_manager_now(watch->sim->manager) - vm->release_ms;
    if (vm->release_ms > 0 && over > 0) {
        watch->over_ms += over + ROUND_MS;
    }
    vm->release_ms = 0;
}

static void take_spec(SimQueueWatch *watch, const char *id, GBytes *value)
{
    Lodger *vm = g_tree_lookup(watch->vms, id);
    g_autoptr(VmSpec) spec = sim_disk_read(&vm_spec_type, value);
    if (spec == NULL) {
        if (vm != NULL) {
            end_vm(watch, vm);
            Gang *gang = vm->app != NULL ? g_tree_lookup(watch->apps, vm->app) : NULL;
            if (gang != NULL) {
                gang->has--;
            }
            g_tree_remove(watch->vms, id);
        }
        return;
    }
    bool comes = vm == NULL || (vm->parked && !spec->parked) || (vm->preempted && !spec->preempted);
    if (vm == NULL) {
        vm = g_new0(Lodger, 1);
        vm->app = g_strdup(spec->app);
        g_tree_insert(watch->vms, g_strdup(id), vm);
        if (vm->app != NULL) {
            gang_of(watch, vm->app)->has++;
        }
    }
    if (comes) {
        bool ends = spec->ends_ms > 0 && spec->at_end != AT_END_WARN;
        vm->release_ms = ends ? spec->ends_ms + spec->grace_seconds * 1000 : 0;
        excuse_below(watch, spec->priority);
    }
    vm->priority = spec->priority;
    vm->stays = spec->at_end == AT_END_STOP;
    vm->parked = spec->parked;
    vm->parked_generation = spec->parked_generation;
    vm->preempted = spec->preempted;
}

/* What is stopped at its end has given its room back when its host says that it is off. */
static void take_status(SimQueueWatch *watch, const char *id, GBytes *value)
{
    Lodger *vm = g_tree_lookup(watch->vms, id);
    g_autoptr(VmStatus) status = sim_disk_read(&vm_status_type, value);
    if (vm != NULL && status != NULL && vm->stays && vm->parked &&
        status->generation >= vm->parked_generation &&
        (status->power == POWER_IS_OFF || status->power == POWER_IS_CRASHED)) {
        end_vm(watch, vm);
    }
}

/* By how much the longest of those that are there now has overstayed. */
static int64_t overstayed_now(const SimQueueWatch *watch)
{
    int64_t now = sim_manager_now(watch->sim->manager), most = 0;
    for (GTreeNode *n = g_tree_node_first(watch->vms); n != NULL; n = g_tree_node_next(n)) {
        const Lodger *vm = g_tree_node_value(n);
        most = MAX(most, vm->release_ms > 0 ? now - vm->release_ms + ROUND_MS : 0);
    }
    return most;
}

static bool is_held_to(const Entry *entry)
{
    return entry->promised && !entry->excused && sim_jobs_has_tenant(entry->object->tenant);
}

/* By how much the start of another is overdue, as far as that is waited for: its room, and so all that is promised
 * a start behind it, moves with it. */
static int64_t overdue_now(const SimQueueWatch *watch, const Entry *entry)
{
    int64_t now = sim_manager_now(watch->sim->manager), most = 0;
    for (GTreeNode *n = g_tree_node_first(watch->entries); n != NULL; n = g_tree_node_next(n)) {
        const Entry *other = g_tree_node_value(n);
        most = other != entry && other->promised ? MAX(most, now - other->object->start_ms) : most;
    }
    return MIN(most, PATIENCE_MS);
}

static int64_t allowed_ms(const SimQueueWatch *watch, const Entry *entry)
{
    return entry->best_ms + watch->over_ms - entry->over_ms +
           MAX(overstayed_now(watch), overdue_now(watch, entry)) + SLACK_MS;
}

/* What overstays makes it so late that it would run into a reservation, which does not move: it starts behind
 * that, or elsewhere. */
static void excuse_for_reservations(SimQueueWatch *watch, Entry *entry)
{
    int64_t late = allowed_ms(watch, entry) - entry->best_ms;
    int64_t lasts = lasts_ms(entry->object);
    for (GTreeNode *n = g_tree_node_first(watch->reservations); n != NULL && late > MARGIN_MS;
         n = g_tree_node_next(n)) {
        int64_t start = ((const Reservation *)g_tree_node_value(n))->start_ms - entry->best_ms;
        entry->excused = entry->excused || (start >= 0 && start < lasts + late);
    }
}

static void check_promise(SimQueueWatch *watch, Entry *entry, int64_t start_ms)
{
    excuse_for_reservations(watch, entry);
    if (is_held_to(entry) && (start_ms == 0 || start_ms > allowed_ms(watch, entry))) {
        sim_broken(watch->sim->world,
                   "%s was promised a start at %" G_GINT64_FORMAT ", now it is %" G_GINT64_FORMAT
                   "; %" G_GINT64_FORMAT " would be excused",
                   name_of(entry->object), entry->best_ms, start_ms, allowed_ms(watch, entry));
    }
}

static void take_promise(SimQueueWatch *watch, Entry *entry)
{
    int64_t start = entry->object->start_ms;
    if (start > 0 && (!entry->promised || start < entry->best_ms)) {
        entry->excused = entry->promised && entry->excused;
        entry->best_ms = start;
        entry->over_ms = watch->over_ms;
    }
    entry->promised = start > 0;
}

static QueuedRequest *decode(SimQueueWatch *watch, GBytes *value)
{
    QueuedRequest *object = sim_disk_read(&queued_request_type, value);
    if (object == NULL) {
        sim_broken(watch->sim->world, "the store has a request that waits and cannot be read");
    }
    return object;
}

/* Who comes, or has found a better start, may take that of a lower priority. */
static void make_way(SimQueueWatch *watch, GBytes *value)
{
    g_autoptr(QueuedRequest) object = decode(watch, value);
    const Entry *entry = object != NULL ? g_tree_lookup(watch->entries, object->id) : NULL;
    if (object != NULL && (entry == NULL || entry->object->start_ms != object->start_ms)) {
        excuse_below(watch, priority_of(object));
    }
}

static void tell_promise(const SimQueueWatch *watch, const Entry *entry)
{
    const QueuedRequest *object = entry->object;
    sim_log(watch->sim->world,
            "queue: %s of %s, priority %" G_GINT64_FORMAT "%s, is promised %" G_GINT64_FORMAT "%s",
            name_of(object), object->tenant, priority_of(object),
            object->deadline_ms > 0 ? ", with a deadline" : "", object->start_ms,
            entry->excused ? ", excused" : "");
}

static void take_entry(SimQueueWatch *watch, GBytes *value)
{
    QueuedRequest *object = decode(watch, value);
    if (object == NULL) {
        return;
    }
    Entry *entry = g_tree_lookup(watch->entries, object->id);
    if (entry == NULL) {
        entry = g_new0(Entry, 1);
        entry->object = object;
        entry->demand = demand_of(object);
        g_tree_insert(watch->entries, object->id, entry);
        watch->figures.entered++;
    } else {
        check_promise(watch, entry, object->start_ms);
        entry->object->start_ms = object->start_ms;
        queued_request_free(object);
    }
    tell_promise(watch, entry);
    take_promise(watch, entry);
}

/* Has `other` waited longer for the same? With a deadline, or an end to its patience, it may be
 * promised another start or none. */
static bool is_before(const Entry *other, const Entry *entry)
{
    const QueuedRequest *a = other->object, *b = entry->object;
    return a->since_ms < b->since_ms && a->deadline_ms == 0 && b->deadline_ms == 0 &&
           a->until_ms == 0 && strcmp(a->tenant, b->tenant) == 0 &&
           strcmp(other->demand, entry->demand) == 0;
}

/* One without a promise that starts has taken that of a younger one that asks for the same, which gets another. */
static void pass_on(SimQueueWatch *watch, const Entry *older)
{
    for (GTreeNode *n = g_tree_node_first(watch->entries); n != NULL; n = g_tree_node_next(n)) {
        Entry *entry = g_tree_node_value(n);
        if (is_before(older, entry)) {
            entry->promised = false;
        }
    }
}

/* The same of one without a promise that is given the start of a younger one, which has to be the very same. */
static void mind_taken(SimQueueWatch *watch, GBytes *value)
{
    g_autoptr(QueuedRequest) object = decode(watch, value);
    const Entry *older = object != NULL ? g_tree_lookup(watch->entries, object->id) : NULL;
    for (GTreeNode *n = g_tree_node_first(watch->entries);
         n != NULL && older != NULL && !older->promised && object->start_ms > 0;
         n = g_tree_node_next(n)) {
        Entry *entry = g_tree_node_value(n);
        if (entry->object->start_ms == object->start_ms && is_before(older, entry)) {
            entry->promised = false;
        }
    }
}

static void mind_passed_on(SimQueueWatch *watch, const GPtrArray *puts, GHashTable *told)
{
    for (guint i = 0; i < puts->len; i++) {
        const ClusterPut *put = puts->pdata[i];
        const char *id = strrchr(put->key, '/');
        const Entry *entry = g_str_has_prefix(put->key, "queue/") && put->value == NULL
                                 ? g_tree_lookup(watch->entries, id + 1)
                                 : NULL;
        g_autofree char *placed =
            entry != NULL ? g_strconcat("vm.placed ", entry->object->id, NULL) : NULL;
        if (entry != NULL && !entry->promised && g_hash_table_contains(told, placed)) {
            pass_on(watch, entry);
        }
    }
}

static void check_order(SimQueueWatch *watch, const Entry *entry)
{
    for (GTreeNode *n = g_tree_node_first(watch->entries); n != NULL; n = g_tree_node_next(n)) {
        const Entry *other = g_tree_node_value(n);
        if (is_before(other, entry)) {
            sim_broken(watch->sim->world, "%s starts, and %s has waited longer for the same",
                       name_of(entry->object), name_of(other->object));
        }
    }
}

static bool is_stored(const SimQueueWatch *watch, const QueuedRequest *object)
{
    g_autofree char *key = g_strdup_printf("%s/%s/%s/spec", object->vm != NULL ? "vm" : "app",
                                           object->tenant, object->id);
    return sim_disk_get(sim_manager_disk(watch->sim->manager), key) != NULL;
}

/* Does the event say what is true? */
static void check_reason(SimQueueWatch *watch, const Entry *entry, const char *message)
{
    const QueuedRequest *object = entry->object;
    int64_t now = sim_manager_now(watch->sim->manager);
    bool early = strstr(message, "in the time that it could wait") != NULL &&
                 (object->until_ms == 0 || now + SLACK_MS < object->until_ms);
    bool none = strstr(message, "the deadline") != NULL && object->deadline_ms == 0;
    if (early || none) {
        sim_broken(watch->sim->world, "%s left the queue for a reason that it had not: %s",
                   name_of(object), message);
    }
}

/* `told`: "KIND ID" → message, of this transaction. */
static void check_left(SimQueueWatch *watch, const Entry *entry, GHashTable *told)
{
    const QueuedRequest *object = entry->object;
    g_autofree char *left = g_strconcat("queue.left ", object->id, NULL);
    g_autofree char *placed = g_strconcat("vm.placed ", object->id, NULL);
    const char *message = g_hash_table_lookup(told, left);
    bool stored = is_stored(watch, object);
    bool silent = stored && object->vm != NULL && !g_hash_table_contains(told, placed);
    watch->figures.left++;
    if (stored == (message != NULL) || silent) {
        sim_broken(watch->sim->world, "%s left the queue and %s", name_of(object),
                   silent   ? "its start is not told"
                   : stored ? "is there, and told to be refused"
                            : "nobody was told why");
    } else if (stored) {
        watch->figures.placed++;
        watch->figures.kept += is_held_to(entry);
        watch->figures.excused += entry->promised && entry->excused;
        check_order(watch, entry);
    } else {
        check_reason(watch, entry, message);
    }
}

static void take_event(SimQueueWatch *watch, GHashTable *told, GBytes *value)
{
    g_autoptr(Event) event = sim_disk_read(&event_type, value);
    if (event == NULL) {
        return;
    }
    if (g_str_has_prefix(event->kind, "host.")) {
        excuse_all(watch);
    }
    if (event->subject != NULL && event->subject->id != NULL) {
        g_hash_table_insert(told, g_strconcat(event->kind, " ", event->subject->id, NULL),
                            g_strdup(event->message));
    }
}

static void take_put(SimQueueWatch *watch, GHashTable *told, const ClusterPut *put)
{
    g_auto(GStrv) path = g_strsplit(put->key, "/", -1);
    guint depth = g_strv_length(path);
    if (strcmp(path[0], "vm") == 0) {
        watch->moved_ms = watch->sim->world->now_ms;
    }
    if (strcmp(path[0], "event") == 0) {
        take_event(watch, told, put->value);
    } else if (strcmp(path[0], "host") == 0) {
        excuse_all(watch);
    } else if (strcmp(path[0], "reservation") == 0 && depth == 3) {
        take_reservation(watch, path[2], put->value);
    } else if (strcmp(path[0], "app") == 0 && depth == 4 && strcmp(path[3], "spec") == 0) {
        take_app(watch, path[2], put->value);
    } else if (strcmp(path[0], "vm") == 0 && depth == 4 && strcmp(path[3], "spec") == 0) {
        take_spec(watch, path[2], put->value);
    } else if (strcmp(path[0], "vm") == 0 && depth == 4 && strcmp(path[3], "status") == 0) {
        take_status(watch, path[2], put->value);
    }
}

/* A clock that is set breaks what was promised by it. */
static void mind_clock(SimQueueWatch *watch)
{
    int64_t clock = sim_manager_now(watch->sim->manager) - watch->sim->world->now_ms;
    if (clock != watch->clock_ms) {
        excuse_all(watch);
        watch->looks_up = -LOOKS_LATE;
    }
    watch->clock_ms = clock;
}

static void each_waiting(SimQueueWatch *watch, const GPtrArray *puts,
                         void (*func)(SimQueueWatch *watch, GBytes *value))
{
    for (guint i = 0; i < puts->len; i++) {
        const ClusterPut *put = puts->pdata[i];
        if (g_str_has_prefix(put->key, "queue/") && put->value != NULL) {
            func(watch, put->value);
        }
    }
}

/* First what has happened, then who waits on, then who has left. */
static void take_puts(void *owner, const GPtrArray *puts)
{
    SimQueueWatch *watch = owner;
    g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(entry_free);
    mind_clock(watch);
    for (guint i = 0; i < puts->len; i++) {
        take_put(watch, told, puts->pdata[i]);
    }
    excuse_below_those_who_lack(watch);
    each_waiting(watch, puts, make_way);
    mind_passed_on(watch, puts, told);
    each_waiting(watch, puts, mind_taken);
    each_waiting(watch, puts, take_entry);
    for (guint i = 0; i < puts->len; i++) {
        const ClusterPut *put = puts->pdata[i];
        const char *id = strrchr(put->key, '/');
        Entry *entry = g_str_has_prefix(put->key, "queue/") && put->value == NULL
                           ? g_tree_lookup(watch->entries, id + 1)
                           : NULL;
        if (entry != NULL) {
            g_tree_steal(watch->entries, id + 1);
            g_ptr_array_add(gone, entry);
        }
    }
    for (guint i = 0; i < gone->len; i++) {
        check_left(watch, gone->pdata[i], told);
    }
}

static void check_waiting(SimQueueWatch *watch, Entry *entry)
{
    const QueuedRequest *object = entry->object;
    excuse_for_reservations(watch, entry);
    int64_t now = sim_manager_now(watch->sim->manager);
    if (is_held_to(entry) && now > allowed_ms(watch, entry) + LATE_MS) {
        sim_broken(watch->sim->world,
                   "%s was promised a start at %" G_GINT64_FORMAT " and waits on", name_of(object),
                   entry->best_ms);
    } else if (object->until_ms > 0 && now > object->until_ms + 3 * LATE_MS) {
        sim_broken(watch->sim->world, "%s waits beyond its time", name_of(object));
    } else if (object->deadline_ms > 0 && now > latest_ms(object) + HOPE_MS) {
        sim_broken(watch->sim->world, "%s can meet its deadline no more, and waits on",
                   name_of(object));
    }
}

static void look(void *owner, void *data)
{
    SimQueueWatch *watch = owner;
    Sim *sim = watch->sim;
    mind_clock(watch);
    watch->looks_up =
        sim_manager_is_up(sim->manager) ? watch->looks_up + 1 : MIN(watch->looks_up, 0);
    for (GTreeNode *n = g_tree_node_first(watch->entries); n != NULL && watch->looks_up > LOOKS_UP;
         n = g_tree_node_next(n)) {
        check_waiting(watch, g_tree_node_value(n));
    }
    sim_after(sim->world, LOOK_MS, look, watch, NULL, NULL);
}

SimQueueWatch *sim_queue_watch_new(Sim *sim)
{
    SimQueueWatch *watch = g_new0(SimQueueWatch, 1);
    watch->sim = sim;
    watch->entries = g_tree_new_full(berth_order_keys, NULL, NULL, entry_free);
    watch->vms = g_tree_new_full(berth_order_keys, NULL, g_free, lodger_free);
    watch->apps = g_tree_new_full(berth_order_keys, NULL, g_free, g_free);
    watch->reservations = g_tree_new_full(berth_order_keys, NULL, g_free, free_reservation);
    sim_disk_follow(sim_manager_disk(sim->manager), take_puts, watch);
    sim_after(sim->world, LOOK_MS, look, watch, NULL, NULL);
    return watch;
}

void sim_queue_watch_free(SimQueueWatch *watch)
{
    if (watch != NULL) {
        sim_disk_unfollow(sim_manager_disk(watch->sim->manager), watch);
        g_tree_unref(watch->entries);
        g_tree_unref(watch->vms);
        g_tree_unref(watch->apps);
        g_tree_unref(watch->reservations);
        g_free(watch);
    }
}

static gint by_place(gconstpointer a, gconstpointer b)
{
    const QueueEntry *x = *(QueueEntry *const *)a, *y = *(QueueEntry *const *)b;
    return (x->place > y->place) - (x->place < y->place);
}

/* What each tenant sees, put together. */
static QueueList *ask_list(SimQueueWatch *watch)
{
    static const char *const tenants[] = {"default", "blue", "red"};
    g_autoptr(QueueList) all = queue_list_new();
    for (guint i = 0; i < G_N_ELEMENTS(tenants); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = g_strdup_printf("/v1/queue?limit=1000&tenant=%s", tenants[i]);
        json_t *json = sim_ask(watch->sim, "GET", path, NULL, 60000, &error);
        g_autoptr(QueueList) list =
            json != NULL ? queue_list_decode(json, CODEC_TOLERANT, &error) : NULL;
        json_decref(json);
        if (list == NULL) {
            sim_broken(watch->sim->world, "the queue cannot be listed: %s", error->message);
            return NULL;
        }
        while (list->items->len > 0) {
            g_ptr_array_add(all->items, g_ptr_array_steal_index(list->items, 0));
        }
    }
    g_ptr_array_sort(all->items, by_place);
    return g_steal_pointer(&all);
}

static bool is_preempted_or_app(const SimQueueWatch *watch, const QueueEntry *row)
{
    const Lodger *vm = g_tree_lookup(watch->vms, row->id);
    g_autofree char *app = g_strdup_printf("app/%s/%s/spec", row->tenant, row->id);
    return (vm != NULL && vm->preempted) ||
           sim_disk_get(sim_manager_disk(watch->sim->manager), app) != NULL;
}

static void check_row(SimQueueWatch *watch, const QueueList *list, guint at)
{
    const QueueEntry *row = list->items->pdata[at];
    if (row->place != (int64_t)at + 1) {
        sim_broken(watch->sim->world, "%s is number %u and is told to be %" G_GINT64_FORMAT,
                   row->name, at + 1, row->place);
    } else if (g_tree_lookup(watch->entries, row->id) == NULL && !is_preempted_or_app(watch, row)) {
        sim_broken(watch->sim->world, "%s is listed and does not wait", row->name);
    }
    for (guint i = 0; i < at; i++) {
        const QueueEntry *before = list->items->pdata[i];
        bool same = before->priority == row->priority && strcmp(before->tenant, row->tenant) == 0;
        if (strcmp(before->id, row->id) == 0 || before->priority < row->priority ||
            (same && before->since_ms > row->since_ms)) {
            sim_broken(watch->sim->world, "%s stands behind %s in the list", row->name,
                       before->name);
        }
    }
}

static void check_list(SimQueueWatch *watch, const QueueList *list)
{
    int listed = 0;
    for (guint i = 0; i < list->items->len; i++) {
        const QueueEntry *row = list->items->pdata[i];
        listed += g_tree_lookup(watch->entries, row->id) != NULL;
        check_row(watch, list, i);
    }
    if (listed != g_tree_nnodes(watch->entries)) {
        sim_broken(watch->sim->world, "%d wait and %d are listed", g_tree_nnodes(watch->entries),
                   listed);
    }
}

/* Those of the second stand as they did in the first, in which others may have been that left meanwhile. */
static void check_same(SimQueueWatch *watch, const QueueList *before, const QueueList *after)
{
    guint at = 0;
    for (guint i = 0; i < after->items->len; i++) {
        const QueueEntry *row = after->items->pdata[i];
        while (at < before->items->len &&
               strcmp(((const QueueEntry *)before->items->pdata[at])->id, row->id) != 0) {
            at++;
        }
        if (at == before->items->len) {
            sim_broken(watch->sim->world, "%s has another place since the manager started again",
                       row->name);
            return;
        }
    }
}

int64_t sim_queue_watch_still_ms(const SimQueueWatch *watch)
{
    return watch->sim->world->now_ms - watch->moved_ms;
}

void sim_queue_watch_rest(SimQueueWatch *watch)
{
    g_autoptr(QueueList) before = ask_list(watch);
    if (before == NULL) {
        return;
    }
    check_list(watch, before);
    sim_manager_crash(watch->sim->manager);
    sim_manager_start(watch->sim->manager);
    g_autoptr(QueueList) after = ask_list(watch);
    if (after != NULL) {
        check_list(watch, after);
        check_same(watch, before, after);
    }
}

const SimQueueFigures *sim_queue_watch_figures(const SimQueueWatch *watch)
{
    return &watch->figures;
}
