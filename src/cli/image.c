#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "cli/commands.h"
#include "cli/image.h"
#include "schema/objects.h"

static char *size_text(const Image *image)
{
    int64_t bytes = 0;
    for (guint i = 0; i < image->files->len; i++) {
        bytes += ((ImageFile *)image->files->pdata[i])->bytes;
    }
    return bytes < 1 << 20 ? g_strdup_printf("%" G_GINT64_FORMAT "KiB", (bytes + 1023) / 1024)
                           : g_strdup_printf("%.1fMiB", (double)bytes / (1 << 20));
}

static bool image_row(Cli *cli, Table *table, const json_t *json, GError **error)
{
    g_autoptr(Image) image = image_decode(json, CODEC_TOLERANT, error);
    if (image == NULL) {
        return false;
    }
    table_add(table, image->name);
    table_add(table, image_kind_to_string(image->kind));
    table_add(table, image_state_to_string(image->state));
    table_take(table, size_text(image));
    table_take(table, g_strndup(image->id, 12));
    table_take(table, cli_age(image->created_ms));
    return true;
}

static void detail_files(Table *details, const Image *image)
{
    for (guint i = 0; i < image->files->len; i++) {
        const ImageFile *file = image->files->pdata[i];
        bool here =
            g_ptr_array_find_with_equal_func(image->received, file->sha256, g_str_equal, NULL);
        const char *format = image_format_to_string(file->format);
        cli_detail_take(details, image_file_role_to_string(file->role),
                        g_strdup_printf("sha256:%s, %" G_GINT64_FORMAT " bytes%s%s%s", file->sha256,
                                        file->bytes, format != NULL ? ", " : "",
                                        format != NULL ? format : "",
                                        here ? "" : ", still to come"));
    }
}

static bool image_details(Cli *cli, const json_t *json, GError **error)
{
    g_autoptr(Image) image = image_decode(json, CODEC_TOLERANT, error);
    if (image == NULL) {
        return false;
    }
    g_autoptr(Table) details = cli_details_new();
    cli_detail(details, "Name", image->name);
    cli_detail(details, "Id", image->id);
    cli_detail(details, "Description", image->description);
    cli_detail(details, "Kind", image_kind_to_string(image->kind));
    cli_detail(details, "State", image_state_to_string(image->state));
    cli_detail(details, "Command line", image->cmdline);
    detail_files(details, image);
    cli_detail_age(details, "Created", image->created_ms);
    cli_print_table(cli, details);
    return true;
}

static const char *const image_headings[] = {"NAME", "KIND", "STATE", ">SIZE", "ID", ">AGE", NULL};
static const CliView image_view = {image_headings, image_row, image_details};

static bool list(Cli *cli, GError **error)
{
    return cli_list(cli, &(ApiCall){.operation = API_OP_LIST_IMAGES}, &image_view, error);
}

static bool show(Cli *cli, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_IMAGE, .params = {cli_argument(cli, 0)}};
    return cli_show(cli, &call, &image_view, error);
}

static bool same_files(const json_t *image, const json_t *body)
{
    const json_t *here = json_object_get(image, "files"), *wanted = json_object_get(body, "files");
    if (json_array_size(here) != json_array_size(wanted)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(here); i++) {
        const json_t *a = json_object_get(json_array_get(here, i), "sha256");
        const json_t *b = json_object_get(json_array_get(wanted, i), "sha256");
        if (!json_equal(a, b)) {
            return false;
        }
    }
    return true;
}

/* The image of this name, if it is made of these files: an addition that was broken off goes on. */
static json_t *unfinished(Cli *cli, const json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "name"));
    ApiCall call = {.operation = API_OP_GET_IMAGE, .params = {name}};
    json_t *image = cli_call(cli, &call, NULL);
    if (image != NULL && !same_files(image, body)) {
        g_clear_pointer(&image, json_decref);
    }
    return image;
}

json_t *image_put(Cli *cli, json_t *body, const UploadFile *files, bool dry_run, GError **error)
{
    json_t *query = dry_run ? json_pack("{s:b}", "dry-run", 1) : NULL;
    ApiCall call = {.operation = API_OP_CREATE_IMAGE, .body = body, .query = query};
    GError *problem = NULL;
    json_t *image = cli_call(cli, &call, &problem);
    if (image == NULL && g_error_matches(problem, BERTH_ERROR, BERTH_ERROR_EXISTS)) {
        image = unfinished(cli, body);
    }
    if (image == NULL) {
        g_propagate_error(error, problem);
    } else {
        g_clear_error(&problem);
    }
    json_decref(query);
    return image == NULL || dry_run ? image : upload_missing(cli, image, files, error);
}

/* --kernel, --initrd and --disk as they were given, in that order. */
static size_t files_of(const Cli *cli, UploadFile files[3])
{
    static const char *const roles[] = {"kernel", "initrd", "disk"};
    static const char *const fields[] = {"--kernel", "--initrd", "--disk"};
    size_t count = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
        const char *path = cli_args_get(cli->args, roles[i]);
        bool is_disk = strcmp(roles[i], "disk") == 0;
        if (path != NULL) {
            files[count++] = (UploadFile){
                .role = roles[i],
                .path = path,
                .field = fields[i],
                .format = is_disk ? cli_args_get(cli->args, "format") : NULL,
            };
        }
    }
    return count;
}

static bool check_files(const Cli *cli, GError **error)
{
    bool kernel = cli_args_has(cli->args, "kernel"), disk = cli_args_has(cli->args, "disk");
    const char *format = cli_args_get(cli->args, "format");
    if (kernel == disk) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                               "give --kernel (and --initrd), or --disk",
                               "an image is made of a kernel, or of a disk");
    }
    if (disk && (cli_args_has(cli->args, "initrd") || cli_args_has(cli->args, "cmdline"))) {
        return berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL, "leave them out",
                               "--initrd and --cmdline belong to --kernel");
    }
    if (format != NULL &&
        (kernel || (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0))) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "--format", format,
                               kernel ? "leave it out" : "raw or qcow2",
                               kernel ? "a kernel has no format" : "not a format of disks");
    }
    return true;
}

json_t *image_body(Cli *cli, const char *name, const UploadFile *files, size_t count,
                   GError **error)
{
    json_t *described = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *file = upload_describe(cli, &files[i], error);
        if (file == NULL) {
            json_decref(described);
            return NULL;
        }
        json_array_append_new(described, file);
    }
    bool is_disk = count > 0 && strcmp(files[0].role, "disk") == 0;
    return json_pack("{s:s, s:s, s:o}", "name", name, "kind", is_disk ? "disk" : "kernel", "files",
                     described);
}

static bool add(Cli *cli, GError **error)
{
    UploadFile files[3];
    bool dry = cli_args_has(cli->args, "dry-run");
    if (!check_files(cli, error) || cli_connect(cli, error) == NULL) {
        return false;
    }
    json_t *body = image_body(cli, cli_argument(cli, 0), files, files_of(cli, files), error);
    if (body == NULL) {
        return false;
    }
    cli_set_text(cli, body, "cmdline", "cmdline");
    cli_set_text(cli, body, "description", "description");
    json_t *image = image_put(cli, body, files, dry, error);
    bool ok = image != NULL;
    if (ok && cli->format != CLI_TABLE) {
        cli_print_json(cli, image);
    } else if (ok) {
        cli_say(cli, "image %s %s", cli_argument(cli, 0),
                dry ? "would be added" : json_string_value(json_object_get(image, "state")));
    }
    json_decref(image);
    json_decref(body);
    return ok;
}

static bool delete (Cli *cli, GError **error)
{
    return cli_delete_each(cli, API_OP_DELETE_IMAGE, "image", error);
}

static const CliOption add_options[] = {
    {"kernel", 0, "FILE", "that VMs boot"},
    {"initrd", 0, "FILE", "for the kernel"},
    {"cmdline", 0, "TEXT", "for the kernel"},
    {"disk", 0, "FILE", "that VMs boot from, each from a copy of its own"},
    {"format", 0, "FORMAT", "of the disk: raw (the default) or qcow2"},
    {"description", 0, "TEXT", "for people"},
    {NULL},
};

static const CliCommand commands[] = {
    {.verb = "list", .summary = "Lists the images", .run = list},
    {.verb = "show",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Shows one image",
     .run = show},
    {.verb = "add",
     .arguments = "NAME",
     .min_arguments = 1,
     .max_arguments = 1,
     .summary = "Adds an image from files",
     .options = add_options,
     .shared = CLI_DRY_RUN,
     .run = add,
     .details = "An addition that was broken off goes on where it was.\n\n"
                "Example: berth image add demo --kernel vmlinuz --initrd demo.cpio.gz"},
    {.verb = "delete",
     .arguments = "NAME…",
     .min_arguments = 1,
     .max_arguments = -1,
     .summary = "Removes images that no VM uses",
     .run = delete},
    {NULL},
};

const CliGroup image_group = {"image", "Images: what VMs boot", commands};
