/*
 * One rtnetlink conversation: build a request with libnl's nlmsg_* and nla_*, send it, and get
 * either success or the kernel's own words for why not (extended acknowledgements, which libnl's
 * object layer drops).
 *
 *     g_autoptr(NetlinkMessage) message = netlink_message_new(RTM_NEWLINK, NLM_F_CREATE);
 *     netlink_put_link(message, 0, IFF_UP, IFF_UP);
 *     netlink_put_string(message, IFLA_IFNAME, "bt…");
 *     return netlink_call(netlink, message, "cannot create tap 'bt…'", error);
 *
 * Internal to src/linux. Threading: a Netlink belongs to one thread at a time; a call blocks for
 * some tens of microseconds (deletions of interfaces up to some milliseconds: the kernel waits for
 * RCU).
 */
#pragma once

#include <glib.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Netlink Netlink;
typedef struct nl_msg NetlinkMessage;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetlinkMessage, nlmsg_free)

/* Opens the socket in the network namespace that the calling thread is in; it stays in that one. */
Netlink *netlink_open(GError **error);
void netlink_close(Netlink *netlink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netlink, netlink_close)

/* Requests and attributes; memory is the only thing that can fail in building, and that aborts. */
NetlinkMessage *netlink_message_new(int type, int flags);
void netlink_put_header(NetlinkMessage *message, const void *header, size_t size);
void netlink_put_link(NetlinkMessage *message, int ifindex, unsigned flags, unsigned change);
void netlink_put(NetlinkMessage *message, int attribute, const void *data, size_t size);
void netlink_put_string(NetlinkMessage *message, int attribute, const char *text);
void netlink_put_u8(NetlinkMessage *message, int attribute, uint8_t value);
void netlink_put_u16(NetlinkMessage *message, int attribute, uint16_t value);
void netlink_put_u32(NetlinkMessage *message, int attribute, uint32_t value);
struct nlattr *netlink_nest(NetlinkMessage *message, int attribute);
void netlink_nest_end(NetlinkMessage *message, struct nlattr *nest);

/* Sends `message` and waits for its acknowledgement. A failure is a BerthError whose message is
 * `what`, the system's word for the error and the kernel's own; EPERM and EACCES come with the
 * remedy. `ret_errno` (may be NULL) is 0 or the errno: callers that ensure a state accept EEXIST or
 * ENODEV. */
bool netlink_call(Netlink *netlink, NetlinkMessage *message, int *ret_errno, GError **error,
                  const char *what, ...) G_GNUC_PRINTF(5, 6);

/* Sends a request (NLM_F_DUMP or a single get) and calls `visit` for each answer; its messages are
 * borrowed for the call. */
typedef void (*NetlinkVisit)(struct nlmsghdr *header, gpointer data);
bool netlink_query(Netlink *netlink, NetlinkMessage *message, NetlinkVisit visit, gpointer data,
                   int *ret_errno, GError **error, const char *what, ...) G_GNUC_PRINTF(7, 8);
