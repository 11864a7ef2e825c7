#include "cluster/spec.h"

#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/ends.h"
#include "cluster/fleet.h"
#include "cluster/labels.h"

int64_t vcpus_for(int64_t millicores)
{
    return MAX(1, (millicores + 999) / 1000);
}

static bool resolve_networks(ClusterCore *core, const char *tenant, const GPtrArray *names,
                             GPtrArray *ids, GError **error)
{
    for (guint i = 0; i < names->len; i++) {
        const ClusterNetwork *network = find_network(core, tenant, names->pdata[i], error);
        if (network == NULL) {
            return false;
        }
        for (guint k = 0; k < ids->len; k++) {
            if (strcmp(ids->pdata[k], network->id) == 0) {
                return berth_error_set(error, BERTH_ERROR_INVALID, "networks", names->pdata[i],
                                       "name each network once", "a network is named twice");
            }
        }
        g_ptr_array_add(ids, g_strdup(network->id));
    }
    return true;
}

/* Images are for all tenants. */
static const ClusterImage *resolve_image(ClusterCore *core, const char *name, GError **error)
{
    const ClusterImage *image = find_image(core, DEFAULT_TENANT, name, error);
    if (image != NULL && image->object->state != IMAGE_STATE_READY) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, "image", name, "add its files first",
                        "the image is not complete");
        return NULL;
    }
    return image;
}

static int64_t image_disk_gib(const ClusterImage *image)
{
    int64_t bytes = 0;
    for (guint i = 0; i < image->object->files->len; i++) {
        const ImageFile *file = image->object->files->pdata[i];
        if (file->role == IMAGE_FILE_ROLE_DISK) {
            bytes = file->has_virtual_bytes ? file->virtual_bytes : file->bytes;
        }
    }
    return (bytes + (INT64_C(1) << 30) - 1) >> 30;
}

/* A size fits an image when it can boot from it. */
static bool check_size(const Size *size, const ClusterImage *image, GError **error)
{
    int64_t needed = image_disk_gib(image);
    if (size->resources->disk < needed) {
        g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, size->resources->disk);
        return berth_error_set(
            error, BERTH_ERROR_INVALID, "size", value, "take a size with a larger disk",
            "the disk of size %s is smaller than the image's %" G_GINT64_FORMAT " GiB", size->name,
            needed);
    }
    return true;
}

VmSpec *spec_of_size(const Size *size)
{
    VmSpec *spec = vm_spec_new();
    spec->size = g_strdup(size->name);
    spec->resources = resources_copy(size->resources);
    spec->vcpus = size->vcpus;
    spec->max_vcpus = size->max_vcpus;
    spec->max_memory = size->resources->memory;
    return spec;
}

static bool check_labels(const StringMap *labels, const StringMap *host_labels, GError **error)
{
    return labels_check("labels", labels, NULL, error) &&
           labels_check("host-labels", host_labels, NULL, error);
}

/* May a mix weigh it? */
static bool is_mixable(const char *name)
{
    PlacePolicy policy;
    BerthPlacePolicy its;
    return place_policy_from_string(name, &policy) &&
           strcmp(place_policy_to_string(policy), name) == 0 &&
           berth_place_policy_from_name(name, &its) && its < BERTH_PLACE_N_MIXED;
}

bool spec_check_policy(PlacePolicy policy, const IntMap *weights, GError **error)
{
    size_t n = weights != NULL ? int_map_size(weights) : 0;
    if (policy == PLACE_POLICY_MIX && n == 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "policy-weights", NULL,
                               "say how much each policy weighs, as in most-free: 2, cosine: 1",
                               "a mix without weights");
    }
    if (policy != PLACE_POLICY_MIX && n > 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "policy-weights",
                               int_map_key(weights, 0), "write the policy mix, or leave them out",
                               "weights are for the policy mix");
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = int_map_key(weights, i);
        if (!is_mixable(name)) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "policy-weights", name,
                                   "write most-free, least-free, first-fit, cosine, dot-product, "
                                   "l2-diff, l2-ratio or l2-ratio-spread",
                                   "not a policy that a mix can weigh");
        }
    }
    return true;
}

static void set_labels(StringMap **to, const StringMap *from)
{
    if (from != NULL) {
        string_map_assign(to, from);
    }
}

static EndAsked end_of_vm(const VmCreate *body)
{
    return (EndAsked){body->reservation,      body->has_duration_seconds, body->has_grace_seconds,
                      body->duration_seconds, body->grace_seconds,        body->at_end};
}

static EndAsked end_of_app(const AppCreate *body)
{
    return (EndAsked){body->reservation,      body->has_duration_seconds, body->has_grace_seconds,
                      body->duration_seconds, body->grace_seconds,        body->at_end};
}

bool spec_check_resources(const char *field, const Resources *resources, GError **error)
{
    if (resources->cpu == 0 || resources->memory == 0) {
        g_autofree char *missing =
            g_strconcat(field, resources->cpu == 0 ? ".cpu" : ".memory", NULL);
        return berth_error_set(error, BERTH_ERROR_INVALID, missing, "0", "give some",
                               "a VM cannot run without it");
    }
    for (size_t i = 0; i < int_map_size(resources->accelerators); i++) {
        const char *name = int_map_key(resources->accelerators, i);
        if (strchr(name, '/') == NULL) {
            g_autofree char *path = g_strconcat(field, ".accelerators", NULL);
            return berth_error_set(error, BERTH_ERROR_INVALID, path, name,
                                   "write kind and model, such as gpu/a100",
                                   "not the name of an accelerator");
        }
    }
    return true;
}

VmSpec *spec_from_create(ClusterCore *core, const char *tenant, const VmCreate *body,
                         GError **error)
{
    const Size *size = find_size(core, body->size, error);
    const ClusterImage *image = size != NULL ? resolve_image(core, body->image, error) : NULL;
    if (image == NULL || !check_size(size, image, error) ||
        !check_labels(body->labels, body->host_labels, error) ||
        !spec_check_policy(body->policy, body->policy_weights, error)) {
        return NULL;
    }
    g_autoptr(VmSpec) spec = spec_of_size(size);
    spec->name = g_strdup(body->name);
    spec->image = g_strdup(image->id);
    spec->power = body->power != POWER_WANTED_UNSET ? body->power : POWER_WANTED_ON;
    spec->restart = body->restart != RESTART_POLICY_UNSET ? body->restart : RESTART_POLICY_ALWAYS;
    spec->policy = body->policy != PLACE_POLICY_UNSET ? body->policy : PLACE_POLICY_MOST_FREE;
    int_map_assign(&spec->policy_weights, body->policy_weights);
    spec->priority = body->priority;
    spec->preemptible = body->preemptible;
    spec->created_ms = core->now_ms;
    spec->description = g_strdup(body->description);
    set_labels(&spec->labels, body->labels);
    set_labels(&spec->host_labels, body->host_labels);
    spec->trust_domain = g_strdup(body->trust_domain);
    EndAsked asked = end_of_vm(body);
    EndOfSpec end;
    if (!resolve_networks(core, tenant, body->networks, spec->networks, error) ||
        !ends_resolve(core, tenant, &asked, &end, error)) {
        return NULL;
    }
    spec->reservation = end.reservation;
    spec->ends_ms = end.ends_ms;
    spec->at_end = end.at_end;
    spec->grace_seconds = end.grace_s;
    if (body->host != NULL) {
        const ClusterHost *host = find_host(core, body->host, error);
        if (host == NULL) {
            return NULL;
        }
        spec->host = g_strdup(host->id);
    }
    return g_steal_pointer(&spec);
}

static bool check_resize(const VmSpec *spec, const VmResize *body, GError **error)
{
    g_autofree char *memory = g_strdup_printf("%" G_GINT64_FORMAT, body->memory);
    if (body->has_memory && body->memory > spec->max_memory) {
        g_autofree char *most = fleet_amount_text(DIM_MEMORY, spec->max_memory);
        g_autofree char *remedy = g_strdup_printf("at most %s", most);
        return berth_error_set(error, BERTH_ERROR_INVALID, "memory", memory, remedy,
                               "more than the VM was created with");
    }
    g_autofree char *vcpus = g_strdup_printf("%" G_GINT64_FORMAT, body->vcpus);
    if (body->has_vcpus && body->vcpus > spec->max_vcpus) {
        g_autofree char *remedy = g_strdup_printf("at most %" G_GINT64_FORMAT, spec->max_vcpus);
        return berth_error_set(error, BERTH_ERROR_INVALID, "vcpus", vcpus, remedy,
                               "more than the VM's max-vcpus");
    }
    g_autofree char *cpu = g_strdup_printf("%" G_GINT64_FORMAT, body->cpu);
    if (body->has_cpu && body->cpu > spec->max_vcpus * 1000) {
        g_autofree char *most = fleet_amount_text(DIM_CPU, spec->max_vcpus * 1000);
        g_autofree char *remedy = g_strdup_printf("at most %s", most);
        return berth_error_set(error, BERTH_ERROR_INVALID, "cpu", cpu, remedy,
                               "more than the VM's max-vcpus can use");
    }
    return true;
}

VmSpec *spec_resized(const VmSpec *spec, const VmResize *body, GError **error)
{
    if (!check_resize(spec, body, error)) {
        return NULL;
    }
    VmSpec *wanted = vm_spec_copy(spec);
    Resources *r = wanted->resources;
    if (body->has_cpu) {
        r->cpu = body->cpu;
        wanted->vcpus = MIN(vcpus_for(body->cpu), spec->max_vcpus);
    }
    if (body->has_vcpus) {
        wanted->vcpus = body->vcpus;
    }
    r->memory = body->has_memory ? body->memory : r->memory;
    r->disk_bw = body->has_disk_bw ? body->disk_bw : r->disk_bw;
    r->net_bw = body->has_net_bw ? body->net_bw : r->net_bw;
    return wanted;
}

/* As many VMs of a size as hold `total` in every dimension. */
static bool count_for_total(const Size *size, const Resources *total, int64_t *ret_count,
                            GError **error)
{
    const struct {
        const char *name;
        int64_t total, each;
    } rows[] = {
        {"total.cpu", total->cpu, size->resources->cpu},
        {"total.memory", total->memory, size->resources->memory},
        {"total.disk", total->disk, size->resources->disk},
        {"total.disk-bw", total->disk_bw, size->resources->disk_bw},
        {"total.net-bw", total->net_bw, size->resources->net_bw},
    };
    int64_t count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].total > 0 && rows[i].each == 0) {
            return berth_error_set(error, BERTH_ERROR_INVALID, rows[i].name, NULL,
                                   "take another size", "size %s has none of it", size->name);
        }
        if (rows[i].total > 0) {
            count = MAX(count, (rows[i].total + rows[i].each - 1) / rows[i].each);
        }
    }
    for (size_t i = 0; i < int_map_size(total->accelerators); i++) {
        const char *name = int_map_key(total->accelerators, i);
        int64_t wanted = int_map_value(total->accelerators, i), each = 0;
        if (wanted > 0 && (!int_map_get(size->resources->accelerators, name, &each) || each == 0)) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "total.accelerators", name,
                                   "take another size", "size %s has none of it", size->name);
        }
        count = wanted > 0 ? MAX(count, (wanted + each - 1) / each) : count;
    }
    *ret_count = count;
    return true;
}

static bool app_count(const Size *size, const AppCreate *body, int64_t *ret_count, GError **error)
{
    if (body->has_count == (body->total != NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "count", NULL,
                               "give either count or total", "an app is count VMs, or a total");
    }
    if (body->has_count) {
        *ret_count = body->count;
        return true;
    }
    int64_t count = 0;
    if (!count_for_total(size, body->total, &count, error)) {
        return false;
    }
    if (count > 10000) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "total", NULL, "take a larger size",
                               "more than 10000 VMs of size %s", size->name);
    }
    *ret_count = count;
    return true;
}

AppSpec *spec_from_create_app(ClusterCore *core, const char *tenant, const AppCreate *body,
                              GError **error)
{
    const Size *size = find_size(core, body->size, error);
    const ClusterImage *image = size != NULL ? resolve_image(core, body->image, error) : NULL;
    g_autoptr(AppSpec) spec = app_spec_new();
    EndAsked asked = end_of_app(body);
    EndOfSpec end;
    if (image == NULL || !check_size(size, image, error) ||
        !check_labels(body->labels, body->host_labels, error) ||
        !spec_check_policy(body->policy, body->policy_weights, error) ||
        !app_count(size, body, &spec->count, error) ||
        !resolve_networks(core, tenant, body->networks, spec->networks, error) ||
        !ends_resolve(core, tenant, &asked, &end, error)) {
        return NULL;
    }
    if (body->partial > spec->count) {
        g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, body->partial);
        g_autofree char *vms = berth_words_count(spec->count, "VM");
        berth_error_set(error, BERTH_ERROR_INVALID, "partial", value, "at most as many as count",
                        "the app has %s", vms);
        return NULL;
    }
    spec->partial = body->partial;
    spec->reservation = end.reservation;
    spec->ends_ms = end.ends_ms;
    spec->at_end = end.at_end;
    spec->grace_seconds = end.grace_s;
    spec->name = g_strdup(body->name);
    spec->size = g_strdup(size->name);
    spec->image = g_strdup(image->id);
    spec->power = body->power != POWER_WANTED_UNSET ? body->power : POWER_WANTED_ON;
    spec->restart = body->restart != RESTART_POLICY_UNSET ? body->restart : RESTART_POLICY_ALWAYS;
    spec->policy = body->policy != PLACE_POLICY_UNSET ? body->policy : PLACE_POLICY_MOST_FREE;
    int_map_assign(&spec->policy_weights, body->policy_weights);
    spec->priority = body->priority;
    spec->preemptible = body->preemptible;
    spec->created_ms = core->now_ms;
    spec->description = g_strdup(body->description);
    set_labels(&spec->labels, body->labels);
    set_labels(&spec->host_labels, body->host_labels);
    spec->trust_domain = g_strdup(body->trust_domain);
    return g_steal_pointer(&spec);
}

VmSpec *spec_of_app_vm(ClusterCore *core, const ClusterApp *app, int64_t number, GError **error)
{
    const Size *size = find_size(core, app->spec->size, error);
    if (size == NULL) {
        return NULL;
    }
    VmSpec *spec = spec_of_size(size);
    spec->name = g_strdup_printf("%s-%" G_GINT64_FORMAT, app->spec->name, number);
    spec->app = g_strdup(app->id);
    spec->image = g_strdup(app->spec->image);
    spec->power = app->spec->power;
    spec->restart = app->spec->restart;
    spec->policy = app->spec->policy;
    int_map_assign(&spec->policy_weights, app->spec->policy_weights);
    spec->priority = app->spec->priority;
    spec->preemptible = app->spec->preemptible;
    spec->reservation = g_strdup(app->spec->reservation);
    spec->ends_ms = app->spec->ends_ms;
    spec->at_end = app->spec->at_end;
    spec->grace_seconds = app->spec->grace_seconds;
    spec->created_ms = core->now_ms;
    set_labels(&spec->labels, app->spec->labels);
    set_labels(&spec->host_labels, app->spec->host_labels);
    spec->trust_domain = g_strdup(app->spec->trust_domain);
    for (guint i = 0; i < app->spec->networks->len; i++) {
        g_ptr_array_add(spec->networks, g_strdup(app->spec->networks->pdata[i]));
    }
    return spec;
}
