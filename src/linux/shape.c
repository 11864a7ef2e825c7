#include "linux/shape.h"

#include "base/error.h"
#include "linux/address.h"
#include "linux/rtnl.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>
#include <sys/socket.h>

#define BYTES_PER_MBIT 125000 /* a second */
#define BURST_MSEC 4
#define QUEUE_MSEC 50
#define BURST_MIN (32 * 1024)
#define BURST_MAX (1024 * 1024)
#define MBIT_MAX 4000000 /* beyond any NIC; keeps the limit within 32 bits */

#define FILTER_HANDLE 0x80000800u /* u32's first hash table, first node */
#define FILTER_PRIORITY 1

uint32_t shape_burst_bytes(int64_t mbit)
{
    return (uint32_t)CLAMP(mbit * BYTES_PER_MBIT * BURST_MSEC / 1000, BURST_MIN, BURST_MAX);
}

uint32_t shape_limit_bytes(int64_t mbit)
{
    return (uint32_t)MIN(mbit * BYTES_PER_MBIT * QUEUE_MSEC / 1000 + shape_burst_bytes(mbit),
                         UINT32_MAX);
}

static NetlinkMessage *tc_message(int type, int flags, int ifindex, uint32_t parent,
                                  uint32_t handle, uint32_t info)
{
    NetlinkMessage *message = netlink_message_new(type, flags);
    struct tcmsg header = {
        .tcm_family = AF_UNSPEC,
        .tcm_ifindex = ifindex,
        .tcm_handle = handle,
        .tcm_parent = parent,
        .tcm_info = info,
    };

    netlink_put_header(message, &header, sizeof header);
    return message;
}

/* Makes or changes the root qdisc; a change keeps what is queued. */
static bool set_tbf(Net *net, const char *name, int ifindex, int64_t mbit, GError **error)
{
    g_autoptr(NetlinkMessage) message =
        tc_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex, TC_H_ROOT, 0, 0);
    uint64_t rate = (uint64_t)mbit * BYTES_PER_MBIT;
    struct tc_tbf_qopt options = {
        .rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = (uint32_t)MIN(rate, UINT32_MAX)},
        .limit = shape_limit_bytes(mbit),
    };
    struct nlattr *nest = NULL;

    netlink_put_string(message, TCA_KIND, "tbf");
    nest = netlink_nest(message, TCA_OPTIONS);
    netlink_put(message, TCA_TBF_PARMS, &options, sizeof options);
    netlink_put_u32(message, TCA_TBF_BURST, shape_burst_bytes(mbit));
    if (rate > UINT32_MAX) {
        netlink_put(message, TCA_TBF_RATE64, &rate, sizeof rate);
    }
    netlink_nest_end(message, nest);
    return netlink_call(net_netlink(net), message, NULL, error,
                        "cannot limit '%s' to %" G_GINT64_FORMAT " Mbit/s", name, mbit);
}

/* Deletes a qdisc; none is fine, and so is the kernel's default, which cannot be deleted. */
static bool drop_qdisc(Net *net, const char *name, int ifindex, uint32_t parent, GError **error)
{
    g_autoptr(NetlinkMessage) message = tc_message(RTM_DELQDISC, 0, ifindex, parent, 0, 0);
    g_autoptr(GError) local = NULL;
    int failed = 0;

    if (!netlink_call(net_netlink(net), message, &failed, &local, "cannot remove the limit of '%s'",
                      name) &&
        failed != ENOENT && failed != EINVAL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

static bool ensure_ingress(Net *net, const char *tap, int ifindex, GError **error)
{
    g_autoptr(NetlinkMessage) message = tc_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex,
                                                   TC_H_INGRESS, TC_H_MAKE(TC_H_INGRESS, 0), 0);
    g_autoptr(GError) local = NULL;
    int failed = 0;

    netlink_put_string(message, TCA_KIND, "ingress");
    if (!netlink_call(net_netlink(net), message, &failed, &local,
                      "cannot look at what '%s' receives", tap) &&
        failed != EEXIST) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

static void put_redirect(NetlinkMessage *message, int ifb)
{
    struct tc_mirred redirect = {
        .action = TC_ACT_STOLEN,
        .eaction = TCA_EGRESS_REDIR,
        .ifindex = (uint32_t)ifb,
    };
    struct nlattr *actions = netlink_nest(message, TCA_U32_ACT);
    struct nlattr *first = netlink_nest(message, 1);
    struct nlattr *options = NULL;

    netlink_put_string(message, TCA_ACT_KIND, "mirred");
    options = netlink_nest(message, TCA_ACT_OPTIONS);
    netlink_put(message, TCA_MIRRED_PARMS, &redirect, sizeof redirect);
    netlink_nest_end(message, options);
    netlink_nest_end(message, first);
    netlink_nest_end(message, actions);
}

/* Everything that comes in by the tap goes out by the ifb. */
static bool ensure_redirect(Net *net, const char *tap, int ifindex, int ifb, GError **error)
{
    g_autoptr(NetlinkMessage) message = tc_message(
        RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, TC_H_MAKE(TC_H_INGRESS, 0),
        FILTER_HANDLE, TC_H_MAKE(FILTER_PRIORITY << 16, GUINT16_TO_BE(ETH_P_ALL)));
    /* One key, with mask and value 0: every frame. */
    size_t size = sizeof(struct tc_u32_sel) + sizeof(struct tc_u32_key);
    g_autofree struct tc_u32_sel *all = g_malloc0(size);
    struct nlattr *options = NULL;

    all->flags = TC_U32_TERMINAL;
    all->nkeys = 1;
    netlink_put_string(message, TCA_KIND, "u32");
    options = netlink_nest(message, TCA_OPTIONS);
    netlink_put(message, TCA_U32_SEL, all, size);
    put_redirect(message, ifb);
    netlink_nest_end(message, options);
    return netlink_call(net_netlink(net), message, NULL, error,
                        "cannot send what '%s' receives through its ifb", tap);
}

static bool limit_from_guest(Net *net, const char *tap, int tap_index, const char *ifb,
                             int64_t mbit, GError **error)
{
    int ifb_index = 0;

    return net_ensure_plain(net, ifb, "ifb", error) && net_ifindex(net, ifb, &ifb_index, error) &&
           set_tbf(net, ifb, ifb_index, mbit, error) && net_set_link(net, ifb, 0, true, error) &&
           ensure_ingress(net, tap, tap_index, error) &&
           ensure_redirect(net, tap, tap_index, ifb_index, error);
}

static bool check_rate(const char *field, int64_t mbit, GError **error)
{
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, mbit);

    return (mbit >= 0 && mbit <= MBIT_MAX) ||
           berth_error_set(error, BERTH_ERROR_INVALID, field, value,
                           "give Mbit/s from 1 to 4000000, or 0 for no limit",
                           "not a network bandwidth");
}

bool shape_set(Net *net, const char *tap, const char *ifb, const ShapeRates *rates, GError **error)
{
    int tap_index = 0;

    if (!check_rate("net-bw", rates->to_guest_mbit, error) ||
        !check_rate("net-bw", rates->from_guest_mbit, error) ||
        !address_check_interface(ifb, error) || !net_ifindex(net, tap, &tap_index, error)) {
        return false;
    }
    if (!(rates->to_guest_mbit > 0 ? set_tbf(net, tap, tap_index, rates->to_guest_mbit, error)
                                   : drop_qdisc(net, tap, tap_index, TC_H_ROOT, error))) {
        return false;
    }
    if (rates->from_guest_mbit > 0) {
        return limit_from_guest(net, tap, tap_index, ifb, rates->from_guest_mbit, error);
    }
    return drop_qdisc(net, tap, tap_index, TC_H_INGRESS, error) && shape_remove(net, ifb, error);
}

bool shape_remove(Net *net, const char *ifb, GError **error)
{
    return net_delete(net, ifb, error);
}

typedef struct {
    int ifindex;
    int64_t mbit;
} QdiscSearch;

static void visit_qdisc(struct nlmsghdr *header, gpointer data)
{
    QdiscSearch *search = data;
    const struct tcmsg *info = nlmsg_data(header);
    struct nlattr *attributes[TCA_MAX + 1];
    struct nlattr *parameters = NULL;
    struct nlattr *rate64 = NULL;
    struct tc_tbf_qopt options = {0};

    if (header->nlmsg_type != RTM_NEWQDISC || info->tcm_ifindex != search->ifindex ||
        info->tcm_parent != TC_H_ROOT ||
        nlmsg_parse(header, sizeof *info, attributes, TCA_MAX, NULL) < 0 ||
        attributes[TCA_KIND] == NULL || strcmp(nla_get_string(attributes[TCA_KIND]), "tbf") != 0 ||
        attributes[TCA_OPTIONS] == NULL) {
        return;
    }
    parameters = nla_find(nla_data(attributes[TCA_OPTIONS]), nla_len(attributes[TCA_OPTIONS]),
                          TCA_TBF_PARMS);
    rate64 = nla_find(nla_data(attributes[TCA_OPTIONS]), nla_len(attributes[TCA_OPTIONS]),
                      TCA_TBF_RATE64);
    if (parameters != NULL) {
        memcpy(&options, nla_data(parameters), MIN((size_t)nla_len(parameters), sizeof options));
        search->mbit =
            (int64_t)(rate64 != NULL ? nla_get_u64(rate64) : options.rate.rate) / BYTES_PER_MBIT;
    }
}

static bool read_rate(Net *net, const char *name, int64_t *ret_mbit, GError **error)
{
    g_autoptr(NetlinkMessage) message = NULL;
    g_autoptr(GError) local = NULL;
    QdiscSearch search = {0};

    if (!net_ifindex(net, name, &search.ifindex, &local)) {
        if (!g_error_matches(local, BERTH_ERROR, BERTH_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        *ret_mbit = 0;
        return true;
    }
    message = tc_message(RTM_GETQDISC, NLM_F_DUMP, search.ifindex, 0, 0, 0);
    if (!netlink_query(net_netlink(net), message, visit_qdisc, &search, NULL, error,
                       "cannot read the limit of '%s'", name)) {
        return false;
    }
    *ret_mbit = search.mbit;
    return true;
}

bool shape_read(Net *net, const char *tap, const char *ifb, ShapeRates *ret_rates, GError **error)
{
    ShapeRates rates = {0};

    if (!read_rate(net, tap, &rates.to_guest_mbit, error) ||
        !read_rate(net, ifb, &rates.from_guest_mbit, error)) {
        return false;
    }
    *ret_rates = rates;
    return true;
}
