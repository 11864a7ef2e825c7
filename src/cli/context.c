#include "cli/context.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "base/yaml.h"

#define RUN_TIME_PATH "/run/berth/context.yaml"
#define HOW_TO_GET_ONE                                                                             \
    "start a cluster on this machine with 'sudo berth dev', or copy " RUN_TIME_PATH                \
    " from the manager to ~/.config/berth/context.yaml"

void context_free(Context *context)
{
    if (context != NULL) {
        g_free(context->path);
        g_free(context->url);
        g_free(context->token);
        g_free(context->ca);
        g_free(context);
    }
}

static bool refuse(const char *path, const char *field, const char *value, const char *remedy,
                   const char *what, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, value, remedy, "context %s: %s", path,
                           what);
}

static bool is_loopback(const char *host)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
    return strcmp(host, "localhost") == 0 ||
           (address != NULL && g_inet_address_get_is_loopback(address));
}

static bool check_url(Context *context, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(context->url, G_URI_FLAGS_NONE, NULL);
    const char *scheme = uri != NULL ? g_uri_get_scheme(uri) : "";
    const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;
    bool https = strcmp(scheme, "https") == 0, http = strcmp(scheme, "http") == 0;
    if (host == NULL || host[0] == '\0' || !(https || http)) {
        return refuse(context->path, "url", context->url, "such as https://10.0.0.1:7443",
                      "not the URL of a manager", error);
    }
    if (strlen(g_uri_get_path(uri)) > 1 || g_uri_get_query(uri) != NULL ||
        g_uri_get_fragment(uri) != NULL || g_uri_get_userinfo(uri) != NULL) {
        return refuse(context->path, "url", context->url, "such as https://10.0.0.1:7443",
                      "more than scheme, host and port", error);
    }
    if (http && !is_loopback(host)) {
        return refuse(context->path, "url", context->url, "use https://",
                      "a token does not travel the network in the clear", error);
    }
    if (https && context->ca == NULL) {
        return refuse(context->path, "ca", NULL, "add the manager's CA certificate as PEM text",
                      "nothing to know the manager by", error);
    }
    if (g_str_has_suffix(context->url, "/")) {
        context->url[strlen(context->url) - 1] = '\0';
    }
    return true;
}

static bool take_field(Context *context, const char *name, const json_t *value, GError **error)
{
    static const char *const names[] = {"url", "token", "ca", NULL};
    char **places[] = {&context->url, &context->token, &context->ca};
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(name, names[i]) == 0 && json_is_string(value)) {
            *places[i] = g_strdup(json_string_value(value));
            return true;
        }
        if (strcmp(name, names[i]) == 0) {
            return refuse(context->path, name, NULL, "write it as text", "not a text", error);
        }
    }
    const char *near = berth_nearest_name(name, names);
    g_autofree char *remedy =
        near != NULL ? g_strdup_printf("did you mean %s?", near) : g_strdup("url, token and ca");
    return refuse(context->path, name, NULL, remedy, "a field that is not known", error);
}

Context *context_parse(const char *path, const char *text, size_t length, GError **error)
{
    g_autoptr(Context) context = g_new0(Context, 1);
    context->path = g_strdup(path);
    g_autoptr(GPtrArray) documents = yaml_parse(text, length, NULL, error);
    if (documents == NULL) {
        g_prefix_error(error, "context %s: ", path);
        return NULL;
    }
    const YamlDocument *document = documents->len == 1 ? documents->pdata[0] : NULL;
    if (document == NULL || !json_is_object(document->root)) {
        refuse(path, NULL, NULL, HOW_TO_GET_ONE, "not one mapping with url, token and ca", error);
        return NULL;
    }
    const char *name;
    json_t *value;
    json_object_foreach (document->root, name, value) {
        if (!take_field(context, name, value, error)) {
            return NULL;
        }
    }
    if (context->url == NULL) {
        refuse(path, "url", NULL, "such as https://10.0.0.1:7443", "no URL of a manager", error);
        return NULL;
    }
    return check_url(context, error) ? g_steal_pointer(&context) : NULL;
}

static Context *load(const char *path, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *text = NULL;
    gsize length;
    if (g_file_get_contents(path, &text, &length, &problem)) {
        return context_parse(path, text, length, error);
    }
    bool missing = g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    bool forbidden = g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_ACCES);
    berth_error_set(error,
                    missing     ? BERTH_ERROR_NOT_FOUND
                    : forbidden ? BERTH_ERROR_FORBIDDEN
                                : BERTH_ERROR_INVALID,
                    "context", path,
                    forbidden ? "run berth as the file's owner (sudo), or make a copy of your own"
                              : HOW_TO_GET_ONE,
                    "cannot read the context: %s", problem->message);
    return NULL;
}

Context *context_load(const char *given, GError **error)
{
    const char *path = given != NULL ? given : g_getenv("BERTH_CONTEXT");
    if (path != NULL && path[0] != '\0') {
        return load(path, error);
    }
    g_autofree char *own = g_build_filename(g_get_user_config_dir(), "berth", "context.yaml", NULL);
    const char *const places[] = {own, RUN_TIME_PATH};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (g_file_test(places[i], G_FILE_TEST_EXISTS)) {
            return load(places[i], error);
        }
    }
    berth_error_set(
        error, BERTH_ERROR_NOT_FOUND, "context", NULL, HOW_TO_GET_ONE,
        "no context says where the manager is: neither %s nor " RUN_TIME_PATH " is there", own);
    return NULL;
}
