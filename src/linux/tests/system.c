#include "tests/system.h"

#include "linux/address.h"
#include "linux/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VNET_HEADER 10

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const char *skip_reason;

void system_init(void)
{
    if (geteuid() != 0) {
        skip_reason = "needs root: it makes interfaces in a network namespace";
    } else if (unshare(CLONE_NEWNET) != 0) {
        skip_reason = "this environment allows no network namespace";
    } else {
        g_autoptr(Net) net = net_open(NULL, NULL);

        skip_reason = net != NULL && net_set_link(net, "lo", 0, true, NULL)
                          ? NULL
                          : "the namespace has no working netlink";
    }
}

static void run_or_skip(gconstpointer data)
{
    void (*test)(void) = (void (*)(void))data;

    if (skip_reason != NULL) {
        g_test_skip(skip_reason);
        return;
    }
    test();
}

void system_add(const char *path, void (*test)(void))
{
    g_test_add_data_func(path, (gconstpointer)test, run_or_skip);
}

typedef struct {
    const char *tap;
    int fd;
} OpenRequest;

static bool open_tap(gpointer data, GError **error)
{
    OpenRequest *request = data;
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};

    g_strlcpy(ifr.ifr_name, request->tap, sizeof ifr.ifr_name);
    request->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(request->fd, >=, 0);
    g_assert_cmpint(ioctl(request->fd, TUNSETIFF, &ifr), ==, 0);
    return true;
}

void guest_open(Guest *guest, const char *tap, const char *mac, const char *netns)
{
    OpenRequest request = {.tap = tap};
    int namespace = netns != NULL ? open(netns, O_RDONLY | O_CLOEXEC) : -1;

    g_assert_true(net_namespace_run(namespace, open_tap, &request, NULL));
    if (namespace >= 0) {
        close(namespace);
    }
    guest->fd = request.fd;
    g_assert_true(net_parse_mac(NULL, mac, guest->mac, NULL));
}

void guest_close(Guest *guest)
{
    close(guest->fd);
}

void guest_say(const Guest *guest, const GByteArray *frame)
{
    uint8_t buffer[2048] = {0};

    g_assert_cmpuint(frame->len, <=, sizeof buffer - VNET_HEADER);
    memcpy(buffer + VNET_HEADER, frame->data, frame->len);
    g_assert_cmpint(write(guest->fd, buffer, VNET_HEADER + frame->len), ==,
                    VNET_HEADER + frame->len);
}

GByteArray *guest_hear(const Guest *guest, int timeout_ms)
{
    struct pollfd ready = {.fd = guest->fd, .events = POLLIN};
    uint8_t buffer[65536 + VNET_HEADER];
    ssize_t length;

    if (poll(&ready, 1, timeout_ms) <= 0) {
        return NULL;
    }
    length = read(guest->fd, buffer, sizeof buffer);
    if (length <= VNET_HEADER) {
        return NULL;
    }
    return g_byte_array_append(g_byte_array_new(), buffer + VNET_HEADER,
                               (guint)length - VNET_HEADER);
}

static void put16(GByteArray *bytes, uint16_t value)
{
    value = htons(value);
    g_byte_array_append(bytes, (const guint8 *)&value, sizeof value);
}

static void put8(GByteArray *bytes, uint8_t value)
{
    g_byte_array_append(bytes, &value, 1);
}

static void put_address(GByteArray *bytes, const char *text)
{
    Address address;

    g_assert_true(address_parse(NULL, text, 0, &address, NULL));
    g_byte_array_append(bytes, address.bytes, (guint)address.size);
}

GByteArray *frame_ethernet(const uint8_t source[6], uint16_t type, const void *payload,
                           size_t length)
{
    GByteArray *frame = g_byte_array_new();

    g_byte_array_append(frame, everybody, sizeof everybody);
    g_byte_array_append(frame, source, 6);
    put16(frame, type);
    g_byte_array_append(frame, payload, (guint)length);
    return frame;
}

GByteArray *frame_arp(const uint8_t source[6], const uint8_t sender[6], const char *sender_ip,
                      const char *target_ip)
{
    static const uint8_t nobody[6];
    GByteArray *frame = frame_ethernet(source, ETH_P_ARP, "", 0);

    put16(frame, 1);
    put16(frame, ETH_P_IP);
    put8(frame, 6);
    put8(frame, 4);
    put16(frame, 1);
    g_byte_array_append(frame, sender, 6);
    put_address(frame, sender_ip);
    g_byte_array_append(frame, nobody, sizeof nobody);
    put_address(frame, target_ip);
    return frame;
}

static void put_ipv4_checksum(GByteArray *frame)
{
    uint32_t sum = 0;
    uint16_t folded;

    for (size_t at = ETH_HLEN; at < ETH_HLEN + 20; at += 2) {
        sum += (uint32_t)(frame->data[at] << 8 | frame->data[at + 1]);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    folded = htons((uint16_t) ~((sum & 0xffff) + (sum >> 16)));
    memcpy(frame->data + ETH_HLEN + 10, &folded, sizeof folded);
}

GByteArray *frame_udp4(const uint8_t source[6], const char *from, const char *to,
                       uint16_t from_port, uint16_t to_port, const void *payload, size_t length)
{
    static const uint8_t rest[] = {0, 0, 0, 0, 64, 17, 0, 0};
    GByteArray *frame = frame_ethernet(source, ETH_P_IP, "", 0);

    put8(frame, 0x45);
    put8(frame, 0);
    put16(frame, (uint16_t)(28 + length));
    g_byte_array_append(frame, rest, sizeof rest);
    put_address(frame, from);
    put_address(frame, to);
    put_ipv4_checksum(frame);
    put16(frame, from_port);
    put16(frame, to_port);
    put16(frame, (uint16_t)(8 + length));
    put16(frame, 0); /* no checksum */
    g_byte_array_append(frame, payload, (guint)length);
    return frame;
}

static GByteArray *frame_ip6(const uint8_t source[6], const char *from, const char *to,
                             uint8_t protocol, uint16_t length)
{
    GByteArray *frame = frame_ethernet(source, ETH_P_IPV6, "", 0);

    put16(frame, 0x6000);
    put16(frame, 0);
    put16(frame, length);
    put8(frame, protocol);
    put8(frame, 255);
    put_address(frame, from);
    put_address(frame, to);
    return frame;
}

GByteArray *frame_udp6(const uint8_t source[6], const char *from, const char *to,
                       uint16_t from_port, uint16_t to_port)
{
    GByteArray *frame = frame_ip6(source, from, to, 17, 8);

    put16(frame, from_port);
    put16(frame, to_port);
    put16(frame, 8);
    put16(frame, 0xffff);
    return frame;
}

GByteArray *frame_icmp6(const uint8_t source[6], const char *from, uint8_t type, const char *target)
{
    GByteArray *frame = frame_ip6(source, from, "ff02::1", 58, 24);

    put8(frame, type);
    put8(frame, 0);
    put16(frame, 0);
    put16(frame, 0);
    put16(frame, 0);
    put_address(frame, target);
    return frame;
}

GByteArray *frame_tagged(GByteArray *frame, uint16_t vlan)
{
    GByteArray *tagged = g_byte_array_new();

    g_byte_array_append(tagged, frame->data, 12);
    put16(tagged, ETH_P_8021Q);
    put16(tagged, vlan);
    g_byte_array_append(tagged, frame->data + 12, frame->len - 12);
    g_byte_array_unref(frame);
    return tagged;
}

static bool same_frame(const GByteArray *heard, const GByteArray *said)
{
    return heard->len >= said->len && memcmp(heard->data, said->data, said->len) == 0;
}

/* A bridge's port forwards only when the kernel has noticed that its link is up, which a busy
 * machine does late: what is lost before that is said again. */
bool frame_passes(const Guest *speaker, const Guest *listener, const GByteArray *frame,
                  const GByteArray *marker)
{
    bool passed = false;

    for (int attempt = 0; attempt < 50; attempt++) {
        GByteArray *heard;

        guest_say(speaker, frame);
        guest_say(speaker, marker);
        while ((heard = guest_hear(listener, 400)) != NULL) {
            bool ended = same_frame(heard, marker);

            passed = passed || same_frame(heard, frame);
            g_byte_array_unref(heard);
            if (ended) {
                return passed;
            }
        }
    }
    g_assert_not_reached(); /* the marker must arrive */
}
