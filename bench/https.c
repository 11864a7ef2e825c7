#include "https.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

struct Https {
    GIOStream *stream;
    GInputStream *in;
    GOutputStream *out;
    char buffer[65536];
};

Https *https_open(GTlsDatabase *trust, int port, GError **error)
{
    g_autoptr(GSocketConnectable) to = g_network_address_new("127.0.0.1", (guint16)port);
    g_autoptr(GSocketClient) dialler = g_socket_client_new();
    g_autoptr(GSocketConnection) plain = g_socket_client_connect(dialler, to, NULL, error);
    if (plain == NULL) {
        return NULL;
    }
    /* As every HTTP library does: else a request after the handshake waits for the server's ACK. */
    g_socket_set_option(g_socket_connection_get_socket(plain), IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    /* The trust comes with the connection: set later, GnuTLS's is not asked in the handshake. */
    g_autoptr(GIOStream) tls = g_initable_new(
        g_tls_backend_get_client_connection_type(g_tls_backend_get_default()), NULL, error,
        "base-io-stream", plain, "server-identity", to, "database", trust, NULL);
    if (tls == NULL || !g_tls_connection_handshake(G_TLS_CONNECTION(tls), NULL, error)) {
        return NULL;
    }
    Https *client = g_new0(Https, 1);
    client->in = g_io_stream_get_input_stream(tls);
    client->out = g_io_stream_get_output_stream(tls);
    client->stream = g_steal_pointer(&tls);
    return client;
}

void https_free(Https *client)
{
    if (client != NULL) {
        g_io_stream_close(client->stream, NULL, NULL);
        g_object_unref(client->stream);
        g_free(client);
    }
}

static bool read_more(Https *client, gsize *have)
{
    gssize n = g_input_stream_read(client->in, client->buffer + *have,
                                   sizeof client->buffer - 1 - *have, NULL, NULL);
    *have += n > 0 ? (gsize)n : 0;
    client->buffer[*have] = '\0';
    return n > 0;
}

int https_ask(Https *client, const char *request, char **ret_body)
{
    gsize have = 0;
    const char *end = NULL;
    if (!g_output_stream_write_all(client->out, request, strlen(request), NULL, NULL, NULL)) {
        return 0;
    }
    while (end == NULL) {
        if (!read_more(client, &have)) {
            return 0;
        }
        end = strstr(client->buffer, "\r\n\r\n");
    }
    const char *length = strcasestr(client->buffer, "content-length:");
    gsize body = length != NULL ? (gsize)g_ascii_strtoull(length + 15, NULL, 10) : 0;
    gsize whole = (gsize)(end + 4 - client->buffer) + body;
    while (have < whole && have < sizeof client->buffer - 1) {
        if (!read_more(client, &have)) {
            return 0;
        }
    }
    if (ret_body != NULL) {
        *ret_body = g_strndup(end + 4, body);
    }
    return atoi(client->buffer + 9);
}

char *https_request(const char *token, const char *method, const char *path, const char *body)
{
    return g_strdup_printf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                           "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                           method, path, token, body != NULL ? strlen(body) : 0,
                           body != NULL ? body : "");
}
