#include "rpc/ca.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "base/error.h"

#define SKEW_SECONDS 3600
#define DAY_SECONDS (24 * 3600)
#define FINGERPRINT_BYTES 32
#define SERIAL_BYTES 16
#define ID_MAX_BYTES 64 /* X.520's bound on a common name */

struct RpcCa {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
};

typedef struct {
    gnutls_x509_crt_t certificate;
    gnutls_x509_privkey_t key;
} Draft;

static void draft_clear(Draft *draft)
{
    g_clear_pointer(&draft->certificate, gnutls_x509_crt_deinit);
    g_clear_pointer(&draft->key, gnutls_x509_privkey_deinit);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Draft, draft_clear)

static bool done(int rc, const char *what, GError **error)
{
    return rc >= 0 || berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                                      "cannot %s: %s", what, gnutls_strerror(rc));
}

static gnutls_datum_t datum(const char *text)
{
    return (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned)strlen(text)};
}

/* GnuTLS's memory as a string of GLib's; wipes what it takes. */
static char *take_text(gnutls_datum_t *text)
{
    char *copy = g_strndup((char *)text->data, text->size);
    gnutls_memset(text->data, 0, text->size);
    gnutls_free(text->data);
    text->data = NULL;
    return copy;
}

void rpc_identity_free(RpcIdentity *identity)
{
    if (identity != NULL) {
        g_free(identity->certificate);
        if (identity->key != NULL) {
            gnutls_memset(identity->key, 0, strlen(identity->key));
        }
        g_free(identity->key);
        g_free(identity);
    }
}

bool rpc_identity_save(const RpcIdentity *identity, const char *certificate_path,
                       const char *key_path, GError **error)
{
    GFileSetContentsFlags flags = G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE;
    return g_file_set_contents_full(key_path, identity->key, -1, flags, 0600, error) &&
           g_file_set_contents_full(certificate_path, identity->certificate, -1, flags, 0644,
                                    error);
}

RpcIdentity *rpc_identity_load(const char *certificate_path, const char *key_path, GError **error)
{
    g_autoptr(RpcIdentity) identity = g_new0(RpcIdentity, 1);
    if (!g_file_get_contents(certificate_path, &identity->certificate, NULL, error) ||
        !g_file_get_contents(key_path, &identity->key, NULL, error)) {
        return NULL;
    }
    return g_steal_pointer(&identity);
}

static bool make_key(gnutls_x509_privkey_t *key, GError **error)
{
    return done(gnutls_x509_privkey_init(key), "make a key", error) &&
           done(gnutls_x509_privkey_generate(*key, GNUTLS_PK_ECDSA,
                                             GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                "make a key", error);
}

static bool set_key_id(gnutls_x509_crt_t certificate, GError **error)
{
    unsigned char id[FINGERPRINT_BYTES];
    size_t size = sizeof id;
    return done(gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA1, id, &size),
                "name a key", error) &&
           done(gnutls_x509_crt_set_subject_key_id(certificate, id, size), "name a key", error);
}

/* Everything that certificates of all kinds have. */
static bool fill(gnutls_x509_crt_t certificate, const char *name, int64_t now, int days,
                 GError **error)
{
    unsigned char serial[SERIAL_BYTES];
    if (!done(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial), "draw a serial number", error)) {
        return false;
    }
    serial[0] = (serial[0] & 0x7f) | 0x01; /* positive, and as long as it looks */
    const char *what = "make a certificate";
    return done(gnutls_x509_crt_set_version(certificate, 3), what, error) &&
           done(gnutls_x509_crt_set_serial(certificate, serial, sizeof serial), what, error) &&
           done(gnutls_x509_crt_set_activation_time(certificate, now - SKEW_SECONDS), what,
                error) &&
           done(gnutls_x509_crt_set_expiration_time(certificate, now + (int64_t)days * DAY_SECONDS),
                what, error) &&
           done(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                              (unsigned)strlen(name)),
                what, error) &&
           set_key_id(certificate, error);
}

static bool check_id(const char *id, GError **error)
{
    if (id == NULL || *id == '\0' || strlen(id) > ID_MAX_BYTES || !g_utf8_validate(id, -1, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "id", id, "give 1 to 64 bytes of UTF-8",
                               "a certificate cannot be issued for this id");
    }
    return true;
}

static RpcIdentity *export_draft(const Draft *draft, GError **error)
{
    gnutls_datum_t certificate = {NULL, 0}, key = {NULL, 0};
    if (!done(gnutls_x509_crt_export2(draft->certificate, GNUTLS_X509_FMT_PEM, &certificate),
              "write a certificate", error)) {
        return NULL;
    }
    RpcIdentity *identity = g_new0(RpcIdentity, 1);
    identity->certificate = take_text(&certificate);
    if (!done(gnutls_x509_privkey_export2(draft->key, GNUTLS_X509_FMT_PEM, &key), "write a key",
              error)) {
        rpc_identity_free(identity);
        return NULL;
    }
    identity->key = take_text(&key);
    return identity;
}

static bool start_draft(Draft *draft, GError **error)
{
    return make_key(&draft->key, error) &&
           done(gnutls_x509_crt_init(&draft->certificate), "make a certificate", error) &&
           done(gnutls_x509_crt_set_key(draft->certificate, draft->key), "make a certificate",
                error);
}

RpcIdentity *rpc_ca_make(const char *name, int64_t now, GError **error)
{
    g_auto(Draft) draft = {NULL, NULL};
    if (!check_id(name, error) || !start_draft(&draft, error) ||
        !fill(draft.certificate, name, now, RPC_CA_DAYS, error) ||
        !done(gnutls_x509_crt_set_basic_constraints(draft.certificate, 1, 0), "make a CA", error) ||
        !done(gnutls_x509_crt_set_key_usage(draft.certificate,
                                            GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN),
              "make a CA", error) ||
        !done(gnutls_x509_crt_sign2(draft.certificate, draft.certificate, draft.key,
                                    GNUTLS_DIG_SHA256, 0),
              "sign the CA", error)) {
        return NULL;
    }
    return export_draft(&draft, error);
}

static bool bad_pem(const char *field, int rc, GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INVALID, field, NULL, "give it in PEM",
                           "cannot be read: %s", gnutls_strerror(rc));
}

static gnutls_x509_crt_t import_certificate(const char *pem, GError **error)
{
    gnutls_datum_t text = datum(pem);
    gnutls_x509_crt_t certificate = NULL;
    if (!done(gnutls_x509_crt_init(&certificate), "read a certificate", error)) {
        return NULL;
    }
    int rc = gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
    if (rc < 0) {
        bad_pem("certificate", rc, error);
        gnutls_x509_crt_deinit(certificate);
        return NULL;
    }
    return certificate;
}

static bool load_ca(RpcCa *ca, const RpcIdentity *identity, GError **error)
{
    ca->certificate = import_certificate(identity->certificate, error);
    if (ca->certificate == NULL || !done(gnutls_x509_privkey_init(&ca->key), "read a key", error)) {
        return false;
    }
    gnutls_datum_t text = datum(identity->key);
    int rc = gnutls_x509_privkey_import2(ca->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0) {
        return bad_pem("key", rc, error);
    }
    unsigned char of_key[FINGERPRINT_BYTES], of_certificate[FINGERPRINT_BYTES];
    size_t key_size = sizeof of_key, certificate_size = sizeof of_certificate;
    if (gnutls_x509_crt_get_ca_status(ca->certificate, NULL) <= 0 ||
        gnutls_x509_privkey_get_key_id(ca->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) < 0 ||
        gnutls_x509_crt_get_key_id(ca->certificate, GNUTLS_KEYID_USE_SHA256, of_certificate,
                                   &certificate_size) < 0 ||
        key_size != certificate_size || memcmp(of_key, of_certificate, key_size) != 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "certificate", NULL,
                               "give the certificate of a CA with its own key",
                               "this is not a CA's certificate with its key");
    }
    return true;
}

RpcCa *rpc_ca_new(const RpcIdentity *identity, GError **error)
{
    g_autoptr(RpcCa) ca = g_new0(RpcCa, 1);
    return load_ca(ca, identity, error) ? g_steal_pointer(&ca) : NULL;
}

void rpc_ca_free(RpcCa *ca)
{
    if (ca != NULL) {
        g_clear_pointer(&ca->certificate, gnutls_x509_crt_deinit);
        g_clear_pointer(&ca->key, gnutls_x509_privkey_deinit);
        g_free(ca);
    }
}

/* Purpose and signature; the last step of every certificate but the CA's own. */
static bool sign(RpcCa *ca, gnutls_x509_crt_t certificate, const char *purpose, GError **error)
{
    unsigned char id[FINGERPRINT_BYTES];
    size_t size = sizeof id;
    const char *what = "sign a certificate";
    return done(gnutls_x509_crt_set_basic_constraints(certificate, 0, -1), what, error) &&
           done(gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE), what,
                error) &&
           done(gnutls_x509_crt_set_key_purpose_oid(certificate, purpose, 0), what, error) &&
           done(gnutls_x509_crt_get_subject_key_id(ca->certificate, id, &size, NULL), what,
                error) &&
           done(gnutls_x509_crt_set_authority_key_id(certificate, id, size), what, error) &&
           done(gnutls_x509_crt_sign2(certificate, ca->certificate, ca->key, GNUTLS_DIG_SHA256, 0),
                what, error);
}

static bool add_name(gnutls_x509_crt_t certificate, const char *name, GError **error)
{
    struct in6_addr address;
    unsigned size = 0;
    if (inet_pton(AF_INET, name, &address) == 1) {
        size = 4;
    } else if (inet_pton(AF_INET6, name, &address) == 1) {
        size = 16;
    }
    int rc = size > 0
                 ? gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, &address,
                                                        size, GNUTLS_FSAN_APPEND)
                 : gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name,
                                                        (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
    return rc >= 0 ||
           berth_error_set(error, BERTH_ERROR_INVALID, "names", name,
                           "give DNS names and IP addresses",
                           "a certificate cannot have this name: %s", gnutls_strerror(rc));
}

RpcIdentity *rpc_ca_issue_server(RpcCa *ca, const char *const *names, int64_t now, int days,
                                 GError **error)
{
    g_auto(Draft) draft = {NULL, NULL};
    if (!check_id(names[0], error) || !start_draft(&draft, error) ||
        !fill(draft.certificate, names[0], now, days, error)) {
        return NULL;
    }
    for (const char *const *name = names; *name != NULL; name++) {
        if (!add_name(draft.certificate, *name, error)) {
            return NULL;
        }
    }
    return sign(ca, draft.certificate, GNUTLS_KP_TLS_WWW_SERVER, error)
               ? export_draft(&draft, error)
               : NULL;
}

RpcIdentity *rpc_ca_issue_client(RpcCa *ca, const char *id, int64_t now, int days, GError **error)
{
    g_auto(Draft) draft = {NULL, NULL};
    if (!check_id(id, error) || !start_draft(&draft, error) ||
        !fill(draft.certificate, id, now, days, error) ||
        !sign(ca, draft.certificate, GNUTLS_KP_TLS_WWW_CLIENT, error)) {
        return NULL;
    }
    return export_draft(&draft, error);
}

G_DEFINE_AUTO_CLEANUP_FREE_FUNC(gnutls_x509_crq_t, gnutls_x509_crq_deinit, NULL)

RpcIdentity *rpc_request_new(const char *id, GError **error)
{
    g_auto(Draft) draft = {NULL, NULL};
    g_auto(gnutls_x509_crq_t) request = NULL;
    gnutls_datum_t text = {NULL, 0}, key = {NULL, 0};
    const char *what = "make a signing request";
    if (!check_id(id, error) || !make_key(&draft.key, error) ||
        !done(gnutls_x509_crq_init(&request), what, error) ||
        !done(gnutls_x509_crq_set_version(request, 1), what, error) ||
        !done(gnutls_x509_crq_set_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, 0, id,
                                            (unsigned)strlen(id)),
              what, error) ||
        !done(gnutls_x509_crq_set_key(request, draft.key), what, error) ||
        !done(gnutls_x509_crq_sign2(request, draft.key, GNUTLS_DIG_SHA256, 0), what, error) ||
        !done(gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM, &text), what, error)) {
        return NULL;
    }
    RpcIdentity *identity = g_new0(RpcIdentity, 1);
    identity->certificate = take_text(&text);
    if (!done(gnutls_x509_privkey_export2(draft.key, GNUTLS_X509_FMT_PEM, &key), what, error)) {
        rpc_identity_free(identity);
        return NULL;
    }
    identity->key = take_text(&key);
    return identity;
}

static bool read_request(gnutls_x509_crq_t request, const char *pem, GError **error)
{
    gnutls_datum_t text = datum(pem);
    int rc = gnutls_x509_crq_import(request, &text, GNUTLS_X509_FMT_PEM);
    if (rc < 0) {
        return bad_pem("request", rc, error);
    }
    rc = gnutls_x509_crq_verify(request, 0);
    if (rc < 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "request", NULL,
                               "make a new signing request", "its signature is not good: %s",
                               gnutls_strerror(rc));
    }
    return true;
}

char *rpc_ca_sign_client(RpcCa *ca, const char *request_pem, const char *id, int64_t now, int days,
                         GError **error)
{
    g_auto(gnutls_x509_crq_t) request = NULL;
    g_auto(Draft) draft = {NULL, NULL};
    gnutls_datum_t text = {NULL, 0};
    const char *what = "sign a request";
    if (!check_id(id, error) || !done(gnutls_x509_crq_init(&request), what, error) ||
        !read_request(request, request_pem, error) ||
        !done(gnutls_x509_crt_init(&draft.certificate), what, error)) {
        return NULL;
    }
    gnutls_pubkey_t key = NULL;
    bool keyed = done(gnutls_pubkey_init(&key), what, error) &&
                 done(gnutls_pubkey_import_x509_crq(key, request, 0), what, error) &&
                 done(gnutls_x509_crt_set_pubkey(draft.certificate, key), what, error);
    g_clear_pointer(&key, gnutls_pubkey_deinit);
    if (!keyed || !fill(draft.certificate, id, now, days, error) ||
        !sign(ca, draft.certificate, GNUTLS_KP_TLS_WWW_CLIENT, error) ||
        !done(gnutls_x509_crt_export2(draft.certificate, GNUTLS_X509_FMT_PEM, &text), what,
              error)) {
        return NULL;
    }
    return take_text(&text);
}

static char *name_of(gnutls_x509_crt_t certificate)
{
    char name[256];
    size_t size = sizeof name;
    int rc =
        gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size);
    return rc >= 0 ? g_utf8_make_valid(name, (gssize)size) : NULL;
}

RpcCertificateInfo *rpc_certificate_read(const char *pem, GError **error)
{
    gnutls_x509_crt_t certificate = import_certificate(pem, error);
    gnutls_datum_t der = {NULL, 0};
    if (certificate == NULL) {
        return NULL;
    }
    if (!done(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der), "read a certificate",
              error)) {
        gnutls_x509_crt_deinit(certificate);
        return NULL;
    }
    RpcCertificateInfo *info = g_new0(RpcCertificateInfo, 1);
    info->name = name_of(certificate);
    info->fingerprint = rpc_certificate_fingerprint(&der);
    info->valid_from = gnutls_x509_crt_get_activation_time(certificate);
    info->valid_until = gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_free(der.data);
    gnutls_x509_crt_deinit(certificate);
    return info;
}

void rpc_certificate_info_free(RpcCertificateInfo *info)
{
    if (info != NULL) {
        g_free(info->name);
        g_free(info->fingerprint);
        g_free(info);
    }
}

char *rpc_certificate_name(const gnutls_datum_t *der)
{
    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) < 0) {
        return NULL;
    }
    char *name = gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) >= 0
                     ? name_of(certificate)
                     : NULL;
    gnutls_x509_crt_deinit(certificate);
    return name;
}

char *rpc_certificate_fingerprint(const gnutls_datum_t *der)
{
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, der->data, der->size);
}
