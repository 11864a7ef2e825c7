#include "linux/names.h"

#include "base/ulid.h"

#include <string.h>

#define PREFIX_LENGTH 2
#define VM_TAIL 11
#define NETWORK_TAIL 13

static const char *const prefixes[] = {
    [NAMES_TAP] = "bt",
    [NAMES_IFB] = "bf",
    [NAMES_BRIDGE] = "bb",
    [NAMES_VXLAN] = "bx",
};

static const char crockford[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void put_tail(char *name, NamesKind kind, const char *ulid, size_t tail)
{
    g_assert(berth_ulid_is_valid(ulid));
    memcpy(name, prefixes[kind], PREFIX_LENGTH);
    for (size_t i = 0; i < tail; i++) {
        name[PREFIX_LENGTH + i] = g_ascii_tolower(ulid[BERTH_ULID_LENGTH - tail + i]);
    }
    name[PREFIX_LENGTH + tail] = '\0';
}

static void put_nic(char *name, NamesKind kind, const char *vm_id, unsigned nic)
{
    g_assert(nic < NAMES_MAX_NICS);
    put_tail(name, kind, vm_id, VM_TAIL);
    g_snprintf(name + PREFIX_LENGTH + VM_TAIL, 3, "%02x", nic);
}

void names_tap(const char *vm_id, unsigned nic, char ret_name[NAMES_SIZE])
{
    put_nic(ret_name, NAMES_TAP, vm_id, nic);
}

void names_ifb(const char *vm_id, unsigned nic, char ret_name[NAMES_SIZE])
{
    put_nic(ret_name, NAMES_IFB, vm_id, nic);
}

void names_bridge(const char *network_id, char ret_name[NAMES_SIZE])
{
    put_tail(ret_name, NAMES_BRIDGE, network_id, NETWORK_TAIL);
}

void names_vxlan(const char *network_id, char ret_name[NAMES_SIZE])
{
    put_tail(ret_name, NAMES_VXLAN, network_id, NETWORK_TAIL);
}

bool names_is(NamesKind kind, const char *name)
{
    size_t tail = kind == NAMES_TAP || kind == NAMES_IFB ? VM_TAIL : NETWORK_TAIL;

    if (strlen(name) != NAMES_SIZE - 1 || !g_str_has_prefix(name, prefixes[kind])) {
        return false;
    }
    name += PREFIX_LENGTH;
    return strspn(name, crockford) >= tail &&
           strspn(name + tail, "0123456789abcdef") == NAMES_SIZE - 1 - PREFIX_LENGTH - tail;
}

const char *names_prefix(NamesKind kind)
{
    return prefixes[kind];
}

void names_ifb_of_tap(const char *tap, char ret_name[NAMES_SIZE])
{
    g_assert(names_is(NAMES_TAP, tap));
    memcpy(ret_name, tap, NAMES_SIZE);
    memcpy(ret_name, prefixes[NAMES_IFB], PREFIX_LENGTH);
}
