#include "linux/dhcp.h"

#include "base/error.h"
#include "base/order.h"
#include "linux/address.h"

#include <pwd.h>
#include <string.h>
#include <sys/socket.h>

#define ROUTER_LIFETIME_S 1800 /* as RFC 4861 has it */
#define LEASE_DEFAULT_S 3600
#define LEASE_MIN_S 120 /* dnsmasq's own bound */
#define MTU_MIN 576
#define MTU_MAX 65535
#define LABEL_MAX 63

static bool check_path(const char *path, GError **error)
{
    /* dnsmasq's configuration has no quoting for these. */
    return (*path == '/' && strpbrk(path, "\n\r#\",\\ ") == NULL) ||
           berth_error_set(error, BERTH_ERROR_INVALID, "dir", path,
                           "give an absolute path without spaces, quotes, commas and #",
                           "not a directory that DHCP can work in");
}

static bool check_user(const char *user, GError **error)
{
    for (const char *at = user; *at != '\0'; at++) {
        if (!g_ascii_isalnum(*at) && strchr("-_.", *at) == NULL) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "user", user,
                                   "name a user of this host", "not a user's name");
        }
    }
    return *user != '\0';
}

static const char *user_of(const DhcpConfig *config)
{
    if (config->user != NULL) {
        return config->user;
    }
    return getpwnam("dnsmasq") != NULL ? "dnsmasq" : "nobody";
}

static bool put_ipv4(GString *text, const DhcpConfig *config, unsigned lease_s, GError **error)
{
    Address subnet, gateway, dns;
    g_autofree char *network = NULL;
    uint32_t mask;

    if (!address_parse_subnet("subnet", config->subnet, AF_INET, &subnet, error)) {
        return false;
    }
    mask = subnet.prefix > 0 ? UINT32_MAX << (32 - subnet.prefix) : 0;
    for (size_t i = 0; i < 4; i++) {
        subnet.bytes[i] &= (uint8_t)(mask >> (24 - 8 * i));
    }
    network = address_text(&subnet);
    g_string_append_printf(text, "dhcp-range=%s,static,%u.%u.%u.%u,%us\n", network, mask >> 24,
                           mask >> 16 & 255, mask >> 8 & 255, mask & 255, lease_s);
    if (config->gateway == NULL) {
        g_string_append(text, "dhcp-option=option:router\n");
    } else if (!address_parse("gateway", config->gateway, AF_INET, &gateway, error)) {
        return false;
    } else if (!address_in_subnet(&gateway, &subnet)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "gateway", config->gateway,
                               "give an address of the subnet", "the gateway is outside %s",
                               config->subnet);
    } else {
        g_string_append_printf(text, "dhcp-option=option:router,%s\n", config->gateway);
    }
    g_string_append(text, "dhcp-option=option:dns-server");
    for (size_t i = 0; config->dns != NULL && config->dns[i] != NULL; i++) {
        if (!address_parse("dns", config->dns[i], AF_INET, &dns, error)) {
            return false;
        }
        g_string_append_printf(text, ",%s", config->dns[i]);
    }
    g_string_append_c(text, '\n');
    if (config->mtu != 0) {
        g_string_append_printf(text, "dhcp-option=option:mtu,%u\n", config->mtu);
    }
    return true;
}

static bool put_ipv6(GString *text, const DhcpConfig *config, unsigned lease_s, GError **error)
{
    g_autofree char *network = NULL;
    Address subnet;

    if (!address_parse_subnet("subnet6", config->subnet6, AF_INET6, &subnet, error)) {
        return false;
    }
    if (subnet.prefix != 64) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "subnet6", config->subnet6, "give a /64",
                               "router advertisements need a /64");
    }
    memset(subnet.bytes + 8, 0, 8);
    network = address_text(&subnet);
    g_string_append_printf(text, "enable-ra\ndhcp-range=%s,static,slaac,64,%us\nra-param=%s,",
                           network, lease_s, config->interface);
    if (config->mtu != 0) {
        g_string_append_printf(text, "mtu:%u,", config->mtu);
    }
    g_string_append_printf(text, "0,%d\n", config->routes6 ? ROUTER_LIFETIME_S : 0);
    return true;
}

char *dhcp_config_text(const DhcpConfig *config, GError **error)
{
    g_autoptr(GString) text = g_string_new("# Written by berth-agent; changes are lost.\n");
    unsigned lease_s = config->lease_s != 0 ? config->lease_s : LEASE_DEFAULT_S;
    const char *user = user_of(config);

    if (!check_path(config->dir, error) || !check_user(user, error) ||
        !address_check_interface(config->interface, error)) {
        return NULL;
    }
    if (lease_s < LEASE_MIN_S ||
        (config->mtu != 0 && (config->mtu < MTU_MIN || config->mtu > MTU_MAX))) {
        berth_error_set(error, BERTH_ERROR_INVALID, lease_s < LEASE_MIN_S ? "lease" : "mtu", NULL,
                        "give leases of 120 s or more and an MTU from 576 to 65535",
                        "out of range for DHCP");
        return NULL;
    }
    g_string_append_printf(text,
                           "port=0\n"
                           "no-resolv\n"
                           "no-hosts\n"
                           "no-ping\n"
                           "quiet-dhcp\n"
                           "quiet-dhcp6\n"
                           "quiet-ra\n"
                           "bind-interfaces\n"
                           "interface=%s\n"
                           "except-interface=lo\n"
                           "user=%s\n"
                           "pid-file=%s/pid\n"
                           "dhcp-leasefile=%s/leases\n"
                           "dhcp-hostsfile=%s/hosts\n"
                           "dhcp-authoritative\n"
                           "dhcp-ignore-clid\n"
                           "dhcp-ignore=tag:!known\n",
                           config->interface, user, config->dir, config->dir, config->dir);
    if ((config->subnet != NULL && !put_ipv4(text, config, lease_s, error)) ||
        (config->subnet6 != NULL && !put_ipv6(text, config, lease_s, error))) {
        return NULL;
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool check_label(const char *name, GError **error)
{
    size_t length = strlen(name);
    bool good = length >= 1 && length <= LABEL_MAX && name[0] != '-' && name[length - 1] != '-';

    for (size_t i = 0; i < length; i++) {
        good = good && (g_ascii_isalnum(name[i]) || name[i] == '-');
    }
    return good || berth_error_set(error, BERTH_ERROR_INVALID, "name", name,
                                   "use up to 63 letters, digits and dashes", "not a host name");
}

static char *host_line(const DhcpHost *host, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *mac = g_ascii_strdown(host->mac, -1);
    uint8_t bytes[6];
    Address address;

    if (!address_parse_mac("mac", host->mac, bytes, error)) {
        return NULL;
    }
    g_string_append(line, mac);
    if (host->ipv4 != NULL) {
        if (!address_parse("ipv4", host->ipv4, AF_INET, &address, error)) {
            return NULL;
        }
        g_string_append_printf(line, ",%s", host->ipv4);
    }
    if (host->ipv6 != NULL) {
        g_autofree char *text = NULL;

        if (!address_parse("ipv6", host->ipv6, AF_INET6, &address, error)) {
            return NULL;
        }
        text = address_text(&address);
        g_string_append_printf(line, ",[%s]", text);
    }
    if (host->name != NULL) {
        if (!check_label(host->name, error)) {
            return NULL;
        }
        g_string_append_printf(line, ",%s", host->name);
    }
    return g_string_free(g_steal_pointer(&line), FALSE);
}

char *dhcp_hosts_text(const DhcpHost *hosts, size_t n_hosts, GError **error)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    GString *text = NULL;

    for (size_t i = 0; i < n_hosts; i++) {
        char *line = host_line(&hosts[i], error);

        if (line == NULL) {
            return NULL;
        }
        g_ptr_array_add(lines, line);
    }
    g_ptr_array_sort(lines, berth_order_texts);
    text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++) {
        g_string_append_printf(text, "%s\n", (const char *)g_ptr_array_index(lines, i));
    }
    return g_string_free(text, FALSE);
}
