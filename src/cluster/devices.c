#include "cluster/devices.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/ends.h"
#include "cluster/journal.h"
#include "cluster/promises.h"
#include "cluster/rescue.h"
#include "cluster/reservations.h"
#include "cluster/workload.h"

/* The engine numbers models as accelerators are numbered among the dimensions. */
static uint32_t model_of(int dim)
{
    return (uint32_t)(dim - N_FIXED);
}

static const char *model_name(const ClusterCore *core, uint32_t model)
{
    return core->dimensions->pdata[model + N_FIXED];
}

static void device_clear(void *data)
{
    g_free(((ClusterDevice *)data)->id);
}

GArray *devices_new(void)
{
    GArray *devices = g_array_new(FALSE, FALSE, sizeof(ClusterDevice));
    g_array_set_clear_func(devices, device_clear);
    return devices;
}

static const ClusterDevice *device_at(const ClusterHost *host, guint i)
{
    return &g_array_index(host->devices, ClusterDevice, i);
}

static int find_device(const ClusterHost *host, const char *id)
{
    for (guint i = 0; i < host->devices->len; i++) {
        if (strcmp(device_at(host, i)->id, id) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* The host's device of this name and model, cut as it was when it was given; -1: that one is lost. */
static int find_held(const ClusterHost *host, const DeviceHeld *held)
{
    int i = find_device(host, held->device);
    if (i < 0) {
        return -1;
    }
    const ClusterDevice *device = device_at(host, (guint)i);
    bool cut_alike = held->of == 0 ? held->slices <= device->slices : held->of == device->slices;
    return cut_alike && strcmp(device->model, held->model) == 0 ? i : -1;
}

/* Adds a device; what is wrong with it is told in `refused`. */
static void offer(ClusterCore *core, ClusterHost *host, const char *id, const char *model,
                  int64_t slices, GPtrArray *refused)
{
    int dim = 0;
    if (host->devices->len == BERTH_PLACE_MAX_DEVICES) {
        g_ptr_array_add(refused, g_strdup_printf("%s (a host has %d devices at most)", id,
                                                 BERTH_PLACE_MAX_DEVICES));
    } else if (find_device(host, id) >= 0) {
        g_ptr_array_add(refused, g_strdup_printf("a second %s", id));
    } else if (!fleet_accelerator(core, model, &dim, NULL)) {
        g_ptr_array_add(refused, g_strdup_printf("%s (there are too many models already)", id));
    } else if (core->device_slices[dim] != 0 && core->device_slices[dim] != slices) {
        g_ptr_array_add(refused, g_strdup_printf("%s (a %s has %" G_GINT64_FORMAT
                                                 " slices elsewhere and %" G_GINT64_FORMAT
                                                 " here; give it another model's name)",
                                                 id, model, core->device_slices[dim], slices));
        host->devices_refused = true;
    } else {
        ClusterDevice device = {g_strdup(id), core->dimensions->pdata[dim], dim, slices};
        g_array_append_val(host->devices, device);
        core->device_slices[dim] = slices;
        core->device_count[dim]++;
    }
}

static bool lists_model(const HostFacts *facts, const char *model)
{
    for (guint i = 0; i < facts->devices->len; i++) {
        if (strcmp(((const HostDevice *)facts->devices->pdata[i])->model, model) == 0) {
            return true;
        }
    }
    return false;
}

static void offer_plain(ClusterCore *core, ClusterHost *host, const char *model, int64_t amount,
                        GPtrArray *refused)
{
    for (int64_t i = 1; i <= amount; i++) {
        if (host->devices->len == BERTH_PLACE_MAX_DEVICES) {
            g_ptr_array_add(
                refused, g_strdup_printf("%" G_GINT64_FORMAT " %s (a host has %d devices at most)",
                                         amount - i + 1, model, BERTH_PLACE_MAX_DEVICES));
            return;
        }
        g_autofree char *id = g_strdup_printf("%s#%" G_GINT64_FORMAT, model, i);
        offer(core, host, id, model, 1, refused);
    }
}

static void offer_all(ClusterCore *core, ClusterHost *host, GPtrArray *refused)
{
    const HostFacts *facts = host->facts;
    const IntMap *plain = facts->capacity->accelerators;
    for (guint i = 0; i < facts->devices->len; i++) {
        const HostDevice *device = facts->devices->pdata[i];
        offer(core, host, device->id, device->model, device->slices, refused);
    }
    for (size_t i = 0; i < int_map_size(plain); i++) {
        if (!lists_model(facts, int_map_key(plain, i))) {
            offer_plain(core, host, int_map_key(plain, i), int_map_value(plain, i), refused);
        }
    }
}

static void tell_refused(ClusterCore *core, const ClusterHost *host, const GPtrArray *refused)
{
    if (refused->len == 0 || !core->started) {
        return;
    }
    g_autofree char *text = berth_words_join(refused);
    Subject subject = subject_of_host(host);
    event_add(core, "host.devices", &subject, host->spec->name, NULL, "host %s does not offer %s",
              host->spec->name, text);
}

/* True: some model may now be cut in another way. */
static bool withdraw(ClusterCore *core, ClusterHost *host)
{
    bool freed = false;
    for (guint i = 0; i < host->devices->len; i++) {
        const ClusterDevice *device = device_at(host, i);
        if (--core->device_count[device->dim] == 0) {
            core->device_slices[device->dim] = 0;
            freed = true;
        }
    }
    g_array_set_size(host->devices, 0);
    return freed;
}

/* The devices of a host in their order, in one text. */
static char *list_of(const ClusterHost *host)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < host->devices->len; i++) {
        const ClusterDevice *device = device_at(host, i);
        g_string_append_printf(list, "%s %d %" G_GINT64_FORMAT "\n", device->id, device->dim,
                               device->slices);
    }
    return g_string_free(list, FALSE);
}

static void tell_lost(ClusterCore *core, ClusterHost *host);

/* What the calendar holds of them, it holds by their order, which is another now. */
static void commit_anew(ClusterCore *core, ClusterHost *host)
{
    fleet_devices_changed(core, host);
    reservations_devices_changed(core, host);
    promises_devices_changed(core, host);
    rescue_want(core);
    devices_refresh(core, host);
    if (core->started) {
        tell_lost(core, host);
    }
}

static void take_facts(ClusterCore *core, ClusterHost *host, const char *before)
{
    g_autoptr(GPtrArray) refused = g_ptr_array_new_with_free_func(g_free);
    host->devices_refused = false;
    if (host->facts != NULL) {
        offer_all(core, host, refused);
    }
    tell_refused(core, host, refused);
    devices_refresh(core, host);
    g_autofree char *list = list_of(host);
    if (strcmp(list, before) != 0) {
        commit_anew(core, host);
    }
    workload_changed(core);
}

/* Hosts whose devices were refused for their slices offer them again. */
static void offer_refused(ClusterCore *core, const ClusterHost *except)
{
    for (GTreeNode *n = g_tree_node_first(core->hosts); n != NULL; n = g_tree_node_next(n)) {
        ClusterHost *host = g_tree_node_value(n);
        if (host != except && host->devices_refused) {
            g_autofree char *before = list_of(host);
            withdraw(core, host);
            take_facts(core, host, before);
            fleet_update_host(core, host);
        }
    }
}

/* Who came first must not depend on the order in which a manager that starts again reads the hosts. */
static void save_cuts(ClusterCore *core)
{
    g_autoptr(IntMap) cuts = int_map_new();
    for (guint d = N_FIXED; d < core->dimensions->len; d++) {
        if (core->device_slices[d] > 0) {
            int_map_set(cuts, core->dimensions->pdata[d], core->device_slices[d]);
        }
    }
    if (core->started && !int_map_equal(cuts, core->meta->device_slices)) {
        int_map_free(core->meta->device_slices);
        core->meta->device_slices = g_steal_pointer(&cuts);
        save_meta(core);
    }
}

void devices_load_cuts(ClusterCore *core)
{
    const IntMap *cuts = core->meta != NULL ? core->meta->device_slices : NULL;
    for (size_t i = 0; cuts != NULL && i < int_map_size(cuts); i++) {
        int dim = 0;
        if (fleet_accelerator(core, int_map_key(cuts, i), &dim, NULL)) {
            core->device_slices[dim] = int_map_value(cuts, i);
        }
    }
}

void devices_load_finish(ClusterCore *core)
{
    bool freed = false;
    for (int d = N_FIXED; d < MAX_DIMENSIONS; d++) {
        if (core->device_count[d] == 0 && core->device_slices[d] > 0) {
            core->device_slices[d] = 0;
            freed = true;
        }
    }
    if (freed) {
        offer_refused(core, NULL);
    }
}

void devices_take_facts(ClusterCore *core, ClusterHost *host)
{
    g_autofree char *before = list_of(host);
    bool freed = withdraw(core, host);
    take_facts(core, host, before);
    if (freed) {
        offer_refused(core, host);
    }
    save_cuts(core);
}

void devices_forget_host(ClusterCore *core, ClusterHost *host)
{
    if (withdraw(core, host)) {
        offer_refused(core, host);
    }
    save_cuts(core);
}

void devices_capacity(const ClusterHost *host, Vector *capacity)
{
    for (int d = N_FIXED; d < MAX_DIMENSIONS; d++) {
        capacity->amount[d] = 0;
    }
    for (guint i = 0; i < host->devices->len; i++) {
        capacity->amount[device_at(host, i)->dim] += device_at(host, i)->slices;
    }
}

bool devices_demands(const ClusterCore *core, const Vector *vector, BerthPlaceDevices *ret_demands,
                     uint32_t *ret_n, GError **error)
{
    uint32_t n = 0;
    for (int d = N_FIXED; d < MAX_DIMENSIONS; d++) {
        int64_t amount = vector->amount[d], slices = core->device_slices[d];
        if (amount == 0 || slices == 0) {
            continue; /* nobody has such a device: the amount alone refuses every host */
        }
        if (amount > slices && amount % slices != 0) {
            g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, amount);
            g_autofree char *remedy = g_strdup_printf(
                "1 to %" G_GINT64_FORMAT " slices of one device, or a multiple of %" G_GINT64_FORMAT
                " for whole ones",
                slices, slices);
            return berth_error_set(
                error, BERTH_ERROR_INVALID, core->dimensions->pdata[d], value, remedy,
                "a device has %" G_GINT64_FORMAT " slices, and slices of several are not given",
                slices);
        }
        int64_t whole = MAX(amount / slices, 1);
        ret_demands[n++] = (BerthPlaceDevices){.n = (uint32_t)MIN(whole, BERTH_PLACE_MAX_DEVICES),
                                               .slices = (uint32_t)MIN(amount, slices),
                                               .models = UINT64_C(1) << model_of(d)};
    }
    *ret_n = n;
    return true;
}

static bool is_cut(const ClusterCore *core, uint64_t models)
{
    return core->device_slices[__builtin_ctzll(models) + N_FIXED] > 1;
}

void devices_ask_cut(const ClusterCore *core, EngineRequest *request)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < request->request.n_devices; i++) {
        if (is_cut(core, request->devices[i].models)) {
            request->devices[n++] = request->devices[i];
        }
    }
    request->request.n_devices = n;
    request->request.devices = n > 0 ? request->devices : NULL;
}

static char *demand_text(const ClusterCore *core, const BerthPlaceDevices *demand)
{
    uint32_t model = (uint32_t)__builtin_ctzll(demand->models);
    int64_t slices = core->device_slices[model + N_FIXED];
    const char *name = model_name(core, model);
    return demand->slices == slices
               ? g_strdup_printf("%u whole %s", demand->n, name)
               : g_strdup_printf("%u of the %" G_GINT64_FORMAT " slices of one %s", demand->slices,
                                 slices, name);
}

char *devices_demands_text(const ClusterCore *core, const BerthPlaceRequest *request)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    for (uint32_t i = 0; i < request->n_devices; i++) {
        g_ptr_array_add(texts, demand_text(core, &request->devices[i]));
    }
    return berth_words_join(texts);
}

static guint count_model(const ClusterHost *host, uint64_t models)
{
    guint n = 0;
    for (guint i = 0; i < host->devices->len; i++) {
        n += models >> model_of(device_at(host, i)->dim) & 1;
    }
    return n;
}

bool devices_could_hold(const ClusterHost *host, const BerthPlaceRequest *request)
{
    for (uint32_t i = 0; i < request->n_devices; i++) {
        if (count_model(host, request->devices[i].models) < request->devices[i].n) {
            return false;
        }
    }
    return true;
}

/* Devices of a model are held with equal numbers of slices, so a model is one entry. */
static void hold(Holdings *holdings, uint32_t slices, guint device, const ClusterHost *host)
{
    uint64_t bit = UINT64_C(1) << device;
    for (uint32_t i = 0; i < holdings->n; i++) {
        guint first = (guint)__builtin_ctzll(holdings->held[i].devices);
        if (device_at(host, first)->dim == device_at(host, device)->dim) {
            holdings->held[i].devices |= bit;
            return;
        }
    }
    holdings->held[holdings->n++] = (BerthPreemptHolding){slices, bit};
}

Holdings devices_of_vm(const ClusterVm *vm)
{
    Holdings holdings = {0};
    for (guint i = 0; vm->host != NULL && i < vm->placement->devices->len; i++) {
        const DeviceHeld *held = vm->placement->devices->pdata[i];
        int device = find_held(vm->host, held);
        if (device >= 0) {
            hold(&holdings, (uint32_t)held->slices, (guint)device, vm->host);
        }
    }
    return holdings;
}

Holdings devices_of_decision(const ClusterHost *host, const BerthPlaceRequest *request,
                             uint64_t devices)
{
    Holdings holdings = {0};
    for (uint64_t left = devices; left != 0; left &= left - 1) {
        guint device = (guint)__builtin_ctzll(left);
        for (uint32_t i = 0; i < request->n_devices; i++) {
            if (request->devices[i].models >> model_of(device_at(host, device)->dim) & 1) {
                hold(&holdings, request->devices[i].slices, device, host);
            }
        }
    }
    return holdings;
}

void devices_take(ClusterCore *core, const ClusterHost *host, const Holdings *holdings)
{
    for (uint32_t i = 0; i < holdings->n; i++) {
        berth_place_take_devices(core->place, host->place, holdings->held[i].slices,
                                 holdings->held[i].devices);
    }
}

void devices_give(ClusterCore *core, const ClusterHost *host, const Holdings *holdings)
{
    for (uint32_t i = 0; i < holdings->n; i++) {
        berth_place_give_devices(core->place, host->place, holdings->held[i].slices,
                                 holdings->held[i].devices);
    }
}

GPtrArray *devices_name(const ClusterCore *core, const ClusterHost *host, const Holdings *holdings)
{
    GPtrArray *names = devices_none();
    for (uint32_t i = 0; i < holdings->n; i++) {
        for (uint64_t left = holdings->held[i].devices; left != 0; left &= left - 1) {
            const ClusterDevice *device = device_at(host, (guint)__builtin_ctzll(left));
            DeviceHeld *held = device_held_new();
            held->device = g_strdup(device->id);
            held->model = g_strdup(core->dimensions->pdata[device->dim]);
            held->slices = holdings->held[i].slices;
            held->of = device->slices;
            g_ptr_array_add(names, held);
        }
    }
    return names;
}

GPtrArray *devices_none(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)device_held_free);
}

GPtrArray *devices_copy(const GPtrArray *devices)
{
    GPtrArray *copy = devices_none();
    for (guint i = 0; i < devices->len; i++) {
        g_ptr_array_add(copy, device_held_copy(devices->pdata[i]));
    }
    return copy;
}

bool devices_equal(const GPtrArray *one, const GPtrArray *other)
{
    bool same = one->len == other->len;
    for (guint i = 0; same && i < one->len; i++) {
        const DeviceHeld *a = one->pdata[i], *b = other->pdata[i];
        same = a->slices == b->slices && a->of == b->of && strcmp(a->device, b->device) == 0;
    }
    return same;
}

static int64_t slices_in(const GPtrArray *devices, const char *id)
{
    for (guint i = 0; devices != NULL && i < devices->len; i++) {
        const DeviceHeld *held = devices->pdata[i];
        if (strcmp(held->device, id) == 0) {
            return held->slices;
        }
    }
    return 0;
}

bool devices_committed(const ClusterCore *core, const ClusterHost *host, const GPtrArray *devices,
                       const GPtrArray *less, DevicesCommitted *ret_committed)
{
    bool all = true;
    ret_committed->n = 0;
    for (guint i = 0; i < devices->len; i++) {
        const DeviceHeld *held = devices->pdata[i];
        int device = find_held(host, held);
        int64_t slices = held->slices - slices_in(less, held->device);
        all = all && device >= 0;
        if (device >= 0 && slices > 0) {
            ret_committed->held[ret_committed->n++] =
                (BerthPlaceHolding){(uint32_t)slices, UINT64_C(1) << device};
        }
    }
    return all;
}

void devices_deduct_lost(const ClusterCore *core, const ClusterHost *host, const GPtrArray *devices,
                         Vector *amount)
{
    for (guint i = 0; i < devices->len; i++) {
        const DeviceHeld *held = devices->pdata[i];
        int dim = fleet_dimension(core, held->model);
        if (dim >= 0 && find_held(host, held) < 0) {
            amount->amount[dim] = MAX(0, amount->amount[dim] - held->slices);
        }
    }
}

DevicesCommitted devices_of_timed(const ClusterVm *vm)
{
    DevicesCommitted held = {0};
    int64_t slices[BERTH_PLACE_MAX_DEVICES] = {0};
    devices_add(vm, slices);
    for (guint i = 0; i < vm->host->devices->len; i++) {
        int64_t most = MIN(slices[i], device_at(vm->host, i)->slices);
        if (most > 0) {
            held.held[held.n++] = (BerthPlaceHolding){(uint32_t)most, UINT64_C(1) << i};
        }
    }
    return held;
}

static bool is_cut_model(const ClusterCore *core, const char *model)
{
    int dim = fleet_dimension(core, model);
    return dim >= 0 && core->device_slices[dim] > 1;
}

bool devices_cover(const ClusterCore *core, const GPtrArray *devices, const GPtrArray *of_vm)
{
    for (guint i = 0; i < of_vm->len; i++) {
        const DeviceHeld *held = of_vm->pdata[i];
        if (is_cut_model(core, held->model) && slices_in(devices, held->device) < held->slices) {
            return false;
        }
    }
    return true;
}

/* The first of the slot's devices that do for a demand. */
static void take_from_slot(const ClusterCore *core, const GPtrArray *slot,
                           const BerthPlaceDevices *demand, GPtrArray *taken)
{
    const char *model = model_name(core, (uint32_t)__builtin_ctzll(demand->models));
    uint32_t n = 0;
    for (guint i = 0; i < slot->len && n < demand->n; i++) {
        const DeviceHeld *held = slot->pdata[i];
        if (strcmp(held->model, model) == 0 && held->slices >= demand->slices) {
            DeviceHeld *its = device_held_copy(held);
            its->slices = demand->slices;
            g_ptr_array_add(taken, its);
            n++;
        }
    }
}

GPtrArray *devices_from_slot(const ClusterCore *core, const GPtrArray *slot,
                             const BerthPlaceRequest *request, GPtrArray *chosen)
{
    GPtrArray *taken = devices_none();
    for (guint i = 0; i < chosen->len; i++) {
        const DeviceHeld *held = chosen->pdata[i];
        if (!is_cut_model(core, held->model)) {
            g_ptr_array_add(taken, device_held_copy(held));
        }
    }
    for (uint32_t i = 0; i < request->n_devices; i++) {
        if (is_cut(core, request->devices[i].models)) {
            take_from_slot(core, slot, &request->devices[i], taken);
        }
    }
    g_ptr_array_unref(chosen);
    return taken;
}

GPtrArray *devices_promised(const ClusterCore *core, const ClusterHost *host,
                            const BerthPlaceRequest *request, uint64_t devices)
{
    uint64_t cut = 0;
    for (guint i = 0; i < host->devices->len; i++) {
        cut |= device_at(host, i)->slices > 1 ? UINT64_C(1) << i : 0;
    }
    Holdings holdings = devices_of_decision(host, request, devices & cut);
    return devices_name(core, host, &holdings);
}

uint64_t devices_chosen(const ClusterCore *core, const ClusterHost *host, const GPtrArray *devices)
{
    DevicesCommitted committed;
    uint64_t chosen = 0;
    if (devices_committed(core, host, devices, NULL, &committed)) {
        for (uint32_t i = 0; i < committed.n; i++) {
            chosen |= committed.held[i].devices;
        }
    }
    return chosen;
}

bool devices_are_owed(const ClusterCore *core, const ClusterVm *vm)
{
    int64_t left[BERTH_PLACE_MAX_DEVICES] = {0};
    uint32_t n = 0;
    berth_calendar_devices_on(core->calendar, vm->host->place, core->now_ms, BERTH_CALENDAR_NEVER,
                              left, &n);
    for (guint i = 0; i < vm->placement->devices->len; i++) {
        const DeviceHeld *held = vm->placement->devices->pdata[i];
        int device = find_held(vm->host, held);
        if (device >= 0 && left[device] < 0) {
            return true;
        }
    }
    return false;
}

GPtrArray *devices_choose(const ClusterCore *core, const ClusterHost *host,
                          const BerthPlaceRequest *request)
{
    Holdings holdings = {0};
    uint64_t chosen = 0;
    if (request->n_devices > 0) {
        if (berth_place_choose_devices(core->place, request, host->place, &chosen) !=
            BERTH_PLACE_OK) {
            return NULL;
        }
        holdings = devices_of_decision(host, request, chosen);
    }
    return devices_name(core, host, &holdings);
}

bool devices_are_lost(const ClusterVm *vm)
{
    for (guint i = 0; vm->host != NULL && i < vm->placement->devices->len; i++) {
        if (find_held(vm->host, vm->placement->devices->pdata[i]) < 0) {
            return true;
        }
    }
    return false;
}

void devices_note_lost(const ClusterCore *core, ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        vm->lacks_devices = devices_are_lost(vm);
    }
}

/* "gpu0 and gpu1", of those that the host has lost, or of all. */
static char *names_of(const ClusterVm *vm, bool lost)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < vm->placement->devices->len; i++) {
        const DeviceHeld *held = vm->placement->devices->pdata[i];
        if (!lost || find_held(vm->host, held) < 0) {
            g_ptr_array_add(names, held->device);
        }
    }
    return berth_words_join(names);
}

static void tell_lost(ClusterCore *core, ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        ClusterVm *vm = g_tree_node_value(n);
        bool lacks = devices_are_lost(vm);
        g_autofree char *names = names_of(vm, lacks);
        Subject subject = subject_of_vm(vm);
        if (lacks && !vm->lacks_devices) {
            event_add(core, "vm.device-lost", &subject, host->spec->name, NULL,
                      "host %s has lost %s, of which VM %s has slices; it stays there without",
                      host->spec->name, names, vm->spec->name);
        } else if (!lacks && vm->lacks_devices) {
            event_add(core, "vm.device-back", &subject, host->spec->name, NULL,
                      "VM %s has all its devices on %s again: %s", vm->spec->name, host->spec->name,
                      names);
        }
        vm->lacks_devices = lacks;
    }
}

static void replace(ClusterCore *core, ClusterVm *vm, GPtrArray *devices)
{
    g_ptr_array_unref(vm->placement->devices);
    vm->placement->devices = devices;
    save_vm_placement(core, vm);
    reservations_vm_booked(core, vm);
    devices_refresh(core, vm->host);
}

/* Does it ask for a device of which no host has any? */
static bool wants_unknown(const ClusterCore *core, const Vector *vector)
{
    for (int d = N_FIXED; d < MAX_DIMENSIONS; d++) {
        if (vector->amount[d] > 0 && core->device_slices[d] == 0) {
            return true;
        }
    }
    return false;
}

GPtrArray *devices_find(const ClusterCore *core, const ClusterHost *host, const Vector *vector,
                        GError **error)
{
    BerthPlaceDevices demands[MAX_DIMENSIONS - N_FIXED];
    BerthPlaceRequest request = {
        .struct_size = sizeof request, .policy = BERTH_PLACE_FIRST_FIT, .vector = vector->amount};
    if (!devices_demands(core, vector, demands, &request.n_devices, error)) {
        return NULL;
    }
    request.devices = request.n_devices > 0 ? demands : NULL;
    GPtrArray *devices = devices_choose(core, host, &request);
    if (devices != NULL && wants_unknown(core, vector)) {
        g_clear_pointer(&devices, g_ptr_array_unref);
    }
    if (devices == NULL) {
        g_autofree char *wanted = devices_demands_text(core, &request);
        berth_error_set(error, BERTH_ERROR_NO_CAPACITY, "accelerators", wanted,
                        "make room on the host", "host %s lacks devices for it: %s",
                        host->spec->name, wanted);
    }
    return devices;
}

/* Are there so many slices that nobody has or was promised, beside those that are booked for it? */
static bool sums_allow(const ClusterCore *core, const ClusterVm *vm, const Vector *wanted)
{
    Vector available;
    berth_place_get(core->place, vm->host->place, NULL, available.amount, NULL);
    for (int d = N_FIXED; d < MAX_DIMENSIONS; d++) {
        if (wanted->amount[d] > 0 &&
            wanted->amount[d] - vm->booked.amount[d] > available.amount[d]) {
            return false;
        }
    }
    return true;
}

/* As if it had none. */
static GPtrArray *find_others(ClusterCore *core, ClusterVm *vm, GError **error)
{
    Vector wanted = fleet_amounts(core, vm->spec->resources);
    vm->lifted = true;
    devices_refresh(core, vm->host);
    GPtrArray *others = devices_find(core, vm->host, &wanted, error);
    vm->lifted = false;
    devices_refresh(core, vm->host);
    if (others != NULL && !sums_allow(core, vm, &wanted)) {
        g_clear_pointer(&others, g_ptr_array_unref);
        berth_error_set(
            error, BERTH_ERROR_NO_CAPACITY, "accelerators", NULL, "make room on the host",
            "host %s has lost devices of VM %s, and has promised the others that it has",
            vm->host->spec->name, vm->spec->name);
    }
    return others;
}

bool devices_can_take_others(ClusterCore *core, ClusterVm *vm, GError **error)
{
    g_autoptr(GPtrArray) others = find_others(core, vm, error);
    return others != NULL;
}

bool devices_take_others(ClusterCore *core, ClusterVm *vm, GError **error)
{
    GPtrArray *others = find_others(core, vm, error);
    if (others != NULL) {
        replace(core, vm, others);
        vm->lacks_devices = false;
        fleet_book(core, vm);
    }
    return others != NULL;
}

/* Nothing when something is in the way; fleet_can_grow has asked before. */
static void take_again(ClusterCore *core, ClusterVm *vm)
{
    g_autoptr(GPtrArray) devices = devices_find(core, vm->host, &vm->booked, NULL);
    if (devices != NULL && devices->len > 0) {
        replace(core, vm, g_steal_pointer(&devices));
    }
}

void devices_settle(ClusterCore *core, ClusterVm *vm)
{
    bool needs_none = vm->released || vm->placement->released;
    if (needs_none && vm->placement->devices->len > 0) {
        replace(core, vm, devices_none());
    } else if (!needs_none && core->started && vm->placement->devices->len == 0 &&
               !vm->placement->claiming && int_map_size(vm->spec->resources->accelerators) > 0) {
        take_again(core, vm);
    }
}

void devices_add(const ClusterVm *vm, int64_t *slices)
{
    for (guint i = 0; i < vm->placement->devices->len; i++) {
        const DeviceHeld *held = vm->placement->devices->pdata[i];
        int device = find_held(vm->host, held);
        if (device >= 0) {
            slices[device] += held->slices;
        }
    }
}

/* Slices of each device that VMs hold, without those that claim; or only what no end is known for. */
static void count_held(const ClusterHost *host, bool for_good, int64_t *ret_held)
{
    memset(ret_held, 0, BERTH_PLACE_MAX_DEVICES * sizeof *ret_held);
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        bool in_calendar = for_good && reservations_is_timed(vm);
        if (!vm->lifted && !in_calendar && !vm->placement->claiming) {
            devices_add(vm, ret_held);
        }
    }
}

static bool is_going(const ClusterVm *vm)
{
    return vm->spec->preempted || vm->spec->removing;
}

/* What no end is known for, of those that claim too. They wait for others to go, so that both are never there at
 * once: the more of the two counts. */
static void count_taken(const ClusterHost *host, int64_t *ret_taken)
{
    int64_t going[BERTH_PLACE_MAX_DEVICES] = {0}, claimed[BERTH_PLACE_MAX_DEVICES] = {0};
    memset(ret_taken, 0, BERTH_PLACE_MAX_DEVICES * sizeof *ret_taken);
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (!vm->lifted && !reservations_is_timed(vm)) {
            devices_add(vm, vm->placement->claiming ? claimed : is_going(vm) ? going : ret_taken);
        }
    }
    for (guint i = 0; i < host->devices->len; i++) {
        ret_taken[i] += MAX(going[i], claimed[i]);
    }
}

bool devices_are_left(const ClusterHost *host, const GPtrArray *devices)
{
    int64_t held[BERTH_PLACE_MAX_DEVICES];
    if (devices->len > 0) {
        count_held(host, false, held);
    }
    for (guint i = 0; i < devices->len; i++) {
        const DeviceHeld *wanted = devices->pdata[i];
        int device = find_held(host, wanted);
        if (device < 0 || held[device] + wanted->slices > device_at(host, (guint)device)->slices) {
            return false;
        }
    }
    return true;
}

void devices_refresh(ClusterCore *core, const ClusterHost *host)
{
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    int64_t taken[BERTH_PLACE_MAX_DEVICES];
    if (host->devices->len > 0) {
        count_taken(host, taken);
    }
    for (guint i = 0; i < host->devices->len; i++) {
        const ClusterDevice *device = device_at(host, i);
        devices[i] = (BerthPlaceDevice){.model = model_of(device->dim),
                                        .capacity = (uint32_t)device->slices,
                                        .free = (uint32_t)MAX(device->slices - taken[i], 0)};
    }
    BerthPlaceResult result =
        berth_calendar_set_devices(core->calendar, host->place, devices, host->devices->len);
    g_assert(result == BERTH_PLACE_OK);
}

bool devices_are_clear(const ClusterCore *core, const ClusterVm *vm)
{
    int64_t held[BERTH_PLACE_MAX_DEVICES], peak[BERTH_PLACE_MAX_DEVICES] = {0};
    bool claims = vm->placement->claiming;
    if (vm->placement->devices->len == 0) {
        return true;
    }
    count_held(vm->host, claims, held);
    if (claims) {
        berth_calendar_devices_peak(core->calendar, vm->host->place, peak);
    }
    for (guint i = 0; i < vm->placement->devices->len; i++) {
        const DeviceHeld *mine = vm->placement->devices->pdata[i];
        int device = find_held(vm->host, mine);
        int64_t others = claims ? 0 : mine->slices;
        if (device < 0 && !claims) {
            continue; /* the host has lost it under the VM */
        }
        if (device < 0 || held[device] - others + mine->slices + peak[device] >
                              device_at(vm->host, (guint)device)->slices) {
            return false;
        }
    }
    return true;
}

GPtrArray *devices_rows(const ClusterCore *core, const ClusterHost *host)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)device_row_free);
    for (guint i = 0; i < host->devices->len; i++) {
        const ClusterDevice *device = device_at(host, i);
        DeviceRow *row = device_row_new();
        row->device = g_strdup(device->id);
        row->model = g_strdup(core->dimensions->pdata[device->dim]);
        row->slices = row->free = device->slices;
        g_ptr_array_add(rows, row);
    }
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        for (guint i = 0; i < vm->placement->devices->len; i++) {
            const DeviceHeld *held = vm->placement->devices->pdata[i];
            int device = find_held(host, held);
            if (device >= 0) {
                DeviceRow *row = rows->pdata[device];
                DeviceUser *user = device_user_new();
                user->vm = g_strdup(vm->spec->name);
                user->tenant = g_strdup(vm->tenant);
                user->slices = held->slices;
                row->free = MAX(row->free - held->slices, 0);
                g_ptr_array_add(row->vms, user);
            }
        }
    }
    return rows;
}

/* A VM whose devices the host no longer has, or that came before devices were counted, holds fewer. */
static bool holds_what_it_needs(const ClusterCore *core, const ClusterVm *vm)
{
    int64_t held[MAX_DIMENSIONS] = {0};
    for (guint i = 0; i < vm->placement->devices->len; i++) {
        const DeviceHeld *mine = vm->placement->devices->pdata[i];
        int dim = fleet_dimension(core, mine->model);
        if (dim >= 0 && find_held(vm->host, mine) >= 0) {
            held[dim] += mine->slices;
        }
    }
    for (int d = N_FIXED; d < MAX_DIMENSIONS; d++) {
        if (held[d] > 0 && vm->booked.amount[d] > 0 && !vm->placement->claiming &&
            held[d] != vm->booked.amount[d]) {
            return false;
        }
    }
    return true;
}

/* Is the end of a VM over, and nobody has seen to it yet, such as a manager that cannot write? */
static bool has_late_end(const ClusterCore *core, const ClusterHost *host)
{
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        const ClusterVm *vm = g_tree_node_value(n);
        if (reservations_is_timed(vm) && ends_release_ms(vm->spec) <= core->now_ms) {
            return true;
        }
    }
    return false;
}

bool devices_check(const ClusterCore *core, const ClusterHost *host, GError **error)
{
    int64_t held[BERTH_PLACE_MAX_DEVICES], taken[BERTH_PLACE_MAX_DEVICES];
    int64_t peak[BERTH_PLACE_MAX_DEVICES], now[BERTH_PLACE_MAX_DEVICES];
    if (host->devices->len == 0) {
        return true;
    }
    count_held(host, false, held);
    count_taken(host, taken);
    berth_calendar_devices_peak(core->calendar, host->place, peak);
    memcpy(now, held, sizeof now);
    reservations_add_devices(core, host, now);
    bool owes = reservations_is_overstayed(core, host) || has_late_end(core, host);
    for (guint i = 0; i < host->devices->len; i++) {
        int64_t slices = device_at(host, i)->slices;
        if (held[i] > slices) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, device_at(host, i)->id, host->id,
                                   NULL, "a device is given out twice");
        }
        if (!owes && (now[i] > slices || taken[i] + peak[i] > slices)) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, device_at(host, i)->id, host->id,
                                   NULL, "a device is promised twice, now or at a time to come");
        }
    }
    for (GTreeNode *n = g_tree_node_first(host->vms); n != NULL; n = g_tree_node_next(n)) {
        if (!holds_what_it_needs(core, g_tree_node_value(n))) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "devices",
                                   ((const ClusterVm *)g_tree_node_value(n))->id, NULL,
                                   "a VM holds other amounts of devices than are booked for it");
        }
    }
    return true;
}
