#include "linux/address.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

bool address_parse(const char *field, const char *text, int family, Address *ret_address,
                   GError **error)
{
    Address address = {0};

    if (family != AF_INET6 && inet_pton(AF_INET, text, address.bytes) == 1) {
        address.family = AF_INET;
        address.size = 4;
    } else if (family != AF_INET && inet_pton(AF_INET6, text, address.bytes) == 1) {
        address.family = AF_INET6;
        address.size = 16;
    } else {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                               family == AF_INET    ? "write it like 10.1.0.7"
                               : family == AF_INET6 ? "write it like fd00::7"
                                                    : "write it like 10.1.0.7 or fd00::7",
                               "not an IP%s address",
                               family == AF_INET    ? "v4"
                               : family == AF_INET6 ? "v6"
                                                    : "");
    }
    address.prefix = (unsigned)address.size * 8;
    *ret_address = address;
    return true;
}

bool address_parse_subnet(const char *field, const char *text, int family, Address *ret_address,
                          GError **error)
{
    const char *slash = strchr(text, '/');
    g_autofree char *alone = slash != NULL ? g_strndup(text, (gsize)(slash - text)) : NULL;
    Address address;
    guint64 prefix = 0;

    if (alone == NULL || !address_parse(field, alone, family, &address, NULL) ||
        !g_ascii_string_to_unsigned(slash + 1, 10, 0, address.prefix, &prefix, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                               family == AF_INET6 ? "write it like fd00::/64"
                                                  : "write it like 10.1.0.0/24",
                               "not an address with a prefix length");
    }
    address.prefix = (unsigned)prefix;
    *ret_address = address;
    return true;
}

char *address_text(const Address *address)
{
    char text[INET6_ADDRSTRLEN];

    g_assert_nonnull(inet_ntop(address->family, address->bytes, text, sizeof text));
    return g_strdup(text);
}

bool address_equal(const Address *a, const Address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, a->size) == 0;
}

bool address_in_subnet(const Address *address, const Address *subnet)
{
    if (address->family != subnet->family) {
        return false;
    }
    for (unsigned bit = 0; bit < subnet->prefix; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);

        if (((address->bytes[bit / 8] ^ subnet->bytes[bit / 8]) & mask) != 0) {
            return false;
        }
    }
    return true;
}

bool address_check_interface(const char *name, GError **error)
{
    size_t length = strlen(name);

    /* Stricter than the kernel: the name also stands in nftables' and dnsmasq's languages. */
    for (const char *at = name; *at != '\0'; at++) {
        if (!g_ascii_isalnum(*at) && (at == name || strchr("-_.", *at) == NULL)) {
            length = 0;
        }
    }
    return (length > 0 && length < IFNAMSIZ) ||
           berth_error_set(error, BERTH_ERROR_INVALID, "interface", name,
                           "use 1 to 15 letters, digits, dashes, dots and underscores",
                           "not a name for a network interface");
}

bool address_parse_mac(const char *field, const char *text, uint8_t ret_mac[6], GError **error)
{
    uint8_t mac[6];

    for (size_t i = 0; i < 6; i++) {
        const char *pair = text + i * 3;

        if (!g_ascii_isxdigit(pair[0]) || !g_ascii_isxdigit(pair[1]) ||
            pair[2] != (i < 5 ? ':' : '\0')) {
            return berth_error_set(error, BERTH_ERROR_INVALID, field, text,
                                   "write it like 52:54:00:12:34:56", "not a MAC address");
        }
        mac[i] = (uint8_t)(g_ascii_xdigit_value(pair[0]) * 16 + g_ascii_xdigit_value(pair[1]));
    }
    memcpy(ret_mac, mac, sizeof mac);
    return true;
}

void address_link_local(const uint8_t mac[6], Address *ret_address)
{
    *ret_address = (Address){
        .family = AF_INET6,
        .size = 16,
        .prefix = 128,
        .bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 0x02, mac[1], mac[2], 0xff, 0xfe, mac[3],
                  mac[4], mac[5]},
    };
}
