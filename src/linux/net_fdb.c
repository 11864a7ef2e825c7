#include "linux/net.h"

#include "base/error.h"
#include "linux/address.h"
#include "linux/rtnl.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* One (MAC, remote) of a VXLAN device's table, comparable as bytes. */
typedef struct {
    uint8_t mac[ETH_ALEN];
    uint8_t size; /* of the remote: 4 or 16 */
    uint8_t remote[16];
} FdbKey;

static guint key_hash(gconstpointer key)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static(key, sizeof(FdbKey));

    return g_bytes_hash(bytes);
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(FdbKey)) == 0;
}

static bool is_flood(const FdbKey *key)
{
    static const uint8_t zeros[ETH_ALEN];

    return memcmp(key->mac, zeros, sizeof zeros) == 0;
}

typedef struct {
    int ifindex;
    GHashTable *found; /* set of FdbKey */
} FdbDump;

static void visit_entry(struct nlmsghdr *header, gpointer data)
{
    FdbDump *dump = data;
    const struct ndmsg *entry = nlmsg_data(header);
    struct nlattr *attributes[NDA_MAX + 1];
    FdbKey *key = NULL;

    /* NTF_SELF: of the device itself; the bridge's own table for this port comes along too. */
    if (header->nlmsg_type != RTM_NEWNEIGH || entry->ndm_ifindex != dump->ifindex ||
        (entry->ndm_flags & NTF_SELF) == 0 ||
        nlmsg_parse(header, sizeof *entry, attributes, NDA_MAX, NULL) < 0 ||
        attributes[NDA_LLADDR] == NULL || attributes[NDA_DST] == NULL ||
        nla_len(attributes[NDA_LLADDR]) != ETH_ALEN || nla_len(attributes[NDA_DST]) > 16) {
        return;
    }
    key = g_new0(FdbKey, 1);
    memcpy(key->mac, nla_data(attributes[NDA_LLADDR]), ETH_ALEN);
    key->size = (uint8_t)nla_len(attributes[NDA_DST]);
    memcpy(key->remote, nla_data(attributes[NDA_DST]), key->size);
    g_hash_table_add(dump->found, key);
}

static GHashTable *read_table(Net *net, const char *vxlan, int ifindex, GError **error)
{
    g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_GETNEIGH, NLM_F_DUMP);
    g_autoptr(GHashTable) found = g_hash_table_new_full(key_hash, key_equal, g_free, NULL);
    struct ndmsg header = {.ndm_family = PF_BRIDGE};
    FdbDump dump = {.ifindex = ifindex, .found = found};

    netlink_put_header(message, &header, sizeof header);
    if (!netlink_query(net_netlink(net), message, visit_entry, &dump, NULL, error,
                       "cannot read the forwarding table of '%s'", vxlan)) {
        return NULL;
    }
    return g_steal_pointer(&found);
}

static GHashTable *wanted_table(const NetFdbEntry *entries, size_t n_entries, GError **error)
{
    g_autoptr(GHashTable) wanted = g_hash_table_new_full(key_hash, key_equal, g_free, NULL);

    for (size_t i = 0; i < n_entries; i++) {
        g_autofree FdbKey *key = g_new0(FdbKey, 1);
        Address remote;

        if (!address_parse("remote", entries[i].remote, 0, &remote, error) ||
            (entries[i].mac != NULL &&
             !address_parse_mac("mac", entries[i].mac, key->mac, error))) {
            return NULL;
        }
        key->size = (uint8_t)remote.size;
        memcpy(key->remote, remote.bytes, remote.size);
        g_hash_table_add(wanted, g_steal_pointer(&key));
    }
    return g_steal_pointer(&wanted);
}

static bool change_entry(Net *net, const char *vxlan, int ifindex, const FdbKey *key, bool add,
                         GError **error)
{
    /* A guest's MAC has one place, so a new one replaces the old without a gap; broadcast has many.
     */
    int flags = !add ? 0 : NLM_F_CREATE | (is_flood(key) ? NLM_F_APPEND : NLM_F_REPLACE);
    g_autoptr(NetlinkMessage) message =
        netlink_message_new(add ? RTM_NEWNEIGH : RTM_DELNEIGH, flags);
    struct ndmsg header = {
        .ndm_family = PF_BRIDGE,
        .ndm_ifindex = ifindex,
        .ndm_state = NUD_NOARP | NUD_PERMANENT,
        .ndm_flags = NTF_SELF,
    };
    g_autoptr(GError) local = NULL;
    int failed = 0;

    netlink_put_header(message, &header, sizeof header);
    netlink_put(message, NDA_LLADDR, key->mac, sizeof key->mac);
    netlink_put(message, NDA_DST, key->remote, key->size);
    if (!netlink_call(net_netlink(net), message, &failed, &local,
                      "cannot change the forwarding table of '%s'", vxlan) &&
        failed != (add ? EEXIST : ENOENT)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

/* Adds or removes what is in `these` and not in `those`. */
static bool change_difference(Net *net, const char *vxlan, int ifindex, GHashTable *these,
                              GHashTable *those, bool add, GError **error)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, these);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!g_hash_table_contains(those, key) &&
            !change_entry(net, vxlan, ifindex, key, add, error)) {
            return false;
        }
    }
    return true;
}

bool net_sync_fdb(Net *net, const char *vxlan, const NetFdbEntry *entries, size_t n_entries,
                  GError **error)
{
    g_autoptr(GHashTable) wanted = wanted_table(entries, n_entries, error);
    g_autoptr(GHashTable) found = NULL;
    int ifindex = 0;

    if (wanted == NULL || !net_ifindex(net, vxlan, &ifindex, error)) {
        return false;
    }
    found = read_table(net, vxlan, ifindex, error);
    return found != NULL && change_difference(net, vxlan, ifindex, wanted, found, true, error) &&
           change_difference(net, vxlan, ifindex, found, wanted, false, error);
}
