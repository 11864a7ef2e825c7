/*
 * Content of images: STATE/images/SHA256. It comes in by PUT, in a stream, and is checked against
 * its hash while it comes; it goes out to agents that show a ticket.
 *
 * An upload is written under a name of its own and gets its final one when it is whole and durable,
 * which a worker sees to; only then does the core learn of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/image_content.h"
#include "manager/manager.h"

#define CHUNK_BYTES (256 * 1024)

struct Blobs {
    Manager *manager;
    char *directory;
    uint64_t last_upload;
};

/* Attached to its message. */
typedef struct {
    Blobs *blobs;
    SoupServerMessage *message;
    char *image; /* id */
    char *sha256;
    char *partial, *path;
    int fd;
    ImageFile *expected;
    int64_t received;
    GChecksum *checksum;
    GError *error; /* the first */
    uint64_t request;
} Upload;

static void upload_free(gpointer data)
{
    Upload *upload = data;
    if (upload->fd >= 0) {
        close(upload->fd);
    }
    if (upload->partial != NULL) {
        unlink(upload->partial);
    }
    g_clear_pointer(&upload->checksum, g_checksum_free);
    g_clear_error(&upload->error);
    image_file_free(upload->expected);
    g_free(upload->image);
    g_free(upload->sha256);
    g_free(upload->partial);
    g_free(upload->path);
    g_free(upload);
}

static void remove_partials(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        if (g_str_has_suffix(name, ".partial")) {
            g_autofree char *path = g_build_filename(directory, name, NULL);
            unlink(path);
        }
    }
}

Blobs *blobs_new(Manager *manager, GError **error)
{
    Blobs *blobs = g_new0(Blobs, 1);
    blobs->manager = manager;
    blobs->directory = g_build_filename(manager->state, "images", NULL);
    if (mkdir(blobs->directory, 0700) != 0 && errno != EEXIST) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "see that it can be written",
                        "cannot make %s: %s", blobs->directory, g_strerror(errno));
        blobs_free(blobs);
        return NULL;
    }
    remove_partials(blobs->directory);
    return blobs;
}

void blobs_free(Blobs *blobs)
{
    if (blobs != NULL) {
        g_free(blobs->directory);
        g_free(blobs);
    }
}

static bool write_all(Upload *upload, const char *data, gsize size)
{
    while (size > 0) {
        ssize_t n = TEMP_FAILURE_RETRY(write(upload->fd, data, size));
        if (n < 0) {
            return berth_error_set(&upload->error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                                   "make room on the file system of the manager's state directory",
                                   "the image cannot be stored: %s", g_strerror(errno));
        }
        data += n;
        size -= (gsize)n;
    }
    return true;
}

static void on_chunk(SoupServerMessage *message, GBytes *chunk, gpointer data)
{
    Upload *upload = data;
    gsize size = 0;
    const char *bytes = g_bytes_get_data(chunk, &size);
    upload->received += (int64_t)size;
    if (upload->error == NULL && upload->received > upload->expected->bytes) {
        berth_error_set(&upload->error, BERTH_ERROR_TOO_LARGE, "body", NULL,
                        "declare the file's true size", "more bytes came than the image declares");
    }
    if (upload->error == NULL) {
        g_checksum_update(upload->checksum, (const guchar *)bytes, (gssize)size);
        write_all(upload, bytes, size);
    }
    if (upload->error != NULL) {
        g_signal_handlers_disconnect_by_data(message, upload);
        http_refuse_stream(message, upload->error);
    }
}

void blobs_receive(Blobs *blobs, SoupServerMessage *message, const char *tenant, const char *image,
                   const char *sha256)
{
    Upload *upload = g_new0(Upload, 1);
    upload->blobs = blobs;
    upload->message = message;
    upload->fd = -1;
    upload->sha256 = g_strdup(sha256);
    upload->checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_object_set_data_full(G_OBJECT(message), "berth-upload", upload, upload_free);
    soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
    g_signal_connect(message, "got-chunk", G_CALLBACK(on_chunk), upload);
    const char *id = NULL;
    const ImageFile *expected = NULL;
    if (!cluster_core_expects_file(blobs->manager->core, tenant, image, sha256, &id, &expected,
                                   &upload->error)) {
        return;
    }
    upload->expected = image_file_copy(expected);
    upload->image = g_strdup(id);
    upload->path = g_build_filename(blobs->directory, sha256, NULL);
    upload->partial = g_strdup_printf("%s/%s.%" G_GUINT64_FORMAT ".partial", blobs->directory,
                                      sha256, ++blobs->last_upload);
    upload->fd = open(upload->partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (upload->fd < 0) {
        berth_error_set(&upload->error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                        "make room on the file system of the manager's state directory",
                        "cannot make %s: %s", upload->partial, g_strerror(errno));
    }
}

/* It is what the image calls it. QEMU would open what a disk leans on with the host's eyes. */
static bool check_kind(const Upload *upload, GError **error)
{
    const ImageFile *expected = upload->expected;
    uint8_t begin[IMAGE_CONTENT_BYTES];
    ssize_t n = TEMP_FAILURE_RETRY(pread(upload->fd, begin, sizeof begin, 0));
    if (n < 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "send it again",
                               "the image cannot be read: %s", g_strerror(errno));
    }
    ImageContent content =
        image_content_examine(expected->role, expected->format, begin, (size_t)n);
    if (content.what != NULL) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "role",
                               image_file_role_to_string(expected->role), content.remedy, "%s",
                               content.what);
    }
    if (content.virtual_bytes != 0 && expected->virtual_bytes != content.virtual_bytes) {
        g_autofree char *said = g_strdup_printf("%" G_GINT64_FORMAT, expected->virtual_bytes);
        g_autofree char *remedy =
            g_strdup_printf("declare virtual-bytes: %" G_GINT64_FORMAT, content.virtual_bytes);
        return berth_error_set(error, BERTH_ERROR_INVALID, "virtual-bytes", said, remedy,
                               "not the size that a guest sees of this disk");
    }
    return true;
}

static bool check_content(Upload *upload, GError **error)
{
    const char *hash = g_checksum_get_string(upload->checksum);
    if (upload->received != upload->expected->bytes || strcmp(hash, upload->sha256) != 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "sha256", upload->sha256,
                               "send the very file that the image declares",
                               "%" G_GINT64_FORMAT " bytes came, with the hash %s",
                               upload->received, hash);
    }
    return check_kind(upload, error);
}

/* In a worker: durable, then under its name. */
static void make_durable(GTask *task, gpointer source, gpointer data, GCancellable *cancel)
{
    const Upload *upload = data;
    g_autofree char *directory = g_path_get_dirname(upload->path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool durable = fsync(upload->fd) == 0 && rename(upload->partial, upload->path) == 0 &&
                   fd >= 0 && fsync(fd) == 0;
    int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (durable) {
        g_task_return_boolean(task, TRUE);
        return;
    }
    GError *error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                    "make room on the file system of the manager's state directory",
                    "the image cannot be kept: %s", g_strerror(number));
    g_task_return_error(task, error);
}

static void answer_failed(const Upload *upload, GError *error)
{
    ClusterAction action = {.kind = CLUSTER_ACTION_REPLY};
    action.reply.request = upload->request;
    action.reply.error = error;
    http_reply(upload->blobs->manager->http, &action);
    g_error_free(error);
}

static void on_durable(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(SoupServerMessage) message = SOUP_SERVER_MESSAGE(g_object_ref(source));
    Upload *upload = data;
    GError *error = NULL;
    if (!g_task_propagate_boolean(G_TASK(result), &error)) {
        answer_failed(upload, error);
        return;
    }
    ClusterEvent event = {.kind = CLUSTER_EVENT_IMAGE_RECEIVED};
    event.received.image = upload->image;
    event.received.sha256 = upload->sha256;
    event.received.request = upload->request;
    manager_step(upload->blobs->manager, &event);
}

void blobs_received(Blobs *blobs, SoupServerMessage *message, uint64_t request)
{
    Upload *upload = g_object_get_data(G_OBJECT(message), "berth-upload");
    upload->request = request;
    GError *error = g_steal_pointer(&upload->error);
    if (error != NULL || !check_content(upload, &error)) {
        answer_failed(upload, error);
        return;
    }
    g_autoptr(GTask) task = g_task_new(message, NULL, on_durable, upload);
    g_task_set_task_data(task, upload, NULL);
    g_task_run_in_thread(task, make_durable);
}

ImageLocation *blobs_locate(Blobs *blobs, const char *sha256, GError **error)
{
    int64_t bytes = 0;
    if (!cluster_core_knows_file(blobs->manager->core, sha256, &bytes)) {
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, "sha256", sha256,
                        "add the image, and send all its files", "there is no such content here");
        return NULL;
    }
    ImageLocation *location = image_location_new();
    location->port = blobs->manager->api_port;
    location->path = g_strdup_printf("/v1/blobs/%s", sha256);
    location->token = auth_new_ticket(blobs->manager->auth, sha256, manager_now_ms());
    location->bytes = bytes;
    return location;
}

/* A file on its way out; attached to its message. */
typedef struct {
    SoupServerMessage *message;
    int fd;
} Download;

static void download_free(gpointer data)
{
    Download *download = data;
    close(download->fd);
    g_free(download);
}

static void send_chunk(SoupServerMessage *message, gpointer data)
{
    const Download *download = data;
    SoupMessageBody *body = soup_server_message_get_response_body(message);
    char *chunk = g_malloc(CHUNK_BYTES);
    ssize_t n = TEMP_FAILURE_RETRY(read(download->fd, chunk, CHUNK_BYTES));
    if (n > 0) {
        soup_message_body_append_take(body, (guchar *)chunk, (gsize)n);
    } else {
        g_free(chunk);
        soup_message_body_complete(body);
    }
    soup_server_message_unpause(message);
}

void blobs_send(Blobs *blobs, SoupServerMessage *message, const char *sha256)
{
    g_autofree char *path = g_build_filename(blobs->directory, sha256, NULL);
    struct stat st;
    g_autoptr(GError) error = NULL;
    bool known = cluster_core_knows_file(blobs->manager->core, sha256, NULL);
    int fd = known ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        berth_error_set(&error, BERTH_ERROR_NOT_FOUND, "sha256", sha256, "ask for another one",
                        "there is no such content here");
        http_answer_error(message, error);
        return;
    }
    Download *download = g_new(Download, 1);
    *download = (Download){message, fd};
    g_object_set_data_full(G_OBJECT(message), "berth-download", download, download_free);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_set_content_length(headers, st.st_size);
    soup_message_headers_set_content_type(headers, "application/octet-stream", NULL);
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    soup_server_message_set_status(message, 200, NULL);
    g_signal_connect(message, "wrote-headers", G_CALLBACK(send_chunk), download);
    g_signal_connect(message, "wrote-chunk", G_CALLBACK(send_chunk), download);
}
