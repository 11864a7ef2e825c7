#include <string.h>

#include "base/error.h"
#include "base/words.h"
#include "cluster/commands.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/spec.h"
#include "cluster/txn.h"
#include "cluster/workload.h"

static json_t *encode_size(ClusterCore *core, const void *object, const void *filter)
{
    return size_encode(object);
}

bool list_sizes(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListSizesQuery *query = request->query;
    reply_list(core, request->id, core->sizes, query->limit, query->after, encode_size, NULL);
    return true;
}

bool get_size(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const Size *size = find_size(core, request->params[0], error);
    if (size == NULL) {
        return false;
    }
    reply_object(core, request->id, 200, &size_type, size, size->revision);
    return true;
}

static Size *size_from_create(const SizeCreate *body, GError **error)
{
    if (!spec_check_resources("resources", body->resources, error)) {
        return NULL;
    }
    int64_t vcpus = body->has_vcpus ? body->vcpus : vcpus_for(body->resources->cpu);
    int64_t max_vcpus = body->has_max_vcpus ? body->max_vcpus : vcpus;
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, vcpus);
    if (max_vcpus < vcpus) {
        g_autofree char *given = g_strdup_printf("%" G_GINT64_FORMAT, max_vcpus);
        g_autofree char *remedy = g_strdup_printf("at least %s", value);
        berth_error_set(error, BERTH_ERROR_INVALID, "max-vcpus", given, remedy,
                        "fewer than the vCPUs that the size has");
        return NULL;
    }
    if (body->resources->cpu > vcpus * 1000) {
        berth_error_set(error, BERTH_ERROR_INVALID, "vcpus", value,
                        "give as many vCPUs as cpu takes, or leave vcpus out",
                        "so few vCPUs cannot use the cpu of the size");
        return NULL;
    }
    Size *size = size_new();
    size->name = g_strdup(body->name);
    size->resources = resources_copy(body->resources);
    size->vcpus = vcpus;
    size->max_vcpus = max_vcpus;
    size->description = g_strdup(body->description);
    return size;
}

bool create_size(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const SizeCreate *body = request->body;
    const CreateSizeQuery *query = request->query;
    if (g_tree_lookup(core->sizes, body->name) != NULL) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "name", body->name, "choose another name",
                               "there is a size of this name already");
    }
    Size *size = size_from_create(body, error);
    if (size == NULL) {
        return false;
    }
    if (query->dry_run) {
        reply_object(core, request->id, 200, &size_type, size, -1);
        size_free(size);
        return true;
    }
    g_tree_insert(core->sizes, size->name, size);
    save_size(core, size);
    workload_changed(core);
    reply_object(core, request->id, 201, &size_type, size, size->revision);
    return true;
}

bool delete_size(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const Size *size = find_size(core, request->params[0], error);
    if (size == NULL || !check_if_match(request, size->revision, error)) {
        return false;
    }
    for (GTreeNode *n = g_tree_node_first(core->apps); n != NULL; n = g_tree_node_next(n)) {
        const ClusterApp *app = g_tree_node_value(n);
        if (strcmp(app->spec->size, size->name) == 0) {
            return berth_error_set(error, BERTH_ERROR_CONFLICT, "size", size->name,
                                   "remove the app first", "app %s is made of it", app->spec->name);
        }
    }
    txn_delete(core, key_size(size->name));
    g_tree_remove(core->sizes, size->name);
    workload_changed(core);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}

static json_t *encode_image(ClusterCore *core, const void *object, const void *tenant)
{
    const ClusterImage *image = object;
    return strcmp(image->object->tenant, tenant) == 0 ? image_encode(image->object) : NULL;
}

bool list_images(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ListImagesQuery *query = request->query;
    reply_list(core, request->id, core->images, query->limit, query->after, encode_image,
               DEFAULT_TENANT);
    return true;
}

bool get_image(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ClusterImage *image = find_image(core, DEFAULT_TENANT, request->params[0], error);
    if (image == NULL) {
        return false;
    }
    reply_object(core, request->id, 200, &image_type, image->object, image->object->revision);
    return true;
}

/* An image is named by the hash of what it is. */
static char *image_id(const ImageCreate *body)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    const char *kind = image_kind_to_string(body->kind);
    g_checksum_update(sum, (const guchar *)kind, -1);
    for (guint i = 0; i < body->files->len; i++) {
        const ImageFile *file = body->files->pdata[i];
        g_checksum_update(sum, (const guchar *)image_file_role_to_string(file->role), -1);
        g_checksum_update(sum, (const guchar *)file->sha256, -1);
    }
    if (body->cmdline != NULL) {
        g_checksum_update(sum, (const guchar *)body->cmdline, -1);
    }
    return g_strdup(g_checksum_get_string(sum));
}

static bool check_image(const ImageCreate *body, GError **error)
{
    bool kernel = body->kind == IMAGE_KIND_KERNEL;
    guint wanted = 0;
    for (guint i = 0; i < body->files->len; i++) {
        const ImageFile *file = body->files->pdata[i];
        g_autofree char *field = g_strdup_printf("files[%u].role", i);
        if (kernel == (file->role == IMAGE_FILE_ROLE_DISK)) {
            return berth_error_set(
                error, BERTH_ERROR_INVALID, field, image_file_role_to_string(file->role),
                kernel ? "kernel or initrd" : "disk", "an image of kind %s has no such file",
                image_kind_to_string(body->kind));
        }
        if (file->role == IMAGE_FILE_ROLE_DISK && file->format == IMAGE_FORMAT_UNSET) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "files[0].format", NULL,
                                   "raw or qcow2", "the format is stated, never guessed");
        }
        wanted += file->role == (kernel ? IMAGE_FILE_ROLE_KERNEL : IMAGE_FILE_ROLE_DISK);
    }
    return wanted == 1 ||
           berth_error_set(error, BERTH_ERROR_INVALID, "files", NULL,
                           kernel ? "one kernel, and at most one initrd" : "one disk",
                           "an image needs exactly one of its main file");
}

/* The file of this content that some image has brought; `as`: only one that says of it what this does,
 * since that has been looked at when it came. */
static const ImageFile *known_file(const ClusterCore *core, const char *sha256, const ImageFile *as)
{
    for (GTreeNode *n = g_tree_node_first(core->images); n != NULL; n = g_tree_node_next(n)) {
        const Image *object = ((ClusterImage *)g_tree_node_value(n))->object;
        for (guint i = 0; i < object->files->len; i++) {
            const ImageFile *file = object->files->pdata[i];
            if (strcmp(file->sha256, sha256) == 0 && (as == NULL || image_file_equal(file, as)) &&
                g_ptr_array_find_with_equal_func(object->received, sha256, g_str_equal, NULL)) {
                return file;
            }
        }
    }
    return NULL;
}

/* Contents that another image brought are here already. */
static void take_known_files(ClusterCore *core, Image *object)
{
    for (guint i = 0; i < object->files->len; i++) {
        const ImageFile *file = object->files->pdata[i];
        if (known_file(core, file->sha256, file) != NULL) {
            g_ptr_array_add(object->received, g_strdup(file->sha256));
        }
    }
    object->state =
        object->received->len == object->files->len ? IMAGE_STATE_READY : IMAGE_STATE_WAITING;
}

bool create_image(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    const ImageCreate *body = request->body;
    const CreateImageQuery *query = request->query;
    const char *tenant = DEFAULT_TENANT; /* images are for all */
    g_autofree char *id = image_id(body);
    if (!check_image(body, error) || !name_is_free(core, "image", tenant, body->name, error)) {
        return false;
    }
    const ClusterImage *same = g_tree_lookup(core->images, id);
    if (same != NULL) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "files", same->object->name,
                               "use the image that is there", "the same image is there already");
    }
    Image *object = image_new();
    object->id = g_strdup(id);
    object->name = g_strdup(body->name);
    object->kind = body->kind;
    object->cmdline = g_strdup(body->cmdline);
    object->description = g_strdup(body->description);
    object->created_ms = core->now_ms;
    for (guint i = 0; i < body->files->len; i++) {
        g_ptr_array_add(object->files, image_file_copy(body->files->pdata[i]));
    }
    take_known_files(core, object);
    if (query->dry_run) {
        reply_object(core, request->id, 200, &image_type, object, -1);
        image_free(object);
        return true;
    }
    ClusterImage *image = model_add_image(core, object);
    name_take(core, "image", tenant, body->name, id, image);
    save_image(core, image);
    reply_object(core, request->id, 201, &image_type, object, object->revision);
    return true;
}

bool delete_image(ClusterCore *core, const ClusterRequest *request, GError **error)
{
    ClusterImage *image = find_image(core, DEFAULT_TENANT, request->params[0], error);
    if (image == NULL || !check_if_match(request, image->object->revision, error)) {
        return false;
    }
    if (image->users > 0) {
        g_autofree char *users = berth_words_count(image->users, "VM");
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "image", image->object->name,
                               "remove what is made of it first", "%s still made of it", users);
    }
    txn_delete(core, key_of("image", image->object->tenant, image->id));
    name_release(core, "image", image->object->tenant, image->object->name);
    g_tree_remove(core->images, image->id);
    reply_json(core, request->id, 200, json_object(), -1);
    return true;
}

void image_received(ClusterCore *core, const char *id, const char *sha256, uint64_t request)
{
    ClusterImage *image = g_tree_lookup(core->images, id);
    if (image == NULL) {
        GError *error = NULL;
        berth_error_set(&error, BERTH_ERROR_NOT_FOUND, "image", id, NULL,
                        "the image was removed meanwhile");
        reply_error(core, request, error);
        return;
    }
    if (!g_ptr_array_find_with_equal_func(image->object->received, sha256, g_str_equal, NULL)) {
        g_ptr_array_add(image->object->received, g_strdup(sha256));
        if (image->object->received->len == image->object->files->len) {
            image->object->state = IMAGE_STATE_READY;
        }
        save_image(core, image);
    }
    reply_object(core, request, 200, &image_type, image->object, image->object->revision);
}

bool cluster_core_expects_file(const ClusterCore *core, const char *tenant, const char *key,
                               const char *sha256, const char **ret_id, const ImageFile **ret_file,
                               GError **error)
{
    const ClusterImage *image = find_image((ClusterCore *)core, tenant, key, error);
    for (guint i = 0; image != NULL && i < image->object->files->len; i++) {
        const ImageFile *file = image->object->files->pdata[i];
        if (strcmp(file->sha256, sha256) == 0) {
            *ret_id = image->id;
            *ret_file = file;
            return true;
        }
    }
    return image != NULL && berth_error_set(error, BERTH_ERROR_NOT_FOUND, "sha256", sha256,
                                            "send the files that the image declares",
                                            "image %s declares no such file", image->object->name);
}

bool cluster_core_knows_file(const ClusterCore *core, const char *sha256, int64_t *ret_bytes)
{
    const ImageFile *file = known_file(core, sha256, NULL);
    if (file != NULL && ret_bytes != NULL) {
        *ret_bytes = file->bytes;
    }
    return file != NULL;
}
