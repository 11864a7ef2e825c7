#include "manager/link.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define RECORD_BYTES (16 << 10)
#define RAW_BYTES 4096
#define HEADERS_TOO_LARGE 431

struct ClientTls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

struct Link {
    grefcount references;
    int fd;
    gnutls_session_t session;
    ClientRefuse refuse;
    ClientPhase phase;
    bool closed;
    bool ended;         /* the zero byte is given */
    bool resend;        /* GnuTLS holds a record that the socket did not take */
    int64_t turn_ms;    /* since when it is the client's turn */
    int64_t blocked_ms; /* since when it takes nothing; 0: it does */
    char *refusal;      /* goes out instead of what the HTTP server says */
    gsize refusal_sent;
    guint raw_at, raw_end;
    char raw[RAW_BYTES]; /* from the socket, not through TLS yet */
};

static int64_t now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

ClientTls *client_tls_new(const char *chain_pem, const char *key_pem, GError **error)
{
    g_autoptr(ClientTls) tls = g_new0(ClientTls, 1);
    gnutls_datum_t chain = {(unsigned char *)chain_pem, (unsigned)strlen(chain_pem)};
    gnutls_datum_t key = {(unsigned char *)key_pem, (unsigned)strlen(key_pem)};
    int rc = gnutls_certificate_allocate_credentials(&tls->credentials);
    if (rc >= 0) {
        rc = gnutls_certificate_set_x509_key_mem2(tls->credentials, &chain, &key,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    }
    if (rc >= 0) {
        rc = gnutls_priority_init(&tls->priority, PRIORITY, NULL);
    }
    if (rc < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                        "cannot set up TLS for clients: %s", gnutls_strerror(rc));
        return NULL;
    }
    return g_steal_pointer(&tls);
}

void client_tls_free(ClientTls *tls)
{
    if (tls != NULL) {
        if (tls->credentials != NULL) {
            gnutls_certificate_free_credentials(tls->credentials);
        }
        if (tls->priority != NULL) {
            gnutls_priority_deinit(tls->priority);
        }
        g_free(tls);
    }
}

/* GnuTLS asks for a record's five bytes, then for the rest: one system call brings both. */
static ssize_t pull(gnutls_transport_ptr_t transport, void *data, size_t size)
{
    Link *link = transport;
    if (link->raw_at == link->raw_end) {
        bool direct = size >= RAW_BYTES;
        ssize_t n = TEMP_FAILURE_RETRY(
            recv(link->fd, direct ? data : link->raw, direct ? size : RAW_BYTES, MSG_DONTWAIT));
        if (n < 0) {
            gnutls_transport_set_errno(link->session, errno);
        }
        if (n <= 0 || direct) {
            return n;
        }
        link->raw_at = 0;
        link->raw_end = (guint)n;
    }
    size_t n = MIN(size, link->raw_end - link->raw_at);
    memcpy(data, link->raw + link->raw_at, n);
    link->raw_at += (guint)n;
    return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t transport, const giovec_t *vector, int count)
{
    Link *link = transport;
    struct msghdr message = {.msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count};
    ssize_t n = TEMP_FAILURE_RETRY(sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
    if (n < 0) {
        gnutls_transport_set_errno(link->session, errno);
    }
    return n;
}

Link *link_new(int fd, ClientTls *tls, ClientRefuse refuse)
{
    Link *link = g_new0(Link, 1);
    g_ref_count_init(&link->references);
    link->fd = fd;
    link->refuse = refuse;
    link->turn_ms = now_ms();
    unsigned flags = GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
    if (gnutls_init(&link->session, flags) < 0 ||
        gnutls_priority_set(link->session, tls->priority) < 0 ||
        gnutls_credentials_set(link->session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0) {
        link_unref(link);
        return NULL;
    }
    gnutls_transport_set_ptr(link->session, link);
    gnutls_transport_set_pull_function(link->session, pull);
    gnutls_transport_set_vec_push_function(link->session, push);
    gnutls_handshake_set_timeout(link->session, 0); /* the door has its own */
    return link;
}

Link *link_ref(Link *link)
{
    g_ref_count_inc(&link->references);
    return link;
}

void link_unref(Link *link)
{
    if (g_ref_count_dec(&link->references)) {
        g_clear_pointer(&link->session, gnutls_deinit);
        close(link->fd);
        g_free(link->refusal);
        g_free(link);
    }
}

ClientHandshake link_handshake(Link *link)
{
    int rc;
    do {
        rc = gnutls_handshake(link->session);
    } while (rc < 0 && rc != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(rc));
    if (rc == GNUTLS_E_AGAIN) {
        return gnutls_record_get_direction(link->session) == 1 ? CLIENT_WANTS_WRITE
                                                               : CLIENT_WANTS_READ;
    }
    if (rc < 0) {
        gnutls_alert_send_appropriate(link->session, rc);
        return CLIENT_FAILED;
    }
    link_set_phase(link, CLIENT_IDLE);
    return CLIENT_SECURE;
}

static gssize receive(Link *link, void *buffer, gsize size)
{
    ssize_t n;
    do {
        n = gnutls_record_recv(link->session, buffer, size);
    } while (n < 0 && n != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)n));
    return n;
}

static gssize would_block(GError **error)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "not now");
    return -1;
}

static gssize is_closed(GError **error)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "the connection is closed");
    return -1;
}

gssize link_read(Link *link, void *buffer, gsize size, GError **error)
{
    if (link->closed) {
        return is_closed(error);
    }
    if (link->ended || size == 0) {
        return 0;
    }
    gssize n = receive(link, buffer, size);
    if (n == GNUTLS_E_AGAIN) {
        return would_block(error);
    }
    if (n <= 0) {
        link->ended = true;
        if (link->phase == CLIENT_TAKEN_OVER) {
            return 0;
        }
        *(char *)buffer = '\0';
        return 1;
    }
    if (link->phase == CLIENT_IDLE) {
        link_set_phase(link, CLIENT_HEADERS);
    } else if (link->phase == CLIENT_BODY) {
        link->turn_ms = now_ms();
    }
    return n;
}

/* What was sent; 0: not now; -1. */
static gssize send_record(Link *link, const void *data, gsize size)
{
    ssize_t n;
    do {
        n = link->resend ? gnutls_record_send(link->session, NULL, 0)
                         : gnutls_record_send(link->session, data, MIN(size, RECORD_BYTES));
        link->resend = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
    } while (n < 0 && n != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)n));
    if (n != GNUTLS_E_AGAIN) {
        link->blocked_ms = 0;
        return n < 0 ? -1 : n;
    }
    if (link->blocked_ms == 0) {
        link->blocked_ms = now_ms();
    }
    return 0;
}

gssize link_send(Link *link, const void *data, gsize size)
{
    gsize sent = 0;
    while (sent < size && !link->closed) {
        gssize n = send_record(link, (const char *)data + sent, size - sent);
        if (n <= 0) {
            return n < 0 ? -1 : (gssize)sent;
        }
        sent += (gsize)n;
    }
    return link->closed ? -1 : (gssize)sent;
}

/* The HTTP server speaks before a request was whole enough to be anybody's: it refuses it. */
static gssize write_refusal(Link *link, const char *data, gsize size, GError **error)
{
    int status = 400;
    if (link->ended) {
        return (gssize)size; /* that was the zero byte, and nobody listens any more */
    }
    if (link->refusal == NULL) {
        g_autofree char *head = g_strndup(data, MIN(size, 64));
        if (sscanf(head, "HTTP/1.%*1c %3d", &status) != 1) {
            status = 400;
        }
        link->refusal = link->refuse(status);
    }
    gsize left = strlen(link->refusal) - link->refusal_sent;
    gssize n = left > 0 ? link_send(link, link->refusal + link->refusal_sent, left) : 0;
    if (n < 0) {
        return is_closed(error);
    }
    link->refusal_sent += (gsize)n;
    return (gsize)n < left ? would_block(error) : (gssize)size;
}

gssize link_write(Link *link, const void *data, gsize size, GError **error)
{
    if (link->closed) {
        return is_closed(error);
    }
    if (link->phase == CLIENT_IDLE || link->phase == CLIENT_HEADERS) {
        return write_refusal(link, data, size, error);
    }
    gssize n = size > 0 ? send_record(link, data, size) : 0;
    if (n < 0) {
        return is_closed(error);
    }
    return n == 0 && size > 0 ? would_block(error) : n;
}

bool link_discard(Link *link)
{
    char buffer[1024];
    gssize n;
    do {
        n = receive(link, buffer, sizeof buffer);
    } while (n > 0);
    return n == GNUTLS_E_AGAIN;
}

bool link_has_pending(const Link *link)
{
    return link->ended || link->closed || link->raw_at < link->raw_end ||
           gnutls_record_check_pending(link->session) > 0;
}

bool link_close(Link *link)
{
    if (link->closed) {
        return false;
    }
    if (link->phase == CLIENT_HEADERS && !link->ended && link->refusal == NULL) {
        /* The HTTP server reads no further, and says nothing. */
        link->refusal = link->refuse(HEADERS_TOO_LARGE);
        link_send(link, link->refusal, strlen(link->refusal));
    }
    gnutls_bye(link->session, GNUTLS_SHUT_WR);
    if (link->refusal != NULL && link->phase != CLIENT_TAKEN_OVER) {
        shutdown(link->fd, SHUT_WR);
        link_set_phase(link, CLIENT_TAKEN_OVER);
        return true;
    }
    link->closed = true;
    shutdown(link->fd, SHUT_RDWR);
    return false;
}

int link_fd(const Link *link)
{
    return link->fd;
}

ClientPhase link_phase(const Link *link)
{
    return link->phase;
}

void link_set_phase(Link *link, ClientPhase phase)
{
    if (link->phase != CLIENT_TAKEN_OVER) {
        link->phase = phase;
        link->turn_ms = now_ms();
    }
}

int64_t link_waiting_ms(const Link *link, int64_t now)
{
    if (link->phase == CLIENT_TAKEN_OVER) {
        return 0;
    }
    if (link->blocked_ms > 0) {
        return now - link->blocked_ms;
    }
    return link->phase == CLIENT_ANSWER ? 0 : now - link->turn_ms;
}
