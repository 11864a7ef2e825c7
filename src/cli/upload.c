#include "cli/upload.h"

#include <string.h>

#include "base/error.h"
#include "base/image_content.h"
#include "base/units.h"

#define BLOCK_BYTES (1 << 18)

static bool refuse_file(const UploadFile *file, const char *remedy, const char *what,
                        GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, file->field, file->path, remedy, "%s", what);
}

/* GLib names the file once more, where ours stands with its option already. */
static const char *reason_of(const GError *problem)
{
    const char *colon = strrchr(problem->message, ':');
    return colon != NULL && colon[1] == ' ' ? colon + 2 : problem->message;
}

static GFileInputStream *open_file(const UploadFile *file, int64_t *ret_bytes, GError **error)
{
    g_autoptr(GFile) location = g_file_new_for_path(file->path);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GFileInputStream) stream = g_file_read(location, NULL, &problem);
    g_autoptr(GFileInfo) info =
        stream != NULL ? g_file_input_stream_query_info(stream, "standard::*", NULL, &problem)
                       : NULL;
    if (info == NULL) {
        g_autofree char *what = g_strdup_printf("cannot read the file: %s", reason_of(problem));
        refuse_file(file, "give the path of a file that can be read", what, error);
        return NULL;
    }
    *ret_bytes = g_file_info_get_size(info);
    if (g_file_info_get_file_type(info) != G_FILE_TYPE_REGULAR || *ret_bytes == 0) {
        refuse_file(file, "give a file with the image's content",
                    *ret_bytes == 0 ? "the file is empty" : "not a file", error);
        return NULL;
    }
    return g_steal_pointer(&stream);
}

/* How a raw disk begins is nobody's business, if it is called raw; else it may be a slip. */
static bool check_raw(const UploadFile *file, const guint8 *begin, size_t length, GError **error)
{
    const char *looks = image_content_looks_like(begin, length);
    if (file->format != NULL) {
        return true;
    }
    if (looks != NULL) {
        g_autofree char *what = g_strdup_printf("the file looks like a %s image", looks);
        return refuse_file(file,
                           strcmp(looks, "qcow2") == 0
                               ? "state the format: qcow2 (or raw, to take the bytes as a disk)"
                               : "make a qcow2 image of it with 'qemu-img convert -O qcow2'",
                           what, error);
    }
    return image_content_boots(begin, length) ||
           refuse_file(file, "give a disk with a boot sector, or --format raw to take it as it is",
                       "the file is no disk that boots", error);
}

static bool check_content(const UploadFile *file, const guint8 *begin, size_t length,
                          int64_t *ret_virtual, GError **error)
{
    ImageFileRole role = IMAGE_FILE_ROLE_UNSET;
    image_file_role_from_string(file->role, &role);
    ImageFormat format =
        g_strcmp0(file->format, "qcow2") == 0 ? IMAGE_FORMAT_QCOW2 : IMAGE_FORMAT_RAW;
    ImageContent content = image_content_examine(role, format, begin, length);
    if (content.what != NULL) {
        return refuse_file(file, content.remedy, content.what, error);
    }
    *ret_virtual = content.virtual_bytes;
    return role != IMAGE_FILE_ROLE_DISK || format != IMAGE_FORMAT_RAW ||
           check_raw(file, begin, length, error);
}

static void show_progress(Progress *progress, const char *what, const char *path, int64_t done,
                          int64_t bytes)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *text =
        g_strdup_printf("%s %s: %" G_GINT64_FORMAT " %% of %" G_GINT64_FORMAT " MiB", what, name,
                        done * 100 / MAX(bytes, 1), bytes >> 20);
    progress_update(progress, g_get_monotonic_time(), text);
}

/* The hash of the rest of a stream whose first bytes have been read already. */
static char *hash_stream(Cli *cli, const UploadFile *file, GInputStream *stream, int64_t bytes,
                         guint8 *block, gssize n, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(Progress) progress = cli_progress(cli);
    int64_t done = 0;
    for (; n > 0; n = g_input_stream_read(stream, block, BLOCK_BYTES, NULL, error)) {
        g_checksum_update(sum, block, n);
        done += n;
        show_progress(progress, "reading", file->path, done, bytes);
    }
    if (n == 0 && done != bytes) {
        refuse_file(file, "try again when nobody writes to it", "the file changes while it is read",
                    error);
        return NULL;
    }
    return n == 0 ? g_strdup(g_checksum_get_string(sum)) : NULL;
}

json_t *upload_describe(Cli *cli, const UploadFile *file, GError **error)
{
    int64_t bytes, virtual_bytes = 0;
    g_autoptr(GFileInputStream) stream = open_file(file, &bytes, error);
    if (stream == NULL) {
        return NULL;
    }
    g_autofree guint8 *block = g_malloc(BLOCK_BYTES);
    gsize first = 0;
    bool is_disk = strcmp(file->role, "disk") == 0;
    if (!g_input_stream_read_all(G_INPUT_STREAM(stream), block, BLOCK_BYTES, &first, NULL, error) ||
        !check_content(file, block, first, &virtual_bytes, error)) {
        return NULL;
    }
    g_autofree char *sha256 =
        hash_stream(cli, file, G_INPUT_STREAM(stream), bytes, block, (gssize)first, error);
    if (sha256 == NULL) {
        return NULL;
    }
    json_t *json = json_pack("{s:s, s:s, s:I}", "role", file->role, "sha256", sha256, "bytes",
                             (json_int_t)bytes);
    if (is_disk) {
        json_object_set_new(json, "format",
                            json_string(file->format != NULL ? file->format : "raw"));
    }
    if (virtual_bytes > 0) {
        json_object_set_new(json, "virtual-bytes", json_integer(virtual_bytes));
    }
    return json;
}

typedef struct {
    Progress *progress;
    const char *path;
    int64_t done, bytes;
} Sending;

static void on_wrote(SoupMessage *message, guint chunk, gpointer data)
{
    Sending *sending = data;
    sending->done += chunk;
    show_progress(sending->progress, "sending", sending->path, sending->done, sending->bytes);
}

/* The manager looks at the request's head before the content is sent (Expect: 100-continue), so
 * that a refusal costs nothing. */
static json_t *send_file(Cli *cli, const char *image, const char *sha256, const UploadFile *file,
                         GError **error)
{
    int64_t bytes;
    g_autoptr(GFileInputStream) stream = open_file(file, &bytes, error);
    if (stream == NULL) {
        return NULL;
    }
    ApiCall call = {.operation = API_OP_PUT_IMAGE_FILE, .params = {image, sha256}};
    g_autoptr(SoupMessage) message = api_client_message(cli->client, &call);
    soup_message_set_request_body(message, "application/octet-stream", G_INPUT_STREAM(stream),
                                  bytes);
    soup_message_headers_set_expectations(soup_message_get_request_headers(message),
                                          SOUP_EXPECTATION_CONTINUE);
    g_autoptr(Progress) progress = cli_progress(cli);
    Sending sending = {.progress = progress, .path = file->path, .bytes = bytes};
    g_signal_connect(message, "wrote-body-data", G_CALLBACK(on_wrote), &sending);
    g_autoptr(GInputStream) answer = api_client_send(cli->client, message, NULL, error);
    return answer != NULL ? api_client_read(answer, error) : NULL;
}

static bool has_received(const json_t *image, const char *sha256)
{
    size_t i;
    json_t *received;
    json_array_foreach (json_object_get(image, "received"), i, received) {
        if (g_strcmp0(json_string_value(received), sha256) == 0) {
            return true;
        }
    }
    return false;
}

json_t *upload_missing(Cli *cli, json_t *image, const UploadFile *files, GError **error)
{
    size_t count = json_array_size(json_object_get(image, "files"));
    g_autofree char *id = g_strdup(json_string_value(json_object_get(image, "id")));
    for (size_t i = 0; i < count && image != NULL; i++) {
        json_t *declared = json_array_get(json_object_get(image, "files"), i);
        g_autofree char *sha256 = g_strdup(json_string_value(json_object_get(declared, "sha256")));
        if (sha256 == NULL || id == NULL || has_received(image, sha256)) {
            continue;
        }
        json_decref(image);
        image = send_file(cli, id, sha256, &files[i], error);
    }
    return image;
}
