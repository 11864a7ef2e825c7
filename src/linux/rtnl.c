#include "linux/rtnl.h"

#include "base/error.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

struct Netlink {
    struct nl_sock *socket;
};

/* One exchange: filled by libnl's callbacks. */
typedef struct {
    NetlinkVisit visit;
    gpointer data;
    bool done;
    int error; /* errno */
    char *message;
} Exchange;

Netlink *netlink_open(GError **error)
{
    g_autoptr(Netlink) netlink = g_new0(Netlink, 1);
    int on = 1;
    int rc;

    netlink->socket = nl_socket_alloc();
    if (netlink->socket == NULL) {
        g_error("out of memory for a netlink socket");
    }
    rc = nl_connect(netlink->socket, NETLINK_ROUTE);
    if (rc < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                        "cannot open a netlink socket: %s", nl_geterror(rc));
        return NULL;
    }
    /* Without them errors are only numbers, as on kernels before 4.12. */
    (void)setsockopt(nl_socket_get_fd(netlink->socket), SOL_NETLINK, NETLINK_EXT_ACK, &on,
                     sizeof on);
    (void)setsockopt(nl_socket_get_fd(netlink->socket), SOL_NETLINK, NETLINK_CAP_ACK, &on,
                     sizeof on);
    return g_steal_pointer(&netlink);
}

void netlink_close(Netlink *netlink)
{
    if (netlink == NULL) {
        return;
    }
    nl_socket_free(netlink->socket);
    g_free(netlink);
}

/* Building fails only for want of memory. */
static void must(bool built)
{
    if (!built) {
        g_error("out of memory for a netlink message");
    }
}

NetlinkMessage *netlink_message_new(int type, int flags)
{
    NetlinkMessage *message = nlmsg_alloc_simple(type, flags | NLM_F_REQUEST);

    must(message != NULL);
    return message;
}

void netlink_put_header(NetlinkMessage *message, const void *header, size_t size)
{
    must(nlmsg_append(message, (void *)header, size, NLMSG_ALIGNTO) == 0);
}

void netlink_put_link(NetlinkMessage *message, int ifindex, unsigned flags, unsigned change)
{
    struct ifinfomsg header = {
        .ifi_family = AF_UNSPEC,
        .ifi_index = ifindex,
        .ifi_flags = flags,
        .ifi_change = change,
    };

    netlink_put_header(message, &header, sizeof header);
}

void netlink_put(NetlinkMessage *message, int attribute, const void *data, size_t size)
{
    must(nla_put(message, attribute, (int)size, data) == 0);
}

void netlink_put_string(NetlinkMessage *message, int attribute, const char *text)
{
    netlink_put(message, attribute, text, strlen(text) + 1);
}

void netlink_put_u8(NetlinkMessage *message, int attribute, uint8_t value)
{
    netlink_put(message, attribute, &value, sizeof value);
}

void netlink_put_u16(NetlinkMessage *message, int attribute, uint16_t value)
{
    netlink_put(message, attribute, &value, sizeof value);
}

void netlink_put_u32(NetlinkMessage *message, int attribute, uint32_t value)
{
    netlink_put(message, attribute, &value, sizeof value);
}

struct nlattr *netlink_nest(NetlinkMessage *message, int attribute)
{
    struct nlattr *nest = nla_nest_start(message, attribute);

    must(nest != NULL);
    return nest;
}

void netlink_nest_end(NetlinkMessage *message, struct nlattr *nest)
{
    /* An empty nest is meaningful to the kernel ("all defaults"); nla_nest_end would drop it. */
    nla_nest_end_keep_empty(message, nest);
}

static int on_valid(struct nl_msg *message, void *arg)
{
    Exchange *exchange = arg;

    if (exchange->visit != NULL) {
        exchange->visit(nlmsg_hdr(message), exchange->data);
    }
    return NL_OK;
}

static int on_done(struct nl_msg *message, void *arg)
{
    Exchange *exchange = arg;

    exchange->done = true;
    return NL_STOP;
}

static char *extended_message(const struct nlmsgerr *answer)
{
    const struct nlmsghdr *header = (const struct nlmsghdr *)((const char *)answer - NLMSG_HDRLEN);
    size_t skip = sizeof *answer;
    struct nlattr *attribute;

    if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
        return NULL;
    }
    if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
        skip += NLMSG_ALIGN(answer->msg.nlmsg_len) - sizeof answer->msg;
    }
    attribute = nlmsg_find_attr((struct nlmsghdr *)header, (int)skip, NLMSGERR_ATTR_MSG);
    return attribute != NULL ? g_strndup(nla_data(attribute),
                                         strnlen(nla_data(attribute), (size_t)nla_len(attribute)))
                             : NULL;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *answer, void *arg)
{
    Exchange *exchange = arg;

    exchange->done = true;
    exchange->error = -answer->error;
    exchange->message = extended_message(answer);
    return NL_STOP;
}

static void exchange_run(Netlink *netlink, NetlinkMessage *message, Exchange *exchange)
{
    struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);
    int rc;

    must(callbacks != NULL);
    nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_valid, exchange);
    nl_cb_set(callbacks, NL_CB_ACK, NL_CB_CUSTOM, on_done, exchange);
    nl_cb_set(callbacks, NL_CB_FINISH, NL_CB_CUSTOM, on_done, exchange);
    nl_cb_err(callbacks, NL_CB_CUSTOM, on_error, exchange);
    rc = nl_send_auto(netlink->socket, message);
    while (rc >= 0 && !exchange->done) {
        rc = nl_recvmsgs(netlink->socket, callbacks);
        if (rc == -NLE_DUMP_INTR) {
            rc = 0; /* the table changed while it was read; what was read is still true of its
                       moment */
        }
    }
    if (!exchange->done) {
        exchange->error = EIO;
        exchange->message = g_strdup(nl_geterror(rc));
    }
    nl_cb_put(callbacks);
}

static bool exchange_report(const Exchange *exchange, int *ret_errno, GError **error,
                            const char *what)
{
    bool denied = exchange->error == EPERM || exchange->error == EACCES;

    if (ret_errno != NULL) {
        *ret_errno = exchange->error;
    }
    if (exchange->error == 0) {
        return true;
    }
    return berth_error_set(
        error, BERTH_ERROR_INTERNAL, NULL, NULL,
        denied ? "run the agent as root, or give it CAP_NET_ADMIN" : NULL, "%s: %s%s%s%s", what,
        g_strerror(exchange->error), exchange->message != NULL ? " (" : "",
        exchange->message != NULL ? exchange->message : "", exchange->message != NULL ? ")" : "");
}

bool netlink_call(Netlink *netlink, NetlinkMessage *message, int *ret_errno, GError **error,
                  const char *what, ...)
{
    Exchange exchange = {0};
    g_autofree char *text = NULL;
    g_autofree char *kernel = NULL;
    va_list args;

    va_start(args, what);
    text = g_strdup_vprintf(what, args);
    va_end(args);
    exchange_run(netlink, message, &exchange);
    kernel = exchange.message;
    return exchange_report(&exchange, ret_errno, error, text);
}

bool netlink_query(Netlink *netlink, NetlinkMessage *message, NetlinkVisit visit, gpointer data,
                   int *ret_errno, GError **error, const char *what, ...)
{
    Exchange exchange = {.visit = visit, .data = data};
    g_autofree char *text = NULL;
    g_autofree char *kernel = NULL;
    va_list args;

    va_start(args, what);
    text = g_strdup_vprintf(what, args);
    va_end(args);
    exchange_run(netlink, message, &exchange);
    kernel = exchange.message;
    return exchange_report(&exchange, ret_errno, error, text);
}
