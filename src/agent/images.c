/*
 * Content of images on this host: fetched once, verified by its hash, shared by all VMs.
 *
 * A fetch asks the manager where (image.locate), then downloads over HTTPS in a worker. Those who
 * want the same content meanwhile wait for the same fetch.
 */
#include <errno.h>
#include <fcntl.h>
#include <libsoup/soup.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"

#define CHUNK_BYTES (256 * 1024)

struct Images {
    Agent *agent;
    GHashTable *fetches; /* sha256 → Fetch */
};

typedef struct {
    Images *images;
    char *sha256;
    char *url;
    char *token;
    char *ca;
    char *path;
    int64_t bytes;
    GPtrArray *waiting; /* of Want */
} Fetch;

/* One call of images_ensure. */
typedef struct {
    ImagesDone done;
    gpointer data;
    unsigned missing;
    GError *error; /* the first */
} Want;

static void fetch_free(gpointer data)
{
    Fetch *fetch = data;
    g_free(fetch->sha256);
    g_free(fetch->url);
    g_free(fetch->token);
    g_free(fetch->ca);
    g_free(fetch->path);
    g_ptr_array_unref(fetch->waiting);
    g_free(fetch);
}

/* A connection reads the default database before it is told of another one: without ours, the
 * system's, which then stays in memory. */
static void trust_only_the_manager(const Agent *agent)
{
    g_autofree char *path = g_build_filename(agent->state, "ca.pem", NULL);
    g_autoptr(GTlsDatabase) trust = g_tls_file_database_new(path, NULL);
    if (trust != NULL) {
        g_tls_backend_set_default_database(g_tls_backend_get_default(), trust);
    }
}

Images *images_new(Agent *agent)
{
    trust_only_the_manager(agent);
    Images *images = g_new0(Images, 1);
    images->agent = agent;
    images->fetches = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, fetch_free);
    return images;
}

void images_free(Images *images)
{
    if (images != NULL) {
        g_hash_table_unref(images->fetches);
        g_free(images);
    }
}

static gboolean want_ended(gpointer data)
{
    Want *want = data;
    want->done(want->error, want->data);
    g_clear_error(&want->error);
    g_free(want);
    return G_SOURCE_REMOVE;
}

static void want_has(Want *want, const GError *error)
{
    if (error != NULL && want->error == NULL) {
        want->error = g_error_copy(error);
    }
    if (--want->missing == 0) {
        g_idle_add_full(G_PRIORITY_DEFAULT, want_ended, want, NULL);
    }
}

static void fetch_ended(Fetch *fetch, const GError *error)
{
    g_autoptr(GPtrArray) waiting = g_ptr_array_ref(fetch->waiting);
    g_hash_table_remove(fetch->images->fetches, fetch->sha256);
    for (guint i = 0; i < waiting->len; i++) {
        want_has(waiting->pdata[i], error);
    }
}

static bool write_all(int fd, const char *data, gsize size, GError **error)
{
    while (size > 0) {
        ssize_t n = TEMP_FAILURE_RETRY(write(fd, data, size));
        if (n < 0) {
            return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                                   "make room in the agent's state directory",
                                   "cannot write an image: %s", g_strerror(errno));
        }
        data += n;
        size -= (gsize)n;
    }
    return true;
}

static bool copy_stream(GInputStream *stream, int fd, const Fetch *fetch, GError **error)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *chunk = g_malloc(CHUNK_BYTES);
    int64_t total = 0;
    for (;;) {
        gssize n = g_input_stream_read(stream, chunk, CHUNK_BYTES, NULL, error);
        if (n < 0) {
            return false;
        }
        if (n == 0) {
            break;
        }
        total += n;
        g_checksum_update(checksum, (const guchar *)chunk, n);
        if (total > fetch->bytes || !write_all(fd, chunk, (gsize)n, error)) {
            break;
        }
    }
    if (error != NULL && *error != NULL) {
        return false;
    }
    if (total != fetch->bytes || strcmp(g_checksum_get_string(checksum), fetch->sha256) != 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "sha256", fetch->sha256,
                               "it is fetched again; if it fails again add the image anew",
                               "the image's content arrived damaged");
    }
    return true;
}

static GInputStream *open_stream(SoupSession *session, const Fetch *fetch, GError **error)
{
    g_autoptr(SoupMessage) message = soup_message_new("GET", fetch->url);
    g_autofree char *bearer = g_strconcat("Bearer ", fetch->token, NULL);
    soup_message_headers_replace(soup_message_get_request_headers(message), "Authorization",
                                 bearer);
    GInputStream *stream = soup_session_send(session, message, NULL, error);
    if (stream == NULL) {
        return NULL;
    }
    unsigned status = soup_message_get_status(message);
    if (status != 200) {
        g_object_unref(stream);
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "it is tried again",
                        "the manager answers %u for an image's content", status);
        return NULL;
    }
    return stream;
}

static bool download_to(const Fetch *fetch, int fd, GError **error)
{
    g_autoptr(GTlsDatabase) trust = g_tls_file_database_new(fetch->ca, error);
    if (trust == NULL) {
        return false;
    }
    g_autoptr(SoupSession) session =
        soup_session_new_with_options("tls-database", trust, "timeout", 60,
                                      /* the manager is one of us; and a resolver of proxies costs
                                       * megabytes of libraries */
                                      "proxy-resolver", NULL, NULL);
    g_autoptr(GInputStream) stream = open_stream(session, fetch, error);
    return stream != NULL && copy_stream(stream, fd, fetch, error);
}

/* Under another name until it is whole and durable. */
static bool download(gpointer data, GError **error)
{
    const Fetch *fetch = data;
    g_autofree char *partial = g_strconcat(fetch->path, ".partial", NULL);
    int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                               "make room in the agent's state directory", "cannot make %s: %s",
                               partial, g_strerror(errno));
    }
    bool whole = download_to(fetch, fd, error) && fsync(fd) == 0;
    close(fd);
    if (!whole || rename(partial, fetch->path) != 0) {
        unlink(partial);
        return error == NULL || *error != NULL
                   ? false
                   : berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                                     "make room in the agent's state directory",
                                     "cannot keep %s: %s", fetch->path, g_strerror(errno));
    }
    return true;
}

static void on_downloaded(const GError *error, gpointer data)
{
    fetch_ended(data, error);
    malloc_trim(0); /* TLS took megabytes */
}

typedef struct {
    Images *images;
    char *sha256;
} Asked;

static void on_located(json_t *result, const GError *error, void *data)
{
    Asked *asked = data;
    Images *images = asked->images;
    Fetch *fetch = g_hash_table_lookup(images->fetches, asked->sha256);
    g_free(asked->sha256);
    g_free(asked);
    if (fetch == NULL) {
        return;
    }
    g_autoptr(GError) failed = NULL;
    g_autoptr(ImageLocation) location =
        result != NULL ? image_location_decode(result, CODEC_TOLERANT, &failed) : NULL;
    if (location == NULL) {
        fetch_ended(fetch, error != NULL ? error : failed);
        return;
    }
    const AgentConfig *config = images->agent->config;
    bool v6 = strchr(config->manager, ':') != NULL;
    fetch->url = g_strdup_printf("https://%s%s%s:%d%s", v6 ? "[" : "", config->manager,
                                 v6 ? "]" : "", (int)location->port, location->path);
    fetch->token = g_strdup(location->token);
    fetch->bytes = location->bytes;
    fetch->ca = g_build_filename(images->agent->state, "ca.pem", NULL);
    work_run(images->agent->files, download, on_downloaded, fetch, NULL);
}

static Fetch *fetch_begin(Images *images, const char *sha256, char *path)
{
    Fetch *fetch = g_new0(Fetch, 1);
    fetch->images = images;
    fetch->sha256 = g_strdup(sha256);
    fetch->path = path;
    fetch->waiting = g_ptr_array_new();
    g_hash_table_insert(images->fetches, fetch->sha256, fetch);
    Asked *asked = g_new(Asked, 1);
    *asked = (Asked){images, g_strdup(sha256)};
    ImageLocate locate = {.sha256 = (char *)sha256};
    json_t *params = image_locate_encode(&locate);
    uplink_call(images->agent->uplink, AGENT_METHOD_IMAGE_LOCATE, params, on_located, asked);
    json_decref(params);
    return fetch;
}

void images_ensure(Images *images, const AssignedImage *image, ImagesDone done, gpointer data)
{
    Want *want = g_new0(Want, 1);
    *want = (Want){.done = done, .data = data, .missing = 1};
    for (guint i = 0; image != NULL && i < image->files->len; i++) {
        const ImageFile *file = image->files->pdata[i];
        g_autofree char *path = path_image(images->agent->state, file->sha256);
        if (access(path, R_OK) == 0) {
            continue;
        }
        Fetch *fetch = g_hash_table_lookup(images->fetches, file->sha256);
        if (fetch == NULL) {
            fetch = fetch_begin(images, file->sha256, g_steal_pointer(&path));
        }
        want->missing++;
        g_ptr_array_add(fetch->waiting, want);
    }
    want_has(want, NULL);
}

static void add_named(GHashTable *named, const Assignment *assignment)
{
    for (guint i = 0;
         assignment != NULL && assignment->image != NULL && i < assignment->image->files->len;
         i++) {
        const ImageFile *file = assignment->image->files->pdata[i];
        g_hash_table_add(named, g_strdup(file->sha256));
    }
    for (guint i = 0; assignment != NULL && i < assignment->disks->len; i++) {
        const AssignedDisk *disk = assignment->disks->pdata[i];
        if (disk->base != NULL) {
            g_hash_table_add(named, g_strdup(disk->base));
        }
    }
}

void images_sweep(Images *images)
{
    g_autoptr(GHashTable) named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) vms = host_core_vms(images->agent->core);
    for (guint i = 0; i < vms->len; i++) {
        add_named(named, host_core_assignment(images->agent->core, vms->pdata[i]));
    }
    g_autofree char *directory = path_image(images->agent->state, "");
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *sha256 = g_strndup(name, 64);
        if (!g_hash_table_contains(named, sha256) &&
            !g_hash_table_contains(images->fetches, sha256)) {
            g_autofree char *path = g_build_filename(directory, name, NULL);
            unlink(path);
        }
    }
}
