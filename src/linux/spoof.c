#include "linux/spoof.h"

#include "base/error.h"
#include "base/order.h"
#include "linux/address.h"

#include <nftables/libnftables.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE "bridge berth"
#define CHAIN_PREFIX "port-"

/* Every transaction begins with it: what it names may have been flushed by others. */
static const char frame[] =
    "add table " TABLE "\n"
    "add map " TABLE " ports { type ifname : verdict; }\n"
    "add chain " TABLE " prerouting { type filter hook prerouting priority -250; policy accept; }\n"
    "flush chain " TABLE " prerouting\n"
    "add rule " TABLE " prerouting iifname vmap @ports\n";

struct Spoof {
    struct nft_ctx *nft;
};

Spoof *spoof_open(GError **error)
{
    g_autoptr(Spoof) spoof = g_new0(Spoof, 1);

    spoof->nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (spoof->nft == NULL || nft_ctx_buffer_output(spoof->nft) != 0 ||
        nft_ctx_buffer_error(spoof->nft) != 0) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                        "use a kernel with nf_tables and its bridge family",
                        "cannot use nftables to guard the taps");
        return NULL;
    }
    return g_steal_pointer(&spoof);
}

void spoof_close(Spoof *spoof)
{
    if (spoof == NULL) {
        return;
    }
    if (spoof->nft != NULL) {
        nft_ctx_free(spoof->nft);
    }
    g_free(spoof);
}

static bool run(Spoof *spoof, const char *script, const char *what, GError **error)
{
    g_autofree char *reason = NULL;
    char *newline = NULL;

    if (nft_run_cmd_from_buffer(spoof->nft, script) == 0) {
        (void)nft_ctx_get_error_buffer(spoof->nft);
        return true;
    }
    reason = g_strdup(nft_ctx_get_error_buffer(spoof->nft));
    newline = reason != NULL ? strchr(reason, '\n') : NULL;
    if (newline != NULL) {
        *newline = '\0';
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL,
                           reason != NULL && strstr(reason, "Operation not permitted") != NULL
                               ? "run the agent as root, or give it CAP_NET_ADMIN"
                               : NULL,
                           "%s: nftables says: %s", what, reason != NULL ? reason : "nothing");
}

/* A chain under construction: text, and the first error that stops it. */
typedef struct {
    GString *text;
    const char *port;
} Script;

static void rule(Script *script, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void rule(Script *script, const char *format, ...)
{
    va_list args;

    g_string_append_printf(script->text, "add rule " TABLE " " CHAIN_PREFIX "%s ", script->port);
    va_start(args, format);
    g_string_append_vprintf(script->text, format, args);
    va_end(args);
    g_string_append_c(script->text, '\n');
}

/* The map's entry comes last: the chain that it leads to is then known to nft's parser. */
static Script begin(const char *port)
{
    Script script = {.text = g_string_new(frame), .port = port};

    g_string_append_printf(script.text,
                           "add chain " TABLE " " CHAIN_PREFIX "%s\n"
                           "flush chain " TABLE " " CHAIN_PREFIX "%s\n",
                           port, port);
    return script;
}

static char *end(Script *script)
{
    g_string_append_printf(script->text,
                           "add element " TABLE " ports { \"%s\" : goto " CHAIN_PREFIX "%s }\n",
                           script->port, script->port);
    return g_string_free(g_steal_pointer(&script->text), FALSE);
}

/* "a, b, c" of valid addresses, in canonical form; `first` (may be NULL) leads. NULL: a bad one. */
static char *address_set(const char *field, const char *const *addresses, int family,
                         const char *first, GError **error)
{
    g_autoptr(GString) set = g_string_new(first);

    for (size_t i = 0; addresses != NULL && addresses[i] != NULL; i++) {
        g_autofree char *text = NULL;
        Address address;

        if (!address_parse(field, addresses[i], family, &address, error)) {
            return NULL;
        }
        text = address_text(&address);
        g_string_append_printf(set, "%s%s", set->len > 0 ? ", " : "", text);
    }
    return g_string_free(g_steal_pointer(&set), FALSE);
}

/* The same addresses as 128-bit numbers, for a raw match. */
static char *hex_set(const char *const *addresses, const Address *link_local)
{
    GString *set = g_string_new("0x");

    for (size_t byte = 0; byte < 16; byte++) {
        g_string_append_printf(set, "%02x", link_local->bytes[byte]);
    }
    for (size_t i = 0; addresses != NULL && addresses[i] != NULL; i++) {
        Address address;

        /* address_set has refused malformed ones. */
        g_assert_true(address_parse(NULL, addresses[i], AF_INET6, &address, NULL));
        g_string_append(set, ", 0x");
        for (size_t byte = 0; byte < 16; byte++) {
            g_string_append_printf(set, "%02x", address.bytes[byte]);
        }
    }
    return g_string_free(set, FALSE);
}

static void ipv4_rules(Script *script, const char *sources)
{
    rule(script, "ether type arp arp saddr ip != { 0.0.0.0%s%s } drop",
         *sources != '\0' ? ", " : "", sources);
    rule(script, "ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept");
    if (*sources != '\0') {
        rule(script, "ether type ip ip saddr != { %s } drop", sources);
    } else {
        rule(script, "ether type ip drop");
    }
}

static void ipv6_rules(Script *script, const char *sources, const char *targets)
{
    rule(script, "ether type ip6 icmpv6 type nd-neighbor-advert @th,64,128 != { %s } drop",
         targets);
    rule(script,
         "ether type ip6 ip6 saddr :: icmpv6 type { nd-router-solicit, nd-neighbor-solicit, "
         "mld-listener-report, mld2-listener-report } accept");
    rule(script, "ether type ip6 ip6 saddr != { %s } drop", sources);
}

char *spoof_tap_script(const char *tap, const SpoofRules *rules, GError **error)
{
    g_autofree char *ipv4 = NULL;
    g_autofree char *ipv6 = NULL;
    g_autofree char *targets = NULL;
    g_autofree char *own = NULL;
    Address link_local;
    uint8_t mac[6];
    Script script;

    if (!address_check_interface(tap, error) || !address_parse_mac("mac", rules->mac, mac, error)) {
        return NULL;
    }
    address_link_local(mac, &link_local);
    own = address_text(&link_local);
    ipv4 = address_set("ipv4", rules->ipv4, AF_INET, NULL, error);
    ipv6 = ipv4 != NULL ? address_set("ipv6", rules->ipv6, AF_INET6, own, error) : NULL;
    if (ipv6 == NULL) {
        return NULL;
    }
    targets = hex_set(rules->ipv6, &link_local);
    script = begin(tap);
    rule(&script, "ether saddr != %s drop", rules->mac);
    rule(&script, "ether type != { ip, arp, ip6 } drop");
    rule(&script, "ether type arp arp saddr ether != %s drop", rules->mac);
    rule(&script, "ether type ip udp sport 67 drop");
    rule(&script, "ether type ip6 udp sport 547 drop");
    rule(&script, "ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } drop");
    if (!rules->any_address) {
        ipv4_rules(&script, ipv4);
        ipv6_rules(&script, ipv6, targets);
    }
    return end(&script);
}

static bool gateway_rules(Script *script, const SpoofOverlay *overlay, GError **error)
{
    Address address;
    uint8_t mac[6];

    if (overlay->gateway_mac != NULL) {
        if (!address_parse_mac("gateway-mac", overlay->gateway_mac, mac, error)) {
            return false;
        }
        rule(script, "ether saddr %s drop", overlay->gateway_mac);
    }
    if (overlay->gateway_ipv4 != NULL) {
        if (!address_parse("gateway", overlay->gateway_ipv4, AF_INET, &address, error)) {
            return false;
        }
        rule(script, "ether type arp arp saddr ip %s drop", overlay->gateway_ipv4);
        rule(script, "ether type arp arp daddr ip %s drop", overlay->gateway_ipv4);
    }
    if (overlay->gateway_ipv6 != NULL) {
        g_autofree char *target = NULL;

        if (!address_parse("gateway", overlay->gateway_ipv6, AF_INET6, &address, error)) {
            return false;
        }
        target = hex_set(NULL, &address);
        rule(script,
             "ether type ip6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } "
             "@th,64,128 %s drop",
             target);
    }
    return true;
}

char *spoof_overlay_script(const char *vxlan, const SpoofOverlay *overlay, GError **error)
{
    Script script;

    if (!address_check_interface(vxlan, error)) {
        return NULL;
    }
    script = begin(vxlan);
    rule(&script, "ether type ip udp dport { 67, 68 } drop");
    rule(&script, "ether type ip6 udp dport { 546, 547 } drop");
    rule(&script,
         "ether type ip6 icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop");
    if (!gateway_rules(&script, overlay, error)) {
        g_string_free(script.text, TRUE);
        return NULL;
    }
    return end(&script);
}

bool spoof_ensure_tap(Spoof *spoof, const char *tap, const SpoofRules *rules, GError **error)
{
    g_autofree char *script = spoof_tap_script(tap, rules, error);
    g_autofree char *what = g_strdup_printf("cannot guard tap '%s'", tap);

    return script != NULL && run(spoof, script, what, error);
}

bool spoof_ensure_overlay(Spoof *spoof, const char *vxlan, const SpoofOverlay *overlay,
                          GError **error)
{
    g_autofree char *script = spoof_overlay_script(vxlan, overlay, error);
    g_autofree char *what = g_strdup_printf("cannot guard overlay port '%s'", vxlan);

    return script != NULL && run(spoof, script, what, error);
}

bool spoof_remove(Spoof *spoof, const char *port, GError **error)
{
    g_autofree char *what = g_strdup_printf("cannot remove the guard of '%s'", port);
    g_autofree char *make = NULL;
    g_autofree char *script = NULL;
    Script empty;

    if (!address_check_interface(port, error)) {
        return false;
    }
    /* Made first, so that there is something to delete: `destroy` needs Linux 6.3. */
    empty = begin(port);
    make = end(&empty);
    script = g_strdup_printf("%sdelete element " TABLE " ports { \"%s\" }\n"
                             "delete chain " TABLE " " CHAIN_PREFIX "%s\n",
                             make, port, port);
    return run(spoof, script, what, error);
}

bool spoof_remove_all(Spoof *spoof, GError **error)
{
    return run(spoof, "add table " TABLE "\ndelete table " TABLE "\n",
               "cannot remove the guards of all taps", error);
}

GPtrArray *spoof_list(Spoof *spoof, GError **error)
{
    static const char arrow[] = "goto " CHAIN_PREFIX;
    g_autoptr(GPtrArray) ports = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *script = g_strconcat(frame, "list map " TABLE " ports\n", NULL);
    g_autofree char *text = NULL;

    if (!run(spoof, script, "cannot list the guarded taps", error)) {
        return NULL;
    }
    text = g_strdup(nft_ctx_get_output_buffer(spoof->nft));
    for (const char *at = strstr(text, arrow); at != NULL; at = strstr(at, arrow)) {
        at += strlen(arrow);
        g_ptr_array_add(ports, g_strndup(at, strcspn(at, " ,\n}")));
    }
    g_ptr_array_sort(ports, berth_order_texts);
    return g_steal_pointer(&ports);
}
