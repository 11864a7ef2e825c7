/*
 * What a guest on an overlay gets by IPv6, from a dnsmasq with the configuration that Berth writes:
 * by router advertisement alone, and by DHCPv6. Needs root, ip and dnsmasq.
 */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "linux/dhcp.h"

#define MAC "52:54:00:12:34:56"
#define ADDRESS "fd12:3456:789a:bcde:5054:ff:fe12:3456" /* EUI-64 of it */

/* $1: directory. Two namespaces named by our pid, so that nothing else is touched. */
static const char script[] =
    "set -eu\n"
    "d=$1 s=berth-test-s-$2 c=berth-test-c-$2\n"
    "ip netns add $s; ip netns add $c\n"
    "trap 'kill $(cat $d/pid 2>/dev/null) 2>/dev/null || true; ip netns del $s; ip netns del $c' "
    "EXIT\n"
    "ip link add s0 netns $s type veth peer name c0 netns $c address " MAC "\n"
    "ip -n $s addr add fd12:3456:789a:bcde::1/64 dev s0 nodad\n"
    "ip -n $s link set s0 up\n"
    "ip netns exec $c sysctl -qw net.ipv6.conf.c0.accept_ra=2 net.ipv6.conf.c0.addr_gen_mode=0\n"
    "ip netns exec $s dnsmasq -C $d/dnsmasq.conf\n"
    "ip -n $c link set c0 up\n"
    "for i in $(seq 100); do\n"
    "  ip -n $c -6 addr show dev c0 scope global | grep -q inet6 && break; sleep 0.2\n"
    "done\n"
    "echo \"slaac $(ip -n $c -6 addr show dev c0 scope global | awk '/inet6/ {print $2}')\"\n"
    "echo \"mtu $(ip netns exec $c cat /proc/sys/net/ipv6/conf/c0/mtu)\"\n"
    "echo \"routers $(ip -n $c -6 route show default | wc -l)\"\n"
    "echo \"dhcpv6 $(ip netns exec $c python3 -c \"$3\")\"\n";

/* SOLICIT with rapid commit left out; prints the address of the ADVERTISE (RFC 8415). */
static const char solicit[] =
    "import socket,struct\n"
    "s=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\n"
    "s.bind(('::',546,0,0)); s.settimeout(3)\n"
    "o=lambda c,d: struct.pack('!HH',c,len(d))+d\n"
    "m=bytes.fromhex('525400123456')\n"
    "q=b'\\x01abc'+o(1,b'\\0\\3\\0\\1'+m)+o(8,b'\\0\\0')+o(3,struct.pack('!III',1,0,0))\n"
    "for attempt in range(10):\n"
    "    s.sendto(q,('ff02::1:2',547,0,socket.if_nametoindex('c0')))\n"
    "    try: d=s.recv(2000)\n"
    "    except TimeoutError: continue\n"
    "    break\n"
    "p=4\n"
    "while p<len(d):\n"
    "    c,l=struct.unpack('!HH',d[p:p+4])\n"
    "    if c==3: print(socket.inet_ntop(socket.AF_INET6,d[p+20:p+36]))\n"
    "    p+=4+l\n";

static void write_file(const char *dir, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
}

static void write_configuration(const char *dir)
{
    DhcpConfig config = {
        .interface = "s0", .dir = dir, .subnet6 = "fd12:3456:789a:bcde::/64", .mtu = 1450};
    DhcpHost host = {.mac = MAC, .ipv6 = ADDRESS, .name = "web"};
    g_autoptr(GError) error = NULL;
    g_autofree char *text = dhcp_config_text(&config, &error);
    g_assert_no_error(error);
    g_autofree char *hosts = dhcp_hosts_text(&host, 1, &error);
    g_assert_no_error(error);
    write_file(dir, "dnsmasq.conf", text);
    write_file(dir, "hosts", hosts);
}

static void test_guest_gets_its_address(void)
{
    g_autofree char *dnsmasq = g_find_program_in_path("dnsmasq");
    if (geteuid() != 0 || dnsmasq == NULL) {
        g_test_skip("needs root and dnsmasq");
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("berth-dhcp6-XXXXXX", &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(dir, 0755), ==, 0);
    write_configuration(dir);
    g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
    const char *argv[] = {"sh", "-c", script, "sh", dir, pid, solicit, NULL};
    g_autoptr(GSubprocess) process =
        g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
    g_assert_no_error(error);
    g_autofree char *output = NULL;
    g_subprocess_communicate_utf8(process, NULL, NULL, &output, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(output, ==, "slaac " ADDRESS "/64\nmtu 1450\nrouters 0\ndhcpv6 " ADDRESS "\n");

    static const char *const files[] = {"dnsmasq.conf", "hosts", "pid", "leases"};
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(dir, files[i], NULL);
        g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linux/dhcp6/guest-gets-its-address", test_guest_gets_its_address);
    return g_test_run();
}
