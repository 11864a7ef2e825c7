#include "cli/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "base/text.h"
#include "cli/policy.h"
#include "cli/quantities.h"
#include "schema/objects.h"

#define MAX_BYTES (8 << 20)
#define KINDS "tenant, size, network, image, rule, reservation, app or vm"

static const char *const kind_names[] = {"tenant",      "size", "network", "image", "rule",
                                         "reservation", "app",  "vm",      NULL};

static const CodecType *const body_types[] = {
    [MANIFEST_TENANT] = &tenant_create_type,   [MANIFEST_SIZE] = &size_create_type,
    [MANIFEST_NETWORK] = &network_create_type, [MANIFEST_IMAGE] = &image_create_type,
    [MANIFEST_RULE] = &rule_create_type,       [MANIFEST_RESERVATION] = &reservation_create_type,
    [MANIFEST_APP] = &app_create_type,         [MANIFEST_VM] = &vm_create_type,
};

const char *manifest_kind_name(ManifestKind kind)
{
    return kind_names[kind];
}

void manifest_locate(const ManifestItem *item, GError **error)
{
    const char *field = berth_error_field(*error);
    g_autofree char *path = field != NULL ? g_strconcat("spec.", field, NULL) : NULL;
    if (path == NULL || !yaml_document_has(item->document, path)) {
        g_prefix_error(error, "%s: ", item->where);
        return;
    }
    YamlMark mark = yaml_document_mark(item->document, path);
    berth_error_prefix_field(error, "spec");
    g_prefix_error(error, "%s:%d:%d: ", item->path, mark.line, mark.column);
}

void manifest_item_free(ManifestItem *item)
{
    if (item != NULL) {
        g_free(item->name);
        g_free(item->tenant);
        g_free(item->where);
        g_free(item->note);
        g_free(item->path);
        yaml_document_free(item->document);
        json_decref(item->body);
        for (size_t i = 0; i < G_N_ELEMENTS(item->paths); i++) {
            g_free(item->paths[i]);
        }
        g_free(item);
    }
}

/* A document on its way to an item. */
typedef struct {
    const char *path;
    const YamlDocument *document;
} Source;

static const char *shown(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* Puts FILE:LINE:COLUMN before the message; `prefix` is where the field begins. Always false. */
static bool locate(const Source *source, const char *prefix, GError *problem, GError **error)
{
    if (prefix != NULL && g_strcmp0(berth_error_field(problem), "name") != 0) {
        berth_error_prefix_field(&problem, prefix);
    }
    YamlMark mark = yaml_document_mark(source->document, berth_error_field(problem));
    g_prefix_error(&problem, "%s:%d:%d: ", shown(source->path), mark.line, mark.column);
    g_propagate_error(error, problem);
    return false;
}

static bool refuse(const Source *source, const char *field, const char *value, const char *remedy,
                   const char *what, GError **error)
{
    GError *problem = NULL;
    berth_error_set(&problem, BERTH_ERROR_INVALID, field, value, remedy, "%s", what);
    return locate(source, NULL, problem, error);
}

static bool refuse_unknown(const Source *source, const char *prefix, const char *name,
                           const char *const *known, GError **error)
{
    const char *near = berth_nearest_name(name, known);
    g_autofree char *all = g_strjoinv(", ", (char **)known);
    g_autofree char *remedy =
        near != NULL ? g_strdup_printf("did you mean %s?", near) : g_strdup(all);
    g_autofree char *field = prefix != NULL ? g_strconcat(prefix, ".", name, NULL) : g_strdup(name);
    return refuse(source, field, NULL, remedy, "there is no such field", error);
}

static bool check_fields(const Source *source, const char *prefix, const json_t *object,
                         const char *const *known, GError **error)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)object, name, value) {
        if (!g_strv_contains(known, name)) {
            return refuse_unknown(source, prefix, name, known, error);
        }
    }
    return true;
}

static bool read_kind(const Source *source, ManifestKind *ret_kind, GError **error)
{
    const json_t *given = json_object_get(source->document->root, "kind");
    const char *kind = json_string_value(given);
    if (kind == NULL) {
        return refuse(
            source, "kind", NULL, KINDS,
            given != NULL ? "the kind is no text" : "the document does not say what it is", error);
    }
    for (int i = 0; kind_names[i] != NULL; i++) {
        if (strcmp(kind, kind_names[i]) == 0) {
            *ret_kind = (ManifestKind)i;
            return true;
        }
    }
    const char *near = berth_nearest_name(kind, kind_names);
    g_autofree char *remedy =
        near != NULL ? g_strdup_printf("did you mean %s?", near) : g_strdup(KINDS);
    return refuse(source, "kind", kind, remedy, "not a kind of manifest", error);
}

/* A path as it is meant from where the manifest lies. */
static char *resolve(const char *manifest, const char *path)
{
    if (g_path_is_absolute(path) || strcmp(manifest, "-") == 0) {
        return g_strdup(path);
    }
    g_autofree char *folder = g_path_get_dirname(manifest);
    return g_build_filename(folder, path, NULL);
}

static bool take_file(const Source *source, ManifestItem *item, json_t *spec, const char *role,
                      GError **error)
{
    json_t *path = json_object_get(spec, role);
    g_autofree char *field = g_strconcat("spec.", role, NULL);
    if (path == NULL) {
        return true;
    }
    if (!json_is_string(path)) {
        return refuse(source, field, NULL, "write a path", "not the path of a file", error);
    }
    bool disk = strcmp(role, "disk") == 0;
    size_t i = item->n_files++;
    item->paths[i] = resolve(source->path, json_string_value(path));
    item->files[i] = (UploadFile){.role = role, .path = item->paths[i], .field = role};
    if (disk && json_is_string(json_object_get(spec, "format"))) {
        const char *format = json_string_value(json_object_get(spec, "format"));
        ImageFormat known;
        if (!image_format_from_string(format, &known)) {
            return refuse(source, "spec.format", format, "raw or qcow2", "not a format of disks",
                          error);
        }
        item->files[i].format = image_format_to_string(known);
    }
    return true;
}

/* An image's spec names files here; its body gets their hashes later. */
static bool take_image(const Source *source, ManifestItem *item, json_t *spec, GError **error)
{
    static const char *const known[] = {"kernel",  "initrd",      "disk", "format",
                                        "cmdline", "description", NULL};
    if (!check_fields(source, "spec", spec, known, error) ||
        !take_file(source, item, spec, "kernel", error) ||
        !take_file(source, item, spec, "initrd", error) ||
        !take_file(source, item, spec, "disk", error)) {
        return false;
    }
    bool kernel = json_object_get(spec, "kernel") != NULL;
    bool disk = json_object_get(spec, "disk") != NULL;
    if (kernel == disk || (disk && item->n_files > 1)) {
        return refuse(source, "spec", NULL, "give kernel (and initrd), or disk",
                      "an image is made of a kernel, or of a disk", error);
    }
    item->body = json_pack("{s:s}", "name", item->name);
    static const char *const kept[] = {"cmdline", "description"};
    for (size_t i = 0; i < G_N_ELEMENTS(kept); i++) {
        if (json_object_get(spec, kept[i]) != NULL) {
            json_object_set(item->body, kept[i], json_object_get(spec, kept[i]));
        }
    }
    return true;
}

/* `resources`, `total` and `quota` come with units. */
static bool convert_vector(const Source *source, json_t *body, const char *key, GError **error)
{
    const json_t *vector = json_object_get(body, key);
    GError *problem = NULL;
    if (!json_is_object(vector)) {
        return true;
    }
    json_t *converted = quantities_from_manifest(vector, &problem);
    if (converted == NULL) {
        g_autofree char *prefix = g_strconcat("spec.", key, NULL);
        return locate(source, prefix, problem, error);
    }
    json_object_set_new(body, key, converted);
    return true;
}

static bool take_spec(const Source *source, ManifestItem *item, json_t *spec, GError **error)
{
    if (json_object_get(spec, "name") != NULL) {
        return refuse(source, "spec.name", NULL, "write it beside kind",
                      "the name stands elsewhere", error);
    }
    if (json_object_get(spec, "tenant") != NULL) {
        return refuse(source, "spec.tenant", NULL, "write it beside kind",
                      "the tenant stands elsewhere", error);
    }
    item->body = json_pack("{s:s}", "name", item->name);
    json_object_update(item->body, spec);
    if (!convert_vector(source, item->body, "resources", error) ||
        !convert_vector(source, item->body, "total", error) ||
        !convert_vector(source, item->body, "quota", error)) {
        return false;
    }
    const CodecType *type = body_types[item->kind];
    GError *problem = NULL;
    void *decoded = codec_decode(type, item->body, CODEC_STRICT, &problem);
    if (decoded == NULL) {
        return locate(source, "spec", problem, error);
    }
    codec_free(type, decoded);
    item->note = policy_make_plain(item->body);
    return true;
}

static bool read_tenant(const Source *source, ManifestItem *item, GError **error)
{
    const json_t *tenant = json_object_get(source->document->root, "tenant");
    bool owned = item->kind == MANIFEST_NETWORK || item->kind == MANIFEST_RULE ||
                 item->kind == MANIFEST_RESERVATION || item->kind == MANIFEST_APP ||
                 item->kind == MANIFEST_VM;
    if (tenant != NULL && !owned) {
        return refuse(source, "tenant", json_string_value(tenant), "leave it out",
                      "objects of this kind belong to no tenant", error);
    }
    if (tenant != NULL && !json_is_string(tenant)) {
        return refuse(source, "tenant", NULL, "write its name", "not the name of a tenant", error);
    }
    item->tenant = g_strdup(json_string_value(tenant));
    return true;
}

static bool read_item(const Source *source, GPtrArray *items, GError **error)
{
    static const char *const known[] = {"kind", "name", "tenant", "spec", NULL};
    const YamlDocument *document = source->document;
    g_autoptr(ManifestItem) item = g_new0(ManifestItem, 1);
    if (!json_is_object(document->root)) {
        return refuse(source, NULL, NULL, "write kind, name and spec", "not a mapping", error);
    }
    if (!read_kind(source, &item->kind, error) ||
        !check_fields(source, NULL, document->root, known, error) ||
        !read_tenant(source, item, error)) {
        return false;
    }
    const json_t *name = json_object_get(document->root, "name");
    item->name = g_strdup(json_string_value(name));
    item->where = g_strdup_printf("%s:%d", shown(source->path), document->begins.line);
    item->path = g_strdup(shown(source->path));
    json_t *spec = json_object_get(document->root, "spec");
    if (item->name == NULL) {
        return name == NULL
                   ? refuse(source, "name", NULL, "add it", "the object has no name", error)
                   : refuse(source, "name", NULL, "write it in quotes, as in '12'",
                            "the name is no text", error);
    }
    bool empty = spec == NULL || json_is_null(spec);
    if (!empty && !json_is_object(spec)) {
        return refuse(source, "spec", NULL, "write its fields below it, indented",
                      "the spec is not a mapping", error);
    }
    json_auto_t *fields = empty ? json_object() : json_incref(spec);
    bool ok = item->kind == MANIFEST_IMAGE ? take_image(source, item, fields, error)
                                           : take_spec(source, item, fields, error);
    if (ok) {
        g_ptr_array_add(items, g_steal_pointer(&item));
    }
    return ok;
}

static bool check_twice(const GPtrArray *items, GError **error)
{
    for (guint i = 0; i < items->len; i++) {
        const ManifestItem *a = items->pdata[i];
        for (guint k = 0; k < i; k++) {
            const ManifestItem *b = items->pdata[k];
            if (a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
                g_strcmp0(a->tenant, b->tenant) == 0) {
                return berth_error_set(error, BERTH_ERROR_INVALID, "name", a->name,
                                       "keep one of them", "%s: %s %s stands in %s already",
                                       a->where, kind_names[a->kind], a->name, b->where);
            }
        }
    }
    return true;
}

bool manifest_parse(const char *path, const char *text, size_t length, GPtrArray *items,
                    GError **error)
{
    size_t mark = text_mark_length(text, length);
    CodecLimits limits = {.max_bytes = MAX_BYTES};
    g_autoptr(GPtrArray) documents = yaml_parse(text + mark, length - mark, &limits, error);
    if (documents == NULL) {
        g_prefix_error(error, "%s: ", shown(path));
        return false;
    }
    for (guint i = 0; i < documents->len; i++) {
        Source source = {path, documents->pdata[i]};
        if (!read_item(&source, items, error)) {
            return false;
        }
        ManifestItem *item = items->pdata[items->len - 1];
        item->document = g_steal_pointer(&documents->pdata[i]);
    }
    return check_twice(items, error);
}

/* Of at most a byte more than is taken, so that too much is noticed and never held. */
static char *read_input(FILE *in, size_t *ret_length)
{
    GString *text = g_string_new(NULL);
    char buffer[65536];
    size_t n;
    while (text->len <= MAX_BYTES && (n = fread(buffer, 1, sizeof buffer, in)) > 0) {
        g_string_append_len(text, buffer, (gssize)n);
    }
    *ret_length = text->len;
    return g_string_free(text, FALSE);
}

static bool read_file(const char *path, GPtrArray *items, GError **error)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (in == NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--file", path,
                               "give the path of a manifest that can be read",
                               "cannot open the manifest: %s", g_strerror(errno));
    }
    size_t length;
    g_autofree char *text = read_input(in, &length);
    int problem = ferror(in) ? errno : 0;
    bool ok = problem == 0 ||
              berth_error_set(error, BERTH_ERROR_INVALID, "--file", path, "give the path of a file",
                              "cannot read the manifest: %s", g_strerror(problem));
    if (in != stdin) {
        fclose(in);
    }
    return ok && manifest_parse(path, text, length, items, error);
}

static int by_kind(const void *a, const void *b)
{
    const ManifestItem *x = *(ManifestItem *const *)a, *y = *(ManifestItem *const *)b;
    return (int)x->kind - (int)y->kind;
}

GPtrArray *manifest_read(const char *const *paths, GError **error)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func((GDestroyNotify)manifest_item_free);
    for (size_t i = 0; paths[i] != NULL; i++) {
        if (!read_file(paths[i], items, error)) {
            return NULL;
        }
    }
    if (items->len == 0) {
        berth_error_set(error, BERTH_ERROR_INVALID, "--file", paths[0],
                        "'berth apply --help' shows one", "there is nothing in the manifest");
        return NULL;
    }
    g_ptr_array_sort(items, by_kind); /* which is stable */
    return g_steal_pointer(&items);
}
