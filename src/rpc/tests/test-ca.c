#include "rpc/ca.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

#define NOW 1800000000
#define DAY 86400

static RpcIdentity *identity_new(void)
{
    g_autoptr(GError) error = NULL;
    RpcIdentity *identity = rpc_ca_make("berth test", NOW, &error);
    g_assert_no_error(error);
    return identity;
}

static RpcCa *ca_of(const RpcIdentity *identity)
{
    g_autoptr(GError) error = NULL;
    RpcCa *ca = rpc_ca_new(identity, &error);
    g_assert_no_error(error);
    return ca;
}

static RpcCa *ca_new(void)
{
    g_autoptr(RpcIdentity) identity = identity_new();
    return ca_of(identity);
}

static gnutls_x509_crt_t import(const char *pem)
{
    gnutls_datum_t text = {.data = (unsigned char *)pem, .size = (unsigned)strlen(pem)};
    gnutls_x509_crt_t certificate;
    g_assert_cmpint(gnutls_x509_crt_init(&certificate), ==, 0);
    g_assert_cmpint(gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM), ==, 0);
    return certificate;
}

/* GnuTLS's own judgement of `pem`, as of its host's clock, for a purpose. */
static unsigned verify(const char *ca_pem, const char *pem, const char *purpose, const char *name)
{
    gnutls_x509_trust_list_t list;
    g_assert_cmpint(gnutls_x509_trust_list_init(&list, 0), ==, 0);
    gnutls_x509_crt_t ca = import(ca_pem), certificate = import(pem);
    g_assert_cmpint(gnutls_x509_trust_list_add_cas(list, &ca, 1, 0), ==, 1);
    gnutls_typed_vdata_st data[] = {
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose},
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name},
    };
    unsigned status = 0;
    int rc = gnutls_x509_trust_list_verify_crt2(list, &certificate, 1, data, name != NULL ? 2 : 1,
                                                GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status, NULL);
    g_assert_cmpint(rc, ==, 0);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_trust_list_deinit(list, 1);
    return status;
}

static void test_ca_is_one_for_ten_years(void)
{
    g_autoptr(RpcIdentity) identity = identity_new();
    g_autoptr(RpcCertificateInfo) info = rpc_certificate_read(identity->certificate, NULL);
    g_assert_cmpstr(info->name, ==, "berth test");
    g_assert_cmpint(info->valid_from, ==, NOW - 3600);
    g_assert_cmpint(info->valid_until, ==, NOW + 3650LL * DAY);
    gnutls_x509_crt_t certificate = import(identity->certificate);
    unsigned bits;
    g_assert_cmpint(gnutls_x509_crt_get_pk_algorithm(certificate, &bits), ==, GNUTLS_PK_ECDSA);
    g_assert_cmpuint(bits, ==, 256);
    g_assert_cmpint(gnutls_x509_crt_get_ca_status(certificate, NULL), >, 0);
    g_assert_cmpint(gnutls_x509_crt_get_signature_algorithm(certificate), ==,
                    GNUTLS_SIGN_ECDSA_SHA256);
    gnutls_x509_crt_deinit(certificate);
}

static void test_client_is_good_for_clients_only(void)
{
    g_autoptr(RpcIdentity) identity = identity_new();
    g_autoptr(RpcCa) ca = ca_of(identity);
    g_autoptr(RpcIdentity) client = rpc_ca_issue_client(ca, "host-7", NOW, 30, NULL);
    g_autoptr(RpcCertificateInfo) info = rpc_certificate_read(client->certificate, NULL);
    g_assert_cmpstr(info->name, ==, "host-7");
    g_assert_cmpint(info->valid_from, ==, NOW - 3600);
    g_assert_cmpint(info->valid_until, ==, NOW + 30 * DAY);
    const char *ca_pem = identity->certificate, *pem = client->certificate;
    g_assert_cmpuint(verify(ca_pem, pem, GNUTLS_KP_TLS_WWW_CLIENT, NULL), ==, 0);
    g_assert_cmpuint(verify(ca_pem, pem, GNUTLS_KP_TLS_WWW_SERVER, NULL), !=, 0);
}

static void test_server_has_its_names(void)
{
    g_autoptr(RpcIdentity) identity = identity_new();
    g_autoptr(RpcCa) ca = ca_of(identity);
    const char *const names[] = {"manager.example", "10.1.2.3", "fd00::7", NULL};
    g_autoptr(RpcIdentity) server = rpc_ca_issue_server(ca, names, NOW, 30, NULL);
    for (int i = 0; names[i] != NULL; i++) {
        g_assert_cmpuint(
            verify(identity->certificate, server->certificate, GNUTLS_KP_TLS_WWW_SERVER, names[i]),
            ==, 0);
    }
    g_assert_cmpuint(
        verify(identity->certificate, server->certificate, GNUTLS_KP_TLS_WWW_SERVER, "10.1.2.4"),
        !=, 0);
    g_assert_cmpuint(
        verify(identity->certificate, server->certificate, GNUTLS_KP_TLS_WWW_CLIENT, NULL), !=, 0);
}

static void test_other_ca_did_not_sign_it(void)
{
    g_autoptr(RpcIdentity) other = identity_new();
    g_autoptr(RpcCa) ca = ca_new();
    g_autoptr(RpcIdentity) client = rpc_ca_issue_client(ca, "h", NOW, 1, NULL);
    g_assert_cmpuint(
        verify(other->certificate, client->certificate, GNUTLS_KP_TLS_WWW_CLIENT, NULL), !=, 0);
}

static void test_every_certificate_is_its_own(void)
{
    g_autoptr(RpcCa) ca = ca_new();
    g_autoptr(RpcIdentity) a = rpc_ca_issue_client(ca, "h", NOW, 1, NULL);
    g_autoptr(RpcIdentity) b = rpc_ca_issue_client(ca, "h", NOW, 1, NULL);
    g_autoptr(RpcCertificateInfo) of_a = rpc_certificate_read(a->certificate, NULL);
    g_autoptr(RpcCertificateInfo) of_b = rpc_certificate_read(b->certificate, NULL);
    g_assert_cmpuint(strlen(of_a->fingerprint), ==, 64);
    g_assert_cmpstr(of_a->fingerprint, !=, of_b->fingerprint);
    g_assert_cmpstr(a->key, !=, b->key);
}

static void test_request_is_signed_under_the_given_name(void)
{
    g_autoptr(RpcIdentity) identity = identity_new();
    g_autoptr(RpcCa) ca = ca_of(identity);
    g_autoptr(GError) error = NULL;
    g_autoptr(RpcIdentity) request = rpc_request_new("i-say-root", &error);
    g_assert_no_error(error);
    g_autofree char *pem = rpc_ca_sign_client(ca, request->certificate, "host-9", NOW, 30, &error);
    g_assert_no_error(error);
    g_autoptr(RpcCertificateInfo) info = rpc_certificate_read(pem, NULL);
    g_assert_cmpstr(info->name, ==, "host-9");
    g_assert_cmpuint(verify(identity->certificate, pem, GNUTLS_KP_TLS_WWW_CLIENT, NULL), ==, 0);
}

static void test_forged_request_is_refused(void)
{
    g_autoptr(RpcCa) ca = ca_new();
    g_autoptr(GError) error = NULL;
    g_assert_null(rpc_ca_sign_client(ca, "no request", "h", NOW, 1, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, "request");
    g_clear_error(&error);

    /* The last bytes of the DER form are its signature. */
    g_autoptr(RpcIdentity) request = rpc_request_new("h", NULL);
    char *end = strstr(request->certificate, "\n-----END");
    char *last = end - 8;
    *last = *last == 'A' ? 'B' : 'A';
    g_assert_null(rpc_ca_sign_client(ca, request->certificate, "h", NOW, 1, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
}

static void test_bad_ids_are_refused(void)
{
    g_autoptr(RpcCa) ca = ca_new();
    g_autofree char *long_id = g_strnfill(65, 'x');
    const char *const ids[] = {"", "\xff", long_id};
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(rpc_ca_issue_client(ca, ids[i], NOW, 1, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, "id");
    }
}

static void test_only_a_ca_with_its_own_key_can_sign(void)
{
    g_autoptr(RpcIdentity) first = identity_new();
    g_autoptr(RpcIdentity) second = identity_new();
    g_autoptr(RpcCa) ca = ca_of(first);
    g_autoptr(GError) error = NULL;
    g_autoptr(RpcIdentity) client = rpc_ca_issue_client(ca, "h", NOW, 1, NULL);
    g_assert_null(rpc_ca_new(client, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_clear_error(&error);
    RpcIdentity mixed = {.certificate = first->certificate, .key = second->key};
    g_assert_null(rpc_ca_new(&mixed, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_clear_error(&error);
    RpcIdentity garbage = {.certificate = first->certificate, .key = (char *)"nothing"};
    g_assert_null(rpc_ca_new(&garbage, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, "key");
}

static void test_files_keep_the_key_private(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = g_dir_make_tmp("berth-ca-XXXXXX", &error);
    g_assert_no_error(error);
    g_autofree char *certificate = g_build_filename(directory, "ca.pem", NULL);
    g_autofree char *key = g_build_filename(directory, "ca.key", NULL);
    g_autoptr(RpcIdentity) identity = identity_new();
    /* A file that stood there with a wider mode does not lend it to the key. */
    g_assert_true(g_file_set_contents_full(key, "old", -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
    g_assert_true(rpc_identity_save(identity, certificate, key, &error));
    g_assert_no_error(error);
    struct stat status;
    g_assert_cmpint(stat(key, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    g_autoptr(RpcIdentity) loaded = rpc_identity_load(certificate, key, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(loaded->certificate, ==, identity->certificate);
    g_assert_cmpstr(loaded->key, ==, identity->key);
    g_remove(key);
    g_assert_null(rpc_identity_load(certificate, key, &error));
    g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_assert_nonnull(strstr(error->message, key));
    g_remove(certificate);
    g_rmdir(directory);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/ca/is-one-for-ten-years", test_ca_is_one_for_ten_years);
    g_test_add_func("/rpc/ca/client-is-good-for-clients-only",
                    test_client_is_good_for_clients_only);
    g_test_add_func("/rpc/ca/server-has-its-names", test_server_has_its_names);
    g_test_add_func("/rpc/ca/other-ca-did-not-sign-it", test_other_ca_did_not_sign_it);
    g_test_add_func("/rpc/ca/every-certificate-is-its-own", test_every_certificate_is_its_own);
    g_test_add_func("/rpc/ca/request-is-signed-under-the-given-name",
                    test_request_is_signed_under_the_given_name);
    g_test_add_func("/rpc/ca/forged-request-is-refused", test_forged_request_is_refused);
    g_test_add_func("/rpc/ca/bad-ids-are-refused", test_bad_ids_are_refused);
    g_test_add_func("/rpc/ca/only-a-ca-with-its-own-key-can-sign",
                    test_only_a_ca_with_its_own_key_can_sign);
    g_test_add_func("/rpc/ca/files-keep-the-key-private", test_files_keep_the_key_private);
    return g_test_run();
}
