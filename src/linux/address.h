/*
 * Addresses as the kernel wants them, from text. Internal to src/linux.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int family; /* AF_INET or AF_INET6 */
    uint8_t bytes[16];
    size_t size;     /* 4 or 16 */
    unsigned prefix; /* full length where the text has none */
} Address;

/* "192.0.2.7" or "fd00::7"; `family` 0 takes both. The error names `field` and the text. */
bool address_parse(const char *field, const char *text, int family, Address *ret_address,
                   GError **error);

/* The same with "/LENGTH", which must be there. */
bool address_parse_subnet(const char *field, const char *text, int family, Address *ret_address,
                          GError **error);

/* The address, without a prefix length, in its canonical form. */
char *address_text(const Address *address);

bool address_equal(const Address *a, const Address *b);

/* Whether `address` lies in `subnet`. */
bool address_in_subnet(const Address *address, const Address *subnet);

/* An interface's name: 1 to 15 characters that netlink, nftables and dnsmasq all take literally. */
bool address_check_interface(const char *name, GError **error);

bool address_parse_mac(const char *field, const char *text, uint8_t ret_mac[6], GError **error);

/* fe80::/64 with the EUI-64 of `mac` (RFC 4291, appendix A). */
void address_link_local(const uint8_t mac[6], Address *ret_address);
