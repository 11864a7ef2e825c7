#include "rpc/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "rpc/ca.h"
#include "rpc/tls_private.h"

#define RECORD_BYTES (16 << 10) /* of TLS */

struct RpcStream {
    int fd;
    bool server;
    bool ready;       /* the handshake is done */
    bool wants_write; /* the socket took less than we had */
    bool resend;      /* GnuTLS holds a record that the socket did not take */
    bool ended;       /* the peer has closed its side */
    RpcTls *tls;
    RpcTicket *ticket;        /* NULL: a server, or no interest */
    bool kept;                /* this session's ticket */
    gnutls_session_t session; /* made when the peer's first byte comes, or to dial */
    char *server_name;
    unsigned refused_status; /* GNUTLS_CERT_… of a certificate that we refuse, */
    char *refused_name;      /* and whose it is */
    char *raw;               /* what rpc_stream_fill() has read and nobody has used */
    size_t raw_size;
};

RpcStream *rpc_stream_new(int fd, RpcTls *tls, bool server, const char *server_name,
                          RpcTicket *ticket)
{
    RpcStream *stream = g_new0(RpcStream, 1);
    stream->fd = fd;
    stream->server = server;
    stream->ready = tls == NULL;
    stream->tls = tls != NULL ? rpc_tls_ref(tls) : NULL;
    stream->ticket = ticket != NULL && !server ? rpc_ticket_ref(ticket) : NULL;
    stream->server_name = g_strdup(server_name);
    return stream;
}

void rpc_stream_free(RpcStream *stream)
{
    if (stream != NULL) {
        g_clear_pointer(&stream->session, gnutls_deinit);
        rpc_tls_unref(stream->tls);
        rpc_ticket_unref(stream->ticket);
        g_free(stream->server_name);
        g_free(stream->refused_name);
        g_free(stream);
    }
}

static RpcStreamResult io_failed(const char *what, int problem, GError **error)
{
    berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "%s: %s", what,
                    g_strerror(problem));
    return RPC_STREAM_FAILED;
}

RpcStreamResult rpc_stream_fill(RpcStream *stream, char *buffer, size_t size, GError **error)
{
    ssize_t n;
    do {
        n = recv(stream->fd, buffer, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    stream->raw = buffer;
    stream->raw_size = n > 0 ? (size_t)n : 0;
    if (n > 0) {
        return RPC_STREAM_OK;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return RPC_STREAM_AGAIN;
    }
    if (n < 0) {
        return io_failed("the connection broke", errno, error);
    }
    stream->ended = true;
    return RPC_STREAM_END;
}

/* Takes from what rpc_stream_fill() has read. */
static ssize_t take_raw(RpcStream *stream, void *data, size_t size)
{
    size_t n = MIN(size, stream->raw_size);
    if (n > 0) {
        memcpy(data, stream->raw, n);
        stream->raw += n;
        stream->raw_size -= n;
        return (ssize_t)n;
    }
    if (stream->ended) {
        return 0;
    }
    errno = EAGAIN;
    return -1;
}

static ssize_t pull(gnutls_transport_ptr_t transport, void *data, size_t size)
{
    RpcStream *stream = transport;
    ssize_t n = take_raw(stream, data, size);
    if (n < 0) {
        gnutls_transport_set_errno(stream->session, EAGAIN);
    }
    return n;
}

static ssize_t push(gnutls_transport_ptr_t transport, const giovec_t *vector, int count)
{
    RpcStream *stream = transport;
    struct msghdr message = {.msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count};
    ssize_t n;
    do {
        n = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        gnutls_transport_set_errno(stream->session, errno);
    }
    return n;
}

/* Called from inside the handshake, when the peer has shown its certificate, and after one that was
 * resumed, for the certificate that was shown at first: it may have expired since. */
static int verify(gnutls_session_t session)
{
    RpcStream *stream = gnutls_session_get_ptr(session);
    const char *purpose = stream->server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    gnutls_typed_vdata_st wanted[] = {
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose},
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)stream->server_name},
    };
    unsigned status = 0;
    int rc = gnutls_certificate_verify_peers(session, wanted, stream->server_name != NULL ? 2 : 1,
                                             &status);
    if (rc < 0) {
        return rc;
    }
    if (status != 0) {
        stream->refused_status = status;
        stream->refused_name = rpc_stream_peer_name(stream);
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    }
    return 0;
}

static bool make_session(RpcStream *stream, GError **error)
{
    stream->session = rpc_tls_session(stream->tls, stream->server, error);
    if (stream->session == NULL) {
        return false;
    }
    gnutls_session_set_ptr(stream->session, stream);
    gnutls_transport_set_ptr(stream->session, stream);
    gnutls_transport_set_pull_function(stream->session, pull);
    gnutls_transport_set_vec_push_function(stream->session, push);
    gnutls_session_set_verify_function(stream->session, verify);
    if (stream->ticket != NULL && stream->ticket->data.data != NULL) {
        /* One that is of no more use costs nothing: the handshake is then a full one. */
        gnutls_session_set_data(stream->session, stream->ticket->data.data,
                                stream->ticket->data.size);
    }
    return true;
}

/* The reason goes to the peer as an alert, so that its log can tell it too. */
static gnutls_alert_description_t alert_for(unsigned status)
{
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
        return GNUTLS_A_UNKNOWN_CA;
    }
    if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) {
        return GNUTLS_A_CERTIFICATE_EXPIRED;
    }
    return GNUTLS_A_BAD_CERTIFICATE;
}

static void refuse_certificate(RpcStream *stream, GError **error)
{
    unsigned status = stream->refused_status;
    gnutls_alert_send(stream->session, GNUTLS_AL_FATAL, alert_for(status));
    gnutls_datum_t text = {NULL, 0};
    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
    const char *remedy = "the peer needs a certificate of this cluster's CA";
    if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) {
        remedy = "compare the clocks of both machines, or issue a new certificate";
    } else if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
        remedy = "the server's certificate must name what the client dials";
    } else if (status & GNUTLS_CERT_PURPOSE_MISMATCH) {
        remedy = "servers need a server's certificate, clients a client's";
    }
    g_autofree char *problem = g_strndup((char *)text.data, text.size);
    berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, NULL, stream->refused_name, remedy,
                    "the peer's certificate is refused: %s", g_strstrip(problem));
    gnutls_free(text.data);
}

static const char *remedy_for_alert(gnutls_alert_description_t alert)
{
    switch ((int)alert) {
    case GNUTLS_A_UNKNOWN_CA:
        return "our certificate is of another CA than the peer's: join the cluster again";
    case GNUTLS_A_CERTIFICATE_EXPIRED:
        return "our certificate has expired, or a clock is wrong";
    case GNUTLS_A_CERTIFICATE_REQUIRED:
        return "the peer wants a certificate of us";
    case GNUTLS_A_BAD_CERTIFICATE:
        return "the peer does not accept our certificate: its log says why";
    default:
        return NULL;
    }
}

static RpcStreamResult tls_failed(RpcStream *stream, int rc, const char *what, GError **error)
{
    if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        refuse_certificate(stream, error);
    } else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        gnutls_alert_description_t alert = gnutls_alert_get(stream->session);
        berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, NULL, NULL, remedy_for_alert(alert),
                        "the peer refuses us: %s", gnutls_alert_get_name(alert));
    } else if (rc == GNUTLS_E_PUSH_ERROR || rc == GNUTLS_E_PULL_ERROR ||
               rc == GNUTLS_E_PREMATURE_TERMINATION) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                        "%s: the peer has closed the connection", what);
    } else if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND || rc == GNUTLS_E_CERTIFICATE_REQUIRED) {
        gnutls_alert_send(stream->session, GNUTLS_AL_FATAL, GNUTLS_A_CERTIFICATE_REQUIRED);
        berth_error_set(error, BERTH_ERROR_UNAUTHENTICATED, NULL, NULL,
                        "the peer needs a certificate of this cluster's CA",
                        "the peer shows no certificate");
    } else {
        gnutls_alert_send_appropriate(stream->session, rc);
        berth_error_set(error, BERTH_ERROR_INVALID, NULL, NULL,
                        "both sides speak TLS 1.3 here and nothing else", "%s: %s", what,
                        gnutls_strerror(rc));
    }
    return RPC_STREAM_FAILED;
}

RpcStreamResult rpc_stream_handshake(RpcStream *stream, GError **error)
{
    if (stream->ready) {
        return RPC_STREAM_OK;
    }
    if (stream->session == NULL && !make_session(stream, error)) {
        return RPC_STREAM_FAILED;
    }
    int rc;
    do {
        rc = gnutls_handshake(stream->session);
    } while (rc < 0 && rc != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(rc));
    stream->wants_write = rc == GNUTLS_E_AGAIN && gnutls_record_get_direction(stream->session) == 1;
    if (rc == GNUTLS_E_AGAIN) {
        return RPC_STREAM_AGAIN;
    }
    if (rc >= 0 && rpc_stream_is_resumed(stream)) {
        rc = verify(stream->session);
    }
    if (rc < 0) {
        return tls_failed(stream, rc, "the TLS handshake failed", error);
    }
    stream->ready = true;
    return RPC_STREAM_OK;
}

bool rpc_stream_is_resumed(const RpcStream *stream)
{
    return stream->session != NULL && gnutls_session_is_resumed(stream->session) != 0;
}

/* Tickets come some time after the handshake, between other records. */
static void keep_ticket(RpcStream *stream)
{
    if (stream->ticket != NULL && !stream->kept &&
        (gnutls_session_get_flags(stream->session) & GNUTLS_SFLAGS_SESSION_TICKET) != 0) {
        rpc_ticket_keep(stream->ticket, stream->session);
        stream->kept = true;
    }
}

/* GnuTLS answers AGAIN after a ticket too, however much else has come. */
static ssize_t receive_record(RpcStream *stream, char *data, size_t size)
{
    for (;;) {
        size_t before = stream->raw_size;
        ssize_t n = gnutls_record_recv(stream->session, data, size);
        keep_ticket(stream);
        bool more = stream->raw_size > 0 && stream->raw_size < before;
        if (n == GNUTLS_E_AGAIN ? !more : n >= 0 || gnutls_error_is_fatal((int)n)) {
            return n;
        }
    }
}

RpcStreamResult rpc_stream_read(RpcStream *stream, char *data, size_t size, size_t *ret_size,
                                GError **error)
{
    ssize_t n;
    if (stream->session == NULL) {
        n = take_raw(stream, data, size);
        if (n < 0) {
            return RPC_STREAM_AGAIN;
        }
    } else {
        n = receive_record(stream, data, size);
        if (n == GNUTLS_E_AGAIN) {
            return RPC_STREAM_AGAIN;
        }
        if (n == GNUTLS_E_PREMATURE_TERMINATION) {
            n = 0;
        }
        if (n < 0) {
            return tls_failed(stream, (int)n, "the connection broke", error);
        }
    }
    if (n == 0) {
        return RPC_STREAM_END;
    }
    *ret_size = (size_t)n;
    return RPC_STREAM_OK;
}

static RpcStreamResult write_plain(RpcStream *stream, const void *data, size_t size,
                                   size_t *ret_size, GError **error)
{
    ssize_t n;
    do {
        n = send(stream->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    stream->wants_write = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (stream->wants_write) {
        return RPC_STREAM_AGAIN;
    }
    if (n < 0) {
        return io_failed("the connection broke", errno, error);
    }
    *ret_size = (size_t)n;
    return RPC_STREAM_OK;
}

RpcStreamResult rpc_stream_write(RpcStream *stream, const void *data, size_t size, size_t *ret_size,
                                 GError **error)
{
    if (stream->session == NULL) {
        return write_plain(stream, data, size, ret_size, error);
    }
    ssize_t n;
    do {
        n = stream->resend ? gnutls_record_send(stream->session, NULL, 0)
                           : gnutls_record_send(stream->session, data, MIN(size, RECORD_BYTES));
        stream->resend = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
    } while (n < 0 && n != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)n));
    stream->wants_write = n == GNUTLS_E_AGAIN;
    if (n == GNUTLS_E_AGAIN) {
        return RPC_STREAM_AGAIN;
    }
    if (n < 0) {
        return tls_failed(stream, (int)n, "the connection broke", error);
    }
    *ret_size = (size_t)n;
    return RPC_STREAM_OK;
}

bool rpc_stream_wants_write(const RpcStream *stream)
{
    return stream->wants_write;
}

void rpc_stream_shut(RpcStream *stream)
{
    if (stream->session != NULL && stream->ready) {
        gnutls_bye(stream->session, GNUTLS_SHUT_WR);
    }
    shutdown(stream->fd, SHUT_WR);
}

static const gnutls_datum_t *peer_certificate(const RpcStream *stream)
{
    unsigned count = 0;
    return stream->session != NULL ? gnutls_certificate_get_peers(stream->session, &count) : NULL;
}

char *rpc_stream_peer_name(const RpcStream *stream)
{
    const gnutls_datum_t *der = peer_certificate(stream);
    return der != NULL ? rpc_certificate_name(der) : NULL;
}

char *rpc_stream_peer_fingerprint(const RpcStream *stream)
{
    const gnutls_datum_t *der = peer_certificate(stream);
    return der != NULL ? rpc_certificate_fingerprint(der) : NULL;
}
