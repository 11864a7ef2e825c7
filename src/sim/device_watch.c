#include "sim/device_watch.h"

#include <string.h>

#include "base/order.h"
#include "schema/objects.h"

#define LOOK_MS 5000

/* A round of the queue comes a second after the one before, and a transaction takes a while. */
#define ROUND_MS 15000

typedef struct {
    char *reservation; /* id; NULL: in none */
    IntMap *wanted;    /* of each model */
    int64_t release_ms;
    bool idle; /* parked or preempted: it has none once it is off */
    char *host;
    GPtrArray *devices; /* of DeviceHeld */
    bool claims;
} Lodger;

/* Something that holds slices from a time to another. */
typedef struct {
    const DeviceHeld *held;
    const char *host;
    int64_t from_ms, to_ms;
    bool firm; /* not to be put right by a round */
} Span;

struct SimDeviceWatch {
    Sim *sim;
    GTree *vms;          /* id → Lodger */
    GTree *hosts;        /* id → HostFacts */
    GTree *reservations; /* id → Reservation */
    GTree *queue;        /* id → QueuedRequest */
    GHashTable *wrong;   /* what is wrong → int64_t *: since when, for a round to put right */
    GHashTable *seen;    /* the same, in the look under way */
    int64_t up_since_ms; /* the manager has been there, and can write; INT64_MAX: it is not */
};

static void lodger_free(void *data)
{
    Lodger *vm = data;
    g_free(vm->reservation);
    int_map_free(vm->wanted);
    g_free(vm->host);
    g_clear_pointer(&vm->devices, g_ptr_array_unref);
    g_free(vm);
}

static Lodger *lodger_of(SimDeviceWatch *watch, const char *id)
{
    Lodger *vm = g_tree_lookup(watch->vms, id);
    if (vm == NULL) {
        vm = g_new0(Lodger, 1);
        g_tree_insert(watch->vms, g_strdup(id), vm);
    }
    return vm;
}

static void take_spec(SimDeviceWatch *watch, const char *id, GBytes *value)
{
    g_autoptr(VmSpec) spec = sim_disk_read(&vm_spec_type, value);
    if (spec == NULL) {
        g_tree_remove(watch->vms, id);
        return;
    }
    Lodger *vm = lodger_of(watch, id);
    bool ends = spec->ends_ms > 0 && spec->at_end != AT_END_WARN;
    g_free(vm->reservation);
    int_map_free(vm->wanted);
    vm->reservation = g_strdup(spec->reservation);
    vm->wanted = int_map_copy(spec->resources->accelerators);
    vm->release_ms = ends ? spec->ends_ms + spec->grace_seconds * 1000 : INT64_MAX;
    vm->idle = spec->parked || spec->preempted;
}

static void take_placement(SimDeviceWatch *watch, const char *id, GBytes *value)
{
    g_autoptr(VmPlacement) placement = sim_disk_read(&vm_placement_type, value);
    if (placement != NULL) {
        Lodger *vm = lodger_of(watch, id);
        g_free(vm->host);
        g_clear_pointer(&vm->devices, g_ptr_array_unref);
        vm->host = g_strdup(placement->host);
        vm->devices = g_ptr_array_ref(placement->devices);
        vm->claims = placement->claiming;
    }
}

static void take(GTree *objects, const char *id, void *object)
{
    if (object == NULL) {
        g_tree_remove(objects, id);
    } else {
        g_tree_replace(objects, g_strdup(id), object);
    }
}

static void take_put(SimDeviceWatch *watch, const ClusterPut *put)
{
    g_auto(GStrv) path = g_strsplit(put->key, "/", -1);
    guint depth = g_strv_length(path);
    bool of_vm = strcmp(path[0], "vm") == 0 && depth == 4;
    if (of_vm && strcmp(path[3], "spec") == 0) {
        take_spec(watch, path[2], put->value);
    } else if (of_vm && strcmp(path[3], "placement") == 0) {
        take_placement(watch, path[2], put->value);
    } else if (strcmp(path[0], "host") == 0 && strcmp(path[2], "facts") == 0) {
        take(watch->hosts, path[1], sim_disk_read(&host_facts_type, put->value));
    } else if (strcmp(path[0], "reservation") == 0) {
        take(watch->reservations, path[2], sim_disk_read(&reservation_type, put->value));
    } else if (strcmp(path[0], "queue") == 0) {
        take(watch->queue, path[2], sim_disk_read(&queued_request_type, put->value));
    }
}

static int64_t now_ms(const SimDeviceWatch *watch)
{
    return sim_manager_now(watch->sim->manager);
}

/* Wrong until a round has put it right. Takes `what`. */
static void tolerate(SimDeviceWatch *watch, char *what)
{
    int64_t now = watch->sim->world->now_ms;
    const int64_t *since = g_hash_table_lookup(watch->wrong, what);
    int64_t from = since != NULL ? *since : now;
    if (now - MAX(from, watch->up_since_ms) > ROUND_MS && watch->up_since_ms <= now) {
        sim_broken(watch->sim->world, "%s, and nobody puts it right", what);
    }
    g_hash_table_replace(watch->seen, what, g_memdup2(&from, sizeof from));
}

static const char *name_of(const SimDeviceWatch *watch, const char *host)
{
    const SimAgent *agent = sim_find_host_by_id(watch->sim, host);
    return agent != NULL ? sim_agent_machine(agent)->name : host;
}

static bool is_there(const SimDeviceWatch *watch, const char *host, const DeviceHeld *held)
{
    const HostFacts *facts = g_tree_lookup(watch->hosts, host);
    for (guint i = 0; facts != NULL && i < facts->devices->len; i++) {
        const HostDevice *device = facts->devices->pdata[i];
        if (strcmp(device->id, held->device) == 0) {
            return strcmp(device->model, held->model) == 0 && device->slices == held->of;
        }
    }
    return false;
}

static bool same_device(const Span *one, const Span *other)
{
    return one->held->of == other->held->of && strcmp(one->host, other->host) == 0 &&
           strcmp(one->held->device, other->held->device) == 0;
}

static void check_whole(SimDeviceWatch *watch, const char *id, const Lodger *vm)
{
    for (size_t m = 0; vm->devices->len > 0 && m < int_map_size(vm->wanted); m++) {
        int64_t sum = 0, n = 0, parts = 0;
        for (guint i = 0; i < vm->devices->len; i++) {
            const DeviceHeld *held = vm->devices->pdata[i];
            if (strcmp(held->model, int_map_key(vm->wanted, m)) == 0) {
                sum += held->slices;
                n++;
                parts += held->slices < held->of;
            }
        }
        if (n > 1 && parts > 0) {
            sim_broken(watch->sim->world, "VM %s has slices of %" G_GINT64_FORMAT " devices", id,
                       n);
        } else if (sum != int_map_value(vm->wanted, m)) {
            sim_broken(watch->sim->world,
                       "VM %s has %" G_GINT64_FORMAT " of %s and asked for %" G_GINT64_FORMAT, id,
                       sum, int_map_key(vm->wanted, m), int_map_value(vm->wanted, m));
        }
    }
}

static void add(GArray *spans, const char *host, const GPtrArray *devices, int64_t from, int64_t to,
                bool firm)
{
    for (guint i = 0; i < devices->len; i++) {
        Span span = {devices->pdata[i], host, from, to, firm};
        g_array_append_val(spans, span);
    }
}

/* As many of the slots have a VM in them, which counts by itself: it has no others. */
static int64_t of_lodgers(const SimDeviceWatch *watch, const char *reservation, const Span *span)
{
    int64_t slices = 0;
    for (GTreeNode *n = g_tree_node_first(watch->vms); n != NULL; n = g_tree_node_next(n)) {
        const Lodger *vm = g_tree_node_value(n);
        bool inside = vm->host != NULL && !vm->claims &&
                      g_strcmp0(vm->reservation, reservation) == 0 &&
                      strcmp(vm->host, span->host) == 0;
        for (guint i = 0; inside && i < vm->devices->len; i++) {
            const DeviceHeld *held = vm->devices->pdata[i];
            bool same = held->of == span->held->of && strcmp(held->device, span->held->device) == 0;
            slices += same ? held->slices : 0;
        }
    }
    return slices;
}

typedef struct {
    int64_t vms, others;
} Sum;

/* What all together hold of a device at a time; a reservation's VMs are in its slots. */
static Sum held_at(const SimDeviceWatch *watch, const GArray *vms, const GArray *promises,
                   const Span *of, int64_t at)
{
    Sum sum = {0};
    for (guint i = 0; i < vms->len; i++) {
        const Span *span = &g_array_index(vms, Span, i);
        sum.vms += same_device(span, of) && at < span->to_ms ? span->held->slices : 0;
    }
    for (guint i = 0; i < promises->len; i++) {
        const Span *span = &g_array_index(promises, Span, i);
        bool then = at >= span->from_ms && at < span->to_ms;
        sum.others += same_device(span, of) && then ? span->held->slices : 0;
    }
    for (GTreeNode *n = g_tree_node_first(watch->reservations); n != NULL;
         n = g_tree_node_next(n)) {
        const Reservation *object = g_tree_node_value(n);
        int64_t to = object->at_end == AT_END_WARN ? INT64_MAX
                                                   : object->end_ms + object->grace_seconds * 1000;
        int64_t slices = 0;
        for (guint i = 0; at >= object->start_ms && at < to && i < object->slots->len; i++) {
            const ReservationSlot *slot = object->slots->pdata[i];
            for (guint k = 0; k < slot->devices->len; k++) {
                Span span = {.held = slot->devices->pdata[k], .host = slot->host};
                slices += same_device(&span, of) ? span.held->slices : 0;
            }
        }
        sum.others += slices > 0 ? MAX(slices - of_lodgers(watch, g_tree_node_key(n), of), 0) : 0;
    }
    return sum;
}

/* Is anything on the host that should be gone? */
static bool owes(const SimDeviceWatch *watch, const char *host)
{
    for (GTreeNode *n = g_tree_node_first(watch->vms); n != NULL; n = g_tree_node_next(n)) {
        const Lodger *vm = g_tree_node_value(n);
        if (vm->host != NULL && strcmp(vm->host, host) == 0 && vm->release_ms <= now_ms(watch)) {
            return true;
        }
    }
    return false;
}

static void check_once(SimDeviceWatch *watch, const GArray *vms, const GArray *promises,
                       const Span *span, int64_t at)
{
    Sum sum = held_at(watch, vms, promises, span, at);
    const char *host = name_of(watch, span->host);
    if (at <= now_ms(watch) && sum.vms > span->held->of) {
        sim_broken(watch->sim->world,
                   "VMs have %" G_GINT64_FORMAT " of the %" G_GINT64_FORMAT " slices of %s of %s",
                   sum.vms, span->held->of, span->held->device, host);
    } else if (sum.vms + sum.others > span->held->of && !owes(watch, span->host) &&
               is_there(watch, span->host, span->held)) {
        tolerate(watch, g_strdup_printf("%s of %s is given to VMs and promised to others, more of "
                                        "it than there is",
                                        span->held->device, host));
    }
}

/* When something begins: in between it only becomes less. */
static void check_each(SimDeviceWatch *watch, const GArray *vms, const GArray *promises)
{
    int64_t now = now_ms(watch);
    for (guint i = 0; i < vms->len; i++) {
        check_once(watch, vms, promises, &g_array_index(vms, Span, i), now);
    }
    for (guint i = 0; i < promises->len; i++) {
        const Span *span = &g_array_index(promises, Span, i);
        check_once(watch, vms, promises, span, MAX(now, span->from_ms));
    }
    for (GTreeNode *n = g_tree_node_first(watch->reservations); n != NULL;
         n = g_tree_node_next(n)) {
        const Reservation *object = g_tree_node_value(n);
        for (guint i = 0; i < object->slots->len; i++) {
            const ReservationSlot *slot = object->slots->pdata[i];
            for (guint k = 0; k < slot->devices->len; k++) {
                Span span = {.held = slot->devices->pdata[k], .host = slot->host};
                check_once(watch, vms, promises, &span, MAX(now, object->start_ms));
            }
        }
    }
}

/* Is there a VM of the reservation on the host? It stays, and so does its slot. */
static bool is_used(const SimDeviceWatch *watch, const char *reservation, const char *host)
{
    for (GTreeNode *n = g_tree_node_first(watch->vms); n != NULL; n = g_tree_node_next(n)) {
        const Lodger *vm = g_tree_node_value(n);
        if (vm->host != NULL && strcmp(vm->host, host) == 0 &&
            g_strcmp0(vm->reservation, reservation) == 0) {
            return true;
        }
    }
    return false;
}

static void check_there(SimDeviceWatch *watch, const char *who, const char *host,
                        const GPtrArray *devices)
{
    for (guint i = 0; i < devices->len; i++) {
        const DeviceHeld *held = devices->pdata[i];
        if (!is_there(watch, host, held)) {
            tolerate(watch, g_strdup_printf("%s is promised %s of %s, which is lost", who,
                                            held->device, name_of(watch, host)));
        }
    }
}

static void check_slots(SimDeviceWatch *watch, const char *id, const Reservation *object)
{
    for (guint i = 0; i < object->slots->len; i++) {
        const ReservationSlot *slot = object->slots->pdata[i];
        if (slot->risk == NULL && !is_used(watch, id, slot->host)) {
            check_there(watch, object->name, slot->host, slot->devices);
        }
    }
}

/* Where it is promised, and for how long; a start that is past waits for somebody who overstays. */
static void add_promise(SimDeviceWatch *watch, const QueuedRequest *object, GArray *promises)
{
    bool is_vm = object->vm != NULL;
    int64_t ends = is_vm ? object->vm->ends_ms : object->app->ends_ms;
    int64_t grace = is_vm ? object->vm->grace_seconds : object->app->grace_seconds;
    bool warns = (is_vm ? object->vm->at_end : object->app->at_end) == AT_END_WARN;
    int64_t to =
        ends > 0 && !warns ? object->start_ms + ends - object->since_ms + grace * 1000 : INT64_MAX;
    bool stands = object->start_ms > now_ms(watch);
    for (guint i = 0; stands && i < object->devices->len && i < object->hosts->len; i++) {
        const DevicesHeld *its = object->devices->pdata[i];
        add(promises, object->hosts->pdata[i], its->devices, object->start_ms, to, false);
        check_there(watch, is_vm ? object->vm->name : object->app->name, object->hosts->pdata[i],
                    its->devices);
    }
}

static void check(SimDeviceWatch *watch)
{
    g_autoptr(GArray) vms = g_array_new(FALSE, FALSE, sizeof(Span));
    g_autoptr(GArray) promises = g_array_new(FALSE, FALSE, sizeof(Span));
    watch->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (GTreeNode *n = g_tree_node_first(watch->vms); n != NULL; n = g_tree_node_next(n)) {
        const Lodger *vm = g_tree_node_value(n);
        if (vm->host != NULL && vm->wanted != NULL && !vm->claims) {
            check_whole(watch, g_tree_node_key(n), vm);
            add(vms, vm->host, vm->devices, 0, vm->release_ms, true);
        }
    }
    for (GTreeNode *n = g_tree_node_first(watch->queue); n != NULL; n = g_tree_node_next(n)) {
        add_promise(watch, g_tree_node_value(n), promises);
    }
    for (GTreeNode *n = g_tree_node_first(watch->reservations); n != NULL;
         n = g_tree_node_next(n)) {
        check_slots(watch, g_tree_node_key(n), g_tree_node_value(n));
    }
    check_each(watch, vms, promises);
    g_hash_table_unref(watch->wrong);
    watch->wrong = g_steal_pointer(&watch->seen);
}

static void take_puts(void *owner, const GPtrArray *puts)
{
    SimDeviceWatch *watch = owner;
    for (guint i = 0; i < puts->len; i++) {
        take_put(watch, puts->pdata[i]);
    }
    check(watch);
}

static void look(void *owner, void *data)
{
    SimDeviceWatch *watch = owner;
    SimWorld *world = watch->sim->world;
    bool up = sim_manager_is_up(watch->sim->manager) && sim_manager_can_write(watch->sim->manager);
    watch->up_since_ms = up ? MIN(watch->up_since_ms, world->now_ms) : INT64_MAX;
    if (g_hash_table_size(watch->wrong) > 0) {
        check(watch);
    }
    sim_after(world, LOOK_MS, look, watch, NULL, NULL);
}

static void free_facts(void *facts)
{
    host_facts_free(facts);
}

static void free_reservation(void *reservation)
{
    reservation_free(reservation);
}

static void free_queued(void *queued)
{
    queued_request_free(queued);
}

SimDeviceWatch *sim_device_watch_new(Sim *sim)
{
    SimDeviceWatch *watch = g_new0(SimDeviceWatch, 1);
    watch->sim = sim;
    watch->vms = g_tree_new_full(berth_order_keys, NULL, g_free, lodger_free);
    watch->hosts = g_tree_new_full(berth_order_keys, NULL, g_free, free_facts);
    watch->reservations = g_tree_new_full(berth_order_keys, NULL, g_free, free_reservation);
    watch->queue = g_tree_new_full(berth_order_keys, NULL, g_free, free_queued);
    watch->wrong = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    watch->up_since_ms = INT64_MAX;
    sim_disk_follow(sim_manager_disk(sim->manager), take_puts, watch);
    sim_after(sim->world, LOOK_MS, look, watch, NULL, NULL);
    return watch;
}

void sim_device_watch_free(SimDeviceWatch *watch)
{
    if (watch != NULL) {
        sim_disk_unfollow(sim_manager_disk(watch->sim->manager), watch);
        g_tree_unref(watch->vms);
        g_tree_unref(watch->hosts);
        g_tree_unref(watch->reservations);
        g_tree_unref(watch->queue);
        g_hash_table_unref(watch->wrong);
        g_free(watch);
    }
}
